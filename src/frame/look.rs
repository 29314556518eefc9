//! A first look at inputs, before anything is read for good.
//!
//! In:  inputs as given.
//! Out: names and types to check plans against, and about how much there is.
//!
//! What a look shows of text is never relied on: whatever comes later widens
//! the schema. Only the first file's head gives decoding its start, so that
//! columns stand in order of first appearance.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::exec::{Context, longest_record, patiently};
use crate::io::columns::path_field;
use crate::io::hive::Folders;
use crate::io::json::{JsonSchema, infer};
use crate::io::line::line_schema;
use crate::io::{self, Framing, SourceFile, csv};
use crate::plan::{ColumnOptions, Estimate, FileFormat, Folder, Look, ReadOptions};

/// Decompressed bytes of each file that are looked at.
const LOOK_BYTES: usize = 256 << 10;

/// Files of the list that are looked at, spread evenly.
const LOOK_FILES: usize = super::estimate_sample::SAMPLE_FILES;

/// Files without a record that are passed over to find the first one with any.
const EMPTY_FILES: usize = 1000;

/// Looks at text files. One that is damaged is passed over here: the run meets
/// it in its place and says so. Where the system refuses to read, what the plan
/// would be checked against is not known, and that is the error.
pub(super) fn text(
    format: FileFormat,
    inputs: &[String],
    options: &ReadOptions,
    context: &Context,
) -> Result<(Look, Estimate)> {
    let mut spread = Spread::default();
    let mut stored_bytes = 0;
    let mut files = 0;
    let mut head = None;
    let mut sample = Sample::new(format, options);
    for file in io::list(inputs)? {
        let file = file?;
        stored_bytes += file.bytes;
        if head.is_none() && files < EMPTY_FILES {
            let schema = sample.add(&file, options, context)?;
            head = (!schema.to_arrow().fields().is_empty()).then_some(schema);
        }
        files += 1;
        spread.offer(file);
    }
    let mut seen = head.clone().unwrap_or_default();
    for file in spread.files.iter().skip(1) {
        seen = seen.merge(&sample.add(file, options, context)?);
    }
    context.progress.set_stored_bytes_total(stored_bytes);
    context.progress.set_files(files as u64);
    let estimate = sample.estimate(stored_bytes);
    let look = match &options.schema {
        Some(schema) => {
            let given = JsonSchema::from_arrow(schema)?;
            Look {
                head: given.clone(),
                spread: given,
            }
        }
        None => Look {
            head: head.unwrap_or_default(),
            spread: seen,
        },
    };
    Ok((look, estimate))
}

/// The columns that plans on this look are checked against.
pub(super) fn schema(look: &Look, options: &ReadOptions) -> SchemaRef {
    let found = look.head.merge(&look.spread).to_arrow();
    match &options.include_path {
        None => found,
        Some(name) => {
            let mut fields: Vec<_> = found.fields().iter().cloned().collect();
            fields.push(Arc::new(path_field(name)));
            Arc::new(Schema::new(fields))
        }
    }
}

/// Every so many files of a list whose length is not known.
#[derive(Default)]
pub(super) struct Spread {
    files: Vec<SourceFile>,
    stride: usize,
    offered: usize,
}

impl Spread {
    /// The files that are kept so far, the first one among them.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    pub fn offer(&mut self, file: SourceFile) {
        let stride = self.stride.max(1);
        if self.offered.is_multiple_of(stride) {
            self.files.push(file);
        }
        self.offered += 1;
        if self.files.len() > LOOK_FILES {
            let mut place = 0;
            self.files.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.stride = stride * 2;
        }
    }
}

/// What was looked at so far.
struct Sample {
    format: FileFormat,
    framing: Framing,
    stored_bytes: u64,
    text_bytes: u64,
    lines: u64,
}

impl Sample {
    fn new(format: FileFormat, options: &ReadOptions) -> Self {
        Sample {
            format,
            framing: options.framing(format),
            stored_bytes: 0,
            text_bytes: 0,
            lines: 0,
        }
    }

    fn add(
        &mut self,
        file: &SourceFile,
        options: &ReadOptions,
        context: &Context,
    ) -> Result<JsonSchema> {
        let longest = longest_record(options, &context.settings).0;
        let peek = if file.may_wait() {
            let (file, framing) = (file.clone(), self.framing.clone());
            patiently(&context.cancel, move || {
                io::peek(&file, LOOK_BYTES, longest, &framing)
            })
        } else {
            io::peek(file, LOOK_BYTES, longest, &self.framing)
        };
        let peek = match peek {
            Ok(peek) => peek,
            Err(error @ (Error::Cancelled | Error::Io { .. })) => return Err(error),
            Err(_) => return Ok(JsonSchema::default()),
        };
        self.stored_bytes += peek.stored_bytes;
        self.text_bytes += peek.text.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', &peek.text).count() as u64;
        match (self.format, &peek.csv_layout) {
            (FileFormat::Text, _) => line_schema(options.include_byte.as_deref()),
            (_, Some(layout)) => csv::infer(&peek.text, peek.first_byte, layout),
            (_, None) => Ok(infer(&peek.text, options.max_depth)),
        }
    }

