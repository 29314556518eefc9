//! Numbers from a seed (SplitMix64: one addition and one mix a number).
//!
//! In:  a seed, and for independent streams an index.
//! Out: evenly spread integers and a few shapes made of them.
//!
//! Integers only, so the numbers are the same on every machine.

/// What a generated set starts from. Another seed gives another set of the same shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

/// The step of the state: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Spreads every bit of `x` over all bits of the result; a bijection.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: Seed) -> Self {
        Random { state: mix(seed.0) }
    }

    /// Stream number `index` of a seed; streams of one seed do not overlap in practice.
    pub fn stream(seed: Seed, index: u64) -> Self {
        Random {
            state: mix(seed.0.wrapping_add(mix(index.wrapping_add(STEP)))),
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// A number in `0..n`, evenly spread to within n / 2^64; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// True `n` times in `of`.
    pub fn chance(&mut self, n: u64, of: u64) -> bool {
        self.below(of) < n
    }

    /// One of `items`, each as likely as the others.
    pub fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len() as u64) as usize]
    }

    /// A rank in `0..2^bits - 1` whose chance falls as 1 / (rank + 1), as Zipf's law
    /// has it: each power of two is as likely as the next, and even within.
    pub fn zipf(&mut self, bits: u64) -> u64 {
        let octave = 1u64 << self.below(bits);
        octave + self.below(octave) - 1
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
