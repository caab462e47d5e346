//! Repairs the vendor's JSON: its samples have curly quotes, the same quotes in a broken encoding, and commas before a
//! closing brace.

/// Returns `text` as valid JSON, if only its quotes and trailing commas are wrong. Texts in straight quotes are
/// unchanged.
pub(super) fn straightened(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => {
                let length = straight_length(rest);
                out.push_str(&rest[..length]);
                length
            }
            ',' => {
                if !rest[1..].trim_start().starts_with(['}', ']']) {
                    out.push(c);
                }
                1
            }
            '{' | '}' | '[' | ']' | ':' => {
                out.push(c);
                1
            }
            _ if c.is_whitespace() => {
                out.push(c);
                c.len_utf8()
            }
            // a number or a word
            _ if c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.') => {
                let length =
                    rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-+.".contains(c)).unwrap_or(rest.len());
                out.push_str(&rest[..length]);
                length
            }
            _ => broken(rest, &mut out),
        };
        rest = &rest[length..];
    }
    out
}

/// Returns the length of the text in straight quotes that `rest` begins with, quotes included.
fn straight_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Writes the text in other quotes that `rest` begins with in straight ones, and returns its length. The text ends
/// before a closing brace, a colon (a key), or a comma that another quote follows.
fn broken(rest: &str, out: &mut String) -> usize {
    // a curly quote in UTF-8 that was read as Windows-1252 is three characters
    let quote = if rest.starts_with("â€") { 3 } else { 1 };
    let opener_length = rest.char_indices().nth(quote).map_or(rest.len(), |(at, _)| at);
    let (opener, text) = rest.split_at(opener_length);
    let is_quote =
        |c: char| matches!(c, '"' | '\'' | '`') || (!c.is_ascii() && (!c.is_alphanumeric() || opener.contains(c)));
    let ends = |at: usize, c: char| match c {
        '}' | ']' => true,
        ':' => text[..at].trim_end().ends_with(is_quote),
        ',' => {
            let next = text[at + 1..].trim_start();
            next.starts_with('}') || next.starts_with(is_quote)
        }
        _ => false,
    };
    let length = text.char_indices().find(|&(at, c)| ends(at, c)).map_or(text.len(), |(at, _)| at);
    let value = text[..length].trim_end().trim_end_matches(is_quote);
    out.push_str(&serde_json::Value::from(value).to_string());
    opener.len() + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &str) -> Option<Value> {
        serde_json::from_str(&straightened(text)).ok()
    }

    /// The answers on the vendor's page, with broken quotes as shown there.
    #[test]
    fn the_refusals_of_the_documents_are_read_as_they_are_printed() {
        for words in [
            "Invalid URL",
            "name, email ID,filename,creator and pre-signed url are mandatory",
            "email id is either not in the right format or does not belong to a valid admin",
            "New file referencing a previously used URL. Please change URL",
        ] {
            for (open, close) in
                [("β", "β"), ("“", "”"), ("â€œ", "â€\u{9d}"), ("‘", "’"), ("'", "'"), ("„", "“"), ("«", "»")]
            {
                let want = Some(json!({"status": "fail", "Error": words}));
                assert_eq!(read(&format!("{{\n\"status\": \"fail\",\n\"Error\": {open}{words}{close}\n}}")), want);
                assert_eq!(
                    read(&format!(
                        "{{{open}status{close}: {open}fail{close}, {open}Error{close} : {open}{words}{close}}}"
                    )),
                    want
                );
                assert_eq!(read(&format!("{{\"Error\": {open}{words}{close}, \"status\": \"fail\",}}")), want);
            }
        }
    }

    #[test]
    fn what_was_json_stays_what_it_was() {
        for text in [
            r#"{"a":"β, “x”, \"y\", }","b":[1,-2.5e3,true,null],"c":{}}"#,
            r#"{ "Segment ID": 1598345958, "status": "success" }"#,
            "[]",
            r#"{"a\\":"\\"}"#,
        ] {
            assert_eq!(read(text), serde_json::from_str(text).ok(), "{text}");
            assert!(read(text).is_some(), "{text}");
        }
    }

    #[test]
    fn no_text_makes_it_panic_or_run_on() {
        for text in ["", "β", "{β", "{\"", "{\"a\\", "{“a”:“b", "β}β:β,β", "\u{feff}x", "{\"a\":“”}"] {
            let _ = straightened(text);
        }
        assert_eq!(read("{\"a\": “”}"), Some(json!({"a": ""})));
    }
}
