//! Constants, computed once.
//!
//! In:  a node whose operands may all be constant.
//! Out: the constant it comes to, or the node as it is.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema};

use super::short;
use crate::error::{Error, Result};
use crate::expr::ast::Expr;
use crate::expr::eval::{Kind, Node, Rows};
use crate::expr::row_error::RowError;
use crate::expr::scalar::Scalar;

/// Computes a node whose operands are all constant.
pub(super) fn fold(expr: &Expr, node: Node) -> Result<Node> {
    let constant = |node: &Node| matches!(node.kind, Kind::Literal(..));
    let all_constant = match &node.kind {
        // What it tests is a column.
        Kind::Column(_) | Kind::Literal(..) | Kind::AmongKeys(..) => false,
        Kind::Compare(_, _, left, right)
        | Kind::Arith(_, left, right, _)
        | Kind::Concat(left, right)
        | Kind::Like(left, right, _) => constant(left) && constant(right),
        Kind::Not(inner)
        | Kind::IsNull(inner, _)
        | Kind::IsBool(inner, ..)
        | Kind::Cast(inner, ..) => constant(inner),
        Kind::In(inner, _, items, _) => constant(inner) && items.is_empty(),
        Kind::Call(_, nodes, ..) | Kind::Coalesce(nodes) | Kind::And(nodes) | Kind::Or(nodes) => {
            nodes.iter().all(constant)
        }
        Kind::Case(branches, otherwise, operand) => {
            branches
                .iter()
                .all(|(when, then)| constant(when.node()) && constant(then))
                && [otherwise, operand]
                    .iter()
                    .all(|node| node.as_deref().is_none_or(constant))
        }
    };
    if !all_constant {
        return Ok(node);
    }
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &one)?;
    let rows = Rows {
        batch: &batch,
        columns: &[],
    };
    let array = node
        .eval(&rows)
        .and_then(|value| value.into_array(1))
        .map_err(|error| {
            let reason = match RowError::of(&error) {
                Some(value) => value.to_string(),
                None => error.to_string(),
            };
            Error::plan(format!("cannot compute {}: {reason}", short(expr)))
        })?;
    let array = if *array.data_type() == DataType::Null {
        arrow_array::new_null_array(&node.data_type, 1)
    } else {
        array
    };
    Ok(Node {
        data_type: array.data_type().clone(),
        fails: false,
        kind: Kind::Literal(Arc::clone(&array), Scalar::from_array(&array)),
    })
}
