//! Both passes: convert, measure, and the body that streams exactly what was measured.

mod batch;
#[cfg(feature = "upload")]
mod body_stream;
mod checkpoint;
mod convert;
mod convert_rows;
mod counts;
mod crc;
mod findings;
mod manifest;
mod measure;
mod measured;
mod options;
mod order;
#[cfg(feature = "upload")]
mod part_stream;
mod pass;
#[cfg(feature = "upload")]
mod queue;
mod reject_file;
mod replay;
#[cfg(feature = "upload")]
mod request_body;
mod run;
#[cfg(feature = "upload")]
mod session;
mod sink;
mod slab;
mod source_record;
mod source_rows;
mod spare;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_positions;
mod totals;
#[cfg(feature = "upload")]
mod verified;
mod worker;

pub use convert::convert;
pub use counts::{Counts, Joined};
pub use manifest::{Manifest, Part};
pub use measure::measure;
pub use measured::Measured;
pub use options::{Options, Progress, Split};
#[cfg(feature = "jobs")]
pub(crate) use reject_file::{Existing, as_source_path, failed as reject_file_failed, inspect_target};
pub use reject_file::{MAX_REJECT_ROWS, RejectFile};
pub use replay::{Preview, Written, preview};
#[cfg(feature = "upload")]
pub use request_body::{Body, BodyReader, Frame};
pub use sink::{DiscardRejects, Reject, RejectSink};
pub use source_record::SourceRecord;
