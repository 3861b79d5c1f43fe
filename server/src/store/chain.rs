//! The governance chain asked in SQL: what holds on a day, which agreements' goals support a goal above them, and who has yet to sign.

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Error, Result, Store, agreements::chain_goal_kind, agreements::number};
use crate::domain::{
    agreement::ChainGoalKind,
    document::DocumentKind,
    ids::{AgreementId, DocumentId, PersonId},
};

/// A governance document in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainDocument {
    /// The document.
    pub id: DocumentId,
    /// Its kind.
    pub kind: DocumentKind,
    /// Its title.
    pub title: String,
    /// First day.
    pub valid_from: NaiveDate,
    /// Last day; `None` until replaced.
    pub valid_to: Option<NaiveDate>,
}

/// How a goal of the chain is carried by agreements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support {
    /// The goal.
    pub goal: Uuid,
    /// What it is.
    pub kind: ChainGoalKind,
    /// Goals of agreements that point at it itself.
    pub direct: u32,
    /// Goals of agreements that point at it or at anything below it.
    pub all: u32,
}

impl Store {
    /// Adopted documents that hold on this day, by the order of the chain.
    pub async fn documents_in_force(&self, day: NaiveDate) -> Result<Vec<ChainDocument>> {
        let rows = sqlx::query!(
            r#"SELECT d.id, d.kind, d.title AS "title: String", g.valid_from, g.valid_to
               FROM document d JOIN governance_document g ON g.document_id = d.id
               WHERE d.status = 'adopted' AND g.valid_from <= $1 AND (g.valid_to IS NULL OR $1 <= g.valid_to)
               ORDER BY array_position(ARRAY['vision', 'policy', 'strategy', 'budget', 'executive_strategy', 'guideline'], d.kind), d.title, d.id"#,
            day
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(|row| chain_document(row.id, row.kind, row.title, row.valid_from, row.valid_to)).collect()
    }

    /// Adopted documents that hold only after this day, by the order of the chain.
    pub async fn documents_to_come(&self, day: NaiveDate) -> Result<Vec<ChainDocument>> {
        let rows = sqlx::query!(
            r#"SELECT d.id, d.kind, d.title AS "title: String", g.valid_from, g.valid_to
               FROM document d JOIN governance_document g ON g.document_id = d.id
               WHERE d.status = 'adopted' AND g.valid_from > $1
               ORDER BY array_position(ARRAY['vision', 'policy', 'strategy', 'budget', 'executive_strategy', 'guideline'], d.kind), d.title, d.id"#,
            day
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(|row| chain_document(row.id, row.kind, row.title, row.valid_from, row.valid_to)).collect()
    }

    /// Each goal of the documents whose validity covers this day, adopted or not, with the goals of agreements of a period with this day
    /// that support it. The way up is *contributes to*; what an initiative implements beside it does not count.
    pub async fn support(&self, day: NaiveDate) -> Result<Vec<Support>> {
        let rows = sqlx::query!(
            r#"WITH RECURSIVE chain AS (
                   SELECT g.document_id, g.id, g.kind, d.kind AS document_kind, g.rank
                   FROM goal g JOIN document d ON d.id = g.document_id JOIN governance_document v ON v.document_id = d.id
                   WHERE d.status <> 'superseded' AND v.valid_from <= $1 AND (v.valid_to IS NULL OR $1 <= v.valid_to)
               ), up (goal, above) AS (
                   SELECT id, id FROM chain
                   UNION
                   SELECT up.goal, p.parent_id
                   FROM up JOIN goal_parent p ON p.goal_id = up.above AND p.relation = 'contributes_to'
               ), pointing AS (
                   SELECT l.document_id, l.goal_id, l.target_goal_id
                   FROM agreement_goal_link l JOIN agreement a ON a.current_document_id = l.document_id
                   WHERE a.period_from <= $1 AND $1 <= a.period_to AND l.relation <> 'constrained_by'
               )
               SELECT c.id AS "id!", c.kind AS "kind!",
                      (SELECT count(DISTINCT (p.document_id, p.goal_id)) FROM pointing p WHERE p.target_goal_id = c.id) AS "direct!",
                      (SELECT count(DISTINCT (p.document_id, p.goal_id)) FROM up JOIN pointing p ON p.target_goal_id = up.goal
                       WHERE up.above = c.id) AS "all!"
               FROM chain c
               ORDER BY array_position(ARRAY['vision', 'policy', 'strategy', 'budget', 'executive_strategy', 'guideline'], c.document_kind),
                        c.document_id, c.rank, c.id"#,
            day
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let count = |what, value| number("agreement_goal_link", what, value);
                Ok(Support {
                    goal: row.id,
                    kind: chain_goal_kind(row.kind)?,
                    direct: count("direct", row.direct)?,
                    all: count("all", row.all)?,
                })
            })
            .collect()
    }

    /// Who has yet to sign which agreement: the parties of frozen ones without a signature that stands.
    pub async fn signatures_awaited(&self) -> Result<Vec<(PersonId, AgreementId)>> {
        let rows = sqlx::query!(
            r#"SELECT party.person_id AS "person_id!", a.id
               FROM agreement a JOIN document d ON d.id = a.current_document_id
               CROSS JOIN LATERAL (VALUES ('unit_leader', a.unit_leader_id), ('counterpart', a.counterpart_id)) AS party (party, person_id)
               WHERE d.status IN ('ready_to_sign', 'partly_signed')
                 AND NOT EXISTS (SELECT FROM signature s WHERE s.document_id = d.id AND s.party = party.party AND s.valid)
               ORDER BY a.period_from, a.id, party.party DESC"#
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| (PersonId(row.person_id), AgreementId(row.id))).collect())
    }
}

fn chain_document(id: Uuid, kind: String, title: String, valid_from: NaiveDate, valid_to: Option<NaiveDate>) -> Result<ChainDocument> {
    let Some(kind) = DocumentKind::from_id(&kind) else {
        return Err(Error::Unknown { table: "document", what: "kind", value: kind });
    };
    Ok(ChainDocument { id: DocumentId(id), kind, title, valid_from, valid_to })
}
