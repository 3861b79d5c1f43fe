//! The rules one by one, the known killers of the library, honest updates made by Yjs, and a storm of altered bytes.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use samspil_client_protocol::{frame::put_varuint, message::RefusalCode};
use yrs::{
    Doc, OffsetKind, Options, ReadTxn, Text, Transact, Update, XmlElementPrelim, XmlFragment, XmlTextPrelim, updates::decoder::Decode,
};

use super::{Admitted, Index, Kept, Refusal, UpdateLimits, Writer};

const LIMITS: UpdateLimits = UpdateLimits {
    blocks_max: 20_000,
    same_origin_max: 1_000,
    clients_max: 64,
    delete_ranges_max: 4_000,
    value_depth_max: 32,
    type_depth_max: 64,
    attribute_bytes_max: 8 << 10,
    cpu_max: Duration::from_millis(500),
};

/// A party that owns every client id below 100.
struct Party;

impl Writer for Party {
    fn may_write(&self) -> Result<(), RefusalCode> {
        Ok(())
    }

    fn may_use(&self, client: u64) -> bool {
        client < 100
    }

    fn are_deleted(&self, _: &mut dyn Iterator<Item = (u64, u32, u32)>) -> bool {
        false
    }
}

struct Reader;

impl Writer for Reader {
    fn may_write(&self) -> Result<(), RefusalCode> {
        Err(RefusalCode::ReadOnly)
    }

    fn may_use(&self, _: u64) -> bool {
        true
    }

    fn are_deleted(&self, _: &mut dyn Iterator<Item = (u64, u32, u32)>) -> bool {
        false
    }
}

fn doc(client: u64) -> Doc {
    Doc::with_options(Options {
        client_id: yrs::ClientID::new(client),
        offset_kind: OffsetKind::Utf16,
        cleanup_formatting: false,
        ..Options::default()
    })
}

fn state(doc: &Doc) -> Bytes {
    doc.transact().encode_state_as_update_v1(&yrs::StateVector::default()).into()
}

/// What somebody writes, as the update it makes.
fn write(doc: &Doc, edit: impl FnOnce(&Doc)) -> Bytes {
    let before = doc.transact().state_vector();
    edit(doc);
    doc.transact().encode_state_as_update_v1(&before).into()
}

/// A document as the server makes it: `meta`, `goals`, and two sections with one paragraph each, with some text in the first.
fn seed() -> Doc {
    let doc = doc(999);
    let meta = doc.get_or_insert_map("meta");
    let goals = doc.get_or_insert_map("goals");
    let sections = [doc.get_or_insert_xml_fragment("section:kerneopgave"), doc.get_or_insert_xml_fragment("section:rammer")];
    let mut transaction = doc.transact_mut();
    yrs::Map::insert(&meta, &mut transaction, "schema", "1");
    yrs::Map::insert(&goals, &mut transaction, "g1", yrs::MapPrelim::from([("origin", "local")]));
    for section in sections {
        let paragraph = section.push_back(&mut transaction, XmlElementPrelim::empty("paragraph"));
        paragraph.push_back(&mut transaction, XmlTextPrelim::new("Æblegrød"));
    }
    drop(transaction);
    doc
}

fn open(doc: &Doc) -> Index {
    let mut index = Index::default();
    index.load(&state(doc), Kept::Snapshot, &LIMITS).expect("our own state");
    index
}

fn replica(of: &Doc, client: u64) -> Doc {
    let copy = doc(client);
    copy.get_or_insert_xml_fragment("section:kerneopgave");
    copy.transact_mut().apply_update(Update::decode_v1(&state(of)).unwrap()).unwrap();
    copy
}

fn type_at(doc: &Doc, at: u32, words: &str) {
    let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
    let mut transaction = doc.transact_mut();
    let paragraph = section.get(&transaction, 0).unwrap().into_xml_element().unwrap();
    let text = paragraph.get(&transaction, 0).unwrap().into_xml_text().unwrap();
    text.insert(&mut transaction, at, words);
}

#[track_caller]
fn refused(result: Result<Admitted, Refusal>, rule: u8, code: RefusalCode) {
    let refusal = result.expect_err("this must not come in");
    assert_eq!((refusal.rule, refusal.code), (rule, code), "{refusal}");
}

