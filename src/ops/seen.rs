//! An expression on batches whose columns have other names than it knows.
//!
//! In:  batches as a source made them, with what was computed at their end.
//! Out: what the expression gives on the columns that a step of the plan sees.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema, SchemaRef};

use crate::error::Result;
use crate::expr::{BoundExpr, Expr, Items, Origin, PathRef, Shape};

/// A bound expression, and where the columns that it looks at are. Holds nothing.
#[derive(Debug, Clone)]
pub struct Seen {
    bound: BoundExpr,
    /// Columns by the name it knows them by; none if they have it in the batch as well.
    columns: Option<Vec<(String, Origin)>>,
    /// Columns that were computed before it.
    computed: usize,
}

impl Seen {
    /// Binds an expression to the columns `schema` that a step sees, which lie
    /// in batches as `shape` says, `computed` of them computed.
    ///
    /// # Errors
    ///
    /// As [`Expr::bind`].
    pub fn bind(expr: &Expr, schema: &SchemaRef, shape: &Shape, computed: usize) -> Result<Self> {
        let bound = expr.bind(schema)?;
        let columns: Vec<(String, Origin)> = bound
            .root_columns()
            .iter()
            .filter_map(|name| Some((name.clone(), shape.origin(name)?)))
            .collect();
        let as_they_are = columns
            .iter()
            .all(|(name, origin)| matches!(origin, Origin::Source(source) if source == name));
        Ok(Seen {
            bound,
            columns: (!as_they_are).then_some(columns),
            computed,
        })
    }

    /// An expression that knows the columns by the names they have in batches.
    pub fn as_named(bound: BoundExpr) -> Self {
        Seen {
            bound,
            columns: None,
            computed: 0,
        }
    }

    /// The expression.
    pub fn bound(&self) -> &BoundExpr {
        &self.bound
    }

    /// The columns of the source that it looks at.
    pub fn sources(&self) -> Vec<String> {
        match &self.columns {
            None => self.bound.root_columns().to_vec(),
            Some(columns) => columns
                .iter()
                .filter_map(|(_, origin)| match origin {
                    Origin::Source(name) => Some(name.clone()),
                    Origin::Computed(_) => None,
                })
                .collect(),
        }
    }

    /// What it looks at of the columns of the source: each by its name and
    /// then, of a struct, the names of fields inside.
    pub fn source_paths(&self) -> Vec<Vec<String>> {
        let source = |root: &str| match &self.columns {
            None => Some(root.to_owned()),
            Some(columns) => match columns.iter().find(|(name, _)| name == root)? {
                (_, Origin::Source(name)) => Some(name.clone()),
                (_, Origin::Computed(_)) => None,
            },
        };
        let path = |path: PathRef<'_>| {
            let root = source(path.root)?;
            Some(
                std::iter::once(root)
                    .chain(path.steps.iter().cloned())
                    .collect(),
            )
        };
        self.bound.columns().into_iter().filter_map(path).collect()
    }

    /// A condition per row.
    ///
    /// # Errors
    ///
    /// As [`BoundExpr::mask`].
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        self.bound.mask(self.view(batch)?.as_ref())
    }

    /// A column of the type that was bound.
    ///
    /// # Errors
    ///
    /// As [`BoundExpr::column`].
    pub fn column(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        self.bound.column(self.view(batch)?.as_ref())
    }

    /// The items of its lists, as `to`.
    ///
    /// # Errors
    ///
    /// As [`Seen::column`].
    pub(crate) fn items(&self, batch: &RecordBatch, to: &DataType) -> Result<Items> {
        self.bound.items(self.view(batch)?.as_ref(), to)
    }

    /// A column of whatever type the values of the batch have.
    ///
    /// # Errors
    ///
    /// As [`BoundExpr::evaluate`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        self.bound.evaluate(self.view(batch)?.as_ref())
    }

    /// The columns that it looks at, under the names it knows them by. One that
    /// the batch does not have is left out: it is null in every row.
    fn view<'a>(&self, batch: &'a RecordBatch) -> Result<Cow<'a, RecordBatch>> {
        let Some(columns) = &self.columns else {
            return Ok(Cow::Borrowed(batch));
        };
        let first_computed = batch.num_columns().saturating_sub(self.computed);
        let schema = batch.schema_ref();
        let mut fields = Vec::with_capacity(columns.len());
        let mut arrays = Vec::with_capacity(columns.len());
        for (name, origin) in columns {
            let place = match origin {
                Origin::Source(source) => schema.column_with_name(source).map(|(idx, _)| idx),
                Origin::Computed(idx) => Some(first_computed + idx),
            };
            if let Some(idx) = place {
                fields.push(schema.field(idx).clone().with_name(name));
                arrays.push(Arc::clone(batch.column(idx)));
            }
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(fields));
        Ok(Cow::Owned(RecordBatch::try_new_with_options(
            schema, arrays, &rows,
        )?))
    }
}
