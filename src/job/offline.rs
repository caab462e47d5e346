//! The commands that make no network calls: check, convert, preview.

use super::Job;
use super::context::last_read;
use super::env::{Env, Stage};
use super::journal::State;
use super::open::over_its_own;
use super::packed::Packed;
use super::pass::{Prepared, check_never_seen, options, warn};
use super::planned::Planned;
use super::rejects::{Rejects, same_place};
use super::report::{Report, digest, peak_rss_bytes};
use super::run_plan::RunPlan;
use super::secrets::JobSecrets;
use super::variables::{self, Unset};
use crate::body::{self, Part, SourceRecord};
use crate::error::{Error, Result};
use crate::format::Table;
use crate::format::cells::Cell;
use crate::mapping::{Plan, Separator, Shape};
use crate::origin::Passes;
use crate::secret::printable;
use crate::source::OpenSource;
use crate::source::temporary::{Temporary, is_special};
use crate::warning::{Warning, WarningKind};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

impl Job {
    /// Runs pass one only: validates and measures every row. Makes no calls, and needs no credentials and no writable
    /// state directory; without one, rejected rows are counted but not stored.
    ///
    /// Errors are in the report.
    ///
    /// ```
    /// use listferry::job::{Env, Job};
    ///
    /// let dir = std::env::temp_dir().join(format!("listferry-check-{}", std::process::id()));
    /// std::fs::create_dir_all(&dir)?;
    /// std::fs::write(dir.join("vip.csv"), "customer_id\n17\n18\n")?;
    /// let job = Job::read(
    ///     "source: { path: vip.csv }\n\
    ///      map: { identity: customer_id }\n\
    ///      destination: { platform: clevertap, region: in1, account_id: { env: ID }, passcode: { env: PASS },\n\
    ///                     segment: VIP, creator: Jane, email: jane@example.com }",
    ///     &dir,
    ///     &[],
    /// )?;
    /// let report = job.check(&Env::default());
    /// assert_eq!((report.exit_code, report.records.written), (0, 2));
    /// # std::fs::remove_dir_all(&dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, env: &Env) -> Report {
        self.offline("check", env, |job, report| {
            let prepared = job.config.prepare_offline()?;
            let measured = job.measure_offline("check", env, &prepared, report)?;
            let parts = measured.as_ref().map_or(&[][..], |measured| measured.parts());
            report.plan = Some(self.plan(job, env, &prepared, parts, report));
            Ok(())
        })
    }

    /// Returns the plan of a run that would start now; `job` is this one with its variables filled in.
    fn plan(&self, job: &Job, env: &Env, prepared: &Prepared, parts: &[Part], report: &Report) -> RunPlan {
        let now = env.world.clock.wall();
        let date = job.config.timezone.day(now);
        let planned = Planned { config: &job.config, platform: &*prepared.platform, parts, date: &date };
        let unset = variables::fill(&self.config.destination, self.config.entry, &env.variables).unset;
        planned.plan(report, now).without(unset)
    }

    /// Converts the source into `out` in one pass. The output is complete only if the report has exit code 0.
    pub fn convert(&self, env: &Env, out: &mut (dyn Write + Send)) -> Report {
        self.convert_into(env, None, out)
    }

    /// Converts into `out`; `target` is the file that the output replaces.
    fn convert_into(&self, env: &Env, target: Option<&Path>, out: &mut (dyn Write + Send)) -> Report {
        self.offline("convert", env, |job, report| {
            let config = &job.config;
            let prepared = config.prepare_offline()?;
            let mut rejects = Rejects::new(config, env, &format!("{}.convert", config.name));
            let auto = is_auto(&prepared.shape);
            let source = self.open_offline(env, passes(auto), report)?;
            if let Some(target) = target.filter(|target| source.is_at(target)) {
                return Err(over_its_own("source", target));
            }
            self.convert_source(env, &prepared, source, &mut rejects, report, out)
        })
    }

    /// Converts the source into a file. The output goes to a temporary file in the same directory, which is synced and
    /// then renamed if the conversion succeeds; otherwise an existing file keeps its content. A device or a pipe is
    /// written directly. If the name ends in `.gz` or `.zst`, the output is compressed; digest and sizes in the report
    /// are those of the uncompressed output. The source, the job file and the reject file of the job cannot be the
    /// target: that is a usage error.
    pub fn convert_to_file(&self, env: &Env, target: &Path) -> Report {
        let failed = |error| {
            let mut report = Report::failed("convert", error);
            report.platform = self.platform().map(str::to_owned);
            report
        };
        if is_special(target) {
            return match File::options().write(true).open(target) {
                Ok(file) => self.convert_packed(env, None, &file, target),
                Err(error) => failed(Error::io(format!("{} cannot be written", target.display()), error)),
            };
        }
        if self.is_file(target) {
            return failed(over_its_own("job file", target));
        }
        if Rejects::new(&self.config, env, &format!("{}.convert", self.config.name)).is_at(target) {
            return failed(over_its_own("reject file", target));
        }
        let temporary = match Temporary::public(target) {
            Ok(temporary) => temporary,
            Err(error) => return failed(error),
        };
        let mut report = self.convert_packed(env, Some(target), &temporary.file, target);
        if report.exit_code == 0
            && let Err(error) = temporary.replace()
        {
            report.fail(error);
        }
        report
    }

    /// Converts into an open file with the name `name`; `replaced` is the file that it will replace.
    fn convert_packed(&self, env: &Env, replaced: Option<&Path>, file: &File, name: &Path) -> Report {
        let lost = |error| Error::io(format!("{} cannot be written", name.display()), error);
        let mut out = match Packed::new(file, name) {
            Ok(out) => out,
            Err(error) => return Report::failed("convert", lost(error)),
        };
        let mut report = self.convert_into(env, replaced, &mut out);
        if let Err(error) = out.finish(report.exit_code == 0) {
            report.fail(lost(error));
        }
        report
    }

    /// Returns the number of records of the last done run if `source.expect.max_change_percent` needs it. The identity
    /// of the job may depend on a secret; without the secret or the state, the comparison is skipped with a warning.
    pub(super) fn last_read(&self, env: &Env, report: &mut Report) -> Option<u64> {
        self.config.source.expect.max_change_percent?;
        let read = || {
            let Some(state) = State::open_to_read(&env.state_dir()?)? else { return Ok(None) };
            let secrets = JobSecrets::new(Arc::clone(&env.variables), &self.config.folder, &env.taint);
            let effect = crate::platform::Effect::new(false, None);
            let intent = self.config.intent(self.file.as_deref(), &self.overrides, env, effect, &secrets)?;
            last_read(&state, &intent)
        };
        read().unwrap_or_else(|error: Error| {
            let text = format!("source.expect.max_change_percent is not applied here: {error}");
            tracing::warn!("{text}");
            report.warn(Warning::new(WarningKind::Note, text));
            None
        })
    }

    /// Returns true if the job was read from this file.
    pub(super) fn is_file(&self, path: &Path) -> bool {
        self.file.as_deref().is_some_and(|file| same_place(file, path))
    }

    fn convert_source(
        &self,
        env: &Env,
        prepared: &Prepared,
        source: Arc<OpenSource>,
        rejects: &mut Rejects,
        report: &mut Report,
        out: &mut (dyn Write + Send),
    ) -> Result<()> {
        let config = &self.config;
        let options = options(env);
        let clock = &env.world.clock;
        let began = clock.elapsed();
        rejects.spare(config, &source)?;
        config.source.expect.check_age(&source, env.world.clock.wall())?;
        config.source.expect.check_bytes(&source)?;
        let (table, mut plan) = config.compile(env, source, &prepared.shape)?;
        let source_bytes = table.source().stored_bytes();
        env.stage(Stage::Measure { source_bytes });
        if is_auto(&prepared.shape) {
            plan = with_separator(&table, &plan, &options)?;
        }
        rejects.open(&table)?;
        let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        let mut bytes = 0;
        let mut write = |slab: &[u8]| {
            crc.update(slab);
            bytes += slab.len() as u64;
            out.write_all(slab)
        };
        let counts = body::convert(&table, &plan, &options, &mut write, rejects);
        report.seconds.measure = clock.elapsed().saturating_sub(began).as_secs_f64();
        let closed = rejects.close(report);
        report.bytes.source =
            table.source().inputs().iter().map(|input| input.stored_bytes().max(input.consumed_bytes())).sum();
        let counts = counts?;
        closed?;
        warn(table.source(), &counts, report);
        report.count(&counts);
        report.bytes.body = bytes;
        report.digest = Some(digest(crc.finalize()));
        check_never_seen(&table, &plan, &counts, report)?;
        config.check_counts(&counts, None, report)?;
        out.flush().map_err(|error| Error::io("writing the output", error))
    }

    /// Returns the first `rows` records as converted, or the reasons for their rejection; filtered records are skipped.
    ///
    /// # Errors
    /// `Usage`, `Local`, `Data`: those of [`Job::check`] that occur up to these rows.
    pub fn preview(&self, env: &Env, rows: usize) -> Result<Vec<PreviewRow>> {
        let _watcher = env.watched();
        let (job, _) = self.in_environment(env, Unset::StandIn)?;
        let config = &job.config;
        let prepared = config.prepare_offline()?;
        let mut shown = Vec::new();
        if rows == 0 {
            return Ok(shown);
        }
        let auto = is_auto(&prepared.shape);
        let source = self.open_offline(env, passes(auto), &mut Report::new("preview"))?;
        self.preview_source(env, &prepared, source, auto, rows, &mut shown)?;
        Ok(shown)
    }

    fn preview_source(
        &self,
        env: &Env,
        prepared: &Prepared,
        source: Arc<OpenSource>,
        auto: bool,
        rows: usize,
        shown: &mut Vec<PreviewRow>,
    ) -> Result<()> {
        let config = &self.config;
        let (table, mut plan) = config.compile(env, source, &prepared.shape)?;
        // the separator depends on the whole list; if the list is damaged, the first rows are shown without it
        if auto && let Ok(known) = with_separator(&table, &plan, &options(env)) {
            plan = known;
        }
        body::preview(&table, &plan, &options(env), &mut |row| {
            shown.push(PreviewRow {
                file: row.source.file.to_owned(),
                record: row.source.record,
                line: row.source.line,
                place: row.source.place(),
                source: String::from_utf8_lossy(&row.source.text()).into_owned(),
                cells: named(table.columns(), &row.source),
                result: row
                    .result
                    .as_ref()
                    .map(|output| String::from_utf8_lossy(output).trim_end_matches('\n').to_owned())
                    .map_err(|error| (error.code.to_owned(), error.reason.clone())),
            });
            Ok(shown.len() < rows)
        })
    }

    /// Opens the source, with its own secrets only.
    pub(super) fn open_offline(&self, env: &Env, passes: Passes, report: &mut Report) -> Result<Arc<OpenSource>> {
        let secrets = JobSecrets::new(Arc::clone(&env.variables), &self.config.folder, &env.taint);
        let source = self.config.open_offline(env, &secrets, passes);
        for warning in secrets.literal() {
            tracing::warn!("{}", warning.in_words());
            report.warn(warning);
        }
        source
    }

    /// Runs the steps of a command that contacts no platform, so that variables need not be set.
    pub(super) fn offline(
        &self,
        command: &'static str,
        env: &Env,
        steps: impl FnOnce(&Job, &mut Report) -> Result<()>,
    ) -> Report {
        self.reported(command, env, |report| {
            let (job, warnings) = self.in_environment(env, Unset::StandIn)?;
            for warning in warnings {
                tracing::warn!("{}", warning.in_words());
                report.warn(warning);
            }
            steps(&job, report)
        })
    }

    /// Runs the steps of a command and records an error in the report.
    pub(crate) fn reported(
        &self,
        command: &'static str,
        env: &Env,
        steps: impl FnOnce(&mut Report) -> Result<()>,
    ) -> Report {
        let mut report = Report::new(command);
        report.platform = self.platform().map(str::to_owned);
        let _watcher = env.watched();
        if let Err(error) = steps(&mut report) {
            report.fail(error);
        }
        env.stage(Stage::End);
        report.peak_rss_bytes = peak_rss_bytes();
        report
    }
}

