//! Chooses the proxy of each request. Loopback is never proxied.

use super::urls::{Target, is_loopback_ip};
use super::{Failed, Proxy};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use std::net::IpAddr;

pub(super) struct ProxyRules {
    https: Option<Setting>,
    http: Option<Setting>,
    direct: Vec<Direct>,
}

/// A proxy, or why the variable's value cannot be used, which is reported when it would be.
type Setting = Result<ProxyServer, String>;

#[derive(Clone)]
pub(super) struct ProxyServer {
    /// Scheme, host and port; the user-info is in `basic`.
    pub(super) at: Target,
    /// The URL as given, if it has user-info.
    url: Option<Secret>,
    /// The setting that contains the URL.
    setting: &'static str,
}

/// An entry of `NO_PROXY`.
enum Direct {
    All,
    Name { suffix: String, port: Option<u16> },
    Net { net: IpAddr, bits: u8, port: Option<u16> },
}

impl ProxyRules {
    pub(super) fn new(proxy: &Proxy, env: &dyn Fn(&str) -> Option<String>) -> Result<ProxyRules> {
        match proxy {
            Proxy::None => Ok(ProxyRules { https: None, http: None, direct: Vec::new() }),
            Proxy::Url(url) => {
                let server = parse(url.expose(), "network.proxy")
                    .map_err(|why| Error::usage(format!("network.proxy: {why}")).with_hint(SUPPORTED))?;
                Ok(ProxyRules { https: Some(Ok(server.clone())), http: Some(Ok(server)), direct: Vec::new() })
            }
            Proxy::Env => Ok(ProxyRules::from_env(env)),
        }
    }

    fn from_env(env: &dyn Fn(&str) -> Option<String>) -> ProxyRules {
        let get = |name: &str| {
            let lower = env(&name.to_ascii_lowercase());
            // under CGI, an HTTP client can set HTTP_PROXY with a `Proxy:` header
            let upper = if name == "HTTP_PROXY" && env("REQUEST_METHOD").is_some() { None } else { env(name) };
            lower.or(upper).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let setting = |name: &'static str| {
            let (name, value) = match get(name) {
                Some(value) => (name, value),
                None => ("ALL_PROXY", get("ALL_PROXY")?),
            };
            Some(parse(&value, name).map_err(|why| format!("{name}: {why}")))
        };
        let direct = get("NO_PROXY").unwrap_or_default();
        ProxyRules {
            https: setting("HTTPS_PROXY"),
            http: setting("HTTP_PROXY"),
            direct: direct.split(',').filter_map(Direct::parse).collect(),
        }
    }

    /// Returns the secrets in the URLs of the proxies.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [&self.https, &self.http].into_iter().flatten().flatten().filter_map(|server| server.url.as_ref())
    }

    /// Returns the proxy for a target.
    pub(super) fn server_for(&self, target: &Target) -> Result<Option<&ProxyServer>, Failed> {
        if target.is_loopback() || self.direct.iter().any(|direct| direct.covers(target)) {
            return Ok(None);
        }
        match if target.https { &self.https } else { &self.http } {
            None => Ok(None),
            Some(Ok(server)) => Ok(Some(server)),
            Some(Err(why)) => Err(super::urls::permanent(Error::usage(why.clone()).with_hint(SUPPORTED))),
        }
    }
}

const SUPPORTED: &str =
    "only proxies at http:// and https:// URLs are supported; set network.proxy: none to use no proxy";

fn parse(value: &str, setting: &'static str) -> Result<ProxyServer, String> {
    let scheme = value.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => {}
        None => return parse(&format!("http://{value}"), setting),
        Some(scheme) => return Err(format!("{} proxies are not supported", crate::secret::printable(scheme))),
    }
    // the parser's error would show the URL, whose user-info may be misplaced
    let at = Target::parse(value).map_err(|_| "not the URL of a proxy".to_owned())?;
    let url = at.basic.is_some().then(|| Secret::new(value));
    Ok(ProxyServer { at, url, setting })
}

