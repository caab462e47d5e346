use super::*;
use crate::Kind;
use crate::error::{Error, Result};
use flate2::write::GzEncoder;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn read_all(stored: Vec<u8>) -> Result<Vec<u8>> {
    let source = OpenSource::from_bytes("list", stored, &SourceOptions::default())?;
    let mut content = Vec::new();
    source.inputs()[0].open_stream()?.read_to_end(&mut content).map_err(|error| into_error(error, "reading"))?;
    Ok(content)
}

#[test]
fn s01_gzip_cut_inside_a_member_is_an_error_with_its_offset() {
    let whole = gzip(b"a,b\n1,\"x\ny\"\n2,z\n");
    for cut in 3..whole.len() {
        let error = read_all(whole[..cut].to_vec()).expect_err("cut");
        assert_eq!(error.kind(), Kind::Data, "cut at {cut}: {error}");
        assert!(error.message().contains("compressed byte"), "{error}");
    }
}

#[test]
fn s02_all_members_of_a_gzip_are_read() {
    let text = b"a,b\n1,\"line\nbreak\"\n2,z\n";
    for members in [2, 3, 23] {
        let stored: Vec<u8> = text.chunks(text.len().div_ceil(members)).flat_map(gzip).collect();
        assert_eq!(read_all(stored).unwrap(), text, "{members} members");
    }
    let mut empty_between = gzip(b"a\n");
    empty_between.extend(gzip(b""));
    empty_between.extend(gzip(b"b\n"));
    assert_eq!(read_all(empty_between).unwrap(), b"a\nb\n");
}

#[test]
fn s04_junk_behind_gzip_is_an_error_and_zeros_are_not() {
    let mut junk = gzip(b"a\n1\n");
    let len = junk.len();
    junk.extend(b"JUNK");
    let error = read_all(junk).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains(&format!("byte {len}")), "{error}");
    let mut zeros = gzip(b"a\n1\n");
    zeros.extend([0; 512]);
    assert_eq!(read_all(zeros.clone()).unwrap(), b"a\n1\n");
    zeros.extend(b"x");
    assert_eq!(read_all(zeros).unwrap_err().kind(), Kind::Data);
}

#[test]
fn s05_a_gzip_bomb_is_refused_after_64_mib() {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    let block = vec![b'a'; 1 << 20];
    for _ in 0..80 {
        encoder.write_all(&block).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let source = OpenSource::from_bytes("bomb", bomb, &SourceOptions::default()).unwrap();
    let mut stream = source.inputs()[0].open_stream().unwrap();
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    let error = loop {
        match stream.read(&mut buffer) {
            Ok(n) => {
                assert!(n > 0, "the bomb was read to its end");
                total += n;
            }
            Err(error) => break into_error(error, "reading"),
        }
    };
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains("max_expansion"));
    assert!((64 << 20..66 << 20).contains(&total), "{total}");
}

#[test]
fn s06_a_wrong_crc_or_size_is_an_error() {
    let whole = gzip(b"a,b\n1,2\n");
    for at in whole.len() - 8..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert_eq!(read_all(damaged).unwrap_err().kind(), Kind::Data, "byte {at}");
    }
}

#[test]
fn all_frames_of_zstd_are_read_and_a_cut_is_an_error() {
    let mut stored = zstd::encode_all(&b"a\n1\n"[..], 3).unwrap();
    let first = stored.len();
    stored.extend(zstd::encode_all(&b"2\n3\n"[..], 3).unwrap());
    assert_eq!(read_all(stored.clone()).unwrap(), b"a\n1\n2\n3\n");
    for cut in (5..stored.len()).filter(|&cut| cut != first) {
        let error = read_all(stored[..cut].to_vec()).expect_err("cut");
        assert_eq!(error.kind(), Kind::Data, "cut at {cut}: {error}");
    }
}

