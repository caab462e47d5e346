//! APSIS One exports against a scripted platform.

use crate::kill::{ends, listferry};
use crate::vendor::{Seen, Vendor, answer, endless};
use flate2::Compression;
use flate2::write::GzEncoder;
use listferry::calls::{BoxFuture, Clock, JobSeed, Journal as _, MemoryJournal, Policy, Remote};
use listferry::origin::apsis::{Apsis, ApsisOptions, Fetched, Format, Report};
use listferry::transport::{Client, NetworkOptions, Proxy, Timers};
use listferry::{Kind, Result, Secret};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CSV: &[u8] = b"export_key,email\n1,ann@example.test\n2,\"b,o@example.test\"\n";

fn client() -> Client {
    let mut network = NetworkOptions::default();
    network.proxy = Proxy::None;
    Client::new(&network, &Timers::default()).unwrap()
}

fn options(base: &str) -> ApsisOptions {
    let request = json!({"attributes": [{"field_name": "email"}]});
    let mut options = ApsisOptions::new(Report::Duplicates, Secret::new("the-id"), Secret::new("the-secret"), request);
    options.base_url = base.to_owned();
    options
}

/// A clock whose waits take no time.
#[derive(Default)]
struct FastClock(std::sync::Mutex<Duration>);

impl Clock for FastClock {
    fn wall(&self) -> SystemTime {
        SystemTime::now() + self.elapsed()
    }
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        *self.0.lock().unwrap() += time;
        Box::pin(std::future::ready(()))
    }
}

/// The means with which a job gives an export access to the network.
struct Way {
    seed: JobSeed,
    journal: MemoryJournal,
    client: Client,
    clock: FastClock,
    policy: Policy,
}

impl Way {
    fn new(attempts: u32) -> Way {
        let seed = JobSeed { run_id: "1".to_owned(), random: "7".repeat(32), date: "2026-11-30".to_owned() };
        let mut policy = Policy::default();
        policy.attempts = attempts;
        Way { seed, journal: MemoryJournal::default(), client: client(), clock: FastClock::default(), policy }
    }

    fn remote(&self) -> Remote<'_> {
        Remote::new(&self.seed, &self.journal, &self.client, self.policy.clone()).with_clock(&self.clock)
    }
}

fn gzip(members: &[&[u8]]) -> Vec<u8> {
    let member = |text: &&[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    members.iter().flat_map(member).collect()
}

/// A platform whose token and report are the vendor's samples; the rest follows the script.
async fn platform(download: impl Fn(&Seen, usize) -> Vec<u8> + Send + Sync + 'static) -> Vendor {
    Vendor::start(move |seen, n| match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/oauth/token") => {
            let token = json!({"access_token": format!("token-{n}"), "expires_in": 86400, "token_type": "Bearer"});
            answer(200, &[], token.to_string())
        }
        ("POST", _) => answer(
            201,
            &[],
            json!({"file_download_url": "https://api.apsis.one/v1/poll/7", "file_download_url_v2": "/v2/poll/7?x=y"})
                .to_string(),
        ),
        _ => download(seen, n),
    })
    .await
}

async fn export(vendor: &Vendor, target: &Path, change: impl FnOnce(&mut ApsisOptions)) -> Result<Fetched> {
    export_trying(3, vendor, target, change).await
}

async fn export_trying(
    attempts: u32,
    vendor: &Vendor,
    target: &Path,
    change: impl FnOnce(&mut ApsisOptions),
) -> Result<Fetched> {
    let mut options = options(&vendor.url());
    change(&mut options);
    Apsis::new(options).export(&Way::new(attempts).remote(), target).await
}

