//! Decompressed gzip and zstd data equals the original, whatever the members and frames. Truncated or damaged data is
//! an error exactly if another decoder (miniz_oxide under our own implementation of RFC 1952, or the reference zstd)
//! reports one, and the output before the error is the start of the content. Several threads return the same output and
//! the same error.
#![no_main]

use flate2::{Compress, Compression, FlushCompress, Status};
use libfuzzer_sys::fuzz_target;
use listferry::source::{Compression as Packing, OpenSource, SourceOptions};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use std::io::Read as _;

/// Consumes the input; returns zeros after its end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn one(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn two(&mut self) -> usize {
        usize::from(self.one()) << 8 | usize::from(self.one())
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

fn deflated(content: &[u8], level: u32, flush: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() * 2 + 1024);
    let mut packer = Compress::new(Compression::new(level), false);
    if flush {
        packer.compress_vec(&content[..content.len() / 2], &mut out, FlushCompress::Sync).expect("room");
    }
    let rest = &content[packer.total_in() as usize..];
    assert_eq!(packer.compress_vec(rest, &mut out, FlushCompress::Finish).expect("room"), Status::StreamEnd);
    out
}

/// Writes a gzip member with the optional fields that `kind` selects.
fn member(content: &[u8], kind: u8, into: &mut Vec<u8>) {
    let start = into.len();
    let flags = (kind >> 2) & 0b11110;
    into.extend([0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255]);
    let body = deflated(content, [0, 1, 6, 9][usize::from(kind & 3)], kind & 4 != 0);
    if flags & 4 != 0 {
        // the block size of bgzip, right or wrong: only a hint
        let name = 2 * usize::from(flags >> 3 & 1) + 2 * usize::from(flags >> 4 & 1) + usize::from(flags & 2);
        let size = (10 + 8 + name + body.len() + 8 - 1) as u16;
        let size = if kind & 128 == 0 { size } else { size ^ 5 };
        into.extend([6, 0, b'B', b'C', 2, 0]);
        into.extend(size.to_le_bytes());
    }
    if flags & 8 != 0 {
        into.extend(b"n\0");
    }
    if flags & 16 != 0 {
        into.extend(b"c\0");
    }
    if flags & 2 != 0 {
        let crc = crc32(&into[start..]) as u16;
        into.extend(crc.to_le_bytes());
    }
    into.extend(body);
    into.extend(crc32(content).to_le_bytes());
    into.extend((content.len() as u32).to_le_bytes());
}

fn frame(content: &[u8], kind: u8, into: &mut Vec<u8>) {
    if kind & 0b11 == 3 {
        into.extend([0x50 | (kind >> 4), 0x2a, 0x4d, 0x18]);
        into.extend((content.len() as u32).to_le_bytes());
        into.extend(content);
        return;
    }
    let mut packer = zstd::stream::Encoder::new(Vec::new(), i32::from(kind >> 4)).expect("an encoder");
    packer.include_checksum(kind & 4 != 0).expect("settable");
    if kind & 8 != 0 {
        packer.set_pledged_src_size(Some(content.len() as u64)).expect("settable");
    }
    std::io::Write::write_all(&mut packer, content).expect("memory");
    into.extend(packer.finish().expect("memory"));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Returns the content of all members, or `None` if the file is damaged.
fn gunzip(file: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = file;
    loop {
        rest = one_member(rest, &mut all)?;
        match rest.first() {
            None => return Some(all),
            Some(0) => return rest.iter().all(|&byte| byte == 0).then_some(all),
            Some(_) => {}
        }
    }
}

fn one_member<'a>(file: &'a [u8], all: &mut Vec<u8>) -> Option<&'a [u8]> {
    let head = file.get(..10)?;
    let flags = head[3];
    if head[..3] != [0x1f, 0x8b, 8] || flags & 0xE0 != 0 {
        return None;
    }
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?));
    }
    for field in [8, 16] {
        if flags & field != 0 {
            at += file.get(at..)?.iter().position(|&byte| byte == 0)? + 1;
        }
    }
    if flags & 2 != 0 {
        if file.get(at..at + 2)? != (crc32(&file[..at]) as u16).to_le_bytes() {
            return None;
        }
        at += 2;
    }
    // in one buffer that does not wrap: a wrapping one reads distances from before the start as zeros
    let mut state = DecompressorOxide::new();
    let mut content = vec![0; 64 << 10];
    let mut len = 0;
    loop {
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, taken, made) = decompress(&mut state, file.get(at..)?, &mut content, len, flags);
        at += taken;
        len += made;
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::HasMoreOutput => content.resize(content.len() * 2, 0),
            _ => return None,
        }
    }
    content.truncate(len);
    let tail = file.get(at..at + 8)?;
    if tail[..4] != crc32(&content).to_le_bytes() || tail[4..] != (content.len() as u32).to_le_bytes() {
        return None;
    }
    all.extend(content);
    Some(&file[at + 8..])
}

