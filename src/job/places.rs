//! The places of the keys and values of a job file, so that an error names line and column and shows the line.

use super::secrets::is_form_misspelt;
use super::unknown::{FileKeys, join, known};
use super::written::{Item, Read};
use crate::error::{Error, Kind, Place};
use crate::platform::PLATFORMS;
use crate::secret::{has_user_info, redacted_url, shown_key};
use crate::settings::{Key, KeyKind};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};
use std::collections::HashMap;
use std::ops::Range;
use unicode_width::UnicodeWidthStr as _;

/// The longest line that an excerpt shows, in characters.
const MAX_SHOWN: usize = 160;

/// The places of a job file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    file: String,
    text: String,
    spots: HashMap<String, Spot>,
    /// Byte ranges of `text` that may be secrets.
    hidden: Vec<Range<usize>>,
    /// Paths that were set by `--set`.
    sets: Vec<String>,
}

/// The places where a key and its value begin: line and character, from 1.
#[derive(Clone, Copy, Debug)]
struct Spot {
    key: (u64, u64),
    value: (u64, u64),
    is_scalar: bool,
}

impl Spot {
    /// Returns where to point at for an error about the value. A mapping or a list may begin on a line of its own, or
    /// with the key of its first entry.
    fn of_value(self) -> (u64, u64) {
        if self.is_scalar && self.value.0 == self.key.0 { self.value } else { self.key }
    }
}

impl Places {
    /// Collects the places of a file. The tables of keys, among them the platform's, tell what is a secret.
    pub(crate) fn of(read: &Read, text: &str, file: &str) -> Places {
        let platform = read.get("destination").and_then(|destination| destination.get("platform"));
        let platform = platform.and_then(|platform| match platform.item() {
            Item::Scalar(value) => value.as_str(),
            _ => None,
        });
        let entry = PLATFORMS.iter().find(|entry| Some(entry.name) == platform);
        let mut places = Places { file: file.to_owned(), text: text.to_owned(), ..Places::default() };
        let keys = super::keys::TOP.iter().collect::<Vec<_>>();
        places.level(read, "", &FileKeys { entry }, &keys);
        places.hidden.sort_by_key(|range| range.start);
        places
    }

    /// Records that `--set` gave this path another value.
    pub(crate) fn set(&mut self, path: &str) {
        self.sets.push(path.to_owned());
    }

