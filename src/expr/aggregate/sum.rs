//! Sums and means.
//!
//! In:  numbers, or types that count in a unit: decimals, durations, timestamps.
//! Out: their exact sum; a mean that is the exact sum over the count.
//!
//! Whole numbers add up in 128 bits, fractions in [`ExactSums`], so no order
//! and no cut changes a result. A batch of JSON may hold fractions where the
//! plan knew whole numbers: both sums are kept, and then the result is a fraction.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Decimal128Array, Float64Array, Int64Array, UInt64Array, new_null_array,
};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};
use hashbrown::HashMap;

use super::exact::{ExactSums, Expansion};
use super::state::{Groups, State, nulls_where};
use crate::error::{Error, Result};
use crate::expr::number::{Num, Numbers};

/// What a sum is of, which decides what its result is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// Whole numbers; fractions too, where a batch holds them.
    Whole,
    /// Fractions.
    Fraction,
    /// Decimals with so many digits behind the point.
    Decimal(i8),
    /// 64-bit counts: durations, timestamps.
    Ticks,
}

/// The sum of whole numbers in two halves of 64 bits, beside their count: one
/// line of cache for each row that is added.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    count: u64,
    low: u64,
    high: i64,
}

impl Cell {
    #[inline]
    fn add(&mut self, value: i64) {
        let (low, carry) = self.low.overflowing_add(value as u64);
        self.low = low;
        self.high += (value >> 63) + i64::from(carry);
    }

    fn sum(self) -> i128 {
        i128::from(self.high) << 64 | i128::from(self.low)
    }

    /// Adds a number of any size; whether 128 bits did not hold the sum.
    #[inline]
    fn add_wide(&mut self, value: i128) -> bool {
        let (sum, wrapped) = self.sum().overflowing_add(value);
        (self.low, self.high) = (sum as u64, (sum >> 64) as i64);
        wrapped
    }
}

/// Sums, or means, one per group.
pub(super) struct Sum {
    unit: Unit,
    mean: bool,
    result: DataType,
    /// The expression, for messages.
    text: Arc<str>,
    cells: Vec<Cell>,
    /// How often a sum left 128 bits upwards, less how often downwards: where
    /// it came back, it is what it seems.
    wraps: HashMap<u32, i64>,
    floats: ExactSums,
    /// Whether `floats` holds anything.
    fractions: bool,
}

impl Sum {
    pub fn new(unit: Unit, mean: bool, result: DataType, text: Arc<str>) -> Self {
        Sum {
            unit,
            mean,
            result,
            text,
            cells: Vec::new(),
            wraps: HashMap::new(),
            floats: ExactSums::default(),
            fractions: unit == Unit::Fraction,
        }
    }

    fn count(&mut self, groups: Groups<'_>, nulls: Option<&NullBuffer>) {
        let cells = &mut self.cells;
        if groups.is_one() {
            cells[0].count += (groups.n_rows() - nulls.map_or(0, NullBuffer::null_count)) as u64;
        } else {
            groups.for_valid(nulls, |_, group| cells[group].count += 1);
        }
    }

    /// Adds a number of any size, which 128 bits may not hold all of.
    #[inline]
    fn add_int(&mut self, group: usize, value: i128) {
        if self.cells[group].add_wide(value) {
            *self.wraps.entry(group as u32).or_default() += value.signum() as i64;
        }
    }

    fn add_i64(&mut self, groups: Groups<'_>, array: &Int64Array) {
        let values = array.values();
        if groups.is_one() && array.null_count() == 0 {
            self.add_int(0, sum_i64(values));
            return self.count(groups, None);
        }
        let cells = &mut self.cells;
        groups.for_valid(array.nulls(), |row, group| {
            let cell = &mut cells[group];
            cell.add(values[row]);
            cell.count += 1;
        });
    }

    /// Most decimals fit 64 bits.
    fn add_decimals(&mut self, groups: Groups<'_>, array: &Decimal128Array) {
        let values = array.values();
        groups.for_valid(array.nulls(), |row, group| {
            let value = values[row];
            match i64::try_from(value) {
                Ok(value) => self.cells[group].add(value),
                Err(_) => self.add_int(group, value),
            }
            self.cells[group].count += 1;
        });
    }

