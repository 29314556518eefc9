//! Partition by partition: made by functions, given to functions, kept.
//!
//! In:  functions over the rows of one partition.
//! Out: frames, and what folding partitions gives.
//!
//! Functions run on any thread of a run, several at once, in no given order;
//! what they give is put in the order of their partitions. Computing another
//! frame inside one is fine, on a single thread as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::dataframe::DataFrame;
use super::planned::Made;
use super::session::{Session, conforming};
use crate::error::Result;
use crate::exec;
use crate::partition::{Partitioning, batch_bytes};
use crate::plan::{Estimate, Layout, Local, Logical, Make, PartitionRows, Source};

impl Session {
    /// A frame whose partitions a function makes when their turn comes: `make`
    /// is given the place of each, from 0, and gives its batches, which have the
    /// columns `schema`. A partition without rows is none.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// use windrow::arrow::schema::{DataType, Field, Schema};
    /// use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    /// let columns = Arc::clone(&schema);
    /// let frame = Session::default().from_map(schema, 3, move |idx| {
    ///     let n: ArrayRef = Arc::new(Int64Array::from(vec![idx as i64; 2]));
    ///     Ok(vec![RecordBatch::try_new(Arc::clone(&columns), vec![n])?])
    /// });
    /// let table = frame.compute()?;
    /// assert_eq!((table.num_rows(), table.num_partitions()), (6, 3));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_map(
        &self,
        schema: SchemaRef,
        n_partitions: usize,
        make: impl Fn(usize) -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    ) -> DataFrame {
        let make = Local::making("from_map", make);
        let source = Source::Made { make, n_partitions };
        self.scan(source, schema, Estimate::default())
    }

    /// A frame of rows in memory, in the partitions in which they are given, without a
    /// copy. One without rows is none, as everywhere: Dask keeps it as an empty partition.
    ///
    /// # Errors
    ///
    /// As [`Session::from_batches`].
    pub fn from_partitions(
        &self,
        schema: SchemaRef,
        partitions: Vec<Vec<RecordBatch>>,
    ) -> Result<DataFrame> {
        let partitions = partitions.into_iter();
        let partitions = partitions.map(|batches| conforming(&schema, batches));
        let mut partitions = partitions.collect::<Result<Vec<_>>>()?;
        let batches = || partitions.iter().flatten();
        let estimate = Estimate {
            rows: batches().map(|batch| batch.num_rows() as u64).sum(),
            bytes: batches().map(batch_bytes).sum(),
            exact: true,
        };
        partitions.retain(|batches| batches.iter().any(|batch| batch.num_rows() > 0));
        let n_partitions = partitions.len();
        let make = Local::holding("from_partitions", move |idx| {
            Ok(Box::new(partitions[idx].clone().into_iter().map(Ok)))
        });
        let source = Source::Made { make, n_partitions };
        Ok(self.scan(source, schema, estimate))
    }
}

impl DataFrame {
    /// What `map` makes of each partition: it is given the rows of one and gives
    /// batches of the columns `schema`, which is checked: their names, order and
    /// types, where nullable columns that a batch lacks are null. Partitions keep their
    /// order and bounds; one that becomes empty is none. The rows of a partition are held while it is worked on.
    ///
    /// Rows that are given have all columns of this frame's [`schema`](DataFrame::schema),
    /// nulls where a partition of text has none of them, and in wider types where
    /// the schema knows of such; text may bring more columns behind those.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// use windrow::arrow::schema::{DataType, Field, Schema};
    /// use windrow::{By, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let schema = Arc::new(Schema::new(vec![Field::new("rows", DataType::Int64, true)]));
    /// let columns = Arc::clone(&schema);
    /// let counts = frame.repartition(By::Rows(4))?.map_partitions(schema, move |partition| {
    ///     let rows: i64 = partition.batches.iter().map(|batch| batch.num_rows() as i64).sum();
    ///     let rows: ArrayRef = Arc::new(Int64Array::from(vec![rows]));
    ///     Ok(vec![RecordBatch::try_new(Arc::clone(&columns), vec![rows])?])
    /// });
    /// assert_eq!(counts.filter("rows = 4")?.count()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// An error of `map` ([`crate::Error::Task`]), a panic of it and batches of other
    /// columns end the run with an error that names the partition.
    pub fn map_partitions(
        &self,
        schema: SchemaRef,
        map: impl Fn(PartitionRows) -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    ) -> DataFrame {
        self.map_named("map_partitions", schema, map)
    }

    /// As [`DataFrame::map_partitions`], under the name that plans and errors show.
    pub(super) fn map_named(
        &self,
        name: &str,
        schema: SchemaRef,
        map: impl Fn(PartitionRows) -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    ) -> DataFrame {
        let known = Arc::clone(self.known());
        let plan = Logical::MapPartitions {
            input: self.input(),
            map: Local::mapping(name, move |part| map(part.with_columns_of(&known)?)),
            schema: Arc::clone(&schema),
        };
        DataFrame::new(self.session().clone(), plan, schema)
    }

