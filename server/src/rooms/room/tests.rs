//! Short plays: who comes in, what they send, what everybody is told and when.

use std::collections::BTreeSet;

use chrono::{Duration, TimeZone};
use samspil_client_protocol::{
    api::{AgreementStatus, Party},
    frame::Reader,
};
use uuid::Uuid;
use yrs::{
    Doc, OffsetKind, Options, ReadTxn, Text, Transact, Update, XmlElementPrelim, XmlFragment, XmlTextPrelim, updates::decoder::Decode,
};

use super::*;
use crate::{
    domain::{
        access::AgreementAccess,
        document::{DocumentKind, Status},
        ids::OrgId,
        principal::{Placement, Role},
    },
    rooms::document::NotReplayed,
    store::log::Logged,
};

mod limits;

pub(in crate::rooms) fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 12, 30, 0).unwrap()
}

pub(super) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(super) const UNIT: u128 = 1;
pub(super) const ABOVE: u128 = 2;
pub(in crate::rooms) const LEADER: u128 = 11;
pub(in crate::rooms) const HEAD: u128 = 12;
pub(in crate::rooms) const TEACHER: u128 = 13;

pub(in crate::rooms) fn access(status: AgreementStatus, version: i64) -> RoomAccess {
    RoomAccess {
        document: DocumentAccess {
            document: DocumentId(id(100)),
            kind: DocumentKind::Agreement,
            status: Status::Agreement(status),
            agreement: Some(AgreementAccess {
                unit: OrgId(id(UNIT)),
                above: vec![OrgId(id(ABOVE))],
                unit_leader: PersonId(id(LEADER)),
                counterpart: PersonId(id(HEAD)),
            }),
            grants: Vec::new(),
        },
        version,
        freezes: 0,
    }
}

pub(in crate::rooms) fn newcomer(person: u128) -> Newcomer {
    let (role, org) = match person {
        LEADER => (Role::UnitLeader, UNIT),
        HEAD => (Role::HeadOfDepartment, ABOVE),
        _ => (Role::UnitContributor, UNIT),
    };
    Newcomer {
        principal: Principal {
            person: PersonId(id(person)),
            session: SessionId(id(person + 1000)),
            token_roles: BTreeSet::from([role]),
            placements: vec![Placement { role, org: OrgId(id(org)), from: None, to: None }],
        },
        person_version: 0,
        session_version: 0,
        session_until: now() + Duration::hours(12),
        person: PeerPerson { id: id(person), name: format!("Person {person}"), initials: "PP".into(), colour: 1 },
        samspil: true,
    }
}

pub(super) fn doc(client: u64) -> Doc {
    Doc::with_options(Options { client_id: yrs::ClientID::new(client), offset_kind: OffsetKind::Utf16, ..Options::default() })
}

pub(super) fn first_update() -> Bytes {
    let doc = doc(999);
    let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
    let mut transaction = doc.transact_mut();
    let paragraph = section.push_back(&mut transaction, XmlElementPrelim::empty("paragraph"));
    paragraph.push_back(&mut transaction, XmlTextPrelim::new("Aftale"));
    drop(transaction);
    doc.transact().encode_state_as_update_v1(&yrs::StateVector::default()).into()
}

/// The log as the database holds it.
struct Disk(Vec<Bytes>);

impl Disk {
    fn new() -> Self {
        Self(vec![first_update()])
    }

    fn log(&self) -> Log {
        Log {
            head: self.0.len() as u64,
            snapshot: None,
            updates: (1..).zip(&self.0).map(|(seq, payload)| Logged { seq, payload: payload.clone() }).collect(),
            owners: vec![crate::store::log::Owner { client: 999, person: None, retired: false }],
            anchors: Vec::new(),
        }
    }

    /// What comes after this seq.
    fn tail(&self, after: u64) -> Log {
        let mut log = self.log();
        log.updates.retain(|update| update.seq > after);
        log
    }

    fn commit(&mut self, batch: &Batch) -> Appended {
        let first = self.0.len() as u64 + 1;
        self.0.extend(batch.rows.iter().map(|row| row.payload.clone()));
        Appended::Committed { first }
    }
}

impl Room {
    /// A room over a log, awake.
    pub(in crate::rooms) fn open(id: DocumentId, schema: u32, log: &Log, access: RoomAccess, limits: Limits) -> Result<Self, NotReplayed> {
        let holds = LiveDocument::foretell(log, &update_limits(&limits));
        let mut room = Self::asleep(id, schema, log.head, holds, access, limits);
        room.replayed(log, now(), &mut Vec::new())?;
        Ok(room)
    }

    /// Replays a log and gives the room what it makes.
    pub(in crate::rooms) fn replayed(&mut self, log: &Log, now: DateTime<Utc>, out: &mut Vec<Effect>) -> Result<(), NotReplayed> {
        let document = LiveDocument::replay(log, &self.update_limits)?;
        self.reloaded(log, document, now, out);
        Ok(())
    }
}

fn room(disk: &Disk) -> Room {
    Room::open(DocumentId(id(100)), 1, &disk.log(), access(AgreementStatus::InDialogue, 0), Limits::default()).unwrap()
}

pub(in crate::rooms) fn empty_room() -> Room {
    room(&Disk::new())
}

fn join(room: &mut Room, person: u128) -> PeerId {
    room.join(newcomer(person), now(), &mut Vec::new()).unwrap()
}

/// Words that a person types at the start of the paragraph, as an update frame.
fn typed(client: u64, words: &str) -> Bytes {
    frame::update(&update(client, words))
}

