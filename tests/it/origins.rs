//! The conformance suite of origins: a list gives the same body, positions and rejected records wherever it comes from,
//! and a list that is replaced never arrives half old and half new. Each origin is a case in [`CASES`].
//!
//! The oracle is the same list in a file, and the sandbox, which shares no code with the client.

use crate::vendor::{Seen, Vendor, answer};
use crate::web::{File, env, job, list};
use flate2::write::GzEncoder;
use listferry::Kind;
use listferry::job::{Report, Stage};
use listferry::sandbox::{Entry, Options, Sandbox};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A list that can be replaced while it is served; `None` if it does not exist.
type Content = Arc<Mutex<Option<Vec<u8>>>>;

/// A list where an origin finds it.
struct Served {
    /// `source` of the job file.
    source: String,
    /// Replaces the list; the caller has changed the content.
    replace: Box<dyn Fn() + Send + Sync>,
    /// The server, which ends with this value.
    _server: Option<Vendor>,
}

/// The inputs of the suite for one origin.
struct Case {
    name: &'static str,
    /// Serves a list; the folder is for files.
    serve: fn(Content, PathBuf) -> futures_util::future::BoxFuture<'static, Served>,
    /// Whether the list is read once, so that replacing it later changes nothing.
    is_copied: bool,
    /// Exit code if there is no list.
    missing: Option<u8>,
}

const CASES: [Case; 10] = [
    Case { name: "file", serve: file, is_copied: false, missing: Some(1) },
    Case { name: "glob", serve: glob, is_copied: false, missing: Some(1) },
    Case { name: "pipe", serve: pipe, is_copied: true, missing: None },
    Case { name: "http", serve: http, is_copied: false, missing: Some(1) },
    Case { name: "http without ranges", serve: http_once, is_copied: true, missing: Some(1) },
    Case { name: "s3", serve: s3, is_copied: false, missing: Some(1) },
    Case { name: "s3 glob", serve: s3_glob, is_copied: false, missing: Some(1) },
    Case { name: "gs", serve: gs, is_copied: false, missing: Some(1) },
    Case { name: "az", serve: az, is_copied: false, missing: Some(1) },
    Case { name: "apsis", serve: apsis, is_copied: true, missing: None },
];

fn file(content: Content, dir: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    Box::pin(async move { on_disk(content, dir.join("list.csv"), dir.join("list.csv")) })
}

fn glob(content: Content, dir: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    Box::pin(async move { on_disk(content, dir.join("list-1.csv"), dir.join("list-*")) })
}

fn on_disk(content: Content, path: PathBuf, pattern: PathBuf) -> Served {
    let replace = move || match &*content.lock().unwrap() {
        Some(bytes) => {
            // as an exporter does that writes beside and renames
            let beside = path.with_extension("new");
            std::fs::write(&beside, bytes).unwrap();
            std::fs::rename(&beside, &path).unwrap();
        }
        None => drop(std::fs::remove_file(&path)),
    };
    replace();
    Served { source: format!("path: \"{}\"", pattern.display()), replace: Box::new(replace), _server: None }
}

fn pipe(content: Content, dir: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    Box::pin(async move {
        let path = dir.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let to = path.clone();
        std::thread::spawn(move || {
            let bytes = content.lock().unwrap().clone().unwrap_or_default();
            // the reader may leave early
            let _ = std::fs::write(to, bytes);
        });
        Served { source: format!("path: \"{}\"", path.display()), replace: Box::new(|| {}), _server: None }
    })
}

