//! An HTTP server that answers by a script and records what it received: vendors and storages in one. Shares no code
//! with the client.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A complete request as the server received it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `PUT /path?query HTTP/1.1`.
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// Returns the path with its query.
    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// How the server responds to a request.
pub(crate) enum Does {
    Answer(u16, String),
    /// Closes the connection without a response.
    Close,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Its head has arrived; no body has been asked for.
    Head,
    /// At least half of its body has arrived, but not all.
    Half,
    /// It has arrived completely and was carried out, but not answered.
    Whole,
    /// Half of its answer is sent.
    Answering,
    /// It is answered.
    Answered,
}

/// Called at each point of each request (counted from 0 over all). If it returns false, the server closes the
/// connection there.
pub(crate) type Watch = Arc<dyn Fn(usize, Point) -> bool + Send + Sync>;

/// Answers a request, given the number of earlier requests of the same path (without numbers) and the server's base
/// URL.
type Script = Arc<dyn Fn(&Seen, usize, &str) -> Does + Send + Sync>;

pub(crate) struct Vendor {
    pub(crate) base: String,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Vendor {
    pub(crate) async fn start(
        script: impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static,
        watch: Watch,
    ) -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (script, own, ledger): (Script, _, _) = (Arc::new(script), base.clone(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection {
                    script: Arc::clone(&script),
                    watch: Arc::clone(&watch),
                    ledger: Arc::clone(&ledger),
                    begun: Arc::clone(&begun),
                    base: own.clone(),
                };
                tokio::spawn(connection.serve(stream));
            }
        });
        Vendor { base, seen, task }
    }

    /// Returns the complete requests whose path, or method and path, begin with `path`.
    pub(crate) fn of(&self, path: &str) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter().filter(|seen| fits(&seen.line, path)).cloned().collect()
    }
}

/// Returns true if the path of a request line begins with `prefix`, or the line itself (`POST /path`).
pub(crate) fn fits(line: &str, prefix: &str) -> bool {
    line.starts_with(prefix) || line.split(' ').nth(1).is_some_and(|path| path.starts_with(prefix))
}

struct Connection {
    script: Script,
    watch: Watch,
    ledger: Arc<Mutex<Vec<Seen>>>,
    begun: Arc<std::sync::atomic::AtomicUsize>,
    base: String,
}

impl Connection {
    /// Serves one request after another until one side closes.
    async fn serve(self, mut stream: TcpStream) {
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
            let index = self.begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if !(self.watch)(index, Point::Head) {
                return;
            }
            let lower = head.to_ascii_lowercase();
            let header = |name: &str| {
                let mut lines = lower.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned()))
            };
            let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
            if header("expect").is_some() && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
                return;
            }
            while bytes.len() < length {
                if bytes.len() >= length / 2 && !(self.watch)(index, Point::Half) {
                    return;
                }
                match stream.read(&mut buffer).await {
                    Ok(n) if n > 0 => bytes.extend_from_slice(&buffer[..n]),
                    _ => return,
                }
            }
            let body: Vec<u8> = bytes.drain(..length).collect();
            let seen = Seen { line: head.lines().next().unwrap_or_default().to_owned(), head, body };
            let nth = {
                let plain = |path: &str| path.split(|c: char| c.is_ascii_digit() || c == '?').next().map(str::to_owned);
                let mut all = self.ledger.lock().unwrap();
                let nth = all.iter().filter(|one| plain(one.path()) == plain(seen.path())).count();
                all.push(seen.clone());
                nth
            };
            // a request that arrived completely is carried out, whether or not its answer arrives
            let does = (self.script)(&seen, nth, &self.base);
            if !(self.watch)(index, Point::Whole) {
                return;
            }
            let Does::Answer(status, text) = does else { return };
            let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            let (first, second) = answer.as_bytes().split_at(answer.len() / 2);
            if stream.write_all(first).await.is_err()
                || !(self.watch)(index, Point::Answering)
                || stream.write_all(second).await.is_err()
                || !(self.watch)(index, Point::Answered)
            {
                return;
            }
        }
    }
}

/// The uploads that a vendor has accepted, with their number of records, for its counters.
#[derive(Default)]
pub(crate) struct Uploads(Mutex<Vec<usize>>);

