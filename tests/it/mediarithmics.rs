//! mediarithmics jobs against a server that simulates the vendor: imports, executions, their list and error file.

use crate::report_schema::Valid as _;
use crate::vendor::{Seen, Vendor, answer};
use listferry::job::{Env, Job, Report};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};

const IMPORTS: &str = "/v1/datamarts/1234/document_imports";
const EXECUTIONS: &str = "/v1/datamarts/1234/document_imports/77/executions";
const ROWS: usize = 12;

/// How the vendor handles the body of the `nth` execution (from 0).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Yes,
    /// Accepted, but without an answer.
    AndIsSilent,
    /// Not accepted.
    Not(u16),
}

/// The executions that the vendor keeps, in order: body and status.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(String, Value)>>>);

impl Kept {
    fn bodies(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(body, _)| body.clone()).collect()
    }
}

/// A vendor whose executions end at once with the result of `ends`, which gets the number of rows.
async fn vendor(
    takes: impl Fn(usize) -> Takes + Send + Sync + 'static,
    ends: impl Fn(usize) -> Value + Send + Sync + 'static,
) -> (Vendor, Kept) {
    let kept = Kept::default();
    let own = kept.clone();
    let posts = Mutex::new(0);
    let server = Vendor::start(move |seen: &Seen, _| {
        let path = seen.target.split('?').next().unwrap_or_default();
        match (seen.method.as_str(), path) {
            ("POST", IMPORTS) => answer(200, &[], r#"{"status":"ok","data":{"id":77,"datafarm_key":"DF_EU"}}"#),
            ("POST", EXECUTIONS) => {
                let nth = {
                    let mut posts = posts.lock().unwrap();
                    *posts += 1;
                    *posts - 1
                };
                let takes = takes(nth);
                if let Takes::Not(status) = takes {
                    return answer(status, &[], r#"{"status":"error","error":"not now"}"#);
                }
                let mut kept = own.0.lock().unwrap();
                let body = String::from_utf8(seen.body.clone()).unwrap();
                let rows = body.lines().filter(|line| !line.starts_with("operation,")).count();
                let (id, mut execution) = (kept.len().to_string(), ends(rows));
                execution["id"] = id.as_str().into();
                kept.push((body, execution));
                match takes {
                    Takes::AndIsSilent => Vec::new(),
                    _ => answer(200, &[], format!(r#"{{"status":"ok","data":{{"id":"{id}","status":"PENDING"}}}}"#)),
                }
            }
            ("GET", EXECUTIONS) => {
                let asked = |key: &str| -> usize {
                    let query = seen.target.split_once('?').map_or("", |(_, query)| query);
                    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")));
                    value.unwrap().parse().unwrap()
                };
                let kept = own.0.lock().unwrap();
                let page: Vec<&Value> = kept
                    .iter()
                    .map(|(_, execution)| execution)
                    .skip(asked("first_result"))
                    .take(asked("max_results"))
                    .collect();
                let total = kept.len();
                answer(200, &[], json!({ "status": "ok", "total": total, "data": page }).to_string())
            }
            _ => answer(200, &[], "{\"line\": 1, \"message\": \"unknown user\"}\nno row here\n"),
        }
    })
    .await;
    (server, kept)
}

fn well(rows: usize) -> Value {
    json!({ "status": "SUCCEEDED", "result": { "total_success": rows.to_string(), "total_failure": 0 } })
}

fn yaml(base: &str) -> String {
    format!(
        "source: {{ path: list.csv }}\nmap: {{ operation: {{ value: UPDATE }}, user_account_id: id, \
         segment_id: {{ value: 42 }}, expiration_duration: {{ value: 0 }} }}\n\
         destination: {{ platform: mediarithmics, base_url: \"{base}\", datamart_id: 1234, token: {{ env: T }}, \
         import_name: \"spring {{run}}\" }}\nwait: 20s\nupload: {{ attempts: 4 }}\n"
    )
}

async fn run_in(dir: &Path, server: &Vendor, overrides: &[&str]) -> Report {
    let mut list = String::from("id,op\n");
    for row in 0..ROWS {
        list.push_str(&format!("user-{row:03},{}\n", if row % 2 == 0 { "UPDATE" } else { "DELETE" }));
    }
    std::fs::write(dir.join("list.csv"), list).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let job = Job::read(&format!("name: job\n{}", yaml(&server.url())), dir, &overrides).unwrap();
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 2;
    env.variables = Arc::new(|name: &str| (name == "T").then(|| "to-ken-1".to_owned()));
    job.run(&env).await.valid()
}

async fn run(server: &Vendor, overrides: &[&str]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    run_in(dir.path(), server, overrides).await
}

fn shown(report: &Report) -> String {
    serde_json::to_string(report).unwrap()
}

fn line(row: usize) -> String {
    format!(
        "{{\"operation\":\"UPDATE\",\"user_account_id\":\"user-{row:03}\",\"segment_id\":\"42\",\"expiration_duration\":0}}\n"
    )
}

fn lines() -> String {
    (0..ROWS).map(line).collect()
}

#[tokio::test]
async fn an_import_is_created_and_executed_with_the_raw_token() {
    let (server, kept) = vendor(|_| Takes::Yes, well).await;
    let report = run(&server, &[]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(kept.bodies(), [lines()]);
    assert_eq!(report.platform_result["document_import_id"], "77");
    assert_eq!(report.platform_result["total_success"], ROWS);
    let create = &server.of("POST", IMPORTS)[0];
    let wanted = create.json();
    assert_eq!(
        (&wanted["document_type"], &wanted["mime_type"]),
        (&json!("USER_SEGMENT"), &json!("APPLICATION_X_NDJSON"))
    );
    assert_eq!(wanted["encoding"], "utf-8");
    assert!(wanted["name"].as_str().unwrap().starts_with("spring 20"), "{wanted}");
    assert_eq!(server.of("POST", EXECUTIONS)[0].header("content-type"), Some("application/x-ndjson"));
    assert!(server.seen().iter().all(|seen| seen.header("authorization") == Some("to-ken-1")));
}

#[tokio::test]
async fn an_import_of_before_is_reused() {
    let (server, kept) = vendor(|_| Takes::Yes, well).await;
    let report = run(&server, &["destination.import_name=null", "destination.document_import_id=77"]).await;
    assert_eq!((report.exit_code, kept.bodies().len()), (0, 1), "{}", shown(&report));
    assert!(server.of("POST", IMPORTS).iter().all(|seen| seen.target == EXECUTIONS));
}

#[tokio::test]
async fn parts_stay_below_their_limit_and_each_is_retried_by_itself() {
    // the second part fails twice
    let (server, kept) = vendor(|nth| if nth == 1 || nth == 2 { Takes::Not(500) } else { Takes::Yes }, well).await;
    let most = line(0).len() * 5 + 3;
    let report = run(&server, &[&format!("destination.max_part_bytes={most}")]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(kept.bodies().concat(), lines(), "each record once, in order");
    assert!(kept.bodies().iter().all(|body| body.len() <= most));
    let attempts: Vec<u32> = report.parts.iter().map(|part| part.attempts).collect();
    assert_eq!(attempts, [1, 3, 1], "{}", shown(&report));
}

#[tokio::test]
async fn every_part_of_a_csv_has_its_header() {
    let (server, kept) = vendor(|_| Takes::Yes, well).await;
    let report = run(&server, &["destination.mime_type=csv", "destination.max_part_bytes=150"]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    let head = "operation,user_account_id,segment_id,expiration_duration\n";
    let bodies = kept.bodies();
    assert!(bodies.len() > 1 && bodies.iter().all(|body| body.len() <= 150));
    let rows: String = bodies.iter().map(|body| body.strip_prefix(head).unwrap()).collect();
    let want: String = (0..ROWS).map(|row| format!("UPDATE,user-{row:03},42,0\n")).collect();
    assert_eq!(rows, want);
    assert_eq!(server.of("POST", EXECUTIONS)[0].header("content-type"), Some("text/csv"));
    assert_eq!(server.of("POST", IMPORTS)[0].json()["mime_type"], "TEXT_CSV");
}

#[tokio::test]
async fn an_execution_whose_answer_was_lost_is_found_and_not_sent_again() {
    let (server, kept) = vendor(|nth| if nth == 1 { Takes::AndIsSilent } else { Takes::Yes }, well).await;
    let most = line(0).len() * 4;
    let report = run(&server, &[&format!("destination.max_part_bytes={most}")]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(kept.bodies().concat(), lines(), "each record once, in order");
    let ids: Vec<Option<&str>> = report.parts.iter().map(|part| part.remote_id.as_str()).collect();
    assert_eq!(ids, [Some("0"), Some("1"), Some("2")]);
}

#[tokio::test]
async fn updates_and_deletes_in_one_file_wait_for_the_part_before() {
    let (server, _) = vendor(|_| Takes::Yes, well).await;
    let most = line(0).len() * 6;
    let part = format!("destination.max_part_bytes={most}");
    let report = run(&server, &[&part, "map.operation=op"]).await;
    assert_eq!((report.exit_code, report.parts.len()), (0, 2), "{}", shown(&report));
    let order: Vec<String> = server.seen().iter().skip(1).map(|seen| seen.method.clone()).collect();
    assert_eq!(order, ["POST", "GET", "POST", "GET"]);
    let (server, _) = vendor(|_| Takes::Yes, well).await;
    assert_eq!(run(&server, &[&part]).await.exit_code, 0);
    let order: Vec<String> = server.seen().iter().skip(1).map(|seen| seen.method.clone()).collect();
    assert_eq!(order, ["POST", "POST", "GET", "GET"], "where nothing mixes nothing waits");
}

#[tokio::test]
async fn each_status_has_its_end() {
    for (status, failures, code) in [
        ("SUCCEEDED", json!(0), 0),
        ("SUCCESS", json!("0"), 0),
        ("SUCCEEDED", json!("3"), 11),
        ("FAILED", json!(null), 11),
        ("CANCELED", json!(null), 11),
    ] {
        let failed = if failures == "3" { 3 } else { 0 };
        let (server, _) = vendor(
            |_| Takes::Yes,
            move |rows| {
                let result = json!({ "total_success": rows - failed, "total_failure": failures });
                json!({ "status": status, "result": result, "num_tasks": null })
            },
        )
        .await;
        let report = run(&server, &[]).await;
        assert_eq!(i32::from(report.exit_code), code, "{status}: {}", shown(&report));
    }
    for status in ["PENDING", "RUNNING", "ASLEEP"] {
        let (server, _) = vendor(|_| Takes::Yes, move |_| json!({ "status": status, "result": null })).await;
        let report = run(&server, &["wait=1500ms"]).await;
        assert_eq!(report.exit_code, 22, "{status}: {}", shown(&report));
        let warnings = usize::from(status == "ASLEEP");
        assert_eq!(report.warnings.len(), warnings, "{status}: {}", shown(&report));
        assert!(
            crate::warned(&report).iter().all(|note| note.contains("unknown status \"ASLEEP\"")),
            "{}",
            shown(&report)
        );
    }
}

#[tokio::test]
async fn why_an_execution_failed_is_in_the_error() {
    for (answered, says) in [
        (json!({ "status": "FAILED", "error": { "message": "bad file\u{1b} of to-ken-1" } }), "bad file\\u{1b} of ***"),
        (json!({ "status": "FAILED", "error": "no space" }), "no space"),
        (json!({ "status": "CANCELED" }), "it ended CANCELED"),
    ] {
        let (server, _) = vendor(|_| Takes::Yes, move |_| answered.clone()).await;
        let report = run(&server, &[]).await;
        let error = report.error.as_ref().unwrap();
        assert_eq!(error.message(), format!("the platform reports a failed import: {says}"), "{}", shown(&report));
        assert!(report.platform_result["total_failure"].is_null(), "nothing is known: {}", shown(&report));
        assert!(!shown(&report).contains("to-ken-1"), "{}", shown(&report));
    }
}

#[tokio::test]
async fn minutes_are_not_negative() {
    let (server, _) = vendor(|_| Takes::Yes, well).await;
    let report = run(&server, &["map.expiration_duration={ value: -5 }"]).await;
    assert_eq!((report.exit_code, server.seen().len()), (2, 0), "{}", shown(&report));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.csv"), "id,minutes\na,5\nb,-5\nc,-0\nd, -7\ne,0\n").unwrap();
    for minutes in ["minutes", "{ column: minutes, apply: [trim] }"] {
        let overrides = [format!("map.expiration_duration={minutes}"), "rejects.max=5".to_owned()];
        let job = Job::read(&yaml("http://127.0.0.1:1"), dir.path(), &overrides).unwrap();
        let report = job.check(&crate::job_file::env_in(dir.path())).valid();
        assert_eq!((report.records.written, report.records.rejected), (3, 2), "{}", shown(&report));
        let trimmed = u64::from(minutes.contains("trim"));
        assert_eq!(report.reject_reasons.get("negative"), Some(&(1 + trimmed)), "{}", shown(&report));
    }
}

#[tokio::test]
async fn rows_of_the_error_file_are_the_users_rows() {
    let (server, _) = vendor(
        |_| Takes::Yes,
        |_| {
            json!({ "status": "SUCCEEDED", "result": { "total_success": 11, "total_failure": 1,
                    "error_file_uri": "mics://data_file/tenants/1/errors?x=1" } })
        },
    )
    .await;
    let dir = tempfile::tempdir().unwrap();
    let report = run_in(dir.path(), &server, &[]).await;
    assert_eq!(report.exit_code, 11, "{}", shown(&report));
    let asked = server.of("GET", "/v1/data_file/data?uri=");
    assert_eq!((asked.len(), asked[0].header("authorization")), (1, Some("to-ken-1")));
    assert!(!asked[0].target["/v1/data_file/data?uri=".len()..].contains(['/', '?', '&']), "{}", asked[0].target);
    let rejects = std::fs::read_to_string(report.rejects_file.as_ref().expect("a reject file")).unwrap();
    assert!(rejects.contains("\nuser-001,DELETE,platform,"), "{rejects}");
    assert_eq!(rejects.lines().count(), 2, "{rejects}");
}

#[tokio::test]
async fn a_later_part_that_is_refused_leaves_a_partial_run() {
    let (server, kept) = vendor(|nth| if nth == 2 { Takes::Not(400) } else { Takes::Yes }, well).await;
    let report = run(&server, &[&format!("destination.max_part_bytes={}", line(0).len() * 4)]).await;
    let shown = shown(&report);
    let value: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["status"], "partial", "{shown}");
    assert!(shown.contains("2 of 3 parts"), "{shown}");
    assert_eq!(kept.bodies().concat(), lines()[..line(0).len() * 8]);
}

#[tokio::test]
async fn an_execution_on_a_later_page_is_found() {
    // 130 parts of one record each would be slow; the list is long because the import was used before
    let (server, kept) = vendor(|_| Takes::Yes, well).await;
    for old in 0..130 {
        kept.0.lock().unwrap().push((String::new(), json!({ "id": format!("old-{old}"), "status": "FAILED" })));
    }
    let report = run(&server, &["destination.import_name=null", "destination.document_import_id=77"]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(report.parts[0].remote_id.as_str(), Some("130"));
}