fn update(client: u64, words: &str) -> Bytes {
    let doc = doc(client);
    let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
    doc.transact_mut().apply_update(Update::decode_v1(&first_update()).unwrap()).unwrap();
    let before = doc.transact().state_vector();
    let mut transaction = doc.transact_mut();
    let text = section.get(&transaction, 0).unwrap().into_xml_element().unwrap().get(&transaction, 0).unwrap().into_xml_text().unwrap();
    text.insert(&mut transaction, 0, words);
    drop(transaction);
    doc.transact().encode_state_as_update_v1(&before).into()
}

/// What an effect is, in short.
fn told(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Send(peer, bytes) => {
                let mut reader = Reader::new(bytes);
                let kind = reader.varuint().unwrap();
                match kind {
                    0 => format!("{}: sync {}", peer.0, reader.varuint().unwrap()),
                    1 => format!("{}: presence", peer.0),
                    101 => format!("{}: saved {} at {}", peer.0, reader.varuint().unwrap(), reader.varuint().unwrap()),
                    102 => {
                        let refused: Refused = serde_json::from_str(reader.string().unwrap()).unwrap();
                        format!("{}: refused {} {:?} {:?}", peer.0, refused.frame, refused.code, refused.action)
                    }
                    100 => format!("{}: hello", peer.0),
                    103 => {
                        let event: Event = serde_json::from_str(reader.string().unwrap()).unwrap();
                        format!("{}: {event:?}", peer.0)
                    }
                    104 => format!("{}: ability", peer.0),
                    other => format!("{}: {other}", peer.0),
                }
            }
            Effect::Close(peer, code, _) => format!("{}: closed {}", peer.0, code.code()),
            Effect::Reload => "reload".into(),
            Effect::Refresh => "refresh".into(),
            Effect::CatchUp => "catch up".into(),
        })
        .collect()
}

#[test]
fn h2_a_newcomer_is_greeted_then_asked_what_it_has() {
    let mut out = Vec::new();
    room(&Disk::new()).join(newcomer(LEADER), now(), &mut out).unwrap();
    assert_eq!(told(&out), ["1: hello", "1: sync 0"]);
}

#[test]
fn who_comes_while_the_room_is_asleep_is_told_what_the_log_says_and_words_wait() {
    let disk = Disk::new();
    let log = disk.log();
    let holds = LiveDocument::foretell(&log, &update_limits(&Limits::default()));
    let mut room = Room::asleep(DocumentId(id(100)), 1, log.head, holds, access(AgreementStatus::InDialogue, 0), Limits::default());
    let mut out = Vec::new();
    let leader = room.join(newcomer(LEADER), now(), &mut out).unwrap();
    room.frame(leader, &frame::sync_step1(&[0]), now(), &mut out);
    assert_eq!(told(&out), ["1: hello", "1: sync 0", "1: sync 1"]);
    let Some(Effect::Send(_, step2)) = out.pop() else { panic!("nothing was said") };
    let Ok(ClientFrame::Update { update, .. }) = ClientFrame::decode(&step2) else { panic!("no step 2") };
    let told_of = Log { updates: vec![Logged { seq: 1, payload: update }], ..disk.log() };
    let limits = update_limits(&Limits::default());
    let [told_of, replayed] = [told_of, disk.log()].map(|log| LiveDocument::replay(&log, &limits).unwrap().content());
    assert_eq!(told_of, replayed);

    // Who has something is told what it lacks, and words are taken in, when the document is there.
    out.clear();
    let head = room.join(newcomer(HEAD), now(), &mut out).unwrap();
    room.frame(head, &frame::sync_step1(&[1, 7, 1]), now(), &mut out);
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    assert!(room.next_batch(now(), &mut out).is_none() && room.committed().is_none() && !room.is_idle());
    assert_eq!(told(&out), ["2: hello", "2: sync 0"]);
    out.clear();
    room.replayed(&log, now(), &mut out).unwrap();
    assert_eq!(told(&out), ["2: sync 1"]);
    assert_eq!(room.next_batch(now(), &mut out).unwrap().rows.len(), 1);
}

/// A caret stands in words, and says nothing to who does not have them.
#[test]
fn p7_a_caret_is_shown_after_the_words_that_were_sent_before_it() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let (leader, head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let caret = |client, clock| frame::awareness([(client, clock, "{}")].into_iter());
    let mut out = Vec::new();
    room.frame(leader, &caret(7, 1), now(), &mut out);
    assert_eq!(told(&out), ["2: presence"], "nothing is on its way");
    out.clear();
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    room.frame(leader, &caret(7, 2), now(), &mut out);
    room.frame(head, &caret(8, 1), now(), &mut out);
    assert_eq!(told(&out), ["1: presence"], "who has written nothing is shown at once");
    out.clear();
    let batch = room.next_batch(now(), &mut out).unwrap();
    // Words that come while others are on their way.
    room.frame(leader, &typed(7, "Vores fælles "), now(), &mut out);
    room.frame(leader, &caret(7, 3), now(), &mut out);
    room.appended(&disk.commit(&batch), now(), &mut out);
    assert_eq!(told(&out), ["1: saved 1 at 2", "2: sync 2", "2: presence"]);
    out.clear();
    // Where nothing can be saved, people are seen all the same.
    room.tick(now(), &mut out);
    assert_eq!(told(&out), ["2: presence"]);
    room.leave(leader, &mut Vec::new());
    assert!(room.held.is_empty());
}

