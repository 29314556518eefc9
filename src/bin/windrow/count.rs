//! `windrow count`: how many rows there are.

use clap::Parser;

use crate::args::{InputArgs, PickArgs, ReadArgs, RunArgs};
use crate::console::{Outcome, print};
use crate::run::Run;

/// Count rows
///
/// Every record is checked on the way, as convert would. Of Parquet files
/// without --where only the footers are read.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow count 'logs/*.json.gz'
  windrow count out/logs --where \"status >= 500\"")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    pick: PickArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    /// Prints the number.
    pub fn run(&self) -> Outcome {
        let mut run = Run::start(&self.run)?;
        let rows = run
            .frame(&self.input, &self.pick, &self.read, &[])?
            .count()?;
        run.done();
        print(format_args!("{rows}\n"))
    }
}
