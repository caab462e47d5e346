//! The rules of the code's layout: which room (folder of `src/`) may use which, and where `unsafe` and printing are allowed.
//! docs/ARCHITECTURE.md describes the rooms. The contract with users is docs/CONTRACT.md; `tests/it/contract.rs` checks that it is complete.

#[path = "layers/imports.rs"]
mod imports;
#[path = "layers/sizes.rs"]
mod sizes;

use imports::{Imports, cycles, room};
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
    ("source", &["error", "secret"]),
    ("row", &["buffer", "error"]),
    ("format", &["source", "scan", "row", "buffer", "error", "settings"]),
    ("mapping", &["row", "encode", "buffer", "error"]),
    // secret: texts of platforms in the reject file
    ("body", &["source", "format", "mapping", "row", "encode", "buffer", "error", "secret"]),
    ("transport", &["error", "secret"]),
    ("settings", &["error", "secret"]),
    ("calls", &["transport", "error", "secret", "settings"]),
    // transport: requests are built and answers are read in the terms of HTTP
    ("origin", &["source", "calls", "transport", "error", "secret", "settings"]),
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
            "origin",
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
    for folder in folders("") {
        assert!(folder == "cli" || allowed.contains_key(folder.as_str()), "{folder} is not in the list of rooms");
    }
    assert!(seen > 100, "no paths were read");
    assert!(wrong.is_empty(), "arrows that are not allowed:\n{}", wrong.join("\n"));
}

/// Returns the folders in a folder of `src`.
fn folders(folder: &str) -> Vec<String> {
    let dir = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder)).unwrap();
    let folders = dir.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Rooms in which files still import each other. Remove a room when its cycles are gone; do not add one.
const TANGLED: &[&str] = &["cli", "job", "platform", "sandbox", "transport"];

#[test]
fn no_files_of_a_room_import_each_other() {
    let is_test = |name: &str| name.rsplit('/').next().is_some_and(|file| file.starts_with("tests"));
    let files = sources().into_iter().filter(|(name, _)| !is_test(name));
    let files: Vec<(String, String)> = files.map(|(name, text)| (name, code(&text))).collect();
    let imports = Imports::new(&files);
    let edges = imports.within_rooms();
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 300, "no imports were read");
    let is_known = |files: &BTreeSet<String>| files.first().is_some_and(|file| TANGLED.contains(&room(file)));
    let (known, new): (Vec<_>, Vec<_>) = cycles(&edges).into_iter().partition(is_known);
    assert!(new.is_empty(), "files that import each other: {new:#?}");
    for tangled in TANGLED {
        let is_tangled = known.iter().flatten().any(|file| room(file) == *tangled);
        assert!(is_tangled, "{tangled} has no cycle any more: take it out of TANGLED");
    }
}

#[test]
fn files_that_import_each_other_are_found() {
    let found = |two: &str| {
        let files = [
            ("lib.rs", "pub mod room;"),
            ("room/mod.rs", "mod one; mod two; mod low; pub use low::{Low, Other as Named};"),
            ("room/one.rs", "use super::two::{self, Two};\nfn f() { super::low::g(); }"),
            ("room/two.rs", two),
            ("room/low.rs", "pub struct Low;"),
        ];
        let files = files.map(|(name, code)| (name.to_owned(), code.to_owned()));
        cycles(&Imports::new(&files).within_rooms())
    };
    // an item of a sibling through the re-exports of mod.rs is not an import of mod.rs
    for fine in ["use super::Low;", "use crate::room::{Named, low::Low};", "fn f() { std::fs::read(x); }", ""] {
        assert_eq!(found(fine), Vec::<BTreeSet<String>>::new(), "{fine}");
    }
    let both: BTreeSet<String> = ["room/one.rs", "room/two.rs"].map(str::to_owned).into();
    for cycle in
        ["use super::one::f;", "use crate::room::{Low, one};", "fn g() { super::one::f() }", "pub use super::one::*;"]
    {
        assert_eq!(found(cycle), std::slice::from_ref(&both), "{cycle}");
    }
}

/// Functions and files that were larger when the limits were introduced, with their lines, which must not increase.
const LARGE: &[(&str, usize)] = &[
    ("job/start.rs start_resumed", 65),
    ("platform/mediarithmics/deliver.rs send_all", 67),
    ("sandbox/localytics.rs upload", 103),
    ("sandbox/mediarithmics.rs execute", 88),
    ("sandbox/s3.rs validate", 61),
];

#[test]
fn files_and_functions_are_short_or_say_why_not() {
    let known = |what: &str| LARGE.iter().find(|(known, _)| *known == what).map(|(_, lines)| *lines);
    let mut large = Vec::new();
    for (name, text) in sources().into_iter().filter(|(name, _)| !name.contains("/tests")) {
        let lines = text.lines().count();
        if lines > known(&name).unwrap_or(600) {
            large.push(format!("{name} has {lines} lines"));
        }
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
        for function in sizes::functions(code).into_iter().filter(|function| !function.has_reason) {
            let sizes::Function { line, name: function, lines, parameters, .. } = function;
            let known = known(&format!("{name} {function}"));
            if lines > known.unwrap_or(60) || (parameters > 6 && known.is_none()) {
                large.push(format!("{name}:{line} {function} has {lines} lines and {parameters} parameters"));
            }
        }
    }
    assert!(large.is_empty(), "too large, without a comment that says why:\n{}", large.join("\n"));
}

#[test]
fn large_functions_are_found() {
    let body = "    x();\n".repeat(59);
    let long = format!("impl X {{\n}}\npub(crate) async fn long(&self, a: u8) -> T {{\n{body}}}\n");
    let found = &sizes::functions(&long)[0];
    assert_eq!((&*found.name, found.lines, found.parameters, found.has_reason), ("long", 61, 1, false));
    let many = "    fn many<'a>(\n        mut self,\n        (a, b): (u8, u8),\n        f: impl Fn(u8, u8) -> Vec<(u8, u8)>,\n    ) {}\n";
    let found = &sizes::functions(many)[0];
    assert_eq!((&*found.name, found.parameters), ("many", 2));
    let reasoned = "/// Docs.\n// a table of data\nconst fn table() {\n}\n";
    assert!(sizes::functions(reasoned)[0].has_reason);
    assert!(!sizes::functions("/// Docs.\nfn f() {\n}\n")[0].has_reason);
}

#[test]
fn platforms_never_meet() {
    let platforms = folders("platform");
    assert!(platforms.len() >= 4, "the platforms were not found");
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
