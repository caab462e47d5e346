//! Verifies the checksum that a storage reports for the bytes it has stored.

use super::{Answer, Failed, Reach};
use crate::error::{Error, Kind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The CRC-64/NVME of the object, big-endian, in base64.
const HEADER: &str = "x-amz-checksum-crc64nvme";

/// Returns the response to an upload if its checksum is that of the body, or if it has no checksum of the whole object.
///
/// # Errors
/// `Altered`.
pub(super) fn confirmed(answer: Answer, sent: u64) -> Result<Answer, Failed> {
    let Some(said) = answer.header(HEADER).map(str::trim).filter(|_| (200..300).contains(&answer.status)) else {
        return Ok(answer);
    };
    let kind = answer.header("x-amz-checksum-type").unwrap_or("FULL_OBJECT").trim();
    // a checksum of checksums ends with the number of parts
    if !kind.eq_ignore_ascii_case("FULL_OBJECT") || said.contains('-') {
        return Ok(answer);
    }
    let sent = STANDARD.encode(sent.to_be_bytes());
    if said == sent {
        return Ok(answer);
    }
    let said = crate::secret::printable(said);
    let message =
        format!("the storage has different bytes than were sent: its CRC-64/NVME is {said}, that of the body {sent}");
    Err(Failed { reach: Reach::Altered, error: Error::new(Kind::Transient, message) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_checksum_of_the_whole_object_counts() {
        let sent = 0x0102_0304_0506_0708;
        let said = |status: u16, checksum: &str, kind: Option<&str>| {
            let mut headers = vec![(HEADER.to_owned(), checksum.to_owned())];
            headers.extend(kind.map(|kind| ("x-amz-checksum-type".to_owned(), kind.to_owned())));
            confirmed(Answer { status, headers, body: Vec::new() }, sent).is_ok()
        };
        assert!(said(200, "AQIDBAUGBwg=", None) && said(200, " AQIDBAUGBwg= ", Some("full_object")));
        assert!(!said(200, "AQIDBAUGBwk=", None) && !said(200, "0102030405060708", Some("FULL_OBJECT")));
        assert!(said(200, "AQIDBAUGBwk=", Some("COMPOSITE")) && said(200, "AQIDBAUGBwk=-3", None));
        assert!(said(403, "AQIDBAUGBwk=", None));
    }
}
