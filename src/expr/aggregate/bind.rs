//! Names and types of an aggregate, checked once.
//!
//! In:  an [`AggExpr`] and a schema.
//! Out: a [`BoundAggregate`], or an error that names the part that does not fit.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};

use super::accumulator::Accumulator;
use super::ast::{AggExpr, Aggregate};
use super::count::{Conditions, Count};
use super::distinct::Distinct;
use super::extreme;
use super::gather::{Gather, Keep};
use super::histogram::Histogram;
use super::moments::{self, correlation, covariance, variance};
use super::pick::{Pick, Which};
use super::product::Product;
use super::quantile::Quantile;
use super::sketch::Sketch;
use super::state::State;
use super::sum::{Sum, Unit};
use super::top;
use super::user::{Guarded, User};
use crate::error::{Error, Result};
use crate::expr::convert::Class;
use crate::expr::eval::BoundExpr;
use crate::expr::group_table::plain_type;

/// How a column is handed to a state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Input {
    /// As it is: the state knows what to do with every type.
    Any,
    /// As conditions.
    Bools,
    /// Conditions as 0 and 1.
    Bits,
    /// As `Float64`.
    Floats,
    /// In the type that the state holds, by value: what is no number among
    /// numbers is no value.
    Ordered,
    /// In the type that the state holds, which takes every value in.
    Kept,
}

/// An aggregate whose names and types were checked against a schema.
///
/// Clones share everything; every thread makes its own [`Accumulator`].
#[derive(Debug, Clone)]
pub struct BoundAggregate {
    pub(super) what: Aggregate,
    pub(super) args: Vec<BoundExpr>,
    pub(super) input: Input,
    /// What a state holds values as, to begin with.
    pub(super) value_type: DataType,
    pub(super) data_type: DataType,
    pub(super) text: Arc<str>,
    pub(super) user: Option<User>,
}

/// The types in which a state is given arguments.
fn plain_types(args: &[BoundExpr]) -> Vec<DataType> {
    args.iter()
        .map(|arg| plain_type(arg.data_type().clone()))
        .collect()
}

impl AggExpr {
    /// Checks names and types against a schema.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown name, with names near it; for a type that
    /// cannot be aggregated so; for a share outside 0 to 1, or a list of no values.
    pub fn bind(&self, schema: &Schema) -> Result<BoundAggregate> {
        let what = self.what;
        if self.args.len() != what.n_args() && self.user.is_none() {
            return Err(Error::plan(format!(
                "{self} looks at {} columns; {} are wanted",
                self.args.len(),
                what.n_args()
            )));
        }
        match what {
            Aggregate::Quantile(q) | Aggregate::ApproxQuantile(q) if !(0.0..=1.0).contains(&q) => {
                return Err(Error::plan(format!(
                    "{self}: a share is from 0 to 1, not {q}"
                )));
            }
            Aggregate::Largest(0) | Aggregate::Smallest(0) => {
                return Err(Error::plan(format!("{self}: at least one value is wanted")));
            }
            _ => {}
        }
        let args = self
            .args
            .iter()
            .map(|arg| arg.bind(schema))
            .collect::<Result<Vec<_>>>()?;
        let (mut input, mut value_type, mut data_type) =
            (Input::Any, DataType::Null, DataType::Int64);
        for (idx, arg) in args.iter().enumerate() {
            value_type = plain_type(arg.data_type().clone());
            (input, data_type) = self.types(idx, &value_type)?;
        }
        if let Some(user) = &self.user {
            data_type = user.0.result_type(&plain_types(&args))?;
        } else if what == Aggregate::User {
            return Err(Error::plan("an aggregate of the program's own is missing"));
        }
        Ok(BoundAggregate {
            what,
            args,
            input,
            value_type,
            data_type,
            text: self.to_string().into(),
            user: self.user.clone(),
        })
    }

