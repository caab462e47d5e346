//! Findings that deserve the user's attention but fail nothing. They are collected in the report of a command.

use serde::{Deserialize, Serialize};

/// Something that the user should look at. A warning changes neither output nor exit code, unless the job file asks for
/// that (`warnings.error`).
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
    /// Kind of the warning.
    pub kind: WarningKind,
    /// Message for people. Contains neither a value of a row nor a secret.
    pub message: String,
    /// The source column, if the warning is about one.
    pub column: Option<String>,
    /// Number of records, values or rows affected; `None` if there is nothing to count.
    pub count: Option<u64>,
    /// Number of the first such record in its file, from 1 without the header.
    pub first_record: Option<u64>,
    /// The hint: what the user should do.
    pub hint: Option<String>,
}

/// The kind of a [`Warning`]. Each has a stable name for machines: see [`WarningKind::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningKind {
    /// Values that mean a missing one: `NULL`, `\N`, `N/A`, `nan`, `None`.
    NullMarker,
    /// Identifiers in scientific notation: `4.9E+11`.
    Scientific,
    /// Identifiers that are whole numbers with a fraction of zeros: `12.0`.
    DecimalId,
    /// Values that are hashed by the map although they look like a hash already.
    DoubleHash,
    /// Identifiers with invisible characters.
    Invisible,
    /// One identifier on more than 1 % of the rows.
    FrequentId,
    /// Many rows are not valid UTF-8.
    Encoding,
    /// The header looks as if its cells were separated by another delimiter.
    Delimiter,
    /// A second byte order mark or header inside a file.
    JoinedFiles,
    /// A mapped key that occurs in no record.
    KeyNeverSeen,
    /// Templates that are empty because one of their columns is.
    TemplateEmptied,
    /// The platform's response contains no readable counters.
    NoCounts,
    /// An earlier run was closed in favour of a new one.
    Superseded,
    /// Something that a run left at the platform or on this machine.
    Orphan,
    /// Rows that the platform reported and that were not found in the source.
    RowsNotFound,
    /// Zero bytes after the end of compressed data.
    TrailingZeros,
    /// A secret is written in the job file itself.
    LiteralSecret,
    /// Any other note of a step.
    #[serde(other)]
    Note,
}

impl WarningKind {
    /// All kinds.
    #[cfg(feature = "jobs")]
    pub(crate) const ALL: [WarningKind; 18] = [
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
        WarningKind::NoCounts,
        WarningKind::Superseded,
        WarningKind::Orphan,
        WarningKind::RowsNotFound,
        WarningKind::TrailingZeros,
        WarningKind::LiteralSecret,
        WarningKind::Note,
    ];

    /// The kinds that the first pass can find; these are valid in `warnings.error`.
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

    /// Returns the name used in reports and job files.
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
    /// Creates a warning.
    #[must_use]
    pub fn new(kind: WarningKind, message: impl Into<String>) -> Warning {
        Warning { kind, message: message.into(), column: None, count: None, first_record: None, hint: None }
    }

    /// The message, and what to do.
    #[must_use]
    pub fn in_words(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}{hint}", self.message)
    }

    /// Sets the source column.
    #[must_use]
    pub fn in_column(mut self, column: impl Into<String>) -> Warning {
        self.column = Some(column.into());
        self
    }

    /// Sets the number of records, values or rows affected.
    #[must_use]
    pub fn with_count(mut self, count: u64) -> Warning {
        self.count = Some(count);
        self
    }

    /// Sets the number of the first such record, from 1 without the header.
    #[must_use]
    pub fn first_at(mut self, record: u64) -> Warning {
        self.first_record = Some(record);
        self
    }

    /// Sets the hint: what to do about the warning.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Warning {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the text stored in a journal: the message alone if nothing else is set, otherwise a JSON object.
    #[must_use]
    pub fn to_note(&self) -> String {
        if *self == Warning::new(WarningKind::Note, self.message.as_str()) && !self.message.starts_with('{') {
            return self.message.clone();
        }
        serde_json::to_string(self).unwrap_or_else(|_| self.message.clone())
    }

    /// Restores a warning from the text stored in a journal.
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
        // a kind of a later version
        assert_eq!(serde_json::from_value::<WarningKind>(json!("unheard_of")).unwrap(), WarningKind::Note);
    }

    #[test]
    fn a_journal_gives_a_warning_back_as_it_was() {
        for warning in [
            Warning::new(WarningKind::Note, "the list exists"),
            Warning::new(WarningKind::Note, "{\"kind\":\"orphan\",\"message\":\"not ours\"}"),
            Warning::new(WarningKind::Note, "{odd"),
            Warning::new(WarningKind::NoCounts, "no counters").with_hint("look"),
        ] {
            assert_eq!(Warning::from_note(&warning.to_note()), warning);
        }
        assert_eq!(Warning::new(WarningKind::Note, "plain").to_note(), "plain");
    }
}
