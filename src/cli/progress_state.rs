//! The state of a command in words, as long as there is room for.

use listferry::job::{Progress, Stage};
use listferry::settings::size_in_words as size;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The time that a rate is about.
const RECENT: Duration = Duration::from_secs(10);
/// Maximum width of the bar.
const MAX_BAR: usize = 30;
/// Minimum width of the bar; with less room there is none.
const MIN_BAR: usize = 6;

/// The bytes that were done in the last seconds.
#[derive(Default)]
pub(super) struct Recent(VecDeque<(Duration, u64)>);

impl Recent {
    /// Adds what is done at a time since the stage began; returns the bytes in a second.
    fn rate(&mut self, time: Duration, done: u64) -> f64 {
        // another stage, or a part that is sent again
        if self.0.back().is_some_and(|last| last.0 > time || last.1 > done) {
            self.0.clear();
        }
        self.0.push_back((time, done));
        while self.0.len() > 2 && time.saturating_sub(self.0[1].0) >= RECENT {
            self.0.pop_front();
        }
        let first = match self.0.len() {
            1 => (Duration::ZERO, 0),
            _ => self.0[0],
        };
        (done - first.1) as f64 / time.saturating_sub(first.0).as_secs_f64().max(0.001)
    }
}

/// How far a command is.
pub(super) struct State {
    pub(super) stage: &'static str,
    /// The stage in words.
    name: String,
    pub(super) done: u64,
    pub(super) whole: u64,
    pub(super) rate: f64,
    time: Duration,
    pub(super) records: u64,
    pub(super) rejected: u64,
    /// The part that is sent, from 1, and the number of parts; 0 if none is.
    pub(super) part: (usize, usize),
}

impl State {
    /// Returns the state of a stage that began `time` ago. `passes`: number of passes of the command.
    pub(super) fn of(stage: Stage, time: Duration, progress: &Progress, passes: u8, recent: &mut Recent) -> State {
        let (records, rejected) = (progress.records.load(Relaxed), progress.rejected.load(Relaxed));
        let state = |stage, name, done, whole, part| State {
            stage,
            name,
            done,
            whole,
            rate: 0.0,
            time,
            records,
            rejected,
            part,
        };
        let state = match stage {
            Stage::Send { body_bytes, parts } => {
                let done = progress.sent_bytes.load(Relaxed);
                let part = (progress.part.load(Relaxed).min(parts), parts);
                match (part, done >= body_bytes) {
                    (_, true) => state("wait", "waiting for the platform".to_owned(), 0, 0, part),
                    ((1.., 2..), _) => {
                        let name = format!("pass 2 of 2, part {} of {parts}", part.0);
                        state("send", name, done, body_bytes, part)
                    }
                    _ => state("send", "pass 2 of 2".to_owned(), done, body_bytes, part),
                }
            }
            Stage::Measure { source_bytes } => {
                let name = if passes > 1 { format!("pass 1 of {passes}") } else { "reading".to_owned() };
                state("measure", name, progress.source_bytes.load(Relaxed), source_bytes, (0, 0))
            }
            _ => state("", String::new(), 0, 0, (0, 0)),
        };
        State { rate: recent.rate(time, state.done), ..state }
    }

    fn percent(&self) -> Option<String> {
        let percent = (self.done.min(self.whole) * 100).checked_div(self.whole)?;
        Some(format!("{percent} %"))
    }

    fn amount(&self) -> Option<String> {
        (self.whole > 0).then(|| format!("{} of {}", size(self.done.min(self.whole)), size(self.whole)))
    }

    fn speed(&self) -> Option<String> {
        (self.whole > 0).then(|| format!("{}/s", size(self.rate as u64)))
    }

    /// Returns the time that is left, or for how long has been waited.
    fn left(&self) -> Option<String> {
        match self.whole {
            0 => Some(clock(self.time)),
            whole if whole > self.done && self.rate >= 1.0 => {
                let seconds = ((whole - self.done) as f64 / self.rate).ceil();
                Some(format!("{} left", clock(Duration::from_secs_f64(seconds.min(1e7)))))
            }
            _ => None,
        }
    }

    fn rejects(&self) -> Option<String> {
        (self.rejected > 0).then(|| format!("{} rejected", self.rejected))
    }

    /// Returns all of it, for a line of a log.
    pub(super) fn pieces(&self) -> Vec<String> {
        let known = [self.percent(), self.amount(), self.speed(), self.left(), self.rejects()];
        std::iter::once(self.name.clone()).chain(known.into_iter().flatten()).collect()
    }

