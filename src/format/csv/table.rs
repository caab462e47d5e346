//! A source opened as delimited text: dialect, header, and the start of the data in each file.

use super::cells::{self, cells};
use super::dialect::Special;
use super::header::{self, Head};
use super::kernel::{Kernel, Rules, TOO_LONG};
use super::options::{CsvOptions, ESCAPE, validate};
use crate::buffer::Padded;
use crate::error::{Error, Place, Result};
use crate::format::cells::Cells;
use crate::format::encoding::{Coding, encode};
use crate::format::reader::{Tabular, Visit};
use crate::format::text::{DataStart, End, Stretch, Text, longer_than};
use crate::row::Columns;
use crate::scan::Scanner;
use crate::source::OpenSource;
use crate::warning::{Warning, WarningKind};
use std::sync::Arc;

/// A [`OpenSource`] of delimited text whose headers have been read. Kept open across both passes.
pub struct Csv {
    source: Arc<OpenSource>,
    /// The options, with the delimiter of the first file.
    options: CsvOptions,
    columns: Arc<[String]>,
    starts: Vec<DataStart>,
    scanner: Scanner,
    /// The dialect, if it is more than delimiter and quotes.
    special: Option<Special>,
    /// Whether the first file has a line `sep=X`.
    separator_line: bool,
    /// The header of the first file as written, without its line end; empty if there is none.
    header_line: Arc<[u8]>,
}

impl Csv {
    /// Reads the header of every file.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`]: there is no header, headers differ between files, the text is UTF-16 or UTF-32, or
    /// a header is longer than `max_record_bytes`. [`crate::error::Kind::Local`]: the source cannot be read.
    /// [`crate::error::Kind::Usage`]: the delimiter or quote is not valid, or there is neither a header nor column
    /// names.
    pub fn open(source: Arc<OpenSource>, mut options: CsvOptions) -> Result<Csv> {
        validate(&options)?;
        let mut columns: Option<Vec<String>> = if options.header { None } else { options.columns.clone() };
        let mut starts = Vec::with_capacity(source.inputs().len());
        let mut header_line = Vec::new();
        let mut separator_line = false;
        for input in source.inputs() {
            let head = header::read(input, &options).map_err(|mut error| {
                error.place_mut().file.get_or_insert_with(|| input.name().to_owned());
                error
            })?;
            let Head { names, start, delimiter, line, has_separator } = head;
            if starts.is_empty() {
                separator_line = has_separator;
                options.delimiter = delimiter.unwrap_or(options.delimiter);
                header_line = line;
            } else if delimiter.is_some_and(|delimiter| delimiter != options.delimiter) {
                return Err(other_delimiter(input.name(), source.inputs()[0].name()));
            }
            starts.push(start);
            let Some(names) = names else { continue };
            match &columns {
                None => columns = Some(names),
                Some(first) if *first == names => {}
                Some(first) => return Err(other_header(input.name(), &names, source.inputs()[0].name(), first)),
            }
        }
        let columns = columns.unwrap_or_default().into();
        let scanner = Scanner::new(options.dialect());
        let special = options.is_special().then(|| Special::new(&options));
        Ok(Csv { source, options, columns, starts, scanner, special, separator_line, header_line: header_line.into() })
    }
}

/// A kernel for a plain dialect or another one; chosen once per chunk.
pub(crate) enum AnyKernel {
    Plain(Kernel<Scanner>),
    Special(Kernel<Special>),
}

impl Columns for Csv {
    fn names(&self) -> &[String] {
        &self.columns
    }

    fn have_lists(&self) -> bool {
        false
    }

    fn may_be_shown(&self) -> bool {
        !self.options.header
    }

