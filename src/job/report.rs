//! The report of a command: an object for machines, and text for people.

use super::interrupted::Stopped;
use super::run_plan::RunPlan;
use crate::body::{Counts, Measured};
use crate::calls::{Clock as _, PartState, SystemClock, utc};
use crate::error::{Error, Kind};
use crate::secret::Taint;
use crate::warning::Warning;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

/// The report of a command. Serialised with the keys of docs/CONTRACT.md, in that order.
///
/// Commands return a report however they end, since records, parts and rejects are worth knowing after a failure too.
/// Dropping a report therefore hides failures: check its [`exit_code`](Report::exit_code), or use
/// [`Report::into_result`] with `?`.
#[derive(Debug, Serialize)]
#[must_use = "only the report says whether a command failed: use `into_result()` or check `exit_code`"]
#[non_exhaustive]
pub struct Report {
    /// Id of the run; `None` if no run was started.
    pub run_id: Option<String>,
    /// `run`, `check`, `convert`, …
    pub command: &'static str,
    /// The destination's platform.
    pub platform: Option<String>,
    /// How the command ended.
    pub status: Option<Status>,
    /// The process exit code.
    pub exit_code: u8,
    /// The job's name.
    pub job: Option<String>,
    /// The job file, absolute; `None` if the job was not read from a file.
    #[serde(serialize_with = "absolute")]
    pub job_file: Option<PathBuf>,
    /// When the command started.
    #[serde(serialize_with = "moment")]
    pub started_at: Option<SystemTime>,
    /// When the command ended.
    #[serde(serialize_with = "moment")]
    pub ended_at: Option<SystemTime>,
    /// Version of the listferry that made the report.
    pub version: &'static str,
    /// True if the platform was the sandbox, so that nothing reached the real one.
    pub sandbox: bool,
    /// True if an earlier run was continued, or the report is its stored one.
    pub continued: bool,
    /// True if the list was the same as in the last done run and was not sent again.
    pub unchanged: bool,
    /// True if the run has not ended: the next `run` of the job has to take account of it.
    pub open: bool,
    /// Counts of the records.
    pub records: Records,
    /// Number of rejected records by code.
    pub reject_reasons: BTreeMap<String, u64>,
    /// Bytes of source and output.
    pub bytes: Bytes,
    /// CRC-64/NVME of all output, `crc64nvme:` and 16 hex digits.
    pub digest: Option<String>,
    /// The parts of the output.
    pub parts: Vec<PartReport>,
    /// The platform's response.
    pub platform_result: Value,
    /// Path of the rejected rows; always absolute in JSON, which may be read from another directory later.
    #[serde(serialize_with = "absolute")]
    pub rejects_file: Option<PathBuf>,
    /// The error that ended the command.
    #[serde(serialize_with = "error_object")]
    pub error: Option<Error>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// Duration of each stage.
    pub seconds: Seconds,
    /// Peak resident memory of this process; 0 if unknown.
    pub peak_rss_bytes: u64,
    /// The first rejects, for display.
    #[serde(skip)]
    pub first_rejects: Vec<String>,
    /// The plan of a run, after a `check` that is done.
    #[serde(skip)]
    pub plan: Option<RunPlan>,
    /// How far the run came, if it was interrupted; also in the hint of the error.
    #[serde(skip)]
    pub stopped: Option<Stopped>,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// Exit 0.
    Done,
    /// Exit 10: the data is invalid.
    Rejected,
    /// Exit 11: partly accepted.
    Partial,
    /// Not done.
    Failed,
    /// Exit 21: a call that must not be repeated got no answer.
    Unknown,
    /// Exit 22: no verdict yet.
    Pending,
    /// Exit 23: an open run is in the way.
    Blocked,
    /// Stopped by a signal.
    Interrupted,
}

impl Status {
    pub(crate) const ALL: [Status; 8] = [
        Status::Done,
        Status::Rejected,
        Status::Partial,
        Status::Failed,
        Status::Unknown,
        Status::Pending,
        Status::Blocked,
        Status::Interrupted,
    ];

