//! The lines before the header: skipped ones, Excel's `sep=X`, comments.

use super::options::CsvOptions;
use crate::error::{Error, Place, Result};
use crate::format::text::Front;

/// The end of the lines before the header.
pub(super) struct Preamble {
    /// Position of the first byte after them.
    pub(super) end: usize,
    /// The delimiter that they or the header tell.
    pub(super) delimiter: Option<u8>,
    /// True if there is a line `sep=X`.
    pub(super) has_separator: bool,
}

/// Reads the lines before the header, or before the data if there is no header.
pub(super) fn read(front: &mut Front<'_>, options: &CsvOptions) -> Result<Preamble> {
    let mut at = front.bom();
    for _ in 0..options.skip_lines {
        at = after_line(front, at, options)?;
    }
    front.more(at + 16)?;
    let mut delimiter = None;
    if let Some((byte, len)) = separator_line(&front.bytes[at..]) {
        (delimiter, at) = (Some(byte), at + len);
    }
    let has_separator = delimiter.is_some();
    while options.header
        && options.comment.is_some()
        && let Some(comment) = comment_at(front, at, options)?
    {
        at = after_line(front, comment, options)?;
    }
    if options.detect_delimiter && delimiter.is_none() {
        delimiter = most_frequent(front, at, options)?;
    }
    Ok(Preamble { end: at, delimiter, has_separator })
}

/// Returns the position of the next line that is not empty if it is a comment.
fn comment_at(front: &mut Front<'_>, mut at: usize, options: &CsvOptions) -> Result<Option<usize>> {
    loop {
        if at >= front.bytes.len() && !front.ended {
            refuse_long(front, options)?;
            front.more(front.bytes.len() * 2)?;
        }
        match front.bytes.get(at) {
            Some(b'\n' | b'\r') => at += 1,
            first => return Ok((first.is_some() && first.copied() == options.comment).then_some(at)),
        }
    }
}

/// Returns the position after the line at `from`.
fn after_line(front: &mut Front<'_>, from: usize, options: &CsvOptions) -> Result<usize> {
    let mut at = from;
    loop {
        let text = &front.bytes[at.min(front.bytes.len())..];
        match memchr::memchr2(b'\n', b'\r', text).map(|found| at + found) {
            Some(found) if found + 1 < front.bytes.len() || front.ended => {
                let is_crlf = front.bytes[found] == b'\r' && front.bytes.get(found + 1) == Some(&b'\n');
                return Ok(found + 1 + usize::from(is_crlf));
            }
            None if front.ended => return Ok(front.bytes.len()),
            found => at = found.unwrap_or(front.bytes.len()),
        }
        refuse_long(front, options)?;
        front.more(front.bytes.len() * 2)?;
    }
}

/// Refuses to read further if everything so far is longer than a record may be.
fn refuse_long(front: &Front<'_>, options: &CsvOptions) -> Result<()> {
    let limit = options.max_record_bytes;
    if front.bytes.len() as u64 <= limit {
        return Ok(());
    }
    Err(Error::data(format!("the lines before the data are longer than source.max_record_bytes ({limit} bytes)"))
        .with_place(Place { line: Some(1), byte: Some(0), ..Place::default() })
        .with_hint("check source.csv.skip_lines and source.csv.comment"))
}

/// Returns the delimiter in Excel's first line `sep=X`, and the start of the next line.
fn separator_line(bytes: &[u8]) -> Option<(u8, usize)> {
    let (word, rest) = bytes.split_at_checked(4)?;
    let (&delimiter, end) = rest.split_first()?;
    if !word.eq_ignore_ascii_case(b"sep=") || matches!(delimiter, b'\r' | b'\n') {
        return None;
    }
    match end {
        [b'\r', b'\n', ..] => Some((delimiter, 7)),
        [b'\r' | b'\n', ..] => Some((delimiter, 6)),
        _ => None,
    }
}

/// Returns the one of `;`, `,` and tab that occurs most often outside quotes in the next line; the first of them if
/// several do.
fn most_frequent(front: &mut Front<'_>, from: usize, options: &CsvOptions) -> Result<Option<u8>> {
    const CANDIDATES: [u8; 3] = [b';', b',', b'\t'];
    loop {
        let (mut counts, mut inside, mut is_started, mut has_ended) = ([0u32; 3], false, false, front.ended);
        for &byte in &front.bytes[from.min(front.bytes.len())..] {
            if Some(byte) == options.quote {
                inside = !inside;
            } else if !inside && matches!(byte, b'\n' | b'\r') && is_started {
                has_ended = true;
                break;
            } else if !inside && let Some(n) = CANDIDATES.iter().position(|&candidate| candidate == byte) {
                counts[n] += 1;
            }
            is_started |= !matches!(byte, b'\n' | b'\r');
        }
        if has_ended {
            let most = counts.into_iter().max().filter(|&most| most > 0);
            let found = most.and_then(|most| counts.iter().position(|&count| count == most));
            return Ok(found.map(|n| CANDIDATES[n]));
        }
        refuse_long(front, options)?;
        front.more(front.bytes.len() * 2)?;
    }
}
