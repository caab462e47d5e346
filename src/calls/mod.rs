//! The one way to the network for platforms and sources: records intent before and result after a call, retries by the
//! call's own rule, and handles quotas and waits with one clock. Knows neither platforms nor bodies.

#[cfg(feature = "jobs")]
mod aside;
mod attempt;
mod call;
mod clock;
mod journal;
mod lenient;
mod made;
mod part;
pub(crate) mod quota;
mod remote;
mod reply;
pub(crate) mod retry;
mod row_fault;
mod scrub;
mod seat;
mod seed;

#[cfg(feature = "jobs")]
pub(crate) use aside::{aside, block_on};
pub use attempt::Attempt;
#[cfg(feature = "jobs")]
pub(crate) use attempt::failed as failed_attempt;
pub use call::{Assume, Call, Quota, RetrySafety, Step, Waiting, assumed, expired};
#[cfg(feature = "jobs")]
pub(crate) use clock::pause;
pub use clock::{Clock, SystemClock};
pub use journal::{Journal, MAX_STORED_FAULTS, MemoryJournal, Reserved, Slot, StepState};
pub(crate) use lenient::{count, read_json, word};
pub use made::MadeCall;
pub use part::{Accepts, PartState};
pub use remote::{Classify, Each, Event, Find, PartBody, Read, Remote};
#[cfg(feature = "jobs")]
pub(crate) use remote::{VERDICT_LIFE, would_send};
pub use reply::{Reply, quoted};
pub(crate) use reply::{quoted_text, shown};
pub use retry::{Policy, utc};
pub use row_fault::{FaultAt, RowFault};
pub use seat::{AtOnce, Seat};
pub use seed::JobSeed;

use std::future::Future;
use std::pin::Pin;

/// A boxed future, for trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Removes the secrets of `request` from an error. Entry point of the fuzz target.
#[cfg(fuzzing)]
#[must_use]
pub fn scrubbed(request: &crate::transport::Request, error: crate::Error) -> crate::Error {
    let taint = crate::secret::Taint::default();
    crate::transport::learn(&taint, request);
    error.map_text(|text| taint.text(text).into_owned())
}
