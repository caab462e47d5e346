//! Classifies responses that are not the file, and errors in the words of a source.

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
pub(super) fn refusal<T>(name: &str, answer: &Answer, when: When) -> Attempt<T> {
    let status = answer.status;
    // a page for people says no more than the status
    let is_page = answer.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/html"));
    let says = if is_page { String::new() } else { quoted(answer) };
    let colon = if says.is_empty() { "" } else { ": " };
    let refused = || format!("{name}: refused with status {status}{colon}{says}");
    match (status, when) {
        (401 | 403, When::Opening) => Attempt::Final(Error::new(Kind::Credentials, refused()).with_hint(
            "check source.http (user, password, headers), or whether the signature of the address has expired",
        )),
        (401 | 403, When::Reading) => Attempt::Final(Error::new(Kind::Credentials, refused()).with_hint(
            "the signature of the address, or a token in source.http, may have expired: renew it, then run again",
        )),
        (404 | 410, When::Opening) => Attempt::Final(
            Error::new(Kind::Local, format!("{name}: the server has no such file (status {status})"))
                .with_hint("check source.path"),
        ),
        (404 | 410, When::Reading) => Attempt::Final(changed(name, "was removed")),
        (412, When::Reading) => Attempt::Final(changed(name, "was replaced")),
        (408 | 429 | 500 | 502..=599, _) => match Reply::by_status_saying(name, answer, &says) {
            Reply::Retry(error) => Attempt::Passing(error),
            Reply::Unclear(error) | Reply::Strange(error) | Reply::Fail(error) => Attempt::Unclear(error),
            Reply::Done(_) => Attempt::Unclear(strange(name, &format!("status {status}"))),
        },
        _ => Attempt::Final(Error::new(Kind::Local, refused()).with_hint("check source.path and source.http")),
    }
}

/// Replaces the kind of errors that are about platforms: a source cannot be read.
pub(super) fn of_source(error: Error) -> Error {
    match error.kind() {
        Kind::Refused => error.into_kind(Kind::Local),
        _ => error,
    }
}
