//! Templates: text with `{column}` in it, and the `object` to use instead of a template that writes JSON.

use super::spec::TemplatePart;
use crate::error::{Error, Result};
use serde_json::Value;

/// Parses the text of a template.
pub(super) fn parse(text: &str, at: &str) -> Result<Vec<TemplatePart>> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                literal.push(c);
            }
            '{' => {
                let mut name = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some('{') | None => {
                            return Err(Error::usage(format!("{at}.template: a {{ is not closed"))
                                .with_hint("write {{ for a brace"));
                        }
                        Some(c) => name.push(c),
                    }
                }
                if name.is_empty() {
                    return Err(Error::usage(format!("{at}.template: {{}} does not name a column"))
                        .with_hint("a column's name goes into the braces; {{ and }} are braces"));
                }
                if !literal.is_empty() {
                    parts.push(TemplatePart::Literal(std::mem::take(&mut literal)));
                }
                parts.push(TemplatePart::Column(name));
            }
            '}' => {
                return Err(
                    Error::usage(format!("{at}.template: a }} without its {{")).with_hint("write }} for a brace")
                );
            }
            _ => literal.push(c),
        }
    }
    if !literal.is_empty() || parts.is_empty() {
        parts.push(TemplatePart::Literal(literal));
    }
    Ok(parts)
}

/// Whether the template has columns.
pub(super) fn has_columns(parts: &[TemplatePart]) -> bool {
    parts.iter().any(|part| matches!(part, TemplatePart::Column(_)))
}

/// Returns the `object` that a template of JSON text means, in the form of a job file; `None` if the text is not a JSON
/// object around its columns.
pub(super) fn as_object(parts: &[TemplatePart]) -> Option<String> {
    // a column inside a JSON string becomes a private character, outside of one a string of two of them
    let mark = |index: usize| char::from_u32(0xF0000 + u32::try_from(index).ok()?);
    let (mut text, mut names) = (String::new(), Vec::new());
    let (mut in_string, mut escaped) = (false, false);
    for part in parts {
        match part {
            TemplatePart::Literal(literal) => {
                for c in literal.chars() {
                    (in_string, escaped) = match (in_string, escaped, c) {
                        (true, true, _) => (true, false),
                        (true, false, '\\') => (true, true),
                        (inside, _, '"') => (!inside, false),
                        (inside, ..) => (inside, false),
                    };
                }
                text.push_str(literal);
            }
            TemplatePart::Column(name) => {
                let mark = mark(names.len())?;
                names.push(name.as_str());
                text.extend(if in_string { vec![mark] } else { vec!['"', mark, mark, '"'] });
            }
        }
    }
    match serde_json::from_str(&text).ok()? {
        Value::Object(map) if !map.is_empty() => member(&Value::Object(map), &names),
        _ => None,
    }
}

/// Formats a JSON value with marks as a value of `map`.
fn member(value: &Value, names: &[&str]) -> Option<String> {
    let name = |c: char| (c as u32).checked_sub(0xF0000).and_then(|index| names.get(index as usize)).copied();
    match value {
        Value::Object(map) => {
            let members = map
                .iter()
                .map(|(key, value)| Some(format!("{}: {}", shown(key), member(value, names)?)))
                .collect::<Option<Vec<_>>>()?;
            Some(format!("{{ object: {{ {} }} }}", members.join(", ")))
        }
        Value::String(text) => {
            let mut chars = text.chars();
            match (chars.next().and_then(name), chars.next().and_then(name), chars.next()) {
                (Some(column), None, None) if text.chars().count() == 1 => Some(shown(column)),
                (Some(column), Some(_), None) => Some(format!("{{ column: {}, type: decimal }}", shown(column))),
                _ if text.chars().any(|c| name(c).is_some()) => {
                    let part = |c: char| match name(c) {
                        Some(column) => format!("{{{column}}}"),
                        None if matches!(c, '{' | '}') => format!("{c}{c}"),
                        None => c.to_string(),
                    };
                    Some(format!("{{ template: {} }}", quoted(&text.chars().map(part).collect::<String>())))
                }
                _ => Some(format!("{{ value: {} }}", quoted(text))),
            }
        }
        Value::Number(number) => {
            let kind = if number.is_f64() { "decimal" } else { "integer" };
            Some(format!("{{ value: {number}, type: {kind} }}"))
        }
        Value::Bool(flag) => Some(format!("{{ value: {flag}, type: boolean }}")),
        Value::Null | Value::Array(_) => None,
    }
}

/// Formats a name for YAML.
fn shown(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !matches!(&*name.to_ascii_lowercase(), "true" | "false" | "null" | "yes" | "no");
    if plain { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Option<String> {
        as_object(&parse(text, "map.x").unwrap())
    }

    #[test]
    fn a_template_of_json_is_shown_as_the_object_that_it_means() {
        for (template, want) in [
            (r#"{{"plan":"{plan}"}}"#, "{ object: { plan: plan } }"),
            (
                r#"{{"plan": "{Tarif neu}", "visits": {visits}, "src": "crm", "v": 2, "ok": true}}"#,
                r#"{ object: { plan: "Tarif neu", visits: { column: visits, type: decimal }, src: { value: "crm" }, v: { value: 2, type: integer }, ok: { value: true, type: boolean } } }"#,
            ),
            (
                r#"{{"a":{{"b c":"x\"{d}-{e}"}}}}"#,
                r#"{ object: { a: { object: { "b c": { template: "x\"{d}-{e}" } } } } }"#,
            ),
        ] {
            assert_eq!(object(template).as_deref(), Some(want), "{template}");
        }
        for template in ["{a}", "[{a}]", r#"{{"a":[{b}]}}"#, r#"{{"a":{b}"#, "plain"] {
            assert_eq!(object(template), None, "{template}");
        }
    }
}
