//! `/api/documents/{id}/freeze`, `/reopen` and `/new-version`: an agreement's way to its signatures and beyond.

use axum::{Json as Answer, extract::State, http::StatusCode};
use chrono::SubsecRound as _;
use samspil_client_protocol::api::{AgreementVersion, Freeze, Gate, GateKind, Problem as ProblemBody, Reopen, Revision};
use uuid::Uuid;

use super::{
    agreements::gates_of,
    documents::readable,
    people::People,
    problem::{Json, Path, Problem},
    texts,
};
use crate::{
    auth::{Sessions, SignedIn},
    domain::{
        access::{Abilities, abilities},
        agreement::AgreementStatus,
        document::Status,
        ids::{DocumentId, PersonId},
        life::{self, NoReason, REASON_CHARS_MAX, REASON_CHARS_MIN, Reason, Refused},
        notice::NoticeKind,
    },
    rooms::{self, Rooms, Seal},
    stop_points::{self, StopPoint},
    store::{
        self, Store, Transaction,
        agreements::Which,
        documents::DocumentRow,
        life::{self as rows, Act, Locked},
    },
};

/// Other servers write on while this one's room is sealed. So often the text is frozen anew as it stands then.
const ATTEMPTS: usize = 3;

/// Freezes the text for signing: from now on nobody writes in it, on any server, and what is signed is exactly this.
#[utoipa::path(post, operation_id = "freeze", path = "/api/documents/{id}/freeze", params(("id" = Uuid, Path)), request_body = Freeze, responses(
    (status = CREATED, body = Revision), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn freeze(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(sessions): State<Sessions>,
    State(rooms): State<Rooms>,
    Path(id): Path<Uuid>,
    Json(wanted): Json<Freeze>,
) -> Result<(StatusCode, Answer<Revision>), Problem> {
    let reason = wanted.override_dialogue.as_deref().map(reason).transpose()?;
    let mut desk = Desk::at(store, sessions, rooms, signed_in, id).await?;
    for _ in 0..ATTEMPTS {
        let sealed = desk.rooms.seal(desk.act.document).await.map_err(|_| Problem::unavailable())?;
        let sealed = sealed.map_err(|_| Problem::wrong_status("En anden er ved at fryse teksten lige nu."))?;
        match desk.freeze(&sealed, reason.clone()).await {
            Ok(Some(revision)) => {
                // Before the seal is broken: what waits meets the new status.
                desk.changed(&[]).await;
                drop(sealed);
                return Ok((StatusCode::CREATED, Answer(revision)));
            }
            Ok(None) => desk = desk.again().await?,
            Err(problem) => return Err(problem),
        }
    }
    Err(Problem::text_moved())
}

/// *Tag tilbage til kladde*: what was signed lapses, for good, and the text is open again.
#[utoipa::path(post, operation_id = "reopen", path = "/api/documents/{id}/reopen", params(("id" = Uuid, Path)), request_body = Reopen, responses(
    (status = NO_CONTENT), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn reopen(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(sessions): State<Sessions>,
    State(rooms): State<Rooms>,
    Path(id): Path<Uuid>,
    Json(wanted): Json<Reopen>,
) -> Result<StatusCode, Problem> {
    let desk = Desk::at(store, sessions, rooms, signed_in, id).await?;
    life::may_reopen(desk.status, desk.can.party).map_err(refused)?;
    let reason = reason(&wanted.reason)?;
    let mut transaction = desk.store.begin().await?;
    let locked = desk.lock(&mut transaction).await?;
    life::may_reopen(locked.status, desk.can.party).map_err(refused)?;
    let lapsed = rows::reopen(&mut transaction, desk.act, &reason).await?;
    let told: Vec<PersonId> = desk.parties().chain(lapsed).collect();
    rows::tell(&mut transaction, desk.act, NoticeKind::Reopened, Some(&reason), &told).await?;
    stop_points::reach(StopPoint::StatusWritten);
    transaction.commit().await.map_err(store::Error::from)?;
    desk.changed(&[]).await;
    Ok(StatusCode::NO_CONTENT)
}

/// *Ny version*: begins the next version of what both have signed, with the same words. The signed one stays in force until both have
/// signed the next.
#[utoipa::path(post, operation_id = "new_version", path = "/api/documents/{id}/new-version", params(("id" = Uuid, Path)), responses(
    (status = CREATED, body = AgreementVersion), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody)))]
