//! Unknown keys: detected on every level, with the nearest known key as hint.

use crate::error::{Error, Result, nearest};
use crate::platform::Entry;
use crate::settings::{Key, KeyKind, NoSecrets, Settings};
use serde_json::{Map, Value};

/// Validates every mapping of the file against the tables of keys, and returns all faults: unknown keys, with the
/// nearest key of their level, or of the whole file with its path; values of another type.
pub(crate) fn check(tree: &Map<String, Value>, entry: Option<&Entry>) -> Vec<Error> {
    let mut faults = Vec::new();
    FileKeys { entry }.level(tree, "", &super::keys::TOP.iter().collect::<Vec<_>>(), &mut faults);
    faults
}

/// The tables of keys, including the platform's.
pub(super) struct FileKeys<'a> {
    pub(super) entry: Option<&'a Entry>,
}

/// Returns the key of this name, or the one for any name.
pub(super) fn known(keys: &[&'static Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name).or_else(|| keys.iter().find(|key| key.name == "*")).copied()
}

impl FileKeys<'_> {
    /// Returns the keys under `path` if it is a mapping whose keys are known.
    pub(super) fn under(&self, path: &str, key: &Key) -> Option<Vec<&'static Key>> {
        match (path, key.kind) {
            ("destination", _) => {
                Some(super::keys::DESTINATION.iter().chain(self.entry.map_or(&[][..], |entry| entry.keys)).collect())
            }
            ("map", _) => self.entry.filter(|e| !e.map_keys.is_empty()).map(|entry| entry.map_keys.iter().collect()),
            (_, KeyKind::Object(keys)) => Some(keys.iter().collect()),
            _ => None,
        }
    }

    fn level(&self, map: &Map<String, Value>, at: &str, keys: &[&'static Key], faults: &mut Vec<Error>) {
        for (name, value) in map {
            let path = join(at, name);
            let Some(key) = known(keys, name) else {
                // an invalid platform makes all of its keys unknown, but only the platform is to blame
                if self.entry.is_some() || at != "destination" && !at.starts_with("destination.") {
                    faults.push(self.unknown(name, at, keys));
                }
                continue;
            };
            match (self.under(&path, key), value) {
                (Some(_), Value::Null) => {}
                (Some(below), Value::Object(map)) => self.level(map, &path, &below, faults),
                (Some(below), _) => {
                    let known: Vec<&str> = below.iter().map(|key| key.name).filter(|name| *name != "*").collect();
                    let error = Error::usage(format!("{path} must be a mapping"));
                    faults.push(error.with_hint(format!("with these keys: {}", known.join(", "))));
                }
                (None, _) if at.starts_with("destination") && super::variables::name(key.kind, value).is_some() => {}
                (None, _) => {
                    faults.extend(fault(map, at, name, key.kind).err());
                    if !matches!(path.as_str(), "map" | "where" | "tests") {
                        variables(value, &path, faults);
                    }
                }
            }
        }
    }

    fn unknown(&self, name: &str, at: &str, keys: &[&'static Key]) -> Error {
        let here = || keys.iter().map(|key| key.name).filter(|name| *name != "*");
        let mut all = Vec::new();
        self.collect("", &super::keys::TOP.iter().collect::<Vec<_>>(), &mut all);
        let depth = |path: &&String| path.matches('.').count();
        let exact = all.iter().filter(|path| path.rsplit('.').next() == Some(name)).min_by_key(depth).cloned();
        let close = nearest(name, here()).filter(|near| strsim::jaro_winkler(name, near) >= 0.9).map(|n| join(at, n));
        let far = || {
            let (_, path) = all
                .iter()
                .map(|path| (strsim::jaro_winkler(name, path.rsplit('.').next().unwrap_or(path)), path))
                .filter(|(score, _)| *score >= 0.85)
                .max_by(|a, b| a.0.total_cmp(&b.0))?;
            Some(path.clone())
        };
        let hint = match close.or(exact).or_else(|| nearest(name, here()).map(|n| join(at, n))).or_else(far) {
            Some(path) if at.is_empty() || path.rsplit_once('.').map_or("", |(level, _)| level) != at => {
                format!("did you mean {path}?")
            }
            Some(path) => format!("did you mean \"{}\"?", path.rsplit('.').next().unwrap_or(&path)),
            None => format!("known here: {}", here().collect::<Vec<_>>().join(", ")),
        };
        let shown = join(&crate::secret::printable(at), &crate::secret::shown_key(name));
        Error::usage(format!("unknown key \"{shown}\"")).with_hint(hint).with_key(join(at, name))
    }

    fn collect(&self, at: &str, keys: &[&'static Key], into: &mut Vec<String>) {
        for key in keys.iter().filter(|key| key.name != "*") {
            let path = join(at, key.name);
            if let Some(below) = self.under(&path, key) {
                into.push(path.clone());
                self.collect(&path, &below, into);
            } else {
                into.push(path);
            }
        }
    }
}

/// Refuses `${NAME}`, which nothing expands.
fn variables(value: &Value, path: &str, faults: &mut Vec<Error>) {
    match value {
        Value::String(text) if text.contains("${") => faults.push(
            Error::usage(format!("{path}: ${{…}} is not expanded in a job file"))
                .with_hint("a secret can be { env: NAME }; for other keys use --set, or a variable LISTFERRY_…"),
        ),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, value)| variables(value, &format!("{path}[{i}]"), faults));
        }
        Value::Object(map) => map.iter().for_each(|(name, value)| variables(value, &join(path, name), faults)),
        _ => {}
    }
}

