//! Whole numbers stored as differences: `DELTA_BINARY_PACKED`.
//!
//! In:  the bytes of one page, from a place on.
//! Out: numbers in order, as 64 bits that wrap around; a column of fewer bits takes the low ones.
//!
//! A block tells its least difference, and for each of its parts how many bits
//! the rest of each difference takes.

use super::fault::{Outcome, damaged};
use super::hybrid::varint;
use super::unpack::{packed, unpack};

/// Numbers of one page.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    at: usize,
    end: usize,
    /// Numbers in a block, and in each of its parts.
    block: usize,
    part: usize,
    /// Numbers of the page that were not read yet.
    left: usize,
    /// The number that comes next, if it needs no difference: the first one.
    first: Option<i64>,
    last: i64,
    least: i64,
    /// Where the widths of the parts that follow stand, and how many there are.
    widths: usize,
    parts_left: usize,
    /// The part at hand.
    width: usize,
    bit: usize,
    part_left: usize,
    /// Room for a part: as it is stored, and its numbers.
    unpacked: Vec<u32>,
    numbers: Vec<i64>,
}

impl Deltas {
    /// The numbers in `at..end` of a page.
    pub fn try_new(page: &[u8], mut at: usize, end: usize) -> Outcome<Self> {
        let bytes = &page[..end];
        let mut number = || varint(bytes, &mut at);
        let sizes = [number()?, number()?, number()?].map(usize::try_from);
        let [Ok(block), Ok(parts), Ok(left)] = sizes else {
            return damaged("differences in blocks of an impossible size");
        };
        let first = unzigzag(number()?);
        // Blocks are multiples of 128, parts of 32, so parts end at bytes.
        if parts == 0 || !block.is_multiple_of(parts) || !(block / parts).is_multiple_of(8) {
            return damaged(format!("differences in blocks of {block} in {parts} parts"));
        }
        if block == 0 || block > 1 << 24 {
            return damaged(format!("differences in blocks of {block}"));
        }
        Ok(Deltas {
            at,
            end,
            block,
            part: block / parts,
            left,
            first: Some(first),
            ..Deltas::default()
        })
    }

    /// Numbers that are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Where the bytes end that hold all these numbers.
    pub fn behind(&self, page: &[u8]) -> Outcome<usize> {
        let mut rest = Deltas {
            unpacked: Vec::new(),
            numbers: Vec::new(),
            ..*self
        };
        let mut left = self.left.saturating_sub(usize::from(self.first.is_some()));
        while left > 0 {
            rest.next_block(page)?;
            while rest.parts_left > 0 && left > 0 {
                rest.next_part(page)?;
                left = left.saturating_sub(rest.part);
            }
            // Parts behind the last number may have widths, and have no bytes.
            rest.parts_left = 0;
        }
        Ok(rest.at)
    }

    /// Hands the next `n` numbers to `each`, some at a time.
    pub fn read(&mut self, page: &[u8], n: usize, mut each: impl FnMut(&[i64])) -> Outcome<()> {
        let Some(left) = self.left.checked_sub(n) else {
            return damaged("fewer differences than values");
        };
        self.left = left;
        let mut n = n;
        if let Some(first) = self.first.take_if(|_| n > 0) {
            self.last = first;
            each(&[first]);
            n -= 1;
        }
        while n > 0 {
            while self.part_left == 0 {
                if self.parts_left == 0 {
                    self.next_block(page)?;
                }
                self.next_part(page)?;
            }
            let now = n.min(self.part_left);
            let bytes = &page[..self.end];
            if (self.bit + now * self.width).div_ceil(8) > bytes.len() {
                return damaged("differences are cut short");
            }
            let room = self.numbers.len().max(now);
            self.numbers.resize(room, 0);
            let numbers = &mut self.numbers[..now];
            if self.width <= 32 {
                self.unpacked.clear();
                unpack(bytes, self.bit, self.width, now, &mut self.unpacked)?;
                for (number, above) in numbers.iter_mut().zip(&self.unpacked) {
                    *number = i64::from(*above);
                }
            } else {
                for (idx, number) in numbers.iter_mut().enumerate() {
                    let bit = self.bit + idx * self.width;
                    *number = packed(bytes, bit, self.width).cast_signed();
                }
            }
            // What is above the least difference becomes the number itself.
            let (mut last, least) = (self.last, self.least);
            for number in &mut *numbers {
                last = last.wrapping_add(least.wrapping_add(*number));
                *number = last;
            }
            each(numbers);
            self.last = last;
            self.bit += now * self.width;
            self.part_left -= now;
            n -= now;
        }
        Ok(())
    }

