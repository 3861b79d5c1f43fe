//! Each limit that a room keeps: one below, at it, and one above, with exactly what is answered (SPEC L).

use super::*;

fn room_with(limits: Limits) -> Room {
    Room::open(DocumentId(id(100)), 1, &Disk::new().log(), access(AgreementStatus::InDialogue, 0), limits).unwrap()
}

/// What the leader is told who sends these frames and has them admitted.
fn told_for(limits: Limits, frames: &[Bytes]) -> Vec<String> {
    let mut room = room_with(limits);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    for frame in frames {
        room.frame(leader, frame, now(), &mut out);
    }
    room.next_batch(now(), &mut out);
    told(&out)
}

#[test]
fn l5_document_bytes_max() {
    let size = size_of(&Disk::new());
    let said = |document_bytes_max| told_for(Limits { document_bytes_max, ..Limits::default() }, &[typed(7, "ord ")]);
    // The document is one byte below, at, and one byte above what it may be.
    assert_eq!(said(size + 1), [""; 0]);
    assert_eq!(said(size), [""; 0]);
    assert_eq!(said(size - 1), ["1: refused 1 DocumentFull KeepAsProposal", "1: saved 1 at 1"]);
}

/// What each is told who comes in while the document is as it is on the disk: the leader and the head, who may write, and the teacher.
fn told_to_newcomers(disk: &Disk, limits: &Limits) -> [Vec<String>; 3] {
    [LEADER, HEAD, TEACHER].map(|person| {
        let mut room = Room::open(DocumentId(id(100)), 1, &disk.log(), access(AgreementStatus::InDialogue, 0), limits.clone()).unwrap();
        let mut out = Vec::new();
        room.join(newcomer(person), now(), &mut out).unwrap();
        told(&out)
    })
}

fn size_of(disk: &Disk) -> usize {
    LiveDocument::replay(&disk.log(), &update_limits(&Limits::default())).unwrap().state().len()
}

#[test]
fn l5_document_bytes_warn() {
    let disk = Disk::new();
    let size = size_of(&disk);
    let said = |document_bytes_warn| told_to_newcomers(&disk, &Limits { document_bytes_warn, ..Limits::default() });
    let as_ever = ["1: hello", "1: sync 0"];
    assert_eq!(said(size + 1), [as_ever; 3]);
    assert_eq!(said(size), [as_ever; 3]);
    let warned = said(size - 1);
    assert_eq!(warned[..2], [["1: hello", "1: NearlyFull", "1: sync 0"]; 2]);
    assert_eq!(warned[2], as_ever, "who cannot write need not know");
}

#[test]
fn l6_document_clients_warn() {
    let mut disk = Disk::new();
    disk.0.push(update(20, "før "));
    let said = |document_clients_warn| told_to_newcomers(&disk, &Limits { document_clients_warn, ..Limits::default() });
    assert_eq!(said(3)[0], ["1: hello", "1: sync 0"]);
    assert_eq!(said(2)[0], ["1: hello", "1: sync 0"]);
    assert_eq!(said(1)[0], ["1: hello", "1: NearlyFull", "1: sync 0"]);
}

