//! Streams lists of people into the bulk-import APIs of marketing platforms: CSV, TSV and NDJSON of any size, in bounded
//! memory.
//!
//! In the repository `docs/ARCHITECTURE.md` describes the code, and `docs/CONTRACT.md` describes exit codes, the report, the
//! codes of rejected rows, and the guarantees.
//!
//! ```text
//! source ─chunks─▶ worker: scan ▸ read ▸ map ▸ encode ─slabs─▶ in order ─▶ measure | request body | file
//!                  (one chunk each, all cores)
//! ```

pub mod body;
pub mod buffer;
#[cfg(feature = "upload")]
pub mod calls;
pub mod encode;
pub mod error;
pub mod format;
pub mod mapping;
#[cfg(feature = "upload")]
pub mod origin;
#[cfg(feature = "upload")]
pub mod platform;
pub mod row;
pub mod scan;
pub mod secret;
#[cfg(feature = "upload")]
pub mod settings;
pub mod source;
#[cfg(feature = "upload")]
pub mod transport;
pub mod warning;

#[cfg(feature = "jobs")]
pub mod job;
#[cfg(feature = "jobs")]
#[allow(clippy::disallowed_methods, reason = "plays its vendors in real time")]
pub mod sandbox;

pub use error::{Ending, Error, Kind, Place, Result};
pub use secret::Secret;
pub use warning::{Warning, WarningKind};

/// The Rust blocks of README, compiled as they are shown there.
#[cfg(all(doctest, feature = "jobs"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