    fn estimate(&self, stored_bytes: u64) -> Estimate {
        if self.stored_bytes == 0 {
            return Estimate::default();
        }
        let scale = stored_bytes as f64 / self.stored_bytes as f64;
        Estimate {
            rows: (self.lines as f64 * scale).round() as u64,
            // Measured on logs: 0.7 bytes of Arrow data for each byte of text.
            bytes: (self.text_bytes as f64 * scale * 0.7).round() as u64,
            exact: false,
        }
    }
}

/// The format of all inputs, by their content. Reads a few bytes of each file.
///
/// # Errors
///
/// [`Error::Config`] naming two files of different formats; [`Error::Io`] for
/// a file that cannot be read.
pub(super) fn format(inputs: &[String], context: &Context) -> Result<FileFormat> {
    let mut first: Option<(FileFormat, String)> = None;
    for file in io::list(inputs)? {
        context.cancel.check()?;
        let file = file?;
        let format = FileFormat::of(&file)?;
        match &first {
            None => first = Some((format, file.path)),
            Some((one, _)) if *one == format => {}
            Some((one, path)) => {
                return Err(Error::config(
                    file.path,
                    format!(
                        "this is {format}, but {path} is {one}: read files of one format at a time"
                    ),
                ));
            }
        }
    }
    Ok(first.map_or(FileFormat::Json, |(format, _)| format))
}

/// What a first look at column files showed.
pub(super) struct ColumnLook {
    /// All their columns, then those that folders and the path give.
    pub schema: SchemaRef,
    pub folders: Vec<Folder>,
    pub estimate: Estimate,
}

/// Lists column files and reads their footers: all their columns, all their
/// rows. Where the columns are given, footers are left for the run.
pub(super) fn columns(
    inputs: &[String],
    format: FileFormat,
    options: &ColumnOptions,
    context: &Context,
) -> Result<ColumnLook> {
    let mut schema = options.schema.as_deref().cloned();
    let mut estimate = Estimate {
        exact: schema.is_none(),
        ..Estimate::default()
    };
    let mut folders = Folders::default();
    let (mut stored_bytes, mut files) = (0, 0);
    let mut take = |file: &SourceFile, columns: &Schema| {
        stored_bytes += file.bytes;
        files += 1;
        if options.hive_folders {
            folders.see(&file.path, columns);
        }
        context.cancel.check()
    };
    if options.schema.is_some() {
        for file in io::list(inputs)? {
            take(&file?, &Schema::empty())?;
        }
    } else {
        for file in io::columns::for_footers(io::list(inputs)?, &context.files) {
            let file = file?;
            let footer = io::columns::footer(&file, format == FileFormat::Parquet, &context.files)?;
            take(&file, &footer.schema)?;
            estimate.rows += footer.rows;
            estimate.bytes += footer.bytes;
            schema = Some(match schema {
                None => footer.schema.as_ref().clone(),
                Some(schema) => io::columns::unite(&schema, &footer.schema, &file.path)?,
            });
        }
    }
    context.progress.set_stored_bytes_total(stored_bytes);
    context.progress.set_files(files);
    let found = schema.ok_or_else(|| Error::config("input", "there is no file to read"))?;
    let (schema, folders) = with_given(found, &folders, options)?;
    Ok(ColumnLook {
        schema: Arc::new(schema),
        folders,
        estimate,
    })
}

/// Adds the columns that are in no file: those of folders, and the path.
fn with_given(
    found: Schema,
    folders: &Folders,
    options: &ColumnOptions,
) -> Result<(Schema, Vec<Folder>)> {
    let mut schema = found.clone();
    let mut given = Vec::new();
    for (column, path) in folders.columns() {
        let own = found.fields().find(column.name());
        schema = match (own, &options.schema) {
            // The user has said what it is.
            (Some(_), Some(_)) => schema,
            _ => io::columns::unite(&schema, &Schema::new(vec![Arc::clone(&column)]), path)?,
        };
        given.push(Folder {
            in_files: own.is_some() && options.schema.is_none(),
            column,
        });
    }
    if let Some(name) = &options.include_path {
        if schema.fields().find(name).is_some() {
            return Err(Error::config(
                "include-path",
                format!("the data has a column {name:?} of its own; choose another name"),
            ));
        }
        let path = Schema::new(vec![path_field(name)]);
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        fields.extend(path.fields().iter().cloned());
        schema = Schema::new(fields);
    }
    Ok((schema, given))
}
