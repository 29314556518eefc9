//! Number literals: exact values in, canonical text out.
//!
//! In:  text at the first byte of a number.
//! Out: an `i64`, a `u64` above that, a correctly rounded `f64`, or [`Number::Huge`].
//!
//! Text is canonical when equal values have equal text, whichever type held
//! them on the way: `1`, `1.0` and `1e0` are all `1`.

use std::io::Write;

use super::lattice::Scalars;
use super::scan::{self, Text};

/// A number literal's value in the first type of the lattice that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::io) enum Number {
    Int(i64),
    /// Above `i64::MAX`.
    UInt(u64),
    /// Written with a fraction or exponent; finite, but for the `NaN` and `inf` of CSV.
    Float(f64),
    /// An integer outside 64 bits, or a float that is infinite in an `f64`.
    Huge,
}

impl Number {
    pub fn facts(self) -> Scalars {
        match self {
            Number::Int(value) => int_facts(value),
            Number::UInt(value) => uint_facts(value),
            Number::Float(_) => Scalars::FLOAT,
            Number::Huge => Scalars::HUGE,
        }
    }
}

pub(in crate::io) fn int_facts(value: i64) -> Scalars {
    let sign = if value < 0 {
        Scalars::NEGATIVE
    } else {
        Scalars::NUMBER
    };
    if is_exact(value.unsigned_abs()) {
        sign
    } else {
        sign.with(Scalars::INEXACT)
    }
}

pub(in crate::io) fn uint_facts(value: u64) -> Scalars {
    let size = if value > i64::MAX as u64 {
        Scalars::BIG
    } else {
        Scalars::NUMBER
    };
    if is_exact(value) {
        size
    } else {
        size.with(Scalars::INEXACT)
    }
}

/// Whether an `f64` equals this integer: at most 53 bits from the first one to the last.
fn is_exact(magnitude: u64) -> bool {
    magnitude == 0 || 64 - magnitude.leading_zeros() - magnitude.trailing_zeros() <= 53
}

/// What all values of an integer column say, unioned. One pass, and a second
/// one only where a value leaves 53 bits.
pub(in crate::io) fn facts_of_ints(values: &[i64]) -> Scalars {
    let (mut signs, mut magnitudes) = (0, 0);
    for value in values {
        signs |= *value;
        magnitudes |= value.unsigned_abs();
    }
    let facts = if signs < 0 {
        Scalars::NEGATIVE
    } else {
        Scalars::NUMBER
    };
    if magnitudes >> 53 == 0 || values.iter().all(|v| is_exact(v.unsigned_abs())) {
        facts
    } else {
        facts.with(Scalars::INEXACT)
    }
}

/// The same for a column of `u64`.
pub(in crate::io) fn facts_of_uints(values: &[u64]) -> Scalars {
    values
        .iter()
        .map(|value| uint_facts(*value))
        .fold(Scalars::NUMBER, Scalars::with)
}

/// Why a number literal is none: what stands at `at` is not what a number needs there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::io) struct BadNumber {
    pub at: usize,
    pub leading_zero: bool,
}

/// Reads the number that starts at `start`; returns its value and where it ends.
#[inline]
pub(in crate::io) fn scan_number(
    text: Text<'_>,
    start: usize,
) -> Result<(Number, usize), BadNumber> {
    match scan_int(text, start) {
        Some((value, end)) => Ok((Number::Int(value), end)),
        None => scan_long(text, start),
    }
}

/// Reads an integer of up to 15 digits, which is nearly every one.
#[inline(always)]
pub(in crate::io) fn scan_int(text: Text<'_>, start: usize) -> Option<(i64, usize)> {
    let negative = text.byte(start) == b'-';
    let first = start + usize::from(negative);
    let (end, value) = scan_15_digits(text, first)?;
    if matches!(text.byte(end), b'.' | b'e' | b'E') {
        return None;
    }
    let value = value as i64;
    Some((if negative { -value } else { value }, end))
}

/// Reads a number of up to 15 digits with a fraction of up to 7 and no
/// exponent, which is nearly every float of a log.
#[inline(always)]
pub(in crate::io) fn scan_float(text: Text<'_>, start: usize) -> Option<(f64, usize)> {
    scan_decimal(text, start).map(|decimal| (decimal.value, decimal.end))
}

