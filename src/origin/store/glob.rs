//! Globs of keys, which mean what they mean for files.

use crate::error::{Error, Result};
use glob::{MatchOptions, Pattern};

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A glob of keys.
pub(super) struct Glob {
    pattern: Pattern,
    /// The folder that contains all keys that match.
    pub(super) prefix: String,
}

impl Glob {
    /// Parses a key; `None` if it is not a glob.
    ///
    /// # Errors
    /// `Usage`: the pattern is not valid.
    pub(super) fn parse(key: &str) -> Result<Option<Glob>> {
        let Some(at) = key.find(['*', '?', '[']) else { return Ok(None) };
        let pattern = Pattern::new(key).map_err(|error| {
            Error::usage(format!("source.path: {} is not a valid glob: {}", crate::secret::printable(key), error.msg))
                .with_hint("in a glob * ? and [ are special; [*] stands for a star")
        })?;
        let prefix = key[..at].rfind('/').map_or("", |slash| &key[..slash]).to_owned();
        Ok(Some(Glob { pattern, prefix }))
    }

    /// Whether a key matches.
    pub(super) fn fits(&self, key: &str) -> bool {
        self.pattern.matches_with(key, OPTIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_of_keys_mean_what_globs_of_files_mean() {
        assert!(Glob::parse("a/list.csv").unwrap().is_none());
        let glob = Glob::parse("a/b/users-*.csv").unwrap().unwrap();
        assert_eq!(glob.prefix, "a/b");
        assert!(glob.fits("a/b/users-1.csv") && !glob.fits("a/b/c/users-1.csv") && !glob.fits("a/b/users-1.csv.gz"));
        let glob = Glob::parse("*.csv").unwrap().unwrap();
        assert!(glob.prefix.is_empty() && glob.fits("x.csv") && !glob.fits(".x.csv") && !glob.fits("a/x.csv"));
        assert!(Glob::parse("a/**/x.csv").unwrap().unwrap().fits("a/b/c/x.csv"));
        assert!(Glob::parse("a/[").is_err());
    }
}
