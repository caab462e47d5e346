//! Pass one of a job: opens the source, reads the header, compiles the plan, measures, and checks the limits before
//! anything is sent.

use super::config::{Config, Expect, SourceConfig};
use super::env::{Env, Stage};
use super::rejects::Rejects;
use super::report::Report;
use super::text::plural;
use crate::body::{self, Counts, Measured, Options, Split};
use crate::calls::Policy;
use crate::error::{Error, Faults, Result};
use crate::format::{self, Occurs, Table, TableOptions};
use crate::mapping::{MapSpec, Plan, Shape, ValueSpec, wanted};
use crate::platform::{Delivery, Entry, Limits, Platform};
use crate::row::Columns;
use crate::settings::{KeyKind, NoSecrets, Secrets, Settings};
use crate::source::{OpenSource, into_error};
use crate::warning::{Warning, WarningKind};
use serde_json::{Map, Value};
use sha2::Digest;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The platform of a job and the shape of its rows.
pub(crate) struct Prepared {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) shape: Shape,
    /// The facts about the delivery.
    pub(crate) plan: Delivery,
}

/// Builds the platform and the shape of its rows.
///
/// # Errors
/// `Usage`, with all faults of `destination` and `map` that can be found.
pub(super) fn built(
    entry: &Entry,
    destination: &Map<String, Value>,
    map: &MapSpec,
    secrets: &dyn Secrets,
    folder: &Path,
) -> Result<(Arc<dyn Platform>, Shape)> {
    let settings = Settings { map: destination, at: "destination", secrets, folder };
    let built = (entry.build)(&settings).map(Arc::<dyn Platform>::from);
    built.and_then(|platform| platform.shape(map).map(|shape| (platform, shape))).map_err(|error| {
        // the first of them may have hidden others
        let mut faults = Faults::default();
        faults.add(error);
        faults.or_none(Settings { map: &map.0, at: "map", secrets: &NoSecrets, folder }.check(entry.map_keys));
        let keys: Vec<_> = entry.map_keys.iter().collect();
        for (name, value) in map.0.iter().filter(|(_, value)| !value.is_null()) {
            if super::unknown::known(&keys, name).is_some_and(|key| matches!(key.kind, KeyKind::Value)) {
                faults.or_none(ValueSpec::parse(value, &format!("map.{name}"), &[]));
            }
        }
        faults.into_error()
    })
}

/// Adds the name of the source to errors about its columns.
fn of_source(error: Error, source: &OpenSource) -> Error {
    let file = source.inputs().first().map_or("the source", |input| input.name());
    let named = error.parts().into_iter().map(|mut error| {
        if error.place_mut().column.take().is_some() {
            let message = format!("{} in {file}", error.message());
            error = error.with_message(message);
        }
        error
    });
    let named: Vec<Error> = named.collect();
    Error::joined(named).unwrap_or_else(|| Error::usage("the columns do not fit"))
}

/// The inputs of pass one beside the job file.
pub(crate) struct PassOne<'a> {
    /// Rules for cutting the output into parts.
    pub(crate) split: &'a Split,
    /// Records of the last done run.
    pub(crate) last_read: Option<u64>,
    /// Policy of the calls.
    pub(crate) policy: &'a Policy,
    /// Receives the rejected rows.
    pub(crate) rejects: &'a mut Rejects,
}

impl Config {
    /// Builds the platform and the shape of its rows.
    ///
    /// # Errors
    /// `Usage`: the platform does not accept its keys or the map, or a secret is not set.
    pub(crate) fn prepare(&self, secrets: &dyn Secrets) -> Result<Prepared> {
        self.build(secrets).map_err(|error| self.placed(error))
    }

    fn build(&self, secrets: &dyn Secrets) -> Result<Prepared> {
        let (platform, shape) = self.platform_and_shape(secrets)?;
        let plan = platform.plan(&self.map);
        if let Some(setting) = plan.needs_wait.filter(|_| self.wait.is_zero()) {
            return Err(Error::usage(format!("{setting} needs wait above 0"))
                .with_hint("the file is served by this process until the platform has fetched and validated it"));
        }
        Ok(Prepared { platform, shape, plan })
    }

    /// [`Config::prepare`] without secrets, for commands that make no calls.
    pub(crate) fn prepare_offline(&self) -> Result<Prepared> {
        self.prepare(&NoSecrets)
    }

