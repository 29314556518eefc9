//! Counts, sums, means and products of the values in a window.
//!
//! In:  values, coming and going.
//! Out: what group-by gives for the same values, bit by bit.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef, Decimal128Array, Float64Array, Int64Array, UInt64Array};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::fold::{Kernel, WindowRows};
use crate::error::{Error, Result};
use crate::expr::aggregate::{Expansion, Factors};
use crate::expr::number::{Num, Numbers};

/// The values of rows, which kernels of values are given.
pub(super) fn of<'a>(rows: &WindowRows<'a>) -> Result<&'a ArrayRef> {
    rows.values
        .ok_or_else(|| Error::internal("a window of values was given none"))
}

/// How many rows, or values.
#[derive(Clone)]
pub(super) struct Counts;

impl Kernel for Counts {
    type Value = ();
    type State = i64;
    type Out = i64;

    fn values(&self, rows: &WindowRows<'_>) -> Result<Vec<Option<()>>> {
        Ok(match rows.values {
            None => vec![Some(()); rows.groups.len()],
            Some(values) => {
                let nulls = values.logical_nulls();
                let present = |row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
                (0..values.len())
                    .map(|row| present(row).then_some(()))
                    .collect()
            }
        })
    }

    fn add(&self, state: &mut i64, (): ()) {
        *state += 1;
    }

    fn remove(&self, state: &mut i64, (): ()) {
        *state -= 1;
    }

    fn result(&self, state: &i64) -> Result<Option<i64>, String> {
        Ok(Some(*state))
    }

    fn column(&self, results: Vec<Option<i64>>) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(results)))
    }

    fn state_bytes(&self, _: &i64) -> usize {
        0
    }
}

/// Sums and means of whole numbers, decimals and ticks.
#[derive(Clone)]
pub(super) struct WholeSums {
    pub mean: bool,
    /// Digits behind the point, of decimals.
    pub scale: Option<i8>,
    pub result: DataType,
}

/// The sum, and of how many values.
#[derive(Default)]
pub(super) struct WholeSum {
    sum: i128,
    count: u64,
    /// How often the sum left 128 bits upwards, less how often downwards.
    wraps: i64,
}

impl WholeSum {
    fn add(&mut self, value: i128) {
        let (sum, wrapped) = self.sum.overflowing_add(value);
        self.sum = sum;
        if wrapped {
            self.wraps += value.signum() as i64;
        }
    }
}

/// The most that a decimal of 38 digits holds.
const MOST_DIGITS: i128 = i128::pow(10, 38) - 1;

impl Kernel for WholeSums {
    type Value = i128;
    type State = WholeSum;
    type Out = Num;

    fn values(&self, rows: &WindowRows<'_>) -> Result<Vec<Option<i128>>> {
        let values = of(rows)?;
        let wide = match (values.data_type(), self.scale) {
            (DataType::Decimal32(..) | DataType::Decimal64(..), Some(scale)) => {
                cast(values, &DataType::Decimal128(38, scale))?
            }
            (DataType::UInt64 | DataType::Decimal128(..), _) => Arc::clone(values),
            // Also conditions, which are 0 and 1, and ticks.
            _ => cast(values, &DataType::Int64)?,
        };
        if let Some(decimals) = wide.as_primitive_opt::<Decimal128Type>() {
            return Ok(decimals.iter().collect());
        }
        let numbers = Numbers::of(&wide)?;
        let number = |row| numbers.get(row).and_then(Num::exact_int);
        Ok((0..numbers.len()).map(number).collect())
    }

    fn add(&self, state: &mut WholeSum, value: i128) {
        state.add(value);
        state.count += 1;
    }

    fn remove(&self, state: &mut WholeSum, value: i128) {
        let (sum, wrapped) = state.sum.overflowing_sub(value);
        state.sum = sum;
        if wrapped {
            state.wraps -= value.signum() as i64;
        }
        state.count -= 1;
    }

    fn result(&self, state: &WholeSum) -> Result<Option<Num>, String> {
        if state.count == 0 {
            return Ok(None);
        }
        if state.wraps != 0 || (self.scale.is_some() && state.sum.abs() > MOST_DIGITS) {
            return Err("the sum has more than 38 digits".to_owned());
        }
        let count = i128::from(state.count);
        Ok(Some(match (self.mean, &self.result) {
            (true, DataType::Float64) => {
                let sum = state.sum as f64 / 10_f64.powi(self.scale.unwrap_or(0).into());
                Num::Float(sum / count as f64)
            }
            // A mean of ticks is the tick before it.
            (true, _) => Num::Int(state.sum.div_euclid(count)),
            (false, DataType::Decimal128(..)) => Num::Int(state.sum),
            (false, result) => {
                let fits = match result {
                    DataType::UInt64 => u64::try_from(state.sum).is_ok(),
                    _ => i64::try_from(state.sum).is_ok(),
                };
                if !fits {
                    let sum = state.sum;
                    return Err(format!(
                        "the sum {sum} does not fit {result}; cast what is added to float64"
                    ));
                }
                Num::Int(state.sum)
            }
        }))
    }

    fn column(&self, results: Vec<Option<Num>>) -> Result<ArrayRef> {
        number_column(&results, &self.result)
    }

    fn state_bytes(&self, _: &WholeSum) -> usize {
        0
    }
}

