//! The job file as typed settings, with defaults.

use super::env::Env;
use super::examples::Example;
use super::own::Own;
use super::pass::built;
use super::places::Places;
use super::secrets::Lookup;
use super::timezone::Timezone;
use super::written::{self, Node};
use super::{unknown, yaml};
use crate::calls::Policy;
use crate::error::{Error, Faults, Result, nearest};
use crate::format::{self, FORMATS, Found, TableOptions};
use crate::mapping::{Condition, MapSpec};
use crate::origin::{self, Given, ORIGINS, PATH};
use crate::platform::{Entry, PLATFORMS};
use crate::secret::redacted_url;
use crate::settings::{KeyKind, NoSecrets, Secrets, Settings};
use crate::source::{Compression, Encoding, SourceOptions};
use crate::transport::{Client, NetworkOptions, Proxy, Timers};
use crate::warning::WarningKind;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A job file, validated as far as possible without its source, its secrets and its platform.
#[derive(Clone)]
pub(crate) struct Config {
    /// The places of its keys.
    places: Places,
    pub(crate) name: String,
    pub(crate) timezone: Timezone,
    /// The job's name, if the job file gives one.
    pub(crate) given_name: Option<String>,
    pub(crate) state: StateOptions,
    pub(crate) folder: PathBuf,
    pub(crate) source: SourceConfig,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) map: MapSpec,
    pub(crate) rejects: RejectLimits,
    /// `warnings.error`.
    pub(crate) warnings_that_fail: Vec<WarningKind>,
    pub(crate) allow_empty: bool,
    pub(crate) entry: Option<&'static Entry>,
    /// The platform that the program brings instead.
    pub(crate) own: Option<Own>,
    /// The source that the program gives instead.
    pub(crate) given: Option<Arc<Given>>,
    pub(crate) destination: Map<String, Value>,
    pub(crate) upload: Upload,
    pub(crate) spool: Spool,
    /// `report.html`.
    pub(crate) html: Option<PathBuf>,
    pub(crate) wait: Duration,
    /// `tests`.
    pub(crate) examples: Vec<Example>,
    /// The file's tree, after all overrides.
    pub(crate) tree: Map<String, Value>,
}

/// `source`.
#[derive(Clone)]
pub(crate) struct SourceConfig {
    /// The origin; `None` if none is named.
    pub(crate) entry: Option<&'static origin::Entry>,
    pub(crate) format: TableOptions,
    /// Other formats that the content may show the source to be in, if no name says its format.
    pub(crate) by_content: Vec<(&'static str, TableOptions)>,
    /// True if the name of the format is known and it must be read by position.
    pub(crate) by_position: bool,
    pub(crate) open: SourceOptions,
    pub(crate) expect: Expect,
}

/// `source.expect`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expect {
    pub(crate) min_records: Option<u64>,
    pub(crate) max_records: Option<u64>,
    pub(crate) max_change_percent: Option<f64>,
    pub(crate) sha256: Option<String>,
}

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

impl Config {
    /// Reads the text of a job file. `file` is its name in messages, and `name` the job's name unless the file gives
    /// another.
    ///
    /// # Errors
    /// `Usage`, with the place and a hint.
    pub(crate) fn read(text: &str, file: &str, folder: &Path, name: &str, overrides: &[String]) -> Result<Config> {
        let text = yaml::without_bom(text);
        let read = yaml::read(text, file)?;
        let mut places = Places::of(&read, text, file);
        let mut tree = read.with(text);
        for assignment in overrides {
            let path = yaml::set(&mut tree, assignment)?;
            places.set(&path);
        }
        match Config::of(tree, folder, name) {
            Ok(config) => Ok(Config { places, ..config }),
            Err(faults) => Err(places.place(faults)),
        }
    }

    /// Reads a tree that a program has built.
    ///
    /// # Errors
    /// `Usage`, without places.
    pub(super) fn of_built(tree: Node, folder: &Path, name: &str) -> Result<Config> {
        Config::of(tree, folder, name).map_err(|faults| Places::default().place(faults))
    }

    /// Returns the config with the places of another one, whose file it was read from.
    pub(super) fn placed_as(self, other: &Config) -> Config {
        Config { places: other.places.clone(), ..self }
    }

    /// Returns the line of a key in the job file.
    pub(crate) fn line_of(&self, path: &str) -> Option<u64> {
        self.places.line_of(path)
    }

    /// Adds file, line and character to usage errors that are found after parsing.
    pub(crate) fn placed(&self, error: Error) -> Error {
        self.places.place(error)
    }

