//! No secret in any encoding reaches anything that a person or a program may read, whatever servers send: stdout,
//! stderr at `-vv`, the report, `runs`, the reject file, and each file of the state directory once the run has ended.

use crate::taint_echo::{Canaries, obeyed};
use crate::vendor::{Seen, Vendor, answer};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

const USER: &str = "Kan4ri-user-8264";
const PASS: &str = "Kan4ri>pass?7391/x'w";
const SIGNATURE: &str = "c4narysig5167ec2e7c0ffee";
const STORED: &str = "Kan4riPut9917Signature";
const PROXY: &str = "Kan4ri-proxy-5518";
const TOKEN: &str = "Kan4riAccessToken.2280.abcdefgh";
const FETCH: &str = "Kan4ri-fetch-4473";

/// A platform's job and a vendor that sends secrets wherever a text is possible.
struct Case {
    name: &'static str,
    source: &'static str,
    map: &'static str,
    destination: &'static str,
    secrets: &'static [&'static str],
    /// The exit code of an undisturbed run.
    ends: i32,
    good: fn(&Seen, &Canaries) -> (u16, String),
}

const LIST: &str = "path: list.csv";

const CASES: &[Case] = &[
    Case {
        name: "clevertap",
        source: LIST,
        map: "identity: id",
        destination: "platform: clevertap, account_id: { env: USER }, passcode: { env: PASS }, segment: VIP, \
                      creator: Jane, email: jane@example.com",
        secrets: &[USER, PASS],
        ends: 0,
        good: |seen, canaries| {
            let host = seen.header("host").unwrap_or_default();
            let signed = format!("http://{host}/bucket/l.csv?X-Amz-SignedHeaders=host&X-Amz-Signature={SIGNATURE}");
            let text = match seen.target.as_str() {
                "/get_custom_list_segment_url" => {
                    canaries.add(SIGNATURE);
                    json!({"presignedS3URL": signed, "status": "success"})
                }
                "/upload_custom_list_segment_completed" => {
                    json!({"Segment ID": canaries.echo(), "status": "success"})
                }
                _ => json!(""),
            };
            (200, text.to_string())
        },
    },
    Case {
        name: "localytics-profiles",
        source: LIST,
        map: "customer_id: id, changes: [{ op: assign, attr: name, column: name }]",
        destination: "platform: localytics-profiles, org_id: 60, api_key: { env: USER }, api_secret: { env: PASS }",
        secrets: &[USER, PASS],
        ends: 11,
        good: |seen, canaries| {
            let host = seen.header("host").unwrap_or_default();
            let log = format!("http://{host}/errors/e.json?X-Amz-Signature={SIGNATURE}");
            let line = |id: &str| json!({"customer_id": id, "error": canaries.echo()}).to_string();
            match seen.target.as_str() {
                "/v1/imports/profiles/upload" => (202, json!({"activity_id": "3b4a65e5"}).to_string()),
                target if target.starts_with("/errors/") => (200, format!("{}\n{}\n", line("007"), line(PASS))),
                _ => {
                    canaries.add(SIGNATURE);
                    let text = json!({"status": "Failed", "error_reason": canaries.echo(), "error_log": log, "target": canaries.one(3),
                           "upload_statistics": {"successful_imports": 1, "failed_imports": 1, "total_number_of_imports": 2}})
                    .to_string();
                    (200, text)
                }
            }
        },
    },
    Case {
        name: "mediarithmics",
        source: LIST,
        map: "operation: { value: UPDATE }, user_account_id: id, segment_id: { value: 42 }, \
              expiration_duration: { value: 0 }",
        destination: "platform: mediarithmics, datamart_id: 1234, token: { env: PASS }, import_name: spring",
        secrets: &[PASS],
        ends: 11,
        good: |seen, canaries| {
            let text = match (seen.method.as_str(), seen.target.split('?').next().unwrap_or_default()) {
                ("POST", target) if target.ends_with("/document_imports") => {
                    json!({"status": "ok", "data": {"id": "77"}})
                }
                ("POST", _) => json!({"status": "ok", "data": {"id": "5", "status": "PENDING"}}),
                (_, "/v1/data_file/data") => {
                    return (200, json!({"index": 1, "line": 1, "error": canaries.echo()}).to_string());
                }
                _ => json!({"status": "ok", "count": 1, "total": 1, "first_result": 0, "max_results": 100, "data": [
                    {"id": "5", "status": "FAILED", "error": {"message": canaries.echo()},
                     "result": {"total_success": 1, "total_failure": 1, "error_file_uri": "mics://data_file/e"}}]}),
            };
            (200, text.to_string())
        },
    },
    Case {
        name: "yesmail, put",
        source: LIST,
        map: "id: id, name: name",
        destination: "platform: yesmail, list: members, api_user: { env: USER }, api_key: { env: PASS }, host: { put: { \
                      url: { env: PUT_URL }, fetch_url: \"https://reader:Kan4ri-fetch-4473@files.example.com/l.csv\" } }",
        secrets: &[USER, PASS, STORED, FETCH],
        ends: 11,
        good: yesmail,
    },
    Case {
        name: "yesmail, serve",
        source: LIST,
        map: "id: id, name: name",
        destination: "platform: yesmail, list: members, api_user: { env: USER }, api_key: { env: PASS }, \
                      host: { serve: { listen: \"127.0.0.1:0\" } }",
        secrets: &[USER, PASS],
        ends: 11,
        good: yesmail,
    },
    Case {
        name: "apsis",
        source: "apsis: { report: segments, client_id: { env: USER }, client_secret: { env: PASS }, request: {}, wait: 3s, \
                 base_url: BASE }",
        map: "identity: id",
        destination: "platform: clevertap, account_id: { value: x }, passcode: { env: PROXY }, segment: VIP, \
                      creator: Jane, email: jane@example.com",
        secrets: &[USER, PASS, PROXY],
        ends: 20,
        good: |seen, canaries| match (seen.method.as_str(), seen.target.as_str()) {
            ("POST", "/oauth/token") => {
                canaries.add(TOKEN);
                (200, json!({"access_token": TOKEN, "expires_in": 86400}).to_string())
            }
            ("POST", _) => {
                let host = seen.header("host").unwrap_or_default();
                canaries.add(SIGNATURE);
                let poll = format!("http://{host}/poll/7?sig={SIGNATURE}");
                (201, json!({"file_download_url": poll, "file_download_url_v2": poll}).to_string())
            }
            _ => (200, "id,name\n1,Ann\n".to_owned()),
        },
    },
];

