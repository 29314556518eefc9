//! Numbers added up in few groups.
//!
//! In:  the group of each row, a number of each row.
//! Out: what is to be added to each group.
//!
//! ```text
//! rows      0 1 2 3 4 5 6 7      row n adds to bank n % 4, so that no row waits
//! banks     a b c d a b c d      for the sum that the row before it has written
//! ```

use super::state::Groups;

/// Groups whose sums are kept in banks: 2 KiB of them.
const FEW: usize = 64;

/// One sum after the other takes five cycles, four of them side by side as long.
const BANKS: usize = 4;

/// Rows from which on emptying the banks costs nothing beside them.
const LEAST_ROWS: usize = 1024;

/// Rows of few groups, none of them null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Few<'a> {
    ids: &'a [u32],
    n_groups: usize,
}

impl<'a> Few<'a> {
    /// None if groups are many, or rows too few.
    pub fn of(groups: Groups<'a>) -> Option<Self> {
        let n_groups = groups.n_groups();
        let is_few = n_groups <= FEW && groups.n_rows() >= LEAST_ROWS;
        groups
            .ids()
            .filter(|_| is_few)
            .map(|ids| Few { ids, n_groups })
    }

    /// What each group has in all, in 64 bits that wrap around. `number` sees
    /// each of the values once, in their order.
    #[inline]
    pub fn sums<N: Copy>(self, values: &[N], mut number: impl FnMut(N) -> i64) -> Vec<i64> {
        let mut banks = [[0_i64; FEW]; BANKS];
        let mut add = |bank: usize, id: u32, value: N| {
            // Every id is below `FEW`, which needs no check this way.
            let sum = &mut banks[bank][id as usize % FEW];
            *sum = sum.wrapping_add(number(value));
        };
        let (ids, last_ids) = self.ids.as_chunks::<BANKS>();
        let (values, last_values) = values.as_chunks::<BANKS>();
        // Written out: a loop over the banks is called, not unrolled.
        for (ids, values) in ids.iter().zip(values) {
            add(0, ids[0], values[0]);
            add(1, ids[1], values[1]);
            add(2, ids[2], values[2]);
            add(3, ids[3], values[3]);
        }
        for (id, value) in last_ids.iter().zip(last_values) {
            add(0, *id, *value);
        }
        let of_group = |group: usize| banks.iter().fold(0_i64, |a, b| a.wrapping_add(b[group]));
        (0..self.n_groups).map(of_group).collect()
    }

    /// How many rows each group has.
    pub fn counts(self) -> Vec<u64> {
        let counts = self.sums(self.ids, |_| 1).into_iter();
        counts.map(|count| count as u64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_counts_of_few_groups_are_those_of_one_row_after_the_other() {
        for (n_rows, n_groups) in [(1024, 1), (1025, 3), (2047, 63), (5000, 64)] {
            let ids: Vec<u32> = (0..n_rows as u32)
                .map(|row| row * row % n_groups as u32)
                .collect();
            let values: Vec<i64> = (0..n_rows as i64).map(|row| row * 7 - 900).collect();
            let (mut sums, mut counts) = (vec![0; n_groups], vec![0_u64; n_groups]);
            for (id, value) in ids.iter().zip(&values) {
                sums[*id as usize] += value;
                counts[*id as usize] += 1;
            }
            let few = Few::of(Groups::of(&ids, n_groups)).unwrap();
            assert_eq!(few.sums(&values, |value| value), sums);
            assert_eq!(few.counts(), counts);
        }
    }

    #[test]
    fn few_rows_many_groups_and_rows_without_groups_are_left_to_others() {
        assert!(Few::of(Groups::of(&[0; 1023], 1)).is_none());
        assert!(Few::of(Groups::of(&[0; 1024], 65)).is_none());
        assert!(Few::of(Groups::one(5000)).is_none());
    }
}
