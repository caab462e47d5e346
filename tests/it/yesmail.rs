//! Yesmail against a scripted platform.

use crate::vendor::{Seen, Vendor, answer};
use listferry::body::{self, DiscardRejects, Measured, Split};
use listferry::calls::{FaultAt, JobSeed, Journal, MemoryJournal, Policy, Remote, RowFault};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::mapping::{MapSpec, Plan};
use listferry::platform::{Outcome, PLATFORMS, Platform, Verdict};
use listferry::settings::{NoSecrets, Secrets, Settings};
use listferry::source::{OpenSource, SourceOptions};
use listferry::transport::{Client, NetworkOptions, Proxy, Timers};
use listferry::{Error, Kind, Result, Secret};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const PEOPLE: &str = "email,first\nANN@Example.test,Ann\nbob@example.test,\"B|o,b\"\ncy@example.test,Cy\n";
pub(crate) const CONVERTED: &str =
    "id\tfirstname\nann@example.test\tAnn\nbob@example.test\tB|o,b\ncy@example.test\tCy\n";

struct Literal;

impl Secrets for Literal {
    fn resolve(&self, value: &Value, _: &str) -> Result<Secret> {
        Ok(Secret::new(value.as_str().unwrap_or_default()))
    }
}

/// A job up to its delivery: platform, measured source, journal.
pub(crate) struct Scene {
    pub(crate) platform: Box<dyn Platform>,
    pub(crate) map: MapSpec,
    seed: JobSeed,
    journal: MemoryJournal,
    client: Client,
    pub(crate) policy: Policy,
    measured: Option<Measured>,
    pub(crate) source: PathBuf,
    _dir: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new(base: &str, host: Value, more: Value) -> Scene {
        Scene::of(base, host, more, PEOPLE)
    }

    pub(crate) fn of(base: &str, host: Value, more: Value, people: &str) -> Scene {
        let mut destination = Map::new();
        for (key, value) in [("base_url", json!(base)), ("list", json!("my list/1")), ("host", host)] {
            destination.insert(key.to_owned(), value);
        }
        destination.insert("api_user".to_owned(), json!("user-canary"));
        destination.insert("api_key".to_owned(), json!("key-canary"));
        destination.extend(more.as_object().unwrap().clone());
        // an existing file is imported as it is
        let map = match (destination["host"].get("uri"), destination.get("headers")) {
            (None, _) => json!({"id": {"column": "email", "apply": ["trim", "lower"]}, "firstname": "first"}),
            (_, Some(Value::Bool(false))) => json!({"id": 0, "firstname": 1}),
            _ => json!({"id": "email", "firstname": "first"}),
        };
        let map = MapSpec(map.as_object().unwrap().clone());
        let platform = build(&destination, &Literal).unwrap();
        let shape = platform.shape(&map).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("people.csv");
        std::fs::write(&source, people).unwrap();
        let measured = platform.plan(&map).needs_source.then(|| {
            let opened = OpenSource::open(source.to_str().unwrap(), &SourceOptions::default()).unwrap();
            let table = Table::from(Csv::open(Arc::new(opened), CsvOptions::default()).unwrap());
            let plan = Arc::new(Plan::compile(&shape, &[], table.columns()).unwrap());
            body::measure(&table, &plan, &Split::default(), &body::Options::default(), &mut DiscardRejects).unwrap()
        });
        let mut network = NetworkOptions::default();
        network.proxy = Proxy::None;
        let mut policy = Policy::default();
        policy.attempts = 3;
        policy.wait = Duration::from_secs(60);
        Scene {
            platform,
            map,
            seed: JobSeed {
                run_id: "r1".to_owned(),
                random: "0123456789abcdef0123456789abcdef".to_owned(),
                date: "2026-11-21".to_owned(),
            },
            journal: MemoryJournal::default(),
            client: Client::new(&network, &Timers::default()).unwrap(),
            policy,
            measured,
            source,
            _dir: dir,
        }
    }

    pub(crate) async fn deliver(&self) -> Result<Verdict> {
        let mut cx = Remote::new(&self.seed, &self.journal, &self.client, self.policy.clone());
        let verdict = self.platform.deliver(self.measured.as_ref(), &self.map, &mut cx).await;
        if let Err(error) = &verdict {
            let text = format!("{error} {error:?} {:?}", error.hint());
            assert!(!text.contains("canary"), "a secret in a message: {text}");
        }
        verdict
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.journal.notes().unwrap()
    }

    fn faults(&self) -> Vec<RowFault> {
        let mut faults = Vec::new();
        let mut each = |fault: &RowFault| {
            faults.push(fault.clone());
            Ok(true)
        };
        self.journal.faults(&mut each).unwrap();
        faults
    }
}

