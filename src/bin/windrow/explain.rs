//! `windrow explain`: what a convert or repartition would do, without doing it; or
//! what came of each stage of it, without writing anything.

use std::fmt::Display;

use clap::Parser;
use serde::Serialize;

use crate::args::{InputArgs, LayoutArgs, OrderArgs, PickArgs, Print, ReadArgs, RunArgs};
use crate::console::{Outcome, print};
use crate::convert::as_json;
use crate::run::Run;

/// Show what a convert would do, without doing it
///
/// Prints the plan as asked for, the plan after the rules, and its stages, with
/// estimated rows and bytes. Takes the flags of convert that decide what is read and how it is cut.
/// With --analyze all of it is done but the writing, and each stage says what came of it.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow explain 'logs/*.json.gz' --where \"status >= 500\" --columns ts,user --npartitions 4
  windrow explain parts/ --analyze --sort-by ts --partition-size 128MiB")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,

    /// Read the input, write nothing, and tell what came of each stage: rows, bytes,
    /// what was passed over, hot keys, spilled runs, times
    #[arg(long)]
    analyze: bool,

    /// How to print the plan
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Print::Table)]
    output: Print,

    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    pick: PickArgs,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    /// Prints the plan.
    pub fn run(&self) -> Outcome {
        let mut run = Run::start(&self.run)?;
        let mut frame = run.frame(&self.input, &self.pick, &self.read, &self.order.sort_by)?;
        if let Some(by) = self.layout.by() {
            frame = frame.repartition(by)?;
        }
        if self.analyze {
            let ran = frame.explain_analyze()?;
            run.done();
            return show(&ran, self.output);
        }
        let plan = frame.explain();
        run.done();
        show(&plan, self.output)
    }
}

fn show(plan: &(impl Display + Serialize), form: Print) -> Outcome {
    match form {
        Print::Table => print(plan),
        Print::Json => print(as_json(plan)?),
    }
}
