//! The `destination` of a Yesmail job.

use super::columns::Columns;
use super::serve::Tls;
use crate::error::{Error, Faults, Result};
use crate::mapping::{MapSpec, Quoting, Separator};
use crate::secret::Secret;
use crate::settings::{Key, KeyKind, Settings};
use crate::transport::{Header, missing_headers};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use url::{Host as UrlHost, Url};

/// Yesmail's own address.
pub(super) const ORIGIN: &str = "https://api.yesmail.com";

/// The keys of `destination`.
pub(super) const KEYS: &[Key] = &[
    Key::new("list", KeyKind::Id, true, None, "Name of the target list."),
    Key::new("api_user", KeyKind::Secret, true, None, "The Api-User header."),
    Key::new("api_key", KeyKind::Secret, true, None, "The Api-Key header."),
    Key::new(
        "import_type",
        KeyKind::OneOf(&["update", "ignore", "replace"]),
        false,
        Some("update"),
        "How to handle existing members: merge, leave alone or overwrite.",
    ),
    Key::new(
        "error_threshold",
        KeyKind::Any,
        false,
        Some("0"),
        "Failed rows at which the import stops: a whole number (0: never) or a share like \"5%\".",
    ),
    Key::new("headers", KeyKind::Bool, false, Some("true"), "Whether the file has a header line."),
    Key::new(
        "separator",
        KeyKind::OneOf(&["auto", ",", "\t", "\\t", "|", ";"]),
        false,
        Some("auto"),
        "Separates cells; auto: the first of tab, pipe, semicolon, comma that occurs in no value.",
    ),
    Key::new(
        "quoting",
        KeyKind::OneOf(&["rfc4180", "never"]),
        false,
        Some("rfc4180"),
        "never: a value that would need quotes rejects the row.",
    ),
    Key::new("response_uri", KeyKind::Text, false, None, "Passed on: the URL to which Yesmail posts the final status."),
    Key::new("response_ref", KeyKind::Id, false, None, "Passed on: your own reference of the ticket."),
    Key::new("host", KeyKind::Object(HOST_KEYS), true, None, "Where Yesmail fetches the file from: exactly one of."),
];

const HOST_KEYS: &[Key] = &[
    Key::new("uri", KeyKind::Url, false, None, "URL of an existing file: nothing is converted or sent, only imported."),
    Key::new("put", KeyKind::Object(PUT_KEYS), false, None, "Sent with HTTP PUT first."),
    Key::new(
        "ftp",
        KeyKind::Object(FTP_KEYS),
        false,
        None,
        "Sent by FTP first: a temporary name, SIZE compared, renamed.",
    ),
    Key::new("serve", KeyKind::Object(SERVE_KEYS), false, None, "Served by this process until the ticket is final."),
];

const PUT_KEYS: &[Key] = &[
    Key::new("url", KeyKind::Secret, true, None, "URL of the PUT, for example a presigned URL."),
    Key::new(
        "fetch_url",
        KeyKind::Url,
        true,
        None,
        "URL from which Yesmail fetches the file; may contain user:password.",
    ),
    Key::new(
        "headers",
        KeyKind::Object(HEADER_KEYS),
        false,
        Some("{}"),
        "Headers of the PUT, by name: those that a signed URL demands (Content-Type), or an access token. Values may be secrets.",
    ),
];

const HEADER_KEYS: &[Key] = &[Key::new("*", KeyKind::Secret, false, None, "The value of the header.")];

const FTP_KEYS: &[Key] = &[
    Key::new(
        "url",
        KeyKind::Secret,
        true,
        None,
        "ftp://user@host/dir/list.csv, or ftps:// for explicit TLS; no user: anonymous.",
    ),
    Key::new("password", KeyKind::Secret, false, None, "The user's password."),
    Key::new(
        "fetch_url",
        KeyKind::Url,
        false,
        None,
        "URL from which Yesmail fetches the file, if not by FTP from the same address; may contain user:password.",
    ),
];

const SERVE_KEYS: &[Key] = &[
    Key::new("listen", KeyKind::Text, true, None, "Address and port to listen on."),
    Key::new(
        "public_url",
        KeyKind::Text,
        false,
        Some("auto"),
        "Scheme, host and port as Yesmail sees them; auto: the listening address.",
    ),
    Key::new("tls_cert", KeyKind::Text, false, None, "PEM file of the certificate chain."),
    Key::new("tls_key", KeyKind::Text, false, None, "PEM file of its private key."),
];

