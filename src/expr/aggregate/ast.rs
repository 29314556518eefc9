//! What an aggregate is, as plain data, and its text.
//!
//! In:  pieces from the builder methods of [`Expr`] or from the parser.
//! Out: an [`AggExpr`], printed as the text that parses to it.
//!
//! An aggregate is not an [`Expr`]: it makes one value of many rows, so a
//! filter, which looks at one row, cannot hold one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::user::{User, UserAggregate};
use crate::expr::ast::Expr;
use crate::expr::display::write_word;
use crate::expr::scalar::Scalar;

/// What is made of the rows of a group. Nulls are left out by all but
/// [`Size`](Aggregate::Size), [`List`](Aggregate::List), [`FirstRow`](Aggregate::FirstRow)
/// and [`LastRow`](Aggregate::LastRow).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Aggregate {
    /// How many rows; takes no argument.
    Size,
    /// How many values.
    Count,
    /// The sum; null without values. Whole numbers and decimals are exact and
    /// must fit the result; fractions are added exactly and rounded once.
    Sum,
    /// The sum over the count.
    Mean,
    /// The smallest value; NaN is above every number.
    Min,
    /// The largest value.
    Max,
    /// The first value in input order.
    First,
    /// The last value in input order.
    Last,
    /// The value of the first row in input order, null or not.
    FirstRow,
    /// The value of the last row in input order, null or not. Groups then stand
    /// in the order of their last rows.
    LastRow,
    /// Whether any condition is true.
    Any,
    /// Whether every condition is true.
    All,
    /// The product.
    Product,
    /// The variance; null with `ddof` values or fewer.
    Variance {
        /// What is taken from the count in the divisor: 1 for a sample, 0 for a population.
        ddof: u8,
    },
    /// The root of the variance.
    StdDev {
        /// As in [`Variance`](Aggregate::Variance).
        ddof: u8,
    },
    /// How many different values.
    NUnique,
    /// About how many different values, by 4,096 registers: the standard error is 1.6 %.
    ApproxNUnique,
    /// The value below which a share of the values lies, between two of them in
    /// proportion; 0.5 is the median. Holds all values.
    Quantile(f64),
    /// A value of that rank to within 0.4 % of itself. Holds counts only.
    ApproxQuantile(f64),
    /// All values in input order, nulls included.
    List,
    /// The largest values, largest first; equal ones in input order.
    Largest(usize),
    /// The smallest values, smallest first; equal ones in input order.
    Smallest(usize),
    /// Covariance of two columns, of the rows that have both: the divisor is
    /// their count less `ddof`; null with no more of them than that.
    Covariance {
        /// 1 for a sample, 0 for the whole population.
        ddof: u8,
    },
    /// Pearson's correlation of two columns, of the rows that have both.
    Corr,
    /// One of the program's own, of any columns; see [`AggExpr::user`].
    User,
}

impl Aggregate {
    /// How many columns it looks at; of one of the program's own, at least.
    pub fn n_args(self) -> usize {
        match self {
            Aggregate::Size | Aggregate::User => 0,
            Aggregate::Covariance { .. } | Aggregate::Corr => 2,
            _ => 1,
        }
    }

    /// The word it is called by.
    fn word(self) -> &'static str {
        match self {
            Aggregate::Size | Aggregate::Count | Aggregate::NUnique => "count",
            Aggregate::Sum => "sum",
            Aggregate::Mean => "mean",
            Aggregate::Min => "min",
            Aggregate::Max => "max",
            Aggregate::First => "first",
            Aggregate::Last => "last",
            Aggregate::FirstRow => "first_row",
            Aggregate::LastRow => "last_row",
            Aggregate::Any => "any",
            Aggregate::All => "all",
            Aggregate::Product => "product",
            Aggregate::Variance { ddof: 0 } => "var_pop",
            Aggregate::Variance { .. } => "var",
            Aggregate::StdDev { ddof: 0 } => "std_pop",
            Aggregate::StdDev { .. } => "std",
            Aggregate::ApproxNUnique => "approx_nunique",
            Aggregate::Quantile(0.5) => "median",
            Aggregate::Quantile(_) => "quantile",
            Aggregate::ApproxQuantile(_) => "approx_quantile",
            Aggregate::List => "list",
            Aggregate::Largest(_) => "largest",
            Aggregate::Smallest(_) => "smallest",
            Aggregate::Covariance { ddof: 0 } => "covar_pop",
            Aggregate::Covariance { .. } => "covar",
            Aggregate::Corr => "corr",
            Aggregate::User => "user",
        }
    }

    /// The constant that follows the columns in its text.
    fn parameter(self) -> Option<Scalar> {
        match self {
            Aggregate::Variance { ddof }
            | Aggregate::StdDev { ddof }
            | Aggregate::Covariance { ddof }
                if ddof > 1 =>
            {
                Some(Scalar::from(ddof))
            }
            Aggregate::Quantile(q) if q != 0.5 => Some(Scalar::Float64(q)),
            Aggregate::ApproxQuantile(q) => Some(Scalar::Float64(q)),
            Aggregate::Largest(k) | Aggregate::Smallest(k) => Some(Scalar::from(k as u64)),
            _ => None,
        }
    }
}

