//! Origins open sources: each is a folder that knows where lists come from and how to reach them. They do not use each
//! other, and reach the network only through `calls`.

pub mod apsis;
#[cfg(feature = "jobs")]
pub(crate) mod file;