    fn of(tree: Node, folder: &Path, name: &str) -> Result<Config> {
        let Node::Map(tree) = tree else {
            return Err(Error::usage("a job file is a mapping with source, map and destination")
                .with_hint("`listferry schema` prints all keys"));
        };
        let named = tree.iter().find(|(key, _)| key == "destination").and_then(|(_, node)| node.get("platform"));
        let named = named.and_then(Node::text).map(str::to_owned);
        let entry = named.as_deref().and_then(|name| PLATFORMS.iter().find(|entry| entry.name == name));
        let tree = written::tree(tree, entry);
        let sections = Sections { tree: &tree, folder };
        let top = sections.top();
        let mut faults = Faults::default();
        let destination = faults.or_none(object(&tree, "destination")).unwrap_or_default();
        if entry.is_none() {
            faults.or_none(named.as_deref().map_or_else(
                || sections.of("destination", &destination).opt_text("platform").map(drop),
                |name| Err(no_such_platform(name)),
            ));
        }
        let named = named_and_dated(&top, name, &mut faults);
        let map = MapSpec(faults.or_none(object(&tree, "map")).unwrap_or_default());
        let conditions = faults.or_none(top.get("where").map_or(Ok(Vec::new()), Condition::parse_all));
        let wait = faults.or_none(top.opt_duration("wait").map_err(|_| bad_duration("wait")));
        let examples = faults.or_none(super::examples::read(tree.get(super::examples::TESTS)));
        let allow_empty = faults.or_none(top.bool_or("allow_empty", false));
        let state = faults.or_none(sections.read("state", state));
        let source = faults.or_none(sections.read("source", source));
        let rejects = faults.or_none(sections.read("rejects", rejects));
        let warnings = faults.or_none(sections.read("warnings", warnings));
        let upload = faults.or_none(sections.read("upload", upload));
        let spool = faults.or_none(sections.read("spool", spool));
        let html = faults.or_none(
            sections.read("report", |report| Ok(report.opt_text("html")?.map(|path| report.folder.join(path)))),
        );
        faults.or_none(sections.read("network", |network| options_of_network(network).map(drop)));
        by_table(&tree, entry, (&destination, &map), folder, &mut faults);
        let (Some(state), Some(source), Some(rejects), Some(upload), Some(spool), true) =
            (state, source, rejects, upload, spool, faults.is_empty())
        else {
            return Err(faults.into_error());
        };
        Ok(Config {
            places: Places::default(),
            name: named.name,
            timezone: named.timezone,
            given_name: named.given,
            state,
            folder: folder.to_owned(),
            source,
            conditions: conditions.unwrap_or_default(),
            rejects,
            warnings_that_fail: warnings.unwrap_or_default(),
            allow_empty: allow_empty.unwrap_or_default(),
            entry,
            own: None,
            given: None,
            upload,
            spool,
            html: html.flatten(),
            wait: wait.flatten().unwrap_or(Duration::from_secs(30 * 60)),
            examples: examples.unwrap_or_default(),
            map,
            destination,
            tree,
        })
    }

    /// Returns the platform, which every command but `export` needs.
    ///
    /// # Errors
    /// `Usage`: `destination.platform` or `map` is missing.
    pub(crate) fn platform(&self) -> Result<&'static Entry> {
        let entry = self.entry.ok_or_else(|| {
            Error::usage("destination.platform is required")
                .with_hint(format!("one of {}", PLATFORMS.iter().map(|e| e.name).collect::<Vec<_>>().join(", ")))
        })?;
        if self.map.0.is_empty() {
            return Err(Error::usage("map is required").with_hint("it defines the platform's fields by columns"));
        }
        Ok(entry)
    }

    /// Returns `network`, whose proxy may be a secret.
    ///
    /// # Errors
    /// `Usage`.
    pub(crate) fn network(&self, secrets: &dyn Secrets) -> Result<NetworkOptions> {
        let map = object(&self.tree, "network")?;
        options_of_network(&Settings { map: &map, at: "network", secrets, folder: &self.folder })
    }

    /// Returns path and file of the secrets of `destination` whose file is missing.
    pub(crate) fn missing_secret_files(&self) -> Vec<(String, String)> {
        let own = self.entry.map_or(&[][..], |entry| entry.keys);
        let secret = |name: &str| own.iter().any(|key| key.name == name && matches!(key.kind, KeyKind::Secret));
        let files = self.destination.iter().filter(|(name, _)| secret(name));
        let files = files.filter_map(|(name, value)| Some((name, value.get("file")?.as_str()?)));
        let missing = files.filter(|(_, file)| !self.folder.join(file).exists());
        missing.map(|(name, file)| (format!("destination.{name}"), file.to_owned())).collect()
    }

    /// Returns the network client. Its taint includes the secrets of all URLs in the job file.
    ///
    /// # Errors
    /// `Usage`.
    pub(crate) fn client(&self, env: &Env, secrets: &dyn Secrets) -> Result<Client> {
        env.taint.add_urls(&Value::Object(self.tree.clone()));
        let (taint, dial) = (env.taint.clone(), env.world.dial.clone());
        let network = NetworkOptions { taint, dial, ..self.network(secrets)? };
        Client::with_env(&network, &self.upload.timers, &*env.variables)
    }
}

