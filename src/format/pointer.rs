//! Columns of nested formats: a name, or a JSON Pointer if it starts with `/`.

use crate::error::{Error, Result};

/// Returns the keys on the path from the outermost object to a column.
///
/// # Errors
/// `Usage`: a pointer is not valid or contains an array index.
pub(super) fn steps(column: &str) -> Result<Vec<String>> {
    let Some(pointer) = column.strip_prefix('/') else { return Ok(vec![column.to_owned()]) };
    let wrong = |why: &str| {
        Error::usage(format!("the column {column:?} is not a valid JSON Pointer: {why}"))
            .with_hint("/address/city is the key city of the object address; in a key, ~1 is a slash and ~0 is a tilde")
    };
    pointer
        .split('/')
        .map(|step| {
            if !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong("an index of an array is not supported"));
            }
            let mut parts = step.split('~');
            let mut key = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let (escaped, rest) = match part.as_bytes().first() {
                    Some(b'0') => ('~', &part[1..]),
                    Some(b'1') => ('/', &part[1..]),
                    _ => return Err(wrong("~ must be followed by 0 or 1")),
                };
                key.push(escaped);
                key.push_str(rest);
            }
            Ok(key)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_a_name_or_a_pointer() {
        let ok = |column: &str| steps(column).unwrap();
        assert_eq!(ok("a/b"), ["a/b"]);
        assert_eq!(ok("/address/city"), ["address", "city"]);
        assert_eq!(ok("/a~1b/c~0~1/"), ["a/b", "c~/", ""]);
        for (column, why) in [("/a/0", "index"), ("/a/17/b", "index"), ("/a~2", "~ must"), ("/a~", "~ must")] {
            assert!(steps(column).unwrap_err().message().contains(why), "{column}");
        }
    }
}
