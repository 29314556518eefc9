//! Where the partitions of sorted rows end.
//!
//! In:  ranges of rows, how many rows each has, and how many partitions are asked for.
//! Out: the ranges of each partition; of one heavy key, some of its rows.
//!
//! Partitions depend on the rows alone, not on the ranges that memory asks for.

use std::ops::Range;

use crate::ops::{Codes, Edges};
use crate::partition::By;
use crate::plan::SortInto;

/// Ranges in a partition that ends between keys: its size is right to within one.
const RANGES_A_PARTITION: usize = 8;

/// Partitions that are asked for, by the rows and bytes that there are.
fn wanted_partitions(by: By, (rows, bytes): (u64, u64)) -> u64 {
    let wanted = match by {
        By::Count(n) => n as u64,
        By::Rows(n) => rows.div_ceil(n.max(1)),
        By::Bytes(size) | By::FileBytes(size) => {
            let target = size.bytes().max(1);
            (bytes + target / 2) / target
        }
    };
    wanted.clamp(1, rows.max(1))
}

/// Ranges of which partitions that end between keys are made; their number
/// depends on the rows alone.
pub(super) fn cut_ranges(into: SortInto, totals: (u64, u64)) -> usize {
    match into {
        SortInto::Any | SortInto::Given => 1,
        SortInto::Keys(by) => {
            let partitions = wanted_partitions(by, totals) as usize;
            match partitions {
                1 => 1,
                many => many.saturating_mul(RANGES_A_PARTITION),
            }
        }
    }
}

/// Rows of a range, all or some, that belong to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub range: usize,
    /// Only of a range whose rows are all equal.
    pub rows: Option<Range<u64>>,
}

/// The pieces of each partition.
///
/// A partition ends where an even share of the rows does, moved to the nearest
/// end of a range that depends on the rows alone; but inside a heavy key, which
/// is more than half a partition, exactly there.
pub(super) fn partitions(
    into: SortInto,
    totals: (u64, u64),
    sample: &Codes,
    edges: &Edges,
    rows_of: &[u64],
) -> Vec<Vec<Piece>> {
    let whole = |range| Piece { range, rows: None };
    let SortInto::Keys(by) = into else {
        return vec![all(edges.n_ranges())];
    };
    let n = wanted_partitions(by, totals);
    let cuts = Edges::of_sample(sample, cut_ranges(into, totals));
    let ends = partition_ends(n, &cuts.counts_in(edges, rows_of), totals.0, &cuts);
    let mut partitions = Vec::new();
    let mut open = Vec::new();
    let mut ends = ends.into_iter().peekable();
    let mut before = 0;
    for (range, &rows) in rows_of.iter().enumerate() {
        let mut from = 0;
        while let Some(end) = ends.next_if(|&end| end < before + rows) {
            let to = end - before;
            if to > from {
                let rows = Some(from..to);
                open.push(Piece { range, rows });
            }
            from = to;
            partitions.push(std::mem::take(&mut open));
        }
        match (from, rows) {
            (0, _) => open.push(whole(range)),
            (from, rows) => open.push(Piece {
                range,
                rows: Some(from..rows),
            }),
        }
        before += rows;
    }
    partitions.push(open);
    partitions
}

/// All of these ranges.
pub(super) fn all(n_ranges: usize) -> Vec<Piece> {
    let whole = |range| Piece { range, rows: None };
    (0..n_ranges).map(whole).collect()
}

/// The rows behind which partitions end, in order, the last one left out;
/// `counts` are those of the ranges between `cuts`.
fn partition_ends(n: u64, counts: &[u64], total: u64, cuts: &Edges) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut range = 0;
    let mut before = 0;
    for partition in 1..n {
        let target = (u128::from(total) * u128::from(partition) / u128::from(n)) as u64;
        while range < counts.len() && before + counts[range] <= target {
            before += counts[range];
            range += 1;
        }
        let rows = counts.get(range).copied().unwrap_or(0);
        let heavy = cuts.is_equal(range) && rows * 2 > total / n;
        let end = if heavy || target == before {
            target
        } else if target - before <= rows / 2 {
            before
        } else {
            before + rows
        };
        if end > ends.last().copied().unwrap_or(0) && end < total {
            ends.push(end);
        }
    }
    ends
}
