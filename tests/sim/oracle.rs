//! The rules that hold after each invocation, whatever faults occurred; checked against the effects at the vendor.

use crate::bed::Bed;
use crate::plan::{Act, Content, Kind, Plan};
use crate::vendor::{Slice, Verdict};
use listferry::calls::Assume;
use listferry::job::journal::RunRecord;
use std::collections::{BTreeMap, BTreeSet};

/// The end of an invocation.
#[derive(Default)]
pub(crate) struct Happened {
    /// Exit code; `None` if it was killed.
    pub(crate) code: Option<u8>,
    pub(crate) run: Option<String>,
    pub(crate) continued: bool,
    /// The report.
    pub(crate) text: String,
    /// True if the report was stored.
    pub(crate) written: bool,
    /// Number of parts accepted according to the state.
    pub(crate) accepted: usize,
    pub(crate) closed: bool,
    /// Accepted parts of other runs, if this run is new: it may have learned the result of their calls.
    pub(crate) others: Vec<(String, usize)>,
}

/// A run as seen by the vendor.
#[derive(Default)]
struct Track {
    effects: Vec<usize>,
    accepted: usize,
    abandoned: bool,
    /// True if the user said that a call in doubt was done.
    assumed: bool,
    content: Option<Content>,
}

pub(crate) struct Oracle {
    kind: Kind,
    wait: u64,
    runs: BTreeMap<String, Track>,
    /// The runs that have sent something, in the order in which they began to.
    order: Vec<String>,
    /// Effects whose answer did not reach the client, as far as is known.
    unanswered: BTreeSet<usize>,
    last: Option<String>,
    /// Runs whose last report was stored.
    reported: BTreeSet<String>,
    /// A run that ended without storing its report, and its end.
    unreported: Option<(String, u8, Content)>,
    act: Act,
    pub(crate) resumes: bool,
    effects_before: usize,
    /// True if something went wrong before.
    troubled: bool,
    /// True if the vendor is slow.
    moody: bool,
    /// Every content that the source has had.
    contents: BTreeMap<u32, Content>,
    began: u64,
}

/// Time for which a verdict is polled.
const LIFE: u64 = 24 * 3600 * 1000;

impl Oracle {
    pub(crate) fn new(plan: &Plan) -> Oracle {
        Oracle {
            kind: plan.kind,
            wait: plan.wait,
            runs: BTreeMap::new(),
            order: Vec::new(),
            unanswered: BTreeSet::new(),
            last: None,
            reported: BTreeSet::new(),
            unreported: None,
            act: Act::Run,
            resumes: false,
            effects_before: 0,
            troubled: false,
            moody: plan.moody,
            contents: BTreeMap::new(),
            began: 0,
        }
    }

    pub(crate) fn begins(&mut self, bed: &Bed, act: Act) {
        self.contents.insert(bed.content.version, Content { bad: false, ..bed.content });
        let net = bed.connector.net();
        self.effects_before = net.vendor.book.effects.len();
        self.began = net.now();
        self.act = act;
        self.resumes = false;
    }

    /// The user abandons a run and is responsible for anything it left.
    pub(crate) fn abandoned(&mut self, id: &str, bed: &Bed) {
        let track = self.runs.entry(id.to_owned()).or_default();
        track.abandoned = true;
        let effects = track.effects.clone();
        bed.connector.net().vendor.book.excused.extend(effects);
        self.unreported = None;
        self.troubled = true;
    }

    pub(crate) fn assumed(&mut self, id: &str, bed: &Bed) {
        let track = self.runs.entry(id.to_owned()).or_default();
        track.assumed = true;
        bed.connector.net().vendor.book.excused.extend(track.effects.iter().copied());
    }

    /// Returns the answer of a user who checks a call in doubt at the vendor.
    pub(crate) fn truth(&self, record: &RunRecord, bed: &Bed) -> Option<Assume> {
        let track = self.runs.get(&record.id)?;
        Some(match self.slices(track, bed).len() > track.accepted {
            true => Assume::Done,
            false => Assume::Repeat,
        })
    }

    /// Returns the runs so far, unless `id` is one of them.
    pub(crate) fn others(&self, id: &str) -> Vec<String> {
        let known = self.runs.get(id).is_some_and(|track| !track.effects.is_empty());
        if known { Vec::new() } else { self.runs.keys().filter(|other| *other != id).cloned().collect() }
    }

    /// Returns the content of the source in the last run.
    pub(crate) fn content_of_last(&self) -> Option<Content> {
        self.runs.get(self.last.as_ref()?)?.content
    }

