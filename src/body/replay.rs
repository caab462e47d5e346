//! Rows one by one: for a preview, and to find the source record of an output record.

use super::batch::{Collect, RowLog, RowOutcome};
use super::order::{Consumer, Ended};
use super::run::run_pass;
use super::slab::Slab;
use super::source_record::SourceRecord;
use super::totals::{Start, Totals};
use super::{Measured, Options};
use crate::error::{Error, Kind, Result};
use crate::format::{ChunkId, Table, Tabular};
use crate::mapping::Plan;
use crate::row::RowError;

/// A record that was written, shown by [`Measured::replay`].
#[non_exhaustive]
pub struct Written<'a> {
    /// Index in the whole output, from 0.
    pub index: u64,
    /// The output record, LF included.
    pub output: &'a [u8],
    /// The source record.
    pub source: SourceRecord<'a>,
}

/// A record shown by [`preview`].
#[non_exhaustive]
pub struct Preview<'a> {
    /// The record and its place.
    pub source: SourceRecord<'a>,
    /// The output record with its LF, or the reason for its rejection.
    pub result: Result<&'a [u8], &'a RowError>,
}

impl Measured {
    /// Converts again from the output record `from` on and passes each written record with its source position to
    /// `each`, until `each` returns false. With it, rows that a platform reported are found in the source.
    ///
    /// # Errors
    /// `SourceChanged`, or what `each` returns.
    pub fn replay(&self, from: u64, each: &mut (dyn FnMut(&Written<'_>) -> Result<bool> + Send)) -> Result<()> {
        let Some(second) = &self.second else {
            return Err(Error::new(Kind::SourceChanged, "the source of the run is not available"));
        };
        let start = &second.checkpoint_before(from, |totals| totals.out_records).start;
        let mut index = start.totals.out_records;
        let mut show = |rows: &RowLog, totals: &Totals, table: &dyn Tabular| {
            for row in &rows.items {
                let RowOutcome::Written(output) = row.outcome else { continue };
                let at = index;
                index += 1;
                if at < from {
                    continue;
                }
                let source = SourceRecord::new(row, rows, totals, table);
                if !each(&Written { index: at, output: rows.bytes(output), source })? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let collect = Collect { data: false, rejects: false, rows: true, sights: false };
        run_pass(&second.table, &second.plan, &second.options, collect, start, &mut Show(&mut show))?;
        second.table.source().verify_unchanged()
    }
}

/// Passes records, with their output or the reason for their rejection, to `each` until it returns false. Filtered
/// records are skipped. If the plan's separator is on trial, that separator is used.
///
/// # Errors
/// Reading the source failed, or what `each` returns.
pub fn preview(
    table: &Table,
    plan: &Plan,
    options: &Options,
    each: &mut (dyn FnMut(&Preview<'_>) -> Result<bool> + Send),
) -> Result<()> {
    let mut show = |rows: &RowLog, totals: &Totals, table: &dyn Tabular| {
        for row in &rows.items {
            let result = match &row.outcome {
                RowOutcome::Written(output) => Ok(rows.bytes(*output)),
                RowOutcome::Rejected(error) => Err(error),
            };
            if !each(&Preview { source: SourceRecord::new(row, rows, totals, table), result })? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let mut options = options.clone();
    options.threads = 1;
    options.chunk_bytes = options.chunk_bytes.min(64 << 10);
    let collect = Collect { data: false, rejects: true, rows: true, sights: false };
    let start = Start::of(table.tabular());
    let (ended, _) = run_pass(table, plan, &options, collect, &start, &mut Show(&mut show))?;
    if ended == Ended::Clash {
        return Err(Error::data("a value of the next record contains the separator that is on trial")
            .with_hint("set a separator that the records do not contain"));
    }
    Ok(())
}

type ShowRows<'a> = dyn FnMut(&RowLog, &Totals, &dyn Tabular) -> Result<bool> + Send + 'a;

struct Show<'a>(&'a mut ShowRows<'a>);

impl Consumer for Show<'_> {
    fn slab(&mut self, _: Slab) -> Result<bool> {
        Ok(true)
    }

    fn rows(&mut self, rows: &RowLog, totals: &Totals, table: &dyn Tabular) -> Result<bool> {
        (self.0)(rows, totals, table)
    }

    fn chunk_end(&mut self, _: ChunkId, _: &Totals, _: &dyn Tabular) -> Result<bool> {
        Ok(true)
    }
}
