//! Windows that look at rows behind, by key.
//!
//! In:  rows in order, and windows that hold more of their groups than fits.
//! Out: the same rows in the same order, with a column for each window.
//!
//! ```text
//! rows ─▶ log ───────────────────────────────────────────────────────▶ rows with columns
//!    └ by key ─▶ a bucket: forwards, backwards ─▶ columns ─ by place ─┘
//! ```
//!
//! Buckets are worked by all threads. One that holds too much is begun again once no
//! other is worked beside it, and if it holds too much by itself, cut again.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{FieldRef, Schema, SchemaRef};

use super::Room;
use super::ahead::{Batches, Way, Went, bound, there_and_back};
use super::by_key::Hashes;
use super::by_place::{ByPlaces, InOrder};
use crate::cancel::check;
use crate::error::{Error, Result};
use crate::exec::order::{PLACE, with_place};
use crate::exec::output::room_beside;
use crate::expr::{Expr, RowError, roots};
use crate::memory::RowStore;
use crate::ops::Seen;
use crate::ops::window::{Ahead, with_columns};
use crate::plan::NamedWindow;
use crate::shuffle::{Bucket, Buckets, split};

/// The share of the budget that the rows of a bucket take, about.
const BUCKET_SHARE: u64 = 16;

/// What a bucket is cut into that holds too much.
const FINER: u64 = 16;

/// The logical bytes of rows, and the same rows with the columns of windows: they
/// have these columns, and take about so many bytes.
///
/// # Errors
///
/// [`Error::Memory`] if what windows hold of one group does not fit; the first error
/// of a window, as it would have come; [`Error::Io`] if rows must be spilled and cannot.
pub(super) fn by_key(
    windows: &[NamedWindow],
    rows: Batches,
    schema: &SchemaRef,
    bytes: u64,
    room: &Room,
) -> Result<(u64, Batches)> {
    let wanted = bytes / (room.budget.limit().bytes() / BUCKET_SHARE).max(1);
    let mut kinds: Vec<Kind> = Vec::new();
    for (place, window) in windows.iter().enumerate() {
        let by = &window.1.by;
        match kinds.iter_mut().find(|kind| kind.windows[0].1.by == *by) {
            Some(kind) => kind.add(place, window),
            None => kinds.push(Kind::of(place, window)),
        }
    }
    let opened = kinds
        .iter()
        .map(|kind| kind.open(schema, Hashes::ALL, wanted, room));
    let mut opened = opened.collect::<Result<Vec<_>>>()?;
    let (budget, spill_dir) = (&room.budget, Arc::clone(&room.spill_dir));
    let mut log = RowStore::new(budget, room_beside(budget), spill_dir);
    for batch in rows {
        check()?;
        let batch = batch?;
        room.takes(&batch)?;
        let first = log.rows();
        let places = first..first + batch.num_rows() as u64;
        let places: ArrayRef = Arc::new(UInt64Array::from_iter_values(places));
        for opened in &mut opened {
            opened.push(&batch, &places)?;
        }
        log.push(batch)?;
    }
    let fields = bound(windows, schema)?
        .into_iter()
        .map(|column| column.field);
    let fields: Vec<FieldRef> = fields.collect();
    let first = FirstError::default();
    let mut columns = Vec::with_capacity(kinds.len());
    for (kind, opened) in kinds.into_iter().zip(opened) {
        let own = kind.places.iter().map(|place| Arc::clone(&fields[*place]));
        let told = ByPlaces::new(own.collect(), log.rows(), opened.buckets.bytes(), room);
        opened.finish(&told, &first)?;
        columns.push((kind.places, told.finish().0));
    }
    first.into_result()?;
    let bytes = log.bytes();
    let told = Told {
        log: log.replay(),
        columns,
        fields,
    };
    Ok((bytes, Box::new(told)))
}

/// Windows by the same keys.
#[derive(Clone)]
struct Kind {
    /// Their places among all windows.
    places: Vec<usize>,
    windows: Vec<NamedWindow>,
}

impl Kind {
    fn of(place: usize, window: &NamedWindow) -> Self {
        Kind {
            places: vec![place],
            windows: vec![window.clone()],
        }
    }

