//! Elements of a JSON array whose grammar has been validated.

use super::string::{BadText, unescape};

/// The reason why an element is not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum BadElement {
    /// Its text is not valid.
    Text(BadText),
    /// It is null, an array or an object.
    NotAValue,
}

/// Returns true if the first element is an object.
pub(in crate::format) fn is_of_objects(array: &[u8]) -> bool {
    array.get(1..).is_some_and(|text| text.trim_ascii_start().first() == Some(&b'{'))
}

/// Passes on the text of each element.
pub(in crate::format) fn elements(array: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), BadElement> {
    let mut rest = array.get(1..).unwrap_or_default().trim_ascii_start();
    let mut text = Vec::new();
    while !matches!(rest.first(), None | Some(b']')) {
        rest = match rest[0] {
            b'"' => {
                let close = closing_quote(rest);
                text.clear();
                unescape(&rest[1..close], &mut text).map_err(BadElement::Text)?;
                each(&text);
                &rest[(close + 1).min(rest.len())..]
            }
            b'[' | b'{' | b'n' => return Err(BadElement::NotAValue),
            _ => {
                let end = rest.iter().position(|byte| matches!(byte, b',' | b']' | b' ' | b'\t')).unwrap_or(rest.len());
                each(&rest[..end]);
                &rest[end..]
            }
        };
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
    }
    Ok(())
}

/// Returns the position of the quote that closes the string at the start of `text`.
fn closing_quote(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|text| memchr::memchr2(b'"', b'\\', text)) {
        at += found;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn all(array: &str) -> Result<Vec<String>, BadElement> {
        let mut found = Vec::new();
        elements(array.as_bytes(), &mut |text| found.push(String::from_utf8_lossy(text).into_owned()))?;
        Ok(found)
    }

    #[test]
    fn elements_are_texts_numbers_and_words() {
        let text = r#"[ "a\"]b" ,1.50,-3e7, true,false,"", "\u00e9,"]"#;
        assert_eq!(all(text).unwrap(), ["a\"]b", "1.50", "-3e7", "true", "false", "", "é,"]);
        assert_eq!(all("[]").unwrap(), [""; 0]);
        assert_eq!(all("[ \t]").unwrap(), [""; 0]);
        for text in ["[1,null]", "[[1]]", "[1,{}]"] {
            assert_eq!(all(text), Err(BadElement::NotAValue), "{text}");
        }
        assert_eq!(all(r#"["\ud800"]"#), Err(BadElement::Text(BadText::LoneSurrogate)));
        assert!(is_of_objects(b"[ {}]") && !is_of_objects(b"[]") && !is_of_objects(b"[[{}]]"));
    }

    proptest! {
        #[test]
        fn elements_are_those_of_serde(texts in prop::collection::vec(prop_oneof![
            "[a-z\"\\\\,\\]é]{0,6}".prop_map(Value::from), any::<i32>().prop_map(Value::from), any::<bool>().prop_map(Value::from),
        ], 0..6), pretty in any::<bool>()) {
            let json = Value::from(texts.clone()).to_string();
            let json = if pretty { json.replace("\",", "\" , ") } else { json };
            let Ok(Value::Array(want)) = serde_json::from_str(&json) else { return Ok(()) };
            let want: Vec<String> = want.iter().map(|v| v.as_str().map_or(v.to_string(), str::to_owned)).collect();
            prop_assert_eq!(all(&json).unwrap(), want);
        }
    }
}