    /// Reads the header and compiles the plan.
    ///
    /// # Errors
    /// `Data`: there is no header. `Usage`: the map names a column that does not exist.
    pub(crate) fn compile(&self, env: &Env, source: Arc<OpenSource>, shape: &Shape) -> Result<(Table, Arc<Plan>)> {
        let wanted: Vec<&str> = wanted(shape, &self.conditions).collect();
        let opened = self.source.format_of(&source)?.open(Arc::clone(&source), &wanted);
        let in_source = |mut error: Error| {
            if error.place().column.is_some() {
                error.place_mut().file.get_or_insert_with(|| source.inputs()[0].name().to_owned());
            }
            self.placed(error)
        };
        let table = opened.map_err(in_source)?;
        self.compile_table(env, table, shape)
    }

    /// Compiles the plan for an open table.
    ///
    /// # Errors
    /// `Usage`: the map names a column that does not exist.
    pub(crate) fn compile_table(&self, env: &Env, table: Table, shape: &Shape) -> Result<(Table, Arc<Plan>)> {
        let columns = KnownColumns { columns: &table, show_values: env.show_values };
        let plan = Plan::compile_for(shape, &self.conditions, &columns);
        let plan = plan.map_err(|error| self.placed(of_source(error, table.source())))?;
        Ok((table, Arc::new(plan)))
    }

    /// Returns the rules for cutting the output into parts.
    pub(crate) fn split(limits: &Limits) -> Split {
        let max_part_bytes = match limits.number_oversize {
            true => limits.max_part_bytes.or(limits.max_body_bytes),
            false => limits.max_part_bytes,
        };
        Split { max_part_bytes, ..Split::default() }
    }

    /// Runs pass one and all checks that precede the first upload. The report has the counts also after an error.
    ///
    /// # Errors
    /// `Data`: too many rejected rows, nothing to send, a violation of `source.expect`, or a limit of the platform
    /// exceeded.
    pub(crate) fn pass_one(
        &self,
        env: &Env,
        prepared: &Prepared,
        source: Arc<OpenSource>,
        pass: PassOne<'_>,
        report: &mut Report,
    ) -> Result<Measured> {
        let PassOne { split, last_read, policy, rejects } = pass;
        rejects.spare(self, &source)?;
        self.source.expect.check_age(&source, env.world.clock.wall())?;
        self.source.expect.check_bytes(&source)?;
        let clock = &env.world.clock;
        let began = clock.elapsed();
        let (table, plan) = self.compile(env, source, &prepared.shape)?;
        rejects.open(&table)?;
        env.stage(Stage::Measure { source_bytes: table.source().stored_bytes() });
        let limits = &prepared.plan.limits;
        let measured = body::measure(&table, &plan, split, &env.options, rejects);
        let closed = rejects.close(report);
        report.seconds.measure = clock.elapsed().saturating_sub(began).as_secs_f64();
        report.bytes.source = table.source().stored_bytes();
        let measured = measured?;
        report.measured(&measured);
        closed?;
        warn(table.source(), measured.counts(), report);
        measured.warnings().iter().for_each(|warning| report.warn(warning.clone()));
        check_never_seen(&table, &plan, measured.counts(), report)?;
        self.check_counts(measured.counts(), last_read, report)?;
        self.check_warnings(&report.warnings)?;
        // the platform's own check comes first because its hints are more specific
        let sent = split.sent_part_bytes.len().min(measured.parts().len());
        prepared.platform.check(&self.map, &measured.parts()[sent..], policy)?;
        if let Some(max) = limits.max_body_bytes.filter(|_| !limits.number_oversize)
            && measured.body_bytes() > max
        {
            return Err(Error::data(format!(
                "the output has {} bytes, over destination.max_body_bytes ({max})",
                measured.body_bytes()
            ))
            .with_hint("send fewer rows (where), or see what the platform offers for larger lists"));
        }
        Ok(measured)
    }

