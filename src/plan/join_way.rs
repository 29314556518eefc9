//! How the rows of two frames are brought together, and how joined rows lie.
//!
//! In:  a merge and its two inputs: about how large they are, and what is known
//!      of the order of their rows.
//! Out: the side that is held, or the order in which both go side by side.

use std::collections::BTreeSet;
use std::fmt;

use arrow_schema::Schema;

use super::join::{ColumnOf, Join, field};
use super::logical::Logical;
use super::merge_how::{MergeHow, Side};
use super::ways::{Way, Ways};
use crate::partition::Partitioning;

/// Logical bytes of a side that is held, although the other one is far smaller:
/// holding it costs less than putting joined rows back into the other's order.
const LARGE_BYTES: u64 = 64 << 20;

/// Rows of such a side: a table of them does not stay in the cache of a core.
const LARGE_ROWS: u64 = 1 << 20;

/// How many times as large as thought a sorted side may be that is not held.
const STORED_SMALLER: u64 = 8;

/// How many times as large as a side whose order counts another one must be to
/// stream past it.
const FAR_SMALLER: u64 = 16;

/// The same where only rows of the side whose order counts come out: they are
/// those of its table, and need not be put in order.
const SMALLER: u64 = 2;

/// How many times as many rows as that side has must be read for the other one,
/// so that its keys may spare most of them.
const SPARED: u64 = 8;

/// How the rows of two frames meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinWay {
    /// This side is held first, and looked up if it is not too large. If it is,
    /// rows are moved by key; unless both have one order already.
    Hold(Side, Option<OneOrder>),
    /// Both come in one order, and go side by side.
    InOrder(OneOrder),
}

/// An order that both frames of a merge come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOrder {
    /// Each is sorted by its key.
    Sorted {
        /// The key of the left frame.
        left: String,
        /// That of the right frame.
        right: String,
    },
    /// Both lie in as many partitions by the hashes of their keys.
    Hashed {
        /// The keys of the left frame.
        left: Vec<String>,
        /// Those of the right frame.
        right: Vec<String>,
        /// How many partitions.
        count: usize,
        /// Whether the side whose order does not count has yet to be moved there.
        moves: bool,
    },
}

impl fmt::Display for OneOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |left: &str, right: &str| match left == right {
            true => left.to_owned(),
            false => format!("{left} and {right}"),
        };
        match self {
            OneOrder::Sorted { left, right } => {
                write!(
                    f,
                    "side by side by {}, as both are sorted",
                    pair(left, right)
                )
            }
            OneOrder::Hashed {
                left,
                right,
                count,
                moves,
            } => {
                let keys = pair(&left.join(", "), &right.join(", "));
                write!(f, "side by side in {count} partitions by {keys}, where ")?;
                f.write_str(if *moves { "one side lies" } else { "both lie" })
            }
        }
    }
}

impl Join {
    /// How the rows of two inputs are to meet. Where both are sorted by a key, and
    /// the one whose order does not count is large, side by side; else one is held:
    /// that one, unless it is large and the other one is far smaller.
    pub(super) fn way(&self, left: &Logical, right: &Logical, ways: Ways) -> JoinWay {
        let (probe, _) = self.how.probe();
        let of_build = match probe {
            Side::Left => right.estimate().bytes,
            Side::Right => left.estimate().bytes,
        };
        let large = self
            .hold
            .map_or(LARGE_BYTES, |hold| hold.bytes().min(LARGE_BYTES));
        let order = match ways.takes(Way::SideBySide) {
            true => self.one_order(left, right),
            false => None,
        };
        let is_there = matches!(
            order,
            Some(OneOrder::Sorted { .. } | OneOrder::Hashed { moves: false, .. })
        );
        // What is stored in order is stored small: there are more bytes than are thought.
        if let (true, Some(order)) = (is_there && of_build > large / STORED_SMALLER, &order) {
            return JoinWay::InOrder(order.clone());
        }
        let flips = match probe {
            _ if !ways.takes(Way::FewerRowsHeld) => false,
            Side::Left => self.flips(left, right, large),
            Side::Right => self.flips(right, left, large),
        };
        JoinWay::Hold(if flips { probe } else { probe.other() }, order)
    }

    /// Whether the side whose order counts is held, and the other one streams past it.
    fn flips(&self, probe: &Logical, build: &Logical, large: u64) -> bool {
        // Rows without a key meet all: they come out in the order of the probe side anyway.
        if self.on.is_empty() || self.next_to.is_some() {
            return false;
        }
        let (of_probe, of_build) = (probe.estimate(), build.estimate());
        if matches!(self.how, MergeHow::Semi | MergeHow::Anti) {
            let read: u64 = build.scans().iter().map(|scan| scan.estimate.rows).sum();
            let spares = probe.leaves_out() && of_probe.rows.saturating_mul(SPARED) <= read;
            return spares || of_probe.rows.saturating_mul(SMALLER) <= of_build.rows;
        }
        let smaller = |probe: u64, build: u64| probe.saturating_mul(FAR_SMALLER) <= build;
        (of_build.bytes > large && smaller(of_probe.bytes, of_build.bytes))
            || (of_build.rows > LARGE_ROWS && smaller(of_probe.rows, of_build.rows))
    }

