//! Anchors over documents that pages write in as y-prosemirror does: a split, a merge, a move or another kind of block deletes words
//! and inserts them again, in one update.

#![expect(clippy::cast_possible_truncation, reason = "the texts of the tests are short")]

use std::collections::BTreeMap;

use uuid::Uuid;
use yrs::{
    Any, Assoc, ClientID, Doc, IndexedSequence, Map, MapPrelim, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, TransactionMut,
    Update, WriteTxn, XmlElementPrelim, XmlElementRef, XmlFragment, XmlFragmentPrelim, XmlFragmentRef, XmlTextPrelim, XmlTextRef,
    types::Attrs,
    undo::UndoManager,
    updates::{decoder::Decode, encoder::Encode},
};

use super::*;

mod storm;

const SECTION: &str = "section:rammer";
const OTHER: &str = "section:mål";

fn doc(client: u64) -> Doc {
    Doc::with_options(Options { client_id: ClientID::new(client), offset_kind: OffsetKind::Utf16, ..Options::default() })
}

/// A page: a replica in which somebody writes, and their undo.
struct Page {
    doc: Doc,
    undo: UndoManager<()>,
}

impl Page {
    fn open(client: u64, state: &[u8]) -> Self {
        let doc = doc(client);
        // As long as it is not told that a step ends, everything is one.
        let mut undo = UndoManager::with_options(yrs::undo::Options { capture_timeout_millis: u64::MAX, ..yrs::undo::Options::default() });
        {
            let mut transaction = doc.transact_mut();
            for name in [SECTION, OTHER] {
                transaction.get_or_insert_xml_fragment(name);
            }
            transaction.get_or_insert_map("goals");
        }
        for name in [SECTION, OTHER] {
            let fragment = doc.get_or_insert_xml_fragment(name);
            undo.expand_scope(&doc, &fragment);
        }
        let goals = doc.get_or_insert_map("goals");
        undo.expand_scope(&doc, &goals);
        let page = Self { doc, undo };
        page.hear(state);
        page
    }

    /// Takes in what another page wrote; it is not this page's to undo.
    fn hear(&self, update: &[u8]) {
        let mut transaction = self.doc.transact_mut_with("another");
        transaction.apply_update(Update::decode_v1(update).unwrap()).unwrap();
    }

