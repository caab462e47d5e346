//! The library as an ETL program uses it: jobs in code, records and streams that the program has, its own endpoint and
//! its own platform.

use crate::report_schema::Valid as _;
use bytes::Bytes;
use futures_sink::Sink;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use listferry::job::Report;
use listferry::job::destination::{CleverTap, LocalyticsAudience, Target};
use listferry::mapping::{Condition, Mapped, Otherwise, TimeUnit, Type};
use listferry::sandbox::{Options, Sandbox};
use listferry::{Env, Error, Job, Kind, Setting, Shape, Source, column, constant, object, template};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

const LIST: &str = "id,email,plan\n17, A@Example.com ,vip\n18,,vip\n19,c@example.com,free\n";

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 2;
    env.variables = Arc::new(|name: &str| (name != "GONE").then(|| format!("value-of-{name}")));
    env
}

fn clevertap(url: &str) -> CleverTap {
    CleverTap::new()
        .region("in1")
        .base_url(url)
        .account_id(Setting::env("ID"))
        .passcode(Setting::env("PASS"))
        .segment("VIP")
        .creator("etl")
        .email("admin@example.com")
}

async fn sandbox() -> Sandbox {
    Sandbox::start(([127, 0, 0, 1], 0).into(), Options::default()).await.unwrap()
}

/// Returns the bytes that the sandbox's storage received, and whether their number was declared.
fn stored(sandbox: &Sandbox) -> Vec<(u64, bool, String)> {
    let puts = sandbox.ledger().into_iter().filter(|entry| entry.method == "PUT" && entry.status == 200);
    puts.map(|entry| (entry.received, entry.declared == Some(entry.received), entry.digest)).collect()
}