    /// Returns the status for an error; `None` for usage errors.
    #[must_use]
    pub fn of(kind: Kind) -> Option<Status> {
        match kind {
            Kind::Usage => None,
            Kind::Data | Kind::SourceChanged => Some(Status::Rejected),
            Kind::InDoubt => Some(Status::Unknown),
            Kind::Pending => Some(Status::Pending),
            Kind::Blocked => Some(Status::Blocked),
            Kind::Interrupted | Kind::Terminated => Some(Status::Interrupted),
            _ => Some(Status::Failed),
        }
    }

    /// Returns the name used in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Done => "done",
            Status::Rejected => "rejected",
            Status::Partial => "partial",
            Status::Failed => "failed",
            Status::Unknown => "unknown",
            Status::Pending => "pending",
            Status::Blocked => "blocked",
            Status::Interrupted => "interrupted",
        }
    }
}

/// Counts of the records: read = written + filtered + rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Records {
    /// Records in the source.
    pub read: u64,
    /// Records in the output.
    pub written: u64,
    /// Records left out by `where` or by the platform's row.
    pub filtered: u64,
    /// Invalid records.
    pub rejected: u64,
    /// Rows that the platform refused, as it counts them; `None` if it gives no counts.
    #[serde(default)]
    pub failed: Option<u64>,
    /// Rows that the platform ignored, as it counts them; `None` if it gives no counts.
    #[serde(default)]
    pub ignored: Option<u64>,
    /// Rows that were sent and are in none of the platform's counts; `None` if it gives no counts.
    #[serde(default)]
    pub unaccounted: Option<u64>,
}

/// Bytes of source and output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bytes {
    /// Bytes of the source, as stored.
    pub source: u64,
    /// Bytes of the content of all parts.
    pub body: u64,
}

/// A part of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartReport {
    /// Index from 0.
    pub index: usize,
    /// Number of content bytes.
    pub bytes: u64,
    /// Number of records.
    pub records: u64,
    /// Number of attempts to send it.
    pub attempts: u32,
    /// The platform's id of the part.
    pub remote_id: Value,
}

/// Seconds of each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seconds {
    /// Pass one.
    pub measure: f64,
    /// Pass two and the calls around it.
    pub upload: f64,
    /// Waiting for the verdict.
    pub wait: f64,
}

impl Report {
    /// Creates an empty report.
    pub fn new(command: &'static str) -> Report {
        Report {
            run_id: None,
            command,
            platform: None,
            status: Some(Status::Done),
            exit_code: 0,
            job: None,
            job_file: None,
            started_at: Some(SystemClock.wall()),
            ended_at: None,
            version: env!("CARGO_PKG_VERSION"),
            sandbox: false,
            continued: false,
            unchanged: false,
            open: false,
            records: Records::default(),
            reject_reasons: BTreeMap::new(),
            bytes: Bytes::default(),
            digest: None,
            parts: Vec::new(),
            platform_result: Value::Object(Map::new()),
            rejects_file: None,
            error: None,
            warnings: Vec::new(),
            seconds: Seconds::default(),
            peak_rss_bytes: 0,
            first_rejects: Vec::new(),
            plan: None,
            stopped: None,
        }
    }

    /// Creates the report of a command that failed at once.
    pub fn failed(command: &'static str, error: Error) -> Report {
        let mut report = Report::new(command);
        report.fail(error);
        report.peak_rss_bytes = peak_rss_bytes();
        report
    }

