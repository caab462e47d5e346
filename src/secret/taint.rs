//! Keeps the secrets of a job, and those found in requests and responses, out of everything that is shown or stored.

use super::needles::Needles;
use super::text::redacted_url;
use base64::Engine as _;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Maximum number of texts remembered from requests and responses, the newest: a run has a presigned URL for each part.
const MAX_LEARNT: usize = 256;
/// Minimum length of a part of a URL that counts as a secret.
const SHORTEST_PART: usize = 5;
/// Schemes that mark a URL, as opposed to a word that happens to contain `://`.
const SCHEMES: [&str; 10] = ["http", "https", "ftp", "ftps", "s3", "gs", "az", "socks4", "socks5", "socks5h"];
/// Number of bytes searched at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The secrets of a job, and the one way to remove them from what servers send: every text from another system goes
/// through [`Taint::text`] before it is shown or stored. Cheap to clone; all clones share the same secrets.
///
/// Secrets are hidden in plain text, in base64 at each alignment (also in part), percent-encoded, escaped as in JSON or
/// HTML, in hex digits, and split by white space, quotes and the like. A secret of three or four characters is hidden
/// only as a separate word, and only if it is more than lower-case letters. Shorter ones are not hidden.
#[derive(Clone, Default)]
pub struct Taint(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    declared: Vec<Box<str>>,
    learnt: VecDeque<Box<str>>,
    /// Built when first needed after a change.
    needles: Option<Arc<Needles>>,
}

impl Taint {
    /// Adds a secret of the job. If it is a URL, its user-info and query count as secrets too.
    pub fn add(&self, secret: &str) {
        let scheme = secret.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let is_url = scheme.is_some_and(|scheme| SCHEMES.contains(&scheme.as_str()));
        self.remember(if is_url { url_secrets(secret, true) } else { vec![secret.to_owned()] }, false);
    }

    /// Adds a secret that a request or response contained: a token or a random name.
    pub fn learn(&self, secret: &str) {
        self.remember(vec![secret.to_owned()], true);
    }

    /// Adds user-info and query of a URL. If `given`, the URL came from outside, so any value in its query may be a
    /// secret; otherwise a query counts only if it is signed or names a key.
    pub fn learn_url(&self, url: &str, given: bool) {
        self.remember(url_secrets(url, given), true);
    }

    /// Calls [`Taint::learn_url`] for each URL in a tree.
    pub fn learn_urls(&self, tree: &Value) {
        each_url(tree, &mut |url| self.learn_url(url, false));
    }

    /// Like [`Taint::learn_urls`], for a tree that belongs to the job.
    pub fn add_urls(&self, tree: &Value) {
        each_url(tree, &mut |url| self.remember(url_secrets(url, false), false));
    }

    /// Adds a header's value: the whole, the token of an authorization, and user and password of a Basic authorization.
    pub fn learn_header(&self, value: &str) {
        let mut texts = vec![value.to_owned()];
        if let Some((_, token)) = value.split_once(' ') {
            texts.push(token.to_owned());
            let pair = base64::engine::general_purpose::STANDARD.decode(token).ok();
            if let Some(pair) = pair.and_then(|pair| String::from_utf8(pair).ok()) {
                texts.extend(pair.splitn(2, ':').map(str::to_owned));
            }
        }
        self.remember(texts, true);
    }

