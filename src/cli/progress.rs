//! Shows how far a command is: a bar on a terminal, otherwise a line now and then.

use super::held::Held;
use super::progress_state::{Recent, State};
use super::{Global, Output, When};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use listferry::job::{Progress, Stage};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

type Watch = Arc<dyn Fn(Stage) + Send + Sync>;

/// Time between two states of the bar.
const REDRAW: Duration = Duration::from_millis(200);
/// Time between two lines.
const LINES: Duration = Duration::from_secs(30);
/// Time between two lines if they were asked for.
const LINES_ASKED: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bar,
    Lines(Duration),
}

/// Returns how progress is shown, or `None` if it is not.
fn form(global: &Global) -> Option<Form> {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    match (global.quiet, global.progress, std::io::stderr().is_terminal() && !is_dumb) {
        (true, ..) | (_, When::Never, _) => None,
        (_, _, true) if global.log_format == Output::Text => Some(Form::Bar),
        (_, When::Always, _) => Some(Form::Lines(LINES_ASKED)),
        (_, When::Auto, _) => Some(Form::Lines(LINES)),
    }
}

/// Returns true if progress is shown as events of the log.
pub(crate) fn is_logged(global: &Global) -> bool {
    global.log_format == Output::Json && form(global).is_some()
}

/// The bar at the bottom of the terminal, if there is one.
#[derive(Clone)]
pub(crate) struct Screen(Option<ProgressBar>);

impl Screen {
    pub(crate) fn new(global: &Global) -> Screen {
        let bar = || ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(20));
        Screen((form(global) == Some(Form::Bar)).then(bar))
    }

    /// Writes something above the bar.
    pub(crate) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The places at which progress is shown.
pub(crate) struct Shown<'s> {
    pub(crate) global: &'s Global,
    pub(crate) screen: &'s Screen,
    pub(crate) held: &'s Held,
    /// Number of passes of the command.
    pub(crate) passes: u8,
}

/// Returns the watcher for [`listferry::job::Env`]. From the first stage on, a thread of its own shows the progress until
/// the command ends.
pub(crate) fn watch(shown: &Shown<'_>, progress: &Arc<Progress>) -> Option<Watch> {
    let Shown { global, screen, held, passes } = *shown;
    let form = form(global)?;
    let view = View {
        form,
        logged: is_logged(global),
        colours: super::output::colours(global.color, &std::io::stderr()),
        passes,
        screen: screen.clone(),
        held: held.clone(),
        progress: Arc::clone(progress),
    };
    let now: Arc<Mutex<Option<(Stage, Instant)>>> = Arc::default();
    let view = Mutex::new(Some(view));
    Some(Arc::new(move |stage| {
        *now.lock().unwrap_or_else(PoisonError::into_inner) = Some((stage, Instant::now()));
        let view = view.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(view) = view {
            let now = Arc::clone(&now);
            let work = move || view.show(&now);
            // if no thread can start, no progress is shown
            let _ = std::thread::Builder::new().name("progress".into()).stack_size(256 << 10).spawn(work);
        }
    }))
}

/// Data of the thread that shows progress.
struct View {
    form: Form,
    logged: bool,
    colours: bool,
    passes: u8,
    screen: Screen,
    held: Held,
    progress: Arc<Progress>,
}

impl View {
    /// Shows the progress until the command ends.
    fn show(self, now: &Mutex<Option<(Stage, Instant)>>) {
        let every = match self.form {
            Form::Bar => REDRAW,
            Form::Lines(every) => every,
        };
        let mut recent = Recent::default();
        let mut shown = Instant::now();
        loop {
            // the rate is measured more often than it is shown
            std::thread::sleep(every.min(Duration::from_secs(1)));
            let (stage, since) = match *now.lock().unwrap_or_else(PoisonError::into_inner) {
                Some((Stage::End, _)) => return,
                Some((stage @ (Stage::Measure { .. } | Stage::Send { .. }), since)) => (stage, since),
                _ => continue,
            };
            let state = State::of(stage, since.elapsed(), &self.progress, self.passes, &mut recent);
            if shown.elapsed() >= every {
                shown = Instant::now();
                self.put(&state);
            }
        }
    }

    fn put(&self, state: &State) {
        let Some(bar) = self.screen.0.as_ref() else { return self.line(state) };
        // 80 if it is unknown
        let width = usize::from(console::Term::stderr().size().1);
        let (text, room) = state.beside_bar(width);
        let cyan = if self.colours { ".cyan" } else { "" };
        let template = match room {
            0 => "{wide_msg}".to_owned(),
            room => format!("{{bar:{room}{cyan}}} {{wide_msg}}"),
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_length(state.whole.max(1));
        bar.set_position(state.done.min(state.whole.max(1)));
        bar.set_message(text);
        bar.tick();
    }

    fn line(&self, state: &State) {
        let text = state.pieces().join(", ");
        if !self.logged {
            return self.held.put(&format!("{text}\n"));
        }
        tracing::info!(
            target: "listferry::progress",
            stage = state.stage,
            done_bytes = state.done,
            whole_bytes = state.whole,
            bytes_per_second = state.rate as u64,
            records = state.records,
            rejected = state.rejected,
            part = state.part.0,
            parts = state.part.1,
            "{text}"
        );
    }
}
