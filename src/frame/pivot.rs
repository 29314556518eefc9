//! Columns made of the values of a column.
//!
//! In:  a column, and what is made of the rows with each of its values.
//! Out: a frame with a column for each value.
//!
//! Which values there are shows only once rows were read: they are found in one
//! pass, at once, or given.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use super::aggregate::{GroupBy, IntoAggregate};
use super::columns::IntoColumn;
use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::expr::{AggExpr, Aggregate, Expr, Named, Projection, Scalar, col, count, lit, when};
use crate::plan::typed_array;

/// The most values of a column that are made columns of: more are hardly meant,
/// and a table of so many columns is of little use.
const MOST_VALUES: usize = 1_000;

/// A value, and the name of its column.
struct Category {
    value: Scalar,
    name: String,
}

impl DataFrame {
    /// A column of conditions for each value of these columns, in their place:
    /// `color_red`, `color_blue`, … behind all others, values in order. Null is no
    /// value: such rows are false in all of them.
    ///
    /// The values are found now, in one pass for each column; see
    /// [`DataFrame::get_dummies_of`] where they are known.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// # let color: ArrayRef = Arc::new(StringArray::from(vec![Some("red"), None, Some("blue")]));
    /// # let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    /// # let batch = RecordBatch::try_from_iter([("color", color), ("id", id)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// assert_eq!(frame.get_dummies(["color"])?.compute()?.to_string(), "\
    /// id  color_blue  color_red
    /// --  ----------  ---------
    /// 1   false       true
    /// 2   false       false
    /// 3   true        false
    /// 3 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names; for more than 1,000
    /// values; for a name that another column has; what reading fails with.
    pub fn get_dummies<I>(&self, columns: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        let found = columns.iter().map(|column| self.categories(column));
        let found = found.collect::<Result<Vec<_>>>()?;
        self.dummies(columns.into_iter().zip(found).collect())
    }

