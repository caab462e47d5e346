//! Responses of platforms after they have accepted a list: counters, apparent refusals, silence.

use crate::report_schema::Valid as _;
use crate::vendor::{Vendor, answer};
use listferry::WarningKind;
use listferry::job::{Env, Job, Report, Status};
use std::path::Path;
use std::sync::Arc;

const PROFILES: &str = "map: { customer_id: id, changes: [{ op: OP, attr: name, column: name }] }\n\
                        destination: { platform: localytics-profiles, org_id: 60, api_key: { env: KEY }, api_secret: { env: KEY }";
const AUDIENCE: &str = "map: { customer_id: id }\n\
                        destination: { platform: localytics-audience, app_id: a-1, audience_list_id: 7, api_key: { env: KEY }, \
                        api_secret: { env: KEY }";
const SEGMENT: &str = "map: { operation: { value: UPDATE }, user_account_id: id, segment_id: { value: 42 }, \
                       expiration_duration: { value: 0 } }\n\
                       destination: { platform: mediarithmics, datamart_id: 1234, token: { env: KEY }, import_name: spring";

fn job(dir: &Path, base: &str, what: &str, wait: &str) -> Job {
    let yaml = format!(
        "name: vip\nsource: {{ path: list.csv }}\n{what}, base_url: \"{base}\" }}\nwait: {wait}\nupload: {{ attempts: 2 }}\n",
        what = what.replace("OP", "assign")
    );
    std::fs::write(dir.join("list.csv"), "id,name\n1,2\n2,3\n").unwrap();
    Job::read(&yaml, dir, &[]).unwrap()
}

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 1;
    env.variables = Arc::new(|name: &str| (name == "KEY").then(|| "api-key-1".to_owned()));
    env
}

