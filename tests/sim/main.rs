//! A seeded simulation of the client: whole jobs over streams in memory, with simulated time, seeded faults, and kills
//! at any await or write of the state. The effects at a model of the vendor are checked. See tests/GATE.md.
//!
//! `SIM_SEEDS=20000 cargo test --profile sim --test sim` runs more seeds, starting with `SIM_START`; `SIM_SEED=17` runs
//! one seed and prints each call.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "paused time, and words for the person who runs it"
)]

mod bed;
mod drive;
mod net;
mod oracle;
mod plan;
mod rng;
mod sabotage;
mod shrink;
mod vendor;

use bed::Room;
use drive::{Tally, play};
use plan::{Kind, Plan};
use sabotage::Sabotage;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs a seed twice; returns the failure, if there is one.
fn fails(room: &Room, plan: &Plan, tally: Option<&Tally>) -> Option<String> {
    let once = play(room, plan, false, tally, None);
    if once.failure.is_some() {
        return once.failure;
    }
    let again = play(room, plan, false, None, None);
    if once.trail == again.trail {
        return None;
    }
    let at = once.trail.iter().zip(&again.trail).position(|(one, other)| one != other);
    let at = at.unwrap_or(once.trail.len().min(again.trail.len()));
    let what = once.trail.get(at).map_or("its length", |(what, _)| what);
    Some(format!("not deterministic: two plays of the seed differ in {what}, number {at} of {}", once.trail.len()))
}

/// Describes a failure: the smallest plan found and its calls.
fn explained(room: &Room, plan: Plan, failure: String) -> String {
    let seed = plan.seed;
    let (small, failure) = shrink::shrink(plan, failure, &|plan| fails(room, plan, None));
    let trace = play(room, &small, true, None, None).trace.join("\n");
    format!("{failure}\n{small}{trace}\nagain: SIM_SEED={seed} cargo test --test sim\n")
}

#[test]
fn seeds_keep_the_contract() {
    let (start, count) = match variable("SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (variable("SIM_START").unwrap_or(0), variable("SIM_SEEDS").unwrap_or(300)),
    };
    let threads = variable("SIM_THREADS").unwrap_or(2).min(count);
    let most = variable("SIM_FAILURES").unwrap_or(3) as usize;
    let (next, tally, found) = (AtomicU64::new(0), Tally::default(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (next, tally, found) = (&next, &tally, &found);
            scope.spawn(move || {
                let room = Room::new(&thread.to_string());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || found.lock().expect("a list").len() >= most {
                        return;
                    }
                    let plan = Plan::draw(start + number);
                    if let Some(failure) = fails(&room, &plan, Some(tally)) {
                        let text = explained(&room, plan, failure);
                        eprintln!("{text}");
                        found.lock().expect("a list").push(text);
                    }
                    if number > 0 && number.is_multiple_of(50_000) {
                        eprintln!("{number} seeds");
                    }
                }
            });
        }
    });
    let codes: Vec<String> = (0..32)
        .map(|code| (code, tally.codes[code].load(Ordering::Relaxed)))
        .filter(|(_, count)| *count > 0)
        .map(|(code, count)| format!("{code}: {count}"))
        .collect();
    eprintln!(
        "{count} seeds: {} invocations, {} exchanges, {} killed, exit codes {}",
        tally.invocations.load(Ordering::Relaxed),
        tally.exchanges.load(Ordering::Relaxed),
        tally.kills.load(Ordering::Relaxed),
        codes.join(", ")
    );
    let found = found.into_inner().expect("a list");
    assert!(found.is_empty(), "{} seeds fail\n\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_client_that_forgets_is_found() {
    for sabotage in Sabotage::ALL {
        let room = Room::new(&format!("{sabotage:?}"));
        let plans = (0..3000).map(Plan::draw).filter(|plan| plan.kind == Kind::Increment).take(200);
        let found = plans.enumerate().find_map(|(number, plan)| {
            let failure = play(&room, &plan, false, None, Some(sabotage)).failure?;
            sabotage.causes().iter().any(|cause| failure.starts_with(cause)).then_some((number, failure))
        });
        let (number, failure) = found.unwrap_or_else(|| panic!("{sabotage:?} is not found"));
        eprintln!("{sabotage:?}: found in simulation {number} of increments: {failure}");
    }
}
