//! Small numbers, as runs and packed: levels, and places in a dictionary.
//!
//! In:  the bytes of one page, from a place on, and how many bits a number has.
//! Out: numbers in order; any of them can be stepped over.
//!
//! What is damaged ends in an error. Numbers that are packed come in groups of
//! eight, which end at a byte.

use super::fault::{Outcome, damaged};
use super::unpack::{flags, unpack};

/// Numbers of up to 32 bits.
#[derive(Debug, Default)]
pub(super) struct Hybrid {
    width: usize,
    /// Where the next run begins, and where there can be none any more.
    at: usize,
    end: usize,
    run: Run,
}

/// What is left of the run at hand.
#[derive(Debug)]
enum Run {
    Same { value: u32, left: usize },
    Packed { bit: usize, left: usize },
}

impl Default for Run {
    fn default() -> Self {
        Run::Same { value: 0, left: 0 }
    }
}

impl Run {
    fn left(&mut self) -> &mut usize {
        match self {
            Run::Same { left, .. } | Run::Packed { left, .. } => left,
        }
    }
}

impl Hybrid {
    /// Numbers of `width` bits in `at..end` of a page.
    pub fn try_new(width: usize, at: usize, end: usize) -> Outcome<Self> {
        if width > 32 {
            return damaged(format!("numbers of {width} bits"));
        }
        Ok(Hybrid {
            width,
            at,
            end,
            run: Run::default(),
        })
    }

    /// Appends the next `n` numbers.
    pub fn read(&mut self, page: &[u8], mut n: usize, out: &mut Vec<u32>) -> Outcome<()> {
        out.reserve(n);
        while n > 0 {
            let now = self.fill_run(page)?.min(n);
            match &mut self.run {
                Run::Same { value, left } => {
                    out.resize(out.len() + now, *value);
                    *left -= now;
                }
                Run::Packed { bit, left } => {
                    unpack(&page[..self.end], *bit, self.width, now, out)?;
                    *bit += now * self.width;
                    *left -= now;
                }
            }
            n -= now;
        }
        Ok(())
    }

    /// Of the next `n` flags, appends each; how many are set.
    pub fn read_flags(&mut self, page: &[u8], mut n: usize, out: &mut Vec<bool>) -> Outcome<usize> {
        let mut set = 0;
        while n > 0 {
            let now = self.fill_run(page)?.min(n);
            match &mut self.run {
                Run::Same { value, left } => {
                    out.resize(out.len() + now, *value != 0);
                    set += if *value != 0 { now } else { 0 };
                    *left -= now;
                }
                Run::Packed { bit, left } => {
                    let bytes = &page[..self.end];
                    if (*bit + now).div_ceil(8) > bytes.len() {
                        return damaged("packed flags are cut short");
                    }
                    set += flags(bytes, *bit, now, out);
                    *bit += now;
                    *left -= now;
                }
            }
            n -= now;
        }
        Ok(set)
    }

    /// Steps over `n` numbers.
    pub fn skip(&mut self, page: &[u8], mut n: usize) -> Outcome<()> {
        while n > 0 {
            let now = self.fill_run(page)?.min(n);
            if let Run::Packed { bit, .. } = &mut self.run {
                *bit += now * self.width;
            }
            *self.run.left() -= now;
            n -= now;
        }
        Ok(())
    }

    /// How many numbers are left of a run, the next one if this is at its end.
    fn fill_run(&mut self, page: &[u8]) -> Outcome<usize> {
        while *self.run.left() == 0 {
            self.run = self.next_run(page)?;
        }
        Ok(*self.run.left())
    }

    fn next_run(&mut self, page: &[u8]) -> Outcome<Run> {
        let bytes = &page[..self.end];
        let header = varint(bytes, &mut self.at)?;
        let Ok(count) = usize::try_from(header >> 1) else {
            return damaged("a run of too many numbers");
        };
        if header & 1 == 0 {
            let length = self.width.div_ceil(8);
            let Some(stored) = bytes.get(self.at..self.at + length) else {
                return damaged("a run is cut short");
            };
            let mut value = [0; 4];
            value[..length].copy_from_slice(stored);
            self.at += length;
            return Ok(Run::Same {
                value: u32::from_le_bytes(value),
                left: count,
            });
        }
        // Some writers leave the last group short; its numbers are looked for when they are read.
        let bit = self.at * 8;
        let Some(left) = count.checked_mul(8) else {
            return damaged("a run of too many numbers");
        };
        let length = count.saturating_mul(self.width);
        self.at = self.at.saturating_add(length).min(self.end);
        Ok(Run::Packed { bit, left })
    }
}

