//! The requests of object_store over our HTTP client.
//!
//! A request for an object is not sent but caught once it is signed: a [`Caught`] in its extensions takes it. All other
//! requests (listings, tokens) are small and are sent.

use crate::error::Error;
use crate::secret::Secret;
use crate::transport::{Answer, Client, Header, Request};
use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, HOST};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum size of a listing or a token.
const MAX_BODY_BYTES: usize = 16 << 20;

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
    /// The last response that was a refusal; object_store's errors contain only parts of it.
    refused: Arc<Mutex<Option<Answer>>>,
}

impl Connector {
    pub(super) fn new(client: Client) -> Connector {
        Connector { client, refused: Arc::default() }
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
        let answer = self.client.stream_coded(&ours).await.and_then(|answer| answer.decoded());
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
