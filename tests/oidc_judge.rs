//! Signing in and out through a provider that others wrote and the OpenID Foundation certified (`judges/oidc`).

use std::{collections::BTreeMap, process::Stdio};

use openidconnect::{
    reqwest::{self, Method, StatusCode},
    url::Url,
};
use samspil_server::{
    app::{App, Running},
    clock::Clock,
    config::{Config, Limits, Mail, Oidc, Provider, Secret, StepUp, Timestamps, VerifyFor},
    domain::{claims::RoleMapping, ids::imported},
};
use sqlx::{
    ConnectOptions as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// The provider, as a process of its own; it ends with this value.
struct Judge {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    issuer: String,
}

impl Judge {
    async fn start() -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/judges/oidc/provider.mjs");
        let mut process = Command::new("node")
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node is needed for the outside judge");
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut judge = Self { process, said, issuer: String::new() };
        judge.issuer = judge.hear("issuer ").await;
        judge
    }

    async fn register(&mut self, server: &str) {
        let client = serde_json::json!({
            "client_id": "samspil", "client_secret": "known-to-both", "redirect_uris": [format!("{server}/auth/callback")],
            "post_logout_redirect_uris": [format!("{server}/")], "backchannel_logout_uri": format!("{server}/auth/backchannel-logout"),
            "backchannel_logout_session_required": true,
        });
        let stdin = self.process.stdin.as_mut().unwrap();
        stdin.write_all(format!("{client}\n").as_bytes()).await.unwrap();
        self.hear("ready").await;
    }

    async fn hear(&mut self, word: &str) -> String {
        let line = self.said.next_line().await.unwrap().expect("`npm ci` in tests/judges/oidc has been run");
        line.strip_prefix(word).unwrap_or_else(|| panic!("{line}")).to_owned()
    }
}

/// The whole server, with the judge as the municipality's identity provider.
async fn serve(judge: &Judge, database: &PgConnectOptions, data_dir: &std::path::Path) -> Running {
    let values = [("Leder".to_owned(), vec!["unit_leader".to_owned()])];
    let provider = Oidc {
        issuer: judge.issuer.clone(),
        client_id: "samspil".to_owned(),
        client_secret: Secret::new("known-to-both"),
        person_claim: Some("employee".to_owned()),
        roles: RoleMapping::new("roles", values).unwrap(),
        scopes: Vec::new(),
    };
    let as_app = database.clone().options([("role", "samspil_app")]);
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        trusted_hops: 0,
        data_dir: data_dir.to_owned(),
        database_url: Secret::new(as_app.to_url_lossy()),
        provider: Provider::Oidc(provider),
        mail: Mail::None,
        mail_from: None,
        mail_gather_s: 600,
        timestamps: Timestamps::default(),
        journal_dir: None,
        was_url: None,
        step_up: StepUp::default(),
        step_up_skew_s: 5,
        seal_key: None,
        token_key: None,
        verify_for: VerifyFor::Everybody,
        limits: Limits::default(),
    };
    App::start(config, Clock::machine()).await.unwrap()
}

async fn one_leader(pool: &PgPool) {
    let (person, unit) = (imported("p-leader"), imported("fjordskolen"));
    let insert = async |row: &'static str| {
        sqlx::query(row).bind(person).bind(unit).execute(pool).await.unwrap();
    };
    insert(
        "WITH unit AS (INSERT INTO org_node (id, slug, kind, name) VALUES ($2, 'fjordskolen', 'agreement_unit', 'Fjordskolen'))
         INSERT INTO person (id, slug, given_name, family_name, display_name, title)
         VALUES ($1, 'p-leader', 'Hanne', 'Påfundsen', 'Hanne Påfundsen', 'Skoleleder')",
    )
    .await;
    insert("INSERT INTO person_role (id, person_id, role, org_id) VALUES ($1, $1, 'unit_leader', $2)").await;
}

/// Keeps cookies as a browser does on one host: by name, whatever the port.
#[derive(Clone)]
struct Browser {
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

struct Page {
    url: Url,
    status: StatusCode,
    body: String,
}

impl Browser {
    fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { client, cookies: BTreeMap::new() }
    }

