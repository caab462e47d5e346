//! Guesses what a column contains.

use super::sample::Column;
use std::collections::HashSet;

/// The kind of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Email,
    /// Hex digits of a hash of this name.
    Hash(&'static str),
    Integer,
    Decimal,
    Boolean,
    /// Days in this format.
    Day(&'static str),
    /// Days of which it is not clear whether the first number is the day or the month.
    DayOrMonth,
    /// Times by RFC 3339.
    Time,
    /// Several texts with this between them.
    List(&'static str),
    /// An array of the format.
    Array,
    Text,
}

/// Returns the kind that all values of a column have; a text if there are none.
pub(super) fn kind(column: &Column) -> Kind {
    if column.is_list {
        return Kind::Array;
    }
    let values: Vec<&str> = column.values.iter().map(String::as_str).filter(|value| !value.trim().is_empty()).collect();
    let all = |is: &dyn Fn(&str) -> bool| !values.is_empty() && values.iter().all(|value| is(value));
    let hex = |digits: usize| all(&|value| value.len() == digits && value.bytes().all(|b| b.is_ascii_hexdigit()));
    // some addresses of a list are always wrong
    let addresses = values.iter().filter(|value| is_address(value)).count();
    // other texts contain commas and semicolons, too
    let name = folded(&column.name);
    let of_lists = LISTS.iter().any(|word| name.contains(word));
    let separators: &[&str] = if of_lists { &["|", ";", ", ", ","] } else { &["|"] };
    let separator = separators.iter().copied().find(|separator| {
        let lists = values.iter().filter(|value| value.contains(separator)).count();
        let is_short =
            |value: &str| value.split(separator).all(|part| part.trim().len() <= 32 && !part.trim().contains("  "));
        lists * 5 >= values.len().max(1) && all(&is_short)
    });
    match () {
        () if addresses * 10 >= values.len() * 8 && addresses > 0 => Kind::Email,
        () if hex(64) => Kind::Hash("sha256"),
        () if hex(40) => Kind::Hash("sha1"),
        () if hex(32) => Kind::Hash("md5"),
        () if all(&|value| matches!(value, "true" | "false")) => Kind::Boolean,
        () if all(&is_integer) => Kind::Integer,
        () if all(&is_decimal) => Kind::Decimal,
        () if all(&|value| chrono::DateTime::parse_from_rfc3339(value).is_ok()) => Kind::Time,
        () => day(&values).or(separator.map(Kind::List)).unwrap_or(Kind::Text),
    }
}

fn day(values: &[&str]) -> Option<Kind> {
    let fits = |format: &str| {
        let mut values = values.iter();
        !values.as_slice().is_empty() && values.all(|value| chrono::NaiveDate::parse_from_str(value, format).is_ok())
    };
    if let Some(format) = ["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d"].into_iter().find(|format| fits(format)) {
        return Some(Kind::Day(format));
    }
    match (fits("%d/%m/%Y"), fits("%m/%d/%Y")) {
        (true, true) => Some(Kind::DayOrMonth),
        (true, false) => Some(Kind::Day("%d/%m/%Y")),
        (false, true) => Some(Kind::Day("%m/%d/%Y")),
        (false, false) => None,
    }
}

fn is_address(value: &str) -> bool {
    let Some((user, domain)) = value.trim().split_once('@') else { return false };
    !user.is_empty() && domain.contains('.') && !value.trim().contains(char::is_whitespace) && !domain.contains('@')
}

/// A number without leading zeros, which would be lost.
fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let plain = !digits.is_empty() && digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit());
    plain && (digits == "0" || !digits.starts_with('0'))
}

fn is_decimal(value: &str) -> bool {
    match value.split_once('.') {
        None => is_integer(value),
        Some((whole, part)) => {
            (is_integer(whole) || whole == "-0")
                && !part.is_empty()
                && part.len() <= 9
                && part.bytes().all(|b| b.is_ascii_digit())
        }
    }
}

/// Parts of the names of columns with several values in a cell, without case and punctuation.
const LISTS: [&str; 10] =
    ["tags", "interest", "categor", "segments", "groups", "topics", "lists", "roles", "labels", "channels"];

