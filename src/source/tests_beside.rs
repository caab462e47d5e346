//! Decoding on several threads against the serial decoder: the same bytes, the same error or none, the same findings.

use super::*;
use crate::error::Kind;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;
use std::io::{Read, Write};
use std::sync::Arc;

/// The content, the findings and the end of a decoder.
#[derive(Debug, PartialEq)]
struct Outcome {
    content: Vec<u8>,
    error: Option<(Kind, String)>,
    members: u64,
    warnings: Vec<String>,
}

fn outcome(data: &Arc<dyn ReadAt>, options: &SourceOptions, threads: usize) -> Outcome {
    let source = OpenSource::from_read_at("list", data.clone(), options).unwrap();
    let input = &source.inputs()[0];
    let mut content = Vec::new();
    let stream = if threads == 1 { input.open_stream() } else { input.open_stream_beside(threads) };
    // in steps as large as the blocks, since how far a decoder gets before it fails depends on how much is requested
    let mut block = vec![0; 256 << 10];
    let read = stream.and_then(|mut stream| {
        loop {
            let room = block.len() - content.len() % block.len();
            match stream.read(&mut block[..room]).map_err(|error| into_error(error, "reading"))? {
                0 => return Ok(()),
                n => content.extend_from_slice(&block[..n]),
            }
        }
    });
    let error = read.err().map(|error| (error.kind(), error.to_string()));
    Outcome { content, error, members: input.members(), warnings: input.warnings() }
}

/// Returns the outcome of the serial decoder, after checking that two and four threads have the same.
fn same_outcome(data: Arc<dyn ReadAt>, options: &SourceOptions, about: &str) -> Outcome {
    let serial = outcome(&data, options, 1);
    for threads in [2, 4] {
        let beside = outcome(&data, options, threads);
        assert_eq!(beside.error, serial.error, "{about}, {threads} threads");
        // the content of the block in which a decoder failed may be returned or not
        let common = if serial.error.is_none() { usize::MAX } else { beside.content.len().min(serial.content.len()) };
        let start = |content: &[u8]| content[..common.min(content.len())].to_vec();
        assert!(start(&beside.content) == start(&serial.content), "{about}, {threads} threads: other bytes");
        assert!(beside.content.len().abs_diff(serial.content.len()) < 256 << 10, "{about}, {threads} threads");
        // a decoder that failed has counted what it reached
        if serial.error.is_none() {
            assert_eq!((beside.members, &beside.warnings), (serial.members, &serial.warnings), "{about}");
        }
    }
    serial
}

fn same(stored: &[u8], about: &str) -> Outcome {
    same_outcome(Arc::new(local::Memory(stored.to_vec())), &SourceOptions::default(), about)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A member as bgzip writes it, with `lie` added to the length that it states.
fn bgzip(content: &[u8], lie: u16) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    let body = encoder.finish().unwrap();
    let size = (18 + body.len() + 8 - 1) as u16;
    let mut member = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0];
    member.extend(size.wrapping_add(lie).to_le_bytes());
    member.extend(body);
    let mut crc = flate2::Crc::new();
    crc.update(content);
    member.extend(crc.sum().to_le_bytes());
    member.extend((content.len() as u32).to_le_bytes());
    member
}

fn zstd_frame(content: &[u8], checksum: bool, told_size: bool) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(checksum).unwrap();
    encoder.set_pledged_src_size(told_size.then_some(content.len() as u64)).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn skippable(content: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x5a, 0x2a, 0x4d, 0x18];
    frame.extend((content.len() as u32).to_le_bytes());
    frame.extend(content);
    frame
}

/// Text that compresses to about half, so that pieces become large from little text.
fn text(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'a' + (state >> 33) as u8 % 16
    };
    (0..bytes).map(|_| next()).collect()
}

/// Files of several pieces of each kind, with their content.
fn large() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let content = text(5 << 20, 7);
    let bgz = content.chunks(60_000).flat_map(|part| bgzip(part, 0)).collect();
    let zst = content.chunks(700_000).flat_map(|part| zstd_frame(part, true, false)).collect();
    // as pzstd does: a skippable frame with the size before each frame
    let pzst =
        content.chunks(900_000).flat_map(|part| [skippable(&[1, 2, 3, 4]), zstd_frame(part, true, true)].concat());
    let pzst = pzst.collect();
    vec![("bgzip", bgz, content.clone()), ("zstd", zst, content.clone()), ("pzstd", pzst, content)]
}