    /// The order that both inputs have, or the one whose order does not count could
    /// be brought to by moving it alone. Rows without partner that come last would
    /// have to wait.
    fn one_order(&self, left: &Logical, right: &Logical) -> Option<OneOrder> {
        if self.next_to.is_some() || self.how == MergeHow::Outer {
            return None;
        }
        let schemas = (left.schema().ok()?, right.schema().ok()?);
        let alike = |pair: &&(String, String)| alike(pair, &schemas.0, &schemas.1);
        let pairs = || self.on.iter().filter(alike);
        let lie = (left.partitioning(), right.partitioning());
        if let (Partitioning::Range { key: of_left }, Partitioning::Range { key: of_right }) = &lie
        {
            let mut pairs = pairs();
            let pair = pairs.find(|(left, right)| left == of_left && right == of_right)?;
            let (left, right) = pair.clone();
            return Some(OneOrder::Sorted { left, right });
        }
        let (probe, _) = self.how.probe();
        let (of_probe, of_build) = match probe {
            Side::Left => (lie.0, lie.1),
            Side::Right => (lie.1, lie.0),
        };
        let Partitioning::Hash { keys, count } = of_probe else {
            return None;
        };
        let of_key = |key: &String| {
            let mut pairs = pairs();
            pairs.find(|(left, right)| *key == *if probe == Side::Left { left } else { right })
        };
        let found: Option<Vec<_>> = keys.iter().map(of_key).collect();
        let (left, right): (Vec<String>, Vec<String>) = found?.into_iter().cloned().unzip();
        let there = Partitioning::Hash {
            keys: if probe == Side::Left {
                right.clone()
            } else {
                left.clone()
            },
            count,
        };
        Some(OneOrder::Hashed {
            moves: of_build != there,
            left,
            right,
            count,
        })
    }

    /// Whether rows with equal values in the columns `shown` of joined rows have
    /// equal keys: they are cut to one place then.
    pub(crate) fn brings_together(
        &self,
        shown: &BTreeSet<String>,
        left: &Schema,
        right: &Schema,
    ) -> bool {
        if self.next_to.is_some() || self.on.is_empty() {
            return false;
        }
        let (keeps_left, keeps_right) = (self.how.keeps_left(), self.how.keeps_right());
        let stands_for = |name: &String, (of_left, of_right): &(String, String)| {
            let column = self.columns.iter().find(|(shown, _)| shown == name);
            // A key is null where its side has no row.
            column.is_some_and(|(_, of)| match of {
                ColumnOf::Left(name) => name == of_left && !keeps_right,
                ColumnOf::Right(name) => name == of_right && !keeps_left,
                ColumnOf::Both(name) => name == of_left && name == of_right,
            })
        };
        self.on
            .iter()
            .all(|pair| alike(pair, left, right) && shown.iter().any(|name| stands_for(name, pair)))
    }

    /// Whether all joined rows of one row of the probe side have one value in this column.
    pub(crate) fn is_of_probe(&self, shown: &str) -> bool {
        let (probe, _) = self.how.probe();
        let column = self.columns.iter().find(|(name, _)| name == shown);
        column.is_some_and(|(_, of)| match of {
            ColumnOf::Left(name) => probe == Side::Left || self.on.iter().any(|on| on.0 == *name),
            ColumnOf::Right(name) => probe == Side::Right || self.on.iter().any(|on| on.1 == *name),
            ColumnOf::Both(_) => true,
        })
    }

    /// What is known of how joined rows lie: they have the order of one input.
    pub(super) fn partitioning(&self, left: &Logical, right: &Logical) -> Partitioning {
        let (side, _) = self.how.probe();
        let input = match side {
            Side::Left => left.partitioning(),
            Side::Right => right.partitioning(),
        };
        if self.how == MergeHow::Outer || !matches!(input, Partitioning::Range { .. }) {
            return Partitioning::Unknown;
        }
        input.renamed(|column| {
            let shown = self.columns.iter().find(|(_, of)| match of {
                ColumnOf::Left(name) => side == Side::Left && name == column,
                ColumnOf::Right(name) => side == Side::Right && name == column,
                ColumnOf::Both(name) => name == column,
            });
            shown.map(|(name, _)| name.clone())
        })
    }
}

/// Whether keys of these names are of one type, or both whole numbers: values that
/// are equal have one place in the order then, and one hash.
fn alike((of_left, of_right): &(String, String), left: &Schema, right: &Schema) -> bool {
    let (Ok(of_left), Ok(of_right)) = (field(left, of_left), field(right, of_right)) else {
        return false;
    };
    let types = (of_left.data_type(), of_right.data_type());
    types.0 == types.1 || (types.0.is_integer() && types.1.is_integer())
}
