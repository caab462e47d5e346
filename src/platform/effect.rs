//! What repeating or reordering the imports of a job would change.

use serde_json::{Value, json};

/// What repeating or reordering the imports of a job would change at the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effect {
    /// A part that was accepted may be sent again without changing the result.
    pub repeatable: bool,
    /// Imports of two runs give the same result in either order if both have the same text here. `None`: a later import
    /// that overtakes an earlier one changes the result.
    pub commutes: Option<String>,
    /// The platform fetches the file, and may do so until its verdict.
    pub fetched: bool,
    /// The platform can be asked whether a call that got no answer was carried out.
    pub looked_up: bool,
}

impl Effect {
    /// Imports that may be repeated and reordered if `repeatable`, and reordered among those with the same text.
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

    /// Marks calls that the platform can be asked about if they got no answer.
    #[must_use]
    pub fn looked_up(mut self) -> Effect {
        self.looked_up = true;
        self
    }

    /// Returns whether the imports of two runs could overtake each other with another result.
    #[must_use]
    pub fn may_overtake(&self, other: &Effect) -> bool {
        self.commutes.is_none() || self.commutes != other.commutes
    }

    /// As it is kept with a run.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "repeatable": self.repeatable, "commutes": self.commutes, "fetched": self.fetched, "looked_up": self.looked_up })
    }

    /// What [`Effect::to_json`] made; of anything else the strictest.
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
