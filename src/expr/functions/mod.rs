//! The functions of the expression language, in one table.
//!
//! In:  a name and arguments.
//! Out: what the function takes and gives, and a column.
//!
//! Every function gives null where an argument is null, but for `concat` and
//! `coalesce`, which skip nulls. Texts and times are taken by value: a number
//! where a text is wanted is its canonical text, a text where a time is wanted
//! is the time it spells, or null.

mod list;
mod number;
mod pattern;
mod text;
mod time;

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, TimeUnit};
use regex::Regex;

use super::ast::BinaryOp;
use super::compare::Mode;
use super::convert::{Class, Value};
use super::decimal;
use super::row_error::Failure;
use super::scalar::UTC;
use super::time::Unit;
use super::zone::Zone;

pub(crate) use list::member;

/// One function that an expression can call.
#[derive(Debug)]
pub struct Function {
    /// Its name; case does not matter.
    pub name: &'static str,
    /// How it is called: `substring(text, start [, length])`.
    pub usage: &'static str,
    /// What it gives, in one sentence.
    pub meaning: &'static str,
    pub(crate) kind: Kind,
    pub(crate) takes: &'static [Takes],
    /// How many arguments may be left out at the end.
    pub(crate) optional: usize,
    /// Whether the last argument may come again.
    pub(crate) repeats: bool,
}

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Any scalar, by its canonical text.
    Text,
    Number,
    /// A date or timestamp, or a text that spells one.
    Time,
    /// A list, or any scalar by its text.
    TextOrList,
    /// An object, or JSON text that may hold one.
    Object,
    Any,
    /// A text in single quotes, needed when the expression is bound.
    Literal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lower,
    Upper,
    Length,
    Trim,
    Ltrim,
    Rtrim,
    StartsWith,
    EndsWith,
    Contains,
    Substring,
    Replace,
    SplitPart,
    Concat,
    RegexpLike,
    RegexpExtract,
    RegexpReplace,
    Position,
    Lpad,
    Rpad,
    Split,
    List,
    ListGet,
    Field,
    Coalesce,
    Nullif,
    Abs,
    Round,
    Floor,
    Ceil,
    ToTimestamp,
    Date,
    DateTrunc,
    TzConvert,
    TzLocalize,
    Strftime,
    Strptime,
    Part(Part),
    Epoch,
    EpochMs,
}

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Year,
    Quarter,
    Month,
    Day,
    DayOfYear,
    Weekday,
    Week,
    Hour,
    Minute,
    Second,
}

const fn function(
    name: &'static str,
    usage: &'static str,
    kind: Kind,
    takes: &'static [Takes],
    meaning: &'static str,
) -> Function {
    Function {
        name,
        usage,
        meaning,
        kind,
        takes,
        optional: 0,
        repeats: false,
    }
}

impl Function {
    const fn optional(mut self, optional: usize) -> Self {
        self.optional = optional;
        self
    }

    const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// Whether it can be called with so many arguments.
    pub(crate) fn accepts(&self, args: usize) -> bool {
        args >= self.takes.len() - self.optional && (self.repeats || args <= self.takes.len())
    }

    /// What the argument at a place must be.
    pub(crate) fn takes(&self, idx: usize) -> Takes {
        self.takes[idx.min(self.takes.len() - 1)]
    }
}

use Takes::{Any, Literal, Number, Object, Text, TextOrList, Time};

