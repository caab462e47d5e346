//! Text in encodings other than UTF-8: as UTF-8 with the positions that it had, and back.

mod coding;
mod encode;
mod line_lengths;
mod transcode;
mod undecoded;

#[cfg(feature = "jobs")]
pub(super) use coding::start;
pub(super) use coding::{Coding, sniff};
pub(super) use encode::encode;
pub(super) use line_lengths::skip;
pub(super) use transcode::Transcoder;
pub(super) use undecoded::shown;