impl ProxyServer {
    /// Returns the value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<&Secret> {
        self.at.basic.as_ref()
    }

    /// Describes the proxy: its address and the setting that names it.
    #[cfg(feature = "jobs")]
    pub(super) fn in_words(&self) -> String {
        format!("{}, named by {}", self.at.origin(), self.setting)
    }

    /// The same failure with whose address it is about, since the user may never have set a proxy: a variable did.
    pub(super) fn not_reached(&self, failed: Failed) -> Failed {
        let Failed { reach, error } = failed;
        let message = format!("the proxy, named by {}: {}", self.setting, error.message());
        let named = Error::new(error.kind(), message);
        let error = match error.hint() {
            Some(hint) => named.with_hint(hint),
            None => named,
        };
        Failed { reach, error }
    }

    /// Whether the response to a plain http request is the proxy's own refusal. Only a refusal by the platform is about
    /// the platform's credentials.
    pub(super) fn answered(&self, status: u16, headers: &[(String, String)]) -> bool {
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let own = ["proxy-authenticate", "proxy-status", "x-squid-error"].iter().any(|name| header(name).is_some());
        // a proxy that passes a response on leaves the server's name in it
        let server = header("server").unwrap_or_default().to_ascii_lowercase();
        let named = ["tinyproxy", "squid", "privoxy"].iter().any(|name| server.starts_with(name));
        match status {
            407 => true,
            // a server states how to log in
            401 => own || named || header("www-authenticate").is_none(),
            403 => own || named,
            _ => false,
        }
    }

    /// Returns the error for a proxy that refused to reach `to`.
    pub(super) fn refused(&self, status: u16, to: &str) -> Failed {
        let (at, setting) = (self.at.host_and_port(), self.setting);
        let error = match status {
            401 | 407 => Error::new(Kind::Refused, format!("the proxy {at} does not accept the credentials ({status})"))
                .with_hint(format!("the proxy refused, not the platform: put its user and password into the URL in {setting}")),
            _ => Error::new(Kind::Refused, format!("the proxy {at} refused to connect to {to} ({status})")).with_hint(
                format!(
                    "the proxy, named by {setting}, refused, not the platform: have it allow {to}, or go around it with \
                     NO_PROXY or network.proxy: none"
                ),
            ),
        };
        super::urls::permanent(error)
    }
}

impl Direct {
    fn parse(entry: &str) -> Option<Direct> {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return Some(Direct::All);
        }
        if let Some((net, bits)) = entry.split_once('/') {
            let net: IpAddr = net.parse().ok()?;
            return Some(Direct::Net { net, bits: bits.parse().ok()?, port: None });
        }
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        if let Ok(net) = bare.parse::<IpAddr>() {
            return Some(Direct::Net { net, bits: 128, port: None });
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (entry.as_str(), None),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(net) = name.parse::<IpAddr>() {
            return Some(Direct::Net { net, bits: 128, port });
        }
        let suffix = name.trim_start_matches('*').trim_matches('.').to_owned();
        (!suffix.is_empty()).then_some(Direct::Name { suffix, port })
    }

    fn covers(&self, target: &Target) -> bool {
        match self {
            Direct::All => true,
            Direct::Name { suffix, port } => {
                let host = target.bare_host();
                let host = host.strip_suffix('.').unwrap_or(&host);
                port.is_none_or(|port| port == target.port)
                    && host
                        .strip_suffix(suffix.as_str())
                        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            Direct::Net { net, bits, port } => {
                port.is_none_or(|port| port == target.port)
                    && target.literal_ip().is_some_and(|ip| within(ip, *net, *bits))
            }
        }
    }
}

fn within(ip: IpAddr, net: IpAddr, bits: u8) -> bool {
    let (ip, net, width) = match (ip.to_canonical(), net.to_canonical()) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => (u128::from(ip.to_bits()), u128::from(net.to_bits()), 32),
        (IpAddr::V6(ip), IpAddr::V6(net)) => (ip.to_bits(), net.to_bits(), 128),
        _ => return false,
    };
    let ignored = width - u32::from(bits).min(width);
    ip.checked_shr(ignored).unwrap_or(0) == net.checked_shr(ignored).unwrap_or(0)
}

