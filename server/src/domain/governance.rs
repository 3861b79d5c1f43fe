//! The governance chain and the process around it: when a document is in force, and which days are to be kept.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use samspil_client_protocol::api::DeadlineKind;

use super::{
    agreement::{AgreementStatus, Demand, Demands, DueDays},
    document::Status,
};

/// The municipality's rules for its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What must be in place before signing.
    pub demands: Demands,
    /// The days to keep.
    pub calendar: Calendar,
}

impl Rules {
    /// Everything is demanded, no days are set: what holds before a municipality has said anything.
    #[must_use]
    pub fn strictest() -> Self {
        let demands = Demands { dialogue: Demand::Block, political_goal: Demand::Block, executive_goal: Demand::Block };
        Self { demands, calendar: Calendar::default() }
    }
}

/// The days to keep in one round of agreements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// The draft must be ready.
    pub draft: Option<NaiveDate>,
    /// The agreement must be signed.
    pub sign: Option<NaiveDate>,
    /// *Midtvejsstatus.*
    pub midyear: Option<NaiveDate>,
    /// *Årlig opfølgning.*
    pub annual: Option<NaiveDate>,
}

impl Calendar {
    /// The year of the agreements that these days belong to: that of the follow-up, or else of signing, since a draft is written
    /// the year before.
    #[must_use]
    pub fn year(&self) -> Option<i32> {
        self.annual.or(self.midyear).or(self.sign).map(|day| day.year())
    }

    /// The days by which an agreement whose period begins on this day must be drafted and signed.
    #[must_use]
    pub fn due_days(&self, period_from: NaiveDate) -> DueDays {
        if self.year() == Some(period_from.year()) { DueDays { draft: self.draft, sign: self.sign } } else { DueDays::default() }
    }
}

/// A day to keep, and whether it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The day.
    pub on: NaiveDate,
    /// What for.
    pub kind: DeadlineKind,
    /// Done by everyone it is for?
    pub done: bool,
    /// The agreements' year.
    pub year: i32,
}

/// The days to keep for agreements with these statuses, in order of date. One that was kept is shown for a month more.
#[must_use]
pub fn due(calendar: &Calendar, statuses: &[AgreementStatus], today: NaiveDate) -> Vec<Due> {
    use AgreementStatus::{Closed, NotStarted, Signed, Superseded};
    let Some(year) = calendar.year().filter(|_| !statuses.is_empty()) else { return Vec::new() };
    let all = |wanted: fn(&AgreementStatus) -> bool| statuses.iter().all(wanted);
    let mut due: Vec<Due> = [
        (DeadlineKind::Draft, calendar.draft, all(|status| *status != NotStarted)),
        (DeadlineKind::Sign, calendar.sign, all(|status| matches!(status, Signed | Closed | Superseded))),
        (DeadlineKind::Midyear, calendar.midyear, all(|status| matches!(status, Closed | Superseded))),
        (DeadlineKind::Annual, calendar.annual, all(|status| matches!(status, Closed | Superseded))),
    ]
    .into_iter()
    .filter_map(|(kind, on, done)| Some(Due { on: on?, kind, done, year }))
    .filter(|due| !due.done || today.signed_duration_since(due.on).num_days() <= DONE_SHOWN_DAYS)
    .collect();
    due.sort_by_key(|due| due.on);
    due
}

/// How long a day that was kept is still shown.
const DONE_SHOWN_DAYS: i64 = 31;

/// Is a document of this status and validity in force on this day? The last day counts; no last day means until it is replaced.
#[must_use]
pub fn in_force(status: Status, valid_from: NaiveDate, valid_to: Option<NaiveDate>, day: NaiveDate) -> bool {
    status == Status::Adopted && valid_from <= day && valid_to.is_none_or(|last| day <= last)
}

/// Which of the term's sixteen quarters this day stands in, from 0; `None` outside the term.
#[must_use]
pub fn plan_cell(term_from: NaiveDate, term_to: NaiveDate, day: NaiveDate) -> Option<u32> {
    if day < term_from || day > term_to {
        return None;
    }
    let years = u32::try_from(day.year() - term_from.year()).ok()?;
    Some(years * 4 + day.month0() / 3)
}

