//! One group that does not fit.
//!
//! In:  a bucket whose partials are all of one group.
//! Out: the group's row, with its place.
//!
//! ```text
//! different values   lists of partials ─ by hash of the value ─▶ 64 buckets (may spill) ─▶ counted, each by itself
//! quantiles          lists of partials ─ pass by pass ─▶ which values are in question ─▶ those few, held
//! all else           partials, without the values of these ─▶ merged as ever
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema};

use super::aside::fitting;
use super::merge::{Made, Merge};
use super::store::{GroupStore, partials};
use crate::error::{Error, Result};
use crate::exec::fold::FoldPlan;
use crate::expr::{GroupTable, OfValues, Sift};
use crate::ops::{Aggregate, ValueColumn};
use crate::partition::array_bytes;
use crate::plan::Fold;
use crate::shuffle::Bucket;

/// Rows of values that are routed at once, at most; fewer if they are long.
const PIECE_ROWS: usize = 65_536;

/// The name of a column of values.
const VALUE: &str = "value";

impl Merge {
    /// Whether all partials of a bucket are of one group.
    pub(super) fn is_alone(&self, bucket: &Bucket) -> Result<bool> {
        let n_keys = self.groups()?.n_keys();
        let mut table: Option<GroupTable> = None;
        for partial in partials(bucket) {
            let partial = partial?;
            let keys = &partial.columns()[..n_keys];
            let types = keys.iter().map(|key| key.data_type().clone()).collect();
            let table = match &mut table {
                _ if n_keys == 0 => return Ok(true),
                Some(table) => table,
                None => table.insert(GroupTable::try_new(types)?),
            };
            table.assign(keys)?;
            if table.len() > 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The only group of a bucket, of which `wanted` bytes were refused.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] if it does not fit without the values that need not be
    /// held at once.
    pub(super) fn alone(&self, bucket: &Bucket, wanted: u64) -> Result<RecordBatch> {
        let mut groups = self.groups()?;
        let none = RecordBatch::new_empty(Arc::clone(&self.schema));
        let columns = groups.value_columns(&none)?;
        if columns.is_empty() {
            return Err(self.refused_alone(wanted));
        }
        tracing::debug!(rows = bucket.rows(), wanted, "a group does not fit");
        let mut reservation = self.budget.open();
        for partial in partials(bucket) {
            groups.merge(&without_values(&partial?, &columns)?)?;
            let wanted = 2 * groups.bytes() as u64;
            if !self.reserve(&mut reservation, wanted) {
                return Err(self.refused_alone(wanted));
            }
        }
        let rows = self.rows_of(groups)?;
        let mut answers = rows.columns().to_vec();
        for column in &columns {
            answers[column.result] = match column.of {
                OfValues::Distinct => {
                    Arc::new(Int64Array::from(vec![self.distinct(bucket, column)?]))
                }
                OfValues::Quantile(q) => {
                    Arc::new(Float64Array::from(vec![self.quantile(bucket, column, q)?]))
                }
            };
        }
        Ok(RecordBatch::try_new(rows.schema(), answers)?)
    }

    /// How many different values the partials of a bucket hold.
    fn distinct(&self, bucket: &Bucket, column: &ValueColumn) -> Result<i64> {
        let field = Field::new(VALUE, column.values.clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let values = Merge {
            plan: FoldPlan {
                operator: self.plan.operator,
                fold: Fold::Groups {
                    keys: vec![VALUE.to_owned()],
                    aggregates: Vec::new(),
                },
                schema: Arc::clone(&schema),
                place: None,
            },
            schema,
            budget: self.budget.clone(),
            spill_dir: Arc::clone(&self.spill_dir),
            cancel: self.cancel.clone(),
            ..*self
        };
        let mut each = values.groups()?;
        let store = GroupStore::new(each.n_keys(), &self.budget, self.room, &self.spill_dir);
        for partial in partials(bucket) {
            self.cancel.check()?;
            let values = values_of(&partial?, column)?;
            self.leave_values(&values, &mut each, &store)?;
        }
        let buckets = store.finish(each.key_types())?;
        let counts = values.each(
            &buckets,
            &Made {
                of_rows: &|rows| Ok(rows.num_rows() as i64),
                of_parts: &|counts| Ok(counts.iter().sum::<i64>()),
            },
        )?;
        Ok(counts.iter().sum())
    }

    /// Puts values into a store, each as a group.
    fn leave_values(
        &self,
        values: &ArrayRef,
        each: &mut Aggregate,
        store: &GroupStore,
    ) -> Result<()> {
        let bytes = array_bytes(values);
        let step = fitting(&self.budget, values.len() as u64, bytes).min(PIECE_ROWS);
        for start in (0..values.len()).step_by(step) {
            let piece = values.slice(start, step.min(values.len() - start));
            let piece = RecordBatch::try_from_iter_with_nullable([(VALUE, piece, true)])?;
            let rows = each.ungrouped(&piece, 0)?;
            store.push(&[each.partial_of(&rows)?])?;
        }
        Ok(())
    }

    /// The value below which a share `q` of those in the partials of a bucket lies.
    fn quantile(&self, bucket: &Bucket, column: &ValueColumn, q: f64) -> Result<Option<f64>> {
        let mut reservation = self.budget.open();
        let mut sift = Sift::new(q);
        loop {
            self.cancel.check()?;
            for partial in partials(bucket) {
                let values = values_of(&partial?, column)?;
                sift.take(values.as_primitive::<Float64Type>().values());
            }
            if let Some(answer) = sift.turn() {
                return Ok(answer);
            }
            if self.reserve(&mut reservation, sift.held_bytes()) {
                sift.hold();
            }
        }
    }

    /// The error of one group that must be held at once.
    fn refused_alone(&self, wanted: u64) -> Error {
        let cure = "raise --memory: this is what one group holds, all of which is needed at once";
        let reservation = self.budget.open();
        reservation.refused(self.plan.operator, wanted, cure)
    }
}

/// The lists of values in a partial.
fn lists<'a>(partial: &'a RecordBatch, column: &ValueColumn) -> Result<&'a ListArray> {
    let lists = partial.column(column.partial).as_list_opt();
    lists.ok_or_else(|| Error::internal("a partial has no list of values"))
}

/// All values in a partial.
fn values_of(partial: &RecordBatch, column: &ValueColumn) -> Result<ArrayRef> {
    let lists = lists(partial, column)?;
    let offsets = lists.value_offsets();
    let (first, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
    Ok(lists.values().slice(first, end - first))
}

/// A partial whose lists of values are empty.
fn without_values(partial: &RecordBatch, columns: &[ValueColumn]) -> Result<RecordBatch> {
    let mut arrays = partial.columns().to_vec();
    for column in columns {
        let DataType::List(field) = arrays[column.partial].data_type() else {
            return Err(Error::internal("a partial has no list of values"));
        };
        let offsets = OffsetBuffer::new_zeroed(partial.num_rows());
        let none = lists(partial, column)?.values().slice(0, 0);
        arrays[column.partial] = Arc::new(ListArray::new(Arc::clone(field), offsets, none, None));
    }
    Ok(RecordBatch::try_new(partial.schema(), arrays)?)
}