    /// What this page does in one go, as an update.
    fn write(&mut self, act: impl FnOnce(&mut TransactionMut<'_>)) -> Vec<u8> {
        self.undo.reset();
        self.write_on(act)
    }

    /// The same, so soon after what it did before that one undo takes back both.
    fn write_on(&mut self, act: impl FnOnce(&mut TransactionMut<'_>)) -> Vec<u8> {
        let mut transaction = self.doc.transact_mut();
        act(&mut transaction);
        transaction.encode_update_v1()
    }

    fn undo(&mut self) -> Option<Vec<u8>> {
        self.step(UndoManager::undo_blocking)
    }

    fn redo(&mut self) -> Option<Vec<u8>> {
        self.step(UndoManager::redo_blocking)
    }

    fn step(&mut self, step: fn(&mut UndoManager<()>) -> bool) -> Option<Vec<u8>> {
        let before = self.doc.transact().state_vector();
        let deleted = self.doc.transact().snapshot();
        if !step(&mut self.undo) {
            return None;
        }
        let update = self.doc.transact().encode_diff_v1(&before);
        (self.doc.transact().snapshot() != deleted).then_some(update)
    }
}

fn fragment(transaction: &impl ReadTxn, name: &str) -> XmlFragmentRef {
    transaction.get_xml_fragment(name).unwrap()
}

fn block(transaction: &impl ReadTxn, name: &str, at: u32) -> XmlElementRef {
    fragment(transaction, name).get(transaction, at).and_then(yrs::XmlOut::into_xml_element).unwrap()
}

fn text_of(transaction: &mut TransactionMut<'_>, name: &str, at: u32) -> XmlTextRef {
    let block = block(transaction, name, at);
    match block.get(transaction, 0).and_then(yrs::XmlOut::into_xml_text) {
        Some(text) => text,
        None => block.push_back(transaction, XmlTextPrelim::new("")),
    }
}

/// The blocks of a field, as words.
fn blocks(transaction: &impl ReadTxn, name: &str) -> Vec<String> {
    let words = |block: &XmlElementRef| match block.get(transaction, 0).and_then(yrs::XmlOut::into_xml_text) {
        Some(text) => {
            text.diff(transaction, yrs::types::text::YChange::identity).into_iter().map(|run| run.insert.to_string(transaction)).collect()
        }
        None => String::new(),
    };
    fragment(transaction, name).children(transaction).filter_map(yrs::XmlOut::into_xml_element).map(|block| words(&block)).collect()
}

fn type_in(transaction: &mut TransactionMut<'_>, name: &str, at: u32, place: u32, words: &str) {
    text_of(transaction, name, at).insert(transaction, place, words);
}

fn delete(transaction: &mut TransactionMut<'_>, name: &str, at: u32, place: u32, len: u32) {
    text_of(transaction, name, at).remove_range(transaction, place, len);
}

fn insert_block(transaction: &mut TransactionMut<'_>, name: &str, at: u32, tag: &str, words: &str) {
    let block = fragment(transaction, name).insert(transaction, at, XmlElementPrelim::empty(tag));
    if !words.is_empty() {
        block.push_back(transaction, XmlTextPrelim::new(words));
    }
}

fn delete_block(transaction: &mut TransactionMut<'_>, name: &str, at: u32) {
    fragment(transaction, name).remove_range(transaction, at, 1);
}

/// Enter: the end goes into a new paragraph behind, or the beginning into a new one before. y-prosemirror does either, whichever leaves
/// more as it is.
fn split(transaction: &mut TransactionMut<'_>, name: &str, at: u32, place: u32) {
    let words: Vec<u16> = blocks(transaction, name)[at as usize].encode_utf16().collect();
    let (beginning, end) = words.split_at(place as usize);
    if end.len() <= beginning.len() {
        delete(transaction, name, at, place, end.len() as u32);
        insert_block(transaction, name, at + 1, "paragraph", &String::from_utf16(end).unwrap());
    } else {
        delete(transaction, name, at, 0, place);
        insert_block(transaction, name, at, "paragraph", &String::from_utf16(beginning).unwrap());
    }
}

/// Backspace at the beginning of the next block.
fn merge(transaction: &mut TransactionMut<'_>, name: &str, at: u32) {
    let all = blocks(transaction, name);
    let len = all[at as usize].encode_utf16().count() as u32;
    type_in(transaction, name, at, len, &all[at as usize + 1]);
    delete_block(transaction, name, at + 1);
}

/// Drags a block elsewhere.
fn drag(transaction: &mut TransactionMut<'_>, name: &str, at: u32, to: u32) {
    let words = blocks(transaction, name)[at as usize].clone();
    delete_block(transaction, name, at);
    insert_block(transaction, name, to, "paragraph", &words);
}

/// Puts words in place of others, as y-prosemirror does: what they begin and end with alike stays.
fn replace(transaction: &mut TransactionMut<'_>, name: &str, at: u32, quote: &str, words: &str) {
    let place = units_before(&blocks(transaction, name)[at as usize], quote).unwrap();
    let (old, new): (Vec<u16>, Vec<u16>) = (quote.encode_utf16().collect(), words.encode_utf16().collect());
    let front = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let back = old[front..].iter().rev().zip(new[front..].iter().rev()).take_while(|(one, other)| one == other).count();
    delete(transaction, name, at, place + front as u32, (old.len() - front - back) as u32);
    type_in(transaction, name, at, place + front as u32, &String::from_utf16(&new[front..new.len() - back]).unwrap());
}

/// Makes a block another kind of block.
fn become_kind(transaction: &mut TransactionMut<'_>, name: &str, at: u32, tag: &str) {
    let words = blocks(transaction, name)[at as usize].clone();
    delete_block(transaction, name, at);
    insert_block(transaction, name, at, tag, &words);
}

/// The server's document with its anchors, and a page beside it.
struct Desk {
    doc: Doc,
    anchors: Anchors,
    page: Page,
}

impl Desk {
    fn with(section: &[&str], other: &[&str]) -> Self {
        let first = doc(1);
        {
            let mut transaction = first.transact_mut();
            for (name, texts) in [(SECTION, section), (OTHER, other)] {
                transaction.get_or_insert_xml_fragment(name);
                for (at, words) in (0..).zip(texts) {
                    insert_block(&mut transaction, name, at, "paragraph", words);
                }
            }
        }
        let state = first.transact().encode_state_as_update_v1(&StateVector::default());
        let server = doc(2);
        server.transact_mut().apply_update(Update::decode_v1(&state).unwrap()).unwrap();
        Self { doc: server, anchors: Anchors::default(), page: Page::open(7, &state) }
    }

    /// The page selects words in a block and comments on them.
    fn comment(&mut self, name: &str, quote: &str) -> Uuid {
        self.begin(name, quote, None)
    }

    /// And proposes others in their place.
    fn propose(&mut self, name: &str, quote: &str, words: &str) -> Uuid {
        self.begin(name, quote, Some(words.into()))
    }

    fn begin(&mut self, name: &str, quote: &str, proposal: Option<String>) -> Uuid {
        let (start, end) = self.select(name, quote);
        let thread = Uuid::new_v4();
        let selection = Selection { field: name.into(), start, end, quote: quote.into(), proposal };
        self.anchors.place(thread, &selection, &self.doc).unwrap();
        thread
    }

    /// From the first words to the last, in different blocks.
    fn comment_across(&mut self, first: &str, last: &str) -> Uuid {
        let ((start, _), (_, end)) = (self.select(SECTION, first), self.select(SECTION, last));
        let words = blocks(&self.doc.transact(), SECTION).join("\n");
        let quote = words[words.find(first).unwrap()..words.find(last).unwrap() + last.len()].to_owned();
        let thread = Uuid::new_v4();
        self.anchors.place(thread, &Selection { field: SECTION.into(), start, end, quote, proposal: None }, &self.doc).unwrap();
        thread
    }

    /// Words as a page has them selected, in one block.
    fn select(&self, name: &str, quote: &str) -> (Vec<u8>, Vec<u8>) {
        let mut transaction = self.page.doc.transact_mut();
        let (at, from) = (0..).zip(blocks(&transaction, name)).find_map(|(at, block)| Some((at, units_before(&block, quote)?))).unwrap();
        let text = text_of(&mut transaction, name, at);
        let to = from + quote.encode_utf16().count() as u32;
        let start = text.sticky_index(&transaction, from, Assoc::After).unwrap().encode_v1();
        let end = text.sticky_index(&transaction, to, Assoc::Before).unwrap().encode_v1();
        (start, end)
    }

    fn write(&mut self, act: impl FnOnce(&mut TransactionMut<'_>)) {
        let update = self.page.write(act);
        self.receive(&update);
    }

    /// So soon after what it wrote before that one undo takes back both.
    fn write_on(&mut self, act: impl FnOnce(&mut TransactionMut<'_>)) {
        let update = self.page.write_on(act);
        self.receive(&update);
    }

    fn undo(&mut self) {
        let update = self.page.undo().expect("there is something to undo");
        self.receive(&update);
    }

    fn redo(&mut self) {
        let update = self.page.redo().expect("there is something to redo");
        self.receive(&update);
    }

    fn receive(&mut self, update: &[u8]) {
        self.doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
        self.anchors.after(&self.doc);
        assert_mirrored(&self.anchors, &self.doc);
    }

    #[track_caller]
    fn stands_on(&self, thread: Uuid, words: &str) {
        assert_eq!(self.anchors.words(thread).as_deref(), Some(words), "{:?}", blocks(&self.doc.transact(), SECTION));
    }

    #[track_caller]
    fn is_detached(&self, thread: Uuid) {
        assert_eq!(self.anchors.words(thread), None);
    }
}

fn units_before(text: &str, words: &str) -> Option<u32> {
    Some(text[..text.find(words)?].encode_utf16().count() as u32)
}

/// What the anchors know of the document is what it says.
fn assert_mirrored(anchors: &Anchors, doc: &Doc) {
    let read: BTreeMap<Arc<str>, Field> = {
        let fresh = Anchors::open(&[], doc);
        assert!(!fresh.watching);
        let transaction = doc.transact();
        let all = fields_of(&transaction).into_iter();
        all.map(|(name, fragment)| {
            let mut field = Field::default();
            field.rebuild(&name, &transaction, &field::pieces(&transaction, &fragment), &HashMap::new());
            (name, field)
        })
        .collect()
    };
    assert_eq!(anchors.fields.keys().collect::<Vec<_>>(), read.keys().collect::<Vec<_>>());
    for (name, field) in &anchors.fields {
        assert_eq!(text(&field.text), text(&read[name].text), "{name}");
        let places = |field: &Field| field.leaves.iter().map(|leaf| (leaf.id, leaf.start, leaf.len)).collect::<Vec<_>>();
        assert_eq!(places(field), places(&read[name]), "{name}");
    }
}

const RAMMER: [&str; 3] = ["Skolen har to spor på hver årgang.", "Fraværet er højst 5,8 procent i gennemsnit.", "Der er 412 elever."];
const MAAL: [&str; 2] = ["Alle elever trives.", "Flere læser hver dag."];

fn desk() -> Desk {
    Desk::with(&RAMMER, &MAAL)
}

#[test]
fn words_typed_inside_belong_and_those_at_the_edges_do_not() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    let at = units_before(RAMMER[1], "højst").unwrap();
    desk.write(|t| type_in(t, SECTION, 1, at, "altså "));
    desk.stands_on(thread, "højst 5,8 procent");
    desk.write(|t| type_in(t, SECTION, 1, at + 6 + 17, "point"));
    desk.stands_on(thread, "højst 5,8 procent");
    desk.write(|t| type_in(t, SECTION, 1, at + 6 + 6, "omkring "));
    desk.stands_on(thread, "højst omkring 5,8 procent");
    desk.write(|t| type_in(t, SECTION, 0, 0, "Nu: "));
    desk.write(|t| insert_block(t, SECTION, 0, "heading", "Rammer"));
    desk.stands_on(thread, "højst omkring 5,8 procent");
}

#[test]
fn a_split_a_merge_a_move_and_another_kind_of_block_keep_the_words() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    for place in [20, 5, 30] {
        desk.write(|t| split(t, SECTION, 1, place));
        assert_eq!(desk.anchors.words(thread).unwrap().replace('\n', ""), "højst 5,8 procent");
        desk.write(|t| merge(t, SECTION, 1));
        desk.stands_on(thread, "højst 5,8 procent");
    }
    desk.write(|t| drag(t, SECTION, 1, 0));
    desk.stands_on(thread, "højst 5,8 procent");
    desk.write(|t| become_kind(t, SECTION, 0, "heading"));
    desk.stands_on(thread, "højst 5,8 procent");
    desk.undo();
    desk.undo();
    desk.stands_on(thread, "højst 5,8 procent");
}

#[test]
fn a_split_in_the_middle_of_the_words_and_typing_there_keep_all_of_them() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    let at = units_before(RAMMER[1], "5,8").unwrap();
    desk.write(|t| split(t, SECTION, 1, at));
    desk.stands_on(thread, "højst \n5,8 procent");
    desk.write(|t| type_in(t, SECTION, 2, 0, "vist "));
    desk.stands_on(thread, "højst \nvist 5,8 procent");
    desk.write(|t| insert_block(t, SECTION, 2, "paragraph", "midt i"));
    desk.stands_on(thread, "højst \nmidt i\nvist 5,8 procent");
}

#[test]
fn r3_deleted_words_leave_it_detached_and_undo_brings_it_back() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    let short = desk.comment(SECTION, "5,8");
    desk.write(|t| delete_block(t, SECTION, 1));
    desk.is_detached(thread);
    desk.is_detached(short);
    let rows = desk.anchors.changes(&desk.doc, "2026-11-24T10:00:00Z".parse().unwrap());
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.stands.is_none() && row.detached_at.is_some()));
    assert_eq!(rows.iter().map(|row| &row.words[..]).collect::<BTreeSet<_>>(), BTreeSet::from(["5,8", "højst 5,8 procent"]));
    desk.undo();
    desk.stands_on(thread, "højst 5,8 procent");
    desk.stands_on(short, "5,8");
    let rows = desk.anchors.changes(&desk.doc, "2026-11-24T10:00:01Z".parse().unwrap());
    assert!(rows.iter().all(|row| row.stands.is_some() && row.detached_at.is_none()));
    assert!(desk.anchors.changes(&desk.doc, "2026-11-24T10:00:02Z".parse().unwrap()).is_empty());
}