    /// A frame of one partition, by its place from 0. What lies behind it is not
    /// read when it is computed; of those that a function makes, or that are kept, no
    /// other one is made, and empty ones count.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::{By, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let even = frame.repartition(By::Rows(4))?;
    /// assert_eq!(even.get_partition(2).count()?, 2);
    /// let error = even.get_partition(3).compute().unwrap_err();
    /// assert_eq!(error.to_string(), "there is no partition 3: there are 3, counted from 0");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// That there is no such partition is an error of the run.
    pub fn get_partition(&self, idx: usize) -> DataFrame {
        if let Some((make, n_partitions)) = self.made()
            && idx < n_partitions
        {
            return DataFrame::one_of(self.session(), &self.making(make), idx);
        }
        self.with(Logical::Partition {
            input: self.input(),
            idx,
        })
    }

    /// A frame for each partition, in order. Partitions of functions, and those
    /// that are kept by [`DataFrame::persist`], are handed out as they are, and
    /// nothing is computed. Others are computed now and kept, so that the input
    /// is read once, whatever is done with its partitions.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::persist`].
    pub fn partitions(&self) -> Result<Vec<DataFrame>> {
        let Some((make, n_partitions)) = self.made() else {
            let kept = self.persist()?;
            return kept.partitions();
        };
        let made = self.making(make);
        Ok((0..n_partitions)
            .map(|idx| DataFrame::one_of(self.session(), &made, idx))
            .collect())
    }

    /// What handles on the partitions that a function makes share.
    fn making(&self, make: &Local<Make>) -> Arc<Made> {
        Arc::new(Made {
            make: make.clone(),
            schema: Arc::clone(self.known()),
            lies: self.plan().partitioning(),
        })
    }

    /// How rows lie once they are kept. A partition ends where one was read, and
    /// those by key hold their rows as long as nothing was put together.
    fn kept_lying(&self) -> Partitioning {
        match self.plan().partitioning() {
            by_key @ Partitioning::Hash { .. } if self.lower().layout == Layout::Given => by_key,
            sorted @ Partitioning::Range { .. } => sorted,
            _ => Partitioning::Unknown,
        }
    }

    /// The function that makes the partitions, if they are not changed after that.
    fn made(&self) -> Option<(&Local<Make>, usize)> {
        match self.plan() {
            Logical::Scan(scan) => match &scan.source {
                Source::Made { make, n_partitions } => Some((make, *n_partitions)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Makes a value of each partition and combines the values in the order of
    /// the partitions; none if there are no rows.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::{By, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let sizes = frame.repartition(By::Rows(4))?.reduce_partitions(
    ///     |partition| Ok(vec![partition.batches.iter().map(|batch| batch.num_rows()).sum::<usize>()]),
    ///     |mut all, mut more| {
    ///         all.append(&mut more);
    ///         all
    ///     },
    /// )?;
    /// assert_eq!(sizes, Some(vec![4, 4, 2]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of the input in input order; [`crate::Error::Task`] with one of
    /// `fold`, naming the partition.
    pub fn reduce_partitions<T: Send + 'static>(
        &self,
        fold: impl Fn(PartitionRows) -> Result<T> + Send + Sync + 'static,
        combine: impl FnMut(T, T) -> T,
    ) -> Result<Option<T>> {
        let values = Arc::new(Mutex::new(BTreeMap::new()));
        let folded = Arc::clone(&values);
        let known = Arc::clone(self.known());
        let map = move |partition: PartitionRows| {
            let idx = partition.idx;
            let value = fold(partition.with_columns_of(&known)?)?;
            let mut values = folded.lock().unwrap_or_else(PoisonError::into_inner);
            values.insert(idx, value);
            Ok(Vec::new())
        };
        let plan = Logical::MapPartitions {
            input: self.input(),
            map: Local::mapping("reduce_partitions", map),
            schema: Arc::new(Schema::empty()),
        };
        let nothing = DataFrame::new(self.session().clone(), plan, Arc::new(Schema::empty()));
        exec::count(&nothing.lower(), self.session().context())?;
        let values = std::mem::take(&mut *values.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(values.into_values().reduce(combine))
    }

    /// The same frame, computed now and kept: whatever is done with it reads the
    /// kept rows, in the same partitions, with the index they had or the keys that they
    /// were shuffled by. They count
    /// against the memory budget and are spilled past half of it; dropping the last
    /// frame that has them frees memory and files.
    ///
    /// # Errors
    ///
    /// The first error of the input in input order; [`crate::Error::Io`] if rows must be
    /// spilled and cannot.
    pub fn persist(&self) -> Result<DataFrame> {
        let kept = exec::keep(&self.lower(), self.session().context())?;
        let schema = kept.schema()?;
        let estimate = Estimate {
            rows: kept.rows,
            bytes: kept.bytes,
            exact: true,
        };
        let n_partitions = kept.n_partitions();
        let kept = Arc::new(kept);
        let make = Local::holding("persist", move |idx| kept.read(idx));
        let source = Source::Made { make, n_partitions };
        let session = self.session();
        Ok(session.scan_lying(source, schema, estimate, self.kept_lying()))
    }
}
