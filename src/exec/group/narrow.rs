//! Whole numbers in as few bytes as they take.
//!
//! In:  rows that wait, with columns of 64-bit whole numbers.
//! Out: the same in narrower types, and back.
//!
//! ```text
//! 1 5 3           8 bits              1 1 1         no column at all
//! 2^32 · 7 + 41   16 bits and 16      with nulls    as it is
//! ```
//!
//! Counts, sums of small numbers, keys and places mostly take a quarter of their
//! bytes, and less time to be moved, held and spilled. Fields tell what they were.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, NullArray, PrimitiveArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Result};

/// What a field was, in its metadata.
const WAS: &str = "was";
const INT64: &str = "int64";
const UINT64: &str = "uint64";
/// Unsigned, of which both halves have 16 bits.
const HALVES: &str = "halves";

/// What the numbers of a column take.
#[derive(Debug, Clone, Copy, Default)]
struct Need {
    /// All bits that any of them has; of a negative one, of its complement.
    bits: u64,
    /// All bits in which any of them is not 1.
    not_one: u64,
}

/// A way in which a column is narrower.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Ones,
    Bytes(usize),
    Halves,
}

impl Need {
    const ALL: Need = Need {
        bits: u64::MAX,
        not_one: u64::MAX,
    };

    fn of(column: &ArrayRef) -> Need {
        if column.null_count() > 0 {
            return Need::ALL;
        }
        let need = |bits: u64, not_one: u64| Need { bits, not_one };
        match column.data_type() {
            DataType::Int64 => {
                let values = column.as_primitive::<Int64Type>().values().iter();
                let (bits, not_one) = values.fold((0, 0), |(bits, not_one), value| {
                    (bits | (value ^ (value >> 63)), not_one | (value ^ 1))
                });
                need(bits as u64, not_one as u64)
            }
            DataType::UInt64 => {
                let values = column.as_primitive::<UInt64Type>().values().iter();
                let (bits, not_one) = values.fold((0, 0), |(bits, not_one), value| {
                    (bits | value, not_one | (value ^ 1))
                });
                need(bits, not_one)
            }
            _ => Need::ALL,
        }
    }

    /// The way that takes the fewest bytes; none if that is how it is.
    fn way(self, signed: bool) -> Option<Way> {
        let size = u64::BITS - self.bits.leading_zeros() + u32::from(signed);
        match size {
            _ if self.not_one == 0 => Some(Way::Ones),
            0..=8 => Some(Way::Bytes(1)),
            9..=16 => Some(Way::Bytes(2)),
            17..=32 => Some(Way::Bytes(4)),
            _ if !signed && self.bits & 0xFFFF_0000_FFFF_0000 == 0 => Some(Way::Halves),
            _ => None,
        }
    }
}

/// What the columns of batches take, of all that were looked at: so that those which
/// come one after the other have the same types.
#[derive(Debug, Clone, Default)]
pub(super) struct Narrowing {
    needs: Vec<Need>,
}

impl Narrowing {
    /// Of one batch.
    pub fn of(rows: &RecordBatch) -> Self {
        Narrowing {
            needs: rows.columns().iter().map(Need::of).collect(),
        }
    }

    /// Of others, too.
    pub fn add(&mut self, other: &Narrowing) {
        let len = self.needs.len().max(other.needs.len());
        self.needs.resize(len, Need::default());
        for (need, other) in self.needs.iter_mut().zip(&other.needs) {
            need.bits |= other.bits;
            need.not_one |= other.not_one;
        }
    }

    /// Rows, which were looked at, in the narrowest types for all that were.
    pub fn narrowed(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns = rows.columns().iter().zip(rows.schema_ref().fields());
        let narrowed =
            columns
                .zip(&self.needs)
                .map(|((column, field), need)| match narrow(column, *need) {
                    Some((column, was)) => {
                        let metadata = HashMap::from([(WAS.to_owned(), was.to_owned())]);
                        let field = Field::new(field.name(), column.data_type().clone(), true);
                        (Arc::new(field.with_metadata(metadata)), column)
                    }
                    None => (Arc::clone(field), Arc::clone(column)),
                });
        let (fields, columns): (Vec<_>, Vec<_>) = narrowed.unzip();
        batch_of(Schema::new(fields), columns, rows.num_rows())
    }
}

