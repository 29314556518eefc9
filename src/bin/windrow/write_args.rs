//! Flags of how output is written, and the options they become.
//!
//! In:  words of a command line, parsed by clap into types with units.
//! Out: `WriteOptions` of the library.

use std::path::{Path, PathBuf};

use clap::Args;
use windrow::{CsvStyle, Error, Existing, Format, PartName, Result, WriteOptions};

use crate::args::{first_given, read_schema, value};
use crate::codec_args::{CodecArg, with_codecs};
use crate::csv_args::character;

/// Where and how to write.
#[derive(Debug, Args)]
#[command(next_help_heading = "Writing")]
pub struct WriteArgs {
    /// Folder of this machine to write to; it must be new or empty, or see --append and --overwrite
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,

    /// Format of the output: parquet, json, csv or ipc
    #[arg(long, value_name = "FORMAT", default_value = "parquet", value_parser = value::<Format>)]
    pub format: Format,

    /// zstd, zstd:1 to zstd:22, snappy, gzip, gzip:1 to gzip:9, lz4 or none; COLUMN=CODEC for a column of Parquet [default: zstd for Parquet, lz4 for ipc, none for json and csv]
    #[arg(long, value_name = "CODEC[,COLUMN=CODEC…]", value_delimiter = ',', value_parser = value::<CodecArg>)]
    pub compression: Vec<CodecArg>,

    /// Write folders COLUMN=value/ for the values of these columns
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub partition_on: Vec<String>,

    /// Write a Bloom filter of these columns in each row group of Parquet, for readers that look for single values (ids, names)
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub bloom: Vec<String>,

    /// Write this key and value into the footer of each Parquet file; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub metadata: Vec<(String, String)>,

    /// Columns and types of the output, as `windrow schema --output json` prints them: values that do not fit are an error, columns that are not there are null, others are refused [default: those of the rows]
    #[arg(long, value_name = "FILE")]
    pub output_schema: Option<PathBuf>,

    /// What part files are called, with {i} for their number, or {i:06} for six digits
    #[arg(long, value_name = "TEXT", default_value_t = PartName::default(), value_parser = value::<PartName>)]
    pub name_template: PartName,

    /// What stands between the fields of CSV output, or \t for a tab [default: a comma]
    #[arg(long, value_name = "CHAR", value_parser = character)]
    pub write_delimiter: Option<u8>,

    /// The text of a null in CSV output [default: nothing]
    #[arg(long, value_name = "TEXT")]
    pub write_null: Option<String>,

    /// Write structs and lists as JSON text in CSV output; else they are refused
    #[arg(long)]
    pub nested_as_json: bool,

    /// Add parts to what an earlier run wrote there; its schema must be the same
    #[arg(long, conflicts_with = "overwrite")]
    pub append: bool,

    /// Put the new output in the place of the old one, at once, when it is complete
    #[arg(long)]
    pub overwrite: bool,

    /// Where no row comes out, write one file that holds only the schema
    #[arg(long)]
    pub schema_file_if_empty: bool,

    /// Write the balance sheet of the run to this file, as JSON (- is stdout)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl WriteArgs {
    /// The library's options.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a flag of CSV where another format is written, for two
    /// codecs of all columns, and for `-`, which is no folder.
    pub fn options(&self) -> Result<WriteOptions> {
        if self.to == Path::new("-") {
            return Err(Error::config(
                "to",
                "output goes to a folder, never to standard output; ./- is the folder of that name",
            ));
        }
        let flags = [
            ("write-delimiter", self.write_delimiter.is_some()),
            ("write-null", self.write_null.is_some()),
            ("nested-as-json", self.nested_as_json),
        ];
        if let (true, Some(flag)) = (self.format != Format::Csv, first_given(&flags)) {
            return Err(Error::config(
                flag,
                format!(
                    "it is for CSV, and has no meaning for {} output",
                    self.format
                ),
            ));
        }
        let defaults = CsvStyle::default();
        let options = WriteOptions {
            csv: CsvStyle {
                delimiter: self.write_delimiter.unwrap_or(defaults.delimiter),
                null: self.write_null.clone().unwrap_or(defaults.null),
                nested_as_json: self.nested_as_json,
            },
            format: self.format,
            partition_on: self.partition_on.clone(),
            schema: self.output_schema.as_deref().map(read_schema).transpose()?,
            part_name: self.name_template.clone(),
            bloom: self.bloom.clone(),
            metadata: self.metadata.clone(),
            existing: match (self.append, self.overwrite) {
                (true, _) => Existing::Append,
                (_, true) => Existing::Overwrite,
                _ => Existing::Refuse,
            },
            schema_file_if_empty: self.schema_file_if_empty,
            ..WriteOptions::new(&self.to)
        };
        with_codecs(options, &self.compression)
    }
}

/// A key, and behind the first equals sign its value.
fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!(
            "{text:?} is not a key and a value, such as source=nginx"
        )),
    }
}
