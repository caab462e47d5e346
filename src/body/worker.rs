//! One chunk: read, seam, scan, map, encode. What comes out is relative to the chunk; the ordered stage adds the bases.

use super::grid::{Chunk, ChunkKind, first_read, is_large, next_want};
use super::large::{LARGE_ROW_BYTES, Tools};
use super::slab::{Pool, QUEUED_SLABS, SLAB_BYTES, Slab};
use super::{Bounds, crc, pipeline::Shared};
use crate::buffer::OutBuf;
use crate::error::{Error, Kind, Result};
use crate::mapping::{Outcome, Scratch, Sights};
use crate::reader::Record;
use crate::reader::kernel::{End, Malformed, Visit};
use crate::scan::count_lines;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The byte order mark of UTF-8.
const BOM: [u8; 3] = *b"\xEF\xBB\xBF";

/// What a pass wants beside the output's length and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// The output itself.
    pub(crate) data: bool,
    /// Rejected records with their positions.
    pub(crate) rejects: bool,
    /// Written records with their positions and output.
    pub(crate) rows: bool,
    /// What warnings are about.
    pub(crate) sights: bool,
}

/// What became of the records of a chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) filtered: u64,
    pub(crate) rejected: u64,
    pub(crate) blank: u64,
    /// Records that are a header again, or begin with a byte order mark.
    pub(crate) joined: u64,
    /// The first of them, in the chunk, from 0.
    pub(crate) first_joined: u64,
}

/// Rejected (and, where wanted, written) records, in order; texts in one arena.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) items: Vec<Row>,
    pub(crate) arena: Vec<u8>,
}

pub(crate) struct Row {
    /// In the chunk, from 0.
    pub(crate) record: u64,
    /// Physical lines of the chunk before it.
    pub(crate) line: u64,
    /// In the decompressed content.
    pub(crate) byte: u64,
    pub(crate) raw: (u32, u32),
    pub(crate) what: RowKind,
}

pub(crate) enum RowKind {
    Written { output: (u32, u32) },
    Rejected { code: &'static str, column: Option<u32>, reason: (u32, u32), splits: bool },
}

impl Rows {
    pub(crate) fn text(&self, range: (u32, u32)) -> &[u8] {
        &self.arena[range.0 as usize..range.1 as usize]
    }

    fn keep(&mut self, bytes: &[u8]) -> (u32, u32) {
        let from = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        (from, self.arena.len() as u32)
    }

    fn is_large(&self, bounds: &Bounds) -> bool {
        self.arena.len() > bounds.row_bytes || self.items.len() > bounds.rows
    }
}

/// The part of a chunk that is ready for the ordered stage.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) slabs: Vec<Slab>,
    pub(crate) rows: Rows,
}

/// What ends a pass at a chunk, with what is known of the place relative to it.
pub(crate) struct Fatal {
    pub(crate) error: Error,
    pub(crate) record: Option<u64>,
    pub(crate) line: Option<u64>,
    pub(crate) byte: Option<u64>,
}

impl From<Error> for Fatal {
    fn from(error: Error) -> Fatal {
        Fatal { error, record: None, line: None, byte: None }
    }
}

/// Why a chunk was not finished.
pub(crate) enum Stop {
    /// The pass is being stopped by somebody else.
    Stopped,
    /// The separator on trial occurs in a value.
    Clash,
    Fatal(Fatal),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Fatal(error.into())
    }
}

/// A finished chunk.
pub(crate) struct Finished {
    pub(crate) tally: Tally,
    pub(crate) lines: u64,
    /// Whether a quoted cell was open at its seam.
    pub(crate) inside: bool,
    /// Bytes of decompressed content up to the next seam.
    pub(crate) bytes: u64,
    /// What warnings are about, if the pass wants it.
    pub(crate) sights: Option<Sights>,
}

/// A converting thread.
pub(crate) struct Worker {
    pub(crate) tools: Tools,
    /// Its own tools, while it has the large ones.
    small: Option<Tools>,
}

impl Worker {
    pub(crate) fn new(tools: Tools) -> Worker {
        Worker { tools, small: None }
    }

