//! A platform on loopback for scripted responses: reads whole requests, records them, and answers with raw bytes.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Headers with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// True if the body had all of its Content-Length.
    pub(crate) complete: bool,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Answering = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;
/// Returns the raw response to a request, given its number among those of the same method and path, from 0.
type Script = Arc<dyn Fn(Seen, usize) -> Answering + Send + Sync>;

/// The server; it ends with the runtime that it was started in.
pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Vendor {
    /// Answers at once with the result of a function.
    pub(crate) async fn start(script: impl Fn(&Seen, usize) -> Vec<u8> + Send + Sync + 'static) -> Vendor {
        Vendor::start_async(move |seen, n| {
            let answer = script(&seen, n);
            Box::pin(async move { answer })
        })
        .await
    }

    pub(crate) async fn start_async(script: impl Fn(Seen, usize) -> Answering + Send + Sync + 'static) -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (ledger, script): (_, Script) = (Arc::clone(&seen), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&ledger), Arc::clone(&script)));
            }
        });
        Vendor { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the requests of a method whose path begins with `path`.
    pub(crate) fn of(&self, method: &str, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method == method && seen.target.starts_with(path)).collect()
    }
}

async fn connection(mut stream: TcpStream, ledger: Arc<Mutex<Vec<Seen>>>, script: Script) {
    let _ = stream.set_nodelay(true);
    let Some(seen) = read(&mut stream).await else { return };
    let n = {
        let mut ledger = ledger.lock().unwrap();
        let n = ledger.iter().filter(|s| (&s.method, &s.target) == (&seen.method, &seen.target)).count();
        ledger.push(seen.clone());
        n
    };
    let answer = script(seen, n).await;
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        let mut buf = [0; 8192];
        match stream.read(&mut buf).await {
            Ok(n) if n > 0 => bytes.extend_from_slice(&buf[..n]),
            _ => return None,
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut body = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut seen = Seen {
        method: first.next().unwrap().to_owned(),
        target: first.next().unwrap().to_owned(),
        headers,
        ..Seen::default()
    };
    let length: usize = seen.header("content-length").map_or(0, |n| n.parse().unwrap());
    if seen.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    while body.len() < length {
        let mut buf = [0; 65536];
        match stream.read(&mut buf).await {
            Ok(n) if n > 0 => body.extend_from_slice(&buf[..n]),
            _ => break,
        }
    }
    seen.complete = body.len() == length;
    seen.body = body;
    Some(seen)
}

/// Returns a response with its length.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// Returns a response without a length, which ends with its connection.
pub(crate) fn endless(headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = String::from("HTTP/1.1 200 OK\r\nConnection: close\r\n");
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body.as_ref());
    out
}

/// Makes one request to `address` and closes the connection; returns status, headers (names in lower case) and body.
pub(crate) async fn ask(address: &str, head: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let headers = head
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    (status, headers, bytes.get(end + 4..).unwrap_or_default().to_vec())
}
