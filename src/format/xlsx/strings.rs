//! The shared strings of a workbook, in bounded memory: up to 16 MiB are kept, more are in a file.
//!
//! Each string is its length in four bytes and its text. `starts` has the position of every `stride`-th string; when it
//! is full, every second one is dropped and the stride doubles. So a string is found from the one before it, which is how
//! most programs number them, or by following at most `stride - 1` lengths.

use super::text::{push_char, push_raw, push_unescaped};
use super::xml::{Node, Xml};
use crate::error::Result;
use crate::source::{OpenSource, Scratch};
use std::sync::Arc;

/// Bytes of strings that are kept in memory.
const MEMORY_BYTES: usize = 16 << 20;
/// Bytes that are written to the file at once.
const WRITE_BYTES: usize = 1 << 20;
/// Maximum number of positions.
const MAX_STARTS: usize = 1 << 16;
/// Size and number of the pages of a file that a reader keeps.
const PAGE_BYTES: u64 = 16 << 10;
const PAGES: usize = 64;
/// Bytes before a string.
const HEAD_BYTES: u64 = 4;

/// The strings of a workbook.
pub(super) struct Strings {
    /// The strings, or those that are not in the file yet.
    text: Vec<u8>,
    file: Option<Scratch>,
    file_bytes: u64,
    count: u64,
    starts: Vec<u64>,
    stride: u64,
}

impl Strings {
    /// Returns no strings; memory for up to `expected` bytes is reserved.
    fn empty(expected: u64) -> Strings {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX).min(MEMORY_BYTES);
        let text = Vec::with_capacity(expected);
        Strings { text, file: None, file_bytes: 0, count: 0, starts: Vec::new(), stride: 1 }
    }

    /// Returns no strings, for a workbook without any.
    pub(super) fn none() -> Strings {
        Strings::empty(0)
    }

    /// Reads the part; what does not fit into memory goes to a file of the source.
    ///
    /// # Errors
    /// `Data`: it is damaged, or larger than `spool.max`. `Local`: it cannot be read, or the file not written.
    pub(super) fn read(xml: Xml, longest: usize, source: &OpenSource) -> Result<Strings> {
        let mut strings = Strings::empty(xml.part().size());
        each(xml, longest, &mut |string| {
            strings.push(string, MEMORY_BYTES, source)?;
            Ok(true)
        })?;
        if strings.file.is_some() {
            strings.flush(source)?;
            strings.text = Vec::new();
        }
        Ok(strings)
    }

    fn push(&mut self, string: &[u8], memory_bytes: usize, source: &OpenSource) -> Result<()> {
        if self.count.is_multiple_of(self.stride) {
            if self.starts.len() == MAX_STARTS {
                let mut at = 0;
                self.starts.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.stride *= 2;
            }
            if self.count.is_multiple_of(self.stride) {
                self.starts.push(self.file_bytes + self.text.len() as u64);
            }
        }
        let limit = if self.file.is_some() { WRITE_BYTES } else { memory_bytes };
        if self.text.len() + string.len() + HEAD_BYTES as usize > limit {
            self.flush(source)?;
        }
        self.text.extend_from_slice(&(string.len() as u32).to_le_bytes());
        self.text.extend_from_slice(string);
        self.count += 1;
        Ok(())
    }

    fn flush(&mut self, source: &OpenSource) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(source.scratch()?),
        };
        file.append("the shared strings of the workbook", &self.text)?;
        self.file_bytes += self.text.len() as u64;
        self.text.clear();
        self.text.shrink_to(WRITE_BYTES);
        Ok(())
    }
}

/// Passes the strings of the part on, in order, until `string` returns false; then the rest is not read.
pub(super) fn each(mut xml: Xml, longest: usize, string: &mut dyn FnMut(&[u8]) -> Result<bool>) -> Result<()> {
    let (mut raw, mut text) = (Vec::new(), Vec::new());
    // inside of an element: of a text, and of how it is pronounced
    let (mut in_text, mut in_phonetic) = (false, false);
    loop {
        let is_over = match xml.next()? {
            Node::Start(tag) => {
                match tag.local_name().as_ref() {
                    b"t" => in_text = true,
                    b"rPh" => in_phonetic = true,
                    b"si" => raw.clear(),
                    _ => {}
                }
                false
            }
            Node::Empty(tag) if tag.local_name().as_ref() == b"si" => {
                raw.clear();
                true
            }
            Node::End(tag, _) => match tag.local_name().as_ref() {
                b"t" => {
                    in_text = false;
                    false
                }
                b"rPh" => {
                    in_phonetic = false;
                    false
                }
                name => name == b"si",
            },
            Node::Text(more) if in_text && !in_phonetic => {
                push_raw(&mut raw, &more);
                false
            }
            Node::Char(c) if in_text && !in_phonetic => {
                push_char(&mut raw, c);
                false
            }
            Node::Eof => return Ok(()),
            _ => false,
        };
        if raw.len() > longest {
            return Err(xml.damaged("has a text that is longer than source.max_record_bytes"));
        }
        if is_over {
            text.clear();
            push_unescaped(&mut text, &raw);
            if !string(&text)? {
                return Ok(());
            }
        }
    }
}

