//! The plan of a simulation: the job, the behaviour of the vendor, and the invocations with their faults. Drawn from a
//! seed; made smaller by [`crate::shrink`].

use crate::rng::Rng;

/// The destination and its setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    CleverTap { replace: bool, number: bool },
    Increment,
    Assign,
    AudienceNamed { if_exists: &'static str, own_name: bool },
    AudienceById,
    Segments { create: bool, mixed: bool },
    YesmailPut,
}

impl Kind {
    /// Returns true if an accepted part may be sent again without changing the result.
    pub(crate) fn repeatable(self) -> bool {
        match self {
            Kind::CleverTap { replace, .. } => replace,
            Kind::Assign | Kind::AudienceById | Kind::Segments { .. } => true,
            Kind::AudienceNamed { if_exists, .. } => if_exists == "replace",
            Kind::Increment | Kind::YesmailPut => false,
        }
    }

    /// Returns true if the platform has a verdict that the client can poll.
    pub(crate) fn has_verdict(self) -> bool {
        !matches!(self, Kind::CleverTap { .. })
    }

    /// Returns true if several parts can be sent.
    fn has_parts(self) -> bool {
        matches!(self, Kind::CleverTap { number: true, .. } | Kind::Increment | Kind::Assign | Kind::Segments { .. })
    }

    /// Returns true if a part must have its verdict before the next one is sent.
    fn in_turn(self) -> bool {
        matches!(self, Kind::Assign | Kind::Increment | Kind::Segments { mixed: true, .. })
    }
}

/// A fault of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is refused.
    Refused,
    /// The connection is never accepted.
    Hangs,
    /// The connection is reset after this many thousandths of the request; the request has no effect.
    CutRequest(u16),
    /// The request arrives but has no effect, and the connection closes.
    Undone,
    /// The request has its effect, and the connection closes without an answer.
    Lost,
    /// The request has its effect, and the answer is cut off after this many thousandths.
    CutAnswer(u16),
    /// The request has its effect, and the answer is a page of a proxy.
    Garbage,
    /// The request has its effect, and the answer comes after this many seconds.
    Slow(u64),
    /// The request has no effect; the answer has this status.
    Status(u16),
    /// The request has no effect; the answer is 429 with this many seconds of Retry-After.
    Later(u64),
    /// The request has its effect, but the answer has this status.
    DoneStatus(u16),
}

/// A way to stop an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The process is killed at the nth await.
    AtPoll(u32),
    /// The process is killed before the nth write of the state.
    BeforeWrite(u32),
    /// The process is killed after the nth write of the state.
    AfterWrite(u32),
    /// The user cancels it at the nth await, so it ends by itself.
    Cancel(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// `run`.
    Run,
    /// `run --once KEY`.
    Once(u8),
    /// `run --new RUN` if a run is open, else `run`.
    New,
    /// `resume RUN` of the last run.
    Resume,
    /// `resume RUN` of a run before the last one, counted back from it.
    Older(u8),
    /// `resume RUN --assume …` with the truth if the last run is in doubt, else `resume RUN`.
    Assume,
    /// `runs close RUN` of the open run.
    Close,
}

/// One invocation and the events before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Seconds of simulated time before the invocation.
    pub(crate) after: u64,
    /// New content of the source.
    pub(crate) source: Option<Content>,
    pub(crate) act: Act,
    /// Faults by number of the exchange within the invocation.
    pub(crate) faults: Vec<(u32, Fault)>,
    pub(crate) stop: Option<Stop>,
    /// True if the caller stores the report.
    pub(crate) writes_report: bool,
}

/// Which rows the source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) version: u32,
    pub(crate) rows: u32,
    /// One row cannot be read, so that nothing may be sent.
    pub(crate) bad: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) rows: u32,
    /// Rows in a part.
    pub(crate) part_rows: u32,
    pub(crate) attempts: u32,
    pub(crate) wait: u64,
    pub(crate) part_wait: u64,
    /// The vendor's verdicts take time and are not always good.
    pub(crate) moody: bool,
    /// Streams transfer a few bytes at a time.
    pub(crate) choppy: bool,
    pub(crate) steps: Vec<Step>,
}

const KINDS: &[Kind] = &[
    Kind::CleverTap { replace: false, number: false },
    Kind::CleverTap { replace: true, number: false },
    Kind::CleverTap { replace: false, number: true },
    Kind::Increment,
    Kind::Increment,
    Kind::Assign,
    Kind::AudienceNamed { if_exists: "refuse", own_name: true },
    Kind::AudienceNamed { if_exists: "create", own_name: false },
    Kind::AudienceNamed { if_exists: "replace", own_name: false },
    Kind::AudienceById,
    Kind::Segments { create: true, mixed: false },
    Kind::Segments { create: true, mixed: true },
    Kind::Segments { create: false, mixed: false },
    Kind::YesmailPut,
    Kind::YesmailPut,
];

