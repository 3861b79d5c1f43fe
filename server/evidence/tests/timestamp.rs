//! Time stamps from a real authority: `openssl ts`, with certificates made for the test.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by ending")]

use samspil_evidence::{
    Hash, sha256,
    timestamp::{Authorities, Broken, accept, check, request},
};

#[path = "openssl/authority.rs"]
mod authority;
use authority::{Authority, EXPIRED, P256, RSA};

fn trusted(authority: &Authority) -> Authorities {
    Authorities::from_pem(authority.root().as_bytes()).unwrap()
}

const NONCE: [u8; 16] = [0xFF; 16];

fn hash() -> Hash {
    sha256(b"et kontrolpunkt")
}

#[test]
fn what_a_real_authority_answers_is_taken_and_what_we_take_openssl_takes_too() {
    for made in [P256, RSA] {
        let authority = Authority::new(made);
        let answer = authority.answer(&request(&hash(), &NONCE));
        let stamp = accept(&answer, &hash(), &NONCE, &trusted(&authority)).unwrap();
        assert!(stamp.authority.contains("Tidsstempler"), "{}", stamp.authority);
        assert_eq!(check(&answer, &hash(), &trusted(&authority)), Ok(stamp), "it holds later too");
        let digest = hex::encode(hash());
        let told = authority.openssl(&["ts", "-verify", "-digest", &digest, "-in", "answer.tsr", "-CAfile", "ca.pem"]);
        assert!(told.contains("Verification: OK"), "{told}");
    }
}

#[test]
fn an_answer_about_something_else_or_from_somebody_else_is_none() {
    let authority = Authority::new(P256);
    let answer = authority.answer(&request(&hash(), &NONCE));
    let known = trusted(&authority);
    assert_eq!(accept(&answer, &sha256(b"noget andet"), &NONCE, &known), Err(Broken::OtherHash));
    assert_eq!(accept(&answer, &hash(), &[7; 16], &known), Err(Broken::OtherNonce));
    assert_eq!(check(&answer, &hash(), &trusted(&Authority::new(P256))), Err(Broken::Unknown));
    assert_eq!(check(b"tiden er inde", &hash(), &known), Err(Broken::Malformed));
    assert_eq!(check(&[], &hash(), &known), Err(Broken::Malformed));
    let expired = Authority::new(EXPIRED);
    let late = expired.answer(&request(&hash(), &NONCE));
    assert_eq!(check(&late, &hash(), &trusted(&expired)), Err(Broken::Expired));
    let refused = authority.answer(b"\x30\x03\x02\x01\x01");
    assert_eq!(check(&refused, &hash(), &known), Err(Broken::Refused(2)));
    assert!(Authorities::from_pem(b"ikke et certifikat").is_err());
}

#[test]
fn no_byte_of_an_answer_can_be_altered_to_say_something_else() {
    let authority = Authority::new(P256);
    let answer = authority.answer(&request(&hash(), &NONCE));
    let known = trusted(&authority);
    let stamp = check(&answer, &hash(), &known).unwrap();
    for at in 0..answer.len() {
        let mut altered = answer.clone();
        altered[at] ^= 1;
        // Some bytes are not covered by the signature and say nothing; none may change what is said.
        if let Ok(other) = check(&altered, &hash(), &known) {
            assert_eq!(other, stamp, "byte {at}");
        }
    }
}
