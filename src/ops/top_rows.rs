//! The rows with the largest or the smallest keys.
//!
//! In:  batches in order.
//! Out: at most `n` rows, best first; equal keys in input order, nulls last.
//!
//! A key is turned into bytes that compare as it does, by value: whole numbers
//! and fractions compare exactly, whichever type a batch has them as. Rows that
//! are not better than the worst of `n` are dropped at once.

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_row::{OwnedRow, RowConverter, Rows, SortField};
use arrow_schema::{DataType, SortOptions};
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;

use crate::error::{Error, Result};
use crate::expr::{BoundExpr, order_columns};
use crate::partition::batch_bytes;

/// The fewest rows that wait before they are cut to size.
const WAITING: usize = 4_096;

/// Keeps the best rows. Blocking; holds about `2 * n` rows.
pub struct TopRows {
    n: usize,
    by: Vec<BoundExpr>,
    options: SortOptions,
    /// Made for the types of the keys when the first batch comes.
    order: Option<(RowConverter, Vec<DataType>)>,
    chunks: Vec<RecordBatch>,
    chunk_bytes: u64,
    /// Rows that wait: where they are. Their keys stand in `keys`, in the same order.
    places: Vec<(usize, usize)>,
    keys: Option<Rows>,
    /// The key of the worst of `n` rows: what is not better need not wait.
    worst: Option<OwnedRow>,
}

impl TopRows {
    /// The `n` rows with the largest keys: by the first, where those are equal by the second ….
    pub fn largest(n: usize, by: Vec<BoundExpr>) -> Self {
        TopRows::new(n, by, true)
    }

    /// The `n` rows with the smallest keys.
    pub fn smallest(n: usize, by: Vec<BoundExpr>) -> Self {
        TopRows::new(n, by, false)
    }

    fn new(n: usize, by: Vec<BoundExpr>, descending: bool) -> Self {
        TopRows {
            n,
            by,
            options: SortOptions::new(descending, false),
            order: None,
            chunks: Vec::new(),
            chunk_bytes: 0,
            places: Vec::new(),
            keys: None,
            worst: None,
        }
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> usize {
        self.chunk_bytes as usize + self.keys.as_ref().map_or(0, Rows::size)
    }

    /// Takes in a batch whose rows come behind all rows so far. What another
    /// such operator gave at its end can be taken in like any batch.
    ///
    /// # Errors
    ///
    /// Those of evaluating the keys, and [`Error::Plan`] for a key that has no order.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.push_seen(batch, batch)
    }

