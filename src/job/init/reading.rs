//! Opens the source of a new job with some settings, and reads its first records.

use super::yaml::{self, scalar};
use crate::body;
use crate::error::{Error, Result};
use crate::format::{self, FORMATS, Found};
use crate::job::config::Config;
use crate::job::env::Env;
use crate::job::secrets::{JobSecrets, Lookup};
use crate::mapping::{Cells, Field, Plan, Quoting, Rules, Separator, Shape, ValueSpec};
use crate::origin::Passes;
use crate::row::Columns as _;
use crate::secret::{names_a_secret, printable, redacted_url};
use crate::source::{Input, OpenSource};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Number of records that are looked at.
const RECORDS: usize = 1000;
/// Number of bytes of a value that are looked at.
const MAX_VALUE: usize = 256;
/// Maximum number of columns that are proposed.
pub(super) const MAX_COLUMNS: usize = 500;

/// The variable of an address that has a secret.
const VARIABLE: &str = "LIST_URL";

/// A line of `source` in the job file, and its comment.
pub(super) type Setting = (String, &'static str);

/// The first records, read with some settings.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) format: &'static str,
    pub(super) names: Vec<String>,
    /// Whether the schema says that the values of a column are lists.
    pub(super) lists: Vec<bool>,
    /// Columns whose type cannot be sent.
    pub(super) unsendable: Vec<String>,
    /// Number of columns of the source.
    pub(super) all_columns: usize,
    /// Cells in the order of the names; `None` if the record could not be split.
    pub(super) rows: Vec<Option<Vec<String>>>,
    /// Text of the records.
    pub(super) texts: Vec<String>,
}

impl Reading {
    pub(super) fn ragged(&self) -> usize {
        self.rows.iter().filter(|row| row.is_none()).count()
    }
}

/// A source that is read several times.
pub(super) struct Opener<'a> {
    path: &'a str,
    folder: &'a Path,
    env: &'a Env,
}

