//! The memory promise, with room for what an unoptimised binary needs more. The process reports its own peak.

use super::cli::Bed;

const PROFILES: &str = "source: { path: list.csv }\nrejects: { max: 100 }\nallow_empty: true\nmap: { customer_id: id, \
                        changes: [{ op: assign, attr: note, column: note }] }\ndestination: { platform: \
                        localytics-profiles, org_id: 1, api_key: k, api_secret: s }\n";
const CLEVERTAP: &str = "source: { path: list.csv }\nmap: { identity: id }\ndestination: { platform: clevertap, region: \
                         in1, account_id: a, passcode: p, segment: s, creator: c, email: e@example.com }\n";

/// Returns the peak memory in MiB while a list is checked.
fn peak(job: &str, list: impl AsRef<[u8]>, threads: &str) -> u64 {
    let bed = Bed::new(job, list);
    let (code, report) = bed.json(&["check", "job.yaml", "--threads", threads]);
    assert_eq!(code, 0, "{}", report["error"]);
    report["peak_rss_bytes"].as_u64().unwrap() >> 20
}

/// Each thread used to keep buffers as large as the largest record: 163 MiB with four.
#[test]
fn records_of_eight_mebibytes_need_one_set_of_large_buffers() {
    // too long for the platform, so that they are written to the reject file
    let record = |n: usize| format!("{n},{}\n", "x".repeat((8 << 20) - 20));
    let list = |records: usize| "id,note\n".to_owned() + &(0..records).map(record).collect::<String>();
    assert!(peak(PROFILES, list(2), "1") <= 32 + 8 + 8);
    assert!(peak(PROFILES, list(6), "4") <= 64 + 8 + 8);
}

/// The text of a rejected line was scanned as one window, and its value copied before it was found too long.
#[test]
fn a_rejected_line_of_eight_mebibytes_is_not_copied_between() {
    let line = |n: usize| format!("{{\"id\":\"{n}\",\"note\":\"{}\"}}\n", "x".repeat((8 << 20) - 40));
    let list: String = (0..2).map(line).collect();
    // one copy more than a CSV record of that size: the cells of the reject file are found in it
    assert!(peak(&PROFILES.replace("list.csv", "list.csv, format: ndjson"), &list, "1") <= 32 + 8 + 10);
    let lines = "x".repeat((8 << 20) - 40) + "\n";
    let job = PROFILES
        .replace("list.csv", "list.csv, format: lines")
        .replace("id: id", "id: value")
        .replace("column: note", "column: value");
    assert!(peak(&job, lines.repeat(2), "1") <= 32 + 8 + 8);
}

/// A value with doubled quotes was unescaped into a copy and escaped again: a third record in memory.
#[test]
fn a_large_cell_with_doubled_quotes_is_not_copied_between() {
    let job = "source: { path: list.csv }\nmap: { id: id, note: note }\ndestination: { platform: yesmail, list: l, api_user: u, \
               api_key: k, separator: \",\", host: { put: { url: \"http://127.0.0.1/a\", fetch_url: \"http://127.0.0.1/a\" } } }\n";
    let cell = format!("{}\"\"", "x".repeat(4000)).repeat(2000);
    let list = "id,note\n".to_owned() + &(0..3).map(|n| format!("{n},\"{cell}\"\n")).collect::<String>();
    assert!(peak(job, &list, "1") <= 32 + 8);
    // too long for the platform, whatever it is
    assert!(peak(PROFILES, &list, "1") <= 32 + 8);
}

/// Cells of more than 1 MiB go a way of their own.
#[test]
fn large_cells_come_out_as_small_ones_do() {
    let yesmail = |separator: &str| {
        format!(
            "source: {{ path: list.csv }}\nmap: {{ id: id, note: note }}\ndestination: {{ platform: yesmail, list: l, api_user: u, \
             api_key: k, separator: {separator}, host: {{ put: {{ url: \"http://127.0.0.1/a\", fetch_url: \
             \"http://127.0.0.1/a\" }} }} }}\n"
        )
    };
    let json = "source: { path: list.csv }\nmap: { operation: { value: UPDATE }, user_account_id: id, segment_id: { value: 1 }, \
                expiration_duration: { value: 0 }, data_bag: { object: { note: note } } }\ndestination: { platform: mediarithmics, \
                datamart_id: 1, token: t, import_name: n, mime_type: ndjson }\n";
    let pieces = ["plain", "a, b", "say \"hi\"", "two\nlines", "é\tł", "\\ 'q'"];
    let values: Vec<String> = pieces.iter().map(|piece| piece.repeat((1 << 20) / piece.len() + 9)).collect();
    let mut list = csv::Writer::from_writer(Vec::new());
    list.write_record(["id", "note"]).unwrap();
    for (n, value) in values.iter().enumerate() {
        list.write_record([&n.to_string(), value]).unwrap();
    }
    let list = list.into_inner().unwrap();
    for (separator, byte) in [("\",\"", b','), ("auto", b'|')] {
        let out = Bed::new(&yesmail(separator), &list).run(&["convert", "job.yaml", "-q"]).stdout;
        let mut reader = csv::ReaderBuilder::new().delimiter(byte).from_reader(&out[..]);
        let read: Vec<String> = reader.records().map(|record| record.unwrap()[1].to_owned()).collect();
        assert!(read == values, "{separator}");
    }
    let out = Bed::new(json, &list).run(&["convert", "job.yaml", "-q"]).stdout;
    let lines = out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let read: Vec<String> = lines
        .map(|line| {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            let bag: serde_json::Value = serde_json::from_str(line["data_bag"].as_str().unwrap()).unwrap();
            bag["note"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(read == values);
}

/// The structure of a record used to take four bytes per cell, whatever the header.
#[test]
fn a_record_of_delimiters_alone_is_no_larger_than_another() {
    let line = ",".repeat((8 << 20) - 20) + "\n";
    let list = format!("id,note\n1,2\n{line}{line}");
    let job = format!("{CLEVERTAP}rejects: {{ max: 9 }}\n");
    assert!(peak(&job, list, "1") <= 32 + 8 + 8);
}

/// The column names used to be kept three times: 53 MiB.
#[test]
fn a_header_of_150000_columns_is_kept_once() {
    let columns: Vec<String> = (1..150_000).map(|n| format!("column_{n}")).collect();
    let list = format!("id,{}\n1{}\n", columns.join(","), ",".repeat(149_999));
    assert!(peak(CLEVERTAP, list, "1") <= 32 + 10);
}
