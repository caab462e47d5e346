//! Async results read as a stream: an incremental JSON parser whose memory does not grow with the number of entries. It
//! is as lenient as the vendor's sample needs (keys with stray spaces, numbers as texts, trailing commas, `...` instead
//! of entries).

use crate::calls::count;
use crate::error::{Error, Kind, Result};
use crate::platform::Counts;
use serde_json::{Map, Value};

/// Summary of the results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// The id of the results.
    pub(super) id: Option<String>,
    /// The platform's counts, in its order.
    pub(super) counts: Vec<(String, u64)>,
    /// Number of entries read.
    pub(super) completed: u64,
    /// Number of entries read.
    pub(super) failed: u64,
    /// Number of entries read.
    pub(super) ignored: u64,
}

impl Summary {
    /// Returns a count of the platform.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(key, _)| key == name).map(|(_, n)| *n)
    }

    /// Returns the platform's counts, or the numbers of entries if it gives no counts. Never fewer failed or ignored
    /// rows than entries.
    pub(super) fn tally(&self) -> Counts {
        let listed = self.completed + self.failed + self.ignored > 0;
        let of = |name: &str, seen: u64| match self.count(name) {
            Some(counted) => Some(counted.max(seen)),
            None => (listed && (self.counts.is_empty() || seen > 0)).then_some(seen),
        };
        Counts {
            // the list of imported rows may be cut short
            imported: self.count("completed").or((listed && self.counts.is_empty()).then_some(self.completed)),
            failed: of("failed", self.failed),
            ignored: of("ignored", self.ignored),
        }
    }

    /// Returns the number of rows in the request, if the platform counts them.
    pub(super) fn requested(&self) -> Option<u64> {
        self.count("requested").or_else(|| self.count("total"))
    }

    /// Returns the counts for the report; if the platform gave none, the numbers of entries.
    pub(super) fn counts_json(&self) -> Value {
        let seen = [("completed", self.completed), ("failed", self.failed), ("ignored", self.ignored)];
        Value::Object(match self.counts.is_empty() {
            true => seen.iter().map(|(key, n)| ((*key).to_owned(), Value::from(*n))).collect::<Map<_, _>>(),
            false => self.counts.iter().map(|(key, n)| (key.clone(), Value::from(*n))).collect(),
        })
    }
}

/// The list that contains an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Completed,
    Failed,
    Ignored,
}

/// An entry of the failed or ignored list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) list: List,
    /// Row index from 0, not counting the header line; `None` if the platform gave none.
    pub(super) index: Option<u64>,
    /// The platform's message; may be empty.
    pub(super) message: &'a str,
}

