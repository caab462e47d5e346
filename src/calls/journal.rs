//! What a run remembers: steps with intent and result, frozen facts, parts, platform-rejected rows, quotas. The durable
//! one is the job's; [`MemoryJournal`] serves embedding and tests.

use super::quota::{fits_from, schedule};
use super::{AtOnce, Quota, RowFault, Seat};
use crate::error::{Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// At most that many platform-rejected rows are kept; more are counted.
pub const MAX_STORED_FAULTS: u64 = 1_000_000;

/// Where a step stands.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// Never tried, or known not to have reached the platform.
    New,
    /// Tried, no result known; the facts that were written with the intent.
    Intent(Value),
    /// Its result.
    Done(Value),
}

/// What a quota says to one more attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Taken.
    Granted,
    /// Full: a slot comes free then.
    WaitUntil(SystemTime),
}

/// What a quota says to all calls of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// They have their slots.
    Granted,
    /// The wait for one of them would be too long; from then on it would not.
    From(SystemTime),
    /// It would be too long even if the quota were unused.
    Never,
}

/// A part as the report shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartState {
    /// From 0.
    pub index: usize,
    /// Content bytes.
    pub bytes: u64,
    /// Records.
    pub records: u64,
    /// How often its body was begun, over all runs of the job.
    pub attempts: u32,
    /// What the platform calls it.
    pub remote_id: Option<String>,
    /// The platform has accepted it.
    pub accepted: bool,
    /// When it was accepted; the journal fills it in if it is `None`.
    pub accepted_at: Option<SystemTime>,
}

/// The memory of one run. Every method is durable when it returns (the durable one syncs).
pub trait Journal: Send + Sync {
    /// Where the step stands.
    ///
    /// # Errors
    /// `Busy`: the state cannot be read.
    fn step(&self, name: &str) -> Result<StepState>;

    /// Writes that the step is about to be tried, before its first byte is sent.
    ///
    /// # Errors
    /// `Local`: the state cannot be written; nothing may be sent then.
    fn intent(&self, name: &str, facts: &Value) -> Result<()>;

    /// Writes the result of the step.
    ///
    /// # Errors
    /// `Local`.
    fn result(&self, name: &str, value: &Value) -> Result<()>;

    /// Takes the step back to new: the attempt is known to have done nothing, or what it gave has gone stale.
    ///
    /// # Errors
    /// `Local`.
    fn forget(&self, name: &str) -> Result<()>;

    /// Freezes a small fact (an id, a chosen name).
    ///
    /// # Errors
    /// `Local`.
    fn store(&self, key: &str, value: &Value) -> Result<()>;

    /// A frozen fact.
    ///
    /// # Errors
    /// `Busy`.
    fn load(&self, key: &str) -> Result<Option<Value>>;

    /// Takes one slot of a quota, a reserved one if this run has any, or says when the next one comes free.
    ///
    /// # Errors
    /// `Local`.
    fn quota_take(&self, quota: &Quota, now: SystemTime) -> Result<Slot>;

    /// Reserves slots for `calls` of this run, in place of what it had reserved of the quota, if the wait for none of them
    /// would be longer than `max_wait`. What is not taken is free again when the run or its process ends.
    ///
    /// # Errors
    /// `Local`.
    fn quota_reserve(&self, quota: &Quota, calls: u32, now: SystemTime, max_wait: Duration) -> Result<Reserved>;

    /// Takes a place among the calls under way; `None`: all are taken. Default: there is always one.
    ///
    /// # Errors
    /// `Local`.
    fn seat(&self, limit: &AtOnce) -> Result<Option<Seat>> {
        let _ = limit;
        Ok(Some(Seat::new(())))
    }

    /// Forgets the faults of a group: its results are about to be read (again).
    ///
    /// # Errors
    /// `Local`.
    fn clear_faults(&self, group: &str) -> Result<()>;

    /// Stores a row that the platform rejected. The first [`MAX_STORED_FAULTS`] are kept, all are counted.
    ///
    /// # Errors
    /// `Local`.
    fn fault(&self, group: &str, fault: &RowFault) -> Result<()>;

    /// How many rows the platform rejected.
    ///
    /// # Errors
    /// `Busy`.
    fn fault_count(&self) -> Result<u64>;

    /// Shows the stored faults, by index where they have one, in bounded memory, until `each` says no.
    ///
    /// # Errors
    /// `Busy`, or what `each` says.
    fn faults(&self, each: &mut dyn FnMut(&RowFault) -> Result<bool>) -> Result<()>;

    /// Counts one more beginning of a part's body.
    ///
    /// # Errors
    /// `Local`.
    fn part_attempt(&self, index: usize) -> Result<()>;

    /// The platform has taken a part. `state.attempts` is not read.
    ///
    /// # Errors
    /// `Local`.
    fn part_done(&self, state: &PartState) -> Result<()>;

    /// The parts so far, by index.
    ///
    /// # Errors
    /// `Busy`.
    fn parts(&self) -> Result<Vec<PartState>>;

    /// Keeps a warning for the report.
    ///
    /// # Errors
    /// `Local`.
    fn note(&self, text: &str) -> Result<()>;

    /// The warnings.
    ///
    /// # Errors
    /// `Busy`.
    fn notes(&self) -> Result<Vec<String>>;
}

/// A journal that lives as long as the process. Keeps at most 10,000 platform-rejected rows and counts the rest, so that
/// memory stays bounded.
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
        // a panic elsewhere leaves the maps whole: each method does one change
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
        // the reserved slots are this run's own: no other run waits for them
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
