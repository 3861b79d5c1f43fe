//! Every setting, its default and its variable. `Settings` is what a person writes (flags, variables, files); `Config` is what
//! the server runs on, checked once, at start. Whatever is wrong is said at once, all of it: which setting, what, and an example.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::domain::claims::RoleMapping;
use crate::keys;
use crate::stop_points::StopAt;

mod limits;
#[cfg(test)]
mod tests;

pub use limits::Limits;

/// Settings as written: flags, or the variables named beside them.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Address and port to listen on.
    #[arg(long, env = "SAMSPIL_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: String,
    /// The address people write in the browser: scheme, host and port, no path. Default: `http://` and what is listened on.
    #[arg(long, env = "SAMSPIL_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// How many proxies of ours stand in front, each writing the address it saw at the right end of `X-Forwarded-For`.
    #[arg(long, env = "SAMSPIL_TRUSTED_HOPS", default_value_t = 0, value_name = "N")]
    pub trusted_hops: u8,
    /// Directory for what does not live in the database: notes of updates under way, and in the demo the database itself.
    #[arg(long, env = "SAMSPIL_DATA_DIR", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Database, as the role that the server runs as (`samspil_app`). `demo` starts a private one instead.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Database, as the role that owns the tables; used by `migrate` alone.
    #[arg(long, env = "SAMSPIL_OWNER_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub owner_database_url: Option<String>,
    /// Where `PostgreSQL`'s programs are, when neither `PATH` nor Debian's place has them.
    #[arg(long, env = "SAMSPIL_POSTGRESQL_BIN", value_name = "DIR")]
    pub postgresql_bin: Option<PathBuf>,
    /// The identity provider's issuer, exactly as its discovery document names it.
    #[arg(long, env = "SAMSPIL_OIDC_ISSUER", value_name = "URL")]
    pub oidc_issuer: Option<String>,
    /// Our client id at the issuer.
    #[arg(long, env = "SAMSPIL_OIDC_CLIENT_ID", value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// Our client secret at the issuer.
    #[arg(long, env = "SAMSPIL_OIDC_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub oidc_client_secret: Option<String>,
    /// File that holds the client secret.
    #[arg(long, env = "SAMSPIL_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Claim that only the issuer controls and that names a person of ours (an employee number): links everybody at first sign-in.
    #[arg(long, env = "SAMSPIL_OIDC_PERSON_CLAIM", value_name = "CLAIM")]
    pub oidc_person_claim: Option<String>,
    /// Claim that holds the roles; a dot steps into an object.
    #[arg(long, env = "SAMSPIL_OIDC_ROLE_CLAIM", default_value = "roles", value_name = "CLAIM")]
    pub oidc_role_claim: String,
    /// JSON file that maps the claim's values to role ids: `{"Aftale.Leder": ["unit_leader"]}`. Default: values are role ids.
    #[arg(long, env = "SAMSPIL_OIDC_ROLE_MAPPING_FILE", value_name = "FILE")]
    pub oidc_role_mapping_file: Option<PathBuf>,
    /// What the claim's values begin with; the mapping is written without it.
    #[arg(long, env = "SAMSPIL_OIDC_ROLE_PREFIX", value_name = "TEXT")]
    pub oidc_role_prefix: Option<String>,
    /// The municipality's CVR number; rights given under another one are another authority's.
    #[arg(long, env = "SAMSPIL_OIDC_CVR", value_name = "CVR")]
    pub oidc_cvr: Option<String>,
    /// Scopes to ask for beside `openid`, separated by commas; AD FS wants `allatclaims`.
    #[arg(long, env = "SAMSPIL_OIDC_SCOPES", value_delimiter = ',', default_value = "profile", value_name = "SCOPE")]
    pub oidc_scopes: Vec<String>,
    /// Levels of which a sign-in made for a signature must reach one, separated by commas: values of `acr`, or of `acrs` with `claims`.
    #[arg(long, env = "SAMSPIL_OIDC_STEP_UP_LEVELS", value_delimiter = ',', value_name = "LEVEL")]
    pub oidc_step_up_levels: Vec<String>,
    /// How the issuer is asked for such a level: `acr_values`, or `claims` for Entra's authentication contexts.
    #[arg(long, env = "SAMSPIL_OIDC_STEP_UP_REQUEST", default_value = "acr_values", value_name = "HOW")]
    pub oidc_step_up_request: AskedAs,
    /// Seconds by which the issuer's clock may differ from ours when somebody signs: a sign-in older than the button is not fresh.
    #[arg(long, env = "SAMSPIL_OIDC_STEP_UP_SKEW_S", default_value_t = 5, value_name = "SECONDS")]
    pub oidc_step_up_skew_s: u16,
    /// The key that seals: an Ed25519 private key in PEM; several, the newest first. Default: made at the first start in the data directory.
    #[arg(long, env = "SAMSPIL_SEAL_KEY", value_name = "PEM", hide_env_values = true)]
    pub seal_key: Option<String>,
    /// File that holds the key that seals.
    #[arg(long, env = "SAMSPIL_SEAL_KEY_FILE", value_name = "FILE")]
    pub seal_key_file: Option<PathBuf>,
    /// The key that identity tokens are kept under: 32 bytes in base64; several on lines of their own, the newest first. Default: made likewise.
    #[arg(long, env = "SAMSPIL_TOKEN_KEY", value_name = "BASE64", hide_env_values = true)]
    pub token_key: Option<String>,
    /// File that holds the key that identity tokens are kept under.
    #[arg(long, env = "SAMSPIL_TOKEN_KEY_FILE", value_name = "FILE")]
    pub token_key_file: Option<PathBuf>,
    /// Who may check a document on the page *Kontrollér dokument*.
    #[arg(long, env = "SAMSPIL_VERIFY_FOR", default_value = "everybody", value_name = "WHO")]
    pub verify_for: VerifyFor,
    /// Where the demo identity provider listens.
    #[arg(long, env = "SAMSPIL_DEMO_IDP_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT")]
    pub demo_idp_listen: String,
    /// Mail server: `smtps://user:password@host` or `smtp://host:587?tls=required`.
    #[arg(long, env = "SAMSPIL_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// File that holds the mail server's URL.
    #[arg(long, env = "SAMSPIL_SMTP_URL_FILE", value_name = "FILE")]
    pub smtp_url_file: Option<PathBuf>,
    /// Whom mail comes from: `Samspil <samspil@example.dk>`. Default: `samspil` at the public address.
    #[arg(long, env = "SAMSPIL_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,
    /// Seconds for which news is gathered before one mail tells of it.
    #[arg(long, env = "SAMSPIL_MAIL_GATHER_S", default_value_t = 600, value_name = "SECONDS")]
    pub mail_gather_s: u32,
    /// Whom to ask for time stamps (RFC 3161), separated by commas; two authorities are better than one.
    #[arg(long, env = "SAMSPIL_TIMESTAMP_URLS", value_delimiter = ',', value_name = "URL")]
    pub timestamp_urls: Vec<String>,
    /// PEM file with the certificates that those authorities' own must lead to.
    #[arg(long, env = "SAMSPIL_TIMESTAMP_CA_FILE", value_name = "FILE")]
    pub timestamp_ca_file: Option<PathBuf>,
    /// Folder from which the records system takes signed agreements: a PDF and a description of each.
    #[arg(long, env = "SAMSPIL_JOURNAL_DIR", value_name = "DIR")]
    pub journal_dir: Option<PathBuf>,
    /// The municipality's accessibility statement at was.digst.dk; `/was` leads there.
    #[arg(long, env = "SAMSPIL_WAS_URL", value_name = "URL")]
    pub was_url: Option<String>,
    /// What to log: a level, or `tracing` directives.
    #[arg(long, env = "SAMSPIL_LOG", default_value = "info", value_name = "LEVEL")]
    pub log: String,
    /// How log lines look.
    #[arg(long, env = "SAMSPIL_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Where the demo kills itself, for tests (see `stop_points`); `serve` refuses it.
    #[arg(long, env = "SAMSPIL_STOP_AT", value_name = "POINT", hide = true)]
    pub stop_at: Option<StopAt>,
    /// The limits.
    #[command(flatten)]
    pub limits: Limits,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// How a sign-in must be made anew for an approval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// The levels of which one must be reached; none: any sign-in that is fresh.
    pub levels: Vec<String>,
    /// How the provider is asked for them.
    pub asked: AskedAs,
}