#[test]
fn r3_one_undo_of_a_join_and_a_deletion_finds_the_words_in_two_paragraphs() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    let part = desk.comment(SECTION, "højst 5,8 procent i gennemsnit.");
    let at = units_before(RAMMER[1], "5,8").unwrap();
    desk.write(|t| split(t, SECTION, 1, at));
    desk.write(|t| merge(t, SECTION, 1));
    desk.write_on(|t| delete(t, SECTION, 1, 0, at + 12));
    desk.is_detached(thread);
    desk.stands_on(part, "i gennemsnit.");
    desk.write_on(|t| delete_block(t, SECTION, 1));
    desk.is_detached(part);
    desk.undo();
    desk.stands_on(thread, "højst \n5,8 procent");
    desk.stands_on(part, "højst \n5,8 procent i gennemsnit.");
}

#[test]
fn what_an_edge_lost_comes_back_to_it_in_a_paragraph_of_its_own() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    let at = units_before(RAMMER[1], "5,8").unwrap();
    desk.write(|t| split(t, SECTION, 1, at));
    desk.write(|t| merge(t, SECTION, 1));
    desk.write_on(|t| delete(t, SECTION, 1, 5, at - 2));
    desk.stands_on(thread, " procent");
    desk.undo();
    desk.stands_on(thread, "højst \n5,8 procent");
}

