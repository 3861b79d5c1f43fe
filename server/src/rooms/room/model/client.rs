//! A client as our pages have it (`web/src/lib/document/replica.ts`, `unsent.ts`): a replica, the words that are not acknowledged, and
//! what it does about everything the server says. It keeps what is not acknowledged, sends it again after every break, and after a
//! refusal for good lifts its own words out and begins anew under another client id.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use samspil_client_protocol::{
    frame::{self, Reader},
    message::{AbilityChanged, AbilityReason, Hello, RefusalAction, Refused},
};
use yrs::{
    Doc, GetString, ReadTxn, StateVector, Text, Transact, TransactionMut, Update, XmlElementPrelim, XmlFragment, XmlOut, XmlTextPrelim,
    XmlTextRef,
    updates::{decoder::Decode, encoder::Encode},
};

use super::{
    super::tests::doc,
    database::{apply, blocks},
};
use crate::domain::ids::{PersonId, SessionId};

/// What a person does to the text. The numbers say where, whatever the text is like just then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    Word(u8),
    Erase(u8),
    Paragraph(u8),
    RemoveParagraph(u8),
}

#[derive(Clone, Debug)]
pub struct Unsent {
    pub update: Bytes,
    /// The number of the word, if it is one.
    pub word: Option<usize>,
    /// How often the text had been frozen when it was written, as far as its writer had heard.
    freezes: u32,
}

/// How a client stands to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It may come back whenever it likes.
    Fine,
    /// It has to sign in first; its words stay with it.
    SignedOut,
    /// C9: it does not come back by itself; its words are kept apart.
    Stopped,
}

/// What hearing a frame made it do.
#[derive(Default)]
pub struct Reaction {
    pub send: Vec<Bytes>,
    /// It gives the line up.
    pub hang_up: bool,
    /// It takes these to be on disk now.
    pub settled: Vec<Bytes>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the client by itself")]
pub struct Client {
    pub person: PersonId,
    pub session: SessionId,
    pub doc: Doc,
    pub standing: Standing,
    pub unsent: BTreeMap<usize, Unsent>,
    /// What a refusal left behind, until the server has said how much of it it has.
    pub limbo: Option<BTreeMap<usize, Unsent>>,
    /// The client id that is somebody else's: what the server has under it says nothing about what is in limbo.
    taken: Option<u64>,
    /// Words lifted out, for their writer to place again.
    pub kept: BTreeSet<usize>,
    pub may_write: bool,
    /// There is a text to write in: from the server, or the local copy.
    ready: bool,
    /// Update frames sent on this line, and how many of them are settled.
    pub frames: u64,
    pub saved: u64,
    pub answered: bool,
    pub synced: bool,
    /// Every frame on its way, with the keys of what it carries.
    pub under_way: Vec<(u64, Vec<usize>)>,
    /// The local copy: what came from the server, and what it has acknowledged.
    copy: Vec<Bytes>,
    seq: u64,
    /// How often the text was frozen, as far as it has heard.
    freezes: u32,
    own: BTreeSet<u64>,
    next_id: u64,
    next_key: usize,
    /// It does not look for a client id of its own: two who have the same one.
    fixed_id: Option<u64>,
    shares_id: bool,
}

impl Client {
    pub fn new(number: usize, person: PersonId, session: SessionId, fixed_id: Option<u64>) -> Self {
        let mut client = Self {
            person,
            session,
            doc: doc(1),
            standing: Standing::Fine,
            unsent: BTreeMap::new(),
            limbo: None,
            taken: None,
            kept: BTreeSet::new(),
            may_write: false,
            ready: false,
            frames: 0,
            saved: 0,
            answered: false,
            synced: false,
            under_way: Vec::new(),
            copy: Vec::new(),
            seq: 0,
            freezes: 0,
            own: BTreeSet::new(),
            next_id: 1_000 * (number as u64 + 1),
            next_key: 0,
            fixed_id,
            shares_id: fixed_id.is_some(),
        };
        client.begin();
        client
    }

    /// A Y.Doc without content, under a client id that nobody had.
    fn begin(&mut self) {
        let id = self.fixed_id.take().unwrap_or_else(|| {
            self.next_id += 1;
            self.next_id
        });
        self.own.insert(id);
        self.doc = doc(id);
    }

    /// The page is opened anew: all it knows is its local copy.
    pub fn reload(&mut self) {
        if let Some(left) = self.limbo.take() {
            // What was not settled when the page went is as it was: not acknowledged.
            self.keep(&left);
        }
        self.begin();
        self.ready = !self.copy.is_empty();
        self.copy.iter().for_each(|update| apply(&self.doc, update));
        self.unsent.values().for_each(|unsent| apply(&self.doc, &unsent.update));
    }