/// Returns the spooled files of a state directory.
fn spooled(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("state/spool")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn converted(job: &Job, dir: &Path) -> Result<String, Error> {
    let mut out = Vec::new();
    let _ = job.convert(&env(dir), &mut out).into_result()?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn a_job_in_code_writes_what_the_same_job_file_writes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.csv"), LIST).unwrap();
    let file = Job::read(
        "source: { path: list.csv, expect: { min_records: 1 } }
where: [{ column: plan, in: [vip, gold] }]
map: { customer_id: { column: id, apply: [{ prefix: c }, upper, { values: { C17: x }, else: keep }], default: none } }
rejects: { max: 3 }
destination: { platform: localytics-audience, app_id: a, audience_name: n, api_key: { env: K }, api_secret: { env: S } }",
        dir.path(),
        &[],
    )
    .unwrap();
    let id = column("id").prefix("c").upper().values([("C17", "x")], Otherwise::Keep).or("none");
    let job = Job::builder("job")
        .folder(dir.path())
        .source(Source::path("list.csv").set("expect.min_records", 1))
        .only(Condition::one_of("plan", ["vip", "gold"]))
        .map("customer_id", id)
        .max_rejects(3)
        .destination(
            LocalyticsAudience::new()
                .app_id("a")
                .audience_name("n")
                .api_key(Setting::env("K"))
                .api_secret(Setting::env("S")),
        )
        .build()
        .unwrap();
    let want = converted(&file, dir.path()).unwrap();
    assert_eq!(want, "{\"customer_id\":\"x\"}\n{\"customer_id\":\"C18\"}\n");
    assert_eq!(converted(&job, dir.path()).unwrap(), want);
}

#[test]
fn a_job_in_code_gets_the_same_errors_all_at_once() {
    let faults = |job: Result<Job, Error>| {
        let error = job.map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let mut said: Vec<(String, Option<String>)> =
            error.all().map(|fault| (fault.message().to_owned(), fault.hint().map(str::to_owned))).collect();
        said.sort();
        said
    };
    let file = Job::from_yaml(
        "name: job
source: { path: x.csv, fromat: csv }
map: { identity: { column: id, apply: [trimm] }, typo: id }
wait: soon
destination: { platform: clevertap, region: mars, account_id: { env: ID }, passcode: { enf: PASS }, segment: \"{dat}\" }",
    );
    let code = Job::builder("job")
        .source(Source::path("x.csv"))
        .set("source.fromat", "csv")
        .set("map.identity", serde_json::json!({ "column": "id", "apply": ["trimm"] }))
        .map("typo", "id")
        .set("wait", "soon")
        .destination(
            Target::new("clevertap")
                .set("region", "mars")
                .set("account_id", Setting::env("ID"))
                .set("passcode", Setting::map([("enf", "PASS")]))
                .set("segment", "{dat}"),
        )
        .build();
    let (file, code) = (faults(file), faults(code));
    assert!(file.len() >= 6, "{file:#?}");
    assert_eq!(code, file);
    let error = Job::builder("x").destination(Target::new("clevertop")).build().map(drop).unwrap_err();
    assert_eq!(error.to_string(), "destination.platform: there is no \"clevertop\"");
    assert_eq!(error.hint(), Some("did you mean \"clevertap\"?"));
}

#[test]
fn shapes_in_code_write_json_and_csv() {
    let dir = tempfile::tempdir().unwrap();
    let of = |shape: Shape| {
        let source = Source::from_reader("people", LIST.as_bytes());
        let job = Job::builder("people").source(source).shape(shape).max_rejects(9).build().unwrap();
        converted(&job, dir.path()).unwrap()
    };
    let id = || column("id").as_type(Type::Integer).required();
    let json = Shape::ndjson([
        id(),
        column("email").named("mail").trim().lower(),
        constant("x").named("k"),
        template("{id}/{plan}").named("t"),
        object([("plan", column("plan"))]).named("o"),
    ]);
    let want = "{\"id\":17,\"mail\":\"a@example.com\",\"k\":\"x\",\"t\":\"17/vip\",\"o\":{\"plan\":\"vip\"}}\n\
                {\"id\":18,\"k\":\"x\",\"t\":\"18/vip\",\"o\":{\"plan\":\"vip\"}}\n\
                {\"id\":19,\"mail\":\"c@example.com\",\"k\":\"x\",\"t\":\"19/free\",\"o\":{\"plan\":\"free\"}}\n";
    assert_eq!(of(json.unwrap()), want);
    let csv = Shape::csv([id(), column("email").required(), column("plan").replace("vip", "a,b")]);
    assert_eq!(of(csv.unwrap()), "id,email,plan\n17, A@Example.com ,\"a,b\"\n19,c@example.com,free\n");
    let at = Mapped::from("id").named("at").as_type(Type::Timestamp(Some("%s".to_owned()), TimeUnit::Milliseconds));
    assert_eq!(
        of(Shape::delimited(b'|', [at, column("plan")]).unwrap()),
        "at|plan\n17000|vip\n18000|vip\n19000|free\n"
    );
}

#[tokio::test]
async fn readers_and_streams_are_sources_of_a_run() {
    let sandbox = sandbox().await;
    let job = |dir: &Path| {
        std::fs::write(dir.join("other.tsv"), "id\temail\nno\tno\n").unwrap();
        Job::builder("vip")
            .folder(dir)
            .source(Source::path("other.tsv"))
            .map("identity", column("id").required())
            .destination(clevertap(&sandbox.url()).replace(true))
            .build()
            .unwrap()
    };
    // the format that the name of the job's own list had still applies
    let list = LIST.replace(',', "\t");
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        list.as_bytes().chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let sources = [
        Source::from_reader("r", std::io::Cursor::new(list.clone().into_bytes())),
        Source::from_async_read("a", std::io::Cursor::new(list.clone().into_bytes())).unwrap(),
        Source::from_stream("s", stream::iter(pieces)).unwrap(),
    ];
    let mut digests = Vec::new();
    for source in sources {
        let dir = tempfile::tempdir().unwrap();
        let report = job(dir.path()).with_source(source).unwrap().run(&env(dir.path())).await.valid();
        let report = report.into_result().unwrap();
        assert_eq!(report.records.written, 3);
        digests.extend(report.digest);
        assert_eq!(spooled(dir.path()), Vec::<String>::new());
    }
    assert!(digests.len() == 3 && digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    assert!(stored(&sandbox).iter().all(|(bytes, declared, _)| *bytes == 29 && *declared), "{:?}", stored(&sandbox));
}

#[tokio::test]
async fn a_stream_that_fails_sends_nothing_and_is_not_read_twice() {
    let (sandbox, dir) = (sandbox().await, tempfile::tempdir().unwrap());
    let job = Job::builder("vip").map("identity", "id").destination(clevertap(&sandbox.url())).build().unwrap();
    let torn = stream::iter([Ok(Bytes::from_static(b"id\n17\n")), Err(std::io::Error::other("torn"))]);
    let torn = job.clone().with_source(Source::from_stream("cursor", torn).unwrap()).unwrap();
    let error = torn.run(&env(dir.path())).await.into_result().unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::Local, true));
    assert!(error.message().contains("cursor") && error.message().contains("torn"), "{error}");
    let error = torn.run(&env(dir.path())).await.into_result().unwrap_err();
    assert_eq!(error.message(), "cursor was read before, and can be read only once");
    assert!(stored(&sandbox).is_empty() && spooled(dir.path()).is_empty());
    let unknown = job.with_source(Source::from_reader("x", &b"id\n"[..]).set("fromat", "csv"));
    assert_eq!(unknown.map(drop).unwrap_err().message(), "unknown key \"source.fromat\"");
}

#[derive(serde::Serialize)]
struct Person<'a> {
    id: u64,
    email: Option<&'a str>,
    tags: Vec<&'a str>,
    address: Address<'a>,
}

