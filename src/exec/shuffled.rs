//! A pipeline's rows, in partitions by key.
//!
//! In:  a pipeline, and what decides which partition a row goes to.
//! Out: a unit for each partition, its rows in input order.
//!
//! The input is read once. Rows are held until all came, past the budget on disk.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

use super::build::Given;
use super::context::Context;
use super::report::StageReport;
use super::scatter::{Scattered, scatter};
use super::sheet::{Front, Stage};
use super::source::{Unit, Units, batches_reader};
use crate::error::{Error, Result};
use crate::expr::{Scalar, unknown_column};
use crate::ops::{Edges, SortBy, SortKeys};
use crate::plan::{Physical, ShuffleBy, typed_array};
use crate::shuffle::{Bucket, BucketReader, ByHash, ByRange, Route};

/// Rows of a batch that is made of shards: enough to make its handling worth it.
const BATCH_ROWS: usize = 8_192;

/// Puts the rows of a pipeline into partitions.
///
/// # Errors
///
/// As [`super::write`]; [`Error::Plan`] for columns that are no keys, and for rows
/// that lie outside of all partitions.
pub(super) fn shuffle_all(by: &ShuffleBy, physical: &Physical, context: &Context) -> Result<Given> {
    let scattered = scatter(physical, context, |schema| route(by, schema));
    let scattered = scattered.map_err(|error| error.asked_by(by.name()))?;
    let partitions = partitions(by, &scattered)?;
    let rows = scattered.buckets.iter().map(Bucket::rows).sum();
    Ok(Given {
        units: units(partitions, scattered.buckets, &scattered.schema, by.name()),
        schema: scattered.schema,
        held_bytes: 0,
        counted: Some((rows, scattered.bytes)),
        stage: Some(Stage {
            report: StageReport {
                shuffles: 1,
                ..StageReport::of(by.name())
            },
            keeps_rows: true,
            fronts: vec![Front::over(scattered.sheet)],
            late: None,
        }),
    })
}

fn route(by: &ShuffleBy, schema: &SchemaRef) -> Result<Arc<dyn Route>> {
    match by {
        ShuffleBy::Hash { keys, count } => {
            let place = |key: &String| {
                let known = schema.column_with_name(key);
                known
                    .map(|(place, _)| place)
                    .ok_or_else(|| unknown_column(key, schema))
            };
            let places = keys.iter().map(place).collect::<Result<_>>()?;
            Ok(Arc::new(ByHash::try_new(places, *count)?))
        }
        ShuffleBy::Divisions { key, bounds, .. } => {
            let keys = SortKeys::try_new(&[SortBy::ascending(key)], schema)?;
            let of = schema.field_with_name(key)?.data_type();
            // Nulls stand behind all bounds.
            let bounds: Vec<Scalar> = bounds.iter().cloned().chain([Scalar::Null]).collect();
            let codes = keys.codes_of(&[typed_array(&bounds, of)?])?;
            Ok(Arc::new(ByRange::new(keys, Edges::of_bounds(&codes))))
        }
    }
}

/// The buckets of each partition.
///
/// # Errors
///
/// [`Error::Plan`] for rows that lie in none.
fn partitions(by: &ShuffleBy, scattered: &Scattered) -> Result<Vec<Vec<usize>>> {
    let ShuffleBy::Divisions { key, bounds, force } = by else {
        return Ok((0..scattered.buckets.len())
            .map(|bucket| vec![bucket])
            .collect());
    };
    // What lies before the first bound, the partitions, what lies behind the last, nulls.
    let n = bounds.len() - 1;
    let (before, behind, nulls) = (0, n + 1, n + 2);
    let outside = scattered.buckets[before].rows() + scattered.buckets[behind].rows();
    if outside > 0 && !force {
        return Err(Error::plan(format!(
            "{outside} rows have {key} before {} or behind {}: ask for wider bounds, or force it",
            bounds[0], bounds[n]
        )));
    }
    let mut partitions: Vec<Vec<usize>> = (1..=n).map(|bucket| vec![bucket]).collect();
    partitions[0].insert(0, before);
    partitions[n - 1].extend([behind, nulls]);
    Ok(partitions)
}

/// One unit for each partition.
fn units(
    partitions: Vec<Vec<usize>>,
    buckets: Vec<Bucket>,
    schema: &SchemaRef,
    name: &'static str,
) -> Units {
    let last = partitions.len().saturating_sub(1);
    let schema = Arc::clone(schema);
    let mut buckets: Vec<Option<Bucket>> = buckets.into_iter().map(Some).collect();
    Box::new(partitions.into_iter().enumerate().map(move |(idx, of)| {
        // A partition takes its buckets along, so that memory goes with what was read.
        let own = of.into_iter().filter_map(|bucket| buckets[bucket].take());
        let own: Vec<Bucket> = own.collect();
        let schema = Arc::clone(&schema);
        Ok(Unit {
            path: Arc::from(name),
            file: 0,
            ends_file: idx == last,
            after_all: false,
            open: Box::new(move || {
                let readers = own.into_iter().map(|bucket| bucket.read());
                Ok(batches_reader(Box::new(Joined {
                    shards: readers.collect::<Vec<_>>().into_iter().flatten(),
                    schema,
                })))
            }),
        })
    }))
}

/// Shards of partitions, joined to batches.
struct Joined {
    shards: std::iter::Flatten<std::vec::IntoIter<BucketReader>>,
    schema: SchemaRef,
}

impl Iterator for Joined {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut some = Vec::new();
        let mut rows = 0;
        while rows < BATCH_ROWS {
            match self.shards.next() {
                None => break,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(shard)) => {
                    rows += shard.num_rows();
                    some.push(shard);
                }
            }
        }
        match some.len() {
            0 => None,
            1 => some.pop().map(Ok),
            _ => Some(concat_batches(&self.schema, &some).map_err(Error::from)),
        }
    }
}
