//! A frame: rows that will be, in partitions.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::planned::{Made, Planned};
use super::session::Session;
use super::table::Table;
use crate::error::{Error, Result};
use crate::exec::{self, RunReport};
use crate::expr::{IntoExpr, Projection};
use crate::inspect::{Analyzed, PartitionSizes, PlanGraph};
use crate::partition::By;
use crate::plan::{self, Explained, FileFormat, Logical, Physical, Source};
use crate::sink::{Format, WriteOptions};
use crate::size::ByteSize;

/// Rows in partitions, not computed yet. Calls give new frames and cost
/// nothing; names and types are checked at once.
///
/// ```
/// use std::sync::Arc;
/// use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use windrow::{Session, partition::By};
/// # fn main() -> windrow::Result<()> {
/// let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
/// let batch = RecordBatch::try_from_iter([("n", n)])?;
/// let frame = Session::default().from_batches(batch.schema(), [batch])?;
/// let even = frame.filter("n % 2 = 0")?.repartition(By::Count(2))?;
/// let table = even.compute()?;
/// assert_eq!(table.num_rows(), 5);
/// assert_eq!(table.num_partitions(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DataFrame {
    session: Session,
    plan: Planned,
    /// Columns as known before reading.
    schema: SchemaRef,
}

impl DataFrame {
    pub(super) fn new(session: Session, plan: Logical, schema: SchemaRef) -> Self {
        DataFrame {
            session,
            plan: Planned::new(plan),
            schema,
        }
    }

    /// The frame of one of the partitions that a function makes.
    pub(super) fn one_of(session: &Session, made: &Arc<Made>, idx: usize) -> Self {
        DataFrame {
            session: session.clone(),
            plan: Planned::one_of(made, idx),
            schema: Arc::clone(&made.schema),
        }
    }

    /// The same columns by another plan.
    pub(super) fn with(&self, plan: Logical) -> Self {
        DataFrame::new(self.session.clone(), plan, Arc::clone(&self.schema))
    }

    /// One projection more, checked.
    pub(super) fn project(&self, projection: Projection) -> Result<DataFrame> {
        if projection.has_windows() {
            return self.with_windows(projection);
        }
        let schema = projection.schema(&self.schema)?;
        let plan = Logical::Project {
            input: self.input(),
            projection,
        };
        Ok(DataFrame::new(self.session.clone(), plan, schema))
    }

