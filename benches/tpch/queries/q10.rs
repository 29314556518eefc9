//! Which customers sent back most of what they ordered in a quarter?

use windrow::{DataFrame, Result, SortBy};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q10(tables: &Tables) -> Result<DataFrame> {
    let returned = tables.lineitem.filter("l_returnflag = 'R'")?;
    let customers = tables
        .customer
        .merge(&tables.nation, pair("c_nationkey", "n_nationkey")?)?;
    let orders = tables
        .orders
        .filter("o_orderdate >= date '1993-10-01' and o_orderdate < date '1994-01-01'")?
        .merge(&customers, pair("o_custkey", "c_custkey")?)?;
    let found = returned
        .merge(&orders, pair("l_orderkey", "o_orderkey")?)?
        .groupby([
            "c_custkey",
            "c_name",
            "c_acctbal",
            "c_phone",
            "n_name",
            "c_address",
            "c_comment",
        ])?
        .agg([revenue().sum().alias("revenue")])?
        .select([
            "c_custkey",
            "c_name",
            "revenue",
            "c_acctbal",
            "n_name",
            "c_address",
            "c_phone",
            "c_comment",
        ])?
        .sort_values([SortBy::descending("revenue")])?;
    Ok(found.limit(20))
}
