//! Uploads to servers that misbehave: `Content-Length`, early responses, `100 Continue`, timers, redirects.

use crate::transport_body::{MIB, Pattern, client, client_for, secret, timers};
use crate::transport_server::{Identity, Server};
use listferry::transport::{Client, Reach, Request};
use listferry::{Error, Kind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn put(url: &str) -> Request {
    Request::new("PUT", secret(url))
}

#[tokio::test]
async fn n24_the_head_is_byte_exact() {
    for length in [0_u64, 5] {
        let server = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            conn.read_body(length).await;
            conn.answer("200 OK", "").await;
        })
        .await;
        let path = "/b/vip%2Flist.csv//x/../y?X-Amz-Signature=ab%2Fc~d+e&X-Amz-Expires=86400";
        let request = put(&server.url(path)).header("X-Amz-Acl", "private");
        let answer = client(&timers()).upload(&request, Pattern::new(length)).await.unwrap();
        assert_eq!(answer.status, 200);
        let expected = format!(
            "PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUser-Agent: listferry/0.1.0\r\nX-Amz-Acl: private\r\nContent-Length: {length}\r\n\r\n",
            server.port
        );
        assert_eq!(server.ledger.head(0), expected);
    }
}

#[tokio::test]
async fn a_large_body_arrives_whole_and_in_order() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = seen.clone();
    let server = Server::plain(move |mut conn| {
        let keep = keep.clone();
        async move {
            use tokio::io::AsyncReadExt;
            conn.read_head().await;
            conn.grant().await;
            let mut got = vec![0; 3_000_000];
            conn.io.read_exact(&mut got).await.unwrap();
            *keep.lock().unwrap() = got;
            conn.answer("200 OK", "stored").await;
        }
    })
    .await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let frame = |c: &[u8]| Ok(http_body::Frame::data(bytes::Bytes::copy_from_slice(c)));
    let frames: Vec<_> = bytes.chunks(70_001).map(frame).collect();
    let body = Sized { body: http_body_util::StreamBody::new(futures_util::stream::iter(frames)), length: 3_000_000 };
    let answer = client(&timers()).upload(&put(&server.url("/")), body).await.unwrap();
    assert_eq!(answer.body, b"stored");
    assert!(*seen.lock().unwrap() == bytes);
}

struct Sized<B> {
    body: B,
    length: u64,
}

impl<B: http_body::Body<Data = bytes::Bytes, Error = Error> + Unpin> http_body::Body for Sized<B> {
    type Data = bytes::Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.length)
    }
}

/// Uploads 64 MiB to a server that refuses after 64 KiB and closes with the rest unread; `runs` times, several at once.
async fn early_refusals(client: Client, url: String, runs: usize) -> usize {
    let (seen, next) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (seen, next, client, url) = (seen.clone(), next.clone(), client.clone(), url.clone());
        workers.spawn(async move {
            while next.fetch_add(1, Ordering::SeqCst) < runs {
                let answer = client.upload(&put(&url), Pattern::new(64 * MIB)).await.unwrap();
                assert_eq!((answer.status, answer.body.as_slice()), (403, b"<Error>no</Error>".as_slice()));
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    seen.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n09_early_status_then_close_is_seen() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.grant().await;
        conn.read_body(64 * 1024).await;
        conn.answer("403 Forbidden", "<Error>no</Error>").await;
    })
    .await;
    assert_eq!(early_refusals(client(&timers()), server.url("/k?s=1"), 200).await, 200);
    assert_eq!(server.ledger.connections(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n09_early_status_then_close_is_seen_over_tls() {
    let identity = Identity::localhost();
    let server = Server::tls(&identity, |mut conn| async move {
        conn.read_head().await;
        conn.grant().await;
        conn.read_body(64 * 1024).await;
        conn.answer("403 Forbidden", "<Error>no</Error>").await;
    })
    .await;
    let client = client_for(&timers(), |network| network.ca_file = Some(identity.ca_file.clone()), &[]);
    assert_eq!(early_refusals(client, server.tls_url("/k?s=1"), 200).await, 200);
    assert_eq!(server.ledger.connections(), 200);
}

#[tokio::test]
async fn n08_early_status_with_the_socket_open_stops_the_body() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.grant().await;
        conn.read_body(64 * 1024).await;
        conn.answer("413 Payload Too Large", "too large").await;
        conn.read_body(u64::MAX).await;
    })
    .await;
    let body = Pattern::new(64 * MIB);
    let drawn = body.drawn();
    let answer = client(&timers()).upload(&put(&server.url("/")), body).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (413, b"too large".as_slice()));
    assert!(drawn.load(Ordering::SeqCst) < 48 * MIB, "{drawn:?}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(server.ledger.body_bytes() < 48 * MIB);
}

#[tokio::test]
async fn n10_success_before_the_whole_body_is_none() {
    for (granted, read) in [(false, 0), (true, 0), (true, 8 * MIB)] {
        let server = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            if granted {
                conn.grant().await;
            }
            conn.read_body(read).await;
            conn.answer("200 OK", "").await;
            conn.hang().await;
        })
        .await;
        let failed = client(&timers()).upload(&put(&server.url("/")), Pattern::new(64 * MIB)).await.unwrap_err();
        assert_eq!(failed.reach, Reach::EarlySuccess, "granted {granted}, read {read}");
        if !granted {
            assert_eq!(server.ledger.body_bytes(), 0);
        }
    }
}

