//! The classification of an answer.

use super::lenient::read_json;
use crate::error::{Error, Kind};
use crate::secret::printable;
use crate::transport::Answer;
use serde_json::{Value, json};

/// The classification of an answer by its platform.
#[derive(Debug)]
pub enum Reply {
    /// Success; the value is journaled and replayed on resume.
    Done(Value),
    /// A temporary fault (429, 503, "come back later"): repeated, whatever the call, after `Retry-After`.
    Retry(Error),
    /// As `Retry`, but with an undocumented word (an unknown status): a warning, once.
    Strange(Error),
    /// A fault after which it is unknown whether the call was carried out (500, 502, 504, an unreadable answer to a
    /// creating call): repeated or in doubt by the call's [`super::RetrySafety`].
    Unclear(Error),
    /// A final refusal.
    Fail(Error),
}

/// Maximum number of characters that a message quotes of an answer.
const QUOTED_CHARS: usize = 500;
/// Maximum number of characters removed from the end of a cut text to end at a word.
const LONGEST_WORD: usize = 200;

impl Reply {
    /// Classifies a status other than 2xx in the usual way: 429 and 503 retry (with `Retry-After`), 501 is `Refused`,
    /// other 5xx and 408 are unclear, 401 and 403 are `Credentials`, 3xx and other 4xx are `Refused`. `what` is the
    /// name of the call in the message; the body is quoted, made printable.
    #[must_use]
    pub fn by_status(what: &str, answer: &Answer) -> Reply {
        Reply::by_status_saying(what, answer, &quoted(answer))
    }

    /// Like [`Reply::by_status`], quoting `says` instead of the body.
    #[must_use]
    pub fn by_status_saying(what: &str, answer: &Answer, says: &str) -> Reply {
        match Reply::by_status_alone(what, answer, says) {
            Reply::Fail(error) => Reply::Fail(error.with_answer(shown(answer))),
            other => other,
        }
    }

    fn by_status_alone(what: &str, answer: &Answer, says: &str) -> Reply {
        let status = answer.status;
        let says = printable(says);
        let message = |verb: &str| match says.is_empty() {
            true => format!("{what}: {verb} with status {status}"),
            false => format!("{what}: {verb} with status {status}: {says}"),
        };
        match status {
            429 | 503 => {
                let error = Error::new(Kind::Transient, message("put off"));
                Reply::Retry(match answer.retry_after() {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                })
            }
            501 => Reply::Fail(
                Error::new(Kind::Refused, message("refused"))
                    .with_hint("the server does not support this request: check base_url, and a proxy on the way"),
            ),
            408 | 500.. => {
                let error = Error::new(Kind::Transient, message("failed"));
                Reply::Unclear(match answer.retry_after() {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                })
            }
            401 | 403 => Reply::Fail(
                Error::new(Kind::Credentials, message("refused"))
                    .with_hint("check the credentials of the destination and what they are allowed to do"),
            ),
            300..=399 => Reply::Fail(
                Error::new(
                    Kind::Refused,
                    format!("{what}: redirected with status {status}; redirects are not followed"),
                )
                .with_hint("check base_url or the region of the destination"),
            ),
            _ => Reply::Fail(Error::new(Kind::Refused, message("refused")).with_hint(match status {
                404 | 405 | 410 => {
                    "the platform does not know it: check the ids, names and addresses (base_url) of the destination"
                }
                413 => "it is larger than the platform accepts: set a smaller max_part_bytes if the destination has it, or send fewer records",
                415 => "check what the destination says of the format, and a proxy on the way",
                _ => "correct the job file as the answer says, then run the job again",
            })),
        }
    }
}

/// Maximum size of a JSON answer that `platform_result` contains completely; others are quoted.
const MAX_SHOWN_BYTES: usize = 4096;

/// Returns a refusal for `platform_result`: its status, and its body as JSON or quoted.
pub(crate) fn shown(answer: &Answer) -> Value {
    let body = match read_json(&answer.body) {
        Some(tree @ (Value::Object(_) | Value::Array(_))) if answer.body.len() <= MAX_SHOWN_BYTES => tree,
        _ => Value::from(quoted(answer)),
    };
    json!({"status": answer.status, "answer": body})
}

/// Returns the body of an answer for a message: one line, printable, cut.
#[must_use]
pub fn quoted(answer: &Answer) -> String {
    quoted_text(&String::from_utf8_lossy(&answer.body))
}

/// Returns a text of the platform for a message: one line, printable, cut.
pub(crate) fn quoted_text(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(QUOTED_CHARS) {
        line.truncate(cut);
        // half a word may be half a secret, which would not be recognised any more
        let whole = line.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "%+/=_-.~\\&;#".contains(c));
        line.truncate(whole.len().max(cut - cut.min(LONGEST_WORD)));
        line.push('…');
    }
    printable(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: b"  why \n not\x1b[1m ".to_vec() }
    }

    #[test]
    fn statuses_fall_into_classes() {
        let class = |status| match Reply::by_status("x", &answer(status)) {
            Reply::Done(_) => "done".to_owned(),
            Reply::Retry(_) => "retry".to_owned(),
            Reply::Strange(_) => "strange".to_owned(),
            Reply::Unclear(_) => "unclear".to_owned(),
            Reply::Fail(error) => error.kind().name().to_owned(),
        };
        for (status, want) in [
            (429, "retry"),
            (503, "retry"),
            (408, "unclear"),
            (500, "unclear"),
            (502, "unclear"),
            (504, "unclear"),
            (501, "refused"),
            (401, "credentials"),
            (403, "credentials"),
            (302, "refused"),
            (400, "refused"),
            (404, "refused"),
            (413, "refused"),
        ] {
            assert_eq!(class(status), want, "{status}");
            if let Reply::Fail(error) = Reply::by_status("x", &answer(status)) {
                assert!(error.hint().is_some(), "{status} says what to do");
            }
        }
    }

    #[test]
    fn a_refusal_carries_what_was_answered() {
        let of = |status, body: &str| {
            let answer = Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
            match Reply::by_status("x", &answer) {
                Reply::Fail(error) => error.answer().cloned(),
                _ => None,
            }
        };
        let tree = json!({"status": 413, "answer": {"error": "too large", "id": "12345678901234567890123"}});
        assert_eq!(of(413, r#"{"error": "too large", "id": 12345678901234567890123}"#), Some(tree));
        assert_eq!(of(404, "not\nhere"), Some(json!({"status": 404, "answer": "not here"})));
        assert_eq!(of(401, ""), Some(json!({"status": 401, "answer": ""})));
        assert_eq!(of(503, "later"), None, "a temporary fault is not a refusal");
        let long = format!("[{}1]", "1,".repeat(MAX_SHOWN_BYTES));
        assert!(of(400, &long).expect("an answer")["answer"].is_string());
    }

    #[test]
    fn the_body_is_quoted_on_one_line_without_control_characters() {
        assert_eq!(quoted(&answer(400)), "why not\\u{1b}[1m");
        let long = Answer { status: 400, headers: Vec::new(), body: vec![b'x'; 9000] };
        assert_eq!(quoted(&long).chars().count(), QUOTED_CHARS - LONGEST_WORD + 1);
        let body = format!("{}hunter2hunter2", "x ".repeat(QUOTED_CHARS / 2 - 4)).into_bytes();
        let shown = quoted(&Answer { status: 400, headers: Vec::new(), body });
        assert!(shown.ends_with("x …"), "half a secret is not recognised as one: {shown}");
    }
}
