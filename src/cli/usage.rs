//! Parses flags and variables. On wrong usage, prints clap's message and exits with 2; as a report if JSON was asked
//! for.

use super::output::{self, To};
use super::{Arguments, Output, When};
use clap::builder::{OsStr, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches, ValueEnum};
use listferry::job::Report;
use listferry::{Error, Kind};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// Returns the arguments of this process, or the exit code if there is nothing left to do.
pub(crate) fn read() -> Result<Arguments, ExitCode> {
    let command = without_empty_variables(Arguments::command());
    let given: Vec<OsString> = std::env::args_os().collect();
    let matches = command.clone().try_get_matches_from(&given);
    matches.and_then(|matches| Arguments::from_arg_matches(&matches)).map_err(|error| answer(&command, &given, &error))
}

/// Treats variables that are set to an empty text as not set.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::<OsStr>::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

/// Parses a number of threads.
pub(crate) fn threads(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|&threads| threads > 0).ok_or_else(|| "a whole number from 1 to 65535".to_owned())
}

/// Parses a number of rows.
pub(crate) fn rows(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "a whole number".to_owned())
}

/// Parses a duration like `90d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let value = text.into();
    listferry::settings::duration(&value).ok_or_else(|| "a duration like 90s, 15m, 2h or 90d".to_owned())
}

/// Parses a time: a duration before now, or RFC 3339.
pub(crate) fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = duration(text) {
        return Ok(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH));
    }
    let time = chrono::DateTime::parse_from_rfc3339(text);
    time.map(SystemTime::from).map_err(|_| "a duration like 7d, or a time like 2026-11-30T00:00:00Z".to_owned())
}

/// Parses `LISTFERRY_VERBOSE`: how often `-v` counts, or true or false.
pub(crate) fn verbosity(text: &str) -> Result<u8, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" => Ok(1),
        "false" | "no" | "off" | "n" | "f" => Ok(0),
        _ => text.parse().map_err(|_| "a number, true or false".to_owned()),
    }
}

/// Prints help and version to stdout with exit code 0; everything else is a usage error.
fn answer(command: &Command, given: &[OsString], error: &clap::Error) -> ExitCode {
    let text = error.render();
    let set = |name: &str| std::env::var(name).ok();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let shown = output::styled(&if output::colours(colour(given, set), &std::io::stdout()) {
            text.ansi().to_string()
        } else {
            text.to_string()
        });
        return output::or_lost(0, shown);
    }
    let hint = variable(command, given, error).map(|name| format!("the value is that of the variable {name}"));
    match form(given, set) {
        (Output::Json, to) => {
            let whole = text.to_string();
            let message = whole.lines().next().unwrap_or("wrong usage");
            let error = Error::usage(message.trim_start_matches("error: "))
                .with_hint(hint.as_deref().unwrap_or("see listferry --help"));
            output::object(&Report::failed("listferry", error), to)
        }
        (Output::Text, _) => {
            match output::colours(colour(given, set), &std::io::stderr()) {
                true => output::terminal(&text.ansi().to_string()),
                false => output::stderr(&text.to_string()),
            }
            if let Some(hint) = hint {
                output::stderr(&format!("  hint: {hint}\n"));
            }
            ExitCode::from(Kind::Usage.exit_code())
        }
    }
}

/// Returns `--color` of arguments that are not valid as a whole.
fn colour(given: &[OsString], variable: impl Fn(&str) -> Option<String>) -> When {
    let value = value(given, ("--color", None), || variable("LISTFERRY_COLOR"));
    value.and_then(|value| When::from_str(&value, true).ok()).unwrap_or(When::Auto)
}

/// Returns the last value of an option of arguments that are not valid as a whole, or else that of its variable.
fn value(
    given: &[OsString],
    (flag, short): (&str, Option<&str>),
    variable: impl FnOnce() -> Option<String>,
) -> Option<String> {
    let given: Vec<_> = given.iter().skip(1).map(|argument| argument.to_string_lossy()).collect();
    let mut found = None;
    for (i, argument) in given.iter().enumerate() {
        let attached = |flag: &str| argument.strip_prefix(flag).map(str::to_owned);
        if **argument == *flag || short.is_some_and(|short| **argument == *short) {
            found = given.get(i + 1).map(|value| value.to_string());
        } else if let Some(value) = attached(&format!("{flag}=")).or_else(|| short.and_then(attached)) {
            found = Some(value);
        }
    }
    found.or_else(variable).filter(|value| !value.is_empty())
}

