//! Sign-ins behind cookies. The cookie holds 256 random bits; the database holds only their SHA-256. Every sign-in gets a new
//! one, so that a cookie planted beforehand is worth nothing. Called by the `SignedIn` extractor, the gateway and `http::auth`.

use axum::http::{HeaderMap, header};
use axum_extra::extract::cookie::{Cookie, SameSite};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use rand::TryRngCore as _;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{
    domain::{
        ids::SessionId,
        principal::{Principal, Role},
    },
    stop_points::{self, StopPoint},
    store::{
        self, Store,
        sessions::{self, NewSession, SessionRow},
    },
};

/// A sign-in that nobody used for so long is over.
pub const IDLE_MAX: Duration = Duration::hours(4);
/// No sign-in lasts longer, however busy.
pub const ABSOLUTE_MAX: Duration = Duration::hours(12);
/// How exactly we know when a sign-in was last used: one write a minute is enough to end it after four hours.
const SEEN_EVERY: Duration = Duration::minutes(1);
/// Ended sign-ins that a slow listener may be behind. A listener that is told it lagged checks all of its sessions.
const ENDED_WAITING_MAX: usize = 1024;

/// Who asks, and when they asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The person with their roles and places.
    pub principal: Principal,
    /// The moment of the request; what it decides, it decides as of now.
    pub now: DateTime<Utc>,
    /// When the sign-in ends.
    pub expiry: SessionExpiry,
}

/// When a sign-in ends if nobody ends it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpiry {
    /// However busy.
    pub absolute: DateTime<Utc>,
    /// If it is not used before then.
    pub idle: DateTime<Utc>,
}

impl SessionExpiry {
    /// Has it ended?
    #[must_use]
    pub fn is_over(self, now: DateTime<Utc>) -> bool {
        now >= self.absolute || now >= self.idle
    }
}

/// The sign-ins of this server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions {
    store: Store,
    cookie: CookieStyle,
    ended: broadcast::Sender<SessionId>,
}

/// Over https the cookie is bound to exactly this host by its name; a browser refuses such a name over plain http, which is
/// allowed on loopback only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieStyle {
    /// `__Host-…`, Secure.
    Https,
    /// A plain name, without Secure.
    Loopback,
}

impl CookieStyle {
    /// The style that fits the address at which browsers reach us.
    #[must_use]
    pub fn of(public_url: &str) -> Self {
        if public_url.starts_with("https://") { Self::Https } else { Self::Loopback }
    }

    /// The full name of one of our cookies.
    #[must_use]
    pub fn name(self, short: &'static str) -> String {
        match self {
            Self::Https => format!("__Host-{short}"),
            Self::Loopback => short.to_owned(),
        }
    }

    /// A cookie as we set them: out of reach of scripts and of other sites' requests.
    #[must_use]
    pub fn make(self, short: &'static str, value: String) -> Cookie<'static> {
        Cookie::build((self.name(short), value)).path("/").http_only(true).same_site(SameSite::Lax).secure(self == Self::Https).build()
    }

    /// The cookie that takes it away again.
    #[must_use]
    pub fn unmake(self, short: &'static str) -> Cookie<'static> {
        let mut cookie = self.make(short, String::new());
        cookie.make_removal();
        cookie
    }

    /// The value of one of our cookies in a request. Sent twice, it counts as not sent: one of the two is somebody else's.
    #[must_use]
    pub fn read(self, short: &'static str, headers: &HeaderMap) -> Option<String> {
        let name = self.name(short);
        let mut values = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned());
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }
}

/// The short name of the session cookie.
const SESSION_COOKIE: &str = "samspil";

impl Sessions {
    /// The sign-ins in this store, for browsers that reach us at this address.
    #[must_use]
    pub fn new(store: Store, public_url: &str) -> Self {
        Self { store, cookie: CookieStyle::of(public_url), ended: broadcast::Sender::new(ENDED_WAITING_MAX) }
    }

    /// How our cookies look.
    #[must_use]
    pub fn cookie_style(&self) -> CookieStyle {
        self.cookie
    }

    /// Tells of every sign-in that ended on this server from now on; sockets are closed by it within a second. A receiver that
    /// lagged must ask [`Sessions::current`] about each of its own.
    #[must_use]
    pub fn ended(&self) -> broadcast::Receiver<SessionId> {
        self.ended.subscribe()
    }

    /// Who sent these headers, if they carry a sign-in that still holds.
    pub async fn authenticate(&self, headers: &HeaderMap, now: DateTime<Utc>) -> store::Result<Option<SignedIn>> {
        let Some(token) = self.cookie.read(SESSION_COOKIE, headers) else { return Ok(None) };
        let Some(row) = self.store.session_by_token(&hash(&token)).await? else { return Ok(None) };
        let Some(signed_in) = self.signed_in(&row, now).await? else { return Ok(None) };
        if now - row.seen_at >= SEEN_EVERY {
            self.store.session_seen(row.id, now).await?;
        }
        Ok(Some(signed_in))
    }

