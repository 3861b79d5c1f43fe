//! Mail: settles for everybody what they are to be told by mail, and sends it. What somebody has read meanwhile is not mailed, unless it
//! concerns a signature of theirs; what comes close together is one mail; what they may not see at the moment of sending is told to nobody.
//!
//! Notifications are written in the transaction of what happened, mails in the transaction that settles them, and a mail is sent until the
//! mail server has taken it. So a crash at any moment loses none, and at most the same mail goes twice under one Message-ID.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{Duration, SecondsFormat};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Mail, Secret},
    content::sha256,
    domain::{
        access::abilities,
        ids::{DocumentId, PersonId},
        notice::{self, NoticeKind, NoticeWay, Sender, Told},
        principal::Principal,
    },
    store::{
        self, Store,
        mail::{MailRow, NewMail, Unsettled},
        notices::NoticeRow,
    },
};

/// How often the worker looks.
const EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// A mail that a worker took and did not finish with is another's after so long.
const TAKEN_FOR: Duration = Duration::minutes(2);
/// After the first failure; each further one doubles it.
const AGAIN_AFTER: Duration = Duration::minutes(1);
/// A mail is tried for so long.
const TRIED_FOR: Duration = Duration::hours(48);
/// One mail tells no more than this; the rest is in the next.
const TOLD_MAX: usize = 50;

/// Where the page of this server's own unsubscribing is.
pub const UNSUBSCRIBE: &str = "/mail/unsubscribe/";

