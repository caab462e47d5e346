//! Sections of the job file about how a run works: rejected rows, warnings, calls, copies, the state, the report.

use crate::calls::Policy;
use crate::error::{Error, Faults, Result, nearest};
use crate::settings::{NoSecrets, Settings};
use crate::transport::Timers;
use crate::warning::WarningKind;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `rejects`.
#[derive(Clone, Debug)]
pub(crate) struct RejectLimits {
    /// `None` if only a percentage was given.
    pub(crate) max: Option<u64>,
    pub(crate) max_percent: Option<f64>,
    pub(crate) max_remote: u64,
    /// `None` for the platform's default.
    pub(crate) max_unaccounted: Option<u64>,
    pub(crate) file: Option<PathBuf>,
}

/// `upload`.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) attempts: u32,
    pub(crate) timers: Timers,
    pub(crate) give_up_after: Duration,
    pub(crate) max_quota_wait: Duration,
    pub(crate) part_wait: Duration,
}

/// `spool`.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) max_bytes: u64,
}

/// `state`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateOptions {
    /// If true, a directory without a state ends the run with 3.
    pub(crate) require: bool,
    /// How long rejected rows are kept after a run.
    pub(crate) keep_rejects: Duration,
    /// How long the copy of a stream is kept for an open run.
    pub(crate) keep_spool: Duration,
}

impl Upload {
    /// Returns the policy of calls; `wait` is the job's.
    pub(crate) fn policy(&self, wait: Duration) -> Policy {
        Policy {
            attempts: self.attempts,
            give_up_after: self.give_up_after,
            max_quota_wait: self.max_quota_wait,
            wait,
            part_wait: self.part_wait,
        }
    }
}

/// Access to the sections of a job file.
#[derive(Clone, Copy)]
pub(super) struct Sections<'a> {
    pub(super) tree: &'a Map<String, Value>,
    pub(super) folder: &'a Path,
}

impl<'a> Sections<'a> {
    pub(super) fn top(self) -> Settings<'a> {
        self.of("", self.tree)
    }

    pub(super) fn of(self, at: &'a str, map: &'a Map<String, Value>) -> Settings<'a> {
        Settings { map, at, secrets: &NoSecrets, folder: self.folder }
    }

    pub(super) fn read<T>(self, name: &str, read: impl FnOnce(&Settings<'_>) -> Result<T>) -> Result<T> {
        read(&Sections { tree: self.tree, folder: self.folder }.of(name, &object(self.tree, name)?))
    }
}

/// Returns the mapping of a key, or an empty one.
pub(super) fn object(tree: &Map<String, Value>, key: &str) -> Result<Map<String, Value>> {
    match tree.get(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(_) => Err(Error::usage(format!("{key} must be a mapping"))
            .with_hint("indent its keys below it; `listferry schema` prints all keys")),
    }
}

/// `state`.
fn state(settings: &Settings<'_>) -> Result<StateOptions> {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    Ok(StateOptions {
        require: settings.bool_or("require", false)?,
        keep_rejects: settings.opt_duration("keep_rejects")?.unwrap_or(days(30)),
        keep_spool: settings.opt_duration("keep_spool")?.unwrap_or(days(7)),
    })
}

/// Reads a share of all rows.
fn share(settings: &Settings<'_>, key: &str) -> Result<Option<f64>> {
    percent_up_to(100.0, "a number from 0 to 100", settings, key)
}

pub(super) fn percent_up_to(max: f64, want: &str, settings: &Settings<'_>, key: &str) -> Result<Option<f64>> {
    let wrong =
        || Error::usage(format!("{}.{key} must be {want}", settings.at)).with_hint(format!("for example {key}: 1.5"));
    let read = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.strip_suffix('%').and_then(|number| number.trim().parse().ok()),
        _ => None,
    };
    settings.get(key).map(|value| read(value).filter(|p| (0.0..=max).contains(p)).ok_or_else(wrong)).transpose()
}

/// `rejects`.
fn rejects(settings: &Settings<'_>) -> Result<RejectLimits> {
    let max_percent = share(settings, "max_percent")?;
    Ok(RejectLimits {
        max: settings.opt_integer("max")?.or(if max_percent.is_some() { None } else { Some(0) }),
        max_percent,
        max_remote: settings.opt_integer("max_remote")?.unwrap_or(0),
        max_unaccounted: settings.opt_integer("max_unaccounted")?,
        file: settings.opt_text("file")?.map(|path| settings.folder.join(path)),
    })
}

