//! A bound expression on a batch, column by column.
//!
//! In:  record batches, whose columns may be missing or typed otherwise than at bind.
//! Out: one value per row, or a mask.
//!
//! Branches of `case` and `coalesce`, and terms of `and` and `or` that can
//! fail, are computed only for the rows that reach them, so that a guard
//! guards, and an error does not depend on which rows share a batch.

mod choice;
mod logic;
mod rows;
mod terms;
mod texts;

use std::sync::Arc;

use arrow_arith::boolean::not;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use arrow_select::nullif::nullif;

use self::choice::Choice;
use self::logic::{chain, is_bool, is_in, is_null};
pub(in crate::expr) use self::rows::Rows;
pub(crate) use self::terms::BoundTerm;
use self::texts::{concat, matches};
use crate::error::{Error, Result};
use crate::expr::arith;
use crate::expr::ast::BinaryOp;
use crate::expr::cast::cast;
use crate::expr::compare::{Mode, compare, equal};
use crate::expr::convert::Value;
use crate::expr::exact::exactly;
use crate::expr::functions::{self, Prepared};
use crate::expr::key_set::KeySet;
use crate::expr::members::Members;
use crate::expr::names::ColumnPath;
use crate::expr::row_error::RowError;
use crate::expr::scalar::Scalar;

/// An expression whose names and types were checked against a schema.
///
/// Clones share everything; any number of threads may evaluate it at once.
#[derive(Debug, Clone)]
pub struct BoundExpr {
    pub(in crate::expr) node: Arc<Node>,
    pub(in crate::expr) root_columns: Arc<[String]>,
    /// The text, for messages.
    pub(in crate::expr) text: Arc<str>,
}

/// One step of the computation.
#[derive(Debug)]
pub(in crate::expr) struct Node {
    pub kind: Kind,
    /// What it gives on batches of the schema it was bound to.
    pub data_type: DataType,
    /// Whether a value can make it fail.
    pub fails: bool,
}

#[derive(Debug)]
pub(in crate::expr) enum Kind {
    Column(ColumnPath),
    /// One row; the scalar where there is one that says the same.
    Literal(ArrayRef, Option<Scalar>),
    Compare(BinaryOp, Mode, Box<Node>, Box<Node>),
    Arith(BinaryOp, Box<Node>, Box<Node>, String),
    Concat(Box<Node>, Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull(Box<Node>, bool),
    /// `is true` or `is false`, and whether negated.
    IsBool(Box<Node>, bool, bool),
    /// The constants of the list, its other items with how they are compared,
    /// and whether negated.
    In(Box<Node>, Members, Vec<(Mode, Node)>, bool),
    /// Keys that the value may be one of.
    AmongKeys(Box<Node>, Arc<KeySet>),
    Like(Box<Node>, Box<Node>, Pattern),
    Cast(Box<Node>, bool, String),
    Call(functions::Kind, Vec<Node>, Prepared, String),
    /// Conditions with their results, and the result when none is true.
    Case(Vec<(When, Node)>, Option<Box<Node>>, Option<Box<Node>>),
    Coalesce(Vec<Node>),
}

/// What leads to a branch of `case`.
#[derive(Debug)]
pub(in crate::expr) enum When {
    /// A condition.
    True(Node),
    /// A value that the operand of the `case` equals.
    Equals(Mode, Node),
}

impl When {
    pub fn node(&self) -> &Node {
        match self {
            When::True(node) | When::Equals(_, node) => node,
        }
    }
}

/// Which of the four `like`s.
#[derive(Debug, Clone, Copy)]
pub(in crate::expr) struct Pattern {
    pub case_insensitive: bool,
    pub negated: bool,
}

impl BoundExpr {
    /// The type of the result on batches of the schema it was bound to.
    pub fn data_type(&self) -> &DataType {
        &self.node.data_type
    }

    /// The names of the top-level columns that are needed, sorted.
    pub fn root_columns(&self) -> &[String] {
        &self.root_columns
    }

    /// Computes one value per row.
    ///
    /// The result has [`data_type`](Self::data_type). Only where the batch types
    /// a column otherwise than the schema at bind, as batches of JSON may, can a
    /// column, or a number or choice computed from one, have a wider type. A
    /// missing column is null in every row.
    ///
    /// # Errors
    ///
    /// [`Error::External`] over a [`RowError`] if a value cannot be
    /// handled: a whole number beyond 64 bits, a `cast` that does not fit. It is
    /// about the first such row, whichever part of the expression fails there.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let value =
            self.first_failure(batch, |node, rows| node.eval(rows)?.into_array(rows.len()))?;
        // Nulls without a type take the one that was promised.
        if *value.data_type() == DataType::Null {
            return Ok(new_null_array(self.data_type(), value.len()));
        }
        Ok(value)
    }

    /// The type of a column that is computed with it. Nothing but nulls is text,
    /// as in a column of JSON.
    pub fn column_type(&self) -> DataType {
        match self.data_type() {
            DataType::Null => DataType::Utf8,
            other => other.clone(),
        }
    }

