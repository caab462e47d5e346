//! CleverTap jobs against a server that simulates the vendor and its storage by a script.

use crate::report_schema::Valid as _;
use crate::scripted::clevertap::{COMPLETED, GET, PUT, answer};
use crate::scripted::{Does, Seen, Vendor};
use listferry::job::{Env, Job, Report};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A well-behaved vendor, unless `script` has another answer (given the request and its number among those of its
/// path).
async fn vendor(script: impl Fn(&Seen, usize) -> Option<Does> + Send + Sync + 'static) -> Vendor {
    let script =
        move |seen: &Seen, nth: usize, base: &str| script(seen, nth).unwrap_or_else(|| answer(seen, nth, base));
    Vendor::start(script, Arc::new(|_, _| true)).await
}

/// Numbers of requests for the URL, to the storage, and of the completed call.
fn counts(vendor: &Vendor) -> (usize, usize, usize) {
    (vendor.of(GET).len(), vendor.of(PUT).len(), vendor.of(COMPLETED).len())
}

const LIST: &str = "id,name\n+4917,Ann\n\"a,b\",Bob\n007,Cid\n";
const BODY: &str = "Type,Identity\ni,+4917\ni,\"a,b\"\ni,007\n";

fn job(dir: &Path, base: &str, overrides: &[&str]) -> Job {
    std::fs::write(dir.join("vip.csv"), LIST).unwrap();
    let yaml = format!(
        "source: {{ path: vip.csv }}\nmap: {{ identity: id }}\ndestination: {{ platform: clevertap, base_url: \"{base}\", \
         account_id: {{ env: ID }}, passcode: {{ env: PASS }}, segment: \"VIP {{date}}\", creator: Jane, \
         email: jane@example.com }}\n"
    );
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Job::read(&format!("name: job\n{yaml}"), dir, &overrides).unwrap()
}

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 2;
    env.variables = Arc::new(|name: &str| match name {
        "ID" => Some("ACC-OUNT-1".to_owned()),
        "PASS" => Some("PASS-CODE-1".to_owned()),
        _ => None,
    });
    env
}

async fn run(vendor: &Vendor, overrides: &[&str]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    job(dir.path(), &vendor.base, overrides).run(&env(dir.path())).await.valid()
}

fn shown(report: &Report) -> String {
    format!("{} {:?} {}", report.exit_code, report.error, serde_json::to_string(report).unwrap())
}

