//! CleverTap jobs against a server that plays the vendor and its storage by a script.

use listferry::job::{Env, Job, Report};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    head: String,
    body: Vec<u8>,
}

/// What the server does with a request.
enum Does {
    Answer(u16, String),
    /// Closes without a word.
    Close,
}

type Script = Arc<dyn Fn(&Seen, usize) -> Does + Send + Sync>;

struct Vendor {
    base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const GET: &str = "/get_custom_list_segment_url";
const COMPLETED: &str = "/upload_custom_list_segment_completed";
const SUCCESS: &str = r#"{"Segment ID": 1598345958, "status": "success"}"#;

impl Vendor {
    /// Plays the well-behaved vendor, except where `script` has another answer (request, how manieth of its path).
    async fn new(script: impl Fn(&Seen, usize, &str) -> Option<Does> + Send + Sync + 'static) -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let own = base.clone();
        let script: Script = Arc::new(move |seen, nth| {
            script(seen, nth, &own).unwrap_or_else(|| match seen.line.split(' ').nth(1).unwrap() {
                GET => Does::Answer(200, url_answer(&own, nth)),
                COMPLETED => Does::Answer(200, SUCCESS.to_owned()),
                _ => Does::Answer(200, String::new()),
            })
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ledger = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&ledger)));
            }
        });
        Vendor { base, seen, task }
    }

    fn of(&self, path: &str) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter().filter(|seen| seen.line.split(' ').nth(1).is_some_and(|at| at.starts_with(path))).cloned().collect()
    }

    /// Requests to URL, storage, completed.
    fn counts(&self) -> (usize, usize, usize) {
        (self.of(GET).len(), self.of("/bucket/").len(), self.of(COMPLETED).len())
    }
}

