//! Aggregates from Rust: methods of an expression.
//!
//! In:  expressions.
//! Out: [`AggExpr`]s of them.

use super::ast::{AggExpr, Aggregate};
use crate::expr::ast::Expr;

macro_rules! aggregates {
    ($($(#[$doc:meta])* $method:ident => $what:expr;)*) => {$(
        $(#[$doc])*
        pub fn $method(self) -> AggExpr {
            AggExpr::new($what, [self])
        }
    )*};
}

/// One value of many rows. Nulls are left out; without values the result is
/// null, and 0 for counts. See [`Aggregate`] for what each gives.
impl Expr {
    aggregates! {
        /// How many values there are; [`count()`](super::count) counts rows.
        count => Aggregate::Count;
        /// The sum. Whole numbers give `Int64` (`UInt64` stays) and an error
        /// beyond it; fractions are added exactly and rounded once.
        sum => Aggregate::Sum;
        /// The mean, a `Float64`; of timestamps and durations one of the same type.
        mean => Aggregate::Mean;
        /// The smallest value.
        min => Aggregate::Min;
        /// The largest value.
        max => Aggregate::Max;
        /// The first value in input order.
        first => Aggregate::First;
        /// The last value in input order.
        last => Aggregate::Last;
        /// The value of the first row in input order, null or not.
        first_row => Aggregate::FirstRow;
        /// The value of the last row in input order, null or not; groups then
        /// stand in the order of their last rows.
        last_row => Aggregate::LastRow;
        /// Whether any condition is true.
        any => Aggregate::Any;
        /// Whether every condition is true.
        all => Aggregate::All;
        /// The product.
        product => Aggregate::Product;
        /// The sample variance, with n - 1 in the divisor.
        var => Aggregate::Variance { ddof: 1 };
        /// The sample standard deviation, with n - 1 in the divisor.
        std => Aggregate::StdDev { ddof: 1 };
        /// How many different values there are.
        nunique => Aggregate::NUnique;
        /// About how many different values there are; the standard error is 1.6 %.
        approx_nunique => Aggregate::ApproxNUnique;
        /// The median. Holds all values.
        median => Aggregate::Quantile(0.5);
        /// All values in input order, nulls included.
        list => Aggregate::List;
    }

    /// The variance with n - `ddof` in the divisor; null with `ddof` values or fewer.
    pub fn var_with(self, ddof: u8) -> AggExpr {
        AggExpr::new(Aggregate::Variance { ddof }, [self])
    }

    /// The standard deviation with n - `ddof` in the divisor.
    pub fn std_with(self, ddof: u8) -> AggExpr {
        AggExpr::new(Aggregate::StdDev { ddof }, [self])
    }

    /// The value below which a share `q` of the values lies, from 0 to 1,
    /// between two of them in proportion. Holds all values.
    pub fn quantile(self, q: f64) -> AggExpr {
        AggExpr::new(Aggregate::Quantile(q), [self])
    }

    /// A value of rank `q` to within 0.4 % of itself. Holds counts only.
    pub fn approx_quantile(self, q: f64) -> AggExpr {
        AggExpr::new(Aggregate::ApproxQuantile(q), [self])
    }

    /// The `k` largest values, as a list, largest first.
    pub fn largest(self, k: usize) -> AggExpr {
        AggExpr::new(Aggregate::Largest(k), [self])
    }

    /// The `k` smallest values, as a list, smallest first.
    pub fn smallest(self, k: usize) -> AggExpr {
        AggExpr::new(Aggregate::Smallest(k), [self])
    }
}
