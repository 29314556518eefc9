//! Column chunks of the types that logs have, encoded here instead of by the crate.
//!
//! In:  one column of a row group.
//! Out: a column chunk for each of its leaves.
//!
//! ```text
//! arrays ─▶ leaf ─▶ encoding ─▶ dictionary ─▶ pages ─▶ chunk
//!        (levels,   (from a     (or none)     (hybrid, delta,
//!         values)    sample)                   compress)
//! ```
//!
//! The crate's writer takes values window by window. This one sees the whole
//! row group first: it chooses an encoding once, hashes only what becomes a
//! dictionary, compares only distinct values for the bounds, and keeps its zstd
//! context. On logs that takes less than half of the time. A column with a leaf
//! of another type (decimals, fixed-size binary, intervals, ...) is the crate's.
//!
//! A page ends with the row that fills it, so that pages do not depend on how
//! rows were cut into batches.

use std::cell::Cell;
use std::ops::Range;

use parquet::basic::{Compression, ConvertedType, LogicalType, SortOrder};
use parquet::errors::Result;
use parquet::file::metadata::LevelHistogram;
use parquet::schema::types::ColumnDescPtr;

use super::bloom::filter_of;
use super::{DICTIONARY_BYTES, PAGE_BYTES, PAGE_ROWS, Stored};
use chunk::{ChunkWriter, DataPage};
use dictionary::Dictionary;
use leaf::Levels;
use value::{Order, Value};
use values::Values;

mod chunk;
mod compress;
mod delta;
mod dictionary;
mod encoding;
mod hybrid;
mod leaf;
mod shelf;
#[cfg(test)]
mod tests;
mod value;
mod values;

pub(super) use chunk::Encoded;
pub(super) use leaf::{Leaf, leaves, null_leaves};

/// Encodes and compresses one leaf.
pub(super) fn encode(leaf: &Leaf<'_>, descriptor: ColumnDescPtr, how: &Stored) -> Result<Encoded> {
    let signs = descriptor.sort_order();
    let order = Order {
        unsigned: signs == SortOrder::UNSIGNED,
        text: descriptor.logical_type_ref() == Some(&LogicalType::String)
            || descriptor.converted_type() == ConvertedType::UTF8,
        signed: signs == SortOrder::SIGNED,
    };
    let chunk = Chunk {
        levels: &leaf.levels,
        has_filter: how.blooms.has(&descriptor),
        compression: how.compression(&descriptor)?,
        descriptor,
        order,
    };
    match &leaf.values {
        Values::Bool(values) => chunk.encode(values),
        Values::Int32(values) => chunk.encode(values),
        Values::Int64(values) => chunk.encode(values),
        Values::Float32(values) => chunk.encode(values),
        Values::Float64(values) => chunk.encode(values),
        Values::Bytes(values) => chunk.encode(values),
    }
}

/// Most memory a thread keeps for its next page: a page that one huge value fills goes.
const KEPT_BYTES: usize = 4 * PAGE_BYTES;

thread_local! {
    /// Room for a page under construction, kept: fresh memory would be cleared first.
    static PAGE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

struct Chunk<'a> {
    levels: &'a Levels,
    descriptor: ColumnDescPtr,
    compression: Compression,
    order: Order,
    /// Whether it gets a Bloom filter.
    has_filter: bool,
}

/// What of a leaf one page holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extent {
    rows: usize,
    slots: Range<usize>,
    values: Range<usize>,
}

impl Chunk<'_> {
    fn encode<T: Value>(self, values: &[T]) -> Result<Encoded> {
        let choice = encoding::choose(values, DICTIONARY_BYTES);
        let dictionary = choice
            .dictionary
            .and_then(|entries| Dictionary::build(values, entries, DICTIONARY_BYTES));
        let pages = match &dictionary {
            // Keys are narrow: rows alone fill a page.
            Some(_) => pages(self.levels, values, |_| 0),
            None => pages(self.levels, values, |value| value.stored_bytes()),
        };

        let distinct: &[T] = dictionary.as_ref().map_or(values, |of| &of.entries);
        let bloom = self.has_filter.then(|| filter_of(distinct, T::note));
        let levels = self.levels;
        let mut writer = ChunkWriter::new(self.descriptor, self.compression, self.order);
        if let Some(dictionary) = &dictionary {
            writer.dictionary(&dictionary.entries)?;
        }
        let one_page = pages.len() == 1;
        let mut bytes = PAGE.take();
        for page in pages {
            let (slots, within) = (page.slots, page.values);
            bytes.clear();
            encode_levels(
                levels.repetition(),
                levels.max_repetition,
                &slots,
                &mut bytes,
            );
            encode_levels(
                levels.definition(),
                levels.max_definition,
                &slots,
                &mut bytes,
            );
            let (encoding, bounds) = match &dictionary {
                Some(dictionary) => {
                    let keys = &dictionary.keys[within.clone()];
                    encode_keys(dictionary, keys, &mut bytes);
                    let bounds = match one_page {
                        true => T::bounds(&dictionary.entries, self.order),
                        false => T::bounds(&used(dictionary, keys), self.order),
                    };
                    (parquet::basic::Encoding::RLE_DICTIONARY, bounds)
                }
                None => {
                    let values = &values[within.clone()];
                    T::encode(values, choice.otherwise, &mut bytes)?;
                    (choice.otherwise, T::bounds(values, self.order))
                }
            };
            let text_bytes = T::VARIABLE.then(|| text_bytes(&values[within.clone()]));
            writer.page(DataPage {
                bytes: &bytes,
                encoding,
                rows: page.rows,
                values: within.len(),
                bounds,
                text_bytes,
                definition: histogram(levels.definition(), levels.max_definition, &slots),
                repetition: histogram(levels.repetition(), levels.max_repetition, &slots),
                slots: slots.len(),
            })?;
        }
        bytes.clear();
        bytes.shrink_to(KEPT_BYTES);
        PAGE.set(bytes);
        writer.finish(bloom.transpose()?)
    }
}

