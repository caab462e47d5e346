//! Writes the text of a value to the output: type, rules of the platform, encoding.

use super::apply::as_str;
use super::cast::Cast;
use super::scratch::Scratch;
use crate::buffer::OutBuf;
use crate::encode;
use crate::row::{CellError, Stored};

/// How a text that is not empty is validated and written. Quotes and brackets around it are literals.
pub(super) struct Output {
    pub(super) split: Option<Vec<u8>>,
    /// The value may be a list.
    pub(super) list: bool,
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
    /// JSON, unchanged.
    Raw,
    /// A delimited cell.
    Cell(CellRule),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CellRule {
    pub(super) separator: u8,
    /// True if the separator is on trial, so that it must not occur.
    pub(super) trial: bool,
    /// True if quotes are not allowed.
    pub(super) never: bool,
}

impl Output {
    /// Returns true if the value of a quoted cell of that size is too long whatever it is: two bytes of the cell are at least one
    /// byte of the value, and four of those at least one code point.
    pub(super) fn is_too_long(&self, cell_bytes: usize) -> bool {
        let checked_first = !self.cast.is_verbatim() || self.no_control || self.lower_email || self.not_negative;
        !checked_first && self.max_code_points.is_some_and(|limit| cell_bytes / 8 > limit + 1)
    }

    /// Whether any text is valid, and goes into a cell that may have quotes.
    pub(super) fn takes_any_cell(&self) -> bool {
        let free = !self.no_control && !self.lower_email && !self.not_negative;
        let of_any_length = self.max_code_points.is_none() && self.one_of.is_none();
        let quotes = matches!(self.form, Form::Cell(CellRule { never: false, .. }));
        free && of_any_length && quotes && self.cast.is_verbatim()
    }

    /// Writes a value that was not copied.
    pub(super) fn write_large(
        &self,
        value: Stored<'_>,
        scratch: &mut Scratch,
        out: &mut OutBuf,
    ) -> Result<(), CellError> {
        match value {
            Stored::Value(text) => self.element(text, &mut scratch.spare, &mut scratch.clash, out),
            // it contains quotes, so it needs them around it
            Stored::Quoted(cell) => {
                if let Form::Cell(CellRule { separator, trial: true, .. }) = self.form {
                    scratch.clash |= memchr::memchr(separator, cell).is_some();
                }
                out.extend(cell);
                Ok(())
            }
        }
    }

    /// Writes `scratch.text`, which is not empty.
    pub(super) fn write(&self, scratch: &mut Scratch, out: &mut OutBuf) -> Result<(), CellError> {
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

    /// Writes the elements of `scratch`, of which there are some.
    pub(super) fn write_list(&self, scratch: &mut Scratch, out: &mut OutBuf) -> Result<(), CellError> {
        let Scratch { elements, spare, clash, .. } = scratch;
        let between: &[u8] = if self.form == Form::Quoted { b"\",\"" } else { b"," };
        for (nth, text) in elements.iter().enumerate() {
            if nth > 0 {
                out.extend(between);
            }
            self.element(text, spare, clash, out)?;
        }
        Ok(())
    }

    fn element(&self, text: &[u8], spare: &mut Vec<u8>, clash: &mut bool, out: &mut OutBuf) -> Result<(), CellError> {
        let text = if self.cast.is_verbatim() {
            text
        } else {
            spare.clear();
            self.cast.cast(text, spare).map_err(|(code, what)| CellError::new(code, what))?;
            &spare[..]
        };
        if self.no_control && has_control(text) {
            return Err(CellError::new("control_character", "a control character"));
        }
        if self.lower_email {
            lower_email(text)?;
        }
        if self.not_negative && text.first() == Some(&b'-') {
            return Err(CellError::new("negative", "a number below zero"));
        }
        if let Some(limit) = self.max_code_points
            && text.len() > limit
            && as_str(text).chars().count() > limit
        {
            return Err(CellError::new("value_too_long", "longer than the platform accepts"));
        }
        if let Some(allowed) = self.one_of
            && !allowed.iter().any(|word| word.as_bytes() == text)
        {
            return Err(CellError::new("not_allowed", "not one of the texts allowed"));
        }
        match self.form {
            Form::Quoted => encode::escape(text, out),
            // CR and LF in validated JSON are white space between tokens; NDJSON has one line per record
            Form::Raw if self.cast.is_json() => {
                text.split(|b| matches!(b, b'\r' | b'\n')).for_each(|line| out.extend(line));
            }
            Form::Raw => out.extend(text),
            Form::Cell(rule) => rule.write(text, clash, out)?,
        }
        Ok(())
    }
}

/// Validates that `apply: [trim, lower]` would not change a text with an `@`.
fn lower_email(text: &[u8]) -> Result<(), CellError> {
    if memchr::memchr(b'@', text).is_none() {
        return Ok(());
    }
    let text = as_str(text);
    if text.trim() != text {
        let what = "white space around an e-mail address (apply: [trim, lower] removes it)";
        return Err(CellError::new("email_space", what));
    }
    if text.chars().any(|c| c.to_lowercase().ne([c])) {
        let what = "a capital letter in an e-mail address (apply: [trim, lower] converts it)";
        return Err(CellError::new("email_case", what));
    }
    Ok(())
}

impl CellRule {
    fn write(self, text: &[u8], clash: &mut bool, out: &mut OutBuf) -> Result<(), CellError> {
        if !encode::needs_quotes(text, self.separator) {
            out.extend(text);
            return Ok(());
        }
        if self.trial && memchr::memchr(self.separator, text).is_some() {
            *clash = true;
        }
        let text_needs_quotes = || memchr::memchr3(b'"', b'\r', b'\n', text).is_some();
        if self.never && (!self.trial || text_needs_quotes()) {
            return Err(CellError::new("needs_quotes", "a value that would need quotes, which are not allowed"));
        }
        encode::cell(text, self.separator, out);
        Ok(())
    }
}

/// Whether a text contains C0, DEL or C1.
fn has_control(text: &[u8]) -> bool {
    if text.is_ascii() {
        text.iter().any(|&b| b < 0x20 || b == 0x7f)
    } else {
        as_str(text).chars().any(char::is_control)
    }
}
