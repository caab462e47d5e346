//! Lists on web servers that behave, that do not, and that change their mind.

use crate::vendor::{Seen, Vendor, answer, endless};
use crate::web::{File, check, check_file, env, error_of, job, list};
use flate2::write::GzEncoder;
use listferry::job::Report;
use listferry::{Kind, WarningKind};
use proptest::prelude::*;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn kind(report: &Report) -> Option<Kind> {
    report.error.as_ref().map(listferry::Error::kind)
}

fn text(report: &Report) -> String {
    format!("{:?}", report.error)
}

/// Checks a list that is served by `script`.
async fn served(
    script: impl Fn(&Seen, usize) -> Vec<u8> + Send + Sync + 'static,
    more: &[&str],
) -> (Report, Vec<Seen>) {
    let server = Vendor::start(script).await;
    let report = check(&format!("path: \"{}/list.csv\"", server.url()), more).await;
    (report, server.seen())
}

/// Checks that a served list gives the same output as one on disk.
async fn same_as_on_disk(bytes: &[u8], script: impl Fn(&Seen, usize) -> Vec<u8> + Send + Sync + 'static) -> Vec<Seen> {
    let (report, seen) = served(script, &[]).await;
    let want = check_file(bytes).await;
    assert_eq!(report.exit_code, 0, "{}", text(&report));
    assert_eq!((report.digest, report.records, report.bytes), (want.digest, want.records, want.bytes));
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_names_the_version_and_asks_for_no_coding() {
    let bytes = list(200_000);
    let file = File::tagged(bytes.clone(), "\"v1\"");
    let seen = same_as_on_disk(&bytes, move |seen, _| file.answer(seen)).await;
    assert!(seen.iter().all(|seen| seen.header("accept-encoding") == Some("identity")), "{seen:?}");
    assert!(seen.iter().skip(1).all(|seen| seen.header("if-match") == Some("\"v1\"")), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.header("range").is_some()), "{seen:?}");
    assert!(seen.len() < 20, "{} requests", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_is_a_validator_if_it_is_old() {
    let bytes = list(20_000);
    let mut file = File::tagged(bytes.clone(), "W/\"weak\"");
    file.modified = "Sun, 06 Nov 2022 07:00:00 GMT".to_owned();
    let date = file.modified.clone();
    let seen = same_as_on_disk(&bytes, move |seen, _| file.answer(seen)).await;
    assert!(seen.iter().skip(1).all(|seen| seen.header("if-unmodified-since") == Some(&date)), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ranges_or_a_validator_the_list_is_read_once() {
    let bytes = list(50_000);
    let weak = File::tagged(bytes.clone(), "W/\"weak\"");
    let seen = same_as_on_disk(&bytes, move |seen, _| weak.answer(seen)).await;
    assert_eq!(seen.len(), 2, "a range of no version, then all of it");
    let file = File::tagged(bytes.clone(), "\"v1\"");
    let seen = same_as_on_disk(&bytes, move |_, _| file.whole(usize::MAX)).await;
    assert_eq!(seen.len(), 1, "the first response is the list");
    for wrong in ["bytes 5-5/100", "bytes 0-0/*", "pages 1-1/3", ""] {
        let file = File::tagged(bytes.clone(), "\"v1\"");
        same_as_on_disk(&bytes, move |seen, _| match file.range(seen) {
            Some(_) if wrong.is_empty() => answer(206, &[("ETag", "\"v1\"")], "x"),
            Some(_) => answer(206, &[("ETag", "\"v1\""), ("Content-Range", wrong)], "x"),
            None => file.whole(usize::MAX),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coded_response_is_decoded_once() {
    let bytes = list(20_000);
    let coded = Arc::new(gzip(&bytes));
    let script = move |_: &Seen, _: usize| answer(200, &[("Content-Encoding", "gzip")], &*coded);
    let (report, _) = served(script, &[]).await;
    assert_eq!((report.exit_code, report.digest), (0, check_file(&bytes).await.digest));
    let (report, _) = served(|_, _| answer(200, &[("Content-Encoding", "br")], "?"), &[]).await;
    assert_eq!(kind(&report), Some(Kind::Local), "{}", text(&report));
    assert!(text(&report).contains("br"), "{}", text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_lists_and_empty_ones_are_as_on_disk() {
    let packed = [gzip(&list(30_000)), gzip(b"customer-x,1\n")].concat();
    let file = File::tagged(packed.clone(), "\"v1\"");
    same_as_on_disk(&packed, move |seen, _| file.answer_cut(seen, 10_000)).await;
    for content in [&b""[..], b"\xef\xbb\xbf", b"id,n\n"] {
        let file = File::tagged(content, "\"v1\"");
        let (report, _) = served(move |seen, _| file.answer(seen), &[]).await;
        let want = check_file(content).await;
        assert_eq!((report.exit_code, kind(&report)), (10, kind(&want)), "{}", text(&report));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_resumes_a_thousand_times_without_a_difference() {
    let bytes = list(50_000);
    let file = File::tagged(bytes.clone(), "\"v1\"");
    let cut = bytes.len() / 1000;
    let seen = same_as_on_disk(&bytes, move |seen, _| file.answer_cut(seen, cut)).await;
    assert!(seen.len() > 1000, "{} requests", seen.len());
}

/// Each byte counted as progress, so that reading never ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sends_a_byte_at_a_time_is_given_up() {
    let file = File::tagged(list(50_000), "\"v1\"");
    let (report, seen) = served(move |seen, _| file.answer_cut(seen, 1), &["upload.give_up_after=1s"]).await;
    assert_eq!(report.exit_code, 20, "{}", text(&report));
    assert!(report.error.as_ref().unwrap().message().contains("bytes came within upload.give_up_after"));
    assert!(seen.len() > 2 && seen.len() < 400, "{} requests", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_goes_on_where_it_was() {
    let bytes = list(50_000);
    for cut in [1, 4096, bytes.len() / 2, bytes.len() - 1] {
        let file = File::tagged(bytes.clone(), "");
        same_as_on_disk(&bytes, move |_, n| file.whole(if n == 0 { cut } else { usize::MAX })).await;
    }
    // what follows is compared with what was read
    let (old, new) = (File::tagged(list(50_000), ""), File::tagged(list(50_001).split_off(7), ""));
    let (report, _) = served(move |_, n| if n == 0 { old.whole(100_000) } else { new.whole(usize::MAX) }, &[]).await;
    assert_eq!(kind(&report), Some(Kind::SourceChanged), "{}", text(&report));
    let shorter = File::tagged(list(1000), "");
    let old = File::tagged(list(50_000), "");
    let (report, _) =
        served(move |_, n| if n == 0 { old.whole(100_000) } else { shorter.whole(usize::MAX) }, &[]).await;
    assert_eq!(kind(&report), Some(Kind::SourceChanged), "{}", text(&report));
    // nothing proves that it is whole
    let (report, _) = served(|_, _| endless(&[], "id,n\n1,2\n"), &["upload.attempts=1"]).await;
    assert_eq!(report.exit_code, 20, "{}", text(&report));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_body_is_the_same_wherever_responses_are_cut(
        cuts in prop::collection::vec(prop_oneof![0usize..3, 1usize..70_000], 1..12),
        stripped in any::<bool>(),
        packed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let plain = list(8_000);
        let bytes = if packed { gzip(&plain) } else { plain };
        let file = File::tagged(bytes.clone(), "\"v1\"");
        let number = AtomicUsize::new(0);
        // two empty responses in a row would use up the attempts slowly
        let script = move |seen: &Seen, _: usize| {
            let n = number.fetch_add(1, Ordering::Relaxed);
            let cut = if n == 0 { usize::MAX } else { cuts[n % cuts.len()].max(n % 2 * 5_000) };
            match stripped && n > 0 && n.is_multiple_of(3) {
                true => file.whole(cut + file.range(seen).map_or(0, |range| range.0)),
                false => file.answer_cut(seen, cut),
            }
        };
        runtime.block_on(same_as_on_disk(&bytes, script));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_strips_ranges_is_read_all_the_same() {
    let bytes = list(100_000);
    let file = File::tagged(bytes.clone(), "\"v1\"");
    same_as_on_disk(&bytes, move |seen, _| match file.range(seen) {
        Some((0, 1)) => file.answer(seen),
        _ => file.whole(usize::MAX),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_than_were_asked_for_are_never_used() {
    let wrong = |range: fn((usize, usize)) -> (usize, usize)| {
        let file = File::tagged(list(50_000), "\"v1\"");
        move |seen: &Seen, _: usize| match file.range(seen) {
            Some(asked) if asked != (0, 1) => {
                let (first, end) = range(asked);
                let header = format!("bytes {first}-{}/{}", end - 1, file.bytes.len());
                answer(206, &[("ETag", "\"v1\""), ("Content-Range", &header)], &file.bytes[first..end])
            }
            _ => file.answer(seen),
        }
    };
    for range in [|(first, end): (usize, usize)| (first + 1, end), |(_, end): (usize, usize)| (end / 2, end)] {
        let (report, _) = served(wrong(range), &["upload.attempts=2"]).await;
        assert_eq!(report.exit_code, 20, "{}", text(&report));
        assert!(text(&report).contains("another range"), "{}", text(&report));
    }
    // a response may have less than was asked for
    let bytes = list(50_000);
    same_as_on_disk(&bytes, wrong(|(first, end)| (first, (first + 10_000).min(end)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_and_faults_are_waited_out() {
    let bytes = list(20_000);
    for status in [429, 503, 500, 502, 408] {
        let file = File::tagged(bytes.clone(), "\"v1\"");
        let number = AtomicUsize::new(0);
        same_as_on_disk(&bytes, move |seen, _| match number.fetch_add(1, Ordering::Relaxed) {
            0 | 2 => answer(status, &[("Retry-After", "0")], "later"),
            _ => file.answer(seen),
        })
        .await;
    }
    let (report, _) = served(|_, _| answer(503, &[("Retry-After", "86400")], "later"), &[]).await;
    assert_eq!(report.exit_code, 20, "{}", text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_left_and_asked_again() {
    let bytes = list(20_000);
    let file = File::tagged(bytes.clone(), "\"v1\"");
    let number = Arc::new(AtomicUsize::new(0));
    let server = Vendor::start_async(move |seen, _| {
        let silent = number.fetch_add(1, Ordering::Relaxed) == 1;
        let answer = if silent { file.answer_cut(&seen, 0) } else { file.answer(&seen) };
        Box::pin(async move {
            if silent {
                tokio::time::sleep(std::time::Duration::from_secs(600)).await;
            }
            answer
        })
    })
    .await;
    let more = ["upload.stall_timeout=300ms", "upload.response_timeout=300ms"];
    let report = check(&format!("path: \"{}/list.csv\"", server.url()), &more).await;
    assert_eq!((report.exit_code, report.digest), (0, check_file(&bytes).await.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_changes_ends_the_run_with_10() {
    let (old, new) = (File::tagged(list(50_000), "\"v1\""), File::tagged(list(50_000), "\"v2\""));
    let longer = File::tagged(list(50_001), "\"v1\"");
    type Script = Box<dyn Fn(&Seen) -> Vec<u8> + Send + Sync>;
    let changes: [(&str, Script); 7] = [
        ("another version, refused by the condition", {
            let new = new.clone();
            Box::new(move |seen| new.answer(seen))
        }),
        ("another version from a server that ignores conditions", {
            let new = new.clone();
            Box::new(move |seen| {
                let mut seen = seen.clone();
                seen.headers.retain(|(name, _)| name != "if-match");
                new.answer(&seen)
            })
        }),
        ("another version from a proxy that ignores ranges, too", {
            let new = new.clone();
            Box::new(move |_| new.whole(usize::MAX))
        }),
        ("another size under the same version", Box::new(move |seen| longer.answer(seen))),
        ("removed", Box::new(|_| answer(404, &[], ""))),
        ("gone", Box::new(|_| answer(410, &[], ""))),
        ("smaller", Box::new(|_| answer(416, &[("Content-Range", "bytes */3")], ""))),
    ];
    for (what, change) in changes {
        let (old, number) = (old.clone(), AtomicUsize::new(0));
        let script = move |seen: &Seen, _: usize| match number.fetch_add(1, Ordering::Relaxed) {
            0 => old.answer(seen),
            1 => old.answer_cut(seen, 300_000),
            _ => change(seen),
        };
        let (report, _) = served(script, &[]).await;
        assert_eq!((report.exit_code, kind(&report)), (10, Some(Kind::SourceChanged)), "{what}: {}", text(&report));
        assert!(report.error.as_ref().is_some_and(|error| error.hint().is_some()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_their_exit_codes_and_say_what_to_do() {
    for (status, code) in [(401, 30), (403, 30), (404, 1), (410, 1), (400, 1), (204, 1), (501, 1)] {
        let (report, seen) = served(move |_, _| answer(status, &[], "why not"), &[]).await;
        assert_eq!(report.exit_code, code, "{status}: {}", text(&report));
        assert!(
            text(&report).contains(&status.to_string()) && text(&report).contains("/list.csv"),
            "{}",
            text(&report)
        );
        assert!(report.error.as_ref().is_some_and(|error| error.hint().is_some()), "{status}");
        assert_eq!(seen.len(), 1, "{status} is final");
    }
    let (file, number) = (File::tagged(list(50_000), "\"v1\""), AtomicUsize::new(0));
    let expired = move |seen: &Seen, _: usize| match number.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => file.answer_cut(seen, 300_000),
        _ => answer(403, &[], "Request has expired"),
    };
    let (report, _) = served(expired, &[]).await;
    assert_eq!(report.exit_code, 30, "{}", text(&report));
    assert!(text(&report).contains("expired"), "{}", text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_without_the_users_headers() {
    let bytes = list(20_000);
    let file = File::tagged(bytes.clone(), "\"v1\"");
    let other = Vendor::start(move |seen, _| file.answer(seen)).await;
    let there = format!("{}/k?X-Amz-Signature=abcdef", other.url());
    let first = Vendor::start(move |seen, _| match seen.target.as_str() {
        "/list.csv" => answer(302, &[("Location", "/moved")], ""),
        _ => answer(307, &[("Location", &there)], ""),
    })
    .await;
    let source = format!(
        "path: \"{}/list.csv\", http: {{ headers: {{ X-Api-Key: {{ env: URL_SECRET }} }}, user: u, password: {{ env: URL_SECRET }} }}",
        first.url()
    );
    let report = check(&source, &[]).await;
    assert_eq!((report.exit_code, report.digest.clone()), (0, check_file(&bytes).await.digest), "{}", text(&report));
    for seen in first.seen() {
        assert_eq!(seen.header("x-api-key"), Some("canary-password"));
        assert_eq!(seen.header("authorization"), Some("Basic dTpjYW5hcnktcGFzc3dvcmQ="));
    }
    assert!(!other.seen().is_empty());
    assert!(!format!("{:?}", other.seen()).contains("canary") && !format!("{:?}", other.seen()).contains("dTpj"));
    for (location, says) in [("/list.csv", "10 redirects"), ("ftp://h/x", "not valid"), ("", "without an address")] {
        let headers: Vec<_> = (!location.is_empty()).then_some(("Location", location)).into_iter().collect();
        let (report, _) = served(move |_, _| answer(302, &headers, ""), &[]).await;
        assert_eq!(report.exit_code, 1, "{}", text(&report));
        assert!(text(&report).contains(says), "{}", text(&report));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_an_address_is_shown() {
    let server = Vendor::start(|_, n| match n {
        0 => answer(503, &[("Retry-After", "0")], "canary-signature"),
        _ => answer(403, &[], "<Error>canary-signature does not match canary-password</Error>"),
    })
    .await;
    let address = server.url().replace("http://", "");
    let written = format!("path: \"http://u:canary-password@{address}/list.csv?v=1&X-Amz-Signature=canary-signature\"");
    let report = check(&written, &[]).await;
    assert_eq!(report.exit_code, 30);
    let shown = format!("{} {}", text(&report), serde_json::to_string(&report).unwrap());
    assert!(!shown.contains("canary") && shown.contains(&format!("http://{address}/list.csv")), "{shown}");
    assert!(report.warnings.iter().any(|warning| warning.kind == WarningKind::LiteralSecret), "{shown}");
    assert!(server.seen()[0].target.ends_with("?v=1&X-Amz-Signature=canary-signature"), "sent byte for byte");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_address_is_taken_from_the_environment() {
    let bytes = list(100);
    let file = File::tagged(bytes.clone(), "\"v1\"");
    let server = Vendor::start(move |seen, _| file.answer(seen)).await;
    let dir = tempfile::tempdir().unwrap();
    let (job, mut env) = (job("path: { env: URL }", dir.path(), &[]), env(dir.path()));
    let url = format!("{}/list.csv?sig=canary-signature", server.url());
    env.variables = Arc::new(move |name| (name == "URL").then(|| url.clone()));
    let report = tokio::task::spawn_blocking(move || job.check(&env)).await.unwrap();
    assert_eq!((report.exit_code, report.digest.clone()), (0, check_file(&bytes).await.digest), "{}", text(&report));
    let report = check("path: { env: GONE }", &[]).await;
    assert_eq!(report.exit_code, 2, "{}", text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_say_what_to_do() {
    for (source, says) in [
        ("path: ftp://h/x", "ftp://"),
        ("path: 'http://'", "source.path"),
        ("path: list.csv, http: { user: u }", "source.http"),
        ("path: 'http://127.0.0.1:1/x', http: { password: p }", "source.http.user"),
        ("path: 'http://127.0.0.1:1/x', http: { headers: { Range: bytes=1-2 } }", "Range"),
        ("path: 'http://127.0.0.1:1/x', http: { headers: { 'a b': x } }", "a b"),
        ("path: 'http://127.0.0.1:1/x', http: { user: u, headers: { authorization: x } }", "Authorization"),
        ("path: 'http://files.example.com/x'", "allow_http"),
    ] {
        let error = error_of(source).await;
        assert_eq!(error.kind(), Kind::Usage, "{source}: {error:?}");
        assert!(format!("{error:?}").contains(says), "{source}: {error:?}");
        assert!(error.hint().is_some(), "{source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_read_that_waits() {
    let file = File::tagged(list(50_000), "\"v1\"");
    let server = Vendor::start_async(move |seen, _| {
        let answer = file.answer(&seen);
        let waits = file.range(&seen) != Some((0, 1));
        Box::pin(async move {
            if waits {
                tokio::time::sleep(std::time::Duration::from_secs(600)).await;
            }
            answer
        })
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (job, env) = (job(&format!("path: \"{}/x\"", server.url()), dir.path(), &[]), env(dir.path()));
    let progress = Arc::clone(env.progress());
    let checked = tokio::task::spawn_blocking(move || job.check(&env));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    progress.cancelled.store(true, Ordering::Relaxed);
    let report = tokio::time::timeout(std::time::Duration::from_secs(10), checked).await.unwrap().unwrap();
    assert_eq!(report.exit_code, 130, "{}", text(&report));
}
