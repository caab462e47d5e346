//! `listferry doctor`.

use super::output;
use super::session::Session;
use clap::Args;
use listferry::Result;
use listferry::job::{Finding, Health};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Doctor {
    /// The job file
    job: PathBuf,
}

impl Doctor {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let found = match session.open(&self.job, &[]) {
            Ok(job) => {
                let env = session.env();
                session.runtime.block_on(async {
                    tokio::select! {
                        found = job.doctor(&env) => Some(found),
                        () = session.cancelled() => None,
                    }
                })
            }
            Err(error) => Some(Finding::fail_all("job file", &error)),
        };
        let Some(found) = found else {
            let kind = session.stopped().unwrap_or(listferry::Kind::Interrupted);
            return Err(listferry::Error::new(kind, "stopped before all checks were made")
                .with_hint("nothing was sent or created"));
        };
        if session.json() {
            let found: Vec<Value> = found.iter().map(Finding::to_json).collect();
            output::stdout(&format!("{}\n", output::json(&Value::Array(found))))?;
        } else {
            output::stdout(&found.iter().map(line).collect::<String>())?;
        }
        let first = found.iter().filter(|finding| finding.health == Health::Fail).find_map(|finding| finding.kind);
        Ok(ExitCode::from(first.map_or(0, listferry::Kind::exit_code)))
    }
}

fn line(finding: &Finding) -> String {
    let hint = finding.hint.as_deref().map(|hint| format!("      hint: {hint}\n")).unwrap_or_default();
    let first = finding.message.lines().next().unwrap_or_default();
    format!("{:<5} {}: {first}\n{hint}", finding.health.name(), finding.check)
}