/// Why mail cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a mail server's URL.
    #[error("SAMSPIL_SMTP_URL is not a mail server's URL, for example smtps://samspil:secret@mail.example.dk")]
    Url(#[source] lettre::transport::smtp::Error),
    /// Not an address that mail can come from.
    #[error("SAMSPIL_MAIL_FROM is not an address, for example SAMSPIL_MAIL_FROM=\"Samspil <samspil@example.dk>\"")]
    From(#[source] lettre::address::AddressError),
}

/// The worker.
pub struct Postman {
    store: Store,
    clock: Clock,
    way: Way,
    from: Mailbox,
    public_url: String,
    gather: Duration,
}

enum Way {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Files(PathBuf),
}

/// Why one mail did not go.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    /// The mail server, or the way to it.
    #[error(transparent)]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// It cannot be put together.
    #[error(transparent)]
    Message(#[from] lettre::error::Error),
    /// An address is none.
    #[error(transparent)]
    Address(#[from] lettre::address::AddressError),
    /// The demo's file.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

impl NotSent {
    /// It will never go, however often it is tried.
    fn is_final(&self) -> bool {
        match self {
            NotSent::Smtp(error) => error.is_permanent(),
            NotSent::Message(_) | NotSent::Address(_) => true,
            NotSent::File(_) => false,
        }
    }
}

impl Postman {
    /// A worker for where mail goes; `None` when it goes nowhere. `gather`: how long things are gathered into one mail.
    pub fn new(
        store: Store,
        clock: Clock,
        mail: &Mail,
        from: Option<&str>,
        public_url: &str,
        gather: Duration,
    ) -> Result<Option<Self>, Error> {
        let way = match mail {
            Mail::Smtp(url) => Way::Smtp(Box::new(smtp(url)?)),
            Mail::Files(dir) => Way::Files(dir.clone()),
            Mail::None => return Ok(None),
        };
        let host = public_url.split("://").nth(1).and_then(|rest| rest.split([':', '/']).next()).unwrap_or("localhost");
        let from = from.map_or_else(|| format!("Samspil <samspil@{host}>"), str::to_owned).parse().map_err(Error::From)?;
        Ok(Some(Self { store, clock, way, from, public_url: public_url.to_owned(), gather }))
    }

    /// Works until it is told to stop. The database's failures are its own to retry.
    pub async fn work(self, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            if let Err(error) = self.round().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "mail waits for the database");
            }
        }
    }

    async fn round(&self) -> store::Result<()> {
        for person in self.store.people_to_tell().await? {
            self.settle(person).await?;
        }
        while let Some(mail) = self.store.take_mail(self.clock.now(), TAKEN_FOR).await? {
            self.send(mail).await?;
        }
        Ok(())
    }

    /// Decides what this person is told by mail now, and writes it.
    async fn settle(&self, person: PersonId) -> store::Result<()> {
        let now = self.clock.now();
        let chosen = self.store.notice_ways(person).await?;
        let way = |kind: NoticeKind| chosen.iter().find(|(one, _)| *one == kind).map_or_else(|| notice::at_first(kind), |(_, way)| *way);
        let mut transaction = self.store.begin().await?;
        let waiting = store::mail::unsettled(&mut transaction, person).await?;
        let (mailed, not): (Vec<&Unsettled>, Vec<&Unsettled>) =
            waiting.iter().partition(|one| matches!(way(one.kind), NoticeWay::Digest | NoticeWay::AtOnce));
        let ids = |some: &[&Unsettled]| some.iter().map(|one| one.id).collect::<Vec<_>>();
        store::mail::settle(&mut transaction, &ids(&not), None, now).await?;
        let due = mailed.iter().any(|one| way(one.kind) == NoticeWay::AtOnce || now - one.at >= self.gather);
        if due {
            let told = &mailed[..mailed.len().min(TOLD_MAX)];
            let mail = match self.write(person, told).await? {
                Some(mail) => Some(store::mail::write(&mut transaction, &mail, now).await?),
                None => None,
            };
            store::mail::settle(&mut transaction, &ids(told), mail, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The mail that tells a person of these, as far as they may see them now and have not seen them. What concerns their signature is
    /// mailed although they have seen it: a list that somebody opened is not a letter in their hands.
    async fn write(&self, person: PersonId, told: &[&Unsettled]) -> store::Result<Option<NewMail>> {
        let Some((Some(recipient), given_name)) = self.store.address(person).await? else { return Ok(None) };
        let visible = self.visible(person, told).await?;
        let wanted: Vec<_> = told.iter().filter(|one| visible.contains(&one.document)).map(|one| one.id).collect();
        // They are the newest unsettled ones, and whatever is older has been settled.
        let rows = self.store.notices(person, None, i64::try_from(TOLD_MAX * 4).unwrap_or(i64::MAX)).await?;
        let mut rows: Vec<NoticeRow> =
            rows.into_iter().filter(|row| (row.unread || notice::ALWAYS.contains(&row.kind)) && wanted.contains(&row.id)).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        rows.reverse();
        let people = self.store.people(&rows.iter().filter_map(|row| row.by).collect::<Vec<_>>()).await?;
        let mut kinds: Vec<NoticeKind> = rows.iter().map(|row| row.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let secret: [u8; 16] = rand::random();
        let chosen = kinds.iter().any(|kind| !notice::ALWAYS.contains(kind));
        let unsubscribe = chosen.then(|| format!("{}{UNSUBSCRIBE}{}", self.public_url, BASE64_URL_SAFE_NO_PAD.encode(secret)));
        let sender = Sender {
            public_url: self.public_url.clone(),
            municipality: self.store.municipality_name().await?.unwrap_or_default(),
            unsubscribe: unsubscribe.clone(),
        };
        let told: Vec<Told> = rows
            .into_iter()
            .map(|row| Told {
                kind: row.kind,
                by: row.by.and_then(|by| people.get(&by)).map(|by| by.display_name.clone()),
                title: title(&row),
                quote: row.quote.clone(),
                reason: row.reason.clone(),
                path: notice::path_of(row.agreement.map(|agreement| agreement.0), row.thread),
            })
            .collect();
        Ok(Some(NewMail {
            person,
            recipient,
            kinds,
            letter: notice::letter(&given_name, &told, &sender),
            unsubscribe: unsubscribe.unwrap_or_default(),
            unsubscribe_hash: sha256(&secret),
        }))
    }

    /// Which of these documents the person may comment on now: whoever may not does not see its threads.
    async fn visible(&self, person: PersonId, told: &[&Unsettled]) -> store::Result<Vec<DocumentId>> {
        let principal = Principal::as_placed(person, self.store.placements(person).await?);
        let mut documents: Vec<DocumentId> = told.iter().map(|one| one.document).collect();
        documents.sort_unstable_by_key(|document| document.0);
        documents.dedup();
        let rows = self.store.documents_access(&documents).await?;
        let now = self.clock.now();
        Ok(rows.into_iter().filter(|row| abilities(&principal, &row.access, now).comment).map(|row| row.access.document).collect())
    }

    async fn send(&self, mail: MailRow) -> store::Result<()> {
        let outcome = self.deliver(&mail).await;
        let now = self.clock.now();
        match outcome {
            Ok(()) => {
                metrics::counter!("samspil_mails_total", "outcome" => "sent").increment(1);
                self.store.mail_sent(mail.id, now).await
            }
            Err(error) => {
                let again = (!error.is_final()).then(|| now + again_after(mail.attempts)).filter(|again| *again - mail.at <= TRIED_FOR);
                let outcome = if again.is_some() { "failed" } else { "given_up" };
                metrics::counter!("samspil_mails_total", "outcome" => outcome).increment(1);
                tracing::warn!(mail.id = %mail.id, mail.attempts, outcome, error = &error as &dyn std::error::Error, "a mail did not go");
                self.store.mail_failed(mail.id, &error.to_string(), again, now).await
            }
        }
    }

    async fn deliver(&self, mail: &MailRow) -> Result<(), NotSent> {
        let message = self.message(mail)?;
        match &self.way {
            Way::Smtp(smtp) => {
                smtp.send(message).await?;
            }
            Way::Files(dir) => {
                tokio::fs::create_dir_all(dir).await?;
                let at = mail.at.to_rfc3339_opts(SecondsFormat::Secs, true).replace(':', "");
                tokio::fs::write(dir.join(format!("{at}-{}.eml", mail.id)), message.formatted()).await?;
            }
        }
        Ok(())
    }

    fn message(&self, mail: &MailRow) -> Result<Message, NotSent> {
        let host = self.from.email.domain();
        let at = std::time::SystemTime::from(mail.at);
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(mail.recipient.parse()?)
            .date(at)
            .message_id(Some(format!("<{}@{host}>", mail.id)))
            .subject(&mail.letter.subject)
            .header(AutoSubmitted);
        if !mail.unsubscribe.is_empty() {
            message = message.header(ListUnsubscribe(format!("<{}>", mail.unsubscribe))).header(ListUnsubscribePost);
        }
        Ok(message.multipart(MultiPart::alternative_plain_html(mail.letter.plain.clone(), mail.letter.html.clone()))?)
    }
}

fn smtp(url: &Secret) -> Result<AsyncSmtpTransport<Tokio1Executor>, Error> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.reveal()).map_err(Error::Url)?;
    Ok(builder.timeout(Some(std::time::Duration::from_secs(20))).build())
}

/// One minute, two, four …, at most four hours.
fn again_after(attempts: u32) -> Duration {
    (AGAIN_AFTER * 2_i32.saturating_pow(attempts.saturating_sub(1).min(8))).min(Duration::hours(4))
}

/// *Aftale 2027 · Fjordskolen*.
pub(crate) fn title(row: &NoticeRow) -> String {
    match &row.unit {
        Some(unit) => format!("{} · {unit}", row.title),
        None => row.title.clone(),
    }
}

/// `List-Unsubscribe` (RFC 2369): where such mail can be ended.
#[derive(Clone)]
struct ListUnsubscribe(String);

impl Header for ListUnsubscribe {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(value: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(value.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

/// `List-Unsubscribe-Post` (RFC 8058): with one request, without a page.
#[derive(Clone)]
struct ListUnsubscribePost;

impl Header for ListUnsubscribePost {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe-Post")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "List-Unsubscribe=One-Click".to_owned())
    }
}

/// `Auto-Submitted` (RFC 3834): no out-of-office note answers it.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests;
