//! Yesmail: target-list file import. Yesmail fetches the file itself, so it is first made reachable (it lies somewhere
//! already, is put or sent there, or is served by us), then imported by a ticket, then judged row by row.
//!
//! Facts and their sources are in the README beside this file.

mod deliver;
mod ftp;
mod guard;
mod options;
mod range;
mod request;
mod results;
mod serve;
mod ticket;

use super::{Entry, Limits, Platform, Verdict};
use crate::body::{Frame, Measured};
use crate::calls::{BoxFuture, Call, JobSeed, Remote, RetrySafety};
use crate::error::{Error, Result};
use crate::mapping::{Cells, Field, MapSpec, Quoting, Rules, Separator, Shape, ValueSpec};
use crate::settings::{Key, KeyKind, Settings};
use options::{Host, Options};

/// The line in the list.
pub const ENTRY: Entry =
    Entry { name: "yesmail", keys: options::KEYS, map_keys: MAP_KEYS, identity: &["api_user", "list"], build };

const MAP_KEYS: &[Key] = &[
    Key {
        name: "id",
        kind: KeyKind::Value,
        required: true,
        default: None,
        doc: "The member's id; an e-mail address in lower case.",
    },
    Key { name: "*", kind: KeyKind::Value, required: false, default: None, doc: "Any other column of the list." },
];

/// A destination of this platform.
struct Yesmail {
    options: Options,
}

fn build(settings: &Settings<'_>) -> Result<Box<dyn Platform>> {
    Ok(Box::new(Yesmail { options: Options::read(settings)? }))
}

impl Platform for Yesmail {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn shape(&self, map: &MapSpec) -> Result<Shape> {
        let MapSpec(map) = map;
        if !map.contains_key("id") {
            return Err(Error::usage("map.id is required")
                .with_hint("the column that names the member, mostly the e-mail address in lower case"));
        }
        let mut fields = Vec::with_capacity(map.len());
        for (name, value) in map {
            check_name(name, &self.options)?;
            let at = format!("map.{name}");
            let value = ValueSpec::parse(value, &at, &[])?;
            fields.push(Field { at, name: name.clone(), value, required: name == "id", rules: Rules::default() });
        }
        Ok(Shape::Delimited(Cells {
            fields,
            header: self.options.headers,
            separator: self.options.separator,
            quoting: self.options.quoting,
            checks: Vec::new(),
            max_record_bytes: None,
        }))
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn frame(&self, _: &JobSeed) -> Frame {
        Frame::default()
    }

    fn needs_source(&self) -> bool {
        !matches!(self.options.host, Host::Uri(_))
    }

    fn needs_wait(&self) -> Option<&'static str> {
        matches!(self.options.host, Host::Serve(_)).then_some("destination.host.serve")
    }

    fn remark(&self, map: &MapSpec) -> Option<String> {
        let auto = matches!(self.options.host, Host::Uri(_)) && self.options.separator == Separator::Auto;
        // a single column has nothing to separate
        (auto && columns(map).len() > 1).then(|| {
            "destination.separator is auto, and the file at destination.host.uri is not read: Yesmail is told that its \
             separator is \",\". `listferry convert` with auto mostly writes tabs: set separator to what the file has"
                .to_owned()
        })
    }

    fn import<'a>(&'a self, map: &'a MapSpec, remote: &'a mut Remote<'_>) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async {
            match &self.options.host {
                Host::Uri(uri) => self.options.import(map, remote, uri, None, None).await,
                _ => Err(Error::usage("destination.host needs a source").with_hint("set source.path")),
            }
        })
    }

    fn body_call(&self, _: &MapSpec, _: usize) -> Option<Call> {
        match self.options.host {
            Host::Put { .. } => Some(Call::new(deliver::PUT, RetrySafety::Always)),
            Host::Ftp { .. } => Some(Call::new(deliver::FTP, RetrySafety::Always)),
            // what is served is served as long as somebody may come for it
            Host::Serve(_) | Host::Uri(_) => None,
        }
    }

    fn deliver<'a>(
        &'a self,
        measured: &'a Measured,
        map: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(self.options.deliver(measured, map, remote))
    }
}

/// The columns of the file, in its order.
fn columns(map: &MapSpec) -> Vec<&str> {
    map.0.keys().map(String::as_str).collect()
}

/// A column's name stands in the request, and in the header line where there is one.
fn check_name(name: &str, options: &Options) -> Result<()> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::usage("map: a column's name must not be empty nor hold a control character")
            .with_hint("the keys of map are the list's columns, for example firstname: first_name"));
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
