//! What a plan holds of the program that made it: functions. A plan with one
//! runs in this process only.
//!
//! In:  a closure and a name.
//! Out: something that a plan can hold, clone and show.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

use super::union::united;
use crate::error::{Error, Result};
use crate::expr::fit;

/// One partition, as a function is given it.
#[derive(Debug, Clone)]
pub struct PartitionRows {
    /// Its place among the partitions, from 0.
    pub idx: usize,
    /// The columns of its batches: those that the frame is known to have, and
    /// behind them others that text brought so far.
    pub schema: SchemaRef,
    /// Its rows, in order.
    pub batches: Vec<RecordBatch>,
}

impl PartitionRows {
    /// The same rows with all columns of `known` in front: null where there is none,
    /// in the type that takes in both where they differ and one does.
    pub(crate) fn with_columns_of(self, known: &SchemaRef) -> Result<Self> {
        let own = |field: &FieldRef| self.schema.column_with_name(field.name());
        let has = |(idx, field): (usize, &FieldRef)| {
            own(field).is_some_and(|(at, own)| at == idx && own.data_type() == field.data_type())
        };
        if known.fields().iter().enumerate().all(has) {
            return Ok(self);
        }
        let schema = united([known, &self.schema])?;
        let batches = self.batches.iter().map(|batch| fit(batch, &schema));
        Ok(PartitionRows {
            idx: self.idx,
            batches: batches.collect::<Result<_>>()?,
            schema,
        })
    }
}

/// Batches that come when they are asked for.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Makes a partition by its place.
pub type Make = dyn Fn(usize) -> Result<Batches> + Send + Sync;

/// Makes rows of the rows of a partition.
pub type Map = dyn Fn(PartitionRows) -> Result<Vec<RecordBatch>> + Send + Sync;

/// A function with its name. Two are equal if they are the same one.
pub struct Local<F: ?Sized> {
    /// How plans and errors show it.
    pub name: Arc<str>,
    /// Whether it only hands out what is there.
    pub ready: bool,
    function: Arc<F>,
}

impl Local<Make> {
    /// A function that makes partitions, under a name, which its errors then name.
    pub fn making(
        name: &str,
        make: impl Fn(usize) -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    ) -> Self {
        let name: Arc<str> = Arc::from(name);
        let own = Arc::clone(&name);
        let make = move |idx| -> Result<Batches> {
            let made = make(idx).map_err(|source| Error::of_task(task(&own, idx), source))?;
            Ok(Box::new(made.into_iter().map(Ok)))
        };
        Local {
            name,
            ready: false,
            function: Arc::new(make),
        }
    }

    /// A function whose batches come when they are asked for, under a name.
    pub fn streaming(
        name: &str,
        make: impl Fn(usize) -> Result<Batches> + Send + Sync + 'static,
    ) -> Self {
        Local {
            ready: false,
            ..Local::holding(name, make)
        }
    }

    /// A function that hands out partitions that are there, under a name.
    pub fn holding(
        name: &str,
        make: impl Fn(usize) -> Result<Batches> + Send + Sync + 'static,
    ) -> Self {
        Local {
            name: Arc::from(name),
            ready: true,
            function: Arc::new(make),
        }
    }
}

impl Local<Map> {
    /// A function of the rows of a partition, under a name, which its errors then name.
    pub fn mapping(
        name: &str,
        map: impl Fn(PartitionRows) -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    ) -> Self {
        let name: Arc<str> = Arc::from(name);
        let own = Arc::clone(&name);
        let map = move |rows: PartitionRows| {
            let idx = rows.idx;
            map(rows).map_err(|source| Error::of_task(task(&own, idx), source))
        };
        Local {
            name,
            ready: false,
            function: Arc::new(map),
        }
    }
}

impl<F: ?Sized> Clone for Local<F> {
    fn clone(&self) -> Self {
        Local {
            name: Arc::clone(&self.name),
            ready: self.ready,
            function: Arc::clone(&self.function),
        }
    }
}

impl<F: ?Sized> fmt::Debug for Local<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl Local<Make> {
    /// A function that makes only partition `idx` of these, as its first.
    #[must_use]
    pub fn one(&self, idx: usize, schema: &SchemaRef) -> Self {
        let (all, schema) = (self.clone(), Arc::clone(schema));
        Local {
            name: Arc::from(format!("partition {idx}")),
            ready: false,
            function: Arc::new(move |_| all.call(idx, &schema)),
        }
    }

    /// The rows of partition `idx`, which must have the columns `schema`.
    ///
    /// # Errors
    ///
    /// [`Error::Task`] with that of the function, and [`Error::Panic`] if it
    /// panics: both name the partition; [`Error::Plan`] if a batch has other columns.
    pub fn call(&self, idx: usize, schema: &SchemaRef) -> Result<Batches> {
        let made = self.guarded(idx, || (self.function)(idx))?;
        let (this, schema) = (self.clone(), Arc::clone(schema));
        Ok(Box::new(
            made.map(move |batch| this.checked(batch?, idx, &schema)),
        ))
    }
}

impl Local<Map> {
    /// What the function makes of a partition; it must have the columns `schema`.
    ///
    /// # Errors
    ///
    /// As [`Local::call`] of a function that makes partitions.
    pub fn apply(&self, rows: PartitionRows, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let idx = rows.idx;
        let made = self.guarded(idx, || (self.function)(rows))?.into_iter();
        made.map(|batch| self.checked(batch, idx, schema)).collect()
    }
}

impl<F: ?Sized> Local<F> {
    /// Whether both are the same function.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.function, &other.function)
    }

    /// Calls foreign code: a panic there is an error that names the partition.
    fn guarded<T>(&self, idx: usize, call: impl FnOnce() -> Result<T>) -> Result<T> {
        Error::guarded(|| task(&self.name, idx), call)
    }

    /// A batch of the declared columns: same names, same types, in the same order.
    /// Nullable ones that it lacks are null.
    fn checked(&self, batch: RecordBatch, idx: usize, schema: &SchemaRef) -> Result<RecordBatch> {
        let is_same = |held: &Field, wanted: &Field| {
            held.name() == wanted.name() && held.data_type() == wanted.data_type()
        };
        let held = batch.schema();
        let mut held = held.fields().iter().peekable();
        let mut lacks = false;
        let mut fits = schema.fields().iter().all(|wanted| {
            let there = held.next_if(|held| is_same(held, wanted)).is_some();
            lacks |= !there;
            there || wanted.is_nullable()
        });
        fits &= held.next().is_none();
        if !fits {
            return Err(Error::plan(format!(
                "{} has the columns ({}), but ({}) were declared",
                task(&self.name, idx),
                columns_text(batch.schema_ref()),
                columns_text(schema)
            )));
        }
        if lacks {
            return fit(&batch, schema);
        }
        batch
            .with_schema(Arc::clone(schema))
            .map_err(|source| Error::external(task(&self.name, idx), source))
    }
}

/// Which call of a function it is, in words.
fn task(name: &str, idx: usize) -> String {
    format!("partition {idx} of {name}")
}

/// Columns in words: their names and types.
pub(crate) fn columns_text(schema: &Schema) -> String {
    let fields = schema.fields().iter();
    let texts = fields.map(|field| format!("{} {}", field.name(), field.data_type()));
    texts.collect::<Vec<_>>().join(", ")
}