    fn add_floats(&mut self, groups: Groups<'_>, array: &Float64Array) {
        self.use_fractions();
        let (values, floats, cells) = (array.values(), &mut self.floats, &mut self.cells);
        groups.for_valid(array.nulls(), |row, group| {
            floats.add(group, values[row]);
            cells[group].count += 1;
        });
    }

    fn add_numbers(&mut self, groups: Groups<'_>, numbers: &Numbers) {
        match numbers {
            Numbers::Int(array) => return self.add_i64(groups, array),
            Numbers::Float(array) => return self.add_floats(groups, array),
            Numbers::UInt(array) => {
                groups.for_valid(array.nulls(), |row, group| {
                    self.add_int(group, i128::from(array.value(row)));
                });
            }
            Numbers::Mixed { values, nulls } => {
                if values.iter().any(|value| matches!(value, Num::Float(_))) {
                    self.use_fractions();
                }
                groups.for_valid(nulls.as_ref(), |row, group| match values[row] {
                    Num::Int(value) => self.add_int(group, value),
                    Num::Float(value) => self.floats.add(group, value),
                });
            }
        }
        self.count(groups, numbers.nulls());
    }

    fn use_fractions(&mut self) {
        self.fractions = true;
        self.floats.grow(self.cells.len());
    }

    /// The exact sum of a group, whole numbers and fractions together.
    fn total(&self, group: usize) -> f64 {
        let whole = self.cells[group].sum();
        if whole == 0 {
            return self.floats.value(group);
        }
        let mut exact = match self.fractions {
            true => self.floats.exact(group),
            false => Expansion::default(),
        };
        exact.add_int(whole);
        exact.value()
    }

    fn finish_fractions(&self, nulls: Option<NullBuffer>) -> ArrayRef {
        let totals = (0..self.cells.len()).map(|group| {
            let count = self.cells[group].count;
            let rows = match self.mean {
                true => count.max(1) as f64,
                false => 1.0,
            };
            // One division: what comes out is rounded once.
            self.total(group)
                / match self.unit {
                    Unit::Decimal(scale) => rows * 10_f64.powi(scale.into()),
                    _ => rows,
                }
        });
        Arc::new(Float64Array::new(totals.collect(), nulls))
    }

    fn finish_ints(&self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let values = self.cells.iter().map(|cell| {
            let (sum, count) = (cell.sum(), cell.count);
            // A mean of ticks is the tick before it.
            if self.mean && count > 0 {
                sum.div_euclid(i128::from(count))
            } else {
                sum
            }
        });
        if let Unit::Decimal(scale) = self.unit {
            let digits = i128::pow(10, 38) - 1;
            if let Some(sum) = values.clone().find(|sum| sum.abs() > digits) {
                return Err(self.overflow(Some(sum)));
            }
            let array = Decimal128Array::new(values.collect(), nulls);
            return Ok(Arc::new(array.with_precision_and_scale(38, scale)?));
        }
        if self.result == DataType::UInt64 {
            let fitting: Result<Vec<u64>> = values
                .map(|sum| u64::try_from(sum).map_err(|_| self.overflow(Some(sum))))
                .collect();
            return Ok(Arc::new(UInt64Array::new(fitting?.into(), nulls)));
        }
        let fitting: Result<Vec<i64>> = values
            .map(|sum| i64::try_from(sum).map_err(|_| self.overflow(Some(sum))))
            .collect();
        let array: ArrayRef = Arc::new(Int64Array::new(fitting?.into(), nulls));
        Ok(cast(&array, &self.result)?)
    }

    /// The error for a sum that does not fit; none if 128 bits do not hold it.
    fn overflow(&self, sum: Option<i128>) -> Error {
        let cure = match self.unit {
            Unit::Whole => "; cast what is added to float64",
            _ => "",
        };
        let what = match (self.unit, sum) {
            (Unit::Decimal(_), _) | (_, None) => "the sum has more than 38 digits".to_owned(),
            (_, Some(sum)) => format!("the sum {sum} does not fit {}{cure}", self.result),
        };
        Error::external(
            format!("computing {}", self.text),
            ArrowError::ArithmeticOverflow(what),
        )
    }
}

