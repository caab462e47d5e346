//! Localytics: profile imports and audience lists.

use super::{Ans, BASE, Book, Effect, KEY, Model, Req, SECRET, Slice, Verdict};
use base64::Engine as _;
use serde_json::{Value, json};

pub(super) struct Localytics {
    /// Times of all uploads of profiles, whatever their result.
    uploads: Vec<u64>,
    lists: Vec<List>,
    /// The effect of each activity.
    activities: Vec<usize>,
}

struct List {
    id: String,
    name: String,
}

/// The list that exists from the start.
const OLD_LIST: &str = "31245";

const HOUR: u64 = 3600 * 1000;
/// the client takes a slot a little before its call arrives
const TOLERANCE: u64 = 15 * 60 * 1000;

impl Localytics {
    pub(super) fn new() -> Localytics {
        let old = List { id: OLD_LIST.to_owned(), name: "old".to_owned() };
        Localytics { uploads: Vec::new(), lists: vec![old], activities: Vec::new() }
    }

    fn accepted(&mut self, number: usize) -> Ans {
        self.activities.push(number);
        Ans::new(202, json!({"activity_id": format!("act-{}", self.activities.len() - 1)}).to_string())
    }

    fn profiles(&mut self, book: &mut Book, req: &Req) -> Ans {
        self.uploads.push(book.now);
        let recent = self.uploads.iter().filter(|at| **at + HOUR > book.now + TOLERANCE).count();
        if recent > 10 {
            book.violation("more than ten profile uploads within an hour");
        }
        let Some((fields, file)) = form(req) else {
            book.violation("a form that cannot be read");
            return Ans::new(400, "");
        };
        if fields != [("org_id".to_owned(), "60".to_owned()), ("format".to_owned(), "json".to_owned())] {
            book.violation(format!("a form with other fields: {fields:?}"));
        }
        let Some(slice) = slice(book, &file) else { return Ans::new(400, "") };
        let number = book.take("profiles".to_owned(), slice, false);
        self.accepted(number)
    }

    fn audience(&mut self, book: &mut Book, req: &Req, id: Option<&str>) -> Ans {
        let Some((fields, file)) = form(req) else {
            book.violation("a form that cannot be read");
            return Ans::new(400, "");
        };
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        if field("app_id").as_deref() != Some("app-1") || field("identifier_type").as_deref() != Some("customer_id") {
            book.violation(format!("a form with other fields: {fields:?}"));
        }
        let Some(slice) = slice(book, &file) else { return Ans::new(400, "") };
        let at = match id {
            Some(id) => match self.lists.iter().position(|list| list.id == id) {
                Some(at) => at,
                None => return Ans::new(404, ""),
            },
            None => {
                let Some(name) = field("audience_name") else {
                    book.violation("a list without a name");
                    return Ans::new(400, "");
                };
                let id = (40_000 + self.lists.len()).to_string();
                self.lists.push(List { id, name });
                self.lists.len() - 1
            }
        };
        let target = self.lists[at].id.clone();
        let number = book.take(target, slice, id.is_none());
        self.accepted(number)
    }

    fn status(&self, book: &Book, id: &str, audience: bool) -> Ans {
        let number = id.strip_prefix("act-").and_then(|n| n.parse::<usize>().ok()).and_then(|n| self.activities.get(n));
        let Some(&number) = number else { return Ans::new(404, "") };
        if !book.is_over(number) {
            return Ans::new(
                200,
                json!({"status": if number.is_multiple_of(2) { "Running" } else { "Pending" }}).to_string(),
            );
        }
        let (done, failed) = book.counts(number);
        let statistics = match audience {
            true => json!({"total_lines": (done + failed).to_string(), "audience_list_id": book.effects[number].target,
                "failed_lines": failed.to_string(), "successful_lines": done.to_string()}),
            false => json!({"successful_imports": done, "parsed_imports": done, "failed_imports": failed,
                "total_number_of_imports": done + failed}),
        };
        let mut said = json!({"upload_statistics": statistics});
        match book.effects[number].verdict {
            Verdict::Failed => {
                said["status"] = json!("Failed");
                said["error_reason"] = json!("it could not be read");
            }
            _ => said["status"] = json!("Completed"),
        }
        if failed > 0 {
            said["error_log"] = json!(format!("{BASE}/errors/{number}?X-Amz-Signature=canary-signature-{number:08x}"));
        }
        Ans::new(200, said.to_string())
    }

