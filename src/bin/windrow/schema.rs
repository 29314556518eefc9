//! `windrow schema`: columns, types, nulls.

use clap::Parser;
use windrow::arrow::schema::{DataType, Field};
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
        let frame = run.frame(&self.input, &self.pick, &self.read, &[])?;
        let schema = if self.quick {
            frame.schema()?
        } else {
            frame.full_schema()?
        };
        run.done();
        match self.output {
            Print::Json => print(print_schema(&schema)?),
            Print::Table => {
                let mut rows = Vec::new();
                for field in schema.fields() {
                    describe(field, field.name(), 0, &mut rows);
                }
                let column = |title: &str, cell: fn(&Row) -> &String| Column {
                    title: title.into(),
                    cells: rows.iter().map(|row| cell(row).clone()).collect(),
                    numeric: false,
                };
                let columns = vec![
                    column("column", |row| &row.name),
                    column("type", |row| &row.data_type),
                    column("nullable", |row| &row.nullable),
                ];
                // Types are what was asked for: they are never cut.
                print(layout(columns, None))
            }
        }
    }
}

/// A line of the table: a column, or a member of one.
struct Row {
    name: String,
    data_type: String,
    nullable: String,
}

/// Members that are shown below their column; deeper ones stand in its type.
const MAX_DEPTH: usize = 8;

/// Lists a column and, indented below it, the members of its objects.
fn describe(field: &Field, name: &str, depth: usize, rows: &mut Vec<Row>) {
    let (shape, members) = match field.data_type() {
        _ if depth == MAX_DEPTH => (None, None),
        DataType::Struct(members) => (Some("struct"), Some(members)),
        DataType::List(item) => match item.data_type() {
            DataType::Struct(members) => (Some("list<struct>"), Some(members)),
            _ => (None, None),
        },
        _ => (None, None),
    };
    rows.push(Row {
        name: format!("{}{name}", "  ".repeat(depth)),
        data_type: shape.map_or_else(|| type_text(field.data_type()), str::to_owned),
        nullable: if field.is_nullable() { "yes" } else { "no" }.to_owned(),
    });
    for member in members.into_iter().flatten() {
        describe(member, member.name(), depth + 1, rows);
    }
}