    /// Takes over the large tools for a chunk that lies in their buffer already; `tools` has this thread's own.
    pub(crate) fn use_large(&mut self, mut tools: Tools) {
        let Tools { kernel, scratch, own, .. } = &mut self.tools;
        std::mem::swap(kernel, &mut tools.kernel);
        std::mem::swap(scratch, &mut tools.scratch);
        std::mem::swap(own, &mut tools.own);
        self.small = Some(tools);
    }

    /// Before the buffer grows to `want` bytes: much more than a chunk needs the large tools, which are for the head.
    fn enlarge(&mut self, shared: &Shared<'_, '_>, seq: u64, want: usize) -> Result<bool, Stop> {
        if self.small.is_some() || !is_large(want, shared.grid_cell) {
            return Ok(false);
        }
        shared.wait_for_head(seq).map_err(|()| Stop::Stopped)?;
        let mut tools = shared.large.take_tools().unwrap_or_else(|| Tools::new(shared.kernel()));
        tools.buffer.copy_from(&self.tools.buffer);
        self.small = Some(std::mem::replace(&mut self.tools, tools));
        Ok(true)
    }

    /// After a chunk: the next one at the head may have them.
    pub(crate) fn give_back_large(&mut self, shared: &Shared<'_, '_>) {
        if let Some(small) = self.small.take() {
            shared.large.give_back_tools(std::mem::replace(&mut self.tools, small));
        }
    }

    /// What a chunk is written to.
    fn out(&mut self, shared: &Shared<'_, '_>, seq: u64) -> Result<OutBuf, Stop> {
        if !shared.want.data {
            return Ok(std::mem::take(&mut self.tools.own));
        }
        let large = if self.small.is_some() { shared.pool.take_large() } else { None };
        large.or_else(|| shared.take_slab(seq)).ok_or(Stop::Stopped)
    }

    /// Converts a claimed chunk; batches that cannot wait go to the ordered stage when the chunk is at the head.
    pub(crate) fn chunk(&mut self, shared: &Shared<'_, '_>, chunk: Chunk, batch: &mut Batch) -> Result<Finished, Stop> {
        let seam = match chunk.kind {
            ChunkKind::Plain { cell } => self.seams(shared, chunk, cell)?,
            ChunkKind::Stream => {
                shared.publish(chunk.seq, false);
                Seams { from: 0, to: self.tools.buffer.filled(), inside: false }
            }
        };
        let bytes = (seam.to - seam.from) as u64;
        if seam.from == seam.to {
            return Ok(Finished { tally: Tally::default(), lines: 0, inside: seam.inside, bytes, sights: None });
        }
        match shared.want.sights {
            true => self.convert::<true>(shared, chunk, &seam, batch),
            false => self.convert::<false>(shared, chunk, &seam, batch),
        }
    }

    /// Converts the records between two seams; with `WATCH` it looks at them for warnings.
    fn convert<const WATCH: bool>(
        &mut self,
        shared: &Shared<'_, '_>,
        chunk: Chunk,
        seam: &Seams,
        batch: &mut Batch,
    ) -> Result<Finished, Stop> {
        let bytes = (seam.to - seam.from) as u64;
        if WATCH {
            self.tools.scratch.watch(shared.plan);
        }
        let out = self.out(shared, chunk.seq)?;
        let mut convert = Convert::<WATCH> {
            shared,
            seq: chunk.seq,
            input: chunk.input,
            longest: usize::try_from(shared.table.options().max_record_bytes).unwrap_or(usize::MAX),
            slab_bytes: shared.options.bounds.slab_bytes,
            header: shared.table.header_line(),
            header_len: shared.table.header_line().len(),
            out,
            records: 0,
            bytes: 0,
            crc: 0,
            batch,
            scratch: std::mem::take(&mut self.tools.scratch),
            share: shared.share,
            tally: Tally::default(),
            origin: chunk.offset + seam.from as u64,
            counted: 0,
            lines: 0,
        };
        let mut from = seam.from;
        let mut inside = seam.inside;
        let (mut limit, mut lines) = (seam.to - seam.from, 0);
        loop {
            let view = self.tools.buffer.view(from, self.tools.buffer.filled());
            let end = self.tools.kernel.run(view, limit, inside, self.tools.buffer.ended, &mut convert)?;
            lines += end.lines;
            let Some(open) = end.open else {
                if shared.alone {
                    shared.publish(chunk.seq, end.crosses);
                }
                break;
            };
            // the record that crosses the seam goes on behind what was read
            let held = (self.tools.buffer.filled() - from - open) as u64;
            let most = shared.table.options().max_record_bytes;
            if self.tools.buffer.ended || held > most {
                let fatal = self.never_ends(shared, chunk, from + open, &end, lines, convert.tally.read);
                return Err(Stop::Fatal(fatal));
            }
            convert.rebase(open, lines);
            from += open;
            limit -= open;
            inside = false;
            // no more of it than the longest record has
            let most = from.saturating_add(most as usize).saturating_add(1).max(self.tools.buffer.filled() + 1);
            let want = (from + next_want(held as usize)).max(self.tools.buffer.filled() + (16 << 10)).min(most);
            if self.enlarge(shared, chunk.seq, want)? {
                convert.use_large(self)?;
            }
            self.extend(shared, chunk, want)?;
        }
        let (tally, out, scratch) = convert.finish();
        self.tools.scratch = scratch;
        let sights = WATCH.then(|| self.tools.scratch.sights());
        if !shared.want.data {
            self.tools.own =
                if out.capacity() > 4 * SLAB_BYTES && self.small.is_none() { OutBuf::default() } else { out };
        }
        if self.small.is_none() {
            self.tools.buffer.shrink(shared.grid_cell);
        }
        Ok(Finished { tally, lines, inside: seam.inside, bytes, sights })
    }

