//! Every route of the real server, called as nobody, as the wrong person, and as the right one (invariant 9, G5, F13). A route that
//! stands on no list fails the last test: whoever adds one says here who may not have it.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use openidconnect::reqwest::Method;
use samspil_client_protocol::frame;
use samspil_client_protocol::message::RefusalCode;
use serde_json::{Value, json};
use uuid::Uuid;
use yrs::{ReadTxn as _, Text as _, Transact as _};

use crate::harness::{Live, TestServer, first_text, people};

/// Who gets an answer from a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// Everybody; nobody in particular gets this status.
    Everybody(u16),
    /// Those who are signed in.
    SignedIn,
    /// Those who may read the agreement or the document in its path; for the others it does not exist.
    Readers,
    /// Those who may comment on it: who may only read it is refused; and some answers depend on what is there.
    Commenters,
    /// Those who may read it, once it is frozen or signed: until then they get this status, or 403 who is no party to it.
    NotYet(u16),
    /// Whoever looks after the records gets this status as things are; everybody else who may read it is refused.
    Keepers(u16),
    /// A socket: told apart by its close code.
    Socket,
}

const ROUTES: [(&str, &str, For); 40] = [
    ("GET", "/", For::Everybody(200)),
    ("GET", "/healthz", For::Everybody(200)),
    ("GET", "/readyz", For::Everybody(200)),
    ("GET", "/metrics", For::Everybody(200)),
    // No statement is set in the tests.
    ("GET", "/was", For::Everybody(404)),
    // In the demo alone, on loopback alone.
    ("GET", "/demo/mail", For::Everybody(200)),
    ("GET", "/demo/mail/{id}", For::Everybody(404)),
    // The secret is the right: whoever has it was written to.
    ("GET", "/mail/unsubscribe/{secret}", For::Everybody(404)),
    ("POST", "/mail/unsubscribe/{secret}", For::Everybody(404)),
    ("GET", "/auth/login", For::Everybody(303)),
    ("GET", "/auth/invite", For::Everybody(303)),
    ("GET", "/auth/callback", For::Everybody(303)),
    ("POST", "/auth/logout", For::Everybody(303)),
    ("POST", "/auth/backchannel-logout", For::Everybody(400)),
    ("GET", "/live/{document}", For::Socket),
    ("GET", "/api/openapi.json", For::Everybody(200)),
    ("GET", "/api/me", For::SignedIn),
    ("GET", "/api/overview", For::SignedIn),
    ("GET", "/api/agreements", For::SignedIn),
    ("GET", "/api/goals", For::SignedIn),
    ("GET", "/api/plan", For::SignedIn),
    ("GET", "/api/notifications", For::SignedIn),
    ("GET", "/api/notification-settings", For::SignedIn),
    ("GET", "/api/agreements/{id}", For::Readers),
    ("GET", "/api/documents/{id}", For::Readers),
    ("GET", "/api/documents/{id}/content", For::Readers),
    ("GET", "/api/documents/{id}/pdf", For::Readers),
    ("GET", "/api/documents/{id}/journal", For::Readers),
    ("POST", "/api/documents/{id}/journal/again", For::Keepers(409)),
    ("GET", "/api/documents/{id}/meetings", For::Readers),
    ("GET", "/api/documents/{id}/threads", For::Readers),
    ("GET", "/api/documents/{id}/mentionable", For::Commenters),
    ("GET", "/api/documents/{id}/versions", For::Readers),
    ("GET", "/api/documents/{id}/signoffs", For::Readers),
    ("GET", "/api/documents/{id}/changes", For::Readers),
    ("GET", "/api/documents/{id}/proposals", For::Readers),
    ("GET", "/api/documents/{id}/signing", For::Readers),
    ("GET", "/api/documents/{id}/signing/content", For::NotYet(404)),
    ("GET", "/api/documents/{id}/package", For::NotYet(409)),
    // Its first revision was imported without its text.
    ("GET", "/api/documents/{id}/revisions/{number}", For::NotYet(404)),
];

