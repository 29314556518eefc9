//! What one kind of value needs to be written: its encodings and its bounds.
//!
//! In:  the values of one page or dictionary.
//! Out: their bytes; the least and the greatest, in the order the format defines.

use std::cmp::Ordering;

use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::compress::compressed_size;
use super::delta::{encode_integers, encode_prefixed, encode_texts};
use super::dictionary::Entry;
use super::encoding::{delta_bits, prefixes_pay};
use super::hybrid::pack;
use crate::sink::parquet::STATISTICS_BYTES;

/// The least and the greatest of some values.
pub(super) type Bounds<T> = (T, T);

/// How the values of a leaf are to be compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// Integers whose bits are those of an unsigned number.
    pub(super) unsigned: bool,
    /// Whether cutting a bound short must keep it text.
    pub(super) text: bool,
    /// Whether old readers, which compare signed, may use the bounds.
    pub(super) signed: bool,
}

/// A value as Parquet stores it.
pub(super) trait Value: Entry {
    /// Whether values are of different lengths.
    const VARIABLE: bool = false;

    /// Whether a dictionary can ever pay.
    const DICTIONARY: bool = true;

    /// The encoding of what is no dictionary, judged from a few values, and how
    /// many bits a value then takes, if that can be told.
    fn direct(values: &[Self]) -> (Encoding, Option<f64>);

    /// Appends values plainly.
    fn encode_plain(values: &[Self], out: &mut Vec<u8>);

    /// Appends values in an encoding that suits their type.
    ///
    /// # Errors
    ///
    /// General, if the encoding is of other types.
    fn encode(values: &[Self], encoding: Encoding, out: &mut Vec<u8>) -> Result<(), ParquetError>;

    /// Puts it into a Bloom filter.
    fn note(self, filter: &mut Sbbf);

    fn compare(self, other: Self, order: Order) -> Ordering;

    /// The bounds of the values that can be compared, if there are any.
    fn bounds(values: &[Self], order: Order) -> Option<Bounds<Self>>;

    /// The bytes of a bound, not above the least value or not below the
    /// greatest, and whether they are the value's own.
    fn least_bytes(self, order: Order) -> (Vec<u8>, bool);

    fn greatest_bytes(self, order: Order) -> (Vec<u8>, bool) {
        self.least_bytes(order)
    }

    /// Statistics of a column chunk.
    fn statistics(bounds: Option<Bounds<Self>>, nulls: u64, order: Order) -> Statistics;
}

/// The bounds of two sets of values together.
pub(super) fn join<T: Value>(
    left: Option<Bounds<T>>,
    right: Option<Bounds<T>>,
    order: Order,
) -> Option<Bounds<T>> {
    let (Some(left), Some(right)) = (left, right) else {
        return left.or(right);
    };
    let least = match right.0.compare(left.0, order) {
        Ordering::Less => right.0,
        _ => left.0,
    };
    let greatest = match right.1.compare(left.1, order) {
        Ordering::Greater => right.1,
        _ => left.1,
    };
    Some((least, greatest))
}

fn unsuited(encoding: Encoding) -> ParquetError {
    ParquetError::General(format!("{encoding} does not suit this type"))
}

/// What a fixed number of bytes has to say of its bounds: they are kept whole.
macro_rules! whole_bounds {
    ($native:ty, $bytes:expr) => {
        fn least_bytes(self, _: Order) -> (Vec<u8>, bool) {
            ($bytes(self).to_vec(), true)
        }

        fn statistics(bounds: Option<Bounds<Self>>, nulls: u64, order: Order) -> Statistics {
            let (least, greatest) = bounds.unzip();
            ValueStatistics::<$native>::new(least, greatest, None, Some(nulls), false)
                .with_backwards_compatible_min_max(order.signed)
                .into()
        }
    };
}