    fn add(&mut self, place: usize, window: &NamedWindow) {
        self.places.push(place);
        self.windows.push(window.clone());
    }

    /// Buckets for what they look at of rows with these columns.
    fn open(&self, schema: &SchemaRef, hashes: Hashes, wanted: u64, room: &Room) -> Result<Open> {
        let looked_at =
            |(_, window): &NamedWindow| roots(&Expr::Window(Box::new(window.clone())), schema);
        let names: std::collections::BTreeSet<String> =
            self.windows.iter().flat_map(looked_at).collect();
        let of = (0..schema.fields().len()).filter(|idx| names.contains(schema.field(*idx).name()));
        let of: Vec<usize> = of.collect();
        let fields: Vec<FieldRef> = of
            .iter()
            .map(|idx| Arc::clone(&schema.fields()[*idx]))
            .collect();
        let looked_at: SchemaRef = Arc::new(Schema::new(fields));
        let by = self.windows[0].1.by.iter();
        let by = by.map(|key| Ok(Seen::as_named(key.bind(&looked_at)?)));
        let n_parts = match self.windows[0].1.by.is_empty() {
            true => 1,
            false => wanted.next_power_of_two().clamp(4, 256) as usize,
        };
        let (budget, spill_dir) = (&room.budget, Arc::clone(&room.spill_dir));
        Ok(Open {
            kind: self.clone(),
            of,
            by: by.collect::<Result<_>>()?,
            schema: with_place(&looked_at, false),
            hashes,
            n_parts,
            buckets: Buckets::new(n_parts, budget, room_beside(budget), spill_dir),
            room: room.clone(),
        })
    }
}

/// Rows by key.
struct Open {
    kind: Kind,
    /// Where the columns that are looked at stand among all.
    of: Vec<usize>,
    /// The keys, of these columns.
    by: Vec<Seen>,
    /// These columns, and last the places of rows.
    schema: SchemaRef,
    hashes: Hashes,
    n_parts: usize,
    buckets: Buckets,
    room: Room,
}

impl Open {
    /// Takes rows at these places.
    fn push(&mut self, rows: &RecordBatch, places: &ArrayRef) -> Result<()> {
        let columns = self.of.iter().map(|idx| rows.column(*idx)).chain([places]);
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns.cloned().collect())?;
        self.push_looked_at(&rows)
    }

    fn push_looked_at(&mut self, rows: &RecordBatch) -> Result<()> {
        if self.by.is_empty() {
            let to = vec![0; rows.num_rows()];
            return self.buckets.push(split(rows, &to, self.n_parts)?);
        }
        let keys = self.by.iter().map(|key| key.column(rows));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let to = self.hashes.parts_of(&keys, self.n_parts)?;
        self.buckets.push(split(rows, &to, self.n_parts)?)
    }

    /// Tells the windows of all rows, on all threads.
    fn finish(self, to: &ByPlaces, first: &FirstError) -> Result<()> {
        let of = Bucketed {
            kind: self.kind,
            schema: self.schema,
            room: self.room,
        };
        let (hashes, n_parts) = (self.hashes, self.n_parts);
        let buckets = self.buckets.finish().into_iter().enumerate();
        let buckets = buckets.filter(|(_, bucket)| bucket.rows() > 0);
        let buckets = buckets.map(|(idx, bucket)| (bucket, hashes.part(idx, n_parts)));
        let mut left: Vec<(Bucket, Hashes)> = buckets.collect();
        if of.room.threads > 1 {
            let beside_others = |(bucket, hashes)| match of.tell(&bucket, to, first)? {
                None => Ok(None),
                Some(_) => Ok(Some((bucket, hashes))),
            };
            let refused = of.room.each_of(left, beside_others)?;
            left = refused.into_iter().flatten().collect();
        }
        let mut left = left.into_iter();
        left.try_for_each(|(bucket, hashes)| of.tell_alone(bucket, hashes, to, first))
    }
}

/// What is told of buckets.
struct Bucketed {
    kind: Kind,
    /// Of their rows.
    schema: SchemaRef,
    room: Room,
}

