//! The pull server against its clients.

use crate::vendor::{Vendor, answer, ask};
use crate::yesmail::{CONVERTED, PEOPLE, Scene, TICKET, accepted, samples};
use base64::Engine as _;
use listferry::platform::Outcome;
use listferry::transport::{Client, NetworkOptions, Proxy, Request, Timers};
use listferry::{Kind, Secret};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Splits `http://user:password@host:port/path` into host, path and authorization header.
fn taken_apart(uri: &str) -> (String, String, String) {
    let rest = uri.strip_prefix("http://").unwrap();
    let (user_info, rest) = rest.split_once('@').unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let token = base64::engine::general_purpose::STANDARD.encode(user_info);
    (host.to_owned(), format!("/{path}"), format!("Authorization: Basic {token}"))
}

/// A vendor that passes each pull URI to `pull` before the ticket is final.
async fn pulling<F, P>(pull: P) -> Vendor
where
    P: Fn(String) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let uri: Arc<Mutex<String>> = Arc::default();
    let pull = Arc::new(pull);
    Vendor::start_async(move |seen, _| {
        let (uri, pull) = (Arc::clone(&uri), Arc::clone(&pull));
        Box::pin(async move {
            match seen.target.as_str() {
                "/v2/tickets/654321" => {
                    let uri = uri.lock().unwrap().clone();
                    pull(uri).await;
                    answer(200, &[], TICKET)
                }
                "/v2/async-results/987654" => answer(200, &[], "{\"counts\":{\"failed\":0}}"),
                _ if seen.method == "GET" => answer(404, &[], ""),
                _ => {
                    *uri.lock().unwrap() = seen.json()["source"]["uri"].as_str().unwrap().to_owned();
                    accepted()
                }
            }
        })
    })
    .await
}

fn serving() -> Value {
    json!({"serve": {"listen": "127.0.0.1:0"}})
}

