//! `windrow inspect`: how even partitions are, and what cures them.
//!
//! In:  inputs.
//! Out: a report as table, JSON or HTML; exit code 3 where a check fails.

use std::io::{IsTerminal, stdout};

use clap::{Parser, ValueEnum};
use windrow::inspect::{RenderOptions, Skew, html, render, text};
use windrow::{ByteSize, FileFormat, InspectOptions, OnBadRecord, ReadOptions};

use crate::args::{InputArgs, OnBad, RunArgs};
use crate::console::{Failure, Outcome, is_ascii_only, print, terminal_width};
use crate::convert::as_json;
use crate::run::Run;

/// Show how even partitions are: rows, bytes, skew, empties, hot keys, and the cure
///
/// Each file is a partition. Bytes are those of Arrow data in memory, and as
/// stored. Of Parquet only the footers are read, unless --by asks for keys.
/// Balance is the largest partition / the mean: 1 is even.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow inspect 'logs/*.json.gz' --by user
  windrow inspect out/logs --max-balance 1.5 --fail-on-empty
  windrow inspect out/logs --columns
  windrow inspect out/logs --output html > skew.html

Ends with 3 if --max-balance or --fail-on-empty finds something.")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,

    /// Find the hottest keys of this column or SQL expression
    #[arg(long, value_name = "COLUMN")]
    by: Option<String>,

    /// How many of the hottest keys
    #[arg(long, value_name = "N", default_value_t = 10, requires = "by")]
    top: usize,

    /// Fail if the largest partition is more than X times the mean
    #[arg(long, value_name = "X", value_parser = balance)]
    max_balance: Option<f64>,

    /// What --max-balance measures
    #[arg(long, value_name = "UNIT", value_enum, default_value_t = Unit::Bytes, requires = "max_balance")]
    balance_of: Unit,

    /// Fail if a partition has no rows
    #[arg(long)]
    fail_on_empty: bool,

    /// Look at partitions of so many bytes of text, as they would be read, instead of files
    #[arg(long, value_name = "SIZE", conflicts_with = "by")]
    blocksize: Option<ByteSize>,

    /// What to do with a record that does not decode: fail or skip
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnBad::Fail, hide_possible_values = true)]
    on_bad_record: OnBad,

    /// Look at what can be read of truncated or damaged gzip files
    #[arg(long)]
    salvage: bool,

    /// Show what the columns of Parquet files take, and the keys and values of their footers
    #[arg(long, conflicts_with_all = ["by", "max_balance", "fail_on_empty", "blocksize", "on_bad_record", "salvage", "all"])]
    columns: bool,

    /// List every partition, however many there are
    #[arg(long)]
    all: bool,

    /// How to print the report
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    output: Form,

    #[command(flatten)]
    run: RunArgs,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// For programs
    Json,
    /// One page with bars, to open or to send
    Html,
}

/// What balance is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unit {
    /// Bytes in memory: what memory and time follow
    Bytes,
    /// Rows
    Rows,
}

/// A balance: no set of partitions has less than 1.
fn balance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 1.0 && value.is_finite() => Ok(value),
        _ => Err(format!(
            "{text:?} is not a number of at least 1, such as 1.5"
        )),
    }
}

impl Args {
    /// Prints the report, then fails if a check does.
    pub fn run(&self) -> Outcome {
        let mut run = Run::start(&self.run)?;
        if self.columns {
            return self.columns(&mut run);
        }
        let skew = self.measure(&run)?;
        run.done();
        match self.output {
            Form::Json => print(as_json(&skew)?)?,
            Form::Html => print(html::page(&skew))?,
            Form::Table => {
                let options = RenderOptions {
                    width: if stdout().is_terminal() {
                        terminal_width()
                    } else {
                        RenderOptions::default().width
                    },
                    ascii: is_ascii_only(),
                    all: self.all,
                };
                print(render::table(&skew, &options))?;
            }
        }
        self.check(&skew)
    }

    /// Prints what columns take.
    fn columns(&self, run: &mut Run) -> Outcome {
        if let Some(from) = self.input.from.map(|from| from.format())
            && from != FileFormat::Parquet
        {
            let reason = format!("{from} files do not tell what their columns take; Parquet does");
            return Err(windrow::Error::config("columns", reason).into());
        }
        let storage = run.session.storage(&self.input.inputs)?;
        run.done();
        match self.output {
            Form::Json => print(as_json(&storage)?),
            Form::Table => print(format_args!("{storage}\n")),
            Form::Html => {
                let reason = "what columns take is printed as table or json";
                Err(windrow::Error::config("output", reason).into())
            }
        }
    }

    fn measure(&self, run: &Run) -> Result<Skew, Failure> {
        let read = ReadOptions {
            blocksize: self.blocksize,
            on_bad_record: match self.on_bad_record {
                OnBad::Fail => OnBadRecord::Fail,
                OnBad::Skip => OnBadRecord::Skip,
                OnBad::Reject => {
                    let reason = "inspect writes no rejects file; use fail or skip";
                    return Err(windrow::Error::config("on-bad-record", reason).into());
                }
            },
            salvage: self.salvage,
            ..ReadOptions::default()
        };
        if self.blocksize.is_some() {
            let frame = run.session.read_json(&self.input.inputs, read)?;
            let sizes = frame.partition_sizes()?;
            return Ok(sizes.skew().with_inputs(&self.input.inputs));
        }
        let options = InspectOptions {
            by: self.by.clone(),
            top: self.top,
            format: self.input.from.map(|from| from.format()),
            read,
        };
        Ok(run.session.inspect(&self.input.inputs, &options)?)
    }

    fn check(&self, skew: &Skew) -> Outcome {
        let (unit, spread) = match self.balance_of {
            Unit::Bytes => ("bytes", &skew.bytes),
            Unit::Rows => ("rows", &skew.rows),
        };
        if let Some(max) = self.max_balance.filter(|&max| spread.balance > max) {
            return Err(Failure::Check(format!(
                "the balance of {unit} is {:.2}, more than {max}",
                spread.balance
            )));
        }
        if self.fail_on_empty && skew.empty > 0 {
            let first = skew.partitions.iter().find(|partition| partition.rows == 0);
            return Err(Failure::Check(format!(
                "{} of {} partitions without rows, the first is {}",
                text::count(skew.empty),
                text::count(skew.partitions.len() as u64),
                first.map_or("", |partition| partition.path.as_str())
            )));
        }
        Ok(())
    }
}
