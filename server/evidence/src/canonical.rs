//! Canonical JSON (RFC 8785): one value has exactly one spelling, so a hash of it means its meaning. What is signed, chained or
//! compared is written here and nowhere else. Floating numbers do not occur: decimals are strings (reliability-security §6).

use serde_json::Value;

/// How deeply what is read may be nested: a live text of the greatest depth that is admitted (`type_depth_max`) takes twice that and a
/// little, and whoever reads it goes down with it, so what a stranger hands in may not be of any depth.
const DEPTH_MAX: usize = 512;

/// Reads JSON as deep as any text that was admitted may be; the library alone would stop at 128, in the midst of one.
///
/// # Errors
///
/// What is no JSON, or nested more than 512 deep.
pub fn from_slice(bytes: &[u8]) -> serde_json::Result<Value> {
    if deepest(bytes) > DEPTH_MAX {
        return Err(serde::de::Error::custom("nested too deep"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.disable_recursion_limit();
    let value = serde::Deserialize::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// How many brackets are open at most; of what is no JSON never less than a reader would open.
fn deepest(bytes: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The one spelling of this value.
///
/// # Panics
///
/// On a number that is not whole: nothing that is hashed holds one.
#[must_use]
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            assert!(number.is_i64() || number.is_u64(), "decimals are strings in what is hashed, found {number}");
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // RFC 8785 §3.2.3: names in the order of their UTF-16 code units, which differs from UTF-8's beyond U+FFFF.
            let mut names: Vec<(Vec<u16>, &String, &Value)> =
                members.iter().map(|(name, member)| (name.encode_utf16().collect(), name, member)).collect();
            names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
            out.push(b'{');
            for (place, (_, name, member)) in names.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write(member, out);
            }
            out.push(b'}');
        }
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            control if control < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes()),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spelled(value: &Value) -> String {
        String::from_utf8(to_vec(value)).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_rfc_8785_does() {
        assert_eq!(spelled(&json!({"string": "\u{20ac}$\u{f}\nA'B\"\\\\\"/"})), "{\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
        assert_eq!(spelled(&json!("æøå 🌊 \u{7f}\u{8}\u{c}\r\t")), "\"æøå 🌊 \u{7f}\\b\\f\\r\\t\"");
    }

    /// The example of RFC 8785 §3.2.3: the emoji sorts before U+FB33 by code units, after it by bytes.
    #[test]
    fn names_sort_by_utf_16_code_units() {
        let value = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        assert_eq!(spelled(&value), "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}");
    }

    #[test]
    fn whole_numbers_and_nesting() {
        assert_eq!(spelled(&json!({"b": [1, -2, {"z": null, "a": true}], "a": {}})), r#"{"a":{},"b":[1,-2,{"a":true,"z":null}]}"#);
    }

    #[test]
    fn what_is_admitted_is_read_and_what_would_fill_the_stack_is_not() {
        let nested = |depth: usize| [vec![b'['; depth], br#""[[\"[""#.to_vec(), vec![b']'; depth]].concat();
        let deep = nested(DEPTH_MAX);
        assert_eq!(to_vec(&from_slice(&deep).unwrap()), deep);
        assert!(from_slice(&nested(DEPTH_MAX + 1)).is_err());
        assert!(from_slice(&vec![b'['; 1 << 20]).is_err());
        assert!(from_slice(b"[] []").is_err());
    }

    #[test]
    #[should_panic(expected = "decimals are strings")]
    fn a_floating_number_is_a_mistake() {
        let _ = to_vec(&json!(0.1));
    }
}