    /// Returns the report of a command that is done (exit 0), or the error of one that is not. The rest of the report
    /// is attached to the error: see [`Error::report`].
    ///
    /// # Errors
    /// The error that ended the command, of the [`Kind`] of its exit code.
    ///
    /// ```
    /// use listferry::Kind;
    /// use listferry::job::{Env, Job};
    ///
    /// # let dir = std::env::temp_dir().join(format!("listferry-result-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// std::fs::write(dir.join("vip.csv"), "customer_id\n17\n\"18\" and more\n")?;
    /// let job = Job::read(
    ///     "source: { path: vip.csv }\n\
    ///      map: { identity: customer_id }\n\
    ///      destination: { platform: clevertap, region: in1, account_id: { env: ID }, passcode: { env: PASS },\n\
    ///                     segment: VIP, creator: Jane, email: jane@example.com }",
    ///     &dir,
    ///     &[],
    /// )?;
    /// let error = job.check(&Env::default()).into_result().expect_err("one row is rejected, none may be");
    /// assert_eq!(error.kind(), Kind::Data);
    /// assert_eq!(error.report().map(|report| report.records.rejected), Some(1));
    /// # std::fs::remove_dir_all(&dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_result(mut self) -> Result<Report, Error> {
        let error = match (self.error.take(), Kind::of_exit_code(self.exit_code)) {
            (Some(error), _) => error,
            (None, Some(kind)) => Error::new(kind, self.ending()),
            (None, None) if self.exit_code != 0 => Error::new(Kind::Local, self.ending()),
            (None, None) => return Ok(self),
        };
        Err(error.with_attached(self))
    }

    /// Describes how the command ended, for a report that has an exit code and no error.
    fn ending(&self) -> String {
        let status = self.status.map_or("", Status::name);
        format!("{} ended with exit code {} {status}", self.command, self.exit_code).trim_end().to_owned()
    }

    /// Records that the command has ended now.
    pub(crate) fn end(&mut self, now: SystemTime) {
        self.ended_at = Some(now);
    }

    /// Adds the result of pass one.
    pub(crate) fn adopt(&mut self, found: &Report) {
        self.records = found.records;
        self.reject_reasons.clone_from(&found.reject_reasons);
        self.bytes = found.bytes;
        self.digest.clone_from(&found.digest);
        self.parts.clone_from(&found.parts);
        self.rejects_file.clone_from(&found.rejects_file);
        self.first_rejects.clone_from(&found.first_rejects);
        self.seconds.measure = found.seconds.measure;
        found.warnings.iter().cloned().for_each(|warning| self.warn(warning));
    }

    /// Adds to the error that the next `run` continues the run, unless its hint says so.
    pub(crate) fn hint_to_continue(&mut self) {
        let Some(error) = self.error.take() else { return };
        let then = "fix the cause and run the job again: it continues, and what was accepted is not sent again";
        self.error = Some(match error.hint() {
            Some(hint) if hint.contains("not sent again") => error,
            Some(hint) => {
                let hint = format!("{hint}; {then}");
                error.with_hint(hint)
            }
            None => error.with_hint(then),
        });
    }

    /// Sets the error with its exit code and status, and the platform's response if it refused.
    pub fn fail(&mut self, error: Error) {
        if let Some(answer) = error.answer()
            && self.platform_result.as_object().is_none_or(serde_json::Map::is_empty)
        {
            self.platform_result = answer.clone();
        }
        self.exit_code = error.kind().exit_code();
        self.status = Status::of(error.kind());
        self.error = Some(error);
    }

    /// Adds a warning, unless the report has it already.
    pub fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(crate) fn count(&mut self, counts: &Counts) {
        self.records = Records {
            read: counts.read,
            written: counts.written,
            filtered: counts.filtered,
            rejected: counts.rejected,
            ..self.records
        };
        self.reject_reasons = counts.reject_reasons.clone();
    }

    pub(crate) fn measured(&mut self, measured: &Measured) {
        self.count(measured.counts());
        self.bytes = Bytes { source: measured.source_bytes(), body: measured.body_bytes() };
        self.digest = Some(digest(measured.digest()));
        self.parts = measured
            .parts()
            .iter()
            .map(|part| PartReport {
                index: part.index,
                bytes: part.bytes,
                records: part.records,
                attempts: 0,
                remote_id: Value::Null,
            })
            .collect();
    }

    /// Restores the report of a recorded run that has ended.
    pub(crate) fn restore(&mut self, record: &super::journal::RunRecord) {
        self.run_id = Some(record.id.clone());
        self.platform = Some(record.platform.clone());
        self.rejects_file.clone_from(&record.rejects_file);
        let Some(report) = record.report.as_ref().or(record.pass_one.as_ref()) else { return };
        self.restore_pass_one(report);
        self.place(&record.parts);
        self.rejects_file.clone_from(&record.rejects_file);
        self.platform_result = report.get("platform_result").cloned().unwrap_or(json!({}));
        self.seconds = read(report, "seconds");
        self.warnings = read(report, "warnings");
        let kind = record.exit_code.and_then(Kind::of_exit_code);
        if let (Some(kind), Some(error)) = (kind, report.get("error").filter(|error| error.is_object())) {
            let text = |key: &str| error.get(key).and_then(Value::as_str);
            let mut error = Error::new(kind, text("message").unwrap_or("it failed"));
            if let Some(hint) = text("hint") {
                error = error.with_hint(hint);
            }
            self.fail(error);
        }
        let status = report.get("status").and_then(Value::as_str);
        self.status = Status::ALL.into_iter().find(|known| Some(known.name()) == status).or(self.status);
    }

    /// Adds the parts from the journal.
    pub(crate) fn place(&mut self, states: &[PartState]) {
        for state in states {
            if let Some(part) = self.parts.iter_mut().find(|part| part.index == state.index) {
                part.attempts = state.attempts;
                part.remote_id = state.remote_id.clone().map_or(Value::Null, Value::String);
            }
        }
    }

    /// Restores the result of pass one from the report of an earlier process of the run.
    pub(crate) fn restore_pass_one(&mut self, report: &Value) {
        self.records = read(report, "records");
        self.reject_reasons = read(report, "reject_reasons");
        self.bytes = read(report, "bytes");
        self.digest = read(report, "digest");
        self.parts = read(report, "parts");
        self.rejects_file = read(report, "rejects_file");
    }

    /// Removes secrets from all texts that may come from servers.
    pub fn hide(&mut self, taint: &Taint) {
        let own = |text: &str| taint.own_text(text).into_owned();
        self.error = self.error.take().map(|error| error.map_text(own));
        for warning in &mut self.warnings {
            warning.message = own(&warning.message);
            warning.hint = warning.hint.as_deref().map(own);
        }
        self.platform_result = taint.value(std::mem::take(&mut self.platform_result));
        for part in &mut self.parts {
            part.remote_id = taint.value(std::mem::take(&mut part.remote_id));
        }
    }

    /// Returns the report as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Ok(Value::Object(mut report)) = serde_json::to_value(self) else { return Value::Null };
        let after = report.keys().position(|key| key == "error").map_or(report.len(), |at| at + 1);
        let all = self.error.iter().flat_map(Error::all).map(found).collect();
        report.shift_insert(after, "errors".to_owned(), Value::Array(all));
        Value::Object(report)
    }
}