#[test]
fn told_gzip_but_plain_is_an_error() {
    let options = SourceOptions { compression: Compression::Gzip, ..SourceOptions::default() };
    let error = OpenSource::from_bytes("list", b"a,b\n".to_vec(), &options).err().expect("refused");
    assert_eq!(error.kind(), Kind::Data);
}

#[test]
fn s18_a_file_that_grows_shrinks_or_is_edited_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.csv");
    let open = || {
        std::fs::write(&path, b"a\n1\n2\n").unwrap();
        let source = OpenSource::open(path.to_str().unwrap(), &SourceOptions::default()).unwrap();
        source.verify_unchanged().unwrap();
        source
    };
    let says = |source: &OpenSource| {
        let error = source.verify_unchanged().unwrap_err();
        assert_eq!(error.kind(), Kind::SourceChanged);
        error.message().to_owned()
    };
    let source = open();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"3\n").unwrap();
    assert!(says(&source).contains("grew"));
    let source = open();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2).unwrap();
    assert!(says(&source).contains("shrank"));
    let source = open();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
    assert!(says(&source).contains("edited"));
}

#[test]
fn s19_a_file_that_is_replaced_is_noticed_and_the_old_content_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.csv");
    std::fs::write(&path, b"a\nold\n").unwrap();
    let source = OpenSource::open(path.to_str().unwrap(), &SourceOptions::default()).unwrap();
    let other = dir.path().join("other.csv");
    std::fs::write(&other, b"a\nnew\n").unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert!(source.verify_unchanged().unwrap_err().message().contains("replaced"));
    let mut buffer = [0; 6];
    assert_eq!(source.inputs()[0].read_at(&mut buffer, 0).unwrap(), 6);
    assert_eq!(&buffer, b"a\nold\n");
}

#[test]
fn s21_a_stream_is_spooled_within_its_bound() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let source = OpenSource::spool("-", &mut &b"a\n1\n"[..], &spool, 4, &SourceOptions::default()).unwrap();
    let path = source.spool_path().unwrap().to_owned();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&spool).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"a\n1\n");
    std::fs::remove_file(&path).unwrap();
    let error = OpenSource::spool("-", &mut &b"a\n1\n2"[..], &spool, 4, &SourceOptions::default()).err().unwrap();
    assert_eq!(error.kind(), Kind::Data);
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0, "the folder is empty");
}

#[test]
fn s22_what_cannot_be_read_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("missing.csv"), dir.path().join("*.csv")] {
        let error = OpenSource::open(path.to_str().unwrap(), &SourceOptions::default()).err().unwrap();
        assert_eq!(error.kind(), Kind::Local, "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_glob_is_read_in_byte_order() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b.csv", "a.csv", "B.csv", "c.txt"] {
        std::fs::write(dir.path().join(name), b"a\n").unwrap();
    }
    let source = OpenSource::open(dir.path().join("*.csv").to_str().unwrap(), &SourceOptions::default()).unwrap();
    let names: Vec<_> =
        source.inputs().iter().map(|input| input.name().rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["B.csv", "a.csv", "b.csv"]);
}

#[test]
fn a_stream_once_can_be_looked_at_and_then_read() {
    let stored = gzip(b"a\n1\n");
    let source =
        OpenSource::from_stream_once("-", Box::new(std::io::Cursor::new(stored)), &SourceOptions::default()).unwrap();
    let input = &source.inputs()[0];
    assert_eq!(input.compression(), Compression::Gzip);
    for _ in 0..2 {
        let mut text = String::new();
        input.open_stream().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\n1\n");
    }
}

/// Fails at a position, and counts its copies that are alive.
struct Failing {
    bytes: Vec<u8>,
    at: u64,
}

impl ReadAt for Failing {
    fn read_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
        if at >= self.at {
            return Err(std::io::Error::other("the disk has vanished"));
        }
        let end = self.bytes.len().min(self.at as usize).min(at as usize + buf.len());
        let piece = &self.bytes[at as usize..end];
        buf[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }

