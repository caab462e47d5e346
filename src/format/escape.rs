//! Backslashes in cells: the byte after one has another meaning.

/// Returns the bytes that a backslash and `byte` stand for.
fn meaning(byte: &u8) -> &[u8] {
    match byte {
        b'n' => b"\n",
        b't' => b"\t",
        b'r' => b"\r",
        b'b' => b"\x08",
        b'f' => b"\x0c",
        b'v' => b"\x0b",
        b'0' => b"\0",
        byte => std::slice::from_ref(byte),
    }
}

/// Returns the pieces of the value of a text with escapes. A backslash at the end stands for itself.
pub(super) fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut escaped) = (text, false);
    std::iter::from_fn(move || {
        if std::mem::take(&mut escaped) {
            let (byte, after) = rest.split_first()?;
            rest = after;
            return Some(meaning(byte));
        }
        let at = memchr::memchr(b'\\', rest).filter(|at| at + 1 < rest.len()).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(at);
        escaped = !after.is_empty();
        rest = after.get(1..).unwrap_or_default();
        (escaped || !piece.is_empty()).then_some(piece)
    })
}
