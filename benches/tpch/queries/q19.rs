//! What did small lots of some parts bring that were carried by air and handed over in person?

use windrow::{DataFrame, Result};

use super::{pair, revenue};
use crate::data::Tables;

pub fn q19(tables: &Tables) -> Result<DataFrame> {
    tables
        .lineitem
        .filter("l_shipmode in ('AIR', 'AIR REG') and l_shipinstruct = 'DELIVER IN PERSON'")?
        .merge(&tables.part, pair("l_partkey", "p_partkey")?)?
        .filter(
            "(p_brand = 'Brand#12' and p_container in ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG')
                and l_quantity between 1 and 11 and p_size between 1 and 5)
            or (p_brand = 'Brand#23' and p_container in ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
                and l_quantity between 10 and 20 and p_size between 1 and 10)
            or (p_brand = 'Brand#34' and p_container in ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG')
                and l_quantity between 20 and 30 and p_size between 1 and 15)",
        )?
        .agg([revenue().sum().alias("revenue")])
}