#[test]
fn a_line_break_within_a_paragraph_moves_with_its_words() {
    let mut desk = desk();
    let at = units_before(RAMMER[1], "5,8").unwrap();
    let broken = |t: &mut TransactionMut<'_>, block: u32, at: u32| {
        let end: String = String::from_utf16(&RAMMER[1].encode_utf16().skip(at as usize).collect::<Vec<_>>()).unwrap();
        let len = RAMMER[1].encode_utf16().count() as u32;
        delete(t, SECTION, block, at, len - at);
        let block = super::tests::block(t, SECTION, block);
        block.push_back(t, XmlElementPrelim::empty("hard_break"));
        block.push_back(t, XmlTextPrelim::new(end));
    };
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    desk.write(|t| broken(t, 1, at));
    desk.stands_on(thread, "højst \n5,8 procent");
    // Dragged: the block goes and comes as it was.
    desk.write(|t| {
        delete_block(t, SECTION, 1);
        insert_block(t, SECTION, 0, "paragraph", RAMMER[1]);
        broken(t, 0, at);
    });
    desk.stands_on(thread, "højst \n5,8 procent");
}

#[test]
fn a_few_letters_in_common_with_what_was_written_elsewhere_are_no_move() {
    let mut desk = Desk::with(&["Vi læser sammen med børnene hver dag.", "Der er 412 elever."], &MAAL);
    let thread = desk.comment(SECTION, "sammen med børnene");
    // Offline: deleted here, and other words written there, and only then sent.
    desk.write(|t| {
        delete_block(t, SECTION, 0);
        type_in(t, OTHER, 0, 0, "I dag med andre ");
        type_in(t, OTHER, 1, 0, " med ");
    });
    desk.is_detached(thread);
    desk.undo();
    desk.stands_on(thread, "sammen med børnene");
}

#[test]
fn r12_words_put_in_as_it_proposed_are_its_own() {
    for (quote, proposal) in [
        ("højst 5,8 procent", "mindst 94 af hundrede"),
        ("Fraværet er højst 5,8 procent", "Fraværet er nu under 5 procent"),
        ("højst 5,8 procent i gennemsnit.", "under 6 procent i snit."),
        ("5,8", "seks"),
        ("Fraværet", "Sygefravær og ferie"),
        (RAMMER[1], "Vi er her."),
    ] {
        let mut desk = desk();
        let thread = desk.propose(SECTION, quote, proposal);
        let other = desk.propose(SECTION, "412 elever", "413 børn");
        desk.write(|t| replace(t, SECTION, 1, quote, proposal));
        desk.stands_on(thread, proposal);
        desk.stands_on(other, "412 elever");
        let row = desk.anchors.row(thread, &desk.doc).unwrap();
        assert_eq!((&row.quote[..], row.detached_at), (quote, None), "it keeps both texts");
        desk.undo();
        desk.stands_on(thread, quote);
        desk.redo();
        desk.stands_on(thread, proposal);
    }
}