#[derive(serde::Serialize)]
struct Address<'a> {
    city: &'a str,
}

#[tokio::test]
async fn a_feed_sends_structs_with_lists_and_empty_values() {
    let (sandbox, dir) = (sandbox().await, tempfile::tempdir().unwrap());
    let map = serde_json::json!([
        { "op": "assign", "attr": "mail", "column": "email" },
        { "op": "assign", "attr": "tags", "column": "tags" },
        { "op": "assign", "attr": "city", "column": "/address/city" },
    ]);
    let target = Target::new("localytics-profiles")
        .set("org_id", 1)
        .set("api_key", Setting::env("K"))
        .set("api_secret", Setting::env("S"))
        .set("base_url", sandbox.url());
    let job = Job::builder("profiles").map("customer_id", "id").set("map.changes", map).destination(target);
    // a source of the job itself is replaced
    let job = job.source(Source::path("gone.csv")).build().unwrap();
    let mut feed = job.feed(&env(dir.path())).await.unwrap();
    let person = |id, email, tags| Person { id, email, tags, address: Address { city: "Y" } };
    feed.serialize(&person(1, Some("a@example.com"), vec!["a", "b"])).await.unwrap();
    let error = feed.serialize(&17).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Usage, "row 2 is not a struct or a map"));
    std::future::poll_fn(|cx| Sink::<Person>::poll_ready(Pin::new(&mut feed), cx)).await.unwrap();
    Pin::new(&mut feed).start_send(person(2, None, vec![])).unwrap();
    std::future::poll_fn(|cx| Sink::<Person>::poll_flush(Pin::new(&mut feed), cx)).await.unwrap();
    let report = feed.finish().await.valid().into_result().unwrap();
    assert_eq!((report.records.read, report.records.written), (2, 2));
    let lines = "{\"customer_id\":\"1\",\"changes\":[{\"op\":\"assign\",\"attr\":\"mail\",\"value\":\"a@example.com\"},\
                 {\"op\":\"assign\",\"attr\":\"tags\",\"value\":[\"a\",\"b\"]},{\"op\":\"assign\",\"attr\":\"city\",\"value\":\"Y\"}]}\n\
                 {\"customer_id\":\"2\",\"changes\":[{\"op\":\"assign\",\"attr\":\"city\",\"value\":\"Y\"}]}\n";
    assert_eq!(report.bytes.body, lines.len() as u64);
    assert_eq!(report.digest, Some(digest(lines)));
}

