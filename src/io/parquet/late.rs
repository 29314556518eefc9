//! The columns a filter looks at, decoded before the others.
//!
//! In:  a filter, the rows of a row group that may pass it.
//! Out: the rows that do, and those columns of them.
//!
//! Where few rows pass, the pages of all other columns that hold none of them
//! are neither read nor decompressed. The filter's own columns are kept, so
//! nothing is decoded twice.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};
use arrow_select::coalesce::BatchCoalescer;
use arrow_select::concat::concat_batches;
use arrow_select::filter::prep_null_mask_filter;
use parquet::arrow::arrow_reader::RowSelection;

use super::input::ParquetInput;
use super::leaves::leaves;
use super::read::{Columns, Rows, Wanted};
use crate::error::{Error, Result};
use crate::expr::{BoundExpr, BoundTerm, Facts, Known};
use crate::io::columns::{Fill, narrowed};

/// Most bytes, decompressed, that a filter's columns may have in a stretch to
/// be decoded first: those of the rows that pass are held.
const MOST_EARLY_BYTES: u64 = 64 << 20;

/// A filter on the rows of a file.
#[derive(Debug)]
pub struct RowFilter {
    predicate: BoundExpr,
    /// The columns that the filter was bound to.
    bound_to: SchemaRef,
    /// Those of them that it looks at.
    fill: Fill,
}

impl RowFilter {
    /// A filter on rows of `schema`, which those of a file are brought up to.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if it looks at a column that `schema` lacks.
    pub fn new(predicate: BoundExpr, schema: &Schema) -> Result<Self> {
        Self::with_fill(predicate, schema, Fill::default())
    }

    /// The same where columns have known values in all rows of a file.
    ///
    /// # Errors
    ///
    /// As [`RowFilter::new`].
    pub(crate) fn with_fill(predicate: BoundExpr, schema: &Schema, fill: Fill) -> Result<Self> {
        let mut paths = Vec::new();
        for path in predicate.columns() {
            schema.index_of(path.root)?;
            let root = std::iter::once(path.root.to_owned());
            paths.push(root.chain(path.steps.iter().cloned()).collect());
        }
        Ok(RowFilter {
            fill: fill.with_schema(Arc::new(narrowed(schema, &paths))),
            bound_to: Arc::new(schema.clone()),
            predicate,
        })
    }

    pub(super) fn predicate(&self) -> &BoundExpr {
        &self.predicate
    }

    pub(super) fn bound_to(&self) -> &Schema {
        &self.bound_to
    }

    /// What is known of a column that has one value in all rows.
    pub(super) fn given(&self, root: &str, steps: &[String]) -> Option<Facts> {
        let value = self.fill.given(root)?;
        Some(match value.null_count() {
            0 if steps.is_empty() => {
                Facts::within(Arc::clone(value), Arc::clone(value)).without_nulls()
            }
            0 => Facts::unknown(),
            _ => Facts::all_null(),
        })
    }

    /// Whether any row may pass, as far as the columns tell that have one value
    /// in all rows; so it is where the filter looks at none of them.
    ///
    /// # Errors
    ///
    /// [`Error::External`] if such a value cannot be compared, which its type rules out.
    pub(crate) fn may_match_given(&self) -> Result<bool> {
        struct Given<'a>(&'a RowFilter);
        impl Known for Given<'_> {
            fn facts(&self, root: &str, steps: &[String]) -> Facts {
                self.0.given(root, steps).unwrap_or_else(Facts::unknown)
            }
        }
        let mut looked_at = self.predicate.root_columns().iter();
        Ok(!looked_at.any(|name| self.fill.given(name).is_some())
            || self.predicate.may_match(&self.bound_to, &Given(self))?)
    }

    /// The columns and fields that it asks a file for.
    pub(super) fn asked(&self) -> Schema {
        self.fill.asked()
    }

    /// Which rows pass, without nulls.
    fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mask = self.predicate.mask(&self.fill.apply(batch)?)?;
        Ok(without_nulls(mask))
    }

    /// The conditions that it joins by `and`, each on its own columns.
    pub(super) fn terms(&self) -> Vec<Term> {
        let terms = self.predicate.terms().into_iter().map(|bound| {
            let roots = bound.root_columns();
            let paths: Vec<Vec<String>> = (self.predicate.columns().iter())
                .filter(|path| roots.contains(&path.root))
                .map(|path| {
                    let root = std::iter::once(path.root.to_owned());
                    root.chain(path.steps.iter().cloned()).collect()
                })
                .collect();
            let schema = Arc::new(narrowed(&self.bound_to, &paths));
            Term {
                fill: self.fill.clone().with_schema(schema),
                bound,
            }
        });
        terms.collect()
    }
}

/// A condition on the rows of a file.
pub(super) struct Term {
    bound: BoundTerm,
    /// The columns that it looks at.
    fill: Fill,
}

