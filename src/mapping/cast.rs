//! The types: validation and output of a text.

use super::apply::as_str;
use super::moment::{Format, rfc3339};
use super::spec::{TimeUnit, Type};
use chrono::Datelike;

/// A [`Type`] with its format compiled.
#[derive(Clone, Debug)]
pub(super) enum Cast {
    String,
    Integer,
    Decimal,
    Boolean,
    Date(Format),
    Timestamp(Option<Format>, TimeUnit),
    Json,
    /// JSON that was written by the plan: an object of the map.
    Built,
    Email,
    E164,
}

const DATE: &str = "%Y-%m-%d";

impl Cast {
    pub(super) fn new(kind: Option<&Type>) -> Cast {
        match kind {
            None | Some(Type::String) => Cast::String,
            Some(Type::Integer) => Cast::Integer,
            Some(Type::Decimal) => Cast::Decimal,
            Some(Type::Boolean) => Cast::Boolean,
            Some(Type::Date(format)) => Cast::Date(Format::new(format.as_deref().unwrap_or(DATE))),
            Some(Type::Timestamp(format, unit)) => Cast::Timestamp(format.as_deref().map(Format::new), *unit),
            Some(Type::Json) => Cast::Json,
            Some(Type::Email) => Cast::Email,
            Some(Type::E164) => Cast::E164,
        }
    }

    /// Returns true if JSON has the value in quotes.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Cast::String | Cast::Date(_) | Cast::Email | Cast::E164)
    }

    /// Returns true if the text is written unchanged.
    pub(super) fn is_verbatim(&self) -> bool {
        matches!(self, Cast::String | Cast::Built)
    }

    /// Returns true if the value is JSON text, in which white space between tokens may contain line ends.
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Cast::Json | Cast::Built)
    }

    /// Writes the value of `text` to `to`, which is empty; otherwise returns the reject code and the reason.
    pub(super) fn cast(&self, text: &[u8], to: &mut Vec<u8>) -> Result<(), (&'static str, &'static str)> {
        match self {
            Cast::String | Cast::Built => to.extend_from_slice(text),
            Cast::Email if is_email(text) => to.extend_from_slice(text),
            Cast::Email => return Err(("not_an_email", "not a valid e-mail address")),
            Cast::E164 if is_e164(text) => to.extend_from_slice(text),
            Cast::E164 => return Err(("not_e164", "not a phone number of + and 7 to 15 digits")),
            Cast::Integer => to.extend_from_slice(itoa::Buffer::new().format(integer(text)?).as_bytes()),
            Cast::Decimal if is_decimal(text) => to.extend_from_slice(text),
            Cast::Decimal => return Err(("not_a_decimal", "not a decimal number")),
            Cast::Boolean => to.extend_from_slice(boolean(text)?),
            Cast::Date(format) => date(text, format, to)?,
            Cast::Timestamp(format, unit) => {
                let moment = timestamp(text, format.as_ref(), *unit)?;
                to.extend_from_slice(itoa::Buffer::new().format(moment).as_bytes());
            }
            Cast::Json => match serde_json::from_slice::<serde::de::IgnoredAny>(text) {
                Ok(_) => to.extend_from_slice(text),
                Err(_) => return Err(("not_json", "not JSON")),
            },
        }
        Ok(())
    }
}

/// Whether a text is a valid e-mail address by the HTML standard: `[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@LABEL(\.LABEL)*`,
/// with labels of 1 to 63 letters, digits and inner hyphens.
fn is_email(text: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', text) else { return false };
    let (local, domain) = (&text[..at], &text[at + 1..]);
    let atext = |b: &u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(b);
    let label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && label[0] != b'-'
            && label[label.len() - 1] != b'-'
    };
    !local.is_empty() && local.iter().all(atext) && domain.split(|b| *b == b'.').all(label)
}

fn is_e164(text: &[u8]) -> bool {
    matches!(text, [b'+', digits @ ..] if (7..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit))
}

