//! Files as they lie: how even they are, and which keys are hot.
//!
//! In:  inputs.
//! Out: a [`Skew`] with one partition per file.
//!
//! Of Parquet only footers are read, unless keys are asked for. Text is decoded
//! once, in parallel, and nothing of it is kept.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;

use super::dataframe::DataFrame;
use super::inputs::IntoInputs;
use super::look;
use super::session::Session;
use crate::error::{Error, Result};
use crate::inspect::{KeyCounter, PartitionSize, Skew, footers};
use crate::io::{self, SourceFile};
use crate::partition::batch_bytes;
use crate::plan::{FileFormat, ReadOptions};

/// What to look at beside sizes.
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// A column or an expression whose hottest keys are wanted. Default: none.
    pub by: Option<String>,
    /// How many of them. Default 10.
    pub top: usize,
    /// The format. Default: told by the content of the first file.
    pub format: Option<FileFormat>,
    /// How text is read.
    pub read: ReadOptions,
}

impl Default for InspectOptions {
    fn default() -> Self {
        InspectOptions {
            by: None,
            top: 10,
            format: None,
            read: ReadOptions::default(),
        }
    }
}

/// The column that tells the meter which file a row came from.
const FILE_COLUMN: &str = "\u{1}windrow file";

/// Sizes of files whose rows come by in input order.
struct Meter {
    keys: Option<KeyCounter>,
    bytes: HashMap<String, u64>,
}

impl Meter {
    /// Takes rows of one file, whose path stands in the last column.
    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(last) = batch
            .num_columns()
            .checked_sub(1)
            .filter(|_| batch.num_rows() > 0)
        else {
            return Ok(());
        };
        let paths = batch.column(last).as_dictionary_opt::<Int32Type>();
        let path = paths.and_then(|paths| {
            let names = paths.values().as_string_opt::<i32>()?;
            paths.key(0).map(|key| names.value(key).to_owned())
        });
        let path =
            path.ok_or_else(|| Error::internal("rows of a text file came without its path"))?;
        let rows = batch.project(&(0..last).collect::<Vec<_>>())?;
        *self.bytes.entry(path).or_default() += batch_bytes(&rows);
        match &mut self.keys {
            Some(keys) => keys.push(&rows),
            None => Ok(()),
        }
    }
}

impl Session {
    /// How even files are: each is a partition of the report.
    ///
    /// # Errors
    ///
    /// The first error of the input in input order; [`Error::Plan`] if `by`
    /// names an unknown column.
    ///
    /// ```
    /// # fn main() -> windrow::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # std::fs::write(dir.path().join("a.json"), "{\"user\":\"ann\"}\n{\"user\":\"bob\"}\n{\"user\":\"ann\"}\n").unwrap();
    /// # std::fs::write(dir.path().join("b.json"), "{\"user\":\"ann\"}\n").unwrap();
    /// use windrow::{InspectOptions, Session};
    /// let options = InspectOptions { by: Some("user".into()), ..InspectOptions::default() };
    /// let skew = Session::default().inspect(dir.path(), &options)?;
    /// assert_eq!(skew.rows.balance, 1.5);
    /// assert_eq!(skew.hot.unwrap().keys[0].rows, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn inspect(&self, inputs: impl IntoInputs, options: &InspectOptions) -> Result<Skew> {
        let inputs = inputs.into_inputs();
        let format = match options.format {
            Some(format) => format,
            None => look::format(&inputs)?,
        };
        let skew = match format {
            FileFormat::Json => self.inspect_text(&inputs, options)?,
            FileFormat::Parquet => self.inspect_parquet(&inputs, options)?,
            FileFormat::Ipc => self.inspect_ipc(&inputs, options)?,
        };
        Ok(skew.with_inputs(&inputs))
    }

    fn inspect_text(&self, inputs: &[String], options: &InspectOptions) -> Result<Skew> {
        let read = ReadOptions {
            include_path: Some(FILE_COLUMN.into()),
            ..options.read.clone()
        };
        let frame = self.read_json(inputs, read)?;
        let mut meter = Meter {
            keys: counter(&frame, options)?,
            bytes: HashMap::new(),
        };
        let report = frame.for_each_batch(|batch| meter.push(&batch))?;
        let mut stored: HashMap<String, u64> = HashMap::new();
        for file in io::list(inputs)? {
            let file = file?;
            stored.insert(file.path, file.bytes);
        }
        let sizes = report.inputs.into_iter().map(|input| PartitionSize {
            rows: input.rows - input.filtered,
            bytes: meter.bytes.get(&input.path).copied().unwrap_or(0),
            stored_bytes: stored.get(&input.path).copied().unwrap_or(0),
            path: input.path,
        });
        Ok(with_keys(
            Skew::new(sizes.collect()),
            meter.keys,
            options.top,
        ))
    }

    fn inspect_parquet(&self, inputs: &[String], options: &InspectOptions) -> Result<Skew> {
        let mut estimated = false;
        let mut sizes = Vec::new();
        for file in io::list(inputs)? {
            self.context().cancel.check()?;
            let file = file?;
            let input = io::ParquetInput::open(file.location())?;
            let size = footers::footer_size(input.metadata());
            estimated |= size.estimated;
            sizes.push(PartitionSize {
                path: file.path,
                rows: size.rows,
                bytes: size.bytes,
                stored_bytes: file.bytes,
            });
        }
        let mut keys = None;
        if options.by.is_some() {
            let frame = self.read_parquet(inputs)?;
            if let Some(keys) = keys.insert(counter(&frame, options)?) {
                let columns = frame.select(keys.root_columns())?;
                columns.for_each_batch(|batch| keys.push(&batch))?;
            }
        }
        let keys = keys.flatten();
        Ok(with_keys(Skew::new(sizes), keys, options.top).with_bytes_estimated(estimated))
    }

    fn inspect_ipc(&self, inputs: &[String], options: &InspectOptions) -> Result<Skew> {
        let mut keys = match &options.by {
            Some(_) => counter(&self.read_ipc(inputs)?, options)?,
            None => None,
        };
        let files: Vec<SourceFile> = io::list(inputs)?.collect::<Result<_>>()?;
        let mut sizes = Vec::with_capacity(files.len());
        for file in files {
            let mut size = PartitionSize {
                path: file.path,
                rows: 0,
                bytes: 0,
                stored_bytes: file.bytes,
            };
            self.read_ipc(size.path.as_str())?.for_each_batch(|batch| {
                size.rows += batch.num_rows() as u64;
                size.bytes += batch_bytes(&batch);
                keys.as_mut().map_or(Ok(()), |keys| keys.push(&batch))
            })?;
            sizes.push(size);
        }
        Ok(with_keys(Skew::new(sizes), keys, options.top))
    }
}

/// Counts the keys that are asked for, if any.
fn counter(frame: &DataFrame, options: &InspectOptions) -> Result<Option<KeyCounter>> {
    let Some(by) = &options.by else {
        return Ok(None);
    };
    let schema = frame.schema()?;
    KeyCounter::bind(by, &schema).map(Some)
}

fn with_keys(skew: Skew, keys: Option<KeyCounter>, top: usize) -> Skew {
    match keys {
        Some(keys) => skew.with_hot_keys(keys.report(top)),
        None => skew,
    }
}
