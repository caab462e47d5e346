//! Answers of the pull server: the list for a client with path and password, with ranges and conditions (RFC 9110); the
//! same 404 for every other path.

use super::door::{Door, Guest};
use super::download::{Download, Served};
use super::range::{Conditions, Wanted};
use crate::error::Error;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::sync::Arc;

pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Error>>;

/// The list, its path, and the authorization header that it requires.
pub(super) struct Answers {
    served: Served,
    path: String,
    authorization: String,
    etag: String,
}

impl Answers {
    /// Creates answers for the list at `path` to clients that send `authorization`.
    pub(super) fn new(served: Served, path: String, authorization: String) -> Answers {
        let etag = format!("\"crc64nvme-{:016x}\"", served.part.crc);
        Answers { served, path, authorization, etag }
    }

    /// Returns the path of the list.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Answers a request on the connection `guest`.
    pub(super) fn answer<B>(&self, request: &Request<B>, guest: &Arc<Guest>, door: &Door) -> Reply {
        let reply = self.reply(request, guest, door);
        // logs neither path nor credentials
        tracing::info!(method = %request.method(), status = reply.status().as_u16(), "pull server answered");
        reply
    }

    fn reply<B>(&self, request: &Request<B>, guest: &Arc<Guest>, door: &Door) -> Reply {
        if !same(request.uri().path(), &self.path) {
            return plain(StatusCode::NOT_FOUND, "not found\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut reply = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return reply;
        }
        let given = joined(request.headers(), header::AUTHORIZATION).unwrap_or_default();
        if !same(&given, &self.authorization) {
            let mut reply = plain(StatusCode::UNAUTHORIZED, "user and password please\n");
            let challenge = HeaderValue::from_static("Basic realm=\"list\"");
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return reply;
        }
        if !door.admit(guest) {
            let mut reply = plain(StatusCode::SERVICE_UNAVAILABLE, "too many downloads at a time\n");
            put(&mut reply, header::RETRY_AFTER, "5");
            put(&mut reply, header::CONNECTION, "close");
            return reply;
        }
        self.list(request.method(), request.headers(), guest)
    }

    fn list(&self, method: &Method, headers: &HeaderMap, guest: &Arc<Guest>) -> Reply {
        let [if_match, if_none_match, if_range, range] =
            [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_RANGE, header::RANGE]
                .map(|name| joined(headers, name));
        let conditions = Conditions {
            if_match: if_match.as_deref(),
            if_none_match: if_none_match.as_deref(),
            if_range: if_range.as_deref(),
            range: range.as_deref().filter(|_| method == Method::GET),
        };
        let length = self.served.part.bytes;
        let (status, range) = match conditions.evaluate(&self.etag, length) {
            Wanted::Whole => (StatusCode::OK, 0..length),
            Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Wanted::NotModified => return self.dressed(empty(StatusCode::NOT_MODIFIED)),
            Wanted::Failed => return self.dressed(empty(StatusCode::PRECONDITION_FAILED)),
            Wanted::Unsatisfiable => {
                let mut reply = plain(StatusCode::RANGE_NOT_SATISFIABLE, "no such range\n");
                put(&mut reply, header::CONTENT_RANGE, &format!("bytes */{length}"));
                return self.dressed(reply);
            }
        };
        let mut reply = empty(status);
        put(&mut reply, header::CONTENT_TYPE, "text/csv; charset=utf-8");
        put(&mut reply, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
        if status == StatusCode::PARTIAL_CONTENT {
            put(&mut reply, header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, range.end - 1));
        }
        if method == Method::GET {
            *reply.body_mut() = Download::new(&self.served, range, guest).boxed_unsync();
        }
        self.dressed(reply)
    }

    fn dressed(&self, mut reply: Reply) -> Reply {
        put(&mut reply, header::ETAG, &self.etag);
        put(&mut reply, header::ACCEPT_RANGES, "bytes");
        put(&mut reply, header::CACHE_CONTROL, "no-store");
        reply
    }
}

fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    reply
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    put(&mut reply, header::CONTENT_TYPE, "text/plain");
    reply
}

fn put(reply: &mut Reply, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

fn joined(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Compares two texts in a time that depends only on their lengths.
fn same(given: &str, wanted: &str) -> bool {
    let (given, wanted) = (given.as_bytes(), wanted.as_bytes());
    let mut differs = u8::from(given.len() != wanted.len());
    for (i, byte) in wanted.iter().enumerate() {
        differs |= byte ^ given.get(i).copied().unwrap_or(0);
    }
    std::hint::black_box(differs) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_is_the_same() {
        assert!(same("/abc", "/abc"));
        for other in ["", "/ab", "/abd", "/abcd", "/ABC"] {
            assert!(!same(other, "/abc"), "{other}");
        }
        assert!(!same("x", ""));
    }
}
