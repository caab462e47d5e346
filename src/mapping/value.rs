//! A value compiled: the general way from a record's cells to the bytes of the output, for all that the ops of the plan
//! have no shortcut for, and for constants at compile time.

use super::apply::{apply, as_str};
use super::cast::Cast;
use super::object::Object;
use super::plan::Scratch;
use super::spec::{Apply, TemplateNeeds};
use super::watch::{NONE, Sight};
use crate::buffer::OutBuf;
use crate::encode;
use crate::reader::Record;

/// Where a value comes from; constants are folded into literals.
pub(super) enum Origin {
    Column(usize),
    Template(Template),
    Object(Object),
}

pub(super) struct Template {
    pub(super) pieces: Vec<Piece>,
    pub(super) needs: TemplateNeeds,
}

pub(super) enum Piece {
    Literal(Vec<u8>),
    Column {
        column: usize,
        /// Where warnings about it are counted.
        slot: u16,
    },
}

pub(super) struct Value {
    pub(super) origin: Origin,
    pub(super) apply: Vec<Apply>,
    /// Instead of an empty text.
    pub(super) default: Option<Vec<u8>>,
    pub(super) output: Output,
    /// Of the field, for messages.
    pub(super) name: String,
    /// Where warnings about it are counted; `NONE`: nowhere.
    pub(super) slot: u16,
    /// The number of the identifier; `NONE`: it is none.
    pub(super) identifier: u16,
}

/// How the text of a value, when it is not empty, is judged and written. Quotes and brackets around it are literals.
pub(super) struct Output {
    pub(super) split: Option<Vec<u8>>,
    pub(super) cast: Cast,
    pub(super) no_control: bool,
    pub(super) lower_email: bool,
    pub(super) not_negative: bool,
    pub(super) max_code_points: Option<usize>,
    pub(super) one_of: Option<&'static [&'static str]>,
    pub(super) form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The inside of a JSON string.
    Quoted,
    /// JSON as it is.
    Raw,
    /// A cell.
    Cell(CellRule),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CellRule {
    pub(super) separator: u8,
    /// The separator is on trial: it must not occur.
    pub(super) trial: bool,
    /// Quotes are not allowed.
    pub(super) never: bool,
}

/// Why a value is not fit, before it is put into words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrong {
    pub(super) code: &'static str,
    pub(super) what: &'static str,
    /// Where the cell is to blame, not the value made of it.
    pub(super) cell: Option<usize>,
}

impl Wrong {
    pub(super) const EMPTY: Wrong = Wrong { code: "empty", what: "an empty value where one is required", cell: None };

    #[cold]
    pub(super) fn new(code: &'static str, what: &'static str) -> Wrong {
        Wrong { code, what, cell: None }
    }
}

impl Value {
    /// Leaves the text, with `apply` and `default` done, in `scratch.text`.
    pub(super) fn read(&self, record: &Record<'_>, scratch: &mut Scratch) -> Result<(), Wrong> {
        scratch.text.clear();
        match &self.origin {
            Origin::Column(column) => append_cell(record, *column, &mut scratch.text)?,
            Origin::Template(template) => template.fill(record, scratch)?,
            Origin::Object(object) => object.fill(record, scratch)?,
        }
        let mut watched = !scratch.watch.is_on() || matches!(self.origin, Origin::Object(_));
        for conversion in &self.apply {
            if !watched {
                watched = self.watch(conversion, scratch);
            }
            apply(conversion, &mut scratch.text, &mut scratch.spare).map_err(|(code, what)| Wrong::new(code, what))?;
        }
        if !watched {
            scratch.watch.text(self.slot, self.identifier, &scratch.text);
        }
        if scratch.text.is_empty()
            && let Some(default) = &self.default
        {
            scratch.text.extend_from_slice(default);
        }
        Ok(())
    }

    /// Looks at the text before a conversion after which there is nothing to see; true if that was all.
    fn watch(&self, conversion: &Apply, scratch: &mut Scratch) -> bool {
        let Scratch { watch, text, .. } = scratch;
        match conversion {
            Apply::Hash { unless_hashed, .. } => {
                if !unless_hashed {
                    watch.hashed(self.slot, text);
                }
                watch.text(self.slot, self.identifier, text);
                true
            }
            Apply::Digits if self.identifier != NONE => {
                watch.number(self.slot, text);
                false
            }
            _ => false,
        }
    }

    /// The column to blame: the first one that it reads.
    pub(super) fn column(&self) -> Option<usize> {
        match &self.origin {
            Origin::Column(column) => Some(*column),
            Origin::Template(template) => template.pieces.iter().find_map(|piece| match piece {
                Piece::Column { column, .. } => Some(*column),
                Piece::Literal(_) => None,
            }),
            Origin::Object(object) => object.column(),
        }
    }
}

impl Template {
    /// Appends the text, or nothing if columns that it needs are empty.
    fn fill(&self, record: &Record<'_>, scratch: &mut Scratch) -> Result<(), Wrong> {
        let Scratch { text, watch, .. } = scratch;
        let (mut blank, mut filled, mut first_blank) = (0, 0, NONE);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.extend_from_slice(literal),
                Piece::Column { column, slot } => {
                    let from = text.len();
                    append_cell(record, *column, text)?;
                    if !is_blank(&text[from..]) {
                        filled += 1;
                        if watch.is_on() {
                            watch.text(*slot, NONE, &text[from..]);
                        }
                    } else {
                        first_blank = if blank == 0 { *slot } else { first_blank };
                        blank += 1;
                    }
                }
            }
        }
        let emptied = match self.needs {
            TemplateNeeds::All => blank > 0,
            TemplateNeeds::Any => blank > 0 && filled == 0,
        };
        if emptied {
            text.clear();
            // what other columns have is not sent either
            if filled > 0 && watch.is_on() {
                watch.saw(first_blank, Sight::TemplateEmptied);
            }
        }
        Ok(())
    }
}

