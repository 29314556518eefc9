//! Which suppliers of one nation were the only late ones of orders that others served, too?

use windrow::expr::{col, count};
use windrow::{DataFrame, MergeHow, Result, SortBy};

use super::pair;
use crate::data::Tables;

pub fn q21(tables: &Tables) -> Result<DataFrame> {
    let suppliers = tables.supplier.merge(
        &tables.nation.filter("n_name = 'SAUDI ARABIA'")?,
        pair("s_nationkey", "n_nationkey")?.how(MergeHow::Semi),
    )?;
    let late = tables.lineitem.filter("l_receiptdate > l_commitdate")?;
    // An order has another supplier if its least and its largest key differ.
    let least_and_most = [
        col("l_suppkey").min().alias("least"),
        col("l_suppkey").max().alias("most"),
    ];
    let of_several = tables
        .lineitem
        .groupby(["l_orderkey"])?
        .agg(&least_and_most)?
        .filter("least != most")?;
    let of_one_late = late
        .groupby(["l_orderkey"])?
        .agg(&least_and_most)?
        .filter("least = most")?;
    let orders = tables
        .orders
        .filter("o_orderstatus = 'F'")?
        .merge(
            &of_several,
            pair("o_orderkey", "l_orderkey")?.how(MergeHow::Semi),
        )?
        .merge(
            &of_one_late,
            pair("o_orderkey", "l_orderkey")?.how(MergeHow::Semi),
        )?;
    let found = late
        .merge(&suppliers, pair("l_suppkey", "s_suppkey")?)?
        .merge(
            &orders,
            pair("l_orderkey", "o_orderkey")?.how(MergeHow::Semi),
        )?
        .groupby(["s_name"])?
        .agg([count().alias("numwait")])?
        .sort_values([SortBy::descending("numwait"), "s_name".into()])?;
    Ok(found.limit(100))
}
