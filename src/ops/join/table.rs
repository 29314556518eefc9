//! Which rows of the build side have a key.
//!
//! In:  the key of every build row, as a code or as bytes.
//! Out: for a key, the first row that has it; behind it a chain of the others,
//!      in order.
//!
//! ```text
//! dense    codes are places       heads[code]
//! ranked   codes are bits         heads[how many bits are set before the code's]
//! hashed   code and row in one slot, linear probing over a share of the hashes
//! bytes    as hashed, by more than a code: see `bytes.rs`
//! ```
//!
//! Tables are built by several threads, each of which owns a share of the codes
//! or hashes and passes over all keys; they write the same chains as one alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::codes::MISS;
use super::ranked::Ranked;
use super::slots::{Parts, following, scaled, within};
use crate::cancel::{OfThread, stretches};
use crate::error::{Error, Result};
use crate::expr::hash_u64;

/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// The most rows a table holds: numbers of rows are 32 bits, and one of them is [`NONE`].
pub(super) const MOST_ROWS: usize = NONE as usize;

/// Rows below which one thread is done before others have started.
pub(super) const ALONE: usize = 1 << 15;

/// Codes for each row below which a table has a place for every code: at four
/// bytes each, these are fewer than bits, counts and rows together.
const DENSE_CODES: u64 = 2;

/// Codes for each row below which a table has a bit for every code: bits and
/// counts take as many bytes as slots by hash do, 24 for each row.
const RANKED_CODES: u64 = 128;

/// Rows with the same key, each with the next one; none before any two meet.
#[derive(Debug, Default)]
pub(super) struct Chains {
    n_rows: usize,
    next: OnceLock<Vec<AtomicU32>>,
}

impl Chains {
    pub fn new(n_rows: usize) -> Self {
        Chains {
            n_rows,
            next: OnceLock::new(),
        }
    }

    /// Puts `row` in front of `after`.
    #[inline]
    pub fn link(&self, row: u32, after: u32) {
        let next = self.next.get_or_init(|| {
            let mut next = Vec::with_capacity(self.n_rows);
            next.resize_with(self.n_rows, || AtomicU32::new(NONE));
            next
        });
        // Only the thread that owns the key touches the row; joining it publishes the link.
        next[row as usize].store(after, Ordering::Relaxed);
    }

    /// Whether no two rows have the same key.
    pub fn is_empty(&self) -> bool {
        self.next.get().is_none()
    }

    /// The row behind `row` that has its key.
    #[inline]
    pub fn next(&self, row: u32) -> u32 {
        match self.next.get() {
            Some(next) => next[row as usize].load(Ordering::Relaxed),
            None => NONE,
        }
    }

    /// The most rows that have one key; 255 stands for as many and more.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`].
    pub fn longest(&self) -> Result<u8> {
        let Some(next) = self.next.get() else {
            return Ok(1);
        };
        // How many follow each row, itself among them: those behind it come after it.
        let mut lengths = vec![1_u8; next.len()];
        let mut longest = 1;
        for rows in stretches(next.len()).rev() {
            for row in rows?.rev() {
                let after = next[row].load(Ordering::Relaxed);
                if after != NONE {
                    let length = lengths[after as usize].saturating_add(1);
                    lengths[row] = length;
                    longest = longest.max(length);
                }
            }
        }
        Ok(longest)
    }

    pub fn bytes(&self) -> usize {
        self.next.get().map_or(0, |next| 4 * next.capacity())
    }
}

/// Runs `build` on every part, on as many threads as there are, this one among them;
/// `build` gets its place.
pub(super) fn on_threads<T: Send>(
    parts: &mut [T],
    threads: usize,
    build: impl Fn(usize, &mut T) -> Result<()> + Sync,
) -> Result<()> {
    let all = |first: usize, parts: &mut [T]| {
        let mut numbered = parts.iter_mut().enumerate();
        numbered.try_for_each(|(idx, part)| build(first + idx, part))
    };
    if threads <= 1 || parts.len() <= 1 {
        return all(0, parts);
    }
    let each = parts.len().div_ceil(threads);
    let (own, others) = parts.split_at_mut(each);
    let cancel = OfThread::here();
    std::thread::scope(|scope| {
        let shares = others.chunks_mut(each).enumerate().map(|(share, parts)| {
            let (all, cancel) = (&all, &cancel);
            scope.spawn(move || {
                let _working = cancel.enter();
                all((1 + share) * each, parts)
            })
        });
        let shares: Vec<_> = shares.collect();
        let own = catch_unwind(AssertUnwindSafe(|| all(0, own)));
        let shares = shares.into_iter().map(|share| share.join());
        let mut ends = std::iter::once(own).chain(shares).map(|share| match share {
            Ok(end) => end,
            Err(panic) => Err(Error::panic("holding the rows of a merge", &*panic)),
        });
        ends.try_for_each(|end| end)
    })
}

