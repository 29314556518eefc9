//! Calls on a frame, and what they do to rows.

use windrow::expr::col;
use windrow::{By, DataFrame, How};

use super::rows::{Cell, Row};
use super::value::Value;

/// One call.
#[derive(Debug, Clone)]
pub enum Call {
    With(Vec<(String, Value)>),
    /// New name, old column.
    Copy(String, String),
    Drop(Vec<String>),
    Rename(Vec<(String, String)>),
    Select(Vec<(String, Value)>),
    Filter(Value),
    FillNa(Vec<String>, i64),
    DropNa(Vec<String>, How),
    Limit(u64),
    Repartition(By),
}

impl Call {
    pub fn on_frame(&self, frame: &DataFrame) -> windrow::Result<DataFrame> {
        match self {
            Call::With(columns) => {
                frame.with_columns(columns.iter().map(|(name, value)| (name, value.expr())))
            }
            Call::Copy(name, old) => frame.with_column(name, col(old.as_str())),
            Call::Drop(names) => frame.drop(names),
            Call::Rename(pairs) => frame.rename(pairs.clone()),
            Call::Select(columns) => frame.select(
                columns
                    .iter()
                    .map(|(name, value)| value.expr().alias(name.as_str())),
            ),
            Call::Filter(value) => frame.filter(value.expr()),
            Call::FillNa(names, value) => frame.fillna(names, *value),
            Call::DropNa(names, how) => frame.dropna(names, *how),
            Call::Limit(rows) => Ok(frame.limit(*rows)),
            Call::Repartition(by) => frame.repartition(*by),
        }
    }

    pub fn on_rows(&self, rows: Vec<Row>) -> Vec<Row> {
        let each = |change: &dyn Fn(&Row) -> Row| rows.iter().map(change).collect();
        match self {
            Call::With(columns) => each(&|row| {
                let mut new = row.clone();
                for (name, value) in columns {
                    put(&mut new, name, value.number(row).into());
                }
                new
            }),
            Call::Copy(name, old) => each(&|row| {
                let mut new = row.clone();
                put(&mut new, name, row.get(old).cloned().unwrap_or(Cell::Null));
                new
            }),
            Call::Drop(names) => each(&|row| {
                let mut new = row.clone();
                new.retain(|name, _| !names.contains(name));
                new
            }),
            Call::Rename(pairs) => each(&|row| {
                let new_name = |name: &String| {
                    let pair = pairs.iter().find(|(from, _)| from == name);
                    pair.map_or(name.clone(), |(_, to)| to.clone())
                };
                row.iter()
                    .map(|(name, cell)| (new_name(name), cell.clone()))
                    .collect()
            }),
            Call::Select(columns) => each(&|row| {
                let mut new = Row::new();
                for (name, value) in columns {
                    let cell = match value {
                        Value::Column(old) => row.get(old).cloned().unwrap_or(Cell::Null),
                        other => other.number(row).into(),
                    };
                    put(&mut new, name, cell);
                }
                new
            }),
            Call::Filter(value) => rows
                .into_iter()
                .filter(|row| value.truth(row) == Some(true))
                .collect(),
            Call::FillNa(names, value) => each(&|row| {
                let mut new = row.clone();
                for name in names {
                    new.entry(name.clone())
                        .or_insert(Cell::Number(*value as f64));
                }
                new
            }),
            Call::DropNa(names, how) => {
                let present = |row: &Row, name: &String| row.contains_key(name);
                let keeps = |row: &Row| match how {
                    How::Any => names.iter().all(|name| present(row, name)),
                    How::All => names.iter().any(|name| present(row, name)),
                };
                rows.into_iter().filter(keeps).collect()
            }
            Call::Limit(count) => rows.into_iter().take(*count as usize).collect(),
            Call::Repartition(_) => rows,
        }
    }
}

fn put(row: &mut Row, name: &str, cell: Cell) {
    match cell {
        Cell::Null => row.remove(name),
        cell => row.insert(name.to_owned(), cell),
    };
}
