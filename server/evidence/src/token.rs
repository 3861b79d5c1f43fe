//! The identity provider's own words: an ID token, checked again long afterwards with nothing but the key that was kept with it. That the
//! token was fresh and its level enough was checked when it came; both are checked again here against what the statement asked for.

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::Jwk};
use serde::Deserialize;
use serde_json::Value;

use crate::statement::{Statement, nonce};

/// How far two honest clocks may differ, when nobody has said otherwise.
pub const CLOCK_SKEW: Duration = Duration::seconds(60);
/// Signatures that count; the provider's secret (HS…) is known to two, so it proves nothing.
const ALGORITHMS: [Algorithm; 7] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// Why a token does not prove a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// It is no token, or the key that was kept is none.
    #[error("the token or its key cannot be read")]
    Malformed,
    /// Not signed by the key that was kept.
    #[error("the token is not signed by the key that was kept")]
    Signature,
    /// Its nonce names another statement, or none.
    #[error("the token is for another statement")]
    Nonce,
    /// From another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// About another person.
    #[error("the token is about another person")]
    Subject,
    /// For another client.
    #[error("the token is for another program")]
    Audience,
    /// It does not say when the person signed in.
    #[error("the token does not say when the person signed in")]
    NoAuthTime,
    /// The person did not sign in anew: `auth_time` is before the button was pressed.
    #[error("the sign-in is older than the approval")]
    NotFresh,
    /// The person is said to have signed in after the token was made.
    #[error("the sign-in lies in the future")]
    Ahead,
    /// The level is lower than what was asked for.
    #[error("the sign-in did not reach the level that was asked for")]
    Level,
}

/// What a believed token says about the act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// When the person signed in.
    pub auth_time: DateTime<Utc>,
    /// At which level, if the token says.
    pub acr: Option<String>,
    /// When the token was made.
    pub issued_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    azp: Option<String>,
    iat: i64,
    auth_time: Option<i64>,
    nonce: Option<String>,
    acr: Option<String>,
    /// Entra: one value, or several.
    acrs: Option<Value>,
}

/// Checks that this token, under this key (a JWK), proves this statement. `skew` is how far the provider's clock may be from ours.
pub fn prove(token: &str, key: &str, statement: &Statement, spelled: &[u8], skew: Duration) -> Result<Proof, NotProven> {
    let claims = believed(token, key)?;
    if claims.nonce.as_deref() != Some(&nonce(spelled)) {
        return Err(NotProven::Nonce);
    }
    if claims.iss != statement.identity.issuer {
        return Err(NotProven::Issuer);
    }
    if claims.sub != statement.identity.subject {
        return Err(NotProven::Subject);
    }
    let audience = strings(&claims.aud);
    let ours = &statement.identity.client;
    if !audience.contains(&ours.as_str()) || (audience.len() > 1 && claims.azp.as_ref() != Some(ours)) {
        return Err(NotProven::Audience);
    }
    let moment = |seconds: i64| DateTime::from_timestamp(seconds, 0).ok_or(NotProven::Malformed);
    let issued_at = moment(claims.iat)?;
    let auth_time = moment(claims.auth_time.ok_or(NotProven::NoAuthTime)?)?;
    // `auth_time` has whole seconds: it may seem up to one before the button.
    if auth_time < statement.at.trunc_subsecs(0) - skew {
        return Err(NotProven::NotFresh);
    }
    if auth_time > issued_at + skew {
        return Err(NotProven::Ahead);
    }
    let required = &statement.identity.required_acr;
    let reached = claims.acr.iter().map(String::as_str).chain(claims.acrs.iter().flat_map(strings));
    if !required.is_empty() && !reached.clone().any(|level| required.iter().any(|one| one == level)) {
        return Err(NotProven::Level);
    }
    let acr = claims.acr.clone().or_else(|| claims.acrs.as_ref().and_then(|acrs| strings(acrs).first().map(|one| (*one).to_owned())));
    Ok(Proof { auth_time, acr, issued_at })
}

fn believed(token: &str, key: &str) -> Result<Claims, NotProven> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| NotProven::Malformed)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(NotProven::Signature);
    }
    let key: Jwk = serde_json::from_str(key).map_err(|_| NotProven::Malformed)?;
    let key = DecodingKey::from_jwk(&key).map_err(|_| NotProven::Malformed)?;
    // Whether it has expired since says nothing: it is read long afterwards. Everything else is checked by the caller, one by one.
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Claims>(token, &key, &validation).map(|decoded| decoded.claims).map_err(|_| NotProven::Signature)
}

/// One string, or a list of them.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
