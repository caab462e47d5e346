//! One process of a job: started, then killed at its moment or time, or left to end.

use crate::kill::listferry;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Capacity of a pipe in bytes.
const PIPE_BYTES: usize = 64 << 10;

/// How a process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Without being killed.
    Itself,
    /// Killed at a moment of the servers, counted from the start of the process.
    AtMoment(usize),
    /// Killed this long after its start.
    After(Duration),
    /// Killed while it writes its report into a pipe that is full.
    WhileReporting,
    /// Without being killed, after a report that could not be written.
    DiskFull,
}

/// Counts the moments of all servers of a job and kills its process at one of them.
#[derive(Default)]
pub(crate) struct Reaper {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    at: Option<usize>,
    moments: usize,
    /// The last moment that is half of an answer.
    last_answering: usize,
    killed: bool,
}

impl Reaper {
    /// Returns false if the process was killed, so that the server stops, too.
    pub(crate) fn moment(&self, answering: bool) -> bool {
        let mut state = self.state.lock().unwrap();
        let nth = state.moments;
        state.moments += 1;
        if answering {
            state.last_answering = nth;
        }
        if state.at == Some(nth) {
            return !state.kill();
        }
        true
    }

    pub(crate) fn moments(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.moments, state.last_answering)
    }
}

impl State {
    /// Returns true if there was a process to kill.
    fn kill(&mut self) -> bool {
        let Some(child) = &mut self.child else { return false };
        self.killed = child.try_wait().unwrap().is_none();
        let _ = child.kill();
        child.wait().unwrap();
        self.killed
    }
}

/// The result of a process.
pub(crate) struct Came {
    /// `None` if it was killed.
    pub(crate) code: Option<i32>,
    /// The report, if it was written completely.
    pub(crate) report: Option<serde_json::Value>,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

/// Runs a command until it ends or until `end`.
pub(crate) async fn run(dir: &Path, base: &str, arguments: &[&str], end: End, reaper: &Arc<Reaper>) -> Came {
    let mut command = listferry(dir, base, arguments);
    let errors = dir.join("stderr");
    command.stderr(File::create(&errors).unwrap());
    let out = dir.join("stdout");
    let mut pipe = None;
    match end {
        End::WhileReporting => {
            let (reader, mut writer) = std::io::pipe().unwrap();
            writer.write_all(&vec![b'\n'; PIPE_BYTES]).unwrap();
            command.stdout(writer);
            pipe = Some(reader);
        }
        End::DiskFull => drop(command.stdout(File::options().write(true).open("/dev/full").unwrap())),
        _ => drop(command.stdout(File::create(&out).unwrap())),
    }
    let began = Instant::now();
    {
        // the moments wait for the child to be stored
        let mut state = reaper.state.lock().unwrap();
        let at = if let End::AtMoment(at) = end { Some(at) } else { None };
        *state = State { child: Some(command.spawn().unwrap()), at, ..State::default() };
    }
    drop(command);
    let code = wait(reaper, end, began).await;
    let took = began.elapsed();
    let mut text = String::new();
    match pipe {
        Some(mut reader) => drop(reader.read_to_string(&mut text)),
        None if end != End::DiskFull => text = std::fs::read_to_string(&out).unwrap(),
        None => {}
    }
    let report = text.ends_with('\n').then(|| serde_json::from_str(text.trim()).ok()).flatten();
    if let Some(report) = &report {
        crate::report_schema::validate(report);
    }
    text += &std::fs::read_to_string(&errors).unwrap();
    Came { code, report, text, took }
}

/// Waits until the process has ended; `None` if it was killed.
async fn wait(reaper: &Reaper, end: End, began: Instant) -> Option<i32> {
    // the last request is answered and the process still runs, so it is writing its report
    let mut quiet = (0, Instant::now());
    loop {
        {
            let mut state = reaper.state.lock().unwrap();
            let ended = state.child.as_mut().unwrap().try_wait().unwrap();
            if let Some(status) = ended {
                let killed = state.killed;
                state.child = None;
                return if killed { None } else { status.code() };
            }
            if state.moments != quiet.0 {
                quiet = (state.moments, Instant::now());
            }
            let late = match end {
                End::After(time) => began.elapsed() >= time,
                // a stored report is written without a request
                End::WhileReporting => quiet.1.elapsed() > Duration::from_millis(2500),
                _ => began.elapsed() > Duration::from_secs(60),
            };
            if late {
                state.kill();
                let killed = state.killed;
                assert!(
                    matches!(end, End::After(_) | End::WhileReporting) || !killed,
                    "it neither ended nor was killed"
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
