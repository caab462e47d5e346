//! The pull server with many sockets: clients without the password delay no download, clients that read nothing keep no
//! session, and any number of downloads stays within the promised memory.

use crate::vendor::{Vendor, answer, ask};
use crate::yesmail::{Scene, TICKET, accepted};
use base64::Engine as _;
use listferry::platform::Outcome;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Returns host, path and authorization header of a pull URI.
fn taken_apart(uri: &str) -> (String, String, String) {
    let (user_info, rest) = uri.strip_prefix("http://").unwrap().split_once('@').unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let token = base64::engine::general_purpose::STANDARD.encode(user_info);
    (host.to_owned(), format!("/{path}"), format!("Authorization: Basic {token}"))
}

/// A vendor that passes the pull URI to `pull` before the ticket is final.
async fn pulling<F, P>(pull: P) -> Vendor
where
    P: Fn(String) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let uri: Arc<Mutex<String>> = Arc::default();
    let task: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>> = Arc::default();
    let pull = Arc::new(pull);
    Vendor::start(move |seen, _| match seen.target.as_str() {
        "/v2/tickets/654321" => {
            let mut task = task.lock().unwrap();
            let running = task.get_or_insert_with(|| tokio::spawn(pull(uri.lock().unwrap().clone())));
            match futures_util::FutureExt::now_or_never(running) {
                None => answer(200, &[], "{\"state\":\"processing\"}"),
                Some(Ok(())) => {
                    *task = Some(tokio::spawn(async {}));
                    answer(200, &[], TICKET)
                }
                Some(Err(panicked)) => {
                    answer(200, &[], json!({"state": "failed", "message": panicked.to_string()}).to_string())
                }
            }
        }
        "/v2/async-results/987654" => answer(200, &[], "{\"counts\":{\"failed\":0}}"),
        _ if seen.method == "GET" => answer(404, &[], ""),
        _ => {
            *uri.lock().unwrap() = seen.json()["source"]["uri"].as_str().unwrap().to_owned();
            accepted()
        }
    })
    .await
}

fn serving() -> Value {
    json!({"serve": {"listen": "127.0.0.1:0"}})
}

fn people(rows: usize) -> String {
    let mut text = String::from("email,first\n");
    for row in 0..rows {
        text.push_str(&format!("someone{row}@example.test,Some One With A Rather Long Name To Fill The Line {row}\n"));
    }
    text
}

async fn delivered(rows: usize, vendor: &Vendor) {
    let scene = Scene::of(&vendor.url(), serving(), json!({}), &people(rows));
    let verdict = tokio::time::timeout(Duration::from_secs(100), scene.deliver()).await.expect("it ends");
    assert_eq!(verdict.unwrap().outcome, Outcome::Done);
}

async fn sockets(host: &str, n: usize, say: &str) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..n {
        let mut stream = TcpStream::connect(host).await.unwrap();
        // a socket that was closed meanwhile is fine, too
        let _ = stream.write_all(say.as_bytes()).await;
        open.push(stream);
    }
    open
}

