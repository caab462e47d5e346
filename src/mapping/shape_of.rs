//! Shapes that a program writes in code, without a platform.

use super::mapped::Mapped;
use super::shape::{Cells, Field, Json, Quoting, Rules, Separator, Shape, Unit};
use super::spec::{From, Type, ValueSpec};
use crate::error::{Error, Result};
use std::collections::HashSet;

impl Shape {
    /// Describes NDJSON: one object per line with these values, in this order. An empty value is left out unless it is
    /// required or has another rule.
    ///
    /// # Errors
    /// `Usage`: an invalid value, a value without a name, or two of one name. All faults are in the one error.
    pub fn ndjson(values: impl IntoIterator<Item = Mapped>) -> Result<Shape> {
        let unit = |field: Field| {
            let name = serde_json::Value::from(field.name.as_str());
            Unit { before: format!("{name}:"), field: Some(field), after: String::new(), when_empty: None }
        };
        let rules = Rules { list: true, ..Rules::default() };
        let units = fields(values, &rules)?.into_iter().map(unit).collect();
        Ok(Shape::Json(Json { open: "{".to_owned(), units, close: "}".to_owned(), ..Json::default() }))
    }

    /// Describes CSV: a header and these cells, in this order. A cell is quoted if it has to be.
    ///
    /// # Errors
    /// As [`Shape::ndjson`].
    pub fn csv(values: impl IntoIterator<Item = Mapped>) -> Result<Shape> {
        Shape::delimited(b',', values)
    }

    /// Like [`Shape::csv`], with another separator.
    ///
    /// # Errors
    /// As [`Shape::ndjson`].
    pub fn delimited(separator: u8, values: impl IntoIterator<Item = Mapped>) -> Result<Shape> {
        Ok(Shape::Delimited(Cells {
            fields: fields(values, &Rules::default())?,
            header: true,
            separator: Separator::Byte(separator),
            quoting: Quoting::Rfc4180,
            checks: Vec::new(),
            max_record_bytes: None,
        }))
    }
}

fn fields(values: impl IntoIterator<Item = Mapped>, rules: &Rules) -> Result<Vec<Field>> {
    let mut seen = HashSet::new();
    let field = |(index, mapped): (usize, Mapped)| {
        let name = mapped.output_name().map(str::to_owned).ok_or_else(|| {
            Error::usage(format!("map[{index}] has no name in the output")).with_hint("add `.named(\"…\")` to it")
        })?;
        let at = format!("map.{name}");
        if !seen.insert(name.clone()) {
            return Err(Error::usage(format!("{at}: two values have this name"))
                .with_hint("give one of them another with `.named(\"…\")`"));
        }
        let value = ValueSpec::parse(&mapped.to_value(), &at, &[])?;
        let mut rules = rules.clone();
        if rules.list && matches!(value.from, From::Object(_)) {
            rules.default_type = Some(Type::Json);
        }
        Ok(Field { at, name, value, required: mapped.is_required(), rules })
    };
    let fields = Error::collect(values.into_iter().enumerate().map(field))?;
    if fields.is_empty() {
        return Err(Error::usage("a shape needs at least one value").with_hint("for example column(\"email\")"));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::super::{column, constant, template};
    use super::*;

    #[test]
    fn all_faults_of_a_shape_are_found_at_once() {
        let faults = |values: Vec<Mapped>| {
            let error = Shape::ndjson(values).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Usage);
            error.all().map(|fault| fault.message().to_owned()).collect::<Vec<_>>()
        };
        let values = vec![
            column("id").required(),
            constant("x"),
            column("id"),
            column("born").as_type(Type::Date(Some("%Q".to_owned()))),
            template("{a").named("t"),
        ];
        let found = faults(values);
        assert_eq!(found[..2], ["map[1] has no name in the output", "map.id: two values have this name"]);
        assert!(found.len() == 4 && found[2].starts_with("map.born"), "{found:?}");
        assert_eq!(faults(Vec::new()), ["a shape needs at least one value"]);
    }

    #[test]
    fn a_name_in_the_output_is_quoted_as_json() {
        let Shape::Json(json) = Shape::ndjson([column("a\"b")]).unwrap() else { panic!("not JSON") };
        assert_eq!(json.units[0].before, "\"a\\\"b\":");
    }
}