fn hex(text: &str) -> Bytes {
    hex::decode(text).unwrap().into()
}

#[test]
fn typing_in_a_section_is_admitted_and_learned() {
    let mut index = open(&seed());
    let mine = replica(&seed(), 7);
    let update = write(&mine, |doc| type_at(doc, 3, "blå 🎈 "));
    let admitted = index.admit(&update, &Party, &LIMITS).unwrap();
    assert!(admitted.brings_news && !admitted.touches_goals);
    assert_eq!(admitted.clients, [(7, 0)]);
    assert_eq!(admitted.update, update, "honest words pass as they came");
    index.learn(admitted);
    assert!(!index.admit(&update, &Party, &LIMITS).unwrap().brings_news, "the second time it is here already");
}

#[test]
fn writing_under_goals_is_noticed() {
    let mine = replica(&seed(), 7);
    let update = write(&mine, |doc| {
        let goals = doc.get_or_insert_map("goals");
        yrs::Map::insert(&goals, &mut doc.transact_mut(), "g2", yrs::MapPrelim::from([("rank", "a1")]));
    });
    assert!(open(&seed()).admit(&update, &Party, &LIMITS).unwrap().touches_goals);
}

#[test]
fn r5_a_gap_is_a_gap() {
    let index = open(&seed());
    let mine = replica(&seed(), 7);
    write(&mine, |doc| type_at(doc, 0, "først "));
    let second = write(&mine, |doc| type_at(doc, 0, "så "));
    refused(index.admit(&second, &Party, &LIMITS), 5, RefusalCode::Gap);
}

#[test]
fn r6_words_on_words_that_are_not_here_are_a_gap() {
    let index = open(&seed());
    let sister = replica(&seed(), 8);
    type_at(&sister, 8, " og mere");
    let mine = replica(&sister, 7);
    let update = write(&mine, |doc| type_at(doc, 12, "endnu "));
    refused(index.admit(&update, &Party, &LIMITS), 6, RefusalCode::Gap);
}

#[test]
fn r7_a_reader_writes_and_deletes_nothing_but_may_send_what_is_here() {
    let index = open(&seed());
    let mine = replica(&seed(), 7);
    refused(index.admit(&write(&mine, |doc| type_at(doc, 0, "ord")), &Reader, &LIMITS), 7, RefusalCode::ReadOnly);
    let mine = replica(&seed(), 7);
    let deletion = write(&mine, |doc| {
        let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
        section.remove_range(&mut doc.transact_mut(), 0, 1);
    });
    refused(index.admit(&deletion, &Reader, &LIMITS), 7, RefusalCode::ReadOnly);
    assert!(!index.admit(&state(&seed()), &Reader, &LIMITS).unwrap().brings_news, "a sync step 2 that brings nothing");
}

#[test]
fn r7_only_the_server_writes_meta_and_no_new_roots_come_from_outside() {
    let index = open(&seed());
    let mine = replica(&seed(), 7);
    let update = write(&mine, |doc| {
        let meta = doc.get_or_insert_map("meta");
        yrs::Map::insert(&meta, &mut doc.transact_mut(), "schema", "9");
    });
    refused(index.admit(&update, &Party, &LIMITS), 7, RefusalCode::Schema);
    let mine = replica(&seed(), 7);
    let update = write(&mine, |doc| {
        let root = doc.get_or_insert_xml_fragment("section:ukendt");
        root.push_back(&mut doc.transact_mut(), XmlElementPrelim::empty("paragraph"));
    });
    refused(index.admit(&update, &Party, &LIMITS), 7, RefusalCode::Schema);
}

#[test]
fn r8_a_client_id_of_somebody_else_is_refused() {
    let mine = replica(&seed(), 100);
    let update = write(&mine, |doc| type_at(doc, 0, "forfalsket"));
    refused(open(&seed()).admit(&update, &Party, &LIMITS), 8, RefusalCode::ClientId);
}

#[test]
fn r9_content_must_fit_its_parent() {
    let index = open(&seed());
    for foreign in ["script", "img"] {
        let mine = replica(&seed(), 7);
        let update = write(&mine, |doc| {
            let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
            section.push_back(&mut doc.transact_mut(), XmlElementPrelim::empty(foreign));
        });
        refused(index.admit(&update, &Party, &LIMITS), 9, RefusalCode::Schema);
    }
}

