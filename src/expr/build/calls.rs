//! The functions of the expression language as methods.
//!
//! In:  an expression and arguments.
//! Out: a call; [`functions`](crate::expr::functions()) says what each gives.

use super::{call, when};
use crate::expr::Expr;

/// The first of these values that is not null.
pub fn coalesce<I>(values: I) -> Expr
where
    I: IntoIterator,
    I::Item: Into<Expr>,
{
    call("coalesce", values.into_iter().map(Into::into))
}

/// A list of these values, for each row.
pub fn list<I>(values: I) -> Expr
where
    I: IntoIterator,
    I::Item: Into<Expr>,
{
    call("list", values.into_iter().map(Into::into))
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
    /// The square root; null of a negative number.
    sqrt => "sqrt",
    /// e to the power of a number.
    exp => "exp",
    /// The natural logarithm; null of a number that is not above 0.
    ln => "ln",
    /// The logarithm to base 10; null of a number that is not above 0.
    log10 => "log10",
    /// Whether the number is NaN, which is a value: it is not null, equals itself and
    /// is above all others. `x.null_if(lit(f64::NAN))` makes it a missing one.
    is_nan => "is_nan",
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
    /// The day of the year, 1 to 366.
    day_of_year => "dayofyear",
    /// The week of the year by ISO 8601, 1 to 53.
    week => "week",
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

    /// The number to a power, as a fraction; null where there is none: 0 to a
    /// negative power, a negative number to one that is not whole.
    ///
    /// ```
    /// use windrow::prelude::*;
    /// use windrow::expr::Expr;
    ///
    /// let distance = (col("x").pow(2) + col("y").pow(2)).sqrt();
    /// assert_eq!(distance, Expr::parse("sqrt(pow(x, 2) + pow(y, 2))")?);
    /// # Ok::<(), windrow::Error>(())
    /// ```
    pub fn pow(self, exponent: impl Into<Expr>) -> Expr {
        call("pow", [self, exponent.into()])
    }

    /// The quotient, rounded down to a whole number: Python's `//`. Whole
    /// numbers and decimals give whole numbers, exactly; null for a divisor of 0.
    ///
    /// ```
    /// use windrow::prelude::*;
    ///
    /// assert_eq!(col("n").floordiv(10).to_string(), "floordiv(n, 10)");
    /// ```
    pub fn floordiv(self, divisor: impl Into<Expr>) -> Expr {
        call("floordiv", [self, divisor.into()])
    }

    /// The start of the year, quarter, month, week, day, hour, minute, second or
    /// millisecond that the point in time lies in, or of a length of time such as
    /// `15m` or `1h30m`; such are counted from the Monday 2000-01-03.
    pub fn date_trunc(self, unit: impl Into<String>) -> Expr {
        call("date_trunc", [Expr::from(unit.into()), self])
    }

    /// The point in time where a unit starts with it, as
    /// [`date_trunc`](Expr::date_trunc) has them, else the start of the next one.
    ///
    /// ```
    /// use windrow::prelude::*;
    ///
    /// assert_eq!(col("t").date_ceil("hour").to_string(), "date_ceil('hour', t)");
    /// ```
    pub fn date_ceil(self, unit: impl Into<String>) -> Expr {
        call("date_ceil", [Expr::from(unit.into()), self])
    }

    /// The nearest start of a unit, as [`date_trunc`](Expr::date_trunc) has them;
    /// of two that are as near the later one.
    pub fn date_round(self, unit: impl Into<String>) -> Expr {
        call("date_round", [Expr::from(unit.into()), self])
    }

    /// The starts of all units, as [`date_trunc`](Expr::date_trunc) has them, from
    /// that of the point in time to before another, as a list; more than 1,048,576
    /// are an error.
    pub fn date_range(self, unit: impl Into<String>, to: impl Into<Expr>) -> Expr {
        call("date_range", [Expr::from(unit.into()), self, to.into()])
    }

    /// The same instant on the clocks of a zone, such as `Europe/Oslo`: parts of
    /// it, [`Expr::date_trunc`] and [`Expr::strftime`] are those of that zone.
    pub fn tz_convert(self, zone: impl Into<String>) -> Expr {
        call("tz_convert", [self, Expr::from(zone.into())])
    }

    /// The instant at which the clocks of a zone show this time, which has no
    /// zone; of two such instants the first.
    pub fn tz_localize(self, zone: impl Into<String>) -> Expr {
        call("tz_localize", [self, Expr::from(zone.into())])
    }

    /// The time as a text, by a format such as `%Y-%m-%d`, on the clocks of its zone.
    pub fn strftime(self, format: impl Into<String>) -> Expr {
        call("strftime", [self, Expr::from(format.into())])
    }

    /// The instant that a text spells in a format; where the text names no offset,
    /// on the clocks of UTC. Null if it does not.
    pub fn strptime(self, format: impl Into<String>) -> Expr {
        call("strptime", [self, Expr::from(format.into())])
    }

    /// As [`Expr::strptime`], on the clocks of a zone.
    pub fn strptime_in(self, format: impl Into<String>, zone: impl Into<String>) -> Expr {
        let (format, zone) = (Expr::from(format.into()), Expr::from(zone.into()));
        call("strptime", [self, format, zone])
    }

    /// What the first match of a regular expression has in its first group, or
    /// all of it where there is no group; null if nothing matches.
    pub fn regexp_extract(self, pattern: impl Into<String>) -> Expr {
        call("regexp_extract", [self, Expr::from(pattern.into())])
    }

    /// As [`Expr::regexp_extract`], of the group of that number; 0 is all that matches.
    pub fn regexp_group(self, pattern: impl Into<String>, group: i64) -> Expr {
        let pattern = Expr::from(pattern.into());
        call("regexp_extract", [self, pattern, Expr::from(group)])
    }

    /// The text with every match of a regular expression replaced; `$1` in the new
    /// text is the first group.
    pub fn regexp_replace(self, pattern: impl Into<String>, new: impl Into<Expr>) -> Expr {
        let pattern = Expr::from(pattern.into());
        call("regexp_replace", [self, pattern, new.into()])
    }

    /// The list of the parts between separators.
    pub fn split(self, separator: impl Into<Expr>) -> Expr {
        call("split", [self, separator.into()])
    }

    /// The place of the first character of a part, from 1; 0 if the text does not hold it.
    pub fn position(self, part: impl Into<Expr>) -> Expr {
        call("position", [self, part.into()])
    }

    /// The text filled up at its start with `fill`, or cut off, to so many characters.
    pub fn pad_start(self, length: i64, fill: impl Into<String>) -> Expr {
        let fill = Expr::from(fill.into());
        call("lpad", [self, Expr::from(length), fill])
    }

    /// The text filled up at its end with `fill`, or cut off, to so many characters.
    pub fn pad_end(self, length: i64, fill: impl Into<String>) -> Expr {
        let fill = Expr::from(fill.into());
        call("rpad", [self, Expr::from(length), fill])
    }

    /// The nth item of a list; the first is 1, and -1 is the last; null if there is none.
    pub fn get(self, n: impl Into<Expr>) -> Expr {
        call("list_get", [self, n.into()])
    }

    /// A field of an object; null where there is none. Of a column it is the
    /// nested name: `col("a").field("b")` is `col("a.b")`.
    pub fn field(self, name: impl AsRef<str>) -> Expr {
        let name = name.as_ref();
        match self {
            Expr::Column(column) => Expr::Column(format!("{column}.{name}")),
            other => call("field", [other, Expr::from(name.to_owned())]),
        }
    }

    /// The value, but no less than `low` and no more than `high`; null stays null.
    pub fn clip(self, low: impl Into<Expr>, high: impl Into<Expr>) -> Expr {
        let (low, high) = (low.into(), high.into());
        when(self.clone().lt(low.clone()))
            .then(low)
            .when(self.clone().gt(high.clone()))
            .then(high)
            .otherwise(self)
    }

    /// The value where a condition is true, else another: null where none is
    /// wanted. Dask calls it `where`, which is a word of Rust.
    ///
    /// ```
    /// use windrow::expr::{Scalar, col, lit};
    /// let kept = col("bytes").where_(col("bytes").ge(0), lit(Scalar::Null));
    /// assert_eq!(kept.to_string(), "case when bytes >= 0 then bytes else null end");
    /// ```
    pub fn where_(self, condition: impl Into<Expr>, other: impl Into<Expr>) -> Expr {
        when(condition.into()).then(self).otherwise(other)
    }

    /// Another value where a condition is true, else the value.
    pub fn mask(self, condition: impl Into<Expr>, other: impl Into<Expr>) -> Expr {
        when(condition.into()).then(other).otherwise(self)
    }

    /// Values by others: from, to. What is not among them stays.
    ///
    /// ```
    /// use windrow::expr::col;
    /// let plain = col("level").replace_values([("WARNING", "warn"), ("ERR", "error")]);
    /// assert_eq!(
    ///     plain.to_string(),
    ///     "case level when 'WARNING' then 'warn' when 'ERR' then 'error' else level end"
    /// );
    /// ```
    pub fn replace_values<F, T>(self, values: impl IntoIterator<Item = (F, T)>) -> Expr
    where
        F: Into<Expr>,
        T: Into<Expr>,
    {
        let branches: Vec<(Expr, Expr)> = values
            .into_iter()
            .map(|(from, to)| (from.into(), to.into()))
            .collect();
        if branches.is_empty() {
            return self;
        }
        Expr::Case {
            operand: Some(Box::new(self.clone())),
            branches,
            otherwise: Some(Box::new(self)),
        }
    }
}
