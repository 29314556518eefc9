//! Rows that lie in many arrays of one type.
//!
//! In:  the arrays, and for each row its array and its place there.
//! Out: those rows as one array, in that order.
//!
//! Arrow's kernel looks up an array object for each value, and takes twice as
//! many bytes to say where it lies; numbers without nulls are read from plain
//! slices here.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, NullArray, make_array};
use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;
use arrow_select::interleave::interleave;

use crate::error::Result;

/// An array of some, and a row of it.
pub(crate) type At = (u32, u32);

/// The rows at `places` of some arrays of one type. There is one.
///
/// # Errors
///
/// [`crate::Error::External`] if the values of all together are too many for one array.
pub(crate) fn gather(columns: &[&dyn Array], places: &[At]) -> Result<ArrayRef> {
    let of = columns[0].data_type();
    if *of == DataType::Null {
        return Ok(Arc::new(NullArray::new(places.len())));
    }
    let has_nulls = columns.iter().any(|column| column.null_count() > 0);
    match of.primitive_width().filter(|_| !has_nulls) {
        Some(1) => numbers::<u8>(columns, places),
        Some(2) => numbers::<u16>(columns, places),
        Some(4) => numbers::<u32>(columns, places),
        Some(8) => numbers::<u64>(columns, places),
        Some(16) => numbers::<i128>(columns, places),
        _ => {
            let places = places.iter().map(|&(of, row)| (of as usize, row as usize));
            Ok(interleave(columns, &places.collect::<Vec<_>>())?)
        }
    }
}

/// The same of numbers as wide as `T`, none of which is null.
fn numbers<T: ArrowNativeType>(columns: &[&dyn Array], places: &[At]) -> Result<ArrayRef> {
    let values = columns.iter().map(|column| {
        let data = column.to_data();
        ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len())
    });
    let values: Vec<ScalarBuffer<T>> = values.collect();
    let slices: Vec<&[T]> = values.iter().map(|values| &values[..]).collect();
    let found = places.iter();
    let found = found.map(|&(of, row)| slices[of as usize][row as usize]);
    let found: Vec<T> = found.collect();
    let data = ArrayData::builder(columns[0].data_type().clone())
        .len(places.len())
        .add_buffer(Buffer::from_vec(found));
    Ok(make_array(data.build()?))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Decimal128Array, Float64Array, Int8Array, StringArray, UInt16Array};

    use super::*;

    #[test]
    fn rows_are_those_of_the_arrow_kernel_whatever_their_type() {
        let places: Vec<At> = (0..50).map(|n| (n * 7 % 3, n * 5 % 9)).collect();
        let indices = places.iter().map(|&(of, row)| (of as usize, row as usize));
        let indices: Vec<(usize, usize)> = indices.collect();
        let numbers = 0..40_i32;
        let decimals = Decimal128Array::from_iter_values(numbers.clone().map(i128::from));
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Int8Array::from_iter_values(0..40)),
            Arc::new(UInt16Array::from_iter_values(0..40)),
            Arc::new(Float64Array::from_iter_values(
                numbers.clone().map(f64::from),
            )),
            Arc::new(decimals.with_precision_and_scale(20, 3).unwrap()),
            Arc::new(UInt16Array::from_iter(
                (0..40).map(|n| (n % 5 > 0).then_some(n)),
            )),
            Arc::new(StringArray::from_iter_values(
                numbers.map(|n| n.to_string()),
            )),
            Arc::new(NullArray::new(40)),
        ];
        for array in arrays {
            let slices = [0, 11, 29].map(|start| array.slice(start, 11));
            let slices: Vec<&dyn Array> = slices.iter().map(|slice| &**slice).collect();
            let found = gather(&slices, &places).unwrap();
            found.to_data().validate_full().unwrap();
            if *array.data_type() != DataType::Null {
                assert_eq!(&found, &interleave(&slices, &indices).unwrap());
            }
            assert_eq!(found.len(), places.len());
            assert_eq!(gather(&slices, &[]).unwrap().len(), 0);
        }
    }
}