    fn identity(&self) -> std::io::Result<Identity> {
        Ok(Identity::of_size(self.bytes.len() as u64))
    }
}

#[test]
fn s22_a_read_error_inside_compressed_data_is_not_called_damage() {
    let text: Vec<u8> =
        (0..5000u32).flat_map(|n| format!("{n},{}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    for bytes in [gzip(&text), zstd::encode_all(&text[..], 3).unwrap()] {
        let at = bytes.len() as u64 / 2;
        let source =
            OpenSource::from_read_at("list", Arc::new(Failing { bytes, at }), &SourceOptions::default()).unwrap();
        let failed = source.inputs()[0].open_stream().unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        let error = into_error(failed, "reading");
        assert_eq!(error.kind(), Kind::Local, "{error}");
        assert!(error.message().contains("the disk has vanished"), "{error}");
    }
}

#[test]
fn s18_a_compressed_file_that_shrinks_has_changed_and_is_not_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.csv.gz");
    std::fs::write(&path, gzip(b"a\n1\n2\n")).unwrap();
    let source = OpenSource::open(path.to_str().unwrap(), &SourceOptions::default()).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(12).unwrap();
    let failed = source.inputs()[0].open_stream().unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(into_error(failed, "reading").kind(), Kind::SourceChanged);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, gzip(b"a\n1\n2\n")).unwrap();
    let source = OpenSource::open(path.to_str().unwrap(), &SourceOptions::default()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(source.verify_unchanged().unwrap_err().message().contains("removed"));
}

/// Text that expands almost as often as allowed: the ratio must be checked for each stream separately.
#[test]
fn s05_a_second_stream_of_an_input_does_not_make_the_first_a_bomb() {
    let line = b"anna.smith@example.com,Anna,Smith,GB,premium\n";
    let text: Vec<u8> = line.iter().copied().cycle().take(80 << 20).collect();
    let stored = zstd::encode_all(&text[..], 1).unwrap();
    let ratio = (text.len() / stored.len()) as u64;
    let options = SourceOptions { max_expansion: ratio + 1, ..SourceOptions::default() };
    let source = OpenSource::from_bytes("list", stored, &options).unwrap();
    let input = &source.inputs()[0];
    let mut first = input.open_stream().unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    while total < text.len() {
        let n = first.read(&mut buffer).map_err(|error| into_error(error, "reading")).unwrap();
        assert!(n > 0, "ended at {total}");
        total += n;
        if total > 63 << 20 {
            drop(input.open_stream().unwrap());
        }
    }
}

#[test]
fn s02_s04_members_are_counted_and_padding_is_told() {
    let mut stored: Vec<u8> = (0..50).flat_map(|n| gzip(format!("{n},\"a\n").as_bytes())).collect();
    stored.extend([0; 512]);
    let source = OpenSource::from_bytes("list", stored, &SourceOptions::default()).unwrap();
    let input = &source.inputs()[0];
    assert!(input.warnings().is_empty());
    for _ in 0..2 {
        input.open_stream().unwrap().read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(input.members(), 50);
        assert!(input.warnings()[0].contains("512 zero bytes"), "{:?}", input.warnings());
    }
}

#[test]
fn a_zstd_window_beyond_the_memory_promise_is_refused_with_what_to_do() {
    let text = vec![b'x'; 20 << 20];
    let pack = |window| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window).unwrap();
        // if the frame does not state its size, the window itself counts
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&text).unwrap();
        encoder.finish().unwrap()
    };
    let read = |log, max_window| {
        let options = SourceOptions { max_window, ..SourceOptions::default() };
        let source = OpenSource::from_bytes("list", pack(log), &options).unwrap();
        let mut total = 0;
        for threads in [1, 4] {
            let mut stream = source.inputs()[0].open_stream_beside(threads).unwrap();
            total = std::io::copy(&mut stream, &mut std::io::sink()).map_err(|error| into_error(error, "reading"))?;
        }
        Ok::<_, Error>(total)
    };
    for (log, max_window) in [(24, 16 << 20), (25, 32 << 20), (27, 128 << 20), (23, 8 << 20)] {
        assert_eq!(read(log, max_window).unwrap(), text.len() as u64, "{log}");
        let error = read(log, max_window / 2).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        let hint = error.hint().unwrap();
        assert!(error.message().contains("source.max_window"), "{error:?}");
        assert!(hint.contains("raise source.max_window") && hint.contains(&format!("--long={}", log - 1)), "{error:?}");
    }
    assert_eq!(read_all(pack(24)).unwrap().len(), text.len(), "the default");
    assert!(read_all(pack(25)).is_err(), "the default");
}

