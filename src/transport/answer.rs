//! Responses: a body of bounded size, a verified end, and `Retry-After`.

use super::coding::{Coding, Gunzip};
use super::exchange::Heard;
use super::{Answer, Failed, Reach, StreamAnswer};
use crate::error::{Error, Kind};
use crate::secret::{Taint, redacted_url};
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::time::{Duration, SystemTime};

/// Maximum size of a response body in memory.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Maximum delay taken from `Retry-After`: larger numbers are nonsense and must not overflow a clock.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Answer {
    /// Returns the first header with this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Returns the delay that `Retry-After` asks for: seconds or an HTTP date, compared with the response's own `Date`
    /// or else our clock. `None` if the value is not valid, zero if the date is past.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    /// Returns the host that a redirect points to, for a message. Never the whole URL, which may contain secrets.
    #[must_use]
    pub fn redirect_host(&self) -> Option<String> {
        if !(300..400).contains(&self.status) {
            return None;
        }
        let target = super::urls::Target::parse(self.header("location")?).ok()?;
        Some(target.authority())
    }
}

impl StreamAnswer {
    /// Returns the first header with this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Like [`Answer::retry_after`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    /// Whether the response marks the end of its body (`Content-Length` or chunked). If not, only the body itself can
    /// verify its end, for example by a gzip trailer.
    #[must_use]
    pub fn has_proven_end(&self) -> bool {
        self.proven
    }

    /// Accepts a closed connection as the end of a body that is not marked otherwise. For content that verifies its own
    /// end.
    pub fn accept_close_as_end(&mut self) {
        self.proven = true;
    }

    /// Returns the next decoded piece of the body; `None` at its verified end. A pause longer than the stall timer is
    /// an error.
    ///
    /// # Errors
    /// `Lost`: the body was cut off or damaged, or nothing marks its end (see [`StreamAnswer::accept_close_as_end`]).
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failed> {
        loop {
            let Some(gunzip) = &mut self.gunzip else { return self.piece().await };
            if self.coded.is_empty() {
                match self.piece().await? {
                    Some(piece) => self.coded = piece,
                    None => return self.last().map_err(|failed| failed.at(&self.from)),
                }
                continue;
            }
            let decoded = gunzip.step(&mut self.coded);
            let decoded = decoded.map_err(|why| undecodable(self.status, &why).at(&self.from))?;
            if !decoded.is_empty() {
                return Ok(Some(decoded.into()));
            }
        }
    }

    /// Returns what is left in the decoder.
    fn last(&mut self) -> Result<Option<Bytes>, Failed> {
        let Some(mut gunzip) = self.gunzip.take() else { return Ok(None) };
        let last = gunzip.finish().map_err(|why| undecodable(self.status, &why))?;
        Ok((!last.is_empty()).then(|| last.into()))
    }

    /// Returns the next piece as received.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    async fn piece(&mut self) -> Result<Option<Bytes>, Failed> {
        let next = tokio::time::timeout(self.pause, next(&mut self.heard)).await;
        let lost = |message: String| Err(lost(message).at(&self.from));
        match next {
            Err(_) => lost(format!("the answer paused for more than {:?}", self.pause)),
            Ok(Some(Ok(data))) => Ok(Some(data)),
            Ok(Some(Err(error))) => lost(format!("the answer was cut: {error}")),
            Ok(None) if self.proven => Ok(None),
            Ok(None) => lost("the connection was closed, and nothing proves that the answer was whole".to_owned()),
        }
    }

    /// Reads the rest of the body into memory, without secrets: for a response that is an error text.
    ///
    /// # Errors
    /// `Lost`: a 2xx response that was cut off or is larger than 1 MiB.
    pub async fn into_answer(mut self) -> Result<Answer, Failed> {
        let answer = whole(&mut self.heard, self.status, self.headers, self.pause).await;
        let mut answer = answer.map_err(|failed| failed.at(&self.from))?;
        answer.body = self.taint.text(&String::from_utf8_lossy(&answer.body)).into_owned().into_bytes();
        Ok(answer)
    }

    /// Returns the response with its body decoded while it is read.
    ///
    /// # Errors
    /// `Lost`: a 2xx response in a coding that cannot be decoded.
    pub(crate) fn decoded(mut self) -> Result<StreamAnswer, Failed> {
        match Coding::of(&self.headers) {
            Coding::Gzip => self.gunzip = Some(Box::new(Gunzip::new())),
            Coding::Other(coding) if self.status < 300 => return Err(foreign(self.status, &coding).at(&self.from)),
            Coding::Identity | Coding::Other(_) => {}
        }
        Ok(self)
    }

    /// Returns a response whose body is read as received.
    pub(super) fn new(heard: Heard, from: String, pause: Duration, taint: Taint) -> StreamAnswer {
        let status = heard.status();
        let headers = heard.headers();
        let chunked =
            first(&headers, "transfer-encoding").is_some_and(|te| te.to_ascii_lowercase().ends_with("chunked"));
        let proven = chunked || heard.body.size_hint().exact().is_some();
        StreamAnswer { status, headers, heard, gunzip: None, coded: Bytes::new(), from, proven, pause, taint }
    }
}

