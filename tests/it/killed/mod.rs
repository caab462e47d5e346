//! Kills jobs of every platform on real sockets, at chosen points and at any time, and continues them by repeating the
//! command: `cargo test --test it killed_jobs -- --ignored --nocapture`. `KILLED_JOBS` is their number (1000),
//! `KILLED_SEED` the seed of the draws, and `KILLED_ONLY` the single job to repeat. The figures are in `tests/GATE.md`.

#![allow(clippy::print_stderr, reason = "the figures are the result")]

mod job;
mod process;
mod world;

use job::{Figures, Kind};
use std::sync::{Arc, Mutex};

/// Jobs at a time.
const AT_ONCE: usize = 8;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The random draws of one job: splitmix64.
pub(crate) struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap()
    }
}

/// Kills `jobs` jobs, in turn over all kinds, and returns the counts.
async fn kill_jobs(jobs: u64, seed: u64, only: Option<u64>) -> Figures {
    let mut unbroken = Vec::new();
    for kind in Kind::ALL {
        unbroken.push(job::unbroken(kind).await);
    }
    let (unbroken, figures) = (Arc::new(unbroken), Arc::new(Mutex::new(Figures::default())));
    let room = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut tasks = tokio::task::JoinSet::new();
    for nth in (0..jobs).filter(|nth| only.is_none_or(|only| only == *nth)) {
        let (unbroken, figures, room) = (Arc::clone(&unbroken), Arc::clone(&figures), Arc::clone(&room));
        tasks.spawn(async move {
            let _place = room.acquire().await.unwrap();
            let at = usize::try_from(nth).unwrap() % Kind::ALL.len();
            let draws = Draws(seed.wrapping_add(nth.wrapping_mul(0x2545_f491_4f6c_dd1d)));
            let one = job::killed(Kind::ALL[at], &unbroken[at], draws, nth).await;
            let done = figures.lock().unwrap().add(Kind::ALL[at], one);
            if done % 100 == 0 {
                eprintln!("{done} jobs");
            }
        });
    }
    tasks.join_all().await;
    let figures = figures.lock().unwrap();
    figures.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn some_killed_jobs_end_with_nothing_twice_and_nothing_lost() {
    let figures = kill_jobs(18, 5, None).await;
    assert_eq!(figures.faults(), Vec::<String>::new(), "{figures}");
    assert!(figures.kills() >= 9, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes many minutes: run it by name before a release"]
async fn killed_jobs() {
    let only = std::env::var("KILLED_ONLY").ok().map(|nth| nth.parse().expect("a number"));
    let (jobs, seed) = (number("KILLED_JOBS", 1000), number("KILLED_SEED", 1));
    let began = std::time::Instant::now();
    let figures = kill_jobs(jobs, seed, only).await;
    eprintln!("{jobs} jobs, seed {seed}, {:.0} s\n{figures}", began.elapsed().as_secs_f64());
    assert_eq!(figures.faults(), Vec::<String>::new());
}
