//! Edges between ranges of rows.
//!
//! In:  a sample of codes.
//! Out: ranges that share rows out evenly, and the range of any code.
//!
//! A code that would fill a range of its own gets one: its rows are all equal
//! and need no order among themselves, however many there are.
//!
//! ```text
//! sample   a b c d d d d d e f        into 5
//! edges        |    |       |
//! ranges   a b | c  | d …   | e f
//! ```

use std::cmp::Ordering;

use super::cells::Cells;
use super::codes::{Code, Codes, Numbers, shared_bytes};

/// Edges in order. Range `i` lies behind edge `i - 1` and before edge `i`.
#[derive(Debug, Clone, Default)]
pub struct Edges {
    of: Kind,
    /// For each range, whether all of its rows are equal.
    equal: Vec<bool>,
}

/// An edge stands before or behind all rows of a code.
#[derive(Debug, Clone)]
enum Kind {
    /// Twice the code; one more where it stands behind. And where to look for one.
    Fixed(Vec<u128>, Cells),
    Tied(Tied),
}

/// Edges of codes that are more than a number.
#[derive(Debug, Clone)]
struct Tied {
    /// The code, and whether the edge stands behind it.
    edges: Vec<(Code, bool)>,
    /// What all codes begin with that have no number, and the numbers behind it.
    shared: Box<[u8]>,
    numbers: Vec<u128>,
    /// Where to look for a number.
    cells: Cells,
}

impl Default for Kind {
    fn default() -> Self {
        Kind::Fixed(Vec::new(), Cells::default())
    }
}

impl Kind {
    /// Edges at rows of `codes`, in order, each before its row or behind it.
    fn of(codes: &Codes, edges: impl Iterator<Item = (usize, bool)>) -> Self {
        match codes {
            Codes::Fixed(codes) => {
                let edges = edges.map(|(row, behind)| codes[row] * 2 + u128::from(behind));
                let edges: Vec<u128> = edges.collect();
                let cells = Cells::of(&edges);
                Kind::Fixed(edges, cells)
            }
            _ => Kind::Tied(Tied::of(
                edges
                    .map(|(row, behind)| (codes.code(row), behind))
                    .collect(),
            )),
        }
    }
}

impl Tied {
    fn of(edges: Vec<(Code, bool)>) -> Self {
        let first = edges.first().map_or(&[][..], |(code, _)| code.bytes());
        let shared = edges.iter().fold(first, |shared, (code, _)| {
            &shared[..shared_bytes(shared, code.bytes())]
        });
        let shared: Box<[u8]> = shared.into();
        let numbers = edges.iter().map(|(code, _)| code.number(shared.len()));
        let numbers: Vec<u128> = numbers.collect();
        Tied {
            cells: Cells::of(&numbers),
            numbers,
            shared,
            edges,
        }
    }

    /// The range of a row.
    fn range(&self, codes: &Codes, numbers: &Numbers<'_>, row: usize) -> usize {
        let at = match numbers.get(row) {
            Ok(number) => self.cells.at(&self.numbers, number),
            Err(Ordering::Less) => return 0,
            Err(_) => return self.edges.len(),
        };
        let before = |(edge, behind): &(Code, bool)| match codes.cmp_code(row, edge) {
            Ordering::Less => false,
            Ordering::Equal => !behind,
            Ordering::Greater => true,
        };
        at.start + self.edges[at].partition_point(before)
    }
}

impl Edges {
    /// Edges that cut rows of which `sample` are some into about `n_ranges` of
    /// equal rows. There are fewer where codes are few.
    pub fn of_sample(sample: &Codes, n_ranges: usize) -> Edges {
        let order = sample.order();
        let cuts: Vec<usize> = (1..n_ranges)
            .map(|range| order[range * order.len() / n_ranges.max(1)..].first())
            .map_while(|row| row.map(|&row| row as usize))
            .collect();
        // A code at two cuts fills a range, or more than one.
        let mut edges: Vec<(usize, bool)> = Vec::new();
        let mut equal = vec![false];
        for same in cuts.chunk_by(|&a, &b| sample.cmp_to(a, sample, b).is_eq()) {
            edges.push((same[0], false));
            equal.push(same.len() > 1);
            if same.len() > 1 {
                edges.push((same[0], true));
                equal.push(false);
            }
        }
        let of = Kind::of(sample, edges.into_iter());
        Edges { of, equal }
    }

    /// Edges before each of `bounds`, which are in order, but behind the last one
    /// that is no null: `bounds` ends with a null, before which the last edge stands.
    pub fn of_bounds(bounds: &Codes) -> Edges {
        let n = bounds.len();
        Edges {
            of: Kind::of(bounds, (0..n).map(|row| (row, row + 2 == n))),
            equal: vec![false; n + 1],
        }
    }

    /// How many ranges there are.
    pub fn n_ranges(&self) -> usize {
        1 + match &self.of {
            Kind::Fixed(edges, _) => edges.len(),
            Kind::Tied(tied) => tied.edges.len(),
        }
    }