#[test]
fn r6_words_typed_into_a_paragraph_that_is_gone_are_collected_and_both_libraries_show_nothing() {
    let server = seed();
    let mut index = open(&server);
    let mine = replica(&server, 7);
    let typed = write(&mine, |doc| type_at(doc, 3, "sent "));
    let other = replica(&server, 8);
    let deleted = write(&other, |doc| {
        let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
        section.remove_range(&mut doc.transact_mut(), 0, 1);
    });
    index.learn(index.admit(&deleted, &Party, &LIMITS).unwrap());
    server.transact_mut().apply_update(Update::decode_v1(&deleted).unwrap()).unwrap();
    let admitted = index.admit(&typed, &Party, &LIMITS).unwrap();
    assert_ne!(admitted.update, typed, "the block is collected on its way in");
    server.transact_mut().apply_update(Update::decode_v1(&admitted.update).unwrap()).unwrap();
    let section = server.get_or_insert_xml_fragment("section:kerneopgave");
    let transaction = server.transact();
    assert_eq!(section.len(&transaction), 0);
    assert!(transaction.store().pending_update().is_none());
    drop(transaction);
    // The same after the state has gone through a snapshot, where collected blocks have lost their place.
    let mut reopened = Index::default();
    reopened.load(&state(&server), Kept::Snapshot, &LIMITS).unwrap();
    let late = replica(&seed(), 9);
    let update = write(&late, |doc| type_at(doc, 5, "endnu senere"));
    assert!(reopened.admit(&update, &Party, &LIMITS).unwrap().brings_news);
}

#[test]
fn r1_no_more_blocks_than_the_limit() {
    let few = UpdateLimits { blocks_max: 3, ..LIMITS };
    let mine = replica(&seed(), 7);
    let update = |blocks: u32| {
        let mine = replica(&mine, 7);
        write(&mine, |doc| {
            for _ in 0..blocks {
                type_at(doc, 0, "x");
            }
        })
    };
    let index = open(&seed());
    assert!(index.admit(&update(2), &Party, &few).is_ok());
    assert!(index.admit(&update(3), &Party, &few).is_ok());
    refused(index.admit(&update(4), &Party, &few), 1, RefusalCode::TooLarge);
}

/// A run of blocks of one client, each a type of this kind in the one before.
fn nested(depth: u32) -> Bytes {
    let mut out = BytesMut::new();
    put_varuint(&mut out, 1);
    put_varuint(&mut out, u64::from(depth));
    put_varuint(&mut out, 5);
    put_varuint(&mut out, 0);
    for at in 0..depth {
        out.put_u8(0x07);
        if at == 0 {
            out.put_slice(b"\x01\x13section:kerneopgave");
        } else {
            put_varuint(&mut out, 0);
            put_varuint(&mut out, 5);
            put_varuint(&mut out, u64::from(at - 1));
        }
        out.put_slice(b"\x03\x09list_item");
    }
    put_varuint(&mut out, 0);
    out.freeze()
}

#[test]
fn r3_types_are_not_nested_beyond_the_limit() {
    let index = open(&seed());
    assert!(index.admit(&nested(63), &Party, &LIMITS).is_ok());
    assert!(index.admit(&nested(64), &Party, &LIMITS).is_ok());
    refused(index.admit(&nested(65), &Party, &LIMITS), 3, RefusalCode::TooLarge);
}

/// An attribute whose value is this many arrays in one another.
fn nested_value(depth: usize) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(&[1, 2, 5, 0]);
    out.put_slice(b"\x07\x01\x13section:kerneopgave\x03\x07heading");
    out.put_slice(b"\x28\x00\x05\x00\x05level\x01");
    for _ in 0..depth {
        out.put_slice(&[117, 1]);
    }
    out.put_u8(126);
    out.put_u8(0);
    out.freeze()
}

#[test]
fn r3_values_are_not_nested_beyond_the_limit() {
    let index = open(&seed());
    assert!(index.admit(&nested_value(31), &Party, &LIMITS).is_ok());
    assert!(index.admit(&nested_value(32), &Party, &LIMITS).is_ok());
    refused(index.admit(&nested_value(33), &Party, &LIMITS), 3, RefusalCode::TooLarge);
}

