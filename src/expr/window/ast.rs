//! What a window expression is, as plain data, and its text.
//!
//! In:  pieces from the builder methods or from the parser.
//! Out: a [`WindowExpr`], printed as the text that parses to it.
//!
//! ```text
//! lag(x, 1) over (partition by user)
//! sum(x) over (partition by user rows between 2 preceding and current row)
//! mean(x) over (rows within '1h' of ts)
//! ```

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::span::span_text;
use crate::expr::aggregate::AggExpr;
use crate::expr::ast::Expr;

/// A value made of rows around each row.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowExpr {
    /// What is made of them.
    pub what: Windowed,
    /// Only rows count that are equal in these; null is a value.
    pub by: Vec<Expr>,
    /// Of those, which; for aggregates.
    pub frame: Frame,
}

/// What is made of rows around a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Windowed {
    /// The place of the row among those of its group; the first is 1.
    RowNumber,
    /// The value of the row so many rows before; negative: behind. Null where there is none.
    Shift {
        /// Whose value.
        expr: Expr,
        /// How far.
        rows: i64,
    },
    /// An aggregate of the rows in the frame.
    Aggregate(AggExpr),
}

/// Which rows around a row an aggregate is made of. The row itself is one of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// From a row to a row, counted from this one: -2 is the second before it.
    Rows {
        /// The first; none: the first of the group.
        start: Option<i64>,
        /// The last; none: the last of the group.
        end: Option<i64>,
    },
    /// The rows up to this one whose time is less than `width` before its own.
    /// Times must not fall from row to row within a group.
    Within {
        /// How far back.
        width: Duration,
        /// The time of a row.
        of: Expr,
    },
}

impl Frame {
    /// All rows of the group.
    pub const ALL: Frame = Frame::Rows {
        start: None,
        end: None,
    };

    /// From the first row of the group to this one.
    pub const SO_FAR: Frame = Frame::Rows {
        start: None,
        end: Some(0),
    };
}

/// The place of each row among all, or in its group with [`over`](Expr::over);
/// the first is 1: `row_number() over ()`.
pub fn row_number() -> Expr {
    Expr::Window(Box::new(WindowExpr {
        what: Windowed::RowNumber,
        by: Vec::new(),
        frame: Frame::ALL,
    }))
}

impl WindowExpr {
    /// The expressions directly inside.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        let mut inside: Vec<&Expr> = match &self.what {
            Windowed::RowNumber => Vec::new(),
            Windowed::Shift { expr, .. } => vec![expr],
            Windowed::Aggregate(aggregate) => aggregate.args().iter().collect(),
        };
        inside.extend(&self.by);
        if let Frame::Within { of, .. } = &self.frame {
            inside.push(of);
        }
        inside
    }

    /// The same, to be changed.
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Expr> {
        let (mut inside, by) = self.looked_at_mut();
        inside.extend(by);
        inside
    }

    /// What values and times are made of, and what tells groups apart, to be changed.
    pub(super) fn looked_at_mut(&mut self) -> (Vec<&mut Expr>, &mut Vec<Expr>) {
        let mut inside: Vec<&mut Expr> = match &mut self.what {
            Windowed::RowNumber => Vec::new(),
            Windowed::Shift { expr, .. } => vec![expr],
            Windowed::Aggregate(aggregate) => aggregate.args_mut().iter_mut().collect(),
        };
        if let Frame::Within { of, .. } = &mut self.frame {
            inside.push(of);
        }
        (inside, &mut self.by)
    }

    /// Whether it looks at rows behind its own.
    pub(crate) fn looks_ahead(&self) -> bool {
        match (&self.what, &self.frame) {
            (Windowed::RowNumber, _) => false,
            (Windowed::Shift { rows, .. }, _) => *rows < 0,
            (Windowed::Aggregate(_), Frame::Rows { end, .. }) => *end != Some(0),
            (Windowed::Aggregate(_), Frame::Within { .. }) => false,
        }
    }

    /// What a value is made of; none where rows alone are counted.
    pub(crate) fn value(&self) -> Option<&Expr> {
        match &self.what {
            Windowed::RowNumber => None,
            Windowed::Shift { expr, .. } => Some(expr),
            Windowed::Aggregate(aggregate) => aggregate.args().first(),
        }
    }

    /// The time of a row, where the frame is a length of time.
    pub(crate) fn time(&self) -> Option<&Expr> {
        match &self.frame {
            Frame::Within { of, .. } => Some(of),
            Frame::Rows { .. } => None,
        }
    }
}

impl Display for WindowExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.what {
            Windowed::RowNumber => f.write_str("row_number()")?,
            Windowed::Shift { expr, rows } if *rows < 0 => {
                write!(f, "lead({expr}, {})", rows.unsigned_abs())?;
            }
            Windowed::Shift { expr, rows } => write!(f, "lag({expr}, {rows})")?,
            Windowed::Aggregate(aggregate) => write!(f, "{aggregate}")?,
        }
        let mut parts = Vec::new();
        if !self.by.is_empty() {
            let keys: Vec<String> = self.by.iter().map(ToString::to_string).collect();
            parts.push(format!("partition by {}", keys.join(", ")));
        }
        if self.frame != Frame::ALL {
            parts.push(self.frame.to_string());
        }
        write!(f, " over ({})", parts.join(" "))
    }
}

impl Display for Frame {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bound = |offset: Option<i64>, whole: &str| match offset {
            None => format!("unbounded {whole}"),
            Some(0) => "current row".to_owned(),
            Some(offset) if offset < 0 => format!("{} preceding", offset.unsigned_abs()),
            Some(offset) => format!("{offset} following"),
        };
        match self {
            Frame::Rows { start, end } => write!(
                f,
                "rows between {} and {}",
                bound(*start, "preceding"),
                bound(*end, "following")
            ),
            Frame::Within { width, of } => {
                write!(f, "rows within '{}' of {of}", span_text(*width))
            }
        }
    }
}
