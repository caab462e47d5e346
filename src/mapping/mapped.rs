//! Values of a map that a program writes in code: the same keys as in a job file, and so the same checks.

use super::spec::{Condition, Empty, Otherwise, Test, TimeUnit, Type};
use serde_json::{Map, Value, json};

/// A value of a map, written in code: a column, a constant, a template or an object, and its conversions.
///
/// It has the keys of a value in a job file, and is validated when the job or the shape is built. The order of
/// evaluation is that of the job file: the conversions in the order of the calls, then the default, the rule for an
/// empty value, `split` and the type.
///
/// ```
/// use listferry::mapping::{Shape, Type, column, template};
///
/// let shape = Shape::ndjson([
///     column("customer_id").named("id").required(),
///     column("email").trim().lower(),
///     column("visits").as_type(Type::Integer).or("0"),
///     template("{first_name} {last_name}").named("name"),
/// ])?;
/// # Ok::<(), listferry::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    name: Option<String>,
    required: bool,
    /// The keys of the value as a job file has them.
    keys: Map<String, Value>,
}

/// Returns a column of the source. In nested formats a name that begins with `/` is a JSON Pointer.
#[must_use]
pub fn column(name: impl Into<String>) -> Mapped {
    let name = name.into();
    Mapped { keys: one("column", name.as_str()), name: Some(name), required: false }
}

/// Returns the same text in every record.
#[must_use]
pub fn constant(text: impl Into<String>) -> Mapped {
    Mapped { keys: one("value", text.into()), name: None, required: false }
}

/// Returns text with columns in braces: `"{first_name} {last_name}"`. It is empty if one of the columns is.
#[must_use]
pub fn template(text: impl Into<String>) -> Mapped {
    Mapped { keys: one("template", text.into()), name: None, required: false }
}

/// Returns a JSON object of values by key, for fields that contain JSON.
#[must_use]
pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Mapped)>) -> Mapped {
    let members: Map<String, Value> = members.into_iter().map(|(key, value)| (key.into(), value.to_value())).collect();
    Mapped { keys: one("object", members), name: None, required: false }
}

fn one(key: &str, value: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), value.into())])
}

/// A column by its name alone.
impl From<&str> for Mapped {
    fn from(name: &str) -> Mapped {
        column(name)
    }
}

