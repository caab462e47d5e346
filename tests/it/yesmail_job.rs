//! Whole jobs: a list served to Yesmail whose failed rows come back as the user's own, an import of an existing file,
//! and an APSIS One export as the source.

use crate::report_schema::Valid as _;
use crate::vendor::{Seen, Vendor, answer, ask};
use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use listferry::job::{Env, Job};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 2;
    env.variables = Arc::new(|name| match name {
        "USER_" | "KEY" | "ID" | "SECRET" => Some(format!("{name}-canary")),
        _ => None,
    });
    env
}

async fn run(text: &str, dir: &Path) -> Value {
    run_noting(text, dir).await.0
}

/// Returns the report, and the warnings of the run.
async fn run_noting(text: &str, dir: &Path) -> (Value, String) {
    let named = if text.starts_with("name: ") { text.to_owned() } else { format!("name: job\n{text}") };
    let job = Job::read(&named, dir, &[]).unwrap();
    let report = job.run(&env(dir)).await.valid();
    let (notes, report) = (crate::warned(&report).join("\n"), report.to_json());
    assert!(!format!("{report}{notes}").contains("canary"), "{report} {notes}");
    (report, notes)
}

/// Imports, pulls what is served, then fails these rows.
async fn yesmail(failed: &'static [u64], pulled: Arc<Mutex<Vec<u8>>>) -> Vendor {
    let uri: Arc<Mutex<String>> = Arc::default();
    Vendor::start_async(move |seen, _| {
        let (uri, pulled) = (Arc::clone(&uri), Arc::clone(&pulled));
        Box::pin(async move {
            match (seen.method.as_str(), seen.target.as_str()) {
                ("POST", _) => {
                    *uri.lock().unwrap() = seen.json()["source"]["uri"].as_str().unwrap().to_owned();
                    answer(202, &[("Content-Location", "/v2/tickets/1")], "{\"id\":\"1\"}")
                }
                (_, "/v2/tickets/1") => {
                    let uri = uri.lock().unwrap().clone();
                    if let Some((user_info, rest)) = uri.strip_prefix("http://").and_then(|rest| rest.split_once('@')) {
                        let token = base64::engine::general_purpose::STANDARD.encode(user_info);
                        let (host, path) = rest.split_once('/').unwrap();
                        let (_, _, body) =
                            ask(host, &format!("GET /{path} HTTP/1.1\r\nAuthorization: Basic {token}")).await;
                        *pulled.lock().unwrap() = body;
                    }
                    let location = "https://api.yesmail.com/v2/async-results/2";
                    answer(200, &[], json!({"state": "completed", "response": {"location": location}}).to_string())
                }
                _ => {
                    let rows: Vec<Value> = failed
                        .iter()
                        .map(|index| json!({"index": index, "error": {"message": format!("no such member {index}")}}))
                        .collect();
                    answer(200, &[], json!({"counts": {"failed": rows.len()}, "failed": rows}).to_string())
                }
            }
        })
    })
    .await
}

#[tokio::test]
async fn failed_indexes_come_back_as_the_users_own_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mut people = String::from("email,note\n");
    for i in 0..20_000 {
        // filtered rows are in between, so an output index is not a row number
        let kind = if i % 3 == 0 { "drop" } else { "keep" };
        people.push_str(&format!("Person{i}@example.test,\"{kind}\"\n"));
    }
    std::fs::write(dir.path().join("people.csv"), people).unwrap();
    let pulled = Arc::default();
    let vendor = yesmail(&[0, 6_666, 13_331], Arc::clone(&pulled)).await;
    let text = format!(
        "source: {{ path: people.csv }}\nwhere: [{{ column: note, equals: keep }}]\n\
         map: {{ id: {{ column: email, apply: [lower] }} }}\n\
         destination: {{ platform: yesmail, base_url: '{}', list: vip, api_user: {{ env: USER_ }}, api_key: {{ env: KEY }},\n\
         host: {{ serve: {{ listen: '127.0.0.1:0' }} }} }}",
        vendor.url()
    );
    let report = run(&text, dir.path()).await;
    assert_eq!((&report["status"], &report["exit_code"]), (&json!("partial"), &json!(11)), "{report}");
    assert_eq!(
        report["records"],
        json!({"read": 20_000, "written": 13_333, "filtered": 6_667, "rejected": 0, "failed": 3, "ignored": null, "unaccounted": null})
    );
    assert_eq!(report["platform_result"]["counts"]["failed"], json!(3));
    let rejects = std::fs::read_to_string(report["rejects_file"].as_str().unwrap()).unwrap();
    let rows: Vec<&str> = rejects.lines().skip(1).collect();
    assert_eq!(rows.len(), 3, "{rejects}");
    // kept rows are 1, 2, 4, 5, 7, …: the n-th (from 0) is 3 * (n / 2) + 1 + n % 2
    for (row, index) in rows.iter().zip([0u64, 6_666, 13_331]) {
        let person = 3 * (index / 2) + 1 + index % 2;
        assert!(row.starts_with(&format!("Person{person}@example.test,keep,platform,")), "{row}");
        assert!(row.contains(&format!("no such member {index}")), "{row}");
        assert!(row.contains(&format!(",{},", person + 1)), "the record's number: {row}");
    }
    let pulled = String::from_utf8(pulled.lock().unwrap().clone()).unwrap();
    assert!(pulled.starts_with("id\nperson1@example.test\nperson2@example.test\nperson4@"));
    assert_eq!(pulled.lines().count(), 13_334);
}

