//! One value of the row as the plan executes it: which cells may be copied unchanged, and how.

use super::cast::{Cast, is_canonical_integer, is_decimal};
use super::literals::{Presence, StepTable};
use super::output::{CellRule, Form};
use super::spec::Apply;
use super::value::{Origin, Value};
use super::watch::NONE;
use crate::buffer::{Cursor, Padded};
use crate::row::{Needs, Row};

/// One value of the row, or a position at which states merge.
pub(super) struct Op {
    pub(super) code: Code,
    /// True if the value is only text to copy: no white space to remove, no checks that read it, and no separator to
    /// search that the scan has not searched.
    pub(super) simple: bool,
    /// True if the literals before it are short.
    pub(super) short: bool,
    /// True if A-Z become a-z.
    pub(super) lower: bool,
    /// True if white space at the ends is removed.
    trim: bool,
    pub(super) needs: Needs,
    /// The separator between the cells of the output, if there is one.
    separator: Option<u8>,
    /// True if an empty value is left out.
    pub(super) left_out: bool,
    /// Bit of the unit in the checks; 0 if no check uses it.
    pub(super) bit: u64,
    pub(super) column: u32,
    /// The literals before the value.
    pub(super) steps: StepTable,
    /// Number of the value in general form.
    pub(super) value: u32,
    /// Maximum length of a cell for the fast path.
    pub(super) fast_len: u32,
    /// Slot in which warnings about the column are counted, or `NONE`.
    pub(super) slot: u16,
    /// Number of the identifier, or `NONE`.
    pub(super) identifier: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Text, unchanged or in lower case.
    Text,
    /// Split at one byte, with each element a JSON string.
    Split(u8),
    /// Digits in canonical form.
    Integer,
    /// A number in the form of JSON.
    Decimal,
    /// The general path.
    Slow,
    /// States merge: not a value.
    Merge,
}

impl Op {
    /// Creates the op of a value whose general form has number `index`.
    pub(super) fn new(value: &Value, index: u32, steps: StepTable, left_out: bool) -> Op {
        if !matches!(value.origin, Origin::Column(_)) {
            return Op::slow(value, index, steps, left_out);
        }
        let output = &value.output;
        let (trim, lower) = match &value.apply[..] {
            [] => (false, false),
            [Apply::Trim] => (true, false),
            [Apply::Lower] => (false, true),
            [Apply::Trim, Apply::Lower] | [Apply::Lower, Apply::Trim] => (true, true),
            _ => return Op::slow(value, index, steps, left_out),
        };
        // if trimmed and in lower case, it fits the rule
        let unproven = output.lower_email && !(trim && lower);
        if value.default.is_some() || output.one_of.is_some() || output.not_negative || unproven {
            return Op::slow(value, index, steps, left_out);
        }
        let (code, separator) = match (&output.split, &output.cast, output.form) {
            (None, Cast::String, Form::Quoted) => (Code::Text, None),
            (None, Cast::String, Form::Cell(CellRule { separator, .. })) => (Code::Text, Some(separator)),
            (Some(at), Cast::String, Form::Quoted) if at.len() == 1 && !trim && !lower && !output.no_control => {
                (Code::Split(at[0]), None)
            }
            (None, Cast::Integer, Form::Raw) if !lower => (Code::Integer, None),
            (None, Cast::Decimal, Form::Raw) if !lower => (Code::Decimal, None),
            _ => return Op::slow(value, index, steps, left_out),
        };
        let needs = match (lower || trim || value.identifier != NONE, output.no_control) {
            // other letters have a lower case too, and there is other white space and invisible characters
            (true, _) => Needs::Ascii,
            (false, true) => Needs::NoControls,
            (false, false) => Needs::Utf8,
        };
        let most = output.max_code_points.unwrap_or(usize::MAX).min(u32::MAX as usize);
        let fast_len = if code == Code::Integer { most.min(18) } else { most } as u32;
        let simple = code == Code::Text && !trim;
        Op { code, simple, lower, trim, needs, separator, fast_len, ..Op::slow(value, index, steps, left_out) }
    }

    fn slow(value: &Value, index: u32, steps: StepTable, left_out: bool) -> Op {
        let column = match value.origin {
            Origin::Column(column) => column as u32,
            Origin::Template(_) | Origin::Object(_) => 0,
        };
        Op {
            code: Code::Slow,
            simple: false,
            short: false,
            lower: false,
            trim: false,
            needs: Needs::Ascii,
            separator: None,
            left_out,
            bit: 0,
            column,
            steps,
            value: index,
            fast_len: 0,
            slot: value.slot,
            identifier: value.identifier,
        }
    }

    pub(super) fn merge(steps: StepTable) -> Op {
        let (needs, separator) = (Needs::Ascii, None);
        let (simple, lower, trim, left_out) = (false, false, false, false);
        let (bit, column, value, fast_len) = (0, 0, 0, 0);
        Op {
            code: Code::Merge,
            simple,
            short: false,
            lower,
            trim,
            needs,
            separator,
            left_out,
            bit,
            column,
            steps,
            value,
            fast_len,
            slot: NONE,
            identifier: NONE,
        }
    }

