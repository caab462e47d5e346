//! Some rejected rows with their values, for a page that may show them.

use crate::job::json_rows::JsonRows;
use crate::job::shown_text;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Number of bytes of the reject file that are read: examples are its first rows.
const READ_BYTES: u64 = 4 << 20;
/// Maximum number of examples of one code.
const MAX_OF_CODE: usize = 3;
/// Maximum number of values that are shown of a row.
const MAX_VALUES: usize = 6;

/// A rejected row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) code: String,
    /// The file, the record and where it is.
    pub(super) place: String,
    pub(super) reason: String,
    /// Names and values, the one at fault first.
    pub(super) values: Vec<(String, String)>,
}

/// Returns the first rejected rows of each code; none if the file cannot be read.
pub(super) fn read(rejects: &Path) -> Vec<Example> {
    let Ok(file) = File::open(rejects) else { return Vec::new() };
    let is_cut = file.metadata().is_ok_and(|meta| meta.len() > READ_BYTES);
    let mut lines = Vec::new();
    let mut rows = JsonRows::new(&mut lines);
    let copied = shown_text::copy(&mut file.take(READ_BYTES), &mut rows).and_then(|_| rows.finish());
    if copied.is_err() {
        return Vec::new();
    }
    let lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let whole = lines.len() - usize::from(is_cut && !lines.is_empty());
    let mut seen: HashMap<String, usize> = HashMap::new();
    let rows = lines[..whole].iter().filter_map(|line| serde_json::from_slice::<Map<String, Value>>(line).ok());
    rows.filter_map(|row| {
        let example = example(&row)?;
        let count = seen.entry(example.code.clone()).or_default();
        *count += 1;
        (*count <= MAX_OF_CODE).then_some(example)
    })
    .collect()
}

fn example(row: &Map<String, Value>) -> Option<Example> {
    let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str, name: &str| Some(format!("{name} {}", row.get(key)?.as_u64()?));
    let marks = row.keys().position(|key| key == "_stage")?;
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let place = [named(text("_file")), number("_record", "record"), number("_line", "line"), named(text("_place"))];
    let fault = text("_column");
    let cells = row.iter().take(marks).filter_map(|(name, value)| Some((name, value.as_str()?)));
    let (at_fault, others): (Vec<_>, Vec<_>) = cells.partition(|(name, _)| *name == fault);
    let filled = others.into_iter().filter(|(_, value)| !value.is_empty());
    let raw = Some(("as it is in the list", text("_raw"))).filter(|(_, raw)| !raw.is_empty());
    let cells = at_fault.into_iter().chain(filled).map(|(name, value)| (name.as_str(), value));
    let values = cells.chain(raw).take(MAX_VALUES).map(|(name, value)| (name.to_owned(), shown(value)));
    Some(Example {
        code: text("_code").to_owned(),
        place: place.into_iter().flatten().collect::<Vec<_>>().join(", "),
        reason: text("_reason").to_owned(),
        values: values.collect(),
    })
}

/// Cuts a value as messages do.
fn shown(value: &str) -> String {
    let cut: String = value.chars().take(32).collect();
    if cut.len() < value.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_at_fault_comes_first_and_a_code_has_few_examples() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let marks = "_stage,_file,_record,_line,_byte,_place,_column,_code,_reason,_raw";
        let row = format!("7,{},x@,local,l.csv,3,4,9,,mail,not_an_email,why,\n", "ä".repeat(40));
        let rows = row.repeat(5) + ",,,local,l.csv,8,9,50,,,ragged,cells,\"a,b\"\n";
        std::fs::write(&path, format!("id,name,mail,{marks}\n{rows}")).unwrap();
        let found = read(&path);
        assert_eq!(found.len(), MAX_OF_CODE + 1, "{found:#?}");
        assert_eq!((&*found[0].place, &*found[0].reason), ("l.csv, record 3, line 4", "why"));
        let names: Vec<&str> = found[0].values.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["mail", "id", "name"]);
        assert_eq!(found[0].values[2].1, format!("{}…", "ä".repeat(32)));
        assert_eq!(found[3].values, [("as it is in the list".to_owned(), "a,b".to_owned())]);
        assert!(read(&dir.path().join("gone.csv")).is_empty());
    }

    #[test]
    fn only_the_beginning_of_a_large_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let marks = "_stage,_file,_record,_line,_byte,_place,_column,_code,_reason,_raw";
        let first = "1,local,l.csv,1,2,3,,id,empty,why,\n".to_owned();
        let long = format!("{},local,l.csv,2,3,9,,id,empty,why,\n", "x".repeat(5 << 20));
        std::fs::write(&path, format!("id,{marks}\n{first}{long}")).unwrap();
        assert_eq!(read(&path).len(), 1, "the row that is cut is left out");
    }
}
