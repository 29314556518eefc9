//! What a condition may be, of all rows of a group.
//!
//! In:  what its parts may be.
//! Out: the same of their negation and conjunction.

/// What a condition may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truth {
    pub yes: bool,
    pub no: bool,
    pub unknown: bool,
    pub fails: bool,
}

impl Truth {
    pub const NONE: Truth = Truth {
        yes: false,
        no: false,
        unknown: false,
        fails: false,
    };

    pub fn any(fails: bool) -> Self {
        Truth {
            yes: true,
            no: true,
            unknown: true,
            fails,
        }
    }

    pub fn not(self) -> Self {
        Truth {
            yes: self.no,
            no: self.yes,
            ..self
        }
    }

    /// Both, of which the second is only reached where the first is not false.
    pub fn and(self, other: Truth) -> Self {
        Truth {
            yes: self.yes && other.yes,
            no: self.no || other.no,
            unknown: (self.unknown && (other.yes || other.unknown)) || (self.yes && other.unknown),
            fails: self.fails || ((self.yes || self.unknown) && other.fails),
        }
    }
}