/// A table by code.
#[derive(Debug)]
pub(super) enum CodeTable {
    /// The first row of every code there is.
    Dense(Vec<u32>),
    /// That of the codes that are there, found by a bit for each that could be.
    Ranked(Ranked),
    Hashed(Parts<Slot>),
}

/// A place in a table of codes; it is free if it has no row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    code: u64,
    head: u32,
}

impl Default for Slot {
    fn default() -> Self {
        Slot {
            code: 0,
            head: NONE,
        }
    }
}

impl CodeTable {
    /// A table of rows by their `codes`, which are below `size`. Only the bits
    /// of `mask` are kept of hashes.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`].
    pub fn build(codes: &[u64], size: u64, mask: u64, threads: usize) -> Result<(Self, Chains)> {
        let chains = Chains::new(codes.len());
        let threads = if codes.len() < ALONE { 1 } else { threads };
        let codes_a_row = size / (codes.len() as u64).max(1);
        let table = if mask != u64::MAX {
            CodeTable::Hashed(hashed(codes, mask, threads, &chains)?)
        } else if codes_a_row < DENSE_CODES || size <= 1 << 12 {
            CodeTable::Dense(dense_heads(codes, size as usize, threads, &chains)?)
        } else if codes_a_row < RANKED_CODES {
            CodeTable::Ranked(Ranked::build(codes, size, threads, &chains)?)
        } else {
            CodeTable::Hashed(hashed(codes, mask, threads, &chains)?)
        };
        Ok((table, chains))
    }

    /// The first row of each code; [`NONE`] where there is none, as of all codes
    /// that the table was not built for.
    pub fn find(&self, codes: impl Iterator<Item = u64>, heads: &mut Vec<u32>) {
        match self {
            CodeTable::Dense(table) => heads.extend(codes.map(|code| {
                let place = usize::try_from(code).unwrap_or(usize::MAX);
                table.get(place).copied().unwrap_or(NONE)
            })),
            CodeTable::Ranked(ranked) => heads.extend(codes.map(|code| ranked.find(code))),
            CodeTable::Hashed(parts) => heads.extend(codes.map(|code| {
                if code == MISS {
                    return NONE;
                }
                let hash = hash_u64(code) & parts.mask;
                let (slots, at) = parts.slots(hash);
                let mut place = at;
                loop {
                    let slot = slots[place];
                    if slot.head == NONE || slot.code == code {
                        return slot.head;
                    }
                    place = following(place, slots.len());
                }
            })),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            CodeTable::Dense(heads) => 4 * heads.capacity(),
            CodeTable::Ranked(ranked) => ranked.bytes(),
            CodeTable::Hashed(parts) => parts.bytes(),
        }
    }
}

/// Rows that are looked at before those of them that belong to a share go in.
const BLOCK: usize = 1 << 10;

/// Shares of the codes, one a thread: rows go in last first, so that each chain
/// has them in order.
fn dense_heads(codes: &[u64], size: usize, threads: usize, chains: &Chains) -> Result<Vec<u32>> {
    let mut heads = vec![NONE; size];
    let each = size.div_ceil(threads).max(1);
    let mut shares: Vec<&mut [u32]> = heads.chunks_mut(each).collect();
    on_threads(&mut shares, threads, |idx, share| {
        let first = (idx * each) as u64;
        let mut own = [(0, 0); BLOCK];
        for rows in stretches(codes.len()).rev() {
            let rows = rows?;
            for from in rows.clone().step_by(BLOCK).rev() {
                let block = from..rows.end.min(from + BLOCK);
                let mut n_own = 0;
                // Written and then kept or not: whose a code is can hardly be foreseen.
                for (row, code) in block.clone().zip(&codes[block]).rev() {
                    let place = code.wrapping_sub(first);
                    own[n_own] = (place, row as u32);
                    n_own += usize::from(place < share.len() as u64);
                }
                for &(place, row) in &own[..n_own] {
                    let head = &mut share[place as usize];
                    if *head != NONE {
                        chains.link(row, *head);
                    }
                    *head = row;
                }
            }
        }
        Ok(())
    })?;
    Ok(heads)
}

