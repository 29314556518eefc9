//! Keys of several columns, or of types that have no table of their own.
//!
//! In:  columns of any types.
//! Out: ids. A key is a row as bytes (arrow-row), hashed and compared as such.

use arrow_array::ArrayRef;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::DataType;
use hashbrown::HashTable;

use super::Keys;
use crate::error::{Error, Result};
use crate::expr::hash::hash_bytes;

/// Groups by whole rows.
pub(super) struct RowKeys {
    mask: u64,
    converter: RowConverter,
    table: HashTable<(u64, u32)>,
    keys: Rows,
    /// The rows of the batch at hand; kept for its memory.
    batch: Rows,
}

impl RowKeys {
    /// # Errors
    ///
    /// [`Error::Plan`] for a type whose rows have no bytes.
    pub fn try_new(types: &[DataType], mask: u64) -> Result<Self> {
        let fields: Vec<SortField> = types.iter().cloned().map(SortField::new).collect();
        if !RowConverter::supports_fields(&fields) {
            let types: Vec<String> = types.iter().map(ToString::to_string).collect();
            return Err(Error::plan(format!(
                "rows cannot be grouped by {}",
                types.join(", ")
            )));
        }
        let converter = RowConverter::new(fields)?;
        Ok(RowKeys {
            mask,
            table: HashTable::new(),
            keys: converter.empty_rows(0, 0),
            batch: converter.empty_rows(0, 0),
            converter,
        })
    }
}

impl Keys for RowKeys {
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<()> {
        self.batch.clear();
        self.converter.append(&mut self.batch, columns)?;
        for (slot, row) in ids.iter_mut().zip(&self.batch) {
            let hash = hash_bytes(row.data()) & self.mask;
            let next = self.keys.num_rows() as u32;
            let same = |(of, id): &(u64, u32)| *of == hash && self.keys.row(*id as usize) == row;
            let id = self
                .table
                .entry(hash, same, |(of, _)| *of)
                .or_insert((hash, next))
                .get()
                .1;
            if id == next {
                self.keys.push(row);
            }
            *slot = id;
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.keys.num_rows()
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        Ok(self.converter.convert_rows(&self.keys)?)
    }

    fn bytes(&self) -> usize {
        self.table.allocation_size() + self.keys.size() + self.batch.size()
    }
}
