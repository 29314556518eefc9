//! A write that waits to be asked for.
//!
//! In:  a frame, and where and how to write.
//! Out: what would be done, as text; then the files.

use super::dataframe::DataFrame;
use crate::error::Result;
use crate::exec::RunReport;
use crate::plan::Explained;
use crate::sink::{Existing, WriteOptions};

/// A write that has not begun: look at it, then run it.
///
/// ```
/// # use std::sync::Arc;
/// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// # use windrow::{Session, WriteOptions};
/// # fn main() -> windrow::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let target = dir.path().join("even");
/// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
/// # let batch = RecordBatch::try_from_iter([("n", n)])?;
/// let frame = Session::default().from_batches(batch.schema(), [batch])?.filter("n % 2 = 0")?;
/// let write = frame.plan_write(WriteOptions::new(&target))?;
/// assert!(write.explain().to_string().contains("write parquet (zstd:1)"));
/// assert!(!target.exists());
/// assert_eq!(write.run()?.rows_written(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LazyWrite {
    frame: DataFrame,
    options: WriteOptions,
}

impl DataFrame {
    /// A write that is checked now and done later; see [`LazyWrite`].
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) for options that contradict each other,
    /// [`Error::Plan`](crate::Error::Plan) for codecs and filters of unknown columns.
    pub fn plan_write(&self, options: WriteOptions) -> Result<LazyWrite> {
        options.codecs()?;
        options.csv.check()?;
        options.check_bloom()?;
        options.check_metadata()?;
        options.check_columns(&*self.schema()?)?;
        Ok(LazyWrite {
            frame: self.clone(),
            options,
        })
    }
}

impl LazyWrite {
    /// The frame that will be written.
    pub fn frame(&self) -> &DataFrame {
        &self.frame
    }

    /// Where and how.
    pub fn options(&self) -> &WriteOptions {
        &self.options
    }

    /// What will run: as [`DataFrame::explain`], and the write as its last stage.
    /// Nothing is read, and nothing is looked for where the files will be.
    pub fn explain(&self) -> Explained {
        let mut explained = self.frame.explain();
        explained.stages.push(self.stage());
        explained
    }

    /// Writes. Each call does: a second one finds the files of the first.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::write`].
    pub fn run(&self) -> Result<RunReport> {
        self.frame.write(&self.options)
    }

    /// The write, as a stage.
    fn stage(&self) -> String {
        let options = &self.options;
        let mut codec = match options.codec() {
            Ok(codec) => codec.to_string(),
            Err(error) => error.to_string(), // Refused when the write was planned.
        };
        for (column, named) in &options.column_codecs {
            codec.push_str(&format!(", {column}={named}"));
        }
        let mut stage = format!(
            "write {} ({codec}) into {}",
            options.format,
            options.dir.display()
        );
        stage.push_str(match options.existing {
            Existing::Refuse => "",
            Existing::Append => ", beside the files that are there",
            Existing::Overwrite => ", in place of the files that are there",
        });
        if !options.partition_on.is_empty() {
            let columns = options.partition_on.join(", ");
            stage.push_str(&format!(", a folder for each {columns}"));
        }
        if options.schema.is_some() {
            stage.push_str(", in the columns of a given schema");
        }
        if !options.bloom.is_empty() {
            let columns = options.bloom.join(", ");
            stage.push_str(&format!(", with Bloom filters of {columns}"));
        }
        stage
    }
}
