//! The demo's mail: what would have been sent lies in files, and is listed at `/demo/mail`. There is no such route in production.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::problem::{Path, Problem};

/// Where the mail lies, if it lies in files. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct MailFiles(pub Option<Arc<PathBuf>>);

/// `GET /demo/mail`: the names, newest first; names begin with the time.
pub async fn list(State(files): State<MailFiles>) -> Result<Response, Problem> {
    let dir = files.0.ok_or_else(Problem::not_found)?;
    let mut names = Vec::new();
    // Without the directory, nothing was sent yet.
    let Ok(mut entries) = tokio::fs::read_dir(&*dir).await else { return Ok(Json(names).into_response()) };
    while let Ok(Some(entry)) = entries.next_entry().await {
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(Json(names).into_response())
}

/// `GET /demo/mail/{name}`: one of them, as text.
pub async fn read(State(files): State<MailFiles>, Path(name): Path<String>) -> Result<Response, Problem> {
    let dir = files.0.ok_or_else(Problem::not_found)?;
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(Problem::not_found());
    }
    let text = tokio::fs::read_to_string(dir.join(name)).await.map_err(|_| Problem::not_found())?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}
