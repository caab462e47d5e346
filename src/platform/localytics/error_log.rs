//! The log of failed rows: fetched as a stream, without credentials, from the address in the status. Its errors are
//! never fatal.

use super::tolerant;
use crate::calls::{Call, Event, FaultAt, Remote, Reply, RetrySafety, RowFault, word};
use crate::error::{Kind, Result};
use crate::secret::Secret;
use crate::transport::{Answer, Request};
use serde_json::Value;
use std::time::Duration;

/// Maximum size of an entry; a longer one is only counted.
const MAX_ENTRY_BYTES: usize = 256 << 10;
/// Maximum time to read the log: it is helpful but not the verdict, so a slow one is given up.
const LONGEST: Duration = Duration::from_secs(900);

/// Reads the log and stores each row that it identifies by customer id, under `group`. A fault of the server is only
/// noted.
pub(super) async fn read(remote: &Remote<'_>, base: &str, url: &str, group: &str) -> Result<()> {
    let request = Request::new("GET", Secret::new(absolute(url, base))).supplied_by(base);
    let mut entries = Entries::default();
    let read = {
        let mut each = |event: Event<'_>| match event {
            Event::Begin(_) => {
                entries = Entries::default();
                remote.begin_faults(group)
            }
            Event::Piece(piece) => entries.push(piece, &mut |fault| remote.fault(fault)),
            Event::End => Ok(()),
        };
        let classify = |answer: &Answer| Reply::by_status("the error log", answer);
        remote.read(&Call::new("error-log", RetrySafety::Always), &request, Some(LONGEST), &classify, &mut each).await
    };
    match read {
        // an error of our own journal or disk
        Err(error) if matches!(error.kind(), Kind::Local | Kind::Busy) => Err(error),
        Err(error) => remote.note(&format!("the error log of Localytics could not be read: {error}")),
        Ok(_) if entries.unjoined > 0 => {
            remote.note(&format!("{} entries of the error log of Localytics have no customer id", entries.unjoined))
        }
        Ok(_) => Ok(()),
    }
}

