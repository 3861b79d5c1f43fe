//! The log of a document: every update in the order in which it was committed, the snapshots that shorten its replay, and who
//! owns which Yjs client id. [`append`] is the one place where words become lasting (reliability-security §2).

use std::collections::HashMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Result, Store, Transaction};
use crate::domain::ids::{DocumentId, PersonId, SessionId};
use crate::stop_points::{self, StopPoint};

/// A document's log as it stood at one moment.
#[derive(Debug)]
pub struct Log {
    /// Seq of the newest update.
    pub head: u64,
    /// The newest snapshot, if there is one: its seq, the state, and the hash of its content.
    pub snapshot: Option<Snapshot>,
    /// The updates after it, in order.
    pub updates: Vec<Logged>,
    /// Who owns which client id.
    pub owners: Vec<Owner>,
}

/// A snapshot of a document's state.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The log up to here is in it.
    pub seq: u64,
    /// One update that makes the state.
    pub state: Bytes,
    /// SHA-256 of the canonical content.
    pub content_sha256: [u8; 32],
}

/// An update in the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place.
    pub seq: u64,
    /// The update.
    pub payload: Bytes,
}

/// Who owns a client id in a document.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The Yjs client id.
    pub client: u64,
    /// The person; `None`: the server.
    pub person: Option<PersonId>,
    /// No new blocks under it.
    pub retired: bool,
}

/// The access versions that a batch was admitted under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The document's.
    pub document: i64,
    /// Of each person who wrote.
    pub persons: Vec<(PersonId, i64)>,
    /// Of each session they wrote in.
    pub sessions: Vec<(SessionId, i64)>,
}

/// One room's updates for one transaction.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The document.
    pub document: DocumentId,
    /// The log stood at least here when the updates were admitted: they may build on all of it.
    pub head: u64,
    /// What it was admitted under.
    pub versions: Versions,
    /// The updates, in order.
    pub rows: Vec<Row>,
    /// Client ids used for the first time.
    pub clients: Vec<(u64, PersonId)>,
    /// What the goals look like now, when an update touched them.
    pub projection: Option<crate::content::Projection>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Batch {
    /// Bytes of its updates.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(|row| row.payload.len()).sum()
    }
}

/// One update to append.
#[derive(Clone, Debug)]
pub struct Row {
    /// Who wrote it.
    pub person: PersonId,
    /// In which session.
    pub session: SessionId,
    /// The update.
    pub payload: Bytes,
    /// SHA-256 of it.
    pub hash: [u8; 32],
}

/// Why a batch was not appended although the database works.
#[derive(Debug, thiserror::Error)]
pub enum NotAppended {
    /// These documents' batches were admitted under rights that have changed meanwhile.
    #[error("rights changed while the updates were on their way")]
    AccessChanged(Vec<DocumentId>),
    /// In these documents a client id turned out to be somebody else's.
    #[error("a client id is somebody else's")]
    ClientTaken(Vec<DocumentId>),
    /// These documents' logs end before what the updates may build on: the database went back in time.
    #[error("the log ends before what the updates build on")]
    Rewound(Vec<DocumentId>),
    /// In these documents another node wrote since what the goals look like was computed: it must be computed anew.
    #[error("another node wrote since the goals were projected")]
    Behind(Vec<DocumentId>),
    /// The database failed or refused.
    #[error(transparent)]
    Store(#[from] super::Error),
}

impl From<sqlx::Error> for NotAppended {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// The log of a document as of one moment; `None` if there is no such document.
    pub async fn log(&self, document: DocumentId, from: ReadFrom) -> Result<Option<Log>> {
        let mut transaction = self.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *transaction).await?;
        let Some(row) =
            sqlx::query!("SELECT head, snapshot_seq FROM document WHERE id = $1", document.0).fetch_optional(&mut *transaction).await?
        else {
            return Ok(None);
        };
        let snapshot = match from {
            ReadFrom::Beginning | ReadFrom::After(_) => None,
            ReadFrom::Snapshot => sqlx::query!(
                "SELECT seq, state, content_sha256 FROM document_snapshot WHERE document_id = $1 AND seq = $2",
                document.0,
                row.snapshot_seq
            )
            .fetch_optional(&mut *transaction)
            .await?
            .map(|row| Snapshot {
                seq: unsigned(row.seq),
                state: row.state.into(),
                content_sha256: row.content_sha256.try_into().unwrap_or_default(),
            }),
        };
        let after = match (from, &snapshot) {
            (ReadFrom::After(seq), _) => signed(seq),
            (_, Some(snapshot)) => signed(snapshot.seq),
            (_, None) => 0,
        };
        let updates =
            sqlx::query!("SELECT seq, payload FROM document_update WHERE document_id = $1 AND seq > $2 ORDER BY seq", document.0, after)
                .fetch_all(&mut *transaction)
                .await?
                .into_iter()
                .map(|row| Logged { seq: unsigned(row.seq), payload: row.payload.into() })
                .collect();
        let owners = sqlx::query!("SELECT client_id, person_id, retired FROM document_client WHERE document_id = $1", document.0)
            .fetch_all(&mut *transaction)
            .await?
            .into_iter()
            .map(|row| Owner { client: unsigned(row.client_id), person: row.person_id.map(PersonId), retired: row.retired })
            .collect();
        Ok(Some(Log { head: unsigned(row.head), snapshot, updates, owners }))
    }

