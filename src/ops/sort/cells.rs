//! Where to look for a number among edges.
//!
//! In:  edges in order.
//! Out: how many of them stand at or before any number.
//!
//! ```text
//! edges    3    9 11 12              40     cells of 8 from the first on
//! before   0 │  1          │ 4 │  │  4       edges in the cells before each
//! ```
//!
//! A number's cell is found by a shift. Where edges lie evenly there are few in
//! it, and hardly any is compared; where they do not, they are halved.

use std::ops::Range;

/// Cells for each edge.
const CELLS_AN_EDGE: usize = 4;

/// Equal stretches from the first edge to the last.
#[derive(Debug, Clone, Default)]
pub(super) struct Cells {
    least: u128,
    shift: u32,
    /// For each cell how many edges are in those before it; then all.
    before: Vec<u32>,
}

impl Cells {
    /// Cells for `edges`, which are in order.
    pub fn of(edges: &[u128]) -> Self {
        let (Some(&least), Some(&most)) = (edges.first(), edges.last()) else {
            return Cells::default();
        };
        let n_cells = (edges.len() * CELLS_AN_EDGE).next_power_of_two();
        let span_bits = u128::BITS - (most - least).leading_zeros();
        let shift = span_bits.saturating_sub(n_cells.ilog2());
        let mut before = vec![0; n_cells + 1];
        for edge in edges {
            before[((edge - least) >> shift) as usize + 1] += 1;
        }
        let mut all = 0;
        for count in &mut before {
            all += *count;
            *count = all;
        }
        Cells {
            least,
            shift,
            before,
        }
    }

    /// How many of the edges stand at `number` or before it.
    #[inline]
    pub fn up_to(&self, edges: &[u128], number: u128) -> usize {
        let near = self.near(number, edges.len());
        near.start + edges[near].partition_point(|edge| *edge <= number)
    }

    /// The edges that stand at `number`; where there are none, the place of one
    /// that would.
    #[inline]
    pub fn at(&self, edges: &[u128], number: u128) -> Range<usize> {
        let near = self.near(number, edges.len());
        let start = near.start + edges[near.clone()].partition_point(|edge| *edge < number);
        let same = edges[start..near.end].iter();
        start..start + same.take_while(|edge| **edge == number).count()
    }

    /// The edges in the cell of a number, among `n`.
    #[inline]
    fn near(&self, number: u128, n: usize) -> Range<usize> {
        let Some(distance) = number.checked_sub(self.least) else {
            return 0..0;
        };
        let cell = usize::try_from(distance >> self.shift).unwrap_or(usize::MAX);
        let next = cell.saturating_add(1);
        match (self.before.get(cell), self.before.get(next)) {
            (Some(&from), Some(&to)) => from as usize..to as usize,
            _ => n..n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_counted_as_one_by_one_wherever_they_lie() {
        let even: Vec<u128> = (0..300).map(|n| 7 + 13 * n).collect();
        let powers: Vec<u128> = (0..67).map(|n| 1 << n).collect();
        let near = vec![1 << 66, (1 << 66) + 1, (1 << 66) + 2, (1 << 66) + 3];
        for edges in [vec![], vec![5], vec![5, 5, 6], near, even, powers] {
            let cells = Cells::of(&edges);
            let around = edges
                .iter()
                .flat_map(|edge| [edge.saturating_sub(1), *edge, edge + 1]);
            for number in around.chain([0, 1 << 40, u128::MAX]) {
                let plain = edges.iter().filter(|edge| **edge <= number).count();
                assert_eq!(cells.up_to(&edges, number), plain, "{number} of {edges:?}");
                let before = edges.iter().filter(|edge| **edge < number).count();
                assert_eq!(
                    cells.at(&edges, number),
                    before..plain,
                    "{number} of {edges:?}"
                );
            }
        }
    }
}
