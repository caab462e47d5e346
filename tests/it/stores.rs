//! Lists in object stores: requests, credentials, globs, refusals.

use crate::vendor::{Seen, Vendor, answer};
use crate::web::{File, check, check_file, env, error_of, job, list};
use listferry::Kind;
use listferry::job::Report;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Returns what S3 answers to a listing.
pub(crate) fn listing(objects: &[(&str, &File)]) -> String {
    let entries = objects.iter().map(|(key, file)| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2022-11-06T08:49:37.000Z</LastModified><ETag>{}</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass></Contents>",
            file.tag.replace('"', "&quot;"),
            file.bytes.len()
        )
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>bucket</Name><Prefix></Prefix><KeyCount>{}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{}</ListBucketResult>",
        objects.len(),
        entries.collect::<String>()
    )
}

fn text(report: &Report) -> String {
    format!("{:?}", report.error)
}

const KEYS: &str = "region: eu-west-1, access_key_id: AKID, secret_access_key: { env: URL_SECRET }";

/// Checks a list in S3 that `script` serves.
async fn served(
    path: &str,
    keys: &str,
    script: impl Fn(&Seen, usize) -> Vec<u8> + Send + Sync + 'static,
) -> (Report, Vec<Seen>) {
    let server = Vendor::start(script).await;
    let source = format!("path: '{path}', store: {{ endpoint: '{}', {keys} }}", server.url());
    let report = check(&source, &["upload.attempts=2"]).await;
    (report, server.seen())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_an_object_is_signed_and_pinned() {
    let bytes = list(50_000);
    let file = File::tagged(bytes.clone(), "\"v1\"");
    let (report, seen) = served("s3://bucket/a b/list+1.csv", KEYS, move |seen, _| file.answer(seen)).await;
    assert_eq!((report.exit_code, report.digest.clone()), (0, check_file(&bytes).await.digest), "{}", text(&report));
    for (n, seen) in seen.iter().enumerate() {
        assert_eq!(seen.target, "/bucket/a%20b/list%2B1.csv");
        let signed = seen.header("authorization").unwrap_or_default();
        assert!(
            signed.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") && signed.contains("/eu-west-1/s3/"),
            "{signed}"
        );
        assert!(seen.header("range").is_some() && seen.header("x-amz-date").is_some(), "{seen:?}");
        assert_eq!(seen.header("if-match"), (n > 0).then_some("\"v1\""));
    }
    let file = File::tagged(bytes, "\"v1\"");
    let (report, seen) = served("s3://bucket/list.csv", "anonymous: true", move |seen, _| file.answer(seen)).await;
    assert_eq!(report.exit_code, 0, "{}", text(&report));
    assert!(seen.iter().all(|seen| seen.header("authorization").is_none()), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn globs_list_the_bucket_in_the_order_of_the_keys() {
    let (one, two) = (File::tagged(list(1000), "\"v1\""), File::tagged(list(500), "\"v2\""));
    let other = File::tagged(b"nothing".to_vec(), "\"v3\"");
    let want = check_file(&[list(1000), list(500).split_off(5)].concat()).await;
    let script = move |seen: &Seen, _: usize| match seen.target.split('?').next().unwrap_or_default() {
        "/bucket" => answer(
            200,
            &[],
            listing(&[
                ("in/users-b.csv", &two),
                ("in/users-a.csv", &one),
                ("in/old/users-c.csv", &other),
                ("in/users.txt", &other),
            ]),
        ),
        "/bucket/in/users-a.csv" => one.answer(seen),
        "/bucket/in/users-b.csv" => two.answer(seen),
        _ => answer(500, &[], ""),
    };
    let (report, seen) = served("s3://bucket/in/users-*.csv", KEYS, script).await;
    assert_eq!((report.exit_code, report.digest.clone()), (0, want.digest), "{}", text(&report));
    assert!(seen[0].target.contains("prefix=in%2F"), "{}", seen[0].target);
    assert!(seen[1..].iter().all(|seen| seen.header("if-match").is_some()), "pinned by the listing: {seen:?}");
    let (report, _) = served("s3://bucket/in/*.csv", KEYS, |_, _| answer(200, &[], listing(&[]))).await;
    assert_eq!(report.exit_code, 1, "{}", text(&report));
    assert!(text(&report).contains("no object matches s3://bucket/in/*.csv"), "{}", text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_are_one_list_in_bounded_memory() {
    let files: Vec<(String, File)> =
        (0..300).map(|n| (format!("in/{n:04}.csv"), File::tagged(list(20), &format!("\"{n}\"")))).collect();
    let script = move |seen: &Seen, _: usize| match seen.target.split_once('?') {
        Some(_) => answer(200, &[], listing(&files.iter().map(|(key, file)| (key.as_str(), file)).collect::<Vec<_>>())),
        None => {
            let file = files.iter().find(|(key, _)| seen.target.ends_with(key.as_str()));
            file.map_or_else(|| answer(404, &[], ""), |(_, file)| file.answer(seen))
        }
    };
    let (report, _) = served("s3://bucket/in/*.csv", KEYS, script).await;
    assert_eq!((report.exit_code, report.records.written), (0, 6000), "{}", text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_the_object_and_the_permission() {
    let error = |code: &str| {
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Not allowed.</Message><Key>k</Key></Error>")
    };
    for (path, status, code, exit, says) in [
        ("s3://bucket/k.csv", 403, "AccessDenied", 30, "s3:GetObject"),
        ("s3://bucket/k.csv", 404, "NoSuchKey", 1, "NoSuchKey"),
        ("s3://bucket/k.csv", 404, "NoSuchBucket", 1, "source.store.region"),
        ("s3://bucket/*.csv", 403, "AccessDenied", 30, "s3:ListBucket"),
        ("s3://bucket/*.csv", 404, "NoSuchBucket", 1, "bucket"),
        ("s3://bucket/k.csv", 400, "AuthorizationHeaderMalformed", 1, "region"),
        ("gs://bucket/k.csv", 403, "AccessDenied", 30, "storage.objects.get"),
    ] {
        let body = error(code);
        let keys = if path.starts_with("gs") { "anonymous: true" } else { KEYS };
        let (report, _) =
            served(path, keys, move |_, _| answer(status, &[("Content-Type", "application/xml")], &body)).await;
        assert_eq!(report.exit_code, exit, "{path} {code}: {}", text(&report));
        assert!(text(&report).contains(path) && text(&report).contains(says), "{path} {code}: {}", text(&report));
        assert!(!text(&report).contains("canary") && !text(&report).contains("<Key>"), "{}", text(&report));
    }
    let (report, _) = served("s3://bucket/k.csv", KEYS, |_, _| answer(301, &[], "")).await;
    assert_eq!(report.exit_code, 1, "{}", text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_replaced_ends_the_run_with_10() {
    let (old, new, number) =
        (File::tagged(list(50_000), "\"v1\""), File::tagged(list(50_000), "\"v2\""), AtomicUsize::new(0));
    let script = move |seen: &Seen, _: usize| match number.fetch_add(1, Ordering::Relaxed) {
        0 => old.answer(seen),
        1 => old.answer_cut(seen, 100_000),
        _ => new.answer(seen),
    };
    let (report, _) = served("s3://bucket/k.csv", KEYS, script).await;
    assert_eq!(report.error.as_ref().map(listferry::Error::kind), Some(Kind::SourceChanged), "{}", text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_environment_or_a_profile() {
    let dir = tempfile::tempdir().unwrap();
    let profiles = dir.path().join("credentials");
    let write = |key: &str| {
        std::fs::write(
            &profiles,
            format!("[etl]\naws_access_key_id = {key}\naws_secret_access_key = canary-profile\n"),
        )
        .unwrap();
    };
    write("AKOLD");
    let bytes = list(50_000);
    let (file, number, renewed) = (File::tagged(bytes.clone(), "\"v1\""), AtomicUsize::new(0), profiles.clone());
    // the profile is renewed while the list is read
    let server = Vendor::start(move |seen, _| {
        let key = if number.load(Ordering::Relaxed) < 2 { "AKOLD" } else { "AKNEW" };
        let signed = seen.header("authorization").unwrap_or_default();
        if !signed.contains(&format!("Credential={key}/")) {
            let text = std::fs::read_to_string(&renewed).unwrap().replace("AKOLD", "AKNEW");
            std::fs::write(&renewed, text).unwrap();
            return answer(403, &[], "<Error><Code>ExpiredToken</Code></Error>");
        }
        match number.fetch_add(1, Ordering::Relaxed) {
            1 => file.answer_cut(seen, 100_000),
            _ => file.answer(seen),
        }
    })
    .await;
    let work = tempfile::tempdir().unwrap();
    let source = format!("path: 's3://bucket/k.csv', store: {{ endpoint: '{}', profile: etl }}", server.url());
    let (job, mut env) = (job(&source, work.path(), &[]), env(work.path()));
    let path = profiles.display().to_string();
    env.variables = Arc::new(move |name| (name == "AWS_SHARED_CREDENTIALS_FILE").then(|| path.clone()));
    let report = tokio::task::spawn_blocking(move || job.check(&env)).await.unwrap();
    assert_eq!((report.exit_code, report.digest.clone()), (0, check_file(&bytes).await.digest), "{}", text(&report));

    let (job, mut env) = (
        crate::web::job("path: 's3://bucket/k.csv'", work.path(), &["source.store={ path_style: true }"]),
        crate::web::env(work.path()),
    );
    let url = server.url();
    env.variables = Arc::new(move |name| match name {
        "AWS_ENDPOINT_URL_S3" => Some(url.clone()),
        "AWS_ACCESS_KEY_ID" => Some("AKNEW".to_owned()),
        "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => Some("canary-variable".to_owned()),
        _ => None,
    });
    let report = tokio::task::spawn_blocking(move || job.check(&env)).await.unwrap();
    assert_eq!(report.exit_code, 0, "{}", text(&report));
    assert!(server.seen().last().is_some_and(|seen| seen.header("x-amz-security-token") == Some("canary-variable")));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_of_a_store_say_what_to_do() {
    for (source, says) in [
        ("path: s3://bucket", "bucket"),
        ("path: s3://b/k, store: { account: a }", "source.store.account"),
        ("path: az://c/k, store: { region: x }", "source.store.region"),
        ("path: list.csv, store: { region: x }", "source.store"),
        ("path: 's3://b/a//k', store: { anonymous: true }", "//"),
        ("path: az://c/k", "account"),
    ] {
        let error = error_of(source).await;
        assert_eq!(error.kind(), Kind::Usage, "{source}: {error:?}");
        assert!(format!("{error:?}").contains(says) && error.hint().is_some(), "{source}: {error:?}");
    }
}
