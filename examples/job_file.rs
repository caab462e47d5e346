//! Runs a job file. Without an argument, the job of `examples/clevertap.yaml` runs against a sandbox in this process:
//! `cargo run --example job_file [JOB]`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use listferry::sandbox::Sandbox;
use listferry::{Env, Job};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut env = Env::default();
    let (_sandbox, _state, job) = match std::env::args().nth(1) {
        Some(path) => (None, None, Job::open(path)?),
        None => {
            let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Default::default()).await?;
            let state = tempfile::tempdir()?;
            (env.sandbox, env.state_dir) = (true, Some(state.path().to_owned()));
            let set = format!("destination.base_url={}", sandbox.url());
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clevertap.yaml");
            (Some(sandbox), Some(state), Job::open_with(path, &[set])?)
        }
    };
    let report = job.run(&env).await.into_result().inspect_err(|error| {
        // records, parts and rejected rows are known after a failure too
        let rejects = error.report().and_then(|report| report.rejects_file.as_deref());
        println!("try again later: {}; rejected rows: {rejects:?}", error.is_retryable());
    })?;
    println!("{} records sent: {}", report.records.written, report.platform_result);
    Ok(())
}