/// Returns the environment of this process, for jobs without another one.
pub(crate) fn process_variables() -> Lookup {
    std::sync::Arc::new(|name| std::env::var(name).ok())
}

/// Validates the file against the tables of keys; if there are faults, also what the platform says of `destination` and
/// `map`, so that all of them are found at once.
fn by_table(
    tree: &Map<String, Value>,
    entry: Option<&Entry>,
    (destination, map): (&Map<String, Value>, &MapSpec),
    folder: &Path,
    faults: &mut Faults,
) {
    let by_type = unknown::check(tree, entry);
    if let (Some(entry), false, false) = (entry, map.0.is_empty(), faults.is_empty() && by_type.is_empty()) {
        let unset: super::secrets::Lookup = std::sync::Arc::new(|_| None);
        let filled = super::variables::fill(destination, Some(entry), &unset).destination;
        faults.or_none(built(entry, &filled, map, &NoSecrets, folder).map(drop));
    }
    // of two messages about one key the first stays: those of the readers above are more specific
    by_type.into_iter().for_each(|fault| faults.add(fault));
}

/// The job's name and its time zone.
struct Named {
    name: String,
    given: Option<String>,
    timezone: Timezone,
}

/// Reads `version`, `name` and `timezone`.
fn named_and_dated(top: &Settings<'_>, default: &str, faults: &mut Faults) -> Named {
    if top.get("version").is_some_and(|version| version.as_u64() != Some(1)) {
        let error = Error::usage("version must be 1");
        faults.add(error.with_hint("this listferry reads version 1 of the job file"));
    }
    let given = faults.or_none(top.opt_text("name")).flatten();
    let name = given.clone().unwrap_or_else(|| default.to_owned());
    if name.is_empty() || name.chars().any(char::is_control) {
        let error = Error::usage("name must be a text without control characters");
        faults.add(error.with_hint("one line, not empty; the default is the job file's name"));
    }
    let timezone = top.opt_text("timezone").and_then(|name| name.map(|name| Timezone::parse(&name)).transpose());
    Named { name, given, timezone: faults.or_none(timezone).flatten().unwrap_or_default() }
}

/// Access to the sections of a job file.
#[derive(Clone, Copy)]
struct Sections<'a> {
    tree: &'a Map<String, Value>,
    folder: &'a Path,
}

impl<'a> Sections<'a> {
    fn top(self) -> Settings<'a> {
        self.of("", self.tree)
    }

    fn of(self, at: &'a str, map: &'a Map<String, Value>) -> Settings<'a> {
        Settings { map, at, secrets: &NoSecrets, folder: self.folder }
    }

    fn read<T>(self, name: &str, read: impl FnOnce(&Settings<'_>) -> Result<T>) -> Result<T> {
        read(&Sections { tree: self.tree, folder: self.folder }.of(name, &object(self.tree, name)?))
    }
}

fn no_such_platform(name: &str) -> Error {
    let hint = match nearest(name, PLATFORMS.iter().map(|entry| entry.name)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("one of {}", PLATFORMS.iter().map(|e| e.name).collect::<Vec<_>>().join(", ")),
    };
    Error::usage(format!("destination.platform: there is no \"{}\"", crate::secret::printable(name))).with_hint(hint)
}