/// Records the secrets that a run generates, as a server receives them.
fn hear(seen: &Seen, canaries: &Canaries) {
    if let Some(uri) = seen.body.starts_with(b"{").then(|| seen.json()).and_then(|tree| {
        let uri = tree.pointer("/source/uri")?.as_str()?.to_owned();
        uri.starts_with("http://").then_some(uri)
    }) {
        // path and password of the list that the process serves
        let (user_info, rest) = uri.trim_start_matches("http://").split_once('@').unwrap();
        canaries.add(user_info.split_once(':').unwrap().1);
        canaries.add(rest.split('/').nth(1).unwrap());
    }
}

fn yesmail(seen: &Seen, canaries: &Canaries) -> (u16, String) {
    let text = match (seen.method.as_str(), seen.target.as_str()) {
        ("PUT", _) => String::new(),
        ("POST", _) => return (202, json!({"id": "t-1", "state": "accepted"}).to_string()),
        (_, "/results/8") => json!({"id": "8", "counts": {"completed": 1, "failed": 1, "ignored": 0, "total": 2},
            "completed": [{"index": 0}], "failed": [{"index": 1, "error": {"status": 400, "message": canaries.echo()}}],
            "ignored": []})
        .to_string(),
        (_, target) if target.contains("/tickets/") => {
            json!({"id": "t-1", "state": "completed", "message": canaries.echo(), "response": {"location": "/results/8"}})
                .to_string()
        }
        (_, target) if target.contains("view=schema") => {
            json!({"targetList": {"id": {"type": "email"}, "name": {"type": "String"}}, "says": canaries.one(9)}).to_string()
        }
        _ => json!({"status": canaries.one(2)}).to_string(),
    };
    (200, text)
}

/// The response to one of the requests.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// A refusal with every secret in every encoding.
    Refuses(u16),
    /// A temporary fault with them, once.
    Fails(u16),
    /// A success that cannot be read.
    Babbles,
    /// A redirect to them.
    Redirects,
}

impl Attack {
    fn bytes(self, canaries: &Canaries, seen: &Seen) -> Vec<u8> {
        let heard: Vec<String> = seen.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let echo = format!("{}\n{} {}\n{}", heard.join("\n"), seen.method, seen.target, canaries.echo());
        let quoted = json!({"status": "error", "error": echo, "message": echo}).to_string();
        match self {
            Attack::Refuses(status) => answer(status, &[("x-echo", PASS)], echo),
            Attack::Fails(status) => answer(status, &[], quoted),
            Attack::Babbles => answer(200, &[], echo),
            Attack::Redirects => {
                answer(307, &[("location", &format!("https://{USER}:{FETCH}@evil.example/?k={PASS}"))], quoted)
            }
        }
    }
}

