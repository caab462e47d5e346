//! TLS on loopback: which certificates the client trusts, and its messages about others.

use crate::transport_body::{MIB, Pattern, client_for, secret, timers};
use crate::transport_server::{Identity, Server};
use listferry::Kind;
use listferry::transport::{Client, Failed, Reach, Request};
use std::path::PathBuf;

fn trusting(ca_file: &std::path::Path) -> Client {
    let ca_file = PathBuf::from(ca_file);
    client_for(&timers(), |network| network.ca_file = Some(ca_file), &[])
}

async fn ok_server(identity: &Identity) -> Server {
    Server::tls(identity, |mut conn| async move {
        if conn.read_head().await.contains("Expect") {
            conn.grant().await;
            conn.read_body(MIB).await;
        }
        conn.answer("200 OK", "hello").await;
    })
    .await
}

async fn failing(client: &Client, url: &str) -> Failed {
    client.call(&Request::new("GET", secret(url))).await.unwrap_err()
}

#[tokio::test]
async fn n21_only_http_1_1_is_offered_for_calls_and_uploads() {
    let identity = Identity::localhost();
    let server = ok_server(&identity).await;
    let client = trusting(&identity.ca_file);
    let call = client.call(&Request::new("GET", secret(server.tls_url("/")))).await.unwrap();
    assert_eq!((call.status, call.body.as_slice()), (200, b"hello".as_slice()));
    let upload = client.upload(&Request::new("PUT", secret(server.tls_url("/"))), Pattern::new(MIB)).await.unwrap();
    assert_eq!(upload.status, 200);
    assert_eq!(*server.ledger.alpn.lock().unwrap(), [Some(b"http/1.1".to_vec()), Some(b"http/1.1".to_vec())]);
}

#[tokio::test]
async fn n03_an_unknown_issuer_is_refused_with_a_hint() {
    let (identity, other) = (Identity::localhost(), Identity::localhost());
    let server = ok_server(&identity).await;
    let failed = failing(&trusting(&other.ca_file), &server.tls_url("/?c4n4ry")).await;
    assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Refused), "{failed:?}");
    assert!(failed.error.hint().unwrap().contains("network.ca_file"));
    assert!(!format!("{failed:?}").contains("c4n4ry"));
    assert_eq!(server.ledger.heads(), 0);
}

#[tokio::test]
async fn n03_a_wrong_name_and_an_expired_certificate_are_refused() {
    let wrong = Identity::new(&["other.example"], |_| {});
    let old = Identity::new(&["localhost"], |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    for (identity, says) in [(wrong, "another name"), (old, "expired")] {
        let server = ok_server(&identity).await;
        let failed = failing(&trusting(&identity.ca_file), &server.tls_url("/")).await;
        assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Refused), "{failed:?}");
        assert!(failed.error.message().contains(says), "{failed:?}");
        assert_eq!(server.ledger.heads(), 0);
    }
}

#[tokio::test]
async fn n03_plain_http_on_a_tls_port_is_refused() {
    let server = Server::plain(|mut conn| async move {
        conn.answer("400 Bad Request", "this is plain").await;
    })
    .await;
    let failed = failing(&trusting(&Identity::localhost().ca_file), &server.tls_url("/")).await;
    assert_eq!((failed.reach, failed.error.kind()), (Reach::Permanent, Kind::Refused), "{failed:?}");
    assert!(failed.error.message().contains("does not speak TLS"), "{failed:?}");
}

#[tokio::test]
async fn n03_a_cut_in_the_handshake_is_passing() {
    let server = Server::plain(|mut conn| async move {
        conn.read_body(16).await;
    })
    .await;
    let failed = failing(&trusting(&Identity::localhost().ca_file), &server.tls_url("/")).await;
    assert_eq!((failed.reach, failed.error.kind()), (Reach::NotConnected, Kind::Transient), "{failed:?}");
}

#[tokio::test]
async fn n22_a_tunnel_carries_tls_to_its_host() {
    let identity = Identity::new(&["h.example"], |_| {});
    let server = ok_server(&identity).await;
    let target = server.port;
    let proxy = Server::plain(move |mut conn| async move {
        conn.read_head().await;
        conn.write("HTTP/1.1 200 Connection established\r\n\r\n").await;
        let mut onward = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut conn.io, &mut onward).await;
    })
    .await;
    let env = [("https_proxy", format!("http://127.0.0.1:{}", proxy.port))];
    let client = client_for(&timers(), |network| network.ca_file = Some(identity.ca_file.clone()), &env);
    let request = Request::new("PUT", secret("https://h.example/k?X-Amz-Signature=1"));
    let answer = client.upload(&request, Pattern::new(MIB)).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(server.ledger.head(0).starts_with("PUT /k?X-Amz-Signature=1 HTTP/1.1\r\nHost: h.example\r\n"));
    assert!(!proxy.ledger.head(0).contains("Signature"));
}

#[tokio::test]
async fn a_proxy_with_tls_is_used_and_its_refusal_names_it() {
    let identity = Identity::localhost();
    let proxy = Server::tls(&identity, |mut conn| async move {
        match conn.read_head().await.starts_with("CONNECT") {
            true => conn.answer("403 Forbidden", "").await,
            false => conn.answer("200 OK", "through").await,
        }
    })
    .await;
    let at = proxy.tls_url("");
    let env = [("http_proxy", at.clone()), ("https_proxy", at)];
    let change = |network: &mut listferry::transport::NetworkOptions| {
        network.ca_file = Some(identity.ca_file.clone());
        network.allow_http = true;
    };
    let client = client_for(&timers(), change, &env);
    let answer = client.call(&Request::new("GET", secret("http://api.example/x"))).await.unwrap();
    assert_eq!(answer.body, b"through");
    let failed = failing(&client, "https://api.example/x").await;
    assert_eq!(failed.error.kind(), Kind::Refused);
    assert!(failed.error.hint().unwrap().contains("HTTPS_PROXY"), "{failed:?}");
    assert!(proxy.ledger.head(1).starts_with("CONNECT api.example:443 HTTP/1.1\r\n"));
}
