//! A measured list, and a Yesmail that accepts every import.

use listferry::body::{self, DiscardRejects, Measured, Split};
use listferry::calls::{JobSeed, MemoryJournal, Policy, Remote};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::mapping::{MapSpec, Plan};
use listferry::platform::{PLATFORMS, Platform, Verdict};
use listferry::settings::{Secrets, Settings};
use listferry::source::{OpenSource, SourceOptions};
use listferry::transport::{Client, NetworkOptions, Proxy, Timers};
use listferry::{Result, Secret};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const ROWS: usize = 60_000;

struct Literal;

impl Secrets for Literal {
    fn resolve(&self, value: &Value, _: &str) -> Result<Secret> {
        Ok(Secret::new(value.as_str().unwrap_or_default()))
    }
}

/// A Yesmail job over a list of some megabytes.
pub(crate) struct List {
    platform: Box<dyn Platform>,
    map: MapSpec,
    pub(crate) measured: Measured,
    pub(crate) source: PathBuf,
    _dir: tempfile::TempDir,
}

impl List {
    pub(crate) fn new(base: &str, host: Value) -> List {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("people.csv");
        let mut text = String::from("name,email\r\n");
        for i in 0..ROWS {
            text.push_str(&format!("\"Näme {i}, \"\"N\"\"\",USER{i}@Example.test\r\n"));
        }
        std::fs::write(&source, text).unwrap();
        let destination = json!({"base_url": base, "list": "vip", "api_user": "u", "api_key": "k", "host": host});
        let map = json!({"id": {"column": "email", "apply": ["lower"]}, "firstname": "name"});
        let map = MapSpec(object(map));
        let entry = PLATFORMS.iter().find(|entry| entry.name == "yesmail").unwrap();
        let destination = object(destination);
        let settings = Settings { map: &destination, at: "destination", secrets: &Literal, folder: Path::new("") };
        let platform = (entry.build)(&settings).unwrap();
        let opened = OpenSource::open(source.to_str().unwrap(), &SourceOptions::default()).unwrap();
        let table = Table::from(Csv::open(Arc::new(opened), CsvOptions::default()).unwrap());
        let plan = Plan::compile(&platform.shape(&map).unwrap(), &[], table.columns()).unwrap();
        let options = body::Options::default();
        let measured =
            body::measure(&table, &Arc::new(plan), &Split::default(), &options, &mut DiscardRejects).unwrap();
        List { platform, map, measured, source, _dir: dir }
    }

    /// Returns the expected output, made without listferry.
    pub(crate) fn expected() -> Vec<u8> {
        let mut text = String::from("id\tfirstname\n");
        for i in 0..ROWS {
            text.push_str(&format!("user{i}@example.test\t\"Näme {i}, \"\"N\"\"\"\n"));
        }
        text.into_bytes()
    }

    pub(crate) async fn deliver(&self, client: &Client) -> Result<Verdict> {
        let seed = JobSeed {
            run_id: "r1".to_owned(),
            random: "0123456789abcdef0123456789abcdef".to_owned(),
            date: "2026-11-21".to_owned(),
        };
        let journal = MemoryJournal::default();
        let mut policy = Policy::default();
        policy.attempts = 2;
        policy.wait = Duration::ZERO;
        let mut cx = Remote::new(&seed, &journal, client, policy);
        self.platform.deliver(Some(&self.measured), &self.map, &mut cx).await
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A client that trusts only `ca`, if given.
pub(crate) fn client(ca: Option<PathBuf>) -> Client {
    let mut network = NetworkOptions::default();
    network.proxy = Proxy::None;
    network.ca_file = ca;
    Client::new(&network, &Timers::default()).unwrap()
}

/// Accepts every import; returns the address and the list of URIs received.
pub(crate) async fn yesmail() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let uris: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&uris);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let mut asked;
            let request: Value = loop {
                let mut buf = [0; 4096];
                let n = stream.read(&mut buf).await.unwrap_or(0);
                bytes.extend_from_slice(&buf[..n]);
                let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
                asked = bytes.starts_with(b"GET ");
                if asked && end.is_some() {
                    break Value::Null;
                }
                match end.map(|end| serde_json::from_slice(&bytes[end + 4..])) {
                    Some(Ok(request)) => break request,
                    _ if n == 0 => return,
                    _ => {}
                }
            };
            if asked {
                // ping and schema are not simulated here
                let _ =
                    stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
                continue;
            }
            seen.lock().unwrap().push(request["source"]["uri"].as_str().unwrap_or_default().to_owned());
            let body = "{\"id\":\"1\",\"state\":\"accepted\"}";
            let answer =
                format!("HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (base, uris)
}