/// A number with a fraction, read without a doubt.
pub(in crate::io) struct Decimal {
    pub value: f64,
    /// Its digits as one integer.
    pub mantissa: u64,
    /// How many of them are behind the point.
    pub decimals: usize,
    pub end: usize,
}

/// The same, with how it was written.
#[inline(always)]
pub(in crate::io) fn scan_decimal(text: Text<'_>, start: usize) -> Option<Decimal> {
    let negative = text.byte(start) == b'-';
    let first = start + usize::from(negative);
    let (point, whole) = scan_15_digits(text, first)?;
    let (n, fraction) = scan::digits(text.word(point + 1));
    let end = point + 1 + n;
    let mantissa = whole.wrapping_mul(POWERS[n]).wrapping_add(fraction);
    // Fifteen digits and seven fit an u64, and 2^53 bounds what is exact.
    let is_short = text.byte(point) == b'.' && n != 0 && n != 8 && mantissa < 1 << 53;
    if !is_short || matches!(text.byte(end), b'e' | b'E') {
        return None;
    }
    let magnitude = mantissa as f64 / EXACT_POWERS[n];
    Some(Decimal {
        value: if negative { -magnitude } else { magnitude },
        mantissa,
        decimals: n,
        end,
    })
}

/// Reads 1 to 15 digits without a leading zero; returns where they end, and their value.
#[inline(always)]
fn scan_15_digits(text: Text<'_>, first: usize) -> Option<(usize, u64)> {
    let (n, value) = scan::digits(text.word(first));
    if n == 0 || (n > 1 && text.byte(first) == b'0') {
        return None;
    }
    if n < 8 {
        return Some((first + n, value));
    }
    let (more, low) = scan::digits(text.word(first + 8));
    if more == 8 {
        return None;
    }
    Some((first + 8 + more, value * POWERS[more] + low))
}

/// Where the number at `start` ends, whatever its value.
#[inline(always)]
pub(in crate::io) fn skip_number(text: Text<'_>, start: usize) -> Result<usize, BadNumber> {
    let first = start + usize::from(text.byte(start) == b'-');
    let end = first + scan::count_digits(text.word(first));
    let n = end - first;
    let is_short = n != 0 && n != 8 && (n == 1 || text.byte(first) != b'0');
    if is_short && !matches!(text.byte(end), b'.' | b'e' | b'E') {
        return Ok(end);
    }
    if is_short && text.byte(end) == b'.' {
        let n = scan::count_digits(text.word(end + 1));
        let end = end + 1 + n;
        if n != 0 && n != 8 && !matches!(text.byte(end), b'e' | b'E') {
            return Ok(end);
        }
    }
    scan_long(text, start).map(|(_, end)| end)
}

/// A run of digits: how many, and their value while it fits 19 digits.
#[inline(always)]
fn scan_digits(text: Text<'_>, mut pos: usize, mut value: u64) -> (usize, u64) {
    loop {
        let (n, part) = scan::digits(text.word(pos));
        value = value.wrapping_mul(POWERS[n]).wrapping_add(part);
        pos += n;
        if n < 8 {
            return (pos, value);
        }
    }
}