macro_rules! integer_value {
    ($native:ty) => {
        impl Value for $native {
            fn direct(values: &[Self]) -> (Encoding, Option<f64>) {
                (Encoding::DELTA_BINARY_PACKED, Some(delta_bits(values)))
            }

            fn encode_plain(values: &[Self], out: &mut Vec<u8>) {
                out.reserve(size_of_val(values));
                for value in values {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }

            fn encode(
                values: &[Self],
                encoding: Encoding,
                out: &mut Vec<u8>,
            ) -> Result<(), ParquetError> {
                match encoding {
                    Encoding::PLAIN => Self::encode_plain(values, out),
                    Encoding::DELTA_BINARY_PACKED => encode_integers(values, out),
                    other => return Err(unsuited(other)),
                }
                Ok(())
            }

            fn note(self, filter: &mut Sbbf) {
                filter.insert(&self);
            }

            fn compare(self, other: Self, order: Order) -> Ordering {
                match order.unsigned {
                    true => self.cast_unsigned().cmp(&other.cast_unsigned()),
                    false => self.cmp(&other),
                }
            }

            fn bounds(values: &[Self], order: Order) -> Option<Bounds<Self>> {
                // With its first bit flipped, an unsigned number compares as a signed one.
                let flip = if order.unsigned { Self::MIN } else { 0 };
                let flipped = values.iter().map(|value| value ^ flip);
                let least = flipped.clone().min()?;
                let greatest = flipped.max()?;
                Some((least ^ flip, greatest ^ flip))
            }

            whole_bounds!($native, <$native>::to_le_bytes);
        }
    };
}

integer_value!(i32);
integer_value!(i64);

/// Fractions that are compressed both ways to tell which is smaller.
const FLOATS_TRIED: usize = 4096;

macro_rules! float_value {
    ($native:ty) => {
        impl Value for $native {
            fn direct(values: &[Self]) -> (Encoding, Option<f64>) {
                // Values that repeat compress further whole than as streams of bytes.
                let start = values.len().saturating_sub(FLOATS_TRIED) / 2;
                let tried = &values[start..values.len().min(start + FLOATS_TRIED)];
                let size = |encoding| {
                    let mut page = Vec::new();
                    Self::encode(tried, encoding, &mut page).ok()?;
                    compressed_size(&page)
                };
                let (plain, split) = (size(Encoding::PLAIN), size(Encoding::BYTE_STREAM_SPLIT));
                match (plain, split) {
                    (Some(plain), Some(split)) if plain < split => (Encoding::PLAIN, None),
                    _ => (Encoding::BYTE_STREAM_SPLIT, None),
                }
            }

            fn encode_plain(values: &[Self], out: &mut Vec<u8>) {
                out.reserve(size_of_val(values));
                for value in values {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }

            fn encode(
                values: &[Self],
                encoding: Encoding,
                out: &mut Vec<u8>,
            ) -> Result<(), ParquetError> {
                match encoding {
                    Encoding::PLAIN => Self::encode_plain(values, out),
                    // The first bytes of all values, then the second ones, ...
                    Encoding::BYTE_STREAM_SPLIT => {
                        for byte in 0..size_of::<Self>() {
                            out.extend(values.iter().map(|value| value.to_le_bytes()[byte]));
                        }
                    }
                    other => return Err(unsuited(other)),
                }
                Ok(())
            }

            fn note(self, filter: &mut Sbbf) {
                filter.insert(&self);
            }

            fn compare(self, other: Self, _: Order) -> Ordering {
                self.partial_cmp(&other).unwrap_or(Ordering::Equal)
            }

            fn bounds(values: &[Self], _: Order) -> Option<Bounds<Self>> {
                let (mut least, mut greatest) = (Self::INFINITY, Self::NEG_INFINITY);
                let mut comparable = false;
                for value in values {
                    comparable |= !value.is_nan();
                    least = if *value < least { *value } else { least };
                    greatest = if *value > greatest { *value } else { greatest };
                }
                // Zeros of either sign are equal, so bounds must hold both.
                let least = if least == 0.0 { -0.0 } else { least };
                let greatest = if greatest == 0.0 { 0.0 } else { greatest };
                comparable.then_some((least, greatest))
            }

            whole_bounds!($native, <$native>::to_le_bytes);
        }
    };
}

float_value!(f32);
float_value!(f64);

impl Value for bool {
    const DICTIONARY: bool = false;

    fn direct(_: &[Self]) -> (Encoding, Option<f64>) {
        (Encoding::PLAIN, None)
    }

    fn encode_plain(values: &[Self], out: &mut Vec<u8>) {
        let (groups, rest) = values.as_chunks::<8>();
        out.extend(groups.iter().map(|group| {
            // Eight bytes of 0 or 1; the product has them side by side in its last byte.
            let ones = u64::from_le_bytes(group.map(u8::from));
            (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
        }));
        pack(rest.iter().map(|value| u64::from(*value)), 1, out);
    }

    fn encode(values: &[Self], encoding: Encoding, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        match encoding {
            Encoding::PLAIN => Self::encode_plain(values, out),
            other => return Err(unsuited(other)),
        }
        Ok(())
    }

    fn note(self, filter: &mut Sbbf) {
        filter.insert(&self);
    }

    fn compare(self, other: Self, _: Order) -> Ordering {
        self.cmp(&other)
    }

    fn bounds(values: &[Self], _: Order) -> Option<Bounds<Self>> {
        let least = values.first().map(|_| !values.contains(&false))?;
        Some((least, values.contains(&true)))
    }

    whole_bounds!(bool, |value| [u8::from(value)]);
}

impl Value for &[u8] {
    const VARIABLE: bool = true;

    fn direct(values: &[Self]) -> (Encoding, Option<f64>) {
        match prefixes_pay(values) {
            true => (Encoding::DELTA_BYTE_ARRAY, None),
            false => (Encoding::DELTA_LENGTH_BYTE_ARRAY, None),
        }
    }

    fn encode_plain(values: &[Self], out: &mut Vec<u8>) {
        out.reserve(values.iter().map(|value| 4 + value.len()).sum());
        for value in values {
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(value);
        }
    }

    fn encode(values: &[Self], encoding: Encoding, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        match encoding {
            Encoding::PLAIN => Self::encode_plain(values, out),
            Encoding::DELTA_LENGTH_BYTE_ARRAY => encode_texts(values, out),
            Encoding::DELTA_BYTE_ARRAY => encode_prefixed(values, out),
            other => return Err(unsuited(other)),
        }
        Ok(())
    }

    fn note(self, filter: &mut Sbbf) {
        filter.insert(self);
    }

    fn compare(self, other: Self, _: Order) -> Ordering {
        self.cmp(other)
    }

    fn bounds(values: &[Self], _: Order) -> Option<Bounds<Self>> {
        let first = *values.first()?;
        let (mut least, mut greatest) = (first, first);
        let (mut least_head, mut greatest_head) = (head(first), head(first));
        for value in values {
            // Nearly always the first bytes decide, and nearly always for no.
            let head = head(value);
            if head <= least_head && *value < least {
                (least, least_head) = (value, head);
            }
            if head >= greatest_head && *value > greatest {
                (greatest, greatest_head) = (value, head);
            }
        }
        Some((least, greatest))
    }

    fn least_bytes(self, order: Order) -> (Vec<u8>, bool) {
        match cut(self, order) {
            Some(short) => (short.to_vec(), false),
            None => (self.to_vec(), true),
        }
    }

    fn greatest_bytes(self, order: Order) -> (Vec<u8>, bool) {
        match cut(self, order).and_then(|short| raised(short, order)) {
            Some(above) => (above, false),
            None => (self.to_vec(), true),
        }
    }

    fn statistics(bounds: Option<Bounds<Self>>, nulls: u64, order: Order) -> Statistics {
        let least = bounds.map(|(least, _)| least.least_bytes(order));
        let greatest = bounds.map(|(_, greatest)| greatest.greatest_bytes(order));
        let least_exact = least.as_ref().is_some_and(|(_, exact)| *exact);
        let greatest_exact = greatest.as_ref().is_some_and(|(_, exact)| *exact);
        ValueStatistics::<ByteArray>::new(
            least.map(|(bytes, _)| bytes.into()),
            greatest.map(|(bytes, _)| bytes.into()),
            None,
            Some(nulls),
            false,
        )
        .with_backwards_compatible_min_max(order.signed)
        .with_min_is_exact(least_exact)
        .with_max_is_exact(greatest_exact)
        .into()
    }
}

/// The first eight bytes, as a number that compares as they do.
fn head(text: &[u8]) -> u64 {
    match text.first_chunk::<8>() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut padded = [0; 8];
            padded[..text.len()].copy_from_slice(text);
            u64::from_be_bytes(padded)
        }
    }
}

/// A bound's first bytes, if it is too long to be kept whole.
fn cut(value: &[u8], order: Order) -> Option<&[u8]> {
    if value.len() <= STATISTICS_BYTES {
        return None;
    }
    if !order.text {
        return Some(&value[..STATISTICS_BYTES]);
    }
    let start_of_character = |at: &usize| value[*at] & 0xC0 != 0x80;
    let end = (1..=STATISTICS_BYTES).rev().find(start_of_character)?;
    Some(&value[..end])
}

/// The least value of at most this length that is greater than all that begin with `short`.
fn raised(short: &[u8], order: Order) -> Option<Vec<u8>> {
    if order.text {
        let text = str::from_utf8(short).ok()?;
        // A character whose successor has as many bytes, from the last backwards.
        return text.char_indices().rev().find_map(|(at, last)| {
            let next = char::from_u32(last as u32 + 1)?;
            let same_length = next.len_utf8() == last.len_utf8();
            same_length.then(|| [&short[..at], next.encode_utf8(&mut [0; 4]).as_bytes()].concat())
        });
    }
    let last = short.iter().rposition(|byte| *byte != u8::MAX)?;
    // The crate's bounds keep the length, so the bytes behind wrap to zero.
    let mut above = short.to_vec();
    above[last] += 1;
    above[last + 1..].fill(0);
    Some(above)
}