#[test]
fn r2_a_kind_of_type_is_one_byte() {
    let index = open(&seed());
    let heading = |kind: &[u8]| {
        let name: &[u8] = b"\x07heading";
        Bytes::from([&[1, 1, 5, 0][..], b"\x07\x01\x13section:kerneopgave", kind, name, &[0]].concat())
    };
    assert!(index.admit(&heading(&[3]), &Party, &LIMITS).is_ok());
    refused(index.admit(&heading(&[0x83, 0]), &Party, &LIMITS), 2, RefusalCode::Malformed);
}

#[test]
fn r2_no_null_characters() {
    let index = open(&seed());
    let mine = replica(&seed(), 7);
    refused(index.admit(&write(&mine, |doc| type_at(doc, 0, "a\0b")), &Party, &LIMITS), 2, RefusalCode::Malformed);
}

/// The killers of hostile-updates K1–K11, each by the class of rule that stops it. A fresh document and our own roots alike.
#[test]
fn known_killers_are_refused() {
    let mut killers: Vec<(&str, Bytes)> = vec![
        ("K1", hex("030101022801016d016e017f0102000900040704677569647600010102000202040005010302")),
        ("K2", hex("010203ffffffffffffffffff0100040001020302010508040400")),
        ("K3", hex("010105000401016105f09f98807800")),
        ("K4", hex("0102010008010161017d0744010002c3a900")),
        ("K5", hex("01010700040101740568656c6c6f00")),
        ("K11", hex("80c2d72f")),
    ];
    let mut k6 = BytesMut::from(&hex("010101000801016101")[..]);
    k6.extend(std::iter::repeat_n([0x75, 0x01], 6_300).flatten());
    k6.extend([0x7e, 0x00]);
    killers.push(("K6", k6.freeze()));
    let mut k7 = BytesMut::new();
    put_varuint(&mut k7, 22_000);
    for client in 1..=22_000u64 {
        put_varuint(&mut k7, 0);
        put_varuint(&mut k7, client);
        put_varuint(&mut k7, 0);
    }
    k7.put_u8(0);
    killers.push(("K7", k7.freeze()));
    let mut k8 = BytesMut::new();
    put_varuint(&mut k8, 22_000);
    for client in 1..=22_000u64 {
        k8.put_slice(&[1]);
        put_varuint(&mut k8, client);
        k8.put_slice(&[0, 0x84]);
        put_varuint(&mut k8, client + 1);
        k8.put_slice(&[0, 1, b'x']);
    }
    k8.put_u8(0);
    killers.push(("K8", k8.freeze()));
    let mut k10 = BytesMut::new();
    put_varuint(&mut k10, 2);
    for client in [9u64, 5] {
        put_varuint(&mut k10, 8_000);
        put_varuint(&mut k10, client);
        put_varuint(&mut k10, 0);
        for at in 0..8_000u64 {
            if client == 9 {
                k10.put_slice(b"\x04\x01\x13section:kerneopgave\x01x");
            } else {
                k10.put_u8(0x44);
                put_varuint(&mut k10, 9);
                put_varuint(&mut k10, at);
                k10.put_slice(b"\x01x");
            }
        }
    }
    k10.put_u8(0);
    killers.push(("K10", k10.freeze()));
    killers.push(("K9", nested(5_000)));
    for index in [open(&seed()), Index::default()] {
        for (name, killer) in &killers {
            assert!(index.admit(killer, &Party, &LIMITS).is_err(), "{name} came in");
        }
    }
}

#[test]
fn a_block_that_names_itself_or_a_circle_is_refused() {
    let index = open(&seed());
    // Client 5's only block has itself as origin.
    refused(index.admit(&hex("01010500840500017800"), &Party, &LIMITS), 6, RefusalCode::Malformed);
    // Clients 5 and 6 wait for each other.
    refused(index.admit(&hex("020105008406000178010600840500017800"), &Party, &LIMITS), 6, RefusalCode::Malformed);
}

/// One client's blocks from clock `first`, then its deleted ranges (from, length).
fn one_client(client: u8, first: u8, blocks: &[&[u8]], deletes: &[(u8, u8)]) -> Bytes {
    let count = |number: usize| u8::try_from(number).unwrap();
    let mut out = vec![1, count(blocks.len()), client, first];
    out.extend(blocks.concat());
    out.push(count(deletes.len().min(1)));
    if !deletes.is_empty() {
        out.extend([client, count(deletes.len())]);
        out.extend(deletes.iter().flat_map(|(from, length)| [*from, *length]));
    }
    out.into()
}

