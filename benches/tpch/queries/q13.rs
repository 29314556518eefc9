//! How many customers have how many orders?

use windrow::expr::{col, count};
use windrow::{DataFrame, MergeHow, Result, SortBy};

use super::pair;
use crate::data::Tables;

pub fn q13(tables: &Tables) -> Result<DataFrame> {
    let orders = tables
        .orders
        .filter("o_comment not like '%special%requests%'")?;
    tables
        .customer
        .merge(&orders, pair("c_custkey", "o_custkey")?.how(MergeHow::Left))?
        .groupby(["c_custkey"])?
        .agg([col("o_orderkey").count().alias("c_count")])?
        .groupby(["c_count"])?
        .agg([count().alias("custdist")])?
        .sort_values([
            SortBy::descending("custdist"),
            SortBy::descending("c_count"),
        ])
}
