//! The two keys that live outside of the database (design §2): the one that seals, and the one that identity tokens are kept under. Each
//! is a setting, or a file in the data directory that is made at the first start. They belong in the backup.
//!
//! A setting or file may hold several keys: the first is used, the others are older ones that still count. So a key is changed by
//! putting a new one on top. A start with keys that do not fit what the database holds is refused: it would seal what nobody could
//! follow, and could not read what was sealed.

use std::{
    fmt, fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use rand::TryRngCore as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use samspil_evidence::{seal::SealKey, sha256};

use crate::{
    config::Secret,
    store::{self, Store, checkpoints},
};

/// Its file in the data directory.
const SEAL_FILE: &str = "seal-key.pem";
/// Its file in the data directory.
const TOKEN_FILE: &str = "token-key";
/// What a PEM block of a private key ends with.
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// So many bytes of a token key's hash name it.
const NAME_BYTES: usize = 8;

/// Where the keys are.
#[derive(Clone, Debug)]
pub struct Places {
    /// Where keys are made and found that no setting gives.
    pub data_dir: PathBuf,
    /// `SAMSPIL_SEAL_KEY`: Ed25519 private keys in PEM, the newest first.
    pub seal: Option<Secret>,
    /// `SAMSPIL_TOKEN_KEY`: 32 bytes in base64 on each line, the newest first.
    pub token: Option<Secret>,
}

impl Places {
    /// Where each key comes from, in words, before anything starts; an error where what is there is no key.
    pub fn told(&self) -> Result<[String; 2], Error> {
        let told = |setting, name, file: &str, wrong: fn(&str) -> Option<&'static str>| {
            let (what, text) = found(setting, name, &self.data_dir.join(file))?;
            match text {
                None => Ok(format!("{what} is made at the first start, unless {name} is set; it belongs in the backup")),
                Some(text) => match wrong(&text) {
                    Some(expected) => Err(Error::NotAKey { what, expected }),
                    None => Ok(format!("{what} is read; it belongs in the backup")),
                },
            }
        };
        Ok([
            told(self.seal.as_ref(), "SAMSPIL_SEAL_KEY", SEAL_FILE, wrong_seal_key)?,
            told(self.token.as_ref(), "SAMSPIL_TOKEN_KEY", TOKEN_FILE, wrong_token_key)?,
        ])
    }
}

/// The keys.
#[derive(Debug)]
pub struct Keys {
    seal: SealKey,
    token: TokenKeys,
}

/// Why the server does not start with these keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is there is no key.
    #[error("{what} is not {expected}")]
    NotAKey {
        /// Which setting or file.
        what: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The key file cannot be read or made.
    #[error("the key file {} cannot be read or made", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another key sealed last.
    #[error(
        "the newest seal was made with the key {newest}, and SAMSPIL_SEAL_KEY (or {SEAL_FILE} in the data directory) does not hold it; \
         bring the key back from the backup, or, if it was changed on purpose, put the old key below the new one for this start"
    )]
    OtherSealKey {
        /// The thumbprint of the key that sealed last.
        newest: String,
    },
    /// Tokens are kept under another key.
    #[error(
        "the identity tokens in the database are kept under another key than SAMSPIL_TOKEN_KEY (or {TOKEN_FILE} in the data directory) \
         holds; bring the key back from the backup, or put the old key on a line below the new one"
    )]
    OtherTokenKey,
    /// The database failed.
    #[error("the database cannot say which key sealed last")]
    Store(#[from] store::Error),
}

const SEAL_EXPECTED: &str = "an Ed25519 private key in PEM; make one with `openssl genpkey -algorithm ed25519`";
const TOKEN_EXPECTED: &str = "32 bytes in base64; make them with `openssl rand -base64 32`";

impl Keys {
    /// The keys of this server: read, or made at the first start, and compared with what the database holds. A key that seals for the
    /// first time is put on record.
    pub async fn open(places: &Places, store: &Store, now: DateTime<Utc>) -> Result<Self, Error> {
        let newest = store.newest_seal_key().await?;
        let file = places.data_dir.join(SEAL_FILE);
        let (what, text) = found(places.seal.as_ref(), "SAMSPIL_SEAL_KEY", &file)?;
        let seals = match (text, &newest) {
            (Some(text), _) => seal_keys(&text).ok_or(Error::NotAKey { what, expected: SEAL_EXPECTED })?,
            (None, Some(newest)) => return Err(Error::OtherSealKey { newest: newest.clone() }),
            (None, None) => {
                let key = SealKey::from_seed(random());
                keep(&file, &key.to_pem())?;
                vec![key]
            }
        };
        if let Some(newest) = newest.filter(|newest| seals.iter().all(|key| key.public().kid() != *newest)) {
            return Err(Error::OtherSealKey { newest });
        }
        let token = Self::open_token(places, store).await?;
        let Some(seal) = seals.first().cloned() else {
            return Err(Error::NotAKey { what: file.display().to_string(), expected: SEAL_EXPECTED });
        };
        let mut transaction = store.begin().await?;
        checkpoints::take_into_use(&mut transaction, &seal.public(), now).await?;
        transaction.commit().await.map_err(store::Error::from)?;
        Ok(Self { seal, token })
    }

