//! The groups of a bucket, merged.
//!
//! In:  buckets of partials.
//! Out: for each of them its groups, one row each, in the order of their places.
//!
//! Buckets are merged side by side, by any thread; which one merges which, and
//! when, leaves no trace. A bucket whose groups do not fit is cut again, until
//! one group is left (`alone.rs`).

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};

use super::narrow::Narrowing;
use super::runs::{GroupRows, InOrder, Run, first_place, with_places};
use super::store::{MAX_LEVELS, N_BUCKETS, buckets, cut, partials};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::exec::each::each;
use crate::exec::fold::FoldPlan;
use crate::exec::output::room_beside;
use crate::exec::scheduler::Drive;
use crate::expr::common_type;
use crate::memory::{Budget, Reservation, SpillDir};
use crate::ops::Aggregate;
use crate::shuffle::Bucket;

/// What merging needs to know.
pub(crate) struct Merge {
    pub plan: FoldPlan,
    /// The columns that all rows of the run end with.
    pub schema: SchemaRef,
    pub budget: Budget,
    pub spill_dir: Arc<SpillDir>,
    /// Bytes of the budget that merged groups leave to others.
    pub room: u64,
    /// Bytes that each thread may take whatever is left of the budget.
    pub floor: u64,
    pub threads: usize,
    pub cancel: Cancel,
}

/// What is made of merged groups.
pub(crate) struct Made<'a, T> {
    /// Of those that fit: one row each, in the order of the places in the last columns.
    pub of_rows: &'a (dyn Fn(RecordBatch) -> Result<T> + Sync),
    /// Of a bucket, of what was made of those that it was cut into.
    pub of_parts: &'a (dyn Fn(Vec<T>) -> Result<T> + Sync),
}

/// The groups of a bucket.
struct Merged {
    run: Run,
    schema: SchemaRef,
}

/// Whether the groups of a bucket fit.
enum Fit {
    Rows(RecordBatch),
    /// They do not: so many bytes were refused.
    Refused(u64),
}

impl Merge {
    /// Merging on the threads, and under the budget, of a run whose rows end with `schema`.
    pub fn new(plan: FoldPlan, schema: SchemaRef, drive: &Drive) -> Self {
        Merge {
            plan,
            schema,
            budget: drive.budget.clone(),
            spill_dir: Arc::clone(&drive.spill_dir),
            room: room_beside(&drive.budget),
            floor: drive.budget.limit().bytes() / 32 / drive.threads.max(1) as u64,
            threads: drive.threads,
            cancel: drive.cancel.clone(),
        }
    }

    /// All groups of some buckets, to be read in the order of their places.
    pub fn all(&self, buckets: &[Bucket]) -> Result<GroupRows> {
        let merged = self.each(
            buckets,
            &Made {
                of_rows: &|rows| self.hold(rows),
                of_parts: &|merged| self.in_order(merged),
            },
        )?;
        let schema = self.common(&merged)?;
        let runs = merged.into_iter().map(|merged| merged.run).collect();
        GroupRows::new(runs, schema)
    }

    /// What is made of the groups of each bucket.
    pub fn each<T: Send>(&self, buckets: &[Bucket], made: &Made<'_, T>) -> Result<Vec<T>> {
        let beside_others = |idx: usize| match self.bucket(&buckets[idx], 0, true, made) {
            // There may be room for it once the others are done.
            Err(Error::Memory { .. }) => Ok(None),
            merged => merged.map(Some),
        };
        let merged = match buckets {
            [_] => vec![None],
            many => each(
                self.threads,
                &self.cancel,
                "merging groups",
                many.len(),
                beside_others,
            )?,
        };
        let merged = merged.into_iter().zip(buckets);
        let merged = merged.map(|(merged, bucket)| match merged {
            Some(merged) => Ok(merged),
            None => self.bucket(bucket, 0, false, made),
        });
        merged.collect()
    }

    /// The groups of a bucket that was cut on `level`. A group that does not fit by
    /// itself waits until no other bucket is merged `beside` it.
    fn bucket<T>(
        &self,
        bucket: &Bucket,
        level: u32,
        beside: bool,
        made: &Made<'_, T>,
    ) -> Result<T> {
        let wanted = match self.fit(bucket)? {
            Fit::Rows(rows) => return (made.of_rows)(rows),
            Fit::Refused(wanted) => wanted,
        };
        let is_alone = self.is_alone(bucket)?;
        if is_alone && !beside {
            return (made.of_rows)(self.alone(bucket, wanted)?);
        }
        if is_alone || level + 1 == MAX_LEVELS {
            return Err(self.plan.refused(&self.budget.open(), wanted));
        }
        self.cut_again(bucket, level, beside, made)
    }

