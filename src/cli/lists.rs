//! `listferry lists`.

use super::output;
use super::session::Session;
use clap::{Args, Subcommand};
use listferry::{Error, Kind, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Lists {
    /// The job file, of platform localytics-audience
    job: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the audience lists
    List,
    /// Rename a list
    Rename {
        /// Id of the list
        id: String,
        /// Its new name
        name: String,
    },
    /// Delete a list
    Delete {
        /// Id of the list
        id: String,
        /// Confirm the deletion
        #[arg(long)]
        yes: bool,
    },
}

impl Lists {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        let env = session.env();
        let work = async {
            match &self.action {
                Action::List => job.lists(&env).await.map(Value::Array),
                Action::Rename { id, name } => job
                    .rename_list(&env, id, name)
                    .await
                    .map(|()| json!({ "id": id, "name": name, "status": "renamed" })),
                Action::Delete { id, yes: false } => {
                    Err(Error::usage(format!("list {id} would be gone for good")).with_hint("add --yes to delete it"))
                }
                Action::Delete { id, .. } => {
                    job.delete_list(&env, id).await.map(|()| json!({ "id": id, "status": "deleted" }))
                }
            }
        };
        let answer = session.runtime.block_on(async {
            tokio::select! {
                answer = work => answer,
                () = session.cancelled() => Err(Error::new(Kind::Interrupted, "stopped before the answer")),
            }
        })?;
        let text = match (&answer, session.json()) {
            (_, true) => format!("{}\n", output::json(&answer)),
            (Value::Array(lists), false) => lists.iter().map(line).collect(),
            (other, false) => format!("list {}: {}\n", word(other, "id"), word(other, "status")),
        };
        output::stdout(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn line(list: &Value) -> String {
    format!("{:>10}  {:>12}  {}\n", word(list, "id"), word(list, "record_count"), word(list, "name"))
}

/// Returns a text or number of the platform's response, safe for a terminal.
fn word(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => listferry::job::printable(text),
        other => other.to_string(),
    }
}
