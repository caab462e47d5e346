//! Lines as serde_json reads them: the oracle of the grammar and of the values.

use super::kernel::scan_line;
use super::keys::Keys;
use super::walk::{Kind, Line, Span, Walker};
use crate::buffer::{Padded, SLACK};
use crate::format::json::string::{BadText, unescape};
use crate::scan::Tape;
use proptest::prelude::*;
use serde_json::value::RawValue;

fn walk(text: &[u8], walker: &mut Walker) -> Result<Vec<Span>, String> {
    let spans = walk_one::<false>(text, b"", walker);
    for end in [&b"\n"[..], b"\r\n", b"\r,\"b\":1}\n"] {
        assert_eq!(walk_one::<true>(text, end, walker), spans, "{:?}", String::from_utf8_lossy(text));
    }
    spans
}

fn walk_one<const ENDS: bool>(line: &[u8], end: &[u8], walker: &mut Walker) -> Result<Vec<Span>, String> {
    let to = line.len();
    let mut buffer = [line, end].concat();
    let len = buffer.len();
    buffer.extend([b'7'; SLACK]);
    let input = Padded::new(&buffer, 0, len);
    let mut tape = Tape::default();
    scan_line(input, &mut tape);
    let line = Line::<ENDS> { input, dirty: tape.dirty.bytes(), from: 0, to };
    walker.walk(&line).map_err(|error| format!("{error:?}"))?;
    Ok(walker.spans.clone())
}

/// The value at a pointer by serde_json, as text and kind; None: a duplicate on the way.
fn oracle<'a>(text: &'a str, steps: &[&str]) -> Option<(Kind, &'a str)> {
    let map: Pairs<'a> = serde_json::from_str(text).unwrap();
    let found: Vec<_> = map.0.iter().filter(|(key, _)| key == steps[0]).collect();
    match found[..] {
        [] => Some((Kind::Missing, "")),
        [(_, raw)] => {
            let raw = raw.get();
            if steps.len() > 1 {
                return if raw.starts_with('{') { oracle(raw, &steps[1..]) } else { Some((Kind::Missing, "")) };
            }
            Some(match raw.as_bytes()[0] {
                b'"' => (Kind::String, &raw[1..raw.len() - 1]),
                b'n' => (Kind::Null, ""),
                b'{' => (Kind::Object, raw),
                b'[' => (Kind::Array, raw),
                _ => (Kind::Bare, raw),
            })
        }
        _ => None,
    }
}

struct Pairs<'a>(Vec<(String, &'a RawValue)>);
impl<'de: 'a, 'a> serde::Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> serde::de::Visitor<'de> for V<'a> {
            type Value = Pairs<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut m: M) -> Result<Pairs<'a>, M::Error> {
                let mut all = Vec::new();
                while let Some(pair) = m.next_entry::<String, &'a RawValue>()? {
                    all.push(pair);
                }
                Ok(Pairs(all))
            }
        }
        d.deserialize_map(V(std::marker::PhantomData))
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\t", "\\\"", "\\u0041", "\\ud83d\\ude00", "\\n", "\\x", "\\u12g4", "\"a\"", "\"b\":", "\"a\":1", "null", "true", "false", "nul", "0", "-1", "1.5e3", "01", "1.", "-", "1e", "\"\\\\\"", "é", "\u{7f}", "\u{1}", "\"a\":{\"b\":2,\"c\":[]}", "{}", "[]", ",\"b\":\"xyz\"", "\"long key that is longer than fifty-seven bytes, so that two looks at the masks are needed\":3"]).prop_map(str::to_owned),
    ]
}

fn value(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        "\"([a-zé,:{}]{0,70}|\\\\n|\\\\u00e9|\\\\\\\\|\\\\\")\"",
    ];
    leaf.prop_recursive(depth, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(" , "))),
            prop::collection::vec(("(a|b|c|\\\\u0061)", inner), 0..4).prop_map(|v| format!(
                "{{{}}}",
                v.into_iter().map(|(k, v)| format!("\"{k}\":{v}")).collect::<Vec<_>>().join(",")
            )),
        ]
    })
    .boxed()
}

fn columns() -> Vec<String> {
    ["a", "b", "/c/a", "/c/b/a", "/a/b", "c"].map(str::to_owned).to_vec()
}

fn check(text: &str, walker: &mut Walker) {
    let columns = columns();
    let ours = walk(text.as_bytes(), walker);
    let blank = text.trim_matches([' ', '\t']).is_empty();
    if blank {
        return;
    }
    // serde decodes keys, so half a surrogate pair in one is an error there; it is none of the grammar
    let valid = serde_json::from_str::<Pairs>(text).is_ok();
    match ours {
        Err(error) if error.contains("Duplicate") => assert!(valid, "{text} {error}"),
        Err(error) => assert!(!valid || text.contains("\\ud"), "{text}: {error}"),
        Ok(spans) => {
            assert!(valid || text.contains("\\ud"), "{text} is not valid");
            if !valid {
                return;
            }
            for (column, span) in columns.iter().zip(spans) {
                let steps: Vec<&str> = match column.strip_prefix('/') {
                    Some(p) => p.split('/').collect(),
                    None => vec![column],
                };
                let Some((kind, want)) = oracle(text, &steps) else { panic!("{text} {column}: duplicate not seen") };
                let got = &text[span.at as usize..][..span.len as usize];
                assert_eq!((span.kind, got), (kind, want), "{text} {column}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn noise_is_valid_if_serde_says_so(pieces in prop::collection::vec(piece(), 0..14), wrap in any::<bool>()) {
        let mut walker = Walker::new(Keys::new(&columns()).unwrap(), 6);
        let text = pieces.concat();
        let text = if wrap { format!("{{\"a\":{text}}}") } else { text };
        if !text.contains('\n') { for _ in 0..2 { check(&text, &mut walker); } }
    }
    #[test]
    fn values_are_those_of_serde(a in prop::collection::vec(("(a|b|c|d|\\\\u0062)", value(3)), 0..6)) {
        let mut walker = Walker::new(Keys::new(&columns()).unwrap(), 6);
        let text = format!("{{{}}}", a.into_iter().map(|(k, v)| format!("\"{k}\" : {v}")).collect::<Vec<_>>().join(", "));
        for _ in 0..2 { check(&text, &mut walker); }
    }
    #[test]
    fn strings_are_those_of_serde(text in "([a-zé]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-f]{4}|\\\\ud83d\\\\ude00){0,8}") {
        let want: Result<String, _> = serde_json::from_str(&format!("\"{text}\""));
        let mut got = Vec::new();
        match (unescape(text.as_bytes(), &mut got), want) {
            (Ok(()), want) => prop_assert_eq!(String::from_utf8(got).unwrap(), want.unwrap()),
            (Err(BadText::Nul), want) => prop_assert!(text.contains("\\u0000"), "{:?}", want),
            (Err(_), want) => prop_assert!(want.is_err(), "{}", text),
        }
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |n: usize| format!("{{\"x\":{}1{}}}", "[".repeat(n), "]".repeat(n));
    let mut walker = Walker::new(Keys::new(&columns()).unwrap(), 6);
    assert!(walk(nested(127).as_bytes(), &mut walker).is_ok());
    assert!(walk(nested(128).as_bytes(), &mut walker).unwrap_err().contains("TooDeep"));
}
