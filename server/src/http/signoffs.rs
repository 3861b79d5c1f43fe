//! `/api/documents/{id}/signing`, `/approvals` and `/package`: entering into an agreement, and taking home what proves it.

use axum::{
    Json as Answer,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use samspil_client_protocol::api::{
    AgreementStatus, ApprovalBegun, FrozenText, MyApproval, NewApproval, Party, Problem as ProblemBody, ProofKind, SignedBy, Signing,
    SigningSide,
};
use samspil_evidence::statement::{Mandate, Statement};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    Outside,
    documents::readable,
    people::{self, People},
    problem::{Json, Path, Problem, Query, causes, request_id},
};
use crate::{
    auth::{
        SignedIn, StepUps,
        step_up::{Failed, Shown},
    },
    domain::{
        document::Status,
        signoff::{DEMONSTRATION, Locale, Refused},
    },
    notary::{Notary, Unpackable},
    papers::Papers,
    store::{Store, documents::DocumentRow, signoffs::ApprovalRow},
};

/// In which language.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InLanguage {
    /// `da` or `en`; Danish otherwise.
    locale: Option<String>,
}

/// What is signed, who has, and what I may do about it.
#[utoipa::path(get, operation_id = "signing", path = "/api/documents/{id}/signing", params(("id" = Uuid, Path), InLanguage), responses(
    (status = OK, body = Signing), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn signing(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(step_ups): State<StepUps>,
    State(outside): State<Outside>,
    Path(id): Path<Uuid>,
    Query(language): Query<InLanguage>,
) -> Result<Answer<Signing>, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let (agreement, status) = agreement_of(&document)?;
    let frozen = store.frozen_revision(document.access.document).await?;
    let rows = store.approvals(document.access.document).await?;
    let locale = Locale::of(language.locale.as_deref().unwrap_or_default());
    let offer = step_ups.offer(&signed_in.principal, &document, frozen.as_ref(), &rows, locale, signed_in.now).await;
    let (mine, refused) = match offer {
        Ok(offer) => {
            let on_behalf_of = offer.on_behalf_of.as_ref().map(people::show);
            (Some(MyApproval { party: offer.standing.party, on_behalf_of, consent: offer.consent }), None)
        }
        Err(Failed::Refused(Refused::NotAParty)) => (None, None),
        Err(Failed::Refused(reason)) => (None, Some(reason.id().to_owned())),
        Err(Failed::Store(error)) => return Err(error.into()),
    };
    let parties = [(Party::UnitLeader, agreement.unit_leader), (Party::Counterpart, agreement.counterpart)];
    let mut named: Vec<_> = rows.iter().map(|row| row.person).collect();
    named.extend(parties.iter().map(|(_, person)| *person));
    named.extend(frozen.as_ref().and_then(|frozen| frozen.person));
    let people = People::load(&store, named).await?;
    let sides = parties.map(|(party, person)| SigningSide {
        party,
        person: people.show(person),
        signature: rows.iter().find(|row| row.valid && row.party == party).map(|row| show(row, &people)),
    });
    let proven_at = rows.iter().filter(|row| row.valid && row.evidence.is_some()).map(|row| row.signed_at).max();
    let checkpoint = store.newest_checkpoint().await?.map(|newest| newest.at);
    Ok(Answer(Signing {
        agreement_id: document.agreement_id.map(|id| id.0).unwrap_or_default(),
        version: document.version,
        status,
        frozen: frozen.map(|frozen| FrozenText {
            revision: frozen.number,
            content_sha256: hex::encode(frozen.content_sha256),
            at: frozen.at,
            person: frozen.person.map(|person| people.show(person)),
        }),
        sides: sides.into(),
        lapsed: rows.iter().rev().filter(|row| !row.valid).map(|row| show(row, &people)).collect(),
        mine,
        refused,
        has_package: proven_at.is_some(),
        checkpoint_at: checkpoint.filter(|at| proven_at.is_some_and(|proven| *at >= proven)),
        stamped_at: match document.agreement_id {
            Some(agreement) if proven_at.is_some() => store.stamped_at(agreement.0).await?,
            _ => None,
        },
        stamps_asked: outside.stamps,
        demonstration: step_ups.demonstration(),
        now: signed_in.now,
    }))
}