impl Bucketed {
    /// Tells the windows of the rows of a bucket; or of none, if what they hold, which
    /// comes back, does not fit.
    fn tell(&self, bucket: &Bucket, to: &ByPlaces, first: &FirstError) -> Result<Option<Ahead>> {
        let columns = bound(&self.kind.windows, &self.schema)?;
        let ahead = Ahead::try_new(columns, bucket.rows(), &self.room.budget)?;
        let rows = Box::new(bucket.read());
        let back = match there_and_back(ahead, rows, &self.schema, &self.room)? {
            Went::Back(back) => back,
            Went::Failed(way, batch, error) => {
                first.keep(way, batch, error)?;
                return Ok(None);
            }
            Went::Refused(ahead, _) => return Ok(Some(ahead)),
        };
        let places = self.schema.fields().len() - 1;
        for batch in back {
            let batch = batch?;
            to.push(batch.column(places), &batch.columns()[places + 1..])?;
        }
        Ok(None)
    }

    /// The same while no other bucket is worked; what does not fit is cut again.
    fn tell_alone(
        &self,
        bucket: Bucket,
        hashes: Hashes,
        to: &ByPlaces,
        first: &FirstError,
    ) -> Result<()> {
        let Some(ahead) = self.tell(&bucket, to, first)? else {
            return Ok(());
        };
        if self.kind.windows[0].1.by.is_empty() || ahead.n_groups() < 2 || !hashes.may_be_cut() {
            return Err(ahead.refused());
        }
        drop(ahead);
        let mut finer = self.kind.open(&self.schema, hashes, FINER, &self.room)?;
        for batch in bucket.read() {
            let batch = batch?;
            finer.push(&batch, batch.column(batch.num_columns() - 1))?;
        }
        drop(bucket);
        finer.finish(to, first)
    }
}

/// The error that would have come first, had rows not been cut by key.
#[derive(Default)]
struct FirstError(Mutex<Option<ErrorAt>>);

struct ErrorAt {
    at: (Way, u64),
    error: Error,
}

impl FirstError {
    /// Keeps an error, if it comes before the one that is kept.
    fn keep(&self, way: Way, batch: Option<RecordBatch>, error: Error) -> Result<()> {
        let place = match (&batch, RowError::of(&error)) {
            (Some(batch), Some(at)) => {
                let column = batch.column_by_name(PLACE);
                let places = column.and_then(|column| column.as_primitive_opt::<UInt64Type>());
                let places = places.ok_or_else(|| Error::internal("rows have no places"))?;
                match way {
                    // Rows were looked at from the last to the first.
                    Way::Back => u64::MAX - places.value(batch.num_rows() - 1 - at.row),
                    Way::There | Way::Turn => places.value(at.row),
                }
            }
            (None, Some(_)) => 0,
            (_, None) => return Err(error),
        };
        let at = (way, place);
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|first| at < first.at) {
            *first = Some(ErrorAt { at, error });
        }
        Ok(())
    }

    /// That error.
    fn into_result(self) -> Result<()> {
        let first = self.0.into_inner();
        match first.unwrap_or_else(PoisonError::into_inner) {
            Some(first) => Err(first.error),
            None => Ok(()),
        }
    }
}

impl Told {
    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.log.next().transpose()? else {
            return Ok(None);
        };
        let mut made: Vec<Option<ArrayRef>> = vec![None; self.fields.len()];
        for (own, columns) in &mut self.columns {
            let columns = columns.take(batch.num_rows())?;
            for (place, column) in own.iter().zip(columns.columns()) {
                made[*place] = Some(Arc::clone(column));
            }
        }
        let made: Option<Vec<ArrayRef>> = made.into_iter().collect();
        let made = made.ok_or_else(|| Error::internal("a window was told of no row"))?;
        with_columns(&batch, self.fields.iter().cloned().zip(made)).map(Some)
    }
}

/// Rows in their order, with the columns of windows.
struct Told {
    log: crate::memory::Replay,
    /// Columns of some windows, and which those are.
    columns: Vec<(Vec<usize>, InOrder)>,
    fields: Vec<FieldRef>,
}

impl Iterator for Told {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_rows().transpose()
    }
}