/// The sum of a slice in 128 bits, by halves that vectorise.
fn sum_i64(values: &[i64]) -> i128 {
    // As many halves of 32 bits cannot overflow 64.
    values
        .chunks(1 << 30)
        .map(|chunk| {
            let (mut high, mut low) = (0_i64, 0_u64);
            for &value in chunk {
                high += value >> 32;
                low += value as u64 & 0xFFFF_FFFF;
            }
            (i128::from(high) << 32) + i128::from(low)
        })
        .sum()
}

impl State for Sum {
    fn grow(&mut self, n_groups: usize) {
        if n_groups > self.cells.len() {
            self.cells.resize(n_groups, Cell::default());
        }
        if self.fractions {
            self.floats.grow(n_groups);
        }
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        match self.unit {
            Unit::Whole | Unit::Fraction => {
                let numbers = Numbers::of(&columns[0])?;
                self.add_numbers(groups, &numbers);
            }
            Unit::Ticks => {
                let ticks = cast(&columns[0], &DataType::Int64)?;
                self.add_i64(groups, ticks.as_primitive());
            }
            Unit::Decimal(_) => {
                self.add_decimals(groups, columns[0].as_primitive::<Decimal128Type>());
            }
        }
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let counts = partial[0].as_primitive::<UInt64Type>();
        groups.for_each(|row, group| self.cells[group].count += counts.value(row));
        if let Some(ints) = partial[1].as_primitive_opt::<Int64Type>() {
            groups.for_each(|row, group| self.cells[group].add(ints.value(row)));
        } else if let Some(ints) = partial[1].as_primitive_opt::<Decimal128Type>() {
            groups.for_each(|row, group| self.add_int(group, ints.value(row)));
        }
        if let Some(wraps) = partial[2].as_primitive_opt::<Int64Type>() {
            groups.for_valid(wraps.nulls(), |row, group| {
                *self.wraps.entry(group as u32).or_default() += wraps.value(row);
            });
        }
        if *partial[3].data_type() != DataType::Null {
            self.use_fractions();
            self.floats.merge(groups, &partial[3..]);
        }
        Ok(())
    }

    /// The count, the sum of whole numbers, how often it wrapped, and the columns
    /// of the fractions. What nobody needs is a column of type null: partials of
    /// many groups are kept, moved and spilled.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let cells = std::mem::take(&mut self.cells);
        let wraps = std::mem::take(&mut self.wraps);
        let nothing = || new_null_array(&DataType::Null, cells.len());
        let counts = UInt64Array::from_iter_values(cells.iter().map(|cell| cell.count));
        let ints: ArrayRef = if cells.iter().all(|cell| cell.low == 0 && cell.high == 0) {
            nothing()
        } else if cells.iter().all(|cell| cell.high == cell.low as i64 >> 63) {
            let ints = cells.iter().map(|cell| cell.low as i64);
            Arc::new(Int64Array::from_iter_values(ints))
        } else {
            let ints = cells.iter().map(|cell| cell.sum());
            Arc::new(Decimal128Array::from_iter_values(ints))
        };
        let wraps = match wraps.is_empty() {
            true => nothing(),
            false => {
                let of = |group| wraps.get(&group).copied();
                Arc::new((0..cells.len() as u32).map(of).collect::<Int64Array>())
            }
        };
        let mut columns: Vec<ArrayRef> = vec![Arc::new(counts), ints, wraps];
        match self.fractions {
            true => columns.extend(self.floats.partial()),
            false => columns.extend((0..3).map(|_| nothing())),
        }
        self.fractions = self.unit == Unit::Fraction;
        Ok(columns)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let nulls = nulls_where(self.cells.iter().map(|cell| cell.count > 0));
        if self.wraps.values().any(|&wraps| wraps != 0) {
            return Err(self.overflow(None));
        }
        let result = if self.fractions || self.result == DataType::Float64 {
            if !self.fractions {
                self.use_fractions();
            }
            self.finish_fractions(nulls)
        } else {
            self.finish_ints(nulls)?
        };
        let empty = Sum::new(
            self.unit,
            self.mean,
            self.result.clone(),
            Arc::clone(&self.text),
        );
        *self = empty;
        Ok(result)
    }

    fn bytes(&self) -> usize {
        size_of::<Cell>() * self.cells.capacity() + self.floats.bytes()
    }
}