    async fn open_token(places: &Places, store: &Store) -> Result<TokenKeys, Error> {
        let kept = store.newest_kept_token().await?;
        let file = places.data_dir.join(TOKEN_FILE);
        let (what, text) = found(places.token.as_ref(), "SAMSPIL_TOKEN_KEY", &file)?;
        let token = match (text, &kept) {
            (Some(text), _) => TokenKeys::read(&text).ok_or(Error::NotAKey { what, expected: TOKEN_EXPECTED })?,
            (None, Some(_)) => return Err(Error::OtherTokenKey),
            (None, None) => {
                let text = BASE64_STANDARD.encode(random::<32>());
                keep(&file, &format!("{text}\n"))?;
                TokenKeys::read(&text).ok_or(Error::NotAKey { what, expected: TOKEN_EXPECTED })?
            }
        };
        match kept {
            Some((about, sealed)) if token.open(&sealed, &about).is_none() => Err(Error::OtherTokenKey),
            _ => Ok(token),
        }
    }

    /// The key that seals.
    #[must_use]
    pub fn seal(&self) -> &SealKey {
        &self.seal
    }

    /// The keys that tokens are kept under.
    #[must_use]
    pub fn token(&self) -> &TokenKeys {
        &self.token
    }
}

/// What is wrong with keys that a setting gives, before anything starts.
#[must_use]
pub fn wrong_seal_key(text: &str) -> Option<&'static str> {
    seal_keys(text).is_none().then_some(SEAL_EXPECTED)
}

/// The same for what tokens are kept under.
#[must_use]
pub fn wrong_token_key(text: &str) -> Option<&'static str> {
    TokenKeys::read(text).is_none().then_some(TOKEN_EXPECTED)
}

/// Keys that something is kept under: what was kept under an older one is still read.
pub struct TokenKeys(Vec<([u8; NAME_BYTES], LessSafeKey)>);

/// Never shown.
impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| hex::encode(name))).finish()
    }
}

impl TokenKeys {
    /// One key on each line, the newest first.
    fn read(text: &str) -> Option<Self> {
        let one = |line: &str| {
            let bytes: [u8; 32] = BASE64_STANDARD.decode(line.trim()).ok()?.try_into().ok()?;
            let name = sha256(&bytes)[..NAME_BYTES].try_into().ok()?;
            Some((name, LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?)))
        };
        let keys: Option<Vec<_>> = text.lines().filter(|line| !line.trim().is_empty()).map(one).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    /// Closes up something that belongs to `about` and nowhere else: the key's name, a nonce, AES-256-GCM.
    ///
    /// # Panics
    ///
    /// Never: there is a key, and a token is small.
    #[must_use]
    pub fn close(&self, secret: &[u8], about: &[u8]) -> Vec<u8> {
        let (name, key) = self.0.first().expect("keys are read only where there is one");
        let nonce: [u8; NONCE_LEN] = random();
        let mut closed = secret.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about), &mut closed).expect("it is far below 64 GiB");
        [&name[..], &nonce, &closed].concat()
    }

    /// Opens it again; `None` if it was altered, belongs elsewhere, or was kept under a key that is not here.
    #[must_use]
    pub fn open(&self, closed: &[u8], about: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = closed.split_at_checked(NAME_BYTES)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let (_, key) = self.0.iter().find(|(known, _)| known == name)?;
        let mut secret = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = key.open_in_place(nonce, Aad::from(about), &mut secret).ok()?.len();
        secret.truncate(length);
        Some(secret)
    }
}

/// Private keys in PEM, one after another.
fn seal_keys(text: &str) -> Option<Vec<SealKey>> {
    let blocks = text.split_inclusive(PEM_END).filter(|block| !block.trim().is_empty());
    let keys: Result<Vec<_>, _> = blocks.map(|block| SealKey::from_pem(block.trim())).collect();
    keys.ok().filter(|keys| !keys.is_empty())
}