#[test]
fn r12_proposed_words_that_come_elsewhere_are_not_its_own() {
    let mut desk = desk();
    let thread = desk.propose(SECTION, "højst 5,8 procent", "under 6 procent");
    desk.write(|t| type_in(t, OTHER, 0, 0, "under 6 procent "));
    desk.stands_on(thread, "højst 5,8 procent");
    let at = units_before(RAMMER[1], "højst").unwrap();
    desk.write(|t| delete(t, SECTION, 1, at, 17));
    desk.is_detached(thread);
    desk.write(|t| insert_block(t, OTHER, 0, "paragraph", "Ja: under 6 procent"));
    desk.is_detached(thread);
    desk.write(|t| type_in(t, SECTION, 1, at, "under 6 procent"));
    desk.stands_on(thread, "under 6 procent");
}

#[test]
fn r12_a_proposal_of_several_lines_is_its_own_however_they_are_broken() {
    for blocks in [&["Først det ene.", "Så det andet i gennemsnit."][..], &["Først det ene. Så det andet i gennemsnit."]] {
        let mut desk = Desk::with(&["Det hele i gennemsnit.", "Noget andet."], &MAAL);
        let thread = desk.propose(SECTION, "Det hele", "Først det ene.\nSå det andet");
        desk.write(|t| {
            delete_block(t, SECTION, 0);
            for (at, words) in (0..).zip(blocks) {
                insert_block(t, SECTION, at, "paragraph", words);
            }
        });
        let stands = desk.anchors.words(thread).unwrap_or_default();
        assert_eq!(stands.replace('\n', " "), "Først det ene. Så det andet");
    }
}

#[test]
fn r3_cut_and_pasted_elsewhere_after_a_pause_it_is_there() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    desk.write(|t| delete_block(t, SECTION, 1));
    desk.is_detached(thread);
    desk.write(|t| type_in(t, SECTION, 0, 0, "imens "));
    desk.is_detached(thread);
    desk.write(|t| type_in(t, OTHER, 1, 6, RAMMER[1]));
    desk.stands_on(thread, "højst 5,8 procent");
    assert_eq!(&*desk.anchors.threads[&thread].field, OTHER);
}

#[test]
fn words_that_stood_elsewhere_all_the_time_are_somebody_elses() {
    let twice = ["Målet er at alle elever trives i hverdagen.", "Vi tror på det.", "Målet er at alle elever trives i hverdagen."];
    let mut desk = Desk::with(&twice, &MAAL);
    let thread = desk.comment(SECTION, "alle elever trives");
    desk.write(|t| delete_block(t, SECTION, 0));
    desk.is_detached(thread);
    desk.write(|t| type_in(t, SECTION, 0, 3, "ikke "));
    desk.write(|t| drag(t, SECTION, 1, 0));
    desk.is_detached(thread);
    desk.write(|t| split(t, SECTION, 0, 15));
    desk.is_detached(thread);
    // Its own come back, beside what stood beside them.
    for _ in 0..4 {
        desk.undo();
    }
    desk.stands_on(thread, "alle elever trives");
    let stands = desk.anchors.threads[&thread].stands.unwrap();
    assert_eq!(stands.start, 12, "the first of the two");
}

#[test]
fn words_that_become_the_same_by_a_letter_are_somebody_elses() {
    let mut desk = Desk::with(&["Målet er at alle elever trives.", "Vi tror at alle elever trive"], &MAAL);
    let thread = desk.comment(SECTION, "alle elever trives");
    desk.write(|t| delete_block(t, SECTION, 0));
    desk.write(|t| type_in(t, SECTION, 0, 28, "s"));
    desk.is_detached(thread);
    desk.undo();
    desk.undo();
    desk.stands_on(thread, "alle elever trives");
    assert_eq!(desk.anchors.threads[&thread].stands.unwrap().start, 12);
}

#[test]
fn of_two_that_come_at_once_what_stands_beside_them_decides() {
    let mut desk = Desk::with(&["Foran: 12 pladser, bagved.", "Noget helt andet."], &MAAL);
    let thread = desk.comment(SECTION, "12 pladser");
    desk.write(|t| delete_block(t, SECTION, 0));
    desk.is_detached(thread);
    desk.write(|t| insert_block(t, SECTION, 1, "paragraph", "Måske 12 pladser, måske 12 pladser."));
    desk.is_detached(thread);
    desk.write(|t| {
        insert_block(t, SECTION, 2, "paragraph", "Eller 12 pladser.");
        insert_block(t, SECTION, 3, "paragraph", "Foran: 12 pladser, bagved.");
    });
    desk.stands_on(thread, "12 pladser");
    assert_eq!(desk.anchors.words(thread).unwrap(), "12 pladser");
    let stands = desk.anchors.threads[&thread].stands.unwrap();
    assert_eq!(text(&desk.anchors.fields[SECTION].text[stands.start - 7..stands.end + 8]), "Foran: 12 pladser, bagved");
}

