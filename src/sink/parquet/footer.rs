//! What a Parquet file says about itself.
//!
//! In:  a file on disk.
//! Out: its rows, row groups, codec, schema and each column's least and
//!      greatest value, read from the footer and from nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use arrow_array::{Array, ArrayRef};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_ord::sort::{SortOptions, sort_to_indices};
use arrow_schema::{DataType, Schema, SchemaRef};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Compression;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};

use crate::error::{Error, Result};
use crate::sink::file::parquet_error;
use crate::sink::report::Range;
use crate::sink::settle::Found;
use crate::sink::shown::printable;

/// Reads metadata, with page indexes where asked for.
pub(super) fn metadata(path: &Path, indexes: PageIndexPolicy) -> Result<(File, ParquetMetaData)> {
    let file = File::open(path).map_err(|source| Error::io(path.display(), "open", source))?;
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(indexes)
        .parse_and_finish(&file)
        .map_err(|error| parquet_error(path, "read the footer", error))?;
    Ok((file, metadata))
}

/// What the footer says.
pub(crate) fn inspect(path: &Path) -> Result<Found> {
    let (_, metadata) = metadata(path, PageIndexPolicy::Skip)?;
    let schema = arrow_schema_of(path, &metadata)?;
    let groups = metadata.row_groups();
    let leaves = groups.iter().flat_map(|group| group.columns());
    let of_leaves: BTreeSet<(String, &'static str)> = leaves
        .map(|leaf| (leaf.column_path().string(), codec_name(leaf.compression())))
        .collect();
    let codecs: BTreeSet<&'static str> = of_leaves.iter().map(|(_, codec)| *codec).collect();
    let sum = |of: &dyn Fn(&RowGroupMetaData) -> i64| {
        groups.iter().map(|group| of(group).unsigned_abs()).sum()
    };
    Ok(Found {
        rows: sum(&RowGroupMetaData::num_rows),
        bytes: sum(&RowGroupMetaData::total_byte_size),
        row_groups: groups.len() as u64,
        codecs: codecs.into_iter().collect(),
        of_leaves,
        ranges: ranges(&metadata, &schema),
    })
}

/// The Arrow schema of a file.
pub(crate) fn read_schema(path: &Path) -> Result<SchemaRef> {
    let (_, metadata) = metadata(path, PageIndexPolicy::Skip)?;
    arrow_schema_of(path, &metadata)
}

fn arrow_schema_of(path: &Path, metadata: &ParquetMetaData) -> Result<SchemaRef> {
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
        .map_err(|error| parquet_error(path, "read the schema", error))?;
    Ok(SchemaRef::new(schema))
}

/// The name of a codec in words.
pub(crate) fn codec_name(compression: Compression) -> &'static str {
    match compression {
        Compression::UNCOMPRESSED => "none",
        Compression::SNAPPY => "snappy",
        Compression::GZIP(_) => "gzip",
        Compression::LZO => "lzo",
        Compression::BROTLI(_) => "brotli",
        Compression::LZ4 => "lz4 (Hadoop)",
        Compression::ZSTD(_) => "zstd",
        Compression::LZ4_RAW => "lz4",
    }
}

/// Least and greatest values of flat columns over all row groups; columns whose
/// statistics are missing or cut short are left out, as are failures to decode
/// them, since a range is a hint for readers and no promise depends on it.
fn ranges(metadata: &ParquetMetaData, schema: &Schema) -> BTreeMap<String, Range> {
    schema
        .fields()
        .iter()
        .filter(|field| !field.data_type().is_nested())
        .filter_map(|field| {
            let range = range(metadata, schema, field.name()).ok()??;
            Some((field.name().clone(), range))
        })
        .collect()
}

fn range(metadata: &ParquetMetaData, schema: &Schema, column: &str) -> Result<Option<Range>> {
    let failed = |error| Error::external("reading statistics", error);
    let parquet = metadata.file_metadata().schema_descr();
    let statistics = StatisticsConverter::try_new(column, schema, parquet).map_err(failed)?;
    let groups = metadata.row_groups();
    let (least, least_exact) = (
        statistics.row_group_mins(groups).map_err(failed)?,
        statistics
            .row_group_is_min_value_exact(groups)
            .map_err(failed)?,
    );
    let (greatest, greatest_exact) = (
        statistics.row_group_maxes(groups).map_err(failed)?,
        statistics
            .row_group_is_max_value_exact(groups)
            .map_err(failed)?,
    );
    let exact = least_exact.iter().chain(greatest_exact.iter());
    // A row group whose values are all null has no range and takes none away.
    if exact.flatten().any(|exact| !exact) {
        return Ok(None);
    }
    Ok(first_of(&least, false)?
        .zip(first_of(&greatest, true)?)
        .map(|(min, max)| Range { min, max }))
}

/// The least, or with `descending` the greatest value, as text or number.
fn first_of(values: &ArrayRef, descending: bool) -> Result<Option<serde_json::Value>> {
    if values.null_count() == values.len() {
        return Ok(None);
    }
    let options = SortOptions {
        descending,
        nulls_first: false,
    };
    let first = sort_to_indices(values, Some(options), Some(1))?.value(0) as usize;
    let shown = printable(values)?;
    let formatter = ArrayFormatter::try_new(shown.as_ref(), &FormatOptions::default())?;
    let text = formatter.value(first).try_to_string()?;
    let number = matches!(values.data_type(), DataType::Boolean) || values.data_type().is_numeric();
    let value = if number { text.parse().ok() } else { None };
    Ok(Some(value.unwrap_or(serde_json::Value::String(text))))
}
