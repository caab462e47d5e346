//! The one error type of the crate: what went wrong, where, what to do about it.
//!
//! [`Kind`] decides the exit code. A message never holds a secret nor a value from a row; the optional
//! [`Error::with_value`] is shown only where the caller asked for values. Message, hint and place are one line each, with
//! control and bidirectional characters escaped: whoever shows an error need not look into it.

use crate::secret::escaped;
use std::fmt;
use std::time::Duration;

/// Shorthand for results with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Boxed, so that a `Result` stays one word.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    place: Place,
    retry_after: Option<Duration>,
    value: Option<String>,
    answer: Option<serde_json::Value>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// The report of the command that ended with this error; its type lies above this room.
    report: Option<Box<dyn std::any::Any + Send + Sync>>,
}

/// The candidate nearest to `name`, where one is near enough to be meant. For hints.
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

/// The class of an [`Error`]; it decides the exit code and the status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A local fault: disk full, source missing or unreadable, a bug. Exit 1.
    Local,
    /// Usage, job file or environment wrong. Exit 2.
    Usage,
    /// The job is running already, or its state cannot be read. Exit 3.
    Busy,
    /// An earlier run of this job is accepted in part and cannot be continued as things are. Exit 23.
    Blocked,
    /// The data: too many rejects, nothing to send, damaged input, over a known limit. Exit 10.
    Data,
    /// The source is not what pass one measured. Exit 10.
    SourceChanged,
    /// The platform took the file and reports a failed import or failed rows. Exit 11.
    ImportFailed,
    /// The platform refused: a bad name, an unknown list, over its limits. Exit 12.
    Refused,
    /// Passing faults outlasted the attempts, or a quota wait is longer than allowed. Exit 20.
    Transient,
    /// A call that must not be repeated got no answer. Exit 21.
    InDoubt,
    /// Accepted, but no verdict in time. Exit 22.
    Pending,
    /// Credentials or permission refused. Exit 30.
    Credentials,
    /// Stopped by SIGINT. Exit 130.
    Interrupted,
    /// Stopped by SIGTERM. Exit 143.
    Terminated,
}

impl Kind {
    /// The process exit code of this kind.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Local => 1,
            Kind::Usage => 2,
            Kind::Busy => 3,
            Kind::Data | Kind::SourceChanged => 10,
            Kind::ImportFailed => 11,
            Kind::Refused => 12,
            Kind::Transient => 20,
            Kind::InDoubt => 21,
            Kind::Pending => 22,
            Kind::Blocked => 23,
            Kind::Credentials => 30,
            Kind::Interrupted => 130,
            Kind::Terminated => 143,
        }
    }

    /// Returns what an error of this kind makes of a run: the one rule behind exit codes and what the next run does.
    #[must_use]
    pub fn ending(self) -> Ending {
        match self {
            Kind::Usage | Kind::Busy | Kind::Blocked => Ending::NotStarted,
            Kind::Data | Kind::SourceChanged | Kind::ImportFailed | Kind::Refused | Kind::Credentials => Ending::Final,
            Kind::Local | Kind::Transient | Kind::InDoubt | Kind::Pending | Kind::Interrupted | Kind::Terminated => {
                Ending::Resumable
            }
        }
    }

    /// A kind with that exit code; of several the broadest.
    #[must_use]
    pub fn of_exit_code(code: u8) -> Option<Kind> {
        let kinds = [
            Kind::Local,
            Kind::Usage,
            Kind::Busy,
            Kind::Blocked,
            Kind::Data,
            Kind::ImportFailed,
            Kind::Refused,
            Kind::Transient,
            Kind::InDoubt,
            Kind::Pending,
            Kind::Credentials,
            Kind::Interrupted,
            Kind::Terminated,
        ];
        kinds.into_iter().find(|kind| kind.exit_code() == code)
    }

    /// The name used in reports (`error.kind`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Local => "local",
            Kind::Usage => "usage",
            Kind::Busy => "busy",
            Kind::Blocked => "blocked",
            Kind::Data => "data",
            Kind::SourceChanged => "source_changed",
            Kind::ImportFailed => "import_failed",
            Kind::Refused => "refused",
            Kind::Transient => "transient",
            Kind::InDoubt => "in_doubt",
            Kind::Pending => "pending",
            Kind::Credentials => "credentials",
            Kind::Interrupted => "interrupted",
            Kind::Terminated => "terminated",
        }
    }
}

