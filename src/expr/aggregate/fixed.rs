//! Numbers as whole ones, in units of a power of two.
//!
//! In:  numbers, and the window that holds most of them.
//! Out: whole numbers of up to 90 bits, or none for a number outside of the window.

/// Bits of half a number.
pub(super) const HALF: u32 = 45;
/// How far the exponents of numbers may lie apart, which have 53 bits each.
const SPAN: i32 = 2 * HALF as i32 - 53;
/// Exponents beyond these are left to expansions: products stay far from the ends of `f64`.
const FARTHEST: i32 = 400;
/// Numbers below this are whole numbers of one half, with a sign.
const SMALL: f64 = (1_u64 << (HALF - 1)) as f64;

/// How numbers of a column become whole ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Window {
    /// Small whole numbers, as they are.
    Ints,
    /// Numbers in units of 2^base.
    From(i32),
}

impl Window {
    /// One that holds numbers like these.
    pub fn around(numbers: impl Iterator<Item = f64> + Clone) -> Window {
        if numbers.clone().all(|number| small(number).is_some()) {
            return Window::Ints;
        }
        let exponents = numbers.filter(|number| *number != 0.0).map(exponent);
        let (mut least, mut most) = (FARTHEST, -FARTHEST);
        for of in exponents.filter(|of| of.abs() <= FARTHEST) {
            (least, most) = (least.min(of), most.max(of));
        }
        let first = match most - least {
            span if span < 0 => 0,
            span if span <= SPAN => least - (SPAN - span) / 2,
            _ => most - SPAN,
        };
        Window::From(first.clamp(-FARTHEST, FARTHEST - SPAN) - 52)
    }

    pub fn base(self) -> i32 {
        match self {
            Window::Ints => 0,
            Window::From(base) => base,
        }
    }
}

/// The power of two that a normal number begins with; far away for others.
#[inline]
fn exponent(number: f64) -> i32 {
    match (number.to_bits() >> 52) as i32 & 0x7FF {
        0x7FF | 0 => i32::MAX,
        biased => biased - 1023,
    }
}

/// A small whole number.
#[inline(always)]
pub(super) fn small(number: f64) -> Option<i64> {
    let whole = number as i64;
    (whole as f64 == number && number.abs() < SMALL).then_some(whole)
}

/// A row of small whole numbers.
#[inline(always)]
pub(super) fn small_row<const C: usize>(columns: [&[f64]; C], row: usize) -> Option<[i64; C]> {
    let mut numbers = [0; C];
    for (number, column) in numbers.iter_mut().zip(columns) {
        *number = small(column[row])?;
    }
    Some(numbers)
}

/// A number in units of 2^base.
#[inline(always)]
pub(super) fn fixed(number: f64, base: i32) -> Option<i128> {
    let bits = number.to_bits();
    let biased = (bits >> 52) as i32 & 0x7FF;
    let shift = biased - 1023 - 52 - base;
    if !(0..=SPAN).contains(&shift) || biased == 0 {
        return (number == 0.0).then_some(0);
    }
    let size = i128::from(bits & ((1 << 52) - 1) | 1 << 52) << shift;
    Some(if number < 0.0 { -size } else { size })
}

#[inline(always)]
pub(super) fn product(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}
