//! The error type of the crate: what went wrong, where, and what to do about it.
//!
//! [`Kind`] decides the exit code. A message contains neither a secret nor a value of a row; a value added by
//! [`Error::with_value`] is shown only if the caller asks for values. Message, hint and place are one line each, with
//! control and bidirectional characters escaped, so they can be printed as they are.

mod kind;

pub use kind::{Ending, Kind};

use crate::secret::escaped;
use std::fmt;
use std::time::Duration;

/// Shorthand for results with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with its place and a hint. Boxed, so that a `Result` stays one word.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    place: Place,
    retry_after: Option<Duration>,
    value: Option<String>,
    answer: Option<serde_json::Value>,
    key: Option<String>,
    excerpt: Option<String>,
    others: Vec<Error>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// The report of the command that ended with this error. Untyped, since `Report` is defined in a room above this
    /// one.
    report: Option<Box<dyn std::any::Any + Send + Sync>>,
}

/// Returns the candidate most similar to `name`, if one is similar enough to suggest in a hint.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The place in the source that an error is about. Every field is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file, as the user named it.
    pub file: Option<String>,
    /// The record number, from 1, not counting the header.
    pub record: Option<u64>,
    /// The physical line number, from 1, counting the header.
    pub line: Option<u64>,
    /// The byte offset of the record's start, from 0, in the decompressed source.
    pub byte: Option<u64>,
    /// The row in a row group, a batch or a sheet, in words: `row group 3, row 17`.
    pub row: Option<String>,
    /// The source column.
    pub column: Option<String>,
    /// The character in the line, from 1; set if `file` and `line` are those of a job file.
    pub character: Option<u64>,
}

impl Place {
    /// Returns true if nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Place::default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sep = "";
        if let Some(file) = &self.file {
            f.write_str(&escaped(file))?;
            if let (Some(line), Some(character)) = (self.line, self.character) {
                return write!(f, ":{line}:{character}");
            }
            sep = ": ";
        }
        for (name, n) in [("record", self.record), ("line", self.line), ("byte", self.byte)] {
            if let Some(n) = n {
                write!(f, "{sep}{name} {n}")?;
                sep = ", ";
            }
        }
        if let Some(row) = &self.row {
            // after the number of the record in brackets, since it says the same
            let (open, close) = if self.record.is_some() { (" (", ")") } else { (sep, "") };
            write!(f, "{open}{}{close}", escaped(row))?;
            sep = ", ";
        }
        if let Some(column) = &self.column {
            write!(f, "{sep}column {column:?}")?;
        }
        Ok(())
    }
}