#[tokio::test]
async fn x10_the_pull_server_answers_as_the_rfc_says() {
    let vendor = pulling(|uri| async move {
        let (host, path, auth) = taken_apart(&uri);
        let list = CONVERTED.as_bytes();
        let length = list.len();
        let (status, headers, body) = ask(&host, &format!("GET {path} HTTP/1.1\r\n{auth}")).await;
        assert_eq!((status, body.as_slice()), (200, list));
        let of = |headers: &[(String, String)], name: &str| {
            headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        assert_eq!(of(&headers, "content-length"), Some(length.to_string()));
        assert_eq!(of(&headers, "accept-ranges").as_deref(), Some("bytes"));
        assert_eq!(of(&headers, "transfer-encoding"), None);
        let etag = of(&headers, "etag").unwrap();
        assert!(etag.starts_with('"'), "a strong tag: {etag}");

        let nothing: &[u8] = b"";
        // (request line, further headers, status, body, Content-Range); each with the right password
        type Case<'c> = (&'c str, String, u16, &'c [u8], Option<String>);
        let table: Vec<Case<'_>> = vec![
            ("HEAD", String::new(), 200, nothing, None),
            ("GET", "Range: bytes=0-4".into(), 206, &list[..5], Some(format!("bytes 0-4/{length}"))),
            ("GET", "Range: bytes=3-".into(), 206, &list[3..], Some(format!("bytes 3-{}/{length}", length - 1))),
            (
                "GET",
                "Range: bytes=-4".into(),
                206,
                &list[length - 4..],
                Some(format!("bytes {}-{}/{length}", length - 4, length - 1)),
            ),
            ("GET", "Range: bytes=5-9999".into(), 206, &list[5..], Some(format!("bytes 5-{}/{length}", length - 1))),
            ("GET", format!("Range: bytes={length}-"), 416, b"no such range\n", Some(format!("bytes */{length}"))),
            ("GET", "Range: bytes=-0".into(), 416, b"no such range\n", Some(format!("bytes */{length}"))),
            ("GET", "Range: bytes=4-2".into(), 200, list, None),
            ("GET", "Range: bytes=0-1,3-4".into(), 200, list, None),
            ("GET", "Range: lines=0-1".into(), 200, list, None),
            ("HEAD", "Range: bytes=0-4".into(), 200, nothing, None),
            ("GET", format!("If-None-Match: {etag}"), 304, nothing, None),
            ("GET", format!("If-None-Match: W/{etag}"), 304, nothing, None),
            ("GET", "If-None-Match: *".into(), 304, nothing, None),
            ("GET", "If-None-Match: \"other\"".into(), 200, list, None),
            ("GET", format!("If-Match: {etag}"), 200, list, None),
            ("GET", "If-Match: \"other\"".into(), 412, nothing, None),
            (
                "GET",
                format!("Range: bytes=1-1\r\nIf-Range: {etag}"),
                206,
                &list[1..2],
                Some(format!("bytes 1-1/{length}")),
            ),
            ("GET", "Range: bytes=1-1\r\nIf-Range: \"other\"".into(), 200, list, None),
            ("GET", "Range: bytes=1-1\r\nIf-Range: Sat, 21 Nov 2026 01:00:00 GMT".into(), 200, list, None),
            ("POST", "Content-Length: 0".into(), 405, b"GET and HEAD only\n", None),
            ("DELETE", String::new(), 405, b"GET and HEAD only\n", None),
        ];
        for (method, more, want, want_body, want_range) in table {
            let more = if more.is_empty() { more } else { format!("\r\n{more}") };
            let (status, headers, body) = ask(&host, &format!("{method} {path} HTTP/1.1\r\n{auth}{more}")).await;
            assert_eq!(status, want, "{method} {more}");
            assert_eq!(body, want_body, "{method} {more}");
            assert_eq!(of(&headers, "content-range"), want_range, "{method} {more}");
            if method == "HEAD" {
                assert_eq!(of(&headers, "content-length"), Some(length.to_string()));
            }
        }
        // clients without both path and password
        let mut strangers = Vec::new();
        for target in
            ["/", "/list.csv", &path[..path.len() - 1], "/../etc/passwd", &path.to_uppercase(), &format!("{path}/")]
        {
            let (status, mut headers, body) = ask(&host, &format!("GET {target} HTTP/1.1\r\n{auth}")).await;
            headers.retain(|(name, _)| name != "date");
            strangers.push((status, headers, body));
        }
        assert!(strangers.iter().all(|stranger| stranger.0 == 404 && *stranger == strangers[0]), "{strangers:?}");
        for auth in ["", "\r\nAuthorization: Basic eDp5", "\r\nAuthorization: Bearer x", "\r\nAuthorization: Basic"] {
            let (status, headers, body) = ask(&host, &format!("GET {path} HTTP/1.1{auth}")).await;
            assert_eq!((status, body.as_slice()), (401, b"user and password please\n".as_slice()));
            assert!(of(&headers, "www-authenticate").unwrap().starts_with("Basic"));
        }
    })
    .await;
    let scene = Scene::new(&vendor.url(), serving(), json!({}));
    let verdict = scene.deliver().await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Done);
    let uri = vendor.of("POST", "/")[0].json()["source"]["uri"].as_str().unwrap().to_owned();
    let (host, path, _) = taken_apart(&uri);
    assert!(
        path.split('/').nth(1).unwrap().len() == 32
            && path.split('/').nth(1).unwrap().bytes().all(|b| b.is_ascii_hexdigit())
    );
    assert!(tokio::net::TcpStream::connect(&host).await.is_err(), "it is closed with the ticket");
}

#[tokio::test]
async fn x11_a_cut_pull_can_be_repeated_and_slow_clients_block_no_one() {
    let people = format!("email,first\n{}", "someone@example.test,Some One\n".repeat(40_000));
    let vendor = pulling(|uri| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (host, path, auth) = taken_apart(&uri);
        let mut idle = Vec::new();
        for _ in 0..8 {
            let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
            stream.write_all(b"GET / HT").await.unwrap();
            idle.push(stream);
        }
        for _ in 0..3 {
            let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{auth}\r\n\r\n").as_bytes()).await.unwrap();
            let mut some = [0; 1000];
            stream.read_exact(&mut some).await.unwrap();
        }
        let (_, headers, body) = ask(&host, &format!("GET {path} HTTP/1.1\r\n{auth}")).await;
        let length: usize = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
        assert_eq!(body.len(), length);
        let (status, _, tail) = ask(&host, &format!("GET {path} HTTP/1.1\r\n{auth}\r\nRange: bytes=500000-")).await;
        assert_eq!((status, tail.as_slice()), (206, &body[500_000..]));
    })
    .await;
    let scene = Scene::of(&vendor.url(), serving(), json!({}), &people);
    assert_eq!(scene.deliver().await.unwrap().outcome, Outcome::Done);
}

