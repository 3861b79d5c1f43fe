//! A whole package, made as the server makes one, and everything that can be done to it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::{ecdsa::SigningKey, pkcs8::EncodePrivateKey as _};
use serde_json::json;

use super::*;
use crate::{
    package::{Approval, Contents, SealedSignIn, TimeStamp},
    seal::SealKey,
    statement::{nonce, tests::example},
    trail,
};

const CONTENT: &[u8] = br#"{"goals":[],"schema":1,"sections":{},"template":"t"}"#;

struct Provider {
    key: EncodingKey,
    jwk: String,
}

impl Provider {
    fn new() -> Self {
        let key = SigningKey::from_slice(&[42; 32]).unwrap();
        let point = key.verifying_key().to_sec1_point(false);
        let coordinate = |bytes: Option<&p256::FieldBytes>| BASE64_URL_SAFE_NO_PAD.encode(bytes.unwrap());
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "x": coordinate(point.x()), "y": coordinate(point.y())});
        let key = EncodingKey::from_ec_der(key.to_pkcs8_der().unwrap().as_bytes());
        Self { key, jwk: jwk.to_string() }
    }

    fn sign_in(&self, statement: &Statement, spelled: &[u8], alter: impl FnOnce(&mut Value)) -> String {
        let at = statement.at.timestamp();
        let mut claims = json!({
            "iss": statement.identity.issuer, "sub": statement.identity.subject, "aud": statement.identity.client,
            "iat": at + 9, "exp": at + 309, "auth_time": at + 8, "nonce": nonce(spelled), "acr": "urn:demo:fresh",
        });
        alter(&mut claims);
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.key).unwrap()
    }
}

fn server_key() -> SealKey {
    SealKey::from_seed([1; 32])
}

/// What the server holds when both have approved.
struct World {
    provider: Provider,
    statements: Vec<Statement>,
    contents: Contents,
}

fn world() -> World {
    let provider = Provider::new();
    let first = example(Party::UnitLeader, CONTENT);
    let mut second = example(Party::Counterpart, CONTENT);
    second.previous_sha256 = Some(hex::encode(sha256(&first.to_bytes())));
    second.at += chrono::Duration::minutes(3);
    let statements = vec![first, second];
    let approvals = statements.iter().map(|statement| approved(&provider, statement, |_| {})).collect();
    let mut contents = Contents {
        document: Uuid::from_u128(2),
        content: CONTENT.to_vec(),
        pdf: Some(b"%PDF-1.7 and so on".to_vec()),
        readme: "Sådan kontrollerer du aftalen.".into(),
        approvals,
        trail: Vec::new(),
        checkpoint: None,
        timestamps: Vec::new(),
        keys: vec![server_key().public()],
        made_at: DateTime::from_timestamp(1_795_001_000, 0).unwrap(),
    };
    put_on_record(&mut contents, &statements, |_| {});
    World { provider, statements, contents }
}

fn approved(provider: &Provider, statement: &Statement, alter: impl FnOnce(&mut Value)) -> Approval {
    let spelled = statement.to_bytes();
    let id_token = provider.sign_in(statement, &spelled, alter);
    Approval {
        party: statement.party,
        proof: Some(SealedSignIn {
            seal: server_key().seal(APPROVAL, &approval_seal(&spelled, &id_token, statement.at)),
            id_token,
            idp_key: provider.jwk.clone(),
        }),
        statement: spelled,
    }
}

