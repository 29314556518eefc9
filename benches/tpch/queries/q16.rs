//! How many suppliers without complaints offer parts of some kinds?

use windrow::expr::col;
use windrow::{DataFrame, MergeHow, Result, SortBy};

use super::pair;
use crate::data::Tables;

pub fn q16(tables: &Tables) -> Result<DataFrame> {
    let complaints = tables
        .supplier
        .filter("s_comment like '%Customer%Complaints%'")?;
    let parts = tables
        .part
        .filter("p_brand != 'Brand#45' and p_type not like 'MEDIUM POLISHED%'")?
        .filter("p_size in (49, 14, 23, 45, 19, 3, 36, 9)")?;
    tables
        .partsupp
        .merge(&parts, pair("ps_partkey", "p_partkey")?)?
        .merge(
            &complaints,
            pair("ps_suppkey", "s_suppkey")?.how(MergeHow::Anti),
        )?
        .groupby(["p_brand", "p_type", "p_size"])?
        .agg([col("ps_suppkey").nunique().alias("supplier_cnt")])?
        .sort_values([
            SortBy::descending("supplier_cnt"),
            "p_brand".into(),
            "p_type".into(),
            "p_size".into(),
        ])
}
