//! A presigned PUT to a real S3 that verifies signatures. A proxy in front of it refuses what Amazon refuses and this
//! server does not: chunked bodies and bodies without a length.

use crate::list::{List, client, yesmail};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use listferry::Kind;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

const KEY: &str = "AKTEST";
const SECRET: &str = "SKTEST";

struct S3 {
    origin: String,
    folder: tempfile::TempDir,
    ca: Option<PathBuf>,
}

impl S3 {
    async fn start(tls: bool) -> S3 {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data/segments")).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path().join("data")).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, ca) = match tls {
            true => {
                let (acceptor, ca) = certificate(folder.path());
                (Some(acceptor), Some(ca))
            }
            false => (None, None),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (service, acceptor) = (service.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, service).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, service).await;
                            }
                        }
                    }
                });
            }
        });
        let origin = if tls { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        S3 { origin, folder, ca }
    }

    fn presigned(&self, secret: &str, valid: Duration) -> String {
        let endpoint = self.origin.parse().unwrap();
        let bucket = Bucket::new(endpoint, UrlStyle::Path, "segments", "us-east-1").unwrap();
        bucket.put_object(Some(&Credentials::new(KEY, secret)), "lists/vip list.csv").sign(valid).to_string()
    }

    fn object(&self) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join("data/segments/lists/vip list.csv")).ok()
    }
}

fn certificate(folder: &Path) -> (tokio_rustls::TlsAcceptor, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Arc::new(config).into(), ca)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, service: S3Service) {
    let strict = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move {
            let headers = request.headers();
            let refused = request.method() == Method::PUT
                && (!headers.contains_key(CONTENT_LENGTH)
                    || headers.contains_key(TRANSFER_ENCODING)
                    || headers.contains_key(CONTENT_TYPE));
            if refused {
                let mut answer = Response::new(s3s::Body::empty());
                *answer.status_mut() = StatusCode::LENGTH_REQUIRED;
                return Ok(answer);
            }
            hyper::service::Service::call(&service, request).await
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), strict).await;
}

async fn put(s3: &S3, url: &str) -> (listferry::Result<listferry::platform::Verdict>, Vec<String>) {
    let (base, uris) = yesmail().await;
    let list = List::new(&base, json!({"put": {"url": url, "fetch_url": "https://cdn.example/vip.csv"}}));
    let verdict = list.deliver(&client(s3.ca.clone())).await;
    let uris = uris.lock().unwrap().clone();
    (verdict, uris)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_converted_list_arrives_byte_for_byte() {
    for tls in [false, true] {
        let s3 = S3::start(tls).await;
        let (verdict, uris) = put(&s3, &s3.presigned(SECRET, Duration::from_secs(600))).await;
        verdict.unwrap();
        let object = s3.object().expect("the object is there");
        assert!(object == List::expected(), "{} bytes arrived, tls {tls}", object.len());
        assert_eq!(uris, ["https://cdn.example/vip.csv"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_signatures_altered_queries_and_expired_urls_are_refused() {
    let s3 = S3::start(false).await;
    let good = s3.presigned(SECRET, Duration::from_secs(600));
    let expired = s3.presigned(SECRET, Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    for url in [s3.presigned("WRONG", Duration::from_secs(600)), format!("{good}&x=y"), expired] {
        let (verdict, uris) = put(&s3, &url).await;
        let error = verdict.unwrap_err();
        assert_eq!(error.kind(), Kind::Credentials, "{error}");
        assert!(!format!("{error} {error:?}").contains("X-Amz-Signature"), "{error}");
        assert!(uris.is_empty());
        assert_eq!(s3.object(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_certificate_is_no_way_in() {
    let s3 = S3::start(true).await;
    let (base, _) = yesmail().await;
    let url = s3.presigned(SECRET, Duration::from_secs(600));
    let list = List::new(&base, json!({"put": {"url": url, "fetch_url": "https://cdn.example/vip.csv"}}));
    assert!(list.deliver(&client(None)).await.is_err());
    assert_eq!(s3.object(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_changed_leaves_no_object() {
    let s3 = S3::start(false).await;
    let (base, uris) = yesmail().await;
    let url = s3.presigned(SECRET, Duration::from_secs(600));
    let list = List::new(&base, json!({"put": {"url": url, "fetch_url": "https://cdn.example/vip.csv"}}));
    let mut text = std::fs::read(&list.source).unwrap();
    let last = text.len() - 5;
    text[last] ^= 1;
    std::fs::write(&list.source, text).unwrap();
    assert_eq!(list.deliver(&client(None)).await.unwrap_err().kind(), Kind::SourceChanged);
    assert_eq!(s3.object(), None);
    assert!(uris.lock().unwrap().is_empty());
}

/// Checks the list at `path` in the server's bucket.
async fn check(s3: &S3, path: &str, secret: &str) -> listferry::job::Report {
    let ca = s3.ca.as_ref().map(|ca| format!("network: {{ ca_file: '{}' }}\n", ca.display())).unwrap_or_default();
    let text = format!(
        "source: {{ path: '{path}', store: {{ endpoint: '{}', region: us-east-1, access_key_id: {KEY}, \
         secret_access_key: {{ env: SECRET }} }} }}\nmap: {{ identity: id }}\nupload: {{ attempts: 1 }}\n{ca}\
         destination: {{ platform: clevertap, region: in1, account_id: a, passcode: {{ env: SECRET }}, segment: s, creator: c, \
         email: a@example.com }}",
        s3.origin
    );
    let job = listferry::job::Job::read(&text, s3.folder.path(), &[]).unwrap();
    let mut env = listferry::job::Env::default();
    let secret = secret.to_owned();
    env.state_dir = Some(s3.folder.path().join("state"));
    env.variables = Arc::new(move |name| (name == "SECRET").then(|| secret.clone()));
    tokio::task::spawn_blocking(move || job.check(&env)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_read_from_a_server_that_verifies_signatures() {
    let rows = |from: u32| (from..from + 60_000).map(|n| format!("c{n},{n}\n")).collect::<String>();
    for tls in [false, true] {
        let s3 = S3::start(tls).await;
        let folder = s3.folder.path().join("data/segments/lists");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, from) in [("in 1+1.csv", 0), ("in 2.csv", 60_000)] {
            std::fs::write(folder.join(name), format!("id,n\n{}", rows(from))).unwrap();
        }
        for path in ["lists/in 1+1.csv", "lists/in*.csv"] {
            let report = check(&s3, &format!("s3://segments/{path}"), SECRET).await;
            match path.contains('*') {
                false => assert_eq!((report.exit_code, report.records.written), (0, 60_000), "{:?}", report.error),
                // this server lists objects without their versions, so they cannot be pinned
                true => assert!(format!("{:?}", report.error).contains("no version"), "{:?}", report.error),
            }
            let report = check(&s3, &format!("s3://segments/{path}"), "another").await;
            assert_eq!(report.exit_code, 30, "{path}: {:?}", report.error);
            assert!(!format!("{:?}", report.error).contains("another"), "{:?}", report.error);
        }
        let report = check(&s3, "s3://segments/lists/gone.csv", SECRET).await;
        assert_eq!(report.exit_code, 1, "{:?}", report.error);
    }
}
