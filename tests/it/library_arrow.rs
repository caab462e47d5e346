//! Arrow record batches of a program as a source.

use arrow_array::builder::{ListBuilder, StringDictionaryBuilder, StringViewBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchIterator, RecordBatchReader, StructArray};
use arrow_schema::{ArrowError, DataType, Field};
use listferry::{Env, Job, Kind, Shape, Source, column};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const ROWS: usize = 100_000;

/// Returns one batch of all rows, as polars gives it, and the lines that it becomes.
fn people() -> (RecordBatch, String) {
    let text = |n: usize| format!("käufer{n}@a.longer.domain.example.com");
    let (mut views, mut plans) = (StringViewBuilder::new(), StringDictionaryBuilder::<Int8Type>::new());
    let mut tags = ListBuilder::new(StringViewBuilder::new());
    let mut lines = String::new();
    for n in 0..ROWS {
        views.append_option((n % 7 > 0).then(|| text(n)));
        plans.append_value(["free", "vip"][n % 2]);
        tags.values().append_value(text(n));
        tags.values().append_value("t");
        tags.append(n % 5 > 0);
        let mail = if n % 7 > 0 { format!(",\"mail\":\"{}\"", text(n)) } else { String::new() };
        let tag = if n % 5 > 0 { format!(",\"tags\":[\"{}\",\"t\"]", text(n)) } else { String::new() };
        let city = if n % 7 > 0 { format!(",\"city\":\"{}\"", text(n)) } else { String::new() };
        lines += &format!("{{\"id\":\"{n}\"{mail},\"plan\":\"{}\"{tag}{city}}}\n", ["free", "vip"][n % 2]);
    }
    let views: ArrayRef = Arc::new(views.finish());
    let city = Arc::new(Field::new("city", DataType::Utf8View, true));
    let address = StructArray::from(vec![(city, Arc::clone(&views))]);
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
        ("email", views),
        ("plan", Arc::new(plans.finish())),
        ("tags", Arc::new(tags.finish())),
        ("address", Arc::new(address)),
    ];
    (RecordBatch::try_from_iter(columns).unwrap(), lines)
}

fn job(source: Source) -> Job {
    let shape = Shape::ndjson([
        column("id").required(),
        column("email").named("mail"),
        column("plan"),
        column("tags"),
        column("/address/city").named("city"),
    ]);
    Job::builder("people").source(source).shape(shape.unwrap()).build().unwrap()
}

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 2;
    env
}

fn reader(batch: &RecordBatch) -> impl RecordBatchReader + Send + use<> {
    let (first, second) = (batch.slice(0, 99_999), batch.slice(99_999, 1));
    RecordBatchIterator::new([Ok(first), Ok(second)], batch.schema())
}

#[test]
fn record_batches_of_any_size_are_converted() {
    let dir = tempfile::tempdir().unwrap();
    let (batch, lines) = people();
    let again = batch.clone();
    let sources = [
        Source::from_arrow("frame", reader(&batch)),
        Source::from_batches("frame", batch.schema(), vec![batch]),
        Source::from_arrow_again("frame", move || Ok(Box::new(reader(&again)))),
    ];
    for source in sources {
        let mut out = Vec::new();
        let report = job(source).convert(&env(dir.path()), &mut out).into_result().unwrap();
        assert_eq!(report.records.written, ROWS as u64);
        assert!(out == lines.as_bytes());
    }
}

#[test]
fn record_batches_that_can_be_asked_for_again_are_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (batch, lines) = people();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let source = Source::from_arrow_again("frame", move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(reader(&batch)))
    });
    let mut env = env(dir.path());
    // the measured list is not copied, wherever a copy could go
    env.state_dir = Some("/dev/null/none".into());
    let measured = job(source).measure(&env).unwrap();
    let before = opened.load(Ordering::Relaxed);
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut measured.body(&measured.parts()[0]).into_read(), &mut out).unwrap();
    assert!(out == lines.as_bytes());
    assert!(opened.load(Ordering::Relaxed) > before);
}

#[test]
fn record_batches_that_change_or_fail_are_never_sent_completely() {
    let dir = tempfile::tempdir().unwrap();
    let (batch, _) = people();
    let changing = Arc::new(AtomicUsize::new(ROWS));
    let (rows, whole) = (Arc::clone(&changing), batch.clone());
    let source = Source::from_arrow_again("frame", move || {
        let batch = whole.slice(0, rows.load(Ordering::Relaxed));
        Ok(Box::new(RecordBatchIterator::new([Ok(batch.clone())], batch.schema())))
    });
    let measured = job(source).measure(&env(dir.path())).unwrap();
    changing.store(ROWS - 1, Ordering::Relaxed);
    let mut out = Vec::new();
    let mut body = measured.body(&measured.parts()[0]).into_read();
    std::io::Read::read_to_end(&mut body, &mut out).unwrap_err();
    assert!((out.len() as u64) < measured.body_bytes());

    let torn = [Ok(batch.slice(0, 10)), Err(ArrowError::ComputeError("the cursor is gone".to_owned()))];
    let source = Source::from_arrow("frame", RecordBatchIterator::new(torn, batch.schema()));
    let error = job(source).measure(&env(dir.path())).map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Local);
    assert!(error.message().contains("the cursor is gone"), "{error}");
}
