//! People, their places in the organisation and the principals made of them.

use std::collections::HashMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Error, Result, Store, Transaction};
use crate::domain::{
    ids::{OrgId, PersonId},
    principal::{Placement, Role},
};

impl Store {
    /// Where the organisation has put this person, past and future places included.
    pub async fn placements(&self, person: PersonId) -> Result<Vec<Placement>> {
        let rows = sqlx::query!(
            r#"SELECT role, org_id, from_day AS "from_day: NaiveDate", to_day AS "to_day: NaiveDate" FROM person_role WHERE person_id = $1"#,
            person.0
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let role = Role::from_id(&row.role).ok_or(Error::Unknown { table: "person_role", what: "role", value: row.role })?;
                Ok(Placement { role, org: OrgId(row.org_id), from: row.from_day, to: row.to_day })
            })
            .collect()
    }

    /// Where the organisation has put these people.
    pub async fn placements_of(&self, people: &[PersonId]) -> Result<HashMap<PersonId, Vec<Placement>>> {
        let ids: Vec<Uuid> = people.iter().map(|person| person.0).collect();
        let rows = sqlx::query!(
            r#"SELECT person_id, role, org_id, from_day AS "from_day: NaiveDate", to_day AS "to_day: NaiveDate"
               FROM person_role WHERE person_id = ANY($1)"#,
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        let mut placements: HashMap<PersonId, Vec<Placement>> = people.iter().map(|person| (*person, Vec::new())).collect();
        for row in rows {
            let role = Role::from_id(&row.role).ok_or(Error::Unknown { table: "person_role", what: "role", value: row.role })?;
            let placement = Placement { role, org: OrgId(row.org_id), from: row.from_day, to: row.to_day };
            placements.entry(PersonId(row.person_id)).or_default().push(placement);
        }
        Ok(placements)
    }

    /// People in whose name a word begins like this, by name; those after this name and id.
    pub async fn people_named(&self, begins: &str, after: Option<(&str, PersonId)>, limit: usize) -> Result<Vec<PersonRow>> {
        let (name, id) = after.unzip();
        let rows = sqlx::query_as!(
            PersonRow,
            r#"SELECT id, given_name, family_name, display_name, title, access_version FROM person
               WHERE ($1 = '' OR starts_with(lower(display_name COLLATE "C.utf8"), lower($1)) OR position(lower(' ' || $1) IN lower(display_name COLLATE "C.utf8")) > 0)
                 AND ($2::text IS NULL OR (display_name, id) > ($2 COLLATE danish, $3::uuid))
               ORDER BY display_name, id LIMIT $4"#,
            begins,
            name,
            id.map(|id| id.0),
            i64::try_from(limit).unwrap_or(i64::MAX)
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows)
    }

    /// The person of this id, as we know it or as the data had it that they were imported from. Never by name or address.
    pub async fn person_by_key(&self, key: &str) -> Result<Option<PersonId>> {
        let id = sqlx::query_scalar!("SELECT id FROM person WHERE slug = $1 OR id::text = $1", key).fetch_optional(self.pool()).await?;
        Ok(id.map(PersonId))
    }

    /// Everybody, unit by unit: agreement units first, then up the organisation; within it by name.
    pub async fn directory(&self) -> Result<Vec<DirectoryRow>> {
        let rows = sqlx::query_as!(
            DirectoryRow,
            r#"SELECT person.id, person.slug, person.upn, person.display_name AS name, person.title, place.name AS "unit?",
                      ARRAY(SELECT DISTINCT role FROM person_role WHERE person_id = person.id ORDER BY role) AS "roles!"
               FROM person LEFT JOIN LATERAL (
                   SELECT org_node.name, array_position(ARRAY['agreement_unit', 'department', 'directorate', 'executive_board',
                       'municipality', 'board', 'committee', 'advisory_council', 'council'], org_node.kind) AS rank
                   FROM person_role JOIN org_node ON org_node.id = person_role.org_id
                   WHERE person_role.person_id = person.id ORDER BY rank, org_node.name LIMIT 1) place ON true
               ORDER BY place.rank NULLS LAST, place.name, person.display_name, person.id"#
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows)
    }

    /// A person as shown to others; `None` if there is no such person.
    pub async fn person(&self, person: PersonId) -> Result<Option<PersonRow>> {
        let row = sqlx::query_as!(
            PersonRow,
            r#"SELECT id, given_name, family_name, display_name, title, access_version FROM person WHERE id = $1"#,
            person.0
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row)
    }

    /// These people as shown to others, by id.
    pub async fn people(&self, people: &[PersonId]) -> Result<HashMap<PersonId, PersonRow>> {
        let ids: Vec<Uuid> = people.iter().map(|person| person.0).collect();
        let rows = sqlx::query_as!(
            PersonRow,
            r#"SELECT id, given_name, family_name, display_name, title, access_version FROM person WHERE id = ANY($1)"#,
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| (PersonId(row.id), row)).collect())
    }
}

