//! An APSIS One export as a job's source, or for its own sake.

use super::config::Config;
use super::open::over_its_own;
use super::secrets::JobSecrets;
use super::{Env, Job};
use crate::calls::Journal;
use crate::error::{Error, Result};
use crate::settings::{Secrets, Settings};
use crate::source::apsis::{Apsis, ApsisOptions, Fetched, Format, Memory, ORIGIN, Report, Requested};
use crate::source::{Compression, Source, SourceOptions};
use crate::transport::Client;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

impl Job {
    /// Fetches the export that `source.apsis` names into a file, decoded; a file that is there stays until the new one
    /// is whole.
    ///
    /// # Errors
    /// `Usage`: the job names no export, or `target` is its job file; else as [`Apsis::export`].
    pub async fn export(&self, env: &Env, target: &Path) -> Result<Fetched> {
        let config = &self.config;
        if self.is_file(target) {
            return Err(over_its_own("job file", target));
        }
        let secrets = JobSecrets::new(Arc::clone(&env.variables), &config.folder, &env.taint);
        let secrets = if env.sandbox { secrets.for_sandbox("made-up-for-the-sandbox") } else { secrets };
        let apsis = apsis(config, &secrets)?
            .ok_or_else(|| Error::usage("source.apsis is required").with_hint("it names the export to fetch"))?;
        let client = config.client(env, &secrets)?;
        apsis.export(&client, target).await
    }
}

/// The export of a job, where its source is one.
///
/// # Errors
/// `Usage`: a key missing or wrong, a secret that is not set.
pub(crate) fn apsis(config: &Config, secrets: &dyn Secrets) -> Result<Option<Apsis>> {
    let Some(map) = &config.source.apsis else { return Ok(None) };
    let settings = Settings { map, at: "source.apsis", secrets, folder: &config.folder };
    settings.text("report")?;
    let report = match settings.one_of("report", &["duplicates", "segments", "consents"])? {
        Some("segments") => Report::Segments,
        Some("consents") => Report::Consents,
        _ => Report::Duplicates,
    };
    let request = match settings.get("request") {
        Some(Value::Object(request)) => Value::Object(request.clone()),
        Some(_) => {
            return Err(Error::usage("source.apsis.request must be a mapping")
                .with_hint("the body of the report request as APSIS One documents it"));
        }
        None => {
            return Err(Error::usage("source.apsis.request is required")
                .with_hint("the body of the report request as APSIS One documents it"));
        }
    };
    let mut options =
        ApsisOptions::new(report, settings.secret("client_id")?, settings.secret("client_secret")?, request);
    options.format = match settings.one_of("format", &["csv", "xlsx"])? {
        Some("xlsx") => Format::Xlsx,
        _ => Format::Csv,
    };
    options.gzip = settings.bool_or("gzip", true)?;
    if let Some(wait) = settings.opt_duration("wait")? {
        options.wait = wait;
    }
    options.base_url = settings.base_url(ORIGIN)?;
    options.attempts = config.upload.attempts;
    Ok(Some(Apsis::new(options)))
}

/// The fact that holds what was asked for, until it is spooled: its URLs may be secrets, and are erased as those are.
pub(crate) const REQUESTED: &str = "apsis";

/// Fetches the export into the spool and opens it; its owner removes [`Source::spool_path`] when the run has ended. A run
/// that is taken up waits for the export that it had asked for.
///
/// # Errors
/// `Usage`: an export that is no CSV; else as [`Apsis::spool_on`].
pub(crate) async fn spooled(
    config: &Config,
    secrets: &dyn Secrets,
    client: &Client,
    dir: &Path,
    journal: &dyn Journal,
) -> Result<Source> {
    let is_xlsx = config.source.apsis.as_ref().is_some_and(|map| map.get("format") == Some(&Value::from("xlsx")));
    if is_xlsx {
        return Err(Error::usage("source.apsis.format: a job's source has to be csv").with_hint("format: csv"));
    }
    let apsis = apsis(config, secrets)?.ok_or_else(|| Error::usage("source.apsis is required"))?;
    let mut keep = |requested: &Requested| journal.store(REQUESTED, &requested.to_json());
    let earlier = journal.load(REQUESTED)?.as_ref().and_then(Requested::from_json);
    let memory = Memory { earlier, keep: &mut keep };
    let (path, fetched) = apsis.spool_on(client, dir, config.spool.max_bytes, memory).await?;
    tracing::info!(bytes = fetched.bytes, "the export is spooled");
    Source::open_spooled(&path, "apsis", &plain(&config.source.open))
}

/// The export is decoded when it is spooled.
fn plain(options: &SourceOptions) -> SourceOptions {
    let mut options = options.clone();
    options.compression = Compression::None;
    options
}
