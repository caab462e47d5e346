//! URLs, parsed by hand: what follows the host is sent byte for byte as given, because a signature may cover it.

use super::{Failed, Reach};
use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, redacted_url};
use base64::Engine as _;
use std::net::IpAddr;

/// The target of a request.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) https: bool,
    pub(super) host: url::Host,
    pub(super) port: u16,
    /// Path and query, unchanged; at least `/`.
    pub(super) path: String,
    /// `Basic …`, if the URL has user-info.
    pub(super) basic: Option<Secret>,
}

impl Target {
    /// Parses an absolute http or https URL. Error messages contain only scheme, host and path.
    pub(super) fn parse(url: &str) -> Result<Target> {
        let wrong = |what: &str| Error::usage(format!("{what}: {}", redacted_url(url)));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("not an absolute URL"))?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("not an http or https URL")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(authority_end);
        if after.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(wrong("a URL with a space or a control character"));
        }
        let path = match after.as_bytes().first() {
            Some(b'/') => after.to_owned(),
            _ => format!("/{after}"),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let name_end = if place.starts_with('[') { place.find(']').map_or(place.len(), |end| end + 1) } else { 0 };
        let (host, port) = match place[name_end..].rfind(':') {
            Some(colon) => place.split_at(name_end + colon),
            None => (place, ""),
        };
        let port = match port.strip_prefix(':') {
            None | Some("") => default_port(https),
            Some(digits) => match digits.parse() {
                Ok(port) if port != 0 && digits.bytes().all(|b| b.is_ascii_digit()) => port,
                _ => return Err(wrong("not a valid port")),
            },
        };
        // normalises letter case, IDNA and every notation of an IPv4 address, so that no check can be bypassed
        let host = url::Host::parse(host).map_err(|_| wrong("not a valid host"))?;
        Ok(Target { https, host, port, path, basic: user.map(basic) })
    }

    /// Returns host and port for the `Host` header; the port only if it is not the scheme's default.
    pub(super) fn authority(&self) -> String {
        if self.port == default_port(self.https) { self.host.to_string() } else { self.host_and_port() }
    }

    /// Returns host and port, always both.
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns scheme, host and port in normal form.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }

    /// Returns the host alone, without the brackets of an IPv6 address.
    pub(super) fn bare_host(&self) -> String {
        match &self.host {
            url::Host::Ipv6(ip) => ip.to_string(),
            other => other.to_string(),
        }
    }

    /// Returns the form for messages: no user-info, no query.
    pub(super) fn shown(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{}{}", self.origin(), crate::secret::printable(path))
    }

    pub(super) fn literal_ip(&self) -> Option<IpAddr> {
        match &self.host {
            url::Host::Domain(_) => None,
            url::Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
            url::Host::Ipv6(ip) => Some(IpAddr::V6(*ip)),
        }
    }

    /// Whether the host is a loopback address, `localhost` or a name under it.
    pub(super) fn is_loopback(&self) -> bool {
        match &self.host {
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            _ => self.literal_ip().is_some_and(is_loopback_ip),
        }
    }

    /// Returns true if the URL itself contains an address that is not public.
    pub(super) fn is_plainly_inside(&self) -> bool {
        self.is_loopback() || self.literal_ip().is_some_and(is_inside)
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

fn basic(user_info: &str) -> Secret {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(user_info).collect();
    let mut pair = decoded;
    if !user_info.contains(':') {
        pair.push(b':');
    }
    Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

pub(super) fn is_loopback_ip(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Whether an address is loopback, private, link-local, shared (carrier) or unspecified. A response must not send us
/// there.
pub(super) fn is_inside(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_broadcast()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => {
            let s = ip.segments();
            // NAT64 addresses contain an IPv4 address
            if s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
                let [.., a, b, c, d] = ip.octets();
                return is_inside(IpAddr::from([a, b, c, d]));
            }
            ip.is_loopback() || ip.is_unspecified() || s[0] & 0xfe00 == 0xfc00 || s[0] & 0xffc0 == 0xfe80
        }
    }
}

/// Whether an address is link-local. Clouds serve credentials there, so no response may send us there, not even an
/// internal one.
pub(super) fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// Returns scheme, host and port of a URL in normal form (`https://host`, `http://host:8080`).
///
/// # Errors
/// `Usage`: not an absolute http or https URL.
pub fn origin(url: &str) -> Result<String> {
    Ok(Target::parse(url)?.origin())
}

/// Returns host and port of a URL, which may also begin with `tcp://`.
///
/// # Errors
/// `Usage`: not a valid URL.
#[cfg(feature = "jobs")]
pub(crate) fn host_and_port(url: &str) -> Result<String> {
    let plain = url.strip_prefix("tcp://").map(|rest| format!("http://{rest}"));
    Ok(Target::parse(plain.as_deref().unwrap_or(url))?.host_and_port())
}

/// Whether two URLs have the same scheme, host and port. False if one is not a valid URL.
#[must_use]
pub fn same_origin(a: &str, b: &str) -> bool {
    matches!((origin(a), origin(b)), (Ok(a), Ok(b)) if a == b)
}

/// Whether a URL's host is a loopback address or `localhost`. False if the URL is not valid.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    Target::parse(url).is_ok_and(|target| target.is_loopback())
}