#[test]
fn what_it_lost_at_an_edge_comes_back_to_it() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    let at = units_before(RAMMER[1], "højst").unwrap();
    desk.write(|t| delete(t, SECTION, 1, at, 6));
    desk.stands_on(thread, "5,8 procent");
    desk.write(|t| delete(t, SECTION, 1, at, 4));
    desk.stands_on(thread, "procent");
    desk.write(|t| delete(t, SECTION, 1, at + 3, 4));
    desk.stands_on(thread, "pro");
    desk.write(|t| delete(t, SECTION, 1, at - 1, 5));
    desk.is_detached(thread);
    desk.undo();
    // Three letters tell little, but everything beside them is as it was.
    desk.stands_on(thread, "pro");
    desk.undo();
    desk.stands_on(thread, "procent");
    desk.undo();
    desk.stands_on(thread, "5,8 procent");
    desk.undo();
    desk.stands_on(thread, "højst 5,8 procent");
}

#[test]
fn a_line_break_that_stayed_holds_nothing_beside_it() {
    let mut desk = desk();
    let thread = desk.comment_across("årgang.", "Fraværet er");
    desk.stands_on(thread, "årgang.\nFraværet er");
    desk.write(|t| {
        delete(t, SECTION, 0, units_before(RAMMER[0], "årgang").unwrap(), 7);
        type_in(t, SECTION, 1, 0, "Dog: ");
    });
    desk.stands_on(thread, "Fraværet er");
}

#[test]
fn torn_apart_it_stays_with_the_larger_piece() {
    let mut desk = desk();
    let quote = "5,8 procent i gennemsnit.\nDer er 412 elever";
    let thread = desk.comment_across("5,8 procent", "412 elever");
    desk.stands_on(thread, quote);
    desk.write(|t| drag(t, SECTION, 2, 0));
    desk.stands_on(thread, "5,8 procent i gennemsnit.");
    desk.write(|t| drag(t, SECTION, 2, 0));
    desk.stands_on(thread, "5,8 procent i gennemsnit.");
}

#[test]
fn the_end_of_a_paragraph_that_moved_and_was_written_in_is_followed() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "procent i gennemsnit");
    // Offline: split, then typed in the new paragraph, and only then sent.
    let words: Vec<u16> = RAMMER[1].encode_utf16().collect();
    let end = String::from_utf16(&words[18..]).unwrap().replace("procent i", "procent cirka i");
    desk.write(|t| {
        delete(t, SECTION, 1, 18, words.len() as u32 - 18);
        insert_block(t, SECTION, 2, "paragraph", &end);
    });
    desk.stands_on(thread, "procent cirka i gennemsnit");
}

#[test]
fn marks_change_no_anchor() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    desk.write(|t| {
        let strong = Attrs::from([("strong".into(), Any::from(std::collections::HashMap::<String, Any>::new()))]);
        text_of(t, SECTION, 1).format(t, 5, 20, strong);
    });
    desk.stands_on(thread, "højst 5,8 procent");
    desk.write(|t| type_in(t, SECTION, 1, 0, "Ja: "));
    desk.stands_on(thread, "højst 5,8 procent");
    assert!(desk.anchors.changes(&desk.doc, "2026-11-24T10:00:00Z".parse().unwrap()).is_empty(), "its characters are the same");
}

#[test]
fn goals_come_and_go_with_their_fields() {
    let goal = |t: &mut TransactionMut<'_>, id: &str, title: &str, action: &str| {
        let goals = t.get_or_insert_map("goals");
        let goal = goals.insert(t, id, MapPrelim::default());
        let title_fragment = goal.insert(t, "title", XmlFragmentPrelim::default());
        title_fragment.push_back(t, XmlElementPrelim::empty("paragraph")).push_back(t, XmlTextPrelim::new(title));
        let actions = goal.insert(t, "actions", MapPrelim::default());
        let item = actions.insert(t, "a1", MapPrelim::default());
        let words = item.insert(t, "text", XmlFragmentPrelim::default());
        words.push_back(t, XmlElementPrelim::empty("paragraph")).push_back(t, XmlTextPrelim::new(action));
    };
    let mut desk = desk();
    let section = desk.comment(SECTION, "to spor på hver");
    desk.write(|t| goal(t, "g1", "Flere i fritidstilbud", "Vi åbner huset to lørdage"));
    let thread = Uuid::new_v4();
    desk.anchors.place_by_quote(thread, "huset to lørdage", |field| field.starts_with("goal:g1:"), &desk.doc).unwrap();
    assert_eq!(&*desk.anchors.threads[&thread].field, "goal:g1:action:a1:text");
    desk.write(|t| {
        let goals = t.get_or_insert_map("goals");
        goals.remove(t, "g1");
    });
    desk.is_detached(thread);
    desk.undo();
    desk.stands_on(thread, "huset to lørdage");
    desk.write(|t| goal(t, "g2", "Et andet mål", "Vi spørger forældrene"));
    desk.write(|t| {
        let goals = t.get_or_insert_map("goals");
        goals.remove(t, "g1");
    });
    desk.is_detached(thread);
    desk.write(|t| insert_block(t, OTHER, 0, "paragraph", "Nu står det her: huset to lørdage"));
    desk.stands_on(thread, "huset to lørdage");
    desk.stands_on(section, "to spor på hver");
}

