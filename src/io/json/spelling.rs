//! The ways in which one value can be written.
//!
//! In:  a number or boolean, and the text it was read from.
//! Out: every way of writing that gives this very text; and the text again.
//!
//! A field of CSV has no type: `1.10` may be a price or a version. Its column
//! may hold numbers as long as one way of writing them gives all fields back,
//! so that nothing is lost should a later field show that they were text:
//!
//! ```text
//! 1.5  22.25  3       Shortest            numbers
//! 1.50 22.25  3.00    two decimals        numbers
//! 1.5  22.25  3.00    none gives all      text
//! ```

use std::io::Write;

use super::number::write_float;

/// A set of ways to write floats, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) struct NumberSpellings(pub u32);

/// A set of ways to write booleans, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) struct BoolSpellings(pub u32);

/// Most decimals that a fixed number of them is known by.
pub(in crate::io) const MOST_DECIMALS: usize = 12;

impl NumberSpellings {
    /// As canonical JSON: the shortest that reads back, whole numbers without a
    /// point, the very large and small with an exponent. Integers are written so.
    pub const SHORTEST: NumberSpellings = NumberSpellings(1);
    /// The same, never with an exponent.
    pub const POSITIONAL: NumberSpellings = NumberSpellings(1 << 1);
    /// As Python's `repr`: the shortest, whole numbers with `.0`, exponents of two digits or more.
    pub const POINTED: NumberSpellings = NumberSpellings(1 << 2);
    /// All ways there are: those above, and fixed numbers of decimals.
    pub const ALL: NumberSpellings = NumberSpellings((1 << (3 + MOST_DECIMALS)) - 1);
    /// None of them.
    pub const NONE: NumberSpellings = NumberSpellings(0);
    /// Ways of integers.
    pub const INTEGER: NumberSpellings = NumberSpellings::SHORTEST.or(NumberSpellings::POSITIONAL);

    /// Always so many decimals, 1 to [`MOST_DECIMALS`].
    pub const fn decimals(n: usize) -> NumberSpellings {
        NumberSpellings(1 << (2 + n))
    }

    /// Both.
    pub const fn or(self, other: NumberSpellings) -> NumberSpellings {
        NumberSpellings(self.0 | other.0)
    }

    fn has(self, one: NumberSpellings) -> bool {
        self.0 & one.0 != 0
    }

    /// The number that is not finite and that a text stands for: every way writes it so.
    pub fn parse_not_finite(text: &[u8]) -> Option<f64> {
        match text {
            b"NaN" => Some(f64::NAN),
            b"inf" => Some(f64::INFINITY),
            b"-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        }
    }

    /// Every way of writing `value`, which is finite, that gives `literal`.
    pub fn of(value: f64, literal: &[u8]) -> NumberSpellings {
        let mut found = NumberSpellings::NONE;
        let mut text = Vec::with_capacity(32);
        for one in [
            NumberSpellings::SHORTEST,
            NumberSpellings::POSITIONAL,
            NumberSpellings::POINTED,
        ] {
            // Far fewer digits were written than this way would need.
            let magnitude = value.abs();
            if one == NumberSpellings::POSITIONAL
                && value != 0.0
                && !(1e-20..1e20).contains(&magnitude)
            {
                continue;
            }
            text.clear();
            one.write(value, &mut text);
            if text == literal {
                found = found.or(one);
            }
        }
        let decimals = memchr::memchr(b'.', literal).map_or(0, |point| literal.len() - point - 1);
        if (1..=MOST_DECIMALS).contains(&decimals) {
            let one = NumberSpellings::decimals(decimals);
            text.clear();
            one.write(value, &mut text);
            if text == literal {
                found = found.or(one);
            }
        }
        found
    }

    /// Appends `value`, written in the first of these ways.
    pub fn write(self, value: f64, out: &mut Vec<u8>) {
        let written = if self.has(NumberSpellings::SHORTEST) {
            write_float(value, out);
            Ok(())
        } else if self.has(NumberSpellings::POSITIONAL) {
            write!(out, "{value}")
        } else if self.has(NumberSpellings::POINTED) {
            write_pointed(value, out)
        } else {
            let decimals = self.0.trailing_zeros() as usize - 2;
            write!(out, "{value:.decimals$}")
        };
        written.expect("writing to memory does not fail");
    }
}

/// As Python's `repr`.
fn write_pointed(value: f64, out: &mut Vec<u8>) -> std::io::Result<()> {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return write!(out, "{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            write!(out, "{digits}e{sign}{exponent:0>2}")
        }
        None => write!(out, "{text}"),
    }
}

