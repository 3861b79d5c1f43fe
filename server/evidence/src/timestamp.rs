//! What an outside authority says of time (RFC 3161): that a checkpoint was there at a moment. The request, and the check of the answer.
//!
//! The answer is kept as it came, so that anybody can check it with other programs too (`openssl ts -verify`). It proves something as far
//! as one trusts the authority's certificate, which is a setting, never what the answer itself brings along.

use chrono::{DateTime, Utc};
use cms::{
    cert::CertificateChoices,
    signed_data::{SignedData, SignerIdentifier, SignerInfo},
};
use der::{
    Any, Decode, Encode, Sequence,
    asn1::{Int, ObjectIdentifier, OctetString},
};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime, pem::PemObject as _};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};
use x509_cert::{Certificate, spki::AlgorithmIdentifier};
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion, TstInfo};

use crate::Hash;

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// `id-kp-timeStamping`, 1.3.6.1.5.5.7.3.8: what the authority's certificate must be for.
const FOR_TIME_STAMPS: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// The signatures that are known: what authorities use today.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 10] = [
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Whom we trust about time: certificates that an authority's own certificate must lead to.
#[derive(Clone, Debug)]
pub struct Authorities(Vec<TrustAnchor<'static>>);

/// That something was there at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When, by the authority's clock.
    pub at: DateTime<Utc>,
    /// The subject of the authority's certificate.
    pub authority: String,
    /// The number that went out with the request and came back.
    nonce: Option<Vec<u8>>,
}

/// Why an answer is no time stamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Not an answer of RFC 3161.
    #[error("it is not a time stamp")]
    Malformed,
    /// The authority did not give one.
    #[error("the authority refused: status {0}")]
    Refused(u8),
    /// It is about other bytes.
    #[error("it is about something else")]
    OtherHash,
    /// It answers another question.
    #[error("it is the answer to another question")]
    OtherNonce,
    /// Its signature does not hold.
    #[error("its signature does not hold")]
    Signature,
    /// Nobody we trust stands behind its certificate.
    #[error("its certificate leads to nobody that is trusted")]
    Unknown,
    /// The certificate was not valid at the moment it says.
    #[error("its certificate was not valid at that moment")]
    Expired,
    /// The certificate is not for time stamps.
    #[error("its certificate is not for time stamps")]
    OtherPurpose,
}

impl From<der::Error> for Broken {
    fn from(_: der::Error) -> Self {
        Broken::Malformed
    }
}

/// Why a file names nobody to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds no certificate in PEM form, or one that cannot be read")]
pub struct NoCertificate;

impl Authorities {
    /// From certificates in PEM form.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NoCertificate> {
        let anchors: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem)
            .map(|certificate| {
                let certificate = certificate.map_err(|_| NoCertificate)?;
                Ok(anchor_from_trusted_cert(&certificate).map_err(|_| NoCertificate)?.to_owned())
            })
            .collect();
        let anchors = anchors?;
        if anchors.is_empty() { Err(NoCertificate) } else { Ok(Self(anchors)) }
    }
}

/// A question for an authority: when is it, with these bytes there? `nonce`: 16 random bytes.
#[must_use]
pub fn request(hash: &Hash, nonce: &[u8; 16]) -> Vec<u8> {
    let question = TimeStampReq {
        version: TspVersion::V1,
        message_imprint: imprint(hash),
        req_policy: None,
        nonce: Int::new(&positive(nonce)).ok(),
        cert_req: true,
        extensions: None,
    };
    question.to_der().unwrap_or_default()
}

fn imprint(hash: &Hash) -> MessageImprint {
    MessageImprint {
        hash_algorithm: AlgorithmIdentifier { oid: SHA_256, parameters: Some(Any::null()) },
        hashed_message: OctetString::new(hash.as_slice()).expect("32 bytes fit an octet string"),
    }
}

/// A number that is never negative and never spelled with needless zeros: its first byte is 1 to 127.
fn positive(nonce: &[u8; 16]) -> [u8; 16] {
    let mut number = *nonce;
    number[0] = (number[0] & 0x7F).max(1);
    number
}

/// Takes an answer to a question that was just asked.
pub fn accept(answer: &[u8], hash: &Hash, nonce: &[u8; 16], trusted: &Authorities) -> Result<Stamp, Broken> {
    let stamp = check(answer, hash, trusted)?;
    if stamp.nonce.as_deref() == Some(&positive(nonce)) { Ok(stamp) } else { Err(Broken::OtherNonce) }
}

/// Checks an answer that was kept.
pub fn check(answer: &[u8], hash: &Hash, trusted: &Authorities) -> Result<Stamp, Broken> {
    let answer = TimeStampResp::from_der(answer)?;
    let token = match (answer.status.status as u8, answer.time_stamp_token) {
        (0 | 1, Some(token)) => token,
        (status, _) => return Err(Broken::Refused(status)),
    };
    if token.content_type != SIGNED_DATA {
        return Err(Broken::Malformed);
    }
    let data: SignedData = token.content.decode_as()?;
    let said = match data.encap_content_info.econtent {
        Some(ref said) if data.encap_content_info.econtent_type == TST_INFO => said.value(),
        _ => return Err(Broken::Malformed),
    };
    let info = TstInfo::from_der(said)?;
    if info.message_imprint.hash_algorithm.oid != SHA_256 || info.message_imprint.hashed_message.as_bytes() != hash {
        return Err(Broken::OtherHash);
    }
    let [signer] = data.signer_infos.0.as_slice() else { return Err(Broken::Malformed) };
    let certificates: Vec<&Certificate> = data
        .certificates
        .iter()
        .flat_map(|set| set.0.iter())
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        })
        .collect();
    let own = certificates.iter().find(|certificate| is_of(certificate, &signer.sid)).ok_or(Broken::Unknown)?;
    let unix = info.gen_time.to_unix_duration();
    signed_by(signer, said, own)?;
    leads_to(own, &certificates, trusted, UnixTime::since_unix_epoch(unix))?;
    let at = i64::try_from(unix.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or(Broken::Malformed)?;
    Ok(Stamp { at, authority: own.tbs_certificate.subject.to_string(), nonce: info.nonce.map(|nonce| nonce.as_bytes().to_vec()) })
}

