//! Models of the vendors, written from their documentation: their answers and their actual effects. Shares no code with
//! the client or the sandbox.

mod clevertap;
mod localytics;
mod mediarithmics;
mod yesmail;

use crate::plan::{Kind, Plan};
use crate::rng::Rng;
use std::collections::BTreeSet;

pub(crate) const KEY: &str = "canary-key-5f1c77e2";
pub(crate) const SECRET: &str = "canary-secret-9a0be4d1";
/// The address of all vendors.
pub(crate) const BASE: &str = "http://127.0.0.1:8080";

/// A complete request.
pub(crate) struct Req {
    pub(crate) method: String,
    /// Path with query.
    pub(crate) path: String,
    /// Headers; names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Req {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An answer.
pub(crate) struct Ans {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Ans {
    fn new(status: u16, body: impl Into<String>) -> Ans {
        Ans { status, headers: Vec::new(), body: body.into() }
    }
}

/// The rows of one version of the source, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) version: u32,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// This number of rows fails.
    Rows(u32),
    Failed,
}

/// An irrevocable effect: a list created or replaced, a part applied, an import started.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    /// Name or id of the list or import.
    pub(crate) target: String,
    pub(crate) slice: Slice,
    pub(crate) verdict: Verdict,
    /// Time of acceptance in simulated milliseconds.
    pub(crate) taken_at: u64,
    /// Time of the verdict in simulated milliseconds.
    pub(crate) ends_at: u64,
    /// True if it created a list or import.
    pub(crate) creates: bool,
}

/// The state that all vendors have.
pub(crate) struct Book {
    pub(crate) effects: Vec<Effect>,
    /// Forbidden actions of the client.
    pub(crate) violations: Vec<String>,
    /// Refusals by the vendor itself, not by a fault of the plan.
    pub(crate) refusals: u32,
    /// Effects of runs that the user has abandoned, or assumed to be done without knowing.
    pub(crate) excused: BTreeSet<usize>,
    /// True if the client waits for verdicts.
    waited_for: bool,
    seed: u64,
    /// True if verdicts take time and are not always good.
    pub(crate) moody: bool,
    now: u64,
}

impl Book {
    /// Records an irrevocable effect.
    fn take(&mut self, target: String, slice: Slice, creates: bool) -> usize {
        let number = self.effects.len();
        let rng = &mut Rng::new(self.seed, 1000 + number as u64);
        let (mut verdict, mut after) = (Verdict::Good, 0);
        if self.moody {
            after = rng.pick(&[0, 0, 3, 20, 100, 400, 4000, 100_000]);
            verdict = match rng.below(20) {
                0 => Verdict::Failed,
                1 | 2 => Verdict::Rows(1 + rng.below(2) as u32),
                _ => Verdict::Good,
            };
        }
        let ends_at = self.now + after * 1000;
        self.effects.push(Effect { target, slice, verdict, taken_at: self.now, ends_at, creates });
        number
    }

    fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }

    /// Returns the rows of a body; ids are `u<version>-<number>`.
    fn slice(&mut self, ids: impl Iterator<Item = Option<String>>) -> Option<Slice> {
        let mut slice: Option<Slice> = None;
        for id in ids {
            let parsed = id.as_deref().and_then(|id| id.strip_prefix('u')?.split_once('-'));
            let parsed = parsed.and_then(|(version, row)| Some((version.parse().ok()?, row.parse::<u32>().ok()?)));
            let Some((version, row)) = parsed else {
                self.violation("a body has a line that is not a row of the source");
                return None;
            };
            match &mut slice {
                None => slice = Some(Slice { version, from: row, to: row + 1 }),
                Some(slice) if slice.version == version && slice.to == row => slice.to += 1,
                Some(_) => {
                    self.violation("a body is not a piece of one source");
                    return None;
                }
            }
        }
        if slice.is_none() {
            self.violation("an empty body");
        }
        slice
    }

    /// Returns how many rows of an effect the vendor imported and refused.
    fn counts(&self, number: usize) -> (u32, u32) {
        let Effect { slice, verdict, .. } = &self.effects[number];
        let rows = slice.to - slice.from;
        match verdict {
            Verdict::Good => (rows, 0),
            Verdict::Rows(failed) => (rows - rows.min(*failed), rows.min(*failed)),
            Verdict::Failed => (0, rows),
        }
    }

    fn is_over(&self, number: usize) -> bool {
        self.effects[number].ends_at <= self.now
    }
}

trait Model: Send {
    fn answer(&mut self, book: &mut Book, req: &Req) -> Ans;

    /// Applies everything that is due by now.
    fn pass(&mut self, _book: &mut Book) {}
}

/// Returns the vendor of a plan.
pub(crate) struct Vendor {
    pub(crate) book: Book,
    model: Box<dyn Model>,
}

impl Vendor {
    pub(crate) fn of(plan: &Plan) -> Vendor {
        let model: Box<dyn Model> = match plan.kind {
            Kind::CleverTap { .. } => Box::<clevertap::CleverTap>::default(),
            Kind::Increment | Kind::Assign | Kind::AudienceNamed { .. } | Kind::AudienceById => {
                Box::new(localytics::Localytics::new())
            }
            Kind::Segments { .. } => Box::new(mediarithmics::Mediarithmics::new()),
            Kind::YesmailPut => Box::<yesmail::Yesmail>::default(),
        };
        let book = Book {
            effects: Vec::new(),
            violations: Vec::new(),
            refusals: 0,
            excused: BTreeSet::new(),
            waited_for: plan.wait > 0,
            seed: plan.seed,
            moody: plan.moody,
            now: 0,
        };
        Vendor { book, model }
    }

    /// `now` is in simulated milliseconds.
    pub(crate) fn answer(&mut self, req: &Req, now: u64) -> Ans {
        self.pass(now);
        self.model.answer(&mut self.book, req)
    }

    pub(crate) fn pass(&mut self, now: u64) {
        self.book.now = self.book.now.max(now);
        self.model.pass(&mut self.book);
    }
}
