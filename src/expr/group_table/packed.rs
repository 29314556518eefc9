//! Keys of several columns.
//!
//! In:  columns, each of a type that a column of keys holds.
//! Out: ids, of one number for each row: the ids that its values have in their
//!      own columns, side by side.
//!
//! ```text
//! user   day       ids of columns   as one number        id
//! "ann"  5         0  0             0 | 0 << 3           0
//! "bob"  5    ─▶   1  0        ─▶   1 | 0 << 3      ─▶   1
//! "ann"  6         0  1             0 | 1 << 3           2
//! ```
//!
//! Every column has as many bits as its ids need; where one needs more, all
//! numbers are made again. Keys that 64 bits do not hold become rows of bytes.

use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take::take;

use super::column::ColumnKeys;
use super::ids::Ids;
use super::rows::RowKeys;
use super::{Keys, plain};
use crate::error::Result;

/// Numbers of so many bits lie near enough to each other to need no hash; wider
/// ones leave all bits to columns that grow.
const NEAR_BITS: u32 = 18;

/// Groups by several columns.
pub(super) struct PackedKeys {
    mask: u64,
    types: Vec<DataType>,
    columns: Vec<ColumnKeys>,
    /// Bits of each column, the first one's lowest.
    bits: Vec<u32>,
    packed: Ids,
    /// What took over from all these.
    rows: Option<RowKeys>,
    /// Of the batch at hand; kept for their memory.
    numbers: Vec<u64>,
}

impl PackedKeys {
    /// Whether keys of these types are held here.
    pub fn hold(types: &[DataType]) -> bool {
        types.iter().all(ColumnKeys::holds)
    }

    pub fn new(types: &[DataType], mask: u64) -> Self {
        PackedKeys {
            mask,
            types: types.to_vec(),
            columns: types.iter().map(|of| ColumnKeys::new(of, mask)).collect(),
            bits: vec![0; types.len()],
            packed: Ids::new(mask),
            rows: None,
            numbers: Vec::new(),
        }
    }

    /// Gives every column the bits that its ids need; false if they are too many.
    fn fit(&mut self) -> bool {
        let needed = |column: &ColumnKeys| u64::BITS - (column.len() as u64).leading_zeros();
        let needed: Vec<u32> = self.columns.iter().map(needed).collect();
        if needed
            .iter()
            .zip(&self.bits)
            .all(|(needed, bits)| needed <= bits)
        {
            return true;
        }
        let total: u32 = needed.iter().sum();
        let Some(spare) = u64::BITS.checked_sub(total) else {
            return false;
        };
        let spare = match total <= NEAR_BITS {
            true => 0,
            false => spare / needed.len() as u32,
        };
        let before = std::mem::replace(
            &mut self.bits,
            needed.into_iter().map(|needed| needed + spare).collect(),
        );
        let keys = self.packed.keys();
        let mut numbers = vec![0; keys.len()];
        let (mut from, mut to) = (0, 0);
        for (old, new) in before.iter().zip(&self.bits) {
            for (number, key) in numbers.iter_mut().zip(keys) {
                *number |= part(*key, from, *old) << to;
            }
            (from, to) = (from + old, to + new);
        }
        let mut packed = Ids::new(self.mask);
        packed.assign(&numbers, None, &mut vec![0; numbers.len()]);
        self.packed = packed;
        true
    }

    /// The keys so far as rows of bytes, with the same ids.
    fn to_rows(&self) -> Result<RowKeys> {
        let mut rows = RowKeys::try_new(&self.types, self.mask)?;
        let mut ids = vec![0; self.packed.len()];
        rows.assign(&self.columns()?, &mut ids)?;
        Ok(rows)
    }

    fn assign_columns(&mut self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<()> {
        let mut of_columns = Vec::with_capacity(columns.len());
        for (keys, column) in self.columns.iter_mut().zip(columns) {
            let mut own = vec![0_u32; ids.len()];
            keys.assign(std::slice::from_ref(column), &mut own)?;
            of_columns.push(own);
        }
        if !self.fit() {
            let rows = self.rows.insert(self.to_rows()?);
            return rows.assign(&plain(columns)?, ids);
        }
        self.numbers.clear();
        self.numbers.resize(ids.len(), 0);
        let mut shift = 0;
        for (own, bits) in of_columns.iter().zip(&self.bits) {
            for (number, own) in self.numbers.iter_mut().zip(own) {
                *number |= u64::from(*own) << shift;
            }
            shift += bits;
        }
        self.packed.assign(&self.numbers, None, ids);
        Ok(())
    }
}

/// So many bits of a number, from one on.
#[inline]
fn part(number: u64, from: u32, bits: u32) -> u64 {
    number.checked_shr(from).unwrap_or(0) & 1_u64.checked_shl(bits).map_or(u64::MAX, |end| end - 1)
}

impl Keys for PackedKeys {
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<()> {
        match &mut self.rows {
            Some(rows) => rows.assign(&plain(columns)?, ids),
            None => self.assign_columns(columns, ids),
        }
    }

    fn takes_dictionaries(&self) -> bool {
        true
    }

    fn len(&self) -> usize {
        match &self.rows {
            Some(rows) => rows.len(),
            None => self.packed.len(),
        }
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        if let Some(rows) = &self.rows {
            return rows.columns();
        }
        let mut from = 0;
        let columns = self.columns.iter().zip(&self.bits).map(|(keys, bits)| {
            let ids = self.packed.keys().iter();
            let ids = ids.map(|number| part(*number, from, *bits) as u32);
            let ids = UInt32Array::from_iter_values(ids);
            from += bits;
            Ok(take(&keys.column()?, &ids, None)?)
        });
        columns.collect()
    }

    fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(ColumnKeys::bytes).sum();
        let rows = self.rows.as_ref().map_or(0, RowKeys::bytes);
        columns + rows + self.packed.bytes() + 8 * self.numbers.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn columns_that_grow_and_columns_that_do_not_fit_keep_all_ids() {
        // Each row is a new value of every column: nine of them outgrow 64 bits at 128 rows.
        for n_columns in [2, 9] {
            let value = |row: i64, column: i64| row * (column + 3);
            let columns = |rows: std::ops::Range<i64>| -> Vec<ArrayRef> {
                let column = |at: i64| -> ArrayRef {
                    match at % 2 {
                        0 => Arc::new(Int64Array::from_iter_values(
                            rows.clone().map(|row| value(row, at)),
                        )),
                        _ => Arc::new(StringArray::from_iter_values(
                            rows.clone().map(|row| format!("{}", value(row, at))),
                        )),
                    }
                };
                (0..n_columns).map(column).collect()
            };
            let all = columns(0..900);
            let types: Vec<DataType> = all.iter().map(|of| of.data_type().clone()).collect();
            for step in [1, 50, 900] {
                let mut keys = PackedKeys::new(&types, u64::MAX);
                for start in (0..900).step_by(step) {
                    let rows = start as i64..(start + step).min(900) as i64;
                    let mut ids = vec![0; (rows.end - rows.start) as usize];
                    keys.assign(&columns(rows.clone()), &mut ids).unwrap();
                    assert!(ids.into_iter().map(i64::from).eq(rows), "{step}");
                }
                assert_eq!(keys.rows.is_some(), n_columns == 9);
                let mut again = vec![0; 900];
                keys.assign(&all, &mut again).unwrap();
                assert!(again.into_iter().eq(0..900));
                assert_eq!(keys.columns().unwrap(), all);
                assert!(keys.bytes() > 0);
            }
        }
    }
}