impl<'a> Opener<'a> {
    pub(super) fn new(path: &'a str, folder: &'a Path, env: &'a Env) -> Opener<'a> {
        Opener { path, folder, env }
    }

    /// Whether the path is an address with a secret, which a job file must not contain.
    fn is_secret(&self) -> bool {
        let Ok(url) = url::Url::parse(self.path) else { return false };
        let has_user = !url.username().is_empty() || url.password().is_some();
        matches!(url.scheme(), "http" | "https")
            && (has_user || url.query_pairs().any(|(name, _)| names_a_secret(&name)))
    }

    /// Returns the path as messages and comments show it.
    pub(super) fn shown(&self) -> String {
        if self.is_secret() { redacted_url(self.path) } else { self.path.to_owned() }
    }

    /// Returns the line of the job file for the path.
    pub(super) fn path_line(&self) -> Setting {
        match self.is_secret() {
            true => (
                format!("path: {{ env: {VARIABLE} }}"),
                "the address with its signature or password, which are secrets",
            ),
            false => (
                format!("path: {}", yaml::path(self.path)),
                "relative to this file; a glob or \"-\" (stdin) works, too",
            ),
        }
    }

    /// Opens the source with these settings.
    fn open(&self, settings: &[Setting]) -> Result<(Config, Arc<OpenSource>)> {
        let path = match self.is_secret() {
            true => self.path_line().0,
            false => format!("path: {}", scalar(self.path)),
        };
        let mut text = format!("source:\n  {path}\n");
        for (line, _) in settings {
            text.push_str(&format!("  {line}\n"));
        }
        let config = Config::read(&text, "job file", self.folder, "init", &[])?;
        let (url, variables) = (self.path.to_owned(), Arc::clone(&self.env.variables));
        let is_secret = self.is_secret();
        let lookup: Lookup =
            Arc::new(move |name| if is_secret && name == VARIABLE { Some(url.clone()) } else { variables(name) });
        let secrets = JobSecrets::new(lookup, self.folder, &self.env.taint);
        let source = config.open_offline(self.env, &secrets, Passes::Several)?;
        Ok((config, source))
    }

    /// Returns the name of the format without any setting, and the first bytes.
    ///
    /// # Errors
    /// Those of reading the source.
    pub(super) fn start(&self) -> Result<(&'static str, Vec<u8>)> {
        let (_, source) = self.open(&[])?;
        let first = source.inputs().first().map(Input::first_bytes).transpose()?.flatten();
        Ok((self.format_of(&source)?, first.unwrap_or_default()))
    }

    /// Reads the first records.
    ///
    /// # Errors
    /// Those of reading the source with these settings.
    pub(super) fn read(&self, settings: &[Setting]) -> Result<Reading> {
        let (config, source) = self.open(settings)?;
        let format = self.format_of(&source)?;
        let options = config.source.format_of(&source)?;
        let offered = options.open(Arc::clone(&source), &[])?.offered();
        let (fit, unfit): (Vec<_>, Vec<_>) = offered.into_iter().partition(|(_, can_be_sent)| *can_be_sent);
        let wanted: Vec<&str> = fit.iter().map(|(name, _)| name.as_str()).take(MAX_COLUMNS).collect();
        let table = options.open(source, &wanted)?;
        let names = table.columns().to_vec();
        let mut reading = Reading {
            format,
            lists: (0..names.len()).map(|column| table.is_list(column)).collect(),
            names,
            unsendable: unfit.into_iter().map(|(name, _)| name).collect(),
            all_columns: fit.len(),
            rows: Vec::new(),
            texts: Vec::new(),
        };
        body::preview(&table, &Arc::new(constant()?), &self.env.options, &mut |row| {
            let cells = row
                .source
                .cells()
                .map(|cells| cells.map(|cell| cut(&String::from_utf8_lossy(&cell.into_value()))).collect());
            reading.rows.push(cells);
            if format == "ndjson" {
                reading.texts.push(String::from_utf8_lossy(&row.source.text()).into_owned());
            }
            Ok(reading.rows.len() < RECORDS)
        })?;
        Ok(reading)
    }

    /// Returns the name of the format, by the name of the file or by its content.
    fn format_of(&self, source: &OpenSource) -> Result<&'static str> {
        // the job file has no name that could tell, either
        let path = (!self.is_secret()).then_some(self.path);
        Ok(match format::find(FORMATS, None, path)? {
            Found::ByName(entry) => entry.name,
            Found::ByContent(entry) => format::by_content(source)?.map_or(entry.name, |found| found.name),
        })
    }

    /// Refuses a file that is one JSON array, of which each line would be a record.
    ///
    /// # Errors
    /// `Data`.
    pub(super) fn refuse_array(&self, first: &[u8]) -> Result<()> {
        // NULs: UTF-16
        let text: Vec<u8> = first.iter().copied().filter(|byte| *byte != 0 && byte.is_ascii()).collect();
        let inside = text.trim_ascii_start().strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
        if !inside.is_some_and(|inside| matches!(inside.first(), Some(b'{' | b'[' | b']'))) {
            return Ok(());
        }
        Err(Error::data(format!("{} is one JSON array, not one JSON object on each line", printable(&self.shown())))
            .with_hint("make it NDJSON, for example: jq -c '.[]' FILE > people.ndjson"))
    }
}

/// Returns the start of a value.
pub(super) fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_VALUE)).unwrap_or(text).to_owned()
}

/// A plan that accepts every record.
fn constant() -> Result<Plan> {
    let value = ValueSpec::parse(&json!({ "value": "x" }), "init", &[])?;
    let field = Field { at: "init".to_owned(), name: "x".to_owned(), value, required: false, rules: Rules::default() };
    let shape = Shape::Delimited(Cells {
        fields: vec![field],
        header: false,
        separator: Separator::Byte(b','),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    });
    Plan::compile(&shape, &[], &[])
}
