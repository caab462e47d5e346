//! The destination of a job: a platform of the registry, or one that the program provides.

use super::config::Config;
use super::pass::built;
use crate::body::Measured;
use crate::calls::{BoxFuture, Remote};
use crate::error::{Error, Result};
use crate::mapping::{MapSpec, Shape};
use crate::platform::{Delivery, Effect, Entry, PLATFORMS, Platform, Verdict};
use crate::settings::{Key, Secrets};
use std::sync::Arc;

/// A platform that the program brings.
#[derive(Clone)]
pub(crate) struct Own {
    /// Its name in reports and in the state.
    pub(crate) name: String,
    pub(crate) platform: Arc<dyn Platform>,
    /// False if there is only a shape, so that nothing can be sent.
    pub(crate) can_send: bool,
}

/// The destination of a job.
pub(crate) enum Destination<'c> {
    /// A platform of the registry.
    Known(&'static Entry),
    /// A platform of the program.
    Own(&'c Own),
}

impl Destination<'_> {
    pub(crate) fn name(&self) -> &str {
        match self {
            Destination::Known(entry) => entry.name,
            Destination::Own(own) => &own.name,
        }
    }

    /// Returns its keys in `destination`.
    pub(crate) fn keys(&self) -> &'static [Key] {
        match self {
            Destination::Known(entry) => entry.keys,
            Destination::Own(_) => &[],
        }
    }

    /// Returns the entry of the registry.
    pub(crate) fn entry(&self) -> Option<&'static Entry> {
        match self {
            Destination::Known(entry) => Some(entry),
            Destination::Own(_) => None,
        }
    }
}

impl Config {
    /// Returns the destination, which every command but `export` needs.
    ///
    /// # Errors
    /// `Usage`: `destination.platform` or `map` is missing.
    pub(crate) fn destination(&self) -> Result<Destination<'_>> {
        match &self.own {
            Some(own) => Ok(Destination::Own(own)),
            None => self.platform().map(Destination::Known),
        }
    }

    /// Returns the platform, one of the registry.
    ///
    /// # Errors
    /// `Usage`: `destination.platform` or `map` is missing.
    fn platform(&self) -> Result<&'static Entry> {
        let entry = self.entry.ok_or_else(|| {
            Error::usage("destination.platform is required")
                .with_hint(format!("one of {}", PLATFORMS.iter().map(|e| e.name).collect::<Vec<_>>().join(", ")))
        })?;
        if self.map.0.is_empty() {
            return Err(Error::usage("map is required").with_hint("it defines the platform's fields by columns"));
        }
        Ok(entry)
    }

    /// Returns the platform and the shape of its rows.
    ///
    /// # Errors
    /// As [`built`].
    pub(super) fn platform_and_shape(&self, secrets: &dyn Secrets) -> Result<(Arc<dyn Platform>, Shape)> {
        match self.destination()? {
            Destination::Known(entry) => built(entry, &self.destination, &self.map, secrets, &self.folder),
            Destination::Own(own) => Ok((Arc::clone(&own.platform), own.platform.shape(&self.map)?)),
        }
    }
}

/// A shape without a platform: the list can be converted and measured, and the program sends it.
pub(super) struct ShapeOnly(pub(super) Shape);

/// Returns the error for sending a list whose job has only a shape.
pub(super) fn nowhere() -> Error {
    Error::usage("the job has a shape and no platform, so there is nowhere to send the list")
        .with_hint("use `convert` or `measure`, or give it a destination or `with_platform`")
}

impl Platform for ShapeOnly {
    fn shape(&self, _: &MapSpec) -> Result<Shape> {
        Ok(self.0.clone())
    }

    fn plan(&self, _: &MapSpec) -> Delivery {
        Delivery::new(Effect::new(false, None))
    }

    fn deliver<'a>(
        &'a self,
        _: Option<&'a Measured>,
        _: &'a MapSpec,
        _: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async { Err(nowhere()) })
    }
}
