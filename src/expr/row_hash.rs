//! The hash of a row's key, by value.
//!
//! In:  key columns of one batch.
//! Out: 64 bits for each row, the same in every run and for every layout.
//!
//! Equal values hash alike whatever holds them: whole numbers of any width and
//! the fraction that equals them, texts in any layout, dictionaries and runs,
//! points in time of any unit. NaN is one value, -0 is 0, null is a value.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, Date32Type, Date64Type, Decimal128Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, DictionaryArray, OffsetSizeTrait, StructArray,
    downcast_dictionary_array,
};
use arrow_cast::cast;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, TimeUnit};

use super::hash::{hash_bytes, hash_pair, hash_u64, hash_u128};
use super::number::float_key;
use crate::error::{Error, Result};

/// What null hashes to.
const NULL: u64 = 0x6A09_E667_F3BC_C908;

/// The hash of each row of key columns, all of the same length.
///
/// # Errors
///
/// [`Error::Plan`] for no column, or one of a type that is no key.
pub(crate) fn hash_rows(columns: &[ArrayRef]) -> Result<Vec<u64>> {
    let Some((first, rest)) = columns.split_first() else {
        return Err(Error::plan("there is no key to hash"));
    };
    let mut hashes = hash_column(first)?;
    for column in rest {
        for (hash, other) in hashes.iter_mut().zip(hash_column(column)?) {
            *hash = hash_pair(*hash, other);
        }
    }
    Ok(hashes)
}

fn hash_column(column: &ArrayRef) -> Result<Vec<u64>> {
    macro_rules! wholes {
        ($($type:ty),*) => {
            match column.data_type() {
                $(t if *t == <$type as ArrowPrimitiveType>::DATA_TYPE => {
                    return Ok(primitive::<$type>(column, |value| hash_u64(value as i64 as u64)));
                })*
                _ => {}
            }
        };
    }
    wholes!(
        Int64Type, Int32Type, Int16Type, Int8Type, UInt32Type, UInt16Type, UInt8Type
    );
    Ok(match column.data_type() {
        DataType::Null => vec![NULL; column.len()],
        DataType::Boolean => {
            let bools = column.as_boolean();
            let hashes = bools.values().iter().map(|value| hash_u64(value.into()));
            with_nulls(hashes.collect(), column)
        }
        DataType::UInt64 => primitive::<UInt64Type>(column, |value| hash_whole(value.into())),
        DataType::Float16 => primitive::<Float16Type>(column, |value| hash_float(value.into())),
        DataType::Float32 => primitive::<Float32Type>(column, |value| hash_float(value.into())),
        DataType::Float64 => primitive::<Float64Type>(column, hash_float),
        DataType::Decimal128(_, 0) => primitive::<Decimal128Type>(column, hash_whole),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => hash_column(&cast(column, &DataType::Float64)?)?,
        DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..)
        | DataType::Duration(_)
        | DataType::Time32(_)
        | DataType::Time64(_) => times(column)?,
        DataType::Utf8 => bytes(column, column.as_string::<i32>().iter()),
        DataType::LargeUtf8 => bytes(column, column.as_string::<i64>().iter()),
        DataType::Utf8View => bytes(column, column.as_string_view().iter()),
        DataType::Binary => bytes(column, column.as_binary::<i32>().iter()),
        DataType::LargeBinary => bytes(column, column.as_binary::<i64>().iter()),
        DataType::BinaryView => bytes(column, column.as_binary_view().iter()),
        DataType::FixedSizeBinary(_) => bytes(column, column.as_fixed_size_binary().iter()),
        DataType::Dictionary(..) => downcast_dictionary_array!(
            column => dictionary(column)?,
            other => return Err(Error::plan(format!("{other} is no key")))
        ),
        DataType::RunEndEncoded(_, values) => hash_column(&cast(column, values.data_type())?)?,
        DataType::Struct(_) => structs(column, column.as_struct())?,
        DataType::List(_) => lists::<i32>(column)?,
        DataType::LargeList(_) => lists::<i64>(column)?,
        DataType::FixedSizeList(..) => {
            let lists = column.as_fixed_size_list();
            let width = lists.value_length() as usize;
            let ends = (0..lists.len()).map(|row| (row * width, (row + 1) * width));
            items(column, lists.values(), ends)?
        }
        other => row_bytes(column, other)?,
    })
}

