//! What people are told, how they want to hear of it, and what is said in a mail. The words of a comment never stand in a mail: they are
//! shown to whoever may see them, at the moment they look.

use std::collections::BTreeSet;

pub use samspil_client_protocol::api::{NoticeKind, NoticeWay};
use uuid::Uuid;

/// How everybody hears of a kind of thing until they choose.
#[must_use]
pub fn at_first(kind: NoticeKind) -> NoticeWay {
    match kind {
        NoticeKind::Mention | NoticeKind::Reply | NoticeKind::Comment | NoticeKind::Proposal => NoticeWay::Digest,
        NoticeKind::Resolved => NoticeWay::InApp,
        NoticeKind::ReadyToSign | NoticeKind::Reopened => NoticeWay::AtOnce,
    }
}

/// Whoever is asked to sign, or whose signature lapsed, hears of it: about these nobody chooses.
pub const ALWAYS: [NoticeKind; 2] = [NoticeKind::ReadyToSign, NoticeKind::Reopened];

/// Every kind that people choose about, in the order in which they are shown.
pub const KINDS: [NoticeKind; 5] =
    [NoticeKind::Mention, NoticeKind::Reply, NoticeKind::Comment, NoticeKind::Proposal, NoticeKind::Resolved];

/// The name of a kind in the database.
#[must_use]
pub fn kind_id(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Mention => "mention",
        NoticeKind::Reply => "reply",
        NoticeKind::Comment => "comment",
        NoticeKind::Proposal => "proposal",
        NoticeKind::Resolved => "resolved",
        NoticeKind::ReadyToSign => "ready_to_sign",
        NoticeKind::Reopened => "reopened",
    }
}

/// The kind of this name.
#[must_use]
pub fn kind_of(id: &str) -> Option<NoticeKind> {
    KINDS.into_iter().chain(ALWAYS).find(|kind| kind_id(*kind) == id)
}

/// The name of a way in the database.
#[must_use]
pub fn way_id(way: NoticeWay) -> &'static str {
    match way {
        NoticeWay::Off => "off",
        NoticeWay::InApp => "in_app",
        NoticeWay::Digest => "digest",
        NoticeWay::AtOnce => "at_once",
    }
}

/// The way of this name.
#[must_use]
pub fn way_of(id: &str) -> Option<NoticeWay> {
    [NoticeWay::Off, NoticeWay::InApp, NoticeWay::Digest, NoticeWay::AtOnce].into_iter().find(|way| way_id(*way) == id)
}

/// Something to tell in a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What kind of thing.
    pub kind: NoticeKind,
    /// Who did it.
    pub by: Option<String>,
    /// *Aftale 2027 · Fjordskolen*.
    pub title: String,
    /// The words it is about, if it is about words.
    pub quote: Option<String>,
    /// Why it was done, where a reason was given to be read.
    pub reason: Option<String>,
    /// The page that shows it, from the first slash.
    pub path: String,
}

/// A mail, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its subject.
    pub subject: String,
    /// Its words.
    pub plain: String,
    /// The same for programs that show it: complete HTML, everything from people escaped.
    pub html: String,
}

/// What the reader's own address for ending such mail is, and whose mail this is.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The public address, e.g. `https://samspil.klitfjord.example`.
    pub public_url: String,
    /// *Klitfjord Kommune*.
    pub municipality: String,
    /// The address that ends such mail; `None`: it tells only what everybody hears of.
    pub unsubscribe: Option<String>,
}

