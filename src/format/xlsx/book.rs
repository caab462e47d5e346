//! The workbook: its sheets, its system of dates, and the parts that belong to it.

use super::at::{At, damaged};
use super::foreign::{binary, refuse_other_starts, without_workbook};
use super::options::SheetChoice;
use super::package::Package;
use super::part::PartReader;
use super::serial::Epoch;
use super::styles::Styles;
use super::xml::{Node, Xml, attribute, is_true};
use crate::error::{Error, Result, nearest};
use crate::source::Compression;

/// Maximum number of sheets, and of names in a message.
const MAX_SHEETS: usize = 65_536;
const MAX_LISTED: usize = 20;
/// Maximum length of a text in the parts that describe the workbook.
const LONGEST: usize = 1 << 20;

/// A workbook of which one sheet is read.
pub(super) struct Book {
    package: Package,
    pub(super) epoch: Epoch,
    pub(super) styles: Styles,
    /// Name and number of the sheet.
    pub(super) sheet_name: String,
    pub(super) sheet_number: u64,
    sheet_part: String,
    strings_part: Option<String>,
}

/// A sheet as the workbook lists it.
struct Listed {
    name: String,
    /// Id of the relationship that leads to its part.
    id: String,
}

/// A relationship of a part.
struct Related {
    id: String,
    kind: String,
    target: String,
}

impl Book {
    /// Opens the workbook of an input and finds the sheet.
    ///
    /// # Errors
    /// `Data`: it is not a workbook, or is damaged. `Local`: it cannot be read. `Usage`: it has no such sheet.
    pub(super) fn open(at: At, choice: &SheetChoice) -> Result<Book> {
        let input = at.input();
        if !input.is_plain() {
            return Err(match input.compression() {
                Compression::None => Error::data("an Excel workbook cannot be read from a stream"),
                _ => Error::data("the Excel workbook is compressed as a whole"),
            }
            .with_hint("decompress it to a file first: its parts are compressed already"));
        }
        refuse_other_starts(input)?;
        let package = Package::open(at)?;
        let main = relationships(&package, "")?.into_iter().find(|related| related.is("officeDocument"));
        let Some(main) = main else { return Err(without_workbook(|start| package.has(start))) };
        let main = path("", &main.target);
        if main.ends_with(".bin") {
            return Err(binary());
        }
        let Some(part) = package.part(&main)? else { return Err(without_workbook(|start| package.has(start))) };
        let (sheets, epoch) = sheets(Xml::new(part, LONGEST)?, |start| package.has(start))?;
        let (number, sheet) = choose(&sheets, choice)?;
        let related = relationships(&package, &main)?;
        let Some(target) = related.iter().find(|related| related.id == sheet.id) else {
            return Err(damaged(&format!("the part of the sheet {:?} is not known", sheet.name)));
        };
        if !target.is("worksheet") {
            return Err(Error::usage(format!("the sheet {:?} has no cells: it is a chart or the like", sheet.name))
                .with_key("source.xlsx.sheet")
                .with_hint(listed(&sheets)));
        }
        let of = |kind: &str| related.iter().find(|related| related.is(kind)).map(|found| path(&main, &found.target));
        let styles = match of("styles") {
            // without it dates would be numbers
            Some(name) => Styles::read(Xml::new(package.part(&name)?.ok_or_else(|| missing(&name))?, LONGEST)?)?,
            None => Styles::default(),
        };
        Ok(Book {
            epoch,
            styles,
            sheet_name: sheet.name.clone(),
            sheet_number: number as u64 + 1,
            sheet_part: path(&main, &target.target),
            strings_part: of("sharedStrings"),
            package,
        })
    }

    /// Opens the part of the sheet.
    ///
    /// # Errors
    /// `Data`: it is missing or damaged. `Local`: it cannot be read.
    pub(super) fn sheet(&self) -> Result<PartReader> {
        let part = self.package.part(&self.sheet_part)?;
        part.ok_or_else(|| missing(&self.sheet_part))
    }

    /// Opens the part of the shared strings; `None`: there is none.
    ///
    /// # Errors
    /// As [`Book::sheet`].
    pub(super) fn strings(&self) -> Result<Option<PartReader>> {
        Ok(self.strings_part.as_deref().map(|part| self.package.part(part)).transpose()?.flatten())
    }
}

impl Related {
    /// Returns true if it leads to a part of this kind, in the transitional or the strict form of the format.
    fn is(&self, kind: &str) -> bool {
        self.kind.strip_suffix(kind).is_some_and(|rest| rest.ends_with('/'))
    }
}

