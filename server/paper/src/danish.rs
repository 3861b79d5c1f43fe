//! Days, moments and figures as Danish paper has them.

use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _, Utc};
use chrono_tz::Europe::Copenhagen;

const MONTHS: [&str; 12] =
    ["januar", "februar", "marts", "april", "maj", "juni", "juli", "august", "september", "oktober", "november", "december"];
const WEEKDAYS: [&str; 7] = ["mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag"];

/// *1. januar 2027*
pub(crate) fn day(day: NaiveDate) -> String {
    format!("{}. {} {}", day.day(), MONTHS[day.month0() as usize], day.year())
}

/// *1. januar*
fn day_of_the_year(day: NaiveDate) -> String {
    format!("{}. {}", day.day(), MONTHS[day.month0() as usize])
}

/// *tirsdag den 17. november 2026*, where it was in Denmark.
pub(crate) fn weekday(at: DateTime<Utc>) -> String {
    let here = at.with_timezone(&Copenhagen).date_naive();
    format!("{} den {}", WEEKDAYS[here.weekday().num_days_from_monday() as usize], day(here))
}

/// *tirsdag den 17. november 2026 kl. 9.05*, Danish time.
pub(crate) fn moment(at: DateTime<Utc>) -> String {
    let here = at.with_timezone(&Copenhagen);
    format!("{} kl. {}.{:02}", weekday(at), here.hour(), here.minute())
}

/// *fra den 1. januar til den 31. december 2027*
pub(crate) fn span(from: NaiveDate, to: NaiveDate) -> String {
    let first = if from.year() == to.year() { day_of_the_year(from) } else { day(from) };
    format!("fra den {first} til den {}", day(to))
}

/// A day that somebody picked, *1. juni 2027*; what is no day is given as it stands.
#[must_use]
pub fn picked_day(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), day)
}

/// A decimal as Danes write it; what is no number is given as it stands.
#[must_use]
pub fn decimal(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("\u{2212}", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if number(whole) && number(fraction) { format!("{sign}{}", digits.replace('.', ",")) } else { text.to_owned() }
}

/// A level of login in words, where it is one that people know; else as the provider calls it.
pub(crate) fn login_level(level: &str) -> String {
    // NSIS, as NemLog-in (data.gov.dk) and brokers of MitID (urn:grn:authn:dk:mitid) write it, or alone.
    let (system, name) = level.rsplit_once(['/', ':']).unwrap_or(("", level));
    let nsis = system.is_empty() || system.contains("concept/core/nsis") || system.ends_with("dk:mitid");
    let name = match (&name.to_ascii_lowercase()[..], nsis) {
        ("low" | "lav", true) => "Lav (NSIS)",
        ("substantial" | "betydelig", true) => "Betydelig (NSIS)",
        ("high" | "høj", true) => "Høj (NSIS)",
        ("fresh", _) if system == "urn:samspil:demo" => "Nyt login i demonstrationen",
        ("multipleauthn", _) => "Login i flere trin",
        _ => return level.to_owned(),
    };
    if system.ends_with("dk:mitid") { format!("MitID, {name}") } else { name.to_owned() }
}

/// *11,85 mio. kr.*, or *850.000 kr.*
pub(crate) fn kroner(amount: i64) -> String {
    if amount >= 1_000_000 && amount % 10_000 == 0 {
        let hundredths = format!("{:02}", amount / 10_000 % 100);
        let fraction = hundredths.trim_end_matches('0');
        let comma = if fraction.is_empty() { "" } else { "," };
        return format!("{}{comma}{fraction}\u{a0}mio. kr.", grouped(amount / 1_000_000));
    }
    format!("{}\u{a0}kr.", grouped(amount))
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    if number < 0 { format!("\u{2212}{text}") } else { text }
}

/// A title within a sentence: *Skoleleder* is *skoleleder* there, *IT-chef* stays.
pub(crate) fn within(title: &str) -> String {
    let mut chars = title.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => title.to_owned(),
    }
}

/// *a, b og c*
pub(crate) fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} og {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_level_is_worded_where_people_know_it_and_named_where_they_do_not() {
        for (level, words) in [
            ("https://data.gov.dk/concept/core/nsis/Substantial", "Betydelig (NSIS)"),
            ("https://data.gov.dk/concept/core/nsis/loa/High", "Høj (NSIS)"),
            ("urn:grn:authn:dk:mitid:substantial", "MitID, Betydelig (NSIS)"),
            ("Substantial", "Betydelig (NSIS)"),
            ("Betydelig", "Betydelig (NSIS)"),
            ("Low", "Lav (NSIS)"),
            ("urn:samspil:demo:fresh", "Nyt login i demonstrationen"),
            ("http://schemas.microsoft.com/claims/multipleauthn", "Login i flere trin"),
            // Another framework's words are not ours to translate.
            ("http://eidas.europa.eu/LoA/high", "http://eidas.europa.eu/LoA/high"),
            ("c25", "c25"),
            ("2", "2"),
        ] {
            assert_eq!(login_level(level), words);
        }
    }

    #[test]
    fn days_and_moments_are_those_in_denmark() {
        assert_eq!(day(on("2027-01-01")), "1. januar 2027");
        assert_eq!(span(on("2027-01-01"), on("2027-12-31")), "fra den 1. januar til den 31. december 2027");
        assert_eq!(span(on("2026-08-01"), on("2027-07-31")), "fra den 1. august 2026 til den 31. juli 2027");
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(moment(at("2026-11-20T11:47:00Z")), "fredag den 20. november 2026 kl. 12.47");
        assert_eq!(moment(at("2026-06-30T22:05:00Z")), "onsdag den 1. juli 2026 kl. 0.05");
    }

    #[test]
    fn figures_have_a_decimal_comma_and_anything_else_stays_as_it_is() {
        let cases = [("62.5", "62,5"), ("75", "75"), ("-3", "\u{2212}3"), ("ca. 4", "ca. 4"), ("1.2.3", "1.2.3"), ("", ""), (".", ".")];
        for (from, to) in cases {
            assert_eq!(decimal(from), to, "{from}");
        }
        assert_eq!(kroner(11_850_000), "11,85\u{a0}mio. kr.");
        assert_eq!(kroner(64_000_000), "64\u{a0}mio. kr.");
        assert_eq!(kroner(1_200_500_000), "1.200,5\u{a0}mio. kr.");
        assert_eq!(kroner(850_000), "850.000\u{a0}kr.");
        assert_eq!(kroner(1_234_567), "1.234.567\u{a0}kr.");
    }

    #[test]
    fn days_that_people_picked_are_worded_and_anything_else_stays_as_it_is() {
        assert_eq!(picked_day("2027-06-01"), "1. juni 2027");
        assert_eq!(picked_day("snart"), "snart");
        assert_eq!((within("Direktør for Børn"), within("IT-chef")), ("direktør for Børn".into(), "IT-chef".into()));
        assert_eq!(listed(&["a".into(), "b".into(), "c".into()]), "a, b og c");
    }
}
