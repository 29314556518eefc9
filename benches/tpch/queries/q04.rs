//! How many orders of a quarter had a late line, by priority?

use windrow::expr::count;
use windrow::{DataFrame, MergeHow, Result};

use super::pair;
use crate::data::Tables;

pub fn q04(tables: &Tables) -> Result<DataFrame> {
    let late = tables.lineitem.filter("l_commitdate < l_receiptdate")?;
    tables
        .orders
        .filter("o_orderdate >= date '1993-07-01' and o_orderdate < date '1993-10-01'")?
        .merge(&late, pair("o_orderkey", "l_orderkey")?.how(MergeHow::Semi))?
        .groupby(["o_orderpriority"])?
        .agg([count().alias("order_count")])?
        .sort_values(["o_orderpriority"])
}