/// How a provider is asked for a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AskedAs {
    /// As `acr_values`.
    #[default]
    #[value(name = "acr_values")]
    AcrValues,
    /// As the claim `acrs` in `claims`: Entra's authentication contexts.
    #[value(name = "claims")]
    Claims,
}

/// Who may check a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum VerifyFor {
    /// Whoever comes: what was signed is checked by those who got it.
    #[default]
    Everybody,
    /// Only people who have signed in.
    #[value(name = "signed_in")]
    SignedIn,
}

/// Settings that have been checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The origin people use; `None`: `http://` and what is listened on.
    pub public_url: Option<String>,
    /// How many proxies of ours stand in front.
    pub trusted_hops: u8,
    /// For what does not live in the database.
    pub data_dir: PathBuf,
    /// The database, as `samspil_app`.
    pub database_url: Secret,
    /// Who says who people are.
    pub provider: Provider,
    /// Where mail goes.
    pub mail: Mail,
    /// Whom it comes from; `None`: `samspil` at the public address.
    pub mail_from: Option<String>,
    /// Seconds for which news is gathered before one mail tells of it.
    pub mail_gather_s: u32,
    /// Whom to ask for time stamps.
    pub timestamps: Timestamps,
    /// Where the records system takes signed agreements from; `None`: there is none.
    pub journal_dir: Option<PathBuf>,
    /// The accessibility statement.
    pub was_url: Option<String>,
    /// How a sign-in is made anew for a signature.
    pub step_up: StepUp,
    /// By how many seconds the provider's clock may differ then.
    pub step_up_skew_s: u16,
    /// The key that seals; `None`: the one in the data directory.
    pub seal_key: Option<Secret>,
    /// The key that identity tokens are kept under; `None`: the one in the data directory.
    pub token_key: Option<Secret>,
    /// Who may check a document.
    pub verify_for: VerifyFor,
    /// What may come from outside.
    pub limits: Limits,
}

