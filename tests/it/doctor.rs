//! `listferry doctor`: every check with servers of its own, and nothing sent or created.

use super::cli::{Bed, CLEVERTAP};
use super::cli_runs::{Served, bed, run};
use super::transport_server::{Conn, Identity, Server};
use listferry::Kind;
use listferry::job::{Env, Finding, Health, Job};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A folder with a list, and the environment of a doctor.
struct Room {
    dir: tempfile::TempDir,
}

impl Room {
    fn new(list: &str) -> Room {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("list.csv"), list).unwrap();
        Room { dir }
    }

    /// Returns the findings for a job; `variables` are those of the environment.
    async fn examine(&self, text: &str, variables: &[(&'static str, &str)]) -> Vec<Finding> {
        let mut env = Env::default();
        env.state_dir = Some(self.dir.path().join("state"));
        let variables: Vec<(&'static str, String)> =
            variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        env.variables =
            Arc::new(move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()));
        Job::read(text, self.dir.path(), &[]).unwrap().doctor(&env).await
    }
}

const SECRETS: [(&str, &str); 2] = [("K", "key"), ("S", "hunter2")];

/// A job for Localytics audiences at an address that trusts a certificate.
fn audience(base_url: &str, ca_file: &Path, more: &str) -> String {
    format!(
        "name: vip\nsource: {{ path: list.csv }}\nmap: {{ customer_id: id }}\n\
         destination: {{ platform: localytics-audience, app_id: a1, audience_name: n, base_url: '{base_url}',\n\
         api_key: {{ env: K }}, api_secret: {{ env: S }} }}\nnetwork: {{ ca_file: '{}' }}\n\
         upload: {{ connect_timeout: 5s }}\n{more}\n",
        ca_file.display()
    )
}

/// Answers a HEAD with a time, and the list call with `lists`.
async fn localytics(mut conn: Conn, ahead: i64, lists: (&'static str, &'static str)) {
    let head = conn.read_head().await;
    let now = SystemTime::now();
    let time = match ahead >= 0 {
        true => now + Duration::from_secs(ahead.unsigned_abs()),
        false => now - Duration::from_secs(ahead.unsigned_abs()),
    };
    let (status, body) = lists;
    if head.starts_with("HEAD / ") {
        conn.write(&format!(
            "HTTP/1.1 404 Not Found\r\nDate: {}\r\nContent-Length: 0\r\n\r\n",
            httpdate::fmt_http_date(time)
        ))
        .await;
    } else if head.starts_with("GET /v1/imports/audiences/list/app/a1 ") {
        conn.answer(status, body).await;
    } else if !head.is_empty() {
        conn.answer("418 I'm a teapot", "").await;
    }
}

fn named<'f>(found: &'f [Finding], check: &str) -> &'f Finding {
    found.iter().find(|finding| finding.check.starts_with(check)).unwrap_or_else(|| panic!("{check}: {found:#?}"))
}

/// Returns the kind of the first failure.
fn first(found: &[Finding]) -> Option<Kind> {
    found.iter().find_map(|finding| finding.kind)
}

#[tokio::test]
async fn a_healthy_job_passes_every_check_in_order_and_nothing_is_created() {
    let identity = Identity::localhost();
    let server = Server::tls(&identity, |conn| localytics(conn, 2, ("200 OK", "[{\"id\": 1}]"))).await;
    let room = Room::new("id,x\n1,2\n");
    let found = room.examine(&audience(&server.tls_url(""), &identity.ca_file, ""), &SECRETS).await;
    let at = format!("localhost:{}", server.port);
    let checks: Vec<String> = found.iter().map(|finding| finding.check.clone()).collect();
    let mut want: Vec<String> =
        ["job file", "source", "columns", "secrets", "state directory", "free space"].map(str::to_owned).to_vec();
    want.extend(["proxy", "dns", "tcp", "tls", "clock"].map(|check| format!("{check} {at}")));
    want.push("credentials".to_owned());
    assert_eq!(checks, want);
    assert!(found.iter().all(|finding| finding.health == Health::Ok), "{found:#?}");
    assert!(named(&found, "source").message.ends_with("list.csv: 9 bytes, pinned"), "{found:#?}");
    assert_eq!(named(&found, "credentials").message, "accepted: app a1 has 1 audience list");
    assert!(!room.dir.path().join("state").exists(), "nothing is created");
    let heads = server.ledger.heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 2, "{heads:?}");
    assert!(heads[0].starts_with("HEAD / ") && !heads[0].to_lowercase().contains("authorization"), "{heads:?}");
    assert!(heads[1].starts_with("GET "), "only reads: {heads:?}");
}

