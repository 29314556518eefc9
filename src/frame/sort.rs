//! Rows in order, and what is known of them then.
//!
//! In:  columns that order rows; bounds of them.
//! Out: frames whose rows, over all partitions, are in that order; the bounds of partitions.
//!
//! The input is read once. Rows are held until all came, past the memory
//! budget on disk; equal rows keep their order.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::path::Path;

use arrow_array::ArrayRef;
use arrow_schema::Schema;

use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::exec;
use crate::expr::{Scalar, col, lit};
use crate::io;
use crate::ops::{SortBy, SortKeys};
use crate::partition::{By, Partitioning};
use crate::plan::{Logical, Sort, SortInto};
use crate::sink::{Manifest, OutputReport};
use crate::size::ByteSize;

impl DataFrame {
    /// All rows in the order of some columns: by the first, where that is equal
    /// by the second …; rows that are equal in all of them keep their order.
    ///
    /// A column is given by its name, smallest first and nulls last, or as a
    /// [`SortBy`]. NaN is larger than every number and -0 is 0; texts compare by
    /// their bytes. Partitions are even, about 128 MiB of Arrow data each, unless
    /// a `repartition` behind it asks for others.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// use windrow::{Session, SortBy};
    /// # fn main() -> windrow::Result<()> {
    /// # let user: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "b"]));
    /// # let bytes: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None]));
    /// # let batch = RecordBatch::try_from_iter([("user", user), ("bytes", bytes)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let sorted = frame.sort_values([SortBy::descending("user"), "bytes".into()])?;
    /// assert_eq!(sorted.compute()?.to_string(), "\
    /// user  bytes
    /// ----  -----
    /// b     1
    /// b     null
    /// a     2
    /// 3 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, one of a type
    /// without order, or none at all.
    pub fn sort_values<I>(&self, by: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<SortBy>,
    {
        self.sorted(by.into_iter().map(Into::into).collect(), SortInto::Any)
    }

    /// All rows sorted by one column, smallest first and nulls last, in
    /// partitions of about 128 MiB that are ranges of it: the index of the frame,
    /// by which [`DataFrame::loc`] finds rows. The column stays a column.
    ///
    /// A partition ends between two keys, so that equal keys lie together; only
    /// a key that would fill most of a partition lies in several, by input order.
    /// No partition is more than half as large again as the mean.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// use windrow::{By, IndexOptions, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values((0..100).rev()));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let four = IndexOptions { by: By::Count(4), ..IndexOptions::default() };
    /// let indexed = frame.set_index_with("n", four)?;
    /// let divisions = indexed.divisions()?.expect("it was sorted");
    /// assert_eq!(divisions.to_string(), "n: 0..=24, 25..=49, 50..=74, 75..=99");
    /// assert_eq!(indexed.loc(30..=40)?.count()?, 11);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, or one of a type without order.
    pub fn set_index(&self, column: impl Into<String>) -> Result<DataFrame> {
        self.set_index_with(column, IndexOptions::default())
    }

    /// As [`DataFrame::set_index`], in other partitions, or of rows that are sorted already.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::set_index`]; [`Error::Config`] for partitions of a number of stored
    /// bytes, which only writing can tell. Rows that are said to be sorted and are not make
    /// computing fail, with the place of the first that is out of order.
    pub fn set_index_with(
        &self,
        column: impl Into<String>,
        options: IndexOptions,
    ) -> Result<DataFrame> {
        options.by.check()?;
        let into = match (options.sorted, options.by) {
            (true, _) => SortInto::Given,
            (false, By::FileBytes(_)) => {
                return Err(Error::config(
                    "by",
                    "set_index cuts rows before they are written: ask for rows, bytes of Arrow data or a number of partitions",
                ));
            }
            (false, by) => SortInto::Keys(by),
        };
        self.sorted(vec![SortBy::ascending(column)], into)
    }

    /// Whether rows are known to be sorted by a column, so that partitions have bounds.
    pub fn known_divisions(&self) -> bool {
        self.index().is_some()
    }

    /// The column that rows are known to be sorted by, over all partitions: after
    /// `set_index` or `sort_values`, and of Parquet that was written sorted.
    pub fn index(&self) -> Option<String> {
        match self.plan().partitioning() {
            Partitioning::Range { key } => Some(key),
            _ => None,
        }
    }

    /// The least and the greatest key of each partition; none if rows are not
    /// known to be sorted. Computes the frame.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::compute`]; [`Error::Plan`] for keys that are no [`Scalar`].
    pub fn divisions(&self) -> Result<Option<Divisions>> {
        let Some(column) = self.index() else {
            return Ok(None);
        };
        let bounds = exec::bounds(&self.lower(), &column, self.session().context())?;
        let scalar = |value: &ArrayRef| {
            let of = value.data_type();
            Scalar::from_array(value).ok_or_else(|| {
                Error::plan(format!("bounds cannot be told of {column}: it is {of}"))
            })
        };
        let both = |(min, max): &(ArrayRef, ArrayRef)| Ok((scalar(min)?, scalar(max)?));
        let bounds = bounds.iter().map(both).collect::<Result<_>>()?;
        Ok(Some(Divisions { column, bounds }))
    }

    /// The rows whose index lies in a range. Of Parquet, only row groups that
    /// overlap it are read; before a sort, only such rows are sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if rows are not known to be sorted, or the index does not
    /// compare with the ends of the range.
    pub fn loc<T: Into<Scalar> + Clone>(&self, range: impl RangeBounds<T>) -> Result<DataFrame> {
        let index = self.index().ok_or_else(|| {
            Error::plan(
                "there is no index: loc needs rows that set_index or sort_values put in order",
            )
        })?;
        let end = |bound: Bound<&T>| match bound {
            Bound::Included(value) | Bound::Excluded(value) => Some(lit(value.clone())),
            Bound::Unbounded => None,
        };
        let (start, stop) = (range.start_bound(), range.end_bound());
        let mut frame = self.clone();
        if let Some(value) = end(start) {
            frame = frame.filter(match start {
                Bound::Excluded(_) => col(&index).gt(value),
                _ => col(&index).ge(value),
            })?;
        }
        if let Some(value) = end(stop) {
            frame = frame.filter(match stop {
                Bound::Excluded(_) => col(&index).lt(value),
                _ => col(&index).le(value),
            })?;
        }
        Ok(frame)
    }

    fn sorted(&self, by: Vec<SortBy>, into: SortInto) -> Result<DataFrame> {
        SortKeys::try_new(&by, self.known())?;
        Ok(self.with(Logical::Sort {
            input: self.input(),
            sort: Sort { by, into },
        }))
    }
}

/// How [`DataFrame::set_index_with`] lays rows out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexOptions {
    /// Partitions that are wanted: a number, or rows or bytes of Arrow data of
    /// each. Default 128 MiB; lower it when one does not fit the budget.
    pub by: By,
    /// The rows are sorted already, smallest first and nulls last: they stay
    /// where they are, in the partitions that they have, and each is checked as
    /// it passes. Default: they are not.
    pub sorted: bool,
}

