//! `source.path` with an address, and `source.http`.

use super::address::{HttpAddress, basic};
use crate::calls::{BoxFuture, aside};
use crate::error::{Error, Result};
use crate::origin::ranged::Driver;
use crate::origin::web::{self, Address, Site};
use crate::origin::{Entry, Opening, Origin, PATH};
use crate::secret::{Secret, names_a_secret, shown_key};
use crate::settings::{Key, KeyKind, Settings};
use crate::source::{OpenSource, SourceOptions};
use crate::transport::{Header, origin};
use serde_json::Value;
use std::sync::Arc;

/// Key of the options in `source`.
const SECTION: &str = "http";

pub(crate) const ENTRY: Entry = Entry {
    key: PATH,
    schemes: &["http", "https"],
    keys: &[key(SECTION, KeyKind::Object(KEYS), "How a list is requested from a web server.")],
    is_export: false,
    build: |source, options| Ok(Arc::new(HttpFile { options: options.clone(), address: read(source)? })),
};

const fn key(name: &'static str, kind: KeyKind, doc: &'static str) -> Key {
    Key::new(name, kind, false, None, doc)
}

/// `source.http`.
const KEYS: &[Key] = &[
    key(
        "headers",
        KeyKind::Object(&[key("*", KeyKind::Secret, "Value of the header; it may be a secret.")]),
        "Headers for the server of the address; a redirect to another server does not get them.",
    ),
    key("user", KeyKind::Secret, "User for basic authentication; it may be a secret."),
    key("password", KeyKind::Secret, "Password for basic authentication."),
];

/// Headers that are set for each request.
const RESERVED: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "proxy-authorization",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-type",
];

/// Reads the address and `source.http`.
///
/// # Errors
/// `Usage`: a key is invalid, or a secret is not set.
fn read(source: &Settings<'_>) -> Result<HttpAddress> {
    let url = match source.get(PATH) {
        // an address without a secret needs no warning
        Some(Value::String(text)) if !has_secret(text) => Secret::new(text.as_str()),
        _ => source.secret(PATH)?,
    };
    // a command that resolves no secrets has no address
    if !url.expose().is_empty() {
        origin(url.expose()).map_err(|error| {
            let message = format!("source.path: {}", error.message());
            Error::usage(message).with_hint("for example https://files.example.com/list.csv")
        })?;
    }
    let none = serde_json::Map::new();
    let map = source.opt_object(SECTION)?.unwrap_or(&none);
    let http = Settings { map, at: "source.http", ..*source };
    let map = http.opt_object("headers")?.unwrap_or(&none);
    let mut headers = headers(&Settings { map, at: "source.http.headers", ..*source })?;
    let user = match http.get("user") {
        Some(Value::String(user)) => Some(Secret::new(user.as_str())),
        _ => http.opt_secret("user")?,
    };
    match (user, http.opt_secret("password")?) {
        (None, None) => {}
        (Some(user), password) => {
            if headers.iter().any(|header| header.name.eq_ignore_ascii_case("authorization")) {
                return Err(Error::usage("source.http has both user and the header Authorization")
                    .with_hint("keep one of them"));
            }
            headers.push(basic(user.expose(), password.as_ref().map_or("", Secret::expose)));
        }
        (None, Some(_)) => {
            return Err(
                Error::usage("source.http.password needs source.http.user").with_hint("add user to source.http")
            );
        }
    }
    Ok(HttpAddress { url, headers })
}

fn headers(settings: &Settings<'_>) -> Result<Vec<Header>> {
    let mut headers = Vec::new();
    for (name, value) in settings.map {
        let shown = shown_key(name);
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(Error::usage(format!("source.http.headers: \"{shown}\" is not a valid name of a header"))
                .with_hint("for example X-Api-Key"));
        }
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) {
            return Err(Error::usage(format!("source.http.headers: {shown} cannot be set"))
                .with_hint("listferry sets it by itself; leave it out"));
        }
        let value = match value {
            Value::Null => continue,
            Value::String(text) if !names_a_secret(&lower) && lower != "cookie" => Secret::new(text.as_str()),
            _ => settings.secret(name)?,
        };
        headers.push(Header { name: name.clone(), value });
    }
    Ok(headers)
}

/// Whether an address in the job file contains a password or a signature.
fn has_secret(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    url.password().is_some() || url.query_pairs().any(|(name, _)| names_a_secret(&name))
}

/// A file of a web server.
struct HttpFile {
    address: HttpAddress,
    options: SourceOptions,
}

impl HttpFile {
    /// Runs `work`, which may block, with the means to request the file.
    fn with_site<'a, T: Send + 'static>(
        &'a self,
        opening: &'a Opening<'_>,
        work: impl FnOnce(Site, SourceOptions, Arc<Driver>) -> Result<T> + Send + 'a + 'static,
    ) -> BoxFuture<'a, Result<T>> {
        let (address, options) = (Arc::new(self.address.clone()), self.options.clone());
        let cancelled = Arc::clone(&opening.cancelled);
        Box::pin(async move {
            let network = (opening.network)()?;
            aside(opening.in_line, move || work(Site::new(address, network), options, Driver::start(cancelled)?))
                .await?
        })
    }
}

impl Origin for HttpFile {
    fn name(&self) -> String {
        self.address.name()
    }

    fn options(&self) -> &SourceOptions {
        &self.options
    }

    fn open<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<OpenSource>> {
        let (copies, threads) = (opening.copies.clone(), opening.threads);
        self.with_site(opening, move |site, options, driver| web::open(site, &options, &copies, driver, threads))
    }

    fn stamp<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<Option<String>>> {
        self.with_site(opening, |site, options, driver| web::stamp(site, &options, driver))
    }
}