/// Empty or white space.
fn is_blank(text: &[u8]) -> bool {
    !matches!(text.first(), Some(b'!'..=b'~')) && as_str(text).chars().all(char::is_whitespace)
}

/// Appends a cell's value, quotes removed, having judged it.
pub(super) fn append_cell(record: &Record<'_>, column: usize, text: &mut Vec<u8>) -> Result<(), Wrong> {
    let (at, len) = record.span(column);
    let raw = &record.input().bytes()[at..at + len];
    if !record.is_clean_ascii(at, len) && simdutf8::basic::from_utf8(raw).is_err() {
        return Err(Wrong { code: "invalid_utf8", what: "invalid UTF-8", cell: Some(column) });
    }
    if record.is_clean(at, len) {
        text.extend_from_slice(raw);
        return Ok(());
    }
    if memchr::memchr(0, raw).is_some() {
        return Err(Wrong { code: "nul", what: "a NUL byte", cell: Some(column) });
    }
    let quote = match record.region.dialect.quote {
        Some(quote) if raw.first() == Some(&quote) => quote,
        _ => {
            text.extend_from_slice(raw);
            return Ok(());
        }
    };
    let mut rest = &raw[1..];
    while let Some(at) = memchr::memchr(quote, rest) {
        text.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.first() == Some(&quote) {
            text.push(quote);
            rest = &rest[1..];
        }
    }
    text.extend_from_slice(rest);
    Ok(())
}

impl Output {
    /// Writes `scratch.text`, which is not empty.
    pub(super) fn write(&self, scratch: &mut Scratch, out: &mut OutBuf) -> Result<(), Wrong> {
        let Scratch { text, spare, clash, .. } = scratch;
        let Some(separator) = &self.split else { return self.element(text, spare, clash, out) };
        let between: &[u8] = if self.form == Form::Quoted { b"\",\"" } else { b"," };
        let mut done = 0;
        for at in memchr::memmem::find_iter(text, separator) {
            self.element(&text[done..at], spare, clash, out)?;
            out.extend(between);
            done = at + separator.len();
        }
        self.element(&text[done..], spare, clash, out)
    }

    fn element(&self, text: &[u8], spare: &mut Vec<u8>, clash: &mut bool, out: &mut OutBuf) -> Result<(), Wrong> {
        let text = if self.cast.is_verbatim() {
            text
        } else {
            spare.clear();
            self.cast.cast(text, spare).map_err(|(code, what)| Wrong::new(code, what))?;
            &spare[..]
        };
        if self.no_control && has_control(text) {
            return Err(Wrong::new("control_character", "a control character"));
        }
        if self.lower_email {
            lower_email(text)?;
        }
        if self.not_negative && text.first() == Some(&b'-') {
            return Err(Wrong::new("negative", "a number below zero"));
        }
        if let Some(limit) = self.max_code_points
            && text.len() > limit
            && as_str(text).chars().count() > limit
        {
            return Err(Wrong::new("value_too_long", "longer than the platform takes"));
        }
        if let Some(allowed) = self.one_of
            && !allowed.iter().any(|word| word.as_bytes() == text)
        {
            return Err(Wrong::new("not_allowed", "not one of the texts allowed"));
        }
        match self.form {
            Form::Quoted => encode::escape(text, out),
            // CR and LF in checked JSON are white space between tokens; NDJSON has one line a record
            Form::Raw if self.cast.is_json() => {
                text.split(|b| matches!(b, b'\r' | b'\n')).for_each(|line| out.extend(line));
            }
            Form::Raw => out.extend(text),
            Form::Cell(rule) => rule.write(text, clash, out)?,
        }
        Ok(())
    }
}

/// Validates that a text with an `@` is what `apply: [trim, lower]` would make of it.
fn lower_email(text: &[u8]) -> Result<(), Wrong> {
    if memchr::memchr(b'@', text).is_none() {
        return Ok(());
    }
    let text = as_str(text);
    if text.trim() != text {
        let what = "white space around an e-mail address (apply: [trim, lower] removes it)";
        return Err(Wrong::new("email_space", what));
    }
    if text.chars().any(|c| c.to_lowercase().ne([c])) {
        let what = "a capital letter in an e-mail address (apply: [trim, lower] mends it)";
        return Err(Wrong::new("email_case", what));
    }
    Ok(())
}

impl CellRule {
    fn write(self, text: &[u8], clash: &mut bool, out: &mut OutBuf) -> Result<(), Wrong> {
        if !encode::needs_quotes(text, self.separator) {
            out.extend(text);
            return Ok(());
        }
        if self.trial && memchr::memchr(self.separator, text).is_some() {
            *clash = true;
        }
        let text_needs_quotes = || memchr::memchr3(b'"', b'\r', b'\n', text).is_some();
        if self.never && (!self.trial || text_needs_quotes()) {
            return Err(Wrong::new("needs_quotes", "a value that would need quotes, which are not allowed"));
        }
        encode::cell(text, self.separator, out);
        Ok(())
    }
}

/// C0, DEL or C1.
fn has_control(text: &[u8]) -> bool {
    if text.is_ascii() {
        text.iter().any(|&b| b < 0x20 || b == 0x7f)
    } else {
        as_str(text).chars().any(char::is_control)
    }
}
