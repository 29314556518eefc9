//! `windrow verify`: does a folder still hold what was written to it?

use std::path::PathBuf;

use clap::Parser;

use crate::args::Print;
use crate::console::{Failure, Outcome, print};
use crate::convert::as_json;

/// Check a folder against its manifest: files, rows, sizes, codecs, checksums
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow verify out/logs
  windrow verify out/logs --output json

Ends with 3 if anything differs.")]
pub struct Args {
    /// A folder that windrow wrote
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// How to print the result
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Print::Table)]
    output: Print,
}

impl Args {
    /// Prints what was checked.
    pub fn run(&self) -> Outcome {
        let report = windrow::verify(&self.dir)?;
        match self.output {
            Print::Table => print(format_args!("{report}\n"))?,
            Print::Json => print(as_json(&report)?)?,
        }
        if report.is_ok() {
            return Ok(());
        }
        Err(Failure::Check(format!(
            "{}: not as it was written",
            self.dir.display()
        )))
    }
}
