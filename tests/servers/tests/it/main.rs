//! The way of a list into real servers: an S3 that verifies signatures, an FTP server, TLS.

mod ftp;
mod list;
mod s3;
