//! The keys of a job file outside `destination` and `map`, which the platforms define. One table serves the error for
//! an unknown key and the schema.

use crate::format::FORMATS;
use crate::origin::ORIGINS;
use crate::settings::{Key, KeyKind, joined};

const fn key(name: &'static str, kind: KeyKind, default: Option<&'static str>, doc: &'static str) -> Key {
    Key { name, kind, required: false, default, doc }
}

/// The top level. `map` and `destination` depend on the platform.
pub(crate) const TOP: &[Key] = &[
    key("version", KeyKind::Integer, Some("1"), "Version of the job file's format."),
    key(
        "timezone",
        KeyKind::Text,
        Some("UTC"),
        "The IANA time zone of the day that {date} means, for example Europe/Paris.",
    ),
    key("name", KeyKind::Text, None, "Name of the job; default: the job file's name without its ending."),
    key("source", KeyKind::Object(SOURCE), None, "The source of the list."),
    key("where", KeyKind::Any, Some("[]"), "Conditions that all must hold; rows left out are counted as filtered."),
    key("map", KeyKind::Any, None, "The values of the platform's fields."),
    key("rejects", KeyKind::Object(REJECTS), None, "How many rows may be rejected, and where they are written."),
    key("allow_empty", KeyKind::Bool, Some("false"), "Send even if there is nothing to send."),
    key("destination", KeyKind::Any, None, "The platform and the target on it."),
    key("warnings", KeyKind::Object(WARNINGS), None, "Which warnings are errors."),
    key("upload", KeyKind::Object(UPLOAD), None, "Attempts and timers."),
    key("tests", KeyKind::Any, Some("[]"), "Rows and what becomes of them, for `listferry test`."),
    key("network", KeyKind::Object(NETWORK), None, "Proxy and certificates."),
    key("spool", KeyKind::Object(SPOOL), None, "Where a source that can be read only once is kept."),
    key(
        "if_unchanged",
        KeyKind::OneOf(&["send", "skip"]),
        Some("send"),
        "skip: a list that is the one of the last done run is not sent again (exit 0, \"unchanged\": true).",
    ),
    key("state", KeyKind::Object(STATE), None, "The record of runs."),
    key("report", KeyKind::Object(REPORT), None, "Where the report is written, too."),
    key(
        "wait",
        KeyKind::Duration,
        Some("30m"),
        "How long to wait for the platform's verdict; 0: not at all, and the next run asks before it replaces a file that may still be fetched.",
    ),
];

/// `source`: its own keys and those of the origins and formats.
pub(crate) const SOURCE: &[Key] = &joined::<
    { ORIGIN_KEYS.len() + SOURCE_FIRST.len() + FORMAT_KEYS.len() + SOURCE_LAST.len() },
>(&[&ORIGIN_KEYS, SOURCE_FIRST, &FORMAT_KEYS, SOURCE_LAST]);

/// The names of the formats.
const FORMAT_NAMES: [&str; FORMATS.len() + 1] = {
    let mut names = ["auto"; FORMATS.len() + 1];
    let mut n = 0;
    while n < FORMATS.len() {
        names[n + 1] = FORMATS[n].name;
        n += 1;
    }
    names
};

const FORMAT_KEYS: [Key; {
    let (mut n, mut keys) = (0, 0);
    while n < FORMATS.len() {
        keys += FORMATS[n].keys.len();
        n += 1;
    }
    keys
}] = {
    let mut tables: [&[Key]; FORMATS.len()] = [&[]; FORMATS.len()];
    let mut n = 0;
    while n < tables.len() {
        tables[n] = FORMATS[n].keys;
        n += 1;
    }
    joined(&tables)
};

const ORIGIN_KEYS: [Key; {
    let (mut n, mut keys) = (0, 0);
    while n < ORIGINS.len() {
        keys += ORIGINS[n].keys.len();
        n += 1;
    }
    keys
}] = {
    let mut tables: [&[Key]; ORIGINS.len()] = [&[]; ORIGINS.len()];
    let mut n = 0;
    while n < tables.len() {
        tables[n] = ORIGINS[n].keys;
        n += 1;
    }
    joined(&tables)
};

const SOURCE_FIRST: &[Key] = &[
    key(
        "format",
        KeyKind::OneOf(&FORMAT_NAMES),
        Some("auto"),
        "auto: by the name of the file, then by its content, else csv.",
    ),
    key(
        "compression",
        KeyKind::OneOf(&["auto", "none", "gzip", "zstd", "bzip2", "xz", "lz4"]),
        Some("auto"),
        "Compression of the source; auto detects it by the first bytes.",
    ),
];