/// The trail of these approvals, and a checkpoint over it and others.
fn put_on_record(contents: &mut Contents, statements: &[Statement], alter: impl FnOnce(&mut Vec<(&'static str, Value)>)) {
    let agreement = Uuid::from_u128(1);
    let mut said = vec![("frozen", json!({"document": Uuid::from_u128(2), "revision": 18}))];
    for statement in statements {
        let hash = hex::encode(sha256(&statement.to_bytes()));
        said.push(("signed", json!({"document": Uuid::from_u128(2), "statement_sha256": hash})));
    }
    let (pdf, revision) = (contents.pdf.as_deref().unwrap_or_default(), statements.first().map(|statement| statement.revision));
    said.push(("printed", json!({"document": Uuid::from_u128(2), "revision": revision, "pdf_sha256": hex::encode(sha256(pdf))})));
    alter(&mut said);
    let mut previous = trail::BEGINNING;
    contents.trail = said
        .into_iter()
        .zip(1..)
        .map(|((kind, body), seq)| {
            let at = DateTime::from_timestamp(1_795_000_000 + seq, 0).unwrap();
            let event = AuditEvent { trail: agreement, seq, kind: kind.into(), person: None, body, at };
            previous = trail::hash(&previous, &event);
            (event, previous)
        })
        .collect();
    let (last, hash) = contents.trail.last().unwrap();
    let mut heads = vec![
        Head { trail: Uuid::nil(), seq: 4, hash: [4; 32] },
        Head { trail: agreement, seq: last.seq.unsigned_abs(), hash: *hash },
        Head { trail: Uuid::from_u128(9), seq: 1, hash: [5; 32] },
    ];
    let inclusion = checkpoint::include(&mut heads, agreement).unwrap();
    contents.checkpoint = Some((checkpoint::sign("samspil.klitfjord.example", &mut heads, &server_key()), inclusion));
}

fn checked(contents: Contents) -> Report {
    verify(&Package::seal(contents, &server_key()).to_bytes(), Some(&[server_key().public()]))
}

fn broken(contents: Contents) -> (Check, Reason) {
    let report = checked(contents);
    let (check, reason) = report.first_broken().unwrap_or_else(|| panic!("nothing is broken: {:?}", report.lines));
    (check, reason.clone())
}

#[test]
fn a_whole_package_holds_line_by_line() {
    let report = checked(world().contents);
    let every = [
        Check::Package,
        Check::Key,
        Check::Manifest,
        Check::Content,
        Check::Statement(Party::UnitLeader),
        Check::SignIn(Party::UnitLeader),
        Check::Seal(Party::UnitLeader),
        Check::Statement(Party::Counterpart),
        Check::SignIn(Party::Counterpart),
        Check::Seal(Party::Counterpart),
        Check::Parties,
        Check::Trail,
        Check::Checkpoint,
    ];
    assert_eq!(report.lines, every.map(|check| (check, Outcome::Holds)));
    assert!(report.holds());
    assert_eq!(report.content_sha256.as_deref(), Some(&*hex::encode(sha256(CONTENT))));
    assert_eq!(report.approvals.len(), 2);
    assert_eq!(report.key.as_deref(), Some(&*server_key().public().kid()));
}

#[test]
fn the_same_contents_give_the_same_bytes() {
    let contents = world().contents;
    let [one, other] = [(); 2].map(|()| Package::seal(contents.clone(), &server_key()));
    assert_eq!(one.to_bytes(), other.to_bytes());
    assert_eq!(Package::from_bytes(&one.to_bytes()), Ok(one));
}

/// F11: whatever byte is altered, it is found.
#[test]
fn f11_every_byte_of_a_package_counts() {
    let bytes = Package::seal(world().contents, &server_key()).to_bytes();
    assert!(verify(&bytes, None).holds());
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        assert!(!verify(&altered, None).holds(), "byte {at} was altered and not found");
        assert!(!verify(&bytes[..at], None).holds(), "cut at {at}");
    }
    assert!(!verify(&[bytes.clone(), vec![0]].concat(), None).holds());
}

#[test]
fn a_file_that_was_altered_in_the_package_is_named() {
    let mut bytes = Package::seal(world().contents, &server_key()).to_bytes();
    let place = bytes.windows(CONTENT.len()).position(|window| window == CONTENT).unwrap();
    bytes[place + 2] ^= 1;
    let report = verify(&bytes, None);
    let (check, why) = report.first_broken().unwrap();
    assert_eq!((check, why.id(), why.about().as_deref()), (Check::Package, "altered", Some(CONTENT_FILE)));
}

#[test]
fn a_key_that_is_not_known_is_named() {
    let bytes = Package::seal(world().contents, &server_key()).to_bytes();
    let report = verify(&bytes, Some(&[SealKey::from_seed([2; 32]).public()]));
    assert_eq!(report.first_broken(), Some((Check::Key, &Reason::OtherKey(server_key().public().kid()))));
}

#[test]
fn a_sign_in_that_proves_something_else_is_refused_by_its_own_reason() {
    type Alter = fn(&mut Value);
    let cases: [(NotProven, Alter); 13] = [
        (NotProven::Nonce, |claims| claims["nonce"] = json!(nonce(b"something else"))),
        (NotProven::Nonce, |claims| claims["nonce"] = Value::Null),
        (NotProven::Issuer, |claims| claims["iss"] = json!("https://other.example")),
        (NotProven::Subject, |claims| claims["sub"] = json!("somebody")),
        (NotProven::Audience, |claims| claims["aud"] = json!("other")),
        (NotProven::Audience, |claims| claims["aud"] = json!(["samspil", "other"])),
        (NotProven::NoAuthTime, |claims| claims["auth_time"] = Value::Null),
        (NotProven::NotFresh, |claims| claims["auth_time"] = json!(claims["auth_time"].as_i64().unwrap() - 3_600)),
        (NotProven::Ahead, |claims| claims["auth_time"] = json!(claims["auth_time"].as_i64().unwrap() + 3_600)),
        (NotProven::Level, |claims| claims["acr"] = json!("urn:demo:password")),
        (NotProven::Level, |claims| claims["acr"] = Value::Null),
        (NotProven::Level, |claims| {
            claims["acr"] = Value::Null;
            claims["acrs"] = json!(["c1", "c2"]);
        }),
        (NotProven::Signature, |claims| claims["sub"] = json!(7)),
    ];
    for (reason, alter) in cases {
        let World { provider, statements, mut contents } = world();
        contents.approvals[0] = approved(&provider, &statements[0], alter);
        assert_eq!(broken(contents), (Check::SignIn(Party::UnitLeader), Reason::NotProven(reason)));
    }
    // Entra tells its levels as a list, and one of several audiences is named.
    let World { provider, statements, mut contents } = world();
    contents.approvals[0] = approved(&provider, &statements[0], |claims| {
        claims["acr"] = Value::Null;
        claims["acrs"] = json!(["c1", "urn:demo:fresh"]);
        claims["aud"] = json!(["samspil", "other"]);
        claims["azp"] = json!("samspil");
    });
    assert!(checked(contents).holds());
}

#[test]
fn a_token_under_another_key_or_the_shared_secret_proves_nothing() {
    let World { mut contents, .. } = world();
    let claims = json!({"iss": "x"});
    let secret = EncodingKey::from_secret(b"secret");
    contents.approvals[0].proof.as_mut().unwrap().id_token =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &secret).unwrap();
    assert_eq!(broken(contents), (Check::SignIn(Party::UnitLeader), Reason::NotProven(NotProven::Signature)));

    let World { statements, mut contents, provider } = world();
    let other = SigningKey::from_slice(&[43; 32]).unwrap();
    let other = Provider { key: EncodingKey::from_ec_der(other.to_pkcs8_der().unwrap().as_bytes()), jwk: provider.jwk };
    contents.approvals[0] = approved(&other, &statements[0], |_| {});
    assert_eq!(broken(contents), (Check::SignIn(Party::UnitLeader), Reason::NotProven(NotProven::Signature)));
}