    /// Returns whether a row has a value, which is copied and `len` bytes long.
    #[inline(always)]
    pub(super) fn presence(&self, row: &impl Row, len: usize) -> Presence {
        if len != 0 {
            Presence::Filled
        } else if row.is_missing(self.column as usize) {
            Presence::Missing
        } else {
            Presence::Empty
        }
    }

    /// Returns true if the value can be copied: it is the text of length `len` at `at`, apart from the case of its
    /// letters. If quotes surround it, adjusts `at` and `len` to the text within. False: the general path is needed.
    #[inline(always)]
    pub(super) fn copies(&self, row: &impl Row, at: &mut usize, len: &mut usize) -> bool {
        if self.code == Code::Slow {
            return false;
        }
        if !row.is_plain(*at, *len, self.needs) {
            match row.second_look(*at, *len, self.needs) {
                Some(span) => (*at, *len) = span,
                None => return false,
            }
        }
        if *len > self.fast_len as usize {
            return false;
        }
        let text = || &row.input().bytes()[*at..*at + *len];
        match self.code {
            Code::Integer if *len != 0 && !is_canonical_integer(text()) => return false,
            Code::Decimal if *len != 0 && !is_decimal(text()) => return false,
            _ => {}
        }
        if self.trim && *len != 0 {
            // the cell is ASCII without control characters, so a blank is the only white space
            let text = text();
            if text[0] == b' ' || text[text.len() - 1] == b' ' {
                return false;
            }
        }
        match self.separator {
            // a control character would make the cell dirty
            Some(separator) => row.is_marked(separator) || separator < 0x20 || !contains(text(), separator),
            None => true,
        }
    }
}

#[inline(always)]
fn contains(bytes: &[u8], wanted: u8) -> bool {
    let blocks = bytes.chunks_exact(16);
    let rest = blocks.remainder();
    blocks.into_iter().any(|block| block.iter().fold(false, |any, &byte| any | (byte == wanted)))
        || rest.contains(&wanted)
}

