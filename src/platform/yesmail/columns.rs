//! Maps columns of the file to columns of the list: `source.mappings` of the import request.

use crate::error::{Error, Result};
use crate::mapping::MapSpec;
use serde_json::{Value, json};

/// A column of the file that Yesmail fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
enum InFile {
    /// By its name in the header line.
    Name(String),
    /// By its position, from 0.
    Index(u64),
}

/// The columns of the list, each with the column of the file that fills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns(Vec<(String, InFile)>);

impl Columns {
    /// Returns the columns of a file that was converted for this import: those of `map`, in its order.
    pub(super) fn of_own_file(map: &MapSpec, headers: bool) -> Columns {
        let column = |(index, name): (usize, &String)| {
            let in_file = match headers {
                true => InFile::Name(name.clone()),
                false => InFile::Index(index as u64),
            };
            (name.clone(), in_file)
        };
        Columns(map.0.keys().enumerate().map(column).collect())
    }

    /// Returns the columns of an existing file, as named in `map`: any subset, in any order.
    ///
    /// # Errors
    /// `Usage`: a value that is more than a column, names and indexes in one map, or a name although there is no header
    /// line.
    pub(super) fn of_file_there(map: &MapSpec, headers: bool) -> Result<Columns> {
        let columns = map.0.iter().map(|(name, value)| Ok((name.clone(), in_file(name, value, headers)?)));
        let columns = Error::collect(columns)?;
        let first = columns.first().map(|(_, column)| matches!(column, InFile::Index(_)));
        match columns.iter().find(|(_, column)| Some(matches!(column, InFile::Index(_))) != first) {
            None => Ok(Columns(columns)),
            Some((name, _)) => Err(Error::usage(format!("map.{name}: names and indexes of columns cannot be mixed"))
                .with_hint("Yesmail accepts either the names of all columns or, counted from 0, the indexes of all")),
        }
    }

    /// Returns the columns of the list.
    pub(super) fn of_list(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the mappings in the form of the import request.
    pub(super) fn mappings(&self) -> Value {
        let mapping = |(name, column): &(String, InFile)| match column {
            InFile::Name(column) => json!({ name: column }),
            InFile::Index(index) => json!({ name: index }),
        };
        self.0.iter().map(mapping).collect()
    }
}

fn in_file(name: &str, value: &Value, headers: bool) -> Result<InFile> {
    let column = match value {
        Value::Object(keys) => match keys.iter().find(|(key, value)| *key != "column" && !value.is_null()) {
            None => keys.get("column").unwrap_or(&Value::Null),
            Some((key, _)) => {
                return Err(Error::usage(format!(
                    "map.{name}.{key}: the file at destination.host.uri is imported as it is"
                ))
                .with_hint(format!(
                    "write the column's name alone (map: {{ {name}: COLUMN }}), or convert the file yourself: with \
                     host.put, ftp or serve it is converted first"
                )));
            }
        },
        other => other,
    };
    let no_name = |what: &str| {
        Error::usage(format!("map.{name}: {what}"))
            .with_hint("the index of the column, counted from 0: for example id: 0; or headers: true if the file has a header line")
    };
    match column {
        Value::String(column) if column.is_empty() || column.chars().any(char::is_control) => Err(Error::usage(
            format!("map.{name}: a column's name must neither be empty nor contain a control character"),
        )
        .with_hint("use the name in the header line of the file")),
        Value::String(column) if headers => Ok(InFile::Name(column.clone())),
        Value::String(_) => Err(no_name("with headers: false, the file's columns have no names")),
        Value::Number(number) => match number.as_u64() {
            Some(index) => Ok(InFile::Index(index)),
            None => Err(no_name("is not a valid index of a column")),
        },
        _ => Err(Error::usage(format!("map.{name} must be a column of the file at destination.host.uri"))
            .with_hint("its name in the header line, or its index, counted from 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(map: Value, headers: bool) -> Result<Value> {
        let map = MapSpec(map.as_object().expect("a map").clone());
        Columns::of_file_there(&map, headers).map(|columns| columns.mappings())
    }

    #[test]
    fn an_existing_file_is_mapped_by_the_columns_in_map() {
        for (map, headers, want) in [
            (
                json!({"id": "E-Mail", "firstname": {"column": "Vorname"}}),
                true,
                json!([{"id": "E-Mail"}, {"firstname": "Vorname"}]),
            ),
            (json!({"lastname": 7, "id": 2}), true, json!([{"lastname": 7}, {"id": 2}])),
            (json!({"id": {"column": 0, "apply": null}, "a": 0}), false, json!([{"id": 0}, {"a": 0}])),
            (json!({"id": "7"}), true, json!([{"id": "7"}])),
        ] {
            assert_eq!(there(map.clone(), headers).expect("fits"), want, "{map}");
        }
    }

    #[test]
    fn what_would_convert_a_file_that_is_there_is_refused() {
        for (map, headers, says) in [
            (json!({"id": {"column": "e", "apply": ["lower"]}}), true, "map.id.apply"),
            (json!({"id": {"column": "e", "type": "integer"}}), true, "map.id.type"),
            (json!({"id": {"column": "e", "default": "x"}}), true, "map.id.default"),
            (json!({"id": {"value": "x"}}), true, "map.id.value"),
            (json!({"id": {"template": "{a}"}}), true, "map.id.template"),
            (json!({"id": "e", "a": 1}), true, "map.a: names and indexes"),
            (json!({"id": 1, "a": "e"}), true, "map.a: names and indexes"),
            (json!({"id": "e"}), false, "no names"),
            (json!({"id": -1}), true, "not a valid index"),
            (json!({"id": 1.5}), true, "not a valid index"),
            (json!({"id": ""}), true, "must neither be empty"),
            (json!({"id": null}), true, "must be a column"),
            (json!({"id": {}}), true, "must be a column"),
            (json!({"id": [0]}), true, "must be a column"),
            (json!({"id": true}), true, "must be a column"),
        ] {
            let error = there(map.clone(), headers).expect_err("refused");
            assert_eq!(error.kind().exit_code(), 2, "{map}");
            assert!(error.message().contains(says) && error.hint().is_some(), "{map}: {error}");
        }
    }

    #[test]
    fn a_converted_file_is_mapped_by_its_own_header_or_positions() {
        let map = MapSpec(json!({"id": "e", "a": {"value": "x"}}).as_object().expect("a map").clone());
        assert_eq!(Columns::of_own_file(&map, true).mappings(), json!([{"id": "id"}, {"a": "a"}]));
        assert_eq!(Columns::of_own_file(&map, false).mappings(), json!([{"id": 0}, {"a": 1}]));
    }
}
