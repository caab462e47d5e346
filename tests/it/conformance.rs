//! One suite for every platform: scripted answers to each of its calls, checked against the effect of repeating the
//! call.
//!
//! A platform is a row of [`CASES`]: its job, a well-behaved vendor, its calls and their rules. A new platform is a new
//! row.

use crate::report_schema::Valid as _;
use crate::vendor::{Seen, Vendor, answer};
use listferry::job::{Env, Job, Report};
use listferry::platform::PLATFORMS;
use listferry::{Error, Kind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The effect of repeating a call; taken from the vendors' documents, not from the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Repeating it has the same final state.
    Repeat,
    /// Repeating it could create or add twice.
    Never,
    /// Its result can be looked up, and is, instead of creating it again.
    LookedUp,
    /// It only asks.
    Ask,
    /// A storage: repeatable; its refusals are not about the platform's credentials, and its body does not count.
    Storage,
}

#[derive(Debug)]
struct Call {
    method: &'static str,
    /// Exactly this path, or a prefix if it ends in a slash.
    path: &'static str,
    rule: Rule,
}

impl Call {
    fn is(&self, seen: &Seen) -> bool {
        let path = seen.target.split('?').next().unwrap_or_default();
        seen.method == self.method && (path == self.path || self.path.ends_with('/') && path.starts_with(self.path))
    }
}

#[derive(Debug)]
struct Case {
    name: &'static str,
    destination: &'static str,
    map: &'static str,
    calls: &'static [Call],
    /// The well-behaved vendor.
    good: fn(&Seen) -> (u16, String),
}

const fn call(method: &'static str, path: &'static str, rule: Rule) -> Call {
    Call { method, path, rule }
}

