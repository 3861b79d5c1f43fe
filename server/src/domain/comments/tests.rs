use super::*;

#[test]
fn what_looks_like_a_cpr_number_is_seen() {
    for (text, expected) in [
        ("Barnet 010203-1234 er syg", true),
        ("0102031234", true),
        ("010203 1234.", true),
        ("(290200-1234)", true),
        ("310103-1234", true),
        ("310203-1234", false),
        ("320203-1234", false),
        ("011303-1234", false),
        ("290201-1234", false),
        ("10102031234", false),
        ("010203-12345", false),
        ("010203-123", false),
        ("Ring 12 34 56 78", false),
        ("1.234.567.890 kr.", false),
        ("EAN 5798001234567", false),
        ("år 2026-2027", false),
        ("", false),
        ("☃010203-1234☃", true),
        ("tal: 999999-9999, og så 311299–4321", true),
    ] {
        assert_eq!(looks_like_cpr(text), expected, "{text}");
    }
}

#[test]
fn a_claim_without_a_report_lapses() {
    let then: DateTime<Utc> = "2026-11-24T10:00:00Z".parse().unwrap();
    for (state, since, after, expected) in [
        (Wording::Claimed, Some(then), 29, Wording::Claimed),
        (Wording::Claimed, Some(then), 30, Wording::Open),
        (Wording::Open, None, 0, Wording::Open),
        (Wording::Inserted, Some(then), 3_600, Wording::Inserted),
        (Wording::Declined, Some(then), 3_600, Wording::Declined),
    ] {
        assert_eq!(wording_now(state, since, then + Duration::seconds(after)), expected, "{state:?} after {after} s");
    }
}

#[test]
fn every_id_names_what_it_came_from() {
    for about in [About::Document, About::Section, About::Goal, About::Words] {
        assert_eq!(About::from_id(about.id()), Some(about));
    }
    for state in [Wording::Open, Wording::Claimed, Wording::Inserted, Wording::Declined] {
        assert_eq!(Wording::from_id(state.id()), Some(state));
    }
    assert_eq!((About::from_id(""), Wording::from_id("taken")), (None, None));
}

#[test]
fn each_is_told_once_of_what_concerns_them_most_and_nobody_of_what_they_did() {
    let people: Vec<PersonId> = (1..=4).map(|id| PersonId(uuid::Uuid::from_u128(id))).collect();
    let [by, named, writer, party] = people[..] else { unreachable!("there are four") };
    let told = told_of(by, &[named, by], &[writer, named, by], &[by, party, writer], false);
    assert_eq!(told, [(named, Telling::Mention), (writer, Telling::Reply), (party, Telling::Comment)]);
    assert_eq!(told_of(by, &[], &[], &[by, party], true), [(party, Telling::Proposal)]);
    assert_eq!(told_of(by, &[], &[by], &[], false), []);
}
