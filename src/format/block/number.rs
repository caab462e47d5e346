//! Numbers, dates and times as text.

use super::store::Bad;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
use std::io::Write;

/// Appends a text; writing to memory does not fail.
fn write(text: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

/// Appends an integer.
#[inline(always)]
pub(in crate::format) fn integer(text: &mut Vec<u8>, value: impl itoa::Integer) {
    text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the shortest text that reads back as the same number: plain digits for 10^-5 <= |x| < 10^15, otherwise with an
/// exponent.
pub(in crate::format) fn float<F>(text: &mut Vec<u8>, value: F) -> Result<(), Bad>
where
    F: Into<f64> + std::fmt::Display + std::fmt::LowerExp + Copy,
{
    float_in_range(text, value.into(), value)
}

/// Appends a number like [`float`]; `exact` decides whether with an exponent, `value` is what is written.
pub(in crate::format) fn float_in_range<F>(text: &mut Vec<u8>, exact: f64, value: F) -> Result<(), Bad>
where
    F: std::fmt::Display + std::fmt::LowerExp,
{
    if !exact.is_finite() {
        write(text, format_args!("{value}"));
        return Err(Bad::new("not_finite", "NaN or an infinity where a number is expected"));
    }
    match exact.abs() {
        0.0 => text.push(b'0'),
        1e-5..1e15 => write(text, format_args!("{value}")),
        _ => write(text, format_args!("{value:e}")),
    }
    Ok(())
}

/// Appends an integer divided by 10^`scale`, which is the text of `digits`, with all its places.
pub(in crate::format) fn decimal(text: &mut Vec<u8>, digits: &str, scale: i8) {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    text.extend_from_slice(sign.as_bytes());
    match usize::try_from(scale) {
        Ok(0) => text.extend_from_slice(digits.as_bytes()),
        Ok(scale) => {
            let zeros = (scale + 1).saturating_sub(digits.len());
            let point = (digits.len() + zeros) - scale;
            for n in 0..digits.len() + zeros {
                if n == point {
                    text.push(b'.');
                }
                text.push(if n < zeros { b'0' } else { digits.as_bytes()[n - zeros] });
            }
        }
        Err(_) if digits == "0" => text.push(b'0'),
        Err(_) => {
            text.extend_from_slice(digits.as_bytes());
            text.resize(text.len() + usize::from(scale.unsigned_abs()), b'0');
        }
    }
}

/// Appends a number below 10^N with N digits.
fn padded<const N: usize>(text: &mut Vec<u8>, mut value: u32) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    text.extend_from_slice(&digits);
}

fn ymd(text: &mut Vec<u8>, date: NaiveDate) {
    padded::<4>(text, date.year().unsigned_abs());
    text.push(b'-');
    padded::<2>(text, date.month());
    text.push(b'-');
    padded::<2>(text, date.day());
}

fn in_range(date: &NaiveDate) -> bool {
    (0..=9999).contains(&date.year())
}

/// Appends the date that is `days` after 1970-01-01.
pub(in crate::format) fn date(text: &mut Vec<u8>, days: i64) -> Result<(), Bad> {
    let date = TimeDelta::try_days(days).and_then(|days| NaiveDate::default().checked_add_signed(days));
    match date.filter(in_range) {
        Some(date) => ymd(text, date),
        None => {
            write(text, format_args!("{days} days"));
            return Err(Bad::new("not_a_date", "a date outside the years 0000 to 9999"));
        }
    }
    Ok(())
}

/// Appends a time of day.
pub(in crate::format) fn time_of_day(text: &mut Vec<u8>, seconds: u32) {
    padded::<2>(text, seconds / 3600);
    text.push(b':');
    padded::<2>(text, seconds / 60 % 60);
    text.push(b':');
    padded::<2>(text, seconds % 60);
}

/// Appends a time, in RFC 3339: `seconds` and `nanos` after 1970-01-01, with `Z` if it is an instant of UTC.
pub(in crate::format) fn timestamp(text: &mut Vec<u8>, seconds: i64, nanos: u32, is_utc: bool) -> Result<(), Bad> {
    let time = DateTime::from_timestamp(seconds, 0).map(|time| time.naive_utc());
    let Some(time) = time.filter(|time| in_range(&time.date())) else {
        write(text, format_args!("{seconds} s"));
        return Err(Bad::new("not_a_timestamp", "a time outside the years 0000 to 9999"));
    };
    ymd(text, time.date());
    text.push(b'T');
    time_of_day(text, seconds.rem_euclid(86_400) as u32);
    if nanos > 0 {
        text.push(b'.');
        padded::<9>(text, nanos);
        while text.last() == Some(&b'0') {
            text.pop();
        }
    }
    if is_utc {
        text.push(b'Z');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Bad>) -> Result<String, &'static str> {
        let mut text = Vec::new();
        write(&mut text).map(|()| String::from_utf8(text).unwrap()).map_err(|bad| bad.code)
    }

    #[test]
    fn floats_have_the_shortest_form_that_reads_back() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-12.5, "-12.5"),
            (0.1, "0.1"),
            (1e-5, "0.00001"),
            (9.9e-6, "9.9e-6"),
            (1e300, "1e300"),
            (1e15, "1e15"),
            (999_999_999_999_999.0, "999999999999999"),
            (123_456.789, "123456.789"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(of(|text| float(text, value)).unwrap(), want);
        }
        assert_eq!(of(|text| float(text, 0.1_f32)).unwrap(), "0.1");
        assert_eq!(of(|text| float(text, 16_777_216_f32)).unwrap(), "16777216");
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(of(|text| float(text, value)), Err("not_finite"));
        }
    }

    #[test]
    fn decimals_keep_their_places() {
        let of = |digits: &str, scale| {
            of(|text| {
                decimal(text, digits, scale);
                Ok(())
            })
            .unwrap()
        };
        assert_eq!(of("110", 2), "1.10");
        assert_eq!(of("-5", 3), "-0.005");
        assert_eq!(of("0", 2), "0.00");
        assert_eq!(of("12", 0), "12");
        assert_eq!(of("12", -3), "12000");
        assert_eq!(of("0", -3), "0");
        assert_eq!(of("-123456", 6), "-0.123456");
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        assert_eq!(of(|text| date(text, 0)).unwrap(), "1970-01-01");
        assert_eq!(of(|text| date(text, -719_528)).unwrap(), "0000-01-01");
        assert_eq!(of(|text| date(text, 2_932_896)).unwrap(), "9999-12-31");
        assert_eq!(of(|text| date(text, 2_932_897)), Err("not_a_date"));
        assert_eq!(of(|text| date(text, i64::MAX)), Err("not_a_date"));
        assert_eq!(of(|text| timestamp(text, -1, 500_000_000, true)).unwrap(), "1969-12-31T23:59:59.5Z");
        assert_eq!(of(|text| timestamp(text, 1_700_000_000, 1, false)).unwrap(), "2023-11-14T22:13:20.000000001");
        assert_eq!(of(|text| timestamp(text, 0, 0, false)).unwrap(), "1970-01-01T00:00:00");
        assert_eq!(of(|text| timestamp(text, i64::MIN, 0, true)), Err("not_a_timestamp"));
        assert_eq!(of(|text| timestamp(text, 253_402_300_800, 0, true)), Err("not_a_timestamp"));
    }

    proptest! {
        #[test]
        fn every_number_and_time_reads_back(bits: u64, seconds in -62_167_219_200i64..253_402_300_800, nanos in 0u32..1_000_000_000) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                let text = of(|text| float(text, value)).unwrap();
                prop_assert_eq!(text.parse::<f64>().unwrap(), value);
                prop_assert!(serde_json::from_str::<f64>(&text).is_ok(), "{}", text);
            }
            let text = of(|text| timestamp(text, seconds, nanos, true)).unwrap();
            let back = DateTime::parse_from_rfc3339(&text).unwrap();
            prop_assert_eq!((back.timestamp(), back.timestamp_subsec_nanos()), (seconds, nanos));
        }
    }
}
