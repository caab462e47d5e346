//! The receiver of rejected records, and their counts by code.

use super::Counts;
use super::batch::{RowLog, RowOutcome};
use super::source_record::SourceRecord;
use super::totals::Totals;
use crate::error::Result;
use crate::format::Tabular;
use crate::row::RowError;
use std::collections::BTreeMap;

/// A rejected record, borrowed by a [`RejectSink`].
#[non_exhaustive]
pub struct Reject<'a> {
    /// The record and its place.
    pub source: SourceRecord<'a>,
    /// Name of the source column, if one is the cause.
    pub column: Option<&'a str>,
    /// Why it was rejected.
    pub error: &'a RowError,
}

/// Receives rejects in the order of the source.
pub trait RejectSink: Send {
    /// Receives a reject.
    ///
    /// # Errors
    /// Ends the pass.
    fn reject(&mut self, reject: &Reject<'_>) -> Result<()>;

    /// Drops all rejects, because the pass starts again.
    ///
    /// # Errors
    /// Ends the pass.
    fn restart(&mut self) -> Result<()>;

    /// Called when a pass stops before the end of the source, with the records of all complete chunks and the rejected
    /// ones of the last chunk. Ignored by default.
    fn stopped(&mut self, _so_far: &Counts) {}
}

/// Ignores rejects.
pub struct DiscardRejects;

impl RejectSink for DiscardRejects {
    fn reject(&mut self, _: &Reject<'_>) -> Result<()> {
        Ok(())
    }
    fn restart(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Passes rejects on to the sink and counts them by code.
pub(crate) struct CountingSink<'a> {
    sink: &'a mut dyn RejectSink,
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Counts of the finished chunks.
    whole: Counts,
    /// Number of records rejected in the current chunk.
    begun: u64,
}

impl<'a> CountingSink<'a> {
    pub(crate) fn new(sink: &'a mut dyn RejectSink) -> CountingSink<'a> {
        CountingSink { sink, reasons: BTreeMap::new(), whole: Counts::default(), begun: 0 }
    }

    pub(crate) fn take(&mut self, rows: &RowLog, totals: &Totals, table: &dyn Tabular) -> Result<()> {
        for row in &rows.items {
            let RowOutcome::Rejected(error) = &row.outcome else { continue };
            match self.reasons.get_mut(error.code) {
                Some(n) => *n += 1,
                None => {
                    self.reasons.insert(error.code.to_owned(), 1);
                }
            }
            self.begun += 1;
            self.sink.reject(&Reject {
                source: SourceRecord::new(row, rows, totals, table),
                column: error.column.and_then(|column| table.names().get(column)).map(String::as_str),
                error,
            })?;
        }
        Ok(())
    }

    pub(crate) fn chunk_end(&mut self, totals: &Totals) {
        self.whole.clone_from(&totals.counts);
        self.begun = 0;
    }

    /// Reports that the pass ended before the end of the source.
    pub(crate) fn stopped(&mut self) {
        let mut so_far = Counts { reject_reasons: self.reasons.clone(), ..self.whole.clone() };
        so_far.read += self.begun;
        so_far.rejected += self.begun;
        self.sink.stopped(&so_far);
    }
}
