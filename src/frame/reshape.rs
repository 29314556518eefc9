//! Rows made of lists, and of columns.
//!
//! In:  names of columns.
//! Out: a frame with more rows; every row keeps the order of its own.

use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::expr::{Expr, col, list, lit};
use crate::plan::{Logical, exploded};

impl DataFrame {
    /// A row for each item of lists: the columns of lists become columns of their
    /// items, the others are repeated. Where there is no list, or an empty one, the
    /// row stays and its item is null. Several columns are exploded side by side;
    /// their lists must be equally long. Rows keep their order, items theirs.
    ///
    /// ```
    /// # use windrow::{ReadOptions, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("posts.json");
    /// std::fs::write(&path, "{\"id\":1,\"tags\":[\"a\",\"b\"]}\n{\"id\":2,\"tags\":[]}\n").unwrap();
    /// let posts = Session::default().read_json(path.to_str().unwrap(), ReadOptions::default())?;
    /// assert_eq!(posts.explode(["tags"])?.compute()?.to_string(), "\
    /// id  tags
    /// --  ----
    /// 1   a
    /// 1   b
    /// 2   null
    /// 3 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Items have the type that is known now; text that brings others later ends
    /// the run with an error that says where.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names, or one that
    /// holds no lists. Lists of a row that are not equally long are an error of the run.
    pub fn explode<I>(&self, columns: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        if columns.is_empty() {
            return Err(Error::plan("there is no column to explode"));
        }
        let schema = exploded(self.known(), &columns)?;
        let plan = Logical::Explode {
            input: self.input(),
            columns,
        };
        Ok(DataFrame::new(self.session().clone(), plan, schema))
    }

    /// A row for each of some columns of each row: its name as the column
    /// `variable`, its value as the column `value`, beside the columns `ids`.
    /// Values of different types take the one that they have in common: numbers
    /// beside fractions are fractions, other scalars beside each other are text.
    /// The rows of one row stand together, in the order of `columns`; Dask has all
    /// rows of the first column before those of the second.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// let city: ArrayRef = Arc::new(StringArray::from(vec!["Oslo", "Rome"]));
    /// let may: ArrayRef = Arc::new(Int64Array::from(vec![11, 18]));
    /// let june: ArrayRef = Arc::new(Int64Array::from(vec![15, 22]));
    /// let batch = RecordBatch::try_from_iter([("city", city), ("may", may), ("june", june)])?;
    /// let wide = Session::default().from_batches(batch.schema(), [batch])?;
    /// let long = wide.melt(["city"], ["may", "june"], "month", "celsius")?;
    /// assert_eq!(long.compute()?.to_string(), "\
    /// city  month  celsius
    /// ----  -----  -------
    /// Oslo  may    11
    /// Oslo  june   15
    /// Rome  may    18
    /// Rome  june   22
    /// 4 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names; for no `columns`; for
    /// values that no type holds together; for two columns of one name.
    pub fn melt<I, C>(
        &self,
        ids: I,
        columns: C,
        variable: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
        C: IntoIterator,
        C::Item: Into<String>,
    {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        if columns.is_empty() {
            return Err(Error::plan("there is no column to melt"));
        }
        let (variable, value) = (variable.into(), value.into());
        let names = list(columns.iter().map(|name| lit(name.as_str())));
        let values = list(columns.iter().map(col));
        let ids = ids.into_iter().map(|name| col(name.into()));
        let both = [names.alias(variable.clone()), values.alias(value.clone())];
        let lists = self.select(ids.chain(both).collect::<Vec<Expr>>())?;
        lists.explode([variable, value])
    }
}