    /// The rows in each of these ranges, where the ranges of `finer` edges, these
    /// among them, have so many.
    pub fn counts_in(&self, finer: &Edges, counts: &[u64]) -> Vec<u64> {
        let mut sums = vec![0; self.n_ranges()];
        let mut range = 0;
        for (idx, count) in counts.iter().enumerate() {
            sums[range] += count;
            if range + 1 < sums.len() && self.ends_alike(range, finer, idx) {
                range += 1;
            }
        }
        sums
    }

    /// Whether a range of these edges ends where one of others does.
    fn ends_alike(&self, range: usize, others: &Edges, other: usize) -> bool {
        match (&self.of, &others.of) {
            (Kind::Fixed(edges, _), Kind::Fixed(others, _)) => {
                edges.get(range) == others.get(other)
            }
            (Kind::Tied(edges), Kind::Tied(others)) => {
                edges.edges.get(range) == others.edges.get(other)
            }
            _ => false,
        }
    }

    /// Whether all rows of a range are equal.
    pub fn is_equal(&self, range: usize) -> bool {
        self.equal.get(range).copied().unwrap_or(false)
    }

    /// For each range, whether all of its rows are equal.
    pub fn equal(&self) -> &[bool] {
        &self.equal
    }

    /// The range of each code.
    pub fn ranges(&self, codes: &Codes) -> Vec<u32> {
        match (&self.of, codes) {
            (Kind::Fixed(edges, cells), Codes::Fixed(codes)) => {
                let ranges = codes.iter().map(|code| cells.up_to(edges, code * 2) as u32);
                ranges.collect()
            }
            (Kind::Tied(edges), codes) => {
                let numbers = Numbers::new(codes, &edges.shared);
                let ranges = (0..codes.len()).map(|row| edges.range(codes, &numbers, row) as u32);
                ranges.collect()
            }
            // Without edges, all is one range.
            (Kind::Fixed(..), codes) => vec![0; codes.len()],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{Field, Schema};

    use super::super::{SortBy, SortKeys};
    use super::*;

    /// The same numbers as numbers, as texts, and as two of either.
    fn all_kinds(numbers: &[i64]) -> [Codes; 5] {
        let ints = |of: fn(i64) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(numbers.iter().map(|&n| of(n))))
        };
        let texts = numbers.iter().map(|n| format!("{n:05}"));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        [
            vec![ints(|n| n)],
            vec![texts.clone()],
            vec![ints(|n| n / 100), ints(|n| n)],
            vec![ints(|n| n / 100), texts.clone()],
            vec![texts, ints(|n| n)],
        ]
        .map(|columns| {
            let names = ["a", "b"].iter().zip(&columns);
            let fields = names.map(|(name, of)| Field::new(*name, of.data_type().clone(), true));
            let schema = Schema::new(fields.collect::<Vec<_>>());
            let by: Vec<SortBy> = ["a", "b"][..columns.len()]
                .iter()
                .map(|n| SortBy::from(*n))
                .collect();
            let keys = SortKeys::try_new(&by, &schema);
            keys.unwrap().codes_of(&columns).unwrap()
        })
    }

    #[test]
    fn ranges_are_even_in_order_and_never_split_a_code() {
        let numbers: Vec<i64> = (0..1_000).map(|n| n * n % 641).collect();
        for codes in all_kinds(&numbers) {
            for n in [1, 2, 7, 40] {
                let edges = Edges::of_sample(&codes, n);
                assert_eq!(edges.n_ranges(), n);
                let ranges = edges.ranges(&codes);
                let order = codes.order();
                let in_order: Vec<u32> = order.iter().map(|&row| ranges[row as usize]).collect();
                assert!(in_order.is_sorted());
                let mut counts = vec![0; n];
                for pair in order.windows(2) {
                    let (a, b) = (pair[0] as usize, pair[1] as usize);
                    assert!(numbers[a] != numbers[b] || ranges[a] == ranges[b]);
                }
                ranges.iter().for_each(|&range| counts[range as usize] += 1);
                let most = counts.iter().max().unwrap();
                assert!(most * n <= 1_000 * 3 / 2, "{n}: {counts:?}");
            }
        }
    }

    #[test]
    fn a_heavy_code_has_a_range_of_its_own() {
        let numbers: Vec<i64> = (0..1_000)
            .map(|n| if n % 2 == 0 { 500 } else { n })
            .collect();
        for codes in all_kinds(&numbers) {
            let edges = Edges::of_sample(&codes, 8);
            let equal: Vec<usize> = (0..edges.n_ranges())
                .filter(|&range| edges.is_equal(range))
                .collect();
            assert_eq!(equal.len(), 1);
            for (row, range) in edges.ranges(&codes).into_iter().enumerate() {
                assert_eq!(numbers[row] == 500, range as usize == equal[0]);
            }
        }
        // Nothing known: one range.
        for codes in all_kinds(&[]) {
            let edges = Edges::of_sample(&codes, 4);
            assert_eq!(edges.n_ranges(), 1);
            assert_eq!(edges.ranges(&all_kinds(&[3, 1])[0]).len(), 2);
        }
    }
}