    /// Follows redirects until a page comes.
    async fn go(&mut self, mut method: Method, url: &str, form: &str) -> Page {
        let mut url = Url::parse(url).unwrap();
        let mut form = form.to_owned();
        loop {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = self.client.request(method, url.clone()).header("cookie", cookies.join("; "));
            let request = request.header("origin", url.origin().ascii_serialization());
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
            let answer = request.send().await.unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                let cookie = cookie.to_str().unwrap();
                let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
                match value {
                    "" => _ = self.cookies.remove(name),
                    value => _ = self.cookies.insert(name.to_owned(), value.to_owned()),
                }
            }
            let Some(next) = answer.headers().get("location").filter(|_| answer.status().is_redirection()) else {
                return Page { status: answer.status(), url, body: answer.text().await.unwrap() };
            };
            url = url.join(next.to_str().unwrap()).unwrap();
            (method, form) = (Method::GET, String::new());
        }
    }

    async fn get(&mut self, url: &str) -> Page {
        self.go(Method::GET, url, "").await
    }

    /// Fills in the one form on the judge's page.
    async fn fill_in(&mut self, page: &Page, more: &str) -> Page {
        let action = between(&page.body, "action=\"", "\"").unwrap_or_else(|| panic!("no form on {}: {}", page.url, page.body));
        let mut fields = vec![more.to_owned()];
        for input in page.body.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\"")) {
            let value = |name: &str| between(input, &format!("{name}=\""), "\"").unwrap_or_default();
            fields.push(format!("{}={}", value("name"), value("value")));
        }
        let url = page.url.join(&action).unwrap();
        self.go(Method::POST, url.as_str(), &fields.join("&")).await
    }

    /// Signs in as this person on the judge's own pages.
    async fn sign_in(&mut self, server: &str, person: &str) -> Page {
        let page = self.get(&format!("{server}/auth/login?return_to=/api/me")).await;
        let consent = self.fill_in(&page, &format!("login={person}&password=x")).await;
        self.fill_in(&consent, "").await
    }
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    Some(text.split_once(before)?.1.split_once(after)?.0.to_owned())
}

#[sqlx::test(migrations = "../migrations")]
async fn a_certified_provider_signs_people_in_and_out(pool: PgPoolOptions, database: PgConnectOptions) {
    one_leader(&pool.connect_with(database.clone()).await.unwrap()).await;
    let data_dir = std::env::temp_dir().join(format!("samspil-judge-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&data_dir).unwrap();
    let mut judge = Judge::start().await;
    let running = serve(&judge, &database, &data_dir).await;
    let server = running.public_url().to_owned();
    judge.register(&server).await;

    let mut stranger = Browser::new();
    let refused = stranger.sign_in(&server, "p-stranger").await;
    assert_eq!((refused.url.path(), refused.url.query()), ("/login-problem", Some("code=not_linked")), "{}", refused.body);

    let mut browser = Browser::new();
    let me = browser.sign_in(&server, "p-leader").await;
    assert_eq!((me.url.path(), me.status), ("/api/me", StatusCode::OK), "{}", me.body);
    let body: serde_json::Value = serde_json::from_str(&me.body).unwrap();
    assert_eq!((&body["person"]["name"], &body["roles"][0]), (&"Hanne Påfundsen".into(), &"unit_leader".into()));

    // Signing out here leads by way of the provider, and the provider's session is over afterwards.
    let mut replay = browser.clone();
    let ask = browser.go(Method::POST, &format!("{server}/auth/logout"), "").await;
    assert_eq!(ask.url.path(), "/session/end");
    assert_eq!(replay.get(&format!("{server}/api/me")).await.status, StatusCode::UNAUTHORIZED);
    let home = browser.fill_in(&ask, "logout=yes").await;
    assert_eq!(home.url.as_str(), format!("{server}/"));
    let page = browser.get(&format!("{server}/auth/login")).await;
    assert!(page.url.path().starts_with("/interaction/"), "the provider asks again: {}", page.url);

    // Signing out at the provider ends it here, without the browser's help.
    let mut elsewhere = Browser::new();
    assert_eq!(elsewhere.sign_in(&server, "p-leader").await.status, StatusCode::OK);
    let ask = elsewhere.get(&format!("{}/session/end", judge.issuer)).await;
    elsewhere.fill_in(&ask, "logout=yes").await;
    assert_eq!(elsewhere.get(&format!("{server}/api/me")).await.status, StatusCode::UNAUTHORIZED);

    running.stop().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}
