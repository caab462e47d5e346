//! Values of settings that a program writes in code.

use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The value of a setting, as a job file has it.
///
/// Texts, numbers, truth values, durations, paths and lists of these convert into it. A secret is
/// [`Setting::env`] or [`Setting::file`]: written as a literal text, it is a warning.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting(pub(super) Value);

impl Setting {
    /// Refers to an environment variable, which is read when the job runs.
    #[must_use]
    pub fn env(name: impl Into<String>) -> Setting {
        Setting(json!({ "env": name.into() }))
    }

    /// Refers to a file that contains a secret. It is read when the job runs.
    #[must_use]
    pub fn file(path: impl AsRef<Path>) -> Setting {
        Setting(json!({ "file": path.as_ref().to_string_lossy() }))
    }

    /// Returns a mapping of settings, for keys that have keys of their own.
    #[must_use]
    pub fn map<K: Into<String>, V: Into<Setting>>(settings: impl IntoIterator<Item = (K, V)>) -> Setting {
        let entries = settings.into_iter().map(|(key, value)| (key.into(), value.into().0));
        Setting(Value::Object(entries.collect()))
    }
}

macro_rules! from {
    ($($type:ty => $convert:expr),+ $(,)?) => {
        $(impl From<$type> for Setting {
            fn from(value: $type) -> Setting {
                #[allow(clippy::redundant_closure_call, reason = "one closure for each type")]
                Setting($convert(value))
            }
        })+
    };
}

from! {
    &str => Value::from,
    String => Value::from,
    bool => Value::from,
    u32 => Value::from,
    u64 => Value::from,
    i32 => Value::from,
    usize => Value::from,
    f64 => Value::from,
    char => |c: char| Value::from(c.to_string()),
    &Path => |path: &Path| Value::from(path.to_string_lossy()),
    PathBuf => |path: PathBuf| Value::from(path.to_string_lossy()),
    Duration => |time: Duration| Value::from(format!("{}ms", time.as_millis())),
    Value => |value| value,
}

impl<T: Into<Setting>, const N: usize> From<[T; N]> for Setting {
    fn from(list: [T; N]) -> Setting {
        Setting(list.into_iter().map(|item| item.into().0).collect())
    }
}

impl<T: Into<Setting>> From<Vec<T>> for Setting {
    fn from(list: Vec<T>) -> Setting {
        Setting(list.into_iter().map(|item| item.into().0).collect())
    }
}

/// Sets the value of a key; the path of a key below others has dots.
pub(super) fn set(tree: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(tree.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let below = tree.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if !below.is_object() {
                *below = Value::Object(Map::new());
            }
            if let Value::Object(below) = below {
                set(below, rest, value);
            }
        }
    }
}