/// What the setting gives, else the file; and which of them it was.
fn found(setting: Option<&Secret>, name: &str, file: &Path) -> Result<(String, Option<String>), Error> {
    if let Some(secret) = setting {
        return Ok((name.to_owned(), Some(secret.reveal().to_owned())));
    }
    match fs::read_to_string(file) {
        Ok(text) => Ok((file.display().to_string(), Some(text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((file.display().to_string(), None)),
        Err(source) => Err(Error::File { file: file.to_owned(), source }),
    }
}

/// Keeps a new key where nobody else reads it. Never writes over one.
fn keep(file: &Path, text: &str) -> Result<(), Error> {
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).and_then(|mut made| {
        made.write_all(text.as_bytes())?;
        made.sync_all()
    });
    written.map_err(|source| Error::File { file: file.to_owned(), source })?;
    tracing::info!(file = %file.display(), "a key was made; it belongs in the backup");
    Ok(())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).expect("the operating system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;

    #[sqlx::test(migrations = "../migrations")]
    async fn a_start_with_wrong_or_unreadable_or_other_keys_is_refused_in_words(_: PgPoolOptions, options: PgConnectOptions) {
        let store = Store::as_app(options).await;
        let data_dir = std::env::temp_dir().join(format!("samspil-keys-tests-{}", std::process::id()));
        let _ = fs::remove_dir_all(&data_dir);
        fs::create_dir_all(&data_dir).unwrap();
        let places = Places { data_dir: data_dir.clone(), seal: None, token: None };
        let file = data_dir.join(SEAL_FILE);
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let refused = async || Keys::open(&places, &store, now).await.unwrap_err().to_string();

        assert!(places.told().unwrap().iter().all(|key| key.contains("is made at the first start")));
        // Not even root reads a directory as a file.
        fs::create_dir(&file).unwrap();
        let said = format!("the key file {} cannot be read or made", file.display());
        assert_eq!((refused().await, places.told().unwrap_err().to_string()), (said.clone(), said));
        fs::remove_dir(&file).unwrap();
        fs::write(&file, "nøgle").unwrap();
        let said = format!("{} is not {SEAL_EXPECTED}", file.display());
        assert_eq!((refused().await, places.told().unwrap_err().to_string()), (said.clone(), said));
        assert_eq!(fs::read_to_string(&file).unwrap(), "nøgle", "nothing is written over");
        fs::remove_file(&file).unwrap();

        let first = Keys::open(&places, &store, now).await.unwrap().seal().public().kid();
        assert!(places.told().unwrap().iter().all(|key| key.contains("is read")));
        let old = fs::read_to_string(&file).unwrap();
        let new = SealKey::from_seed([7; 32]);
        // Gone, or another one: it says which key is wanted and what to do.
        fs::remove_file(&file).unwrap();
        assert!(refused().await.contains(&format!("made with the key {first}, and SAMSPIL_SEAL_KEY")));
        fs::write(&file, new.to_pem()).unwrap();
        assert!(refused().await.contains("put the old key below the new one"));
        // Changed as it is to be changed: from now on the new one seals, and then it is the one that is wanted.
        fs::write(&file, format!("{}{old}", new.to_pem())).unwrap();
        assert_eq!(Keys::open(&places, &store, now).await.unwrap().seal().public().kid(), new.public().kid());
        fs::write(&file, &old).unwrap();
        assert!(refused().await.contains(&new.public().kid()));
        fs::remove_dir_all(&data_dir).unwrap();
    }

    fn token_keys(numbers: &[u8]) -> TokenKeys {
        let lines: Vec<String> = numbers.iter().map(|number| BASE64_STANDARD.encode([*number; 32])).collect();
        TokenKeys::read(&lines.join("\n")).unwrap()
    }

    #[test]
    fn what_is_closed_opens_with_its_key_where_it_belongs_and_unaltered() {
        let closed = token_keys(&[1]).close(b"token", b"statement");
        assert_eq!(token_keys(&[1]).open(&closed, b"statement").as_deref(), Some(&b"token"[..]));
        assert_eq!(token_keys(&[2, 1]).open(&closed, b"statement").as_deref(), Some(&b"token"[..]), "an older key still counts");
        assert_eq!(token_keys(&[2]).open(&closed, b"statement"), None, "another key");
        assert_eq!(token_keys(&[1]).open(&closed, b"other"), None, "another place");
        for at in 0..closed.len() {
            let mut altered = closed.clone();
            altered[at] ^= 1;
            assert_eq!(token_keys(&[1]).open(&altered, b"statement"), None, "byte {at}");
            assert_eq!(token_keys(&[1]).open(&closed[..at], b"statement"), None, "cut at {at}");
        }
        assert_ne!(closed, token_keys(&[1]).close(b"token", b"statement"), "the same is never closed up alike");
    }

    #[test]
    fn a_setting_holds_one_key_or_several() {
        let [one, other] = [1, 2].map(|number| SealKey::from_seed([number; 32]));
        let both = format!("{}{}\n", one.to_pem(), other.to_pem());
        let kids: Vec<String> = seal_keys(&both).unwrap().iter().map(|key| key.public().kid()).collect();
        assert_eq!(kids, [one.public().kid(), other.public().kid()]);
        for wrong in ["", " \n", "nøgle", &both[..200]] {
            assert_eq!(wrong_seal_key(wrong), Some(SEAL_EXPECTED), "{wrong:?}");
        }
        for wrong in ["", "kort", &BASE64_STANDARD.encode([1; 31])] {
            assert_eq!(wrong_token_key(wrong), Some(TOKEN_EXPECTED), "{wrong:?}");
        }
    }
}
