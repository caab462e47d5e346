//! Responses as real servers send them: in a coding that was not asked for, with a thousand fields, with a checksum of
//! the stored bytes, with unusable addresses; and refusals of proxies.

use crate::transport_body::{Pattern, client, client_for, secret, timers};
use crate::transport_server::{Conn, Server};
use flate2::Compression;
use flate2::write::GzEncoder;
use listferry::Kind;
use listferry::calls::{Call, JobSeed, MemoryJournal, Policy, Remote, Reply, RetrySafety};
use listferry::transport::{Proxy, Reach, Request};
use std::io::Write as _;
use tokio::io::AsyncWriteExt as _;

fn get(url: &str) -> Request {
    Request::new("GET", secret(url))
}

fn member(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Answers with a coded body of exact length.
async fn coded(conn: &mut Conn, status: &str, coding: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = conn.io.write_all(&[head.as_bytes(), body].concat()).await;
    let _ = conn.io.flush().await;
}

async fn server_of(status: &'static str, coding: &'static str, body: Vec<u8>) -> Server {
    Server::plain(move |mut conn| {
        let body = body.clone();
        async move {
            conn.read_head().await;
            coded(&mut conn, status, coding, &body).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_small_answer_in_gzip_is_decoded_whole() {
    let body = [member(b"{\"a\":"), member(b"1}")].concat();
    for (status, code) in [("200 OK", 200), ("400 Bad Request", 400)] {
        let server = server_of(status, "gzip", body.clone()).await;
        let answer = client(&timers()).call(&get(&server.url("/"))).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (code, b"{\"a\":1}".as_slice()));
        assert!(!server.ledger.head(0).to_ascii_lowercase().contains("accept-encoding"), "no coding is asked for");
    }
    let server = server_of("204 No Content", "gzip", Vec::new()).await;
    assert_eq!(client(&timers()).call(&get(&server.url("/"))).await.unwrap().body, b"");
}

#[tokio::test]
async fn a_streamed_answer_in_gzip_is_decoded_whole() {
    let text: Vec<u8> = (0..300_000u32).flat_map(|n| n.to_le_bytes()).collect();
    let (first, second) = text.split_at(700_001);
    let server = server_of("200 OK", "x-gzip", [member(first), member(second)].concat()).await;
    let mut answer = client(&timers()).stream(&get(&server.url("/"))).await.unwrap();
    let mut came = Vec::new();
    while let Some(piece) = answer.chunk().await.unwrap() {
        came.extend_from_slice(&piece);
    }
    assert!(came == text, "{} of {} bytes", came.len(), text.len());
}

#[tokio::test]
async fn damaged_gzip_and_other_codings_are_no_success() {
    let whole = member(b"{\"id\":7}");
    let mut flipped = whole.clone();
    let at = flipped.len() - 5;
    flipped[at] ^= 1;
    for (coding, body) in [
        ("gzip", whole[..whole.len() - 3].to_vec()),
        ("gzip", flipped),
        ("gzip", [whole.clone(), b"junk".to_vec()].concat()),
        ("gzip", b"{\"id\":7}".to_vec()),
        ("br", whole.clone()),
        ("gzip, gzip", whole.clone()),
    ] {
        let server = server_of("200 OK", coding, body.clone()).await;
        let failed = client(&timers()).call(&get(&server.url("/"))).await.unwrap_err();
        assert_eq!(failed.reach, Reach::Lost, "{coding} {body:?}");
        let streamed = async {
            let mut answer = client(&timers()).stream(&get(&server.url("/"))).await?;
            while answer.chunk().await?.is_some() {}
            Ok::<_, listferry::transport::Failed>(())
        };
        assert_eq!(streamed.await.unwrap_err().reach, Reach::Lost, "{coding} {body:?}");
        // the status of a refusal counts, whatever its body is
        let server = server_of("403 Forbidden", coding, body).await;
        assert_eq!(client(&timers()).call(&get(&server.url("/"))).await.unwrap().status, 403);
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_an_answer_that_is_too_large() {
    let bomb = member(&vec![0; 100 << 20]);
    let server = server_of("200 OK", "gzip", bomb.clone()).await;
    let failed = client(&timers()).call(&get(&server.url("/"))).await.unwrap_err();
    assert!(failed.error.message().contains("larger than 1048576 bytes"), "{failed:?}");
    let mut answer = client(&timers()).stream(&get(&server.url("/"))).await.unwrap();
    let mut decoded = 0;
    let failed = loop {
        match answer.chunk().await {
            Ok(piece) => decoded += piece.expect("the bomb has no end").len(),
            Err(failed) => break failed,
        }
    };
    assert!(failed.error.message().contains("200 times") && decoded < 70 << 20, "{failed:?} after {decoded}");
}

#[tokio::test]
async fn a_thousand_header_fields_are_read_and_no_more() {
    for (fields, taken) in [(101, true), (1000, true), (1001, false)] {
        let server = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            let filler: String = (0..fields - 2).map(|n| format!("X-Filler-{n:04}: {}\r\n", "v".repeat(80))).collect();
            conn.write(&format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{filler}X-Last: here\r\n\r\nok")).await;
        })
        .await;
        match client(&timers()).call(&get(&server.url("/"))).await {
            Ok(answer) => {
                assert!(taken && answer.headers.len() == fields, "{fields}: {}", answer.headers.len());
                assert_eq!((answer.header("x-last"), answer.body.as_slice()), (Some("here"), b"ok".as_slice()));
            }
            Err(failed) => {
                assert!(!taken && failed.error.message().contains("more than 1000 fields"), "{fields}: {failed:?}");
            }
        }
    }
}

/// Accepts a body and answers with a checksum, a different one for each connection.
async fn storage(length: u64, checksums: &'static [&'static str]) -> Server {
    Server::plain(move |mut conn| async move {
        conn.read_head().await;
        conn.read_body(length).await;
        let checksum = checksums[conn.index.min(checksums.len() - 1)];
        conn.write(&format!("HTTP/1.1 200 OK\r\n{checksum}Content-Length: 0\r\n\r\n")).await;
    })
    .await
}

/// Makes a PUT as a platform does; returns how it ended, and the number of connections.
async fn put(server: &Server, length: u64) -> (Option<Kind>, usize) {
    let seed = JobSeed { run_id: "r".to_owned(), random: "0f".repeat(16), date: "2026-11-21".to_owned() };
    let (journal, client) = (MemoryJournal::default(), client(&timers()));
    let remote = Remote::new(&seed, &journal, &client, Policy::default());
    let request = Request::new("PUT", secret(server.url("/b/k")));
    let classify = |answer: &listferry::transport::Answer| match answer.status {
        200 => Reply::Done(serde_json::json!({})),
        _ => Reply::by_status("the PUT", answer),
    };
    let call = Call::new("put", RetrySafety::Always);
    let sent = remote.send(&call, &request, 0, &|| Pattern::new(length), &classify).await;
    (sent.err().map(|error| error.kind()), server.ledger.connections())
}

#[tokio::test]
async fn a_storage_that_confirms_other_bytes_has_failed() {
    const RIGHT: &str = "x-amz-checksum-crc64nvme: {right}\r\n";
    const WRONG: &str = "x-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\nx-amz-checksum-type: FULL_OBJECT\r\n";
    let right: &'static str = RIGHT.replace("{right}", &crc64nvme_base64(b"xxx")).leak();
    let once_wrong: &'static [&'static str] = vec![WRONG, right].leak();
    for (checksums, want) in [
        (&[right][..], (None, 1)),
        (once_wrong, (None, 2)),
        (&[WRONG][..], (Some(Kind::Refused), 2)),
        (&["x-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\nx-amz-checksum-type: COMPOSITE\r\n"][..], (None, 1)),
        (&[""][..], (None, 1)),
    ] {
        let checksums: &'static [&'static str] = checksums.to_vec().leak();
        let server = storage(3, checksums).await;
        assert_eq!(put(&server, 3).await, want, "{checksums:?}");
    }
}

/// Computes the CRC bit by bit, from the parameters of the CRC catalogue: reflected polynomial, all ones in and out.
fn crc64nvme_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let mut crc = !0u64;
    for byte in bytes {
        crc ^= u64::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x9a6c_9329_ac4b_c9b5 } else { crc >> 1 };
        }
    }
    base64::engine::general_purpose::STANDARD.encode((!crc).to_be_bytes())
}

