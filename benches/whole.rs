//! Measures the whole way from a file to Localytics lines, on one thread and on four, beside a straightforward loop
//! with `csv` and `serde_json`. All three must write the same bytes before anything is measured.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use listferry::job::{Env, Job};
use serde::Serialize;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

#[allow(dead_code, unreachable_pub)]
#[path = "../examples/generate/list.rs"]
mod list;

const SIZE: u64 = 64 << 20;

#[derive(Serialize)]
struct Line<'a> {
    customer_id: &'a str,
    changes: &'a [Change<'a>],
}

#[derive(Serialize)]
struct Change<'a> {
    op: &'static str,
    attr: &'static str,
    value: Value<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(&'a str),
    Set(Vec<&'a str>),
}

/// A straightforward implementation that reuses its buffers.
fn straightforward(path: &Path, out: &mut dyn Write) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = csv::Reader::from_reader(BufReader::with_capacity(256 << 10, File::open(path)?));
    let mut out = BufWriter::with_capacity(256 << 10, out);
    let headers = reader.headers()?;
    let column = |name: &str| headers.iter().position(|header| header == name).ok_or("no such column");
    let customer_id = column("customer_id")?;
    let (first_name, ltv, tags, plan) = (column("first_name")?, column("ltv")?, column("tags")?, column("plan")?);
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let mut changes = Vec::with_capacity(4);
        let mut change = |op, attr, value| changes.push(Change { op, attr, value });
        if !record[first_name].is_empty() {
            change("assign", "first_name", Value::Text(&record[first_name]));
        }
        if !record[ltv].is_empty() {
            change("assign", "ltv", Value::Text(&record[ltv]));
        }
        if !record[tags].is_empty() {
            change("set-add", "tags", Value::Set(record[tags].split('|').collect()));
        }
        if !record[plan].is_empty() {
            change("assign", "plan", Value::Text(&record[plan]));
        }
        if !changes.is_empty() {
            serde_json::to_writer(&mut out, &Line { customer_id: &record[customer_id], changes: &changes })?;
            out.write_all(b"\n")?;
        }
    }
    Ok(out.flush()?)
}

fn ours(job: &Job, threads: usize, out: &mut (dyn Write + Send)) {
    let mut env = Env::default();
    env.options.threads = threads;
    let report = job.convert(&env, out);
    assert_eq!((report.exit_code, report.records.rejected), (0, 0));
}

/// Counts the bytes written.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn whole(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("list.csv");
    let mut file = File::create(&path).expect("a file");
    list::List { size: SIZE, ..list::List::default() }.write(&mut file).expect("room for it");
    let bytes = file.metadata().expect("its size").len();
    let job = Job::read(include_str!("peers/jobs/j2.yaml"), dir.path(), &[]).expect("a job");

    let mut wanted = Vec::new();
    straightforward(&path, &mut wanted).expect("converts");
    for threads in [1, 4] {
        let mut got = Vec::with_capacity(wanted.len());
        ours(&job, threads, &mut got);
        assert!(got == wanted, "{threads} threads: not what csv and serde_json write");
    }
    let length = wanted.len() as u64;

    let mut group = criterion.benchmark_group("convert to Localytics lines");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    let counted = |write: &dyn Fn(&mut Count)| {
        let mut count = Count(0);
        write(&mut count);
        assert_eq!(count.0, length);
    };
    group.bench_function("csv and serde_json", |b| {
        b.iter(|| counted(&|out| straightforward(&path, out).expect("converts")));
    });
    for threads in [1, 2, 4] {
        group.bench_function(format!("listferry, {threads} thread(s)"), |b| {
            b.iter(|| counted(&|out| ours(&job, threads, out)));
        });
    }
    group.finish();
}

criterion_group!(benches, whole);
criterion_main!(benches);
