//! Signing in and out. The browser goes to the identity provider and comes back; what goes wrong on the way is shown by the page
//! `/login-problem`, in words, without telling an attacker which check it was.

use axum::{
    Form, Json as JsonAnswer, Router,
    extract::{DefaultBodyLimit, FromRef, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use axum_extra::extract::cookie::Cookie;
use serde::Deserialize;
use serde_json::json;

use super::{
    origin::same_origin,
    pace::{Pace, Paced},
    problem::{Problem, Query, causes, request_id},
};
use crate::{
    auth::{
        SignIns, StepUps, oidc,
        sign_in::{Answer, Failed, Onward, Wish},
        step_up::Completed,
    },
    clock::Clock,
    rooms::Rooms,
};

/// A logout token is a few hundred bytes.
const LOGOUT_FORM_BYTES_MAX: usize = 64 * 1024;

/// The routes below `/auth`.
pub fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    SignIns: FromRef<S>,
    StepUps: FromRef<S>,
    Rooms: FromRef<S>,
    Clock: FromRef<S>,
    Pace: FromRef<S>,
{
    Router::new()
        .route("/auth/login", get(login))
        .route("/auth/invite", get(invite))
        .route("/auth/callback", get(callback))
        .route("/auth/logout", post(logout))
        .route("/auth/backchannel-logout", post(backchannel_logout).layer(DefaultBodyLimit::max(LOGOUT_FORM_BYTES_MAX)))
}

#[derive(Deserialize)]
struct Login {
    return_to: Option<String>,
    login_hint: Option<String>,
}

async fn login(
    _: Paced,
    State(sign_ins): State<SignIns>,
    State(clock): State<Clock>,
    headers: HeaderMap,
    Query(login): Query<Login>,
) -> Response {
    let wish = Wish { return_to: login.return_to, login_hint: login.login_hint, invite: None };
    onward(sign_ins.begin(wish, &headers, clock.now()).await)
}

#[derive(Deserialize)]
struct Invite {
    code: String,
}

async fn invite(
    _: Paced,
    State(sign_ins): State<SignIns>,
    State(clock): State<Clock>,
    headers: HeaderMap,
    Query(invite): Query<Invite>,
) -> Response {
    let wish = Wish { invite: Some(invite.code), ..Wish::default() };
    onward(sign_ins.begin(wish, &headers, clock.now()).await)
}

#[derive(Deserialize)]
struct Callback {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// The browser is back from the provider: to sign in, or to prove an approval. The state says which.
async fn callback(
    _: Paced,
    State(sign_ins): State<SignIns>,
    State(step_ups): State<StepUps>,
    State(rooms): State<Rooms>,
    State(clock): State<Clock>,
    headers: HeaderMap,
    Query(back): Query<Callback>,
) -> Response {
    let answer = Answer { state: back.state, code: back.code, iss: back.iss, error: back.error };
    match step_ups.complete(&answer, &headers, clock.now()).await {
        Ok(Some(completed)) => approved(completed, &rooms).await,
        Ok(None) => onward(sign_ins.complete(answer, &headers, clock.now()).await),
        Err(error) => onward(Err(error.into())),
    }
}

/// Back to the page where the button was pressed, which says in words what came of it; the other party's page is told.
async fn approved(completed: Completed, rooms: &Rooms) -> Response {
    for document in completed.changed {
        rooms.access_changed(document).await;
    }
    let (outcome, cookie) = match &completed.outcome {
        Ok(cookie) => ("signed=1".to_owned(), Some(cookie)),
        Err(reason) => (format!("refused={}", reason.id()), None),
    };
    private(Redirect::to(&format!("/agreements/{}/sign?{outcome}", completed.agreement)).into_response(), cookie)
}

/// Ends the sign-in here and sends the browser to end it at the provider. A page that asks with `fetch` cannot follow a redirect to
/// another site, so it is told where to go.
async fn logout(State(sign_ins): State<SignIns>, State(clock): State<Clock>, headers: HeaderMap) -> Result<Response, Problem> {
    if !same_origin(&headers, sign_ins.public_url()) {
        return Err(Problem::foreign_origin());
    }
    let out = sign_ins.sign_out(&headers, clock.now()).await?;
    let asks_for_json = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    let answer =
        if asks_for_json { JsonAnswer(json!({ "redirect_to": out.to })).into_response() } else { Redirect::to(&out.to).into_response() };
    Ok(private(answer, Some(&out.cookie)))
}

#[derive(Deserialize)]
struct BackchannelLogout {
    logout_token: String,
}

/// Called by the identity provider itself, without cookies and without an origin; the token is the proof. It keeps to no pace: at the
/// end of a day the provider signs out many at once, and one that were not heard would stay signed in.
async fn backchannel_logout(
    State(sign_ins): State<SignIns>,
    State(clock): State<Clock>,
    form: Result<Form<BackchannelLogout>, axum::extract::rejection::FormRejection>,
) -> Response {
    let refused = |status| private((status, JsonAnswer(json!({ "error": "invalid_request" }))).into_response(), None);
    let Ok(Form(form)) = form else { return refused(StatusCode::BAD_REQUEST) };
    match sign_ins.obey(&form.logout_token, clock.now()).await {
        Ok(true) => private(StatusCode::OK.into_response(), None),
        Ok(false) => {
            tracing::warn!(request.id = %request_id(), "a logout token came a second time");
            refused(StatusCode::BAD_REQUEST)
        }
        Err(failed) => {
            tracing::warn!(request.id = %request_id(), error = %causes(&failed), "a logout token was not obeyed");
            let ours = matches!(failed, Failed::Store(_) | Failed::Provider(oidc::Error::Provider { .. } | oidc::Error::Down));
            refused(if ours { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST })
        }
    }
}

fn onward(result: Result<Onward, Failed>) -> Response {
    match result {
        Ok(onward) => private(Redirect::to(&onward.to).into_response(), Some(&onward.cookie)),
        Err(failed) => {
            tracing::warn!(request.id = %request_id(), code = failed.code(), error = %causes(&failed), "sign-in failed");
            private(Redirect::to(&format!("/login-problem?code={}", failed.code())).into_response(), None)
        }
    }
}

/// Nothing of a sign-in is kept by anybody on the way, nor told to the next site.
fn private(mut response: Response, cookie: Option<&Cookie<'static>>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(value) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie.to_string()).ok()) {
        headers.append(header::SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests;