    /// All groups of a bucket at once, if there is room.
    fn fit(&self, bucket: &Bucket) -> Result<Fit> {
        let mut reservation = self.budget.open();
        let mut groups = self.groups()?;
        for partial in partials(bucket) {
            groups.merge(&partial?)?;
            // The answer stands beside the states that it is made of.
            let wanted = 2 * groups.bytes() as u64;
            if !self.reserve(&mut reservation, wanted) {
                return Ok(Fit::Refused(wanted));
            }
        }
        self.rows_of(groups).map(Fit::Rows)
    }

    /// Groups as rows, with their places.
    pub(super) fn rows_of(&self, mut groups: Aggregate) -> Result<RecordBatch> {
        let none = RecordBatch::new_empty(Arc::clone(&self.schema));
        groups.push_chunk(&none, u64::MAX)?;
        let n_keys = groups.n_keys();
        let (rows, places) = groups.finish_placed()?;
        match n_keys {
            0 => with_places(&rows, first_place()),
            _ => with_places(&rows, places),
        }
    }

    /// Groups that have seen nothing.
    pub(crate) fn groups(&self) -> Result<Aggregate> {
        self.plan.groups().map(Aggregate::with_places)
    }

    /// Whether there is room; a little there always is.
    pub(super) fn reserve(&self, reservation: &mut Reservation, wanted: u64) -> bool {
        if wanted <= self.floor {
            reservation.resize_anyway(wanted);
        }
        wanted <= self.floor || reservation.try_resize(wanted)
    }

    /// Cuts a bucket whose groups do not fit into smaller ones, and merges those
    /// one after the other.
    fn cut_again<T>(
        &self,
        bucket: &Bucket,
        level: u32,
        beside: bool,
        made: &Made<'_, T>,
    ) -> Result<T> {
        tracing::debug!(
            level,
            rows = bucket.rows(),
            "a bucket of groups is cut again"
        );
        let n_keys = self.groups()?.n_keys();
        let mut smaller = buckets(N_BUCKETS, &self.budget, self.room, &self.spill_dir);
        let mut narrowing = Narrowing::default();
        for partial in partials(bucket) {
            let partial = partial?;
            narrowing.add(&Narrowing::of(&partial));
            smaller.push(cut(&[partial], n_keys, level + 1, &narrowing)?)?;
        }
        let merged: Result<Vec<T>> = smaller
            .finish()
            .iter()
            .filter(|bucket| bucket.rows() > 0)
            .map(|bucket| self.bucket(bucket, level + 1, beside, made))
            .collect();
        (made.of_parts)(merged?)
    }

    /// Keeps merged groups in memory, or on disk.
    fn hold(&self, rows: RecordBatch) -> Result<Merged> {
        // Rows that wait leave room to the tables of other buckets.
        let waiting = self.budget.open_leaving(self.room);
        Ok(Merged {
            schema: rows.schema(),
            run: Run::hold(rows, waiting, &self.spill_dir)?,
        })
    }

    /// Groups that were merged apart, in one order.
    fn in_order(&self, merged: Vec<Merged>) -> Result<Merged> {
        let schema = self.common(&merged)?;
        let runs: Vec<Run> = merged.into_iter().map(|merged| merged.run).collect();
        let in_order = InOrder::new(&runs, &schema)?;
        Ok(Merged {
            run: Run::write(in_order, &schema, &self.spill_dir)?,
            schema,
        })
    }

    /// The columns of all of them: a bucket may have narrower ones, where the
    /// type of a result hinges on its values.
    fn common(&self, merged: &[Merged]) -> Result<SchemaRef> {
        let mut schemas = merged.iter().map(|merged| &merged.schema);
        let Some(first) = schemas.next() else {
            return Ok(self.rows_of(self.groups()?)?.schema());
        };
        let mut fields: Vec<Field> = first
            .fields()
            .iter()
            .map(|of| of.as_ref().clone())
            .collect();
        for schema in schemas {
            for (field, other) in fields.iter_mut().zip(schema.fields()) {
                if let Some(common) = common_type(field.data_type(), other.data_type()) {
                    field.set_data_type(common);
                }
            }
        }
        Ok(Arc::new(Schema::new(fields)))
    }
}
