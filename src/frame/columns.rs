//! Columns of a frame: chosen, computed, renamed, cast, filled.
//!
//! In:  names and expressions.
//! Out: a frame with one projection more; names and types are checked at once.
//!
//! All expressions of one call see the columns that the frame had before it.

use arrow_schema::DataType;

use super::dataframe::DataFrame;
use crate::error::Result;
use crate::expr::{Expr, IntoExpr, Named, Projection, Scalar, call, col, lit};

/// What can stand for a column in [`DataFrame::select`]: a name, or an
/// expression, which is named by its alias or its text.
pub trait IntoColumn {
    /// The expression that gives the column.
    fn into_column(self) -> Expr;
}

impl IntoColumn for Expr {
    fn into_column(self) -> Expr {
        self
    }
}

impl IntoColumn for &Expr {
    fn into_column(self) -> Expr {
        self.clone()
    }
}

impl IntoColumn for &str {
    fn into_column(self) -> Expr {
        col(self)
    }
}

impl IntoColumn for String {
    fn into_column(self) -> Expr {
        col(self)
    }
}

impl IntoColumn for &String {
    fn into_column(self) -> Expr {
        col(self.as_str())
    }
}

/// Which rows [`DataFrame::dropna`] leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum How {
    /// Rows where any of the columns is null.
    #[default]
    Any,
    /// Rows where all of the columns are null.
    All,
}

impl DataFrame {
    /// These columns, in this order: names, or expressions, each of which is
    /// named by its alias or its text. Columns that are only chosen or renamed
    /// go on widening while text is read; computed ones have the type that is known now.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// use windrow::prelude::*;
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let doubled = frame.select([col("n"), (col("n") * 2).alias("twice")])?;
    /// assert_eq!(doubled.compute()?.to_string(), "\
    /// n  twice
    /// -  -----
    /// 0  0
    /// 1  2
    /// 2  4
    /// 3 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names; for a name that
    /// comes twice; for types that do not meet.
    pub fn select<I>(&self, columns: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: IntoColumn,
    {
        let named = columns.into_iter().map(|column| {
            let expr = column.into_column();
            Named {
                name: expr.output_name(),
                expr,
            }
        });
        self.project(Projection::only(named.collect()))
    }

    /// All columns, and one more; it takes the place of one of the same name.
    /// Columns of text that come late still pass.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::select`]; also for text that does not parse.
    pub fn with_column(&self, name: impl Into<String>, expr: impl IntoExpr) -> Result<DataFrame> {
        self.with_columns([(name, expr)])
    }

    /// All columns, and these: name, expression. All see the columns as they are
    /// now, not each other.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::with_column`].
    pub fn with_columns<N, E>(&self, columns: impl IntoIterator<Item = (N, E)>) -> Result<DataFrame>
    where
        N: Into<String>,
        E: IntoExpr,
    {
        let named = columns.into_iter().map(|(name, expr)| {
            Ok(Named {
                name: name.into(),
                expr: expr.into_expr()?,
            })
        });
        self.project(Projection::with(named.collect::<Result<_>>()?))
    }

    /// All columns but these.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names.
    pub fn drop<I>(&self, columns: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let names = columns.into_iter().map(Into::into).collect();
        self.project(Projection::without(names))
    }

    /// Other names for columns: from, to; all at once, so that two can be exchanged.
    /// Places, types and what is known of how rows lie stay.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names, or two columns of
    /// one name. A column of text that comes late under a name given here is an error of the run.
    pub fn rename<F, T>(&self, names: impl IntoIterator<Item = (F, T)>) -> Result<DataFrame>
    where
        F: Into<String>,
        T: Into<String>,
    {
        let pairs = names.into_iter().map(|(from, to)| (from.into(), to.into()));
        self.project(Projection::renamed(pairs.collect()))
    }

    /// Columns as other types; a value that does not fit ends the run with an
    /// error that says where it stands.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names, or a type that
    /// its values can never have.
    pub fn cast<N: Into<String>>(
        &self,
        types: impl IntoIterator<Item = (N, DataType)>,
    ) -> Result<DataFrame> {
        self.change_each(types, |column, to| column.cast(to))
    }

    /// Columns as other types; null where a value does not fit.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::cast`].
    pub fn try_cast<N: Into<String>>(
        &self,
        types: impl IntoIterator<Item = (N, DataType)>,
    ) -> Result<DataFrame> {
        self.change_each(types, |column, to| column.try_cast(to))
    }

    /// A value in place of the nulls of some columns.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names, or a value that
    /// cannot stand beside those of a column.
    pub fn fillna<I>(&self, columns: I, value: impl Into<Scalar>) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let value = lit(value);
        let filled = columns.into_iter().map(|name| (name, value.clone()));
        self.change_each(filled, |column, value| call("coalesce", [column, value]))
    }

