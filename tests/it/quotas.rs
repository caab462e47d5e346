//! The ten uploads an hour of Localytics: known before the first part is sent.

use crate::report_schema::Valid as _;
use crate::vendor::{Vendor, answer};
use listferry::job::{Env, Job, Report};
use std::path::Path;
use std::sync::Arc;

const UPLOAD: &str = "/v1/imports/profiles/upload";

/// A job of `records` records, one per part.
fn job(dir: &Path, vendor: &Vendor, name: &str, records: usize, overrides: &[&str]) -> Job {
    let rows: String = (10..10 + records).map(|id| format!("{id},x\n")).collect();
    std::fs::write(dir.join(format!("{name}.csv")), format!("id,name\n{rows}")).unwrap();
    let yaml = format!(
        "name: {name}\nsource: {{ path: {name}.csv }}\n\
         map: {{ customer_id: id, changes: [{{ op: assign, attr: name, column: name }}] }}\n\
         destination: {{ platform: localytics-profiles, base_url: \"{}\", org_id: 60, api_key: {{ env: KEY }}, \
         api_secret: {{ env: KEY }}, max_part_bytes: 100 }}\nwait: 20s\n",
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

async fn vendor() -> Vendor {
    Vendor::start(|seen, _| match seen.method.as_str() {
        "POST" => answer(202, &[], r#"{"activity_id": "act-1"}"#),
        _ => answer(
            200,
            &[],
            r#"{"status":"Completed","upload_statistics":{"successful_imports":2,"failed_imports":0}}"#,
        ),
    })
    .await
}

fn shown(report: &Report) -> String {
    serde_json::to_string(report).unwrap()
}

#[tokio::test]
async fn twelve_parts_are_refused_before_the_first_with_the_size_that_fits() {
    let (dir, vendor) = (tempfile::tempdir().unwrap(), vendor().await);
    let report = job(dir.path(), &vendor, "list", 12, &[]).run(&env(dir.path())).await.valid();
    assert_eq!((report.exit_code, report.parts.len()), (10, 12), "{}", shown(&report));
    assert!(vendor.seen().is_empty(), "nothing was sent");
    let hint = report.error.unwrap().hint().unwrap().to_owned();
    let size: u64 = hint.split("max_part_bytes: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(hint.contains("upload.max_quota_wait: 1h"), "{hint}");
    // the size that it names fits, and one byte less does not
    for (size, code) in [(size - 1, 10), (size, 0)] {
        let size = format!("destination.max_part_bytes={size}");
        let report = job(dir.path(), &vendor, "list", 12, &[&size]).run(&env(dir.path())).await.valid();
        assert_eq!(report.exit_code, code, "{size}: {}", shown(&report));
    }
    assert!(vendor.of("POST", UPLOAD).len() <= 10);
}

#[tokio::test]
async fn parts_in_turn_need_a_wait_for_each() {
    let (dir, vendor) = (tempfile::tempdir().unwrap(), vendor().await);
    for (records, changes, code) in [(2, "assign", 10), (1, "assign", 0), (2, "increment", 0)] {
        let changes = format!("map.changes=[{{ op: {changes}, attr: name, column: id }}]");
        let report =
            job(dir.path(), &vendor, "list", records, &["wait=0", &changes]).run(&env(dir.path())).await.valid();
        assert_eq!(report.exit_code, code, "{changes}: {}", shown(&report));
        assert_eq!(vendor.of("GET", "/").len(), 0, "wait: 0 asks for no verdict");
    }
    assert_eq!(vendor.of("POST", UPLOAD).len(), 3);
}

#[tokio::test]
async fn a_quota_that_others_have_used_up_is_20_before_the_first_part() {
    let (dir, vendor) = (tempfile::tempdir().unwrap(), vendor().await);
    let report = job(dir.path(), &vendor, "first", 8, &[]).run(&env(dir.path())).await.valid();
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    let report = job(dir.path(), &vendor, "second", 3, &[]).run(&env(dir.path())).await.valid();
    assert_eq!(report.exit_code, 20, "{}", shown(&report));
    assert_eq!(vendor.of("POST", UPLOAD).len(), 8, "no part of the second list was sent");
    let error = report.error.unwrap();
    assert!(error.message().contains("nothing was sent") && error.hint().unwrap().contains("Z"), "{error:?}");
    let report = job(dir.path(), &vendor, "third", 2, &[]).run(&env(dir.path())).await.valid();
    assert_eq!(report.exit_code, 0, "what the second did not use is free: {}", shown(&report));
}