#[tokio::test]
async fn an_export_is_polled_until_it_streams_and_lands_decoded() {
    let vendor = platform(|seen, n| match (seen.target.as_str(), n) {
        (_, 0) => answer(404, &[], "{\"detail\":\"in progress\"}"),
        (_, 1) => answer(202, &[], ""),
        _ => {
            answer(200, &[("Content-Encoding", "gzip"), ("Content-Type", "text/csv")], gzip(&[&CSV[..20], &CSV[20..]]))
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    let fetched = export(&vendor, &target, |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), CSV);
    assert_eq!((fetched.bytes, fetched.gzip), (CSV.len() as u64, true));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");

    let token = &vendor.of("POST", "/oauth/token")[0];
    let want = json!({"grant_type": "client_credentials", "client_id": "the-id", "client_secret": "the-secret"});
    assert_eq!(token.json(), want);
    assert_eq!(vendor.of("POST", "/oauth/token").len(), 1, "the token is kept");
    let report = &vendor.of("POST", "/audience/profiles/reports/duplicates")[0];
    assert_eq!(report.json(), json!({"attributes": [{"field_name": "email"}]}));
    assert_eq!(report.header("authorization"), Some("Bearer token-0"));
    let polls = vendor.of("GET", "/");
    let targets: Vec<&str> = polls.iter().map(|poll| poll.target.as_str()).collect();
    // the second version first, both in turn if it does not know the export, and only the second from then on; the
    // platform's own address is mapped to the configured one
    let second = "/v2/poll/7?x=y";
    assert_eq!(targets, [second, "/v1/poll/7", second, second]);
    for poll in &polls {
        assert_eq!(poll.header("accept"), Some("text/csv;charset=UTF-8;header=present"));
        assert_eq!(poll.header("accept-encoding"), Some("gzip"));
        assert_eq!(poll.header("authorization"), Some("Bearer token-0"));
    }
}

#[tokio::test]
async fn reports_and_formats_have_their_own_requests() {
    for (report, path) in [(Report::Segments, "segments"), (Report::Consents, "consents")] {
        let vendor = platform(|_, _| answer(200, &[], b"PK\x03\x04")).await;
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.xlsx");
        let change = |options: &mut ApsisOptions| {
            options.report = report;
            options.format = Format::Xlsx;
            options.gzip = false;
        };
        export(&vendor, &target, change).await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"PK\x03\x04");
        assert_eq!(vendor.of("POST", &format!("/audience/profiles/reports/{path}")).len(), 1);
        let poll = &vendor.of("GET", "/")[0];
        assert_eq!(poll.header("accept"), Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"));
        assert_eq!(poll.header("accept-encoding"), None);
    }
}

#[tokio::test]
async fn j12_a_lost_export_is_refused_and_one_that_never_comes_is_pending() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    std::fs::write(&target, "old").unwrap();
    let vendor = platform(|_, n| if n == 0 { answer(404, &[], "") } else { answer(410, &[], "") }).await;
    let error = export(&vendor, &target, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    let vendor = platform(|_, _| answer(404, &[], "")).await;
    let error = export(&vendor, &target, |options| options.wait = Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Pending, "{error}");
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn j13_a_token_is_renewed_once() {
    let vendor = platform(|seen, _| match seen.header("authorization") {
        Some("Bearer token-0") => answer(401, &[], ""),
        _ => answer(200, &[], CSV),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    export(&vendor, &target, |_| {}).await.unwrap();
    assert_eq!(vendor.of("POST", "/oauth/token").len(), 2);

    let vendor = platform(|_, _| answer(401, &[], "")).await;
    let error = export(&vendor, &target, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Credentials, "{error}");
    assert_eq!(vendor.of("POST", "/oauth/token").len(), 2, "no tight loop");
    assert_eq!(std::fs::read(&target).unwrap(), CSV);
}

#[tokio::test]
async fn refusals_say_what_to_do_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    for (path, status, kind) in [
        ("/oauth/token", 401, Kind::Credentials),
        ("/oauth/token", 404, Kind::Refused),
        ("/audience/profiles/reports/duplicates", 400, Kind::Refused),
        ("/audience/profiles/reports/duplicates", 401, Kind::Credentials),
        ("/audience/profiles/reports/duplicates", 403, Kind::Credentials),
        ("/audience/profiles/reports/duplicates", 413, Kind::Refused),
        ("/audience/profiles/reports/duplicates", 302, Kind::Refused),
    ] {
        let vendor = Vendor::start(move |seen, _| match seen.target.as_str() {
            target if target == path => {
                answer(status, &[("Location", "http://127.0.0.1:1/")], "no: the-secret token-0 \u{1b}[2J")
            }
            "/oauth/token" => answer(200, &[], "{\"access_token\":\"token-0\"}"),
            _ => answer(500, &[], ""),
        })
        .await;
        let error = export(&vendor, &target, |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{path} {status}: {error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("the-secret") && !text.contains('\u{1b}'), "{text}");
    }
    assert!(!target.exists());
}

#[tokio::test]
async fn passing_faults_are_tried_again_within_the_attempts() {
    let vendor = platform(|_, n| match n {
        0 => answer(503, &[("Retry-After", "0")], "later"),
        _ => answer(200, &[], CSV),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    export(&vendor, &target, |_| {}).await.unwrap();
    let vendor = platform(|_, _| answer(500, &[], "")).await;
    let error = export(&vendor, &target, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Transient, "{error}");
    assert_eq!(vendor.of("GET", "/").len(), 3);
}

#[tokio::test]
async fn j18_a_cut_export_is_fetched_again_or_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    std::fs::write(&target, "old").unwrap();
    let whole = answer(200, &[("Content-Encoding", "gzip")], gzip(&[CSV, CSV]));
    let head = whole.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    for cut in [head, head + 1, head + 30, whole.len() - 9, whole.len() - 1] {
        let once = whole.clone();
        let vendor = platform(move |_, _| once[..cut].to_vec()).await;
        let error = export_trying(2, &vendor, &target, |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Transient, "cut at {cut}: {error}");
        assert_eq!(error.hint(), Some("given up after 2 attempts; run it again"), "{error}");
        let names_it = error.message().contains("/poll/7: ") || error.message().contains("the export");
        assert!(names_it && !error.message().contains("x=y"), "{error}");
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
    let once = whole.clone();
    let vendor = platform(move |seen, n| match (seen.target.starts_with("/v2"), n) {
        (true, 0) => once[..once.len() - 4].to_vec(),
        _ => once.clone(),
    })
    .await;
    export(&vendor, &target, |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), [CSV, CSV].concat());
}

#[tokio::test]
async fn j18_only_what_proves_its_end_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    let vendor = platform(|_, _| endless(&[], CSV)).await;
    let error = export(&vendor, &target, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Transient, "{error}");
    let vendor = platform(|_, _| answer(200, &[("Content-Type", "text/html")], "<html>log in</html>")).await;
    assert_eq!(export(&vendor, &target, |_| {}).await.unwrap_err().kind(), Kind::Transient);
    assert!(!target.exists());
    // a gzip trailer verifies the end of a transfer that does not mark its end
    let vendor = platform(|_, _| endless(&[("Content-Encoding", "gzip")], gzip(&[CSV]))).await;
    export(&vendor, &target, |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), CSV);
}

#[tokio::test]
async fn x05_a_download_url_on_another_host_gets_no_token() {
    let other = Vendor::start(|_, _| answer(200, &[], CSV)).await;
    let url = format!("{}/file", other.url());
    let vendor = Vendor::start(move |seen, _| match seen.target.as_str() {
        "/oauth/token" => answer(200, &[], "{\"access_token\":\"token-0\"}"),
        _ => answer(200, &[], json!({ "file_download_url": url }).to_string()),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    export(&vendor, &dir.path().join("out.csv"), |_| {}).await.unwrap();
    assert_eq!(other.of("GET", "/file").len(), 1);
    assert_eq!(other.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn another_host_gets_the_token_only_if_the_job_trusts_it() {
    let other = Vendor::start(|seen, _| match seen.header("authorization") {
        Some("Bearer token-0") => answer(200, &[], CSV),
        _ => answer(401, &[], "who are you"),
    })
    .await;
    let (origin, url) = (other.url(), format!("{}/file", other.url()));
    let vendor = Vendor::start(move |seen, _| match seen.target.as_str() {
        "/oauth/token" => answer(200, &[], "{\"access_token\":\"token-0\"}"),
        _ => answer(200, &[], json!({ "file_download_url": url }).to_string()),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    let error = export(&vendor, &target, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Credentials);
    assert!(error.message().contains("received no token") && error.hint().unwrap().contains(&origin), "{error:?}");
    export(&vendor, &target, |options| options.trusted_origin = Some(origin)).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), CSV);
}

#[tokio::test]
async fn a_request_given_as_json_is_sent_byte_for_byte() {
    const REQUEST: &str = "{\"id\": 12345678901234567890123, \"ratio\":1.10,  \"e\": \"\\u00e9\"}";
    let vendor = platform(|_, _| answer(200, &[], CSV)).await;
    let dir = tempfile::tempdir().unwrap();
    let yaml = format!(
        "source:\n  apsis:\n    report: duplicates\n    base_url: \"{}\"\n    client_id: {{ env: KEY }}\n    client_secret: {{ \
         env: KEY }}\n    request: '{REQUEST}'\n",
        vendor.url()
    );
    std::fs::write(dir.path().join("job.yaml"), yaml).unwrap();
    let (code, output) = ends(listferry(dir.path(), &vendor.url(), &["export", "job.yaml", "-o", "out.csv"])).await;
    assert_eq!(code, 0, "{output}");
    let sent = vendor.of("POST", "/audience/profiles/reports/duplicates")[0].body.clone();
    assert_eq!(String::from_utf8(sent).unwrap(), REQUEST);
}

#[tokio::test]
async fn an_export_that_was_not_ready_is_waited_for_by_the_next_export() {
    let vendor = Vendor::start(|seen, n| match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/oauth/token") => answer(200, &[], "{\"access_token\":\"token-0\"}"),
        ("POST", _) => answer(201, &[], format!("{{\"file_download_url_v2\": \"/poll/{n}?sig=se-cret-5167\"}}")),
        ("GET", "/poll/0?sig=se-cret-5167") if n < 2 => answer(404, &[], ""),
        _ => answer(200, &[], CSV),
    })
    .await;
    let (dir, base) = (tempfile::tempdir().unwrap(), vendor.url());
    let job = format!(
        "source: {{ apsis: {{ report: segments, base_url: \"{base}\", client_id: {{ env: KEY }}, client_secret: {{ env: \
         KEY }}, wait: 0s, request: {{}} }} }}\n"
    );
    std::fs::write(dir.path().join("job.yaml"), job).unwrap();
    for (code, reports) in [(22, 1), (22, 1), (0, 1), (0, 2)] {
        let (got, output) = ends(listferry(dir.path(), &base, &["export", "job.yaml", "-o", "out.csv"])).await;
        assert_eq!((got, vendor.of("POST", "/audience").len()), (code, reports), "{output}");
        assert!(!output.contains("se-cret-5167"), "{output}");
    }
    assert_eq!(std::fs::read(dir.path().join("out.csv")).unwrap(), CSV);
    let left = std::fs::read_dir(dir.path().join("state")).into_iter().flatten();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).filter(|name| name != "state.db").collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("export-")), "{left:?}");
}

#[tokio::test]
async fn an_export_is_spooled_privately_and_within_its_bound() {
    let vendor = platform(|_, _| answer(200, &[("Content-Encoding", "gzip")], gzip(&[CSV]))).await;
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let apsis = Apsis::new(options(&vendor.url()));
    let (path, _) = apsis.spool(&Way::new(3).remote(), &spool, CSV.len() as u64).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), CSV);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    std::fs::remove_file(path).unwrap();
    let error = apsis.spool(&Way::new(3).remote(), &spool, CSV.len() as u64 - 1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Data, "{error}");
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0);
}

/// A vendor whose second URL answers by the script, and whose first answers 410 unless `first` is given.
async fn two_urls(second: fn(usize) -> Vec<u8>, first: Option<fn(usize) -> Vec<u8>>) -> Vendor {
    platform(move |seen, n| match (seen.target.starts_with("/v2/"), first) {
        (true, _) => second(n),
        (false, Some(first)) => first(n),
        (false, None) => answer(410, &[], ""),
    })
    .await
}

#[tokio::test]
async fn the_first_url_is_asked_only_if_the_second_gives_undocumented_answers() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.csv");
    let first_asked = |vendor: &Vendor| vendor.of("GET", "/v1/").len();
    // a 410 of the first one proves nothing, since it also answers so for unknown ids
    for status in [202, 500] {
        let second: fn(usize) -> Vec<u8> = match status {
            202 => |n| if n < 3 { answer(202, &[], "") } else { answer(200, &[], CSV) },
            _ => |n| if n < 1 { answer(500, &[], "") } else { answer(200, &[], CSV) },
        };
        let vendor = two_urls(second, None).await;
        export(&vendor, &target, |_| {}).await.unwrap();
        assert_eq!(first_asked(&vendor), 0, "{status}");
    }
    // during an outage of the second URL the first is polled, but its 410 does not count
    let vendor = two_urls(|n| if n < 2 { answer(500, &[], "") } else { answer(200, &[], CSV) }, None).await;
    export(&vendor, &target, |_| {}).await.unwrap();
    assert_eq!((first_asked(&vendor), vendor.of("GET", "/v2/").len()), (1, 3));
    for odd in [|_| answer(400, &[], ""), |_| answer(403, &[], ""), |_| answer(302, &[("Location", "/x")], "")] {
        let first: fn(usize) -> Vec<u8> = |n| if n < 1 { answer(404, &[], "") } else { answer(200, &[], CSV) };
        let vendor = two_urls(odd, Some(first)).await;
        export(&vendor, &target, |_| {}).await.unwrap();
        assert_eq!((first_asked(&vendor), vendor.of("GET", "/v2/").len()), (2, 1));
        // once both are exhausted there is an error
        let vendor = two_urls(odd, None).await;
        let error = export(&vendor, &target, |_| {}).await.unwrap_err();
        assert!(error.kind() == Kind::Refused && error.hint().is_some(), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_an_export_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    std::fs::write(&target, "old").unwrap();
    const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    let refused = |format, content_type: &'static str, body: &'static [u8], encoding: Option<&'static str>| {
        let target = target.clone();
        async move {
            let vendor = platform(move |_, _| {
                let mut headers = vec![("Content-Type", content_type)];
                headers.extend(encoding.map(|encoding| ("Content-Encoding", encoding)));
                answer(200, &headers, if encoding.is_some() { gzip(&[body]) } else { body.to_vec() })
            })
            .await;
            let change = |options: &mut ApsisOptions| options.format = format;
            let error = export_trying(2, &vendor, &target, change).await.unwrap_err();
            assert!(error.hint().is_some(), "{error}");
            assert_eq!(std::fs::read(&target).unwrap(), b"old");
            (error.kind(), vendor.of("GET", "/").len())
        }
    };
    assert_eq!(refused(Format::Csv, "text/csv", b"", None).await, (Kind::Transient, 2));
    assert_eq!(refused(Format::Csv, "text/csv", b"", Some("gzip")).await, (Kind::Transient, 2));
    assert_eq!(refused(Format::Xlsx, XLSX, b"", None).await, (Kind::Transient, 2));
    assert_eq!(refused(Format::Csv, XLSX, b"PK", None).await, (Kind::Refused, 1));
    assert_eq!(refused(Format::Xlsx, "text/csv;charset=UTF-8", CSV, None).await, (Kind::Refused, 1));
    for fine in ["Text/CSV; charset=utf-8; header=present", "application/csv", "application/octet-stream", "text/plain"]
    {
        let vendor = platform(move |_, _| answer(200, &[("Content-Type", fine)], CSV)).await;
        export(&vendor, &target, |_| {}).await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), CSV);
    }
}