impl Plan {
    pub(crate) fn draw(seed: u64) -> Plan {
        let rng = &mut Rng::new(seed, 1);
        let kind = rng.pick(KINDS);
        // a quota of ten per hour is used up
        let hasty = rng.chance(12);
        let rows = if hasty { 9 } else { 1 + rng.below(9) as u32 };
        let parts = if hasty { 9 } else { 1 + rng.below(4) as u32 };
        let part_rows = if kind.has_parts() { rows.div_ceil(parts) } else { rows };
        let wait = rng.pick(&[0, 2, 30, 30, 200]);
        let wait = if wait == 0 && kind.in_turn() { 30 } else { wait };
        let mut plan = Plan {
            seed,
            kind,
            rows,
            part_rows,
            attempts: rng.pick(&[1, 2, 3, 5]),
            wait,
            part_wait: rng.pick(&[5, 600, 7200]),
            moody: rng.chance(60),
            choppy: rng.chance(30),
            steps: Vec::new(),
        };
        let faulty = rng.pick(&[10, 40, 80]);
        for _ in 0..1 + rng.below(6) {
            let mut step = plan.draw_step(rng, faulty);
            step.after = if hasty { step.after % 61 } else { step.after };
            plan.steps.push(step);
        }
        plan
    }

    fn draw_step(&self, rng: &mut Rng, faulty: u64) -> Step {
        let first = self.steps.is_empty();
        let source = (!first && rng.chance(25)).then(|| {
            let version = rng.below(3) as u32;
            // the same version always has the same rows
            let rows = if version == 0 { self.rows } else { 1 + (self.rows + version * 4) % 9 };
            Content { version, rows, bad: version > 0 && rng.chance(20) }
        });
        let act = match rng.below(100) {
            _ if first => Act::Run,
            0..60 => Act::Run,
            60..66 => Act::Once(rng.below(2) as u8),
            66..71 => Act::New,
            71..81 => Act::Resume,
            81..87 => Act::Older(1 + rng.below(2) as u8),
            87..97 => Act::Assume,
            _ => Act::Close,
        };
        let mut faults = Vec::new();
        while rng.chance(faulty) && faults.len() < 6 {
            let burst = rng.pick(&[1, 1, 1, 2, 6]);
            let (at, fault) = (rng.below(9) as u32, draw_fault(rng));
            for number in at..at + burst {
                if !faults.iter().any(|(known, _)| *known == number) {
                    faults.push((number, fault));
                }
            }
        }
        faults.sort_by_key(|(number, _)| *number);
        let stop = rng.chance(faulty / 2).then(|| match rng.below(10) {
            0..4 => Stop::AtPoll(1 + rng.below(60) as u32),
            4..6 => Stop::BeforeWrite(1 + rng.below(25) as u32),
            6..8 => Stop::AfterWrite(1 + rng.below(25) as u32),
            _ => Stop::Cancel(1 + rng.below(60) as u32),
        });
        let after = rng.pick(&[0, 1, 60, 3_000, 4_000, 30_000, 90_000]);
        Step { after, source, act, faults, stop, writes_report: rng.chance(85) }
    }
}

fn draw_fault(rng: &mut Rng) -> Fault {
    match rng.below(16) {
        0 => Fault::Refused,
        1 => Fault::Hangs,
        2 | 3 => Fault::CutRequest(rng.below(1000) as u16),
        4 => Fault::Undone,
        5..8 => Fault::Lost,
        8 => Fault::CutAnswer(rng.below(1000) as u16),
        9 => Fault::Garbage,
        10 => Fault::Slow(rng.pick(&[1, 20, 45, 400])),
        11..14 => Fault::Status(rng.pick(&[400, 401, 403, 404, 410, 413, 302, 500, 501, 502, 503, 504])),
        14 => Fault::Later(rng.pick(&[1, 30, 4000])),
        _ => Fault::DoneStatus(rng.pick(&[500, 502, 504])),
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "  seed {}: {:?}, {} rows in parts of {}, attempts {}, wait {} s, part_wait {} s{}{}",
            self.seed,
            self.kind,
            self.rows,
            self.part_rows,
            self.attempts,
            self.wait,
            self.part_wait,
            if self.moody { ", moody vendor" } else { "" },
            if self.choppy { ", choppy streams" } else { "" },
        )?;
        for (number, step) in self.steps.iter().enumerate() {
            write!(f, "  {}. after {} s", number + 1, step.after)?;
            if let Some(source) = step.source {
                write!(
                    f,
                    ", source v{} ({} rows{})",
                    source.version,
                    source.rows,
                    if source.bad { ", bad" } else { "" }
                )?;
            }
            write!(f, ": {:?}", step.act)?;
            for (at, fault) in &step.faults {
                write!(f, "; call {at}: {fault:?}")?;
            }
            if let Some(stop) = step.stop {
                write!(f, "; {stop:?}")?;
            }
            writeln!(f, "{}", if step.writes_report { "" } else { "; report not written" })?;
        }
        Ok(())
    }
}
