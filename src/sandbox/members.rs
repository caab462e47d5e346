//! Validates the rows of a file while Yesmail fetches it, and generates the results by row while they are read.

use super::digest::Crc;
use super::faults::Fated;
use super::rows::Lines;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Maximum number of failed rows that are listed; more are only counted.
const MOST_NAMED: usize = 100_000;
/// Size of the blocks in which results are generated.
const BLOCK: usize = 64 << 10;
const TIME: &str = "2014-03-03T17:33:52Z";

/// Maps columns of the file to columns of the list.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    headers: bool,
    separator: u8,
    mappings: Vec<(String, Column)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Index(usize),
    Name(String),
}

impl Layout {
    pub(super) fn read(mappings: &Value, headers: bool, separator: u8) -> Result<Layout, String> {
        let pairs: Vec<(&String, &Value)> = match mappings {
            Value::Object(map) => map.iter().collect(),
            Value::Array(list) => {
                let mut pairs = Vec::new();
                for entry in list {
                    match entry.as_object().map(|map| map.iter().collect::<Vec<_>>()).as_deref() {
                        Some([pair]) => pairs.push(*pair),
                        _ => return Err("source.mappings must be a list of objects with one key".to_owned()),
                    }
                }
                pairs
            }
            _ => return Err("source.mappings is required".to_owned()),
        };
        if pairs.is_empty() {
            return Err("source.mappings is empty".to_owned());
        }
        let mut mappings: Vec<(String, Column)> = Vec::new();
        for (key, value) in pairs {
            let column = match value {
                Value::Number(number) => {
                    Column::Index(number.as_u64().ok_or("source.mappings: an index is 0 or more")? as usize)
                }
                Value::String(name) if headers => Column::Name(name.clone()),
                Value::String(_) => return Err("source.mappings: without headers only indexes are allowed".to_owned()),
                _ => return Err("source.mappings: a value is an index or a column name".to_owned()),
            };
            if mappings.iter().any(|(known, _)| known == key) {
                return Err(format!("source.mappings: {key} comes twice"));
            }
            mappings.push((key.clone(), column));
        }
        let by_name = mappings.iter().filter(|(_, column)| matches!(column, Column::Name(_))).count();
        if by_name != 0 && by_name != mappings.len() {
            return Err("source.mappings mixes indexes and column names".to_owned());
        }
        Ok(Layout { headers, separator, mappings })
    }
}

/// The rows received so far.
pub(super) struct Members {
    layout: Layout,
    fated: Fated,
    lines: Lines,
    /// Number of cells that a row must have, and the index of the id.
    width: Option<(usize, usize)>,
    rows: u64,
    failed: Vec<(u64, &'static str)>,
    failed_count: u64,
    ignored: BTreeSet<u64>,
    crc: Crc,
    bytes: u64,
    wrong: Option<String>,
}

impl Members {
    pub(super) fn new(layout: &Layout, fated: Fated, ignored: Vec<u64>) -> Members {
        Members {
            layout: layout.clone(),
            fated,
            lines: Lines::quoted(),
            width: None,
            rows: 0,
            failed: Vec::new(),
            failed_count: 0,
            ignored: ignored.into_iter().collect(),
            crc: Crc::new(),
            bytes: 0,
            wrong: None,
        }
    }

    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.crc.update(piece);
        self.bytes += piece.len() as u64;
        let mut lines = std::mem::take(&mut self.lines);
        lines.feed(piece, |line| self.line(line));
        self.lines = lines;
    }

    /// Ends the file and returns what is wrong with it as a whole.
    pub(super) fn end(&mut self) -> Result<(), String> {
        let rest = self.lines.rest().to_vec();
        if !rest.is_empty() {
            self.line(&rest);
        }
        // rows that do not exist cannot be ignored
        self.ignored.split_off(&self.rows);
        match self.wrong.take() {
            Some(wrong) => Err(wrong),
            None if self.layout.headers && self.width.is_none() => Err("it is empty".to_owned()),
            None => Ok(()),
        }
    }