fn xml(code: &str, message: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

#[tokio::test]
async fn three_steps_and_the_segment_id() {
    let server = vendor(|_, _| None).await;
    let report = run(&server, &[]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(report.platform_result["segment_id"], 1_598_345_958);
    assert_eq!(report.platform_result["verdict"], "by e-mail");
    assert_eq!(counts(&server), (1, 1, 1));
    let put = &server.of(PUT)[0];
    assert_eq!(String::from_utf8_lossy(&put.body), BODY);
    let head = put.head.to_ascii_lowercase();
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", BODY.len())), "{head}");
    for never in ["content-type", "transfer-encoding", "clevertap", "referer", "authorization", "accept-encoding"] {
        assert!(!head.contains(never), "{never} in {head}");
    }
    assert!(put.line.contains("X-Amz-SignedHeaders=host&X-Amz-Signature=se-cret-51670ec2e7 "), "{}", put.line);
    let completed = &server.of(COMPLETED)[0];
    let said: serde_json::Value = serde_json::from_slice(&completed.body).unwrap();
    assert!(said["name"].as_str().unwrap().starts_with("VIP 20"));
    assert_eq!(
        (&said["creator"], &said["email"], &said["replace"]),
        (&"Jane".into(), &"jane@example.com".into(), &false.into())
    );
    assert!(said["url"].as_str().unwrap().ends_with("X-Amz-Signature=se-cret-51670ec2e7"));
    assert!(said["filename"].as_str().unwrap().ends_with(".csv"));
    for seen in [completed, &server.of(GET)[0]] {
        let head = seen.head.to_ascii_lowercase();
        assert!(
            head.contains("x-clevertap-account-id: acc-ount-1") && head.contains("x-clevertap-passcode: pass-code-1")
        );
        assert!(head.contains("content-type: application/json"));
    }
}

#[tokio::test]
async fn the_date_in_a_name_is_that_of_the_time_zone_of_the_job() {
    let mut names = Vec::new();
    // 26 hours apart: never on the same day
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12"] {
        let server = vendor(|_, _| None).await;
        let report = run(&server, &[&format!("timezone={zone}")]).await;
        assert_eq!(report.exit_code, 0, "{}", shown(&report));
        let said: serde_json::Value = serde_json::from_slice(&server.of(COMPLETED)[0].body).unwrap();
        names.push(said["name"].as_str().unwrap().to_owned());
    }
    assert!(names.iter().all(|name| name.len() == "VIP 2026-11-30".len()), "{names:?}");
    assert!(names[0] > names[1], "{names:?}");
}

#[tokio::test]
async fn come_back_later_is_asked_again() {
    let server = vendor(|seen, nth| {
        let first = seen.line.contains(GET) && nth == 0;
        first.then(|| Does::Answer(200, "URL not generated, Please come back later".to_owned()))
    })
    .await;
    let report = run(&server, &[]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(counts(&server), (2, 1, 1));
    let never = vendor(|seen, _| {
        seen.line.contains(GET).then(|| Does::Answer(200, "URL not generated, Please come back later".to_owned()))
    })
    .await;
    let report = run(&never, &["upload.attempts=2"]).await;
    assert_eq!((report.exit_code, counts(&never)), (20, (2, 0, 0)), "{}", shown(&report));
}

#[tokio::test]
async fn an_expired_url_is_replaced_once_and_forgotten() {
    let server = vendor(|seen, nth| {
        let first = seen.line.starts_with("PUT") && nth == 0;
        first.then(|| Does::Answer(403, xml("AccessDenied", "Request has expired")))
    })
    .await;
    let report = run(&server, &[]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(counts(&server), (2, 2, 1));
    let puts = server.of(PUT);
    assert!(puts[0].line.contains("list-0.csv") && puts[1].line.contains("list-1.csv"));
    assert_eq!(String::from_utf8_lossy(&puts[1].body), BODY);
    let body = String::from_utf8(server.of(COMPLETED)[0].body.clone()).unwrap();
    assert!(body.contains("list-1.csv") && !body.contains("list-0.csv"), "{body}");
    let always = vendor(|seen, _| {
        seen.line.starts_with("PUT").then(|| Does::Answer(403, xml("AccessDenied", "Request has expired")))
    })
    .await;
    let report = run(&always, &[]).await;
    assert_eq!((report.exit_code, counts(&always)), (20, (2, 2, 0)), "{}", shown(&report));
}

#[tokio::test]
async fn the_put_is_repeated_as_s3_asks() {
    for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (400, "RequestTimeout"), (200, "InternalError")] {
        let server = vendor(move |seen, nth| {
            (seen.line.starts_with("PUT") && nth == 0).then(|| Does::Answer(status, xml(code, "again")))
        })
        .await;
        let report = run(&server, &[]).await;
        assert_eq!((report.exit_code, counts(&server)), (0, (1, 2, 1)), "{status} {code}: {}", shown(&report));
        assert_eq!(report.parts[0].attempts, 2);
    }
    let server = vendor(|seen, _| {
        seen.line
            .starts_with("PUT")
            .then(|| Does::Answer(403, xml("SignatureDoesNotMatch", "The signature se-cret-51670ec2e7")))
    })
    .await;
    let report = run(&server, &[]).await;
    assert_eq!((report.exit_code, counts(&server)), (30, (1, 1, 0)), "{}", shown(&report));
    assert!(!shown(&report).contains("se-cret-51670ec2e7"), "{}", shown(&report));
}

#[tokio::test]
async fn the_answer_to_completed_decides() {
    let fail = |text: &str| format!("{{\"status\": \"fail\", \"Error\": \u{201c}{text}\u{201d}}}");
    for (status, body, code) in [
        (200, fail("Invalid URL"), 12),
        (400, fail("name, email ID,filename,creator and pre-signed url are mandatory"), 12),
        (200, fail("email id is either not in the right format or does not belong to a valid admin"), 12),
        (500, fail("New file referencing a previously used URL. Please change URL"), 12),
        (401, r#"{"status":"fail","error":"Unauthorized PASS-CODE-1"}"#.to_owned(), 30),
        (403, String::new(), 30),
        (200, r#"{"status":"success"}"#.to_owned(), 21),
        (500, String::new(), 21),
        (504, "<html>".to_owned(), 21),
    ] {
        let text = body.clone();
        let server =
            vendor(move |seen, _| seen.line.contains(COMPLETED).then(|| Does::Answer(status, text.clone()))).await;
        let report = run(&server, &[]).await;
        assert_eq!((report.exit_code, counts(&server)), (code, (1, 1, 1)), "{status} {body}: {}", shown(&report));
        for secret in ["PASS-CODE-1", "51670ec2e7"] {
            assert!(!shown(&report).contains(secret), "{}", shown(&report));
        }
    }
}

#[tokio::test]
async fn completed_is_repeated_only_if_nothing_was_done() {
    let server =
        vendor(|seen, nth| (seen.line.contains(COMPLETED) && nth == 0).then(|| Does::Answer(503, "busy".to_owned())))
            .await;
    let report = run(&server, &[]).await;
    assert_eq!((report.exit_code, counts(&server)), (0, (1, 1, 2)), "{}", shown(&report));
    let server = vendor(|seen, _| seen.line.contains(COMPLETED).then_some(Does::Close)).await;
    let report = run(&server, &[]).await;
    assert_eq!((report.exit_code, counts(&server)), (21, (1, 1, 1)), "{}", shown(&report));
    assert!(report.error.unwrap().hint().unwrap().contains("--assume"));
}

#[tokio::test]
async fn a_list_over_the_limit_is_refused_or_numbered() {
    let server = vendor(|_, _| None).await;
    let report = run(&server, &["destination.max_body_bytes=25"]).await;
    assert_eq!((report.exit_code, counts(&server)), (10, (0, 0, 0)), "{}", shown(&report));
    let report = run(&server, &["destination.max_body_bytes=25", "destination.oversize=number"]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    let puts = server.of(PUT);
    assert!(puts.len() > 1 && puts.iter().all(|put| put.body.starts_with(b"Type,Identity\n") && put.body.len() <= 25));
    let count = puts.len();
    for (at, seen) in server.of(COMPLETED).iter().enumerate() {
        let said: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        assert!(said["name"].as_str().unwrap().ends_with(&format!(" ({} of {count})", at + 1)), "{said}");
        assert!(said["filename"].as_str().unwrap().ends_with(&format!("-{}-of-{count}.csv", at + 1)), "{said}");
    }
    assert_eq!(counts(&server), (count, count, count));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn at_most_three_calls_of_an_account_are_made_at_a_time() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (under_way, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = vendor(move |seen, _| {
        if seen.line.starts_with("POST ") {
            let calls = under_way.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(calls, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(150));
            under_way.fetch_sub(1, Ordering::SeqCst);
        }
        None
    })
    .await;
    // like several processes: they share only the state directory
    let dir = tempfile::tempdir().unwrap();
    let segment = |n| format!("destination.segment=list {n}");
    let jobs: Vec<Job> = (0..7).map(|n| job(dir.path(), &server.base, &[&segment(n)])).collect();
    let run = |job: Job| {
        let env = env(dir.path());
        tokio::spawn(async move { job.run(&env).await.valid() })
    };
    let runs: Vec<_> = jobs.into_iter().map(run).collect();
    for run in runs {
        let report = run.await.unwrap();
        assert_eq!(report.exit_code, 0, "{}", shown(&report));
    }
    assert_eq!(counts(&server), (7, 7, 7));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}
