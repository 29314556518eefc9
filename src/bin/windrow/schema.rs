//! `windrow schema`: columns, types, nulls.

use clap::Parser;
use windrow::arrow::schema::Field;
use windrow::inspect::{print_schema, type_text};

use crate::args::{InputArgs, PickArgs, Print, ReadArgs, RunArgs};
use crate::console::{Outcome, print};
use crate::run::Run;
use crate::table::{Column, layout};

/// Print columns and types
///
/// Text is read whole, since a column may appear in the last record: what is
/// printed is what convert would write. --quick looks at a sample only.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow schema 'logs/*.json.gz'
  windrow schema logs/ --output json > schema.json
  windrow convert logs/ --to out --schema schema.json --schema-mode strict")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,

    /// Look at a sample of each text input only: fast, but what appears late is missed
    #[arg(long)]
    quick: bool,

    /// How to print the schema; convert --schema reads the JSON
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
    /// Prints the schema.
    pub fn run(&self) -> Outcome {
        let mut run = Run::start(&self.run)?;
        let frame = run.frame(&self.input, &self.pick, &self.read)?;
        let schema = if self.quick {
            frame.schema()?
        } else {
            frame.full_schema()?
        };
        run.done();
        match self.output {
            Print::Json => print(print_schema(&schema)?),
            Print::Table => {
                let column = |title: &str, cell: fn(&Field) -> String| Column {
                    title: title.into(),
                    cells: schema.fields().iter().map(|field| cell(field)).collect(),
                    numeric: false,
                };
                let nullable =
                    |field: &Field| String::from(if field.is_nullable() { "yes" } else { "no" });
                let columns = vec![
                    column("column", |field| field.name().clone()),
                    column("type", |field| type_text(field.data_type())),
                    column("nullable", nullable),
                ];
                // Types are what was asked for: they are never cut.
                print(layout(columns, None))
            }
        }
    }
}
