//! Writes HTML in which no text can be markup: tags are literals of this program, all else is escaped.

use crate::secret::escaped;
use std::fmt::Display;

/// A page that is being written.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup, which must be a literal: a text from elsewhere is never `'static`.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Adds a text, also in a quoted attribute. Characters that a browser or terminal would obey are shown as escapes.
    pub(super) fn text(&mut self, text: &str) -> &mut Html {
        for c in escaped(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Adds a value as text.
    pub(super) fn value(&mut self, value: impl Display) -> &mut Html {
        self.text(&value.to_string())
    }

    /// Adds a text of several lines.
    pub(super) fn lines(&mut self, text: &str) -> &mut Html {
        for line in text.split_inclusive('\n') {
            self.text(line.trim_end_matches('\n')).raw("\n");
        }
        self
    }

    /// Adds another piece of a page.
    pub(super) fn add(&mut self, other: Html) -> &mut Html {
        self.0.push_str(&other.0);
        self
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Formats a duration: `0.4 s`, `3 min 12 s`, `2 h 5 min`.
pub(super) fn took(millis: u64) -> String {
    match millis / 1000 {
        0..10 => format!("{:.1} s", millis as f64 / 1e3),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Begins a text with a capital letter.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_never_markup() {
        let mut html = Html::default();
        html.raw("<p title=\"").text("\"'><script>&\u{202e}\n").raw("\">").lines("a\n<b>").raw("</p>");
        let want = "<p title=\"&quot;&#39;&gt;&lt;script&gt;&amp;\\u{202e}\\n\">a\n&lt;b&gt;\n</p>";
        assert_eq!(html.into_string(), want);
    }

    #[test]
    fn durations_are_short() {
        let want = ["0.0 s", "9.9 s", "59 s", "1 min 1 s", "2 h 5 min"];
        assert_eq!([0, 9_900, 59_999, 61_000, 7_500_000].map(took), want);
    }
}