#[tokio::test]
async fn refused_credentials_are_30_and_secrets_are_not_shown() {
    let identity = Identity::localhost();
    for (status, kind) in
        [("401 Unauthorized", Kind::Credentials), ("403 Forbidden", Kind::Credentials), ("503 Busy", Kind::Transient)]
    {
        let server = Server::tls(&identity, move |conn| localytics(conn, 0, (status, "no hunter2 here"))).await;
        let found = Room::new("id\n1\n").examine(&audience(&server.tls_url(""), &identity.ca_file, ""), &SECRETS).await;
        assert_eq!(first(&found), Some(kind), "{found:#?}");
        assert_eq!(named(&found, "credentials").health, Health::Fail);
        assert!(!format!("{found:?}").contains("hunter2"), "{found:#?}");
    }
}

#[tokio::test]
async fn the_first_failure_in_the_order_of_the_list_counts() {
    let identity = Identity::localhost();
    let server = Server::tls(&identity, |conn| localytics(conn, 0, ("401 Unauthorized", ""))).await;
    let job = audience(&server.tls_url(""), &identity.ca_file, "");
    // a column and a secret are missing: the host is still looked at
    let found = Room::new("user\n1\n").examine(&job, &[("K", "key")]).await;
    let failed: Vec<&str> =
        found.iter().filter(|finding| finding.health == Health::Fail).map(|finding| finding.check.as_str()).collect();
    assert_eq!(failed, ["columns", "secrets"], "{found:#?}");
    assert!(named(&found, "secrets").message.contains("S is not set"), "{found:#?}");
    assert_eq!(named(&found, "tls").health, Health::Ok);
    let skipped = named(&found, "credentials");
    assert!(skipped.health == Health::Warn && skipped.message.starts_with("not checked: "), "{skipped:?}");
    let room = Room::new("");
    std::fs::remove_file(room.dir.path().join("list.csv")).unwrap();
    let found = room.examine(&job, &SECRETS).await;
    assert_eq!(first(&found), Some(Kind::Local), "a missing source comes before the credentials: {found:#?}");
    assert_eq!(named(&found, "columns").health, Health::Warn);
    assert_eq!(named(&found, "credentials").kind, Some(Kind::Credentials));
    let found = Room::new("").examine(&job, &SECRETS).await;
    assert_eq!((first(&found), named(&found, "columns").health), (Some(Kind::Data), Health::Fail), "{found:#?}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_warns_and_then_fails() {
    let identity = Identity::localhost();
    for (ahead, health, words) in [
        (30, Health::Ok, "differs from the server's by "),
        (300, Health::Warn, "s slow ("),
        (-300, Health::Warn, "s fast ("),
        (3600, Health::Fail, "s slow ("),
        (-86_400, Health::Fail, "s fast ("),
    ] {
        let server = Server::tls(&identity, move |conn| localytics(conn, ahead, ("200 OK", "[]"))).await;
        let found = Room::new("id\n1\n").examine(&audience(&server.tls_url(""), &identity.ca_file, ""), &SECRETS).await;
        let clock = named(&found, "clock");
        assert_eq!(clock.health, health, "{ahead}: {clock:?}");
        assert!(clock.message.contains(words), "{ahead}: {clock:?}");
        assert_eq!(clock.kind, (health == Health::Fail).then_some(Kind::Usage));
    }
    let server = Server::tls(&identity, |mut conn| async move {
        if conn.read_head().await.starts_with("HEAD") {
            conn.answer("200 OK", "").await;
        } else {
            conn.answer("200 OK", "[]").await;
        }
    })
    .await;
    let found = Room::new("id\n1\n").examine(&audience(&server.tls_url(""), &identity.ca_file, ""), &SECRETS).await;
    assert!(named(&found, "clock").message.contains("no Date"), "{found:#?}");
}

#[tokio::test]
async fn a_certificate_that_is_not_acceptable_is_named() {
    let (mine, other) = (Identity::localhost(), Identity::localhost());
    let wrong = Identity::new(&["other.example"], |_| {});
    let old = Identity::new(&["localhost"], |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    for (identity, trusted, words) in [
        (&mine, &other.ca_file, "an authority that this machine does not trust"),
        (&wrong, &wrong.ca_file, "for another name"),
        (&old, &old.ca_file, "has expired"),
    ] {
        let server = Server::tls(identity, |conn| localytics(conn, 0, ("200 OK", "[]"))).await;
        let found = Room::new("id\n1\n").examine(&audience(&server.tls_url(""), trusted, ""), &SECRETS).await;
        let tls = named(&found, "tls");
        assert!(tls.kind == Some(Kind::Refused) && tls.message.contains(words) && tls.hint.is_some(), "{tls:?}");
        assert_eq!(named(&found, "credentials").message, "not checked: a host cannot be reached");
        assert_eq!(server.ledger.heads(), 0, "no request is made");
    }
    let plain = Server::plain(|mut conn| async move { conn.answer("400 Bad Request", "plain").await }).await;
    let found = Room::new("id\n1\n").examine(&audience(&plain.tls_url(""), &mine.ca_file, ""), &SECRETS).await;
    assert!(named(&found, "tls").message.contains("does not speak TLS"), "{found:#?}");
}

#[tokio::test]
async fn a_host_that_has_no_name_or_does_not_answer_is_named() {
    let identity = Identity::localhost();
    // a label of 64 characters cannot be asked for, so that no name server is
    let long = format!("https://{}.example", "a".repeat(64));
    let found = Room::new("id\n1\n").examine(&audience(&long, &identity.ca_file, ""), &SECRETS).await;
    let dns = named(&found, "dns");
    assert_eq!((dns.health, dns.kind), (Health::Fail, Some(Kind::Transient)), "{dns:?}");
    assert!(
        dns.message.contains("could not be resolved")
            && dns.hint.as_deref().is_some_and(|hint| hint.contains("spelling")),
        "{dns:?}"
    );
    assert!(!found.iter().any(|finding| finding.check.starts_with("tcp")), "{found:#?}");
    // a port that was free a moment ago
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = format!("https://localhost:{port}");
    let found = Room::new("id\n1\n").examine(&audience(&closed, &identity.ca_file, ""), &SECRETS).await;
    let tcp = named(&found, "tcp");
    assert!(tcp.kind == Some(Kind::Transient) && tcp.message.contains("connection refused"), "{tcp:?}");
    assert_eq!(named(&found, "dns").health, Health::Ok);
}

#[tokio::test]
async fn a_proxy_is_shown_tried_and_blamed() {
    let identity = Identity::new(&["api.example"], |_| {});
    let server = Server::tls(&identity, |conn| localytics(conn, 0, ("200 OK", "[]"))).await;
    let port = server.port;
    let proxy = Server::plain(move |mut conn| async move {
        if conn.read_head().await.starts_with("CONNECT api.example:443 ") {
            let mut to = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            conn.write("HTTP/1.1 200 OK\r\n\r\n").await;
            // either side may end it
            let _ = tokio::io::copy_bidirectional(&mut conn.io, &mut to).await;
        }
    })
    .await;
    let job = audience("https://api.example", &identity.ca_file, "");
    let at = format!("http://me:hunter3@127.0.0.1:{}", proxy.port);
    let variables = [SECRETS[0], SECRETS[1], ("HTTPS_PROXY", at.as_str())];
    let found = Room::new("id\n1\n").examine(&job, &variables).await;
    assert_eq!(first(&found), None, "{found:#?}");
    let message = &named(&found, "proxy api.example:443").message;
    assert_eq!(*message, format!("http://127.0.0.1:{}, named by HTTPS_PROXY", proxy.port));
    assert_eq!(named(&found, "tls").message, "the certificate of api.example is valid");
    assert!(!format!("{found:?}").contains("hunter3"), "{found:#?}");
    let refusing = Server::plain(|mut conn| async move {
        if conn.read_head().await.starts_with("CONNECT") {
            conn.answer("407 Proxy Authentication Required", "").await;
        }
    })
    .await;
    let at = refusing.url("");
    let found = Room::new("id\n1\n").examine(&job, &[SECRETS[0], SECRETS[1], ("HTTPS_PROXY", &at)]).await;
    let refused = found.iter().find(|finding| finding.health == Health::Fail).unwrap();
    assert_eq!((refused.check.as_str(), refused.kind), ("proxy api.example:443", Some(Kind::Refused)), "{found:#?}");
    assert!(refused.hint.as_deref().unwrap().contains("HTTPS_PROXY"), "{refused:?}");
    let found = Room::new("id\n1\n").examine(&job, &[SECRETS[0], SECRETS[1], ("HTTPS_PROXY", "socks5://x:1")]).await;
    assert_eq!(named(&found, "proxy").kind, Some(Kind::Usage), "{found:#?}");
}

#[tokio::test]
async fn each_platform_says_whether_credentials_can_be_tried() {
    let server = Server::plain(|mut conn| async move {
        match conn.read_head().await {
            head if head.starts_with("HEAD ") => conn.answer("200 OK", "").await,
            head if head.starts_with("GET /v2/company/ping ") => conn.answer("401 Unauthorized", "").await,
            head if head.starts_with("GET /v1/datamarts/1/document_imports/77/executions") => {
                conn.answer("200 OK", "{\"status\":\"ok\",\"data\":[]}").await;
            }
            head if head.is_empty() => {}
            _ => conn.answer("418 I'm a teapot", "").await,
        }
    })
    .await;
    let base = format!("base_url: '{}'", server.url(""));
    let (keys, put) =
        ("api_key: { env: K }, api_secret: { env: S }", "put: { url: { env: P }, fetch_url: 'https://x.example/z' }");
    let commands = "map: { operation: { value: UPDATE }, segment_id: { value: 4 }, user_account_id: id, expiration_duration: { value: 0 } }";
    let clevertap = "platform: clevertap, account_id: { env: K }, passcode: { env: S }, segment: s, creator: c, email: e@example.com";
    for (destination, map, health, words) in [
        (clevertap.to_owned(), "map: { identity: id }", Health::Warn, "none that only reads"),
        (
            format!("platform: localytics-profiles, org_id: 1, {keys}"),
            "map: { customer_id: id, changes: [{ op: delete, attr: a }] }",
            Health::Warn,
            "none for an organisation",
        ),
        (
            "platform: mediarithmics, datamart_id: 1, token: { env: K }, import_name: n".to_owned(),
            commands,
            Health::Warn,
            "document_import_id",
        ),
        (
            "platform: mediarithmics, datamart_id: 1, token: { env: K }, document_import_id: 77".to_owned(),
            commands,
            Health::Ok,
            "executions of the document import 77",
        ),
        (
            format!("platform: yesmail, list: l, api_user: {{ env: K }}, api_key: {{ env: S }}, host: {{ {put} }}"),
            "map: { id: id }",
            Health::Fail,
            "ping",
        ),
    ] {
        let text = format!("name: x\nsource: {{ path: list.csv }}\n{map}\ndestination: {{ {destination}, {base} }}");
        let put = server.url("/z?sig=hunter4");
        let found = Room::new("id\n1\n").examine(&text, &[SECRETS[0], SECRETS[1], ("P", &put)]).await;
        let credentials = named(&found, "credentials");
        assert!(credentials.health == health && credentials.message.contains(words), "{destination}: {found:#?}");
        assert!(!format!("{found:?}").contains("hunter"), "{found:#?}");
    }
    let heads = server.ledger.heads.lock().unwrap().clone();
    assert!(heads.iter().all(|head| head.starts_with("HEAD / ") || head.starts_with("GET ")), "{heads:?}");
}

#[test]
fn the_state_is_looked_at_and_left_alone() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id\n1\n");
    let doctor = |bed: &Bed, more: &[&str]| {
        let mut command = bed.command(&[&["doctor", "job.yaml", "--output", "json"], more].concat());
        let output = command.env("CT_ACCOUNT", "acc").env("CT_PASSCODE", "pass").output().unwrap();
        let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        for finding in &found {
            let keys: Vec<_> = finding.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["check", "status", "message", "hint"]);
        }
        (output.status.code().unwrap(), found)
    };
    let state = |found: &[Value]| {
        found.iter().find(|finding| finding["check"] == "state directory").unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (code, found) = doctor(&bed, &[]);
    assert!(code == 0 && state(&found).ends_with("will be created by the first run"), "{found:#?}");
    assert!(!bed.path("state").exists());
    let (code, found) = doctor(&bed, &["--set", "state.require=true"]);
    assert!(code == 3 && state(&found).contains("state.require"), "{found:#?}");
    assert_eq!(run(&bed, &["run", "job.yaml"]).0, 0);
    let before = served.received().len();
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(bed.path("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let there = names();
    let (code, found) = doctor(&bed, &[]);
    assert!(code == 0 && state(&found).ends_with("is writable, and this job is not running"), "{found:#?}");
    assert_eq!(names(), there, "nothing is created");
    assert!(served.received()[before..].iter().all(|entry| entry["method"] == "HEAD"), "{:?}", served.received());
    let lock = there.iter().find(|name| name.to_string_lossy().ends_with(".lock")).unwrap();
    let held = std::fs::File::open(bed.path("state").join(lock)).unwrap();
    held.lock().unwrap();
    let (code, found) = doctor(&bed, &[]);
    assert!(code == 3 && state(&found) == "this job is running already", "{found:#?}");
    drop(held);
    std::fs::write(bed.path("state/state.db"), "x").unwrap();
    let (code, found) = doctor(&bed, &[]);
    assert_eq!(code, 3, "{found:#?}");
    let (code, found) = doctor(&bed, &["--state-dir", "list.csv"]);
    assert!(code == 3 && state(&found).contains("is not a directory"), "{found:#?}");
}

#[test]
fn the_text_has_a_line_per_check_and_what_to_do() {
    let bed = Bed::new(&CLEVERTAP.replace("segment: VIP", "segmnt: VIP"), "id\n1\n");
    let output = bed.run(&["doctor", "job.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "fail  job file: job.yaml:3:1: destination.segment is required", "{text}");
    let unknown = "fail  job file: job.yaml:8:3: unknown key \"destination.segmnt\"";
    assert_eq!(lines[2..], [unknown, "      hint: did you mean \"segment\"?"], "{text}");
    // a job of the same name in another file
    let served = Served::new(&[]);
    let bed = super::cli_runs::bed(&served, "id\n1\n");
    let job = format!("name: vip\n{}", std::fs::read_to_string(bed.path("job.yaml")).unwrap());
    std::fs::write(bed.path("job.yaml"), &job).unwrap();
    assert_eq!(run(&bed, &["run", "job.yaml"]).0, 0);
    std::fs::write(bed.path("other.yaml"), job.replace("creator: etl", "creator: me")).unwrap();
    let output =
        bed.command(&["doctor", "other.yaml"]).env("CT_ACCOUNT", "acc").env("CT_PASSCODE", "pass").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("warn  state directory: the last run of this job was recorded for ")
            && text.contains("job.yaml, which differs\n"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(0), "{text}");
    let stream = bed
        .command(&["doctor", "job.yaml", "--set", "source.path=-"])
        .env("CT_ACCOUNT", "acc")
        .env("CT_PASSCODE", "pass")
        .output()
        .unwrap();
    let text = String::from_utf8(stream.stdout).unwrap();
    assert!(
        text.contains("warn  source: standard input: a stream, which is not read here\n")
            && text.contains("free space: "),
        "{text}"
    );
}
