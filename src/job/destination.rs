//! The destinations as types, with a method for each key.

use super::setting::{self, Setting};
use serde_json::{Map, Value};

/// The keys of a destination.
#[derive(Clone, Debug)]
pub struct Target(Map<String, Value>);

impl Target {
    /// Names a platform of the job file's `destination.platform`; its keys are set with [`Target::set`].
    #[must_use]
    pub fn new(platform: &str) -> Target {
        Target(Map::from_iter([("platform".to_owned(), platform.into())]))
    }

    /// Sets a key of `destination` by its path, such as `host.put.url`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Setting>) -> Target {
        setting::set(&mut self.0, key, value.into().0);
        self
    }

    pub(super) fn into_keys(self) -> Map<String, Value> {
        self.0
    }
}

macro_rules! destinations {
    ($($(#[$doc:meta])* $name:ident = $platform:literal { $($(#[$key_doc:meta])* $key:ident)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            #[must_use]
            pub struct $name(Target);

            impl $name {
                /// Begins a destination without keys. The job says which keys it lacks.
                #[allow(clippy::new_without_default, reason = "an empty destination is not a useful value")]
                pub fn new() -> $name {
                    $name(Target::new($platform))
                }

                $(
                    $(#[$key_doc])*
                    pub fn $key(self, value: impl Into<Setting>) -> $name {
                        $name(self.0.set(stringify!($key), value))
                    }
                )+

                /// Replaces scheme, host and port of the platform's own address, for sandboxes and tests.
                pub fn base_url(self, url: impl Into<Setting>) -> $name {
                    $name(self.0.set("base_url", url))
                }
            }

            impl From<$name> for Target {
                fn from(destination: $name) -> Target {
                    destination.0
                }
            }
        )+

        /// Names of the platforms and of the keys that have a method.
        #[cfg(test)]
        const METHODS: &[(&str, &[&str])] = &[$(($platform, &[$(stringify!($key)),+]),)+];
    };
}

destinations! {
    /// Custom list segments of CleverTap.
    CleverTap = "clevertap" {
        /// Region of the account; required unless `base_url` is given.
        region
        /// The account id, a secret.
        account_id
        /// The passcode, a secret.
        passcode
        /// Name of the list; `{date}` and `{run}` are filled in.
        segment
        /// Creator of the list.
        creator
        /// Address of an admin of the account; CleverTap sends its verdict there.
        email
        /// File name shown in the dashboard.
        filename
        /// Whether the members of an existing list of that name are replaced; default false.
        replace
        /// Largest file.
        max_body_bytes
        /// `refuse` (default) or `number`: whether a larger list ends with 10 or becomes several lists.
        oversize
    }
    /// Profile attributes of Localytics. The map's `changes` is a list: set it with `JobBuilder::set("map.changes", …)`.
    LocalyticsProfiles = "localytics-profiles" {
        /// The organisation whose profiles are changed; this or `app_id`.
        org_id
        /// The app whose profiles are changed; this or `org_id`.
        app_id
        /// The organisation's API key, a secret.
        api_key
        /// The organisation's API secret, a secret.
        api_secret
        /// Larger output is cut into several uploads.
        max_part_bytes
    }
    /// Audiences of Localytics: lists of customer ids.
    LocalyticsAudience = "localytics-audience" {
        /// The app that the audience belongs to.
        app_id
        /// Creates an audience of that name; this or `audience_list_id`.
        audience_name
        /// `refuse` (default), `replace` or `create`, if the app has a list of that name.
        if_exists
        /// Replaces the members of that list; this or `audience_name`.
        audience_list_id
        /// The organisation's API key, a secret.
        api_key
        /// The organisation's API secret, a secret.
        api_secret
    }
    /// Segments of mediarithmics, as document imports.
    Mediarithmics = "mediarithmics" {
        /// The datamart.
        datamart_id
        /// The API token, a secret.
        token
        /// Creates a document import; this or `document_import_id`.
        import_name
        /// Reuses a document import; this or `import_name`.
        document_import_id
        /// `ndjson` (default) or `csv`.
        mime_type
        /// Size of a part; each part is one execution.
        max_part_bytes
    }
    /// Target lists of Yesmail.
    Yesmail = "yesmail" {
        /// Name of the target list.
        list
        /// The Api-User header, a secret.
        api_user
        /// The Api-Key header, a secret.
        api_key
        /// `update` (default), `ignore` or `replace`.
        import_type
        /// Failed rows at which the import stops: a number, or a share like `5%`.
        error_threshold
        /// Whether the file has a header line; default true.
        headers
        /// The separator of cells; default `auto`.
        separator
        /// `rfc4180` (default) or `never`.
        quoting
        /// The URL to which Yesmail posts the final status.
        response_uri
        /// Your own reference of the ticket.
        response_ref
        /// The address that Yesmail fetches the file from: a [`Setting::map`] with one of `uri`, `put`, `ftp` and `serve`.
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::PLATFORMS;

    #[test]
    fn each_key_of_each_platform_has_a_method() {
        let methods: Vec<(&str, Vec<&str>)> = METHODS.iter().map(|(name, keys)| (*name, keys.to_vec())).collect();
        let tables: Vec<(&str, Vec<&str>)> =
            PLATFORMS.iter().map(|entry| (entry.name, entry.keys.iter().map(|key| key.name).collect())).collect();
        assert_eq!(methods, tables);
    }

    #[test]
    fn a_key_below_another_is_set_by_its_path() {
        let target = Target::new("yesmail").set("host.put.url", "https://x.example/").set("host.put.fetch_url", "y");
        let want = serde_json::json!({
            "platform": "yesmail", "host": { "put": { "url": "https://x.example/", "fetch_url": "y" } },
        });
        assert_eq!(Value::Object(target.into_keys()), want);
    }
}
