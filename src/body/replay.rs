//! Rows shown one by one: a preview, and the way back from an output record to the source's.

use super::grid::Mark;
use super::pipeline::{self, Base, Consumer, Ended, Start};
use super::slab::Slab;
use super::worker::{RowKind, Rows, Want};
use super::{Measured, Options};
use crate::error::{Error, Kind, Result};
use crate::mapping::Plan;
use crate::reader::Table;

/// A record that was written, shown by [`Measured::replay`].
pub struct Written<'a> {
    /// In the whole output, from 0.
    pub index: u64,
    /// The output record, LF included.
    pub output: &'a [u8],
    /// As the user named it.
    pub file: &'a str,
    /// From 1, without the header.
    pub record: u64,
    /// From 1, with the header.
    pub line: u64,
    /// Of the record's start, from 0, in the decompressed source.
    pub byte: u64,
    /// The source record without its line end.
    pub raw: &'a [u8],
}

/// A record shown by [`preview`].
pub struct Preview<'a> {
    /// As the user named it.
    pub file: &'a str,
    /// From 1, without the header.
    pub record: u64,
    /// From 1, with the header.
    pub line: u64,
    /// The source record without its line end.
    pub raw: &'a [u8],
    /// The output record with its LF, or code and reason of its rejection.
    pub result: Result<&'a [u8], (&'a str, String)>,
}

impl Measured {
    /// Converts again from the output record `from` on and shows each written record with its source position, until
    /// `each` says no. How platforms' verdicts come back as the user's rows.
    ///
    /// # Errors
    /// `SourceChanged`, or what `each` says.
    pub fn replay(&self, from: u64, each: &mut (dyn FnMut(&Written<'_>) -> Result<bool> + Send)) -> Result<()> {
        let Some(second) = &self.second else {
            return Err(Error::new(Kind::SourceChanged, "the source of the run is not at hand"));
        };
        let start = &second.checkpoint_before(from, |base| base.out_records).start;
        let mut index = start.base.out_records;
        let mut show = |rows: &Rows, base: &Base, table: &Table| {
            for row in &rows.items {
                let RowKind::Written { output } = &row.what else { continue };
                let at = index;
                index += 1;
                if at < from {
                    continue;
                }
                let go_on = each(&Written {
                    index: at,
                    output: rows.text(*output),
                    file: table.source().inputs()[base.input].name(),
                    record: base.record + row.record + 1,
                    line: base.line + row.line + 1,
                    byte: row.byte,
                    raw: rows.text(row.raw),
                })?;
                if !go_on {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let want = Want { data: false, rejects: false, rows: true, sights: false };
        pipeline::run(&second.table, &second.plan, &second.options, want, start, &mut Show(&mut show))?;
        second.table.source().verify_unchanged()
    }
}

/// Shows records with their output, or why they are rejected, until `each` says no. Filtered records are not shown. A
/// plan whose separator is on trial shows that one.
///
/// # Errors
/// What reading the source or `each` says.
pub fn preview(
    table: &Table,
    plan: &Plan,
    options: &Options,
    each: &mut (dyn FnMut(&Preview<'_>) -> Result<bool> + Send),
) -> Result<()> {
    let mut show = |rows: &Rows, base: &Base, table: &Table| {
        for row in &rows.items {
            let result = match &row.what {
                RowKind::Written { output } => Ok(rows.text(*output)),
                RowKind::Rejected { code, reason, .. } => {
                    Err((*code, String::from_utf8_lossy(rows.text(*reason)).into_owned()))
                }
            };
            let go_on = each(&Preview {
                file: table.source().inputs()[base.input].name(),
                record: base.record + row.record + 1,
                line: base.line + row.line + 1,
                raw: rows.text(row.raw),
                result,
            })?;
            if !go_on {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let mut options = options.clone();
    options.threads = 1;
    options.chunk_bytes = options.chunk_bytes.min(64 << 10);
    let want = Want { data: false, rejects: true, rows: true, sights: false };
    let (ended, _) = pipeline::run(table, plan, &options, want, &Start::of(table), &mut Show(&mut show))?;
    if ended == Ended::Clash {
        return Err(Error::data("a value of the next record holds the separator that is on trial")
            .with_hint("name another separator, or one that the records do not hold"));
    }
    Ok(())
}

type ShowRows<'a> = dyn FnMut(&Rows, &Base, &Table) -> Result<bool> + Send + 'a;

struct Show<'a>(&'a mut ShowRows<'a>);

impl Consumer for Show<'_> {
    fn slab(&mut self, _: Slab) -> Result<bool> {
        Ok(true)
    }

    fn rows(&mut self, rows: &Rows, base: &Base, table: &Table) -> Result<bool> {
        (self.0)(rows, base, table)
    }

    fn chunk_end(&mut self, _: Mark, _: &Base, _: &Table) -> Result<bool> {
        Ok(true)
    }
}