    /// How an argument of a type is taken, and the type of the result.
    fn types(&self, idx: usize, of: &DataType) -> Result<(Input, DataType)> {
        let class = Class::of(of);
        let ticks = matches!(of, DataType::Duration(_) | DataType::Timestamp(..));
        Ok(match self.what {
            Aggregate::Size | Aggregate::Count | Aggregate::NUnique | Aggregate::User => {
                (Input::Any, DataType::Int64)
            }
            Aggregate::ApproxNUnique if matches!(class, Class::Nested) => {
                return Err(self.misfit(idx, of, "one value to count", ""));
            }
            Aggregate::ApproxNUnique => (Input::Any, DataType::Int64),
            Aggregate::Sum if matches!(of, DataType::Duration(_)) => (Input::Ordered, of.clone()),
            Aggregate::Mean if ticks => (Input::Ordered, of.clone()),
            Aggregate::Sum | Aggregate::Product if class == Class::Bool => {
                (Input::Bits, DataType::Int64)
            }
            Aggregate::Mean if class == Class::Bool => (Input::Bits, DataType::Float64),
            Aggregate::Sum => match of {
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale) => {
                    (Input::Ordered, DataType::Decimal128(38, *scale))
                }
                _ => (Input::Any, self.number_type(idx, of)?),
            },
            Aggregate::Product => match self.number_type(idx, of)? {
                DataType::Decimal128(..) => (Input::Floats, DataType::Float64),
                result => (Input::Any, result),
            },
            Aggregate::Mean => {
                self.number_type(idx, of)?;
                let decimal = matches!(
                    of,
                    DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..)
                );
                let input = if decimal { Input::Ordered } else { Input::Any };
                (input, DataType::Float64)
            }
            Aggregate::Variance { .. }
            | Aggregate::StdDev { .. }
            | Aggregate::Covariance { .. }
            | Aggregate::Corr
            | Aggregate::Quantile(_)
            | Aggregate::ApproxQuantile(_) => {
                self.number_type(idx, of)?;
                (Input::Floats, DataType::Float64)
            }
            Aggregate::Any | Aggregate::All => match class {
                Class::Bool | Class::Null => (Input::Bools, DataType::Boolean),
                _ => {
                    let hint = "; compare it with something";
                    return Err(self.misfit(idx, of, "a condition", hint));
                }
            },
            Aggregate::Min | Aggregate::Max => {
                self.check_order(idx, of)?;
                (Input::Ordered, of.clone())
            }
            Aggregate::Largest(_) | Aggregate::Smallest(_) => {
                self.check_order(idx, of)?;
                (Input::Ordered, DataType::new_list(of.clone(), true))
            }
            Aggregate::First | Aggregate::Last | Aggregate::FirstRow | Aggregate::LastRow => {
                (Input::Kept, of.clone())
            }
            Aggregate::List => (Input::Kept, DataType::new_list(of.clone(), true)),
        })
    }

    /// The type of a sum of numbers of a type.
    fn number_type(&self, idx: usize, of: &DataType) -> Result<DataType> {
        Ok(match (Class::of(of), of) {
            (Class::Number, DataType::UInt64) => DataType::UInt64,
            (Class::Number, DataType::Decimal128(_, scale)) => DataType::Decimal128(38, *scale),
            (Class::Number, of) if !of.is_integer() => DataType::Float64,
            (Class::Number | Class::Null, _) => DataType::Int64,
            (class, _) => {
                let arg = &self.args[idx];
                let hint = match class {
                    Class::Text => {
                        format!("; try_cast({arg} as float64) reads numbers from text")
                    }
                    Class::Time => format!("; epoch({arg}) counts its seconds"),
                    _ => String::new(),
                };
                return Err(self.misfit(idx, of, "a number", &hint));
            }
        })
    }

    fn check_order(&self, idx: usize, of: &DataType) -> Result<()> {
        let ordered =
            matches!(of, DataType::Null | DataType::Boolean) || extreme::state(of, true).is_some();
        if ordered {
            return Ok(());
        }
        Err(self.misfit(idx, of, "a value with an order", ""))
    }

    fn misfit(&self, idx: usize, of: &DataType, wanted: &str, hint: &str) -> Error {
        let arg = &self.args[idx];
        Error::plan(format!("{arg} ({of}) is not {wanted} in {self}{hint}"))
    }
}

/// What can be told of the values of a group without holding all of them, from
/// the one column of its partials: a list of values, in whatever order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum OfValues {
    /// How many different ones there are.
    Distinct,
    /// The one below which this share of them lies; they are `Float64`.
    Quantile(f64),
}

