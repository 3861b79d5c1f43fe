//! The governance chain above the agreements, and the municipality's own rules for its process.

use chrono::NaiveDate;
use samspil_client_protocol::api::ChainGoalKind;
use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Error, Result, Store, agreements::chain_goal_kind, agreements::number};
use crate::domain::{
    agreement::{Demand, Demands},
    document::{DocumentKind, Status},
    governance::{Calendar, Rules},
    ids::DocumentId,
};

/// A goal of the chain as a row.
#[derive(Clone, Debug)]
pub struct ChainGoalRow {
    /// What a link's target holds.
    pub id: Uuid,
    /// What people call it.
    pub code: String,
    /// Title.
    pub title: String,
    /// What it is.
    pub kind: ChainGoalKind,
    /// Description.
    pub description: Option<String>,
    /// The document it stands in.
    pub document: DocumentId,
    /// That document's title.
    pub document_title: String,
    /// That document's kind.
    pub document_kind: DocumentKind,
    /// That document's status.
    pub document_status: Status,
    /// The goals above it.
    pub parents: Vec<Uuid>,
}

/// A document that was adopted lately.
#[derive(Clone, Debug)]
pub struct AdoptedRow {
    /// The document.
    pub document: DocumentId,
    /// Title.
    pub title: String,
    /// When.
    pub adopted_on: NaiveDate,
    /// How many goals of the given agreements' documents point at it.
    pub goals: u32,
}

/// A document of the chain with its days.
#[derive(Clone, Debug)]
pub struct DatedRow {
    /// The document.
    pub document: DocumentId,
    /// Title.
    pub title: String,
    /// Its kind.
    pub kind: DocumentKind,
    /// The version people speak of.
    pub version: u32,
    /// Where it is in its life.
    pub status: Status,
    /// When it was adopted.
    pub adopted_on: Option<NaiveDate>,
    /// When it is expected to be.
    pub planned_adoption_on: Option<NaiveDate>,
    /// First day.
    pub valid_from: NaiveDate,
    /// Last day.
    pub valid_to: Option<NaiveDate>,
}

/// The reading of the time plan that the municipality goes by, with the council term it is laid over.
#[derive(Clone, Debug)]
pub struct TimePlanRow {
    /// The term's name.
    pub term: String,
    /// Its first day.
    pub term_from: NaiveDate,
    /// Its last day.
    pub term_to: NaiveDate,
    /// The reading's title.
    pub title: String,
    /// What is certain about it.
    pub certainty: String,
    /// (document kind, label, level, sixteen codes), in order.
    pub rows: Vec<(String, String, String, Vec<String>)>,
}

/// The settings as they stand in the database; only what is read here.
#[derive(Debug, Deserialize)]
struct Settings {
    require_dialogue_before_signing: String,
    require_political_goal: String,
    require_executive_goal: String,
    draft_deadline: Option<NaiveDate>,
    sign_deadline: Option<NaiveDate>,
    midyear_followup_due: Option<NaiveDate>,
    annual_followup_due: Option<NaiveDate>,
}