/// Routes that change something, with a body that makes sense.
const CHANGES: [(&str, &str, For); 20] = [
    // A file that is none is said to be none.
    ("POST", "/api/verifications", For::Everybody(200)),
    ("POST", "/api/documents/{id}/approvals", For::NotYet(409)),
    ("POST", "/api/documents/{id}/revisions/{number}/restored", For::NotYet(409)),
    ("POST", "/api/documents/{id}/proposals", For::Readers),
    ("POST", "/api/documents/{id}/threads/read", For::Readers),
    ("POST", "/api/documents/{id}/threads", For::Commenters),
    ("POST", "/api/threads/{id}/comments", For::Commenters),
    ("POST", "/api/threads/{id}/resolve", For::Commenters),
    ("POST", "/api/threads/{id}/reopen", For::Commenters),
    ("POST", "/api/threads/{id}/for-meeting", For::Commenters),
    ("POST", "/api/threads/{id}/proposal/claim", For::Commenters),
    ("POST", "/api/threads/{id}/proposal", For::Commenters),
    ("PATCH", "/api/comments/{id}", For::Commenters),
    ("DELETE", "/api/comments/{id}", For::Commenters),
    // Twice, so that what the one did is there for the next.
    ("POST", "/api/threads/{id}/comments", For::Commenters),
    // The two parties alone: whoever else may see the agreement is refused.
    ("POST", "/api/documents/{id}/freeze", For::Commenters),
    ("POST", "/api/documents/{id}/reopen", For::Commenters),
    ("POST", "/api/documents/{id}/new-version", For::Commenters),
    ("POST", "/api/notifications/read", For::SignedIn),
    ("PUT", "/api/notification-settings", For::SignedIn),
];

fn routes() -> impl Iterator<Item = (Method, &'static str, For)> {
    ROUTES.into_iter().chain(CHANGES).map(|(method, path, who)| (method.parse().unwrap(), path, who))
}

fn body(route: &str) -> Value {
    match route {
        "/api/notifications/read" => json!({ "up_to": Uuid::nil() }),
        "/api/documents/{id}/approvals" => json!({ "content_sha256": "0".repeat(64), "consent": "Ja.", "locale": "da" }),
        "/api/notification-settings" => json!({ "items": [{ "kind": "mention", "way": "digest" }] }),
        "/api/documents/{id}/freeze" | "/api/documents/{id}/new-version" => json!({}),
        "/api/documents/{id}/reopen" => json!({ "reason": "Forkert antal biler i rammen." }),
        "/api/documents/{id}/threads" => json!({ "id": Uuid::new_v4(), "about": { "kind": "document" }, "body": "Godt skrevet." }),
        "/api/documents/{id}/threads/read" => json!({ "up_to": {} }),
        "/api/threads/{id}/comments" => json!({ "id": Uuid::new_v4(), "body": "Enig.", "reopen": true }),
        "/api/threads/{id}/for-meeting" => json!({ "on": true }),
        "/api/threads/{id}/proposal" => json!({ "outcome": "declined" }),
        "/api/comments/{id}" => json!({ "body": "Helt enig." }),
        _ => json!({ "pieces": [{ "place": "rammer", "text": "Ordene, der ikke nåede med." }] }),
    }
}

/// Fjordskolen's agreement and its document.
struct Fjordskolen {
    agreement: Uuid,
    document: Uuid,
    thread: Uuid,
    comment: Uuid,
}

impl Fjordskolen {
    async fn find(server: &TestServer) -> Self {
        let mut leader = server.sign_in(people::LEADER).await;
        let document = leader.document_of("Fjordskolen").await;
        let head = leader.get(&format!("/api/documents/{document}")).await.json();
        let threads = leader.get(&format!("/api/documents/{document}/threads")).await.json();
        let id = |value: &Value| value.as_str().unwrap().parse().unwrap();
        let (thread, comment) = (id(&threads[0]["id"]), id(&threads[0]["comments"][0]["id"]));
        Self { agreement: id(&head["agreement_id"]), document, thread, comment }
    }

