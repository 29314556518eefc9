//! `windrow head`: the first rows, or one raw record.
//!
//! In:  inputs, or a file and a byte of its decompressed text.
//! Out: rows as a table or as JSON Lines, or the record as it stands.

use std::io::{IsTerminal, stdout};

use clap::Parser;
use windrow::inspect::raw_record;
use windrow::{Error, Table};

use crate::args::{From, InputArgs, PickArgs, Print, ReadArgs, RunArgs};
use crate::console::{Failure, Outcome, Stdout, print, terminal_width};
use crate::run::Run;
use crate::table::{Column, layout};

/// Print the first rows
///
/// Walks on past empty files and rows that a filter drops, and stops reading
/// once it has them. On a terminal, columns that do not fit are only named.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow head 'logs/*.json.gz'
  windrow head out/logs -n 3 --where \"status >= 500\" --output json
  windrow head --at logs/access-07.json.gz:1048733")]
pub struct Args {
    /// Files, globs, folders (recursively), URLs, @FILE (a list of these), or - (standard input)
    #[arg(value_name = "INPUT", required_unless_present = "at")]
    inputs: Vec<String>,

    /// Print the one raw record that this byte of the file's decompressed text lies in, as errors name it
    #[arg(long, value_name = "FILE:BYTE", conflicts_with_all = FOR_ROWS)]
    at: Option<Place>,

    /// How many rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    rows: u64,

    /// How to print rows; json is one object a line
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Print::Table)]
    output: Print,

    /// Format of the input [default: told by its content]
    #[arg(long, value_name = "FORMAT", value_enum)]
    from: Option<From>,

    #[command(flatten)]
    pick: PickArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// What has no meaning for one raw record, which is not decoded.
const FOR_ROWS: [&str; 18] = [
    "inputs",
    "rows",
    "output",
    "columns",
    "filter",
    "include_path",
    "schema",
    "schema_mode",
    "on_bad_record",
    "rejects",
    "max_rejects",
    "blocksize",
    "max_depth",
    "include_byte",
    "no_header",
    "nulls",
    "trim",
    "fill_short",
];

/// A file and a byte of its decompressed text.
#[derive(Debug, Clone)]
struct Place {
    path: String,
    byte: u64,
}

impl std::str::FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write a file, a colon and a byte, such as logs/a.json.gz:1048733";
        let (path, byte) = text.rsplit_once(':').ok_or(wrong)?;
        if path.is_empty() {
            return Err(wrong);
        }
        Ok(Place {
            path: path.to_owned(),
            byte: byte.parse().map_err(|_| wrong)?,
        })
    }
}

impl Args {
    /// Prints the rows, or the record.
    pub fn run(&self) -> Outcome {
        if let Some(place) = &self.at {
            return self.print_record(place);
        }
        let mut run = Run::start(&self.run)?;
        let input = InputArgs {
            inputs: self.inputs.clone(),
            from: self.from,
        };
        let table = run
            .frame(&input, &self.pick, &self.read, &[])?
            .head(self.rows)?;
        run.done();
        match self.output {
            Print::Json => {
                let mut out = Stdout::new();
                for batch in table.batches() {
                    out.write_bytes(&windrow::inspect::json_lines(batch)?)?;
                }
                out.finish()
            }
            Print::Table => {
                let limit = stdout().is_terminal().then(terminal_width);
                print(layout(columns(&table)?, limit))
            }
        }
    }

    /// The record, as it stands in the file, and a newline.
    fn print_record(&self, place: &Place) -> Outcome {
        let options = self.read.options(None)?;
        let format = self.from.map(From::format);
        let Some(record) = raw_record(&place.path, place.byte, format, &options)? else {
            let reason = format!("the file has no byte {}: it ends before", place.byte);
            return Err(Failure::Error(Error::config(place.path.as_str(), reason)));
        };
        let mut out = Stdout::new();
        out.write_bytes(&record.bytes)?;
        out.write_bytes(b"\n")?;
        out.finish()
    }
}

/// The cells of a table, column by column.
fn columns(table: &Table) -> Result<Vec<Column>, Failure> {
    let mut columns: Vec<Column> = table
        .schema()
        .fields()
        .iter()
        .map(|field| Column {
            title: field.name().clone(),
            cells: Vec::new(),
            numeric: field.data_type().is_numeric(),
        })
        .collect();
    for batch in table.batches() {
        for (column, values) in columns.iter_mut().zip(batch.columns()) {
            column
                .cells
                .extend(windrow::inspect::cells(values.as_ref())?);
        }
    }
    Ok(columns)
}