/// Cuts a leaf into pages: each ends with the row that brings it to
/// [`PAGE_ROWS`] slots or [`PAGE_BYTES`] bytes of values.
fn pages<T: Value>(levels: &Levels, values: &[T], bytes_of: impl Fn(&T) -> usize) -> Vec<Extent> {
    let whole = Extent {
        rows: match levels.repetition() {
            Some(repetition) => repetition.iter().filter(|level| **level == 0).count(),
            None => levels.count,
        },
        slots: 0..levels.count,
        values: 0..values.len(),
    };
    let bytes: usize = values.iter().map(&bytes_of).sum();
    if levels.count <= PAGE_ROWS && bytes <= PAGE_BYTES {
        return match levels.count {
            0 => Vec::new(),
            _ => vec![whole],
        };
    }
    let mut pages = Vec::new();
    let mut page = Extent {
        rows: 0,
        slots: 0..0,
        values: 0..0,
    };
    let mut bytes = 0;
    for slot in 0..levels.count {
        let starts_row = levels.repetition().is_none_or(|levels| levels[slot] == 0);
        if starts_row {
            if page.slots.len() >= PAGE_ROWS || bytes >= PAGE_BYTES {
                let next = Extent {
                    rows: 0,
                    slots: slot..slot,
                    values: page.values.end..page.values.end,
                };
                pages.push(std::mem::replace(&mut page, next));
                bytes = 0;
            }
            page.rows += 1;
        }
        page.slots.end += 1;
        if levels
            .definition()
            .is_none_or(|found| found[slot] == levels.max_definition)
        {
            bytes += bytes_of(&values[page.values.end]);
            page.values.end += 1;
        }
    }
    pages.push(page);
    pages
}

/// The entries that these keys stand for.
fn used<T: Value>(dictionary: &Dictionary<T>, keys: &[u32]) -> Vec<T> {
    let mut used = vec![false; dictionary.entries.len()];
    for key in keys {
        used[*key as usize] = true;
    }
    let entries = dictionary.entries.iter().zip(used);
    entries
        .filter_map(|(entry, used)| used.then_some(*entry))
        .collect()
}

/// Appends the keys of a page behind their width.
fn encode_keys<T: Value>(dictionary: &Dictionary<T>, keys: &[u32], out: &mut Vec<u8>) {
    let last = dictionary.entries.len().saturating_sub(1);
    let width = hybrid::bit_width(last as u64);
    out.push(width as u8);
    hybrid::encode(keys, width, out);
}

/// The bytes of texts, without those that tell the length of each.
fn text_bytes<T: Value>(values: &[T]) -> i64 {
    let stored = values.iter();
    stored.map(|value| value.stored_bytes() as i64 - 4).sum()
}

/// Appends the levels of a page behind their length, if the leaf has any.
fn encode_levels(levels: Option<&[u8]>, max: u8, slots: &Range<usize>, out: &mut Vec<u8>) {
    if max == 0 {
        return;
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let width = hybrid::bit_width(u64::from(max));
    match levels {
        Some(levels) => hybrid::encode(&levels[slots.clone()], width, out),
        None => hybrid::encode_run(slots.len(), u64::from(max), width, out),
    }
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

/// How often a level occurs: counted in bytes as far as these hold it, so that
/// one instruction compares many.
fn occurrences(levels: &[u8], level: u8) -> i64 {
    let of_few = |few: &[u8]| -> u8 { few.iter().map(|found| u8::from(*found == level)).sum() };
    let few = levels.chunks(usize::from(u8::MAX));
    few.map(|few| i64::from(of_few(few))).sum()
}

/// How many slots of a page have each level.
fn histogram(levels: Option<&[u8]>, max: u8, slots: &Range<usize>) -> Option<LevelHistogram> {
    if max == 0 {
        return None;
    }
    let mut counts: Vec<i64> = match levels {
        Some(levels) => {
            let slots = &levels[slots.clone()];
            (0..max).map(|level| occurrences(slots, level)).collect()
        }
        None => vec![0; usize::from(max)],
    };
    counts.push(slots.len() as i64 - counts.iter().sum::<i64>());
    Some(counts.into())
}
