//! The log of a document: every update in the order in which it was committed, the snapshots that shorten its replay, and who
//! owns which Yjs client id. [`Appender::append`] is the one place where words become lasting (reliability-security §2).

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgDatabaseError};
use uuid::Uuid;

use super::{
    Result, Store, Transaction,
    anchors::{self, AnchorRow},
};
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
    /// Where the words of threads stand at the head.
    pub anchors: Vec<AnchorRow>,
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

/// A document's log from its first update on, as it stood at one moment, with all that a signature is about.
#[derive(Debug)]
pub struct WholeLog {
    /// Seq of the newest update.
    pub head: u64,
    /// Every update, in order.
    pub rows: Vec<WholeRow>,
}

/// An update with who wrote it.
#[derive(Clone, Debug)]
pub struct WholeRow {
    /// Its place.
    pub seq: u64,
    /// Who wrote it; `None`: the server.
    pub person: Option<PersonId>,
    /// SHA-256 of it, as it was logged.
    pub hash: [u8; 32],
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
    /// Where the words of threads stand now, when an update moved them.
    pub anchors: Vec<AnchorRow>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Batch {
    /// Nothing has to be written with its words.
    #[must_use]
    pub fn is_words_alone(&self) -> bool {
        self.projection.is_none() && self.anchors.is_empty()
    }

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
        let anchors = anchors::of_document(&mut transaction, document).await?;
        Ok(Some(Log { head: unsigned(row.head), snapshot, updates, owners, anchors }))
    }

    /// The whole log of a document as of one moment; `None` if there is no such document.
    pub async fn whole_log(&self, document: DocumentId) -> Result<Option<WholeLog>> {
        let mut transaction = self.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *transaction).await?;
        let Some(head) =
            sqlx::query_scalar!("SELECT head FROM document WHERE id = $1", document.0).fetch_optional(&mut *transaction).await?
        else {
            return Ok(None);
        };
        let rows =
            sqlx::query!("SELECT seq, person_id, hash, payload FROM document_update WHERE document_id = $1 ORDER BY seq", document.0)
                .fetch_all(&mut *transaction)
                .await?
                .into_iter()
                .map(|row| WholeRow {
                    seq: unsigned(row.seq),
                    person: row.person_id.map(PersonId),
                    hash: row.hash.try_into().unwrap_or_default(),
                    payload: row.payload.into(),
                })
                .collect();
        Ok(Some(WholeLog { head: unsigned(head), rows }))
    }

    /// Somebody who appends. Connects when there is something to append.
    #[must_use]
    pub fn appender(&self) -> Appender {
        Appender { store: self.clone(), connection: None }
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

/// Appends to logs. Words alone go over a connection of its own, for which no other question waits.
#[derive(Debug)]
pub struct Appender {
    store: Store,
    connection: Option<PgConnection>,
}

impl Appender {
    /// Appends many rooms' batches, ascending by document, and answers the seq of each batch's first update, in the order given.
    /// Either all of it is on disk when this returns, or (on any error) the caller must take it that none of it is, or that it is
    /// unknown. Given up halfway, it is unknown.
    pub async fn append(&mut self, batches: &[&Batch]) -> std::result::Result<Vec<u64>, NotAppended> {
        let appended = if batches.iter().all(|batch| batch.is_words_alone()) {
            self.append_words(batches).await?
        } else {
            append_with(&self.store, batches, FirstWords::Elsewhere).await?
        };
        let firsts = match appended {
            Some(firsts) => firsts,
            None => append_with(&self.store, batches, FirstWords::Here).await?.unwrap_or_default(),
        };
        stop_points::reach(StopPoint::AfterCommit);
        Ok(firsts)
    }

    /// One statement that commits itself, so one round trip.
    async fn append_words(&mut self, batches: &[&Batch]) -> std::result::Result<Option<Vec<u64>>, NotAppended> {
        // Taken out while in use: after a line that broke or a question that was given up, the next append begins with a new one.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.store.pool().connect_options().connect().await?,
        };
        stop_points::reach(StopPoint::BeforeCommit);
        let appended = asked(pin!(append_updates(&mut connection, batches, FirstWords::Elsewhere))).await;
        if !matches!(&appended, Err(NotAppended::Store(error)) if !error.is_refusal()) {
            self.connection = Some(connection);
        }
        appended
    }
}

/// Waits for the answer. The first look at the question puts it on the line: a server may die between that and the answer.
async fn asked<T>(mut question: Pin<&mut impl Future<Output = T>>) -> T {
    let first = poll_fn(|context| Poll::Ready(question.as_mut().poll(context))).await;
    stop_points::reach(StopPoint::Committing);
    match first {
        Poll::Ready(answer) => answer,
        Poll::Pending => question.await,
    }
}

/// The first words of an agreement that was not begun: are they written here, with its status and its event?
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstWords {
    Here,
    /// Then nothing is written if there are any, and the answer is `None`.
    Elsewhere,
}