impl Mapped {
    /// Sets the name in the output of a [`Shape`](super::Shape); the default is the column's.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Mapped {
        self.name = Some(name.into());
        self
    }

    /// Rejects records in which the value is empty.
    #[must_use]
    pub fn required(mut self) -> Mapped {
        self.required = true;
        self
    }

    /// Sets the rule for an empty value; the default is to leave it out.
    #[must_use]
    pub fn if_empty(self, rule: Empty) -> Mapped {
        let word = match rule {
            Empty::Omit => "omit",
            Empty::Keep => "keep",
            Empty::Null => "null",
            Empty::Reject => "reject",
        };
        self.with("empty", word)
    }

    /// Makes the rule for an empty value act on a key that a record does not have, too.
    #[must_use]
    pub fn missing_is_empty(self) -> Mapped {
        self.with("missing", "empty")
    }

    /// Replaces an empty value.
    #[must_use]
    pub fn or(self, default: impl Into<String>) -> Mapped {
        self.with("default", default.into())
    }

    /// Makes a list of the value by splitting it at a separator.
    #[must_use]
    pub fn split(self, separator: impl Into<String>) -> Mapped {
        self.with("split", separator.into())
    }

    /// Makes a template empty only if all of its columns are.
    #[must_use]
    pub fn needs_any(self) -> Mapped {
        self.with("needs", "any")
    }

    /// Sets the type; the default is text.
    #[must_use]
    pub fn as_type(self, kind: Type) -> Mapped {
        let formatted = |value: Mapped, format: Option<String>| match format {
            Some(format) => value.with("format", format),
            None => value,
        };
        match kind {
            Type::String => self.with("type", "string"),
            Type::Integer => self.with("type", "integer"),
            Type::Decimal => self.with("type", "decimal"),
            Type::Boolean => self.with("type", "boolean"),
            Type::Json => self.with("type", "json"),
            Type::Email => self.with("type", "email"),
            Type::E164 => self.with("type", "e164"),
            Type::Date(format) => formatted(self.with("type", "date"), format),
            Type::Timestamp(format, unit) => {
                let unit = if unit == TimeUnit::Seconds { "s" } else { "ms" };
                formatted(self.with("type", "timestamp").with("unit", unit), format)
            }
        }
    }

    /// Removes Unicode white space at both ends.
    #[must_use]
    pub fn trim(self) -> Mapped {
        self.apply("trim".into())
    }

    /// Converts to lower case.
    #[must_use]
    pub fn lower(self) -> Mapped {
        self.apply("lower".into())
    }

    /// Converts to upper case.
    #[must_use]
    pub fn upper(self) -> Mapped {
        self.apply("upper".into())
    }

    /// Keeps only 0-9.
    #[must_use]
    pub fn digits(self) -> Mapped {
        self.apply("digits".into())
    }

    /// Converts to Unicode normalisation form C.
    #[must_use]
    pub fn nfc(self) -> Mapped {
        self.apply("nfc".into())
    }

    /// Removes zero-width and bidirectional controls, byte order marks and soft hyphens.
    #[must_use]
    pub fn strip_invisible(self) -> Mapped {
        self.apply("strip_invisible".into())
    }

    /// Computes the MD5 in lower-case hex.
    #[must_use]
    pub fn md5(self) -> Mapped {
        self.apply("md5".into())
    }

    /// Computes the SHA-1 in lower-case hex.
    #[must_use]
    pub fn sha1(self) -> Mapped {
        self.apply("sha1".into())
    }

    /// Computes the SHA-256 in lower-case hex.
    #[must_use]
    pub fn sha256(self) -> Mapped {
        self.apply("sha256".into())
    }

    /// Computes the SHA-256, unless the value is one already.
    #[must_use]
    pub fn sha256_unless_hashed(self) -> Mapped {
        self.apply(json!({ "sha256": { "unless_hashed": true } }))
    }

    /// Replaces all occurrences of a text.
    #[must_use]
    pub fn replace(self, from: impl Into<String>, to: impl Into<String>) -> Mapped {
        self.apply(json!({ "replace": [from.into(), to.into()] }))
    }

    /// Adds a prefix.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Mapped {
        self.apply(json!({ "prefix": prefix.into() }))
    }

    /// Keeps at most this many code points.
    #[must_use]
    pub fn truncate(self, code_points: usize) -> Mapped {
        self.apply(json!({ "truncate": code_points }))
    }

    /// Makes one text of the elements of a list.
    #[must_use]
    pub fn join(self, between: impl Into<String>) -> Mapped {
        self.apply(json!({ "join": between.into() }))
    }

    /// Replaces whole texts by a table; `otherwise` is the rule for texts that are not in it.
    #[must_use]
    pub fn values<F: Into<String>, T: Into<String>>(
        self,
        pairs: impl IntoIterator<Item = (F, T)>,
        otherwise: Otherwise,
    ) -> Mapped {
        let table: Map<String, Value> = pairs.into_iter().map(|(from, to)| (from.into(), to.into().into())).collect();
        let otherwise = match otherwise {
            Otherwise::Keep => "keep",
            Otherwise::Empty => "empty",
            Otherwise::Reject => "reject",
        };
        self.apply(json!({ "values": table, "else": otherwise }))
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Mapped {
        self.keys.insert(key.to_owned(), value.into());
        self
    }

    fn apply(mut self, conversion: Value) -> Mapped {
        match self.keys.entry("apply").or_insert_with(|| json!([])) {
            Value::Array(list) => list.push(conversion),
            other => *other = json!([conversion]),
        }
        self
    }

    /// Returns the name in the output, if it has one.
    pub(super) fn output_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn is_required(&self) -> bool {
        self.required
    }

    /// Returns the value as a job file has it.
    pub(crate) fn to_value(&self) -> Value {
        let mut keys = self.keys.clone();
        if self.required {
            keys.entry("empty").or_insert_with(|| "reject".into());
        }
        Value::Object(keys)
    }
}

impl Condition {
    /// Holds if the column has this text.
    #[must_use]
    pub fn equals(column: impl Into<String>, text: impl Into<String>) -> Condition {
        Condition { column: column.into(), test: Test::Equals(text.into()) }
    }

    /// Holds if the column has another text.
    #[must_use]
    pub fn not_equals(column: impl Into<String>, text: impl Into<String>) -> Condition {
        Condition { column: column.into(), test: Test::NotEquals(text.into()) }
    }

    /// Holds if the column has one of these texts.
    #[must_use]
    pub fn one_of<T: Into<String>>(column: impl Into<String>, texts: impl IntoIterator<Item = T>) -> Condition {
        Condition { column: column.into(), test: Test::In(texts.into_iter().map(Into::into).collect()) }
    }

    /// Holds if the column has none of these texts.
    #[must_use]
    pub fn none_of<T: Into<String>>(column: impl Into<String>, texts: impl IntoIterator<Item = T>) -> Condition {
        Condition { column: column.into(), test: Test::NotIn(texts.into_iter().map(Into::into).collect()) }
    }

    /// Holds if the regular expression matches anywhere in the column's text.
    #[must_use]
    pub fn matches(column: impl Into<String>, expression: impl Into<String>) -> Condition {
        Condition { column: column.into(), test: Test::Matches(expression.into()) }
    }

    /// Holds if the column is empty (true) or is not (false).
    #[must_use]
    pub fn empty(column: impl Into<String>, is_empty: bool) -> Condition {
        Condition { column: column.into(), test: Test::Empty(is_empty) }
    }

    /// Returns the condition as a job file has it.
    #[cfg(feature = "jobs")]
    pub(crate) fn to_value(&self) -> Value {
        let (key, value) = match &self.test {
            Test::Equals(text) => ("equals", json!(text)),
            Test::NotEquals(text) => ("not_equals", json!(text)),
            Test::In(texts) => ("in", json!(texts)),
            Test::NotIn(texts) => ("not_in", json!(texts)),
            Test::Matches(expression) => ("matches", json!(expression)),
            Test::Empty(is_empty) => ("empty", json!(is_empty)),
        };
        json!({ "column": self.column, key: value })
    }
}
