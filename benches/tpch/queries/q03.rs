//! Which unshipped orders of one market segment are worth most?

use windrow::{DataFrame, MergeHow, Result, SortBy};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q03(tables: &Tables) -> Result<DataFrame> {
    let customers = tables.customer.filter("c_mktsegment = 'BUILDING'")?;
    let orders = tables
        .orders
        .filter("o_orderdate < date '1995-03-15'")?
        .merge(
            &customers,
            pair("o_custkey", "c_custkey")?.how(MergeHow::Semi),
        )?;
    let found = tables
        .lineitem
        .filter("l_shipdate > date '1995-03-15'")?
        .merge(&orders, pair("l_orderkey", "o_orderkey")?)?
        .groupby(["l_orderkey", "o_orderdate", "o_shippriority"])?
        .agg([revenue().sum().alias("revenue")])?
        .select(["l_orderkey", "revenue", "o_orderdate", "o_shippriority"])?
        .sort_values([SortBy::descending("revenue"), "o_orderdate".into()])?;
    Ok(found.limit(10))
}