/// Returns true if pass one chooses the separator.
pub(super) fn is_auto(shape: &Shape) -> bool {
    matches!(shape, Shape::Delimited(cells) if cells.separator == Separator::Auto)
}

/// Choosing a separator needs another pass.
fn passes(auto: bool) -> Passes {
    if auto { Passes::Several } else { Passes::One }
}

/// Returns the plan with the separator that a pass over the whole list chooses.
pub(super) fn with_separator(table: &Table, plan: &Arc<Plan>, options: &body::Options) -> Result<Arc<Plan>> {
    let measured = body::measure(table, plan, &body::Split::default(), options, &mut body::DiscardRejects)?;
    Ok(measured.plan().map_or_else(|| Arc::clone(plan), Arc::clone))
}

/// A record shown by [`Job::preview`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PreviewRow {
    /// File name as the job file gives it.
    pub file: String,
    /// Number of the record, from 1, without the header.
    pub record: u64,
    /// Line number, from 1, with the header; `None` if the format has no lines.
    pub line: Option<u64>,
    /// The row in a row group, a batch or a sheet, in words; `None` if the format has none of these.
    pub place: Option<String>,
    /// The source record, unchanged; as JSON if the format is not text.
    pub source: String,
    /// Its cells by column; empty if the record could not be split.
    pub cells: Map<String, Value>,
    /// The output record without LF, or code and reason of the rejection.
    pub result: Result<String, (String, String)>,
}