    fn level(&mut self, read: &Read, at: &str, file: &FileKeys<'_>, keys: &[&'static Key]) {
        let Item::Map(map) = read.item() else {
            // not the mapping that was expected, so that any of it may be a secret; a plain path is not
            let is_path = |value: &Value| value.as_str().is_some_and(|text| !text.contains([':', '=', '@', ' ']));
            let is_plain = at == "source" && matches!(read.item(), Item::Scalar(value) if is_path(value));
            return self.below(read, at, !is_plain);
        };
        for (key, value) in map {
            let path = join(at, &key.value);
            self.key(key, &path, value, false);
            match known(keys, &key.value) {
                None => self.below(value, &path, true),
                Some(_) if at.is_empty() && matches!(key.value.as_str(), "map" | "where" | "tests") => {
                    self.below(value, &path, false);
                }
                Some(known) => match (file.under(&path, known), known.kind) {
                    (Some(below), _) => self.level(value, &path, file, &below),
                    (None, KeyKind::Secret | KeyKind::Url) => self.secret(value, &path),
                    (None, KeyKind::PathOrUrl) => {
                        // a path is shown; of an address only what is not secret
                        let is_map = matches!(value.item(), Item::Map(_));
                        self.below(value, &path, is_map && !is_reference(value));
                    }
                    (None, kind) => self.below(value, &path, matches!(kind, KeyKind::Any)),
                },
            }
        }
    }

    /// Collects a key. `hides`: a secret is expected there, so that a key without a value may be the secret.
    fn key(&mut self, key: &Spanned<String>, path: &str, value: &Read, hides: bool) {
        self.spot(path, (key.defined.line(), key.defined.column()), value);
        let is_alone = hides && matches!(value.item(), Item::Scalar(Value::Null));
        if is_alone || shown_key(&key.value) != crate::secret::printable(&key.value) {
            self.hide(&key.defined);
        }
    }

    /// Collects a secret. A key of it that resembles none of ours may be the secret, too.
    fn secret(&mut self, read: &Read, path: &str) {
        self.below(read, path, !is_reference(read));
        if let Item::Map(map) = read.item() {
            let odd = map.iter().filter(|(key, _)| !is_form_misspelt(&key.value));
            odd.for_each(|(key, _)| self.hide(&key.defined));
        }
    }

    /// Hides a scalar; one without a known span hides the whole file.
    fn hide(&mut self, at: &Location) {
        let span = at.span();
        let range = span.byte_offset().zip(span.byte_len()).map(|(start, len)| {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            start..start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX))
        });
        self.hidden.push(range.unwrap_or(0..usize::MAX));
    }

    fn spot(&mut self, path: &str, key: (u64, u64), value: &Read) {
        let is_scalar = matches!(value.item(), Item::Scalar(_));
        let spot = Spot { key, value: (value.location().line(), value.location().column()), is_scalar };
        self.spots.insert(path.to_owned(), spot);
    }

    /// Collects what is below a key without a table of its own. `hides`: its scalars may be secrets.
    fn below(&mut self, read: &Read, path: &str, hides: bool) {
        match read.item() {
            Item::Scalar(value) => {
                let is_address = |text: &str| text.contains("://") || has_user_info(text);
                let is_secret = |text: &str| is_address(text) && redacted_url(text) != text;
                if hides && !value.is_null() || value.as_str().is_some_and(is_secret) {
                    self.hide(read.location());
                }
            }
            Item::List(list) => {
                for (i, value) in list.iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    self.spot(&path, (value.location().line(), value.location().column()), value);
                    self.below(value, &path, hides);
                }
            }
            Item::Map(map) => {
                for (key, value) in map {
                    let path = join(path, &key.value);
                    self.key(key, &path, value, hides);
                    self.below(value, &path, hides);
                }
            }
        }
    }

    /// Returns the line of a key, from 1.
    pub(crate) fn line_of(&self, path: &str) -> Option<u64> {
        self.spots.get(path).map(|spot| spot.key.0)
    }

    /// Adds line, column and excerpt to errors about the job file, and sorts them by place.
    pub(crate) fn place(&self, error: Error) -> Error {
        if error.kind() != Kind::Usage {
            return error;
        }
        let mut placed: Vec<(Option<&str>, Error)> =
            error.parts().into_iter().map(|error| (self.exact(&error), self.placed(error))).collect();
        placed.sort_by_key(|(_, error)| (error.place().line.is_none(), error.place().line, error.place().character));
        // one fault may be found in two ways; the one that was found first has the better words, if it has a hint
        let mut found: Vec<(String, Error)> = Vec::new();
        for (path, error) in placed {
            let fault = path.map_or_else(|| subject(&error).to_owned(), str::to_owned);
            match found.iter_mut().find(|(other, _)| *other == fault) {
                None => found.push((fault, error)),
                Some((_, other)) if other.hint().is_none() => *other = error,
                Some(_) => {}
            }
        }
        let errors = found.into_iter().map(|(_, error)| error).collect();
        Error::joined(errors).unwrap_or_else(|| Error::usage("the job file is invalid"))
    }

    /// Returns the path of the key that an error is about, if the file has that key.
    fn exact(&self, error: &Error) -> Option<&str> {
        let about = error.key().unwrap_or(error.message());
        let path = self.longest(about)?;
        (!about[path.len()..].starts_with(['.', '['])).then_some(path)
    }

    fn longest(&self, about: &str) -> Option<&str> {
        let paths = self.spots.keys().map(String::as_str).filter(|path| begins_with(about, path));
        paths.max_by_key(|path| path.len())
    }

    fn placed(&self, error: Error) -> Error {
        // a job that a program has built has no file
        if !error.place().is_empty() || self.file.is_empty() {
            return error;
        }
        let file = |name: &str| Place { file: Some(name.to_owned()), ..Place::default() };
        let about = error.key().unwrap_or(error.message());
        if let Some(set) = self.sets.iter().filter(|set| begins_with(about, set)).max_by_key(|set| set.len()) {
            return error.with_place(file(&format!("--set {set}")));
        }
        let Some((line, character)) = self.find(about, error.key().is_some()) else {
            return error.with_place(file(&self.file));
        };
        let place = Place { line: Some(line), character: Some(character), ..file(&self.file) };
        let error = error.with_place(place);
        match self.excerpt(line, character) {
            Some(lines) => error.with_excerpt(lines),
            None => error,
        }
    }

    /// Finds the place of the longest path that `about` begins with. What the file does not have is placed where it belongs.
    fn find(&self, about: &str, of_key: bool) -> Option<(u64, u64)> {
        if let Some(path) = self.longest(about) {
            let spot = self.spots[path];
            let more = about[path.len()..].starts_with(['.', '[']);
            if of_key || more {
                return Some(spot.key);
            }
            // of a mapping, the origin of the value, if there is one
            let origins = ["column", "template", "value"].map(|key| self.spots.get(&format!("{path}.{key}")));
            let mut origins = origins.into_iter().flatten();
            return Some(match (origins.next(), origins.next()) {
                (Some(origin), None) if !spot.is_scalar => origin.of_value(),
                _ => spot.of_value(),
            });
        }
        let first = about.split([' ', ':', '.', '[']).next()?;
        super::keys::TOP.iter().any(|key| key.name == first).then_some((1, 1))
    }

    /// Returns the line with its number, and a `^` below the character.
    fn excerpt(&self, line: u64, character: u64) -> Option<String> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let whole = self.text.split('\n').nth(index)?;
        let start = whole.as_ptr() as usize - self.text.as_ptr() as usize;
        let at = usize::try_from(character).ok()?.checked_sub(1)?;
        let at = start + whole.char_indices().nth(at).map_or(whole.len(), |(byte, _)| byte);
        let end = start + without_comment(whole).trim_end_matches(['\r', ' ']).len();
        let (mut shown, mut caret, mut done) = (String::new(), None, start);
        for range in self.hidden.iter().filter(|range| range.start < end && range.end > start) {
            let (from, to) = (range.start.max(start).max(done), range.end.min(end));
            if caret.is_none() && at < from {
                caret = Some(shown.chars().count() + self.text[done..at].chars().count());
            }
            if to <= done {
                continue;
            }
            shown.push_str(&self.text[done..from]);
            if caret.is_none() && at < to {
                caret = Some(shown.chars().count());
            }
            shown.push_str("***");
            done = to;
        }
        let caret = caret.unwrap_or_else(|| shown.chars().count() + self.text[done..at.max(done)].chars().count());
        shown.push_str(&self.text[done..end]);
        Some(lines(line, &shown, caret))
    }
}