/// The very bytes that are signed. The `ETag` is their SHA-256, which the page computes by itself, too.
#[utoipa::path(get, operation_id = "signing_content", path = "/api/documents/{id}/signing/content", params(("id" = Uuid, Path)), responses(
    (status = OK, content_type = "application/json", body = serde_json::Value), (status = UNAUTHORIZED, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn content(signed_in: SignedIn, State(store): State<Store>, Path(id): Path<Uuid>) -> Result<impl IntoResponse, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let frozen = store.frozen_revision(document.access.document).await?.ok_or_else(Problem::not_found)?;
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::ETAG, format!("\"{}\"", hex::encode(frozen.content_sha256)))];
    Ok((headers, frozen.content))
}

/// I approve what my page has shown: answers where to prove who I am.
#[utoipa::path(post, operation_id = "approve", path = "/api/documents/{id}/approvals", params(("id" = Uuid, Path)), request_body = NewApproval,
    responses((status = CREATED, body = ApprovalBegun), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody),
    (status = SERVICE_UNAVAILABLE, body = ProblemBody)))]
pub(super) async fn approve(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(step_ups): State<StepUps>,
    Path(id): Path<Uuid>,
    Json(new): Json<NewApproval>,
) -> Result<(StatusCode, Answer<ApprovalBegun>), Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    agreement_of(&document)?;
    let shown = Shown { content_sha256: &new.content_sha256, consent: &new.consent, locale: Locale::of(&new.locale) };
    match step_ups.begin(&signed_in, &document, shown).await {
        Ok(redirect_to) => Ok((StatusCode::CREATED, Answer(ApprovalBegun { redirect_to }))),
        Err(Failed::Store(error)) => Err(error.into()),
        Err(Failed::Refused(Refused::NotAParty)) => Err(Problem::forbidden()),
        Err(Failed::Refused(Refused::ProviderDown)) => Err(Problem::unavailable()),
        Err(Failed::Refused(reason)) => Err(Problem::not_approved(reason)),
    }
}

/// Everything that proves the signatures, in one file that anybody can check.
#[utoipa::path(get, operation_id = "package", path = "/api/documents/{id}/package", params(("id" = Uuid, Path)), responses(
    (status = OK, content_type = "application/zip", body = Vec<u8>), (status = UNAUTHORIZED, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody)))]
pub(super) async fn package(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(notary): State<Notary>,
    State(papers): State<Papers>,
    Path(id): Path<Uuid>,
) -> Result<impl IntoResponse, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    // Proof does not wait for paper: a package whose PDF cannot be printed still proves what was approved.
    let pdf = match papers.of(&document, signed_in.now).await {
        Ok(printed) => Some(printed.pdf.to_vec()),
        Err(error) => {
            tracing::error!(request.id = %request_id(), error = %causes(&error), "a package goes without its PDF");
            None
        }
    };
    match notary.package(document.access.document, pdf, signed_in.now).await {
        Ok(package) => {
            let name = format!("attachment; filename=\"bevispakke-{id}.zip\"");
            let headers = [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, name)];
            Ok((headers, package))
        }
        Err(Unpackable::NoEvidence) => Err(Problem::no_evidence()),
        Err(Unpackable::Store(error)) => Err(error.into()),
        Err(error @ Unpackable::Closed(_)) => {
            tracing::error!(request.id = %request_id(), error = %causes(&error), "evidence was altered, or its key is another one");
            Err(Problem::internal())
        }
    }
}

fn agreement_of(document: &DocumentRow) -> Result<(&crate::domain::access::AgreementAccess, AgreementStatus), Problem> {
    match (&document.access.agreement, document.access.status) {
        (Some(agreement), Status::Agreement(status)) => Ok((agreement, status)),
        _ => Err(Problem::not_found()),
    }
}

fn show(row: &ApprovalRow, people: &People) -> SignedBy {
    let statement = row.evidence.as_ref().and_then(|evidence| Statement::from_bytes(&evidence.statement));
    SignedBy {
        person: people.show(row.person),
        party: row.party,
        on_behalf_of: statement.as_ref().and_then(|statement| statement.on_behalf_of.as_ref()).map(|person| person.name.clone()),
        acting: statement.as_ref().is_some_and(|statement| statement.mandate == Mandate::Acting),
        signed_at: row.signed_at,
        revision: row.revision,
        auth_time: row.auth_time,
        acr: row.acr.clone(),
        proof: match &statement {
            _ if row.method == DEMONSTRATION => ProofKind::Demonstration,
            None => ProofKind::Imported,
            Some(statement) if statement.demonstration => ProofKind::Demonstration,
            Some(_) => ProofKind::FreshSignIn,
        },
        statement_sha256: row.evidence.as_ref().map(|evidence| hex::encode(&evidence.statement_sha256)),
        lapsed_because: row.lapsed_reason.clone(),
        lapsed_at: row.lapsed_at,
    }
}
