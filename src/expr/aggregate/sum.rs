//! Sums and means.
//!
//! In:  numbers, or types that count in a unit: decimals, durations, timestamps.
//! Out: their exact sum; a mean that is the exact sum over the count.
//!
//! Whole numbers add up in 64 bits as long as no order of them could leave
//! those, then in 128, fractions in [`ExactSums`], so no order
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

use super::exact::ExactSums;
use super::few::Few;
use super::state::{Groups, Seen, State, nulls_where};
use crate::error::{Error, Result};
use crate::expr::decimal::Bits;
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

/// The sums of whole numbers, one per group: in 64 bits, until what was added
/// could leave them in some order.
enum Whole {
    Narrow {
        sums: Vec<i64>,
        /// No sum of any of the values so far is larger than this in size.
        bound: u128,
    },
    Wide {
        sums: Vec<i128>,
        /// How often a sum left 128 bits upwards, less how often downwards: where
        /// it came back, it is what it seems.
        wraps: HashMap<u32, i64>,
    },
}

impl Default for Whole {
    fn default() -> Self {
        Whole::Narrow {
            sums: Vec::new(),
            bound: 0,
        }
    }
}

impl Whole {
    fn grow(&mut self, n_groups: usize) {
        match self {
            Whole::Narrow { sums, .. } if n_groups > sums.len() => sums.resize(n_groups, 0),
            Whole::Wide { sums, .. } if n_groups > sums.len() => sums.resize(n_groups, 0),
            _ => {}
        }
    }

    fn len(&self) -> usize {
        match self {
            Whole::Narrow { sums, .. } => sums.len(),
            Whole::Wide { sums, .. } => sums.len(),
        }
    }

    fn sum(&self, group: usize) -> i128 {
        match self {
            Whole::Narrow { sums, .. } => sums[group].into(),
            Whole::Wide { sums, .. } => sums[group],
        }
    }

    /// The sums in 64 bits, if `n_rows` values of at most `largest` in size
    /// leave them there.
    fn narrow(&mut self, n_rows: usize, largest: u128) -> Option<&mut Vec<i64>> {
        match self {
            Whole::Narrow { sums, bound } => {
                let more = largest.saturating_mul(n_rows as u128);
                *bound = bound.saturating_add(more);
                (*bound <= i64::MAX as u128).then_some(sums)
            }
            Whole::Wide { .. } => None,
        }
    }

    /// Adds numbers of any size, which 128 bits may not hold all of.
    fn add(
        &mut self,
        groups: Groups<'_>,
        nulls: Option<&NullBuffer>,
        value: impl Fn(usize) -> i128,
    ) {
        if let Whole::Narrow { sums, .. } = self {
            let sums = std::mem::take(sums).into_iter().map(i128::from).collect();
            let wraps = HashMap::new();
            *self = Whole::Wide { sums, wraps };
        }
        if let Whole::Wide { sums, wraps } = self {
            groups.for_valid(nulls, |row, group| {
                let value = value(row);
                let (sum, wrapped) = sums[group].overflowing_add(value);
                sums[group] = sum;
                if wrapped {
                    *wraps.entry(group as u32).or_default() += value.signum() as i64;
                }
            });
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Whole::Narrow { sums, .. } => 8 * sums.capacity(),
            Whole::Wide { sums, wraps } => 16 * (sums.capacity() + wraps.capacity()),
        }
    }
}

