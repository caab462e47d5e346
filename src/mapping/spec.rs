//! `map` and `where` as the user wrote them, read from the job file's value tree.

use crate::error::Result;
use serde_json::{Map, Value};

/// The `map` of a job, keys in the order written. What the keys mean is the platform's affair.
#[derive(Clone, Debug, Default)]
pub struct MapSpec(pub Map<String, Value>);

/// One value of a `map`: a source column, a constant or a template, and what is done to it.
///
/// Order of work: column, constant or template; `apply`; `default`; the `empty` rule; `split`; `type`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValueSpec {
    /// Where it comes from.
    pub from: From,
    /// What is done to it, in order; an empty value stays empty.
    pub apply: Vec<Apply>,
    /// Instead of an empty value.
    pub default: Option<String>,
    /// What becomes of an empty value; `None`: reject where the field is required, else omit.
    pub empty: Option<Empty>,
    /// Separator of an array's elements.
    pub split: Option<String>,
    /// What it must be, `None`: what the field wants, else a string.
    pub r#type: Option<Type>,
    /// True where it was written as a bare string (a column name).
    pub bare: bool,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// A source column by name.
    Column(String),
    /// The same text in each record.
    Constant(String),
    /// Literal text and columns in turn.
    Template(Vec<TemplatePart>),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum TemplatePart {
    /// Text.
    Literal(String),
    /// A source column by name.
    Column(String),
}

/// A conversion of a text; all are pure. An empty text stays empty.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Apply {
    /// Unicode White_Space at both ends.
    Trim,
    /// Unicode, locale-free.
    Lower,
    /// Unicode, locale-free.
    Upper,
    /// Keeps 0-9.
    Digits,
    /// Unicode normalisation form C.
    Nfc,
    /// Lower-case hex of MD5.
    Md5,
    /// Lower-case hex of SHA-1.
    Sha1,
    /// Lower-case hex of SHA-256.
    Sha256,
    /// Literal text, all occurrences: from, to.
    Replace(String, String),
    /// Put before.
    Prefix(String),
    /// At most that many code points.
    Truncate(usize),
}

/// What becomes of an empty value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// JSON: the key is left out; delimited: an empty cell.
    Omit,
    /// JSON: `""`, or `[]` after split; delimited: an empty cell.
    Keep,
    /// JSON: `null`; delimited: refused in the job file.
    Null,
    /// The record is rejected.
    Reject,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Type {
    /// Any text.
    String,
    /// `[+-]?[0-9]+` within 64 bits, written canonically.
    Integer,
    /// JSON number grammar, digits kept as they are.
    Decimal,
    /// true false 1 0 yes no y n, any case.
    Boolean,
    /// Out as `YYYY-MM-DD`; strftime format of the input, default `%Y-%m-%d`. Leading zeros may be missing where a separator
    /// follows, digits of the year may not; white space is where the format has some.
    Date(Option<String>),
    /// RFC 3339 or the strftime format in; seconds or milliseconds since the epoch out.
    Timestamp(Option<String>, TimeUnit),
    /// Checked and passed on.
    Json,
}

/// The unit of a timestamp in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds since 1970-01-01T00:00:00Z.
    Seconds,
    /// Milliseconds since then.
    Milliseconds,
}

/// One entry of `where`: all must hold, else the record is filtered.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The source column.
    pub column: String,
    /// What is asked of its value.
    pub test: Test,
}

/// What a [`Condition`] asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Test {
    /// The same text.
    Equals(String),
    /// Another text.
    NotEquals(String),
    /// One of these.
    In(Vec<String>),
    /// None of these.
    NotIn(Vec<String>),
    /// A regular expression found anywhere in it.
    Matches(String),
    /// Empty (true) or not (false).
    Empty(bool),
}

impl ValueSpec {
    /// Reads one value of `map`. `at` is its path for messages (`map.identity`); keys in `extra` are the platform's and
    /// passed over.
    ///
    /// # Errors
    /// `Usage`: no or several of column, value, template; an unknown key, conversion or type.
    pub fn parse(value: &Value, at: &str, extra: &[&str]) -> Result<ValueSpec> {
        super::parse::value(value, at, extra)
    }
}

impl Condition {
    /// Reads the list under `where`.
    ///
    /// # Errors
    /// `Usage`: not a list, an unknown key, a regular expression that does not compile.
    pub fn parse_all(value: &Value) -> Result<Vec<Condition>> {
        super::parse::conditions(value)
    }
}
