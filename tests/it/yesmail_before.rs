//! Calls to Yesmail before anything is sent, and imports of a file that exists already.

use crate::report_schema::Valid as _;
use crate::vendor::{Seen, Vendor, answer};
use crate::yesmail::{CONVERTED, Scene, TICKET, accepted, samples};
use listferry::Kind;
use listferry::job::{Env, Job};
use listferry::platform::Outcome;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PING: &str = "/v2/company/ping";
const SCHEMA: &str = "/v2/target-lists?view=schema";

/// The vendor's samples, with these answers to ping and schema.
fn asked(ping: Vec<u8>, schema: Vec<u8>) -> impl Fn(&Seen, usize) -> Vec<u8> {
    let samples = samples(|_| accepted());
    move |seen, n| match seen.target.as_str() {
        PING => ping.clone(),
        SCHEMA => schema.clone(),
        _ => samples(seen, n),
    }
}

fn attributes(names: &[&str]) -> Vec<u8> {
    let list: Vec<Value> = names.iter().map(|name| json!({"name": name, "type": "String"})).collect();
    answer(200, &[], json!({ "targetList": list }).to_string())
}

async fn storage() -> (Vendor, Value) {
    let storage = Vendor::start(|_, _| answer(200, &[], "")).await;
    let host = json!({"put": {"url": format!("{}/list.csv", storage.url()), "fetch_url": "https://cdn.example/l.csv"}});
    (storage, host)
}

#[tokio::test]
async fn a_key_that_no_list_has_is_refused_before_anything_is_sent() {
    let (storage, host) = storage().await;
    let vendor = Vendor::start(asked(answer(200, &[], "{}"), attributes(&["first_name", "lastname"]))).await;
    let scene = Scene::new(&vendor.url(), host, json!({}));
    let error = scene.deliver().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.message().contains("map.firstname"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("\"first_name\"")), "{error}");
    assert!(storage.seen().is_empty() && vendor.of("POST", "/").is_empty(), "nothing was sent");
    let asked: Vec<String> = vendor.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(asked, [PING, SCHEMA]);
    assert!(vendor.seen().iter().all(|seen| seen.header("api-key") == Some("key-canary")));
}

#[tokio::test]
async fn known_keys_are_sent_and_an_answer_of_no_use_is_a_warning() {
    for (schema, warned) in [
        (attributes(&["lastname", "firstname"]), false),
        (answer(404, &[], "no such resource"), true),
        (answer(403, &[], ""), true),
        (answer(500, &[], ""), true),
        (answer(302, &[("Location", "http://127.0.0.1:1/")], ""), true),
        (answer(200, &[], "<html>"), true),
        (answer(200, &[], ""), true),
        (attributes(&[]), true),
    ] {
        let shown = String::from_utf8_lossy(&schema).into_owned();
        let (storage, host) = storage().await;
        let vendor = Vendor::start(asked(answer(404, &[], ""), schema)).await;
        let scene = Scene::new(&vendor.url(), host, json!({}));
        assert_eq!(scene.deliver().await.unwrap().outcome, Outcome::Partial, "{shown}");
        assert_eq!(storage.seen()[0].body, CONVERTED.as_bytes());
        let notes = scene.notes();
        let about = notes.iter().filter(|note| note.contains("attributes")).count();
        assert_eq!(about, usize::from(warned), "{shown}: {notes:?}");
        assert!(notes.iter().any(|note| note.contains("ping")), "{notes:?}");
    }
}

#[tokio::test]
async fn nothing_is_made_reachable_for_an_api_that_is_not_well() {
    for (ping, kind) in [(answer(503, &[], ""), Kind::Transient), (answer(401, &[], ""), Kind::Credentials)] {
        let (storage, host) = storage().await;
        let vendor = Vendor::start(asked(ping, attributes(&["firstname"]))).await;
        let mut scene = Scene::new(&vendor.url(), host, json!({}));
        scene.policy.attempts = 2;
        assert_eq!(scene.deliver().await.unwrap_err().kind(), kind);
        assert!(storage.seen().is_empty() && vendor.of("POST", "/").is_empty());
    }
}

