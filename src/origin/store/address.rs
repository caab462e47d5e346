//! Addresses of objects.

use super::cloud::{Bucket, named};
use super::options::Cloud;
use crate::calls::BoxFuture;
use crate::error::{Error, Result};
use crate::origin::web::{Address, Hints, Target, Wanted};
use object_store::path::Path;
use std::sync::Arc;

/// The schemes.
pub(super) const SCHEMES: &[&str] = &["s3", "gs", "az"];

/// A path of the job file: a bucket and a key, or a glob of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cloud: Cloud,
    pub(super) bucket: String,
    pub(super) key: String,
}

impl Place {
    /// Parses `s3://bucket/key`, `gs://bucket/key` or `az://container/key`.
    ///
    /// # Errors
    /// `Usage`.
    pub(super) fn parse(path: &str) -> Result<Place> {
        let wrong = |what: &str| {
            Error::usage(format!("source.path: {}: {what}", crate::secret::printable(path)))
                .with_hint("for example s3://bucket/folder/list.csv.gz or s3://bucket/folder/*.csv")
        };
        let (scheme, rest) = path.split_once("://").ok_or_else(|| wrong("not an address"))?;
        let cloud = match scheme.to_ascii_lowercase().as_str() {
            "s3" => Cloud::S3,
            "gs" => Cloud::Gcs,
            _ => Cloud::Azure,
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.$".contains(c);
        if !bucket.chars().all(is_name) || !bucket.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '$') {
            return Err(wrong("not a name of a bucket"));
        }
        if key.is_empty() || key.ends_with('/') {
            return Err(wrong("no key after the bucket"));
        }
        Ok(Place { cloud, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// Returns the name of an object of the same bucket, as the user writes it.
    pub(super) fn name_of(&self, key: &str) -> String {
        let scheme = match self.cloud {
            Cloud::S3 => "s3",
            Cloud::Gcs => "gs",
            Cloud::Azure => "az",
        };
        format!("{scheme}://{}/{key}", self.bucket)
    }
}

/// An object of a bucket.
pub(super) struct Object {
    pub(super) bucket: Arc<Bucket>,
    pub(super) cloud: Cloud,
    pub(super) name: String,
    pub(super) key: Path,
}

const EXPIRED: &str = "the credentials may have expired while the list was read: renew them, then run again";
const OTHER: &str = "check source.path and source.store (endpoint, region)";

const S3: Hints = Hints {
    denied: "the credentials need the permission s3:GetObject for this key, and s3:ListBucket to learn that it is missing; check \
             the keys or the profile in source.store",
    expired: EXPIRED,
    missing: "check the bucket and the key in source.path, and source.store.region",
    other: OTHER,
};
const GCS: Hints = Hints {
    denied: "the credentials need the permission storage.objects.get for this object; check GOOGLE_APPLICATION_CREDENTIALS",
    expired: EXPIRED,
    missing: "check the bucket and the name of the object in source.path",
    other: OTHER,
};
const AZURE: Hints = Hints {
    denied: "the credentials need the role Storage Blob Data Reader, or a signature with the permission read (r); check \
             source.store (account, key, sas_token)",
    expired: EXPIRED,
    missing: "check the container and the name of the blob in source.path, and source.store.account",
    other: OTHER,
};

impl Address for Object {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn target<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Target>> {
        Box::pin(async move { self.bucket.sign(&self.key, wanted).await.map_err(|error| named(&self.name, &error)) })
    }

    fn hints(&self) -> &Hints {
        match self.cloud {
            Cloud::S3 => &S3,
            Cloud::Gcs => &GCS,
            Cloud::Azure => &AZURE,
        }
    }

    fn renew(&self) -> bool {
        self.bucket.renew()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_keys_are_told_apart() {
        let place =
            |path: &str| Place::parse(path).map(|place| (place.cloud, place.bucket.clone(), place.name_of(&place.key)));
        for (path, cloud, bucket) in [
            ("s3://b-1/a/list *.csv", Cloud::S3, "b-1"),
            ("gs://b.example.com/k", Cloud::Gcs, "b.example.com"),
            ("az://$web/k", Cloud::Azure, "$web"),
        ] {
            assert_eq!(place(path).unwrap(), (cloud, bucket.to_owned(), path.to_owned()));
        }
        for path in ["s3://", "s3://b", "s3://b/", "s3:///k", "s3://../k", "s3://b/folder/", "s3://u:p@b/k"] {
            let error = place(path).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Usage, "{path}");
        }
    }
}
