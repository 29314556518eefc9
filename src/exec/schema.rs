//! The schema of the rows so far.
//!
//! In:  what each chunk found, in input order.
//! Out: one schema that only widens, and batches brought up to it.
//!
//! Order of fields is that of first appearance in input order, types are the
//! join of all values: a function of the data, never of timing.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::expr::{Origin, Shape, Slot, fit};
use crate::io::columns::{path_column, path_field};
use crate::io::json::{JsonSchema, conform};
use crate::sink::check_known;

/// What rows look like at one moment of a run. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct RunSchema {
    kind: Kind,
    /// Columns that steps compute, at the end of each batch.
    computed: Arc<[FieldRef]>,
    /// The columns that come out.
    shape: Arc<Shape>,
    /// Columns that do not come out: they are folder names.
    folders: Arc<[String]>,
    /// What rows are brought to in the end, if that was asked for.
    given: Option<SchemaRef>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Found while decoding; widens.
    Json {
        schema: JsonSchema,
        /// A last column that holds the input's path.
        path_column: Option<Arc<str>>,
    },
    /// Known before reading.
    Fixed(SchemaRef),
}

impl RunSchema {
    /// A schema that text will widen.
    pub fn json(schema: JsonSchema, path_column: Option<&str>) -> Self {
        RunSchema {
            kind: Kind::Json {
                schema,
                path_column: path_column.map(Arc::from),
            },
            computed: Arc::new([]),
            shape: Arc::new(Shape::all()),
            folders: Arc::new([]),
            given: None,
        }
    }

    /// A schema that stays as it is.
    pub fn fixed(schema: SchemaRef) -> Self {
        RunSchema {
            kind: Kind::Fixed(schema),
            computed: Arc::new([]),
            shape: Arc::new(Shape::all()),
            folders: Arc::new([]),
            given: None,
        }
    }

    /// Lets columns out in this shape; `computed` stand at the end of each batch.
    pub fn with_shape(mut self, shape: Shape, computed: Vec<FieldRef>) -> Self {
        self.shape = Arc::new(shape);
        self.computed = computed.into();
        self
    }

    /// Whether columns were chosen, and none of them.
    pub fn lets_nothing_out(&self) -> bool {
        self.shape.is_nothing()
    }

    /// Keeps these columns out of the files: they name folders.
    pub fn with_folders(mut self, folders: &[String]) -> Self {
        self.folders = Arc::from(folders);
        self
    }

    /// Brings rows to these columns in the end, which count whatever is found.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a column that is none of these, and for one of these that
    /// holds no nulls and is not there.
    pub fn with_given(mut self, given: &SchemaRef) -> Result<Self> {
        self.given = Some(Arc::clone(given));
        let all = self.all();
        let found = shown(&all, self.outputs_and_folders(&all)?);
        check_known(&found, given)?;
        let mut needed = given.fields().iter().filter(|field| !field.is_nullable());
        match needed.find(|field| found.column_with_name(field.name()).is_none()) {
            // Text may have it later.
            Some(_) if self.decoded().is_some() => Ok(self),
            None => Ok(self),
            Some(field) => Err(Error::plan(format!(
                "there is no column {:?}, which the schema of the output says is never null",
                field.name()
            ))),
        }
    }

    /// Whether a column comes out in the type in which it was found.
    pub fn keeps_type(&self, name: &str) -> Result<bool> {
        let Some(given) = &self.given else {
            return Ok(true);
        };
        let all = self.all();
        let found = shown(&all, self.outputs_and_folders(&all)?);
        let of = |schema: &Schema| {
            let found = schema.column_with_name(name);
            found.map(|(_, field)| field.data_type().clone())
        };
        Ok(of(&found) == of(given))
    }

    /// Starts from the columns of files that are there already: an append must
    /// end with their schema, so values are decoded to their types. Columns that
    /// name `folders` are not in files, and stay as they were found.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if they have types that JSON is not decoded to.
    pub fn starting_from(mut self, existing: &Schema, folders: &[String]) -> Result<Self> {
        if let Kind::Json {
            schema,
            path_column,
        } = &mut self.kind
        {
            let decoded: Vec<_> = existing
                .fields()
                .iter()
                .filter_map(|field| match self.shape.origin(field.name())? {
                    Origin::Source(source) if Some(&*source) == path_column.as_deref() => None,
                    Origin::Source(source) => Some(field.as_ref().clone().with_name(source)),
                    Origin::Computed(_) => None,
                })
                .collect();
            let found = schema.project(folders);
            *schema = JsonSchema::from_arrow(&Schema::new(decoded))?.merge(&found);
        }
        Ok(self)
    }

    /// What a decoder is to start from.
    pub fn decoded(&self) -> Option<&JsonSchema> {
        match &self.kind {
            Kind::Json { schema, .. } => Some(schema),
            Kind::Fixed(_) => None,
        }
    }