#[test]
fn g2_nobody_is_shown_words_before_they_are_on_disk() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let (leader, _head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    assert_eq!(told(&out), [""; 0], "nothing is said while the batch is on its way");
    // A third person comes in the middle of it, and waits for what is committed.
    let teacher = room.join(newcomer(TEACHER), now(), &mut out).unwrap();
    assert_eq!(told(&out), [""; 0]);
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    assert_eq!(told(&out), ["1: saved 1 at 2", "2: sync 2", "3: hello", "3: sync 0"], "acknowledged, then shown, then greeted");
    assert_eq!(room.head(), 2);
    assert_eq!(teacher, PeerId(3));
}

#[test]
fn g1_an_unknown_commit_is_settled_by_reading_the_log_and_nothing_is_written_twice() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let (leader, _head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    // It was committed, but the answer was lost.
    disk.commit(&batch);
    room.appended(&Appended::Unknown, now(), &mut out);
    assert_eq!(told(&out), ["reload"]);
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    assert!(room.next_batch(now(), &mut out).is_none(), "nothing is admitted until the log has been read");
    out.clear();
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    assert!(room.next_batch(now(), &mut out).is_none(), "what is there already needs no row");
    assert_eq!(told(&out), ["1: sync 2", "2: sync 2", "1: saved 2 at 2"]);
}

#[test]
fn g1_a_commit_that_failed_is_made_again() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    room.next_batch(now(), &mut out).unwrap();
    room.appended(&Appended::Unknown, now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    let again = room.next_batch(now(), &mut out).expect("the words are still here");
    assert_eq!(again.rows.len(), 1);
    assert_eq!(told(&out), ["reload"], "and nobody has been told anything");
}

#[test]
fn one_update_that_the_database_refuses_costs_nobody_elses_words() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let (leader, head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    let sent = [(leader, typed(7, "Vores ")), (head, typed(8, "afvises")), (head, typed(9, "Deres ")), (leader, typed(7, "Vores "))];
    for (peer, words) in &sent {
        room.frame(*peer, words, now(), &mut out);
    }
    let mut batches = 0;
    // Together they are refused, then one after the other, and the second of them alone.
    while let Some(batch) = room.next_batch(now(), &mut out) {
        batches += 1;
        assert!(batches < 10, "it comes to an end");
        if batch.rows.iter().any(|row| row.payload == update(8, "afvises")) {
            room.appended(&Appended::Rejected, now(), &mut out);
            room.replayed(&disk.log(), now(), &mut out).unwrap();
        } else {
            let appended = disk.commit(&batch);
            room.appended(&appended, now(), &mut out);
        }
    }
    assert_eq!(disk.0[1..], [update(7, "Vores "), update(9, "Deres ")]);
    assert_eq!(
        told(&out),
        [
            "reload",
            "1: saved 1 at 2",
            "2: sync 2",
            "2: refused 1 Malformed KeepAsProposal",
            "2: saved 1 at 2",
            "reload",
            "2: saved 2 at 3",
            "1: sync 2",
            "1: saved 2 at 3"
        ]
    );
    room.frame(leader, &typed(10, "Mere "), now(), &mut out);
    room.frame(head, &typed(11, "Endnu mere "), now(), &mut out);
    assert_eq!(room.next_batch(now(), &mut out).unwrap().rows.len(), 2, "afterwards they go together again");
}

#[test]
fn g5_words_on_their_way_while_the_text_is_frozen_are_refused_for_good() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "for sent "), now(), &mut out);
    room.next_batch(now(), &mut out).unwrap();
    room.appended(&Appended::AccessChanged, now(), &mut out);
    assert_eq!(told(&out), ["refresh", "reload"]);
    out.clear();
    room.access(access(AgreementStatus::ReadyToSign, 1), &BTreeMap::new(), now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    assert!(room.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), ["1: ability", "1: AgreementChanged", "1: refused 1 Frozen KeepAsProposal", "1: saved 1 at 1"]);
}

#[test]
fn a_reader_sees_everything_and_writes_nothing() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let mut standard = newcomer(TEACHER);
    standard.samspil = false;
    let teacher = room.join(standard, now(), &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    room.frame(teacher, &frame::sync_step1(&[0]), now(), &mut out);
    assert_eq!(told(&out), ["1: sync 1"]);
    out.clear();
    room.frame(teacher, &frame::sync_step2(&first_update()), now(), &mut out);
    assert!(room.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), [""; 0], "an answer that brings nothing is no offence");
    room.frame(teacher, &typed(7, "indsmuglet"), now(), &mut out);
    assert!(room.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), ["1: closed 4403"]);
}

#[test]
fn s4_a_gap_is_answered_once_with_step_1_until_the_next_step_2() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let gap = frame::update(&Bytes::from_static(b"\x01\x01\x07\x09\x84\x07\x08\x01x\x00"));
    let mut out = Vec::new();
    for _ in 0..5 {
        room.frame(leader, &gap, now(), &mut out);
    }
    assert!(room.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), ["1: refused 1 Gap Resync", "1: sync 0", "1: saved 5 at 1"]);
}

#[test]
fn r8_two_people_cannot_write_under_one_client_id() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let (leader, head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    assert_eq!(batch.clients, [(7, PersonId(id(LEADER)))]);
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    out.clear();
    room.frame(head, &typed(7, "Deres og mere "), now(), &mut out);
    room.next_batch(now(), &mut out);
    assert_eq!(told(&out), ["2: refused 1 ClientId NewClientId", "2: saved 1 at 2"]);
}

#[test]
fn who_leaves_in_the_middle_of_a_word_has_it_written_all_the_same() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "sidste ord "), now(), &mut out);
    room.leave(leader, &mut out);
    assert_eq!(room.next_batch(now(), &mut out).expect("the words count").rows.len(), 1);
}

