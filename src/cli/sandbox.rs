//! `listferry sandbox`, and `run --sandbox`.

use super::output::{self, To};
use super::session::Session;
use super::temporary::{REJECTS, TemporaryDir};
use clap::Args;
use listferry::job::Report;
use listferry::sandbox::{Fault, Options, Sandbox as Server};
use listferry::{Error, Kind, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Sandbox {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, env = "LISTFERRY_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8099")]
    listen: SocketAddr,
    /// Inject a fault; may be repeated; `help` lists them
    #[arg(long, value_name = "NAME[=N]", value_delimiter = ',')]
    fault: Vec<String>,
}

impl Sandbox {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        if wants_list(&self.fault) {
            return list();
        }
        let options = options(&self.fault)?;
        session.runtime.block_on(async {
            let server = start(self.listen, options).await?;
            let url = server.url();
            output::stdout(&if session.json() {
                format!("{}\n", serde_json::json!({ "command": "sandbox", "url": url }))
            } else {
                format!(
                    "{url}\n  set destination.base_url to it; {url}/_ledger lists what it received; stop with Ctrl-C\n"
                )
            })?;
            session.cancelled().await;
            Ok(())
        })?;
        Ok(ExitCode::from(session.stopped().map_or(0, Kind::exit_code)))
    }
}

/// Runs a job against its own sandbox, with temporary state and without secrets.
pub(crate) fn run_job(session: &Session<'_>, path: &Path, faults: &[String]) -> Result<ExitCode> {
    let options = options(faults)?;
    let plain = session.open(path, &[])?;
    TemporaryDir::remove_left();
    let state = TemporaryDir::new("sandbox")?;
    let report = session.runtime.block_on(async {
        let server = start(SocketAddr::from(([127, 0, 0, 1], 0)), options).await?;
        let mut sets = vec![format!("destination.base_url={}", server.url())];
        if let Some(platform) = plain.exports_from() {
            sets.push(format!("source.{platform}.base_url={}", server.url()));
        }
        let job = session.open(path, &sets)?;
        let mut env = session.env_of_run();
        env.state_dir = Some(state.path().to_owned());
        env.sandbox = true;
        let mut report = job.run(&env).await;
        outlive(&mut report, state.path());
        Ok(report)
    });
    drop(state);
    report.map(|report| session.report(report, To::Stdout))
}

pub(crate) fn wants_list(faults: &[String]) -> bool {
    faults.iter().any(|fault| fault == "help")
}

/// Prints the faults that can be injected (`--fault help`).
pub(crate) fn list() -> Result<ExitCode> {
    let lines: String = Fault::NAMES.iter().map(|(name, what)| format!("{name:<20} {what}\n")).collect();
    output::stdout(&lines)?;
    Ok(ExitCode::SUCCESS)
}

fn options(faults: &[String]) -> Result<Options> {
    let mut options = Options::default();
    options.faults = faults.iter().map(|fault| Fault::parse(fault).map_err(Error::usage)).collect::<Result<_>>()?;
    Ok(options)
}

async fn start(listen: SocketAddr, options: Options) -> Result<Server> {
    let failed = |error| {
        Error::io(format!("the sandbox cannot listen on {listen}"), error)
            .with_hint("choose another address with --listen")
    };
    Server::start(listen, options).await.map_err(failed)
}

/// Moves the reject file out of the temporary state, and removes hints about a run that will no longer exist.
fn outlive(report: &mut Report, state: &Path) {
    let moved = report.rejects_file.clone().and_then(|file| Some((keep(state, &file)?, file)));
    if let Some((kept, _)) = &moved {
        report.rejects_file = Some(kept.clone());
    }
    if let Some(stopped) = &mut report.stopped {
        (stopped.run_id, stopped.in_doubt) = (None, false);
    }
    let Some(error) = report.error.take() else { return };
    let error = match &moved {
        Some((kept, file)) => {
            let (old, new) = (file.display().to_string(), kept.display().to_string());
            error.map_text(|text| text.replace(&old, &new))
        }
        None => error,
    };
    let hint = match (error.kind(), &report.rejects_file, error.hint()) {
        (Kind::ImportFailed, Some(file), _) => {
            Some(format!("{} has the rows; correct them and send them again", file.display()))
        }
        (Kind::Transient | Kind::InDoubt | Kind::Pending | Kind::Interrupted | Kind::Terminated, _, Some(hint)) => {
            Some(format!("run it again; a sandbox run leaves nothing to resume. After a real run: {hint}"))
        }
        _ => None,
    };
    let status = report.status;
    report.fail(match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    });
    report.status = status;
}

/// Moves a file out of the state.
fn keep(state: &Path, file: &Path) -> Option<PathBuf> {
    let name = file.strip_prefix(state).ok()?.file_name()?.to_string_lossy().into_owned();
    let kept = std::env::temp_dir().join(format!("{REJECTS}{name}"));
    std::fs::rename(file, &kept).ok().map(|()| kept)
}