/// The names the parser knows; `count(*)` and `count(distinct x)` come through `count`.
const NAMES: [(&str, Aggregate); 36] = [
    ("count", Aggregate::Count),
    ("sum", Aggregate::Sum),
    ("mean", Aggregate::Mean),
    ("avg", Aggregate::Mean),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("first", Aggregate::First),
    ("last", Aggregate::Last),
    ("first_row", Aggregate::FirstRow),
    ("last_row", Aggregate::LastRow),
    ("any", Aggregate::Any),
    ("bool_or", Aggregate::Any),
    ("all", Aggregate::All),
    ("bool_and", Aggregate::All),
    ("product", Aggregate::Product),
    ("prod", Aggregate::Product),
    ("var", Aggregate::Variance { ddof: 1 }),
    ("var_samp", Aggregate::Variance { ddof: 1 }),
    ("variance", Aggregate::Variance { ddof: 1 }),
    ("var_pop", Aggregate::Variance { ddof: 0 }),
    ("std", Aggregate::StdDev { ddof: 1 }),
    ("stddev", Aggregate::StdDev { ddof: 1 }),
    ("stddev_samp", Aggregate::StdDev { ddof: 1 }),
    ("std_pop", Aggregate::StdDev { ddof: 0 }),
    ("nunique", Aggregate::NUnique),
    ("approx_nunique", Aggregate::ApproxNUnique),
    ("median", Aggregate::Quantile(0.5)),
    ("quantile", Aggregate::Quantile(0.5)),
    ("approx_quantile", Aggregate::ApproxQuantile(0.5)),
    ("list", Aggregate::List),
    ("largest", Aggregate::Largest(1)),
    ("smallest", Aggregate::Smallest(1)),
    ("covar", Aggregate::Covariance { ddof: 1 }),
    ("covar_samp", Aggregate::Covariance { ddof: 1 }),
    ("covar_pop", Aggregate::Covariance { ddof: 0 }),
    ("corr", Aggregate::Corr),
];

/// The aggregate of a name, whatever its case.
pub(crate) fn find(name: &str) -> Option<Aggregate> {
    NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, aggregate)| *aggregate)
}

/// All names, for near ones.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// Why an aggregate cannot stand where an expression is wanted.
pub(crate) fn misplaced(name: &str) -> String {
    format!(
        "{name} makes one value of many rows, and here every row has a value of its own; \
         aggregates stand in agg"
    )
}

/// One value made of many rows: an aggregate of expressions, maybe under a name.
///
/// Built with methods of [`Expr`] and with [`count`], or from text with
/// [`parse`](AggExpr::parse).
///
/// ```
/// use windrow::expr::{AggExpr, col, count};
///
/// assert_eq!(col("bytes").sum(), AggExpr::parse("sum(bytes)")?);
/// assert_eq!(count(), AggExpr::parse("count(*)")?);
/// let users = col("user").nunique().alias("users");
/// assert_eq!(users.to_string(), "count(distinct user) as users");
/// # Ok::<(), windrow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AggExpr {
    pub(super) what: Aggregate,
    pub(super) args: Vec<Expr>,
    pub(super) name: Option<String>,
    /// The program's own aggregate, if it is one.
    pub(super) user: Option<User>,
}

/// The number of rows, nulls or not: `count(*)`.
pub fn count() -> AggExpr {
    AggExpr::new(Aggregate::Size, [])
}

/// The covariance of two columns, as of a sample: `covar(x, y)`.
///
/// ```
/// use windrow::prelude::*;
/// use windrow::expr::{AggExpr, covar};
///
/// assert_eq!(covar(col("x"), col("y")), AggExpr::parse("covar(x, y)")?);
/// # Ok::<(), windrow::Error>(())
/// ```
pub fn covar(x: impl Into<Expr>, y: impl Into<Expr>) -> AggExpr {
    AggExpr::new(Aggregate::Covariance { ddof: 1 }, [x.into(), y.into()])
}

/// The correlation of two columns, from -1 to 1: `corr(x, y)`.
pub fn corr(x: impl Into<Expr>, y: impl Into<Expr>) -> AggExpr {
    AggExpr::new(Aggregate::Corr, [x.into(), y.into()])
}

