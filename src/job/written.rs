//! The result of parsing YAML before it is known where a text is wanted: `007`, `1.10` and `+49` are numbers in YAML,
//! and a number does not keep its spelling.

use super::unknown::FileKeys;
use crate::platform::Entry;
use crate::settings::{Key, KeyKind};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// A node of the file.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A text, or null.
    Fixed(Value),
    /// A number or a boolean: its spelling and its value.
    Plain(String, Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Returns the node of a value that was not parsed from YAML.
    pub(crate) fn of(value: &Value) -> Node {
        match value {
            Value::Null | Value::String(_) => Node::Fixed(value.clone()),
            Value::Bool(_) | Value::Number(_) => Node::Plain(value.to_string(), value.clone()),
            Value::Array(items) => Node::List(items.iter().map(Node::of).collect()),
            Value::Object(members) => {
                Node::Map(members.iter().map(|(key, value)| (key.clone(), Node::of(value))).collect())
            }
        }
    }

    /// Returns the node under a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Map(map) => map.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Returns a scalar's text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Node::Fixed(Value::String(text)) | Node::Plain(text, _) => Some(text),
            _ => None,
        }
    }

    /// Returns the value as YAML defines it.
    pub(crate) fn read(self) -> Value {
        match self {
            Node::Fixed(value) | Node::Plain(_, value) => value,
            Node::List(list) => list.into_iter().map(Node::read).collect(),
            Node::Map(map) => map.into_iter().map(|(key, node)| (key, node.read())).collect(),
        }
    }

    /// Returns the value below `map` and `where`, where all scalars are texts except a few; `key` is the scalar's key.
    fn in_mapping(self, key: &str) -> Value {
        match self {
            Node::Fixed(value) => value,
            Node::Plain(_, value) if matches!(key, "truncate" | "empty" | "unless_hashed") => value,
            Node::Plain(text, _) => Value::String(text),
            Node::List(list) => list.into_iter().map(|node| node.in_mapping(key)).collect(),
            Node::Map(map) => {
                let value = |name: &str, node: Node| match (key, node) {
                    // the names are the user's, so none of them has a meaning
                    ("values", node) => node.in_mapping(""),
                    // a bare number is not the name of a column: it is refused with a hint
                    ("object", node @ Node::Plain(..)) => node.read(),
                    ("object", node) => node.in_mapping(""),
                    (_, node) => node.in_mapping(name),
                };
                map.into_iter()
                    .map(|(name, node)| {
                        let value = value(&name, node);
                        (name, value)
                    })
                    .collect()
            }
        }
    }

    /// Returns the values of rows and lines: a number or boolean that JSON would spell in another way is a text.
    fn in_rows(self) -> Value {
        match self {
            Node::Fixed(value) => value,
            Node::Plain(text, value) => {
                let json = value.to_string();
                if json == text { value } else { Value::String(text) }
            }
            Node::List(list) => list.into_iter().map(Node::in_rows).collect(),
            Node::Map(map) => map.into_iter().map(|(key, node)| (key, node.in_rows())).collect(),
        }
    }

    /// Returns the value of a setting that is a text: a number keeps its spelling.
    fn in_setting(self) -> Value {
        match self {
            Node::Plain(text, Value::Number(_)) => Value::String(text),
            other => other.read(),
        }
    }
}

/// Returns the file's tree: scalars keep their spelling wherever the tables of keys want a text, and are YAML values
/// elsewhere.
pub(crate) fn tree(file: Vec<(String, Node)>, entry: Option<&Entry>) -> Map<String, Value> {
    level(&FileKeys { entry }, file, "", &super::keys::TOP.iter().collect::<Vec<_>>())
}

fn level(file: &FileKeys<'_>, map: Vec<(String, Node)>, at: &str, keys: &[&'static Key]) -> Map<String, Value> {
    map.into_iter()
        .map(|(name, node)| {
            let path = super::unknown::join(at, &name);
            let value = match super::unknown::known(keys, &name) {
                Some(key) => value(file, node, &path, key),
                None => node.read(),
            };
            (name, value)
        })
        .collect()
}