/// Fetches the whole list within `seconds`.
async fn fetch(uri: &str, seconds: u64) -> Vec<u8> {
    let (host, path, auth) = taken_apart(uri);
    let began = Instant::now();
    let (status, headers, body) = ask(&host, &format!("GET {path} HTTP/1.1\r\n{auth}")).await;
    let took = began.elapsed();
    assert_eq!(status, 200);
    let length: usize = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
    assert_eq!(body.len(), length);
    assert!(took < Duration::from_secs(seconds), "it took {took:?}");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_without_a_password_delay_no_fetch() {
    for (n, say) in [
        (32, ""),
        (100, ""),
        (300, "GET / HTTP/1.1\r\nHost: h\r\n"),
        (100, "GET /nowhere HTTP/1.1\r\nHost: h\r\nAuthorization: Basic eDp5\r\n\r\n"),
    ] {
        let vendor = pulling(move |uri| async move {
            let (host, ..) = taken_apart(&uri);
            let open = sockets(&host, n, say).await;
            fetch(&uri, 3).await;
            // more of them come during the next fetch
            let (again, more) = tokio::join!(fetch(&uri, 3), sockets(&host, 50, say));
            assert!(!again.is_empty());
            drop((open, more));
        })
        .await;
        delivered(1_000, &vendor).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_a_password_ends_by_itself() {
    let vendor = pulling(|uri| async move {
        let (host, path, auth) = taken_apart(&uri);
        let mut asking = TcpStream::connect(&host).await.unwrap();
        let began = Instant::now();
        // it keeps requesting a wrong path
        let mut ended = false;
        while began.elapsed() < Duration::from_secs(14) && !ended {
            ended = asking.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.is_err();
            let mut some = [0; 500];
            ended |= asking.read(&mut some).await.map_or(true, |n| n == 0);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(ended && began.elapsed() > Duration::from_secs(8), "{:?}", began.elapsed());
        let (status, ..) = ask(&host, &format!("GET {path} HTTP/1.1\r\n{auth}")).await;
        assert_eq!(status, 200);
    })
    .await;
    delivered(10, &vendor).await;
}

/// Starts a download and reads a little of it.
async fn begun(uri: &str) -> (TcpStream, Vec<u8>) {
    let (host, path, auth) = taken_apart(uri);
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{auth}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    (stream, Vec::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn downloads_that_read_nothing_block_no_one_and_continue_later() {
    let vendor = pulling(|uri| async move {
        let mut unread = Vec::new();
        for _ in 0..40 {
            unread.push(begun(&uri).await);
        }
        // all of them fill the buffers of their sockets and then wait
        tokio::time::sleep(Duration::from_secs(1)).await;
        let whole = fetch(&uri, 20).await;
        // the first and the last of those that waited get the same list
        for (mut stream, mut got) in [unread.remove(0), unread.pop().unwrap(), unread.remove(17)] {
            tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut got)).await.unwrap().unwrap();
            let at = got.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            assert!(got[at..] == whole[..], "{} of {} bytes", got.len() - at, whole.len());
        }
    })
    .await;
    delivered(180_000, &vendor).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_downloads_at_a_time_are_all_whole() {
    let vendor = pulling(|uri| async move {
        let all = futures_util::future::join_all((0..16).map(|_| fetch(&uri, 60))).await;
        assert!(all.iter().all(|body| body == &all[0]));
        let (host, path, auth) = taken_apart(&uri);
        let (status, _, tail) = ask(&host, &format!("GET {path} HTTP/1.1\r\n{auth}\r\nRange: bytes=-1000")).await;
        assert_eq!((status, &tail[..]), (206, &all[0][all[0].len() - 1000..]));
    })
    .await;
    delivered(60_000, &vendor).await;
}

/// Returns the peak resident memory of a process in MiB.
#[cfg(all(feature = "cli", target_os = "linux"))]
fn peak_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[cfg(all(feature = "cli", target_os = "linux"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_downloads_stay_within_the_promised_memory() {
    for (threads, most) in [(1, 32), (4, 64)] {
        let peak: Arc<Mutex<u64>> = Arc::default();
        let process: Arc<Mutex<u32>> = Arc::default();
        let (seen, of) = (Arc::clone(&peak), Arc::clone(&process));
        let vendor = pulling(move |uri| {
            let (seen, of) = (Arc::clone(&seen), Arc::clone(&of));
            async move {
                let mut unread = Vec::new();
                for _ in 0..20 {
                    unread.push(begun(&uri).await);
                }
                let all = futures_util::future::join_all((0..20).map(|_| fetch(&uri, 100))).await;
                assert!(all.iter().all(|body| body == &all[0]));
                *seen.lock().unwrap() = peak_mib(*of.lock().unwrap());
            }
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("people.csv"), people(80_000)).unwrap();
        let job = format!(
            "source: {{ path: people.csv }}\nmap: {{ id: email, firstname: first }}\ndestination: {{ platform: yesmail, \
             base_url: '{}', list: vip, api_user: {{ env: U }}, api_key: {{ env: K }}, \
             host: {{ serve: {{ listen: '127.0.0.1:0' }} }} }}\n",
            vendor.url()
        );
        std::fs::write(dir.path().join("job.yaml"), job).unwrap();
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_listferry"))
            .args(["run", "job.yaml", "--threads", &threads.to_string(), "--state-dir", "state", "-q"])
            .current_dir(dir.path())
            .envs([("U", "u"), ("K", "k")])
            .spawn()
            .unwrap();
        *process.lock().unwrap() = child.id();
        let mut ended = None;
        for _ in 0..1200 {
            ended = child.try_wait().unwrap();
            if ended.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let _ = child.kill();
        assert_eq!(ended.and_then(|status| status.code()), Some(0));
        let peak = *peak.lock().unwrap();
        assert!(peak > 0 && peak <= most, "{peak} MiB with {threads} threads");
    }
}
