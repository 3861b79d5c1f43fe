//! The demo provider's signing key: made at the first start and kept, so that a restart does not make its tokens worthless.

use std::{fmt, fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode,
    jwk::{Jwk, PublicKeyUse},
};
use p256::{
    SecretKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding},
};
use rand::TryRngCore as _;
use serde_json::{Map, Value};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A P-256 key that signs as ES256.
pub(super) struct Key {
    private: EncodingKey,
    public: Jwk,
    id: String,
}

/// Never shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Key {
    /// The key of this data directory; made if it has none yet.
    pub(super) fn kept_in(data_dir: &Path) -> Result<Self, Cause> {
        let file = data_dir.join("demo-provider.pem");
        let secret = if file.exists() { SecretKey::from_pkcs8_pem(&fs::read_to_string(&file)?)? } else { make(&file)? };
        let private = EncodingKey::from_ec_der(secret.to_pkcs8_der()?.as_bytes());
        let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256)?;
        let id = public.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { private, public, id })
    }

    /// What everybody may know of it.
    pub(super) fn public(&self) -> &Jwk {
        &self.public
    }

    /// These claims as a signed token of this type.
    pub(super) fn sign(&self, typ: &str, claims: &Value) -> String {
        let header = Header { typ: Some(typ.to_owned()), kid: Some(self.id.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.private).expect("a P-256 key signs any JSON object")
    }

    /// The session that a token of ours is about, however old it is.
    pub(super) fn sid_of(&self, token: &str, issuer: &str) -> Option<String> {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss"]);
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let claims: Map<String, Value> = decode(token, &DecodingKey::from_jwk(&self.public).ok()?, &validation).ok()?.claims;
        claims.get("sid")?.as_str().map(str::to_owned)
    }
}

fn make(file: &Path) -> Result<SecretKey, Cause> {
    let mut bytes = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes)?;
    // One in 2^32 numbers of this size is not a key; then the next start tries again.
    let secret = SecretKey::from_slice(&bytes)?;
    let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    made.write_all(secret.to_pkcs8_pem(LineEnding::LF)?.as_bytes())?;
    Ok(secret)
}