static FUNCTIONS: [Function; 49] = [
    function("lower", "lower(text)", Kind::Lower, &[Text], "The text in lower case."),
    function("upper", "upper(text)", Kind::Upper, &[Text], "The text in upper case."),
    function(
        "length",
        "length(text | list)",
        Kind::Length,
        &[TextOrList],
        "How many characters a text has, or how many items a list.",
    ),
    function(
        "trim",
        "trim(text [, characters])",
        Kind::Trim,
        &[Text, Text],
        "The text without blanks, or the characters given, at both ends.",
    )
    .optional(1),
    function(
        "ltrim",
        "ltrim(text [, characters])",
        Kind::Ltrim,
        &[Text, Text],
        "The text without blanks, or the characters given, at its start.",
    )
    .optional(1),
    function(
        "rtrim",
        "rtrim(text [, characters])",
        Kind::Rtrim,
        &[Text, Text],
        "The text without blanks, or the characters given, at its end.",
    )
    .optional(1),
    function(
        "starts_with",
        "starts_with(text, start)",
        Kind::StartsWith,
        &[Text, Text],
        "Whether the text starts with another.",
    ),
    function(
        "ends_with",
        "ends_with(text, end)",
        Kind::EndsWith,
        &[Text, Text],
        "Whether the text ends with another.",
    ),
    function(
        "contains",
        "contains(text | list, part)",
        Kind::Contains,
        &[TextOrList, Any],
        "Whether a text holds another, or a list an item equal to a constant.",
    ),
    function(
        "substring",
        "substring(text, start [, length])",
        Kind::Substring,
        &[Text, Number, Number],
        "Characters from a place on; the first is 1, and -1 is the last.",
    )
    .optional(1),
    function(
        "substr",
        "substr(text, start [, length])",
        Kind::Substring,
        &[Text, Number, Number],
        "The same as substring.",
    )
    .optional(1),
    function(
        "replace",
        "replace(text, old, new)",
        Kind::Replace,
        &[Text, Text, Text],
        "The text with every occurrence of old replaced by new.",
    ),
    function(
        "split_part",
        "split_part(text, separator, n)",
        Kind::SplitPart,
        &[Text, Text, Number],
        "The nth part between separators; -1 is the last; empty if there is none.",
    ),
    function(
        "concat",
        "concat(text, ...)",
        Kind::Concat,
        &[Text],
        "All texts joined; null counts as empty.",
    )
    .repeats(),
    function(
        "regexp_like",
        "regexp_like(text, 'pattern')",
        Kind::RegexpLike,
        &[Text, Literal],
        "Whether a regular expression matches anywhere in the text.",
    ),
    function(
        "regexp_extract",
        "regexp_extract(text, 'pattern' [, group])",
        Kind::RegexpExtract,
        &[Text, Literal, Number],
        "What the first match of a regular expression has in a group, the first one where none is named; null if nothing matches.",
    )
    .optional(1),
    function(
        "regexp_replace",
        "regexp_replace(text, 'pattern', new)",
        Kind::RegexpReplace,
        &[Text, Literal, Text],
        "The text with every match of a regular expression replaced; $1 in the new text is the first group.",
    ),
    function(
        "position",
        "position(text, part)",
        Kind::Position,
        &[Text, Text],
        "The place of the first character of a part, from 1; 0 if the text does not hold it.",
    ),
    function(
        "lpad",
        "lpad(text, length [, fill])",
        Kind::Lpad,
        &[Text, Number, Text],
        "The text filled up at its start, or cut off, to so many characters.",
    )
    .optional(1),
    function(
        "rpad",
        "rpad(text, length [, fill])",
        Kind::Rpad,
        &[Text, Number, Text],
        "The text filled up at its end, or cut off, to so many characters.",
    )
    .optional(1),
    function(
        "split",
        "split(text, separator)",
        Kind::Split,
        &[Text, Text],
        "The list of the parts between separators.",
    ),
    function("list", "list(value, ...)", Kind::List, &[Any], "A list of the values.").repeats(),
    function(
        "list_get",
        "list_get(list, n)",
        Kind::ListGet,
        &[TextOrList, Number],
        "The nth item; the first is 1, and -1 is the last; null if there is none.",
    ),
    function(
        "field",
        "field(object, 'name')",
        Kind::Field,
        &[Object, Literal],
        "A field of an object; null where there is none.",
    ),
    function(
        "coalesce",
        "coalesce(value, ...)",
        Kind::Coalesce,
        &[Any],
        "The first value that is not null.",
    )
    .repeats(),
    function(
        "nullif",
        "nullif(value, other)",
        Kind::Nullif,
        &[Any, Any],
        "The value, or null where it equals the other.",
    ),
    function("abs", "abs(number)", Kind::Abs, &[Number], "The number without its sign."),
    function(
        "round",
        "round(number [, digits])",
        Kind::Round,
        &[Number, Number],
        "The nearest number of so many digits after the point; halves go away from 0.",
    )
    .optional(1),
    function("floor", "floor(number)", Kind::Floor, &[Number], "The next whole number below."),
    function("ceil", "ceil(number)", Kind::Ceil, &[Number], "The next whole number above."),
    function(
        "to_timestamp",
        "to_timestamp(text | number [, 's' | 'ms' | 'us' | 'ns'])",
        Kind::ToTimestamp,
        &[Any, Literal],
        "The point in time a text spells, or a number counts from 1970, in seconds or the unit given; null if none.",
    )
    .optional(1),
    function("date", "date(time)", Kind::Date, &[Time], "The day of a point in time."),
    function(
        "date_trunc",
        "date_trunc('unit', time)",
        Kind::DateTrunc,
        &[Literal, Time],
        "The start of the year, quarter, month, week, day, hour, minute, second or millisecond.",
    ),
    function(
        "tz_convert",
        "tz_convert(time, 'zone')",
        Kind::TzConvert,
        &[Time, Literal],
        "The same instant, on the clocks of a zone such as 'Europe/Oslo'; a time without a zone is UTC.",
    ),
    function(
        "tz_localize",
        "tz_localize(time, 'zone')",
        Kind::TzLocalize,
        &[Time, Literal],
        "The instant at which the clocks of a zone show a time that has no zone; of two the first.",
    ),
    function(
        "strftime",
        "strftime(time, 'format')",
        Kind::Strftime,
        &[Time, Literal],
        "The time as a text, by a format such as '%Y-%m-%d %H:%M', on the clocks of its zone.",
    ),
    function(
        "strptime",
        "strptime(text, 'format' [, 'zone'])",
        Kind::Strptime,
        &[Text, Literal, Literal],
        "The instant that a text spells in a format, on the clocks of a zone, UTC where none is named; null if it does not.",
    )
    .optional(1),
    function("year", "year(time)", Kind::Part(Part::Year), &[Time], "The year."),
    function("quarter", "quarter(time)", Kind::Part(Part::Quarter), &[Time], "The quarter, 1 to 4."),
    function("month", "month(time)", Kind::Part(Part::Month), &[Time], "The month, 1 to 12."),
    function("day", "day(time)", Kind::Part(Part::Day), &[Time], "The day of the month."),
    function("dayofyear", "dayofyear(time)", Kind::Part(Part::DayOfYear), &[Time], "The day of the year, 1 to 366."),
    function("week", "week(time)", Kind::Part(Part::Week), &[Time], "The week of the year by ISO 8601, 1 to 53."),
    function(
        "isodow",
        "isodow(time)",
        Kind::Part(Part::Weekday),
        &[Time],
        "The day of the week, 1 for Monday to 7 for Sunday.",
    ),
    function("hour", "hour(time)", Kind::Part(Part::Hour), &[Time], "The hour, 0 to 23."),
    function("minute", "minute(time)", Kind::Part(Part::Minute), &[Time], "The minute, 0 to 59."),
    function("second", "second(time)", Kind::Part(Part::Second), &[Time], "The second, 0 to 59."),
    function("epoch", "epoch(time)", Kind::Epoch, &[Time], "Seconds from 1970, with a fraction."),
    function("epoch_ms", "epoch_ms(time)", Kind::EpochMs, &[Time], "Whole milliseconds from 1970."),
];

