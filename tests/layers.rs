//! The rules of the code's layout: which room (folder of `src/`) may use which, and where `unsafe` and printing are allowed.
//! docs/ARCHITECTURE.md describes the rooms. The contract with users is docs/CONTRACT.md; `tests/it/contract.rs` checks that it is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may use. All rooms may use `error`, `secret` and `warning`. A comment gives the
/// reason for a dependency that is not obvious.
const ARROWS: &[(&str, &[&str])] = &[
    // secret: errors escape their texts
    ("error", &["secret"]),
    ("secret", &[]),
    ("warning", &[]),
    ("buffer", &[]),
    ("scan", &["buffer"]),
    ("encode", &["buffer", "error"]),
    // calls: an export is requested, waited for and read like any call
    ("source", &["error", "secret", "transport", "calls"]),
    ("row", &["buffer", "error"]),
    ("format", &["source", "scan", "row", "buffer", "error", "settings"]),
    ("mapping", &["row", "encode", "buffer", "error"]),
    // secret: texts of platforms in the reject file
    ("body", &["source", "format", "mapping", "row", "encode", "buffer", "error", "secret"]),
    ("transport", &["error", "secret"]),
    ("settings", &["error", "secret"]),
    ("calls", &["transport", "error", "secret", "settings"]),
    ("platform", &["body", "mapping", "calls", "transport", "error", "secret", "settings"]),
    (
        "job",
        &[
            "platform",
            "body",
            "mapping",
            "row",
            "format",
            "source",
            "calls",
            "transport",
            "error",
            "secret",
            "settings",
        ],
    ),
    ("sandbox", &[]),
];

fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 50, "the sources were not found");
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn room(name: &str) -> &str {
    name.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Returns the lines without comments, up to `#[cfg(test)]`.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Returns the first segments of paths that begin with `crate::`, nested groups included, and of `super::` chains that
/// leave the room.
fn uses(name: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for (at, _) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + 7..];
        match rest.strip_prefix('{') {
            None => drop(found.insert(word(rest))),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.insert(word(&group[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    let depth = name.matches('/').count() + usize::from(!name.ends_with("mod.rs"));
    for (at, _) in text.match_indices("super::") {
        if text[..at].ends_with("super::") {
            continue;
        }
        let chain = text[at..].split("super::").take_while(|part| part.is_empty()).count();
        if chain >= depth && depth > 0 {
            let rest = &text[at + 7 * chain..];
            found.insert(word(rest));
        }
    }
    // re-exports of the crate's root
    for (alias, room) in [
        ("Error", "error"),
        ("Kind", "error"),
        ("Place", "error"),
        ("Result", "error"),
        ("Secret", "secret"),
        ("Warning", "warning"),
        ("WarningKind", "warning"),
    ] {
        if found.remove(alias) {
            found.insert(room.to_owned());
        }
    }
    found
}

#[test]
fn every_arrow_between_rooms_is_allowed() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, text) in sources() {
        let room = room(&name);
        let Some(arrows) = allowed.get(room) else {
            assert!(matches!(room, "lib" | "main" | "cli"), "{name} is in no room");
            continue;
        };
        for used in uses(&name, &code(&text)) {
            seen += 1;
            if used != room
                && used != "warning"
                && !arrows.contains(&used.as_str())
                && allowed.contains_key(used.as_str())
            {
                wrong.push(format!("{name} uses {used}"));
            }
        }
    }
    assert!(seen > 100, "no paths were read");
    assert!(wrong.is_empty(), "arrows that are not allowed:\n{}", wrong.join("\n"));
}

#[test]
fn platforms_never_meet() {
    let platforms = ["clevertap", "localytics", "mediarithmics", "yesmail"];
    for (name, text) in sources() {
        let Some(own) = platforms.iter().find(|platform| name.starts_with(&format!("platform/{platform}/"))) else {
            continue;
        };
        for other in platforms.iter().filter(|other| *other != own) {
            let code = code(&text);
            assert!(!code.contains(&format!("{other}::")), "{name} uses {other}");
        }
    }
}

#[test]
fn the_sandbox_shares_no_code_with_the_client() {
    for (name, text) in sources() {
        if name.starts_with("sandbox/") {
            let used: Vec<String> = uses(&name, &code(&text)).into_iter().filter(|used| used != "sandbox").collect();
            assert!(used.is_empty(), "{name} uses {used:?}");
        }
    }
}

#[test]
fn unsafe_is_in_two_rooms_only_and_printing_in_the_binary_only() {
    for (name, text) in sources() {
        let code = code(&text);
        if !name.starts_with("scan/") && name != "buffer.rs" {
            for keyword in ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"] {
                assert!(!code.contains(keyword), "{name} has {keyword}");
            }
        }
        if !name.starts_with("cli/") && name != "main.rs" {
            for call in ["println!(", "eprintln!(", "print!(", "process::exit("] {
                assert!(!code.contains(call), "{name} has {call}");
            }
        }
    }
}

#[test]
fn the_reader_of_paths_reads_them() {
    let text = "use crate::{body::{Frame, Part}, error::Result,\n mapping};\nfn f() { crate::secret::x(); super::super::job::y(); }";
    let found: Vec<String> = uses("platform/x/mod.rs", text).into_iter().collect();
    assert_eq!(found, ["body", "error", "job", "mapping", "secret"]);
}