/// The `destination` of a job.
#[derive(Debug)]
pub(super) struct Options {
    /// Base URL of the API's paths.
    pub(super) base: String,
    pub(super) list: String,
    pub(super) api_user: Secret,
    pub(super) api_key: Secret,
    pub(super) import_type: &'static str,
    /// In the form of the request: a number, or a text with a percent sign.
    pub(super) error_threshold: Value,
    pub(super) headers: bool,
    pub(super) separator: Separator,
    pub(super) quoting: Quoting,
    pub(super) response_uri: Option<String>,
    pub(super) response_ref: Option<String>,
    pub(super) host: Host,
}

/// How Yesmail can fetch the file.
#[derive(Debug)]
pub(super) enum Host {
    /// The file exists already.
    Uri(Secret),
    /// The file is put there.
    Put { url: Secret, headers: Vec<Header>, fetch_url: Secret },
    /// The file is sent there by FTP.
    Ftp { url: Secret, password: Option<Secret>, fetch_url: Option<Secret> },
    /// The file is served by this process.
    Serve(ServeOptions),
}

/// `host.serve`.
#[derive(Debug)]
pub(super) struct ServeOptions {
    pub(super) listen: SocketAddr,
    /// `None`: the listening address.
    pub(super) public_url: Option<Url>,
    /// The PEM files of chain and key.
    pub(super) tls: Option<(PathBuf, PathBuf)>,
}

impl ServeOptions {
    /// Reads the certificate, if there is one.
    pub(super) fn load_tls(&self) -> Result<Option<Tls>> {
        self.tls.as_ref().map(|(cert, key)| Tls::load(cert, key)).transpose()
    }
}

impl Options {
    pub(super) fn read(settings: &Settings<'_>) -> Result<Options> {
        let mut faults = Faults::default();
        faults.or_default(settings.check(KEYS));
        let list = faults.or_default(settings.text("list"));
        if list.chars().any(char::is_control) || settings.get("list").is_some() && list.is_empty() {
            let error = Error::usage("destination.list must be a name without control characters");
            faults.add(error.with_hint("the target list's name as Yesmail shows it, on one line"));
        }
        let import_type = settings.one_of("import_type", &["update", "ignore", "replace"]);
        let quoting = faults.or_default(settings.one_of("quoting", &["rfc4180", "never"]));
        let separator = faults.or_none(separator(settings));
        let host = faults.or_none(host(settings));
        let options = Options {
            base: faults.or_default(settings.base_url(ORIGIN)),
            list,
            api_user: faults.or_default(header_secret(settings, "api_user")),
            api_key: faults.or_default(header_secret(settings, "api_key")),
            import_type: faults.or_default(import_type).unwrap_or("update"),
            error_threshold: faults.or_default(threshold(settings.get("error_threshold"))),
            headers: faults.or_default(settings.bool_or("headers", true)),
            separator: separator.unwrap_or(Separator::Auto),
            quoting: if quoting == Some("never") { Quoting::Never } else { Quoting::Rfc4180 },
            response_uri: faults.or_default(settings.opt_text("response_uri")),
            response_ref: faults.or_default(settings.opt_text("response_ref")),
            // not used if there is a fault
            host: host.unwrap_or_else(|| Host::Uri(Secret::default())),
        };
        if let (Host::Serve(serve), false) = (&options.host, options.api_key.expose().is_empty()) {
            // A check has no credentials, and the TLS key is one.
            faults.or_none(serve.load_tls());
        }
        faults.into_result(options)
    }
}

/// Reads a secret for a header; an error about its characters does not show it.
fn header_secret(settings: &Settings<'_>, key: &str) -> Result<Secret> {
    let secret = settings.secret(key)?;
    if secret.expose().bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(secret);
    }
    Err(Error::usage(format!("destination.{key} contains a character that is not allowed in a header"))
        .with_hint("is there a line end at its end?"))
}

impl Options {
    /// Returns the mapping of columns of the file to columns of the list.
    ///
    /// # Errors
    /// `Usage`: the map is not valid for the file at `host.uri`.
    pub(super) fn columns(&self, map: &MapSpec) -> Result<Columns> {
        match self.host {
            Host::Uri(_) => Columns::of_file_there(map, self.headers),
            _ => Ok(Columns::of_own_file(map, self.headers)),
        }
    }
}

/// Parses a URL that consists only of scheme, host and port.
pub(super) fn origin_of(text: &str, at: &str) -> Result<Url> {
    let wrong = |why: &str| Error::usage(format!("{at} {why}")).with_hint("for example https://api.example.com");
    let url = Url::parse(text).map_err(|_| wrong("is not a valid URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("must begin with http:// or https://"));
    }
    if !matches!(url.path(), "" | "/")
        || url.query().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(wrong("must consist of scheme, host and port"));
    }
    Ok(url)
}

