//! Numbers whose first bytes stand together, then all second ones: `BYTE_STREAM_SPLIT`.
//!
//! In:  the planes of one page: of each byte of a number a stretch as long as there are numbers.
//! Out: the numbers in order.
//!
//! Eight numbers are put together at once, as a square of bytes that is turned:
//! four times as fast as byte by byte.

use std::ops::Range;

use super::kind::Stored;

/// Numbers that are put together at once: as many as a number has bytes at most.
const SIDE: usize = 8;

/// Hands the numbers in `range` to `each`. The planes begin at `at` and are
/// `values` bytes each, all of which the page has.
pub(super) fn read<S: Stored>(
    page: &[u8],
    at: usize,
    values: usize,
    range: Range<usize>,
    mut each: impl FnMut(S),
) {
    let plane = |plane: usize| match plane < S::BYTES {
        true => &page[at + plane * values..][range.clone()],
        false => &[],
    };
    let planes: [&[u8]; SIDE] = std::array::from_fn(plane);
    let whole = range.len() / SIDE * SIDE;
    for from in (0..whole).step_by(SIDE) {
        let mut square = [0; SIDE];
        for (row, plane) in square.iter_mut().zip(&planes[..S::BYTES]) {
            if let Some(bytes) = plane[from..].first_chunk() {
                *row = u64::from_le_bytes(*bytes);
            }
        }
        for number in turned(square) {
            each(S::of_bytes(&number.to_le_bytes()));
        }
    }
    for idx in whole..range.len() {
        let mut number = [0; SIDE];
        for (byte, plane) in number.iter_mut().zip(&planes[..S::BYTES]) {
            *byte = plane[idx];
        }
        each(S::of_bytes(&number));
    }
}

/// A square of bytes with rows and columns exchanged: halves, quarters, then single bytes.
#[inline(always)]
fn turned(mut square: [u64; SIDE]) -> [u64; SIDE] {
    const STEPS: [(usize, u64); 3] = [
        (4, 0x0000_0000_ffff_ffff),
        (2, 0x0000_ffff_0000_ffff),
        (1, 0x00ff_00ff_00ff_00ff),
    ];
    for (step, low) in STEPS {
        for row in (0..SIDE).filter(|row| row & step == 0) {
            let (above, below) = (square[row], square[row + step]);
            square[row] = (above & low) | ((below & low) << (8 * step));
            square[row + step] = ((above >> (8 * step)) & low) | (below & !low);
        }
    }
    square
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(numbers: &[Vec<u8>]) -> Vec<u8> {
        let plane = |plane: usize| numbers.iter().map(move |number| number[plane]);
        (0..numbers[0].len()).flat_map(plane).collect()
    }

    #[test]
    fn numbers_are_put_together_wherever_reading_begins() {
        let number = |idx: u64| idx.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let wide: Vec<i64> = (0..50).map(|idx| number(idx).cast_signed()).collect();
        let narrow: Vec<i32> = wide.iter().map(|number| *number as i32).collect();
        let of_wide = split(
            &wide
                .iter()
                .map(|n| n.to_le_bytes().to_vec())
                .collect::<Vec<_>>(),
        );
        let of_narrow = split(
            &narrow
                .iter()
                .map(|n| n.to_le_bytes().to_vec())
                .collect::<Vec<_>>(),
        );
        for range in [0..0, 0..1, 0..50, 3..11, 3..12, 40..50, 49..50] {
            let (mut found_wide, mut found_narrow) = (Vec::new(), Vec::new());
            let page = [&[9, 9], &*of_wide].concat();
            read(&page, 2, 50, range.clone(), |number: i64| {
                found_wide.push(number)
            });
            read(&of_narrow, 0, 50, range.clone(), |number: i32| {
                found_narrow.push(number)
            });
            assert_eq!(found_wide, wide[range.clone()]);
            assert_eq!(found_narrow, narrow[range]);
        }
    }
}
