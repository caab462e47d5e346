//! The description of an origin for job files.

use super::contract::Origin;
use crate::error::{Error, Result};
use crate::settings::{Key, Settings};
use crate::source::SourceOptions;
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
            _ => found = Some(entry),
        }
    }
    let scheme = source.get(PATH).and_then(|path| path.as_str()?.split_once("://"));
    let (Some(entry), Some((scheme, _))) = (found, scheme) else { return Ok(found) };
    let by_scheme = origins.iter().find(|entry| entry.schemes.contains(&scheme));
    match by_scheme {
        Some(entry) => Ok(Some(entry)),
        None if entry.key == PATH => {
            Err(Error::usage(format!("source.path: {}:// is not yet supported", crate::secret::printable(scheme)))
                .with_hint("fetch it to a file first, or pipe it into \"-\""))
        }
        None => Ok(found),
    }
}