/// Returns the relationships of a part; `part` is empty for those of the package.
fn relationships(package: &Package, part: &str) -> Result<Vec<Related>> {
    let (folder, name) = part.rsplit_once('/').map_or(("", part), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    let Some(part) = package.part(&format!("{folder}{slash}_rels/{name}.rels"))? else { return Ok(Vec::new()) };
    let mut xml = Xml::new(part, LONGEST)?;
    let mut found = Vec::new();
    loop {
        match xml.next()? {
            Node::Start(tag) | Node::Empty(tag) if tag.local_name().as_ref() == b"Relationship" => {
                let of = |name: &str| attribute(&tag, name).unwrap_or_default();
                if of("TargetMode") != "External" {
                    found.push(Related { id: of("Id"), kind: of("Type"), target: of("Target") });
                }
            }
            Node::Eof => return Ok(found),
            _ => {}
        }
        if found.len() > MAX_SHEETS {
            return Err(xml.damaged("has too many entries"));
        }
    }
}

fn missing(part: &str) -> Error {
    damaged(&format!("the part {part} is missing"))
}

/// Returns the name of the part that a relationship of `from` leads to.
fn path(from: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let mut steps: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect(),
    };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

/// Reads the sheets and the system of dates.
fn sheets(mut xml: Xml, has: impl Fn(&str) -> bool) -> Result<(Vec<Listed>, Epoch)> {
    let (mut sheets, mut epoch) = (Vec::new(), Epoch::default());
    let mut in_sheets = false;
    let mut is_workbook = false;
    loop {
        match xml.next()? {
            Node::Start(tag) | Node::Empty(tag) => match tag.local_name().as_ref() {
                b"workbook" => is_workbook = true,
                b"sheets" => in_sheets = true,
                b"workbookPr" if attribute(&tag, "date1904").is_some_and(|value| is_true(&value)) => {
                    epoch = Epoch::Of1904;
                }
                b"sheet" if in_sheets => {
                    // `r:id`, whatever its prefix; `sheetId` is something else
                    let (name, id) = (attribute(&tag, "name"), attribute(&tag, "id"));
                    sheets.push(Listed { name: name.unwrap_or_default(), id: id.unwrap_or_default() });
                }
                _ => {}
            },
            Node::End(tag, _) if tag.local_name().as_ref() == b"sheets" => in_sheets = false,
            Node::Eof if !is_workbook => return Err(without_workbook(has)),
            Node::Eof if sheets.is_empty() => return Err(damaged("it has no sheets")),
            Node::Eof => return Ok((sheets, epoch)),
            _ => {}
        }
        if sheets.len() > MAX_SHEETS {
            return Err(xml.damaged("has too many sheets"));
        }
    }
}

/// Finds the sheet of the options.
fn choose<'s>(sheets: &'s [Listed], choice: &SheetChoice) -> Result<(usize, &'s Listed)> {
    let found = match choice {
        SheetChoice::Number(number) => {
            (*number as usize).checked_sub(1).and_then(|at| sheets.get(at).map(|sheet| (at, sheet)))
        }
        SheetChoice::Name(name) => {
            // spreadsheet programs do not allow two names that differ in case only
            let is_same = |sheet: &&Listed| sheet.name.to_lowercase() == name.to_lowercase();
            let exact = sheets.iter().find(|sheet| sheet.name == *name);
            let sheet = exact.or_else(|| sheets.iter().find(is_same));
            sheet.and_then(|sheet| sheets.iter().position(|one| std::ptr::eq(one, sheet)).map(|at| (at, sheet)))
        }
    };
    found.ok_or_else(|| {
        let (what, near) = match choice {
            SheetChoice::Number(number) => (format!("sheet {number}"), None),
            SheetChoice::Name(name) => {
                (format!("sheet {name:?}"), nearest(name, sheets.iter().map(|sheet| sheet.name.as_str())))
            }
        };
        let near = near.map(|near| format!("did you mean {near:?}? ")).unwrap_or_default();
        Error::usage(format!("source.xlsx.sheet: the workbook has no {what}"))
            .with_hint(format!("{near}{}", listed(sheets)))
    })
}

/// Returns the names of the sheets for a hint.
fn listed(sheets: &[Listed]) -> String {
    let names: Vec<String> = sheets.iter().take(MAX_LISTED).map(|sheet| format!("{:?}", sheet.name)).collect();
    let more = if sheets.len() > MAX_LISTED { ", …" } else { "" };
    format!("its sheets are {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_relative_to_the_folder_of_their_part() {
        for (from, target, want) in [
            ("", "xl/workbook.xml", "xl/workbook.xml"),
            ("", "/xl/workbook.xml", "xl/workbook.xml"),
            ("xl/workbook.xml", "worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl/workbook.xml", "/xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl/workbook.xml", "../data/./s.xml", "data/s.xml"),
            ("xl/workbook.xml", "..\\..\\..\\s.xml", "s.xml"),
        ] {
            assert_eq!(path(from, target), want, "{from} {target}");
        }
    }
}