/// Validates a URL that a response from `base` contains: http or https, no http from an https base, no loopback or
/// private address unless the base has one, no link-local address unless the base has one. When a
/// [`super::Request::supplied_by`] request connects, the addresses that its name resolves to are validated again.
///
/// # Errors
/// `Refused`.
pub fn check_foreign(url: &str, base: &str) -> Result<()> {
    let url = Target::parse(url).map_err(|e| e.into_kind(Kind::Refused))?;
    judge_foreign(&url, &Target::parse(base)?)
}

pub(super) fn judge_foreign(url: &Target, base: &Target) -> Result<()> {
    if base.https && !url.https {
        return Err(plain_http(url));
    }
    let link_local = |target: &Target| target.literal_ip().is_some_and(is_link_local);
    if link_local(url) && !link_local(base) {
        return Err(inside(url));
    }
    // a base that is a name may resolve to an internal address; that is checked when it connects
    if url.is_plainly_inside() && !base.is_plainly_inside() && base.literal_ip().is_some() {
        return Err(inside(url));
    }
    if url.is_loopback() && !base.is_plainly_inside() {
        return Err(inside(url));
    }
    Ok(())
}

pub(super) fn plain_http(url: &Target) -> Error {
    let message = format!("the answer named a plain http address: {}", url.origin());
    Error::new(Kind::Refused, message).with_hint("nothing was sent there")
}

pub(super) fn inside(url: &Target) -> Error {
    let message = format!("the answer named an address inside this network: {}", url.origin());
    Error::new(Kind::Refused, message).with_hint("nothing was sent there")
}

pub(super) fn permanent(error: Error) -> Failed {
    Failed { reach: Reach::Permanent, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_stay_as_they_came() {
        let url = "https://h.example/a%2Fb/../c//d?X-Amz-Signature=%7e~+%20&b=é#frag";
        assert_eq!(Target::parse(url).unwrap().path, "/a%2Fb/../c//d?X-Amz-Signature=%7e~+%20&b=é");
        assert_eq!(Target::parse("http://h?x=1").unwrap().path, "/?x=1");
        assert_eq!(Target::parse("http://h").unwrap().path, "/");
    }

    #[test]
    fn hosts_ports_and_users() {
        let t = Target::parse("https://U%40x:p%3Aw@EXAMPLE.com:443/x").unwrap();
        assert_eq!((t.authority().as_str(), t.port), ("example.com", 443));
        assert_eq!(t.basic.unwrap().expose(), "Basic VUB4OnA6dw==");
        let t = Target::parse("http://[::1]:8080/").unwrap();
        assert_eq!((t.authority().as_str(), t.bare_host().as_str()), ("[::1]:8080", "::1"));
        assert_eq!(Target::parse("http://[::1]/").unwrap().authority(), "[::1]");
        assert_eq!(Target::parse("http://h:/x").unwrap().port, 80);
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_query() {
        for url in [
            "/x",
            "ftp://h/x",
            "http://",
            "http://h:99999/",
            "http://h:+1/",
            "http://h/a b?secret",
            "http://h/\r\nX: y",
        ] {
            let error = Target::parse(url).err().unwrap_or_else(|| panic!("{url} was taken"));
            assert_eq!(error.kind(), Kind::Usage);
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn x05_inside_addresses_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://localhost/",
            "http://a.localhost./",
            "http://0.0.0.0/",
            "http://100.64.0.1/",
            "http://[64:ff9b::a00:1]/",
        ] {
            assert!(Target::parse(url).unwrap().is_plainly_inside(), "{url}");
            assert!(check_foreign(url, "http://93.184.216.34/").is_err(), "{url}");
            let link_local = ["http://169.254.169.254/", "http://[fe80::1]/"].contains(&url);
            assert_eq!(check_foreign(url, "http://127.0.0.1:9/").is_err(), link_local, "{url}");
        }
        assert!(!Target::parse("http://93.184.216.34/").unwrap().is_plainly_inside());
        assert!(check_foreign("https://s3.example/x", "https://api.example/").is_ok());
        assert!(check_foreign("http://s3.example/x", "https://api.example/").is_err());
        assert!(check_foreign("file:///etc/passwd", "https://api.example/").is_err());
        assert!(check_foreign("https://localhost/x", "https://api.example/").is_err());
    }

    #[test]
    fn origins_are_compared_in_normal_form() {
        assert!(same_origin("https://H.example/a", "https://h.example:443/b?c"));
        assert!(!same_origin("https://h.example", "http://h.example"));
        assert!(!same_origin("https://h.example", "https://h.example.evil"));
        assert!(!same_origin("https://h.example@evil", "https://h.example"));
        assert!(
            is_loopback("http://127.9.9.9:1/x")
                && is_loopback("http://LOCALHOST")
                && !is_loopback("http://localhost.com")
        );
    }
}
