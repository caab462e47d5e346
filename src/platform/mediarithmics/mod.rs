//! mediarithmics

use super::{Entry, Platform, Settings};
use crate::error::Result;

/// The line in the list.
pub const ENTRY: Entry = Entry { name: "mediarithmics", keys: &[], map_keys: &[], build: build_entry };

fn build_entry(_: &Settings<'_>) -> Result<Box<dyn Platform>> {
    todo!()
}