    /// Returns what fits into one line of this width, and the width of the bar before it; 0 for none.
    pub(super) fn beside_bar(&self, width: usize) -> (String, usize) {
        // the last column stays free: some terminals wrap when it is written
        let width = width.saturating_sub(1);
        let all = [Some(self.name.clone()), self.percent(), self.amount(), self.speed(), self.left(), self.rejects()];
        let text = |wanted: &[usize]| {
            let pieces = (0..all.len()).filter(|n| wanted.contains(n)).filter_map(|n| all[n].clone());
            pieces.collect::<Vec<_>>().join("  ")
        };
        // by importance: name, percent, time, rejects, rate, amount
        let mut wanted = vec![0];
        for (n, bar) in [(1, 0), (4, 0), (5, 0), (3, MIN_BAR + 1), (2, MIN_BAR + 1)] {
            wanted.push(n);
            if text(&wanted).chars().count() + bar > width {
                wanted.pop();
            }
        }
        let text = text(&wanted);
        let room = (width - text.chars().count().min(width)).saturating_sub(1).min(MAX_BAR);
        let is_wanted = self.whole > 0 && room >= MIN_BAR;
        (text, if is_wanted { room } else { 0 })
    }
}

/// Formats a time: `mm:ss`, or `h:mm:ss`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(stage: Stage, seconds: u64, progress: &Progress) -> State {
        State::of(stage, Duration::from_secs(seconds), progress, 2, &mut Recent::default())
    }

    #[test]
    fn a_line_says_pass_part_bytes_rate_time_left_and_rejects() {
        let progress = Progress::default();
        progress.source_bytes.store(50_000_000, Relaxed);
        progress.rejected.store(3, Relaxed);
        let measuring = state(Stage::Measure { source_bytes: 200_000_000 }, 1, &progress);
        let want = "pass 1 of 2, 25 %, 50.0 MB of 200.0 MB, 50.0 MB/s, 00:03 left, 3 rejected";
        assert_eq!(measuring.pieces().join(", "), want);
        progress.sent_bytes.store(20_000_000, Relaxed);
        progress.part.store(2, Relaxed);
        let sending = state(Stage::Send { body_bytes: 10_000_000_000, parts: 3 }, 2, &progress);
        let want = "pass 2 of 2, part 2 of 3, 0 %, 20.0 MB of 10.00 GB, 10.0 MB/s, 16:38 left, 3 rejected";
        assert_eq!(sending.pieces().join(", "), want);
        let waiting = state(Stage::Send { body_bytes: 20_000_000, parts: 1 }, 3_700, &progress);
        assert_eq!(waiting.pieces().join(", "), "waiting for the platform, 1:01:40, 3 rejected");
    }

    #[test]
    fn the_bar_and_its_text_fit_into_any_width() {
        let progress = Progress::default();
        progress.sent_bytes.store(94_900_000, Relaxed);
        progress.rejected.store(1_234, Relaxed);
        progress.part.store(12, Relaxed);
        for width in 1..=200 {
            for stage in [Stage::Send { body_bytes: 10_000_000_000, parts: 120 }, Stage::Measure { source_bytes: 10 }] {
                let (text, bar) = state(stage, 1, &progress).beside_bar(width);
                let used = text.chars().count() + if bar > 0 { bar + 1 } else { 0 };
                assert!(used < width.max(28), "{width}: {text} and {bar}");
                if width >= 40 {
                    assert!(text.contains('%'), "{width}: {text}");
                }
            }
        }
        let sending = state(Stage::Send { body_bytes: 10_000_000_000, parts: 120 }, 1, &progress);
        let (text, bar) = sending.beside_bar(200);
        assert_eq!((text.split("  ").count(), bar), (6, MAX_BAR), "{text}");
        assert!(sending.beside_bar(40).0.starts_with("pass 2 of 2, part 12 of 120  0 %"), "{text}");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut recent = Recent::default();
        let second = Duration::from_secs;
        assert_eq!(recent.rate(second(2), 200), 100.0);
        for s in 3..20 {
            recent.rate(second(s), 200);
        }
        assert_eq!(recent.rate(second(20), 1_200), 100.0, "1,000 bytes in ten seconds");
        assert_eq!(recent.rate(second(1), 50), 50.0, "another stage");
    }
}