#[test]
fn a_session_that_ends_closes_its_sockets_and_a_stranger_finds_nothing() {
    let mut room = room(&Disk::new());
    let leader = join(&mut room, LEADER);
    let mut stranger = newcomer(TEACHER);
    stranger.principal.placements[0].org = OrgId(id(77));
    assert_eq!(room.join(stranger, now(), &mut Vec::new()), Err(CloseCode::NotFound));
    let mut out = Vec::new();
    room.session_ended(SessionId(id(LEADER + 1000)), &mut out);
    assert_eq!(told(&out), [format!("{}: closed 4401", leader.0)]);
    assert_eq!(room.peers(), 0);
}

#[test]
fn a_right_that_ends_with_the_day_ends_at_midnight_in_denmark() {
    let mut room = room(&Disk::new());
    let mut acting = newcomer(LEADER);
    acting.principal.placements[0].to = Some(chrono::NaiveDate::from_ymd_opt(2026, 11, 23).unwrap());
    room.join(acting, now(), &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    room.tick(Utc.with_ymd_and_hms(2026, 11, 23, 22, 59, 59).unwrap(), &mut out);
    assert_eq!(told(&out), [""; 0]);
    room.tick(Utc.with_ymd_and_hms(2026, 11, 23, 23, 0, 0).unwrap(), &mut out);
    assert_eq!(told(&out), ["1: ability", "1: closed 4403"]);
}

#[test]
fn l11_what_cannot_be_saved_is_bounded() {
    let limits = Limits { room_unsaved_updates_max: 2, ..Limits::default() };
    let mut room = Room::open(DocumentId(id(100)), 1, &Disk::new().log(), access(AgreementStatus::InDialogue, 0), limits).unwrap();
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    for client in 7..9 {
        room.frame(leader, &typed(client, "ord "), now(), &mut out);
    }
    assert_eq!(told(&out), [""; 0], "at the limit");
    room.frame(leader, &typed(9, "ord "), now(), &mut out);
    assert_eq!(told(&out), ["1: refused 3 NotSaving Resync"], "above it");
    out.clear();
    let batch = room.next_batch(now(), &mut out).unwrap();
    room.appended(&Disk::new().commit(&batch), now(), &mut out);
    assert_eq!(told(&out), ["1: saved 2 at 3", "1: saved 3 at 3", "1: sync 0"], "once it can be saved, the peer is asked for the rest");
}

#[test]
fn p2_p3_presence_is_one_own_id_with_the_servers_words_about_who_it_is() {
    let mut room = room(&Disk::new());
    let (leader, head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    let states = [(70, 1, r#"{"user":{"name":"En anden"},"place":"rammer"}"#)];
    room.frame(leader, &frame::awareness(states.into_iter()), now(), &mut out);
    let [Effect::Send(to, relayed)] = &out[..] else { panic!("{:?}", told(&out)) };
    assert_eq!(*to, head);
    let mut reader = Reader::new(relayed);
    assert_eq!(reader.varuint(), Ok(1));
    let entries = frame::awareness_entries(reader.bytes().unwrap()).unwrap();
    let state: serde_json::Value = serde_json::from_str(entries[0].2).unwrap();
    assert_eq!((entries[0].0, entries[0].1), (70, 1));
    assert_eq!(state["user"]["name"], "Person 11");
    assert_eq!(state["place"], "rammer");
    // The head echoes what it heard, as the standard client does: nobody is told, and it does not take the id over.
    out.clear();
    room.frame(head, &frame::awareness(states.into_iter()), now(), &mut out);
    assert_eq!(told(&out), [""; 0]);
    room.frame(head, &frame::awareness([(71, 1, "{}")].into_iter()), now(), &mut out);
    assert_eq!(told(&out), ["1: presence"]);
    out.clear();
    room.leave(leader, &mut out);
    assert_eq!(told(&out), ["2: presence"], "gone");
}

#[test]
fn replaying_the_log_gives_the_live_document() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let (leader, head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    room.frame(head, &typed(8, "Jeres "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    assert_eq!(batch.rows.len(), 2, "one batch for what was waiting");
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    let replayed = LiveDocument::replay(&disk.log(), &update_limits(&Limits::default())).unwrap();
    assert_eq!(room.committed().unwrap().content(), replayed.content());
    assert!(String::from_utf8(replayed.content()).unwrap().contains("Vores"));
    assert_eq!(
        abilities(&newcomer(HEAD).principal, &access(AgreementStatus::InDialogue, 0).document, now()).party,
        Some(Party::Counterpart)
    );
}

#[test]
fn s5_a_question_about_presence_is_always_answered() {
    let mut room = room(&Disk::new());
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &Bytes::from_static(&[3]), now(), &mut out);
    assert_eq!(told(&out), ["1: presence"]);
}

#[test]
fn who_signs_out_with_words_on_their_way_holds_nobody_up() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let (leader, head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "for sent "), now(), &mut out);
    room.next_batch(now(), &mut out).unwrap();
    room.session_ended(SessionId(id(LEADER + 1000)), &mut out);
    room.appended(&Appended::AccessChanged, now(), &mut out);
    assert_eq!(room.present().count(), 2, "what the one who left may do is asked for, too");
    let over = BTreeMap::from([(SessionId(id(LEADER + 1000)), None)]);
    room.access(access(AgreementStatus::InDialogue, 0), &over, now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    room.frame(head, &typed(8, "i tide "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).expect("the others write on");
    assert_eq!((batch.rows.len(), batch.rows[0].person), (1, PersonId(id(HEAD))));
    assert_eq!(batch.versions.sessions, [(SessionId(id(HEAD + 1000)), 0)]);
}

#[test]
fn who_left_has_their_last_words_written_under_the_rights_they_have_now() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "sidste "), now(), &mut out);
    room.next_batch(now(), &mut out).unwrap();
    room.leave(leader, &mut out);
    room.appended(&Appended::AccessChanged, now(), &mut out);
    let principal = newcomer(LEADER).principal;
    let fresh = FreshPrincipal { principal, person_version: 5, session_version: 6, session_until: now() + Duration::hours(1) };
    room.access(access(AgreementStatus::InDialogue, 0), &BTreeMap::from([(SessionId(id(LEADER + 1000)), Some(fresh))]), now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    let batch = room.next_batch(now(), &mut out).unwrap();
    assert_eq!((batch.versions.persons[0].1, batch.versions.sessions[0].1), (5, 6));
}

#[test]
fn l11_who_cannot_be_saved_is_never_sent_away_for_it() {
    let limits = Limits { room_unsaved_updates_max: 1, refusals_before_close: 3, ..Limits::default() };
    let mut room = Room::open(DocumentId(id(100)), 1, &Disk::new().log(), access(AgreementStatus::InDialogue, 0), limits).unwrap();
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    for client in 7..20 {
        room.frame(leader, &typed(client, "ord "), now(), &mut out);
    }
    assert_eq!(out.len(), 12);
    assert!(told(&out).iter().all(|told| told.ends_with("NotSaving Resync")), "{:?}", told(&out));
}

#[test]
fn h4_a_batch_that_is_made_again_refuses_nothing_twice() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "ord "), now(), &mut out);
    room.frame(leader, &frame::update(&Bytes::from_static(b"\x05")), now(), &mut out);
    room.next_batch(now(), &mut out).unwrap();
    assert_eq!(told(&out), ["1: refused 2 Malformed KeepAsProposal"]);
    out.clear();
    room.appended(&Appended::Unknown, now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    let batch = room.next_batch(now(), &mut out).unwrap();
    assert_eq!(told(&out), ["reload"], "it has been said");
    out.clear();
    room.appended(&Disk::new().commit(&batch), now(), &mut out);
    assert_eq!(told(&out), ["1: saved 2 at 2"], "and counted");
}

#[test]
fn h3_the_count_of_settled_frames_never_goes_back() {
    let limits = Limits { room_unsaved_updates_max: 2, ..Limits::default() };
    let mut disk = Disk::new();
    let mut room = Room::open(DocumentId(id(100)), 1, &disk.log(), access(AgreementStatus::InDialogue, 0), limits).unwrap();
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "et "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    room.frame(leader, &typed(8, "to "), now(), &mut out);
    room.frame(leader, &typed(9, "tre "), now(), &mut out);
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    assert_eq!(told(&out), ["1: refused 3 NotSaving Resync", "1: saved 1 at 2"]);
    out.clear();
    room.frame(leader, &typed(10, "fire "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    assert_eq!(told(&out), ["1: saved 4 at 4", "1: sync 0"], "the third was refused, and the fourth says that it is settled");
}

#[test]
fn l5_in_a_full_document_what_is_here_already_is_no_offence() {
    let limits = Limits { document_bytes_max: 10, ..Limits::default() };
    let mut room = Room::open(DocumentId(id(100)), 1, &Disk::new().log(), access(AgreementStatus::InDialogue, 0), limits).unwrap();
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &frame::sync_step2(&first_update()), now(), &mut out);
    room.frame(leader, &typed(7, "for meget "), now(), &mut out);
    assert!(room.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), ["1: refused 2 DocumentFull KeepAsProposal", "1: saved 2 at 1"]);
}

#[test]
fn who_is_sent_away_while_a_batch_is_made_has_what_came_before_written() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let mut standard = newcomer(LEADER);
    standard.samspil = false;
    let leader = room.join(standard, now(), &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "gode ord "), now(), &mut out);
    room.frame(leader, &frame::update(&Bytes::from_static(b"\x05")), now(), &mut out);
    room.next_batch(now(), &mut out).unwrap();
    assert_eq!(told(&out), ["1: closed 4403"]);
    room.appended(&Appended::Unknown, now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    assert_eq!(room.next_batch(now(), &mut out).expect("the good words").rows.len(), 1);
}

