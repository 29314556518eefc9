//! How rows are to be sorted, as plain data.
//!
//! In:  columns that order rows, and where partitions are to end.
//! Out: what the executor sorts by, and its text.

use std::collections::BTreeSet;
use std::fmt;

use crate::ops::SortBy;
use crate::partition::{By, Partitioning};

/// All rows put in order. Equal rows keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// By the first column, where that is equal by the second ….
    pub by: Vec<SortBy>,
    /// Where partitions end.
    pub into: SortInto,
}

/// Where the partitions of sorted rows end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortInto {
    /// Wherever the layout behind the sort says.
    Any,
    /// About as this asks, but between different keys: only a key that would
    /// fill most of a partition lies in several.
    Keys(By),
    /// Where they end already: rows are said to be sorted, which is checked.
    Given,
}

impl Sort {
    /// What it is called in errors.
    pub fn name(&self) -> &'static str {
        match self.into {
            SortInto::Any => "sort_values",
            SortInto::Keys(_) | SortInto::Given => "set_index",
        }
    }

    /// How sorted rows lie.
    pub(super) fn partitioning(&self) -> Partitioning {
        range_of(&self.by).unwrap_or(Partitioning::Unknown)
    }

    /// The columns of the input that are looked at, where those `wanted` of the
    /// sorted rows are; none: all, and those that come late.
    pub(super) fn asked(&self, wanted: Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
        wanted.map(|mut wanted| {
            wanted.extend(self.by.iter().map(|by| by.column.clone()));
            wanted
        })
    }
}

/// How rows lie that are in an order, if divisions can say it.
pub(super) fn range_of(by: &[SortBy]) -> Option<Partitioning> {
    let first = by.first()?;
    let key = || first.column.clone();
    (!first.descending && !first.nulls_first).then(|| Partitioning::Range { key: key() })
}

/// The columns that order rows, as a caller writes them.
pub(super) fn order_text(by: &[SortBy]) -> String {
    let columns: Vec<String> = by.iter().map(ToString::to_string).collect();
    columns.join(", ")
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = order_text(&self.by);
        if self.into == SortInto::Given {
            return write!(f, "check that rows are sorted by {by}");
        }
        write!(f, "sort by {by}")?;
        if let SortInto::Keys(layout) = self.into {
            write!(f, ", cut between keys: {layout}")?;
        }
        Ok(())
    }
}
