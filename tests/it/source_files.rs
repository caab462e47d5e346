//! The forms that files of a list may have: wrapped, joined, written by Excel, or not a list at all.

use super::cli::{Bed, CLEVERTAP};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

const MANY: [&str; 2] = ["--set", "rejects.max=100"];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn other_formats_under_a_csv_name_are_called_by_their_names() {
    let bed = Bed::new(CLEVERTAP, "");
    let list = b"id,n\n1,2\n";
    let cases: [(Vec<u8>, &str); 7] = [
        (b"PK\x03\x04\x14\0\0\0\x08\0xl/worksheets/sheet1.xml".to_vec(), "an Excel workbook (xlsx)"),
        (b"PK\x03\x04\x14\0\0\0\x08\0list.csv".to_vec(), "a zip archive"),
        (b"\xfd7zXZ\0\0\x04".to_vec(), "xz data"),
        (b"BZh91AY&SY\x12".to_vec(), "bzip2 data"),
        (b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), "a 7z archive"),
        (gzip(&gzip(list)), "compressed twice"),
        (zstd::encode_all(&gzip(list)[..], 1).unwrap(), "compressed twice"),
    ];
    for (bytes, name) in cases {
        std::fs::write(bed.path("list.csv"), bytes).unwrap();
        let (code, report) = bed.json(&["check", "job.yaml"]);
        assert_eq!(code, 10, "{name}");
        assert!(report["error"]["message"].as_str().unwrap().contains(name), "{}", report["error"]);
        assert!(report["error"]["hint"].is_string(), "{}", report["error"]);
    }
    std::fs::write(bed.path("list.csv"), gzip(list)).unwrap();
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "source.compression=none"]);
    assert_eq!((code, report["error"]["hint"].as_str()), (10, Some("source.compression is none: set it to auto")));
    assert_eq!(bed.convert(&[]).0, 0);
}

#[test]
fn convert_compresses_if_the_name_says_so() {
    let bed = Bed::new(CLEVERTAP, "id\n1\n2\n");
    let want = "Type,Identity\ni,1\ni,2\n";
    let mut reports = Vec::new();
    for name in ["out.csv", "out.csv.gz", "out.zst"] {
        let (code, report) = bed.json(&["convert", "job.yaml", "-o", name]);
        assert_eq!(code, 0, "{report}");
        reports.push((report["digest"].clone(), report["bytes"].clone()));
        let bytes = std::fs::read(bed.path(name)).unwrap();
        let mut text = String::new();
        match name {
            "out.csv" => text = String::from_utf8(bytes).unwrap(),
            "out.csv.gz" => drop(flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap()),
            _ => text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap(),
        }
        assert_eq!(text, want, "{name}");
    }
    // digest and sizes are those of the list
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:?}");
    assert_eq!(bed.json(&["check", "job.yaml"]).1["digest"], reports[0].0);
}

#[cfg(unix)]
#[test]
fn convert_onto_a_dangling_link_creates_its_target() {
    let bed = Bed::new(CLEVERTAP, "id\n1\n");
    std::os::unix::fs::symlink("there.csv", bed.path("out.csv")).unwrap();
    assert_eq!(bed.convert(&["-o", "out.csv"]).0, 0);
    assert!(std::fs::symlink_metadata(bed.path("out.csv")).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(bed.path("there.csv")).unwrap(), "Type,Identity\ni,1\n");
}

