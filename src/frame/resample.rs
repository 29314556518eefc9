//! Rows by the stretches of time that they lie in.
//!
//! In:  a column of times, a unit or a length of time, aggregates.
//! Out: a row for each stretch, in the order of time; those without rows, too,
//!      where that is asked for.
//!
//! It is a group-by of `date_trunc`. Stretches without rows are made of the ones
//! beside them: each makes those up to the next one.

use super::aggregate::IntoAggregate;
use super::columns::free_name;
use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::expr::{AggExpr, Expr, Scalar, coalesce, col, count, when};

/// Rows by stretches of time; [`Resample::agg`] says what is made of each.
#[derive(Clone)]
pub struct Resample {
    frame: DataFrame,
    time: String,
    every: String,
    empty: bool,
}

impl DataFrame {
    /// All rows by the unit or length of time that the time `time` of each lies in:
    /// `"day"`, `"month"`, `"15m"`, `"1h30m"`; see [`Expr::date_trunc`]. Rows need no
    /// order; those without a time are left out. Dask: `resample`, of any column.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// use windrow::prelude::*;
    /// # fn main() -> windrow::Result<()> {
    /// # let ts = ["2024-05-01 10:07", "2024-05-01 10:59", "2024-05-01 10:01"];
    /// # let ts: ArrayRef = Arc::new(StringArray::from(ts.to_vec()));
    /// # let ms: ArrayRef = Arc::new(Int64Array::from(vec![5, 7, 20]));
    /// # let batch = RecordBatch::try_from_iter([("ts", ts), ("ms", ms)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let quarters = frame.resample("ts", "15m")?.empty();
    /// assert_eq!(quarters.agg([col("ms").sum(), count()])?.compute()?.to_string(), "\
    /// ts                    ms    count
    /// --------------------  ----  -----
    /// 2024-05-01T10:00:00Z  25    2
    /// 2024-05-01T10:15:00Z  null  0
    /// 2024-05-01T10:30:00Z  null  0
    /// 2024-05-01T10:45:00Z  7     1
    /// 4 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, one that holds no
    /// times, and a text that is no unit and no length.
    pub fn resample(&self, time: impl Into<String>, every: impl Into<String>) -> Result<Resample> {
        let resample = Resample {
            frame: self.clone(),
            time: time.into(),
            every: every.into(),
            empty: false,
        };
        resample.start().bind(self.known())?;
        Ok(resample)
    }
}

impl Resample {
    /// Stretches between the first and the last come out without rows, too: with
    /// what the aggregates make of no rows.
    #[must_use]
    pub fn empty(mut self) -> Self {
        self.empty = true;
        self
    }

    /// A row for each stretch: its start under the name of the column of times,
    /// then the aggregates, named as [`GroupBy::agg`](super::GroupBy::agg) names them.
    ///
    /// # Errors
    ///
    /// As [`GroupBy::agg`](super::GroupBy::agg). More than 1,048,576 stretches without
    /// rows behind each other end the run with an error.
    pub fn agg<I>(&self, aggregates: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: IntoAggregate,
    {
        let aggregates = aggregates.into_iter().map(IntoAggregate::into_aggregate);
        let aggregates: Vec<AggExpr> = aggregates.collect::<Result<_>>()?;
        let keys = [self.start().alias(&self.time)];
        let groups = self.frame.groupby(keys)?.dropna().sort();
        let stretches = groups.agg(&aggregates)?;
        match self.empty {
            true => self.with_empty(&stretches, &aggregates),
            false => Ok(stretches),
        }
    }

    /// How many rows each stretch has, as the column `count`.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if the column of times has that name.
    pub fn size(&self) -> Result<DataFrame> {
        self.agg([count().alias("count")])
    }

    /// The start of the stretch that a row lies in.
    fn start(&self) -> Expr {
        col(&self.time).date_trunc(&self.every)
    }

    /// Puts the stretches without rows between the others.
    fn with_empty(&self, stretches: &DataFrame, aggregates: &[AggExpr]) -> Result<DataFrame> {
        let time = col(&self.time);
        let until_next = time.clone().date_range(&self.every, time.clone().shift(-1));
        let starts = free_name(&until_next.to_string(), |name| {
            stretches.known().column_with_name(name).is_some()
        });
        let spread = stretches.with_column(&starts, until_next)?;
        let spread = spread.explode([starts.clone()])?;
        // Behind the last one there is none.
        let has_rows = col(&starts).is_null().or(col(&starts).eq(time.clone()));
        let mut columns = vec![(self.time.clone(), coalesce([col(&starts), time]))];
        let fields = stretches.known().fields().iter().skip(1);
        for (field, nothing) in fields.zip(self.of_nothing(aggregates)?) {
            let own = when(has_rows.clone()).then(col(field.name()));
            let value = match nothing {
                Scalar::Null => own.into(),
                nothing => own.otherwise(nothing),
            };
            columns.push((field.name().clone(), value));
        }
        spread.with_columns(columns)?.drop([starts])
    }

    /// What the aggregates make of no rows.
    fn of_nothing(&self, aggregates: &[AggExpr]) -> Result<Vec<Scalar>> {
        let none = self.frame.session();
        let none = none.from_batches(self.frame.known().clone(), [])?;
        let table = none.agg(aggregates)?.compute()?;
        let row = table.batches().next();
        let row = row.ok_or_else(|| Error::internal("aggregates of no rows gave no row"))?;
        let values = row.columns().iter().zip(aggregates);
        let scalar = |(value, aggregate)| {
            Scalar::from_array(value).ok_or_else(|| {
                let of = value.data_type();
                Error::plan(format!(
                    "{aggregate} of a stretch without rows is {of}, which is more than one value"
                ))
            })
        };
        values.map(scalar).collect()
    }
}
