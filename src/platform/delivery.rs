//! Facts about a delivery that the job needs before it begins.

use super::{Effect, Limits};
use crate::calls::Call;
use std::sync::Arc;

/// Facts about the delivery of a job that are known from its map and destination alone.
#[derive(Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The change that repeating or reordering the imports of this job would make.
    pub effect: Effect,
    /// Sizes that the platform can take. Default: any.
    pub limits: Limits,
    /// False if the platform has the file already (Yesmail `host.uri`): there is no source and no first pass. Default true.
    pub needs_source: bool,
    /// The setting that is invalid with `wait: 0` (Yesmail `destination.host.serve`); the job refuses the pair with
    /// `Usage` before the first pass. Default none.
    pub needs_wait: Option<&'static str>,
    /// Maximum number of sent rows in none of the platform's counters, unless the job file says otherwise
    /// (`rejects.max_unaccounted`); `None`: any number. Default 0.
    pub max_unaccounted: Option<u64>,
    /// A decision about something that the job file leaves open, if it may surprise: a warning of `check` and `run`.
    /// Default none.
    pub remark: Option<String>,
    body_call: Option<Arc<dyn Fn(usize) -> Call + Send + Sync>>,
}

impl Delivery {
    /// Returns a delivery of a source without limits.
    #[must_use]
    pub fn new(effect: Effect) -> Delivery {
        Delivery {
            effect,
            limits: Limits::default(),
            needs_source: true,
            needs_wait: None,
            max_unaccounted: Some(0),
            remark: None,
            body_call: None,
        }
    }

    /// Sets the call that sends the body of a part, by the part's index: once each of these calls is done, a run needs its
    /// source no more. Without it the source is needed until the part was accepted.
    #[must_use]
    pub fn with_body_call(mut self, call: impl Fn(usize) -> Call + Send + Sync + 'static) -> Delivery {
        self.body_call = Some(Arc::new(call));
        self
    }

    /// Sets the sizes that the platform can take.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Delivery {
        self.limits = limits;
        self
    }

    /// Returns the call that sends the body of a part, if there is one.
    #[must_use]
    pub fn body_call(&self, part: usize) -> Option<Call> {
        self.body_call.as_ref().map(|call| call(part))
    }
}
