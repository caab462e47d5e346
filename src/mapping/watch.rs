//! Counts for warnings of the first pass: values that look like markers or accidents.
//!
//! Memory is constant: counters per mapped column, and for each identifier a table of [`BUCKETS`] candidates for the
//! most frequent value. Counters belong to one chunk; the body adds them up in the order of the source, so they do not
//! depend on the number of threads.
//!
//! For speed, a few instructions decide whether a value that is copied unchanged can be one of these, without a branch
//! that depends on the value ([`Watch::look`]). Values that are converted are examined during the conversion. In large
//! sources only a sample of the records is examined for frequent values.

use super::apply::{as_str, is_digest, is_invisible};
use super::spec::Hash;
use crate::buffer::Padded;

/// A finding that is counted for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    NullMarker,
    Scientific,
    DecimalId,
    DoubleHash,
    Invisible,
    TemplateEmptied,
}

impl Sight {
    pub(crate) const ALL: [Sight; 6] = [
        Sight::NullMarker,
        Sight::Scientific,
        Sight::DecimalId,
        Sight::DoubleHash,
        Sight::Invisible,
        Sight::TemplateEmptied,
    ];
}

/// The records of a chunk with something to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    /// Number of the first of them, from 0 in the chunk.
    pub(crate) first: u64,
    /// Number of the last of them, so that a record counts once.
    last: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, record: u64) {
        if self.count == 0 {
            self.first = record;
        } else if self.last == record {
            return;
        }
        self.last = record;
        self.count += 1;
    }
}

/// Indexed by [`Sight`].
pub(crate) type Row = [Seen; Sight::ALL.len()];

/// The counts of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Sights {
    /// Indexed by slot; empty if nothing was found.
    pub(crate) seen: Vec<Row>,
    /// Candidates for the most frequent value, each with the number of its identifier.
    pub(crate) frequent: Vec<(u16, Bucket)>,
    /// Number of records examined for them.
    pub(crate) sampled: u64,
}

/// Instead of a slot or an identifier: none.
pub(super) const NONE: u16 = u16::MAX;
/// Maximum number of watched columns; others are not watched.
pub(super) const MAX_SLOTS: usize = 1024;
/// Maximum number of watched identifiers.
pub(super) const MAX_IDENTIFIERS: usize = 8;

/// Counts while a chunk is converted.
#[derive(Default)]
pub(super) struct Watch {
    slots: usize,
    /// Found in the current record, which may yet be rejected.
    pending: Vec<(u16, Sight)>,
    seen: Vec<Row>,
    frequent: Vec<Frequent>,
    sampled: u64,
}

impl Watch {
    /// Prepares for a chunk.
    pub(super) fn start(&mut self, slots: usize, identifiers: usize) {
        self.slots = slots;
        self.frequent.resize_with(identifiers, Frequent::default);
    }

