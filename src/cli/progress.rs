//! The progress line: pass, bytes, rate, remaining time, rejects.

use super::{Global, When};
use listferry::job::Progress;
use listferry::job::Stage;
use std::io::IsTerminal;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

type Watch = Arc<dyn Fn(Stage) + Send + Sync>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Redrawn,
    Lines,
}

/// Returns how to draw the line, or `None` if it is off.
fn form(global: &Global) -> Option<Form> {
    match (global.quiet, global.progress, std::io::stderr().is_terminal()) {
        (true, ..) | (_, When::Never, _) | (_, When::Auto, false) => None,
        (_, _, true) => Some(Form::Redrawn),
        (_, When::Always, false) => Some(Form::Lines),
    }
}

/// Returns the watcher for [`listferry::job::Env`]. It draws from a thread of its own until the command ends.
pub(crate) fn watch(global: &Global, progress: &Arc<Progress>) -> Option<Watch> {
    let form = form(global)?;
    let now: Arc<Mutex<Option<(Stage, Instant)>>> = Arc::default();
    let (shared, progress) = (Arc::clone(&now), Arc::clone(progress));
    let every = if form == Form::Redrawn { Duration::from_millis(200) } else { Duration::from_secs(2) };
    let draw = move || {
        loop {
            std::thread::sleep(every);
            let stage = *shared.lock().unwrap_or_else(PoisonError::into_inner);
            match stage {
                Some((Stage::End, _)) => return,
                Some((stage @ (Stage::Measure { .. } | Stage::Send { .. }), since)) => {
                    put(form, &line(stage, since.elapsed(), &progress));
                }
                _ => {}
            }
        }
    };
    std::thread::Builder::new().name("progress".into()).stack_size(128 << 10).spawn(draw).ok()?;
    Some(Arc::new(move |stage| {
        *now.lock().unwrap_or_else(PoisonError::into_inner) = Some((stage, Instant::now()));
    }))
}

/// Clears the progress line before something else is written.
pub(crate) fn clearing(global: &Global) -> &'static str {
    if form(global) == Some(Form::Redrawn) { "\r\x1b[K" } else { "" }
}

/// Clears the line before something else is written.
pub(crate) fn clear(global: &Global) {
    super::output::terminal(clearing(global));
}

fn put(form: Form, text: &str) {
    match form {
        Form::Redrawn => super::output::terminal(&format!("\r\x1b[K{text}")),
        Form::Lines => super::output::stderr(&format!("{text}\n")),
    }
}

fn line(stage: Stage, time: Duration, progress: &Progress) -> String {
    let (name, done, whole) = match stage {
        Stage::Measure { source_bytes } => ("measure", progress.source_bytes.load(Relaxed), source_bytes),
        Stage::Send { body_bytes, .. } => ("send", progress.output_bytes.load(Relaxed), body_bytes),
        _ => return String::new(),
    };
    if matches!(stage, Stage::Send { .. }) && done >= whole {
        return format!("{:<8}{} sent, waiting for the platform ({} s)", "wait", size(done), time.as_secs());
    }
    let rate = done as f64 / time.as_secs_f64().max(0.001);
    let percent =
        (done.min(whole) * 100).checked_div(whole).map(|percent| format!(" {percent:>3} %")).unwrap_or_default();
    let left = if whole > done && done > 0 {
        format!(", {} s left", ((whole - done) as f64 / rate).ceil())
    } else {
        String::new()
    };
    let rejected = progress.rejected.load(Relaxed);
    let rejects = if rejected > 0 { format!(", {rejected} rejected") } else { String::new() };
    format!("{name:<8}{percent} {} of {}, {}/s{left}{rejects}", size(done), size(whole), size(rate as u64))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_pass_bytes_rate_time_left_and_rejects() {
        let progress = Progress::default();
        progress.source_bytes.store(50_000_000, Relaxed);
        progress.rejected.store(3, Relaxed);
        let text = line(Stage::Measure { source_bytes: 200_000_000 }, Duration::from_secs(1), &progress);
        assert_eq!(text, "measure   25 % 50.0 MB of 200.0 MB, 50.0 MB/s, 3 s left, 3 rejected");
    }
}
