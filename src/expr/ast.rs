//! What an expression is, as plain data.
//!
//! In:  pieces from the builder methods or the parser.
//! Out: one [`Expr`], which can be printed, searched for columns and split.
//!
//! An `Expr` knows no schema: names and types are checked by
//! [`bind`](Expr::bind). `And` and `Or` hold all their terms in one list, so a
//! filter of a thousand terms is as deep as one of two.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::DataType;

use super::key_set::KeySet;
use super::scalar::Scalar;
use super::window::WindowExpr;

/// How deep an expression may nest. Evaluation recurses once per level; 64
/// levels stay well below the 2 MiB stack of a worker thread, also unoptimised.
pub const MAX_DEPTH: usize = 64;

/// An expression over the columns of a batch: one value per row.
///
/// Built with [`col`](super::col), [`lit`](super::lit) and methods, or from text with
/// [`parse`](Expr::parse); printed, it gives text that parses to the same
/// expression.
///
/// ```
/// use windrow::expr::{Expr, col, lit};
///
/// let built = col("status").ge(lit(500)).and(col("user").is_not_null());
/// let parsed = Expr::parse("status >= 500 and user is not null")?;
/// assert_eq!(built, parsed);
/// assert_eq!(parsed.to_string(), "status >= 500 and user is not null");
/// # Ok::<(), windrow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A column by its name as written: `status`, `net.src.ip`, `id.orig_h`.
    Column(String),
    /// A constant.
    Literal(Scalar),
    /// Two operands and an operator between them.
    Binary {
        /// The left operand.
        left: Box<Expr>,
        /// What joins them.
        op: BinaryOp,
        /// The right operand.
        right: Box<Expr>,
    },
    /// True where all terms are; see [`Expr::and`]. Without terms: true.
    And(Vec<Expr>),
    /// True where any term is; see [`Expr::or`]. Without terms: false.
    Or(Vec<Expr>),
    /// The opposite of a condition; unknown stays unknown.
    Not(Box<Expr>),
    /// The number with its sign turned.
    Negate(Box<Expr>),
    /// Whether there is no value. Never unknown itself.
    IsNull {
        /// What is looked at.
        expr: Box<Expr>,
        /// `is not null`.
        negated: bool,
    },
    /// `is true`, `is false` and their opposites. Never unknown itself.
    IsBool {
        /// The condition.
        expr: Box<Expr>,
        /// Which of the two it is compared with.
        value: bool,
        /// `is not …`, which is true for unknown.
        negated: bool,
    },
    /// Whether a value equals any of a list.
    InList {
        /// What is looked for.
        expr: Box<Expr>,
        /// Where it is looked for.
        list: Vec<Expr>,
        /// `not in`.
        negated: bool,
    },
    /// Whether a text has a shape: `%` is any text, `_` any character, and
    /// `\` takes the next character as it is.
    Like {
        /// The text.
        expr: Box<Expr>,
        /// The shape.
        pattern: Box<Expr>,
        /// `ilike`: upper and lower case are the same.
        case_insensitive: bool,
        /// `not like`.
        negated: bool,
    },
    /// Whether a value may be one of a set of keys: always where it is. Made while
    /// a plan runs, and not to be written.
    #[doc(hidden)]
    AmongKeys {
        /// What is looked for.
        expr: Box<Expr>,
        /// Where it is looked for.
        keys: Arc<KeySet>,
    },
    /// The value as another type.
    Cast {
        /// The value.
        expr: Box<Expr>,
        /// The type that is wanted.
        to: DataType,
        /// `try_cast`: null where the value does not fit, instead of an error.
        lenient: bool,
    },
    /// A function by name; [`super::functions()`] lists them.
    Function {
        /// Its name; case does not matter.
        name: String,
        /// What it is given.
        args: Vec<Expr>,
    },
    /// The result of the first branch whose condition is true.
    Case {
        /// With an operand, each condition is a value it is compared with.
        operand: Option<Box<Expr>>,
        /// Conditions and their results, tried in order.
        branches: Vec<(Expr, Expr)>,
        /// The result when none is true; null without it.
        otherwise: Option<Box<Expr>>,
    },
    /// The same value under a name of its own.
    Alias {
        /// The value.
        expr: Box<Expr>,
        /// Its name.
        name: String,
    },
    /// A value made of rows around the row; it stands in `select` and `with_column`.
    Window(Box<WindowExpr>),
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `=`
    Eq,
    /// `!=`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Multiply,
    /// `/`, always a fraction: `7 / 2` is 3.5; null where the divisor is 0.
    Divide,
    /// `%`, with the sign of the left operand; null where the divisor is 0.
    Modulo,
    /// `||`, texts joined; null where either is.
    Concat,
}

