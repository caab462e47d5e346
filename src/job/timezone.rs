//! `timezone`: the zone of the day that `{date}` means.

use crate::error::{Error, Result, nearest};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use std::time::SystemTime;

/// A time zone of the IANA database, which is part of the program; UTC by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timezone(Tz);

impl Default for Timezone {
    fn default() -> Timezone {
        Timezone(Tz::UTC)
    }
}

impl Timezone {
    /// Parses a name like `Europe/Paris`.
    ///
    /// # Errors
    /// `Usage`: not a name of the IANA database, with the nearest one.
    pub(crate) fn parse(name: &str) -> Result<Timezone> {
        name.parse().map(Timezone).map_err(|_| {
            let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            let hint = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "a name of the IANA database: UTC, Europe/Paris, America/New_York".to_owned(),
            };
            let shown = crate::secret::printable(name);
            Error::usage(format!("timezone: \"{shown}\" is not a time zone of the IANA database")).with_hint(hint)
        })
    }

    /// Returns the day in this zone, `YYYY-MM-DD`.
    pub(crate) fn day(self, at: SystemTime) -> String {
        DateTime::<Utc>::from(at).with_timezone(&self.0).format("%Y-%m-%d").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn day(zone: &str, rfc3339: &str) -> String {
        let at = DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp();
        Timezone::parse(zone).unwrap().day(UNIX_EPOCH + Duration::from_secs(at.unsigned_abs()))
    }

    #[test]
    fn the_day_is_that_of_the_zone_summer_time_included() {
        for (zone, at, want) in [
            ("UTC", "2026-11-29T23:30:00Z", "2026-11-29"),
            ("Europe/Paris", "2026-11-29T22:59:59Z", "2026-11-29"),
            ("Europe/Paris", "2026-11-29T23:00:00Z", "2026-11-30"),
            ("Europe/Paris", "2026-07-01T21:59:59Z", "2026-07-01"),
            ("Europe/Paris", "2026-07-01T22:00:00Z", "2026-07-02"),
            ("America/New_York", "2026-01-01T04:59:59Z", "2025-12-31"),
            ("Asia/Kolkata", "2026-01-01T18:30:00Z", "2026-01-02"),
            ("Pacific/Kiritimati", "2026-01-01T10:00:00Z", "2026-01-02"),
            ("Europe/Berlin", "2049-07-01T22:00:00Z", "2049-07-02"),
        ] {
            assert_eq!(day(zone, at), want, "{zone} {at}");
        }
        assert_eq!(Timezone::default(), Timezone::parse("UTC").unwrap());
    }

    #[test]
    fn an_unknown_zone_is_answered_with_the_nearest() {
        let error = Timezone::parse("Europe/Pairs").unwrap_err();
        assert_eq!(error.hint(), Some("did you mean \"Europe/Paris\"?"));
        assert!(Timezone::parse("").is_err() && Timezone::parse("+01:00").is_err());
    }
}