    /// Returns false if nothing is counted, as in all passes but the first.
    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.slots > 0
    }

    /// Returns the counts since the start of the chunk, and stops watching.
    pub(super) fn take(&mut self) -> Sights {
        self.slots = 0;
        self.pending.clear();
        let mut frequent = Vec::new();
        for (identifier, table) in self.frequent.iter_mut().enumerate() {
            table.drain(|bucket| frequent.push((identifier as u16, bucket)));
        }
        let sampled = std::mem::take(&mut self.sampled);
        Sights { seen: std::mem::take(&mut self.seen), frequent, sampled }
    }

    /// Returns true if something was found in the current record.
    #[inline(always)]
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Drops what was found in the record, because it was not written.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
    }

    /// Counts what was found in the record, because it was written.
    pub(super) fn commit(&mut self, record: u64) {
        self.seen.resize(self.slots, Row::default());
        for (slot, sight) in self.pending.drain(..) {
            if let Some(row) = self.seen.get_mut(usize::from(slot)) {
                row[sight as usize].add(record);
            }
        }
    }

    pub(super) fn saw(&mut self, slot: u16, sight: Sight) {
        if slot != NONE {
            self.pending.push((slot, sight));
        }
    }

    /// Examines a value that is copied unchanged; an identifier must be ASCII.
    #[inline(always)]
    pub(super) fn look(&mut self, slot: u16, identifier: u16, input: Padded<'_>, at: usize, len: usize) {
        let head = input.word(at);
        let key = marker_key(head, len);
        let mut odd = MARKER_TABLE[marker_place(key)] == key;
        if identifier != NONE {
            // the last four bytes
            let tail = match len {
                0..4 => (head as u32).wrapping_shl(32u32.wrapping_sub(8 * len as u32)),
                _ => input.word(at + len - 4) as u32,
            };
            let [_, a, b, c] = tail.to_le_bytes();
            odd |= (a == b'+') | (b == b'.') & (c == b'0');
        }
        if odd {
            self.check(slot, identifier, &input.bytes()[at..at + len]);
        }
    }

    #[cold]
    #[inline(never)]
    fn check(&mut self, slot: u16, identifier: u16, text: &[u8]) {
        self.text(slot, identifier, text);
    }

    /// Examines a text that was converted.
    pub(super) fn text(&mut self, slot: u16, identifier: u16, text: &[u8]) {
        if is_marker(text) {
            self.saw(slot, Sight::NullMarker);
        }
        if identifier == NONE || text.is_empty() {
            return;
        }
        self.number(slot, text);
        if !text.is_ascii() && as_str(text).chars().any(is_invisible) {
            self.saw(slot, Sight::Invisible);
        }
    }

    /// Counts the records that are examined for frequent values.
    pub(super) fn sampled(&mut self) {
        self.sampled += 1;
    }

    /// Counts a value of an identifier.
    pub(super) fn sample(&mut self, identifier: u16, value: &[u8]) {
        if let Some(table) = self.frequent.get_mut(usize::from(identifier)).filter(|_| !value.is_empty()) {
            table.add(key(value));
        }
    }

    /// Examines a text that is about to be hashed.
    pub(super) fn hashed(&mut self, slot: u16, text: &[u8]) {
        if [Hash::Md5, Hash::Sha1, Hash::Sha256].into_iter().any(|hash| is_digest(text, hash)) {
            self.saw(slot, Sight::DoubleHash);
        }
    }

    /// Examines an identifier for forms that spreadsheets and data frames give to numbers.
    pub(super) fn number(&mut self, slot: u16, text: &[u8]) {
        if let Some(sight) = number(text) {
            self.saw(slot, sight);
        }
    }
}

/// Texts that represent a missing value but were not typed by a person. `\N` is one too, but a backslash is never
/// copied unchanged.
const MARKERS: [&[u8]; 8] = [b"NULL", b"null", b"None", b"N/A", b"n/a", b"nan", b"NaN", b"NAN"];

/// Puts a text of up to four bytes into the upper half of a word; the lower half is then empty.
#[inline(always)]
fn marker_key(head: u64, len: usize) -> u64 {
    head.wrapping_shl(64u32.wrapping_sub(8 * len as u32))
}

/// Returns the position of a marker in [`MARKER_TABLE`], which is unique.
#[inline(always)]
const fn marker_place(key: u64) -> usize {
    (key.wrapping_mul(0x5B6E6E307D4BEDD) >> 60) as usize
}

static MARKER_TABLE: [u64; 16] = {
    let mut table = [u64::MAX; 16];
    let mut i = 0;
    while i < MARKERS.len() {
        let (mut key, mut at) = (0u64, 0);
        while at < MARKERS[i].len() {
            key |= (MARKERS[i][at] as u64) << (64 - 8 * MARKERS[i].len() + 8 * at);
            at += 1;
        }
        table[marker_place(key)] = key;
        i += 1;
    }
    table
};

fn is_marker(text: &[u8]) -> bool {
    text.len() <= 4 && (text == b"\\N" || MARKERS.contains(&text))
}

