//! Objects of S3, Google Cloud Storage, Azure Blob Storage, and stores that are compatible with them.
//!
//! The crate object_store finds credentials, signs requests and lists buckets, without retries of its own and over our
//! HTTP client ([`connector`]). Objects are read as in `web`: object_store only signs the request for a range, and the
//! response is compared with the pinned version there.

mod address;
mod cloud;
mod connector;
mod glob;
mod job_file;
mod options;
mod profile;
mod valid;

pub(crate) use job_file::ENTRY;
