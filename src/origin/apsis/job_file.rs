//! `source.apsis`: an export as the source of a job, and for the command `export`.

use super::{Apsis, ApsisOptions, Format, ORIGIN, Report};
use crate::calls::{BoxFuture, Remote};
use crate::error::{Error, Result};
use crate::origin::{Entry, Export, Fetched, Opening, Origin, Passes};
use crate::settings::{Key, KeyKind, Settings};
use crate::source::{Compression, OpenSource, SourceOptions};
use crate::transport::same_origin;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Name of the platform, and its key in `source`.
const NAME: &str = "apsis";

pub(crate) const ENTRY: Entry = Entry {
    key: NAME,
    schemes: &[],
    keys: &[key(NAME, KeyKind::Object(KEYS), None, "An APSIS One export instead of a path.")],
    is_export: true,
    build: |source, options| {
        let none = serde_json::Map::new();
        let map = source.opt_object(NAME)?.unwrap_or(&none);
        let apsis = Apsis::new(read(&Settings { map, at: "source.apsis", ..*source })?);
        // it is decoded when it is copied
        let options = SourceOptions { compression: Compression::None, ..options.clone() };
        Ok(Arc::new(ApsisSource { apsis, options }))
    },
};

const fn key(name: &'static str, kind: KeyKind, default: Option<&'static str>, doc: &'static str) -> Key {
    Key::new(name, kind, false, default, doc)
}

/// `source.apsis`.
const KEYS: &[Key] = &[
    key("report", KeyKind::OneOf(&["duplicates", "segments", "consents"]), None, "The report to export."),
    key("client_id", KeyKind::Secret, None, "Client id of the API key."),
    key("client_secret", KeyKind::Secret, None, "Client secret of the API key."),
    key(
        "request",
        KeyKind::Any,
        None,
        "The body of the report request as APSIS One documents it: a mapping, or JSON as a text, sent byte for byte.",
    ),
    key("format", KeyKind::OneOf(&["csv", "xlsx"]), Some("csv"), "Format of the export."),
    key("gzip", KeyKind::Bool, Some("true"), "Whether to request gzip."),
    key("wait", KeyKind::Duration, Some("24h"), "How long to wait for the export."),
    key("base_url", KeyKind::Text, None, "Replaces scheme, host and port of the platform's own address."),
    key(
        "trusted_origin",
        KeyKind::Text,
        None,
        "Another scheme and host that may serve the file and receives the token.",
    ),
];

/// Reads `source.apsis`.
///
/// # Errors
/// `Usage`: a key is missing or invalid, or a secret is not set.
fn read(settings: &Settings<'_>) -> Result<ApsisOptions> {
    settings.text("report")?;
    let report = match settings.one_of("report", &["duplicates", "segments", "consents"])? {
        Some("segments") => Report::Segments,
        Some("consents") => Report::Consents,
        _ => Report::Duplicates,
    };
    let request = match settings.get("request") {
        Some(Value::Object(request)) => Value::Object(request.clone()),
        // sent byte for byte
        Some(Value::String(text)) if text.trim_start().starts_with('{') && is_json(text) => Value::String(text.clone()),
        Some(_) => {
            return Err(Error::usage("source.apsis.request must be a mapping, or JSON as a text")
                .with_hint("the body of the report request as APSIS One documents it"));
        }
        None => {
            return Err(Error::usage("source.apsis.request is required")
                .with_hint("the body of the report request as APSIS One documents it"));
        }
    };
    let mut options =
        ApsisOptions::new(report, settings.secret("client_id")?, settings.secret("client_secret")?, request);
    options.format = match settings.one_of("format", &["csv", "xlsx"])? {
        Some("xlsx") => Format::Xlsx,
        _ => Format::Csv,
    };
    options.gzip = settings.bool_or("gzip", true)?;
    if let Some(wait) = settings.opt_duration("wait")? {
        options.wait = wait;
    }
    options.base_url = settings.base_url(ORIGIN)?;
    options.trusted_origin = settings.opt_text("trusted_origin")?;
    if let Some(trusted) = &options.trusted_origin
        && !same_origin(trusted, trusted)
    {
        return Err(Error::usage("source.apsis.trusted_origin must be scheme and host of an address")
            .with_hint("for example https://files.example.com: if the export is on another host"));
    }
    Ok(options)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// An export as the source of a job.
struct ApsisSource {
    apsis: Apsis,
    options: SourceOptions,
}

impl Origin for ApsisSource {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn options(&self) -> &SourceOptions {
        &self.options
    }

    fn as_export(&self) -> Option<&dyn Export> {
        Some(self)
    }

    fn open<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<OpenSource>> {
        Box::pin(async move {
            let (Some(remote), Passes::OfRun(copy)) = (opening.remote, &opening.copies.passes) else {
                return Err(Error::usage("source.apsis: this command works offline; run `listferry export` first")
                    .with_hint("listferry export JOB -o FILE, then --set source.apsis=null --set source.path=FILE"));
            };
            if self.apsis.options.format == Format::Xlsx && !cfg!(feature = "xlsx") {
                return Err(Error::usage("source.apsis.format: this build was made without the feature xlsx")
                    .with_hint("format: csv"));
            }
            let dir = copy.parent().unwrap_or(Path::new(""));
            let (path, fetched) = self.apsis.spool(remote, dir, opening.copies.max_bytes).await?;
            tracing::info!(bytes = fetched.bytes, "the export is spooled");
            self.open_copy(&path)
        })
    }

    fn stamp<'a>(&'a self, _: &'a Opening<'_>) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl Export for ApsisSource {
    fn key(&self) -> String {
        self.apsis.key()
    }

    fn wait(&self) -> (Duration, &'static str) {
        (self.apsis.options.wait, "source.apsis.wait")
    }

    fn fetch<'a>(&'a self, remote: &'a Remote<'_>, target: &'a Path) -> BoxFuture<'a, Result<Fetched>> {
        Box::pin(self.apsis.export(remote, target))
    }
}