    fn extend(&mut self, shared: &Shared<'_, '_>, chunk: Chunk, want: usize) -> Result<(), Stop> {
        let input = &shared.table.source().inputs()[chunk.input];
        Ok(self.tools.buffer.read_plain(input, chunk.offset, input.stored_bytes(), want)?)
    }

    /// Reads a plain chunk and finds its seams and the state at them.
    fn seams(&mut self, shared: &Shared<'_, '_>, chunk: Chunk, cell: usize) -> Result<Seams, Stop> {
        self.extend(shared, chunk, first_read(cell))?;
        let from = if chunk.index == 0 { Some(0) } else { self.line_end(shared, chunk, 0, cell)? };
        let Some(from) = from else {
            // no line ends in this cell: its seam is the next one's
            let inside = shared.await_state(chunk).ok_or(Stop::Stopped)?;
            shared.publish(chunk.seq, inside);
            return Ok(Seams { from: 0, to: 0, inside });
        };
        let most = usize::try_from(shared.table.options().max_record_bytes).unwrap_or(usize::MAX);
        let to = match self.line_end(shared, chunk, cell, cell.saturating_add(most).saturating_add(1))? {
            Some(to) => to,
            // it ends before, or the record that stands here is too long, as the kernel will find
            None => self.tools.buffer.filled(),
        };
        let to = to.max(from);
        if shared.alone {
            // nobody waits for the state at the next seam: converting tells it
            let inside = shared.await_state(chunk).ok_or(Stop::Stopped)?;
            if from == to {
                shared.publish(chunk.seq, inside);
            }
            return Ok(Seams { from, to, inside });
        }
        let scanner = shared.table.scanner();
        let outside = scanner.inside_after(self.tools.buffer.view(from, to), false);
        let inside = shared.await_state(chunk).ok_or(Stop::Stopped)?;
        let after = if inside { scanner.inside_after(self.tools.buffer.view(from, to), true) } else { outside };
        shared.publish(chunk.seq, after);
        Ok(Seams { from, to, inside })
    }

    /// The position behind the first line end in `from..to`; reads on as far as `to` where it must. `None`: there is none.
    fn line_end(
        &mut self,
        shared: &Shared<'_, '_>,
        chunk: Chunk,
        mut from: usize,
        to: usize,
    ) -> Result<Option<usize>, Stop> {
        loop {
            let upto = self.tools.buffer.filled().min(to);
            if let Some(at) =
                self.tools.buffer.bytes().get(from..upto).and_then(|text| memchr::memchr2(b'\n', b'\r', text))
            {
                let at = from + at;
                if self.tools.buffer.bytes()[at] == b'\r' {
                    if at + 1 == self.tools.buffer.filled() && !self.tools.buffer.ended {
                        self.extend(shared, chunk, at + 2)?;
                    }
                    if self.tools.buffer.bytes().get(at + 1) == Some(&b'\n') {
                        return Ok(Some(at + 2));
                    }
                }
                return Ok(Some(at + 1));
            }
            if self.tools.buffer.ended || self.tools.buffer.filled() >= to {
                return Ok(None);
            }
            from = from.max(upto);
            let filled = self.tools.buffer.filled();
            let want = next_want(filled).min(to.max(filled + 1));
            self.enlarge(shared, chunk.seq, want)?;
            self.extend(shared, chunk, want)?;
        }
    }

