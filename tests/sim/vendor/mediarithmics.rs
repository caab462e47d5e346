//! mediarithmics: document imports and their executions.

use super::{Ans, Book, KEY, Model, Req, Verdict};
use serde_json::{Value, json};

/// Import 500 exists from the start.
pub(super) struct Mediarithmics {
    imports: Vec<Vec<usize>>,
}

impl Mediarithmics {
    pub(super) fn new() -> Mediarithmics {
        Mediarithmics { imports: vec![Vec::new()] }
    }

    fn shown(&self, book: &Book, number: usize) -> Value {
        if !book.is_over(number) {
            return json!({"id": number.to_string(), "status": if number.is_multiple_of(2) { "PENDING" } else { "RUNNING" }});
        }
        let (done, failed) = book.counts(number);
        let failed_whole = book.effects[number].verdict == Verdict::Failed;
        let mut shown = json!({
            "id": number.to_string(),
            "status": if failed_whole { "FAILED" } else { "SUCCEEDED" },
            "result": {"total_success": done, "total_failure": failed},
        });
        if failed_whole {
            shown["error"] = json!({"message": "it could not be read"});
        } else if failed > 0 {
            shown["result"]["error_file_uri"] = json!(format!("mics://errors/{number}"));
        }
        shown
    }
}

impl Model for Mediarithmics {
    fn answer(&mut self, book: &mut Book, req: &Req) -> Ans {
        if req.header("authorization") != KEY {
            book.violation("a call to mediarithmics without its token");
            return Ans::new(401, r#"{"status":"error"}"#);
        }
        if req.path.starts_with("/v1/data_file/data?uri=") {
            let number: usize = req.path.rsplit("%2F").next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
            let Some(effect) = book.effects.get(number) else { return Ans::new(404, "") };
            let (_, failed) = book.counts(number);
            let line = |row| {
                format!(
                    "{}\n",
                    json!({"user_account_id": format!("u{}-{row:05}", effect.slice.version), "error": "no"})
                )
            };
            return Ans::new(200, (effect.slice.from..effect.slice.from + failed).map(line).collect::<String>());
        }
        let Some(path) = req.path.strip_prefix("/v1/datamarts/1234/document_imports") else {
            book.violation(format!("mediarithmics knows no {} {}", req.method, req.path));
            return Ans::new(404, "");
        };
        if (req.method.as_str(), path) == ("POST", "") {
            let said: Value = serde_json::from_slice(&req.body).unwrap_or_default();
            if said["document_type"] != "USER_SEGMENT" || said["mime_type"] != "APPLICATION_X_NDJSON" {
                book.violation("an import of another kind");
            }
            self.imports.push(Vec::new());
            let id = (500 + self.imports.len() - 1).to_string();
            return Ans::new(200, json!({"status": "ok", "data": {"id": id, "datafarm_key": "k"}}).to_string());
        }
        let id = path.trim_start_matches('/').split('/').next().and_then(|id| id.parse::<usize>().ok());
        let Some(at) = id.and_then(|id| id.checked_sub(500)).filter(|at| *at < self.imports.len()) else {
            book.violation("an import that was never made");
            return Ans::new(404, r#"{"status":"error"}"#);
        };
        if req.method == "GET" {
            let list: Vec<Value> = self.imports[at].iter().rev().map(|number| self.shown(book, *number)).collect();
            let count = list.len();
            return Ans::new(200, json!({"status": "ok", "data": list, "count": count, "total": count}).to_string());
        }
        let text = req.text();
        let lines = text.split_terminator('\n');
        let id_in =
            |line: &str| Some(serde_json::from_str::<Value>(line).ok()?["user_account_id"].as_str()?.to_owned());
        let Some(slice) = book.slice(lines.map(id_in)) else { return Ans::new(400, r#"{"status":"error"}"#) };
        let number = book.take(format!("import {}", 500 + at), slice, true);
        self.imports[at].push(number);
        Ans::new(200, json!({"status": "ok", "data": self.shown(book, number)}).to_string())
    }
}