    /// The same sign-in again, as it stands now: for a socket that outlives the request it began with. `None` once it is over.
    pub async fn current(&self, session: SessionId, now: DateTime<Utc>) -> store::Result<Option<SignedIn>> {
        match self.store.session(session).await? {
            Some(row) => self.signed_in(&row, now).await,
            None => Ok(None),
        }
    }

    /// Writing on a socket is use, too: keeps the sign-in from ending as idle. Writes at most once a minute.
    pub async fn seen(&self, session: SessionId, now: DateTime<Utc>) -> store::Result<()> {
        self.store.session_seen(session, now).await
    }

    async fn signed_in(&self, row: &SessionRow, now: DateTime<Utc>) -> store::Result<Option<SignedIn>> {
        let expiry = SessionExpiry { absolute: row.expires_at, idle: row.seen_at + IDLE_MAX };
        if row.ended_at.is_some() || expiry.is_over(now) {
            return Ok(None);
        }
        let placements = self.store.placements(row.person).await?;
        // A role that a newer build knew and this one does not gives nothing.
        let token_roles = row.roles.iter().filter_map(|role| Role::from_id(role)).collect();
        Ok(Some(SignedIn { principal: Principal { person: row.person, session: row.id, token_roles, placements }, now, expiry }))
    }

    /// A new sign-in, and the cookie for it. The one it replaces in this browser, if any, ends.
    pub async fn begin(&self, new: SignIn, replaced: &HeaderMap, now: DateTime<Utc>) -> store::Result<(SessionId, Cookie<'static>)> {
        let token = random_token();
        let id = SessionId(Uuid::now_v7());
        let old = match self.cookie.read(SESSION_COOKIE, replaced) {
            Some(token) => self.store.session_by_token(&hash(&token)).await?.map(|row| row.id),
            None => None,
        };
        let row = NewSession {
            id,
            token_hash: hash(&token),
            person: new.person,
            issuer: new.issuer,
            subject: new.subject,
            sid: new.sid,
            roles: new.roles.into_iter().map(|role| role.id().to_owned()).collect(),
            id_token: Some(new.id_token),
            auth_time: new.auth_time,
            acr: new.acr,
            created_at: now,
            expires_at: now + ABSOLUTE_MAX,
        };
        let mut transaction = self.store.begin().await?;
        sessions::insert(&mut transaction, &row).await?;
        let ended = sessions::end(&mut transaction, old.as_slice(), now).await?;
        sessions::forget_tokens(&mut transaction, now, now - IDLE_MAX).await?;
        transaction.commit().await?;
        self.tell(&ended);
        Ok((id, self.cookie.make(SESSION_COOKIE, token)))
    }

    /// Another cookie for a sign-in that was proved anew, and the hash that is kept of it: one that was planted or seen before is worth
    /// nothing from then on (reliability-security §5).
    pub(super) fn another_cookie(&self) -> (Vec<u8>, Cookie<'static>) {
        let token = random_token();
        (hash(&token), self.cookie.make(SESSION_COOKIE, token))
    }

    /// Ends the sign-in that these headers carry, and answers what it was; `None` if there was none.
    pub(super) async fn end_of(&self, headers: &HeaderMap, now: DateTime<Utc>) -> store::Result<Option<SessionRow>> {
        let Some(token) = self.cookie.read(SESSION_COOKIE, headers) else { return Ok(None) };
        let Some(row) = self.store.session_by_token(&hash(&token)).await? else { return Ok(None) };
        let mut transaction = self.store.begin().await?;
        let ended = sessions::end(&mut transaction, &[row.id], now).await?;
        transaction.commit().await?;
        stop_points::reach(StopPoint::SessionEnded);
        self.tell(&ended);
        Ok((!ended.is_empty()).then_some(row))
    }

    /// Tells this server's sockets that these sign-ins ended; to be called once the transaction that ended them is committed.
    pub(super) fn tell(&self, ended: &[SessionId]) {
        for session in ended {
            // Nobody listening means that no socket is open.
            let _ = self.ended.send(*session);
        }
    }

    /// The cookie that takes the session cookie away.
    #[must_use]
    pub fn no_cookie(&self) -> Cookie<'static> {
        self.cookie.unmake(SESSION_COOKIE)
    }
}

/// What is known about somebody who has just signed in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who.
    pub person: crate::domain::ids::PersonId,
    /// At which provider.
    pub issuer: String,
    /// As whom there.
    pub subject: String,
    /// The provider's name for its own session.
    pub sid: Option<String>,
    /// What the token says they may be.
    pub roles: std::collections::BTreeSet<Role>,
    /// The token, to name the session when signing out there.
    pub id_token: String,
    /// When they proved who they are.
    pub auth_time: Option<DateTime<Utc>>,
    /// How.
    pub acr: Option<String>,
}

/// 256 random bits, as text for a cookie or a link.
#[must_use]
pub(super) fn random_token() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random::<32>())
}

/// So many random bytes.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// What the database keeps of such a token.
#[must_use]
pub(super) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
