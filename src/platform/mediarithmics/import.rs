//! The document import: its definition created or reused, one execution per part.

use super::ENTRY;
use super::commands::{self, Format};
use crate::body::{Measured, Part};
use crate::calls::{BoxFuture, JobSeed, Journal, Policy, Remote, StepState};
use crate::error::{Error, Faults, Result};
use crate::mapping::{MapSpec, Shape};
use crate::platform::{Delivery, Effect, Limits, Outline, PlannedCall, Platform, Verdict, can_wait_in_turn, required};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::warning::{Warning, WarningKind};

/// The name under `destination.platform`.
pub(super) const NAME: &str = "mediarithmics";

/// The vendor's own address.
const OWN: &str = "https://api.mediarithmics.com";

/// The vendor advises at most 100 M without a unit; this is below either meaning, with a margin.
const MAX_PART_BYTES: u64 = 95_000_000;

/// A document import, as described by `destination`.
pub(super) struct Import {
    pub(super) base: String,
    pub(super) token: Secret,
    pub(super) datamart_id: String,
    pub(super) target: Target,
    pub(super) format: Format,
    max_part_bytes: u64,
}

/// The document import to use.
pub(super) enum Target {
    /// Create one of this name, in which `{date}` and `{run}` are not yet filled in.
    Create(String),
    /// Reuse the one with this id.
    Reuse(String),
}

/// Reads `destination`.
pub(super) fn build(settings: &Settings<'_>) -> Result<Box<dyn Platform>> {
    let mut faults = Faults::default();
    faults.or_default(settings.check(ENTRY.keys));
    let datamart_id = settings.text("datamart_id").and_then(|id| path_part(settings.at, "datamart_id", id));
    let datamart_id = faults.or_default(datamart_id);
    let target = faults.or_none(target(settings));
    let format = match faults.or_default(settings.one_of("mime_type", &["ndjson", "csv"])) {
        Some("csv") => Format::Csv,
        _ => Format::Ndjson,
    };
    let max_part_bytes = faults.or_default(settings.opt_size("max_part_bytes")).unwrap_or(MAX_PART_BYTES);
    if max_part_bytes == 0 {
        let error = Error::usage(format!("{}.max_part_bytes must be more than 0", settings.at));
        faults.add(error.with_hint("for example 95MB"));
    }
    let token = faults.or_default(token(settings));
    let base = faults.or_default(settings.base_url(OWN));
    let (Some(target), true) = (target, faults.is_empty()) else { return Err(faults.into_error()) };
    Ok(Box::new(Import { base, token, datamart_id, target, format, max_part_bytes }))
}

fn target(settings: &Settings<'_>) -> Result<Target> {
    let at = settings.at;
    match (settings.opt_text("import_name")?, settings.opt_text("document_import_id")?) {
        (Some(name), None) if name.trim().is_empty() => Err(Error::usage(format!("{at}.import_name is empty"))
            .with_hint("a name for the new document import, for example import_name: spring {date}")),
        (Some(name), None) => Ok(Target::Create(name)),
        (None, Some(id)) => path_part(at, "document_import_id", id).map(Target::Reuse),
        _ => Err(Error::usage(format!("{at}: exactly one of import_name and document_import_id is required"))
            .with_hint("import_name creates a document import, document_import_id reuses one")),
    }
}

fn token(settings: &Settings<'_>) -> Result<Secret> {
    let token = settings.secret("token")?;
    if token.expose().bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        return Ok(token);
    }
    Err(Error::usage(format!("{}.token contains a character that is not allowed in a token", settings.at))
        .with_hint("is there a line end in it?"))
}

/// Validates an id that becomes part of a path.
fn path_part(at: &str, key: &str, id: String) -> Result<String> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Ok(id);
    }
    Err(Error::usage(format!("{at}.{key} must be an id of letters and digits"))
        .with_hint(format!("for example {key}: \"1234\", as the console shows it")))
}

impl Import {
    /// Returns the path of the document imports.
    pub(super) fn path(&self) -> String {
        format!("/v1/datamarts/{}/document_imports", self.datamart_id)
    }
}

impl Platform for Import {
    fn shape(&self, map: &MapSpec) -> Result<Shape> {
        commands::shape(map, self.format, self.max_part_bytes)
    }

    fn plan(&self, map: &MapSpec) -> Delivery {
        // commands are keyed: repeating them leaves the same membership
        let effect = Effect::new(true, commands::constant_operation(map));
        let limits = Limits { max_part_bytes: Some(self.max_part_bytes), ..Limits::default() };
        let own = matches!(self.target, Target::Create(_));
        // an execution in doubt is searched and, if it is not there, sent again
        Delivery::new(effect).with_limits(limits).with_body_call(move |part| super::deliver::execution_call(part, own))
    }

    fn check(&self, map: &MapSpec, parts: &[Part], policy: &Policy) -> Result<()> {
        // UPDATE and DELETE of one user must not overtake each other
        if commands::mixes_operations(map) { can_wait_in_turn(parts, policy) } else { Ok(()) }
    }

    fn outline(&self, map: &MapSpec, parts: &[Part], seed: &JobSeed) -> Outline {
        let path = self.path();
        let (outline, import) = match &self.target {
            Target::Create(name) => {
                let create = PlannedCall::new(format!("POST {path}"), "create the document import", 1);
                (Outline::default().name("import_name", [seed.fill(name)]).call(create), "…")
            }
            Target::Reuse(id) => (Outline::default(), id.as_str()),
        };
        let executions = format!("{path}/{import}/executions");
        outline
            .call(PlannedCall::new(format!("POST {executions}"), "send the commands", parts.len()))
            .call(PlannedCall::verdict(format!("GET {executions}"), commands::mixes_operations(map)))
    }

    fn addresses(&self) -> Vec<Secret> {
        vec![Secret::new(&*self.base)]
    }

    fn harmless_read<'a>(
        &'a self,
        remote: &'a Remote<'_>,
    ) -> std::result::Result<BoxFuture<'a, Result<String>>, &'static str> {
        match &self.target {
            Target::Reuse(id) => Ok(Box::pin(self.list_executions(id, remote))),
            Target::Create(_) => Err(
                "mediarithmics has a call that only reads for an existing import (document_import_id), and none without",
            ),
        }
    }

    fn left_behind(&self, _: &JobSeed, journal: &dyn Journal) -> Result<Option<Warning>> {
        let text = match journal.step("create-import")? {
            StepState::New => return Ok(None),
            StepState::Intent(_) => "a document import may have been created, and contains nothing".to_owned(),
            StepState::Done(created) => match created["id"].as_str() {
                Some(id) => format!("the document import {id} was created and contains nothing"),
                None => return Ok(None),
            },
        };
        let hint = "delete it in the console, or use it with destination.document_import_id";
        Ok(Some(Warning::new(WarningKind::Orphan, text).with_hint(hint)))
    }

    fn deliver<'a>(
        &'a self,
        list: Option<&'a Measured>,
        map: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move { self.send_all(required(list)?, map, remote).await })
    }
}
