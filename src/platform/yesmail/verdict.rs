//! The verdict on an import: the end of the ticket, and the results by row.

use super::deliver::hidden;
use super::options::Options;
use super::results::{Entry, List, Results, Summary};
use super::ticket::{Place, Ticket};
use crate::calls::{Call, Event, FaultAt, Read, Remote, Reply, RetrySafety, RowFault, Waiting, expired, quoted};
use crate::error::{Error, Kind, Result};
use crate::platform::{Outcome, Verdict};
use crate::secret::{Secret, printable};
use crate::transport::Answer;
use crate::warning::{Warning, WarningKind};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// Classifies an answer about a ticket.
pub(super) fn classify_ticket(answer: &Answer, uri: &Secret) -> Reply {
    let what = "the ticket";
    if !(200..300).contains(&answer.status) {
        return Reply::by_status_saying(what, answer, &hidden(&quoted(answer), uri));
    }
    let pending = |why: String| Error::new(Kind::Pending, why);
    let Some(ticket) = Ticket::read(&answer.body) else {
        return Reply::Strange(pending(format!("{what} is unreadable: {}", hidden(&quoted(answer), uri))));
    };
    match ticket.state.as_str() {
        "completed" | "failed" => Reply::Done(json!({
            "state": ticket.state,
            "message": hidden(&ticket.message, uri),
            "location": ticket.location,
        })),
        known @ ("accepted" | "processing" | "retrying") => Reply::Retry(pending(format!("{what} says \"{known}\""))),
        other => {
            let other = hidden(&printable(other), uri);
            Reply::Strange(pending(format!("{what} of Yesmail: unknown state \"{other}\"")))
        }
    }
}

impl Options {
    /// Returns the verdict of the ticket `id` that ended as `ticket`. `sent`: the number of rows, if the file is ours.
    pub(super) async fn verdict(
        &self,
        remote: &Remote<'_>,
        id: Option<String>,
        ticket: &Value,
        sent: Option<u64>,
        waiting: Waiting,
    ) -> Result<Verdict> {
        if expired(ticket) {
            return Ok(Verdict::new(Outcome::Expired, json!({"ticket": id, "verdict": "expired"})));
        }
        let text = |key: &str| ticket.get(key).and_then(Value::as_str).unwrap_or_default();
        let (state, message) = (text("state"), remote.said(text("message")));
        let mut result = json!({"ticket": id, "state": state, "message": message});
        let place = ticket.get("location").and_then(Value::as_str).and_then(|at| Place::resolve(&self.base, at));
        let summary = match place {
            None => None,
            Some(place) => self.results(remote, &place, waiting).await?,
        };
        if let Some(summary) = &summary {
            result["results"] = json!(summary.id);
            result["counts"] = summary.counts_json();
        }
        let counts = summary.as_ref().map(Summary::tally).unwrap_or_default();
        let sent = sent.or_else(|| summary.as_ref()?.requested()).unwrap_or(0);
        if state == "failed" {
            // the documents say both that an import stops midway and that nothing is done
            remote.note("the import failed: the state of the list is unknown")?;
            result["list"] = json!("state unknown");
            return Ok(Verdict::new(Outcome::Failed, result).with_reasons([message]).with_counts(counts, sent));
        }
        if counts.failed.is_none() && counts.imported.is_none() {
            let message = "Yesmail gave no counts of the imported rows: it is unknown whether rows failed";
            remote.warn(&Warning::new(WarningKind::NoCounts, message).with_hint("look at the list in Yesmail"))?;
        }
        let failed = counts.failed.unwrap_or(0);
        let outcome = if failed > 0 { Outcome::Partial } else { Outcome::Done };
        Ok(Verdict::new(outcome, result).with_failed_rows(failed).with_counts(counts, sent))
    }

    /// Reads the results by row as a stream; `None` if they are gone.
    async fn results(&self, remote: &Remote<'_>, place: &Place, waiting: Waiting) -> Result<Option<Summary>> {
        let request = self.at(place);
        let reading = Mutex::new(Reading { options: self, results: None, summary: None });
        let classify = |answer: &Answer| match answer.status {
            404 | 410 => Reply::Done(Value::Null),
            _ => Reply::by_status("the results", answer),
        };
        let call = Call::new("results", RetrySafety::Always);
        let read = remote.until(&call, waiting, |_| async {
            let mut each =
                |event: Event<'_>| reading.lock().unwrap_or_else(PoisonError::into_inner).take(event, remote);
            remote.read_once(&request, &classify, &mut each).await
        });
        let read = read.await?;
        let summary = reading.into_inner().unwrap_or_else(PoisonError::into_inner).summary;
        match (read, summary) {
            (Some(Read::Whole), Some(summary)) => settle(remote, summary).map(Some),
            _ => {
                remote.begin_faults(GROUP)?;
                remote.note("the results by row are gone: it is unknown whether rows failed")?;
                Ok(None)
            }
        }
    }
}

/// The group of the rows in the results.
const GROUP: &str = "results";

/// One reading of the results, started anew with each attempt.
struct Reading<'o> {
    options: &'o Options,
    results: Option<Results>,
    summary: Option<Summary>,
}

impl Reading<'_> {
    fn take(&mut self, event: Event<'_>, remote: &Remote<'_>) -> Result<()> {
        match event {
            Event::Begin(_) => {
                remote.begin_faults(GROUP)?;
                (self.results, self.summary) = (Some(Results::new()), None);
            }
            Event::Piece(piece) => {
                let lists_ignored = self.options.import_type != "ignore";
                if let Some(results) = &mut self.results {
                    results.push(piece, &mut |entry| row(remote, entry, lists_ignored))?;
                }
            }
            Event::End => self.summary = self.results.take().map(Results::finish).transpose()?,
        }
        Ok(())
    }
}

/// Stores a row of the results. Ignored rows are not stored for an `ignore` import, whose purpose they are.
fn row(remote: &Remote<'_>, entry: &Entry<'_>, lists_ignored: bool) -> Result<()> {
    let Some(index) = entry.index.filter(|_| entry.list != List::Ignored || lists_ignored) else { return Ok(()) };
    let said = printable(entry.message);
    let message = match (entry.list, said.is_empty()) {
        (List::Ignored, true) => "ignored".to_owned(),
        (List::Ignored, false) => format!("ignored: {said}"),
        (_, true) => "failed".to_owned(),
        (_, false) => said,
    };
    remote.fault(RowFault { at: FaultAt::Index(index), message })
}

/// Adds a note if the counts do not match the listed rows.
fn settle(remote: &Remote<'_>, summary: Summary) -> Result<Summary> {
    for (name, seen) in [("failed", summary.failed), ("ignored", summary.ignored)] {
        if let Some(counted) = summary.count(name).filter(|counted| *counted != seen) {
            remote.note(&format!("Yesmail counts {counted} {name} rows and lists {seen}"))?;
        }
    }
    Ok(summary)
}