impl BinaryOp {
    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Eq => "=",
            BinaryOp::NotEq => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::LtEq => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::GtEq => ">=",
            BinaryOp::Plus => "+",
            BinaryOp::Minus => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
            BinaryOp::Concat => "||",
        }
    }

    /// Whether it compares two values and gives a condition.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Eq
                | BinaryOp::NotEq
                | BinaryOp::Lt
                | BinaryOp::LtEq
                | BinaryOp::Gt
                | BinaryOp::GtEq
        )
    }

    /// The operator that says the same with the operands exchanged, for comparisons.
    pub fn mirrored(self) -> Self {
        match self {
            BinaryOp::Lt => BinaryOp::Gt,
            BinaryOp::LtEq => BinaryOp::GtEq,
            BinaryOp::Gt => BinaryOp::Lt,
            BinaryOp::GtEq => BinaryOp::LtEq,
            other => other,
        }
    }
}

impl Expr {
    /// The names of all columns, as written.
    pub fn columns(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut rest = vec![self];
        while let Some(expr) = rest.pop() {
            if let Expr::Column(name) = expr {
                names.insert(name.clone());
            }
            rest.extend(expr.children());
        }
        names
    }

    /// The terms that must all be true, in order: `a and (b or c) and d`
    /// gives three. Keeping the rows for which every term is true, one after
    /// the other, keeps the same rows as the whole.
    pub fn conjuncts(self) -> Vec<Expr> {
        let mut terms = Vec::new();
        let mut rest = vec![self];
        while let Some(expr) = rest.pop() {
            match expr {
                Expr::And(inner) => rest.extend(inner.into_iter().rev()),
                term => terms.push(term),
            }
        }
        terms
    }

    /// How many terms [`conjuncts`](Self::conjuncts) gives.
    pub(crate) fn n_conjuncts(&self) -> usize {
        match self {
            Expr::And(terms) => terms.iter().map(Expr::n_conjuncts).sum(),
            _ => 1,
        }
    }

    /// The name of the column this gives: its alias, the column's own name, or its text.
    pub fn output_name(&self) -> String {
        match self {
            Expr::Alias { name, .. } | Expr::Column(name) => name.clone(),
            other => other.to_string(),
        }
    }