impl AggExpr {
    /// An aggregate of some expressions; [`bind`](AggExpr::bind) checks how many it takes.
    pub fn new(what: Aggregate, args: impl IntoIterator<Item = Expr>) -> Self {
        AggExpr {
            what,
            args: args.into_iter().collect(),
            name: None,
            user: None,
        }
    }

    /// An aggregate of the program's own.
    pub fn user(aggregate: Arc<dyn UserAggregate>, args: impl IntoIterator<Item = Expr>) -> Self {
        AggExpr {
            user: Some(User(aggregate)),
            ..AggExpr::new(Aggregate::User, args)
        }
    }

    /// Whether rows of a group may have no result: a sum that is too large.
    pub(crate) fn may_fail(&self) -> bool {
        use Aggregate::{
            All, Any, ApproxNUnique, Count, First, FirstRow, Last, LastRow, Max, Min, NUnique, Size,
        };
        !matches!(
            self.what,
            Size | Count
                | Min
                | Max
                | First
                | Last
                | FirstRow
                | LastRow
                | Any
                | All
                | NUnique
                | ApproxNUnique
        )
    }

    /// The same aggregate of other expressions, without a name of its own.
    pub(crate) fn with_args(&self, args: Vec<Expr>) -> Self {
        AggExpr {
            args,
            name: None,
            ..self.clone()
        }
    }

    /// The same value under a name of its own.
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What is made of the rows.
    pub fn aggregate(&self) -> Aggregate {
        self.what
    }

    /// What it is made of.
    pub fn args(&self) -> &[Expr] {
        &self.args
    }

    /// The same, to be changed.
    pub(crate) fn args_mut(&mut self) -> &mut [Expr] {
        &mut self.args
    }

    /// The names of all columns it looks at.
    pub fn columns(&self) -> BTreeSet<String> {
        self.args.iter().flat_map(Expr::columns).collect()
    }

    /// The name it would have alone: its alias, `count` for `count(*)`, the
    /// column's own name for one column, else its text. Several share names by
    /// the rule of [`output_names`].
    pub fn output_name(&self) -> String {
        match (&self.name, self.what, self.args.as_slice()) {
            (Some(name), ..) => name.clone(),
            (None, Aggregate::Size, _) => "count".to_owned(),
            (None, _, [one @ (Expr::Column(_) | Expr::Alias { .. })]) => one.output_name(),
            _ => self.to_string(),
        }
    }
}

/// The names of several aggregates beside `taken` ones (the keys).
///
/// A column's own name goes to the aggregate of it that is alone; where two
/// would have it, or a key has it, each is named by its text: `min(x)`, `max(x)`.
/// Names that were given are kept, twice or not.
pub fn output_names(aggregates: &[AggExpr], taken: &[String]) -> Vec<String> {
    let mut uses: BTreeMap<String, usize> = taken.iter().map(|name| (name.clone(), 1)).collect();
    for aggregate in aggregates {
        *uses.entry(aggregate.output_name()).or_default() += 1;
    }
    aggregates
        .iter()
        .map(|aggregate| match aggregate.output_name() {
            name if aggregate.name.is_some() || uses[&name] == 1 => name,
            _ => aggregate.to_string(),
        })
        .collect()
}

impl Display for AggExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = match &self.user {
            Some(user) => user.0.name(),
            None => self.what.word(),
        };
        write!(f, "{word}(")?;
        match self.what {
            Aggregate::Size => f.write_str("*")?,
            Aggregate::NUnique => f.write_str("distinct ")?,
            _ => {}
        }
        let parameter = self.what.parameter().map(|scalar| scalar.to_string());
        let texts: Vec<String> = self
            .args
            .iter()
            .map(ToString::to_string)
            .chain(parameter)
            .collect();
        write!(f, "{})", texts.join(", "))?;
        if let Some(name) = &self.name {
            f.write_str(" as ")?;
            write_word(f, name, |_| true)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::col;

    #[test]
    fn names_are_the_columns_own_unless_two_would_have_it() {
        let names = |aggregates: &[AggExpr]| output_names(aggregates, &["user".to_owned()]);
        assert_eq!(names(&[col("bytes").sum(), count()]), ["bytes", "count"]);
        assert_eq!(
            names(&[col("x").min(), col("x").max(), col("x").mean().alias("x")]),
            ["min(x)", "max(x)", "x"]
        );
        assert_eq!(names(&[col("user").nunique()]), ["count(distinct user)"]);
        assert_eq!(names(&[(col("a") + 1).sum()]), ["sum(a + 1)"]);
    }
}