fn bad_duration(at: &str) -> Error {
    Error::usage(format!("{at} must be a duration like 90s, 15m or 2h"))
        .with_hint("a number and its unit: ms, s, m, h, d")
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

/// `network`.
fn options_of_network(settings: &Settings<'_>) -> Result<NetworkOptions> {
    let proxy = match settings.get("proxy") {
        None => Proxy::Env,
        Some(Value::String(word)) if word == "env" => Proxy::Env,
        Some(Value::String(word)) if word == "none" => Proxy::None,
        Some(Value::String(word)) if !word.contains("://") => {
            return Err(Error::usage("network.proxy must be env, none or a URL")
                .with_hint("for example proxy: http://proxy.example.com:3128"));
        }
        Some(_) => Proxy::Url(settings.secret("proxy")?),
    };
    Ok(NetworkOptions {
        proxy,
        ca_file: settings.opt_text("ca_file")?.map(|path| settings.folder.join(path)),
        allow_http: settings.bool_or("allow_http", false)?,
        ..NetworkOptions::default()
    })
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

/// `source`.
fn source(settings: &Settings<'_>) -> Result<SourceConfig> {
    let origin = origin::choose(ORIGINS, settings)?;
    // an address that is a secret is not known here
    let path = settings.get(PATH).and_then(Value::as_str);
    let path = path.map(|path| if path.starts_with("http") { redacted_url(path) } else { path.to_owned() });
    let (entry, is_certain) = match format::find(FORMATS, settings.opt_text("format")?.as_deref(), path.as_deref())? {
        Found::ByName(entry) => (entry, true),
        Found::ByContent(entry) => (entry, false),
    };
    let format = (entry.read)(settings)?;
    // the options of other formats must be valid, too
    let mut by_content = Vec::new();
    for other in FORMATS.iter().filter(|other| other.section != entry.section) {
        let options = (other.read)(settings)?;
        if !is_certain {
            by_content.push((other.name, options));
        }
    }
    Ok(SourceConfig {
        entry: origin,
        format,
        by_content,
        by_position: is_certain && entry.by_position,
        open: open_options(settings)?,
        expect: expect(settings)?,
    })
}

/// Compression and its bounds.
fn open_options(settings: &Settings<'_>) -> Result<SourceOptions> {
    let compression = match settings.opt_text("compression")?.as_deref() {
        None | Some("auto") => Compression::Auto,
        Some("none") => Compression::None,
        Some("gzip") => Compression::Gzip,
        Some("zstd") => Compression::Zstd,
        Some("bzip2") => Compression::Bzip2,
        Some("xz") => Compression::Xz,
        Some("lz4") => Compression::Lz4,
        Some("snappy") => {
            return Err(Error::usage(
                "source.compression: snappy is not supported: its files do not show that they are cut off",
            )
            .with_hint("make it gzip, zstd, xz, bzip2 or lz4"));
        }
        Some(_) => {
            return Err(Error::usage("source.compression must be auto, none, gzip, zstd, bzip2, xz or lz4")
                .with_hint("auto detects it by the first bytes of the file"));
        }
    };
    let mut open = SourceOptions { compression, ..SourceOptions::default() };
    if let Some(label) = settings.opt_text("encoding")? {
        open.encoding = Encoding::for_label(label.trim()).ok_or_else(|| {
            let shown = crate::secret::printable(&label);
            Error::usage(format!("source.encoding: \"{shown}\" is not the label of a known encoding")).with_hint(
                "for example utf-8, utf-16le, windows-1252, iso-8859-2, shift_jis, gb18030; convert others with iconv",
            )
        })?;
    }
    if let Some(max) = settings.opt_integer("max_expansion")? {
        open.max_expansion = max;
    }
    if let Some(max) = settings.opt_size("max_window")? {
        if !max.is_power_of_two() || !(1 << 10..=128 << 20).contains(&max) {
            return Err(Error::usage("source.max_window must be a power of two from 1KiB to 128MiB")
                .with_hint("for example max_window: 32MiB; memory grows by it"));
        }
        open.max_window = max;
    }
    Ok(open)
}

/// `source.expect`.
fn expect(source: &Settings<'_>) -> Result<Expect> {
    let map = object(source.map, "expect").map_err(|_| {
        Error::usage("source.expect must be a mapping").with_hint("for example expect: { min_records: 1000 }")
    })?;
    let settings = Settings { map: &map, at: "source.expect", ..*source };
    let sha256 = settings.opt_text("sha256")?.map(|hex| hex.to_ascii_lowercase());
    if sha256.as_ref().is_some_and(|hex| hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(Error::usage("source.expect.sha256 must be 64 hex digits").with_hint("as sha256sum prints it"));
    }
    Ok(Expect {
        min_records: settings.opt_integer("min_records")?,
        max_records: settings.opt_integer("max_records")?,
        max_change_percent: percent(&settings, "max_change_percent")?,
        sha256,
    })
}

fn percent(settings: &Settings<'_>, key: &str) -> Result<Option<f64>> {
    percent_up_to(f64::MAX, "a number from 0", settings, key)
}

/// Reads a share of all rows.
fn share(settings: &Settings<'_>, key: &str) -> Result<Option<f64>> {
    percent_up_to(100.0, "a number from 0 to 100", settings, key)
}

fn percent_up_to(max: f64, want: &str, settings: &Settings<'_>, key: &str) -> Result<Option<f64>> {
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