/// Points and lengths of time.
fn times(column: &ArrayRef) -> Result<Vec<u64>> {
    Ok(match column.data_type() {
        DataType::Date32 => scaled::<Date32Type>(column, 86_400_000_000_000),
        DataType::Date64 => scaled::<Date64Type>(column, 1_000_000),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => scaled::<TimestampSecondType>(column, 1_000_000_000),
            TimeUnit::Millisecond => scaled::<TimestampMillisecondType>(column, 1_000_000),
            TimeUnit::Microsecond => scaled::<TimestampMicrosecondType>(column, 1_000),
            TimeUnit::Nanosecond => scaled::<TimestampNanosecondType>(column, 1),
        },
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => scaled::<DurationSecondType>(column, 1_000_000_000),
            TimeUnit::Millisecond => scaled::<DurationMillisecondType>(column, 1_000_000),
            TimeUnit::Microsecond => scaled::<DurationMicrosecondType>(column, 1_000),
            TimeUnit::Nanosecond => scaled::<DurationNanosecondType>(column, 1),
        },
        DataType::Time32(TimeUnit::Second) => scaled::<Time32SecondType>(column, 1_000_000_000),
        DataType::Time32(_) => scaled::<Time32MillisecondType>(column, 1_000_000),
        DataType::Time64(TimeUnit::Microsecond) => scaled::<Time64MicrosecondType>(column, 1_000),
        DataType::Time64(_) => scaled::<Time64NanosecondType>(column, 1),
        other => row_bytes(column, other)?,
    })
}

/// Numbers that `i64` holds hash as that, all others as their nearest `f64`.
#[inline]
fn hash_whole(value: i128) -> u64 {
    match i64::try_from(value) {
        Ok(value) => hash_u64(value as u64),
        Err(_) => hash_u64(float_key(value as f64) as u64 ^ NULL),
    }
}

#[inline]
fn hash_float(value: f64) -> u64 {
    const I64_END: f64 = 9_223_372_036_854_775_808.0; // 2^63
    let whole = value.trunc() == value && (-I64_END..I64_END).contains(&value);
    match whole {
        true => hash_u64(value as i64 as u64),
        false => hash_u64(float_key(value) as u64 ^ NULL),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    hash: impl Fn(T::Native) -> u64,
) -> Vec<u64> {
    let values = column.as_primitive::<T>().values();
    with_nulls(values.iter().map(|&value| hash(value)).collect(), column)
}

/// Points and lengths of time, in nanoseconds.
fn scaled<T: ArrowPrimitiveType>(column: &ArrayRef, nanos: i64) -> Vec<u64>
where
    T::Native: Into<i64>,
{
    primitive::<T>(column, |value| {
        let value: i64 = value.into();
        match value.checked_mul(nanos) {
            Some(value) => hash_u64(value as u64),
            None => hash_u128((i128::from(value) * i128::from(nanos)) as u128),
        }
    })
}

fn bytes<'a, B: AsRef<[u8]> + 'a + ?Sized>(
    column: &ArrayRef,
    values: impl Iterator<Item = Option<&'a B>>,
) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(column.len());
    hashes.extend(values.map(|value| value.map_or(NULL, |value| hash_bytes(value.as_ref()))));
    hashes
}

fn with_nulls(mut hashes: Vec<u64>, column: &ArrayRef) -> Vec<u64> {
    if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (hash, valid) in hashes.iter_mut().zip(nulls) {
            if !valid {
                *hash = NULL;
            }
        }
    }
    hashes
}

fn dictionary<K: ArrowDictionaryKeyType>(column: &DictionaryArray<K>) -> Result<Vec<u64>> {
    let values = hash_column(column.values())?;
    let rows = 0..column.len();
    Ok(rows
        .map(|row| column.key(row).map_or(NULL, |key| values[key]))
        .collect())
}

/// Members that are null count as missing, so order and absence mean nothing.
fn structs(column: &ArrayRef, structs: &StructArray) -> Result<Vec<u64>> {
    let mut hashes = vec![0_u64; column.len()];
    for (name, member) in structs.column_names().iter().zip(structs.columns()) {
        let name = hash_bytes(name.as_bytes());
        for (hash, value) in hashes.iter_mut().zip(hash_column(member)?) {
            if value != NULL {
                *hash = hash.wrapping_add(hash_pair(name, value));
            }
        }
    }
    Ok(with_nulls(hashes, column))
}

fn lists<O: OffsetSizeTrait>(column: &ArrayRef) -> Result<Vec<u64>> {
    let lists = column.as_list::<O>();
    let ends = lists.offsets().windows(2);
    let ends = ends.map(|at| (at[0].as_usize(), at[1].as_usize()));
    items(column, lists.values(), ends)
}

/// Lists, by the range of each in `values`.
fn items(
    column: &ArrayRef,
    values: &ArrayRef,
    ends: impl Iterator<Item = (usize, usize)>,
) -> Result<Vec<u64>> {
    let values = hash_column(values)?;
    let hashes = ends.map(|(from, to)| {
        let items = values[from..to].iter();
        items.fold((to - from) as u64, |hash, &item| hash_pair(hash, item))
    });
    Ok(with_nulls(hashes.collect(), column))
}