#[tokio::test]
async fn an_export_that_was_asked_for_is_waited_for_again_as_long_as_it_lives() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (url, age_hours, reports) in [("/v2/earlier", 23, 0), ("/v2/earlier", 25, 1), ("/v2/gone", 1, 1)] {
        let vendor = platform(|seen, _| match seen.target.as_str() {
            "/v2/gone" => answer(410, &[], ""),
            _ => answer(200, &[], CSV),
        })
        .await;
        let earlier = json!({
            "file_download_url_v2": format!("{}{url}", vendor.url()), "file_download_url": null,
            "requested_s": now - age_hours * 3600,
        });
        let way = Way::new(3);
        way.journal.store("apsis", &earlier).unwrap();
        Apsis::new(options(&vendor.url())).spool(&way.remote(), dir.path(), 1000).await.unwrap();
        let asked = (vendor.of("POST", "/audience").len(), vendor.of("GET", "/v2/earlier").len());
        assert_eq!(asked, (reports, 1 - reports), "{url} {age_hours}");
        let kept = way.journal.load("apsis").unwrap().unwrap();
        let now =
            if reports == 1 { format!("{}/v2/poll/7?x=y", vendor.url()) } else { format!("{}{url}", vendor.url()) };
        assert_eq!(kept["file_download_url_v2"], now, "what is waited for is remembered");
    }
}

