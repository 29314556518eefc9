//! Which part of a month's revenue came from promoted parts, in percent?

use windrow::expr::{col, lit};
use windrow::{DataFrame, Result};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q14(tables: &Tables) -> Result<DataFrame> {
    tables
        .lineitem
        .filter("l_shipdate >= date '1995-09-01' and l_shipdate < date '1995-10-01'")?
        .merge(&tables.part, pair("l_partkey", "p_partkey")?)?
        .with_column("volume", revenue())?
        .with_column(
            "promo",
            "case when p_type like 'PROMO%' then volume else 0 end",
        )?
        .agg([
            col("promo").sum().alias("promo"),
            col("volume").sum().alias("volume"),
        ])?
        .select([(lit(100) * col("promo") / col("volume")).alias("promo_revenue")])
}
