//! All rows folded into a few: groups, counts of values, best rows, statistics.
//!
//! In:  aggregates of expressions; names of columns.
//! Out: frames; names and types are checked at once.
//!
//! The input is read once, whatever is asked of it, and only the columns that
//! are looked at. What is folded is held under the budget; groups by keys are
//! spilled past it.

use arrow_schema::SchemaRef;

use super::columns::IntoColumn;
use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::expr::{AggExpr, Expr, Named, Projection, Scalar, col, count, output_names};
use crate::ops::SortBy;
use crate::plan::{Fold, Logical, TopCall};

/// What can stand for an aggregate in [`DataFrame::agg`]: one, or its text.
pub trait IntoAggregate {
    /// The aggregate.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for text that does not parse; it says where.
    fn into_aggregate(self) -> Result<AggExpr>;
}

impl IntoAggregate for AggExpr {
    fn into_aggregate(self) -> Result<AggExpr> {
        Ok(self)
    }
}

impl IntoAggregate for &AggExpr {
    fn into_aggregate(self) -> Result<AggExpr> {
        Ok(self.clone())
    }
}

impl IntoAggregate for &str {
    fn into_aggregate(self) -> Result<AggExpr> {
        AggExpr::parse(self)
    }
}

/// Rows by the values of some columns; [`GroupBy::agg`] says what is made of each group.
#[derive(Clone)]
pub struct GroupBy {
    pub(super) frame: DataFrame,
    pub(super) keys: Vec<Named>,
    pub(super) dropna: bool,
    sort: bool,
}

impl GroupBy {
    /// Leaves out rows where a key is null; otherwise null is a group.
    #[must_use]
    pub fn dropna(mut self) -> Self {
        self.dropna = true;
        self
    }

    /// Puts groups in the order of their keys, nulls last; otherwise they stand
    /// in the order in which they first appear.
    #[must_use]
    pub fn sort(mut self) -> Self {
        self.sort = true;
        self
    }

    /// Whether groups are put in the order of their keys.
    pub(super) fn is_sorted(&self) -> bool {
        self.sort
    }

    /// The same groups in the order in which they first appear.
    pub(super) fn unsorted(mut self) -> Self {
        self.sort = false;
        self
    }

    /// One row for each group: its keys, then the aggregates. Groups stand in
    /// the order in which they first appear in the input, unless
    /// [`GroupBy::sort`] is asked for. Past the memory budget they are spilled;
    /// many come out in several partitions. A result is named as
    /// its column, or by its text where two would have one name; see [`output_names`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// use windrow::prelude::*;
    /// # fn main() -> windrow::Result<()> {
    /// # let user: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "b"]));
    /// # let bytes: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    /// # let batch = RecordBatch::try_from_iter([("user", user), ("bytes", bytes)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let by_user = frame.groupby(["user"])?.agg([col("bytes").sum(), count()])?;
    /// assert_eq!(by_user.compute()?.to_string(), "\
    /// user  bytes  count
    /// ----  -----  -----
    /// b     4      2
    /// a     2      1
    /// 2 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names; for types that
    /// cannot be aggregated so; for two results of one name.
    pub fn agg<I>(&self, aggregates: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: IntoAggregate,
    {
        let aggregates = aggregates.into_iter().map(IntoAggregate::into_aggregate);
        let aggregates = aggregates.collect::<Result<Vec<_>>>()?;
        for aggregate in &aggregates {
            aggregate.bind(self.frame.known())?;
        }
        let keys: Vec<String> = self.keys.iter().map(|key| key.name.clone()).collect();
        let names = output_names(&aggregates, &keys);
        let mut arguments = Arguments::of(self.keys.clone());
        let aggregates = aggregates.iter().zip(names).map(|(aggregate, name)| {
            let args = aggregate.args().iter().map(|arg| arguments.column(arg));
            let column = aggregate.with_args(args.collect());
            // The name stands in its text only where it is another one than its own.
            let named = match output_names(std::slice::from_ref(&column), &keys) == [name.clone()] {
                true => column,
                false => column.alias(&name),
            };
            (name, named)
        });
        let aggregates = aggregates.collect();
        let mut frame = arguments.put_before(&self.frame)?;
        if self.dropna {
            for key in &keys {
                frame = frame.filter(col(key).is_not_null())?;
            }
        }
        let by = keys.clone();
        let groups = frame.fold(Fold::Groups { keys, aggregates })?;
        match self.sort {
            true => groups.sort_values(by.iter().map(String::as_str)),
            false => Ok(groups),
        }
    }

    /// How many rows each group has, as the column `count`.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if a key has that name.
    pub fn size(&self) -> Result<DataFrame> {
        self.agg([count().alias("count")])
    }
}

/// The columns that a fold looks at.
struct Arguments {
    columns: Vec<Named>,
}

impl Arguments {
    fn of(keys: Vec<Named>) -> Self {
        Arguments { columns: keys }
    }

