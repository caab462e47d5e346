//! The keys of a line that the job uses, as a tree: names in the outermost object, and steps of JSON Pointers.
//!
//! Most lines of a file have the same keys in the same order. So each object of the tree remembers the n-th key of the
//! previous line, and compares the n-th key of the next line with it first.

use super::string::unescape;
use crate::buffer::Padded;
use crate::error::{Error, Result};

/// Keys longer than this are looked up each time.
const MAX_GUESSED_BYTES: usize = 64;
/// Number of keys per object that are remembered by position.
const MAX_GUESSES: usize = 512;

/// Index of the outermost object.
pub(super) const ROOT: usize = 0;

/// The tree of wanted keys.
#[derive(Clone)]
pub(super) struct Keys {
    nodes: Vec<Node>,
}

/// A wanted key, or an object on the way to one.
#[derive(Clone, Default)]
struct Node {
    /// Column that contains its value, if there is one.
    column: Option<u32>,
    /// The wanted keys inside it.
    children: Vec<(Box<[u8]>, u32)>,
    guesses: Vec<Guess>,
    /// Number of the line in which it last occurred.
    line: u64,
}

/// The n-th key of an object in the previous line.
#[derive(Clone)]
struct Guess {
    /// Its first eight bytes, as read by [`Padded::word`], padded with 0.
    word: u64,
    key: Box<[u8]>,
    child: Option<u32>,
}

impl Keys {
    /// Creates the tree for columns. A column is a name, or a JSON Pointer if it starts with `/`.
    ///
    /// # Errors
    /// `Usage`: a pointer is not valid or contains an array index.
    pub(super) fn new(columns: &[String]) -> Result<Keys> {
        let mut keys = Keys { nodes: vec![Node::default()] };
        for (column, name) in columns.iter().enumerate() {
            let steps = steps(name)?;
            let node = steps.into_iter().fold(ROOT, |node, step| keys.child_or_new(node, step.into_bytes()));
            keys.nodes[node].column = Some(column as u32);
        }
        Ok(keys)
    }

    fn child_or_new(&mut self, node: usize, key: Vec<u8>) -> usize {
        if let Some(child) = self.named(node, &key) {
            return child;
        }
        let child = self.nodes.len();
        self.nodes.push(Node::default());
        self.nodes[node].children.push((key.into(), child as u32));
        child
    }

    fn named(&self, node: usize, key: &[u8]) -> Option<usize> {
        let children = &self.nodes[node].children;
        children.iter().find(|(known, _)| **known == *key).map(|(_, child)| *child as usize)
    }

    /// Returns the wanted key in `node` that matches the `nth` key of a line, with text `at..to` of the input.
    /// `escaped`: the key may contain escapes.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        node: usize,
        nth: usize,
        input: Padded<'_>,
        (at, to): (usize, usize),
        escaped: bool,
    ) -> Option<usize> {
        if let Some(guess) = self.nodes[node].guesses.get(nth)
            && guess.key.len() == to - at
            && !escaped
        {
            let word = input.word(at);
            let is_same = match guess.key.len() {
                len @ 0..8 => word & ((1 << (8 * len)) - 1) == guess.word,
                8 => word == guess.word,
                _ => word == guess.word && input.bytes()[at..to] == *guess.key,
            };
            if is_same {
                return guess.child.map(|child| child as usize);
            }
        }
        self.look_up(node, nth, &input.bytes()[at..to], escaped)
    }

    #[cold]
    #[inline(never)]
    fn look_up(&mut self, node: usize, nth: usize, key: &[u8], escaped: bool) -> Option<usize> {
        if escaped {
            let mut text = Vec::new();
            // a key that is not valid text matches no name
            return unescape(key, &mut text).ok().and_then(|()| self.named(node, &text));
        }
        let child = self.named(node, key);
        let guesses = &mut self.nodes[node].guesses;
        if key.len() <= MAX_GUESSED_BYTES && nth <= guesses.len() && nth < MAX_GUESSES {
            let mut word = [0; 8];
            word[..key.len().min(8)].copy_from_slice(&key[..key.len().min(8)]);
            let guess =
                Guess { word: u64::from_le_bytes(word), key: key.into(), child: child.map(|child| child as u32) };
            if nth == guesses.len() {
                guesses.push(guess);
            } else {
                guesses[nth] = guess;
            }
        }
        child
    }

    /// Returns the column of a key.
    #[inline(always)]
    pub(super) fn column(&self, node: usize) -> Option<usize> {
        self.nodes[node].column.map(|column| column as usize)
    }

    /// Returns true if keys within the value are wanted.
    #[inline(always)]
    pub(super) fn has_children(&self, node: usize) -> bool {
        !self.nodes[node].children.is_empty()
    }

    /// Records that a key occurs in a line; returns false if it occurred before.
    #[inline(always)]
    pub(super) fn occurs_first(&mut self, node: usize, line: u64) -> bool {
        std::mem::replace(&mut self.nodes[node].line, line) != line
    }
}

/// Returns the keys on the path from the outermost object to a column.
fn steps(column: &str) -> Result<Vec<String>> {
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