/// Returns the variable that a wrong value came from. Clap names only the flag.
fn variable(command: &Command, given: &[OsString], error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (flag, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    if given.iter().any(|argument| argument.to_string_lossy().ends_with(value)) {
        return None;
    }
    let args = command.get_arguments().chain(command.get_subcommands().flat_map(Command::get_arguments));
    // clap shows `--threads <N>` and `--verbose...`
    let flag = flag.split([' ', '=', '.', '[']).next().and_then(|flag| flag.strip_prefix("--"))?;
    let mut names = args.filter(|arg| arg.get_long() == Some(flag)).filter_map(Arg::get_env);
    let name = names.find(|name| std::env::var_os(name).is_some_and(|set| set.to_string_lossy() == value))?;
    Some(name.to_string_lossy().into_owned())
}

/// Returns format and place of the report. The arguments were invalid, so they are searched by hand.
fn form(given: &[OsString], variable: impl Fn(&str) -> Option<String>) -> (Output, To) {
    let output = match value(given, ("--output", None), || variable("LISTFERRY_OUTPUT")).as_deref() {
        Some("json") => Output::Json,
        _ => Output::Text,
    };
    let commands: Vec<_> =
        Arguments::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let named = given.iter().skip(1).filter_map(|argument| argument.to_str());
    let to = match named.into_iter().find(|argument| commands.iter().any(|name| argument == name)) {
        Some("convert" | "export") => {
            let file = value(given, ("--out-file", Some("-o")), || variable("LISTFERRY_OUT_FILE")).map(PathBuf::from);
            To::beside(file.as_deref())
        }
        Some("check")
            if value(given, ("--out", None), || variable("LISTFERRY_OUT"))
                .is_some_and(|out| output::is_stdout(out.as_ref())) =>
        {
            To::Stderr
        }
        Some("rejects") => To::Stderr,
        _ => To::Stdout,
    };
    (output, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_and_place_are_read_from_wrong_arguments() {
        for (line, json, to) in [
            ("check --nope job.yaml --output json", true, To::Stdout),
            ("check --nope job.yaml --output=json", true, To::Stdout),
            ("--output json chekc job.yaml", true, To::Stdout),
            ("check job.yaml --nope", false, To::Stdout),
            ("check job.yaml --nope --out plan.json --output json", true, To::Stdout),
            ("check job.yaml --nope --out - --output json", true, To::Stderr),
            ("check --output json --output text --nope", false, To::Stdout),
            ("convert --nope job.yaml --output json", true, To::Stderr),
            ("convert job.yaml -o x --threads many --output json", true, To::Stdout),
            ("convert --output json", true, To::Stderr),
            ("export --output json --nope job.yaml -o -", true, To::Stderr),
            ("convert job.yaml -ox --nope --output json", true, To::Stdout),
            ("convert job.yaml --out-file=x --nope --output json", true, To::Stdout),
            ("rejects --output json", true, To::Stderr),
            ("--output json", true, To::Stdout),
        ] {
            let given: Vec<OsString> =
                std::iter::once("listferry").chain(line.split(' ')).map(OsString::from).collect();
            let (output, place) = form(&given, |_| None);
            assert_eq!((output == Output::Json, place), (json, to), "{line}");
        }
        let convert = ["listferry", "convert", "--nope"].map(OsString::from);
        let variable = |name: &str| Some(if name == "LISTFERRY_OUTPUT" { "json" } else { "x" }.to_owned());
        assert!(matches!(form(&convert, variable), (Output::Json, To::Stdout)));
    }

    #[test]
    fn colour_is_read_from_wrong_arguments() {
        let unset = |_: &str| None;
        let given =
            |line: &str| std::iter::once("listferry").chain(line.split(' ')).map(OsString::from).collect::<Vec<_>>();
        assert_eq!(colour(&given("chekc --color=never --color always"), unset), When::Always);
        assert_eq!(colour(&given("chekc --color sometimes"), unset), When::Auto);
        let variable = |name: &str| (name == "LISTFERRY_COLOR").then(|| "always".to_owned());
        assert_eq!(colour(&given("chekc"), variable), When::Always);
        assert_eq!(colour(&given("--color never chekc"), variable), When::Never);
    }

    #[test]
    fn verbosity_is_a_number_or_a_word() {
        assert_eq!(["2", "true", "No", "0"].map(verbosity), [Ok(2), Ok(1), Ok(0), Ok(0)]);
        assert!(verbosity("maybe").is_err());
    }
}
