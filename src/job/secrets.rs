//! Secrets of a job: from the environment, from files, from commands, or (with a warning) literal.

use super::secret_command::output_of;
use crate::error::{Error, Result, nearest};
use crate::secret::{Secret, Taint, printable};
use crate::settings::Secrets;
use crate::warning::{Warning, WarningKind};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Looks up an environment variable.
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Resolves `{ env: NAME }`, `{ file: PATH }`, `{ command: [...] }` and literals.
pub(crate) struct JobSecrets {
    lookup: Lookup,
    folder: PathBuf,
    /// Replaces secrets that are not set: the sandbox accepts any credentials of the right form.
    stand_in: Option<&'static str>,
    /// Learns every secret that was resolved.
    taint: Taint,
    /// Paths of secrets that are written in the job file.
    warned: Mutex<BTreeSet<String>>,
    /// The output of commands, which are run once.
    printed: Mutex<BTreeMap<Vec<String>, Secret>>,
}

impl JobSecrets {
    pub(crate) fn new(lookup: Lookup, folder: &Path, taint: &Taint) -> JobSecrets {
        JobSecrets {
            lookup,
            folder: folder.to_owned(),
            stand_in: None,
            taint: taint.clone(),
            warned: Mutex::default(),
            printed: Mutex::default(),
        }
    }

    /// Resolves secrets that are not set to `stand_in`.
    pub(crate) fn for_sandbox(mut self, stand_in: &'static str) -> JobSecrets {
        self.stand_in = Some(stand_in);
        self
    }

    /// Returns the secret that a command prints, without its last line end.
    fn printed(&self, words: &Value, at: &str) -> Result<String> {
        let words = command(words).ok_or_else(|| wrong_form(at))?;
        // held while the command runs, so that it runs once
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = printed.get(&words) {
            return Ok(known.expose().to_owned());
        }
        let text = without_line_end(&output_of(&words, &self.folder, at)?).to_owned();
        printed.insert(words, Secret::new(&*text));
        Ok(text)
    }

    /// Logs the warnings of [`JobSecrets::literal`], for commands without a report.
    pub(crate) fn log_literal(&self) {
        self.literal().iter().for_each(|warning| tracing::warn!("{}", warning.in_words()));
    }

    /// Returns a warning for each used secret that is written in the job file itself.
    pub(crate) fn literal(&self) -> Vec<Warning> {
        let warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let warning = |at: &String| {
            Warning::new(WarningKind::LiteralSecret, format!("{at} {IS_LITERAL}")).with_hint(KEEP_IT_SECRET)
        };
        warned.iter().map(warning).collect()
    }
}

const IS_LITERAL: &str = "is written in the job file in plain text";
const KEEP_IT_SECRET: &str = "{ env: NAME }, { file: PATH } or { command: [...] } keep it secret";

fn wrong_form(at: &str) -> Error {
    Error::usage(format!(
        "{at} must be {{ env: NAME }}, {{ file: PATH }}, {{ command: [PROGRAM, ARGUMENT, …] }} or a text"
    ))
    .with_hint("secrets belong into the environment or a file")
}

/// Validates the form in which a secret is written, whether or not it can be resolved.
///
/// # Errors
/// `Usage`: the form is invalid. The message does not quote the value, which may be the secret.
pub(super) fn check_form(value: &Value, at: &str) -> Result<()> {
    match value {
        Value::Null | Value::String(_) => Ok(()),
        Value::Number(number) if !number.is_f64() => Ok(()),
        Value::Object(map) => match map.iter().find(|(form, _)| !FORMS.contains(&form.as_str())) {
            Some((form, _)) => {
                let path = format!("{at}.{form}");
                let hint = match nearest(form, FORMS) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("known here: {}", FORMS.join(", ")),
                };
                Err(match is_form_misspelt(form) {
                    true => Error::usage(format!("unknown key \"{}\"", printable(&path))).with_hint(hint),
                    // it may be the secret
                    false => wrong_form(at),
                }
                .with_key(path))
            }
            None if is_reference(map) => Ok(()),
            None => Err(wrong_form(at)),
        },
        _ => Err(wrong_form(at)),
    }
}

/// Whether a key of a secret resembles a known one.
pub(super) fn is_form_misspelt(form: &str) -> bool {
    nearest(form, FORMS).is_some() || FORMS.iter().any(|known| strsim::osa_distance(form, known) <= 1)
}

/// The keys of a secret that is stored elsewhere.
const FORMS: [&str; 3] = ["env", "file", "command"];

/// Whether a mapping says where a secret is: `{ env: NAME }`, `{ file: PATH }` or `{ command: [...] }`.
pub(super) fn is_reference(map: &Map<String, Value>) -> bool {
    map.len() == 1
        && map.iter().all(|(form, value)| match form.as_str() {
            "env" | "file" => value.as_str().is_some_and(|name| !name.is_empty()),
            "command" => command(value).is_some(),
            _ => false,
        })
}

