//! The plan of a run, for review before sending. `run --plan` sends exactly what is planned, or nothing.

use crate::error::{Error, Result};
use crate::secret::printable;
use crate::source::temporary::Temporary;
use serde_json::{Map, Value};
use std::io::Write as _;
use std::path::Path;

/// The keys of a plan that a run must give as well.
const COMPARED: [&str; 8] = ["job", "destination", "names", "records", "parts", "bytes", "digest", "reject_reasons"];

/// Number of differences that an error shows.
const MAX_SHOWN: usize = 8;

/// Maximum size of a plan that is read.
const MAX_BYTES: u64 = 16 << 20;

/// The plan of a run: the result of `check` and the calls that follow. Contains no value of a row and no secret.
///
/// ```
/// use listferry::job::{Env, Job, RunPlan};
///
/// # let dir = std::env::temp_dir().join(format!("listferry-plan-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// std::fs::write(dir.join("vip.csv"), "customer_id\n17\n18\n")?;
/// let job = Job::read(
///     "source: { path: vip.csv }\n\
///      map: { identity: customer_id }\n\
///      destination: { platform: clevertap, region: in1, account_id: { env: ID }, passcode: { env: PASS },\n\
///                     segment: \"VIP {date}\", creator: Jane, email: jane@example.com }",
///     &dir,
///     &[],
/// )?;
/// let report = job.check(&Env::default()).into_result()?;
/// report.plan.as_ref().expect("a check that is done has a plan").write(&dir.join("plan.json"))?;
/// let plan = RunPlan::read(&dir.join("plan.json"))?;
/// assert_eq!(plan.to_json()["records"]["written"], 2);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The day that `{date}` means, as `YYYY-MM-DD`.
    date: String,
    object: Map<String, Value>,
    /// Path of the key and name of the variable of those that are not set: the plan is for another destination.
    unset: Vec<(String, String)>,
}

impl RunPlan {
    /// Returns a plan with these facts.
    pub(super) fn new(date: &str, object: Map<String, Value>) -> RunPlan {
        RunPlan { date: date.to_owned(), object, unset: Vec::new() }
    }

    /// Adds the variables of the destination that are not set.
    pub(super) fn without(mut self, unset: Vec<(String, String)>) -> RunPlan {
        self.unset = unset;
        self
    }

    /// Returns the plan as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.object.clone())
    }

    /// Returns the day that `{date}` means.
    pub(super) fn date(&self) -> &str {
        &self.date
    }

    /// Reads a plan that [`RunPlan::write`] has written.
    ///
    /// # Errors
    /// `Usage`: the file cannot be read or is not a plan.
    pub fn read(path: &Path) -> Result<RunPlan> {
        let shown = path.display();
        let failed = |error: std::io::Error| {
            Error::usage(format!("the plan {shown} cannot be read: {error}")).with_source(error).with_hint(HOW_TO_MAKE)
        };
        let not_a_plan = || Error::usage(format!("{shown} is not a plan")).with_hint(HOW_TO_MAKE);
        if std::fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
            return Err(not_a_plan());
        }
        let text = std::fs::read(path).map_err(failed)?;
        let Ok(Value::Object(object)) = serde_json::from_slice(&text) else { return Err(not_a_plan()) };
        let date = object.get("date").and_then(Value::as_str).filter(|date| is_day(date)).ok_or_else(not_a_plan)?;
        if let Some(key) = COMPARED.iter().find(|key| !object.contains_key(**key)) {
            return Err(Error::usage(format!("{shown} is not a whole plan: it has no {key}")).with_hint(HOW_TO_MAKE));
        }
        Ok(RunPlan { date: date.to_owned(), object, unset: Vec::new() })
    }

    /// Writes the plan to a file, which appears when it is complete.
    ///
    /// # Errors
    /// As [`RunPlan::to_text`]; `Local`: the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = self.to_text()?;
        let temporary = Temporary::public(path)?;
        (&temporary.file)
            .write_all(text.as_bytes())
            .map_err(|error| Error::io(format!("{} cannot be written", path.display()), error))?;
        temporary.replace()
    }

    /// Returns the text of a plan's file.
    ///
    /// # Errors
    /// `Usage`: a variable of the destination is not set, so that it is not known what the plan is for.
    pub fn to_text(&self) -> Result<String> {
        if let Some((path, name)) = self.unset.first() {
            let message = format!("{path}: the environment variable {name} is not set, and a plan contains its value");
            return Err(Error::usage(message).with_hint(format!("set {name}, or write the value itself")));
        }
        Ok(format!("{:#}\n", self.to_json()))
    }

    /// Checks that a run has the facts of this plan.
    ///
    /// # Errors
    /// `Data`: something differs.
    pub(super) fn check(&self, run: &Map<String, Value>) -> Result<()> {
        let mut found = Vec::new();
        for key in COMPARED {
            let of = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or(Value::Null);
            differences(key, &of(&self.object), &of(run), &mut found);
        }
        if found.is_empty() {
            return Ok(());
        }
        let more = match found.len().saturating_sub(MAX_SHOWN) {
            0 => String::new(),
            n => format!("; and {n} more"),
        };
        found.truncate(MAX_SHOWN);
        let message = format!("this run is not the one that was planned: {}{more}; nothing was sent", found.join("; "));
        Err(Error::data(message).with_hint("make a new plan with `check --out`, and have it reviewed"))
    }
}

