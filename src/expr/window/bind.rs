//! Names and types of a window, checked once.
//!
//! In:  a [`WindowExpr`] and a schema.
//! Out: a [`BoundWindow`], or an error that names the part that does not fit.

use std::sync::Arc;

use arrow_schema::{DataType, Schema, TimeUnit};

use super::ast::{Frame, WindowExpr, Windowed};
use super::conditions::Conditions;
use super::fold::{Folding, Kernel, Running};
use super::marks::{Marks, Reach};
use super::moments::Variances;
use super::pick::{Pick, Which};
use super::ranks::Quantiles;
use super::sums::{Counts, FloatSums, Products, WholeSums};
use crate::error::{Error, Result};
use crate::expr::aggregate::{AggExpr, Aggregate};
use crate::expr::ast::Expr;
use crate::expr::group_table::{GroupTable, plain_type};

/// A window whose names and types were checked against a schema.
#[derive(Debug, Clone)]
pub(crate) struct BoundWindow {
    what: What,
    reach: Reach,
    /// When a value is known.
    pub course: Course,
    /// Of the values that it is made of; `Null` where rows alone count.
    value_type: DataType,
    data_type: DataType,
    text: Arc<str>,
}

/// When the value of a row is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// When the row comes.
    Forward,
    /// When the row comes as rows go from the last to the first.
    Mirrored,
    /// When so many rows of its group came after it, or none is left.
    Delayed(usize),
    /// When the last row of its group came.
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    RowNumber,
    Before(usize),
    Aggregate(Aggregate),
}

/// Where a window stands that cannot be told where it stands.
pub(crate) struct Misplaced<'a>(pub &'a Expr);

impl Misplaced<'_> {
    /// The error that says where windows may stand.
    pub fn error(&self) -> Error {
        Error::plan(format!(
            "{} looks at other rows than its own: windows stand in select and with_column; \
             filter the column that one gives",
            self.0
        ))
    }
}

impl WindowExpr {
    /// Checks names and types against a schema.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown name, with names near it; for a type or an
    /// aggregate that a window cannot hold; for a frame without its own row.
    pub(crate) fn bind(&self, schema: &Schema) -> Result<BoundWindow> {
        let key_type = |key: &Expr| Ok(key.bind(schema)?.column_type());
        let key_types = self.by.iter().map(key_type).collect::<Result<Vec<_>>>()?;
        if !key_types.is_empty() {
            // Whether values of these types can be told apart.
            GroupTable::try_new(key_types)?;
        }
        let value_type = match self.value() {
            None => DataType::Null,
            Some(value) => match (&self.what, value.bind(schema)?.column_type()) {
                (Windowed::Aggregate(_), of) => plain_type(of),
                (_, of) => of,
            },
        };
        let (mut what, data_type) = match &self.what {
            Windowed::RowNumber => (What::RowNumber, DataType::Int64),
            Windowed::Shift { rows, .. } => {
                let rows = usize::try_from(rows.unsigned_abs()).unwrap_or(usize::MAX);
                (What::Before(rows), value_type.clone())
            }
            Windowed::Aggregate(aggregate) => {
                let data_type = match aggregate.bind(schema)?.data_type() {
                    // As a column of nulls alone comes out.
                    DataType::Null => DataType::Utf8,
                    other => other.clone(),
                };
                (What::Aggregate(self.known(aggregate)?), data_type)
            }
        };
        let (course, reach) = self.course(schema)?;
        if course == Course::Mirrored {
            what = what.mirrored();
        }
        if what == What::Aggregate(Aggregate::Product) && reach != Reach::All {
            return Err(Error::plan(format!(
                "{self}: a product reaches back to the first row, since no factor can be taken out again"
            )));
        }
        Ok(BoundWindow {
            what,
            reach,
            course,
            value_type,
            data_type,
            text: self.to_string().into(),
        })
    }

    /// The aggregate, if a window can hold it.
    fn known(&self, of: &AggExpr) -> Result<Aggregate> {
        let what = of.aggregate();
        let holds = matches!(
            what,
            Aggregate::Size
                | Aggregate::Count
                | Aggregate::Sum
                | Aggregate::Mean
                | Aggregate::Min
                | Aggregate::Max
                | Aggregate::First
                | Aggregate::Last
                | Aggregate::FirstRow
                | Aggregate::LastRow
                | Aggregate::Any
                | Aggregate::All
                | Aggregate::Product
                | Aggregate::Variance { .. }
                | Aggregate::StdDev { .. }
                | Aggregate::Quantile(_)
        );
        if holds {
            return Ok(what);
        }
        Err(Error::plan(format!(
            "{self}: of rows in a window there are count, sum, mean, min, max, first, last, \
             first_row, last_row, any, all, product, var, std, median and quantile"
        )))
    }

    /// When values are known, and how far the window that is run then reaches back.
    fn course(&self, schema: &Schema) -> Result<(Course, Reach)> {
        match (&self.what, &self.frame) {
            (Windowed::Shift { rows, .. }, _) if *rows < 0 => Ok((Course::Mirrored, Reach::All)),
            (Windowed::Shift { .. } | Windowed::RowNumber, _) => Ok((Course::Forward, Reach::All)),
            (Windowed::Aggregate(_), Frame::Within { width, of }) => {
                let time = of.bind(schema)?;
                let ticks = ticks(time.data_type(), width.as_nanos()).ok_or_else(|| {
                    Error::plan(format!(
                        "{of} ({}) is not a time that '{}' can be told of in {self}",
                        time.data_type(),
                        super::span::span_text(*width)
                    ))
                })?;
                Ok((
                    Course::Forward,
                    Reach::Ticks(ticks, time.data_type().clone()),
                ))
            }
            (Windowed::Aggregate(_), Frame::Rows { start, end }) => self.rows(*start, *end),
        }
    }

