//! A pull reader of XML whose memory is bounded: events, depth and entities are limited, and there are no DTDs.

use super::at::damaged;
use super::part::PartReader;
use crate::error::{Error, Result};
use crate::source::into_error;
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Error as XmlError, Reader};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

const BUFFER_BYTES: usize = 64 << 10;
/// Maximum depth of elements.
const MAX_DEPTH: u32 = 256;
/// The marks of UTF-16.
const OTHER_MARKS: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

/// A part whose next event may take at most `left` bytes.
struct Limited {
    inner: BufReader<PartReader>,
    left: usize,
}

impl Read for Limited {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }
}

impl BufRead for Limited {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            let part = self.inner.get_ref().name();
            return Err(io::Error::other(
                Error::data(format!("a text in the part {part} is too long (source.max_record_bytes)"))
                    .with_hint("raise source.max_record_bytes, or see whether the file is a list at all"),
            ));
        }
        let left = self.left;
        self.inner.fill_buf().map(|bytes| &bytes[..bytes.len().min(left)])
    }

    fn consume(&mut self, amount: usize) {
        self.left -= amount;
        self.inner.consume(amount);
    }
}

/// Reads the XML of a part.
pub(super) struct Xml {
    reader: Reader<Limited>,
    buffer: Vec<u8>,
    longest: usize,
    depth: u32,
}

/// An event, as far as the readers of parts need it.
pub(super) enum Node<'x> {
    Start(BytesStart<'x>),
    /// An element without content; no end follows.
    Empty(BytesStart<'x>),
    /// The end of an element, and the depth of the elements that are still open.
    End(BytesEnd<'x>, u32),
    /// Text as it is between the tags, without references.
    Text(Cow<'x, [u8]>),
    /// A character that was written as a reference.
    Char(char),
    /// A comment or the like.
    Other,
    Eof,
}

impl Xml {
    /// Starts to read a part; `longest` bounds each text and each tag.
    ///
    /// # Errors
    /// `Data`: it is not UTF-8. `Local`: it cannot be read.
    pub(super) fn new(part: PartReader, longest: usize) -> Result<Xml> {
        let mut inner = BufReader::with_capacity(BUFFER_BYTES, part);
        let first = inner.fill_buf().map_err(|error| into_error(error, "reading a part of the workbook"))?;
        if OTHER_MARKS.iter().any(|mark| first.starts_with(mark)) {
            return Err(Xml::other_encoding(inner.get_ref().name()));
        }
        let reader = Reader::from_reader(Limited { inner, left: longest });
        Ok(Xml { reader, buffer: Vec::new(), longest, depth: 0 })
    }

    fn other_encoding(part: &str) -> Error {
        Error::data(format!("the part {part} is not UTF-8, which is not supported"))
            .with_hint("save the workbook again in a spreadsheet program")
    }

    /// Returns the part.
    pub(super) fn part(&self) -> &PartReader {
        self.reader.get_ref().inner.get_ref()
    }

    /// Returns the depth of the elements that are open.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// Returns the error for a part that is not as it must be.
    pub(super) fn damaged(&self, what: &str) -> Error {
        of_part(&self.reader, what)
    }

    /// Returns the next event.
    ///
    /// # Errors
    /// `Data`: the XML is not well-formed, or over a limit. `Local`: it cannot be read.
    pub(super) fn next(&mut self) -> Result<Node<'_>> {
        let Xml { reader, buffer, longest, depth } = self;
        buffer.clear();
        reader.get_mut().left = *longest;
        let event = match reader.read_event_into(buffer) {
            Ok(event) => event,
            Err(error) => return Err(failed(reader, error)),
        };
        Ok(match event {
            Event::Start(tag) => {
                *depth += 1;
                if *depth > MAX_DEPTH {
                    return Err(of_part(reader, "has elements that are nested too deep"));
                }
                Node::Start(tag)
            }
            Event::Empty(tag) => Node::Empty(tag),
            Event::End(tag) => {
                *depth = depth.saturating_sub(1);
                Node::End(tag, *depth)
            }
            Event::Text(text) => Node::Text(text.into_inner()),
            Event::CData(text) => Node::Text(text.into_inner()),
            Event::GeneralRef(reference) => {
                let named = || match &*reference {
                    b"amp" => Some('&'),
                    b"lt" => Some('<'),
                    b"gt" => Some('>'),
                    b"quot" => Some('"'),
                    b"apos" => Some('\''),
                    _ => None,
                };
                let found = reference.resolve_char_ref().ok().flatten().or_else(named);
                Node::Char(found.ok_or_else(|| of_part(reader, "has an entity that is not known"))?)
            }
            Event::DocType(_) => {
                return Err(of_part(reader, "has a document type definition, which is not supported"));
            }
            Event::Decl(declared) => {
                let encoding = declared.encoding().and_then(std::result::Result::ok);
                if encoding.is_some_and(|name| !name.eq_ignore_ascii_case(b"utf-8")) {
                    return Err(Xml::other_encoding(reader.get_ref().inner.get_ref().name()));
                }
                Node::Other
            }
            Event::Comment(_) | Event::PI(_) => Node::Other,
            Event::Eof if *depth > 0 => return Err(of_part(reader, "ends before its elements do")),
            Event::Eof => Node::Eof,
        })
    }

    /// Reads the rest of the part without looking at it, and compares it with the directory.
    ///
    /// # Errors
    /// `Data`: it is damaged. `Local`: it cannot be read.
    pub(super) fn finish(&mut self) -> Result<()> {
        let rest = io::copy(&mut self.reader.get_mut().inner, &mut io::sink());
        rest.map_err(|error| into_error(error, "reading a part of the workbook"))?;
        self.depth = 0;
        Ok(())
    }
}

fn of_part(reader: &Reader<Limited>, what: &str) -> Error {
    damaged(&format!("the part {} {what}", reader.get_ref().inner.get_ref().name()))
}

fn failed(reader: &Reader<Limited>, error: XmlError) -> Error {
    let XmlError::Io(error) = error else { return of_part(reader, "is not well-formed XML") };
    match Arc::try_unwrap(error) {
        Ok(error) => into_error(error, "reading a part of the workbook"),
        Err(_) => of_part(reader, "cannot be read"),
    }
}

/// Returns the value of an attribute by its name without a prefix; `None` if there is none, or it is not valid.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let found =
        attributes.with_checks(false).flatten().find(|found| found.key.local_name().as_ref() == name.as_bytes());
    found.and_then(|found| {
        found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
    })
}

/// Returns true if an attribute says yes.
pub(super) fn is_true(value: &str) -> bool {
    matches!(value, "1" | "true" | "on")
}