/// Returns the excerpt for a text that is not valid YAML: which of it is a secret is not known, so only what precedes
/// the first value of the line is shown.
pub(super) fn excerpt_of_invalid(text: &str, line: u64, character: u64) -> Option<String> {
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let whole = text.split('\n').nth(index)?.trim_end_matches('\r');
    let key = whole.split_once(':').map(|(key, _)| key).filter(|key| {
        key.trim_start_matches([' ', '-']).chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    });
    let shown = match key {
        Some(key) if key.len() + 1 == whole.trim_end().len() => format!("{key}:"),
        Some(key) => format!("{key}: …"),
        None => {
            let indent = whole.len() - whole.trim_start().len();
            format!("{}…", &whole[..indent])
        }
    };
    let caret = usize::try_from(character).ok()?.checked_sub(1)?.min(shown.chars().count().saturating_sub(1));
    Some(lines(line, &shown, caret))
}

/// Returns a line without its comment, which may mention a secret.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return &line[..at],
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

fn lines(line: u64, shown: &str, caret: usize) -> String {
    // of a long line the part around the place
    let skipped = caret.saturating_sub(MAX_SHOWN / 2).min(shown.chars().count().saturating_sub(MAX_SHOWN));
    let cut: String = shown.chars().skip(skipped).take(MAX_SHOWN).map(|c| if c == '\t' { ' ' } else { c }).collect();
    let number = line.to_string();
    // as many cells as the terminal uses for what precedes the character
    let before: String = cut.chars().take(caret - skipped).collect();
    let before = crate::secret::printable(&before).width().max(caret - skipped - before.chars().count());
    let cut = crate::secret::printable(&cut);
    format!("{number} | {cut}\n{:width$} | {:before$}^", "", "", width = number.len())
}

/// Returns the path that an error's message begins with; without one the whole message.
fn subject(error: &Error) -> &str {
    let about = error.key().unwrap_or(error.message());
    let path = about.split([' ', ':']).next().unwrap_or_default();
    if path.contains('.') { path } else { about }
}

/// Returns true if a text begins with a path, and the path's last name ends there.
fn begins_with(text: &str, path: &str) -> bool {
    text.strip_prefix(path).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-'))
}

/// `{ env: NAME }`, `{ file: PATH }` or `{ command: [...] }`.
fn is_reference(read: &Read) -> bool {
    let Item::Map(map) = read.item() else { return false };
    let is_name = |value: &Read| matches!(value.item(), Item::Scalar(value) if value.is_string());
    map.len() == 1
        && map.iter().all(|(form, value)| match form.value.as_str() {
            "env" | "file" => is_name(value),
            "command" => matches!(value.item(), Item::List(_)),
            _ => false,
        })
}
