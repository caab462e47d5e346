//! The job file as typed settings, with defaults.

use super::choices::Choices;
use super::env::Env;
use super::examples::Example;
use super::own::Own;
use super::pass::built;
use super::places::Places;
use super::secrets::Lookup;
pub(super) use super::sections::object;
use super::sections::{RejectLimits, Sections, Spool, StateOptions, Upload, Working, percent_up_to};
use super::timezone::Timezone;
use super::written::{self, Node};
use super::{unknown, yaml};
use crate::error::{Error, Faults, Result, nearest};
use crate::format::{self, FORMATS, Found, TableOptions};
use crate::mapping::{Condition, MapSpec};
use crate::origin::{self, Given, ORIGINS, PATH};
use crate::platform::{Entry, PLATFORMS};
use crate::secret::redacted_url;
use crate::settings::{KeyKind, NoSecrets, Secrets, Settings};
use crate::source::{Compression, Encoding, SourceOptions};
use crate::transport::{Client, NetworkOptions, Proxy};
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
    /// Whether a list that is the one of the last done run is not sent again (`if_unchanged: skip`).
    pub(crate) skips_unchanged: bool,
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
    pub(crate) max_age: Option<Duration>,
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
        let named = tree.get("destination").and_then(|node| node.get("platform")).and_then(Node::text);
        let named = named.map(str::to_owned);
        let entry = named.as_deref().and_then(|name| PLATFORMS.iter().find(|entry| entry.name == name));
        let tree = written::tree(mapping(tree)?, entry);
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
        let choices = Choices::read(&top, &mut faults);
        let source = faults.or_none(sections.read("source", source));
        let working = Working::read(sections, &mut faults);
        faults.or_none(sections.read("network", |network| options_of_network(network).map(drop)));
        by_table(&tree, entry, (&destination, &map), folder, &mut faults);
        let (Some(working), Some(source), true) = (working, source, faults.is_empty()) else {
            return Err(faults.into_error());
        };
        let Working { state, rejects, warnings_that_fail, upload, spool, html } = working;
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
            warnings_that_fail,
            allow_empty: choices.allow_empty,
            entry,
            own: None,
            given: None,
            upload,
            spool,
            html,
            wait: choices.wait,
            skips_unchanged: choices.skips_unchanged,
            examples: choices.examples,
            map,
            destination,
            tree,
        })
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

/// Returns the keys of a whole job.
fn mapping(tree: Node) -> Result<Vec<(String, Node)>> {
    match tree {
        Node::Map(keys) => Ok(keys),
        _ => Err(Error::usage("a job file is a mapping with source, map and destination")
            .with_hint("`listferry schema` prints all keys")),
    }
}

fn no_such_platform(name: &str) -> Error {
    let hint = match nearest(name, PLATFORMS.iter().map(|entry| entry.name)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("one of {}", PLATFORMS.iter().map(|e| e.name).collect::<Vec<_>>().join(", ")),
    };
    Error::usage(format!("destination.platform: there is no \"{}\"", crate::secret::printable(name))).with_hint(hint)
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
        max_age: settings.opt_duration("max_age")?,
    })
}

fn percent(settings: &Settings<'_>, key: &str) -> Result<Option<f64>> {
    percent_up_to(f64::MAX, "a number from 0", settings, key)
}
