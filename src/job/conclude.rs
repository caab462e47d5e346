//! Puts the platform's verdict on a run into the report.

use super::Job;
use super::report::{Report, Status};
use super::text::plural;
use crate::calls::Journal;
use crate::error::{Error, Kind, Result};
use crate::platform::{Delivery, Outcome, Verdict};
use crate::warning::Warning;

impl Job {
    /// Puts the platform's verdict into the report. `shown`: number of reported rows that are in the reject file.
    pub(super) fn conclude(
        &self,
        journal: &dyn Journal,
        plan: &Delivery,
        verdict: Verdict,
        shown: u64,
        report: &mut Report,
    ) -> Result<()> {
        // ignored rows may be reported too, although they did not fail
        let named = journal.fault_count()?.saturating_sub(verdict.counts.ignored.unwrap_or(0));
        report.records.failed = verdict.counts.failed;
        report.records.ignored = verdict.counts.ignored;
        report.records.unaccounted = verdict.unaccounted;
        let hint = hint(named, shown, &verdict, report);
        let failed = |message: String| Error::new(Kind::ImportFailed, message).with_hint(hint);
        let why = verdict.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let max_remote = self.config.rejects.max_remote;
        let max_unaccounted = self.config.rejects.max_unaccounted.or(plan.max_unaccounted);
        let error = match (verdict.outcome, verdict.failed_rows.map(|rows| rows.max(named))) {
            (Outcome::Failed, _) => Some((Status::Failed, format!("the platform reports a failed import{why}"))),
            (Outcome::Expired, _) => Some((
                Status::Partial,
                "no verdict came within 24 hours after the platform accepted the list: it is not asked for any more"
                    .to_owned(),
            )),
            (Outcome::Partial, Some(rows)) if rows > max_remote => Some((
                Status::Partial,
                format!("the platform refused {rows} row{}, rejects.max_remote is {max_remote}", plural(rows)),
            )),
            (Outcome::Partial, None) => Some((Status::Partial, format!("the platform took only a part{why}"))),
            _ => match (verdict.unaccounted, max_unaccounted) {
                (Some(rows), Some(max)) if rows > max => Some((
                    Status::Partial,
                    format!(
                        "the platform's counts leave out {rows} row{} of the {} sent, rejects.max_unaccounted is {max}",
                        plural(rows),
                        report.records.written
                    ),
                )),
                _ => None,
            },
        };
        report.platform_result = verdict.result;
        if let Some((status, message)) = error {
            report.fail(failed(message));
            report.status = Some(status);
        }
        Ok(())
    }

    /// Adds the parts and warnings of the journal to the report, however the run ended.
    pub(super) fn account(&self, journal: &dyn Journal, report: &mut Report) -> Result<()> {
        let states = journal.parts()?;
        report.place(&states);
        let accepted = states.iter().filter(|part| part.accepted).count();
        let failed = matches!(report.status, Some(Status::Failed | Status::Rejected)) && report.parts.len() > 1;
        if failed && accepted > 0 && accepted < report.parts.len() {
            report.status = Some(Status::Partial);
        }
        for note in journal.notes()? {
            report.warn(Warning::from_note(&note));
        }
        Ok(())
    }
}

/// Returns the hint about rows or an import that the platform refused.
fn hint(named: u64, shown: u64, verdict: &Verdict, report: &Report) -> String {
    match (named, shown, report.run_id.as_deref()) {
        (0, ..) if verdict.reason.is_some() => {
            "the platform reported no rows: correct what its answer says, then run the job again".to_owned()
        }
        (0, ..) => "the platform reported no rows; its answer is platform_result in the report".to_owned(),
        (_, 0, _) => {
            "the rows that the platform named cannot be shown, as the warnings say; platform_result in the report is \
                      what it answered"
                .to_owned()
        }
        (_, _, Some(id)) => format!("listferry rejects {id} shows the rows; correct them and send them again"),
        (.., None) => "see rejects_file".to_owned(),
    }
}