    /// The column of an expression, under a name that no other one has.
    fn column(&mut self, expr: &Expr) -> Expr {
        let own = expr.output_name();
        let mut name = own.clone();
        let mut tried = 1;
        loop {
            match self.columns.iter().find(|column| column.name == name) {
                Some(column) if column.expr == *expr => break,
                Some(_) => {
                    tried += 1;
                    name = format!("{own} {tried}");
                }
                None => {
                    let expr = expr.clone();
                    self.columns.push(Named {
                        name: name.clone(),
                        expr,
                    });
                    break;
                }
            }
        }
        col(name)
    }

    /// The frame with these columns: as it is, if it has all of them.
    fn put_before(self, frame: &DataFrame) -> Result<DataFrame> {
        let there =
            |column: &Named| matches!(&column.expr, Expr::Column(name) if *name == column.name);
        match self.columns.iter().all(there) {
            true => Ok(frame.clone()),
            false => frame.project(Projection::only(self.columns)),
        }
    }
}

impl DataFrame {
    /// All rows by the values of some columns, or expressions. Null is a group,
    /// unless [`GroupBy::dropna`] is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, or no key.
    pub fn groupby<I>(&self, keys: I) -> Result<GroupBy>
    where
        I: IntoIterator,
        I::Item: IntoColumn,
    {
        let named = keys.into_iter().map(|key| {
            let expr = key.into_column();
            Named {
                name: expr.output_name(),
                expr,
            }
        });
        let keys: Vec<Named> = named.collect();
        if keys.is_empty() {
            return Err(Error::plan(
                "there is no key to group by; agg takes all rows as one",
            ));
        }
        for key in &keys {
            key.expr.bind(self.known())?;
        }
        Ok(GroupBy {
            frame: self.clone(),
            keys,
            dropna: false,
            sort: false,
        })
    }

    /// All rows as one: a frame of one row, also where there are none. The input
    /// is read once for all aggregates.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// use windrow::prelude::*;
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let all = frame.agg([col("n").sum(), col("n").max(), count()])?;
    /// assert_eq!(all.compute()?.to_string(), "\
    /// sum(n)  max(n)  count
    /// ------  ------  -----
    /// 45      9       10
    /// 1 row");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`GroupBy::agg`].
    pub fn agg<I>(&self, aggregates: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: IntoAggregate,
    {
        GroupBy {
            frame: self.clone(),
            keys: Vec::new(),
            dropna: false,
            sort: false,
        }
        .agg(aggregates)
    }

    /// The distinct values of some columns and, as `count`, how many rows have
    /// them: most first, equal counts in order of first appearance. Null is a value.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, or one that comes twice.
    pub fn value_counts<I>(&self, columns: I) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        if columns.is_empty() {
            return Err(Error::plan("there is no column to count the values of"));
        }
        let name = output_names(&[count()], &columns).remove(0);
        let counts = self.fold(Fold::counts(columns))?;
        counts.sort_values([SortBy::descending(name)])
    }