#[test]
fn a_first_line_sep_sets_the_delimiter_and_counts_as_a_line() {
    for (list, delimiter) in [
        ("sep=;\r\nid;n\r\n1;\"a;b\"\r\n;2\r\n", ';'),
        ("\u{feff}sep=;\nid;n\n1;\"a;b\"\n;2\n", ';'),
        ("SEP=|\rid|n\r1|\"a|b\"\r|2\r", '|'),
        ("sep=\t\nid\tn\n1\t\"a\tb\"\n\t2\n", '\t'),
    ] {
        for gz in [false, true] {
            let bed = Bed::new(CLEVERTAP, if gz { gzip(list.as_bytes()) } else { list.into() });
            let rejects = [&MANY[..], &["--set", "rejects.file=rejects.csv"]].concat();
            let (code, out) = bed.convert(&rejects);
            assert_eq!((code, out), (0, b"Type,Identity\ni,1\n".to_vec()), "{list:?}");
            let (mark, byte) =
                (3 * usize::from(list.starts_with('\u{feff}')), list.rfind(&format!("{delimiter}2")).unwrap());
            assert!(byte > mark);
            let rejected = std::fs::read_to_string(bed.path("rejects.csv")).unwrap();
            assert!(rejected.contains(&format!("\n,2,local,list.csv,2,4,{byte},,id,")), "{list:?}: {rejected}");
            let (_, shown) = bed.json(&["preview", "job.yaml"]);
            assert_eq!(shown["rows"][0]["columns"], json!({"id": "1", "n": format!("a{delimiter}b")}));
            assert_eq!(shown["rows"][0]["line"], 3);
            let piped = bed
                .command(&["convert", "job.yaml", "-q", "--set", "source.path=-", MANY[0], MANY[1]])
                .stdin(std::fs::File::open(bed.path("list.csv")).unwrap())
                .output()
                .unwrap();
            assert_eq!(piped.stdout, b"Type,Identity\ni,1\n");
        }
    }
    // the files of a glob agree
    let bed = Bed::new(&CLEVERTAP.replace("list.csv", "'*.csv'"), "sep=;\nid;n\n1;2\n");
    std::fs::write(bed.path("m.csv"), "id;n\n3;4\n").unwrap();
    assert_eq!(bed.convert(&[]).1, b"Type,Identity\ni,1\ni,3\n");
    std::fs::write(bed.path("n.csv"), "sep=,\nid,n\n3,4\n").unwrap();
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(code, 10);
    assert!(report["error"]["message"].as_str().unwrap().contains("another delimiter"), "{}", report["error"]);
    // no header, and text that only looks like it
    let bed = Bed::new(CLEVERTAP, "sep=;\n1;2\n");
    let columns = ["--set", "source.csv={ header: false, columns: [id, n] }"];
    assert_eq!(bed.convert(&columns).1, b"Type,Identity\ni,1\n");
    let bed = Bed::new(&CLEVERTAP.replace("identity: id", "identity: 'sep=;'"), "sep=;,n\n1,2\n");
    assert_eq!(bed.convert(&[]).1, b"Type,Identity\ni,1\n");
}

#[test]
fn files_joined_with_cat_are_a_warning_in_every_command() {
    let part = |rows: &str| format!("\u{feff}id,n\n{rows}");
    let cases = [
        (part("1,2\n") + &part("3,4\n") + &part("5,6\n"), json!([2, 2])),
        ("id,n\n1,2\nid,n\n3,4\n".to_owned(), json!([1, 2])),
        (part("1,2\n") + "\u{feff}3,4\n", json!([1, 2])),
        ("id,n\n1,2\nidx,n\n".to_owned(), Value::Null),
        ("id,n\n1,2\nab,c\n\u{fb01},4\nid,,n\n".to_owned(), Value::Null),
    ];
    for (list, want) in cases {
        for threads in ["1", "3"] {
            let bed = Bed::new(CLEVERTAP, &list);
            let more = [&MANY[..], &["--threads", threads]].concat();
            for command in [
                &["check", "job.yaml"][..],
                &["convert", "job.yaml", "-o", "out.csv"],
                &["run", "job.yaml", "--sandbox"],
            ] {
                let (code, report) = bed.json(&[command, &more].concat());
                assert_eq!(code, 0, "{list:?}: {}", report["error"]);
                let warnings = report["warnings"].as_array().unwrap();
                let found = warnings.iter().find(|warning| warning["kind"] == "joined_files");
                let found = found.map_or(Value::Null, |warning| json!([warning["count"], warning["first_record"]]));
                assert_eq!(found, want, "{command:?}: {list:?}");
            }
        }
    }
}

#[test]
fn corrected_rejects_do_not_grow_columns() {
    let bed = Bed::new(CLEVERTAP, "id,n\n1,2\n,3\n,4\n");
    let rejects = |n: u32| format!("rejects.file=rejects{n}.csv");
    let header = |n: u32| {
        let text = std::fs::read_to_string(bed.path(&format!("rejects{n}.csv"))).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(bed.convert(&[&MANY[..], &["--set", &rejects(1)]].concat()).0, 0);
    for n in 1..4 {
        let source = format!("source.path=rejects{n}.csv");
        let allow = ["--set", "allow_empty=true", "--set", &source];
        assert_eq!(bed.convert(&[&MANY[..], &["--set", &rejects(n + 1)], &allow].concat()).0, 0);
        assert_eq!(header(n + 1), header(1));
    }
    let last = std::fs::read_to_string(bed.path("rejects4.csv")).unwrap();
    assert!(last.contains("\n,3,local,rejects3.csv,1,2,"), "{last}");
}

#[test]
fn a_delimiter_that_yaml_reads_otherwise_is_taken_as_it_is() {
    for delimiter in ["#", "|", "%", "&", "*", "!", ";", ":"] {
        let bed = Bed::new(CLEVERTAP, format!("id{delimiter}n\n1{delimiter}2\n"));
        let (code, out) = bed.convert(&["--set", &format!("source.csv.delimiter={delimiter}")]);
        assert_eq!((code, out), (0, b"Type,Identity\ni,1\n".to_vec()), "{delimiter}");
    }
    let bed = Bed::new(CLEVERTAP, "id\n1\n");
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "destination.segment=VIP #1"]);
    assert_eq!(code, 2);
    assert!(report["error"]["message"].as_str().unwrap().contains("a comment in YAML"), "{}", report["error"]);
}

