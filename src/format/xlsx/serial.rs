//! Dates and times, which are numbers of days since an epoch.

use super::number_format::Meaning;
use crate::format::block::{Bad, number};

/// The system of dates of a workbook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Epoch {
    /// 1 is 1900-01-01, and 60 is 1900-02-29, which did not exist.
    #[default]
    Of1900,
    /// 0 is 1904-01-01.
    Of1904,
}

const SECONDS_PER_DAY: i64 = 86_400;
/// 1970-01-01 in the two systems.
const UNIX_1900: i64 = 25_569;
const UNIX_1904: i64 = 24_107;
/// The day after 9999-12-31.
const END: f64 = 2_958_466.0;

impl Epoch {
    /// Returns the days after 1970-01-01 of a day in this system; `None`: there was no such day.
    fn days(self, day: i64) -> Option<i64> {
        match (self, day) {
            (Epoch::Of1900, 1..=59) => Some(day - UNIX_1900 + 1),
            (Epoch::Of1900, 61..) => Some(day - UNIX_1900),
            (Epoch::Of1904, 0..) => Some(day - UNIX_1904),
            _ => None,
        }
    }
}

fn not_a_date() -> Bad {
    Bad::new("not_a_date", "a number that is not a date in the workbook's system of dates")
}

/// Appends a number of days as what its format says.
pub(super) fn push(text: &mut Vec<u8>, meaning: Meaning, epoch: Epoch, days: f64) -> Result<(), Bad> {
    if !(0.0..END).contains(&days) {
        number::float(text, days)?;
        return Err(not_a_date());
    }
    let day = days.floor() as i64;
    // seconds are rounded, since a fraction of a day is not exact
    let seconds = (days * SECONDS_PER_DAY as f64).round() as i64;
    let done = match meaning {
        Meaning::Number => return number::float(text, days),
        Meaning::Date => epoch.days(day).map(|days| number::date(text, days)),
        Meaning::Timestamp => epoch
            .days(seconds.div_euclid(SECONDS_PER_DAY))
            .map(|days| number::timestamp(text, days * SECONDS_PER_DAY + seconds % SECONDS_PER_DAY, 0, false)),
        Meaning::Time => {
            number::time_of_day(text, (seconds % SECONDS_PER_DAY) as u32);
            return Ok(());
        }
        Meaning::Elapsed => {
            let hours = seconds / 3600;
            if hours < 24 {
                number::time_of_day(text, seconds as u32);
            } else {
                number::integer(text, hours);
                let mut rest = Vec::with_capacity(8);
                number::time_of_day(&mut rest, (seconds % 3600) as u32);
                text.extend_from_slice(&rest[2..]);
            }
            return Ok(());
        }
    };
    match done {
        Some(done) => done,
        None => {
            number::float(text, days)?;
            Err(not_a_date())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_days_is_a_date_a_time_or_neither() {
        use Epoch::{Of1900, Of1904};
        for (meaning, epoch, days, want) in [
            (Meaning::Date, Of1900, 1.0, Ok("1900-01-01")),
            (Meaning::Date, Of1900, 59.0, Ok("1900-02-28")),
            (Meaning::Date, Of1900, 60.0, Err("60")),
            (Meaning::Date, Of1900, 60.9, Err("60.9")),
            (Meaning::Date, Of1900, 61.0, Ok("1900-03-01")),
            (Meaning::Date, Of1900, 45_351.75, Ok("2024-02-29")),
            (Meaning::Date, Of1900, 2_958_465.0, Ok("9999-12-31")),
            (Meaning::Date, Of1900, 2_958_466.0, Err("2958466")),
            (Meaning::Date, Of1900, 0.5, Err("0.5")),
            (Meaning::Date, Of1900, -1.0, Err("-1")),
            (Meaning::Date, Of1900, f64::NAN, Err("NaN")),
            (Meaning::Date, Of1904, 0.0, Ok("1904-01-01")),
            (Meaning::Date, Of1904, 60.0, Ok("1904-03-01")),
            (Meaning::Date, Of1904, 43_889.0, Ok("2024-02-29")),
            (Meaning::Timestamp, Of1900, 45_351.5, Ok("2024-02-29T12:00:00")),
            (Meaning::Timestamp, Of1900, 45_351.999_999_9, Ok("2024-03-01T00:00:00")),
            (Meaning::Timestamp, Of1900, 60.5, Err("60.5")),
            (Meaning::Timestamp, Of1900, 2_958_465.999_999_9, Err("2958465.9999999")),
            (Meaning::Timestamp, Of1904, 0.25, Ok("1904-01-01T06:00:00")),
            (Meaning::Time, Of1900, 0.0, Ok("00:00:00")),
            (Meaning::Time, Of1900, 0.6, Ok("14:24:00")),
            (Meaning::Time, Of1900, 45_351.5, Ok("12:00:00")),
            (Meaning::Elapsed, Of1900, 0.5, Ok("12:00:00")),
            (Meaning::Elapsed, Of1900, 1.0625, Ok("25:30:00")),
            (Meaning::Elapsed, Of1900, 100.0, Ok("2400:00:00")),
        ] {
            let mut text = Vec::new();
            let done = push(&mut text, meaning, epoch, days);
            assert_eq!(done.is_ok(), want.is_ok(), "{meaning:?} {epoch:?} {days}");
            if let Ok(want) = want {
                assert_eq!(String::from_utf8(text).unwrap(), want, "{meaning:?} {epoch:?} {days}");
            }
        }
    }
}