async fn web(script: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Served {
    let server = Vendor::start(move |seen, _| script(seen)).await;
    Served { source: format!("path: \"{}/list.csv\"", server.url()), replace: Box::new(|| {}), _server: Some(server) }
}

/// Returns the version that is served now.
fn version(content: &Content) -> Option<File> {
    let bytes = content.lock().unwrap().clone()?;
    let tag = format!("\"{:016x}\"", crc_of(&bytes));
    Some(File::tagged(bytes, &tag))
}

fn crc_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn http(content: Content, _: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    Box::pin(web(move |seen| version(&content).map_or_else(|| answer(404, &[], ""), |file| file.answer(seen))))
}

fn http_once(content: Content, _: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    Box::pin(web(move |_| {
        version(&content).map_or_else(|| answer(404, &[], ""), |file| answer(200, &[], &*file.bytes))
    }))
}

/// Serves objects; `source` gets the address of the server.
async fn store(content: Content, source: impl FnOnce(&str) -> String) -> Served {
    let server = Vendor::start(move |seen, _| {
        let is_listing = seen.target.contains("list-type=2");
        match version(&content) {
            Some(file) if is_listing => answer(200, &[], crate::stores::listing(&[("lists/list-1.csv", &file)])),
            None if is_listing => answer(200, &[], crate::stores::listing(&[])),
            Some(file) => file.answer(seen),
            None => answer(404, &[], "<Error><Code>NoSuchKey</Code><Message>It is gone.</Message></Error>"),
        }
    })
    .await;
    Served { source: source(&server.url()), replace: Box::new(|| {}), _server: Some(server) }
}

fn s3_of(content: Content, path: &'static str) -> futures_util::future::BoxFuture<'static, Served> {
    Box::pin(store(content, move |url| {
        format!(
            "path: '{path}', store: {{ endpoint: '{url}', region: eu-west-1, access_key_id: AKID, \
             secret_access_key: {{ env: URL_SECRET }} }}"
        )
    }))
}

fn s3(content: Content, _: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    s3_of(content, "s3://bucket/lists/list-1.csv")
}

fn s3_glob(content: Content, _: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    s3_of(content, "s3://bucket/lists/*.csv")
}

fn gs(content: Content, _: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    let source = |url: &str| format!("path: 'gs://bucket/list.csv', store: {{ endpoint: '{url}', anonymous: true }}");
    Box::pin(store(content, source))
}

fn az(content: Content, _: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    Box::pin(store(content, |url| {
        format!(
            "path: 'az://container/list.csv', store: {{ endpoint: '{url}/account', account: account, \
             sas_token: 'sv=2022-11-02&sr=c&sp=r&sig=canary-password' }}"
        )
    }))
}

fn apsis(content: Content, _: PathBuf) -> futures_util::future::BoxFuture<'static, Served> {
    Box::pin(async move {
        let server = Vendor::start(move |seen, _| match (seen.method.as_str(), seen.target.as_str()) {
            ("POST", "/oauth/token") => answer(200, &[], "{\"access_token\":\"token-of-apsis\"}"),
            ("POST", _) => answer(200, &[], "{\"file_download_url_v2\":\"/poll\"}"),
            _ => answer(200, &[], content.lock().unwrap().clone().unwrap_or_default()),
        })
        .await;
        let source = format!(
            "apsis: {{ report: segments, client_id: {{ env: ID }}, client_secret: {{ env: URL_SECRET }}, request: {{}}, base_url: '{}' }}",
            server.url()
        );
        Served { source, replace: Box::new(|| {}), _server: Some(server) }
    })
}

/// The outcome of a run.
struct Run {
    report: Report,
    /// The bodies that the storage got.
    puts: Vec<Entry>,
    rejects: Option<Vec<u8>>,
}

/// When a list is replaced: at the beginning of a stage.
type Change = Option<(fn(&Stage) -> bool, Option<Vec<u8>>)>;

async fn run(case: &Case, bytes: Option<Vec<u8>>, change: Change, more: &[&str]) -> Run {
    let sandbox = Sandbox::start("127.0.0.1:0".parse().unwrap(), Options::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let content: Content = Arc::new(Mutex::new(bytes));
    let served = Arc::new((case.serve)(Arc::clone(&content), dir.path().to_owned()).await);
    let base = format!("destination.base_url={}", sandbox.url());
    let more: Vec<&str> = more.iter().copied().chain([base.as_str()]).collect();
    let job = job(&served.source, dir.path(), &more);
    let mut env = env(dir.path());
    if let Some((when, new)) = change {
        let (content, served) = (Arc::clone(&content), Arc::clone(&served));
        env.watch = Some(Arc::new(move |stage| {
            if when(&stage) {
                content.lock().unwrap().clone_from(&new);
                (served.replace)();
            }
        }));
    }
    let report = job.run(&env).await;
    assert_eq!(shown_secret(&report, dir.path()), None, "{}", case.name);
    let rejects = report.rejects_file.as_ref().map(|path| std::fs::read(path).unwrap());
    let puts = sandbox.ledger().into_iter().filter(|entry| entry.method == "PUT").collect();
    Run { report, puts, rejects }
}

/// Returns what contains a secret: the report, or a file of the state.
fn shown_secret(report: &Report, dir: &Path) -> Option<String> {
    let shown = format!("{:?} {}", report.error, serde_json::to_string(report).unwrap());
    let secrets = ["canary-password", "token-of-apsis"];
    if secrets.iter().any(|secret| shown.contains(secret)) {
        return Some(shown);
    }
    let mut folders = vec![dir.join("state")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                let found = |secret: &&str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                if secrets.iter().any(found) {
                    return Some(path.display().to_string());
                }
            }
        }
    }
    None
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn measuring(stage: &Stage) -> bool {
    matches!(stage, Stage::Measure { .. })
}

fn sending(stage: &Stage) -> bool {
    matches!(stage, Stage::Send { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_origin_sends_the_same_body() {
    let with_rejects = [list(3_000), b"\xff,1\nx\n".to_vec(), list(10).split_off(5)].concat();
    let packed = gzip(&list(30_000));
    let lists = [("long", list(60_000)), ("short", list(1)), ("rejects", with_rejects), ("gzip", packed)];
    for (what, bytes) in lists {
        let more = ["rejects.max=100"];
        let want = run(&CASES[0], Some(bytes.clone()), None, &more).await;
        assert_eq!(want.report.exit_code, 0, "{:?}", want.report.error);
        for case in &CASES[1..] {
            if case.name == "apsis" && what == "gzip" {
                continue; // an export is decoded by what its answer says
            }
            let got = run(case, Some(bytes.clone()), None, &more).await;
            assert_eq!(got.report.exit_code, 0, "{} {what}: {:?}", case.name, got.report.error);
            assert_eq!(got.report.digest, want.report.digest, "{} {what}", case.name);
            assert_eq!(got.report.records, want.report.records, "{} {what}", case.name);
            assert_eq!(got.report.bytes, want.report.bytes, "{} {what}", case.name);
            let sent = |run: &Run| run.puts.iter().map(|put| (put.digest.clone(), put.complete)).collect::<Vec<_>>();
            assert_eq!(sent(&got), sent(&want), "{} {what}", case.name);
            assert_eq!(without_file(got.rejects), without_file(want.rejects.clone()), "{} {what}", case.name);
        }
    }
}

/// Returns a reject file without the column `_file`.
fn without_file(rejects: Option<Vec<u8>>) -> Option<Vec<Vec<Vec<u8>>>> {
    let rejects = rejects?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&rejects[..]);
    let mut rows: Vec<Vec<Vec<u8>>> =
        reader.byte_records().map(|row| row.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
    let at = rows[0].iter().position(|name| name == b"_file").unwrap();
    rows.iter_mut().for_each(|row| drop(row.remove(at)));
    Some(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_replaced_is_never_sent_as_a_mixture() {
    let (old, new) = (list(60_000), list(60_001));
    let want = run(&CASES[0], Some(old.clone()), None, &[]).await;
    for case in &CASES {
        for (when, what) in [(measuring as fn(&Stage) -> bool, "measuring"), (sending, "sending")] {
            for (new, how) in [(Some(new.clone()), "replaced"), (None, "removed")] {
                let got = run(case, Some(old.clone()), Some((when, new)), &[]).await;
                let says = format!("{} {how} when {what}: {:?}", case.name, got.report.error);
                let complete: Vec<_> = got.puts.iter().filter(|put| put.complete).collect();
                if case.is_copied {
                    assert_eq!(got.report.exit_code, 0, "{says}");
                    assert_eq!(got.report.digest, want.report.digest, "{says}");
                    continue;
                }
                assert_eq!(got.report.exit_code, 10, "{says}");
                assert_eq!(got.report.error.as_ref().map(listferry::Error::kind), Some(Kind::SourceChanged), "{says}");
                assert!(complete.is_empty(), "{says}: {complete:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_missing_or_empty_sends_nothing() {
    for case in &CASES {
        for (bytes, code) in [(None, case.missing), (Some(Vec::new()), Some(10)), (Some(b"id,n\n".to_vec()), Some(10))]
        {
            let Some(code) = code else { continue };
            let is_empty = bytes.as_ref().is_some_and(Vec::is_empty);
            let got = run(case, bytes, None, &["upload.attempts=1"]).await;
            let says = format!("{}: {:?}", case.name, got.report.error);
            // an export that is empty is waited for
            let codes = if case.name == "apsis" && is_empty { vec![20, 22] } else { vec![code] };
            assert!(codes.contains(&got.report.exit_code), "{says}");
            assert!(got.report.error.as_ref().is_some_and(|error| error.hint().is_some()), "{says}");
            assert!(got.puts.is_empty(), "{says}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_source_is_known_without_reading_it() {
    for case in CASES.iter().filter(|case| !case.is_copied) {
        let dir = tempfile::tempdir().unwrap();
        let content: Content = Arc::new(Mutex::new(Some(list(5_000))));
        let served = (case.serve)(Arc::clone(&content), dir.path().to_owned()).await;
        // the destination does not exist: the run stays open only after a call that may have had an effect
        let vendor = Vendor::start(|_, _| answer(500, &[], "")).await;
        let base = format!("destination.base_url={}", vendor.url());
        let job = job(&served.source, dir.path(), &[&base, "upload.attempts=1"]);
        let mut env = env(dir.path());
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&said);
        env.announce = Some(Arc::new(move |line: &str| log.lock().unwrap().push(line.to_owned())));
        let first = job.run(&env).await;
        assert_eq!(first.exit_code, 20, "{}: {:?}", case.name, first.error);
        let second = job.run(&env).await;
        assert_eq!(
            (second.exit_code, second.run_id.clone()),
            (20, first.run_id.clone()),
            "{}: {:?}",
            case.name,
            second.error
        );
        assert!(said.lock().unwrap().iter().any(|line| line.starts_with("continuing run")), "{}: {said:?}", case.name);
        *content.lock().unwrap() = Some(list(5_001));
        (served.replace)();
        let third = job.run(&env).await;
        assert_ne!(third.run_id, first.run_id, "{}: {said:?}", case.name);
        assert!(
            said.lock().unwrap().iter().any(|line| line.contains("the source has changed")),
            "{}: {said:?}",
            case.name
        );
    }
}
