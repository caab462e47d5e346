//! The description of an origin for job files.

use super::contract::Origin;
use crate::error::{Error, Result};
use crate::settings::{Key, Settings};
use crate::source::SourceOptions;
use serde_json::Value;
use std::sync::Arc;

/// The key of `source` that contains a path or an address.
pub(crate) const PATH: &str = "path";

/// An origin of the job file.
pub(crate) struct Entry {
    /// The key of `source` that selects this origin.
    pub(crate) key: &'static str,
    /// The schemes of `source.path` that select it; empty for an origin that has a key of its own.
    pub(crate) schemes: &'static [&'static str],
    /// Its keys in `source`, with the one that selects it.
    pub(crate) keys: &'static [Key],
    /// Whether it is an [`super::Export`].
    pub(crate) is_export: bool,
    /// Reads its keys from `source`.
    pub(crate) build: fn(&Settings<'_>, &SourceOptions) -> Result<Arc<dyn Origin>>,
}

/// Returns the one of `origins` that `source` selects; `None` if it selects none.
///
/// # Errors
/// `Usage`: it selects two, or the path has an unknown scheme.
pub(crate) fn choose(origins: &'static [Entry], source: &Settings<'_>) -> Result<Option<&'static Entry>> {
    let mut found: Option<&Entry> = None;
    for entry in origins.iter().filter(|entry| source.get(entry.key).is_some()) {
        match found {
            Some(other) if other.key != entry.key => {
                return Err(Error::usage(format!("source has both {} and {}", other.key, entry.key))
                    .with_hint("keep one of them"));
            }
            Some(_) => {}
            None => found = Some(entry),
        }
    }
    let found = match (found, source.get(PATH)) {
        (Some(entry), Some(path)) if entry.key == PATH => by_scheme(origins, path)?.or(found),
        _ => found,
    };
    // options of another origin would have no effect
    for other in origins.iter().filter(|other| other.key == PATH && !found.is_some_and(|found| is_same(found, other))) {
        if let Some(key) = other.keys.iter().find(|key| key.name != PATH && source.get(key.name).is_some()) {
            return Err(Error::usage(format!("source.{} has no effect on this source", key.name))
                .with_hint(format!("it is for {}:// in source.path; leave it out", other.schemes.join(":// and "))));
        }
    }
    Ok(found)
}

/// Returns the origin that the scheme of a path selects; `None` if the path has none.
fn by_scheme(origins: &'static [Entry], path: &Value) -> Result<Option<&'static Entry>> {
    let scheme = match path {
        // a secret is an address
        Value::Object(_) => "https".to_owned(),
        Value::String(path) => match path.split_once("://") {
            Some((scheme, _)) => scheme.to_ascii_lowercase(),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let entry = origins.iter().find(|entry| entry.schemes.contains(&scheme.as_str()));
    entry.map(Some).ok_or_else(|| {
        Error::usage(format!("source.path: {}:// is not yet supported", crate::secret::printable(&scheme)))
            .with_hint("fetch it to a file first, or pipe it into \"-\"")
    })
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    std::ptr::eq(one, other)
}
