//! Keys that many of the rows have that are grouped.
//!
//! In:  a few rows of some of the chunks, chosen by where they stand.
//! Out: the keys of a fair share of all rows, however groups were made of them.
//!
//! Nothing here depends on timing, memory or threads: which rows are looked at is
//! told by the chunk, and what was seen is summed up in input order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;

use super::hot::key_values;
use super::report::HotKeyReport;
use super::schema::RunSchema;
use crate::error::Result;
use crate::expr::hash_rows;

/// The first of so many chunks of a unit is looked at.
const CHUNKS_APART: u64 = 8;

/// Rows of such a chunk that are looked at. With as few, looking costs less than a
/// hundredth of adding up numbers by a key.
const SAMPLED_ROWS: usize = 64;

/// The share of a chunk, as one in so many, below which a key of it is not noted.
const NOTED_SHARE: u64 = 32;

/// The share of all rows from which on a key is hot.
const HOT_SHARE: u64 = 16;

/// Keys that are noted at most before those with few rows are forgotten.
const MOST_NOTED: usize = 1024;

/// Keys that a chunk has many rows of.
#[derive(Debug)]
pub(crate) struct ChunkKeys {
    n_rows: u64,
    /// For each its values, and about how many of the rows.
    keys: Vec<(Vec<String>, u64)>,
}

impl ChunkKeys {
    /// Those of chunk `number` with keys of these names; none if it is not looked at.
    pub fn of(
        rows: &RecordBatch,
        schema: &RunSchema,
        names: &[String],
        number: u64,
    ) -> Result<Option<Self>> {
        let n_rows = rows.num_rows();
        // The unit stands in the upper half of the number, the chunk's place in the lower.
        if names.is_empty() || n_rows == 0 || !number.is_multiple_of(CHUNKS_APART) {
            return Ok(None);
        }
        // Odd, since keys often come in turns of two, four or ten.
        let step = n_rows.div_ceil(SAMPLED_ROWS) | 1;
        let places: UInt32Array = (0..n_rows as u32).step_by(step).collect::<Vec<_>>().into();
        let few = take_record_batch(rows, &places)?;
        let few = schema.finish(&few, schema)?;
        // A column that no record of the chunk has is null in all its rows.
        let keys = names.iter().map(|name| few.column_by_name(name));
        let keys: Vec<Option<&ArrayRef>> = keys.collect();
        let there: Vec<ArrayRef> = keys.iter().flatten().map(|keys| Arc::clone(keys)).collect();
        let hashes = match there.is_empty() {
            true => vec![0; few.num_rows()],
            false => hash_rows(&there)?,
        };
        let mut asked: Vec<(u64, usize)> = hashes.into_iter().zip(0..).collect();
        asked.sort_unstable();
        let n_asked = asked.len() as u64;
        let runs = asked.chunk_by(|a, b| a.0 == b.0);
        let runs = runs.filter(|run| run.len() as u64 * NOTED_SHARE >= n_asked);
        let noted = runs.map(|run| {
            let rows = run.len() as u64 * n_rows as u64 / n_asked;
            Ok((key_values(&keys, run[0].1)?, rows))
        });
        Ok(Some(ChunkKeys {
            n_rows: n_rows as u64,
            keys: noted.collect::<Result<_>>()?,
        }))
    }
}

/// Keys that many rows have, of chunks in input order.
#[derive(Debug, Default)]
pub(crate) struct HotGroups {
    n_rows: u64,
    n_chunks: u64,
    sampled_rows: u64,
    sampled_chunks: u64,
    /// By their values: rows, and the chunks that had them.
    keys: BTreeMap<Vec<String>, (u64, u64)>,
}

