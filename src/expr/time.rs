//! Points in time as text and as numbers: the proleptic Gregorian calendar in UTC.
//!
//! In:  texts as logs write them (RFC 3339 and its looser kin), counts from 1970.
//! Out: nanoseconds from 1970-01-01T00:00:00 UTC as `i128`, so that no unit
//! and no year overflows; days; texts.
//!
//! Only texts with dashes between year, month and day are points in time: a
//! bare number never is.

/// Nanoseconds of a second.
pub(crate) const SECOND: i128 = 1_000_000_000;
/// Nanoseconds of a day.
pub(crate) const DAY: i128 = 86_400 * SECOND;

/// A point in time read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    /// Nanoseconds from 1970 in UTC.
    pub nanos: i128,
    /// Whether the text named its offset; without one it was read as UTC.
    pub utc: bool,
    /// Whether there was a time beside the date.
    pub timed: bool,
}

/// Reads `2024-01-31`, `2024-01-31 09:30`, `2024-01-31T09:30:05.123456789Z`
/// and `… +02:00`; blanks around are ignored, digits below nanoseconds dropped.
pub(crate) fn parse(text: &str) -> Option<Instant> {
    let mut rest = Digits(text.trim_ascii().as_bytes());
    let year = rest.number(4)?;
    rest.byte(b"-")?;
    let month = rest.number(2)?;
    rest.byte(b"-")?;
    let day = rest.number(2)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let mut nanos = i128::from(days_from_civil(year, month, day)) * DAY;
    if rest.0.is_empty() {
        return Some(Instant {
            nanos,
            utc: false,
            timed: false,
        });
    }
    rest.byte(b"Tt ")?;
    let hour = rest.number(2)?;
    rest.byte(b":")?;
    let minute = rest.number(2)?;
    let mut second = 0;
    if rest.byte(b":").is_some() {
        second = rest.number(2)?;
        if rest.byte(b".,").is_some() {
            nanos += rest.fraction()?;
        }
    }
    // A leap second, written as 60, is the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    nanos += i128::from((hour * 60 + minute) * 60 + second) * SECOND;
    let offset = rest.offset()?;
    Some(Instant {
        nanos: nanos - i128::from(offset.unwrap_or(0)) * 60 * SECOND,
        utc: offset.is_some(),
        timed: true,
    })
}

/// Bytes that are read from the front.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, tail) = self.0.split_at_checked(digits)?;
        let mut value = 0;
        for byte in head {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(byte - b'0');
        }
        self.0 = tail;
        Some(value)
    }

    /// One of these bytes.
    fn byte(&mut self, any: &[u8]) -> Option<u8> {
        let (&first, tail) = self.0.split_first()?;
        any.contains(&first).then(|| {
            self.0 = tail;
            first
        })
    }

    /// At least one digit after the point, as nanoseconds.
    fn fraction(&mut self) -> Option<i128> {
        let mut nanos = 0;
        let mut unit = SECOND / 10;
        let mut seen = false;
        while let Some(byte) = self.byte(b"0123456789") {
            nanos += i128::from(byte - b'0') * unit;
            unit /= 10;
            seen = true;
        }
        seen.then_some(nanos)
    }

    /// The offset in minutes, which ends the text; `Some(None)` without one.
    fn offset(&mut self) -> Option<Option<i64>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let rest = self.0.trim_ascii_start();
        if rest.eq_ignore_ascii_case(b"z") || rest.eq_ignore_ascii_case(b"utc") {
            return Some(Some(0));
        }
        self.0 = rest;
        let negative = self.byte(b"+-")? == b'-';
        let hours = self.number(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.byte(b":");
            self.number(2)?
        };
        if !self.0.is_empty() || hours > 23 || minutes > 59 {
            return None;
        }
        let offset = hours * 60 + minutes;
        Some(Some(if negative { -offset } else { offset }))
    }
}

