//! `windrow head`: the first rows, or one raw record.

use std::io::IsTerminal;

use clap::Parser;
use windrow::Error;
use windrow::io::{SourceFile, record_at};

use crate::args::{InputArgs, Print, ReadArgs, RunArgs};
use crate::console::{Outcome, Stdout, is_ascii_only, print, terminal_width};
use crate::run::Run;
use crate::table::{Column, layout};

/// Print the first rows
///
/// Walks on past empty files and rows that a filter drops, and stops to read
/// once it has them. On a terminal, columns that do not fit are named only.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow head 'logs/*.json.gz'
  windrow head out/logs -n 3 --where \"status >= 500\" --output json
  windrow head --at logs/access-07.json.gz:1048733")]
pub struct Args {
    #[command(flatten)]
    what: What,

    /// How many rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    rows: usize,

    /// How to print rows; json is one object a line
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Print::Table)]
    output: Print,

    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    run: RunArgs,
}