fn hashed(codes: &[u64], mask: u64, threads: usize, chains: &Chains) -> Result<Parts<Slot>> {
    let hash = |row: usize| (codes[row] != MISS).then(|| hash_u64(codes[row]) & mask);
    let mut parts = Parts::<Slot>::sized(codes.len(), mask, hash, threads)?;
    let n_parts = parts.parts.len();
    on_threads(&mut parts.parts, threads, |part, slots| {
        for rows in stretches(codes.len()).rev() {
            for row in rows?.rev().filter(|row| codes[*row] != MISS) {
                let hash = hash_u64(codes[row]) & mask;
                if scaled(hash, n_parts) == part {
                    let place = within(hash, n_parts, slots.len());
                    put(slots, place, (codes[row], row), chains);
                }
            }
        }
        Ok(())
    })?;
    Ok(parts)
}

/// Puts a row in front of those with its code; `place` is the first to look at.
#[inline]
fn put(slots: &mut [Slot], mut place: usize, (code, row): (u64, usize), chains: &Chains) {
    while slots[place].head != NONE && slots[place].code != code {
        place = following(place, slots.len());
    }
    let slot = &mut slots[place];
    let head = row as u32;
    if slot.head != NONE {
        chains.link(head, slot.head);
    }
    *slot = Slot { code, head };
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// All rows with a key, by the chain from its head.
    pub fn rows(head: u32, chains: &Chains) -> Vec<u32> {
        let next = |row: &u32| Some(chains.next(*row)).filter(|row| *row != NONE);
        std::iter::successors(Some(head).filter(|row| *row != NONE), next).collect()
    }

    #[test]
    fn every_table_finds_the_rows_of_a_key_in_order() {
        // Keys repeat, some miss, and some are far from the others.
        let codes: Vec<u64> = (0..100_000_u64)
            .map(|row| match row % 7 {
                3 => MISS,
                _ => row * row % 1013,
            })
            .collect();
        let mut of_code = vec![Vec::new(); 1013];
        for (row, &code) in codes.iter().enumerate().filter(|(_, code)| **code != MISS) {
            of_code[code as usize].push(row as u32);
        }
        for threads in [1, 2, 5] {
            for (size, mask, n) in [
                (1013, u64::MAX, codes.len()),
                (4_000_001, u64::MAX, codes.len()),
                (u64::MAX, u64::MAX, codes.len()),
                (1013, 3, 500),
                (1013, u64::MAX, 40_000),
            ] {
                let (table, chains) = CodeTable::build(&codes[..n], size, mask, threads).unwrap();
                let asked: Vec<u64> = (0..1013).chain([MISS]).collect();
                let mut heads = Vec::new();
                table.find(asked.iter().copied(), &mut heads);
                assert_eq!(heads[1013], NONE);
                let of_n = |rows: &Vec<u32>| rows.partition_point(|row| (*row as usize) < n);
                let longest = of_code.iter().map(of_n).max().unwrap();
                assert_eq!(usize::from(chains.longest().unwrap()), longest.min(255));
                for (head, wanted) in heads.into_iter().zip(&of_code) {
                    let n_wanted = wanted.partition_point(|row| (*row as usize) < n);
                    assert_eq!(rows(head, &chains), wanted[..n_wanted], "{size}, {threads}");
                }
            }
        }
    }

    #[test]
    fn rows_that_stand_by_code_are_their_own_ranks() {
        let codes: Vec<u64> = (0..1_000).map(|row| row * 37 + row % 5).collect();
        let (table, chains) = CodeTable::build(&codes, 37_010, u64::MAX, 2).unwrap();
        assert!(chains.is_empty() && table.bytes() < 8 * 1_000);
        let mut heads = Vec::new();
        let asked: Vec<u64> = (0..40_000).collect();
        table.find(asked.iter().copied(), &mut heads);
        for (code, head) in asked.iter().zip(heads) {
            let row = codes.binary_search(code).map_or(NONE, |row| row as u32);
            assert_eq!(head, row, "{code}");
        }
    }
}
