//! `source.store`, and the variables and files where the clouds' own tools look for credentials.

use super::{profile, valid};
use crate::error::{Error, Result};
use crate::settings::{Key, KeyKind, Settings};
use std::path::PathBuf;

const fn key(name: &'static str, kind: KeyKind, doc: &'static str) -> Key {
    Key::new(name, kind, false, None, doc)
}

/// `source.store`.
pub(super) const KEYS: &[Key] = &[
    key(
        "endpoint",
        KeyKind::Text,
        "Address of a store that is compatible; for Azure it may contain the account in its path.",
    ),
    key("region", KeyKind::Text, "Region of the bucket (s3)."),
    key("access_key_id", KeyKind::Secret, "Access key (s3)."),
    key("secret_access_key", KeyKind::Secret, "Secret key (s3)."),
    key("session_token", KeyKind::Secret, "Token of temporary keys (s3)."),
    key("profile", KeyKind::Text, "Profile in the files of the AWS command line (s3)."),
    key("anonymous", KeyKind::Bool, "Send no credentials."),
    key(
        "path_style",
        KeyKind::Bool,
        "Whether the bucket is in the path of the address, not in its host (s3); default true.",
    ),
    key("account", KeyKind::Text, "Storage account (az)."),
    key("key", KeyKind::Secret, "Key of the storage account (az)."),
    key("sas_token", KeyKind::Secret, "Shared access signature (az)."),
];

/// The clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cloud {
    /// Amazon S3 and compatible stores.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// How to reach a store: names and values as object_store has them.
#[derive(Clone)]
pub(super) struct StoreOptions {
    pub(super) cloud: Cloud,
    pub(super) bucket: String,
    pub(super) endpoint: Option<String>,
    pub(super) is_anonymous: bool,
    /// Whether the bucket is in the path of the address.
    pub(super) is_path_style: bool,
    /// The settings of the job file and of the environment.
    pub(super) settings: Vec<(&'static str, String)>,
    /// The profile of the AWS command line, read when it is needed.
    pub(super) profile: Option<Profile>,
}

/// A profile of the AWS command line, and the two files.
#[derive(Clone)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) files: [PathBuf; 2],
}

impl Profile {
    /// Reads the keys of the profile; none if the files do not exist.
    pub(super) fn keys(&self) -> Vec<(String, String)> {
        let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        profile::keys(&self.name, &text(&self.files[0]), &text(&self.files[1]))
    }
}

/// Keys of the job file, and the settings of object_store.
const GIVEN: &[(Cloud, &str, &str)] = &[
    (Cloud::S3, "access_key_id", "aws_access_key_id"),
    (Cloud::S3, "secret_access_key", "aws_secret_access_key"),
    (Cloud::S3, "session_token", "aws_session_token"),
    (Cloud::S3, "region", "aws_region"),
    (Cloud::Azure, "account", "azure_storage_account_name"),
    (Cloud::Azure, "key", "azure_storage_account_key"),
    (Cloud::Azure, "sas_token", "azure_storage_sas_key"),
];

/// Variables, and the settings of object_store.
const VARIABLES: &[(Cloud, &str, &str)] = &[
    (Cloud::S3, "AWS_ACCESS_KEY_ID", "aws_access_key_id"),
    (Cloud::S3, "AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"),
    (Cloud::S3, "AWS_SESSION_TOKEN", "aws_session_token"),
    (Cloud::S3, "AWS_REGION", "aws_region"),
    (Cloud::S3, "AWS_DEFAULT_REGION", "aws_region"),
    (Cloud::S3, "AWS_WEB_IDENTITY_TOKEN_FILE", "aws_web_identity_token_file"),
    (Cloud::S3, "AWS_ROLE_ARN", "aws_role_arn"),
    (Cloud::S3, "AWS_ROLE_SESSION_NAME", "aws_role_session_name"),
    (Cloud::S3, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "aws_container_credentials_relative_uri"),
    (Cloud::S3, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "aws_container_credentials_full_uri"),
    (Cloud::S3, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "aws_container_authorization_token_file"),
    (Cloud::S3, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "aws_metadata_endpoint"),
    (Cloud::Gcs, "GOOGLE_APPLICATION_CREDENTIALS", "google_application_credentials"),
    (Cloud::Gcs, "GOOGLE_SERVICE_ACCOUNT", "google_service_account"),
    (Cloud::Gcs, "GOOGLE_SERVICE_ACCOUNT_KEY", "google_service_account_key"),
    (Cloud::Azure, "AZURE_STORAGE_ACCOUNT", "azure_storage_account_name"),
    (Cloud::Azure, "AZURE_STORAGE_ACCOUNT_NAME", "azure_storage_account_name"),
    (Cloud::Azure, "AZURE_STORAGE_KEY", "azure_storage_account_key"),
    (Cloud::Azure, "AZURE_STORAGE_ACCOUNT_KEY", "azure_storage_account_key"),
    (Cloud::Azure, "AZURE_STORAGE_SAS_TOKEN", "azure_storage_sas_key"),
    (Cloud::Azure, "AZURE_CLIENT_ID", "azure_client_id"),
    (Cloud::Azure, "AZURE_CLIENT_SECRET", "azure_client_secret"),
    (Cloud::Azure, "AZURE_TENANT_ID", "azure_tenant_id"),
    (Cloud::Azure, "AZURE_FEDERATED_TOKEN_FILE", "azure_federated_token_file"),
    (Cloud::Azure, "AZURE_AUTHORITY_HOST", "azure_authority_host"),
    (Cloud::Azure, "IDENTITY_ENDPOINT", "azure_msi_endpoint"),
];

