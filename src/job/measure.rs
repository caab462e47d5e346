//! Measures the list of a job for a program that sends it itself.

use super::Job;
use super::config::Config;
use super::env::Env;
use super::pass::{PassOne, Prepared};
use super::rejects::Rejects;
use super::report::Report;
use crate::body::Measured;
use crate::calls::aside;
use crate::error::{Error, Result};
use crate::origin::Passes;
use crate::warning::{Warning, WarningKind};

impl Job {
    /// Runs pass one, as [`Job::check`] does, and returns what it found: counts, parts, digest, and the bodies that send
    /// them. The source must stay unchanged until they have been sent.
    ///
    /// Blocks while it reads the source. In a runtime use [`Job::measure_async`].
    ///
    /// # Errors
    /// As the report of [`Job::check`], which is attached: see [`Error::report`].
    ///
    /// ```
    /// use listferry::{Env, Job, Shape, Source, column};
    ///
    /// let job = Job::builder("people")
    ///     .source(Source::from_reader("people", &b"email\na@example.com\n"[..]))
    ///     .shape(Shape::ndjson([column("email").required()])?)
    ///     .build()?;
    /// let measured = job.measure(&Env::default())?;
    /// let part = &measured.parts()[0];
    /// assert_eq!((part.records, part.bytes), (1, 26));
    /// let body = measured.body(part); // an http_body::Body, a Stream, and a reader of exactly 26 bytes
    /// assert_eq!(body.content_length(), 26);
    /// # Ok::<(), listferry::Error>(())
    /// ```
    pub fn measure(&self, env: &Env) -> Result<Measured> {
        let mut found = None;
        let report = self.offline("measure", env, |job, report| {
            let prepared = job.config.prepare_offline()?;
            found = job.measure_offline("measure", env, &prepared, report)?;
            Ok(())
        });
        let report = report.into_result()?;
        found.ok_or_else(|| Error::usage("the platform has the list already").with_attached(report))
    }

    /// [`Job::measure`] on a thread of its own.
    ///
    /// # Errors
    /// As [`Job::measure`]; `Local`: the thread cannot start.
    pub async fn measure_async(&self, env: &Env) -> Result<Measured> {
        let (job, env) = (self.clone(), env.clone());
        aside(false, move || job.measure(&env)).await?
    }

    /// Runs pass one without calls. `None` if the platform needs no source.
    pub(super) fn measure_offline(
        &self,
        command: &str,
        env: &Env,
        prepared: &Prepared,
        report: &mut Report,
    ) -> Result<Option<Measured>> {
        let config = &self.config;
        if let Some(text) = &prepared.plan.remark {
            tracing::warn!("{text}");
            report.warn(Warning::new(WarningKind::Note, text.as_str()));
        }
        if !prepared.plan.needs_source {
            return Ok(None);
        }
        let mut rejects = Rejects::new(config, env, &format!("{}.{command}", config.name));
        // choosing a separator reads the source once more
        let source = self.open_offline(env, Passes::Several, report)?;
        let last_read = self.last_read(env, report);
        let split = Config::split(&prepared.plan.limits);
        let policy = self.policy();
        let pass = PassOne { split: &split, last_read, policy: &policy, rejects: &mut rejects };
        config.pass_one(env, prepared, source, pass, report).map(Some)
    }
}
