//! The target of the list and its login: the URL of `host.ftp`.

use super::super::request::SEGMENT;
use crate::error::{Error, Result};
use crate::secret::Secret;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use url::Url;

/// The target of the list and its login.
pub(in crate::platform::yesmail) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) path: String,
    /// Whether to use explicit TLS (`ftps://`).
    pub(super) tls: bool,
    anonymous: bool,
}

impl Target {
    /// Parses `ftp://user@host:port/dir/list.csv`, or `ftps://` for explicit TLS. The path is relative to the login's
    /// folder; `%2F` makes it absolute.
    ///
    /// # Errors
    /// `Usage`.
    pub(in crate::platform::yesmail) fn read(url: &Secret, password: Option<&Secret>) -> Result<Target> {
        let wrong = |why: &str| {
            Error::usage(format!("destination.host.ftp.url {why}"))
                .with_hint("for example ftp://user@host/dir/list.csv")
        };
        let url = Url::parse(url.expose()).map_err(|_| wrong("is not a valid URL"))?;
        let decode = |text: &str| -> Result<String> {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| wrong("is not UTF-8"))?.into_owned();
            match text.chars().any(char::is_control) {
                true => Err(wrong("contains a control character")),
                false => Ok(text),
            }
        };
        let path = decode(url.path().strip_prefix('/').unwrap_or_default())?;
        if path.is_empty() || path.ends_with('/') {
            return Err(wrong("has no file name"));
        }
        let anonymous = url.username().is_empty();
        let password = match (password, url.password()) {
            (Some(password), _) => password.expose().to_owned(),
            (None, Some(password)) => decode(password)?,
            (None, None) => "anonymous@".to_owned(),
        };
        if password.chars().any(char::is_control) {
            return Err(Error::usage("destination.host.ftp.password contains a control character")
                .with_hint("is there a line end in it?"));
        }
        Ok(Target {
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(21),
            user: if anonymous { "anonymous".to_owned() } else { decode(url.username())? },
            password,
            path,
            tls: url.scheme() == "ftps",
            anonymous,
        })
    }

    /// Returns the URL to fetch the list from, including user and password. It always begins with `ftp://`, because
    /// Yesmail fetches over plain FTP.
    pub(in crate::platform::yesmail) fn fetch_url(&self) -> Secret {
        let encode = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
        let user = match self.anonymous {
            true => String::new(),
            false => format!("{}:{}@", encode(&self.user), encode(&self.password)),
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = if self.port == 21 { String::new() } else { format!(":{}", self.port) };
        let path = self.path.strip_prefix('/').map_or_else(|| self.path.clone(), |path| format!("%2F{path}"));
        let path: Vec<String> = path
            .split('/')
            .enumerate()
            .map(|(i, segment)| match segment.strip_prefix("%2F").filter(|_| i == 0) {
                Some(rest) => format!("%2F{}", encode(rest)),
                None => encode(segment),
            })
            .collect();
        Secret::new(format!("ftp://{user}{host}{port}/{}", path.join("/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn target(url: &str, password: Option<&str>) -> Result<Target> {
        Target::read(&Secret::new(url), password.map(Secret::new).as_ref())
    }

    #[test]
    fn the_fetch_url_has_user_and_password_encoded() {
        let of = |url, password| target(url, password).unwrap().fetch_url().expose().to_owned();
        assert_eq!(
            of("ftp://u@h.example/dir/list.csv", Some("p@:/ä")),
            "ftp://u:p%40%3A%2F%C3%A4@h.example/dir/list.csv"
        );
        assert_eq!(of("ftp://u%40x:pw@h.example:2121/l.csv", None), "ftp://u%40x:pw@h.example:2121/l.csv");
        assert_eq!(of("ftp://h.example/a%20b/l.csv", None), "ftp://h.example/a%20b/l.csv");
        assert_eq!(of("ftp://h.example/%2Fsrv/l.csv", None), "ftp://h.example/%2Fsrv/l.csv");
        assert_eq!(of("ftp://[::1]:2121/l.csv", None), "ftp://[::1]:2121/l.csv");
        assert_eq!(of("ftps://u:p@h.example/l.csv", None), "ftp://u:p@h.example/l.csv");
        assert_eq!(of("ftps://u:p@[::1]:2121/%2Fsrv/l.csv", None), "ftp://u:p@[::1]:2121/%2Fsrv/l.csv");
    }

    #[test]
    fn a_url_without_a_file_or_with_a_line_end_is_refused_and_not_shown() {
        for bad in ["ftp://u:hunter2@h/", "ftp://u:hunter2@h/dir/", "ftp://u:hunter2@h/a%0D%0ADELE%20x"] {
            let error = target(bad, None).err().unwrap();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(target("ftp://u@h/l", Some("a\nb")).is_err());
    }
}