impl Error {
    /// Creates an error of `kind` with a message.
    #[cold]
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            message: safe(message.into()),
            hint: None,
            place: Place::default(),
            retry_after: None,
            value: None,
            answer: None,
            key: None,
            excerpt: None,
            others: Vec::new(),
            source: None,
            report: None,
        }))
    }

    /// Creates a local error with its cause.
    #[cold]
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Error {
        Error::new(Kind::Local, format!("{}: {source}", what.into())).with_source(source)
    }

    /// Creates an error about usage, job file or environment.
    #[cold]
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// Creates an error about the data.
    #[cold]
    pub fn data(message: impl Into<String>) -> Error {
        Error::new(Kind::Data, message)
    }

    /// Adds a hint: what to do about the error.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(safe(hint.into()));
        self
    }

    /// Sets the place of the error.
    #[must_use]
    pub fn with_place(mut self, place: Place) -> Error {
        self.0.place = place;
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the delay that the server asked for.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Error {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds a value from a row, cut to 32 characters; shown only on request.
    #[must_use]
    pub fn with_value(mut self, value: &str) -> Error {
        self.0.value = Some(value.chars().take(32).collect::<String>().escape_debug().to_string());
        self
    }

    /// Adds the platform's response, for `platform_result`.
    #[must_use]
    pub fn with_answer(mut self, answer: serde_json::Value) -> Error {
        self.0.answer = Some(answer);
        self
    }

    /// Sets the path of the job file's key that the error is about, if the message does not begin with it.
    #[must_use]
    pub(crate) fn with_key(mut self, path: impl Into<String>) -> Error {
        self.0.key = Some(path.into());
        self
    }

    /// Replaces the message.
    #[cfg(feature = "jobs")]
    pub(crate) fn with_message(mut self, message: String) -> Error {
        self.0.message = safe(message);
        self
    }

    /// Returns the path that [`Error::with_key`] set.
    #[cfg(feature = "jobs")]
    pub(crate) fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// Sets the lines of the job file that show the place.
    #[cfg(feature = "jobs")]
    pub(crate) fn with_excerpt(mut self, lines: String) -> Error {
        self.0.excerpt = Some(lines);
        self
    }

    /// Joins errors that were found together into one, whose kind, message and place are those of the first.
    ///
    /// Returns `None` if there are none.
    #[must_use]
    pub(crate) fn joined(errors: Vec<Error>) -> Option<Error> {
        let mut errors = errors.into_iter().flat_map(Error::parts);
        let mut first = errors.next()?;
        first.0.others = errors.collect();
        Some(first)
    }

    /// Collects the values, or all errors of those that failed.
    pub(crate) fn collect<T>(results: impl IntoIterator<Item = Result<T>>) -> Result<Vec<T>> {
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(error) => errors.push(error),
            }
        }
        Error::joined(errors).map_or(Ok(values), Err)
    }

    /// Splits an error into those that [`Error::joined`] joined.
    pub(crate) fn parts(mut self) -> Vec<Error> {
        let others = std::mem::take(&mut self.0.others);
        std::iter::once(self).chain(others).collect()
    }

    /// Returns this error and those that were found together with it, in the order in which they are written.
    pub fn all(&self) -> impl Iterator<Item = &Error> {
        std::iter::once(self).chain(&self.0.others)
    }

    /// Returns the line of the job file that the error is about, and below it a line with a `^` at the place; secrets
    /// are left out. `None` for errors that are not about the text of a job file.
    #[must_use]
    pub fn excerpt(&self) -> Option<&str> {
        self.0.excerpt.as_deref()
    }

    /// Adds the report of the command that ended with this error.
    #[cfg(feature = "jobs")]
    pub(crate) fn with_attached<T: Send + Sync + 'static>(mut self, report: T) -> Error {
        self.0.report = Some(Box::new(report));
        self
    }

    /// Returns what [`Error::with_attached`] added, if it is a `T`.
    #[cfg(feature = "jobs")]
    pub(crate) fn attached<T: 'static>(&self) -> Option<&T> {
        self.0.report.as_ref()?.downcast_ref()
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Returns true if the same command may succeed later without any change; see [`Kind::is_retryable`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }

    /// Returns the same error with another kind.
    #[must_use]
    pub fn into_kind(mut self, kind: Kind) -> Error {
        self.0.kind = kind;
        self
    }

    /// Returns the error with message, hint and response rewritten, to remove secrets. Drops its cause and its report,
    /// since they may contain the original text.
    #[must_use]
    pub fn map_text(self, rewrite: impl Fn(&str) -> String) -> Error {
        self.rewritten(&rewrite)
    }

    fn rewritten(mut self, rewrite: &dyn Fn(&str) -> String) -> Error {
        self.0.message = safe(rewrite(&self.0.message));
        self.0.hint = self.0.hint.map(|hint| safe(rewrite(&hint)));
        self.0.excerpt = self.0.excerpt.map(|lines| rewrite(&lines));
        self.0.others = self.0.others.into_iter().map(|other| other.rewritten(rewrite)).collect();
        if let Some(answer) = &mut self.0.answer {
            map_texts(answer, rewrite);
        }
        self.0.source = None;
        self.0.report = None;
        self
    }

    /// Returns the platform's response, if the platform refused in a response.
    #[must_use]
    pub fn answer(&self) -> Option<&serde_json::Value> {
        self.0.answer.as_ref()
    }

    /// Returns what was wrong, without place and hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what to do, if there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the place of the error.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns the place, so that a caller can complete it.
    pub fn place_mut(&mut self) -> &mut Place {
        &mut self.0.place
    }

    /// Returns the delay that the server asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the row value at fault, escaped and cut; for `--show-values` only.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }
}

/// Collects faults, so that a user learns all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Error>);

impl Faults {
    /// Adds a fault.
    pub(crate) fn add(&mut self, fault: Error) {
        self.0.push(fault);
    }

    /// Returns true if no fault was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value, or adds the fault.
    pub(crate) fn or_none<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|fault| self.add(fault)).ok()
    }

    /// Returns the value, or adds the fault and returns a value that is not used.
    pub(crate) fn or_default<T: Default>(&mut self, result: Result<T>) -> T {
        self.or_none(result).unwrap_or_default()
    }

    /// Returns all faults in one error.
    pub(crate) fn into_error(self) -> Error {
        Error::joined(self.0).unwrap_or_else(|| Error::usage("the settings are invalid"))
    }

    /// Returns `value`, or all faults in one error.
    #[cfg(feature = "upload")]
    pub(crate) fn into_result<T>(self, value: T) -> Result<T> {
        if self.0.is_empty() { Ok(value) } else { Err(self.into_error()) }
    }
}

