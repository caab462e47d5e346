//! APSIS One exports: as a job's source, and for the command `export`.

use super::config::Config;
use super::open::over_its_own;
use super::pass::make_private_dir;
use super::secrets::JobSecrets;
use super::{Env, Job};
use crate::calls::{JobSeed, Journal as _, MemoryJournal, Remote};
use crate::error::{Error, Kind, Result};
pub(crate) use crate::origin::apsis::REQUESTED;
use crate::origin::apsis::{Apsis, ApsisOptions, Fetched, Format, ORIGIN, Report};
use crate::settings::{Secrets, Settings};
use crate::source::temporary::Temporary;
use crate::source::{Compression, Source, SourceOptions};
use crate::transport::same_origin;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Job {
    /// Fetches the export of `source.apsis` into a file, decoded. An existing file stays until the new one is complete.
    ///
    /// # Errors
    /// `Usage`: the job has no export, or `target` is its job file; otherwise as [`Apsis::export`].
    pub async fn export(&self, env: &Env, target: &Path) -> Result<Fetched> {
        let config = &self.config;
        if self.is_file(target) {
            return Err(over_its_own("job file", target));
        }
        let secrets = JobSecrets::new(Arc::clone(&env.variables), &config.folder, &env.taint);
        let secrets = if env.sandbox { secrets.for_sandbox("made-up-for-the-sandbox") } else { secrets };
        let apsis = apsis(config, &secrets)?
            .ok_or_else(|| Error::usage("source.apsis is required").with_hint("it describes the export to fetch"))?;
        let client = config.client(env, &secrets)?;
        secrets.log_literal();
        let kept = Kept::of(env, &apsis.key());
        let journal = MemoryJournal::default();
        if let Some(requested) = kept.read() {
            journal.store(REQUESTED, &requested)?;
        }
        let keep = |key: &str, value: &Value| {
            if key == REQUESTED {
                kept.write(value);
            }
            Ok(())
        };
        let seed = JobSeed { run_id: "export".to_owned(), random: apsis.key(), date: String::new() };
        let remote =
            Remote::new(&seed, &journal, &client, self.policy()).with_keeper(&keep).with_clock(&*env.world.clock);
        let fetched = apsis.export(&remote, target).await;
        // an export that may still come is waited for by the job's next export
        let may_come = fetched.as_ref().is_err_and(|error| !matches!(error.kind(), Kind::Refused | Kind::Usage));
        if !may_come {
            kept.remove();
        }
        fetched
    }
}

/// Stores the request of `export`, so that the next one waits for the same export: in a private file in the state
/// directory. Without a state directory, each export makes a new request.
struct Kept(Option<PathBuf>);

impl Kept {
    fn of(env: &Env, key: &str) -> Kept {
        Kept(env.state_dir().ok().map(|dir| dir.join(format!("export-{key}.json"))))
    }

    fn read(&self) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.0.as_ref()?).ok()?).ok()
    }

    fn write(&self, requested: &Value) {
        let Some(path) = &self.0 else { return };
        let written = path.parent().map_or(Ok(()), make_private_dir).and_then(|()| {
            let mut file = Temporary::private(path)?;
            std::io::Write::write_all(&mut file.file, requested.to_string().as_bytes())
                .map_err(|error| Error::io(format!("writing {}", path.display()), error))?;
            file.replace()
        });
        if let Err(error) = written {
            tracing::warn!("the next export will not wait for this one: {error}");
        }
    }

    fn remove(&self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
            // removes a directory that was created only for the file
            let _ = path.parent().map(std::fs::remove_dir);
        }
    }
}

/// Returns the export of a job, if its source is one.
///
/// # Errors
/// `Usage`: a key is missing or invalid, or a secret is not set.
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
        // sent byte for byte
        Some(Value::String(text)) if text.trim_start().starts_with('{') && is_json(text) => Value::String(text.clone()),
        Some(_) => {
            return Err(Error::usage("source.apsis.request must be a mapping, or JSON as a text")
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
    options.trusted_origin = settings.opt_text("trusted_origin")?;
    if let Some(trusted) = &options.trusted_origin
        && !same_origin(trusted, trusted)
    {
        return Err(Error::usage("source.apsis.trusted_origin must be scheme and host of an address")
            .with_hint("for example https://files.example.com: if the export is on another host"));
    }
    Ok(Some(Apsis::new(options)))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// Fetches the export into the spool and opens it. Its owner removes [`Source::spool_path`] when the run has ended. A
/// resumed run waits for the export that it had requested.
///
/// # Errors
/// `Usage`: the export is not CSV; otherwise as [`Apsis::spool`].
pub(crate) async fn spooled(config: &Config, secrets: &dyn Secrets, dir: &Path, remote: &Remote<'_>) -> Result<Source> {
    let is_xlsx = config.source.apsis.as_ref().is_some_and(|map| map.get("format") == Some(&Value::from("xlsx")));
    if is_xlsx {
        return Err(Error::usage("source.apsis.format: a job's source has to be csv").with_hint("format: csv"));
    }
    let apsis = apsis(config, secrets)?.ok_or_else(|| Error::usage("source.apsis is required"))?;
    let (path, fetched) = apsis.spool(remote, dir, config.spool.max_bytes).await?;
    tracing::info!(bytes = fetched.bytes, "the export is spooled");
    Source::open_spooled(&path, "apsis", &plain(&config.source.open))
}

/// The export is decoded when it is spooled.
fn plain(options: &SourceOptions) -> SourceOptions {
    let mut options = options.clone();
    options.compression = Compression::None;
    options
}
