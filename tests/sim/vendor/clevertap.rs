//! CleverTap's custom lists: a request for a URL, a PUT to the storage, and a request that completes the list.

use super::{Ans, BASE, Book, KEY, Model, Req, SECRET};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct CleverTap {
    urls: Vec<Url>,
    lists: BTreeSet<String>,
}

struct Url {
    url: String,
    until: u64,
    object: Option<Vec<u8>>,
    used: bool,
}

/// Lifetime of a URL.
const LIFE: u64 = 24 * 3600 * 1000;

impl Model for CleverTap {
    fn answer(&mut self, book: &mut Book, req: &Req) -> Ans {
        if let Some(rest) = req.path.strip_prefix("/bucket/") {
            return self.put(book, req, rest);
        }
        if req.header("x-clevertap-account-id") != KEY || req.header("x-clevertap-passcode") != SECRET {
            book.violation("a call to CleverTap without its credentials");
            return Ans::new(401, r#"{"status":"fail","error":"Unauthorized","code":401}"#);
        }
        match (req.method.as_str(), req.path.as_str()) {
            ("POST", "/get_custom_list_segment_url") => {
                let url = format!(
                    "{BASE}/bucket/{}?X-Amz-SignedHeaders=host&X-Amz-Signature=canary-signature-{:08x}",
                    self.urls.len(),
                    self.urls.len() * 7919 + 0x1234_5678
                );
                self.urls.push(Url { url: url.clone(), until: book.now + LIFE, object: None, used: false });
                Ans::new(
                    200,
                    json!({"presignedS3URL": url, "expiry": "7 May, 01:29 PM", "status": "success"}).to_string(),
                )
            }
            ("POST", "/upload_custom_list_segment_completed") => self.completed(book, req),
            _ => {
                book.violation(format!("CleverTap knows no {} {}", req.method, req.path));
                Ans::new(404, "")
            }
        }
    }
}

impl CleverTap {
    fn put(&mut self, book: &mut Book, req: &Req, rest: &str) -> Ans {
        if !req.header("x-clevertap-passcode").is_empty() || !req.header("authorization").is_empty() {
            book.violation("credentials went to the storage");
        }
        let number: usize = rest.split('?').next().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX);
        let Some(url) = self.urls.get_mut(number).filter(|url| url.url.ends_with(rest)) else {
            book.violation("a PUT to a URL that was never given");
            return Ans::new(403, "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>");
        };
        if book.now >= url.until {
            return Ans::new(403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>");
        }
        url.object = Some(req.body.clone());
        Ans::new(200, "")
    }

    fn completed(&mut self, book: &mut Book, req: &Req) -> Ans {
        let fail = |book: &mut Book, error: &str| {
            book.refusals += 1;
            Ans::new(200, json!({"status": "fail", "Error": error}).to_string())
        };
        let Ok(said) = serde_json::from_slice::<Value>(&req.body) else {
            book.violation("completed with a body that is no JSON");
            return Ans::new(400, "");
        };
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        if ["name", "email", "filename", "creator", "url"].iter().any(|key| text(key).is_empty()) {
            book.violation("completed without a mandatory key");
        }
        let (name, replace) = (text("name"), said["replace"] == true);
        let Some(url) = self.urls.iter_mut().find(|url| url.url == text("url")) else {
            book.violation("completed with a URL that was never given");
            return fail(book, "Invalid URL");
        };
        if url.used {
            return fail(book, "New file referencing a previously used URL. Please change URL");
        }
        let Some(object) = url.object.clone() else {
            book.violation("completed before the list was there");
            return fail(book, "Invalid URL");
        };
        if self.lists.contains(&name) && !replace {
            return fail(book, "duplicate_name");
        }
        let object = String::from_utf8_lossy(&object).into_owned();
        let mut lines = object.split_terminator('\n');
        if lines.next() != Some("Type,Identity") || !object.ends_with('\n') {
            book.violation("a list without its header or its last line end");
        }
        let Some(slice) = book.slice(lines.map(|line| line.strip_prefix("i,").map(str::to_owned))) else {
            return fail(book, "bad file");
        };
        url.used = true;
        self.lists.insert(name.clone());
        let number = book.take(name, slice, true);
        Ans::new(200, json!({"Segment ID": 1_598_345_958 + number, "status": "success"}).to_string())
    }
}
