//! What was billed, shipped and returned, by return flag and line status, up to a day?

use windrow::expr::{col, count, lit};
use windrow::{DataFrame, Result};

use super::revenue;
use crate::data::Tables;

pub fn q01(tables: &Tables) -> Result<DataFrame> {
    tables
        .lineitem
        .filter("l_shipdate <= date '1998-09-02'")?
        .with_column("disc_price", revenue())?
        .groupby(["l_returnflag", "l_linestatus"])?
        .agg([
            col("l_quantity").sum().alias("sum_qty"),
            col("l_extendedprice").sum().alias("sum_base_price"),
            col("disc_price").sum().alias("sum_disc_price"),
            (col("disc_price") * (lit(1) + col("l_tax")))
                .sum()
                .alias("sum_charge"),
            col("l_quantity").mean().alias("avg_qty"),
            col("l_extendedprice").mean().alias("avg_price"),
            col("l_discount").mean().alias("avg_disc"),
            count().alias("count_order"),
        ])?
        .sort_values(["l_returnflag", "l_linestatus"])
}