/// Every function there is, in the order a manual would list them.
pub fn functions() -> &'static [Function] {
    &FUNCTIONS
}

/// The function of a name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .iter()
        .find(|function| function.name.eq_ignore_ascii_case(name))
}

/// All names, for near names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

/// What a call needs beside its arguments, worked out when it is bound.
#[derive(Debug, Clone)]
pub(crate) enum Prepared {
    Nothing,
    Regex(Arc<Regex>),
    Unit(Unit),
    Zone(Zone),
    /// How a time is written.
    Format(Arc<str>),
    /// How a time is written, and on the clocks of which zone.
    Written(Arc<str>, Zone),
    /// The name of a field.
    Member(Arc<str>),
    /// Nanoseconds of the unit that numbers count.
    Nanos(i128),
    /// How `nullif` and `contains` compare.
    Mode(Mode),
}

/// The time in microseconds and UTC, which times read from texts and numbers get.
pub(crate) fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
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
        Kind::StartsWith | Kind::EndsWith | Kind::Contains | Kind::RegexpLike => DataType::Boolean,
        Kind::Length | Kind::Position | Kind::Part(_) | Kind::EpochMs => DataType::Int64,
        Kind::Abs if decimal::is_decimal(args[0]) => args[0].clone(),
        // 9.9 is rounded to 10: one digit more. The least `+ 0` has as much.
        Kind::Abs | Kind::Round | Kind::Floor | Kind::Ceil => {
            super::arith::result_type(BinaryOp::Plus, args[0], args[0])
        }
        // Those of several values take the type that they have in common.
        Kind::Coalesce | Kind::List | Kind::Nullif => args[0].clone(),
        Kind::ToTimestamp | Kind::Strptime => instant_type(),
        Kind::Date => DataType::Date32,
        Kind::DateTrunc => match args[1] {
            DataType::Timestamp(unit, zone) => DataType::Timestamp(*unit, zone.clone()),
            other if Class::of(other) == Class::Time => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            _ => instant_type(),
        },
        Kind::Epoch => DataType::Float64,
    }
}

