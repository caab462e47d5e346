//! What pass one found, and what a second pass needs.

use super::checkpoint::Checkpoint;
use super::totals::Totals;
use super::{Counts, Manifest, Options, Part};
use crate::format::Table;
use crate::mapping::Plan;
use crate::warning::Warning;
use std::sync::Arc;

/// What pass one found, and the way to pass two. Cheap to clone.
#[derive(Clone)]
pub struct Measured {
    pub(super) manifest: Manifest,
    pub(super) warnings: Arc<[Warning]>,
    /// None: an earlier process measured, and the source is not at hand.
    pub(crate) second: Option<SecondPass>,
}

/// What a second pass needs.
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
    /// What pass one found, as plain data.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What became of the records.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.manifest.counts
    }

    /// Values and records that look like accidents, those of a kind together.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The parts in order; at least one, which may be empty.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.manifest.parts
    }

    /// CRC-64/NVME of the content of all parts in order.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.manifest.digest
    }

    /// Bytes of the content of all parts.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.manifest.body_bytes()
    }

    /// Bytes of the source as stored.
    #[must_use]
    pub fn source_bytes(&self) -> u64 {
        self.manifest.source_bytes
    }

    /// The separator of a delimited output, as chosen.
    #[must_use]
    pub fn separator(&self) -> Option<u8> {
        self.manifest.separator
    }

    /// Threads that convert in pass two.
    #[cfg(feature = "upload")]
    pub(crate) fn threads(&self) -> usize {
        self.second.as_ref().map_or(1, |second| second.options.threads.max(1))
    }

    /// The plan as used, its separator fixed; none if the source is not at hand.
    #[must_use]
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.second.as_ref().map(|second| &second.plan)
    }

    /// Returns what an earlier process measured, without the source: for a delivery that has nothing left to send. A body
    /// of it fails at once.
    #[must_use]
    pub fn recorded(manifest: Manifest) -> Measured {
        Measured { manifest, warnings: Arc::default(), second: None }
    }

    /// Returns true if the source is not at hand: nothing can be sent.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.second.is_none()
    }
}

impl SecondPass {
    /// The last checkpoint at or before a position that `key` reads off a start.
    pub(crate) fn checkpoint_before(&self, at: u64, key: impl Fn(&Totals) -> u64) -> &Checkpoint {
        let n = self.checkpoints.partition_point(|checkpoint| key(&checkpoint.start.totals) <= at);
        // several may share a position (chunks without output): the last of them is the nearest
        &self.checkpoints[n.saturating_sub(1)]
    }
}