/// Appends in one transaction with all that must be written with the words.
async fn append_with(store: &Store, batches: &[&Batch], first_words: FirstWords) -> std::result::Result<Option<Vec<u64>>, NotAppended> {
    let mut transaction = store.begin().await?;
    let Some(firsts) = append_updates(&mut transaction, batches, first_words).await? else { return Ok(None) };
    // Words merge wherever they stand in the log; a projection, and where words of threads stand, speak of the whole document.
    let behind = |(batch, first): &(&&Batch, &u64)| !batch.is_words_alone() && **first > batch.head + 1;
    let behind: Vec<DocumentId> = batches.iter().zip(&firsts).filter(behind).map(|(batch, _)| batch.document).collect();
    if !behind.is_empty() {
        return Err(NotAppended::Behind(behind));
    }
    if first_words == FirstWords::Here {
        begin_drafting(&mut transaction, batches).await?;
    }
    for (batch, first) in batches.iter().zip(&firsts) {
        if let (Some(projection), Some(last)) = (&batch.projection, batch.rows.last()) {
            super::goals::replace_projection(&mut transaction, batch.document, projection, Some(last.person), batch.at).await?;
        }
        anchors::write(&mut transaction, &batch.anchors, first + batch.rows.len() as u64 - 1).await?;
    }
    stop_points::reach(StopPoint::BeforeCommit);
    transaction.commit().await.map_err(super::Error::from)?;
    Ok(Some(firsts))
}

/// Calls the function that holds the promise (`migrations/…_append.sql`).
async fn append_updates(
    connection: &mut PgConnection,
    batches: &[&Batch],
    first_words: FirstWords,
) -> std::result::Result<Option<Vec<u64>>, NotAppended> {
    let (mut documents, mut versions, mut heads, mut counts, mut moments) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut persons, mut person_versions, mut persons_in) = (vec![], vec![], vec![]);
    let (mut sessions, mut session_versions, mut sessions_in) = (vec![], vec![], vec![]);
    let (mut clients, mut owners, mut clients_in) = (vec![], vec![], vec![]);
    let (mut updates_in, mut places, mut writers, mut writing_sessions) = (vec![], vec![], vec![], vec![]);
    let (mut payloads, mut hashes) = (Vec::<&[u8]>::new(), Vec::<&[u8]>::new());
    for (batch, number) in batches.iter().zip(1..) {
        documents.push(batch.document.0);
        versions.push(batch.versions.document);
        heads.push(signed(batch.head));
        counts.push(signed(batch.rows.len() as u64));
        moments.push(batch.at);
        for (person, version) in &batch.versions.persons {
            persons.push(person.0);
            person_versions.push(*version);
            persons_in.push(number);
        }
        for (session, version) in &batch.versions.sessions {
            sessions.push(session.0);
            session_versions.push(*version);
            sessions_in.push(number);
        }
        for (client, person) in &batch.clients {
            clients.push(signed(*client));
            owners.push(person.0);
            clients_in.push(number);
        }
        for (row, place) in batch.rows.iter().zip(1..) {
            updates_in.push(number);
            places.push(place);
            writers.push(row.person.0);
            writing_sessions.push(row.session.0);
            payloads.push(&row.payload);
            hashes.push(&row.hash);
        }
    }
    let appended = sqlx::query_scalar!(
        r#"SELECT append_updates($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) AS "before!""#,
        &documents,
        &versions,
        &heads,
        &counts,
        &moments,
        first_words == FirstWords::Here,
        &persons,
        &person_versions,
        &persons_in,
        &sessions,
        &session_versions,
        &sessions_in,
        &clients,
        &owners,
        &clients_in,
        &updates_in,
        &places,
        &writers,
        &writing_sessions,
        &payloads as &[&[u8]],
        &hashes as &[&[u8]]
    )
    .fetch_one(connection)
    .await;
    match appended {
        Ok(before) => Ok(Some(before.into_iter().map(|before| unsigned(before) + 1).collect())),
        Err(error) => refused(error),
    }
}

/// What the function says when it writes nothing.
fn refused(error: sqlx::Error) -> std::result::Result<Option<Vec<u64>>, NotAppended> {
    let Some(said) = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) else {
        return Err(error.into());
    };
    let documents: Vec<DocumentId> =
        said.detail().unwrap_or_default().split(' ').filter_map(|id| id.parse().ok()).map(DocumentId).collect();
    match said.code() {
        // Who names nobody is not understood: tried again without nobody, it would say so for ever.
        _ if documents.is_empty() => Err(error.into()),
        "SP001" => Err(NotAppended::AccessChanged(documents)),
        "SP002" => Err(NotAppended::Rewound(documents)),
        "SP003" => Err(NotAppended::ClientTaken(documents)),
        "SP004" => Ok(None),
        _ => Err(error.into()),
    }
}

/// The first words make an agreement that was not begun a draft, on record.
async fn begin_drafting(transaction: &mut Transaction, batches: &[&Batch]) -> std::result::Result<(), NotAppended> {
    for batch in batches {
        let Some(row) = batch.rows.first() else { continue };
        let begun = sqlx::query!("UPDATE document SET status = 'drafting' WHERE id = $1 AND status = 'not_started'", batch.document.0)
            .execute(&mut **transaction)
            .await?;
        if begun.rows_affected() == 0 {
            continue;
        }
        let agreement = sqlx::query_scalar!("SELECT id FROM agreement WHERE current_document_id = $1", batch.document.0)
            .fetch_optional(&mut **transaction)
            .await?;
        if let Some(agreement) = agreement {
            let body = serde_json::json!({ "from": "not_started", "to": "drafting" });
            super::audit::append(transaction, agreement, "status_changed", Some(row.person), body, batch.at).await?;
        }
    }
    Ok(())
}

/// Seqs and client ids are below 2^53; PostgreSQL has no unsigned integers.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