fn write_job(dir: &Path, case: &Case, base: &str) {
    std::fs::write(dir.join("list.csv"), "id,name\n+4917,Ann\n007,\"Bob, B\"\n").unwrap();
    let destination = case.destination.replace("{ value: x }", "{ env: USER }");
    let yaml = format!(
        "source: {{ {} }}\nmap: {{ {} }}\ndestination: {{ {destination}, base_url: \"{base}\" }}\n\
         upload: {{ attempts: 2, give_up_after: 20s, part_wait: 2s }}\nwait: 2s\nrejects: {{ file: out/rejects.csv }}\n",
        case.source.replace("BASE", &format!("\"{base}\"")),
        case.map
    );
    std::fs::write(dir.join("job.yaml"), yaml).unwrap();
}

async fn listferry(dir: &Path, base: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_listferry"));
    command.args(arguments).current_dir(dir).env_clear().stdin(Stdio::null());
    command.env("LISTFERRY_STATE_DIR", dir.join("state")).env("USER", USER).env("PASS", PASS).env("PROXY", PROXY);
    command.env("PUT_URL", format!("{base}/store/l.csv?X-Amz-Signature={STORED}"));
    command.env("HTTPS_PROXY", format!("http://{USER}:{PROXY}@127.0.0.1:9"));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Runs the job, then every command that shows a run. Returns each finding with its place, and the exit code of the
/// run.
async fn findings(case: &Case, attack: Option<(usize, Attack)>) -> (i32, usize, Vec<String>) {
    let canaries = Canaries::of(case.secrets);
    let (knows, good) = (canaries.clone(), case.good);
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let vendor = Vendor::start(move |seen, _| {
        let at = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        hear(seen, &knows);
        match attack {
            Some((nth, attack)) if nth == at => attack.bytes(&knows, seen),
            _ => {
                let (status, text) = good(seen, &knows);
                answer(status, &[], text)
            }
        }
    })
    .await;
    let (dir, base) = (tempfile::tempdir().unwrap(), vendor.url());
    write_job(dir.path(), case, &base);
    let found = std::sync::Mutex::new(Vec::new());
    let look = |name: &str, output: &Output| {
        let mut found = found.lock().unwrap();
        for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            found.extend(canaries.found(&format!("{name}, {stream}"), bytes));
            let obeyed = obeyed(bytes);
            if !obeyed.is_empty() {
                found.push(format!("{name}, {stream}: {obeyed:?}"));
            }
        }
        let copy = dir.path().join("out");
        if copy.exists() {
            found.extend(canaries.found_under(&copy));
        }
    };
    let shown = async || {
        look("runs", &listferry(dir.path(), &base, &["runs", "--output", "json"]).await);
        look("runs last", &listferry(dir.path(), &base, &["runs", "last"]).await);
        look("rejects", &listferry(dir.path(), &base, &["rejects", "last"]).await);
    };
    let first = listferry(dir.path(), &base, &["run", "job.yaml", "-vv", "--output", "json"]).await;
    look("run", &first);
    shown().await;
    let report: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap_or_default();
    // an open run keeps what it needs to be resumed, readable only by its owner
    let is_open = report["open"] == true || matches!(first.status.code(), Some(20..=22));
    if !is_open {
        found.lock().unwrap().extend(canaries.found_under(&dir.path().join("state")));
        canaries.forget_drawn();
    }
    // again, as text: continues the first attempt
    look("run again", &listferry(dir.path(), &base, &["run", "job.yaml", "-vvv", "--log-format", "json"]).await);
    shown().await;
    let found = found.into_inner().unwrap();
    let calls = calls.load(std::sync::atomic::Ordering::SeqCst);
    (first.status.code().unwrap_or(-1), calls, found)
}

async fn nothing_is_found(name: &str) {
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let (code, calls, found) = findings(case, None).await;
    assert!(found.is_empty(), "{name}, exit {code}:\n{}", found.join("\n"));
    assert_eq!(code, case.ends, "{name}, after {calls} calls");
    let attacks = [Attack::Refuses(400), Attack::Refuses(403), Attack::Fails(503), Attack::Babbles, Attack::Redirects];
    let mut all = (0..calls.min(5)).flat_map(|nth| attacks.map(|attack| (nth, attack)));
    // most of the time is spent waiting, so four at once
    let mut running = tokio::task::JoinSet::new();
    loop {
        while running.len() < 4
            && let Some((nth, attack)) = all.next()
        {
            running.spawn(async move { (nth, attack, findings(case, Some((nth, attack))).await) });
        }
        let Some(done) = running.join_next().await else { break };
        let (nth, attack, (code, _, found)) = done.unwrap();
        assert!(found.is_empty(), "{name}, {attack:?} of call {nth}, exit {code}:\n{}", found.join("\n"));
    }
}

