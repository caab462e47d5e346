//! Literals between values, merged at compile time.
//!
//! The text between two values depends on which units before were left out: whether a comma is needed, and what the
//! last written unit ends with. So after each value the record is in one of a few *states*, each with the text that it
//! still owes. Before each value there is one literal per state: the owed text, the comma, and the text before the
//! value. At run time the state is a small number. Together with whether the value is empty, it selects a step: the
//! literal to write, with the next state as its tag. Nothing is written that has to be removed again, each value costs
//! two copies, and there is no branch, because it cannot be predicted which values are empty.

use crate::buffer::Literals;

/// Instead of a state: an empty value is not allowed here.
pub(super) const REJECT: u32 = u32::MAX;
/// Instead of a state: the record is to be filtered.
pub(super) const FILTER: u32 = u32::MAX - 1;

/// Whether the next unit needs a comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    /// Outside the list.
    Outside,
    /// In the list, before the first unit.
    None,
    Some,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    owed: Vec<u8>,
    listed: Listed,
}

/// Whether a record has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// A value.
    Filled = 0,
    /// No value.
    Empty = 1,
    /// No value, and not even the column.
    Missing = 2,
    /// A list of values.
    List = 3,
}

/// The text around a value.
#[derive(Default)]
pub(super) struct Around<'t> {
    pub(super) before: &'t [u8],
    pub(super) after: &'t [u8],
    /// Before and after a list; `None`: there are no lists.
    pub(super) list: Option<(&'t [u8], &'t [u8])>,
    /// In place of all of it if the value is empty; `None`: it is left out.
    pub(super) instead: Option<&'t [u8]>,
    /// An empty value is left out; false without `instead`: the record is rejected.
    pub(super) can_be_left_out: bool,
    /// A value whose column is missing is left out although an empty one is not.
    pub(super) missing_is_left_out: bool,
}

/// A table of steps, one for each state and [`Presence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepTable {
    first: u32,
    states: u32,
}

impl StepTable {
    /// Returns the step from a state.
    #[inline(always)]
    pub(super) fn step(self, state: u32, presence: Presence) -> usize {
        (self.first + PRESENCES * state + presence as u32) as usize
    }

    /// Whether all its literals are short.
    pub(super) fn is_short(self, steps: &Literals) -> bool {
        (self.first..self.first + PRESENCES * self.states).all(|step| steps.length(step as usize) <= 16)
    }
}

/// Collects literals from front to back while a plan is compiled.
pub(super) struct LiteralStates {
    states: Vec<State>,
    steps: Vec<(Vec<u8>, u32)>,
}

/// Number of variants of [`Presence`].
const PRESENCES: u32 = 4;

/// Maximum number of states; more are merged by an op of their own.
const MAX_STATES: usize = 8;

impl LiteralStates {
    pub(super) fn new() -> LiteralStates {
        LiteralStates { states: vec![State { owed: Vec::new(), listed: Listed::Outside }], steps: Vec::new() }
    }

    /// Adds text that occurs in every state.
    pub(super) fn literal(&mut self, text: &[u8]) {
        self.states.iter_mut().for_each(|state| state.owed.extend_from_slice(text));
    }

    /// From here on units are separated by commas.
    pub(super) fn open_list(&mut self) {
        self.states.iter_mut().for_each(|state| state.listed = Listed::None);
    }

    /// Adds a unit that is always present and always the same.
    pub(super) fn constant(&mut self, text: &[u8]) {
        for state in &mut self.states {
            state.glue();
            state.owed.extend_from_slice(text);
        }
    }

    /// Returns true if the states have to be merged first: see [`LiteralStates::merge`].
    pub(super) fn is_full(&self) -> bool {
        self.states.len() > MAX_STATES
    }

    /// Writes what is owed now in all states after a unit, which become one. States before the first unit stay, so that
    /// such records can be filtered.
    pub(super) fn merge(&mut self) -> StepTable {
        let without = self.states.iter().take_while(|state| state.listed == Listed::None).count();
        let merge = |_, at: usize, state: &State| {
            if at < without { (Vec::new(), at as u32) } else { (state.owed.clone(), without as u32) }
        };
        let table = self.table(merge);
        self.states.truncate(without);
        self.states.push(State { owed: Vec::new(), listed: Listed::Some });
        table
    }

    /// Adds a value with the text around it.
    pub(super) fn value(&mut self, around: &Around<'_>) -> StepTable {
        let Around { before, after, list, instead, can_be_left_out, missing_is_left_out } = *around;
        let states = self.states.clone();
        let listed = if self.states[0].listed == Listed::Outside { Listed::Outside } else { Listed::Some };
        if !can_be_left_out && !missing_is_left_out {
            self.states.clear();
        }
        let own = self.state(State { owed: after.to_vec(), listed });
        let of_list = list.map(|(before, after)| (before, self.state(State { owed: after.to_vec(), listed })));
        let other = instead.map(|_| self.state(State { owed: Vec::new(), listed }));
        let with = |state: &State, text: &[u8]| {
            let mut state = state.clone();
            state.glue();
            state.owed.extend_from_slice(text);
            state.owed
        };
        let after = std::mem::replace(&mut self.states, states);
        let table = self.table(|presence, at, state| match (presence, instead, other) {
            (Presence::Filled, ..) => (with(state, before), own),
            (Presence::List, ..) => match of_list {
                Some((before, of_list)) => (with(state, before), of_list),
                None => (Vec::new(), REJECT),
            },
            (Presence::Missing, ..) if missing_is_left_out => (Vec::new(), at as u32),
            (_, Some(text), Some(other)) => (with(state, text), other),
            _ if can_be_left_out => (Vec::new(), at as u32),
            _ => (Vec::new(), REJECT),
        });
        self.states = after;
        table
    }

    /// Makes an empty value of this table rejected.
    pub(super) fn reject_empty(&mut self, table: StepTable) {
        for state in 0..table.states {
            self.steps[table.step(state, Presence::Empty)].1 = REJECT;
            self.steps[table.step(state, Presence::Missing)].1 = REJECT;
        }
    }

    /// Ends the record; returns its steps and all literals.
    pub(super) fn finish(mut self, close: &[u8], filter_without_units: bool) -> (StepTable, Literals) {
        let end = |_, at: usize, state: &State| {
            let filter = filter_without_units && state.listed == Listed::None;
            ([&state.owed[..], close].concat(), if filter { FILTER } else { at as u32 })
        };
        let end = self.table(end);
        (end, Literals::new(&self.steps))
    }

    /// Returns the number of a state, adding it if it is new.
    fn state(&mut self, state: State) -> u32 {
        let at = self.states.iter().position(|known| *known == state).unwrap_or_else(|| {
            self.states.push(state);
            self.states.len() - 1
        });
        at as u32
    }

    /// Returns the step for each state and presence.
    fn table(&mut self, step: impl Fn(Presence, usize, &State) -> (Vec<u8>, u32)) -> StepTable {
        let table = StepTable { first: self.steps.len() as u32, states: self.states.len() as u32 };
        for (at, state) in self.states.iter().enumerate() {
            for presence in [Presence::Filled, Presence::Empty, Presence::Missing, Presence::List] {
                self.steps.push(step(presence, at, state));
            }
        }
        table
    }
}

impl State {
    fn glue(&mut self) {
        match self.listed {
            Listed::Outside => {}
            Listed::None => self.listed = Listed::Some,
            Listed::Some => self.owed.push(b','),
        }
    }
}
