//! What all rows are folded into, as plain data.
//!
//! In:  names of columns, and aggregates of them.
//! Out: the columns that are looked at, those that come out, and an operator.
//!
//! What is aggregated is a column: whoever builds a plan computes the others in
//! a projection before the fold, so that a row without a value is named as anywhere.

use std::collections::BTreeSet;
use std::fmt;

use arrow_schema::{Schema, SchemaRef};

use super::sort::order_text;
use crate::error::Result;
use crate::expr::{AggExpr, Aggregate, col, count, output_names, roots};
use crate::ops::{self, SortBy, TopKey};

/// Makes a few rows of all rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Fold {
    /// One row for each group, in order of first appearance; null is a group.
    /// Without keys all rows are one group, also where there are none.
    Groups {
        /// Columns whose values make a group.
        keys: Vec<String>,
        /// What is made of each group, with the names of the results.
        aggregates: Vec<(String, AggExpr)>,
    },
    /// The first rows in some order; equal rows keep theirs.
    TopRows {
        /// At most so many.
        rows: usize,
        /// By the first column, where that is equal by the second ….
        by: Vec<SortBy>,
        /// Which call asks for them.
        call: TopCall,
    },
    /// A table of statistics.
    Describe {
        /// A column of the table for each.
        columns: Vec<String>,
    },
}

/// The calls that the first rows of an order answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopCall {
    /// `nlargest`.
    Largest,
    /// `nsmallest`.
    Smallest,
    /// `sort_values` with a limit behind it. Types are known before any row is read.
    Sorted,
}

impl Fold {
    /// How many rows have each value of some columns.
    pub(crate) fn counts(keys: Vec<String>) -> Fold {
        let rows = count();
        let name = output_names(std::slice::from_ref(&rows), &keys).remove(0);
        let aggregates = vec![(name, rows)];
        Fold::Groups { keys, aggregates }
    }

    /// What it is called in errors.
    pub fn name(&self) -> &'static str {
        match self {
            // One row of each group, or its keys alone.
            Fold::Groups { aggregates, .. } if aggregates.iter().all(is_row) => "drop_duplicates",
            Fold::Groups { .. } => "agg",
            Fold::TopRows { call, .. } => match call {
                TopCall::Largest => "nlargest",
                TopCall::Smallest => "nsmallest",
                TopCall::Sorted => "sort_values",
            },
            Fold::Describe { .. } => "describe",
        }
    }

    /// An operator over rows with these columns.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names; for types that
    /// cannot be aggregated so; for two results of one name.
    pub fn bind(&self, schema: &Schema) -> Result<ops::Fold> {
        let bound = |name: &String| Ok((name.clone(), col(name).bind(schema)?));
        Ok(match self {
            Fold::Groups { keys, aggregates } => {
                let keys = keys.iter().map(bound).collect::<Result<_>>()?;
                let bind = |(name, of): &(String, AggExpr)| Ok((name.clone(), of.bind(schema)?));
                let aggregates = aggregates.iter().map(bind).collect::<Result<_>>()?;
                ops::Fold::Groups(ops::Aggregate::try_new(keys, aggregates)?)
            }
            Fold::TopRows { rows, by, call } => {
                let key = |by: &SortBy| {
                    Ok(TopKey {
                        expr: col(&by.column).bind(schema)?,
                        options: by.options(),
                        typed: *call == TopCall::Sorted,
                    })
                };
                let keys = by.iter().map(key).collect::<Result<_>>()?;
                ops::Fold::Top(ops::TopRows::new(*rows, keys))
            }
            Fold::Describe { columns } => {
                ops::Fold::Describe(ops::Describe::try_new(schema, columns)?)
            }
        })
    }

    /// The columns that come out, as far as they are known.
    ///
    /// # Errors
    ///
    /// As [`Fold::bind`].
    pub fn schema(&self, input: &SchemaRef) -> Result<SchemaRef> {
        Ok(self.bind(input)?.schema(input))
    }

    /// The columns of the input of which it matters only which values are equal.
    pub(super) fn coded(&self) -> Vec<String> {
        match self {
            Fold::Groups { keys, aggregates } => {
                let looked_at = |key: &String| {
                    let mut aggregates = aggregates.iter();
                    aggregates.any(|(_, of)| of.columns().contains(key))
                };
                keys.iter().filter(|key| !looked_at(key)).cloned().collect()
            }
            Fold::TopRows { .. } | Fold::Describe { .. } => Vec::new(),
        }
    }

    /// The columns of the input that are looked at, where those `wanted` of the
    /// answer are; none: all, and those that come late.
    pub(super) fn asked(
        &self,
        wanted: Option<BTreeSet<String>>,
        input: &Schema,
    ) -> Option<BTreeSet<String>> {
        let of = |names: &[String]| {
            let roots = names.iter().flat_map(|name| roots(&col(name), input));
            roots.collect::<BTreeSet<String>>()
        };
        match self {
            Fold::Groups { keys, aggregates } => {
                let mut needed = of(keys);
                let args = aggregates.iter().flat_map(|(_, of)| of.args());
                needed.extend(args.flat_map(|arg| roots(arg, input)));
                Some(needed)
            }
            Fold::Describe { columns } => Some(of(columns)),
            // Its rows come out with all columns that somebody wants.
            Fold::TopRows { by, .. } => wanted.map(|mut wanted| {
                let columns: Vec<String> = by.iter().map(|by| by.column.clone()).collect();
                wanted.extend(of(&columns));
                wanted
            }),
        }
    }
}

/// Whether an aggregate is a value of one row of its group.
fn is_row((_, of): &(String, AggExpr)) -> bool {
    matches!(of.aggregate(), Aggregate::FirstRow | Aggregate::LastRow)
}

impl fmt::Display for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fold::Groups { keys, aggregates } => {
                let texts: Vec<String> = aggregates
                    .iter()
                    .map(|(_, aggregate)| aggregate.to_string())
                    .collect();
                write!(f, "aggregate {}", texts.join(", "))?;
                if !keys.is_empty() {
                    write!(f, " by {}", keys.join(", "))?;
                }
                Ok(())
            }
            Fold::TopRows { rows, by, call } => {
                let columns: Vec<&str> = by.iter().map(|by| by.column.as_str()).collect();
                let columns = columns.join(", ");
                match call {
                    TopCall::Largest => write!(f, "{rows} rows with the largest {columns}"),
                    TopCall::Smallest => write!(f, "{rows} rows with the smallest {columns}"),
                    TopCall::Sorted => write!(f, "first {rows} rows by {}", order_text(by)),
                }
            }
            Fold::Describe { columns } => write!(f, "describe {}", columns.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_an_aggregate_looks_at_is_wanted_as_it_is() {
        let keys = vec!["a".to_owned(), "b".to_owned()];
        let greatest = ("greatest".to_owned(), col("a").max());
        let groups = Fold::Groups {
            keys: keys.clone(),
            aggregates: vec![greatest],
        };
        assert_eq!(groups.coded(), ["b"]);
        let aggregates = Vec::new();
        assert_eq!(Fold::Groups { keys, aggregates }.coded(), ["a", "b"]);
    }
}