fn integer(text: &[u8]) -> Result<i64, (&'static str, &'static str)> {
    let digits = match text {
        [b'+' | b'-', digits @ ..] => digits,
        digits => digits,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(("not_an_integer", "not an integer"));
    }
    let negative = text[0] == b'-';
    let mut value = 0i64;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        value = value
            .checked_mul(10)
            .and_then(|value| if negative { value.checked_sub(digit) } else { value.checked_add(digit) })
            .ok_or(("integer_out_of_range", "an integer beyond 64 bits"))?;
    }
    Ok(value)
}

/// Returns true for digits that are an integer in canonical form: no plus, no leading zero, and certainly within 64
/// bits.
#[inline]
pub(super) fn is_canonical_integer(text: &[u8]) -> bool {
    let digits = match text {
        [b'-', digits @ ..] if digits != b"0" => digits,
        digits => digits,
    };
    match digits {
        [b'0'..=b'9'] => true,
        [b'1'..=b'9', rest @ ..] if rest.len() < 18 => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Whether a text follows JSON's number grammar: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
#[inline]
pub(super) fn is_decimal(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> (usize, &[u8]) {
        let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
        (count, &text[count..])
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, mut rest) = digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    if let [b'.', fraction @ ..] = rest {
        let (count, after) = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', exponent @ ..] => exponent,
            exponent => exponent,
        };
        let (count, after) = digits(exponent);
        if count == 0 {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

fn boolean(text: &[u8]) -> Result<&'static [u8], (&'static str, &'static str)> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    if is(&["true", "1", "yes", "y"]) {
        Ok(b"true")
    } else if is(&["false", "0", "no", "n"]) {
        Ok(b"false")
    } else {
        Err(("not_a_boolean", "not a boolean (true false 1 0 yes no y n)"))
    }
}

fn date(text: &[u8], format: &Format, to: &mut Vec<u8>) -> Result<(), (&'static str, &'static str)> {
    const WRONG: (&str, &str) = ("not_a_date", "not a date in the format given");
    let date = format.date(as_str(text)).ok_or(WRONG)?;
    let year = u16::try_from(date.year()).ok().filter(|year| *year <= 9999).ok_or(WRONG)?;
    let two = |n: u32| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
    to.extend_from_slice(&two(u32::from(year) / 100));
    to.extend_from_slice(&two(u32::from(year) % 100));
    to.push(b'-');
    to.extend_from_slice(&two(date.month()));
    to.push(b'-');
    to.extend_from_slice(&two(date.day()));
    Ok(())
}

fn timestamp(text: &[u8], format: Option<&Format>, unit: TimeUnit) -> Result<i64, (&'static str, &'static str)> {
    let text = as_str(text);
    let moment = match format {
        None => rfc3339(text),
        Some(format) => format.moment(text),
    };
    match (moment, unit) {
        (Some(moment), TimeUnit::Seconds) => Ok(moment.timestamp()),
        (Some(moment), TimeUnit::Milliseconds) => Ok(moment.timestamp_millis()),
        (None, _) if format.is_some_and(|format| format.has_too_many_seconds(text)) => {
            Err(("not_a_timestamp", "not seconds since the epoch, which %s reads: more than 11 digits, milliseconds?"))
        }
        (None, _) => Err(("not_a_timestamp", "not a timestamp in the format given")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(kind: &Type, text: &str) -> Result<String, &'static str> {
        let mut to = Vec::new();
        Cast::new(Some(kind)).cast(text.as_bytes(), &mut to).map_err(|(code, _)| code)?;
        Ok(String::from_utf8(to).unwrap())
    }

    #[test]
    fn integers_are_canonical() {
        for (text, want) in [
            ("+007", Ok("7")),
            ("-0", Ok("0")),
            ("-12", Ok("-12")),
            ("9223372036854775807", Ok("9223372036854775807")),
            ("-9223372036854775808", Ok("-9223372036854775808")),
            ("9223372036854775808", Err("integer_out_of_range")),
            ("99999999999999999999", Err("integer_out_of_range")),
            ("1.0", Err("not_an_integer")),
            ("1e3", Err("not_an_integer")),
            ("", Err("not_an_integer")),
            ("-", Err("not_an_integer")),
            (" 1", Err("not_an_integer")),
            ("1,000", Err("not_an_integer")),
        ] {
            assert_eq!(run(&Type::Integer, text).as_deref(), want.as_deref(), "{text}");
        }
    }

    #[test]
    fn decimals_keep_their_digits() {
        for text in ["0", "-0", "1.50", "0.10", "1e5", "1E-05", "-12.0e+3", "123456789012345678901234567890.5"] {
            assert_eq!(run(&Type::Decimal, text).as_deref(), Ok(text));
        }
        for text in ["", "-", "+1", ".5", "1.", "01", "1,5", "1e", "NaN", "0x1", "1.5 "] {
            assert_eq!(run(&Type::Decimal, text), Err("not_a_decimal"), "{text}");
        }
    }

    #[test]
    fn booleans_are_of_any_case() {
        for text in ["true", "TRUE", "1", "Yes", "y"] {
            assert_eq!(run(&Type::Boolean, text).as_deref(), Ok("true"));
        }
        for text in ["false", "0", "NO", "n"] {
            assert_eq!(run(&Type::Boolean, text).as_deref(), Ok("false"));
        }
        for text in ["", "on", "2", "t"] {
            assert_eq!(run(&Type::Boolean, text), Err("not_a_boolean"));
        }
    }

    #[test]
    fn dates_come_out_as_iso() {
        let german = Type::Date(Some("%d.%m.%Y".into()));
        assert_eq!(run(&german, "24.12.2025").as_deref(), Ok("2025-12-24"));
        assert_eq!(run(&german, "2025-12-24"), Err("not_a_date"));
        assert_eq!(run(&Type::Date(None), "2024-02-29").as_deref(), Ok("2024-02-29"));
        assert_eq!(run(&Type::Date(None), "0099-01-01").as_deref(), Ok("0099-01-01"));
        for text in ["2023-02-29", "2024-13-01", "2024-01-01x", "", "12345-01-01", "-001-01-01"] {
            assert_eq!(run(&Type::Date(None), text), Err("not_a_date"), "{text}");
        }
        let with_time = Type::Date(Some("%Y-%m-%d %H:%M:%S".into()));
        assert_eq!(run(&with_time, "2024-02-29 23:59:59").as_deref(), Ok("2024-02-29"));
    }

    #[test]
    fn timestamps_count_from_the_epoch() {
        let s = Type::Timestamp(None, TimeUnit::Seconds);
        let ms = Type::Timestamp(None, TimeUnit::Milliseconds);
        assert_eq!(run(&s, "1970-01-02T00:00:00Z").as_deref(), Ok("86400"));
        assert_eq!(run(&s, "1970-01-01T01:00:00+01:00").as_deref(), Ok("0"));
        assert_eq!(run(&ms, "2001-09-09T01:46:40.123Z").as_deref(), Ok("1000000000123"));
        for text in
            ["2001-09-09", " 1970-01-02T00:00:00Z", "+1970-01-02T00:00:00Z", "70-01-02T00:00:00Z", "1970-1-2T00:00:00Z"]
        {
            assert_eq!(run(&s, text), Err("not_a_timestamp"), "{text}");
        }
        let of = |format: &str| Type::Timestamp(Some(format.into()), TimeUnit::Seconds);
        assert_eq!(run(&of("%Y-%m-%d %H:%M:%S"), "2001-09-09 01:46:40").as_deref(), Ok("1000000000"));
        assert_eq!(run(&of("%Y-%m-%d %H:%M"), "2001-09-09 01:46").as_deref(), Ok("999999960"));
        assert_eq!(run(&of("%Y-%m-%d"), "1970-01-02").as_deref(), Ok("86400"));
        assert_eq!(run(&of("%d/%m/%Y %H:%M %z"), "01/01/1970 02:00 +0200").as_deref(), Ok("0"));
        assert_eq!(run(&of("%s"), "86400").as_deref(), Ok("86400"));
        let seconds = Type::Timestamp(Some("%s".into()), TimeUnit::Milliseconds);
        assert_eq!(run(&seconds, "1732369507").as_deref(), Ok("1732369507000"));
        assert_eq!(run(&seconds, "1732369507000"), Err("not_a_timestamp"));
        // both units express the same instant
        for (text, seconds) in [("2016-12-31T23:59:60Z", "1483228800"), ("2016-12-31T23:59:60.5Z", "1483228800")] {
            assert_eq!(run(&s, text).as_deref(), Ok(seconds), "{text}");
            assert_eq!(&run(&ms, text).unwrap()[..10], seconds, "{text}");
        }
        assert_eq!(run(&s, "2016-12-31T12:00:60Z"), Err("not_a_timestamp"));
        assert_eq!(run(&ms, "2016-12-31T12:00:60Z"), Err("not_a_timestamp"));
    }

    #[test]
    fn json_is_checked_and_passed_on() {
        for text in ["{\"a\": [1, 2]}", "null", " 1 ", "\"x\"", "1e400", "[12345678901234567890123]"] {
            assert_eq!(run(&Type::Json, text).as_deref(), Ok(text));
        }
        for text in ["", "{", "{'a':1}", "[1,]", "nul", "1 2", "NaN"] {
            assert_eq!(run(&Type::Json, text), Err("not_json"), "{text}");
        }
    }

    #[test]
    fn addresses_follow_the_rule_of_the_html_standard() {
        let long = format!("a@{}.de", "x".repeat(63));
        for text in ["ann@example.com", "a.b+c@x", "!#$%&'*+/=?^_`{|}~-.@a-b.c1.example", "..@0", &long] {
            assert_eq!(run(&Type::Email, text).as_deref(), Ok(text));
        }
        let long = format!("a@{}.de", "x".repeat(64));
        for text in [
            "",
            "a",
            "@a",
            "a@",
            "a@b@c",
            "a b@c",
            "a@-b",
            "a@b-",
            "a@b..c",
            "a@.b",
            "a@b.",
            "ä@b",
            "a@ä.de",
            "a@b_c",
            " a@b",
            "a@b ",
            "\"a\"@b",
            "a@[1.2.3.4]",
            "a,b@c",
            &long,
        ] {
            assert_eq!(run(&Type::Email, text), Err("not_an_email"), "{text}");
        }
    }

    #[test]
    fn phone_numbers_are_a_plus_and_7_to_15_digits() {
        for text in ["+1234567", "+491701234567", "+123456789012345"] {
            assert_eq!(run(&Type::E164, text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "+",
            "491701234567",
            "+123456",
            "+1234567890123456",
            "+49 170 1234567",
            "+49-1701234",
            "++12345678",
            "+12345६7",
        ] {
            assert_eq!(run(&Type::E164, text), Err("not_e164"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn addresses_agree_with_the_regular_expression_of_the_standard(
            text in "[a-c.!+~-]{0,3}@{0,2}[a-c0-9.-]{0,8}|[a@.-]{0,6}",
        ) {
            let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
            let pattern = format!(r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{label}(?:\.{label})*$");
            prop_assert_eq!(is_email(text.as_bytes()), regex::Regex::new(&pattern).unwrap().is_match(&text));
        }

        #[test]
        fn integers_agree_with_std(text in "[+-]?[0-9]{1,21}|[+-]{0,2}[0-9a ]{0,3}") {
            let ours = run(&Type::Integer, &text);
            prop_assert_eq!(ours.clone().ok(), text.parse::<i64>().ok().map(|n| n.to_string()));
            if is_canonical_integer(text.as_bytes()) {
                prop_assert_eq!(ours.as_deref(), Ok(&*text));
            }
        }

        #[test]
        fn decimals_agree_with_serde_json(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?|[0-9.eE+-]{0,5}") {
            prop_assert_eq!(is_decimal(text.as_bytes()), serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok());
        }
    }
}
