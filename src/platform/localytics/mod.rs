//! localytics

use super::{Entry, Platform, Settings};
use crate::error::Result;

/// The line in the list.
pub const PROFILES: Entry = Entry { name: "localytics-profiles", keys: &[], map_keys: &[], build: build_profiles };

fn build_profiles(_: &Settings<'_>) -> Result<Box<dyn Platform>> {
    todo!()
}

/// The line in the list.
pub const AUDIENCE: Entry = Entry { name: "localytics-audience", keys: &[], map_keys: &[], build: build_audience };

fn build_audience(_: &Settings<'_>) -> Result<Box<dyn Platform>> {
    todo!()
}
