//! Which European suppliers offer brass parts of one size at the least cost?

use windrow::expr::col;
use windrow::{DataFrame, MergeHow, MergeOptions, Result, SortBy};

use super::pair;
use crate::data::Tables;

pub fn q02(tables: &Tables) -> Result<DataFrame> {
    let parts = tables.part.filter("p_size = 15 and p_type like '%BRASS'")?;
    let suppliers = tables
        .supplier
        .merge(&tables.nation, pair("s_nationkey", "n_nationkey")?)?
        .merge(
            &tables.region.filter("r_name = 'EUROPE'")?,
            pair("n_regionkey", "r_regionkey")?.how(MergeHow::Semi),
        )?;
    let offers = tables
        .partsupp
        .merge(&parts, pair("ps_partkey", "p_partkey")?)?
        .merge(&suppliers, pair("ps_suppkey", "s_suppkey")?)?;
    let least = offers
        .groupby(["ps_partkey"])?
        .agg([col("ps_supplycost").min().alias("least_cost")])?;
    let of_least_cost = MergeOptions::on_pairs(
        ["ps_partkey", "ps_supplycost"],
        ["ps_partkey", "least_cost"],
    )?;
    let best = offers.merge(&least, of_least_cost.how(MergeHow::Semi))?;
    let found = best
        .select([
            "s_acctbal",
            "s_name",
            "n_name",
            "p_partkey",
            "p_mfgr",
            "s_address",
            "s_phone",
            "s_comment",
        ])?
        .sort_values([
            SortBy::descending("s_acctbal"),
            "n_name".into(),
            "s_name".into(),
            "p_partkey".into(),
        ])?;
    Ok(found.limit(100))
}
