//! Signing in and out, from the browser's side: to the provider and back, whose identity it is, and what begins and ends with it.
//! An attempt is bound to the browser that began it and counts once. Called by `http::auth` and by `samspil invite`.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum_extra::extract::cookie::Cookie;
use chrono::{DateTime, Duration, Utc};
use openidconnect::url::{Position, Url};
use samspil_evidence::trail::SYSTEM_TRAIL;
use serde_json::json;

use super::{
    oidc::{self, Provider, Token},
    session::{Sessions, SignIn, hash, random_token},
};
use crate::{
    domain::{
        claims::{Denied, RoleMapping},
        ids::PersonId,
        principal::Role,
    },
    store::{
        self, Store, audit, people, sessions,
        sign_ins::{self, Attempt},
    },
};

/// Whoever does not come back from the provider within this time begins again.
const ATTEMPT_MAX: Duration = Duration::minutes(10);
/// How long an invite can be used.
pub const INVITE_MAX: Duration = Duration::hours(24);
/// The short name of the cookie that binds attempts to a browser.
const ATTEMPT_COOKIE: &str = "samspil-sign-in";
/// The longest path that is kept to come back to.
const RETURN_TO_BYTES_MAX: usize = 2048;

/// Signing in and out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SignIns {
    store: Store,
    sessions: Sessions,
    provider: Provider,
    roles: Arc<RoleMapping>,
    person_claim: Option<Arc<str>>,
}

/// How somebody wants to sign in.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The path of ours to show afterwards.
    pub return_to: Option<String>,
    /// Who they say they are, for the provider.
    pub login_hint: Option<String>,
    /// The code of an invite.
    pub invite: Option<String>,
}

/// What the browser brings back from the provider.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Which attempt.
    pub state: Option<String>,
    /// The code, if all went well.
    pub code: Option<String>,
    /// From which issuer.
    pub iss: Option<String>,
    /// The provider's word for what went wrong.
    pub error: Option<String>,
}

/// Where the browser goes next, and the cookie it takes along.
#[derive(Debug)]
pub struct Onward {
    /// A path of ours, or a URL at the provider.
    pub to: String,
    /// The cookie.
    pub cookie: Cookie<'static>,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The attempt is over, was used, or was begun in another browser; or the invite cannot be used.
    #[error("the attempt is unknown, over or was used")]
    Expired,
    /// The provider failed or refused.
    #[error(transparent)]
    Provider(#[from] oidc::Error),
    /// What the token says gives no role.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Nobody has said which person this identity is.
    #[error("the identity is not linked to a person")]
    NotLinked,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Failed {
    /// What the page `/login-problem` is told.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Provider(oidc::Error::Provider { .. } | oidc::Error::Down | oidc::Error::Refused(_)) => "provider",
            Self::Provider(_) | Self::Store(_) => "generic",
            Self::Denied(Denied::RolesUnreadable) => "roles_unreadable",
            Self::Denied(Denied::NoRole | Denied::NoClaim) => "no_role",
            Self::Denied(Denied::WrongMunicipality) => "wrong_municipality",
            Self::NotLinked => "not_linked",
        }
    }
}

impl SignIns {
    /// Signing in at this provider. `person_claim` names a claim that only the issuer controls and that holds a person's id.
    #[must_use]
    pub fn new(store: Store, sessions: Sessions, provider: Provider, roles: RoleMapping, person_claim: Option<String>) -> Self {
        Self { store, sessions, provider, roles: Arc::new(roles), person_claim: person_claim.map(Into::into) }
    }

    /// The address at which browsers reach us.
    #[must_use]
    pub fn public_url(&self) -> &str {
        self.provider.public_url()
    }

