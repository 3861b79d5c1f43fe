//! A provider that signs whatever it is told to, and a client that must believe only the one good token.

use std::sync::Mutex;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use p256::{SecretKey, pkcs8::EncodePrivateKey as _};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "not-known-to-anybody-else";
const NONCE: &str = "the-nonce-of-this-attempt";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// A key that the provider may or may not admit to.
#[derive(Clone)]
struct Key {
    private: EncodingKey,
    public: Jwk,
}

impl Key {
    fn new(number: u8, id: &str) -> Self {
        let secret = SecretKey::from_slice(&[number; 32]).unwrap();
        let private = EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes());
        let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
        public.common.key_id = Some(id.to_owned());
        Self { private, public }
    }
}

/// What the provider answers.
#[derive(Clone)]
struct Says {
    discovery: Value,
    keys: Vec<Jwk>,
    token: Answer,
    keys_asked: u32,
}

#[derive(Clone)]
enum Answer {
    Token(String),
    Json(StatusCode, Value),
    Html,
    Elsewhere,
    Endless,
}

#[derive(Clone)]
struct Evil {
    says: Arc<Mutex<Says>>,
    issuer: String,
    key: Key,
}

impl Evil {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = Key::new(7, "k1");
        let discovery = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        let says = Says { discovery, keys: vec![key.public.clone()], token: Answer::Html, keys_asked: 0 };
        let evil = Self { says: Arc::new(Mutex::new(says)), issuer, key };
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async |State(evil): State<Evil>| Json(evil.says(|says| says.discovery.clone()))),
            )
            .route("/moved", get(async || Redirect::to("/.well-known/openid-configuration")))
            .route(
                "/jwks",
                get(async |State(evil): State<Evil>| {
                    Json(evil.says(|says| {
                        says.keys_asked += 1;
                        json!({ "keys": says.keys })
                    }))
                }),
            )
            .route("/token", post(async |State(evil): State<Evil>| evil.token()))
            .with_state(evil.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        evil
    }

    fn says<T>(&self, change: impl FnOnce(&mut Says) -> T) -> T {
        change(&mut self.says.lock().unwrap())
    }

    fn token(&self) -> Response {
        match self.says(|says| says.token.clone()) {
            Answer::Token(token) => {
                Json(json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token })).into_response()
            }
            Answer::Json(status, body) => (status, Json(body)).into_response(),
            Answer::Html => "<h1>Velkommen</h1>".into_response(),
            Answer::Elsewhere => Redirect::temporary("/token2").into_response(),
            Answer::Endless => ([("content-type", "application/json")], vec![b' '; 1024 * 1024 + 1]).into_response(),
        }
    }

    fn provider(&self) -> Provider {
        Provider::new(Settings {
            issuer: self.issuer.clone(),
            client_id: "samspil".to_owned(),
            client_secret: ClientSecret::new(SECRET.to_owned()),
            public_url: "https://samspil.example.dk".to_owned(),
            scopes: Vec::new(),
        })
        .unwrap()
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": "samspil", "sub": "p-1", "nonce": NONCE, "iat": at(0).timestamp(), "exp": at(300).timestamp(),
            "roles": ["unit_leader"], "sid": "s-1",
        })
    }

    /// The good token, with something changed.
    fn with(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.sign(&Self::header(), &claims)
    }

    fn without(&self, claim: &str) -> String {
        self.with(|claims| _ = claims.as_object_mut().unwrap().remove(claim))
    }

    fn header() -> Header {
        Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::ES256) }
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key.private).unwrap()
    }

    async fn try_token(&self, provider: &Provider, token: String) -> Result<Token, Error> {
        self.says(|says| says.token = Answer::Token(token));
        self.exchange(provider, at(0)).await
    }

    async fn exchange(&self, provider: &Provider, now: DateTime<Utc>) -> Result<Token, Error> {
        provider.exchange("code".to_owned(), "v".repeat(43), NONCE.to_owned(), now).await
    }
}

