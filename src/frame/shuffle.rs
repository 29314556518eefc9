//! Rows in partitions by key: hashed, or between bounds.
//!
//! In:  keys, or the bounds of an index.
//! Out: the same rows in other partitions; those of a partition keep their order.
//!
//! The input is read once. Rows are held until all came, past the memory budget
//! on disk.

use arrow_array::ArrayRef;

use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::expr::{GroupTable, Scalar, col, unknown_column};
use crate::ops::{SortBy, SortKeys};
use crate::plan::{Logical, ShuffleBy, Sort, SortInto, typed_array};

impl DataFrame {
    /// The same rows in `npartitions` partitions, so that rows with equal values
    /// of the columns `on` lie in one; null is a value. Rows of a partition keep
    /// their order. Which partition a key goes to depends on its value alone; a
    /// partition without rows is none. One key is never cut, however many rows it has.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values((0..100).map(|n| n % 10)));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let by_key = frame.shuffle(["n"], 3)?;
    /// // Groups are whole within partitions.
    /// for partition in by_key.compute()?.partitions() {
    ///     let rows: usize = partition.iter().map(|batch| batch.num_rows()).sum();
    ///     assert_eq!(rows % 10, 0);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, one whose values
    /// cannot be told apart, or none at all; [`Error::Config`] for no partition.
    pub fn shuffle<I>(&self, on: I, npartitions: usize) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let keys: Vec<String> = on.into_iter().map(Into::into).collect();
        if npartitions == 0 {
            return Err(Error::config(
                "npartitions",
                "rows need a partition to lie in",
            ));
        }
        let of = |key: &String| match self.known().column_with_name(key) {
            Some((_, field)) => Ok(field.data_type().clone()),
            None => Err(unknown_column(key, self.known())),
        };
        GroupTable::try_new(keys.iter().map(of).collect::<Result<_>>()?)?;
        let count = npartitions;
        Ok(self.with(Logical::Shuffle {
            input: self.input(),
            by: ShuffleBy::Hash { keys, count },
        }))
    }

    /// The rows of an indexed frame cut at bounds of the index: the first partition
    /// from the first bound to before the second …, the last one with its own bound.
    /// Rows whose index is null lie behind all others in the last. Dask:
    /// `repartition(divisions=…, force=…)`.
    ///
    /// Rows outside of the bounds end the run with an error, unless `force` lets
    /// the first and the last partition take them. A partition without rows is none.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values((0..100).rev()));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let cut = frame.set_index("n")?.repartition_at([0, 10, 50, 99], false)?;
    /// let divisions = cut.divisions()?.expect("it is sorted");
    /// assert_eq!(divisions.to_string(), "n: 0..=9, 10..=49, 50..=99");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if rows are not known to be sorted, for fewer than two bounds,
    /// for one that is no value of the index, and for bounds out of order. Rows that
    /// are not in the order in which they are said to be end the run, with their place.
    pub fn repartition_at<I>(&self, bounds: I, force: bool) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<Scalar>,
    {
        let key = self.indexed()?;
        let bounds: Vec<Scalar> = bounds.into_iter().map(Into::into).collect();
        if bounds.len() < 2 || bounds.contains(&Scalar::Null) {
            return Err(Error::plan(
                "bounds are those of partitions, one more than there are, and none is null",
            ));
        }
        let of = self.known().field_with_name(&key)?.data_type();
        self.check_bounds(&key, &bounds, &typed_array(&bounds, of)?)?;
        let sorted = self.with(Logical::Sort {
            input: self.input(),
            sort: Sort {
                by: vec![SortBy::ascending(&key)],
                into: SortInto::Given,
            },
        });
        Ok(sorted.with(Logical::Shuffle {
            input: sorted.input(),
            by: ShuffleBy::Divisions { key, bounds, force },
        }))
    }

    /// The rows of an indexed frame in partitions of one unit or length of time each:
    /// `"day"`, `"month"`, `"6h"`; see [`Expr::date_trunc`](crate::expr::Expr::date_trunc). A stretch without rows is no
    /// partition. Dask: `repartition(freq=…)`. The least and the greatest time are
    /// found now, by reading the index.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, RecordBatch, StringArray};
    /// # use windrow::Session;
    /// use windrow::expr::col;
    /// # fn main() -> windrow::Result<()> {
    /// # let ts = ["2024-05-02 10:07", "2024-05-01 23:59", "2024-05-02 00:00", "2024-05-04 01:00"];
    /// # let ts: ArrayRef = Arc::new(StringArray::from(ts.to_vec()));
    /// # let batch = RecordBatch::try_from_iter([("ts", ts)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let days = frame.with_column("ts", col("ts").strptime("%Y-%m-%d %H:%M"))?;
    /// let days = days.set_index("ts")?.repartition_every("day")?;
    /// let rows: Vec<u64> = days.partition_sizes()?.iter().map(|part| part.rows).collect();
    /// assert_eq!(rows, [1, 2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DataFrame::repartition_at`]; [`Error::Plan`] for an index that is no time, a
    /// text that is no unit and no length, and more than 1,048,576 of them.
    pub fn repartition_every(&self, every: impl Into<String>) -> Result<DataFrame> {
        let every = every.into();
        let key = self.indexed()?;
        let start = col(&key).date_trunc(&every);
        start.bind(self.known())?;
        let ends = [
            col(&key).min().alias("least"),
            col(&key).max().alias("most"),
        ];
        let starts = col("least").date_range(&every, col("most"));
        let last = col("most").date_trunc(&every);
        let found =
            self.agg(ends)?
                .select([starts.alias("starts"), last.alias("last"), col("most")])?;
        let found = found.explode(["starts"])?.compute()?;
        let mut bounds = Vec::new();
        for batch in found.batches() {
            for row in 0..batch.num_rows() {
                let value = |column: usize| Scalar::from_array(&batch.column(column).slice(row, 1));
                bounds.extend(value(0));
                if row + 1 == batch.num_rows() {
                    // The greatest may itself be a start.
                    bounds.extend(value(1).filter(|start| bounds.last() != Some(start)));
                    bounds.extend(value(2));
                }
            }
        }
        bounds.retain(|bound| *bound != Scalar::Null);
        match bounds.is_empty() {
            // There is no time, and no row that is not in the last partition.
            true => Ok(self.clone()),
            false => self.repartition_at(bounds, false),
        }
    }

    /// The column that rows are sorted by.
    fn indexed(&self) -> Result<String> {
        self.index().ok_or_else(|| {
            Error::plan("there is no index to cut: set_index or sort_values puts rows in order")
        })
    }

    /// Refuses bounds that do not rise, but for the last: one value may be a partition.
    fn check_bounds(&self, key: &str, bounds: &[Scalar], typed: &ArrayRef) -> Result<()> {
        let keys = SortKeys::try_new(&[SortBy::ascending(key)], self.known())?;
        let codes = keys.codes_of(std::slice::from_ref(typed))?;
        for idx in 1..bounds.len() {
            let order = codes.cmp_to(idx - 1, &codes, idx);
            if order.is_gt() || (order.is_eq() && idx + 1 < bounds.len()) {
                return Err(Error::plan(format!(
                    "bounds of {key} must rise, and {} stands behind {}",
                    bounds[idx],
                    bounds[idx - 1]
                )));
            }
        }
        Ok(())
    }
}
