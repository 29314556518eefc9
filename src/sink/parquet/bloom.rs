//! Which columns get a Bloom filter, and what goes into it.
//!
//! In:  names of columns; the distinct values of a leaf of a row group.
//! Out: a split-block Bloom filter, as the format's specification has it.
//!
//! Least and greatest values say nothing of ids: they lie between them whether
//! they are there or not. A filter tells, of a row group, whether a value may be
//! in it, so that one that lacks it is not read. It is as small as its share of
//! false answers allows, so what it takes grows with distinct values, not with rows.

use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use parquet::bloom_filter::Sbbf;
use parquet::errors::Result as ParquetResult;
use parquet::schema::types::ColumnDescriptor;

use crate::error::{Error, Result};
use crate::expr::col;

/// How often a value that is not there may seem to be. About ten bits a
/// distinct value, and at most twice that: filters have a power of two of bytes.
const FALSE_POSITIVES: f64 = 0.01;

/// The columns that get filters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blooms(Arc<[String]>);

impl Blooms {
    pub(crate) fn new(columns: &[String]) -> Self {
        Blooms(columns.into())
    }

    /// Refuses columns that are not there, and those of types without filters.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names; [`Error::Config`] for a type.
    pub(crate) fn check(&self, schema: &Schema) -> Result<()> {
        for name in self.0.iter() {
            let bound = col(name).bind(schema)?;
            if !has_filters(bound.data_type()) {
                return Err(Error::config(
                    "bloom",
                    format!(
                        "column {name:?} is {}: there are filters of text, binary, whole numbers, dates and times",
                        bound.data_type()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Whether a stored column gets one.
    pub(super) fn has(&self, leaf: &ColumnDescriptor) -> bool {
        !self.0.is_empty() && {
            let path = leaf.path().string();
            leaf.max_rep_level() == 0 && self.0.contains(&path)
        }
    }
}

/// Whether values of a type are equal where their stored bytes are, and what
/// stores them is ours. A column of which nothing is known yet may become one.
fn has_filters(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null => true,
        DataType::Dictionary(_, values) => has_filters(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) => true,
        other => other.is_integer(),
    }
}

/// A filter of some values, each of which `note` puts in.
pub(super) fn filter_of<T: Copy>(values: &[T], note: fn(T, &mut Sbbf)) -> ParquetResult<Sbbf> {
    let mut filter = Sbbf::new_with_ndv_fpp(values.len() as u64, FALSE_POSITIVES)?;
    for value in values {
        note(*value, &mut filter);
    }
    // Where values repeat there are fewer to be told apart.
    filter.fold_to_target_fpp(FALSE_POSITIVES);
    Ok(filter)
}
