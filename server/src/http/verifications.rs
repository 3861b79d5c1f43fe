//! `POST /api/verifications`: checks a file that somebody was given, line by line, with the same code as `samspil verify`. Open to
//! whoever comes unless the municipality says otherwise; nothing of the file is kept.

use std::sync::Arc;

use axum::{Json, body::Body, extract::State};
use samspil_client_protocol::api::{CheckLine, CheckOutcome, CheckedApproval, FileKind, Party, Problem as ProblemBody, Verification};
use samspil_evidence::{
    statement,
    verify::{Outcome, Report, verify},
};
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::{
    auth::SignedIn,
    config::{Limits, VerifyFor},
    store::Store,
};

/// So many files are held and checked at once; beyond it the next waits.
const CHECKED_AT_ONCE: usize = 2;

/// Who may have documents checked, and how many at once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Counter {
    open_for: VerifyFor,
    places: Arc<Semaphore>,
}

impl Counter {
    /// A counter that is open for these.
    #[must_use]
    pub fn new(open_for: VerifyFor) -> Self {
        Self { open_for, places: Arc::new(Semaphore::new(CHECKED_AT_ONCE)) }
    }
}

/// Checks a file. The body is the file as it is.
#[utoipa::path(post, operation_id = "check_document", path = "/api/verifications",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = OK, body = Verification), (status = UNAUTHORIZED, body = ProblemBody), (status = PAYLOAD_TOO_LARGE, body = ProblemBody)))]
pub(super) async fn check(
    signed_in: Option<SignedIn>,
    State(store): State<Store>,
    State(counter): State<Counter>,
    State(limits): State<Arc<Limits>>,
    body: Body,
) -> Result<Json<Verification>, Problem> {
    if signed_in.is_none() && counter.open_for == VerifyFor::SignedIn {
        return Err(Problem::signed_out());
    }
    let _place = counter.places.acquire().await.map_err(|_| Problem::unavailable())?;
    let bytes = axum::body::to_bytes(body, limits.verify_bytes_max).await.map_err(|_| {
        let most = limits.verify_bytes_max >> 20;
        Problem::too_large().with_detail(format!("Filen er for stor til at være en bevispakke herfra. Der er plads til {most} MB."))
    })?;
    let own: Vec<_> = store.seal_keys().await?.into_iter().map(|row| row.kid).collect();
    let checked = tokio::task::spawn_blocking(move || {
        let kind = kind_of(&bytes);
        (kind, verify(&bytes, None))
    });
    let (kind, report) = checked.await.map_err(|_| Problem::internal())?;
    Ok(Json(show(kind, &report, &own)))
}

/// What a file is, by how it begins.
fn kind_of(bytes: &[u8]) -> FileKind {
    if bytes.starts_with(b"PK\x03\x04") {
        FileKind::Package
    } else if bytes.starts_with(b"%PDF-") {
        FileKind::Pdf
    } else {
        FileKind::Other
    }
}

fn show(kind: FileKind, report: &Report, own: &[String]) -> Verification {
    let side = |party| match party {
        statement::Party::UnitLeader => Party::UnitLeader,
        statement::Party::Counterpart => Party::Counterpart,
    };
    let lines = report.lines.iter().map(|(check, outcome)| {
        let (outcome, reason, about) = match outcome {
            Outcome::Holds => (CheckOutcome::Holds, None, None),
            Outcome::Demonstration => (CheckOutcome::Demonstration, Some("demonstration"), None),
            Outcome::Waits(what) => (CheckOutcome::Waits, Some(what.id()), None),
            Outcome::Broken(reason) => (CheckOutcome::Broken, Some(reason.id()), reason.about()),
        };
        let reason = reason.map(str::to_owned);
        CheckLine { check: check.id().to_owned(), party: check.party().map(side), outcome, reason, about }
    });
    let approvals = report.approvals.iter().map(|(statement, proof)| CheckedApproval {
        party: side(statement.party),
        name: statement.person.name.clone(),
        title: statement.person.title.clone(),
        on_behalf_of: statement.on_behalf_of.as_ref().map(|person| person.name.clone()),
        agreement: statement.title.clone(),
        municipality: statement.municipality.clone(),
        revision: statement.revision,
        at: statement.at,
        auth_time: proof.as_ref().map(|proof| proof.auth_time),
        issuer: statement.identity.issuer.clone(),
        demonstration: statement.demonstration,
    });
    Verification {
        kind,
        holds: report.holds(),
        lines: lines.collect(),
        key: report.key.clone(),
        own_key: report.key.as_ref().is_some_and(|key| own.contains(key)),
        content_sha256: report.content_sha256.clone(),
        approvals: if report.whole() { approvals.collect() } else { Vec::new() },
    }
}