/// What an error makes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The run has ended, unless a part was accepted or is in doubt: then it stays open, since the rest can still be sent.
    Final,
    /// The run stays open if a call may have had an effect: the next run continues it.
    Resumable,
    /// The command did nothing: a run that was open stays as it was.
    NotStarted,
}

/// Where in the source an error lies. Every part is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file as named by the user.
    pub file: Option<String>,
    /// The record, from 1, the header not counted.
    pub record: Option<u64>,
    /// The physical line, from 1, the header counted.
    pub line: Option<u64>,
    /// The byte offset of the record's start, from 0, in the decompressed source.
    pub byte: Option<u64>,
    /// The source column.
    pub column: Option<String>,
}

impl Place {
    /// True where nothing is known.
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
            sep = ": ";
        }
        for (name, n) in [("record", self.record), ("line", self.line), ("byte", self.byte)] {
            if let Some(n) = n {
                write!(f, "{sep}{name} {n}")?;
                sep = ", ";
            }
        }
        if let Some(column) = &self.column {
            write!(f, "{sep}column {column:?}")?;
        }
        Ok(())
    }
}

impl Error {
    /// An error of `kind` that says `message`.
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
            source: None,
            report: None,
        }))
    }

    /// A local fault with its cause.
    #[cold]
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Error {
        Error::new(Kind::Local, format!("{}: {source}", what.into())).with_source(source)
    }

    /// An error of usage, job file or environment.
    #[cold]
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// An error in the data.
    #[cold]
    pub fn data(message: impl Into<String>) -> Error {
        Error::new(Kind::Data, message)
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(safe(hint.into()));
        self
    }

    /// Adds where it lies.
    #[must_use]
    pub fn with_place(mut self, place: Place) -> Error {
        self.0.place = place;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// Adds how long the other side asked to wait.
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

    /// Adds what the platform answered, for `platform_result`.
    #[must_use]
    pub fn with_answer(mut self, answer: serde_json::Value) -> Error {
        self.0.answer = Some(answer);
        self
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

    /// The class.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The same error as another class.
    #[must_use]
    pub fn into_kind(mut self, kind: Kind) -> Error {
        self.0.kind = kind;
        self
    }

    /// The same error with its message, hint and answer rewritten (secrets taken out); its cause and its report are
    /// dropped, for they may say more.
    #[must_use]
    pub fn map_text(mut self, rewrite: impl Fn(&str) -> String) -> Error {
        self.0.message = safe(rewrite(&self.0.message));
        self.0.hint = self.0.hint.map(|hint| safe(rewrite(&hint)));
        if let Some(answer) = &mut self.0.answer {
            map_texts(answer, &rewrite);
        }
        self.0.source = None;
        self.0.report = None;
        self
    }

    /// What the platform answered, if it refused in an answer.
    #[must_use]
    pub fn answer(&self) -> Option<&serde_json::Value> {
        self.0.answer.as_ref()
    }

    /// What was wrong, without place and hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The place, to be completed by a caller that knows more.
    pub fn place_mut(&mut self) -> &mut Place {
        &mut self.0.place
    }

    /// How long the other side asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The value of the row at fault, escaped and cut; for `--show-values` only.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }
}

/// Rewrites all texts in a tree, names included.
fn map_texts(tree: &mut serde_json::Value, rewrite: &impl Fn(&str) -> String) {
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

/// A text as errors keep it.
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
        // a message made without a place may name the file itself
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

#[cfg(test)]
mod tests {
    use super::*;

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
