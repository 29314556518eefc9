//! Which customers placed orders of large quantities?

use windrow::expr::col;
use windrow::{DataFrame, MergeHow, Result, SortBy};

use super::pair;
use crate::data::Tables;

pub fn q18(tables: &Tables) -> Result<DataFrame> {
    let large = tables
        .lineitem
        .groupby(["l_orderkey"])?
        .agg([col("l_quantity").sum().alias("quantity")])?
        .filter("quantity > 300")?;
    let orders = tables
        .orders
        .merge(
            &large,
            pair("o_orderkey", "l_orderkey")?.how(MergeHow::Semi),
        )?
        .merge(&tables.customer, pair("o_custkey", "c_custkey")?)?;
    let found = tables
        .lineitem
        .merge(&orders, pair("l_orderkey", "o_orderkey")?)?
        .groupby([
            "c_name",
            "c_custkey",
            "o_orderkey",
            "o_orderdate",
            "o_totalprice",
        ])?
        .agg([col("l_quantity").sum().alias("sum_quantity")])?
        .sort_values([SortBy::descending("o_totalprice"), "o_orderdate".into()])?;
    Ok(found.limit(100))
}