impl HotGroups {
    /// Takes in what a chunk of so many rows tells.
    pub fn push(&mut self, n_rows: u64, keys: Option<ChunkKeys>) {
        if n_rows == 0 {
            return;
        }
        self.n_rows += n_rows;
        self.n_chunks += 1;
        let Some(chunk) = keys else { return };
        self.sampled_rows += chunk.n_rows;
        self.sampled_chunks += 1;
        for (key, rows) in chunk.keys {
            let seen = self.keys.entry(key).or_default();
            seen.0 += rows;
            seen.1 += 1;
        }
        if self.keys.len() > MOST_NOTED {
            let least = self.sampled_rows / (2 * NOTED_SHARE);
            self.keys.retain(|_, (rows, _)| *rows > least);
        }
    }

    /// The hot ones that several chunks have, with about as many rows as all chunks
    /// have of them, the ones with most rows first.
    pub fn report(&self, names: &[String]) -> Vec<HotKeyReport> {
        let of_all = |part: u64, sampled: u64, all: u64| {
            let whole = u128::from(part) * u128::from(all) / u128::from(sampled.max(1));
            u64::try_from(whole).unwrap_or(u64::MAX)
        };
        let is_hot = |(rows, chunks): &(u64, u64)| {
            *chunks > 1
                && u128::from(*rows) * u128::from(HOT_SHARE) >= u128::from(self.sampled_rows)
        };
        let hot = self.keys.iter().filter(|(_, seen)| is_hot(seen));
        let hot = hot.map(|(values, (rows, chunks))| HotKeyReport {
            columns: names.to_vec(),
            value: values.join(", "),
            rows: of_all(*rows, self.sampled_rows, self.n_rows),
            tasks: of_all(*chunks, self.sampled_chunks, self.n_chunks),
        });
        let mut hot: Vec<HotKeyReport> = hot.collect();
        hot.sort_by_key(|key| std::cmp::Reverse(key.rows));
        hot
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;

    use super::*;

    fn chunk(keys: impl IntoIterator<Item = i64>) -> RecordBatch {
        let keys: Int64Array = keys.into_iter().map(Some).collect();
        RecordBatch::try_from_iter([("k", Arc::new(keys) as ArrayRef)]).unwrap()
    }

    fn hot(chunks: impl IntoIterator<Item = RecordBatch>) -> Vec<HotKeyReport> {
        let names = ["k".to_owned()];
        let mut hot = HotGroups::default();
        for (number, rows) in (0..).zip(chunks) {
            let schema = RunSchema::fixed(rows.schema());
            let keys = ChunkKeys::of(&rows, &schema, &names, number).unwrap();
            hot.push(rows.num_rows() as u64, keys);
        }
        hot.report(&names)
    }

    #[test]
    fn a_key_with_a_fair_share_of_the_rows_is_told_and_no_other() {
        for rows in [1, 2, 20, 1_000, 10_000] {
            let half = |n: i64| {
                chunk((0..rows).map(|row| {
                    if (row + n) % 2 == 0 {
                        -7
                    } else {
                        n * rows + row
                    }
                }))
            };
            let told = hot((0..100).map(half));
            assert_eq!(told.len(), 1, "{rows} rows a chunk: {told:?}");
            assert_eq!(told[0].value, "-7");
            let share = told[0].rows as f64 / (100 * rows) as f64;
            // Where a chunk has one row, the first of eight has it always.
            let wanted = if rows == 1 { 1.0 } else { 0.5 };
            assert!((share - wanted).abs() < 0.05, "{rows}: {share}");
            assert!(told[0].tasks <= 100);
            let apart = |n: i64| chunk((0..rows).map(|row| n * rows + row));
            assert!(hot((0..100).map(apart)).is_empty());
        }
    }

    #[test]
    fn keys_that_few_chunks_have_are_forgotten_and_hot_ones_kept() {
        // Rows in the order of their keys, but for a tenth.
        let sorted =
            |n: i64| chunk((0..640).map(|row| if row % 10 == 3 { -1 } else { n * 40 + row / 16 }));
        let told = hot((0..4_000).map(sorted));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].value, "-1");
    }
}
