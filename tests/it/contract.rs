//! docs/CONTRACT.md lists everything that it promises to list.

use listferry::job::report_schema;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn contract() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONTRACT.md")).unwrap()
}

/// Returns the first cells of the tables in a section, without backticks.
fn listed(section: &str) -> BTreeSet<String> {
    let contract = contract();
    let start = contract.find(section).unwrap_or_else(|| panic!("no section {section}"));
    let level = section.chars().take_while(|c| *c == '#').count();
    let text = &contract[start + section.len()..];
    let mut lines = text.lines().take_while(|line| {
        let marks = line.chars().take_while(|c| *c == '#').count();
        marks == 0 || marks > level
    });
    let cells = lines.by_ref().filter(|line| line.starts_with("| ")).flat_map(|line| line[2..].split(" | ").next());
    cells.flat_map(|cell| cell.split(", ")).map(|word| word.trim_matches('`').to_owned()).collect()
}

/// Returns path and text of the Rust files in a folder of the crate.
fn rust_files(dir: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(dir), &mut found);
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
    found.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn matches(pattern: &str, texts: &[String]) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    let all = texts.iter().flat_map(|text| pattern.captures_iter(text));
    all.map(|found| found.iter().skip(1).flatten().next().unwrap().as_str().to_owned()).collect()
}

fn words(values: &Value) -> BTreeSet<String> {
    values.as_array().unwrap().iter().filter(|value| !value.is_null()).map(|value| value.to_string()).collect()
}

fn names(values: &Value) -> BTreeSet<String> {
    words(values).iter().map(|name| name.trim_matches('"').to_owned()).collect()
}

#[test]
fn every_reject_code_in_the_source_is_listed() {
    let sources: Vec<(String, String)> = rust_files("src")
        .into_iter()
        .filter(|(name, _)| !name.contains("/tests"))
        .map(|(name, text)| (name, text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()))
        .collect();
    let of_rows = ["src/mapping/", "src/body/", "src/format/", "src/reader/", "src/row"];
    let in_row_rooms = |name: &str| of_rows.iter().any(|room| name.starts_with(room));
    let all: Vec<String> = sources.iter().map(|(_, text)| text.clone()).collect();
    let rows: Vec<String> =
        sources.iter().filter(|(name, _)| in_row_rooms(name)).map(|(_, text)| text.clone()).collect();
    // a code is assigned to a field, given to the constructor of an error, or paired with the words of its reason
    let set = r#"\bcode(?:: | = )"([a-z0-9_]+)"|(?:Wrong|CellError|RowError|Bad)::new\(\s*"([a-z0-9_]+)""#;
    let paired = r#""([a-z0-9_]+)",\s*(?:format!\(|"[^"\n]* [^"\n]*")"#;
    let mut codes = matches(set, &all);
    codes.append(&mut matches(paired, &rows));
    let documented = listed("## Rejected rows");
    let known: BTreeSet<String> = listferry::job::REJECT_CODES.iter().map(|code| (*code).to_owned()).collect();
    codes.extend(known.clone());
    let unknown: Vec<_> = codes.difference(&known).collect();
    assert!(unknown.is_empty(), "add to src/job/reject_codes.rs: {unknown:?}");
    let missing: Vec<_> = codes.difference(&documented).collect();
    assert!(codes.len() > 20 && missing.is_empty(), "add to docs/CONTRACT.md, Rejected rows: {missing:?}");
    let text = rows.concat();
    let gone: Vec<_> =
        documented.iter().filter(|code| *code != "code" && !text.contains(&format!("\"{code}\""))).collect();
    assert!(gone.is_empty(), "no longer in the source: {gone:?}");
}

#[test]
fn exit_codes_kinds_warnings_and_report_keys_are_listed() {
    let (schema, contract) = (report_schema(), contract());
    let properties = &schema["properties"];
    let has = |section: &str, wanted: BTreeSet<String>| {
        let listed = listed(section);
        let missing: Vec<_> = wanted.difference(&listed).collect();
        assert!(missing.is_empty(), "{section}: {missing:?} of {listed:?}");
    };
    has("## Exit codes", words(&properties["exit_code"]["enum"]));
    has("## The report", properties.as_object().unwrap().keys().cloned().collect());
    has("## Warnings", names(&properties["warnings"]["items"]["properties"]["kind"]["enum"]));
    for word in names(&properties["error"]["properties"]["kind"]["enum"]) {
        assert!(contract.contains(&format!("| `{word}` | ")), "kind {word}");
    }
    for key in ["records", "bytes", "seconds"] {
        for inner in properties[key]["properties"].as_object().unwrap().keys() {
            assert!(contract.contains(&format!("`{inner}`")), "{key}.{inner}");
        }
    }
    for status in names(&properties["status"]["enum"]) {
        assert!(Regex::new(&format!(r"\b{status}\b")).unwrap().is_match(&contract), "status {status}");
    }
}

#[test]
fn every_failure_id_in_a_test_name_is_listed() {
    let tests: Vec<String> = ["src", "tests"].into_iter().flat_map(rust_files).map(|(_, text)| text).collect();
    let prefixes = matches(r"fn ((?:[snjpx][0-9]{2}_)+)", &tests);
    let used: BTreeSet<String> =
        prefixes.iter().flat_map(|ids| ids.trim_end_matches('_').split('_')).map(str::to_uppercase).collect();
    let documented = listed("## Failure ids");
    let missing: Vec<_> = used.difference(&documented).collect();
    assert!(used.len() > 40 && missing.is_empty(), "add to docs/CONTRACT.md, Failure ids: {missing:?}");
}

/// Returns the names of all tests.
fn test_names() -> BTreeSet<String> {
    let texts: Vec<String> = ["src", "tests"].into_iter().flat_map(rust_files).map(|(_, text)| text).collect();
    matches(r"#\[(?:tokio::)?test[^\n]*\]\n(?:\s*#\[[^\n]*\]\n)*\s*(?:async )?fn (\w+)\(", &texts)
}

#[test]
fn every_test_that_the_gate_names_exists() {
    let gate = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/GATE.md")).unwrap();
    let tests = test_names();
    let mut named = BTreeSet::new();
    for line in gate.lines().filter(|line| line.starts_with("| ")) {
        let last = line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default().to_owned();
        named.append(&mut matches(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`", &[last]));
    }
    let missing: Vec<_> = named.difference(&tests).collect();
    assert!(named.len() > 50 && missing.is_empty(), "tests/GATE.md names tests that do not exist: {missing:?}");
    let (_, stories) = gate.split_once("## Stories").unwrap();
    for story in 1..=29 {
        let row = Regex::new(&format!(r"(?m)^\| (?:\d+ and )?{story}(?: and \d+)? \|")).unwrap();
        assert!(row.is_match(stories), "story {story} has no test in tests/GATE.md");
    }
    let table = named.iter().filter(|name| !name.starts_with("story_"));
    assert!(table.count() > 20);
    let stories: Vec<_> = tests.iter().filter(|name| name.starts_with("story_") && !named.contains(*name)).collect();
    assert!(stories.is_empty(), "add to tests/GATE.md: {stories:?}");
}
