//! A municipality's identity provider that misbehaves on command: discovery, code flow, keys. It signs in whom it is told to, without a
//! page, and what the next token says can be altered in any way before it is signed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openidconnect::url::Url;
use p256::SecretKey;
use p256::pkcs8::EncodePrivateKey as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::database::demo_clock;

type Alter = Box<dyn FnOnce(&mut Value) + Send>;

/// The provider. Cheap to clone.
#[derive(Clone)]
pub struct OddProvider(Arc<Inner>);

struct Inner {
    issuer: String,
    key: EncodingKey,
    public: Jwk,
    says: Mutex<Says>,
}

#[derive(Default)]
struct Says {
    person: String,
    alter: Option<Alter>,
    iss: Option<String>,
    error: Option<String>,
    codes: HashMap<String, Value>,
    /// The address that a browser was last sent to.
    asked: Option<Url>,
    count: u32,
}

impl OddProvider {
    /// Our client id there.
    pub const CLIENT: &'static str = "samspil";
    /// The level that signatures ask for, and that it answers.
    pub const LEVEL: &'static str = "Substantial";

    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let secret = SecretKey::from_slice(&[17; 32]).unwrap();
        let key = EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes());
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        public.common.key_id = Some("odd".to_owned());
        let provider = Self(Arc::new(Inner { issuer, key, public, says: Mutex::default() }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(async |State(odd): State<OddProvider>| Json(json!({ "keys": [odd.0.public] }))))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Whoever comes next is this person.
    pub fn signs_in(&self, person: &str) {
        self.says(|says| person.clone_into(&mut says.person));
    }

    /// The next token is altered so before it is signed.
    pub fn alters(&self, alter: impl FnOnce(&mut Value) + Send + 'static) {
        self.says(|says| says.alter = Some(Box::new(alter)));
    }

    /// The next answer names another issuer.
    pub fn names_issuer(&self, issuer: &str) {
        self.says(|says| says.iss = Some(issuer.to_owned()));
    }

    /// The next answer is a refusal.
    pub fn refuses(&self, error: &str) {
        self.says(|says| says.error = Some(error.to_owned()));
    }

    /// What a browser was last sent with.
    pub fn asked(&self, parameter: &str) -> Option<String> {
        let url = self.says(|says| says.asked.clone()).expect("somebody was sent here");
        url.query_pairs().find(|(name, _)| name == parameter).map(|(_, value)| value.into_owned())
    }

    fn says<T>(&self, change: impl FnOnce(&mut Says) -> T) -> T {
        change(&mut self.0.says.lock().unwrap())
    }

    fn now() -> DateTime<Utc> {
        demo_clock().now()
    }
}

async fn discovery(State(odd): State<OddProvider>) -> Json<Value> {
    let issuer = odd.issuer();
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"], "authorization_response_iss_parameter_supported": true,
    }))
}

/// Sends the browser back at once, with a code for a token about whoever it was told to sign in.
async fn authorize(State(odd): State<OddProvider>, Query(asked): Query<HashMap<String, String>>, uri: axum::http::Uri) -> Response {
    let mut back = Url::parse(&asked["redirect_uri"]).unwrap();
    let now = OddProvider::now().timestamp();
    let issuer = odd.issuer().to_owned();
    odd.says(|says| {
        says.asked = Some(Url::parse(&format!("{issuer}{uri}")).unwrap());
        back.query_pairs_mut().append_pair("state", &asked["state"]).append_pair("iss", says.iss.take().as_deref().unwrap_or(&issuer));
        if let Some(error) = says.error.take() {
            back.query_pairs_mut().append_pair("error", &error);
            return;
        }
        let mut claims = json!({
            "iss": issuer, "aud": OddProvider::CLIENT, "sub": format!("sub-{}", says.person), "person": says.person, "iat": now,
            "exp": now + 300, "auth_time": now, "nonce": asked["nonce"], "acr": OddProvider::LEVEL, "sid": "s-1",
            "roles": ["unit_leader", "acting_unit_leader", "director", "head_of_department", "executive"],
        });
        if let Some(alter) = says.alter.take() {
            alter(&mut claims);
        }
        says.count += 1;
        let code = format!("code-{}", says.count);
        back.query_pairs_mut().append_pair("code", &code);
        says.codes.insert(code, claims);
    });
    Redirect::to(back.as_str()).into_response()
}

#[derive(Deserialize)]
struct Exchange {
    code: String,
}

async fn token(State(odd): State<OddProvider>, Form(exchange): Form<Exchange>) -> Response {
    let Some(claims) = odd.says(|says| says.codes.remove(&exchange.code)) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    let header = Header { kid: Some("odd".to_owned()), ..Header::new(Algorithm::ES256) };
    let token = jsonwebtoken::encode(&header, &claims, &odd.0.key).unwrap();
    Json(json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token })).into_response()
}
