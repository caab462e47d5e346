//! The `destination` of a CleverTap job.

use crate::calls::JobSeed;
use crate::error::{Error, Faults, Result, nearest};
use crate::secret::Secret;
use crate::settings::{Key, KeyKind, Settings};

/// The keys of `destination`.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "region",
        KeyKind::OneOf(&REGION_NAMES),
        false,
        None,
        "Region of the account; required unless base_url is given.",
    ),
    Key::new("account_id", KeyKind::Secret, true, None, "The X-CleverTap-Account-Id header."),
    Key::new("passcode", KeyKind::Secret, true, None, "The X-CleverTap-Passcode header."),
    Key::new("segment", KeyKind::Name, true, None, "Name of the list; {date} and {run} are filled in."),
    Key::new("creator", KeyKind::Text, true, None, "Creator of the list."),
    Key::new(
        "email",
        KeyKind::Text,
        true,
        None,
        "Address of an admin of the account; CleverTap sends its verdict there.",
    ),
    Key::new(
        "filename",
        KeyKind::Name,
        false,
        None,
        "Shown in the dashboard; default: the segment, made safe, with .csv.",
    ),
    Key::new("replace", KeyKind::Bool, false, Some("false"), "Replace the members of an existing list of that name."),
    Key::new("max_body_bytes", KeyKind::Size, false, Some("5GB"), "Largest file; at most 5,368,709,120 bytes."),
    Key::new(
        "oversize",
        KeyKind::OneOf(&["refuse", "number"]),
        false,
        Some("refuse"),
        "A larger list ends with 10, or becomes several lists named \"… (1 of 3)\".",
    ),
];

const REGION_NAMES: [&str; 8] = ["in1", "sg1", "us1", "aps3", "mec1", "eu1", "eu", "global"];

/// Maximum size of one PUT to S3.
const MOST_BODY_BYTES: u64 = 5 << 30;
const DEFAULT_BODY_BYTES: u64 = 5_000_000_000;

/// The `destination` of a job.
#[derive(Debug)]
pub(super) struct Options {
    /// Scheme, host and port, without a trailing slash.
    pub(super) origin: String,
    pub(super) account_id: Secret,
    pub(super) passcode: Secret,
    segment: String,
    pub(super) creator: String,
    pub(super) email: String,
    filename: Option<String>,
    pub(super) replace: bool,
    pub(super) max_body_bytes: u64,
    /// Several numbered lists instead of a refusal.
    pub(super) number: bool,
}

impl Options {
    pub(super) fn read(settings: &Settings<'_>) -> Result<Options> {
        let mut faults = Faults::default();
        faults.or_default(settings.check(KEYS));
        let filename = settings.opt_text("filename").and_then(|name| name.map(|name| base_name(&name)).transpose());
        let options = Options {
            origin: faults.or_default(origin(settings)),
            account_id: faults.or_default(header_secret(settings, "account_id")),
            passcode: faults.or_default(header_secret(settings, "passcode")),
            segment: faults.or_default(line(settings, "segment")),
            creator: faults.or_default(line(settings, "creator")),
            email: faults.or_default(email(settings)),
            filename: faults.or_default(filename),
            replace: faults.or_default(settings.bool_or("replace", false)),
            max_body_bytes: faults.or_default(settings.opt_size("max_body_bytes")).unwrap_or(DEFAULT_BODY_BYTES),
            number: faults.or_default(settings.one_of("oversize", &["refuse", "number"])) == Some("number"),
        };
        if options.max_body_bytes == 0 || options.max_body_bytes > MOST_BODY_BYTES {
            faults.add(Error::usage(format!(
                "destination.max_body_bytes must be from 1 to {MOST_BODY_BYTES}: the limit of the storage for one PUT"
            ))
            .with_hint("leave it out for 5GB; oversize: number makes several lists of a larger source"));
        }
        faults.into_result(options)
    }