/// The next number of seven bits a byte.
pub(super) fn varint(bytes: &[u8], at: &mut usize) -> Outcome<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let Some(byte) = bytes.get(*at) else {
            return damaged("it is cut short");
        };
        *at += 1;
        if shift < 64 {
            value |= u64::from(byte & 0x7f) << shift;
        }
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    damaged("a number of more than ten bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers as runs and groups, a plain way.
    fn encoded(width: usize, runs: &[(bool, Vec<u32>)]) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut all) = (Vec::new(), Vec::new());
        for (packed, values) in runs {
            if *packed {
                bytes.push((values.len() / 8 * 2 + 1) as u8);
                let mut bits = 0u128;
                let mut have = 0;
                for value in values {
                    bits |= u128::from(*value) << have;
                    have += width;
                    while have >= 8 {
                        bytes.push(bits as u8);
                        bits >>= 8;
                        have -= 8;
                    }
                }
                all.extend(values);
            } else {
                let n = values[1];
                bytes.extend([(n * 2 % 128 + 128) as u8, (n * 2 / 128) as u8]);
                bytes.extend(&values[0].to_le_bytes()[..width.div_ceil(8)]);
                all.extend(std::iter::repeat_n(values[0], n as usize));
            }
        }
        (bytes, all)
    }

    fn runs(width: usize) -> Vec<(bool, Vec<u32>)> {
        let mask = ((1u64 << width) - 1) as u32;
        let number = |idx: u32| idx.wrapping_mul(2_654_435_761) & mask;
        vec![
            (true, (0..24).map(number).collect()),
            (false, vec![number(7), 300]),
            (false, vec![0, 0]),
            (true, (0..80).map(number).collect()),
            (false, vec![mask, 1]),
            (true, (100..108).map(number).collect()),
        ]
    }

    #[test]
    fn numbers_of_every_width_come_however_many_are_read_or_skipped_at_once() {
        for width in 0..=32 {
            let (page, want) = encoded(width, &runs(width));
            for step in [1, 3, 8, 50, want.len()] {
                let mut numbers = Hybrid::try_new(width, 0, page.len()).unwrap();
                let mut found = Vec::new();
                for start in (0..want.len()).step_by(step) {
                    let n = step.min(want.len() - start);
                    if start / step % 3 == 1 {
                        numbers.skip(&page, n).unwrap();
                        found.extend(&want[start..start + n]);
                    } else {
                        numbers.read(&page, n, &mut found).unwrap();
                    }
                }
                assert_eq!(found, want, "width {width}, step {step}");
                assert!(numbers.read(&page, 1, &mut found).is_err());
            }
        }
    }

    #[test]
    fn flags_are_counted() {
        let (page, want) = encoded(1, &runs(1));
        let mut flags = Hybrid::try_new(1, 0, page.len()).unwrap();
        let (mut found, mut set) = (Vec::new(), 0);
        for _ in 0..want.len() / 7 {
            set += flags.read_flags(&page, 7, &mut found).unwrap();
        }
        let want: Vec<bool> = want.iter().map(|flag| *flag == 1).collect();
        assert_eq!(found, want[..found.len()]);
        assert_eq!(set, found.iter().filter(|flag| **flag).count());
    }

    #[test]
    fn what_is_cut_short_is_an_error_at_any_length() {
        for width in [0, 1, 7, 12, 32] {
            let (page, want) = encoded(width, &runs(width));
            for end in 0..page.len() {
                let mut numbers = Hybrid::try_new(width, 0, end).unwrap();
                let mut found = Vec::new();
                let outcome = numbers.read(&page[..end], want.len(), &mut found);
                assert!(outcome.is_err(), "width {width}, {end} bytes");
            }
        }
        assert!(Hybrid::try_new(33, 0, 0).is_err());
    }
}