    /// As [`push`](Self::push), of rows whose keys stand in `seen`: the same rows
    /// with the columns that names mean.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_seen(&mut self, batch: &RecordBatch, seen: &RecordBatch) -> Result<()> {
        let keys = self
            .by
            .iter()
            .map(|key| key.evaluate(seen))
            .collect::<Result<Vec<_>>>()?;
        self.push_keyed(batch, &keys)
    }

    /// As [`push`](Self::push), with keys that were evaluated already.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a key that has no order.
    pub fn push_keyed(&mut self, batch: &RecordBatch, keys: &[ArrayRef]) -> Result<()> {
        if self.n == 0 || batch.num_rows() == 0 {
            return Ok(());
        }
        let mut columns = Vec::new();
        for (key, bound) in keys.iter().zip(&self.by) {
            columns.extend(order_columns(key, bound.data_type())?);
        }
        let converter = self.converter(&columns)?;
        let rows = converter.convert_columns(&columns)?;
        let worst = self.worst.as_ref();
        let better: Vec<u32> = (0..rows.num_rows())
            .filter(|&row| worst.is_none_or(|worst| rows.row(row) < worst.row()))
            .map(|row| row as u32)
            .collect();
        if better.is_empty() {
            return Ok(());
        }
        let held = self.keys.get_or_insert_with(|| converter_rows(&self.order));
        for &row in &better {
            held.push(rows.row(row as usize));
        }
        let chunk = self.chunks.len();
        self.places
            .extend((0..better.len()).map(|row| (chunk, row)));
        let kept = match better.len() == batch.num_rows() {
            true => batch.clone(),
            false => take_record_batch(batch, &UInt32Array::from(better))?,
        };
        self.chunk_bytes += batch_bytes(&kept);
        self.chunks.push(kept);
        if self.places.len() > WAITING.max(self.n.saturating_mul(2)) {
            self.cut()?;
        }
        Ok(())
    }

    fn converter(&mut self, columns: &[ArrayRef]) -> Result<&RowConverter> {
        let types: Vec<DataType> = columns
            .iter()
            .map(|column| column.data_type().clone())
            .collect();
        if let Some((_, known)) = &self.order
            && *known != types
        {
            return Err(Error::plan(format!(
                "rows cannot be ordered by {known:?} in some batches and {types:?} in others"
            )));
        }
        if self.order.is_none() {
            let fields: Vec<SortField> = types
                .iter()
                .map(|of| SortField::new_with_options(of.clone(), self.options))
                .collect();
            if !RowConverter::supports_fields(&fields) {
                return Err(Error::plan(format!("rows cannot be ordered by {types:?}")));
            }
            self.order = Some((RowConverter::new(fields)?, types));
        }
        let (converter, _) = self.order.as_ref().expect("it was made above");
        Ok(converter)
    }

    /// Keeps the best `n` of the rows that wait, best first.
    fn cut(&mut self) -> Result<()> {
        let Some(keys) = self.keys.take() else {
            return Ok(());
        };
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        // Stable: equal keys stay in input order.
        order.sort_by(|&a, &b| keys.row(a).cmp(&keys.row(b)));
        order.truncate(self.n);
        if let Some(&last) = order.get(self.n - 1) {
            self.worst = Some(keys.row(last).owned());
        }
        let mut kept = converter_rows(&self.order);
        for &row in &order {
            kept.push(keys.row(row));
        }
        self.keys = Some(kept);
        let places: Vec<(usize, usize)> = order.iter().map(|&row| self.places[row]).collect();
        self.chunks = gather(&self.chunks, &places)?;
        self.chunk_bytes = self.chunks.iter().map(batch_bytes).sum();
        self.places = (self.chunks.iter().enumerate())
            .flat_map(|(chunk, batch)| (0..batch.num_rows()).map(move |row| (chunk, row)))
            .collect();
        Ok(())
    }

    /// The best rows, best first: one batch, or more where the batches they
    /// came in had different columns or types. The operator is empty after it.
    ///
    /// # Errors
    ///
    /// [`Error::External`] if texts are too large for one array.
    pub fn finish(&mut self) -> Result<Vec<RecordBatch>> {
        if self.n > 0 {
            self.cut()?;
        }
        let best = std::mem::take(&mut self.chunks);
        let by = std::mem::take(&mut self.by);
        *self = TopRows::new(self.n, by, self.options.descending);
        Ok(best)
    }
}

/// An empty list of keys.
fn converter_rows(order: &Option<(RowConverter, Vec<DataType>)>) -> Rows {
    let (converter, _) = order
        .as_ref()
        .expect("rows are held only once there is an order");
    converter.empty_rows(0, 0)
}

