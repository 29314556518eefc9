//! Merged groups, brought into one order.
//!
//! In:  runs of rows, each in the order of the places in its last columns.
//! Out: all rows in that order, without the places; ranges of them on any thread.
//!
//! ```text
//! runs     0 4 7 9 | 1 2 8 | 3 5 6       a range of places at a time: slices
//! range    0 4     | 1 2   | 3           of all runs, put together and sorted
//! out      0 1 2 3 4
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

use super::narrow::{Narrowing, number, widened};
use crate::error::{Error, Result};
use crate::exec::build::Given;
use crate::exec::sheet::Stage;
use crate::exec::source::{Open, Unit, Units, batches_reader};
use crate::expr::in_key_types;
use crate::memory::{Reservation, SpillDir, SpillFile, held_bytes};
use crate::ops::{PLACE_COLUMNS, input_order};
use crate::partition::batch_bytes;

/// Rows of a range that one thread puts in order, and that come out as a batch.
const RANGE_ROWS: usize = 32_768;

/// Bytes of a batch on disk: one of each run is in memory while runs are merged.
const DISK_BATCH_BYTES: u64 = 64 << 10;

/// Rows in the order of their places, some of them narrowed.
#[derive(Clone)]
pub(super) enum Run {
    /// All of them, and what they hold of the budget.
    Memory(RecordBatch, Arc<Reservation>),
    Disk(Arc<SpillFile>),
}

impl Run {
    /// Keeps sorted rows in memory, or on disk if the budget refuses them.
    pub fn hold(
        rows: RecordBatch,
        mut reservation: Reservation,
        spill_dir: &SpillDir,
    ) -> Result<Run> {
        let rows = Narrowing::of(&rows).narrowed(&rows)?;
        if reservation.try_resize(held_bytes(&rows)) {
            return Ok(Run::Memory(rows, Arc::new(reservation)));
        }
        let schema = rows.schema();
        Run::write(std::iter::once(Ok(rows)), &schema, spill_dir)
    }

    /// Writes sorted rows to disk.
    pub fn write(
        rows: impl Iterator<Item = Result<RecordBatch>>,
        schema: &SchemaRef,
        spill_dir: &SpillDir,
    ) -> Result<Run> {
        let mut writer = spill_dir.create(schema)?;
        for batch in rows {
            let batch = batch?;
            let n_rows = batch.num_rows();
            let row_bytes = (batch_bytes(&batch) / n_rows.max(1) as u64).max(1);
            let step = (DISK_BATCH_BYTES / row_bytes).clamp(1, 8_192) as usize;
            for start in (0..n_rows).step_by(step) {
                writer.write(&batch.slice(start, step.min(n_rows - start)))?;
            }
        }
        Ok(Run::Disk(Arc::new(writer.finish()?)))
    }

