//! Messages for an interrupted command: how much was sent, and the command that continues.

use super::journal::Standing;
use super::report::Report;
use super::text::plural;
use crate::error::Kind;

/// How far an interrupted command came, and how to continue it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// The amount that was sent, in words.
    pub sent: String,
    /// The run that `resume` continues; `None` if nothing is open, and the same command starts over.
    pub run_id: Option<String>,
    /// True if `resume` needs `--assume`, because a call that must not be repeated got no answer.
    pub in_doubt: bool,
}

impl Report {
    /// Records what an interrupted run has sent. `served`: the platform can fetch the list only while the run goes on.
    pub(super) fn stopped_at(&mut self, standing: Standing, open: bool, served: bool) {
        let (parts, accepted) = (self.parts.len(), standing.accepted);
        let mut sent = match () {
            () if standing.in_doubt => "a call that must not be repeated was cut off before its answer".to_owned(),
            () if !standing.called && accepted == 0 => "nothing was sent".to_owned(),
            () if accepted == 0 => "the platform has not accepted the list yet".to_owned(),
            () if accepted < parts => {
                let verb = if accepted == 1 { "was" } else { "were" };
                format!("{accepted} of {parts} part{} {verb} accepted", plural(parts as u64))
            }
            () => "all of the list was accepted, but there is no verdict yet".to_owned(),
        };
        if served && accepted > 0 {
            sent += ", and the platform can fetch it only while the run goes on";
        }
        self.stopped(sent, open, standing.in_doubt);
    }

    /// Records that a command was interrupted before it sent anything.
    pub(super) fn stopped_before(&mut self) {
        self.stopped("nothing was sent".to_owned(), false, false);
    }

    fn stopped(&mut self, sent: String, open: bool, in_doubt: bool) {
        if !self.error.as_ref().is_some_and(|error| matches!(error.kind(), Kind::Interrupted | Kind::Terminated)) {
            return;
        }
        let run_id = self.run_id.clone().filter(|_| open);
        let command = match &run_id {
            Some(id) => format!("listferry resume {id}"),
            None => "run the job again".to_owned(),
        };
        self.stopped = Some(Stopped { sent, run_id, in_doubt });
        self.continue_with(&command);
    }

    /// Puts the command that continues an interrupted run into the hint of its error. Does nothing for other reports.
    pub fn continue_with(&mut self, command: &str) {
        let Some(stopped) = &self.stopped else { return };
        let Some(error) = self.error.take() else { return };
        let (to, end) = match (&stopped.run_id, stopped.in_doubt) {
            (None, _) => ("to start over", ""),
            (Some(_), false) => ("to continue", ""),
            (Some(_), true) => {
                ("look at the platform, then", " --assume done (if the platform has it) or --assume repeat (if not)")
            }
        };
        let hint = format!("{}; {to}: {command}{end}", stopped.sent);
        self.error = Some(error.with_hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn hint(called: bool, in_doubt: bool, accepted: usize, open: bool) -> String {
        let mut report = Report::failed("run", Error::new(Kind::Interrupted, "stopped"));
        report.run_id = Some("r1".to_owned());
        report.parts = serde_json::from_value(serde_json::json!([
            {"index": 0, "bytes": 1, "records": 1, "attempts": 0, "remote_id": null},
            {"index": 1, "bytes": 1, "records": 1, "attempts": 0, "remote_id": null},
        ]))
        .unwrap();
        report.stopped_at(Standing { called, in_doubt, accepted }, open, false);
        report.error.unwrap().hint().unwrap().to_owned()
    }

    #[test]
    fn the_hint_says_what_was_sent_and_how_to_go_on() {
        assert_eq!(hint(false, false, 0, false), "nothing was sent; to start over: run the job again");
        let yet = "the platform has not accepted the list yet; to continue: listferry resume r1";
        assert_eq!(hint(true, false, 0, true), yet);
        assert_eq!(hint(true, false, 1, true), "1 of 2 parts was accepted; to continue: listferry resume r1");
        assert!(hint(true, false, 2, true).starts_with("all of the list was accepted, but there is no verdict yet"));
        assert!(hint(true, true, 1, true).contains("listferry resume r1 --assume done"));
    }

    #[test]
    fn another_error_keeps_its_hint() {
        let mut report = Report::failed("run", Error::data("x").with_hint("y"));
        report.stopped_before();
        report.continue_with("z");
        assert_eq!(report.error.unwrap().hint(), Some("y"));
    }
}