/// Sums, or means, one per group.
pub(super) struct Sum {
    unit: Unit,
    mean: bool,
    result: DataType,
    /// The expression, for messages.
    text: Arc<str>,
    whole: Whole,
    /// How many values each group has, for a mean.
    counts: Vec<u64>,
    /// Which groups have values, for a sum.
    seen: Seen,
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
            whole: Whole::default(),
            counts: Vec::new(),
            seen: Seen::default(),
            floats: ExactSums::default(),
            fractions: unit == Unit::Fraction,
        }
    }

    /// Notes which groups have values, or how many.
    fn count(&mut self, groups: Groups<'_>, nulls: Option<&NullBuffer>) {
        let counts = &mut self.counts;
        if !self.mean {
            self.seen.note(groups, nulls);
        } else if groups.is_one() {
            counts[0] += (groups.n_rows() - nulls.map_or(0, NullBuffer::null_count)) as u64;
        } else if let (None, Some(more)) = (nulls, groups.counts()) {
            let more = counts.iter_mut().zip(more);
            more.for_each(|(count, more)| *count += more);
        } else {
            groups.for_valid(nulls, |_, group| counts[group] += 1);
        }
    }

    fn add_i64(&mut self, groups: Groups<'_>, array: &Int64Array) {
        let (values, nulls) = (array.values(), array.nulls());
        let most = largest_i64(values);
        match self.whole.narrow(values.len(), most) {
            Some(sums) if groups.is_one() && array.null_count() == 0 => {
                sums[0] += values.iter().sum::<i64>();
            }
            Some(sums) => groups.for_valid(nulls, |row, group| sums[group] += values[row]),
            None => self.whole.add(groups, nulls, |row| values[row].into()),
        }
    }

    fn add_floats(&mut self, groups: Groups<'_>, array: &Float64Array) {
        self.use_fractions();
        self.floats
            .add_values(groups, array.values(), array.nulls());
    }

    fn add_numbers(&mut self, groups: Groups<'_>, numbers: &Numbers) {
        match numbers {
            Numbers::Int(array) => self.add_i64(groups, array),
            Numbers::Float(array) => self.add_floats(groups, array),
            Numbers::UInt(array) => {
                let (values, nulls) = (array.values(), array.nulls());
                let bits = Bits::of(values.iter().copied().map(i128::from));
                match self.whole.narrow(values.len(), bits.largest()) {
                    Some(sums) => {
                        groups.for_valid(nulls, |row, group| sums[group] += values[row] as i64);
                    }
                    None => self.whole.add(groups, nulls, |row| values[row].into()),
                }
            }
            Numbers::Mixed { values, nulls } => {
                let float = |value: &Num| matches!(value, Num::Float(_));
                if values.iter().any(float) {
                    self.use_fractions();
                }
                let int = |row: usize| match values[row] {
                    Num::Int(value) => value,
                    Num::Float(_) => 0,
                };
                self.whole.add(groups, nulls.as_ref(), int);
                groups.for_valid(nulls.as_ref(), |row, group| {
                    if let Num::Float(value) = values[row] {
                        self.floats.add(group, value);
                    }
                });
            }
        }
        self.count(groups, numbers.nulls());
    }

    fn add_decimals(&mut self, groups: Groups<'_>, array: &Decimal128Array) {
        let (values, nulls) = (array.values(), array.nulls());
        let few = Few::of(groups).filter(|_| array.null_count() == 0);
        let (mut bits, mut more) = (Bits::default(), None);
        match few {
            Some(few) => more = Some(few.sums(values, |value| bits.note(value))),
            None => bits = Bits::of(values.iter().copied()),
        }
        let narrow = self.whole.narrow(values.len(), bits.largest());
        match (narrow, more) {
            (Some(sums), Some(more)) => {
                let sums = sums.iter_mut().zip(more);
                sums.for_each(|(sum, more)| *sum += more);
            }
            (Some(sums), None) if groups.is_one() && array.null_count() == 0 => {
                sums[0] += values.iter().map(|value| *value as i64).sum::<i64>();
            }
            (Some(sums), None) => {
                groups.for_valid(nulls, |row, group| sums[group] += values[row] as i64);
            }
            (None, _) => self.whole.add(groups, nulls, |row| values[row]),
        }
    }

    fn use_fractions(&mut self) {
        self.fractions = true;
        self.floats.grow(self.whole.len());
    }

    /// The exact sum of a group, whole numbers and fractions together.
    fn total(&self, group: usize) -> f64 {
        let whole = self.whole.sum(group);
        match (whole, self.fractions) {
            // Rounded once, to the nearest.
            (whole, false) => whole as f64,
            (0, true) => self.floats.value(group),
            (whole, true) => {
                let mut exact = self.floats.exact(group);
                exact.add_int(whole);
                exact.value()
            }
        }
    }

    fn finish_fractions(&self, nulls: Option<NullBuffer>) -> ArrayRef {
        let totals = (0..self.whole.len()).map(|group| {
            let rows = match self.mean {
                true => self.counts[group].max(1) as f64,
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

    fn finish_ints(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        if let (Whole::Narrow { sums, .. }, false) = (&mut self.whole, self.mean)
            && self.result == DataType::Int64
        {
            return Ok(Arc::new(Int64Array::new(
                std::mem::take(sums).into(),
                nulls,
            )));
        }
        let values = (0..self.whole.len()).map(|group| {
            let sum = self.whole.sum(group);
            // A mean of ticks is the tick before it.
            match self.mean && self.counts[group] > 0 {
                true => sum.div_euclid(i128::from(self.counts[group])),
                false => sum,
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

/// A number that no value is larger than in size, in a loop that vectorises.
fn largest_i64(values: &[i64]) -> u128 {
    // The complement of a negative number is its size less one: the next bit, if any.
    let bits = values
        .iter()
        .fold(0, |bits, &value| bits | (value ^ (value >> 63)));
    match bits.checked_ilog2() {
        Some(top) => 2 << top,
        None => u128::from(values.iter().any(|&value| value != 0)),
    }
}

impl State for Sum {
    fn grow(&mut self, n_groups: usize) {
        self.whole.grow(n_groups);
        if self.fractions {
            self.floats.grow(n_groups);
        }
        match self.mean {
            true if n_groups > self.counts.len() => self.counts.resize(n_groups, 0),
            true => {}
            false => self.seen.grow(n_groups),
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
                self.count(groups, ticks.nulls());
            }
            Unit::Decimal(_) => {
                let array = columns[0].as_primitive::<Decimal128Type>();
                self.add_decimals(groups, array);
                self.count(groups, array.nulls());
            }
        }
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        match (self.mean, partial[0].as_boolean_opt()) {
            (true, _) => {
                let counts = partial[0].as_primitive::<UInt64Type>();
                groups.for_each(|row, group| self.counts[group] += counts.value(row));
            }
            (false, None) => self.seen.note(groups, None),
            (false, Some(seen)) => {
                let valid = NullBuffer::new(seen.values().clone());
                self.seen.note(groups, Some(&valid));
            }
        }
        if let Some(ints) = partial[1].as_primitive_opt::<Int64Type>() {
            self.add_i64(groups, ints);
        } else if let Some(ints) = partial[1].as_primitive_opt::<Decimal128Type>() {
            self.whole.add(groups, None, |row| ints.value(row));
        }
        if let Some(more) = partial[2].as_primitive_opt::<Int64Type>() {
            // Where there are any, the sums were wide.
            self.whole.add(groups, None, |_| 0);
            if let Whole::Wide { wraps, .. } = &mut self.whole {
                groups.for_valid(more.nulls(), |row, group| {
                    *wraps.entry(group as u32).or_default() += more.value(row);
                });
            }
        }
        if *partial[3].data_type() != DataType::Null {
            self.use_fractions();
            self.floats.merge(groups, &partial[3..]);
        }
        Ok(())
    }

    /// The counts, or which groups have values; the sum of whole numbers; how
    /// often it wrapped; and the columns of the fractions. What nobody needs is a
    /// column of type null: partials of many groups are kept, moved and spilled.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let n_groups = self.whole.len();
        let nothing = || new_null_array(&DataType::Null, n_groups);
        let first: ArrayRef = match self.mean {
            true => Arc::new(UInt64Array::from(std::mem::take(&mut self.counts))),
            false if self.seen.all() => nothing(),
            false => Arc::new(self.seen.take_column()),
        };
        let (ints, wraps): (ArrayRef, ArrayRef) = match std::mem::take(&mut self.whole) {
            Whole::Narrow { bound: 0, .. } => (nothing(), nothing()),
            Whole::Narrow { sums, .. } => (Arc::new(Int64Array::from(sums)), nothing()),
            Whole::Wide { sums, wraps } => {
                let of = |group| wraps.get(&group).copied();
                let more = || Arc::new((0..n_groups as u32).map(of).collect::<Int64Array>()) as _;
                let wraps = if wraps.is_empty() { nothing() } else { more() };
                (Arc::new(Decimal128Array::from(sums)), wraps)
            }
        };
        let mut columns: Vec<ArrayRef> = vec![first, ints, wraps];
        match self.fractions {
            true => columns.extend(self.floats.partial()),
            false => columns.extend((0..3).map(|_| nothing())),
        }
        self.seen = Seen::default();
        self.fractions = self.unit == Unit::Fraction;
        Ok(columns)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let nulls = match self.mean {
            true => nulls_where(self.counts.iter().map(|&count| count > 0)),
            false => self.seen.take_nulls(),
        };
        if let Whole::Wide { wraps, .. } = &self.whole
            && wraps.values().any(|&wraps| wraps != 0)
        {
            return Err(self.overflow(None));
        }
        let result = if self.fractions || self.result == DataType::Float64 {
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
        let counts = 8 * self.counts.capacity() + self.seen.bytes();
        self.whole.bytes() + counts + self.floats.bytes()
    }
}
