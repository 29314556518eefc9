//! Rows that meet by key, as plain data.
//!
//! In:  keys and a number of partitions, or the bounds of partitions.
//! Out: what the executor routes rows by, and its text.

use std::collections::BTreeSet;
use std::fmt;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array};
use arrow_schema::{DataType, Schema};
use arrow_select::concat::concat;

use crate::error::Result;
use crate::expr::{Scalar, lit};
use crate::partition::Partitioning;

/// Which partition a row goes to. Rows of a partition keep their order.
#[derive(Debug, Clone, PartialEq)]
pub enum ShuffleBy {
    /// Rows with equal keys go to one of so many partitions; null is a key.
    Hash {
        /// Columns.
        keys: Vec<String>,
        /// How many partitions.
        count: usize,
    },
    /// Rows that are sorted by a column, in partitions from one bound to the next.
    Divisions {
        /// The column.
        key: String,
        /// One more than partitions; the last bound belongs to the last partition.
        bounds: Vec<Scalar>,
        /// Whether the first and the last partition take what lies outside.
        force: bool,
    },
}

impl ShuffleBy {
    /// What it is called in errors.
    pub fn name(&self) -> &'static str {
        match self {
            ShuffleBy::Hash { .. } => "shuffle",
            ShuffleBy::Divisions { .. } => "repartition",
        }
    }

    /// The columns that decide.
    pub fn keys(&self) -> &[String] {
        match self {
            ShuffleBy::Hash { keys, .. } => keys,
            ShuffleBy::Divisions { key, .. } => std::slice::from_ref(key),
        }
    }

    /// How rows lie then.
    pub(super) fn partitioning(&self) -> Partitioning {
        match self {
            ShuffleBy::Hash { keys, count } => Partitioning::Hash {
                keys: keys.clone(),
                count: *count,
            },
            ShuffleBy::Divisions { key, .. } => Partitioning::Range { key: key.clone() },
        }
    }

    /// The columns of the input that are looked at, where those `wanted` of the
    /// rows are; none: all, and those that come late.
    pub(super) fn asked(&self, wanted: Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
        wanted.map(|mut wanted| {
            wanted.extend(self.keys().iter().cloned());
            wanted
        })
    }
}

/// Constants in one type.
///
/// # Errors
///
/// [`crate::Error::Plan`] for one that is no value of that type.
pub(crate) fn typed_array(values: &[Scalar], of: &DataType) -> Result<ArrayRef> {
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    let none = Arc::new(Schema::empty());
    let row = RecordBatch::try_new_with_options(Arc::clone(&none), Vec::new(), &one)?;
    let typed = |value: &Scalar| {
        let cast = lit(value.clone()).cast(of.clone()).bind(&none)?;
        cast.column(&row)
    };
    let typed = values.iter().map(typed).collect::<Result<Vec<_>>>()?;
    let typed: Vec<_> = typed.iter().map(|value| &**value).collect();
    match typed.is_empty() {
        true => Ok(new_empty_array(of)),
        false => Ok(concat(&typed)?),
    }
}

impl fmt::Display for ShuffleBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShuffleBy::Hash { keys, count } => {
                write!(f, "shuffle by {} into {count} partitions", keys.join(", "))
            }
            ShuffleBy::Divisions { key, bounds, force } => {
                let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
                let outside = if *force {
                    ", wider where rows lie outside"
                } else {
                    ""
                };
                write!(f, "cut {key} at {}{outside}", bounds.join(", "))
            }
        }
    }
}
