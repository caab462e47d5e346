//! A bucket, as object_store reaches it.

use super::connector::{Caught, Connector};
use super::options::{Cloud, Profile, StoreOptions};
use super::valid;
use crate::calls::{Attempt, Call, Remote, RetrySafety};
use crate::error::{Error, Kind, Result};
use crate::origin::web::{self, Hints, Target, Wanted};
use crate::transport::Client;
use futures_util::{FutureExt as _, StreamExt as _};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, RetryConfig};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// A bucket. Its credentials can be obtained anew.
pub(super) struct Bucket {
    options: StoreOptions,
    connector: Connector,
    client: Client,
    store: Mutex<Arc<dyn ObjectStore>>,
}

impl Bucket {
    /// Prepares the access to a bucket, without contacting it.
    ///
    /// # Errors
    /// `Usage`: the options do not fit together.
    pub(super) fn new(options: StoreOptions, client: Client) -> Result<Bucket> {
        let connector = Connector::new(client.clone())?;
        let store = Mutex::new(build(&options, &client, &connector)?);
        Ok(Bucket { options, connector, client, store })
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Obtains the credentials anew; false if there are no others.
    pub(super) fn renew(&self) -> bool {
        let is_fixed = |(name, _): &(&str, String)| {
            matches!(*name, "aws_access_key_id" | "azure_storage_account_key" | "azure_storage_sas_key")
        };
        if self.options.is_anonymous || self.options.settings.iter().any(is_fixed) {
            return false;
        }
        let Ok(store) = build(&self.options, &self.client, &self.connector) else { return false };
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store;
        true
    }

    /// Returns the signed request for an object.
    ///
    /// # Errors
    /// `Credentials`: there are none.
    pub(super) async fn sign(&self, key: &Path, wanted: &Wanted) -> Result<Target> {
        let caught = Caught::default();
        let mut get = GetOptions { range: wanted.range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        if let Some(version) = &wanted.version {
            get.if_match = Some(version.condition().1.to_owned());
        }
        get.extensions.insert(caught.clone());
        // it fails either way: the request is caught, or cannot be signed
        let failed = unless_panic(self.store().get_opts(key, get)).await;
        let unsigned = |why: &str| {
            Error::new(Kind::Credentials, format!("no credentials for the store: {why}"))
                .with_hint(self.credentials_hint())
        };
        if let Some((url, headers)) = caught.take() {
            return Ok(Target { url, headers });
        }
        // the error says what was answered
        drop(self.connector.take_refusal());
        Err(match failed {
            Some(Err(error)) => unsigned(&error.to_string()),
            None => unsigned("an address or an answer of the service for credentials is not valid"),
            Some(Ok(_)) => Error::new(Kind::Local, "a request was not signed: this is a bug"),
        })
    }

    fn credentials_hint(&self) -> &'static str {
        match self.options.cloud {
            Cloud::S3 => {
                "set source.store.access_key_id and secret_access_key, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a \
                 profile; for a public bucket source.store.anonymous: true"
            }
            Cloud::Gcs => "set GOOGLE_APPLICATION_CREDENTIALS; for a public bucket source.store.anonymous: true",
            Cloud::Azure => {
                "set source.store.account and key or sas_token, or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY; for a public \
                 container source.store.anonymous: true"
            }
        }
    }

    /// Returns the objects under a prefix that `fits`, in the order of their keys.
    ///
    /// # Errors
    /// `Local`: there is no such bucket. `Credentials`, `Transient`.
    pub(super) async fn list(
        &self,
        remote: &Remote<'_>,
        name: &str,
        prefix: &str,
        fits: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Vec<ObjectMeta>> {
        let call = Call::new("list", RetrySafety::Always);
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| no_key(name, &error))?;
        let prefix = &prefix;
        let mut found = remote
            .attempts(&call, |_| async move {
                // a fault of the credentials is the same whether or not the path is a glob
                if let Err(error) = self.sign(&Path::from("key"), &Wanted::default()).await {
                    return Attempt::Final(named(name, &error));
                }
                let store = self.store();
                let mut listing = store.list(Some(prefix).filter(|prefix| !prefix.as_ref().is_empty()));
                let mut found = Vec::new();
                loop {
                    match unless_panic(listing.next()).await {
                        Some(Some(Ok(object))) if fits(object.location.as_ref()) => found.push(object),
                        Some(Some(Ok(_))) => {}
                        Some(Some(Err(error))) => return self.failed(name, &error),
                        Some(None) => break,
                        None => return Attempt::Final(unreadable(name)),
                    }
                }
                Attempt::Done(found)
            })
            .await?;
        found.sort_by(|a, b| a.location.as_ref().cmp(b.location.as_ref()));
        Ok(found)
    }

    /// Classifies a listing that failed.
    fn failed<T>(&self, name: &str, error: &object_store::Error) -> Attempt<T> {
        match self.connector.take_refusal() {
            Some(answer) => web::refused(&format!("listing {name}"), &LISTING, &answer),
            None => Attempt::Unclear(Error::new(Kind::Transient, format!("listing {name}: {error}"))),
        }
    }
}

/// Returns the result of a future, or `None` if it panicked, as object_store does if it cannot build a request.
async fn unless_panic<T>(future: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(future).catch_unwind().await.ok()
}

/// Returns an error with the name of an object or a glob.
pub(super) fn named(name: &str, error: &Error) -> Error {
    let message = format!("{name}: {}", error.message());
    Error::new(error.kind(), message).with_hint(error.hint().unwrap_or_default())
}

/// Returns the error for a listing that object_store cannot continue.
fn unreadable(name: &str) -> Error {
    Error::new(Kind::Local, format!("listing {name}: a response of the store cannot be read"))
        .with_hint("name each object by itself, without *")
}

const LISTING: Hints = Hints {
    denied: "a path with * needs the permission to list the bucket: s3:ListBucket, storage.objects.list, or list (l) of the container",
    expired: "renew the credentials, then run again",
    missing: "check the name of the bucket in source.path, and source.store.region",
    other: "check source.path and source.store (endpoint, region)",
};

/// Returns the error for a key that object_store does not allow.
pub(super) fn no_key(name: &str, error: &object_store::path::Error) -> Error {
    Error::usage(format!("source.path: {name}: not a key that can be read: {error}"))
        .with_hint("keys with empty parts (//) or with the parts . and .. are not supported")
}

/// Settings that are secrets.
const SECRETS: [&str; 8] = [
    "aws_secret_access_key",
    "aws_session_token",
    "azure_storage_account_key",
    "azure_storage_sas_key",
    "azure_client_secret",
    "google_service_account_key",
    "secret_access_key",
    "session_token",
];

/// Builds the access to a store.
fn build(options: &StoreOptions, client: &Client, connector: &Connector) -> Result<Arc<dyn ObjectStore>> {
    let profile: Vec<(String, String)> = options.profile.iter().flat_map(Profile::keys).collect();
    let given = options.settings.iter().map(|(name, value)| (*name, value));
    for (name, value) in given.chain(profile.iter().map(|(name, value)| (name.as_str(), value))) {
        if SECRETS.contains(&name) {
            client.taint().add(value);
        }
    }
    let build = || match options.cloud {
        Cloud::S3 => s3(options, profile, connector),
        Cloud::Gcs => gcs(options, connector),
        Cloud::Azure => azure(options, connector),
    };
    catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|_| {
        Err(Error::usage("source.store: no request can be made with these keys and credentials")
            .with_hint("compare them with what the store or the cloud shows"))
    })
}

