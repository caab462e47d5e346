//! Sends records that the program has, to a sandbox in this process: `cargo run --example feed [ROWS]`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use listferry::job::destination::CleverTap;
use listferry::sandbox::Sandbox;
use listferry::{Env, Job, Setting, column};

#[derive(serde::Serialize)]
struct Customer {
    customer_id: u64,
    email: Option<String>,
}

/// Stands for the cursor of a database.
fn customers(rows: u64) -> impl Iterator<Item = Customer> {
    (0..rows).map(|n| Customer { customer_id: n, email: (n % 3 > 0).then(|| format!("customer{n}@example.com")) })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = std::env::args().nth(1).map_or(Ok(100_000), |rows| rows.parse())?;
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Default::default()).await?;
    let state = tempfile::tempdir()?;
    let mut env = Env::default();
    // a real job needs neither of these, and no base_url below
    (env.sandbox, env.state_dir) = (true, Some(state.path().to_owned()));
    let destination = CleverTap::new()
        .region("in1")
        .account_id(Setting::env("CLEVERTAP_ACCOUNT_ID"))
        .passcode(Setting::env("CLEVERTAP_PASSCODE"))
        .segment("Customers {date}")
        .creator("etl")
        .email("admin@example.com")
        .base_url(sandbox.url());
    let job = Job::builder("customers").map("identity", column("customer_id")).destination(destination).build()?;

    let mut feed = job.feed(&env).await?;
    for customer in customers(rows) {
        feed.serialize(&customer).await?;
    }
    let report = feed.finish().await.into_result()?;
    println!("{} records sent, {} bytes", report.records.written, report.bytes.body);
    println!("peak memory: {} MiB", report.peak_rss_bytes >> 20);
    Ok(())
}
