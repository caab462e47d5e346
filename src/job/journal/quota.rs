//! Quotas across runs and processes: slots that were taken, and slots that current runs have reserved.
//!
//! A reserved slot belongs to a run (`reserved_by`) until its call is made. It is free again when the run ends, or when
//! no process is working on the run any more. Earlier reservations go first, so that two runs never wait for each
//! other.

use super::cached::Cached as _;
use super::lock;
use super::{State, millis, moment};
use crate::calls::quota::{fits_from, schedule};
use crate::calls::{Quota, Reserved, Slot};
use crate::error::{Error, Result};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::time::{Duration, SystemTime};

impl State {
    /// Takes one slot of a quota for calls that belong to no run, or returns when the next becomes free.
    ///
    /// # Errors
    /// `Local`.
    pub fn quota_take(&self, quota: &Quota, now: SystemTime) -> Result<Slot> {
        self.take_slot(quota, now, None)
    }

    /// Takes one slot for a run, one of its reserved ones if it has any.
    pub(super) fn take_slot(&self, quota: &Quota, now: SystemTime, run: Option<i64>) -> Result<Slot> {
        allows_something(quota)?;
        self.write(|transaction| {
            self.tidy(transaction, quota, now, run)?;
            let own: Option<i64> = transaction
                .query_row_cached(
                    "SELECT rowid FROM slots WHERE quota = ?1 AND reserved_by = ?2 ORDER BY rowid LIMIT 1",
                    params![quota.key, run],
                    |row| row.get(0),
                )
                .optional()?;
            // a reservation counts against later ones
            let before = in_use(transaction, quota, now, own.unwrap_or(i64::MAX), run)?;
            let free = schedule(quota, &before, 1, now)[0];
            if free > now {
                return Ok(Slot::WaitUntil(free));
            }
            match own {
                Some(own) => transaction.execute_cached(
                    "UPDATE slots SET taken_ms = ?2, reserved_by = NULL WHERE rowid = ?1",
                    params![own, millis(now)],
                )?,
                None => transaction.execute_cached(
                    "INSERT INTO slots (quota, taken_ms) VALUES (?1, ?2)",
                    params![quota.key, millis(now)],
                )?,
            };
            Ok(Slot::Granted)
        })
    }

    /// Reserves slots for all remaining calls of a run, if the wait for none of them is longer than `max_wait`.
    pub(super) fn reserve_slots(
        &self,
        quota: &Quota,
        calls: u32,
        now: SystemTime,
        max_wait: Duration,
        run: i64,
    ) -> Result<Reserved> {
        allows_something(quota)?;
        self.write(|transaction| {
            self.tidy(transaction, quota, now, Some(run))?;
            transaction
                .execute_cached("DELETE FROM slots WHERE quota = ?1 AND reserved_by = ?2", params![quota.key, run])?;
            let before = in_use(transaction, quota, now, i64::MAX, Some(run))?;
            match fits_from(quota, &before, calls, now, max_wait) {
                Some(from) if from <= now => {}
                Some(from) => return Ok(Reserved::From(from)),
                None => return Ok(Reserved::Never),
            }
            for _ in 0..calls {
                transaction.execute_cached(
                    "INSERT INTO slots (quota, taken_ms, reserved_by) VALUES (?1, ?2, ?3)",
                    params![quota.key, millis(now), run],
                )?;
            }
            Ok(Reserved::Granted)
        })
    }

    /// Deletes slots that are free again: taken a window ago, or reserved by a run that no process is working on.
    fn tidy(&self, transaction: &Connection, quota: &Quota, now: SystemTime, run: Option<i64>) -> rusqlite::Result<()> {
        let window = i64::try_from(quota.window.as_millis()).unwrap_or(i64::MAX);
        transaction.execute_cached(
            "DELETE FROM slots WHERE quota = ?1 AND reserved_by IS NULL AND taken_ms <= ?2",
            params![quota.key, millis(now).saturating_sub(window)],
        )?;
        // a clock set back must not lengthen the wait beyond one window
        transaction.execute_cached(
            "UPDATE slots SET taken_ms = ?2 WHERE quota = ?1 AND taken_ms > ?2",
            params![quota.key, millis(now)],
        )?;
        let mut holders = transaction.prepare_cached(
            "SELECT DISTINCT reserved_by, (SELECT job FROM runs WHERE seq = reserved_by), \
             (SELECT job FROM runs WHERE seq = ?2) FROM slots \
             WHERE quota = ?1 AND reserved_by IS NOT NULL AND reserved_by IS NOT ?2",
        )?;
        let holders = holders.query_map(params![quota.key, run], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Option<String>>(2)?))
        })?;
        for holder in holders {
            let (seq, job, own_job) = holder?;
            // this process holds the lock of its own job, so no other run of the job is being worked on
            let in_hand =
                job.as_deref().is_some_and(|job| own_job.as_deref() != Some(job) && lock::is_taken(&self.dir, job));
            if !in_hand {
                transaction.execute_cached("DELETE FROM slots WHERE reserved_by = ?1", [seq])?;
            }
        }
        Ok(())
    }
}

/// Returns when slots were taken, including slots that other runs reserved before row `before`, which may be used at
/// once.
fn in_use(
    transaction: &Connection,
    quota: &Quota,
    now: SystemTime,
    before: i64,
    run: Option<i64>,
) -> rusqlite::Result<Vec<SystemTime>> {
    let mut select = transaction.prepare_cached(
        "SELECT iif(reserved_by IS NULL, taken_ms, ?4) FROM slots \
         WHERE quota = ?1 AND (reserved_by IS NULL OR (reserved_by IS NOT ?2 AND rowid < ?3))",
    )?;
    let rows = select.query_map(params![quota.key, run, before, millis(now)], |row| row.get(0).map(moment))?;
    rows.collect()
}

fn allows_something(quota: &Quota) -> Result<()> {
    match quota.limit {
        0 => Err(Error::usage(format!("the quota {} allows nothing", quota.key))),
        _ => Ok(()),
    }
}
