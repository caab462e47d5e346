//! The client: small calls, streamed responses and uploads, each on a fresh HTTP/1.1 connection. The client never
//! retries.

use super::answer::whole;
use super::checksum;
use super::connect::{Connected, Dial, connect};
use super::exchange::{Head, Heard, Limits, exchange};
use super::gate::{Gate, InMemory};
use super::learn;
use super::presigned::{missing_headers, needed_headers};
use super::proxy::ProxyRules;
use super::roots::Roots;
use super::urls::{Target, permanent};
use super::{Answer, Failed, NetworkOptions, Reach, Request, StreamAnswer, Timers, redirect};
use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, Taint};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body::Body;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Maximum wait for the response to a small call; `response` if that is less.
const CALL_ANSWER: Duration = Duration::from_secs(30);
/// Maximum wait for the text of a refusal.
const REFUSAL_BODY: Duration = Duration::from_secs(10);
/// Bodies up to this size are read completely before the connection is made.
const DRAWN_WHOLE: u64 = 256 * 1024;
/// Bodies from this size on wait for `100 Continue`.
const EXPECT_FROM: u64 = 64 * 1024;
/// Maximum wait for `100 Continue`.
const EXPECT_WAIT: Duration = Duration::from_secs(1);

/// Headers set only by this module.
const RESERVED: [HeaderName; 9] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::CONNECTION,
    header::HOST,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
];

/// HTTP client with timers, roots and proxy rules. Cheap to clone; each request has its own connection.
///
/// ```no_run
/// use listferry::Secret;
/// use listferry::transport::{Client, NetworkOptions, Request, Timers};
///
/// # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(&NetworkOptions::default(), &Timers::default())?;
/// let request = Request::new("GET", Secret::new("https://api.example/v1/status")).header("X-Api-Key", "…");
/// match client.call(&request).await {
///     Ok(answer) => println!("{}", answer.status),
///     Err(failed) => println!("{:?}: {}", failed.reach, failed.error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Shared>);

pub(super) struct Shared {
    pub(super) timers: Timers,
    pub(super) allow_http: bool,
    pub(super) proxies: ProxyRules,
    pub(super) roots: Roots,
    taint: Taint,
    /// True once a server has answered 417: `Expect` is not sent any more.
    no_expect: AtomicBool,
    pub(super) dial: Option<Arc<dyn Dial>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("timers", &self.0.timers).finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client; reads roots and proxy rules.
    ///
    /// # Errors
    /// `Usage`: a CA file cannot be read, or a proxy URL is not valid.
    pub fn new(network: &NetworkOptions, timers: &Timers) -> Result<Client> {
        Client::with_env(network, timers, &|name| std::env::var(name).ok())
    }

