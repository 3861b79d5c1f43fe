//! Logout tokens: the provider tells us, behind the browser's back, that somebody signed out (OpenID Connect Back-Channel Logout
//! 1.0, section 2.6). Each of its rules is checked here except the last, that a token counts once; that one needs the database.

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::Value;

use super::{Error, Metadata, Provider};
use crate::domain::claims::{CLOCK_SKEW, Claims};

/// The event that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// A logout token without an end of its own is taken for so long.
pub const TAKEN_FOR: Duration = Duration::minutes(2);

/// Somebody who signed out at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// Who; `None`: whoever the session belongs to.
    pub subject: Option<String>,
    /// Which of the provider's sessions; `None`: all of this person's.
    pub sid: Option<String>,
    /// The token's own id.
    pub jti: String,
    /// From then on the token is too old to be taken.
    pub expires_at: DateTime<Utc>,
}

/// Why a logout token is not obeyed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not a token.
    #[error("it cannot be read")]
    Unreadable,
    /// `typ` is not `logout+jwt`: it may be an ID token.
    #[error("it is not of type logout+jwt")]
    Type,
    /// The algorithm is not one of ours.
    #[error("it is signed in a way that is not accepted")]
    Algorithm,
    /// None of the provider's keys signed it, or its issuer or audience is another.
    #[error("its signature, issuer or audience is wrong")]
    Signature,
    /// It is not from now.
    #[error("it was not issued just now")]
    Time,
    /// It does not carry the logout event.
    #[error("it does not carry the logout event")]
    Event,
    /// It carries a nonce: it is an ID token in disguise.
    #[error("it carries a nonce")]
    Nonce,
    /// It names nobody.
    #[error("it names neither session nor subject")]
    Nobody,
    /// It has no id, so that it could come twice.
    #[error("it has no id")]
    Id,
}

impl Provider {
    /// Reads a logout token and believes it only if every field is right.
    pub async fn signed_out(&self, token: &str, now: DateTime<Utc>) -> Result<SignedOut, Error> {
        let metadata = self.metadata(now).await?;
        let believed = match self.read(&metadata, token, now) {
            Err(Refused::Signature) => self.read(&*self.with_new_keys(now).await?, token, now),
            other => other,
        };
        believed.map_err(|refused| Error::Token(refused.into()))
    }

    fn read(&self, metadata: &Metadata, token: &str, now: DateTime<Utc>) -> Result<SignedOut, Refused> {
        let header = decode_header(token).map_err(|_| Refused::Unreadable)?;
        let typ = header.typ.unwrap_or_default().to_ascii_lowercase();
        if typ.strip_prefix("application/").unwrap_or(&typ) != "logout+jwt" {
            return Err(Refused::Type);
        }
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) {
            return Err(Refused::Algorithm);
        }
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[self.issuer()]);
        validation.set_audience(&[&self.inner.settings.client_id]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        // Time is checked below, against our own clock.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let keys = serde_json::to_value(metadata.jwks()).and_then(serde_json::from_value::<JwkSet>).map_err(|_| Refused::Signature)?;
        let mut candidates = keys.keys.iter().filter(|key| header.kid.is_none() || key.common.key_id == header.kid);
        let claims: Claims = candidates
            .find_map(|key| decode(token, &DecodingKey::from_jwk(key).ok()?, &validation).ok())
            .map(|token| token.claims)
            .ok_or(Refused::Signature)?;
        signed_out(&claims, now)
    }
}

/// What a logout token that was really signed by the provider for us must say.
fn signed_out(claims: &Claims, now: DateTime<Utc>) -> Result<SignedOut, Refused> {
    let seconds =
        |claim: &str| claims.get(claim).map(|value| value.as_i64().and_then(|at| DateTime::from_timestamp(at, 0)).ok_or(Refused::Time));
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let issued_at = seconds("iat").ok_or(Refused::Time)??;
    let expires_at = seconds("exp").transpose()?.unwrap_or(issued_at + TAKEN_FOR);
    if issued_at > now + CLOCK_SKEW || now - issued_at > TAKEN_FOR + CLOCK_SKEW || expires_at + CLOCK_SKEW <= now {
        return Err(Refused::Time);
    }
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(Refused::Event);
    }
    if claims.contains_key("nonce") {
        return Err(Refused::Nonce);
    }
    let (subject, sid) = (text("sub"), text("sid"));
    if subject.is_none() && sid.is_none() {
        return Err(Refused::Nobody);
    }
    let jti = text("jti").ok_or(Refused::Id)?;
    // Kept until no clock that is a little off would take it again.
    let expires_at = expires_at.max(issued_at + TAKEN_FOR) + CLOCK_SKEW + CLOCK_SKEW;
    Ok(SignedOut { subject, sid, jti, expires_at })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn each_field_decides() {
        let good = json!({"iat": at(0).timestamp(), "exp": at(120).timestamp(), "jti": "1", "sid": "s", "sub": "p", "events": {EVENT: {}}});
        let changed = |change: &dyn Fn(&mut Claims)| {
            let mut claims = good.as_object().unwrap().clone();
            change(&mut claims);
            signed_out(&claims, at(0))
        };
        let set = |claim: &'static str, value: Value| changed(&|claims| _ = claims.insert(claim.to_owned(), value.clone()));
        let without = |claim: &'static str| changed(&|claims| _ = claims.remove(claim));

        let both = SignedOut { subject: Some("p".to_owned()), sid: Some("s".to_owned()), jti: "1".to_owned(), expires_at: at(240) };
        assert_eq!(changed(&|_| {}), Ok(both.clone()));
        assert_eq!(without("sub"), Ok(SignedOut { subject: None, ..both.clone() }));
        assert_eq!(without("sid"), Ok(SignedOut { sid: None, ..both.clone() }));
        assert_eq!(without("exp"), Ok(both));
        let refused = [
            ("no iat", without("iat"), Refused::Time),
            ("iat as text", set("iat", json!("now")), Refused::Time),
            ("iat ahead", set("iat", json!(at(61).timestamp())), Refused::Time),
            ("iat long ago", set("iat", json!(at(-181).timestamp())), Refused::Time),
            ("run out", set("exp", json!(at(-60).timestamp())), Refused::Time),
            ("exp as text", set("exp", json!("never")), Refused::Time),
            ("no events", without("events"), Refused::Event),
            ("another event", set("events", json!({"other": {}})), Refused::Event),
            ("an event that is no object", set("events", json!({EVENT: true})), Refused::Event),
            ("events as text", set("events", json!(EVENT)), Refused::Event),
            ("a nonce", set("nonce", json!("n")), Refused::Nonce),
            ("an empty nonce", set("nonce", json!(null)), Refused::Nonce),
            (
                "nobody",
                changed(&|claims| {
                    claims.remove("sub");
                    claims.remove("sid");
                }),
                Refused::Nobody,
            ),
            ("no jti", without("jti"), Refused::Id),
            ("an empty jti", set("jti", json!("")), Refused::Id),
        ];
        for (name, got, expected) in refused {
            assert_eq!(got, Err(expected), "{name}");
        }
    }
}
