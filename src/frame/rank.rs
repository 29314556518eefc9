//! The place of each value among all others.
//!
//! In:  columns whose values have an order; keys, if each group counts alone.
//! Out: the same rows in the same order, with places instead of values.
//!
//! Rows are sorted by the column, the runs of equal values are found by looking
//! at the rows beside each, and rows are put back in their order:
//!
//! ```text
//! x        3  1  3  2         sorted  1  2  3  3
//! place    0  1  2  3         number  1  2  3  4
//!                             min     1  2  3  3     max  1  2  4  4     dense  1  2  3  3
//! ```
//!
//! So it costs a sort for each column and one more, past the memory budget on disk.

use arrow_schema::Schema;

use super::aggregate::GroupBy;
use super::columns::free_name;
use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::expr::{Expr, col, lit, row_number, unknown_column, when};
use crate::ops::SortBy;

/// The place that equal values share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// The mean of their places, a `Float64`.
    #[default]
    Average,
    /// The first of their places.
    Min,
    /// The last of their places.
    Max,
    /// That of the value before, and one more: no place is left out.
    Dense,
    /// None: each has its own, in the order of the frame.
    First,
}

/// How [`DataFrame::rank`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RankOptions {
    /// The place of equal values. Default: the mean of their places.
    pub ties: Ties,
    /// The largest value has place 1. Default: the smallest one.
    pub descending: bool,
}

impl DataFrame {
    /// The place of each value of some columns among all values of the column,
    /// from 1, instead of the value; null stays null and takes no place. NaN is
    /// larger than every number, -0 is 0, texts compare by their bytes. Rows keep
    /// their order, in even partitions of about 128 MiB.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// use windrow::{RankOptions, Session, Ties};
    /// # fn main() -> windrow::Result<()> {
    /// # let user: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
    /// # let ms: ArrayRef = Arc::new(Int64Array::from(vec![Some(30), Some(10), None, Some(30)]));
    /// # let batch = RecordBatch::try_from_iter([("user", user), ("ms", ms)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let slowest = RankOptions { ties: Ties::Min, descending: true };
    /// assert_eq!(frame.rank(["ms"], slowest)?.compute()?.to_string(), "\
    /// user  ms
    /// ----  ----
    /// a     1
    /// b     3
    /// c     null
    /// d     1
    /// 4 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, or one of lists or objects.
    pub fn rank<I>(&self, columns: I, options: RankOptions) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        ranked(self.clone(), &[], columns, options)
    }
}

impl GroupBy {
    /// As [`DataFrame::rank`], among the values of each group; all rows stay.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::rank`].
    pub fn rank<I>(&self, columns: I, options: RankOptions) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let (frame, by) = self.rows_and_keys()?;
        ranked(frame, &by, columns, options)
    }
}

fn ranked<I>(frame: DataFrame, by: &[Expr], columns: I, options: RankOptions) -> Result<DataFrame>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let known = frame.known().clone();
    let free = |wanted: &str| free_name(wanted, |name| known.column_with_name(name).is_some());
    let place = free(&row_number().to_string());
    let mut frame = frame.with_column(&place, row_number())?;
    // Keys may be columns that are ranked: values stay until all ranks are known.
    let mut ranks = Vec::new();
    for column in columns {
        let column = column.into();
        check(&column, &known)?;
        let order = SortBy {
            descending: options.descending,
            ..SortBy::ascending(&column)
        };
        let mut rank = rank_of(col(&column), options.ties);
        rank.group_windows(by);
        let name = free(&format!("rank({column})"));
        // Equal values stand as the frame has them, whatever was ranked before.
        let by_value = match ranks.is_empty() {
            true => vec![order],
            false => vec![order, SortBy::ascending(&place)],
        };
        frame = frame.sort_values(by_value)?.with_column(&name, rank)?;
        ranks.push((column, name));
    }
    let ranked = ranks.iter().map(|(column, name)| (column, col(name)));
    let frame = frame.sort_values([place.as_str()])?.with_columns(ranked)?;
    let added = ranks.iter().map(|(_, name)| name.clone());
    frame.drop(added.chain([place]))
}

/// Refuses a column whose values are not one value each.
fn check(column: &str, known: &Schema) -> Result<()> {
    let Some((_, field)) = known.column_with_name(column) else {
        return Err(unknown_column(column, known));
    };
    match field.data_type() {
        nested if nested.is_nested() => Err(Error::plan(format!(
            "{column:?} is {nested}: single values have ranks; rank a field or item of it"
        ))),
        _ => Ok(()),
    }
}

/// The place of a value, of rows that are sorted by it, nulls last.
fn rank_of(value: Expr, ties: Ties) -> Expr {
    // A null beside a value is behind all of them: a run ends there, too.
    let other = |beside: Expr| beside.clone().is_null().or(beside.ne(value.clone()));
    let starts = other(value.clone().shift(1));
    let number = |at: Expr| Expr::from(when(at).then(row_number()));
    let first = || number(starts.clone()).ffill(None);
    let last = || number(other(value.clone().shift(-1))).bfill(None);
    let place = match ties {
        Ties::First => row_number(),
        Ties::Min => first(),
        Ties::Max => last(),
        Ties::Average => (first() + last()) / lit(2),
        Ties::Dense => when(starts.clone())
            .then(lit(1))
            .otherwise(lit(0))
            .cum_sum(),
    };
    when(value.clone().is_not_null()).then(place).into()
}