    /// Sends the browser to the provider.
    pub async fn begin(&self, wish: Wish, headers: &HeaderMap, now: DateTime<Utc>) -> Result<Onward, Failed> {
        let invite_hash = wish.invite.as_deref().map(hash);
        if let Some(invite) = &invite_hash
            && !self.store.invite_holds(invite, now).await?
        {
            return Err(Failed::Expired);
        }
        let departure = self.provider.depart(wish.login_hint, now).await?;
        // One cookie for all attempts of a browser, so that two tabs can be on their way at once.
        let style = self.sessions.cookie_style();
        let browser = style.read(ATTEMPT_COOKIE, headers).unwrap_or_else(random_token);
        let attempt = Attempt {
            nonce: departure.nonce,
            pkce_verifier: departure.pkce_verifier,
            return_to: self.own_path(wish.return_to.as_deref()),
            invite_hash,
        };
        self.store.keep_attempt(&hash(&departure.state), &hash(&browser), &attempt, now, now + ATTEMPT_MAX).await?;
        Ok(Onward { to: departure.url.into(), cookie: style.make(ATTEMPT_COOKIE, browser) })
    }

    /// The browser is back from the provider.
    pub async fn complete(&self, answer: Answer, headers: &HeaderMap, now: DateTime<Utc>) -> Result<Onward, Failed> {
        let browser = self.sessions.cookie_style().read(ATTEMPT_COOKIE, headers).ok_or(Failed::Expired)?;
        let state = answer.state.ok_or(Failed::Expired)?;
        let attempt = self.store.take_attempt(&hash(&state), &hash(&browser), now).await?.ok_or(Failed::Expired)?;
        self.provider.check_issuer(answer.iss.as_deref(), now).await?;
        if let Some(error) = answer.error {
            return Err(oidc::Error::Refused(a_word(&error)).into());
        }
        let code = answer.code.ok_or(Failed::Expired)?;
        let token = self.provider.exchange(code, attempt.pkce_verifier, attempt.nonce, now).await?;
        let roles = self.roles.roles(&token.claims)?;
        let person = self.person(&token, attempt.invite_hash.as_deref(), now).await?.ok_or(Failed::NotLinked)?;
        let sign_in = SignIn {
            person,
            issuer: self.provider.issuer().to_owned(),
            sid: token.text("sid").map(str::to_owned),
            subject: token.subject,
            roles,
            id_token: token.raw,
            auth_time: token.auth_time,
            acr: token.acr,
        };
        let (session, cookie) = self.sessions.begin(sign_in, headers, now).await?;
        tracing::info!(person.id = %person, session.id = %session, "signed in");
        Ok(Onward { to: attempt.return_to, cookie })
    }

    /// Whose identity this is. An identity that is linked stays with its person; otherwise the invite it came with, or the claim
    /// that the issuer vouches for, links it now.
    async fn person(&self, token: &Token, invite: Option<&[u8]>, now: DateTime<Utc>) -> store::Result<Option<PersonId>> {
        let (issuer, subject) = (self.provider.issuer(), token.subject.as_str());
        if let Some(person) = self.store.person_of_identity(issuer, subject).await? {
            return Ok(Some(person));
        }
        let claimed = match self.person_claim.as_deref().and_then(|claim| token.text(claim)) {
            Some(key) => self.store.person_by_key(key).await?,
            None => None,
        };
        let mut transaction = self.store.begin().await?;
        let invited = match invite {
            Some(invite) => sign_ins::use_invite(&mut transaction, invite, now).await?,
            None => None,
        };
        // A link that was passed on must not make somebody whom the issuer names into somebody else.
        if let (Some(invited), Some(claimed)) = (invited, claimed)
            && invited != claimed
        {
            return Ok(None);
        }
        let Some(person) = invited.or(claimed) else { return Ok(None) };
        if sign_ins::link(&mut transaction, issuer, subject, person, now).await? {
            let how = if invited.is_some() { "invite" } else { "claim" };
            let body = json!({ "issuer": issuer, "subject": subject, "by": how });
            audit::append(&mut transaction, SYSTEM_TRAIL, "identity_linked", Some(person), body, now).await?;
        }
        transaction.commit().await?;
        self.store.person_of_identity(issuer, subject).await
    }

