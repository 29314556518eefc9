//! The values of a leaf, as Parquet stores them.
//!
//! In:  arrays of one type, and the rows of them that slots stand for.
//! Out: those values, in order, without the nulls between them.
//!
//! Numbers are copied, texts stay where they are.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, BinaryType, ByteArrayType, Date32Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, LargeBinaryType, LargeUtf8Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type, Utf8Type,
};
use arrow_array::{Array, ArrowPrimitiveType, DictionaryArray, downcast_dictionary_array};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, TimeUnit};

use super::leaf::{NOWHERE, Slots};
use super::shelf::Shelf;

/// The values of a leaf that are there, in order, as Parquet stores them.
#[derive(Debug)]
pub(crate) enum Values<'a> {
    Bool(Shelf<bool>),
    Int32(Shelf<i32>),
    Int64(Shelf<i64>),
    Float32(Shelf<f32>),
    Float64(Shelf<f64>),
    Bytes(Shelf<&'a [u8]>),
}

/// What a leaf is stored as.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Int32,
    Int64,
    Float32,
    Float64,
    Bytes,
}

impl Kind {
    /// Of a leaf's type, unless it is one that is left to the crate's writer.
    pub(super) fn of(data_type: &DataType) -> Option<Kind> {
        Some(match data_type {
            DataType::Boolean => Kind::Bool,
            DataType::Int8 | DataType::Int16 | DataType::Int32 => Kind::Int32,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Kind::Int32,
            DataType::Date32 => Kind::Int32,
            DataType::Int64 | DataType::UInt64 | DataType::Timestamp(_, _) => Kind::Int64,
            DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => Kind::Int64,
            DataType::Float32 => Kind::Float32,
            DataType::Float64 => Kind::Float64,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Bytes,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Kind::Bytes,
            DataType::Dictionary(_, values) => match values.as_ref() {
                DataType::Utf8 | DataType::LargeUtf8 => Kind::Bytes,
                DataType::Binary | DataType::LargeBinary => Kind::Bytes,
                _ => return None,
            },
            _ => return None,
        })
    }
}

impl<'a> Values<'a> {
    pub(super) fn new(kind: Kind, capacity: usize) -> Self {
        match kind {
            Kind::Bool => Values::Bool(Shelf::with_capacity(capacity)),
            Kind::Int32 => Values::Int32(Shelf::with_capacity(capacity)),
            Kind::Int64 => Values::Int64(Shelf::with_capacity(capacity)),
            Kind::Float32 => Values::Float32(Shelf::with_capacity(capacity)),
            Kind::Float64 => Values::Float64(Shelf::with_capacity(capacity)),
            Kind::Bytes => Values::Bytes(Shelf::with_capacity(capacity)),
        }
    }

    /// Appends the rows of a leaf's array that slots stand for.
    pub(super) fn append(&mut self, array: &'a dyn Array, slots: &Slots) -> Result<(), String> {
        match self {
            Values::Bool(values) => {
                let bits = array.as_boolean().values();
                each(array.len(), slots, |row| values.push(bits.value(row)));
            }
            Values::Int32(values) => match array.data_type() {
                DataType::Int8 => numbers::<Int8Type, _>(array, slots, values, i32::from),
                DataType::Int16 => numbers::<Int16Type, _>(array, slots, values, i32::from),
                DataType::Int32 => numbers::<Int32Type, _>(array, slots, values, |value| value),
                DataType::UInt8 => numbers::<UInt8Type, _>(array, slots, values, i32::from),
                DataType::UInt16 => numbers::<UInt16Type, _>(array, slots, values, i32::from),
                DataType::UInt32 => {
                    numbers::<UInt32Type, _>(array, slots, values, u32::cast_signed);
                }
                DataType::Date32 => numbers::<Date32Type, _>(array, slots, values, |value| value),
                other => return Err(format!("{other} is no 32-bit integer")),
            },
            Values::Int64(values) => match array.data_type() {
                DataType::UInt64 => {
                    numbers::<UInt64Type, _>(array, slots, values, u64::cast_signed);
                }
                DataType::Int64 => numbers::<Int64Type, _>(array, slots, values, |value| value),
                _ => {
                    // Times are stored as the number they hold.
                    let data = array.to_data();
                    let all = data.buffers()[0].typed_data::<i64>();
                    let all = &all[data.offset()..data.offset() + data.len()];
                    gather(all, slots, values, |value| value);
                }
            },
            Values::Float32(values) => {
                numbers::<Float32Type, _>(array, slots, values, |value| value);
            }
            Values::Float64(values) => {
                numbers::<Float64Type, _>(array, slots, values, |value| value);
            }
            Values::Bytes(values) => texts(array, slots, values),
        }
        Ok(())
    }
}

