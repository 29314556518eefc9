//! Window expressions from Rust: methods of [`Expr`] and [`AggExpr`].
//!
//! In:  an expression, and how far a window reaches.
//! Out: an expression; what pandas has and SQL has not is put together of both.

use std::time::Duration;

use super::ast::{Frame, WindowExpr, Windowed};
use crate::error::Result;
use crate::expr::aggregate::{AggExpr, Aggregate};
use crate::expr::ast::Expr;
use crate::expr::build::{IntoExpr, col, when};

fn window(what: Windowed, frame: Frame) -> Expr {
    Expr::Window(Box::new(WindowExpr {
        what,
        by: Vec::new(),
        frame,
    }))
}

impl AggExpr {
    /// The aggregate of all rows that are equal in these columns, for each of
    /// them; of no columns, of all rows: `sum(x) over (partition by user)`.
    /// pandas: `groupby(…).transform`. All rows are held until the last is read,
    /// past the memory budget on disk.
    pub fn over<I>(self, by: I) -> Expr
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        window(Windowed::Aggregate(self), Frame::ALL).over(by)
    }
}

impl Expr {
    /// Lets every window inside, that has no groups yet, look only at rows that
    /// are equal in these columns: `col("x").shift(1).over(["user"])`.
    #[must_use]
    pub fn over<I>(mut self, by: I) -> Expr
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let by: Vec<Expr> = by.into_iter().map(col).collect();
        self.group_windows(&by);
        self
    }

    /// Gives groups to windows that have none, those inside of windows too.
    pub(crate) fn group_windows(&mut self, by: &[Expr]) {
        let mut rest = vec![self];
        while let Some(expr) = rest.pop() {
            match expr {
                Expr::Window(window) => {
                    let (inside, own) = window.looked_at_mut();
                    if own.is_empty() {
                        *own = by.to_vec();
                    }
                    rest.extend(inside);
                }
                other => rest.extend(other.children_mut()),
            }
        }
    }

    /// The value `rows` rows before, in the order of the frame; behind, where
    /// `rows` is negative. Null where there is no such row: `lag(x, 1) over ()`.
    /// Rows before are told as rows pass; for rows behind all rows are held first.
    #[must_use]
    pub fn shift(self, rows: i64) -> Expr {
        window(Windowed::Shift { expr: self, rows }, Frame::ALL)
    }

    /// The value less that `rows` rows before. Of times, take [`epoch`](Expr::epoch) first.
    #[must_use]
    pub fn diff(self, rows: i64) -> Expr {
        self.clone() - self.shift(rows)
    }

    /// The sum of the values so far, this row's included; null where the value is.
    #[must_use]
    pub fn cum_sum(self) -> Expr {
        self.so_far(Aggregate::Sum)
    }

    /// The product of the values so far, this row's included; null where the value is.
    #[must_use]
    pub fn cum_prod(self) -> Expr {
        self.so_far(Aggregate::Product)
    }

    /// The smallest value so far; null where the value is.
    #[must_use]
    pub fn cum_min(self) -> Expr {
        self.so_far(Aggregate::Min)
    }

    /// The largest value so far; null where the value is.
    #[must_use]
    pub fn cum_max(self) -> Expr {
        self.so_far(Aggregate::Max)
    }

    fn so_far(self, what: Aggregate) -> Expr {
        let present = self.clone().is_not_null();
        let so_far = AggExpr::new(what, [self]);
        when(present)
            .then(window(Windowed::Aggregate(so_far), Frame::SO_FAR))
            .into()
    }

    /// The last value that is not null, of this row or the at most `limit` rows
    /// before it; without a limit, of any row before.
    #[must_use]
    pub fn ffill(self, limit: Option<u32>) -> Expr {
        let last = AggExpr::new(Aggregate::Last, [self]);
        let frame = Frame::Rows {
            start: limit.map(|limit| -i64::from(limit)),
            end: Some(0),
        };
        window(Windowed::Aggregate(last), frame)
    }

    /// The next value that is not null, of this row or the at most `limit` rows
    /// behind it; without a limit, of any row behind. All rows are held first.
    #[must_use]
    pub fn bfill(self, limit: Option<u32>) -> Expr {
        let first = AggExpr::new(Aggregate::First, [self]);
        let frame = Frame::Rows {
            start: Some(0),
            end: limit.map(i64::from),
        };
        window(Windowed::Aggregate(first), frame)
    }

    /// The last `rows` rows up to each row, to be aggregated: `col("x").rolling(3).mean()`.
    /// A result is null until there are `rows` values, unless
    /// [`min_periods`](Rolling::min_periods) asks for fewer.
    pub fn rolling(self, rows: u32) -> Rolling {
        Rolling {
            value: self,
            frame: Frame::Rows {
                start: Some(1 - i64::from(rows)),
                end: Some(0),
            },
            min_periods: u64::from(rows),
        }
    }

    /// As [`rolling`](Expr::rolling), with each row in the middle of its window;
    /// of an even number, one more row before it than behind. All rows are held first.
    pub fn rolling_centered(self, rows: u32) -> Rolling {
        let behind = (i64::from(rows) - 1).max(0) / 2;
        Rolling {
            frame: Frame::Rows {
                start: Some(1 + behind - i64::from(rows)),
                end: Some(behind),
            },
            ..self.rolling(rows)
        }
    }

    /// The rows up to each row whose `time` is less than `width` before its own.
    /// Times must not fall from row to row within a group: a run stops where they do.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) if `time` is text that does not parse.
    pub fn rolling_within(self, width: Duration, time: impl IntoExpr) -> Result<Rolling> {
        let of = time.into_expr()?;
        Ok(Rolling {
            value: self,
            frame: Frame::Within { width, of },
            min_periods: 1,
        })
    }

    /// All rows so far, this one included, to be aggregated.
    pub fn expanding(self) -> Rolling {
        Rolling {
            value: self,
            frame: Frame::SO_FAR,
            min_periods: 1,
        }
    }
}

