//! What was shipped between two nations, by year?

use windrow::expr::col;
use windrow::{DataFrame, Result};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q07(tables: &Tables) -> Result<DataFrame> {
    let nations = tables.nation.filter("n_name in ('FRANCE', 'GERMANY')")?;
    let suppliers = tables.supplier.merge(
        &nations.rename([("n_name", "supp_nation")])?,
        pair("s_nationkey", "n_nationkey")?,
    )?;
    let orders = tables
        .orders
        .merge(&tables.customer, pair("o_custkey", "c_custkey")?)?
        .merge(
            &nations.rename([("n_name", "cust_nation")])?,
            pair("c_nationkey", "n_nationkey")?,
        )?;
    tables
        .lineitem
        .filter("l_shipdate between date '1995-01-01' and date '1996-12-31'")?
        .with_column("l_year", "year(l_shipdate)")?
        .with_column("volume", revenue())?
        .merge(&suppliers, pair("l_suppkey", "s_suppkey")?)?
        .merge(&orders, pair("l_orderkey", "o_orderkey")?)?
        .filter("supp_nation != cust_nation")?
        .groupby(["supp_nation", "cust_nation", "l_year"])?
        .agg([col("volume").sum().alias("revenue")])?
        .sort_values(["supp_nation", "cust_nation", "l_year"])
}
