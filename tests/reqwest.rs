//! A body as the body of a request of reqwest.

use listferry::{Env, Job, Shape, Source, column};

#[tokio::test]
async fn reqwest_sends_the_length_and_no_chunks() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let dir = tempfile::tempdir().unwrap();
    let mut env = Env::default();
    env.state_dir = Some(dir.path().join("state"));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/list", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"{\"id\":\"18\"}\n") {
            let mut piece = [0; 4096];
            let n = stream.read(&mut piece).await.unwrap();
            assert_ne!(n, 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&piece[..n]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(seen).unwrap()
    });
    let source = Source::from_reader("people", &b"id\n17\n18\n"[..]);
    let job = Job::builder("people").source(source).shape(Shape::ndjson([column("id")]).unwrap()).build().unwrap();
    let measured = job.measure_async(&env).await.unwrap();
    let body = reqwest::Body::from(measured.body(&measured.parts()[0]));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.put(&url).body(body).send().await.unwrap().status(), 200);
    let seen = server.await.unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.contains("\r\ncontent-length: 24") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!(body, "{\"id\":\"17\"}\n{\"id\":\"18\"}\n");
}