/// Rows of several batches in the order of `places`; a batch for every run of
/// rows of one schema.
fn gather(chunks: &[RecordBatch], places: &[(usize, usize)]) -> Result<Vec<RecordBatch>> {
    let alike = |a: &(usize, usize), b: &(usize, usize)| {
        a.0 == b.0 || chunks[a.0].schema() == chunks[b.0].schema()
    };
    places
        .chunk_by(alike)
        .map(|run| {
            let schema = chunks[run[0].0].schema();
            // Only batches of the run's schema may be looked at.
            let same: Vec<usize> = (0..chunks.len())
                .filter(|&chunk| chunks[chunk].schema() == schema)
                .collect();
            let batches: Vec<&RecordBatch> = same.iter().map(|&chunk| &chunks[chunk]).collect();
            let run: Vec<(usize, usize)> = run
                .iter()
                .map(|&(chunk, row)| (same.partition_point(|&known| known < chunk), row))
                .collect();
            Ok(interleave_record_batch(&batches, &run)?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::col;
    use crate::ops::test_rows::{rows, shown};
    use arrow_array::{Array, Float64Array, Int64Array, StringArray};
    use arrow_select::concat::concat_batches;
    use std::sync::Arc;

    fn top(largest: bool, n: usize, by: &[&str]) -> TopRows {
        let schema = rows().schema();
        let by = by
            .iter()
            .map(|&name| col(name).bind(&schema).unwrap())
            .collect();
        match largest {
            true => TopRows::largest(n, by),
            false => TopRows::smallest(n, by),
        }
    }

    fn answer(mut top: TopRows) -> Vec<String> {
        top.finish().unwrap().iter().flat_map(shown).collect()
    }

    /// All rows sorted by comparing them one by one.
    fn oracle(largest: bool, n: usize, by: &[&str]) -> Vec<String> {
        let all = rows();
        let mut order: Vec<usize> = (0..all.num_rows()).collect();
        order.sort_by(|&a, &b| {
            by.iter().fold(std::cmp::Ordering::Equal, |so_far, name| {
                so_far.then_with(|| {
                    let column = all.column_by_name(name).unwrap();
                    let options = SortOptions::new(largest, false);
                    // The one rule of its own: -0 is 0.
                    let column = match column.data_type() {
                        DataType::Float64 => {
                            let floats = column.as_any().downcast_ref::<Float64Array>().unwrap();
                            Arc::new(
                                floats.unary::<_, arrow_array::types::Float64Type>(|x| x + 0.0),
                            )
                        }
                        _ => Arc::clone(column),
                    };
                    arrow_ord::ord::make_comparator(&column, &column, options).unwrap()(a, b)
                })
            })
        });
        let lines = shown(&all);
        order.truncate(n);
        order.into_iter().map(|row| lines[row].clone()).collect()
    }

    #[test]
    fn the_best_rows_are_the_oracles_in_any_cut() {
        let all = rows();
        for largest in [true, false] {
            for by in [
                &["n"][..],
                &["x"],
                &["word"],
                &["word", "x"],
                &["n", "word"],
            ] {
                for n in [0, 1, 5, 12, 50] {
                    let expected = oracle(largest, n, by);
                    for step in [1, 5, 12] {
                        let mut direct = top(largest, n, by);
                        let mut merged = top(largest, n, by);
                        for start in (0..12).step_by(step) {
                            let piece = all.slice(start, step.min(12 - start));
                            direct.push(&piece).unwrap();
                            direct.cut_if_any();
                            let mut part = top(largest, n, by);
                            part.push(&piece).unwrap();
                            for batch in part.finish().unwrap() {
                                merged.push(&batch).unwrap();
                            }
                        }
                        assert_eq!(answer(direct), expected, "{largest} {by:?} {n} {step}");
                        assert_eq!(answer(merged), expected, "{largest} {by:?} {n} {step}");
                    }
                }
            }
        }
    }

    impl TopRows {
        /// Cuts before enough rows wait, as many rows would.
        fn cut_if_any(&mut self) {
            if self.n > 0 {
                self.cut().unwrap();
            }
        }
    }

    #[test]
    fn many_rows_are_cut_to_size() {
        let n = Int64Array::from_iter_values((0..10_000).map(|row| row * 7_919 % 10_007));
        let all = RecordBatch::try_from_iter([("n", Arc::new(n) as _)]).unwrap();
        let by = vec![col("n").bind(&all.schema()).unwrap()];
        let mut top = TopRows::largest(3, by);
        for start in (0..10_000).step_by(1_000) {
            top.push(&all.slice(start, 1_000)).unwrap();
        }
        assert!(top.bytes() < 200_000, "{}", top.bytes());
        let found = concat_batches(&all.schema(), &top.finish().unwrap()).unwrap();
        assert_eq!(shown(&found), ["10006", "10005", "10004"]);
    }

    #[test]
    fn batches_that_type_a_key_otherwise_compare_by_value() {
        let batch = |array: ArrayRef| RecordBatch::try_from_iter([("n", array)]).unwrap();
        let ints = batch(Arc::new(Int64Array::from(vec![
            9_007_199_254_740_993,
            2,
            -1,
        ])));
        let floats = batch(Arc::new(Float64Array::from(vec![
            9_007_199_254_740_992.0,
            2.5,
        ])));
        let texts = batch(Arc::new(StringArray::from(vec!["n/a", "10", "2"])));
        let by = vec![col("n").bind(&ints.schema()).unwrap()];
        let mut top = TopRows::largest(6, by);
        for batch in [&texts, &floats, &ints] {
            top.push(batch).unwrap();
        }
        let expected = [
            "9007199254740993",
            "9007199254740992.0",
            "10",
            "2.5",
            "2",
            "2",
        ];
        assert_eq!(answer(top), expected);
    }
}