#[tokio::test]
async fn n11_a_silent_server_gets_the_body_after_a_second() {
    let server = Server::plain(|mut conn| async move {
        let head = conn.read_head().await;
        assert!(head.contains("\r\nExpect: 100-continue\r\n"));
        assert_eq!(conn.read_body(MIB).await, MIB);
        conn.answer("200 OK", "").await;
    })
    .await;
    let start = Instant::now();
    let answer = client(&timers()).upload(&put(&server.url("/")), Pattern::new(MIB)).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(950));
}

#[tokio::test]
async fn n11_nothing_of_the_body_goes_before_100() {
    let server = Server::plain(|mut conn| async move {
        use tokio::io::AsyncReadExt;
        conn.read_head().await;
        conn.write("HTTP/1.1 103 Early Hints\r\n\r\n").await;
        let mut one = [0];
        let early = tokio::time::timeout(Duration::from_millis(300), conn.io.read(&mut one)).await;
        assert!(early.is_err(), "a byte came before 100");
        conn.grant().await;
        assert_eq!(conn.read_body(MIB).await, MIB);
        conn.answer("201 Created", "").await;
    })
    .await;
    let answer = client(&timers()).upload(&put(&server.url("/")), Pattern::new(MIB)).await.unwrap();
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn n11_a_final_status_instead_of_100_gets_no_byte_of_the_body() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.answer("403 Forbidden", "expired").await;
        conn.read_body(u64::MAX).await;
    })
    .await;
    let body = Pattern::new(64 * MIB);
    let drawn = body.drawn();
    let answer = client(&timers()).upload(&put(&server.url("/")), body).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (403, b"expired".as_slice()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((server.ledger.body_bytes(), drawn.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn n11_417_means_once_more_without_expect() {
    let server = Server::plain(|mut conn| async move {
        if conn.read_head().await.contains("Expect") {
            return conn.answer("417 Expectation Failed", "").await;
        }
        assert_eq!(conn.read_body(MIB).await, MIB);
        conn.answer("200 OK", "").await;
    })
    .await;
    let client = client(&timers());
    assert_eq!(client.upload(&put(&server.url("/")), Pattern::new(MIB)).await.unwrap().status, 200);
    assert_eq!(server.ledger.connections(), 2);
    // known from then on
    assert_eq!(client.upload(&put(&server.url("/")), Pattern::new(MIB)).await.unwrap().status, 200);
    assert_eq!(server.ledger.connections(), 3);
}

#[tokio::test]
async fn n11_a_server_that_dies_after_100_is_lost() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.grant().await;
    })
    .await;
    let failed = client(&timers()).upload(&put(&server.url("/?X-Amz-Signature=canary")), Pattern::new(64 * MIB)).await;
    let failed = failed.unwrap_err();
    assert_eq!((failed.reach, failed.error.kind()), (Reach::Lost, Kind::Transient));
    assert!(!format!("{failed:?}").contains("canary"), "{failed:?}");
}

#[tokio::test]
async fn n04_a_reset_in_the_body_is_lost() {
    for at in [0, 1, MIB, 4 * MIB - 1] {
        let server = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            conn.grant().await;
            conn.read_body(at).await;
        })
        .await;
        let failed = client(&timers()).upload(&put(&server.url("/")), Pattern::new(4 * MIB)).await.unwrap_err();
        assert_eq!(failed.reach, Reach::Lost, "at {at}: {failed:?}");
    }
}

