//! Literals beside decimals, which are decimals then: nothing is rounded.
//!
//! In:  operands that stand together.
//! Out: the same, those that are written as numbers as the decimals that they spell.

use arrow_array::ArrayRef;
use arrow_schema::DataType;

use super::{Operand, literal};
use crate::expr::ast::{BinaryOp, Expr};
use crate::expr::decimal::{self, Decimals, Digits, Side, is_decimal, result_digits};
use crate::expr::eval::Kind;
use crate::expr::scalar::Scalar;

/// Makes literals decimals where one of the operands is; texts only where
/// `texts` may be numbers.
pub(super) fn beside_decimals(operands: &mut [Operand<'_>], texts: bool) {
    let decimals = |operand: &Operand<'_>| is_decimal(&operand.node.data_type);
    if operands.iter().any(decimals) {
        let literals = operands.iter_mut();
        literals.for_each(|operand| operand.become_decimal(texts));
    }
}

/// Whether a value computed in a type of decimals may have more digits than it has.
pub(super) fn may_overflow(data_type: &DataType) -> bool {
    is_decimal(data_type) && Digits::of(data_type).is_some_and(Digits::may_overflow)
}

impl Operand<'_> {
    /// Makes a constant the decimal that it is written as.
    pub(super) fn become_decimal(&mut self, texts: bool) {
        let spelt = match (literal(&self.node), self.expr) {
            (Some(text @ Scalar::Utf8(_)), _) if texts => decimal::of_literal(text),
            (Some(Scalar::Utf8(_)) | None, _) => None,
            (Some(_), written) => of_written(written),
        };
        if let Some(array) = spelt {
            self.node.data_type = array.data_type().clone();
            self.node.kind = Kind::Literal(array, None);
        }
    }
}

/// What is written with numbers and `+`, `-`, `*` alone; none where anything else
/// is: what is cast to a fraction is one.
fn of_written(expr: &Expr) -> Option<ArrayRef> {
    match expr {
        Expr::Literal(scalar) => decimal::of_literal(scalar),
        Expr::Negate(inner) => {
            let zero = decimal::of_literal(&Scalar::Int64(0))?;
            computed(BinaryOp::Minus, &zero, &of_written(inner)?)
        }
        Expr::Binary { left, op, right } => {
            let plain = [BinaryOp::Plus, BinaryOp::Minus, BinaryOp::Multiply].contains(op);
            plain.then(|| computed(*op, &of_written(left)?, &of_written(right)?))?
        }
        _ => None,
    }
}

fn computed(op: BinaryOp, left: &ArrayRef, right: &ArrayRef) -> Option<ArrayRef> {
    let digits = result_digits(op, left.data_type(), right.data_type())?;
    let (a, b) = (Decimals::of(left).ok()??, Decimals::of(right).ok()??);
    let side = |decimals| Side {
        decimals,
        constant: true,
    };
    // One of more digits than there are stays what it is: a fraction.
    decimal::compute(op, &side(&a), &side(&b), 1, None, digits).ok()
}
