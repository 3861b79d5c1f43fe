//! Agreements as they stand in lists and on their page. What people write lives in the text; here are its projections and what
//! the server decides: parties, status, signatures, life. Every list is sorted in SQL by the Danish collation.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use samspil_client_protocol::api::{ChainGoalKind, GoalOrigin, SectionKind};
use uuid::Uuid;

use super::{Error, Result, Store};
use crate::domain::{
    access::{AgreementAccess, DocumentAccess},
    agreement::{AgreementStatus, GoalFact, LinkFact, Party, SignatureFact, short_title},
    document::{DocumentKind, Status},
    ids::{AgreementId, DocumentId, OrgId, PersonId},
};

/// Which agreements.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Only this one.
    pub agreement: Option<AgreementId>,
    /// Only in this version. Otherwise in the one that is written in, and in the one in force where that is another.
    pub version: Option<u32>,
    /// Only those whose period begins in this year.
    pub year: Option<i32>,
    /// Only those after this place in the list: (unit's name, id).
    pub after: Option<(String, AgreementId)>,
}

/// An agreement as far as access and order need it.
#[derive(Clone, Debug)]
pub struct AgreementHead {
    /// The agreement.
    pub id: AgreementId,
    /// The document of this version; `None`: its text is not held here.
    pub document: Option<DocumentId>,
    /// What decides who may do what with it. Without a text the document in it is the nil id.
    pub access: DocumentAccess,
    /// Where it is in its life.
    pub status: AgreementStatus,
    /// The unit's name.
    pub unit_name: String,
    /// First day.
    pub period_from: NaiveDate,
}

/// An agreement as it stands in a list.
#[derive(Clone, Debug)]
pub struct AgreementRow {
    /// The agreement.
    pub id: AgreementId,
    /// *Aftale 2027*.
    pub title: String,
    /// The unit.
    pub unit: UnitRow,
    /// First day.
    pub period_from: NaiveDate,
    /// Last day.
    pub period_to: NaiveDate,
    /// The version people speak of, from 1.
    pub version: u32,
    /// One party.
    pub unit_leader: PersonId,
    /// The other.
    pub counterpart: PersonId,
    /// How many goals.
    pub goals: u32,
    /// How many open threads.
    pub open_threads: u32,
    /// Who last wrote in it, and when.
    pub last_edit: Option<(PersonId, DateTime<Utc>)>,
    /// Whole kroner.
    pub budget_frame_dkk: Option<i64>,
    /// The agreement before it.
    pub predecessor: Option<AgreementId>,
    /// The template of its current version.
    pub template: Option<Uuid>,
    /// Where only the day of signing is known.
    pub signed_on: Option<NaiveDate>,
}

/// A unit as shown.
#[derive(Clone, Debug)]
pub struct UnitRow {
    /// Id.
    pub id: OrgId,
    /// Name.
    pub name: String,
    /// What sort of unit.
    pub unit_type: Option<String>,
    /// Name of the node above.
    pub parent_name: Option<String>,
}

/// A template's section.
#[derive(Clone, Debug)]
pub struct SectionRow {
    /// Key.
    pub key: String,
    /// Title.
    pub title: String,
    /// What it holds.
    pub kind: SectionKind,
    /// Which goals belong in it.
    pub goal_origin: Option<GoalOrigin>,
    /// Must it be filled?
    pub required: bool,
    /// Advice.
    pub guidance: Option<String>,
}

/// A template as a whole.
#[derive(Clone, Debug)]
pub struct TemplateRow {
    /// At most so many goals; `None`: no cap.
    pub max_goals: Option<u32>,
    /// Advice.
    pub guidance: Option<String>,
    /// Its sections, in order.
    pub sections: Vec<SectionRow>,
}

/// A step in an agreement's life.
#[derive(Clone, Debug)]
pub struct LifeRow {
    /// The status it led to.
    pub status: AgreementStatus,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub person: Option<PersonId>,
    /// Why.
    pub reason: Option<String>,
}

