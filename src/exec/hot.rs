//! Keys that many rows have.
//!
//! In:  hashes of the keys of rows, a batch at a time.
//! Out: the keys that a fair share of a batch has, and how many rows have them
//!      from there on.

use std::collections::BTreeMap;

use arrow_array::{Array, ArrayRef};
use arrow_cast::display::array_value_to_string;

use super::report::HotKeyReport;
use crate::error::Result;

/// The share of a batch, as one in so many, that a key has at least where it is hot.
const HOT_SHARE: u64 = 4;

/// The same where its rows would make one bucket of 64 much larger than others.
const OUTSTANDING_SHARE: u64 = 64;

/// Rows of a batch below which it tells nothing of hot keys.
const LEAST_ROWS: usize = 16;

/// Rows of a batch that tell whether one of its keys is hot.
pub(super) const TELLING_ROWS: usize = 256;

/// Keys that many of a task's rows have.
#[derive(Default)]
pub(super) struct HotRows {
    /// By hash: the key's values, and its rows since it was first noticed.
    pub keys: BTreeMap<u64, (String, u64)>,
}

impl HotRows {
    /// Counts the rows of a batch that have a hot key, by the hashes of its rows. A
    /// key is one from the first batch on of which it has most rows. `value` tells
    /// the values of the key that a row has.
    pub fn note(
        &mut self,
        hashes: &[u64],
        value: impl FnOnce(usize) -> Result<String>,
    ) -> Result<()> {
        if let Some((row, hash)) = hot(hashes)
            && !self.keys.contains_key(&hash)
        {
            self.keys.insert(hash, (value(row)?, 0));
        }
        if hashes.len() >= LEAST_ROWS {
            for (hash, (_, rows)) in &mut self.keys {
                *rows += count(hashes, *hash);
            }
        }
        Ok(())
    }
}

/// A row that has a hot key, and its hash, if there is one.
fn hot(hashes: &[u64]) -> Option<(usize, u64)> {
    with_share(hashes, HOT_SHARE)
}

/// Whether a key has so many rows that they are a burden to its bucket.
pub(super) fn stands_out(hashes: &[u64]) -> bool {
    with_share(hashes, OUTSTANDING_SHARE).is_some()
}

/// The key that one row in `share` has, or more.
fn with_share(hashes: &[u64], share: u64) -> Option<(usize, u64)> {
    if hashes.len() < LEAST_ROWS {
        return None;
    }
    let (row, hash) = most_common(hashes);
    let rows = count(hashes, hash);
    (rows > 1 && rows * share >= hashes.len() as u64).then_some((row, hash))
}

/// The text of the key that a row has in these columns.
pub(super) fn key_text<'a>(
    keys: impl IntoIterator<Item = &'a ArrayRef>,
    row: usize,
) -> Result<String> {
    let keys: Vec<Option<&ArrayRef>> = keys.into_iter().map(Some).collect();
    Ok(key_values(&keys, row)?.join(", "))
}

/// The texts of the values that a row has in these columns; of one that is not there, null.
pub(super) fn key_values(keys: &[Option<&ArrayRef>], row: usize) -> Result<Vec<String>> {
    let values = keys.iter().map(|keys| match keys {
        Some(keys) if !keys.is_null(row) => array_value_to_string(keys, row),
        _ => Ok("null".to_owned()),
    });
    Ok(values.collect::<std::result::Result<_, _>>()?)
}

/// Hot keys of all tasks.
#[derive(Default)]
pub(super) struct HotKeys(BTreeMap<u64, HotKeyReport>);

impl HotKeys {
    /// Adds those of a task, of columns with these names.
    pub fn add(&mut self, names: &[String], hot: HotRows) {
        for (hash, (value, rows)) in hot.keys {
            let key = self.0.entry(hash).or_insert_with(|| HotKeyReport {
                columns: names.to_vec(),
                value,
                rows: 0,
                tasks: 0,
            });
            key.rows += rows;
            key.tasks += 1;
        }
    }

    /// Those that several tasks shared, the ones with most rows first.
    pub fn shared(&self) -> Vec<HotKeyReport> {
        let shared = self.0.values().filter(|key| key.tasks > 1);
        let mut hot: Vec<HotKeyReport> = shared.cloned().collect();
        hot.sort_by_key(|key| std::cmp::Reverse(key.rows));
        hot
    }
}

fn count(hashes: &[u64], hash: u64) -> u64 {
    hashes.iter().filter(|other| **other == hash).count() as u64
}

/// The hash that most of some rows have, spread over a batch, and a row that has it.
/// Of at least one row.
fn most_common(hashes: &[u64]) -> (usize, u64) {
    // Odd, since keys often come in turns of two, four or ten.
    let step = hashes.len().div_ceil(TELLING_ROWS) | 1;
    let rows = (0..hashes.len()).step_by(step);
    let mut asked: Vec<(u64, usize)> = rows.map(|row| (hashes[row], row)).collect();
    asked.sort_unstable();
    let runs = asked.chunk_by(|a, b| a.0 == b.0);
    // The first of equally long ones.
    let longest = runs.reduce(|best, run| if run.len() > best.len() { run } else { best });
    longest.map_or((0, 0), |run| (run[0].1, run[0].0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_most_rows_is_found() {
        for n in [16, 17, 100, 10_000] {
            for share in [2, 3] {
                let key = |row: u64| if row % share == 1 { 7 } else { 1_000 + row };
                let hashes: Vec<u64> = (0..n).map(key).collect();
                let (row, hash) = most_common(&hashes);
                assert_eq!((hash, hashes[row]), (7, 7));
            }
        }
    }

    #[test]
    fn rows_of_a_hot_key_count_from_where_it_is_hot_and_it_was_shared() {
        let half = |n: u64| (0..40_u64).map(move |row| if row % 2 == 0 { 7 } else { n + row });
        let (mut all, names) = (HotKeys::default(), ["k".to_owned()]);
        for (tasks, shared) in [(1, 0), (2, 1)] {
            let mut hot = HotRows::default();
            for n in [100, 200] {
                let hashes: Vec<u64> = half(n).collect();
                hot.note(&hashes, |row| Ok(format!("at {row}"))).unwrap();
            }
            all.add(&names, hot);
            let found = all.shared();
            assert_eq!(found.len(), shared);
            assert!(found.iter().all(|key| (key.rows, key.tasks) == (80, tasks)));
        }
        let few: Vec<u64> = half(0).take(15).collect();
        assert_eq!((hot(&few), stands_out(&few)), (None, false));
        let apart: Vec<u64> = (0..40).collect();
        assert!(hot(&apart).is_none() && !stands_out(&apart));
        let twice: Vec<u64> = (0..40).map(|row| row.max(1)).collect();
        assert!(hot(&twice).is_none() && stands_out(&twice));
    }
}
