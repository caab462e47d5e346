//! The visitor of a chunk's rows: runs the plan on each row, seals slabs, and logs rejected records.
//!
//! `out` collects output until it is large enough for a slab; `records` is the number of records in it. If the consumer
//! wants no data, sealing only updates `bytes` and `crc`, and the chunk results in one slab without data. `counts` and
//! `joined` cover the chunk so far.

use super::batch::{Batch, JoinedRecords, Stop};
use super::pass::Pass;
use super::slab::{Pool, Slab};
use super::spare::{LARGE_ROW_BYTES, Tools};
use super::{Counts, crc};
use crate::buffer::OutBuf;
use crate::format::{Chunk, Format, Host, Visit};
use crate::mapping::{Outcome, Scratch};
use crate::row::{Record, Row, RowError};

/// Converts the rows of one chunk.
pub(super) struct Convert<'w, 'p, 'a, 'c, const WATCH: bool, F: Format> {
    pass: &'p Pass<'a, 'c, F>,
    seq: u64,
    chunk: Chunk,
    /// Size at which the output is sealed.
    slab_bytes: usize,
    out: OutBuf,
    records: u64,
    bytes: u64,
    crc: u64,
    batch: &'w mut Batch,
    scratch: Scratch,
    /// See [`is_sampled`].
    share: u32,
    pub(super) counts: Counts,
    pub(super) joined: JoinedRecords,
    /// The thread's own tools while it uses the large set.
    pub(super) set_aside: Option<Tools<F::Reader>>,
}

impl<'w, 'p, 'a, 'c, const WATCH: bool, F: Format> Convert<'w, 'p, 'a, 'c, WATCH, F> {
    pub(super) fn new(
        pass: &'p Pass<'a, 'c, F>,
        seq: u64,
        chunk: Chunk,
        out: OutBuf,
        scratch: Scratch,
        batch: &'w mut Batch,
    ) -> Self {
        Convert {
            pass,
            seq,
            chunk,
            slab_bytes: pass.ordered.options.bounds.slab_bytes,
            out,
            records: 0,
            bytes: 0,
            crc: 0,
            batch,
            scratch,
            share: pass.share,
            counts: Counts::default(),
            joined: JoinedRecords::default(),
            set_aside: None,
        }
    }

    /// Prepares the log for a record.
    fn before_row(&mut self, record: &impl Record) -> Result<(), Stop> {
        if record.kept_bytes() > LARGE_ROW_BYTES {
            self.flush()?;
            self.batch.rows = self.pass.ordered.spare_rows.take();
        }
        Ok(())
    }

    fn after_row(&mut self) -> Result<(), Stop> {
        let is_large = self.batch.rows.is_large(&self.pass.ordered.options.bounds);
        if is_large { self.flush() } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn reject(&mut self, record: &impl Record, is_split: bool, error: RowError) -> Result<(), Stop> {
        self.counts.rejected += 1;
        self.scratch.forget();
        if !self.pass.collect.rejects {
            return Ok(());
        }
        self.before_row(record)?;
        self.batch.rows.rejected(self.counts.read - 1, record, is_split, error);
        self.after_row()
    }

    /// Logs a record whose output starts at `from`.
    fn show(&mut self, record: &impl Record, from: usize) -> Result<(), Stop> {
        self.before_row(record)?;
        self.batch.rows.written(self.counts.read - 1, record, &self.out.bytes()[from..]);
        self.after_row()
    }

    /// Passes on everything collected so far; only the thread at the head may call it.
    fn flush(&mut self) -> Result<(), Stop> {
        self.pass.ordered.wait_for_head(self.seq)?;
        self.pass.ordered.consume(self.chunk.input, self.batch)
    }

    /// Adds the collected output to the digest if the consumer wants no data.
    fn digest(&mut self, crc: u64) {
        let len = self.out.len() as u64;
        self.crc = crc::combine(self.crc, crc, len);
        self.bytes += len;
        self.out.truncate(0);
    }

    /// Makes a slab of the collected output.
    fn slab(&mut self, crc: u64) {
        let bytes = self.out.len() as u64;
        let records = std::mem::take(&mut self.records);
        let data = Some(Pool::seal(&self.pass.ordered.pool, std::mem::take(&mut self.out)));
        self.batch.slabs.push(Slab { bytes, records, crc, data });
    }

    #[inline(never)]
    fn seal(&mut self) -> Result<(), Stop> {
        if self.out.is_empty() {
            return Ok(());
        }
        let crc = crc::of(self.out.bytes());
        if !self.pass.collect.data {
            self.digest(crc);
            return Ok(());
        }
        self.slab(crc);
        let ordered = &self.pass.ordered;
        if ordered.at_head(self.seq) {
            ordered.consume(self.chunk.input, self.batch)?;
        }
        match ordered.try_take_slab(self.seq) {
            Some(out) => self.out = out,
            None => {
                // no memory is left for threads ahead of the head: waits until this chunk is at the head, then streams
                self.flush()?;
                self.out = ordered.take_slab(self.seq)?;
            }
        }
        Ok(())
    }

    /// Adds the rest to the batch; returns output and scratch for the next chunk.
    pub(super) fn finish(mut self) -> (OutBuf, Scratch) {
        let with_data = self.pass.collect.data;
        if !self.out.is_empty() {
            let crc = crc::of(self.out.bytes());
            if with_data { self.slab(crc) } else { self.digest(crc) }
        } else if with_data {
            self.pass.ordered.pool.give_back(std::mem::take(&mut self.out).into_vec());
        }
        if !with_data && self.bytes > 0 {
            self.batch.slabs.push(Slab { bytes: self.bytes, records: self.records, crc: self.crc, data: None });
        }
        (self.out, self.scratch)
    }
}

impl<const WATCH: bool, F: Format> Host<F::Reader> for Convert<'_, '_, '_, '_, WATCH, F> {
    type Stop = Stop;