const HEADING: &[u8] = b"\x07\x01\x13section:kerneopgave\x03\x07heading";

/// Killer: the value that is not the key's last one stays alive when its element is deleted, and yrs reads the freed element (a
/// segmentation fault, or a state that nobody can read). Yjs makes such blocks of values that are all deleted and that undo keeps.
#[test]
fn several_values_under_one_key_come_in_only_as_deleted_ones() {
    let index = open(&seed());
    let levels = b"\x28\x00\x07\x00\x05level\x02\x7d\x03\x7d\x04";
    let update = |deletes| one_client(7, 0, &[HEADING, levels], deletes);
    refused(index.admit(&update(&[]), &Party, &LIMITS), 9, RefusalCode::Schema);
    refused(index.admit(&update(&[(2, 1)]), &Party, &LIMITS), 9, RefusalCode::Schema);
    assert!(index.admit(&update(&[(1, 2)]), &Party, &LIMITS).is_ok());
    // The same for a plain value of a goal: a rank that was changed twice offline.
    let goal = b"\x27\x01\x05goals\x02g2\x01";
    let ranks = b"\x28\x00\x07\x00\x04rank\x02\x77\x02c0\x77\x02a3";
    assert!(index.admit(&one_client(7, 0, &[goal, ranks], &[(1, 2)]), &Party, &LIMITS).is_ok());
    refused(index.admit(&one_client(7, 0, &[goal, ranks], &[]), &Party, &LIMITS), 9, RefusalCode::Schema);
}

/// Yjs looks up what a block names also when it has the block: one that names what nobody has would hold back all that follows.
#[test]
fn a_block_that_is_here_already_is_not_passed_on() {
    let mut index = open(&seed());
    let honest = one_client(7, 0, &[HEADING], &[]);
    index.learn(index.admit(&honest, &Party, &LIMITS).unwrap());
    let next: &[u8] = b"\x87\x07\x00\x03\x07heading";
    let forged: &[u8] = b"\x87\x63\x64\x03\x07heading";
    let admitted = index.admit(&one_client(7, 0, &[forged, next], &[]), &Party, &LIMITS).unwrap();
    assert_eq!(admitted.update, one_client(7, 1, &[next], &[]));
}

#[test]
fn the_rest_of_a_block_stands_where_its_beginning_stands() {
    let mut index = open(&seed());
    let text = b"\x07\x00\x07\x00\x06";
    index.learn(index.admit(&one_client(7, 0, &[HEADING, text, b"\x04\x00\x07\x01\x03ord"], &[]), &Party, &LIMITS).unwrap());
    let rest = |block: &[u8]| index.admit(&one_client(7, 2, &[block], &[]), &Party, &LIMITS);
    assert!(rest(b"\x04\x00\x07\x01\x06ordene").is_ok());
    // Said to stand in a text that is not there: yrs would park it, Yjs hold it back.
    refused(rest(b"\x04\x00\x08\x63\x06ordene"), 6, RefusalCode::Gap);
    refused(rest(b"\xc4\x07\x01\x08\x63\x06ordene"), 6, RefusalCode::Gap);
    // In another place than its beginning.
    refused(rest(b"\x84\x07\x00\x06ordene"), 9, RefusalCode::Schema);
}

#[test]
fn r1_no_more_clients_with_new_blocks_than_the_limit() {
    let index = open(&seed());
    let update = |clients: u8| {
        let mut out = vec![clients];
        for client in 1..=clients {
            out.extend([1, client, 0]);
            out.extend(HEADING);
        }
        out.push(0);
        index.admit(&out.into(), &Anybody, &LIMITS)
    };
    assert!(update(63).is_ok());
    assert!(update(64).is_ok());
    refused(update(65), 1, RefusalCode::TooLarge);
}

