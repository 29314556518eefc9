//! Columns to codes that compare as rows do.
//!
//! In:  rows whose columns have their final types.
//! Out: one code for each row.
//!
//! Columns of at most 64 bits become numbers; the first other one and all behind
//! it become bytes (arrow-row). NaN is one value above all numbers, -0 is 0,
//! false is below true, texts compare by their bytes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, RecordBatch};
use arrow_buffer::ScalarBuffer;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Schema, SortOptions};

use super::by::SortBy;
use super::codes::Codes;
use crate::error::{Error, Result};
use crate::expr::unknown_column;

/// The columns that order rows, found in their schema.
#[derive(Debug, Clone)]
pub struct SortKeys {
    columns: Vec<KeyColumn>,
}

#[derive(Debug, Clone)]
struct KeyColumn {
    by: SortBy,
    place: usize,
    of: DataType,
}

impl KeyColumn {
    fn options(&self) -> SortOptions {
        self.by.options()
    }

    fn field(&self) -> SortField {
        SortField::new_with_options(self.of.clone(), self.options())
    }
}

impl SortKeys {
    /// By the first, where that is equal by the second ….
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names, one of a type
    /// without order, or none at all.
    pub fn try_new(by: &[SortBy], schema: &Schema) -> Result<Self> {
        if by.is_empty() {
            return Err(Error::plan("there is no column to sort by"));
        }
        let column = |by: &SortBy| {
            let (place, field) = schema
                .column_with_name(&by.column)
                .ok_or_else(|| unknown_column(&by.column, schema))?;
            let column = KeyColumn {
                by: by.clone(),
                place,
                of: field.data_type().clone(),
            };
            match RowConverter::supports_fields(&[column.field()]) {
                true => Ok(column),
                false => Err(Error::plan(format!(
                    "rows cannot be sorted by {}, which is {}",
                    by.column, column.of
                ))),
            }
        };
        Ok(SortKeys {
            columns: by.iter().map(column).collect::<Result<_>>()?,
        })
    }

    /// The places of the key columns in the rows, the first that orders them first.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|column| column.place)
    }

    /// The code of each row of a batch of the schema that was given.
    ///
    /// # Errors
    ///
    /// Those of arrow-row, which takes all types that were let in.
    pub fn codes(&self, rows: &RecordBatch) -> Result<Codes> {
        let of = |column: &KeyColumn| Arc::clone(rows.column(column.place));
        self.codes_of(&self.columns.iter().map(of).collect::<Vec<_>>())
    }

    /// The codes of key columns alone, in the order in which they were given.
    ///
    /// # Errors
    ///
    /// As [`SortKeys::codes`].
    pub fn codes_of(&self, columns: &[ArrayRef]) -> Result<Codes> {
        codes(&self.columns, columns)
    }
}

/// Numbers as long as columns have some, and bytes of those behind.
fn codes(keys: &[KeyColumn], columns: &[ArrayRef]) -> Result<Codes> {
    if let (Some(key), Some(column)) = (keys.first(), columns.first())
        && let Some(numbers) = fixed(column, key.options())
    {
        return Ok(match keys.len() {
            1 => Codes::Fixed(numbers),
            _ => Codes::Led(numbers, Box::new(codes(&keys[1..], &columns[1..])?)),
        });
    }
    let fields = keys.iter().map(KeyColumn::field).collect();
    let columns: Vec<ArrayRef> = columns.iter().map(canonical).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
    Ok(Codes::Rows(rows))
}

/// Values of at most 64 bits as numbers; none for other types. Above the 64
/// bits stands whether it is a value, or a null before or behind all values.
pub(in crate::ops) fn fixed(column: &ArrayRef, options: SortOptions) -> Option<Vec<u128>> {
    let flip = if options.descending { u64::MAX } else { 0 };
    let null = if options.nulls_first { 0 } else { 2_u128 << 64 };
    let code = |key: u64| (1_u128 << 64) | u128::from(key ^ flip);
    let mut codes = keys(column)?.into_iter().map(code).collect::<Vec<_>>();
    if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (code, valid) in codes.iter_mut().zip(nulls) {
            if !valid {
                *code = null;
            }
        }
    }
    Some(codes)
}

/// Numbers without sign that compare as the values do.
fn keys(column: &ArrayRef) -> Option<Vec<u64>> {
    macro_rules! signed {
        ($native:ty) => {{
            const SIGN: u64 = 1 << 63;
            let values = natives::<$native>(column);
            values
                .iter()
                .map(|&value| value as i64 as u64 ^ SIGN)
                .collect()
        }};
    }
    macro_rules! unsigned {
        ($native:ty) => {
            natives::<$native>(column)
                .iter()
                .map(|&value| value as u64)
                .collect()
        };
    }
    Some(match column.data_type() {
        DataType::Boolean => column.as_boolean().values().iter().map(u64::from).collect(),
        DataType::UInt8 => unsigned!(u8),
        DataType::UInt16 => unsigned!(u16),
        DataType::UInt32 => unsigned!(u32),
        DataType::UInt64 => unsigned!(u64),
        DataType::Int8 => signed!(i8),
        DataType::Int16 => signed!(i16),
        DataType::Int32 | DataType::Date32 | DataType::Time32(_) | DataType::Decimal32(..) => {
            signed!(i32)
        }
        DataType::Int64
        | DataType::Date64
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Duration(_)
        | DataType::Decimal64(..) => signed!(i64),
        DataType::Float32 => floats(column.as_primitive::<Float32Type>().values(), f64::from),
        DataType::Float64 => floats(column.as_primitive::<Float64Type>().values(), |value| value),
        _ => return None,
    })
}

