//! The log on stderr: one line per event, safe for a terminal and without secrets.

use super::held::Held;
use super::progress::Screen;
use super::{Global, Output, progress};
use listferry::job::{escaped_json, escaped_lines};
use listferry::secret::Taint;
use std::io::Write;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log of this process; it hides the secrets of `taint`.
pub(crate) fn start(global: &Global, taint: &Taint, screen: &Screen) -> Held {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        (_, 2) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // only our own events: the libraries underneath log URLs
    let mut ours = Targets::new().with_target("listferry", level);
    if progress::is_logged(global) {
        ours = ours.with_target("listferry::progress", LevelFilter::INFO);
    }
    let lines = Lines { taint: taint.clone(), json: global.log_format == Output::Json, held: Held::new(screen) };
    let held = lines.held.clone();
    let layer = tracing_subscriber::fmt::layer().with_writer(move || lines.clone());
    let registry = tracing_subscriber::registry().with(ours);
    // fails only if a subscriber is set already, and this is the first thing the process does
    let _ = match global.log_format {
        Output::Json => registry.with(layer.json()).try_init(),
        Output::Text => {
            let colours = super::output::colours(global.color, &std::io::stderr());
            registry.with(layer.without_time().with_target(false).with_ansi(colours)).try_init()
        }
    };
    held
}

/// Writes each event, which arrives as one piece, to stderr.
#[derive(Clone)]
struct Lines {
    taint: Taint,
    json: bool,
    held: Held,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = self.taint.own_text(&text);
        let shown = match self.json {
            true => escaped_json(&text).into_owned(),
            // the escape sequences are colours of the formatter, which escapes those in messages itself
            false => text.split('\x1b').map(escaped_lines).collect::<Vec<_>>().join("\x1b"),
        };
        self.held.put(&shown);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