/// Whether a URL's host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(UrlHost::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(UrlHost::Ipv4(ip)) => ip.is_loopback(),
        Some(UrlHost::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn separator(settings: &Settings<'_>) -> Result<Separator> {
    match settings.opt_text("separator")?.as_deref() {
        None | Some("auto") => Ok(Separator::Auto),
        Some(",") => Ok(Separator::Byte(b',')),
        Some("\t" | "\\t") => Ok(Separator::Byte(b'\t')),
        Some("|") => Ok(Separator::Byte(b'|')),
        Some(";") => Ok(Separator::Byte(b';')),
        Some(_) => Err(Error::usage("destination.separator must be one of auto, \",\", \"\\t\", \"|\", \";\"")
            .with_hint("in quotes, a tab as \"\\t\"; auto takes the first that occurs in no value")),
    }
}

/// Reads the threshold: a whole number is sent as a number, a share as a text with its sign, as the vendor demands.
fn threshold(value: Option<&Value>) -> Result<Value> {
    let wrong = || {
        Error::usage("destination.error_threshold must be a whole number from 0, or a share above 0% and below 100%")
            .with_hint("write the share in quotes: \"5%\"")
    };
    match value {
        None => Ok(json!(0)),
        Some(Value::Number(number)) => number.as_u64().map(Value::from).ok_or_else(wrong),
        Some(Value::String(text)) => {
            let text = text.trim();
            let Some(share) = text.strip_suffix('%') else {
                return text.parse::<u64>().map(Value::from).map_err(|_| wrong());
            };
            let share = share.trim_end();
            let plain = !share.is_empty() && share.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            match share.parse::<f64>() {
                Ok(number) if plain && number > 0.0 && number < 100.0 => Ok(json!(format!("{share}%"))),
                _ => Err(wrong()),
            }
        }
        Some(_) => Err(wrong()),
    }
}

fn host(settings: &Settings<'_>) -> Result<Host> {
    let exactly_one = || {
        Error::usage("destination.host must have exactly one of uri, put, ftp, serve")
            .with_hint("it defines how Yesmail fetches the file")
    };
    let map = settings.opt_object("host")?.ok_or_else(exactly_one)?;
    let host = Settings { map, at: "destination.host", ..*settings };
    host.check(HOST_KEYS)?;
    let given: Vec<&str> = HOST_KEYS.iter().map(|key| key.name).filter(|name| host.get(name).is_some()).collect();
    let nested = |key: &str, at: &'static str, keys: &[Key]| -> Result<Settings<'_>> {
        let map = host.opt_object(key)?.ok_or_else(exactly_one)?;
        let nested = Settings { map, at, ..*settings };
        nested.check(keys)?;
        Ok(nested)
    };
    match given.as_slice() {
        ["uri"] => Ok(Host::Uri(address(&host, "uri", &["http", "https", "ftp"])?)),
        ["put"] => {
            let put = nested("put", "destination.host.put", PUT_KEYS)?;
            let url = checked(put.secret("url")?, "destination.host.put.url", &["http", "https"])?;
            let headers = headers(&put)?;
            signed(&url, &headers)?;
            Ok(Host::Put { url, headers, fetch_url: address(&put, "fetch_url", &["http", "https", "ftp"])? })
        }
        ["ftp"] => {
            let ftp = nested("ftp", "destination.host.ftp", FTP_KEYS)?;
            let fetch_url = ftp.get("fetch_url").map(|_| address(&ftp, "fetch_url", &["http", "https", "ftp"]));
            Ok(Host::Ftp {
                url: checked(ftp.secret("url")?, "destination.host.ftp.url", &["ftp", "ftps"])?,
                password: ftp.opt_secret("password")?,
                fetch_url: fetch_url.transpose()?,
            })
        }
        ["serve"] => serve(&nested("serve", "destination.host.serve", SERVE_KEYS)?).map(Host::Serve),
        _ => Err(exactly_one()),
    }
}

/// Refuses a signed URL that demands a header that the job does not give: the storage would refuse the list.
fn signed(url: &Secret, headers: &[Header]) -> Result<()> {
    let missing = missing_headers(url.expose(), headers);
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "destination.host.put.url is signed for the header{} {}, which destination.host.put.headers does not give",
        if missing.len() == 1 { "" } else { "s" },
        missing.join(", ")
    );
    Err(Error::usage(message).with_hint(format!("headers: {{ {}: … }}, with the value that was signed", missing[0])))
}