/// One letter about everything that happened, whatever the number.
#[must_use]
pub fn letter(given_name: &str, told: &[Told], sender: &Sender) -> Letter {
    let subject = subject(told);
    let intro = match told {
        [_] => "Der er nyt til dig i Samspil.".to_owned(),
        many => format!("Der er {} nye ting til dig i Samspil.", many.len()),
    };
    let mut plain = format!("Hej {given_name}\n\n{intro}\n");
    let mut html = format!(
        "<!doctype html><html lang=\"da\"><head><meta charset=\"utf-8\"><title>{}</title></head>\
         <body style=\"margin:0;padding:24px;background:#f8f8f5;color:#1d2025;font:16px/1.5 'IBM Plex Sans',Segoe UI,Arial,sans-serif\">\
         <div style=\"max-width:560px;margin:0 auto\"><p>Hej {}</p><p>{}</p>",
        escape(&subject),
        escape(given_name),
        escape(&intro)
    );
    let titles: Vec<&String> = told.iter().map(|one| &one.title).collect::<BTreeSet<_>>().into_iter().collect();
    for title in titles {
        add(&mut plain, format_args!("\n{title}\n"));
        add(
            &mut html,
            format_args!("<h2 style=\"font-size:17px;margin:24px 0 8px\">{}</h2><ul style=\"padding-left:20px;margin:0\">", escape(title)),
        );
        for one in told.iter().filter(|one| one.title == *title) {
            let (words, link) = (line(one), format!("{}{}", sender.public_url, one.path));
            add(&mut plain, format_args!("- {words}\n  {link}\n"));
            add(
                &mut html,
                format_args!(
                    "<li style=\"margin:6px 0\"><a style=\"color:#2a3c9e\" href=\"{}\">{}</a></li>",
                    escape(&link),
                    escape(&words)
                ),
            );
        }
        html.push_str("</ul>");
    }
    let after = "Du ser, hvad der er skrevet, når du har logget ind. Ordene står ikke i denne mail.";
    add(
        &mut plain,
        format_args!(
            "\n{after}\n\nVenlig hilsen\nSamspil, {}\n\n-- \nVælg selv, hvad du vil høre om: {}/?notices\n",
            sender.municipality, sender.public_url
        ),
    );
    add(
        &mut html,
        format_args!(
            "<p style=\"margin-top:24px\">{}</p><p>Venlig hilsen<br>Samspil, {}</p>\
         <p style=\"margin-top:24px;font-size:13px;color:#5d626a\"><a style=\"color:#2a3c9e\" href=\"{}/?notices\">Vælg selv, hvad du vil høre om</a>",
            escape(after),
            escape(&sender.municipality),
            escape(&sender.public_url)
        ),
    );
    if let Some(unsubscribe) = &sender.unsubscribe {
        add(&mut plain, format_args!("Stop mail om dette: {unsubscribe}\n"));
        add(&mut html, format_args!(" · <a style=\"color:#2a3c9e\" href=\"{}\">Stop mail om dette</a>", escape(unsubscribe)));
    }
    html.push_str("</p></div></body></html>");
    Letter { subject, plain, html }
}

fn add(to: &mut String, words: std::fmt::Arguments<'_>) {
    use std::fmt::Write as _;

    to.write_fmt(words).expect("a string takes everything");
}

fn subject(told: &[Told]) -> String {
    let titles: BTreeSet<&String> = told.iter().map(|one| &one.title).collect();
    let about_comments = told.iter().all(|one| !ALWAYS.contains(&one.kind));
    match (told, titles.len()) {
        ([one], _) => format!("{}: {}", one.title, what(one)),
        (many, 1) if about_comments => format!("{}: {} nye kommentarer", many[0].title, many.len()),
        (many, 1) => format!("{}: {} nye ting til dig", many[0].title, many.len()),
        (many, documents) if !about_comments => format!("{} nye ting til dig i {documents} aftaler", many.len()),
        (many, documents) => format!("{} nye kommentarer i {documents} aftaler", many.len()),
    }
}

fn what(one: &Told) -> String {
    let by = one.by.as_deref().unwrap_or("En kollega");
    match one.kind {
        NoticeKind::Mention => format!("{by} nævner dig"),
        NoticeKind::Reply => format!("{by} har svaret"),
        NoticeKind::Comment => format!("{by} har skrevet en kommentar"),
        NoticeKind::Resolved => format!("{by} har løst en kommentar"),
        NoticeKind::Proposal => format!("nyt om et forslag til ny ordlyd fra {by}"),
        NoticeKind::ReadyToSign => "aftalen er klar til din underskrift".to_owned(),
        NoticeKind::Reopened => format!("{by} har taget aftalen tilbage til kladde"),
    }
}

fn line(one: &Told) -> String {
    let words = what(one);
    let mut letters = words.chars();
    let capital = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    match (&one.reason, &one.quote) {
        (Some(reason), _) => format!("{capital}. Begrundelse: »{}«", one_line(reason)),
        (None, Some(quote)) => format!("{capital} ved »{}«", short(quote)),
        (None, None) => capital,
    }
}

/// The first words, on one line.
fn short(quote: &str) -> String {
    const MOST: usize = 80;
    let line = one_line(quote);
    if line.chars().count() <= MOST { line } else { line.chars().take(MOST - 1).chain(['…']).collect() }
}

fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What people wrote can be no markup.
#[must_use]
pub fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

