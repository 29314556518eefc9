//! Ranges that came out too large, cut again.
//!
//! In:  ranges whose edges the first rows gave.
//! Out: the same rows in as many ranges or more, none too large to be sorted in
//!      memory, unless its rows are all equal.
//!
//! Rows whose first ones told little of the others, as those of a file that is
//! nearly in order, are moved a second time; all others are not.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat;
use arrow_select::take::take;

use super::sorted::Ranges;
use super::{range_bytes, wanted_ranges};
use crate::error::{Error, Result};
use crate::exec::output::SAMPLE_ROWS;
use crate::exec::run::Run;
use crate::exec::scatter::scatter_units;
use crate::exec::source::batch_unit;
use crate::expr::hash_u64;
use crate::ops::{Edges, SortKeys};
use crate::shuffle::{Bucket, ByRange};

/// So many times as large as it should be, a range is cut again.
const MOST_TIMES: u64 = 4;

/// Cuts ranges again that are too large, where there are `counted` rows and bytes in all.
pub(super) fn evened(
    ranges: Ranges,
    (rows, bytes): (u64, u64),
    keys: &SortKeys,
    schema: &SchemaRef,
    run: &Run,
) -> Result<Ranges> {
    let most = MOST_TIMES * range_bytes(run);
    let bytes_of = |of: u64| (u128::from(bytes) * u128::from(of) / u128::from(rows.max(1))) as u64;
    let mut even = Ranges {
        buckets: Vec::with_capacity(ranges.buckets.len()),
        equal: Vec::with_capacity(ranges.buckets.len()),
    };
    for (bucket, equal) in ranges.buckets.into_iter().zip(ranges.equal) {
        let bytes = bytes_of(bucket.rows());
        if equal || bytes <= most {
            even.buckets.push(bucket);
            even.equal.push(equal);
            continue;
        }
        let sample = keys.codes_of(&sample(&bucket, keys, schema)?)?;
        let edges = Edges::of_sample(&sample, wanted_ranges(bytes, run));
        even.equal.extend_from_slice(edges.equal());
        let route = Arc::new(ByRange::new(keys.clone(), edges));
        let units = batch_unit(Box::new(bucket.read()));
        drop(bucket);
        let cut = scatter_units(run, units, schema, route, None)?;
        even.buckets.extend(cut.buckets);
    }
    Ok(even)
}

/// The key columns of some rows of a range, chosen by their number in it.
fn sample(bucket: &Bucket, keys: &SortKeys, schema: &SchemaRef) -> Result<Vec<ArrayRef>> {
    let least = u64::MAX / bucket.rows().max(1);
    let limit = least.saturating_mul(SAMPLE_ROWS as u64);
    let mut picked: Vec<Vec<ArrayRef>> = keys.places().map(|_| Vec::new()).collect();
    let mut first = 0;
    for batch in bucket.read() {
        let batch = batch?;
        let numbers = (first..).map(hash_u64).zip(0..batch.num_rows() as u32);
        let rows = numbers.filter(|(hash, _)| *hash <= limit);
        let rows = UInt32Array::from_iter_values(rows.map(|(_, row)| row));
        first += batch.num_rows() as u64;
        for (picked, place) in picked.iter_mut().zip(keys.places()) {
            picked.push(take(batch.column(place), &rows, None)?);
        }
    }
    let joined = picked.iter().zip(keys.places()).map(|(picked, place)| {
        let picked: Vec<&dyn Array> = picked.iter().map(AsRef::as_ref).collect();
        match picked.is_empty() {
            true => Ok(new_empty_array(schema.field(place).data_type())),
            false => concat(&picked).map_err(Error::from),
        }
    });
    joined.collect()
}