/// Writes the elements of a clean cell as JSON strings, without the outer quotes.
#[inline(always)]
pub(super) fn split(input: Padded<'_>, at: usize, len: usize, separator: u8, cursor: &mut Cursor<'_>) {
    let end = at + len;
    let mut done = at;
    if len <= 16 {
        // their number cannot be predicted: up to two separators are always written, even if there are none
        let mut found = input.matches_16(at, separator) & ((1 << len) - 1);
        for _ in 0..2 {
            let there = found != 0;
            let next = if there { at + found.trailing_zeros() as usize } else { end };
            cursor.copy(input, done, next - done, false);
            cursor.short(*b"\",\"\0", 3 * usize::from(there));
            done = next + usize::from(there);
            found &= found.wrapping_sub(1);
        }
        while found != 0 {
            let next = at + found.trailing_zeros() as usize;
            cursor.copy(input, done, next - done, false);
            cursor.short(*b"\",\"\0", 3);
            done = next + 1;
            found &= found - 1;
        }
    } else {
        let text = &input.bytes()[at..end];
        for next in memchr::memchr_iter(separator, text) {
            cursor.copy(input, done, at + next - done, false);
            cursor.short(*b"\",\"\0", 3);
            done = at + next + 1;
        }
    }
    cursor.copy(input, done, end - done, false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::OutBuf;
    use crate::format::csv::{Csv, CsvOptions};
    use crate::format::{ChunkId, Chunks, Fatal, Format, Host, Reader, Visit};
    use crate::mapping::{
        Cells, Field, Json, Outcome, Plan, Quoting, Rules, Scratch, Separator, Shape, Unit, ValueSpec,
    };
    use crate::row::{Record, RowError};
    use crate::source::{OpenSource, SourceOptions};
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    struct Run<'a> {
        plan: &'a Plan,
        out: OutBuf,
        scratch: Scratch,
        outcomes: Vec<(Outcome, &'static str)>,
    }

    impl Visit for Run<'_> {
        type Stop = Fatal;
        #[inline(always)]
        fn row<R: Row>(&mut self, row: &R) -> Result<(), Fatal> {
            let outcome = self.plan.run(row, &mut self.out, &mut self.scratch);
            let code = if outcome == Outcome::Rejected { self.scratch.error.code } else { "" };
            self.outcomes.push((outcome, code));
            Ok(())
        }
        fn malformed<R: Record>(&mut self, _: &R, _: RowError) -> Result<(), Fatal> {
            Ok(())
        }
        fn blank(&mut self) {}
        fn joined(&mut self) {}
    }

    /// one chunk, one thread
    impl<R> Host<R> for Run<'_> {
        type Stop = Fatal;
        fn state(&mut self) -> Result<u64, Fatal> {
            Ok(0)
        }
        fn publish(&mut self, _: u64) {}
        fn is_alone(&self) -> bool {
            true
        }
        fn enlarge(&mut self, _: &mut R, _: usize) -> Result<(), Fatal> {
            Ok(())
        }
    }

    fn run(plan: &Plan, marked: Option<u8>, text: &[u8]) -> (Vec<u8>, Vec<(Outcome, &'static str)>) {
        let source = OpenSource::from_bytes("list", [b"a,b,c\n", text].concat(), &SourceOptions::default()).unwrap();
        let csv = Csv::open(Arc::new(source), CsvOptions::default()).unwrap();
        let mut run = Run { plan, out: OutBuf::default(), scratch: Scratch::default(), outcomes: Vec::new() };
        let mut reader = csv.reader(marked, 1 << 20);
        let chunk = csv.chunks(ChunkId::default(), 1 << 20, 1).next(&mut reader, &mut |_, _| ()).unwrap().unwrap();
        let extent = reader.open(&csv, &chunk, &mut run).ok().unwrap();
        reader.read(&csv, &chunk, &extent, &mut run).ok().unwrap();
        (run.out.bytes().to_vec(), run.outcomes)
    }

    fn field(name: &str, value: &serde_json::Value, rules: &Rules) -> Field {
        let at = format!("map.{name}");
        let value = ValueSpec::parse(value, &at, &[]).unwrap();
        Field { at, name: name.to_owned(), value, required: false, rules: rules.clone() }
    }

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => "[a-zA-Z0-9@. ]{0,20}",
            2 => " ?[a-cA\u{c4}]{1,3}@[a-c]{1,3}[\u{85} ]?",
            1 => "[a-z]{30,80}",
            2 => "-?[0-9]{1,20}(\\.[0-9]{1,3})?",
            2 => "[aB|,\"\\\\\t \u{e4}\u{c4}\u{85}\u{a3}\u{1}\u{7f}]{0,6}",
            1 => "[a-c|]{0,24}",
        ]
    }

    /// Writes a cell of the source, in quotes if necessary or at random; perhaps not valid UTF-8.
    fn written(text: &str, quoted: bool, spoil: bool) -> Vec<u8> {
        let mut cell = text.as_bytes().to_vec();
        if spoil && !cell.is_empty() {
            cell[0] = 0xe4;
        }
        if quoted || text.contains([',', '"', '\n']) {
            cell = [b"\"", &*String::from_utf8_lossy(&cell).replace('"', "\"\"").into_bytes(), b"\""].concat();
        }
        cell
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn what_is_copied_is_what_the_general_way_writes(
            rows in proptest::collection::vec((cell(), cell(), cell(), 0u8..16), 1..12),
            apply in prop_oneof![
                2 => Just(json!([])), 1 => Just(json!(["lower"])), 1 => Just(json!(["trim"])),
                1 => Just(json!(["trim", "lower"])), 1 => Just(json!(["upper"])),
            ],
            kind in 0..6, empty in prop_oneof![Just(None), Just(Some("keep")), Just(Some("reject")), Just(Some("omit"))],
            no_control: bool, lower_email: bool, limit in prop_oneof![Just(None), Just(Some(5usize))], separator in prop_oneof![Just(b','), Just(b'|'), Just(b'\t')],
            never: bool, marking: bool, template: bool,
        ) {
            let mut text = Vec::new();
            for (a, b, c, how) in &rows {
                text.extend(written(a, how & 1 != 0, how & 8 != 0));
                text.push(b',');
                text.extend(written(b, how & 2 != 0, false));
                text.push(b',');
                text.extend(written(c, how & 4 != 0, how == &9));
                text.push(b'\n');
            }
            let rules = Rules { no_control, lower_email, max_code_points: limit, ..Rules::default() };
            let value = |column: &str| {
                let mut value = json!({ "column": column, "apply": apply });
                if template && column == "b" {
                    value = json!({ "template": "{c}{a}", "apply": apply });
                }
                if let Some(empty) = empty {
                    value["empty"] = json!(empty);
                }
                match kind {
                    0 => value["type"] = json!("integer"),
                    1 => value["type"] = json!("decimal"),
                    2 => value["split"] = json!("|"),
                    _ => {}
                }
                value
            };
            let shape = if kind < 4 {
                let unit = |name: &str| Unit {
                    before: format!("\"{name}\":"),
                    field: Some(field(name, &value(name), &rules)),
                    after: String::new(),
                    when_empty: None,
                };
                let units = ["a", "b", "c"].map(unit).into();
                Shape::Json(Json { open: "{".into(), units, close: "}".into(), filter_without_units: no_control, ..Json::default() })
            } else {
                Shape::Delimited(Cells {
                    fields: ["a", "b", "c"].map(|name| field(name, &value(name), &rules)).into(),
                    header: false,
                    separator: Separator::Byte(separator),
                    quoting: if never { Quoting::Never } else { Quoting::Rfc4180 },
                    checks: Vec::new(),
                    max_record_bytes: None,
                })
            };
            let columns = ["a", "b", "c"].map(String::from);
            let fast = Plan::compile(&shape, &[], &columns).unwrap();
            let mut general = Plan::compile(&shape, &[], &columns).unwrap();
            for op in general.ops.iter_mut().filter(|op| op.code != Code::Merge) {
                (op.code, op.simple) = (Code::Slow, false);
            }
            let marked = fast.separator().filter(|_| marking);
            prop_assert_eq!(run(&fast, marked, &text), run(&general, marked, &text));
        }
    }
}
