//! Rows whose values were decoded into one text: the rows of Parquet, Arrow and XLSX.
//!
//! A [`Block`] is filled value by value and then scanned once, so that its rows have the same masks as rows of text. A
//! value that is a list or an object is its JSON text. Values that are not valid (NaN, an error cell) are kept as text,
//! and noted with the reason why their row is rejected.

#![cfg_attr(
    not(any(feature = "parquet", feature = "arrow")),
    allow(dead_code, reason = "workbooks have neither decimals nor lists")
)]

mod kept;
pub(in crate::format) mod number;
mod row;
mod store;

pub(in crate::format) use kept::{cells, text, write_line};
pub(in crate::format) use row::Rows;
pub(in crate::format) use store::{Bad, Block, ColumnKind};
