//! The conditions that a condition joins by `and`, each on its own.
//!
//! In:  a bound condition.
//! Out: its terms; a row passes all of them, or not the condition.
//!
//! Where a value can make it fail, there is one term, the condition itself:
//! what stands first guards what follows.

use arrow_array::{BooleanArray, RecordBatch};

use super::{BoundExpr, Kind, Node};
use crate::error::Result;

/// One of the conditions that are joined. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct BoundTerm {
    of: BoundExpr,
    place: usize,
}

impl BoundExpr {
    /// The conditions that are joined by `and`, in order.
    pub(crate) fn terms(&self) -> Vec<BoundTerm> {
        let term = |place| BoundTerm {
            of: self.clone(),
            place,
        };
        (0..self.term_nodes().len()).map(term).collect()
    }

    fn term_nodes(&self) -> Vec<&Node> {
        if self.node.fails {
            return vec![&self.node];
        }
        let (mut found, mut rest) = (Vec::new(), vec![&*self.node]);
        while let Some(node) = rest.pop() {
            match &node.kind {
                Kind::And(terms) => rest.extend(terms.iter().rev()),
                _ => found.push(node),
            }
        }
        found
    }
}

impl BoundTerm {
    /// The names of the top-level columns it looks at, each once.
    pub fn root_columns(&self) -> Vec<&str> {
        let mut found = Vec::new();
        let mut rest = vec![self.node()];
        while let Some(node) = rest.pop() {
            if let Kind::Column(path) = &node.kind
                && !found.contains(&&*path.root)
            {
                found.push(&*path.root);
            }
            rest.extend(node.children());
        }
        found
    }

    /// Whether a value can make it fail.
    pub fn may_fail(&self) -> bool {
        self.of.node.fails
    }

    /// Whether it is true, by row.
    ///
    /// # Errors
    ///
    /// As [`BoundExpr::mask`].
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let node = self.node();
        let run = |_: &Node, rows: &super::Rows<'_>| node.eval(rows)?.bools_of(rows.len());
        self.of.first_failure(batch, run)
    }

    fn node(&self) -> &Node {
        let nodes = self.of.term_nodes();
        nodes.get(self.place).copied().unwrap_or(&self.of.node)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::expr::Expr;

    fn batch() -> RecordBatch {
        let numbers = |by: i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter(
                (0..40).map(|row| (row % 7 != 0).then_some(row * by % 11)),
            ))
        };
        RecordBatch::try_from_iter_with_nullable([
            ("a", numbers(1), true),
            ("b", numbers(3), true),
            ("c", numbers(5), true),
        ])
        .unwrap()
    }

    #[test]
    fn rows_that_pass_every_term_are_those_that_pass_the_condition() {
        let batch = batch();
        for (text, want) in [
            ("a > 3", vec![vec!["a"]]),
            (
                "a > 3 and (b < 5 and c != 2)",
                vec![vec!["a"], vec!["b"], vec!["c"]],
            ),
            (
                "(a > 3 or b < 5) and c in (1, 2, 3, 4)",
                vec![vec!["b", "a"], vec!["c"]],
            ),
            ("a is null and b is null", vec![vec!["a"], vec!["b"]]),
            ("a > 3 or b > 3", vec![vec!["b", "a"]]),
        ] {
            let bound = Expr::parse(text).unwrap().bind(&batch.schema()).unwrap();
            let terms = bound.terms();
            let names: Vec<_> = terms.iter().map(BoundTerm::root_columns).collect();
            assert_eq!(names, want, "{text}");
            let whole = bound.mask(&batch).unwrap();
            for row in 0..batch.num_rows() {
                let passes = |mask: &BooleanArray| {
                    use arrow_array::Array;
                    mask.is_valid(row) && mask.value(row)
                };
                let all = terms.iter().all(|term| passes(&term.mask(&batch).unwrap()));
                assert_eq!(all, passes(&whole), "{text}, row {row}");
            }
        }
    }

    #[test]
    fn a_condition_that_may_fail_is_one_term() {
        let text = "a > 0 and b * 9223372036854775807 > 1";
        let bound = Expr::parse(text).unwrap().bind(&batch().schema()).unwrap();
        assert!(bound.may_fail());
        assert_eq!(bound.terms().len(), 1);
    }
}
