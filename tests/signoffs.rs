//! Entering into an agreement (R2): a fresh sign-in for exactly the text that was shown, everything that must refuse it, and that
//! whatever is altered afterwards is found.

use openidconnect::reqwest::Method;
use samspil_evidence::{
    package::{APPROVAL, PDF_FILE, Package, approval_file},
    seal,
    statement::Party,
    verify::{Check, Outcome, Waits, verify},
};
use samspil_server::config::{AskedAs, Config, Limits, Timestamps, VerifyFor};
use samspil_server::domain::ids::DocumentId;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::time::Instant;
use uuid::Uuid;

use crate::freezing;
use crate::harness::{Answer, Browser, Live, OddProvider, StampAuthority, TestServer, binary, demo_now, first_section};

/// Leads Borgerservice, whose agreement is frozen and waits for both.
const LEADER: &str = "p-l-borgerservice";
/// The other party to it.
const DIRECTOR: &str = "p-kd";
const UNIT: &str = "Borgerservice";

/// What is changed in a token before it is signed.
type Alter = fn(&mut Value);

/// A server whose provider does what it is told, and Borgerservice's document.
struct World {
    provider: OddProvider,
    server: TestServer,
}

impl World {
    async fn new() -> Self {
        Self::asking(AskedAs::AcrValues).await
    }

    async fn asking(asked: AskedAs) -> Self {
        Self::with(asked, Timestamps::default()).await
    }

    async fn with(asked: AskedAs, timestamps: Timestamps) -> Self {
        let provider = OddProvider::start().await;
        let server = TestServer::start_at(&provider, asked, timestamps).await;
        Self { provider, server }
    }

    async fn sign_in(&self, person: &str) -> Browser {
        self.provider.signs_in(person);
        self.server.sign_in(person).await
    }

    /// The texts of the refusals on record in the agreement's trail.
    async fn on_record(&self) -> Vec<String> {
        let mut connection = self.server.superuser().await;
        sqlx::query_scalar("SELECT body->>'reason' FROM audit_event WHERE type = 'approval_refused' ORDER BY at, seq")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }

    async fn signatures(&self, document: Uuid) -> i64 {
        let mut connection = self.server.superuser().await;
        sqlx::query_scalar(
            "SELECT count(*) FROM signature s WHERE document_id = $1 AND EXISTS (SELECT FROM approval a WHERE a.signature_id = s.id AND a.seal IS NOT NULL)",
        )
        .bind(document)
        .fetch_one(&mut connection)
        .await
        .unwrap()
    }
}

async fn signing(browser: &mut Browser, document: Uuid) -> Value {
    browser.get(&format!("/api/documents/{document}/signing?locale=da")).await.json()
}

/// Reads the text, hashes it as the page does, and presses the button: where the browser is sent.
async fn press(browser: &mut Browser, document: Uuid) -> String {
    let begun = press_with(browser, document, &json!({})).await;
    assert_eq!(begun.status, 201, "{}", String::from_utf8_lossy(&begun.body));
    begun.json()["redirect_to"].as_str().unwrap().to_owned()
}

/// The same, with a page that has shown something else in these places.
async fn press_with(browser: &mut Browser, document: Uuid, other: &Value) -> Answer {
    let consent = signing(browser, document).await["mine"]["consent"].clone();
    let bytes = browser.get(&format!("/api/documents/{document}/signing/content")).await.body;
    let mut shown = json!({ "content_sha256": hex::encode(samspil_evidence::sha256(&bytes)), "consent": "Ingen ord.", "locale": "da" });
    if consent.is_string() {
        shown["consent"] = consent;
    }
    for (name, value) in other.as_object().unwrap() {
        shown[name] = value.clone();
    }
    browser.send_json(Method::POST, &format!("/api/documents/{document}/approvals"), &shown).await
}

/// To the provider and back: where the browser ends.
async fn prove(browser: &mut Browser, at_provider: &str) -> String {
    let back = browser.go(at_provider).await;
    assert_eq!(back.status, 303, "{}", String::from_utf8_lossy(&back.body));
    let ours = back.header("location").to_owned();
    let ended = browser.go(&ours).await;
    ended.header("location").to_owned()
}

async fn sign(browser: &mut Browser, document: Uuid) -> String {
    let there = press(browser, document).await;
    prove(browser, &there).await
}

/// The leader first, then the director.
async fn both_sign(world: &World, leader: &mut Browser, director: &mut Browser, document: Uuid) {
    for (person, browser) in [(LEADER, leader), (DIRECTOR, director)] {
        world.provider.signs_in(person);
        assert!(sign(browser, document).await.ends_with("?signed=1"));
    }
}

