//! Builds a job in code, and runs it against a sandbox in this process: `cargo run --example job_in_code`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use listferry::job::destination::CleverTap;
use listferry::mapping::Condition;
use listferry::sandbox::Sandbox;
use listferry::{Env, Job, Setting, Source, column};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Default::default()).await?;
    let state = tempfile::tempdir()?;
    let mut env = Env::default().on_progress(|now| println!("{:?}: {} records", now.stage, now.records));
    // a real job needs neither of these, and no base_url below
    (env.sandbox, env.state_dir) = (true, Some(state.path().to_owned()));

    let job = Job::builder("vip")
        .source(Source::path(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/customers.csv")))
        .only(Condition::empty("email", false))
        .map("identity", column("email").trim().lower())
        .destination(
            CleverTap::new()
                .region("in1")
                .account_id(Setting::env("CLEVERTAP_ACCOUNT_ID"))
                .passcode(Setting::env("CLEVERTAP_PASSCODE"))
                .segment("VIP {date}")
                .creator("etl")
                .email("admin@example.com")
                .base_url(sandbox.url()),
        )
        .max_rejects(10)
        .build()?;
    let report = job.run(&env).await.into_result()?;
    println!("{} records sent, {} filtered", report.records.written, report.records.filtered);
    Ok(())
}