fn value(file: &FileKeys<'_>, node: Node, path: &str, key: &'static Key) -> Value {
    match (file.under(path, key), node) {
        (Some(below), Node::Map(map)) => Value::Object(level(file, map, path, &below)),
        (_, node) => match key.kind {
            // a bare number is not the name of a column: it is refused with a hint
            KeyKind::Value | KeyKind::ValueOrIndex if matches!(node, Node::Plain(..)) => node.read(),
            KeyKind::Value | KeyKind::ValueOrIndex => node.in_mapping(""),
            KeyKind::Any if path == super::examples::TESTS => node.in_rows(),
            KeyKind::Any if path == "where" || path == "map" || path.starts_with("map.") => node.in_mapping(""),
            KeyKind::Text
            | KeyKind::Name
            | KeyKind::Id
            | KeyKind::Secret
            | KeyKind::Url
            | KeyKind::PathOrUrl
            | KeyKind::OneOf(_) => node.in_setting(),
            KeyKind::Texts => match node {
                Node::List(list) => list.into_iter().map(Node::in_setting).collect(),
                other => other.read(),
            },
            _ => node.read(),
        },
    }
}

/// A node with its position in the text.
pub(crate) struct Read {
    item: Item,
    at: Location,
}

/// A node whose entries have their positions.
pub(crate) enum Item {
    Scalar(Value),
    List(Vec<Read>),
    Map(Vec<(Spanned<String>, Read)>),
}

impl Read {
    pub(crate) fn item(&self) -> &Item {
        &self.item
    }

    /// Returns the node under a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Read> {
        match &self.item {
            Item::Map(map) => map.iter().find(|(name, _)| name.value == key).map(|(_, read)| read),
            _ => None,
        }
    }

    pub(crate) fn location(&self) -> &Location {
        &self.at
    }

    /// Returns the node with the scalars as spelt in `text`, which it was parsed from.
    pub(crate) fn with(self, text: &str) -> Node {
        match self.item {
            Item::List(list) => Node::List(list.into_iter().map(|read| read.with(text)).collect()),
            Item::Map(map) => Node::Map(map.into_iter().map(|(key, read)| (key.value, read.with(text))).collect()),
            Item::Scalar(value) => scalar(value, written(text, &self.at).unwrap_or_default()),
        }
    }
}

fn written<'t>(text: &'t str, at: &Location) -> Option<&'t str> {
    let span = at.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    text.get(start..)?.get(..usize::try_from(span.byte_len()?).ok()?)
}

/// `written` is empty if it is not known. Scalars follow YAML 1.2's core schema: `1_000`, `0b11` and `tRue` are texts
/// there, `007` is a whole number.
fn scalar(value: Value, written: &str) -> Node {
    let is_plain = written.starts_with(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c));
    match (core(written), value) {
        // a number too large for any type became ".inf", `.NaN` became ".nan"
        (_, Value::String(text)) if matches!(&*text, ".nan" | ".inf" | "-.inf") && is_plain => {
            Node::Fixed(Value::String(written.to_owned()))
        }
        (_, Value::String(text)) => Node::Fixed(Value::String(text)),
        (_, Value::Null) => Node::Fixed(Value::Null),
        (Some(value), _) => Node::Plain(written.to_owned(), value),
        (None, _) if is_plain => Node::Fixed(Value::String(written.to_owned())),
        // tagged: !!int "5"
        (None, value) => Node::Plain(value.to_string(), value),
    }
}

/// Returns the value of a plain scalar in the core schema; `None` for a text.
fn core(text: &str) -> Option<Value> {
    let whole = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(Value::from);
    match text {
        "true" | "True" | "TRUE" => Some(true.into()),
        "false" | "False" | "FALSE" => Some(false.into()),
        _ if text.starts_with("0x") && text[2..].bytes().all(|b| b.is_ascii_hexdigit()) => whole(&text[2..], 16),
        _ if text.starts_with("0o") && text[2..].bytes().all(|b| b.is_ascii_digit()) => whole(&text[2..], 8),
        _ if !is_number(text) => None,
        _ => {
            let number = text.strip_prefix('+').unwrap_or(text);
            let whole = number.parse::<u64>().map(Number::from).or_else(|_| number.parse::<i64>().map(Number::from));
            whole.ok().or_else(|| Number::from_f64(number.parse().ok()?)).map(Value::Number)
        }
    }
}

/// Whether a text matches `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, which std can parse;
/// std's words are excluded.
fn is_number(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) && text.parse::<f64>().is_ok()
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Read, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Item>::deserialize(deserializer)?;
        Ok(Read { item: value, at: defined })
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> serde::de::Visitor<'de> for Visitor {
    type Value = Item;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Item, E> {
        Ok(Item::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Item, E> {
        Ok(Item::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Item, E> {
        Ok(Item::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Item, E> {
        Ok(Item::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Item, E> {
        Ok(Item::Scalar(value.into()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Item, A::Error> {
        let mut list = Vec::new();
        while let Some(read) = access.next_element()? {
            list.push(read);
        }
        Ok(Item::List(list))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Item, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = access.next_entry()? {
            map.push(entry);
        }
        Ok(Item::Map(map))
    }
}
