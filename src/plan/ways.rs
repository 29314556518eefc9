//! What lowering does to spare work, and how each of it is left off.
//!
//! In:  names.
//! Out: the ways that are taken; rows and their order are the same without any of them.
//!
//! The rules of [`super::optimize`] change what is asked for; these, how it is done.

use std::cell::Cell;

use crate::size::ByteSize;

/// A way to spare work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Steps that need no other partition are done in one go, not in a stage each.
    Fusion,
    /// Rows are folded where they are read, and what was made of them is merged.
    PartialAggregation,
    /// A side of a merge that is small is held whole, and the other streams past it.
    Broadcast,
    /// Also where its order counts, if it is smaller by far.
    FewerRowsHeld,
    /// Sides that lie in one order go side by side, and are not moved by key.
    SideBySide,
    /// Rows that lie together by key are grouped by it where they lie.
    GroupsTogether,
    /// Rows that meet no held row are left out where files are read.
    RuntimeFilter,
    /// Files, row groups and pages without a row for a filter are passed over.
    Statistics,
    /// What a filter does not look at is decoded of rows that pass it only.
    LateColumns,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 9] = [
        Way::Fusion,
        Way::PartialAggregation,
        Way::Broadcast,
        Way::FewerRowsHeld,
        Way::SideBySide,
        Way::GroupsTogether,
        Way::RuntimeFilter,
        Way::Statistics,
        Way::LateColumns,
    ];

    /// What it is called where it is left off.
    pub fn name(self) -> &'static str {
        match self {
            Way::Fusion => "fusion",
            Way::PartialAggregation => "partial_aggregation",
            Way::Broadcast => "broadcast",
            Way::FewerRowsHeld => "fewer_rows_held",
            Way::SideBySide => "side_by_side",
            Way::GroupsTogether => "groups_together",
            Way::RuntimeFilter => "runtime_filter",
            Way::Statistics => "statistics",
            Way::LateColumns => "late_columns",
        }
    }
}

/// The ways that are taken: all but some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ways {
    /// A bit for each that is not.
    off: u16,
}

impl Ways {
    /// All but those of these names.
    pub fn without(off: &[&str]) -> Self {
        let named = Way::ALL.iter().filter(|way| off.contains(&way.name()));
        Ways {
            off: named.fold(0, |off, way| off | 1 << *way as u16),
        }
    }

    /// The same but for one.
    #[must_use]
    pub fn leaving_off(self, way: Way) -> Self {
        Ways {
            off: self.off | 1 << way as u16,
        }
    }

    /// Whether one is taken.
    pub fn takes(self, way: Way) -> bool {
        self.off & 1 << way as u16 == 0
    }
}

/// What a plan is lowered under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lowering<'a> {
    /// That of the session, for sources that name none.
    pub blocksize: ByteSize,
    pub ways: Ways,
    /// Pipelines so far.
    pub numbers: &'a Cell<usize>,
}

impl Lowering<'_> {
    /// The number of one more pipeline.
    pub fn next_number(self) -> usize {
        let number = self.numbers.get() + 1;
        self.numbers.set(number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_left_off_and_nothing_else() {
        for left_off in Way::ALL {
            let ways = Ways::without(&[left_off.name(), "another"]);
            for way in Way::ALL {
                assert_eq!(ways.takes(way), way != left_off);
                assert_eq!(
                    Ways::default().leaving_off(left_off).takes(way),
                    way != left_off
                );
                assert!(Ways::default().takes(way));
            }
        }
    }
}