    /// Waits until no transaction that this server may have left behind holds the document.
    pub async fn wait_for_append(&self, document: DocumentId) -> Result<()> {
        sqlx::query!("SELECT id FROM document WHERE id = $1 FOR SHARE", document.0).fetch_optional(self.pool()).await?;
        Ok(())
    }

    /// The access versions, and where the logs stand, as they are now. People and sessions that do not exist are left out.
    pub async fn versions(&self, documents: &[DocumentId], persons: &[PersonId], sessions: &[SessionId]) -> Result<CurrentVersions> {
        let documents: Vec<Uuid> = documents.iter().map(|id| id.0).collect();
        let persons: Vec<Uuid> = persons.iter().map(|id| id.0).collect();
        let sessions: Vec<Uuid> = sessions.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"SELECT 'd' AS "what!", id AS "id!", access_version AS "version!", head AS "head!" FROM document WHERE id = ANY($1)
               UNION ALL SELECT 'p', id, access_version, 0 FROM person WHERE id = ANY($2)
               UNION ALL SELECT 's', id, access_version, 0 FROM session WHERE id = ANY($3)"#,
            &documents,
            &persons,
            &sessions
        )
        .fetch_all(self.pool())
        .await?;
        let mut versions = CurrentVersions::default();
        for row in rows {
            match row.what.as_str() {
                "d" => {
                    versions.heads.insert(DocumentId(row.id), unsigned(row.head));
                    versions.documents.insert(DocumentId(row.id), row.version)
                }
                "p" => versions.persons.insert(PersonId(row.id), row.version),
                _ => versions.sessions.insert(SessionId(row.id), row.version),
            };
        }
        Ok(versions)
    }

    /// Every document, for commands that go through all of them.
    pub async fn all_documents(&self) -> Result<Vec<DocumentId>> {
        Ok(sqlx::query_scalar!("SELECT id FROM document ORDER BY id").fetch_all(self.pool()).await?.into_iter().map(DocumentId).collect())
    }

    /// Keeps a snapshot if it is newer than the one there is; older ones go.
    pub async fn keep_snapshot(&self, document: DocumentId, snapshot: &Snapshot, at: DateTime<Utc>) -> Result<()> {
        let mut transaction = self.begin().await?;
        let newer = sqlx::query!(
            "UPDATE document SET snapshot_seq = $2 WHERE id = $1 AND snapshot_seq < $2 AND head >= $2",
            document.0,
            signed(snapshot.seq)
        )
        .execute(&mut *transaction)
        .await?;
        if newer.rows_affected() == 1 {
            sqlx::query!(
                "INSERT INTO document_snapshot (document_id, seq, state, content_sha256, at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (document_id, seq) DO NOTHING",
                document.0,
                signed(snapshot.seq),
                &snapshot.state[..],
                &snapshot.content_sha256[..],
                at
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!("DELETE FROM document_snapshot WHERE document_id = $1 AND seq < $2", document.0, signed(snapshot.seq))
                .execute(&mut *transaction)
                .await?;
        }
        stop_points::reach(StopPoint::SnapshotWritten);
        transaction.commit().await?;
        stop_points::reach(StopPoint::SnapshotKept);
        Ok(())
    }
}

/// Where a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// At the newest snapshot.
    Snapshot,
    /// At the first update.
    Beginning,
    /// Behind this seq, for who has everything up to there.
    After(u64),
}

/// Access versions as they are now.
#[derive(Clone, Debug, Default)]
pub struct CurrentVersions {
    /// Of documents.
    pub documents: HashMap<DocumentId, i64>,
    /// Where the logs of documents stand.
    pub heads: HashMap<DocumentId, u64>,
    /// Of people.
    pub persons: HashMap<PersonId, i64>,
    /// Of sessions.
    pub sessions: HashMap<SessionId, i64>,
}