fn build(destination: &Map<String, Value>, secrets: &dyn Secrets) -> Result<Box<dyn Platform>> {
    let entry = PLATFORMS.iter().find(|entry| entry.name == "yesmail").unwrap();
    let folder = std::path::Path::new("");
    (entry.build)(&Settings { map: destination, at: "destination", secrets, folder })
}

const IMPORT: &str = "/v2/target-lists/my%20list%2F1/members/file-import";
pub(crate) const TICKET: &[u8] = include_bytes!("../../src/platform/yesmail/golden/ticket.json");
const RESULTS: &[u8] = include_bytes!("../../src/platform/yesmail/golden/async-results.json");

pub(crate) fn accepted() -> Vec<u8> {
    answer(
        202,
        &[("Content-Location", "https://api.yesmail.com/v2/tickets/654321")],
        "{\"id\":\"654321\",\"state\":\"accepted\"}",
    )
}

/// The vendor's samples for ticket and results; the import follows the script.
pub(crate) fn samples(import: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> impl Fn(&Seen, usize) -> Vec<u8> {
    move |seen, n| match seen.target.as_str() {
        "/v2/tickets/654321" => answer(200, &[], TICKET),
        "/v2/async-results/987654" => answer(200, &[], RESULTS),
        target if target.starts_with("/v2/target-lists/") => import(n),
        _ => answer(200, &[], ""),
    }
}

fn uri(text: &str) -> Value {
    json!({ "uri": text })
}

#[tokio::test]
async fn the_request_is_that_of_the_documents() {
    let vendor = Vendor::start(samples(|_| accepted())).await;
    let more = json!({"error_threshold": 100, "import_type": "replace", "headers": false, "separator": ",",
        "response_uri": "http://callers.domain.com/a path?x=y&z", "response_ref": "ref/1"});
    let scene = Scene::new(&vendor.url(), uri("http://my.host.com/path/file.txt"), more);
    scene.deliver().await.unwrap();
    let posts = vendor.of("POST", "/");
    assert_eq!(posts.len(), 1);
    assert_eq!(
        posts[0].target,
        format!("{IMPORT}?responseUri=http%3A%2F%2Fcallers.domain.com%2Fa%20path%3Fx%3Dy%26z&responseRef=ref%2F1")
    );
    let mut want: Value =
        serde_json::from_slice(include_bytes!("../../src/platform/yesmail/golden/request.json")).unwrap();
    // this map has two columns
    want["source"]["mappings"].as_array_mut().unwrap().pop();
    assert_eq!(String::from_utf8(posts[0].body.clone()).unwrap(), want.to_string());
    assert_eq!(posts[0].header("content-type"), Some("application/json"));
    for seen in vendor.seen() {
        assert_eq!(seen.header("api-user"), Some("user-canary"), "{}", seen.target);
        assert_eq!(seen.header("api-key"), Some("key-canary"), "{}", seen.target);
    }
}

#[tokio::test]
async fn thresholds_go_out_as_numbers_or_quoted_shares_and_always() {
    for (written, sent) in
        [(json!(null), json!(0)), (json!(7), json!(7)), (json!("12"), json!(12)), (json!("5 %"), json!("5%"))]
    {
        let vendor = Vendor::start(samples(|_| accepted())).await;
        let scene = Scene::new(&vendor.url(), uri("http://h/f"), json!({ "error_threshold": written }));
        scene.deliver().await.unwrap();
        let body = vendor.of("POST", "/")[0].json();
        assert_eq!(body["errorThreshold"], sent);
        assert_eq!(body["source"]["headers"], json!(true));
        assert_eq!(body["source"]["mappings"], json!([{"id": "email"}, {"firstname": "first"}]));
        assert_eq!(body["source"]["separator"], json!(","));
        assert_eq!(body["importType"], json!("update"));
    }
}

#[test]
fn an_impossible_job_is_refused_before_anything_is_sent() {
    let refused = |destination: Value| {
        let mut map = json!({"list": "l", "api_user": "u", "api_key": "key-canary"}).as_object().unwrap().clone();
        map.extend(destination.as_object().unwrap().clone());
        let error = build(&map, &Literal).err().unwrap_or_else(|| panic!("taken: {destination}"));
        assert_eq!(error.kind(), Kind::Usage, "{destination}");
        assert!(!error.to_string().contains("canary"), "{error}");
        error.to_string()
    };
    for threshold in [
        json!("0%"),
        json!("100%"),
        json!("150%"),
        json!("100.5%"),
        json!("1e2%"),
        json!("-1%"),
        json!("five"),
        json!(-1),
        json!(1.5),
        json!([]),
    ] {
        refused(json!({"host": {"uri": "http://h/f"}, "error_threshold": threshold}));
    }
    let wants_one = refused(json!({"host": {}}));
    assert!(wants_one.contains("exactly one"), "{wants_one}");
    refused(json!({"host": {"uri": "http://h/f", "serve": {"listen": "127.0.0.1:0"}}}));
    for host in [json!({"uri": "sftp://u:canary@h/f"}), json!({"ftp": {"url": "sftp://u:canary@h/f"}})] {
        let says = refused(json!({ "host": host }));
        assert!(says.contains("SFTP is not FTP"), "{says}");
    }
    let says = refused(json!({"host": {"ftp": {"url": "ftp://h/f", "fetch_url": "ftps://h/f"}}}));
    assert!(says.contains("does not fetch over FTP with TLS"), "{says}");
    refused(json!({"host": {"put": {"url": "canary", "fetch_url": "http://h/f"}}}));
    refused(json!({"host": {"ftp": {"url": "http://h/canary"}}}));
    refused(json!({"host": {"serve": {"listen": "everywhere"}}}));
    refused(json!({"host": {"serve": {"listen": "0.0.0.0:0"}}}));
    refused(json!({"host": {"serve": {"listen": "127.0.0.1:0", "public_url": "http://etl.example.com"}}}));
    refused(json!({"host": {"serve": {"listen": "127.0.0.1:0", "tls_cert": "c.pem"}}}));
    let near = refused(json!({"host": {"serve": {"listen": "127.0.0.1:0", "publicurl": "auto"}}}));
    assert!(near.contains("publicurl"), "{near}");

    let map = json!({"list": "l", "api_user": {"env": "U"}, "api_key": {"env": "K"},
        "host": {"put": {"url": {"env": "P"}, "fetch_url": "http://h/f"}}});
    let platform = build(map.as_object().unwrap(), &NoSecrets).unwrap();
    let shape = |map: Value| platform.shape(&MapSpec(map.as_object().unwrap().clone())).err().map(|e| e.kind());
    assert_eq!(shape(json!({"firstname": "first"})), Some(Kind::Usage), "id is required");
    assert_eq!(shape(json!({"firstname": "first", "id": "email"})), None, "id may stand anywhere");
    assert_eq!(shape(json!({"id": "email", "a\nb": "x"})), Some(Kind::Usage));
}

#[tokio::test]
async fn a_put_list_is_imported_and_its_failed_rows_are_reported() {
    let storage = Vendor::start(|_, _| answer(200, &[("ETag", "\"x\"")], "")).await;
    let vendor = Vendor::start(samples(|_| accepted())).await;
    let put = format!("{}/lists/list.csv?X-Amz-Signature=sig-canary%2F1", storage.url());
    let host = json!({"put": {"url": put, "fetch_url": "https://u:fetch-canary@cdn.example/list.csv"}});
    let scene = Scene::new(&vendor.url(), host, json!({}));
    let verdict = scene.deliver().await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Partial);
    assert_eq!(verdict.result["ticket"], json!("654321"));
    assert_eq!(
        verdict.result["counts"],
        json!({"completed": 1238, "failed": 1, "ignored": 1, "total": 1240, "requested": 1240})
    );
    let want = [
        RowFault { at: FaultAt::Index(1), message: "Invalid email address.".to_owned() },
        RowFault { at: FaultAt::Index(4), message: "ignored".to_owned() },
    ];
    assert_eq!(scene.faults(), want);

    let puts = storage.seen();
    assert_eq!(puts.len(), 1);
    assert_eq!((puts[0].method.as_str(), puts[0].complete), ("PUT", true));
    assert_eq!(puts[0].target, "/lists/list.csv?X-Amz-Signature=sig-canary%2F1");
    assert_eq!(String::from_utf8(puts[0].body.clone()).unwrap(), CONVERTED);
    for name in ["api-user", "api-key", "content-type", "transfer-encoding", "authorization"] {
        assert_eq!(puts[0].header(name), None, "{name}");
    }
    let request = vendor.of("POST", "/")[0].json();
    assert_eq!(request["source"]["uri"], json!("https://u:fetch-canary@cdn.example/list.csv"));
    assert_eq!(request["source"]["separator"], json!("\t"), "chosen by pass one");
    let part = &scene.journal.parts().unwrap()[0];
    assert_eq!((part.accepted, part.records, part.remote_id.as_deref()), (true, 3, Some("654321")));
}