/// Whom to ask for time stamps.
#[derive(Clone, Debug, Default)]
pub struct Timestamps {
    /// Their addresses.
    pub urls: Vec<String>,
    /// The certificates that their own must lead to, in PEM form.
    pub certificates: String,
}

/// The identity provider.
#[derive(Clone, Debug)]
pub enum Provider {
    /// Our own demo provider, started beside the server on a loopback address.
    Demo {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// The municipality's.
    Oidc(Oidc),
}

/// The municipality's identity provider.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// Its issuer, matched exactly.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there.
    pub client_secret: Secret,
    /// Claim that names a person of ours.
    pub person_claim: Option<String>,
    /// What the token's roles mean here.
    pub roles: RoleMapping,
    /// Scopes to ask for beside `openid`.
    pub scopes: Vec<String>,
}

/// Where mail goes.
#[derive(Clone, Debug)]
pub enum Mail {
    /// To a mail server.
    Smtp(Secret),
    /// Into files of this directory, readable at `/demo/mail`.
    Files(PathBuf),
    /// Nowhere: none was configured.
    None,
}

/// Something that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for whoever must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The variable.
    pub setting: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// One that works.
    pub example: &'static str,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error(pub Vec<Wrong>);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, wrong) in self.0.iter().enumerate() {
            let line = if nth == 0 { "" } else { "\n" };
            write!(f, "{line}{}: {}\n    for example {}={}", wrong.setting, wrong.what, wrong.setting, wrong.example)?;
        }
        Ok(())
    }
}

