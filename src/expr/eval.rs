//! A bound expression on a batch, column by column.
//!
//! In:  record batches, whose columns may be missing or typed otherwise than at bind.
//! Out: one value per row, or a mask.
//!
//! Branches of `case` and `coalesce`, and terms of `and` and `or` that can
//! fail, are computed only for the rows that reach them, so that a guard
//! guards, and an error does not depend on which rows share a batch.

use std::sync::Arc;

use arrow_arith::boolean::{and_kleene, not, or_kleene};
use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
    new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, Schema};
use arrow_select::interleave::interleave;
use arrow_select::nullif::nullif;
use arrow_select::take::take;
use arrow_string::like;

use super::arith;
use super::ast::BinaryOp;
use super::cast::cast;
use super::compare::{Members, Mode, compare, equal, with_texts};
use super::convert::{Class, Value};
use super::functions::{self, Prepared};
use super::json_text;
use super::names::ColumnPath;
use super::row_error::RowError;
use super::scalar::Scalar;
use super::unify::unify;
use crate::error::{Error, Result};

/// An expression whose names and types were checked against a schema.
///
/// Clones share everything; any number of threads may evaluate it at once.
#[derive(Debug, Clone)]
pub struct BoundExpr {
    pub(super) node: Arc<Node>,
    pub(super) root_columns: Arc<[String]>,
    /// The text, for messages.
    pub(super) text: Arc<str>,
}

/// One step of the computation.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    /// What it gives on batches of the schema it was bound to.
    pub data_type: DataType,
    /// Whether a value can make it fail.
    pub fails: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
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
    In(Box<Node>, Members, bool),
    Like(Box<Node>, Box<Node>, Pattern),
    Cast(Box<Node>, bool, String),
    Call(functions::Kind, Vec<Node>, Prepared, String),
    /// Conditions with their results, and the result when none is true.
    Case(Vec<(Node, Node)>, Option<Box<Node>>),
    Coalesce(Vec<Node>),
}

/// Which of the four `like`s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
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
        let value = self.first_failure(batch, |node, rows| {
            node.eval(rows)?.into_array(batch.num_rows())
        })?;
        // Nulls without a type take the one that was promised.
        if *value.data_type() == DataType::Null {
            return Ok(new_null_array(self.data_type(), value.len()));
        }
        Ok(value)
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
        self.first_failure(batch, |node, rows| {
            node.eval(rows)?.bools_of(batch.num_rows())
        })
    }

    /// Whether it can stand as a filter: [`mask`](Self::mask) refuses what cannot.
    pub fn is_condition(&self) -> bool {
        matches!(self.data_type(), DataType::Boolean | DataType::Null)
    }

    /// Evaluates; after a failure, looks for an earlier row that fails in
    /// another part, so that the error is the same however rows are cut into batches.
    fn first_failure<T>(
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
            match self.node.eval(&rows) {
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

/// The rows that an expression is computed for.
pub(super) struct Rows<'a> {
    pub batch: &'a RecordBatch,
    /// The columns that can be asked for.
    pub columns: &'a [String],
}

impl Rows<'_> {
    fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Computes a node for some of the rows only, in their order.
    fn only(&self, rows: &[u32], node: &Node) -> Result<Value> {
        if rows.len() == self.len() {
            return node.eval(self);
        }
        let picked = UInt32Array::from(rows.to_vec());
        let schema = self.batch.schema();
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for name in self.columns {
            if let Some((idx, field)) = schema.fields().find(name) {
                fields.push(Arc::clone(field));
                columns.push(take(self.batch.column(idx), &picked, None)?);
            }
        }
        let count = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &count)?;
        let only = Rows {
            batch: &batch,
            columns: self.columns,
        };
        node.eval(&only).map_err(|error| {
            let error_row = RowError::of(&error).map(|inner| RowError {
                row: rows.get(inner.row).map_or(inner.row, |row| *row as usize),
                reason: inner.reason.clone(),
            });
            match (error, error_row) {
                (Error::External { doing, .. }, Some(inner)) => Error::External {
                    doing,
                    source: Arc::new(inner),
                },
                (error, _) => error,
            }
        })
    }

    fn column(&self, path: &ColumnPath, bound: &DataType) -> Result<Value> {
        let missing = || Ok(Value::constant(new_null_array(bound, 1)));
        let schema = self.batch.schema();
        let Some((idx, field)) = schema.fields().find(&path.root) else {
            return missing();
        };
        let mut array = Arc::clone(self.batch.column(idx));
        let mut json = json_text::is_json(field);
        for (done, step) in path.steps.iter().enumerate() {
            match array.data_type() {
                DataType::Struct(fields) => {
                    let Some((idx, field)) = fields.find(step) else {
                        return missing();
                    };
                    json = json_text::is_json(field);
                    let parent = array.as_struct();
                    let child = parent.column(idx);
                    array = match parent.nulls() {
                        // A field of nothing is nothing.
                        Some(nulls) if nulls.null_count() > 0 => {
                            nullif(child, &BooleanArray::new(!nulls.inner(), None))?
                        }
                        _ => Arc::clone(child),
                    };
                }
                other if Class::of(other) == Class::Text => {
                    let texts = super::text::texts(&array)?;
                    let found = json_text::members(&texts, &path.steps[done..]);
                    return Ok(Value::rows(Arc::new(found)));
                }
                _ => return missing(),
            }
        }
        Ok(Value {
            array,
            constant: false,
            json,
        })
    }
}

