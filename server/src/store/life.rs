//! What takes an agreement from one part of its life to the next. Each change locks in the order that every change of rights keeps
//! (documents, persons, sessions), raises the access version, so that no word commits that was admitted under the old status, and writes
//! its events in the same transaction. Nothing slow happens under the lock.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use samspil_evidence::Hash;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Error, Result, Store, Transaction,
    agreements::{agreement_status, number, party},
    audit,
    creation::{self, NewDocument},
    log::signed,
    signoffs::party_id,
};
use crate::{
    content,
    domain::{
        agreement::{AgreementStatus, Party},
        document::{DocumentKind, Status},
        ids::{AgreementId, DocumentId, PersonId, SessionId},
        life::{Overridden, Reason},
        notice::{NoticeKind, kind_id},
    },
};

/// A text as it is frozen: made from the whole log, and nothing else.
#[derive(Clone, Debug)]
pub struct FrozenText {
    /// Seq of the newest update in it.
    pub head: u64,
    /// Version of the content's schema.
    pub schema: u16,
    /// The canonical JSON: the bytes that are shown, hashed and signed.
    pub bytes: Bytes,
    /// SHA-256 of them.
    pub content_sha256: Hash,
    /// SHA-256 over (seq, person, hash) of every update.
    pub log_sha256: Hash,
}

/// A document that is locked until the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Where it is in its life.
    pub status: AgreementStatus,
    /// Seq of the newest update.
    pub head: u64,
    /// Its access version.
    pub access_version: i64,
}

/// Locks an agreement's document, and whoever acts with their sign-in: until the transaction ends nobody writes, no status changes, and
/// what this person may do stays. So the rights are to be asked for after this. `None`: there is no such document.
pub async fn lock(transaction: &mut Transaction, document: DocumentId, person: PersonId, session: SessionId) -> Result<Option<Locked>> {
    let row = sqlx::query!("SELECT status, head, access_version FROM document WHERE id = $1 FOR NO KEY UPDATE", document.0)
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query!("SELECT id FROM person WHERE id = $1 FOR SHARE", person.0).fetch_optional(&mut **transaction).await?;
    sqlx::query!("SELECT id FROM session WHERE id = $1 FOR SHARE", session.0).fetch_optional(&mut **transaction).await?;
    let head = u64::try_from(row.head).map_err(|_| Error::Unknown { table: "document", what: "head", value: row.head.to_string() })?;
    Ok(Some(Locked { status: agreement_status("status", row.status)?, head, access_version: row.access_version }))
}

/// Something that happens in an agreement's life.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Which agreement.
    pub agreement: AgreementId,
    /// Which version of it.
    pub document: DocumentId,
    /// What: one of those that `agreement_event` knows.
    pub kind: &'a str,
    /// Who did it; `None`: nobody, it followed.
    pub person: Option<PersonId>,
    /// When.
    pub at: DateTime<Utc>,
    /// The status it leads to.
    pub to: Option<AgreementStatus>,
    /// Which revision.
    pub revision: Option<u32>,
    /// On which side.
    pub party: Option<Party>,
    /// Why.
    pub reason: Option<&'a str>,
    /// The case it was filed under.
    pub case_number: Option<&'a str>,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// What the trail says of it.
    pub body: Value,
}