/// The values of a column whatever they mean, nulls too.
fn natives<T: arrow_buffer::ArrowNativeType>(column: &ArrayRef) -> ScalarBuffer<T> {
    let data = column.to_data();
    ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len())
}

fn floats<T: Copy>(values: &[T], widen: impl Fn(T) -> f64) -> Vec<u64> {
    let key = |&value: &T| {
        let value = widen(value);
        let value = if value.is_nan() {
            f64::NAN
        } else {
            value + 0.0
        };
        let bits = value.to_bits();
        // Negative numbers the other way round, below all others.
        bits ^ (((bits as i64 >> 63) as u64) | 1 << 63)
    };
    values.iter().map(key).collect()
}

/// Floats with one NaN, above all numbers, and one zero; all else as it is.
pub(in crate::ops) fn canonical(column: &ArrayRef) -> ArrayRef {
    macro_rules! canonical {
        ($type:ty) => {{
            type Native = <$type as ArrowPrimitiveType>::Native;
            let array = column.as_primitive::<$type>();
            let one = |value: Native| match value.is_nan() {
                true => Native::NAN,
                false if value == Native::from(0_i8) => Native::from(0_i8),
                false => value,
            };
            Arc::new(array.unary::<_, $type>(one))
        }};
    }
    match column.data_type() {
        DataType::Float16 => canonical!(Float16Type),
        DataType::Float32 => canonical!(Float32Type),
        DataType::Float64 => canonical!(Float64Type),
        _ => Arc::clone(column),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        BooleanArray, Decimal128Array, Float64Array, Int8Array, Int64Array, StringArray,
        UInt64Array,
    };
    use arrow_schema::Field;

    use super::*;

    fn order(column: ArrayRef, by: SortBy) -> Vec<u32> {
        let schema = Schema::new(vec![Field::new("a", column.data_type().clone(), true)]);
        let keys = SortKeys::try_new(&[by], &schema).unwrap();
        keys.codes_of(&[column]).unwrap().order()
    }

    fn up() -> SortBy {
        SortBy::ascending("a")
    }

    fn down() -> SortBy {
        SortBy::descending("a")
    }

    #[test]
    fn values_of_every_kind_come_in_their_order_and_equal_ones_as_they_stood() {
        let ints: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(3),
            None,
            Some(i64::MIN),
            Some(3),
            Some(i64::MAX),
            None,
            Some(-1),
        ]));
        assert_eq!(order(Arc::clone(&ints), up()), [2, 6, 0, 3, 4, 1, 5]);
        assert_eq!(
            order(Arc::clone(&ints), up().nulls_first()),
            [1, 5, 2, 6, 0, 3, 4]
        );
        assert_eq!(order(Arc::clone(&ints), down()), [4, 0, 3, 6, 2, 1, 5]);
        assert_eq!(order(ints, down().nulls_first()), [1, 5, 4, 0, 3, 6, 2]);
        let small: ArrayRef = Arc::new(Int8Array::from(vec![5, -128, 127, 0]));
        assert_eq!(order(small.slice(1, 3), up()), [0, 2, 1]);
        let big: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1 << 63]));
        assert_eq!(order(big, up()), [1, 2, 0]);
        let bools: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
        assert_eq!(order(bools, up()), [1, 0, 2]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["b", "", "aa", "a", "b"]));
        assert_eq!(order(Arc::clone(&texts), up()), [1, 3, 2, 0, 4]);
        assert_eq!(order(texts, down()), [0, 4, 2, 3, 1]);
        let wide: ArrayRef = Arc::new(Decimal128Array::from(vec![1 << 100, -1, 7]));
        assert_eq!(order(wide, up()), [1, 2, 0]);
    }

    #[test]
    fn nan_is_above_all_numbers_and_zeros_are_equal() {
        let floats = vec![
            f64::NAN,
            0.0,
            f64::INFINITY,
            -0.0,
            -f64::NAN,
            f64::NEG_INFINITY,
            -1.5,
        ];
        let one: ArrayRef = Arc::new(Float64Array::from(floats));
        let ascending = [5, 6, 1, 3, 2, 0, 4];
        assert_eq!(order(Arc::clone(&one), up()), ascending);
        assert_eq!(order(Arc::clone(&one), down()), [0, 4, 2, 1, 3, 6, 5]);
        // The same through bytes, as one of several columns is compared.
        let schema = Schema::new(vec![
            Field::new("a", DataType::Float64, true),
            Field::new("b", DataType::Int64, true),
        ]);
        let same: ArrayRef = Arc::new(Int64Array::from(vec![1; 7]));
        let keys = SortKeys::try_new(&[up(), SortBy::descending("b")], &schema).unwrap();
        assert_eq!(keys.codes_of(&[one, same]).unwrap().order(), ascending);
    }

    #[test]
    fn columns_that_are_not_there_or_have_no_order_are_refused() {
        let schema = Schema::new(vec![Field::new("bytes", DataType::Int64, true)]);
        let unknown = SortKeys::try_new(&["byte".into()], &schema).unwrap_err();
        assert!(unknown.to_string().contains("bytes"), "{unknown}");
        assert!(SortKeys::try_new(&[], &schema).is_err());
    }
}