/// Completes the log's address, which may have no scheme. Plain http only if both the log and the platform are on this
/// machine.
fn absolute(url: &str, base: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    let on_this_machine = |url: &str| {
        let host = url::Url::parse(url).ok();
        match host.as_ref().and_then(url::Url::host) {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    };
    let url = url.trim_start_matches('/');
    let plain = format!("http://{url}");
    match base.starts_with("http://") && on_this_machine(base) && on_this_machine(&plain) {
        true => plain,
        false => format!("https://{url}"),
    }
}

/// Splits a stream into JSON objects, whatever separates them: one per line, an array, pretty-printed.
#[derive(Default)]
struct Entries {
    entry: Vec<u8>,
    depth: usize,
    in_text: bool,
    escaped: bool,
    too_long: bool,
    /// Number of entries without a customer id.
    unjoined: u64,
}

impl Entries {
    fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(RowFault) -> Result<()>) -> Result<()> {
        for &byte in bytes {
            if self.depth == 0 && byte != b'{' {
                continue;
            }
            if self.entry.len() < MAX_ENTRY_BYTES {
                self.entry.push(byte);
            } else {
                self.too_long = true;
            }
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    // texts never span lines: the entry is damaged, and the next line starts a new one
                    b'\n' => self.drop_entry(),
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' => self.depth += 1,
                b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        let fault = if self.too_long { None } else { fault(&self.entry) };
                        match fault {
                            Some(fault) => {
                                self.entry.clear();
                                each(fault)?;
                            }
                            None => self.drop_entry(),
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn drop_entry(&mut self) {
        *self = Entries { unjoined: self.unjoined + 1, ..Entries::default() };
    }
}

/// Reads an entry of the log. Its shape is undocumented: the customer id is searched at the top and one level below,
/// also in a text that contains the line itself.
fn fault(entry: &[u8]) -> Option<RowFault> {
    let value = tolerant::read(entry)?;
    let key = customer_id(&value).or_else(|| {
        value.as_object()?.values().find_map(|inner| match inner {
            Value::Object(_) => customer_id(inner),
            Value::String(line) if line.contains("customer_id") => customer_id(&tolerant::read(line.as_bytes())?),
            _ => None,
        })
    })?;
    Some(RowFault { at: FaultAt::Key(key), message: message(&value) })
}

fn customer_id(value: &Value) -> Option<String> {
    match &value["customer_id"] {
        // unchanged: an id may begin with a space
        Value::String(id) => Some(id.clone()),
        other => word(other),
    }
}

fn message(entry: &Value) -> String {
    for key in ["error", "message", "reason", "error_message", "error_reason", "errors", "description"] {
        match &entry[key] {
            Value::String(text) if !text.is_empty() => return text.clone(),
            Value::Null | Value::String(_) => {}
            other => return other.to_string(),
        }
    }
    "listed in the error log without a reason".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(log: &[u8], piece: usize) -> (Vec<(String, String)>, u64) {
        let (mut entries, mut found) = (Entries::default(), Vec::new());
        for bytes in log.chunks(piece) {
            entries
                .push(bytes, &mut |fault| {
                    let FaultAt::Key(key) = fault.at else { panic!("a key") };
                    found.push((key, fault.message));
                    Ok(())
                })
                .unwrap();
        }
        (found, entries.unjoined)
    }

    #[test]
    fn rows_are_found_in_every_shape_of_log_however_it_is_cut() {
        let lines = "{\"customer_id\":\"a}\",\"error\":\"no \\\"x\\\"\"}\n\n{\"customer_id\":7,\"errors\":[\"p\",\"q\"]}\r\n{\"line\":{\"customer_id\":\"c\"},\"message\":\"m\"}\n{\"row\":\"{\\\"customer_id\\\":\\\"d\\\"}\"}\n{\"error\":\"no id\"}\nplain text\n";
        let array = "[\n  {\"customer_id\": \"a}\", \"error\": \"no \\\"x\\\"\"},\n  {\"customer_id\": \"7\", \"errors\": [\"p\",\"q\"]},\n {\"line\": {\"customer_id\": \"c\"},\n \"message\": \"m\"}, {\"row\":\"{\\\"customer_id\\\":\\\"d\\\"}\"}, {} ]";
        let want: Vec<(String, String)> =
            [("a}", "no \"x\""), ("7", "[\"p\",\"q\"]"), ("c", "m"), ("d", "listed in the error log without a reason")]
                .map(|(key, message)| (key.to_owned(), message.to_owned()))
                .to_vec();
        for log in [lines, array] {
            for piece in [1, 2, 7, 4096] {
                assert_eq!(faults(log.as_bytes(), piece), (want.clone(), 1), "{piece}");
            }
        }
    }

    #[test]
    fn a_damaged_or_endless_entry_costs_only_itself() {
        let log = b"{\"customer_id\":\"a\n{\"customer_id\":\"b\",\"error\":\"e\"}\n";
        assert_eq!(faults(log, 3), (vec![("b".to_owned(), "e".to_owned())], 1));
        let mut log = b"{\"customer_id\":\"".to_vec();
        log.resize(MAX_ENTRY_BYTES + 100, b'x');
        log.extend_from_slice(b"\"}{\"customer_id\":\"b\",\"error\":\"e\"}");
        assert_eq!(faults(&log, 9000), (vec![("b".to_owned(), "e".to_owned())], 1));
    }

    #[test]
    fn plain_http_only_on_this_machine() {
        let own = "https://api.localytics.com";
        assert_eq!(absolute("s3.example/e.json", own), "https://s3.example/e.json");
        assert_eq!(absolute("127.0.0.1:81/e", "http://127.0.0.1:80"), "http://127.0.0.1:81/e");
        assert_eq!(absolute("s3.example/e.json", "http://127.0.0.1:80"), "https://s3.example/e.json");
        assert_eq!(absolute("127.0.0.1:81/e", own), "https://127.0.0.1:81/e");
        assert_eq!(absolute("https://h/e?X=1", own), "https://h/e?X=1");
    }
}
