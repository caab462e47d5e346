//! Origins open sources: each is a folder that knows where lists come from and how to reach them. They do not use each
//! other, and reach the network only through `calls`.
//!
//! An `Entry` describes an origin for job files, an `Origin` is one as a job file configures it, and an `Opening`
//! has what it needs to open a [`crate::source::OpenSource`]. An origin that has to request its list first, and to wait for
//! it, is an `Export` as well.

pub mod apsis;
#[cfg(feature = "jobs")]
mod contract;
#[cfg(feature = "jobs")]
mod entry;
mod export;
#[cfg(feature = "jobs")]
pub(crate) mod file;
#[cfg(feature = "jobs")]
mod given;
#[cfg(feature = "jobs")]
mod http;
#[cfg(feature = "jobs")]
mod opening;
#[cfg(feature = "jobs")]
mod ranged;
#[cfg(feature = "jobs")]
mod stoppable;
#[cfg(feature = "store")]
mod store;
#[cfg(feature = "jobs")]
mod web;

pub use export::Fetched;
#[cfg(feature = "jobs")]
pub(crate) use {
    apsis::REQUESTED,
    contract::Origin,
    entry::{Entry, PATH, choose},
    export::Export,
    given::{Content, Given, GivenOrigin, SpoolFile},
    opening::{Copies, Network, Opening, Passes},
};

/// All origins. A new one is a line here and a folder.
#[cfg(feature = "jobs")]
pub(crate) const ORIGINS: &[Entry] = &[
    file::ENTRY,
    http::ENTRY,
    #[cfg(feature = "store")]
    store::ENTRY,
    apsis::ENTRY,
];
