//! Loads lists of people into the bulk imports of marketing platforms: reads CSV, NDJSON, Parquet, Arrow and more, of any
//! size, converts each record on the fly, and knows the exact length of the result before it sends the first byte, in
//! bounded memory.
//!
//! The list is read twice. Pass one converts and validates every row, and computes length and digest. Pass two converts
//! again, straight into a request body with an exact `Content-Length`. If it differs by a single byte, the body fails
//! before its last block. Every run is journaled: after a crash the next run continues, and what was accepted is not sent
//! again.
//!
//! # Seven ways to use it
//!
//! Each is a program in `examples/`: `cargo run --example feed`.
//!
//! **1. Run a job file** (`job_file`). A command gives a [`Report`] however it ends; [`Report::into_result`] makes an error
//! of everything but success, with the report attached.
//!
//! ```no_run
//! # use listferry::{Env, Job};
//! # async fn f() -> Result<(), listferry::Error> {
//! let report = Job::open("vip.yaml")?.run(&Env::default()).await.into_result()?;
//! println!("{} records sent", report.records.written);
//! # Ok(())
//! # }
//! ```
//!
//! **2. Build a job in code** (`job_in_code`): no YAML, the same checks and errors.
//!
//! ```
//! # fn f() -> Result<(), listferry::Error> {
//! use listferry::job::destination::CleverTap;
//! use listferry::{Job, Setting, Source, column};
//!
//! let job = Job::builder("vip")
//!     .source(Source::path("people-*.csv.gz"))
//!     .map("identity", column("email").trim().lower())
//!     .destination(
//!         CleverTap::new()
//!             .region("in1")
//!             .account_id(Setting::env("CLEVERTAP_ACCOUNT_ID"))
//!             .passcode(Setting::env("CLEVERTAP_PASSCODE"))
//!             .segment("VIP {date}")
//!             .creator("etl")
//!             .email("admin@example.com"),
//!     )
//!     .build()?;
//! # Ok(())
//! # }
//! # f().unwrap();
//! ```
//!
//! **3. Send records that you have** (`feed`). A [`Feed`] replaces the job's source. It compresses the records
//! to disk while they come, and waits if the disk is slower. Dropping it sends nothing.
//!
//! ```no_run
//! # use listferry::{Env, Job};
//! # #[derive(serde::Serialize)] struct Customer { customer_id: u64, email: Option<String> }
//! # async fn f(job: Job, customers: Vec<Customer>) -> Result<(), listferry::Error> {
//! let mut feed = job.feed(&Env::default()).await?;
//! for customer in &customers {
//!     feed.serialize(customer).await?; // None is empty, a sequence is a list
//! }
//! let report = feed.finish().await.into_result()?;
//! # Ok(())
//! # }
//! ```
//!
//! **4. Send what a reader gives** (`sources`): a [`Source`] from `Read`, `AsyncRead`, a `Stream` of bytes, or
//! Arrow record batches (feature `arrow`).
//!
//! ```no_run
//! # use listferry::{Env, Job, Source};
//! # async fn f(job: Job, response: reqwest::Response) -> Result<(), listferry::Error> {
//! let source = Source::from_stream("export", response.bytes_stream())?.set("format", "ndjson");
//! let report = job.with_source(source)?.run(&Env::default()).await.into_result()?;
//! # Ok(())
//! # }
//! ```
//!
//! **5. Convert only** (`convert`): reader to writer, sync and async, or a `Stream` of known length.
//!
//! ```
//! # use listferry::{Env, Job, Shape, Source, column};
//! # fn f() -> Result<(), listferry::Error> {
//! let shape = Shape::ndjson([column("id").required(), column("email").named("mail").trim().lower()])?;
//! let source = Source::from_reader("people", &b"id,email\n17, A@example.com\n"[..]);
//! let job = Job::builder("people").source(source).shape(shape).build()?;
//! let mut out = Vec::new();
//! let report = job.convert(&Env::default(), &mut out).into_result()?;
//! assert_eq!(out, b"{\"id\":\"17\",\"mail\":\"a@example.com\"}\n");
//! # Ok(())
//! # }
//! # f().unwrap();
//! ```
//!
//! **6. Send to your own endpoint** (`own_endpoint`): [`Job::measure`] validates the list, and the [`Body`] of a part is an
//! `http_body::Body`, a `Stream`, a reader, and with the feature `reqwest` a `reqwest::Body`.
//!
//! ```no_run
//! # use listferry::{Env, Job};
//! # fn send(body: listferry::Body) {}
//! # fn f(job: Job) -> Result<(), listferry::Error> {
//! let measured = job.measure(&Env::default())?;
//! for part in measured.parts() {
//!     let body = measured.body(part);
//!     println!("Content-Length: {}", body.content_length());
//!     send(body); // for a retry open a fresh body
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **7. Send to your own platform** (`own_platform`): implement [`Platform`], and [`Job::with_platform`] gives it the
//! journal, retries, resumption and reports of the others.
//!
//! # Environment, progress and cancellation
//!
//! There is no global state, no printing and no process exit: an [`Env`] has the state directory, threads, variables, a
//! progress callback and a cancellation token. Futures are `Send`; dropping one cancels. Converting and measuring need no
//! runtime, and runs need tokio (or [`Job::run_blocking`]). [`Error::is_retryable`] says whether the same command may
//! succeed later.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | none | the converting core: no runtime, no HTTP |
//! | `upload` | bodies, HTTP and the platforms |
//! | `jobs` | job files, the builder, feeds, the journal, the sandbox |
//! | `parquet`, `arrow` | these formats; `arrow` also record batches as a source |
//! | `store` | S3, Google Cloud Storage and Azure as sources |
//! | `reqwest` | a body as a `reqwest::Body` |
//! | `cli` (default) | the program, with all formats and stores |
//!
//! A library takes `default-features = false, features = ["jobs"]`. Rust 1.95 or later and a C compiler (for zstd, ring and
//! SQLite) are needed. README has the number of crates and the build time of each feature; `docs/ARCHITECTURE.md` in the
//! repository describes the code, and `docs/CONTRACT.md` exit codes, the report, and the guarantees.

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

#[cfg(feature = "upload")]
pub use body::Body;
pub use error::{Ending, Error, Kind, Place, Result};
#[cfg(feature = "jobs")]
pub use job::{Env, Feed, Job, Report, Setting, Source};
pub use mapping::{Shape, column, constant, object, template};
#[cfg(feature = "upload")]
pub use platform::Platform;
pub use secret::Secret;
pub use warning::{Warning, WarningKind};

/// The Rust blocks of README, compiled as they are shown there.
#[cfg(all(doctest, feature = "jobs"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