    /// A record that has no end within the bound or the input.
    #[cold]
    fn never_ends(
        &self,
        shared: &Shared<'_, '_>,
        chunk: Chunk,
        start: usize,
        end: &End,
        lines: u64,
        records: u64,
    ) -> Fatal {
        let record = &self.tools.buffer.bytes()[start..];
        let options = shared.table.options();
        let opened = end.inside.then(|| opening_quote(record, options.quote, options.delimiter)).flatten();
        let line = lines + opened.map_or(0, |at| count_lines(&record[..at]));
        let limit = options.max_record_bytes;
        let error = if end.inside && self.tools.buffer.ended {
            Error::new(Kind::Data, "the quote that opens here is never closed: the source ends inside it")
                .with_hint("close the quote, or double it where it is part of the value")
        } else if end.inside {
            Error::new(
                Kind::Data,
                format!("the quote that opens here is not closed within {limit} bytes (source.max_record_bytes)"),
            )
            .with_hint("close the quote, or raise source.max_record_bytes if records are really that long")
        } else {
            longer_than(limit)
        };
        Fatal { error, record: Some(records), line: Some(line), byte: Some(chunk.offset + start as u64) }
    }
}

fn longer_than(limit: u64) -> Error {
    Error::new(Kind::Data, format!("the record is longer than {limit} bytes (source.max_record_bytes)"))
        .with_hint("a quote that never closes? else raise source.max_record_bytes")
}

struct Seams {
    from: usize,
    to: usize,
    inside: bool,
}

/// The position of the quote that is open at the end of `record`, which starts outside quotes.
fn opening_quote(record: &[u8], quote: Option<u8>, delimiter: u8) -> Option<usize> {
    let quote = quote?;
    // a quote opens where a cell starts, or right behind one that closed
    let (mut open, mut may_open) = (None, true);
    for (at, &byte) in record.iter().enumerate() {
        if open.is_some() {
            may_open = byte == quote;
            if may_open {
                open = None;
            }
        } else if byte == quote && may_open {
            open = Some(at);
        } else {
            may_open = byte == delimiter;
        }
    }
    open
}

/// The visitor: runs the plan and seals slabs.
struct Convert<'w, 's, 'a, 'c, const WATCH: bool> {
    shared: &'s Shared<'a, 'c>,
    seq: u64,
    /// The input of the chunk.
    input: usize,
    /// `max_record_bytes`.
    longest: usize,
    /// An output of that size is sealed.
    slab_bytes: usize,
    /// The header line and its length.
    header: &'s [u8],
    header_len: usize,
    out: OutBuf,
    /// In `out`.
    records: u64,
    /// Digested and thrown away, where no data is wanted.
    bytes: u64,
    crc: u64,
    batch: &'w mut Batch,
    scratch: Scratch,
    /// See [`is_sampled`].
    share: u32,
    tally: Tally,
    /// Offset of the kernel's input in the decompressed content.
    origin: u64,
    /// Lines before this position of the kernel's input.
    counted: usize,
    lines: u64,
}

impl<const WATCH: bool> Convert<'_, '_, '_, '_, WATCH> {
    /// From now on the text starts `by` bytes later, behind `lines` physical lines of the chunk.
    fn rebase(&mut self, by: usize, lines: u64) {
        self.origin += by as u64;
        self.counted = 0;
        self.lines = lines;
    }

