//! Columns by name, and what to say where there is none of that name.

use super::shape::{Field, Shape, Unit};
use super::spec::{Condition, From, TemplatePart, ValueSpec};
use crate::error::{Error, Place, Result, nearest};
use crate::reader::{listed, shown};

/// The names of the source's columns.
pub(super) struct Columns<'a> {
    pub(super) names: &'a [String],
    /// Whether errors may tell them: a first line that is no header has somebody's data in it.
    pub(super) told: bool,
}

impl Columns<'_> {
    /// The index of a column by name. The place of an error has the column; the file is for who knows it.
    pub(super) fn index(&self, name: &str, at: &str, constants: &[&str], bare: bool) -> Result<usize> {
        let mut found = self.names.iter().enumerate().filter(|(_, column)| *column == name).map(|(i, _)| i);
        let wrong = |why: &str| {
            let place = Place { column: Some(name.to_owned()), ..Place::default() };
            Error::usage(format!("{at} names it, but the header has {why}")).with_place(place)
        };
        match (found.next(), found.next()) {
            (Some(index), None) => Ok(index),
            (Some(_), Some(_)) => {
                Err(wrong("it twice").with_hint("rename one of them in the source: it is not clear which one is meant"))
            }
            (None, _) => {
                let near = nearest(name, self.names.iter().map(String::as_str));
                let constant = constants.iter().find(|constant| bare && constant.eq_ignore_ascii_case(name));
                let hint = if let Some(constant) = constant {
                    format!("for the constant, write {{ value: {constant} }}")
                } else if let Some(delimiter) = self.delimiter(name) {
                    format!("the first line is one cell; it has the column with source.csv.delimiter: {delimiter:?}")
                } else if !self.told {
                    // what stands there may be somebody's data
                    let alike = near.filter(|near| is_misspelt(near, name));
                    let alike = alike.map(|near| format!("did you mean \"{}\"? ", shown(near))).unwrap_or_default();
                    format!(
                        "{alike}the first line has {} columns and none that the job names: if it is no header, see \
                         source.csv.header; --show-values shows it",
                        self.names.len()
                    )
                } else {
                    let listed = listed(self.names);
                    match near {
                        Some(near) => format!("did you mean \"{}\"? The header has: {listed}", shown(near)),
                        None => format!("the header has: {listed}"),
                    }
                };
                Err(wrong("no such column").with_hint(hint))
            }
        }
    }

    /// Where the header is one cell: what it would have to be split at to have the column.
    fn delimiter(&self, name: &str) -> Option<char> {
        let [cell] = self.names else { return None };
        ['\t', ';', '|', ','].into_iter().find(|at| cell.contains(*at) && cell.split(*at).any(|part| part == name))
    }
}

/// The columns that the job names.
pub(super) fn wanted<'s>(shape: &'s Shape, conditions: &'s [Condition]) -> impl Iterator<Item = &'s str> {
    let (units, cells): (Vec<&Unit>, &[Field]) = match shape {
        Shape::Json(json) => (json.lead.iter().chain(&json.units).collect(), &[]),
        Shape::Delimited(cells) => (Vec::new(), &cells.fields),
    };
    let fields = units.into_iter().filter_map(|unit| unit.field.as_ref()).chain(cells);
    let named = fields.flat_map(|field| {
        let mut names = Vec::new();
        name(&field.value, &mut names);
        names
    });
    named.chain(conditions.iter().map(|condition| condition.column.as_str()))
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

/// Whether a cell is surely the name, misspelt: a letter or two in other case, other punctuation.
fn is_misspelt(cell: &str, name: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().take(100).filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let name = letters(name);
    strsim::osa_distance(&letters(cell), &name) <= 1 + name.chars().count() / 8
}