/// Computes the digest of an output.
fn digest(text: &str) -> String {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, text.as_bytes());
    format!("crc64nvme:{crc:016x}")
}

#[tokio::test]
async fn a_feed_sends_cells_and_many_blocks_of_rows() {
    let (sandbox, dir) = (sandbox().await, tempfile::tempdir().unwrap());
    let job = Job::builder("vip").map("identity", "id").destination(clevertap(&sandbox.url())).build().unwrap();
    let mut feed = job.feed(&env(dir.path())).await.unwrap();
    let error = feed.send(["1"]).await.unwrap_err();
    assert_eq!(error.message(), "a feed of cells needs its columns first");
    feed.columns(["id", "note"]).unwrap();
    let (mut want, note) = ("Type,Identity\n".to_owned(), "n\n\"x\"".repeat(20));
    for id in 0..40_000 {
        feed.send([&format!("{id}"), &note]).await.unwrap();
        want += &format!("i,{id}\n");
    }
    let spool = std::fs::metadata(dir.path().join("state/spool").join(&spooled(dir.path())[0])).unwrap();
    assert!(spool.len() < 2_000_000, "compressed");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&spool.permissions()) & 0o777, 0o600);
    let report = feed.finish().await.into_result().unwrap();
    assert_eq!((report.records.written, report.digest), (40_000, Some(digest(&want))));
    assert!(spooled(dir.path()).is_empty());
}

#[tokio::test]
async fn a_feed_that_is_dropped_or_refused_sends_nothing() {
    let (sandbox, dir) = (sandbox().await, tempfile::tempdir().unwrap());
    let build = |target: CleverTap| Job::builder("vip").map("identity", "id").destination(target);
    let job = build(clevertap(&sandbox.url())).build().unwrap();
    let mut feed = job.feed(&env(dir.path())).await.unwrap();
    feed.serialize(&serde_json::json!({ "id": "1" })).await.unwrap();
    assert_eq!(spooled(dir.path()).len(), 1);
    drop(feed);
    for _ in 0..500 {
        if spooled(dir.path()).is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(spooled(dir.path()).is_empty());
    // a secret that is not set is known before the first row
    let job = build(clevertap(&sandbox.url()).passcode(Setting::env("GONE"))).build().unwrap();
    let error = job.feed(&env(dir.path())).await.map(drop).unwrap_err();
    assert!(error.message().contains("GONE"), "{error}");
    let small = build(clevertap(&sandbox.url())).set("spool.max", 1000).build().unwrap();
    let mut feed = small.feed(&env(dir.path())).await.unwrap();
    let mut fed = Ok(());
    for n in 0..2_000_000_u64 {
        fed = feed.serialize(&serde_json::json!({ "id": n.wrapping_mul(0x9e37_79b9_7f4a_7c15) })).await;
        if fed.is_err() {
            break;
        }
    }
    let error = fed.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Data, "the feed is larger than spool.max (1000 bytes)"));
    assert_eq!(feed.finish().await.exit_code, 1);
    let empty = job_without_rows(&build(clevertap(&sandbox.url())).build().unwrap(), dir.path()).await;
    assert_eq!(empty.error.map(|error| error.kind()), Some(Kind::Data));
    assert!(sandbox.ledger().is_empty() && spooled(dir.path()).is_empty());
}

async fn job_without_rows(job: &Job, dir: &Path) -> Report {
    job.feed(&env(dir)).await.unwrap().finish().await
}

