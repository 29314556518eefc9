//! A share of the rows, chosen by their place.

use arrow_array::RecordBatch;
use arrow_buffer::BooleanBuffer;

use super::Kept;
use crate::error::Result;

/// The rows whose number falls into a share. Streaming, keeps order, holds
/// nothing. Rows are counted as they come, so it needs input order.
///
/// Every row has a number from 0 to 1 that depends on the seed and on its place
/// alone. Shares that do not overlap hold different rows, and `0..1` holds all.
#[derive(Debug)]
pub struct Sample {
    seed: u64,
    from: f64,
    to: f64,
    next_row: u64,
}

impl Sample {
    /// The rows whose number is at least `from` and less than `to`.
    pub fn new(seed: u64, from: f64, to: f64) -> Self {
        Sample {
            seed,
            from,
            to,
            next_row: 0,
        }
    }

    /// The rows of the next batch that are kept, with where in it they stood.
    ///
    /// # Errors
    ///
    /// None that can happen: the mask has a value for each row.
    pub fn keep(&mut self, batch: &RecordBatch) -> Result<Kept> {
        let first = self.next_row;
        let rows = batch.num_rows();
        self.next_row += rows as u64;
        let is_kept = |row: usize| {
            let number = number_of(self.seed, first + row as u64);
            number >= self.from && number < self.to
        };
        Kept::by(batch, BooleanBuffer::collect_bool(rows, is_kept))
    }
}

/// The number of a row, at least 0 and less than 1. The mixing is that of
/// splitmix64 (Steele, Lea and Flood, 2014), whose outputs are equally spread.
fn number_of(seed: u64, row: u64) -> f64 {
    let mix = |mut bits: u64| {
        bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    };
    let bits = mix(mix(seed) ^ row);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;

    fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn rows(kept: &Kept) -> Vec<i64> {
        kept.batch
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    }

    #[test]
    fn a_row_is_kept_by_its_place_however_rows_are_batched() {
        let whole = rows(&Sample::new(7, 0.2, 0.5).keep(&batch(0..1000)).unwrap());
        assert!((250..350).contains(&whole.len()), "{}", whole.len());
        for step in [1, 3, 999] {
            let mut sample = Sample::new(7, 0.2, 0.5);
            let mut all = Vec::new();
            for from in (0..1000).step_by(step) {
                let part = batch(from..(from + step as i64).min(1000));
                all.extend(rows(&sample.keep(&part).unwrap()));
            }
            assert_eq!(all, whole, "batches of {step}");
        }
        let other = rows(&Sample::new(8, 0.2, 0.5).keep(&batch(0..1000)).unwrap());
        assert_ne!(other, whole, "another seed keeps other rows");
    }

    #[test]
    fn shares_side_by_side_hold_every_row_once() {
        let cuts = [0.0, 0.1, 0.15, 0.8, 1.0];
        let mut all = Vec::new();
        for pair in cuts.windows(2) {
            all.extend(rows(
                &Sample::new(1, pair[0], pair[1])
                    .keep(&batch(0..500))
                    .unwrap(),
            ));
        }
        all.sort_unstable();
        assert_eq!(all, (0..500).collect::<Vec<_>>());
    }
}
