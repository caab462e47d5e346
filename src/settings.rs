//! Typed access to a mapping of the job file. One table of keys serves reading, the error for an unknown key, and the
//! schema.

use crate::error::{Error, Result, nearest};
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::time::Duration;

/// A key of the job file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Name of the key; `*` allows any further name (columns of a file that the user names).
    pub name: &'static str,
    /// Type of the value.
    pub kind: KeyKind,
    /// Whether the key must be present.
    pub required: bool,
    /// The default as it would be written in the job file, for docs and schema.
    pub default: Option<&'static str>,
    /// Description in one sentence.
    pub doc: &'static str,
}

impl Key {
    /// Creates an entry of a table of keys.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: KeyKind,
        required: bool,
        default: Option<&'static str>,
        doc: &'static str,
    ) -> Key {
        Key { name, kind, required, default, doc }
    }
}

/// Joins tables of keys; `N` is the number of all their keys.
#[cfg(feature = "jobs")]
pub(crate) const fn joined<const N: usize>(tables: &[&[Key]]) -> [Key; N] {
    let mut keys = [Key::new("", KeyKind::Any, false, None, ""); N];
    let (mut table, mut n) = (0, 0);
    while table < tables.len() {
        let mut at = 0;
        while at < tables[table].len() {
            keys[n] = tables[table][at];
            (at, n) = (at + 1, n + 1);
        }
        table += 1;
    }
    assert!(n == N, "not the number of keys");
    keys
}

/// The type of the value of a [`Key`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum KeyKind {
    /// Text.
    Text,
    /// Text in which `{date}` and `{run}` are filled in when the run starts.
    Name,
    /// `{ env: NAME }`, `{ file: PATH }` or a literal.
    Secret,
    /// A literal URL, or a secret that contains one.
    Url,
    /// A path, a literal URL, or a secret that contains a URL.
    PathOrUrl,
    /// A list of texts.
    Texts,
    /// true or false.
    Bool,
    /// A whole number.
    Integer,
    /// Text or a whole number, read as text (for ids).
    Id,
    /// A size in bytes: `95MB`, `8MiB` or a number.
    Size,
    /// A duration: `90s`, `15m`, `2h` or a number of seconds.
    Duration,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A mapping with these keys.
    Object(&'static [Key]),
    /// A number, whole or with a fraction.
    Number,
    /// A value of `map`: a column's name or a mapping with `column`, `value` or `template`.
    Value,
    /// Like `Value`, or the index of a column in a file that is not converted.
    ValueOrIndex,
    /// Anything; validated by the code that reads it.
    Any,
}

/// Resolves `{ env: … }` and `{ file: … }`.
pub trait Secrets: Sync {
    /// Returns the secret that `value` refers to. `at` is the path of its key, for messages.
    ///
    /// # Errors
    /// `Usage`: the secret is not set, its file is unreadable, or `value` has none of the three forms.
    fn resolve(&self, value: &Value, at: &str) -> Result<Secret>;

    /// Returns an environment variable, for settings that other tools take from there, too. None by default.
    fn variable(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}

/// Resolves each secret to an empty text, for commands that need no credentials: `check`, `preview`, `convert`.
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn resolve(&self, _: &Value, _: &str) -> Result<Secret> {
        Ok(Secret::new(""))
    }
}

/// A mapping of the job file, with its path and what is needed to resolve secrets and relative paths.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// The keys.
    pub map: &'a Map<String, Value>,
    /// Path of the mapping: `destination`, `destination.host`; empty for the whole file.
    pub at: &'a str,
    /// Resolves secrets.
    pub secrets: &'a dyn Secrets,
    /// The job file's folder; relative paths are resolved against it.
    pub folder: &'a std::path::Path,
}