#[tokio::test]
async fn an_index_that_the_list_does_not_have_is_a_warning() {
    for (failed, rows) in [(&[0, 99][..], 1), (&[99][..], 0)] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("people.csv"), "email\nann@example.test\nbob@example.test\n").unwrap();
        let vendor = yesmail(failed, Arc::default()).await;
        let text = format!(
            "source: {{ path: people.csv }}\nmap: {{ id: email }}\n\
             destination: {{ platform: yesmail, base_url: '{}', list: vip, api_user: {{ env: USER_ }}, api_key: {{ env: KEY }},\n\
             host: {{ serve: {{ listen: '127.0.0.1:0' }} }} }}",
            vendor.url()
        );
        let (report, notes) = run_noting(&text, dir.path()).await;
        assert_eq!(report["exit_code"], json!(11), "{report}");
        assert!(notes.contains("1 row by index (from 0: 99) that the list of 2 rows does not have"), "{notes}");
        let hint = report["error"]["hint"].as_str().unwrap();
        assert_eq!(
            (hint.contains("shows the rows"), report["rejects_file"].is_null()),
            (rows > 0, rows == 0),
            "{report}"
        );
    }
}

#[tokio::test]
async fn failed_rows_of_a_foreign_file_are_reported_by_index() {
    let dir = tempfile::tempdir().unwrap();
    let vendor = yesmail(&[4, 7], Arc::default()).await;
    let text = format!(
        "name: there\nmap: {{ id: email }}\n\
         destination: {{ platform: yesmail, base_url: '{}', list: vip, api_user: {{ env: USER_ }}, api_key: {{ env: KEY }},\n\
         separator: ',', host: {{ uri: 'https://files.example/list.csv' }} }}",
        vendor.url()
    );
    let (report, notes) = run_noting(&text, dir.path()).await;
    assert_eq!(report["exit_code"], json!(11), "{report}");
    assert!(notes.contains("2 rows by index (from 0: 4, 7)"), "{notes}");
    assert!(!report["error"]["hint"].as_str().unwrap().contains("shows the rows"), "{report}");
}

#[tokio::test]
async fn an_existing_file_needs_no_source() {
    let dir = tempfile::tempdir().unwrap();
    let vendor = yesmail(&[], Arc::default()).await;
    let text = format!(
        "name: there\nmap: {{ id: email, firstname: first_name }}\n\
         destination: {{ platform: yesmail, base_url: '{}', list: vip, api_user: {{ env: USER_ }}, api_key: {{ env: KEY }},\n\
         host: {{ uri: 'https://files.example/list.csv' }} }}",
        vendor.url()
    );
    let (report, notes) = run_noting(&text, dir.path()).await;
    assert_eq!((&report["status"], &report["exit_code"]), (&json!("done"), &json!(0)), "{report}");
    assert_eq!(report["platform_result"]["ticket"], json!("1"));
    // the file is not read, so its description is a guess, which a warning says
    assert_eq!(vendor.of("POST", "/")[0].json()["source"]["separator"], json!(","));
    let check = |overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        crate::warned(&Job::read(&text, dir.path(), &overrides).unwrap().check(&env(dir.path())).valid()).join("|")
    };
    for notes in [notes, check(&[])] {
        assert!(notes.contains("destination.separator is auto") && notes.contains("separator is \",\""), "{notes}");
    }
    for sure in ["destination.separator=\\t", "destination.separator=','", "map={ id: email }"] {
        assert!(!check(&[sure]).contains("separator"), "{sure}");
    }
    assert_eq!(vendor.of("POST", "/").len(), 1);
    assert_eq!(vendor.of("POST", "/")[0].json()["source"]["uri"], json!("https://files.example/list.csv"));
}

#[tokio::test]
async fn serving_without_a_wait_is_said_before_pass_one() {
    let dir = tempfile::tempdir().unwrap();
    let text = "source: { path: nowhere.csv }\nmap: { id: email }\nwait: 0\n\
         destination: { platform: yesmail, list: vip, api_user: { env: USER_ }, api_key: { env: KEY },\n\
         host: { serve: { listen: '127.0.0.1:0' } } }";
    let report = run(text, dir.path()).await;
    assert_eq!(report["exit_code"], json!(2), "{report}");
}

