//! Keys of one column, also of one that comes as a dictionary.
//!
//! In:  a column of one type, plain or as a dictionary of it.
//! Out: ids.
//!
//! Each entry of a dictionary is looked up once, when a row first has it. What
//! was found is kept as long as batches come with the same dictionary, so a row
//! costs one load.

use std::sync::Arc;

use arrow_array::types::ArrowDictionaryKeyType;
use arrow_array::{Array, ArrayRef, DictionaryArray, UInt32Array, downcast_dictionary_array};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;
use arrow_select::take::take;

use super::Keys;
use super::fixed::FixedKeys;
use super::text::TextKeys;
use crate::error::Result;

/// No id is this large: [`super::GroupTable`] refuses as many groups.
const UNSEEN: u32 = u32::MAX;

/// Keys of one column.
pub(super) struct ColumnKeys {
    keys: Box<dyn Keys>,
    dictionary: Option<Known>,
}

/// The ids of the entries of a dictionary, those of null behind the last one.
struct Known {
    /// Held, so that no other dictionary takes its place in memory.
    values: ArrayRef,
    ids: Vec<u32>,
}

impl ColumnKeys {
    /// Whether keys of a type are held here.
    pub fn holds(data_type: &DataType) -> bool {
        *data_type == DataType::Utf8 || FixedKeys::holds(data_type)
    }

    pub fn new(data_type: &DataType, mask: u64) -> Self {
        ColumnKeys {
            keys: match data_type {
                DataType::Utf8 => Box::new(TextKeys::new(mask)),
                fixed => Box::new(FixedKeys::new(fixed.clone(), mask)),
            },
            dictionary: None,
        }
    }

    /// The column of keys in the order of ids.
    pub fn column(&self) -> Result<ArrayRef> {
        Ok(self.keys.columns()?.remove(0))
    }

    fn assign_entries<K: ArrowDictionaryKeyType>(
        &mut self,
        array: &DictionaryArray<K>,
        ids: &mut [u32],
    ) -> Result<()> {
        let values = array.values();
        let n_values = values.len();
        let mut known = match self.dictionary.take() {
            Some(known) if is_same(&known.values, values) => known,
            _ => Known {
                values: Arc::clone(values),
                ids: vec![UNSEEN; n_values + 1],
            },
        };
        let found = match array.null_count() {
            0 => {
                let entries = array.keys().values();
                self.find(&mut known, ids, |row| entries[row].as_usize())
            }
            _ => self.find(&mut known, ids, |row| array.key(row).unwrap_or(n_values)),
        };
        self.dictionary = Some(known);
        found
    }

    /// The ids of rows by their entries.
    fn find(
        &mut self,
        known: &mut Known,
        ids: &mut [u32],
        entry: impl Fn(usize) -> usize,
    ) -> Result<()> {
        let by_entry = |known: &Known, ids: &mut [u32]| {
            let rows = ids.iter_mut().enumerate();
            rows.fold(true, |all, (row, id)| {
                *id = known.ids[entry(row)];
                all & (*id != UNSEEN)
            })
        };
        if !by_entry(known, ids) {
            self.look_up(known, (0..ids.len()).map(&entry))?;
            by_entry(known, ids);
        }
        Ok(())
    }

    /// Finds the ids of entries that have none, in the order of the rows.
    fn look_up(&mut self, known: &mut Known, entries: impl Iterator<Item = usize>) -> Result<()> {
        const MET: u32 = UNSEEN - 1;
        let n_values = known.values.len();
        let mut new: Vec<Option<u32>> = Vec::new();
        for entry in entries {
            if known.ids[entry] == UNSEEN {
                known.ids[entry] = MET;
                new.push((entry < n_values).then_some(entry as u32));
            }
        }
        let values = take(&known.values, &UInt32Array::from(new.clone()), None)?;
        let mut found = vec![0; new.len()];
        self.keys.assign(&[values], &mut found)?;
        for (entry, id) in new.into_iter().zip(found) {
            known.ids[entry.map_or(n_values, |entry| entry as usize)] = id;
        }
        Ok(())
    }
}

/// Whether two columns are the same memory.
fn is_same(a: &ArrayRef, b: &ArrayRef) -> bool {
    Arc::ptr_eq(a, b) || a.to_data().ptr_eq(&b.to_data())
}

impl Keys for ColumnKeys {
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<()> {
        let column = &columns[0];
        downcast_dictionary_array!(
            column => self.assign_entries(column, ids),
            _ => self.keys.assign(columns, ids)
        )
    }

    fn takes_dictionaries(&self) -> bool {
        true
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        self.keys.columns()
    }

    fn bytes(&self) -> usize {
        let known = self.dictionary.as_ref();
        self.keys.bytes() + known.map_or(0, |known| 4 * known.ids.capacity())
    }
}
