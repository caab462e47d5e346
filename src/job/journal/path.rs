//! Paths in the state, whose columns are text: absolute paths that are not UTF-8 are written as the hex digits of their
//! bytes.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A prefix that no absolute path has.
const BYTES: &str = "bytes:";

pub(super) fn to_text(path: &Path) -> Cow<'_, str> {
    match path.to_str() {
        Some(text) => Cow::Borrowed(text),
        None => {
            let bytes = path.as_os_str().as_encoded_bytes();
            Cow::Owned(BYTES.to_owned() + &bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

pub(super) fn from_text(text: String) -> PathBuf {
    #[cfg(unix)]
    if let Some(digits) = text.strip_prefix(BYTES) {
        let byte = |at| digits.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        if let Some(bytes) = bytes {
            return <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes).into();
        }
    }
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back_as_they_were() {
        for path in ["/a/b.yaml", "/b\u{e4}r", ""] {
            assert_eq!(to_text(Path::new(path)), path);
            assert_eq!(from_text(path.to_owned()), Path::new(path));
        }
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::ffi::OsStrExt as _;
            let path = Path::new(std::ffi::OsStr::from_bytes(b"/k\xE4se/job.yaml"));
            assert_eq!(to_text(path), "bytes:2f6be473652f6a6f622e79616d6c");
            assert_eq!(from_text(to_text(path).into_owned()), path);
        }
        assert_eq!(from_text("bytes:2".to_owned()), Path::new("bytes:2"));
    }
}
