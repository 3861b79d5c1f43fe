//! The demo municipality's identity provider: a small real OpenID provider that signs in anybody as anybody. It exists so that the
//! demo and the tests go through the same doors as production, and it refuses to be reached from another machine. Discovery, code
//! flow with PKCE, `prompt`, `max_age`, `acr_values`, sessions, RP-initiated and back-channel logout; ES256; time from the demo
//! clock; people from the database. With `login_hint` it signs that person in without a page, except when `prompt=login`.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chrono::{DateTime, Duration, Utc};
use openidconnect::{reqwest, url::Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::page::Page;
use super::session::{CookieStyle, random_token};
use crate::{
    clock::Clock,
    domain::{ids::PersonId, principal::Role},
    store::{self, Store, people::DirectoryRow},
};

mod key;
mod page;

/// Our client id at the demo provider.
pub const CLIENT_ID: &str = "samspil";
/// The claim that names a person of ours; only this provider controls it.
pub const PERSON_CLAIM: &str = "person";
/// A code must be exchanged at once.
const CODE_MAX: Duration = Duration::minutes(1);
/// How long tokens hold.
const TOKEN_MAX: Duration = Duration::minutes(5);
/// How long somebody stays signed in here.
const SESSION_MAX: Duration = Duration::hours(12);
/// What `acr` says when no level was asked for.
const PLAIN_ACR: &str = "1";
const COOKIE: &str = "samspil-demo-provider";

/// The provider.
pub struct DemoIdp {
    store: Store,
    clock: Clock,
    issuer: String,
    client: Client,
    key: key::Key,
    http: reqwest::Client,
    state: Mutex<Held>,
}

/// The one client it knows: the server beside it.
struct Client {
    secret: String,
    redirect_uri: String,
    post_logout_redirect_uri: String,
    backchannel_logout_uri: String,
}

/// What it remembers until it is stopped.
#[derive(Default)]
struct Held {
    sessions: HashMap<String, Session>,
    codes: HashMap<String, Code>,
    access: HashMap<String, (Code, DateTime<Utc>)>,
}

#[derive(Clone, Debug)]
struct Session {
    sid: String,
    person: PersonId,
    auth_time: DateTime<Utc>,
}

/// A sign-in that the client may ask about once.
#[derive(Clone, Debug)]
struct Code {
    session: Session,
    nonce: Option<String>,
    challenge: String,
    acr: String,
    expires_at: DateTime<Utc>,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Anybody could sign in as anybody, from anywhere.
    #[error("the demo identity provider serves this machine alone, and {0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// Its key cannot be kept.
    #[error("the demo identity provider's key cannot be read or written")]
    Key(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An authorization request, as far as we look at it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Authorize {
    client_id: Option<String>,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    prompt: Option<String>,
    max_age: Option<i64>,
    login_hint: Option<String>,
    acr_values: Option<String>,
}

type Idp = State<Arc<DemoIdp>>;

impl DemoIdp {
    /// The provider that will listen at this address, for the server that browsers reach at this one.
    pub fn new(listen: SocketAddr, store: Store, clock: Clock, public_url: &str, data_dir: &Path) -> Result<Arc<Self>, Error> {
        if !listen.ip().is_loopback() {
            return Err(Error::NotLoopback(listen));
        }
        let client = Client {
            secret: random_token(),
            redirect_uri: format!("{public_url}/auth/callback"),
            post_logout_redirect_uri: format!("{public_url}/"),
            backchannel_logout_uri: format!("{public_url}/auth/backchannel-logout"),
        };
        let key = key::Key::kept_in(data_dir).map_err(Error::Key)?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(5))
            .no_proxy()
            .build()
            .map_err(|error| Error::Key(error.into()))?;
        Ok(Arc::new(Self { store, clock, issuer: format!("http://{listen}"), client, key, http, state: Mutex::default() }))
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The secret of its one client; another one at each start.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.client.secret
    }

    /// Its pages and endpoints.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize).post(choose))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo).post(userinfo))
            .route("/end_session", get(end_session).post(end_session_confirmed))
            .route("/style.css", get(page::style))
            .with_state(self)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        let mut held = self.state.lock().expect("nothing panics while holding the state");
        let now = self.clock.now();
        held.codes.retain(|_, code| code.expires_at > now);
        held.access.retain(|_, (_, expires_at)| *expires_at > now);
        held.sessions.retain(|_, session| now - session.auth_time < SESSION_MAX);
        held
    }

    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let token = CookieStyle::Loopback.read(COOKIE, headers)?;
        self.held().sessions.get(&token).cloned()
    }

    /// The answer to an authorization request that somebody's sign-in satisfies.
    fn grant(&self, request: &Authorize, session: Session) -> Response {
        let code = random_token();
        let held = Code {
            session,
            nonce: request.nonce.clone(),
            challenge: request.code_challenge.clone().unwrap_or_default(),
            acr: request.acr_values.as_deref().and_then(|values| values.split(' ').next()).unwrap_or(PLAIN_ACR).to_owned(),
            expires_at: self.clock.now() + CODE_MAX,
        };
        self.held().codes.insert(code.clone(), held);
        self.answer(request, &[("code", &code)])
    }

    /// Signs this person in, as of now, and grants. A sign-in of the same person again keeps its `sid`.
    fn sign_in(&self, request: &Authorize, person: PersonId, before: Option<Session>) -> Response {
        let sid = before.filter(|session| session.person == person).map_or_else(random_token, |session| session.sid);
        let session = Session { sid, person, auth_time: self.clock.now() };
        let token = random_token();
        {
            let mut held = self.held();
            held.sessions.retain(|_, old| old.sid != session.sid);
            held.sessions.insert(token.clone(), session.clone());
        }
        with_cookie(self.grant(request, session), &CookieStyle::Loopback.make(COOKIE, token).to_string())
    }

    fn answer(&self, request: &Authorize, parameters: &[(&str, &str)]) -> Response {
        let mut url = Url::parse(&self.client.redirect_uri).expect("it is made from our own address");
        url.query_pairs_mut().extend_pairs(parameters).append_pair("iss", &self.issuer);
        if let Some(state) = &request.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Redirect::to(url.as_str()).into_response()
    }

    /// Who is meant by a `login_hint`: a person's id or login name.
    async fn hinted(&self, request: &Authorize) -> store::Result<Option<DirectoryRow>> {
        let Some(hint) = request.login_hint.as_deref().filter(|hint| !hint.is_empty()) else { return Ok(None) };
        let people = self.store.directory().await?;
        Ok(people.into_iter().find(|person| person.slug == hint || person.upn.as_deref() == Some(hint) || person.id.to_string() == hint))
    }

    /// What must be right before anything else is looked at; otherwise nobody is redirected anywhere.
    fn refusal(&self, request: &Authorize) -> Option<Response> {
        if request.client_id.as_deref() != Some(CLIENT_ID) || request.redirect_uri.as_ref() != Some(&self.client.redirect_uri) {
            return Some(Page::Wrong("Ukendt klient eller adresse.").answer(StatusCode::BAD_REQUEST));
        }
        let error = if request.response_type.as_deref() != Some("code") {
            "unsupported_response_type"
        } else if !request.scope.as_deref().unwrap_or_default().split(' ').any(|scope| scope == "openid") {
            "invalid_scope"
        } else if request.code_challenge_method.as_deref() != Some("S256")
            || request.code_challenge.as_ref().is_none_or(|it| it.len() != 43)
        {
            "invalid_request"
        } else {
            return None;
        };
        Some(self.answer(request, &[("error", error)]))
    }

    async fn claims(&self, code: &Code) -> store::Result<Option<Value>> {
        let people = self.store.directory().await?;
        let Some(person) = people.into_iter().find(|person| person.id == code.session.person) else { return Ok(None) };
        Ok(Some(json!({
            "sub": person.id.to_string(),
            PERSON_CLAIM: person.id.to_string(),
            "name": person.name,
            "preferred_username": person.upn,
            "roles": token_roles(&person).into_iter().map(Role::id).collect::<Vec<_>>(),
        })))
    }

    /// Tells the client that one of the provider's sessions is over.
    async fn tell_client(&self, session: &Session) {
        let now = self.clock.now();
        let token = self.key.sign(
            "logout+jwt",
            &json!({
                "iss": self.issuer, "aud": CLIENT_ID, "sub": session.person.to_string(), "sid": session.sid, "jti": random_token(),
                "iat": now.timestamp(), "exp": (now + Duration::minutes(2)).timestamp(),
                "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
            }),
        );
        let body = format!("logout_token={token}");
        let request = self.http.post(&self.client.backchannel_logout_uri);
        let sent = request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await;
        match sent {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => tracing::warn!(status = answer.status().as_u16(), "the demo provider's logout token was not taken"),
            Err(error) => tracing::warn!(%error, "the demo provider could not tell the server of a sign-out"),
        }
    }
}