    /// The rows without those where any, or all, of these columns are null; of no
    /// names, all columns that are known now.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names.
    pub fn dropna<I>(&self, subset: I, how: How) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut names: Vec<String> = subset.into_iter().map(Into::into).collect();
        if names.is_empty() {
            let schema = self.known();
            names = schema.fields().iter().map(|f| f.name().clone()).collect();
        }
        let present = names.into_iter().map(|name| col(name).is_not_null());
        let kept = match how {
            How::Any => present.reduce(Expr::and),
            How::All => present.reduce(Expr::or),
        };
        // Rows without columns have no nulls.
        kept.map_or_else(|| Ok(self.clone()), |kept| self.filter(kept))
    }

    /// The columns whose types are wanted, in their order; those that come late
    /// with text are not among them.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
    /// # let s: ArrayRef = Arc::new(StringArray::from(vec!["a"; 3]));
    /// # let batch = RecordBatch::try_from_iter([("n", n), ("s", s)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let numbers = frame.select_dtypes(|data_type| data_type.is_numeric())?;
    /// assert_eq!(numbers.schema()?.fields().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// None for a frame that could be built.
    pub fn select_dtypes(&self, wanted: impl Fn(&DataType) -> bool) -> Result<DataFrame> {
        let fields = self.known().fields().iter();
        let wanted = fields.filter(|field| wanted(field.data_type()));
        self.select(wanted.map(|field| field.name()))
    }

    /// Every column that is known now under its name with `prefix` before it.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::rename`].
    pub fn add_prefix(&self, prefix: impl AsRef<str>) -> Result<DataFrame> {
        self.rename_all(|name| format!("{}{name}", prefix.as_ref()))
    }

    /// Every column that is known now under its name with `suffix` behind it.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::rename`].
    pub fn add_suffix(&self, suffix: impl AsRef<str>) -> Result<DataFrame> {
        self.rename_all(|name| format!("{name}{}", suffix.as_ref()))
    }

    fn rename_all(&self, change: impl Fn(&str) -> String) -> Result<DataFrame> {
        let names = self.known().fields().iter().map(|field| field.name());
        self.rename(names.map(|name| (name, change(name))))
    }

    /// Replaces columns, each by what `change` makes of it.
    fn change_each<N: Into<String>, T>(
        &self,
        columns: impl IntoIterator<Item = (N, T)>,
        change: impl Fn(Expr, T) -> Expr,
    ) -> Result<DataFrame> {
        let schema = self.known();
        let named = columns.into_iter().map(|(name, how)| {
            let name = name.into();
            if schema.column_with_name(&name).is_none() {
                return Err(crate::expr::unknown_column(&name, schema));
            }
            let expr = change(col(&name), how);
            Ok(Named { name, expr })
        });
        self.project(Projection::with(named.collect::<Result<_>>()?))
    }
}

/// A name near `wanted` that none is that is taken.
pub(super) fn free_name(wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut name = wanted.to_owned();
    while is_taken(&name) {
        name.push('_');
    }
    name
}
