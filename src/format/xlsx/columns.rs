//! The columns that a job names, found in a header.

use crate::error::{Error, Place, Result, nearest};
use std::collections::HashMap;
use std::sync::Arc;

/// Maximum number of names that a hint lists.
const MAX_LISTED: usize = 20;

/// A column of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderCell {
    /// From 0.
    pub(super) column: u32,
    pub(super) name: String,
}

/// The columns that are read, as far as the first file has them.
#[derive(Default)]
pub(super) struct Named {
    pub(super) names: Arc<[String]>,
    /// All names of the first header, for hints.
    all: Vec<String>,
}

impl Named {
    /// Finds the columns in the header of the first file; without names all of them. A name that the header has twice is
    /// here twice, and the plan refuses it.
    pub(super) fn find(columns: &[&str], header: Vec<HeaderCell>) -> Named {
        let all: Vec<String> = header.into_iter().map(|cell| cell.name).collect();
        let mut names: Vec<String> = Vec::with_capacity(columns.len());
        for column in columns {
            if !names.iter().any(|known| known == column) {
                names.extend(all.iter().filter(|name| name == column).cloned());
            }
        }
        let names = if columns.is_empty() { all.clone() } else { names };
        Named { names: names.into(), all }
    }

    /// Returns the columns of a sheet that are read, in their order.
    ///
    /// # Errors
    /// `Data`: one is missing.
    pub(super) fn places(&self, header: &[HeaderCell]) -> Result<Vec<u32>> {
        // a name may occur several times
        let mut columns: HashMap<&str, Vec<u32>> = HashMap::new();
        for cell in header.iter().rev() {
            columns.entry(&cell.name).or_default().push(cell.column);
        }
        let mut place = |name: &String| {
            columns.get_mut(name.as_str()).and_then(Vec::pop).ok_or_else(|| {
                let place = Place { column: Some(name.clone()), ..Place::default() };
                Error::data("the column is missing, but the first file has it").with_place(place).with_hint(
                    "the files of a source must have the same columns: see whether one of them is from another export",
                )
            })
        };
        self.names.iter().map(&mut place).collect()
    }

    /// Returns the hint for a column that is not there.
    pub(super) fn missing(&self, name: &str) -> String {
        let more = if self.all.len() > MAX_LISTED { ", …" } else { "" };
        let listed: Vec<String> = self.all.iter().take(MAX_LISTED).map(|name| format!("{name:?}")).collect();
        let listed = format!("the columns are {}{more}", listed.join(", "));
        match nearest(name, self.all.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}? {listed}"),
            None => listed,
        }
    }
}