#[tokio::test]
async fn no_canary_of_a_clevertap_job_is_found() {
    nothing_is_found("clevertap").await;
}

#[tokio::test]
async fn no_canary_of_a_localytics_job_is_found() {
    nothing_is_found("localytics-profiles").await;
}

#[tokio::test]
async fn no_canary_of_a_mediarithmics_job_is_found() {
    nothing_is_found("mediarithmics").await;
}

#[tokio::test]
async fn no_canary_of_a_yesmail_job_with_a_presigned_url_is_found() {
    nothing_is_found("yesmail, put").await;
}

#[tokio::test]
async fn no_canary_of_a_yesmail_job_that_serves_is_found() {
    nothing_is_found("yesmail, serve").await;
}

#[tokio::test]
async fn no_canary_of_an_apsis_source_is_found() {
    nothing_is_found("apsis").await;
}

/// Greets, accepts a user and refuses the password with the given words.
async fn ftp_server(words: String) -> std::net::SocketAddr {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let words = words.clone();
            tokio::spawn(async move {
                let mut control = BufReader::new(stream);
                control.write_all(b"220 ready\r\n").await?;
                loop {
                    let mut line = String::new();
                    if control.read_line(&mut line).await? == 0 {
                        return Ok::<_, std::io::Error>(());
                    }
                    let reply = match line.split_whitespace().next() {
                        Some("USER") => "331 password please".to_owned(),
                        Some("PASS") => format!("530 {words}"),
                        _ => format!("502 {words}"),
                    };
                    control.write_all(format!("{reply}\r\n").as_bytes()).await?;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_password_that_an_ftp_server_says_is_not_found() {
    for n in 0..12 {
        let canaries = Canaries::of(&[USER, if n % 2 == 0 { PASS } else { FETCH }]);
        let words = canaries.one(n * 5).replace(['\r', '\n', '\t'], " ");
        let server = ftp_server(words.clone()).await;
        let dir = tempfile::tempdir().unwrap();
        // before, Yesmail itself is asked for a ping and the list's columns
        let vendor = Vendor::start(|_, _| answer(200, &[], "{}")).await;
        write_job(dir.path(), &CASES[3], &vendor.url());
        let job = std::fs::read_to_string(dir.path().join("job.yaml")).unwrap();
        let (before, rest) = job.split_once("host: {").unwrap();
        let (_, after) = rest.split_once("} }").unwrap();
        let password = if n % 2 == 0 { "password: { env: PASS }" } else { "password: { env: FETCH }" };
        let host = format!("host: {{ ftp: {{ url: \"ftp://{USER}@{server}/dir/list.csv\", {password} }} }}");
        let job = format!("{before}{host}{after}");
        std::fs::write(dir.path().join("job.yaml"), job.replace("env: FETCH", "file: key")).unwrap();
        std::fs::write(dir.path().join("key"), format!("{FETCH}\n")).unwrap();
        let output = listferry(dir.path(), "", &["run", "job.yaml", "-vv"]).await;
        assert_eq!(output.status.code(), Some(30), "{}", String::from_utf8_lossy(&output.stderr));
        let shown = [output.stdout, output.stderr].concat();
        let mut found = canaries.found("run", &shown);
        found.extend(canaries.found_under(&dir.path().join("state")));
        found.extend(obeyed(&shown).iter().map(|c| format!("{c:?}")));
        assert!(found.is_empty(), "{words}:\n{}", found.join("\n"));
        assert!(String::from_utf8_lossy(&shown).contains("wrong ***"), "the rest of its words stays");
    }
}

#[tokio::test]
async fn no_canary_is_found_in_an_export_or_a_list_of_lists() {
    let apsis = &CASES[5];
    let lists = Case {
        name: "lists",
        source: LIST,
        map: "customer_id: id",
        destination: "platform: localytics-audience, app_id: a-1, audience_name: VIP, api_key: { env: USER }, \
                      api_secret: { env: PASS }",
        secrets: &[USER, PASS],
        ends: 0,
        good: |_, canaries| {
            let list = json!({"id": 7, "name": canaries.echo(), "record_count": canaries.one(5)});
            (200, json!([list]).to_string())
        },
    };
    let export: &[&str] = &["export", "job.yaml", "-vv", "-o", "export.csv"];
    for (case, commands) in [
        (apsis, &[export][..]),
        (
            &lists,
            &[&["lists", "job.yaml", "list"][..], &["lists", "job.yaml", "list", "--output", "json", "-vv"][..]][..],
        ),
    ] {
        for attack in [None, Some(Attack::Refuses(403)), Some(Attack::Refuses(400)), Some(Attack::Fails(503))] {
            for nth in 0..3 {
                let canaries = Canaries::of(case.secrets);
                let (knows, good) = (canaries.clone(), case.good);
                let at = std::sync::atomic::AtomicUsize::new(0);
                let vendor = Vendor::start(move |seen, _| {
                    match attack.filter(|_| at.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == nth) {
                        Some(attack) => attack.bytes(&knows, seen),
                        None => {
                            let (status, text) = good(seen, &knows);
                            answer(status, &[], text)
                        }
                    }
                })
                .await;
                let dir = tempfile::tempdir().unwrap();
                write_job(dir.path(), case, &vendor.url());
                for arguments in commands {
                    let output = listferry(dir.path(), &vendor.url(), arguments).await;
                    let shown = [output.stdout, output.stderr].concat();
                    let mut found = canaries.found("output", &shown);
                    found.extend(obeyed(&shown).iter().map(|c| format!("{c:?}")));
                    assert!(found.is_empty(), "{} {attack:?} {nth}:\n{}", case.name, found.join("\n"));
                }
            }
        }
    }
}

#[tokio::test]
async fn names_that_a_terminal_obeys_are_escaped_everywhere() {
    let vendor = Vendor::start(|seen, _| {
        let (status, text) = (CASES[0].good)(seen, &Canaries::of(&["plain-words-1"]));
        answer(status, &[], text)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (evil, column) = ("li\u{202e}st\u{1b}[31m\u{9b}", "na\u{2066}me\u{7f}");
    let list = dir.path().join(format!("{evil}.csv"));
    std::fs::write(&list, format!("id,{column}\n,Ann\n007,\"Bob\n")).unwrap();
    let job = |source: &str, map: &str| {
        format!(
            "name: job\u{202e}name\nsource: {{ path: \"{source}\" }}\nmap: {{ {map} }}\nrejects: {{ max: 5 }}\n\
             destination: {{ platform: clevertap, account_id: {{ env: USER }}, passcode: {{ env: PASS }}, \
             segment: \"V\u{202e}IP\", creator: Jane, email: jane@example.com, base_url: \"{}\" }}\n",
            vendor.url()
        )
    };
    let path = evil.replace('\u{1b}', "\\e").replace('\u{9b}', "\\x9b");
    let whole = format!("{path}.csv");
    std::fs::write(dir.path().join("open.yaml"), job(&whole, "identity: id")).unwrap();
    std::fs::write(dir.path().join("column.yaml"), job(&whole, "identity: \"no\u{202e}ne\"")).unwrap();
    std::fs::write(dir.path().join("gone.yaml"), job(&format!("x{whole}"), "identity: id")).unwrap();
    std::fs::write(dir.path().join("key.yaml"), format!("\"ke\u{202e}y\": 1\n{}", job(&whole, "identity: id")))
        .unwrap();
    std::fs::write(dir.path().join("good.csv"), format!("id,{column}\n,Ann\n007,Bob\n")).unwrap();
    std::fs::write(dir.path().join("good.yaml"), job("good.csv", "identity: id")).unwrap();
    let mut named = 0;
    for file in ["open.yaml", "column.yaml", "gone.yaml", "key.yaml", "good.yaml", "mis\u{202e}sing.yaml"] {
        for command in ["check", "preview", "run"] {
            for output in ["text", "json"] {
                let arguments = [command, file, "-vv", "--output", output];
                let came = listferry(dir.path(), &vendor.url(), &arguments).await;
                let shown = [came.stdout.clone(), came.stderr].concat();
                assert!(obeyed(&shown).is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&shown));
                let text = String::from_utf8_lossy(&shown);
                named += usize::from(text.contains("\\u{202e}") || text.contains("\\u202e"));
                if output == "json" && !came.stdout.is_empty() {
                    serde_json::from_slice::<serde_json::Value>(&came.stdout).unwrap();
                }
            }
        }
    }
    assert!(named >= 18, "the names are shown, escaped: {named}");
    for arguments in
        [&["runs"][..], &["runs", "last"], &["runs", "--output", "json"], &["runs", "last", "--output", "json"]]
    {
        let came = listferry(dir.path(), &vendor.url(), arguments).await;
        assert!(obeyed(&[came.stdout, came.stderr].concat()).is_empty(), "{arguments:?}");
    }
}