/// Returns the content of all frames, read `step` bytes at a time, or `None` if the file is damaged. A frame whose last
/// block is empty may have less content than it declares; zstd notices that only with room for all of it at once.
fn unzstd(file: &[u8], step: usize) -> Option<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(file).ok()?;
    decoder.window_log_max(24).ok()?;
    let (mut all, mut window) = (Vec::new(), vec![0; step]);
    loop {
        match decoder.read(&mut window).ok()? {
            // content beyond 64 MiB is refused by ours, and not examined here
            n if n == 0 || all.len() > 64 << 20 => return Some(all),
            n => all.extend_from_slice(&window[..n]),
        }
    }
}

/// Returns our output with the given number of threads, and the error that it ends with.
fn ours(file: &[u8], packing: Packing, step: usize, threads: usize) -> (Vec<u8>, Option<String>) {
    let mut options = SourceOptions::default();
    options.compression = packing;
    // data with a wrong beginning is refused at once
    let Ok(source) = OpenSource::from_bytes("list", file.to_vec(), &options) else {
        return (Vec::new(), Some(String::new()));
    };
    let mut stream = source.inputs()[0].open_stream_beside(threads).expect("a stream");
    let mut all = Vec::new();
    let mut window = vec![0; step];
    while all.len() < 64 << 20 {
        match stream.read(&mut window) {
            Ok(0) => {
                assert_eq!(stream.read(&mut window).expect("the end again"), 0);
                return (all, None);
            }
            Ok(n) => all.extend_from_slice(&window[..n]),
            Err(error) => {
                assert!(error.get_ref().is_some_and(|inner| inner.is::<listferry::Error>()), "{error}");
                return (all, Some(error.to_string()));
            }
        }
    }
    (all, None)
}

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes(data);
    let (mode, step, spoil) = (input.one(), input.two() % 20_000 + 1, input.two());
    let gzip = mode & 1 == 0;
    let packing = if gzip { Packing::Gzip } else { Packing::Zstd };
    let (mut file, mut content) = (Vec::new(), Vec::new());
    let mut ends = vec![0];
    if mode & 2 != 0 {
        file.extend(input.0);
    } else {
        while !input.0.is_empty() && ends.len() < 20 {
            let (kind, times, len) = (input.one(), input.one(), input.one());
            let times = if times < 200 { 1 } else { usize::from(times) * 4 };
            let part = input.take(len.into()).repeat(times);
            if gzip {
                member(&part, kind, &mut file);
            } else {
                frame(&part, kind, &mut file);
            }
            if gzip || kind & 3 != 3 {
                content.extend(part);
            }
            ends.push(file.len());
        }
    }
    let intact = ends.len() > 1;
    match mode >> 2 & 3 {
        1 => file.truncate(spoil % (file.len() + 1)),
        2 if !file.is_empty() => {
            let at = spoil % file.len();
            file[at] ^= 1 << (mode >> 4 & 7);
        }
        3 if gzip => file.resize(file.len() + spoil % 300, 0),
        _ => {}
    }
    let expected = if gzip { gunzip(&file) } else { unzstd(&file, 1 << 20) };
    if !gzip && expected.is_none() && unzstd(&file, 1).is_some() {
        // damage that the reference decoder detects only with enough room may be detected by ours or not, depending on
        // the threads
        return;
    }
    let (found, error) = ours(&file, packing, step, 1);
    if found.len() >= 64 << 20 {
        // damaged data may expand without end: what follows is not examined
        return;
    }
    let beside = ours(&file, packing, step, 2 + usize::from(mode >> 6 & 1));
    // which damage zstd reports first, and where, depends on its room
    let what = |error: &Option<String>| error.as_ref().map(|text| text.split(" data: ").next().map(str::to_owned));
    assert_eq!(what(&error), what(&beside.1));
    // in both, the amount of output before the damage depends on the room of the decoder
    let agree = found.starts_with(&beside.0) || beside.0.starts_with(&found);
    assert!(found == beside.0 || error.is_some() && agree, "{} and {} bytes", found.len(), beside.0.len());
    let whole = error.is_none();
    if file.is_empty() {
        // without members or frames nothing can be missing
        assert!(found.is_empty());
        return;
    }
    match &expected {
        Some(expected) => assert!(whole && found == *expected, "{} of {} bytes, {whole}", found.len(), expected.len()),
        None => assert!(!whole, "damage passed for {} bytes", found.len()),
    }
    match mode >> 2 & 3 {
        0 | 3 if intact && (gzip || mode >> 2 & 3 == 0) => assert!(found == content && whole),
        1 if intact => {
            assert!(content.starts_with(&found));
            assert_eq!(whole, ends.contains(&file.len()), "cut at {} of {ends:?}", file.len());
        }
        _ => {}
    }
});