const HOW_TO_MAKE: &str = "`listferry check JOB --out FILE` makes a plan";

fn is_day(text: &str) -> bool {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() && text.len() == 10
}

/// Adds the paths of values that differ, with both values.
fn differences(at: &str, plan: &Value, run: &Value, found: &mut Vec<String>) {
    match (plan, run) {
        (Value::Object(plan), Value::Object(run)) => {
            for (key, value) in plan {
                differences(&format!("{at}.{key}"), value, run.get(key).unwrap_or(&Value::Null), found);
            }
            for (key, value) in run.iter().filter(|(key, _)| !plan.contains_key(*key)) {
                differences(&format!("{at}.{key}"), &Value::Null, value, found);
            }
        }
        (Value::Array(plan), Value::Array(run)) if plan.len() == run.len() => {
            for (n, (plan, run)) in plan.iter().zip(run).enumerate() {
                differences(&format!("{at}[{n}]"), plan, run, found);
            }
        }
        (Value::Array(plan), Value::Array(run)) => {
            found.push(format!("{at}: {} in the plan, {} now", plan.len(), run.len()));
        }
        (plan, run) if plan == run => {}
        (plan, run) => {
            found.push(format!("{}: {} in the plan, {} now", printable(at), word(plan), word(run)));
        }
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Object(_) | Value::Array(_) => "another form".to_owned(),
        other => printable(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_name_the_place_and_both_values() {
        let mut found = Vec::new();
        let plan = json!({"region": "in1", "host": {"uri": "x"}, "n": [1, 2], "m": [1], "gone": 1});
        let run = json!({"region": "us1", "host": {"uri": "x"}, "n": [1, 3], "m": [1, 2], "new": "a\u{1b}b"});
        differences("d", &plan, &run, &mut found);
        let want = [
            "d.region: \"in1\" in the plan, \"us1\" now",
            "d.n[1]: 2 in the plan, 3 now",
            "d.m: 1 in the plan, 2 now",
            "d.gone: 1 in the plan, none now",
            "d.new: none in the plan, \"a\\u001bb\" now",
        ];
        assert_eq!(found, want);
    }

    #[test]
    fn a_day_has_its_form() {
        for (text, is) in [("2026-11-30", true), ("2026-02-30", false), ("2026-1-3", false), ("{date}", false)] {
            assert_eq!(is_day(text), is, "{text}");
        }
    }
}
