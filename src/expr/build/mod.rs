//! Expressions from Rust: `col`, `lit`, methods and operators.
//!
//! In:  names, values and other expressions.
//! Out: [`Expr`] trees; `and` and `or` put chains into one list.

mod calls;
mod when;

use std::ops;

use arrow_schema::DataType;

pub use calls::{coalesce, list};
pub use when::{Then, When, when};

use super::ast::{BinaryOp, Expr};
use super::scalar::Scalar;
use crate::error::Result;

/// The column of that name; a dot reaches into a nested field unless a column has the whole name.
pub fn col(name: impl Into<String>) -> Expr {
    Expr::Column(name.into())
}

/// A constant.
pub fn lit(value: impl Into<Scalar>) -> Expr {
    Expr::Literal(value.into())
}

/// A function of the expression language, by name. Whether there is one is
/// checked by [`Expr::bind`].
pub fn call(name: impl Into<String>, args: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::Function {
        name: name.into(),
        args: args.into_iter().collect(),
    }
}

/// What can be given where an expression is wanted: an [`Expr`], or its text,
/// which is parsed.
pub trait IntoExpr {
    /// The expression.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) if the text does not parse; it says where.
    fn into_expr(self) -> Result<Expr>;
}

impl IntoExpr for Expr {
    fn into_expr(self) -> Result<Expr> {
        Ok(self)
    }
}

impl IntoExpr for &Expr {
    fn into_expr(self) -> Result<Expr> {
        Ok(self.clone())
    }
}

impl IntoExpr for &str {
    fn into_expr(self) -> Result<Expr> {
        Expr::parse(self)
    }
}

impl IntoExpr for String {
    fn into_expr(self) -> Result<Expr> {
        Expr::parse(&self)
    }
}

impl IntoExpr for &String {
    fn into_expr(self) -> Result<Expr> {
        Expr::parse(self)
    }
}

/// A value stands for the literal of that value: `col("status").ge(500)`.
impl<T: Into<Scalar>> From<T> for Expr {
    fn from(value: T) -> Self {
        Expr::Literal(value.into())
    }
}

/// Operands of `And` and `Or` join the list they extend.
macro_rules! chain {
    ($variant:path, $left:expr, $right:expr) => {{
        let mut terms = match $left {
            $variant(terms) => terms,
            other => vec![other],
        };
        match $right {
            $variant(more) => terms.extend(more),
            other => terms.push(other),
        }
        $variant(terms)
    }};
}

// Operator methods carry the names that dataframes use; the traits of `std`
// that share a name are implemented below and mean the same.
#[allow(clippy::should_implement_trait)]
impl Expr {
    fn binary(self, op: BinaryOp, right: impl Into<Expr>) -> Expr {
        Expr::Binary {
            left: Box::new(self),
            op,
            right: Box::new(right.into()),
        }
    }

    /// `self = other`. This and its kin compare by value: 1 equals 1.0 exactly.
    pub fn eq(self, other: impl Into<Expr>) -> Expr {
        self.binary(BinaryOp::Eq, other)
    }

    /// `self != other`.
    pub fn ne(self, other: impl Into<Expr>) -> Expr {
        self.binary(BinaryOp::NotEq, other)
    }

    /// `self < other`.
    pub fn lt(self, other: impl Into<Expr>) -> Expr {
        self.binary(BinaryOp::Lt, other)
    }

    /// `self <= other`.
    pub fn le(self, other: impl Into<Expr>) -> Expr {
        self.binary(BinaryOp::LtEq, other)
    }

    /// `self > other`.
    pub fn gt(self, other: impl Into<Expr>) -> Expr {
        self.binary(BinaryOp::Gt, other)
    }

    /// `self >= other`.
    pub fn ge(self, other: impl Into<Expr>) -> Expr {
        self.binary(BinaryOp::GtEq, other)
    }

    /// True where both are; false where either is false; else unknown.
    pub fn and(self, other: impl Into<Expr>) -> Expr {
        chain!(Expr::And, self, other.into())
    }

    /// True where either is; false where both are false; else unknown.
    pub fn or(self, other: impl Into<Expr>) -> Expr {
        chain!(Expr::Or, self, other.into())
    }

    /// The opposite of a condition.
    pub fn not(self) -> Expr {
        Expr::Not(Box::new(self))
    }

    /// Texts joined: `self || other`.
    pub fn concat(self, other: impl Into<Expr>) -> Expr {
        self.binary(BinaryOp::Concat, other)
    }

    /// Whether there is no value.
    pub fn is_null(self) -> Expr {
        Expr::IsNull {
            expr: Box::new(self),
            negated: false,
        }
    }

    /// Whether there is a value.
    pub fn is_not_null(self) -> Expr {
        Expr::IsNull {
            expr: Box::new(self),
            negated: true,
        }
    }

    /// Whether a condition is true, not false and not unknown.
    pub fn is_true(self) -> Expr {
        Expr::IsBool {
            expr: Box::new(self),
            value: true,
            negated: false,
        }
    }

    /// Whether a condition is false, not true and not unknown.
    pub fn is_false(self) -> Expr {
        Expr::IsBool {
            expr: Box::new(self),
            value: false,
            negated: false,
        }
    }