impl Settings {
    /// Checks what `serve` runs on.
    pub fn check(&self) -> Result<Config, Error> {
        let mut check = Check::default();
        let database_url = check.required("DATABASE_URL", self.database_url.as_deref(), DATABASE_EXAMPLE);
        check.database_url("DATABASE_URL", database_url.as_deref());
        let oidc = self.oidc(&mut check);
        let smtp = check.secret(
            ("SAMSPIL_SMTP_URL", "SAMSPIL_SMTP_URL_FILE"),
            self.smtp_url.as_deref(),
            self.smtp_url_file.as_deref(),
            "smtps://samspil:secret@mail.example.dk",
        );
        let timestamps = self.timestamps(&mut check);
        let common = self.common(&mut check);
        let (Some((listen, public_url)), Some(database_url), Some(oidc)) = (common, database_url, oidc) else {
            return Err(Error(check.wrong));
        };
        if public_url.is_none() {
            check.add("SAMSPIL_PUBLIC_URL", "is not set; the server must know the address people write in the browser", PUBLIC_EXAMPLE);
        }
        let (seal_key, token_key) = self.keys(&mut check);
        if self.stop_at.is_some() {
            check.add("SAMSPIL_STOP_AT", "is set; it makes a demo kill itself, for tests, and has no place here: unset it", "");
        }
        check.finish(Config {
            listen,
            public_url,
            trusted_hops: self.trusted_hops,
            data_dir: self.data_dir.clone(),
            database_url: Secret::new(database_url),
            provider: Provider::Oidc(oidc),
            mail: smtp.map_or(Mail::None, Mail::Smtp),
            mail_from: self.mail_from.clone(),
            mail_gather_s: self.mail_gather_s,
            timestamps,
            journal_dir: self.journal_dir.clone(),
            was_url: self.was_url.clone(),
            step_up: StepUp {
                levels: self.oidc_step_up_levels.iter().filter(|level| !level.is_empty()).cloned().collect(),
                asked: self.oidc_step_up_request,
            },
            step_up_skew_s: self.oidc_step_up_skew_s,
            seal_key,
            token_key,
            verify_for: self.verify_for,
            limits: self.limits.clone(),
        })
    }

    /// Checks what `demo` runs on: everything local, and nothing that would be mistaken for the real thing.
    pub fn check_demo(&self, database_url: String) -> Result<Config, Error> {
        let mut check = Check::default();
        if self.oidc_issuer.is_some() {
            check.add("SAMSPIL_OIDC_ISSUER", "is set, but the demo has its own provider and its own clock; unset it", "");
        }
        let (seal_key, token_key) = self.keys(&mut check);
        if !self.timestamp_urls.is_empty() {
            check.add("SAMSPIL_TIMESTAMP_URLS", "is set, but the demo's clock is its own and no authority's; unset it", "");
        }
        let demo_idp = check.address("SAMSPIL_DEMO_IDP_LISTEN", &self.demo_idp_listen, "127.0.0.1:8081");
        let (Some((listen, public_url)), Some(demo_idp)) = (self.common(&mut check), demo_idp) else {
            return Err(Error(check.wrong));
        };
        for (setting, address, example) in
            [("SAMSPIL_LISTEN", listen, "127.0.0.1:8080"), ("SAMSPIL_DEMO_IDP_LISTEN", demo_idp, "127.0.0.1:8081")]
        {
            if !address.ip().is_loopback() {
                check.add(
                    setting,
                    "is not a loopback address; anybody can sign in as anybody in the demo, so it serves this machine alone",
                    example,
                );
            }
        }
        check.finish(Config {
            listen,
            public_url,
            trusted_hops: self.trusted_hops,
            data_dir: self.data_dir.clone(),
            database_url: Secret::new(database_url),
            provider: Provider::Demo { listen: demo_idp },
            mail: Mail::Files(self.data_dir.join("mail")),
            mail_from: self.mail_from.clone(),
            mail_gather_s: self.mail_gather_s,
            timestamps: Timestamps::default(),
            journal_dir: self.journal_dir.clone(),
            was_url: self.was_url.clone(),
            step_up: StepUp { levels: vec![DEMO_LEVEL.to_owned()], asked: AskedAs::AcrValues },
            step_up_skew_s: self.oidc_step_up_skew_s,
            seal_key,
            token_key,
            verify_for: self.verify_for,
            limits: self.limits.clone(),
        })
    }

