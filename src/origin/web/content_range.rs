//! The header `Content-Range`.

/// The range that a response contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// First byte and the byte after the last; `None` in a refusal (416).
    pub(super) bytes: Option<(u64, u64)>,
    /// Size of the whole; `None` if the server does not know it.
    pub(super) size: Option<u64>,
}

impl ContentRange {
    /// Parses the value of the header; `None` if it is not valid.
    pub(super) fn parse(value: &str) -> Option<ContentRange> {
        let (unit, rest) = value.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, size) = rest.trim().split_once('/')?;
        let size = match size.trim() {
            "*" => None,
            size => Some(number(size)?),
        };
        let bytes = match range.trim() {
            "*" => None,
            range => {
                let (first, last) = range.split_once('-')?;
                let (first, end) = (number(first.trim())?, number(last.trim())?.checked_add(1)?);
                if first >= end || size.is_some_and(|size| end > size) {
                    return None;
                }
                Some((first, end))
            }
        };
        Some(ContentRange { bytes, size })
    }
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_ranges_are_read() {
        let read = |value: &str| ContentRange::parse(value).map(|range| (range.bytes, range.size));
        assert_eq!(read("bytes 0-0/10"), Some((Some((0, 1)), Some(10))));
        assert_eq!(read(" Bytes  5-9 / 10 "), Some((Some((5, 10)), Some(10))));
        assert_eq!(read("bytes 5-9/*"), Some((Some((5, 10)), None)));
        assert_eq!(read("bytes */10"), Some((None, Some(10))));
        for wrong in [
            "",
            "bytes",
            "bytes 0-9",
            "items 0-0/10",
            "bytes 9-5/10",
            "bytes 0-10/10",
            "bytes -1-2/10",
            "bytes +0-1/10",
            "bytes 0-/10",
            "bytes 0-18446744073709551615/*",
            "bytes 0-1/ten",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