/// Numbers that fit a type, in it.
fn number_column(numbers: &[Option<Num>], to: &DataType) -> Result<ArrayRef> {
    let whole = |number: &Option<Num>| number.and_then(Num::exact_int);
    Ok(match to {
        DataType::Float64 => {
            let floats = numbers.iter().map(|number| number.map(Num::to_f64));
            Arc::new(floats.collect::<Float64Array>())
        }
        DataType::UInt64 => {
            let ints = numbers
                .iter()
                .map(|number| whole(number).map(|int| int as u64));
            Arc::new(ints.collect::<UInt64Array>())
        }
        DataType::Decimal128(precision, scale) => {
            let ints: Decimal128Array = numbers.iter().map(whole).collect();
            Arc::new(ints.with_precision_and_scale(*precision, *scale)?)
        }
        to => {
            let ints = numbers
                .iter()
                .map(|number| whole(number).map(|int| int as i64));
            let ints: ArrayRef = Arc::new(ints.collect::<Int64Array>());
            cast(&ints, to)?
        }
    })
}

/// Sums and means of fractions.
#[derive(Clone)]
pub(super) struct FloatSums {
    pub mean: bool,
}

/// The exact sum, and of how many values.
#[derive(Default)]
pub(super) struct FloatSum {
    pub exact: Expansion,
    pub count: u64,
    /// Values that no exact sum holds: each NaN, infinity and infinity below.
    special: [u64; 3],
}

impl FloatSum {
    /// Which of the special values one is.
    fn special(value: f64) -> Option<usize> {
        match value {
            value if value.is_nan() => Some(0),
            f64::INFINITY => Some(1),
            f64::NEG_INFINITY => Some(2),
            _ => None,
        }
    }

    pub fn add(&mut self, value: f64) {
        self.count += 1;
        match FloatSum::special(value) {
            Some(which) => self.special[which] += 1,
            None => self.exact.add(value),
        }
    }

    pub fn remove(&mut self, value: f64) {
        self.count -= 1;
        match FloatSum::special(value) {
            Some(which) => self.special[which] -= 1,
            None => self.exact.add(-value),
        }
    }

    fn value(&self) -> f64 {
        match self.special {
            [0, 0, 0] => self.exact.value(),
            [0, _, 0] => f64::INFINITY,
            [0, 0, _] => f64::NEG_INFINITY,
            _ => f64::NAN,
        }
    }
}

/// The numbers of a column as the nearest fractions.
pub(super) fn floats(rows: &WindowRows<'_>) -> Result<Vec<Option<f64>>> {
    let values = of(rows)?;
    let values = match values.data_type() {
        DataType::Boolean => cast(values, &DataType::Int64)?,
        _ => Arc::clone(values),
    };
    Ok(Numbers::of(&values)?.to_floats().iter().collect())
}

impl Kernel for FloatSums {
    type Value = f64;
    type State = FloatSum;
    type Out = f64;

    fn values(&self, rows: &WindowRows<'_>) -> Result<Vec<Option<f64>>> {
        floats(rows)
    }

    fn add(&self, state: &mut FloatSum, value: f64) {
        state.add(value);
    }

    fn remove(&self, state: &mut FloatSum, value: f64) {
        state.remove(value);
    }

    fn result(&self, state: &FloatSum) -> Result<Option<f64>, String> {
        Ok((state.count > 0).then(|| match self.mean {
            true => state.value() / state.count as f64,
            false => state.value(),
        }))
    }

    fn column(&self, results: Vec<Option<f64>>) -> Result<ArrayRef> {
        Ok(Arc::new(Float64Array::from(results)))
    }

    fn state_bytes(&self, state: &FloatSum) -> usize {
        state.exact.heap_bytes()
    }
}

/// Products of all values so far: a factor cannot be taken out again.
#[derive(Clone)]
pub(super) struct Products {
    pub result: DataType,
}

#[derive(Default)]
pub(super) struct ProductSoFar {
    factors: Factors,
    any: bool,
}

impl Kernel for Products {
    type Value = Num;
    type State = ProductSoFar;
    type Out = Num;

    fn values(&self, rows: &WindowRows<'_>) -> Result<Vec<Option<Num>>> {
        let values = of(rows)?;
        let values = match (values.data_type(), &self.result) {
            (DataType::Boolean, _) => cast(values, &DataType::Int64)?,
            (_, DataType::Float64) => cast(values, &DataType::Float64)?,
            _ => Arc::clone(values),
        };
        let numbers = Numbers::of(&values)?;
        Ok((0..numbers.len()).map(|row| numbers.get(row)).collect())
    }

    fn add(&self, state: &mut ProductSoFar, value: Num) {
        state.any = true;
        match value {
            Num::Int(value) => state.factors.multiply_int(value),
            Num::Float(value) => state.factors.multiply_float(value),
        }
    }

    fn remove(&self, _: &mut ProductSoFar, _: Num) {
        unreachable!("binding lets products reach back to the first row only");
    }

    fn result(&self, state: &ProductSoFar) -> Result<Option<Num>, String> {
        if !state.any {
            return Ok(None);
        }
        if self.result == DataType::Float64 {
            return Ok(Some(Num::Float(state.factors.as_float())));
        }
        let fits = |product: &i128| match self.result {
            DataType::UInt64 => u64::try_from(*product).is_ok(),
            _ => i64::try_from(*product).is_ok(),
        };
        let product = state.factors.as_int().filter(fits);
        product
            .map(|product| Some(Num::Int(product)))
            .ok_or_else(|| {
                format!(
                    "the product does not fit {}; cast what is multiplied to float64",
                    self.result
                )
            })
    }

    fn column(&self, results: Vec<Option<Num>>) -> Result<ArrayRef> {
        number_column(&results, &self.result)
    }

    fn state_bytes(&self, _: &ProductSoFar) -> usize {
        0
    }
}
