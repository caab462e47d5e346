//! Localytics jobs against a server that answers with the samples of the vendor's documents.

use crate::report_schema::Valid as _;
use crate::vendor::{Seen, Vendor, answer};
use listferry::Kind;
use listferry::job::{Env, Job, Report};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const UPLOAD: &str = "/v1/imports/profiles/upload";
const STATUS: &str = "/v1/imports/profiles/status/";
const LIST: &str = "id,name\nabc,Ann\n\"d,e\",Bob\n";
const LINES: &str = "{\"customer_id\":\"abc\",\"changes\":[{\"op\":\"assign\",\"attr\":\"name\",\"value\":\"Ann\"}]}\n\
                     {\"customer_id\":\"d,e\",\"changes\":[{\"op\":\"assign\",\"attr\":\"name\",\"value\":\"Bob\"}]}\n";
const TAKEN: &str = r#"{"activity_id": "3b4a65e5-2beb-4011-85df-c9f594217d90"}"#;
/// The sample of the documents, with its trailing comma.
const COMPLETED: &str = r#"{ "status": "Completed", "error_log": "LOG", "scopet": {"org_id": 1234}, "upload_statistics": { "successful_imports": GOOD, "parsed_imports": ALL, "failed_imports": BAD, "total_number_of_imports": ALL, } }"#;

/// Returns the status of an upload of `rows` rows of which `bad` failed.
fn completed(log: &str, bad: usize, rows: usize) -> Vec<u8> {
    let text = COMPLETED.replace("LOG", log).replace("BAD", &bad.to_string());
    answer(200, &[], text.replace("GOOD", &(rows - bad).to_string()).replace("ALL", &rows.to_string()))
}

fn job(dir: &Path, base: &str, overrides: &[&str]) -> Job {
    std::fs::write(dir.join("list.csv"), LIST).unwrap();
    let yaml = format!(
        "name: vip\nsource: {{ path: list.csv }}\n\
         map: {{ customer_id: id, changes: [{{ op: assign, attr: name, column: name }}] }}\n\
         destination: {{ platform: localytics-profiles, base_url: \"{base}\", org_id: 60, api_key: {{ env: KEY }}, \
         api_secret: {{ env: SECRET }} }}\nwait: 20s\nupload: {{ attempts: 3 }}\n"
    );
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Job::read(&yaml, dir, &overrides).unwrap()
}

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 1;
    env.variables = Arc::new(|name: &str| match name {
        "KEY" => Some("api-key-1".to_owned()),
        "SECRET" => Some("api-secret-1".to_owned()),
        _ => None,
    });
    env
}

async fn run(vendor: &Vendor, overrides: &[&str]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    job(dir.path(), &vendor.url(), overrides).run(&env(dir.path())).await.valid()
}

fn shown(report: &Report) -> String {
    serde_json::to_string(report).unwrap()
}

/// Accepts every upload. `status` answers by how often it was polled and the number of rows of the last upload.
async fn vendor(status: impl Fn(&Seen, usize, usize) -> Vec<u8> + Send + Sync + 'static) -> Vendor {
    let rows = AtomicUsize::new(0);
    Vendor::start(move |seen, nth| match seen.method.as_str() {
        "POST" => {
            let text = String::from_utf8_lossy(&seen.body).into_owned();
            rows.store(text.matches("{\"customer_id\"").count(), Ordering::SeqCst);
            answer(202, &[], TAKEN)
        }
        _ => status(seen, nth, rows.load(Ordering::SeqCst)),
    })
    .await
}

