//! Operands: a part of an expression, bound, that must be of some kind.
//!
//! In:  a part of an expression, and what it is part of.
//! Out: the part with its type, or an error that names it, its type and what
//!      would do instead.

use arrow_schema::DataType;

use super::Binder;
use crate::error::{Error, Result};
use crate::expr::ast::Expr;
use crate::expr::compare::Side;
use crate::expr::convert::Class;
use crate::expr::eval::{Kind, Node};
use crate::expr::scalar::Scalar;

/// An operand with the text it came from, for messages.
pub(super) struct Operand<'a> {
    pub expr: &'a Expr,
    pub node: Node,
}

impl Operand<'_> {
    /// `status (Int64)`.
    pub fn described(&self) -> String {
        format!("{} ({})", short(self.expr), self.node.data_type)
    }
}

/// The text of a part of an expression, short enough for a message.
pub(super) fn short(expr: &Expr) -> String {
    let text = expr.to_string();
    if text.chars().count() <= 80 {
        return text;
    }
    text.chars().take(79).chain(['…']).collect()
}

impl Binder<'_> {
    pub(super) fn operand<'e>(&mut self, expr: &'e Expr) -> Result<Operand<'e>> {
        Ok(Operand {
            expr,
            node: self.node(expr)?,
        })
    }

    /// An operand that must be a condition.
    pub(super) fn condition(&mut self, expr: &Expr) -> Result<Node> {
        let operand = self.operand(expr)?;
        match Class::of(&operand.node.data_type) {
            Class::Bool | Class::Null => Ok(operand.node),
            _ => Err(Error::plan(format!(
                "{} is not a condition; compare it with something",
                operand.described()
            ))),
        }
    }

    /// An operand that must be a number; `whole` is what it is part of.
    pub(super) fn number<'e>(&mut self, whole: &Expr, expr: &'e Expr) -> Result<Operand<'e>> {
        let operand = self.operand(expr)?;
        match Class::of(&operand.node.data_type) {
            Class::Number | Class::Null => Ok(operand),
            class => {
                let hint = match class {
                    Class::Text => format!(
                        "; try_cast({} as float64) reads numbers from text",
                        short(expr)
                    ),
                    Class::Time => format!("; epoch({}) counts its seconds", short(expr)),
                    _ => String::new(),
                };
                Err(Error::plan(format!(
                    "{} is not a number in {}{hint}",
                    operand.described(),
                    short(whole)
                )))
            }
        }
    }

    /// An operand that must have a text of its own: any scalar.
    pub(super) fn text(&mut self, whole: &Expr, expr: &Expr) -> Result<Node> {
        let operand = self.operand(expr)?;
        match Class::of(&operand.node.data_type) {
            Class::Nested | Class::Other => Err(Error::plan(format!(
                "{} is not text in {}",
                operand.described(),
                short(whole)
            ))),
            _ => Ok(operand.node),
        }
    }
}

pub(super) fn literal(node: &Node) -> Option<&Scalar> {
    match &node.kind {
        Kind::Literal(_, scalar) => scalar.as_ref(),
        _ => None,
    }
}

pub(super) fn side(node: &Node) -> Side<'_> {
    Side {
        data_type: &node.data_type,
        literal: literal(node),
    }
}

/// A literal that is not negative counts as unsigned beside an unsigned number.
pub(super) fn type_beside(operand: &Operand<'_>, other: &Operand<'_>) -> DataType {
    match literal(&operand.node) {
        Some(Scalar::Int64(0..)) if other.node.data_type == DataType::UInt64 => DataType::UInt64,
        _ => operand.node.data_type.clone(),
    }
}
