//! Columns by name, and hints for names that do not exist.

use super::shape::{Field, Shape, Unit};
use super::spec::{Condition, From, TemplatePart, ValueSpec};
use crate::error::{Error, Place, Result, nearest};
use crate::row::Columns;

/// Columns of which only the names are known.
pub(super) struct ByName<'a>(pub(super) &'a [String]);

impl Columns for ByName<'_> {
    fn names(&self) -> &[String] {
        self.0
    }

    fn have_lists(&self) -> bool {
        false
    }
}

/// The columns of a source while a plan is compiled.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) columns: &'a dyn Columns,
    /// Whether errors may show the names: a first line that is not a header contains values of the user.
    shown: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(columns: &'a dyn Columns, shape: &Shape, conditions: &[Condition]) -> Names<'a> {
        let is_there = |name: &str| columns.names().iter().any(|column| column == name);
        Names { columns, shown: columns.may_be_shown() || wanted(shape, conditions).any(is_there) }
    }

    /// Checks that every column that the job uses is there.
    ///
    /// # Errors
    /// `Usage`, with all columns that are not, or are there twice.
    pub(super) fn check(&self, shape: &Shape, conditions: &[Condition]) -> Result<()> {
        let of_fields = fields(shape).flat_map(|field| {
            let mut names = Vec::new();
            placed(&field.value, &field.at, &mut names);
            names.into_iter().map(|(name, at, bare)| (name, at, field.rules.constants, bare))
        });
        let of_conditions = conditions.iter().enumerate();
        let of_conditions =
            of_conditions.map(|(i, c)| (c.column.as_str(), format!("where[{i}].column"), &[][..], false));
        let indexes =
            of_fields.chain(of_conditions).map(|(name, at, constants, bare)| self.index(name, &at, constants, bare));
        Error::collect(indexes).map(drop)
    }

    /// Returns the index of a column by name. The place of an error has the column.
    pub(super) fn index(&self, name: &str, at: &str, constants: &[&str], bare: bool) -> Result<usize> {
        let mut found = self.columns.names().iter().enumerate().filter(|(_, column)| *column == name).map(|(i, _)| i);
        let wrong = |why: String| {
            let place = Place { column: Some(name.to_owned()), ..Place::default() };
            Error::usage(format!("{at}: {why}")).with_place(place)
        };
        match (found.next(), found.next()) {
            (Some(index), None) => Ok(index),
            (Some(_), Some(_)) => Err(wrong(format!("there are two columns {name:?}"))
                .with_hint("rename one of them in the source: it is not clear which one is meant")),
            (None, _) => {
                let constant = constants.iter().find(|constant| bare && constant.eq_ignore_ascii_case(name));
                Err(wrong(format!("there is no column {name:?}")).with_hint(match constant {
                    Some(constant) => format!("for the constant, write {{ value: {constant} }}"),
                    None => self.missing(name),
                }))
            }
        }
    }

    /// Returns the hint for a missing column.
    fn missing(&self, name: &str) -> String {
        let names = self.columns.names();
        let near = nearest(name, names.iter().map(String::as_str));
        if let Some(hint) = self.columns.missing(name) {
            return hint;
        }
        if !self.shown {
            // the names may be values of the user
            let alike = near.filter(|near| is_misspelt(near, name));
            let alike = alike.map(|near| format!("did you mean \"{}\"? ", shown(near))).unwrap_or_default();
            let hint = self.columns.all_missing();
            return alike
                + &hint.unwrap_or_else(|| format!("there are {} columns, none of which the job uses", names.len()));
        }
        match near {
            Some(near) => format!("did you mean \"{}\"? The header has: {}", shown(near), listed(names)),
            None => format!("the header has: {}", listed(names)),
        }
    }
}

/// Returns the columns that the job uses.
pub(crate) fn wanted<'s>(shape: &'s Shape, conditions: &'s [Condition]) -> impl Iterator<Item = &'s str> {
    let named = fields(shape).flat_map(|field| {
        let mut names = Vec::new();
        name(&field.value, &mut names);
        names
    });
    named.chain(conditions.iter().map(|condition| condition.column.as_str()))
}

/// Returns the fields in the order written.
fn fields(shape: &Shape) -> impl Iterator<Item = &Field> {
    let (units, cells): (Vec<&Unit>, &[Field]) = match shape {
        Shape::Json(json) => (json.lead.iter().chain(&json.units).collect(), &[]),
        Shape::Delimited(cells) => (Vec::new(), &cells.fields),
    };
    units.into_iter().filter_map(|unit| unit.field.as_ref()).chain(cells)
}

/// Collects the columns of a value with the paths that name them, and whether they are bare names.
fn placed<'s>(value: &'s ValueSpec, at: &str, into: &mut Vec<(&'s str, String, bool)>) {
    match &value.from {
        From::Object(members) => {
            members.iter().for_each(|(key, member)| placed(member, &format!("{at}.object.{key}"), into));
        }
        _ => {
            let mut names = Vec::new();
            name(value, &mut names);
            into.extend(names.into_iter().map(|name| (name, at.to_owned(), value.bare)));
        }
    }
}

fn name<'s>(value: &'s ValueSpec, names: &mut Vec<&'s str>) {
    match &value.from {
        From::Column(name) => names.push(name),
        From::Constant(_) => {}
        From::Template(parts, _) => names.extend(parts.iter().filter_map(|part| match part {
            TemplatePart::Column(name) => Some(name.as_str()),
            TemplatePart::Literal(_) => None,
        })),
        From::Object(members) => members.iter().for_each(|(_, member)| name(member, names)),
    }
}

/// Whether a cell is certainly the name, misspelt: other case, other punctuation.
fn is_misspelt(cell: &str, name: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().take(100).filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let name = letters(name);
    strsim::osa_distance(&letters(cell), &name) <= 1 + name.chars().count() / 8
}

/// Formats a column name for a message: cut, and in quotes with escapes if it could be misread.
fn shown(name: &str) -> String {
    let cut: String = name.chars().take(32).collect();
    let more = if cut.len() < name.len() { "…" } else { "" };
    let plain = !cut.is_empty()
        && cut.trim() == cut
        && cut
            .chars()
            .all(|c| !c.is_control() && !matches!(c, ',' | '"' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'));
    if plain { format!("{cut}{more}") } else { format!("{cut:?}{more}") }
}

/// Lists the first twenty column names for a message.
fn listed(names: &[String]) -> String {
    let more = if names.len() > 20 { ", …" } else { "" };
    names.iter().take(20).map(|name| shown(name)).collect::<Vec<_>>().join(", ") + more
}
