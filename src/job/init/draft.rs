//! A new job file.

use super::destination;
use super::map::Map;
use super::reading::Opener;
use super::sample::{Column, Sample, sample};
use super::yaml::Lines;
use crate::error::{Error, Result, nearest};
use crate::job::env::Env;
use crate::platform::PLATFORMS;
use std::path::Path;

/// A proposed job file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Draft {
    /// The job file.
    pub text: String,
    /// The choices that are left to the user, one sentence each; the text marks their places.
    pub choices: Vec<String>,
}

/// Proposes a job file for a platform. The map comes from the names and values of the first 1,000 records of `source`,
/// a path relative to `folder`; without a source the job file is a template. Secrets, and what cannot be known, are
/// variables of the environment, so that the text contains no secret and no value of a row.
///
/// # Errors
/// `Usage`: there is no such platform. Those of reading the source; `Data`: it has no columns.
pub fn draft(platform: &str, source: Option<&str>, folder: &Path, env: &Env) -> Result<Draft> {
    if !PLATFORMS.iter().any(|entry| entry.name == platform) {
        let names = || PLATFORMS.iter().map(|entry| entry.name);
        let hint = match nearest(platform, names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(Error::usage(format!("there is no platform {platform:?}")).with_hint(hint));
    }
    let opener = Opener::new(source.unwrap_or("people.csv"), folder, env);
    let found = if source.is_some() { sample(&opener)? } else { template() };
    let shown = opener.shown();
    let mut map = Map::new(&found, platform).ok_or_else(|| found.nothing(&shown))?;
    let mut lines = Lines::default();
    head(&mut lines, platform, source.map(|_| shown.as_str()), found.records);
    lines.add("source:", "");
    let (path, comment) = opener.path_line();
    lines.add(&format!("  {path}"), comment);
    for (line, comment) in &found.settings {
        lines.add(&format!("  {line}"), comment);
    }
    map.conditions(&mut lines);
    map.write(&mut lines, platform);
    lines.add("rejects: { max_percent: 1 }", "with more invalid rows nothing is sent");
    destination::write(&mut lines, platform, &list_name(&shown));
    Ok(Draft { text: lines.0, choices: map.choices })
}

fn head(lines: &mut Lines, platform: &str, source: Option<&str>, records: usize) {
    let from = match source {
        None => "a template: name your source and its columns".to_owned(),
        Some(path) => format!("proposed from the first {records} records of {}", crate::secret::printable(path)),
    };
    lines.add(&format!("# A list for {platform}, {from}."), "");
    lines.add("#", "");
    lines.add("#   listferry preview FILE          show the first rows as they would be sent", "");
    lines.add("#   listferry check FILE            validate every row; contact no platform", "");
    lines.add("#   listferry run FILE --sandbox    try the whole run; no account needed", "");
    lines.add("#   listferry run FILE              send the list; the variables below must be set", "");
}

fn template() -> Sample {
    let column =
        |name: &str, value: &str| Column { name: name.to_owned(), values: vec![value.to_owned()], ..Column::default() };
    let columns = vec![column("customer_id", "1"), column("email", "jane@example.com"), column("first_name", "Jane")];
    Sample { format: "csv", columns, ..Sample::default() }
}

/// Returns the file's name without its endings.
fn list_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = name.split(['.', '?']).next().unwrap_or(name);
    let plain: String = stem.chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ')).collect();
    if plain.trim().is_empty() { "list".to_owned() } else { plain.trim().to_owned() }
}