    /// Checks that every record is accounted for, the limits of rejected rows, `source.expect`, and that there is
    /// something to send.
    pub(crate) fn check_counts(&self, counts: &Counts, last_read: Option<u64>, report: &Report) -> Result<()> {
        let Counts { read, written, filtered, rejected, .. } = *counts;
        if written.checked_add(filtered).and_then(|sum| sum.checked_add(rejected)) != Some(read) {
            return Err(Error::data(format!(
                "accounting: {read} records were read, but {written} written + {filtered} filtered + {rejected} rejected"
            ))
            .with_hint("this is a bug of listferry; nothing was sent"));
        }
        let limits = &self.rejects;
        let over = if limits.max.is_some_and(|max| rejected > max) {
            limits.max.map(|max| format!("rejects.max is {max}"))
        } else {
            let percent = limits.max_percent.filter(|percent| {
                rejected > 0 && 100.0 * rejected as f64 > percent * read.saturating_sub(filtered) as f64
            });
            percent.map(|percent| format!("rejects.max_percent is {percent}"))
        };
        if let Some(limit) = over {
            let rows = if rejected == 1 { "1 row was" } else { &format!("{rejected} rows were") };
            let first = report.first_rejects.first().map(|first| format!("; the first: {first}")).unwrap_or_default();
            let hint = match &report.rejects_file {
                Some(file) => format!("see {}; correct the rows or raise the limit", file.display()),
                None => "correct the rows or raise the limit".to_owned(),
            };
            return Err(Error::data(format!("{rows} rejected, {limit}{first}")).with_hint(hint));
        }
        self.source.expect.check_records(read, last_read)?;
        if written == 0 && !self.allow_empty {
            let why = if read == 0 { "the source has no records" } else { "no record is left" };
            return Err(Error::data(format!("nothing to send: {why}"))
                .with_hint("a replace would empty the list; allow_empty: true sends it all the same"));
        }
        Ok(())
    }
}

impl Config {
    /// Fails if there is a warning of a kind that `warnings.error` lists.
    fn check_warnings(&self, warnings: &[Warning]) -> Result<()> {
        let fails = |warning: &&Warning| self.warnings_that_fail.contains(&warning.kind);
        let Some(warning) = warnings.iter().find(fails) else { return Ok(()) };
        let more = match warnings.iter().filter(fails).count() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more like it)"),
        };
        let hint = warning.hint.as_deref().unwrap_or("look at the source");
        let kind = warning.kind;
        let text = format!("{}{more}; warnings.error has {kind}", warning.message);
        let text = match warning.first_record {
            Some(record) => format!("{text}; the first is record {record}"),
            None => text,
        };
        Err(Error::data(text).with_hint(format!("{hint}; or take {kind} out of warnings.error")))
    }
}

impl SourceConfig {
    /// Returns the options of the format that the source is in.
    pub(super) fn format_of(&self, source: &OpenSource) -> Result<&TableOptions> {
        if self.by_content.is_empty() {
            return Ok(&self.format);
        }
        let found = format::by_content(source)?;
        let options = found.and_then(|found| self.by_content.iter().find(|(name, _)| *name == found.name));
        Ok(options.map_or(&self.format, |(_, options)| options))
    }
}

impl Expect {
    fn check_records(&self, read: u64, last_read: Option<u64>) -> Result<()> {
        let fail = |message: String| {
            Err(Error::data(message).with_hint("half an export? if the source is right, change source.expect"))
        };
        match (self.min_records, self.max_records) {
            (Some(min), _) if read < min => {
                return fail(format!(
                    "the source has {read} record{}, source.expect.min_records is {min}",
                    plural(read)
                ));
            }
            (_, Some(max)) if read > max => {
                return fail(format!(
                    "the source has {read} record{}, source.expect.max_records is {max}",
                    plural(read)
                ));
            }
            _ => {}
        }
        if let (Some(percent), Some(last)) = (self.max_change_percent, last_read)
            && read.abs_diff(last) as f64 * 100.0 > percent * last as f64
        {
            return fail(format!(
                "the source has {read} record{}, the last done run had {last}: source.expect.max_change_percent is {percent}",
                plural(read)
            ));
        }
        Ok(())
    }

    /// Compares the time at which each file was last changed with `max_age`.
    ///
    /// # Errors
    /// `Data`: one of them is older. `Usage`: the source does not tell.
    pub(crate) fn check_age(&self, source: &OpenSource, now: SystemTime) -> Result<()> {
        let Some(max) = self.max_age else { return Ok(()) };
        for input in source.inputs() {
            let changed = input.modified().ok_or_else(|| {
                Error::usage(format!("source.expect.max_age: {} has no time of its last change", input.name()))
                    .with_hint("max_age is for files; leave it out for streams and for servers that name no time")
            })?;
            let age = now.duration_since(changed).unwrap_or_default();
            if age > max {
                let (age, max) = (age.as_secs(), max.as_secs());
                let text = format!("{} was changed {age} s ago, source.expect.max_age is {max} s", input.name());
                return Err(
                    Error::data(text).with_hint("yesterday's export? if the source is right, change source.expect")
                );
            }
        }
        Ok(())
    }