/// Reads `warnings.error`: kinds that the first pass finds.
fn warnings(settings: &Settings<'_>) -> Result<Vec<WarningKind>> {
    let known = WarningKind::OF_FIRST_PASS;
    let kind = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        known.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let hint = match nearest(name, known.map(WarningKind::name)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("one of {}", known.map(WarningKind::name).join(", ")),
            };
            let shown = crate::secret::printable(name);
            Error::usage(format!("warnings.error: \"{shown}\" is not a kind of warning of the first pass"))
                .with_hint(hint)
        })
    };
    match settings.map.get("error") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(kinds)) => kinds.iter().map(kind).collect(),
        Some(_) => Err(Error::usage("warnings.error must be a list of kinds")
            .with_hint("for example warnings: { error: [null_marker] }")),
    }
}

/// `upload`.
fn upload(settings: &Settings<'_>) -> Result<Upload> {
    let mut faults = Faults::default();
    let above_0 = |key: &str, example: &str| {
        Error::usage(format!("upload.{key} must be above 0")).with_hint(format!("for example {key}: {example}"))
    };
    let mut timers = Timers::default();
    for (key, into) in [
        ("connect_timeout", &mut timers.connect),
        ("stall_timeout", &mut timers.stall),
        ("response_timeout", &mut timers.response),
    ] {
        match faults.or_default(settings.opt_duration(key)) {
            Some(time) if time.is_zero() => faults.add(above_0(key, "60s")),
            Some(time) => *into = time,
            None => {}
        }
    }
    timers.max_rate = faults.or_default(settings.opt_size("max_rate"));
    if timers.max_rate == Some(0) {
        faults.add(above_0("max_rate", "10MB, or leave it out for no limit"));
    }
    let attempts = faults.or_default(settings.opt_integer("attempts")).unwrap_or(5);
    let attempts = u32::try_from(attempts).ok().filter(|n| *n > 0).ok_or_else(|| {
        Error::usage("upload.attempts must be a whole number from 1").with_hint("1 tries once; 5 is the default")
    });
    let mut duration =
        |key: &str, default: u64| faults.or_default(settings.opt_duration(key)).unwrap_or(Duration::from_secs(default));
    let (give_up_after, max_quota_wait) = (duration("give_up_after", 2 * 3600), duration("max_quota_wait", 15 * 60));
    let part_wait = duration("part_wait", 2 * 3600);
    let attempts = faults.or_default(attempts);
    faults.into_result(Upload { attempts, timers, give_up_after, max_quota_wait, part_wait })
}

/// `spool`.
fn spool(settings: &Settings<'_>) -> Result<Spool> {
    Ok(Spool {
        dir: settings.opt_text("dir")?.map(|path| settings.folder.join(path)),
        max_bytes: settings.opt_size("max")?.unwrap_or(20_000_000_000),
    })
}

/// The sections together.
pub(super) struct Working {
    pub(super) state: StateOptions,
    pub(super) rejects: RejectLimits,
    pub(super) warnings_that_fail: Vec<WarningKind>,
    pub(super) upload: Upload,
    pub(super) spool: Spool,
    /// `report.html`.
    pub(super) html: Option<PathBuf>,
}

impl Working {
    /// Reads the sections; `None` if one of them has a fault.
    pub(super) fn read(sections: Sections<'_>, faults: &mut Faults) -> Option<Working> {
        let state = faults.or_none(sections.read("state", state));
        let rejects = faults.or_none(sections.read("rejects", rejects));
        let warnings = faults.or_none(sections.read("warnings", warnings));
        let upload = faults.or_none(sections.read("upload", upload));
        let spool = faults.or_none(sections.read("spool", spool));
        let html = faults.or_none(sections.read("report", html));
        Some(Working {
            state: state?,
            rejects: rejects?,
            warnings_that_fail: warnings?,
            upload: upload?,
            spool: spool?,
            html: html?,
        })
    }
}

/// `report`.
fn html(settings: &Settings<'_>) -> Result<Option<PathBuf>> {
    Ok(settings.opt_text("html")?.map(|path| settings.folder.join(path)))
}
