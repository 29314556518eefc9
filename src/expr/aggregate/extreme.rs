//! The smallest and the largest value.
//!
//! In:  values of one type that has an order.
//! Out: one value of that type per group; null without values.
//!
//! Every NaN is the same and above all numbers; -0 is below 0. Fixed-width
//! values are held as they lie in the array, texts as their bytes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::ByteArrayType;
use arrow_array::{Array, ArrayRef, GenericByteArray, make_array};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use super::state::{Groups, Seen, State};
use crate::error::Result;

/// What `$fixed` makes of the Rust type that values of a fixed width with an order
/// are held as; none for a type of others.
macro_rules! by_native {
    ($data_type:expr, $fixed:ident) => {{
        use arrow_schema::{DataType as T, TimeUnit};
        match $data_type {
            T::Int8 => $fixed!(i8),
            T::Int16 => $fixed!(i16),
            T::Int32 | T::Date32 | T::Decimal32(..) => $fixed!(i32),
            T::Time32(TimeUnit::Second | TimeUnit::Millisecond) => $fixed!(i32),
            T::Int64 | T::Date64 | T::Decimal64(..) | T::Time64(_) => $fixed!(i64),
            T::Timestamp(..) | T::Duration(_) => $fixed!(i64),
            T::Decimal128(..) => $fixed!(i128),
            T::UInt8 => $fixed!(u8),
            T::UInt16 => $fixed!(u16),
            T::UInt32 => $fixed!(u32),
            T::UInt64 => $fixed!(u64),
            T::Float32 => $fixed!(f32),
            T::Float64 => $fixed!(f64),
            _ => None,
        }
    }};
}
pub(super) use by_native;

/// The state for a type; none if its values have no order that is kept here.
pub(super) fn state(data_type: &DataType, largest: bool) -> Option<Box<dyn State>> {
    macro_rules! fixed {
        ($native:ty) => {
            Some(Box::new(Fixed::<$native>::new(data_type.clone(), largest)))
        };
    }
    if *data_type == DataType::Utf8 {
        return Some(Box::new(Texts::new(largest)));
    }
    by_native!(data_type, fixed)
}

/// A fixed-width value with the order that is kept here.
pub(super) trait Ranked: ArrowNativeType {
    /// What stands above no value, and below none.
    const LEAST: Self;
    const MOST: Self;

    /// The one form of values that are the same.
    fn canonical(self) -> Self;

    /// Whether it stands above another; both canonical.
    fn above(self, other: Self) -> bool;
}

macro_rules! ranked {
    ($($native:ty),*) => {$(
        impl Ranked for $native {
            const LEAST: Self = Self::MIN;
            const MOST: Self = Self::MAX;

            #[inline]
            fn canonical(self) -> Self {
                self
            }

            #[inline]
            fn above(self, other: Self) -> bool {
                self > other
            }
        }
    )*};
}
ranked!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

macro_rules! ranked_float {
    ($($native:ty),*) => {$(
        impl Ranked for $native {
            const LEAST: Self = Self::NEG_INFINITY;
            const MOST: Self = Self::NAN;

            #[inline]
            fn canonical(self) -> Self {
                if self.is_nan() { <$native>::NAN } else { self }
            }

            #[inline]
            fn above(self, other: Self) -> bool {
                self.total_cmp(&other).is_gt()
            }
        }
    )*};
}
ranked_float!(f32, f64);

/// Values of one width.
struct Fixed<N> {
    data_type: DataType,
    largest: bool,
    best: Vec<N>,
    seen: Seen,
}

impl<N: Ranked> Fixed<N> {
    fn new(data_type: DataType, largest: bool) -> Self {
        Fixed {
            data_type,
            largest,
            best: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn take_in(&mut self, groups: Groups<'_>, nulls: Option<&NullBuffer>, values: &[N]) {
        let best = &mut self.best;
        match self.largest {
            true => groups.for_valid(nulls, |row, group| {
                let (value, best) = (values[row].canonical(), &mut best[group]);
                *best = if value.above(*best) { value } else { *best };
            }),
            false => groups.for_valid(nulls, |row, group| {
                let (value, best) = (values[row].canonical(), &mut best[group]);
                *best = if best.above(value) { value } else { *best };
            }),
        }
        self.seen.note(groups, nulls);
    }
}

impl<N: Ranked> State for Fixed<N> {
    fn grow(&mut self, n_groups: usize) {
        self.seen.grow(n_groups);
        let none = if self.largest { N::LEAST } else { N::MOST };
        self.best.resize(self.seen.len(), none);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let data = columns[0].to_data();
        let buffer: &Buffer = &data.buffers()[0];
        let values = ScalarBuffer::<N>::new(buffer.clone(), data.offset(), data.len());
        self.take_in(groups, data.nulls(), &values);
        Ok(())
    }

    /// A partial is a value for each group, so it is taken in like rows.
    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.update(groups, partial)
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish()?])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let best = std::mem::take(&mut self.best);
        let data = ArrayData::builder(self.data_type.clone())
            .len(best.len())
            .nulls(self.seen.take_nulls())
            .add_buffer(Buffer::from_vec(best))
            .build()?;
        Ok(make_array(data))
    }

    fn bytes(&self) -> usize {
        size_of::<N>() * self.best.capacity() + self.seen.bytes()
    }
}

/// Texts, ordered by their bytes.
struct Texts {
    largest: bool,
    best: Vec<Vec<u8>>,
    seen: Seen,
    text_bytes: usize,
}

impl Texts {
    fn new(largest: bool) -> Self {
        Texts {
            largest,
            best: Vec::new(),
            seen: Seen::default(),
            text_bytes: 0,
        }
    }

    fn offer(&mut self, group: usize, value: &[u8]) {
        let best = &mut self.best[group];
        let better = if self.largest {
            value > best.as_slice()
        } else {
            value < best.as_slice()
        };
        if better || !self.seen.get(group) {
            self.text_bytes -= best.capacity();
            best.clear();
            best.extend_from_slice(value);
            self.text_bytes += best.capacity();
            self.seen.set(group);
        }
    }

    fn take_in<T: ByteArrayType>(&mut self, groups: Groups<'_>, array: &GenericByteArray<T>) {
        groups.for_valid(array.nulls(), |row, group| {
            let value: &T::Native = array.value(row);
            self.offer(group, value.as_ref());
        });
    }
}

impl State for Texts {
    fn grow(&mut self, n_groups: usize) {
        self.seen.grow(n_groups);
        self.best.resize(self.seen.len(), Vec::new());
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        self.take_in(groups, columns[0].as_string::<i32>());
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.update(groups, partial)
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish()?])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let best = std::mem::take(&mut self.best);
        self.text_bytes = 0;
        let nulls = self.seen.take_nulls();
        let offsets = super::state::offsets_of(best.iter().map(Vec::len))?;
        let array = arrow_array::StringArray::try_new(offsets, best.concat().into(), nulls)?;
        Ok(Arc::new(array))
    }

    fn bytes(&self) -> usize {
        size_of::<Vec<u8>>() * self.best.capacity() + self.text_bytes + self.seen.bytes()
    }
}