    /// Columns and types as known before reading.
    pub(super) fn known(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn input(&self) -> Box<Logical> {
        Box::new(self.plan().clone())
    }

    #[cfg(test)]
    pub(super) fn is_planned(&self) -> bool {
        self.plan.is_made()
    }

    /// The plan as built.
    pub fn plan(&self) -> &Logical {
        self.plan.get()
    }

    /// The format of the files that are read; none for rows in memory, or
    /// where inputs have different ones.
    pub fn format(&self) -> Option<FileFormat> {
        let format = |source: &Source| match source {
            Source::Text { format, .. } | Source::Columns { format, .. } => Some(*format),
            Source::Batches(_)
            | Source::Made { .. }
            | Source::Mapped { .. }
            | Source::Folded { .. }
            | Source::Shared(_)
            | Source::Picked { .. }
            | Source::Joined { .. }
            | Source::Sorted { .. }
            | Source::Ahead { .. }
            | Source::Shuffled { .. }
            | Source::Union(_) => None,
        };
        let scans = self.plan().scans();
        let first = format(&scans.first()?.source);
        let same = scans.iter().all(|scan| format(&scan.source) == first);
        first.filter(|_| same)
    }

    /// Columns and types as known before reading. Text may bring more columns
    /// and wider types; what is computed or written has them all.
    ///
    /// # Errors
    ///
    /// None for a frame that could be built.
    pub fn schema(&self) -> Result<SchemaRef> {
        Ok(Arc::clone(&self.schema))
    }

    /// Rows for which `predicate` is true; null is not. It is an
    /// [`crate::expr::Expr`], or text in SQL's expression syntax.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for text that does not parse, an unknown column (with near names),
    /// types that do not meet, or something that is not a condition.
    pub fn filter(&self, predicate: impl IntoExpr) -> Result<DataFrame> {
        let predicate = predicate.into_expr()?;
        let bound = predicate.bind(&self.schema)?;
        if !bound.is_condition() {
            return Err(Error::plan(format!(
                "a filter must be true or false, but {predicate} is {}",
                bound.data_type()
            )));
        }
        Ok(self.with(Logical::Filter {
            input: self.input(),
            predicate,
        }))
    }

    /// The same rows in other partitions; see [`By`]. The source is read once.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a layout of nothing.
    pub fn repartition(&self, by: By) -> Result<DataFrame> {
        by.check()?;
        Ok(self.with(Logical::Repartition {
            input: self.input(),
            by,
        }))
    }

    /// The same rows, in order, in partitions that end once they have `bytes` of Arrow
    /// data; the last may have fewer. Small neighbours are joined and large ones cut as
    /// rows stream by: nothing is held, so partitions are as even as this allows. For a
    /// number of partitions, or even ones, see [`DataFrame::repartition`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::{ByteSize, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..2));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// // A hundred partitions of two rows.
    /// let small = Session::default().from_map(batch.schema(), 100, move |_| Ok(vec![batch.clone()]));
    /// assert_eq!(small.npartitions()?, 100);
    /// assert_eq!(small.coalesce(ByteSize::mib(64))?.npartitions()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for partitions of no bytes.
    pub fn coalesce(&self, bytes: ByteSize) -> Result<DataFrame> {
        By::Bytes(bytes).check()?;
        Ok(self.with(Logical::Coalesce {
            input: self.input(),
            bytes: bytes.bytes(),
        }))
    }

    /// The first rows, in input order; the rest is not read.
    pub fn limit(&self, rows: u64) -> DataFrame {
        self.with(Logical::Limit {
            input: self.input(),
            rows,
        })
    }

    /// The last `rows` rows, in memory. All is read, and no more than these rows
    /// and a chunk or two are held.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::compute`].
    pub fn tail(&self, rows: u64) -> Result<Table> {
        let collected = exec::last(&self.lower(), rows, self.session.context())?;
        Ok(Table::new(collected))
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn lower(&self) -> Physical {
        let optimized = plan::optimize::optimize(self.plan().clone());
        plan::lower(optimized, self.session.settings().blocksize)
    }

    /// The rows, in memory.
    ///
    /// # Errors
    ///
    /// The first error of the input in input order; [`Error::Memory`] if the
    /// rows do not fit the budget.
    pub fn compute(&self) -> Result<Table> {
        let collected = exec::collect(&self.lower(), self.session.context())?;
        Ok(Table::new(collected))
    }

    /// The first `rows` rows, in memory. Walks on past files and partitions that
    /// hold none, and reads no more than it must; on the calling thread, unless
    /// all rows must be read to know which are the first.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::compute`].
    pub fn head(&self, rows: u64) -> Result<Table> {
        let mut context = self.session.context().clone();
        if self.plan().streams() {
            context.settings.threads = 1;
        }
        let collected = exec::collect(&self.limit(rows).lower(), &context)?;
        Ok(Table::new(collected))
    }

    /// The number of rows. Column files without a filter are counted from their footers.
    ///
    /// # Errors
    ///
    /// The first error of the input in input order.
    pub fn count(&self) -> Result<u64> {
        Ok(self.count_with_report()?.0)
    }

    /// The number of rows, and the balance sheet of the lines they came from.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::count`].
    pub fn count_with_report(&self) -> Result<(u64, RunReport)> {
        let estimate = self.plan().estimate();
        if estimate.exact && !self.plan().widens() {
            return Ok((estimate.rows, RunReport::default()));
        }
        let none = self.project(Projection::only(Vec::new()))?;
        exec::count(&none.lower(), self.session.context())
    }

    /// Rows and bytes of each partition, in order; [`PartitionSizes::skew`] judges them.
    ///
    /// # Errors
    ///
    /// The first error of the input in input order.
    pub fn partition_sizes(&self) -> Result<PartitionSizes> {
        let sizes = exec::sizes(&self.lower(), self.session.context())?.0;
        Ok(PartitionSizes(sizes))
    }

    /// The number of partitions. Text and filters must be read to know it.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::partition_sizes`].
    pub fn npartitions(&self) -> Result<usize> {
        Ok(self.partition_sizes()?.len())
    }

    /// Calls `each` with every batch, in input order, and keeps none: for
    /// looking at rows that need not fit in memory. A batch of text has the
    /// columns found so far; later ones may have more, and wider types.
    ///
    /// # Errors
    ///
    /// The first error of the input in input order, or of `each`; a panic of that
    /// is an error that names the partition of the source.
    pub fn for_each_batch(
        &self,
        mut each: impl FnMut(RecordBatch) -> Result<()> + Send,
    ) -> Result<RunReport> {
        let mut each = |batch| Error::guarded(|| "for_each_batch".to_owned(), || each(batch));
        Ok(exec::visit(&self.lower(), self.session.context(), &mut each)?.1)
    }

    /// Columns and types of all rows: what writing them would give. Reads text
    /// whole, since a column may appear in the last record.
    ///
    /// # Errors
    ///
    /// The first error of the input in input order.
    pub fn full_schema(&self) -> Result<SchemaRef> {
        if !self.plan().widens() {
            return self.schema();
        }
        let (schema, _) = exec::visit(&self.lower(), self.session.context(), &mut |_| Ok(()))?;
        Ok(schema)
    }

    /// What will run: the plan as built, after the rules, and its stages, with
    /// estimated rows and bytes. Nothing is read.
    pub fn explain(&self) -> Explained {
        plan::explain(self.plan(), self.session.settings().blocksize)
    }

    /// Runs the plan, keeps no row, and tells what came of each stage: rows and bytes
    /// beside those that [`explain`](Self::explain) expects, what was passed over,
    /// which keys were hot, shuffles, memory and spilled runs, and wall times.
    ///
    /// It takes as long as [`partition_sizes`](Self::partition_sizes). Counts are the same
    /// in every run under the same settings, but for stages in front of a limit, of which
    /// timing decides how far they got, and for memory and what was spilled.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::partition_sizes`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let ran = frame.filter("n > 3")?.explain_analyze()?;
    /// assert!(ran.to_string().contains("rows: 10 in, 4 filtered out, 6 out"));
    /// assert_eq!(ran.stages[0].ran.as_ref().unwrap().rows_out, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn explain_analyze(&self) -> Result<Analyzed> {
        let physical = self.lower();
        let (sizes, report) = exec::sizes(&physical, self.session.context())?;
        Ok(Analyzed::new(self.explain(), &physical, &sizes, report))
    }

    /// The plan after the rules as a picture: SVG, or DOT for Graphviz. Nothing is read.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let picture = frame.filter("n > 3")?.limit(2).visualize();
    /// assert!(picture.svg().contains("limit 2"));
    /// assert!(picture.dot().contains("n1 -> n0"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn visualize(&self) -> PlanGraph {
        PlanGraph::new(&self.explain())
    }

