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
mod power;
mod result;
mod table;
mod text;
mod time;

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use regex::Regex;

use super::compare::Mode;
use super::convert::Value;
use super::row_error::Failure;
use super::time::Unit;
use super::zone::Zone;

pub(crate) use list::member;
pub(crate) use result::result_type;

use table::FUNCTIONS;

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
    FloorDiv,
    Pow,
    Sqrt,
    Ln,
    Log10,
    Exp,
    IsNan,
    ToTimestamp,
    Date,
    DateTrunc,
    DateCeil,
    DateRound,
    DateRange,
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

impl Function {
    /// Whether it can be called with so many arguments.
    pub(crate) fn accepts(&self, args: usize) -> bool {
        args >= self.takes.len() - self.optional && (self.repeats || args <= self.takes.len())
    }

    /// What the argument at a place must be.
    pub(crate) fn takes(&self, idx: usize) -> Takes {
        self.takes[idx.min(self.takes.len() - 1)]
    }
}

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
        Kind::FloorDiv => number::floor_quotients(args, rows, to),
        Kind::Pow | Kind::Sqrt | Kind::Ln | Kind::Log10 | Kind::Exp => power::run(kind, args, rows),
        Kind::ToTimestamp
        | Kind::Date
        | Kind::DateTrunc
        | Kind::DateCeil
        | Kind::DateRound
        | Kind::TzConvert
        | Kind::TzLocalize
        | Kind::Strftime
        | Kind::Strptime
        | Kind::Part(_)
        | Kind::Epoch
        | Kind::EpochMs => Ok(time::run(kind, args, prepared, to)?),
        Kind::IsNan => Ok(number::is_nan(&args[0])?),
        Kind::DateRange => time::range(args, prepared, rows, to),
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