const POWERS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Numbers of any form, or wrong.
#[inline(never)]
fn scan_long(text: Text<'_>, start: usize) -> Result<(Number, usize), BadNumber> {
    let bad = |at| BadNumber {
        at,
        leading_zero: false,
    };
    let negative = text.byte(start) == b'-';
    let first = start + usize::from(negative);
    let (int_end, int_value) = scan_digits(text, first, 0);
    let n_int = int_end - first;
    if n_int == 0 {
        return Err(bad(int_end));
    }
    if n_int > 1 && text.byte(first) == b'0' {
        return Err(BadNumber {
            at: first,
            leading_zero: true,
        });
    }
    if !matches!(text.byte(int_end), b'.' | b'e' | b'E') {
        let number = integer(text.between(first, int_end), int_value, negative);
        return Ok((number, int_end));
    }

    let (mut end, mut mantissa, mut n_digits, mut exponent) = (int_end, int_value, n_int, 0i64);
    if text.byte(end) == b'.' {
        let fraction = end + 1;
        (end, mantissa) = scan_digits(text, fraction, mantissa);
        if end == fraction {
            return Err(bad(end));
        }
        n_digits += end - fraction;
        exponent = -((end - fraction) as i64);
    }
    if matches!(text.byte(end), b'e' | b'E') {
        let sign = text.byte(end + 1);
        let digits = end + 1 + usize::from(matches!(sign, b'+' | b'-'));
        let (exponent_end, value) = scan_digits(text, digits, 0);
        if exponent_end == digits {
            return Err(bad(exponent_end));
        }
        // Past ten digits the value may have wrapped; std reads those.
        let written = if exponent_end - digits <= 10 {
            value as i64
        } else {
            i64::from(u32::MAX)
        };
        exponent += if sign == b'-' { -written } else { written };
        end = exponent_end;
    }

    // Both factors are exact, so the one rounding is the right one (Clinger's fast path).
    let float = if n_digits <= 19 && mantissa < 1 << 53 && exponent.unsigned_abs() <= 22 {
        let power = EXACT_POWERS[exponent.unsigned_abs() as usize];
        let magnitude = mantissa as f64;
        let float = if exponent < 0 {
            magnitude / power
        } else {
            magnitude * power
        };
        if negative { -float } else { float }
    } else {
        parse_float(text.between(start, end))
    };
    if float.is_finite() {
        Ok((Number::Float(float), end))
    } else {
        Ok((Number::Huge, end))
    }
}

/// The correctly rounded value of a literal that JSON's grammar has accepted.
pub(in crate::io) fn parse_float(literal: &[u8]) -> f64 {
    let literal = std::str::from_utf8(literal).expect("a number literal is ASCII");
    literal
        .parse()
        .expect("Rust's float grammar includes JSON's")
}

fn integer(digits: &[u8], wrapped: u64, negative: bool) -> Number {
    let magnitude = match digits.len() {
        0..=19 => Some(wrapped),
        20 => digits.iter().try_fold(0u64, |value, digit| {
            value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        }),
        _ => None,
    };
    match magnitude {
        Some(value) if !negative && value <= i64::MAX as u64 => Number::Int(value as i64),
        Some(value) if !negative => Number::UInt(value),
        Some(value) if value <= i64::MIN.unsigned_abs() => {
            Number::Int((value as i64).wrapping_neg())
        }
        _ => Number::Huge,
    }
}

/// Appends a number's canonical text; `literal` is how it was written.
pub(in crate::io) fn write_number(number: Number, literal: &[u8], out: &mut Vec<u8>) {
    match number {
        Number::Int(value) => write_int(value, out),
        Number::UInt(value) => write_uint(value, out),
        Number::Float(value) => write_float(value, out),
        Number::Huge => out.extend_from_slice(literal),
    }
}

pub(in crate::io) fn write_int(value: i64, out: &mut Vec<u8>) {
    write!(out, "{value}").expect("writing to memory does not fail");
}

pub(in crate::io) fn write_uint(value: u64, out: &mut Vec<u8>) {
    write!(out, "{value}").expect("writing to memory does not fail");
}