    /// A new line: nothing is under way on it.
    pub fn connected(&mut self) -> Bytes {
        (self.frames, self.saved, self.answered, self.synced) = (0, 0, false, false);
        self.under_way.clear();
        frame::sync_step1(&self.doc.transact().state_vector().encode_v1())
    }

    /// Does something to the text. Answers the change and the frame to send, if there is a line to send it on.
    pub fn edit(&mut self, edit: Edit, word: usize) -> Option<(Bytes, Option<Bytes>)> {
        if !self.can_edit() {
            return None;
        }
        let text = format!("{} ", name_of(word));
        let section = self.doc.get_or_insert_xml_fragment("section:kerneopgave");
        let update: Bytes = {
            let mut transaction = self.doc.transact_mut();
            change(&mut transaction, &section, edit, &text)?;
            transaction.encode_update_v1().into()
        };
        self.next_key += 1;
        let has_word = !blocks(&update).is_empty();
        self.unsent.insert(self.next_key, Unsent { update: update.clone(), word: has_word.then_some(word), freezes: self.freezes });
        let frame = self.answered.then(|| {
            self.sent(vec![self.next_key]);
            frame::update(&update)
        });
        Some((update, frame))
    }

    pub fn can_edit(&self) -> bool {
        self.may_write && self.ready && self.standing == Standing::Fine && self.limbo.is_none()
    }

    fn sent(&mut self, keys: Vec<usize>) {
        self.frames += 1;
        self.under_way.push((self.frames, keys));
    }

    pub fn hear(&mut self, bytes: &Bytes) -> Reaction {
        let mut reaction = Reaction::default();
        let mut reader = Reader::new(bytes);
        match reader.varuint().unwrap() {
            0 => {
                let kind = reader.varuint().unwrap();
                let body = Bytes::copy_from_slice(reader.bytes().unwrap());
                if kind == 0 {
                    self.answer(&StateVector::decode_v1(&body).unwrap(), &mut reaction);
                } else {
                    if !self.take_in(&body) {
                        self.rebuild(&mut reaction);
                        return reaction;
                    }
                    self.copy.push(body);
                    self.synced |= kind == 1;
                    self.ready |= kind == 1;
                }
            }
            100 => {
                let hello: Hello = serde_json::from_str(reader.string().unwrap()).unwrap();
                self.may_write = hello.abilities.edit;
                let lost = hello.seq < self.seq;
                self.seq = hello.seq;
                let frozen = hello.freezes > self.freezes;
                self.freezes = self.freezes.max(hello.freezes);
                if lost || self.unsent.values().any(|unsent| unsent.freezes < hello.freezes) {
                    self.rebuild(&mut reaction);
                } else if frozen {
                    self.take_new_id();
                }
            }
            101 => {
                let (frames, seq) = (reader.varuint().unwrap(), reader.varuint().unwrap());
                self.saved = frames;
                self.seq = self.seq.max(seq);
                let settled: Vec<usize> = self.under_way.extract_if(.., |(frame, _)| *frame <= frames).flat_map(|(_, keys)| keys).collect();
                for key in settled {
                    if let Some(unsent) = self.unsent.remove(&key) {
                        self.copy.push(unsent.update.clone());
                        reaction.settled.push(unsent.update);
                    }
                }
            }
            102 => {
                let refused: Refused = serde_json::from_str(reader.string().unwrap()).unwrap();
                match refused.action {
                    RefusalAction::Resync | RefusalAction::SignIn => {
                        self.under_way.iter_mut().filter(|(frame, _)| *frame >= refused.frame).for_each(|(_, keys)| keys.clear());
                        self.answered = false;
                    }
                    RefusalAction::KeepAsProposal => self.rebuild(&mut reaction),
                    RefusalAction::NewClientId => {
                        self.taken = Some(self.doc.client_id().get());
                        self.rebuild(&mut reaction);
                    }
                }
            }
            104 => {
                let changed: AbilityChanged = serde_json::from_str(reader.string().unwrap()).unwrap();
                self.may_write = changed.abilities.edit;
                if changed.reason == AbilityReason::Restored {
                    self.take_new_id();
                }
            }
            _ => {}
        }
        reaction
    }

    /// A new id for what is written from now on; what was written stays under the old one.
    fn take_new_id(&mut self) {
        let state = self.doc.transact().encode_state_as_update_v1(&StateVector::default());
        self.begin();
        apply(&self.doc, &state);
    }

    /// Two who have one id break each other's replicas; nobody else's ever fails.
    fn take_in(&self, update: &[u8]) -> bool {
        let applied = self.doc.transact_mut().apply_update(Update::decode_v1(update).unwrap());
        assert!(applied.is_ok() || self.shares_id, "{applied:?}");
        applied.is_ok()
    }