/// Appends many rooms' batches in one transaction and answers the seq of each batch's first update, in the order given. Either
/// all of it is on disk when this returns, or (on any error) the caller must take it that none of it is, or that it is unknown.
pub async fn append(store: &Store, batches: &[&Batch]) -> std::result::Result<Vec<u64>, NotAppended> {
    let mut transaction = store.begin().await?;
    let heads = raise_heads(&mut transaction, batches).await?;
    check_heads(batches, &heads)?;
    stop_points::reach(StopPoint::HeadsRaised);
    take_clients(&mut transaction, batches).await?;
    let first: Vec<u64> = batches.iter().map(|batch| heads[&batch.document].seq + 1 - batch.rows.len() as u64).collect();
    insert_rows(&mut transaction, batches, &first).await?;
    stop_points::reach(StopPoint::RowsWritten);
    for batch in batches {
        begin_drafting(&mut transaction, batch, &heads[&batch.document]).await?;
        if let (Some(projection), Some(last)) = (&batch.projection, batch.rows.last()) {
            super::goals::replace_projection(&mut transaction, batch.document, projection, Some(last.person), batch.at).await?;
        }
    }
    stop_points::reach(StopPoint::BeforeCommit);
    transaction.commit().await.map_err(super::Error::from)?;
    stop_points::reach(StopPoint::AfterCommit);
    Ok(first)
}

struct Head {
    seq: u64,
    status: String,
    access_version: i64,
}

/// Locks the documents in ascending order of id and raises their heads: the row lock gives the order of the log. Then holds the
/// rights still while the words are written: one taken away before this commits is seen here, one taken away after it waits for
/// this transaction. All of it in one question, because each costs as much as the work it asks for; that persons come after
/// documents, and sessions after persons, is said by each looking at the one before.
async fn raise_heads(transaction: &mut Transaction, batches: &[&Batch]) -> std::result::Result<HashMap<DocumentId, Head>, NotAppended> {
    let ids: Vec<Uuid> = batches.iter().map(|batch| batch.document.0).collect();
    let counts: Vec<i64> = batches.iter().map(|batch| signed(batch.rows.len() as u64)).collect();
    let persons: Vec<Uuid> = batches.iter().flat_map(|batch| batch.versions.persons.iter().map(|(id, _)| id.0)).collect();
    let sessions: Vec<Uuid> = batches.iter().flat_map(|batch| batch.versions.sessions.iter().map(|(id, _)| id.0)).collect();
    let rows = sqlx::query!(
        r#"WITH locked AS (SELECT id FROM document WHERE id = ANY($1) ORDER BY id FOR UPDATE),
           raised AS (
               UPDATE document SET head = document.head + added.count
               FROM locked JOIN unnest($1::uuid[], $2::bigint[]) AS added (id, count) USING (id)
               WHERE document.id = locked.id
               RETURNING document.id, document.access_version, document.head, document.status),
           persons AS (SELECT id, access_version FROM person
               WHERE id = ANY($3) AND (SELECT count(*) FROM raised) >= 0 ORDER BY id FOR SHARE),
           sessions AS (SELECT id, access_version FROM session
               WHERE id = ANY($4) AND (SELECT count(*) FROM persons) >= 0 ORDER BY id FOR SHARE)
           SELECT id AS "id!", access_version AS "version!", head AS "head?", status AS "status?" FROM raised
           UNION ALL SELECT id, access_version, NULL, NULL FROM persons
           UNION ALL SELECT id, access_version, NULL, NULL FROM sessions"#,
        &ids,
        &counts,
        &persons,
        &sessions
    )
    .fetch_all(&mut **transaction)
    .await?;
    let (mut heads, mut versions) = (HashMap::new(), HashMap::new());
    for row in rows {
        match (row.head, row.status) {
            (Some(head), Some(status)) => {
                heads.insert(DocumentId(row.id), Head { seq: unsigned(head), status, access_version: row.version });
            }
            // Ids of people and sessions are UUIDs: no two are the same.
            _ => {
                versions.insert(row.id, row.version);
            }
        }
    }
    let holds = |batch: &Batch| {
        heads.get(&batch.document).is_some_and(|head: &Head| head.access_version == batch.versions.document)
            && batch.versions.persons.iter().all(|(id, version)| versions.get(&id.0) == Some(version))
            && batch.versions.sessions.iter().all(|(id, version)| versions.get(&id.0) == Some(version))
    };
    let changed: Vec<DocumentId> = batches.iter().filter(|batch| !holds(batch)).map(|batch| batch.document).collect();
    if changed.is_empty() { Ok(heads) } else { Err(NotAppended::AccessChanged(changed)) }
}

