//! The result of pass one, and what a second pass needs.

use super::checkpoint::Checkpoint;
use super::totals::Totals;
use super::{Counts, Manifest, Options, Part};
use crate::format::Table;
use crate::mapping::Plan;
use crate::warning::Warning;
use std::sync::Arc;

/// The result of pass one, from which pass two can start. Cheap to clone.
#[derive(Clone)]
pub struct Measured {
    pub(super) manifest: Manifest,
    pub(super) warnings: Arc<[Warning]>,
    /// `None` if an earlier process measured, and the source is not available.
    pub(crate) second: Option<SecondPass>,
}

/// The state from which a second pass can start.
#[derive(Clone)]
pub(crate) struct SecondPass {
    pub(crate) checkpoints: Arc<[Checkpoint]>,
    pub(crate) table: Table,
    pub(crate) plan: Arc<Plan>,
    pub(crate) options: Options,
    #[cfg(feature = "upload")]
    pub(crate) idle: super::session::IdlePass,
}

impl Measured {
    /// Returns the result of pass one as plain data.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the counts of the records.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.manifest.counts
    }

    /// Returns warnings about values and records that look like accidents, sorted by kind.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the parts in order; there is at least one, which may be empty.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.manifest.parts
    }

    /// Returns the CRC-64/NVME of the content of all parts in order.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.manifest.digest
    }

    /// Returns the number of content bytes of all parts.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.manifest.body_bytes()
    }

    /// Returns the number of bytes of the source as stored.
    #[must_use]
    pub fn source_bytes(&self) -> u64 {
        self.manifest.source_bytes
    }

    /// Returns the chosen separator of a delimited output.
    #[must_use]
    pub fn separator(&self) -> Option<u8> {
        self.manifest.separator
    }

    /// Returns the number of threads that convert in pass two.
    #[cfg(feature = "upload")]
    pub(crate) fn threads(&self) -> usize {
        self.second.as_ref().map_or(1, |second| second.options.threads.max(1))
    }

    /// Returns the plan with its separator fixed; `None` if the source is not available.
    #[must_use]
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.second.as_ref().map(|second| &second.plan)
    }

    /// Returns the measurements of an earlier process, without the source: for a delivery that has nothing left to
    /// send. Its bodies fail at once.
    #[must_use]
    pub fn recorded(manifest: Manifest) -> Measured {
        Measured { manifest, warnings: Arc::default(), second: None }
    }

    /// Returns true if the source is not available, so that nothing can be sent.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.second.is_none()
    }
}

impl SecondPass {
    /// Returns the last checkpoint at or before a position, which `key` reads from the totals.
    pub(crate) fn checkpoint_before(&self, at: u64, key: impl Fn(&Totals) -> u64) -> &Checkpoint {
        let n = self.checkpoints.partition_point(|checkpoint| key(&checkpoint.start.totals) <= at);
        // several may share a position (chunks without output): the last of them is the nearest
        &self.checkpoints[n.saturating_sub(1)]
    }
}