    /// Computes a column of exactly [`column_type`](Self::column_type), whatever
    /// types the batch has. Text that holds JSON gives the strings in it without quotes.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate), and for a value that its type does not
    /// hold: of a column whose type has widened since the expression was bound.
    pub fn column(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let wanted = self.column_type();
        self.first_failure(batch, |node, rows| {
            let value = plain(node.eval(rows)?)?;
            exactly(&value, &node.data_type, &wanted)
                .map_err(|failure| failure.named(&self.text))
                .map(|array| Value { array, ..value })?
                .into_array(rows.len())
        })
    }

    /// Computes a condition per row; null where it is unknown, which selects nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if it is no condition; else as [`evaluate`](Self::evaluate).
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        if !self.is_condition() {
            return Err(Error::plan(format!(
                "{} is {}, not a condition",
                self.text,
                self.data_type()
            )));
        }
        self.first_failure(batch, |node, rows| node.eval(rows)?.bools_of(rows.len()))
    }

    /// Whether it can stand as a filter: [`mask`](Self::mask) refuses what cannot.
    pub fn is_condition(&self) -> bool {
        matches!(self.data_type(), DataType::Boolean | DataType::Null)
    }

    /// Evaluates; after a failure, looks for an earlier row that fails in
    /// another part, so that the error is the same however rows are cut into batches.
    pub(in crate::expr) fn first_failure<T>(
        &self,
        batch: &RecordBatch,
        run: impl Fn(&Node, &Rows<'_>) -> Result<T>,
    ) -> Result<T> {
        let rows = Rows {
            batch,
            columns: &self.root_columns,
        };
        let mut first = match run(&self.node, &rows) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        while let Some(RowError { row, .. }) = RowError::of(&first) {
            let before = batch.slice(0, *row);
            let rows = Rows {
                batch: &before,
                columns: &self.root_columns,
            };
            match run(&self.node, &rows) {
                Err(earlier) if RowError::of(&earlier).is_some() => first = earlier,
                _ => break,
            }
        }
        Err(first)
    }
}