#[test]
fn l5_l6_a_document_that_fills_up_tells_its_writers_once_and_then_takes_their_pen_with_the_reason() {
    let mut disk = Disk::new();
    // The server has written; with 7 it comes near, with 8 it is full.
    let limits = Limits { document_clients_warn: 1, document_clients_max: 2, ..Limits::default() };
    let mut room = room_with(limits.clone());
    let (leader, _head, _teacher) = (join(&mut room, LEADER), join(&mut room, HEAD), join(&mut room, TEACHER));
    let mut out = Vec::new();
    let mut write = |client, words: &str, out: &mut Vec<Effect>| {
        room.frame(leader, &typed(client, words), now(), out);
        let batch = room.next_batch(now(), out);
        if let Some(batch) = &batch {
            let appended = disk.commit(batch);
            room.appended(&appended, now(), out);
        }
        batch.is_some()
    };
    assert!(write(7, "næsten ", &mut out));
    assert_eq!(told(&out), ["1: saved 1 at 2", "2: sync 2", "3: sync 2", "1: NearlyFull", "2: NearlyFull"]);
    out.clear();
    assert!(!write(7, "næsten ", &mut out), "it is here already");
    assert_eq!(told(&out), ["1: saved 2 at 2"], "and that is said once");
    out.clear();
    assert!(write(8, "helt ", &mut out));
    assert_eq!(told(&out), ["1: saved 3 at 3", "2: sync 2", "3: sync 2", "1: ability", "2: ability"], "the teacher could not write before");
    let changed = abilities_told(&out);
    assert!(changed.iter().all(|told| told.reason == AbilityReason::Full && !told.abilities.edit && told.abilities.comment));
    assert!(changed.iter().all(|told| told.abilities.read_only_because == Some(ReadOnlyBecause::Full)));
    out.clear();
    assert!(!write(9, "mere ", &mut out));
    assert_eq!(told(&out), ["1: refused 4 DocumentFull KeepAsProposal", "1: saved 4 at 3"]);
    // Who opens it now is told at once, and with a higher limit it takes words again.
    for (document_clients_max, may_write) in [(2, false), (3, true)] {
        let limits = Limits { document_clients_max, ..limits.clone() };
        let mut again = Room::open(DocumentId(id(100)), 1, &disk.log(), access(AgreementStatus::InDialogue, 0), limits).unwrap();
        let mut out = Vec::new();
        again.join(newcomer(LEADER), now(), &mut out).unwrap();
        let hello = hello(&out);
        assert_eq!(hello.abilities.edit, may_write);
        assert_eq!(hello.abilities.read_only_because, (!may_write).then_some(ReadOnlyBecause::Full));
    }
}

#[test]
fn l6_who_comes_to_a_document_that_is_asleep_is_told_of_its_size_at_once_and_not_again() {
    let log = Disk::new().log();
    let said = |document_clients_warn, document_clients_max| {
        let limits = Limits { document_clients_warn, document_clients_max, ..Limits::default() };
        let holds = LiveDocument::foretell(&log, &update_limits(&limits));
        let mut room = Room::asleep(DocumentId(id(100)), 1, log.head, holds, access(AgreementStatus::InDialogue, 0), limits);
        let mut out = Vec::new();
        room.join(newcomer(LEADER), now(), &mut out).unwrap();
        let because = hello(&out).abilities.read_only_because;
        let at_once = told(&out);
        out.clear();
        room.replayed(&log, now(), &mut out).unwrap();
        assert_eq!(told(&out), [""; 0]);
        (at_once, because)
    };
    let as_ever = || vec!["1: hello".to_owned(), "1: sync 0".to_owned()];
    assert_eq!(said(1, 1), (as_ever(), None));
    assert_eq!(said(0, 1), (vec!["1: hello".to_owned(), "1: NearlyFull".to_owned(), "1: sync 0".to_owned()], None));
    assert_eq!(said(0, 0), (as_ever(), Some(ReadOnlyBecause::Full)));
}

#[test]
fn a_text_that_is_frozen_and_full_says_that_it_is_frozen() {
    let limits = Limits { document_clients_max: 0, ..Limits::default() };
    let mut room = Room::open(DocumentId(id(100)), 1, &Disk::new().log(), access(AgreementStatus::ReadyToSign, 0), limits).unwrap();
    let mut out = Vec::new();
    room.join(newcomer(LEADER), now(), &mut out).unwrap();
    assert_eq!(hello(&out).abilities.read_only_because, Some(ReadOnlyBecause::Frozen));
}

fn abilities_told(effects: &[Effect]) -> Vec<AbilityChanged> {
    bodies(effects, 104)
}

fn hello(effects: &[Effect]) -> Hello {
    bodies(effects, 100).remove(0)
}