/// A signature.
#[derive(Clone, Debug)]
pub struct SignatureRow {
    /// On which document.
    pub document: DocumentId,
    /// Whose.
    pub person: PersonId,
    /// What decisions need of it.
    pub fact: SignatureFact,
    /// Which revision.
    pub revision: u32,
    /// Why it lapsed.
    pub lapsed_reason: Option<String>,
    /// When it lapsed.
    pub lapsed_at: Option<DateTime<Utc>>,
}

/// A goal with what became of it.
#[derive(Clone, Debug)]
pub struct FollowedGoal {
    /// Its number.
    pub code: String,
    /// Its title.
    pub title: String,
    /// Follow-ups, oldest first.
    pub followups: Vec<FollowupRow>,
}

/// One follow-up.
#[derive(Clone, Debug)]
pub struct FollowupRow {
    /// `midyear` or `annual`.
    pub kind: String,
    /// When.
    pub on: NaiveDate,
    /// Status id.
    pub status: String,
    /// In words.
    pub note: Option<String>,
}

/// A measured value.
#[derive(Clone, Debug)]
pub struct MeasurementRow {
    /// The indicator in the text.
    pub indicator: Uuid,
    /// When.
    pub on: NaiveDate,
    /// A decimal as text.
    pub value: String,
}

impl Store {
    /// These agreements, as far as access and order need them, by unit (Danish collation), id and version, newest first: who may not read the
    /// newest yet may read the one in force.
    pub async fn agreement_heads(&self, which: &Which) -> Result<Vec<AgreementHead>> {
        let (after_name, after_id) = match &which.after {
            Some((name, id)) => (Some(name.as_str()), Some(id.0)),
            None => (None, None),
        };
        let rows = sqlx::query!(
            r#"SELECT a.id AS "id!", d.id AS "document_id?", COALESCE(d.status, a.status_without_text) AS "status!",
                      unit.name AS "unit_name!: String", a.period_from AS "period_from!", a.unit_id AS "unit_id!",
                      a.unit_leader_id AS "unit_leader_id!", a.counterpart_id AS "counterpart_id!",
                      ARRAY(WITH RECURSIVE above AS (
                                SELECT parent_id, 1 AS distance FROM org_node WHERE id = a.unit_id
                                UNION ALL
                                SELECT node.parent_id, above.distance + 1
                                FROM org_node node JOIN above ON node.id = above.parent_id
                            ) CYCLE parent_id SET looped USING path
                            SELECT parent_id FROM above WHERE parent_id IS NOT NULL AND NOT looped ORDER BY distance) AS "above!: Vec<Uuid>"
               FROM agreement a JOIN org_node unit ON unit.id = a.unit_id
               LEFT JOIN LATERAL (
                   SELECT d.id, d.status, d.version FROM agreement_version v JOIN document d ON d.id = v.document_id
                   WHERE v.agreement_id = a.id
                     AND CASE WHEN $5::int IS NULL THEN d.id = a.current_document_id OR d.status = 'signed' ELSE d.version = $5 END
               ) d ON true
               WHERE ($5::int IS NULL OR d.id IS NOT NULL)
                 AND ($1::uuid IS NULL OR a.id = $1)
                 AND ($2::int IS NULL OR EXTRACT(YEAR FROM a.period_from) = $2)
                 AND ($3::text IS NULL OR (unit.name, a.id) > ($3::text COLLATE danish, $4::uuid))
               ORDER BY unit.name, a.id, d.version DESC"#,
            which.agreement.map(|agreement| agreement.0),
            which.year,
            after_name,
            after_id,
            which.version.map(|version| i32::try_from(version).unwrap_or(i32::MAX))
        )
        .fetch_all(self.pool())
        .await?;
        let documents: Vec<Uuid> = rows.iter().filter_map(|row| row.document_id).collect();
        let mut grants = self.grants(&documents).await?;
        rows.into_iter()
            .map(|row| {
                let status = agreement_status("status", row.status)?;
                Ok(AgreementHead {
                    id: AgreementId(row.id),
                    document: row.document_id.map(DocumentId),
                    access: DocumentAccess {
                        document: DocumentId(row.document_id.unwrap_or_default()),
                        kind: DocumentKind::Agreement,
                        status: Status::Agreement(status),
                        agreement: Some(AgreementAccess {
                            unit: OrgId(row.unit_id),
                            above: row.above.into_iter().map(OrgId).collect(),
                            unit_leader: PersonId(row.unit_leader_id),
                            counterpart: PersonId(row.counterpart_id),
                        }),
                        grants: row.document_id.and_then(|document| grants.remove(&document)).unwrap_or_default(),
                    },
                    status,
                    unit_name: row.unit_name,
                    period_from: row.period_from,
                })
            })
            .collect()
    }