#[tokio::test]
async fn a_resumed_run_serves_the_same_address_again() {
    let uris: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&uris);
    let vendor = pulling(move |uri| {
        let seen = Arc::clone(&seen);
        async move {
            let (host, path, auth) = taken_apart(&uri);
            let (status, _, body) = ask(&host, &format!("GET {path} HTTP/1.1\r\n{auth}")).await;
            assert_eq!((status, body.as_slice()), (200, CONVERTED.as_bytes()));
            seen.lock().unwrap().push(uri);
            if seen.lock().unwrap().len() == 1 {
                // the first run is killed while it waits
                std::future::pending::<()>().await;
            }
        }
    })
    .await;
    let scene = Scene::new(&vendor.url(), serving(), json!({}));
    let pulled = async {
        while uris.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        verdict = scene.deliver() => panic!("ended: {verdict:?}"),
        () = pulled => {}
    }
    assert_eq!(scene.deliver().await.unwrap().outcome, Outcome::Done);
    let uris = uris.lock().unwrap();
    assert_eq!(uris.len(), 2);
    assert_eq!(uris[0], uris[1]);
    assert_eq!(vendor.of("POST", "/").len(), 1, "the import is not asked for again");
}

#[tokio::test]
async fn a_source_that_changes_while_served_ends_the_run_and_is_cut() {
    let source: Arc<Mutex<PathBuf>> = Arc::default();
    let got: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let (path_of, seen) = (Arc::clone(&source), Arc::clone(&got));
    let vendor = pulling(move |uri| {
        let (file, seen) = (path_of.lock().unwrap().clone(), Arc::clone(&seen));
        async move {
            std::fs::write(&file, PEOPLE.replace("Cy", "Di")).unwrap();
            let (host, path, auth) = taken_apart(&uri);
            let (_, _, body) = ask(&host, &format!("GET {path} HTTP/1.1\r\n{auth}")).await;
            *seen.lock().unwrap() = Some(body);
            std::future::pending::<()>().await;
        }
    })
    .await;
    let scene = Scene::new(&vendor.url(), serving(), json!({}));
    *source.lock().unwrap() = scene.source.clone();
    let error = scene.deliver().await.unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged, "{error}");
    let mut tries = 0;
    while got.lock().unwrap().is_none() && tries < 500 {
        tries += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let body = got.lock().unwrap().clone().expect("the client hears of the end");
    assert!(body.len() < CONVERTED.len(), "a whole list left: {body:?}");
}

#[tokio::test]
async fn serving_needs_a_wait_and_a_free_port() {
    let vendor = Vendor::start(samples(|_| accepted())).await;
    let mut scene = Scene::new(&vendor.url(), serving(), json!({}));
    assert_eq!(scene.platform.plan(&scene.map).needs_wait, Some("destination.host.serve"));
    scene.policy.wait = Duration::ZERO;
    assert_eq!(scene.deliver().await.unwrap_err().kind(), Kind::Usage);
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = json!({"serve": {"listen": taken.local_addr().unwrap().to_string()}});
    let scene = Scene::new(&vendor.url(), host, json!({}));
    assert_eq!(scene.deliver().await.unwrap_err().kind(), Kind::Local);
    assert!(vendor.of("POST", "/").is_empty(), "nothing was asked for");
}

#[tokio::test]
async fn over_tls_the_list_is_served_to_who_trusts_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    type Pulled = Vec<(u16, Vec<u8>)>;
    let got: Arc<Mutex<Pulled>> = Arc::default();
    let (seen, ca) = (Arc::clone(&got), cert.clone());
    let vendor = pulling(move |uri| {
        let (seen, ca) = (Arc::clone(&seen), ca.clone());
        async move {
            let mut network = NetworkOptions::default();
            network.proxy = Proxy::None;
            network.ca_file = Some(ca);
            let client = Client::new(&network, &Timers::default()).unwrap();
            let (user_info, rest) = uri.strip_prefix("https://").unwrap().split_once('@').unwrap();
            let token = base64::engine::general_purpose::STANDARD.encode(user_info);
            for authorization in [format!("Basic {token}"), "Basic eDp5".to_owned()] {
                let request =
                    Request::new("GET", Secret::new(format!("https://{rest}"))).header("Authorization", &authorization);
                let answer = client.call(&request).await.map_err(|failed| failed.error).unwrap();
                seen.lock().unwrap().push((answer.status, answer.body));
            }
        }
    })
    .await;
    let serve = json!({"listen": free.to_string(), "public_url": format!("https://localhost:{}", free.port()),
        "tls_cert": cert.to_str().unwrap(), "tls_key": key.to_str().unwrap()});
    let scene = Scene::new(&vendor.url(), json!({ "serve": serve }), json!({}));
    assert_eq!(scene.deliver().await.unwrap().outcome, Outcome::Done);
    let got = got.lock().unwrap();
    assert_eq!(got[0], (200, CONVERTED.as_bytes().to_vec()));
    assert_eq!(got[1].0, 401);
}
