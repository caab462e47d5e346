//! Unknown keys: detected on every level, with the nearest known key as hint.

use crate::error::{Error, Place, Result, nearest};
use crate::platform::Entry;
use crate::settings::{Key, KeyKind};
use serde_json::{Map, Value};

/// Validates every mapping of the file.
///
/// # Errors
/// `Usage`: an unknown key, with the nearest key of its level, or of the whole file with its path; or another value
/// instead of a mapping.
pub(crate) fn check(tree: &Map<String, Value>, entry: Option<&Entry>, file: &str) -> Result<()> {
    let file_keys = FileKeys { entry };
    file_keys.level(tree, "", &super::keys::TOP.iter().collect::<Vec<_>>()).map_err(|error| {
        if error.place().is_empty() {
            return error.with_place(Place { file: Some(file.to_owned()), ..Place::default() });
        }
        error
    })
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

    fn level(&self, map: &Map<String, Value>, at: &str, keys: &[&'static Key]) -> Result<()> {
        for (name, value) in map {
            let path = join(at, name);
            let Some(key) = known(keys, name) else {
                // an invalid platform makes all of its keys unknown, but only the platform is to blame
                if at == "destination" && self.entry.is_none() || at.starts_with("destination.") && self.entry.is_none()
                {
                    continue;
                }
                return Err(self.unknown(name, at, keys));
            };
            if matches!(key.kind, KeyKind::Secret | KeyKind::Url) {
                super::secrets::judge_form(value, &path)?;
            }
            let Some(below) = self.under(&path, key) else { continue };
            match value {
                Value::Null => {}
                Value::Object(map) => self.level(map, &path, &below)?,
                _ => {
                    let known: Vec<&str> = below.iter().map(|key| key.name).filter(|name| *name != "*").collect();
                    return Err(Error::usage(format!("{path} must be a mapping"))
                        .with_hint(format!("with these keys: {}", known.join(", "))));
                }
            }
        }
        Ok(())
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
        let whole = join(at, name);
        Error::usage(format!("unknown key \"{}\"", crate::secret::printable(&whole))).with_hint(hint)
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
        keys: KEYS,
        map_keys: MAP,
        account: &[],
        target: &[],
        identity_0_1: &[],
        build: |_| Err(Error::usage("this entry has keys only")),
    };

    fn hint(tree: Value) -> String {
        let error = check(tree.as_object().unwrap(), Some(&ENTRY), "job.yaml").unwrap_err();
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
        check(good.as_object().unwrap(), Some(&ENTRY), "job.yaml").unwrap();
        let bad = json!({"source": "x.csv"});
        let error = check(bad.as_object().unwrap(), Some(&ENTRY), "job.yaml").unwrap_err();
        assert_eq!(error.to_string(), "job.yaml: source must be a mapping");
    }
}
