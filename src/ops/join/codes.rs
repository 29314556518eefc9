//! Keys that are whole numbers, packed into one number each.
//!
//! In:  the key columns of all rows of the build side; then those of probes.
//! Out: a code for each row: equal keys of both sides have equal codes.
//!
//! A code is the key's place among all combinations of values between the least
//! and the largest that the build side has, as digits of a mixed base:
//!
//! ```text
//! keys   (7, 2020) (9, 2024)      ranges 7..=9, 2020..=2024
//! codes   0 * 5 + 0   2 * 5 + 4
//! ```
//!
//! A probe's key outside those ranges meets nothing. Small ranges make codes
//! that are places in a table, without any hash.

use arrow_array::Array;
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use super::keys::{KeyColumn, Whole};
use super::table::on_threads;
use crate::cancel::{check, stretches};
use crate::error::Result;

/// The code of a row that meets nothing.
pub(super) const MISS: u64 = u64::MAX;

/// One key column's share of a code.
#[derive(Debug, Clone, Copy)]
struct Digit {
    /// The least and the largest value of the build side.
    low: i128,
    high: i128,
    /// What one step of the value adds to the code.
    stride: u64,
    /// Where the least value stands; null, if it meets null, stands at 0.
    first: u64,
}

/// Values of one column whose codes are how far each is above the least one of the
/// build side; what is below it wraps, to codes that no build row has.
pub(super) enum Steps<'a> {
    Signed(&'a [i64], i64),
    Unsigned(&'a [u64], u64),
}

/// From keys to codes.
#[derive(Debug, Clone)]
pub(super) struct Packing {
    digits: Vec<Digit>,
    nulls_match: bool,
    /// How many codes there are.
    pub size: u64,
}

impl Packing {
    /// The packing for the keys of the build side, of these types, which come
    /// in pieces. None if they are not whole numbers, or have too many
    /// combinations for 64 bits.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Cancelled`].
    pub fn of(
        types: &[DataType],
        pieces: &[Vec<KeyColumn>],
        nulls_match: bool,
        threads: usize,
    ) -> Result<Option<Self>> {
        if !types.iter().all(Whole::holds) {
            return Ok(None);
        }
        let mut ranges = vec![Vec::new(); pieces.len()];
        on_threads(&mut ranges, threads, |idx, ranges| {
            check()?;
            *ranges = pieces[idx].iter().map(range).collect();
            Ok(())
        })?;
        let of_all = |column: usize| {
            let of_pieces = ranges.iter().filter_map(|ranges| ranges[column]);
            let all = of_pieces.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            all.unwrap_or((0, -1))
        };
        let ranges: Vec<(i128, i128)> = (0..types.len()).map(of_all).collect();
        Ok(Packing::within(&ranges, nulls_match))
    }

    /// The packing of columns with so many values each; none if they have too
    /// many combinations for 64 bits.
    fn within(ranges: &[(i128, i128)], nulls_match: bool) -> Option<Self> {
        let mut digits = Vec::with_capacity(ranges.len());
        let mut size: u64 = 1;
        for &(low, high) in ranges {
            let first = u64::from(nulls_match);
            let span = high.checked_sub(low)?.checked_add(1)?;
            let values = u64::try_from(span).ok()?.checked_add(first)?;
            digits.push(Digit {
                low,
                high,
                stride: size,
                first,
            });
            size = size.checked_mul(values)?;
        }
        Some(Packing {
            digits,
            nulls_match,
            size,
        })
    }

    /// The code of every row; [`MISS`] where the key meets nothing.
    pub fn codes(&self, columns: &[KeyColumn]) -> Vec<u64> {
        let n_rows = columns.first().map_or(0, |column| column.values.len());
        let mut codes = vec![0; n_rows];
        self.add_codes(columns, &mut codes);
        codes
    }

    /// The code of every row, put where there is 0.
    fn add_codes(&self, columns: &[KeyColumn], codes: &mut [u64]) {
        for (digit, column) in self.digits.iter().zip(columns) {
            self.add(digit, column, codes);
        }
    }

    /// The codes of keys that come in pieces, one behind the other.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Cancelled`].
    pub fn codes_of(&self, pieces: &[Vec<KeyColumn>], threads: usize) -> Result<Vec<u64>> {
        let lens = pieces.iter().map(|keys| keys[0].values.len());
        let mut codes = vec![0; lens.clone().sum()];
        let mut rest = codes.as_mut_slice();
        let mut shares: Vec<&mut [u64]> = Vec::with_capacity(pieces.len());
        for len in lens {
            let share;
            (share, rest) = rest.split_at_mut(len);
            shares.push(share);
        }
        on_threads(&mut shares, threads, |idx, codes| {
            for rows in stretches(codes.len()) {
                let rows = rows?;
                let keys: Vec<_> = pieces[idx].iter().map(|key| key.slice(&rows)).collect();
                self.add_codes(&keys, &mut codes[rows]);
            }
            Ok(())
        })?;
        Ok(codes)
    }

    /// The codes of every row as steps, where they are no more than that: one pass
    /// fewer over all rows.
    pub fn steps<'a>(&self, columns: &'a [KeyColumn]) -> Option<Steps<'a>> {
        let ([digit], [column]) = (&self.digits[..], columns) else {
            return None;
        };
        let meets_all = column.never.is_none() && column.values.null_count() == 0;
        if !meets_all || digit.first > 0 {
            return None;
        }
        match Whole::of(&column.values)? {
            Whole::Signed(array) => Some(Steps::Signed(array.values(), digit.low as i64)),
            Whole::Unsigned(array) => Some(Steps::Unsigned(array.values(), digit.low as u64)),
            Whole::Wide(_) => None,
        }
    }

    fn add(&self, digit: &Digit, column: &KeyColumn, codes: &mut [u64]) {
        macro_rules! natives {
            ($array:expr, $native:ty) => {{
                // What lies outside the type is outside the column as well.
                let low = digit.low.max(<$native>::MIN as i128);
                let high = digit.high.min(<$native>::MAX as i128);
                if low > high {
                    codes.fill(MISS);
                } else {
                    let (low, high) = (low as $native, high as $native);
                    let least = digit.low as u64;
                    for (code, value) in codes.iter_mut().zip($array.values()) {
                        let step = (*value as u64).wrapping_sub(least);
                        let place = step.wrapping_add(digit.first).wrapping_mul(digit.stride);
                        let inside = *value >= low && *value <= high && *code != MISS;
                        *code = if inside {
                            code.wrapping_add(place)
                        } else {
                            MISS
                        };
                    }
                }
            }};
        }
        let before = match column.values.nulls() {
            Some(nulls) if nulls.null_count() > 0 && self.nulls_match => Some(codes.to_vec()),
            _ => None,
        };
        match Whole::of(&column.values) {
            Some(Whole::Signed(array)) => natives!(array, i64),
            Some(Whole::Unsigned(array)) => natives!(array, u64),
            Some(Whole::Wide(array)) => natives!(array, i128),
            None => codes.fill(MISS),
        }
        if let Some(nulls) = column.values.nulls() {
            for row in null_rows(nulls) {
                // Null's digit is 0.
                codes[row] = before.as_ref().map_or(MISS, |before| before[row]);
            }
        }
        if let Some(never) = &column.never {
            never.set_indices().for_each(|row| codes[row] = MISS);
        }
    }
}