#[test]
fn frames_and_members_that_state_their_size_are_read_side_by_side() {
    for (about, stored, content) in large() {
        let memory: Arc<dyn ReadAt> = Arc::new(local::Memory(stored.clone()));
        let compression = decompress::by_magic(&stored);
        let found = pieces::Pieces::new(memory, compression, stored.len() as u64, 4 << 20);
        let found: Vec<_> = found.collect();
        assert!(found.len() > 4, "{about}: {found:?}");
        assert!(found.iter().all(|piece| matches!(piece, pieces::Piece::Some { .. })), "{about}: {found:?}");
        assert!(same(&stored, about).content == content, "{about}");
    }
}

#[test]
fn a_small_file_cut_at_every_byte_ends_as_the_serial_way_does() {
    let parts = [&b"a,b\n1,\"x\ny\"\n"[..], b"", b"2,z\n3,q\n"];
    let files = [
        ("bgzip", parts.iter().flat_map(|part| bgzip(part, 0)).collect::<Vec<u8>>()),
        ("gzip after bgzip", [bgzip(parts[0], 0), gzip(parts[2]), bgzip(parts[2], 0)].concat()),
        ("zeros after bgzip", [bgzip(parts[0], 0), bgzip(parts[2], 0), vec![0; 9]].concat()),
        ("junk after bgzip", [bgzip(parts[0], 0), bgzip(parts[2], 0), b"JUNK".to_vec()].concat()),
        ("zstd", [zstd_frame(parts[0], true, true), skippable(b"xyz"), zstd_frame(parts[2], true, false)].concat()),
        ("junk after zstd", [zstd_frame(parts[0], false, true), b"JUNK and more of it".to_vec()].concat()),
        ("zeros after zstd", [zstd_frame(parts[0], false, true), vec![0; 9]].concat()),
    ];
    for (about, stored) in files {
        for cut in 5..=stored.len() {
            same(&stored[..cut], &format!("{about} cut at {cut} of {}", stored.len()));
        }
        for at in 4..stored.len() {
            let mut spoilt = stored.clone();
            spoilt[at] ^= 1 << (at % 8);
            same(&spoilt, &format!("{about} spoilt at {at} of {}", stored.len()));
        }
    }
}

#[test]
fn damage_between_pieces_is_reported_as_by_the_serial_decoder() {
    for (about, stored, _) in large() {
        let mut failed = 0;
        for part in 1..8 {
            let at = stored.len() * part / 8 + part;
            let mut spoilt = stored.clone();
            spoilt[at] ^= 0x10;
            failed += usize::from(same(&spoilt, &format!("{about} spoilt at {at}")).error.is_some());
            let cut = same(&stored[..at], &format!("{about} cut at {at}"));
            let (kind, message) = cut.error.expect("cut");
            assert_eq!(kind, Kind::Data, "{message}");
            assert!(message.contains("compressed byte"), "{message}");
        }
        assert_eq!(failed, 7, "{about}");
    }
}

#[test]
fn a_member_that_lies_about_its_size_is_read_all_the_same() {
    let content = text(1 << 20, 3);
    for lie in [1, 4, 17, 60_000, u16::MAX] {
        let members = content.chunks(50_000).enumerate();
        let stored: Vec<u8> = members.flat_map(|(n, part)| bgzip(part, if n == 9 { lie } else { 0 })).collect();
        assert!(same(&stored, &format!("{lie} too much")).content == content, "{lie}");
    }
}

#[test]
fn from_a_large_frame_or_window_on_a_file_is_decoded_serially() {
    let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(24).unwrap();
    wide.write_all(&text(100_000, 5)).unwrap();
    let wide = wide.finish().unwrap();
    let small = zstd_frame(&text(600_000, 9), true, false);
    let stored = [small.clone(), small.clone(), wide, small].concat();
    let outcome = same(&stored, "wide");
    assert_eq!((outcome.error, outcome.content.len()), (None, 1_900_000));
}

