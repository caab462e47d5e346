//! One pass from a table to a writer.

use super::batch::{Collect, RowLog};
use super::order::{Consumer, Ended};
use super::run::run_pass;
use super::sink::CountingSink;
use super::slab::Slab;
use super::totals::{Start, Totals};
use super::{Counts, Options, RejectSink};
use crate::error::{Error, Kind, Result};
use crate::format::{ChunkId, Table, Tabular};
use crate::mapping::Plan;
use std::sync::Arc;

/// Converts a table in one pass; `out` receives the header line and the records in order.
///
/// The plan's separator must be fixed: for `separator: auto`, [`super::measure`] first and use its plan.
///
/// # Errors
/// `Data`: damaged input, a quote that never closes. `Local`: reading or `out` failed.
pub fn convert(
    table: &Table,
    plan: &Arc<Plan>,
    options: &Options,
    out: &mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send),
    rejects: &mut dyn RejectSink,
) -> Result<Counts> {
    options.progress.begin_pass();
    if !plan.head().is_empty() {
        out(plan.head()).map_err(|error| Error::io("writing the output", error))?;
    }
    let mut writer = Writer { out, rejects: CountingSink::new(rejects) };
    let collect = Collect { data: true, rejects: true, rows: false, sights: false };
    let (ended, totals) = run_pass(table, plan, options, collect, &Start::of(table.tabular()), &mut writer)
        .inspect_err(|_| writer.rejects.stopped())?;
    if ended == Ended::Clash {
        return Err(Error::new(Kind::Local, "the separator on trial occurs in a value: measure first"));
    }
    table.source().verify_unchanged().inspect_err(|_| writer.rejects.stopped())?;
    let reject_reasons = writer.rejects.reasons;
    Ok(Counts { reject_reasons, ..totals.counts })
}

struct Writer<'a> {
    out: &'a mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send),
    rejects: CountingSink<'a>,
}

impl Consumer for Writer<'_> {
    fn slab(&mut self, slab: Slab) -> Result<bool> {
        if let Some(data) = &slab.data {
            (self.out)(data.as_ref()).map_err(|error| Error::io("writing the output", error))?;
        }
        Ok(true)
    }

    fn rows(&mut self, rows: &RowLog, totals: &Totals, table: &dyn Tabular) -> Result<bool> {
        self.rejects.take(rows, totals, table)?;
        Ok(true)
    }

    fn chunk_end(&mut self, _: ChunkId, totals: &Totals, _: &dyn Tabular) -> Result<bool> {
        self.rejects.chunk_end(totals);
        Ok(true)
    }
}