    /// Compares the stored bytes, with several files concatenated, with `sha256`.
    pub(crate) fn check_bytes(&self, source: &OpenSource) -> Result<()> {
        let Some(expected) = &self.sha256 else { return Ok(()) };
        let mut hash = sha2::Sha256::new();
        let mut buf = vec![0; 256 << 10];
        for input in source.inputs() {
            let mut at = 0;
            loop {
                let n = input
                    .read_at(&mut buf, at)
                    .map_err(|error| into_error(error, &format!("reading {}", input.name())))?;
                if n == 0 {
                    break;
                }
                hash.update(&buf[..n]);
                at += n as u64;
            }
        }
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found != *expected {
            return Err(Error::data(format!("the source's SHA-256 is {found}, source.expect.sha256 is another"))
                .with_hint("the file is not the one that was announced"));
        }
        Ok(())
    }
}

/// Returns the columns of a source, and whether messages may show them.
struct KnownColumns<'a> {
    columns: &'a dyn Columns,
    show_values: bool,
}

impl Columns for KnownColumns<'_> {
    fn names(&self) -> &[String] {
        self.columns.names()
    }

    fn have_lists(&self) -> bool {
        self.columns.have_lists()
    }

    fn is_list(&self, column: usize) -> bool {
        self.columns.is_list(column)
    }

    fn may_be_shown(&self) -> bool {
        self.show_values || self.columns.may_be_shown()
    }

    fn missing(&self, name: &str) -> Option<String> {
        self.columns.missing(name)
    }

    fn all_missing(&self) -> Option<String> {
        self.columns.all_missing()
    }
}

/// Checks the columns that no record had: it is an error if such a column changes what is written, otherwise a warning.
///
/// # Errors
/// `Data`: no record has a column that must occur.
pub(crate) fn check_never_seen(table: &Table, plan: &Plan, counts: &Counts, report: &mut Report) -> Result<()> {
    if counts.read == 0 {
        return Ok(());
    }
    for never in table.never_seen() {
        let name = &table.columns()[never.column];
        let text = format!("no record has the key {name:?}");
        let did_you_mean = never.nearest.map(|nearest| format!("did you mean {nearest:?}? ")).unwrap_or_default();
        if never.rule == Some(Occurs::Required) {
            let hint = format!("{did_you_mean}source.ndjson.required has it");
            return Err(Error::data(text).with_hint(hint));
        }
        if plan.needs(never.column) {
            let text = format!("{text}, and which records are sent or what they contain depends on it");
            let hint = format!("{did_you_mean}if it is right that no record has it, take it out of map and where");
            return Err(Error::data(text).with_hint(hint));
        }
        if never.rule.is_none() {
            let hint = format!("{did_you_mean}source.ndjson.optional silences this");
            report.warn(Warning::new(WarningKind::KeyNeverSeen, text).in_column(name).with_hint(hint));
        }
    }
    Ok(())
}

/// Adds warnings about a source that was read to its end.
pub(crate) fn warn(source: &OpenSource, counts: &Counts, report: &mut Report) {
    if let Some(joined) = &counts.joined {
        let file = source.inputs()[joined.input].name();
        let text = format!(
            "{file}: record {} is a header or begins with a byte order mark, as in files joined with cat",
            joined.record
        );
        tracing::warn!("{text}");
        report.warn(
            Warning::new(WarningKind::JoinedFiles, text)
                .with_count(joined.count)
                .first_at(joined.record)
                .with_hint("name the files with a glob instead of joining them, or join them without their headers"),
        );
    }
    for text in source.inputs().iter().flat_map(|input| input.warnings()) {
        tracing::warn!("{text}");
        report.warn(Warning::new(WarningKind::TrailingZeros, text));
    }
}

/// Creates a directory that only its owner can enter.
///
/// # Errors
/// `Local`.
pub(crate) fn make_private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| Error::io(format!("the directory {}", dir.display()), error))
}

/// Returns the options for a pass, with at least one thread.
pub(crate) fn options(env: &Env) -> Options {
    let mut options = env.options.clone();
    options.threads = options.threads.max(1);
    options
}