fn null_rows(nulls: &NullBuffer) -> impl Iterator<Item = usize> + '_ {
    let none = nulls.null_count() == 0;
    (0..if none { 0 } else { nulls.len() }).filter(|row| nulls.is_null(*row))
}

/// The least and the largest value that can meet one; none if there is none.
fn range(column: &KeyColumn) -> Option<(i128, i128)> {
    macro_rules! natives {
        ($array:expr) => {{
            let values = $array.values();
            let nulls = $array.nulls().filter(|nulls| nulls.null_count() > 0);
            let (low, high) = match nulls {
                None => (values.iter().min().copied(), values.iter().max().copied()),
                Some(nulls) => {
                    let valid = || nulls.valid_indices().map(|row| values[row]);
                    (valid().min(), valid().max())
                }
            };
            Some((low? as i128, high? as i128))
        }};
    }
    // Values that never meet are null in their form.
    debug_assert!(column.never.is_none() || column.values.null_count() > 0);
    match Whole::of(&column.values)? {
        Whole::Signed(array) => natives!(array),
        Whole::Unsigned(array) => natives!(array),
        Whole::Wide(array) => natives!(array),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, UInt64Array};

    use super::*;

    fn key(values: ArrayRef) -> KeyColumn {
        KeyColumn {
            values,
            never: None,
        }
    }

    fn packed(keys: &[KeyColumn], nulls_match: bool) -> Option<Packing> {
        let types: Vec<DataType> = keys
            .iter()
            .map(|key| key.values.data_type().clone())
            .collect();
        Packing::of(&types, &[keys.to_vec()], nulls_match, 2).unwrap()
    }

    fn ints(values: &[Option<i64>]) -> KeyColumn {
        key(Arc::new(Int64Array::from(values.to_vec())))
    }

    #[test]
    fn equal_keys_have_equal_codes_and_others_do_not() {
        let build = [
            ints(&[Some(7), Some(9), None, Some(8)]),
            ints(&[Some(2020), Some(2024), Some(2022), None]),
        ];
        for (nulls_match, size) in [(false, 15), (true, 24)] {
            let packing = packed(&build, nulls_match).unwrap();
            assert_eq!(packing.size, size);
            let codes = packing.codes(&build);
            assert_eq!(codes[2] == MISS, !nulls_match);
            let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
            assert_eq!(distinct.len(), if nulls_match { 4 } else { 3 });
            assert!(codes.iter().all(|code| *code < size || *code == MISS));
            let probe = [
                ints(&[Some(9), Some(6), Some(7), None]),
                ints(&[Some(2024), Some(2024), Some(i64::MIN), Some(2022)]),
            ];
            let probed = packing.codes(&probe);
            assert_eq!(probed[..3], [codes[1], MISS, MISS]);
            assert_eq!(probed[3], codes[2]);
        }
    }

    #[test]
    fn the_whole_range_of_a_type_is_refused_only_where_it_does_not_fit() {
        let all = ints(&[Some(i64::MIN), Some(i64::MAX - 1)]);
        let packing = packed(std::slice::from_ref(&all), false).unwrap();
        assert_eq!(packing.codes(std::slice::from_ref(&all)), [0, u64::MAX - 1]);
        assert!(packed(&[all.clone(), ints(&[Some(0), Some(1)])], false).is_none());
        assert!(packed(&[ints(&[Some(i64::MIN), Some(i64::MAX)])], false).is_none());
        let unsigned = key(Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX - 5])));
        let packing = packed(std::slice::from_ref(&unsigned), false).unwrap();
        assert_eq!((packing.size, packing.codes(&[unsigned])), (6, vec![5, 0]));
        let nothing = ints(&[None]);
        let packing = packed(&[nothing], false).unwrap();
        assert_eq!(packing.codes(&[ints(&[Some(0)])]), [MISS]);
    }
}