/// Other types, by the bytes that compare as they do.
fn row_bytes(column: &ArrayRef, of: &DataType) -> Result<Vec<u64>> {
    let fields = vec![SortField::new(of.clone())];
    if !RowConverter::supports_fields(&fields) {
        return Err(Error::plan(format!("{of} is no key")));
    }
    let rows = RowConverter::new(fields)?.convert_columns(std::slice::from_ref(column))?;
    let hashes = rows.iter().map(|row| hash_bytes(row.data()));
    Ok(with_nulls(hashes.collect(), column))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Decimal128Array, Float32Array, Float64Array, Int8Array, Int64Array, ListArray, StringArray,
        StructArray, TimestampSecondArray, UInt64Array,
    };
    use arrow_schema::Field;

    use super::*;

    fn hashed(column: impl Array + 'static) -> Vec<u64> {
        let column: ArrayRef = Arc::new(column);
        hash_rows(&[column]).unwrap()
    }

    fn hashed_as(column: &ArrayRef, to: &DataType) -> Vec<u64> {
        hash_rows(&[cast(column, to).unwrap()]).unwrap()
    }

    #[test]
    fn equal_numbers_hash_alike_in_every_type() {
        let ints = hashed(Int64Array::from(vec![Some(0), Some(-3), Some(7), None]));
        let floats = vec![Some(-0.0), Some(-3.0), Some(7.0), None];
        assert_eq!(ints, hashed(Float64Array::from(floats)));
        let floats = vec![Some(0.0_f32), Some(-3.0), Some(7.0), None];
        assert_eq!(ints, hashed(Float32Array::from(floats)));
        let small = vec![Some(0), Some(-3), Some(7), None];
        assert_eq!(ints, hashed(Int8Array::from(small)));
        let cents = Decimal128Array::from(vec![Some(0), Some(-300), Some(700), None]);
        let cents = cents.with_precision_and_scale(9, 2).unwrap();
        assert_eq!(ints, hashed(cents));
        let big = 1_u64 << 63;
        assert_eq!(
            hashed(UInt64Array::from(vec![big])),
            hashed(Float64Array::from(vec![big as f64]))
        );
        let nan = hashed(Float64Array::from(vec![f64::NAN, -f64::NAN, 0.1]));
        assert!(nan[0] == nan[1] && nan[0] != nan[2]);
        assert_eq!(
            ints.iter().collect::<std::collections::HashSet<_>>().len(),
            4
        );
    }

    #[test]
    fn equal_texts_and_times_hash_alike_in_every_layout() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a"),
            None,
            Some(""),
            Some("a text that is longer than twelve bytes"),
            Some("a"),
        ]));
        let plain = hash_rows(&[Arc::clone(&texts)]).unwrap();
        let dictionary = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
        for layout in [
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::Binary,
            dictionary,
        ] {
            assert_eq!(plain, hashed_as(&texts, &layout), "{layout}");
        }
        assert_eq!(plain[0], plain[4]);
        assert_ne!(plain[1], plain[2]);

        let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![0, 86_400, -86_400]));
        let days = hashed_as(&seconds, &DataType::Date32);
        let micros = hashed_as(&seconds, &DataType::Timestamp(TimeUnit::Microsecond, None));
        assert_eq!(hash_rows(&[seconds]).unwrap(), days);
        assert_eq!(micros, days);
    }

    #[test]
    fn nested_values_hash_by_what_they_hold() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
            Some(vec![Some(1), None]),
            Some(vec![None, Some(1)]),
        ]);
        let lists = hashed(lists.slice(1, 4));
        assert_eq!(
            lists.iter().collect::<std::collections::HashSet<_>>().len(),
            4
        );
        let member = |name: &str, values: Vec<Option<i64>>| {
            let values: ArrayRef = Arc::new(Int64Array::from(values));
            (Arc::new(Field::new(name, DataType::Int64, true)), values)
        };
        let narrow = StructArray::from(vec![member("a", vec![Some(1), Some(2)])]);
        let wide = StructArray::from(vec![
            member("b", vec![None, Some(2)]),
            member("a", vec![Some(1), Some(2)]),
        ]);
        let (narrow, wide) = (hashed(narrow), hashed(wide));
        assert_eq!(narrow[0], wide[0]);
        assert_ne!(narrow[1], wide[1]);
    }

    #[test]
    fn keys_of_several_columns_tell_their_columns_apart() {
        let a: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let b: ArrayRef = Arc::new(Int64Array::from(vec![2, 1]));
        let hashes = hash_rows(&[a, b]).unwrap();
        assert_ne!(hashes[0], hashes[1]);
        assert!(hash_rows(&[]).is_err());
    }
}
