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