impl Error {
    /// Returns the report of the command that ended with this error, if it comes from [`Report::into_result`]: records,
    /// parts, path of the rejected rows. Its `error` is `None`, since that is this error.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.attached()
    }
}

/// Reads a key of a report; the default if the key is missing or has another type.
fn read<T: serde::de::DeserializeOwned + Default>(report: &Value, key: &str) -> T {
    report.get(key).and_then(|value| T::deserialize(value).ok()).unwrap_or_default()
}

/// Formats a digest for reports.
pub(crate) fn digest(crc: u64) -> String {
    format!("crc64nvme:{crc:016x}")
}

fn absolute<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    let path = path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

fn moment<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(utc).serialize(serializer)
}

fn error_object<S: Serializer>(error: &Option<Error>, serializer: S) -> Result<S::Ok, S::Error> {
    let object = error.as_ref().map(|error| {
        let mut message = error.to_string();
        if let Some(value) = error.value() {
            message = format!("{message} (value: {value})");
        }
        json!({ "kind": error.kind().name(), "message": message, "hint": error.hint() })
    });
    object.serialize(serializer)
}

/// Returns one of the errors that were found together; its column is a number: the character in the line.
fn found(error: &Error) -> Value {
    let place = error.place();
    json!({
        "kind": error.kind().name(), "message": error.message(), "hint": error.hint(),
        "file": place.file, "line": place.line, "column": place.character,
    })
}