    /// Whether the value equals one of the list.
    pub fn is_in<I>(self, list: I) -> Expr
    where
        I: IntoIterator,
        I::Item: Into<Expr>,
    {
        Expr::InList {
            expr: Box::new(self),
            list: list.into_iter().map(Into::into).collect(),
            negated: false,
        }
    }

    /// `self >= low and self <= high`.
    pub fn between(self, low: impl Into<Expr>, high: impl Into<Expr>) -> Expr {
        let copy = self.clone();
        copy.ge(low).and(self.le(high))
    }

    /// Whether the value equals none of the list.
    pub fn is_not_in<I>(self, list: I) -> Expr
    where
        I: IntoIterator,
        I::Item: Into<Expr>,
    {
        Expr::InList {
            expr: Box::new(self),
            list: list.into_iter().map(Into::into).collect(),
            negated: true,
        }
    }

    /// Whether the text has a shape: `%` is any text, `_` any character.
    pub fn like(self, pattern: impl Into<Expr>) -> Expr {
        Expr::Like {
            expr: Box::new(self),
            pattern: Box::new(pattern.into()),
            case_insensitive: false,
            negated: false,
        }
    }

    /// As [`like`](Expr::like), upper and lower case being the same.
    pub fn ilike(self, pattern: impl Into<Expr>) -> Expr {
        Expr::Like {
            expr: Box::new(self),
            pattern: Box::new(pattern.into()),
            case_insensitive: true,
            negated: false,
        }
    }

    /// The value as another type; a value that does not fit ends the run with an error.
    pub fn cast(self, to: DataType) -> Expr {
        Expr::Cast {
            expr: Box::new(self),
            to,
            lenient: false,
        }
    }

    /// The value as another type; null where it does not fit.
    pub fn try_cast(self, to: DataType) -> Expr {
        Expr::Cast {
            expr: Box::new(self),
            to,
            lenient: true,
        }
    }

    /// The value under a name.
    pub fn alias(self, name: impl Into<String>) -> Expr {
        Expr::Alias {
            expr: Box::new(self),
            name: name.into(),
        }
    }
}

macro_rules! operator {
    ($($of:ident :: $method:ident => $op:ident),*) => {$(
        impl<T: Into<Expr>> ops::$of<T> for Expr {
            type Output = Expr;

            fn $method(self, right: T) -> Expr {
                self.binary(BinaryOp::$op, right)
            }
        }
    )*};
}
operator!(Add::add => Plus, Sub::sub => Minus, Mul::mul => Multiply, Div::div => Divide, Rem::rem => Modulo);

impl<T: Into<Expr>> ops::BitAnd<T> for Expr {
    type Output = Expr;

    fn bitand(self, right: T) -> Expr {
        self.and(right)
    }
}

impl<T: Into<Expr>> ops::BitOr<T> for Expr {
    type Output = Expr;

    fn bitor(self, right: T) -> Expr {
        self.or(right)
    }
}

impl ops::Not for Expr {
    type Output = Expr;

    fn not(self) -> Expr {
        Expr::Not(Box::new(self))
    }
}

impl ops::Neg for Expr {
    type Output = Expr;

    fn neg(self) -> Expr {
        Expr::Negate(Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_operators_build_what_the_text_says() {
        let same = |built: Expr, text: &str| {
            assert_eq!(built, Expr::parse(text).unwrap(), "{text}");
        };
        same(col("a").eq(1), "a = 1");
        same(col("a").ne(lit("x")), "a != 'x'");
        same(col("a").lt(1.5) | col("b").le(2), "a < 1.5 or b <= 2");
        same(col("a").gt(1) & !col("b").ge(2), "a > 1 and not b >= 2");
        same(
            -(col("a") + 1) * 2 - col("b") / 3 % 4,
            "-(a + 1) * 2 - b / 3 % 4",
        );
        same(col("a").is_in([1, 2]), "a in (1, 2)");
        same(col("a").between(1, 2), "a between 1 and 2");
        same(
            col("a").like("x%").or(col("a").ilike("Y%")),
            "a like 'x%' or a ilike 'Y%'",
        );
        same(col("a").cast(DataType::Int64), "a::int64");
        same(
            col("a").try_cast(DataType::Utf8).alias("b"),
            "try_cast(a as text) as b",
        );
        same(col("a").is_null().is_true(), "a is null is true");
        same(col("a").concat("-").concat(col("b")), "a || '-' || b");
        same(call("lower", [col("a")]), "LOWER(a)");
        same(col("a").is_not_in(["x"]), "a not in ('x')");
        same(col("a").fill_null(0), "coalesce(a, 0)");
        same(coalesce([col("a"), lit(1)]), "coalesce(a, 1)");
        same(col("a").trim().length(), "length(trim(a))");
        same(
            col("a").replace("x", "y").substring(1, 2),
            "substring(replace(a, 'x', 'y'), 1, 2)",
        );
        same(
            col("a").date_trunc("hour").year(),
            "year(date_trunc('hour', a))",
        );
        same(
            col("a").matches("^x").or(col("b").contains("y")),
            "regexp_like(a, '^x') or contains(b, 'y')",
        );
        same(
            when(col("a").gt(1)).then("x").into(),
            "case when a > 1 then 'x' end",
        );
    }
}
