//! Selects the overrides that are kept with a run for `resume`: none that contains a literal secret, on whatever level.

use super::secrets::is_reference;
use super::written::Node;
use super::{keys, yaml};
use crate::platform::Entry;
use crate::secret::redacted_url;
use crate::settings::{Key, KeyKind};
use serde_json::Value;
use url::Url;

/// Returns the overrides without those that contain a secret; `entry` is the destination's platform.
pub(crate) fn without_secrets(entry: Option<&Entry>, overrides: &[String]) -> Vec<String> {
    overrides.iter().filter(|assignment| !holds_secret(entry, assignment)).cloned().collect()
}

/// Decides by the tables of keys; unknown keys count as secrets.
fn holds_secret(entry: Option<&Entry>, assignment: &str) -> bool {
    let (path, value) = assignment.split_once('=').unwrap_or((assignment, ""));
    // the key of a list also applies to its entries
    let path = path.split('[').next().unwrap_or_default();
    let mut tree = Node::Fixed(Value::Null);
    if yaml::set(&mut tree, &format!("{path}={value}")).is_err() {
        return true;
    }
    let Value::Object(tree) = tree.read() else { return true };
    tree.iter().any(|(name, value)| match name.as_str() {
        "map" | "where" | "tests" => false,
        "destination" => {
            let own = entry.map_or(&[][..], |entry| entry.keys);
            level(value, &keys::DESTINATION.iter().chain(own).collect::<Vec<_>>())
        }
        _ => key(name, value, &keys::TOP.iter().collect::<Vec<_>>()),
    })
}

fn level(value: &Value, keys: &[&Key]) -> bool {
    match value {
        Value::Null => false,
        Value::Object(map) => map.iter().any(|(name, value)| key(name, value, keys)),
        _ => true,
    }
}

fn key(name: &str, value: &Value, keys: &[&Key]) -> bool {
    match keys.iter().find(|key| key.name == name).map(|key| key.kind) {
        None => true,
        Some(KeyKind::Object(below)) => level(value, &below.iter().collect::<Vec<_>>()),
        Some(KeyKind::Secret) => !value.is_null() && !value.as_object().is_some_and(is_reference),
        Some(_) => has_secret_address(value),
    }
}

/// Whether a value contains an address with user-info, a query or a fragment.
fn has_secret_address(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            // each of the two checks finds addresses that the other does not
            let hidden = Url::parse(text).is_ok_and(|url| {
                let named = !url.username().is_empty() || url.password().is_some();
                url.has_host() && (named || url.query().is_some() || url.fragment().is_some())
            });
            hidden || text.contains("://") && redacted_url(text) != *text
        }
        Value::Array(items) => items.iter().any(has_secret_address),
        Value::Object(map) => map.values().any(has_secret_address),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::PLATFORMS;

    fn kept(platform: &str, assignment: &str) -> bool {
        let entry = PLATFORMS.iter().find(|entry| entry.name == platform);
        !without_secrets(entry, &[assignment.to_owned()]).is_empty()
    }

    #[test]
    fn a_secret_is_left_out_on_whatever_level_it_is_set() {
        for (platform, assignment) in [
            ("clevertap", "destination.passcode=hunter2"),
            ("clevertap", " destination.passcode = hunter2"),
            ("clevertap", "destination.passcode=1234"),
            ("clevertap", "destination.passcode={envv: hunter2}"),
            ("clevertap", "destination={platform: clevertap, passcode: hunter2}"),
            ("clevertap", "source={apsis: {report: segments, client_secret: hunter2}}"),
            ("clevertap", "source.apsis={report: segments, client_id: X, client_secret: hunter2, request: {}}"),
            ("clevertap", "source.apsis.client_secret=hunter2"),
            ("clevertap", "network.proxy=http://u:hunter2@proxy:3128"),
            ("clevertap", "network={proxy: 'http://u:hunter2@proxy:3128'}"),
            ("yesmail", "destination.host.put={url: \"http://h/x\", fetch_url: \"http://h/x\"}"),
            ("yesmail", "destination.host.put.fetch_url=https://h/x?sig=hunter2"),
            ("yesmail", "destination.host.put={url: {env: P}, fetch_url: 'https:u:hunter2@h/x'}"),
            ("yesmail", "destination.host.ftp={url: {env: F}, password: hunter2}"),
            ("yesmail", "destination.host={ftp: {url: \"ftp://u:hunter2@h/x\"}}"),
            ("yesmail", "destination.host.uri=https://u:hunter2@h/x"),
            ("yesmail", "destination.response_uri=https://h/?key=hunter2"),
            ("yesmail", "destination.response_uri=https://hunter2@h/"),
            ("", "destination.passcode=hunter2"),
        ] {
            assert!(!kept(platform, assignment), "{assignment}");
        }
    }

    #[test]
    fn what_holds_no_secret_is_kept() {
        for (platform, assignment) in [
            ("clevertap", "wait=0"),
            ("clevertap", "source.path=-"),
            ("clevertap", "source.path=a?b*.csv"),
            ("clevertap", "source={path: list.csv, csv: {columns: [a, b]}}"),
            ("clevertap", "source.csv.columns[1]=b"),
            (
                "clevertap",
                "source.apsis={report: segments, client_id: {env: I}, client_secret: {file: s}, request: {}}",
            ),
            ("clevertap", "source.apsis=null"),
            ("clevertap", "destination.passcode={ env: P }"),
            ("clevertap", "destination.passcode={file: pass}"),
            ("clevertap", "destination.passcode.env=P"),
            ("clevertap", "destination={platform: clevertap, passcode: {env: P}, segment: VIP}"),
            ("clevertap", "destination.base_url=http://127.0.0.1:8099"),
            ("clevertap", "map.identity={template: 'https://h/?id={id}'}"),
            ("localytics-profiles", "map.changes[0].attr=x"),
            ("localytics-profiles", "map.changes.0.attr=x"),
            ("clevertap", "where=[{column: a, equals: b}]"),
            ("clevertap", "destination.segment='VIP: who?'"),
            ("clevertap", "network.proxy=none"),
            ("clevertap", "network.proxy=http://proxy:3128"),
            ("yesmail", "destination.host.uri=https://h/x.csv"),
            ("yesmail", "destination.host.put={url: {env: P}, fetch_url: 'https://h/x'}"),
            ("yesmail", "destination.host.serve={listen: '127.0.0.1:0', public_url: auto}"),
        ] {
            assert!(kept(platform, assignment), "{assignment}");
        }
    }
}
