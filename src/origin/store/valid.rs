//! Validates what becomes a part of requests before the first request is made: object_store panics if it cannot build a
//! request.

use crate::error::{Error, Result};
use crate::transport::origin;

/// Validates the address of a store; `at` is the key or the variable that contains it.
///
/// # Errors
/// `Usage`.
pub(super) fn endpoint(at: &str, url: &str) -> Result<()> {
    let wrong = |what: &str| {
        Err(wrong(at, what).with_hint("for example https://minio.example.com:9000; the bucket is in source.path"))
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return wrong("must begin with https:// or http://");
    };
    if !["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return wrong("must begin with https:// or http://");
    }
    if rest.contains(['?', '#']) {
        return wrong("must be an address without a query");
    }
    if rest.split('/').next().unwrap_or_default().contains('@') {
        return wrong("must be an address without a user and a password: they are keys of source.store");
    }
    if !is_sendable(url) { wrong("is not a valid address: host, port or path is wrong") } else { Ok(()) }
}

/// Validates a setting of object_store; `at` is the key or the variable that contains it.
///
/// # Errors
/// `Usage`.
pub(super) fn setting(at: &str, name: &str, value: &str) -> Result<()> {
    let is_name = |more: &str| value.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    match name {
        // a JSON text
        "google_service_account_key" => return Ok(()),
        "aws_region" if value.is_empty() || !is_name("-_.") => {
            return Err(wrong(at, "is not the name of a region").with_hint("for example eu-west-1"));
        }
        "azure_storage_account_name" if value.is_empty() || !is_name("-_") => {
            return Err(wrong(at, "is not the name of a storage account")
                .with_hint("it is the first part of the account's address: NAME.blob.core.windows.net"));
        }
        _ => {}
    }
    // a command that resolves no secrets has empty ones
    if value.chars().any(char::is_control) {
        return Err(wrong(at, "has a line end or another control character")
            .with_hint("look for a stray line end in the secret, the variable or the job file"));
    }
    let is_text = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let can_be_sent = match name {
        "aws_access_key_id" | "aws_session_token" | "azure_client_id" | "azure_client_secret" => is_text,
        "azure_storage_sas_key" => is_text && !value.contains(' '),
        "azure_tenant_id" => is_sendable(&format!("https://host.example/{value}")),
        "aws_container_credentials_relative_uri" => {
            value.starts_with('/') && is_sendable(&format!("http://host.example{value}"))
        }
        "aws_container_credentials_full_uri"
        | "aws_metadata_endpoint"
        | "azure_msi_endpoint"
        | "azure_authority_host" => is_sendable(value),
        "aws_container_authorization_token_file" => return token_file(at, value),
        _ => true,
    };
    if can_be_sent {
        return Ok(());
    }
    Err(wrong(at, "has characters that cannot be sent, or is not a valid address")
        .with_hint("compare it with what the store or the cloud shows"))
}

/// Validates the file of a token that is sent as a header. A file that does not exist is another error.
fn token_file(at: &str, path: &str) -> Result<()> {
    let is_text = |token: &str| token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match std::fs::read_to_string(path) {
        Ok(token) if !is_text(&token) => {
            Err(wrong(at, "names a file whose token has a line end or another character that cannot be sent")
                .with_hint("write the token alone into the file, without a line end: printf %s"))
        }
        _ => Ok(()),
    }
}

/// Returns the address of a bucket that is a part of the host.
///
/// # Errors
/// `Usage`: the host is an IP address, or the bucket's name cannot be a part of a host.
pub(super) fn with_bucket(endpoint: &str, bucket: &str) -> Result<String> {
    let wrong = |what: &str| {
        Err(wrong("source.store.path_style", what)
            .with_hint("set path_style: true, or leave it out: that is the default"))
    };
    let is_ip = url::Url::parse(endpoint).is_ok_and(|url| !matches!(url.host(), Some(url::Host::Domain(_))));
    if is_ip {
        return wrong("is false, so the endpoint must have a name: a bucket cannot be a part of an IP address");
    }
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let url = format!("{scheme}://{bucket}.{host}");
    if is_sendable(&url) { Ok(url) } else { wrong("is false, but the bucket's name cannot be a part of a host name") }
}

/// Whether a request can be sent to an address, as all who parse it see it.
pub(super) fn is_sendable(url: &str) -> bool {
    url.bytes().all(|byte| byte.is_ascii_graphic())
        && origin(url).is_ok()
        && url.parse::<http::Uri>().is_ok()
        && url::Url::parse(url).is_ok_and(|url| url.has_host())
}

fn wrong(at: &str, what: &str) -> Error {
    let error = Error::usage(format!("{at} {what}"));
    if at.starts_with("source.") { error.with_key(at) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_no_request_can_be_sent_to_are_refused() {
        for url in ["https://minio.example.com:9000", "http://127.0.0.1:9/account", "HTTP://[::1]:9/", "https://a_b.c"]
        {
            assert!(endpoint("x", url).is_ok(), "{url}");
        }
        for url in [
            "minio:9000",
            "minio",
            "",
            "//x",
            "ftp://x",
            "http://",
            "http:///",
            "http:///x",
            "http://h o",
            "http://h:99999",
            "http://h:0",
            "http://[::1",
            "https:127.0.0.1:9",
            "http://\u{fc}:1",
            "http://h/a b",
            "http://h/\n",
            "http://h\n",
            "http://u:p@h",
            "http://h?a=b",
            "http://h#a",
            "http://1.2.3.999",
        ] {
            let error = endpoint("source.store.endpoint", url).unwrap_err();
            assert!(
                error.hint().is_some() && error.message().starts_with("source.store.endpoint "),
                "{url}: {error:?}"
            );
        }
    }

    #[test]
    fn a_bucket_is_a_part_of_names_only() {
        assert_eq!(with_bucket("https://s3.example:9", "b-1").unwrap(), "https://b-1.s3.example:9");
        for (endpoint, bucket) in [("http://127.0.0.1:9", "b"), ("http://[::1]:9", "b"), ("http://h", "b..$%")] {
            assert!(with_bucket(endpoint, bucket).is_err(), "{endpoint} {bucket}");
        }
    }
}
