//! Rows of both sides beside each other, by number.
//!
//! In:  for each row of a probe batch the first build row that has its key.
//! Out: pairs of rows, by probe row, those of one in build order; where probe
//!      rows without partner come out, each beside [`NONE`].

use super::index::Index;
use super::table::NONE;

/// Rows that come out at once at most, where one batch meets many.
pub(super) const MOST_ROWS: usize = 1 << 16;

/// Drops [`NONE`] from the build rows of a batch; gives the probe rows of the others.
pub(super) fn drop_alone(build: &mut Vec<u32>) -> Vec<u32> {
    let mut probe = vec![0; build.len()];
    let mut n_kept = 0;
    // Written and then kept or not: which rows are dropped can hardly be foreseen.
    for row in 0..build.len() {
        let head = build[row];
        (probe[n_kept], build[n_kept]) = (row as u32, head);
        n_kept += usize::from(head != NONE);
    }
    probe.truncate(n_kept);
    build.truncate(n_kept);
    probe
}

/// Chains that are walked side by side.
pub(super) const CHAINS: usize = 1 << 10;

/// Rows of both sides beside each other.
pub(super) struct Pairs {
    pub probe: Vec<u32>,
    /// [`NONE`] beside a probe row without partner.
    pub build: Vec<u32>,
    pub keeps_probe: bool,
}

impl Pairs {
    /// Adds the partners of one probe row from `at` on, as many as there is room
    /// for; gives the first that is left over.
    pub fn add_chain(&mut self, mut at: u32, row: u32, index: &Index) -> Option<u32> {
        if at == NONE && self.keeps_probe {
            self.probe.push(row);
            self.build.push(NONE);
        }
        while at != NONE && self.build.len() < MOST_ROWS {
            self.probe.push(row);
            self.build.push(at);
            at = index.next(at);
        }
        (at != NONE).then_some(at)
    }

    /// Adds all partners of the probe rows with these `heads`, the first of which
    /// is `row`; nothing if there is no room for them: then it says no.
    ///
    /// All chains go on by one row at a time. Where rows of a key lie far from
    /// each other, the wait for the memory of one is that of all.
    pub fn add_chains(&mut self, heads: &[u32], row: u32, index: &Index) -> bool {
        let numbered = (0..).zip(heads.iter().copied());
        let mut found: Vec<(u32, u32)> = numbered.filter(|(_, at)| *at != NONE).collect();
        let alone = if self.keeps_probe {
            heads.len() - found.len()
        } else {
            0
        };
        let room = MOST_ROWS - self.build.len();
        let mut counts = vec![0_u32; heads.len()];
        let mut walked = 0;
        loop {
            if found.len() + alone > room {
                return false;
            }
            if walked == found.len() {
                break;
            }
            let step = walked..found.len();
            walked = step.end;
            for idx in step {
                let (chain, at) = found[idx];
                counts[chain as usize] += 1;
                let next = index.next(at);
                if next != NONE {
                    found.push((chain, next));
                }
            }
        }
        // From how many there are of each to where its next one goes.
        let mut places = counts;
        for (place, row) in places.iter_mut().zip(row..) {
            let count = (*place).max(u32::from(self.keeps_probe)) as usize;
            *place = self.probe.len() as u32;
            self.probe.resize(self.probe.len() + count, row);
        }
        self.build.resize(self.probe.len(), NONE);
        for (chain, at) in found {
            let place = &mut places[chain as usize];
            self.build[*place as usize] = at;
            *place += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};
    use arrow_schema::DataType;

    use super::super::index::IndexOptions;
    use super::*;
    use crate::ops::join::KeyForms;

    #[test]
    fn chains_walked_side_by_side_give_the_pairs_of_one_after_the_other() {
        let long = DataType::Int64;
        let forms = KeyForms::try_new(&[("k", &long, "k", &long)]).unwrap();
        // Keys with no row, with one, and with many.
        let key = |row: i64| match row % 4 {
            0 => 5,
            _ => row * row % 61,
        };
        let keys: ArrayRef = Arc::new((0..900).map(key).map(Some).collect::<Int64Array>());
        let options = IndexOptions {
            nulls_match: false,
            threads: 1,
            hash_mask: u64::MAX,
        };
        let index = Index::build(forms, &[vec![keys]], 900, options).unwrap();
        let asked: ArrayRef = Arc::new((0..70).map(Some).collect::<Int64Array>());
        let heads = index.find(&[asked], 70).unwrap();
        for keeps_probe in [false, true] {
            let pairs = || Pairs {
                probe: Vec::new(),
                build: Vec::new(),
                keeps_probe,
            };
            let (mut slow, mut fast) = (pairs(), pairs());
            for (row, head) in (7..).zip(&heads) {
                assert_eq!(slow.add_chain(*head, row, &index), None);
            }
            assert!(fast.add_chains(&heads, 7, &index));
            assert_eq!(slow.probe, fast.probe);
            assert_eq!(slow.build, fast.build);
            let n_pairs = slow.build.len();
            assert_eq!(n_pairs > 900, keeps_probe);
            // With as much room as they need, and with less.
            for (left, fits) in [(n_pairs, true), (n_pairs - 1, false), (3, false)] {
                let mut full = pairs();
                full.probe = vec![0; MOST_ROWS - left];
                full.build = vec![0; MOST_ROWS - left];
                assert_eq!(full.add_chains(&heads, 7, &index), fits);
                let wanted = if fits { MOST_ROWS } else { MOST_ROWS - left };
                assert_eq!((full.probe.len(), full.build.len()), (wanted, wanted));
            }
        }
    }
}
