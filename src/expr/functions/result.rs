//! What type a call gives.
//!
//! In:  a function, the types of its arguments, what was worked out when it was bound.
//! Out: the type of its column.

use std::sync::Arc;

use arrow_schema::{DataType, TimeUnit};

use super::{Kind, Prepared};
use crate::expr::arith;
use crate::expr::ast::BinaryOp;
use crate::expr::convert::Class;
use crate::expr::decimal;
use crate::expr::scalar::UTC;

/// The time in microseconds and UTC, which times read from texts and numbers get.
pub(crate) fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// The type of the start of a unit that holds a time.
fn start_type(of: &DataType) -> DataType {
    match of {
        DataType::Timestamp(unit, zone) => DataType::Timestamp(*unit, zone.clone()),
        other if Class::of(other) == Class::Time => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        _ => instant_type(),
    }
}

/// The type of a call, from the types of its arguments.
pub(crate) fn result_type(kind: Kind, args: &[&DataType], prepared: &Prepared) -> DataType {
    match kind {
        Kind::Lower
        | Kind::Upper
        | Kind::Trim
        | Kind::Ltrim
        | Kind::Rtrim
        | Kind::Substring
        | Kind::Replace
        | Kind::SplitPart
        | Kind::RegexpExtract
        | Kind::RegexpReplace
        | Kind::Lpad
        | Kind::Rpad
        | Kind::Strftime
        | Kind::Concat => DataType::Utf8,
        Kind::Split => DataType::new_list(DataType::Utf8, true),
        Kind::ListGet => match args[0] {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                item.data_type().clone()
            }
            DataType::Null => DataType::Null,
            _ => DataType::Utf8,
        },
        Kind::Field => match (args[0], prepared) {
            (DataType::Struct(fields), Prepared::Member(name)) => fields
                .find(name)
                .map_or(DataType::Null, |(_, field)| field.data_type().clone()),
            (DataType::Null, _) => DataType::Null,
            _ => DataType::Utf8,
        },
        Kind::TzConvert | Kind::TzLocalize => {
            let unit = match args[0] {
                DataType::Timestamp(unit, _) => *unit,
                _ => TimeUnit::Microsecond,
            };
            let zone = match prepared {
                Prepared::Zone(zone) => Arc::clone(&zone.name),
                _ => UTC.into(),
            };
            DataType::Timestamp(unit, Some(zone))
        }
        Kind::StartsWith | Kind::EndsWith | Kind::Contains | Kind::RegexpLike | Kind::IsNan => {
            DataType::Boolean
        }
        Kind::Length | Kind::Position | Kind::Part(_) | Kind::EpochMs => DataType::Int64,
        Kind::Abs if decimal::is_decimal(args[0]) => args[0].clone(),
        // 9.9 is rounded to 10: one digit more. The least `+ 0` has as much.
        Kind::Abs | Kind::Round | Kind::Floor | Kind::Ceil => {
            arith::result_type(BinaryOp::Plus, args[0], args[0])
        }
        Kind::FloorDiv => match arith::result_type(BinaryOp::Modulo, args[0], args[1]) {
            digits if decimal::is_decimal(&digits) => DataType::Int64,
            number => number,
        },
        Kind::Pow | Kind::Sqrt | Kind::Ln | Kind::Log10 | Kind::Exp => DataType::Float64,
        // Those of several values take the type that they have in common.
        Kind::Coalesce | Kind::List | Kind::Nullif => args[0].clone(),
        Kind::ToTimestamp | Kind::Strptime => instant_type(),
        Kind::Date => DataType::Date32,
        Kind::DateTrunc | Kind::DateCeil | Kind::DateRound => start_type(args[1]),
        Kind::DateRange => DataType::new_list(start_type(args[1]), true),
        Kind::Epoch => DataType::Float64,
    }
}
