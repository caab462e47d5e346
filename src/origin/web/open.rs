//! Opens a file: pins it if the server can serve ranges of one version, otherwise copies it.

use super::address::Wanted;
use super::content_range::ContentRange;
use super::pinned::Pinned;
use super::site::Site;
use super::validator::Validator;
use super::whole::Whole;
use super::words::When;
use crate::calls::{Attempt, Call, RetrySafety};
use crate::error::Result;
use crate::origin::Copies;
use crate::origin::ranged::{Driver, Ranged, Reader, RemoteFiles, Window};
use crate::source::{OpenSource, SourceOptions};
use crate::transport::StreamAnswer;
use std::sync::{Arc, Mutex};

/// Bytes that a stream is read ahead.
const STREAM_AHEAD: u64 = 2 << 20;
/// Maximum size of one read of a stream.
const STREAM_READ: u64 = 256 << 10;

/// How a file can be read.
pub(super) enum Found {
    /// By ranges, one version of it.
    Pinned(Pinned),
    /// Once.
    Whole(Whole),
}

/// The meaning of the first response.
enum First {
    Ranges {
        size: u64,
        validator: Validator,
    },
    /// The file itself.
    File(Box<StreamAnswer>),
    /// No range of one version.
    NoRanges,
}

/// Asks for the first byte, and finds out how the file can be read.
///
/// # Errors
/// Those of the server.
pub(super) async fn find(site: Site) -> Result<Found> {
    let call = Call::new("open", RetrySafety::Always);
    let first = {
        let remote = site.remote();
        remote.attempts(&call, |_| first(&site)).await?
    };
    Ok(match first {
        First::Ranges { size, validator } => Found::Pinned(Pinned { site, size, validator }),
        First::File(answer) => Found::Whole(Whole { site, first: Mutex::new(Some(answer)) }),
        First::NoRanges => Found::Whole(Whole { site, first: Mutex::default() }),
    })
}

async fn first(site: &Site) -> Attempt<First> {
    let wanted = Wanted { range: Some(0..1), version: None };
    let answer = match site.ask(&site.remote(), &wanted).await {
        Ok(answer) => answer,
        Err(failed) => return failed,
    };
    match answer.status {
        // an empty file has no first byte
        416 => Attempt::Done(First::NoRanges),
        200 => Attempt::Done(First::File(Box::new(answer))),
        206 => {
            let range = answer.header("content-range").and_then(ContentRange::parse);
            let is_coded =
                answer.header("content-encoding").is_some_and(|coding| !matches!(coding.trim(), "" | "identity"));
            match (range, Validator::of(&answer)) {
                (Some(ContentRange { bytes: Some((0, 1)), size: Some(size) }), Some(validator)) if !is_coded => {
                    Attempt::Done(First::Ranges { size, validator })
                }
                _ => Attempt::Done(First::NoRanges),
            }
        }
        _ => site.refused(answer, When::Opening).await,
    }
}

/// Opens a file, blocking; `threads` will read it.
///
/// # Errors
/// As [`crate::origin::Origin::open`].
pub(in crate::origin) fn open(
    site: Site,
    options: &SourceOptions,
    copies: &Copies,
    driver: Arc<Driver>,
    threads: usize,
) -> Result<OpenSource> {
    let name = site.name.clone();
    let whole = match driver.wait(find(site))? {
        Found::Pinned(pinned) => {
            tracing::debug!(size = pinned.size(), version = pinned.version(), "the source is pinned");
            let file = RemoteFiles::new(driver, threads).file(Arc::new(pinned));
            return OpenSource::from_read_at(&name, Arc::new(file), options);
        }
        Found::Whole(whole) => whole,
    };
    tracing::debug!("the server offers no ranges of one version: the source is read once");
    let window = Arc::new(Window::new(0, STREAM_READ, STREAM_AHEAD));
    let to = Arc::clone(&window);
    driver.spawn(async move { to.end(whole.stream(&to).await) });
    copies.open_stream(&name, Reader { window, driver, at: 0 }, options)
}

/// Returns the stamp of a file, blocking; `None` if it has no validator.
///
/// # Errors
/// Those of the server.
pub(in crate::origin) fn stamp(site: Site, options: &SourceOptions, driver: Arc<Driver>) -> Result<Option<String>> {
    let name = site.name.clone();
    match driver.wait(find(site))? {
        Found::Whole(_) => Ok(None),
        Found::Pinned(pinned) => {
            let file = RemoteFiles::new(driver, 1).file(Arc::new(pinned));
            Ok(OpenSource::from_read_at(&name, Arc::new(file), options)?.stamp())
        }
    }
}