/// Blocks that share parent, key and origin, no origin counting as one: what they cost is quadratic.
#[test]
fn l2_no_more_blocks_at_one_origin_than_the_limit() {
    let few = UpdateLimits { same_origin_max: 3, ..LIMITS };
    let index = open(&seed());
    let update = |clients: u8| {
        let mut out = vec![clients];
        for client in 1..=clients {
            out.extend([1, client, 0]);
            out.extend(HEADING);
        }
        out.push(0);
        index.admit(&out.into(), &Anybody, &few)
    };
    assert!(update(2).is_ok());
    assert!(update(3).is_ok());
    refused(update(4), 1, RefusalCode::TooLarge);
    // One after the other there may be as many as one likes.
    assert!(index.admit(&headings(7, 9, &[]), &Party, &few).is_ok());
}

/// So many headings of one client, each after the one before, and single ones of them deleted.
fn headings(client: u8, count: u8, deleted: &[u8]) -> Bytes {
    let next: Vec<Vec<u8>> = (1..count).map(|at| [&[0x87, client, at - 1], &HEADING[22..]].concat()).collect();
    let blocks: Vec<&[u8]> = std::iter::once(HEADING).chain(next.iter().map(Vec::as_slice)).collect();
    one_client(client, 0, &blocks, &deleted.iter().map(|at| (*at, 1)).collect::<Vec<_>>())
}

#[test]
fn l3_no_more_new_delete_ranges_than_the_limit() {
    let few = UpdateLimits { delete_ranges_max: 3, ..LIMITS };
    let mut index = open(&seed());
    index.learn(index.admit(&headings(7, 20, &[]), &Party, &few).unwrap());
    let delete = |index: &Index, ranges: &[u8]| index.admit(&headings(7, 20, ranges), &Party, &few);
    assert!(delete(&index, &[0, 2]).is_ok());
    refused(delete(&index, &[0, 2, 4, 6]), 1, RefusalCode::TooLarge);
    index.learn(delete(&index, &[0, 2, 4]).unwrap());
    // What is deleted here already is not counted: every sync step 2 carries all of it.
    assert!(delete(&index, &[0, 2, 4, 8, 10, 12]).is_ok());
    refused(delete(&index, &[0, 2, 4, 8, 10, 12, 14]), 1, RefusalCode::TooLarge);
}

#[test]
fn l4_no_attribute_is_longer_than_the_limit() {
    let short = UpdateLimits { attribute_bytes_max: 100, ..LIMITS };
    let index = open(&seed());
    // A value counts with its kind and its length, a byte each.
    let value = |bytes: u8| {
        let level = [b"\x28\x00\x07\x00\x05level\x01\x77".as_slice(), &[bytes - 2], &vec![b'x'; usize::from(bytes - 2)]].concat();
        index.admit(&one_client(7, 0, &[HEADING, &level], &[]), &Party, &short)
    };
    assert!(value(99).is_ok());
    assert!(value(100).is_ok());
    refused(value(101), 3, RefusalCode::TooLarge);
    let key = |bytes: u8| {
        let attribute = [b"\x28\x00\x07\x00".as_slice(), &[bytes], &vec![b'x'; usize::from(bytes)], b"\x01\x7d\x01"].concat();
        index.admit(&one_client(7, 0, &[HEADING, &attribute], &[]), &Party, &short)
    };
    assert!(key(99).is_ok());
    assert!(key(100).is_ok());
    refused(key(101), 3, RefusalCode::TooLarge);
}

#[test]
fn the_first_goal_of_a_document_that_was_made_without_any_comes_in() {
    let server = doc(999);
    let section = server.get_or_insert_xml_fragment("section:kerneopgave");
    section.push_back(&mut server.transact_mut(), XmlElementPrelim::empty("paragraph"));
    let mine = replica(&server, 7);
    let update = write(&mine, |doc| {
        let goals = doc.get_or_insert_map("goals");
        yrs::Map::insert(&goals, &mut doc.transact_mut(), "g1", yrs::MapPrelim::from([("rank", "a1")]));
    });
    assert!(open(&server).admit(&update, &Party, &LIMITS).unwrap().touches_goals);
}