#[tokio::test]
async fn a_resumed_run_does_not_ping_again() {
    let vendor = Vendor::start(move |seen, n| match (seen.target.as_str(), n) {
        (PING | SCHEMA, 1..) => answer(401, &[], ""),
        (PING, _) => answer(200, &[], ""),
        (SCHEMA, _) => attributes(&["firstname"]),
        ("/v2/tickets/654321", 0) => answer(401, &[], ""),
        ("/v2/tickets/654321", _) => answer(200, &[], TICKET),
        ("/v2/async-results/987654", _) => answer(200, &[], "{\"counts\":{\"failed\":0}}"),
        _ => accepted(),
    })
    .await;
    let (_storage, host) = storage().await;
    let scene = Scene::new(&vendor.url(), host, json!({}));
    assert_eq!(scene.deliver().await.unwrap_err().kind(), Kind::Credentials);
    assert_eq!(scene.deliver().await.unwrap().outcome, Outcome::Done);
    assert_eq!((vendor.of("POST", "/").len(), vendor.of("GET", PING).len()), (1, 1));
}

#[tokio::test]
async fn headers_of_the_job_go_out_with_the_put_alone() {
    let (storage, mut host) = storage().await;
    host["put"]["headers"] =
        json!({"Content-Type": "text/csv", "x-ms-blob-type": "BlockBlob", "X-Token": "head-canary"});
    let vendor = Vendor::start(asked(answer(200, &[], ""), attributes(&["firstname"]))).await;
    let scene = Scene::new(&vendor.url(), host, json!({}));
    scene.deliver().await.unwrap();
    let put = &storage.seen()[0];
    for (name, value) in [("content-type", "text/csv"), ("x-ms-blob-type", "BlockBlob"), ("x-token", "head-canary")] {
        assert_eq!(put.header(name), Some(value));
    }
    assert!(vendor.seen().iter().all(|seen| seen.header("x-token").is_none()));
}

#[tokio::test]
async fn a_missing_signed_header_is_reported_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let run = async |url: &str, headers: &str| {
        let text = format!(
            "name: n\nsource: {{ path: nowhere.csv }}\nmap: {{ id: email }}\ndestination: {{ platform: yesmail, list: vip, api_user: {{ env: U \
             }}, api_key: {{ env: K }}, host: {{ put: {{ url: '{url}', fetch_url: 'https://h/l.csv', headers: {{ {headers} }} }} }} }}\n"
        );
        Job::read(&text, dir.path(), &[]).unwrap().run(&env(dir.path())).await.valid().error.expect("an error")
    };
    let signed =
        |names: &str| format!("https://b.example/l.csv?X-Amz-SignedHeaders={names}&X-Amz-Signature=sig-canary");
    for (url, headers, missing) in [
        (signed("content-type%3Bhost"), "", Some("content-type")),
        (signed("host%3Bx-amz-meta-a"), "Content-Type: text/csv", Some("x-amz-meta-a")),
        (signed("content-type%3Bhost"), "Content-Type: text/csv", None),
        (signed("host"), "", None),
        ("https://b.example/l.csv?AWSAccessKeyId=A&Signature=sig-canary&Expires=1".to_owned(), "", None),
        ("https://a.blob.example/l.csv?sv=1&sr=b&sig=sig-canary".to_owned(), "", None),
    ] {
        let error = run(&url, headers).await;
        assert!(!error.to_string().contains("canary"), "{error}");
        match missing {
            // the source is opened only if the destination is valid
            None => assert_eq!(error.kind(), Kind::Local, "{url}: {error}"),
            Some(name) => {
                assert_eq!(error.kind(), Kind::Usage, "{url}: {error}");
                assert!(error.message().contains(name) && error.message().contains("headers"), "{error}");
            }
        }
    }
    for (headers, says) in [
        ("Content-Length: '5'", "itself"),
        ("'a b': x", "not a valid header name"),
        ("X: \"a\\nb\"", "control character"),
    ] {
        let error = run("https://b.example/l.csv", headers).await;
        assert!(error.kind() == Kind::Usage && error.message().contains(says), "{headers}: {error}");
    }
}

