//! What stands for evidence where a municipality and its people are made up: a statement that says it is a demonstration, and nothing that
//! proves it, because nobody signed in. It goes onto the trail and into the package like a real one, and whoever checks it is told what it is.

use samspil_evidence::{
    Hash, sha256,
    statement::{Decision, Identity, Mandate, Party as Side, Signatory, Statement, VERSION},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    data::{Agreement, Data, EventKind, LifeEvent, Party, Person, Signature},
    rows,
};
use crate::{
    content::SCHEMA,
    domain::{
        agreement::short_title,
        ids::imported,
        signoff::{Locale, consent},
    },
};

/// A signature of made-up data, with its statement where the text that it names is here.
pub(super) struct Shown<'a> {
    id: Uuid,
    signature: &'a Signature,
    statement: Option<Vec<u8>>,
}

/// The signatures of an agreement as they are shown; none where the data is not made up. `content` and `log` are the hashes of the text
/// that is here.
pub(super) fn shown<'a>(data: &Data, agreement: &'a Agreement, content: &Hash, log: &Hash) -> Vec<Shown<'a>> {
    let Some(file) = data.municipality.as_ref().filter(|_| data.is_fictional()) else { return Vec::new() };
    let mut shown: Vec<Shown> = Vec::new();
    for (number, signature) in agreement.signatures.iter().enumerate() {
        let id = rows::signature_id(agreement, number);
        let before = shown.last().and_then(|before: &Shown| before.statement.as_deref());
        let about = About { municipality: &file.municipality.name, agreement, content, log, before };
        let statement = (signature.revision == agreement.revision).then(|| about.statement(data, id, signature)).flatten();
        shown.push(Shown { id, signature, statement });
    }
    shown
}

/// What the statements of one agreement have in common.
struct About<'a> {
    municipality: &'a str,
    agreement: &'a Agreement,
    content: &'a Hash,
    log: &'a Hash,
    /// The statement before, if there is one.
    before: Option<&'a [u8]>,
}

impl About<'_> {
    /// `None` where the data lacks the people or the place; the check has said so.
    fn statement(&self, data: &Data, id: Uuid, signature: &Signature) -> Option<Vec<u8>> {
        let Self { agreement, .. } = *self;
        let person = |id: &str| data.people.iter().find(|person| person.id == id);
        let unit = data.organisation.iter().find(|node| node.id == agreement.unit_id)?;
        let above = unit.parent_id.as_ref().and_then(|id| data.organisation.iter().find(|node| node.id == *id));
        let (side, party, side_name) = match signature.role {
            Party::UnitLeader => (Side::UnitLeader, &agreement.parties.unit_leader_person_id, &unit.name),
            Party::Counterpart => {
                (Side::Counterpart, &agreement.parties.counterpart_person_id, above.map_or(&unit.name, |node| &node.name))
            }
        };
        let (signer, party) = (person(&signature.person_id)?, person(party)?);
        let mandate = if signer.id == party.id { Mandate::Own } else { Mandate::Substitute };
        let revision = u32::try_from(signature.revision).ok()?;
        let statement = Statement {
            statement: VERSION,
            demonstration: true,
            municipality: self.municipality.to_owned(),
            agreement: imported(&agreement.id),
            document: rows::first_version(&agreement.id),
            version: 1,
            revision,
            title: format!("{} · {}", short_title(&agreement.title, &unit.name), unit.name),
            content_sha256: hex::encode(self.content),
            schema: SCHEMA,
            head: 1,
            log_sha256: hex::encode(self.log),
            decision: Decision::Approve,
            party: side,
            mandate,
            person: signatory(signer),
            on_behalf_of: (mandate == Mandate::Substitute).then(|| signatory(party)),
            // No provider knows them.
            identity: Identity {
                issuer: "demonstration".to_owned(),
                subject: signer.id.clone(),
                client: "demonstration".to_owned(),
                required_acr: Vec::new(),
            },
            consent: consent(Locale::Danish, mandate, side_name, &party.display_name, revision),
            locale: Locale::Danish.id().to_owned(),
            previous_sha256: self.before.map(|before| hex::encode(sha256(before))),
            at: signature.signed_at,
            // The same data makes the same statement.
            random: hex::encode(&sha256(id.as_bytes())[..16]),
        };
        Some(statement.to_bytes())
    }
}

impl Shown<'_> {
    /// Its evidence as a row; `None`: the text it names is not here.
    pub(super) fn row(&self, document: Uuid) -> Option<Value> {
        let statement = std::str::from_utf8(self.statement.as_ref()?).ok()?;
        Some(json!({
            "signature_id": self.id, "document_id": document, "revision": self.signature.revision, "statement": statement,
            "at": self.signature.signed_at,
        }))
    }

    /// What the trail says of it besides what happened, if this event tells of it.
    pub(super) fn mark(&self, event: &LifeEvent, document: Uuid, body: &mut Value) {
        let signature = self.signature;
        let person = event.person_id.as_ref() == Some(&signature.person_id);
        let of = (event.kind, event.role, event.revision, event.at)
            == (EventKind::Signed, Some(signature.role), Some(signature.revision), signature.signed_at);
        if !(person && of) {
            return;
        }
        body["demonstration"] = true.into();
        body["document"] = json!(document);
        body["signature"] = json!(self.id);
        if let Some(statement) = &self.statement {
            body["statement_sha256"] = hex::encode(sha256(statement)).into();
        }
    }
}

fn signatory(person: &Person) -> Signatory {
    Signatory { id: imported(&person.id), name: person.display_name.clone(), title: person.title.clone() }
}
