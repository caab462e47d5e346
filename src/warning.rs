//! What is worth the user's attention although it fails nothing: collected in the report of a command.

use serde::{Deserialize, Serialize};

/// Something that the user should look at. A warning changes neither output nor exit code, unless the job file says so
/// (`warnings.error`).
///
/// ```
/// use listferry::{Warning, WarningKind};
///
/// let warning = Warning::new(WarningKind::NullMarker, "3 values of \"email\" look like a missing value")
///     .in_column("email")
///     .with_count(3)
///     .first_at(17)
///     .with_hint("leave them empty in the source");
/// assert_eq!(warning.kind.name(), "null_marker");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// What was found, for people. Contains no value of a row and no secret.
    pub message: String,
    /// The source column, if it is about one.
    pub column: Option<String>,
    /// How many records, values or rows; `None` if there is nothing to count.
    pub count: Option<u64>,
    /// Number of the first such record in its file, from 1 without the header.
    pub first_record: Option<u64>,
    /// What to do.
    pub hint: Option<String>,
}

/// What a [`Warning`] is about. Stable names for machines: see [`WarningKind::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningKind {
    /// Values that stand for a missing one: `NULL`, `\N`, `N/A`, `nan`, `None`.
    NullMarker,
    /// Identifiers in scientific notation: `4.9E+11`.
    Scientific,
    /// Identifiers that are whole numbers with a fraction of zeros: `12.0`.
    DecimalId,
    /// Values that are hashed although they look like a hash already.
    DoubleHash,
    /// Identifiers with invisible characters.
    Invisible,
    /// One identifier on more than 1 % of the rows.
    FrequentId,
    /// Many rows are not valid UTF-8.
    Encoding,
    /// The header looks as if another delimiter separated its cells.
    Delimiter,
    /// A second byte order mark or header inside a file.
    JoinedFiles,
    /// A mapped key that occurs in no record.
    KeyNeverSeen,
    /// A template that is empty because one of its columns is.
    TemplateEmptied,
    /// The platform gave no counters that can be read.
    NoCounts,
    /// An earlier run was closed in favour of a new one.
    Superseded,
    /// Something that a run left with the platform or on this machine.
    Orphan,
    /// Rows that the platform named and that were not found in the source.
    RowsNotFound,
    /// Zero bytes after the end of compressed data.
    TrailingZeros,
    /// A secret stands in the job file itself.
    LiteralSecret,
    /// Anything else that a step found worth saying.
    #[serde(other)]
    Note,
}

impl WarningKind {
    /// The kinds that the first pass finds: those that `warnings.error` takes.
    pub const OF_FIRST_PASS: [WarningKind; 11] = [
        WarningKind::NullMarker,
        WarningKind::Scientific,
        WarningKind::DecimalId,
        WarningKind::DoubleHash,
        WarningKind::Invisible,
        WarningKind::FrequentId,
        WarningKind::Encoding,
        WarningKind::Delimiter,
        WarningKind::JoinedFiles,
        WarningKind::KeyNeverSeen,
        WarningKind::TemplateEmptied,
    ];

    /// Its name in reports and job files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            WarningKind::NullMarker => "null_marker",
            WarningKind::Scientific => "scientific",
            WarningKind::DecimalId => "decimal_id",
            WarningKind::DoubleHash => "double_hash",
            WarningKind::Invisible => "invisible",
            WarningKind::FrequentId => "frequent_id",
            WarningKind::Encoding => "encoding",
            WarningKind::Delimiter => "delimiter",
            WarningKind::JoinedFiles => "joined_files",
            WarningKind::KeyNeverSeen => "key_never_seen",
            WarningKind::TemplateEmptied => "template_emptied",
            WarningKind::NoCounts => "no_counts",
            WarningKind::Superseded => "superseded",
            WarningKind::Orphan => "orphan",
            WarningKind::RowsNotFound => "rows_not_found",
            WarningKind::TrailingZeros => "trailing_zeros",
            WarningKind::LiteralSecret => "literal_secret",
            WarningKind::Note => "note",
        }
    }
}

impl std::fmt::Display for WarningKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Warning {
    /// A warning of a kind in words.
    #[must_use]
    pub fn new(kind: WarningKind, message: impl Into<String>) -> Warning {
        Warning { kind, message: message.into(), column: None, count: None, first_record: None, hint: None }
    }

    /// Names the source column.
    #[must_use]
    pub fn in_column(mut self, column: impl Into<String>) -> Warning {
        self.column = Some(column.into());
        self
    }

    /// Says how many.
    #[must_use]
    pub fn with_count(mut self, count: u64) -> Warning {
        self.count = Some(count);
        self
    }

    /// Says which record is the first, from 1 without the header.
    #[must_use]
    pub fn first_at(mut self, record: u64) -> Warning {
        self.first_record = Some(record);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Warning {
        self.hint = Some(hint.into());
        self
    }

    /// The text that a journal keeps for a warning: its message if that is all there is, else an object.
    #[must_use]
    pub fn to_note(&self) -> String {
        if *self == Warning::new(WarningKind::Note, self.message.as_str()) && !self.message.starts_with('{') {
            return self.message.clone();
        }
        serde_json::to_string(self).unwrap_or_else(|_| self.message.clone())
    }

    /// The warning that a journal kept as a text.
    #[must_use]
    pub fn from_note(text: &str) -> Warning {
        let object = text.starts_with('{').then(|| serde_json::from_str(text).ok()).flatten();
        object.unwrap_or_else(|| Warning::new(WarningKind::Note, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_warning_is_an_object_with_the_keys_of_the_contract() {
        let warning = Warning::new(WarningKind::TemplateEmptied, "m").in_column("c").with_count(3).first_at(2);
        assert_eq!(
            serde_json::to_string(&warning.with_hint("h")).unwrap(),
            r#"{"kind":"template_emptied","message":"m","column":"c","count":3,"first_record":2,"hint":"h"}"#
        );
        let bare = serde_json::to_value(Warning::new(WarningKind::NoCounts, "m")).unwrap();
        let want = json!({"kind":"no_counts","message":"m","column":null,"count":null,"first_record":null,"hint":null});
        assert_eq!(bare, want);
    }

    #[test]
    fn names_are_those_of_the_object() {
        let all = WarningKind::OF_FIRST_PASS.into_iter().chain([
            WarningKind::NoCounts,
            WarningKind::Superseded,
            WarningKind::Orphan,
            WarningKind::RowsNotFound,
            WarningKind::TrailingZeros,
            WarningKind::LiteralSecret,
            WarningKind::Note,
        ]);
        for kind in all {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        // of a later version
        assert_eq!(serde_json::from_value::<WarningKind>(json!("unheard_of")).unwrap(), WarningKind::Note);
    }

    #[test]
    fn a_journal_gives_a_warning_back_as_it_was() {
        for warning in [
            Warning::new(WarningKind::Note, "the list is there"),
            Warning::new(WarningKind::Note, "{\"kind\":\"orphan\",\"message\":\"not ours\"}"),
            Warning::new(WarningKind::Note, "{odd"),
            Warning::new(WarningKind::NoCounts, "no counters").with_hint("look"),
        ] {
            assert_eq!(Warning::from_note(&warning.to_note()), warning);
        }
        assert_eq!(Warning::new(WarningKind::Note, "plain").to_note(), "plain");
    }
}