    fn slices(&self, track: &Track, bed: &Bed) -> BTreeSet<(u32, u32, u32)> {
        let net = bed.connector.net();
        let key = |slice: Slice| (slice.version, slice.from, slice.to);
        track.effects.iter().map(|number| key(net.vendor.book.effects[*number].slice)).collect()
    }

    /// Checks the end of an invocation.
    pub(crate) fn ended(&mut self, bed: &Bed, happened: Happened) -> Result<(), String> {
        self.no_violations(bed)?;
        self.no_secrets(bed, &happened)?;
        self.attribute(bed, &happened)?;
        if let Some(code) = happened.code {
            self.stored_report(bed, &happened, code)?;
            self.code(bed, &happened, code)?;
        } else if let Some((id, ..)) = &self.unreported
            && bed.announced.lock().expect("a list").iter().any(|line| {
                line.contains(&format!("run {id} ended with")) && line.contains("but its report could not be written")
            })
        {
            // a process that was killed has said how that run ended, which is enough if the source has changed
            self.unreported = None;
        }
        let faulty = bed.connector.net().said.iter().any(|said| said.by_fault);
        self.troubled |= faulty || happened.code.is_none_or(|code| code != 0) || !happened.written;
        Ok(())
    }

    fn no_violations(&self, bed: &Bed) -> Result<(), String> {
        match bed.connector.net().vendor.book.violations.first() {
            Some(text) => Err(format!("{text}: seen by the vendor")),
            None => Ok(()),
        }
    }

    fn no_secrets(&self, bed: &Bed, happened: &Happened) -> Result<(), String> {
        let announced = bed.announced.lock().expect("a list").join("\n");
        match happened.text.contains("canary-") || announced.contains("canary-") {
            true => Err("a secret is shown: in the report or a line on stderr".to_owned()),
            false => Ok(()),
        }
    }

    /// Adds the new effects to their run, and checks whether that run may have them.
    fn attribute(&mut self, bed: &Bed, happened: &Happened) -> Result<(), String> {
        let (new, overtaken): (Vec<usize>, _) = {
            let net = bed.connector.net();
            let new: Vec<usize> = (self.effects_before..net.vendor.book.effects.len()).collect();
            let book = &net.vendor.book;
            // content that the vendor had before may be imported now
            let lay_there = happened.continued && matches!(self.kind, Kind::CleverTap { .. } | Kind::YesmailPut);
            let stale = new.iter().filter(|_| !lay_there).find(|number| {
                let slice = book.effects[**number].slice;
                slice.version != bed.content.version || bed.content.bad || slice.to > bed.content.rows
            });
            if let Some(number) = stale {
                return Err(format!("sent what the source has not: {:?}", book.effects[*number].slice));
            }
            let first = new.first().map(|_| self.began);
            (new, first)
        };
        let faulty = bed.connector.net().said.iter().any(|said| said.by_fault);
        if faulty || matches!(happened.code, None | Some(130)) {
            self.unanswered.extend(new.iter().copied());
        }
        let Some(id) = happened.run.clone() else {
            return if new.is_empty() { Ok(()) } else { Err("effects of no run: the report names none".to_owned()) };
        };
        for (other, accepted) in &happened.others {
            if let Some(track) = self.runs.get_mut(other) {
                track.accepted = track.accepted.max(*accepted);
            }
        }
        let is_new = self.runs.get(&id).is_none_or(|track| track.effects.is_empty());
        if is_new && !new.is_empty() {
            self.order.push(id.clone());
            self.may_start(bed, &id, overtaken.unwrap_or(0))?;
        }
        let sent = new.first().map(|number| bed.connector.net().vendor.book.effects[*number].slice.version);
        let content = sent.and_then(|version| self.contents.get(&version).copied());
        let track = self.runs.entry(id.clone()).or_default();
        track.content = content.or(track.content).or(Some(bed.content));
        track.effects.extend(new);
        track.accepted = track.accepted.max(happened.accepted);
        let (accepted, assumed) = (track.accepted, track.assumed);
        self.last = Some(id.clone());
        let track = &self.runs[&id];
        let slices = self.slices(track, bed);
        if accepted > slices.len() + usize::from(assumed) {
            return Err(format!("lost: the state has {accepted} parts as accepted, the vendor has {}", slices.len()));
        }
        if !self.repeats_freely() {
            let mut rows = BTreeSet::new();
            let replaces = matches!(self.kind, Kind::AudienceNamed { if_exists: "replace", .. });
            for number in &track.effects {
                let effect = bed.connector.net().vendor.book.effects[*number].clone();
                let slice = effect.slice;
                if replaces && !effect.creates {
                    continue;
                }
                if !(slice.from..slice.to).all(|row| rows.insert((slice.version, row))) {
                    return Err(format!("applied twice: rows {} to {} of run {id}", slice.from, slice.to));
                }
            }
        }
        Ok(())
    }

