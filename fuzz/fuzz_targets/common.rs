// Shared by targets through `include!`.

use listferry::body::{DiscardRejects, Options, Split, convert, measure};
use listferry::mapping::{Cells, Field, Plan, Quoting, Rules, Separator, Shape, ValueSpec};
use listferry::reader::{CsvOptions, Table};
use listferry::source::{Source, SourceOptions};
use std::sync::Arc;

/// Two columns, copied.
fn shape() -> Shape {
    let field = |name: &str| Field {
        at: format!("map.{name}"),
        name: name.to_owned(),
        value: ValueSpec::parse(&serde_json::json!(name), "map", &[]).expect("a column"),
        required: false,
        rules: Rules::default(),
    };
    Shape::Delimited(Cells {
        fields: vec![field("a"), field("b")],
        header: false,
        separator: Separator::Byte(b','),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    })
}

fn table(text: &[u8]) -> (Arc<Table>, Arc<Plan>) {
    let bytes = [b"a,b\n", text].concat();
    let mut options = SourceOptions::default();
    options.compression = listferry::source::Compression::None;
    let source = Source::from_bytes("list", bytes, &options).expect("bytes in memory");
    let table = Arc::new(Table::open(Arc::new(source), CsvOptions::default()).expect("a header"));
    let plan = Arc::new(Plan::compile(&shape(), &[], table.columns()).expect("a plan"));
    (table, plan)
}

fn run(text: &[u8], threads: usize, chunk_bytes: usize) -> Option<(Vec<u8>, listferry::body::Counts)> {
    let (table, plan) = table(text);
    let mut options = Options::default();
    options.threads = threads;
    options.chunk_bytes = chunk_bytes;
    let mut out = Vec::new();
    let converted = convert(
        &table,
        &plan,
        &options,
        &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        },
        &mut DiscardRejects,
    );
    let measured = measure(&table, &plan, &Split::default(), &options, &mut DiscardRejects);
    match (converted, measured) {
        (Ok(counts), Ok(measured)) => {
            assert_eq!(&counts, measured.counts());
            assert_eq!(measured.body_bytes(), out.len() as u64);
            assert_eq!(counts.read, counts.written + counts.filtered + counts.rejected);
            Some((out, counts))
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.kind(), other.kind());
            None
        }
        _ => panic!("one pass fails, the other does not"),
    }
}