/// Returns `VmHWM` of this process in bytes; 0 if the system does not report it.
#[must_use]
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warning::WarningKind;

    #[test]
    fn the_object_has_the_keys_of_the_contract_in_its_order() {
        let json = Report::failed("run", Error::data("3 rows were rejected").with_hint("look")).to_json();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let contract = "run_id command platform status exit_code job job_file started_at ended_at version sandbox continued unchanged open records reject_reasons bytes digest parts platform_result \
                        rejects_file error errors warnings seconds peak_rss_bytes";
        assert_eq!(keys, contract.split_whitespace().collect::<Vec<_>>());
        assert_eq!(json["error"], json!({"kind": "data", "message": "3 rows were rejected", "hint": "look"}));
        assert_eq!((json["status"].as_str(), json["exit_code"].as_u64()), (Some("rejected"), Some(10)));
        assert_eq!(
            json["records"],
            json!({"read": 0, "written": 0, "filtered": 0, "rejected": 0, "failed": null, "ignored": null, "unaccounted": null})
        );
        assert_eq!(json["seconds"].as_object().unwrap().keys().collect::<Vec<_>>(), ["measure", "upload", "wait"]);
    }

    #[test]
    fn a_report_that_is_not_done_becomes_its_error_and_goes_with_it() {
        let mut failed = Report::failed("run", Error::new(Kind::Refused, "no such list").with_hint("name another"));
        failed.records.written = 7;
        let error = failed.into_result().unwrap_err();
        assert_eq!(
            (error.kind(), error.message(), error.hint()),
            (Kind::Refused, "no such list", Some("name another"))
        );
        let report = error.report().unwrap();
        assert_eq!((report.exit_code, report.records.written), (12, 7));
        assert!(error.map_text(str::to_owned).report().is_none(), "a text that was rewritten goes with no other");

        let mut silent = Report::new("resume");
        (silent.exit_code, silent.status) = (21, Some(Status::Unknown));
        let error = silent.into_result().unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::InDoubt, "resume ended with exit code 21 unknown"));

        let done = Report::new("run").into_result().unwrap();
        assert_eq!(done.status, Some(Status::Done));
    }

    #[test]
    fn the_reject_file_of_the_object_is_found_from_any_directory() {
        let mut report = Report::new("run");
        assert_eq!(report.to_json()["rejects_file"], Value::Null);
        report.rejects_file = Some("out/rejects.csv".into());
        let here = std::env::current_dir().unwrap();
        assert_eq!(report.to_json()["rejects_file"], here.join("out/rejects.csv").to_str().unwrap());
    }

    #[test]
    fn a_warning_is_in_the_report_once() {
        let mut report = Report::new("check");
        let warning = Warning::new(WarningKind::NullMarker, "2 values").in_column("email").with_count(2).first_at(7);
        report.warn(warning.clone());
        report.warn(warning);
        let want = json!([{
            "kind": "null_marker", "message": "2 values", "column": "email", "count": 2, "first_record": 7, "hint": null,
        }]);
        assert_eq!(report.to_json()["warnings"], want);
        assert_eq!(report.exit_code, 0);
    }

    #[test]
    fn a_digest_is_16_digits() {
        assert_eq!(digest(0xab), "crc64nvme:00000000000000ab");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn peak_memory_is_known_on_linux() {
        assert!(peak_rss_bytes() > 100_000);
    }
}