/// Reads a response's body into memory, decoded. The body of a status other than 2xx is only a text for people: if it
/// is cut off or too long, the status still counts.
#[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
pub(super) async fn whole(
    heard: &mut Heard,
    status: u16,
    headers: Vec<(String, String)>,
    within: Duration,
) -> Result<Answer, Failed> {
    let success = status < 300;
    let mut body = Vec::new();
    let coding = Coding::of(&headers);
    let read = async {
        match coding {
            Coding::Identity => plain(heard, status, &mut body).await,
            Coding::Gzip => decoded(heard, status, &mut body).await,
            Coding::Other(coding) => Err(foreign(status, &coding)),
        }
    };
    let read = match tokio::time::timeout(within, read).await {
        Ok(read) => read,
        Err(_) => Err(lost(format!("the answer ({status}) did not end within {within:?}"))),
    };
    match read {
        Err(failed) if success => Err(failed),
        _ => Ok(Answer { status, headers, body }),
    }
}

async fn plain(heard: &mut Heard, status: u16, body: &mut Vec<u8>) -> Result<(), Failed> {
    while let Some(piece) = next(heard).await {
        let piece = piece.map_err(|e| lost(format!("the answer ({status}) was cut: {e}")))?;
        take(body, &piece, status)?;
    }
    Ok(())
}

async fn decoded(heard: &mut Heard, status: u16, body: &mut Vec<u8>) -> Result<(), Failed> {
    let mut gunzip = Gunzip::new();
    while let Some(piece) = next(heard).await {
        let mut piece = piece.map_err(|e| lost(format!("the answer ({status}) was cut: {e}")))?;
        while !piece.is_empty() {
            let decoded = gunzip.step(&mut piece).map_err(|why| undecodable(status, &why))?;
            take(body, &decoded, status)?;
        }
    }
    let last = gunzip.finish().map_err(|why| undecodable(status, &why))?;
    take(body, &last, status)
}

/// Appends a piece to a body, up to the maximum size.
fn take(body: &mut Vec<u8>, piece: &[u8], status: u16) -> Result<(), Failed> {
    let room = MAX_BODY_BYTES - body.len();
    body.extend_from_slice(&piece[..piece.len().min(room)]);
    if piece.len() > room {
        let message = format!("the answer ({status}) is larger than {MAX_BODY_BYTES} bytes");
        return Err(Failed { reach: Reach::Lost, error: Error::new(Kind::Refused, message) });
    }
    Ok(())
}

fn undecodable(status: u16, why: &str) -> Failed {
    lost(format!("the answer ({status}) cannot be read: {why}"))
}

fn foreign(status: u16, coding: &str) -> Failed {
    let coding = crate::secret::printable(coding);
    let message = format!("the answer ({status}) has a content coding that was not asked for: {coding}");
    Failed { reach: Reach::Lost, error: Error::new(Kind::Refused, message) }
}

/// Returns the next data of a response, driving the connection meanwhile.
async fn next(heard: &mut Heard) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        let frame = tokio::select! {
            biased;
            frame = heard.body.frame() => frame,
            () = heard.connection.run() => heard.body.frame().await,
        };
        match frame? {
            Ok(frame) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Some(Ok(data)),
                Err(_trailers) => {}
            },
            Err(error) => return Some(Err(error)),
        }
    }
}

pub(super) fn lost(message: String) -> Failed {
    Failed { reach: Reach::Lost, error: Error::new(Kind::Transient, message) }
}

fn first<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

#[expect(clippy::disallowed_methods, reason = "an answer without a Date is compared with the time of the machine")]
fn retry_after(headers: &[(String, String)]) -> Option<Duration> {
    let value = first(headers, "retry-after")?.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = value.parse().map_or(LONGEST_WAIT, Duration::from_secs);
        return Some(seconds.min(LONGEST_WAIT));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now =
        first(headers, "date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default().min(LONGEST_WAIT))
}

impl std::fmt::Debug for StreamAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// `Debug` shows neither headers nor body: a `Location` may be a presigned URL.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("location", &self.header("location").map(redacted_url))
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Answer { status, headers, body: b"text".to_vec() }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test of a timer")]
    fn n14_retry_after_in_seconds_as_a_date_and_as_garbage() {
        let of = |value: &str| {
            answer(429, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", value)]).retry_after()
        };
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of(" 0 "), Some(Duration::ZERO));
        assert_eq!(of("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(of("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("99999999999999999999999"), Some(LONGEST_WAIT));
        for garbage in ["", "soon", "-5", "1.5", "12 s", "٣"] {
            assert_eq!(of(garbage), None, "{garbage}");
        }
        assert_eq!(answer(429, &[]).retry_after(), None);
        let far = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
        let wait = answer(429, &[("retry-after", &far)]).retry_after().unwrap();
        assert!(wait > Duration::from_secs(500) && wait <= Duration::from_secs(600));
    }

    #[test]
    fn a_redirect_shows_its_host_and_no_more() {
        let answer = answer(307, &[("location", "https://u:p@other.example/k?X-Amz-Signature=s3cret")]);
        assert_eq!(answer.redirect_host().as_deref(), Some("other.example"));
        let debug = format!("{answer:?}");
        assert!(!debug.contains("s3cret") && !debug.contains("u:p"), "{debug}");
    }
}
