//! Columns in, column out: expressions, what they mean, and their text.
//!
//! In:  an expression, built in Rust or parsed from text, and record batches.
//! Out: one value per row, or a mask of rows.
//!
//! ```text
//! text ── token ▶ parse ─┐                   ┌─▶ evaluate ─▶ column
//!                        ├▶ Expr ─ bind ▶ BoundExpr ─▶ mask ─▶ rows
//! Rust ── build ─────────┘  (display)        └─▶ may_match ─▶ is a group worth reading?
//! ```
//!
//! Answers follow values, not types. A batch of JSON may hold a column under
//! another type than the plan knew (missing, `Int64` for `Float64`, text
//! because numbers and strings mix), and gets the same answers: numbers of any
//! two types compare exactly, a text beside a number is the number it spells,
//! and a number beside a text is its canonical text. Unknown stays unknown.
//! What is meant is decided when the expression is bound; see `compare`.
//!
//! Decimals are computed exactly, and so is what stands beside them: whole numbers,
//! and literals, of which 0.05 is five hundredths. `a + b` and `a - b` have the more
//! digits behind the point, `a * b` those of both; no type has more than 38 digits,
//! and a value that does not fit is an error at its row. `a / b` is a fraction.
//!
//! Where others differ, this is what is meant here:
//!
//! - Null is unknown: `null = null` and `x in (1, null)` without a 1 are null. NaN is a
//!   value: it equals itself, is above all other numbers, is one group and one key of a
//!   merge, and no null; [`is_nan`](Expr::is_nan) finds it. 0 and -0 are equal, and one group.
//! - What is divided by 0 is null, of fractions as well, and so are a logarithm of 0 and a
//!   root of -1. Whole numbers past 64 bits are an error at their row, never another number.
//! - A cast cuts the fraction off, `'3.7'` to a whole number is 3; what has no such value is an
//!   error at its row, inside of lists and objects too, and null for [`try_cast`](Expr::try_cast).
//! - A time that clocks of a zone skip is taken by the offset before, and of two that they
//!   show alike the first is meant. A time without a zone meets others as UTC.

mod aggregate;
mod arith;
mod ast;
mod bind;
mod bounds;
mod build;
mod cast;
mod compare;
mod convert;
mod decimal;
mod display;
mod eval;
mod exact;
mod functions;
mod group_table;
mod hash;
mod json_text;
mod key_set;
mod like;
mod lists;
mod members;
mod names;
mod number;
mod order;
mod parse;
mod projection;
mod row_error;
mod row_hash;
mod scalar;
mod shape;
mod text;
mod time;
mod types;
mod unify;
mod window;
mod zone;

pub use aggregate::{
    Accumulator, AggExpr, Aggregate, BoundAggregate, Groups, UserAggregate, UserState, corr, count,
    covar, output_names,
};
pub(crate) use aggregate::{OfValues, RowCounts, Sift};
pub use ast::{BinaryOp, Expr, MAX_DEPTH};
pub use bounds::{Facts, Known, PathRef, Sought};
pub use build::{IntoExpr, Then, When, call, coalesce, col, list, lit, when};
pub use eval::BoundExpr;
pub(crate) use eval::BoundTerm;
pub(crate) use exact::fit;
pub use functions::{Function, functions};
pub use group_table::GroupTable;
pub(crate) use group_table::{in_key_types, plain, plain_type};
#[doc(hidden)]
pub use hash::keep_hash_bits;
pub(crate) use hash::{hash_bytes, hash_u64, up_to_eight};
#[doc(hidden)]
pub use key_set::{KeySet, Tested};
pub(crate) use lists::{Items, item_type};
pub(crate) use names::{nearest, unknown_column};
pub(crate) use order::order_columns;
pub(crate) use projection::roots;
pub use projection::{Named, Projection, Rest};
pub use row_error::RowError;
pub(crate) use row_hash::hash_rows;
pub use scalar::Scalar;
pub use shape::{Origin, Shape, Slot};
pub(crate) use unify::common_type;
pub(crate) use window::{BoundWindow, Course, Ran, Running, WindowRows, ticks_of};
pub use window::{Frame, Rolling, WindowExpr, Windowed, row_number};