    /// Whether rows of both look the same.
    pub fn same(&self, other: &RunSchema) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Json { schema: a, .. }, Kind::Json { schema: b, .. }) => a == b,
            (Kind::Fixed(a), Kind::Fixed(b)) => a == b,
            _ => false,
        }
    }

    /// The schema of a chunk that was decoded on its own.
    pub fn local(&self, schema: JsonSchema) -> Self {
        match &self.kind {
            Kind::Json { path_column, .. } => RunSchema {
                kind: Kind::Json {
                    schema,
                    path_column: path_column.clone(),
                },
                computed: Arc::clone(&self.computed),
                shape: Arc::clone(&self.shape),
                folders: Arc::clone(&self.folders),
                given: self.given.clone(),
            },
            Kind::Fixed(_) => self.clone(),
        }
    }

    /// Takes in what a chunk found. True if that changed anything.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the data has a column of the path column's name.
    pub fn widen(&mut self, local: &RunSchema) -> Result<bool> {
        let (
            Kind::Json {
                schema,
                path_column,
            },
            Some(found),
        ) = (&mut self.kind, local.decoded())
        else {
            return Ok(false);
        };
        if schema.covers(found) {
            return Ok(false);
        }
        let wider = schema.merge(found);
        if let Some(name) = path_column
            && wider.to_arrow().column_with_name(name).is_some()
        {
            return Err(Error::config(
                "include-path",
                format!("the data has a column {name:?} of its own; choose another name"),
            ));
        }
        *schema = wider;
        // A late column may have a name that another was given, or be one too many.
        let all = self.all();
        let outputs = self.outputs(&all)?;
        if let Some(given) = &self.given {
            check_known(&shown(&all, outputs), given)?;
        }
        Ok(true)
    }

    /// All columns of a conformed batch, before columns are chosen.
    fn all(&self) -> SchemaRef {
        let (found, path) = match &self.kind {
            Kind::Fixed(schema) => (Arc::clone(schema), None),
            Kind::Json {
                schema,
                path_column,
            } => (schema.to_arrow(), path_column.as_deref()),
        };
        if path.is_none() && self.computed.is_empty() {
            return found;
        }
        let path = path.map(|name| Arc::new(path_field(name)));
        let fields = found.fields().iter().cloned();
        let fields = fields.chain(path).chain(self.computed.iter().cloned());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The schema of the rows that come out.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if a chosen column does not exist.
    pub fn output(&self) -> Result<SchemaRef> {
        if let Some(given) = &self.given {
            return Ok(self.in_files(given));
        }
        let all = self.all();
        if self.lets_all_out() {
            return Ok(all);
        }
        Ok(shown(&all, self.outputs(&all)?))
    }

    /// The columns of these that do not name folders.
    fn in_files(&self, given: &SchemaRef) -> SchemaRef {
        if self.folders.is_empty() {
            return Arc::clone(given);
        }
        let fields = given.fields().iter();
        let fields = fields.filter(|field| !self.folders.contains(field.name()));
        let metadata = given.metadata().clone();
        Arc::new(Schema::new_with_metadata(
            fields.cloned().collect::<Vec<_>>(),
            metadata,
        ))
    }

    fn lets_all_out(&self) -> bool {
        self.shape.is_all() && self.computed.is_empty() && self.folders.is_empty()
    }

    /// The columns that come out, with where each stands in a conformed batch.
    fn outputs(&self, all: &Schema) -> Result<Vec<(String, usize)>> {
        let outputs = self.outputs_and_folders(all)?.into_iter();
        Ok(outputs
            .filter(|(name, _)| !self.folders.contains(name))
            .collect())
    }

    /// The same, with the columns that name folders.
    fn outputs_and_folders(&self, all: &Schema) -> Result<Vec<(String, usize)>> {
        let found = all.fields().len() - self.computed.len();
        let names: Vec<&str> = all.fields()[..found]
            .iter()
            .map(|field| &**field.name())
            .collect();
        let outputs = self.shape.outputs(&names)?.into_iter();
        let outputs = outputs.map(|(name, slot)| match slot {
            Slot::Source(idx) => (name, idx),
            Slot::Computed(idx) => (name, found + idx),
        });
        Ok(outputs.collect())
    }

    /// The columns of a conformed batch that name folders, under the names they come out with.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if one of them does not exist.
    pub fn folder_columns(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = batch.schema();
        let outputs = self.outputs_and_folders(&schema)?.into_iter();
        let named = outputs.filter(|(name, _)| self.folders.contains(name));
        let columns = named.map(|(name, idx)| {
            let field = schema.field(idx).clone().with_name(name);
            (Arc::new(field), Arc::clone(batch.column(idx)))
        });
        let (mut fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = columns.unzip();
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(fields.clone()));
        let found = RecordBatch::try_new_with_options(schema, columns, &rows)?;
        let Some(given) = &self.given else {
            return Ok(found);
        };
        for field in &mut fields {
            *field = Arc::new(given.field_with_name(field.name())?.clone());
        }
        in_given(&found, &Arc::new(Schema::new(fields)))
    }

    /// Brings rows of schema `from` up to this one, all columns.
    ///
    /// # Errors
    ///
    /// Never for rows that were decoded under a schema which this one covers.
    pub fn conform(&self, batch: &RecordBatch, from: &RunSchema) -> Result<RecordBatch> {
        let (
            Kind::Json {
                schema: wide,
                path_column,
            },
            Some(narrow),
        ) = (&self.kind, from.decoded())
        else {
            return Ok(batch.clone());
        };
        if narrow == wide {
            return Ok(batch.clone());
        }
        let found = batch.num_columns() - self.computed.len() - usize::from(path_column.is_some());
        if found == batch.num_columns() {
            return conform(batch, narrow, wide);
        }
        let decoded: Vec<usize> = (0..found).collect();
        let conformed = conform(&batch.project(&decoded)?, narrow, wide)?;
        let mut columns = conformed.columns().to_vec();
        columns.extend_from_slice(&batch.columns()[found..]);
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            self.all(),
            columns,
            &rows,
        )?)
    }

    /// Brings some columns of rows that came out under the schema `from`, found
    /// by name, up to this one.
    ///
    /// # Errors
    ///
    /// As [`RunSchema::conform`].
    pub fn conform_some(&self, batch: &RecordBatch, from: &RunSchema) -> Result<RecordBatch> {
        let (Some(wide), Some(narrow)) = (self.decoded(), from.decoded()) else {
            return Ok(batch.clone());
        };
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let mut fields = Vec::with_capacity(batch.num_columns());
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let source = match self.shape.origin(field.name()) {
                Some(Origin::Source(source)) => [source],
                Some(Origin::Computed(_)) | None => {
                    fields.push(Arc::clone(field));
                    columns.push(Arc::clone(column));
                    continue;
                }
            };
            // Each by itself: two may come from one column of the source.
            let (narrow, wide) = (narrow.project(&source), wide.project(&source));
            if narrow.n_columns() == 0 {
                // The path, or what is no longer read.
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(column));
                continue;
            }
            let [source] = source;
            let named = Arc::new(field.as_ref().clone().with_name(source));
            let one = RecordBatch::try_new_with_options(
                Arc::new(Schema::new(vec![named])),
                vec![Arc::clone(column)],
                &rows,
            )?;
            let one = conform(&one, &narrow, &wide)?;
            let widened = one.schema_ref().field(0).clone().with_name(field.name());
            fields.push(Arc::new(widened));
            columns.push(Arc::clone(one.column(0)));
        }
        Ok(RecordBatch::try_new_with_options(
            Arc::new(Schema::new(fields)),
            columns,
            &rows,
        )?)
    }

    /// Brings rows up to this schema and lets only the chosen columns out.
    ///
    /// # Errors
    ///
    /// As [`RunSchema::conform`].
    pub fn finish(&self, batch: &RecordBatch, from: &RunSchema) -> Result<RecordBatch> {
        let found = self.chosen(batch, from)?;
        match &self.given {
            None => Ok(found),
            Some(given) => in_given(&found, &self.in_files(given)),
        }
    }

    /// The chosen columns in the types in which they were found.
    fn chosen(&self, batch: &RecordBatch, from: &RunSchema) -> Result<RecordBatch> {
        let batch = self.conform(batch, from)?;
        if self.lets_all_out() {
            return Ok(batch);
        }
        let outputs = self.outputs(batch.schema_ref())?;
        let columns = outputs
            .iter()
            .map(|(_, idx)| Arc::clone(batch.column(*idx)));
        let columns = columns.collect();
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            shown(batch.schema_ref(), outputs),
            columns,
            &rows,
        )?)
    }

    /// Adds the path column to decoded rows, if there is one.
    ///
    /// # Errors
    ///
    /// None that can happen: lengths agree.
    pub fn with_path(&self, batch: RecordBatch, path: &str) -> Result<RecordBatch> {
        let Kind::Json {
            path_column: Some(name),
            ..
        } = &self.kind
        else {
            return Ok(batch);
        };
        add_path(&batch, name, path)
    }
}