/// Serves the provider until `stop` is done.
pub async fn serve(
    listener: tokio::net::TcpListener,
    idp: Arc<DemoIdp>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, idp.router()).with_graceful_shutdown(stop).await
}

/// What the token says somebody may be: the roles of their places, and for a substitute one that lets the place count.
fn token_roles(person: &DirectoryRow) -> BTreeSet<Role> {
    let placed: BTreeSet<_> = person.roles.iter().filter_map(|role| Role::from_id(role)).collect();
    let mut roles: BTreeSet<_> = placed.iter().copied().filter(|role| role.in_token().contains(role)).collect();
    for role in placed {
        if !role.in_token().iter().any(|role| roles.contains(role)) {
            // What stands in the token for whoever stands in for somebody (design §6).
            roles.insert(Role::UnitLeader);
        }
    }
    roles
}

async fn discovery(State(idp): Idp) -> Response {
    let issuer = &idp.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "end_session_endpoint": format!("{issuer}/end_session"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile"],
        "prompt_values_supported": ["none", "login"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    }))
    .into_response()
}

async fn jwks(State(idp): Idp) -> Response {
    Json(json!({ "keys": [idp.key.public()] })).into_response()
}

async fn authorize(State(idp): Idp, headers: HeaderMap, Query(request): Query<Authorize>) -> Response {
    if let Some(refusal) = idp.refusal(&request) {
        return refusal;
    }
    let Ok(hinted) = idp.hinted(&request).await else { return Page::unavailable() };
    let session = idp.session(&headers);
    let now = idp.clock.now();
    let fresh = session.clone().filter(|session| {
        let as_hinted = hinted.as_ref().is_none_or(|person| person.id == session.person);
        as_hinted && request.max_age.is_none_or(|age| (now - session.auth_time).num_seconds() <= age)
    });
    match (request.prompt.as_deref(), fresh, hinted) {
        (None | Some("none"), Some(session), _) => idp.grant(&request, session),
        (Some("none"), None, _) => idp.answer(&request, &[("error", "login_required")]),
        (Some(_), _, hinted) => sign_in_page(&idp, &request, hinted).await,
        (None, None, Some(person)) => idp.sign_in(&request, person.id, session),
        (None, None, None) => sign_in_page(&idp, &request, None).await,
    }
}