impl Uploads {
    /// Accepts an upload of JSON lines and returns its number.
    pub(crate) fn take(&self, seen: &Seen) -> usize {
        let mut all = self.0.lock().unwrap();
        all.push(json_lines(&seen.body));
        all.len() - 1
    }

    /// Returns the number of records of upload `nth`.
    pub(crate) fn records(&self, nth: usize) -> usize {
        self.0.lock().unwrap()[nth]
    }

    /// Returns the number of uploads.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Returns the number of JSON lines in a body; the lines of a form around them begin with another character.
fn json_lines(body: &[u8]) -> usize {
    body.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"{\"")).count()
}

/// Localytics, which accepts every upload and imports all of it.
pub(crate) fn localytics() -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static {
    let uploads = Uploads::default();
    move |seen: &Seen, _: usize, _: &str| {
        if !seen.line.starts_with("GET") {
            return Does::Answer(202, format!(r#"{{"activity_id": "a-{}"}}"#, uploads.take(seen)));
        }
        if seen.path().contains("/list/app/") {
            return Does::Answer(200, "[]".to_owned());
        }
        Does::Answer(200, localytics_status("Completed", activity(seen).map_or(0, |nth| uploads.records(nth))))
    }
}

/// Returns the number in the activity id of a status call.
pub(crate) fn activity(seen: &Seen) -> Option<usize> {
    seen.path().rsplit_once("a-")?.1.split('?').next()?.parse().ok()
}

/// Returns the status of an import of `rows` rows, with the keys of profiles and those of audiences.
pub(crate) fn localytics_status(word: &str, rows: usize) -> String {
    let profiles = format!(r#""successful_imports": {rows}, "failed_imports": 0, "total_number_of_imports": {rows}"#);
    let audiences = format!(r#""successful_lines": "{rows}", "failed_lines": "0", "total_lines": "{rows}""#);
    format!(r#"{{"status": "{word}", "upload_statistics": {{{profiles}, {audiences}}}}}"#)
}

/// Returns an execution of mediarithmics that imported all of its rows.
pub(crate) fn mediarithmics_execution(id: usize, rows: usize) -> String {
    let result = format!(r#"{{"total_success": {rows}, "total_failure": 0}}"#);
    format!(r#"{{"id": "{id}", "status": "SUCCEEDED", "result": {result}}}"#)
}

/// mediarithmics, which accepts every execution and imports all of it.
pub(crate) fn mediarithmics() -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static {
    let uploads = Uploads::default();
    move |seen: &Seen, _: usize, _: &str| {
        let text = match (seen.line.starts_with("POST"), seen.path().ends_with("/executions")) {
            (true, false) => r#"{"status": "ok", "data": {"id": "77"}}"#.to_owned(),
            (true, true) => {
                format!(r#"{{"status": "ok", "data": {{"id": "{}", "status": "PENDING"}}}}"#, uploads.take(seen))
            }
            _ => {
                let all: Vec<String> =
                    (0..uploads.len()).map(|id| mediarithmics_execution(id, uploads.records(id))).collect();
                format!(r#"{{"status": "ok", "total": {}, "data": [{}]}}"#, all.len(), all.join(","))
            }
        };
        Does::Answer(200, text)
    }
}

/// CleverTap's paths.
pub(crate) mod clevertap {
    use super::{Does, Seen};

    pub(crate) const GET: &str = "/get_custom_list_segment_url";
    pub(crate) const PUT: &str = "/bucket/";
    pub(crate) const COMPLETED: &str = "/upload_custom_list_segment_completed";

    /// Answers like a well-behaved vendor.
    pub(crate) fn answer(seen: &Seen, nth: usize, base: &str) -> Does {
        let text = match seen.path() {
            GET => {
                let query = format!("X-Amz-SignedHeaders=host&X-Amz-Signature=se-cret-5167{nth}ec2e7");
                let url = format!("{base}{PUT}list-{nth}.csv?{query}");
                format!(r#"{{"presignedS3URL": "{url}", "expiry": "7 May, 01:29 PM", "status": "success"}}"#)
            }
            COMPLETED => r#"{"Segment ID": 1598345958, "status": "success"}"#.to_owned(),
            _ => String::new(),
        };
        Does::Answer(200, text)
    }
}