    fn state(&mut self) -> Result<u64, Stop> {
        self.pass.state(self.seq, &self.chunk)
    }

    fn publish(&mut self, state: u64) {
        self.pass.seams.publish(self.seq + 1, state);
    }

    fn is_alone(&self) -> bool {
        self.pass.alone
    }

    /// Continues with the large set: the output so far is sealed, and the warnings counted in the chunk are carried
    /// over.
    fn enlarge(&mut self, reader: &mut F::Reader, bytes: usize) -> Result<(), Stop> {
        if self.set_aside.is_some() {
            return Ok(());
        }
        let Some(mut tools) = self.pass.enlarge(self.seq, reader, bytes)? else { return Ok(()) };
        self.seal()?;
        std::mem::swap(&mut self.scratch, &mut tools.scratch);
        self.scratch.take_sights_of(&mut tools.scratch);
        if !self.pass.collect.data {
            std::mem::swap(&mut self.out, &mut tools.own);
        } else {
            let large = self.pass.ordered.pool.take_large();
            self.pass.ordered.pool.give_back(std::mem::replace(&mut self.out, large).into_vec());
        }
        self.set_aside = Some(tools);
        Ok(())
    }
}

impl<const WATCH: bool, F: Format> Visit for Convert<'_, '_, '_, '_, WATCH, F> {
    type Stop = Stop;

    #[inline(always)]
    fn row<R: Row>(&mut self, row: &R) -> Result<(), Stop> {
        self.counts.read += 1;
        let before = self.out.len();
        match self.pass.plan.run_watching::<WATCH, R>(row, &mut self.out, &mut self.scratch) {
            Outcome::Written => {
                self.counts.written += 1;
                if WATCH {
                    if self.scratch.is_pending() {
                        self.scratch.commit(self.counts.read - 1);
                    }
                    if is_sampled(self.counts.read, self.share) {
                        self.pass.plan.sample(row, &mut self.scratch);
                    }
                }
                self.records += 1;
                if self.pass.collect.rows {
                    self.show(row, before)?;
                }
                if self.out.len() >= self.slab_bytes { self.seal() } else { Ok(()) }
            }
            Outcome::Filtered => {
                self.counts.filtered += 1;
                if WATCH {
                    self.scratch.forget();
                }
                Ok(())
            }
            Outcome::Rejected => {
                let error = std::mem::take(&mut self.scratch.error);
                self.reject(row, true, error)
            }
            Outcome::Clash => Err(Stop::Clash),
        }
    }

    #[cold]
    fn malformed<R: Record>(&mut self, record: &R, error: RowError) -> Result<(), Stop> {
        self.counts.read += 1;
        self.reject(record, false, error)
    }

    fn blank(&mut self) {
        self.counts.blank += 1;
    }

    fn joined(&mut self) {
        if self.joined.count == 0 {
            self.joined.first = self.counts.read;
        }
        self.joined.count += 1;
    }
}

/// Returns true if a record, by its number in the chunk, is among the `share` of 2^32 that are examined for frequent
/// identifiers. The sample is spread evenly and unrelated to any period in the list.
#[inline(always)]
fn is_sampled(record: u64, share: u32) -> bool {
    (record as u32).wrapping_mul(0x9E37_79B1) <= share
}

#[cfg(test)]
mod tests {
    use super::is_sampled;

    #[test]
    fn the_sample_is_in_step_with_no_period_of_the_list() {
        for (share, wanted) in [(u32::MAX, 100_000), (u32::MAX / 16, 6250)] {
            let sampled = |period: usize| (0..100_000).step_by(period).filter(|n| is_sampled(*n, share)).count() as u64;
            for period in [1, 2, 3, 4, 5, 7, 8, 10, 12, 16, 32, 64, 100] {
                let (hits, wanted) = (sampled(period), wanted / period as u64);
                assert!(hits.abs_diff(wanted) <= 6 + wanted / 10, "{share} {period}: {hits} of {wanted}");
            }
        }
    }
}