/// Names of columns that identify a person, best first, without case and punctuation.
const IDENTIFIERS: [&str; 22] = [
    "customerid",
    "userid",
    "externalid",
    "crmid",
    "clientid",
    "memberid",
    "contactid",
    "personid",
    "profileid",
    "accountid",
    "subscriberid",
    "customernumber",
    "customerno",
    "kundennummer",
    "identity",
    "uid",
    "uuid",
    "guid",
    "id",
    "customer",
    "email",
    "emailaddress",
];

/// Returns a name without case and punctuation.
pub(super) fn folded(name: &str) -> String {
    name.rsplit('/')
        .next()
        .unwrap_or(name)
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Returns the columns that may identify a person, best first: those with such a name, then those whose values differ.
pub(super) fn identifiers(columns: &[Column]) -> Vec<&Column> {
    let differ = |column: &Column| {
        let filled: Vec<&String> = column.values.iter().filter(|value| !value.trim().is_empty()).collect();
        let distinct = filled.iter().collect::<HashSet<_>>().len();
        !filled.is_empty() && distinct * 100 >= filled.len() * 99 && column.empty * 10 <= column.values.len() as u64
    };
    let rank = |column: &Column| IDENTIFIERS.iter().position(|name| *name == folded(&column.name));
    let mut named: Vec<_> = columns.iter().filter(|c| !c.is_list).filter_map(|c| Some((rank(c)?, c))).collect();
    named.sort_by_key(|(rank, column)| (!differ(column), *rank));
    let mut found: Vec<&Column> = named.into_iter().map(|(_, column)| column).collect();
    let ends_in_id = |column: &Column| folded(&column.name).ends_with("id");
    let others = columns.iter().filter(|column| !column.is_list && differ(column) && ends_in_id(column));
    for column in others {
        if !found.iter().any(|known| known.name == column.name) {
            found.push(column);
        }
    }
    if found.is_empty() {
        found.extend(columns.iter().filter(|column| !column.is_list && differ(column)).take(1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: &[&str]) -> Column {
        let empty = values.iter().filter(|value| value.is_empty()).count() as u64;
        Column {
            name: name.to_owned(),
            values: values.iter().map(|&v| v.to_owned()).collect(),
            empty,
            ..Column::default()
        }
    }

    #[test]
    fn kinds_are_those_of_all_values() {
        for (values, want) in [
            (&["a@example.com", "B@example.org", ""][..], Kind::Email),
            (&["0cc175b9c0f1b6a831c399e269772661"], Kind::Hash("md5")),
            (&["1", "-20", "0"], Kind::Integer),
            (&["007", "12"], Kind::Text),
            (&["1.5", "2"], Kind::Decimal),
            (&["true", "false"], Kind::Boolean),
            (&["2024-02-29", "1999-12-31"], Kind::Day("%Y-%m-%d")),
            (&["29.02.2024"], Kind::Day("%d.%m.%Y")),
            (&["13/01/2024", "02/01/2024"], Kind::Day("%d/%m/%Y")),
            (&["01/13/2024", "02/01/2024"], Kind::Day("%m/%d/%Y")),
            (&["01/02/2024"], Kind::DayOrMonth),
            (&["2024-01-02T03:04:05Z"], Kind::Time),
            (&["a|b", "c"], Kind::List("|")),
            (&["Ann", "Bo"], Kind::Text),
            (&["", ""], Kind::Text),
            (&[], Kind::Text),
        ] {
            assert_eq!(kind(&column("x", values)), want, "{values:?}");
        }
    }

    #[test]
    fn the_identifier_is_named_so_and_its_values_differ() {
        let columns = [
            column("name", &["Ann", "Bo", "Cy"]),
            column("id", &["1", "1", "1"]),
            column("E-Mail", &["a@x.de", "b@x.de", "c@x.de"]),
            column("Customer ID", &["7", "8", "9"]),
        ];
        let names: Vec<_> = identifiers(&columns).into_iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["Customer ID", "E-Mail", "id"]);
        let names: Vec<_> = identifiers(&columns[..1]).into_iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["name"]);
    }
}
