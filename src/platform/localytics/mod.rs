//! Localytics: profile imports (attribute changes) and audience imports (lists of customer ids).
//!
//! Both upload a multipart form of exact length, get an activity id in the answer, and poll its status. The facts and
//! their sources are in `README.md` beside this file.

mod account;
mod audience;
mod changes;
mod deliver;
mod error_log;
mod existing;
mod form;
mod lists;
mod profiles;
mod status;
mod tolerant;

pub use lists::AudienceLists;

use super::Entry;
use crate::error::{Error, Result};
use crate::mapping::{Field, Rules, Unit, ValueSpec};
use crate::settings::{Key, KeyKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde_json::Value;

/// Characters that are not escaped in a part of a path or a query.
const PATH_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Attribute changes.
pub const PROFILES: Entry = Entry {
    name: profiles::NAME,
    title: "Localytics",
    account: &["org_id", "app_id"],
    target: &[],
    identity_0_1: &["org_id", "app_id", "api_key"],
    keys: &[
        key("org_id", KeyKind::Id, false, "The organisation whose profiles are changed; this or app_id."),
        key("app_id", KeyKind::Id, false, "The app whose profiles are changed; this or org_id."),
        API_KEY,
        API_SECRET,
        key("max_part_bytes", KeyKind::Size, false, "Larger output is cut into several uploads of the hourly ten."),
    ],
    map_keys: &[
        CUSTOMER_ID,
        key("changes", KeyKind::Any, true, "List of changes in output order: op, attr, and the value as anywhere."),
    ],
    build: profiles::build,
};

/// Lists of customer ids.
pub const AUDIENCE: Entry = Entry {
    name: audience::NAME,
    title: "Localytics",
    account: &["app_id"],
    target: &["audience_name", "audience_list_id"],
    identity_0_1: &["app_id", "audience_name", "audience_list_id", "api_key"],
    keys: &[
        key("app_id", KeyKind::Id, true, "The app that the audience belongs to."),
        key("audience_name", KeyKind::Name, false, "Creates an audience of that name; this or audience_list_id."),
        Key {
            name: "if_exists",
            kind: KeyKind::OneOf(&["refuse", "replace", "create"]),
            required: false,
            default: Some("refuse"),
            doc: "If the app has a list of that name: send nothing (12), replace its members, or create another one.",
        },
        key("audience_list_id", KeyKind::Id, false, "Replaces the members of that list; this or audience_name."),
        API_KEY,
        API_SECRET,
    ],
    map_keys: &[CUSTOMER_ID],
    build: audience::build,
};

const API_KEY: Key = key("api_key", KeyKind::Secret, true, "The organisation's API key.");
const API_SECRET: Key = key("api_secret", KeyKind::Secret, true, "The organisation's API secret.");
const CUSTOMER_ID: Key = key("customer_id", KeyKind::Value, true, "The customer id, text whatever its type.");

const fn key(name: &'static str, kind: KeyKind, required: bool, doc: &'static str) -> Key {
    Key { name, kind, required, default: None, doc }
}

/// Returns the first key of every line.
fn customer_id(value: &Value) -> Result<Unit> {
    let at = "map.customer_id";
    let value = ValueSpec::parse(value, at, &[])?;
    if value.split.is_some() {
        return Err(Error::usage(format!("{at} is a single text, it cannot be split")).with_hint("leave `split` out"));
    }
    let rules = Rules { as_text: true, identifier: true, ..Rules::default() };
    let field = Field { at: at.to_owned(), name: "customer_id".to_owned(), value, required: true, rules };
    Ok(Unit { before: "{\"customer_id\":".to_owned(), field: Some(field), after: String::new(), when_empty: None })
}