#[test]
fn what_was_kept_stands_where_it_stood() {
    let mut desk = desk();
    let thread = desk.comment(SECTION, "højst 5,8 procent");
    let gone = desk.comment(SECTION, "412 elever");
    desk.write(|t| drag(t, SECTION, 1, 2));
    desk.write(|t| delete_block(t, SECTION, 1));
    let at = units_before(RAMMER[1], "højst").unwrap();
    desk.write(|t| delete(t, SECTION, 1, at, 6));
    let rows = desk.anchors.changes(&desk.doc, "2026-11-24T10:00:00Z".parse().unwrap());
    assert_eq!(rows.len(), 2);
    desk.anchors = Anchors::open(&rows, &desk.doc);
    desk.stands_on(thread, "5,8 procent");
    desk.is_detached(gone);
    for _ in 0..2 {
        desk.undo();
    }
    desk.stands_on(gone, "412 elever");
    desk.stands_on(thread, "højst 5,8 procent");
}

#[test]
fn an_anchor_that_missed_what_happened_finds_its_words_or_is_detached() {
    let mut desk = desk();
    let (moved, gone) = (desk.comment(SECTION, "højst 5,8 procent"), desk.comment(SECTION, "412 elever"));
    let rows = [desk.anchors.row(moved, &desk.doc).unwrap(), desk.anchors.row(gone, &desk.doc).unwrap()];
    desk.write(|t| drag(t, SECTION, 1, 2));
    desk.write(|t| delete_block(t, SECTION, 1));
    desk.anchors = Anchors::open(&rows, &desk.doc);
    desk.stands_on(moved, "højst 5,8 procent");
    desk.is_detached(gone);
    assert_eq!(desk.anchors.changes(&desk.doc, "2026-11-24T10:00:00Z".parse().unwrap()).len(), 2);
}

#[test]
fn a_selection_is_checked_against_the_document() {
    let mut desk = desk();
    let quote = "højst 5,8 procent";
    let (start, end) = desk.select(SECTION, quote);
    let (other, _) = desk.select(OTHER, "elever");
    let selection = Selection { field: SECTION.into(), start: start.clone(), end: end.clone(), quote: quote.into(), proposal: None };
    let place = |desk: &mut Desk, selection: Selection| desk.anchors.place(Uuid::new_v4(), &selection, &desk.doc).map(|row| row.words);
    let with = |start: &[u8], end: &[u8]| Selection { start: start.into(), end: end.into(), ..selection.clone() };

    assert_eq!(place(&mut desk, selection.clone()).as_deref(), Ok(quote));
    assert_eq!(place(&mut desk, Selection { quote: " højst\n5,8  procent ".into(), ..selection.clone() }).as_deref(), Ok(quote));
    for (what, forged) in [
        ("backwards", with(&end, &start)),
        ("in another field", with(&other, &end)),
        ("named otherwise", Selection { field: OTHER.into(), ..selection.clone() }),
        ("no bytes", with(&[], &end)),
        ("no position", with(&[9, 1, 1, 0], &end)),
        ("cut off", with(&start[..start.len() - 2], &end)),
        ("more than one", with(&[&start[..], &end[..]].concat(), &end)),
        ("client 0", with(&[0, 0, 0, 0], &end)),
        ("client 2^63", with(&[0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0], &end)),
        ("large", with(&[0; 5_000], &end)),
    ] {
        assert_eq!(place(&mut desk, forged), Err(NotPlaced::Forged), "{what}");
    }
    // A root that nobody has, an element as a type, a character that never came: no forgery that is worth a word, but no words either.
    for (what, gone) in
        [("no such root", with(&[1, 1, b'x', 0], &[1, 1, b'x', 0x41])), ("not here yet", with(&[0, 99, 5, 0], &[0, 99, 9, 0x41]))]
    {
        let gone = Selection { quote: "noget andet".into(), ..gone };
        assert_eq!(place(&mut desk, gone), Err(NotPlaced::Gone), "{what}");
    }
    // Reworded meanwhile: found where it stands once, and not where it stands twice.
    let at = units_before(RAMMER[1], "5,8").unwrap();
    desk.write(|t| type_in(t, SECTION, 1, at, "ca. "));
    assert_eq!(place(&mut desk, selection.clone()), Err(NotPlaced::Gone));
    desk.write(|t| insert_block(t, SECTION, 0, "paragraph", "Nu: højst 5,8 procent!"));
    assert_eq!(place(&mut desk, selection.clone()).as_deref(), Ok(quote));
    desk.write(|t| insert_block(t, SECTION, 0, "paragraph", "Og: højst 5,8 procent!"));
    assert_eq!(place(&mut desk, selection), Err(NotPlaced::Gone));
}

#[test]
fn a_selection_of_whole_blocks_is_a_selection_of_their_words() {
    let mut desk = desk();
    let (start, end) = {
        let transaction = desk.page.doc.transact();
        let fragment = fragment(&transaction, SECTION);
        let at = |index, assoc| fragment.sticky_index(&transaction, index, assoc).unwrap().encode_v1();
        (at(1, Assoc::After), at(3, Assoc::Before))
    };
    let quote = format!("{}\n{}", RAMMER[1], RAMMER[2]);
    let selection = Selection { field: SECTION.into(), start, end, quote: quote.clone(), proposal: None };
    let row = desk.anchors.place(Uuid::new_v4(), &selection, &desk.doc).unwrap();
    assert_eq!(row.words, quote);
    assert_eq!((&row.before[..], &row.after[..]), ("Skolen har to spor på hver årgang.\n", ""));
}

