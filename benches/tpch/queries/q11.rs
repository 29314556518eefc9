//! Which parts are a notable share of the stock that one nation holds?

use windrow::expr::{col, lit};
use windrow::{DataFrame, MergeHow, MergeOptions, Result, SortBy};

use super::pair;
use crate::data::Tables;

pub fn q11(tables: &Tables) -> Result<DataFrame> {
    let suppliers = tables.supplier.merge(
        &tables.nation.filter("n_name = 'GERMANY'")?,
        pair("s_nationkey", "n_nationkey")?.how(MergeHow::Semi),
    )?;
    let stock = tables
        .partsupp
        .merge(
            &suppliers,
            pair("ps_suppkey", "s_suppkey")?.how(MergeHow::Semi),
        )?
        .with_column("value", "ps_supplycost * ps_availqty")?;
    let all = stock.agg([col("value").sum().alias("all")])?;
    stock
        .groupby(["ps_partkey"])?
        .agg([col("value").sum()])?
        .merge(&all, MergeOptions::cross())?
        .filter(col("value").gt(col("all") * lit(0.0001 / tables.scale)))?
        .select(["ps_partkey", "value"])?
        // The specification leaves open which of two equal values comes first: at scale 10 some are.
        .sort_values([SortBy::descending("value"), "ps_partkey".into()])
}