    /// Like [`Client::new`], with an environment to look up proxy variables.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_env(network: &NetworkOptions, timers: &Timers, env: &dyn Fn(&str) -> Option<String>) -> Result<Client> {
        let proxies = ProxyRules::new(&network.proxy, env)?;
        proxies.secrets().for_each(|secret| network.taint.add(secret.expose()));
        Ok(Client(Arc::new(Shared {
            timers: timers.clone(),
            allow_http: network.allow_http,
            proxies,
            taint: network.taint.clone(),
            roots: Roots::new(network.ca_file.as_deref())?,
            no_expect: AtomicBool::new(false),
            dial: network.dial.clone(),
        })))
    }

    #[cfg(feature = "jobs")]
    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Returns TLS settings with the same roots, for protocols other than HTTP.
    ///
    /// # Errors
    /// `Usage`: there are no roots.
    pub(crate) fn tls_config(&self) -> Result<Arc<rustls::ClientConfig>> {
        let mut config = (*self.0.roots.config()?).clone();
        config.alpn_protocols.clear();
        Ok(Arc::new(config))
    }

    /// Returns the secrets that messages must not show: those of the job, and of the requests so far.
    #[must_use]
    pub fn taint(&self) -> &Taint {
        &self.0.taint
    }

    /// Makes one attempt of a small call. Redirects are returned like any response. The body of a response other than
    /// 2xx is a text for people; secrets are removed from it.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn call(&self, request: &Request) -> Result<Answer, Failed> {
        learn(self.taint(), request);
        self.call_once(request).await.map(|answer| self.quotable(answer)).map_err(|failed| self.shown(failed))
    }

    async fn call_once(&self, request: &Request) -> Result<Answer, Failed> {
        let limit = self.0.timers.response.min(CALL_ANSWER);
        let (heard, target) = self.small(request, limit).await?;
        in_memory(heard, limit).await.map_err(|failed| failed.at(&target.shown()))
    }

    fn quotable(&self, mut answer: Answer) -> Answer {
        if !(200..300).contains(&answer.status) {
            answer.body = self.taint().text(&String::from_utf8_lossy(&answer.body)).into_owned().into_bytes();
        }
        answer
    }

    fn shown(&self, failed: Failed) -> Failed {
        Failed { reach: failed.reach, error: failed.error.map_text(|text| self.taint().own_text(text).into_owned()) }
    }

    /// Makes one attempt of a call whose response is read as a stream, decoded if it is gzip-coded.
    ///
    /// # Errors
    /// [`Failed`]; `Lost`: a 2xx response in another content coding.
    pub async fn stream(&self, request: &Request) -> Result<StreamAnswer, Failed> {
        self.stream_coded(request).await?.decoded()
    }

    /// Like [`Client::stream`], but without decoding: for callers that request a content coding themselves.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn stream_coded(&self, request: &Request) -> Result<StreamAnswer, Failed> {
        learn(self.taint(), request);
        let limit = self.0.timers.response.min(CALL_ANSWER);
        let (heard, target) = self.small(request, limit).await.map_err(|failed| self.shown(failed))?;
        Ok(StreamAnswer::new(heard, target.shown(), self.0.timers.stall, self.taint().clone()))
    }

    async fn small(&self, request: &Request, answer: Duration) -> Result<(Heard, Target), Failed> {
        let body = request.body.clone().map(Bytes::from);
        let length = body.as_ref().map_or(0, |body| body.len() as u64);
        let route = Route::of(request)?;
        let gate = Gate::new(InMemory(body.filter(|body| !body.is_empty())), length, None);
        // GET and the like send no length for a body that they do not have
        let says_length = request.body.is_some() || !matches!(request.method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
        let sent = Sent { length: says_length.then_some(length), expect: false };
        let heard = self.attempt(&route, request.method, &gate, &sent, answer).await?;
        Ok((heard, route.target))
    }

    /// Makes one attempt of an upload on a fresh HTTP/1.1 connection. `Content-Length` is the body's exact size hint,
    /// and the body waits for `100 Continue` (1 s). An early response is read even after a write error. A stall
    /// watchdog and a response timer bound the time.
    ///
    /// A body of at most 256 KiB is read completely before the connection is made, so that nothing is sent if it fails.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn upload<B>(&self, request: &Request, body: B) -> Result<Answer, Failed>
    where
        B: Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        learn(self.taint(), request);
        let uploaded = self.upload_once(request, body).await;
        uploaded.map(|answer| self.quotable(answer)).map_err(|failed| match failed.reach {
            Reach::Body => failed,
            _ => self.shown(failed),
        })
    }

    async fn upload_once<B>(&self, request: &Request, body: B) -> Result<Answer, Failed>
    where
        B: Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        let Some(length) = body.size_hint().exact() else {
            return Err(permanent(Error::new(Kind::Local, "the body of an upload has no exact size")));
        };
        let mut route = Route::of(request)?;
        route.sign(request)?;
        let gate = Gate::new(body, length, self.0.timers.max_rate);
        if length <= DRAWN_WHOLE {
            gate.draw_whole().await.map_err(|error| Failed { reach: Reach::Body, error })?;
        }
        let mut may_follow = request.follow_one;
        loop {
            let expect = length >= EXPECT_FROM && !self.0.no_expect.load(Ordering::Relaxed);
            gate.arm(expect.then_some(EXPECT_WAIT));
            let sent = Sent { length: Some(length), expect };
            let heard = self.attempt(&route, request.method, &gate, &sent, self.0.timers.response).await?;
            if heard.status() == 417 && expect {
                self.0.no_expect.store(true, Ordering::Relaxed);
                if gate.rewind() {
                    continue;
                }
                let message = "the server wants no Expect header (417); it answered so after the body had begun";
                return Err(Failed { reach: Reach::Lost, error: Error::new(Kind::Transient, message) });
            }
            if may_follow && matches!(heard.status(), 307 | 308) {
                may_follow = false;
                if let Some(next) = redirect::follow(&route, &heard.headers())
                    && gate.rewind()
                {
                    tracing::debug!(status = heard.status(), to = %next.target.origin(), "redirected");
                    route = next;
                    continue;
                }
            }
            let answer = in_memory(heard, self.0.timers.response).await;
            let answer = answer.and_then(|answer| checksum::confirmed(answer, gate.digest()));
            return answer.map_err(|failed| failed.at(&route.target.shown()));
        }
    }

    async fn attempt<B>(
        &self,
        route: &Route,
        method: &'static str,
        gate: &Gate<B>,
        sent: &Sent,
        answer: Duration,
    ) -> Result<Heard, Failed>
    where
        B: Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| permanent(Error::new(Kind::Local, "not an HTTP method")))?;
        let headers = route.headers(sent)?;
        let connected = connect(&self.0, &route.target, route.base.as_ref()).await?;
        let head = route.head(method, headers, &connected)?;
        let limits = Limits { stall: self.0.timers.stall, answer };
        let proxy = connected.through.clone();
        let heard =
            exchange(connected, head, gate, &limits).await.map_err(|failed| failed.at(&route.target.shown()))?;
        match proxy {
            Some(proxy) if proxy.answered(heard.status(), &heard.headers()) => {
                Err(proxy.refused(heard.status(), &route.target.host_and_port()))
            }
            _ => Ok(heard),
        }
    }
}

