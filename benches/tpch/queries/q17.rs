//! What would a year lose without orders of less than a fifth of a part's usual quantity?

use windrow::expr::{col, lit};
use windrow::{DataFrame, MergeHow, Result};

use super::pair;
use crate::data::Tables;

pub fn q17(tables: &Tables) -> Result<DataFrame> {
    let parts = tables
        .part
        .filter("p_brand = 'Brand#23' and p_container = 'MED BOX'")?;
    let lines = tables
        .lineitem
        .merge(&parts, pair("l_partkey", "p_partkey")?.how(MergeHow::Semi))?;
    let usual = lines
        .groupby(["l_partkey"])?
        .agg([col("l_quantity").mean().alias("usual")])?;
    lines
        .merge(&usual, "l_partkey")?
        .filter("l_quantity < 0.2 * usual")?
        .agg([col("l_extendedprice").sum().alias("lost")])?
        .select([(col("lost") / lit(7.0)).alias("avg_yearly")])
}