/// Calls `take` with every row that a slot stands for.
fn each(len: usize, slots: &Slots, take: impl FnMut(usize)) {
    match slots {
        Slots::Every(_) => (0..len).for_each(take),
        Slots::Some(slots) => {
            let there = slots.rows.iter().filter(|row| **row != NOWHERE);
            there.map(|row| *row as usize).for_each(take);
        }
    }
}

fn numbers<A: ArrowPrimitiveType, T>(
    array: &dyn Array,
    slots: &Slots,
    values: &mut Vec<T>,
    stored: impl Fn(A::Native) -> T,
) {
    gather(array.as_primitive::<A>().values(), slots, values, stored);
}

fn gather<N: Copy, T>(all: &[N], slots: &Slots, values: &mut Vec<T>, stored: impl Fn(N) -> T) {
    match slots {
        Slots::Every(_) => values.extend(all.iter().map(|value| stored(*value))),
        Slots::Some(_) => each(all.len(), slots, |row| values.push(stored(all[row]))),
    }
}

fn texts<'a>(array: &'a dyn Array, slots: &Slots, values: &mut Vec<&'a [u8]>) {
    fn of<'a, T: ByteArrayType>(array: &'a dyn Array, slots: &Slots, values: &mut Vec<&'a [u8]>) {
        let array = array.as_bytes::<T>();
        let (offsets, data) = (array.value_offsets(), array.value_data());
        let value = |pair: &[T::Offset]| &data[pair[0].as_usize()..pair[1].as_usize()];
        match slots {
            Slots::Every(_) => values.extend(offsets.windows(2).map(value)),
            Slots::Some(_) => each(array.len(), slots, |row| {
                values.push(value(&offsets[row..row + 2]))
            }),
        }
    }
    fn coded<'a, K: ArrowDictionaryKeyType>(
        dictionary: &'a DictionaryArray<K>,
        slots: &Slots,
        values: &mut Vec<&'a [u8]>,
    ) {
        let mut entries = Vec::with_capacity(dictionary.values().len());
        let entry_array: &'a dyn Array = dictionary.values().as_ref();
        texts(entry_array, &Slots::Every(entry_array.len()), &mut entries);
        let keys = dictionary.keys().values();
        each(keys.len(), slots, |row| {
            values.push(entries[keys[row].as_usize()])
        });
    }
    match array.data_type() {
        DataType::LargeUtf8 => of::<LargeUtf8Type>(array, slots, values),
        DataType::Binary => of::<BinaryType>(array, slots, values),
        DataType::LargeBinary => of::<LargeBinaryType>(array, slots, values),
        DataType::Utf8View => {
            let array = array.as_string_view();
            each(array.len(), slots, |row| {
                values.push(array.value(row).as_bytes())
            });
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            each(array.len(), slots, |row| values.push(array.value(row)));
        }
        DataType::Dictionary(_, _) => downcast_dictionary_array!(
            array => coded(array, slots, values),
            _ => {}
        ),
        _ => of::<Utf8Type>(array, slots, values),
    }
}
