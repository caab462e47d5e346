//! A loopback server that follows a test's script byte by byte, and keeps a ledger. Uses no HTTP library, because it
//! has to misbehave.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The data that the server has received.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) connections: AtomicUsize,
    /// Number of bytes after the heads.
    pub(crate) body_bytes: AtomicU64,
    pub(crate) heads: Mutex<Vec<String>>,
    pub(crate) alpn: Mutex<Vec<Option<Vec<u8>>>>,
}

impl Ledger {
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn head(&self, n: usize) -> String {
        self.heads.lock().unwrap()[n].clone()
    }

    pub(crate) fn heads(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

/// One accepted connection.
pub(crate) struct Conn {
    pub(crate) io: Box<dyn Io>,
    /// Number of the connection, from 0.
    pub(crate) index: usize,
    ledger: Arc<Ledger>,
    over: Vec<u8>,
}

impl Conn {
    /// Reads up to the empty line and returns the head.
    pub(crate) async fn read_head(&mut self) -> String {
        let mut seen = std::mem::take(&mut self.over);
        let end = loop {
            if let Some(at) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            let mut buf = [0; 4096];
            let n = self.io.read(&mut buf).await.unwrap_or(0);
            if n == 0 {
                return String::new();
            }
            seen.extend_from_slice(&buf[..n]);
        };
        self.over = seen.split_off(end);
        self.ledger.body_bytes.fetch_add(self.over.len() as u64, Ordering::SeqCst);
        let head = String::from_utf8(seen).unwrap();
        self.ledger.heads.lock().unwrap().push(head.clone());
        head
    }

    /// Reads at least `wanted` bytes of the body, or to its end; returns how many.
    pub(crate) async fn read_body(&mut self, wanted: u64) -> u64 {
        let mut got = std::mem::take(&mut self.over).len() as u64;
        let mut buf = vec![0; 64 * 1024];
        while got < wanted {
            let most = usize::try_from(wanted - got).unwrap_or(usize::MAX).min(buf.len());
            match self.io.read(&mut buf[..most]).await {
                Ok(n) if n > 0 => {
                    got += n as u64;
                    self.ledger.body_bytes.fetch_add(n as u64, Ordering::SeqCst);
                }
                _ => break,
            }
        }
        got
    }

    pub(crate) async fn write(&mut self, text: &str) {
        // the client may have closed the connection; the test decides whether that is right
        let _ = self.io.write_all(text.as_bytes()).await;
        let _ = self.io.flush().await;
    }

    /// Answers with a body and its length.
    pub(crate) async fn answer(&mut self, status: &str, body: &str) {
        self.write(&format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    }

    pub(crate) async fn grant(&mut self) {
        self.write("HTTP/1.1 100 Continue\r\n\r\n").await;
    }

    /// Neither reads nor closes, for longer than any test waits.
    pub(crate) async fn hang(&mut self) {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
}

type Script = Arc<dyn Fn(Conn) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) ledger: Arc<Ledger>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Runs `script` on every connection.
    pub(crate) async fn plain<F, R>(script: F) -> Server
    where
        F: Fn(Conn) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Server::start(None, Arc::new(move |conn| Box::pin(script(conn)))).await
    }

    /// Like [`Server::plain`], over TLS.
    pub(crate) async fn tls<F, R>(identity: &Identity, script: F) -> Server
    where
        F: Fn(Conn) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Server::start(Some(identity.acceptor()), Arc::new(move |conn| Box::pin(script(conn)))).await
    }

    async fn start(tls: Option<TlsAcceptor>, script: Script) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ledger = Arc::new(Ledger::default());
        let shared = ledger.clone();
        let task = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (ledger, tls, script) = (shared.clone(), tls.clone(), script.clone());
                running.spawn(async move {
                    if let Some(conn) = accepted(tcp, tls, ledger).await {
                        script(conn).await;
                    }
                });
            }
        });
        Server { port, ledger, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

async fn accepted(tcp: TcpStream, tls: Option<TlsAcceptor>, ledger: Arc<Ledger>) -> Option<Conn> {
    // otherwise Nagle could delay a response until the reset that follows discards it, which would be the server's own
    // fault
    tcp.set_nodelay(true).unwrap();
    let index = ledger.connections.fetch_add(1, Ordering::SeqCst);
    let io: Box<dyn Io> = match tls {
        None => Box::new(tcp),
        Some(tls) => {
            let stream = tls.accept(tcp).await.ok()?;
            ledger.alpn.lock().unwrap().push(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec));
            Box::new(stream)
        }
    };
    Some(Conn { io, index, ledger, over: Vec::new() })
}

/// A certificate and its key, and the PEM file that makes a client trust it.
pub(crate) struct Identity {
    config: Arc<ServerConfig>,
    pub(crate) ca_file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Identity {
    pub(crate) fn localhost() -> Identity {
        Identity::new(&["localhost"], |_| {})
    }

    pub(crate) fn new(names: &[&str], change: impl FnOnce(&mut rcgen::CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, certificate.pem()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                tokio_rustls::rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        // both are offered, the newer one first: the client must not take it
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Identity { config: Arc::new(config), ca_file, _dir: dir }
    }

    fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }
}
