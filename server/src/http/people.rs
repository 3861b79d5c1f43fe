//! People as they are shown in answers.

use std::collections::HashMap;

use samspil_client_protocol::api::Person;

use crate::{
    domain::ids::PersonId,
    store::{self, Store, people::PersonRow},
};

/// The people that an answer names.
#[derive(Debug, Default)]
pub(super) struct People(HashMap<PersonId, PersonRow>);

impl People {
    /// Loads these people.
    pub(super) async fn load(store: &Store, mut ids: Vec<PersonId>) -> store::Result<Self> {
        ids.sort_unstable();
        ids.dedup();
        Ok(Self(store.people(&ids).await?))
    }

    /// One of them. Every person that a row names exists: the database has a foreign key for each, and nobody is ever removed.
    pub(super) fn show(&self, person: PersonId) -> Person {
        show(self.0.get(&person).expect("foreign keys hold the people that rows name"))
    }
}

/// A person in an answer.
pub(super) fn show(row: &PersonRow) -> Person {
    Person { id: row.id, name: row.display_name.clone(), initials: row.initials(), title: row.title.clone() }
}
