//! Bloom filters: whether a row group holds a value at all.
//!
//! In:  a row group, a filter with `=` or `in`.
//! Out: no only where none of its values is there.
//!
//! Bounds say little of numbers and texts that are spread evenly, as ids are;
//! a Bloom filter knows each of them, and now and then one too many. It is read
//! once bounds have left room. One that cannot be read rules out nothing.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use arrow_schema::DataType;
use parquet::basic::Type;
use parquet::bloom_filter::Sbbf;

use super::input::ParquetInput;
use super::late::RowFilter;
use super::statistics::{GroupStatistics, leaf};
use crate::error::Result;
use crate::expr::{Facts, Known, Sought};
use crate::io::guard::guarded;
use crate::io::pread::Pread;

impl ParquetInput {
    /// Whether row group `idx` may hold a row for which `filter` is true, or on
    /// which it fails, by its Bloom filters too. Reads those of the columns that
    /// the filter looks at, if there are any.
    ///
    /// # Errors
    ///
    /// As [`ParquetInput::may_match`].
    pub fn may_hold(&self, idx: usize, filter: &RowFilter) -> Result<bool> {
        let group = self.metadata().row_group(idx);
        let mut looked_at = filter.predicate().columns().into_iter();
        let has_any = looked_at.any(|path| {
            let leaf = leaf(&self.metadata, path.root, path.steps);
            leaf.is_some_and(|leaf| group.column(leaf.place).bloom_filter_offset().is_some())
        });
        if !has_any {
            return Ok(true);
        }
        let known = Blooms {
            input: self,
            statistics: GroupStatistics {
                metadata: &self.metadata,
                filter,
                idx,
            },
            file: OnceCell::new(),
            read: RefCell::default(),
        };
        guarded(&self.file.path, || {
            filter.predicate().may_match(filter.bound_to(), &known)
        })
    }
}

/// What is known of a row group, with the Bloom filters that were asked.
struct Blooms<'a> {
    input: &'a ParquetInput,
    statistics: GroupStatistics<'a>,
    file: OnceCell<Option<Pread>>,
    /// By the place of the column.
    read: RefCell<HashMap<usize, Option<Sbbf>>>,
}

impl Blooms<'_> {
    /// Asks the filter of a column, if it has one.
    fn ask(&self, place: usize, has: impl FnOnce(&Sbbf) -> bool) -> bool {
        let mut read = self.read.borrow_mut();
        let bloom = read.entry(place).or_insert_with(|| {
            let group = self.input.metadata().row_group(self.statistics.idx);
            let column = group.column(place);
            column.bloom_filter_offset()?;
            let file = self.file.get_or_init(|| self.input.reopen(Vec::new()).ok());
            let bloom = Sbbf::read_from_column_chunk(column, file.as_ref()?).ok()??;
            (bloom.num_blocks() > 0).then_some(bloom)
        });
        bloom.as_ref().is_none_or(has)
    }
}

impl Known for Blooms<'_> {
    fn facts(&self, root: &str, steps: &[String]) -> Facts {
        self.statistics.facts(root, steps)
    }

    /// Values are hashed as they are stored; other types are not asked about.
    fn may_hold(&self, root: &str, steps: &[String], value: Sought<'_>) -> bool {
        let metadata = self.statistics.metadata;
        if self.statistics.filter.given(root, steps).is_some() {
            return true;
        }
        let Some(leaf) = leaf(metadata, root, steps) else {
            return true;
        };
        let stored = metadata.parquet_schema().column(leaf.place).physical_type();
        let place = leaf.place;
        match (leaf.field.data_type(), stored, value) {
            (
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
                Type::BYTE_ARRAY,
                Sought::Text(text),
            ) => self.ask(place, |bloom| bloom.check(text.as_bytes())),
            (data_type, Type::INT32, Sought::Integer(value)) if data_type.is_signed_integer() => {
                i32::try_from(value).is_ok_and(|value| self.ask(place, |bloom| bloom.check(&value)))
            }
            (data_type, Type::INT64, Sought::Integer(value)) if data_type.is_signed_integer() => {
                i64::try_from(value).is_ok_and(|value| self.ask(place, |bloom| bloom.check(&value)))
            }
            (data_type, Type::INT32, Sought::Integer(value)) if data_type.is_unsigned_integer() => {
                u32::try_from(value)
                    .is_ok_and(|value| self.ask(place, |bloom| bloom.check(&(value as i32))))
            }
            (data_type, Type::INT64, Sought::Integer(value)) if data_type.is_unsigned_integer() => {
                u64::try_from(value)
                    .is_ok_and(|value| self.ask(place, |bloom| bloom.check(&(value as i64))))
            }
            _ => true,
        }
    }
}
