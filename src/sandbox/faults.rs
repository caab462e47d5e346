//! Faults on demand: `NAME` or `NAME=N`, with N the number of affected requests or a value that the fault needs.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A fault to inject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    name: &'static str,
    number: u64,
}

impl Fault {
    /// Names and effects. `=N` is the number of affected requests (default 1) unless the text says otherwise.
    pub const NAMES: &'static [(&'static str, &'static str)] = &[
        ("url-not-generated", "CleverTap: the plain-text answer instead of a URL"),
        ("url-500", "CleverTap: 500 instead of a URL"),
        ("url-expired", "CleverTap: a URL that has expired already"),
        ("put-503", "storage: 503 SlowDown"),
        ("put-403-early", "storage: 403 after 64 KiB of the body, then close"),
        ("put-reset", "storage: the connection is cut after 64 KiB of the body"),
        ("put-stall", "storage: the body is not read"),
        ("put-lost", "storage: the whole body is read and stored, then the connection is cut"),
        ("early-2xx", "storage: 200 before the body was read"),
        ("put-307", "storage: 307 to the same address"),
        ("completed-cut", "CleverTap: the completed call is done, its answer ends in the middle"),
        ("completed-500", "CleverTap: 500 to the completed call"),
        ("completed-503", "CleverTap: 503 to the completed call"),
        ("completed-lost", "CleverTap: the completed call is done, then the connection is cut"),
        ("completed-fail-200", "CleverTap: status fail with 200 to the completed call"),
        ("upload-503", "Localytics, mediarithmics, Yesmail: 503 with Retry-After 1 to an upload"),
        ("upload-500", "Localytics, mediarithmics, Yesmail: 500 to an upload"),
        ("upload-429", "Localytics, mediarithmics: 429 to an upload"),
        ("upload-reset", "Localytics, mediarithmics: the connection is cut after 64 KiB of an upload"),
        ("upload-cut", "Localytics, mediarithmics, Yesmail: an upload is accepted, its answer ends in the middle"),
        ("part-fails", "mediarithmics: parts after the first fail, cut and 503 in turn, N times in all"),
        ("auth-401", "Localytics, mediarithmics, Yesmail: 401 to a request"),
        ("upload-lost", "Localytics, mediarithmics, Yesmail: an upload is accepted, then the connection is cut"),
        ("create-lost", "mediarithmics: the import is created, then the connection is cut"),
        ("ignore-row", "Yesmail: the record with index N, from 0, is ignored; may be given several times"),
        ("attributes", "Yesmail: target lists have the attributes firstname and lastname and no others"),
        ("ping-503", "Yesmail: 503 to a ping"),
        ("ticket-retrying", "Yesmail: N polls of a ticket find it retrying"),
        ("pull-cut", "Yesmail: the fetching of the file is cut, then tried again from the start"),
        ("export-410", "APSIS One: the export is gone"),
        ("export-cut", "APSIS One: the export ends in its middle"),
        ("token-401", "APSIS One: the token has expired when the export is polled"),
        ("no-v2", "APSIS One: the report is answered without file_download_url_v2"),
        ("rows", "APSIS One: exports have N rows instead of 1000"),
        ("pending", "any: N polls before the verdict"),
        ("status-500", "any: 500 to a status call"),
        ("sloppy-json", "Localytics: the document's own invalid JSON in the status"),
        ("import-failed", "any: the verdict is a failed import"),
        ("reject-every", "any: every Nth record is refused by the platform"),
        ("reject-row", "any: the record with index N, from 0, of each upload is refused; may be given several times"),
    ];

    /// Parses `NAME` or `NAME=N`.
    ///
    /// # Errors
    /// A message, for an unknown name or an invalid number.
    pub fn parse(text: &str) -> Result<Fault, String> {
        let (name, number) = match text.split_once('=') {
            None => (text, 1),
            Some((name, number)) => {
                (name, number.parse().map_err(|_| format!("--fault {text}: {number:?} is not a number"))?)
            }
        };
        if name == "reject-every" && number == 0 {
            return Err(format!("--fault {text}: N must be 1 or more"));
        }
        match Fault::NAMES.iter().find(|(known, _)| *known == name) {
            Some((name, _)) => Ok(Fault { name, number }),
            None => {
                let known: Vec<&str> = Fault::NAMES.iter().map(|(name, _)| *name).collect();
                Err(format!("--fault {name}: no such fault; known are {}", known.join(", ")))
            }
        }
    }
}

/// The faults that are still to be injected.
pub(crate) struct Faults(Mutex<Vec<Fault>>);

/// The records that the platform refuses on demand.
#[derive(Clone, Debug)]
pub(super) struct Fated {
    every: u64,
    rows: Vec<u64>,
}

impl Fated {
    /// Returns true if the record with this index is to be refused.
    pub(super) fn refuses(&self, index: u64) -> bool {
        (self.every > 0 && (index + 1).is_multiple_of(self.every)) || self.rows.contains(&index)
    }
}

impl Faults {
    pub(super) fn new(faults: Vec<Fault>) -> Faults {
        Faults(Mutex::new(faults))
    }

    /// Returns true as often as the fault was requested.
    pub(super) fn take(&self, name: &str) -> bool {
        self.left(name) > 0
    }

    /// Returns how often the fault was still to occur, including this time.
    pub(super) fn left(&self, name: &str) -> u64 {
        match self.lock().iter_mut().find(|fault| fault.name == name && fault.number > 0) {
            Some(fault) => {
                fault.number -= 1;
                fault.number + 1
            }
            None => 0,
        }
    }

    /// Returns the number given with a fault; 0 if the fault was not requested.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.lock().iter().rev().find(|fault| fault.name == name).map_or(0, |fault| fault.number)
    }

    /// Returns the records to refuse.
    pub(super) fn fated(&self) -> Fated {
        Fated { every: self.number("reject-every"), rows: self.numbers("reject-row") }
    }

    /// Returns all numbers of a fault that was given several times.
    pub(super) fn numbers(&self, name: &str) -> Vec<u64> {
        self.lock().iter().filter(|fault| fault.name == name).map(|fault| fault.number).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