/// Settings that are one way to prove who one is: if the job file gives one of them, those of the environment do not
/// count.
const CREDENTIALS: [&str; 11] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_web_identity_token_file",
    "aws_role_arn",
    "aws_role_session_name",
    "azure_storage_account_key",
    "azure_storage_sas_key",
    "azure_client_id",
    "azure_client_secret",
    "azure_federated_token_file",
];

impl StoreOptions {
    /// Reads `source.store` for a bucket.
    ///
    /// # Errors
    /// `Usage`: a key is invalid, or a secret is not set.
    pub(super) fn read(source: &Settings<'_>, cloud: Cloud, bucket: &str) -> Result<StoreOptions> {
        let none = serde_json::Map::new();
        let map = source.opt_object("store")?.unwrap_or(&none);
        let given = Settings { map, at: "source.store", ..*source };
        let variable = |name: &str| source.secrets.variable(name).filter(|value| !value.is_empty());
        let mut settings: Vec<(&'static str, String)> = Vec::new();
        for (of, key, name) in GIVEN {
            let value = match given.get(key) {
                None => continue,
                Some(_) if of != &cloud => {
                    return Err(Error::usage(format!("source.store.{key} has no effect on this store"))
                        .with_hint("leave it out: it is for another kind of store"));
                }
                Some(_) if matches!(*key, "region" | "account") => given.text(key)?,
                Some(_) => given.secret(key)?.expose().to_owned(),
            };
            valid::setting(&format!("source.store.{key}"), name, &value)?;
            settings.push((name, value));
        }
        let profile = given.opt_text("profile")?;
        let is_anonymous = given.bool_or("anonymous", false)?;
        let has_own = is_anonymous || profile.is_some() || settings.iter().any(|(name, _)| CREDENTIALS.contains(name));
        for (of, variable_name, name) in VARIABLES {
            let is_known = settings.iter().any(|(known, _)| known == name) || (has_own && CREDENTIALS.contains(name));
            if of == &cloud
                && !is_known
                && let Some(value) = variable(variable_name)
            {
                valid::setting(variable_name, name, &value)?;
                let value = match *name {
                    // a path follows
                    "aws_metadata_endpoint" => value.trim_end_matches('/').to_owned(),
                    _ => value,
                };
                settings.push((name, value));
            }
        }
        let endpoint = endpoint(&given, cloud, &variable)?;
        if cloud == Cloud::Azure && !settings.iter().any(|(name, _)| *name == "azure_storage_account_name") {
            let account = endpoint.as_deref().and_then(account_of).ok_or_else(|| {
                Error::usage("source.store.account is required").with_hint("or set AZURE_STORAGE_ACCOUNT")
            })?;
            valid::setting("source.store.endpoint", "azure_storage_account_name", &account)?;
            settings.push(("azure_storage_account_name", account));
        }
        let is_signed = settings.iter().any(|(name, _)| CREDENTIALS.contains(name));
        let profile = (cloud == Cloud::S3 && !is_signed && !is_anonymous).then(|| Profile {
            name: profile.or_else(|| variable("AWS_PROFILE")).unwrap_or_else(|| "default".to_owned()),
            files: files(&variable),
        });
        let is_path_style = given.bool_or("path_style", true)?;
        Ok(StoreOptions { cloud, bucket: bucket.to_owned(), endpoint, is_anonymous, is_path_style, settings, profile })
    }
}

/// Returns the address of the store, if it is not the cloud's own.
///
/// # Errors
/// `Usage`: it is not valid.
fn endpoint(given: &Settings<'_>, cloud: Cloud, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>> {
    let of_variable = |name: &'static str| variable(name).map(|endpoint| (name, endpoint));
    let found = match (given.opt_text("endpoint")?, cloud) {
        (Some(endpoint), _) => Some(("source.store.endpoint", endpoint)),
        (None, Cloud::S3) => of_variable("AWS_ENDPOINT_URL_S3").or_else(|| of_variable("AWS_ENDPOINT_URL")),
        (None, _) => None,
    };
    let Some((at, endpoint)) = found else { return Ok(None) };
    valid::endpoint(at, &endpoint)?;
    Ok(Some(endpoint))
}

/// Returns the storage account that the path of an endpoint contains, as those of emulators do.
fn account_of(endpoint: &str) -> Option<String> {
    let url = url::Url::parse(endpoint).ok()?;
    url.path_segments()?.find(|part| !part.is_empty()).map(str::to_owned)
}

/// Returns the two files of the AWS command line.
fn files(variable: &dyn Fn(&str) -> Option<String>) -> [PathBuf; 2] {
    let home = variable("HOME").or_else(|| variable("USERPROFILE")).unwrap_or_default();
    [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")]
        .map(|(name, file)| variable(name).map_or_else(|| PathBuf::from(&home).join(".aws").join(file), PathBuf::from))
}
