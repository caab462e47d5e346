//! Yesmail: target-list file import. Yesmail fetches the file itself, so it is first made reachable (it exists already,
//! is put or sent somewhere, or is served by this process), then imported under a ticket, then reported row by row.
//!
//! Facts and their sources are in the README beside this file.

mod attributes;
mod before;
mod columns;
mod deliver;
mod ftp;
mod options;
mod outline;
mod put;
mod request;
mod results;
mod serve;
mod ticket;
mod verdict;

use super::{Delivery, Effect, Entry, Outline, Platform, Verdict, required};
use crate::body::{Measured, Part};
use crate::calls::{BoxFuture, Call, JobSeed, Journal, Remote, RetrySafety};
use crate::error::{Error, Result};
use crate::mapping::{Cells, Field, MapSpec, Quoting, Rules, Separator, Shape, ValueSpec};
use crate::secret::Secret;
use crate::settings::{Key, KeyKind, Settings};
use crate::warning::Warning;
use options::{Host, Options};
use serde_json::Value;

/// The entry in the list of platforms.
pub const ENTRY: Entry = Entry {
    name: "yesmail",
    title: "Yesmail",
    keys: options::KEYS,
    map_keys: MAP_KEYS,
    account: &["api_user"],
    target: &["list"],
    identity_0_1: &["api_user", "list"],
    build,
};

const MAP_KEYS: &[Key] = &[
    Key::new(
        "id",
        KeyKind::ValueOrIndex,
        true,
        None,
        "The member's id; an e-mail address in lower case. With host.uri: the name or index of a column of that file.",
    ),
    Key::new("*", KeyKind::ValueOrIndex, false, None, "Any other attribute of the list."),
];

/// A Yesmail destination.
struct Yesmail {
    options: Options,
}

fn build(settings: &Settings<'_>) -> Result<Box<dyn Platform>> {
    Ok(Box::new(Yesmail { options: Options::read(settings)? }))
}

impl Platform for Yesmail {
    fn shape(&self, spec: &MapSpec) -> Result<Shape> {
        let MapSpec(map) = spec;
        if !map.contains_key("id") {
            return Err(Error::usage("map.id is required")
                .with_hint("the column that identifies the member, usually the e-mail address in lower case"));
        }
        Error::collect(map.keys().map(|name| check_name(name, &self.options)))?;
        self.options.columns(spec)?;
        let there = matches!(self.options.host, Host::Uri(_));
        let fields = Error::collect(map.iter().map(|entry| field(entry, there)))?;
        Ok(Shape::Delimited(Cells {
            fields,
            header: self.options.headers,
            separator: self.options.separator,
            quoting: self.options.quoting,
            checks: Vec::new(),
            max_record_bytes: None,
        }))
    }

    fn plan(&self, map: &MapSpec) -> Delivery {
        let effect = Effect::new(false, Some("tickets".to_owned())).fetched();
        let mut delivery = match self.options.host {
            Host::Put { .. } => Delivery::new(effect).with_body_call(|_| Call::new(put::PUT, RetrySafety::Always)),
            Host::Ftp { .. } => Delivery::new(effect).with_body_call(|_| Call::new(ftp::FTP, RetrySafety::Always)),
            // a list is served until its ticket is final
            Host::Serve(_) | Host::Uri(_) => Delivery::new(effect),
        };
        delivery.needs_source = !matches!(self.options.host, Host::Uri(_));
        delivery.needs_wait = matches!(self.options.host, Host::Serve(_)).then_some("destination.host.serve");
        delivery.remark = self.remark(map);
        delivery
    }

    fn outline(&self, _: &MapSpec, _: &[Part], _: &JobSeed) -> Outline {
        self.options.outline()
    }

    fn addresses(&self) -> Vec<Secret> {
        self.options.addresses()
    }

    fn harmless_read<'a>(
        &'a self,
        remote: &'a Remote<'_>,
    ) -> std::result::Result<BoxFuture<'a, Result<String>>, &'static str> {
        Ok(Box::pin(async move {
            self.options.ping(remote).await?;
            Ok("Yesmail's ping answers, and does not refuse them".to_owned())
        }))
    }

    fn left_behind(&self, seed: &JobSeed, journal: &dyn Journal) -> Result<Option<Warning>> {
        match self.options.host {
            Host::Ftp { .. } => ftp::left_behind(seed, journal),
            _ => Ok(None),
        }
    }

    fn deliver<'a>(
        &'a self,
        list: Option<&'a Measured>,
        map: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            match &self.options.host {
                Host::Uri(uri) => {
                    self.options.ask_first(map, remote, false).await?;
                    self.options.import(map, remote, uri, None, None).await
                }
                _ => self.options.deliver(required(list)?, map, remote).await,
            }
        })
    }
}

impl Yesmail {
    /// Returns a warning about the address that Yesmail fetches the file from, if it may surprise.
    fn remark(&self, map: &MapSpec) -> Option<String> {
        match &self.options.host {
            // a single column has no separator
            Host::Uri(_) if self.options.separator == Separator::Auto && map.0.len() > 1 => Some(
                "destination.separator is auto, and the file at destination.host.uri is not read: the request says that \
                 its separator is \",\". Set separator to what the file has"
                    .to_owned(),
            ),
            Host::Ftp { url, fetch_url: None, .. } if url.expose().to_ascii_lowercase().starts_with("ftps:") => Some(
                "destination.host.ftp: the list is sent with TLS, but Yesmail cannot fetch it that way and will do so with \
                 user and password over plain FTP; set fetch_url if there is a safer address"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Returns a cell of the converted file.
fn field((name, value): (&String, &Value), there: bool) -> Result<Field> {
    let at = format!("map.{name}");
    let value = match value.as_u64() {
        // the index of a column in a file that is not converted
        Some(index) if there => ValueSpec::parse(&Value::from(index.to_string()), &at, &[])?,
        _ => ValueSpec::parse(value, &at, &[])?,
    };
    let id = name == "id";
    Ok(Field {
        at,
        name: name.clone(),
        value,
        required: id,
        rules: Rules { lower_email: id, identifier: id, ..Rules::default() },
    })
}

/// Validates the name of a column, which is in the request and in the header line if there is one.
fn check_name(name: &str, options: &Options) -> Result<()> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::usage("map: a column's name must neither be empty nor contain a control character")
            .with_hint("the keys of map are the list's columns, for example firstname: first_name"));
    }
    if matches!(options.host, Host::Uri(_)) {
        return Ok(());
    }
    if options.headers && options.quoting == Quoting::Never {
        let separator = match options.separator {
            Separator::Byte(byte) => name.as_bytes().contains(&byte),
            Separator::Auto => false,
        };
        if separator || name.contains('"') {
            return Err(Error::usage(format!("map.{name}: the name would need quotes in the header line"))
                .with_hint("use another separator, headers: false, or quoting: rfc4180"));
        }
    }
    Ok(())
}
