//! The row of a platform, made from a [`super::MapSpec`] before the header is known.

use super::spec::{Type, ValueSpec};

/// The layout of an output record and the rules of its values.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// One JSON object per line.
    Json(Json),
    /// Cells and a delimiter.
    Delimited(Cells),
}

/// A JSON line: `open`, the units that are not omitted with commas between them, `close`.
///
/// `open` and `close` are literal JSON text; `lead` fields come before it and are never omitted. Localytics: `lead` is
/// `customer_id`, before `,"changes":[`; mediarithmics: units only.
#[derive(Clone, Debug, Default)]
pub struct Json {
    /// Never omitted, in order, without commas between them: each with its text before and after.
    pub lead: Vec<Unit>,
    /// Text before the first unit.
    pub open: String,
    /// Omitted if the value is, with commas between the others.
    pub units: Vec<Unit>,
    /// Text after the last unit, without the line end.
    pub close: String,
    /// True if a record without any of its `units` is filtered.
    pub filter_without_units: bool,
    /// Rules over several units.
    pub checks: Vec<Check>,
    /// Maximum size of a record with its LF; a longer one is rejected (`record_too_long`). `None` for no limit.
    pub max_record_bytes: Option<u64>,
}

/// One value with the literal JSON around it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Literal JSON before the value: `"user_account_id":`, `{"op":"assign","attr":"x","value":`.
    pub before: String,
    /// The value; `None` if only `before` and `after` are written, in every record.
    pub field: Option<Field>,
    /// Literal JSON after the value: empty, `}`.
    pub after: String,
    /// Literal JSON that replaces the whole unit if the value is empty (Localytics `empty: delete`).
    pub when_empty: Option<String>,
}

/// A value and the platform's rules for it.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its path in the job file for messages: `map.identity`, `map.changes[2]`.
    pub at: String,
    /// The name of the cell or key in the output.
    pub name: String,
    /// The value as written in the job file.
    pub value: ValueSpec,
    /// True if an empty value rejects the record unless the job file says otherwise.
    pub required: bool,
    /// The platform's rules for the value.
    pub rules: Rules,
}

/// The rules of a platform for a value.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The type if the job file gives none.
    pub default_type: Option<Type>,
    /// Control characters (C0, DEL, C1) reject the record (`control_character`).
    pub no_control: bool,
    /// An e-mail address with a capital letter (`email_case`) or white space around it (`email_space`) rejects the record.
    pub lower_email: bool,
    /// Maximum number of code points (of each element of an array); more reject the record (`value_too_long`).
    pub max_code_points: Option<usize>,
    /// A number below zero rejects the record (`negative`).
    pub not_negative: bool,
    /// The only texts allowed (after `type`); others reject the record (`not_allowed`). A constant is validated at
    /// once.
    pub one_of: Option<&'static [&'static str]>,
    /// True if the value is always written as an array (a single value as an array of one).
    pub array: bool,
    /// True if the value may be an array.
    pub list: bool,
    /// True if the value is written as a JSON string, whatever its type (`data_bag`).
    pub as_text: bool,
    /// True if the value identifies the person that the record is about: it is watched for accidents (warnings).
    pub identifier: bool,
    /// Known constants of the field, for the hint about a bare string that is not a column.
    pub constants: &'static [&'static str],
}

/// A rule over several units of one record, by index into [`Json::units`] or [`Cells::fields`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Check {
    /// Exactly one of them is not empty (`exactly_one`).
    ExactlyOne(Vec<usize>),
    /// Not both are present and other than 0 (`both_non_zero`).
    NotBothNonZero(usize, usize),
}

/// A delimited row.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Fields in output order; their names make the header.
    pub fields: Vec<Field>,
    /// Whether there is a header line.
    pub header: bool,
    /// The separator between cells.
    pub separator: Separator,
    /// Whether cells may be quoted.
    pub quoting: Quoting,
    /// Rules over several fields.
    pub checks: Vec<Check>,
    /// Maximum size of a record with its LF; a longer one is rejected (`record_too_long`). `None` for no limit.
    pub max_record_bytes: Option<u64>,
}

/// The separator between cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// This byte.
    Byte(u8),
    /// The first of tab, pipe, semicolon, comma that occurs in no output value or name.
    Auto,
}

/// Whether cells may be quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// If and only if the cell contains the delimiter, a quote, CR or LF; quotes inside are doubled.
    Rfc4180,
    /// A value that would need quotes rejects the record (`needs_quotes`).
    Never,
}