    /// The owner's database, for `migrate`.
    pub fn check_owner(&self) -> Result<String, Error> {
        let mut check = Check::default();
        let example = "postgres://samspil_owner:secret@localhost/samspil";
        let url = check.required("SAMSPIL_OWNER_DATABASE_URL", self.owner_database_url.as_deref(), example);
        check.database_url("SAMSPIL_OWNER_DATABASE_URL", url.as_deref());
        check.finish(url.unwrap_or_default())
    }

    /// The database as the app, for commands that only read.
    pub fn check_database(&self) -> Result<String, Error> {
        let mut check = Check::default();
        let url = check.required("DATABASE_URL", self.database_url.as_deref(), DATABASE_EXAMPLE);
        check.database_url("DATABASE_URL", url.as_deref());
        check.finish(url.unwrap_or_default())
    }

    /// Where the keys are, for commands that check what was sealed.
    pub fn check_keys(&self) -> Result<keys::Places, Error> {
        let mut check = Check::default();
        let (seal, token) = self.keys(&mut check);
        check.finish(keys::Places { data_dir: self.data_dir.clone(), seal, token })
    }

    fn common(&self, check: &mut Check) -> Option<(SocketAddr, Option<String>)> {
        let listen = check.address("SAMSPIL_LISTEN", &self.listen, "127.0.0.1:8080");
        let public_url = self.public_url.as_deref().map(|url| check.origin("SAMSPIL_PUBLIC_URL", url, PUBLIC_EXAMPLE));
        if let Some(url) = self.was_url.as_deref().filter(|url| !url.starts_with("https://")) {
            check.add("SAMSPIL_WAS_URL", format!("{url:?} does not begin with https://"), "https://www.was.digst.dk/samspil-eksempel-dk");
        }
        if let Some(from) = self.mail_from.as_deref().filter(|from| from.parse::<lettre::message::Mailbox>().is_err()) {
            check.add("SAMSPIL_MAIL_FROM", format!("{from:?} is not an address"), "\"Samspil <samspil@example.dk>\"");
        }
        if std::fs::create_dir_all(&self.data_dir).is_err() {
            let what = format!("{} does not exist and cannot be made", self.data_dir.display());
            check.add("SAMSPIL_DATA_DIR", what, "/var/lib/samspil");
        }
        Some((listen?, public_url.flatten()))
    }

    /// The two keys that live outside of the database, where settings give them.
    fn keys(&self, check: &mut Check) -> (Option<Secret>, Option<Secret>) {
        let mut key =
            |names: (&'static str, &'static str), text: Option<&str>, file: Option<&Path>, example, wrong: fn(&str) -> Option<_>| {
                let key = check.secret(names, text, file, example);
                if let Some(expected) = key.as_ref().and_then(|key| wrong(key.reveal())) {
                    check.add(if file.is_some() { names.1 } else { names.0 }, format!("is not {expected}"), example);
                }
                key
            };
        let seal = key(
            ("SAMSPIL_SEAL_KEY", "SAMSPIL_SEAL_KEY_FILE"),
            self.seal_key.as_deref(),
            self.seal_key_file.as_deref(),
            "/etc/samspil/seal-key.pem",
            keys::wrong_seal_key,
        );
        let token = key(
            ("SAMSPIL_TOKEN_KEY", "SAMSPIL_TOKEN_KEY_FILE"),
            self.token_key.as_deref(),
            self.token_key_file.as_deref(),
            "/etc/samspil/token-key",
            keys::wrong_token_key,
        );
        (seal, token)
    }