    fn path(&self, route: &str) -> String {
        let id = match route.split('/').nth(2) {
            Some("agreements") => self.agreement,
            Some("threads") => self.thread,
            Some("comments") => self.comment,
            _ => self.document,
        };
        route.replace("{id}", &id.to_string()).replace("{name}", "brev").replace("{number}", "1").replace("/invite", "/invite?code=x")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_nobody_gets_what_is_for_everybody_and_nothing_else() {
    let server = TestServer::start().await;
    let fjordskolen = Fjordskolen::find(&server).await;
    for (method, route, who) in routes() {
        let mut nobody = server.browser();
        let path = fjordskolen.path(route);
        match who {
            For::Everybody(status) => {
                let answer =
                    if method == Method::GET { nobody.get(&path).await } else { nobody.send_json(method.clone(), &path, &json!({})).await };
                assert_eq!(answer.status, status, "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
            }
            For::SignedIn | For::Readers | For::Commenters | For::NotYet(_) | For::Keepers(_) => {
                let answer = if method == Method::GET {
                    nobody.get(&path).await
                } else {
                    nobody.send_json(method.clone(), &path, &body(route)).await
                };
                assert_eq!((answer.status, answer.json()["type"].as_str()), (401, Some("/problems/signed-out")), "{method} {path}");
            }
            For::Socket => assert_eq!(nobody.open(fjordskolen.document).await.frame().await, Err(4401)),
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_for_the_wrong_person_it_does_not_exist() {
    let server = TestServer::start().await;
    let fjordskolen = Fjordskolen::find(&server).await;
    // A leader of another unit, a politician before anything is signed, the administrator, the leader who went on leave.
    for stranger in ["p-l-bibliotek", "p-fmd-boern", "p-admin", "p-l-oesterklit"] {
        let mut browser = server.sign_in(stranger).await;
        for (method, route, who) in routes() {
            let paths = [fjordskolen.path(route), route.replace("{id}", &Uuid::nil().to_string()), route.replace("{id}", "fjordskolen")];
            match who {
                For::Readers | For::Commenters | For::NotYet(_) | For::Keepers(_) => {
                    let mut answers = Vec::new();
                    for path in paths {
                        let answer = if method == Method::GET {
                            browser.get(&path).await
                        } else {
                            browser.send_json(method.clone(), &path, &body(route)).await
                        };
                        assert_eq!(answer.status, 404, "{stranger} {method} {path}");
                        let mut problem = answer.json();
                        problem.as_object_mut().unwrap().remove("request_id").expect("every problem has one");
                        answers.push(problem);
                    }
                    assert!(answers.iter().all(|answer| *answer == answers[0]), "{stranger} {method} {route}: {answers:?}");
                }
                For::Socket => {
                    for document in [fjordskolen.document, Uuid::nil()] {
                        assert_eq!(browser.open(document).await.frame().await, Err(4404), "{stranger}");
                    }
                }
                For::Everybody(_) | For::SignedIn => {}
            }
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_people_get_an_answer() {
    let server = TestServer::start().await;
    let fjordskolen = Fjordskolen::find(&server).await;
    // The two parties, one of the unit's people, the director above, the secretariat, the executive board, an invited board member.
    for reader in [people::LEADER, people::HEAD, "p-tr-fjord", "p-dir-bkl", "p-sekretariat", "p-kd", "p-sb-fjord"] {
        let mut browser = server.sign_in(reader).await;
        for (method, route, who) in routes() {
            let path = fjordskolen.path(route);
            match who {
                For::SignedIn | For::Readers => {
                    let answer = if method == Method::GET {
                        browser.get(&path).await
                    } else {
                        browser.send_json(method.clone(), &path, &body(route)).await
                    };
                    assert!((200..300).contains(&answer.status), "{reader} {method} {path}: {}", answer.status);
                    assert_eq!(answer.header("cache-control"), "no-store", "{method} {path}: answers are for one person");
                }
                For::Commenters => {
                    let answer = if method == Method::GET {
                        browser.get(&path).await
                    } else {
                        browser.send_json(method.clone(), &path, &body(route)).await
                    };
                    // The executive board reads how an agreement is talked over, and does not talk along.
                    let answered = if reader == "p-kd" { answer.status == 403 } else { answer.status != 401 && answer.status != 404 };
                    assert!(answered && answer.status < 500, "{reader} {method} {path}: {}", answer.status);
                }
                For::NotYet(status) => {
                    let answer = if method == Method::GET {
                        browser.get(&path).await
                    } else {
                        browser.send_json(method.clone(), &path, &body(route)).await
                    };
                    let party = [people::LEADER, people::HEAD].contains(&reader) || method == Method::GET;
                    assert_eq!(answer.status, if party { status } else { 403 }, "{reader} {method} {path}");
                }
                For::Keepers(status) => {
                    let answer = browser.send_json(method.clone(), &path, &body(route)).await;
                    let keeper = reader == "p-sekretariat";
                    assert_eq!(answer.status, if keeper { status } else { 403 }, "{reader} {method} {path}");
                }
                For::Socket => assert_eq!(browser.open(fjordskolen.document).await.frame().await.unwrap()[0], 100, "{reader}: hello"),
                For::Everybody(_) => {}
            }
        }
    }
    server.stop().await;
}

/// Every message that a socket can carry: all that SPEC S and P name, with words to add and words to take away, and every number that
/// a byte can name otherwise, ours from 100 upward among them.
fn messages(added: &[u8], removed: &[u8]) -> Vec<Bytes> {
    let unknown = (2..128).filter(|number| *number != 3).map(|number| Bytes::from(vec![number, 2, b'{', b'}']));
    let known = [
        frame::sync_step1(&[0]),
        frame::update(added),
        frame::sync_step2(removed),
        frame::awareness([(77, 1, r#"{"cursor":1}"#)].into_iter()),
        Bytes::from_static(&[3]),
    ];
    known.into_iter().chain(unknown).collect()
}

/// An update that adds words to the agreement and one that takes some away, by somebody who has it before them.
fn forbidden_words(reader: &Live) -> (Bytes, Bytes) {
    let section = reader.doc.get_or_insert_xml_fragment("section:rammer");
    let before = reader.doc.transact().state_vector();
    {
        let mut transaction = reader.doc.transact_mut();
        first_text(&section, &mut transaction).insert(&mut transaction, 0, "indsmuglet");
    }
    let added = reader.doc.transact().encode_diff_v1(&before);
    let removed = {
        let mut transaction = reader.doc.transact_mut();
        let text = first_text(&section, &mut transaction);
        text.remove_range(&mut transaction, 10, 1);
        transaction.encode_update_v1()
    };
    (added.into(), removed.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_f13_no_message_gets_a_stranger_or_a_reader_anything_or_changes_a_word() {
    let server = TestServer::start().await;
    let document = Fjordskolen::find(&server).await.document;
    let mut leader_browser = server.sign_in(people::LEADER).await;
    let before = leader_browser.content(document).await;
    let mut leader = Live::open(leader_browser.door(document)).await;
    let (added, removed) = forbidden_words(&Live::open(server.sign_in(people::TEACHER).await.door(document)).await);
    assert!(added.len() > 10 && removed.len() > 3, "there is something to smuggle");

    for stranger in [None, Some("p-l-bibliotek"), Some("p-fmd-boern"), Some("p-admin"), Some("p-l-oesterklit")] {
        let browser = match stranger {
            Some(person) => server.sign_in(person).await,
            None => server.browser(),
        };
        let mut live = Live::new(browser.door(document));
        live.connect().await.unwrap();
        for message in messages(&added, &removed) {
            live.send_frame(message).await;
        }
        assert_eq!(live.until_closed().await.0, if stranger.is_some() { 4404 } else { 4401 }, "{stranger:?}");
        let told = (live.hello.is_some(), live.heard, live.saved, live.presence.len(), live.abilities.len(), live.refused.len());
        assert_eq!(told, (false, 0, 0, 0, 0, 0), "{stranger:?} was told something");
    }
    // Who reads and comments, and who only reads.
    for reader in [people::TEACHER, "p-dir-bkl", "p-sekretariat", "p-kd"] {
        let mut live = Live::open(server.sign_in(reader).await.door(document)).await;
        assert!(!live.hello.as_ref().unwrap().abilities.edit, "{reader}");
        let heard = live.heard;
        for message in messages(&added, &removed) {
            live.send_frame(message).await;
        }
        live.until("each refused", |live| live.refused.len() >= 2 && live.heard > heard && live.settled()).await;
        assert!(live.refused.iter().all(|refused| refused.code == RefusalCode::ReadOnly), "{reader}: {:?}", live.refused);
        assert!(live.closed.is_none(), "{reader} reads on: {:?}", live.closed);
    }
    assert_eq!(leader_browser.content(document).await, before);
    // Presence of readers is shown; words of theirs were not.
    leader.until("a reader's caret", |leader| leader.presence.iter().any(|(client, _)| *client == 77)).await;
    assert_eq!(leader.content(), before);
    server.stop().await;
}

/// Every path that the source serves: `.route("…"` and the paths of described handlers. The demo provider is a server of its own.
fn paths_in_source(dir: &Path, paths: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths_in_source(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("demo_idp.rs")
            && !path.ends_with("tests.rs")
        {
            let source = std::fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for before in [".route(\"", "path = \""] {
                let found = source.split(before).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
                paths.extend(found.filter(|path| path.starts_with('/')));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_on_the_list() {
    let listed: BTreeSet<&str> = ROUTES.iter().chain(&CHANGES).map(|(_, path, _)| *path).collect();
    let mut in_source = BTreeSet::new();
    paths_in_source(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../server/src")), &mut in_source);
    assert!(in_source.len() > 20, "the source is where it was: {in_source:?}");
    for path in &in_source {
        assert!(listed.contains(path.as_str()), "{path} is on no list: who may not have it?");
    }
    let server = TestServer::start().await;
    let described = server.browser().get("/api/openapi.json").await.json();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            assert!(routes().any(|(m, p, _)| m == method.as_str() && p == path), "{method} {path} is on no list: who may not have it?");
        }
    }
    server.stop().await;
}