#[tokio::test]
async fn an_export_is_the_source_of_a_job_and_its_spool_goes_with_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let export = |seen: &Seen, n: usize| match (seen.method.as_str(), seen.target.as_str(), n) {
        ("POST", "/oauth/token", _) => answer(200, &[], "{\"access_token\":\"token\"}"),
        ("POST", ..) => answer(200, &[], "{\"file_download_url_v2\":\"/poll\"}"),
        (_, _, 0) => answer(404, &[], ""),
        _ => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(b"export_key,email\r\n1,Ann@example.test\r\n2,bob@example.test\r\n").unwrap();
            answer(200, &[("Content-Encoding", "gzip")], encoder.finish().unwrap())
        }
    };
    let apsis = Vendor::start(export).await;
    let pulled = Arc::default();
    let vendor = yesmail(&[], Arc::clone(&pulled)).await;
    let text = format!(
        "source: {{ apsis: {{ report: segments, client_id: {{ env: ID }}, client_secret: {{ env: SECRET }},\n\
           request: {{ attributes: [] }}, base_url: '{}' }} }}\n\
         spool: {{ dir: spool }}\n\
         map: {{ id: {{ column: email, apply: [lower] }} }}\n\
         destination: {{ platform: yesmail, base_url: '{}', list: vip, api_user: {{ env: USER_ }}, api_key: {{ env: KEY }},\n\
         host: {{ serve: {{ listen: '127.0.0.1:0' }} }} }}",
        apsis.url(),
        vendor.url()
    );
    let report = run(&text, dir.path()).await;
    assert_eq!((&report["status"], &report["exit_code"]), (&json!("done"), &json!(0)), "{report}");
    assert_eq!(report["records"]["written"], json!(2));
    assert_eq!(*pulled.lock().unwrap(), b"id\nann@example.test\nbob@example.test\n");
    let left: Vec<_> = std::fs::read_dir(dir.path().join("spool")).map(Iterator::collect).unwrap_or_default();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn an_export_may_be_a_workbook() {
    let dir = tempfile::tempdir().unwrap();
    let export = |seen: &Seen, _: usize| match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/oauth/token") => answer(200, &[], "{\"access_token\":\"token\"}"),
        ("POST", _) => answer(200, &[], "{\"file_download_url_v2\":\"/poll\"}"),
        _ => {
            let rows = "<row><c t=\"str\"><v>export_key</v></c><c t=\"str\"><v>email</v></c></row>\
                        <row><c><v>1</v></c><c t=\"str\"><v>Ann@example.test</v></c></row>";
            let kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
            answer(200, &[("Content-Type", kind)], super::workbook::Book::of(rows).file())
        }
    };
    let apsis = Vendor::start(export).await;
    let pulled = Arc::default();
    let vendor = yesmail(&[], Arc::clone(&pulled)).await;
    let text = format!(
        "source: {{ apsis: {{ report: segments, client_id: {{ env: ID }}, client_secret: {{ env: SECRET }},\n\
           request: {{}}, base_url: '{}', format: xlsx }} }}\n\
         spool: {{ dir: spool }}\n\
         map: {{ id: {{ column: email, apply: [lower] }} }}\n\
         destination: {{ platform: yesmail, base_url: '{}', list: vip, api_user: {{ env: USER_ }}, api_key: {{ env: KEY }},\n\
         host: {{ serve: {{ listen: '127.0.0.1:0' }} }} }}",
        apsis.url(),
        vendor.url()
    );
    let report = run(&text, dir.path()).await;
    assert_eq!((&report["status"], &report["records"]["written"]), (&json!("done"), &json!(1)), "{report}");
    assert_eq!(*pulled.lock().unwrap(), b"id\nann@example.test\n");
}

#[tokio::test]
async fn an_export_lands_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let apsis = Vendor::start(|seen, _| match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/oauth/token") => answer(200, &[], "{\"access_token\":\"token\"}"),
        ("POST", _) => answer(200, &[], "{\"file_download_url\":\"/poll\"}"),
        _ => answer(200, &[], "export_key\n1\n"),
    })
    .await;
    let text = format!(
        "source: {{ apsis: {{ report: consents, client_id: {{ env: ID }}, client_secret: {{ env: SECRET }},\n\
           request: {{}}, base_url: '{}' }} }}",
        apsis.url()
    );
    let job = Job::read(&text, dir.path(), &[]).unwrap();
    let target = dir.path().join("out.csv");
    job.export(&env(dir.path()), &target).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"export_key\n1\n");
    assert!(!dir.path().join("state").exists(), "an export needs no state");
}
