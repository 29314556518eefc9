//! Do cheaper ways of shipping make urgent orders late?

use windrow::expr::{col, when};
use windrow::{DataFrame, Result};

use super::pair;
use crate::data::Tables;

pub fn q12(tables: &Tables) -> Result<DataFrame> {
    tables
        .lineitem
        .filter("l_shipmode in ('MAIL', 'SHIP')")?
        .filter("l_commitdate < l_receiptdate and l_shipdate < l_commitdate")?
        .filter("l_receiptdate >= date '1994-01-01' and l_receiptdate < date '1995-01-01'")?
        .merge(&tables.orders, pair("l_orderkey", "o_orderkey")?)?
        .with_column("urgent", "o_orderpriority in ('1-URGENT', '2-HIGH')")?
        .groupby(["l_shipmode"])?
        .agg([
            when(col("urgent"))
                .then(1)
                .otherwise(0)
                .sum()
                .alias("high_line_count"),
            when(col("urgent"))
                .then(0)
                .otherwise(1)
                .sum()
                .alias("low_line_count"),
        ])?
        .sort_values(["l_shipmode"])
}
