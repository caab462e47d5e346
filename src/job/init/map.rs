//! The `map` of a new job file, proposed from names and values of columns.

use super::kind::{Kind, identifiers, kind};
use super::sample::{Column, Sample};
use super::yaml::{Lines, scalar, shown};

/// Maximum number of columns that are listed as left out.
const MAX_LEFT_OUT: usize = 20;
/// Maximum number of characters of the name of an attribute.
const MAX_ATTRIBUTE: usize = 100;

/// A proposed map.
pub(super) struct Map<'a> {
    sample: &'a Sample,
    /// The column that identifies the person.
    identifier: &'a Column,
    /// Others that may do so.
    others: Vec<String>,
    pub(super) choices: Vec<String>,
}

impl<'a> Map<'a> {
    /// Chooses the identifier; `None` if there is no column.
    pub(super) fn new(sample: &'a Sample, platform: &str) -> Option<Map<'a>> {
        let mut found = identifiers(&sample.columns);
        let is_address = |column: &&Column| matches!(kind(column), Kind::Email | Kind::Hash(_));
        // these two know people by their addresses
        if matches!(platform, "yesmail" | "mediarithmics") {
            let addresses: Vec<&Column> = sample.columns.iter().filter(is_address).collect();
            found.retain(|column| !addresses.iter().any(|address| address.name == column.name));
            found.splice(0..0, addresses);
        }
        let mut found = found.into_iter();
        let identifier = found.next().or(sample.columns.first())?;
        let others = found.map(|column| shown(&column.name)).take(3).collect();
        Some(Map { sample, identifier, others, choices: sample.choices.clone() })
    }

    /// Writes a condition that leaves rows without an identifier out, if the sample has some.
    pub(super) fn conditions(&self, lines: &mut Lines) {
        if self.identifier.empty > 0 {
            lines.add("where:", "the other rows are counted as filtered");
            lines.add(&format!("  - {{ column: {}, empty: false }}", scalar(&self.identifier.name)), "");
        }
    }

    /// Writes `map`.
    pub(super) fn write(&mut self, lines: &mut Lines, platform: &str) {
        if !self.others.is_empty() {
            self.choices.push(format!(
                "the identifier is the column {}; others are {}",
                shown(&self.identifier.name),
                self.others.join(", ")
            ));
        }
        lines.add("map:", "");
        for (name, reason) in self.sample.left_out.iter().take(MAX_LEFT_OUT) {
            lines.note(
                "  ",
                &format!("left out: {}: {reason}", if name.is_empty() { "a column".to_owned() } else { shown(name) }),
            );
        }
        if let more @ 1.. = self.sample.left_out.len().saturating_sub(MAX_LEFT_OUT) {
            lines.note("  ", &format!("left out: {more} more columns, for such reasons"));
        }
        match platform {
            "clevertap" => self.single(lines, "identity", "the user's identity in CleverTap"),
            "localytics-audience" => self.single(lines, "customer_id", "the customer id in Localytics"),
            "localytics-profiles" => self.profiles(lines),
            "mediarithmics" => self.segment(lines),
            _ => self.members(lines),
        }
    }

    fn choose(&self, lines: &mut Lines) {
        if !self.others.is_empty() {
            lines.choose("  ", &format!("is it this column, or {}?", self.others.join(", ")));
        }
    }

    fn single(&self, lines: &mut Lines, key: &str, comment: &str) {
        self.choose(lines);
        lines.add(&format!("  {key}: {}", scalar(&self.identifier.name)), comment);
    }

    fn rest(&self) -> impl Iterator<Item = &'a Column> {
        let identifier = &self.identifier.name;
        self.sample.columns.iter().filter(move |column| column.name != *identifier)
    }

    fn profiles(&mut self, lines: &mut Lines) {
        self.single(lines, "customer_id", "the customer id in Localytics");
        lines.add("  changes:", "one for each attribute; delete those that you do not want to send");
        let mut choices = Vec::new();
        let mut names = Names::default();
        for column in self.rest() {
            let attr = names.unique(&column.name);
            self.change(lines, column, &attr, &mut choices);
        }
        if names.0.is_empty() {
            choices.push("the attributes to change: the source has no other column".to_owned());
            lines.choose("    ", "the attribute to change");
            lines.add("    - { op: assign, attr: listed, value: \"true\" }", "");
        }
        self.choices.extend(choices);
    }

