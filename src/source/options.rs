//! How sources are opened.

use super::encoding::Encoding;
use std::path::PathBuf;

/// How the bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Detected by magic bytes.
    #[default]
    Auto,
    /// Not compressed.
    None,
    /// gzip (RFC 1952), all members.
    Gzip,
    /// zstd (RFC 8878), all frames.
    Zstd,
    /// bzip2, all streams.
    Bzip2,
    /// xz, all streams.
    Xz,
    /// lz4, all frames.
    Lz4,
}

/// How to open a source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceOptions {
    /// Compression; detected by magic bytes by default.
    pub compression: Compression,
    /// Maximum ratio of decompressed to compressed bytes, checked after 64 MiB; default 200.
    pub max_expansion: u64,
    /// Maximum window of a zstd frame, or dictionary of an xz block, in bytes: a power of two from 1 KiB to 128 MiB;
    /// default 16 MiB. Memory use grows with it.
    pub max_window: u64,
    /// Encoding of text; default UTF-8. A byte order mark of a Unicode encoding replaces another Unicode encoding.
    pub encoding: Encoding,
}

impl Default for SourceOptions {
    fn default() -> SourceOptions {
        SourceOptions {
            compression: Compression::Auto,
            max_expansion: 200,
            max_window: 16 << 20,
            encoding: Encoding::default(),
        }
    }
}

/// How to copy a source that cannot be read by position.
#[derive(Clone, Copy)]
pub(crate) struct CopyTo<'a> {
    /// Candidate folders; the first one that can be written is used.
    pub(crate) dirs: &'a [PathBuf],
    /// Maximum size of all copies together, in bytes.
    pub(crate) max_bytes: u64,
}
