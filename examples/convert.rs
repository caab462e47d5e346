//! Converts a reader into a writer, sync and async, and as a stream of known length: `cargo run --example convert`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use futures_util::TryStreamExt as _;
use listferry::{Env, Job, Shape, Source, column};

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/customers.csv");

/// Returns lines of `{"id":"…","mail":"…"}`, without the mail if it is empty.
fn job(source: Source) -> Result<Job, listferry::Error> {
    let shape =
        Shape::ndjson([column("customer_id").named("id").required(), column("email").named("mail").trim().lower()])?;
    Job::builder("customers").source(source).shape(shape).max_rejects(10).build()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // without a runtime
    let mut out = Vec::new();
    let source = Source::from_reader("customers", std::fs::File::open(LIST)?);
    let report = job(source)?.convert(&Env::default(), &mut out).into_result()?;
    println!(
        "{} records, first: {}",
        report.records.written,
        String::from_utf8_lossy(&out).lines().next().unwrap_or("")
    );

    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let source = Source::from_async_read("customers", tokio::fs::File::open(LIST).await?)?;
        let mut writer = tokio::io::sink();
        let report = job(source)?.convert_async(&Env::default(), &mut writer).await.into_result()?;
        println!("{} bytes written", report.bytes.body);

        // measured first, so that the length is known
        let measured = job(Source::path(LIST))?.measure_async(&Env::default()).await?;
        let body = measured.body(&measured.parts()[0]);
        println!("Content-Length: {}", body.content_length());
        let bytes = body.try_fold(0, async |sum, piece| Ok(sum + piece.len())).await?;
        println!("streamed {bytes} bytes");
        Ok(())
    })
}