impl Default for IndexOptions {
    fn default() -> Self {
        IndexOptions {
            by: By::Bytes(ByteSize::mib(128)),
            sorted: false,
        }
    }
}

/// The bounds of partitions whose rows are sorted by a column. Neighbours may
/// share a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Divisions {
    /// The column.
    pub column: String,
    /// Of each partition the least and the greatest value that is not null;
    /// null where all are, and such partitions stand behind all others.
    pub bounds: Vec<(Scalar, Scalar)>,
}

impl fmt::Display for Divisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |(min, max): &(Scalar, Scalar)| format!("{min}..={max}");
        let bounds: Vec<String> = self.bounds.iter().map(of).collect();
        write!(f, "{}: {}", self.column, bounds.join(", "))
    }
}

/// The column that the rows of a folder are sorted by, as its manifest says;
/// none if the folder holds other files than it knows.
pub(super) fn written_sorted(inputs: &[String], schema: &Schema) -> Result<Option<String>> {
    let [input] = inputs else {
        return Ok(None);
    };
    let dir = Path::new(input);
    if !dir.is_dir() {
        return Ok(None);
    }
    let Some(manifest) = Manifest::read(dir)? else {
        return Ok(None);
    };
    let Some(key) = manifest.sorted_by().map(str::to_owned) else {
        return Ok(None);
    };
    let mut parts = manifest.parts.iter();
    for file in io::list(inputs)? {
        let file = file?;
        let same = |part: &OutputReport| {
            dir.join(&part.path) == Path::new(&file.path) && part.stored_bytes == file.bytes
        };
        if !parts.next().is_some_and(same) {
            return Ok(None);
        }
    }
    let known = parts.next().is_none() && schema.column_with_name(&key).is_some();
    Ok(known.then_some(key))
}
