//! Sends what a reader, an async reader or a stream gives, to a sandbox in this process: `cargo run --example sources`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use bytes::Bytes;
use listferry::sandbox::Sandbox;
use listferry::{Env, Job, Source};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/customers.csv");
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Default::default()).await?;
    let state = tempfile::tempdir()?;
    let mut env = Env::default();
    (env.sandbox, env.state_dir) = (true, Some(state.path().to_owned()));
    let sets = [format!("destination.base_url={}", sandbox.url()), "destination.replace=true".to_owned()];
    let job = Job::open_with(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clevertap.yaml"), &sets)?;

    // a stream as an HTTP client gives it
    let pieces =
        std::fs::read(list)?.chunks(100).map(Bytes::copy_from_slice).map(Ok::<_, std::io::Error>).collect::<Vec<_>>();
    for source in [
        Source::from_reader("customers", std::fs::File::open(list)?),
        Source::from_async_read("customers", tokio::fs::File::open(list).await?)?,
        Source::from_stream("customers", futures_util::stream::iter(pieces))?,
    ] {
        let report = job.clone().with_source(source)?.run(&env).await.into_result()?;
        println!("{} records sent, {}", report.records.written, report.digest.unwrap_or_default());
    }
    Ok(())
}
