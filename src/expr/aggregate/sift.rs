//! An exact quantile of values that are looked at several times and never held.
//!
//! In:  the same values, pass by pass, in any order and any cut.
//! Out: the quantile, once few enough are left in question to be held.
//!
//! ```text
//! pass 1   all values, counted by the first bits of their ranks ─▶ which of them hold the wanted one
//! pass 2   those, counted by the next bits                      ─▶ fewer
//! last     those that are left are held, and the wanted one is selected
//! ```

use super::quantile::{between, of_rank, rank};

/// Bits of ranks that one pass tells apart: its counts take 32 KiB.
const BITS: u32 = 12;

/// Looks for the value below which a share of all values lies.
pub(crate) struct Sift {
    q: f64,
    /// The first bits of the ranks that are in question, and how many these bits are.
    prefix: u64,
    depth: u32,
    /// Which of the values in question is wanted; none before the first pass.
    wanted: Option<Wanted>,
    looking: Looking,
    /// The least rank behind those in question.
    behind: Option<u64>,
}

#[derive(Clone, Copy)]
struct Wanted {
    /// How many values are in question.
    of: u64,
    /// The place of the wanted one among them.
    place: u64,
    /// How far the answer lies on the way to the next value.
    share: f64,
}

/// What a pass makes of the values in question.
enum Looking {
    /// Counts by the next bits of their ranks.
    Counts(Vec<u64>),
    /// All of them.
    Held(Vec<u64>),
    /// Nothing: they are all the same.
    Known,
}

/// The place of a number among all, in the order of numbers.
#[inline]
fn unsigned(value: f64) -> u64 {
    rank(value) as u64 ^ 1 << 63
}

fn number(unsigned: u64) -> f64 {
    of_rank((unsigned ^ 1 << 63) as i64)
}

impl Sift {
    /// For the share `q`, from 0 to 1.
    pub fn new(q: f64) -> Self {
        Sift {
            q,
            prefix: 0,
            depth: 0,
            wanted: None,
            looking: Looking::Counts(vec![0; 1 << BITS]),
            behind: None,
        }
    }

    /// Takes in values of a pass; none is null.
    pub fn take(&mut self, values: &[f64]) {
        let depth = self.depth;
        for value in values {
            let rank = unsigned(*value);
            let first = rank.checked_shr(64 - depth).unwrap_or(0);
            if first > self.prefix {
                self.behind = Some(self.behind.map_or(rank, |behind| behind.min(rank)));
            }
            if first != self.prefix {
                continue;
            }
            match &mut self.looking {
                Looking::Counts(counts) => {
                    let next = (rank << depth) >> (64 - next_bits(depth));
                    counts[next as usize] += 1;
                }
                Looking::Held(ranks) => ranks.push(rank),
                Looking::Known => {}
            }
        }
    }

    /// Ends a pass: the answer, which is null without values, or nothing if
    /// another pass is wanted.
    pub fn turn(&mut self) -> Option<Option<f64>> {
        let behind = self.behind.take();
        match (&mut self.looking, self.wanted) {
            (Looking::Counts(counts), wanted) => {
                let wanted = wanted.unwrap_or_else(|| Wanted::of_all(self.q, counts));
                if wanted.of == 0 {
                    return Some(None);
                }
                let (idx, wanted) = wanted.among(counts);
                counts.fill(0);
                let bits = next_bits(self.depth);
                self.prefix = self.prefix << bits | idx;
                self.depth += bits;
                self.wanted = Some(wanted);
                if self.depth == 64 {
                    self.looking = Looking::Known;
                }
                None
            }
            (Looking::Held(ranks), Some(wanted)) => {
                let (_, low, above) = ranks.select_nth_unstable(wanted.place as usize);
                let next = above.iter().min().copied();
                Some(Some(wanted.answer(*low, next.or(behind))))
            }
            (Looking::Known, Some(wanted)) => {
                let next = match wanted.place + 1 < wanted.of {
                    true => Some(self.prefix),
                    false => behind,
                };
                Some(Some(wanted.answer(self.prefix, next)))
            }
            (Looking::Held(_) | Looking::Known, None) => Some(None),
        }
    }

    /// Bytes that it takes to hold the values in question, once a pass was made.
    pub fn held_bytes(&self) -> u64 {
        match (&self.looking, self.wanted) {
            (Looking::Known, _) => 0,
            (_, Some(wanted)) => wanted.of * size_of::<u64>() as u64,
            (_, None) => u64::MAX,
        }
    }

    /// Makes the next pass the last one: it holds the values in question.
    pub fn hold(&mut self) {
        if let (Looking::Counts(_), Some(wanted)) = (&self.looking, self.wanted) {
            self.looking = Looking::Held(Vec::with_capacity(wanted.of as usize));
        }
    }
}

/// How many bits are told apart behind so many.
fn next_bits(depth: u32) -> u32 {
    BITS.min(64 - depth)
}

impl Wanted {
    /// The one below which the share `q` of all values lies.
    fn of_all(q: f64, counts: &[u64]) -> Self {
        let of: u64 = counts.iter().sum();
        let place = q * of.saturating_sub(1) as f64;
        Wanted {
            of,
            place: place.floor() as u64,
            share: place.fract(),
        }
    }

    /// Which of the values that were counted the wanted one is among, and its place there.
    fn among(self, counts: &[u64]) -> (u64, Wanted) {
        let mut place = self.place;
        let mut idx = 0;
        while place >= counts[idx] {
            place -= counts[idx];
            idx += 1;
        }
        let of = counts[idx];
        (idx as u64, Wanted { of, place, ..self })
    }

    /// The answer, of the rank that is wanted and the next one; without any, the share is 0.
    fn answer(self, low: u64, next: Option<u64>) -> f64 {
        match next.filter(|_| self.share != 0.0) {
            None => number(low),
            Some(high) => between(number(low), number(high), self.share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantile::{SPECIAL, select_of};
    use super::*;

    /// Values that are held once there are at most so many.
    fn sifted(values: &[f64], q: f64, most: u64) -> (Option<f64>, usize) {
        let mut sift = Sift::new(q);
        let (front, back) = values.split_at(values.len() / 3);
        for pass in 1..20 {
            for part in [back, front] {
                sift.take(part);
            }
            if let Some(answer) = sift.turn() {
                return (answer, pass);
            }
            if sift.held_bytes() <= 8 * most {
                sift.hold();
            }
        }
        panic!("no end");
    }

    #[test]
    fn what_is_sifted_is_what_selecting_finds() {
        let mut state = 7_u64;
        for n in [1, 2, 3, 50, 700] {
            for kind in 0..4 {
                let values: Vec<f64> = (0..n)
                    .map(|idx| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
                        match kind {
                            0 => (state >> 58) as f64 - 30.0,
                            1 => f64::from_bits(state),
                            2 => 1.0 + (state >> 60) as f64 * f64::EPSILON,
                            _ => SPECIAL[idx % SPECIAL.len()],
                        }
                    })
                    .collect();
                for q in [0.0, 0.1, 0.5, 0.75, 0.99, 1.0] {
                    let expected = select_of(&values, q);
                    for most in [0, 1, 20, 1_000] {
                        let (found, passes) = sifted(&values, q, most);
                        let found = found.unwrap();
                        let same = found.is_nan() && expected.is_nan();
                        let same = same || found.to_bits() == expected.to_bits();
                        assert!(same, "{found} is not {expected}: {values:?} {q}");
                        assert!(passes <= 7 && (most < 1_000 || passes == 2), "{passes}");
                    }
                }
            }
        }
        assert_eq!(sifted(&[], 0.5, 0), (None, 1));
    }
}