#[test]
fn a_zstd_skippable_frame_is_passed_over() {
    let mut stored = vec![0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    stored.extend(zstd::encode_all(&b"a\n1\n"[..], 3).unwrap());
    assert_eq!(read_all(stored).unwrap(), b"a\n1\n");
}

#[cfg(unix)]
#[test]
fn a_glob_leaves_hidden_files_out_and_a_dead_link_not() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.csv"), b"a\n").unwrap();
    std::fs::write(dir.path().join(".b.csv"), b"a\n").unwrap();
    std::fs::create_dir(dir.path().join("c.csv")).unwrap();
    let pattern = dir.path().join("*.csv");
    let open = || OpenSource::open(pattern.to_str().unwrap(), &SourceOptions::default());
    assert_eq!(open().unwrap().inputs().len(), 1);
    std::os::unix::fs::symlink(dir.path().join("gone"), dir.path().join("d.csv")).unwrap();
    let error = open().err().expect("a dead link is part of the list");
    assert_eq!(error.kind(), Kind::Local);
    assert!(error.message().contains("d.csv"), "{error}");
}

/// A folder with this many files, each with `id` and its number.
fn many(files: usize) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..files {
        std::fs::write(dir.path().join(format!("{n:03}.csv")), format!("id\n{n}\n")).unwrap();
    }
    let pattern = dir.path().join("*.csv").to_str().unwrap().to_owned();
    (dir, pattern)
}

/// More files than stay open: each is read correctly, in any order, and a file that was exchanged meanwhile is not
/// read.
#[test]
fn a_file_of_many_that_is_replaced_between_two_reads_is_not_read() {
    let (dir, pattern) = many(40);
    let source = OpenSource::open(&pattern, &SourceOptions::default()).unwrap();
    let read = |number: usize| {
        let mut buffer = [0; 16];
        source.inputs()[number].read_at(&mut buffer, 3).map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned())
    };
    for number in (0..40).chain((0..40).rev()).chain([3, 39, 3, 20]) {
        assert_eq!(read(number).unwrap(), format!("{number}\n"));
    }
    // same name, size and content
    std::fs::write(dir.path().join("new"), "id\n5\n").unwrap();
    std::fs::rename(dir.path().join("new"), dir.path().join("005.csv")).unwrap();
    std::fs::remove_file(dir.path().join("006.csv")).unwrap();
    let edited = std::fs::OpenOptions::new().append(true).open(dir.path().join("007.csv"));
    edited.unwrap().write_all(b"8\n").unwrap();
    (10..40).for_each(|number| assert!(read(number).is_ok()));
    for (number, what) in [(5, "was replaced"), (6, "was removed"), (7, "grew")] {
        let error = into_error(read(number).unwrap_err(), "reading");
        assert_eq!(error.kind(), Kind::SourceChanged, "{error}");
        assert!(error.message().contains(what) && error.message().contains(&format!("00{number}.csv")), "{error}");
    }
    assert!(source.verify_unchanged().unwrap_err().message().contains("005.csv was replaced"));
}

#[test]
fn a_limit_on_open_files_is_called_by_its_name() {
    let error = local::cannot_open(Path::new("x.csv"), std::io::Error::from_raw_os_error(24));
    assert!(!cfg!(unix) || error.hint().unwrap().contains("ulimit -n"), "{error:?}");
}

