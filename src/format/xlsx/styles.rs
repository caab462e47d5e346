//! The styles of a workbook, as far as they give numbers a meaning.

use super::number_format::{Meaning, built_in, of_code};
use super::xml::{Node, Xml, attribute};
use crate::error::Result;
use std::collections::HashMap;

/// Maximum number of cell formats and of number formats, far above that of spreadsheet programs.
const MAX_STYLES: usize = 1 << 18;

/// The meanings of the styles, by their number.
#[derive(Default)]
pub(super) struct Styles(Vec<Meaning>);

impl Styles {
    /// Reads the part.
    ///
    /// # Errors
    /// `Data`: it is damaged. `Local`: it cannot be read.
    pub(super) fn read(mut xml: Xml) -> Result<Styles> {
        let mut codes: HashMap<u32, Meaning> = HashMap::new();
        let mut formats: Vec<u32> = Vec::new();
        let mut is_of_cells = false;
        loop {
            match xml.next()? {
                Node::Start(tag) | Node::Empty(tag) => match tag.local_name().as_ref() {
                    b"cellXfs" => is_of_cells = true,
                    b"xf" if is_of_cells => {
                        formats.push(attribute(&tag, "numFmtId").and_then(|id| id.parse().ok()).unwrap_or(0));
                    }
                    b"numFmt" => {
                        let id = attribute(&tag, "numFmtId").and_then(|id| id.parse().ok());
                        if let (Some(id), Some(code)) = (id, attribute(&tag, "formatCode")) {
                            codes.insert(id, of_code(&code));
                        }
                    }
                    _ => {}
                },
                Node::End(tag, _) if tag.local_name().as_ref() == b"cellXfs" => is_of_cells = false,
                Node::Eof => break,
                _ => {}
            }
            if formats.len().max(codes.len()) > MAX_STYLES {
                return Err(xml.damaged("has too many styles"));
            }
        }
        let meaning = |id: &u32| codes.get(id).copied().unwrap_or_else(|| built_in(*id));
        Ok(Styles(formats.iter().map(meaning).collect()))
    }

    /// Returns the meaning of numbers in cells of a style.
    pub(super) fn meaning(&self, style: u32) -> Meaning {
        self.0.get(style as usize).copied().unwrap_or_default()
    }
}