#[tokio::test]
async fn a_resumed_run_waits_for_the_same_export() {
    let vendor = Vendor::start(|seen, n| match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/oauth/token") => answer(200, &[], "{\"access_token\":\"token-0\"}"),
        ("POST", "/audience/profiles/reports/segments") => {
            answer(201, &[], format!("{{\"file_download_url_v2\": \"/poll/{n}?sig=se-cret-5167\"}}"))
        }
        ("POST", _) => answer(202, &[], "{\"id\": \"t-1\", \"state\": \"accepted\"}"),
        ("GET", "/poll/0?sig=se-cret-5167") if n < 2 => answer(404, &[], ""),
        ("GET", target) if target.starts_with("/poll/") => answer(200, &[], CSV),
        _ => answer(200, &[], "{\"id\": \"t-1\", \"state\": \"completed\"}"),
    })
    .await;
    let (dir, base) = (tempfile::tempdir().unwrap(), vendor.url());
    let job = format!(
        "source: {{ apsis: {{ report: segments, base_url: \"{base}\", client_id: {{ env: KEY }}, client_secret: {{ env: \
         KEY }}, request: {{}} }} }}\nmap: {{ id: email }}\ndestination: {{ platform: yesmail, base_url: \
         \"{base}\", list: m, api_user: {{ env: KEY }}, api_key: {{ env: KEY }}, host: {{ put: {{ url: {{ env: PUT_URL }}, \
         fetch_url: \"{base}/store/list.csv\" }} }} }}\n"
    );
    std::fs::write(dir.path().join("job.yaml"), job).unwrap();
    for (arguments, code) in [
        (&["run", "job.yaml", "--set", "source.apsis.wait=0s"][..], 22),
        (&["resume", "last"], 22),
        (&["run", "job.yaml"], 0),
    ] {
        let (got, output) = ends(listferry(dir.path(), &base, arguments)).await;
        assert_eq!(got, code, "{arguments:?}: {output}");
        assert!(!output.contains("se-cret-5167"), "{output}");
    }
    assert_eq!((vendor.of("POST", "/audience").len(), vendor.of("GET", "/poll/0").len()), (1, 3));
    assert_eq!(vendor.of("PUT", "/store/").len(), 1);
    // the URL is erased with the run
    for entry in std::fs::read_dir(dir.path().join("state")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(12).any(|twelve| twelve == b"se-cret-5167"));
    }
}