impl Store {
    /// The municipality's name; `None` before anything was imported.
    pub async fn municipality_name(&self) -> Result<Option<String>> {
        Ok(sqlx::query_scalar!(r#"SELECT name AS "name: String" FROM municipality"#).fetch_optional(self.pool()).await?)
    }

    /// The municipality's rules for its process; without a municipality, the strictest without days.
    pub async fn rules(&self) -> Result<Rules> {
        let row =
            sqlx::query_scalar!(r#"SELECT settings AS "settings: Json<Settings>" FROM municipality"#).fetch_optional(self.pool()).await?;
        let Some(Json(settings)) = row else { return Ok(Rules::strictest()) };
        let demand = |id: String| Demand::from_id(&id).ok_or(Error::Unknown { table: "municipality", what: "demand", value: id });
        Ok(Rules {
            demands: Demands {
                dialogue: demand(settings.require_dialogue_before_signing)?,
                political_goal: demand(settings.require_political_goal)?,
                executive_goal: demand(settings.require_executive_goal)?,
            },
            calendar: Calendar {
                draft: settings.draft_deadline,
                sign: settings.sign_deadline,
                midyear: settings.midyear_followup_due,
                annual: settings.annual_followup_due,
            },
        })
    }

    /// Every goal of the chain, once, by level, document and order. Of a goal that stands in several versions, the adopted one is
    /// shown; one that only an earlier version had is shown from there, because links may still be pinned to it.
    pub async fn chain_goals(&self) -> Result<Vec<ChainGoalRow>> {
        let rows = sqlx::query!(
            r#"WITH newest AS (
                   SELECT DISTINCT ON (g.id) g.id, g.document_id FROM goal g JOIN document d ON d.id = g.document_id
                   ORDER BY g.id, array_position(ARRAY['adopted', 'in_preparation', 'superseded'], d.status), d.version DESC, d.id
               )
               SELECT g.id AS "id!", COALESCE(g.code, '') AS "code!", g.title AS "title!: String", g.kind AS "kind!", g.description,
                      d.id AS "document_id!", d.title AS "document_title!: String", d.kind AS "document_kind!", d.status AS "document_status!",
                      ARRAY(SELECT p.parent_id FROM goal_parent p
                            WHERE p.document_id = g.document_id AND p.goal_id = g.id AND p.relation = 'contributes_to' ORDER BY p.parent_id)
                          AS "parents!: Vec<Uuid>"
               FROM newest JOIN goal g ON g.id = newest.id AND g.document_id = newest.document_id
               JOIN document d ON d.id = g.document_id JOIN governance_document gd ON gd.document_id = d.id
               ORDER BY array_position(ARRAY['vision', 'policy', 'strategy', 'budget', 'executive_strategy', 'guideline'], d.kind),
                        gd.valid_from DESC, d.title, d.id, g.kind = 'initiative', g.rank, g.id"#
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let document_kind = DocumentKind::from_id(&row.document_kind).ok_or_else(|| unknown("kind", &row.document_kind))?;
                Ok(ChainGoalRow {
                    id: row.id,
                    code: row.code,
                    title: row.title,
                    kind: chain_goal_kind(row.kind)?,
                    description: row.description,
                    document: DocumentId(row.document_id),
                    document_title: row.document_title,
                    document_kind,
                    document_status: Status::from_id(document_kind, &row.document_status)
                        .ok_or_else(|| unknown("status", &row.document_status))?,
                    parents: row.parents,
                })
            })
            .collect()
    }

    /// The chain's documents with their days, by level, beginning and title.
    pub async fn dated_documents(&self) -> Result<Vec<DatedRow>> {
        let rows = sqlx::query!(
            r#"SELECT d.id, d.title AS "title: String", d.kind, d.version, d.status, gd.adopted_on, gd.planned_adoption_on, gd.valid_from,
                      gd.valid_to
               FROM governance_document gd JOIN document d ON d.id = gd.document_id
               ORDER BY array_position(ARRAY['vision', 'policy', 'strategy', 'budget', 'executive_strategy', 'guideline'], d.kind),
                        gd.valid_from, d.title, d.version, d.id"#
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let kind = DocumentKind::from_id(&row.kind).ok_or_else(|| unknown("kind", &row.kind))?;
                Ok(DatedRow {
                    document: DocumentId(row.id),
                    title: row.title,
                    kind,
                    version: number("document", "version", row.version.into())?,
                    status: Status::from_id(kind, &row.status).ok_or_else(|| unknown("status", &row.status))?,
                    adopted_on: row.adopted_on,
                    planned_adoption_on: row.planned_adoption_on,
                    valid_from: row.valid_from,
                    valid_to: row.valid_to,
                })
            })
            .collect()
    }

    /// The time plan that the municipality goes by; `None` before one was imported.
    pub async fn time_plan(&self) -> Result<Option<TimePlanRow>> {
        let Some(head) = sqlx::query!(
            "SELECT p.id, p.title, p.certainty, t.label, t.starts_on, t.ends_on FROM time_plan p CROSS JOIN council_term t
             WHERE p.active AND t.current LIMIT 1"
        )
        .fetch_optional(self.pool())
        .await?
        else {
            return Ok(None);
        };
        let rows = sqlx::query!("SELECT document_type, label, level, cells FROM time_plan_row WHERE plan_id = $1 ORDER BY rank", head.id)
            .fetch_all(self.pool())
            .await?;
        Ok(Some(TimePlanRow {
            term: head.label,
            term_from: head.starts_on,
            term_to: head.ends_on,
            title: head.title,
            certainty: head.certainty,
            rows: rows.into_iter().map(|row| (row.document_type, row.label, row.level, row.cells)).collect(),
        }))
    }

    /// What was adopted from this day to that one, newest first, and how many goals of these documents point at each.
    pub async fn adopted_between(&self, from: NaiveDate, to: NaiveDate, documents: &[DocumentId]) -> Result<Vec<AdoptedRow>> {
        let ids: Vec<Uuid> = documents.iter().map(|document| document.0).collect();
        let rows = sqlx::query!(
            r#"SELECT d.id AS "id!", d.title AS "title!: String", gd.adopted_on AS "adopted_on!",
                      (SELECT count(DISTINCT (l.document_id, l.goal_id)) FROM agreement_goal_link l
                       WHERE l.target_document_id = d.id AND l.document_id = ANY($3)) AS "goals!"
               FROM governance_document gd JOIN document d ON d.id = gd.document_id
               WHERE d.status = 'adopted' AND gd.adopted_on BETWEEN $1 AND $2
               ORDER BY gd.adopted_on DESC, 4 DESC, d.title, d.id"#,
            from,
            to,
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(AdoptedRow {
                    document: DocumentId(row.id),
                    title: row.title,
                    adopted_on: row.adopted_on,
                    goals: number("agreement_goal_link", "count", row.goals)?,
                })
            })
            .collect()
    }
}

fn unknown(what: &'static str, value: &str) -> Error {
    Error::Unknown { table: "document", what, value: value.to_owned() }
}
