//! Expressions over whole numbers, said twice: to windrow and as a function of a row.

use windrow::expr::{Expr, call, col, lit};

use super::rows::{Cell, Row};

/// An expression; every one gives a whole number, a condition or null.
#[derive(Debug, Clone)]
pub enum Value {
    Column(String),
    Literal(i64),
    Add(Box<Value>, Box<Value>),
    Less(Box<Value>, Box<Value>),
    IsNull(Box<Value>),
    And(Box<Value>, Box<Value>),
    Or(Box<Value>, Box<Value>),
    Coalesce(Box<Value>, Box<Value>),
    /// `case when a < b then c else d end`.
    IfLess(Box<[Value; 4]>),
}

impl Value {
    /// The same for windrow.
    pub fn expr(&self) -> Expr {
        match self {
            Value::Column(name) => col(name.as_str()),
            Value::Literal(value) => lit(*value),
            Value::Add(a, b) => a.expr() + b.expr(),
            Value::Less(a, b) => a.expr().lt(b.expr()),
            Value::IsNull(a) => a.expr().is_null(),
            Value::And(a, b) => a.expr().and(b.expr()),
            Value::Or(a, b) => a.expr().or(b.expr()),
            Value::Coalesce(a, b) => call("coalesce", [a.expr(), b.expr()]),
            Value::IfLess(parts) => {
                let [a, b, c, d] = parts.as_ref();
                Expr::Case {
                    operand: None,
                    branches: vec![(a.expr().lt(b.expr()), c.expr())],
                    otherwise: Some(Box::new(d.expr())),
                }
            }
        }
    }

    /// Its whole number on a row.
    pub fn number(&self, row: &Row) -> Option<i64> {
        match self {
            Value::Column(name) => row.get(name).and_then(Cell::int),
            Value::Literal(value) => Some(*value),
            Value::Add(a, b) => Some(a.number(row)? + b.number(row)?),
            Value::Coalesce(a, b) => a.number(row).or_else(|| b.number(row)),
            Value::IfLess(parts) => {
                let [a, b, c, d] = parts.as_ref();
                let less = matches!((a.number(row), b.number(row)), (Some(a), Some(b)) if a < b);
                if less { c.number(row) } else { d.number(row) }
            }
            other => panic!("{other:?} is no number"),
        }
    }

    /// Its truth on a row; none if unknown.
    pub fn truth(&self, row: &Row) -> Option<bool> {
        match self {
            Value::Less(a, b) => Some(a.number(row)? < b.number(row)?),
            Value::IsNull(a) => Some(a.number(row).is_none()),
            Value::And(a, b) => match (a.truth(row), b.truth(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Value::Or(a, b) => match (a.truth(row), b.truth(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            other => panic!("{other:?} is no condition"),
        }
    }
}
