//! The first rows of an order, without sorting the others.
//!
//! In:  batches in order, and keys that order rows.
//! Out: at most `n` rows, best first; equal keys in input order.
//!
//! A key is turned into bytes that compare as it does, by value: whole numbers
//! and fractions compare exactly, whichever type a batch has them as. Rows that
//! are not better than the worst of `n` are dropped at once; of a first key of at
//! most 64 bits, most of them by comparing one number.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_row::{OwnedRow, RowConverter, Rows, SortField};
use arrow_schema::{DataType, SortOptions};
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;

use super::sort::{canonical, fixed};
use crate::error::{Error, Result};
use crate::expr::{BoundExpr, order_columns};
use crate::partition::batch_bytes;

/// The fewest rows that wait before they are cut to size.
const WAITING: usize = 4_096;

/// What orders rows, and how.
#[derive(Debug, Clone)]
pub struct TopKey {
    /// Gives the key of each row.
    pub expr: BoundExpr,
    /// Which come first, and where nulls stand.
    pub options: SortOptions,
    /// Whether all batches have it in the type that it was bound in: then it
    /// orders rows as sorting by it does, else by value.
    pub typed: bool,
}

impl TopKey {
    /// Whether values of a type come in their own order: numbers among texts do not.
    fn compares_as(&self, of: &DataType) -> bool {
        let planned = self.expr.data_type();
        self.typed || of == planned || (of.is_numeric() && planned.is_numeric())
    }
}

/// What a row must be better than to be one of the best.
#[derive(Debug)]
pub struct Bar {
    types: Vec<DataType>,
    worst: OwnedRow,
    /// The first key as a number, and the type that number was made of.
    first: Option<(DataType, u128)>,
}

/// Keeps the best rows. Blocking; holds about `2 * n` rows.
pub struct TopRows {
    n: usize,
    keys: Vec<TopKey>,
    /// Made for the types of the keys when the first batch comes.
    order: Option<(RowConverter, Vec<DataType>)>,
    chunks: Vec<RecordBatch>,
    chunk_bytes: u64,
    /// Rows that wait. Their keys stand in `held`, in the same order.
    waiting: Vec<Waiting>,
    held: Option<Rows>,
    /// The type of the numbers of first keys that rows wait with.
    first_type: Option<DataType>,
    /// The key of the worst of `n` rows: what is not better need not wait.
    bar: Option<Arc<Bar>>,
}

/// A row that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    chunk: usize,
    row: usize,
    /// Its first key as a number, where it has one of the common type.
    first: Option<u128>,
}

impl TopRows {
    /// The first `n` rows by the first key, where that is equal by the second ….
    pub fn new(n: usize, keys: Vec<TopKey>) -> Self {
        TopRows {
            n,
            keys,
            order: None,
            chunks: Vec::new(),
            chunk_bytes: 0,
            waiting: Vec::new(),
            held: None,
            first_type: None,
            bar: None,
        }
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> usize {
        let waiting = self.waiting.len() * size_of::<Waiting>();
        self.chunk_bytes as usize + waiting + self.held.as_ref().map_or(0, Rows::size)
    }

    /// What rows behind those so far must be better than, once `n` rows came.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn bar(&mut self) -> Result<Option<Arc<Bar>>> {
        if self.bar.is_none() && self.n > 0 && self.waiting.len() >= self.n {
            self.cut()?;
        }
        Ok(self.bar.clone())
    }

    /// Drops rows that are not better than a bar that rows before them made.
    pub fn set_bar(&mut self, bar: Option<Arc<Bar>>) {
        self.bar = bar;
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
            .keys
            .iter()
            .map(|key| key.expr.evaluate(seen))
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
        let firsts = match (keys, &self.keys[..]) {
            ([first, ..], [key, ..]) if key.compares_as(first.data_type()) => {
                fixed(first, key.options).map(|codes| (first, codes))
            }
            _ => None,
        };
        if let (Some((first, codes)), Some(bar)) = (&firsts, &self.bar)
            && let Some((of, worst)) = &bar.first
            && of == first.data_type()
        {
            let near = (0..batch.num_rows() as u32).filter(|row| codes[*row as usize] <= *worst);
            let near = UInt32Array::from_iter_values(near);
            if near.len() < batch.num_rows() / 2 {
                return self.push_near(batch, keys, codes, &near);
            }
        }
        self.push_coded(batch, keys, firsts.map(|(_, codes)| codes))
    }

    /// Goes on with the rows that may be better than the bar.
    fn push_near(
        &mut self,
        batch: &RecordBatch,
        keys: &[ArrayRef],
        codes: &[u128],
        near: &UInt32Array,
    ) -> Result<()> {
        if near.is_empty() {
            return Ok(());
        }
        let keys = keys
            .iter()
            .map(|key| Ok(arrow_select::take::take(key, near, None)?));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let codes = near.values().iter().map(|row| codes[*row as usize]);
        self.push_coded(
            &take_record_batch(batch, near)?,
            &keys,
            Some(codes.collect()),
        )
    }

