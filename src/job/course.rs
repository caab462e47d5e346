//! The course of a run, for its report: stages, calls and throughput. Its size is bounded, whatever the run does.

use super::context::Context;
use crate::body::Progress;
use crate::calls::MadeCall;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Maximum number of points of a series.
const MAX_POINTS: usize = 160;
/// Maximum number of calls: the first and the last ones.
const MAX_CALLS: usize = 120;
/// Maximum number of stages; a run may have several processes.
const MAX_STAGES: usize = 40;
/// Time between two points at first.
const FIRST_PAUSE_MS: u64 = 50;

/// Stages, calls and throughput of a run. All times are in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::job) struct Course {
    pub(in crate::job) stages: Vec<Span>,
    /// Bytes of the source, as stored, that pass one has read.
    pub(in crate::job) read: Series,
    /// Bytes of content that were sent.
    pub(in crate::job) sent: Series,
    pub(in crate::job) calls: Vec<Called>,
    /// Number of calls that are not in `calls`.
    pub(in crate::job) more_calls: u64,
}

/// A stage of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Span {
    /// `check`, `send` or `wait`.
    pub(in crate::job) name: String,
    pub(in crate::job) at: u64,
    pub(in crate::job) took: u64,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Called {
    pub(in crate::job) step: String,
    pub(in crate::job) method: String,
    pub(in crate::job) part: Option<usize>,
    pub(in crate::job) bytes: Option<u64>,
    pub(in crate::job) status: Option<u16>,
    pub(in crate::job) at: u64,
    pub(in crate::job) took: u64,
}

/// A number that grows, with its times. If there are too many points, every other one is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::job) struct Series {
    /// Minimum time between two points.
    every: u64,
    pub(in crate::job) points: Vec<(u64, u64)>,
}

impl Series {
    /// Adds a point, unless the last one is recent.
    pub(in crate::job) fn add(&mut self, at: SystemTime, number: u64) {
        let at = millis(at);
        // a number that rests needs only the ends of its rest
        if let [.., before, last] = &mut self.points[..]
            && (before.1, last.1) == (number, number)
        {
            last.0 = at.max(last.0);
            return;
        }
        if self.points.last().is_none_or(|last| at >= last.0 + self.every.max(FIRST_PAUSE_MS)) {
            self.push(at, number);
        }
    }

    /// Adds the last point of a stage.
    pub(in crate::job) fn end(&mut self, at: SystemTime, number: u64) {
        let at = millis(at);
        match self.points.last_mut().filter(|last| last.0 >= at) {
            Some(last) => last.1 = number,
            None => self.push(at, number),
        }
    }

    fn push(&mut self, at: u64, number: u64) {
        if self.points.len() >= MAX_POINTS {
            let mut n = 0;
            self.points.retain(|_| {
                n += 1;
                n % 2 == 1
            });
            self.every = 2 * self.every.max(FIRST_PAUSE_MS);
        }
        self.points.push((at, number));
    }

    /// Appends the points of a later process.
    fn join(&mut self, later: Series) {
        for (at, number) in later.points {
            self.push(at, number);
        }
    }
}

impl Course {
    /// Adds a stage that began at a time.
    pub(in crate::job) fn stage(&mut self, name: &str, at: SystemTime, took: Duration) {
        if self.stages.len() < MAX_STAGES {
            let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.stages.push(Span { name: name.to_owned(), at: millis(at), took });
        }
    }

    /// Adds a call.
    pub(in crate::job) fn call(&mut self, call: &MadeCall) {
        if self.calls.len() >= MAX_CALLS {
            self.calls.remove(MAX_CALLS / 2);
            self.more_calls += 1;
        }
        self.calls.push(Called {
            step: call.step.clone(),
            method: call.method.to_owned(),
            part: call.part.map(|(part, _)| part),
            bytes: call.part.map(|(_, bytes)| bytes),
            status: call.status,
            at: millis(call.at),
            took: u64::try_from(call.took.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// Appends what was found elsewhere.
    pub(in crate::job) fn join(&mut self, later: Course) {
        let room = MAX_STAGES - self.stages.len().min(MAX_STAGES);
        self.stages.extend(later.stages.into_iter().take(room));
        self.read.join(later.read);
        self.sent.join(later.sent);
    }
}

/// Adds a counter to a series again and again; returns only if the run is cancelled.
pub(in crate::job) async fn watched(ctx: &Context<'_>, series: &mut Series, counter: fn(&Progress) -> u64) {
    let (progress, world) = (ctx.env.progress(), &ctx.env.world);
    series.add(world.clock.wall(), 0);
    while !progress.cancelled.load(Ordering::Relaxed) {
        world.clock.look_again().await;
        series.add(world.clock.wall(), counter(progress));
    }
}

/// Like [`watched`], but goes on when the run is cancelled.
pub(in crate::job) async fn watched_on(
    ctx: &Context<'_>,
    series: &mut Series,
    counter: fn(&Progress) -> u64,
) -> Infallible {
    watched(ctx, series, counter).await;
    std::future::pending().await
}

fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_series_of_any_length_has_few_points_and_its_ends() {
        let mut series = Series::default();
        (0..100_000).for_each(|n| series.add(at(n * 50), n));
        series.end(at(5_000_000), 100_000);
        assert!((MAX_POINTS / 2..=MAX_POINTS).contains(&series.points.len()), "{}", series.points.len());
        assert_eq!((series.points[0], *series.points.last().unwrap()), ((0, 0), (5_000_000, 100_000)));
        assert!(series.points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
    }

    #[test]
    fn the_first_and_the_last_calls_are_kept() {
        let mut course = Course::default();
        for n in 0..1_000u64 {
            course.call(&MadeCall::for_test(&format!("s{n}"), at(n)));
        }
        assert_eq!((course.calls.len(), course.more_calls), (MAX_CALLS, 880));
        assert_eq!((&*course.calls[0].step, &*course.calls[MAX_CALLS - 1].step), ("s0", "s999"));
        (0..100).for_each(|n| course.stage("wait", at(n), Duration::ZERO));
        let mut later = Course::default();
        later.stage("send", at(9), Duration::ZERO);
        course.join(later);
        assert_eq!(course.stages.len(), MAX_STAGES);
        let size = serde_json::to_string(&course).unwrap().len();
        assert!(size < 32_000, "{size}");
    }
}