/// Rows with the columns that an output was given, exactly.
fn in_given(found: &RecordBatch, given: &SchemaRef) -> Result<RecordBatch> {
    for field in given.fields().iter().filter(|field| !field.is_nullable()) {
        let column = found.column_by_name(field.name());
        if found.num_rows() > 0 && column.is_none_or(|column| column.logical_null_count() > 0) {
            return Err(Error::plan(format!(
                "column {:?} has a null, and the schema of the output says that it has none",
                field.name()
            )));
        }
    }
    fit(found, given)
}

/// Adds a last column that holds `path` in every row.
pub(super) fn add_path(batch: &RecordBatch, column: &str, path: &str) -> Result<RecordBatch> {
    let paths = path_column(path, batch.num_rows())?;
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(path_field(column)));
    let mut columns = batch.columns().to_vec();
    columns.push(paths);
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

/// The fields that come out, under the names they come out with.
fn shown(all: &Schema, outputs: Vec<(String, usize)>) -> SchemaRef {
    let field = |(name, idx): (String, usize)| {
        let field = &all.fields()[idx];
        if *field.name() == name {
            Arc::clone(field)
        } else {
            Arc::new(field.as_ref().clone().with_name(name))
        }
    };
    let fields: Vec<FieldRef> = outputs.into_iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, all.metadata().clone()))
}