#[test]
fn s2_who_asks_again_while_the_answer_has_to_wait_gets_one() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "ord "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    for _ in 0..100 {
        room.frame(leader, &frame::sync_step1(&[0]), now(), &mut out);
    }
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    assert_eq!(told(&out), ["1: saved 1 at 2", "1: sync 1"]);
}

#[test]
fn r8_ids_that_a_freeze_retired_are_retired_after_reopening() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "ord "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    out.clear();
    // Frozen and opened again, with nothing on its way either time.
    let mut log = disk.log();
    log.owners.push(crate::store::log::Owner { client: 7, person: Some(PersonId(id(LEADER))), retired: true });
    room.access(access(AgreementStatus::InDialogue, 2), &BTreeMap::new(), now(), &mut out);
    assert_eq!(told(&out), ["reload", "1: AgreementChanged"]);
    out.clear();
    room.replayed(&log, now(), &mut out).unwrap();
    room.frame(leader, &typed(7, "ord og flere "), now(), &mut out);
    assert!(room.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), ["1: refused 2 ClientId NewClientId", "1: saved 2 at 2"]);
}

/// Frozen and opened again, as far as the room was told: the count is one higher.
fn opened_again(version: i64) -> RoomAccess {
    RoomAccess { freezes: 1, ..access(AgreementStatus::Reopened, version) }
}

