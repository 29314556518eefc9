//! Which rows of a row group are worth decoding.
//!
//! In:  the page index (bounds and places of every page), a filter.
//! Out: the rows whose pages leave room for it.
//!
//! Pages of different columns end at different rows. Each run of rows that
//! lies in one page of every column the filter looks at is judged for itself:
//!
//! ```text
//! a       [------page-----)[----page----)
//! b       [--page--)[--page--)[--page---)
//! judged  [--------)[-----)[-)[---------)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::footer;
use super::late::RowFilter;
use super::statistics::{Leaf, is_ordered, leaf};
use crate::error::Result;
use crate::expr::{Facts, Known};
use crate::io::pread::Pread;

/// Most bytes between the first and the last index of a file that are read at once.
const MOST_INDEX_BYTES: u64 = 64 << 20;

/// Where the indexes of a file's pages lie; nothing if it has none.
pub(super) fn index_range(metadata: &ParquetMetaData) -> Option<Range<u64>> {
    let mut all: Option<Range<u64>> = None;
    for range in index_ranges(metadata) {
        let range = range?;
        all = Some(match all {
            None => range,
            Some(all) => all.start.min(range.start)..all.end.max(range.end),
        });
    }
    all.filter(|all| all.end - all.start <= MOST_INDEX_BYTES)
}

/// Of each index; nothing for a place that cannot be.
fn index_ranges(metadata: &ParquetMetaData) -> impl Iterator<Item = Option<Range<u64>>> {
    let chunks = (metadata.row_groups().iter()).flat_map(|group| group.columns());
    let places = chunks.flat_map(|chunk| {
        let bounds = chunk.column_index_offset().zip(chunk.column_index_length());
        let places = chunk.offset_index_offset().zip(chunk.offset_index_length());
        [bounds, places]
    });
    places.flatten().map(|(at, length)| {
        let at = u64::try_from(at).ok()?;
        Some(at..at.checked_add(u64::try_from(length).ok()?)?)
    })
}

/// The footer with the index of every page, if the file has one that holds water.
/// Without it all pages of a row group are read, so a damaged one costs no row.
pub(super) fn read_index(file: &Pread, metadata: &ParquetMetaData) -> Option<ParquetMetaData> {
    let all = index_range(metadata)?;
    let length = usize::try_from(all.end - all.start).ok()?;
    let held = Held {
        start: all.start,
        bytes: file.read(all.start, length).ok()?,
        file_bytes: file.len(),
    };
    for range in index_ranges(metadata) {
        let range = range?;
        let index = held.slice(range.start, usize::try_from(range.end - range.start).ok()?)?;
        footer::check_index(&index).ok()?;
    }
    let mut reader = ParquetMetaDataReader::new_with_metadata(metadata.clone())
        .with_page_index_policy(PageIndexPolicy::Optional);
    reader.read_page_indexes(&held).ok()?;
    let indexed = reader.finish().ok()?;
    let whole = (0..indexed.num_row_groups()).all(|idx| places_hold(&indexed, idx));
    whole.then_some(indexed)
}

/// A stretch of a file in memory.
struct Held {
    start: u64,
    bytes: Bytes,
    file_bytes: u64,
}

impl Held {
    fn slice(&self, at: u64, length: usize) -> Option<Bytes> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let end = from.checked_add(length)?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(from..end))
    }
}