    /// If the header is a single cell, returns the delimiter with which it would have the column, as a hint.
    fn missing(&self, name: &str) -> Option<String> {
        let hint = match self.columns.first().and_then(|first| first.trim_start().chars().next()) {
            Some('{') => {
                "the first line looks like JSON: if the source has one object a line, set source.format: ndjson"
            }
            Some('[') => "the first line looks like a JSON array: make lines of it first with jq -c '.[]'",
            Some('<') => "the first line looks like HTML or XML, as if a page had been saved instead of the list",
            _ => "",
        };
        if !hint.is_empty() {
            return Some(hint.to_owned());
        }
        let [cell] = &*self.columns else { return None };
        let mut delimiters = ['\t', ';', '|', ','].into_iter();
        let delimiter = delimiters.find(|at| cell.contains(*at) && cell.split(*at).any(|part| part == name))?;
        Some(format!("the first line is one cell; it has the column with source.csv.delimiter: {delimiter:?}"))
    }

    fn all_missing(&self) -> Option<String> {
        Some(format!(
            "the first line has {} columns, none of which the job uses: if it is not a header, see source.csv.header; \
             --show-values shows it",
            self.columns.len()
        ))
    }
}

impl Tabular for Csv {
    fn source(&self) -> &Arc<OpenSource> {
        &self.source
    }

    #[cfg(feature = "jobs")]
    fn shared_columns(&self) -> &Arc<[String]> {
        &self.columns
    }

    fn coding(&self) -> Option<Coding> {
        self.starts.first().and_then(|start| start.coding)
    }

    fn lines_before(&self, input: usize) -> u64 {
        self.starts[input].lines
    }

    fn cells<'k>(&'k self, kept: &'k [u8]) -> Cells<'k> {
        let CsvOptions { delimiter, quote, escape, .. } = self.options;
        let nulls = self.special.as_ref().map(|special| &special.nulls);
        Box::new(cells(kept, cells::Rules { delimiter, quote, escape, nulls }))
    }

    /// Returns as many lines as are skipped, the line `sep=X` if it matters, and the header.
    fn source_head(&self) -> Vec<u8> {
        let mut head = vec![b'\n'; usize::try_from(self.options.skip_lines).unwrap_or_default()];
        if self.separator_line {
            head.extend_from_slice(&[b's', b'e', b'p', b'=', self.options.delimiter, b'\n']);
        }
        if self.options.header {
            head.extend_from_slice(&self.header_line);
            head.push(b'\n');
        }
        let Some(coding) = self.coding() else { return head };
        let mut encoded = coding.mark_bytes();
        // writing to memory does not fail
        let _ = encode(&head, coding.encoding, &mut encoded);
        encoded
    }

    fn warnings(&self) -> Vec<Warning> {
        if self.options.header {
            delimiter(&self.columns, self.options.delimiter).into_iter().collect()
        } else {
            Vec::new()
        }
    }
}

impl Text for Csv {
    type Kernel = AnyKernel;
    const HAS_STATE: bool = true;

    fn kernel(&self, marked: Option<u8>) -> AnyKernel {
        let rules = Rules {
            columns: self.columns.len(),
            longest: usize::try_from(self.options.max_record_bytes).unwrap_or(usize::MAX),
            header: self.header_line.clone(),
        };
        let marked = marked.unwrap_or(b'"');
        match &self.special {
            None => AnyKernel::Plain(Kernel::new(self.scanner.marking(marked), rules)),
            Some(special) => AnyKernel::Special(Kernel::new(special.marking(marked), rules)),
        }
    }

    fn start_of(&self, input: usize) -> DataStart {
        self.starts[input]
    }

    fn max_record_bytes(&self) -> u64 {
        self.options.max_record_bytes
    }

    fn state_after(&self, text: Padded<'_>, state: u64) -> u64 {
        match &self.special {
            None => self.scanner.inside_after(text, state != 0).into(),
            Some(special) => special.state_after(text, state),
        }
    }

    fn last_end(&self, text: Padded<'_>) -> Option<usize> {
        match &self.special {
            None => self.scanner.survey(text, false).last_end,
            Some(special) => special.last_end(text),
        }
    }