#[tokio::test]
async fn one_form_of_exact_length_with_the_keys_in_a_header() {
    let server = vendor(|_, _, rows| completed("", 0, rows)).await;
    let report = run(&server, &[]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(report.platform_result["activity_id"], "3b4a65e5-2beb-4011-85df-c9f594217d90");
    assert_eq!(report.bytes.body, LINES.len() as u64);
    let upload = &server.of("POST", UPLOAD)[0];
    // "api-key-1:api-secret-1"
    assert_eq!(upload.header("authorization"), Some("Basic YXBpLWtleS0xOmFwaS1zZWNyZXQtMQ=="));
    let boundary = upload.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let text = String::from_utf8(upload.body.clone()).unwrap();
    let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 5, "{text}");
    assert_eq!(parts[1], "\r\nContent-Disposition: form-data; name=\"org_id\"\r\n\r\n60\r\n");
    assert_eq!(parts[2], "\r\nContent-Disposition: form-data; name=\"format\"\r\n\r\njson\r\n");
    let (head, file) = parts[3].split_once("\r\n\r\n").unwrap();
    assert!(head.contains("name=\"file\"; filename=\""), "{head}");
    assert_eq!(file, format!("{LINES}\r\n"));
    assert_eq!((parts[0], parts[4]), ("", "--\r\n"));
    assert_eq!(upload.header("content-length"), Some(text.len().to_string().as_str()));
}

