//! Rows of a row group, seen the same way however they were cut into batches.
//!
//! In:  the batches of one row group, as they came.
//! Out: windows of a fixed number of rows.
//!
//! Blocksize and threads decide where batches end; nothing written may depend
//! on it. So encoders are handed windows, counted from the first row:
//!
//! ```text
//! batches  [------)[--)[----------)[---)
//! windows  [--------)[--------)[-------)
//! ```

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_select::concat::concat;

use crate::error::Result;

/// One column of a row group.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    arrays: Vec<ArrayRef>,
    len: usize,
}

impl Rows {
    pub(crate) fn new(arrays: Vec<ArrayRef>) -> Self {
        let len = arrays.iter().map(|array| array.len()).sum();
        Rows { arrays, len }
    }

    /// Column `idx` of every batch.
    pub(crate) fn of_column(batches: &[RecordBatch], idx: usize) -> Self {
        Rows::new(
            batches
                .iter()
                .map(|batch| Arc::clone(batch.column(idx)))
                .collect(),
        )
    }

    pub(crate) fn arrays(&self) -> &[ArrayRef] {
        &self.arrays
    }

    /// Rows `start..start + len`, without a copy where one array holds them all.
    pub(crate) fn window(&self, start: usize, len: usize) -> Result<ArrayRef> {
        let mut pieces = self.pieces(start, len);
        if pieces.len() == 1 {
            return Ok(pieces.swap_remove(0));
        }
        let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| piece.as_ref()).collect();
        Ok(concat(&pieces)?)
    }

    /// Every window of `rows` rows, the last one shorter.
    pub(crate) fn windows(&self, rows: usize) -> impl Iterator<Item = Result<ArrayRef>> + '_ {
        (0..self.len)
            .step_by(rows)
            .map(move |start| self.window(start, rows.min(self.len - start)))
    }

    /// The slices that hold rows `start..start + len`.
    fn pieces(&self, start: usize, len: usize) -> Vec<ArrayRef> {
        let (mut skip, mut want) = (start, len);
        let mut pieces = Vec::new();
        for array in &self.arrays {
            if skip >= array.len() {
                skip -= array.len();
                continue;
            }
            let take = want.min(array.len() - skip);
            pieces.push(array.slice(skip, take));
            (skip, want) = (0, want - take);
            if want == 0 {
                break;
            }
        }
        pieces
    }
}

/// Rows `start..start + len` of batches as one batch, copied so that it holds
/// nothing but those rows: no offset, no bits of its neighbours.
pub(crate) fn compact(batches: &[RecordBatch], start: usize, len: usize) -> Result<RecordBatch> {
    let schema = batches[0].schema();
    let columns = (0..schema.fields().len())
        .map(|idx| {
            let pieces = Rows::of_column(batches, idx).pieces(start, len);
            // One piece alone would come back from `concat` as the slice it is.
            let empty = pieces[0].slice(0, 0);
            let mut pieces: Vec<&dyn Array> = pieces.iter().map(|piece| piece.as_ref()).collect();
            pieces.push(empty.as_ref());
            Ok(concat(&pieces)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(len));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{BooleanArray, Int64Array, ListArray, StringArray, StructArray};

    use super::*;

    fn columns() -> Vec<ArrayRef> {
        let ids: Int64Array = (0..100).map(|n| (n % 7 != 0).then_some(n)).collect();
        let names: StringArray = (0..100).map(|n| Some("hay".repeat(n % 5))).collect();
        let flags: BooleanArray = (0..100).map(|n| Some(n % 3 == 0)).collect();
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
            (0..100).map(|n| Some((0..n % 4).map(Some))),
        );
        let nested = StructArray::try_from(vec![
            ("names", Arc::new(names.clone()) as ArrayRef),
            ("lists", Arc::new(lists.clone()) as ArrayRef),
        ])
        .unwrap();
        vec![
            Arc::new(ids),
            Arc::new(names),
            Arc::new(flags),
            Arc::new(lists),
            Arc::new(nested),
        ]
    }

    #[test]
    fn windows_do_not_depend_on_the_cuts() {
        for column in columns() {
            let whole = Rows::new(vec![Arc::clone(&column)]);
            let expected: Vec<ArrayRef> = whole.windows(16).map(Result::unwrap).collect();
            for cut in 1..100 {
                let mut pieces = Vec::new();
                let mut start = 0;
                while start < 100 {
                    let len = cut.min(100 - start);
                    pieces.push(column.slice(start, len));
                    start += len;
                }
                let rows = Rows::new(pieces);
                let windows: Vec<ArrayRef> = rows.windows(16).map(Result::unwrap).collect();
                assert_eq!(windows, expected, "{} cut {cut}", column.data_type());
            }
        }
    }
}
