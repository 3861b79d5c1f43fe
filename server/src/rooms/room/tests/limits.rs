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
    let size = LiveDocument::replay(&Disk::new().log(), &update_limits(&Limits::default())).unwrap().state().len();
    let said = |document_bytes_max| told_for(Limits { document_bytes_max, ..Limits::default() }, &[typed(7, "ord ")]);
    // The document is one byte below, at, and one byte above what it may be.
    assert_eq!(said(size + 1), [""; 0]);
    assert_eq!(said(size), [""; 0]);
    assert_eq!(said(size - 1), ["1: refused 1 DocumentFull KeepAsProposal", "1: saved 1 at 1"]);
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
