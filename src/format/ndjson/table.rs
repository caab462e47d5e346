//! A source opened as NDJSON.

use super::kernel::{Kernel, TOO_LONG, scan_line};
use super::keys::Keys;
use super::options::NdjsonOptions;
use super::walk::{Kind, Line, Walker};
use crate::buffer::{Padded, SLACK};
use crate::error::{Error, Place, Result};
use crate::format::cells::{Cell, Cells};
use crate::format::encoding::Coding;
use crate::format::entry::validate_max_record_bytes;
use crate::format::json::string::unescape;
use crate::format::reader::{Tabular, Visit};
use crate::format::text::{DataStart, End, Front, Stretch, Text, longer_than, refuse_foreign};
use crate::row::Columns;
use crate::scan::Tape;
use crate::source::OpenSource;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
#[cfg(feature = "jobs")]
use {
    super::suggest::first_keys,
    crate::error::nearest,
    crate::format::reader::{NeverSeen, Occurs},
    crate::format::text::BOM,
    std::sync::atomic::Ordering,
};

/// A [`OpenSource`] of JSON objects, one per line. Its columns are those requested when it was opened.
pub struct Ndjson {
    source: Arc<OpenSource>,
    options: NdjsonOptions,
    columns: Arc<[String]>,
    keys: Keys,
    starts: Vec<DataStart>,
    seen: Arc<[AtomicBool]>,
}

impl Ndjson {
    /// Checks the start of every file. `columns` are names of keys of the outermost object, or JSON Pointers, which
    /// start with `/`; a repeated name counts once.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`]: a file starts like another format.
    /// [`crate::error::Kind::Local`]: the source cannot be read.
    /// [`crate::error::Kind::Usage`]: a pointer is not valid.
    pub fn open(source: Arc<OpenSource>, columns: &[&str], options: NdjsonOptions) -> Result<Ndjson> {
        validate_max_record_bytes(options.max_record_bytes)?;
        let mut names: Vec<String> = Vec::with_capacity(columns.len());
        for name in columns.iter().copied().chain(options.required.iter().map(String::as_str)) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let keys = Keys::new(&names)?;
        let mut starts = Vec::with_capacity(source.inputs().len());
        for input in source.inputs() {
            let front = Front::new(input)?;
            let start = check(&front)
                .map_err(|error| error.with_place(Place { file: Some(input.name().to_owned()), ..Place::default() }))?;
            starts.push(start);
        }
        let seen = names.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Ndjson { source, options, columns: names.into(), keys, starts, seen })
    }

    fn walker(&self) -> Walker {
        Walker::new(self.keys.clone(), self.columns.len())
    }
}

/// Returns true if a content that starts with these bytes starts with a JSON object.
#[cfg(feature = "jobs")]
pub(super) fn looks_like(first: &[u8]) -> bool {
    let text = first.strip_prefix(&BOM).unwrap_or(first).trim_ascii_start();
    let inside = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| matches!(inside.first(), Some(b'"' | b'}')))
}

/// Returns the start of the records in a file that starts like NDJSON.
fn check(front: &Front<'_>) -> Result<DataStart> {
    refuse_foreign(front, "NDJSON")?;
    let start = front.bom();
    let text = &front.bytes[start..];
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::data("the source begins with [: it is one JSON array, not one JSON object on each line")
            .with_hint("make lines of it first: jq -c '.[]' list.json > list.ndjson"));
    }
    let mut lines =
        text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let begins = |line: Option<&[u8]>| line.is_some_and(|line| line[0] != b'{');
    if begins(lines.next()) && begins(lines.next()) && begins(lines.next()) {
        let looks = if text.trim_ascii_start().first() == Some(&b'<') { "HTML or XML" } else { "delimited text" };
        return Err(Error::data(format!("the source looks like {looks}, not NDJSON: its first lines are not objects"))
            .with_hint("set source.format: csv if it is a list, or get the list as one JSON object on each line"));
    }
    Ok(front.data_start(start))
}

impl Columns for Ndjson {
    fn names(&self) -> &[String] {
        &self.columns
    }

    fn have_lists(&self) -> bool {
        true
    }
}

impl Tabular for Ndjson {
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

    fn lines_before(&self, _input: usize) -> u64 {
        0
    }

    fn rejects_have_text(&self) -> bool {
        true
    }

    #[cfg(feature = "jobs")]
    fn never_seen(&self) -> Vec<NeverSeen> {
        let is_seen = |column: &usize| self.seen[*column].load(Ordering::Relaxed);
        let never: Vec<usize> = (0..self.columns.len()).filter(|column| !is_seen(column)).collect();
        let names = if never.is_empty() { Default::default() } else { first_keys(&self.source) };
        let of = |column: usize| {
            let name = &self.columns[column];
            let rule = if self.options.required.contains(name) {
                Some(Occurs::Required)
            } else {
                self.options.optional.contains(name).then_some(Occurs::Optional)
            };
            let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
            NeverSeen { column, rule, nearest }
        };
        never.into_iter().map(of).collect()
    }

    /// Returns the values of the columns in a line; if the line is not valid, those before the error.
    fn cells<'k>(&'k self, kept: &'k [u8]) -> Cells<'k> {
        let mut padded = kept.to_vec();
        padded.resize(kept.len() + SLACK, 0);
        let input = Padded::new(&padded, 0, kept.len());
        let mut tape = Tape::default();
        scan_line(input, &mut tape);
        let mut walker = self.walker();
        let line = Line::<false> { input, dirty: tape.dirty.bytes(), from: 0, to: kept.len() };
        // the error of the line is known already
        let _ = walker.walk(&line);
        Box::new(walker.spans.into_iter().map(|span| {
            let raw = &kept[span.at as usize..][..span.len as usize];
            if span.kind != Kind::String || memchr::memchr(b'\\', raw).is_none() {
                return Cell::new(raw);
            }
            let mut text = Vec::with_capacity(raw.len());
            match unescape(raw, &mut text) {
                Ok(()) => Cell::new(text),
                Err(_) => Cell::new(raw),
            }
        }))
    }
}

impl Text for Ndjson {
    type Kernel = Kernel;

    fn kernel(&self, marked: Option<u8>) -> Kernel {
        let longest = usize::try_from(self.options.max_record_bytes).unwrap_or(usize::MAX);
        Kernel::new(marked, self.walker(), longest, Arc::clone(&self.seen))
    }

    fn start_of(&self, input: usize) -> DataStart {
        self.starts[input]
    }

    fn max_record_bytes(&self) -> u64 {
        self.options.max_record_bytes
    }

    fn run<V: Visit>(kernel: &mut Kernel, text: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop> {
        kernel.run(text, visit)
    }

    fn never_ends(&self, _record: &[u8], _inside: bool, _ended: bool) -> (Error, usize) {
        (longer_than(self.options.max_record_bytes, TOO_LONG), 0)
    }
}
