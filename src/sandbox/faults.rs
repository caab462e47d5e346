//! Faults on demand: `NAME` or `NAME=N`, N being how many requests are concerned or what the fault asks for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A fault to inject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    name: &'static str,
    number: u64,
}

impl Fault {
    /// Names and what they do. `=N` is the number of requests concerned (default 1) unless the text says otherwise.
    pub const NAMES: &'static [(&'static str, &'static str)] = &[
        ("url-not-generated", "CleverTap: the plain-text answer instead of a URL"),
        ("url-500", "CleverTap: 500 instead of a URL"),
        ("url-expired", "CleverTap: a URL that has expired already"),
        ("put-503", "storage: 503 SlowDown"),
        ("put-403-early", "storage: 403 after 64 KiB of the body, then close"),
        ("put-reset", "storage: the connection is cut after 64 KiB of the body"),
        ("put-stall", "storage: the body is not read"),
        ("put-lost", "storage: the body is taken whole and stored, then the connection is cut"),
        ("early-2xx", "storage: 200 before the body was read"),
        ("completed-500", "CleverTap: 500 to the completed call"),
        ("completed-503", "CleverTap: 503 to the completed call"),
        ("completed-lost", "CleverTap: the completed call is done, then the connection is cut"),
        ("completed-fail-200", "CleverTap: status fail with 200 to the completed call"),
        ("upload-503", "Localytics, mediarithmics: 503 with Retry-After 1 to an upload"),
        ("upload-500", "Localytics, mediarithmics: 500 to an upload"),
        ("upload-429", "Localytics, mediarithmics: 429 to an upload"),
        ("upload-reset", "Localytics, mediarithmics: the connection is cut after 64 KiB of an upload"),
        ("upload-lost", "Localytics, mediarithmics: an upload is taken, then the connection is cut"),
        ("create-lost", "mediarithmics: the import is created, then the connection is cut"),
        ("pending", "any: N polls before the verdict"),
        ("status-500", "any: 500 to a status call"),
        ("sloppy-json", "Localytics: the document's own invalid JSON in the status"),
        ("import-failed", "any: the verdict is a failed import"),
        ("reject-every", "any: every Nth record is refused by the platform"),
    ];

    /// Reads `NAME` or `NAME=N`.
    ///
    /// # Errors
    /// An unknown name or a number that is none, in words.
    pub fn parse(text: &str) -> Result<Fault, String> {
        let (name, number) = match text.split_once('=') {
            None => (text, 1),
            Some((name, number)) => {
                (name, number.parse().map_err(|_| format!("--fault {text}: {number:?} is no number"))?)
            }
        };
        match Fault::NAMES.iter().find(|(known, _)| *known == name) {
            Some((name, _)) => Ok(Fault { name, number }),
            None => {
                let known: Vec<&str> = Fault::NAMES.iter().map(|(name, _)| *name).collect();
                Err(format!("--fault {name}: no such fault; known are {}", known.join(", ")))
            }
        }
    }
}

/// What is still to go wrong.
pub(crate) struct Faults(Mutex<HashMap<&'static str, u64>>);

impl Faults {
    pub(super) fn new(faults: Vec<Fault>) -> Faults {
        Faults(Mutex::new(faults.into_iter().map(|fault| (fault.name, fault.number)).collect()))
    }

    /// True as often as the fault was asked for.
    pub(super) fn take(&self, name: &str) -> bool {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match faults.get_mut(name) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// The number that goes with a fault; 0 where it was not asked for.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
    }
}