impl BoundAggregate {
    /// The type of the result, unless batches typed a column wider than the
    /// schema at bind: then a sum of fractions is a `Float64`, and a value that
    /// is kept has the type that holds all of them.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// The names of the top-level columns that are needed, sorted.
    pub fn root_columns(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .args
            .iter()
            .flat_map(|arg| arg.root_columns().iter().cloned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether rows may be taken in, and partials merged, in any order: the
    /// result is the same, bit by bit.
    pub fn is_order_free(&self) -> bool {
        match self.what {
            Aggregate::First | Aggregate::Last | Aggregate::List => false,
            Aggregate::FirstRow | Aggregate::LastRow => false,
            Aggregate::User => self
                .user
                .as_ref()
                .is_some_and(|user| user.0.is_order_free()),
            // The last bit of a product of fractions hinges on their order.
            Aggregate::Product => self.data_type == DataType::Int64 && self.input == Input::Bits,
            _ => true,
        }
    }

    /// Whether groups stand where their last rows do, not their first.
    pub(crate) fn stands_last(&self) -> bool {
        self.what == Aggregate::LastRow
    }

    /// What it tells of values that its partials hold, if that is all it does.
    pub(crate) fn of_values(&self) -> Option<OfValues> {
        match self.what {
            Aggregate::NUnique => Some(OfValues::Distinct),
            Aggregate::Quantile(q) => Some(OfValues::Quantile(q)),
            _ => None,
        }
    }

    /// How many columns [`Accumulator::partial`] gives.
    pub fn n_partial_columns(&self) -> usize {
        match self.what {
            // The count, whole numbers in two, and the three columns of an exact sum.
            Aggregate::Sum | Aggregate::Mean => 6,
            Aggregate::Product => 5,
            Aggregate::Variance { .. } | Aggregate::StdDev { .. } => {
                moments::n_partial_columns(1, 1)
            }
            Aggregate::Covariance { .. } => moments::n_partial_columns(2, 1),
            Aggregate::Corr => moments::n_partial_columns(2, 3),
            // Counts, and the ends of what they count.
            Aggregate::ApproxQuantile(_) => 3,
            Aggregate::User => self
                .user
                .as_ref()
                .map_or(1, |user| user.0.n_partial_columns()),
            _ => 1,
        }
    }

    /// The columns it aggregates, of a batch.
    ///
    /// # Errors
    ///
    /// As for [`BoundExpr::evaluate`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.args.iter().map(|arg| arg.evaluate(batch)).collect()
    }

    /// An accumulator that has seen nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if the values of a type cannot be told apart.
    pub fn accumulator(&self) -> Result<Accumulator> {
        Accumulator::try_new(self.clone())
    }

    /// A state that holds values as `of`.
    pub(super) fn state(&self, of: &DataType) -> Result<Box<dyn State>> {
        let text = || Arc::clone(&self.text);
        if let Some(user) = &self.user {
            let (args, result) = (plain_types(&self.args), self.data_type.clone());
            return Ok(Box::new(Guarded::try_new(user.clone(), args, result)?));
        }
        Ok(match self.what {
            Aggregate::Size | Aggregate::Count | Aggregate::User => Box::new(Count::default()),
            Aggregate::Sum | Aggregate::Mean => {
                let unit = match (self.input, of) {
                    (Input::Ordered, DataType::Decimal128(_, scale)) => Unit::Decimal(*scale),
                    (Input::Ordered, _) => Unit::Ticks,
                    (_, of) if of.is_numeric() && !of.is_integer() => Unit::Fraction,
                    _ => Unit::Whole,
                };
                let mean = self.what == Aggregate::Mean;
                Box::new(Sum::new(unit, mean, self.data_type.clone(), text()))
            }
            Aggregate::Product => Box::new(Product::new(self.data_type.clone(), text())),
            Aggregate::Any => Box::new(Conditions::new(true)),
            Aggregate::All => Box::new(Conditions::new(false)),
            Aggregate::Variance { ddof } => Box::new(variance(ddof, false)),
            Aggregate::StdDev { ddof } => Box::new(variance(ddof, true)),
            Aggregate::Covariance { ddof } => Box::new(covariance(ddof)),
            Aggregate::Corr => Box::new(correlation()),
            Aggregate::NUnique => Box::new(Distinct::try_new(of.clone())?),
            Aggregate::ApproxNUnique => Box::new(Sketch::new(of)),
            Aggregate::Quantile(q) => Box::new(Quantile::new(q)),
            Aggregate::ApproxQuantile(q) => Box::new(Histogram::new(q)),
            Aggregate::List => Box::new(Gather::new(of.clone(), Keep::All)),
            Aggregate::Largest(k) => top::state(of, k, true)
                .unwrap_or_else(|| Box::new(Gather::new(of.clone(), Keep::Largest(k)))),
            Aggregate::Smallest(k) => top::state(of, k, false)
                .unwrap_or_else(|| Box::new(Gather::new(of.clone(), Keep::Smallest(k)))),
            Aggregate::First => Box::new(Pick::new(of.clone(), Which::FirstValue)),
            Aggregate::Last => Box::new(Pick::new(of.clone(), Which::LastValue)),
            Aggregate::FirstRow => Box::new(Pick::new(of.clone(), Which::FirstRow)),
            Aggregate::LastRow => Box::new(Pick::new(of.clone(), Which::LastRow)),
            // A condition's extreme is whether any, or not all, are true.
            Aggregate::Max if *of == DataType::Boolean => Box::new(Conditions::new(true)),
            Aggregate::Min if *of == DataType::Boolean => Box::new(Conditions::new(false)),
            // Of nulls alone, any is as good.
            Aggregate::Min | Aggregate::Max => extreme::state(of, self.what == Aggregate::Max)
                .unwrap_or_else(|| Box::new(Pick::new(of.clone(), Which::FirstValue))),
        })
    }

    /// The type in which a state holds values that a batch has as `of`.
    pub(super) fn held_type(&self, of: &DataType) -> DataType {
        match (self.what, of) {
            (
                Aggregate::Sum | Aggregate::Mean,
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale),
            ) if self.input == Input::Ordered => DataType::Decimal128(38, *scale),
            _ => of.clone(),
        }
    }
}