#[tokio::test]
async fn an_address_in_an_answer_that_cannot_be_used_is_refused() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.answer("200 OK", "").await;
    })
    .await;
    let client = client(&timers());
    let outside = "https://api.example/";
    for (url, base) in [
        ("https://s.example:0/k?X-Amz-Signature=canary", outside),
        ("https://s.example:99999/k", outside),
        ("https://s.example/a b?X-Amz-Signature=canary", outside),
        ("not a URL", outside),
        ("ftp://s.example/k", outside),
        ("http://s.example/k", outside),
        ("http://169.254.169.254/latest/meta-data", outside),
        ("http://169.254.169.254/latest/meta-data", "http://127.0.0.1:9/"),
        ("https://[fe80::1]/k", "http://127.0.0.1:9/"),
        ("http://s.example/k", "http://127.0.0.1:9/"),
        ("https://127.0.0.1/k", "https://93.184.216.34/"),
        ("https://10.1.2.3/k", "https://93.184.216.34/"),
        ("https://localhost/k", "https://93.184.216.34/"),
    ] {
        let request = Request::new("PUT", secret(url)).supplied_by(base);
        for failed in
            [client.call(&request).await.unwrap_err(), client.upload(&request, Pattern::new(3)).await.unwrap_err()]
        {
            assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Refused), "{url}: {failed:?}");
            let hint = failed.error.hint().unwrap_or_default();
            assert!(!hint.contains("allow_http") && !format!("{failed:?}").contains("canary"), "{url}: {failed:?}");
        }
    }
    // an unusable address from the user is a usage error
    let failed = client.call(&get("https://s.example:0/k")).await.unwrap_err();
    assert_eq!(failed.error.kind(), Kind::Usage);
    assert_eq!(server.ledger.connections(), 0);
    let spaced =
        Request::new("PUT", secret(format!("  {}\n", server.url("/k?s=1")))).supplied_by("http://127.0.0.1:9/");
    assert_eq!(client.upload(&spaced, Pattern::new(0)).await.unwrap().status, 200);
    assert!(
        server.ledger.head(0).starts_with("PUT /k?s=1 HTTP/1.1\r\n"),
        "white space around it does not belong to it"
    );
}

