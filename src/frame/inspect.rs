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

use super::inputs::IntoInputs;
use super::session::Session;
use crate::error::{Error, Result};
use crate::inspect::{KeyCounter, PartitionSize, Skew, Storage, footers};
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

/// What is found while files go by, format by format.
struct Survey<'a> {
    session: &'a Session,
    options: &'a InspectOptions,
    keys: Option<KeyCounter>,
    /// Sizes by path; the order is that of the files.
    sizes: HashMap<String, PartitionSize>,
    bytes_estimated: bool,
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
        let files: Vec<SourceFile> = io::list(&inputs)?.collect::<Result<_>>()?;
        let mut survey = Survey {
            session: self,
            options,
            keys: options.by.as_deref().map(KeyCounter::parse).transpose()?,
            sizes: HashMap::with_capacity(files.len()),
            bytes_estimated: false,
        };
        for (format, group) in by_format(&files, options.format)? {
            // Files of one format keep the words of the user: a list of paths
            // is only made where formats are mixed.
            let inputs = if group.len() == files.len() {
                inputs.clone()
            } else {
                group.iter().map(|file| file.input()).collect()
            };
            match format {
                FileFormat::Json | FileFormat::Csv | FileFormat::Text => {
                    survey.text(format, &inputs, &group)?;
                }
                FileFormat::Parquet => survey.parquet(&inputs, &group)?,
                FileFormat::Ipc => survey.ipc(&group)?,
            }
        }
        let mut sizes = survey.sizes;
        let in_order = files.iter().filter_map(|file| sizes.remove(&file.path));
        let skew = Skew::new(in_order.collect())
            .with_inputs(&inputs)
            .with_bytes_estimated(survey.bytes_estimated);
        Ok(match survey.keys {
            Some(keys) => skew.with_hot_keys(keys.report(options.top)),
            None => skew,
        })
    }
}

impl Session {
    /// What Parquet files spend their bytes on, column by column, and the keys
    /// and values of their footers, from which alone all of it is read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Corrupt`] naming the first file in input order
    /// that cannot be read or is no Parquet.
    ///
    /// ```
    /// # use windrow::{Session, WriteOptions};
    /// # fn main() -> windrow::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # std::fs::write(dir.path().join("a.json"), "{\"user\":\"ann\",\"n\":1}\n{\"user\":\"bob\",\"n\":2}\n").unwrap();
    /// # let (input, out) = (dir.path().join("a.json"), dir.path().join("out"));
    /// # let session = Session::default();
    /// session.read_json(input, Default::default())?.write(&WriteOptions {
    ///     column_codecs: vec![("n".into(), windrow::Codec::None)],
    ///     metadata: vec![("source".into(), "nginx".into())],
    ///     ..WriteOptions::new(&out)
    /// })?;
    /// let storage = session.storage(&*out)?;
    /// let codecs: Vec<_> = storage.columns.iter().flat_map(|column| &column.codecs).collect();
    /// assert_eq!(codecs, ["zstd", "none"]);
    /// assert_eq!(storage.metadata[0].value, "nginx");
    /// # Ok(())
    /// # }
    /// ```
    pub fn storage(&self, inputs: impl IntoInputs) -> Result<Storage> {
        let mut storage = Storage::default();
        for file in io::list(&inputs.into_inputs())? {
            self.context().cancel.check()?;
            storage.add(self.context().files.parquet(&file?)?.metadata());
        }
        Ok(storage)
    }
}

/// Files by format, in order of first appearance.
fn by_format(
    files: &[SourceFile],
    known: Option<FileFormat>,
) -> Result<Vec<(FileFormat, Vec<&SourceFile>)>> {
    let mut groups: Vec<(FileFormat, Vec<&SourceFile>)> = Vec::new();
    for file in files {
        let format = match known {
            Some(format) => format,
            None => FileFormat::of(file)?,
        };
        match groups.iter_mut().find(|(other, _)| *other == format) {
            Some((_, group)) => group.push(file),
            None => groups.push((format, vec![file])),
        }
    }
    Ok(groups)
}

