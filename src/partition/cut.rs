//! Where one partition ends and the next begins.
//!
//! In:  batches in input order.
//! Out: slices of them, each with the partition it belongs to.
//!
//! A cut falls between rows, depends on rows and their bytes alone, and never
//! leaves a partition empty:
//!
//! ```text
//! batches      [.......][.......][..][........]
//! Cut::Rows(5) |----0----|----1----|----2---|3|
//! ```

use arrow_array::RecordBatch;

use super::sizes::{batch_bytes, row_bytes};

/// When a partition is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Never: one partition holds all.
    Never,
    /// Where [`Cutter::end_partition`] says: the rows came in partitions.
    Given,
    /// After this many rows.
    Rows(u64),
    /// Once it holds at least this many logical bytes.
    Bytes(u64),
    /// Once the text it was read from has at least this many bytes; the caller
    /// says how many bytes each batch came from.
    Text(u64),
    /// Into this many of equal rows (to within one), of a total that is known.
    Count {
        /// Partitions wanted.
        partitions: u64,
        /// Rows there will be in all.
        total_rows: u64,
    },
    /// Into this many of equal bytes (to within one row), of a total that is known.
    EvenBytes {
        /// Partitions wanted.
        partitions: u64,
        /// Logical bytes there will be in all.
        total_bytes: u64,
    },
}

/// Rows that belong to one partition.
#[derive(Debug)]
pub struct Piece {
    /// The partition, counted from 0 without gaps.
    pub partition_idx: u64,
    /// Some of its rows; never none.
    pub batch: RecordBatch,
}

/// Cuts a stream of batches into partitions. Holds no rows.
#[derive(Debug)]
pub struct Cutter {
    cut: Cut,
    partition_idx: u64,
    /// Of the open partition.
    rows: u64,
    bytes: u64,
    text_bytes: u64,
    /// Of all partitions so far.
    total_rows: u64,
    total_bytes: u64,
}

impl Cutter {
    /// A cutter before its first row.
    pub fn new(cut: Cut) -> Self {
        Cutter {
            cut,
            partition_idx: 0,
            rows: 0,
            bytes: 0,
            text_bytes: 0,
            total_rows: 0,
            total_bytes: 0,
        }
    }

    /// The pieces of the next batch, which came from `text_bytes` of text.
    ///
    /// Pieces are in row order. A partition that has become full is closed
    /// lazily, by the first row after it, so no empty one is ever begun.
    pub fn push(&mut self, batch: &RecordBatch, text_bytes: u64) -> Vec<Piece> {
        let rows = batch.num_rows();
        let mut pieces = Vec::with_capacity(1);
        let mut start = 0;
        // Row sizes are worked out only for a batch that a cut by bytes may fall in.
        let mut sizes: Option<Vec<u64>> = None;
        let by_bytes = matches!(self.cut, Cut::Bytes(_) | Cut::EvenBytes { .. });
        let all_bytes = if by_bytes { batch_bytes(batch) } else { 0 };
        while start < rows {
            if self.is_full() {
                self.close();
            }
            let left = rows - start;
            let take = match self.cut {
                Cut::Never | Cut::Given | Cut::Text(_) => left,
                Cut::Rows(limit) => left.min(to_usize(limit - self.rows)),
                Cut::Count { .. } => left.min(to_usize(self.row_end() - self.total_rows)),
                Cut::Bytes(_) | Cut::EvenBytes { .. } => {
                    let room = match self.cut {
                        Cut::Bytes(limit) => limit - self.bytes,
                        _ => self.byte_end().saturating_sub(self.total_bytes),
                    };
                    if start == 0 && all_bytes < room {
                        left
                    } else {
                        let sizes = sizes.get_or_insert_with(|| row_bytes(batch));
                        rows_within(&sizes[start..], room)
                    }
                }
            };
            self.rows += take as u64;
            self.total_rows += take as u64;
            if by_bytes {
                let bytes = match &sizes {
                    Some(sizes) => sizes[start..start + take].iter().sum(),
                    None => all_bytes,
                };
                self.bytes += bytes;
                self.total_bytes += bytes;
            }
            pieces.push(Piece {
                partition_idx: self.partition_idx,
                batch: batch.slice(start, take),
            });
            start += take;
        }
        self.text_bytes += text_bytes;
        pieces
    }

    /// The end of a partition, where partitions are given. One without rows is none.
    pub fn end_partition(&mut self) {
        if self.cut == Cut::Given && self.rows > 0 {
            self.close();
        }
    }

    fn is_full(&self) -> bool {
        if self.rows == 0 {
            return false;
        }
        match self.cut {
            Cut::Never | Cut::Given => false,
            Cut::Rows(limit) => self.rows >= limit,
            Cut::Bytes(limit) => self.bytes >= limit,
            Cut::Text(limit) => self.text_bytes >= limit,
            Cut::Count { partitions, .. } => {
                self.total_rows >= self.row_end() && self.partition_idx + 1 < partitions
            }
            Cut::EvenBytes { partitions, .. } => {
                self.total_bytes >= self.byte_end() && self.partition_idx + 1 < partitions
            }
        }
    }

