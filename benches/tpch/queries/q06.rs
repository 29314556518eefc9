//! What would a year have brought without small discounts on small quantities?

use windrow::expr::col;
use windrow::{DataFrame, Result};

use crate::data::Tables;

pub fn q06(tables: &Tables) -> Result<DataFrame> {
    tables
        .lineitem
        .filter("l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'")?
        .filter("l_discount between 0.05 and 0.07 and l_quantity < 24")?
        .agg([(col("l_extendedprice") * col("l_discount"))
            .sum()
            .alias("revenue")])
}
