//! `map` and `where` as the user wrote them, read from the job file's value tree.

use serde_json::{Map, Value};

/// The `map` of a job, keys in the order written. What the keys mean is the platform's affair.
#[derive(Clone, Debug, Default)]
pub struct MapSpec(pub Map<String, Value>);

/// One value of a `map`: a source column, a constant or a template, and what is done to it.
///
/// Order of work: column, constant, template or object; `apply`; `default`; the `empty` rule; `split`; `type`.
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
    /// Whether a column that a record does not have counts as an empty one, so that `empty` acts on it, too.
    pub missing_is_empty: bool,
    /// Separator of an array's elements.
    pub split: Option<String>,
    /// What it must be, `None`: what the field wants, else a string.
    pub r#type: Option<Type>,
    /// True if it was written as a bare string (a column name).
    pub bare: bool,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum From {
    /// A source column by name.
    Column(String),
    /// The same text in each record.
    Constant(String),
    /// Literal text and columns in turn.
    Template(Vec<TemplatePart>, TemplateNeeds),
    /// A JSON object of values by key, in the order written. Members that are empty follow their own `empty` rule
    /// (default: omit); an object without members left is empty.
    Object(Vec<(String, ValueSpec)>),
}

/// Which columns a template needs so that it is not empty. A column of white space alone counts as empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateNeeds {
    /// All of them: no half identifier is sent.
    #[default]
    All,
    /// One of them.
    Any,
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
    /// Lower-case hex of a hash.
    Hash {
        /// Which one.
        hash: Hash,
        /// A value of exactly as many hex digits as the hash has is put in lower case instead.
        unless_hashed: bool,
    },
    /// Literal text, all occurrences: from, to.
    Replace(String, String),
    /// Put before.
    Prefix(String),
    /// At most that many code points.
    Truncate(usize),
    /// One text for another.
    Values(ValueTable),
    /// Without zero-width and bidirectional controls, byte order marks and soft hyphens.
    StripInvisible,
    /// One text of the elements of a list, with this between them; all conversions before act on each element.
    Join(String),
}

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Hash {
    /// Number of hex digits of a digest.
    #[must_use]
    pub fn hex_digits(self) -> usize {
        match self {
            Hash::Md5 => 32,
            Hash::Sha1 => 40,
            Hash::Sha256 => 64,
        }
    }
}

/// Texts and what each becomes; made by [`ValueTable::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct ValueTable {
    /// In the order of their bytes.
    pairs: Vec<(Bytes, Bytes)>,
    otherwise: Otherwise,
}

type Bytes = Box<[u8]>;

/// What becomes of a text that is not in a [`ValueTable`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// It stays as it is.
    Keep,
    /// It becomes empty.
    Empty,
    /// The record is rejected.
    #[default]
    Reject,
}

impl ValueTable {
    /// A table of texts; of several equal ones the last counts.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>, otherwise: Otherwise) -> ValueTable {
        let sorted: std::collections::BTreeMap<_, _> = pairs.into_iter().collect();
        let bytes = |text: String| text.into_bytes().into_boxed_slice();
        ValueTable { pairs: sorted.into_iter().map(|(from, to)| (bytes(from), bytes(to))).collect(), otherwise }
    }

    /// What a text becomes; `None`: the record is rejected.
    #[must_use]
    pub fn get<'a>(&'a self, text: &'a [u8]) -> Option<&'a [u8]> {
        match (self.pairs.binary_search_by(|(from, _)| (**from).cmp(text)), self.otherwise) {
            (Ok(at), _) => Some(&self.pairs[at].1),
            (Err(_), Otherwise::Keep) => Some(text),
            (Err(_), Otherwise::Empty) => Some(b""),
            (Err(_), Otherwise::Reject) => None,
        }
    }
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
    /// OutBuf as `YYYY-MM-DD`; strftime format of the input, default `%Y-%m-%d`. Leading zeros may be missing where a separator
    /// follows, digits of the year may not; white space is where the format has some.
    Date(Option<String>),
    /// RFC 3339 or the strftime format in; seconds or milliseconds since the epoch out. `%s` reads seconds, of at most 11
    /// digits. A second 60 is valid only at 23:59:60 UTC at the end of a month; it counts as the first second of the next
    /// day in both units.
    Timestamp(Option<String>, TimeUnit),
    /// Checked and passed on.
    Json,
    /// A valid e-mail address by the rule of the HTML standard.
    Email,
    /// `+` and 7 to 15 digits.
    E164,
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