    fn rows(&self, start: Option<i64>, end: Option<i64>) -> Result<(Course, Reach)> {
        if start.is_some_and(|start| start > 0) || end.is_some_and(|end| end < 0) {
            return Err(Error::plan(format!(
                "{self}: the rows of a window must hold the row itself; shift what it gives"
            )));
        }
        Ok(match (start, end) {
            (None, None) => (Course::Whole, Reach::All),
            (Some(0), None) => (Course::Mirrored, Reach::All),
            (Some(_), None) => {
                return Err(Error::plan(format!(
                    "{self}: rows up to the last begin with the first, or with the row itself"
                )));
            }
            (None, Some(0)) => (Course::Forward, Reach::All),
            (Some(start), Some(0)) => (Course::Forward, Reach::Rows(-start)),
            (None, Some(end)) => (delayed(end), Reach::All),
            (Some(start), Some(end)) => (delayed(end), Reach::Rows(end.saturating_sub(start))),
        })
    }
}

fn delayed(rows: i64) -> Course {
    Course::Delayed(usize::try_from(rows).unwrap_or(usize::MAX))
}

/// A length of time in the ticks of a type of times; none if it has none so short.
fn ticks(of: &DataType, nanos: u128) -> Option<i64> {
    let tick = match of {
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        DataType::Date32 => 86_400_000_000_000,
        _ => return None,
    };
    // Times lie less than the width apart: a part of a tick counts as a whole one.
    i64::try_from(nanos.div_ceil(tick))
        .ok()
        .filter(|ticks| *ticks > 0)
}

impl What {
    /// The same of rows that come from the last to the first.
    fn mirrored(self) -> Self {
        match self {
            What::Aggregate(Aggregate::First) => What::Aggregate(Aggregate::Last),
            What::Aggregate(Aggregate::Last) => What::Aggregate(Aggregate::First),
            What::Aggregate(Aggregate::FirstRow) => What::Aggregate(Aggregate::LastRow),
            What::Aggregate(Aggregate::LastRow) => What::Aggregate(Aggregate::FirstRow),
            other => other,
        }
    }
}

impl BoundWindow {
    /// The type of the values that come out.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Of the values that it is made of; `Null` where rows alone count.
    pub fn value_type(&self) -> &DataType {
        &self.value_type
    }

    /// The same window of at most `rows` rows: no farther behind than there can be any.
    #[must_use]
    pub fn among(mut self, rows: usize) -> Self {
        if let Course::Delayed(by) = &mut self.course
            && *by > rows
        {
            let less = i64::try_from(*by - rows).unwrap_or(i64::MAX);
            *by = rows;
            if let Reach::Rows(before) = &mut self.reach {
                *before = before.saturating_sub(less);
            }
        }
        self
    }

    /// What gives the value that was given `by` rows before.
    pub fn later(&self, by: usize) -> Box<dyn Running> {
        let marks = Marks::new(Reach::All);
        Box::new(Pick::new(Which::Before(by), marks, &self.data_type))
    }

    /// The expression, for messages.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A window at work that has seen nothing.
    pub fn running(&self) -> Box<dyn Running> {
        match self.what {
            What::RowNumber => self.folding(Counts),
            What::Before(rows) => self.pick(Which::Before(rows)),
            What::Aggregate(what) => self.aggregate(what),
        }
    }

    fn aggregate(&self, what: Aggregate) -> Box<dyn Running> {
        let mean = what == Aggregate::Mean;
        match what {
            Aggregate::Sum | Aggregate::Mean => {
                let fraction = self.value_type.is_floating();
                match &self.value_type {
                    _ if fraction => self.folding(FloatSums { mean }),
                    value => self.folding(WholeSums {
                        mean,
                        scale: match value {
                            DataType::Decimal32(_, scale)
                            | DataType::Decimal64(_, scale)
                            | DataType::Decimal128(_, scale) => Some(*scale),
                            _ => None,
                        },
                        result: self.data_type.clone(),
                    }),
                }
            }
            Aggregate::Product => self.folding(Products {
                result: self.data_type.clone(),
            }),
            Aggregate::Variance { ddof } => self.folding(Variances { ddof, root: false }),
            Aggregate::StdDev { ddof } => self.folding(Variances { ddof, root: true }),
            Aggregate::Quantile(q) => self.folding(Quantiles { q }),
            Aggregate::Any => self.folding(Conditions { any: true }),
            Aggregate::All => self.folding(Conditions { any: false }),
            Aggregate::Min => self.pick(Which::Least),
            Aggregate::Max => self.pick(Which::Greatest),
            Aggregate::First => self.pick(Which::FirstValue),
            Aggregate::Last => self.pick(Which::LastValue),
            Aggregate::FirstRow => self.pick(Which::FirstRow),
            Aggregate::LastRow => self.pick(Which::LastRow),
            // Others were refused when it was bound.
            _ => self.folding(Counts),
        }
    }

    fn folding<K: Kernel>(&self, kernel: K) -> Box<dyn Running> {
        Box::new(Folding::new(kernel, Marks::new(self.reach.clone())))
    }

    fn pick(&self, which: Which) -> Box<dyn Running> {
        let marks = Marks::new(self.reach.clone());
        Box::new(Pick::new(which, marks, &self.value_type))
    }
}
