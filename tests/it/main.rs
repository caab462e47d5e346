//! The integration tests in one binary.

#![allow(clippy::disallowed_methods, reason = "tests of real processes and sockets")]

/// Returns the messages of a report's warnings.
#[cfg(feature = "jobs")]
fn warned(report: &listferry::job::Report) -> Vec<String> {
    report.warnings.iter().map(|warning| warning.message.clone()).collect()
}

#[cfg(feature = "upload")]
mod apsis;
#[cfg(feature = "jobs")]
mod audiences;
#[cfg(feature = "cli")]
mod bad_addresses;
#[cfg(feature = "cli")]
mod catalogue;
#[cfg(feature = "jobs")]
mod clevertap;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod cli_files;
mod cli_history;
#[cfg(feature = "cli")]
mod cli_runs;
#[cfg(feature = "cli")]
mod cli_streams;
#[cfg(feature = "cli")]
mod columnar;
#[cfg(feature = "cli")]
mod columnar_damage;
#[cfg(feature = "jobs")]
mod conformance;
#[cfg(feature = "jobs")]
mod contract;
#[cfg(feature = "cli")]
mod dialects;
#[cfg(all(feature = "cli", unix))]
mod doctor;
#[cfg(feature = "cli")]
mod earlier_runs;
#[cfg(feature = "cli")]
mod encodings;
#[cfg(feature = "cli")]
mod examples;
#[cfg(feature = "cli")]
mod exports;
#[cfg(feature = "cli")]
mod formats;
#[cfg(feature = "cli")]
mod ftp;
#[cfg(feature = "jobs")]
mod golden;
#[cfg(feature = "jobs")]
mod http;
#[cfg(all(feature = "cli", unix))]
mod hygiene;
#[cfg(all(feature = "cli", unix))]
mod init;
mod interrupted;
#[cfg(feature = "jobs")]
mod job_errors;
mod job_file;
#[cfg(feature = "jobs")]
mod job_map;
#[cfg(feature = "cli")]
mod kill;
#[cfg(feature = "cli")]
mod kill_yesmail;
#[cfg(all(feature = "cli", unix))]
mod killed;
#[cfg(feature = "jobs")]
mod library;
#[cfg(all(feature = "arrow", feature = "jobs"))]
mod library_arrow;
#[cfg(all(feature = "cli", unix))]
mod limits;
#[cfg(feature = "jobs")]
mod localytics;
mod mapping;
#[cfg(feature = "jobs")]
mod mediarithmics;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod memory;
#[cfg(feature = "cli")]
mod ndjson;
#[cfg(all(feature = "store", unix))]
mod origins;
#[cfg(feature = "cli")]
mod piped;
#[cfg(all(feature = "cli", unix))]
mod plan;
#[cfg(feature = "cli")]
mod progress;
#[cfg(feature = "jobs")]
mod quotas;
#[cfg(feature = "cli")]
mod rejects;
#[cfg(feature = "cli")]
mod report_page;
#[cfg(feature = "jobs")]
mod report_schema;
mod reported_rows;
#[cfg(feature = "jobs")]
mod schema;
#[cfg(feature = "jobs")]
mod scripted;
#[cfg(feature = "cli")]
mod several_files;
#[cfg(feature = "cli")]
mod source_files;
#[cfg(feature = "store")]
mod stores;
#[cfg(feature = "cli")]
mod stories;
#[cfg(all(feature = "cli", unix))]
mod stories_daily;
#[cfg(feature = "cli")]
mod table;
#[cfg(feature = "cli")]
mod taint;
#[cfg(feature = "cli")]
mod taint_echo;
#[cfg(feature = "cli")]
mod taken_up;
#[cfg(feature = "upload")]
mod transport_answers;
#[cfg(feature = "upload")]
mod transport_body;
#[cfg(feature = "upload")]
mod transport_calls;
#[cfg(feature = "upload")]
mod transport_server;
#[cfg(feature = "upload")]
mod transport_tls;
#[cfg(feature = "upload")]
mod transport_upload;
#[cfg(feature = "cli")]
mod unchanged;
#[cfg(feature = "upload")]
mod variables;
mod vendor;
#[cfg(feature = "jobs")]
mod verdicts;
#[cfg(feature = "jobs")]
mod warnings;
#[cfg(feature = "jobs")]
mod web;
#[cfg(feature = "jobs")]
mod workbook;
#[cfg(feature = "cli")]
mod xlsx;
#[cfg(feature = "upload")]
mod yesmail;
#[cfg(feature = "jobs")]
mod yesmail_before;
#[cfg(feature = "jobs")]
mod yesmail_job;
#[cfg(feature = "upload")]
mod yesmail_pull;
#[cfg(feature = "upload")]
mod yesmail_slots;
