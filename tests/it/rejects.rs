//! The rejected rows of a run as a user gets them: formats, files, and as a source.

use super::cli::{Bed, CLEVERTAP};
use serde_json::{Value, json};

/// Runs a job whose rows without an id are rejected, and returns the bed.
fn rejected(source: &str, list: &[u8]) -> Bed {
    let bed = Bed::new(&CLEVERTAP.replace("path: list.csv", source), list);
    let run = bed.command(&["run", "job.yaml", "-q"]).env("CT_ACCOUNT", "a").env("CT_PASSCODE", "p").output().unwrap();
    assert_eq!(run.status.code(), Some(10), "{}", String::from_utf8_lossy(&run.stderr));
    bed
}

const LIST: &[u8] = b"id;name\n1;J\xfcrgen\n;\"Zo\xeb; \"\"Z\"\"\"\n3\n";

fn latin() -> Bed {
    rejected("path: list.csv, encoding: windows-1252, csv: { delimiter: ';' }", LIST)
}

#[test]
fn rejected_rows_are_utf8_csv_with_a_byte_order_mark_if_asked_for() {
    let bed = latin();
    let plain = bed.run(&["rejects", "last"]).stdout;
    let text = String::from_utf8(plain.clone()).unwrap();
    assert!(text.starts_with("id,name,_stage,") && text.contains(",\"Zoë; \"\"Z\"\"\",local,list.csv,2,3,"), "{text}");
    let marked = bed.run(&["rejects", "last", "--bom"]).stdout;
    assert_eq!(marked, [b"\xef\xbb\xbf", &plain[..]].concat());
    assert_eq!(bed.run(&["rejects", "last", "--format", "csv"]).stdout, plain);
    for wrong in [&["--bom", "--format", "ndjson"][..], &["--as-source", "--bom"], &["--as-source", "--format", "csv"]]
    {
        assert_eq!(bed.run(&[&["rejects", "last"], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn rejected_rows_are_objects_as_ndjson() {
    let output = latin().run(&["rejects", "last", "--format", "ndjson"]);
    let rows: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!((&rows[0]["id"], &rows[0]["name"], &rows[0]["_line"]), (&json!(""), &json!("Zoë; \"Z\""), &json!(3)));
    assert_eq!((&rows[0]["_code"], &rows[1]["_code"]), (&json!("empty"), &json!("ragged")));
    assert_eq!((&rows[1]["_raw"], &rows[1]["_record"]), (&json!("3"), &json!(3)));
    // bytes that are not valid in the source's encoding are escaped
    let bed = rejected("path: list.csv", b"id,name\n,\xff\n");
    let output = bed.run(&["rejects", "last", "--format", "ndjson"]);
    let row: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(row["name"], "\\xff");
}

#[test]
fn a_file_of_rejected_rows_is_private_and_appears_when_it_is_complete() {
    let bed = latin();
    std::fs::write(bed.path("out.csv"), "old").unwrap();
    let output = bed.run(&["rejects", "last", "-o", "out.csv"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((output.stdout, output.stderr), (Vec::new(), b"wrote out.csv\n".to_vec()));
    let plain = bed.run(&["rejects", "last", "-o", "-"]).stdout;
    assert_eq!(std::fs::read(bed.path("out.csv")).unwrap(), plain);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(bed.path("out.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(bed.run(&["rejects", "last", "-o", "gone/out.csv"]).status.code(), Some(1));
    // the state has lost them
    std::fs::remove_dir_all(bed.path("state/rejects")).unwrap();
    let gone = bed.run(&["rejects", "last", "-o", "out.csv"]);
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(gone.status.code() == Some(1) && said.contains("state.keep_rejects"), "{said}");
    assert_eq!(std::fs::read(bed.path("out.csv")).unwrap(), plain, "the old file stays");
}

#[test]
fn a_corrected_reject_file_is_a_source_in_every_form() {
    let bed = latin();
    let mend = |text: String| text.replace("\n,\"Zo", "\n2,\"Zo").replacen("\"id\":\"\",", "\"id\":\"2\",", 1);
    for (arguments, file, sets) in [
        (&["--bom"][..], "again.csv", &["source.encoding=utf-8", "source.csv.delimiter=,"][..]),
        (&["--format", "ndjson"], "again.ndjson", &["source.encoding=utf-8"]),
        (&["--as-source"], "again.txt", &[]),
    ] {
        assert_eq!(bed.run(&[&["rejects", "last", "-o", file], arguments].concat()).status.code(), Some(0));
        let bytes = std::fs::read(bed.path(file)).unwrap();
        let text = match arguments {
            ["--as-source"] => bytes.iter().map(|byte| char::from(*byte)).collect(),
            _ => String::from_utf8(bytes).unwrap(),
        };
        let mended = mend(text).replace("\n;\"Zo", "\n2;\"Zo");
        let bytes: Vec<u8> = match arguments {
            ["--as-source"] => mended.chars().map(|c| c as u8).collect(),
            _ => mended.into_bytes(),
        };
        std::fs::write(bed.path(file), bytes).unwrap();
        let path = format!("source.path={file}");
        let mut command =
            vec!["check", "job.yaml", "--set", &path, "--set", "rejects.max=1", "--set", "rejects.file=r.csv"];
        sets.iter().for_each(|set| command.extend(["--set", set]));
        let (code, report) = bed.json(&command);
        assert_eq!(
            (code, &report["records"]["written"], &report["records"]["rejected"]),
            (0, &json!(1), &json!(1)),
            "{file}: {report}"
        );
        let again = std::fs::read_to_string(bed.path("r.csv")).unwrap();
        let header = again.lines().next().unwrap();
        assert_eq!(header.matches("_stage").count(), 1, "{file}: {header}");
    }
}
