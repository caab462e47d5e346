//! The `destination` of a new job file. What cannot be known is a variable of the environment.

use super::yaml::{Lines, scalar};

/// The keys of a platform: lines and comments.
type Keys = &'static [(&'static str, &'static str)];

const CLEVERTAP: Keys = &[
    ("region: { env: CLEVERTAP_REGION }", "in1, sg1, us1, aps3, mec1 or eu1, as in the dashboard's address"),
    ("account_id: { env: CLEVERTAP_ACCOUNT_ID }", "of the project"),
    ("passcode: { env: CLEVERTAP_PASSCODE }", "of the project; a secret"),
    ("segment: NAME", "name of the list; {date} and {run} are filled in"),
    ("creator: { env: CLEVERTAP_CREATOR }", "shown as the creator of the list"),
    ("email: { env: CLEVERTAP_EMAIL }", "an admin of the account, who gets the verdict by e-mail"),
    ("replace: false", "true: replaces the members of a list of that name"),
];

const PROFILES: Keys = &[
    ("org_id: { env: LOCALYTICS_ORG_ID }", "the organisation; app_id instead: the profiles of one app"),
    ("api_key: { env: LOCALYTICS_API_KEY }", "a secret"),
    ("api_secret: { env: LOCALYTICS_API_SECRET }", "a secret"),
];

const AUDIENCE: Keys = &[
    ("app_id: { env: LOCALYTICS_APP_ID }", "the app that the audience belongs to"),
    ("audience_name: NAME", "name of the list; {date} and {run} are filled in"),
    ("if_exists: refuse", "replace: replaces the members of a list of that name"),
    ("api_key: { env: LOCALYTICS_API_KEY }", "a secret"),
    ("api_secret: { env: LOCALYTICS_API_SECRET }", "a secret"),
];

const MEDIARITHMICS: Keys = &[
    ("datamart_id: { env: MEDIARITHMICS_DATAMART_ID }", "the datamart"),
    ("token: { env: MEDIARITHMICS_TOKEN }", "an API token; a secret"),
    ("import_name: NAME", "name of the document import; {date} and {run} are filled in"),
];

const YESMAIL: Keys = &[
    ("list: { env: YESMAIL_LIST }", "name of the target list"),
    ("api_user: { env: YESMAIL_API_USER }", "a secret"),
    ("api_key: { env: YESMAIL_API_KEY }", "a secret"),
    ("import_type: update", "ignore: existing members stay as they are; replace: they are overwritten"),
    ("host:", "the place that Yesmail fetches the file from"),
    ("  serve:", "this process; or put, ftp, uri"),
    ("    listen: { env: YESMAIL_LISTEN }", "address and port, for example 0.0.0.0:8443"),
    ("    public_url: auto", "or the URL by which Yesmail reaches it, if that is another"),
];

/// Writes `destination`; `name` is the name of the list.
pub(super) fn write(lines: &mut Lines, platform: &str, name: &str) {
    let keys = match platform {
        "clevertap" => CLEVERTAP,
        "localytics-profiles" => PROFILES,
        "localytics-audience" => AUDIENCE,
        "mediarithmics" => MEDIARITHMICS,
        _ => YESMAIL,
    };
    lines.add("destination:", "");
    lines.add(&format!("  platform: {platform}"), "");
    for (line, comment) in keys {
        lines.add(
            &format!("  {}", line.replace(": NAME", &format!(": {}", scalar(&format!("{name} {{date}}"))))),
            comment,
        );
    }
}
