//! The groups of a bucket, merged.
//!
//! In:  buckets of partials.
//! Out: for each of them its groups, one row each, in the order of their places.
//!
//! Buckets are merged side by side, by any thread; which one merges which, and
//! when, leaves no trace. A bucket whose groups do not fit is cut again.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};

use super::runs::{GroupRows, InOrder, Run, with_places};
use super::store::{MAX_LEVELS, buckets, cut};
use crate::error::{Error, Result};
use crate::exec::control::Cancel;
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
}

/// The groups of a bucket.
struct Merged {
    run: Run,
    schema: SchemaRef,
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
        }
    }

    /// All groups of some buckets, merged on so many threads.
    pub fn all(&self, buckets: Vec<Bucket>, threads: usize, cancel: &Cancel) -> Result<GroupRows> {
        let beside_others = |idx: usize| match self.bucket(&buckets[idx], 0) {
            // There may be room for it once the others are done.
            Err(Error::Memory { .. }) => Ok(None),
            merged => merged.map(Some),
        };
        let merged = each(
            threads,
            cancel,
            "merging groups",
            buckets.len(),
            beside_others,
        )?;
        let merged = merged.into_iter().zip(&buckets);
        let merged = merged.map(|(merged, bucket)| match merged {
            Some(merged) => Ok(merged),
            None => self.bucket(bucket, 0),
        });
        let merged = merged.collect::<Result<Vec<_>>>()?;
        let schema = self.common(&merged)?;
        let runs = merged.into_iter().map(|merged| merged.run).collect();
        GroupRows::new(runs, schema)
    }

    /// The groups of a bucket that was cut on `level`.
    fn bucket(&self, bucket: &Bucket, level: u32) -> Result<Merged> {
        let mut reservation = self.budget.open();
        let mut groups = self.groups()?;
        for partial in bucket.read() {
            groups.merge(&partial?)?;
            if !self.reserve(&mut reservation, groups.bytes() as u64) {
                return self.cut_again(bucket, level, &groups, reservation);
            }
        }
        // The answer stands beside the states that it is made of.
        if !self.reserve(&mut reservation, 2 * groups.bytes() as u64) {
            return self.cut_again(bucket, level, &groups, reservation);
        }
        let none = RecordBatch::new_empty(Arc::clone(&self.schema));
        groups.push_chunk(&none, u64::MAX)?;
        let (rows, places) = groups.finish_placed()?;
        let rows = with_places(&rows, places)?;
        Ok(Merged {
            schema: rows.schema(),
            run: {
                drop(reservation);
                // Rows that wait leave room to the tables of other buckets.
                let waiting = self.budget.open_leaving(self.room);
                Run::hold(rows, waiting, &self.spill_dir)?
            },
        })
    }

    fn groups(&self) -> Result<Aggregate> {
        self.plan.groups().map(Aggregate::with_places)
    }

    /// Whether there is room; a little there always is.
    fn reserve(&self, reservation: &mut Reservation, wanted: u64) -> bool {
        if wanted <= self.floor {
            reservation.resize_anyway(wanted);
        }
        wanted <= self.floor || reservation.try_resize(wanted)
    }

    /// Cuts a bucket whose groups do not fit into smaller ones, and merges those
    /// one after the other.
    fn cut_again(
        &self,
        bucket: &Bucket,
        level: u32,
        groups: &Aggregate,
        reservation: Reservation,
    ) -> Result<Merged> {
        if groups.n_groups() <= 1 || level + 1 == MAX_LEVELS {
            return Err(self.plan.refused(&reservation, groups.bytes() as u64));
        }
        drop(reservation);
        tracing::debug!(
            level,
            rows = bucket.rows(),
            "a bucket of groups is cut again"
        );
        let mut smaller = buckets(&self.budget, self.room, &self.spill_dir);
        for partial in bucket.read() {
            smaller.push(cut(&[partial?], groups.n_keys(), level + 1)?)?;
        }
        let merged: Result<Vec<Merged>> = smaller
            .finish()
            .iter()
            .filter(|bucket| bucket.rows() > 0)
            .map(|bucket| self.bucket(bucket, level + 1))
            .collect();
        let merged = merged?;
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
            let groups = &mut self.groups()?;
            let (rows, places) = groups.finish_placed()?;
            return Ok(with_places(&rows, places)?.schema());
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
