//! Zones of the world's clocks.
//!
//! In:  the name of a zone, `Europe/Oslo`, `UTC` or `+02:00`; instants, or what clocks show there.
//! Out: what clocks show at an instant, and the instant at which they show it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::timezone::Tz;
use chrono::{DateTime, FixedOffset, MappedLocalTime, NaiveDateTime, Offset, TimeZone};

use super::time::{DAY, SECOND, zone_offset};

/// A zone, by its name.
#[derive(Clone)]
pub(crate) struct Zone {
    /// As it was given.
    pub name: Arc<str>,
    tz: Tz,
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Zone {
    /// The zone of a name: of the IANA database, a fixed offset, or UTC by one of its names.
    pub fn parse(name: &str) -> Option<Zone> {
        let tz = match zone_offset(name) {
            Some(0) => Tz::from_str("+00:00"),
            _ => Tz::from_str(name),
        };
        Some(Zone {
            name: Arc::from(name),
            tz: tz.ok()?,
        })
    }

    /// Nanoseconds that clocks there are ahead of UTC at an instant.
    pub fn offset(&self, nanos: i128) -> i128 {
        i128::from(self.fixed(nanos).local_minus_utc()) * SECOND
    }

    fn fixed(&self, nanos: i128) -> FixedOffset {
        match civil(nanos) {
            Some(utc) => self.tz.offset_from_utc_datetime(&utc).fix(),
            // Beyond the years that rules are known for.
            None => self
                .tz
                .offset_from_utc_datetime(&NaiveDateTime::default())
                .fix(),
        }
    }

    /// The instant at which clocks there show a time, in nanoseconds as if they
    /// stood in UTC. Of two such instants the first; a time that clocks skip is
    /// taken by the offset before.
    pub fn instant(&self, local: i128) -> i128 {
        let found = civil(local).map(|local| self.tz.offset_from_local_datetime(&local));
        let seconds = match found {
            Some(MappedLocalTime::Single(offset)) => offset.fix().local_minus_utc(),
            Some(MappedLocalTime::Ambiguous(first, _)) => first.fix().local_minus_utc(),
            Some(MappedLocalTime::None) | None => self.fixed(local - DAY).local_minus_utc(),
        };
        local - i128::from(seconds) * SECOND
    }

    /// An instant with the offset that clocks there have, to be written; none
    /// beyond the years that a calendar is known for.
    pub fn date_time(&self, nanos: i128) -> Option<DateTime<FixedOffset>> {
        Some(self.fixed(nanos).from_utc_datetime(&civil(nanos)?))
    }
}

/// Nanoseconds from 1970 as a date and a time of day.
fn civil(nanos: i128) -> Option<NaiveDateTime> {
    let seconds = i64::try_from(nanos.div_euclid(SECOND)).ok()?;
    let rest = u32::try_from(nanos.rem_euclid(SECOND)).ok()?;
    DateTime::from_timestamp(seconds, rest).map(|at| at.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::super::time;
    use super::*;

    fn nanos(text: &str) -> i128 {
        time::parse(text).unwrap().nanos
    }

    #[test]
    fn clocks_change_and_come_back() {
        let oslo = Zone::parse("Europe/Oslo").unwrap();
        for (instant, shown) in [
            ("2024-01-01T12:00:00Z", "2024-01-01T13:00:00"),
            ("2024-07-01T12:00:00Z", "2024-07-01T14:00:00"),
            ("2024-03-31T01:00:00Z", "2024-03-31T03:00:00"),
        ] {
            let (instant, shown) = (nanos(instant), nanos(shown));
            assert_eq!(instant + oslo.offset(instant), shown);
            assert_eq!(oslo.instant(shown), instant);
        }
        // Shown twice: the first. Skipped: as if clocks had not changed yet.
        assert_eq!(
            oslo.instant(nanos("2024-10-27T02:30")),
            nanos("2024-10-27T00:30Z")
        );
        assert_eq!(
            oslo.instant(nanos("2024-03-31T02:30")),
            nanos("2024-03-31T01:30Z")
        );
    }

    #[test]
    fn names_are_known_or_not() {
        for name in ["UTC", "utc", "Z", "+02:00", "America/Argentina/Ushuaia"] {
            assert!(Zone::parse(name).is_some(), "{name}");
        }
        assert!(Zone::parse("Europe/Atlantis").is_none());
        assert_eq!(Zone::parse("-03:30").unwrap().offset(0), -12_600 * SECOND);
        let far = i128::from(i64::MAX) * SECOND;
        assert_eq!(Zone::parse("UTC").unwrap().instant(far), far);
    }
}
