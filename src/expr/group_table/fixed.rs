//! Keys of one fixed-width column.
//!
//! In:  numbers, booleans, dates, timestamps: up to 64 bits.
//! Out: ids. The key lies in the table's entry, beside its id: no second look.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, make_array};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;
use hashbrown::HashTable;

use std::sync::Arc;

use super::Keys;
use crate::error::Result;
use crate::expr::aggregate::nulls_where;
use crate::expr::hash::hash_u64;

/// Groups by one column of fixed width.
pub(super) struct FixedKeys {
    data_type: DataType,
    mask: u64,
    table: HashTable<(u64, u32)>,
    null: Option<u32>,
    /// The bits of every key, in the order of ids; any for null.
    keys: Vec<u64>,
}

impl FixedKeys {
    /// Whether keys of a type are held here.
    pub fn holds(data_type: &DataType) -> bool {
        *data_type == DataType::Boolean
            || matches!(data_type.primitive_width(), Some(1 | 2 | 4 | 8))
    }

    pub fn new(data_type: DataType, mask: u64) -> Self {
        FixedKeys {
            data_type,
            mask,
            table: HashTable::new(),
            null: None,
            keys: Vec::new(),
        }
    }

    #[inline]
    fn id(&mut self, key: u64) -> u32 {
        let mask = self.mask;
        let hash = |key: u64| hash_u64(key) & mask;
        let next = self.keys.len() as u32;
        let entry = self
            .table
            .entry(
                hash(key),
                |(known, _)| *known == key,
                |(known, _)| hash(*known),
            )
            .or_insert((key, next));
        let id = entry.get().1;
        if id == next {
            self.keys.push(key);
        }
        id
    }

    fn null_id(&mut self) -> u32 {
        *self.null.get_or_insert_with(|| {
            self.keys.push(0);
            self.keys.len() as u32 - 1
        })
    }

    fn assign_bits(&mut self, array: &ArrayRef, ids: &mut Vec<u32>, bits: impl Fn(usize) -> u64) {
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => ids.extend((0..array.len()).map(|row| self.id(bits(row)))),
            Some(nulls) => ids.extend((0..array.len()).map(|row| {
                if nulls.is_valid(row) {
                    self.id(bits(row))
                } else {
                    self.null_id()
                }
            })),
        }
    }
}

impl Keys for FixedKeys {
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        let column = &columns[0];
        if let Some(bools) = column.as_boolean_opt() {
            self.assign_bits(column, ids, |row| u64::from(bools.value(row)));
            return Ok(());
        }
        let data = column.to_data();
        macro_rules! natives {
            ($native:ty) => {{
                let buffer = data.buffers()[0].clone();
                let values = ScalarBuffer::<$native>::new(buffer, data.offset(), data.len());
                self.assign_bits(column, ids, |row| u64::from(values[row]));
            }};
        }
        match self.data_type.primitive_width() {
            Some(1) => natives!(u8),
            Some(2) => natives!(u16),
            Some(4) => natives!(u32),
            _ => natives!(u64),
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let null = self.null;
        let nulls = nulls_where((0..self.keys.len() as u32).map(|id| Some(id) != null));
        if self.data_type == DataType::Boolean {
            let values = self.keys.iter().map(|&key| key == 1).collect();
            return Ok(vec![Arc::new(BooleanArray::new(values, nulls))]);
        }
        macro_rules! natives {
            ($native:ty) => {
                // A key is as wide as the values it came from.
                Buffer::from_iter(self.keys.iter().map(|&key| key as $native))
            };
        }
        let buffer = match self.data_type.primitive_width() {
            Some(1) => natives!(u8),
            Some(2) => natives!(u16),
            Some(4) => natives!(u32),
            _ => natives!(u64),
        };
        let data = ArrayData::builder(self.data_type.clone())
            .len(self.keys.len())
            .nulls(nulls)
            .add_buffer(buffer)
            .build()?;
        Ok(vec![make_array(data)])
    }

    fn bytes(&self) -> usize {
        self.table.allocation_size() + 8 * self.keys.capacity()
    }
}