/// Appends the shortest text that reads back as `value`; a whole number in the
/// range of 64-bit integers looks like the integer it equals.
pub(in crate::io) fn write_float(value: f64, out: &mut Vec<u8>) {
    const I64_MIN: f64 = i64::MIN as f64;
    const U64_END: f64 = 18_446_744_073_709_551_616.0;
    let is_negative_zero = value == 0.0 && value.is_sign_negative();
    if value.trunc() == value && !is_negative_zero {
        if (I64_MIN..0.0).contains(&value) {
            return write_int(value as i64, out);
        }
        if (0.0..U64_END).contains(&value) {
            return write_uint(value as u64, out);
        }
    }
    write!(out, "{value:?}").expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(literal: &str) -> Result<(Number, usize), BadNumber> {
        let mut text = literal.as_bytes().to_vec();
        text.extend(b",\n");
        let end = text.len();
        text.extend([b'7'; scan::PAD]);
        scan_number(Text::new(&text, end), 0)
    }

    fn canonical(literal: &str) -> String {
        let (number, end) = scan(literal).unwrap();
        assert_eq!(end, literal.len(), "{literal}");
        let mut out = Vec::new();
        write_number(number, literal.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_are_exact_to_the_last_unit() {
        for (literal, number) in [
            ("0", Number::Int(0)),
            ("-0", Number::Int(0)),
            ("12345678", Number::Int(12_345_678)),
            ("9223372036854775807", Number::Int(i64::MAX)),
            ("9223372036854775808", Number::UInt(1 << 63)),
            ("-9223372036854775808", Number::Int(i64::MIN)),
            ("-9223372036854775809", Number::Huge),
            ("18446744073709551615", Number::UInt(u64::MAX)),
            ("18446744073709551616", Number::Huge),
            ("-18446744073709551616", Number::Huge),
            ("99999999999999999999", Number::Huge),
            ("100000000000000000000000000000", Number::Huge),
        ] {
            assert_eq!(scan(literal), Ok((number, literal.len())), "{literal}");
        }
    }

    #[test]
    fn floats_are_rounded_as_the_standard_library_does() {
        for literal in [
            "0.0",
            "-0.0",
            "1.5",
            "0.1",
            "1e22",
            "1e23",
            "123456789012345678e-3",
            "9007199254740993.0",
            "5e-324",
            "2.2250738585072011e-308",
            "1.7976931348623157e308",
            "0.15206193923950195",
            "1e-400",
            "0e99999999999999999999",
            "1E+2",
            "12345678.87654321",
            "0.000000000000000000000000000001",
        ] {
            let expected: f64 = literal.parse().unwrap();
            let Ok((Number::Float(found), end)) = scan(literal) else {
                panic!("{literal} is not a float: {:?}", scan(literal));
            };
            assert_eq!(found.to_bits(), expected.to_bits(), "{literal}");
            assert_eq!(end, literal.len());
        }
        assert_eq!(scan("1e400").unwrap().0, Number::Huge);
        assert_eq!(scan("-1e99999999999999999999").unwrap().0, Number::Huge);
    }

    #[test]
    fn malformed_numbers_are_refused_where_they_go_wrong() {
        for (literal, at) in [
            ("-", 1),
            ("-a", 1),
            ("1.", 2),
            ("1.e5", 2),
            (".5", 0),
            ("1e", 2),
            ("1e+", 3),
            ("+1", 0),
            ("12345678.", 9),
        ] {
            assert_eq!(scan(literal).unwrap_err().at, at, "{literal}");
        }
        for literal in ["01", "-012", "00", "00.5", "012345678"] {
            assert!(scan(literal).unwrap_err().leading_zero, "{literal}");
        }
    }

    #[test]
    fn equal_numbers_have_equal_text() {
        for (literal, text) in [
            ("1", "1"),
            ("1.0", "1"),
            ("10e-1", "1"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("1e18", "1000000000000000000"),
            ("1e19", "10000000000000000000"),
            ("1e20", "1e20"),
            ("-1e19", "-1e19"),
            ("0.10", "0.1"),
            ("1e-7", "1e-7"),
            ("1e400", "1e400"),
            ("18446744073709551616", "18446744073709551616"),
        ] {
            assert_eq!(canonical(literal), text, "{literal}");
        }
    }

    #[test]
    fn an_integer_is_exact_in_an_f64_iff_it_survives_the_way_there_and_back() {
        for shift in 0..64 {
            for base in [1u64, 3, (1 << 53) - 1, (1 << 53) + 1, u64::MAX] {
                let value = base << shift;
                let survives =
                    (value as f64) < 18_446_744_073_709_551_616.0 && (value as f64) as u64 == value;
                assert_eq!(is_exact(value), survives, "{value}");
            }
        }
        assert!(facts_of_ints(&[1, -5, 1 << 53]).has(Scalars::NEGATIVE));
        assert!(!facts_of_ints(&[1, 1 << 60]).has(Scalars::INEXACT));
        assert!(facts_of_ints(&[1, (1 << 53) + 1]).has(Scalars::INEXACT));
    }
}
