//! Encodings of text.

/// An encoding of text, as in the WHATWG Encoding Standard; UTF-8 by default.
///
/// ```
/// use listferry::source::Encoding;
///
/// let encoding = Encoding::for_label("latin1").expect("a known label");
/// assert_eq!(encoding.name(), "windows-1252");
/// assert!(Encoding::for_label("utf-32").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Default for Encoding {
    fn default() -> Encoding {
        Encoding(encoding_rs::UTF_8)
    }
}

impl Encoding {
    /// Returns the encoding of a label, whatever its case; `None` if there is no such encoding.
    #[must_use]
    pub fn for_label(label: &str) -> Option<Encoding> {
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()).map(Encoding)
    }

    /// Returns its name in the standard.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    pub(crate) fn is_utf8(self) -> bool {
        self.0 == encoding_rs::UTF_8
    }

    pub(crate) fn is_utf16(self) -> bool {
        self.0 == encoding_rs::UTF_16LE || self.0 == encoding_rs::UTF_16BE
    }

    pub(crate) fn is_big_endian(self) -> bool {
        self.0 == encoding_rs::UTF_16BE
    }

    /// Returns the encoding that a byte order mark at the start of a text shows, and the length of the mark.
    pub(crate) fn for_bom(first: &[u8]) -> Option<(Encoding, usize)> {
        encoding_rs::Encoding::for_bom(first).map(|(encoding, length)| (Encoding(encoding), length))
    }

    /// Returns a decoder that leaves byte order marks alone.
    pub(crate) fn decoder(self) -> encoding_rs::Decoder {
        self.0.new_decoder_without_bom_handling()
    }

    /// Returns an encoder; for UTF-16, one for UTF-8.
    pub(crate) fn encoder(self) -> encoding_rs::Encoder {
        self.0.new_encoder()
    }
}
