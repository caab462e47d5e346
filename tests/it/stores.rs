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

/// Checks a list with these variables in the environment.
async fn check_with(source: &str, variables: &[(&str, &str)]) -> Report {
    let work = tempfile::tempdir().unwrap();
    let (job, mut env) = (job(source, work.path(), &["upload.attempts=2"]), env(work.path()));
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let own = Arc::clone(&env.variables);
    env.variables = Arc::new(move |name| {
        let found = variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        found.or_else(|| own(name))
    });
    tokio::task::spawn_blocking(move || job.check(&env)).await.unwrap()
}

/// Asserts that a job is refused with a key or a variable, and what to do.
fn refused(report: &Report, at: &str) {
    let error = report.error.as_ref().unwrap_or_else(|| panic!("{at} is accepted"));
    assert_eq!((report.exit_code, error.kind()), (2, Kind::Usage), "{at}: {error:?}");
    assert!(error.message().contains(at) && error.hint().is_some(), "{at}: {error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_endpoints_ended_the_fetching_thread() {
    let malformed = [
        "minio:9000",
        "minio",
        "//x",
        "http://",
        "http:///",
        "http://h o",
        "http://h:99999",
        "http://[::1",
        "https:127.0.0.1:9",
        "http://\u{fc}:1",
        "http://127.0.0.1:9/a b",
        "http://127.0.0.1:9\\n",
    ];
    for endpoint in malformed {
        for (path, keys) in [
            ("s3://bucket/k.csv", KEYS),
            ("gs://b/k.csv", "anonymous: true"),
            ("az://c/k.csv", "account: a, anonymous: true"),
        ] {
            let source = format!("path: '{path}', store: {{ endpoint: \"{endpoint}\", {keys} }}");
            refused(&check_with(&source, &[]).await, "source.store.endpoint");
        }
        let keys = "path: s3://bucket/k.csv, store: { access_key_id: AKID, secret_access_key: { env: URL_SECRET } }";
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
            refused(&check_with(keys, &[(name, &endpoint.replace("\\n", "\n"))]).await, name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_in_settings_of_stores_ended_the_fetching_thread() {
    let server = Vendor::start(|_, _| answer(200, &[], "")).await;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "canary-token\n").unwrap();
    let (url, token) = (server.url(), token.display().to_string());
    let of = |keys: &str| format!("path: s3://bucket/k.csv, store: {{ endpoint: '{url}', {keys} }}");
    let secret = "access_key_id: AKID, secret_access_key: { env: URL_SECRET }";
    for (source, at) in [
        (of(&format!("region: \"us east\\n\", {secret}")), "source.store.region"),
        (of(&format!("region: '', {secret}")), "source.store.region"),
        (of(&format!("path_style: false, {secret}")), "source.store.path_style"),
        (of("access_key_id: \"AK\\tID\", secret_access_key: { env: URL_SECRET }"), "source.store.access_key_id"),
        ("path: az://c/k.csv, store: { account: \"a\\n\", anonymous: true }".to_owned(), "source.store.account"),
    ] {
        refused(&check_with(&source, &[]).await, at);
    }
    let full = format!("{url}/credentials");
    for (variables, at) in [
        (&[("AWS_REGION", "eu-west-1\n")][..], "AWS_REGION"),
        (&[("AWS_ACCESS_KEY_ID", "AKID\n"), ("AWS_SECRET_ACCESS_KEY", "s")], "AWS_ACCESS_KEY_ID"),
        (
            &[
                ("AWS_ACCESS_KEY_ID", "AKID"),
                ("AWS_SECRET_ACCESS_KEY", "canary"),
                ("AWS_SESSION_TOKEN", "canary\u{fc}"),
            ],
            "AWS_SESSION_TOKEN",
        ),
        (
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &full), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token)],
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ),
        (&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/a b")], "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "localhost")], "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
    ] {
        let report = check_with(&of("path_style: true"), variables).await;
        refused(&report, at);
        assert!(!text(&report).contains("canary"), "{}", text(&report));
    }
    assert!(server.seen().is_empty(), "{:?}", server.seen());
}

