//! How a handler asks for who is signed in: by taking [`SignedIn`] as an argument. Without a sign-in that holds: 401.

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};

use super::problem::Problem;
use crate::{
    auth::{Sessions, SignedIn},
    clock::Clock,
};

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    Sessions: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let now = Clock::from_ref(state).now();
        Sessions::from_ref(state).authenticate(&parts.headers, now).await?.ok_or_else(Problem::signed_out)
    }
}

/// For what is open to whoever comes, unless a municipality says otherwise.
impl<S> OptionalFromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    Sessions: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        let now = Clock::from_ref(state).now();
        Ok(Sessions::from_ref(state).authenticate(&parts.headers, now).await?)
    }
}