    fn line(&mut self, line: &[u8]) {
        if self.wrong.is_some() {
            return;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let cells = cells(line, self.layout.separator);
        let Some((width, id)) = self.width else {
            let header = self.layout.headers;
            match cells
                .as_deref()
                .ok_or("the first row has wrong quotes".to_owned())
                .and_then(|cells| self.locate(cells))
            {
                Ok(width) => self.width = Some(width),
                Err(wrong) => self.wrong = Some(wrong),
            }
            if !header {
                self.line(line);
            }
            return;
        };
        let index = self.rows;
        self.rows += 1;
        let failure = match cells.as_deref() {
            None => Some("The row has wrong quotes."),
            Some(cells) if cells.len() != width => Some("The row has too few or too many columns."),
            Some(cells) if self.ignored.contains(&index) || !self.fated.refuses(index) => validate(&cells[id]),
            Some(_) => Some("The member does not exist in the database."),
        };
        if let Some(failure) = failure {
            self.ignored.remove(&index);
            self.failed_count += 1;
            if self.failed.len() < MOST_NAMED {
                self.failed.push((index, failure));
            }
        }
    }

    /// Returns the number of cells of a row and the index of the id, from the first row.
    fn locate(&self, first: &[Cow<'_, [u8]>]) -> Result<(usize, usize), String> {
        let mut id = 0;
        for (position, (key, column)) in self.layout.mappings.iter().enumerate() {
            let at = match column {
                Column::Index(index) => Some(*index).filter(|index| *index < first.len()),
                Column::Name(name) => first.iter().position(|cell| **cell == *name.as_bytes()),
            };
            let at = at.ok_or_else(|| format!("there is no column for {key}"))?;
            if key == "id" || position == 0 {
                id = at;
            }
        }
        Ok((first.len(), id))
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn failed_count(&self) -> u64 {
        self.failed_count
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn digest(&self) -> String {
        self.crc.text()
    }

    /// Returns the results, generated block by block.
    pub(super) fn results(self: &Arc<Members>, id: String) -> Results {
        Results { members: self.clone(), id, step: Step::Head, next: 0, failed: 0, any: false }
    }
}

fn validate(id: &[u8]) -> Option<&'static str> {
    let text = match std::str::from_utf8(id) {
        Ok(text) if !text.is_empty() => text,
        _ => return Some("The id is missing."),
    };
    // an e-mail address used as id must be in lower case
    if text.contains('@') && text.chars().any(char::is_uppercase) {
        return Some("Invalid email address.");
    }
    None
}

#[derive(PartialEq, Eq)]
enum Step {
    Head,
    Completed,
    Failed,
    Ignored,
    Done,
}

/// The response of async-results while it is sent.
pub(super) struct Results {
    members: Arc<Members>,
    id: String,
    step: Step,
    next: u64,
    failed: usize,
    /// Whether a completed row has been written.
    any: bool,
}

impl Results {
    /// Returns the next block; empty at the end.
    pub(super) fn next_block(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK + 256);
        while out.len() < BLOCK && self.step != Step::Done {
            self.some(&mut out);
        }
        out
    }

    fn some(&mut self, out: &mut Vec<u8>) {
        let members = &self.members;
        match self.step {
            Step::Head => {
                let (total, failed, ignored) = (members.rows, members.failed_count, members.ignored.len() as u64);
                let counts = json!({"completed": total - failed - ignored, "failed": failed, "ignored": ignored,
                    "total": total, "requested": total});
                // the vendor's response has a space at the end of this key
                let head =
                    format!("{{\"id\":\"{}\",\"lastUpdate\":\"{TIME}\",\"counts\":{counts},\"completed \":[", self.id);
                out.extend_from_slice(head.as_bytes());
                self.step = Step::Completed;
            }
            Step::Completed => {
                while self.next < members.rows && out.len() < BLOCK {
                    let index = self.next;
                    self.next += 1;
                    if members.failed.get(self.failed).is_some_and(|failed| failed.0 == index) {
                        self.failed += 1;
                        continue;
                    }
                    if members.ignored.contains(&index) {
                        continue;
                    }
                    if std::mem::replace(&mut self.any, true) {
                        out.push(b',');
                    }
                    out.extend_from_slice(format!("{{\"index\":{index},\"time\":\"{TIME}\"}}").as_bytes());
                }
                if self.next == members.rows {
                    out.extend_from_slice(b"],\"failed\":[");
                    (self.step, self.failed) = (Step::Failed, 0);
                }
            }
            Step::Failed => match members.failed.get(self.failed) {
                Some((index, message)) => {
                    let comma = if self.failed > 0 { "," } else { "" };
                    let entry = json!({"index": index, "time": TIME, "error": {"status": 400, "message": message}});
                    out.extend_from_slice(format!("{comma}{entry}").as_bytes());
                    self.failed += 1;
                }
                None => {
                    out.extend_from_slice(b"],\"ignored\":");
                    self.step = Step::Ignored;
                }
            },
            Step::Ignored => {
                let ignored: Vec<Value> = members.ignored.iter().map(|index| json!({"index": index})).collect();
                out.extend_from_slice(format!("{}}}", Value::Array(ignored)).as_bytes());
                self.step = Step::Done;
            }
            Step::Done => {}
        }
    }
}

/// Splits a row into cells as in RFC 4180; `None` if its quotes are wrong.
fn cells(line: &[u8], separator: u8) -> Option<Vec<Cow<'_, [u8]>>> {
    if memchr::memchr(b'"', line).is_none() {
        return Some(line.split(|&byte| byte == separator).map(Cow::Borrowed).collect());
    }
    let mut cells = Vec::new();
    let mut at = 0;
    loop {
        if line.get(at) == Some(&b'"') {
            let mut cell = Vec::new();
            at += 1;
            loop {
                let quote = at + memchr::memchr(b'"', line.get(at..)?)?;
                cell.extend_from_slice(&line[at..quote]);
                at = quote + 1;
                if line.get(at) != Some(&b'"') {
                    break;
                }
                cell.push(b'"');
                at += 1;
            }
            cells.push(Cow::Owned(cell));
        } else {
            let end = memchr::memchr(separator, &line[at..]).map_or(line.len(), |end| at + end);
            if memchr::memchr(b'"', &line[at..end]).is_some() {
                return None;
            }
            cells.push(Cow::Borrowed(&line[at..end]));
            at = end;
        }
        match line.get(at) {
            None => return Some(cells),
            Some(&byte) if byte == separator => at += 1,
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::{Fault, Faults};
    use super::*;

    fn members(mappings: Value, text: &str, faults: &[&str]) -> Result<Arc<Members>, String> {
        let layout = Layout::read(&mappings, true, b',')?;
        let faults = Faults::new(faults.iter().map(|fault| Fault::parse(fault).unwrap()).collect());
        let mut members = Members::new(&layout, faults.fated(), faults.numbers("ignore-row"));
        for piece in text.as_bytes().chunks(5) {
            members.feed(piece);
        }
        members.end().map(|()| Arc::new(members))
    }

    #[test]
    fn results_name_each_row_once() {
        let text = "mail,n\na@x.y,\"1,\n2\"\nB@x.y,2\nc@x.y,3\nd@x.y\ne@x.y,5\n";
        for (faults, failed, ignored) in
            [(&[][..], vec![1, 3], vec![]), (&["reject-row=0", "ignore-row=2"], vec![0, 1, 3], vec![2])]
        {
            let members = members(json!([{"id": "mail"}]), text, faults).unwrap();
            let mut results = members.results("9".to_owned());
            let mut all = Vec::new();
            loop {
                let block = results.next_block();
                if block.is_empty() {
                    break;
                }
                all.extend(block);
            }
            let all: Value = serde_json::from_slice(&all).unwrap();
            let indexes = |key: &str| -> Vec<u64> {
                all[key].as_array().unwrap().iter().map(|entry| entry["index"].as_u64().unwrap()).collect()
            };
            assert_eq!((indexes("failed"), indexes("ignored")), (failed, ignored));
            assert_eq!(all["counts"]["total"], 5);
            assert_eq!(indexes("completed ").len() as u64, all["counts"]["completed"].as_u64().unwrap());
            assert_eq!(indexes("completed ").len() + indexes("failed").len() + indexes("ignored").len(), 5);
        }
    }

    #[test]
    fn a_million_entries_come_in_blocks() {
        let layout = Layout::read(&json!([{"id": 0}]), false, b',').unwrap();
        let mut members = Members::new(&layout, Faults::new(Vec::new()).fated(), Vec::new());
        for _ in 0..1_000 {
            members.feed("a@x.y\n".repeat(1_000).as_bytes());
        }
        members.end().unwrap();
        let mut results = Arc::new(members).results("9".to_owned());
        let (mut blocks, mut entries) = (0, 0);
        loop {
            let block = results.next_block();
            if block.is_empty() {
                break;
            }
            assert!(block.len() < BLOCK + 1024);
            blocks += 1;
            entries += memchr::memmem::find_iter(&block, b"\"index\"").count();
        }
        assert!(blocks > 100);
        // entries are never split between blocks, so none is lost
        assert_eq!(entries, 1_000_000);
    }

    #[test]
    fn mappings_that_the_document_forbids() {
        for (mappings, headers) in [
            (json!([{"id": 0}, {"a": "b"}]), true),
            (json!([{"id": "b"}]), false),
            (json!([]), true),
            (json!([{"id": 0, "a": 1}]), true),
            (json!([{"id": -1}]), true),
            (json!([{"id": 0}, {"id": 1}]), true),
            (Value::Null, true),
        ] {
            assert!(Layout::read(&mappings, headers, b',').is_err(), "{mappings}");
        }
        assert_eq!(members(json!([{"id": "nope"}]), "a,b\n1,2\n", &[]).err().unwrap(), "there is no column for id");
    }
}