/// Puts a person into a role at the municipality itself and raises their access version. `false`: there is no municipality.
pub async fn appoint(transaction: &mut Transaction, person: PersonId, role: Role) -> Result<bool> {
    sqlx::query!("UPDATE person SET access_version = access_version + 1 WHERE id = $1", person.0).execute(&mut **transaction).await?;
    let root = sqlx::query_scalar!("SELECT id FROM org_node WHERE kind = 'municipality' ORDER BY slug LIMIT 1")
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(root) = root else { return Ok(false) };
    sqlx::query!(
        "INSERT INTO person_role (id, person_id, role, org_id) VALUES ($1, $2, $3, $4) ON CONFLICT ON CONSTRAINT person_role_once DO NOTHING",
        Uuid::now_v7(),
        person.0,
        role.id(),
        root
    )
    .execute(&mut **transaction)
    .await?;
    Ok(true)
}

/// A person as the demo identity provider shows them.
#[derive(Clone, Debug)]
pub struct DirectoryRow {
    /// Id.
    pub id: PersonId,
    /// The id in the data they were imported from.
    pub slug: String,
    /// Login name.
    pub upn: Option<String>,
    /// Name as people say it.
    pub name: String,
    /// Job title.
    pub title: String,
    /// Where they stand; one place, if there are several.
    pub unit: Option<String>,
    /// Role ids of all their places.
    pub roles: Vec<String>,
}

/// A person as a row.
#[derive(Clone, Debug)]
pub struct PersonRow {
    /// Id.
    pub id: Uuid,
    /// First names.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Name as people say it.
    pub display_name: String,
    /// Job title.
    pub title: String,
    /// Raised when rights change.
    pub access_version: i64,
}

impl PersonRow {
    /// The two letters in the ring.
    #[must_use]
    pub fn initials(&self) -> String {
        self.given_name.chars().next().into_iter().chain(self.family_name.chars().next()).collect()
    }
}

/// For tests: a unit with a leader, somebody who stands in for her, and somebody without a place.
#[cfg(test)]
pub(crate) async fn some_for_tests(store: &Store) {
    use crate::domain::ids::imported;
    let people = [
        ("p-leader", "Hanne", "Påfundsen", "Hanne <b> Påfundsen", "lead@k.example"),
        ("p-substitute", "Esben", "Opdigtsen", "Esben Opdigtsen", "sub@k.example"),
        ("p-nobody", "Xenia", "Ukendtsen", "Xenia Ukendtsen", "no@k.example"),
    ];
    for (slug, given, family, name, upn) in people {
        sqlx::query!(
            "INSERT INTO person (id, slug, given_name, family_name, display_name, title, upn) VALUES ($1, $2, $3, $4, $5, 'Leder', $6)",
            imported(slug),
            slug,
            given,
            family,
            name,
            upn
        )
        .execute(store.pool())
        .await
        .unwrap();
    }
    sqlx::query!(
        "INSERT INTO org_node (id, slug, parent_id, kind, name) VALUES ($1, 'k', NULL, 'municipality', 'Klitfjord Kommune'),
           ($2, 'fjordskolen', $1, 'agreement_unit', 'Fjordskolen')",
        imported("k"),
        imported("fjordskolen")
    )
    .execute(store.pool())
    .await
    .unwrap();
    for (slug, role) in [("p-leader", "unit_leader"), ("p-substitute", "substitute_unit_leader")] {
        sqlx::query!(
            "INSERT INTO person_role (id, person_id, role, org_id) VALUES ($1, $1, $2, $3)",
            imported(slug),
            role,
            imported("fjordskolen")
        )
        .execute(store.pool())
        .await
        .unwrap();
    }
}
