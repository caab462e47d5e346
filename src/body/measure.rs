//! Pass one: counts, digest, parts, checkpoints, rejects.

use super::batch::{Collect, RowLog, RowOutcome};
use super::checkpoint::Checkpoint;
use super::findings::Findings;
use super::measured::{Measured, SecondPass};
use super::order::{Consumer, Ended};
use super::run::run_pass;
use super::sink::CountingSink;
use super::slab::Slab;
use super::totals::{Start, Totals};
use super::{Counts, Manifest, Options, Part, RejectSink, Split, crc};
use crate::encode;
use crate::error::{Error, Result};
use crate::format::{ChunkId, Table, Tabular};
use crate::mapping::{Plan, Sights};
use std::sync::Arc;

/// Pass one: converts, counts and digests every record, and throws the output away.
///
/// # Errors
/// As [`super::convert`]; `SourceChanged` if the source changed meanwhile.
pub fn measure(
    table: &Table,
    plan: &Arc<Plan>,
    split: &Split,
    options: &Options,
    rejects: &mut dyn RejectSink,
) -> Result<Measured> {
    let mut plan = plan.clone();
    loop {
        options.progress.begin_pass();
        let mut measurer = Measurer::new(table.tabular(), &plan, split, options, &mut *rejects);
        let collect = Collect {
            data: split.max_part_bytes.is_some() || !split.sent_part_bytes.is_empty(),
            rejects: true,
            rows: false,
            sights: true,
        };
        let (ended, totals) = run_pass(table, &plan, options, collect, &Start::of(table.tabular()), &mut measurer)
            .inspect_err(|_| measurer.rejects.stopped())?;
        if ended == Ended::Clash {
            match plan.next_separator() {
                Some(next) => {
                    plan = Arc::new(next);
                    rejects.restart()?;
                    continue;
                }
                None => return Err(Error::data("every candidate separator (tab, |, ; and ,) occurs in a value")),
            }
        }
        table.source().verify_unchanged().inspect_err(|_| measurer.rejects.stopped())?;
        return Ok(measurer.finish(totals, table, plan.clone(), options));
    }
}

struct Measurer<'a> {
    rejects: CountingSink<'a>,
    findings: Findings,
    head: Vec<u8>,
    one_line: bool,
    split: Split,
    parts: Vec<Part>,
    part: Part,
    crc: u64,
    checkpoints: Vec<Checkpoint>,
    max_checkpoints: usize,
    stride: u64,
    chunks: u64,
    /// Totals and CRC before the current chunk; the totals are still in the input of the chunk before it.
    seam: (Totals, u64),
}

impl<'a> Measurer<'a> {
    fn new(
        table: &dyn Tabular,
        plan: &Plan,
        split: &Split,
        options: &Options,
        rejects: &'a mut dyn RejectSink,
    ) -> Measurer<'a> {
        let head = plan.head().to_vec();
        let part = Measurer::empty_part(&head, 0, 0, 0);
        Measurer {
            rejects: CountingSink::new(rejects),
            findings: Findings::default(),
            one_line: plan.one_line_a_record(),
            split: split.clone(),
            parts: Vec::new(),
            part,
            head,
            crc: 0,
            checkpoints: Vec::new(),
            max_checkpoints: options.bounds.checkpoints.max(2),
            stride: 1,
            chunks: 0,
            seam: (Totals::at_start(table), 0),
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

    fn finish(mut self, totals: Totals, table: &Table, plan: Arc<Plan>, options: &Options) -> Measured {
        if self.part.records > 0 || self.parts.is_empty() {
            self.next_part();
        }
        let digest = self.parts.iter().fold(0, |digest, part| crc::combine(digest, part.crc, part.bytes));
        if self.checkpoints.is_empty() {
            self.checkpoints.push(Checkpoint { start: Start::of(table.tabular()), crc: 0 });
        }
        let counts = Counts { reject_reasons: self.rejects.reasons, ..totals.counts };
        let warnings = self.findings.warnings(&plan, table.tabular(), &counts).into();
        let manifest = Manifest {
            counts,
            parts: self.parts,
            digest,
            separator: plan.separator(),
            source_bytes: table.source().stored_bytes(),
            content: (totals.out_bytes, self.crc),
        };
        let second = SecondPass {
            checkpoints: self.checkpoints.into(),
            table: table.clone(),
            plan,
            options: options.clone(),
            #[cfg(feature = "upload")]
            idle: Arc::default(),
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

    fn sights(&mut self, sights: &Sights, totals: &Totals) {
        self.findings.add(sights, totals);
    }

    fn rows(&mut self, rows: &RowLog, totals: &Totals, table: &dyn Tabular) -> Result<bool> {
        for row in &rows.items {
            if let RowOutcome::Rejected(error) = &row.outcome {
                let place = (totals.input, totals.record + row.record + 1);
                self.findings.rejected(error.code, place, rows.bytes(row.kept));
            }
        }
        self.rejects.take(rows, totals, table)?;
        Ok(true)
    }

    fn chunk_end(&mut self, chunk: ChunkId, totals: &Totals, table: &dyn Tabular) -> Result<bool> {
        self.rejects.chunk_end(totals);
        let (mut before, crc) = std::mem::replace(&mut self.seam, (totals.clone(), self.crc));
        if self.chunks.is_multiple_of(self.stride) {
            if self.checkpoints.len() == self.max_checkpoints {
                let mut n = 0;
                self.checkpoints.retain(|_| {
                    n += 1;
                    n % 2 == 1
                });
                self.stride *= 2;
            }
            if self.chunks.is_multiple_of(self.stride) {
                before.enter(chunk.input, table);
                self.checkpoints.push(Checkpoint { start: Start { chunk, totals: before }, crc });
            }
        }
        self.chunks += 1;
        Ok(true)
    }
}
