//! The schema of the rows so far.
//!
//! In:  what each chunk found, in input order.
//! Out: one schema that only widens, and batches brought up to it.
//!
//! Order of fields is that of first appearance in input order, types are the
//! join of all values: a function of the data, never of timing.

use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::io::json::{JsonSchema, conform};

/// What rows look like at one moment of a run. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct RunSchema {
    kind: Kind,
    /// Columns that come out, in this order. `None`: all.
    columns: Option<Arc<[String]>>,
    /// Columns that do not come out: they are folder names.
    folders: Arc<[String]>,
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
            columns: None,
            folders: Arc::new([]),
        }
    }

    /// A schema that stays as it is.
    pub fn fixed(schema: SchemaRef) -> Self {
        RunSchema {
            kind: Kind::Fixed(schema),
            columns: None,
            folders: Arc::new([]),
        }
    }

    /// Lets only these columns out, in this order.
    pub fn with_columns(mut self, columns: Option<Vec<String>>) -> Self {
        self.columns = columns.map(Arc::from);
        self
    }

    /// Whether columns were chosen, and none of them.
    pub fn lets_nothing_out(&self) -> bool {
        self.columns.as_deref().is_some_and(<[String]>::is_empty)
    }

    /// Keeps these columns out of the files: they name folders.
    pub fn with_folders(mut self, folders: &[String]) -> Self {
        self.folders = Arc::from(folders);
        self
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
                .filter(|field| Some(field.name().as_str()) != path_column.as_deref())
                .cloned()
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
                columns: self.columns.clone(),
                folders: Arc::clone(&self.folders),
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
        Ok(true)
    }

    /// All columns of a conformed batch, before columns are chosen.
    fn all(&self) -> SchemaRef {
        match &self.kind {
            Kind::Fixed(schema) => Arc::clone(schema),
            Kind::Json {
                schema,
                path_column,
            } => {
                let decoded = schema.to_arrow();
                match path_column {
                    None => decoded,
                    Some(name) => {
                        let mut fields: Vec<_> = decoded.fields().iter().cloned().collect();
                        fields.push(Arc::new(path_field(name)));
                        Arc::new(Schema::new(fields))
                    }
                }
            }
        }
    }

    /// The schema of the rows that come out.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if a chosen column does not exist.
    pub fn output(&self) -> Result<SchemaRef> {
        let all = self.all();
        let indices = self.indices(&all)?;
        Ok(Arc::new(all.project(&indices)?))
    }

    /// Where the columns that come out stand in a conformed batch.
    fn indices(&self, all: &Schema) -> Result<Vec<usize>> {
        let stays = |name: &str| !self.folders.iter().any(|folder| folder == name);
        match &self.columns {
            Some(columns) => columns
                .iter()
                .filter(|name| stays(name))
                .map(|name| {
                    all.index_of(name)
                        .map_err(|_| Error::plan(format!("there is no column {name:?}")))
                })
                .collect(),
            None => Ok((0..all.fields().len())
                .filter(|idx| stays(all.field(*idx).name()))
                .collect()),
        }
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
        if path_column.is_none() {
            return conform(batch, narrow, wide);
        }
        let last = batch.num_columns() - 1;
        let decoded: Vec<usize> = (0..last).collect();
        let conformed = conform(&batch.project(&decoded)?, narrow, wide)?;
        let mut columns = conformed.columns().to_vec();
        columns.push(Arc::clone(batch.column(last)));
        Ok(RecordBatch::try_new(self.all(), columns)?)
    }

    /// Brings some columns of rows of schema `from`, found by name, up to this one.
    ///
    /// # Errors
    ///
    /// As [`RunSchema::conform`].
    pub fn conform_some(&self, batch: &RecordBatch, from: &RunSchema) -> Result<RecordBatch> {
        let (Some(wide), Some(narrow)) = (self.decoded(), from.decoded()) else {
            return Ok(batch.clone());
        };
        let names: Vec<String> = batch
            .schema_ref()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        // In the order of the schema, which is that of no file in particular.
        let narrow = narrow.project(&names);
        let order = narrow
            .to_arrow()
            .fields()
            .iter()
            .map(|field| batch.schema_ref().index_of(field.name()))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        conform(&batch.project(&order)?, &narrow, &wide.project(&names))
    }

    /// Brings rows up to this schema and lets only the chosen columns out.
    ///
    /// # Errors
    ///
    /// As [`RunSchema::conform`].
    pub fn finish(&self, batch: &RecordBatch, from: &RunSchema) -> Result<RecordBatch> {
        let batch = self.conform(batch, from)?;
        if self.columns.is_none() && self.folders.is_empty() {
            return Ok(batch);
        }
        let indices = self.indices(&batch.schema())?;
        Ok(batch.project(&indices)?)
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

/// Adds a last column that holds `path` in every row.
pub(super) fn add_path(batch: &RecordBatch, column: &str, path: &str) -> Result<RecordBatch> {
    let keys = Int32Array::from_value(0, batch.num_rows());
    let values: ArrayRef = Arc::new(StringArray::from_iter_values([path]));
    let paths = DictionaryArray::try_new(keys, values)?;
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(path_field(column)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(paths));
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

fn path_field(name: &str) -> Field {
    Field::new_dictionary(name, DataType::Int32, DataType::Utf8, false)
}