impl std::fmt::Display for BoundExpr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Node {
    /// The nodes directly inside.
    pub fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Column(_) | Kind::Literal(..) => Vec::new(),
            Kind::Compare(_, _, left, right)
            | Kind::Arith(_, left, right, _)
            | Kind::Concat(left, right)
            | Kind::Like(left, right, _) => vec![left, right],
            Kind::And(nodes)
            | Kind::Or(nodes)
            | Kind::Call(_, nodes, ..)
            | Kind::Coalesce(nodes) => nodes.iter().collect(),
            Kind::Not(inner)
            | Kind::IsNull(inner, _)
            | Kind::IsBool(inner, ..)
            | Kind::AmongKeys(inner, _)
            | Kind::Cast(inner, ..) => vec![inner],
            Kind::In(inner, _, items, _) => std::iter::once(&**inner)
                .chain(items.iter().map(|(_, item)| item))
                .collect(),
            Kind::Case(branches, otherwise, operand) => branches
                .iter()
                .flat_map(|(when, then)| [when.node(), then])
                .chain(otherwise.as_deref())
                .chain(operand.as_deref())
                .collect(),
        }
    }

    /// Recursion is as deep as the expression, which `bind` limits. Every kind
    /// has a function of its own, so that a level takes little of the stack.
    pub fn eval(&self, rows: &Rows<'_>) -> Result<Value> {
        match &self.kind {
            Kind::Column(path) => rows.column(path, &self.data_type),
            Kind::Literal(array, _) => Ok(Value::constant(Arc::clone(array))),
            Kind::Compare(op, mode, left, right) => pair(left, right, rows, |left, right| {
                let result = compare(*op, mode, left, right, rows.len())?;
                Ok(Arc::new(result))
            }),
            Kind::Arith(op, left, right, text) => pair(left, right, rows, |a, b| {
                let retyped = *a.array.data_type() != left.data_type
                    || *b.array.data_type() != right.data_type;
                arith::compute(*op, a, b, rows.len(), &self.data_type, retyped)
                    .map_err(|failure| failure.named(text))
            }),
            Kind::Concat(left, right) => pair(left, right, rows, |left, right| {
                concat(left, right, rows.len())
            }),
            Kind::Like(text, pattern, which) => pair(text, pattern, rows, |text, pattern| {
                matches(text, pattern, *which, rows.len())
            }),
            Kind::And(terms) => chain(terms, rows, false),
            Kind::Or(terms) => chain(terms, rows, true),
            Kind::Not(inner) => single(inner, rows, |inner| Ok(Arc::new(not(&inner.bools()?)?))),
            Kind::IsNull(inner, negated) => single(inner, rows, |inner| is_null(inner, *negated)),
            Kind::IsBool(inner, value, negated) => {
                single(inner, rows, |inner| is_bool(inner, *value, *negated))
            }
            Kind::In(inner, members, items, negated) => {
                is_in(inner, members, items, *negated, rows)
            }
            Kind::AmongKeys(inner, keys) => single(inner, rows, |value| {
                let all = || BooleanArray::new(BooleanBuffer::new_set(value.array.len()), None);
                Ok(Arc::new(keys.test(&value.array).unwrap_or_else(all)))
            }),
            Kind::Cast(inner, lenient, text) => single(inner, rows, |value| {
                cast(value, &inner.data_type, &self.data_type, *lenient)
                    .map_err(|failure| failure.named(text))
            }),
            Kind::Call(kind, args, prepared, text) => self.call(*kind, args, prepared, text, rows),
            Kind::Case(branches, otherwise, operand) => {
                self.case(branches, otherwise.as_deref(), operand.as_deref(), rows)
            }
            Kind::Coalesce(args) => self.coalesce(args, rows),
        }
    }

    fn call(
        &self,
        kind: functions::Kind,
        args: &[Node],
        prepared: &Prepared,
        text: &str,
        rows: &Rows<'_>,
    ) -> Result<Value> {
        let count = rows.len();
        let args = args
            .iter()
            .map(|arg| arg.eval(rows))
            .collect::<Result<Vec<_>>>()?;
        if let (functions::Kind::Nullif, Prepared::Mode(mode)) = (kind, prepared) {
            let equal = equal(mode, &args[0], &args[1], count)?;
            let array = args[0].clone().into_array(count)?;
            return Ok(Value {
                array: nullif(&array, &equal)?,
                constant: false,
                json: args[0].json,
            });
        }
        if let (functions::Kind::Field, Prepared::Member(name)) = (kind, prepared) {
            let missing = || Value::constant(new_null_array(&self.data_type, 1));
            return Ok(functions::member(&args[0], name)?.unwrap_or_else(missing));
        }
        let result = functions::run(kind, &args, prepared, count, &self.data_type)
            .map_err(|failure| failure.named(text))?;
        Ok(together(result, &args.iter().collect::<Vec<_>>()))
    }

    fn coalesce(&self, args: &[Node], rows: &Rows<'_>) -> Result<Value> {
        let mut choice = Choice::new(rows.len());
        for arg in args {
            if choice.pending.is_empty() {
                break;
            }
            let value = rows.only(&choice.pending, arg)?;
            let pending = choice.pending.len();
            let array = plain(value)?.into_array(pending)?;
            let valid = array.logical_nulls();
            choice.settle(array, |row| {
                valid.as_ref().is_none_or(|nulls| nulls.is_valid(row))
            });
        }
        choice.finish(&self.data_type)
    }

    fn case(
        &self,
        branches: &[(When, Node)],
        otherwise: Option<&Node>,
        operand: Option<&Node>,
        rows: &Rows<'_>,
    ) -> Result<Value> {
        let operand = match operand {
            Some(operand) => Some(operand.eval(rows)?),
            None => None,
        };
        let mut choice = Choice::new(rows.len());
        for (when, then) in branches {
            if choice.pending.is_empty() {
                break;
            }
            let count = choice.pending.len();
            let when_value = rows.only(&choice.pending, when.node())?;
            let hits = match (when, &operand) {
                (When::Equals(mode, _), Some(operand)) => {
                    let operand = operand.only(&choice.pending)?;
                    equal(mode, &operand, &when_value, count)?
                }
                _ => when_value.bools_of(count)?,
            };
            let is_hit = |row: usize| hits.is_valid(row) && hits.value(row);
            let reached = choice.split_off(is_hit);
            choice.add(rows, reached, then)?;
        }
        if let Some(otherwise) = otherwise {
            let reached = std::mem::take(&mut choice.pending);
            choice.add(rows, reached, otherwise)?;
        }
        choice.finish(&self.data_type)
    }
}

/// A result that is constant where everything it came from was.
fn together(array: ArrayRef, from: &[&Value]) -> Value {
    if from.iter().all(|value| value.constant) {
        Value::constant(array)
    } else {
        Value::rows(array)
    }
}

/// Texts in place of JSON, so that values of several columns may stand together.
pub(in crate::expr) fn plain(value: Value) -> Result<Value> {
    if !value.json {
        return Ok(value);
    }
    Ok(Value {
        array: Arc::new(value.texts()?),
        constant: value.constant,
        json: false,
    })
}

fn single(
    inner: &Node,
    rows: &Rows<'_>,
    run: impl FnOnce(&Value) -> Result<ArrayRef>,
) -> Result<Value> {
    let inner = inner.eval(rows)?;
    Ok(together(run(&inner)?, &[&inner]))
}

fn pair(
    left: &Node,
    right: &Node,
    rows: &Rows<'_>,
    run: impl FnOnce(&Value, &Value) -> Result<ArrayRef>,
) -> Result<Value> {
    let (left, right) = (left.eval(rows)?, right.eval(rows)?);
    Ok(together(run(&left, &right)?, &[&left, &right]))
}
