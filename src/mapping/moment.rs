//! Dates and times in a strftime format. chrono parses each item. What it accepts too generously is refused: white
//! space and signs before numbers, years of less than four digits, and adjacent numbers of which one lacks a digit.

use chrono::format::{Fixed, Item, Numeric, Pad, Parsed, StrftimeItems, parse_and_remainder};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike, Utc};
use std::fmt::Write;

/// A compiled format.
#[derive(Clone, Debug)]
pub(super) struct Format(Vec<Item<'static>>);

impl Format {
    /// Compiles a format. A format that [`check`] refuses matches nothing.
    pub(super) fn new(format: &str) -> Format {
        Format(StrftimeItems::new(format).map(Item::to_owned).collect())
    }

    /// Parses the day, whatever else the text contains; second 60 is valid only if it can be a leap second.
    pub(super) fn date(&self, text: &str) -> Option<NaiveDate> {
        let parsed = self.parse(text)?;
        if parsed.second() == Some(60) {
            moment(&parsed)?;
        }
        parsed.to_naive_date().ok()
    }

    /// Parses a time: UTC if there is no offset, midnight if there is no time of day.
    pub(super) fn moment(&self, text: &str) -> Option<DateTime<Utc>> {
        moment(&self.parse(text)?)
    }

    /// Whether the text has more digits than `%s` accepts, which reads seconds; usually they are milliseconds since the
    /// epoch.
    pub(super) fn has_too_many_seconds(&self, text: &str) -> bool {
        let reads_seconds = self.0.iter().any(|item| matches!(item, Item::Numeric(Numeric::Timestamp, _)));
        reads_seconds && text.bytes().filter(u8::is_ascii_digit).count() > MAX_SECONDS_DIGITS
    }

    fn parse(&self, text: &str) -> Option<Parsed> {
        let (mut parsed, mut rest) = (Parsed::new(), text);
        for (at, item) in self.0.iter().enumerate() {
            let after = parse_and_remainder(&mut parsed, rest, std::iter::once(item)).ok()?;
            if !self.fits(at, item, &rest[..rest.len() - after.len()]) {
                return None;
            }
            rest = after;
        }
        rest.is_empty().then_some(parsed)
    }

    /// Whether `read` is in the form of the item at `at`.
    fn fits(&self, at: usize, item: &Item<'_>, read: &str) -> bool {
        match item {
            Item::Literal(_) | Item::OwnedLiteral(_) => true,
            Item::Space(space) => is_space(space, read),
            Item::OwnedSpace(space) => is_space(space, read),
            Item::Numeric(number, pad) => {
                let digits = if *pad == Pad::Space { read.trim_start_matches(' ') } else { read };
                let (least, most) = width(number);
                let is_number = |at: usize| matches!(self.0.get(at), Some(Item::Numeric(..)));
                let beside = is_number(at + 1) || at > 0 && is_number(at - 1);
                let least = if beside && *pad != Pad::Space { most } else { least };
                read.len() <= most && digits.len() >= least && digits.bytes().all(|b| b.is_ascii_digit())
            }
            Item::Fixed(Fixed::RFC3339) => DateTime::parse_from_rfc3339(read).is_ok(),
            Item::Fixed(Fixed::TimezoneName) => !read.is_empty(),
            Item::Fixed(_) => !read.contains(char::is_whitespace),
            Item::Error => false,
        }
    }
}

/// Maximum number of digits that `%s` accepts: milliseconds since 1973 have more, and seconds have fewer until the year
/// 5138.
const MAX_SECONDS_DIGITS: usize = 11;

/// Parses a time in RFC 3339.
pub(super) fn rfc3339(text: &str) -> Option<DateTime<Utc>> {
    settled(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

fn moment(parsed: &Parsed) -> Option<DateTime<Utc>> {
    if parsed.offset().is_some() {
        settled(parsed.to_datetime().ok()?.to_utc())
    } else if let Ok(moment) = parsed.to_naive_datetime_with_offset(0) {
        settled(moment.and_utc())
    } else if parsed.hour_mod_12().is_none() && parsed.minute().is_none() {
        Some(parsed.to_naive_date().ok()?.and_time(NaiveTime::MIN).and_utc())
    } else {
        None
    }
}

/// Returns a leap second as the epoch counts it: as the first second of the next day. `None` if it cannot be one, which
/// is 23:59:60 UTC at the end of a month.
fn settled(moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
    const SECOND: u32 = 1_000_000_000;
    let nanos = moment.timestamp_subsec_nanos();
    let Some(nanos) = nanos.checked_sub(SECOND) else { return Some(moment) };
    let next = DateTime::from_timestamp(moment.timestamp() + 1, nanos)?;
    (next.num_seconds_from_midnight() == 0 && next.day() == 1).then_some(next)
}

fn is_space(written: &str, read: &str) -> bool {
    !read.is_empty() && (read == written || read.bytes().all(|b| b == b' '))
}

/// Returns the minimum and maximum number of digits.
fn width(number: &Numeric) -> (usize, usize) {
    match number {
        Numeric::Year | Numeric::IsoYear => (4, 4),
        Numeric::YearDiv100 | Numeric::YearMod100 | Numeric::IsoYearDiv100 | Numeric::IsoYearMod100 => (2, 2),
        Numeric::Quarter | Numeric::NumDaysFromSun | Numeric::WeekdayFromMon => (1, 1),
        Numeric::Ordinal => (1, 3),
        Numeric::Nanosecond => (9, 9),
        Numeric::Timestamp => (1, MAX_SECONDS_DIGITS),
        _ => (1, 2),
    }
}

/// Validates a format; returns what is wrong with it and the hint.
pub(super) fn check(format: &str, is_timestamp: bool) -> Result<(), (&'static str, &'static str)> {
    const KNOWN: &str = "%Y year, %m month, %d day, %H hour, %M minute, %S second, %z offset, as in \"%d.%m.%Y\"";
    let format = Format::new(format);
    if format.0.is_empty() || format.0.contains(&Item::Error) {
        return Err(("not a strftime format", KNOWN));
    }
    if is_timestamp && format.0.contains(&Item::Fixed(Fixed::TimezoneName)) {
        return Err(("%Z is a name, which does not say what the offset is", "%z reads offsets like +0100 and +01:00"));
    }
    if format.0.iter().any(|item| matches!(item, Item::Numeric(Numeric::Nanosecond, _))) {
        return Err(("%f counts nanoseconds", "%.f reads a fraction with its point, as in \"%H:%M:%S%.f\""));
    }
    let sample = DateTime::UNIX_EPOCH + chrono::Duration::seconds(1_732_369_507);
    let mut text = String::new();
    for item in &format.0 {
        if write!(text, "{}", sample.format_with_items(std::iter::once(item))).is_err() {
            // %#z can only be parsed
            text.push_str("+00");
        }
    }
    let day = if is_timestamp { format.moment(&text).map(|at| at.date_naive()) } else { format.date(&text) };
    match day == Some(sample.date_naive()) {
        true => Ok(()),
        false if is_timestamp => {
            Err(("the format does not determine a time: the day or a part of the time is missing", KNOWN))
        }
        false => Err(("the format does not determine a date: year, month or day is missing", KNOWN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chrono_reads_too_generously_is_no_date() {
        let date = |format: &str, text: &str| Format::new(format).date(text).map(|date| date.to_string());
        for (format, text) in [
            ("%Y-%m-%d", "24-01-02"),
            ("%Y-%m-%d", " 2024-01-02"),
            ("%Y-%m-%d", "\n2024-01-02"),
            ("%Y-%m-%d", "2024- 01-02"),
            ("%Y-%m-%d", "2024-01-02 "),
            ("%Y-%m-%d", "+2024-01-02"),
            ("%Y-%m-%d", "02024-01-02"),
            ("%Y-%m-%d", "2024-001-02"),
            ("%Y-%m-%d", "2024-01-0x"),
            ("%d.%m.%y", "1.2.4"),
            ("%d %m %Y", "0102 2024"),
            ("%d %m %Y", "01\t02 2024"),
            ("%d %m %Y", "01 \u{a0}02 2024"),
            ("%Y%m%d", "2024115"),
            ("%Y%m%d", "2024 115"),
            ("%Y-%m-%d%z", "2024-01-02 +0100"),
            ("%+", " 2024-01-02T00:00:00Z"),
            ("%+", "2024 - 01-02T00:00:00Z"),
        ] {
            assert_eq!(date(format, text), None, "{format} {text:?}");
        }
        for (format, text) in [
            ("%Y-%m-%d", "2024-01-02"),
            ("%Y-%m-%d", "2024-1-2"),
            ("%-d.%-m.%Y", "02.01.2024"),
            ("%d.%m.%y", "02.01.24"),
            ("%D", "01/02/24"),
            ("%e.%m.%Y", " 2.01.2024"),
            ("%b %e %Y", "Jan  2 2024"),
            ("%d. %B %Y", "2. january 2024"),
            ("%A %d %b %Y", "Tuesday 02 Jan 2024"),
            ("%Y%m%d", "20240102"),
            ("%Y-%j", "2024-002"),
            ("%G-W%V-%u", "2024-W01-2"),
            ("%d/%m/%Y %H:%M:%S %Z", "02/01/2024 10:00:00 CET"),
            ("%d/%m/%Y %I:%M %p", "02/01/2024 10:00 pm"),
            ("%Y-%m-%dT%H:%M:%S%.f%:z", "2024-01-02T23:00:00.5+01:00"),
            ("%+", "2024-01-02T00:00:00Z"),
        ] {
            check(format, false).unwrap_or_else(|wrong| panic!("{format}: {wrong:?}"));
            assert_eq!(date(format, text).as_deref(), Some("2024-01-02"), "{format} {text:?}");
        }
    }

    #[test]
    fn a_second_60_is_only_where_a_leap_second_can_be() {
        let format = Format::new("%Y-%m-%dT%H:%M:%S%.f%z");
        for (text, want) in [
            ("2016-12-31T23:59:60+0000", Some("2017-01-01T00:00:00+00:00")),
            ("2016-12-31T23:59:60.25+0000", Some("2017-01-01T00:00:00.250+00:00")),
            ("2015-07-01T01:59:60+0200", Some("2015-07-01T00:00:00+00:00")),
            ("2015-06-30T14:29:60-0930", Some("2015-07-01T00:00:00+00:00")),
            ("2016-12-31T23:59:60+0100", None),
            ("2016-12-30T23:59:60+0000", None),
            ("2016-12-31T12:34:60+0000", None),
            ("2016-12-31T22:59:60+0000", None),
            ("2016-12-31T23:59:61+0000", None),
        ] {
            let moment = format.moment(text);
            assert_eq!(moment.map(|moment| moment.to_rfc3339()).as_deref(), want, "{text}");
            assert_eq!(format.date(text).is_some(), want.is_some(), "{text}");
            let (head, offset) = text.split_at(text.len() - 2);
            assert_eq!(rfc3339(&format!("{head}:{offset}")), moment, "{text}");
        }
        let local = Format::new("%Y-%m-%d %H:%M:%S");
        assert!(local.moment("2016-12-31 23:59:60").is_some() && local.moment("2016-12-31 10:00:60").is_none());
        assert!(local.date("2016-12-31 10:00:60").is_none() && local.date("2016-12-31 10:00:59").is_some());
    }

    #[test]
    fn milliseconds_are_not_read_as_seconds_of_the_epoch() {
        let format = Format::new("%s");
        for (text, want) in [("0", Some(0)), ("1732369507", Some(1_732_369_507)), ("99999999999", Some(99_999_999_999))]
        {
            assert_eq!(format.moment(text).map(|moment| moment.timestamp()), want, "{text}");
            assert!(!format.has_too_many_seconds(text));
        }
        for text in ["1732369507000", "100000000000", "173236950700000"] {
            assert_eq!(format.moment(text), None, "{text}");
            assert!(format.has_too_many_seconds(text));
        }
        assert!(!Format::new("%Y-%m-%dT%H:%M:%S").has_too_many_seconds("2024-01-02T03:04:05"));
    }

    #[test]
    fn a_format_that_gives_no_date_or_moment_is_refused() {
        for format in ["", "%Q", "%H:%M", "abc", "%d/%m", "%%", "%Y-%m", "%s", "%Y-%m-%d %f"] {
            assert!(check(format, false).is_err(), "{format}");
        }
        for format in
            ["%H:%M", "%d/%m", "%Y-%m-%d %M", "%Y-%m-%d %I:%M", "%F %H", "%d/%m/%Y %H:%M:%S %Z", "%z", "%Y-%m-%d %S.%f"]
        {
            assert!(check(format, true).is_err(), "{format}");
        }
        for format in ["%s", "%Y-%m-%d", "%F %T", "%d/%m/%Y %I:%M %P", "%F %T %#z", "%c", "%FT%T%.3fZ", "%+"] {
            assert_eq!(check(format, true), Ok(()), "{format}");
        }
    }
}
