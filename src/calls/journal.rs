//! The record of a run: steps with intent and result, stored facts, parts, rows rejected by the platform, quotas. The
//! durable journal belongs to `job`; [`MemoryJournal`] is for embedding and tests.

use super::quota::{fits_from, schedule};
use super::{AtOnce, MadeCall, PartState, Quota, RowFault, Seat};
use crate::error::{Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// Maximum number of rows rejected by the platform that are stored; more are only counted.
pub const MAX_STORED_FAULTS: u64 = 1_000_000;

/// The recorded state of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// Never tried, or known not to have reached the platform.
    New,
    /// Tried, but no result is known. Contains the facts stored with the intent.
    Intent(Value),
    /// Contains the result.
    Done(Value),
}

/// A quota's answer to one more attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The attempt has a slot.
    Granted,
    /// The quota is used up; a slot becomes free at this time.
    WaitUntil(SystemTime),
}

/// A quota's answer to all calls of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// All calls have their slots.
    Granted,
    /// The wait for one of them would be too long; from this time on it would not be.
    From(SystemTime),
    /// The wait would be too long even with an unused quota.
    Never,
}

/// The record of one run. A durable journal syncs, so every change is durable when the method returns.
pub trait Journal: Send + Sync {
    /// Returns the state of a step.
    ///
    /// # Errors
    /// `Busy`: the state cannot be read.
    fn step(&self, name: &str) -> Result<StepState>;

    /// Records that a step is about to be tried, before its first byte is sent.
    ///
    /// # Errors
    /// `Local`: the state cannot be written; nothing may be sent then.
    fn intent(&self, name: &str, facts: &Value) -> Result<()>;

    /// Records the result of a step.
    ///
    /// # Errors
    /// `Local`.
    fn result(&self, name: &str, value: &Value) -> Result<()>;

    /// Resets a step to new, because the attempt had no effect or its result has expired.
    ///
    /// # Errors
    /// `Local`.
    fn forget(&self, name: &str) -> Result<()>;

    /// Stores a small fact (an id, a chosen name).
    ///
    /// # Errors
    /// `Local`.
    fn store(&self, key: &str, value: &Value) -> Result<()>;

    /// Returns a stored fact.
    ///
    /// # Errors
    /// `Busy`.
    fn load(&self, key: &str) -> Result<Option<Value>>;

    /// Takes one slot of a quota, a reserved one if this run has any, or returns when the next becomes free.
    ///
    /// # Errors
    /// `Local`.
    fn quota_take(&self, quota: &Quota, now: SystemTime) -> Result<Slot>;

    /// Reserves slots for `calls` of this run, replacing its earlier reservation of the quota, if the wait for none of
    /// them would be longer than `max_wait`. Unused slots are free again when the run or its process ends.
    ///
    /// # Errors
    /// `Local`.
    fn quota_reserve(&self, quota: &Quota, calls: u32, now: SystemTime, max_wait: Duration) -> Result<Reserved>;

    /// Takes a place among the simultaneous calls; `None` if all are taken. By default there is always one.
    ///
    /// # Errors
    /// `Local`.
    fn seat(&self, limit: &AtOnce) -> Result<Option<Seat>> {
        let _ = limit;
        Ok(Some(Seat::new(())))
    }

    /// Receives each call that was made, for the history of the run. By default it is forgotten.
    fn made(&self, call: &MadeCall) {
        let _ = call;
    }

    /// Deletes the row faults of a group, before its results are read (again).
    ///
    /// # Errors
    /// `Local`.
    fn clear_faults(&self, group: &str) -> Result<()>;

    /// Stores a row rejected by the platform. The first [`MAX_STORED_FAULTS`] are stored, all are counted.
    ///
    /// # Errors
    /// `Local`.
    fn fault(&self, group: &str, fault: &RowFault) -> Result<()>;

    /// Returns the number of rows rejected by the platform.
    ///
    /// # Errors
    /// `Busy`.
    fn fault_count(&self) -> Result<u64>;

    /// Calls `each` with the stored faults, sorted by index if they have one, in bounded memory, until it returns
    /// false.
    ///
    /// # Errors
    /// `Busy`, or the error of `each`.
    fn faults(&self, each: &mut dyn FnMut(&RowFault) -> Result<bool>) -> Result<()>;

    /// Counts one more start of sending a part's body.
    ///
    /// # Errors
    /// `Local`.
    fn part_attempt(&self, index: usize) -> Result<()>;

    /// Records that the platform has accepted a part. Ignores `state.attempts`.
    ///
    /// # Errors
    /// `Local`.
    fn part_done(&self, state: &PartState) -> Result<()>;

    /// Writes the result of a step, and in the same write that the platform has accepted a part by it. Default: the part
    /// first, so that a process that is killed in between leaves no result without it.
    ///
    /// # Errors
    /// `Local`.
    fn result_accepting(&self, name: &str, value: &Value, part: &PartState) -> Result<()> {
        self.part_done(part)?;
        self.result(name, value)
    }

    /// Returns the parts so far, by index.
    ///
    /// # Errors
    /// `Busy`.
    fn parts(&self) -> Result<Vec<PartState>>;

    /// Stores a warning for the report.
    ///
    /// # Errors
    /// `Local`.
    fn note(&self, text: &str) -> Result<()>;

    /// Returns the warnings.
    ///
    /// # Errors
    /// `Busy`.
    fn notes(&self) -> Result<Vec<String>>;
}