fn refused(end: &str) -> &str {
    end.split_once("?refused=").unwrap_or_else(|| panic!("not refused: {end}")).1
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_both_sign_afresh_and_the_package_proves_it_to_anybody() {
    let world = World::new().await;
    let mut leader = world.sign_in(LEADER).await;
    let document = leader.document_of(UNIT).await;
    let before = signing(&mut leader, document).await;
    assert_eq!(before["mine"]["consent"], "Jeg indgår denne aftale på vegne af Borgerservice, som den står i udgave 12.");
    let first_cookie = leader.cookie();

    let there = press(&mut leader, document).await;
    assert!(there.starts_with(world.provider.issuer()));
    world.provider.signs_in(LEADER);
    let end = prove(&mut leader, &there).await;
    assert!(end.ends_with("/sign?signed=1"), "{end}");
    assert_eq!(world.provider.asked("prompt").as_deref(), Some("login"));
    assert_eq!(world.provider.asked("max_age").as_deref(), Some("0"));
    assert_eq!(world.provider.asked("acr_values").as_deref(), Some(OddProvider::LEVEL));
    assert_eq!(world.provider.asked("nonce").map(|nonce| nonce.len()), Some(43));
    assert_eq!(world.provider.asked("code_challenge_method").as_deref(), Some("S256"));
    assert_ne!(leader.cookie(), first_cookie, "a step-up has a cookie of its own");
    let mut planted = world.server.browser();
    planted.take_cookie(&first_cookie);
    assert_eq!(planted.get("/api/me").await.status, 401, "and the one before is worth nothing");

    let half = signing(&mut leader, document).await;
    assert_eq!((half["status"].as_str(), half["refused"].as_str()), (Some("partly_signed"), Some("already_signed")));
    assert_eq!(half["sides"][0]["signature"]["proof"], "fresh_sign_in");

    let mut director = world.sign_in(DIRECTOR).await;
    let mut page = director.open(document).await;
    page.frame_where(|frame| frame.starts_with(&[100])).await.unwrap();
    world.provider.signs_in(DIRECTOR);
    assert!(sign(&mut director, document).await.ends_with("/sign?signed=1"));
    // Whoever has the page open is told.
    page.frame_where(|frame| frame.starts_with(&[103])).await.unwrap();

    let done = signing(&mut leader, document).await;
    assert_eq!(done["status"], "signed");
    assert!(done["checkpoint_at"].is_string(), "{done}");
    let package = leader.get(&format!("/api/documents/{document}/package")).await;
    assert_eq!((package.status, package.header("content-type")), (200, "application/zip"));
    let report = verify(&package.body, None);
    assert!(report.holds() && report.lines.iter().all(|(_, outcome)| *outcome == Outcome::Holds), "{:?}", report.lines);
    assert_eq!(report.approvals.len(), 2);

    // Anybody may have it checked; a byte more and it is found.
    let mut nobody = world.server.browser();
    let checked = nobody.upload("/api/verifications", package.body.to_vec()).await.json();
    assert_eq!((checked["holds"].as_bool(), checked["own_key"].as_bool()), (Some(true), Some(true)));
    assert_eq!(checked["approvals"][0]["name"], "Åse Prototypsen");
    let mut altered = package.body.to_vec();
    let place = altered.windows(9).position(|bytes| bytes == b"\"heading\"".as_slice()).unwrap_or(altered.len() / 2);
    altered[place] ^= 1;
    let checked = nobody.upload("/api/verifications", altered).await.json();
    assert_eq!(checked["holds"], false);
    assert_eq!(world.on_record().await, Vec::<String>::new());
    world.server.stop().await;
}

/// Each sees the other's signature within two seconds, on whichever server their page is: told by the room, which on another server
/// looks for changed rights every second.
#[tokio::test(flavor = "multi_thread")]
async fn r2_a_signature_is_told_to_the_pages_on_every_server() {
    let world = World::new().await;
    let other = world.server.second_node().await;
    let (mut leader, director) = (world.sign_in(LEADER).await, world.sign_in(DIRECTOR).await);
    let document = leader.document_of(UNIT).await;
    let mut there = Browser::new(other.public_url());
    there.take_cookie(&director.cookie());
    let (mut here, mut there) = (director.open(document).await, there.open(document).await);
    for page in [&mut here, &mut there] {
        page.frame_where(|frame| frame.starts_with(&[100])).await.unwrap();
    }
    world.provider.signs_in(LEADER);
    assert!(sign(&mut leader, document).await.ends_with("/sign?signed=1"));
    let begun = Instant::now();
    for (page, server) in [(&mut here, "the same"), (&mut there, "another")] {
        page.frame_where(|frame| frame.starts_with(&[103])).await.unwrap();
        println!("told on {server} server after {:?}", begun.elapsed());
    }
    drop((here, there));
    other.stop().await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_each_thing_that_can_be_wrong_with_the_sign_in_refuses_by_its_own_name() {
    let world = World::new().await;
    let mut leader = world.sign_in(LEADER).await;
    let document = leader.document_of(UNIT).await;
    let cases: [(&str, Alter); 16] = [
        ("old_login", |claims| claims["auth_time"] = json!(claims["auth_time"].as_i64().unwrap() - 3_600)),
        // Even one that is younger than most sessions.
        ("old_login", |claims| claims["auth_time"] = json!(claims["auth_time"].as_i64().unwrap() - 10)),
        ("no_auth_time", |claims| _ = claims.as_object_mut().unwrap().remove("auth_time")),
        ("no_auth_time", |claims| claims["auth_time"] = Value::Null),
        ("future_login", |claims| claims["auth_time"] = json!(claims["auth_time"].as_i64().unwrap() + 3_600)),
        ("other_person", |claims| claims["sub"] = json!("sub-p-kd")),
        ("level", |claims| claims["acr"] = json!("Low")),
        ("level", |claims| _ = claims.as_object_mut().unwrap().remove("acr")),
        ("level", |claims| {
            claims.as_object_mut().unwrap().remove("acr");
            claims["acrs"] = json!(["Low", "c1"]);
        }),
        ("nonce", |claims| claims["nonce"] = json!("noget-andet")),
        ("nonce", |claims| _ = claims.as_object_mut().unwrap().remove("nonce")),
        ("issuer", |claims| claims["iss"] = json!("https://login.example.dk")),
        ("token", |claims| claims["aud"] = json!("other")),
        ("token", |claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 3_600)),
        ("not_a_party", |claims| claims["roles"] = json!(["auditor"])),
        ("not_a_party", |claims| claims["roles"] = json!([])),
    ];
    let mut expected = Vec::new();
    for (reason, alter) in cases {
        let there = press(&mut leader, document).await;
        world.provider.signs_in(LEADER);
        world.provider.alters(alter);
        let end = prove(&mut leader, &there).await;
        assert_eq!(refused(&end), reason);
        expected.push(reason.to_owned());
    }
    // The answer names another issuer; the person gave up.
    let there = press(&mut leader, document).await;
    world.provider.names_issuer("https://login.example.dk");
    assert_eq!(refused(&prove(&mut leader, &there).await), "issuer");
    let there = press(&mut leader, document).await;
    world.provider.refuses("access_denied");
    assert_eq!(refused(&prove(&mut leader, &there).await), "provider_refused");
    expected.extend(["issuer".to_owned(), "provider_refused".to_owned()]);

    assert_eq!(world.on_record().await, expected);
    assert_eq!(world.signatures(document).await, 0);
    assert_eq!(signing(&mut leader, document).await["status"], "ready_to_sign");
    // Nothing of that stands in the way of a right one.
    world.provider.signs_in(LEADER);
    assert!(sign(&mut leader, document).await.ends_with("?signed=1"));
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_a_level_may_be_told_as_a_list_and_asked_for_as_a_claim() {
    let world = World::asking(AskedAs::Claims).await;
    let mut leader = world.sign_in(LEADER).await;
    let document = leader.document_of(UNIT).await;
    let there = press(&mut leader, document).await;
    world.provider.signs_in(LEADER);
    world.provider.alters(|claims| {
        claims.as_object_mut().unwrap().remove("acr");
        claims["acrs"] = json!(["c1", OddProvider::LEVEL]);
    });
    assert!(prove(&mut leader, &there).await.ends_with("?signed=1"));
    let asked: Value = serde_json::from_str(&world.provider.asked("claims").unwrap()).unwrap();
    assert_eq!(asked, json!({ "id_token": { "acrs": { "essential": true, "value": OddProvider::LEVEL } } }));
    assert_eq!(world.provider.asked("acr_values"), None);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_an_attempt_counts_once_in_the_browser_that_began_it() {
    let world = World::new().await;
    let mut leader = world.sign_in(LEADER).await;
    let document = leader.document_of(UNIT).await;

    // Somebody else's browser brings the answer; the same person's other browser, too.
    let there = press(&mut leader, document).await;
    world.provider.signs_in(LEADER);
    let ours = leader.go(&there).await.header("location").to_owned();
    let mut director = world.sign_in(DIRECTOR).await;
    assert_eq!(refused(director.go(&ours).await.header("location")), "signed_out");
    let there = press(&mut leader, document).await;
    world.provider.signs_in(LEADER);
    let ours = leader.go(&there).await.header("location").to_owned();
    let mut elsewhere = world.sign_in(LEADER).await;
    assert_eq!(refused(elsewhere.go(&ours).await.header("location")), "signed_out");
    // Burnt: also for the browser that began it.
    assert_eq!(refused(leader.go(&ours).await.header("location")), "used_before");

    // Taken once, the same answer is worth nothing.
    let there = press(&mut leader, document).await;
    world.provider.signs_in(LEADER);
    let ours = leader.go(&there).await.header("location").to_owned();
    assert!(leader.go(&ours).await.header("location").ends_with("?signed=1"));
    assert_eq!(refused(leader.go(&ours).await.header("location")), "used_before");
    assert_eq!(world.signatures(document).await, 1);
    // A code that was used is refused by the provider.
    let mut director = world.sign_in(DIRECTOR).await;
    let there = press(&mut director, document).await;
    world.provider.signs_in(DIRECTOR);
    let ours = director.go(&there).await.header("location").to_owned();
    let replayed = {
        let used: String = ours.split('&').find_map(|part| part.strip_prefix("code=")).unwrap().to_owned();
        ours.replace(&format!("code={used}"), "code=code-1")
    };
    assert_eq!(refused(director.go(&replayed).await.header("location")), "provider_refused");
    assert_eq!(world.signatures(document).await, 1);
    assert_eq!(world.on_record().await, ["signed_out", "signed_out", "used_before", "used_before", "provider_refused"]);
    // An unknown state is no attempt at all.
    let nowhere = format!("/auth/callback?state=x&code=y&iss={}", world.provider.issuer());
    assert_eq!(leader.get(&nowhere).await.header("location"), "/login-problem?code=expired");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_two_who_sign_at_once_both_have_and_neither_has_twice() {
    let world = World::new().await;
    let mut leader = world.sign_in(LEADER).await;
    let mut director = world.sign_in(DIRECTOR).await;
    let document = leader.document_of(UNIT).await;
    // Both press before either is back; the leader in two windows.
    let (first, second, other) =
        (press(&mut leader, document).await, press(&mut leader, document).await, press(&mut director, document).await);
    world.provider.signs_in(LEADER);
    let first = leader.go(&first).await.header("location").to_owned();
    let second = leader.go(&second).await.header("location").to_owned();
    world.provider.signs_in(DIRECTOR);
    let other = director.go(&other).await.header("location").to_owned();
    let (mut one, mut same) = (leader.window(), leader.window());
    let (one, same, other) = tokio::join!(one.go(&first), same.go(&second), director.go(&other));
    let ends = [one.header("location"), same.header("location")];
    assert!(other.header("location").ends_with("?signed=1"), "{}", other.header("location"));
    assert_eq!(ends.iter().filter(|end| end.ends_with("?signed=1")).count(), 1, "{ends:?}");
    // The other window's cookie is the one that was renewed away, or that side has signed.
    let lost = ends.iter().find(|end| !end.ends_with("?signed=1")).map(|end| refused(end)).unwrap();
    assert!(["already_signed", "signed_out"].contains(&lost), "{lost}");
    assert_eq!(world.signatures(document).await, 2);
    let mut reader = world.sign_in(DIRECTOR).await;
    assert_eq!(signing(&mut reader, document).await["status"], "signed");
    let package = reader.get(&format!("/api/documents/{document}/package")).await;
    assert!(verify(&package.body, None).holds());
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_what_was_shown_is_what_is_signed_or_nothing_is() {
    let world = World::new().await;
    let mut leader = world.sign_in(LEADER).await;
    let document = leader.document_of(UNIT).await;
    // Neither other bytes nor other words beside the button: those of the revision before, or another's.
    for other in [
        json!({ "content_sha256": "0".repeat(64) }),
        json!({ "consent": "Jeg indgår denne aftale på vegne af Borgerservice, som den står i udgave 11." }),
        json!({ "locale": "en" }),
        json!({ "consent": "" }),
    ] {
        let refused = press_with(&mut leader, document, &other).await;
        assert_eq!((refused.status, refused.json()["type"].as_str()), (409, Some("/problems/other-text")), "{other}");
    }

    // Taken back to a draft between the button and the answer.
    let there = press(&mut leader, document).await;
    world.provider.signs_in(LEADER);
    let mut connection = world.server.superuser().await;
    sqlx::query("UPDATE document SET status = 'reopened', access_version = access_version + 1 WHERE id = $1")
        .bind(document)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(refused(&prove(&mut leader, &there).await), "not_frozen");
    assert_eq!(press_with(&mut leader, document, &json!({})).await.json()["type"], "/problems/not-frozen");

    // Frozen again, with other words: what was pressed before is not revived.
    sqlx::query("UPDATE document SET status = 'ready_to_sign', access_version = access_version + 1 WHERE id = $1")
        .bind(document)
        .execute(&mut connection)
        .await
        .unwrap();
    let there = press(&mut leader, document).await;
    world.provider.signs_in(LEADER);
    sqlx::query(
        "INSERT INTO revision (document_id, number, seq, content, content_sha256, schema, log_sha256, frozen, at)
         SELECT document_id, number + 1, seq, content, content_sha256, schema, log_sha256, true, at FROM revision
         WHERE document_id = $1 AND frozen ORDER BY number DESC LIMIT 1",
    )
    .bind(document)
    .execute(&mut connection)
    .await
    .unwrap();
    assert_eq!(refused(&prove(&mut leader, &there).await), "other_text");
    let expected = ["other_text", "other_text", "other_text", "other_text", "not_frozen", "not_frozen", "other_text"];
    assert_eq!(world.on_record().await, expected);
    assert_eq!(world.signatures(document).await, 0);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_one_person_never_signs_for_both_sides_and_a_substitute_signs_within_the_period() {
    let world = World::new().await;
    let mut connection = world.server.superuser().await;
    let mut appoint = async |person: &str, role: &str, from: &str, to: &str| {
        sqlx::query(
            "INSERT INTO person_role (id, person_id, role, org_id, from_day, to_day)
             SELECT gen_random_uuid(), p.id, $2, u.id, $3::date, $4::date FROM person p, org_node u WHERE p.slug = $1 AND u.name = 'Borgerservice'
             ON CONFLICT DO NOTHING",
        )
        .bind(person)
        .bind(role)
        .bind(from)
        .bind(to)
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::query("UPDATE person SET access_version = access_version + 1 WHERE slug = $1")
            .bind(person)
            .execute(&mut connection)
            .await
            .unwrap();
    };
    // Stands in for the director until yesterday; and one who stands in today, for either side.
    appoint("p-l-bibliotek", "substitute_counterpart", "2026-11-01", "2026-11-22").await;
    appoint("p-l-klitskolen", "substitute_unit_leader", "2026-11-20", "2026-11-30").await;
    appoint("p-l-klitskolen", "substitute_counterpart", "2026-11-20", "2026-11-30").await;
    // The director also stands in for the leader: as the director they sign, and never as both.
    appoint(DIRECTOR, "substitute_unit_leader", "2026-11-20", "2026-11-30").await;

    let mut late = world.sign_in("p-l-bibliotek").await;
    let mut leader = world.sign_in(LEADER).await;
    let document = leader.document_of(UNIT).await;
    assert_eq!(late.get(&format!("/api/documents/{document}/signing")).await.status, 404, "the period is over");
    assert_eq!(
        late.send_json(
            Method::POST,
            &format!("/api/documents/{document}/approvals"),
            &json!({ "content_sha256": "x", "consent": "x", "locale": "da" })
        )
        .await
        .status,
        404
    );

    let mut director = world.sign_in(DIRECTOR).await;
    assert_eq!(signing(&mut director, document).await["mine"]["party"], "counterpart");

    let mut substitute = world.sign_in("p-l-klitskolen").await;
    let offered = signing(&mut substitute, document).await;
    assert_eq!(offered["mine"]["party"], "unit_leader");
    let name = offered["mine"]["on_behalf_of"]["name"].as_str().unwrap().to_owned();
    assert_eq!(
        offered["mine"]["consent"],
        format!("Jeg indgår som stedfortræder for {name} denne aftale på vegne af Borgerservice, som den står i udgave 12.")
    );
    // For whom they said they act is not the leader any more when they are back.
    let mut connection = world.server.superuser().await;
    let another = "UPDATE agreement SET unit_leader_id = (SELECT id FROM person WHERE slug = $2) WHERE id =
                   (SELECT agreement_id FROM agreement_version WHERE document_id = $1)";
    let there = press(&mut substitute, document).await;
    world.provider.signs_in("p-l-klitskolen");
    sqlx::query(another).bind(document).bind("p-l-marehalm").execute(&mut connection).await.unwrap();
    assert_eq!(refused(&prove(&mut substitute, &there).await), "not_a_party");
    sqlx::query(another).bind(document).bind(LEADER).execute(&mut connection).await.unwrap();

    world.provider.signs_in("p-l-klitskolen");
    assert!(sign(&mut substitute, document).await.ends_with("?signed=1"));
    let signed = signing(&mut director, document).await;
    assert_eq!(signed["sides"][0]["signature"]["on_behalf_of"], name.as_str());
    assert_ne!(signed["sides"][0]["signature"]["person"]["name"], name.as_str());

    // Now only the other side is left, for which they stand in, too.
    sqlx::query("DELETE FROM person_role r USING person p WHERE p.id = r.person_id AND p.slug = 'p-l-klitskolen' AND r.role = 'substitute_unit_leader'")
        .execute(&mut connection)
        .await
        .unwrap();
    let again = signing(&mut substitute, document).await;
    assert_eq!((again["mine"].is_null(), again["refused"].as_str()), (true, Some("both_sides")));
    assert_eq!(press_with(&mut substitute, document, &json!({})).await.json()["type"], "/problems/both-sides");
    // And who is appointed away between the button and the answer has no mandate left.
    let there = press(&mut director, document).await;
    world.provider.signs_in(DIRECTOR);
    sqlx::query("DELETE FROM person_role r USING person p WHERE p.id = r.person_id AND p.slug = $1 AND r.role IN ('director', 'head_of_department')")
        .bind(DIRECTOR)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(refused(&prove(&mut director, &there).await), "not_a_party");
    assert_eq!(world.signatures(document).await, 1);
    connection.close().await.unwrap();
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_what_an_old_key_sealed_holds_after_the_key_was_changed() {
    let world = World::new().await;
    let (mut leader, mut director) = (world.sign_in(LEADER).await, world.sign_in(DIRECTOR).await);
    let document = leader.document_of(UNIT).await;
    for (person, browser) in [(LEADER, &mut leader), (DIRECTOR, &mut director)] {
        world.provider.signs_in(person);
        // How long it takes from the answer of the provider to the page that says so; below, how long the paper and the check take.
        // It decides nothing. `cargo test --release -p samspil-tests --test all -- --nocapture --test-threads 1 freezing::figure
        // signoffs::r2_what_an_old_key` prints this and what a freeze takes, in a release build.
        let there = press(browser, document).await;
        let ours = browser.go(&there).await.header("location").to_owned();
        let begun = Instant::now();
        assert!(browser.go(&ours).await.header("location").ends_with("?signed=1"));
        assert!(signing(browser, document).await["refused"] == "already_signed");
        println!("signature accepted, callback to page: {:?}", begun.elapsed());
    }
    for what in ["printed, the first of this server", "as it is kept"] {
        let begun = Instant::now();
        let paper = leader.get(&format!("/api/documents/{document}/pdf")).await;
        println!("PDF of the signed agreement, {what}: {:?}, {} bytes", begun.elapsed(), paper.body.len());
        assert_eq!((paper.status, paper.header("content-type")), (200, "application/pdf"));
    }
    let before = leader.get(&format!("/api/documents/{document}/package")).await.body;
    let old = world.server.notary().await.keys().seal().public();

    world.server.change_the_seal_key();
    let notary = world.server.notary().await;
    let new = notary.keys().seal().public();
    assert_ne!(old, new);
    assert_eq!(notary.check_all().await.unwrap(), Vec::<String>::new());
    let after = notary.package(DocumentId(document), None, demo_now()).await.unwrap();
    let begun = Instant::now();
    let checked = verify(&before, Some(std::slice::from_ref(&old)));
    println!("verify of the whole package: {:?}, {} bytes", begun.elapsed(), before.len());
    let (before, known) = (checked, [old.clone(), new.clone()]);
    assert!(before.holds() && before.key == Some(old.kid()), "{:?}", before.lines);
    let report = verify(&after, Some(&known));
    assert!(report.holds() && report.key == Some(new.kid()), "what is sealed now is sealed with the new key: {:?}", report.lines);
    // The old one goes along: without it what it sealed could not be checked.
    assert!(!verify(&after, Some(&[new])).holds() && !verify(&after, Some(&[old])).holds());
    world.server.stop().await;
}

/// The key is changed between the two signatures, as `README.md` says: a new one on top, the server started again.
#[tokio::test(flavor = "multi_thread")]
async fn r2_one_signs_under_the_old_key_and_the_other_under_the_new_and_the_package_holds() {
    let mut world = World::new().await;
    let mut leader = world.sign_in(LEADER).await;
    let document = leader.document_of(UNIT).await;
    world.provider.signs_in(LEADER);
    assert!(sign(&mut leader, document).await.ends_with("?signed=1"));
    let half = leader.get(&format!("/api/documents/{document}/package")).await.body;
    let old = world.server.notary().await.keys().seal().public();

    world.server.change_the_seal_key();
    world.server = world.server.restart().await;
    let mut director = world.sign_in(DIRECTOR).await;
    world.provider.signs_in(DIRECTOR);
    assert!(sign(&mut director, document).await.ends_with("?signed=1"));
    let whole = director.get(&format!("/api/documents/{document}/package")).await.body;
    let notary = world.server.notary().await;
    let new = notary.keys().seal().public();
    assert_eq!(notary.check_all().await.unwrap(), Vec::<String>::new());

    // Offline, with nothing but the file: each is sealed with the key of its day, and the file with the newest.
    let report = verify(&whole, Some(&[old.clone(), new.clone()]));
    assert!(report.holds() && report.lines.iter().all(|(_, outcome)| *outcome == Outcome::Holds), "{:?}", report.lines);
    assert_eq!((report.key, report.approvals.len()), (Some(new.kid()), 2));
    let package = Package::from_bytes(&whole).unwrap();
    for (party, key) in [(Party::UnitLeader, &old), (Party::Counterpart, &new)] {
        let seal = std::str::from_utf8(&package.files[&approval_file(party, "seal.jws")]).unwrap();
        assert_eq!(seal::open(seal, APPROVAL, std::slice::from_ref(key)).unwrap().1.kid(), key.kid(), "{party:?}");
    }
    // What went out before the change is not undone by it.
    assert!(verify(&half, Some(std::slice::from_ref(&old))).holds());
    world.server.stop().await;
}

/// What outside authorities say of the time is never waited for: it comes by itself, into the page and the package.
#[tokio::test(flavor = "multi_thread")]
async fn r2_a_signature_stands_without_its_time_stamp_which_comes_by_itself() {
    let authority = StampAuthority::start().await;
    let world = World::with(AskedAs::AcrValues, authority.settings()).await;
    let (mut leader, mut director) = (world.sign_in(LEADER).await, world.sign_in(DIRECTOR).await);
    let document = leader.document_of(UNIT).await;
    both_sign(&world, &mut leader, &mut director, document).await;
    let waits = signing(&mut leader, document).await;
    assert_eq!((waits["status"].as_str(), waits["stamps_asked"].as_bool()), (Some("signed"), Some(true)));
    assert!(waits["stamped_at"].is_null() && waits["checkpoint_at"].is_string(), "{waits}");
    let package = leader.get(&format!("/api/documents/{document}/package")).await.body;
    let report = verify(&package, None);
    assert!(report.holds() && report.stamps.is_empty(), "{:?}", report.lines);

    authority.answer();
    while signing(&mut leader, document).await["stamped_at"].is_null() {}
    let package = leader.get(&format!("/api/documents/{document}/package")).await.body;
    let report = verify(&package, None);
    assert!(report.holds() && report.lines.contains(&(Check::TimeStamp, Outcome::Holds)), "{:?}", report.lines);
    assert_eq!(report.stamps.len(), 1);
    assert_eq!(world.server.notary().await.check_all().await.unwrap(), Vec::<String>::new());
    world.server.stop().await;
}

/// The trails are fixed every hour in which something has happened, and not because they were fixed or stamped.
#[tokio::test(flavor = "multi_thread")]
async fn r2_all_trails_are_fixed_every_hour_in_which_something_has_happened() {
    let authority = StampAuthority::start().await;
    let world = World::with(AskedAs::AcrValues, authority.settings()).await;
    let notary = world.server.notary().await;
    let (mut leader, mut connection) = (world.sign_in(LEADER).await, world.server.superuser().await);
    let hour = chrono::Duration::hours(1);
    authority.answer();
    // Fixed once more since the leader came for the first time, and stamped.
    let begun = demo_now() + hour * 2;
    assert!(notary.fix_if_due(begun).await.unwrap());
    let stamped = "SELECT EXISTS (SELECT FROM timestamp_token WHERE checkpoint = (SELECT max(number) FROM checkpoint))";
    while !sqlx::query_scalar::<_, bool>(stamped).fetch_one(&mut connection).await.unwrap() {}
    assert!(!notary.fix_if_due(begun + hour * 2).await.unwrap(), "nothing else has happened");

    let document = leader.document_of(UNIT).await;
    world.provider.signs_in(LEADER);
    assert!(sign(&mut leader, document).await.ends_with("?signed=1"));
    // The approval is in no checkpoint yet, and the package says so.
    let package = leader.get(&format!("/api/documents/{document}/package")).await.body;
    let waits = (Check::Checkpoint, Outcome::Waits(Waits::Checkpoint));
    assert!(verify(&package, None).lines.contains(&waits));
    assert!(!notary.fix_if_due(begun + hour - chrono::Duration::seconds(1)).await.unwrap(), "within the hour");
    assert!(notary.fix_if_due(begun + hour).await.unwrap());
    let package = leader.get(&format!("/api/documents/{document}/package")).await.body;
    assert!(verify(&package, None).lines.contains(&(Check::Checkpoint, Outcome::Holds)));
    assert!(!notary.fix_if_due(begun + hour * 3).await.unwrap(), "nothing has happened since");
    assert_eq!(notary.check_all().await.unwrap(), Vec::<String>::new());
    world.server.stop().await;
}

/// An agreement is changed by a next version, which both sign; until then the one before stands, and what proves it stands for good.
#[tokio::test(flavor = "multi_thread")]
async fn r2_the_next_version_replaces_the_signed_one_once_both_have_signed_it() {
    let world = World::new().await;
    let (mut leader, mut director) = (world.sign_in(LEADER).await, world.sign_in(DIRECTOR).await);
    let first = leader.document_of(UNIT).await;
    both_sign(&world, &mut leader, &mut director, first).await;
    let proof = leader.get(&format!("/api/documents/{first}/package")).await.body;
    let begun = leader.send_json(Method::POST, &format!("/api/documents/{first}/new-version"), &json!({})).await;
    assert_eq!(begun.status, 201, "{}", String::from_utf8_lossy(&begun.body));
    let next: Uuid = begun.json()["document_id"].as_str().unwrap().parse().unwrap();
    // The leader has become an acting one meanwhile, and says so.
    let mut connection = world.server.superuser().await;
    let acting = "UPDATE person_role SET role = 'acting_unit_leader' WHERE role = 'unit_leader' AND person_id = (SELECT id FROM person WHERE slug = $1)";
    sqlx::query(acting).bind(LEADER).execute(&mut connection).await.unwrap();
    freezing::freeze(&mut director, next).await;

    let mut statuses = Vec::new();
    for (person, browser) in [(LEADER, &mut leader), (DIRECTOR, &mut director)] {
        if person == LEADER {
            let consent = signing(browser, next).await["mine"]["consent"].clone();
            assert!(consent.as_str().unwrap().starts_with("Jeg indgår som konstitueret leder denne aftale"), "{consent}");
        }
        world.provider.signs_in(person);
        assert!(sign(browser, next).await.ends_with("?signed=1"));
        let (old, new) = (signing(browser, first).await, signing(browser, next).await);
        statuses.push((old["status"].as_str().unwrap().to_owned(), new["status"].as_str().unwrap().to_owned()));
    }
    let told = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    assert_eq!(statuses, [told("signed", "partly_signed"), told("superseded", "signed")]);
    assert_eq!(signing(&mut director, next).await["sides"][0]["signature"]["acting"], true);
    // What proved the version before still does, in the package from then and in one from now.
    let again = leader.get(&format!("/api/documents/{first}/package")).await.body;
    let newest = leader.get(&format!("/api/documents/{next}/package")).await.body;
    for package in [&proof, &again, &newest] {
        let report = verify(package, None);
        assert!(report.holds() && report.approvals.len() == 2, "{:?}", report.lines);
    }
    assert_eq!(world.server.notary().await.check_all().await.unwrap(), Vec::<String>::new());
    world.server.stop().await;
}

/// `samspil verify`, as somebody runs it who has the program and the file: a line for each check, the first broken link named, and an exit
/// code for scripts.
#[tokio::test(flavor = "multi_thread")]
async fn r2_the_program_checks_a_package_offline_line_by_line() {
    let world = World::new().await;
    let (mut leader, mut director) = (world.sign_in(LEADER).await, world.sign_in(DIRECTOR).await);
    let document = leader.document_of(UNIT).await;
    both_sign(&world, &mut leader, &mut director, document).await;
    let whole = leader.get(&format!("/api/documents/{document}/package")).await.body.to_vec();
    let shown = director.document_of("Klitfjord Bibliotek").await;
    let shown = director.get(&format!("/api/documents/{shown}/package")).await.body.to_vec();
    let kid = world.server.notary().await.keys().seal().public().kid();
    world.server.stop().await;

    // Nothing runs any more.
    let mut altered = whole.clone();
    let place = altered.windows(11).position(|bytes| bytes == b"\"paragraph\"").unwrap();
    altered[place + 1] ^= 1;
    let program = binary().await;
    let checked = async |name: &str, bytes: &[u8], arguments: &[&str]| {
        let file = std::env::temp_dir().join(format!("samspil-{name}-{}.zip", std::process::id()));
        std::fs::write(&file, bytes).unwrap();
        let mut verify = tokio::process::Command::new(&program);
        let output = verify.arg("verify").arg(&file).args(arguments).env_clear().output().await.unwrap();
        std::fs::remove_file(&file).unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = checked("whole", &whole, &["--key", &kid]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("holds ")).count(), 12, "{said}");
    for told in ["Åse Prototypsen approved", "Asger Fiktivsen approved", &format!("sealed by {kid}")] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let (code, said) = checked("key", &whole, &["--key", "another"]).await;
    assert!(code == Some(1) && said.contains("it was not sealed by the key that was named"), "{said}");
    let (code, said) = checked("altered", &altered, &[]).await;
    assert!(code == Some(1) && said.contains("the first broken link: ") && said.contains("indhold.json has been altered"), "{said}");
    let (code, said) = checked("shown", &shown, &[]).await;
    assert!(code == Some(1) && said.contains("it is a demonstration"), "{said}");
}

/// *Kontrollér dokument* asks for a sign-in where the municipality wants one.
#[tokio::test(flavor = "multi_thread")]
async fn r2_the_check_is_for_whom_the_municipality_says() {
    for (open_for, status) in [(VerifyFor::Everybody, 200), (VerifyFor::SignedIn, 401)] {
        let server = TestServer::start_as(Limits::default(), |config| Config { verify_for: open_for, ..config }).await;
        let file = b"%PDF-1.7".to_vec();
        assert_eq!(server.browser().upload("/api/verifications", file.clone()).await.status, status, "{open_for:?}");
        assert_eq!(server.sign_in(LEADER).await.upload("/api/verifications", file).await.status, 200, "{open_for:?}");
        server.stop().await;
    }
}

/// Whatever text is admitted can be signed, and proven to anybody.
#[tokio::test(flavor = "multi_thread")]
async fn r2_the_deepest_text_that_is_admitted_is_signed_and_proven() {
    let world = World::new().await;
    let (leader, head) = (world.sign_in(freezing::LEADER).await, world.sign_in(freezing::HEAD).await);
    let (mut leader, mut head, document) = freezing::ready_to_freeze(leader, head).await;
    let section = first_section(&leader.content(document).await);
    let mut writer = Live::open(leader.door(document)).await;
    let fragment = writer.doc.get_or_insert_xml_fragment(format!("section:{section}"));
    writer.change(|transaction| freezing::lists_in_lists(31)(&fragment, transaction)).await;
    writer.until_settled().await;
    assert!(writer.refused.is_empty() && writer.says("dybt nede"));
    let frozen = freezing::freeze(&mut head, document).await;
    for (person, browser) in [(freezing::LEADER, &mut leader), (freezing::HEAD, &mut head)] {
        world.provider.signs_in(person);
        assert!(sign(browser, document).await.ends_with("?signed=1"));
    }
    let package = leader.get(&format!("/api/documents/{document}/package")).await.body;
    let report = verify(&package, None);
    assert!(report.holds() && report.lines.iter().all(|(_, outcome)| *outcome == Outcome::Holds), "{:?}", report.lines);
    assert_eq!(report.content_sha256.as_deref(), frozen["content_sha256"].as_str());
    assert!(Package::from_bytes(&package).unwrap().files.contains_key(PDF_FILE));
    let checked = world.server.browser().upload("/api/verifications", package.to_vec()).await.json();
    assert_eq!(checked["holds"], true, "{checked}");
    assert_eq!(world.server.notary().await.check_all().await.unwrap(), Vec::<String>::new());
    world.server.stop().await;
}

/// The demo's own signatures: shown as what they are wherever they are shown, and worth nothing to whoever checks them.
#[tokio::test(flavor = "multi_thread")]
async fn r2_what_the_demo_has_signed_is_marked_as_a_demonstration_and_proves_nothing() {
    let server = TestServer::start().await;
    let (mut director, mut head) = (server.sign_in(DIRECTOR).await, server.sign_in("p-chef-dagtilbud").await);
    assert_eq!(server.notary().await.check_all().await.unwrap(), Vec::<String>::new());

    // Signed by both: a paper that is no draft, and a package that is whole.
    let signed = director.document_of("Klitfjord Bibliotek").await;
    let shown = signing(&mut director, signed).await;
    assert_eq!((shown["status"].as_str(), shown["has_package"].as_bool()), (Some("signed"), Some(true)));
    for side in shown["sides"].as_array().unwrap() {
        assert_eq!(side["signature"]["proof"], "demonstration", "{side}");
        assert!(side["signature"]["acr"].is_null(), "nobody signed in, at any level: {side}");
    }
    let package = director.get(&format!("/api/documents/{signed}/package")).await;
    assert_eq!(package.status, 200, "{}", String::from_utf8_lossy(&package.body));
    let report = verify(&package.body, None);
    assert!(report.whole() && !report.holds(), "{:?}", report.lines);
    assert_eq!(report.lines.iter().filter(|(_, outcome)| *outcome == Outcome::Demonstration).count(), 3, "{:?}", report.lines);
    let checked = server.browser().upload("/api/verifications", package.body.to_vec()).await.json();
    assert_eq!((checked["holds"].as_bool(), checked["own_key"].as_bool()), (Some(false), Some(true)), "{checked}");
    assert!(checked["lines"].as_array().unwrap().iter().all(|line| line["outcome"] != "broken"), "{checked}");
    assert_eq!(checked["approvals"][0]["agreement"], "Aftale 2027 · Klitfjord Bibliotek", "the unit is named once");
    for approval in checked["approvals"].as_array().unwrap() {
        assert_eq!((approval["demonstration"].as_bool(), approval["auth_time"].is_null()), (Some(true), true), "{approval}");
    }
    let pdf = director.get(&format!("/api/documents/{signed}/pdf")).await;
    assert_eq!((pdf.status, pdf.header("content-type")), (200, "application/pdf"));

    // Signed by one: the other may sign beside it, and together they are still a demonstration.
    let half = head.document_of("Børnehuset Strandsneglen").await;
    let shown = signing(&mut head, half).await;
    assert_eq!(
        (shown["status"].as_str(), shown["sides"][0]["signature"]["proof"].as_str()),
        (Some("partly_signed"), Some("demonstration"))
    );
    assert_eq!(shown["mine"]["party"], "counterpart");
    let report = verify(&head.get(&format!("/api/documents/{half}/package")).await.body, None);
    assert!(report.whole() && !report.holds(), "{:?}", report.lines);

    // Lapsed, in a text that is not here.
    let lapsed = director.document_of("Hjemmeplejen Nord").await;
    let shown = signing(&mut director, lapsed).await;
    assert_eq!((shown["lapsed"][0]["proof"].as_str(), shown["has_package"].as_bool()), (Some("demonstration"), Some(false)), "{shown}");
    assert_eq!(director.get(&format!("/api/documents/{lapsed}/package")).await.status, 409);
    server.stop().await;
}

/// Tables that prove something, each with the rows that do and the columns that stand nowhere else.
const EVIDENCE: [(&str, &str, &[&str]); 13] = [
    ("audit_event", "true", &[]),
    ("approval", "id_token IS NOT NULL", &[]),
    // Those that are only shown have a statement, and no proof.
    ("approval", "id_token IS NULL", &[]),
    ("signature", "id IN (SELECT signature_id FROM approval WHERE id_token IS NOT NULL)", &[]),
    ("signature", "id IN (SELECT signature_id FROM approval WHERE id_token IS NULL)", &[]),
    // What people call it is no part of what was approved.
    ("revision", "(document_id, number) IN (SELECT document_id, revision FROM approval)", &["label"]),
    ("seal_key", "true", &[]),
    ("checkpoint", "true", &[]),
    ("checkpoint_head", "true", &[]),
    ("timestamp_token", "true", &[]),
    ("document_paper", "true", &[]),
    // What people read as the agreement's history; in which order and from where to where is read from the trail.
    (
        "agreement_event",
        "type IN ('frozen', 'signed')",
        &["seq", "document_id", "from_status", "to_status", "meeting_id", "label", "old_person_id", "new_person_id"],
    ),
    // By which sign-in and when: the log hash names who wrote what, in which order.
    ("document_update", "document_id IN (SELECT document_id FROM approval)", &["session_id", "at"]),
];

/// Another value of a column, whatever it holds.
fn another(column: &str, kind: &str) -> String {
    match kind {
        "uuid" => "gen_random_uuid()".to_owned(),
        "bytea" => format!("COALESCE(set_byte({column}, length({column}) / 2, get_byte({column}, length({column}) / 2) # 1), '\\x01')"),
        "jsonb" => format!("{column} || '{{\"x\": 1}}'"),
        "boolean" => format!("NOT {column}"),
        "integer" | "bigint" => format!("COALESCE({column}, 0) + 1000"),
        "timestamp with time zone" => format!("COALESCE({column}, now()) + interval '1 microsecond'"),
        _ => format!("COALESCE({column}, '') || 'x'"),
    }
}

/// Runs what stands in this test and nowhere else.
async fn run(connection: &mut sqlx::PgConnection, statement: String) {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.clone())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// F11: whatever is altered or removed in the database, by whoever may do anything there, is found; by its own line.
#[tokio::test(flavor = "multi_thread")]
async fn f11_every_evidence_table_altered_as_the_superuser_is_found() {
    let authority = StampAuthority::start().await;
    authority.answer();
    let world = World::with(AskedAs::AcrValues, authority.settings()).await;
    let (mut leader, mut director) = (world.sign_in(LEADER).await, world.sign_in(DIRECTOR).await);
    let document = leader.document_of(UNIT).await;
    both_sign(&world, &mut leader, &mut director, document).await;
    assert_eq!(leader.get(&format!("/api/documents/{document}/pdf")).await.status, 200);
    while signing(&mut leader, document).await["stamped_at"].is_null() {}
    // Else one that is taken away would be asked for again.
    authority.fall_silent();
    let notary = world.server.notary().await;
    assert_eq!(notary.check_all().await.unwrap(), Vec::<String>::new(), "nothing is altered yet");

    let mut superuser = world.server.superuser().await;
    // Nobody is kept from anything: no trigger, no foreign key, no constraint.
    for statement in [
        "SET session_replication_role = replica",
        "ALTER TABLE approval DROP CONSTRAINT approval_hash_is_of_statement",
        "ALTER TABLE approval DROP CONSTRAINT approval_proven_or_shown",
        "ALTER TABLE signature DROP CONSTRAINT signature_lapse_has_reason",
        "ALTER TABLE signature DROP CONSTRAINT signature_party_known",
        "ALTER TABLE document_paper DROP CONSTRAINT document_paper_hash_is_of_pdf",
        "ALTER TABLE agreement_event DROP CONSTRAINT agreement_event_type_known",
    ] {
        sqlx::raw_sql(statement).execute(&mut superuser).await.unwrap();
    }
    let mut tried = 0;
    for (table, rows, free) in EVIDENCE {
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1",
        )
        .bind(table)
        .fetch_all(&mut superuser)
        .await
        .unwrap();
        // The newest rows first; three of each are as good as all.
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT least(count(*), 3) FROM {table} WHERE {rows}")))
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        assert!(count > 0, "{table} is empty");
        for nth in 0..count {
            let save = format!(
                "CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE ctid = (SELECT ctid FROM
                 (SELECT ctid, row_number() OVER (ORDER BY {table}::text) AS nth FROM {table} WHERE {rows}) r WHERE nth = {nth} + 1)"
            );
            let remove = |copy: &str| format!("DELETE FROM {table} t USING {copy} k WHERE t::text = k::text");
            let mut alterations: Vec<(&str, Option<String>)> = vec![("the whole row", None)];
            alterations.extend(columns.iter().filter(|(column, _)| !free.contains(&column.as_str())).map(|(column, kind)| {
                let all = columns.iter().map(
                    |(name, _)| {
                        if name == column { format!("{} AS {name}", another(name, kind)) } else { name.clone() }
                    },
                );
                (column.as_str(), Some(format!("CREATE TEMP TABLE altered AS SELECT {} FROM kept", all.collect::<Vec<_>>().join(", "))))
            }));
            for (what, alter) in alterations {
                let mut steps = vec![save.clone(), remove("kept")];
                if let Some(alter) = &alter {
                    steps.extend([alter.clone(), format!("INSERT INTO {table} SELECT * FROM altered")]);
                }
                for step in steps {
                    run(&mut superuser, step).await;
                }
                let found = match notary.check_all().await {
                    Ok(findings) => !findings.is_empty(),
                    // What cannot be read any more is not taken for whole either.
                    Err(error) => matches!(error, samspil_server::store::Error::Unknown { .. }),
                };
                assert!(found, "{table}: {what} was altered and not found");
                tried += 1;
                if alter.is_some() {
                    run(&mut superuser, remove("altered")).await;
                    run(&mut superuser, "DROP TABLE altered".to_owned()).await;
                }
                run(&mut superuser, format!("INSERT INTO {table} SELECT * FROM kept")).await;
                run(&mut superuser, "DROP TABLE kept".to_owned()).await;
            }
        }
    }
    assert_eq!(notary.check_all().await.unwrap(), Vec::<String>::new(), "all is as it was");
    // Another paper with a hash that fits it, and a status that nobody's signatures have led to.
    for (alter, undo) in [
        (
            "CREATE TEMP TABLE papers AS SELECT * FROM document_paper;
             UPDATE document_paper SET pdf = set_byte(pdf, 9, 1), sha256 = sha256(set_byte(pdf, 9, 1))",
            "UPDATE document_paper d SET pdf = k.pdf, sha256 = k.sha256 FROM papers k WHERE (k.document_id, k.revision) = (d.document_id, d.revision)",
        ),
        (
            "CREATE TEMP TABLE statuses AS SELECT id, status FROM document;
             UPDATE document SET status = 'signed' WHERE status = 'in_dialogue'",
            "UPDATE document d SET status = k.status FROM statuses k WHERE k.id = d.id",
        ),
    ] {
        run(&mut superuser, alter.to_owned()).await;
        assert_ne!(notary.check_all().await.unwrap(), Vec::<String>::new(), "{alter}");
        run(&mut superuser, undo.to_owned()).await;
        assert_eq!(notary.check_all().await.unwrap(), Vec::<String>::new(), "{undo}");
        tried += 1;
    }
    println!("F11: {tried} alterations of evidence, all found");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l17_verify_bytes_max() {
    let server = TestServer::start_with(Limits { verify_bytes_max: 100, ..Limits::default() }).await;
    let mut nobody = server.browser();
    for (bytes, status) in [(99, 200), (100, 200), (101, 413)] {
        let mut file = b"%PDF-1.7".to_vec();
        file.resize(bytes, b' ');
        let answer = nobody.upload("/api/verifications", file).await;
        assert_eq!(answer.status, status, "{bytes} bytes");
        let json = answer.json();
        match status {
            // A PDF alone proves nothing, and is told so instead of being called broken.
            200 => assert_eq!((json["kind"].as_str(), json["holds"].as_bool()), (Some("pdf"), Some(false))),
            _ => assert!(json["detail"].as_str().unwrap().contains("for stor"), "{json}"),
        }
    }
    server.stop().await;
}
