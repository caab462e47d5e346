//! The row of a platform, before it meets a header: what a platform makes of a [`super::MapSpec`].

use super::spec::{Type, ValueSpec};

/// The layout of an output record and the rules of its values.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// One JSON object a line.
    Json(Json),
    /// Cells and a delimiter.
    Delimited(Cells),
}

/// A JSON line: `open`, the units that are not omitted with commas between, `close`.
///
/// `open` and `close` are literal JSON text; `lead` fields stand in it first and are never omitted. Localytics:
/// lead `customer_id` before `,"changes":[`; mediarithmics: units only.
#[derive(Clone, Debug, Default)]
pub struct Json {
    /// Never omitted, in order, no comma between: each with its text before and after.
    pub lead: Vec<Unit>,
    /// Text before the first unit.
    pub open: String,
    /// Omitted where the value is; a comma between those that are there.
    pub units: Vec<Unit>,
    /// Text after the last unit, without the line end.
    pub close: String,
    /// True: a record none of whose `units` is there is filtered.
    pub filter_without_units: bool,
    /// Rules over several units.
    pub checks: Vec<Check>,
    /// A longer record (with its LF) is rejected (`record_too_long`); `None`: no limit.
    pub max_record_bytes: Option<u64>,
}

/// One value with the literal JSON around it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Literal JSON before the value: `"user_account_id":`, `{"op":"assign","attr":"x","value":`.
    pub before: String,
    /// The value; `None`: `before` and `after` alone, in every record.
    pub field: Option<Field>,
    /// Literal JSON after the value: empty, `}`.
    pub after: String,
    /// Where the value is empty: this literal JSON in place of the whole unit (Localytics `empty: delete`).
    pub when_empty: Option<String>,
}

/// A value and the platform's rules for it.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its path in the job file for messages: `map.identity`, `map.changes[2]`.
    pub at: String,
    /// The name of the cell or key in the output.
    pub name: String,
    /// As written.
    pub value: ValueSpec,
    /// Where the job file says nothing, an empty value rejects the record.
    pub required: bool,
    /// What the platform asks of the value.
    pub rules: Rules,
}

/// What a platform asks of a value.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The type where the job file names none.
    pub default_type: Option<Type>,
    /// Control characters (C0, DEL, C1) reject the record (`control_character`).
    pub no_control: bool,
    /// An e-mail address with a capital letter (`email_case`) or white space around it (`email_space`) rejects the record.
    pub lower_email: bool,
    /// More code points (of each element of an array) reject the record (`value_too_long`).
    pub max_code_points: Option<usize>,
    /// A number below zero rejects the record (`negative`).
    pub not_negative: bool,
    /// The only texts allowed (after `type`); others reject the record (`not_allowed`), a constant is judged at once.
    pub one_of: Option<&'static [&'static str]>,
    /// The value is always written as an array (a single value: an array of one).
    pub array: bool,
    /// The value may be an array.
    pub list: bool,
    /// The value is written as a JSON string whatever its type (`data_bag`).
    pub as_text: bool,
    /// The value says which person the record is about: it is looked at for accidents (warnings).
    pub identifier: bool,
    /// Known constants of the field, for the hint on a bare string that is no column.
    pub constants: &'static [&'static str],
}

/// A rule over several units of one record, by index into [`Json::units`] or [`Cells::fields`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Check {
    /// Exactly one of them is not empty (`exactly_one`).
    ExactlyOne(Vec<usize>),
    /// Not both are there and other than 0 (`both_non_zero`).
    NotBothNonZero(usize, usize),
}

/// A delimited row.
#[derive(Clone, Debug)]
pub struct Cells {
    /// In output order; the names make the header.
    pub fields: Vec<Field>,
    /// Whether there is a header line.
    pub header: bool,
    /// Between cells.
    pub separator: Separator,
    /// Whether cells may be quoted.
    pub quoting: Quoting,
    /// Rules over several fields.
    pub checks: Vec<Check>,
    /// A longer record (with its LF) is rejected (`record_too_long`); `None`: no limit.
    pub max_record_bytes: Option<u64>,
}

/// Between cells.
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
    /// If and only if the cell holds the delimiter, a quote, CR or LF; quotes inside doubled.
    Rfc4180,
    /// A value that would need quotes rejects the record (`needs_quotes`).
    Never,
}