#[tokio::test]
async fn after_acceptance_no_answer_of_a_ticket_is_a_refusal() {
    for status in [404, 400, 410, 302, 501, 500] {
        let (_storage, host) = storage().await;
        let vendor = Vendor::start(move |seen, n| match (seen.target.as_str(), n) {
            ("/v2/tickets/654321", 0 | 1) => answer(status, &[], "no such ticket"),
            ("/v2/tickets/654321", _) => answer(200, &[], TICKET),
            ("/v2/async-results/987654", 0) => answer(501, &[], ""),
            ("/v2/async-results/987654", _) => answer(200, &[], "{\"counts\":{\"failed\":0}}"),
            (SCHEMA, _) => attributes(&["firstname"]),
            _ => accepted(),
        })
        .await;
        let mut scene = Scene::new(&vendor.url(), host, json!({}));
        scene.policy.wait = Duration::from_millis(500);
        assert_eq!(scene.deliver().await.unwrap_err().kind(), Kind::Pending, "{status}");
        scene.policy.wait = Duration::from_secs(60);
        assert_eq!(scene.deliver().await.unwrap().outcome, Outcome::Done, "{status}");
        assert_eq!(vendor.of("POST", "/").len(), 1, "{status}: not imported twice");
    }
}

/// Returns the report of a served job whose results are `results`, with `import_type`.
async fn report_of(import_type: &str, results: &'static str) -> Value {
    let vendor = Vendor::start(move |seen, _| match seen.target.as_str() {
        "/v2/tickets/654321" => answer(200, &[], TICKET),
        "/v2/async-results/987654" => answer(200, &[], results),
        SCHEMA => attributes(&["name"]),
        _ => accepted(),
    })
    .await;
    let storage = Vendor::start(|_, _| answer(200, &[], "")).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.csv"), "email,name\na@x.test,A\nb@x.test,B\nc@x.test,C\nd@x.test,D\n").unwrap();
    let text = format!(
        "name: job\nsource: {{ path: p.csv }}\nmap: {{ id: email, name: name }}\nrejects: {{ max_remote: 1 }}\ndestination: {{ platform: \
         yesmail, base_url: '{}', list: vip, api_user: {{ env: U }}, api_key: {{ env: K }}, import_type: {import_type}, \
         host: {{ put: {{ url: '{}/l.csv', fetch_url: 'https://h/l.csv' }} }} }}\n",
        vendor.url(),
        storage.url()
    );
    let report = Job::read(&text, dir.path(), &[]).unwrap().run(&env(dir.path())).await.valid();
    let mut shown = report.to_json();
    shown["rows"] = match report.rejects_file {
        Some(file) => std::fs::read_to_string(file).unwrap().lines().skip(1).count().into(),
        None => 0.into(),
    };
    shown
}

#[tokio::test]
async fn ignored_rows_are_counted_apart_and_listed_only_when_updating() {
    const TWO: &str = r#"{"counts":{"completed":2,"failed":0,"ignored":2},"ignored":[{"index":1},{"index":2}]}"#;
    const AND_ONE: &str = r#"{"counts":{"completed":1,"failed":1,"ignored":2},"failed":[{"index":0,"error":{"message":"no"}}],
        "ignored":[{"index":1},{"index":2}]}"#;
    for (import_type, results, failed, rows) in [
        ("ignore", TWO, 0, 0),
        ("update", TWO, 0, 2),
        ("replace", TWO, 0, 2),
        ("ignore", AND_ONE, 1, 1),
        // one failed row is allowed, and ignored rows do not count as failed
        ("update", AND_ONE, 1, 3),
    ] {
        let report = report_of(import_type, results).await;
        assert_eq!(report["exit_code"], json!(0), "{import_type}: {report}");
        assert_eq!((&report["rows"], &report["platform_result"]["counts"]["failed"]), (&json!(rows), &json!(failed)));
        assert_eq!(report["platform_result"]["counts"]["ignored"], json!(2), "{report}");
    }
    let report = report_of("update", r#"{"counts":{"completed":0,"failed":0,"ignored":0}}"#).await;
    assert_eq!(report["exit_code"], json!(11), "nothing was imported: {report}");
}

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.variables = Arc::new(|name| matches!(name, "U" | "K").then(|| "x".to_owned()));
    env
}

