//! Uses the library in an ETL program.
//!
//! First converts a reader to a writer, without a runtime. Then measures a list and sends its body to an HTTP server,
//! once with reqwest and once with hyper: `cargo run --example embed [URL]`. Without a URL, a receiver on loopback
//! accepts it. Last checks a job, as `listferry check` does. Any error ends the program.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use bytes::Bytes;
use listferry::body::{DiscardRejects, Frame, Measured, Options, Split, convert, measure};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::job::{Env, Job};
use listferry::mapping::{Field, Json, Plan, Rules, Shape, Unit, ValueSpec};
use listferry::source::{Source, SourceOptions};
use std::io::{Read, Write};
use std::sync::Arc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Describes lines of `{"id":"…","mail":"…"}`; the mail is trimmed, lower-cased and left out if it is empty.
fn shape() -> Result<Shape, listferry::Error> {
    let unit = |name: &str, value: serde_json::Value, required| {
        let field = Field {
            at: format!("map.{name}"),
            name: name.to_owned(),
            value: ValueSpec::parse(&value, name, &[])?,
            required,
            rules: Rules::default(),
        };
        Ok::<_, listferry::Error>(Unit {
            before: format!("\"{name}\":"),
            field: Some(field),
            after: String::new(),
            when_empty: None,
        })
    };
    let mail = serde_json::json!({ "column": "email", "apply": ["trim", "lower"] });
    let units = vec![unit("id", serde_json::json!("customer_id"), true)?, unit("mail", mail, false)?];
    Ok(Shape::Json(Json { open: "{".to_owned(), units, close: "}".to_owned(), ..Json::default() }))
}

/// Converts any reader to any writer: one pass, nothing spooled, no runtime.
fn reader_to_writer(
    reader: impl Read + Send + 'static,
    writer: &mut (dyn Write + Send),
) -> Result<(), listferry::Error> {
    let source = Source::from_stream_once("my stream", Box::new(reader), &SourceOptions::default())?;
    let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default())?);
    let plan = Arc::new(Plan::compile(&shape()?, &[], table.columns())?);
    let counts =
        convert(&table, &plan, &Options::default(), &mut |bytes| writer.write_all(bytes), &mut DiscardRejects)?;
    println!("converted {} records, {} rejected", counts.written, counts.rejected);
    Ok(())
}

/// Runs pass one. Its result can open any number of bodies.
fn measured(path: &str) -> Result<Measured, listferry::Error> {
    let source = Arc::new(Source::open(path, &SourceOptions::default())?);
    let table = Table::from(Csv::open(source, CsvOptions::default())?);
    let plan = Arc::new(Plan::compile(&shape()?, &[], table.columns())?);
    let measured = measure(&table, &plan, &Split::default(), &Options::default(), &mut DiscardRejects)?;
    println!("measured {} bytes, crc64nvme:{:016x}", measured.body_bytes(), measured.digest());
    Ok(measured)
}

/// Sends the body with reqwest, which takes the length from the body's exact size hint.
async fn send_with_reqwest(url: &str, measured: &Measured) -> Result<(), Failure> {
    // reqwest is built without a TLS provider here; a job that sends to https installs one
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let body = measured.body(&measured.parts()[0], &Frame::default());
    let answer = client.put(url).body(reqwest::Body::wrap(body)).send().await.map_err(reqwest::Error::without_url)?;
    accepted(answer.status())
}

/// Sends the body with hyper.
async fn send_with_hyper(url: &str, measured: &Measured) -> Result<(), Failure> {
    let uri: hyper::Uri = url.parse()?;
    let authority = uri.authority().ok_or("the URL has no host")?.to_string();
    let address = if uri.port().is_some() { authority.clone() } else { format!("{authority}:80") };
    let stream = tokio::net::TcpStream::connect(&address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let body = measured.body(&measured.parts()[0], &Frame::default());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = hyper::Request::put(path).header("host", authority).body(body)?;
    accepted(sender.send_request(request).await?.status())
}

/// Checks for a 2xx, the only status that means that the receiver has the list.
fn accepted(status: http::StatusCode) -> Result<(), Failure> {
    println!("answered {status}");
    if status.is_success() { Ok(()) } else { Err(format!("the receiver refused the list: {status}").into()) }
}

/// Checks a job; `run(&env).await` instead of `check` would send it.
fn check_a_job(list: &str) -> Result<(), listferry::Error> {
    let job = Job::from_yaml(&format!(
        "source: {{ path: {list:?} }}
map: {{ identity: {{ column: email, apply: [trim, lower] }} }}
destination: {{ platform: clevertap, region: in1, account_id: {{ env: ID }}, passcode: {{ env: PASS }},
               segment: VIP, creator: etl, email: admin@example.com }}"
    ))?;
    let report = job.check(&Env::default()).into_result()?;
    println!("checked {} records for {}", report.records.read, job.platform().unwrap_or_default());
    Ok(())
}

/// Reads a request and returns a description of what it received.
async fn receiver() -> Result<String, Failure> {
    use http_body_util::{BodyExt, Full};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/list.ndjson", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async {
                let length = request.headers().get("content-length").cloned();
                let got = request.into_body().collect().await?.to_bytes().len();
                println!("received {got} bytes, content-length {length:?}");
                Ok::<_, hyper::Error>(hyper::Response::new(Full::new(Bytes::from_static(b"thanks"))))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
            );
        }
    });
    Ok(url)
}

fn main() -> Result<(), Failure> {
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/customers.csv");
    let mut out = Vec::new();
    reader_to_writer(std::fs::File::open(list)?, &mut out)?;
    println!(
        "the first line: {}",
        String::from_utf8_lossy(out.split(|&byte| byte == b'\n').next().unwrap_or_default())
    );

    let measured = measured(list)?;
    // rustls needs one provider per process
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let url = match std::env::args().nth(1) {
            Some(url) => url,
            None => receiver().await?,
        };
        send_with_reqwest(&url, &measured).await?;
        send_with_hyper(&url, &measured).await?;
        Ok::<_, Failure>(())
    })?;
    Ok(check_a_job(list)?)
}