fn url_answer(base: &str, nth: usize) -> String {
    let url = format!("{base}/bucket/list-{nth}.csv?X-Amz-SignedHeaders=host&X-Amz-Signature=5167{nth}ec2e7");
    format!(r#"{{"presignedS3URL": "{url}", "expiry": "7 May, 01:29 PM", "status": "success"}}"#)
}

async fn serve(mut stream: TcpStream, script: Script, ledger: Arc<Mutex<Vec<Seen>>>) {
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut buffer).await {
                Ok(n) if n > 0 => bytes.extend_from_slice(&buffer[..n]),
                _ => return,
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        bytes.drain(..end);
        let lower = head.to_ascii_lowercase();
        let header = |name: &str| {
            lower
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned()))
        };
        let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
        if header("expect").is_some() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        }
        while bytes.len() < length {
            match stream.read(&mut buffer).await {
                Ok(n) if n > 0 => bytes.extend_from_slice(&buffer[..n]),
                _ => return,
            }
        }
        let body: Vec<u8> = bytes.drain(..length).collect();
        let seen = Seen { line: head.lines().next().unwrap_or_default().to_owned(), head, body };
        let path = seen.line.split(' ').nth(1).unwrap().to_owned();
        let nth = {
            let mut all = ledger.lock().unwrap();
            let same = |at: &str| at == path || (path.starts_with("/bucket/") && at.starts_with("/bucket/"));
            let nth = all.iter().filter(|one| one.line.split(' ').nth(1).is_some_and(same)).count();
            all.push(seen.clone());
            nth
        };
        match script(&seen, nth) {
            Does::Close => return,
            Does::Answer(status, text) => {
                let head = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n\r\n", text.len());
                if stream.write_all(format!("{head}{text}").as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

const LIST: &str = "id,name\n+4917,Ann\n\"a,b\",Bob\n007,Cid\n";
const BODY: &str = "Type,Identity\ni,+4917\ni,\"a,b\"\ni,007\n";

fn job(dir: &Path, base: &str, overrides: &[&str]) -> Job {
    std::fs::write(dir.join("vip.csv"), LIST).unwrap();
    let yaml = format!(
        "source: {{ path: vip.csv }}\nmap: {{ identity: id }}\ndestination: {{ platform: clevertap, base_url: \"{base}\", \
         account_id: {{ env: ID }}, passcode: {{ env: PASS }}, segment: \"VIP {{date}}\", creator: Jane, \
         email: jane@example.com }}\n"
    );
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Job::read(&yaml, dir, &overrides).unwrap()
}

fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 2;
    env.variables = Arc::new(|name: &str| match name {
        "ID" => Some("ACC-OUNT-1".to_owned()),
        "PASS" => Some("PASS-CODE-1".to_owned()),
        _ => None,
    });
    env
}

async fn run(vendor: &Vendor, overrides: &[&str]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    job(dir.path(), &vendor.base, overrides).run(&env(dir.path())).await
}

fn shown(report: &Report) -> String {
    format!("{} {:?} {}", report.exit_code, report.error, serde_json::to_string(report).unwrap())
}

fn xml(code: &str, message: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

#[tokio::test]
async fn three_steps_and_the_segment_id() {
    let vendor = Vendor::new(|_, _, _| None).await;
    let report = run(&vendor, &[]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(report.platform_result["segment_id"], 1_598_345_958);
    assert_eq!(report.platform_result["verdict"], "by e-mail");
    assert_eq!(vendor.counts(), (1, 1, 1));
    let put = &vendor.of("/bucket/")[0];
    assert_eq!(String::from_utf8_lossy(&put.body), BODY);
    let head = put.head.to_ascii_lowercase();
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", BODY.len())), "{head}");
    for never in ["content-type", "transfer-encoding", "clevertap", "referer", "authorization", "accept-encoding"] {
        assert!(!head.contains(never), "{never} in {head}");
    }
    assert!(put.line.contains("X-Amz-SignedHeaders=host&X-Amz-Signature=51670ec2e7 "), "{}", put.line);
    let completed = &vendor.of(COMPLETED)[0];
    let said: serde_json::Value = serde_json::from_slice(&completed.body).unwrap();
    assert!(said["name"].as_str().unwrap().starts_with("VIP 20"));
    assert_eq!(
        (&said["creator"], &said["email"], &said["replace"]),
        (&"Jane".into(), &"jane@example.com".into(), &false.into())
    );
    assert!(said["url"].as_str().unwrap().ends_with("X-Amz-Signature=51670ec2e7"));
    assert!(said["filename"].as_str().unwrap().ends_with(".csv"));
    for seen in [completed, &vendor.of(GET)[0]] {
        let head = seen.head.to_ascii_lowercase();
        assert!(
            head.contains("x-clevertap-account-id: acc-ount-1") && head.contains("x-clevertap-passcode: pass-code-1")
        );
        assert!(head.contains("content-type: application/json"));
    }
}

#[tokio::test]
async fn come_back_later_is_asked_again() {
    let vendor = Vendor::new(|seen, nth, _| {
        let first = seen.line.contains(GET) && nth == 0;
        first.then(|| Does::Answer(200, "URL not generated, Please come back later".to_owned()))
    })
    .await;
    let report = run(&vendor, &[]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(vendor.counts(), (2, 1, 1));
    let never = Vendor::new(|seen, _, _| {
        seen.line.contains(GET).then(|| Does::Answer(200, "URL not generated, Please come back later".to_owned()))
    })
    .await;
    let report = run(&never, &["upload.attempts=2"]).await;
    assert_eq!((report.exit_code, never.counts()), (20, (2, 0, 0)), "{}", shown(&report));
}

#[tokio::test]
async fn an_expired_url_is_replaced_once_and_forgotten() {
    let vendor = Vendor::new(|seen, nth, _| {
        let first = seen.line.starts_with("PUT") && nth == 0;
        first.then(|| Does::Answer(403, xml("AccessDenied", "Request has expired")))
    })
    .await;
    let report = run(&vendor, &[]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    assert_eq!(vendor.counts(), (2, 2, 1));
    let puts = vendor.of("/bucket/");
    assert!(puts[0].line.contains("list-0.csv") && puts[1].line.contains("list-1.csv"));
    assert_eq!(String::from_utf8_lossy(&puts[1].body), BODY);
    let told = String::from_utf8(vendor.of(COMPLETED)[0].body.clone()).unwrap();
    assert!(told.contains("list-1.csv") && !told.contains("list-0.csv"), "{told}");
    let always = Vendor::new(|seen, _, _| {
        seen.line.starts_with("PUT").then(|| Does::Answer(403, xml("AccessDenied", "Request has expired")))
    })
    .await;
    let report = run(&always, &[]).await;
    assert_eq!((report.exit_code, always.counts()), (20, (2, 2, 0)), "{}", shown(&report));
}

#[tokio::test]
async fn the_put_is_repeated_as_s3_asks() {
    for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (400, "RequestTimeout"), (200, "InternalError")] {
        let vendor = Vendor::new(move |seen, nth, _| {
            (seen.line.starts_with("PUT") && nth == 0).then(|| Does::Answer(status, xml(code, "again")))
        })
        .await;
        let report = run(&vendor, &[]).await;
        assert_eq!((report.exit_code, vendor.counts()), (0, (1, 2, 1)), "{status} {code}: {}", shown(&report));
        assert_eq!(report.parts[0].attempts, 2);
    }
    let vendor = Vendor::new(|seen, _, _| {
        seen.line
            .starts_with("PUT")
            .then(|| Does::Answer(403, xml("SignatureDoesNotMatch", "The signature 51670ec2e7")))
    })
    .await;
    let report = run(&vendor, &[]).await;
    assert_eq!((report.exit_code, vendor.counts()), (30, (1, 1, 0)), "{}", shown(&report));
    assert!(!shown(&report).contains("51670ec2e7"), "{}", shown(&report));
}

#[tokio::test]
async fn what_completed_answers_decides() {
    let fail = |text: &str| format!("{{\"status\": \"fail\", \"Error\": \u{201c}{text}\u{201d}}}");
    for (status, body, code) in [
        (200, fail("Invalid URL"), 12),
        (400, fail("name, email ID,filename,creator and pre-signed url are mandatory"), 12),
        (200, fail("email id is either not in the right format or does not belong to a valid admin"), 12),
        (500, fail("New file referencing a previously used URL. Please change URL"), 12),
        (401, r#"{"status":"fail","error":"Unauthorized PASS-CODE-1"}"#.to_owned(), 30),
        (403, String::new(), 30),
        (200, r#"{"status":"success"}"#.to_owned(), 21),
        (500, String::new(), 21),
        (504, "<html>".to_owned(), 21),
    ] {
        let text = body.clone();
        let vendor =
            Vendor::new(move |seen, _, _| seen.line.contains(COMPLETED).then(|| Does::Answer(status, text.clone())))
                .await;
        let report = run(&vendor, &[]).await;
        assert_eq!((report.exit_code, vendor.counts()), (code, (1, 1, 1)), "{status} {body}: {}", shown(&report));
        for secret in ["PASS-CODE-1", "51670ec2e7"] {
            assert!(!shown(&report).contains(secret), "{}", shown(&report));
        }
    }
}

#[tokio::test]
async fn completed_is_told_again_only_where_nothing_was_done() {
    let vendor = Vendor::new(|seen, nth, _| {
        (seen.line.contains(COMPLETED) && nth == 0).then(|| Does::Answer(503, "busy".to_owned()))
    })
    .await;
    let report = run(&vendor, &[]).await;
    assert_eq!((report.exit_code, vendor.counts()), (0, (1, 1, 2)), "{}", shown(&report));
    let vendor = Vendor::new(|seen, _, _| seen.line.contains(COMPLETED).then_some(Does::Close)).await;
    let report = run(&vendor, &[]).await;
    assert_eq!((report.exit_code, vendor.counts()), (21, (1, 1, 1)), "{}", shown(&report));
    assert!(report.error.unwrap().hint().unwrap().contains("--assume"));
}

#[tokio::test]
async fn a_list_over_the_limit_is_refused_or_numbered() {
    let vendor = Vendor::new(|_, _, _| None).await;
    let report = run(&vendor, &["destination.max_body_bytes=25"]).await;
    assert_eq!((report.exit_code, vendor.counts()), (10, (0, 0, 0)), "{}", shown(&report));
    let report = run(&vendor, &["destination.max_body_bytes=25", "destination.oversize=number"]).await;
    assert_eq!(report.exit_code, 0, "{}", shown(&report));
    let puts = vendor.of("/bucket/");
    assert!(puts.len() > 1 && puts.iter().all(|put| put.body.starts_with(b"Type,Identity\n") && put.body.len() <= 25));
    let count = puts.len();
    for (at, told) in vendor.of(COMPLETED).iter().enumerate() {
        let said: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
        assert!(said["name"].as_str().unwrap().ends_with(&format!(" ({} of {count})", at + 1)), "{said}");
        assert!(said["filename"].as_str().unwrap().ends_with(&format!("-{}-of-{count}.csv", at + 1)), "{said}");
    }
    assert_eq!(vendor.counts(), (count, count, count));
}
