//! Time, random numbers, connections and memory of a job, which are the machine's unless a simulation gives its own.

use super::report::peak_rss_bytes;
use crate::calls::{Clock, SystemClock};
use crate::error::{Error, Kind, Result};
use crate::transport::Dial;
use std::sync::{Arc, Mutex};

/// Fills bytes with random ones.
pub type Draw = Arc<dyn Fn(&mut [u8]) -> Result<()> + Send + Sync>;

/// Called at each write of the state, before it begins and after it is durable.
pub type Watch = Arc<dyn Fn(Write) + Send + Sync>;

/// A connection to the database of a state.
pub type Connected = Arc<Mutex<rusqlite::Connection>>;

/// A moment of a write of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Nothing of it is written yet.
    Begins,
    /// It is durable.
    Done,
}

/// Time, random numbers, connections and memory; the default is the machine's.
#[derive(Clone)]
pub struct World {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of random numbers.
    pub draw: Draw,
    /// Connections in place of TCP's; default none.
    pub dial: Option<Arc<dyn Dial>>,
    /// Greatest resident memory of this process so far.
    pub memory: fn() -> u64,
    /// Called at each write of the state; default none.
    pub watch: Option<Watch>,
    /// An open connection to the database in the state directory, used in place of a new one; default none.
    pub connection: Option<Connected>,
}

impl Default for World {
    fn default() -> World {
        let draw = |bytes: &mut [u8]| {
            getrandom::fill(bytes).map_err(|error| Error::new(Kind::Local, format!("no random numbers: {error}")))
        };
        World {
            clock: Arc::new(SystemClock),
            draw: Arc::new(draw),
            dial: None,
            memory: peak_rss_bytes,
            watch: None,
            connection: None,
        }
    }
}
