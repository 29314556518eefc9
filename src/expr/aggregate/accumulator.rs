//! One aggregate at work: batches in, partials in and out, one column out.
//!
//! In:  batches with the group of each row, or partials of other accumulators.
//! Out: partials, or a result for each group.
//!
//! Values reach the state in the type it holds. A batch of JSON may type a
//! column wider than the plan knew; then what the state holds is turned into
//! the wider type through its own partial.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, new_null_array};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DECIMAL128_MAX_PRECISION, DataType};

use super::bind::{BoundAggregate, Input};
use super::state::{Groups, State, lists};
use crate::cancel::check;
use crate::error::{Error, Result};
use crate::expr::convert::{Class, Times, Value};
use crate::expr::group_table::plain_type;
use crate::expr::number::{Num, Numbers};
use crate::expr::text::texts;
use crate::expr::unify::{common_type, unify};

/// One aggregate of any number of groups.
///
/// ```
/// use std::sync::Arc;
/// use windrow::arrow::array::{Int64Array, RecordBatch};
/// use windrow::expr::{Groups, col};
///
/// let bytes = Arc::new(Int64Array::from(vec![Some(5), None, Some(7)])) as _;
/// let batch = RecordBatch::try_from_iter([("bytes", bytes)])?;
/// let sum = col("bytes").sum().bind(&batch.schema())?;
///
/// let mut part = sum.accumulator()?;
/// part.update(Groups::of(&[0, 1, 0], 2), &batch)?;
/// let mut whole = sum.accumulator()?;
/// whole.merge(Groups::of(&[0, 1], 2), &part.partial()?)?;
/// let expected = Int64Array::from(vec![Some(12), None]);
/// assert_eq!(whole.finish()?.as_ref(), &expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Accumulator {
    bound: BoundAggregate,
    state: Box<dyn State>,
    value_type: DataType,
    n_groups: usize,
}

impl Accumulator {
    pub(super) fn try_new(bound: BoundAggregate) -> Result<Self> {
        let value_type = bound.held_type(&bound.value_type);
        Ok(Accumulator {
            state: bound.state(&value_type)?,
            value_type,
            n_groups: 0,
            bound,
        })
    }

    /// Makes room for groups that may have no rows: their counts are 0, other
    /// results null.
    pub fn grow(&mut self, n_groups: usize) {
        self.n_groups = self.n_groups.max(n_groups);
        self.state.grow(n_groups);
    }

    /// Takes in a batch whose rows come behind all rows so far.
    ///
    /// # Errors
    ///
    /// Those of evaluating the expression, and [`Error::Plan`] for a column
    /// whose type in this batch does not meet the one before.
    pub fn update(&mut self, groups: Groups<'_>, batch: &RecordBatch) -> Result<()> {
        let columns = self.bound.evaluate(batch)?;
        self.update_columns(groups, &columns)
    }

    /// As [`update`](Self::update), of columns that [`BoundAggregate::evaluate`] gave.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a column whose type does not meet the one before.
    pub fn update_columns(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.n_groups = self.n_groups.max(groups.n_groups());
        let taken = columns
            .iter()
            .map(|column| self.take_in(column))
            .collect::<Result<Vec<_>>>()?;
        self.state.update(groups, &taken)
    }

