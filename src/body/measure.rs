//! Pass one: counts, digest, parts, checkpoints, rejects.

use super::findings::Findings;
use super::grid::Mark;
use super::manifest::Manifest;
use super::pipeline::{self, Base, Consumer, Ended, Start};
use super::slab::Slab;
use super::worker::{RowKind, Rows, Want};
use super::{Counts, Options, Part, Reject, RejectSink, Split, crc};
use crate::encode;
use crate::error::{Error, Result};
use crate::mapping::{Plan, Sights};
use crate::reader::Table;
use crate::warning::Warning;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A place where a pass can start again, and what the output must be up to there.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) start: Start,
    /// Of the output before it, header lines not counted.
    #[cfg_attr(not(feature = "upload"), allow(dead_code, reason = "only bodies compare"))]
    pub(crate) crc: u64,
}

/// What pass one found, and the way to pass two. Cheap to clone.
#[derive(Clone)]
pub struct Measured {
    manifest: Manifest,
    warnings: Arc<[Warning]>,
    /// None: an earlier process measured, and the source is not at hand.
    pub(crate) second: Option<SecondPass>,
}

/// What a second pass needs.
#[derive(Clone)]
pub(crate) struct SecondPass {
    pub(crate) checkpoints: Arc<[Checkpoint]>,
    pub(crate) table: Arc<Table>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) options: Options,
    #[cfg(feature = "upload")]
    pub(crate) parked: super::stream::Parked,
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
    pub(crate) fn checkpoint_before(&self, at: u64, key: impl Fn(&Base) -> u64) -> &Checkpoint {
        let n = self.checkpoints.partition_point(|checkpoint| key(&checkpoint.start.base) <= at);
        // several may share a position (chunks without output): the last of them is the nearest
        &self.checkpoints[n.saturating_sub(1)]
    }
}

/// Pass one: converts, counts and digests every record, and throws the output away.
///
/// # Errors
/// As [`super::convert`]; `SourceChanged` where the source changed meanwhile.
pub fn measure(
    table: &Arc<Table>,
    plan: &Arc<Plan>,
    split: &Split,
    options: &Options,
    rejects: &mut dyn RejectSink,
) -> Result<Measured> {
    let mut plan = plan.clone();
    loop {
        options.progress.begin_pass();
        let mut measurer = Measurer::new(table, &plan, split, options, &mut *rejects);
        let want = Want {
            data: split.max_part_bytes.is_some() || !split.sent_part_bytes.is_empty(),
            rejects: true,
            rows: false,
            sights: true,
        };
        let (ended, base) = pipeline::run(table, &plan, options, want, &Start::of(table), &mut measurer)
            .inspect_err(|_| measurer.rejects.stopped())?;
        if ended == Ended::Clash {
            match plan.next_separator() {
                Some(next) => {
                    plan = Arc::new(next);
                    rejects.restart()?;
                    continue;
                }
                None => return Err(Error::data("no separator is free of clashes")),
            }
        }
        table.source().verify_unchanged().inspect_err(|_| measurer.rejects.stopped())?;
        return Ok(measurer.finish(base, table, plan.clone(), options));
    }
}

struct Measurer<'a> {
    rejects: Rejects<'a>,
    findings: Findings,
    head: Vec<u8>,
    one_line: bool,
    split: Split,
    parts: Vec<Part>,
    part: Part,
    crc: u64,
    checkpoints: Vec<Checkpoint>,
    most_checkpoints: usize,
    stride: u64,
    chunks: u64,
    /// What precedes the chunk under way, in the input of the chunk before it.
    seam: (Base, u64),
}

impl<'a> Measurer<'a> {
    fn new(
        table: &Table,
        plan: &Plan,
        split: &Split,
        options: &Options,
        rejects: &'a mut dyn RejectSink,
    ) -> Measurer<'a> {
        let head = plan.head().to_vec();
        let part = Measurer::empty_part(&head, 0, 0, 0);
        Measurer {
            rejects: Rejects::new(rejects),
            findings: Findings::default(),
            one_line: plan.one_line_a_record(),
            split: split.clone(),
            parts: Vec::new(),
            part,
            head,
            crc: 0,
            checkpoints: Vec::new(),
            most_checkpoints: options.bounds.checkpoints.max(2),
            stride: 1,
            chunks: 0,
            seam: (Base::at_start(table), 0),
        }
    }

    fn empty_part(head: &[u8], index: usize, first_record: u64, at: u64) -> Part {
        Part { index, bytes: head.len() as u64, records: 0, first_record, crc: crc::of(head), at }
    }

    fn add(&mut self, bytes: u64, records: u64, crc: u64) {
        self.part.bytes += bytes;
        self.part.records += records;
        self.part.crc = crc::combine(self.part.crc, crc, bytes);
        self.crc = crc::combine(self.crc, crc, bytes);
    }

    /// The largest size of the part under way.
    fn limit(&self) -> u64 {
        let sent = self.split.sent_part_bytes.get(self.part.index).copied();
        sent.or(self.split.max_part_bytes).unwrap_or(u64::MAX)
    }

    fn next_part(&mut self) {
        let at = self.part.at + self.part.bytes - self.head.len() as u64;
        let next =
            Measurer::empty_part(&self.head, self.part.index + 1, self.part.first_record + self.part.records, at);
        self.parts.push(std::mem::replace(&mut self.part, next));
    }

    fn finish(mut self, base: Base, table: &Arc<Table>, plan: Arc<Plan>, options: &Options) -> Measured {
        if self.part.records > 0 || self.parts.is_empty() {
            self.next_part();
        }
        let digest = self.parts.iter().fold(0, |digest, part| crc::combine(digest, part.crc, part.bytes));
        if self.checkpoints.is_empty() {
            self.checkpoints.push(Checkpoint { start: Start::of(table), crc: 0 });
        }
        let counts = Counts { reject_reasons: self.rejects.reasons, ..base.counts };
        let warnings = self.findings.warnings(&plan, table, &counts).into();
        let manifest = Manifest {
            counts,
            parts: self.parts,
            digest,
            separator: plan.separator(),
            source_bytes: table.source().stored_bytes(),
            content: (base.out_bytes, self.crc),
        };
        let second = SecondPass {
            checkpoints: self.checkpoints.into(),
            table: table.clone(),
            plan,
            options: options.clone(),
            #[cfg(feature = "upload")]
            parked: Arc::default(),
        };
        Measured { manifest, warnings, second: Some(second) }
    }
}

