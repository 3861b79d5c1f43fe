//! What a load generator needs: agreements with synthetic people, each with a session (design §10). Only ever on the private
//! cluster of a running `samspil demo`, so that no municipality can get such people by mistake.

use std::io::Write;

use axum::http::HeaderMap;
use serde_json::json;

use crate::{
    auth::{Sessions, session::SignIn},
    clock::Clock,
    domain::{ids::PersonId, principal::Role},
    store::{
        self, Store,
        bench::{Cast, Unit},
    },
};

/// How many of what.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Wanted {
    /// Agreements.
    #[arg(long)]
    pub documents: u32,
    /// People who write in each: the two parties, then substitutes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..))]
    pub writers: u32,
    /// People who read each.
    #[arg(long, default_value_t = 0)]
    pub readers: u32,
}

/// Why nothing, or not everything, was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The list could not be written.
    #[error("the list of documents and cookies cannot be written")]
    Write(#[from] std::io::Error),
    /// There is no municipality with a department and a template to put units into.
    #[error("there is no demo municipality in this database")]
    NoMunicipality,
}

/// Makes them, and writes a line of JSON for each document: its id and the cookies, the two parties' first.
pub async fn prepare(store: &Store, clock: Clock, public_url: &str, wanted: Wanted, out: &mut impl Write) -> Result<(), Error> {
    let sessions = Sessions::new(store.clone(), public_url);
    let ground = store.bench_ground().await?.ok_or(Error::NoMunicipality)?;
    for _ in 0..wanted.documents {
        let cast = Cast { substitutes: wanted.writers - 2, readers: wanted.readers };
        let mut transaction = store.begin().await?;
        let Unit { document, people } = store::bench::add_unit(&mut transaction, &ground, cast, clock.now()).await?;
        transaction.commit().await.map_err(store::Error::from)?;
        let mut cookies = Vec::with_capacity(people.len());
        for (person, role) in people {
            let (_, cookie) = sessions.begin(synthetic(person, role), &HeaderMap::new(), clock.now()).await?;
            cookies.push(format!("{}={}", cookie.name(), cookie.value()));
        }
        writeln!(out, "{}", json!({ "document_id": document.0, "cookies": cookies }))?;
    }
    Ok(())
}

fn synthetic(person: PersonId, role: Role) -> SignIn {
    SignIn {
        person,
        issuer: "bench".to_owned(),
        subject: person.to_string(),
        sid: None,
        roles: [role].into(),
        id_token: String::new(),
        auth_time: None,
        acr: None,
    }
}