/// What frames of ours with this number say.
fn bodies<T: serde::de::DeserializeOwned>(effects: &[Effect], number: u64) -> Vec<T> {
    let bodies = effects.iter().filter_map(|effect| {
        let Effect::Send(_, bytes) = effect else { return None };
        let mut reader = Reader::new(bytes);
        (reader.varuint() == Ok(number)).then(|| serde_json::from_str(reader.string().unwrap()).unwrap())
    });
    bodies.collect()
}

#[test]
fn l6_document_clients_max() {
    // The server and clients 20, 21, … have written; then 7 comes.
    let said = |others: u64| {
        let mut frames: Vec<Bytes> = (20..20 + others).map(|client| typed(client, "før ")).collect();
        frames.push(typed(7, "ord "));
        told_for(Limits { document_clients_max: 4, ..Limits::default() }, &frames)
    };
    assert_eq!(said(2), [""; 0]);
    assert_eq!(said(3), [""; 0]);
    assert_eq!(said(4), ["1: refused 5 DocumentFull KeepAsProposal"]);
}

#[test]
fn l7_state_vector_bytes_max() {
    let vector = [vec![3], vec![20, 1], vec![21, 1], vec![22, 1]].concat();
    let said = |state_vector_bytes_max| told_for(Limits { state_vector_bytes_max, ..Limits::default() }, &[frame::sync_step1(&vector)]);
    assert_eq!(said(vector.len() + 1), ["1: sync 1"]);
    assert_eq!(said(vector.len()), ["1: sync 1"]);
    assert_eq!(said(vector.len() - 1), ["1: closed 4403"]);
}

