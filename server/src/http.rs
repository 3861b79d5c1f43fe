//! Routes, one file for each noun. A handler reads top to bottom: load (or 404), decide, save, answer.
//!
//! What may not be seen is answered exactly as what does not exist (invariant 9): an unknown id, a text that is no id, and
//! somebody else's document get the same 404.

use std::sync::Arc;

use axum::{Router, extract::FromRef, routing::get};
use utoipa::{OpenApi, openapi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Sessions, StepUps},
    clock::Clock,
    config::Limits,
    notary::Notary,
    papers::Papers,
    rooms::Rooms,
    store::Store,
};

mod agreements;
pub mod auth;
mod changes;
pub mod demo_mail;
mod documents;
pub mod door;
mod goals;
pub mod health;
mod journal;
mod life;
mod me;
pub mod notices;
pub mod origin;
mod overview;
pub mod pace;
mod papers;
mod people;
mod plan;
pub mod problem;
mod proposals;
mod revisions;
mod signed_in;
mod signoffs;
mod texts;
mod threads;
mod verifications;
pub mod web;

pub use journal::Outside;
pub use me::Site;
pub use verifications::Counter;

/// The parts that handlers are made from; each asks for the ones it needs.
#[derive(Clone, FromRef)]
pub struct Parts {
    /// What survives.
    pub store: Store,
    /// Who is signed in.
    pub sessions: Sessions,
    /// What time it is.
    pub clock: Clock,
    /// The live documents.
    pub rooms: Rooms,
    /// Approvals.
    pub step_ups: StepUps,
    /// What holds them together.
    pub notary: Notary,
    /// Where documents are checked.
    pub counter: Counter,
    /// Documents on paper.
    pub papers: Papers,
    /// Who there is for signed agreements.
    pub outside: Outside,
    /// What the operator has set.
    pub site: Site,
    /// What may come from outside.
    pub limits: Arc<Limits>,
}

/// Everything under `/api`, to be merged into a router of any state.
pub fn api<S: Clone + Send + Sync + 'static>(parts: Parts) -> Router<S> {
    let (routes, description) = described().split_for_parts();
    routes
        .route("/api/openapi.json", get(async move || axum::Json(description)))
        .method_not_allowed_fallback(async || problem::Problem::method_not_allowed())
        .with_state(parts)
}

/// The description of everything under `/api`, as `/api/openapi.json` gives it.
#[must_use]
pub fn description() -> openapi::OpenApi {
    described().into_openapi()
}

fn described() -> OpenApiRouter<Parts> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(me::me))
        .routes(routes!(overview::overview))
        .routes(routes!(agreements::list))
        .routes(routes!(agreements::one))
        .routes(routes!(documents::head))
        .routes(routes!(documents::content))
        .routes(routes!(papers::pdf))
        .routes(routes!(journal::delivery))
        .routes(routes!(journal::again))
        .routes(routes!(documents::meetings))
        .routes(routes!(threads::list, threads::begin))
        .routes(routes!(threads::read))
        .routes(routes!(threads::mentionable))
        .routes(routes!(threads::reply))
        .routes(routes!(threads::reword, threads::delete))
        .routes(routes!(threads::resolve))
        .routes(routes!(threads::reopen))
        .routes(routes!(threads::for_meeting))
        .routes(routes!(threads::claim))
        .routes(routes!(threads::report_wording))
        .routes(routes!(documents::versions))
        .routes(routes!(documents::signoffs))
        .routes(routes!(signoffs::signing))
        .routes(routes!(signoffs::content))
        .routes(routes!(signoffs::approve))
        .routes(routes!(signoffs::package))
        .routes(routes!(verifications::check))
        .routes(routes!(changes::changes))
        .routes(routes!(revisions::one))
        .routes(routes!(revisions::restored))
        .routes(routes!(life::freeze))
        .routes(routes!(life::reopen))
        .routes(routes!(life::renew))
        .routes(routes!(goals::list))
        .routes(routes!(plan::plan))
        .routes(routes!(proposals::list, proposals::keep))
        .routes(routes!(notices::list))
        .routes(routes!(notices::read))
        .routes(routes!(notices::settings, notices::choose))
}

/// What stands above the routes in the description.
#[derive(OpenApi)]
#[openapi(info(title = "Samspil", description = "The structured dialogue of a municipality. Errors are `application/problem+json`."))]
struct Description;

#[cfg(test)]
mod tests;