    fn run<V: Visit>(kernel: &mut AnyKernel, text: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop> {
        match kernel {
            AnyKernel::Plain(kernel) => kernel.run(text, visit),
            AnyKernel::Special(kernel) => kernel.run(text, visit),
        }
    }

    fn never_ends(&self, record: &[u8], inside: bool, ended: bool) -> (Error, usize) {
        let limit = self.options.max_record_bytes;
        let opened = inside.then(|| opening_quote(record, &self.options)).flatten();
        let error = if inside && ended {
            Error::data("the quote that opens here is never closed: the source ends inside it")
                .with_hint("close the quote, or double it where it is part of the value")
        } else if inside {
            Error::data(format!(
                "the quote that opens here is not closed within {limit} bytes (source.max_record_bytes)"
            ))
            .with_hint("close the quote, or raise source.max_record_bytes if records are really that long")
        } else {
            longer_than(limit, TOO_LONG)
        };
        (error, opened.unwrap_or(0))
    }
}

/// Returns the position of the quote that is open at the end of `record`, which starts outside quotes.
fn opening_quote(record: &[u8], options: &CsvOptions) -> Option<usize> {
    let CsvOptions { delimiter, escape, .. } = *options;
    let quote = options.quote?;
    // a quote opens at the start of a cell, or right after one that closed
    let (mut open, mut may_open, mut is_escaped) = (None, true, false);
    for (at, &byte) in record.iter().enumerate() {
        if std::mem::take(&mut is_escaped) {
        } else if escape && byte == ESCAPE {
            (is_escaped, may_open) = (true, false);
        } else if open.is_some() {
            may_open = byte == quote && !escape;
            if byte == quote {
                open = None;
            }
        } else if byte == quote && may_open {
            open = Some(at);
        } else {
            may_open = byte == delimiter;
        }
    }
    open
}

fn other_delimiter(file: &str, first: &str) -> Error {
    Error::data(format!("its first line has another delimiter than that of {first}"))
        .with_place(Place { file: Some(file.to_owned()), ..Place::default() })
        .with_hint("all files of a glob must have the same delimiter")
}

fn other_header(file: &str, names: &[String], first_file: &str, first: &[String]) -> Error {
    Error::data(format!("its header differs from that of {first_file}: {}", difference(names, first)))
        .with_place(Place { file: Some(file.to_owned()), ..Place::default() })
        .with_hint(
            "all files of a glob must have the same columns in the same order; if the first line of a file is data \
             already, see source.csv.header",
        )
}

/// Describes how a header differs from the first one. Names are left out because a first line may be data.
fn difference(names: &[String], first: &[String]) -> String {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    if names.len() != first.len() {
        format!("{} columns here, {} there", names.len(), first.len())
    } else if sorted(names) == sorted(first) {
        "the same columns in another order".to_owned()
    } else {
        let at = names.iter().zip(first).position(|(name, first)| name != first).unwrap_or_default();
        format!("column {} of {} has another name", at + 1, first.len())
    }
}

/// Warns about a header whose names contain more of another delimiter than it has cells.
fn delimiter(names: &[String], delimiter: u8) -> Option<Warning> {
    let occurs = |byte: u8| names.iter().map(|name| memchr::memchr_iter(byte, name.as_bytes()).count()).sum::<usize>();
    let other = [b'\t', b';', b'|', b','].into_iter().filter(|byte| *byte != delimiter);
    let (byte, n) = other.map(|byte| (byte, occurs(byte))).max_by_key(|(_, n)| *n)?;
    (n >= names.len()).then(|| {
        let shown = if byte == b'\t' { "a tab".to_owned() } else { format!("\"{}\"", byte as char) };
        let (cells, s) = (names.len(), if names.len() == 1 { "" } else { "s" });
        Warning::new(
            WarningKind::Delimiter,
            format!(
                "the header has {cells} cell{s}, and {n} times {shown} in {}",
                if cells == 1 { "it" } else { "them" }
            ),
        )
        .with_hint("if that separates the cells, set source.csv.delimiter")
    })
}
