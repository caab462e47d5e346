//! A [`Body`] as a stream of bytes, and as the body of a request of reqwest.

use super::request_body::Body;
use crate::error::Error;
use bytes::Bytes;
use futures_util::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The pieces of the body; [`Body::content_length`] says how many bytes they have together.
impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        http_body::Body::poll_frame(self, cx)
            .map(|frame| frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default())))
    }
}

impl Body {
    /// Returns the number of bytes that are still to come, for `Content-Length`.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.remaining()
    }
}

/// The request gets the exact `Content-Length` of the body and is not chunked.
#[cfg(feature = "reqwest")]
impl From<Body> for reqwest::Body {
    fn from(body: Body) -> reqwest::Body {
        reqwest::Body::wrap(body)
    }
}