/// Updates that Yjs made, from the golden frames: each comes in on a document that has what it builds on.
#[test]
fn golden_updates_made_by_yjs_are_admitted() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../../../client-protocol/vectors/yjs.json")).unwrap();
    let mut index = open(&seed());
    let mut admitted = 0;
    for vector in golden["vectors"].as_array().unwrap() {
        let means = &vector["means"];
        if means["kind"] != "update" {
            continue;
        }
        let update = hex(means["update_hex"].as_str().unwrap());
        let name = vector["name"].as_str().unwrap();
        let fits = index.admit(&update, &Anybody, &LIMITS).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert!(fits.brings_news, "{name}");
        index.learn(fits);
        admitted += 1;
    }
    assert!(admitted >= 4, "only {admitted} updates in the golden frames");
}

pub(super) struct Anybody;

impl Writer for Anybody {
    fn may_write(&self) -> Result<(), RefusalCode> {
        Ok(())
    }

    fn may_use(&self, _: u64) -> bool {
        true
    }

    fn are_deleted(&self, _: &mut dyn Iterator<Item = (u64, u32, u32)>) -> bool {
        false
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes that were honest and then altered: refused, or applied by the library without harm.
    #[test]
    fn altered_updates_are_refused_or_harmless(
        words in "[a-zæøå 🎈]{1,12}",
        at in 0u32..8,
        alter in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let server = seed();
        let mut index = open(&server);
        let mine = replica(&server, 7);
        let update = write(&mine, |doc| type_at(doc, at, &words));
        let mut bytes = update.to_vec();
        for (place, value) in alter {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(admitted) = index.admit(&Bytes::from(bytes), &Anybody, &LIMITS) {
            let decoded = Update::decode_v1(&admitted.update).expect("what is admitted decodes");
            let mut transaction = server.transact_mut();
            transaction.apply_update(decoded).expect("what is admitted applies");
            prop_assert!(transaction.store().pending_update().is_none(), "nothing is parked");
            drop(transaction);
            index.learn(admitted);
        }
    }

    /// Any bytes at all: read or refused, from outside and from our own log.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let mut index = open(&seed());
        if let Ok(admitted) = index.admit(&bytes, &Anybody, &LIMITS) {
            index.learn(admitted);
        }
        // Refused or not, it changes nothing that would keep the next from being read.
        let _ = index.load(&bytes, Kept::Row, &LIMITS);
        prop_assert!(!index.admit(&state(&seed()), &Reader, &LIMITS).unwrap().brings_news);
    }

    /// Whatever people type and delete, in whatever order it arrives, is admitted, and the index rebuilt from the state agrees.
    #[test]
    fn honest_edits_are_admitted(edits in proptest::collection::vec((0u64..3, 0u32..6, "[a-zæøå]{0,6}"), 1..40)) {
        let server = seed();
        let mut index = open(&server);
        let people: Vec<Doc> = (0..3).map(|n| replica(&server, 10 + n)).collect();
        for (who, at, words) in edits {
            let mine = &people[usize::try_from(who).unwrap()];
            let update = write(mine, |doc| {
                if words.is_empty() {
                    let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
                    let mut transaction = doc.transact_mut();
                    if section.len(&transaction) > 1 {
                        section.remove_range(&mut transaction, 0, 1);
                    } else {
                        let paragraph = section.push_back(&mut transaction, XmlElementPrelim::empty("paragraph"));
                        paragraph.push_back(&mut transaction, XmlTextPrelim::new("Nyt afsnit"));
                    }
                } else {
                    type_at(doc, at, &words);
                }
            });
            let admitted = index.admit(&update, &Anybody, &LIMITS).unwrap_or_else(|refusal| panic!("{refusal}"));
            server.transact_mut().apply_update(Update::decode_v1(&admitted.update).unwrap()).unwrap();
            // Every other round of another's words, so that people build on different states.
            let passed_on = admitted.update.clone();
            index.learn(admitted);
            if at % 2 == 0 {
                for other in &people {
                    let _ = &passed_on;
                    let missing = server.transact().encode_state_as_update_v1(&other.transact().state_vector());
                    other.transact_mut().apply_update(Update::decode_v1(&missing).unwrap()).unwrap();
                }
            }
        }
        let mut reopened = Index::default();
        reopened.load(&state(&server), Kept::Snapshot, &LIMITS).unwrap();
        prop_assert!(!reopened.admit(&state(&server), &Reader, &LIMITS).unwrap().brings_news);
        prop_assert!(!index.admit(&state(&server), &Reader, &LIMITS).unwrap().brings_news);
    }
}
