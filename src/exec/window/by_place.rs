//! Columns of windows, back in the order of the rows.
//!
//! In:  columns with the places of their rows, by key.
//! Out: the same columns in the order of places, as many rows at a time as are asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::concat::concat_batches;

use super::Room;
use crate::error::{Error, Result};
use crate::exec::order::{ByPlace, Ordered, most_rows};
use crate::exec::output::room_beside;
use crate::ops::window::Failed;
use crate::shuffle::{Bucket, Buckets, Route, split};

/// The share of the budget that rows take which are put in order at once: as much
/// again stands beside them.
const ORDERED_SHARE: u64 = 16;

/// Buckets at most: each is a segment of every spill file.
const MOST_BUCKETS: u64 = 256;

/// The first row that has no answer.
pub(super) struct FailedAt {
    pub place: u64,
    pub failed: Failed,
}

impl FailedAt {
    /// Of one row, the first window that fails counts.
    pub fn is_before(&self, other: &FailedAt) -> bool {
        (self.place, self.failed.window) < (other.place, other.failed.window)
    }
}

/// Takes columns of windows in any order, from any thread.
pub(super) struct ByPlaces {
    /// The columns, and last that of places.
    schema: SchemaRef,
    route: ByPlace,
    at_once: u64,
    came: Mutex<CameSoFar>,
}

struct CameSoFar {
    buckets: Buckets,
    /// The first row without an answer so far.
    failed: Option<FailedAt>,
}

impl ByPlaces {
    /// For `rows` rows with these columns, of about so many `bytes`.
    pub fn new(fields: Vec<FieldRef>, rows: u64, bytes: u64, room: &Room) -> Self {
        let at_once = (room.budget.limit().bytes() / ORDERED_SHARE).max(1);
        let n_buckets = bytes.div_ceil(at_once).clamp(1, MOST_BUCKETS) as usize;
        let route = ByPlace {
            column: fields.len(),
            n_probe: rows,
            n_build: 0,
            n_buckets,
        };
        let budget = &room.budget;
        let buckets = Buckets::new(
            route.n_buckets(),
            budget,
            room_beside(budget),
            Arc::clone(&room.spill_dir),
        );
        let place = Arc::new(Field::new("place", DataType::UInt64, false));
        let fields: Vec<FieldRef> = fields.into_iter().chain([place]).collect();
        ByPlaces {
            schema: Arc::new(Schema::new(fields)),
            route,
            at_once,
            came: Mutex::new(CameSoFar {
                buckets,
                failed: None,
            }),
        }
    }

    fn came(&self) -> MutexGuard<'_, CameSoFar> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes columns of the rows at these places.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if rows must be spilled and cannot.
    pub fn push(&self, places: &ArrayRef, columns: &[ArrayRef]) -> Result<()> {
        let columns = columns.iter().chain([places]).cloned().collect();
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let to = self.route.route(&rows)?;
        let shards = split(&rows, &to, self.route.n_buckets())?;
        self.came().buckets.push(shards)
    }

    /// Notes that the row at a place has no answer.
    pub fn fail(&self, place: u64, failed: Failed) {
        let before = &mut self.came().failed;
        let at = FailedAt { place, failed };
        if before.as_ref().is_none_or(|before| at.is_before(before)) {
            *before = Some(at);
        }
    }

    /// The columns in order, and the first row without an answer.
    pub fn finish(self) -> (InOrder, Option<FailedAt>) {
        let came = self.came.into_inner();
        let CameSoFar { buckets, failed } = came.unwrap_or_else(PoisonError::into_inner);
        let bytes = buckets.bytes();
        let buckets = buckets.finish();
        let rows: u64 = buckets.iter().map(Bucket::rows).sum();
        let fields = self.schema.fields();
        let in_order = InOrder {
            most_rows: most_rows(bytes, rows, self.at_once),
            schema: Arc::new(Schema::new(fields[..fields.len() - 1].to_vec())),
            buckets: buckets.into_iter(),
            open: None,
            ahead: None,
        };
        (in_order, failed)
    }
}

/// Columns in the order of their rows.
pub(super) struct InOrder {
    schema: SchemaRef,
    most_rows: u64,
    buckets: std::vec::IntoIter<Bucket>,
    open: Option<Ordered>,
    /// Rows that were read and not asked for.
    ahead: Option<RecordBatch>,
}

impl InOrder {
    /// The columns of the next `n_rows` rows.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if there are not as many; [`Error::Io`].
    pub fn take(&mut self, n_rows: usize) -> Result<RecordBatch> {
        let mut taken = Vec::new();
        let mut missing = n_rows;
        while missing > 0 {
            let Some(rows) = self.next()? else {
                return Err(Error::internal(format!(
                    "windows were told of {missing} rows less than came"
                )));
            };
            let some = rows.num_rows().min(missing);
            taken.push(rows.slice(0, some));
            missing -= some;
            if some < rows.num_rows() {
                self.ahead = Some(rows.slice(some, rows.num_rows() - some));
            }
        }
        match taken.len() {
            1 => Ok(taken.remove(0)),
            _ => Ok(concat_batches(&self.schema, &taken)?),
        }
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(rows) = self.ahead.take() {
            return Ok(Some(rows));
        }
        loop {
            if let Some(rows) = self.open.as_mut().and_then(Iterator::next) {
                return rows.map(Some);
            }
            self.open = match self.buckets.next() {
                None => return Ok(None),
                Some(bucket) if bucket.rows() == 0 => continue,
                Some(bucket) => {
                    let schema = Arc::clone(&self.schema);
                    Some(Ordered::new(bucket, self.most_rows, schema)?)
                }
            };
        }
    }
}