    /// Goes on with the large tools, which `worker` has borrowed.
    fn use_large(&mut self, worker: &mut Worker) -> Result<(), Stop> {
        self.seal()?;
        let Worker { tools, small: Some(small) } = worker else { return Ok(()) };
        std::mem::swap(&mut self.scratch, &mut small.scratch);
        std::mem::swap(&mut self.scratch, &mut tools.scratch);
        self.scratch.take_sights_of(&mut small.scratch);
        if !self.shared.want.data {
            std::mem::swap(&mut self.out, &mut small.own);
            std::mem::swap(&mut self.out, &mut tools.own);
        } else if let Some(large) = self.shared.pool.take_large() {
            self.shared.pool.give_back(std::mem::replace(&mut self.out, large).into_vec());
        }
        Ok(())
    }

    fn row(
        &mut self,
        text: &[u8],
        start: usize,
        end: usize,
        what: impl FnOnce(&mut Rows) -> RowKind,
    ) -> Result<(), Stop> {
        self.lines += count_lines(&text[self.counted..start]);
        self.counted = start;
        if end - start > LARGE_ROW_BYTES {
            self.flush()?;
            self.batch.rows = self.shared.large.take_rows();
        }
        let rows = &mut self.batch.rows;
        let raw = rows.keep(&text[start..end]);
        let what = what(rows);
        rows.items.push(Row {
            record: self.tally.read - 1,
            line: self.lines,
            byte: self.origin + start as u64,
            raw,
            what,
        });
        if rows.is_large(&self.shared.options.bounds) { self.flush() } else { Ok(()) }
    }

    /// A record that lies whole in the chunk and is too long all the same: the limit knows no chunks.
    #[cold]
    #[inline(never)]
    fn too_long(&mut self, text: &[u8], start: usize) -> Stop {
        Stop::Fatal(Fatal {
            error: longer_than(self.longest as u64),
            record: Some(self.tally.read),
            line: Some(self.lines + count_lines(&text[self.counted..start])),
            byte: Some(self.origin + start as u64),
        })
    }

