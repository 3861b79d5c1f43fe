//! Dialogue meetings with their agendas, participants and the agreements they are about.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Result, Store, agreements::number};
use crate::domain::{
    agreement::{MeetingStatus, short_title},
    ids::{AgreementId, PersonId},
};

/// A meeting as a row, with who takes part.
#[derive(Clone, Debug)]
pub struct MeetingRow {
    /// Id.
    pub id: Uuid,
    /// 1, 2 … for its agreement.
    pub number: u32,
    /// The agreements it is about, in order.
    pub agreements: Vec<MeetingAgreement>,
    /// From.
    pub starts_at: DateTime<Utc>,
    /// To.
    pub ends_at: DateTime<Utc>,
    /// Where.
    pub location: String,
    /// Also online.
    pub online: bool,
    /// Planned, held, cancelled.
    pub status: MeetingStatus,
    /// Who, in which role, in order.
    pub participants: Vec<(PersonId, String)>,
    /// The political goals are on its agenda.
    pub covers_political_goals: bool,
    /// The executive strategy's goals are.
    pub covers_executive_goals: bool,
    /// The points.
    pub agenda: Vec<String>,
    /// Minutes in the small Markdown subset.
    pub minutes_md: Option<String>,
}

/// An agreement that a meeting is about.
#[derive(Clone, Debug)]
pub struct MeetingAgreement {
    /// The agreement.
    pub id: AgreementId,
    /// *Aftale 2027*.
    pub title: String,
    /// Its unit's name.
    pub unit_name: String,
}

impl Store {
    /// The meetings about any of these agreements, by number, then time.
    pub async fn meetings(&self, agreements: &[AgreementId]) -> Result<Vec<MeetingRow>> {
        let ids: Vec<Uuid> = agreements.iter().map(|agreement| agreement.0).collect();
        let meetings = sqlx::query_scalar!("SELECT DISTINCT meeting_id FROM meeting_agreement WHERE agreement_id = ANY($1)", &ids)
            .fetch_all(self.pool())
            .await?;
        self.meetings_by_id(&meetings).await
    }

    /// The planned meetings that this person takes part in and that are not over yet, soonest first.
    pub async fn coming_meetings(&self, person: PersonId, now: DateTime<Utc>) -> Result<Vec<MeetingRow>> {
        let meetings = sqlx::query_scalar!(
            "SELECT m.id FROM meeting m JOIN meeting_participant p ON p.meeting_id = m.id
             WHERE p.person_id = $1 AND m.status = 'planned' AND m.ends_at > $2",
            person.0,
            now
        )
        .fetch_all(self.pool())
        .await?;
        let mut rows = self.meetings_by_id(&meetings).await?;
        rows.sort_by_key(|row| (row.starts_at, row.id));
        Ok(rows)
    }

    async fn meetings_by_id(&self, meetings: &[Uuid]) -> Result<Vec<MeetingRow>> {
        let rows = sqlx::query!(
            r#"SELECT m.id AS "id!", m.number AS "number!", m.starts_at AS "starts_at!", m.ends_at AS "ends_at!", m.location AS "location!",
                      m.online AS "online!", m.status AS "status!", m.covers_political_goals AS "political!",
                      m.covers_executive_goals AS "executive!", m.agenda AS "agenda!", m.minutes_md
               FROM meeting m
               WHERE m.id = ANY($1) ORDER BY m.number, m.starts_at, m.id"#,
            meetings
        )
        .fetch_all(self.pool())
        .await?;
        let mut participants = self.participants(meetings).await?;
        let mut agreements = self.meeting_agreements(meetings).await?;
        rows.into_iter()
            .map(|row| {
                let status = match row.status.as_str() {
                    "planned" => MeetingStatus::Planned,
                    "held" => MeetingStatus::Held,
                    "cancelled" => MeetingStatus::Cancelled,
                    _ => return Err(Error::Unknown { table: "meeting", what: "status", value: row.status }),
                };
                Ok(MeetingRow {
                    id: row.id,
                    number: number("meeting", "number", row.number.into())?,
                    agreements: agreements.remove(&row.id).unwrap_or_default(),
                    starts_at: row.starts_at,
                    ends_at: row.ends_at,
                    location: row.location,
                    online: row.online,
                    status,
                    participants: participants.remove(&row.id).unwrap_or_default(),
                    covers_political_goals: row.political,
                    covers_executive_goals: row.executive,
                    agenda: row.agenda,
                    minutes_md: row.minutes_md,
                })
            })
            .collect()
    }

    async fn meeting_agreements(&self, meetings: &[Uuid]) -> Result<HashMap<Uuid, Vec<MeetingAgreement>>> {
        let rows = sqlx::query!(
            r#"SELECT ma.meeting_id, a.id, a.title, unit.name AS "unit_name: String"
               FROM meeting_agreement ma JOIN agreement a ON a.id = ma.agreement_id JOIN org_node unit ON unit.id = a.unit_id
               WHERE ma.meeting_id = ANY($1) ORDER BY ma.meeting_id, ma.rank, a.id"#,
            meetings
        )
        .fetch_all(self.pool())
        .await?;
        let mut agreements: HashMap<Uuid, Vec<MeetingAgreement>> = HashMap::new();
        for row in rows {
            let title = short_title(&row.title, &row.unit_name).to_owned();
            let agreement = MeetingAgreement { id: AgreementId(row.id), title, unit_name: row.unit_name };
            agreements.entry(row.meeting_id).or_default().push(agreement);
        }
        Ok(agreements)
    }

    async fn participants(&self, meetings: &[Uuid]) -> Result<HashMap<Uuid, Vec<(PersonId, String)>>> {
        let rows = sqlx::query!(
            "SELECT meeting_id, person_id, role FROM meeting_participant WHERE meeting_id = ANY($1) ORDER BY meeting_id, rank, person_id",
            meetings
        )
        .fetch_all(self.pool())
        .await?;
        let mut participants: HashMap<Uuid, Vec<(PersonId, String)>> = HashMap::new();
        for row in rows {
            participants.entry(row.meeting_id).or_default().push((PersonId(row.person_id), row.role));
        }
        Ok(participants)
    }
}