/// Whether all resolved addresses are loopback.
pub(super) fn all_loopback(addresses: &[std::net::SocketAddr]) -> bool {
    addresses.iter().all(|address| is_loopback_ip(address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(env: &[(&str, &str)]) -> ProxyRules {
        let env: Vec<(String, String)> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ProxyRules::from_env(&|name| env.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
    }

    fn proxy_of(rules: &ProxyRules, url: &str) -> Option<String> {
        rules.server_for(&Target::parse(url).unwrap()).unwrap().map(|server| server.at.host_and_port())
    }

    #[test]
    fn the_variables_by_scheme_lower_case_first() {
        let r = rules(&[("HTTPS_PROXY", "http://one:1"), ("https_proxy", "two:2"), ("ALL_PROXY", "http://all:3")]);
        assert_eq!(proxy_of(&r, "https://h.example/").as_deref(), Some("two:2"));
        assert_eq!(proxy_of(&r, "http://h.example/").as_deref(), Some("all:3"));
        let r = rules(&[("HTTP_PROXY", "http://one:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(proxy_of(&r, "http://h.example/"), None);
        assert_eq!(proxy_of(&rules(&[("HTTPS_PROXY", " ")]), "https://h.example/"), None);
    }

    #[test]
    fn n22_loopback_is_never_proxied() {
        let r = rules(&[("ALL_PROXY", "http://all:3")]);
        for url in [
            "http://127.0.0.1:80/",
            "https://localhost/",
            "http://[::1]:9/",
            "http://127.1.2.3/",
            "http://x.localhost/",
        ] {
            assert_eq!(proxy_of(&r, url), None, "{url}");
        }
    }

    #[test]
    fn n22_no_proxy_is_honoured() {
        let no = "h.example, .dot.example,*.star.example:8443,10.0.0.0/8,192.0.2.7,2001:db8::/32";
        let r = rules(&[("ALL_PROXY", "http://all:3"), ("no_proxy", no)]);
        for url in [
            "https://h.example/",
            "https://a.h.example/",
            "https://dot.example/",
            "https://x.star.example:8443/",
            "https://10.200.0.1/",
            "https://192.0.2.7/",
            "https://[2001:db8::5]/",
        ] {
            assert_eq!(proxy_of(&r, url), None, "{url}");
        }
        for url in [
            "https://ah.example/",
            "https://x.star.example/",
            "https://11.0.0.1/",
            "https://192.0.2.8/",
            "https://[2001:db9::5]/",
        ] {
            assert!(proxy_of(&r, url).is_some(), "{url}");
        }
        assert_eq!(proxy_of(&rules(&[("ALL_PROXY", "a:1"), ("NO_PROXY", "*")]), "https://h.example/"), None);
    }

    #[test]
    fn what_cannot_be_used_is_an_error_only_when_it_would_be() {
        let r = rules(&[("ALL_PROXY", "socks5://u:hunter2@all:3")]);
        let failed = r.server_for(&Target::parse("https://h.example/").unwrap()).err().unwrap();
        assert!(!format!("{failed:?}").contains("hunter2"));
        assert!(r.server_for(&Target::parse("http://127.0.0.1/").unwrap()).unwrap().is_none());
        let none = |_: &str| None;
        let error = ProxyRules::new(&Proxy::Url(Secret::new("http://u:hunter2@:x")), &none).err().unwrap();
        assert!(!format!("{error:?}").contains("hunter2"));
        let rules = ProxyRules::new(&Proxy::Url(Secret::new("http://u:pw@p.example")), &none).unwrap();
        let target = Target::parse("https://h.example/").unwrap();
        let server = rules.server_for(&target).unwrap().unwrap();
        assert_eq!(server.authorization().unwrap().expose(), "Basic dTpwdw==");
        assert_eq!(server.at.port, 80);
    }
}