#[tokio::test]
async fn j19_a_ticket_is_asked_through_all_its_words() {
    let vendor = Vendor::start(|seen, n| match seen.target.as_str() {
        "/v2/tickets/654321" => match n {
            0 => answer(200, &[], "{\"id\":\"654321\",\"state\":\"retrying\"}"),
            1 => answer(200, &[], "not json at all"),
            2 => answer(200, &[], "{\"state\":\"reticulating\"}"),
            _ => answer(200, &[], TICKET),
        },
        "/v2/async-results/987654" => match n {
            // cut inside the list of failures: rows reported before are not reported twice
            0 => answer(200, &[], RESULTS)[..RESULTS.len() - 20].to_vec(),
            1 => answer(200, &[], &RESULTS[..RESULTS.len() - 20]),
            _ => answer(200, &[], RESULTS),
        },
        _ => accepted(),
    })
    .await;
    let scene = Scene::new(&vendor.url(), uri("http://h/f"), json!({}));
    let verdict = scene.deliver().await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Partial);
    assert_eq!(scene.faults().len(), 2);
    assert_eq!(vendor.of("GET", "/v2/tickets/").len(), 4);
    assert_eq!(vendor.of("POST", "/").len(), 1);
}

#[tokio::test]
async fn j19_no_failed_row_is_done_a_failed_ticket_leaves_the_list_unknown() {
    let run = |ticket: &'static str, results: &'static str| async move {
        let vendor = Vendor::start(move |seen, _| match seen.target.as_str() {
            "/v2/tickets/7" => answer(200, &[], ticket),
            "/v2/async-results/8" => answer(200, &[], results),
            _ => answer(202, &[], "{\"id\": 7}"),
        })
        .await;
        let scene = Scene::new(&vendor.url(), uri("http://h:1/f?sig=query-canary"), json!({}));
        (scene.deliver().await, scene)
    };
    let located = r#"{"state":"completed","response":{"location":"/v2/async-results/8"}}"#;
    let (verdict, scene) =
        run(located, r#"{"counts":{"completed":"3","failed":"0","ignored":1},"ignored":[{"index":2}]}"#).await;
    let verdict = verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::Done);
    assert_eq!(verdict.result["counts"]["completed"], json!(3));
    assert_eq!(scene.faults().len(), 1);
    let (verdict, _) = run(located, r#"{"counts":{"failed":"2"}}"#).await;
    assert_eq!(verdict.unwrap().outcome, Outcome::Partial, "counted, though not listed");
    let (verdict, scene) =
        run(r#"{"state":"Failed","message":"cannot fetch http://h:1/f?sig=query-canary"}"#, "").await;
    let verdict = verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert!(!verdict.result.to_string().contains("canary"), "{}", verdict.result);
    assert!(scene.journal.notes().unwrap().iter().any(|note| note.contains("state of the list is unknown")));
    assert_eq!(verdict.reason.as_deref(), Some("cannot fetch http://h:1/f"));
}

#[tokio::test]
async fn j10_an_unknown_state_is_asked_about_again_with_one_warning() {
    let vendor = Vendor::start(move |seen, n| match (seen.target.as_str(), n) {
        ("/v2/tickets/7", 0) => answer(200, &[], r#"{"state":"retrying"}"#),
        ("/v2/tickets/7", 1) => answer(200, &[], r#"{"state":"weird\u001b[31m"}"#),
        ("/v2/tickets/7", 2) => answer(200, &[], r#"{"state":"weirder"}"#),
        ("/v2/tickets/7", _) => answer(200, &[], r#"{"state":"completed"}"#),
        _ => answer(202, &[], "{\"id\": 7}"),
    })
    .await;
    let scene = Scene::new(&vendor.url(), uri("http://h:1/f"), json!({}));
    assert_eq!(scene.deliver().await.unwrap().outcome, Outcome::Done);
    let notes = scene.journal.notes().unwrap();
    let strange: Vec<&String> = notes.iter().filter(|note| note.contains("unknown state")).collect();
    assert_eq!(strange.len(), 1, "{notes:?}");
    assert!(strange[0].contains("\"weird\\u{1b}[31m\""), "{notes:?}");
}

#[tokio::test]
async fn the_import_is_asked_for_once_or_the_run_says_that_it_does_not_know() {
    // (responses in turn, number of calls allowed, result)
    let cases: Vec<(Vec<Vec<u8>>, usize, Option<Kind>)> = vec![
        (vec![Vec::new()], 1, Some(Kind::InDoubt)),
        (vec![accepted()[..20].to_vec()], 1, Some(Kind::InDoubt)),
        (vec![answer(500, &[], "")], 1, Some(Kind::InDoubt)),
        (vec![answer(502, &[], "")], 1, Some(Kind::InDoubt)),
        (vec![answer(202, &[], "thank you")], 1, Some(Kind::InDoubt)),
        (vec![answer(400, &[], "key-canary is bad")], 1, Some(Kind::Refused)),
        (vec![answer(404, &[], "no such list")], 1, Some(Kind::Refused)),
        (vec![answer(401, &[], "")], 1, Some(Kind::Credentials)),
        (vec![answer(403, &[], "")], 1, Some(Kind::Credentials)),
        (vec![answer(307, &[("Location", "http://127.0.0.1:1/")], "")], 1, Some(Kind::Refused)),
        (vec![answer(503, &[], ""), answer(429, &[("Retry-After", "1")], ""), accepted()], 3, None),
    ];
    for (answers, calls, kind) in cases {
        let shown = String::from_utf8_lossy(&answers[0]).into_owned();
        let vendor = Vendor::start(samples(move |n| answers[n.min(answers.len() - 1)].clone())).await;
        let scene = Scene::new(&vendor.url(), uri("http://h/f"), json!({}));
        let verdict = scene.deliver().await;
        assert_eq!(verdict.as_ref().err().map(Error::kind), kind, "{shown}: {verdict:?}");
        assert_eq!(vendor.of("POST", "/").len(), calls, "{shown}");
        if kind == Some(Kind::InDoubt) {
            // the same run again sends nothing
            let seen = vendor.seen().len();
            assert_eq!(scene.deliver().await.unwrap_err().kind(), Kind::InDoubt);
            assert_eq!(vendor.seen().len(), seen, "{shown}");
        }
    }
}

#[tokio::test]
async fn without_waiting_an_accepted_import_is_done() {
    let vendor = Vendor::start(samples(|_| accepted())).await;
    let mut scene = Scene::new(&vendor.url(), uri("http://h/f"), json!({}));
    scene.policy.wait = Duration::ZERO;
    let verdict = scene.deliver().await.unwrap();
    assert_eq!((verdict.outcome, &verdict.result["state"]), (Outcome::Done, &json!("accepted")));
    assert_eq!((vendor.of("POST", "/").len(), vendor.of("GET", "/v2/tickets").len()), (1, 0));
}

#[tokio::test]
async fn x05_a_ticket_on_another_host_gets_no_credentials() {
    let other = Vendor::start(|_, _| answer(200, &[], TICKET)).await;
    let place = format!("{}/t/1", other.url());
    let vendor = Vendor::start(move |seen, _| match seen.method.as_str() {
        "POST" => answer(202, &[("Content-Location", &place)], ""),
        _ => answer(200, &[], RESULTS),
    })
    .await;
    let scene = Scene::new(&vendor.url(), uri("http://h/f"), json!({}));
    scene.deliver().await.unwrap();
    assert_eq!(other.seen().len(), 1);
    assert_eq!((other.seen()[0].header("api-key"), other.seen()[0].header("api-user")), (None, None));
    assert_eq!(vendor.of("GET", "/v2/async-results/987654")[0].header("api-key"), Some("key-canary"));
}

#[tokio::test]
async fn a_million_results_name_their_three_rows() {
    let mut results =
        String::from("{\"counts\":{\"completed\":999997,\"failed\":3,\"total\":1000000},\"completed \":[");
    for index in 0..999_997 {
        results.push_str(&format!("{{\"index\":{index},\"time\":\"2014-03-03T17:33:22Z\"}},"));
    }
    results.pop();
    results.push_str("],\"failed\":[");
    for index in [0, 500_000, 999_999] {
        results
            .push_str(&format!("{{\"index\":\"{index}\",\"error\":{{\"status\":400,\"message\":\"no {index}\"}}}},"));
    }
    results.pop();
    results.push_str("]}");
    let results = answer(200, &[], results);
    let vendor = Vendor::start(move |seen, _| match seen.target.as_str() {
        "/v2/tickets/654321" => answer(200, &[], TICKET),
        "/v2/async-results/987654" => results.clone(),
        _ => accepted(),
    })
    .await;
    let scene = Scene::new(&vendor.url(), uri("http://h/f"), json!({}));
    assert_eq!(scene.deliver().await.unwrap().outcome, Outcome::Partial);
    let at: Vec<FaultAt> = scene.faults().into_iter().map(|fault| fault.at).collect();
    assert_eq!(at, [FaultAt::Index(0), FaultAt::Index(500_000), FaultAt::Index(999_999)]);
}
