//! mediarithmics: a document import of user segment commands, one execution per part.
//!
//! The facts and their sources are in `README.md` beside this file.

mod answers;
mod commands;
mod deliver;
mod import;

use super::Entry;
use crate::settings::{Key, KeyKind};

/// The entry in the list of platforms.
pub const ENTRY: Entry = Entry {
    name: import::NAME,
    title: "mediarithmics",
    account: &["datamart_id"],
    target: &["import_name", "document_import_id"],
    identity_0_1: &["datamart_id", "import_name", "document_import_id"],
    keys: &[
        Key::new("datamart_id", KeyKind::Id, true, None, "The datamart."),
        Key::new("token", KeyKind::Secret, true, None, "The API token, sent as it is."),
        Key::new("import_name", KeyKind::Name, false, None, "Creates a document import; this or document_import_id."),
        Key::new("document_import_id", KeyKind::Id, false, None, "Reuses a document import; this or import_name."),
        Key::new("mime_type", KeyKind::OneOf(&["ndjson", "csv"]), false, Some("ndjson"), "The format of the commands."),
        Key::new(
            "max_part_bytes",
            KeyKind::Size,
            false,
            Some("95MB"),
            "Size of a part, including its header line; each part is one execution.",
        ),
    ],
    map_keys: &[
        value("operation", true, "UPDATE adds the user to the segment, DELETE removes."),
        value("compartment_id", false, "The compartment of user_account_id; without it the default one."),
        value("user_account_id", false, "The user; exactly one of the three identifiers per record."),
        value("email_hash", false, "The user by the datamart's hash of the e-mail address."),
        value("user_agent_id", false, "The user by agent: vec:123, udp:123."),
        value("segment_id", false, "The segment; this or segment_technical_name per record."),
        value("segment_technical_name", false, "The segment by its technical name."),
        value("expiration_duration", true, "Minutes until the user leaves the segment; 0 = never."),
        value("expiration_ts", false, "Time of leaving, integer or timestamp; not with a duration other than 0."),
        value("data_bag", false, "JSON kept with the membership; sent as a string."),
    ],
    build: import::build,
};

const fn value(name: &'static str, required: bool, doc: &'static str) -> Key {
    Key { name, kind: KeyKind::Value, required, default: None, doc }
}
