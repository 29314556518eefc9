//! Rows in order.
//!
//! In:  columns that order rows.
//! Out: frames whose rows, over all partitions, are in that order.
//!
//! The input is read once. Rows are held until all came, past the memory
//! budget on disk; equal rows keep their order.

use super::dataframe::DataFrame;
use crate::error::Result;
use crate::ops::{SortBy, SortKeys};
use crate::plan::{Logical, Sort, SortInto};

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
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names, one of a type
    /// without order, or none at all.
    pub fn sort_values<I>(&self, by: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<SortBy>,
    {
        self.sorted(by.into_iter().map(Into::into).collect(), SortInto::Any)
    }

    fn sorted(&self, by: Vec<SortBy>, into: SortInto) -> Result<DataFrame> {
        SortKeys::try_new(&by, self.known())?;
        Ok(self.with(Logical::Sort {
            input: self.input(),
            sort: Sort { by, into },
        }))
    }
}
