//! The plan of a run, made from its job and its first pass.

use super::config::Config;
use super::identity::without_secrets;
use super::report::Report;
use super::run_plan::RunPlan;
use crate::body::Part;
use crate::calls::quota::schedule;
use crate::calls::{JobSeed, utc};
use crate::error::Result;
use crate::platform::{Outline, PlannedCall, Platform};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

/// The inputs of a plan beside the report.
pub(super) struct Planned<'a> {
    pub(super) config: &'a Config,
    pub(super) platform: &'a dyn Platform,
    pub(super) parts: &'a [Part],
    /// The day that `{date}` means.
    pub(super) date: &'a str,
}

impl Planned<'_> {
    /// Makes the plan of a run that would start now.
    pub(super) fn plan(&self, report: &Report, now: SystemTime) -> RunPlan {
        let outline = self.outline();
        let mut object = Map::new();
        object.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        object.insert("made_at".to_owned(), utc(now).into());
        object.insert("date".to_owned(), self.date.into());
        object.extend(self.compared(report, &outline));
        object.insert("calls".to_owned(), outline.calls.iter().map(call).collect());
        let end = now.checked_add(duration(self, report, &outline)).unwrap_or(now);
        object.insert("finish_by".to_owned(), utc(end).into());
        RunPlan::new(self.date, object)
    }

    /// Checks that this run would send what a plan says.
    ///
    /// # Errors
    /// `Data`: something differs.
    pub(super) fn check(&self, plan: &RunPlan, report: &Report) -> Result<()> {
        plan.check(&self.compared(report, &self.outline()))
    }

    /// Returns the names and calls; `{run}` stays as it is.
    fn outline(&self) -> Outline {
        let seed = JobSeed { run_id: "{run}".to_owned(), random: String::new(), date: self.date.to_owned() };
        self.platform.outline(&self.config.map, self.parts, &seed)
    }

    /// Returns what a run must give as well.
    fn compared(&self, report: &Report, outline: &Outline) -> Map<String, Value> {
        let own = self.config.entry.map_or(&[][..], |entry| entry.keys);
        let mut destination = without_secrets(&self.config.destination, own);
        destination.retain(|_, value| !value.is_null());
        let names: Map<String, Value> =
            outline.names.iter().map(|(key, names)| (key.clone(), names.as_slice().into())).collect();
        let records = &report.records;
        let parts: Vec<Value> = report
            .parts
            .iter()
            .map(|part| json!({ "index": part.index, "bytes": part.bytes, "records": part.records }))
            .collect();
        let object = json!({
            "job": self.config.name,
            "destination": destination,
            "names": names,
            "records": {
                "read": records.read, "written": records.written, "filtered": records.filtered,
                "rejected": records.rejected,
            },
            "parts": parts,
            "bytes": { "body": report.bytes.body },
            "digest": report.digest,
            "reject_reasons": report.reject_reasons,
        });
        let Value::Object(object) = object else { return Map::new() };
        object
    }
}

fn call(planned: &PlannedCall) -> Value {
    let quota = planned.quota.as_ref();
    json!({
        "call": planned.call,
        "purpose": planned.purpose,
        "count": planned.count,
        "quota": quota.map(|quota| json!({ "calls": quota.limit, "seconds": quota.window.as_secs() })),
        "at_once": planned.at_once,
    })
}

/// Returns how long a run takes at most if no call has to be repeated: a second pass, the waits for unused quotas,
/// `upload.max_rate`, and all of `wait`.
fn duration(planned: &Planned<'_>, report: &Report, outline: &Outline) -> Duration {
    let config = planned.config;
    let mut time = Duration::from_secs_f64(2.0 * report.seconds.measure.max(0.0));
    for call in &outline.calls {
        if let (Some(quota), Some(count)) = (&call.quota, call.count) {
            let now = SystemTime::UNIX_EPOCH;
            let last = schedule(quota, &[], u32::try_from(count).unwrap_or(u32::MAX), now).last().copied();
            time += last.and_then(|at| at.duration_since(now).ok()).unwrap_or_default();
        }
        if call.awaits && !config.wait.is_zero() {
            let earlier = u32::try_from(planned.parts.len().saturating_sub(1)).unwrap_or(u32::MAX);
            time += config.wait;
            time += if call.in_turn { config.upload.part_wait.saturating_mul(earlier) } else { Duration::ZERO };
        }
    }
    if let Some(rate) = config.upload.timers.max_rate {
        time += Duration::from_secs(report.bytes.body.div_ceil(rate.max(1)));
    }
    time
}
