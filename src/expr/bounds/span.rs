//! Where values may lie.
//!
//! In:  bounds, in the order of the kind they are compared as.
//! Out: whether values within them may meet, or stand below others.

use std::cmp::Ordering;

use arrow_array::{Array, ArrayRef};

use crate::error::Result;
use crate::expr::compare::Mode;
use crate::expr::convert::Value;
use crate::expr::decimal::{self, Decimals};
use crate::expr::number::Num;

/// A value in the order of the kind it is compared as.
#[derive(Debug, Clone)]
pub(super) enum Point {
    Number(Num),
    /// With so many digits behind the point.
    Decimal(i128, u8),
    Time(i128),
    Text(String),
    Bool(bool),
}

impl Point {
    /// Points of two kinds never meet: a comparison has one kind.
    pub fn cmp(&self, other: &Point) -> Ordering {
        match (self, other) {
            (Point::Number(a), Point::Number(b)) => a.total_cmp(*b),
            (Point::Decimal(a, behind_a), Point::Decimal(b, behind_b)) => {
                decimal::compare((*a, *behind_a), (*b, *behind_b))
            }
            (Point::Time(a), Point::Time(b)) => a.cmp(b),
            (Point::Text(a), Point::Text(b)) => a.cmp(b),
            (Point::Bool(a), Point::Bool(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }

    /// The first value of an array, under a kind of comparison.
    pub fn of(array: &ArrayRef, mode: &Mode) -> Result<Option<Point>> {
        let value = Value::constant(ArrayRef::clone(array));
        Ok(match mode {
            Mode::Number => value.numbers()?.get(0).map(Point::Number),
            Mode::Decimal => Decimals::of(array)?
                .filter(|decimals| {
                    decimals
                        .nulls
                        .as_ref()
                        .is_none_or(|nulls| nulls.is_valid(0))
                })
                .map(|decimals| Point::Decimal(decimals.values[0], decimals.behind)),
            Mode::Time => value.times()?.get(0).map(Point::Time),
            Mode::Text => {
                let texts = value.texts()?;
                texts
                    .is_valid(0)
                    .then(|| Point::Text(texts.value(0).to_owned()))
            }
            Mode::Bool => value.bools()?.iter().next().flatten().map(Point::Bool),
            Mode::Native(_) => None,
        })
    }
}

/// Values between two points, both included. No point: no bound.
#[derive(Debug, Clone, Default)]
pub(super) struct Span {
    pub low: Option<Point>,
    pub high: Option<Point>,
}

impl Span {
    pub fn point(at: Point) -> Self {
        Span {
            low: Some(at.clone()),
            high: Some(at),
        }
    }

    /// Whether some value here may be below some value of `other`.
    pub fn may_be_below(&self, other: &Span) -> bool {
        match (&self.low, &other.high) {
            (Some(low), Some(high)) => low.cmp(high).is_lt(),
            _ => true,
        }
    }

    /// Whether both may hold the same value.
    pub fn may_meet(&self, other: &Span) -> bool {
        let reaches = |low: &Option<Point>, high: &Option<Point>| match (low, high) {
            (Some(low), Some(high)) => low.cmp(high).is_le(),
            _ => true,
        };
        reaches(&self.low, &other.high) && reaches(&other.low, &self.high)
    }
}

/// What an operand may be under a kind of comparison.
pub(super) struct Operand {
    /// Where its values are. None: it has none.
    pub spans: Vec<Span>,
    pub nulls: bool,
}

impl Operand {
    pub fn anything() -> Self {
        Operand {
            spans: vec![Span::default()],
            nulls: true,
        }
    }

    pub fn constant(point: Option<Point>) -> Self {
        Operand {
            nulls: point.is_none(),
            spans: point.into_iter().map(Span::point).collect(),
        }
    }
}

/// Which orders two operands may stand in.
#[derive(Default)]
pub(super) struct Orders {
    pub below: bool,
    pub equal: bool,
    pub above: bool,
}