/// It said "no connection to 127.0.0.1:…" alone, an address that the job file does not have.
#[tokio::test]
async fn a_proxy_that_is_not_reached_is_named_with_its_setting() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (at, words) in [
        (format!("http://{closed}"), format!("no connection to {closed}")),
        (format!("https://{closed}"), format!("no connection to {closed}")),
        ("http://no-such-proxy.invalid:3128".to_owned(), "no-such-proxy.invalid could not be resolved".to_owned()),
    ] {
        let client = client_for(&timers(), |_| {}, &[("HTTPS_PROXY", at)]);
        let failed = client.call(&get("https://api.example/x")).await.unwrap_err();
        assert_eq!((failed.reach, failed.error.kind()), (Reach::NotConnected, Kind::Transient), "{failed:?}");
        let said = failed.error.message();
        assert!(said.starts_with("the proxy, named by HTTPS_PROXY: ") && said.contains(&words), "{said}");
    }
}

#[tokio::test]
async fn the_refusal_of_a_proxy_is_not_the_platforms() {
    for (status, headers, platform) in [
        ("407 Proxy Authentication Required", "", false),
        ("401 Unauthorized", "Server: tinyproxy/1.11.1\r\n", false),
        ("401 Unauthorized", "", false),
        ("403 Filtered", "Server: tinyproxy/1.11.1\r\n", false),
        ("403 Forbidden", "X-Squid-Error: ERR_ACCESS_DENIED 0\r\n", false),
        ("401 Unauthorized", "WWW-Authenticate: Basic\r\nVia: 1.1 tinyproxy (tinyproxy/1.11.1)\r\n", true),
        ("403 Forbidden", "Via: 1.1 squid\r\n", true),
    ] {
        let proxy = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            conn.write(&format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n")).await;
        })
        .await;
        let at = format!("http://127.0.0.1:{}", proxy.port);
        let client = client_for(&timers(), |network| network.allow_http = true, &[("HTTP_PROXY", at)]);
        match client.call(&get("http://api.example/x")).await {
            Ok(answer) => assert!(platform && matches!(answer.status, 401 | 403), "{status} {headers}"),
            Err(failed) => {
                assert!(!platform, "{status} {headers}: {failed:?}");
                assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Refused));
                let text = format!("{failed:?}");
                assert!(text.contains(&format!("127.0.0.1:{}", proxy.port)) && text.contains("HTTP_PROXY"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_of_a_kind_that_is_not_supported_is_named() {
    let at = "socks5h://us:c4n4ry@127.0.0.1:1080".to_owned();
    let client = client_for(&timers(), |network| network.proxy = Proxy::Env, &[("ALL_PROXY", at)]);
    let failed = client.call(&get("https://api.example/x")).await.unwrap_err();
    let text = format!("{failed:?}");
    assert_eq!(failed.error.kind(), Kind::Usage);
    assert!(text.contains("ALL_PROXY: socks5h proxies are not supported") && !text.contains("c4n4ry"), "{text}");
    assert!(failed.error.hint().unwrap().contains("https://"), "{text}");
}

#[tokio::test]
async fn a_header_that_the_url_demands_is_missed_before_anything_is_sent() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.answer("200 OK", "").await;
    })
    .await;
    let client = client(&timers());
    let url = server.url("/k?X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-content-sha256&X-Amz-Signature=0abc");
    let request = Request::new("PUT", secret(url));
    let failed = client.upload(&request, Pattern::new(0)).await.unwrap_err();
    assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Usage));
    assert!(failed.error.message().contains("content-type"), "{failed:?}");
    let supplied = request.clone().supplied_by("http://127.0.0.1:9/");
    assert_eq!(client.upload(&supplied, Pattern::new(0)).await.unwrap_err().error.kind(), Kind::Refused);
    assert_eq!(server.ledger.connections(), 0);
    let answer = client.upload(&request.header("Content-Type", "text/csv"), Pattern::new(0)).await.unwrap();
    assert_eq!(answer.status, 200);
    let head = server.ledger.head(0);
    assert!(head.contains("\r\nContent-Type: text/csv\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n"), "{head}");
    let azure = Request::new("PUT", secret(server.url("/c/b?sv=2024-11-04&sr=b&sig=ab")));
    client.upload(&azure, Pattern::new(0)).await.unwrap();
    assert!(server.ledger.head(1).contains("\r\nX-Ms-Blob-Type: BlockBlob\r\n"), "{}", server.ledger.head(1));
}