/// Which of these meetings is next: the one that begins soonest of those that are not over.
#[must_use]
pub fn next_meeting<T>(meetings: Vec<T>, times: impl Fn(&T) -> (DateTime<Utc>, DateTime<Utc>), now: DateTime<Utc>) -> Option<T> {
    meetings.into_iter().filter(|meeting| times(meeting).1 > now).min_by_key(|meeting| times(meeting).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn calendar() -> Calendar {
        Calendar {
            draft: Some(day("2026-11-20")),
            sign: Some(day("2027-01-29")),
            midyear: Some(day("2027-06-14")),
            annual: Some(day("2027-11-05")),
        }
    }

    #[test]
    fn a_document_is_in_force_when_adopted_and_within_its_days() {
        for (status, from, to, today, expected) in [
            (Status::Adopted, "2027-01-01", Some("2030-12-31"), "2026-12-31", false),
            (Status::Adopted, "2027-01-01", Some("2030-12-31"), "2027-01-01", true),
            (Status::Adopted, "2027-01-01", Some("2030-12-31"), "2030-12-31", true),
            (Status::Adopted, "2027-01-01", Some("2030-12-31"), "2031-01-01", false),
            (Status::Adopted, "2026-10-15", None, "2040-01-01", true),
            (Status::InPreparation, "2026-01-01", None, "2026-11-23", false),
            (Status::Superseded, "2026-01-01", None, "2026-11-23", false),
        ] {
            assert_eq!(in_force(status, day(from), to.map(day), day(today)), expected, "{status:?} {from} {to:?} {today}");
        }
    }

    #[test]
    fn a_day_stands_in_one_of_sixteen_quarters_of_its_term() {
        for (today, cell) in [
            ("2025-12-31", None),
            ("2026-01-01", Some(0)),
            ("2026-03-31", Some(0)),
            ("2026-04-01", Some(1)),
            ("2026-11-23", Some(3)),
            ("2027-01-01", Some(4)),
            ("2029-12-31", Some(15)),
            ("2030-01-01", None),
        ] {
            assert_eq!(plan_cell(day("2026-01-01"), day("2029-12-31"), day(today)), cell, "{today}");
        }
    }

    #[test]
    fn days_belong_to_the_agreements_of_their_year_only() {
        let days = calendar();
        assert_eq!(days.due_days(day("2027-01-01")), DueDays { draft: days.draft, sign: days.sign });
        assert_eq!(days.due_days(day("2026-01-01")), DueDays::default());
    }

    #[test]
    fn a_day_is_kept_when_everyone_kept_it() {
        use AgreementStatus::{InDialogue, NotStarted, Signed};
        let today = day("2026-11-23");
        let done = |statuses: &[AgreementStatus]| due(&calendar(), statuses, today).iter().map(|due| due.done).collect::<Vec<_>>();
        assert_eq!(done(&[InDialogue]), [true, false, false, false]);
        assert_eq!(done(&[InDialogue, NotStarted]), [false, false, false, false]);
        assert_eq!(done(&[Signed]), [true, true, false, false]);
        assert_eq!(due(&calendar(), &[], today), []);
    }

    #[test]
    fn a_day_that_was_kept_is_shown_for_a_month_and_one_that_was_not_stays() {
        use AgreementStatus::{InDialogue, NotStarted};
        let kinds = |status, today| due(&calendar(), &[status], day(today)).iter().map(|due| due.kind).collect::<Vec<_>>();
        assert!(kinds(InDialogue, "2026-12-21").contains(&DeadlineKind::Draft));
        assert!(!kinds(InDialogue, "2026-12-22").contains(&DeadlineKind::Draft));
        assert!(kinds(NotStarted, "2026-12-22").contains(&DeadlineKind::Draft));
    }

    #[test]
    fn the_next_meeting_is_the_soonest_that_is_not_over() {
        let at = |hour| day("2026-11-23").and_hms_opt(hour, 0, 0).unwrap().and_utc();
        let meetings = vec![(at(15), at(16)), (at(9), at(10)), (at(12), at(14))];
        assert_eq!(next_meeting(meetings.clone(), |times| *times, at(13)), Some((at(12), at(14))), "one that is under way counts");
        assert_eq!(next_meeting(meetings.clone(), |times| *times, at(14)), Some((at(15), at(16))));
        assert_eq!(next_meeting(meetings, |times| *times, at(16)), None);
    }
}
