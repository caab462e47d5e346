//! The source of a job, written in code: a path or an address, or what a program reads, receives or holds.

use super::setting::{self, Setting};
use crate::error::{Error, Result};
use crate::origin::{Content, Given, PATH};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use serde_json::{Map, Value};
use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncRead;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// The source of a job: see [`Job::with_source`](super::Job::with_source) and
/// [`JobBuilder::source`](super::JobBuilder::source).
///
/// A stream is read once: `convert` reads it as it comes, other commands copy it first, to a 0600 file (in the state's
/// spool directory for `run`), at most `spool.max` bytes. [`Source::set`] sets how the bytes are read, or the job's
/// own `source` section, for example `format`, `compression` and `csv`.
///
/// ```
/// use listferry::{Env, Job, Shape, Source, column};
///
/// let source = Source::from_reader("people", &b"customer_id,email\n17,a@example.com\n"[..]);
/// let shape = Shape::ndjson([column("customer_id").required(), column("email")])?;
/// let job = Job::builder("people").source(source).shape(shape).build()?;
/// let mut out = Vec::new();
/// job.convert(&Env::default(), &mut out).into_result()?;
/// assert_eq!(out, b"{\"customer_id\":\"17\",\"email\":\"a@example.com\"}\n");
/// # Ok::<(), listferry::Error>(())
/// ```
pub struct Source {
    /// Keys of `source`.
    pub(super) settings: Map<String, Value>,
    /// The content, unless the settings name it.
    pub(super) given: Option<Arc<Given>>,
    /// True if the settings of the job about the format do not apply.
    pub(super) has_own_format: bool,
}

impl Source {
    /// Names files by a path or a glob, an object of a store, or an address, as `source.path` does.
    #[must_use]
    pub fn path(path: impl Into<Setting>) -> Source {
        Source { settings: Map::from_iter([(PATH.to_owned(), path.into().0)]), given: None, has_own_format: false }
    }

    /// Reads a reader, once. `name` is the name of the source in messages and positions.
    #[must_use]
    pub fn from_reader(name: impl Into<String>, reader: impl Read + Send + 'static) -> Source {
        Source::given(name, Content::Once(Mutex::new(Some(Box::new(reader)))))
    }

    /// Reads an async reader, once.
    ///
    /// # Errors
    /// `Usage`: there is no tokio runtime here. The runtime must go on while the job runs: on a runtime of one thread,
    /// call the blocking commands (`check`, `convert`, `measure`) with `spawn_blocking`.
    pub fn from_async_read(name: impl Into<String>, reader: impl AsyncRead + Send + 'static) -> Result<Source> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            Error::usage("an async source needs a tokio runtime").with_hint("create it inside of the runtime")
        })?;
        Ok(Source::from_reader(name, SyncIoBridge::new_with_handle(Box::pin(reader), runtime)))
    }

    /// Reads a stream of bytes, once, such as the body of a response.
    ///
    /// # Errors
    /// As [`Source::from_async_read`].
    pub fn from_stream<E>(
        name: impl Into<String>,
        stream: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<Source>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        Source::from_async_read(name, StreamReader::new(Box::pin(stream.map_err(io::Error::other))))
    }

    pub(super) fn given(name: impl Into<String>, content: Content) -> Source {
        let given = Arc::new(Given { name: name.into(), content });
        Source { settings: Map::new(), given: Some(given), has_own_format: false }
    }

    /// Makes this the only word on the format: the job's own settings of it do not apply.
    pub(super) fn in_format(mut self, format: &str) -> Source {
        self.has_own_format = true;
        self.set("format", format).set("compression", "auto")
    }

    /// Sets a key of the job file's `source` section, such as `format`, `csv.delimiter`, `encoding` or
    /// `expect.min_records`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Setting>) -> Source {
        setting::set(&mut self.settings, key, value.into().0);
        self
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.given.as_ref().map(|given| given.name.as_str());
        f.debug_struct("Source").field("name", &name).finish_non_exhaustive()
    }
}