impl BoolSpellings {
    /// Every way of writing a boolean: `true`, `True` and `TRUE`.
    pub const ALL: BoolSpellings = BoolSpellings(0b111);

    const TEXTS: [[&'static [u8]; 2]; 3] = [
        [b"false", b"true"],
        [b"False", b"True"],
        [b"FALSE", b"TRUE"],
    ];

    /// The boolean that a text stands for, and the way in which it was written.
    pub fn parse(text: &[u8]) -> Option<(bool, BoolSpellings)> {
        BoolSpellings::TEXTS
            .iter()
            .zip(0..)
            .find_map(|(texts, way)| {
                let value = texts.iter().position(|known| *known == text)?;
                Some((value == 1, BoolSpellings(1 << way)))
            })
    }

    /// Appends `value`, written in the first of these ways.
    pub fn write(self, value: bool, out: &mut Vec<u8>) {
        let way = (self.0.trailing_zeros() as usize).min(BoolSpellings::TEXTS.len() - 1);
        out.extend_from_slice(BoolSpellings::TEXTS[way][usize::from(value)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(literal: &str) -> NumberSpellings {
        NumberSpellings::of(literal.parse().unwrap(), literal.as_bytes())
    }

    #[test]
    fn every_way_that_is_found_gives_the_literal_back() {
        for literal in [
            "0",
            "1",
            "-1",
            "0.0",
            "-0.0",
            "-0",
            "1.0",
            "1.10",
            "1.5",
            "100",
            "1e5",
            "1e-7",
            "1e-07",
            "1e+16",
            "1e16",
            "1e22",
            "123456789012345680000",
            "0.00005",
            "0.1",
            "0.30000000000000004",
            "5e-324",
            "1.7976931348623157e308",
            "1.7976931348623157e+308",
            "12.250000",
            "1.0000000000001",
            "99999999999999990",
            "0.1000000000000000055511151231",
            "1.E5",
            "1.5e0",
            "007",
            "+1",
        ] {
            let (found, value) = (of(literal), literal.parse().unwrap());
            for way in 0..3 + MOST_DECIMALS {
                let one = NumberSpellings(1 << way);
                let mut out = Vec::new();
                if found.has(one) {
                    one.write(value, &mut out);
                    assert_eq!(out, literal.as_bytes(), "way {way}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_written_alike_in_every_way() {
        for literal in ["NaN", "inf", "-inf"] {
            let value = NumberSpellings::parse_not_finite(literal.as_bytes()).unwrap();
            for way in 0..3 + MOST_DECIMALS {
                let mut out = Vec::new();
                NumberSpellings(1 << way).write(value, &mut out);
                assert_eq!(out, literal.as_bytes(), "way {way}");
            }
        }
        for other in ["nan", "NAN", "Inf", "+inf", "Infinity", "-NaN", ""] {
            assert_eq!(NumberSpellings::parse_not_finite(other.as_bytes()), None);
        }
    }

    #[test]
    fn columns_are_told_by_what_their_numbers_share() {
        let all = |literals: &[&str]| {
            let shared = literals
                .iter()
                .fold(u32::MAX, |ways, text| ways & of(text).0);
            NumberSpellings(shared)
        };
        assert!(all(&["1.5", "22.25", "3"]).has(NumberSpellings::SHORTEST));
        assert_eq!(
            all(&["1.50", "22.25", "3.00"]),
            NumberSpellings::decimals(2)
        );
        assert_eq!(all(&["1.5", "22.25", "3.00"]), NumberSpellings::NONE);
        assert_eq!(all(&["1.0", "1e-07"]), NumberSpellings::POINTED);
        assert_eq!(all(&["0.00005", "7"]), NumberSpellings::POSITIONAL);
        assert_eq!(all(&["+1.5"]), NumberSpellings::NONE);
    }

    #[test]
    fn booleans_keep_their_case() {
        for text in ["true", "FALSE", "True"] {
            let (value, way) = BoolSpellings::parse(text.as_bytes()).unwrap();
            let mut out = Vec::new();
            way.write(value, &mut out);
            assert_eq!(out, text.as_bytes());
        }
        assert_eq!(BoolSpellings::parse(b"tRUE"), None);
    }
}
