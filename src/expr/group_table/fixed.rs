//! Keys of one fixed-width column.
//!
//! In:  numbers, booleans, dates, timestamps: up to 64 bits.
//! Out: ids, of their bits.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, make_array};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use super::Keys;
use super::ids::Ids;
use crate::error::Result;
use crate::expr::aggregate::nulls_where;

/// Groups by one column of fixed width.
pub(super) struct FixedKeys {
    data_type: DataType,
    ids: Ids,
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
            ids: Ids::new(mask),
        }
    }
}

impl Keys for FixedKeys {
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<()> {
        let column = &columns[0];
        if let Some(bools) = column.as_boolean_opt() {
            let values: Vec<u8> = bools.values().iter().map(u8::from).collect();
            self.ids.assign(&values, column.nulls(), ids);
            return Ok(());
        }
        let data = column.to_data();
        macro_rules! natives {
            ($native:ty) => {{
                let buffer = data.buffers()[0].clone();
                let values = ScalarBuffer::<$native>::new(buffer, data.offset(), data.len());
                self.ids.assign(&values, column.nulls(), ids);
            }};
        }
        let signed = !self.data_type.is_unsigned_integer();
        match (self.data_type.primitive_width(), signed) {
            (Some(1), true) => natives!(i8),
            (Some(2), true) => natives!(i16),
            (Some(4), true) => natives!(i32),
            (Some(1), false) => natives!(u8),
            (Some(2), false) => natives!(u16),
            (Some(4), false) => natives!(u32),
            _ => natives!(u64),
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.ids.len()
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let keys = self.ids.keys();
        let null = self.ids.null();
        let nulls = null.and_then(|null| nulls_where((0..keys.len() as u32).map(|id| id != null)));
        if self.data_type == DataType::Boolean {
            let values = keys.iter().map(|&key| key == 1).collect();
            return Ok(vec![Arc::new(BooleanArray::new(values, nulls))]);
        }
        macro_rules! natives {
            ($native:ty) => {
                // A key is as wide as the values it came from.
                Buffer::from_iter(keys.iter().map(|&key| key as $native))
            };
        }
        let buffer = match self.data_type.primitive_width() {
            Some(1) => natives!(u8),
            Some(2) => natives!(u16),
            Some(4) => natives!(u32),
            _ => Buffer::from_slice_ref(keys),
        };
        let data = ArrayData::builder(self.data_type.clone())
            .len(keys.len())
            .nulls(nulls)
            .add_buffer(buffer)
            .build()?;
        Ok(vec![make_array(data)])
    }

    fn bytes(&self) -> usize {
        self.ids.bytes()
    }
}
