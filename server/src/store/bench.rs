//! Units, people and agreements that exist to be measured on.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use uuid::Uuid;

use super::{Result, Store, Transaction, creation};
use crate::{
    content::{self, Content},
    domain::{
        document::{AgreementStatus, DocumentKind, Status},
        ids::{DocumentId, OrgId, PersonId},
        principal::Role,
    },
};

/// Where synthetic units stand, and what their agreements are made from.
#[derive(Clone, Debug)]
pub struct Ground {
    department: OrgId,
    template: Uuid,
    template_slug: String,
    sections: Vec<String>,
}

/// Who is added besides the two parties.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// They write, too.
    pub substitutes: u32,
    /// They read.
    pub readers: u32,
}

/// A synthetic unit's agreement, with its people and the role that each token is to carry: the parties first.
#[derive(Debug)]
pub struct Unit {
    /// The live document.
    pub document: DocumentId,
    /// Everybody.
    pub people: Vec<(PersonId, Role)>,
}

impl Store {
    /// A department and a template for agreements, if the database has both.
    pub async fn bench_ground(&self) -> Result<Option<Ground>> {
        let row = sqlx::query!(
            r#"SELECT d.id AS "department!", t.id AS "template!", t.slug AS "slug!",
                      ARRAY(SELECT key::text FROM template_section s WHERE s.template_id = t.id AND s.kind LIKE 'rich_text%' ORDER BY rank) AS "sections!"
               FROM org_node d CROSS JOIN template t
               WHERE d.kind = 'department' AND t.document_kind = 'agreement' ORDER BY d.id, t.id LIMIT 1"#
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| Ground {
            department: OrgId(row.department),
            template: row.template,
            template_slug: row.slug,
            sections: row.sections,
        }))
    }
}

/// Adds one unit with its agreement.
pub async fn add_unit(transaction: &mut Transaction, ground: &Ground, cast: Cast, at: DateTime<Utc>) -> Result<Unit> {
    let unit = OrgId(Uuid::now_v7());
    let name = format!("Måleenhed {}", &unit.0.simple().to_string()[20..]);
    sqlx::query!(
        "INSERT INTO org_node (id, slug, parent_id, kind, name) VALUES ($1, $2, $3, 'agreement_unit', $4)",
        unit.0,
        unit.0.to_string(),
        ground.department.0,
        name.as_str() as _
    )
    .execute(&mut **transaction)
    .await?;
    let roles = [(Role::UnitLeader, unit, Role::UnitLeader), (Role::HeadOfDepartment, ground.department, Role::HeadOfDepartment)]
        .into_iter()
        .chain((0..cast.substitutes).map(|_| (Role::SubstituteUnitLeader, unit, Role::UnitLeader)))
        .chain((0..cast.readers).map(|_| (Role::UnitContributor, unit, Role::UnitContributor)));
    let mut people = Vec::new();
    for (role, org, in_token) in roles {
        people.push((add_person(transaction, people.len(), role, org).await?, in_token));
    }
    let document = DocumentId(Uuid::now_v7());
    let content = Content {
        schema: content::SCHEMA,
        template: ground.template_slug.clone(),
        sections: ground.sections.iter().map(|key| (key.clone(), content::paragraph(""))).collect(),
        goals: Vec::new(),
    };
    creation::create(
        transaction,
        &creation::NewDocument {
            id: document,
            slug: None,
            kind: DocumentKind::Agreement,
            title: &name,
            version: 1,
            template: ground.template,
            status: Status::Agreement(AgreementStatus::InDialogue),
            content: &content,
            by: None,
            at,
        },
    )
    .await?;
    let (agreement, year) = (Uuid::now_v7(), at.year());
    sqlx::query!(
        "INSERT INTO agreement (id, unit_id, title, period_from, period_to, unit_leader_id, counterpart_id, current_document_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        agreement,
        unit.0,
        name,
        NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default(),
        NaiveDate::from_ymd_opt(year, 12, 31).unwrap_or_default(),
        people[0].0.0,
        people[1].0.0,
        document.0
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!("INSERT INTO agreement_version (agreement_id, document_id) VALUES ($1, $2)", agreement, document.0)
        .execute(&mut **transaction)
        .await?;
    Ok(Unit { document, people })
}

async fn add_person(transaction: &mut Transaction, number: usize, role: Role, org: OrgId) -> Result<PersonId> {
    let person = PersonId(Uuid::now_v7());
    sqlx::query!(
        "INSERT INTO person (id, slug, given_name, family_name, display_name, title) VALUES ($1, $2, 'Maale', 'Person', $3, 'Måleperson')",
        person.0,
        person.0.to_string(),
        format!("Målepersonen {number}") as _
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "INSERT INTO person_role (id, person_id, role, org_id) VALUES ($1, $2, $3, $4)",
        Uuid::now_v7(),
        person.0,
        role.id(),
        org.0
    )
    .execute(&mut **transaction)
    .await?;
    Ok(person)
}