/// Content that continues after the size it reports.
struct Longer(Vec<u8>);

impl ReadAt for Longer {
    fn read_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
        local::Memory(self.0.clone()).read_at(buf, at)
    }

    fn identity(&self) -> std::io::Result<Identity> {
        Ok(Identity::of_size(self.0.len() as u64 - 2))
    }
}

#[test]
fn content_after_the_reported_size_is_noticed() {
    let source =
        OpenSource::from_read_at("x", Arc::new(Longer(b"id\n1\n2\n".to_vec())), &SourceOptions::default()).unwrap();
    assert_eq!(source.inputs()[0].verify_end().unwrap_err().kind(), Kind::SourceChanged);
    let whole = OpenSource::from_bytes("x", b"id\n1\n".to_vec(), &SourceOptions::default()).unwrap();
    whole.inputs()[0].verify_end().unwrap();
}

/// A file of proc, which reports a size of 0.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_reports_no_size_is_not_empty() {
    let path = Path::new("/proc/self/status");
    assert!(OpenSource::is_stream(path));
    let error = OpenSource::open(path, &SourceOptions::default()).map(drop).unwrap_err();
    assert!(error.kind() == Kind::Local && error.message().contains("reports a size of 0"), "{error}");
    let dirs = [std::env::temp_dir()];
    let copy_to = |max_bytes| Some(CopyTo { dirs: &dirs, max_bytes });
    let open = |max| {
        OpenSource::open_in(Path::new("/proc/self"), Path::new("stat[um]s"), &SourceOptions::default(), copy_to(max))
    };
    let source = open(1 << 20).unwrap();
    let mut first = [0; 5];
    assert_eq!(source.inputs()[0].read_at(&mut first, 0).unwrap(), 5);
    assert_eq!(&first, b"Name:");
    assert_eq!(source.inputs()[0].name(), "/proc/self/status");
    assert!(source.stored_bytes() > 100);
    source.verify_unchanged().unwrap();
    assert_eq!(open(50).map(drop).unwrap_err().kind(), Kind::Data, "no more than spool.max");
    // an empty file is not a stream
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(!OpenSource::is_stream(empty.path()));
    assert_eq!(OpenSource::open(empty.path(), &SourceOptions::default()).unwrap().stored_bytes(), 0);
}

#[test]
fn a_skippable_frame_is_of_the_format_of_the_next_frame() {
    let skippable =
        |content: &[u8]| [&[0x5a, 0x2a, 0x4d, 0x18][..], &(content.len() as u32).to_le_bytes(), content].concat();
    // the frames of an lz4 and a zstd program: "a\n"
    let lz4 = b"\x04\x22\x4d\x18\x64\x40\xa7\x02\0\0\x80a\n\0\0\0\0\x85\x95\x4d\x99";
    let zstd = zstd::encode_all(&b"a\n"[..], 1).unwrap();
    for (frame, compression) in [(&lz4[..], Compression::Lz4), (&zstd, Compression::Zstd)] {
        for skipped in [vec![], skippable(b""), skippable(&[7; 300]), [skippable(b"x"), skippable(b"y")].concat()] {
            let stored = [&skipped, frame].concat();
            let options = SourceOptions::default();
            let whole = OpenSource::from_bytes("list", stored.clone(), &options).unwrap();
            let once = OpenSource::from_stream_once("list", Box::new(std::io::Cursor::new(stored)), &options).unwrap();
            for source in [whole, once] {
                let input = &source.inputs()[0];
                assert_eq!(input.compression(), compression, "{} skipped", skipped.len());
                let mut content = Vec::new();
                input.open_stream().unwrap().read_to_end(&mut content).unwrap();
                assert_eq!(content, b"a\n", "{compression:?}, {} skipped", skipped.len());
            }
        }
    }
}