    /// Returns true if a part may be sent twice within a run.
    fn repeats_freely(&self) -> bool {
        match self.kind {
            Kind::AudienceNamed { .. } | Kind::CleverTap { .. } => false,
            kind => kind.repeatable(),
        }
    }

    /// Checks that a new run may have effects: no other run may be partly done, or be overtaken.
    fn may_start(&self, bed: &Bed, id: &str, at: u64) -> Result<(), String> {
        for (other, track) in self.runs.iter().filter(|(other, track)| *other != id && !track.abandoned) {
            let slices = self.slices(track, bed);
            if slices.is_empty() {
                continue;
            }
            let complete = self.is_complete(track, bed);
            let known = track.accepted >= slices.len();
            if !(self.kind.repeatable() || complete && known) {
                return Err(format!("second start: run {id} sends although run {other} is half done or in doubt"));
            }
            let net = bed.connector.net();
            let running = track.effects.iter().find(|number| {
                let effect = &net.vendor.book.effects[**number];
                effect.ends_at > at.max(effect.taken_at) + self.wait * 1000
                    && effect.taken_at + LIFE > at + self.wait * 1000
                    && !self.unanswered.contains(number)
            });
            let ordered = matches!(self.kind, Kind::Assign | Kind::AudienceById | Kind::Segments { mixed: true, .. });
            if let Some(number) = running
                && ordered
                && self.wait > 0
                && !track.assumed
            {
                return Err(format!("overtaken: run {id} sends while import {number} of run {other} is running"));
            }
        }
        Ok(())
    }

    fn is_complete(&self, track: &Track, bed: &Bed) -> bool {
        let Some(content) = track.content else { return false };
        let net = bed.connector.net();
        let mut rows = BTreeSet::new();
        for number in &track.effects {
            let slice = net.vendor.book.effects[*number].slice;
            if slice.version == content.version {
                rows.extend(slice.from..slice.to);
            }
        }
        rows.len() == content.rows as usize
    }

    /// Checks that a run whose report was not stored returns it once more.
    fn stored_report(&mut self, bed: &Bed, happened: &Happened, code: u8) -> Result<(), String> {
        let exchanges = bed.connector.net().said.len();
        let unreported = self.unreported.take();
        if let Some((id, before, content)) = &unreported
            && content == &bed.content
            && self.act == Act::Run
            && (happened.run.as_ref() != Some(id) || code != *before || exchanges > 0 || !happened.continued)
        {
            return Err(format!("report lost: run {id} ended with {before} unseen, and `run` gave {code}"));
        }
        let Some(id) = &happened.run else { return Ok(()) };
        let ended = happened.closed && self.order.last() == Some(id) && matches!(code, 0 | 11);
        if ended && !happened.written && !self.reported.contains(id) {
            // only a verdict on that content can still be polled
            let content = self.runs.get(id).and_then(|track| track.content).unwrap_or(bed.content);
            self.unreported = Some((id.clone(), code, content));
        } else if happened.written && happened.closed {
            self.reported.insert(id.clone());
        }
        Ok(())
    }

