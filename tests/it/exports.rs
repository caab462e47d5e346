//! Lists that other tools wrote, in every dialect, encoding and compression: the same output, digest and rejects, whatever
//! the file. `tests/exports/make.py` writes them; LISTFERRY_EXPORTS names another folder of its files.

use super::cli::Bed;
use serde_json::{Value, json};
use std::path::PathBuf;

const JOB: &str = "\
map:
  customer_id: id
  changes:
    - { op: assign, attr: email, column: email }
    - { op: assign, attr: name, column: name }
    - { op: assign, attr: note, column: note }
rejects: { max_percent: 50 }
destination: { platform: localytics-profiles, org_id: 60, api_key: { env: CT_K }, api_secret: { env: CT_S } }
";

fn folder() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/exports");
    std::env::var_os("LISTFERRY_EXPORTS").map_or(own, PathBuf::from)
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Returns the output for the rows of a list, and the numbers of those that are rejected.
fn expected(rows: &Value) -> (String, Vec<String>) {
    let (mut out, mut rejected) = (String::new(), Vec::new());
    for (n, row) in (1..).zip(rows.as_array().unwrap()) {
        if row[0] == "" {
            rejected.push(n.to_string());
            continue;
        }
        let change = |(at, attr)| {
            let value = &row[at];
            (value != "").then(|| json!({ "op": "assign", "attr": attr, "value": value }))
        };
        let changes: Vec<Value> = [(1, "email"), (2, "name"), (3, "note")].into_iter().filter_map(change).collect();
        out += &(json!({ "customer_id": row[0], "changes": changes }).to_string() + "\n");
    }
    (out, rejected)
}

#[test]
fn files_of_other_tools_are_the_same_list() {
    let manifest = read("MANIFEST.json");
    let files = manifest.as_array().unwrap();
    assert!(files.len() > 35, "{} files", files.len());
    let mut digests = std::collections::BTreeMap::new();
    for file in files {
        let name = file["file"].as_str().unwrap();
        let list = file["list"].as_str().unwrap();
        let mut source = file["source"].clone();
        source["path"] = folder().join(name).to_str().unwrap().into();
        let bed = Bed::new(&format!("source: {source}\n{JOB}"), "");
        let (want, rejected) = expected(&read(&format!("{list}.json")));

        let (code, report) = bed.json(&["check", "job.yaml", "--threads", "2"]);
        assert_eq!(code, 0, "{name}: {report}");
        let more = file["rejected_more"].as_u64().unwrap();
        let records = &report["records"];
        let counts = (records["rejected"].as_u64().unwrap(), records["written"].as_u64().unwrap());
        assert_eq!(counts, (rejected.len() as u64 + more, want.lines().count() as u64), "{name}: {report}");
        assert_eq!(report["reject_reasons"]["empty"], rejected.len(), "{name}: {report}");
        let digest = digests.entry(list.to_owned()).or_insert_with(|| report["digest"].clone());
        assert_eq!(&report["digest"], digest, "{name}");

        let mut reader = csv::Reader::from_path(report["rejects_file"].as_str().unwrap()).unwrap();
        let at = reader.headers().unwrap().iter().position(|column| column == "_record").unwrap();
        let numbers: Vec<String> = reader.records().map(|row| row.unwrap()[at].to_owned()).collect();
        assert_eq!(numbers[..rejected.len()], rejected, "{name}");

        for threads in ["1", "3"] {
            let (code, out) = bed.convert(&["--threads", threads]);
            assert_eq!((code, String::from_utf8(out).unwrap()), (0, want.clone()), "{name}");
        }
    }
}