    fn answer(&mut self, theirs: &StateVector, reaction: &mut Reaction) {
        if self.limbo.is_none() && self.holds_what_is_gone(theirs) {
            self.rebuild(reaction);
            return;
        }
        if let Some(mut left) = self.limbo.take() {
            let mut theirs = theirs.clone();
            if let Some(taken) = self.taken.take() {
                theirs.set_min(yrs::ClientID::new(taken), 0);
            }
            left.retain(|_, unsent| !is_known(&unsent.update, &theirs));
            self.keep(&left);
        }
        let update = if self.unsent.is_empty() { vec![0, 0] } else { self.doc.transact().encode_state_as_update_v1(theirs) };
        self.under_way.iter_mut().for_each(|(_, keys)| keys.clear());
        self.sent(self.unsent.keys().copied().collect());
        self.answered = true;
        reaction.send.push(frame::sync_step2(&update));
    }

    /// Blocks of others that the server does not have: they are not this client's to send.
    fn holds_what_is_gone(&self, theirs: &StateVector) -> bool {
        let mut unsent = yrs::IdSet::new();
        self.unsent.values().for_each(|one| unsent.merge_with(blocks(&one.update)));
        self.doc.transact().state_vector().iter().any(|(client, clock)| {
            let known = theirs.get(client);
            *clock > known && !self.own.contains(&client.get()) && !unsent.contains(&yrs::ID::new(*client, known))
        })
    }

    /// Refused for good: what is not settled is put aside, and it comes back with an empty replica.
    fn rebuild(&mut self, reaction: &mut Reaction) {
        let left = std::mem::take(&mut self.unsent);
        match &mut self.limbo {
            Some(limbo) => limbo.extend(left),
            None => self.limbo = Some(left),
        }
        self.copy.clear();
        self.ready = false;
        self.begin();
        self.answered = false;
        reaction.hang_up = true;
    }

    /// The server has closed the line.
    pub fn closed(&mut self, code: u16) {
        match code {
            4401 => self.standing = Standing::SignedOut,
            4403 | 4404 => {
                let mut left = std::mem::take(&mut self.unsent);
                left.extend(self.limbo.take().unwrap_or_default());
                self.keep(&left);
                self.standing = Standing::Stopped;
            }
            4409 | 1009 => self.rebuild(&mut Reaction::default()),
            _ => {}
        }
    }

    fn keep(&mut self, left: &BTreeMap<usize, Unsent>) {
        self.kept.extend(left.values().filter_map(|unsent| unsent.word));
    }

    /// What it knows of freezes, for telling worlds apart.
    pub fn heard_of_freezes(&self) -> (u32, Vec<u32>) {
        (self.freezes, self.unsent.values().map(|unsent| unsent.freezes).collect())
    }

    /// Does it still hold this word, in one way or another?
    pub fn holds(&self, word: usize) -> bool {
        let limbo = self.limbo.iter().flat_map(BTreeMap::values);
        self.kept.contains(&word) || self.unsent.values().chain(limbo).any(|unsent| unsent.word == Some(word))
    }

    pub fn content(&self) -> Vec<u8> {
        crate::content::render(&self.doc)
    }
}

/// A word that is found again in a text.
fn name_of(word: usize) -> String {
    format!("w{word}")
}

fn is_known(update: &[u8], theirs: &StateVector) -> bool {
    let blocks = Update::decode_v1(update).unwrap().insertions(true);
    !blocks.is_empty() && blocks.iter().all(|(client, ranges)| ranges.iter().all(|range| range.end <= theirs.get(client)))
}

/// Makes the change, if the text has room for it.
fn change(transaction: &mut TransactionMut<'_>, section: &yrs::XmlFragmentRef, edit: Edit, text: &str) -> Option<()> {
    let paragraphs = section.len(transaction);
    let texts: Vec<XmlTextRef> = (0..paragraphs)
        .filter_map(|at| section.get(transaction, at)?.into_xml_element()?.get(transaction, 0).and_then(XmlOut::into_xml_text))
        .collect();
    let pick = |at: u8| texts.get(usize::from(at) % texts.len().max(1));
    match edit {
        Edit::Word(at) => {
            let into = pick(at)?;
            let length = into.len(transaction);
            into.insert(transaction, u32::from(at) % (length + 1), text);
        }
        Edit::Erase(at) => {
            let from = pick(at)?;
            let length = u32::try_from(from.get_string(transaction).len()).ok()?;
            let start = u32::from(at) % length.max(1);
            let end = (start + 1 + u32::from(at % 5)).min(length);
            (end > start).then(|| from.remove_range(transaction, start, end - start))?;
        }
        Edit::Paragraph(at) => {
            let paragraph = section.insert(transaction, u32::from(at) % (paragraphs + 1), XmlElementPrelim::empty("paragraph"));
            paragraph.push_back(transaction, XmlTextPrelim::new(text));
        }
        Edit::RemoveParagraph(at) => {
            (paragraphs > 1).then(|| section.remove_range(transaction, u32::from(at) % paragraphs, 1))?;
        }
    }
    Some(())
}
