//! The log: warnings and more to stderr.

use super::{Global, Output};
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log of this process.
pub(crate) fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        (_, 2) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Only our own: the libraries underneath log URLs.
    let ours = Targets::new().with_target("listferry", level);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(ours);
    // It fails only where one is there already, and this is the first thing the process does.
    let _ = match global.log_format {
        Output::Json => registry.with(layer.json()).try_init(),
        Output::Text => {
            let colours = std::io::stderr().is_terminal();
            registry.with(layer.without_time().with_target(false).with_ansi(colours)).try_init()
        }
    };
}