    /// How many levels it has; a column or literal has one.
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut rest = vec![(self, 1)];
        while let Some((expr, depth)) = rest.pop() {
            deepest = deepest.max(depth);
            rest.extend(expr.children().into_iter().map(|child| (child, depth + 1)));
        }
        deepest
    }

    /// Whether a part of it looks at other rows than its own.
    pub(crate) fn has_windows(&self) -> bool {
        let mut rest = vec![self];
        while let Some(expr) = rest.pop() {
            if matches!(expr, Expr::Window(_)) {
                return true;
            }
            rest.extend(expr.children());
        }
        false
    }

    /// Whether it has at most so many parts.
    pub(crate) fn is_within(&self, limit: usize) -> bool {
        let mut parts = 0;
        let mut rest = vec![self];
        while let Some(expr) = rest.pop() {
            parts += 1;
            if parts > limit {
                return false;
            }
            rest.extend(expr.children());
        }
        true
    }

    /// The same expression over other columns; none if `rename` has no name for one.
    pub(crate) fn map_columns(
        &self,
        rename: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Option<Expr> {
        let mut mapped = self.clone();
        let mut rest = vec![&mut mapped];
        while let Some(expr) = rest.pop() {
            match expr {
                Expr::Column(name) => *name = rename(name)?,
                other => rest.extend(other.children_mut()),
            }
        }
        Some(mapped)
    }

    /// The expressions directly inside, to be changed.
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Expr::Column(_) | Expr::Literal(_) => Vec::new(),
            Expr::Binary { left, right, .. } => vec![left, right],
            Expr::And(terms) | Expr::Or(terms) => terms.iter_mut().collect(),
            Expr::Not(expr)
            | Expr::Negate(expr)
            | Expr::IsNull { expr, .. }
            | Expr::IsBool { expr, .. }
            | Expr::AmongKeys { expr, .. }
            | Expr::Cast { expr, .. }
            | Expr::Alias { expr, .. } => vec![expr],
            Expr::InList { expr, list, .. } => std::iter::once(&mut **expr).chain(list).collect(),
            Expr::Like { expr, pattern, .. } => vec![expr, pattern],
            Expr::Function { args, .. } => args.iter_mut().collect(),
            Expr::Window(window) => window.children_mut(),
            Expr::Case {
                operand,
                branches,
                otherwise,
            } => operand
                .as_deref_mut()
                .into_iter()
                .chain(branches.iter_mut().flat_map(|(when, then)| [when, then]))
                .chain(otherwise.as_deref_mut())
                .collect(),
        }
    }

    /// The expressions directly inside.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Column(_) | Expr::Literal(_) => Vec::new(),
            Expr::Binary { left, right, .. } => vec![left, right],
            Expr::And(terms) | Expr::Or(terms) => terms.iter().collect(),
            Expr::Not(expr)
            | Expr::Negate(expr)
            | Expr::IsNull { expr, .. }
            | Expr::IsBool { expr, .. }
            | Expr::AmongKeys { expr, .. }
            | Expr::Cast { expr, .. }
            | Expr::Alias { expr, .. } => vec![expr],
            Expr::InList { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
            Expr::Like { expr, pattern, .. } => vec![expr, pattern],
            Expr::Function { args, .. } => args.iter().collect(),
            Expr::Window(window) => window.children(),
            Expr::Case {
                operand,
                branches,
                otherwise,
            } => operand
                .as_deref()
                .into_iter()
                .chain(branches.iter().flat_map(|(when, then)| [when, then]))
                .chain(otherwise.as_deref())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{col, lit};

    #[test]
    fn columns_are_found_in_every_corner() {
        let expr = Expr::parse(
            "case a when b then c + 1 else -d end in (e, f) and not g like h \
             and cast(i as text) is null and (j or lower(k) = 'x') is true",
        )
        .unwrap();
        let names: Vec<String> = expr.columns().into_iter().collect();
        assert_eq!(names.concat(), "abcdefghijk");
    }

    #[test]
    fn conjuncts_keep_order_and_leave_or_alone() {
        let terms = Expr::parse("a and (b or c) and (d and e)")
            .unwrap()
            .conjuncts();
        let texts: Vec<String> = terms.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["a", "b or c", "d", "e"]);
        assert_eq!(Expr::And(terms).n_conjuncts(), 4);
        assert_eq!(lit(true).conjuncts(), [lit(true)]);
        assert_eq!(Expr::And(vec![]).conjuncts(), []);
    }

    #[test]
    fn a_long_chain_is_not_deep() {
        let mut expr = col("a").eq(lit(0));
        for value in 1..10_000 {
            expr = expr.or(col("a").eq(lit(value)));
        }
        assert_eq!(expr.depth(), 3);
    }
}