/// The offset of a zone from UTC in minutes, for UTC and fixed offsets such as `+02:00`.
pub(crate) fn zone_offset(zone: &str) -> Option<i64> {
    if ["UTC", "Etc/UTC", "GMT", "Z"]
        .iter()
        .any(|name| zone.eq_ignore_ascii_case(name))
    {
        return Some(0);
    }
    Digits(zone.as_bytes()).offset()?
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date. Years are counted from March, so that the
/// leap day is the last of its year.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// The year, month and day of a count of days from 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    // 400 years have 146,097 days; inside them no leap year is an exception
    // but every hundredth, which the terms below take out.
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// `2024-01-31`.
pub(crate) fn date_text(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2024-01-31T09:30:05.25`, with another separator where wanted, and as many
/// digits as the fraction needs.
pub(crate) fn timestamp_text(nanos: i128, separator: char) -> String {
    // Arrow's widest unit, i64 seconds, is far inside i64 days.
    let days = i64::try_from(nanos.div_euclid(DAY)).unwrap_or(i64::MAX / 2);
    let of_day = nanos.rem_euclid(DAY);
    let seconds = of_day / SECOND;
    let mut text = format!(
        "{}{separator}{:02}:{:02}:{:02}",
        date_text(days),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    let fraction = of_day % SECOND;
    if fraction != 0 {
        text.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    text
}

/// What a timestamp can be cut down to, or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    /// So many nanoseconds, counted from [`MONDAY`].
    Span(i128),
}

/// The Monday 2000-01-03: where units of a length of their own begin to be counted.
const MONDAY: i128 = 10_959 * DAY;

impl Unit {
    /// Every name of a unit, for messages.
    pub const NAMES: [&str; 10] = [
        "year",
        "quarter",
        "month",
        "week",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "microsecond",
    ];

    /// The unit of a name in singular or plural.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        Some(match name.strip_suffix('s').unwrap_or(&name) {
            "year" => Unit::Year,
            "quarter" => Unit::Quarter,
            "month" => Unit::Month,
            "week" => Unit::Week,
            "day" => Unit::Day,
            "hour" => Unit::Hour,
            "minute" => Unit::Minute,
            "second" => Unit::Second,
            "millisecond" => Unit::Millisecond,
            "microsecond" => Unit::Microsecond,
            _ => return None,
        })
    }

    /// How many months it has; none for units of days and less.
    fn months(self) -> Option<i64> {
        match self {
            Unit::Year => Some(12),
            Unit::Quarter => Some(3),
            Unit::Month => Some(1),
            _ => None,
        }
    }

    /// The nanoseconds of a unit that has no months.
    fn nanos(self) -> i128 {
        match self {
            Unit::Year | Unit::Quarter | Unit::Month | Unit::Day => DAY,
            Unit::Week => 7 * DAY,
            Unit::Hour => 3_600 * SECOND,
            Unit::Minute => 60 * SECOND,
            Unit::Second => SECOND,
            Unit::Millisecond => 1_000_000,
            Unit::Microsecond => 1_000,
            Unit::Span(nanos) => nanos,
        }
    }

    /// The start of the unit that holds the point in time. Weeks start on Monday.
    pub fn truncate(self, nanos: i128) -> i128 {
        let Some(months) = self.months() else {
            return nanos - (nanos - MONDAY).rem_euclid(self.nanos());
        };
        let (year, month) = month_of(nanos);
        first_of(year, (month - 1) / months * months + 1)
    }

    /// The start of the unit behind the one that starts here.
    pub fn next(self, start: i128) -> i128 {
        let Some(months) = self.months() else {
            return start + self.nanos();
        };
        let (year, month) = month_of(start);
        let month = month - 1 + months;
        first_of(year + month / 12, month % 12 + 1)
    }
}

/// The year and the month of a point in time.
fn month_of(nanos: i128) -> (i64, i64) {
    let days = i64::try_from(nanos.div_euclid(DAY)).unwrap_or(i64::MAX / 2);
    let (year, month, _) = civil_from_days(days);
    (year, month)
}

/// The first moment of a month.
fn first_of(year: i64, month: i64) -> i128 {
    i128::from(days_from_civil(year, month, 1)) * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_over_eight_centuries() {
        let mut expected = (1600, 1, 1);
        for days in days_from_civil(1600, 1, 1)..days_from_civil(2400, 1, 1) {
            assert_eq!(civil_from_days(days), expected);
            assert_eq!(days_from_civil(expected.0, expected.1, expected.2), days);
            expected.2 += 1;
            if expected.2 > days_of_month(expected.0, expected.1) {
                expected = (expected.0, expected.1 + 1, 1);
            }
            if expected.1 > 12 {
                expected = (expected.0 + 1, 1, 1);
            }
        }
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(0, 3, 1), -719_468);
    }

    #[test]
    fn texts_of_logs_are_read() {
        let at = |text: &str| parse(text).map(|instant| timestamp_text(instant.nanos, 'T'));
        for (text, expected) in [
            ("2024-02-29", "2024-02-29T00:00:00"),
            ("2024-02-29 23:59", "2024-02-29T23:59:00"),
            ("2024-02-29T23:59:58Z", "2024-02-29T23:59:58"),
            (" 2024-02-29t23:59:58.25z ", "2024-02-29T23:59:58.25"),
            ("2024-02-29 23:59:58,125 UTC", "2024-02-29T23:59:58.125"),
            (
                "2024-02-29 23:59:58.123456789123",
                "2024-02-29T23:59:58.123456789",
            ),
            ("2024-03-01T01:30:00+02:00", "2024-02-29T23:30:00"),
            ("2024-02-29T20:30:00 -0330", "2024-03-01T00:00:00"),
            ("2024-02-29T20:30:00-03", "2024-02-29T23:30:00"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00"),
            ("0000-01-01", "0000-01-01T00:00:00"),
            ("9999-12-31 23:59:59.999", "9999-12-31T23:59:59.999"),
        ] {
            assert_eq!(at(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "2024",
            "20240229",
            "1709164800",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-1-1",
            "2024-01-01T",
            "2024-01-01 24:00:00",
            "2024-01-01 10:60",
            "2024-01-01 10:00:61",
            "2024-01-01 10:00:00.",
            "2024-01-01 10:00:00+1",
            "2024-01-01 10:00:00 CET",
            "2024-01-01 10:00:00+24:00",
            "2024-01-01x",
            "n/a",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn times_before_1970_have_positive_parts() {
        assert_eq!(timestamp_text(-1, ' '), "1969-12-31 23:59:59.999999999");
        assert_eq!(parse("1969-12-31 23:59:59.999999999").unwrap().nanos, -1);
    }

    #[test]
    fn units_cut_down_to_their_start() {
        let cut = |unit: &str, text: &str| {
            let nanos = parse(text).unwrap().nanos;
            timestamp_text(Unit::from_name(unit).unwrap().truncate(nanos), ' ')
        };
        let text = "2024-05-16 13:14:15.123456789";
        assert_eq!(cut("year", text), "2024-01-01 00:00:00");
        assert_eq!(cut("quarter", text), "2024-04-01 00:00:00");
        assert_eq!(cut("month", text), "2024-05-01 00:00:00");
        assert_eq!(cut("week", text), "2024-05-13 00:00:00");
        assert_eq!(cut("week", "2024-05-13"), "2024-05-13 00:00:00");
        assert_eq!(cut("week", "1969-12-28 01:00"), "1969-12-22 00:00:00");
        assert_eq!(cut("Days", text), "2024-05-16 00:00:00");
        assert_eq!(cut("hour", "1969-12-31 23:30"), "1969-12-31 23:00:00");
        assert_eq!(cut("minute", text), "2024-05-16 13:14:00");
        assert_eq!(cut("second", text), "2024-05-16 13:14:15");
        assert_eq!(cut("milliseconds", text), "2024-05-16 13:14:15.123");
        assert_eq!(cut("microsecond", text), "2024-05-16 13:14:15.123456");
        for name in Unit::NAMES {
            let unit = Unit::from_name(name).unwrap();
            let start = unit.truncate(parse(text).unwrap().nanos);
            let next = unit.next(start);
            assert_eq!(unit.truncate(next), next, "{name}");
            assert_eq!(unit.truncate(next - 1), start, "{name}");
        }
        let quarters = Unit::Span(15 * 60 * SECOND);
        let (text, start) = ("1999-12-31 23:59:59", "1999-12-31 23:45:00");
        let at = |text: &str| parse(text).unwrap().nanos;
        assert_eq!(quarters.truncate(at(text)), at(start));
        assert_eq!(quarters.next(at(start)), at("2000-01-01"));
        // Weeks of seven days are weeks.
        let week = Unit::Span(7 * DAY).truncate(at("2024-05-16"));
        assert_eq!(week, Unit::Week.truncate(at("2024-05-16")));
        assert_eq!(Unit::from_name("fortnight"), None);
    }

    #[test]
    fn zones_of_fixed_offset_are_known() {
        assert_eq!(zone_offset("UTC"), Some(0));
        assert_eq!(zone_offset("+02:00"), Some(120));
        assert_eq!(zone_offset("-0330"), Some(-210));
        assert_eq!(zone_offset("Europe/Rome"), None);
        assert_eq!(zone_offset(""), None);
    }
}