/// Validates the type of a value.
fn fault(map: &Map<String, Value>, at: &str, name: &str, kind: KeyKind) -> Result<()> {
    let settings = Settings { map, at, secrets: &NoSecrets, folder: std::path::Path::new("") };
    match kind {
        KeyKind::Secret | KeyKind::Url => super::secrets::check_form(&map[name], &join(at, name)),
        KeyKind::Bool => settings.bool_or(name, false).map(drop),
        KeyKind::Integer => settings.opt_integer(name).map(drop),
        KeyKind::Size => settings.opt_size(name).map(drop),
        KeyKind::Duration => settings.opt_duration(name).map(drop),
        KeyKind::OneOf(words) => settings.one_of(name, words).map(drop),
        KeyKind::PathOrUrl if map[name].is_object() => super::secrets::check_form(&map[name], &join(at, name)),
        KeyKind::Text | KeyKind::PathOrUrl | KeyKind::Id => settings.opt_text(name).map(drop),
        KeyKind::Name => settings.check_name(name),
        _ => Ok(()),
    }
}

pub(super) fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEYS: &[Key] =
        &[Key { name: "segment", kind: KeyKind::Text, required: true, default: None, doc: "The list's name." }];
    const MAP: &[Key] = &[Key { name: "identity", kind: KeyKind::Value, required: true, default: None, doc: "Who." }];
    const ENTRY: Entry = Entry {
        name: "testing",
        title: "Test",
        keys: KEYS,
        map_keys: MAP,
        account: &[],
        target: &[],
        identity_0_1: &[],
        build: |_| Err(Error::usage("this entry has keys only")),
    };

    fn hint(tree: Value) -> String {
        let [error] = &check(tree.as_object().unwrap(), Some(&ENTRY))[..] else { panic!("not one fault") };
        assert_eq!(error.kind(), crate::Kind::Usage);
        format!("{}; {}", error.message(), error.hint().unwrap())
    }

    #[test]
    fn the_nearest_key_of_the_same_level_is_named() {
        assert_eq!(hint(json!({"sorce": {}})), "unknown key \"sorce\"; did you mean source?");
        assert_eq!(
            hint(json!({"source": {"csv": {"delimeter": ";"}}})),
            "unknown key \"source.csv.delimeter\"; did you mean \"delimiter\"?"
        );
        assert_eq!(hint(json!({"map": {"identty": "x"}})), "unknown key \"map.identty\"; did you mean \"identity\"?");
    }

    #[test]
    fn a_key_on_the_wrong_level_is_named_with_its_path() {
        assert_eq!(hint(json!({"segment": "x"})), "unknown key \"segment\"; did you mean destination.segment?");
        assert_eq!(
            hint(json!({"source": {"delimiter": ";"}})),
            "unknown key \"source.delimiter\"; did you mean source.csv.delimiter?"
        );
        assert_eq!(hint(json!({"destination": {"wait": 1}})), "unknown key \"destination.wait\"; did you mean wait?");
    }

    #[test]
    fn what_resembles_nothing_gets_the_list() {
        assert!(
            hint(json!({"rejects": {"qqq": 1}}))
                .ends_with("known here: max, max_percent, max_remote, max_unaccounted, file")
        );
    }

    #[test]
    fn known_keys_pass_and_mappings_must_be_mappings() {
        let good =
            json!({"source": {"path": "x", "csv": null}, "destination": {"platform": "testing", "segment": "x"}});
        assert!(check(good.as_object().unwrap(), Some(&ENTRY)).is_empty());
        let bad = json!({"source": "x.csv", "allow_empty": "perhaps", "destination": {"segment": [1]}});
        let faults: Vec<_> = check(bad.as_object().unwrap(), Some(&ENTRY)).iter().map(Error::to_string).collect();
        let want =
            ["source must be a mapping", "allow_empty must be true or false", "destination.segment must be a text"];
        assert_eq!(faults, want);
    }
}