    /// The `rows` rows with the largest values of a column, largest first; equal
    /// ones in input order, nulls last. No more than about twice as many are held; where
    /// that would be more than some 8 MiB, rows are sorted and may spill.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names.
    pub fn nlargest(&self, rows: usize, by: impl Into<String>) -> Result<DataFrame> {
        let by = vec![SortBy::descending(by)];
        let call = TopCall::Largest;
        self.fold(Fold::TopRows { rows, by, call })
    }

    /// The `rows` rows with the smallest values of a column, smallest first;
    /// otherwise as [`DataFrame::nlargest`].
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names.
    pub fn nsmallest(&self, rows: usize, by: impl Into<String>) -> Result<DataFrame> {
        let by = vec![SortBy::ascending(by)];
        let call = TopCall::Smallest;
        self.fold(Fold::TopRows { rows, by, call })
    }

    /// A table of statistics of the columns that are known now: counts, mean,
    /// standard deviation, least, quartiles, most, distinct and most frequent texts.
    /// Numbers are `Float64`, all else is text. Quartiles are values that are there to
    /// within 0.4 %, the lower one where they lie between two: [`DataFrame::quantile`] is
    /// exact, and between the two in proportion.
    ///
    /// # Errors
    ///
    /// None for a frame that could be built.
    pub fn describe(&self) -> Result<DataFrame> {
        let fields = self.known().fields().iter();
        let columns = fields.map(|field| field.name().clone()).collect();
        self.fold(Fold::Describe { columns })
    }

    /// One aggregate of all rows, computed now.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::Session;
    /// use windrow::expr::{Scalar, col};
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// assert_eq!(frame.value(col("n").sum())?, Scalar::Int64(45));
    /// assert_eq!(frame.value("median(n)")?, Scalar::Float64(4.5));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DataFrame::agg`] and [`DataFrame::compute`]; [`Error::Plan`] for a
    /// result that is no [`Scalar`], such as a list.
    pub fn value(&self, aggregate: impl IntoAggregate) -> Result<Scalar> {
        let aggregate = aggregate.into_aggregate()?;
        let text = aggregate.to_string();
        let table = self.agg([aggregate])?.compute()?;
        let value = table.batches().next().map(|batch| batch.column(0));
        let value = value.ok_or_else(|| Error::internal("an aggregate of all rows gave no row"))?;
        Scalar::from_array(value).ok_or_else(|| {
            let of = value.data_type();
            Error::plan(format!(
                "{text} is {of}, which is more than one value; take it with agg"
            ))
        })
    }

    /// How many different values a column has, null left out.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::value`].
    pub fn nunique(&self, column: impl AsRef<str>) -> Result<u64> {
        self.counted(col(column.as_ref()).nunique())
    }

    /// About how many different values a column has: the standard error is 1.6 %,
    /// in constant memory.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::value`].
    pub fn approx_nunique(&self, column: impl AsRef<str>) -> Result<u64> {
        self.counted(col(column.as_ref()).approx_nunique())
    }

    /// The value below which a share `q` of the values of a column lies; null
    /// without values. Holds all of them, past the memory budget on disk.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::value`].
    pub fn quantile(&self, column: impl AsRef<str>, q: f64) -> Result<Scalar> {
        self.value(col(column.as_ref()).quantile(q))
    }

    fn counted(&self, aggregate: AggExpr) -> Result<u64> {
        match self.value(aggregate)? {
            Scalar::Int64(n) => u64::try_from(n)
                .map_err(|_| Error::internal(format!("{n} different values were counted"))),
            other => Err(Error::internal(format!("{other} is no count"))),
        }
    }

    /// One fold more, checked.
    fn fold(&self, fold: Fold) -> Result<DataFrame> {
        let schema = fold.schema(self.known())?;
        let plan = Logical::Aggregate {
            input: self.input(),
            fold,
            schema: SchemaRef::clone(&schema),
        };
        Ok(DataFrame::new(self.session().clone(), plan, schema))
    }
}
