//! The result of one check.

use crate::error::{Error, Kind};
use serde_json::{Value, json};

/// The result of one check of [`crate::job::Job::doctor`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The check: `source`, `dns api.example.com`, …
    pub check: String,
    /// Whether it passed.
    pub health: Health,
    /// The finding in words.
    pub message: String,
    /// The advice.
    pub hint: Option<String>,
    /// The kind of the failure; it decides the exit code.
    pub kind: Option<Kind>,
}

/// Whether a check passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It passed.
    Ok,
    /// A run may be affected.
    Warn,
    /// A run would fail.
    Fail,
}

impl Health {
    /// Returns the name used in the output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Warn => "warn",
            Health::Fail => "fail",
        }
    }
}

impl Finding {
    pub(super) fn ok(check: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding { check: check.into(), health: Health::Ok, message: message.into(), hint: None, kind: None }
    }

    pub(super) fn warn(check: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { health: Health::Warn, hint: Some(hint.into()), ..Finding::ok(check, message) }
    }

    /// Creates the finding of a failure.
    #[must_use]
    pub fn fail(check: impl Into<String>, error: &Error) -> Finding {
        Finding {
            health: Health::Fail,
            hint: error.hint().map(str::to_owned),
            kind: Some(error.kind()),
            ..Finding::ok(check, error.to_string())
        }
    }

    /// Creates a finding for each of the errors that were found together.
    #[must_use]
    pub fn fail_all(check: &str, error: &Error) -> Vec<Finding> {
        error.all().map(|error| Finding::fail(check, error)).collect()
    }

    /// Creates the finding of a check that needs another one to pass.
    pub(super) fn skipped(check: impl Into<String>, why: &str) -> Finding {
        Finding::warn(check, format!("not checked: {why}"), "mend what fails above, then run doctor again")
    }

    /// Returns the finding as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "check": self.check, "status": self.health.name(), "message": self.message, "hint": self.hint })
    }
}
