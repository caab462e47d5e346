//! `map` and `where` as the user wrote them, read from the job file's value tree.

use serde_json::{Map, Value};

/// The `map` of a job, with keys in the order written. The platform defines their meaning.
#[derive(Clone, Debug, Default)]
pub struct MapSpec(pub Map<String, Value>);

/// One value of a `map`: a source column, a constant or a template, and its conversions.
///
/// Order of evaluation: column, constant, template or object; `apply`; `default`; the `empty` rule; `split`; `type`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValueSpec {
    /// The origin of the value.
    pub from: From,
    /// The conversions in order; an empty value stays empty.
    pub apply: Vec<Apply>,
    /// Replaces an empty value.
    pub default: Option<String>,
    /// The rule for an empty value; `None`: reject if the field is required, otherwise omit.
    pub empty: Option<Empty>,
    /// Whether a column that a record does not have counts as an empty one, so that `empty` acts on it, too.
    pub missing_is_empty: bool,
    /// Separator of an array's elements.
    pub split: Option<String>,
    /// The type; `None`: the field's default, otherwise a string.
    pub r#type: Option<Type>,
    /// True if it was written as a bare string (a column name).
    pub bare: bool,
}

/// The origin of a value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum From {
    /// A source column by name.
    Column(String),
    /// The same text in every record.
    Constant(String),
    /// Literal text and columns, alternating.
    Template(Vec<TemplatePart>, TemplateNeeds),
    /// A JSON object of values by key, in the order written. Empty members follow their own `empty` rule (omit by
    /// default); an object without members is empty.
    Object(Vec<(String, ValueSpec)>),
}

/// Which columns a template needs to be non-empty. A column of only white space counts as empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateNeeds {
    /// All of them, so that half an identifier is never sent.
    #[default]
    All,
    /// At least one of them.
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
    /// Removes Unicode White_Space at both ends.
    Trim,
    /// Converts to lower case by Unicode, independent of the locale.
    Lower,
    /// Converts to upper case by Unicode, independent of the locale.
    Upper,
    /// Keeps only 0-9.
    Digits,
    /// Converts to Unicode normalisation form C.
    Nfc,
    /// Computes a hash, as lower-case hex.
    Hash {
        /// The hash function.
        hash: Hash,
        /// If true, a value of exactly as many hex digits as the hash has is only converted to lower case.
        unless_hashed: bool,
    },
    /// Replaces all occurrences of a literal text: from, to.
    Replace(String, String),
    /// Adds a prefix.
    Prefix(String),
    /// Keeps at most this many code points.
    Truncate(usize),
    /// Replaces whole texts by a table.
    Values(ValueTable),
    /// Removes zero-width and bidirectional controls, byte order marks and soft hyphens.
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
    /// Returns the number of hex digits of a digest.
    #[must_use]
    pub fn hex_digits(self) -> usize {
        match self {
            Hash::Md5 => 32,
            Hash::Sha1 => 40,
            Hash::Sha256 => 64,
        }
    }
}

/// A table of texts and their replacements; see [`ValueTable::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct ValueTable {
    /// Sorted by bytes.
    pairs: Vec<(Bytes, Bytes)>,
    otherwise: Otherwise,
}

type Bytes = Box<[u8]>;

/// The rule for a text that is not in a [`ValueTable`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// The text is unchanged.
    Keep,
    /// The text becomes empty.
    Empty,
    /// The record is rejected.
    #[default]
    Reject,
}

impl ValueTable {
    /// Creates a table; of several equal texts the last counts.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>, otherwise: Otherwise) -> ValueTable {
        let sorted: std::collections::BTreeMap<_, _> = pairs.into_iter().collect();
        let bytes = |text: String| text.into_bytes().into_boxed_slice();
        ValueTable { pairs: sorted.into_iter().map(|(from, to)| (bytes(from), bytes(to))).collect(), otherwise }
    }

    /// Returns the replacement of a text; `None` if the record is rejected.
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

/// The rule for an empty value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// JSON: the key is left out; delimited: an empty cell is written.
    Omit,
    /// JSON: `""`, or `[]` after split; delimited: an empty cell is written.
    Keep,
    /// JSON: `null`; delimited: refused in the job file.
    Null,
    /// The record is rejected.
    Reject,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Type {
    /// Any text.
    String,
    /// `[+-]?[0-9]+` within 64 bits, written canonically.
    Integer,
    /// JSON's number grammar, with the digits unchanged.
    Decimal,
    /// true, false, 1, 0, yes, no, y or n, in any case.
    Boolean,
    /// A date, written as `YYYY-MM-DD`; the strftime format is that of the input, by default `%Y-%m-%d`. Leading zeros
    /// may be missing before a separator, but digits of the year may not; white space is allowed where the format has
    /// some.
    Date(Option<String>),
    /// A time: RFC 3339 or the strftime format as input; seconds or milliseconds since the epoch as output. `%s` reads
    /// seconds, of at most 11 digits. Second 60 is valid only at 23:59:60 UTC at the end of a month; in both units it
    /// counts as the first second of the next day.
    Timestamp(Option<String>, TimeUnit),
    /// JSON, validated and written unchanged.
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

/// One entry of `where`; all must hold, otherwise the record is filtered.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The source column.
    pub column: String,
    /// The test of its value.
    pub test: Test,
}

/// The test of a [`Condition`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Test {
    /// The same text.
    Equals(String),
    /// Another text.
    NotEquals(String),
    /// One of these texts.
    In(Vec<String>),
    /// None of these texts.
    NotIn(Vec<String>),
    /// A regular expression that matches anywhere in the text.
    Matches(String),
    /// Empty (true) or not empty (false).
    Empty(bool),
}