/// What builds on words that are no longer there would never replay again; and what the goals look like is never said without
/// another node's words.
fn check_heads(batches: &[&Batch], heads: &HashMap<DocumentId, Head>) -> std::result::Result<(), NotAppended> {
    let rewound = |batch: &&&Batch| heads[&batch.document].seq < batch.head + batch.rows.len() as u64;
    let rewound: Vec<DocumentId> = batches.iter().filter(rewound).map(|batch| batch.document).collect();
    if !rewound.is_empty() {
        return Err(NotAppended::Rewound(rewound));
    }
    // Words merge wherever they stand in the log; a projection speaks of the whole document.
    let behind = |batch: &&&Batch| batch.projection.is_some() && heads[&batch.document].seq > batch.head + batch.rows.len() as u64;
    let behind: Vec<DocumentId> = batches.iter().filter(behind).map(|batch| batch.document).collect();
    if behind.is_empty() { Ok(()) } else { Err(NotAppended::Behind(behind)) }
}

/// The first to use a client id in a document owns it there; somebody else's is found out before anything is written.
async fn take_clients(transaction: &mut Transaction, batches: &[&Batch]) -> std::result::Result<(), NotAppended> {
    let wanted: Vec<(DocumentId, u64, PersonId)> =
        batches.iter().flat_map(|batch| batch.clients.iter().map(|(client, person)| (batch.document, *client, *person))).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let documents: Vec<Uuid> = wanted.iter().map(|(document, ..)| document.0).collect();
    let clients: Vec<i64> = wanted.iter().map(|(_, client, _)| signed(*client)).collect();
    let persons: Vec<Uuid> = wanted.iter().map(|(.., person)| person.0).collect();
    sqlx::query!(
        "INSERT INTO document_client (document_id, client_id, person_id)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) ON CONFLICT (document_id, client_id) DO NOTHING",
        &documents,
        &clients,
        &persons
    )
    .execute(&mut **transaction)
    .await?;
    let taken = sqlx::query_scalar!(
        r#"SELECT DISTINCT owned.document_id FROM document_client owned
           JOIN unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS wanted (document_id, client_id, person_id)
             ON owned.document_id = wanted.document_id AND owned.client_id = wanted.client_id
           WHERE owned.retired OR owned.person_id IS DISTINCT FROM wanted.person_id"#,
        &documents,
        &clients,
        &persons
    )
    .fetch_all(&mut **transaction)
    .await?;
    if taken.is_empty() { Ok(()) } else { Err(NotAppended::ClientTaken(taken.into_iter().map(DocumentId).collect())) }
}

async fn insert_rows(transaction: &mut Transaction, batches: &[&Batch], first: &[u64]) -> std::result::Result<(), NotAppended> {
    let count = batches.iter().map(|batch| batch.rows.len()).sum();
    let mut documents = Vec::with_capacity(count);
    let mut seqs = Vec::with_capacity(count);
    let mut persons = Vec::with_capacity(count);
    let mut sessions = Vec::with_capacity(count);
    let mut payloads: Vec<&[u8]> = Vec::with_capacity(count);
    let mut hashes: Vec<&[u8]> = Vec::with_capacity(count);
    let mut moments = Vec::with_capacity(count);
    for (batch, first) in batches.iter().zip(first) {
        for (row, seq) in batch.rows.iter().zip(*first..) {
            documents.push(batch.document.0);
            seqs.push(signed(seq));
            persons.push(row.person.0);
            sessions.push(row.session.0);
            payloads.push(&row.payload);
            hashes.push(&row.hash);
            moments.push(batch.at);
        }
    }
    sqlx::query!(
        "INSERT INTO document_update (document_id, seq, person_id, session_id, payload, hash, at)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::bytea[], $6::bytea[], $7::timestamptz[])",
        &documents,
        &seqs,
        &persons,
        &sessions,
        &payloads as &[&[u8]],
        &hashes as &[&[u8]],
        &moments
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// The first words make an agreement that was not begun a draft, on record.
async fn begin_drafting(transaction: &mut Transaction, batch: &Batch, head: &Head) -> std::result::Result<(), NotAppended> {
    let (true, Some(row)) = (head.status == "not_started", batch.rows.first()) else { return Ok(()) };
    sqlx::query!("UPDATE document SET status = 'drafting' WHERE id = $1 AND status = 'not_started'", batch.document.0)
        .execute(&mut **transaction)
        .await?;
    let agreement = sqlx::query_scalar!("SELECT id FROM agreement WHERE current_document_id = $1", batch.document.0)
        .fetch_optional(&mut **transaction)
        .await?;
    if let Some(agreement) = agreement {
        let body = serde_json::json!({ "from": "not_started", "to": "drafting" });
        super::audit::append(transaction, agreement, "status_changed", Some(row.person), body, batch.at).await?;
    }
    Ok(())
}

/// Seqs and client ids are below 2^53; PostgreSQL has no unsigned integers.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