#[test]
fn a_window_beyond_the_limit_names_the_key_to_raise() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(25).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(b"id\n1\n").unwrap();
    let bed = Bed::new(CLEVERTAP, encoder.finish().unwrap());
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(code, 10);
    assert!(report["error"]["hint"].as_str().unwrap().contains("raise source.max_window"), "{}", report["error"]);
    assert_eq!(bed.convert(&["--set", "source.max_window=32MiB"]), (0, b"Type,Identity\ni,1\n".to_vec()));
    for wrong in ["33MiB", "256MiB", "0", "x"] {
        assert_eq!(bed.json(&["check", "job.yaml", "--set", &format!("source.max_window={wrong}")]).0, 2, "{wrong}");
    }
}

#[test]
fn bzip2_xz_and_lz4_are_detected_and_named() {
    let list = b"id,n\n1,2\n3,4\n";
    // the list, as Python's bz2 and lzma write it
    let bzip2 = b"\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xb8\x5b\x2b\x10\x00\x00\x05\xd9\x00\x00\x10\x00\x04\x3c\x00\x04\x21\x20\x00\x31\x06\x4c\x41\x0c\x86\x24\xd5\xc9\xa6\x04\x27\xc5\xdc\x91\x4e\x14\x24\x2e\x16\xca\xc4\x00";
    let xz = b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x0c\x69\x64\x2c\x6e\x0a\x31\x2c\x32\x0a\x33\x2c\x34\x0a\x00\x00\x00\x00\x6f\xe0\xc3\x38\xe4\x99\xe1\xf6\x00\x01\x25\x0d\x71\x19\xc4\xb6\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";
    // one block that is not compressed
    let mut lz4 = b"\x04\x22\x4d\x18\x60\x40\x82".to_vec();
    lz4.extend((list.len() as u32 | 1 << 31).to_le_bytes());
    lz4.extend(list);
    lz4.extend([0; 4]);
    let bed = Bed::new(CLEVERTAP, list);
    let want = bed.convert(&[]).1;
    for (name, bytes) in [("bzip2", &bzip2[..]), ("xz", &xz[..]), ("lz4", &lz4[..])] {
        std::fs::write(bed.path("list.csv"), bytes).unwrap();
        for compression in ["auto", name] {
            let (code, out) = bed.convert(&["--set", &format!("source.compression={compression}")]);
            assert!(code == 0 && out == want, "{name} {compression}");
        }
        let (code, report) = bed.json(&["check", "job.yaml", "--set", "source.compression=gzip"]);
        assert_eq!((code, &report["error"]["message"]), (10, &json!("list.csv is not gzip data")), "{name}");
        let (code, report) = bed.json(&["check", "job.yaml", "--set", "source.compression=none"]);
        assert!(code == 10 && report["error"]["message"].as_str().unwrap().contains(name), "{report}");
        std::fs::write(bed.path("list.csv"), &bytes[..bytes.len() - 3]).unwrap();
        let (code, report) = bed.json(&["check", "job.yaml"]);
        let message = report["error"]["message"].as_str().unwrap();
        assert!(code == 10 && message.contains(&format!("damaged {name} data: it is cut off")), "{message}");
        std::fs::write(bed.path("list.csv"), [bytes, &[0; 16]].concat()).unwrap();
        let (code, report) = bed.json(&["check", "job.yaml"]);
        assert_eq!((code, &report["warnings"][0]["kind"]), (0, &json!("trailing_zeros")), "{report}");
    }
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "source.compression=snappy"]);
    assert!(code == 2 && report["error"]["message"].as_str().unwrap().contains("cut off"), "{report}");
}
