//! Findings of the first pass, added up in the order of the source, and the warnings about them.

use super::Counts;
use super::totals::Totals;
use crate::format::Tabular;
use crate::mapping::{Frequent, Plan, Seen, Sight, Sights};
use crate::warning::{Warning, WarningKind};

/// Codes of records that are not valid in their encoding.
const INVALID_UTF8: &str = "invalid_utf8";
const UNDECODABLE: &str = "undecodable";

/// Records with something to count, over all inputs.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    count: u64,
    /// The first of them: its input, and its number there, from 1.
    first: Option<(usize, u64)>,
}

impl Found {
    fn add(&mut self, seen: Seen, totals: &Totals) {
        self.count += seen.count;
        if seen.count > 0 && self.first.is_none() {
            self.first = Some((totals.input, totals.record + seen.first + 1));
        }
    }
}

/// The sums of a pass.
#[derive(Default)]
pub(crate) struct Findings {
    /// Indexed by slot of the plan.
    seen: Vec<[Found; Sight::ALL.len()]>,
    /// Indexed by number of the identifier.
    frequent: Vec<Frequent>,
    /// Number of records examined for them.
    sampled: u64,
    /// The first record that is not valid in its encoding.
    first_invalid: Option<(usize, u64)>,
    /// Number of such records that would be valid in windows-1252.
    western: u64,
}

impl Findings {
    /// Adds the findings of the chunk that starts at `totals`.
    pub(crate) fn add(&mut self, sights: &Sights, totals: &Totals) {
        if self.seen.len() < sights.seen.len() {
            self.seen.resize(sights.seen.len(), Default::default());
        }
        for (found, seen) in self.seen.iter_mut().zip(&sights.seen) {
            found.iter_mut().zip(seen).for_each(|(found, seen)| found.add(*seen, totals));
        }
        self.sampled += sights.sampled;
        for &(identifier, bucket) in &sights.frequent {
            let identifier = usize::from(identifier);
            if self.frequent.len() <= identifier {
                self.frequent.resize_with(identifier + 1, Frequent::default);
            }
            self.frequent[identifier].absorb(bucket);
        }
    }

    /// Records a rejected record: its input, its number there from 1, and its text.
    pub(crate) fn rejected(&mut self, code: &str, place: (usize, u64), text: &[u8]) {
        if matches!(code, INVALID_UTF8 | UNDECODABLE) {
            self.first_invalid.get_or_insert(place);
            // the five bytes that windows-1252 does not have
            let is_western = !text.iter().any(|byte| matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d));
            self.western += u64::from(is_western);
        }
    }

    /// Returns the warnings, sorted by kind.
    pub(crate) fn warnings(&self, plan: &Plan, table: &dyn Tabular, counts: &Counts) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for sight in Sight::ALL {
            for (row, column) in self.seen.iter().zip(plan.watched_columns()) {
                let found = row[sight as usize];
                if found.count > 0 {
                    warnings.push(placed(of_column(sight, found.count, column), found, table));
                }
            }
        }
        for (frequent, column) in self.frequent.iter().zip(plan.identifier_columns()) {
            warnings.extend(frequent_id(frequent.most(), self.sampled, counts.written, column));
        }
        warnings.extend(self.encoding(table, counts));
        warnings.extend(table.warnings());
        warnings
    }

    fn encoding(&self, table: &dyn Tabular, counts: &Counts) -> Option<Warning> {
        let of = |code| counts.reject_reasons.get(code).copied().unwrap_or(0);
        let (invalid, undecodable) = (of(INVALID_UTF8), of(UNDECODABLE));
        let (count, rows) = (invalid + undecodable, counts.read - counts.filtered);
        // single bad rows are handled as rejects
        if count < 3 || count * 100 < rows {
            return None;
        }
        let (text, hint) = if undecodable > 0 {
            let name = table.encoding().name();
            (
                format!("{count} of {rows} rows are not valid {name}"),
                "the whole source may be in another encoding: see source.encoding",
            )
        } else if self.western == count {
            (
                format!("{count} of {rows} rows are not valid UTF-8: the source looks like windows-1252"),
                "set source.encoding: windows-1252, and look at a few names with preview",
            )
        } else {
            (
                format!("{count} of {rows} rows are not valid UTF-8"),
                "the whole source may be in another encoding: see source.encoding",
            )
        };
        let warning = Warning::new(WarningKind::Encoding, text).with_count(count).with_hint(hint);
        Some(placed(warning, Found { count, first: self.first_invalid }, table))
    }
}

fn placed(mut warning: Warning, found: Found, table: &dyn Tabular) -> Warning {
    let Some((input, record)) = found.first else { return warning };
    let inputs = table.source().inputs();
    if inputs.len() > 1
        && let Some(input) = inputs.get(input)
    {
        warning.message.push_str(&format!(" (first in {})", input.name()));
    }
    warning.first_at(record)
}

fn of_column(sight: Sight, n: u64, column: &str) -> Warning {
    let many = |one: &str, more: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {more}") };
    let values = many("value", "values");
    let (s, are) = if n == 1 { ("s", "is") } else { ("", "are") };
    let (kind, text, hint) = match sight {
        Sight::NullMarker => (
            WarningKind::NullMarker,
            format!(
                "{values} of \"{column}\" look{s} like a missing one (NULL, \\N, N/A, nan, None) and {are} sent as text"
            ),
            "empty them in the source, or add { values: { \"NULL\": \"\" }, else: keep } to apply",
        ),
        Sight::Scientific => (
            WarningKind::Scientific,
            format!("{} of \"{column}\" {are} in scientific notation", many("identifier", "identifiers")),
            "a spreadsheet has rounded long numbers: export the column as text",
        ),
        Sight::DecimalId => (
            WarningKind::DecimalId,
            format!("{} of \"{column}\" {are} written with a fraction of zeros", many("identifier", "identifiers")),
            "a data frame has made numbers of them: export the column as text or as whole numbers",
        ),
        Sight::DoubleHash => (
            WarningKind::DoubleHash,
            format!("{values} of \"{column}\" look{s} like a hash already and {are} hashed again"),
            "write { sha256: { unless_hashed: true } } (or md5, sha1), or remove the hash",
        ),
        Sight::Invisible => (
            WarningKind::Invisible,
            format!("{} of \"{column}\" contain{s} invisible characters", many("identifier", "identifiers")),
            "strip_invisible in apply removes them",
        ),
        Sight::TemplateEmptied => (
            WarningKind::TemplateEmptied,
            format!("{} that need{s} \"{column}\" {are} empty because it is", many("template", "templates")),
            "needs: any sends what the other columns have",
        ),
    };
    Warning::new(kind, text).in_column(column).with_count(n).with_hint(hint)
}

/// `most`: a lower bound of how many of the `sampled` rows have the most frequent identifier.
fn frequent_id(most: u64, sampled: u64, written: u64, column: &str) -> Option<Warning> {
    if most < 2 || most.saturating_mul(100) <= sampled {
        return None;
    }
    let text = match sampled == written {
        true => format!("one identifier of \"{column}\" is on at least {most} of {written} rows"),
        false => format!(
            "one identifier of \"{column}\" is on about {:.1} % of the rows: on {most} of {sampled} that were examined",
            100.0 * most as f64 / sampled as f64
        ),
    };
    let hint = "if it is a placeholder for unknown ones, leave such rows out with where";
    Some(Warning::new(WarningKind::FrequentId, text).in_column(column).with_count(most).with_hint(hint))
}
