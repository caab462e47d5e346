//! Classifies responses that are not the file, and errors in the words of a source.

use super::address::Hints;
use crate::calls::{Attempt, Reply, quoted};
use crate::error::{Error, Kind};
use crate::transport::Answer;

/// Whether the file has been pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// The run has not started to read it.
    Opening,
    /// The run has begun to read it.
    Reading,
}

/// Returns the error for a file that is not what it was.
pub(super) fn changed(name: &str, what: &str) -> Error {
    Error::new(Kind::SourceChanged, format!("{name} {what} while it was read"))
        .with_hint("publish the list under another name, or replace it when no run reads it; then run again")
}

/// Returns the error for a server that answers in a way that no retry helps with.
pub(super) fn unreadable(name: &str, what: &str) -> Error {
    Error::new(Kind::Local, format!("{name}: {what}"))
        .with_hint("look at the address with curl -v; the server, or a proxy on the way, is at fault")
}

/// Returns the error for a response that may be another one next time.
pub(super) fn strange(name: &str, what: &str) -> Error {
    Error::new(Kind::Transient, format!("{name}: {what}"))
}

/// Classifies a response other than the file.
pub(super) fn refusal<T>(name: &str, hints: &Hints, answer: &Answer, when: When) -> Attempt<T> {
    let status = answer.status;
    // a page for people says no more than the status
    let is_page = answer.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/html"));
    let says = if is_page { String::new() } else { in_xml(answer).unwrap_or_else(|| quoted(answer)) };
    let colon = if says.is_empty() { "" } else { ": " };
    let refused = || format!("{name}: refused with status {status}{colon}{says}");
    match (status, when) {
        (401 | 403, When::Opening) => Attempt::Final(Error::new(Kind::Credentials, refused()).with_hint(hints.denied)),
        (401 | 403, When::Reading) => Attempt::Final(Error::new(Kind::Credentials, refused()).with_hint(hints.expired)),
        (404 | 410, When::Opening) => Attempt::Final(
            Error::new(Kind::Local, format!("{name}: the server has no such file (status {status}{colon}{says})"))
                .with_hint(hints.missing),
        ),
        (404 | 410, When::Reading) => Attempt::Final(changed(name, "was removed")),
        (412, When::Reading) => Attempt::Final(changed(name, "was replaced")),
        (408 | 429 | 500 | 502..=599, _) => match Reply::by_status_saying(name, answer, &says) {
            Reply::Retry(error) => Attempt::Passing(error),
            Reply::Unclear(error) | Reply::Strange(error) | Reply::Fail(error) => Attempt::Unclear(error),
            Reply::Done(_) => Attempt::Unclear(strange(name, &format!("status {status}"))),
        },
        _ => Attempt::Final(Error::new(Kind::Local, refused()).with_hint(hints.other)),
    }
}

/// Classifies the refusal of a request that is not for the file itself.
#[cfg(feature = "store")]
pub(in crate::origin) fn refused<T>(name: &str, hints: &Hints, answer: &Answer) -> Attempt<T> {
    refusal(name, hints, answer, When::Opening)
}

/// Returns code and message of a refusal in XML, as object stores write it.
fn in_xml(answer: &Answer) -> Option<String> {
    let text = String::from_utf8_lossy(&answer.body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.trim().to_owned())
    };
    let code = element("Code")?;
    let said = match element("Message") {
        Some(message) => format!("{code}: {}", message.lines().next().unwrap_or_default()),
        None => code,
    };
    Some(crate::secret::printable(&said.chars().take(300).collect::<String>()))
}

/// Replaces the kind of errors that are about platforms: a source cannot be read.
pub(super) fn of_source(error: Error) -> Error {
    match error.kind() {
        Kind::Refused => error.into_kind(Kind::Local),
        _ => error,
    }
}