    /// Counts a record that shows that files were joined: a byte order mark or the header line inside.
    #[cold]
    #[inline(never)]
    fn joined(&mut self, record: &[u8]) {
        let text = record.strip_prefix(&BOM);
        if text.is_some() || (record == self.header && !record.is_empty()) {
            if self.tally.joined == 0 {
                self.tally.first_joined = self.tally.read - 1;
            }
            self.tally.joined += 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn reject(&mut self, text: &[u8], start: usize, end: usize, splits: bool) -> Result<(), Stop> {
        self.tally.rejected += 1;
        self.scratch.forget();
        if !self.shared.want.rejects {
            return Ok(());
        }
        let fault = std::mem::take(&mut self.scratch.fault);
        self.row(text, start, end, |rows| {
            let reason = rows.keep(fault.reason.as_bytes());
            RowKind::Rejected { code: fault.code, column: fault.column.map(|column| column as u32), reason, splits }
        })
    }

    /// Hands over what there is; only the head may.
    fn flush(&mut self) -> Result<(), Stop> {
        self.shared.wait_for_head(self.seq).map_err(|()| Stop::Stopped)?;
        self.shared.consume(self.input, self.batch)?;
        Ok(())
    }

    #[inline(never)]
    fn seal(&mut self) -> Result<(), Stop> {
        if self.out.is_empty() {
            return Ok(());
        }
        let crc = crc::of(self.out.bytes());
        let len = self.out.len() as u64;
        if !self.shared.want.data {
            self.crc = crc::combine(self.crc, crc, len);
            self.bytes += len;
            self.out.truncate(0);
            return Ok(());
        }
        let records = std::mem::take(&mut self.records);
        let out = std::mem::take(&mut self.out);
        let data = Some(Pool::seal(&self.shared.pool, out));
        self.batch.slabs.push(Slab { bytes: len, records, crc, data });
        if self.shared.at_head(self.seq) {
            self.shared.consume(self.input, self.batch)?;
        }
        match self.shared.try_take_slab(self.seq) {
            Some(out) => self.out = out,
            None => {
                // no memory left for those who are early: wait for our turn, then stream
                self.flush()?;
                self.out = self.shared.take_slab(self.seq).ok_or(Stop::Stopped)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> (Tally, OutBuf, Scratch) {
        if !self.out.is_empty() {
            let crc = crc::of(self.out.bytes());
            let len = self.out.len() as u64;
            if self.shared.want.data {
                let out = std::mem::take(&mut self.out);
                let data = Some(Pool::seal(&self.shared.pool, out));
                self.batch.slabs.push(Slab { bytes: len, records: self.records, crc, data });
            } else {
                self.crc = crc::combine(self.crc, crc, len);
                self.bytes += len;
                self.out.truncate(0);
            }
        } else if self.shared.want.data {
            self.shared.pool.give_back(std::mem::take(&mut self.out).into_vec());
        }
        if !self.shared.want.data && self.bytes > 0 {
            self.batch.slabs.push(Slab { bytes: self.bytes, records: self.records, crc: self.crc, data: None });
        }
        (self.tally, self.out, self.scratch)
    }
}

impl<const WATCH: bool> Visit for Convert<'_, '_, '_, '_, WATCH> {
    type Stop = Stop;

    #[inline(always)]
    fn record(&mut self, record: &Record<'_>) -> Result<(), Stop> {
        let (start, _) = record.span(0);
        let length = record.raw_record().len();
        if length > self.longest {
            return Err(self.too_long(record.input().bytes(), start));
        }
        self.tally.read += 1;
        // one comparison for a header line with and without a byte order mark before it, one for the mark alone
        if length.wrapping_sub(self.header_len) & !3 == 0 || record.input().bytes().get(start) == Some(&BOM[0]) {
            self.joined(record.raw_record());
        }
        let before = self.out.len();
        match self.shared.plan.run_watching::<WATCH>(record, &mut self.out, &mut self.scratch) {
            Outcome::Written => {
                self.tally.written += 1;
                if WATCH {
                    if self.scratch.is_pending() {
                        self.scratch.commit(self.tally.read - 1);
                    }
                    if is_sampled(self.tally.read, self.share) {
                        self.shared.plan.sample(record, &mut self.scratch);
                    }
                }
                self.records += 1;
                if self.shared.want.rows {
                    let raw = record.raw_record();
                    let (start, _) = record.span(0);
                    let out = std::mem::take(&mut self.out);
                    let shown = self.row(record.input().bytes(), start, start + raw.len(), |rows| RowKind::Written {
                        output: rows.keep(&out.bytes()[before..]),
                    });
                    self.out = out;
                    shown?;
                }
                if self.out.len() >= self.slab_bytes { self.seal() } else { Ok(()) }
            }
            Outcome::Filtered => {
                self.tally.filtered += 1;
                if WATCH {
                    self.scratch.forget();
                }
                Ok(())
            }
            Outcome::Rejected => {
                let (start, _) = record.span(0);
                self.reject(record.input().bytes(), start, start + record.raw_record().len(), true)
            }
            Outcome::Clash => Err(Stop::Clash),
        }
    }

    #[cold]
    fn malformed(&mut self, text: &[u8], start: usize, end: usize, why: Malformed) -> Result<(), Stop> {
        if end - start > self.longest {
            return Err(self.too_long(text, start));
        }
        self.tally.read += 1;
        self.joined(&text[start..end]);
        let columns = self.shared.table.columns().len();
        let fault = &mut self.scratch.fault;
        fault.column = None;
        match why {
            Malformed::Ragged(found) => {
                fault.code = "ragged";
                fault.reason = format!("{found} cells where the header has {columns}");
            }
            Malformed::AfterQuote => {
                fault.code = "text_after_quote";
                fault.reason = "text between a closing quote and the next delimiter".to_owned();
            }
        }
        self.reject(text, start, end, false)
    }

    fn blank(&mut self) {
        self.tally.blank += 1;
    }
}

/// Whether a record, by its number in the chunk, is one of the `share` of 2^32 that are looked at for frequent identifiers:
/// spread evenly, and in step with nothing that recurs in the list.
#[inline(always)]
fn is_sampled(record: u64, share: u32) -> bool {
    (record as u32).wrapping_mul(0x9E37_79B1) <= share
}

/// Whether the user asked to stop.
pub(crate) fn cancelled(shared: &Shared<'_, '_>) -> bool {
    shared.options.progress.cancelled.load(Ordering::Relaxed)
}

/// A pool of the size that a pass with that many threads needs.
pub(crate) fn pool_for(threads: usize, want: Want) -> Arc<Pool> {
    // where the output leaves, as much again waits for the socket
    Pool::new(4 * threads + 4 + if want.data { 2 * QUEUED_SLABS * threads } else { 0 })
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
