//! A [`Shape`] and conditions compiled against a header: a flat list of small ops, run once a record.

use super::{Condition, Shape};
use crate::error::Result;
use crate::reader::Record;
use crate::scan::Out;

/// `map` and `where`, compiled. Immutable; shared by all workers.
pub struct Plan {
    head: Vec<u8>,
}

/// What a worker lends to [`Plan::run`]; recycled from record to record.
#[derive(Default)]
pub struct Scratch {
    /// Filled by [`Outcome::Rejected`].
    pub fault: Fault,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Appended to the output.
    Written,
    /// `where` or the shape leaves it out; nothing was appended.
    Filtered,
    /// Not fit; nothing was appended, the reason is in [`Scratch::fault`].
    Rejected,
    /// The separator on trial occurs in a value: pass one starts anew with [`Plan::next_separator`].
    Clash,
}

/// Why a record was rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Stable, for machines: `invalid_utf8`, `nul`, `empty`, `not_an_integer`, …
    pub code: &'static str,
    /// Index of the source column, where one is to blame.
    pub column: Option<usize>,
    /// For people: what is wrong and with which field; holds no value of the row.
    pub reason: String,
}

impl Plan {
    /// Compiles against the names of the source's columns.
    ///
    /// # Errors
    /// `Usage`: a column that is not there (with the nearest name) or there twice, a rule of the platform that the
    /// map breaks.
    pub fn compile(shape: &Shape, conditions: &[Condition], columns: &[String]) -> Result<Plan> {
        let _ = (shape, conditions, columns);
        todo!()
    }

    /// The header line of the output, LF included; empty where there is none. Stands first in each part.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The separator of a delimited output: fixed, or the one on trial.
    #[must_use]
    pub fn separator(&self) -> Option<u8> {
        todo!()
    }

    /// The same plan with the next separator on trial; `None` where it is fixed or the last one.
    #[must_use]
    pub fn next_separator(&self) -> Option<Plan> {
        todo!()
    }

    /// True where LF occurs in the output only at the end of a record (always for JSON).
    #[must_use]
    pub fn one_line_a_record(&self) -> bool {
        todo!()
    }

    /// Runs the plan on a record and appends the output record, LF included, to `out`.
    #[inline]
    pub fn run(&self, record: &Record<'_>, out: &mut Out, scratch: &mut Scratch) -> Outcome {
        let _ = (record, out, scratch);
        todo!()
    }
}
