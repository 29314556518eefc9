//! How much a run would be, told from a sample of its input.
//!
//! In:  a frame over files, and how it would be written.
//! Out: rows, bytes, memory and time, each with the interval it is expected in.
//!
//! The sample is run for good, into a folder that is removed: what is scaled up
//! was measured. Of text the heads of eight files all over the list are taken,
//! 4 MiB of each, however large the input is; of column files the first rows, as their footers
//! tell how many there are. Files that fit the sample whole are not estimated.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::dataframe::DataFrame;
use super::estimate_sample::Sample;
use crate::error::{Error, Result};
use crate::exec;
use crate::io::Encoding;
use crate::plan::{FileFormat, OnBadRecord, Physical, ReadOptions, Source, Step};
use crate::sink::{Existing, WriteOptions};
use crate::size::ByteSize;

/// Rows of column files that are taken.
const SAMPLE_ROWS: u64 = 100_000;

/// A figure, and the interval that it is expected in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Between<T> {
    /// It is expected to be no less.
    pub low: T,
    /// The best guess.
    pub estimate: T,
    /// It is expected to be no more.
    pub high: T,
}

/// A column as far as the sample shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EstimatedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// How much a run would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Input files.
    pub files: u64,
    /// Their stored bytes.
    pub stored_bytes: u64,
    /// Files that the sample is of.
    pub sampled_files: u64,
    /// Stored bytes that were read for it.
    pub sampled_bytes: u64,
    /// Whether the sample was all there is: then rows and bytes are no estimates.
    pub exact: bool,
    /// How sure the intervals are, in words.
    pub confidence: String,
    /// The columns of the sample; columns and wider types may come later.
    pub schema: Vec<EstimatedColumn>,
    /// Rows that would be written.
    pub rows: Between<u64>,
    /// Bytes of text, decompressed; of column files those that are stored.
    pub text_bytes: Between<u64>,
    /// Bytes of all part files.
    pub output_bytes: Between<u64>,
    /// The most that would be reserved of the memory budget; its end is that budget,
    /// unless the sample was all there is.
    pub peak_bytes: Between<u64>,
    /// Wall time on this machine, from that of the sample.
    pub seconds: Between<f64>,
}

impl DataFrame {
    /// How much writing this frame would be, told from a sample; `options` says
    /// how it would be written, its folder is of no interest and not touched.
    ///
    /// ```
    /// # use windrow::{ReadOptions, Session, WriteOptions};
    /// # fn main() -> windrow::Result<()> {
    /// let logs = Session::default().read("data/logs/*.json.gz", ReadOptions::default())?;
    /// let estimate = logs.estimate(&WriteOptions::new("out"))?;
    /// assert!(estimate.rows.low <= estimate.rows.high);
    /// println!("{estimate}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DataFrame::write`] for the sample; [`Error::Plan`] for a frame that
    /// is not read from files, or has a stage between them and its rows, such as
    /// a sort; [`Error::Config`] for standard input and pipes, which can be read only once.
    pub fn estimate(&self, options: &WriteOptions) -> Result<Estimate> {
        let context = self.session().context();
        let folder = tempfile::Builder::new()
            .prefix("windrow-estimate-")
            .tempdir()
            .map_err(|source| Error::io("a temporary folder", "create", source))?;
        let mut physical = self.lower();
        let limit = limit_of(&physical);
        let sample = match physical.scan.source.clone() {
            Source::Text {
                format,
                inputs,
                options,
                look,
            } => {
                let sample = Sample::of_text(&inputs, format, &options, folder.path(), context)?;
                physical.scan.source = Source::Text {
                    format,
                    inputs: sample.paths.clone().into(),
                    options: Arc::new(for_sample(&options)),
                    look,
                };
                sample
            }
            Source::Columns { inputs, .. } => {
                let known = &physical.scan.estimate;
                let rows = known.exact.then_some(known.rows);
                physical.ordered.push(Step::Limit(SAMPLE_ROWS));
                Sample::of_columns(&inputs, rows)?
            }
            _ => {
                return Err(Error::plan(
                    "only what is read from files, without a stage between, can be estimated",
                ));
            }
        };
        let options = WriteOptions {
            dir: folder.path().join("out"),
            existing: Existing::Refuse,
            ..options.clone()
        };
        options.check_columns(&*self.schema()?)?;
        let report = exec::write(&physical, &options, context)?;
        let schema = match self.format() {
            Some(FileFormat::Parquet | FileFormat::Ipc) => self.schema()?,
            _ => exec::visit(&physical, context, &mut |_| Ok(()))?.0,
        };
        Ok(sample.scaled(&report, &schema, limit, context))
    }
}

/// The same options for texts that were read, decompressed and decoded.
fn for_sample(options: &ReadOptions) -> ReadOptions {
    ReadOptions {
        on_bad_record: match options.on_bad_record {
            OnBadRecord::Fail => OnBadRecord::Fail,
            OnBadRecord::Skip | OnBadRecord::Reject => OnBadRecord::Skip,
        },
        rejects: None,
        max_rejects: None,
        encoding: Encoding::default(),
        ..options.clone()
    }
}

impl<T: Copy> Between<T> {
    pub(super) fn sure(value: T) -> Self {
        Between {
            low: value,
            estimate: value,
            high: value,
        }
    }
}

/// The rows that limits of a pipeline let through.
fn limit_of(physical: &Physical) -> u64 {
    let limits = physical.ordered.iter().filter_map(|step| match step {
        Step::Limit(rows) => Some(*rows),
        _ => None,
    });
    limits.min().unwrap_or(u64::MAX)
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: u64| ByteSize::new(bytes).to_string();
        let (files, sampled) = (self.files, self.sampled_files);
        writeln!(
            f,
            "{} in {files} {}; sample: {} of {sampled}",
            size(self.stored_bytes),
            if files == 1 { "file" } else { "files" },
            size(self.sampled_bytes)
        )?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, of: [String; 3]| {
            let [low, estimate, high] = of;
            if low == high {
                return writeln!(f, "{name:<14}{estimate}");
            }
            writeln!(f, "{name:<14}about {estimate} ({low} to {high})")
        };
        let texts = |of: Between<u64>, text: &dyn Fn(u64) -> String| {
            [text(of.low), text(of.estimate), text(of.high)]
        };
        line(f, "rows", texts(self.rows, &|rows| rows.to_string()))?;
        line(f, "text", texts(self.text_bytes, &size))?;
        line(f, "output", texts(self.output_bytes, &size))?;
        let [low, peak, mut high] = texts(self.peak_bytes, &size);
        if !self.exact {
            high = format!("the budget of {high}");
        }
        line(f, "peak memory", [low, peak, high])?;
        let time = self.seconds;
        let seconds = |seconds: f64| format!("{seconds:.1} s");
        let time = [time.low, time.estimate, time.high].map(seconds);
        line(f, "time here", time)?;
        let columns = self.schema.iter();
        let columns: Vec<_> = columns
            .map(|column| format!("{} {}", column.name, column.data_type))
            .collect();
        writeln!(f, "{:<14}{}", "columns", columns.join(", "))?;
        writeln!(f, "{}", self.confidence)
    }
}
