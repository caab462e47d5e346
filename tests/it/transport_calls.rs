//! Small calls and streamed responses: truncated, huge and late responses, names, proxies, and what must never be shown
//! or sent.

use crate::transport_body::{client, client_for, secret, timers};
use crate::transport_server::Server;
use listferry::Kind;
use listferry::transport::{Proxy, Reach, Request};
use std::time::Duration;

const CANARY: &str = "c4n4ry";

fn get(url: &str) -> Request {
    Request::new("GET", secret(url))
}

fn post(url: &str) -> Request {
    Request::new("POST", secret(url))
}

#[tokio::test]
async fn n24_the_heads_of_calls_are_byte_exact() {
    let server = Server::plain(|mut conn| async move {
        let head = conn.read_head().await;
        if head.contains("Content-Length: 4") {
            conn.read_body(4).await;
        }
        conn.answer("200 OK", "{}").await;
    })
    .await;
    let client = client(&timers());
    let host = format!("Host: 127.0.0.1:{}\r\nUser-Agent: listferry/{}\r\n", server.port, env!("CARGO_PKG_VERSION"));
    let url = server.url("/1/x?a=%20b");
    assert_eq!(client.call(&get(&url).header("X-Key", "v")).await.unwrap().body, b"{}");
    assert_eq!(server.ledger.head(0), format!("GET /1/x?a=%20b HTTP/1.1\r\n{host}X-Key: v\r\n\r\n"));
    client.call(&post(&url).body("{..}")).await.unwrap();
    assert_eq!(server.ledger.head(1), format!("POST /1/x?a=%20b HTTP/1.1\r\n{host}Content-Length: 4\r\n\r\n"));
    client.call(&post(&url)).await.unwrap();
    assert_eq!(server.ledger.head(2), format!("POST /1/x?a=%20b HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n"));
    // N23: a fresh connection for each.
    assert_eq!(server.ledger.connections(), 3);
}

#[tokio::test]
async fn user_info_becomes_a_header() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.answer("200 OK", "").await;
    })
    .await;
    let url = format!("http://user:p%40ss@127.0.0.1:{}/x", server.port);
    client(&timers()).call(&get(&url)).await.unwrap();
    assert!(server.ledger.head(0).contains("\r\nAuthorization: Basic dXNlcjpwQHNz\r\n"));
    assert!(server.ledger.head(0).starts_with("GET /x HTTP/1.1\r\n"));
}

#[tokio::test]
async fn n17_a_cut_success_is_lost_and_a_cut_refusal_keeps_its_status() {
    let cuts = ["Content-Length: 50\r\n\r\n{\"activity_id\": \"12", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"];
    for cut in cuts {
        for status in ["202 Accepted", "403 Forbidden"] {
            let server = Server::plain(move |mut conn| async move {
                conn.read_head().await;
                conn.write(&format!("HTTP/1.1 {status}\r\n{cut}")).await;
            })
            .await;
            match client(&timers()).call(&post(&server.url("/"))).await {
                Ok(answer) => assert_eq!(answer.status, 403),
                Err(failed) => {
                    assert!(status.starts_with("202"), "{failed:?}");
                    assert_eq!(failed.reach, Reach::Lost);
                }
            }
        }
    }
}

#[tokio::test]
async fn n17_no_answer_and_no_http_are_lost() {
    for text in
        ["", "HTTP/1.1 200", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"]
    {
        let server = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            conn.write(text).await;
        })
        .await;
        let failed = client(&timers()).call(&post(&server.url("/"))).await.unwrap_err();
        assert_eq!(failed.reach, Reach::Lost, "{text:?}");
    }
}

#[tokio::test]
async fn n18_endless_answers_end() {
    let scripts: [(&str, &str); 4] = [
        ("HTTP/1.1 200 OK\r\n\r\n", "0123456789abcdef"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n"),
        ("HTTP/1.1 200 OK\r\nX-Long: ", "0123456789abcdef"),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    ];
    for (head, again) in scripts {
        let server = Server::plain(move |mut conn| async move {
            use tokio::io::AsyncWriteExt;
            conn.read_head().await;
            conn.write(head).await;
            let block = again.repeat(1024);
            while conn.io.write_all(block.as_bytes()).await.is_ok() {}
        })
        .await;
        let ended = tokio::time::timeout(Duration::from_secs(20), client(&timers()).call(&get(&server.url("/")))).await;
        let failed = ended.expect("it ends").unwrap_err();
        assert_eq!((failed.reach, failed.error.kind()), (Reach::Lost, Kind::Refused), "{head}{again}: {failed:?}");
    }
}

#[tokio::test]
async fn an_overlong_refusal_is_cut_to_a_mebibyte() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.answer("500 Oops", &"x".repeat(3 << 20)).await;
    })
    .await;
    let answer = client(&timers()).call(&get(&server.url("/"))).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (500, 1 << 20));
}

