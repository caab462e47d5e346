//! The checks on this machine: job file, source, columns, secrets.

use super::finding::Finding;
use crate::error::Result;
use crate::job::identity::Intent;
use crate::job::secrets::JobSecrets;
use crate::job::text::{grouped, plural};
use crate::job::variables::Unset;
use crate::job::{Env, Job};
use crate::origin::{Origin, Passes};
use crate::platform::Effect;
use crate::settings::NoSecrets;
use crate::source::OpenSource;
use std::sync::Arc;

/// The checks so far, and what the next ones need.
pub(super) struct Local<'a> {
    pub(super) env: &'a Env,
    /// The job as it is written.
    written: &'a Job,
    /// The job with its variables filled in, as far as they are set.
    pub(super) job: Job,
    pub(super) found: Vec<Finding>,
    pub(super) secrets: JobSecrets,
    pub(super) origin: Option<Arc<dyn Origin>>,
    pub(super) source: Option<Arc<OpenSource>>,
    /// The identity of the job; `None` if a secret that belongs to it is not set.
    pub(super) intent: Option<Intent>,
}

impl<'a> Local<'a> {
    /// Checks the job file.
    pub(super) fn new(written: &'a Job, env: &'a Env) -> Local<'a> {
        let config = &written.config;
        let secrets = JobSecrets::new(Arc::clone(&env.variables), &config.folder, &env.taint);
        let job = written.in_environment(env, Unset::StandIn).map_or_else(|_| written.clone(), |(job, _)| job);
        let mut local =
            Local { env, written, job, found: Vec::new(), secrets, origin: None, source: None, intent: None };
        match local.job.config.prepare_offline() {
            Ok(_) => {
                let platform = written.platform().unwrap_or_default();
                let file = written.file.as_deref().map(|file| format!("{}: ", file.display())).unwrap_or_default();
                local.found.push(Finding::ok("job file", format!("{file}valid, for {platform}")));
            }
            Err(error) => local.found.extend(Finding::fail_all("job file", &error)),
        }
        local
    }

    /// Checks that the source can be opened, and has the columns of the map.
    pub(super) fn source(&mut self) {
        match self.open() {
            Ok(Some(message)) => self.found.push(Finding::ok("source", message)),
            Ok(None) => {
                let hint = "`listferry check` reads the list and compares the columns";
                self.found.push(Finding::warn("columns", "not checked: the list is not read here", hint));
                return;
            }
            Err(error) => {
                self.found.push(Finding::fail("source", &error));
                self.found.push(Finding::skipped("columns", "the source cannot be opened"));
                return;
            }
        }
        let Some(source) = &self.source else { return };
        let Ok(prepared) = self.job.config.prepare_offline() else {
            self.found.push(Finding::skipped("columns", "the job file is not valid"));
            return;
        };
        match self.job.config.compile(self.env, Arc::clone(source), &prepared.shape) {
            Ok((table, _)) => {
                let n = table.columns().len() as u64;
                let message = format!(
                    "the source has all columns that the job names ({} column{} in all)",
                    grouped(n),
                    plural(n)
                );
                self.found.push(Finding::ok("columns", message));
            }
            Err(error) => self.found.extend(Finding::fail_all("columns", &error)),
        }
    }

    /// Opens the source if that neither waits for data nor asks a platform for it, and describes it.
    fn open(&mut self) -> Result<Option<String>> {
        let config = &self.job.config;
        let is_export = config.source.entry.is_some_and(|entry| entry.is_export);
        let needs = config.prepare_offline().map_or(true, |prepared| prepared.plan.needs_source);
        if !needs {
            let hint = "the platform fetches an existing file: nothing is converted";
            self.found.push(Finding::ok("source", format!("not needed: {hint}")));
            return Ok(None);
        }
        self.origin = if is_export { config.origin(&NoSecrets)? } else { config.origin(&self.secrets)? };
        let Some(origin) = &self.origin else { return Err(crate::job::open::no_source()) };
        let name = match origin.name() {
            name if name == "-" => "standard input".to_owned(),
            name => name,
        };
        if origin.as_export().is_some() {
            let message = format!("{name}: an export, which only a run requests");
            self.found.push(Finding::warn(
                "source",
                message,
                "`listferry export` downloads it, to see whether it works",
            ));
            return Ok(None);
        }
        if origin.is_stream() {
            let message = format!("{name}: a stream, which is not read here");
            self.found.push(Finding::warn("source", message, "a run copies it to the state directory first"));
            return Ok(None);
        }
        let client = || config.client(self.env, &self.secrets);
        let opening = config.opening(self.env, Passes::One, None, client);
        let opening = crate::origin::Opening { in_line: true, ..opening };
        let source = crate::job::open::with_scratch(crate::calls::block_on(origin.open(&opening))?, &opening);
        let files = source.inputs().len() as u64;
        let many = if files > 1 { format!("{} files, ", grouped(files)) } else { String::new() };
        let bytes = source.stored_bytes();
        let pinned = match source.inputs().iter().any(crate::source::Input::is_once) {
            true => "read once and copied, since the server has no ranges or no version to pin",
            false => "pinned",
        };
        let message = format!("{name}: {many}{} byte{}, {pinned}", grouped(bytes), plural(bytes));
        self.source = Some(Arc::new(source));
        Ok(Some(message))
    }

    /// Checks that all secrets and variables are set.
    pub(super) fn secrets(&mut self) {
        let before = self.found.len();
        if let Err(error) = self.written.in_environment(self.env, Unset::Refuse) {
            self.found.extend(Finding::fail_all("secrets", &error));
        }
        let config = &self.job.config;
        let network = config.network(&self.secrets).map(drop);
        let source = config.origin(&self.secrets).map(drop);
        // what the job file lacks was reported above
        let valid = config.prepare_offline().is_ok();
        let destination = if valid { config.prepare(&self.secrets).map(drop) } else { Ok(()) };
        for error in [destination, source, network].into_iter().filter_map(Result::err) {
            self.found.extend(Finding::fail_all("secrets", &error));
        }
        for warning in self.secrets.literal() {
            let hint = warning.hint.unwrap_or_default();
            self.found.push(Finding::warn("secrets", warning.message, hint));
        }
        if self.found.len() == before {
            self.found.push(Finding::ok("secrets", "all that the job names are set"));
        }
        let effect = Effect::new(false, None);
        let file = self.written.file.as_deref();
        self.intent = self.job.config.intent(file, &self.written.overrides, self.env, effect, &self.secrets).ok();
    }
}
