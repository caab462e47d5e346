//! Cached statements, so that statements a run repeats are parsed once per connection.

use rusqlite::{Connection, Params, Row};

/// The methods of [`Connection`] without `_cached`, with cached statements.
pub(super) trait Cached {
    /// Runs a statement that returns no rows.
    fn execute_cached(&self, sql: &str, with: impl Params) -> rusqlite::Result<usize>;

    /// Returns the first row of a query.
    fn query_row_cached<T>(
        &self,
        sql: &str,
        with: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T>;
}

impl Cached for Connection {
    fn execute_cached(&self, sql: &str, with: impl Params) -> rusqlite::Result<usize> {
        self.prepare_cached(sql)?.execute(with)
    }

    fn query_row_cached<T>(
        &self,
        sql: &str,
        with: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.prepare_cached(sql)?.query_row(with, read)
    }
}
