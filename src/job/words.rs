//! How a command ended, in sentences for people who know the list and not the program, and what to do next.

use super::report::{Report, Status};
use super::text::{grouped, plural};
use crate::error::Kind;
use crate::platform::PLATFORMS;
use serde_json::Value;

impl Report {
    /// Returns sentences about how the command ended.
    #[must_use]
    pub fn outcome(&self) -> String {
        let mut sentences = match self.command {
            "run" | "resume" | "runs" => vec![self.of_run()],
            "check" => vec![self.of_check()],
            _ => Vec::new(),
        };
        sentences.extend(self.left_out());
        sentences.join(" ")
    }

    /// Returns what can be done next, one step each.
    #[must_use]
    pub fn next_steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        let is_run = matches!(self.command, "run" | "resume" | "runs");
        // of a run against the sandbox nothing is kept
        let Some(id) = self.run_id.as_ref().filter(|_| is_run && !self.sandbox) else { return steps };
        match self.status {
            // it is running
            None => return steps,
            Some(Status::Unknown) => {
                steps.push(format!("if {} has the list: listferry resume {id} --assume done", self.platform_title()));
                steps.push(format!("if it has not: listferry resume {id} --assume repeat"));
            }
            Some(Status::Pending) => steps.push(format!("ask for the verdict again: listferry resume {id}")),
            _ if self.open => {
                steps.push(format!("continue, which sends nothing twice that was accepted: listferry resume {id}"))
            }
            _ => {}
        }
        let refused = self.records.rejected > 0 || self.records.failed.is_some_and(|failed| failed > 0);
        if let (true, Some(_)) = (refused, &self.rejects_file) {
            steps.push(format!("see the rows and the reasons: listferry rejects {id} --bom -o rejects.csv"));
            let job = self.job_file.as_ref().map_or_else(|| "JOB".to_owned(), |file| file.display().to_string());
            if !self.open {
                steps.push(format!(
                    "take the rows as they are in the list: listferry rejects {id} --as-source -o rows.csv"
                ));
                steps.push(format!(
                    "correct them and send them alone: listferry run {job} --set source.path=\"$PWD/rows.csv\""
                ));
            }
        }
        steps
    }

    /// Returns the name of the platform's product.
    pub(super) fn platform_title(&self) -> &str {
        let Some(name) = self.platform.as_deref() else { return "the platform" };
        PLATFORMS.iter().find(|entry| entry.name == name).map_or(name, |entry| entry.title)
    }

    /// Returns the number of parts that were accepted.
    pub(super) fn accepted_parts(&self) -> usize {
        self.parts.iter().filter(|part| !part.remote_id.is_null()).count()
    }

    fn of_run(&self) -> String {
        let to = self.platform_title();
        let people = |n: u64| format!("{} record{}", grouped(n), plural(n));
        let written = people(self.records.written);
        let kind = self.error.as_ref().map(crate::error::Error::kind);
        match (self.status, kind) {
            _ if self.unchanged => format!("The list is the same as last time and was not sent to {to} again."),
            (Some(Status::Done), _) => self.done(&written),
            (Some(Status::Partial), Some(Kind::ImportFailed)) => match self.records.failed {
                Some(failed) if failed > 0 => {
                    format!("{to} has received {written} and refused {} of them.", grouped(failed))
                }
                _ => format!("{to} has received {written}, but has not imported all of them."),
            },
            (Some(Status::Partial), _) => {
                let (accepted, parts) = (self.accepted_parts(), self.parts.len());
                match accepted {
                    0 => format!("Only a part of the list was sent to {to}."),
                    1 => format!("1 of {parts} parts of the list was sent to {to}; the others were not."),
                    _ => format!("{accepted} of {parts} parts of the list were sent to {to}; the others were not."),
                }
            }
            (Some(Status::Rejected), _) => format!("Nothing was sent to {to}, because the list is not in order."),
            (Some(Status::Unknown), _) => format!(
                "It is not known whether {to} has received the list: a call got no answer, and it was not repeated, since \
                 that could change the result."
            ),
            (Some(Status::Pending), _) => {
                format!("{to} has received {written}, but has not said yet whether it could import them.")
            }
            (Some(Status::Blocked), _) => "Nothing was sent, because an earlier run is in the way.".to_owned(),
            (Some(Status::Interrupted), _) => match &self.stopped {
                Some(stopped) => format!("The command was stopped: {}.", stopped.sent),
                None => "The command was stopped before it had ended.".to_owned(),
            },
            (Some(Status::Failed), Some(Kind::ImportFailed)) => {
                format!("{to} has received {written}, but could not import them.")
            }
            (Some(Status::Failed), Some(Kind::Refused)) => format!("{to} has refused the list: nothing was imported."),
            (Some(Status::Failed), Some(Kind::Credentials)) => {
                format!("{to} has refused the credentials: nothing was imported.")
            }
            (Some(Status::Failed), Some(Kind::Transient)) if self.open => {
                format!("The list could not be sent to {to} completely; running the job again continues.")
            }
            (Some(Status::Failed), Some(Kind::Transient)) => {
                format!("The list could not be sent to {to} for the moment; nothing was imported.")
            }
            (Some(Status::Failed), _) => "The command failed on this machine.".to_owned(),
            (None, _) => "Nothing was tried.".to_owned(),
        }
    }

    fn done(&self, written: &str) -> String {
        let to = self.platform_title();
        let verdict = self.platform_result.get("verdict").and_then(Value::as_str);
        let counted = self.records.failed.is_some();
        match (verdict, self.records.failed.unwrap_or(0)) {
            (Some("by e-mail"), _) => {
                format!("{to} has received {written}; whether it could import them, it says by e-mail.")
            }
            (_, 0) if counted => format!("{to} has imported {written}."),
            (_, 0) => format!("{to} has received {written}."),
            (_, failed) => format!("{to} has received {written} and refused {} of them.", grouped(failed)),
        }
    }

    fn of_check(&self) -> String {
        let n = self.records.written;
        let records = format!("{} record{}", grouped(n), plural(n));
        match (self.exit_code, self.parts.len()) {
            (0, 0 | 1) => format!("The list is in order: {records} would be sent to {}.", self.platform_title()),
            (0, parts) => {
                format!("The list is in order: {records} would be sent to {} in {parts} parts.", self.platform_title())
            }
            _ => "The list cannot be sent as it is.".to_owned(),
        }
    }

    /// Returns sentences about rows that were not sent.
    fn left_out(&self) -> Vec<String> {
        let rows = |n: u64| (grouped(n), if n == 1 { "row" } else { "rows" }, if n == 1 { "is" } else { "are" });
        let mut sentences = Vec::new();
        if self.records.rejected > 0 {
            let (n, rows, are) = rows(self.records.rejected);
            sentences.push(format!("{n} {rows} of the list {are} not valid."));
        }
        if let Some(ignored) = self.records.ignored.filter(|ignored| *ignored > 0) {
            let (n, rows, _) = rows(ignored);
            sentences.push(format!("{} ignored {n} {rows}.", self.platform_title()));
        }
        if let Some(lost) = self.records.unaccounted.filter(|lost| *lost > 0) {
            let (n, rows, are) = rows(lost);
            sentences.push(format!("{n} {rows} that were sent {are} in none of its counts."));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use serde_json::json;

    fn report(kind: Option<Kind>) -> Report {
        let mut report = Report::new("run");
        report.platform = Some("clevertap".to_owned());
        if let Some(kind) = kind {
            report.fail(Error::new(kind, "why"));
        }
        report.records.written = 2;
        report
    }

    #[test]
    fn every_kind_of_error_has_its_sentence() {
        let kinds = Kind::ALL.into_iter().filter(|kind| Status::of(*kind).is_some());
        let mut sentences: Vec<String> = kinds.map(|kind| report(Some(kind)).outcome()).collect();
        assert!(sentences.iter().all(|sentence| sentence.ends_with('.')), "{sentences:#?}");
        sentences.sort();
        sentences.dedup();
        assert!(sentences.len() >= 10, "{sentences:#?}");
    }

    #[test]
    fn what_the_platform_has_said_is_in_the_sentence() {
        let mut done = report(None);
        assert_eq!(done.outcome(), "CleverTap has received 2 records.");
        done.platform_result = json!({"verdict": "by e-mail"});
        assert_eq!(
            done.outcome(),
            "CleverTap has received 2 records; whether it could import them, it says by e-mail."
        );
        done.platform_result = json!({});
        (done.records.failed, done.records.rejected, done.records.ignored) = (Some(0), 1, Some(1200));
        let said = "CleverTap has imported 2 records. 1 row of the list is not valid. CleverTap ignored 1,200 rows.";
        assert_eq!(done.outcome(), said);
        done.unchanged = true;
        assert!(done.outcome().starts_with("The list is the same as last time"));
    }

    #[test]
    fn the_next_step_after_rejects_is_to_correct_them() {
        let mut done = report(None);
        assert_eq!(done.next_steps(), Vec::<String>::new());
        done.run_id = Some("r1".to_owned());
        done.rejects_file = Some("state/rejects/r1.csv".into());
        done.records.rejected = 3;
        done.job_file = Some("jobs/vip.yaml".into());
        let steps = done.next_steps();
        assert_eq!(steps[0], "see the rows and the reasons: listferry rejects r1 --bom -o rejects.csv");
        assert_eq!(
            steps[2].rsplit_once(": ").unwrap().1,
            "listferry run jobs/vip.yaml --set source.path=\"$PWD/rows.csv\""
        );
        done.open = true;
        let steps = done.next_steps();
        assert!(steps.len() == 2 && steps[0].ends_with(": listferry resume r1"), "the run has to end first: {steps:?}");
        done.sandbox = true;
        assert!(done.next_steps().is_empty(), "nothing of it is kept");
    }

    #[test]
    fn the_next_step_after_a_doubt_is_to_look() {
        let mut doubt = report(Some(Kind::InDoubt));
        doubt.run_id = Some("r1".to_owned());
        let want = [
            "if CleverTap has the list: listferry resume r1 --assume done",
            "if it has not: listferry resume r1 --assume repeat",
        ];
        assert_eq!(doubt.next_steps(), want);
        let mut pending = report(Some(Kind::Pending));
        pending.run_id = Some("r1".to_owned());
        assert_eq!(pending.next_steps(), ["ask for the verdict again: listferry resume r1"]);
    }
}
