//! Parses the text of a job file into a tree, and applies `--set key.path=value` to it.

use super::written::{Node, Read};
use crate::error::{Error, Place, Result};
use serde_json::Value;

/// Parses YAML 1.2 (`no` and `yes` are text). Keys keep their order; a duplicate key is an error.
///
/// # Errors
/// `Usage` with line and column. Values are not quoted, since they may be secrets.
pub(crate) fn parse(text: &str, file: &str) -> Result<Node> {
    let text = without_bom(text);
    read(text, file).map(|read| read.with(text))
}

/// Removes a byte order mark, which counts in no position.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Parses YAML 1.2 into nodes with their positions. The text has no byte order mark.
///
/// # Errors
/// As [`parse`].
pub(crate) fn read(text: &str, file: &str) -> Result<Read> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
    };
    let read: Result<Read, _> = serde_saphyr::from_str_with_options(text, options);
    read.map_err(|error| {
        let place = error.location();
        let whole = error.without_snippet().to_string();
        let said = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(said, _)| said);
        let said = match said.strip_suffix(", set DuplicateKeyPolicy in Options if acceptable").unwrap_or(said) {
            said if said.starts_with("multiple YAML documents") => "a second YAML document begins; a job file has one",
            said => said,
        };
        let said = in_words(said);
        let mut at = Place { file: Some(file.to_owned()), ..Place::default() };
        let mut error = Error::usage(said).with_hint("the job file is YAML 1.2; see listferry schema");
        if let Some(place) = place {
            let (line, character) = (place.line(), place.column());
            (at.line, at.character) = (Some(line), Some(character));
            if let Some(lines) = super::places::excerpt_of_invalid(text, line, character) {
                error = error.with_excerpt(lines);
            }
        }
        error.with_place(at)
    })
}

/// A step of a key path.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Applies `key.path=value`; the value is parsed as YAML. Lists accept `changes[0].attr` or `changes.0.attr`. Returns
/// the path in the first of these forms.
///
/// # Errors
/// `Usage`: no `=`, a value that is not valid YAML, or a path that leads through a text or past the end of a list.
pub(crate) fn set(tree: &mut Node, assignment: &str) -> Result<String> {
    let (path, value) = assignment
        .split_once('=')
        .ok_or_else(|| Error::usage("--set wants key.path=value").with_hint("for example --set wait=0"))?;
    let path = path.trim();
    let value = value_of(path, value)?;
    let mut node = tree;
    let mut whole = String::new();
    for step in steps(path)? {
        whole = match (&step, &*node) {
            (Step::Index(index), _) => format!("{whole}[{index}]"),
            (Step::Key(index), Node::List(_)) => format!("{whole}[{index}]"),
            (Step::Key(name), _) => super::unknown::join(&whole, name),
        };
        node = descend(node, &step, path)?;
    }
    *node = value;
    Ok(whole)
}

/// Parses the value of an assignment. A single special character stands for itself, although YAML gives most of them a
/// meaning: `-` (standard input), `#`, `|`, `%` (delimiters). `~` is null.
fn value_of(path: &str, text: &str) -> Result<Node> {
    let trimmed = text.trim();
    let special = matches!(trimmed.as_bytes(), [byte] if byte.is_ascii_punctuation() && *byte != b'~');
    if special || trimmed.starts_with('#') {
        return Ok(Node::Fixed(Value::from(trimmed)));
    }
    let failed = |error: Error| {
        Error::usage(format!("--set {path}: {}", error.message()))
            .with_hint("the value is YAML; put a text with special characters in quotes: --set 'key=\"text\"'")
    };
    let value = parse(text, "--set").map_err(failed)?;
    let is_same = |other: &str| parse(other, "--set").is_ok_and(|other| other.read() == value.clone().read());
    if text.match_indices(" #").any(|(at, _)| is_same(&text[..at])) {
        return Err(Error::usage(format!("--set {path}: what follows \" #\" is a comment in YAML, and would be lost"))
            .with_hint("put the value in quotes: --set 'key=\"one #2\"', or leave the comment out"));
    }
    Ok(value)
}

