//! Aggregates that a program brings along.
//!
//! In:  a [`UserAggregate`]: what it is called, gives, and keeps per group.
//! Out: an aggregate like all others: it has partials, which are merged,
//!      shuffled and spilled.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::state::{Groups, State};
use crate::error::{Error, Result};

/// An aggregate of a program's own, for [`AggExpr::user`](super::AggExpr::user).
///
/// ```
/// use std::sync::Arc;
/// use windrow::arrow::array::cast::AsArray;
/// use windrow::arrow::array::types::Int64Type;
/// use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use windrow::arrow::schema::DataType;
/// use windrow::expr::{AggExpr, Groups, UserAggregate, UserState, col};
/// use windrow::{Result, Session};
///
/// /// The bits that any value has.
/// #[derive(Debug)]
/// struct BitOr;
///
/// impl UserAggregate for BitOr {
///     fn name(&self) -> &str {
///         "bit_or"
///     }
///     fn result_type(&self, _args: &[DataType]) -> Result<DataType> {
///         Ok(DataType::Int64)
///     }
///     fn n_partial_columns(&self) -> usize {
///         1
///     }
///     fn is_order_free(&self) -> bool {
///         true
///     }
///     fn state(&self, _args: &[DataType]) -> Result<Box<dyn UserState>> {
///         Ok(Box::new(Bits(Vec::new())))
///     }
/// }
///
/// struct Bits(Vec<i64>);
///
/// impl UserState for Bits {
///     fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
///         self.0.resize(groups.n_groups(), 0);
///         let values = columns[0].as_primitive::<Int64Type>();
///         groups.for_valid(values.nulls(), |row, group| self.0[group] |= values.value(row));
///         Ok(())
///     }
///     // A partial is a value for each group, so it is taken in like rows.
///     fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
///         self.update(groups, partial)
///     }
///     fn partial(&mut self, n_groups: usize) -> Result<Vec<ArrayRef>> {
///         Ok(vec![self.finish(n_groups)?])
///     }
///     fn finish(&mut self, n_groups: usize) -> Result<ArrayRef> {
///         self.0.resize(n_groups, 0);
///         Ok(Arc::new(Int64Array::from(std::mem::take(&mut self.0))))
///     }
///     fn bytes(&self) -> usize {
///         8 * self.0.capacity()
///     }
/// }
/// # use windrow::arrow::array::Array;
///
/// # fn main() -> Result<()> {
/// let n: ArrayRef = Arc::new(Int64Array::from(vec![1, 4, 5]));
/// let batch = RecordBatch::try_from_iter([("n", n)])?;
/// let frame = Session::default().from_batches(batch.schema(), [batch])?;
/// let bits = AggExpr::user(Arc::new(BitOr), [col("n")]);
/// assert_eq!(frame.value(bits)?, windrow::expr::Scalar::Int64(5));
/// # Ok(())
/// # }
/// ```
pub trait UserAggregate: Debug + Send + Sync {
    /// What it is called in plans, errors and names of results.
    fn name(&self) -> &str;

    /// The type of the result for arguments of these types.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for arguments that it does not take.
    fn result_type(&self, args: &[DataType]) -> Result<DataType>;

    /// How many columns a partial has; at least one.
    fn n_partial_columns(&self) -> usize;

    /// Whether rows may be taken in, and partials merged, in any order, with the
    /// same result bit by bit. Then many threads take in rows side by side.
    fn is_order_free(&self) -> bool {
        false
    }

    /// What keeps groups that have seen nothing, for arguments of these types.
    ///
    /// # Errors
    ///
    /// Those of the implementation.
    fn state(&self, args: &[DataType]) -> Result<Box<dyn UserState>>;
}

/// What an aggregate of a program's own keeps, for any number of groups.
pub trait UserState: Send {
    /// Takes in the rows of a batch, a column for each argument, in the types
    /// that the state was made for. There may be more groups than before.
    ///
    /// # Errors
    ///
    /// Those of the implementation; they end the run.
    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()>;

    /// Takes in what [`partial`](UserState::partial) of another state gave, row by row.
    ///
    /// # Errors
    ///
    /// Those of the implementation; they end the run.
    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()>;

    /// All there is, as columns with a row for each of the `n_groups` groups,
    /// some of which may have seen no row. The state is empty after it.
    ///
    /// # Errors
    ///
    /// Those of the implementation; they end the run.
    fn partial(&mut self, n_groups: usize) -> Result<Vec<ArrayRef>>;

    /// The result of each of the `n_groups` groups. The state is empty after it.
    ///
    /// # Errors
    ///
    /// Those of the implementation; they end the run.
    fn finish(&mut self, n_groups: usize) -> Result<ArrayRef>;

    /// Bytes held, for the budget.
    fn bytes(&self) -> usize;
}

/// One that an expression holds. Two are equal if they are the same one.
#[derive(Debug, Clone)]
pub(super) struct User(pub Arc<dyn UserAggregate>);

impl PartialEq for User {
    fn eq(&self, other: &User) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// One at work: what it gives is checked.
pub(super) struct Guarded {
    user: User,
    args: Vec<DataType>,
    result: DataType,
    state: Box<dyn UserState>,
    n_groups: usize,
}

impl Guarded {
    pub fn try_new(user: User, args: Vec<DataType>, result: DataType) -> Result<Self> {
        Ok(Guarded {
            state: user.0.state(&args)?,
            user,
            args,
            result,
            n_groups: 0,
        })
    }

    /// Calls the state. Its errors name the aggregate, and its panics are such.
    fn call<T>(&mut self, call: impl FnOnce(&mut dyn UserState) -> Result<T>) -> Result<T> {
        let task = || format!("the aggregate {}", self.user.0.name());
        Error::guarded(task, || call(&mut *self.state)).map_err(|error| match error {
            panic @ Error::Panic { .. } => panic,
            error => Error::of_task(task(), error),
        })
    }

    fn wrong(&self, what: &str) -> Error {
        Error::plan(format!("{} gave {what}", self.user.0.name()))
    }
}

impl State for Guarded {
    fn grow(&mut self, n_groups: usize) {
        self.n_groups = self.n_groups.max(n_groups);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let columns = columns.iter().zip(&self.args);
        // A batch of text may type a column otherwise than the plan knew.
        let columns = columns.map(|(column, of)| match column.data_type() == of {
            true => Ok(Arc::clone(column)),
            false => Ok(cast(column, of)?),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        self.call(|state| state.update(groups, &columns))
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        self.call(|state| state.merge(groups, partial))
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let n_groups = std::mem::take(&mut self.n_groups);
        let columns = self.call(|state| state.partial(n_groups))?;
        if columns.len() != self.user.0.n_partial_columns() {
            return Err(self.wrong(&format!("a partial of {} columns", columns.len())));
        }
        match columns.iter().find(|column| column.len() != n_groups) {
            Some(odd) => Err(self.wrong(&format!("{} rows for {n_groups} groups", odd.len()))),
            None => Ok(columns),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let n_groups = std::mem::take(&mut self.n_groups);
        let column = self.call(|state| state.finish(n_groups))?;
        if column.len() != n_groups {
            return Err(self.wrong(&format!("{} results for {n_groups} groups", column.len())));
        }
        if *column.data_type() != self.result {
            let of = column.data_type();
            return Err(self.wrong(&format!("{of}, not {}, which it declared", self.result)));
        }
        Ok(column)
    }

    fn bytes(&self) -> usize {
        self.state.bytes()
    }
}