#[test]
fn s8_words_that_were_under_way_when_the_text_was_frozen_do_not_merge_after_reopening() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    // A client id that nobody has seen, and a freeze and a reopening that this room hears of in one breath.
    room.frame(leader, &typed(7, "før "), now(), &mut out);
    room.access(opened_again(2), &BTreeMap::new(), now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    assert_eq!(told(&out), ["reload", "1: closed 4000"], "what it sends from now on could not be told from what it sent before");
    out.clear();
    assert!(room.next_batch(now(), &mut out).is_none(), "nothing of it is written");
    // On a new line it says by itself what is older.
    join(&mut room, LEADER);
    room.frame(PeerId(2), &typed(8, "efter "), now(), &mut out);
    assert_eq!(room.next_batch(now(), &mut out).expect("new words").rows.len(), 1);
}

#[test]
fn s8_who_reads_along_stays_and_who_came_while_it_was_frozen_writes_on_the_same_line() {
    let disk = Disk::new();
    let mut room = room(&disk);
    let (_leader, _teacher) = (join(&mut room, LEADER), join(&mut room, TEACHER));
    let mut out = Vec::new();
    room.access(RoomAccess { freezes: 1, ..access(AgreementStatus::ReadyToSign, 1) }, &BTreeMap::new(), now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    assert_eq!(told(&out), ["reload", "1: ability", "2: ability", "1: AgreementChanged", "2: AgreementChanged"]);
    let head = join(&mut room, HEAD);
    out.clear();
    room.access(opened_again(2), &BTreeMap::new(), now(), &mut out);
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    let wanted = ["reload", "1: closed 4000", "2: ability", "3: ability", "2: AgreementChanged", "3: AgreementChanged"];
    assert_eq!(told(&out), wanted);
    room.frame(head, &typed(8, "efter "), now(), &mut out);
    assert_eq!(room.next_batch(now(), &mut out).expect("new words").rows.len(), 1);
}

#[test]
fn s8_what_a_standard_client_brings_along_to_a_text_that_was_once_frozen_is_refused() {
    let disk = Disk::new();
    let mut room = Room::open(DocumentId(id(100)), 1, &disk.log(), opened_again(2), Limits::default()).unwrap();
    let mut standard = newcomer(LEADER);
    standard.samspil = false;
    let leader = room.join(standard, now(), &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    room.frame(leader, &frame::sync_step2(&first_update()), now(), &mut out);
    room.frame(leader, &typed(7, "skrevet her "), now(), &mut out);
    assert_eq!(room.next_batch(now(), &mut out).expect("what it types here is new").rows.len(), 1);
    let mut offline = newcomer(HEAD);
    offline.samspil = false;
    let head = room.join(offline, now(), &mut Vec::new()).unwrap();
    room.appended(&Appended::Committed { first: 2 }, now(), &mut out);
    out.clear();
    let ClientFrame::Update { update, .. } = ClientFrame::decode(&typed(9, "fra før ")).unwrap() else { panic!("an update") };
    room.frame(head, &frame::sync_step2(&update), now(), &mut out);
    assert!(room.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), ["2: closed 4403"]);
}

#[test]
fn g3_what_another_node_wrote_in_between_is_taken_in_and_nothing_of_ours_is_thrown_away() {
    let mut disk = Disk::new();
    let (mut here, mut there) = (room(&disk), room(&disk));
    let (leader, _teacher) = (join(&mut here, LEADER), join(&mut here, TEACHER));
    let head = join(&mut there, HEAD);
    let mut out = Vec::new();
    there.frame(head, &typed(8, "Jeres "), now(), &mut out);
    let theirs = there.next_batch(now(), &mut out).unwrap();
    here.frame(leader, &typed(7, "Vores "), now(), &mut out);
    let ours = here.next_batch(now(), &mut out).unwrap();
    disk.commit(&theirs);
    let appended = disk.commit(&ours);
    out.clear();
    here.appended(&appended, now(), &mut out);
    assert_eq!(told(&out), ["1: saved 1 at 3", "2: sync 2", "catch up"]);
    assert!(here.committed().is_none(), "what another wrote is missing: nobody is answered, no snapshot is made");
    here.frame(leader, &typed(9, "igen "), now(), &mut out);
    assert!(here.next_batch(now(), &mut out).is_none(), "nothing is admitted beside what is missing");
    out.clear();
    here.caught_up(&disk.tail(here.head()), now(), &mut out);
    assert_eq!(told(&out), ["1: sync 2", "2: sync 2"], "their words to everybody, ours to nobody again");
    assert_eq!(here.head(), 3);
    let replayed = LiveDocument::replay(&disk.log(), &update_limits(&Limits::default())).unwrap();
    assert_eq!(here.committed().unwrap().content(), replayed.content());
    assert_eq!(here.next_batch(now(), &mut out).expect("and on it goes").head, 3);
}

#[test]
fn g3_a_room_in_which_nobody_writes_is_told_that_another_node_wrote() {
    let mut disk = Disk::new();
    let (mut here, mut there) = (room(&disk), room(&disk));
    let (_leader, head) = (join(&mut here, LEADER), join(&mut there, HEAD));
    let mut out = Vec::new();
    there.frame(head, &typed(8, "Jeres "), now(), &mut out);
    disk.commit(&there.next_batch(now(), &mut out).unwrap());
    here.catch_up(&mut out);
    assert_eq!(told(&out), ["catch up"]);
    out.clear();
    // Whoever comes in meanwhile is greeted from what the log has.
    here.join(newcomer(TEACHER), now(), &mut out).unwrap();
    assert_eq!(told(&out), [""; 0]);
    here.caught_up(&disk.tail(1), now(), &mut out);
    assert_eq!(told(&out), ["1: sync 2", "2: hello", "2: sync 0"]);
}

#[test]
fn r8_a_client_id_that_was_first_used_on_another_node_is_known_here() {
    let mut disk = Disk::new();
    let (mut here, mut there) = (room(&disk), room(&disk));
    let (leader, head) = (join(&mut here, LEADER), join(&mut there, HEAD));
    let mut out = Vec::new();
    there.frame(head, &typed(8, "Jeres "), now(), &mut out);
    disk.commit(&there.next_batch(now(), &mut out).unwrap());
    here.catch_up(&mut out);
    let mut tail = disk.tail(1);
    tail.owners.push(crate::store::log::Owner { client: 8, person: Some(PersonId(id(HEAD))), retired: false });
    here.caught_up(&tail, now(), &mut out);
    out.clear();
    here.frame(leader, &typed(8, "Jeres og mine "), now(), &mut out);
    assert!(here.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), ["1: refused 1 ClientId NewClientId", "1: saved 1 at 2"]);
}