    /// Returns the list's name, for part `index` of `count`.
    pub(super) fn segment(&self, seed: &JobSeed, index: usize, count: usize) -> String {
        let name = seed.fill(&self.segment);
        if count > 1 { format!("{name} ({} of {count})", index + 1) } else { name }
    }

    /// Returns the file's name, for part `index` of `count`.
    pub(super) fn filename(&self, seed: &JobSeed, index: usize, count: usize) -> String {
        let name = match &self.filename {
            Some(name) => seed.fill(name),
            None => safe(&seed.fill(&self.segment)),
        };
        let stem = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
            Some((stem, end)) if end.eq_ignore_ascii_case(".csv") && !stem.is_empty() => stem,
            _ => name.as_str(),
        };
        if count > 1 { format!("{stem}-{}-of-{count}.csv", index + 1) } else { format!("{stem}.csv") }
    }
}

/// Returns the base name of a path, without control characters.
fn base_name(name: &str) -> Result<String> {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    if base.is_empty() || base.chars().any(char::is_control) {
        return Err(Error::usage("destination.filename must be a file name without control characters")
            .with_hint("for example filename: vip.csv; by default the name of the segment is used"));
    }
    Ok(base.to_owned())
}

/// Returns a name that any file system and any form accepts.
fn safe(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    let trimmed = out.trim_matches(['_', '.']);
    if trimmed.is_empty() { "list".to_owned() } else { trimmed.to_owned() }
}

fn origin(settings: &Settings<'_>) -> Result<String> {
    let region = settings.opt_text("region")?;
    let host = match region.as_deref() {
        None => None,
        // the dashboard's name for the region without a name of its own
        Some("eu1" | "eu" | "global") => Some("https://api.clevertap.com".to_owned()),
        Some(name) if REGION_NAMES.contains(&name) => Some(format!("https://{name}.api.clevertap.com")),
        Some(name) => {
            let hint = match nearest(name, REGION_NAMES) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known regions: {}", REGION_NAMES.join(", ")),
            };
            return Err(Error::usage("destination.region is not a region of CleverTap").with_hint(hint));
        }
    };
    let Some(base_url) = settings.opt_text("base_url")? else {
        return host.ok_or_else(|| {
            Error::usage("destination.region is required")
                .with_hint(format!("one of {}, or base_url", REGION_NAMES[..6].join(", ")))
        });
    };
    let wrong =
        || Error::usage("destination.base_url must be scheme, host and port").with_hint("https://api.example.com");
    let url = url::Url::parse(&base_url).map_err(|_| wrong())?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let user = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !bare || user {
        return Err(wrong());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Reads a text of one line that is not empty.
fn line(settings: &Settings<'_>, key: &str) -> Result<String> {
    let text = settings.text(key)?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Error::usage(format!("{}.{key} must be a text without control characters", settings.at))
            .with_hint("one line, not empty; is there a line end in it?"));
    }
    Ok(text)
}

/// Reads the admin's address. CleverTap refuses an address of another form only after the upload.
fn email(settings: &Settings<'_>) -> Result<String> {
    let text = line(settings, "email")?;
    if is_email(&text) {
        return Ok(text);
    }
    Err(Error::usage(format!("{}.email is not an e-mail address", settings.at))
        .with_hint("the address of an admin of the account, without a name or spaces around it: jane@example.com"))
}

/// Whether a text is a valid e-mail address by the rule of the HTML standard.
fn is_email(text: &str) -> bool {
    let Some((user, domain)) = text.rsplit_once('@') else { return false };
    let in_user = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !user.is_empty() && user.bytes().all(in_user) && domain.split('.').all(is_label)
}