#[tokio::test]
async fn failed_rows_come_back_by_customer_id_and_the_log_gets_no_credentials() {
    let server = vendor(|seen, nth, rows| {
        let host = seen.header("host").unwrap_or_default();
        match (seen.target.starts_with(STATUS), nth) {
            (true, 0) => answer(200, &[], r#"{"status": "Pending" ... }"#),
            (true, 1) => answer(200, &[], r#"{"status": "Running" ... }"#),
            // without a scheme, as the sample has it
            (true, _) => completed(&format!("{host}/errors/errors.json"), 1, rows),
            _ => answer(
                200,
                &[],
                "{\"customer_id\":\"d,e\",\"error\":\"no such \\u001b[31mattribute\"}\n{\"customer_id\":\"absent-1\",\"error\":\"\"}\n",
            ),
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let report = job(dir.path(), &server.url(), &[]).run(&env(dir.path())).await.valid();
    assert_eq!(report.exit_code, 11, "{}", shown(&report));
    assert_eq!(report.platform_result["upload_statistics"]["failed_imports"], 1);
    assert_eq!(report.platform_result["failed_rows"], 1);
    let log = server.of("GET", "/errors/");
    assert_eq!((log.len(), log[0].header("authorization")), (1, None));
    let rejects = std::fs::read_to_string(report.rejects_file.as_ref().expect("a reject file")).unwrap();
    assert!(rejects.contains("\n\"d,e\",Bob,platform,"), "{rejects}");
    assert!(rejects.contains("no such \\u{1b}[31mattribute") && !rejects.contains('\u{1b}'), "{rejects:?}");
    // a row that is not in the list: a warning, which does not show the key
    let notes = crate::warned(&report).join("|");
    assert!(notes.contains("1 row by customer id that the list of 2 rows does not have"), "{notes}");
    assert!(!shown(&report).contains("absent-1"), "{}", shown(&report));
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_never_fatal() {
    let server = vendor(|seen, _, rows| match seen.target.starts_with(STATUS) {
        true => completed(&format!("{}/gone.json", seen.header("host").unwrap_or_default()), 1, rows),
        false => answer(404, &[], "gone"),
    })
    .await;
    let report = run(&server, &[]).await;
    assert_eq!(report.exit_code, 11, "{}", shown(&report));
    assert_eq!(report.platform_result["status"], "Completed");
}

#[tokio::test]
async fn a_failed_import_and_an_unknown_word() {
    let server = vendor(|_, _, _| answer(200, &[], r#"{"status":"Failed","upload_statistics":null}"#)).await;
    let report = run(&server, &[]).await;
    assert_eq!(
        (report.exit_code, report.platform_result["status"].as_str()),
        (11, Some("Failed")),
        "{}",
        shown(&report)
    );
    assert_eq!(report.platform_result.get("failed_rows"), None, "nothing is known: {}", shown(&report));
    let server = vendor(|_, _, _| answer(200, &[], r#"{"status":"Paused"}"#)).await;
    let report = run(&server, &["wait=2s"]).await;
    assert_eq!(report.exit_code, 22, "{}", shown(&report));
    assert!(server.of("GET", STATUS).len() >= 2, "asked on");
    assert_eq!(report.warnings.len(), 1, "one warning, however often it was said: {}", shown(&report));
    assert!(report.warnings[0].message.contains("unknown word \"Paused\""), "{}", shown(&report));
    let server = vendor(|_, _, _| answer(500, &[], "")).await;
    let report = run(&server, &["wait=0"]).await;
    assert_eq!((report.exit_code, server.of("GET", STATUS).len()), (0, 0), "{}", shown(&report));
    assert_eq!(report.platform_result.get("failed_rows"), None, "nothing is known: {}", shown(&report));
}

#[tokio::test]
async fn why_an_import_failed_is_in_the_error() {
    let reason =
        r#"{"status":"Failed","error_reason":"no\n app\u001b[1m for api-secret-1, see https://h/e?sig=sig-1"}"#;
    let server = vendor(move |_, _, _| answer(200, &[], reason)).await;
    let report = run(&server, &[]).await;
    let error = report.error.as_ref().unwrap();
    assert_eq!(error.message(), "the platform reports a failed import: no app\\u{1b}[1m for ***, see https://h/e?***");
    assert!(!shown(&report).contains("api-secret-1") && !shown(&report).contains("sig-1"), "{}", shown(&report));
    // one part of two
    let asked = AtomicUsize::new(0);
    let server = vendor(move |_, _, rows| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => answer(200, &[], r#"{"status":"Failed","error_reason":"too large"}"#),
        _ => completed("", 0, rows),
    })
    .await;
    let report = run(&server, &["destination.max_part_bytes=100"]).await;
    assert_eq!(report.error.as_ref().unwrap().message(), "the platform took only a part: too large");
    assert!(
        crate::warned(&report).iter().any(|note| note == "part 1 of 2: the import failed: too large"),
        "{:?}",
        report.warnings
    );
}

#[tokio::test]
async fn parts_are_uploads_one_after_another() {
    let server = vendor(|_, nth, rows| match nth {
        0 => answer(200, &[], r#"{"status":"Running"}"#),
        _ => completed("", 0, rows),
    })
    .await;
    let report = run(&server, &["destination.max_part_bytes=100"]).await;
    assert_eq!((report.exit_code, report.parts.len()), (0, 2), "{}", shown(&report));
    let order: Vec<String> = server.seen().iter().map(|seen| seen.method.clone()).collect();
    assert_eq!(order, ["POST", "GET", "GET", "POST", "GET"], "the second part waits for the first");
    let (first, second) = LINES.split_at(LINES.find('\n').unwrap() + 1);
    let bodies: Vec<String> =
        server.of("POST", UPLOAD).iter().map(|seen| String::from_utf8(seen.body.clone()).unwrap()).collect();
    assert!(bodies[0].contains(first) && !bodies[0].contains(second));
    assert!(bodies[1].contains(second) && !bodies[1].contains(first));
}

#[tokio::test]
async fn a_later_part_that_is_refused_leaves_a_partial_run() {
    let uploads = AtomicUsize::new(0);
    let server = Vendor::start(move |seen, _| match seen.method.as_str() {
        "POST" if uploads.fetch_add(1, Ordering::SeqCst) > 0 => answer(404, &[], "unknown source type"),
        "POST" => answer(202, &[], TAKEN),
        _ => completed("", 0, 1),
    })
    .await;
    let report = run(&server, &["destination.max_part_bytes=100"]).await;
    let shown = shown(&report);
    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["status"], "partial", "{shown}");
    assert!(shown.contains("1 of 2 parts"), "{shown}");
}

#[tokio::test]
async fn the_eleventh_run_of_an_hour_sends_nothing_and_names_the_next_slot() {
    let server = vendor(|_, _, rows| completed("", 0, rows)).await;
    let dir = tempfile::tempdir().unwrap();
    for nth in 1..=10 {
        let report = job(dir.path(), &server.url(), &[]).run(&env(dir.path())).await.valid();
        assert_eq!(report.exit_code, 0, "{nth}: {}", shown(&report));
    }
    let report = job(dir.path(), &server.url(), &[]).run(&env(dir.path())).await.valid();
    assert_eq!(report.exit_code, 20, "{}", shown(&report));
    let error = format!("{:?}", report.error);
    assert!(error.contains("run the job again after 20") && error.contains("nothing was sent"), "{error}");
    assert_eq!(server.of("POST", UPLOAD).len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eleven_runs_at_once_are_ten_uploads() {
    let server = Arc::new(vendor(|_, _, rows| completed("", 0, rows)).await);
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let mut runs = tokio::task::JoinSet::new();
    for nth in 0..11 {
        let (url, dir) = (server.url(), Arc::clone(&dir));
        runs.spawn(async move {
            // separate folders for the lists, one state directory
            let own = dir.path().join(format!("{nth}"));
            std::fs::create_dir(&own).unwrap();
            let name = format!("name=job-{nth}");
            job(&own, &url, &[&name]).run(&env(dir.path())).await.valid().exit_code
        });
    }
    let mut codes: Vec<u8> = runs.join_all().await.into_iter().collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20]);
    assert_eq!(server.of("POST", UPLOAD).len(), 10);
}

/// A job of audience lists.
fn lists_job(dir: &Path, base: &str) -> Job {
    let yaml = format!(
        "source: {{ path: list.csv }}\nmap: {{ customer_id: id }}\ndestination: {{ platform: localytics-audience, \
         base_url: \"{base}\", app_id: \"7d2e/1\", audience_name: n, api_key: {{ env: KEY }}, api_secret: {{ env: SECRET }} }}\n",
    );
    Job::read(&format!("name: job\n{yaml}"), dir, &[]).unwrap()
}

#[tokio::test]
async fn lists_are_shown_renamed_and_deleted() {
    let server = Vendor::start(|seen, nth| match (seen.method.as_str(), nth) {
        ("GET", 0) => answer(500, &[], "try again"),
        ("GET", _) => answer(200, &[], r#"[{"id": 34351, "name": "audience-test-1", "record_count": 123432},]"#),
        _ => answer(200, &[], ""),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (job, env) = (lists_job(dir.path(), &server.url()), env(dir.path()));
    let lists = job.lists(&env).await.unwrap();
    assert_eq!((lists.len(), &lists[0]["id"]), (1, &34351.into()));
    job.rename_list(&env, "31245", "my list & more").await.unwrap();
    job.delete_list(&env, "31245").await.unwrap();
    let asked: Vec<(String, String)> = server.seen().into_iter().map(|seen| (seen.method, seen.target)).collect();
    let at = |method: &str, path: &str| (method.to_owned(), format!("/v1/imports/audiences/list/{path}"));
    assert_eq!(
        asked,
        [
            at("GET", "app/7d2e%2F1"),
            at("GET", "app/7d2e%2F1"),
            at("PUT", "31245/name?name=my%20list%20%26%20more"),
            at("DELETE", "31245")
        ]
    );
}

#[tokio::test]
async fn a_list_that_is_not_there_is_no_deleted_list() {
    let server = Vendor::start(|seen, nth| match (seen.target.rsplit('/').next(), nth) {
        // deleted, but the answer was lost
        (Some("31245"), 0) => Vec::new(),
        (Some("31246"), 0) => answer(502, &[], ""),
        // known not to have been deleted
        (Some("31247"), 0) => answer(429, &[("Retry-After", "0")], ""),
        _ => answer(404, &[], "key api-secret-1 finds nothing"),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (job, env) = (lists_job(dir.path(), &server.url()), env(dir.path()));
    job.delete_list(&env, "31245").await.unwrap();
    job.delete_list(&env, "31246").await.unwrap();
    for id in ["424242", "31247"] {
        let error = job.delete_list(&env, id).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error:?}");
        assert!(error.message().contains(&format!("list {id}: not found")), "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("lists JOB list")), "{error:?}");
    }
    let error = job.rename_list(&env, "424242", "n").await.unwrap_err();
    assert!(error.message().contains("424242"), "{error:?}");
    let error = job.lists(&env).await.unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("app_id")), "{error:?}");
}
