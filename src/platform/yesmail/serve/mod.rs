//! The pull server: one measured list for a client with its path and password, until the ticket is final.

mod answer;
mod door;
mod download;
mod guard;
mod range;
mod server;
mod sessions;
mod tls;

pub(super) use server::PullServer;
pub(super) use tls::Tls;
