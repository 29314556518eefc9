//! What was earned with parts of one colour, by nation of the supplier and year?

use windrow::expr::col;
use windrow::{DataFrame, MergeHow, MergeOptions, Result, SortBy};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q09(tables: &Tables) -> Result<DataFrame> {
    let parts = tables.part.filter("p_name like '%green%'")?;
    let suppliers = tables
        .supplier
        .merge(&tables.nation, pair("s_nationkey", "n_nationkey")?)?;
    let offer = MergeOptions::on_pairs(["l_suppkey", "l_partkey"], ["ps_suppkey", "ps_partkey"])?;
    tables
        .lineitem
        .merge(&parts, pair("l_partkey", "p_partkey")?.how(MergeHow::Semi))?
        .merge(&tables.partsupp, offer)?
        .merge(&suppliers, pair("l_suppkey", "s_suppkey")?)?
        .merge(&tables.orders, pair("l_orderkey", "o_orderkey")?)?
        .with_column("o_year", "year(o_orderdate)")?
        .with_column(
            "amount",
            revenue() - col("ps_supplycost") * col("l_quantity"),
        )?
        .rename([("n_name", "nation")])?
        .groupby(["nation", "o_year"])?
        .agg([col("amount").sum().alias("sum_profit")])?
        .sort_values(["nation".into(), SortBy::descending("o_year")])
}