fn batch_of(schema: Schema, columns: Vec<ArrayRef>, n_rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(schema), columns, &options);
    Ok(batch?)
}

/// Numbers in another type, which holds them.
fn numbers<F, T>(column: &ArrayRef, to: impl Fn(F::Native) -> T::Native) -> ArrayRef
where
    F: ArrowPrimitiveType,
    T: ArrowPrimitiveType,
{
    let values = column.as_primitive::<F>().values().iter();
    let values: Vec<T::Native> = values.map(|value| to(*value)).collect();
    Arc::new(PrimitiveArray::<T>::new(values.into(), None))
}

/// A column in fewer bytes, and what it was.
fn narrow(column: &ArrayRef, need: Need) -> Option<(ArrayRef, &'static str)> {
    let ones = || Arc::new(NullArray::new(column.len())) as ArrayRef;
    match column.data_type() {
        DataType::Int64 => {
            let narrow = match need.way(true)? {
                Way::Ones => ones(),
                Way::Bytes(1) => numbers::<Int64Type, Int8Type>(column, |value| value as i8),
                Way::Bytes(2) => numbers::<Int64Type, Int16Type>(column, |value| value as i16),
                _ => numbers::<Int64Type, Int32Type>(column, |value| value as i32),
            };
            Some((narrow, INT64))
        }
        DataType::UInt64 => Some(match need.way(false)? {
            Way::Ones => (ones(), UINT64),
            Way::Halves => (numbers::<UInt64Type, UInt32Type>(column, halves), HALVES),
            Way::Bytes(1) => (
                numbers::<UInt64Type, UInt8Type>(column, |value| value as u8),
                UINT64,
            ),
            Way::Bytes(2) => (
                numbers::<UInt64Type, UInt16Type>(column, |value| value as u16),
                UINT64,
            ),
            Way::Bytes(_) => (
                numbers::<UInt64Type, UInt32Type>(column, |value| value as u32),
                UINT64,
            ),
        }),
        _ => None,
    }
}

/// Both halves, each of which has 16 bits.
fn halves(value: u64) -> u32 {
    (value >> 16) as u32 | value as u32
}

fn of_halves(halves: u32) -> u64 {
    u64::from(halves >> 16) << 32 | u64::from(halves & 0xFFFF)
}

/// Rows as they were before they were narrowed, if they were.
pub(super) fn widened(rows: &RecordBatch) -> Result<RecordBatch> {
    let fields = rows.schema_ref().fields();
    if fields.iter().all(|field| was(field).is_none()) {
        return Ok(rows.clone());
    }
    let widened = rows.columns().iter().zip(fields).map(|(column, field)| {
        let Some(was) = was(field) else {
            return Ok((Arc::clone(field), Arc::clone(column)));
        };
        let column = wide(column, was)?;
        let field = Field::new(field.name(), column.data_type().clone(), true);
        Ok((Arc::new(field), column))
    });
    let widened = widened.collect::<Result<Vec<_>>>()?;
    let (fields, columns): (Vec<_>, Vec<_>) = widened.into_iter().unzip();
    batch_of(Schema::new(fields), columns, rows.num_rows())
}

fn was(field: &Field) -> Option<&str> {
    field.metadata().get(WAS).map(String::as_str)
}

fn wide(column: &ArrayRef, was: &str) -> Result<ArrayRef> {
    let n_rows = column.len();
    Ok(match (was, column.data_type()) {
        (INT64, DataType::Null) => Arc::new(PrimitiveArray::<Int64Type>::from_value(1, n_rows)),
        (INT64, DataType::Int8) => numbers::<Int8Type, Int64Type>(column, i64::from),
        (INT64, DataType::Int16) => numbers::<Int16Type, Int64Type>(column, i64::from),
        (INT64, DataType::Int32) => numbers::<Int32Type, Int64Type>(column, i64::from),
        (UINT64, DataType::Null) => Arc::new(PrimitiveArray::<UInt64Type>::from_value(1, n_rows)),
        (UINT64, DataType::UInt8) => numbers::<UInt8Type, UInt64Type>(column, u64::from),
        (UINT64, DataType::UInt16) => numbers::<UInt16Type, UInt64Type>(column, u64::from),
        (UINT64, DataType::UInt32) => numbers::<UInt32Type, UInt64Type>(column, u64::from),
        (HALVES, DataType::UInt32) => numbers::<UInt32Type, UInt64Type>(column, of_halves),
        (was, of) => return Err(Error::internal(format!("{of} was {was}"))),
    })
}

