//! A job written in code. Its settings make the same tree as a job file, so the same checks apply.

use super::Job;
use super::config::Config;
use super::destination::Target;
use super::own::{Own, ShapeOnly};
use super::setting::{self, Setting};
use super::source::Source;
use super::written::Node;
use crate::error::Result;
use crate::mapping::{Condition, Mapped, Shape};
use crate::platform::Platform;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`Job`] in code; see [`Job::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct JobBuilder {
    tree: Map<String, Value>,
    folder: PathBuf,
    source: Option<Source>,
    own: Option<Own>,
}

impl Job {
    /// Begins a job in code. `name` identifies it: runs of the same job are found by name, platform, account and target.
    ///
    /// ```
    /// use listferry::job::destination::CleverTap;
    /// use listferry::{Env, Job, Setting, Source, column};
    ///
    /// # let dir = std::env::temp_dir().join(format!("listferry-builder-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// # std::fs::write(dir.join("people.csv"), "customer_id,plan\n17,vip\n18,free\n")?;
    /// let job = Job::builder("vip")
    ///     .folder(&dir)
    ///     .source(Source::path("people.csv"))
    ///     .only(listferry::mapping::Condition::equals("plan", "vip"))
    ///     .map("identity", column("customer_id").trim())
    ///     .destination(
    ///         CleverTap::new()
    ///             .region("in1")
    ///             .account_id(Setting::env("CLEVERTAP_ACCOUNT_ID"))
    ///             .passcode(Setting::env("CLEVERTAP_PASSCODE"))
    ///             .segment("VIP {date}")
    ///             .creator("etl")
    ///             .email("admin@example.com"),
    ///     )
    ///     .build()?;
    /// let report = job.check(&Env::default()).into_result()?;
    /// assert_eq!((report.records.written, report.records.filtered), (1, 1));
    /// # std::fs::remove_dir_all(&dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> JobBuilder {
        let tree = Map::from_iter([("name".to_owned(), Value::from(name.into()))]);
        JobBuilder { tree, folder: PathBuf::new(), source: None, own: None }
    }

    /// Reads a job from a tree of settings, such as JSON, with the keys of a job file. Relative paths are relative to
    /// `folder`; `overrides` are as in [`Job::read`].
    ///
    /// # Errors
    /// As [`Job::from_yaml`], without places.
    pub fn from_value(tree: &Value, folder: &Path, overrides: &[String]) -> Result<Job> {
        let mut node = Node::of(tree);
        for assignment in overrides {
            super::yaml::set(&mut node, assignment)?;
        }
        let config = Config::of_built(node, folder, "job")?;
        Ok(Job { overrides: super::overrides::without_secrets(config.entry, overrides), config, file: None })
    }
}

impl JobBuilder {
    /// Sets the folder that relative paths are relative to; default: the working directory.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> JobBuilder {
        self.folder = folder.into();
        self
    }

    /// Sets the source.
    pub fn source(mut self, source: Source) -> JobBuilder {
        self.source = Some(source);
        self
    }

    /// Adds a condition: records for which it does not hold are left out and counted as filtered.
    pub fn only(mut self, condition: Condition) -> JobBuilder {
        if let Value::Array(all) = self.tree.entry("where").or_insert_with(|| Value::Array(Vec::new())) {
            all.push(condition.to_value());
        }
        self
    }

    /// Sets a field of the platform's map. For fields that are lists or have keys of their own (`changes`), use
    /// [`JobBuilder::set`] with the path `map.changes`.
    pub fn map(self, field: &str, value: impl Into<Mapped>) -> JobBuilder {
        let value = value.into().to_value();
        self.set(&format!("map.{field}"), value)
    }

    /// Sets the destination: one of [`super::destination`].
    pub fn destination(mut self, target: impl Into<Target>) -> JobBuilder {
        self.tree.insert("destination".to_owned(), Value::Object(target.into().into_keys()));
        self
    }

    /// Sets the output instead of a map and a destination. Such a job can be checked, converted and measured, and the
    /// program sends the list itself.
    pub fn shape(mut self, shape: Shape) -> JobBuilder {
        let platform: Arc<dyn Platform> = Arc::new(ShapeOnly(shape));
        self.own = Some(Own { name: String::new(), platform, can_send: false });
        self
    }

    /// Sends the list to a platform that the program brings; see [`Job::with_platform`].
    pub fn platform(mut self, name: impl Into<String>, platform: impl Platform + 'static) -> JobBuilder {
        self.own = Some(Own { name: name.into(), platform: Arc::new(platform), can_send: true });
        self
    }

    /// Sets the number of rows that may be rejected; default 0.
    pub fn max_rejects(self, rows: u64) -> JobBuilder {
        self.set("rejects.max", rows)
    }

    /// Sets the time to wait for the platform's verdict; default 30 minutes.
    pub fn wait(self, time: Duration) -> JobBuilder {
        self.set("wait", time)
    }

    /// Sets any key of the job file by its path, such as `upload.attempts` or `rejects.max_percent`.
    pub fn set(mut self, path: &str, value: impl Into<Setting>) -> JobBuilder {
        setting::set(&mut self.tree, path, value.into().0);
        self
    }

    /// Validates the job as if it were a job file.
    ///
    /// # Errors
    /// `Usage`, with all faults: see [`crate::Error::all`].
    pub fn build(self) -> Result<Job> {
        let node = Node::of(&Value::Object(self.tree));
        let mut config = Config::of_built(node, &self.folder, "job")?;
        config.own = self.own;
        let job = Job { config, file: None, overrides: Vec::new() };
        match self.source {
            Some(source) => job.with_source(source),
            None => Ok(job),
        }
    }
}