    /// These agreements as they stand in a list, in no particular order: each in this version of it, or in its current one.
    pub async fn agreements(&self, agreements: &[(AgreementId, Option<DocumentId>)]) -> Result<Vec<AgreementRow>> {
        let ids: Vec<Uuid> = agreements.iter().map(|(agreement, _)| agreement.0).collect();
        let documents: Vec<Option<Uuid>> = agreements.iter().map(|(_, document)| document.map(|document| document.0)).collect();
        let rows = sqlx::query!(
            r#"SELECT a.id AS "id!", a.title AS "title!", a.period_from AS "period_from!", a.period_to AS "period_to!",
                      a.unit_leader_id AS "unit_leader_id!", a.counterpart_id AS "counterpart_id!", a.budget_frame_dkk, a.predecessor_id,
                      a.signed_on, unit.id AS "unit_id!", unit.name AS "unit_name!: String", unit.unit_type,
                      parent.name AS "parent_name?: String", COALESCE(d.version, 1) AS "version!", d.template_id AS "template_id?",
                      CASE WHEN d.id IS NULL
                           THEN (SELECT count(*) FROM past_goal g WHERE g.agreement_id = a.id)
                           ELSE (SELECT count(*) FROM agreement_goal g WHERE g.document_id = d.id) END AS "goals!",
                      (SELECT count(*) FROM thread t WHERE t.document_id = d.id AND t.status = 'open' AND EXISTS
                          (SELECT FROM comment c WHERE c.thread_id = t.id AND c.deleted_at IS NULL)) AS "open_threads!",
                      edit.person_id AS "edit_person?", edit.at AS "edit_at?"
               FROM unnest($1::uuid[], $2::uuid[]) AS wanted (agreement_id, document_id)
               JOIN agreement a ON a.id = wanted.agreement_id
               JOIN org_node unit ON unit.id = a.unit_id
               LEFT JOIN org_node parent ON parent.id = unit.parent_id
               LEFT JOIN document d ON d.id = COALESCE(wanted.document_id, a.current_document_id)
               LEFT JOIN LATERAL (
                   SELECT person_id, at FROM (
                       (SELECT u.person_id, u.at FROM document_update u
                        WHERE u.document_id = d.id AND u.person_id IS NOT NULL ORDER BY u.seq DESC LIMIT 1)
                       UNION ALL
                       (SELECT e.person_id, e.at FROM section_edit e WHERE e.document_id = d.id ORDER BY e.at DESC LIMIT 1)
                   ) edits ORDER BY at DESC LIMIT 1
               ) edit ON true"#,
            &ids,
            &documents as &[Option<Uuid>]
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(AgreementRow {
                    id: AgreementId(row.id),
                    title: short_title(&row.title, &row.unit_name).to_owned(),
                    unit: UnitRow { id: OrgId(row.unit_id), name: row.unit_name, unit_type: row.unit_type, parent_name: row.parent_name },
                    period_from: row.period_from,
                    period_to: row.period_to,
                    version: number("document", "version", row.version.into())?,
                    unit_leader: PersonId(row.unit_leader_id),
                    counterpart: PersonId(row.counterpart_id),
                    goals: number("agreement_goal", "count", row.goals)?,
                    open_threads: number("thread", "count", row.open_threads)?,
                    last_edit: row.edit_person.map(PersonId).zip(row.edit_at),
                    budget_frame_dkk: row.budget_frame_dkk,
                    predecessor: row.predecessor_id.map(AgreementId),
                    template: row.template_id,
                    signed_on: row.signed_on,
                })
            })
            .collect()
    }

    /// How many goals of each of these agreements have which status by their latest follow-up, in the order of the municipality's
    /// list of statuses. Goals without a follow-up are left out.
    pub async fn attainment(&self, agreements: &[AgreementId]) -> Result<Vec<(AgreementId, String, u32)>> {
        let ids: Vec<Uuid> = agreements.iter().map(|agreement| agreement.0).collect();
        let rows = sqlx::query!(
            r#"SELECT latest.agreement_id, latest.status, count(*) AS "goals!"
               FROM (SELECT DISTINCT ON (agreement_id, goal_id) agreement_id, goal_id, status FROM goal_followup
                     WHERE agreement_id = ANY($1) ORDER BY agreement_id, goal_id, on_day DESC) latest
               LEFT JOIN status_name name ON name.scope = 'goal' AND name.id = latest.status
               GROUP BY latest.agreement_id, latest.status, name.rank ORDER BY latest.agreement_id, name.rank, latest.status"#,
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(|row| Ok((AgreementId(row.agreement_id), row.status, number("goal_followup", "count", row.goals)?))).collect()
    }

    /// The template with its sections in order; `None` if there is no such template.
    pub async fn template(&self, template: Uuid) -> Result<Option<TemplateRow>> {
        let Some(head) =
            sqlx::query!("SELECT max_goals, guidance FROM template WHERE id = $1", template).fetch_optional(self.pool()).await?
        else {
            return Ok(None);
        };
        let rows = sqlx::query_as!(
            RawSection,
            r#"SELECT key AS "key: String", title, kind, goal_origin, required, guidance FROM template_section
               WHERE template_id = $1 ORDER BY rank"#,
            template
        )
        .fetch_all(self.pool())
        .await?;
        let sections = rows.into_iter().map(SectionRow::try_from).collect::<Result<_>>()?;
        let max_goals = head.max_goals.map(|max| number("template", "max_goals", max.into())).transpose()?;
        Ok(Some(TemplateRow { max_goals, guidance: head.guidance, sections }))
    }

    /// The sections of these documents' templates, in order.
    pub async fn document_sections(&self, documents: &[DocumentId]) -> Result<HashMap<DocumentId, Vec<SectionRow>>> {
        let ids: Vec<Uuid> = documents.iter().map(|document| document.0).collect();
        let rows = sqlx::query!(
            r#"SELECT d.id AS document_id, s.key AS "key: String", s.title, s.kind, s.goal_origin, s.required, s.guidance
               FROM document d JOIN template_section s ON s.template_id = d.template_id
               WHERE d.id = ANY($1) ORDER BY d.id, s.rank"#,
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        let mut sections: HashMap<DocumentId, Vec<SectionRow>> = HashMap::new();
        for row in rows {
            let raw = RawSection {
                key: row.key,
                title: row.title,
                kind: row.kind,
                goal_origin: row.goal_origin,
                required: row.required,
                guidance: row.guidance,
            };
            sections.entry(DocumentId(row.document_id)).or_default().push(raw.try_into()?);
        }
        Ok(sections)
    }

    /// The goals of these documents as far as decisions need them, each with its document, in order.
    pub async fn goal_facts(&self, documents: &[DocumentId]) -> Result<Vec<(DocumentId, GoalFact)>> {
        let ids: Vec<Uuid> = documents.iter().map(|document| document.0).collect();
        let rows = sqlx::query!(
            r#"SELECT g.document_id AS "document_id!", g.goal_id AS "goal_id!", g.title AS "title!: String",
                      cardinality(g.success) > 0 AS "has_criterion!", l.target AS "link?: String", target.kind AS "target_kind?",
                      COALESCE(above.status IN ('adopted', 'superseded'), false) AS "adopted!"
               FROM agreement_goal g
               LEFT JOIN agreement_goal_link l ON l.document_id = g.document_id AND l.goal_id = g.goal_id
               LEFT JOIN goal target ON target.document_id = l.target_document_id AND target.id = l.target_goal_id
               LEFT JOIN document above ON above.id = l.target_document_id
               WHERE g.document_id = ANY($1)
               ORDER BY g.document_id, g.number, g.goal_id, l.target, l.relation"#,
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        let mut goals: Vec<(DocumentId, GoalFact)> = Vec::new();
        for row in rows {
            let document = DocumentId(row.document_id);
            if goals.last().is_none_or(|(last, goal)| *last != document || goal.id != row.goal_id) {
                goals.push((document, GoalFact { id: row.goal_id, title: row.title, has_criterion: row.has_criterion, links: vec![] }));
            }
            if let (Some((_, goal)), Some(_)) = (goals.last_mut(), row.link) {
                let target = row.target_kind.map(chain_goal_kind).transpose()?;
                goal.links.push(LinkFact { target, adopted: row.adopted });
            }
        }
        Ok(goals)
    }

    /// The steps of these agreements' lives that led to another status, each with its agreement, oldest first.
    pub async fn lives(&self, agreements: &[AgreementId]) -> Result<Vec<(AgreementId, LifeRow)>> {
        let ids: Vec<Uuid> = agreements.iter().map(|agreement| agreement.0).collect();
        let rows = sqlx::query!(
            r#"SELECT agreement_id, to_status AS "to_status!", at, person_id, reason FROM agreement_event
               WHERE agreement_id = ANY($1) AND to_status IS NOT NULL ORDER BY agreement_id, seq"#,
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        let mut lives: Vec<(AgreementId, LifeRow)> = Vec::new();
        for row in rows {
            let agreement = AgreementId(row.agreement_id);
            let status = agreement_status("to_status", row.to_status)?;
            if lives.last().is_none_or(|(last, step)| *last != agreement || step.status != status) {
                lives.push((agreement, LifeRow { status, at: row.at, person: row.person_id.map(PersonId), reason: row.reason }));
            }
        }
        Ok(lives)
    }

    /// The signatures on these documents, lapsed ones too, oldest first.
    pub async fn signatures(&self, documents: &[DocumentId]) -> Result<Vec<SignatureRow>> {
        let ids: Vec<Uuid> = documents.iter().map(|document| document.0).collect();
        let rows = sqlx::query!(
            "SELECT document_id, party, person_id, signed_at, revision, valid, lapsed_reason, lapsed_at FROM signature
             WHERE document_id = ANY($1) ORDER BY signed_at, id",
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let party = party(row.party)?;
                Ok(SignatureRow {
                    document: DocumentId(row.document_id),
                    person: PersonId(row.person_id),
                    fact: SignatureFact { party, at: row.signed_at, valid: row.valid },
                    revision: number("signature", "revision", row.revision.into())?,
                    lapsed_reason: row.lapsed_reason,
                    lapsed_at: row.lapsed_at,
                })
            })
            .collect()
    }

    /// The goals of an agreement with what became of them, in order; its text may be held here or not.
    pub async fn followed_goals(&self, agreement: AgreementId) -> Result<Vec<FollowedGoal>> {
        let rows = sqlx::query!(
            r#"WITH goals AS (
                   SELECT g.goal_id, g.code, g.title, g.rank AS place FROM past_goal g WHERE g.agreement_id = $1
                   UNION ALL
                   SELECT g.goal_id, g.number::text, g.title, g.number FROM agreement a
                   JOIN agreement_goal g ON g.document_id = a.current_document_id WHERE a.id = $1
               )
               SELECT goals.goal_id AS "goal_id!", goals.code AS "code!", goals.title AS "title!: String", f.kind AS "kind?", f.on_day AS "on_day?",
                      f.status AS "status?", f.note
               FROM goals LEFT JOIN goal_followup f ON f.agreement_id = $1 AND f.goal_id = goals.goal_id
               ORDER BY goals.place, goals.goal_id, f.on_day, f.kind"#,
            agreement.0
        )
        .fetch_all(self.pool())
        .await?;
        let mut goals: Vec<(Uuid, FollowedGoal)> = Vec::new();
        for row in rows {
            if goals.last().is_none_or(|(last, _)| *last != row.goal_id) {
                goals.push((row.goal_id, FollowedGoal { code: row.code, title: row.title, followups: vec![] }));
            }
            if let (Some((_, goal)), Some(kind), Some(on), Some(status)) = (goals.last_mut(), row.kind, row.on_day, row.status) {
                goal.followups.push(FollowupRow { kind, on, status, note: row.note });
            }
        }
        Ok(goals.into_iter().map(|(_, goal)| goal).collect())
    }

    /// What was measured for an agreement's indicators, by indicator and day.
    pub async fn measurements(&self, agreement: AgreementId) -> Result<Vec<MeasurementRow>> {
        let rows = sqlx::query_as!(
            MeasurementRow,
            r#"SELECT indicator_id AS indicator, on_day AS "on", value::text AS "value!" FROM measurement
               WHERE agreement_id = $1 ORDER BY indicator_id, on_day"#,
            agreement.0
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows)
    }
}

/// A template's section as the database has it.
struct RawSection {
    key: String,
    title: String,
    kind: String,
    goal_origin: Option<String>,
    required: bool,
    guidance: Option<String>,
}

impl TryFrom<RawSection> for SectionRow {
    type Error = Error;

    fn try_from(row: RawSection) -> Result<Self> {
        let kind = match row.kind.as_str() {
            "generated" => SectionKind::Generated,
            "rich_text" => SectionKind::RichText,
            "rich_text_with_goals" => SectionKind::RichTextWithGoals,
            "goals" => SectionKind::Goals,
            "signatures" => SectionKind::Signatures,
            _ => return Err(Error::Unknown { table: "template_section", what: "kind", value: row.kind }),
        };
        // The chain's other documents have origins of their own; an agreement's goals have these three.
        let goal_origin = row.goal_origin.as_deref().and_then(|origin| match origin {
            "political" => Some(GoalOrigin::Political),
            "executive" => Some(GoalOrigin::Executive),
            "local" => Some(GoalOrigin::Local),
            _ => None,
        });
        Ok(Self { key: row.key, title: row.title, kind, goal_origin, required: row.required, guidance: row.guidance })
    }
}

/// The status that the database calls this.
pub(super) fn agreement_status(what: &'static str, id: String) -> Result<AgreementStatus> {
    match Status::from_id(DocumentKind::Agreement, &id) {
        Some(Status::Agreement(status)) => Ok(status),
        _ => Err(Error::Unknown { table: "agreement", what, value: id }),
    }
}

/// The side that the database calls this.
pub(super) fn party(id: String) -> Result<Party> {
    match id.as_str() {
        "unit_leader" => Ok(Party::UnitLeader),
        "counterpart" => Ok(Party::Counterpart),
        _ => Err(Error::Unknown { table: "signature", what: "party", value: id }),
    }
}

/// The kind of chain goal that the database calls this.
pub(super) fn chain_goal_kind(id: String) -> Result<ChainGoalKind> {
    match id.as_str() {
        "vision_aim" => Ok(ChainGoalKind::VisionAim),
        "policy_goal" => Ok(ChainGoalKind::PolicyGoal),
        "strategy_goal" => Ok(ChainGoalKind::StrategyGoal),
        "budget_priority" => Ok(ChainGoalKind::BudgetPriority),
        "executive_goal" => Ok(ChainGoalKind::ExecutiveGoal),
        "initiative" => Ok(ChainGoalKind::Initiative),
        _ => Err(Error::Unknown { table: "goal", what: "kind", value: id }),
    }
}

/// A number that the schema keeps from being negative or enormous.
pub(super) fn number(table: &'static str, what: &'static str, value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::Unknown { table, what, value: value.to_string() })
}