    fn timestamps(&self, check: &mut Check) -> Timestamps {
        if self.timestamp_urls.is_empty() {
            return Timestamps::default();
        }
        for url in self.timestamp_urls.iter().filter(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
            check.add("SAMSPIL_TIMESTAMP_URLS", format!("{url:?} is not http(s)://"), "https://tsa.example.dk/tsr");
        }
        let example = "/etc/samspil/timestamp-ca.pem";
        let certificates = match self.timestamp_ca_file.as_deref().map(std::fs::read_to_string) {
            None => {
                check.add("SAMSPIL_TIMESTAMP_CA_FILE", "is not set; an authority that nobody vouches for proves nothing", example);
                String::new()
            }
            Some(Err(error)) => {
                check.add("SAMSPIL_TIMESTAMP_CA_FILE", format!("cannot be read: {error}"), example);
                String::new()
            }
            Some(Ok(pem)) => {
                if let Err(error) = samspil_evidence::timestamp::Authorities::from_pem(pem.as_bytes()) {
                    check.add("SAMSPIL_TIMESTAMP_CA_FILE", error.to_string(), example);
                }
                pem
            }
        };
        Timestamps { urls: self.timestamp_urls.clone(), certificates }
    }

    fn oidc(&self, check: &mut Check) -> Option<Oidc> {
        let issuer = check.required("SAMSPIL_OIDC_ISSUER", self.oidc_issuer.as_deref(), "https://login.example.dk/realms/kommune");
        if let Some(url) = issuer.as_deref().filter(|url| !url.starts_with("https://") && !is_loopback_url(url)) {
            check.add("SAMSPIL_OIDC_ISSUER", format!("{url:?} does not begin with https://"), "https://login.example.dk/realms/kommune");
        }
        let client_id = check.required("SAMSPIL_OIDC_CLIENT_ID", self.oidc_client_id.as_deref(), "samspil");
        let names = ("SAMSPIL_OIDC_CLIENT_SECRET", "SAMSPIL_OIDC_CLIENT_SECRET_FILE");
        let secret = check.secret(names, self.oidc_client_secret.as_deref(), self.oidc_client_secret_file.as_deref(), "8fK…");
        if secret.is_none() && check.fine(names.0) && check.fine(names.1) {
            check.add(names.1, "is not set, nor is SAMSPIL_OIDC_CLIENT_SECRET", "/etc/samspil/client-secret");
        }
        let roles = self.roles(check);
        Some(Oidc {
            issuer: issuer?,
            client_id: client_id?,
            client_secret: secret?,
            person_claim: self.oidc_person_claim.clone(),
            roles: roles?,
            scopes: self.oidc_scopes.iter().filter(|scope| !scope.is_empty()).cloned().collect(),
        })
    }

    fn roles(&self, check: &mut Check) -> Option<RoleMapping> {
        let claim = &self.oidc_role_claim;
        let mut roles = match self.oidc_role_mapping_file.as_deref() {
            Some(file) => check.role_mapping(claim, file)?,
            None => RoleMapping::own_names(claim),
        };
        if let Some(prefix) = &self.oidc_role_prefix {
            roles = roles.strip_prefix(prefix);
        }
        if let Some(cvr) = &self.oidc_cvr {
            roles = roles.for_cvr(cvr);
        }
        Some(roles)
    }
}

const DATABASE_EXAMPLE: &str = "postgres://samspil_app:secret@localhost/samspil";
/// The level at which signatures are asked for in the demo.
const DEMO_LEVEL: &str = "urn:samspil:demo:fresh";
const PUBLIC_EXAMPLE: &str = "https://samspil.example.dk";