    /// Writes the rows. The output is complete or not there at all.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a target that is used, or lies in the input;
    /// [`Error::Plan`] for codecs and filters of unknown columns, with near names;
    /// [`Error::Io`] naming the file and what was being done; the first error of the input.
    pub fn write(&self, options: &WriteOptions) -> Result<RunReport> {
        options.check_columns(&self.schema)?;
        exec::write(&self.lower(), options, self.session.context())
    }

    /// Writes Parquet files into a new folder: zstd, encodings tuned per column.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::write`].
    pub fn to_parquet(&self, dir: impl AsRef<Path>) -> Result<RunReport> {
        self.write(&WriteOptions::new(dir.as_ref()))
    }

    /// Writes JSON Lines into a new folder, not compressed; see
    /// [`DataFrame::write`] for codecs. JSON has no NaN and no infinity: they become null.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::write`].
    pub fn to_json(&self, dir: impl AsRef<Path>) -> Result<RunReport> {
        self.write(&WriteOptions {
            format: Format::Json,
            ..WriteOptions::new(dir.as_ref())
        })
    }

    /// Writes CSV files into a new folder, each with a header; see
    /// [`DataFrame::write`] and [`crate::CsvStyle`] for codecs, delimiters, the
    /// text of nulls, and columns of structs and lists. NaN and infinity are written so, and
    /// read back as numbers where [`ReadOptions::schema`](crate::ReadOptions::schema) says so.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::write`]; [`Error::Plan`] for a column of a type that CSV has no form for.
    pub fn to_csv(&self, dir: impl AsRef<Path>) -> Result<RunReport> {
        self.write(&WriteOptions {
            format: Format::Csv,
            ..WriteOptions::new(dir.as_ref())
        })
    }

    /// Writes Arrow IPC files into a new folder.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::write`].
    pub fn to_ipc(&self, dir: impl AsRef<Path>) -> Result<RunReport> {
        self.write(&WriteOptions {
            format: Format::Ipc,
            ..WriteOptions::new(dir.as_ref())
        })
    }

    /// The rows as batches of one schema, all partitions in order.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::compute`].
    pub fn to_batches(&self) -> Result<Vec<RecordBatch>> {
        Ok(self.compute()?.into_batches())
    }
}

impl fmt::Debug for DataFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFrame")
            .field("plan", self.plan())
            .finish()
    }
}

impl fmt::Display for DataFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.schema() {
            Ok(schema) => {
                for field in schema.fields() {
                    writeln!(f, "{}: {}", field.name(), field.data_type())?;
                }
                let estimate = self.plan().estimate();
                write!(
                    f,
                    "{}, {}, partitioning {}",
                    estimate.rows_text(),
                    self.plan().partition_count(),
                    self.plan().partitioning()
                )
            }
            Err(error) => write!(f, "{error}"),
        }
    }
}
