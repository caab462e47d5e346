//! Exports of APSIS One: requests a report, polls its URL until the file is ready, and writes the decoded file after
//! verifying that it is complete.
//!
//! Facts and their sources are in the README beside this file.

mod decode;
mod fetch;
#[cfg(feature = "jobs")]
mod job_file;
mod requested;
mod session;
mod token;
mod urls;

pub use super::export::Fetched;
#[cfg(feature = "jobs")]
pub(crate) use {fetch::REQUESTED, job_file::ENTRY};

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

/// The platform's public address (Europe).
pub const ORIGIN: &str = "https://api.apsis.one";

/// The media type of an Excel file.
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// The report to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Profiles that share the value of an attribute.
    Duplicates,
    /// Profiles of a segment.
    Segments,
    /// Profiles by consent.
    Consents,
}

/// The file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/csv;charset=UTF-8;header=present`.
    Csv,
    /// An Excel workbook.
    Xlsx,
}

/// Which report to export, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApsisOptions {
    /// The report.
    pub report: Report,
    /// Client id of the API key.
    pub client_id: Secret,
    /// Client secret of the API key.
    pub client_secret: Secret,
    /// Body of the report request as APSIS One documents it: a tree, or JSON as a text, which is sent byte for byte.
    pub request: Value,
    /// File format; CSV by default.
    pub format: Format,
    /// Whether to request gzip; the file is decoded either way. True by default.
    pub gzip: bool,
    /// Maximum time to wait for the export; by default 24 h, the lifetime of its URL.
    pub wait: Duration,
    /// Replaces scheme, host and port of the platform's own address; [`ORIGIN`] by default.
    pub base_url: String,
    /// Another scheme, host and port that may serve files and receives the token; none by default.
    pub trusted_origin: Option<String>,
}

impl ApsisOptions {
    /// Creates options with defaults for the rest.
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

    /// Returns the body of the report request.
    fn body(&self) -> String {
        match &self.request {
            Value::String(text) => text.clone(),
            tree => tree.to_string(),
        }
    }

    /// Returns the `Accept` header of a request for the file.
    fn accept(&self) -> &'static str {
        match self.format {
            Format::Csv => "text/csv;charset=UTF-8;header=present",
            Format::Xlsx => XLSX,
        }
    }
}

/// Fetches exports of APSIS One.
///
/// ```no_run
/// use listferry::Secret;
/// use listferry::calls::{JobSeed, MemoryJournal, Policy, Remote};
/// use listferry::origin::apsis::{Apsis, ApsisOptions, Report};
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
    /// Returns a hash of address, report, request and API key that identifies an export, as 32 hex digits.
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

    /// Creates the fetcher, without contacting APSIS One.
    #[must_use]
    pub fn new(options: ApsisOptions) -> Apsis {
        Apsis { options }
    }

    /// Fetches the export into a new 0600 file in `dir`, at most `max` decoded bytes, and returns its path. Meant for a
    /// job's source: open it with [`crate::source::OpenSource::open_spooled`]. An export requested by an earlier process
    /// under the same journal is waited for if its URLs are still valid and it is not gone.
    ///
    /// # Errors
    /// As [`Apsis::export`]; `Data`: the export has more than `max` bytes.
    pub async fn spool(&self, remote: &Remote<'_>, dir: &Path, max: u64) -> Result<(PathBuf, Fetched)> {
        spool::make_private_dir(dir).map_err(|error| Error::io(format!("making {}", dir.display()), error))?;
        let mut temporary = Temporary::private(&dir.join("spool"))?;
        let fetched = self.fetch(remote, &mut temporary.file, &temporary.path, max).await?;
        temporary.sync()?;
        Ok((temporary.keep(), fetched))
    }

    /// Fetches the export into a file: writes a temporary file beside it, syncs it and renames it. An existing file
    /// stays as it is until the new one is complete. A device or a pipe receives the export once it is complete.
    ///
    /// # Errors
    /// `Credentials`: the API key or its permissions. `Refused`: the report was refused or the export is gone.
    /// `Pending`: `wait` is over. `Transient`: temporary faults outlasted the attempts, or no transfer was complete.
    /// `Local`: the disk.
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