/// Receives entries as they are read.
pub(super) type Sink<'s> = &'s mut (dyn FnMut(&Entry<'_>) -> Result<()> + Send);

const MAX_DEPTH: usize = 64;
/// Maximum length of a text; longer ones are cut.
const MAX_TEXT: usize = 2048;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Top,
    Counts,
    List(List),
    Entry(List),
    Fault,
    Other,
}

struct Level {
    object: bool,
    role: Role,
    key: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a value; in an array also before its end.
    Value,
    /// In an object, before a key or the end.
    Key,
    Colon,
    /// After a value, before a comma or the end.
    Comma,
    /// After `...`, which stands for omitted entries: before more dots, a comma, an entry or the end.
    Elided,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    Unicode {
        key: bool,
        left: u8,
        code: u16,
    },
    /// A number or a word.
    Bare,
    /// After the outermost value.
    End,
}

/// The parser: takes pieces of any size, returns entries.
pub(super) struct Results {
    state: State,
    levels: Vec<Level>,
    text: Vec<u8>,
    high: Option<u16>,
    at: u64,
    index: Option<u64>,
    message: String,
    summary: Summary,
}

impl Results {
    pub(super) fn new() -> Results {
        Results {
            state: State::Value,
            levels: Vec::new(),
            text: Vec::new(),
            high: None,
            at: 0,
            index: None,
            message: String::new(),
            summary: Summary::default(),
        }
    }

    /// Parses the next piece.
    ///
    /// # Errors
    /// `Transient`: invalid JSON, which may be better next time; also any error of the sink.
    pub(super) fn push(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<()> {
        let mut i = 0;
        while i < bytes.len() {
            // consume a run of plain characters of a text at once
            if let State::Text { .. } = self.state {
                let run = bytes[i..].iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(bytes.len() - i);
                self.keep(&bytes[i..i + run]);
                i += run;
                self.at += run as u64;
                if i == bytes.len() {
                    break;
                }
            }
            self.byte(bytes[i], sink)?;
            i += 1;
            self.at += 1;
        }
        Ok(())
    }

    /// Ends the input.
    ///
    /// # Errors
    /// `Transient`: the document is incomplete.
    pub(super) fn finish(self) -> Result<Summary> {
        match self.state {
            State::End => Ok(self.summary),
            _ => Err(self.broken("it ends too early")),
        }
    }

    fn broken(&self, why: &str) -> Error {
        Error::new(Kind::Transient, format!("the results are not JSON: {why} (byte {})", self.at))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_TEXT.saturating_sub(self.text.len());
        self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    // one state machine: what a byte means in each state
    fn byte(&mut self, byte: u8, sink: Sink<'_>) -> Result<()> {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match self.state {
            State::Value => match byte {
                _ if blank || (byte == 0xef && self.at == 0) || (matches!(byte, 0xbb | 0xbf) && self.at < 3) => {}
                b'{' | b'[' => self.open(byte == b'{')?,
                b']' if self.levels.last().is_some_and(|level| !level.object) => self.close(sink)?,
                b'.' if self.levels.last().is_some_and(|level| !level.object) => self.state = State::Elided,
                b'"' => self.begin(State::Text { key: false }),
                b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    self.begin(State::Bare);
                    self.keep(&[byte]);
                }
                _ => return Err(self.broken("a value is missing")),
            },
            State::Key => match byte {
                _ if blank => {}
                b'"' => self.begin(State::Text { key: true }),
                b'}' => self.close(sink)?,
                b'.' | b',' => {}
                _ => return Err(self.broken("a key is missing")),
            },
            State::Colon => match byte {
                _ if blank => {}
                b':' => self.state = State::Value,
                _ => return Err(self.broken("a colon is missing")),
            },
            State::Comma => {
                let object = self.levels.last().is_some_and(|level| level.object);
                match byte {
                    _ if blank => {}
                    b',' if object => self.state = State::Key,
                    b',' => self.state = State::Value,
                    b'}' if object => self.close(sink)?,
                    b']' if !object => self.close(sink)?,
                    b'.' if object => self.state = State::Key,
                    b'.' => self.state = State::Elided,
                    _ => return Err(self.broken("a comma is missing")),
                }
            }
            State::Elided => match byte {
                _ if blank || byte == b'.' => {}
                b',' => self.state = State::Value,
                _ => {
                    self.state = State::Value;
                    return self.byte(byte, sink);
                }
            },
            State::Text { key } => match byte {
                b'\\' => self.state = State::Escape { key },
                b'"' => {
                    self.lone_high();
                    self.text_done(key, sink)?;
                }
                _ => self.keep(&[byte]),
            },
            State::Escape { key } => {
                let plain = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'u' => {
                        self.state = State::Unicode { key, left: 4, code: 0 };
                        return Ok(());
                    }
                    _ => return Err(self.broken("an unknown escape")),
                };
                self.lone_high();
                self.keep(&[plain]);
                self.state = State::Text { key };
            }
            State::Unicode { key, left, code } => {
                let digit = (byte as char).to_digit(16).ok_or_else(|| self.broken("an unknown escape"))? as u16;
                let code = code << 4 | digit;
                if left > 1 {
                    self.state = State::Unicode { key, left: left - 1, code };
                } else {
                    self.unit(code);
                    self.state = State::Text { key };
                }
            }
            State::Bare => match byte {
                b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => self.keep(&[byte]),
                _ => {
                    self.scalar(sink)?;
                    return self.byte(byte, sink);
                }
            },
            State::End if blank => {}
            State::End => return Err(self.broken("it continues after its end")),
        }
        Ok(())
    }

    fn begin(&mut self, state: State) {
        self.text.clear();
        self.state = state;
    }

    /// Adds a UTF-16 unit of an escape.
    fn unit(&mut self, code: u16) {
        let mut buf = [0; 4];
        match (self.high.take(), code) {
            (_, 0xd800..=0xdbff) => self.high = Some(code),
            (Some(high), 0xdc00..=0xdfff) => {
                let c = 0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(code) - 0xdc00);
                let c = char::from_u32(c).unwrap_or('\u{fffd}');
                self.keep(c.encode_utf8(&mut buf).as_bytes());
            }
            (_, code) => {
                let c = char::from_u32(u32::from(code)).unwrap_or('\u{fffd}');
                self.keep(c.encode_utf8(&mut buf).as_bytes());
            }
        }
    }

    fn lone_high(&mut self) {
        if self.high.take().is_some() {
            self.keep("\u{fffd}".as_bytes());
        }
    }

    fn open(&mut self, object: bool) -> Result<()> {
        if self.levels.len() == MAX_DEPTH {
            return Err(self.broken("it is nested too deeply"));
        }
        let role = match self.levels.last() {
            None if object => Role::Top,
            None => Role::Other,
            Some(level) => match (level.role, level.key.as_str(), object) {
                (Role::Top, "counts", true) => Role::Counts,
                (Role::Top, "completed", false) => Role::List(List::Completed),
                (Role::Top, "failed", false) => Role::List(List::Failed),
                (Role::Top, "ignored", false) => Role::List(List::Ignored),
                (Role::List(list), _, true) => Role::Entry(list),
                (Role::Entry(_), "error", true) => Role::Fault,
                _ => Role::Other,
            },
        };
        if let Role::Entry(_) = role {
            self.index = None;
            self.message.clear();
        }
        self.levels.push(Level { object, role, key: String::new() });
        self.state = if object { State::Key } else { State::Value };
        Ok(())
    }

    fn close(&mut self, sink: Sink<'_>) -> Result<()> {
        if let Some(Level { role: Role::Entry(list), .. }) = self.levels.pop() {
            self.entry(list, sink)?;
        }
        self.after();
        Ok(())
    }

    fn after(&mut self) {
        self.state = if self.levels.is_empty() { State::End } else { State::Comma };
    }

    fn entry(&mut self, list: List, sink: Sink<'_>) -> Result<()> {
        match list {
            List::Completed => self.summary.completed += 1,
            List::Failed => self.summary.failed += 1,
            List::Ignored => self.summary.ignored += 1,
        }
        match list {
            List::Completed => Ok(()),
            _ => sink(&Entry { list, index: self.index, message: &self.message }),
        }
    }

    fn text_done(&mut self, key: bool, sink: Sink<'_>) -> Result<()> {
        if !key {
            return self.scalar(sink);
        }
        let name = String::from_utf8_lossy(&self.text).trim().to_lowercase();
        if let Some(level) = self.levels.last_mut() {
            level.key.clear();
            level.key.push_str(name.get(..64).unwrap_or(&name));
        }
        self.state = State::Colon;
        Ok(())
    }

    fn scalar(&mut self, sink: Sink<'_>) -> Result<()> {
        let text = String::from_utf8_lossy(&self.text);
        let number = || count(&Value::from(&*text));
        let role = self.levels.last().map_or(Role::Other, |level| level.role);
        let key = self.levels.last().map_or("", |level| level.key.as_str());
        match (role, key) {
            (Role::Top, "id") => self.summary.id = Some(text.chars().take(100).collect()),
            (Role::Counts, _) => {
                if let (Some(n), true) = (number(), self.summary.counts.len() < 32) {
                    let key = key.to_owned();
                    self.summary.counts.push((key, n));
                }
            }
            (Role::Entry(_), "index") => self.index = number(),
            (Role::Entry(_) | Role::Fault, "message") | (Role::Entry(_), "error") => self.message = text.into_owned(),
            (Role::List(list), _) => {
                self.index = number();
                self.message.clear();
                self.entry(list, sink)?;
            }
            _ => {}
        }
        self.after();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