    fn read(&self) -> Result<Batches> {
        Ok(match self {
            Run::Memory(rows, held) => {
                let held = Arc::clone(held);
                // Given back as its one batch is taken.
                let rows = rows.clone();
                Box::new(std::iter::once_with(move || {
                    drop(held);
                    Ok(rows)
                }))
            }
            Run::Disk(file) => Box::new(file.read_again()?),
        })
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;
type Place = (u64, u32);

/// The columns of places of rows that have them.
pub(in crate::exec) fn places(rows: &RecordBatch) -> &[ArrayRef] {
    &rows.columns()[rows.num_columns() - PLACE_COLUMNS..]
}

fn place(rows: &RecordBatch, row: usize) -> Place {
    let chunk = rows.num_columns() - PLACE_COLUMNS;
    let rows_of_chunks = rows.column(chunk + 1).as_primitive::<UInt32Type>();
    (number(rows, chunk, row), rows_of_chunks.value(row))
}

/// Rows of sorted ones that stand before a place, or at it.
fn rows_up_to(rows: &RecordBatch, bound: Place) -> usize {
    let (mut from, mut to) = (0, rows.num_rows());
    while from < to {
        let middle = from + (to - from) / 2;
        match place(rows, middle) <= bound {
            true => from = middle + 1,
            false => to = middle,
        }
    }
    from
}

/// Merges runs: batches in the order of places, which stay in their last columns.
pub(super) struct InOrder {
    cursors: Vec<Cursor>,
    schema: SchemaRef,
}

struct Cursor {
    batches: Batches,
    rows: RecordBatch,
}

impl Cursor {
    /// Makes sure that there are rows; false at the end.
    fn fill(&mut self) -> Result<bool> {
        while self.rows.num_rows() == 0 {
            match self.batches.next() {
                Some(rows) => self.rows = in_types(&widened(&rows?)?, self.rows.schema_ref())?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn take(&mut self, n_rows: usize) -> RecordBatch {
        let taken = self.rows.slice(0, n_rows);
        self.rows = self.rows.slice(n_rows, self.rows.num_rows() - n_rows);
        taken
    }
}

impl InOrder {
    pub fn new(runs: &[Run], schema: &SchemaRef) -> Result<Self> {
        let batches = runs.iter().map(Run::read).collect::<Result<Vec<_>>>()?;
        Ok(InOrder::of(batches, schema))
    }

    fn of(batches: Vec<Batches>, schema: &SchemaRef) -> Self {
        let empty = RecordBatch::new_empty(Arc::clone(schema));
        let cursor = |batches| Cursor {
            batches,
            rows: empty.clone(),
        };
        InOrder {
            cursors: batches.into_iter().map(cursor).collect(),
            schema: Arc::clone(schema),
        }
    }

    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        let mut bound: Option<Place> = None;
        let mut idx = 0;
        while let Some(cursor) = self.cursors.get_mut(idx) {
            if !cursor.fill()? {
                self.cursors.swap_remove(idx);
                continue;
            }
            // A run may go on behind what is here of it.
            let last = place(&cursor.rows, cursor.rows.num_rows() - 1);
            bound = Some(bound.map_or(last, |bound| bound.min(last)));
            idx += 1;
        }
        let Some(bound) = bound else {
            return Ok(None);
        };
        let taken = self.cursors.iter_mut().map(|cursor| {
            let n_rows = rows_up_to(&cursor.rows, bound);
            cursor.take(n_rows)
        });
        let taken: Vec<RecordBatch> = taken.filter(|rows| rows.num_rows() > 0).collect();
        in_one_order(&taken, &self.schema).map(Some)
    }
}

impl Iterator for InOrder {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_rows().transpose()
    }
}

/// One row for each group, to be read in the order of their places.
pub(crate) struct GroupRows {
    runs: Vec<Run>,
    /// With the columns of places.
    placed: SchemaRef,
    schema: SchemaRef,
}

/// The columns of the place of one group of all rows.
pub(super) fn first_place() -> Vec<ArrayRef> {
    vec![
        Arc::new(UInt64Array::from(vec![0])),
        Arc::new(UInt32Array::from(vec![0])),
    ]
}

/// The columns of rows, and behind them those of places.
pub(super) fn with_places(rows: &RecordBatch, places: Vec<ArrayRef>) -> Result<RecordBatch> {
    if places.len() != PLACE_COLUMNS {
        return Err(Error::internal("groups came without their places"));
    }
    let fields = rows.schema_ref().fields().iter().cloned();
    let own = places.iter().enumerate().map(|(idx, column)| {
        let name = format!("place {idx}");
        Arc::new(Field::new(name, column.data_type().clone(), false))
    });
    let schema = Arc::new(Schema::new(fields.chain(own).collect::<Vec<_>>()));
    let mut columns = rows.columns().to_vec();
    columns.extend(places);
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Rows without the columns of places.
fn shown(rows: &RecordBatch) -> Result<RecordBatch> {
    let shown: Vec<usize> = (0..rows.num_columns() - PLACE_COLUMNS).collect();
    Ok(rows.project(&shown)?)
}

impl GroupRows {
    /// Rows of buckets, all with the columns `placed`, those of places last.
    pub(super) fn new(runs: Vec<Run>, placed: SchemaRef) -> Result<Self> {
        let shown: Vec<usize> = (0..placed.fields().len() - PLACE_COLUMNS).collect();
        Ok(GroupRows {
            schema: Arc::new(placed.project(&shown)?),
            runs,
            placed,
        })
    }

    /// What a pipeline reads: ranges of places are units where all is in memory,
    /// so that any thread puts one in order; else one unit merges all.
    pub fn given(self, stage: Stage) -> Result<Given> {
        let units = match self.in_memory() {
            Some(rows) => range_units(&rows, &self.placed, &self.runs.into()),
            None => {
                let merged = InOrder::new(&self.runs, &self.placed)?;
                let open = move || Ok(batches_reader(Box::new(merged.map(|rows| shown(&rows?)))));
                one_by_one(vec![Box::new(open) as Open])
            }
        };
        Ok(Given {
            units,
            schema: self.schema,
            held_bytes: 0,
            counted: None,
            stage: Some(stage),
        })
    }

    fn in_memory(&self) -> Option<Vec<RecordBatch>> {
        let runs = self.runs.iter().map(|run| match run {
            Run::Memory(rows, _) => Some(rows.clone()),
            Run::Disk(_) => None,
        });
        runs.collect()
    }
}

/// Places that cut the groups of buckets into ranges of about [`RANGE_ROWS`], each the last
/// of its range; the last range has none. A bucket may have its groups from all over the
/// input or from one stretch of it, so some of each are looked at.
///
/// `lens` has the groups of each bucket, in the order of their places, and `place` gives
/// that of a group by its bucket and its row there.
pub(super) fn bounds<P: Copy + Ord>(lens: &[usize], place: impl Fn(usize, usize) -> P) -> Vec<P> {
    let n_ranges = lens.iter().sum::<usize>().div_ceil(RANGE_ROWS);
    let step = (RANGE_ROWS / (4 * lens.len().max(1))).max(1);
    let rows = |(bucket, len): (usize, &usize)| {
        let rows = (step - 1..*len).step_by(step);
        rows.map(move |row| (bucket, row))
    };
    let some = lens.iter().enumerate().flat_map(rows);
    let mut some: Vec<P> = some.map(|(bucket, row)| place(bucket, row)).collect();
    some.sort_unstable();
    let bounds = (1..n_ranges).filter_map(|range| some.get(range * some.len() / n_ranges));
    bounds.copied().collect()
}

/// A unit for each range of places.
fn range_units(runs: &[RecordBatch], schema: &SchemaRef, held: &Arc<[Run]>) -> Units {
    let lens: Vec<usize> = runs.iter().map(RecordBatch::num_rows).collect();
    if lens.iter().all(|len| *len == 0) {
        return one_by_one(Vec::new());
    }
    let bounds = bounds(&lens, |run, row| place(&runs[run], row));
    let mut starts = vec![0; runs.len()];
    let mut opens: Vec<Open> = Vec::new();
    for bound in bounds.into_iter().chain([(u64::MAX, u32::MAX)]) {
        let slices = runs.iter().zip(&mut starts).map(|(run, start)| {
            let end = rows_up_to(run, bound);
            let slice = run.slice(*start, end - *start);
            *start = end;
            slice
        });
        let slices: Vec<RecordBatch> = slices.filter(|rows| rows.num_rows() > 0).collect();
        let (schema, held) = (Arc::clone(schema), Arc::clone(held));
        opens.push(Box::new(move || {
            let rows = in_one_order(&slices, &schema)?;
            drop(held);
            Ok(batches_reader(Box::new(std::iter::once(shown(&rows)))))
        }));
    }
    one_by_one(opens)
}

fn in_one_order(slices: &[RecordBatch], schema: &SchemaRef) -> Result<RecordBatch> {
    let wide = slices.iter().map(|rows| in_types(&widened(rows)?, schema));
    let rows = match &wide.collect::<Result<Vec<_>>>()?[..] {
        [one] => one.clone(),
        many => concat_batches(schema, many)?,
    };
    Ok(match input_order(places(&rows)) {
        Some(order) => take_record_batch(&rows, &order)?,
        None => rows,
    })
}

pub(super) fn one_by_one(opens: Vec<Open>) -> Units {
    let last = opens.len();
    let units = opens.into_iter().enumerate().map(move |(idx, open)| {
        Ok(Unit {
            path: Arc::from("groups"),
            file: 0,
            ends_file: idx + 1 == last,
            after_all: false,
            open,
        })
    });
    Box::new(units)
}

/// Rows of all runs in the types `to`: those of a bucket may have narrower ones.
pub(super) fn in_types(rows: &RecordBatch, to: &SchemaRef) -> Result<RecordBatch> {
    if rows.schema_ref() == to {
        return Ok(rows.clone());
    }
    let types: Vec<_> = to
        .fields()
        .iter()
        .map(|of| of.data_type().clone())
        .collect();
    let columns = in_key_types(rows.columns(), &types)?;
    Ok(RecordBatch::try_new(Arc::clone(to), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most groups that one range has.
    fn most(buckets: &[Vec<u64>]) -> usize {
        let lens: Vec<usize> = buckets.iter().map(Vec::len).collect();
        let bounds = bounds(&lens, |bucket, row| buckets[bucket][row]);
        let within = |from: u64, to: u64| {
            let places = buckets.iter().flatten();
            places.filter(|place| (from..to).contains(*place)).count()
        };
        let froms = [0].into_iter().chain(bounds.iter().map(|bound| bound + 1));
        let tos = bounds.iter().map(|bound| bound + 1).chain([u64::MAX]);
        froms
            .zip(tos)
            .map(|(from, to)| within(from, to))
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn ranges_are_even_wherever_the_groups_of_a_bucket_come_from() {
        let n_rows = 20 * RANGE_ROWS as u64;
        let n_buckets = 64;
        let all_over = |bucket| (bucket..n_rows).step_by(n_buckets as usize).collect();
        let stretch = n_rows / n_buckets;
        let of_stretch = |bucket| (bucket * stretch..(bucket + 1) * stretch).collect();
        let uneven = |bucket: u64| match bucket {
            0 => (0..n_rows / 2).collect(),
            1 => (n_rows / 2..n_rows).collect(),
            _ => Vec::new(),
        };
        for buckets in [
            (0..n_buckets).map(all_over).collect::<Vec<Vec<u64>>>(),
            (0..n_buckets).map(of_stretch).collect(),
            (0..n_buckets).map(uneven).collect(),
        ] {
            assert!(most(&buckets) <= 2 * RANGE_ROWS, "{}", most(&buckets));
        }
        assert_eq!(most(&[vec![7]]), 1);
    }
}
