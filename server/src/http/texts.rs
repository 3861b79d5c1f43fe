//! What a document's text says, as far as answers need it beyond the projections.

use std::collections::BTreeSet;

use super::problem::Problem;
use crate::{
    content,
    domain::{agreement::SectionFact, ids::DocumentId},
    store::{Store, agreements::SectionRow},
};

/// The canonical JSON of the committed content.
pub(super) async fn canonical(store: &Store, document: DocumentId) -> Result<Vec<u8>, Problem> {
    read(store, document, content::render).await
}

/// The keys of the sections in which somebody has written something.
pub(super) async fn filled(store: &Store, document: DocumentId) -> Result<BTreeSet<String>, Problem> {
    read(store, document, |doc| {
        content::project(doc).sections.into_iter().filter(|section| !section.is_empty()).map(|section| section.key).collect()
    })
    .await
}

/// A section as decisions need it.
pub(super) fn section_fact(section: &SectionRow, filled: &BTreeSet<String>) -> SectionFact {
    SectionFact {
        key: section.key.clone(),
        title: section.title.clone(),
        kind: section.kind,
        goal_origin: section.goal_origin,
        required: section.required,
        filled: filled.contains(&section.key),
    }
}

/// Replays what is committed. A log that does not replay is our mistake, never an empty document (invariant 3).
async fn read<T: Send + 'static>(
    store: &Store,
    document: DocumentId,
    ask: impl FnOnce(&yrs::Doc) -> T + Send + 'static,
) -> Result<T, Problem> {
    let updates = store.committed_updates(document).await?;
    let answer = tokio::task::spawn_blocking(move || {
        let updates = updates.iter().map(Vec::as_slice);
        content::replay(updates).as_ref().map(ask)
    });
    match answer.await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => {
            tracing::error!(document.id = %document, "the log of a document does not replay");
            Err(Problem::internal())
        }
        Err(error) => {
            tracing::error!(document.id = %document, %error, "replaying the log of a document failed");
            Err(Problem::internal())
        }
    }
}