    fn change(&self, lines: &mut Lines, column: &Column, attr: &str, choices: &mut Vec<String>) {
        let (name, attr) = (scalar(&column.name), scalar(attr));
        let missing = if self.sample.format == "ndjson" { ", missing: empty" } else { "" };
        let (op, more, comment) = match kind(column) {
            Kind::Integer => ("assign", ", type: integer".to_owned(), "whole numbers"),
            // Localytics documents no decimal values
            Kind::Decimal => ("assign", String::new(), "numbers, sent as texts"),
            Kind::Day(format) => ("assign", dated(format), "days"),
            Kind::DayOrMonth => {
                choices.push(format!(
                    "{}: is the first number the day (%d/%m/%Y) or the month (%m/%d/%Y)?",
                    shown(&column.name)
                ));
                lines.choose("    ", "%d/%m/%Y or %m/%d/%Y");
                ("assign", dated("%d/%m/%Y"), "days")
            }
            Kind::List(separator) => {
                choices.push(format!("{}: does {separator:?} separate several values?", shown(&column.name)));
                lines.choose("    ", "several values in a cell, or one text (leave split out)");
                ("set-add", format!(", split: {}", scalar(separator)), "several texts")
            }
            Kind::Array => ("set-add", String::new(), "several texts"),
            Kind::Email => ("assign", ", apply: [trim]".to_owned(), "e-mail addresses"),
            Kind::Hash(name) => ("assign", String::new(), name),
            Kind::Boolean | Kind::Time | Kind::Text => ("assign", String::new(), ""),
        };
        lines.add(&format!("    - {{ op: {op}, attr: {attr}, column: {name}{more}{missing} }}"), comment);
    }

    fn segment(&mut self, lines: &mut Lines) {
        lines.add("  operation: { value: UPDATE }", "UPDATE adds the user to the segment, DELETE removes");
        self.choose(lines);
        let name = scalar(&self.identifier.name);
        match kind(self.identifier) {
            Kind::Email => {
                self.choices.push("email_hash must be the datamart's own hash of the address".to_owned());
                lines.choose("  ", "the datamart's own hash of the address");
                lines.add(&format!("  email_hash: {{ column: {name}, apply: [trim, lower, sha256] }}"), "the user");
            }
            Kind::Hash(_) => {
                lines.add(&format!("  email_hash: {name}"), "the user, by the datamart's hash of the address")
            }
            _ => lines.add(&format!("  user_account_id: {name}"), "the user"),
        }
        self.choices.push("segment_id: the id of the segment".to_owned());
        lines.choose("  ", "the id of the segment");
        lines.add("  segment_id: { value: \"0\" }", "as the console shows it");
        lines.add("  expiration_duration: { value: 0 }", "minutes until the user leaves the segment; 0: never");
    }

    fn members(&mut self, lines: &mut Lines) {
        self.choose(lines);
        let is_email = kind(self.identifier) == Kind::Email;
        let apply = if is_email { "[trim, lower]" } else { "[trim]" };
        lines.add(&format!("  id: {{ column: {}, apply: {apply} }}", scalar(&self.identifier.name)), "the member");
        self.choices.push("the keys of map must be the columns of the target list".to_owned());
        lines.choose("  ", "the keys below must be the columns of the target list");
        let mut names = Names(vec!["id".to_owned()]);
        for column in self.rest() {
            let (key, name) = (scalar(&names.unique(&column.name)), scalar(&column.name));
            let join = if column.is_list { ", apply: [{ join: \"|\" }]" } else { "" };
            let missing = if self.sample.format == "ndjson" { ", missing: empty" } else { "" };
            match (join, missing) {
                ("", "") => lines.add(&format!("  {key}: {name}"), ""),
                _ => lines.add(&format!("  {key}: {{ column: {name}{join}{missing}, empty: keep }}"), ""),
            }
        }
    }
}

/// The names of attributes given so far.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// Returns a name for a column, with a number if another column has it already.
    fn unique(&mut self, column: &str) -> String {
        let name = attribute(column);
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let unique = names.find(|name| !self.0.contains(name)).unwrap_or(name);
        self.0.push(unique.clone());
        unique
    }
}

fn dated(format: &str) -> String {
    if format == "%Y-%m-%d" { ", type: date".to_owned() } else { format!(", type: date, format: {}", scalar(format)) }
}

/// Returns a column's name as the name of an attribute: lower case, words joined by underscores.
fn attribute(name: &str) -> String {
    let mut out = String::new();
    for c in name.trim_start_matches('/').chars().take(MAX_ATTRIBUTE) {
        match c {
            c if c.is_alphanumeric() => out.extend(c.to_lowercase()),
            _ if out.ends_with('_') || out.is_empty() => {}
            _ => out.push('_'),
        }
    }
    let trimmed = out.trim_end_matches('_');
    if trimmed.is_empty() { "column".to_owned() } else { trimmed.to_owned() }
}
