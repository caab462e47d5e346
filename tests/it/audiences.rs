//! An audience by name, if the app has a list of that name or may have one.

use crate::report_schema::Valid as _;
use crate::vendor::{Seen, Vendor, answer};
use listferry::job::{Env, Job, Report};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LISTS: &str = "/v1/imports/audiences/list/app/";
const CREATE: &str = "/v1/imports/audiences/list/";

fn job(dir: &Path, vendor: &Vendor, overrides: &[&str]) -> Job {
    std::fs::write(dir.join("list.csv"), "id\n1\n2\n").unwrap();
    let yaml = format!(
        "name: vip\nsource: {{ path: list.csv }}\nmap: {{ customer_id: id }}\n\
         destination: {{ platform: localytics-audience, base_url: \"{}\", app_id: a-1, audience_name: VIP, \
         api_key: {{ env: KEY }}, api_secret: {{ env: KEY }} }}\nwait: 20s\nupload: {{ attempts: 2 }}\n",
        vendor.url()
    );
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Job::read(&yaml, dir, &overrides).unwrap()
}

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 1;
    env.variables = Arc::new(|name: &str| (name == "KEY").then(|| "api-key-1".to_owned()));
    env
}

/// A vendor whose app has these lists, and which accepts uploads.
async fn vendor(lists: &'static str) -> Vendor {
    Vendor::start(move |seen, _| usual(seen, lists)).await
}

fn usual(seen: &Seen, lists: &str) -> Vec<u8> {
    const COMPLETED: &str =
        r#"{"status":"Completed","upload_statistics":{"successful_lines":"2","failed_lines":"0","total_lines":"2"}}"#;
    match seen.method.as_str() {
        "GET" if seen.target.starts_with(LISTS) => answer(200, &[], lists),
        "GET" => answer(200, &[], COMPLETED),
        _ => answer(202, &[], r#"{"activity_id": "act-1"}"#),
    }
}

async fn run(vendor: &Vendor, overrides: &[&str]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    job(dir.path(), vendor, overrides).run(&env(dir.path())).await.valid()
}

const OTHER: &str = r#"{"id": 1, "name": "vip"}, {"id": 2, "name": "VIP 2"}"#;
const ONE: &str = r#"[{"id": 31245, "name": "VIP"}, {"id": 2, "name": "VIP 2"}]"#;
const TWO: &str = r#"[{"id": 31245, "name": "VIP"}, {"id": "31246", "name": "VIP"}]"#;

#[tokio::test]
async fn a_list_of_that_name_is_refused_replaced_or_joined_by_another() {
    let none: &str = Box::leak(format!("[{OTHER}]").into());
    for (if_exists, lists, code, sent) in [
        ("refuse", none, 0, "POST"),
        ("refuse", ONE, 12, ""),
        ("refuse", TWO, 12, ""),
        ("replace", none, 0, "POST"),
        ("replace", ONE, 0, "PUT"),
        ("replace", TWO, 12, ""),
        ("create", none, 0, "POST"),
        ("create", ONE, 0, "POST"),
        ("create", TWO, 0, "POST"),
    ] {
        let vendor = vendor(lists).await;
        let report = run(&vendor, &[&format!("destination.if_exists={if_exists}")]).await;
        let shown = serde_json::to_string(&report).unwrap();
        assert_eq!(report.exit_code, code, "{if_exists} {lists}: {shown}");
        let uploads: Vec<Seen> = vendor.seen().into_iter().filter(|seen| seen.method != "GET").collect();
        let methods: Vec<&str> = uploads.iter().map(|seen| seen.method.as_str()).collect();
        assert_eq!(methods, if sent.is_empty() { vec![] } else { vec![sent] }, "{if_exists} {lists}");
        if let [upload] = uploads.as_slice() {
            let form = String::from_utf8_lossy(&upload.body).into_owned();
            let replaced = upload.target == format!("{CREATE}31245") && form.contains("name=\"audience_list_id\"");
            let created = upload.target == CREATE && form.contains("name=\"audience_name\"\r\n\r\nVIP\r\n");
            assert!(if sent == "PUT" { replaced } else { created }, "{} {form}", upload.target);
        }
        if code == 12 {
            let error = report.error.unwrap();
            let named = error.message().contains("31245") && (lists != TWO || error.message().contains("31246"));
            assert!(named && error.hint().is_some(), "{error:?}");
        }
    }
    let vendor = vendor(ONE).await;
    assert_eq!(run(&vendor, &[]).await.exit_code, 12, "refuse is the default");
    let both = ["destination.audience_name=null", "destination.audience_list_id=7", "destination.if_exists=replace"];
    let (dir, vendor) = (tempfile::tempdir().unwrap(), vendor);
    assert_eq!(job(dir.path(), &vendor, &both).check(&env(dir.path())).valid().exit_code, 2);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_looked_up() {
    for (there, code) in [(true, 0), (false, 21)] {
        let begun = Arc::new(AtomicBool::new(false));
        let vendor = Vendor::start(move |seen, _| match seen.method.as_str() {
            "POST" => {
                begun.store(true, Ordering::SeqCst);
                Vec::new()
            }
            _ if there && begun.load(Ordering::SeqCst) => {
                usual(seen, r#"[{"id": 7, "name": "VIP"}, {"id": 99, "name": "VIP"}]"#)
            }
            _ => usual(seen, r#"[{"id": 7, "name": "VIP"}]"#),
        })
        .await;
        let report = run(&vendor, &["destination.if_exists=create"]).await;
        let shown = serde_json::to_string(&report).unwrap();
        assert_eq!((report.exit_code, vendor.of("POST", CREATE).len()), (code, 1), "{shown}");
        if there {
            assert_eq!(report.platform_result["audience_list_id"], "99", "{shown}");
            assert!(shown.contains("no_counts"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_resumed_run_recognises_its_own_list() {
    let (dir, asked) = (tempfile::tempdir().unwrap(), Arc::new(AtomicBool::new(false)));
    let seen_before = Arc::clone(&asked);
    let vendor = Vendor::start(move |seen, _| match seen.target.starts_with(LISTS) {
        true if seen_before.swap(true, Ordering::SeqCst) => usual(seen, ONE),
        true => usual(seen, "[]"),
        false if seen.target.contains("/status/") => answer(200, &[], r#"{"status":"Pending"}"#),
        false => usual(seen, ""),
    })
    .await;
    for _ in 0..2 {
        let report = job(dir.path(), &vendor, &["wait=1s"]).run(&env(dir.path())).await.valid();
        assert_eq!(report.exit_code, 22, "{}", serde_json::to_string(&report).unwrap());
    }
    assert_eq!((vendor.of("POST", CREATE).len(), vendor.of("GET", LISTS).len()), (1, 1));
}
