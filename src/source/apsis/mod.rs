//! An export of APSIS One: a report is requested, its URL polled until the file streams, the file written decoded and
//! checked complete.
//!
//! Facts and their sources are in the README beside this file.

mod decode;
mod fetch;
mod requested;
mod session;
mod token;
mod urls;

#[cfg(feature = "jobs")]
pub(crate) use fetch::REQUESTED;

use crate::calls::Remote;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::source::spool;
use crate::source::temporary::{Temporary, is_special};
use serde_json::Value;
#[cfg(feature = "jobs")]
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The platform's own address (Europe).
pub const ORIGIN: &str = "https://api.apsis.one";

/// The type of an Excel file.
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Which report is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Profiles that share the value of an attribute.
    Duplicates,
    /// Profiles of a segment.
    Segments,
    /// Profiles by consent.
    Consents,
}

/// The format of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/csv;charset=UTF-8;header=present`.
    Csv,
    /// Excel.
    Xlsx,
}

/// What to export and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApsisOptions {
    /// Which report.
    pub report: Report,
    /// Of the API key.
    pub client_id: Secret,
    /// Of the API key.
    pub client_secret: Secret,
    /// The body of the report request as APSIS One documents it: a tree, or its JSON as a text, which is sent byte for byte.
    pub request: Value,
    /// Default CSV.
    pub format: Format,
    /// Whether to ask for gzip; the file is decoded either way. Default true.
    pub gzip: bool,
    /// How long to wait for the export; default 24 h, which is how long its URL lives.
    pub wait: Duration,
    /// Stands for scheme, host and port of the platform's own address; default [`ORIGIN`].
    pub base_url: String,
    /// Another scheme, host and port that files may lie on and that gets the token; default none.
    pub trusted_origin: Option<String>,
}

impl ApsisOptions {
    /// The defaults around what has none.
    #[must_use]
    pub fn new(report: Report, client_id: Secret, client_secret: Secret, request: Value) -> ApsisOptions {
        ApsisOptions {
            report,
            client_id,
            client_secret,
            request,
            format: Format::Csv,
            gzip: true,
            wait: Duration::from_secs(24 * 3600),
            base_url: ORIGIN.to_owned(),
            trusted_origin: None,
        }
    }

    /// The bytes of the report request.
    fn body(&self) -> String {
        match &self.request {
            Value::String(text) => text.clone(),
            tree => tree.to_string(),
        }
    }

    /// The `Accept` header of a question for the file.
    fn accept(&self) -> &'static str {
        match self.format {
            Format::Csv => "text/csv;charset=UTF-8;header=present",
            Format::Xlsx => XLSX,
        }
    }
}

/// A fetched export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// Decoded bytes.
    pub bytes: u64,
    /// Bytes that came over the network.
    pub received_bytes: u64,
    /// Whether they came as gzip.
    pub gzip: bool,
}

/// The way to an export.
///
/// ```no_run
/// use listferry::Secret;
/// use listferry::calls::{JobSeed, MemoryJournal, Policy, Remote};
/// use listferry::source::apsis::{Apsis, ApsisOptions, Report};
/// use listferry::transport::{Client, NetworkOptions, Timers};
///
/// # async fn fetch() -> listferry::Result<()> {
/// let request = serde_json::json!({"attributes": [{"field_name": "email"}]});
/// let options = ApsisOptions::new(Report::Duplicates, Secret::new("id"), Secret::new("secret"), request);
/// let client = Client::new(&NetworkOptions::default(), &Timers::default())?;
/// let seed = JobSeed { run_id: "1".to_owned(), random: "7".repeat(32), date: "2026-11-30".to_owned() };
/// let journal = MemoryJournal::default();
/// let remote = Remote::new(&seed, &journal, &client, Policy::default());
/// let fetched = Apsis::new(options).export(&remote, "duplicates.csv".as_ref()).await?;
/// println!("{} bytes", fetched.bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Apsis {
    options: ApsisOptions,
}

impl Apsis {
    /// What tells exports apart: address, report, request and API key, hashed; 32 hex digits.
    #[cfg(feature = "jobs")]
    pub(crate) fn key(&self) -> String {
        let mut hash = Sha256::new();
        let report = format!("{:?}", self.options.report);
        for text in [&self.options.base_url, &report, &self.options.body(), self.options.client_id.expose()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Takes the options; contacts nobody.
    #[must_use]
    pub fn new(options: ApsisOptions) -> Apsis {
        Apsis { options }
    }

    /// Fetches the export into a new 0600 file in `dir`, at most `max` bytes decoded, and names it. For a job's source:
    /// read it with [`crate::source::Source::open_spooled`]. An export that an earlier process requested under the same
    /// journal is waited for if its URLs still live and it is not gone.
    ///
    /// # Errors
    /// As [`Apsis::export`]; `Data`: more than `max` bytes.
    pub async fn spool(&self, remote: &Remote<'_>, dir: &Path, max: u64) -> Result<(PathBuf, Fetched)> {
        spool::make_private_dir(dir).map_err(|error| Error::io(format!("making {}", dir.display()), error))?;
        let mut temporary = Temporary::private(&dir.join("apsis"))?;
        let fetched = self.fetch(remote, &mut temporary.file, &temporary.path, max).await?;
        temporary.sync()?;
        Ok((temporary.keep(), fetched))
    }

    /// Fetches the export into a file: a temporary one beside it, synced, renamed. A file that is there stays as it is
    /// until the new one is whole. A device or a pipe gets it once it is whole.
    ///
    /// # Errors
    /// `Credentials`: the API key or its rights. `Refused`: the report, or the export is gone. `Pending`: `wait` is over.
    /// `Transient`: passing faults outlasted the attempts, or a transfer that is never whole. `Local`: the disk.
    pub async fn export(&self, remote: &Remote<'_>, target: &Path) -> Result<Fetched> {
        let special = is_special(target);
        let beside = if special { &std::env::temp_dir().join("listferry-export") } else { target };
        let mut temporary = Temporary::private(beside)?;
        let fetched = self.fetch(remote, &mut temporary.file, &temporary.path, u64::MAX).await?;
        if !special {
            temporary.replace()?;
            return Ok(fetched);
        }
        let copied = File::options().write(true).open(target).and_then(|mut to| {
            let mut from = File::open(&temporary.path)?;
            std::io::copy(&mut from, &mut to)
        });
        copied.map_err(|error| Error::io(format!("{} cannot be written", target.display()), error))?;
        Ok(fetched)
    }
}