/// Returns the program and its arguments.
fn command(value: &Value) -> Option<Vec<String>> {
    let words = value.as_array()?.iter().map(|word| match word {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    words.collect::<Option<Vec<_>>>().filter(|words| words.first().is_some_and(|program| !program.is_empty()))
}

/// Removes a line end at the end of a text.
fn without_line_end(text: &str) -> &str {
    let end = text.strip_suffix('\n').unwrap_or(text);
    end.strip_suffix('\r').unwrap_or(end)
}

impl Secrets for JobSecrets {
    fn resolve(&self, value: &Value, at: &str) -> Result<Secret> {
        let forms = || wrong_form(at);
        let text = match value {
            Value::String(text) => {
                let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
                warned.insert(at.to_owned());
                text.clone()
            }
            Value::Number(number) if !number.is_f64() => number.to_string(),
            Value::Object(map) if map.len() == 1 => match map.iter().next() {
                Some((form, Value::String(name))) if form == "env" => match ((self.lookup)(name), self.stand_in) {
                    (Some(text), _) if !text.is_empty() => text,
                    (_, Some(stand_in)) => stand_in.to_owned(),
                    _ => {
                        return Err(Error::usage(format!("{at}: the environment variable {name} is not set"))
                            .with_hint(format!("set {name}, or give {{ file: PATH }}")));
                    }
                },
                Some((form, Value::String(path))) if form == "file" => {
                    match (std::fs::read_to_string(self.folder.join(path)), self.stand_in) {
                        (Ok(text), _) => without_line_end(&text).to_owned(),
                        (Err(_), Some(stand_in)) => stand_in.to_owned(),
                        (Err(error), None) => {
                            return Err(Error::usage(format!("{at}: the file {path} cannot be read: {error}"))
                                .with_hint("relative paths are relative to the job file"));
                        }
                    }
                }
                Some((form, words)) if form == "command" => match self.stand_in {
                    Some(stand_in) => stand_in.to_owned(),
                    None => self.printed(words, at)?,
                },
                _ => return Err(forms()),
            },
            _ => return Err(forms()),
        };
        if text.is_empty() {
            return Err(Error::usage(format!("{at} is empty")));
        }
        if text.chars().any(char::is_control) {
            return Err(Error::usage(format!("{at} contains a line end or another control character"))
                .with_hint("a secret is one line"));
        }
        if self.stand_in != Some(text.as_str()) {
            self.taint.add(&text);
        }
        Ok(Secret::new(text))
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secrets() -> JobSecrets {
        JobSecrets::new(
            Arc::new(|name| match name {
                "SET" => Some("s3cret".into()),
                "TWO_LINES" => Some("a\nb".into()),
                "EMPTY" => Some(String::new()),
                _ => None,
            }),
            &std::env::temp_dir(),
            &Taint::default(),
        )
    }

    #[test]
    fn the_variable_that_is_missing_is_named() {
        assert_eq!(secrets().resolve(&json!({"env": "SET"}), "a").unwrap().expose(), "s3cret");
        for name in ["GONE", "EMPTY"] {
            let error = secrets().resolve(&json!({ "env": name }), "destination.passcode").unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Usage);
            assert!(error.message().contains(name) && error.message().contains("destination.passcode"));
        }
        assert_eq!(secrets().for_sandbox("x").resolve(&json!({"env": "GONE"}), "a").unwrap().expose(), "x");
    }

    #[test]
    fn a_secret_of_two_lines_is_refused_and_not_shown() {
        let error = secrets().resolve(&json!({"env": "TWO_LINES"}), "a").unwrap_err();
        assert!(!format!("{error:?}").contains("a\nb"));
        assert!(secrets().resolve(&json!({"env": "A", "file": "B"}), "a").is_err());
        assert!(secrets().resolve(&json!(true), "a").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_command_is_run_once_and_not_for_the_sandbox() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = || JobSecrets::new(Arc::new(|_| None), dir.path(), &Taint::default());
        let log = dir.path().join("log");
        let script = format!("echo x >> '{}'; printf 'tok en\\r\\n'", log.display());
        let command = json!({"command": ["sh", "-c", script]});
        let own = secrets();
        for at in ["a", "b"] {
            assert_eq!(own.resolve(&command, at).unwrap().expose(), "tok en");
        }
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "x\n");
        assert_eq!(secrets().for_sandbox("y").resolve(&command, "a").unwrap().expose(), "y");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "x\n");
        for (script, said) in
            [("printf ''", "a is empty"), ("printf 'a\\nb'", "a contains a line end or another control")]
        {
            let error = secrets().resolve(&json!({"command": ["sh", "-c", script]}), "a").unwrap_err();
            assert!(error.message().starts_with(said), "{error}");
        }
        for words in [json!([]), json!("printf x"), json!([""]), json!([["x"]]), json!(null)] {
            let command = json!({ "command": words });
            assert!(check_form(&command, "a").is_err() && secrets().resolve(&command, "a").is_err(), "{words}");
        }
        assert!(check_form(&json!({"command": ["op", "read", 7]}), "a").is_ok());
    }

    #[test]
    fn a_file_loses_its_last_line_end() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), "tok en\r\n").unwrap();
        let secrets = JobSecrets::new(Arc::new(|_| None), dir.path(), &Taint::default());
        assert_eq!(secrets.resolve(&json!({"file": "key"}), "a").unwrap().expose(), "tok en");
        assert_eq!(secrets.resolve(&json!({"file": "gone"}), "a").unwrap_err().kind(), crate::Kind::Usage);
        assert_eq!(secrets.resolve(&json!("literal"), "a").unwrap().expose(), "literal");
    }
}
