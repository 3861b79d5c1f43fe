//! The municipality's identity provider, as its client: discovery, the way there and back, and what a token must be before we
//! believe it. Uses openidconnect for the protocol and adds what that leaves open: `iss` in the answer, `azp`, `iat`, `nbf`, a
//! list of algorithms, and keys that are fetched again when an unknown one turns up. Who the person is, `sign_in` decides.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, AuthenticationContextClass, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError,
    ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, LoginHint, LogoutProviderMetadata,
    LogoutRequest, Nonce, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadata, RedirectUrl, RequestTokenError,
    Scope, SignatureVerificationError, TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
        CoreGrantType, CoreIdToken, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
        CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
    },
    url::Url,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use self::fetch::Fetch;
use crate::{
    config::{AskedAs, StepUp},
    domain::claims::{CLOCK_SKEW, Claims},
};

mod fetch;
pub mod logout_token;

/// A provider that did not answer is left alone for so long, so that a crowd at the door does not queue behind it.
const RETRY_AFTER: Duration = Duration::seconds(2);
/// What the provider says about itself is asked for again after so long.
const KNOWN_FOR: Duration = Duration::hours(24);
/// A token under an unknown key makes us fetch the keys again, at most this often.
const KEYS_EVERY: Duration = Duration::minutes(1);

/// Which provider, and who we are there.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its issuer, matched exactly.
    pub issuer: String,
    /// Our client id.
    pub client_id: String,
    /// Our client secret.
    pub client_secret: ClientSecret,
    /// The address at which browsers reach us.
    pub public_url: String,
    /// Scopes beside `openid`, e.g. `profile`, or `allatclaims` for AD FS.
    pub scopes: Vec<String>,
}

/// The provider. Cheap to clone. Nothing is asked of it before somebody signs in, so that the server starts while it is down.
#[derive(Clone, Debug)]
pub struct Provider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    fetch: Fetch,
    known: Mutex<Known>,
}

