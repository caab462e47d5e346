//! Statements that a run repeats, parsed once a connection.

use rusqlite::{Connection, Params, Row};

/// As the methods of [`Connection`] without `_cached`.
pub(super) trait Cached {
    /// Runs a statement that gives no rows.
    fn execute_cached(&self, sql: &str, with: impl Params) -> rusqlite::Result<usize>;

    /// Reads the first row of a query.
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
