// Shared by the targets of formats whose rows are decoded, through `include!`.

use listferry::body::{Options, Reject, RejectSink, Split, convert, measure};
use listferry::format::Table;
use listferry::mapping::{Field, Json, Plan, Rules, Shape, Unit, ValueSpec};
use listferry::source::{OpenSource, SourceOptions};
use listferry::{Error, Kind};
use std::sync::Arc;

/// Rejects as received: record, place, code and text.
#[derive(Debug, Default, PartialEq)]
struct Kept(Vec<(u64, Option<String>, &'static str, Vec<u8>)>);

impl RejectSink for Kept {
    fn reject(&mut self, reject: &Reject<'_>) -> listferry::Result<()> {
        let source = &reject.source;
        let place = source.place();
        self.0.push((source.record, place, reject.error.code, source.text().into_owned()));
        Ok(())
    }
    fn restart(&mut self) -> listferry::Result<()> {
        self.0.clear();
        Ok(())
    }
}

fn source(bytes: &[u8]) -> Arc<OpenSource> {
    Arc::new(OpenSource::from_bytes("list", bytes.to_vec(), &SourceOptions::default()).expect("bytes in memory"))
}

/// Copies each column; lists are joined. `None`: a column cannot be sent.
fn plan(table: &Table) -> Option<Arc<Plan>> {
    let unit = |column: &String| {
        let value = serde_json::json!({ "column": column, "empty": "keep", "apply": [{ "join": "|" }] });
        let value = ValueSpec::parse(&value, "map.v", &[]).ok()?;
        let field = Field { at: "map.v".to_owned(), name: "v".to_owned(), value, required: false, rules: Rules::default() };
        Some(Unit { before: "\"v\":".to_owned(), field: Some(field), after: String::new(), when_empty: None })
    };
    let units = table.columns().iter().map(unit).collect::<Option<Vec<_>>>()?;
    let json = Json { open: "{".to_owned(), units, close: "}".to_owned(), ..Json::default() };
    Plan::compile_for(&Shape::Json(json), &[], table).ok().map(Arc::new)
}

/// Reads a list: the output, the rejects, and the error if there is one.
fn read(table: &Table, plan: &Arc<Plan>, options: &Options) -> (Vec<u8>, Kept, Option<Error>) {
    let (mut out, mut kept) = (Vec::new(), Kept::default());
    let mut keep = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let done = convert(table, plan, options, &mut keep, &mut kept);
    (out, kept, done.err())
}

/// Checks an error: what it is and where.
fn check(error: &Error) {
    assert!(matches!(error.kind(), Kind::Data | Kind::Usage), "{error:?}");
    assert!(error.kind() == Kind::Usage || error.place().file.is_some(), "{error:?}");
}

/// Reads a list in several ways, which must agree.
fn compare(open: &dyn Fn() -> listferry::Result<Table>, threads: usize, chunk_bytes: usize) {
    let table = match open() {
        Ok(table) => table,
        Err(error) => return check(&error),
    };
    let Some(plan) = plan(&table) else { return };
    let (out, kept, error) = read(&table, &plan, &Options::default());
    let mut other = Options::default();
    (other.threads, other.chunk_bytes) = (threads, chunk_bytes);
    let (other_out, other_kept, other_error) = read(&table, &plan, &other);
    assert_eq!(error.as_ref().map(Error::kind), other_error.as_ref().map(Error::kind), "{error:?} {other_error:?}");
    error.iter().chain(&other_error).for_each(check);
    let mut again = Kept::default();
    let measured = measure(&table, &plan, &Split::default(), &other, &mut again);
    if let Some(error) = error {
        assert!(measured.is_err(), "{error}");
        return;
    }
    let measured = measured.expect("the first pass read it");
    assert!(out == other_out && kept == other_kept && kept == again);
    assert_eq!(measured.body_bytes(), out.len() as u64);
    let mut late = Vec::new();
    let replayed = measured.replay(measured.counts().written / 2, &mut |row| {
        late.extend_from_slice(row.output);
        Ok(true)
    });
    replayed.expect("what was measured can be read");
    assert!(out.ends_with(&late));
}
