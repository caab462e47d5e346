//! The keys of a line that the job uses, as a tree: names in the outermost object, and steps of JSON Pointers.
//!
//! Most lines of a file have the same keys in the same order. So each object of the tree remembers the n-th key of the
//! previous line, and compares the n-th key of the next line with it first.

use crate::buffer::Padded;
use crate::error::Result;
use crate::format::json::string::unescape;
use crate::format::pointer::steps;

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
