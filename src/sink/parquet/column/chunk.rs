//! Pages become a column chunk, with all that the footer and the page indexes say of it.
//!
//! In:  encoded pages and the bounds of their values, in order.
//! Out: the chunk's bytes and its metadata, ready to be appended to a row group.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::Write;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, EncodingMask, PageType};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, LevelHistogram, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::KEPT_BYTES;
use super::compress::compress;
use super::value::{Bounds, Order, Value, join};

thread_local! {
    /// Room for a chunk under construction, kept: one that grows page by page
    /// would take fresh memory at every step.
    static OUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An encoded column chunk.
pub(crate) struct Encoded {
    bytes: Bytes,
    close: ColumnCloseResult,
}

impl Encoded {
    /// Appends the chunk to a row group; offsets are moved along.
    pub(crate) fn append_to<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        group.append_column(&self.bytes, self.close)
    }

    /// What the footer will say of it.
    #[cfg(test)]
    pub(super) fn close(&self) -> &ColumnCloseResult {
        &self.close
    }
}

/// A page before compression: levels, then values.
pub(super) struct DataPage<'a, T> {
    pub(super) bytes: &'a [u8],
    pub(super) encoding: Encoding,
    pub(super) rows: usize,
    /// Slots and values: the difference is null.
    pub(super) slots: usize,
    pub(super) values: usize,
    pub(super) bounds: Option<Bounds<T>>,
    /// Bytes of its values without their lengths, where these differ.
    pub(super) text_bytes: Option<i64>,
    /// Slots of each level.
    pub(super) definition: Option<LevelHistogram>,
    pub(super) repetition: Option<LevelHistogram>,
}

/// A column chunk under construction.
pub(super) struct ChunkWriter<T: Value> {
    descriptor: ColumnDescPtr,
    compression: Compression,
    order: Order,
    out: TrackedWrite<Vec<u8>>,
    encodings: BTreeSet<Encoding>,
    encoding_stats: Vec<PageEncodingStats>,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
    dictionary_at: Option<i64>,
    first_page_at: Option<i64>,
    uncompressed_bytes: usize,
    rows: usize,
    slots: usize,
    nulls: u64,
    text_bytes: Option<i64>,
    bounds: Option<Bounds<T>>,
    last_bounds: Option<Bounds<T>>,
    ascending: bool,
    descending: bool,
    definition: Option<LevelHistogram>,
    repetition: Option<LevelHistogram>,
}

impl<T: Value> ChunkWriter<T> {
    pub(super) fn new(descriptor: ColumnDescPtr, compression: Compression, order: Order) -> Self {
        ChunkWriter {
            compression,
            order,
            out: TrackedWrite::new(OUT.take()),
            // Of the levels.
            encodings: BTreeSet::from([Encoding::RLE]),
            encoding_stats: Vec::new(),
            column_index: ColumnIndexBuilder::new(descriptor.physical_type()),
            offset_index: OffsetIndexBuilder::new(),
            dictionary_at: None,
            first_page_at: None,
            uncompressed_bytes: 0,
            rows: 0,
            slots: 0,
            nulls: 0,
            text_bytes: None,
            bounds: None,
            last_bounds: None,
            ascending: true,
            descending: true,
            definition: LevelHistogram::try_new(descriptor.max_def_level()),
            repetition: LevelHistogram::try_new(descriptor.max_rep_level()),
            descriptor,
        }
    }

