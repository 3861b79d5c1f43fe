//! `GET /api/me`: who is signed in, and what every page wants to know.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use samspil_client_protocol::api::{Me, Problem as ProblemBody};

use super::{people, problem::Problem};
use crate::{BUILD, auth::SignedIn, domain::access::danish_day, store::Store};

/// What the operator has set and pages show.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Is this the demo?
    pub demo: bool,
    /// Where the accessibility statement is.
    pub was_url: Option<String>,
}

/// Who is signed in.
#[utoipa::path(get, operation_id = "me", path = "/api/me", responses((status = OK, body = Me), (status = UNAUTHORIZED, body = ProblemBody)))]
pub(super) async fn me(signed_in: SignedIn, State(store): State<Store>, State(site): State<Site>) -> Result<Json<Me>, Problem> {
    let principal = &signed_in.principal;
    let person = store.person(principal.person).await?.ok_or_else(Problem::signed_out)?;
    let municipality = store.municipality_name().await?.unwrap_or_default();
    let today = danish_day(signed_in.now);
    let roles: BTreeSet<&str> = principal.standing_on(today).map(|placement| placement.role.id()).collect();
    Ok(Json(Me {
        person: people::show(&person),
        roles: roles.into_iter().map(str::to_owned).collect(),
        municipality,
        now: signed_in.now,
        demo: site.demo,
        was_url: site.was_url,
        build: BUILD.to_owned(),
    }))
}