    fn next_block(&mut self, page: &[u8]) -> Outcome<()> {
        let bytes = &page[..self.end];
        self.least = unzigzag(varint(bytes, &mut self.at)?);
        self.widths = self.at;
        self.parts_left = self.block / self.part;
        self.at += self.parts_left;
        match self.at <= self.end {
            true => Ok(()),
            false => damaged("differences are cut short"),
        }
    }

    fn next_part(&mut self, page: &[u8]) -> Outcome<()> {
        self.width = usize::from(page[self.widths]);
        if self.width > 64 {
            return damaged(format!("differences of {} bits", self.width));
        }
        self.widths += 1;
        self.parts_left -= 1;
        self.bit = self.at * 8;
        // The last part may be cut short behind its last number.
        self.at = (self.at + self.part / 8 * self.width).min(self.end);
        self.part_left = self.part;
        Ok(())
    }
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(mut number: u64, out: &mut Vec<u8>) {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }

    fn zigzag(number: i64) -> u64 {
        (number << 1 ^ number >> 63).cast_unsigned()
    }

    /// As the format says, in blocks of 128.
    fn encoded(values: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        put(128, &mut out);
        put(4, &mut out);
        put(values.len() as u64, &mut out);
        put(zigzag(values.first().copied().unwrap_or(0)), &mut out);
        let deltas: Vec<i64> = values
            .windows(2)
            .map(|two| two[1].wrapping_sub(two[0]))
            .collect();
        for block in deltas.chunks(128) {
            let least = *block.iter().min().unwrap();
            put(zigzag(least), &mut out);
            let above = |delta: &i64| delta.wrapping_sub(least).cast_unsigned();
            let width = |part: &[i64]| {
                let most = part.iter().map(above).max().unwrap_or(0);
                64 - most.leading_zeros() as usize
            };
            let part = |idx: usize| {
                block
                    .get(idx * 32..)
                    .map_or(&[][..], |part| &part[..part.len().min(32)])
            };
            out.extend((0..4).map(|idx| width(part(idx)) as u8));
            for idx in 0..4 {
                let width = width(part(idx));
                if part(idx).is_empty() {
                    continue;
                }
                let mut bytes = vec![0u8; width * 4];
                for (at, delta) in part(idx).iter().enumerate() {
                    for bit in 0..width {
                        let to = at * width + bit;
                        bytes[to / 8] |= ((above(delta) >> bit & 1) as u8) << (to % 8);
                    }
                }
                out.extend(bytes);
            }
        }
        out
    }

    fn some() -> Vec<Vec<i64>> {
        let mixed = |idx: i64| idx.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed());
        vec![
            vec![],
            vec![7],
            (0..33).collect(),
            (0..300).map(|idx| idx * idx).collect(),
            (0..1000).map(mixed).collect(),
            (0..129)
                .map(|idx| if idx % 2 == 0 { i64::MIN } else { i64::MAX })
                .collect(),
        ]
    }

    #[test]
    fn numbers_come_however_many_are_read_at_once() {
        for values in some() {
            let mut page = vec![1, 2, 3];
            page.extend(encoded(&values));
            let end = page.len();
            page.extend([9; 5]);
            for step in [1, 31, 128, 1000] {
                let mut deltas = Deltas::try_new(&page, 3, page.len()).unwrap();
                assert_eq!(deltas.behind(&page).unwrap(), end);
                let mut found = Vec::new();
                for start in (0..values.len()).step_by(step) {
                    let n = step.min(values.len() - start);
                    deltas
                        .read(&page, n, |values| found.extend_from_slice(values))
                        .unwrap();
                }
                assert_eq!(found, values);
                assert!(deltas.read(&page, 1, |_| ()).is_err());
            }
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        for values in some().into_iter().skip(2) {
            let page = encoded(&values);
            for end in 0..page.len() {
                let mut found = Vec::new();
                let deltas = Deltas::try_new(&page, 0, end);
                let read = deltas.and_then(|mut deltas| {
                    deltas.read(&page, values.len(), |values| {
                        found.extend_from_slice(values)
                    })
                });
                // The last part may be cut short behind the last value.
                let is_whole = read.is_ok() && found == values;
                assert!(read.is_err() || is_whole, "{end} of {}", page.len());
                assert!(end > page.len() / 2 || read.is_err());
            }
        }
        assert!(Deltas::try_new(&[0, 0, 0, 0], 0, 4).is_err());
        assert!(Deltas::try_new(&[7, 1, 0, 0], 0, 4).is_err());
    }
}