impl PreviewRow {
    /// Returns the row as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (output, rejected) = match &self.result {
            Ok(output) => (Value::from(output.as_str()), Value::Null),
            Err((code, reason)) => (Value::Null, json!({ "code": code, "reason": reason })),
        };
        json!({
            "file": self.file, "record": self.record, "line": self.line, "place": self.place,
            "source": self.source, "columns": self.cells, "output": output, "rejected": rejected,
        })
    }

    /// Returns the row as text: the record, an arrow, and the output or the reason.
    #[must_use]
    pub fn to_text(&self) -> String {
        let source = printable(&self.source);
        match &self.result {
            Ok(output) => format!("{:>6}  {source}\n     -> {}\n", self.record, printable(output)),
            Err((code, reason)) => format!("{:>6}  {source}\n     !! rejected: {reason} ({code})\n", self.record),
        }
    }
}

/// Returns the values of a record by column; empty if the record could not be split.
fn named(columns: &[String], record: &SourceRecord<'_>) -> Map<String, Value> {
    let text = |cell: Cell<'_>| String::from_utf8_lossy(&cell.into_value()).into_owned();
    let cells = record.cells().into_iter().flatten();
    columns.iter().zip(cells).map(|(column, cell)| (column.clone(), text(cell).into())).collect()
}