#[tokio::test]
async fn a_call_waits_for_its_answer_no_longer_than_the_response_timer() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.hang().await;
    })
    .await;
    let mut timers = timers();
    timers.response = Duration::from_millis(200);
    let failed = client(&timers).call(&get(&server.url("/"))).await.unwrap_err();
    assert_eq!(failed.reach, Reach::Lost);
    assert!(failed.error.message().contains("no answer within 200ms"), "{failed:?}");
}

#[tokio::test]
async fn calls_follow_no_redirect() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.write("HTTP/1.1 307 Go\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let answer = client(&timers()).call(&post(&server.url("/")).body("x").follow_one()).await.unwrap();
    assert_eq!((answer.status, server.ledger.connections()), (307, 1));
}

#[tokio::test]
async fn a_stream_ends_only_where_its_end_is_proven() {
    let answers = [
        ("Content-Length: 5\r\n\r\nhello", true, true),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true, true),
        ("Content-Length: 9\r\n\r\nhello", true, false),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true, false),
        ("\r\nhello", false, false),
    ];
    for (answer, proven, whole) in answers {
        let server = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            conn.write(&format!("HTTP/1.1 200 OK\r\n{answer}")).await;
        })
        .await;
        let client = client(&timers());
        for accept in [false, true] {
            let mut stream = client.stream(&get(&server.url("/"))).await.unwrap();
            assert_eq!((stream.status, stream.has_proven_end()), (200, proven));
            if accept {
                stream.accept_close_as_end();
            }
            let mut got = Vec::new();
            let end = loop {
                match stream.chunk().await {
                    Ok(Some(piece)) => got.extend_from_slice(&piece),
                    Ok(None) => break true,
                    Err(failed) => {
                        assert_eq!(failed.reach, Reach::Lost);
                        break false;
                    }
                }
            };
            assert_eq!(got, b"hello", "{answer:?}");
            assert_eq!(end, whole || (accept && !proven), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn n01_n02_an_unreachable_host_is_not_connected() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = client(&timers());
    for url in [format!("http://127.0.0.1:{closed}/?{CANARY}"), format!("https://absent.invalid/?{CANARY}")] {
        let failed = client.call(&post(&url)).await.unwrap_err();
        assert_eq!((failed.reach, failed.error.kind()), (Reach::NotConnected, Kind::Transient), "{failed:?}");
        assert!(!format!("{failed:?}").contains(CANARY));
        let host = if url.contains("invalid") { "absent.invalid" } else { "127.0.0.1" };
        assert!(failed.error.message().contains(host));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn n02_a_connection_that_is_never_taken_has_its_own_timer() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // a full backlog: further handshakes get no answer
    let mut filled = Vec::new();
    while let Ok(taken) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        filled.push(taken);
        assert!(filled.len() < 64, "the backlog never fills");
    }
    let mut timers = timers();
    timers.connect = Duration::from_millis(300);
    let failed = client(&timers).call(&get(&format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(failed.reach, Reach::NotConnected);
    assert!(failed.error.message().contains("within 300ms"), "{failed:?}");
}

#[tokio::test]
async fn an_unsendable_request_is_permanent_and_not_shown() {
    let client = client(&timers());
    let requests = [
        get(&format!("http://192.0.2.1/?{CANARY}")),
        get(&format!("ftp://127.0.0.1/?{CANARY}")),
        get(&format!("http://127.0.0.1:1/?{CANARY} x")),
        get("http://127.0.0.1:1/").header("Api-Key", &format!("{CANARY}\nX: y")),
        get("http://127.0.0.1:1/").header(&format!("{CANARY}\n"), "x"),
    ];
    for request in requests {
        let failed = client.call(&request).await.unwrap_err();
        assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Usage), "{failed:?}");
        assert!(!format!("{failed:?}{}", failed.error).contains(CANARY));
    }
    let failed = client.call(&get("http://127.0.0.1:1/").header("Transfer-Encoding", "chunked")).await.unwrap_err();
    assert_eq!(failed.reach, Reach::Permanent);
}

#[tokio::test]
async fn x05_an_answer_cannot_send_us_inside() {
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.answer("200 OK", "").await;
    })
    .await;
    let client = client(&timers());
    // `localhost` is recognised by its name, an address by its range
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/x", server.port);
        for base in ["http://93.184.216.34/", "https://93.184.216.34/"] {
            let failed = client.call(&get(&url).supplied_by(base)).await.unwrap_err();
            assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Refused));
        }
    }
    assert_eq!(server.ledger.connections(), 0);
    assert_eq!(client.call(&get(&server.url("/")).supplied_by("http://127.0.0.1:9/")).await.unwrap().status, 200);
}