/// Recognises `4.9E+11` and `12.0` as written by spreadsheets and data frames: an exponent of a plus and two digits, or
/// a fraction of one zero.
fn number(text: &[u8]) -> Option<Sight> {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match text.strip_prefix(b"-").unwrap_or(text) {
        [whole @ .., b'.', b'0'] if digits(whole) => Some(Sight::DecimalId),
        [number @ .., b'e' | b'E', b'+', b'0'..=b'9', b'0'..=b'9'] => {
            let mut parts = number.splitn(2, |b| *b == b'.');
            (parts.next().is_some_and(digits) && parts.next().is_none_or(digits)).then_some(Sight::Scientific)
        }
        _ => None,
    }
}

/// Number of buckets in the table of frequent values.
const BUCKETS: usize = 512;
const BUCKET_SHIFT: u32 = 64 - BUCKETS.trailing_zeros();

/// Finds values that occur on many rows: each bucket takes a majority vote (Boyer and Moore) among its values. A value
/// on more than 1 % of the rows has the majority of its bucket, unless the bucket has another such value.
pub(crate) struct Frequent {
    buckets: Box<[Bucket; BUCKETS]>,
}

/// The candidate of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    key: u64,
    votes: u64,
    /// How often `key` occurred since it got the bucket: a lower bound of its total.
    pub(crate) seen: u64,
}

impl Default for Frequent {
    fn default() -> Frequent {
        Frequent { buckets: Box::new([Bucket::default(); BUCKETS]) }
    }
}

impl Frequent {
    fn add(&mut self, key: u64) {
        self.absorb(Bucket { key, votes: 1, seen: 1 });
    }

    /// Adds the candidate of another table's bucket.
    pub(crate) fn absorb(&mut self, other: Bucket) {
        let own = &mut self.buckets[(other.key >> BUCKET_SHIFT) as usize];
        if own.key == other.key && own.seen > 0 {
            own.votes += other.votes;
            own.seen += other.seen;
        } else if own.votes >= other.votes {
            own.votes -= other.votes;
        } else {
            *own = Bucket { votes: other.votes - own.votes, ..other };
        }
    }

    /// Returns a lower bound of how often the most frequent candidate occurred.
    pub(crate) fn most(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.seen).max().unwrap_or(0)
    }

    /// Passes on the candidates and empties the table.
    fn drain(&mut self, mut each: impl FnMut(Bucket)) {
        self.buckets.iter_mut().filter(|bucket| bucket.seen > 0).for_each(|bucket| each(std::mem::take(bucket)));
    }
}

const KEYS: [u64; 3] = [0x9E37_79B9_7F4A_7C15, 0xD1B5_4A32_D192_ED03, 0x8CB9_2BA7_2F3D_8DD7];

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

fn short_key(first: u64, last: u64, len: usize) -> u64 {
    mix(first ^ KEYS[0], last ^ KEYS[1] ^ len as u64)
}

