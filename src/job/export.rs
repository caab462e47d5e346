//! The command `export`: fetches the list of a job whose source is an export.

use super::open::over_its_own;
use super::pass::make_private_dir;
use super::secrets::JobSecrets;
use super::{Env, Job};
use crate::calls::{JobSeed, Journal as _, MemoryJournal, Remote};
use crate::error::{Error, Kind, Result};
use crate::origin::{Fetched, ORIGINS, REQUESTED};
use crate::source::temporary::Temporary;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Job {
    /// Returns the platform that the source is an export of; `None` if the source is something else.
    #[must_use]
    pub fn exports_from(&self) -> Option<&'static str> {
        self.config.source.entry.filter(|entry| entry.is_export).map(|entry| entry.key)
    }

    /// Fetches the export that is the job's source into a file, decoded. An existing file stays until the new one is
    /// complete.
    ///
    /// # Errors
    /// `Usage`: the source is not an export, or `target` is the job file; otherwise those of the export.
    pub async fn export(&self, env: &Env, target: &Path) -> Result<Fetched> {
        let config = &self.config;
        if self.is_file(target) {
            return Err(over_its_own("job file", target));
        }
        let secrets = JobSecrets::new(Arc::clone(&env.variables), &config.folder, &env.taint);
        let secrets = if env.sandbox { secrets.for_sandbox("made-up-for-the-sandbox") } else { secrets };
        let origin = config.origin(&secrets)?;
        let export = origin.as_ref().and_then(|origin| origin.as_export()).ok_or_else(not_an_export)?;
        let client = config.client(env, &secrets)?;
        secrets.log_literal();
        let key = export.key();
        let kept = Kept::of(env, &key);
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
        let seed = JobSeed { run_id: "export".to_owned(), random: key, date: String::new() };
        let remote =
            Remote::new(&seed, &journal, &client, self.policy()).with_keeper(&keep).with_clock(&*env.world.clock);
        let fetched = export.fetch(&remote, target).await;
        // an export that may still come is waited for by the job's next export
        let may_come = fetched.as_ref().is_err_and(|error| !matches!(error.kind(), Kind::Refused | Kind::Usage));
        if !may_come {
            kept.remove();
        }
        fetched
    }
}

fn not_an_export() -> Error {
    let keys: Vec<String> =
        ORIGINS.iter().filter(|entry| entry.is_export).map(|entry| format!("source.{}", entry.key)).collect();
    Error::usage(format!("{} is required", keys.join(" or "))).with_hint("it describes the export to fetch")
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