/// The page of a thread.
#[must_use]
pub fn path_of(agreement: Option<Uuid>, thread: Option<Uuid>) -> String {
    match (agreement, thread) {
        (Some(agreement), Some(thread)) => format!("/agreements/{agreement}#thread-{thread}"),
        (Some(agreement), None) => format!("/agreements/{agreement}"),
        (None, _) => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: NoticeKind, title: &str) -> Told {
        Told {
            kind,
            by: Some("Esben Opdigtsen".into()),
            title: title.into(),
            quote: Some("Fraværet er højst 5,8 procent".into()),
            reason: None,
            path: path_of(Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2))),
        }
    }

    fn sender() -> Sender {
        Sender {
            public_url: "https://samspil.klitfjord.example".into(),
            municipality: "Klitfjord Kommune".into(),
            unsubscribe: Some("https://samspil.klitfjord.example/mail/unsubscribe/abc".into()),
        }
    }

    #[test]
    fn one_thing_is_said_in_the_subject_and_its_page_is_linked() {
        let letter = letter("Hanne", &[told(NoticeKind::Mention, "Aftale 2027 · Fjordskolen")], &sender());
        assert_eq!(letter.subject, "Aftale 2027 · Fjordskolen: Esben Opdigtsen nævner dig");
        assert_eq!(
            letter.plain,
            "Hej Hanne\n\nDer er nyt til dig i Samspil.\n\nAftale 2027 · Fjordskolen\n\
             - Esben Opdigtsen nævner dig ved »Fraværet er højst 5,8 procent«\n  \
             https://samspil.klitfjord.example/agreements/00000000-0000-0000-0000-000000000001#thread-00000000-0000-0000-0000-000000000002\n\n\
             Du ser, hvad der er skrevet, når du har logget ind. Ordene står ikke i denne mail.\n\nVenlig hilsen\nSamspil, Klitfjord Kommune\n\n\
             -- \nVælg selv, hvad du vil høre om: https://samspil.klitfjord.example/?notices\n\
             Stop mail om dette: https://samspil.klitfjord.example/mail/unsubscribe/abc\n"
        );
    }

    #[test]
    fn many_things_are_one_letter() {
        let many: Vec<Told> = (0..10).map(|_| told(NoticeKind::Comment, "Aftale 2027 · Fjordskolen")).collect();
        assert_eq!(letter("Hanne", &many, &sender()).subject, "Aftale 2027 · Fjordskolen: 10 nye kommentarer");
        let two = [told(NoticeKind::Reply, "Aftale 2027 · Fjordskolen"), told(NoticeKind::Proposal, "Aftale 2027 · Klitskolen")];
        let letter = letter("Hanne", &two, &sender());
        assert_eq!(letter.subject, "2 nye kommentarer i 2 aftaler");
        assert!(letter.plain.contains("- Nyt om et forslag til ny ordlyd fra Esben Opdigtsen ved"));
    }

    #[test]
    fn a_request_to_sign_and_a_reason_are_said_and_nobody_is_offered_to_stop_them() {
        let ready = Told { quote: None, ..told(NoticeKind::ReadyToSign, "Aftale 2027 · Fjordskolen") };
        let sender = Sender { unsubscribe: None, ..sender() };
        let one = letter("Hanne", std::slice::from_ref(&ready), &sender);
        assert_eq!(one.subject, "Aftale 2027 · Fjordskolen: aftalen er klar til din underskrift");
        assert!(!one.plain.contains("Stop mail") && !one.html.contains("Stop mail"), "{}", one.plain);
        let reason = Some("Forkert antal biler\ni rammeafsnittet".into());
        let back = Told { quote: None, reason, ..told(NoticeKind::Reopened, "Aftale 2027 · Fjordskolen") };
        let said = "- Esben Opdigtsen har taget aftalen tilbage til kladde. Begrundelse: »Forkert antal biler i rammeafsnittet«";
        assert!(letter("Hanne", std::slice::from_ref(&back), &sender).plain.contains(said));
        assert_eq!(letter("Hanne", &[ready, back], &sender).subject, "Aftale 2027 · Fjordskolen: 2 nye ting til dig");
    }

    #[test]
    fn what_people_wrote_is_no_markup() {
        let mut hostile = told(NoticeKind::Comment, "<b>Aftale</b> & \"andet\"");
        hostile.by = Some("<script>alert(1)</script>".into());
        hostile.quote = Some("' onclick='x".into());
        let html = letter("<i>Hanne", &[hostile], &sender()).html;
        assert!(!html.contains("<script>") && !html.contains("<b>") && !html.contains("<i>") && !html.contains("' onclick"), "{html}");
    }

    #[test]
    fn every_kind_and_way_has_its_name() {
        for kind in KINDS.into_iter().chain(ALWAYS) {
            assert_eq!(kind_of(kind_id(kind)), Some(kind));
        }
        for way in [NoticeWay::Off, NoticeWay::InApp, NoticeWay::Digest, NoticeWay::AtOnce] {
            assert_eq!(way_of(way_id(way)), Some(way));
        }
    }
}
