//! Functions of points in time.
//!
//! In:  dates, timestamps, texts that spell one, numbers that count from 1970.
//! Out: timestamps, days, parts of them. A timestamp with a fixed offset is
//! looked at in its own time of day; everything else in UTC.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array};
use arrow_schema::DataType;

use super::{Kind, Part, Prepared};
use crate::error::{Error, Result};
use crate::expr::convert::{Class, Times, Value};
use crate::expr::number::Num;
use crate::expr::time::{self, DAY, SECOND};

pub(super) fn run(
    kind: Kind,
    args: &[Value],
    prepared: &Prepared,
    to: &DataType,
) -> Result<ArrayRef> {
    if kind == Kind::ToTimestamp {
        let Prepared::Nanos(unit) = prepared else {
            return Err(Error::internal("to_timestamp was bound without its unit"));
        };
        return Ok(instants(&args[0], *unit)?.to_array(to));
    }
    let value = if kind == Kind::DateTrunc {
        &args[1]
    } else {
        &args[0]
    };
    let times = value.times()?;
    let offset = match value.array.data_type() {
        DataType::Timestamp(_, Some(zone)) => time::zone_offset(zone).unwrap_or(0),
        _ => 0,
    };
    let offset = i128::from(offset) * 60 * SECOND;
    let local = times.iter().map(|time| time.map(|time| time + offset));
    Ok(match kind {
        Kind::Date => Times::collect(local).to_array(to),
        Kind::DateTrunc => {
            let Prepared::Unit(unit) = prepared else {
                return Err(Error::internal("date_trunc was bound without its unit"));
            };
            let cut = local.map(|time| time.map(|time| unit.truncate(time) - offset));
            Times::collect(cut).to_array(to)
        }
        Kind::Part(part) => {
            let parts = local.map(|time| time.map(|time| part_of(part, time)));
            Arc::new(parts.collect::<Int64Array>())
        }
        Kind::Epoch => {
            let seconds = times.iter().map(|time| {
                time.map(|time| {
                    // Whole seconds and the fraction apart, so that neither rounds the other.
                    let whole = time.div_euclid(SECOND) as f64;
                    whole + time.rem_euclid(SECOND) as f64 / 1e9
                })
            });
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
        // 1970-01-01 was a Thursday, the fourth day.
        Part::Weekday => (days + 3).rem_euclid(7) + 1,
        Part::Hour => seconds / 3_600,
        Part::Minute => seconds / 60 % 60,
        Part::Second => seconds % 60,
    }
}
