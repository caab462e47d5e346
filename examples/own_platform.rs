//! Sends a list to a platform of your own, with journal, retries and resumption:
//! `cargo run --example own_platform [URL]`. Without a URL, a receiver on loopback takes it.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use listferry::body::Measured;
use listferry::calls::{BoxFuture, Call, PartState, Remote, Reply, RetrySafety};
use listferry::mapping::MapSpec;
use listferry::platform::{Delivery, Effect, Outcome, Platform, Verdict};
use listferry::secret::Secret;
use listferry::transport::{Answer, Request};
use listferry::{Env, Error, Job, Shape, Source, column};
use serde_json::json;

/// Takes each part by PUT.
struct Warehouse {
    url: String,
}

impl Platform for Warehouse {
    fn shape(&self, _: &MapSpec) -> Result<Shape, Error> {
        Shape::ndjson([column("customer_id").named("id").required(), column("email").trim().lower()])
    }

    fn plan(&self, _: &MapSpec) -> Delivery {
        // a part that is sent twice replaces itself
        Delivery::new(Effect::new(true, None))
    }

    fn deliver<'a>(
        &'a self,
        list: Option<&'a Measured>,
        _: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict, Error>> {
        Box::pin(async move {
            let list = list.ok_or_else(|| Error::usage("a source is required"))?;
            for part in list.parts() {
                let accepted = PartState::accepted(part.index, part.bytes, part.records);
                // written to the journal before it is tried and after it is known; repeated after any fault
                let put = Call::new(format!("put/{}", part.index), RetrySafety::Always).accepting(accepted, "id");
                let request = Request::new("PUT", Secret::new(format!("{}/{}", self.url, part.index)));
                let classify = |answer: &Answer| match answer.status {
                    200..=299 => Reply::Done(json!({ "id": format!("part-{}", part.index) })),
                    _ => Reply::by_status("putting the list", answer),
                };
                remote.send(&put, &request, part.index, &|| list.body(part), &classify).await?.done()?;
            }
            Ok(Verdict::new(Outcome::Done, json!({ "parts": list.parts().len() })))
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => receiver().await?,
    };
    let state = tempfile::tempdir()?;
    let mut env = Env::default();
    env.state_dir = Some(state.path().to_owned());
    let job = Job::builder("customers")
        .source(Source::path(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/customers.csv")))
        .max_rejects(10)
        .build()?
        .with_platform("warehouse", Warehouse { url });
    let report = job.run(&env).await.into_result()?;
    println!("{} records sent: {}, parts {:?}", report.records.written, report.platform_result, report.parts);
    Ok(())
}

/// Accepts every list.
async fn receiver() -> std::io::Result<String> {
    use http_body_util::{BodyExt as _, Empty};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async {
                println!("received {} bytes", request.into_body().collect().await?.to_bytes().len());
                Ok::<_, hyper::Error>(hyper::Response::new(Empty::<bytes::Bytes>::new()))
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(url)
}
