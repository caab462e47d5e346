//! Sends lists to real servers: an S3 that verifies signatures, an FTP server, TLS.

#![allow(clippy::disallowed_methods, reason = "tests of real processes and sockets")]

mod ftp;
mod list;
mod s3;