#[tokio::test]
async fn the_body_of_a_part_is_a_stream_of_known_length() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape::ndjson([column("id").required()]).unwrap();
    let rows: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    let source = Source::from_reader("people", std::io::Cursor::new(format!("id\n{rows}").into_bytes()));
    let job = Job::builder("people").source(source).shape(shape).build().unwrap();
    let measured = job.measure_async(&env(dir.path())).await.unwrap();
    let part = &measured.parts()[0];
    for _ in 0..2 {
        let body = measured.body(part);
        assert_eq!(body.content_length(), part.bytes);
        let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
        let got: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        assert!(pieces.len() > 1 && got == part.bytes && part.bytes == measured.body_bytes());
    }
    let error = job.measure(&env(dir.path())).map(drop).unwrap_err();
    assert_eq!(error.message(), "people was read before, and can be read only once");
    let error = job.run(&env(dir.path())).await.into_result().unwrap_err();
    assert!(error.message().contains("nowhere to send"), "{error}");
}

#[tokio::test]
async fn an_async_writer_gets_what_a_writer_gets() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..300_000).map(|n| format!("{n},x\n")).collect();
    let list = format!("id,note\n{rows}");
    let job = |list: &str| {
        let source = Source::from_async_read("people", std::io::Cursor::new(list.to_owned().into_bytes())).unwrap();
        let shape = Shape::csv([column("id").required()]).unwrap();
        Job::builder("people").source(source).shape(shape).build().unwrap()
    };
    // a small pipe, so that the conversion has to wait for its reader
    let (mut writer, mut reader) = tokio::io::duplex(100);
    let (job_of_list, env_of_list) = (job(&list), env(dir.path()));
    let (report, read) = tokio::join!(
        async {
            let report = job_of_list.convert_async(&env_of_list, &mut writer).await;
            drop(writer);
            report
        },
        async {
            let mut out = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut out).await.unwrap();
            out
        }
    );
    assert_eq!(report.into_result().unwrap().records.written, 300_000);
    let want = format!("id\n{}", rows.replace(",x", ""));
    assert!(read == want.as_bytes());
    let (mut writer, reader) = tokio::io::duplex(100);
    drop(reader);
    let error = job(&list).convert_async(&env(dir.path()), &mut writer).await.into_result().unwrap_err();
    assert_eq!((error.kind(), error.message().starts_with("the output cannot be written")), (Kind::Local, true));
}

mod own {
    use super::*;
    use listferry::body::Measured;
    use listferry::calls::{BoxFuture, Call, PartState, Remote, Reply, RetrySafety};
    use listferry::mapping::MapSpec;
    use listferry::platform::{Delivery, Effect, Outcome, Platform, Verdict};
    use listferry::secret::Secret;
    use listferry::transport::Request;

    /// Puts each part to an address.
    pub(super) struct Warehouse(pub(super) String);

    impl Platform for Warehouse {
        fn shape(&self, map: &MapSpec) -> Result<Shape, Error> {
            let names: Vec<&str> = map.0.values().filter_map(|column| column.as_str()).collect();
            Shape::csv(names.into_iter().map(column))
        }

        fn plan(&self, _: &MapSpec) -> Delivery {
            Delivery::new(Effect::new(true, None))
        }

        fn deliver<'a>(
            &'a self,
            list: Option<&'a Measured>,
            _: &'a MapSpec,
            remote: &'a mut Remote<'_>,
        ) -> BoxFuture<'a, Result<Verdict, Error>> {
            Box::pin(async move {
                let list = list.ok_or_else(|| Error::usage("no list"))?;
                for part in list.parts() {
                    let accepted = PartState::accepted(part.index, part.bytes, part.records);
                    let put = Call::new(format!("put/{}", part.index), RetrySafety::Always).accepting(accepted, "id");
                    let request = Request::new("PUT", Secret::new(format!("{}/{}", self.0, part.index)));
                    let classify = |answer: &_| match answer {
                        listferry::transport::Answer { status: 200, .. } => {
                            Reply::Done(serde_json::json!({ "id": "p" }))
                        }
                        answer => Reply::by_status("PUT", answer),
                    };
                    remote.send(&put, &request, part.index, &|| list.body(part), &classify).await?.done()?;
                }
                Ok(Verdict::new(Outcome::Done, serde_json::json!({ "stored": list.parts().len() })))
            })
        }
    }
}

