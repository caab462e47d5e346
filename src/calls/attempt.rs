//! The result of one attempt, before the retry rule of its call is applied.

use super::Reply;
use crate::error::{Error, Kind};
use crate::transport::{Failed, Reach};

/// The result of one attempt of a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum Attempt<T> {
    /// Success.
    Done(T),
    /// The request never reached the server: repeated, whatever the call.
    Unreached(Error),
    /// The answer was "not now" or "not yet": not carried out, and repeated, whatever the call.
    Passing(Error),
    /// As `Passing`, but with an undocumented word: a warning while polling.
    Strange(Error),
    /// It is unknown whether it was carried out: repeated or in doubt, by the call's [`super::RetrySafety`].
    Unclear(Error),
    /// Carried out with other bytes than were sent: repeated once, then refused.
    Altered(Error),
    /// Not carried out, and a repetition would fail the same way.
    Final(Error),
}

impl<T> Attempt<T> {
    /// Rewrites the error, if there is one.
    #[must_use]
    pub fn map_error(self, rewrite: impl FnOnce(Error) -> Error) -> Attempt<T> {
        match self {
            Attempt::Done(value) => Attempt::Done(value),
            Attempt::Unreached(error) => Attempt::Unreached(rewrite(error)),
            Attempt::Passing(error) => Attempt::Passing(rewrite(error)),
            Attempt::Strange(error) => Attempt::Strange(rewrite(error)),
            Attempt::Unclear(error) => Attempt::Unclear(rewrite(error)),
            Attempt::Altered(error) => Attempt::Altered(rewrite(error)),
            Attempt::Final(error) => Attempt::Final(rewrite(error)),
        }
    }

    /// Converts the attempt to another type; `done` converts the value of a success.
    #[must_use]
    pub fn map<U>(self, done: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Attempt::Done(value) => Attempt::Done(done(value)),
            Attempt::Unreached(error) => Attempt::Unreached(error),
            Attempt::Passing(error) => Attempt::Passing(error),
            Attempt::Strange(error) => Attempt::Strange(error),
            Attempt::Unclear(error) => Attempt::Unclear(error),
            Attempt::Altered(error) => Attempt::Altered(error),
            Attempt::Final(error) => Attempt::Final(error),
        }
    }
}

impl From<Reply> for Attempt<serde_json::Value> {
    fn from(reply: Reply) -> Attempt<serde_json::Value> {
        match reply {
            Reply::Done(value) => Attempt::Done(value),
            Reply::Retry(error) => Attempt::Passing(error),
            Reply::Strange(error) => Attempt::Strange(error),
            Reply::Unclear(error) => Attempt::Unclear(error),
            Reply::Fail(error) => Attempt::Final(error),
        }
    }
}

/// Returns the attempt of a request that got no answer. If `supplied`, the URL came from an answer, so an unusable URL
/// is the platform's fault and not the user's.
pub(crate) fn failed<T>(failed: Failed, supplied: bool) -> Attempt<T> {
    let Failed { reach, error } = failed;
    match reach {
        Reach::NotConnected => Attempt::Unreached(error),
        Reach::Lost | Reach::EarlySuccess => Attempt::Unclear(error),
        Reach::Altered => Attempt::Altered(error),
        Reach::Permanent if supplied && error.kind() == Kind::Usage => Attempt::Final(
            error.into_kind(Kind::Refused).with_hint("the answer contains an unusable address; nothing was sent there"),
        ),
        // an incomplete request cannot have been carried out
        Reach::Body | Reach::Permanent => Attempt::Final(error),
    }
}