impl Survey<'_> {
    fn add(&mut self, file: &SourceFile, rows: u64, bytes: u64) {
        let size = PartitionSize {
            path: file.path.clone(),
            rows,
            bytes,
            stored_bytes: file.bytes,
        };
        self.sizes.insert(file.path.clone(), size);
    }

    /// Decodes all text once. Each row brings its file's path along.
    fn text(&mut self, format: FileFormat, inputs: &[String], files: &[&SourceFile]) -> Result<()> {
        let read = ReadOptions {
            include_path: Some(FILE_COLUMN.into()),
            ..self.options.read.clone()
        };
        let frame = self.session.text(format, inputs, read)?;
        if let Some(keys) = &mut self.keys {
            keys.bind(&*frame.schema()?)?;
        }
        let mut bytes: HashMap<String, u64> = HashMap::new();
        let keys = &mut self.keys;
        let report = frame.for_each_batch(|batch| {
            let Some((path, rows)) = without_path(&batch)? else {
                return Ok(());
            };
            *bytes.entry(path).or_default() += batch_bytes(&rows);
            keys.as_mut().map_or(Ok(()), |keys| keys.push(&rows))
        })?;
        let rows: HashMap<&str, u64> = report
            .inputs
            .iter()
            .map(|input| (input.path.as_str(), input.rows - input.filtered))
            .collect();
        for file in files {
            // The path as it was listed, be it from the user's words or ours.
            let listed = file.input();
            let known = |path: &&str| rows.contains_key(*path);
            let path = [file.path.as_str(), listed.as_str()]
                .into_iter()
                .find(known)
                .unwrap_or(&file.path);
            self.add(
                file,
                rows.get(path).copied().unwrap_or(0),
                bytes.get(path).copied().unwrap_or(0),
            );
        }
        Ok(())
    }

    /// Reads footers, and of the rows no more than the columns of the keys.
    fn parquet(&mut self, inputs: &[String], files: &[&SourceFile]) -> Result<()> {
        for file in files {
            self.session.context().cancel.check()?;
            let input = self.session.context().files.parquet(file)?;
            let size = footers::footer_size(input.metadata());
            self.bytes_estimated |= size.estimated;
            self.add(file, size.rows, size.bytes);
        }
        if let Some(keys) = &mut self.keys {
            let frame = self.session.read_parquet(inputs)?;
            let columns = frame.select(keys.bind(&*frame.schema()?)?)?;
            columns.for_each_batch(|batch| keys.push(&batch))?;
        }
        Ok(())
    }

    /// Reads file by file: their footers do not tell sizes.
    fn ipc(&mut self, files: &[&SourceFile]) -> Result<()> {
        for file in files {
            let frame = self.session.read_ipc(file.input())?;
            if let Some(keys) = &mut self.keys {
                keys.bind(&*frame.schema()?)?;
            }
            let (mut rows, mut bytes) = (0, 0);
            let keys = &mut self.keys;
            frame.for_each_batch(|batch| {
                rows += batch.num_rows() as u64;
                bytes += batch_bytes(&batch);
                keys.as_mut().map_or(Ok(()), |keys| keys.push(&batch))
            })?;
            self.add(file, rows, bytes);
        }
        Ok(())
    }
}

/// The path of a batch's rows, and the rows without it; nothing for no rows.
fn without_path(batch: &RecordBatch) -> Result<Option<(String, RecordBatch)>> {
    let Some(last) = batch.num_columns().checked_sub(1) else {
        return Ok(None);
    };
    if batch.num_rows() == 0 {
        return Ok(None);
    }
    let paths = batch.column(last).as_dictionary_opt::<Int32Type>();
    let path = paths.and_then(|paths| {
        let names = paths.values().as_string_opt::<i32>()?;
        Some(names.value(paths.key(0)?).to_owned())
    });
    let path = path.ok_or_else(|| Error::internal("rows of text came without their path"))?;
    let rows = batch.project(&(0..last).collect::<Vec<_>>())?;
    Ok(Some((path, rows)))
}