#[tokio::test]
async fn a_platform_of_the_program_has_the_same_guarantees() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (url, server) = receiver(Arc::clone(&seen)).await;
    std::fs::write(dir.path().join("job.yaml"), "source: { path: list.csv }\nmap: { a: id, b: plan }\n").unwrap();
    std::fs::write(dir.path().join("list.csv"), LIST).unwrap();
    let job = Job::open(dir.path().join("job.yaml")).unwrap().with_platform("warehouse", own::Warehouse(url));
    let report = job.run(&env(dir.path())).await.into_result().unwrap();
    assert_eq!((report.platform.as_deref(), report.records.written), (Some("warehouse"), 3));
    assert_eq!(report.platform_result, serde_json::json!({ "stored": 1 }));
    let [part] = &report.parts[..] else { panic!("{:?}", report.parts) };
    assert_eq!((part.remote_id.as_str(), part.attempts), (Some("p"), 1));
    let want = "id,plan\n17,vip\n18,vip\n19,free\n";
    assert_eq!(*seen.lock().unwrap(), [format!("PUT /0 {} {want}", want.len())]);
    let error = Job::open(dir.path().join("job.yaml")).unwrap().run(&env(dir.path())).await.into_result().unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Usage, "destination.platform is required"));
    server.abort();
}

/// Accepts lists, and notes method, path, Content-Length and content.
async fn receiver(seen: Arc<Mutex<Vec<String>>>) -> (String, tokio::task::JoinHandle<()>) {
    use http_body_util::{BodyExt as _, Empty};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let seen = Arc::clone(&seen);
                async move {
                    let (head, body) = request.into_parts();
                    let length = head.headers["content-length"].to_str().unwrap().to_owned();
                    let text = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
                    seen.lock().unwrap().push(format!("{} {} {length} {text}", head.method, head.uri.path()));
                    Ok::<_, hyper::Error>(hyper::Response::new(Empty::<Bytes>::new()))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    (url, server)
}

#[tokio::test]
async fn progress_is_reported_and_a_token_stops_a_run() {
    let (sandbox, dir) = (sandbox().await, tempfile::tempdir().unwrap());
    let job = Job::builder("vip").map("identity", "id").destination(clevertap(&sandbox.url())).build().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&seen);
    let env_of_run = env(dir.path()).on_progress(move |now| all.lock().unwrap().push(*now));
    let source = Source::from_reader("people", LIST.as_bytes());
    let _ = job.clone().with_source(source).unwrap().run(&env_of_run).await.into_result().unwrap();
    let last = *seen.lock().unwrap().last().unwrap();
    assert_eq!((last.stage, last.records), (Some(listferry::job::Stage::End), 3));

    // a stream that never ends
    let (_writer, reader) = tokio::io::duplex(64);
    let token = tokio_util::sync::CancellationToken::new();
    let mut env_of_run = env(dir.path());
    env_of_run.cancel = Some(token.clone());
    let silent = job.with_source(Source::from_async_read("silent", reader).unwrap()).unwrap();
    let (report, ()) = tokio::join!(silent.run(&env_of_run), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        token.cancel();
    });
    assert_eq!(report.error.map(|error| error.kind()), Some(Kind::Interrupted));
    assert_eq!(stored(&sandbox).len(), 1);
    assert!(spooled(dir.path()).is_empty());
}

#[test]
fn the_futures_can_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let (job, env) = (Job::builder("x").build().unwrap(), Env::default());
    let mut out = Vec::new();
    is_send(&job.run(&env));
    is_send(&job.measure_async(&env));
    is_send(&job.convert_async(&env, &mut out));
    is_send(&async {
        let mut feed = job.feed(&env).await?;
        feed.serialize(&17).await?;
        feed.send(["17"]).await?;
        feed.finish().await.into_result().map(drop)
    });
    let _ = stream::empty::<()>().boxed();
}