    /// Returns a text from another system without the secrets and without queries of URLs.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.hide(text, false)
    }

    /// Like [`Taint::text`], for messages of our own: keeps secrets that may be an ordinary word (fewer than twelve
    /// lower-case letters).
    #[must_use]
    pub fn own_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.hide(text, true)
    }

    /// Returns a tree from another system with [`Taint::text`] applied to each key and text.
    #[must_use]
    pub fn value(&self, tree: Value) -> Value {
        self.hide_in(tree, &|_| false)
    }

    /// Like [`Taint::value`], but keeps texts that consist of a URL, since they are to be requested.
    #[must_use]
    pub fn value_but_urls(&self, tree: Value) -> Value {
        self.hide_in(tree, &|text| {
            let one_word =
                !text.trim().contains(|c: char| c.is_whitespace() || c.is_control() || "\"'<>\\".contains(c));
            one_word && (text.contains("://") || text.split_once('?').is_some_and(|(path, _)| path.contains('/')))
        })
    }

    fn hide_in(&self, tree: Value, stays: &dyn Fn(&str) -> bool) -> Value {
        match tree {
            Value::String(text) if stays(&text) => Value::String(text),
            Value::String(text) => Value::String(self.text(&text).into_owned()),
            Value::Number(number) => match self.text(&number.to_string()) {
                Cow::Borrowed(_) => Value::Number(number),
                Cow::Owned(hidden) => Value::String(hidden),
            },
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.hide_in(item, stays)).collect()),
            Value::Object(map) => {
                // keys of our own occur next to those of the other system
                let hidden =
                    map.into_iter().map(|(key, item)| (self.own_text(&key).into_owned(), self.hide_in(item, stays)));
                Value::Object(hidden.collect())
            }
            other => other,
        }
    }

    fn hide<'t>(&self, text: &'t str, strong: bool) -> Cow<'t, str> {
        if text.len() <= CHUNK_BYTES {
            return self.hide_chunk(text, strong);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let most = rest.floor_char_boundary(CHUNK_BYTES);
            let end = match most < rest.len() {
                // a secret never ends with white space
                true => rest[..most].rfind(char::is_whitespace).filter(|end| *end > 0).unwrap_or(most),
                false => most,
            };
            out.push_str(&self.hide_chunk(&rest[..end], strong));
            rest = &rest[end..];
        }
        Cow::Owned(out)
    }

    fn hide_chunk<'t>(&self, text: &'t str, strong: bool) -> Cow<'t, str> {
        // in this order, because what looks like a URL may be a part of a secret
        let needles = self.needles();
        let hidden = needles.hide(text, strong);
        // removing query or user-info of a URL may have joined the parts of a secret
        let cut = match without_queries(&hidden) {
            Cow::Borrowed(_) => None,
            Cow::Owned(cut) => Some(needles.hide(&cut, strong).into_owned()),
        };
        cut.map_or(hidden, Cow::Owned)
    }

    fn needles(&self) -> Arc<Needles> {
        if let Some(needles) = &self.0.read().unwrap_or_else(PoisonError::into_inner).needles {
            return Arc::clone(needles);
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let made = Arc::new(Needles::of(known.declared.iter().chain(&known.learnt).map(|text| &**text)));
        known.needles = Some(Arc::clone(&made));
        made
    }

    fn remember(&self, texts: Vec<String>, learnt: bool) {
        let decoded: Vec<String> = texts
            .iter()
            .filter(|text| text.contains('%'))
            .filter_map(|text| percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned))
            .collect();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for text in texts.into_iter().chain(decoded) {
            let text = text.trim();
            let is_known = known.declared.iter().chain(&known.learnt).any(|known| **known == *text);
            if is_known || text.chars().count() < 3 {
                continue;
            }
            known.needles = None;
            if learnt {
                known.learnt.push_back(text.into());
                if known.learnt.len() > MAX_LEARNT {
                    known.learnt.pop_front();
                }
            } else {
                known.declared.push(text.into());
            }
        }
    }
}

impl fmt::Debug for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taint(***)")
    }
}

/// Returns the secret parts of a URL: user-info, its parts and their Basic authorization; the query and its values.
fn url_secrets(url: &str, all: bool) -> Vec<String> {
    let mut secrets = Vec::new();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((user_info, _)) = authority.rsplit_once('@') {
        let pair: Vec<u8> = percent_decode_str(user_info).collect();
        secrets.push(base64::engine::general_purpose::STANDARD.encode(pair));
        secrets.push(user_info.to_owned());
        secrets.extend(user_info.splitn(2, ':').map(str::to_owned));
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
    if all || pairs().any(|(name, _)| names_a_secret(name)) {
        let values = pairs().filter(|(name, _)| !is_public(name)).map(|(_, value)| value);
        let long = [query].into_iter().chain(values).filter(|text| text.len() >= SHORTEST_PART);
        secrets.extend(long.map(str::to_owned));
    }
    secrets
}

fn each_url(tree: &Value, each: &mut dyn FnMut(&str)) {
    match tree {
        Value::String(text) if text.contains("://") => each(text.trim()),
        Value::Array(items) => items.iter().for_each(|item| each_url(item, each)),
        Value::Object(map) => map.values().for_each(|item| each_url(item, each)),
        _ => {}
    }
}

/// Whether the name of a parameter or a header says that its value is a secret.
pub(crate) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["sig", "token", "key", "secret", "pass", "pwd", "auth", "credential", "code"]
        .iter()
        .any(|part| name.contains(part))
}

/// Whether a parameter of a signed URL is public; other texts may contain its value, too.
fn is_public(name: &str) -> bool {
    const NAMES: [&str; 22] = [
        "algorithm",
        "date",
        "expires",
        "signedheaders",
        "x-id",
        "response-content-type",
        "response-content-disposition",
        "content-type",
        "partnumber",
        "sv",
        "sr",
        "sp",
        "st",
        "se",
        "spr",
        "ss",
        "srt",
        "sip",
        "skt",
        "ske",
        "sks",
        "skv",
    ];
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("x-amz-").or_else(|| name.strip_prefix("x-goog-")).unwrap_or(&name);
    NAMES.contains(&name)
}

/// Removes query and user-info from each URL in a text.
fn without_queries(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let end =
            at + rest[at..].find(|c: char| c.is_whitespace() || "\"'<>)]}".contains(c)).unwrap_or(rest.len() - at);
        let start = rest[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |i| i + 1);
        // the character before a scheme may have several bytes
        let start = (start..=at).find(|i| rest.is_char_boundary(*i)).unwrap_or(at);
        out.push_str(&rest[..start]);
        let url = &rest[start..end];
        out.push_str(&redacted_url(url));
        if url.contains('?') {
            out.push_str("?***");
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