    /// Ends the sign-in of this browser, and says where to go to end it at the provider, too.
    pub async fn sign_out(&self, headers: &HeaderMap, now: DateTime<Utc>) -> store::Result<Onward> {
        let ended = self.sessions.end_of(headers, now).await?;
        let mut to = "/".to_owned();
        if let Some(row) = ended {
            tracing::info!(person.id = %row.person, session.id = %row.id, "signed out");
            match self.provider.end_session(row.id_token.as_deref(), now).await {
                Ok(Some(url)) => to = url.into(),
                Ok(None) => {}
                // Here it has ended in any case.
                Err(error) => tracing::warn!(error = %error, "could not sign out at the identity provider"),
            }
        }
        Ok(Onward { to, cookie: self.sessions.no_cookie() })
    }

    /// Ends what a logout token from the provider says. `Ok(false)`: the token was obeyed before.
    pub async fn obey(&self, logout_token: &str, now: DateTime<Utc>) -> Result<bool, Failed> {
        let meant = self.provider.signed_out(logout_token, now).await?;
        let issuer = self.provider.issuer();
        let mut transaction = self.store.begin().await?;
        if !sign_ins::note_logout_token(&mut transaction, issuer, &meant.jti, now, meant.expires_at).await? {
            return Ok(false);
        }
        let sessions = sign_ins::meant_by(&mut transaction, issuer, meant.subject.as_deref(), meant.sid.as_deref()).await?;
        let ended = sessions::end(&mut transaction, &sessions, now).await?;
        transaction.commit().await.map_err(store::Error::from)?;
        self.sessions.tell(&ended);
        tracing::info!(sessions = ended.len(), "signed out at the identity provider");
        Ok(true)
    }

    /// A path on this very site, or the first page: nobody is sent elsewhere by a link to our sign-in.
    fn own_path(&self, return_to: Option<&str>) -> String {
        let own = |path: &str| {
            if !path.starts_with('/') || path.len() > RETURN_TO_BYTES_MAX {
                return None;
            }
            let home = Url::parse(self.public_url()).ok()?;
            let url = home.join(path).ok().filter(|url| url.origin() == home.origin())?;
            let there = url[Position::BeforePath..].to_owned();
            (!there.starts_with("//") && !url.path().starts_with("/auth/")).then_some(there)
        };
        return_to.and_then(own).unwrap_or_else(|| "/".to_owned())
    }
}

/// The provider's word for what went wrong, as far as it is one: it comes by way of the browser and goes into the log.
fn a_word(error: &str) -> String {
    let word = |error: &&str| error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    Some(error).filter(word).unwrap_or("in no word of the standard").to_owned()
}

/// Puts a person into a role for the whole municipality, until further notice. It counts once their token carries the role, too.
/// `Ok(false)`: there is no municipality yet.
pub async fn appoint(store: &Store, person: PersonId, role: Role, now: DateTime<Utc>) -> store::Result<bool> {
    let mut transaction = store.begin().await?;
    if !people::appoint(&mut transaction, person, role).await? {
        return Ok(false);
    }
    audit::append(&mut transaction, SYSTEM_TRAIL, "role_given", Some(person), json!({ "role": role.id() }), now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Makes a one-time link for a person: whoever signs in through it is that person from then on.
pub async fn invite(store: &Store, person: PersonId, public_url: &str, now: DateTime<Utc>) -> store::Result<String> {
    let code = random_token();
    let mut transaction = store.begin().await?;
    sign_ins::invite(&mut transaction, &hash(&code), person, now + INVITE_MAX).await?;
    audit::append(&mut transaction, SYSTEM_TRAIL, "invite_made", Some(person), json!({}), now).await?;
    transaction.commit().await?;
    Ok(format!("{public_url}/auth/invite?code={code}"))
}
