//! Identifies which runs belong to the same job, and which are the same run.

use super::config::Config;
use super::env::Env;
use crate::calls::Assume;
use crate::error::Result;
use crate::platform::{Effect, Entry};
use crate::secret::redacted_url;
use crate::settings::{Key, KeyKind, Secrets};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// The identity of a job: its name (or the path of its file) with platform, base_url, account and target, hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobKey(String);

impl JobKey {
    /// Returns the key of a job file; `identity` is account and target.
    pub(crate) fn new(name: &str, platform: &str, base_url: Option<&str>, identity: &[&str]) -> JobKey {
        let mut parts = vec![name, platform, base_url.unwrap_or_default()];
        parts.extend(identity);
        JobKey(hash(&parts))
    }

    /// Returns the hash, as 32 hex digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The sections of a fingerprint, in order.
pub(super) const SECTIONS: [&str; 4] = ["source", "where", "map", "destination"];

/// The intention of a run: its job, target and content.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    /// The job.
    pub(crate) key: JobKey,
    /// The key of the job by the rule of listferry 0.1.0, to find its runs as well.
    pub(crate) old_key: Option<JobKey>,
    /// Its name.
    pub(crate) name: String,
    /// The destination's platform.
    pub(crate) platform: String,
    /// The job file, absolute.
    pub(crate) job_file: Option<PathBuf>,
    /// Overrides without secrets, kept for `resume`.
    pub(crate) overrides: Vec<String>,
    /// Hashes of the keys that shape bytes or calls.
    pub(crate) fingerprint: String,
    /// The fingerprint by the rule of listferry 0.1.0.
    pub(crate) old_fingerprint: String,
    /// Platform, base_url, account and target as written.
    pub(crate) target: Vec<String>,
    /// Whether a name of the destination contains `{date}`.
    pub(crate) dated: bool,
    /// The effect of repeating or reordering its imports.
    pub(crate) effect: Effect,
    /// `--once KEY`.
    pub(crate) once: Option<String>,
    /// `resume --assume`.
    pub(crate) assume: Option<Assume>,
}

impl Intent {
    /// Returns a hash of the target with `{date}` filled in.
    pub(crate) fn target_on(&self, date: &str) -> String {
        let filled: Vec<String> = self.target.iter().map(|part| part.replace("{date}", date)).collect();
        hash(&filled.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

impl Config {
    /// Returns the intention of a run of this job.
    ///
    /// # Errors
    /// `Usage`: a secret of the account is not set.
    pub(crate) fn intent(
        &self,
        file: Option<&Path>,
        overrides: &[String],
        env: &Env,
        effect: Effect,
        secrets: &dyn Secrets,
    ) -> Result<Intent> {
        let destination = self.destination()?;
        let (platform, keys) = (destination.name(), destination.keys());
        let base_url = self.destination.get("base_url").and_then(Value::as_str);
        let (mut identity, mut old) = (Vec::new(), Vec::new());
        if let Some(entry) = destination.entry() {
            identity = self.identity_values(entry, entry.account, secrets)?;
            identity.extend(self.identity_values(entry, entry.target, secrets)?);
            old = self.identity_values(entry, entry.identity_0_1, secrets)?;
        }
        let file_path = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let name = match (&self.given_name, &file_path) {
            (None, Some(path)) => path.to_string_lossy().into_owned(),
            _ => self.name.clone(),
        };
        let mut target = vec![platform.to_owned(), base_url.unwrap_or_default().to_owned()];
        target.extend(identity.iter().cloned());
        let key = JobKey::new(&name, platform, base_url, &identity.iter().map(String::as_str).collect::<Vec<_>>());
        let old_key = JobKey::new(&self.name, platform, base_url, &old.iter().map(String::as_str).collect::<Vec<_>>());
        let tree = |key: &str| self.tree.get(key).cloned().unwrap_or(Value::Null);
        Ok(Intent {
            key,
            old_key: Some(old_key),
            name: self.name.clone(),
            platform: platform.to_owned(),
            job_file: file_path,
            overrides: overrides.to_vec(),
            fingerprint: self.fingerprint(keys),
            old_fingerprint: hash(&[&canonical(&tree("source")), &canonical(&tree("where")), &canonical(&tree("map"))]),
            target,
            dated: holds_date(&Value::Object(self.destination.clone())),
            effect,
            once: env.once.clone(),
            assume: None,
        })
    }

    fn identity_values(&self, entry: &Entry, names: &[&str], secrets: &dyn Secrets) -> Result<Vec<String>> {
        let mut values = Vec::new();
        for name in names {
            let value = self.destination.get(*name).filter(|value| !value.is_null());
            let secret = entry.keys.iter().any(|key| key.name == *name && matches!(key.kind, KeyKind::Secret));
            values.push(match value {
                None => String::new(),
                Some(value) if secret => secrets.resolve(value, &format!("destination.{name}"))?.expose().to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            });
        }
        Ok(values)
    }

    /// Returns hashes of everything that shapes bytes or calls, one for each of [`SECTIONS`]: `source` without
    /// `expect`, `where`, `map`, and `destination` without secrets, queries of URLs and `max_part_bytes` (remaining
    /// parts are cut again).
    fn fingerprint(&self, keys: &[Key]) -> String {
        let mut source = self.tree.get("source").and_then(Value::as_object).cloned().unwrap_or_default();
        source.remove("expect");
        let source = without_secrets(&source, super::keys::SOURCE);
        let mut destination = without_secrets(&self.destination, keys);
        destination.remove("max_part_bytes");
        let tree = |key: &str| self.tree.get(key).cloned().unwrap_or(Value::Null);
        [Value::Object(source), tree("where"), tree("map"), Value::Object(destination)]
            .iter()
            .map(|section| hash(&[&canonical(section)]))
            .collect::<Vec<_>>()
            .join(".")
    }
}

/// Returns a mapping of the job file without the values of secret keys and without the queries of URLs.
pub(super) fn without_secrets(map: &Map<String, Value>, keys: &[Key]) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in map {
        let key = keys.iter().find(|key| key.name == name).or_else(|| keys.iter().find(|key| key.name == "*"));
        let value = match key.map(|key| key.kind) {
            Some(KeyKind::Secret) => continue,
            Some(KeyKind::Object(below)) => match value {
                Value::Object(map) => Value::Object(without_secrets(map, below)),
                other => other.clone(),
            },
            _ => match value {
                Value::String(text) if text.contains("://") => Value::from(redacted_url(text)),
                other => other.clone(),
            },
        };
        kept.insert(name.clone(), value);
    }
    kept
}

fn holds_date(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{date}"),
        Value::Array(items) => items.iter().any(holds_date),
        Value::Object(map) => map.values().any(holds_date),
        _ => false,
    }
}

/// Returns JSON with the keys in the order written (that of `map` is the order of columns); `null` counts as absent.
fn canonical(value: &Value) -> String {
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let kept = map.iter().filter(|(_, value)| !value.is_null());
                Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
            other => other.clone(),
        }
    }
    without_nulls(value).to_string()
}

/// Hashes a list of texts with their lengths, so that different lists have different input.
pub(super) fn hash(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part.as_bytes());
    }
    sha.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