/// Reads the headers of the PUT. Headers that describe the transfer are set by the client itself.
fn headers(settings: &Settings<'_>) -> Result<Vec<Header>> {
    const OWN: [&str; 7] =
        ["content-length", "transfer-encoding", "host", "connection", "expect", "te", "proxy-authorization"];
    let Some(map) = settings.opt_object("headers")? else { return Ok(Vec::new()) };
    let at = "destination.host.put.headers";
    let given = Settings { map, at, ..*settings };
    let mut headers = Vec::with_capacity(map.len());
    for name in map.keys() {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Error::usage(format!("{at}: a name is not a valid header name"))
                .with_hint("letters, digits and hyphens: for example Content-Type"));
        }
        if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err(Error::usage(format!("{at}.{name} is set by listferry itself")).with_hint("leave it out"));
        }
        let Some(value) = given.opt_secret(name)? else { continue };
        if !value.expose().bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) {
            return Err(Error::usage(format!("{at}.{name} contains a character that is not allowed in a header"))
                .with_hint("is there a line end at its end?"));
        }
        headers.push(Header { name: name.clone(), value });
    }
    Ok(headers)
}

fn serve(settings: &Settings<'_>) -> Result<ServeOptions> {
    let listen: SocketAddr = settings.text("listen")?.parse().map_err(|_| {
        Error::usage("destination.host.serve.listen must be an address and a port")
            .with_hint("for example 0.0.0.0:8443")
    })?;
    let tls = match (settings.opt_text("tls_cert")?, settings.opt_text("tls_key")?) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((settings.folder.join(cert), settings.folder.join(key))),
        _ => {
            return Err(Error::usage("destination.host.serve: tls_cert and tls_key go together")
                .with_hint("name both PEM files, or neither if loopback is enough"));
        }
    };
    if tls.is_none() && !listen.ip().is_loopback() {
        return Err(Error::usage("destination.host.serve without TLS may listen on loopback only")
            .with_hint("set tls_cert and tls_key, or listen on 127.0.0.1 behind a proxy that provides TLS"));
    }
    let public_url = match settings.opt_text("public_url")?.as_deref() {
        None | Some("auto") if listen.ip().is_loopback() => None,
        None | Some("auto") => {
            return Err(Error::usage("destination.host.serve.public_url: auto serves loopback only")
                .with_hint("name the address as Yesmail sees it, for example https://etl.example.com:8443"));
        }
        Some(text) => {
            let url = origin_of(text, "destination.host.serve.public_url")?;
            if url.scheme() == "http" && !is_loopback(&url) {
                return Err(Error::usage("destination.host.serve.public_url must be https, or loopback")
                    .with_hint("the list and its password would cross the network in the clear"));
            }
            Some(url)
        }
    };
    Ok(ServeOptions { listen, public_url, tls })
}

/// Reads an address that may be literal, or a secret as a whole.
fn address(settings: &Settings<'_>, key: &str, schemes: &[&str]) -> Result<Secret> {
    let secret = match settings.get(key) {
        Some(Value::String(text)) => Secret::new(text.as_str()),
        _ => settings.secret(key)?,
    };
    checked(secret, &format!("{}.{key}", settings.at), schemes)
}

/// Refuses a text that is not a URL of these schemes. An empty text is a secret that was not resolved (`check`).
fn checked(secret: Secret, at: &str, schemes: &[&str]) -> Result<Secret> {
    if secret.expose().is_empty() {
        return Ok(secret);
    }
    let wrong = |message: String, hint: &str| Err(Error::usage(message).with_hint(hint));
    match Url::parse(secret.expose()) {
        Ok(url) if schemes.contains(&url.scheme()) && url.host().is_some() => Ok(secret),
        Ok(url) if url.scheme() == "sftp" => wrong(
            format!("{at}: SFTP is not FTP but a protocol over SSH, which is not supported"),
            match schemes.contains(&"ftps") {
                true => "write ftps:// for FTP with TLS, or use host.put with a presigned URL",
                false => "Yesmail fetches over http, https and ftp alone: put the list where one of these leads to it",
            },
        ),
        Ok(url) if url.scheme() == "ftps" => wrong(
            format!("{at}: Yesmail does not fetch over FTP with TLS"),
            "it fetches over http, https and plain ftp",
        ),
        _ => wrong(
            format!("{at} must be a URL that begins with {}://", schemes.join(":// or ")),
            &format!("for example {}://files.example.com/list.csv", schemes[schemes.len() - 1]),
        ),
    }
}
