//! The server's seal: a compact JWS (RFC 7515) with `EdDSA` over Ed25519 (RFC 8037). It says that this server bound these things together;
//! it is our seal on an authenticated act, not a qualified signature. Keys change; the old public ones are kept with what they sealed.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{canonical, sha256};

/// A key that seals. Its secret is never shown.
#[derive(Clone)]
pub struct SealKey(SigningKey);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SealKey({})", self.public().kid())
    }
}

/// The key that checks a seal, as a JWK (RFC 8037 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    kty: OctetKeyPair,
    crv: Ed25519,
    /// The key, base64url.
    x: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum OctetKeyPair {
    #[serde(rename = "OKP")]
    Okp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Ed25519 {
    #[serde(rename = "Ed25519")]
    Ed25519,
}

/// Why a key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS #8 PEM")]
pub struct NotAKey;

/// Why a seal does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Not a compact JWS in its one spelling.
    #[error("it is not a seal")]
    Malformed,
    /// Made with a key that is not among those given.
    #[error("its key {0} is not known")]
    UnknownKey(String),
    /// The signature is of something else.
    #[error("its signature is not of this content")]
    Signature,
}

impl SealKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// Reads a key as it is kept in a file.
    pub fn from_pem(pem: &str) -> Result<Self, NotAKey> {
        SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| NotAKey)
    }

    /// As it is kept in a file.
    ///
    /// # Panics
    ///
    /// Never: every such key has a PKCS #8 spelling.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("an Ed25519 key has a spelling").to_string()
    }

    /// The key that checks.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey { kty: OctetKeyPair::Okp, crv: Ed25519::Ed25519, x: BASE64_URL_SAFE_NO_PAD.encode(self.0.verifying_key().as_bytes()) }
    }

    /// Seals a payload of this kind: a compact JWS.
    #[must_use]
    pub fn seal(&self, kind: &str, payload: &Value) -> String {
        let signed = format!("{}.{}", encode(&header(kind, &self.public().kid())), encode(payload));
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// A bare Ed25519 signature.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

impl PublicKey {
    /// Its thumbprint (RFC 7638), which names it.
    #[must_use]
    pub fn kid(&self) -> String {
        let canonical = canonical::to_vec(&json!({ "crv": "Ed25519", "kty": "OKP", "x": self.x }));
        BASE64_URL_SAFE_NO_PAD.encode(sha256(&canonical))
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn bytes(&self) -> Option<[u8; 32]> {
        BASE64_URL_SAFE_NO_PAD.decode(&self.x).ok()?.try_into().ok()
    }

    /// Whether this key made that signature of these bytes.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let key = self.bytes().and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        let signature = Signature::from_slice(signature).ok();
        key.zip(signature).is_some_and(|(key, signature)| key.verify_strict(bytes, &signature).is_ok())
    }
}

fn header(kind: &str, key: &str) -> Value {
    json!({ "alg": "EdDSA", "kid": key, "typ": kind })
}

fn encode(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(canonical::to_vec(value))
}

/// The payload of a seal of this kind that one of these keys made, and which key it was.
pub fn open<'k>(seal: &str, kind: &str, keys: &'k [PublicKey]) -> Result<(Value, &'k PublicKey), Broken> {
    let parts: Vec<&str> = seal.split('.').collect();
    let [head, payload, signature] = parts[..] else { return Err(Broken::Malformed) };
    // Strict: base64 with other bits in its last letter is another spelling of the same bytes.
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Broken::Malformed);
    let parsed: Value = serde_json::from_slice(&decode(head)?).map_err(|_| Broken::Malformed)?;
    let named = parsed["kid"].as_str().ok_or(Broken::Malformed)?;
    if encode(&header(kind, named)) != head {
        return Err(Broken::Malformed);
    }
    let key = keys.iter().find(|key| key.kid() == named).ok_or_else(|| Broken::UnknownKey(named.to_owned()))?;
    if !key.verifies(&seal.as_bytes()[..head.len() + 1 + payload.len()], &decode(signature)?) {
        return Err(Broken::Signature);
    }
    Ok((serde_json::from_slice(&decode(payload)?).map_err(|_| Broken::Malformed)?, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SealKey {
        SealKey::from_seed([seed; 32])
    }

    /// RFC 8037, appendix A.3: the thumbprint of its example key.
    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        let example: PublicKey =
            serde_json::from_value(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})).unwrap();
        assert_eq!(example.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_survives_its_file() {
        let again = SealKey::from_pem(&key(1).to_pem()).unwrap();
        assert_eq!(again.public(), key(1).public());
        assert_eq!(SealKey::from_pem("nonsense").unwrap_err(), NotAKey);
    }

    #[test]
    fn a_seal_opens_with_its_key_and_kind_only() {
        let seal = key(1).seal("samspil-approval", &json!({"n": 1}));
        let keys = [key(2).public(), key(1).public()];
        assert_eq!(open(&seal, "samspil-approval", &keys).unwrap().0, json!({"n": 1}));
        assert_eq!(open(&seal, "samspil-manifest", &keys), Err(Broken::Malformed));
        assert!(matches!(open(&seal, "samspil-approval", &keys[..1]), Err(Broken::UnknownKey(_))));
    }

    #[test]
    fn every_byte_of_a_seal_counts() {
        let seal = key(1).seal("samspil-approval", &json!({"text": "Ordene står"}));
        let keys = [key(1).public()];
        for at in 0..seal.len() {
            for flip in [1u8, 2, 4, 8, 16, 32, 64, 128] {
                let mut bytes = seal.clone().into_bytes();
                bytes[at] ^= flip;
                let Ok(altered) = String::from_utf8(bytes) else { continue };
                assert!(open(&altered, "samspil-approval", &keys).is_err(), "byte {at} flipped by {flip}");
            }
        }
    }
}
