//! An open run of the same job: how far it came, and the result of its pass one.

use super::decide::Stand;
use super::journal::{NOT_KEPT, PASS_ONE, RunRecord, State};
use crate::body::{Counts, Manifest, Part};
use crate::error::Result;
use crate::platform::Effect;
use serde_json::Value;

/// The result of pass one of a recorded run.
pub(super) struct Known {
    manifest: Manifest,
    /// True if recorded by listferry 0.1.0, which did not keep everything: only the digest is compared.
    by_digest: bool,
}

impl Known {
    /// Reads the record of a run; none if pass one did not finish.
    pub(super) fn of(state: &State, record: &RunRecord) -> Result<Option<Known>> {
        let Some(measured) = &record.measured else { return Ok(None) };
        if let Ok(manifest) = serde_json::from_value::<Manifest>(measured.clone()) {
            return Ok(Some(Known { manifest, by_digest: false }));
        }
        let report = state.fact(record, PASS_ONE)?.map(|mut fact| fact["report"].take()).unwrap_or_default();
        Ok(of_0_1_0(measured, &report).map(|manifest| Known { manifest, by_digest: true }))
    }

    /// Returns the manifest.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns true if a later pass one found the same records with the same output.
    pub(super) fn is(&self, found: &Manifest) -> bool {
        match self.by_digest {
            true => self.manifest.digest == found.digest && self.manifest.body_bytes() == found.body_bytes(),
            false => self.manifest.same_content(found),
        }
    }
}

/// Makes a manifest from the facts that 0.1.0 kept: digest in hex, and bytes, records and CRC of each part.
fn of_0_1_0(facts: &Value, report: &Value) -> Option<Manifest> {
    let digest = facts.get("digest")?.as_str()?.strip_prefix("crc64nvme:")?;
    let digest = u64::from_str_radix(digest, 16).ok()?;
    let (mut parts, mut first_record, mut at) = (Vec::new(), 0, 0);
    for (index, part) in facts.get("parts")?.as_array()?.iter().enumerate() {
        let (bytes, records) = (part.get(0)?.as_u64()?, part.get(1)?.as_u64()?);
        let crc = u64::from_str_radix(part.get(2)?.as_str()?, 16).ok()?;
        parts.push(Part::recorded(index, bytes, records, first_record, crc, at));
        first_record += records;
        at += bytes;
    }
    let count = |key: &str| report.pointer(key).and_then(Value::as_u64).unwrap_or(0);
    let counts = Counts {
        written: facts.get("written").and_then(Value::as_u64).unwrap_or(first_record),
        read: count("/records/read"),
        filtered: count("/records/filtered"),
        rejected: count("/records/rejected"),
        ..Counts::default()
    };
    Some(Manifest::recorded(counts, parts, digest, count("/bytes/source")))
}

/// Returns how far an open run came. `needs_source`: the platform gets the file from us.
pub(super) fn stand(state: &State, record: &RunRecord, needs_source: bool) -> Result<Stand> {
    let standing = state.standing_of(record)?;
    if standing.in_doubt {
        return Ok(Stand::InDoubt);
    }
    let effect = record.effect.clone().unwrap_or_else(|| Effect::from_json(&Value::Null));
    let fetched = effect.fetched;
    if standing.accepted == 0 {
        return Ok(if !needs_source && fetched && standing.called { Stand::Fetched } else { Stand::Nothing });
    }
    if state.fact(record, NOT_KEPT)?.is_some() {
        return Ok(Stand::Partly);
    }
    if fetched {
        return Ok(Stand::Fetched);
    }
    let parts = Known::of(state, record)?.map_or(0, |known| known.manifest.parts.len());
    Ok(match () {
        () if standing.accepted >= parts.max(1) => Stand::Delivered,
        () if effect.repeatable => Stand::PartlyRepeatable,
        () => Stand::Partly,
    })
}
