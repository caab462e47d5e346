//! `{ env: NAME }` as the value of a text key of `destination`: not a secret, but known only where the job runs.

use super::Job;
use super::env::Env;
use super::secrets::Lookup;
use super::unknown::{join, known};
use crate::error::{Error, Faults, Result};
use crate::platform::Entry;
use crate::settings::{Key, KeyKind};
use crate::warning::{Warning, WarningKind};
use serde_json::{Map, Value};

/// The treatment of a variable that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unset {
    /// It is an error.
    Refuse,
    /// A value of a valid form takes its place, since nothing is sent to a platform.
    StandIn,
}

/// The destination with its variables filled in.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) destination: Map<String, Value>,
    /// Path of the key and name of the variable of those that are not set.
    pub(super) unset: Vec<(String, String)>,
}

/// Returns the name of the variable that a text key refers to.
pub(super) fn name(kind: KeyKind, value: &Value) -> Option<&str> {
    let map = value.as_object().filter(|map| map.len() == 1 && is_text(kind))?;
    map.get("env")?.as_str().filter(|name| !name.is_empty())
}

fn is_text(kind: KeyKind) -> bool {
    matches!(kind, KeyKind::Text | KeyKind::Name | KeyKind::Id | KeyKind::OneOf(_))
}

/// Fills in the variables of `destination`.
pub(super) fn fill(destination: &Map<String, Value>, entry: Option<&Entry>, lookup: &Lookup) -> Filled {
    let own = entry.map_or(&[][..], |entry| entry.keys);
    let keys: Vec<&'static Key> = super::keys::DESTINATION.iter().chain(own).collect();
    let mut filled = Filled::default();
    filled.destination = filled.level(destination, "destination", &keys, lookup);
    filled
}

impl Filled {
    fn level(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        keys: &[&'static Key],
        lookup: &Lookup,
    ) -> Map<String, Value> {
        let mut out = Map::new();
        for (key, value) in map {
            let (path, kind) = (join(at, key), known(keys, key).map(|key| key.kind));
            let value = match (kind, value) {
                (Some(KeyKind::Object(below)), Value::Object(map)) => {
                    Value::Object(self.level(map, &path, &below.iter().collect::<Vec<_>>(), lookup))
                }
                (Some(kind), value) => match name(kind, value) {
                    None => value.clone(),
                    Some(name) => match lookup(name).filter(|text| !text.is_empty()) {
                        Some(text) => Value::from(text),
                        None => {
                            self.unset.push((path, name.to_owned()));
                            stand_in(key, kind)
                        }
                    },
                },
                (None, value) => value.clone(),
            };
            out.insert(key.clone(), value);
        }
        out
    }
}

/// Returns a value of a form that every platform accepts for a key of this kind.
fn stand_in(key: &str, kind: KeyKind) -> Value {
    match kind {
        KeyKind::OneOf(words) => words.first().copied().map_or(Value::Null, Value::from),
        KeyKind::Id => Value::from("0"),
        _ if key == "listen" => Value::from("127.0.0.1:0"),
        _ if key == "base_url" || key.ends_with("_uri") || key.ends_with("_url") => Value::Null,
        // some texts have to be addresses
        _ => Value::from("unset@example.com"),
    }
}

impl Job {
    /// Returns the job with the variables of its destination filled in, and a warning for each that is not set and for
    /// each secret whose file is missing.
    ///
    /// # Errors
    /// `Usage`: a variable is not set, unless something may stand in for it.
    pub(super) fn in_environment(&self, env: &Env, unset: Unset) -> Result<(Job, Vec<Warning>)> {
        let filled = fill(&self.config.destination, self.config.entry, &env.variables);
        if unset == Unset::Refuse && !filled.unset.is_empty() {
            let mut faults = Faults::default();
            for (path, name) in &filled.unset {
                let error = Error::usage(format!("{path}: the environment variable {name} is not set"));
                faults.add(error.with_hint(format!("set {name}, or write the value itself")));
            }
            return Err(self.config.placed(faults.into_error()));
        }
        let mut job = self.clone();
        job.config.destination = filled.destination;
        let mut warnings = Vec::new();
        for (path, name) in filled.unset {
            let text = format!("{path}: the environment variable {name} is not set");
            warnings.push(Warning::new(WarningKind::Note, text).with_hint(format!("`run` needs {name}")));
        }
        for (path, file) in self.config.missing_secret_files() {
            let text = format!("{path}: the file {file} is missing");
            warnings.push(Warning::new(WarningKind::Note, text).with_hint("`run` needs this secret"));
        }
        Ok((job, warnings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::PLATFORMS;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn only_text_keys_are_filled_in_on_every_level() {
        let entry = PLATFORMS.iter().find(|entry| entry.name == "yesmail");
        let written = json!({
            "platform": "yesmail", "list": {"env": "LIST"}, "api_key": {"env": "LIST"}, "import_type": {"env": "GONE"},
            "headers": {"env": "LIST"}, "response_uri": {"env": "EMPTY"},
            "host": {"serve": {"listen": {"env": "LISTEN"}, "tls_key": {"file": "x"}}},
        });
        let lookup: Lookup = Arc::new(|name| match name {
            "LIST" => Some("members".to_owned()),
            "LISTEN" => Some("127.0.0.1:0".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        });
        let filled = fill(written.as_object().unwrap(), entry, &lookup);
        let want = json!({
            "platform": "yesmail", "list": "members", "api_key": {"env": "LIST"}, "import_type": "update",
            "headers": {"env": "LIST"}, "response_uri": null,
            "host": {"serve": {"listen": "127.0.0.1:0", "tls_key": {"file": "x"}}},
        });
        assert_eq!(Value::Object(filled.destination), want);
        let unset: Vec<_> = filled.unset.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
        assert_eq!(unset, [("destination.import_type", "GONE"), ("destination.response_uri", "EMPTY")]);
    }
}
