//! The imports between the files of a room, and the cycles among them.
//!
//! A file imports another if a `use` or a path in it refers to an item of that file, possibly through the re-exports of
//! `mod.rs`. The lists and re-exports of a `mod.rs` do not count as imports: only its own definitions depend on its
//! children.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// Path of a module from the root of the crate.
type Module = Vec<String>;

/// A path in a file: its segments, the name that it is bound to, and whether it is re-exported.
struct Import {
    segments: Module,
    name: String,
    is_public: bool,
}

/// Files of the crate by module; their code without comments and tests.
pub(crate) struct Imports {
    modules: BTreeMap<Module, String>,
    imports: BTreeMap<String, Vec<Import>>,
}

impl Imports {
    /// Reads `(name, code)` of all files.
    pub(crate) fn new(files: &[(String, String)]) -> Imports {
        let modules: BTreeMap<Module, String> = files.iter().map(|(name, _)| (module(name), name.clone())).collect();
        let imports = files.iter().map(|(name, code)| (name.clone(), imports(code))).collect();
        Imports { modules, imports }
    }

    /// Returns the files of its own room that each file imports.
    pub(crate) fn within_rooms(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, imports) in &self.imports {
            let targets = edges.entry(name).or_default();
            for import in imports.iter().filter(|import| !(import.is_public && self.has_children(name))) {
                let file = self.absolute(name, &import.segments).and_then(|path| self.file(&path, 0));
                targets.extend(file.filter(|file| *file != name && room(file) == room(name)));
            }
        }
        edges
    }

    /// Whether a file lists the files of a folder: `mod.rs`, or a file beside the folder of its name.
    fn has_children(&self, name: &str) -> bool {
        let own = module(name);
        self.modules.keys().any(|module| module.len() > own.len() && module.starts_with(&own))
    }

    /// Returns the path from the root of the crate; `None` if it leads out of the crate.
    fn absolute(&self, name: &str, segments: &[String]) -> Option<Module> {
        let mut at = module(name);
        let mut rest = segments;
        match rest.first()?.as_str() {
            "crate" => return Some(rest[1..].to_vec()),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                at.push(child.to_owned());
                self.modules.get(&at)?;
                at.pop();
            }
        }
        at.extend(rest.iter().cloned());
        Some(at)
    }

    /// Returns the file that defines the item of a path.
    fn file(&self, path: &[String], depth: usize) -> Option<&str> {
        let (len, file) =
            (1..=path.len()).rev().find_map(|len| Some((len, self.modules.get(&path[..len])?.as_str())))?;
        let item = path.get(len);
        let through = item.filter(|_| depth < 6).and_then(|item| {
            let import = self.imports[file].iter().find(|import| import.is_public && import.name == *item)?;
            self.absolute(file, &import.segments).filter(|target| target[..] != path[..=len])
        });
        through.and_then(|target| self.file(&target, depth + 1)).or(Some(file))
    }
}

/// Returns the groups of files that import each other, directly or indirectly.
pub(crate) fn cycles(edges: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|file| (*file, reachable(edges, file))).collect();
    let mut groups: Vec<BTreeSet<String>> = Vec::new();
    for (file, targets) in reached.iter().filter(|(file, targets)| targets.contains(*file)) {
        if !groups.iter().any(|group| group.contains(*file)) {
            let back = targets.iter().filter(|target| reached.get(*target).is_some_and(|back| back.contains(file)));
            groups.push(back.map(|target| (*target).to_owned()).collect());
        }
    }
    groups
}

/// Returns all files that a file imports, directly or indirectly.
fn reachable<'e>(edges: &BTreeMap<&'e str, BTreeSet<&'e str>>, from: &'e str) -> BTreeSet<&'e str> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        for &target in edges.get(file).into_iter().flatten() {
            if seen.insert(target) {
                next.push(target);
            }
        }
    }
    seen
}

/// Returns the room of a file.
pub(crate) fn room(name: &str) -> &str {
    name.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn module(name: &str) -> Module {
    let mut path: Module = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

fn imports(code: &str) -> Vec<Import> {
    let code = Regex::new(r"pub\(in [^)]*\)").unwrap().replace_all(code, "pub");
    let uses = Regex::new(r"(?m)^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);").unwrap();
    let mut found = Vec::new();
    for statement in uses.captures_iter(&code) {
        let tree: String = statement[2].split_whitespace().collect::<Vec<_>>().join(" ");
        for (segments, name) in branches(&tree) {
            found.push(Import { segments, name, is_public: statement.get(1).is_some() });
        }
    }
    let paths = Regex::new(r"\b([a-z_]\w*(?:::\w+)+)").unwrap();
    let rest = uses.replace_all(&code, "");
    for path in paths.find_iter(&rest) {
        let before = rest[..path.start()].chars().next_back();
        if !before.is_some_and(|c| c == ':' || c == '$') {
            let segments = path.as_str().split("::").map(str::to_owned).collect();
            found.push(Import { segments, name: String::new(), is_public: false });
        }
    }
    found
}

/// Returns the paths of a `use` tree, each with the name that it is bound to.
fn branches(tree: &str) -> Vec<(Module, String)> {
    let segments = |path: &str| -> Module {
        path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let Some((before, group)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let path = segments(path);
        let name = if alias.is_empty() { path.last().cloned().unwrap_or_default() } else { alias.trim().to_owned() };
        return vec![(path, name)];
    };
    let (before, group) = (segments(before), group.trim_end().trim_end_matches('}'));
    let mut found = Vec::new();
    for branch in split(group) {
        for (path, name) in branches(branch.trim()) {
            let is_self = path == ["self"];
            let path: Module = before.iter().cloned().chain(path.into_iter().filter(|_| !is_self)).collect();
            let name = if is_self { path.last().cloned().unwrap_or_default() } else { name };
            found.push((path, name));
        }
    }
    found
}

/// Returns the branches of a group, each with balanced braces.
fn split(group: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let mut parts: Vec<String> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
    for part in &mut parts {
        // the closing brace that was trimmed from the end of the group
        if part.matches('{').count() > part.matches('}').count() {
            part.push('}');
        }
    }
    parts
}
