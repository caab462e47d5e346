//! Maps row errors reported by the platform back to source rows and appends them to the reject file.

use super::config::Config;
use super::env::Env;
use super::journal::Run;
use super::rejects::{Rejects, file_of};
use super::report::Report;
use super::text::plural;
use crate::body::Measured;
use crate::calls::{FaultAt, Journal, RowFault};
use crate::error::Result;
use crate::warning::{Warning, WarningKind};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Maximum size of rows that are looked up together; each lookup reads the source.
const BATCH_BYTES: usize = 6 << 20;

/// Number of indexes that a warning shows.
const SHOWN_INDEXES: usize = 5;

/// Adds the reported rows to the reject file as the user's own, and returns their number. A row that the list does not
/// have is a warning.
pub(super) fn look_up(
    journal: &dyn Journal,
    measured: &Measured,
    rejects: &mut Rejects,
    report: &mut Report,
) -> Result<u64> {
    if journal.fault_count()? == 0 {
        return Ok(0);
    }
    let mut found = Found::default();
    let mut batch = Batch::default();
    journal.faults(&mut |fault| {
        batch.add(fault);
        if batch.bytes >= BATCH_BYTES {
            find(measured, std::mem::take(&mut batch), rejects, &mut found)?;
        }
        Ok(true)
    })?;
    find(measured, batch, rejects, &mut found)?;
    rejects.keep(report)?;
    if let Some(text) = found.unknown(measured.counts().written) {
        tracing::warn!("{text}");
        journal.note(&Warning::new(WarningKind::RowsNotFound, text).to_note())?;
    }
    Ok(found.rows)
}

/// Key in the journal: the length of the run's reject file before rows without a source were added.
const OWN_REJECTS: &str = "own_rejects";

/// Adds the reported rows to the run's reject file without the source that they came from: only the platform's position
/// and message. Returns their number.
pub(super) fn without_source(config: &Config, env: &Env, run: &Run, report: &mut Report) -> Result<u64> {
    let named = run.fault_count()?;
    if named == 0 {
        return Ok(0);
    }
    let kept_bytes = match run.load(OWN_REJECTS)?.as_ref().and_then(Value::as_u64) {
        Some(bytes) => bytes,
        None => {
            let file = file_of(&env.state_dir()?, run.id());
            let bytes = std::fs::metadata(file).map_or(0, |meta| meta.len());
            run.store(OWN_REJECTS, &Value::from(bytes))?;
            bytes
        }
    };
    let mut rejects = Rejects::of_run(config, env, run.id())?;
    rejects.open_unplaced(kept_bytes)?;
    let mut rows = 0;
    run.faults(&mut |fault| {
        rows += 1;
        rejects.unplaced(&match &fault.at {
            FaultAt::Index(index) => format!("output record {}: {}", index + 1, fault.message),
            FaultAt::Key(_) => fault.message.clone(),
        })?;
        Ok(true)
    })?;
    rejects.keep(report)?;
    let text = format!(
        "{} reported by the platform could not be looked up, because the source has changed",
        self::rows(named)
    );
    report.warn(Warning::new(WarningKind::RowsNotFound, text).with_count(named));
    Ok(rows)
}

/// Describes failed rows of a file that we did not make: only their indexes are known.
pub(super) fn named_elsewhere(journal: &dyn Journal) -> Result<Option<String>> {
    let (mut indexes, named) = (Vec::new(), journal.fault_count()?);
    journal.faults(&mut |fault| {
        if let FaultAt::Index(index) = fault.at {
            indexes.push(index);
        }
        Ok(indexes.len() < SHOWN_INDEXES)
    })?;
    let more = if named > indexes.len() as u64 { ", …" } else { "" };
    Ok((named > 0).then(|| {
        format!(
            "the platform named {} by index (from 0: {}{more}), which cannot be looked up: the file is not made from a source \
             of this job",
            rows(named),
            listed(&indexes)
        )
    }))
}

fn rows(n: u64) -> String {
    format!("{n} row{}", plural(n))
}

fn listed(indexes: &[u64]) -> String {
    indexes.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// The result of looking rows up.
#[derive(Default)]
struct Found {
    rows: u64,
    /// Number of indexes that the list does not have, and the first of them.
    unknown_indexes: u64,
    first_indexes: Vec<u64>,
    /// Number of keys that no row has. They are row values, so no message shows them.
    unknown_keys: u64,
}

impl Found {
    /// Describes the reported rows that the list does not have.
    fn unknown(&self, written: u64) -> Option<String> {
        let more = if self.unknown_indexes > self.first_indexes.len() as u64 { ", …" } else { "" };
        let by_index = (self.unknown_indexes > 0).then(|| {
            format!("{} by index (from 0: {}{more})", rows(self.unknown_indexes), listed(&self.first_indexes))
        });
        let by_key = (self.unknown_keys > 0).then(|| format!("{} by customer id", rows(self.unknown_keys)));
        let named: Vec<String> = [by_index, by_key].into_iter().flatten().collect();
        (!named.is_empty()).then(|| {
            format!("the platform reported {} that the list of {} does not have", named.join(" and "), rows(written))
        })
    }
}

/// Rows that are looked up together, each with the platform's message. Many rows share a message.
#[derive(Default)]
struct Batch {
    by_index: BTreeMap<u64, Arc<str>>,
    /// For each key its message, and whether a row has the key.
    by_key: HashMap<String, (Arc<str>, bool)>,
    messages: HashSet<Arc<str>>,
    /// Approximate size.
    bytes: usize,
}

impl Batch {
    fn add(&mut self, fault: &RowFault) {
        let message = match self.messages.get(fault.message.as_str()) {
            Some(message) => message.clone(),
            None => {
                let message: Arc<str> = fault.message.as_str().into();
                self.messages.insert(message.clone());
                self.bytes += message.len() + 48;
                message
            }
        };
        match &fault.at {
            FaultAt::Index(index) => {
                self.by_index.insert(*index, message);
                self.bytes += 40;
            }
            FaultAt::Key(key) => {
                self.by_key.insert(key.clone(), (message, false));
                self.bytes += key.len() + 96;
            }
        }
    }
}

fn find(measured: &Measured, batch: Batch, rejects: &mut Rejects, found: &mut Found) -> Result<()> {
    let Batch { mut by_index, mut by_key, .. } = batch;
    if by_index.is_empty() && by_key.is_empty() {
        return Ok(());
    }
    let from = if by_key.is_empty() { by_index.keys().next().copied().unwrap_or(0) } else { 0 };
    measured.replay(from, &mut |row| {
        if let Some(message) = by_index.remove(&row.index) {
            rejects.platform(row, &message)?;
            found.rows += 1;
        } else if !by_key.is_empty()
            && let Some((message, seen)) = customer(row.output).and_then(|key| by_key.get_mut(&key))
        {
            rejects.platform(row, message)?;
            *seen = true;
            found.rows += 1;
        }
        Ok(!(by_index.is_empty() && by_key.is_empty()))
    })?;
    found.unknown_indexes += by_index.len() as u64;
    let room = SHOWN_INDEXES - found.first_indexes.len();
    found.first_indexes.extend(by_index.into_keys().take(room));
    found.unknown_keys += by_key.values().filter(|(_, seen)| !seen).count() as u64;
    Ok(())
}

/// Returns the customer id of a JSON line, which is its first key.
fn customer(output: &[u8]) -> Option<String> {
    let rest = output.strip_prefix(b"{\"customer_id\":")?;
    serde_json::Deserializer::from_slice(rest).into_iter::<String>().next()?.ok()
}