pub(super) async fn renew(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(sessions): State<Sessions>,
    State(rooms): State<Rooms>,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Answer<AgreementVersion>), Problem> {
    let desk = Desk::at(store, sessions, rooms, signed_in, id).await?;
    life::may_renew(desk.status, desk.can.party).map_err(refused)?;
    let frozen = desk.replayed().await?;
    // What is copied is what was signed, where its text is held here.
    let signed = desk.store.frozen_revision(desk.act.document).await?;
    if signed.is_none_or(|signed| signed.content_sha256 != frozen.text.content_sha256) {
        tracing::error!(document.id = %desk.act.document, "the log does not say what was signed");
        return Err(Problem::text_differs());
    }
    let next = DocumentId(Uuid::now_v7());
    let mut transaction = desk.store.begin().await?;
    let locked = desk.lock(&mut transaction).await?;
    life::may_renew(locked.status, desk.can.party).map_err(refused)?;
    let newest = desk.store.agreement_versions(desk.act.agreement).await?.into_iter().next();
    if newest.is_none_or(|newest| newest.document != desk.act.document) {
        return Err(Problem::wrong_status("Den næste version er allerede begyndt."));
    }
    let version = rows::renew(&mut transaction, desk.act, &frozen.content, next).await?;
    stop_points::reach(StopPoint::StatusWritten);
    transaction.commit().await.map_err(store::Error::from)?;
    desk.changed(&[]).await;
    let begun = AgreementVersion { document_id: next.0, version, status: AgreementStatus::Drafting, in_force: false };
    Ok((StatusCode::CREATED, Answer(begun)))
}

/// What each step works with: an agreement's document, and who does something with it.
struct Desk {
    store: Store,
    sessions: Sessions,
    rooms: Rooms,
    signed_in: SignedIn,
    document: DocumentRow,
    can: Abilities,
    status: AgreementStatus,
    act: Act,
}

impl Desk {
    async fn at(store: Store, sessions: Sessions, rooms: Rooms, signed_in: SignedIn, id: Uuid) -> Result<Self, Problem> {
        let (document, can) = readable(&store, id, &signed_in).await?;
        // The other kinds are adopted by a body, not entered into by two.
        let (Some(agreement), Status::Agreement(status)) = (document.agreement_id, document.access.status) else {
            return Err(Problem::not_found());
        };
        if can.party.is_none() {
            return Err(refused(Refused::NotAParty));
        }
        // As PostgreSQL keeps it: what is answered is what is read later.
        let at = signed_in.now.trunc_subsecs(6);
        let act = Act { agreement, document: document.access.document, by: signed_in.principal.person, at };
        Ok(Self { store, sessions, rooms, signed_in, document, can, status, act })
    }

    /// Once more, with what another server wrote.
    async fn again(self) -> Result<Self, Problem> {
        self.rooms.catch_up(self.act.document).await;
        Self::at(self.store, self.sessions, self.rooms, self.signed_in, self.act.document.0).await
    }

    fn parties(&self) -> impl Iterator<Item = PersonId> {
        self.document.access.agreement.iter().flat_map(|agreement| [agreement.unit_leader, agreement.counterpart])
    }

    /// Freezes what the sealed room holds. `None`: another server wrote meanwhile.
    async fn freeze(&self, sealed: &Seal, reason: Option<Reason>) -> Result<Option<Revision>, Problem> {
        let overridden =
            life::freeze(self.status, self.can.party, &self.gates(&sealed.committed.content).await?, reason).map_err(refused)?;
        stop_points::reach(StopPoint::Sealed);
        let frozen = self.replayed().await?;
        if frozen.text.head != sealed.committed.seq {
            return Ok(None);
        }
        if frozen.text.bytes != sealed.committed.content {
            tracing::error!(document.id = %self.act.document, head = frozen.text.head, "the log does not say what the room shows");
            self.rooms.reload(self.act.document).await;
            return Err(Problem::text_differs());
        }
        let mut transaction = self.store.begin().await?;
        let locked = self.lock(&mut transaction).await?;
        if locked.head != frozen.text.head || locked.access_version != self.document.access_version {
            return Ok(None);
        }
        let number = rows::freeze(&mut transaction, self.act, &frozen.text, overridden.as_ref()).await?;
        let parties: Vec<PersonId> = self.parties().collect();
        rows::tell(&mut transaction, self.act, NoticeKind::ReadyToSign, None, &parties).await?;
        stop_points::reach(StopPoint::StatusWritten);
        transaction.commit().await.map_err(store::Error::from)?;
        stop_points::reach(StopPoint::StatusChanged);
        let people = People::load(&self.store, vec![self.act.by]).await?;
        Ok(Some(Revision {
            number,
            seq: Some(frozen.text.head),
            content_sha256: Some(hex::encode(frozen.text.content_sha256)),
            label: None,
            frozen: true,
            person: Some(people.show(self.act.by)),
            at: self.act.at,
        }))
    }

