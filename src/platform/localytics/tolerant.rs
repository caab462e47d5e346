//! JSON as in Localytics' documents: trailing commas, curly quotes, a key without its first quote.
//!
//! The text is parsed strictly first. The repair is only for small answers and never invents a value.

use crate::calls::read_json;
use serde_json::Value;

/// Parses an answer; `None` if no repair makes it JSON.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let strict = read_json(bytes);
    // a curly quote inside a key has swallowed other keys: that the result is JSON is an accident
    let swallowed = |value: &Value| value.as_object().is_some_and(|map| map.keys().any(|key| key.contains(['“', '”'])));
    if strict.as_ref().is_some_and(|value| !swallowed(value)) {
        return strict;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    read_json(repaired(text).as_bytes()).or(strict)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}')
}

/// Returns the text with straight quotes around keys and texts, and no comma before a closing bracket.
fn repaired(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let next = |from: usize| chars[from.min(chars.len())..].iter().find(|c| !c.is_whitespace()).copied();
    let mut out = String::with_capacity(text.len() + 8);
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            c if is_quote(c) => {
                out.push('"');
                while let Some(&c) = chars.get(at) {
                    at += 1;
                    if c == '\\' {
                        out.push(c);
                        out.extend(chars.get(at));
                        at += 1;
                    } else if c == '"' || is_quote(c) && matches!(next(at), Some(':' | ',' | '}' | ']') | None) {
                        break;
                    } else {
                        out.push(c);
                    }
                }
                out.push('"');
            }
            ',' if matches!(next(at), Some('}' | ']')) => {}
            // "…" in the shortened samples of the documents
            '.' => {}
            c if c.is_ascii_alphabetic() => {
                let from = at - 1;
                while chars.get(at).is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
                    at += 1;
                }
                let word: String = chars[from..at].iter().collect();
                if chars.get(at).is_some_and(|c| is_quote(*c)) {
                    at += 1;
                    out.extend(["\"", &word, "\""]);
                } else {
                    out.push_str(&word);
                }
            }
            c if c.is_ascii_digit() || c == '-' => {
                out.push(c);
                while let Some(&c) = chars.get(at).filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
                {
                    out.push(c);
                    at += 1;
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_samples_of_the_documents_are_read() {
        let completed = r#"{ "status": "Completed", "error_log": "h.s3.aws.com/e.json", "scopet": {"org_id": 1234}, "upload_statistics": { "failed_imports": 1, "total_number_of_imports": 100, } }"#;
        assert_eq!(read(completed.as_bytes()).unwrap()["upload_statistics"]["total_number_of_imports"], 100);
        assert_eq!(read(br#"{"status": "Pending" ... }"#).unwrap(), json!({ "status": "Pending" }));
        let pending = r#"{"status":"Pending","error_reason”:null,“upload_statistics”: null, app_uuid":"abcde-12345","created_at":"2017-04-25T08:00:00"}"#;
        let value = read(pending.as_bytes()).unwrap();
        assert_eq!((&value["status"], &value["app_uuid"]), (&json!("Pending"), &json!("abcde-12345")));
        assert!(value["error_reason"].is_null() && value.get("upload_statistics").is_some());
        assert_eq!(read("{“customer_id”:“abc”}".as_bytes()).unwrap(), json!({ "customer_id": "abc" }));
    }

    #[test]
    fn valid_json_is_not_touched() {
        let text = r#"{"a":"x, ] \" “y” .","b":[1.5e3,-2],"c":true}"#;
        let mut want = serde_json::from_str::<Value>(text).unwrap();
        want["b"][0] = json!("1.5e3");
        assert_eq!(read(text.as_bytes()).unwrap(), want);
    }

    #[test]
    fn what_is_no_json_stays_unread() {
        for text in ["", "come back later", "{\"activity_id\": \"3b4a", "<html>", "{\"a\":", "[1,2"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(b"\xff\xfe"), None);
    }
}
