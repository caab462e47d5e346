//! Writes YAML with comments after its keys.

use crate::secret::{escaped, escaped_json};
use std::fmt::Write;

/// Maximum length of a name in a comment or a message, in bytes.
const MAX_SHOWN_BYTES: usize = 64;
/// The column at which comments begin, if the line is shorter.
const COMMENTS_AT: usize = 44;

/// Returns a text as a YAML scalar: plain if it cannot be read as anything else.
pub(super) fn scalar(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.ends_with(|c: char| c.is_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '));
    let means_other = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if is_word && !means_other.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    quoted(text)
}

/// Returns a text in quotes. All characters that YAML does not allow, or takes for a line end, are escaped.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    escaped_json(&json).replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// Returns a name of the source for a comment or a message: escaped, and cut.
pub(super) fn shown(name: &str) -> String {
    let cut = &name[..name.floor_char_boundary(MAX_SHOWN_BYTES)];
    format!("{}{}", escaped(cut), if cut.len() < name.len() { "…" } else { "" })
}

/// Returns a path: as [`scalar`], but a slash is an ordinary character.
pub(super) fn path(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    if plain && text.starts_with(|c: char| c.is_alphabetic() || c == '/') { text.to_owned() } else { scalar(text) }
}

/// A job file that is being written.
#[derive(Default)]
pub(super) struct Lines(pub(super) String);

impl Lines {
    /// Adds a line; `comment` may be empty.
    pub(super) fn add(&mut self, line: &str, comment: &str) {
        let _ = match comment {
            "" => writeln!(self.0, "{line}"),
            comment => {
                let width = COMMENTS_AT.saturating_sub(line.chars().count()).max(2);
                writeln!(self.0, "{line}{:width$}# {}", "", escaped(comment))
            }
        };
    }

    /// Adds a line of its own for something that the user has to choose.
    pub(super) fn choose(&mut self, indent: &str, what: &str) {
        let _ = writeln!(self.0, "{indent}# choose: {}", escaped(what));
    }

    /// Adds a line of its own for something that the user has to know.
    pub(super) fn note(&mut self, indent: &str, what: &str) {
        let _ = writeln!(self.0, "{indent}# {}", escaped(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_read_back_as_the_same_text() {
        for text in [
            "customer_id",
            "Customer Id",
            "007",
            "yes",
            "NULL",
            "a: b",
            "#x",
            " x",
            "x ",
            "é",
            "it's",
            "\"q\"",
            "a\nb",
            "-",
            "",
            "a#b",
            "{x}",
            "[x",
            "*x",
            "&x",
            "!x",
            "%x",
            "@x",
            "`x",
            "1e5",
            ".5",
            "0x1F",
            "~",
            "true",
            "a,b",
            "日本 語",
            "a\r\n\t\u{b}\u{c}\u{1b}\u{7f}\u{85}\u{9f}\u{2028}\u{2029}\u{feff}\u{202e}\u{fffe}\u{ffff}b",
            "\\\"\\",
            "x\n  y: { z: \"1\" } #",
        ] {
            let yaml = format!("a: {}\nb: {{ c: {} }}", scalar(text), scalar(text));
            let tree = crate::job::yaml::parse(&yaml, "job.yaml").unwrap().read();
            assert_eq!((tree["a"].as_str(), tree["b"]["c"].as_str()), (Some(text), Some(text)), "{yaml}");
        }
        let name = "x\n\r\u{b}\u{c}\u{1b}\u{7f}\u{85}\u{2028}\u{202e}";
        assert_eq!(shown(name), "x\\n\\r\\u{b}\\u{c}\\u{1b}\\u{7f}\\u{85}\\u{2028}\\u{202e}");
        assert_eq!(shown(&"\u{fc}".repeat(40)), format!("{}…", "\u{fc}".repeat(32)));
        assert_eq!((path("lists/a-1.csv").as_str(), path("a b.csv").as_str()), ("lists/a-1.csv", "a b.csv"));
        assert_eq!((path("*.csv").as_str(), path("-").as_str()), ("\"*.csv\"", "\"-\""));
    }
}