impl Length for Held {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Held {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let held_end = self.start + self.bytes.len() as u64;
        let length = usize::try_from(held_end.saturating_sub(start)).unwrap_or(0);
        Ok(self.get_bytes(start, length)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.slice(start, length)
            .ok_or_else(|| ParquetError::EOF(format!("no index at byte {start}")))
    }
}

/// Whether the pages of a row group begin at its first row, follow each other
/// and lie within their columns.
fn places_hold(metadata: &ParquetMetaData, idx: usize) -> bool {
    let group = metadata.row_group(idx);
    let group_rows = group.num_rows();
    let Some(places) = metadata.offset_index().and_then(|index| index.get(idx)) else {
        return false;
    };
    places.len() == group.num_columns()
        && places.iter().zip(group.columns()).all(|(pages, chunk)| {
            let pages = pages.page_locations();
            let (start, bytes) = chunk.byte_range();
            let within = pages.iter().all(|page| {
                let from = u64::try_from(page.offset).ok();
                let end = from.zip(u64::try_from(page.compressed_page_size).ok());
                end.and_then(|(from, bytes)| from.checked_add(bytes))
                    .is_some_and(|end| page.offset as u64 >= start && end <= start + bytes)
                    && page.first_row_index < group_rows
            });
            let ascending = pages
                .windows(2)
                .all(|two| two[0].first_row_index < two[1].first_row_index);
            let begins = match pages.first() {
                Some(page) => page.first_row_index == 0,
                None => group_rows == 0,
            };
            within && ascending && begins
        })
}

/// Those of the rows `within` row group `idx` whose pages leave room for
/// `filter`; nothing if no page can be left out.
pub(super) fn select(
    metadata: &ArrowReaderMetadata,
    idx: usize,
    within: &Range<u64>,
    filter: &RowFilter,
) -> Result<Option<Vec<Range<usize>>>> {
    let (Ok(first), Ok(end)) = (usize::try_from(within.start), usize::try_from(within.end)) else {
        return Ok(None);
    };
    let mut columns = BTreeMap::new();
    for path in filter.predicate().columns() {
        if let Some(leaf) = leaf(metadata, path.root, path.steps)
            && let Some(pages) = Pages::of(metadata, idx, &leaf, path.steps.is_empty())
        {
            columns.insert((path.root.to_owned(), path.steps.to_vec()), pages);
        }
    }
    let starts: BTreeSet<usize> = columns
        .values()
        .flat_map(|pages| pages.starts.iter().copied())
        .filter(|start| (first..end).contains(start))
        .chain([first])
        .collect();
    if columns.is_empty() {
        return Ok(None);
    }
    let mut wanted = Vec::new();
    let ends = starts.iter().skip(1).copied().chain([end]);
    for (start, end) in starts.iter().copied().zip(ends) {
        let run = Run {
            metadata,
            filter,
            columns: &columns,
            row: start,
        };
        if filter.predicate().may_match(filter.bound_to(), &run)? {
            wanted.push(start..end);
        }
    }
    let all = wanted.iter().map(ExactSizeIterator::len).sum::<usize>() == end - first;
    Ok((!all).then_some(wanted))
}

/// The pages of one column, and what is known of each.
struct Pages {
    /// The first row of each.
    starts: Vec<usize>,
    facts: Vec<Facts>,
}

impl Pages {
    fn of(
        metadata: &ArrowReaderMetadata,
        idx: usize,
        leaf: &Leaf<'_>,
        top_level: bool,
    ) -> Option<Self> {
        let stored = metadata.metadata();
        let (bounds, places) = (stored.column_index()?, stored.offset_index()?);
        let index = bounds.get(idx)?.get(leaf.place)?;
        let locations = places.get(idx)?.get(leaf.place)?.page_locations();
        let unknown = matches!(index, ColumnIndexMetaData::NONE);
        if unknown || !is_ordered(metadata, leaf.place, false) {
            return None;
        }
        let parquet_schema = metadata.parquet_schema();
        let converter =
            StatisticsConverter::from_column_index(leaf.place, leaf.field, parquet_schema).ok()?;
        let lower = converter.data_page_mins(bounds, places, [&idx]).ok()?;
        let upper = converter.data_page_maxes(bounds, places, [&idx]).ok()?;
        if lower.len() != locations.len() || upper.len() != locations.len() {
            return None;
        }
        let one = |array: &ArrayRef, page: usize| array.slice(page, 1);
        let facts = (0..locations.len()).map(|page| {
            if index.is_null_page(page) {
                return Facts::all_null();
            }
            let facts = Facts::within(one(&lower, page), one(&upper, page));
            match index.null_counts().and_then(|nulls| nulls.get(page)) {
                Some(0) if top_level => facts.without_nulls(),
                _ => facts,
            }
        });
        Some(Pages {
            facts: facts.collect(),
            starts: locations
                .iter()
                .map(|page| usize::try_from(page.first_row_index).ok())
                .collect::<Option<_>>()?,
        })
    }
}

/// Rows that lie in one page of every column.
struct Run<'a> {
    metadata: &'a ArrowReaderMetadata,
    filter: &'a RowFilter,
    columns: &'a BTreeMap<(String, Vec<String>), Pages>,
    row: usize,
}

impl Known for Run<'_> {
    fn facts(&self, root: &str, steps: &[String]) -> Facts {
        if let Some(given) = self.filter.given(root, steps) {
            return given;
        }
        let Some((_, field)) = self.metadata.schema().fields().find(root) else {
            return Facts::all_null();
        };
        if *field.data_type() == DataType::Null {
            return Facts::all_null();
        }
        let Some(pages) = self.columns.get(&(root.to_owned(), steps.to_vec())) else {
            return Facts::unknown();
        };
        let page = pages.starts.partition_point(|start| *start <= self.row);
        match page.checked_sub(1).and_then(|page| pages.facts.get(page)) {
            Some(facts) => facts.clone(),
            None => Facts::unknown(),
        }
    }
}