    /// The gates, with this as what the text says.
    async fn gates(&self, content: &[u8]) -> Result<Vec<Gate>, Problem> {
        let which = Which { agreement: Some(self.act.agreement), version: Some(self.document.version), ..Which::default() };
        let head = self.store.agreement_heads(&which).await?.pop().ok_or_else(Problem::not_found)?;
        let shown = [(self.act.agreement, Some(self.act.document))];
        let row = self.store.agreements(&shown).await?.pop().ok_or_else(Problem::not_found)?;
        let template = match row.template {
            Some(template) => self.store.template(template).await?,
            None => None,
        };
        let template = template.ok_or_else(Problem::internal)?;
        let words = texts::filled_in(content)?;
        let meetings = self.store.meetings(&[self.act.agreement]).await?;
        let demands = self.store.rules().await?.demands;
        Ok(gates_of(&self.store, &head, self.act.document, &template, &words, &meetings, &row, demands).await?)
    }

    /// What the whole log says.
    async fn replayed(&self) -> Result<rooms::Frozen, Problem> {
        let replayed = self.rooms.frozen(self.act.document).await?.ok_or_else(Problem::not_found)?;
        replayed.map_err(|error| {
            tracing::error!(document.id = %self.act.document, error = &error as &dyn std::error::Error, "the log does not replay");
            Problem::text_differs()
        })
    }

    /// Locks what decides, and looks again at what this person may do: it stays so until the transaction ends.
    async fn lock(&self, transaction: &mut Transaction) -> Result<Locked, Problem> {
        let session = self.signed_in.principal.session;
        let locked = rows::lock(transaction, self.act.document, self.act.by, session).await?.ok_or_else(Problem::not_found)?;
        let current = self.sessions.current(session, self.signed_in.now).await?.ok_or_else(Problem::signed_out)?;
        let document = self.store.document_access(self.act.document).await?.ok_or_else(Problem::not_found)?;
        if abilities(&current.principal, &document.access, self.signed_in.now).party != self.can.party {
            return Err(refused(Refused::NotAParty));
        }
        Ok(locked)
    }

    /// It is committed: this server's rooms learn of it at once, others within a second, and tell the pages.
    async fn changed(&self, others: &[DocumentId]) {
        for document in [self.act.document].iter().chain(others) {
            self.rooms.access_changed(*document).await;
        }
    }
}

fn reason(words: &str) -> Result<Reason, Problem> {
    Reason::new(words).map_err(|none| {
        Problem::no_reason(match none {
            NoReason::TooShort(chars) => format!("Skriv mindst {REASON_CHARS_MIN} tegn. Du har skrevet {chars}."),
            NoReason::TooLong(_) => format!("Der er plads til {REASON_CHARS_MAX} tegn."),
            NoReason::Unkeepable => "Teksten indeholder tegnet U+0000, som ikke kan gemmes.".to_owned(),
        })
    })
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::NotAParty => Problem::forbidden().with_detail("Det kan kun aftalens to parter og deres stedfortrædere."),
        Refused::NotYoursToOverride => Problem::forbidden()
            .with_detail("Kun direktøren eller fagchefen kan beslutte, at aftalen underskrives uden den dialog, der mangler."),
        Refused::Gates(gates) => Problem::not_in_place(gates.iter().map(missing).collect::<Vec<_>>().join(" ")),
        Refused::Status(status) => Problem::wrong_status(match status {
            AgreementStatus::NotStarted => "Aftalen er ikke begyndt.",
            AgreementStatus::Drafting | AgreementStatus::InDialogue | AgreementStatus::Reopened => "Aftalen er en kladde.",
            AgreementStatus::ReadyToSign => "Teksten er frosset til underskrift.",
            AgreementStatus::PartlySigned => "Teksten er frosset, og den ene part har skrevet under.",
            AgreementStatus::Signed => "Aftalen er underskrevet af begge.",
            AgreementStatus::Closed => "Aftalen er afsluttet.",
            AgreementStatus::Superseded => "Aftalen er erstattet af en nyere version.",
        }),
    }
}

/// What is missing, in a sentence.
fn missing(gate: &Gate) -> String {
    let place = gate.place_title.as_deref().unwrap_or_default();
    match gate.kind {
        GateKind::PoliticalGoal => "Intet mål understøtter et politisk mål.".into(),
        GateKind::ExecutiveGoal => "Intet mål udspringer af direktionens strategi.".into(),
        GateKind::SectionsFilled => format!("Afsnittet »{place}« er tomt."),
        GateKind::PoliticalDialogue => "De politiske mål er ikke drøftet på et dialogmøde.".into(),
        GateKind::ExecutiveDialogue => "Direktionens mål er ikke drøftet på et dialogmøde.".into(),
        GateKind::CommentsSettled => match gate.count {
            Some(1) => "Én kommentar er åben.".into(),
            count => format!("{} kommentarer er åbne.", count.unwrap_or_default()),
        },
        GateKind::GoalCriterion => format!("Målet »{place}« har intet succeskriterium."),
    }
}
