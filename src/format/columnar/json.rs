//! Texts in JSON.

use crate::format::block::Bad;

/// Appends a text in quotes.
pub(super) fn string(text: &mut Vec<u8>, value: &[u8]) -> Result<(), Bad> {
    let value = simdutf8::basic::from_utf8(value).map_err(|_| Bad::invalid_utf8())?;
    if value.contains('\0') {
        return Err(Bad::nul());
    }
    // a text can always be written to memory
    let _ = serde_json::to_writer(text, value);
    Ok(())
}