/// Puts it on record, in the agreement's life and in its trail.
pub async fn record(transaction: &mut Transaction, event: &Event<'_>) -> Result<()> {
    // It waits for whoever else writes to this trail, so the next place in the life is nobody else's.
    audit::append(transaction, event.agreement.0, event.kind, event.person, event.body.clone(), event.at).await?;
    sqlx::query!(
        "INSERT INTO agreement_event (agreement_id, seq, document_id, type, at, person_id, to_status, revision, party, reason,
             case_number, error)
         SELECT $1, COALESCE(max(seq), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM agreement_event WHERE agreement_id = $1",
        event.agreement.0,
        event.document.0,
        event.kind,
        event.at,
        event.person.map(|person| person.0),
        event.to.map(|status| Status::Agreement(status).id()),
        event.revision.map(|revision| i32::try_from(revision).unwrap_or(i32::MAX)),
        event.party.map(party_id),
        event.reason,
        event.case_number,
        event.error
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Store {
    /// What agreements' histories say that their trails do not, and what the trails say that the histories leave out: (agreement, type, when).
    pub async fn off_record(&self) -> Result<Vec<(AgreementId, String, DateTime<Utc>)>> {
        let rows = sqlx::query!(
            r#"WITH told AS (
                   SELECT agreement_id AS trail, type, at, person_id, revision, party, reason, case_number, error, count(*) FROM agreement_event
                   GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
               ), on_record AS (
                   SELECT trail_id, type, at, person_id, (body ->> 'revision')::integer, body ->> 'party',
                          COALESCE(body ->> 'reason', body #>> '{override,reason}'), body ->> 'case_number', body ->> 'error', count(*)
                   FROM audit_event WHERE type IN (SELECT DISTINCT type FROM agreement_event) AND trail_id IN (SELECT id FROM agreement)
                   GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
               )
               SELECT trail AS "trail!", type AS "type!", at AS "at!" FROM (
                   (SELECT * FROM told EXCEPT SELECT * FROM on_record) UNION ALL (SELECT * FROM on_record EXCEPT SELECT * FROM told)) differing
               ORDER BY at"#
        );
        Ok(rows.fetch_all(self.pool()).await?.into_iter().map(|row| (AgreementId(row.trail), row.r#type, row.at)).collect())
    }
}

/// Who does something with which version of an agreement, and when.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// The agreement.
    pub agreement: AgreementId,
    /// The version.
    pub document: DocumentId,
    /// Who.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
}

/// Keeps the frozen text, closes the document to words, and retires every client id in it. Call it with the document locked and its head
/// looked at. Answers the revision's number.
pub async fn freeze(transaction: &mut Transaction, act: Act, text: &FrozenText, overridden: Option<&Overridden>) -> Result<u32> {
    let revision = sqlx::query_scalar!(
        r#"INSERT INTO revision (document_id, number, seq, content, content_sha256, schema, log_sha256, frozen, person_id, at)
           SELECT $1, COALESCE(max(number), 0) + 1, $2, $3, $4, $5, $6, true, $7, $8 FROM revision WHERE document_id = $1
           RETURNING number"#,
        act.document.0,
        signed(text.head),
        &text.bytes[..],
        &text.content_sha256[..],
        i32::from(text.schema),
        &text.log_sha256[..],
        act.by.0,
        act.at
    )
    .fetch_one(&mut **transaction)
    .await?;
    let revision = number("revision", "number", revision.into())?;
    sqlx::query!(
        "UPDATE document SET status = 'ready_to_sign', freezes = freezes + 1, access_version = access_version + 1 WHERE id = $1",
        act.document.0
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!("UPDATE document_client SET retired = true WHERE document_id = $1 AND NOT retired", act.document.0)
        .execute(&mut **transaction)
        .await?;
    let over = overridden.map(|over| json!({ "gates": over.gates, "reason": over.reason.words() }));
    let body = json!({
        "document": act.document.0, "revision": revision, "head": text.head, "schema": text.schema,
        "content_sha256": hex::encode(text.content_sha256), "log_sha256": hex::encode(text.log_sha256), "override": over,
    });
    let event = Event {
        agreement: act.agreement,
        document: act.document,
        kind: "frozen",
        person: Some(act.by),
        at: act.at,
        to: Some(AgreementStatus::ReadyToSign),
        revision: Some(revision),
        party: None,
        reason: overridden.map(|over| over.reason.words()),
        case_number: None,
        error: None,
        body,
    };
    record(transaction, &event).await?;
    Ok(revision)
}

/// Somebody brought the words of an older revision back, by writing them.
pub async fn restored(transaction: &mut Transaction, act: Act, revision: u32) -> Result<()> {
    let event = Event {
        agreement: act.agreement,
        document: act.document,
        kind: "restored",
        person: Some(act.by),
        at: act.at,
        to: None,
        revision: Some(revision),
        party: None,
        reason: None,
        case_number: None,
        error: None,
        body: json!({ "document": act.document.0, "revision": revision }),
    };
    record(transaction, &event).await
}

/// Opens the document to words again: every signature on it lapses, for good. Answers whose did.
pub async fn reopen(transaction: &mut Transaction, act: Act, reason: &Reason) -> Result<Vec<PersonId>> {
    sqlx::query!("UPDATE document SET status = 'reopened', access_version = access_version + 1 WHERE id = $1", act.document.0)
        .execute(&mut **transaction)
        .await?;
    let event = Event {
        agreement: act.agreement,
        document: act.document,
        kind: "reopened",
        person: Some(act.by),
        at: act.at,
        to: Some(AgreementStatus::Reopened),
        revision: None,
        party: None,
        reason: Some(reason.words()),
        case_number: None,
        error: None,
        body: json!({ "document": act.document.0, "reason": reason.words() }),
    };
    record(transaction, &event).await?;
    let lapsed = sqlx::query!(
        "UPDATE signature SET valid = false, lapsed_reason = $2, lapsed_at = $3 WHERE document_id = $1 AND valid
         RETURNING id, party, person_id, revision",
        act.document.0,
        reason.words(),
        act.at
    )
    .fetch_all(&mut **transaction)
    .await?;
    for signature in &lapsed {
        let event = Event {
            kind: "signature_invalidated",
            person: None,
            to: None,
            revision: Some(number("signature", "revision", signature.revision.into())?),
            party: Some(party(signature.party.clone())?),
            body: json!({
                "document": act.document.0, "signature": signature.id, "person": signature.person_id, "party": signature.party,
                "revision": signature.revision, "reason": reason.words(),
            }),
            ..event.clone()
        };
        record(transaction, &event).await?;
    }
    Ok(lapsed.into_iter().map(|signature| PersonId(signature.person_id)).collect())
}

/// Begins the next version of an agreement with what the signed one says, goal ids kept. That one stays in force until the next is signed.
/// Whom it was shared with reads the next one, too.
pub async fn renew(transaction: &mut Transaction, act: Act, content: &content::Content, next: DocumentId) -> Result<u32> {
    let row = sqlx::query!(
        r#"SELECT title AS "title: String", version, template_id AS "template_id!" FROM document WHERE id = $1"#,
        act.document.0
    )
    .fetch_one(&mut **transaction)
    .await?;
    let new = NewDocument {
        id: next,
        slug: None,
        kind: DocumentKind::Agreement,
        title: &row.title,
        version: row.version + 1,
        template: row.template_id,
        status: Status::Agreement(AgreementStatus::Drafting),
        content,
        by: Some(act.by),
        at: act.at,
    };
    let content_sha256 = creation::create(transaction, &new).await?;
    sqlx::query!("INSERT INTO agreement_version (document_id, agreement_id) VALUES ($1, $2)", next.0, act.agreement.0)
        .execute(&mut **transaction)
        .await?;
    sqlx::query!("UPDATE agreement SET current_document_id = $2 WHERE id = $1", act.agreement.0, next.0)
        .execute(&mut **transaction)
        .await?;
    sqlx::query!(
        "INSERT INTO document_grant (id, document_id, person_id, kind, granted_by, until)
         SELECT gen_random_uuid(), $2, person_id, kind, granted_by, until FROM document_grant WHERE document_id = $1",
        act.document.0,
        next.0
    )
    .execute(&mut **transaction)
    .await?;
    let version = number("document", "version", new.version.into())?;
    let event = Event {
        agreement: act.agreement,
        document: next,
        kind: "new_version",
        person: Some(act.by),
        at: act.at,
        to: Some(AgreementStatus::Drafting),
        revision: None,
        party: None,
        reason: None,
        case_number: None,
        error: None,
        body: json!({ "document": next.0, "version": version, "of": act.document.0, "content_sha256": hex::encode(content_sha256) }),
    };
    record(transaction, &event).await?;
    Ok(version)
}

/// Tells these people, in the same transaction. Whoever did it knows already.
pub async fn tell(transaction: &mut Transaction, act: Act, kind: NoticeKind, reason: Option<&Reason>, people: &[PersonId]) -> Result<()> {
    let mut people: Vec<PersonId> = people.iter().copied().filter(|person| *person != act.by).collect();
    people.sort_unstable();
    people.dedup();
    for person in people {
        sqlx::query!(
            "INSERT INTO notification (id, person_id, kind, document_id, caused_by, at, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            Uuid::now_v7(),
            person.0,
            kind_id(kind),
            act.document.0,
            act.by.0,
            act.at,
            reason.map(Reason::words)
        )
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// A version of an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The document.
    pub document: DocumentId,
    /// Which, from 1.
    pub version: u32,
    /// Where it is in its life.
    pub status: AgreementStatus,
}

/// What happened in an agreement's life.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// What.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub person: Option<PersonId>,
    /// The status it led to.
    pub to: Option<AgreementStatus>,
    /// Which revision.
    pub revision: Option<u32>,
    /// On which side.
    pub party: Option<Party>,
    /// Why.
    pub reason: Option<String>,
}

impl Store {
    /// The versions of an agreement, newest first.
    pub async fn agreement_versions(&self, agreement: AgreementId) -> Result<Vec<VersionRow>> {
        let rows = sqlx::query!(
            "SELECT d.id, d.version, d.status FROM document d JOIN agreement_version v ON v.document_id = d.id
             WHERE v.agreement_id = $1 ORDER BY d.version DESC",
            agreement.0
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(VersionRow {
                    document: DocumentId(row.id),
                    version: number("document", "version", row.version.into())?,
                    status: agreement_status("status", row.status)?,
                })
            })
            .collect()
    }

    /// Everything that happened in an agreement's life, oldest first.
    pub async fn agreement_events(&self, agreement: AgreementId) -> Result<Vec<EventRow>> {
        let rows = sqlx::query!(
            "SELECT type AS kind, at, person_id, to_status, revision, party, reason FROM agreement_event WHERE agreement_id = $1 ORDER BY seq",
            agreement.0
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(EventRow {
                    kind: row.kind,
                    at: row.at,
                    person: row.person_id.map(PersonId),
                    to: row.to_status.map(|status| agreement_status("to_status", status)).transpose()?,
                    revision: row.revision.map(|revision| number("agreement_event", "revision", revision.into())).transpose()?,
                    party: row.party.map(party).transpose()?,
                    reason: row.reason,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
