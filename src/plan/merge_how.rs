//! Which rows come out of a merge, and of which side.
//!
//! In:  the name of a way to merge, or the value.
//! Out: the side whose rows are followed in order, what happens to those
//!      without a partner, and whether columns of the other side come out.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::ops::join::JoinKind;

/// Which rows come out of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeHow {
    /// Every pair of rows with equal keys, in the order of the left frame; the
    /// partners of one row in the order of the right one.
    #[default]
    Inner,
    /// As `Inner`, and each row of the left frame without partner, in its place.
    Left,
    /// As `Left` with the frames exchanged: in the order of the right frame.
    Right,
    /// As `Left`, and behind all others the rows of the right frame without
    /// partner, in their order.
    Outer,
    /// Rows of the left frame that have a partner, once each, with its columns only.
    Semi,
    /// Rows of the left frame that have none, with its columns only.
    Anti,
    /// Every pair of rows; there are no keys.
    Cross,
}

impl MergeHow {
    /// Whether rows of the left frame come out without a partner.
    pub(super) fn keeps_left(self) -> bool {
        matches!(self, MergeHow::Left | MergeHow::Outer)
    }

    /// Whether rows of the right frame come out without a partner.
    pub(super) fn keeps_right(self) -> bool {
        matches!(self, MergeHow::Right | MergeHow::Outer)
    }

    /// Whether columns of the right frame come out.
    pub(super) fn shows_right(self) -> bool {
        !matches!(self, MergeHow::Semi | MergeHow::Anti)
    }

    /// Whether no row of a side comes out that has no partner.
    pub(crate) fn needs_partner(self, side: Side) -> bool {
        match self {
            MergeHow::Inner | MergeHow::Semi => true,
            MergeHow::Left | MergeHow::Anti => side == Side::Right,
            MergeHow::Right => side == Side::Left,
            MergeHow::Outer | MergeHow::Cross => false,
        }
    }

    /// The side whose order the rows have that come out, and what happens to its rows.
    pub(crate) fn probe(self) -> (Side, JoinKind) {
        match self {
            MergeHow::Inner | MergeHow::Cross => (Side::Left, JoinKind::Inner),
            MergeHow::Left => (Side::Left, JoinKind::KeepProbe),
            MergeHow::Right => (Side::Right, JoinKind::KeepProbe),
            MergeHow::Outer => (Side::Left, JoinKind::KeepBoth),
            MergeHow::Semi => (Side::Left, JoinKind::Semi),
            MergeHow::Anti => (Side::Left, JoinKind::Anti),
        }
    }
}

impl fmt::Display for MergeHow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MergeHow::Inner => "inner",
            MergeHow::Left => "left",
            MergeHow::Right => "right",
            MergeHow::Outer => "outer",
            MergeHow::Semi => "semi",
            MergeHow::Anti => "anti",
            MergeHow::Cross => "cross",
        })
    }
}

impl FromStr for MergeHow {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        use MergeHow::{Anti, Cross, Inner, Left, Outer, Right, Semi};
        let all = [Inner, Left, Right, Outer, Semi, Anti, Cross];
        let found = all.into_iter().find(|how| how.to_string() == text);
        found.ok_or_else(|| {
            Error::config(
                "how",
                format!("{text:?} is none of inner, left, right, outer, semi, anti and cross"),
            )
        })
    }
}

/// A frame of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that `merge` is called on.
    Left,
    /// The other.
    Right,
}

impl Side {
    /// The other frame.
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Left => "left",
            Side::Right => "right",
        })
    }
}