    /// Writes the dictionary, which comes before all pages that use it.
    pub(super) fn dictionary(&mut self, entries: &[T]) -> Result<()> {
        let mut bytes = Vec::new();
        T::encode_plain(entries, &mut bytes);
        let page = Page::DictionaryPage {
            buf: compress(self.compression, &bytes)?,
            num_values: number(entries.len())?,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let (at, _) = self.write(page, bytes.len())?;
        self.dictionary_at = Some(at);
        Ok(())
    }

    pub(super) fn page(&mut self, page: DataPage<'_, T>) -> Result<()> {
        let stored = Page::DataPage {
            buf: compress(self.compression, page.bytes)?,
            num_values: number(page.slots)?,
            encoding: page.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let (at, size) = self.write(stored, page.bytes.len())?;
        self.first_page_at.get_or_insert(at);
        let size = i32::try_from(size)?;
        self.offset_index.append_offset_and_size(at, size);
        self.offset_index.append_row_count(page.rows as i64);
        self.offset_index
            .append_unencoded_byte_array_data_bytes(page.text_bytes);

        self.index(&page);
        let nulls = page.slots - page.values;
        self.rows += page.rows;
        self.slots += page.slots;
        self.nulls += nulls as u64;
        self.bounds = join(self.bounds, page.bounds, self.order);
        if let Some(bytes) = page.text_bytes {
            *self.text_bytes.get_or_insert(0) += bytes;
        }
        self.column_index
            .append_histograms(&page.repetition, &page.definition);
        for (all, of_page) in [
            (&mut self.definition, &page.definition),
            (&mut self.repetition, &page.repetition),
        ] {
            if let (Some(all), Some(of_page)) = (all, of_page) {
                all.add(of_page);
            }
        }
        Ok(())
    }

    /// Tells the column index of a page.
    fn index(&mut self, page: &DataPage<'_, T>) {
        if !self.column_index.valid() {
            return;
        }
        let nulls = (page.slots - page.values) as i64;
        match page.bounds {
            _ if page.values == 0 => self.column_index.append(true, vec![], vec![], nulls),
            // Values that cannot be compared: the index has no way to say so.
            None => self.column_index.to_invalid(),
            Some((least, greatest)) => {
                if let Some((last_least, last_greatest)) = self.last_bounds {
                    let steps = [
                        least.compare(last_least, self.order),
                        greatest.compare(last_greatest, self.order),
                    ];
                    self.ascending &= !steps.contains(&Ordering::Less);
                    self.descending &= !steps.contains(&Ordering::Greater);
                }
                self.last_bounds = page.bounds;
                let (least, _) = least.least_bytes(self.order);
                let (greatest, _) = greatest.greatest_bytes(self.order);
                self.column_index.append(false, least, greatest, nulls);
            }
        }
    }

    /// Writes a compressed page; gives where it begins and its length.
    fn write(&mut self, page: Page, uncompressed: usize) -> Result<(i64, usize)> {
        let (page_type, encoding) = (page.page_type(), page.encoding());
        self.encodings.insert(encoding);
        match self.encoding_stats.last_mut() {
            Some(last) if last.page_type == page_type && last.encoding == encoding => {
                last.count += 1;
            }
            _ => self.encoding_stats.push(PageEncodingStats {
                page_type,
                encoding,
                count: 1,
            }),
        }
        let page = CompressedPage::new(page, uncompressed);
        let spec = SerializedPageWriter::new(&mut self.out).write_page(page)?;
        debug_assert_ne!(spec.page_type, PageType::INDEX_PAGE);
        self.uncompressed_bytes += spec.uncompressed_size;
        Ok((spec.offset as i64, spec.compressed_size))
    }

    /// Ends the chunk.
    pub(super) fn finish(mut self, bloom_filter: Option<Sbbf>) -> Result<Encoded> {
        self.column_index
            .set_boundary_order(match (self.ascending, self.descending) {
                (true, _) => BoundaryOrder::ASCENDING,
                (false, true) => BoundaryOrder::DESCENDING,
                (false, false) => BoundaryOrder::UNORDERED,
            });
        let column_index = match self.column_index.valid() {
            true => Some(self.column_index.build()?),
            false => None,
        };
        let mut out = self.out.into_inner()?;
        let bytes = Bytes::copy_from_slice(&out);
        out.clear();
        out.shrink_to(KEPT_BYTES);
        OUT.set(out);
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_compression(self.compression)
            .set_encodings_mask(EncodingMask::new_from_encodings(self.encodings.iter()))
            .set_page_encoding_stats(self.encoding_stats)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .set_num_values(self.slots as i64)
            .set_data_page_offset(self.first_page_at.unwrap_or(0))
            .set_dictionary_page_offset(self.dictionary_at)
            .set_statistics(T::statistics(self.bounds, self.nulls, self.order))
            .set_unencoded_byte_array_data_bytes(self.text_bytes)
            .set_repetition_level_histogram(self.repetition)
            .set_definition_level_histogram(self.definition)
            .build()?;
        Ok(Encoded {
            close: ColumnCloseResult {
                bytes_written: bytes.len() as u64,
                rows_written: self.rows as u64,
                bloom_filter,
                metadata,
                column_index,
                offset_index: Some(self.offset_index.build()),
            },
            bytes,
        })
    }
}

fn number(count: usize) -> Result<u32> {
    let fits = u32::try_from(count)
        .ok()
        .filter(|count| *count <= i32::MAX as u32);
    fits.ok_or_else(|| ParquetError::General(format!("{count} values do not fit into one page")))
}