/// What the provider said about itself, and when.
#[derive(Debug, Default)]
struct Known {
    metadata: Option<Arc<Metadata>>,
    asked_at: Option<DateTime<Utc>>,
    keys_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct ResponseIssuer {
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl AdditionalProviderMetadata for ResponseIssuer {}

type Metadata = ProviderMetadata<
    LogoutProviderMetadata<ResponseIssuer>,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Any error as a cause.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not answer, or not as a provider does.
    #[error("the identity provider failed at {step}")]
    Provider {
        /// What we asked it for.
        step: &'static str,
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// It did not answer a moment ago, and was not asked again.
    #[error("the identity provider did not answer a moment ago")]
    Down,
    /// It answered that it will not.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// The answer came from another issuer, or does not say from which.
    #[error("the answer does not come from the configured issuer")]
    WrongIssuer,
    /// The token cannot be believed.
    #[error("the token cannot be believed")]
    Token(#[source] Cause),
    /// Our own settings make no sense.
    #[error("{what} is not a URL that can be used")]
    Settings {
        /// Which one.
        what: &'static str,
        /// Why.
        #[source]
        cause: Cause,
    },
}

/// The way to the provider, and what must be kept until the browser comes back.
#[derive(Debug)]
pub struct Departure {
    /// Where to send the browser.
    pub url: Url,
    /// What comes back with it.
    pub state: String,
    /// What the token must repeat.
    pub nonce: String,
    /// What proves that the code is ours.
    pub pkce_verifier: String,
}

/// A token that was believed.
#[derive(Clone, Debug)]
pub struct Token {
    /// As it came.
    pub raw: String,
    /// Everything in it.
    pub claims: Claims,
    /// Who, at this issuer.
    pub subject: String,
    /// When they proved it.
    pub auth_time: Option<DateTime<Utc>>,
    /// How.
    pub acr: Option<String>,
    /// The provider's keys of that name, as JWKs: one of them verifies it.
    pub keys: Vec<String>,
}

impl Token {
    /// A claim that is text.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }
}

impl Provider {
    /// This provider. Nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let issuer =
            IssuerUrl::new(settings.issuer.clone()).map_err(|cause| Error::Settings { what: "the issuer", cause: cause.into() })?;
        let redirect = RedirectUrl::new(format!("{}/auth/callback", settings.public_url))
            .map_err(|cause| Error::Settings { what: "the public address", cause: cause.into() })?;
        let fetch = Fetch::for_issuer(issuer.url())?;
        Ok(Self { inner: Arc::new(Inner { settings, issuer, redirect, fetch, known: Mutex::default() }) })
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inner.settings.issuer
    }

    /// The address at which browsers reach us.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.inner.settings.public_url
    }

    /// The way there, for somebody who may have said who they are.
    pub async fn depart(&self, login_hint: Option<String>, now: DateTime<Utc>) -> Result<Departure, Error> {
        let client = self.client(&*self.metadata(now).await?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode as AuthenticationFlow<CoreResponseType>,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge)
            .add_scopes(self.inner.settings.scopes.iter().cloned().map(Scope::new));
        if let Some(hint) = login_hint {
            request = request.set_login_hint(LoginHint::new(hint));
        }
        let (url, state, nonce) = request.url();
        Ok(Departure { url, state: state.into_secret(), nonce: nonce.secret().clone(), pkce_verifier: verifier.into_secret() })
    }

    /// The way there, to prove who one is anew, whatever sign-in there is: the token that comes back carries this nonce.
    pub async fn depart_to_prove(
        &self,
        nonce: String,
        step_up: &StepUp,
        login_hint: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Departure, Error> {
        let client = self.client(&*self.metadata(now).await?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let repeated = Nonce::new(nonce);
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode as AuthenticationFlow<CoreResponseType>,
                CsrfToken::new_random,
                move || repeated,
            )
            .set_pkce_challenge(challenge)
            .add_scopes(self.inner.settings.scopes.iter().cloned().map(Scope::new))
            .add_prompt(CoreAuthPrompt::Login)
            .set_max_age(std::time::Duration::ZERO);
        match step_up.asked {
            AskedAs::AcrValues => {
                for level in &step_up.levels {
                    request = request.add_auth_context_value(AuthenticationContextClass::new(level.clone()));
                }
            }
            AskedAs::Claims => {
                // One value is what Entra documents; several are OpenID Connect's own way to say it.
                let wanted = match &step_up.levels[..] {
                    [one] => serde_json::json!({ "essential": true, "value": one }),
                    many => serde_json::json!({ "essential": true, "values": many }),
                };
                request = request.add_extra_param("claims", serde_json::json!({ "id_token": { "acrs": wanted } }).to_string());
            }
        }
        if let Some(hint) = login_hint {
            request = request.set_login_hint(LoginHint::new(hint));
        }
        let (url, state, nonce) = request.url();
        Ok(Departure { url, state: state.into_secret(), nonce: nonce.secret().clone(), pkce_verifier: verifier.into_secret() })
    }

    /// Our client id there.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.inner.settings.client_id
    }

    /// Checks the `iss` that came back with the browser: exactly ours, and there, if the provider says that it sends it.
    pub async fn check_issuer(&self, iss: Option<&str>, now: DateTime<Utc>) -> Result<(), Error> {
        let promised = self.metadata(now).await?.additional_metadata().additional_metadata.authorization_response_iss_parameter_supported;
        match iss {
            Some(iss) if iss == self.issuer() => Ok(()),
            None if promised != Some(true) => Ok(()),
            _ => Err(Error::WrongIssuer),
        }
    }

    /// Exchanges the code that came back for a token, and believes it only if everything about it is right.
    pub async fn exchange(&self, code: String, pkce_verifier: String, nonce: String, now: DateTime<Utc>) -> Result<Token, Error> {
        let metadata = self.metadata(now).await?;
        let client = self.client(&metadata);
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|cause| Error::Provider { step: "discovery", cause: cause.into() })?
            .set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier));
        let response = request.request_async(&self.inner.fetch).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(refusal) => Error::Refused(refusal.error().to_string()),
            other => Error::Provider { step: "the token endpoint", cause: other.into() },
        })?;
        let token = response.id_token().ok_or_else(|| Error::Token("there is no ID token in the answer".into()))?;
        let nonce = Nonce::new(nonce);
        match self.believe(&metadata, token, &nonce, now) {
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
                let metadata = self.with_new_keys(now).await?;
                self.believe(&metadata, token, &nonce, now).map_err(|cause| Error::Token(cause.into()))
            }
            other => other.map_err(|cause| Error::Token(cause.into())),
        }
    }

    /// Where the browser goes to sign out at the provider, too; `None` if it has no such place.
    pub async fn end_session(&self, id_token: Option<&str>, now: DateTime<Utc>) -> Result<Option<Url>, Error> {
        let metadata = self.metadata(now).await?;
        let Some(end_session) = metadata.additional_metadata().end_session_endpoint.clone() else { return Ok(None) };
        let back = PostLogoutRedirectUrl::new(format!("{}/", self.public_url()))
            .map_err(|cause| Error::Settings { what: "the public address", cause: cause.into() })?;
        let request = LogoutRequest::from(end_session)
            .set_client_id(ClientId::new(self.inner.settings.client_id.clone()))
            .set_post_logout_redirect_uri(back);
        let hint: Option<CoreIdToken> = id_token.and_then(|token| token.parse().ok());
        Ok(Some(match hint {
            Some(hint) => request.set_id_token_hint(&hint).http_get_url(),
            None => request.http_get_url(),
        }))
    }

    fn believe(
        &self,
        metadata: &Metadata,
        token: &CoreIdToken,
        nonce: &Nonce,
        now: DateTime<Utc>,
    ) -> Result<Token, ClaimsVerificationError> {
        let client = self.client(metadata);
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs([
                CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
                CoreJwsSigningAlgorithm::RsaSsaPssSha256,
                CoreJwsSigningAlgorithm::EcdsaP256Sha256,
            ])
            .set_time_fn(move || now - CLOCK_SKEW)
            .set_issue_time_verifier_fn(move |at| {
                if (at - now).abs() <= CLOCK_SKEW { Ok(()) } else { Err(format!("issued at {at}, and it is {now}")) }
            });
        let believed = token.claims(&verifier, nonce)?;
        let raw = token.to_string();
        let claims = payload(&raw).ok_or_else(|| ClaimsVerificationError::Other("the payload is not an object".to_owned()))?;
        let ours = &self.inner.settings.client_id;
        if claims.get("azp").is_some_and(|azp| azp.as_str() != Some(ours)) {
            return Err(ClaimsVerificationError::InvalidAudience("azp names another client".to_owned()));
        }
        if believed.subject().is_empty() {
            return Err(ClaimsVerificationError::InvalidSubject("it is empty".to_owned()));
        }
        let latest = (now + CLOCK_SKEW).timestamp();
        if claims.get("nbf").is_some_and(|nbf| nbf.as_i64().is_none_or(|nbf| nbf > latest)) {
            return Err(ClaimsVerificationError::Expired("not valid yet".to_owned()));
        }
        Ok(Token {
            subject: believed.subject().to_string(),
            auth_time: believed.auth_time(),
            acr: believed.auth_context_ref().map(|acr| acr.to_string()),
            keys: keys_of(metadata, &raw),
            raw,
            claims,
        })
    }

    fn client(&self, metadata: &Metadata) -> Client {
        let settings = &self.inner.settings;
        let methods = metadata.token_endpoint_auth_methods_supported();
        let in_body = methods.is_some_and(|methods| !methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(settings.client_id.clone()),
            Some(settings.client_secret.clone()),
        )
        .set_redirect_uri(self.inner.redirect.clone())
        .set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth })
    }

    /// What the provider says about itself, asked for when it is first needed and again every day.
    async fn metadata(&self, now: DateTime<Utc>) -> Result<Arc<Metadata>, Error> {
        let mut known = self.inner.known.lock().await;
        let ago = known.asked_at.map(|at| now - at);
        if let Some(metadata) = &known.metadata
            && ago.is_some_and(|ago| ago < KNOWN_FOR)
        {
            return Ok(metadata.clone());
        }
        if known.metadata.is_none() && ago.is_some_and(|ago| ago < RETRY_AFTER) {
            return Err(Error::Down);
        }
        known.asked_at = Some(now);
        match Metadata::discover_async(self.inner.issuer.clone(), &self.inner.fetch).await {
            Ok(fresh) => {
                let fresh = Arc::new(fresh);
                known.metadata = Some(fresh.clone());
                known.keys_at = Some(now);
                Ok(fresh)
            }
            // What it said yesterday is good enough until it answers again.
            Err(cause) => known.metadata.clone().ok_or(Error::Provider { step: "discovery", cause: cause.into() }),
        }
    }

    /// The same with the keys as they are now; the ones we have if we asked less than a minute ago.
    async fn with_new_keys(&self, now: DateTime<Utc>) -> Result<Arc<Metadata>, Error> {
        let metadata = self.metadata(now).await?;
        let mut known = self.inner.known.lock().await;
        if known.keys_at.is_some_and(|at| now - at < KEYS_EVERY) {
            return Ok(known.metadata.clone().unwrap_or(metadata));
        }
        known.keys_at = Some(now);
        let keys = CoreJsonWebKeySet::fetch_async(metadata.jwks_uri(), &self.inner.fetch)
            .await
            .map_err(|cause| Error::Provider { step: "its keys", cause: cause.into() })?;
        let fresh = Arc::new(Metadata::clone(&metadata).set_jwks(keys));
        known.metadata = Some(fresh.clone());
        Ok(fresh)
    }
}

/// The keys that a token may be signed with, as its header names them.
fn keys_of(metadata: &Metadata, token: &str) -> Vec<String> {
    let kid = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid);
    let keys = metadata.jwks().keys().iter().filter_map(|key| serde_json::to_value(key).ok());
    let named = keys.filter(|key| kid.is_none() || key.get("kid").and_then(serde_json::Value::as_str) == kid.as_deref());
    named.map(|key| key.to_string()).collect()
}

/// The claims of a token whose signature was checked.
fn payload(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests;