/// A journal that lasts as long as the process. Stores at most 10,000 rejected rows and counts the rest, so that memory
/// is bounded.
#[derive(Default)]
pub struct MemoryJournal(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    seats: HashMap<String, Vec<Weak<()>>>,
    steps: HashMap<String, StepState>,
    facts: HashMap<String, Value>,
    quotas: HashMap<String, Slots>,
    faults: Vec<(String, RowFault)>,
    counts: BTreeMap<String, u64>,
    parts: BTreeMap<usize, PartState>,
    notes: Vec<String>,
}

/// The slots of a quota.
#[derive(Default)]
struct Slots {
    taken: Vec<SystemTime>,
    reserved: u32,
}

const MAX_FAULTS_IN_MEMORY: usize = 10_000;

impl MemoryJournal {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        // a panic elsewhere leaves the maps consistent, since each method makes one change
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn step(&self, name: &str) -> Result<StepState> {
        Ok(self.memory().steps.get(name).cloned().unwrap_or(StepState::New))
    }

    fn intent(&self, name: &str, facts: &Value) -> Result<()> {
        self.memory().steps.insert(name.to_owned(), StepState::Intent(facts.clone()));
        Ok(())
    }

    fn result(&self, name: &str, value: &Value) -> Result<()> {
        self.memory().steps.insert(name.to_owned(), StepState::Done(value.clone()));
        Ok(())
    }

    fn forget(&self, name: &str) -> Result<()> {
        self.memory().steps.remove(name);
        Ok(())
    }

    fn store(&self, key: &str, value: &Value) -> Result<()> {
        self.memory().facts.insert(key.to_owned(), value.clone());
        Ok(())
    }

    fn load(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.memory().facts.get(key).cloned())
    }

    fn quota_take(&self, quota: &Quota, now: SystemTime) -> Result<Slot> {
        if quota.limit == 0 {
            return Err(Error::usage(format!("the quota {} allows nothing", quota.key)));
        }
        let mut memory = self.memory();
        let slots = memory.quotas.entry(quota.key.clone()).or_default();
        // the reserved slots belong to this run, so no other run waits for them
        let free = schedule(quota, &slots.taken, 1, now)[0];
        if free > now {
            return Ok(Slot::WaitUntil(free));
        }
        slots.taken.retain(|at| *at + quota.window > now);
        slots.taken.push(now);
        slots.reserved = slots.reserved.saturating_sub(1);
        Ok(Slot::Granted)
    }

    fn quota_reserve(&self, quota: &Quota, calls: u32, now: SystemTime, max_wait: Duration) -> Result<Reserved> {
        let mut memory = self.memory();
        let slots = memory.quotas.entry(quota.key.clone()).or_default();
        slots.reserved = 0;
        Ok(match fits_from(quota, &slots.taken, calls, now, max_wait) {
            Some(from) if from <= now => {
                slots.reserved = calls;
                Reserved::Granted
            }
            Some(from) => Reserved::From(from),
            None => Reserved::Never,
        })
    }

    fn seat(&self, limit: &AtOnce) -> Result<Option<Seat>> {
        let mut memory = self.memory();
        let taken = memory.seats.entry(limit.key.clone()).or_default();
        taken.retain(|seat| seat.strong_count() > 0);
        if taken.len() >= limit.limit as usize {
            return Ok(None);
        }
        let seat = Arc::new(());
        taken.push(Arc::downgrade(&seat));
        Ok(Some(Seat::new(seat)))
    }

    fn clear_faults(&self, group: &str) -> Result<()> {
        let mut memory = self.memory();
        memory.counts.remove(group);
        memory.faults.retain(|(of, _)| of != group);
        Ok(())
    }

    fn fault(&self, group: &str, fault: &RowFault) -> Result<()> {
        let mut memory = self.memory();
        *memory.counts.entry(group.to_owned()).or_default() += 1;
        if memory.faults.len() < MAX_FAULTS_IN_MEMORY {
            memory.faults.push((group.to_owned(), fault.clone()));
        }
        Ok(())
    }

    fn fault_count(&self) -> Result<u64> {
        Ok(self.memory().counts.values().sum())
    }

    fn faults(&self, each: &mut dyn FnMut(&RowFault) -> Result<bool>) -> Result<()> {
        let mut faults: Vec<RowFault> = self.memory().faults.iter().map(|(_, fault)| fault.clone()).collect();
        faults.sort_by_key(|fault| match fault.at {
            super::FaultAt::Index(index) => index,
            super::FaultAt::Key(_) => u64::MAX,
        });
        for fault in &faults {
            if !each(fault)? {
                break;
            }
        }
        Ok(())
    }

    fn part_attempt(&self, index: usize) -> Result<()> {
        let mut memory = self.memory();
        let part = memory.parts.entry(index).or_default();
        part.index = index;
        part.attempts += 1;
        Ok(())
    }

    fn part_done(&self, state: &PartState) -> Result<()> {
        let mut memory = self.memory();
        let attempts = memory.parts.get(&state.index).map_or(0, |part| part.attempts);
        memory.parts.insert(state.index, PartState { attempts, ..state.clone() });
        Ok(())
    }

    fn parts(&self) -> Result<Vec<PartState>> {
        Ok(self.memory().parts.values().cloned().collect())
    }

    fn note(&self, text: &str) -> Result<()> {
        let mut memory = self.memory();
        if memory.notes.len() < 100 && !memory.notes.iter().any(|note| note == text) {
            memory.notes.push(text.to_owned());
        }
        Ok(())
    }

    fn notes(&self) -> Result<Vec<String>> {
        Ok(self.memory().notes.clone())
    }
}