#[tokio::test]
async fn n05_a_server_that_stops_reading_is_given_up() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.grant().await;
        conn.read_body(MIB).await;
        conn.hang().await;
    })
    .await;
    let mut timers = timers();
    timers.stall = Duration::from_millis(300);
    let failed = client(&timers).upload(&put(&server.url("/")), Pattern::new(64 * MIB)).await.unwrap_err();
    assert_eq!(failed.reach, Reach::Lost);
    assert!(failed.error.message().contains("took nothing for 300ms"), "{failed:?}");
}

#[tokio::test]
async fn n06_a_slow_but_steady_reader_is_never_killed() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.grant().await;
        // 8 MiB in about 3 s: the pauses are shorter than the stall timer, the whole is far longer than every timer
        let mut left = 8 * MIB;
        while left > 0 {
            left -= conn.read_body(left.min(256 * 1024)).await;
            tokio::time::sleep(Duration::from_millis(90)).await;
        }
        conn.answer("200 OK", "").await;
    })
    .await;
    let mut timers = timers();
    timers.stall = Duration::from_millis(1500);
    timers.response = Duration::from_millis(1000);
    let answer = client(&timers).upload(&put(&server.url("/")), Pattern::new(8 * MIB)).await.unwrap();
    assert_eq!(answer.status, 200);
}

/// A body so small that the kernels buffer much of it: the response timer must not expire while they do.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn n06_a_slow_reader_of_a_small_body_is_not_killed_by_the_answer_timer() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.grant().await;
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            conn.read_body(64 * 1024).await;
        }
        conn.answer("200 OK", "").await;
    })
    .await;
    let mut timers = timers();
    timers.response = Duration::from_millis(300);
    let answer = client(&timers).upload(&put(&server.url("/")), Pattern::new(384 * 1024)).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn n07_the_answer_has_its_own_timer_on_both_sides() {
    for (pause, answered) in [(200, true), (3000, false)] {
        let server = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            conn.grant().await;
            conn.read_body(2 * MIB).await;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            conn.answer("200 OK", "").await;
        })
        .await;
        let mut timers = timers();
        timers.response = Duration::from_millis(1000);
        let result = client(&timers).upload(&put(&server.url("/")), Pattern::new(2 * MIB)).await;
        match result {
            Ok(answer) => assert!(answered && answer.status == 200),
            Err(failed) => assert!(!answered && failed.reach == Reach::Lost, "{failed:?}"),
        }
    }
}

#[tokio::test]
async fn a_body_that_fails_keeps_its_error_and_never_arrives_whole() {
    let changed = || Error::new(Kind::SourceChanged, "the source is another");
    let cases = [
        (Pattern::new(4 * MIB).holding(2 * MIB).failing(changed()), Kind::SourceChanged),
        // fails after its last byte, which must not have been sent
        (Pattern::new(4 * MIB).failing(changed()), Kind::SourceChanged),
        (Pattern::new(4 * MIB).holding(4 * MIB - 1), Kind::Local),
        (Pattern::new(4 * MIB).holding(4 * MIB + 1), Kind::Local),
    ];
    for (body, kind) in cases {
        let server = Server::plain(|mut conn| async move {
            conn.read_head().await;
            conn.grant().await;
            conn.read_body(4 * MIB).await;
            conn.answer("200 OK", "").await;
        })
        .await;
        let failed = client(&timers()).upload(&put(&server.url("/")), body).await.unwrap_err();
        assert_eq!((failed.reach, failed.error.kind()), (Reach::Body, kind));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(server.ledger.body_bytes() < 4 * MIB);
    }
}

#[tokio::test]
async fn a_small_body_that_fails_makes_no_connection() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
    })
    .await;
    let body = Pattern::new(1000).failing(Error::new(Kind::SourceChanged, "the source is another"));
    let failed = client(&timers()).upload(&put(&server.url("/")), body).await.unwrap_err();
    assert_eq!((failed.reach, failed.error.kind()), (Reach::Body, Kind::SourceChanged));
    assert_eq!(server.ledger.connections(), 0);
}

#[tokio::test]
async fn max_rate_is_kept() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.read_body(50_000).await;
        conn.answer("200 OK", "").await;
    })
    .await;
    let mut timers = timers();
    timers.max_rate = Some(100_000);
    let start = Instant::now();
    assert_eq!(client(&timers).upload(&put(&server.url("/")), Pattern::new(50_000)).await.unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn n12_other_redirects_are_answers() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        let location = "Location: http://127.0.0.1:1/other?canary=1";
        conn.write(&format!("HTTP/1.1 303 See Other\r\n{location}\r\nContent-Length: 0\r\n\r\n")).await;
    })
    .await;
    let answer = client(&timers()).upload(&put(&server.url("/")).follow_one(), Pattern::new(MIB)).await.unwrap();
    assert_eq!((answer.status, answer.redirect_host().as_deref()), (303, Some("127.0.0.1:1")));
    assert_eq!((server.ledger.connections(), server.ledger.body_bytes()), (1, 0));
}

