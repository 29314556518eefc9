//! What frames share: settings, a way to stop, a way to watch.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, SchemaRef};

use super::dataframe::DataFrame;
use super::inputs::{IntoInputs, expand};
use super::look;
use super::sort;
use crate::cancel::Cancel;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::exec::{Context, Progress};
use crate::io::Reads;
use crate::partition::{Partitioning, batch_bytes};
use crate::plan::{
    ColumnOptions, Estimate, FileFormat, Logical, ReadOptions, Scan, Source, columns_text,
};
use crate::size::ByteSize;

/// Reads inputs into frames, which keep its settings. Clones share.
///
/// ```
/// use windrow::{ByteSize, Session, Settings};
/// let session = Session::new(Settings { memory: ByteSize::mib(512), ..Settings::default() });
/// assert_eq!(session.settings().memory, ByteSize::mib(512));
/// ```
#[derive(Debug, Clone)]
pub struct Session {
    context: Arc<Context>,
}

/// The session of the free functions.
static DEFAULT: OnceLock<Session> = OnceLock::new();

impl Default for Session {
    fn default() -> Self {
        Session::new(Settings::default())
    }
}

impl Session {
    /// A session with these settings.
    pub fn new(settings: Settings) -> Self {
        Session {
            context: Arc::new(Context::new(settings)),
        }
    }

    /// For tests: operators may hold no more than `budget`, which settings would
    /// refuse as too small for a run.
    #[doc(hidden)]
    #[must_use]
    pub fn with_budget(self, budget: ByteSize) -> Self {
        Session {
            context: Arc::new(Context {
                budget: Some(budget),
                ..Context::clone(&self.context)
            }),
        }
    }

    /// A session with settings from `WINDROW_*` variables.
    ///
    /// # Errors
    ///
    /// As [`Settings::from_env`].
    pub fn from_env() -> Result<Self> {
        Ok(Session::new(Settings::from_env()?))
    }

    /// The session of the free functions, such as [`crate::read_json`]: one for the
    /// process, with one limit on the memory of kept rows. Its settings come from `WINDROW_*` variables when it is first
    /// asked for, unless [`Session::set_default`] has given it others before.
    ///
    /// ```
    /// use windrow::{Session, Settings};
    /// # fn main() -> windrow::Result<()> {
    /// let settings = Settings { threads: 2, ..Settings::from_env()? };
    /// Session::set_default(Session::new(settings))?;
    /// assert_eq!(Session::default_session()?.settings().threads, 2);
    /// // The free functions use it from now on; it is set once.
    /// assert!(Session::set_default(Session::default()).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Settings::from_env`], again on each call until the variables are right.
    pub fn default_session() -> Result<Session> {
        let session = match DEFAULT.get() {
            Some(session) => session,
            None => {
                let session = Session::from_env()?;
                DEFAULT.get_or_init(|| session)
            }
        };
        // Whoever asks for it counts what it reads by itself.
        Ok(Session {
            context: Arc::new(Context {
                progress: Arc::new(Progress::default()),
                ..(*session.context).clone()
            }),
        })
    }

    /// Makes `session` that of the free functions. Works once in a process, and
    /// only before the first of them was called.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if there is a default session already.
    pub fn set_default(session: Session) -> Result<()> {
        DEFAULT.set(session).map_err(|_| {
            Error::config(
                "session",
                "the default session is in use already; set it before the first read",
            )
        })
    }

    /// The same session, stopped by `cancel`.
    #[must_use]
    pub fn with_cancel(self, cancel: Cancel) -> Self {
        Session {
            context: Arc::new(Context {
                cancel,
                ..(*self.context).clone()
            }),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.context.settings
    }

    /// Counters of the runs of this session.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.context.progress
    }

