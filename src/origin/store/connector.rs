//! The requests of object_store over our HTTP client.
//!
//! A request for an object is not sent but caught once it is signed: a [`Caught`] in its extensions takes it. All other
//! requests (listings, tokens) are small and are sent.
//!
//! Clouds serve credentials to their own machines over plain http at link-local addresses. Requests for them are sent
//! without a proxy, whatever the job says about plain http; listings never are.

use crate::error::Error;
use crate::secret::Secret;
use crate::transport::{Answer, Client, Header, NetworkOptions, Proxy, Request, Timers, same_origin};
use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, HOST};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Maximum size of a listing or a token.
const MAX_BODY_BYTES: usize = 16 << 20;
/// Maximum time to connect to a metadata service: on a machine outside of the cloud nothing answers.
const CONNECT_METADATA: Duration = Duration::from_secs(2);
/// Maximum wait for a response of a metadata service.
const METADATA_RESPONSE: Duration = Duration::from_secs(10);

/// URL and headers of a request.
type Signed = (Secret, Vec<Header>);

/// A request that was signed.
#[derive(Clone, Debug, Default)]
pub(super) struct Caught(Arc<Mutex<Option<Signed>>>);

impl Caught {
    /// Returns the request, if it was signed.
    pub(super) fn take(&self) -> Option<Signed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, request: &HttpRequest) {
        let caught = (Secret::new(request.uri().to_string()), headers(request));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(caught);
    }
}

/// Connects object_store with our client.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: Client,
    /// For requests to metadata services.
    metadata: Client,
    /// The address of the store, if it is not the cloud's own.
    endpoint: Option<String>,
    /// The last response that was a refusal; object_store's errors contain only parts of it.
    refused: Arc<Mutex<Option<Answer>>>,
}

impl Connector {
    /// # Errors
    /// `Usage`.
    pub(super) fn new(client: Client) -> Result<Connector, Error> {
        let taint = client.taint().clone();
        let network = NetworkOptions { proxy: Proxy::None, allow_http: true, taint, ..NetworkOptions::default() };
        let timers = Timers { connect: CONNECT_METADATA, response: METADATA_RESPONSE, ..Timers::default() };
        let metadata = Client::with_env(&network, &timers, &|_| None)?;
        Ok(Connector { client, metadata, endpoint: None, refused: Arc::default() })
    }

    /// Returns the connector for a store with this address.
    pub(super) fn to(&self, endpoint: Option<&str>) -> Connector {
        Connector { endpoint: endpoint.map(str::to_owned), ..self.clone() }
    }

    /// Returns the client for a request.
    fn client_for(&self, url: &str) -> &Client {
        let is_of_store = self.endpoint.as_deref().is_some_and(|endpoint| same_origin(endpoint, url));
        if !is_of_store && is_metadata(url) { &self.metadata } else { &self.client }
    }

    /// Returns the last refusal, once.
    pub(super) fn take_refusal(&self) -> Option<Answer> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if let Some(caught) = request.extensions().get::<Caught>() {
            caught.set(&request);
            return Err(failed(HttpErrorKind::Unknown, Error::usage("not sent")));
        }
        let method = match request.method().as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            other => return Err(failed(HttpErrorKind::Unknown, Error::usage(format!("{other} is not supported")))),
        };
        let mut ours = Request::new(method, Secret::new(request.uri().to_string()));
        ours.headers = headers(&request);
        ours.body = request.body().as_bytes().filter(|body| !body.is_empty()).map(|body| body.to_vec());
        let client = self.client_for(ours.url.expose());
        let answer = client.stream_coded(&ours).await.and_then(|answer| answer.decoded());
        let mut answer = answer.map_err(|lost| failed(HttpErrorKind::Connect, lost.error))?;
        if answer.status >= 300 {
            let answer = answer.into_answer().await.map_err(|lost| failed(HttpErrorKind::Interrupted, lost.error))?;
            let refused = response(answer.status, &answer.headers, answer.body.clone());
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            return refused;
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|lost| failed(HttpErrorKind::Interrupted, lost.error))? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_BODY_BYTES {
                let error = Error::usage("a response of the store is too large");
                return Err(failed(HttpErrorKind::Decode, error));
            }
        }
        response(answer.status, &answer.headers, body)
    }
}

/// Whether an address is that of a metadata service, which only the machine itself reaches.
fn is_metadata(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    match url.host() {
        // EC2 and EKS, by IPv6
        Some(url::Host::Ipv6(ip)) => matches!(ip.segments(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23]),
        Some(url::Host::Ipv4(ip)) => ip.is_link_local(),
        Some(url::Host::Domain(name)) => name.trim_end_matches('.') == "metadata.google.internal",
        None => false,
    }
}

fn response(status: u16, headers: &[(String, String)], body: Vec<u8>) -> Result<HttpResponse, HttpError> {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response
        .body(HttpResponseBody::from(body))
        .map_err(|error| failed(HttpErrorKind::Decode, Error::usage(error.to_string())))
}

/// Returns the headers of a request but those that our client sets.
fn headers(request: &HttpRequest) -> Vec<Header> {
    let kept = request.headers().iter().filter(|(name, _)| **name != HOST && **name != CONTENT_LENGTH);
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    kept.map(|(name, value)| Header { name: name.as_str().to_owned(), value: Secret::new(text(value)) }).collect()
}

fn failed(kind: HttpErrorKind, error: Error) -> HttpError {
    HttpError::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_are_requested_over_plain_http_from_link_local_addresses() {
        let client = Client::with_env(&NetworkOptions::default(), &Timers::default(), &|_| None).unwrap();
        let connector = Connector::new(client).unwrap();
        let is_allowed =
            |connector: &Connector, url: &str| std::ptr::eq(connector.client_for(url), &connector.metadata);
        for url in [
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.2/v2/credentials/1",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://[fd00:ec2::254]/latest/api/token",
            "http://metadata.google.internal/computeMetadata/v1/token",
        ] {
            assert!(is_allowed(&connector, url), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://s3.example/b?list-type=2", "http://metadata.google.internal.example/"] {
            assert!(!is_allowed(&connector, url), "{url}");
        }
        let local = connector.to(Some("http://169.254.169.254:9000"));
        assert!(!is_allowed(&local, "http://169.254.169.254:9000/bucket?list-type=2"));
        assert!(is_allowed(&local, "http://169.254.169.254/latest/api/token"));
    }
}
