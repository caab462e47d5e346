//! `listferry test`: runs the examples of a job file through its map, without source, secrets or network.

use super::Job;
use super::env::Env;
use super::examples::{Example, Expected, TESTS, text};
use super::offline::{is_auto, with_separator};
use super::pass::options;
use super::variables::Unset;
use crate::body;
use crate::error::{Error, Result};
use crate::format::TableOptions;
use crate::format::csv::CsvOptions;
use crate::format::ndjson::NdjsonOptions;
use crate::mapping::{Shape, wanted};
use crate::secret::printable;
use crate::source::{OpenSource, SourceOptions};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// The result of one of the examples under `tests`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExampleResult {
    /// Index in `tests`, from 0.
    pub index: usize,
    /// Line of the example in the job file, from 1, if it was read from there.
    pub line: Option<u64>,
    /// The expectation for each row: a line of output, `rejected: CODE` or `filtered`.
    pub expected: Vec<String>,
    /// The outcome of each row, in the same form.
    pub got: Vec<String>,
    /// The reason of each rejected row.
    pub reasons: Vec<String>,
}

impl ExampleResult {
    /// Returns true if the outcome of each row is the expected one.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.expected == self.got
    }

    /// Returns the result as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "index": self.index, "line": self.line, "passed": self.passed(), "expected": self.expected,
            "got": self.got, "reasons": self.reasons,
        })
    }

    /// Returns the differences, a line each: `-` for what was expected, `+` for what was got.
    #[must_use]
    pub fn diff(&self) -> String {
        let mut out = String::new();
        for row in 0..self.expected.len().max(self.got.len()) {
            let (expected, got) = (self.expected.get(row), self.got.get(row));
            if expected == got {
                let _ = writeln!(out, "    {}", printable(expected.map_or("", String::as_str)));
                continue;
            }
            if let Some(expected) = expected {
                let _ = writeln!(out, "  - {}", printable(expected));
            }
            if let Some(got) = got {
                let _ = writeln!(out, "  + {}", printable(got));
            }
        }
        for reason in &self.reasons {
            let _ = writeln!(out, "    {}", printable(reason));
        }
        out
    }
}

impl Job {
    /// Runs the examples under `tests` of the job file through its `map` and `where`. Needs neither its source nor
    /// secrets nor a network.
    ///
    /// ```
    /// use listferry::job::{Env, Job};
    ///
    /// let job = Job::from_yaml(
    ///     "source: { path: vip.csv }\n\
    ///      map: { identity: { column: customer_id, apply: trim } }\n\
    ///      destination: { platform: clevertap, region: in1, account_id: { env: ID }, passcode: { env: PASS },\n\
    ///                     segment: VIP, creator: Jane, email: jane@example.com }\n\
    ///      tests: [{ rows: [{ customer_id: ' 17' }], out: ['i,17'] }]",
    /// )?;
    /// let results = job.test(&Env::default())?;
    /// assert!(results.iter().all(|result| result.passed()));
    /// # Ok::<(), listferry::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Usage`: the job file is invalid, or a row has a value that the source's format cannot have.
    pub fn test(&self, env: &Env) -> Result<Vec<ExampleResult>> {
        let (job, _) = self.in_environment(env, Unset::StandIn)?;
        let shape = job.config.prepare_offline()?.shape;
        job.config
            .examples
            .iter()
            .enumerate()
            .map(|(index, example)| job.try_example(env, &shape, index, example))
            .collect()
    }

    fn try_example(&self, env: &Env, shape: &Shape, index: usize, example: &Example) -> Result<ExampleResult> {
        let config = &self.config;
        let at = format!("{TESTS}[{index}]");
        let names: Vec<&str> = wanted(shape, &config.conditions).collect();
        let (bytes, format) = if is_nested(&config.source.format) {
            (lines(&example.rows), TableOptions::Ndjson(NdjsonOptions::default()))
        } else {
            cells(&example.rows, &names, &at).map_err(|error| config.placed(error))?
        };
        let source = Arc::new(OpenSource::from_bytes(&at, bytes, &SourceOptions::default())?);
        let (table, mut plan) = config.compile_table(env, format.open(source, &names)?, shape)?;
        let mut options = options(env);
        options.threads = 1;
        if is_auto(shape) {
            plan = with_separator(&table, &plan, &options)?;
        }
        let mut got = vec!["filtered".to_owned(); example.rows.len()];
        let mut reasons = Vec::new();
        body::preview(&table, &plan, &options, &mut |row| {
            let n = usize::try_from(row.source.record).unwrap_or(usize::MAX).saturating_sub(1);
            let outcome = match row.result {
                Ok(output) => String::from_utf8_lossy(output).trim_end_matches('\n').to_owned(),
                Err(error) => {
                    reasons.push(format!("row {}: {}", n + 1, error.reason));
                    format!("rejected: {}", error.code)
                }
            };
            if let Some(slot) = got.get_mut(n) {
                *slot = outcome;
            }
            Ok(true)
        })?;
        let same = |text: &str| vec![text.to_owned(); example.rows.len()];
        let expected = match &example.expected {
            Expected::Out(lines) => lines.clone(),
            Expected::Rejected(code) => same(&format!("rejected: {code}")),
            Expected::Filtered => same("filtered"),
        };
        Ok(ExampleResult { index, line: config.line_of(&at), expected, got, reasons })
    }
}

/// Whether the columns of a format are keys of objects.
fn is_nested(format: &TableOptions) -> bool {
    match format {
        TableOptions::Csv(_) | TableOptions::Lines(_) => false,
        TableOptions::Ndjson(_) => true,
        #[cfg(feature = "parquet")]
        TableOptions::Parquet(_) => true,
        #[cfg(feature = "arrow")]
        TableOptions::Arrow(_) => true,
        #[cfg(feature = "xlsx")]
        TableOptions::Xlsx(_) => false,
    }
}

/// Returns rows as NDJSON.
fn lines(rows: &[Map<String, Value>]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        out.extend(Value::Object(row.clone()).to_string().into_bytes());
        out.push(b'\n');
    }
    out
}

/// Returns rows as CSV without a header line. A column that no row has is there all the same, and empty.
fn cells(rows: &[Map<String, Value>], wanted: &[&str], at: &str) -> Result<(Vec<u8>, TableOptions)> {
    let mut columns: Vec<String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys().map(String::as_str)).chain(wanted.iter().copied()) {
        if !columns.iter().any(|column| column == name) {
            columns.push(name.to_owned());
        }
    }
    let mut out = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        for (at_column, column) in columns.iter().enumerate() {
            let value = match row.get(column) {
                None | Some(Value::Null) => String::new(),
                Some(value) => text(value).ok_or_else(|| {
                    let path = format!("{at}.rows[{n}].{column}");
                    let shown = printable(&path);
                    Error::usage(format!("{shown}: a list or mapping, which the format of the source does not have"))
                        .with_hint("source.format: ndjson, parquet or arrow have lists")
                        .with_key(path)
                })?,
            };
            out.extend_from_slice(if at_column == 0 { b"\"" } else { b",\"" });
            out.extend(value.replace('"', "\"\"").into_bytes());
            out.push(b'"');
        }
        out.push(b'\n');
    }
    let options = CsvOptions { header: false, columns: Some(columns), ..CsvOptions::default() };
    Ok((out, TableOptions::Csv(options)))
}
