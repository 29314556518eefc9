//! Numbers by value, whatever type holds them.
//!
//! In:  arrays of any type.
//! Out: [`Numbers`], which compare exactly: `i64`, `u64` and `f64` are never
//! rounded into each other.
//!
//! A text is the number it spells, or null if it spells none. NaN equals
//! itself and is larger than every number; -0 equals 0.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Float64Array, Int64Array, PrimitiveArray, StringArray,
    UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::DataType;

use super::text::push_float;
use crate::error::Result;

/// One number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Num {
    Int(i128),
    Float(f64),
}

impl Num {
    /// The number a text spells: a whole number of up to 38 digits exactly,
    /// anything else as the nearest `f64`. Blanks around and a plus are fine.
    pub fn parse(text: &str) -> Option<Num> {
        let text = text.trim_ascii();
        let bytes = text.as_bytes();
        // Only digits, signs, point and exponent: `inf`, `nan` and the like are no numbers.
        if !bytes.iter().any(u8::is_ascii_digit)
            || !bytes
                .iter()
                .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
        {
            return None;
        }
        if let Ok(int) = text.parse::<i128>() {
            return Some(Num::Int(int));
        }
        text.parse::<f64>().ok().map(Num::Float)
    }

    /// Compares by value, without rounding.
    pub fn total_cmp(self, other: Num) -> Ordering {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => a.cmp(&b),
            (Num::Float(a), Num::Float(b)) => float_key(a).cmp(&float_key(b)),
            (Num::Int(a), Num::Float(b)) => cmp_int_float(a, b),
            (Num::Float(a), Num::Int(b)) => cmp_int_float(b, a).reverse(),
        }
    }

    /// The number in one form for each value, so that equal numbers hash alike.
    pub fn key(self) -> (bool, i128) {
        match self {
            Num::Int(value) => (false, value),
            Num::Float(value) if is_int(value) => (false, value as i128),
            Num::Float(value) => (true, i128::from(float_key(value))),
        }
    }

    /// The number that a [`Num::key`] was made of.
    pub fn of_key((is_float, key): (bool, i128)) -> Num {
        if !is_float {
            return Num::Int(key);
        }
        Num::Float(of_float_order(key as i64))
    }

    /// The nearest `f64`.
    pub fn to_f64(self) -> f64 {
        match self {
            Num::Int(value) => value as f64,
            Num::Float(value) => value,
        }
    }

    /// The whole number, with the fraction cut off; none for NaN and what no `i128` holds.
    pub fn truncated(self) -> Option<i128> {
        match self {
            Num::Int(value) => Some(value),
            Num::Float(value) if is_int(value.trunc()) => Some(value.trunc() as i128),
            Num::Float(_) => None,
        }
    }

    /// The whole number, if it is one.
    pub fn exact_int(self) -> Option<i128> {
        match self {
            Num::Float(value) if value.trunc() != value => None,
            other => other.truncated(),
        }
    }
}

/// Its canonical text.
impl std::fmt::Display for Num {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Num::Int(value) => write!(f, "{value}"),
            Num::Float(value) => {
                let mut text = String::new();
                push_float(*value, &mut text);
                f.write_str(&text)
            }
        }
    }
}

const I128_END: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0; // 2^127

fn is_int(value: f64) -> bool {
    value.trunc() == value && (-I128_END..I128_END).contains(&value)
}

fn cmp_int_float(int: i128, float: f64) -> Ordering {
    if float.is_nan() || float >= I128_END {
        return Ordering::Less;
    }
    if float < -I128_END {
        return Ordering::Greater;
    }
    let whole = float.trunc();
    int.cmp(&(whole as i128)).then_with(|| {
        0.0_f64
            .partial_cmp(&(float - whole))
            .unwrap_or(Ordering::Equal)
    })
}

/// A number whose order as an integer is the order of floats, with -0 as 0
/// and every NaN as the same, largest one.
#[inline]
pub(crate) fn float_key(value: f64) -> i64 {
    float_order(value + 0.0)
}