/// A number of a column that is, or was, `UInt64`.
pub(super) fn number(rows: &RecordBatch, column: usize, row: usize) -> u64 {
    let field = rows.schema_ref().field(column);
    let column = rows.column(column);
    match column.data_type() {
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row),
        DataType::UInt32 if was(field) == Some(HALVES) => {
            of_halves(column.as_primitive::<UInt32Type>().value(row))
        }
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(row).into(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray, UInt64Array};

    use super::*;

    fn signed(values: Vec<i64>) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(values));
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true)]).unwrap()
    }

    fn unsigned(values: Vec<u64>) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(UInt64Array::from(values));
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true)]).unwrap()
    }

    #[test]
    fn numbers_come_back_from_the_fewest_bytes_that_hold_them() {
        let (i32s, u32s) = (i64::from(i32::MAX), u64::from(u32::MAX));
        for (rows, narrow) in [
            (signed(vec![1, 1]), DataType::Null),
            (signed(vec![]), DataType::Null),
            (signed(vec![0, 0]), DataType::Int8),
            (signed(vec![-128, 127]), DataType::Int8),
            (signed(vec![1, 128]), DataType::Int16),
            (signed(vec![-129]), DataType::Int16),
            (signed(vec![i32s, -i32s - 1]), DataType::Int32),
            (signed(vec![i32s + 1]), DataType::Int64),
            (signed(vec![i64::MIN, i64::MAX]), DataType::Int64),
            (unsigned(vec![1]), DataType::Null),
            (unsigned(vec![0, 255]), DataType::UInt8),
            (unsigned(vec![256]), DataType::UInt16),
            (unsigned(vec![u32s]), DataType::UInt32),
            (
                unsigned(vec![7 << 32 | 41, 65_535 << 32, 3]),
                DataType::UInt32,
            ),
            (unsigned(vec![7 << 32 | 65_536]), DataType::UInt64),
            (unsigned(vec![u64::MAX, 0]), DataType::UInt64),
        ] {
            let narrowed = Narrowing::of(&rows).narrowed(&rows).unwrap();
            assert_eq!(narrowed.column(0).data_type(), &narrow, "{rows:?}");
            assert_eq!(widened(&narrowed).unwrap(), rows);
            if let Some(values) = rows.column(0).as_primitive_opt::<UInt64Type>() {
                for row in 0..rows.num_rows() {
                    assert_eq!(number(&narrowed, 0, row), values.value(row));
                }
            }
        }
    }

    #[test]
    fn rows_that_follow_each_other_have_the_types_of_the_widest() {
        let batches = [vec![1, 1], vec![3, 300], vec![1], vec![70_000]].map(signed);
        let mut narrowing = Narrowing::default();
        let types = batches.map(|rows| {
            narrowing.add(&Narrowing::of(&rows));
            let narrowed = narrowing.narrowed(&rows).unwrap();
            assert_eq!(widened(&narrowed).unwrap(), rows);
            narrowed.column(0).data_type().clone()
        });
        let wanted = [DataType::Null, DataType::Int16, DataType::Int16];
        assert_eq!((&types[..3], &types[3]), (&wanted[..], &DataType::Int32));
    }

    #[test]
    fn columns_of_other_types_or_with_nulls_stay_as_they_are() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1)]));
        let columns = [("text", texts, false), ("nulls", nulls, true)];
        let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let narrowed = Narrowing::of(&rows).narrowed(&rows).unwrap();
        assert_eq!((&narrowed, &widened(&narrowed).unwrap()), (&rows, &rows));
    }
}
