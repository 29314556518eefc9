//! Functions of points in time.
//!
//! In:  dates, timestamps, texts that spell one, numbers that count from 1970.
//! Out: timestamps, days, parts of them, texts. A timestamp with a zone is
//! looked at on the clocks of that zone; everything else in UTC.

use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, ListArray, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;
use chrono::format::{self, Parsed, StrftimeItems};
use chrono::{NaiveDateTime, NaiveTime};

use super::{Kind, Part, Prepared};
use crate::error::{Error, Result};
use crate::expr::convert::{Class, Times, Value};
use crate::expr::number::Num;
use crate::expr::row_error::Failure;
use crate::expr::scalar::UTC;
use crate::expr::time::{self, DAY, SECOND, Unit};
use crate::expr::zone::Zone;

pub(super) fn run(
    kind: Kind,
    args: &[Value],
    prepared: &Prepared,
    to: &DataType,
) -> Result<ArrayRef> {
    match (kind, prepared) {
        (Kind::ToTimestamp, Prepared::Nanos(unit)) => {
            return Ok(instants(&args[0], *unit)?.to_array(to));
        }
        (Kind::Strptime, Prepared::Written(format, zone)) => {
            let texts = args[0].texts()?;
            let read = texts.iter().map(|text| read(text?, format, zone));
            return Ok(Times::collect(read).to_array(to));
        }
        (Kind::TzLocalize, Prepared::Zone(zone)) => {
            return Ok(localized(&args[0], zone)?.to_array(to));
        }
        _ => {}
    }
    let value = match kind {
        Kind::DateTrunc | Kind::DateCeil | Kind::DateRound => &args[1],
        _ => &args[0],
    };
    let times = value.times()?;
    let zone = zone_of(value);
    let offset = |time: i128| zone.as_ref().map_or(0, |zone| zone.offset(time));
    let local = times
        .iter()
        .map(|time| time.map(|time| time + offset(time)));
    Ok(match kind {
        Kind::Date => Times::collect(local).to_array(to),
        Kind::DateTrunc | Kind::DateCeil | Kind::DateRound => {
            let Prepared::Unit(unit) = prepared else {
                return Err(Error::internal("date_trunc was bound without its unit"));
            };
            let instant = |local: i128| zone.as_ref().map_or(local, |zone| zone.instant(local));
            let cut = local.map(|time| time.map(|time| instant(start_beside(kind, unit, time))));
            Times::collect(cut).to_array(to)
        }
        Kind::TzConvert => times.to_array(to),
        Kind::Strftime => {
            let Prepared::Format(format) = prepared else {
                return Err(Error::internal("strftime was bound without its format"));
            };
            Arc::new(written(times.iter(), format, zone)?)
        }
        Kind::Part(part) => {
            let parts = local.map(|time| time.map(|time| part_of(part, time)));
            Arc::new(parts.collect::<Int64Array>())
        }
        Kind::Epoch => {
            let seconds = times.iter().map(|time| time.map(seconds));
            Arc::new(seconds.collect::<Float64Array>())
        }
        _ => {
            let millis = times
                .iter()
                .map(|time| time.and_then(|time| i64::try_from(time.div_euclid(1_000_000)).ok()));
            Arc::new(millis.collect::<Int64Array>())
        }
    })
}

/// A time in seconds since 1970.
fn seconds(time: i128) -> f64 {
    // Whole seconds and the fraction apart, so that neither rounds the other.
    time.div_euclid(SECOND) as f64 + time.rem_euclid(SECOND) as f64 / 1e9
}

/// The start of a unit before a time, behind it, or whichever is nearer.
fn start_beside(kind: Kind, unit: &Unit, time: i128) -> i128 {
    let before = unit.truncate(time);
    if kind == Kind::DateTrunc || before == time {
        return before;
    }
    let behind = unit.next(before);
    match kind {
        Kind::DateRound if time - before < behind - time => before,
        _ => behind,
    }
}

/// The zone whose clocks a column is looked at on; none for UTC without a name.
fn zone_of(value: &Value) -> Option<Zone> {
    match value.array.data_type() {
        DataType::Timestamp(_, Some(zone)) => Zone::parse(zone),
        _ => None,
    }
}

/// The most starts of units that one list holds.
const MOST_STARTS: usize = 1 << 20;

/// The starts of all units from that of a time to before another. Of times that
/// clocks show twice there is one start, of those that they skip none.
pub(super) fn range(
    args: &[Value],
    prepared: &Prepared,
    rows: usize,
    to: &DataType,
) -> Result<ArrayRef, Failure> {
    let (Prepared::Unit(unit), DataType::List(item)) = (prepared, to) else {
        return Err(Error::internal("date_range was bound without its unit").into());
    };
    let (from, until) = (args[1].times()?, args[2].times()?);
    let at = |arg: usize, row: usize| if args[arg].constant { 0 } else { row };
    let zone = zone_of(&args[1]);
    let zone = zone.as_ref();
    let mut starts: Vec<Option<i128>> = Vec::new();
    let mut lengths = Vec::with_capacity(rows);
    let mut valid = Vec::with_capacity(rows);
    for row in 0..rows {
        let before = starts.len();
        let both = from.get(at(1, row)).zip(until.get(at(2, row)));
        valid.push(both.is_some());
        if let Some((from, until)) = both {
            let offset = zone.map_or(0, |zone| zone.offset(from));
            let mut local = unit.truncate(from + offset);
            let mut last = None;
            loop {
                let start = zone.map_or(local, |zone| zone.instant(local));
                if start >= until {
                    break;
                }
                if last.is_none_or(|last| start > last) {
                    starts.push(Some(start));
                    last = Some(start);
                }
                if starts.len() - before > MOST_STARTS {
                    let reason = format!("there are more than {MOST_STARTS} starts");
                    return Err(Failure::at(row, reason));
                }
                local = unit.next(local);
            }
        }
        lengths.push(starts.len() - before);
    }
    let items = Times::collect(starts.into_iter()).to_array(item.data_type());
    let offsets = OffsetBuffer::from_lengths(lengths);
    let lists = ListArray::try_new(Arc::clone(item), offsets, items, Some(valid.into()))?;
    Ok(Arc::new(lists))
}

