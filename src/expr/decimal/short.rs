//! Decimals whose values are small, as most are.
//!
//! In:  two columns of 128-bit numbers.
//! Out: sums, differences and products, computed in 64 bits; nothing where those
//!      might not hold a value.
//!
//! Blocks of rows are looked at before they are computed, while they lie in the
//! nearest cache: then the loop itself has nothing to ask.

use super::Side;
use crate::expr::ast::BinaryOp;

/// Rows that are looked at together: 8 KiB of each side.
const BLOCK: usize = 512;

/// How large some numbers are at most: the bits that tell any of them from its sign.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::expr) struct Bits {
    low: i64,
    high: i64,
}

impl Bits {
    /// Those of some numbers.
    #[inline]
    pub fn of(numbers: impl IntoIterator<Item = i128>) -> Self {
        let mut bits = Bits::default();
        numbers.into_iter().for_each(|number| {
            bits.note(number);
        });
        bits
    }

    /// Looks at one more number, and gives its lower half.
    #[inline]
    pub fn note(&mut self, number: i128) -> i64 {
        let (low, high) = (number as i64, (number >> 64) as i64);
        // The complement of a negative number is its size less one.
        let sign = high >> 63;
        self.low |= low ^ sign;
        self.high |= high ^ sign;
        low
    }

    /// No number is further from 0 than 2 to the power of this; nothing if more
    /// than 64 bits are needed.
    #[inline]
    pub fn width(self) -> Option<u32> {
        let low = self.low.cast_unsigned();
        (self.high == 0).then(|| u64::BITS - low.leading_zeros())
    }

    /// No number is further from 0 than this.
    #[inline]
    pub fn largest(self) -> u128 {
        self.width().map_or(u128::MAX, |width| 1 << width)
    }
}

/// Computes row by row, each side multiplied by its factor where numbers are added.
pub(super) fn compute(
    op: BinaryOp,
    (left, up_left): (&Side<'_>, i128),
    (right, up_right): (&Side<'_>, i128),
    rows: usize,
) -> Option<Vec<i128>> {
    let (more_left, more_right) = (Bits::of([up_left]).width()?, Bits::of([up_right]).width()?);
    let sums_fit = |left: u32, right: u32| left + more_left < 62 && right + more_right < 62;
    let products_fit = |left: u32, right: u32| left + right < 63;
    let (up_left, up_right) = (up_left as i64, up_right as i64);
    match op {
        BinaryOp::Plus => each(left, right, rows, sums_fit, |a, b| {
            a * up_left + b * up_right
        }),
        BinaryOp::Minus => each(left, right, rows, sums_fit, |a, b| {
            a * up_left - b * up_right
        }),
        BinaryOp::Multiply => each(left, right, rows, products_fit, |a, b| a * b),
        _ => None,
    }
}

/// Runs over the values of both sides, of which one at most is the same for all
/// rows; `fits` tells of their bits whether it may.
#[inline]
fn each(
    left: &Side<'_>,
    right: &Side<'_>,
    rows: usize,
    fits: impl Fn(u32, u32) -> bool,
    run: impl Fn(i64, i64) -> i64,
) -> Option<Vec<i128>> {
    if left.constant && right.constant {
        return None;
    }
    let run = |a: i128, b: i128| i128::from(run(a as i64, b as i64));
    let mut values = Vec::with_capacity(rows);
    for start in (0..rows).step_by(BLOCK) {
        let end = rows.min(start + BLOCK);
        let (a, b) = (left.values(start..end), right.values(start..end));
        let width = |values: &[i128]| Bits::of(values.iter().copied()).width();
        if !fits(width(a)?, width(b)?) {
            return None;
        }
        match (left.constant, right.constant) {
            (true, _) => values.extend(b.iter().map(|b| run(a[0], *b))),
            (_, true) => values.extend(a.iter().map(|a| run(*a, b[0]))),
            _ => values.extend(a.iter().zip(b).map(|(a, b)| run(*a, *b))),
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::decimal::Decimals;

    fn column(values: &[i128]) -> Decimals {
        Decimals {
            values: values.to_vec().into(),
            nulls: None,
            behind: 2,
        }
    }

    #[test]
    fn the_width_is_a_bound_of_every_number() {
        let edges = [0, 1, -1, 2, -2, 255, 256, -256, -257, 1 << 61, -(1 << 61)];
        let ends = [i64::MAX.into(), i64::MIN.into(), 1 << 63, -(1 << 64)];
        for number in edges.into_iter().chain(ends) {
            let bits = Bits::of([0, number]);
            let width = bits.width().expect("64 bits tell it from its sign");
            assert!(number.unsigned_abs() <= bits.largest(), "{number}: {width}");
            let half = bits.largest() / 2;
            assert!(width == 0 || number.unsigned_abs() >= half, "{number}");
        }
        for number in [1 << 64, -(1 << 64) - 1, i128::MAX, i128::MIN] {
            assert_eq!(Bits::of([0, number]).width(), None);
        }
    }

    #[test]
    fn what_comes_out_is_what_128_bits_give_or_nothing() {
        let edges: Vec<i128> = [0, 1, 99, (1 << 30) - 1, 1 << 31, (1 << 62) - 1, 1 << 63]
            .into_iter()
            .flat_map(|edge| [edge, -edge])
            .collect();
        for a in &edges {
            for b in &edges {
                // Longer than a block, and different behind it.
                let left: Vec<i128> = (0..600).map(|row| if row < 590 { 7 } else { *a }).collect();
                let (left, right) = (column(&left), column(&[*b; 600]));
                for constant in [false, true] {
                    for (op, up) in [
                        (BinaryOp::Plus, 100),
                        (BinaryOp::Minus, 1),
                        (BinaryOp::Multiply, 1),
                    ] {
                        let (a_side, b_side) = (
                            Side {
                                decimals: &left,
                                constant: false,
                            },
                            Side {
                                decimals: &right,
                                constant,
                            },
                        );
                        let found = compute(op, (&a_side, up), (&b_side, 1), 600);
                        let plain = |row: usize| match op {
                            BinaryOp::Plus => left.values[row] * up + b,
                            BinaryOp::Minus => left.values[row] - b,
                            _ => left.values[row] * b,
                        };
                        let small = a.abs() < 1 << 31 && b.abs() < 1 << 31;
                        assert!(found.is_some() || !small, "{a} {op:?} {b}");
                        if let Some(found) = found {
                            assert!(found.into_iter().eq((0..600).map(plain)), "{a} {op:?} {b}");
                        }
                    }
                }
            }
        }
    }
}