const SOURCE_LAST: &[Key] = &[
    key(
        "encoding",
        KeyKind::Text,
        Some("utf-8"),
        "Encoding of the text: a label of the WHATWG Encoding Standard, such as utf-16le, windows-1252 or shift_jis. A byte order mark is removed and shows utf-8 or utf-16.",
    ),
    key("max_record_bytes", KeyKind::Size, Some("8MiB"), "A longer record ends the run with exit 10."),
    key(
        "max_expansion",
        KeyKind::Integer,
        Some("200"),
        "Maximum ratio of decompressed to compressed bytes, checked after 64 MiB.",
    ),
    key(
        "max_window",
        KeyKind::Size,
        Some("16MiB"),
        "Largest window of a zstd frame, a power of two, at most 128MiB; memory grows by it.",
    ),
    key("expect", KeyKind::Object(EXPECT), None, "Guards against a truncated export."),
];

/// `source.expect`.
pub(crate) const EXPECT: &[Key] = &[
    key("min_records", KeyKind::Integer, None, "Fewer records in the source end the run with exit 10."),
    key("max_records", KeyKind::Integer, None, "More records in the source end the run with exit 10."),
    key(
        "max_change_percent",
        KeyKind::Number,
        None,
        "Maximum change of the number of records since the last done run.",
    ),
    key(
        "max_age",
        KeyKind::Duration,
        None,
        "Files that were changed longer ago end the run with exit 10; the oldest file counts.",
    ),
    key("sha256", KeyKind::Text, None, "SHA-256 of the source as stored, in hex."),
];

/// `rejects`.
pub(crate) const REJECTS: &[Key] = &[
    key("max", KeyKind::Integer, Some("0"), "More rejected rows end the run with exit 10."),
    key("max_percent", KeyKind::Number, None, "A larger share of the rows that were not filtered ends it too."),
    key("max_remote", KeyKind::Integer, Some("0"), "More rows refused by the platform end the run with exit 11."),
    key(
        "max_unaccounted",
        KeyKind::Integer,
        None,
        "More rows than that which the platform neither imported nor refused nor ignored end the run with exit 11. \
         Default 0; for Localytics audiences there is no limit.",
    ),
    key("file", KeyKind::Text, None, "File for the rejected rows; default: in the state directory."),
];

/// `warnings`.
pub(crate) const WARNINGS: &[Key] = &[key(
    "error",
    KeyKind::Texts,
    Some("[]"),
    "Kinds of warnings of the first pass that end check and run with exit 10: null_marker, scientific, decimal_id, double_hash, \
     invisible, frequent_id, encoding, delimiter, joined_files, key_never_seen, template_emptied.",
)];

/// `upload`.
pub(crate) const UPLOAD: &[Key] = &[
    key("attempts", KeyKind::Integer, Some("5"), "Attempts of each call."),
    key("connect_timeout", KeyKind::Duration, Some("10s"), "Maximum time to connect."),
    key("stall_timeout", KeyKind::Duration, Some("60s"), "Maximum time in which no byte is accepted."),
    key(
        "response_timeout",
        KeyKind::Duration,
        Some("5m"),
        "Maximum time from the last byte to the head of the answer.",
    ),
    key("give_up_after", KeyKind::Duration, Some("2h"), "Maximum time of all attempts together."),
    key(
        "part_wait",
        KeyKind::Duration,
        Some("2h"),
        "Maximum wait for the verdict on a part before the next one is sent.",
    ),
    key("max_quota_wait", KeyKind::Duration, Some("15m"), "Maximum wait for a quota of the platform."),
    key("max_rate", KeyKind::Size, None, "Maximum bytes per second."),
];

/// `network`.
pub(crate) const NETWORK: &[Key] = &[
    key("proxy", KeyKind::Url, Some("env"), "env, none, or a URL (a secret); loopback is never proxied."),
    key("ca_file", KeyKind::Text, None, "A PEM file of roots instead of the system's."),
    key("allow_http", KeyKind::Bool, Some("false"), "Allow plain http to hosts other than loopback."),
];

/// `spool`.
pub(crate) const SPOOL: &[Key] = &[
    key("dir", KeyKind::Text, None, "Directory for the copies; default: in the state directory."),
    key("max", KeyKind::Size, Some("20GB"), "A larger source ends the run."),
];

/// `report`.
pub(crate) const REPORT: &[Key] =
    &[key("html", KeyKind::Text, None, "File for the report as an HTML page after each run.")];

/// `state`.
pub(crate) const STATE: &[Key] = &[
    key(
        "require",
        KeyKind::Bool,
        Some("false"),
        "End with exit 3 if the state directory has no state yet; `listferry runs init` creates it.",
    ),
    key(
        "keep_rejects",
        KeyKind::Duration,
        Some("30d"),
        "How long rejected rows are kept in the state directory after a run.",
    ),
    key(
        "keep_spool",
        KeyKind::Duration,
        Some("7d"),
        "How long the copy of a stream is kept for a run that has not ended; then the run can only be closed or superseded.",
    ),
];

/// Keys that every `destination` has besides the platform's own.
pub(crate) const DESTINATION: &[Key] = &[
    Key { name: "platform", kind: KeyKind::Text, required: true, default: None, doc: "Which platform." },
    key("base_url", KeyKind::Text, None, "Replaces scheme, host and port of the platform's own address."),
];