/// Times as they are written in a format, on the clocks of a zone or else of UTC.
fn written(
    times: impl Iterator<Item = Option<i128>>,
    format: &str,
    zone: Option<Zone>,
) -> Result<StringArray> {
    let zone = zone
        .or_else(|| Zone::parse(UTC))
        .ok_or_else(|| Error::internal("UTC is no zone"))?;
    Ok(times.map(|time| write(time?, format, &zone)).collect())
}

/// A time as it is written in a format.
fn write(nanos: i128, format: &str, zone: &Zone) -> Option<String> {
    let mut text = String::new();
    let written = zone.date_time(nanos)?.format(format);
    fmt::Write::write_fmt(&mut text, format_args!("{written}")).ok()?;
    Some(text)
}

/// The instant that a text spells in a format: by its own offset, or on the
/// clocks of `zone`. A date alone is midnight.
fn read(text: &str, format: &str, zone: &Zone) -> Option<i128> {
    let mut parsed = Parsed::new();
    format::parse(&mut parsed, text, StrftimeItems::new(format)).ok()?;
    if let Ok(instant) = parsed.to_datetime() {
        return Some(nanos_of(instant.naive_utc()));
    }
    let local = match parsed.to_naive_datetime_with_offset(0) {
        Ok(local) => local,
        Err(_) => parsed.to_naive_date().ok()?.and_time(NaiveTime::MIN),
    };
    if parsed.timestamp().is_some() {
        return Some(nanos_of(local));
    }
    Some(zone.instant(nanos_of(local)))
}

fn nanos_of(time: NaiveDateTime) -> i128 {
    let utc = time.and_utc();
    i128::from(utc.timestamp()) * SECOND + i128::from(utc.timestamp_subsec_nanos())
}

/// The instants at which clocks of a zone show these times. A text that names
/// its offset is an instant already.
fn localized(value: &Value, zone: &Zone) -> Result<Times> {
    if Class::of(value.array.data_type()) != Class::Text {
        let times = value.times()?;
        let instants = times.iter().map(|time| Some(zone.instant(time?)));
        return Ok(Times::collect(instants));
    }
    let texts = value.texts()?;
    let instants = texts.iter().map(|text| {
        let read = time::parse(text?)?;
        Some(if read.utc {
            read.nanos
        } else {
            zone.instant(read.nanos)
        })
    });
    Ok(Times::collect(instants))
}

/// Points in time of texts, numbers and times alike.
fn instants(value: &Value, unit: i128) -> Result<Times> {
    match Class::of(value.array.data_type()) {
        Class::Time => value.times(),
        Class::Number => {
            let numbers = value.numbers()?;
            let counted =
                (0..numbers.len()).map(|row| numbers.get(row).and_then(|n| count(n, unit)));
            Ok(Times::collect(counted))
        }
        // A mixed column holds its numbers as texts.
        Class::Text => {
            let texts = value.texts()?;
            let read = texts.iter().map(|text| {
                let text = text?;
                match time::parse(text) {
                    Some(instant) => Some(instant.nanos),
                    None => Num::parse(text).and_then(|number| count(number, unit)),
                }
            });
            Ok(Times::collect(read))
        }
        _ => Ok(Times::collect((0..value.array.len()).map(|_| None))),
    }
}

/// Nanoseconds from a count of units. A fraction is held to microseconds: an
/// `f64` of seconds in our time has no finer digits.
fn count(number: Num, unit: i128) -> Option<i128> {
    match number {
        Num::Int(value) => value.checked_mul(unit),
        Num::Float(value) => {
            let micros = (value * (unit as f64 / 1e3)).round();
            Num::Float(micros).exact_int()?.checked_mul(1_000)
        }
    }
}

fn part_of(part: Part, nanos: i128) -> i64 {
    // Arrow's widest unit, i64 seconds, is far inside i64 days.
    let days = i64::try_from(nanos.div_euclid(DAY)).unwrap_or(i64::MAX / 2);
    let (year, month, day) = time::civil_from_days(days);
    let seconds = i64::try_from(nanos.rem_euclid(DAY) / SECOND).unwrap_or(0);
    match part {
        Part::Year => year,
        Part::Quarter => (month - 1) / 3 + 1,
        Part::Month => month,
        Part::Day => day,
        Part::DayOfYear => days - time::days_from_civil(year, 1, 1) + 1,
        Part::Week => {
            // The week of a day is that of its Thursday.
            let thursday = days - (days + 3).rem_euclid(7) + 3;
            let (of_year, _, _) = time::civil_from_days(thursday);
            (thursday - time::days_from_civil(of_year, 1, 1)) / 7 + 1
        }
        // 1970-01-01 was a Thursday, the fourth day.
        Part::Weekday => (days + 3).rem_euclid(7) + 1,
        Part::Hour => seconds / 3_600,
        Part::Minute => seconds / 60 % 60,
        Part::Second => seconds % 60,
    }
}