async fn sign_in_page(idp: &DemoIdp, request: &Authorize, hinted: Option<DirectoryRow>) -> Response {
    match idp.store.directory().await {
        Ok(people) => Page::SignIn { request, people, hinted }.answer(StatusCode::OK),
        Err(_) => Page::unavailable(),
    }
}

#[derive(Deserialize)]
struct Choice {
    person: String,
}

/// Somebody pressed a name on the sign-in page.
async fn choose(State(idp): Idp, headers: HeaderMap, Query(request): Query<Authorize>, Form(choice): Form<Choice>) -> Response {
    if let Some(refusal) = idp.refusal(&request) {
        return refusal;
    }
    if !from_own_page(&idp, &headers) {
        return Page::Wrong("Forespørgslen kommer fra et andet websted.").answer(StatusCode::FORBIDDEN);
    }
    let session = idp.session(&headers);
    match idp.hinted(&Authorize { login_hint: Some(choice.person), ..request.clone() }).await {
        Ok(Some(person)) => idp.sign_in(&request, person.id, session),
        Ok(None) => Page::Wrong("Der er ingen person med det id.").answer(StatusCode::BAD_REQUEST),
        Err(_) => Page::unavailable(),
    }
}

#[derive(Deserialize)]
struct TokenRequest {
    grant_type: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

async fn token(State(idp): Idp, headers: HeaderMap, Form(request): Form<TokenRequest>) -> Response {
    let refuse = |status, error| no_store((status, Json(json!({ "error": error }))).into_response());
    let basic = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let basic = basic.and_then(|text| String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok());
    let (id, secret) = match &basic {
        Some(pair) => pair.split_once(':').unwrap_or_default(),
        None => (request.client_id.as_deref().unwrap_or_default(), request.client_secret.as_deref().unwrap_or_default()),
    };
    if id != CLIENT_ID || secret != idp.client.secret {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if request.grant_type.as_deref() != Some("authorization_code") {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let code = request.code.and_then(|code| idp.held().codes.remove(&code));
    let challenge = request.code_verifier.map(|verifier| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
    let code =
        code.filter(|code| challenge.as_ref() == Some(&code.challenge) && request.redirect_uri.as_ref() == Some(&idp.client.redirect_uri));
    let Some(code) = code else { return refuse(StatusCode::BAD_REQUEST, "invalid_grant") };
    let Ok(Some(Value::Object(mut claims))) = idp.claims(&code).await else { return refuse(StatusCode::BAD_REQUEST, "invalid_grant") };
    let now = idp.clock.now();
    let about_token = json!({
        "iss": idp.issuer, "aud": CLIENT_ID, "iat": now.timestamp(), "exp": (now + TOKEN_MAX).timestamp(), "nonce": code.nonce,
        "auth_time": code.session.auth_time.timestamp(), "acr": code.acr, "sid": code.session.sid,
    });
    claims.extend(about_token.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    let access_token = random_token();
    idp.held().access.insert(access_token.clone(), (code, now + TOKEN_MAX));
    no_store(
        Json(json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": TOKEN_MAX.num_seconds(),
            "id_token": idp.key.sign("JWT", &Value::Object(claims)),
        }))
        .into_response(),
    )
}

async fn userinfo(State(idp): Idp, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let code = bearer.and_then(|token| idp.held().access.get(token).map(|(code, _)| code.clone()));
    let Some(code) = code else { return StatusCode::UNAUTHORIZED.into_response() };
    match idp.claims(&code).await {
        Ok(Some(claims)) => no_store(Json(claims).into_response()),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

#[derive(Clone, Deserialize)]
struct EndSession {
    id_token_hint: Option<String>,
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
}

/// Whoever brings the token of this very session signs out at once; anybody else is asked first.
async fn end_session(State(idp): Idp, headers: HeaderMap, Query(request): Query<EndSession>) -> Response {
    let hinted = request.id_token_hint.as_deref().and_then(|token| idp.key.sid_of(token, &idp.issuer));
    match (hinted, idp.session(&headers)) {
        (Some(sid), session) if session.as_ref().is_none_or(|session| session.sid == sid) => sign_out(&idp, &sid, &request).await,
        (_, None) => leave(&idp, &request),
        (_, Some(_)) => Page::SignOut { request: &request }.answer(StatusCode::OK),
    }
}

/// Somebody answered yes.
async fn end_session_confirmed(State(idp): Idp, headers: HeaderMap, Form(request): Form<EndSession>) -> Response {
    match idp.session(&headers) {
        Some(session) if from_own_page(&idp, &headers) => sign_out(&idp, &session.sid, &request).await,
        _ => leave(&idp, &request),
    }
}

async fn sign_out(idp: &DemoIdp, sid: &str, request: &EndSession) -> Response {
    let ended: Vec<_> = {
        let mut held = idp.held();
        held.sessions.extract_if(|_, session| session.sid == sid).map(|(_, session)| session).collect()
    };
    for session in &ended {
        idp.tell_client(session).await;
    }
    with_cookie(leave(idp, request), &CookieStyle::Loopback.unmake(COOKIE).to_string())
}

fn leave(idp: &DemoIdp, request: &EndSession) -> Response {
    if request.post_logout_redirect_uri.as_ref() != Some(&idp.client.post_logout_redirect_uri) {
        return Page::SignedOut.answer(StatusCode::OK);
    }
    let mut url = Url::parse(&idp.client.post_logout_redirect_uri).expect("it is made from our own address");
    if let Some(state) = &request.state {
        url.query_pairs_mut().append_pair("state", state);
    }
    Redirect::to(url.as_str()).into_response()
}

fn from_own_page(idp: &DemoIdp, headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes() == idp.issuer.as_bytes())
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    no_store(response)
}
