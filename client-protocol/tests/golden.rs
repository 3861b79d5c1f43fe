//! The golden frames that Yjs and y-protocols made, read by us, and made again by us byte for byte (SPEC S1, P1). The web client's
//! tests read the same file; `made_by` in it names the program that made it.

#![cfg(test)]

use bytes::Bytes;
use samspil_client_protocol::frame::{self, ClientFrame, Reader};
use serde_json::Value;

struct Golden {
    name: String,
    frame: Bytes,
    means: Value,
}

fn golden() -> Vec<Golden> {
    let file: Value = serde_json::from_str(include_str!("../vectors/yjs.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    vectors
        .iter()
        .map(|vector| Golden {
            name: vector["name"].as_str().unwrap().to_owned(),
            frame: bytes_of(&vector["hex"]),
            means: vector["means"].clone(),
        })
        .collect()
}

fn bytes_of(text: &Value) -> Bytes {
    hex::decode(text.as_str().unwrap()).unwrap().into()
}

#[test]
fn s1_p1_s5_frames_made_by_yjs_are_read_as_what_they_mean() {
    for Golden { name, frame, means } in golden() {
        let decoded = ClientFrame::decode(&frame).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = match means["kind"].as_str().unwrap() {
            "step1" => ClientFrame::SyncStep1(bytes_of(&means["state_vector_hex"])),
            "step2" => ClientFrame::Update { step2: true, update: bytes_of(&means["update_hex"]) },
            "update" => ClientFrame::Update { step2: false, update: bytes_of(&means["update_hex"]) },
            "awareness" => ClientFrame::Awareness(bytes_of(&means["states_hex"])),
            "query_awareness" => ClientFrame::QueryAwareness,
            other => panic!("{name}: what is {other}?"),
        };
        assert_eq!(decoded, expected, "{name}");
    }
}

#[test]
fn s1_p1_what_we_make_is_what_yjs_makes_byte_for_byte() {
    let mut made = 0;
    for Golden { name, frame, means } in golden() {
        let ours = match means["kind"].as_str().unwrap() {
            "step1" => frame::sync_step1(&bytes_of(&means["state_vector_hex"])),
            "step2" => frame::sync_step2(&bytes_of(&means["update_hex"])),
            "update" => frame::update(&bytes_of(&means["update_hex"])),
            "awareness" => {
                let body = bytes_of(&means["states_hex"]);
                let entries = frame::awareness_entries(&body).unwrap();
                let expected = means["entries"].as_array().unwrap();
                assert_eq!(entries.len(), expected.len(), "{name}");
                for ((client, clock, state), expected) in entries.iter().zip(expected) {
                    assert_eq!((*client, *clock), (expected["client"].as_u64().unwrap(), expected["clock"].as_u64().unwrap()), "{name}");
                    assert_eq!(serde_json::from_str::<Value>(state).unwrap(), expected["state"], "{name}");
                }
                frame::awareness(entries.iter().map(|(client, clock, state)| (*client, u32::try_from(*clock).unwrap(), *state)))
            }
            _ => continue,
        };
        assert_eq!(ours, frame, "{name}");
        made += 1;
    }
    assert!(made >= 10, "only {made} golden frames");
}

#[test]
fn h3_saved_is_two_numbers_after_its_own() {
    let frame = frame::saved(300, 1 << 40);
    let mut reader = Reader::new(&frame);
    assert_eq!((reader.varuint(), reader.varuint(), reader.varuint()), (Ok(101), Ok(300), Ok(1 << 40)));
    reader.finish().unwrap();
}

#[test]
fn a_length_is_never_believed_beyond_the_bytes_that_are_there() {
    // A frame that promises four gigabytes, one that ends in the middle of a number, and one with something left over.
    for hostile in [&[0u8, 2, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0, 2, 0x80], &[0, 0, 1, 0, 7], &[1, 0xff, 0xff, 0xff, 0x7f]] {
        assert!(ClientFrame::decode(&Bytes::copy_from_slice(hostile)).is_err(), "{hostile:?}");
    }
    // Five states promised in three bytes.
    assert!(frame::awareness_entries(&[5, 1, 1]).is_err());
    // S5, H7: numbers that mean nothing here are ignored, whatever follows.
    assert_eq!(ClientFrame::decode(&Bytes::from_static(&[101, 1, 2])), Ok(ClientFrame::Ignored));
    assert_eq!(ClientFrame::decode(&Bytes::from_static(&[2, 0])), Ok(ClientFrame::Ignored));
}