    /// Lets the rows wait that are better than the bar.
    fn push_coded(
        &mut self,
        batch: &RecordBatch,
        keys: &[ArrayRef],
        codes: Option<Vec<u128>>,
    ) -> Result<()> {
        let (mut columns, mut options) = (Vec::new(), Vec::new());
        for (column, key) in keys.iter().zip(&self.keys) {
            match key.typed {
                true => columns.push(canonical(column)),
                false => columns.extend(order_columns(column, key.expr.data_type())?),
            }
            options.resize(columns.len(), key.options);
        }
        let rows = self
            .converter(&columns, &options)?
            .convert_columns(&columns)?;
        let types = self.order.as_ref().map(|(_, types)| types);
        let bar = self.bar.as_ref().filter(|bar| Some(&bar.types) == types);
        let better: Vec<u32> = (0..rows.num_rows())
            .filter(|&row| bar.is_none_or(|bar| rows.row(row) < bar.worst.row()))
            .map(|row| row as u32)
            .collect();
        if better.is_empty() {
            return Ok(());
        }
        let first_type = keys.first().map(|first| first.data_type());
        let common = match (&codes, &self.first_type) {
            (Some(_), None) => {
                self.first_type = first_type.cloned();
                true
            }
            (Some(_), known) => known.as_ref() == first_type,
            (None, _) => false,
        };
        let codes = codes.filter(|_| common);
        let held = self.held.get_or_insert_with(|| converter_rows(&self.order));
        let chunk = self.chunks.len();
        for (place, &row) in better.iter().enumerate() {
            held.push(rows.row(row as usize));
            self.waiting.push(Waiting {
                chunk,
                row: place,
                first: codes.as_ref().map(|codes| codes[row as usize]),
            });
        }
        let kept = match better.len() == batch.num_rows() {
            true => batch.clone(),
            false => take_record_batch(batch, &UInt32Array::from(better))?,
        };
        self.chunk_bytes += batch_bytes(&kept);
        self.chunks.push(kept);
        if self.waiting.len() > WAITING.max(self.n.saturating_mul(2)) {
            self.cut()?;
        }
        Ok(())
    }

    fn converter(
        &mut self,
        columns: &[ArrayRef],
        options: &[SortOptions],
    ) -> Result<&RowConverter> {
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
                .zip(options)
                .map(|(of, options)| SortField::new_with_options(of.clone(), *options))
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
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn cut(&mut self) -> Result<()> {
        let Some(keys) = self.held.take() else {
            return Ok(());
        };
        let mut order: Vec<usize> = (0..self.waiting.len()).collect();
        // Stable: equal keys stay in input order.
        order.sort_by(|&a, &b| keys.row(a).cmp(&keys.row(b)));
        order.truncate(self.n);
        if let (Some(&last), Some((_, types))) = (order.get(self.n - 1), &self.order) {
            let first = self.waiting[last].first;
            self.bar = Some(Arc::new(Bar {
                types: types.clone(),
                worst: keys.row(last).owned(),
                first: self.first_type.clone().zip(first),
            }));
        }
        let mut kept = converter_rows(&self.order);
        for &row in &order {
            kept.push(keys.row(row));
        }
        self.held = Some(kept);
        let best: Vec<Waiting> = order.iter().map(|&row| self.waiting[row]).collect();
        let places: Vec<(usize, usize)> = best.iter().map(|row| (row.chunk, row.row)).collect();
        self.chunks = gather(&self.chunks, &places)?;
        self.chunk_bytes = self.chunks.iter().map(batch_bytes).sum();
        let places = (self.chunks.iter().enumerate())
            .flat_map(|(chunk, batch)| (0..batch.num_rows()).map(move |row| (chunk, row)));
        self.waiting = places
            .zip(&best)
            .map(|((chunk, row), old)| Waiting {
                chunk,
                row,
                first: old.first,
            })
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
        let keys = std::mem::take(&mut self.keys);
        *self = TopRows::new(self.n, keys);
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
        let key = |name: &&str| TopKey {
            expr: col(*name).bind(&schema).unwrap(),
            options: SortOptions::new(largest, false),
            typed: false,
        };
        TopRows::new(n, by.iter().map(key).collect())
    }

    /// Orders rows by the column `n`.
    fn key_of(rows: &RecordBatch, descending: bool) -> TopKey {
        TopKey {
            expr: col("n").bind(&rows.schema()).unwrap(),
            options: SortOptions::new(descending, false),
            typed: false,
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
        let mut top = TopRows::new(3, vec![key_of(&all, true)]);
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
        let mut top = TopRows::new(6, vec![key_of(&ints, true)]);
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