fn set(claim: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |claims| claims[claim] = value
}

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn only_a_token_in_which_everything_is_right_is_believed() {
    let evil = Evil::start().await;
    let provider = evil.provider();
    let good = evil.with(|_| {});
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let es256 = |change: &dyn Fn(&mut Header)| {
        let mut header = Evil::header();
        change(&mut header);
        evil.sign(&header, &evil.claims())
    };
    let hs256 = |secret: &[u8]| {
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &evil.claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let by_another = |id: &str| {
        let header = Header { kid: Some(id.to_owned()), ..Evil::header() };
        encode(&header, &evil.claims(), &Key::new(9, id).private).unwrap()
    };
    let other_header = |change: Value| {
        let mut changed = json!({"typ": "JWT", "alg": "ES256", "kid": "k1"});
        changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        format!("{}.{payload}.{signature}", part(&changed))
    };
    let mut another = evil.claims();
    another["sub"] = json!("p-2");
    let public = serde_json::to_string(&evil.key.public).unwrap();
    let cases: Vec<(&str, String, bool)> = vec![
        ("the good one", good.clone(), true),
        ("aud as a list of us alone", evil.with(set("aud", json!(["samspil"]))), true),
        ("azp is us", evil.with(set("azp", json!("samspil"))), true),
        ("run out for 59 s", evil.with(set("exp", json!(at(-59).timestamp()))), true),
        ("issued 60 s ahead", evil.with(set("iat", json!(at(60).timestamp()))), true),
        ("no kid, one key", es256(&|header| header.kid = None), true),
        ("iss of another", evil.with(set("iss", json!("https://login.example.dk"))), false),
        ("iss with a slash more", evil.with(set("iss", json!(format!("{}/", evil.issuer)))), false),
        ("iss in capitals", evil.with(set("iss", json!(evil.issuer.to_uppercase()))), false),
        ("no iss", evil.without("iss"), false),
        ("aud of another", evil.with(set("aud", json!("other"))), false),
        ("aud of us and another", evil.with(set("aud", json!(["samspil", "other"]))), false),
        ("aud of nobody", evil.with(set("aud", json!([]))), false),
        ("no aud", evil.without("aud"), false),
        ("azp of another", evil.with(set("azp", json!("other"))), false),
        ("azp of no type", evil.with(set("azp", json!(["samspil"]))), false),
        ("run out for 60 s", evil.with(set("exp", json!(at(-60).timestamp()))), false),
        ("run out long ago", evil.with(set("exp", json!(at(-86_400).timestamp()))), false),
        ("no exp", evil.without("exp"), false),
        ("exp of no type", evil.with(set("exp", json!("never"))), false),
        ("issued 61 s ahead", evil.with(set("iat", json!(at(61).timestamp()))), false),
        ("issued 61 s ago", evil.with(set("iat", json!(at(-61).timestamp()))), false),
        ("no iat", evil.without("iat"), false),
        ("not valid yet", evil.with(set("nbf", json!(at(61).timestamp()))), false),
        ("nbf of no type", evil.with(set("nbf", json!("soon"))), false),
        ("nonce of another attempt", evil.with(set("nonce", json!("another"))), false),
        ("an empty nonce", evil.with(set("nonce", json!(""))), false),
        ("no nonce", evil.without("nonce"), false),
        ("no sub", evil.without("sub"), false),
        ("an empty sub", evil.with(set("sub", json!(""))), false),
        ("not signed, and says so", format!("{}.{payload}.", part(&json!({"alg": "none"}))), false),
        ("not signed, and says None", format!("{}.{payload}.", part(&json!({"alg": "None"}))), false),
        ("signed with our secret", hs256(SECRET.as_bytes()), false),
        ("signed with the public key as a secret", hs256(public.as_bytes()), false),
        ("signed by another key of that name", by_another("k1"), false),
        ("signed by a key nobody knows", by_another("k9"), false),
        ("says RS256", other_header(json!({"alg": "RS256"})), false),
        ("says ES384", other_header(json!({"alg": "ES384"})), false),
        ("brings its own key", other_header(json!({"jwk": evil.key.public})), false),
        ("says where keys are", other_header(json!({"jku": "https://evil.example/jwks"})), false),
        ("wants something understood", other_header(json!({"crit": ["b64"], "b64": false})), false),
        ("is a logout token", es256(&|header| header.typ = Some("logout+jwt".to_owned())), false),
        ("payload changed", format!("{header}.{}.{signature}", part(&another)), false),
        ("signature cut", format!("{header}.{payload}.{}", &signature[..40]), false),
        ("no signature", format!("{header}.{payload}."), false),
        ("two parts", format!("{header}.{payload}"), false),
        ("five parts", format!("{good}.x.y"), false),
        ("nothing", String::new(), false),
    ];
    let mut wrong = Vec::new();
    for (name, token, expected) in cases {
        let got = evil.try_token(&provider, token).await;
        if got.is_ok() != expected {
            wrong.push(format!("{name}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_believed_is_handed_on_whole() {
    let evil = Evil::start().await;
    let token = evil.try_token(&evil.provider(), evil.with(set("acr", json!("2")))).await.unwrap();
    assert_eq!((token.subject.as_str(), token.text("sid"), token.acr.as_deref()), ("p-1", Some("s-1"), Some("2")));
    assert_eq!(token.claims["roles"], json!(["unit_leader"]));
}

#[tokio::test]
async fn a_key_that_changed_during_a_sign_in_is_fetched_once_a_minute() {
    let evil = Evil::start().await;
    let provider = evil.provider();
    evil.try_token(&provider, evil.with(|_| {})).await.unwrap();
    let new = Key::new(8, "k2");
    let signed = |seconds: i64| {
        let mut claims = evil.claims();
        claims["iat"] = json!(at(seconds).timestamp());
        let header = Header { kid: Some("k2".to_owned()), ..Evil::header() };
        evil.says(|says| says.token = Answer::Token(encode(&header, &claims, &new.private).unwrap()));
    };
    evil.says(|says| says.keys = vec![new.public.clone()]);
    signed(30);
    assert!(evil.exchange(&provider, at(30)).await.is_err(), "the keys are half a minute old");
    assert_eq!(evil.says(|says| says.keys_asked), 1);
    signed(61);
    evil.exchange(&provider, at(61)).await.unwrap();
    signed(62);
    evil.exchange(&provider, at(62)).await.unwrap();
    assert_eq!(evil.says(|says| says.keys_asked), 2);
}

#[tokio::test]
async fn an_answer_that_is_none_is_the_providers_failure() {
    let evil = Evil::start().await;
    let provider = evil.provider();
    let refused = json!({"error": "invalid_grant", "error_description": "no such code"});
    let answers = [
        ("refused", Answer::Json(StatusCode::BAD_REQUEST, refused), "refused"),
        ("no ID token", Answer::Json(StatusCode::OK, json!({"access_token": "a", "token_type": "Bearer"})), "token"),
        ("broken", Answer::Json(StatusCode::INTERNAL_SERVER_ERROR, json!({})), "provider"),
        ("a page", Answer::Html, "provider"),
        ("sent elsewhere", Answer::Elsewhere, "provider"),
        ("more than a MiB", Answer::Endless, "provider"),
    ];
    for (name, answer, expected) in answers {
        evil.says(|says| says.token = answer);
        let got = match evil.exchange(&provider, at(0)).await.unwrap_err() {
            Error::Provider { .. } => "provider",
            Error::Refused(_) => "refused",
            Error::Token(_) => "token",
            _ => "other",
        };
        assert_eq!(got, expected, "{name}");
    }
}

#[tokio::test]
async fn a_provider_that_calls_itself_something_else_is_not_used() {
    let evil = Evil::start().await;
    for issuer in ["https://login.example.dk".to_owned(), format!("{}/", evil.issuer)] {
        evil.says(|says| says.discovery["issuer"] = json!(issuer));
        assert!(matches!(evil.provider().depart(None, at(0)).await, Err(Error::Provider { step: "discovery", .. })), "{issuer}");
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_again_after_a_moment() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let evil = Evil::start().await;
    let provider = Provider::new(Settings { issuer: format!("http://{address}"), ..evil.provider().inner.settings.clone() }).unwrap();
    assert!(matches!(provider.depart(None, at(0)).await, Err(Error::Provider { .. })));
    assert!(matches!(provider.depart(None, at(1)).await, Err(Error::Down)));
    assert!(matches!(provider.depart(None, at(2)).await, Err(Error::Provider { .. })));
    let up = evil.provider();
    let departure = up.depart(Some("p-chef-skole".to_owned()), at(0)).await.unwrap();
    let query: std::collections::HashMap<_, _> = departure.url.query_pairs().into_owned().collect();
    assert_eq!(query["redirect_uri"], "https://samspil.example.dk/auth/callback");
    assert_eq!((query["code_challenge_method"].as_str(), query["scope"].as_str()), ("S256", "openid"));
    assert_eq!((&query["state"], &query["nonce"]), (&departure.state, &departure.nonce));
    assert_eq!(query["login_hint"], "p-chef-skole");
}

#[tokio::test]
async fn iss_in_the_answer_is_ours_and_there_if_it_was_promised() {
    let evil = Evil::start().await;
    let (silent, ours) = (evil.provider(), evil.issuer.as_str());
    assert!(silent.check_issuer(None, at(0)).await.is_ok());
    assert!(silent.check_issuer(Some(ours), at(0)).await.is_ok());
    assert!(matches!(silent.check_issuer(Some("https://login.example.dk"), at(0)).await, Err(Error::WrongIssuer)));
    evil.says(|says| says.discovery["authorization_response_iss_parameter_supported"] = json!(true));
    let promising = evil.provider();
    assert!(matches!(promising.check_issuer(None, at(0)).await, Err(Error::WrongIssuer)));
    assert!(promising.check_issuer(Some(ours), at(0)).await.is_ok());
}

#[tokio::test]
async fn a_logout_token_is_signed_by_the_provider_for_us() {
    let evil = Evil::start().await;
    let provider = evil.provider();
    let claims = json!({
        "iss": evil.issuer, "aud": "samspil", "iat": at(0).timestamp(), "jti": "1", "sid": "s-1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    let typ = |typ: Option<&str>| Header { typ: typ.map(str::to_owned), ..Evil::header() };
    let logout = typ(Some("logout+jwt"));
    let with = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        evil.sign(&logout, &claims)
    };
    let good = evil.sign(&logout, &claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let cases = [
        ("the good one", good.clone(), true),
        ("the longer type", evil.sign(&typ(Some("application/logout+jwt")), &claims), true),
        ("aud as a list", with("aud", json!(["samspil", "other"])), true),
        ("an ID token", evil.sign(&typ(Some("JWT")), &claims), false),
        ("no type", evil.sign(&typ(None), &claims), false),
        ("another issuer", with("iss", json!("https://login.example.dk")), false),
        ("no issuer", with("iss", Value::Null), false),
        ("another audience", with("aud", json!("other")), false),
        ("no audience", with("aud", Value::Null), false),
        ("another key", encode(&logout, &claims, &Key::new(9, "k1").private).unwrap(), false),
        (
            "our secret",
            encode(&Header { alg: Algorithm::HS256, ..logout.clone() }, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap(),
            false,
        ),
        ("no signature", format!("{signed}."), false),
        ("half a signature", format!("{signed}.{}", &signature[..40]), false),
        ("not signed, and says so", format!("{}.{}.", part(&json!({"alg": "none", "typ": "logout+jwt"})), part(&claims)), false),
        ("a nonce", with("nonce", json!("n")), false),
        ("issued an hour ago", with("iat", json!(at(-3600).timestamp())), false),
        ("no event", with("events", json!({})), false),
        ("nobody", with("sid", json!("")), false),
        ("no id", with("jti", Value::Null), false),
        ("nothing", String::new(), false),
    ];
    for (name, token, expected) in cases {
        let got = provider.signed_out(&token, at(0)).await;
        assert_eq!(got.is_ok(), expected, "{name}: {got:?}");
    }
}
