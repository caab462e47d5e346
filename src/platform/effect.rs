//! The effect of repeating or reordering the imports of a job.

use serde_json::{Value, json};

/// The effect of repeating or reordering the imports of a job at the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effect {
    /// A part that was accepted may be sent again without changing the result.
    pub repeatable: bool,
    /// Imports of two runs give the same result in either order if both have the same text here. `None`: the result
    /// changes if a later import overtakes an earlier one.
    pub commutes: Option<String>,
    /// The platform fetches the file, and may do so until its verdict.
    pub fetched: bool,
    /// The platform can be asked whether a call that got no answer was carried out.
    pub looked_up: bool,
}

impl Effect {
    /// Creates an effect. `repeatable`: imports may be repeated and reordered. `commutes`: imports with the same text
    /// may be reordered.
    #[must_use]
    pub fn new(repeatable: bool, commutes: Option<String>) -> Effect {
        Effect { repeatable, commutes, fetched: false, looked_up: false }
    }

    /// Marks a file that the platform fetches until its verdict.
    #[must_use]
    pub fn fetched(mut self) -> Effect {
        self.fetched = true;
        self
    }

    /// Marks calls whose effect the platform can report if they got no answer.
    #[must_use]
    pub fn looked_up(mut self) -> Effect {
        self.looked_up = true;
        self
    }

    /// Returns whether the result could change if the imports of two runs overtook each other.
    #[must_use]
    pub fn may_overtake(&self, other: &Effect) -> bool {
        self.commutes.is_none() || self.commutes != other.commutes
    }

    /// Returns the form that is stored with a run.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "repeatable": self.repeatable, "commutes": self.commutes, "fetched": self.fetched, "looked_up": self.looked_up })
    }

    /// Reads the result of [`Effect::to_json`]; anything else becomes the strictest effect.
    #[must_use]
    pub fn from_json(value: &Value) -> Effect {
        let flag = |key: &str| value.get(key).and_then(Value::as_bool);
        Effect {
            repeatable: flag("repeatable").unwrap_or(false),
            commutes: value.get("commutes").and_then(Value::as_str).map(str::to_owned),
            fetched: flag("fetched").unwrap_or(false),
            looked_up: flag("looked_up").unwrap_or(false),
        }
    }
}