#[test]
fn approvals_are_of_one_text_by_two_people_in_order_and_on_record() {
    let again = |alter: fn(&mut Vec<Statement>)| {
        let World { provider, mut statements, mut contents } = world();
        alter(&mut statements);
        contents.approvals = statements.iter().map(|statement| approved(&provider, statement, |_| {})).collect();
        put_on_record(&mut contents, &statements, |_| {});
        contents
    };
    assert_eq!(
        broken(again(|statements| statements[1].content_sha256 = hex::encode([0; 32]))),
        (Check::Statement(Party::Counterpart), Reason::OtherContent)
    );
    assert_eq!(
        broken(again(|statements| statements[1].document = Uuid::from_u128(77))),
        (Check::Statement(Party::Counterpart), Reason::OtherContent)
    );
    assert_eq!(broken(again(|statements| statements[1].person = statements[0].person.clone())), (Check::Parties, Reason::OnePerson));
    assert_eq!(broken(again(|statements| statements[1].identity = statements[0].identity.clone())), (Check::Parties, Reason::OnePerson));
    assert_eq!(
        broken(again(|statements| statements[1].previous_sha256 = Some(hex::encode([7; 32])))),
        (Check::Parties, Reason::NotInOrder)
    );
    assert_eq!(broken(again(|statements| statements[1].at -= chrono::Duration::minutes(9))), (Check::Parties, Reason::NotInOrder));
    assert_eq!(broken(again(|statements| statements[1].revision = 19)), (Check::Parties, Reason::NotInOrder));
    assert_eq!(broken(again(Vec::clear)), (Check::Parties, Reason::Nobody));

    // Both pressed the button before the other's approval had come.
    assert!(checked(again(|statements| statements[1].previous_sha256 = None)).holds());

    let one = again(|statements| statements.truncate(1));
    let report = checked(one);
    assert!(report.holds());
    assert!(report.lines.contains(&(Check::Parties, Outcome::Waits(Waits::OtherParty))));

    let on_record = |alter: fn(&mut Vec<(&'static str, Value)>)| {
        let World { statements, mut contents, .. } = world();
        put_on_record(&mut contents, &statements, alter);
        contents
    };
    assert_eq!(broken(on_record(|said| drop(said.remove(1)))), (Check::Trail, Reason::NotInTrail));
    assert_eq!(
        broken(on_record(|said| {
            let hash = said[1].1["statement_sha256"].clone();
            said.push(("signature_invalidated", json!({"document": Uuid::from_u128(2), "statement_sha256": hash})));
        })),
        (Check::Trail, Reason::NotInTrail)
    );
}

#[test]
fn a_trail_or_checkpoint_that_was_changed_is_found_even_when_the_package_is_sealed_anew() {
    let World { mut contents, .. } = world();
    contents.trail[1].0.body["revision"] = json!(99);
    assert_eq!(broken(contents), (Check::Trail, Reason::TrailBreaks(2)));

    let World { mut contents, .. } = world();
    let (note, _) = contents.checkpoint.clone().unwrap();
    let mut others = vec![Head { trail: Uuid::from_u128(1), seq: 3, hash: [1; 32] }, Head { trail: Uuid::nil(), seq: 1, hash: [2; 32] }];
    contents.checkpoint = Some((note, checkpoint::include(&mut others, Uuid::from_u128(1)).unwrap()));
    assert_eq!(broken(contents), (Check::Checkpoint, Reason::Checkpoint(checkpoint::Broken::NotIncluded)));

    let World { mut contents, .. } = world();
    contents.checkpoint = None;
    assert!(checked(contents).lines.contains(&(Check::Checkpoint, Outcome::Waits(Waits::Checkpoint))));
}

#[test]
fn another_paper_than_the_one_that_was_printed_is_found_although_the_package_is_sealed() {
    type Alter = fn(&mut Vec<(&'static str, Value)>);
    let World { mut contents, .. } = world();
    contents.pdf = Some(b"%PDF-1.7 and something else".to_vec());
    assert_eq!(broken(contents), (Check::Trail, Reason::Altered(PDF_FILE.into())));
    // The paper of another revision, or none on record.
    let cases: [Alter; 2] = [|said| said[3].1["revision"] = json!(99), |said| said.truncate(3)];
    for alter in cases {
        let World { statements, mut contents, .. } = world();
        put_on_record(&mut contents, &statements, alter);
        assert_eq!(broken(contents), (Check::Trail, Reason::Altered(PDF_FILE.into())));
    }
    // What proves the approvals does not need it.
    let World { mut contents, .. } = world();
    contents.pdf = None;
    assert!(checked(contents).holds());
}

#[test]
fn a_checkpoint_from_before_an_approval_is_not_said_to_have_it() {
    let World { mut contents, .. } = world();
    let (first, hash) = &contents.trail[1];
    let mut heads = vec![Head { trail: first.trail, seq: first.seq.unsigned_abs(), hash: *hash }];
    let inclusion = checkpoint::include(&mut heads, first.trail).unwrap();
    contents.checkpoint = Some((checkpoint::sign("samspil.klitfjord.example", &mut heads, &server_key()), inclusion));
    let report = checked(contents);
    assert!(report.holds() && report.lines.contains(&(Check::Checkpoint, Outcome::Waits(Waits::Checkpoint))), "{:?}", report.lines);
}

#[test]
fn a_time_stamp_that_is_none_is_found_although_the_package_is_sealed() {
    let mut contents = world().contents;
    let stamp =
        |certificates: &str| TimeStamp { authority: "tsa.example".into(), answer: vec![0x30, 0], certificates: certificates.into() };
    contents.timestamps = vec![stamp("ikke et certifikat")];
    assert_eq!(broken(contents.clone()), (Check::TimeStamp, Reason::Spelling("tidsstempler/tsa.example.pem".into())));
    contents.timestamps = vec![stamp("")];
    assert_eq!(broken(contents).0, Check::TimeStamp);
}

/// What made-up data has: a statement, and an event that says what it is.
fn shown() -> World {
    let World { provider, statements, mut contents } = world();
    for approval in &mut contents.approvals {
        approval.proof = None;
    }
    put_on_record(&mut contents, &statements, |said| {
        for (_, body) in said.iter_mut().filter(|(kind, _)| *kind == "signed") {
            body["demonstration"] = true.into();
        }
    });
    World { provider, statements, contents }
}

#[test]
fn a_demonstration_is_whole_and_is_never_taken_for_an_approval() {
    let report = checked(shown().contents);
    let demonstration: Vec<Check> =
        report.lines.iter().filter(|(_, outcome)| *outcome == Outcome::Demonstration).map(|(check, _)| *check).collect();
    assert_eq!(demonstration, [Check::SignIn(Party::UnitLeader), Check::SignIn(Party::Counterpart), Check::Parties]);
    assert!(report.whole() && !report.holds(), "{:?}", report.lines);
    assert!(report.lines.contains(&(Check::Trail, Outcome::Holds)) && report.lines.contains(&(Check::Checkpoint, Outcome::Holds)));
    assert!(report.approvals.iter().all(|(_, proof)| proof.is_none()));

    // One who really signed beside one who did not: still a demonstration.
    let World { provider, statements, mut contents } = shown();
    contents.approvals[1] = approved(&provider, &statements[1], |_| {});
    put_on_record(&mut contents, &statements, |said| said[1].1["demonstration"] = true.into());
    let report = checked(contents);
    assert!(report.whole() && !report.holds(), "{:?}", report.lines);
    assert!(report.lines.contains(&(Check::Parties, Outcome::Demonstration)));
}

#[test]
fn a_proof_that_is_taken_away_leaves_no_demonstration_behind() {
    // The statement says that it is none.
    let World { mut statements, mut contents, .. } = shown();
    statements[0].demonstration = false;
    contents.approvals[0].statement = statements[0].to_bytes();
    assert_eq!(broken(contents), (Check::SignIn(Party::UnitLeader), Reason::Missing("underskrift-aftaleholder/id-token.jwt".into())));
    // Half a proof is none.
    let World { provider, statements, mut contents } = world();
    let mut package = Package::seal(contents.clone(), &server_key());
    package.files.remove("underskrift-aftaleholder/seal.jws");
    contents.approvals[0].proof = None;
    assert!(!verify(&package.to_bytes(), None).whole());
    // The trail says that somebody signed in, or that nobody did.
    assert_eq!(broken(contents), (Check::Trail, Reason::NotInTrail));
    let mut contents = shown().contents;
    contents.approvals[0] = approved(&provider, &statements[0], |_| {});
    assert_eq!(broken(contents), (Check::Trail, Reason::NotInTrail));
}
