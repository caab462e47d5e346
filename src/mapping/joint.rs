//! Literals between values, merged at compile time.
//!
//! What stands between two values depends on which units before were left out: whether there has to be a comma, and
//! what the last one that is there ends with. So after each value the record is in one of a few *states*, each with
//! the text it still owes; before each value there is one literal a state: what is owed, the comma, what comes before
//! the value. At run time the state is a small number that indexes these literals; a unit that is left out leaves it as
//! it is. Nothing is written that has to be taken back, and each value costs two copies.

use crate::scan::SLACK;

/// A piece of the arena. [`Joint::FILTER`]: the record is to be filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Joint {
    pub(super) at: u32,
    pub(super) len: u32,
}

impl Joint {
    pub(super) const FILTER: Joint = Joint { at: 0, len: u32::MAX };
}

/// Whether the next unit needs a comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    /// Not within the list.
    Outside,
    /// No unit yet.
    None,
    Some,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    owed: Vec<u8>,
    listed: Listed,
}

/// What a unit leaves behind.
pub(super) struct Joined {
    /// First of its literals, one a state.
    pub(super) joints: u32,
    /// The state after its value.
    pub(super) own: u8,
    /// First of the literals that replace it where its value is empty, and the state after them.
    pub(super) instead: Option<(u32, u8)>,
}

/// Collects literals while a plan is compiled, front to back.
pub(super) struct Joiner {
    states: Vec<State>,
    joints: Vec<Joint>,
    arena: Vec<u8>,
}

/// More states than that are merged by an op of their own.
const MAX_STATES: usize = 8;

impl Joiner {
    pub(super) fn new() -> Joiner {
        Joiner {
            states: vec![State { owed: Vec::new(), listed: Listed::Outside }],
            joints: Vec::new(),
            arena: Vec::new(),
        }
    }

    /// Text that is there in every state.
    pub(super) fn literal(&mut self, text: &[u8]) {
        self.states.iter_mut().for_each(|state| state.owed.extend_from_slice(text));
    }

    /// From here on units are separated by commas.
    pub(super) fn open_list(&mut self) {
        self.states.iter_mut().for_each(|state| state.listed = Listed::None);
    }

    /// A unit that is always there and always the same.
    pub(super) fn constant(&mut self, text: &[u8]) {
        for state in &mut self.states {
            state.glue();
            state.owed.extend_from_slice(text);
        }
    }

    /// True where the states have to be merged first: see [`Joiner::merge`].
    pub(super) fn is_full(&self) -> bool {
        self.states.len() > MAX_STATES
    }

    /// Writes what is owed now in all states that have a unit behind them: returns the literals and the first state
    /// concerned, which all of them become. Those without a unit come first and stay, so that they can be filtered.
    pub(super) fn merge(&mut self) -> Joined {
        let joints = self.table(|state| state.owed.clone());
        let first = self.states.iter().take_while(|state| state.listed == Listed::None).count();
        self.states.truncate(first);
        self.states.push(State { owed: Vec::new(), listed: Listed::Some });
        Joined { joints, own: first as u8, instead: None }
    }

    /// A value with the text before and after; `instead` stands for all of it where the value is empty.
    pub(super) fn value(
        &mut self,
        before: &[u8],
        after: &[u8],
        instead: Option<&[u8]>,
        can_be_left_out: bool,
    ) -> Joined {
        let joints = self.table(|state| {
            let mut state = state.clone();
            state.glue();
            state.owed.extend_from_slice(before);
            state.owed
        });
        let instead = instead.map(|text| {
            self.table(|state| {
                let mut state = state.clone();
                state.glue();
                state.owed.extend_from_slice(text);
                state.owed
            })
        });
        let listed = if self.states[0].listed == Listed::Outside { Listed::Outside } else { Listed::Some };
        if !can_be_left_out {
            self.states.clear();
        }
        let own = self.state(State { owed: after.to_vec(), listed });
        let instead = instead.map(|joints| (joints, self.state(State { owed: Vec::new(), listed })));
        Joined { joints, own, instead }
    }

    /// The end of the record; returns its literals, the arena with slack, and all literals.
    pub(super) fn finish(mut self, close: &[u8], filter_without_units: bool) -> (u32, Vec<u8>, Vec<Joint>) {
        let end = self.table(|state| [&state.owed[..], close].concat());
        if filter_without_units {
            for (i, state) in self.states.iter().enumerate() {
                if state.listed == Listed::None {
                    self.joints[end as usize + i] = Joint::FILTER;
                }
            }
        }
        self.arena.resize(self.arena.len() + SLACK, 0);
        (end, self.arena, self.joints)
    }

    /// The number of a state, made where it is new.
    fn state(&mut self, state: State) -> u8 {
        let at = self.states.iter().position(|known| *known == state).unwrap_or_else(|| {
            self.states.push(state);
            self.states.len() - 1
        });
        at as u8
    }

    fn table(&mut self, text: impl Fn(&State) -> Vec<u8>) -> u32 {
        let first = self.joints.len() as u32;
        for state in &self.states {
            let text = text(state);
            self.joints.push(Joint { at: self.arena.len() as u32, len: text.len() as u32 });
            self.arena.extend_from_slice(&text);
        }
        first
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