/// Reads a secret for a header; an error about its characters does not show it.
fn header_secret(settings: &Settings<'_>, key: &str) -> Result<Secret> {
    let secret = settings.secret(key)?;
    if secret.expose().bytes().all(|byte| matches!(byte, 0x21..=0x7e)) {
        return Ok(secret);
    }
    Err(Error::usage(format!("{}.{key} contains a character that is not allowed in a header", settings.at))
        .with_hint("is there a line end or a space in it?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::NoSecrets;
    use serde_json::{Value, json};

    fn read(extra: Value) -> Result<Options> {
        let mut map = json!({"platform": "clevertap", "region": "in1", "account_id": "a", "passcode": "p",
            "segment": "VIP customers {date}", "creator": "Jane", "email": "jane@example.com"});
        for (key, value) in extra.as_object().into_iter().flatten() {
            map[key] = value.clone();
        }
        let folder = std::path::Path::new(".");
        Options::read(&Settings {
            map: map.as_object().expect("a map"),
            at: "destination",
            secrets: &NoSecrets,
            folder,
        })
    }

    fn seed() -> JobSeed {
        JobSeed { run_id: "r1".to_owned(), random: "0".repeat(32), date: "2026-11-21".to_owned() }
    }

    #[test]
    fn a_region_names_the_host_and_base_url_replaces_it() {
        for (region, host) in [
            ("in1", "https://in1.api.clevertap.com"),
            ("aps3", "https://aps3.api.clevertap.com"),
            ("eu1", "https://api.clevertap.com"),
            ("eu", "https://api.clevertap.com"),
            ("global", "https://api.clevertap.com"),
        ] {
            assert_eq!(read(json!({"region": region})).expect("fits").origin, host);
        }
        assert_eq!(read(json!({"base_url": "http://127.0.0.1:81/"})).expect("fits").origin, "http://127.0.0.1:81");
        let error = read(json!({"region": "us2"})).expect_err("no such region");
        assert_eq!((error.kind().exit_code(), error.hint()), (2, Some("did you mean \"us1\"?")));
        assert!(read(json!({"region": null})).is_err());
        assert!(read(json!({"base_url": "http://h/path"})).is_err());
    }

    #[test]
    fn names_are_filled_in_numbered_and_made_safe() {
        let options = read(json!({})).expect("fits");
        assert_eq!(options.segment(&seed(), 0, 1), "VIP customers 2026-11-21");
        assert_eq!(options.segment(&seed(), 1, 3), "VIP customers 2026-11-21 (2 of 3)");
        assert_eq!(options.filename(&seed(), 0, 1), "VIP_customers_2026-11-21.csv");
        assert_eq!(options.filename(&seed(), 1, 3), "VIP_customers_2026-11-21-2-of-3.csv");
        let options = read(json!({"filename": "/data/x/vip {run}.CSV"})).expect("fits");
        assert_eq!(options.filename(&seed(), 0, 1), "vip r1.csv");
        assert_eq!(safe("../ü/"), "list");
    }

    #[test]
    fn an_email_of_another_form_is_refused_before_anything_is_read() {
        for good in ["jane@example.com", "jane+ct@sub.example.co.uk", "o'hara@x-y.example", "a@localhost"] {
            assert_eq!(read(json!({"email": good})).expect("fits").email, good);
        }
        for bad in [
            "jane",
            "jane@",
            "@example.com",
            "jane@example..com",
            "jane@-example.com",
            "jane@example.com.",
            "jane doe@example.com",
            "Jane <jane@example.com>",
            " jane@example.com",
            "jane@ex ample.com",
            "jane@a@example.com",
            "jané@example.com",
        ] {
            let error = read(json!({"email": bad})).expect_err(bad);
            assert_eq!(error.kind().exit_code(), 2, "{bad}");
            assert!(error.to_string().contains("destination.email is not an e-mail address"), "{error}");
        }
    }

    #[test]
    fn the_limit_has_a_limit() {
        assert_eq!(read(json!({})).expect("fits").max_body_bytes, 5_000_000_000);
        assert_eq!(read(json!({"max_body_bytes": 5_368_709_120u64})).expect("fits").max_body_bytes, 5_368_709_120);
        assert!(read(json!({"max_body_bytes": 5_368_709_121u64})).is_err());
        assert!(read(json!({"creator": " "})).is_err());
    }
}