/// How often the head is shown the presence states that the leader sends, one every so many milliseconds.
fn shown(limits: Limits, states: &[String], every_ms: i64) -> usize {
    let mut room = room_with(limits);
    let (leader, _head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    let mut out = Vec::new();
    for (clock, state) in (1..).zip(states) {
        let at = now() + Duration::milliseconds(every_ms * i64::from(clock));
        room.frame(leader, &frame::awareness([(70, clock, state.as_str())].into_iter()), at, &mut out);
    }
    assert!(told(&out).iter().all(|said| said == "2: presence"), "dropped without a word: {:?}", told(&out));
    out.len()
}

#[test]
fn l8_peer_cpu_ms_per_10s() {
    // With a clock that goes on by 125 ms at each look an update costs 125 ms; after two of them comes a third.
    let said = |peer_cpu_ms_per_10s| {
        let mut eye = Eye::boxed(0, false);
        eye.tick = std::time::Duration::from_millis(125);
        let mut room = room_with(Limits { peer_cpu_ms_per_10s, ..Limits::default() }).watched_by(eye);
        let leader = join(&mut room, LEADER);
        let mut out = Vec::new();
        for client in 20..23 {
            room.frame(leader, &typed(client, "ord "), now(), &mut out);
        }
        let batch = room.next_batch(now(), &mut out).unwrap();
        (batch.rows.len(), told(&out))
    };
    assert_eq!(said(251), (3, vec![]));
    assert_eq!(said(250), (3, vec![]));
    assert_eq!(said(249), (2, vec!["1: closed 4000".to_owned()]), "what was not acknowledged was not taken in");
}

#[test]
fn l9_presence_bytes_max() {
    let state = r#"{"place":"rammer"}"#.to_owned();
    let times = |presence_bytes_max| shown(Limits { presence_bytes_max, ..Limits::default() }, std::slice::from_ref(&state), 0);
    assert_eq!(times(state.len() + 1), 1);
    assert_eq!(times(state.len()), 1);
    assert_eq!(times(state.len() - 1), 0);
}

#[test]
fn l9_presence_per_s() {
    let times = |number| shown(Limits { presence_per_s: 5, ..Limits::default() }, &vec!["{}".to_owned(); number], 0);
    assert_eq!(times(4), 4);
    assert_eq!(times(5), 5);
    assert_eq!(times(6), 5);
    // Five a second, for as long as one likes.
    assert_eq!(shown(Limits { presence_per_s: 5, ..Limits::default() }, &vec!["{}".to_owned(); 50], 200), 50);
}

#[test]
fn l9_presence_idle_s() {
    let mut room = room_with(Limits { presence_idle_s: 30, ..Limits::default() });
    let (leader, _head) = (join(&mut room, LEADER), join(&mut room, HEAD));
    room.frame(leader, &frame::awareness([(70, 1, "{}")].into_iter()), now(), &mut Vec::new());
    let mut out = Vec::new();
    room.tick(now() + Duration::seconds(29), &mut out);
    assert_eq!(told(&out), [""; 0]);
    room.tick(now() + Duration::seconds(30), &mut out);
    assert_eq!(told(&out), ["2: presence"], "gone");
    room.tick(now() + Duration::seconds(31), &mut out);
    assert_eq!(told(&out), ["2: presence"], "and that is said once");
}

#[test]
fn l11_room_unsaved_updates_max() {
    let said = |number: u64| {
        let frames: Vec<Bytes> = (7..7 + number).map(|client| typed(client, "ord ")).collect();
        told_for(Limits { room_unsaved_updates_max: 3, ..Limits::default() }, &frames)
    };
    assert_eq!(said(2), [""; 0]);
    assert_eq!(said(3), [""; 0]);
    assert_eq!(said(4), ["1: refused 4 NotSaving Resync"]);
}

#[test]
fn l11_room_unsaved_bytes_max() {
    let frames = [typed(7, "ord "), typed(8, "ord ")];
    let bytes = update(7, "ord ").len() + update(8, "ord ").len();
    let said = |room_unsaved_bytes_max| told_for(Limits { room_unsaved_bytes_max, ..Limits::default() }, &frames);
    assert_eq!(said(bytes + 1), [""; 0]);
    assert_eq!(said(bytes), [""; 0]);
    assert_eq!(said(bytes - 1), ["1: refused 2 NotSaving Resync"]);
}

#[test]
fn l13_refusals_before_close() {
    let closed = |number| {
        let nonsense = vec![frame::update(&Bytes::from_static(b"\x05")); number];
        told_for(Limits { refusals_before_close: 3, ..Limits::default() }, &nonsense).contains(&"1: closed 4403".to_owned())
    };
    assert!(!closed(2));
    assert!(!closed(3));
    assert!(closed(4));
    // In a row: honest words in between begin the count anew.
    let nonsense = || frame::update(&Bytes::from_static(b"\x05"));
    let mixed = [nonsense(), nonsense(), nonsense(), typed(7, "ord "), nonsense(), nonsense(), nonsense()];
    let said = told_for(Limits { refusals_before_close: 3, ..Limits::default() }, &mixed);
    assert!(!said.contains(&"1: closed 4403".to_owned()), "{said:?}");
}

/// How many rows the first batch has when three updates wait.
fn first_batch(limits: Limits) -> usize {
    let mut room = room_with(limits);
    let leader = join(&mut room, LEADER);
    let mut out = Vec::new();
    for client in 7..10 {
        room.frame(leader, &typed(client, "ord "), now(), &mut out);
    }
    room.next_batch(now(), &mut out).unwrap().rows.len()
}

#[test]
fn journal_batch_updates_max() {
    let rows = |journal_batch_updates_max| first_batch(Limits { journal_batch_updates_max, ..Limits::default() });
    assert_eq!(rows(4), 3);
    assert_eq!(rows(3), 3);
    assert_eq!(rows(2), 2, "the rest goes with the next one");
}

#[test]
fn journal_batch_bytes_max() {
    let two = update(7, "ord ").len() + update(8, "ord ").len();
    let rows = |journal_batch_bytes_max| first_batch(Limits { journal_batch_bytes_max, ..Limits::default() });
    assert_eq!(rows(two + 1), 2);
    assert_eq!(rows(two), 2);
    assert_eq!(rows(two - 1), 1);
    assert_eq!(rows(1), 1, "one that is larger goes alone");
}
