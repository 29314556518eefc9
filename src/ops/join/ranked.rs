//! Codes that are there, each with its rank among them.
//!
//! In:  the code of every build row.
//! Out: for a code the first row that has it; the others are chained behind.
//!
//! ```text
//! bits      0 1 0 0 1 1 0 …      a bit for each code there could be
//! before    0        …           set bits before each word
//! heads     row row row …        by rank; left out where rows stand by code anyway
//! ```
//!
//! A code that is not there costs one bit, which mostly lies in a near cache
//! where a table of slots would not; codes that follow each other lie together.

use super::codes::MISS;
use super::table::{Chains, NONE, on_threads};
use crate::cancel::stretches;
use crate::error::Result;

/// Bits of a word.
const WORD: u64 = u64::BITS as u64;

/// First rows of codes, by their rank.
#[derive(Debug)]
pub(super) struct Ranked {
    bits: Vec<u64>,
    /// How many bits are set before each word.
    before: Vec<u32>,
    /// The first row of each code; none if row and rank are one.
    heads: Option<Vec<u32>>,
}

/// Words of the bits that one thread fills, and their heads.
struct Share<'a> {
    first_word: usize,
    words: &'a mut [u64],
    heads: &'a mut [u32],
}

impl Share<'_> {
    /// The word of a code and its bit, if the code belongs here.
    #[inline]
    fn place(&self, code: u64) -> Option<(usize, u64)> {
        let word = usize::try_from(code / WORD).ok()?;
        let word = word.checked_sub(self.first_word)?;
        (word < self.words.len()).then_some((word, 1 << (code % WORD)))
    }
}

impl Ranked {
    /// The rows of `codes`, which are below `size` or [`MISS`].
    pub fn build(codes: &[u64], size: u64, threads: usize, chains: &Chains) -> Result<Self> {
        let mut bits = vec![0_u64; size.div_ceil(WORD) as usize];
        let in_order = codes.windows(2).all(|pair| pair[0] < pair[1]);
        if in_order && codes.last() != Some(&MISS) {
            for rows in stretches(codes.len()) {
                for &code in &codes[rows?] {
                    bits[(code / WORD) as usize] |= 1 << (code % WORD);
                }
            }
            let (before, _) = counts(&bits);
            return Ok(Ranked {
                bits,
                before,
                heads: None,
            });
        }
        let each = bits.len().div_ceil(threads.max(1)).max(1);
        let mut shares = shares(&mut bits, &mut [], &[], each);
        on_threads(&mut shares, threads, |_, share| {
            for rows in stretches(codes.len()) {
                for &code in &codes[rows?] {
                    if let Some((word, bit)) = share.place(code) {
                        share.words[word] |= bit;
                    }
                }
            }
            Ok(())
        })?;
        drop(shares);
        let (before, n_codes) = counts(&bits);
        let mut heads = vec![NONE; n_codes];
        let mut shares = self::shares(&mut bits, &mut heads, &before, each);
        on_threads(&mut shares, threads, |_, share| {
            let base = before[share.first_word];
            for rows in stretches(codes.len()).rev() {
                for row in rows?.rev() {
                    let Some((word, bit)) = share.place(codes[row]) else {
                        continue;
                    };
                    let below = (share.words[word] & (bit - 1)).count_ones();
                    let rank = before[share.first_word + word] - base + below;
                    let head = &mut share.heads[rank as usize];
                    if *head != NONE {
                        chains.link(row as u32, *head);
                    }
                    *head = row as u32;
                }
            }
            Ok(())
        })?;
        drop(shares);
        Ok(Ranked {
            bits,
            before,
            heads: Some(heads),
        })
    }

    /// The first row of a code; [`NONE`] if there is none.
    #[inline]
    pub fn find(&self, code: u64) -> u32 {
        let word = (code / WORD) as usize;
        let bit = 1_u64 << (code % WORD);
        match self.bits.get(word) {
            Some(bits) if bits & bit != 0 => {
                let rank = self.before[word] + (bits & (bit - 1)).count_ones();
                match &self.heads {
                    None => rank,
                    Some(heads) => heads[rank as usize],
                }
            }
            _ => NONE,
        }
    }

    pub fn bytes(&self) -> usize {
        let heads = self.heads.as_ref().map_or(0, Vec::capacity);
        8 * self.bits.capacity() + 4 * (self.before.capacity() + heads)
    }
}

/// How many bits are set before each word, and in all of them.
fn counts(bits: &[u64]) -> (Vec<u32>, usize) {
    let mut so_far = 0;
    let before = bits.iter().map(|word| {
        let before = so_far;
        so_far += word.count_ones();
        before
    });
    (before.collect(), so_far as usize)
}

/// Shares of `each` words, with the heads of the codes in them if there are any.
fn shares<'a>(
    bits: &'a mut [u64],
    mut heads: &'a mut [u32],
    before: &[u32],
    each: usize,
) -> Vec<Share<'a>> {
    let mut shares = Vec::new();
    let mut taken = 0;
    for (idx, words) in bits.chunks_mut(each).enumerate() {
        let first_word = idx * each;
        let end = before.get(first_word + each).map(|end| *end as usize);
        let end = end.unwrap_or(taken + heads.len());
        let own;
        (own, heads) = heads.split_at_mut(end - taken);
        taken = end;
        shares.push(Share {
            first_word,
            words,
            heads: own,
        });
    }
    shares
}