impl<'a> Settings<'a> {
    /// Checks the mapping against `keys`: no unknown key and no required key missing; `null` counts as absent.
    /// `platform` and `base_url` are always known in `destination` itself.
    ///
    /// # Errors
    /// `Usage`, with the nearest key as hint. All faults are in the one error: see [`Error::all`].
    pub fn check(&self, keys: &[Key]) -> Result<()> {
        let mut faults = Vec::new();
        for name in self.map.keys() {
            let for_all = self.at == "destination" && matches!(name.as_str(), "platform" | "base_url");
            if !for_all && !keys.iter().any(|key| key.name == name || key.name == "*") {
                let hint = match nearest(name, keys.iter().map(|key| key.name)) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("known keys: {}", keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
                };
                let error = Error::usage(format!("unknown key \"{}\"", self.path(&crate::secret::shown_key(name))));
                faults.push(error.with_hint(hint).with_key(self.path(name)));
            }
        }
        for key in keys.iter().filter(|key| key.required) {
            let missing = self.required(key.name).err();
            faults.extend(missing.map(|error| error.with_hint(format!("{}: {}", key.name, key.doc))));
        }
        Error::joined(faults).map_or(Ok(()), Err)
    }

    /// Returns the value of a key; `null` counts as absent.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    fn required(&self, key: &str) -> Result<&'a Value> {
        self.get(key).ok_or_else(|| {
            Error::usage(format!("{} is required", self.path(key))).with_hint(format!("add {key} to {}", self.at))
        })
    }

    fn wrong(&self, key: &str, want: &str, example: &str) -> Error {
        Error::usage(format!("{} must be {want}", self.path(key))).with_hint(format!("for example {key}: {example}"))
    }

    /// Returns one of the allowed words, or `None` if the key is absent.
    ///
    /// # Errors
    /// `Usage`: another word; the hint has the nearest allowed one.
    pub fn one_of(&self, key: &str, allowed: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(text) = self.opt_text(key)? else { return Ok(None) };
        if let Some(word) = allowed.iter().find(|word| **word == text) {
            return Ok(Some(*word));
        }
        let error = Error::usage(format!("{} must be one of {}", self.path(key), allowed.join(", ")));
        Err(error.with_hint(match nearest(&text, allowed.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("for example {key}: {}", allowed.first().copied().unwrap_or_default()),
        }))
    }

    /// Returns the text of a required key.
    ///
    /// # Errors
    /// `Usage`.
    pub fn text(&self, key: &str) -> Result<String> {
        self.required(key)?;
        Ok(self.opt_text(key)?.unwrap_or_default())
    }

    /// Returns a text, or a whole number as text.
    ///
    /// # Errors
    /// `Usage`: something else.
    pub fn opt_text(&self, key: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
            // a YAML number has already lost the digits of 1.10 and 007
            Some(Value::Number(_)) => Err(self.wrong(key, "a text: write it in quotes", r#""1.10""#)),
            Some(_) => Err(self.wrong(key, "a text", "a few words")),
        }
    }

    /// Validates a name in which only `{date}` and `{run}` are filled in.
    ///
    /// # Errors
    /// `Usage`: another placeholder.
    #[cfg(feature = "jobs")]
    pub(crate) fn check_name(&self, key: &str) -> Result<()> {
        let Some(text) = self.opt_text(key)? else { return Ok(()) };
        // ${NAME} is another fault
        let open = text.match_indices('{').filter(|(at, _)| !text[..*at].ends_with('$'));
        let mut names = open.filter_map(|(at, _)| text[at + 1..].split_once('}')).map(|(name, _)| name);
        let Some(name) = names.find(|name| !matches!(*name, "date" | "run")) else { return Ok(()) };
        let near = nearest(name, ["date", "run"]).unwrap_or("date");
        let message = format!("{}: there is no placeholder {{{}}}", self.path(key), crate::secret::printable(name));
        Err(Error::usage(message).with_hint(format!("did you mean {{{near}}}? Known are {{date}} and {{run}}")))
    }

    /// Returns the secret of a required key.
    ///
    /// # Errors
    /// `Usage`: the key is missing or cannot be resolved.
    pub fn secret(&self, key: &str) -> Result<Secret> {
        self.secrets.resolve(self.required(key)?, &self.path(key))
    }

    /// Returns a secret, if the key is present.
    ///
    /// # Errors
    /// `Usage`: the secret cannot be resolved.
    pub fn opt_secret(&self, key: &str) -> Result<Option<Secret>> {
        self.get(key).map(|value| self.secrets.resolve(value, &self.path(key))).transpose()
    }

    /// Returns true or false, or `default` if the key is absent.
    ///
    /// # Errors
    /// `Usage`.
    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.wrong(key, "true or false", "true")),
        }
    }

    /// Returns a whole number that is not negative.
    ///
    /// # Errors
    /// `Usage`.
    pub fn opt_integer(&self, key: &str) -> Result<Option<u64>> {
        self.get(key).map(|value| value.as_u64().ok_or_else(|| self.wrong(key, "a whole number", "10"))).transpose()
    }

    /// Returns a size in bytes.
    ///
    /// # Errors
    /// `Usage`.
    pub fn opt_size(&self, key: &str) -> Result<Option<u64>> {
        self.get(key)
            .map(|value| size(value).ok_or_else(|| self.wrong(key, "a size like 95MB or 8MiB", "95MB")))
            .transpose()
    }

    /// Returns a duration.
    ///
    /// # Errors
    /// `Usage`.
    pub fn opt_duration(&self, key: &str) -> Result<Option<Duration>> {
        self.get(key)
            .map(|value| duration(value).ok_or_else(|| self.wrong(key, "a duration like 90s, 15m or 2h", "15m")))
            .transpose()
    }

    /// Returns `base_url` if set, otherwise `own`, without a trailing slash.
    ///
    /// # Errors
    /// `Usage`: not an http or https address, or one with user-info, a query or a fragment.
    pub fn base_url(&self, own: &str) -> Result<String> {
        let Some(text) = self.opt_text("base_url")? else { return Ok(own.trim_end_matches('/').to_owned()) };
        let plain = url::Url::parse(&text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !plain {
            let want = "an http or https address without user, query or fragment";
            return Err(self.wrong("base_url", want, "https://127.0.0.1:8080"));
        }
        Ok(text.trim_end_matches('/').to_owned())
    }

    /// Returns a nested mapping.
    ///
    /// # Errors
    /// `Usage`: something else.
    pub fn opt_object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>> {
        self.get(key).map(|value| value.as_object().ok_or_else(|| self.wrong(key, "a mapping", "{ … }"))).transpose()
    }
}