/// The same with -0 below 0.
#[inline]
pub(crate) fn float_order(value: f64) -> i64 {
    let value = if value.is_nan() { f64::NAN } else { value };
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The float that has this place in [`float_order`].
pub(crate) fn of_float_order(key: i64) -> f64 {
    f64::from_bits((key ^ (((key >> 63) as u64) >> 1) as i64) as u64)
}

/// A column of numbers.
#[derive(Debug, Clone)]
pub(crate) enum Numbers {
    Int(Int64Array),
    UInt(UInt64Array),
    Float(Float64Array),
    /// Read from text, where whole numbers and fractions may mix, or beyond 64 bits.
    Mixed {
        values: Vec<Num>,
        nulls: Option<NullBuffer>,
    },
}

impl Numbers {
    /// The numbers of an array. What is no number is null: so is every value
    /// of a type that holds none.
    pub fn of(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Int64 => Numbers::Int(array.as_primitive::<Int64Type>().clone()),
            DataType::UInt64 => Numbers::UInt(array.as_primitive::<UInt64Type>().clone()),
            DataType::Float64 => Numbers::Float(array.as_primitive::<Float64Type>().clone()),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Numbers::of(&cast(array, &DataType::Int64)?)?,
            DataType::Decimal128(_, 0) => {
                let array = array.as_primitive::<Decimal128Type>();
                Numbers::Mixed {
                    values: array.values().iter().copied().map(Num::Int).collect(),
                    nulls: array.nulls().cloned(),
                }
            }
            DataType::Float16
            | DataType::Float32
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Numbers::of(&cast(array, &DataType::Float64)?)?,
            DataType::Utf8 => Numbers::parse(array.as_string::<i32>()),
            DataType::LargeUtf8 | DataType::Utf8View => {
                Numbers::of(&cast(array, &DataType::Utf8)?)?
            }
            DataType::Dictionary(_, inner) => Numbers::of(&cast(array, inner)?)?,
            DataType::RunEndEncoded(_, inner) => Numbers::of(&cast(array, inner.data_type())?)?,
            _ => Numbers::Int(Int64Array::new_null(array.len())),
        })
    }

    fn parse(texts: &StringArray) -> Self {
        Numbers::collect(texts.iter().map(|text| text.and_then(Num::parse)))
    }

    /// Numbers one by one: `Int64` if it holds them all.
    pub fn collect(numbers: impl Iterator<Item = Option<Num>>) -> Self {
        let mut values = Vec::with_capacity(numbers.size_hint().0);
        let mut valid = Vec::with_capacity(numbers.size_hint().0);
        let mut ints = true;
        for number in numbers {
            valid.push(number.is_some());
            let number = number.unwrap_or(Num::Int(0));
            ints &= matches!(number, Num::Int(value) if i64::try_from(value).is_ok());
            values.push(number);
        }
        let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
        if ints {
            let ints = values.iter().map(|number| match number {
                Num::Int(value) => *value as i64, // Checked above.
                Num::Float(_) => 0,
            });
            return Numbers::Int(Int64Array::new(ints.collect(), nulls));
        }
        Numbers::Mixed { values, nulls }
    }

    pub fn len(&self) -> usize {
        match self {
            Numbers::Int(array) => array.len(),
            Numbers::UInt(array) => array.len(),
            Numbers::Float(array) => array.len(),
            Numbers::Mixed { values, .. } => values.len(),
        }
    }

    pub fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Numbers::Int(array) => array.nulls(),
            Numbers::UInt(array) => array.nulls(),
            Numbers::Float(array) => array.nulls(),
            Numbers::Mixed { nulls, .. } => nulls.as_ref(),
        }
    }

    /// The number of a row, whether or not it is null.
    #[inline]
    pub fn value(&self, row: usize) -> Num {
        match self {
            Numbers::Int(array) => Num::Int(i128::from(array.value(row))),
            Numbers::UInt(array) => Num::Int(i128::from(array.value(row))),
            Numbers::Float(array) => Num::Float(array.value(row)),
            Numbers::Mixed { values, .. } => values[row],
        }
    }

    /// The number of a row; none where it is null.
    pub fn get(&self, row: usize) -> Option<Num> {
        match self.nulls() {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.value(row)),
        }
    }

    /// Every number as the nearest `f64`.
    pub fn to_floats(&self) -> Float64Array {
        match self {
            Numbers::Float(array) => array.clone(),
            Numbers::Int(array) => array.unary(|value| value as f64),
            Numbers::UInt(array) => array.unary(|value| value as f64),
            other => {
                let values = (0..other.len()).map(|row| other.value(row).to_f64());
                Float64Array::new(values.collect(), other.nulls().cloned())
            }
        }
    }
}

