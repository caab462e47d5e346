//! Yesmail: imports a file at some address into a target list. The file is fetched when the import is processed.

use super::{Ans, Book, KEY, Model, Req, SECRET, Slice, Verdict};
use serde_json::{Value, json};

#[derive(Default)]
pub(super) struct Yesmail {
    /// The file at the address from which Yesmail fetches.
    file: Option<Vec<u8>>,
    tickets: Vec<Ticket>,
}

struct Ticket {
    effect: usize,
    /// The file was fetched and is the announced one.
    fetched: bool,
}

impl Yesmail {
    fn rows(book: &mut Book, file: &[u8]) -> Option<Slice> {
        let text = String::from_utf8_lossy(file).into_owned();
        let mut lines = text.split_terminator('\n');
        if lines.next() != Some("id") {
            book.violation("a file without its header");
        }
        book.slice(lines.map(|line| Some(line.to_owned())))
    }

    fn results(book: &Book, number: usize) -> Ans {
        let (done, failed) = book.counts(number);
        let rows = done + failed;
        let entries: Vec<Value> =
            (0..failed).map(|index| json!({"index": index, "message": "no such subscriber"})).collect();
        let counts = json!({"completed": done, "failed": failed, "ignored": 0, "total": rows, "requested": rows});
        Ans::new(200, json!({"id": format!("r-{number}"), "counts": counts, "failed": entries}).to_string())
    }
}

impl Model for Yesmail {
    fn answer(&mut self, book: &mut Book, req: &Req) -> Ans {
        if (req.method.as_str(), req.path.split('?').next()) == ("PUT", Some("/files/list.csv")) {
            if !req.header("api-key").is_empty() {
                book.violation("credentials went to the storage");
            }
            self.file = Some(req.body.clone());
            return Ans::new(200, "");
        }
        if req.header("api-user") != KEY || req.header("api-key") != SECRET {
            book.violation("a call to Yesmail without its credentials");
            return Ans::new(401, "");
        }
        let path = req.path.as_str();
        match req.method.as_str() {
            "GET" if path == "/v2/company/ping" => Ans::new(200, "{}"),
            "GET" if path == "/v2/target-lists?view=schema" => {
                Ans::new(200, json!([{"name": "id", "type": "String"}]).to_string())
            }
            "POST" if path == "/v2/target-lists/my-list/members/file-import" => {
                let file = self.file.clone().unwrap_or_default();
                let Some(slice) = Yesmail::rows(book, &file) else { return Ans::new(400, "") };
                let effect = book.take("my-list".to_owned(), slice, true);
                self.tickets.push(Ticket { effect, fetched: false });
                let id = self.tickets.len() - 1;
                let mut ans = Ans::new(
                    202,
                    json!({"ticket": format!("t-{id}"), "id": format!("t-{id}"), "state": "accepted"}).to_string(),
                );
                ans.headers.push(("Content-Location", format!("{}/v2/tickets/t-{id}", super::BASE)));
                ans
            }
            "GET" => {
                let number = |prefix: &str| path.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
                if let Some(ticket) = number("/v2/tickets/t-").and_then(|n| self.tickets.get(n)) {
                    if !book.is_over(ticket.effect) {
                        return Ans::new(200, json!({"id": "t", "state": "processing"}).to_string());
                    }
                    let failed = book.effects[ticket.effect].verdict == Verdict::Failed;
                    let location = format!("{}/v2/async-results/r-{}", super::BASE, ticket.effect);
                    let said = json!({"id": "t", "state": if failed { "failed" } else { "completed" },
                        "message": if failed { "it could not be read" } else { "" }, "response": {"location": location}});
                    return Ans::new(200, said.to_string());
                }
                match number("/v2/async-results/r-").filter(|n| *n < book.effects.len()) {
                    Some(effect) => Yesmail::results(book, effect),
                    None => Ans::new(404, ""),
                }
            }
            _ => {
                book.violation(format!("Yesmail knows no {} {path}", req.method));
                Ans::new(404, "")
            }
        }
    }

    fn pass(&mut self, book: &mut Book) {
        for ticket in self.tickets.iter_mut().filter(|ticket| !ticket.fetched) {
            if book.effects[ticket.effect].ends_at <= book.now {
                ticket.fetched = true;
                let file = self.file.clone().unwrap_or_default();
                let asked_for = book.effects[ticket.effect].ends_at < book.effects[ticket.effect].taken_at + 86_400_000;
                let excused = book.excused.contains(&ticket.effect) || !book.waited_for || !asked_for;
                if Yesmail::rows(book, &file) != Some(book.effects[ticket.effect].slice) && !excused {
                    book.violation("the file was another one when Yesmail fetched it");
                }
            }
        }
    }
}
