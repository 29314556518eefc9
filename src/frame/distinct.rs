//! Rows that are like others.
//!
//! In:  names of columns that make rows alike, and which of such rows stay.
//! Out: frames with one row of each kind, or with those that have no like.
//!
//! Rows alike are a group; what stays of it are the values of its first or its
//! last row. So this is spilled, merged and ordered as groups are.

use super::columns::free_name;
use super::dataframe::DataFrame;
use crate::error::Result;
use crate::expr::{AggExpr, Aggregate, col, count, lit};

/// Which of the rows that are alike stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// The first.
    #[default]
    First,
    /// The last.
    Last,
    /// None: only rows without a like stay.
    None,
}

impl DataFrame {
    /// One row of all that are equal in the columns `subset`, or in all columns
    /// where `subset` is empty; the rows that stay keep their order. Null equals
    /// null, every NaN is one value, and -0 comes out as 0 of a column that is
    /// compared.
    ///
    /// Where only reading tells which columns there are (JSON and other text),
    /// the input is read now and kept.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// use windrow::{Keep, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let user: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "b", "c"]));
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4));
    /// # let batch = RecordBatch::try_from_iter([("user", user), ("n", n)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let last = frame.drop_duplicates(["user"], Keep::Last)?;
    /// assert_eq!(last.compute()?.to_string(), "\
    /// user  n
    /// ----  -
    /// a     1
    /// b     2
    /// c     3
    /// 3 rows");
    /// assert_eq!(frame.drop_duplicates(["user"], Keep::None)?.count()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names, or one whose
    /// values cannot be told apart; those of [`DataFrame::persist`] where the input is read.
    pub fn drop_duplicates<I>(&self, subset: I, keep: Keep) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let frame = self.with_known_columns()?;
        let names = frame.known().fields().iter();
        let names: Vec<String> = names.map(|field| field.name().clone()).collect();
        let mut keys: Vec<String> = subset.into_iter().map(Into::into).collect();
        if keys.is_empty() {
            keys.clone_from(&names);
        }
        let row = match keep {
            Keep::Last => Aggregate::LastRow,
            Keep::First | Keep::None => Aggregate::FirstRow,
        };
        let of = |name: &String| AggExpr::new(row, [col(name)]).alias(name);
        let others = names.iter().filter(|name| !keys.contains(name));
        let mut kept: Vec<AggExpr> = others.map(of).collect();
        let free = free_name("rows", |name| names.iter().any(|own| own == name));
        match keep {
            Keep::First => {}
            // Rows stand where the last of their kind do.
            Keep::Last => kept.push(AggExpr::new(row, [col(&keys[0])]).alias(&free)),
            Keep::None => kept.push(count().alias(&free)),
        }
        let mut groups = frame.groupby(keys.iter().map(String::as_str))?.agg(kept)?;
        if keep == Keep::None {
            groups = groups.filter(col(&free).eq(lit(1)))?;
        }
        groups.select(names.iter().map(String::as_str))
    }

    /// The distinct values of a column, null among them, in the order in which
    /// they first appear.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names, or one whose
    /// values cannot be told apart.
    pub fn unique(&self, column: impl AsRef<str>) -> Result<DataFrame> {
        let one = self.select([column.as_ref()])?;
        one.groupby([column.as_ref()])?.agg::<[AggExpr; 0]>([])
    }

    /// The frame, kept where only reading tells which columns it has.
    pub(super) fn with_known_columns(&self) -> Result<DataFrame> {
        match self.plan().widens() {
            true => self.persist(),
            false => Ok(self.clone()),
        }
    }
}