/// Computes a call. With only constant arguments it gives one row.
pub(crate) fn run(
    kind: Kind,
    args: &[Value],
    prepared: &Prepared,
    rows: usize,
    to: &DataType,
) -> Result<ArrayRef, Failure> {
    let rows = if args.iter().all(|arg| arg.constant) {
        1
    } else {
        rows
    };
    match kind {
        Kind::Abs | Kind::Round | Kind::Floor | Kind::Ceil => number::run(kind, args, rows, to),
        Kind::ToTimestamp
        | Kind::Date
        | Kind::DateTrunc
        | Kind::TzConvert
        | Kind::TzLocalize
        | Kind::Strftime
        | Kind::Strptime
        | Kind::Part(_)
        | Kind::Epoch
        | Kind::EpochMs => Ok(time::run(kind, args, prepared, to)?),
        Kind::List | Kind::ListGet => Ok(list::run(kind, args, rows, to)?),
        _ => Ok(text::run(kind, args, prepared, rows)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_function_is_listed_once_and_can_be_called_as_its_usage_says() {
        let names: BTreeSet<&str> = names().collect();
        assert_eq!(names.len(), functions().len());
        for function in functions() {
            assert!(
                function.usage.starts_with(&format!("{}(", function.name)),
                "{}",
                function.usage
            );
            assert!(function.accepts(function.takes.len()), "{}", function.name);
            assert!(!function.accepts(0), "{}", function.name);
            let brackets = function.usage.matches('[').count();
            assert_eq!(brackets, function.optional, "{}", function.usage);
            assert_eq!(
                function.usage.contains("..."),
                function.repeats,
                "{}",
                function.usage
            );
            assert!(function.meaning.ends_with('.'), "{}", function.meaning);
        }
        assert_eq!(
            find("LOWER").map(|function| function.kind),
            Some(Kind::Lower)
        );
        assert!(find("nothing").is_none());
    }
}