fn job(dir: &Path, base: &str, map: &str, rest: &str) -> listferry::Result<Job> {
    let text = format!(
        "name: there\nmap: {{ {map} }}\ndestination: {{ platform: yesmail, base_url: '{base}', list: vip, api_user: {{ env: U }}, \
         api_key: {{ env: K }}, separator: ';', {rest} }}\n"
    );
    Job::read(&text, dir, &[])
}

#[tokio::test]
async fn an_existing_file_is_described_by_its_own_columns() {
    for (map, rest, want) in [
        ("lastname: Nachname, id: { column: E-Mail }", "", json!([{"lastname": "Nachname"}, {"id": "E-Mail"}])),
        ("lastname: 7, id: 0", "", json!([{"lastname": 7}, {"id": 0}])),
        ("id: 2", "headers: false, ", json!([{"id": 2}])),
        ("id: \"2\"", "", json!([{"id": "2"}])),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let vendor = Vendor::start(asked(answer(200, &[], ""), attributes(&["lastname"]))).await;
        let job = job(dir.path(), &vendor.url(), map, &format!("{rest}host: {{ uri: 'https://h/l.csv' }}")).unwrap();
        let report = job.run(&env(dir.path())).await.valid();
        assert_eq!(report.platform_result["ticket"], json!("654321"), "{map}: {:?}", report.error);
        assert_eq!(vendor.of("POST", "/")[0].json()["source"]["mappings"], want, "{map}");
        assert!(vendor.of("GET", PING).is_empty(), "nothing is made reachable");
    }
    let dir = tempfile::tempdir().unwrap();
    for (map, says) in [
        ("id: { column: e, apply: lower }", "map.id.apply"),
        ("id: { column: e, type: integer }", "map.id.type"),
        ("id: e, a: { value: x }", "map.a.value"),
        ("id: e, a: 1", "cannot be mixed"),
        ("id: -1", "not a valid index"),
    ] {
        let report = job(dir.path(), "http://127.0.0.1:1", map, "host: { uri: 'https://h/l.csv' }")
            .map(|job| job.check(&env(dir.path())).valid());
        let error = report.map_or_else(|error| error, |report| report.error.expect("refused"));
        assert!(error.kind() == Kind::Usage && error.message().contains(says), "{map}: {error}");
    }
    // an index can be used only there
    let report = job(dir.path(), "http://127.0.0.1:1", "id: 1", "host: { serve: { listen: '127.0.0.1:0' } }")
        .map(|job| job.check(&env(dir.path())).valid());
    let error = report.map_or_else(|error| error, |report| report.error.expect("refused"));
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}

#[test]
fn an_address_with_a_capital_letter_is_rejected_with_a_fix() {
    let dir = tempfile::tempdir().unwrap();
    let people =
        "email,name\nann@example.test,A\nBob@example.test,B\n cy@example.test,C\nID-7,D\n\u{c4}nn@example.test,E\n";
    std::fs::write(dir.path().join("people.csv"), people).unwrap();
    let check = |id: &str| {
        let text = format!(
            "source: {{ path: people.csv }}\nmap: {{ id: {id}, Name: name }}\ndestination: {{ platform: yesmail, list: vip, \
             api_user: {{ env: U }}, api_key: {{ env: K }}, host: {{ serve: {{ listen: '127.0.0.1:0' }} }} }}\n"
        );
        Job::read(&text, dir.path(), &[]).unwrap().check(&env(dir.path())).valid()
    };
    let report = check("email");
    assert_eq!((report.exit_code, report.records.written), (10, 2));
    assert_eq!(json!(report.reject_reasons), json!({"email_case": 2, "email_space": 1}));
    let rejects = std::fs::read_to_string(report.rejects_file.expect("a file")).unwrap();
    assert!(rejects.contains("apply: [trim, lower]"), "{rejects}");
    let report = check("{ column: email, apply: [trim, lower] }");
    assert_eq!((report.exit_code, report.records.written), (0, 5));
}
