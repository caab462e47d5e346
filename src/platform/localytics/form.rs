//! Writes multipart/form-data as in RFC 7578: fields, then one file, around a content of known length.
//!
//! Our own framing, because the length must be exact and a repetition byte-identical: the boundary is drawn once per
//! run.

use crate::body::Frame;
use crate::calls::JobSeed;
use crate::error::{Error, Result};
use crate::settings::Settings;

/// A form under construction; the file comes last.
pub(super) struct Form {
    boundary: String,
    head: Vec<u8>,
}

impl Form {
    /// Creates an empty form with the boundary of this run.
    pub(super) fn new(seed: &JobSeed) -> Form {
        Form { boundary: format!("listferry-{}", seed.random), head: Vec::new() }
    }

    /// Adds a text field. The value is written unchanged: [`plain`] has validated it, and the boundary is random.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        let part = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n",
            self.boundary,
            quoted(name)
        );
        self.head.extend_from_slice(part.as_bytes());
    }

    /// Adds the head of the file; its content follows.
    pub(super) fn file(&mut self, name: &str, filename: &str) {
        let part = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            self.boundary,
            quoted(name),
            quoted(filename)
        );
        self.head.extend_from_slice(part.as_bytes());
    }

    /// Returns the value of the request's Content-Type.
    pub(super) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Returns the bytes around the content of the file.
    pub(super) fn frame(self) -> Frame {
        Frame { tail: format!("\r\n--{}--\r\n", self.boundary).into_bytes(), head: self.head }
    }
}

/// Escapes a name inside the quotes of a part's head, as in HTML: a quote and line ends become percent codes.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// Returns which of two keys is given, and its text.
pub(super) fn one_of_two(settings: &Settings<'_>, a: &'static str, b: &'static str) -> Result<(&'static str, String)> {
    let at = settings.at;
    let (key, text) = match (settings.opt_text(a)?, settings.opt_text(b)?) {
        (Some(text), None) => (a, text),
        (None, Some(text)) => (b, text),
        (Some(_), Some(_)) => {
            return Err(Error::usage(format!("{at}: exactly one of {a} and {b}, not both"))
                .with_hint(format!("leave {a} or {b} out")));
        }
        (None, None) => {
            return Err(Error::usage(format!("{at}: one of {a} and {b} is required"))
                .with_hint(format!("add {a} or {b} to {at}")));
        }
    };
    plain(settings, key, &text)?;
    Ok((key, text))
}

/// Refuses a text that is not valid in a form.
pub(super) fn plain(settings: &Settings<'_>, key: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Error::usage(format!("{}.{key} is empty or contains a control character", settings.at))
            .with_hint("as Localytics shows it, on one line"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::settings::NoSecrets;
    use serde_json::json;

    fn seed() -> JobSeed {
        JobSeed { run_id: "r1".into(), random: "00112233445566778899aabbccddeeff".into(), date: "2026-11-21".into() }
    }

    #[test]
    fn the_bytes_around_the_file() {
        let mut form = Form::new(&seed());
        form.field("org_id", "60");
        form.file("file", "a \"b\"\r\n.json");
        assert_eq!(form.content_type(), "multipart/form-data; boundary=listferry-00112233445566778899aabbccddeeff");
        let frame = form.frame();
        let head = "--listferry-00112233445566778899aabbccddeeff\r\n\
                    Content-Disposition: form-data; name=\"org_id\"\r\n\r\n60\r\n\
                    --listferry-00112233445566778899aabbccddeeff\r\n\
                    Content-Disposition: form-data; name=\"file\"; filename=\"a %22b%22%0D%0A.json\"\r\n\
                    Content-Type: application/octet-stream\r\n\r\n";
        assert_eq!(String::from_utf8(frame.head).unwrap(), head);
        assert_eq!(frame.tail, b"\r\n--listferry-00112233445566778899aabbccddeeff--\r\n");
    }

    #[test]
    fn a_scope_is_exactly_one_and_printable() {
        let read = |value: serde_json::Value| {
            let map = value.as_object().unwrap();
            let folder = std::path::Path::new("");
            one_of_two(&Settings { map, at: "destination", secrets: &NoSecrets, folder }, "org_id", "app_id")
        };
        assert_eq!(read(json!({ "org_id": 60 })).unwrap(), ("org_id", "60".to_owned()));
        assert_eq!(read(json!({ "app_id": "x-1" })).unwrap(), ("app_id", "x-1".to_owned()));
        for bad in
            [json!({}), json!({ "org_id": 1, "app_id": "a" }), json!({ "app_id": "" }), json!({ "app_id": "a\nb" })]
        {
            assert_eq!(read(bad).unwrap_err().kind(), Kind::Usage);
        }
    }
}