    /// Checks that the exit code describes the result.
    fn code(&self, bed: &Bed, happened: &Happened, code: u8) -> Result<(), String> {
        let id = happened.run.clone().unwrap_or_default();
        let default = Track::default();
        let track = self.runs.get(&id).unwrap_or(&default);
        let (statuses, faulty, refused) = {
            let net = bed.connector.net();
            let statuses: Vec<u16> = net.said.iter().map(|said| said.status).collect();
            (statuses, net.said.iter().any(|said| said.by_fault), net.vendor.book.refusals > 0)
        };
        let wrong = |why: &str| Err(format!("exit {code}, {why}: run {id}"));
        let silent = statuses.is_empty() && !faulty;
        let answered = |wanted: &dyn Fn(u16) -> bool| statuses.iter().any(|status| wanted(*status));
        let changed = track.content.is_some_and(|content| content != bed.content);
        let verdicts = self.verdicts(track, bed);
        match code {
            1 | 3 => wrong("which nothing here can cause"),
            2 if !matches!(self.act, Act::New) && !self.resumes => wrong("which nothing here can cause"),
            0 if !self.is_complete(track, bed) => wrong("but the vendor has not all rows"),
            0 if verdicts == Verdicts::Bad || verdicts == Verdicts::Open => {
                wrong("but the vendor's verdict is not good")
            }
            11 if verdicts == Verdicts::Good => wrong("but the vendor's verdict is good"),
            11 if !self.is_complete(track, bed) => wrong("but the vendor has not all rows"),
            22 if verdicts == Verdicts::Good && !faulty && self.over_before(track, bed) => {
                wrong("but the verdict is there")
            }
            21 if !matches!(self.kind, Kind::CleverTap { .. } | Kind::AudienceNamed { .. })
                && self.kind.repeatable() =>
            {
                wrong("but it may be repeated")
            }
            21 if !self.troubled && !faulty => wrong("but nothing went wrong"),
            23 if self.kind.repeatable() => wrong("but it may be repeated"),
            23 if !(changed || self.kind == Kind::YesmailPut && self.wait == 0) => wrong("but nothing has changed"),
            10 if !(bed.content.bad || silent || self.resumes && changed) => wrong("but the source is sound"),
            12 if !refused && self.only_reads_are_refused(track, bed) => {
                wrong("but the vendor had accepted the import, and only a call that asks for its state was refused")
            }
            12 if !silent && !refused && !answered(&is_refusal) => wrong("but nothing was refused"),
            30 if !silent && !answered(&|status| matches!(status, 401 | 403)) => wrong("but nothing was refused"),
            20 if !(faulty || self.troubled || self.moody || self.uses_up_a_quota()) => wrong("but nothing went wrong"),
            0 | 2 | 10..=12 | 20..=23 | 30 | 130 => Ok(()),
            _ => wrong("which the contract does not have"),
        }
    }

    /// Returns true if the run has something accepted, all of it with an answer, and every refusal was that of a call that only
    /// asks.
    fn only_reads_are_refused(&self, track: &Track, bed: &Bed) -> bool {
        let is_certain = !track.effects.is_empty() && !track.assumed;
        let net = bed.connector.net();
        let mut refused = net.said.iter().filter(|said| is_refusal(said.status)).peekable();
        is_certain
            && !track.effects.iter().any(|number| self.unanswered.contains(number))
            && refused.peek().is_some()
            && refused.all(|said| said.is_read)
    }

    fn verdicts(&self, track: &Track, bed: &Bed) -> Verdicts {
        if !self.kind.has_verdict() || self.wait == 0 {
            return Verdicts::Unknown;
        }
        if track.assumed || track.effects.iter().any(|number| self.unanswered.contains(number)) {
            return Verdicts::Unknown;
        }
        let net = bed.connector.net();
        let effects = track.effects.iter().map(|number| &net.vendor.book.effects[*number]);
        let mut all = Verdicts::Good;
        for effect in effects {
            // polling ends after a time; close to it both results are possible
            let late = effect.ends_at.max(net.now()) + self.wait * 1000 > effect.taken_at + LIFE - 60_000;
            if late {
                return Verdicts::Unknown;
            }
            if effect.ends_at > net.now() {
                all = Verdicts::Open;
            } else if effect.verdict != Verdict::Good && all == Verdicts::Good {
                all = Verdicts::Bad;
            }
        }
        all
    }

    fn uses_up_a_quota(&self) -> bool {
        matches!(self.kind, Kind::Increment | Kind::Assign) && self.effects_before > 0
    }

    fn over_before(&self, track: &Track, bed: &Bed) -> bool {
        let net = bed.connector.net();
        track.effects.iter().all(|number| net.vendor.book.effects[*number].ends_at < self.began)
    }

    /// Checks the rules that hold when everything has settled.
    pub(crate) fn at_the_end(&self, bed: &Bed) -> Result<(), String> {
        self.no_violations(bed)?;
        let state = std::fs::read(bed.state_dir().join("state.db")).unwrap_or_default();
        let holds = |needle: &str| state.windows(needle.len()).any(|window| window == needle.as_bytes());
        if holds("canary-key") || holds("canary-secret") {
            return Err("a secret is kept: in the state".to_owned());
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdicts {
    Good,
    /// Rows or whole imports failed.
    Bad,
    /// Some verdicts are missing.
    Open,
    /// Not polled, or polling is impossible.
    Unknown,
}

/// Returns true for a status that no repetition changes.
fn is_refusal(status: u16) -> bool {
    matches!(status, 300..=407 | 409..=428 | 430..=499 | 501)
}