#[test]
fn s05_a_bomb_in_pieces_is_refused_where_the_serial_decoder_refuses_it() {
    let block = vec![b'a'; 60_000];
    let member = bgzip(&block, 0);
    let small = bgzip(&text(50_000, 1), 0);
    let mut stored = small.repeat(20);
    for _ in 0..2500 {
        stored.extend(&member);
    }
    let refuse = |stored: &[u8], about| {
        let options = SourceOptions { max_expansion: 50, ..SourceOptions::default() };
        same_outcome(Arc::new(local::Memory(stored.to_vec())), &options, about).error.expect("refused")
    };
    let (kind, message) = refuse(&stored, "members");
    assert_eq!(kind, Kind::Data);
    assert!(message.contains("max_expansion"), "{message}");
    let frame = zstd_frame(&vec![b'a'; 1 << 20], true, true);
    let (_, message) = refuse(&frame.repeat(90), "frames");
    assert!(message.contains("max_expansion"), "{message}");
    // what the serial decoder accepts
    let options = SourceOptions { max_expansion: 1_000_000, ..SourceOptions::default() };
    let passed = same_outcome(Arc::new(local::Memory(stored)), &options, "allowed");
    assert_eq!((passed.error, passed.members), (None, 2520));
}

/// Fails from a position on.
struct Failing(Vec<u8>, u64);

impl ReadAt for Failing {
    fn read_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
        if at >= self.1 {
            return Err(std::io::Error::other("the disk is gone"));
        }
        let end = self.0.len().min(self.1 as usize).min(at as usize + buf.len());
        let piece = &self.0[at as usize..end];
        buf[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }

    fn identity(&self) -> std::io::Result<Identity> {
        Ok(Identity::of_size(self.0.len() as u64))
    }
}

#[test]
fn s22_a_disk_that_fails_is_no_damage_however_many_read() {
    for (about, stored, _) in large() {
        for part in 1..4 {
            let at = (stored.len() * part / 4) as u64;
            let failing = Arc::new(Failing(stored.clone(), at));
            let (kind, message) = same_outcome(failing, &SourceOptions::default(), about).error.expect("fails");
            assert_eq!(kind, Kind::Local, "{message}");
            assert!(message.contains("the disk is gone"), "{message}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_leaves_no_thread_waiting() {
    for (_, stored, _) in large() {
        let data: Arc<dyn ReadAt> = Arc::new(local::Memory(stored));
        let source = OpenSource::from_read_at("list", data.clone(), &SourceOptions::default()).unwrap();
        for read in [0, 1, 300_000] {
            let mut stream = source.inputs()[0].open_stream_beside(4).unwrap();
            stream.read_exact(&mut vec![0; read]).unwrap();
        }
        drop(source);
        // the threads hold the data and must release it
        let let_go = (0..2000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            Arc::strong_count(&data) == 1
        });
        assert!(let_go);
    }
}

#[test]
fn a_stream_is_read_ahead_and_its_error_comes_in_its_place() {
    struct Ends(usize);
    impl Read for Ends {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("the sender hung up"));
            }
            let n = self.0.min(buf.len()).min(1000);
            buf[..n].fill(b'x');
            self.0 -= n;
            Ok(n)
        }
    }
    let source = OpenSource::from_stream_once("-", Box::new(Ends(3_000_001)), &SourceOptions::default()).unwrap();
    let mut content = Vec::new();
    let mut stream = source.inputs()[0].open_stream_beside(4).unwrap();
    let error = into_error(stream.read_to_end(&mut content).unwrap_err(), "reading");
    assert_eq!((content.len(), error.kind()), (3_000_001, Kind::Local));
    assert!(error.to_string().contains("the sender hung up"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn any_cut_or_damaged_members_and_frames_end_as_in_the_serial_decoder(
        zstd in any::<bool>(),
        parts in prop::collection::vec((0..7u8, prop_oneof![0..40usize, 0..60_000usize], any::<u64>()), 1..24),
        spoil in prop::option::of((any::<prop::sample::Index>(), 0..8u8)),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut stored = if zstd { zstd_frame(b"", true, true) } else { bgzip(b"", 0) };
        for (kind, bytes, seed) in parts {
            let content = text(bytes, seed);
            stored.extend(match (zstd, kind) {
                (true, 0) => skippable(&content),
                (true, kind) => zstd_frame(&content, kind & 1 == 0, kind & 2 == 0),
                (false, 0) => gzip(&content),
                (false, 1) => bgzip(&content, seed as u16),
                (false, _) => bgzip(&content, 0),
            });
        }
        if let Some((at, bit)) = spoil {
            let at = at.index(stored.len());
            stored[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            stored.truncate(cut.index(stored.len() + 1));
        }
        same(&stored, "any");
    }
}