fn wrong(error: object_store::Error) -> Error {
    Error::usage(format!("source.store: {error}")).with_hint("`listferry schema` prints the keys of source.store")
}

/// Each call is repeated by us.
fn retry() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn gcs(options: &StoreOptions, connector: &Connector) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = object_store::gcp::GoogleCloudStorageBuilder::new()
        .with_bucket_name(&options.bucket)
        .with_skip_signature(options.is_anonymous)
        .with_retry(retry())
        .with_http_connector(connector.to(options.endpoint.as_deref()));
    for (name, value) in &options.settings {
        builder = builder.with_config(name.parse().map_err(wrong)?, value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    Ok(Arc::new(builder.build().map_err(wrong)?))
}

fn azure(options: &StoreOptions, connector: &Connector) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = object_store::azure::MicrosoftAzureBuilder::new()
        .with_container_name(&options.bucket)
        .with_skip_signature(options.is_anonymous)
        .with_allow_http(true)
        .with_retry(retry())
        .with_http_connector(connector.to(options.endpoint.as_deref()));
    for (name, value) in &options.settings {
        builder = builder.with_config(name.parse().map_err(wrong)?, value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    Ok(Arc::new(builder.build().map_err(wrong)?))
}

fn s3(options: &StoreOptions, profile: Vec<(String, String)>, connector: &Connector) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = object_store::aws::AmazonS3Builder::new()
        .with_bucket_name(&options.bucket)
        .with_skip_signature(options.is_anonymous)
        .with_virtual_hosted_style_request(!options.is_path_style)
        .with_allow_http(true)
        .with_retry(retry());
    let (mut endpoint, mut region) = (options.endpoint.clone(), "us-east-1".to_owned());
    for (name, value) in profile {
        let at = format!("{name} in the profile of the AWS command line");
        match name.as_str() {
            "region" => {
                valid::setting(&at, "aws_region", &value)?;
                region = value;
            }
            "endpoint_url" if endpoint.is_none() => {
                valid::endpoint(&at, &value)?;
                endpoint = Some(value);
            }
            "aws_access_key_id"
            | "aws_secret_access_key"
            | "aws_session_token"
            | "role_arn"
            | "web_identity_token_file" => {
                valid::setting(&at, &name, &value)?;
                builder = builder.with_config(name.parse().map_err(wrong)?, value);
            }
            _ => {}
        }
    }
    for (name, value) in &options.settings {
        match *name {
            "aws_region" => region.clone_from(value),
            _ => builder = builder.with_config(name.parse().map_err(wrong)?, value),
        }
    }
    let own = endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    if !options.is_path_style {
        endpoint = Some(valid::with_bucket(&own, &options.bucket)?);
    }
    if let Some(endpoint) = &endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let builder = builder.with_region(region).with_http_connector(connector.to(endpoint.as_deref()));
    Ok(Arc::new(builder.build().map_err(wrong)?))
}