impl Node {
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
            Kind::In(inner, members, negated) => single(inner, rows, |inner| {
                let found = members.contain(inner)?;
                Ok(Arc::new(if *negated { not(&found)? } else { found }))
            }),
            Kind::Cast(inner, lenient, text) => single(inner, rows, |value| {
                cast(value, &inner.data_type, &self.data_type, *lenient)
                    .map_err(|failure| failure.named(text))
            }),
            Kind::Call(kind, args, prepared, text) => self.call(*kind, args, prepared, text, rows),
            Kind::Case(branches, otherwise) => self.case(branches, otherwise.as_deref(), rows),
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
        branches: &[(Node, Node)],
        otherwise: Option<&Node>,
        rows: &Rows<'_>,
    ) -> Result<Value> {
        let mut choice = Choice::new(rows.len());
        for (when, then) in branches {
            if choice.pending.is_empty() {
                break;
            }
            let count = choice.pending.len();
            let hits = rows.only(&choice.pending, when)?.bools_of(count)?;
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
fn plain(value: Value) -> Result<Value> {
    if !value.json {
        return Ok(value);
    }
    Ok(Value {
        array: Arc::new(value.texts()?),
        constant: value.constant,
        json: false,
    })
}

/// `and` and `or` over any number of terms: `decides` is the value of a term
/// that settles a row.
fn chain(terms: &[Node], rows: &Rows<'_>, decides: bool) -> Result<Value> {
    let count = rows.len();
    let mut result: Option<BooleanArray> = None;
    for term in terms {
        let so_far = match result {
            None => {
                result = Some(term.eval(rows)?.bools_of(count)?);
                continue;
            }
            Some(so_far) => so_far,
        };
        let settled = so_far.null_count() == 0
            && if decides {
                !so_far.has_false()
            } else {
                !so_far.has_true()
            };
        if settled {
            return Ok(Value::rows(Arc::new(so_far)));
        }
        let next = if term.fails {
            let open: Vec<u32> = (0..count)
                .filter(|row| so_far.is_null(*row) || so_far.value(*row) != decides)
                .map(|row| row as u32)
                .collect();
            let found = rows.only(&open, term)?.bools_of(open.len())?;
            spread(&found, &open, count, decides)
        } else {
            term.eval(rows)?.bools_of(count)?
        };
        result = Some(if decides {
            or_kleene(&so_far, &next)?
        } else {
            and_kleene(&so_far, &next)?
        });
    }
    let empty = || BooleanArray::from(vec![!decides; count]);
    Ok(Value::rows(Arc::new(result.unwrap_or_else(empty))))
}

/// Conditions of some rows among all; the others are settled already.
fn spread(found: &BooleanArray, open: &[u32], count: usize, settled: bool) -> BooleanArray {
    let mut all = vec![Some(settled); count];
    for (value, row) in found.iter().zip(open) {
        all[*row as usize] = value;
    }
    all.into_iter().collect()
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

fn is_null(value: &Value, negated: bool) -> Result<ArrayRef> {
    let nulls = if value.json {
        value.texts()?.logical_nulls()
    } else {
        value.array.logical_nulls()
    };
    let rows = value.array.len();
    let valid = nulls.map_or_else(
        || BooleanBuffer::new_set(rows),
        |nulls: NullBuffer| nulls.into_inner(),
    );
    let bits = if negated { valid } else { !&valid };
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

fn is_bool(value: &Value, wanted: bool, negated: bool) -> Result<ArrayRef> {
    let bools = value.bools()?;
    let hit =
        (0..bools.len()).map(|row| (bools.is_valid(row) && bools.value(row) == wanted) != negated);
    let bits: BooleanBuffer = hit.collect();
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

/// `||`. Two constants give one row.
fn concat(left: &Value, right: &Value, rows: usize) -> Result<ArrayRef> {
    let (a, b) = (left.texts()?, right.texts()?);
    let rows = if left.constant && right.constant {
        1
    } else {
        rows
    };
    let mut text = String::new();
    let joined = (0..rows).map(|row| {
        let left = if left.constant { 0 } else { row };
        let right = if right.constant { 0 } else { row };
        (a.is_valid(left) && b.is_valid(right)).then(|| {
            text.clear();
            text.push_str(a.value(left));
            text.push_str(b.value(right));
            text.clone()
        })
    });
    Ok(Arc::new(joined.collect::<StringArray>()))
}

/// `like` and its kin. Two constants give one row.
fn matches(text: &Value, pattern: &Value, which: Pattern, rows: usize) -> Result<ArrayRef> {
    let mut texts = text.texts()?;
    if text.constant && !pattern.constant {
        let all = Value::constant(Arc::new(texts)).into_array(rows)?;
        texts = all.as_string::<i32>().clone();
    }
    let kernel = match (which.case_insensitive, which.negated) {
        (false, false) => like::like,
        (false, true) => like::nlike,
        (true, false) => like::ilike,
        (true, true) => like::nilike,
    };
    let found = with_texts(pattern.texts()?, pattern.constant, |pattern| {
        kernel(&texts, pattern)
    })?;
    Ok(Arc::new(found))
}

/// Rows that get their value from one of several columns.
struct Choice {
    rows: usize,
    /// Rows without a value yet, in order.
    pending: Vec<u32>,
    /// For each row, which piece holds its value, and where in it.
    from: Vec<Option<(usize, usize)>>,
    pieces: Vec<ArrayRef>,
}

impl Choice {
    fn new(rows: usize) -> Self {
        Choice {
            rows,
            pending: (0..rows as u32).collect(),
            from: vec![None; rows],
            pieces: Vec::new(),
        }
    }

    /// Takes the pending rows that a condition, by place among the pending, picks.
    fn split_off(&mut self, is_hit: impl Fn(usize) -> bool) -> Vec<u32> {
        let mut reached = Vec::new();
        let mut rest = Vec::new();
        for (place, row) in self.pending.iter().enumerate() {
            if is_hit(place) {
                reached.push(*row);
            } else {
                rest.push(*row);
            }
        }
        self.pending = rest;
        reached
    }

    /// Computes a result for the rows that reached it.
    fn add(&mut self, rows: &Rows<'_>, reached: Vec<u32>, then: &Node) -> Result<()> {
        if reached.is_empty() {
            return Ok(());
        }
        let value = plain(rows.only(&reached, then)?)?;
        for (place, row) in reached.iter().enumerate() {
            let place = if value.constant { 0 } else { place };
            self.from[*row as usize] = Some((self.pieces.len(), place));
        }
        self.pieces.push(value.array);
        Ok(())
    }

    /// Gives pending rows their value from an array over them, where a condition holds.
    fn settle(&mut self, array: ArrayRef, holds: impl Fn(usize) -> bool) {
        let piece = self.pieces.len();
        let mut rest = Vec::new();
        for (place, row) in self.pending.iter().enumerate() {
            if holds(place) {
                self.from[*row as usize] = Some((piece, place));
            } else {
                rest.push(*row);
            }
        }
        self.pending = rest;
        self.pieces.push(array);
    }

    fn finish(mut self, to: &DataType) -> Result<Value> {
        // A piece of one null stands for all rows that got no value.
        let none = self.pieces.len();
        self.pieces.push(new_null_array(to, 1));
        let pieces = unify(&self.pieces, to)?;
        if self.rows == 0 {
            return Ok(Value::rows(pieces[none].slice(0, 0)));
        }
        let from: Vec<(usize, usize)> = self
            .from
            .into_iter()
            .map(|from| from.unwrap_or((none, 0)))
            .collect();
        let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
        Ok(Value::rows(interleave(&pieces, &from)?))
    }
}