    fn errors(&self, book: &Book, rest: &str) -> Ans {
        let number: usize = rest.split('?').next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let Some(Effect { slice, .. }) = book.effects.get(number) else { return Ans::new(404, "") };
        let (_, failed) = book.counts(number);
        let rows = slice.from..slice.from + failed;
        let line =
            |row| format!("{}\n", json!({"customer_id": id_of(slice.version, row), "error": "no such customer"}));
        Ans::new(200, rows.map(line).collect::<String>())
    }
}

fn id_of(version: u32, row: u32) -> String {
    format!("u{version}-{row:05}")
}

impl Model for Localytics {
    fn answer(&mut self, book: &mut Book, req: &Req) -> Ans {
        if let Some(rest) = req.path.strip_prefix("/errors/") {
            if !req.header("authorization").is_empty() {
                book.violation("credentials went to the storage");
            }
            return self.errors(book, rest);
        }
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{KEY}:{SECRET}"));
        if req.header("authorization") != format!("Basic {pair}") {
            book.violation("a call to Localytics without its credentials");
            return Ans::new(401, "");
        }
        let Some(path) = req.path.strip_prefix("/v1/imports/") else { return Ans::new(404, "") };
        match (req.method.as_str(), path) {
            ("POST", "profiles/upload") => self.profiles(book, req),
            ("POST", "audiences/list/") => self.audience(book, req, None),
            ("GET", "audiences/list/app/app-1") => {
                let shown = |list: &List| json!({"id": list.id.parse::<u64>().unwrap_or(0), "name": list.name, "app_id": "app-1"});
                Ans::new(200, Value::Array(self.lists.iter().map(shown).collect()).to_string())
            }
            ("GET", path) => match (path.strip_prefix("profiles/status/"), path.strip_prefix("audiences/list/status/"))
            {
                (Some(id), _) => self.status(book, id, false),
                (_, Some(id)) => self.status(book, id, true),
                _ => Ans::new(404, ""),
            },
            ("PUT", path) => self.audience(book, req, path.strip_prefix("audiences/list/").or(Some(""))),
            _ => {
                book.violation(format!("Localytics knows no {} {}", req.method, req.path));
                Ans::new(404, "")
            }
        }
    }
}

type Form = (Vec<(String, String)>, String);

/// Returns the fields of a form and its only file.
fn form(req: &Req) -> Option<Form> {
    let boundary = req.header("content-type").strip_prefix("multipart/form-data; boundary=")?.to_owned();
    let text = req.text();
    let body = text.strip_prefix(&format!("--{boundary}\r\n"))?.strip_suffix(&format!("\r\n--{boundary}--\r\n"))?;
    let (mut fields, mut file) = (Vec::new(), None);
    for part in body.split(&format!("\r\n--{boundary}\r\n")) {
        let (head, content) = part.split_once("\r\n\r\n")?;
        let name = head.split_once("name=\"")?.1.split('"').next()?.to_owned();
        match head.contains("filename=") {
            true if file.is_none() && name == "file" => file = Some(content.to_owned()),
            true => return None,
            false => fields.push((name, content.to_owned())),
        }
    }
    Some((fields, file?))
}

fn slice(book: &mut Book, file: &str) -> Option<Slice> {
    if !file.ends_with('\n') {
        book.violation("a file without its last line end");
    }
    let lines = file.split_terminator('\n');
    book.slice(lines.map(|line| Some(serde_json::from_str::<Value>(line).ok()?["customer_id"].as_str()?.to_owned())))
}