/// The value of a text that spells NaN or an infinity, as Rust and others write them.
pub(crate) fn not_finite(text: &str) -> Option<f64> {
    let spelled = !text.bytes().any(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| spelled)
}

/// `Int64` or `UInt64` if one of them holds every value, the one that is
/// wanted first; `Some(None)` is no whole number at all.
pub(crate) fn ints_to_array(
    values: impl Iterator<Item = Option<Option<i128>>> + Clone,
    wanted: &DataType,
) -> Option<ArrayRef> {
    /// None if a value does not fit.
    fn collect<T: ArrowPrimitiveType>(
        values: impl Iterator<Item = Option<Option<i128>>>,
    ) -> Option<ArrayRef>
    where
        T::Native: TryFrom<i128>,
    {
        let fitting = values
            .map(|value| match value {
                None => Some(None),
                Some(value) => T::Native::try_from(value?).ok().map(Some),
            })
            .collect::<Option<PrimitiveArray<T>>>()?;
        Some(Arc::new(fitting))
    }
    if *wanted == DataType::UInt64 {
        collect::<UInt64Type>(values.clone()).or_else(|| collect::<Int64Type>(values))
    } else {
        collect::<Int64Type>(values.clone()).or_else(|| collect::<UInt64Type>(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_spell_numbers_or_nothing() {
        let text = |text: &str| Num::parse(text).map(|number| number.to_string());
        for (spelt, expected) in [
            ("0", "0"),
            (" +007 ", "7"),
            ("-5", "-5"),
            ("18446744073709551616", "18446744073709551616"),
            ("3.0", "3"),
            ("1e3", "1000"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e400", "inf"),
        ] {
            assert_eq!(text(spelt).as_deref(), Some(expected), "{spelt}");
        }
        for none in [
            "", " ", "n/a", "inf", "NaN", "0x10", "1 2", "--5", "e", "1e", "-", ".", "१",
        ] {
            assert_eq!(text(none), None, "{none}");
        }
    }

    #[test]
    fn integers_and_floats_compare_exactly() {
        use Ordering::{Equal, Greater, Less};
        let int = |value: i128| Num::Int(value);
        let float = Num::Float;
        for (a, b, expected) in [
            (
                int(9_007_199_254_740_993),
                float(9_007_199_254_740_992.0),
                Greater,
            ),
            (
                int(9_007_199_254_740_992),
                float(9_007_199_254_740_992.0),
                Equal,
            ),
            (
                int(i128::from(i64::MAX)),
                float(9_223_372_036_854_775_808.0),
                Less,
            ),
            (
                int(i128::from(u64::MAX)),
                float(18_446_744_073_709_551_616.0),
                Less,
            ),
            (int(0), float(-0.0), Equal),
            (int(2), float(2.5), Less),
            (int(-2), float(-2.5), Greater),
            (int(i128::MAX), float(f64::INFINITY), Less),
            (int(i128::MIN), float(f64::NEG_INFINITY), Greater),
            (int(i128::MIN), float(-I128_END), Equal),
            (int(i128::MAX), float(f64::NAN), Less),
            (float(f64::NAN), float(f64::NAN), Equal),
            (float(-f64::NAN), float(f64::INFINITY), Greater),
            (float(0.0), float(-0.0), Equal),
            (float(-1.5), float(-1.25), Less),
        ] {
            assert_eq!(a.total_cmp(b), expected, "{a} {b}");
            assert_eq!(b.total_cmp(a), expected.reverse(), "{b} {a}");
            assert_eq!(a.key() == b.key(), expected == Equal, "{a} {b}");
        }
    }

    #[test]
    fn texts_of_small_whole_numbers_become_integers() {
        let numbers = |texts: Vec<Option<&str>>| {
            let array: ArrayRef = Arc::new(StringArray::from(texts));
            Numbers::of(&array).unwrap()
        };
        let Numbers::Int(array) = numbers(vec![Some("5"), None, Some("n/a")]) else {
            panic!("not integers");
        };
        assert_eq!(array, Int64Array::from(vec![Some(5), None, None]));
        let mixed = numbers(vec![Some("18446744073709551615"), Some("0.5"), Some("x")]);
        assert_eq!(
            mixed.get(0).unwrap().exact_int(),
            Some(i128::from(u64::MAX))
        );
        assert_eq!(mixed.get(1).unwrap().to_f64(), 0.5);
        assert!(mixed.get(2).is_none());
    }
}
