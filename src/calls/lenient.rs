//! Lenient reading of answers: numbers keep their digits, counters may be numbers or text.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

/// Parses an answer, or a part of one. A number in a form that JSON would not write (`1.0`, `1e3`, more than 64 bits)
/// becomes a text of the same digits, so that no id is ever rounded.
pub(crate) fn read_json(bytes: &[u8]) -> Option<Value> {
    lossless(serde_json::from_slice::<&RawValue>(bytes).ok()?, MAX_DEPTH)
}

/// Maximum nesting depth, so that no answer overflows the stack.
const MAX_DEPTH: usize = 128;

fn lossless(raw: &RawValue, depth: usize) -> Option<Value> {
    let inner = depth.checked_sub(1)?;
    let text = raw.get();
    match text.as_bytes().first()? {
        b'{' => {
            let Members(members) = serde_json::from_str(text).ok()?;
            let read = members.into_iter().map(|(name, value)| Some((name, lossless(value, inner)?)));
            Some(Value::Object(read.collect::<Option<Map<String, Value>>>()?))
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Some(Value::Array(elements.into_iter().map(|one| lossless(one, inner)).collect::<Option<Vec<Value>>>()?))
        }
        b'-' | b'0'..=b'9' => {
            let whole = serde_json::from_str::<Value>(text).ok().filter(|number| !number.is_f64());
            let written = whole.as_ref().map(Value::to_string);
            Some(whole.filter(|_| written.as_deref() == Some(text)).unwrap_or_else(|| text.into()))
        }
        _ => serde_json::from_str(text).ok(),
    }
}

/// The members of an object, in order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Returns an id or a counter, a number or a text, as text with all its digits.
pub(crate) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Reads a counter: a whole number or a text of one, also as `1.0` and `1,000`, without an exponent or a sign.
pub(crate) fn count(value: &Value) -> Option<u64> {
    let text = word(value)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    if fraction.is_empty() || fraction.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let groups: Vec<&str> = whole.split(',').collect();
    let grouped =
        groups.len() == 1 || (1..=3).contains(&groups[0].len()) && groups[1..].iter().all(|group| group.len() == 3);
    let digits = groups.concat();
    if !grouped || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counters_are_whole_numbers_in_any_clothes() {
        let of = |text: &str| count(&read_json(text.as_bytes()).expect("JSON"));
        for (text, want) in [
            ("3", Some(3)),
            ("1.0", Some(1)),
            ("\"1.0\"", Some(1)),
            ("\" 500 \"", Some(500)),
            ("\"1,000\"", Some(1000)),
            ("\"12,345,678\"", Some(12_345_678)),
            ("\"1,000.00\"", Some(1000)),
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("1e3", None),
            ("\"1e3\"", None),
            ("1.5", None),
            ("-1", None),
            ("\"1,00\"", None),
            ("\",000\"", None),
            ("\"1.\"", None),
            ("\"many\"", None),
            ("\"\"", None),
            ("null", None),
            ("true", None),
            ("[1]", None),
        ] {
            assert_eq!(of(text), want, "{text}");
        }
    }

    #[test]
    fn ids_keep_all_their_digits() {
        for id in ["7", "12345678901234567890123", "9007199254740993", "18446744073709551615", "0.10", "-0", "1e400"] {
            let value = read_json(format!("{{\"id\":{id}}}").as_bytes()).expect("JSON");
            assert_eq!(word(&value["id"]).as_deref(), Some(id));
        }
    }

    #[test]
    fn everything_else_is_read_as_it_is() {
        let text = r#"{"b":[1,-2,true,null,"x\u00e9\"",{"c":{}}],"a":"","z":[]}"#;
        let value = read_json(text.as_bytes()).expect("JSON");
        assert_eq!(value, serde_json::from_str::<Value>(text).expect("JSON"));
        assert_eq!(value.as_object().expect("an object").keys().collect::<Vec<_>>(), ["b", "a", "z"]);
        for bad in [&b"{"[..], b"", b"{} x", b"\xff", b"{\"a\":01}", b"[1,]"] {
            assert_eq!(read_json(bad), None, "{bad:?}");
        }
        let deep = "[".repeat(5000) + &"]".repeat(5000);
        assert_eq!(read_json(deep.as_bytes()), None, "depth is bounded");
        assert_eq!(read_json(b" 7 "), Some(json!(7)));
    }
}
