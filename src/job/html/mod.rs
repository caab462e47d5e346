//! The report of a run as one HTML page: no script, nothing from the network, readable on paper and on a phone.

mod charts;
mod examples;
mod page;
mod rejects;
mod run_details;
mod time_chart;
mod writer;

pub use page::HtmlOptions;