impl Consumer for Measurer<'_> {
    fn slab(&mut self, slab: Slab) -> Result<bool> {
        let Some(data) = &slab.data else {
            self.add(slab.bytes, slab.records, slab.crc);
            return Ok(true);
        };
        if self.part.bytes + slab.bytes <= self.limit() {
            self.add(slab.bytes, slab.records, slab.crc);
            return Ok(true);
        }
        let mut rest = data.as_ref();
        while !rest.is_empty() {
            let limit = self.limit();
            let room = usize::try_from(limit.saturating_sub(self.part.bytes)).unwrap_or(usize::MAX);
            let end = encode::cut(rest, room, self.one_line);
            let records = encode::count_records(&rest[..end], self.one_line);
            if end == 0 && self.part.records == 0 {
                return Err(Error::data(format!("a record does not fit into a part of {limit} bytes"))
                    .with_hint("raise destination.max_part_bytes"));
            }
            self.add(end as u64, records, crc::of(&rest[..end]));
            rest = &rest[end..];
            if !rest.is_empty() {
                self.next_part();
            }
        }
        Ok(true)
    }

    fn sights(&mut self, sights: &Sights, base: &Base) {
        self.findings.add(sights, base);
    }

    fn rows(&mut self, rows: &Rows, base: &Base, table: &Table) -> Result<bool> {
        for row in &rows.items {
            if let RowKind::Rejected { code, .. } = row.what {
                self.findings.rejected(code, base.input, base.record + row.record + 1);
            }
        }
        self.rejects.take(rows, base, table)?;
        Ok(true)
    }

    fn chunk_end(&mut self, mark: Mark, base: &Base, table: &Table) -> Result<bool> {
        self.rejects.chunk_end(base);
        let (mut before, crc) = std::mem::replace(&mut self.seam, (base.clone(), self.crc));
        if self.chunks.is_multiple_of(self.stride) {
            if self.checkpoints.len() == self.most_checkpoints {
                let mut n = 0;
                self.checkpoints.retain(|_| {
                    n += 1;
                    n % 2 == 1
                });
                self.stride *= 2;
            }
            if self.chunks.is_multiple_of(self.stride) {
                before.enter(mark.input, table);
                self.checkpoints.push(Checkpoint { start: Start { mark, base: before }, crc });
            }
        }
        self.chunks += 1;
        Ok(true)
    }
}

/// Rejects on their way to the sink, counted by code.
pub(crate) struct Rejects<'a> {
    sink: &'a mut dyn RejectSink,
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Of the chunks that are over.
    whole: Counts,
    /// Rejected in the chunk under way.
    begun: u64,
}

impl<'a> Rejects<'a> {
    pub(crate) fn new(sink: &'a mut dyn RejectSink) -> Rejects<'a> {
        Rejects { sink, reasons: BTreeMap::new(), whole: Counts::default(), begun: 0 }
    }

    pub(crate) fn take(&mut self, rows: &Rows, base: &Base, table: &Table) -> Result<()> {
        for row in &rows.items {
            let RowKind::Rejected { code, column, reason, splits } = &row.what else { continue };
            match self.reasons.get_mut(*code) {
                Some(n) => *n += 1,
                None => {
                    self.reasons.insert((*code).to_owned(), 1);
                }
            }
            self.begun += 1;
            self.sink.reject(&Reject {
                file: table.source().inputs()[base.input].name(),
                record: base.record + row.record + 1,
                line: base.line + row.line + 1,
                byte: row.byte,
                column: column.and_then(|column| table.columns().get(column as usize)).map(String::as_str),
                code,
                reason: &String::from_utf8_lossy(rows.text(*reason)),
                raw: rows.text(row.raw),
                splits: *splits,
            })?;
        }
        Ok(())
    }
    pub(crate) fn chunk_end(&mut self, base: &Base) {
        self.whole.clone_from(&base.counts);
        self.begun = 0;
    }

    /// The pass ended before the end of the source.
    pub(crate) fn stopped(&mut self) {
        let mut so_far = Counts { reject_reasons: self.reasons.clone(), ..self.whole.clone() };
        so_far.read += self.begun;
        so_far.rejected += self.begun;
        self.sink.stopped(&so_far);
    }
}
