//! `windrow estimate`: how much a convert would be, told from a sample.

use clap::Parser;
use windrow::{Format, WriteOptions};

use crate::args::{InputArgs, PickArgs, Print, ReadArgs, RunArgs, value};
use crate::codec_args::{CodecArg, with_codecs};
use crate::console::{Outcome, print};
use crate::convert::as_json;
use crate::run::Run;

/// Tell from a sample how much a convert would be
///
/// Rows, columns, output bytes, peak memory and time, each with the interval it
/// is expected in. The heads of at most 8 files are read and converted into a
/// temporary folder; of Parquet and IPC files the footers and the first rows.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow estimate 'logs/*.json.gz'
  windrow estimate logs/ --where \"status >= 500\" --compression zstd:3 --output json")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,

    /// Format of part files: parquet, json, csv or ipc
    #[arg(long, value_name = "FORMAT", default_value = "parquet", value_parser = value::<Format>)]
    format: Format,

    /// Compression of part files: zstd, zstd:N, snappy, gzip, lz4 or none; COLUMN=CODEC for a column of Parquet
    #[arg(long, value_name = "CODEC[,COLUMN=CODEC…]", value_delimiter = ',', value_parser = value::<CodecArg>)]
    compression: Vec<CodecArg>,

    /// How to print the estimate
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Print::Table)]
    output: Print,

    #[command(flatten)]
    pick: PickArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    /// Prints the estimate.
    pub fn run(&self) -> Outcome {
        let mut run = Run::start(&self.run)?;
        let frame = run.frame(&self.input, &self.pick, &self.read, &[])?;
        let options = WriteOptions {
            format: self.format,
            ..WriteOptions::new("estimate")
        };
        let estimate = frame.estimate(&with_codecs(options, &self.compression)?)?;
        run.done();
        match self.output {
            Print::Table => print(estimate),
            Print::Json => print(as_json(&estimate)?),
        }
    }
}