impl Term {
    /// Whether it asks a file for a column.
    pub fn asks_for(&self, name: &str) -> bool {
        self.fill.asked().fields().find(name).is_some()
    }

    /// Whether a value can make it fail.
    pub fn may_fail(&self) -> bool {
        self.bound.may_fail()
    }

    /// For which rows it is true, without nulls; of `batch` it needs the columns
    /// that it asks for, as the file has them.
    ///
    /// # Errors
    ///
    /// As [`BoundExpr::mask`].
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mask = self.bound.mask(&self.fill.apply(batch)?)?;
        Ok(without_nulls(mask))
    }
}

/// A mask that is false where it was null.
fn without_nulls(mask: BooleanArray) -> BooleanArray {
    match mask.null_count() {
        0 => mask,
        _ => prep_null_mask_filter(&mask),
    }
}

/// The filter's columns of the rows that pass.
pub(super) struct Early {
    schema: SchemaRef,
    batches: VecDeque<RecordBatch>,
}

impl Early {
    /// Decodes the filter's columns, and leaves of `rows` those that pass. Of
    /// `columns` those stay to be read that are not among them. None where all
    /// columns would be decoded anyway, or none: then nothing is done.
    pub fn decode(
        input: &ParquetInput,
        group: usize,
        rows: &mut Rows,
        filter: &RowFilter,
        columns: &mut Columns,
        wanted: &Wanted,
    ) -> Result<Option<Self>> {
        let looked_at = input.has_of(&filter.asked());
        let of = leaves(input.schema(), looked_at.fields());
        let early: Vec<usize> = of.concat();
        let others = columns.leaves.iter().any(|leaf| !early.contains(leaf));
        if early.is_empty() || !others || bytes_of(input, group, rows, &early) > MOST_EARLY_BYTES {
            return Ok(None);
        }
        let name = input.file.path.as_str();
        let mut opened = input.start(group, rows, &early, wanted.batch_rows)?;
        let mut kept: Option<BatchCoalescer> = None;
        let mut masks = Vec::new();
        let mut left = rows.count;
        while let Some(batch) = opened.next(name, group)? {
            let mask = filter.mask(&batch)?;
            left = left.saturating_sub(batch.num_rows() as u64);
            kept.get_or_insert_with(|| BatchCoalescer::new(batch.schema(), wanted.batch_rows))
                .push_batch_with_filter(batch, &mask)?;
            masks.push(mask);
        }
        let Some(mut kept) = kept.filter(|_| left == 0) else {
            // Fewer rows than the footer says: whoever reads all of them tells.
            return Ok(None);
        };
        kept.finish_buffered_batch()?;
        let passed = RowSelection::from_filters(&masks);
        rows.count = passed.row_count() as u64;
        rows.selection = Some(match &rows.selection {
            Some(selection) => selection.and_then(&passed),
            None => passed,
        });
        let schema = kept.schema();
        let again = |place: usize| {
            // Read in the order of the file, as the wanted columns are.
            let (there, field) = schema.fields().find(wanted.columns.field(place).name())?;
            let at = looked_at.index_of(field.name()).ok()?;
            (of[at] == columns.of[place] && can_be_kept(field.data_type()))
                .then_some((place, there))
        };
        let taken: Vec<_> = (0..columns.of.len()).filter_map(again).collect();
        columns.read_all_but(&taken);
        let batches = std::iter::from_fn(|| kept.next_completed_batch()).collect();
        Ok(Some(Early { schema, batches }))
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next `rows` rows.
    pub fn take(&mut self, rows: usize) -> Result<RecordBatch> {
        let mut taken = Vec::new();
        let mut left = rows;
        while left > 0 {
            let front = self.batches.pop_front().ok_or_else(|| {
                Error::internal("fewer rows passed the filter than were read for it")
            })?;
            if front.num_rows() > left {
                self.batches
                    .push_front(front.slice(left, front.num_rows() - left));
            }
            let now = front.num_rows().min(left);
            taken.push(front.slice(0, now));
            left -= now;
        }
        match taken.len() {
            1 => Ok(taken.swap_remove(0)),
            _ => Ok(concat_batches(&self.schema, &taken)?),
        }
    }
}

/// Whether rows of several batches go together whatever they hold: the values
/// of two dictionaries may be more than their keys can number.
fn can_be_kept(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) => false,
        DataType::Struct(fields) => fields.iter().all(|field| can_be_kept(field.data_type())),
        other => !other.is_nested(),
    }
}

/// About how many bytes stored columns have in some rows, decompressed.
fn bytes_of(input: &ParquetInput, group: usize, rows: &Rows, leaves: &[usize]) -> u64 {
    let group = input.metadata().row_group(group);
    let bytes = leaves
        .iter()
        .map(|leaf| group.column(*leaf).uncompressed_size());
    let share = rows.count as f64 / (group.num_rows().max(1) as f64);
    (bytes.sum::<i64>() as f64 * share) as u64
}