fn is_of(certificate: &Certificate, sid: &SignerIdentifier) -> bool {
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(wanted) => {
            certificate.tbs_certificate.issuer == wanted.issuer && certificate.tbs_certificate.serial_number == wanted.serial_number
        }
        // RFC 3161 has the certificate named in the signed attributes; a key's identifier alone names no certificate.
        SignerIdentifier::SubjectKeyIdentifier(_) => false,
    }
}

/// The signature holds: over attributes that have the hash of what is said, and name this certificate.
fn signed_by(signer: &SignerInfo, said: &[u8], own: &Certificate) -> Result<(), Broken> {
    let attributes = signer.signed_attrs.as_ref().ok_or(Broken::Malformed)?;
    let attribute = |oid: ObjectIdentifier| -> Option<&Any> {
        let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
        let (attribute, None) = (found.next()?, found.next()) else { return None };
        let [value] = attribute.values.as_slice() else { return None };
        Some(value)
    };
    let kind: ObjectIdentifier = attribute(CONTENT_TYPE).ok_or(Broken::Malformed)?.decode_as()?;
    let digest: OctetString = attribute(MESSAGE_DIGEST).ok_or(Broken::Malformed)?.decode_as()?;
    if kind != TST_INFO || digest.as_bytes() != hashed(signer.digest_alg.oid, said)? {
        return Err(Broken::Signature);
    }
    let bytes = own.to_der()?;
    let named = match (attribute(SIGNING_CERTIFICATE_V2), attribute(SIGNING_CERTIFICATE)) {
        (Some(value), _) => {
            let named: SigningCertificate<NamedV2> = value.decode_as()?;
            let first = named.certificates.first().ok_or(Broken::Malformed)?;
            first.hash.as_bytes() == hashed(first.algorithm.as_ref().map_or(SHA_256, |algorithm| algorithm.oid), &bytes)?
        }
        (None, Some(value)) => {
            let named: SigningCertificate<Named> = value.decode_as()?;
            let first = named.certificates.first().ok_or(Broken::Malformed)?;
            first.hash.as_bytes() == sha1::Sha1::digest(&bytes).as_slice()
        }
        (None, None) => return Err(Broken::Malformed),
    };
    if !named {
        return Err(Broken::Signature);
    }
    let certificate = CertificateDer::from(bytes);
    let certificate = EndEntityCert::try_from(&certificate).map_err(|_| Broken::Malformed)?;
    let message = attributes.to_der()?;
    let signature = signer.signature.as_bytes();
    // The certificate's key fits one kind of algorithm; of those, the hash that was signed decides.
    let holds = ALGORITHMS.iter().any(|algorithm| certificate.verify_signature(*algorithm, &message, signature).is_ok());
    if holds { Ok(()) } else { Err(Broken::Signature) }
}

fn leads_to(own: &Certificate, all: &[&Certificate], trusted: &Authorities, at: UnixTime) -> Result<(), Broken> {
    let own = CertificateDer::from(own.to_der()?);
    let between: Vec<CertificateDer> =
        all.iter().map(|certificate| Ok(CertificateDer::from(certificate.to_der()?))).collect::<der::Result<_>>()?;
    let certificate = EndEntityCert::try_from(&own).map_err(|_| Broken::Malformed)?;
    let usage = KeyUsage::required(FOR_TIME_STAMPS);
    match certificate.verify_for_usage(&ALGORITHMS, &trusted.0, &between, at, usage, None, None) {
        Ok(_) => Ok(()),
        Err(webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }) => Err(Broken::Expired),
        Err(webpki::Error::RequiredEkuNotFoundContext(_)) => Err(Broken::OtherPurpose),
        Err(_) => Err(Broken::Unknown),
    }
}

fn hashed(algorithm: ObjectIdentifier, bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    match algorithm {
        SHA_256 => Ok(Sha256::digest(bytes).to_vec()),
        SHA_384 => Ok(Sha384::digest(bytes).to_vec()),
        SHA_512 => Ok(Sha512::digest(bytes).to_vec()),
        _ => Err(Broken::Malformed),
    }
}

/// RFC 5035, §5.4: the certificates by which something was signed, the signer's own first.
#[derive(Debug, Sequence)]
struct SigningCertificate<N: for<'a> Decode<'a> + Encode> {
    certificates: Vec<N>,
    #[asn1(optional = "true")]
    policies: Option<Any>,
}

/// `ESSCertIDv2`.
#[derive(Debug, Sequence)]
struct NamedV2 {
    #[asn1(optional = "true")]
    algorithm: Option<AlgorithmIdentifier<Any>>,
    hash: OctetString,
    #[asn1(optional = "true")]
    issuer_and_serial: Option<Any>,
}

/// `ESSCertID`: by SHA-1.
#[derive(Debug, Sequence)]
struct Named {
    hash: OctetString,
    #[asn1(optional = "true")]
    issuer_and_serial: Option<Any>,
}