/// Localytics and mediarithmics at once: accepts what is sent, and answers status calls with `status` and `says`.
async fn vendor(status: u16, says: &'static str) -> Vendor {
    Vendor::start(move |seen, _| match seen.method.as_str() {
        "GET" => answer(status, &[], says),
        _ if seen.target.ends_with("/document_imports") => answer(200, &[], r#"{"status":"ok","data":{"id":"77"}}"#),
        _ if seen.target.contains("/executions") => answer(200, &[], r#"{"status":"ok","data":{"id":"5"}}"#),
        _ => answer(202, &[], r#"{"activity_id": "act-1"}"#),
    })
    .await
}

async fn run(what: &str, status: u16, says: &'static str) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let vendor = vendor(status, says).await;
    job(dir.path(), &vendor.url(), what, "5s").run(&env(dir.path())).await.valid()
}

fn no_counts(report: &Report) -> bool {
    report.warnings.iter().any(|warning| warning.kind == WarningKind::NoCounts)
}

#[tokio::test]
async fn the_counts_of_localytics_decide_whatever_its_status_says() {
    let shown = |report: &Report| serde_json::to_string(report).unwrap();
    for (what, statistics, code, warned) in [
        (PROFILES, r#"{"successful_imports": 2, "failed_imports": 0, "total_number_of_imports": 2}"#, 0, false),
        (PROFILES, r#"{"successful_imports": "2", "failed_imports": "0", "total_number_of_imports": "2"}"#, 0, false),
        (PROFILES, r#"{"successful_imports": 1.0, "failed_imports": 1.0, "total_number_of_imports": 2.0}"#, 11, false),
        (PROFILES, r#"{"failed_imports": 1.0}"#, 11, false),
        (PROFILES, r#"{"successful_imports": 0, "failed_imports": 0, "total_number_of_imports": 2}"#, 11, false),
        (AUDIENCE, r#"{"total_lines": "2", "successful_lines": "0", "failed_lines": "0"}"#, 11, false),
        (AUDIENCE, r#"{"total_lines": "1", "successful_lines": "500", "failed_lines": "0"}"#, 0, false),
        (PROFILES, "{}", 0, true),
        (PROFILES, "null", 0, true),
        (AUDIENCE, r#"{"successful_lines": "many"}"#, 0, true),
    ] {
        let says: &str = Box::leak(format!(r#"{{"status":"Completed","upload_statistics":{statistics}}}"#).into());
        let report = run(what, 200, says).await;
        assert_eq!((report.exit_code, no_counts(&report)), (code, warned), "{statistics}: {}", shown(&report));
    }
    let report = run(PROFILES, 200, r#"{"status":"Completed","upload_statistics":{"successful_imports":0}}"#).await;
    assert_eq!(report.status, Some(Status::Failed));
    assert!(report.error.unwrap().message().contains("0 of 2 rows"));
}

#[tokio::test]
async fn the_counts_of_mediarithmics_decide_whatever_its_status_says() {
    for (result, code, warned) in [
        (r#"{"total_success": 2, "total_failure": 0}"#, 0, false),
        (r#"{"total_success": "1.0", "total_failure": "1.0"}"#, 11, false),
        (r#"{"total_success": 0, "total_failure": 0}"#, 11, false),
        ("{}", 0, true),
        (r#"{"total_success": 2, "total_failure": "1e0"}"#, 0, true),
    ] {
        let list = format!(r#"{{"total":1,"data":[{{"id":"5","status":"SUCCEEDED","result":{result}}}]}}"#);
        let report = run(SEGMENT, 200, Box::leak(list.into())).await;
        let shown = serde_json::to_string(&report).unwrap();
        assert_eq!((report.exit_code, no_counts(&report)), (code, warned), "{result}: {shown}");
    }
}

#[tokio::test]
async fn after_acceptance_a_status_of_404_is_22_and_nothing_is_sent_again() {
    let mut trials = tokio::task::JoinSet::new();
    for (what, sent) in [(PROFILES, "POST"), (AUDIENCE, "PUT"), (SEGMENT, "POST")] {
        for status in [302, 400, 404, 410, 413, 501, 500] {
            trials.spawn(asked_in_vain(what, sent, status));
        }
    }
    trials.join_all().await;
}

async fn asked_in_vain(what: &str, sent: &str, status: u16) {
    let dir = tempfile::tempdir().unwrap();
    let vendor = vendor(status, "no").await;
    let uploads = || vendor.of(sent, "/v1/").len();
    let report = job(dir.path(), &vendor.url(), what, "1s").run(&env(dir.path())).await.valid();
    let shown = serde_json::to_string(&report).unwrap();
    assert_eq!((report.exit_code, report.status), (22, Some(Status::Pending)), "{what} {status}: {shown}");
    let before = uploads();
    let again = job(dir.path(), &vendor.url(), what, "1s").run(&env(dir.path())).await.valid();
    assert_eq!((again.exit_code, uploads()), (22, before), "{what} {status}");
    assert_eq!(again.run_id, report.run_id, "the same run goes on waiting");
}

#[tokio::test]
async fn platform_result_contains_the_response_of_a_refusal() {
    for (what, body) in [(PROFILES, r#"{"error": "no such org", "id": 12345678901234567890123}"#), (SEGMENT, "no")] {
        let dir = tempfile::tempdir().unwrap();
        let vendor = Vendor::start(move |_, _| answer(404, &[], body)).await;
        let report = job(dir.path(), &vendor.url(), what, "1s").run(&env(dir.path())).await.valid();
        assert_eq!(report.exit_code, 12);
        assert_eq!(report.platform_result["status"], 404);
        let answered = &report.platform_result["answer"];
        assert!(answered == "no" || answered["id"] == "12345678901234567890123", "{answered}");
    }
}

fn orphans(report: &Report) -> Vec<String> {
    let orphans = report.warnings.iter().filter(|warning| warning.kind == WarningKind::Orphan);
    orphans.map(|warning| warning.message.clone()).collect()
}

#[tokio::test]
async fn an_import_that_stays_empty_is_a_warning_with_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(|seen, _| match seen.target.ends_with("/document_imports") {
        true => answer(200, &[], r#"{"status":"ok","data":{"id":12345678901234567890123}}"#),
        false => answer(400, &[], "no"),
    })
    .await;
    let report = job(dir.path(), &vendor.url(), SEGMENT, "1s").run(&env(dir.path())).await.valid();
    assert_eq!(report.exit_code, 12);
    assert!(orphans(&report)[0].contains("12345678901234567890123"), "{:?}", report.warnings);
}

/// Number of attempts of a call in these jobs.
const LOST: usize = 2;

#[tokio::test]
async fn an_import_whose_answer_was_lost_is_left_and_another_one_used() {
    let dir = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(|seen, nth| match (seen.method.as_str(), seen.target.ends_with("/document_imports")) {
        ("POST", true) if nth < LOST => Vec::new(),
        ("POST", true) => answer(200, &[], r#"{"status":"ok","data":{"id":"77"}}"#),
        ("POST", false) => answer(200, &[], r#"{"status":"ok","data":{"id":"5"}}"#),
        _ => {
            let result = r#"{"total_success":2,"total_failure":0}"#;
            answer(200, &[], format!(r#"{{"total":1,"data":[{{"id":"5","status":"SUCCEEDED","result":{result}}}]}}"#))
        }
    })
    .await;
    let (job, env) = (job(dir.path(), &vendor.url(), SEGMENT, "5s"), env(dir.path()));
    assert_eq!(job.run(&env).await.valid().exit_code, 20);
    let report = job.run(&env).await.valid();
    assert_eq!(report.exit_code, 0, "{}", serde_json::to_string(&report).unwrap());
    assert_eq!((orphans(&report).len(), &report.platform_result["document_import_id"]), (1, &"77".into()));
}
