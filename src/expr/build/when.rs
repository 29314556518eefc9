//! Choices between values: `when(...).then(...).otherwise(...)`.

use crate::expr::Expr;

/// Begins a choice: the value of [`then`](When::then) where the condition is true.
///
/// ```
/// use windrow::expr::{Expr, col, lit, when};
///
/// let size = when(col("bytes").lt(1024))
///     .then(lit("small"))
///     .when(col("bytes").is_null())
///     .then(lit("unknown"))
///     .otherwise(lit("large"));
/// let text = "case when bytes < 1024 then 'small' when bytes is null then 'unknown' else 'large' end";
/// assert_eq!(size, Expr::parse(text)?);
/// # Ok::<(), windrow::Error>(())
/// ```
pub fn when(condition: impl Into<Expr>) -> When {
    When {
        branches: Vec::new(),
        condition: condition.into(),
    }
}

/// A condition that waits for its value.
#[derive(Debug, Clone)]
pub struct When {
    branches: Vec<(Expr, Expr)>,
    condition: Expr,
}

impl When {
    /// The value where the condition is true, and none before it was.
    pub fn then(mut self, value: impl Into<Expr>) -> Then {
        self.branches.push((self.condition, value.into()));
        Then {
            branches: self.branches,
        }
    }
}

/// A choice that may end here; it is null where no condition is true.
#[derive(Debug, Clone)]
pub struct Then {
    branches: Vec<(Expr, Expr)>,
}

impl Then {
    /// One more condition, tried where those before are not true.
    pub fn when(self, condition: impl Into<Expr>) -> When {
        When {
            branches: self.branches,
            condition: condition.into(),
        }
    }

    /// The value where no condition is true.
    pub fn otherwise(self, value: impl Into<Expr>) -> Expr {
        Expr::Case {
            operand: None,
            branches: self.branches,
            otherwise: Some(Box::new(value.into())),
        }
    }
}

impl From<Then> for Expr {
    fn from(then: Then) -> Self {
        Expr::Case {
            operand: None,
            branches: then.branches,
            otherwise: None,
        }
    }
}