/// Rewrites all texts in a tree, including the names of object members.
fn map_texts(tree: &mut serde_json::Value, rewrite: &dyn Fn(&str) -> String) {
    match tree {
        serde_json::Value::String(text) => *text = rewrite(text),
        serde_json::Value::Array(elements) => elements.iter_mut().for_each(|element| map_texts(element, rewrite)),
        serde_json::Value::Object(members) => {
            for (name, mut value) in std::mem::take(members) {
                map_texts(&mut value, rewrite);
                members.insert(rewrite(&name), value);
            }
        }
        _ => {}
    }
}

/// Escapes a text in the way errors store it.
fn safe(text: String) -> String {
    match escaped(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(escaped) => escaped,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.0.message.as_str();
        if self.0.place.is_empty() {
            return f.write_str(message);
        }
        // a message built before the place was known may name the file itself
        let file = self.0.place.file.as_deref().map(escaped);
        let named = file.and_then(|file| message.strip_prefix(&*file)?.strip_prefix(": "));
        write!(f, "{}: {}", self.0.place, named.unwrap_or(message))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind.name())?;
        if let Some(hint) = &self.0.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| &**e as &(dyn std::error::Error + 'static))
    }
}

/// Wraps the error. [`std::io::ErrorKind`] is the nearest one, never `Interrupted`, which readers would retry.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            Kind::Usage => ErrorKind::InvalidInput,
            Kind::Data | Kind::SourceChanged => ErrorKind::InvalidData,
            Kind::Credentials => ErrorKind::PermissionDenied,
            _ => ErrorKind::Other,
        };
        std::io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_contains_the_error_and_is_not_retried_by_readers() {
        for (kind, want) in [
            (Kind::Data, std::io::ErrorKind::InvalidData),
            (Kind::Interrupted, std::io::ErrorKind::Other),
            (Kind::Credentials, std::io::ErrorKind::PermissionDenied),
        ] {
            let error = std::io::Error::from(Error::new(kind, "no").with_hint("try"));
            assert_eq!(error.kind(), want);
            let inner = error.downcast::<Error>().unwrap();
            assert_eq!((inner.kind(), inner.hint()), (kind, Some("try")));
        }
    }

    #[test]
    fn what_an_orchestrator_retries_is_what_the_contract_lists() {
        let mut codes: Vec<u8> =
            Kind::ALL.into_iter().filter(|kind| kind.is_retryable()).map(Kind::exit_code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [1, 3, 20, 22, 130, 143]);
    }

    #[test]
    fn an_answer_is_rewritten_with_the_message() {
        let answer = serde_json::json!({"a secret": ["a secret", {"n": 1}], "b": null});
        let error = Error::data("a secret").with_answer(answer).map_text(|text| text.replace("secret", "***"));
        assert_eq!(error.answer(), Some(&serde_json::json!({"a ***": ["a ***", {"n": 1}], "b": null})));
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped_in_every_text() {
        let place = Place {
            file: Some("a\u{202e}.csv\n".to_owned()),
            column: Some("\u{2066}c".to_owned()),
            ..Place::default()
        };
        let error = Error::data("x\u{1b}]0;x\u{7}").with_hint("y\u{9b}\u{202e}").with_place(place);
        let error = error.map_text(|text| format!("{text}\u{7f}"));
        let shown = format!("{error} {error:?} {} {:?}", error.message(), error.hint());
        let want = "a\\u{202e}.csv\\n: column \"\\u{2066}c\": x\\u{1b}]0;x\\u{7}\\u{7f}";
        assert!(shown.starts_with(want), "{shown}");
        assert!(shown.chars().all(|c| !c.is_control() && !('\u{200e}'..='\u{206f}').contains(&c)), "{shown}");
    }

    #[test]
    fn a_file_that_the_message_names_too_is_named_once() {
        let place = Place { file: Some("a.csv.gz".to_owned()), record: Some(7), ..Place::default() };
        let said = |message: &str| Error::data(message).with_place(place.clone()).to_string();
        assert_eq!(said("a.csv.gz: damaged gzip data"), "a.csv.gz: record 7: damaged gzip data");
        assert_eq!(said("a.csv.gz2 is damaged"), "a.csv.gz: record 7: a.csv.gz2 is damaged");
        assert_eq!(said("a quote is open"), "a.csv.gz: record 7: a quote is open");
    }
}