#[test]
fn a_log_that_went_back_in_time_while_words_of_ours_stood_beyond_it_is_noticed() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    room.next_batch(now(), &mut out).unwrap();
    // Another node wrote 2, we wrote 3; then the database was restored to where it stood after 2.
    room.appended(&Appended::Committed { first: 3 }, now(), &mut out);
    disk.0.push(update(8, "Jeres "));
    out.clear();
    room.caught_up(&disk.tail(1), now(), &mut out);
    assert_eq!(told(&out), ["reload"]);
    out.clear();
    room.replayed(&disk.log(), now(), &mut out).unwrap();
    assert_eq!(told(&out), ["1: closed 4001"], "come back and start over");
}

/// Somebody who looks on, for whom each look at the clock takes so long.
struct Eye {
    tick: std::time::Duration,
    cpu: std::cell::Cell<std::time::Duration>,
    quarantined: bool,
}

impl Eye {
    fn boxed(tick_ms: u64, quarantined: bool) -> Box<Self> {
        Box::new(Self { tick: std::time::Duration::from_millis(tick_ms), cpu: std::cell::Cell::default(), quarantined })
    }
}

impl Watch for Eye {
    fn is_quarantined(&self, _: crate::rooms::quarantine::Noted<'_>) -> bool {
        self.quarantined
    }

    fn note(&mut self, _: crate::rooms::quarantine::Noted<'_>) {}

    fn clear(&mut self) {}

    fn cpu(&self) -> std::time::Duration {
        self.cpu.set(self.cpu.get() + self.tick);
        self.cpu.get()
    }
}

/// So many paragraphs, each a block.
fn paragraphs(client: u64, count: u32) -> Bytes {
    let doc = doc(client);
    let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
    doc.transact_mut().apply_update(Update::decode_v1(&first_update()).unwrap()).unwrap();
    let before = doc.transact().state_vector();
    for _ in 0..count {
        section.push_back(&mut doc.transact_mut(), XmlElementPrelim::empty("paragraph"));
    }
    doc.transact().encode_state_as_update_v1(&before).into()
}

#[test]
fn r10_what_ended_the_server_is_refused_for_good_and_the_others_write_on() {
    let mut room = room(&Disk::new()).watched_by(Eye::boxed(0, true));
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "ord "), now(), &mut out);
    room.frame(leader, &frame::sync_step2(&first_update()), now(), &mut out);
    assert!(room.next_batch(now(), &mut out).is_none());
    assert_eq!(told(&out), ["1: refused 1 Quarantined KeepAsProposal", "1: saved 2 at 1"]);
}

/// With a clock that goes on by 100 ms at each look, an update is left in the middle when it has more than five parts behind it.
#[test]
fn l2_an_update_that_takes_too_long_is_taken_back_and_the_others_write_on() {
    for (blocks, slow) in [(94, false), (95, false), (96, true)] {
        let disk = Disk::new();
        let mut room = Room::open(
            DocumentId(id(100)),
            1,
            &disk.log(),
            access(AgreementStatus::InDialogue, 0),
            Limits { peer_cpu_ms_per_10s: 100_000, ..Limits::default() },
        )
        .unwrap()
        .watched_by(Eye::boxed(100, false));
        let (leader, head) = (join(&mut room, LEADER), join(&mut room, HEAD));
        let mut out = Vec::new();
        room.frame(head, &typed(8, "først "), now(), &mut out);
        room.frame(leader, &frame::update(&paragraphs(7, blocks)), now(), &mut out);
        let batch = room.next_batch(now(), &mut out);
        if !slow {
            assert_eq!((batch.unwrap().rows.len(), out.len()), (2, 0), "{blocks} blocks");
            continue;
        }
        assert!(batch.is_none());
        assert_eq!(told(&out), ["1: refused 1 TooLarge KeepAsProposal", "reload"]);
        out.clear();
        room.replayed(&disk.log(), now(), &mut out).unwrap();
        let batch = room.next_batch(now(), &mut out).unwrap();
        assert_eq!((batch.rows.len(), batch.rows[0].person), (1, PersonId(id(HEAD))));
        room.appended(&Disk::new().commit(&batch), now(), &mut out);
        assert_eq!(told(&out), ["1: saved 1 at 2", "2: saved 1 at 2", "1: sync 2"], "said once, and counted");
    }
}

#[test]
fn an_update_that_was_applied_in_parts_replays_in_parts_and_says_the_same() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    room.frame(leader, &frame::update(&paragraphs(7, 100)), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    room.appended(&disk.commit(&batch), now(), &mut out);
    let replayed = LiveDocument::replay(&disk.log(), &update_limits(&Limits::default())).unwrap();
    assert_eq!(room.committed().unwrap().state(), replayed.state());
    let all = doc(1);
    let section = all.get_or_insert_xml_fragment("section:kerneopgave");
    all.transact_mut().apply_update(Update::decode_v1(&replayed.state()).unwrap()).unwrap();
    assert_eq!(section.len(&all.transact()), 101);
}

