//! Which suppliers brought the most revenue in a quarter?

use windrow::expr::col;
use windrow::{DataFrame, MergeHow, Result};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q15(tables: &Tables) -> Result<DataFrame> {
    let by_supplier = tables
        .lineitem
        .filter("l_shipdate >= date '1996-01-01' and l_shipdate < date '1996-04-01'")?
        .groupby(["l_suppkey"])?
        .agg([revenue().sum().alias("total_revenue")])?;
    let most = by_supplier.agg([col("total_revenue").max().alias("most")])?;
    let best = by_supplier.merge(&most, pair("total_revenue", "most")?.how(MergeHow::Semi))?;
    tables
        .supplier
        .merge(&best, pair("s_suppkey", "l_suppkey")?)?
        .select([
            "s_suppkey",
            "s_name",
            "s_address",
            "s_phone",
            "total_revenue",
        ])?
        .sort_values(["s_suppkey"])
}