impl Failed {
    /// Adds the place, as [`Target::shown`] formats it. An error of the body is not about the network and is left
    /// unchanged.
    pub(super) fn at(self, target: &str) -> Failed {
        if self.reach == Reach::Body {
            return self;
        }
        let message = format!("{target}: {}", self.error.message());
        Failed { reach: self.reach, error: Error::new(self.error.kind(), message) }
    }
}

async fn in_memory(mut heard: Heard, within: Duration) -> Result<Answer, Failed> {
    let (status, headers) = (heard.status(), heard.headers());
    let within = if status < 300 { within } else { within.min(REFUSAL_BODY) };
    whole(&mut heard, status, headers, within).await
}

/// Parts of a request's head other than the caller's headers.
struct Sent {
    length: Option<u64>,
    expect: bool,
}

/// The target of a request, with the caller's headers.
pub(super) struct Route {
    pub(super) target: Target,
    /// The server whose response contained the URL.
    pub(super) base: Option<Target>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Route {
    fn of(request: &Request) -> Result<Route, Failed> {
        let base = request.supplied_by.as_deref().map(Target::parse).transpose().map_err(permanent)?;
        // white space around a URL in a response is not part of it
        let target = match base {
            Some(_) => Target::parse(request.url.expose().trim()).map_err(unusable),
            None => Target::parse(request.url.expose()),
        };
        let mut route = Route { target: target.map_err(permanent)?, base, headers: Vec::new() };
        route.add(&request.headers)?;
        Ok(route)
    }

    /// Adds the headers that a signed URL needs, and checks that those it demands are present.
    fn sign(&mut self, request: &Request) -> Result<(), Failed> {
        let url = request.url.expose();
        self.add(&needed_headers(url, &request.headers))?;
        let missing = missing_headers(url, &request.headers);
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{}: the URL was signed with headers that are not sent: {}",
            self.target.shown(),
            missing.join(", ")
        );
        Err(permanent(match self.base {
            Some(_) => unusable(Error::usage(message)),
            None => Error::usage(message).with_hint("add them, with the values that were signed"),
        }))
    }

    fn add(&mut self, headers: &[super::Header]) -> Result<(), Failed> {
        for given in headers {
            // neither the value is shown nor a name that may be a misplaced value
            let name = HeaderName::from_bytes(given.name.as_bytes())
                .map_err(|_| permanent(Error::usage("a header's name has characters that HTTP does not allow")))?;
            if RESERVED.contains(&name) {
                return Err(permanent(Error::new(
                    Kind::Local,
                    format!("the header {name} is set by the client itself"),
                )));
            }
            self.headers.push((name.clone(), value_of(&name, &given.value)?));
        }
        Ok(())
    }

    fn headers(&self, sent: &Sent) -> Result<HeaderMap, Failed> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 5);
        headers.insert(header::HOST, value_of(&header::HOST, &Secret::new(self.target.authority()))?);
        // no content coding is requested: a response is a text, or is coded by its nature
        if !self.headers.iter().any(|(name, _)| *name == header::USER_AGENT) {
            let agent = concat!("listferry/", env!("CARGO_PKG_VERSION"));
            headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        if let Some(basic) = &self.target.basic
            && !headers.contains_key(header::AUTHORIZATION)
        {
            headers.insert(header::AUTHORIZATION, value_of(&header::AUTHORIZATION, basic)?);
        }
        if let Some(length) = sent.length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if sent.expect {
            headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        }
        Ok(headers)
    }

    fn head(&self, method: Method, mut headers: HeaderMap, connected: &Connected) -> Result<Head, Failed> {
        let wrong = || {
            let error = Error::usage(format!("a URL that cannot be sent: {}", self.target.shown()));
            permanent(if self.base.is_some() { unusable(error) } else { error })
        };
        let mut uri = Uri::builder().path_and_query(self.target.path.as_str());
        if let Some(proxy) = &connected.through {
            uri = uri.scheme("http").authority(self.target.authority());
            if let Some(authorization) = proxy.authorization() {
                headers.insert(header::PROXY_AUTHORIZATION, value_of(&header::PROXY_AUTHORIZATION, authorization)?);
            }
        }
        Ok(Head { method, uri: uri.build().map_err(|_| wrong())?, headers })
    }
}

/// Blames an unusable address in a response on the platform, not on the job file.
fn unusable(error: Error) -> Error {
    error
        .into_kind(Kind::Refused)
        .with_hint("the platform's answer gave this address: try again later, or ask its support")
}

fn value_of(name: &HeaderName, value: &Secret) -> Result<HeaderValue, Failed> {
    let mut made = HeaderValue::from_str(value.expose()).map_err(|_| {
        let message =
            format!("the value of the header {name} has a line break or another character that HTTP does not allow");
        permanent(Error::usage(message).with_hint("look for a stray line end in the secret or the job file"))
    })?;
    made.set_sensitive(true);
    Ok(made)
}