/// Gathers what is wrong, so that a person sees all of it at once.
#[derive(Default)]
struct Check {
    wrong: Vec<Wrong>,
}

impl Check {
    fn add(&mut self, setting: &'static str, what: impl Into<String>, example: &'static str) {
        self.wrong.push(Wrong { setting, what: what.into(), example });
    }

    fn fine(&self, setting: &str) -> bool {
        self.wrong.iter().all(|wrong| wrong.setting != setting)
    }

    fn finish<T>(self, value: T) -> Result<T, Error> {
        if self.wrong.is_empty() { Ok(value) } else { Err(Error(self.wrong)) }
    }

    fn required(&mut self, setting: &'static str, value: Option<&str>, example: &'static str) -> Option<String> {
        let value = value.filter(|text| !text.trim().is_empty());
        if value.is_none() {
            self.add(setting, "is not set", example);
        }
        value.map(str::to_owned)
    }

    fn address(&mut self, setting: &'static str, text: &str, example: &'static str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.add(setting, format!("{text:?} is not an address and a port"), example);
        }
        address
    }

    /// An origin exactly as a browser writes it in `Origin`, so that comparing is comparing text.
    fn origin(&mut self, setting: &'static str, text: &str, example: &'static str) -> Option<String> {
        let origin = text.trim_end_matches('/').to_lowercase();
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if !host.is_some_and(|host| !host.is_empty() && host.is_ascii() && !host.contains(['/', '?', '#', '@', ' '])) {
            self.add(setting, format!("{text:?} is not http(s)://, a host and perhaps a port, without a path"), example);
            return None;
        }
        if origin.starts_with("http://") && !is_loopback_url(&origin) {
            self.add(setting, format!("{text:?} is not https, and sign-in works over https alone"), example);
            return None;
        }
        Some(origin)
    }

    fn database_url(&mut self, setting: &'static str, url: Option<&str>) {
        // The URL is not shown: it may hold a password.
        if url.is_some_and(|url| url.parse::<sqlx::postgres::PgConnectOptions>().is_err()) {
            self.add(setting, "is not a PostgreSQL URL", DATABASE_EXAMPLE);
        }
    }

    fn secret(
        &mut self,
        (setting, file_setting): (&'static str, &'static str),
        value: Option<&str>,
        file: Option<&Path>,
        example: &'static str,
    ) -> Option<Secret> {
        let value = value.filter(|text| !text.is_empty());
        match (value, file) {
            (Some(_), Some(_)) => {
                self.add(setting, format!("is set, and so is {file_setting}; one of them is enough"), example);
                None
            }
            (Some(text), None) => Some(Secret::new(text)),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) if !text.trim().is_empty() => Some(Secret::new(text.trim())),
                Ok(_) => {
                    self.add(file_setting, format!("{} is empty", path.display()), "/etc/samspil/secret");
                    None
                }
                Err(error) => {
                    self.add(file_setting, format!("{} cannot be read: {error}", path.display()), "/etc/samspil/secret");
                    None
                }
            },
            (None, None) => None,
        }
    }

    fn role_mapping(&mut self, claim: &str, path: &Path) -> Option<RoleMapping> {
        let setting = "SAMSPIL_OIDC_ROLE_MAPPING_FILE";
        let read = std::fs::read(path).map_err(|error| error.to_string());
        let values = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        let values = values.map(|values: BTreeMap<String, Vec<String>>| RoleMapping::new(claim, values).map_err(|error| error.to_string()));
        match values.flatten() {
            Ok(mapping) => Some(mapping),
            Err(error) => {
                let what = format!("{} is not a JSON object of lists of role ids: {error}", path.display());
                self.add(setting, what, "/etc/samspil/roles.json, holding {\"Aftale.Leder\": [\"unit_leader\"]}");
                None
            }
        }
    }
}

/// Whether this URL leads to this machine, where plain http reveals nothing to anybody.
fn is_loopback_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
