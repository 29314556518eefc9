//! The functions of the expression language as methods.
//!
//! In:  an expression and arguments.
//! Out: a call; [`functions`](crate::expr::functions()) says what each gives.

use super::call;
use crate::expr::Expr;

/// The first of these values that is not null.
pub fn coalesce<I>(values: I) -> Expr
where
    I: IntoIterator,
    I::Item: Into<Expr>,
{
    call("coalesce", values.into_iter().map(Into::into))
}

/// Methods without arguments: what they mean, their name, the function's name.
macro_rules! calls {
    ($($(#[$doc:meta])* $method:ident => $function:literal),* $(,)?) => {
        impl Expr {
            $(
                $(#[$doc])*
                pub fn $method(self) -> Expr {
                    call($function, [self])
                }
            )*
        }
    };
}

calls! {
    /// The text in lower case.
    lower => "lower",
    /// The text in upper case.
    upper => "upper",
    /// How many characters a text has, or how many items a list.
    length => "length",
    /// The text without blanks at both ends.
    trim => "trim",
    /// The text without blanks at its start.
    ltrim => "ltrim",
    /// The text without blanks at its end.
    rtrim => "rtrim",
    /// The number without its sign.
    abs => "abs",
    /// The next whole number below.
    floor => "floor",
    /// The next whole number above.
    ceil => "ceil",
    /// The point in time that a text spells, or that a number counts in seconds from 1970.
    to_timestamp => "to_timestamp",
    /// The day of a point in time.
    date => "date",
    /// The year.
    year => "year",
    /// The quarter, 1 to 4.
    quarter => "quarter",
    /// The month, 1 to 12.
    month => "month",
    /// The day of the month.
    day => "day",
    /// The day of the week, 1 for Monday to 7 for Sunday.
    weekday => "isodow",
    /// The hour, 0 to 23.
    hour => "hour",
    /// The minute, 0 to 59.
    minute => "minute",
    /// The second, 0 to 59.
    second => "second",
    /// Seconds from 1970, with a fraction.
    epoch => "epoch",
}

impl Expr {
    /// The value, or another where it is null.
    pub fn fill_null(self, value: impl Into<Expr>) -> Expr {
        call("coalesce", [self, value.into()])
    }

    /// The value, or null where it equals another.
    pub fn null_if(self, value: impl Into<Expr>) -> Expr {
        call("nullif", [self, value.into()])
    }

    /// Whether a text starts with another.
    pub fn starts_with(self, start: impl Into<Expr>) -> Expr {
        call("starts_with", [self, start.into()])
    }

    /// Whether a text ends with another.
    pub fn ends_with(self, end: impl Into<Expr>) -> Expr {
        call("ends_with", [self, end.into()])
    }

    /// Whether a text holds another, or a list an item equal to a constant.
    pub fn contains(self, part: impl Into<Expr>) -> Expr {
        call("contains", [self, part.into()])
    }

    /// Whether a regular expression matches anywhere in the text.
    pub fn matches(self, pattern: impl Into<String>) -> Expr {
        call("regexp_like", [self, Expr::from(pattern.into())])
    }

    /// The text with every occurrence of `old` replaced by `new`.
    pub fn replace(self, old: impl Into<Expr>, new: impl Into<Expr>) -> Expr {
        call("replace", [self, old.into(), new.into()])
    }

    /// So many characters from a place on; the first is 1, and -1 is the last.
    pub fn substring(self, start: impl Into<Expr>, length: impl Into<Expr>) -> Expr {
        call("substring", [self, start.into(), length.into()])
    }

    /// The nth part between separators; -1 is the last; empty if there is none.
    pub fn split_part(self, separator: impl Into<Expr>, n: impl Into<Expr>) -> Expr {
        call("split_part", [self, separator.into(), n.into()])
    }

    /// The nearest number of so many digits after the point; halves go away from 0.
    pub fn round(self, digits: i64) -> Expr {
        call("round", [self, Expr::from(digits)])
    }

    /// The start of the year, quarter, month, week, day, hour, minute, second or
    /// millisecond that the point in time lies in.
    pub fn date_trunc(self, unit: impl Into<String>) -> Expr {
        call("date_trunc", [Expr::from(unit.into()), self])
    }
}
