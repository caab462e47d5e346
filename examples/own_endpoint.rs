//! Sends a list to an endpoint of your own, with hyper and with reqwest. Without a URL, a receiver on loopback takes it:
//! `cargo run --example own_endpoint --features reqwest [URL]`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use listferry::{Env, Job, Shape, Source, column};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends a part with hyper, which takes the length from the exact size of the body.
async fn send_with_hyper(url: &str, body: listferry::Body) -> Result<http::StatusCode, Failure> {
    let uri: hyper::Uri = url.parse()?;
    let authority = uri.authority().ok_or("the URL has no host")?.to_string();
    let address = if uri.port().is_some() { authority.clone() } else { format!("{authority}:80") };
    let stream = tokio::net::TcpStream::connect(&address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = hyper::Request::put(path).header("host", authority).body(body)?;
    Ok(sender.send_request(request).await?.status())
}

/// Sends a part with reqwest.
async fn send_with_reqwest(url: &str, body: listferry::Body) -> Result<http::StatusCode, Failure> {
    // rustls needs one provider per process
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    Ok(client.put(url).body(body).send().await.map_err(reqwest::Error::without_url)?.status())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => receiver().await?,
    };
    let job = Job::builder("customers")
        .source(Source::path(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/customers.csv")))
        .shape(Shape::csv([column("customer_id").required(), column("email").trim().lower()])?)
        .max_rejects(10)
        .build()?;
    // every row has been validated before the first byte is sent
    let measured = job.measure_async(&Env::default()).await?;
    for part in measured.parts() {
        println!("part {}: {} records, {} bytes", part.index, part.records, part.bytes);
        for status in [
            send_with_hyper(&url, measured.body(part)).await?,
            // a retry opens a fresh body
            send_with_reqwest(&url, measured.body(part)).await?,
        ] {
            println!("answered {status}");
            if !status.is_success() {
                return Err(format!("the receiver refused the list: {status}").into());
            }
        }
    }
    Ok(())
}

/// Reads requests and prints what it received.
async fn receiver() -> Result<String, Failure> {
    use http_body_util::{BodyExt as _, Empty};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/list.csv", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async {
                let length = request.headers().get("content-length").cloned();
                let got = request.into_body().collect().await?.to_bytes().len();
                println!("received {got} bytes, content-length {length:?}");
                Ok::<_, hyper::Error>(hyper::Response::new(Empty::<bytes::Bytes>::new()))
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(url)
}