/// Returns the key of a value: equal for equal values, and almost certainly different for others.
fn key(text: &[u8]) -> u64 {
    let len = text.len();
    let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) else {
        let mut word = [0; 8];
        word[..len].copy_from_slice(text);
        return short_key(u64::from_le_bytes(word), 0, len);
    };
    let mut key = short_key(u64::from_le_bytes(*first), u64::from_le_bytes(*last), len);
    if len > 16 {
        for pair in text[8..len - 8].chunks(16) {
            let mut words = [[0u8; 8]; 2];
            for (word, part) in words.iter_mut().zip(pair.chunks(8)) {
                word[..part.len()].copy_from_slice(part);
            }
            key = mix(key ^ u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]) ^ KEYS[2]);
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::SLACK;
    use proptest::prelude::*;

    #[test]
    fn markers_and_numbers_are_told_from_words() {
        for text in ["NULL", "null", "\\N", "N/A", "n/a", "nan", "NaN", "NAN", "None"] {
            assert!(is_marker(text.as_bytes()), "{text}");
            let mut word = [0; 8];
            word[..text.len()].copy_from_slice(text.as_bytes());
            let key = marker_key(u64::from_le_bytes(word), text.len());
            assert!(text == "\\N" || MARKER_TABLE[marker_place(key)] == key, "{text}");
        }
        for text in ["", "N", "Null", "Nan", "none", "NULLA", "Nora", "NA", "n", "\\", "-"] {
            assert!(!is_marker(text.as_bytes()), "{text}");
        }
        for (text, want) in [
            ("4.9E+11", Some(Sight::Scientific)),
            ("4.91234E+11", Some(Sight::Scientific)),
            ("5E+11", Some(Sight::Scientific)),
            ("-1.5e+07", Some(Sight::Scientific)),
            ("4.9e11", None),
            ("1.5e-07", None),
            ("5.E+11", None),
            ("E+11", None),
            ("x5E+11", None),
            ("5E+111", None),
            ("12.0", Some(Sight::DecimalId)),
            ("-12.0", Some(Sight::DecimalId)),
            ("12.00", None),
            ("12", None),
            ("5E11", None),
            ("12.000000000", None),
            ("12.", None),
            ("12.5", None),
            (".0", None),
            ("1e", None),
            ("1e+", None),
            ("12e5x", None),
            ("1.0.0", None),
            ("1,0", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(number(text.as_bytes()), want, "{text}");
        }
    }

    fn feed(table: &mut Frequent, values: impl Iterator<Item = u64>) {
        values.for_each(|value| table.add(key(&value.to_le_bytes())));
    }

    #[test]
    fn a_value_on_more_than_a_hundredth_of_the_rows_is_found() {
        for spread in [1, 7, 60, 90] {
            // the same value every `spread` rows, counted in one table, and in pieces
            let values = || (0..10_000u64).map(|row| if row % spread == 0 { 0 } else { row * 2_654_435_761 });
            let (mut whole, mut joined) = (Frequent::default(), Frequent::default());
            feed(&mut whole, values());
            for piece in 0..10 {
                let mut table = Frequent::default();
                feed(&mut table, values().skip(piece * 1000).take(1000));
                table.drain(|bucket| joined.absorb(bucket));
                assert_eq!(table.most(), 0);
            }
            let truth = 10_000u64.div_ceil(spread);
            for most in [whole.most(), joined.most()] {
                assert!(most <= truth && most * 10 >= truth * 9, "{spread}: {most} of {truth}");
            }
        }
        let mut table = Frequent::default();
        feed(&mut table, (1..10_000u64).map(|row| row * 2_654_435_761));
        assert!(table.most() < 10, "{}", table.most());
    }

    proptest! {
        #[test]
        fn equal_values_alone_have_the_same_key(text in "[a-c]{0,40}", other in "[a-c]{0,40}") {
            prop_assert_eq!(key(text.as_bytes()), key(text.clone().as_bytes()));
            prop_assert_eq!(key(text.as_bytes()) == key(other.as_bytes()), text == other);
        }

        #[test]
        fn a_lower_bound_is_never_above_the_truth(values in proptest::collection::vec(0u64..40, 1..400), cut in 0usize..400) {
            let (mut table, mut first) = (Frequent::default(), Frequent::default());
            let cut = cut.min(values.len());
            feed(&mut first, values[..cut].iter().copied());
            feed(&mut table, values[cut..].iter().copied());
            first.drain(|bucket| table.absorb(bucket));
            table.drain(|bucket| {
                let truth = values.iter().filter(|value| key(&value.to_le_bytes()) == bucket.key).count();
                assert!(bucket.seen as usize <= truth);
            });
        }

        #[test]
        fn what_the_fast_look_passes_over_is_nothing(
            text in "[0-9.eE+-]{0,8}|[NnUuLlAa/oe]{0,5}|[0-9]{1,3}\\.0{1,3}|[0-9](\\.[0-9]{1,4})?[eE]\\+?[0-9]{2}",
        ) {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(text.len() + SLACK, b',');
            let view = Padded::new(&bytes, 0, text.len());
            for identifier in [NONE, 0] {
                let (mut fast, mut whole) = (Watch::default(), Watch::default());
                fast.start(1, 1);
                whole.start(1, 1);
                fast.look(0, identifier, view, 0, text.len());
                whole.text(0, identifier, text.as_bytes());
                prop_assert_eq!(&fast.pending, &whole.pending, "{}", text);
            }
        }
    }
}
