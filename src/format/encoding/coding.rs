//! How an input is transcoded.

use super::encode::encode;
use crate::source::Encoding;
#[cfg(feature = "jobs")]
use std::borrow::Cow;

/// The encoding of an input that has to be transcoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    pub(crate) encoding: Encoding,
    /// Length of the byte order mark.
    pub(crate) mark: usize,
    /// Bytes of transcoded text before the data.
    pub(crate) text: u64,
}

impl Coding {
    /// Returns the byte order mark.
    pub(crate) fn mark_bytes(self) -> Vec<u8> {
        let mut mark = Vec::new();
        if self.mark > 0 {
            // writing to memory does not fail
            let _ = encode("\u{feff}".as_bytes(), self.encoding, &mut mark);
        }
        mark
    }
}

/// Returns the encoding of a content that starts with these bytes, and the length of its byte order mark. A mark of a
/// Unicode encoding replaces another Unicode encoding.
pub(in crate::format) fn sniff(first: &[u8], encoding: Encoding) -> (Encoding, usize) {
    let is_unicode = encoding.is_utf8() || encoding.is_utf16();
    // UTF-32 begins like UTF-16
    let marked = if is_unicode && !first.starts_with(&[0xff, 0xfe, 0, 0]) { Encoding::for_bom(first) } else { None };
    marked.unwrap_or((encoding, 0))
}

/// Returns the start of a content as UTF-8, to tell its format.
#[cfg(feature = "jobs")]
pub(in crate::format) fn start(first: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    let (encoding, mark) = sniff(first, encoding);
    if encoding.is_utf8() {
        return Cow::Borrowed(first);
    }
    let mut text = String::with_capacity(first.len() * 3 + 16);
    let _ = encoding.decoder().decode_to_string(&first[mark..], &mut text, false);
    text.into_bytes().into()
}