/// Rewrites a message of the parser without Rust's type names.
fn in_words(said: &str) -> String {
    let word = |word: &str| match word {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "whole number of that range".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "whole number of that range".to_owned(),
        "f32" | "f64" => "number".to_owned(),
        "bool" => "true or false".to_owned(),
        "str" | "String" | "char" => "text".to_owned(),
        "scalar" => "value".to_owned(),
        word => word.to_owned(),
    };
    said.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn steps(path: &str) -> Result<Vec<Step<'_>>> {
    let bad = || {
        Error::usage(format!("--set: \"{path}\" is not a valid key path"))
            .with_hint("write it like map.changes[0].attr")
    };
    let mut out = Vec::new();
    for piece in path.split('.') {
        let (name, mut rest) = piece.split_at(piece.find('[').unwrap_or(piece.len()));
        if !name.is_empty() {
            out.push(Step::Key(name));
        } else if rest.is_empty() || out.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[').and_then(|r| r.split_once(']')).ok_or_else(bad)?;
            out.push(Step::Index(index.trim().parse().map_err(|_| bad())?));
            rest = after;
        }
    }
    Ok(out)
}

fn descend<'a>(node: &'a mut Node, step: &Step<'_>, path: &str) -> Result<&'a mut Node> {
    if matches!(node, Node::Fixed(Value::Null)) {
        *node = Node::Map(Vec::new());
    }
    let index = match (&*node, step) {
        (Node::List(_), Step::Key(name)) => name.parse::<usize>().ok(),
        (_, Step::Index(index)) => Some(*index),
        _ => None,
    };
    match node {
        Node::Map(map) => match step {
            Step::Key(name) => {
                let at = map.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                    map.push(((*name).to_owned(), Node::Fixed(Value::Null)));
                    map.len() - 1
                });
                Ok(&mut map[at].1)
            }
            Step::Index(_) => Err(Error::usage(format!("--set {path}: there is a mapping, not a list"))
                .with_hint("use a key there, not a number")),
        },
        Node::List(list) => {
            let length = list.len();
            let Some(index) = index.filter(|index| *index <= length) else {
                return Err(Error::usage(format!("--set {path}: the list there has {length} entries, counted from 0"))
                    .with_hint(format!("{length} adds one at its end")));
            };
            if index == length {
                list.push(Node::Fixed(Value::Null));
            }
            Ok(&mut list[index])
        }
        _ => Err(Error::usage(format!("--set {path}: leads through something that is not a mapping"))
            .with_hint("set the whole value, for example --set 'map.id={column: email, apply: [lower]}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(text: &str) -> Node {
        parse(text, "job.yaml").unwrap()
    }

    fn tree(text: &str) -> Value {
        node(text).read()
    }

    fn set_to(assignment: &str) -> Result<Value> {
        let mut tree = Node::Map(Vec::new());
        set(&mut tree, assignment).map(|_| tree.read()["a"].clone())
    }

    #[test]
    fn a_special_character_alone_is_itself() {
        for value in ["#", "|", "%", "&", "*", "!", "-", ",", ";", ":", "'", "\"", "[", "{", "?", ">", "@", "`", "#1"] {
            assert_eq!(set_to(&format!("a={value}")).unwrap(), json!(value));
        }
        assert_eq!(set_to("a=~").unwrap(), json!(null));
        assert_eq!(set_to("a=").unwrap(), json!(null));
        assert_eq!(set_to("a='#'").unwrap(), json!("#"));
        assert_eq!(set_to("a='x #1'").unwrap(), json!("x #1"));
        assert_eq!(set_to("a={b: 'x #1', c: \"# \"}").unwrap(), json!({"b": "x #1", "c": "# "}));
        assert_eq!(set_to("a=x#1").unwrap(), json!("x#1"));
        for lost in ["a=list #3", "a=5 # five", "a=[1, 2] #"] {
            assert!(set_to(lost).unwrap_err().message().contains("a comment in YAML"), "{lost}");
        }
    }

    #[test]
    fn messages_name_no_type_of_rust() {
        let error = parse("a: !!int x", "job.yaml").unwrap_err();
        assert_eq!(error.message(), "invalid whole number of that range");
        assert_eq!(in_words("invalid type: f64, expected bool"), "invalid type: f64, expected true or false");
    }

    #[test]
    fn yaml_is_read_as_1_2() {
        assert_eq!(
            tree("a: no\nb: yes\nc: on\nd: true\ne: ~\nf: '1'\ng: 0o17"),
            json!({"a": "no", "b": "yes", "c": "on", "d": true, "e": null, "f": "1", "g": 15})
        );
        assert_eq!(tree("{\"z\": [1, {\"y\": null}]}"), json!({"z": [1, {"y": null}]}));
    }

    #[test]
    fn the_spelling_of_a_number_is_kept_unless_tagged_or_quoted() {
        let written = |value: &str| match node(&format!("é: {value}")).get("é").cloned() {
            Some(Node::Plain(text, value)) => (text, value),
            Some(Node::Fixed(value)) => (String::new(), value),
            other => panic!("{other:?}"),
        };
        for (text, value) in
            [("007", json!(7)), ("1.10", json!(1.1)), ("+4", json!(4)), ("-0", json!(0)), ("TRUE", json!(true))]
        {
            assert_eq!(written(text), (text.to_owned(), value));
        }
        assert_eq!(written("!!int \"5\""), ("5".to_owned(), json!(5)));
        for text in ["'007'", "\"007\"", "!!str 007", "! 007"] {
            assert_eq!(written(text), (String::new(), json!("007")), "{text}");
        }
        for text in ["1_000", "0b11", "tRue", "1e999", ".inf", ".NaN", "-.inf", "1:30", "2024-01-02", "+", "."] {
            assert_eq!(written(text), (String::new(), json!(text)), "{text}");
        }
        // merged and repeated values were written elsewhere
        let merged = node("a: &a { x: 007 }\nb: { <<: *a, y: 08 }").get("b").cloned().unwrap();
        assert!(matches!(merged.get("x"), Some(Node::Plain(text, _)) if text == "007"));
        assert!(matches!(merged.get("y"), Some(Node::Plain(text, _)) if text == "08"));
    }

    #[test]
    fn keys_keep_their_order() {
        let value = tree("z: 1\na: 2\nm: 3");
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["z", "a", "m"]);
    }

    #[test]
    fn errors_name_line_and_column_and_quote_nothing() {
        let error = parse("a: 1\npasscode: hunter2\na: 3", "job.yaml").unwrap_err();
        assert_eq!(error.to_string(), "job.yaml:3:1: duplicate mapping key: a");
        let error = parse("a: 1\n---\nb: 2", "job.yaml").unwrap_err();
        assert!(error.message().ends_with("a second YAML document begins; a job file has one"), "{error}");
        let error = parse("passcode: [hunter2\nb: 2", "job.yaml").unwrap_err();
        assert!(error.place().line.is_some());
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn set_reaches_into_mappings_and_lists() {
        let mut value = node("map: { changes: [ { op: assign } ] }\nwait: 30m");
        for assignment in [
            "map.changes[0].attr=x",
            "map.changes.0.op=delete",
            "map.changes[1]={op: assign}",
            "wait=0",
            "a.b.c=[1, 2]",
        ] {
            set(&mut value, assignment).unwrap();
        }
        assert_eq!(
            value.clone().read(),
            json!({"map": {"changes": [{"op": "delete", "attr": "x"}, {"op": "assign"}]}, "wait": 0, "a": {"b": {"c": [1, 2]}}})
        );
        set(&mut value, "name=a=b").unwrap();
        assert_eq!(value.get("name").unwrap().text(), Some("a=b"));
    }

    #[test]
    fn set_says_what_is_wrong_with_a_path() {
        let mut value = node("map: { identity: id, list: [1] }");
        for bad in
            ["wait", "map.identity.apply=[trim]", "map.list[5]=1", "map.list[x]=1", "=1", "map..x=1", "map.list.x=1"]
        {
            assert_eq!(set(&mut value, bad).unwrap_err().kind(), crate::Kind::Usage, "{bad}");
        }
    }
}