#[tokio::test]
async fn n22_proxy_variables_do_not_touch_loopback() {
    let proxy = Server::plain(|mut conn| async move {
        conn.read_head().await;
    })
    .await;
    let server = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.answer("200 OK", "").await;
    })
    .await;
    let at = format!("http://127.0.0.1:{}", proxy.port);
    let env = [("http_proxy", at.clone()), ("HTTPS_PROXY", at.clone()), ("ALL_PROXY", at)];
    let client = client_for(&timers(), |_| {}, &env);
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/", server.port);
        assert_eq!(client.call(&get(&url)).await.unwrap().status, 200);
    }
    assert_eq!((proxy.ledger.connections(), server.ledger.connections()), (0, 2));
}

#[tokio::test]
async fn n22_https_asks_the_proxy_for_a_tunnel() {
    for (answer, reach, kind) in [
        ("407 Proxy Authentication Required", Reach::Permanent, Kind::Refused),
        ("401 Unauthorized", Reach::Permanent, Kind::Refused),
        ("403 Forbidden", Reach::Permanent, Kind::Refused),
        ("502 Bad Gateway", Reach::NotConnected, Kind::Transient),
    ] {
        let proxy = Server::plain(move |mut conn| async move {
            conn.read_head().await;
            conn.answer(answer, "").await;
        })
        .await;
        let at = format!("http://us:{CANARY}@127.0.0.1:{}", proxy.port);
        let client = client_for(&timers(), |network| network.proxy = Proxy::Url(secret(at)), &[]);
        let request = get("https://h.example/secret?x=1").header("Authorization", "Basic inner");
        let failed = client.call(&request).await.unwrap_err();
        assert_eq!((failed.reach, failed.error.kind()), (reach, kind), "{failed:?}");
        assert!(!format!("{failed:?}").contains(CANARY));
        if kind == Kind::Refused {
            // the hint says who refused, and which setting names it
            let hint = failed.error.hint().unwrap();
            assert!(hint.contains("network.proxy") && hint.contains("not the platform"), "{hint}");
            assert!(failed.error.message().contains(&format!("the proxy 127.0.0.1:{}", proxy.port)), "{failed:?}");
        }
        let basic = "Proxy-Authorization: Basic dXM6YzRuNHJ5";
        let expected = format!("CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n{basic}\r\n\r\n");
        assert_eq!(proxy.ledger.head(0), expected);
    }
}

#[tokio::test]
async fn n22_plain_http_through_a_proxy_only_where_it_is_allowed() {
    let proxy = Server::plain(|mut conn| async move {
        conn.read_head().await;
        conn.answer("200 OK", "by proxy").await;
    })
    .await;
    let env = [("HTTP_PROXY", format!("127.0.0.1:{}", proxy.port))];
    let request = get("http://h.example/a%2Fb?x=1").header("Authorization", "Basic inner");
    let failed = client_for(&timers(), |_| {}, &env).call(&request).await.unwrap_err();
    assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Usage));
    assert_eq!(proxy.ledger.connections(), 0);
    let client = client_for(&timers(), |network| network.allow_http = true, &env);
    assert_eq!(client.call(&request).await.unwrap().body, b"by proxy");
    assert!(proxy.ledger.head(0).starts_with("GET http://h.example/a%2Fb?x=1 HTTP/1.1\r\nHost: h.example\r\n"));
}