const CASES: &[Case] = &[
    Case {
        name: "clevertap",
        destination: "platform: clevertap, account_id: { env: KEY }, passcode: { env: KEY }, segment: VIP, creator: Jane, \
                      email: jane@example.com",
        map: "identity: id",
        calls: &[
            call("POST", "/get_custom_list_segment_url", Rule::Repeat),
            call("PUT", "/bucket/", Rule::Storage),
            call("POST", "/upload_custom_list_segment_completed", Rule::Never),
        ],
        good: |seen| {
            let host = seen.header("host").unwrap_or_default();
            let signed = format!("http://{host}/bucket/list.csv?X-Amz-SignedHeaders=host&X-Amz-Signature=5167ec2e7");
            match seen.target.as_str() {
                "/get_custom_list_segment_url" => {
                    (200, format!(r#"{{"presignedS3URL": "{signed}", "expiry": "7 May", "status": "success"}}"#))
                }
                "/upload_custom_list_segment_completed" => {
                    (200, r#"{"Segment ID": 159, "status": "success"}"#.to_owned())
                }
                _ => (200, String::new()),
            }
        },
    },
    Case {
        name: "localytics-profiles",
        destination: "platform: localytics-profiles, org_id: 60, api_key: { env: KEY }, api_secret: { env: KEY }",
        map: "customer_id: id, changes: [{ op: assign, attr: name, column: name }]",
        calls: &[
            call("POST", "/v1/imports/profiles/upload", Rule::Repeat),
            call("GET", "/v1/imports/profiles/status/", Rule::Ask),
        ],
        good: localytics,
    },
    Case {
        name: "localytics-profiles, increment",
        destination: "platform: localytics-profiles, app_id: a-1, api_key: { env: KEY }, api_secret: { env: KEY }",
        map: "customer_id: id, changes: [{ op: increment, attr: visits, value: 1 }]",
        calls: &[call("POST", "/v1/imports/profiles/upload", Rule::Never)],
        good: localytics,
    },
    Case {
        name: "localytics-audience, created",
        destination: "platform: localytics-audience, app_id: a-1, audience_name: VIP, api_key: { env: KEY }, \
                      api_secret: { env: KEY }",
        map: "customer_id: id",
        calls: &[
            call("GET", "/v1/imports/audiences/list/app/", Rule::Repeat),
            call("POST", "/v1/imports/audiences/list/", Rule::Never),
            call("GET", "/v1/imports/audiences/list/status/", Rule::Ask),
        ],
        good: localytics,
    },
    Case {
        name: "localytics-audience, replaced",
        destination: "platform: localytics-audience, app_id: a-1, audience_list_id: 31245, api_key: { env: KEY }, \
                      api_secret: { env: KEY }",
        map: "customer_id: id",
        calls: &[call("PUT", "/v1/imports/audiences/list/31245", Rule::Repeat)],
        good: localytics,
    },
    Case {
        name: "mediarithmics",
        destination: "platform: mediarithmics, datamart_id: 1234, token: { env: KEY }, import_name: spring",
        map: "operation: { value: UPDATE }, user_account_id: id, segment_id: { value: 42 }, \
              expiration_duration: { value: 0 }",
        calls: &[
            call("POST", "/v1/datamarts/1234/document_imports", Rule::Repeat),
            call("POST", "/v1/datamarts/1234/document_imports/77/executions", Rule::LookedUp),
            call("GET", "/v1/datamarts/1234/document_imports/77/executions", Rule::Ask),
        ],
        good: |seen| {
            let text = match (seen.method.as_str(), seen.target.ends_with("/document_imports")) {
                ("POST", true) => r#"{"status":"ok","data":{"id":"77","datafarm_key":"DF_EU"}}"#,
                ("POST", false) => r#"{"status":"ok","data":{"id":"5","status":"PENDING"}}"#,
                _ => {
                    r#"{"status":"ok","count":1,"total":1,"first_result":0,"max_results":100,"data":[{"id":"5","status":"SUCCEEDED","result":{"total_success":2,"total_failure":0}}]}"#
                }
            };
            (200, text.to_owned())
        },
    },
    Case {
        name: "yesmail",
        destination: "platform: yesmail, list: members, api_user: { env: KEY }, api_key: { env: KEY }, \
                      host: { put: { url: { env: PUT_URL }, fetch_url: \"https://files.example.com/list.csv\" } }",
        map: "id: id, name: name",
        calls: &[
            call("PUT", "/store/", Rule::Storage),
            call("POST", "/v2/target-lists/members/members/file-import", Rule::Never),
            call("GET", "/v2/tickets/", Rule::Ask),
        ],
        good: |seen| match seen.method.as_str() {
            "PUT" => (200, String::new()),
            "POST" => (202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned()),
            _ => (200, r#"{"id": "t-1", "state": "completed"}"#.to_owned()),
        },
    },
];

fn localytics(seen: &Seen) -> (u16, String) {
    match seen.method.as_str() {
        "GET" if seen.target.contains("/list/app/") => (200, "[]".to_owned()),
        "GET" => (
            200,
            r#"{"status":"Completed","upload_statistics":{"successful_imports":2,"failed_imports":0,"total_number_of_imports":2}}"#
                .to_owned(),
        ),
        _ => (202, r#"{"activity_id": "3b4a65e5-2beb-4011-85df-c9f594217d90"}"#.to_owned()),
    }
}

const SECRET: &str = "se-cret-key-77";

/// Runs a case's job against a vendor that answers the first request of `call` with `fault`.
async fn run(case: &Case, call: &'static Call, fault: Fault, overrides: &[&str]) -> (Report, Vec<Seen>, Duration) {
    let good = case.good;
    let vendor = Vendor::start(move |seen, nth| {
        if nth == 0 && call.is(seen) {
            return fault.bytes(call.rule);
        }
        let (status, text) = good(seen);
        answer(status, &[], text)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.csv"), "id,name\n+4917,Ann\n007,\"Bob, B\"\n").unwrap();
    let base = vendor.url();
    let yaml = format!(
        "source: {{ path: list.csv }}\nmap: {{ {} }}\ndestination: {{ {}, base_url: \"{base}\" }}\n\
         upload: {{ attempts: 3, give_up_after: 60s, response_timeout: 5s }}\nwait: 20s\n",
        case.map, case.destination
    );
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let job = Job::read(&format!("name: job\n{yaml}"), dir.path(), &overrides).unwrap();
    let mut env = Env::default();
    env.state_dir = Some(dir.path().join("state"));
    env.options.threads = 1;
    env.variables = Arc::new(move |name: &str| match name {
        "KEY" => Some(SECRET.to_owned()),
        "PUT_URL" => Some(format!("{base}/store/list.csv?X-Amz-Signature={SECRET}")),
        _ => None,
    });
    let began = Instant::now();
    let report = job.run(&env).await.valid();
    (report, vendor.seen(), began.elapsed())
}

/// The first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Status(u16),
    RetryAfterSeconds,
    RetryAfterDate,
    RetryAfterGarbage,
    RetryAfterTooLong,
    /// The connection closes without an answer, after the whole request was read.
    Lost,
    /// The answer is cut off inside its body.
    Cut,
    /// A 200 without a usable body.
    Html,
}

impl Fault {
    fn bytes(self, rule: Rule) -> Vec<u8> {
        let busy = |value: &str| answer(429, &[("Retry-After", value)], "slow down");
        match self {
            // the storage never receives the key, so it cannot quote it
            Fault::Status(status) if rule == Rule::Storage => answer(status, &[], "no"),
            Fault::Status(status) => answer(status, &[], format!("no, {SECRET}")),
            Fault::RetryAfterSeconds => busy("1"),
            Fault::RetryAfterDate => busy(&httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2))),
            Fault::RetryAfterGarbage => busy("soon"),
            Fault::RetryAfterTooLong => busy("86400"),
            Fault::Lost => Vec::new(),
            Fault::Cut => b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"activity_id\": \"3b4".to_vec(),
            Fault::Html => answer(200, &[], "<html>hello</html>"),
        }
    }

    /// Returns the allowed exit codes, and how often the call may be made.
    fn expected(self, rule: Rule) -> Option<(&'static [i32], std::ops::RangeInclusive<usize>)> {
        let doubtful = match rule {
            Rule::Never => (&[21][..], 1..=1),
            Rule::LookedUp => (&[0][..], 1..=1),
            _ => (&[0][..], 2..=2),
        };
        Some(match self {
            Fault::Status(400..=499 | 501) if rule == Rule::Storage => return None,
            // a vendor with spurious 401s may be called up to three times
            Fault::Status(401) => (&[30], 1..=3),
            Fault::Status(403) => (&[30], 1..=1),
            // the list has been accepted, so no answer to a status call is a refusal
            Fault::Status(302 | 400 | 404 | 410 | 413 | 501) if rule == Rule::Ask => (&[0], 2..=2),
            Fault::Status(302 | 400 | 404 | 410 | 413 | 501) => (&[12], 1..=1),
            Fault::Status(503) => (&[0], 2..=2),
            Fault::RetryAfterSeconds | Fault::RetryAfterDate | Fault::RetryAfterGarbage => (&[0], 2..=2),
            Fault::RetryAfterTooLong if rule == Rule::Ask => (&[22], 1..=1),
            Fault::RetryAfterTooLong => (&[20], 1..=1),
            Fault::Html if rule == Rule::Storage => return None,
            Fault::Status(_) | Fault::Lost | Fault::Cut | Fault::Html => doubtful,
        })
    }
}

const FAULTS: &[Fault] = &[
    Fault::Status(302),
    Fault::Status(400),
    Fault::Status(401),
    Fault::Status(403),
    Fault::Status(404),
    Fault::Status(410),
    Fault::Status(413),
    Fault::Status(500),
    Fault::Status(501),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Status(504),
    Fault::RetryAfterSeconds,
    Fault::RetryAfterDate,
    Fault::RetryAfterGarbage,
    Fault::RetryAfterTooLong,
    Fault::Lost,
    Fault::Cut,
    Fault::Html,
];

/// Runs one case with one fault in one call; returns what is wrong with the outcome.
async fn checked(case: &'static Case, call: &'static Call, fault: Fault) -> Result<(), String> {
    let Some((codes, times)) = fault.expected(call.rule) else { return Ok(()) };
    let overrides: &[&str] = if fault == Fault::RetryAfterTooLong { &["wait=2s"] } else { &[] };
    let (report, seen, took) = run(case, call, fault, overrides).await;
    let shown = serde_json::to_string(&report).unwrap();
    let here = format!("{}: {} {} under {fault:?}", case.name, call.method, call.path);
    let code = i32::from(report.exit_code);
    let calls: Vec<&Seen> = seen.iter().filter(|seen| call.is(seen)).collect();
    let mut wrong = Vec::new();
    if !codes.contains(&code) {
        wrong.push(format!("exit {code}, not {codes:?}"));
    }
    if !times.contains(&calls.len()) {
        wrong.push(format!("called {} times, not {times:?}", calls.len()));
    }
    if !calls.iter().all(|one| one.complete && one.body == calls[0].body) {
        wrong.push("a repeat is not the same, whole request".to_owned());
    }
    if shown.contains(SECRET) || format!("{:?}", report.error).contains(SECRET) {
        wrong.push("the report contains a secret".to_owned());
    }
    if code != 0 && report.error.as_ref().is_none_or(|error| error.hint().is_none()) {
        wrong.push("nothing says what to do".to_owned());
    }
    let least = match fault {
        Fault::RetryAfterSeconds | Fault::RetryAfterDate => Duration::from_millis(900),
        _ => Duration::ZERO,
    };
    if took < least {
        wrong.push(format!("asked again after {took:?}, too early"));
    }
    if code != 0 && report.error.is_none() {
        wrong.push("no error is reported".to_owned());
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("{here}: {}\n    {shown}", wrong.join("; "))),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_call_of_every_platform_under_every_fault() {
    let mut running: tokio::task::JoinSet<Result<(), String>> = tokio::task::JoinSet::new();
    let mut wrong = Vec::new();
    for case in CASES {
        for call in case.calls {
            for fault in FAULTS {
                // bounded, so that waits are not distorted by load
                if running.len() >= 24
                    && let Some(done) = running.join_next().await
                {
                    wrong.extend(done.unwrap().err());
                }
                running.spawn(checked(case, call, *fault));
            }
        }
    }
    while let Some(done) = running.join_next().await {
        wrong.extend(done.unwrap().err());
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_platform_ends_done_with_what_the_vendor_answered() {
    // a call that never comes, so nothing is faulty
    static NONE: Call = call("GET", "/never", Rule::Ask);
    for case in CASES {
        let (report, seen, _) = run(case, &NONE, Fault::Lost, &[]).await;
        let shown = serde_json::to_string(&report).unwrap();
        assert_eq!(report.exit_code, 0, "{}: {shown}", case.name);
        assert_eq!((report.records.read, report.records.written), (2, 2), "{}: {shown}", case.name);
        assert!(report.platform_result.as_object().is_some_and(|result| !result.is_empty()), "{}: {shown}", case.name);
        for call in case.calls {
            assert_eq!(seen.iter().filter(|seen| call.is(seen)).count(), 1, "{}: {call:?}", case.name);
        }
        for one in &seen {
            assert!(!one.target.contains(SECRET) || one.target.starts_with("/store/"), "{}: {}", case.name, one.target);
            assert!(one.header("referer").is_none() && one.header("transfer-encoding").is_none(), "{}", case.name);
            assert!(one.method == "GET" || one.header("content-length").is_some(), "{}: {}", case.name, one.target);
        }
    }
}

/// Returns the error of checking a case's job with these overrides.
fn refused(case: &Case, overrides: &[String]) -> Option<Error> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.csv"), "id,name\n1,Ann\n").unwrap();
    let yaml = format!(
        "source: {{ path: list.csv }}\nmap: {{ {} }}\ndestination: {{ {}, base_url: \"http://127.0.0.1:1\" }}\n",
        case.map, case.destination
    );
    match Job::read(&yaml, dir.path(), overrides) {
        Ok(job) => job.check(&crate::job_file::env_in(dir.path())).valid().error,
        Err(error) => Some(error),
    }
}

/// The paths of all calls would be part of the fragment, even if that is empty.
#[test]
fn a_base_url_is_nothing_but_an_origin_and_a_path() {
    for case in CASES {
        for base in [
            "http://h#",
            "http://h/#",
            "http://h/#x",
            "http://h/?",
            "http://h?a=b",
            "http://u@h",
            "http://:p@h",
            "ftp://h",
        ] {
            let bad = format!("destination.base_url={base}");
            let error = refused(case, std::slice::from_ref(&bad)).unwrap_or_else(|| panic!("{bad}: {case:?}"));
            assert!(error.kind() == Kind::Usage && error.message().contains("base_url"), "{bad}: {error:?}");
        }
    }
    for base in ["http://h#", "http://h/#", "http://h/?"] {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "name: vip\nsource: {{ apsis: {{ report: duplicates, client_id: a, client_secret: b, request: {{}}, base_url: \"{base}\" }} }}\n\
             map: {{ identity: id }}\ndestination: {{ platform: clevertap, region: in1, account_id: a, passcode: b, segment: VIP, \
             creator: Jane, email: jane@example.com }}\n"
        );
        let mut env = Env::default();
        env.state_dir = Some(dir.path().join("state"));
        let error = Job::from_yaml(&text)
            .unwrap()
            .run_blocking(&env)
            .valid()
            .error
            .unwrap_or_else(|| panic!("{base} is taken"));
        assert!(error.kind() == Kind::Usage && error.message().contains("base_url"), "{base}: {error:?}");
    }
}

#[test]
fn each_wrong_key_of_a_destination_says_what_to_do() {
    for case in CASES {
        let entry = PLATFORMS.iter().find(|entry| case.destination.contains(&format!("platform: {},", entry.name)));
        let entry = entry.unwrap_or_else(|| panic!("{case:?}"));
        for key in entry.keys {
            let wrong = ["[[1]]", "''", "'\\a'", "-1", "0", "not quite"]
                .map(|value| format!("destination.{}={value}", key.name));
            let gone = format!("destination.{}=null", key.name);
            if key.required {
                assert!(refused(case, std::slice::from_ref(&gone)).is_some(), "{gone}");
            }
            for bad in wrong.into_iter().chain([gone]) {
                let Some(error) = refused(case, std::slice::from_ref(&bad)) else { continue };
                assert_eq!(error.kind(), Kind::Usage, "{} {bad}: {error:?}", entry.name);
                assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{} {bad}: {error:?}", entry.name);
            }
        }
    }
    for (platform, bad, says) in [
        ("clevertap", "destination.max_body_bytes=6GB", "5368709120"),
        ("clevertap", "destination.oversize=numbers", "number"),
        ("localytics-audience", "destination.app_id=''", "app_id"),
        ("mediarithmics", "destination.mime_type=xml", "ndjson"),
        ("yesmail", "destination.import_type=updates", "update"),
    ] {
        let case = CASES.iter().find(|case| case.destination.contains(&format!("platform: {platform},"))).unwrap();
        let error = refused(case, &[bad.to_owned()]).unwrap_or_else(|| panic!("{bad} is taken"));
        assert!(error.message().contains(says) && error.hint().is_some(), "{error:?}");
    }
}