/// With a clock that goes on by 125 ms at each look, an update costs 125 ms.
#[test]
fn l8_a_session_that_costs_more_than_its_share_is_closed_and_nothing_of_it_is_lost() {
    let mut eye = Eye::boxed(0, false);
    eye.tick = std::time::Duration::from_millis(125);
    let mut room = room(&Disk::new()).watched_by(eye);
    let (leader, other_tab, head) = (join(&mut room, LEADER), join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    // One below, one at, one above: each is taken in, and only then is it known what it cost.
    for client in 20..23 {
        room.frame(leader, &typed(client, "ord "), now(), &mut out);
    }
    room.frame(head, &typed(30, "ord "), now(), &mut out);
    let mut disk = Disk::new();
    let batch = room.next_batch(now(), &mut out).unwrap();
    assert_eq!((batch.rows.len(), told(&out)), (4, vec![]));
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    out.clear();
    // The session is what costs, whichever of its pages writes.
    room.frame(other_tab, &typed(24, "ord "), now(), &mut out);
    room.frame(head, &typed(31, "ord "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    assert_eq!((batch.rows.len(), batch.rows[0].person), (1, PersonId(id(HEAD))));
    assert_eq!(told(&out), ["2: closed 4000"], "not refused and not acknowledged: it stays its writer's");
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    out.clear();
    // Five seconds later half of the share is there again.
    room.frame(leader, &typed(24, "ord "), now() + Duration::seconds(5), &mut out);
    assert_eq!(room.next_batch(now() + Duration::seconds(5), &mut out).unwrap().rows.len(), 1);
}

#[test]
fn l8_asking_for_everything_again_and_again_costs_as_well() {
    let mut room = room(&Disk::new()).watched_by(Eye::boxed(125, false));
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    for _ in 0..3 {
        room.frame(leader, &frame::sync_step1(&[0]), now(), &mut out);
    }
    assert_eq!(told(&out), ["1: sync 1", "1: sync 1", "1: closed 4000"]);
}

#[test]
fn g4_words_that_stand_in_the_log_twice_are_there_once() {
    // An append that was given up reached the database after its words had been sent again.
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let (leader, _head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    room.frame(leader, &typed(7, "Vores "), now(), &mut out);
    let batch = room.next_batch(now(), &mut out).unwrap();
    let appended = disk.commit(&batch);
    room.appended(&appended, now(), &mut out);
    let before = room.committed().unwrap().content();
    disk.commit(&batch);
    out.clear();
    room.catch_up(&mut out);
    room.caught_up(&disk.tail(2), now(), &mut out);
    assert_eq!(told(&out), ["catch up", "1: sync 2", "2: sync 2"], "everybody has it already");
    assert_eq!((room.head(), room.committed().unwrap().content()), (3, before.clone()));
    assert_eq!(LiveDocument::replay(&disk.log(), &update_limits(&Limits::default())).unwrap().content(), before);
    room.frame(leader, &typed(8, "Deres "), now(), &mut out);
    assert_eq!(room.next_batch(now(), &mut out).unwrap().rows.len(), 1, "and it goes on");
}

#[test]
fn s4_a_step_2_that_is_a_gap_itself_is_asked_for_once_more_and_then_the_line_starts_over() {
    let mut room = room(&Disk::new());
    let leader = join(&mut room, LEADER);
    // Client 7 wrote twice; the first words, which the server had promised to have, were taken back.
    let both = update(7, "først ");
    let mine = doc(7);
    mine.get_or_insert_xml_fragment("section:kerneopgave");
    mine.transact_mut().apply_update(Update::decode_v1(&first_update()).unwrap()).unwrap();
    mine.transact_mut().apply_update(Update::decode_v1(&both).unwrap()).unwrap();
    let before = mine.transact().state_vector();
    let section = mine.get_or_insert_xml_fragment("section:kerneopgave");
    section.push_back(&mut mine.transact_mut(), XmlElementPrelim::empty("paragraph"));
    let gap: Bytes = mine.transact().encode_state_as_update_v1(&before).into();
    let mut out = Vec::new();
    room.frame(leader, &frame::sync_step2(&gap), now(), &mut out);
    room.next_batch(now(), &mut out);
    assert_eq!(told(&out), ["1: refused 1 Gap Resync", "1: sync 0", "1: saved 1 at 1"]);
    out.clear();
    room.frame(leader, &frame::sync_step2(&gap), now(), &mut out);
    room.next_batch(now(), &mut out);
    assert_eq!(told(&out), ["1: closed 4001"]);
}

#[test]
fn s4_a_step_2_that_is_a_gap_is_no_offence() {
    let mut disk = Disk::new();
    let mut room = room(&disk);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    let nothing_here = Bytes::from_static(b"\x01\x01\x63\x09\x84\x63\x08\x01a\x00");
    for client in 40..50 {
        out.clear();
        room.frame(leader, &frame::sync_step2(&nothing_here), now(), &mut out);
        assert!(room.next_batch(now(), &mut out).is_none());
        assert!(told(&out)[0].ends_with("Gap Resync") && told(&out)[1] == "1: sync 0", "{:?}", told(&out));
        room.frame(leader, &frame::sync_step2(&update(client, "ord ")), now(), &mut out);
        let batch = room.next_batch(now(), &mut out).unwrap();
        let appended = disk.commit(&batch);
        room.appended(&appended, now(), &mut out);
    }
}