    /// How often Parquet and Arrow IPC files were opened in this session, and
    /// how many bytes were read of them.
    pub fn reads(&self) -> &Reads {
        self.context.reads()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Reads JSON Lines, or files that hold one array of objects; plain, gzip
    /// (any number of members) or zstd, told apart by their first bytes.
    ///
    /// Lazy: only the first records of a spread of files are read now, for
    /// the names and types that plans are checked against. Keys and types that
    /// come later are kept, too. Rows keep the order of files and lines; files
    /// of one glob or folder are read in byte order of their paths.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] naming a missing or unreadable file, [`Error::Config`] for
    /// options that contradict each other, [`Error::Corrupt`] and
    /// [`Error::Decode`] where already the first records cannot be read.
    pub fn read_json(&self, inputs: impl IntoInputs, options: ReadOptions) -> Result<DataFrame> {
        self.text(FileFormat::Json, inputs, options)
    }

    /// Reads CSV and its relatives; see [`crate::io::csv`] for what each text
    /// means. Otherwise as [`Session::read_json`]: any codec, one pass, columns
    /// of all files united by name.
    ///
    /// ```
    /// use windrow::{CsvOptions, ReadOptions, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("prices.csv");
    /// std::fs::write(&path, "id;name;price\n007;\"Bond; James\";1.50\n008;NA;2.25\n").unwrap();
    /// let options = ReadOptions {
    ///     csv: CsvOptions { nulls: vec!["NA".into()], ..CsvOptions::default() },
    ///     ..ReadOptions::default()
    /// };
    /// let table = Session::default().read_csv(path.to_str().unwrap(), options)?.compute()?;
    /// let types: Vec<_> = table.schema().fields().iter().map(|f| f.data_type().to_string()).collect();
    /// assert_eq!(types, ["Utf8", "Utf8", "Float64"]); // 007 is no number that comes back
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Session::read_json`].
    pub fn read_csv(&self, inputs: impl IntoInputs, options: ReadOptions) -> Result<DataFrame> {
        self.text(FileFormat::Csv, inputs, options)
    }

    /// Reads lines of text into one column, `line`; a blank line is an empty
    /// text. [`ReadOptions::include_path`] and [`ReadOptions::include_byte`] add
    /// columns that tell where each came from. A line that is not UTF-8 is bad.
    ///
    /// # Errors
    ///
    /// As [`Session::read_json`].
    pub fn read_text(&self, inputs: impl IntoInputs, options: ReadOptions) -> Result<DataFrame> {
        self.text(FileFormat::Text, inputs, options)
    }

    /// Reads records of text.
    pub(super) fn text(
        &self,
        format: FileFormat,
        inputs: impl IntoInputs,
        options: ReadOptions,
    ) -> Result<DataFrame> {
        options.check()?;
        options.check_format(format)?;
        let inputs: Arc<[String]> = expand(inputs.into_inputs())?.into();
        let (look, estimate) = look::text(format, &inputs, &options, self.context())?;
        let schema = look::schema(&look, &options);
        Ok(self.scan(
            Source::Text {
                format,
                inputs,
                options: Arc::new(options),
                look: Arc::new(look),
            },
            schema,
            estimate,
        ))
    }

    /// Reads Parquet files. Footers are read now, rows later. Columns of all
    /// files are united by name, in order of first appearance; what a file does
    /// not have is null. Folders named like `day=2026-01-05` give columns
    /// behind them.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] naming a file that is not Parquet, is damaged or
    /// encrypted; [`Error::Plan`] if two files have types that do not meet.
    pub fn read_parquet(&self, inputs: impl IntoInputs) -> Result<DataFrame> {
        self.read_parquet_with(inputs, ColumnOptions::default())
    }

    /// Reads Parquet files as [`Session::read_parquet`] does, in another way.
    ///
    /// ```
    /// use windrow::{ColumnOptions, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let folder = dir.path().join("logs");
    /// # let json = dir.path().join("a.json");
    /// # std::fs::write(&json, "{\"day\":\"2026-01-05\",\"n\":1}\n{\"day\":\"2026-01-06\",\"n\":2}\n").unwrap();
    /// # let options = windrow::WriteOptions { partition_on: vec!["day".into()], ..windrow::WriteOptions::new(&folder) };
    /// # windrow::read_json(&json)?.write(&options)?;
    /// // logs/day=2026-01-05/…, logs/day=2026-01-06/…
    /// let options = ColumnOptions { include_path: Some("file".into()), ..ColumnOptions::default() };
    /// let logs = Session::default().read_parquet_with(&folder, options)?;
    /// let names: Vec<_> = logs.schema()?.fields().iter().map(|f| f.name().clone()).collect();
    /// assert_eq!(names, ["n", "day", "file"]);
    /// let table = logs.filter("day >= '2026-01-06'")?.compute()?; // opens one of the two files
    /// assert_eq!((table.num_rows(), table.report().skipped_files), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Session::read_parquet`]; [`Error::Config`] if the column for the
    /// path has the name of another one.
    pub fn read_parquet_with(
        &self,
        inputs: impl IntoInputs,
        options: ColumnOptions,
    ) -> Result<DataFrame> {
        if options.memory_map {
            return Err(Error::config(
                "memory_map",
                "it is for Arrow IPC files: Parquet is decoded from what is read",
            ));
        }
        self.columns(inputs, FileFormat::Parquet, options)
    }

    /// Reads Arrow IPC files, and streams that lie in files; compressed or not.
    /// As [`Session::read_parquet`].
    ///
    /// # Errors
    ///
    /// As [`Session::read_parquet`].
    pub fn read_ipc(&self, inputs: impl IntoInputs) -> Result<DataFrame> {
        self.read_ipc_with(inputs, ColumnOptions::default())
    }

    /// Reads Arrow IPC files in another way. As [`Session::read_parquet_with`].
    ///
    /// # Errors
    ///
    /// As [`Session::read_parquet_with`].
    pub fn read_ipc_with(
        &self,
        inputs: impl IntoInputs,
        options: ColumnOptions,
    ) -> Result<DataFrame> {
        self.columns(inputs, FileFormat::Ipc, options)
    }

    fn columns(
        &self,
        inputs: impl IntoInputs,
        format: FileFormat,
        options: ColumnOptions,
    ) -> Result<DataFrame> {
        let inputs: Arc<[String]> = expand(inputs.into_inputs())?.into();
        let look = look::columns(&inputs, format, &options, self.context())?;
        let sorted_by = sort::written_sorted(&inputs, &look.schema)?;
        let lies = sorted_by.map_or(Partitioning::Unknown, |key| Partitioning::Range { key });
        let source = Source::Columns {
            inputs,
            format,
            options: Arc::new(options),
            folders: look.folders.into(),
        };
        Ok(self.scan_lying(source, look.schema, look.estimate, lies))
    }

    /// Reads files of any known format, told by their content; all must be of
    /// one. Lines of text are only read when asked for. Of `options`, only
    /// [`ReadOptions::include_path`] applies to files of columns.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming two files of different formats, before anything
    /// is read; else as the reader of that format.
    pub fn read(&self, inputs: impl IntoInputs, options: ReadOptions) -> Result<DataFrame> {
        let inputs = expand(inputs.into_inputs())?;
        match look::format(&inputs, self.context())? {
            format if format.is_text() => self.text(format, inputs, options),
            format => self.columns(inputs, format, (&options).into()),
        }
    }

    /// A frame of rows in memory, without a copy. Batches must have the columns `schema`:
    /// the same names and types in the same order.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if a batch has other columns, or two have one name;
    /// [`Error::External`] for nulls in a column that `schema` says has none.
    pub fn from_batches(
        &self,
        schema: SchemaRef,
        batches: impl IntoIterator<Item = RecordBatch>,
    ) -> Result<DataFrame> {
        let batches = conforming(&schema, batches)?;
        let estimate = Estimate {
            rows: batches.iter().map(|batch| batch.num_rows() as u64).sum(),
            bytes: batches.iter().map(batch_bytes).sum(),
            exact: true,
        };
        Ok(self.scan(Source::Batches(Arc::new(batches)), schema, estimate))
    }

    pub(super) fn scan(&self, source: Source, schema: SchemaRef, estimate: Estimate) -> DataFrame {
        self.scan_lying(source, schema, estimate, Partitioning::Unknown)
    }

    /// The same, of rows of which more is known.
    pub(super) fn scan_lying(
        &self,
        source: Source,
        schema: SchemaRef,
        estimate: Estimate,
        lies: Partitioning,
    ) -> DataFrame {
        DataFrame::new(
            self.clone(),
            Logical::Scan(Box::new(Scan {
                source,
                schema: Arc::clone(&schema),
                columns: None,
                predicate: None,
                estimate,
                lies,
            })),
            schema,
        )
    }
}

/// The batches with exactly the columns `schema`. What they say of their columns beside
/// names and types (whether there are nulls, metadata) gives way to what `schema` says.
pub(super) fn conforming(
    schema: &SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<Vec<RecordBatch>> {
    let mut names = BTreeSet::new();
    let mut fields = schema.fields().iter();
    if let Some(twice) = fields.find(|field| !names.insert(field.name())) {
        return Err(Error::plan(format!(
            "there are two columns {:?}; rename one of them",
            twice.name()
        )));
    }
    let batches = batches.into_iter();
    batches.map(|batch| conform(batch, schema)).collect()
}

fn conform(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let is_same = |(own, wanted): (&FieldRef, &FieldRef)| -> bool {
        own.name() == wanted.name() && own.data_type() == wanted.data_type()
    };
    let own = batch.schema_ref().fields();
    if own.len() != schema.fields().len() || !own.iter().zip(schema.fields()).all(is_same) {
        return Err(Error::plan(format!(
            "a batch has the columns ({}), not ({})",
            columns_text(batch.schema_ref()),
            columns_text(schema)
        )));
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &rows)
        .map_err(|source| Error::external("taking a batch into a frame", source))
}