/// Rows around each row that are to be aggregated; see [`Expr::rolling`].
///
/// ```
/// use windrow::expr::{Expr, col};
///
/// let mean = col("ms").rolling(3).min_periods(1).mean().over(["user"]);
/// let text = "mean(ms) over (partition by user rows between 2 preceding and current row)";
/// assert_eq!(mean, Expr::parse(text)?);
/// # Ok::<(), windrow::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rolling {
    value: Expr,
    frame: Frame,
    min_periods: u64,
}

impl Rolling {
    /// How many values there must be for a result; with fewer it is null.
    #[must_use]
    pub fn min_periods(mut self, least: u64) -> Self {
        self.min_periods = least;
        self
    }

    /// Any aggregate of the values in the window.
    fn made(self, what: Aggregate) -> Expr {
        let over = |what| {
            let aggregate = AggExpr::new(what, [self.value.clone()]);
            window(Windowed::Aggregate(aggregate), self.frame.clone())
        };
        let made = over(what);
        // Without any value, every aggregate but a count is null.
        match self.min_periods {
            0 | 1 => made,
            least => when(over(Aggregate::Count).ge(least)).then(made).into(),
        }
    }

    /// How many values there are; never null.
    pub fn count(mut self) -> Expr {
        self.min_periods = 0;
        self.made(Aggregate::Count)
    }
}

/// Methods for aggregates: what they give, their name, the aggregate.
macro_rules! rolled {
    ($($(#[$doc:meta])* $method:ident => $what:expr),* $(,)?) => {
        impl Rolling {
            $(
                $(#[$doc])*
                pub fn $method(self) -> Expr {
                    self.made($what)
                }
            )*
        }
    };
}

rolled! {
    /// The sum. Fractions are added exactly and rounded once.
    sum => Aggregate::Sum,
    /// The mean.
    mean => Aggregate::Mean,
    /// The smallest value; NaN is above every number.
    min => Aggregate::Min,
    /// The largest value.
    max => Aggregate::Max,
    /// The variance of a sample, with n - 1 in the divisor.
    var => Aggregate::Variance { ddof: 1 },
    /// The standard deviation of a sample.
    std => Aggregate::StdDev { ddof: 1 },
    /// The median.
    median => Aggregate::Quantile(0.5),
    /// The first value that is not null.
    first => Aggregate::First,
    /// The last value that is not null.
    last => Aggregate::Last,
}
