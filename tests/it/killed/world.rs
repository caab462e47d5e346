//! The platforms of one job, and what they really did: each request that arrived completely is carried out, whether or
//! not its answer arrives.

use crate::scripted::{Does, Seen, clevertap};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The effects of the requests.
#[derive(Default)]
pub(crate) struct Deeds {
    /// Stored bodies by path.
    pub(crate) stored: BTreeMap<String, Vec<u8>>,
    /// Each creation of a segment, audience or import, with the bytes of its list.
    pub(crate) created: Vec<Vec<u8>>,
    /// The lines of each upload or execution that was carried out.
    pub(crate) uploads: Vec<Vec<String>>,
    /// Number of document imports without a list.
    pub(crate) imports: usize,
    /// Number of status calls; every third one is answered "not yet".
    asked: usize,
    /// The file that Yesmail has fetched.
    pub(crate) fetched: Option<Vec<u8>>,
    fetching: bool,
}

pub(crate) type World = Arc<Mutex<Deeds>>;

/// Returns the lines of JSON in a body.
fn lines(body: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(body).lines().filter(|line| line.starts_with("{\"")).map(str::to_owned).collect()
}

impl Deeds {
    fn not_yet(&mut self) -> bool {
        self.asked += 1;
        self.asked % 3 == 1 && self.created.len() + self.uploads.len() < 3
    }
}

pub(crate) fn clevertap(world: &World, seen: &Seen, nth: usize, base: &str) -> Does {
    let mut deeds = world.lock().unwrap();
    if seen.path().starts_with(clevertap::PUT) {
        deeds.stored.insert("list".to_owned(), seen.body.clone());
    }
    if seen.path() == clevertap::COMPLETED {
        let list = deeds.stored.get("list").cloned().unwrap_or_default();
        deeds.created.push(list);
    }
    clevertap::answer(seen, nth, base)
}

pub(crate) fn localytics(world: &World, seen: &Seen, _: usize, _: &str) -> Does {
    let mut deeds = world.lock().unwrap();
    if !seen.line.starts_with("GET") {
        let rows = lines(&seen.body);
        if seen.line.starts_with("POST /v1/imports/audiences") {
            deeds.created.push(seen.body.clone());
        }
        deeds.uploads.push(rows);
        return Does::Answer(202, format!(r#"{{"activity_id": "a-{}"}}"#, deeds.uploads.len() - 1));
    }
    if seen.path().contains("/list/app/") {
        let lists: Vec<String> =
            (0..deeds.created.len()).map(|nth| format!(r#"{{"id": {}, "name": "n"}}"#, 900 + nth)).collect();
        return Does::Answer(200, format!("[{}]", lists.join(",")));
    }
    if deeds.not_yet() {
        return Does::Answer(200, r#"{"status": "Running"}"#.to_owned());
    }
    let rows = crate::scripted::activity(seen).map_or(0, |nth| deeds.uploads[nth].len());
    Does::Answer(200, crate::scripted::localytics_status("Completed", rows))
}

pub(crate) fn mediarithmics(world: &World, seen: &Seen, _: usize, _: &str) -> Does {
    let mut deeds = world.lock().unwrap();
    let text = match (seen.line.starts_with("POST"), seen.path().ends_with("/executions")) {
        (true, false) => {
            deeds.imports += 1;
            r#"{"status": "ok", "data": {"id": "77"}}"#.to_owned()
        }
        (true, true) => {
            deeds.uploads.push(lines(&seen.body));
            let id = deeds.uploads.len() - 1;
            format!(r#"{{"status": "ok", "data": {{"id": "{id}", "status": "PENDING"}}}}"#)
        }
        _ => {
            let all: Vec<String> = deeds
                .uploads
                .iter()
                .enumerate()
                .map(|(id, rows)| crate::scripted::mediarithmics_execution(id, rows.len()))
                .collect();
            format!(r#"{{"status": "ok", "total": {}, "data": [{}]}}"#, all.len(), all.join(","))
        }
    };
    Does::Answer(200, text)
}

/// Simulates Yesmail, which fetches the file from the storage, the FTP server (`files`) or the process itself.
pub(crate) fn yesmail(world: &World, files: &Arc<Mutex<BTreeMap<String, Vec<u8>>>>, seen: &Seen) -> Does {
    let mut deeds = world.lock().unwrap();
    if seen.line.starts_with("PUT") {
        deeds.stored.insert("list".to_owned(), seen.body.clone());
        return Does::Answer(200, String::new());
    }
    if seen.line.starts_with("POST") {
        let request: Value = serde_json::from_slice(&seen.body).unwrap();
        let uri = request["source"]["uri"].as_str().unwrap().to_owned();
        if uri.starts_with("ftp:") {
            let file = files.lock().unwrap().get("dir/list.csv").cloned().unwrap_or_default();
            deeds.fetched = Some(file);
        } else if uri.contains("/store/") {
            deeds.fetched = deeds.stored.get("list").cloned();
        } else if !std::mem::replace(&mut deeds.fetching, true) {
            let world = Arc::clone(world);
            std::thread::spawn(move || fetch(&world, &uri));
        }
        let file = deeds.fetched.clone().unwrap_or_default();
        deeds.created.push(file);
        return Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned());
    }
    if seen.path().contains("t-1") {
        let state = if deeds.fetched.is_some() && !deeds.not_yet() { "completed" } else { "processing" };
        return Does::Answer(200, format!(r#"{{"id": "t-1", "state": "{state}"}}"#));
    }
    Does::Answer(200, "{}".to_owned())
}

/// Fetches from the process that serves the list, for as long as a test may take.
fn fetch(world: &World, uri: &str) {
    for _ in 0..3000 {
        if let Some(list) = crate::kill_yesmail::pull(uri, &crate::kill_yesmail::Killer::default()) {
            world.lock().unwrap().fetched = Some(list);
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
