//! Gives a job a source or a platform of the program.

use super::Job;
use super::config::Config;
use super::own::Own;
use super::source::Source;
use super::written::Node;
use crate::error::Result;
use crate::format::{self, FORMATS, Found};
use crate::origin::{ORIGINS, PATH};
use crate::platform::Platform;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The path of a source that the program gives, as for standard input.
const STREAM: &str = "-";

/// The keys of `source` that remain if a source has its own format.
const ABOUT_NO_FORMAT: [&str; 3] = ["expect", "max_record_bytes", "columns"];

impl Job {
    /// Replaces the source of the job. Its keys for other things than the place, such as `format`, `csv` and `expect`,
    /// still apply, as far as the source does not set them itself.
    ///
    /// # Errors
    /// `Usage`: a key that the source sets is unknown or invalid.
    pub fn with_source(self, source: Source) -> Result<Job> {
        let mut tree = self.config.tree.clone();
        let mut section = match tree.remove("source") {
            Some(Value::Object(section)) => section,
            _ => Map::new(),
        };
        let named = format_by_name(&section)?;
        section.retain(|key, _| match source.has_own_format {
            true => ABOUT_NO_FORMAT.contains(&key.as_str()),
            false => !is_about_the_place(key),
        });
        if source.given.is_some() {
            section.insert(PATH.to_owned(), STREAM.into());
            if let Some(name) = named.filter(|_| !source.has_own_format) {
                section.entry("format").or_insert_with(|| name.into());
            }
        }
        for (key, value) in source.settings {
            merge(&mut section, key, value);
        }
        tree.insert("source".to_owned(), Value::Object(section));
        let old = self.config;
        let config = Config::of_built(Node::of(&Value::Object(tree)), &old.folder, &old.name)?;
        let mut config = config.placed_as(&old);
        (config.own, config.given) = (old.own, source.given);
        Ok(Job { config, ..self })
    }

    /// Sends the list to a platform that the program brings, instead of the job's destination. `map` goes to its
    /// [`Platform::shape`]. `name` is its name in reports, and with the job's name identifies the runs of the job: give
    /// it another name if account or target are others.
    ///
    /// Runs can be continued by the same program only, with [`Job::run`] or [`Job::resume`].
    #[must_use]
    pub fn with_platform(mut self, name: impl Into<String>, platform: impl Platform + 'static) -> Job {
        self.config.own = Some(Own { name: name.into(), platform: Arc::new(platform), can_send: true });
        self
    }
}

/// Returns the format that the name of the job's own source has.
fn format_by_name(section: &Map<String, Value>) -> Result<Option<&'static str>> {
    let Some(path) = section.get(PATH).and_then(Value::as_str).filter(|_| !section.contains_key("format")) else {
        return Ok(None);
    };
    Ok(match format::find(FORMATS, None, Some(path))? {
        Found::ByName(entry) => Some(entry.name),
        Found::ByContent(_) => None,
    })
}

/// Whether a key of `source` says where the list is.
fn is_about_the_place(key: &str) -> bool {
    ORIGINS.iter().flat_map(|origin| origin.keys).any(|known| known.name == key)
}

/// Sets a key; mappings are merged.
fn merge(into: &mut Map<String, Value>, key: String, value: Value) {
    match (into.get_mut(&key), value) {
        (Some(Value::Object(there)), Value::Object(more)) => {
            more.into_iter().for_each(|(key, value)| merge(there, key, value));
        }
        (_, value) => drop(into.insert(key, value)),
    }
}
