//! Where do customers live who have money and no orders?

use windrow::expr::{col, count};
use windrow::{DataFrame, MergeHow, MergeOptions, Result};

use super::pair;
use crate::data::Tables;

pub fn q22(tables: &Tables) -> Result<DataFrame> {
    let customers = tables
        .customer
        .with_column("cntrycode", "substring(c_phone, 1, 2)")?
        .filter("cntrycode in ('13', '31', '23', '29', '30', '18', '17')")?;
    let usual = customers
        .filter("c_acctbal > 0")?
        .agg([col("c_acctbal").mean().alias("usual")])?;
    customers
        .merge(&usual, MergeOptions::cross())?
        .filter("c_acctbal > usual")?
        .merge(
            &tables.orders,
            pair("c_custkey", "o_custkey")?.how(MergeHow::Anti),
        )?
        .groupby(["cntrycode"])?
        .agg([
            count().alias("numcust"),
            col("c_acctbal").sum().alias("totacctbal"),
        ])?
        .sort_values(["cntrycode"])
}