#[tokio::test]
async fn n13_one_307_to_the_same_origin_is_followed_before_the_body() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        if conn.index < 2 {
            let to = format!("/moved{}?sig=a%2Fb", conn.index);
            return conn.write(&format!("HTTP/1.1 307 Temporary\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")).await;
        }
        conn.grant().await;
        conn.read_body(MIB).await;
        conn.answer("200 OK", "").await;
    })
    .await;
    let client = client(&timers());
    // not asked for: the redirect is returned
    assert_eq!(client.upload(&put(&server.url("/k")), Pattern::new(MIB)).await.unwrap().status, 307);
    // asked for: the redirect is followed
    let request = put(&server.url("/k")).follow_one();
    assert_eq!(client.upload(&request, Pattern::new(MIB)).await.unwrap().status, 200);
    assert!(server.ledger.head(2).starts_with("PUT /moved1?sig=a%2Fb HTTP/1.1\r\n"));
    assert_eq!(server.ledger.heads(), 3);
}

/// A body in memory can be sent again, wherever the redirect occurs.
#[tokio::test]
async fn n13_a_small_body_follows_a_307_that_comes_after_it() {
    const LENGTH: u64 = 5000;
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.read_body(LENGTH).await;
        if conn.index == 0 {
            return conn.write("HTTP/1.1 307 Temporary\r\nLocation: /moved\r\nContent-Length: 0\r\n\r\n").await;
        }
        conn.answer("200 OK", "").await;
    })
    .await;
    let request = put(&server.url("/k")).follow_one();
    assert_eq!(client(&timers()).upload(&request, Pattern::new(LENGTH)).await.unwrap().status, 200);
    assert!(server.ledger.head(1).starts_with("PUT /moved HTTP/1.1\r\n"));
    assert_eq!((server.ledger.heads(), server.ledger.body_bytes()), (2, 2 * LENGTH));
}

#[tokio::test]
async fn n13_a_second_redirect_and_another_plain_origin_are_not_followed() {
    let other = Server::plain(|mut conn| async move {
        conn.read_head().await;
    })
    .await;
    let elsewhere = other.url("/x");
    let server = Server::plain(move |mut conn| {
        let to = if conn.index == 0 { elsewhere.clone() } else { "/again".to_owned() };
        async move {
            conn.read_head().await;
            conn.write(&format!("HTTP/1.1 308 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")).await;
        }
    })
    .await;
    let client = client(&timers());
    for heads in [1, 3] {
        let answer = client.upload(&put(&server.url("/")).follow_one(), Pattern::new(MIB)).await.unwrap();
        assert_eq!((answer.status, server.ledger.heads()), (308, heads));
    }
    assert_eq!(other.ledger.connections(), 0);
}

#[tokio::test]
async fn n13_a_redirect_to_another_https_origin_gets_no_credentials() {
    let identity = Identity::localhost();
    let other = Server::tls(&identity, |mut conn| async move {
        conn.read_head().await;
        conn.grant().await;
        conn.read_body(MIB).await;
        conn.answer("200 OK", "").await;
    })
    .await;
    let to = other.tls_url("/moved?sig=1");
    let server = Server::tls(&identity, move |mut conn| {
        let to = to.clone();
        async move {
            conn.read_head().await;
            conn.write(&format!("HTTP/1.1 307 Temporary\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")).await;
        }
    })
    .await;
    let client = client_for(&timers(), |network| network.ca_file = Some(identity.ca_file.clone()), &[]);
    let request = put(&server.tls_url("/?X-Amz-Signature=canary"))
        .header("Authorization", "Basic canary")
        .header("X-CleverTap-Passcode", "canary")
        .header("X-Amz-Security-Token", "canary")
        .header("Content-Type", "text/csv")
        .follow_one();
    assert_eq!(client.upload(&request, Pattern::new(MIB)).await.unwrap().status, 200);
    let head = other.ledger.head(0);
    let expected = format!(
        "PUT /moved?sig=1 HTTP/1.1\r\nHost: localhost:{}\r\nUser-Agent: listferry/0.1.0\r\nContent-Type: text/csv\r\nContent-Length: {MIB}\r\nExpect: 100-continue\r\n\r\n",
        other.port
    );
    assert_eq!(head, expected);
}