/// Returns what a metadata service of AWS answers.
fn metadata_credentials() -> Vec<u8> {
    let keys = "\"AccessKeyId\":\"AKMETA\",\"SecretAccessKey\":\"canary-secret\",\"Token\":\"canary-session\"";
    answer(200, &[], format!("{{{keys},\"Expiration\":\"2099-01-01T00:00:00Z\"}}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_metadata_service() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "canary-token").unwrap();
    let bytes = list(1000);
    let file = File::tagged(bytes.clone(), "\"v1\"");
    let server = Vendor::start(move |seen, _| match (seen.method.as_str(), seen.target.as_str()) {
        ("GET", "/credentials") if seen.header("authorization") == Some("canary-token") => metadata_credentials(),
        ("PUT", "/latest/api/token") => answer(200, &[], "canary-imds"),
        ("GET", path) if path.starts_with("/latest/") && seen.header("x-aws-ec2-metadata-token").is_none() => {
            answer(401, &[], "")
        }
        ("GET", "/latest/meta-data/iam/security-credentials/") => answer(200, &[], "role"),
        ("GET", "/latest/meta-data/iam/security-credentials/role") => metadata_credentials(),
        ("GET", path) if path.starts_with("/bucket?") => answer(200, &[], listing(&[("k.csv", &file)])),
        ("GET", "/bucket/k.csv") => file.answer(seen),
        _ => answer(404, &[], ""),
    })
    .await;
    let (url, token) = (server.url(), token.display().to_string());
    let full = format!("{url}/credentials");
    let want = check_file(&bytes).await.digest;
    for path in ["s3://bucket/k.csv", "s3://bucket/*.csv"] {
        let source = format!("path: '{path}', store: {{ endpoint: '{url}', region: eu-west-1 }}");
        for variables in [
            &[
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", full.as_str()),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token),
            ][..],
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("{url}/"))],
        ] {
            let report = check_with(&source, variables).await;
            assert_eq!((report.exit_code, &report.digest), (0, &want), "{path}: {}", text(&report));
        }
    }
    let data: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.target.starts_with("/bucket")).collect();
    for seen in &data {
        assert!(seen.header("authorization").is_some_and(|by| by.contains("Credential=AKMETA/")), "{seen:?}");
        assert_eq!(seen.header("x-amz-security-token"), Some("canary-session"));
    }
    assert!(data.len() >= 4, "{data:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_glob_without_credentials_ended_with_20() {
    let server = Vendor::start(|seen, _| match seen.target.as_str() {
        // a path that no request can have
        "/latest/meta-data/iam/security-credentials/" => answer(200, &[], "no\nrole"),
        "/latest/api/token" => answer(200, &[], "canary-imds"),
        _ => answer(404, &[], "no such thing"),
    })
    .await;
    let url = server.url();
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "canary-token").unwrap();
    let (full, token) = (format!("{url}/gone"), token.display().to_string());
    for path in ["s3://bucket/k.csv", "s3://bucket/*.csv"] {
        let source = format!("path: '{path}', store: {{ endpoint: '{url}', region: eu-west-1 }}");
        for variables in [
            &[
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", full.as_str()),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token),
            ][..],
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)],
        ] {
            let report = check_with(&source, variables).await;
            assert_eq!(report.exit_code, 30, "{path}: {}", text(&report));
            let says = format!("{path}: no credentials for the store");
            assert!(text(&report).contains(&says) && text(&report).contains("AWS_ACCESS_KEY_ID"), "{}", text(&report));
            assert!(!text(&report).contains("canary"), "{}", text(&report));
        }
    }
    assert!(!server.seen().iter().any(|seen| seen.target.starts_with("/bucket")), "{:?}", server.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_the_cloud_was_hidden_like_a_secret() {
    let server = Vendor::start(|_, _| answer(404, &[], "no such thing")).await;
    let host = server.address.to_string();
    let ran = tokio::task::spawn_blocking(move || {
        let bed = crate::cli::Bed::new(crate::cli::CLEVERTAP, "");
        ["gs://bucket/k.csv", "gs://bucket/*.csv"].map(|path| {
            let set = format!("source.path={path}");
            let mut command = bed.command(&["check", "job.yaml", "--set", &set]);
            command.env("GCE_METADATA_HOST", &host).env("GCE_METADATA_IP", &host).env("HOME", bed.path("home"));
            let names = ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"];
            for name in names {
                command.env_remove(name);
            }
            let output = command.output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8_lossy(&said).into_owned())
        })
    });
    for (code, said) in ran.await.unwrap() {
        assert_eq!(code, Some(30), "{said}");
        assert!(said.contains("set GOOGLE_APPLICATION_CREDENTIALS"), "{said}");
    }
    assert!(server.seen().iter().any(|seen| seen.header("metadata-flavor") == Some("Google")));
}
