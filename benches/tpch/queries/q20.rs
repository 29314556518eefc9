//! Which suppliers of one nation hold more of some parts than half a year sells?

use windrow::expr::col;
use windrow::{DataFrame, MergeHow, MergeOptions, Result};

use super::pair;
use crate::data::Tables;

pub fn q20(tables: &Tables) -> Result<DataFrame> {
    let forest = tables.part.filter("p_name like 'forest%'")?;
    let sold = tables
        .lineitem
        .filter("l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'")?
        .merge(&forest, pair("l_partkey", "p_partkey")?.how(MergeHow::Semi))?
        .groupby(["l_partkey", "l_suppkey"])?
        .agg([col("l_quantity").sum().alias("sold")])?;
    let offer = MergeOptions::on_pairs(["ps_partkey", "ps_suppkey"], ["l_partkey", "l_suppkey"])?;
    let offers = tables
        .partsupp
        .merge(&sold, offer)?
        .filter("ps_availqty > 0.5 * sold")?;
    tables
        .supplier
        .merge(
            &offers,
            pair("s_suppkey", "ps_suppkey")?.how(MergeHow::Semi),
        )?
        .merge(
            &tables.nation.filter("n_name = 'CANADA'")?,
            pair("s_nationkey", "n_nationkey")?.how(MergeHow::Semi),
        )?
        .select(["s_name", "s_address"])?
        .sort_values(["s_name"])
}
