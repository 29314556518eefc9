//! The 22 questions of TPC-H, asked of frames.
//!
//! In:  the tables.
//! Out: a frame of the answer, not computed yet.
//!
//! Each is what the specification's SQL says with its validation parameters:
//! `exists` and `in` are semi merges, their opposites anti merges, and a subquery
//! of one value is a frame of one row that every row meets.

mod q01;
mod q02;
mod q03;
mod q04;
mod q05;
mod q06;
mod q07;
mod q08;
mod q09;
mod q10;
mod q11;
mod q12;
mod q13;
mod q14;
mod q15;
mod q16;
mod q17;
mod q18;
mod q19;
mod q20;
mod q21;
mod q22;

use windrow::expr::{Expr, col, lit};
use windrow::{DataFrame, MergeOptions, Result};

use crate::data::Tables;

/// A question: a frame of the tables.
pub type Query = fn(&Tables) -> Result<DataFrame>;

/// All questions, by name.
pub const QUERIES: [(&str, Query); 22] = [
    ("q01", q01::q01),
    ("q02", q02::q02),
    ("q03", q03::q03),
    ("q04", q04::q04),
    ("q05", q05::q05),
    ("q06", q06::q06),
    ("q07", q07::q07),
    ("q08", q08::q08),
    ("q09", q09::q09),
    ("q10", q10::q10),
    ("q11", q11::q11),
    ("q12", q12::q12),
    ("q13", q13::q13),
    ("q14", q14::q14),
    ("q15", q15::q15),
    ("q16", q16::q16),
    ("q17", q17::q17),
    ("q18", q18::q18),
    ("q19", q19::q19),
    ("q20", q20::q20),
    ("q21", q21::q21),
    ("q22", q22::q22),
];

/// A key of the left frame that meets one of another name.
fn pair(left: &str, right: &str) -> Result<MergeOptions> {
    MergeOptions::on_pairs([left], [right])
}

/// What a line costs.
fn revenue() -> Expr {
    col("l_extendedprice") * (lit(1) - col("l_discount"))
}
