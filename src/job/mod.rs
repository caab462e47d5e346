//! The job: reads the file, runs the steps, accounts, reports.
//!
//! Everything that the binary does is a call here; there is no global state, no printing and no process exit.

mod builder;
mod choices;
mod conclude;
mod config;
mod context;
mod convert_async;
mod course;
mod decide;
mod delivered;
pub mod destination;
mod difference;
mod doctor;
mod draw;
mod earlier;
mod env;
mod examples;
mod export;
mod feed;
mod find;
mod html;
mod identity;
mod init;
mod interrupted;
pub mod journal;
mod json_rows;
mod keys;
mod lists;
mod measure;
mod measuring;
mod named;
mod offline;
mod open;
mod open_run;
mod overrides;
mod own;
mod packed;
mod pass;
mod places;
mod plan_text;
mod planned;
mod reject_codes;
mod rejects;
mod report;
mod report_schema;
mod run;
mod run_plan;
mod runs;
mod schema;
mod secret_command;
mod secrets;
mod sections;
mod setting;
mod settle;
mod shown_rejects;
mod shown_text;
mod source;
#[cfg(feature = "arrow")]
mod source_arrow;
mod standing_words;
mod start;
mod sweep;
mod text;
mod timezone;
mod try_examples;
mod unknown;
mod variables;
mod watcher;
mod with;
mod words;
#[doc(hidden)]
pub mod world;
mod written;
mod yaml;

pub use crate::body::Progress;
pub use crate::calls::Assume;
pub use crate::secret::{escaped_json, escaped_lines, printable};
pub use builder::JobBuilder;
pub use doctor::{Finding, Health};
pub use env::{Announce, Env, OnProgress, Snapshot, Stage};
pub use feed::Feed;
pub use html::HtmlOptions;
pub use init::{Draft, draft};
pub use interrupted::Stopped;
pub use offline::PreviewRow;
pub use reject_codes::REJECT_CODES;
pub use report::{Bytes, PartReport, Records, Report, Seconds, Status, peak_rss_bytes};
pub use report_schema::report_schema;
pub use run_plan::RunPlan;
pub use runs::{Pruned, close, init, prune, reported, state};
pub use schema::schema;
pub use secrets::Lookup;
pub use setting::Setting;
pub use shown_rejects::RejectForm;
pub use source::Source;
pub use sweep::StateSize;
pub use try_examples::ExampleResult;

use crate::error::{Error, Result};
use config::Config;
use std::path::{Path, PathBuf};

/// A job file, read and validated.
///
/// ```
/// use listferry::job::{Env, Job};
///
/// let dir = std::env::temp_dir();
/// # let dir = dir.join(format!("listferry-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// std::fs::write(dir.join("vip.csv"), "customer_id\n17\n18\n")?;
/// let job = Job::read(
///     "source: { path: vip.csv }\n\
///      map: { identity: customer_id }\n\
///      destination: { platform: clevertap, region: in1, account_id: { env: ID }, passcode: { env: PASS },\n\
///                     segment: VIP, creator: Jane, email: jane@example.com }",
///     &dir,
///     &["wait=0".to_owned()],
/// )?;
/// assert_eq!(job.platform(), Some("clevertap"));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Job {
    config: Config,
    /// The file it was read from.
    file: Option<PathBuf>,
    /// Overrides as given, without those that contain a secret; kept with the run for `resume`.
    overrides: Vec<String>,
}

impl Job {
    /// Reads a job file's text. Relative paths are relative to the working directory, and the name is `job` unless the
    /// text gives one.
    ///
    /// # Errors
    /// `Usage`: invalid YAML, an unknown key (with the nearest one), or an invalid value.
    pub fn from_yaml(text: &str) -> Result<Job> {
        Job::read(text, Path::new(""), &[])
    }

    /// Like [`Job::from_yaml`], with the folder that relative paths are relative to, and overrides `key.path=value`.
    ///
    /// # Errors
    /// As [`Job::from_yaml`].
    pub fn read(text: &str, folder: &Path, overrides: &[String]) -> Result<Job> {
        let config = Config::read(text, "job file", folder, "job", overrides)?;
        Ok(Job { overrides: overrides::without_secrets(config.entry, overrides), config, file: None })
    }

    /// Reads a job file. Its name without ending is the job's unless it gives another; its folder is the one that
    /// relative paths are relative to.
    ///
    /// # Errors
    /// As [`Job::from_yaml`]; `Usage`: the file does not exist, cannot be read, or is not UTF-8.
    pub fn open(path: impl AsRef<Path>) -> Result<Job> {
        Job::open_with(path.as_ref(), &[])
    }

    /// Like [`Job::open`], with overrides `key.path=value`, as `--set` of the program; the value is parsed as YAML.
    ///
    /// # Errors
    /// As [`Job::open`].
    pub fn open_with(path: impl AsRef<Path>, overrides: &[String]) -> Result<Job> {
        let path = path.as_ref();
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => "check the path",
                std::io::ErrorKind::InvalidData => "save it as UTF-8 text",
                std::io::ErrorKind::PermissionDenied => "check that this user may read it",
                _ => "see whether another program can read it",
            };
            Error::usage(format!("the job file {shown} cannot be read: {error}")).with_source(error).with_hint(hint)
        })?;
        let name = path.file_stem().map_or_else(|| "job".into(), |stem| stem.to_string_lossy().into_owned());
        let folder = path.parent().unwrap_or(Path::new(""));
        let config = Config::read(&text, &shown, folder, &name, overrides)?;
        Ok(Job { overrides: overrides::without_secrets(config.entry, overrides), config, file: Some(path.to_owned()) })
    }

    /// Returns true if a file is a job file with a `tests` key, whether or not it is valid otherwise.
    #[must_use]
    pub fn has_tests(path: &Path) -> bool {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let tree = yaml::parse(&text, "");
        tree.is_ok_and(|tree| tree.get(examples::TESTS).is_some() && tree.get("source").is_some())
    }

    /// Returns its name. Together with platform, address, account and target it identifies the runs of the same job.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Returns the destination's platform.
    #[must_use]
    pub fn platform(&self) -> Option<&str> {
        match &self.config.own {
            Some(own) => Some(own.name.as_str()).filter(|_| own.can_send),
            None => self.config.entry.map(|entry| entry.name),
        }
    }
}
