//! Which share of America's market for one type of part had Brazil, by year?

use windrow::expr::col;
use windrow::{DataFrame, MergeHow, Result};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q08(tables: &Tables) -> Result<DataFrame> {
    let parts = tables.part.filter("p_type = 'ECONOMY ANODIZED STEEL'")?;
    let of_america = tables.nation.merge(
        &tables.region.filter("r_name = 'AMERICA'")?,
        pair("n_regionkey", "r_regionkey")?.how(MergeHow::Semi),
    )?;
    let customers = tables.customer.merge(
        &of_america,
        pair("c_nationkey", "n_nationkey")?.how(MergeHow::Semi),
    )?;
    let orders = tables
        .orders
        .filter("o_orderdate between date '1995-01-01' and date '1996-12-31'")?
        .merge(
            &customers,
            pair("o_custkey", "c_custkey")?.how(MergeHow::Semi),
        )?;
    let suppliers = tables
        .supplier
        .merge(&tables.nation, pair("s_nationkey", "n_nationkey")?)?;
    tables
        .lineitem
        .merge(&parts, pair("l_partkey", "p_partkey")?.how(MergeHow::Semi))?
        .merge(&orders, pair("l_orderkey", "o_orderkey")?)?
        .merge(&suppliers, pair("l_suppkey", "s_suppkey")?)?
        .with_column("o_year", "year(o_orderdate)")?
        .with_column("volume", revenue())?
        .with_column(
            "brazil",
            "case when n_name = 'BRAZIL' then volume else 0 end",
        )?
        .groupby(["o_year"])?
        .agg([col("brazil").sum(), col("volume").sum()])?
        .select([
            col("o_year"),
            (col("brazil") / col("volume")).alias("mkt_share"),
        ])?
        .sort_values(["o_year"])
}