/// Parses a size: `95MB` is 95,000,000, `8MiB` is 8,388,608, a bare number is bytes. The units are B, KB, MB, GB, TB,
/// KiB, MiB, GiB and TiB.
#[must_use]
pub fn size(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => return number.as_u64(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (text[..digits].parse::<f64>().ok()?, text[digits..].trim());
    let factor = match unit {
        "" | "B" => 1u64,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    match text[..digits].parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor),
        Err(_) => Some((number * factor as f64) as u64),
    }
}

/// Formats a number of bytes: `94.9 MB`.
#[must_use]
pub fn size_in_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" }),
        1_000..999_950 => format!("{:.1} kB", bytes as f64 / 1e3),
        999_950..999_950_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Parses a duration: `500ms`, `90s`, `15m`, `2h`, `1d`; a bare number is seconds.
#[must_use]
pub fn duration(value: &Value) -> Option<Duration> {
    let text = match value {
        Value::Number(number) => return number.as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok()),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let factor = match text[digits..].trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(text[..digits].parse::<f64>().ok()? * factor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_base_url_is_an_address_and_holds_no_secret() {
        let read = |value: Value| {
            let map = Map::from_iter([("base_url".to_owned(), value)]);
            let folder = std::path::Path::new("");
            Settings { map: &map, at: "destination", secrets: &NoSecrets, folder }.base_url("https://own.example/")
        };
        assert_eq!(read(Value::Null).unwrap(), "https://own.example");
        assert_eq!(read(json!("http://127.0.0.1:81/")).unwrap(), "http://127.0.0.1:81");
        for bad in ["127.0.0.1:81", "ftp://h", "http://u:hunter2@h", "http://h?k=hunter2", "http://h#f", ""] {
            let error = read(json!(bad)).unwrap_err();
            assert!(
                error.message().contains("destination.base_url") && !error.message().contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!(size(&json!("95MB")), Some(95_000_000));
        assert_eq!(size(&json!("8MiB")), Some(8 << 20));
        assert_eq!(size(&json!("1.5 GB")), Some(1_500_000_000));
        assert_eq!(size(&json!(7)), Some(7));
        assert_eq!(size(&json!("7 parsecs")), None);
        assert_eq!(duration(&json!("15m")), Some(Duration::from_secs(900)));
        assert_eq!(duration(&json!("200ms")), Some(Duration::from_millis(200)));
        assert_eq!(duration(&json!(3)), Some(Duration::from_secs(3)));
        assert_eq!(duration(&json!("soon")), None);
    }
}
