//! What did suppliers of Asia sell to customers of their own nation in a year?

use windrow::{DataFrame, MergeHow, MergeOptions, Result, SortBy};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q05(tables: &Tables) -> Result<DataFrame> {
    let nations = tables.nation.merge(
        &tables.region.filter("r_name = 'ASIA'")?,
        pair("n_regionkey", "r_regionkey")?.how(MergeHow::Semi),
    )?;
    let suppliers = tables
        .supplier
        .merge(&nations, pair("s_nationkey", "n_nationkey")?)?;
    let orders = tables
        .orders
        .filter("o_orderdate >= date '1994-01-01' and o_orderdate < date '1995-01-01'")?
        .merge(&tables.customer, pair("o_custkey", "c_custkey")?)?;
    let of_one_nation =
        MergeOptions::on_pairs(["l_suppkey", "c_nationkey"], ["s_suppkey", "s_nationkey"])?;
    tables
        .lineitem
        .merge(&orders, pair("l_orderkey", "o_orderkey")?)?
        .merge(&suppliers, of_one_nation)?
        .groupby(["n_name"])?
        .agg([revenue().sum().alias("revenue")])?
        .sort_values([SortBy::descending("revenue")])
}