/// Reads strings by their number.
pub(super) struct Lookup {
    strings: Arc<Strings>,
    /// Number and position of the string after the last one.
    next: (u64, u64),
    pages: Vec<Page>,
}

/// A part of the file; `number` is `u64::MAX` if there is none.
struct Page {
    number: u64,
    bytes: Vec<u8>,
}

impl Lookup {
    pub(super) fn new(strings: Arc<Strings>) -> Lookup {
        Lookup { strings, next: (0, 0), pages: Vec::new() }
    }

    /// Appends a string. Returns false if there is none of that number.
    ///
    /// # Errors
    /// `Local`: the file cannot be read.
    pub(super) fn push(&mut self, number: u64, text: &mut Vec<u8>) -> Result<bool> {
        if number >= self.strings.count {
            return Ok(false);
        }
        let stride = self.strings.stride;
        let (mut at, mut position) = self.next;
        if number < at || number - at > number % stride {
            at = number - number % stride;
            position = self.strings.starts[(number / stride) as usize];
        }
        loop {
            let mut len = [0; HEAD_BYTES as usize];
            self.copy(position, &mut len)?;
            let len = u32::from_le_bytes(len);
            position += HEAD_BYTES;
            if at == number {
                let from = text.len();
                text.resize(from + len as usize, 0);
                self.copy(position, &mut text[from..])?;
            }
            position += u64::from(len);
            at += 1;
            if at > number {
                self.next = (at, position);
                return Ok(true);
            }
        }
    }

    /// Copies the bytes at a position.
    fn copy(&mut self, mut position: u64, mut into: &mut [u8]) -> Result<()> {
        let Some(file) = &self.strings.file else {
            let from = position as usize;
            into.copy_from_slice(&self.strings.text[from..from + into.len()]);
            return Ok(());
        };
        if self.pages.is_empty() {
            self.pages.resize_with(PAGES, || Page { number: u64::MAX, bytes: Vec::new() });
        }
        while !into.is_empty() {
            let number = position / PAGE_BYTES;
            let page = &mut self.pages[(number % PAGES as u64) as usize];
            if page.number != number {
                let start = number * PAGE_BYTES;
                let len = PAGE_BYTES.min(self.strings.file_bytes - start);
                page.number = u64::MAX;
                page.bytes.resize(len as usize, 0);
                file.read_exact_at(&mut page.bytes, start)?;
                page.number = number;
            }
            let from = (position % PAGE_BYTES) as usize;
            let len = into.len().min(page.bytes.len() - from);
            let (now, rest) = into.split_at_mut(len);
            now.copy_from_slice(&page.bytes[from..from + len]);
            into = rest;
            position += len as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceOptions;

    #[test]
    fn strings_come_back_from_memory_and_from_the_file_in_any_order() {
        let source = OpenSource::from_bytes("x", Vec::new(), &SourceOptions::default()).unwrap();
        let of = |number: u64| format!("{number}{}", "x".repeat((number % 70) as usize));
        for (count, memory_bytes) in [(0, 1000), (1, 1), (5000, 1 << 30), (5000, 1 << 16), (200_000, 1 << 20)] {
            let mut strings = Strings::empty(0);
            for number in 0..count {
                strings.push(of(number).as_bytes(), memory_bytes, &source).unwrap();
            }
            let is_spilled = strings.file.is_some();
            if is_spilled {
                strings.flush(&source).unwrap();
            }
            assert_eq!(is_spilled, count > 0 && memory_bytes < 1 << 30, "{count}");
            assert!(strings.starts.len() <= MAX_STARTS);
            let mut lookup = Lookup::new(Arc::new(strings));
            let mut get = |number: u64| {
                let mut text = b"-".to_vec();
                lookup.push(number, &mut text).unwrap().then(|| String::from_utf8(text).unwrap())
            };
            for number in (0..count).chain((0..count).rev().step_by(97)).chain((0..count).map(|n| n * 7919 % count)) {
                assert_eq!(get(number), Some(format!("-{}", of(number))));
            }
            assert_eq!((get(count), get(u64::MAX)), (None, None));
        }
    }
}