    fn close(&mut self) {
        self.partition_idx += 1;
        self.rows = 0;
        self.bytes = 0;
        // What is over counts for the next, so that text blocks keep their grid.
        self.text_bytes = match self.cut {
            Cut::Text(limit) => self.text_bytes % limit.max(1),
            _ => 0,
        };
    }

    /// Rows of all partitions up to and with the open one, under [`Cut::Count`].
    fn row_end(&self) -> u64 {
        match self.cut {
            Cut::Count {
                partitions,
                total_rows,
            } => {
                let partitions = partitions.max(1);
                if self.partition_idx + 1 >= partitions {
                    return u64::MAX;
                }
                let closed = self.partition_idx + 1;
                closed * (total_rows / partitions) + closed.min(total_rows % partitions)
            }
            _ => u64::MAX,
        }
    }

    /// Bytes of all partitions up to and with the open one, under [`Cut::EvenBytes`].
    fn byte_end(&self) -> u64 {
        match self.cut {
            Cut::EvenBytes {
                partitions,
                total_bytes,
            } if self.partition_idx + 1 < partitions => {
                let share = u128::from(total_bytes) * u128::from(self.partition_idx + 1)
                    / u128::from(partitions.max(1));
                u64::try_from(share).unwrap_or(u64::MAX)
            }
            _ => u64::MAX,
        }
    }
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// How many rows are needed to fill `room` bytes: at least one, and all if they do not.
fn rows_within(sizes: &[u64], room: u64) -> usize {
    let mut filled = 0;
    for (row, size) in sizes.iter().enumerate() {
        filled += size;
        if filled >= room {
            return row + 1;
        }
    }
    sizes.len()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn rows(n: usize) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n as i64));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..n).map(|n| "x".repeat(n * 7 % 13)),
        ));
        RecordBatch::try_from_iter([("id", ids), ("text", text)]).unwrap()
    }

    /// Rows per partition when `batch` arrives in batches of `step` rows.
    fn layout(batch: &RecordBatch, step: usize, cut: Cut) -> Vec<u64> {
        let mut cutter = Cutter::new(cut);
        let mut layout: Vec<u64> = Vec::new();
        let mut start = 0;
        while start < batch.num_rows() {
            let len = step.min(batch.num_rows() - start);
            for piece in cutter.push(&batch.slice(start, len), len as u64) {
                let idx = piece.partition_idx as usize;
                assert!(idx == layout.len() || idx + 1 == layout.len(), "in order");
                if idx == layout.len() {
                    layout.push(0);
                }
                assert!(piece.batch.num_rows() > 0, "no empty piece");
                layout[idx] += piece.batch.num_rows() as u64;
            }
            start += len;
        }
        assert_eq!(layout.iter().sum::<u64>(), batch.num_rows() as u64);
        layout
    }

    #[test]
    fn rows_lie_the_same_however_they_are_batched() {
        let batch = rows(101);
        let total_bytes = batch_bytes(&batch);
        for cut in [
            Cut::Never,
            Cut::Rows(1),
            Cut::Rows(10),
            Cut::Rows(1000),
            Cut::Bytes(1),
            Cut::Bytes(333),
            Cut::Count {
                partitions: 4,
                total_rows: 101,
            },
            Cut::Count {
                partitions: 101,
                total_rows: 101,
            },
            Cut::Count {
                partitions: 200,
                total_rows: 101,
            },
            Cut::EvenBytes {
                partitions: 7,
                total_bytes,
            },
            Cut::EvenBytes {
                partitions: 500,
                total_bytes,
            },
        ] {
            let whole = layout(&batch, 101, cut);
            for step in [1, 2, 3, 7, 10, 50] {
                assert_eq!(layout(&batch, step, cut), whole, "{cut:?} by {step}");
            }
            assert!(whole.iter().all(|rows| *rows > 0), "{cut:?}: {whole:?}");
        }
    }

    #[test]
    fn a_count_is_met_exactly_and_rows_differ_by_at_most_one() {
        for total in [1_u64, 2, 5, 99, 100, 101] {
            for partitions in 1..=total {
                let cut = Cut::Count {
                    partitions,
                    total_rows: total,
                };
                let layout = layout(&rows(total as usize), 9, cut);
                assert_eq!(layout.len() as u64, partitions);
                let (min, max) = (layout.iter().min().unwrap(), layout.iter().max().unwrap());
                assert!(max - min <= 1, "{total} in {partitions}: {layout:?}");
            }
        }
    }

    #[test]
    fn bytes_are_even_to_within_a_row() {
        let batch = rows(2000);
        let sizes = row_bytes(&batch);
        let total_bytes = batch_bytes(&batch);
        let layout = layout(
            &batch,
            64,
            Cut::EvenBytes {
                partitions: 9,
                total_bytes,
            },
        );
        assert_eq!(layout.len(), 9);
        let mut start = 0;
        for rows in layout {
            let bytes: u64 = sizes[start..start + rows as usize].iter().sum();
            assert!(bytes.abs_diff(total_bytes / 9) <= 2 * sizes.iter().max().unwrap());
            start += rows as usize;
        }
    }

    #[test]
    fn text_blocks_keep_their_grid() {
        // One byte of text a row here: partitions follow blocks of 10 bytes.
        let layout = layout(&rows(95), 5, Cut::Text(10));
        assert_eq!(layout, [10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);
    }
}