    /// As [`DataFrame::get_dummies`] of one column whose values are known: nothing
    /// is read, and rows with other values are false in all columns.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, for a value that does not
    /// compare with it, and for two columns of one name.
    pub fn get_dummies_of<I>(&self, column: impl Into<String>, values: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<Scalar>,
    {
        self.dummies(vec![(column.into(), given(values)?)])
    }

    fn dummies(&self, columns: Vec<(String, Vec<Category>)>) -> Result<DataFrame> {
        let mut made: Vec<(String, Expr)> = Vec::new();
        for (column, categories) in &columns {
            for category in categories {
                let name = format!("{column}_{}", category.name);
                let twice = made.iter().any(|(known, _)| *known == name);
                if twice || self.known().column_with_name(&name).is_some() {
                    return Err(Error::plan(format!(
                        "there would be two columns {name:?}; rename one before"
                    )));
                }
                made.push((name, col(column).eq(lit(category.value.clone())).is_true()));
            }
        }
        self.with_columns(made)?
            .drop(columns.into_iter().map(|(column, _)| column))
    }

    /// A table of an aggregate: a row for each group of the columns `index`, in
    /// their order, and a column for each value of `columns`. Where there is no
    /// row, the aggregate is null. See [`GroupBy::pivot`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// use windrow::prelude::*;
    /// # fn main() -> windrow::Result<()> {
    /// # let city: ArrayRef = Arc::new(StringArray::from(vec!["Rome", "Oslo", "Rome", "Rome"]));
    /// # let month: ArrayRef = Arc::new(StringArray::from(vec!["may", "may", "june", "may"]));
    /// # let visits: ArrayRef = Arc::new(Int64Array::from(vec![3, 5, 2, 4]));
    /// # let columns = [("city", city), ("month", month), ("visits", visits)];
    /// # let batch = RecordBatch::try_from_iter(columns)?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let table = frame.pivot_table(["city"], "month", col("visits").sum())?;
    /// assert_eq!(table.compute()?.to_string(), "\
    /// city  june  may
    /// ----  ----  ---
    /// Oslo  null  5
    /// Rome  2     7
    /// 2 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`GroupBy::pivot`].
    pub fn pivot_table<I>(
        &self,
        index: I,
        columns: impl AsRef<str>,
        aggregate: impl IntoAggregate,
    ) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: IntoColumn,
    {
        self.groupby(index)?.sort().pivot(columns, aggregate)
    }

    /// How many rows have each pair of values of two columns: a row for each value
    /// of `index`, in their order, and a column for each value of `columns`.
    ///
    /// # Errors
    ///
    /// As [`GroupBy::pivot`].
    pub fn crosstab(&self, index: impl AsRef<str>, columns: impl AsRef<str>) -> Result<DataFrame> {
        let index = index.as_ref();
        let table = self.pivot_table([index], columns, count())?;
        let fields = table.known().fields().iter();
        let counts = fields.filter(|field| field.name() != index);
        table.fillna(counts.map(|field| field.name()), 0)
    }

    /// The values of a column in order, without null, found in one pass.
    fn categories(&self, column: &str) -> Result<Vec<Category>> {
        let distinct = self.unique(column)?.filter(col(column).is_not_null())?;
        let sorted = distinct.sort_values([column])?;
        let named = |name: &str, expr| Named {
            name: name.to_owned(),
            expr,
        };
        let text = col(column).cast(DataType::Utf8);
        let both = vec![named("value", col(column)), named("name", text)];
        let sorted = sorted.limit(MOST_VALUES as u64 + 1);
        let table = sorted.project(Projection::only(both))?.compute()?;
        if table.num_rows() > MOST_VALUES {
            return Err(Error::plan(format!(
                "{column} has more than {MOST_VALUES} values, and each would be a column; \
                 give the values that are wanted, or group by it"
            )));
        }
        let mut found = Vec::new();
        for batch in table.batches() {
            found.extend(categories_of(batch, column)?);
        }
        Ok(found)
    }
}

fn categories_of(batch: &RecordBatch, column: &str) -> Result<Vec<Category>> {
    let names = batch.column(1).as_string::<i32>();
    let of = |row: usize| {
        let value = batch.column(0).slice(row, 1);
        let scalar = Scalar::from_array(&value).ok_or_else(|| {
            let of = value.data_type();
            Error::plan(format!(
                "{column} is {of}: no column can be named by its values"
            ))
        })?;
        Ok(Category {
            value: scalar,
            name: names.value(row).to_owned(),
        })
    };
    (0..names.len()).map(of).collect()
}

/// Values that are given, each named by its text.
fn given<I>(values: I) -> Result<Vec<Category>>
where
    I: IntoIterator,
    I::Item: Into<Scalar>,
{
    let values: Vec<Scalar> = values.into_iter().map(Into::into).collect();
    let texts = typed_array(&values, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>().iter();
    let of = |(value, text): (Scalar, Option<&str>)| match text {
        Some(text) => Ok(Category {
            value,
            name: text.to_owned(),
        }),
        None => Err(Error::plan("null is no value that a column is made of")),
    };
    values.into_iter().zip(texts).map(of).collect()
}

impl GroupBy {
    /// One row for each group, with a column for each value of the column
    /// `columns`, in order: the aggregate of the rows of the group that have it;
    /// null where there are none. Rows where `columns` is null are in no column.
    ///
    /// Rows are read and aggregated now, in one pass, and what comes of them is
    /// kept (see [`DataFrame::persist`]): only that tells which values there are.
    /// [`GroupBy::pivot_of`] reads nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names; for types that cannot be
    /// aggregated so; for more than 1,000 values; for two columns of one name; what
    /// reading fails with.
    pub fn pivot(
        &self,
        columns: impl AsRef<str>,
        aggregate: impl IntoAggregate,
    ) -> Result<DataFrame> {
        let cells = self.cells(columns.as_ref(), aggregate)?.persist()?;
        let categories = cells.categories(VALUE)?;
        self.spread(&cells, &categories)
    }

    /// As [`GroupBy::pivot`], of values that are known, in this order; other ones
    /// are in no column.
    ///
    /// # Errors
    ///
    /// As [`GroupBy::pivot`], but nothing is read; for a value that does not compare
    /// with those of `columns`.
    pub fn pivot_of<I>(
        &self,
        columns: impl AsRef<str>,
        values: I,
        aggregate: impl IntoAggregate,
    ) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<Scalar>,
    {
        let cells = self.cells(columns.as_ref(), aggregate)?;
        self.spread(&cells, &given(values)?)
    }

    /// A row for each group and value: keys, the value, the aggregate.
    fn cells(&self, columns: &str, aggregate: impl IntoAggregate) -> Result<DataFrame> {
        let mut by = self.clone();
        for key in [VALUE, CELL] {
            if by.keys.iter().any(|known| known.name == key) {
                return Err(Error::plan(format!(
                    "no key of a pivot can be called {key:?}"
                )));
            }
        }
        let value = col(columns);
        value.bind(by.frame.known())?;
        by.keys.push(Named {
            name: VALUE.to_owned(),
            expr: value,
        });
        // Of a key, null is a group; of values, it is none: that is seen to later.
        by.dropna = false;
        let keys = self.keys.iter().map(|key| key.expr.clone().is_not_null());
        if let Some(present) = keys.reduce(Expr::and).filter(|_| self.dropna) {
            by.frame = by.frame.filter(present)?;
        }
        by.unsorted().agg([aggregate.into_aggregate()?.alias(CELL)])
    }

    /// One row for each group of cells, a column for each value.
    fn spread(&self, cells: &DataFrame, categories: &[Category]) -> Result<DataFrame> {
        let cell = |category: &Category| {
            let own = when(col(VALUE).eq(lit(category.value.clone()))).then(col(CELL));
            // There is at most one.
            AggExpr::new(Aggregate::First, [own.into()]).alias(&category.name)
        };
        let keys = self.keys.iter().map(|key| key.name.as_str());
        let by = cells.groupby(keys)?;
        let by = if self.is_sorted() { by.sort() } else { by };
        by.agg(categories.iter().map(cell).collect::<Vec<_>>())
    }
}

/// The columns of cells beside keys.
const VALUE: &str = "pivoted value";
const CELL: &str = "pivoted cell";