    /// Takes in a partial, row by row, whose input comes behind all rows so far.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if it holds values of a type that does not meet the one here.
    pub fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        check()?;
        self.n_groups = self.n_groups.max(groups.n_groups());
        let mut partial = partial.to_vec();
        if self.holds_values() {
            let values = self.values_of(&partial[0]);
            if *values.data_type() != self.value_type {
                self.widen(&values)?;
                partial[0] = self.with_values(&partial[0], &self.value_type)?;
            }
        }
        self.state.merge(groups, &partial)
    }

    /// All there is as columns with a row for each group, for spilling and
    /// shuffling. The accumulator is empty after it.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if lists or texts are too large for one array.
    pub fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        check()?;
        self.n_groups = 0;
        self.state.partial()
    }

    /// The result of each group. The accumulator is empty after it.
    ///
    /// # Errors
    ///
    /// [`Error::External`] if a whole number does not fit its type; [`Error::Plan`] if
    /// lists or texts are too large for one array.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        check()?;
        self.n_groups = 0;
        self.state.finish()
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> usize {
        self.state.bytes()
    }

    /// Whether the state holds values of `value_type`, first in its partial.
    fn holds_values(&self) -> bool {
        matches!(self.bound.input, Input::Ordered | Input::Kept) && !self.sums()
    }

    /// Whether values are added up, so that none of them is kept.
    fn sums(&self) -> bool {
        use super::ast::Aggregate::{Mean, Sum};
        matches!(self.bound.what, Sum | Mean)
    }

    /// A column as the state takes it.
    fn take_in(&mut self, column: &ArrayRef) -> Result<ArrayRef> {
        let column = match plain_type(column.data_type().clone()) {
            plain if plain == *column.data_type() => Arc::clone(column),
            plain => cast(column, &plain)?,
        };
        Ok(match self.bound.input {
            Input::Any => column,
            Input::Bools => Arc::new(Value::rows(column).bools()?),
            Input::Bits => cast(&Value::rows(column).bools()?, &DataType::Int64)?,
            Input::Floats => Arc::new(Numbers::of(&column)?.to_floats()),
            Input::Ordered | Input::Kept => {
                let column = match self.bound.input {
                    Input::Ordered => self.by_value(column)?,
                    _ => column,
                };
                if *column.data_type() != self.value_type && !self.sums() {
                    self.widen(&column)?;
                }
                in_type(&column, &self.value_type)?
            }
        })
    }

    /// The values that have a place in the order of the type at bind.
    fn by_value(&self, column: ArrayRef) -> Result<ArrayRef> {
        let wanted = &self.bound.value_type;
        let of = column.data_type();
        if of == wanted && !of.is_floating() || *of == self.value_type && !of.is_floating() {
            return Ok(column);
        }
        Ok(match (Class::of(wanted), Class::of(of)) {
            (_, Class::Null) | (Class::Null, _) => column,
            (Class::Number, Class::Number) => one_nan(column),
            (Class::Number, _) => match Numbers::of(&column)? {
                Numbers::Int(array) => Arc::new(array),
                _ => exact_floats(&column)?,
            },
            (Class::Text, _) => Arc::new(texts(&column)?),
            (Class::Bool, _) => Arc::new(Value::rows(column).bools()?),
            (Class::Time, _) => Times::of(&column)?.to_array(wanted),
            _ => column,
        })
    }

    /// Makes the state hold a type that takes in `values` too.
    fn widen(&mut self, values: &ArrayRef) -> Result<()> {
        let (own, of) = (&self.value_type, values.data_type());
        let common = common_type(own, of).ok_or_else(|| {
            Error::plan(format!(
                "{}: its values are {own} in some rows and {of} in others",
                self.bound.text
            ))
        })?;
        if common == *own {
            return Ok(());
        }
        let n_groups = self.n_groups;
        let mut partial = self.state.partial()?;
        let mut to = common;
        if self.bound.input == Input::Kept {
            // Whether whole numbers can stand among fractions depends on their values.
            let held = self.values_of(&partial[0]);
            to = unify(&[held, Arc::clone(values)], &to)?[0]
                .data_type()
                .clone();
        }
        partial[0] = self.with_values(&partial[0], &to)?;
        self.state = self.bound.state(&to)?;
        self.value_type = to;
        let ids: Vec<u32> = (0..partial[0].len() as u32).collect();
        self.state.merge(Groups::of(&ids, ids.len()), &partial)?;
        self.state.grow(n_groups);
        Ok(())
    }

    /// The lists of a partial, where the values are in lists.
    fn lists_of<'a>(&self, partial: &'a ArrayRef) -> Option<&'a ListArray> {
        use super::ast::Aggregate::{Largest, List, Smallest};
        match self.bound.what {
            List | Largest(_) | Smallest(_) => partial.as_list_opt(),
            _ => None,
        }
    }

    /// The values in a partial, whatever group they are of.
    fn values_of(&self, partial: &ArrayRef) -> ArrayRef {
        match self.lists_of(partial) {
            Some(lists) => Arc::clone(lists.values()),
            None => Arc::clone(partial),
        }
    }

    /// A partial with its values in another type.
    fn with_values(&self, partial: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
        match self.lists_of(partial) {
            Some(of) => {
                let values = in_type(of.values(), to)?;
                Ok(Arc::new(lists(values, of.offsets().clone())))
            }
            None => in_type(partial, to),
        }
    }
}

/// A column in a type that was found to take its values.
fn in_type(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    if *column.data_type() == DataType::Null {
        return Ok(new_null_array(to, column.len()));
    }
    if let (DataType::Decimal128(_, scale), DataType::Decimal128(all, wanted)) =
        (column.data_type(), to)
        && scale == wanted
        && *all == DECIMAL128_MAX_PRECISION
    {
        let decimals = column.as_primitive::<Decimal128Type>().clone();
        return Ok(Arc::new(decimals.with_data_type(to.clone())));
    }
    if column.data_type().is_decimal() && to.is_decimal() {
        return Ok(cast(column, to)?);
    }
    if *to == DataType::Float64 {
        return exact_floats(column);
    }
    let column = unify(&[Arc::clone(column)], to)?.remove(0);
    Ok(match column.data_type() == to {
        true => column,
        false => cast(&column, to)?,
    })
}

/// Numbers as `Float64`, without rounding whole ones.
fn exact_floats(column: &ArrayRef) -> Result<ArrayRef> {
    let numbers = Numbers::of(column)?;
    let floats = numbers.to_floats();
    for (row, float) in floats.values().iter().enumerate() {
        if let Some(Num::Int(int)) = numbers.get(row)
            && *float as i128 != int
        {
            let reason = format!("{int} stands among fractions and no float64 is equal to it");
            return Err(Error::external(
                "aggregating numbers (cast them to float64 to have them rounded)",
                ArrowError::CastError(reason),
            ));
        }
    }
    Ok(Arc::new(floats))
}

/// Floats with one NaN, which is above all numbers.
fn one_nan(column: ArrayRef) -> ArrayRef {
    macro_rules! canonical {
        ($type:ty, $native:ty) => {
            if let Some(array) = column.as_primitive_opt::<$type>()
                && array.values().iter().any(|value| value.is_nan())
            {
                let one = |value: $native| {
                    if value.is_nan() {
                        <$native>::NAN
                    } else {
                        value
                    }
                };
                return Arc::new(array.unary::<_, $type>(one));
            }
        };
    }
    canonical!(Float32Type, f32);
    canonical!(Float64Type, f64);
    column
}