#[test]
fn positions_are_spelled_as_yjs_spells_them() {
    // Made by Yjs 13.6: Y.encodeRelativePosition of the third character of a text that client 300 wrote, with association 0 and -1.
    let id = ID::new(ClientID::new(300), 2);
    assert_eq!(position::before(id), [0, 0xac, 0x02, 2, 0]);
    assert_eq!(position::after(id), [0, 0xac, 0x02, 2, 0x41]);
    let mut desk = desk();
    desk.comment(SECTION, "412 elever");
    let (start, end) = desk.select(SECTION, "412 elever");
    let row = desk.anchors.threads.keys().next().and_then(|thread| desk.anchors.row(*thread, &desk.doc)).unwrap();
    assert_eq!(row.stands, Some((start, end)), "and as yrs spells them");
}

#[test]
fn occurrences_are_all_found_and_only_those_that_share_something_with_the_stretch() {
    let find = |text: &str, words: &str, from: usize, to: usize| {
        occurrences(&units(text), &units(words), Stretch { start: from, end: to }).map(|found| found.start).collect::<Vec<_>>()
    };
    assert_eq!(find("aaaa", "aa", 0, 4), [0, 1, 2]);
    assert_eq!(find("abcabcabc", "abc", 3, 4), [3]);
    assert_eq!(find("abcabcabc", "abc", 2, 4), [0, 3]);
    assert_eq!(find("abcabcabc", "abc", 3, 3), [0usize; 0]);
    assert_eq!(find("ababac", "abac", 5, 6), [2]);
    assert_eq!(find("ab", "abc", 0, 2), [0usize; 0]);
    assert_eq!(find("ab", "", 0, 2), [0usize; 0]);
}

#[test]
fn occurrences_are_found_however_they_are_broken_into_lines() {
    let find = |text: &str, words: &str, from: usize, to: usize| {
        let (text, words) = (units(text), units(words));
        let found = occurrences(&text, &words, Stretch { start: from, end: to });
        found.map(|found| String::from_utf16(&text[found.start..found.end]).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(find("x\na\n\nbc\ny", "abc", 0, 9), ["a\n\nbc"]);
    assert_eq!(find("x\na\n\nbc\ny", "\nab\nc", 2, 3), ["a\n\nbc"]);
    assert_eq!(find("x\na\n\nbc\ny", "abc", 6, 7), ["a\n\nbc"]);
    assert_eq!(find("x\na\n\nbc\ny", "abc", 8, 9), [""; 0]);
    assert_eq!(find("a\na\na", "aa", 0, 5), ["a\na", "a\na"]);
    assert_eq!(find("\n\n", "a", 0, 2), [""; 0]);
    assert_eq!(find("\n\n", "\n", 0, 2), [""; 0]);
}

/// What this thread has worked until now, in its own processor time: what other programs took is not in it.
fn worked() -> std::time::Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap())
}

/// What 500 threads cost a room for each keystroke, and for a commit at 1,000 edits/s in one text that takes 5 ms, hence carries five;
/// printed, a figure decides nothing here. Release builds count:
/// `cargo test --release -p samspil-server --lib anchors_cost -- --nocapture`.
#[test]
fn anchors_cost_little_for_each_update() {
    const THREADS: usize = 500;
    let texts: Vec<String> =
        (0..200).map(|at| format!("Afsnit {at:03} handler om noget, der er værd at læse, og er ikke længere end {at:03} andre.")).collect();
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let figure = |threads: usize, detached: bool| {
        let mut desk = Desk::with(&refs, &MAAL);
        for at in 0..threads {
            let quote = format!("{:03} handler om noget", at % 200);
            desk.anchors.place_by_quote(Uuid::new_v4(), &quote, |field| field == SECTION, &desk.doc).unwrap();
        }
        if detached {
            desk.write(|t| (0..100).for_each(|_| delete_block(t, SECTION, 0)));
        }
        let updates: Vec<Vec<u8>> = (0..200).map(|at| desk.page.write(|t| type_in(t, SECTION, at % 50, 3, "x"))).collect();
        let split = desk.page.write(|t| split(t, SECTION, 20, 30));
        let mut after = std::time::Duration::ZERO;
        for update in &updates {
            desk.doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
            let begun = worked();
            desk.anchors.after(&desk.doc);
            after += worked().saturating_sub(begun);
        }
        desk.doc.transact_mut().apply_update(Update::decode_v1(&split).unwrap()).unwrap();
        let begun = worked();
        desk.anchors.after(&desk.doc);
        let split = worked().saturating_sub(begun);
        println!(
            "{threads} threads, detached: {detached}: {:?} for a keystroke, {:?} for a commit of five, {split:?} for a split",
            after / 200,
            after / 40
        );
        if threads > 0 {
            assert_mirrored(&desk.anchors, &desk.doc);
        }
        desk.anchors.threads.values().filter(|tracked| tracked.stands.is_some()).count()
    };
    assert_eq!(figure(0, false), 0);
    assert_eq!(figure(THREADS, false), THREADS);
    assert_eq!(figure(THREADS, true), 200);
}
