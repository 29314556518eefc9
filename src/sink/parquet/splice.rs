//! Segments of several schemas become one part file of the final schema.
//!
//! In:  the segments of a part, in order, each written under the schema known then.
//! Out: one file; columns that did not change are copied as stored bytes.
//!
//! ```text
//! segment 1   a b          a ── copied ──▶ a
//! segment 2   a b' c       b ── read, widened, encoded again ──▶ b'
//!                          c ── nulls ──▶ c
//! ```

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{Field, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::schema::types::SchemaDescriptor;

use super::footer::metadata;
use super::{ColumnJob, ParquetFile, Stored, WINDOW_ROWS, null_chunks};
use crate::error::{Error, Result};
use crate::sink::file::{Sum, arrow_error, parquet_error};
use crate::sink::rows::Rows;
use crate::sink::schema::{same_column, stored_schema};
use crate::sink::widen::{Widen, widen_columns};

/// A segment to be spliced: its file and the run's schema when it was written.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) known: &'a SchemaRef,
}

/// Where a column of the final schema comes from in one segment.
enum Origin {
    /// Leaves of the same shape: stored bytes are copied.
    Copied(Range<usize>),
    /// It has another type there: the column of this position is read and widened.
    Widened(usize),
    /// It is not there, or holds only nulls.
    Nulls,
}

/// Writes `sources` one after the other as a file of the schema `stored`.
pub(crate) fn splice(
    sources: &[Source<'_>],
    path: &Path,
    stored: &SchemaRef,
    how: &Stored,
    widen: &Widen<'_>,
) -> Result<Sum> {
    let mut out = ParquetFile::create(path, stored, how, false)?;
    let target = SchemaDescriptor::new(out.writer.schema_descr().root_schema_ptr());
    for source in sources {
        let (file, metadata) = metadata(source.path, PageIndexPolicy::Optional)?;
        let segment = Segment {
            path: source.path,
            file,
            metadata: Arc::new(metadata),
            known: source.known,
            held: stored_schema(source.known, false)?,
            stored,
            target: &target,
            how,
        };
        for group_idx in 0..segment.metadata.num_row_groups() {
            segment.append(&mut out, group_idx, widen)?;
        }
    }
    Ok(out.finish()?.whole)
}

/// One segment, open, with where it shall go.
struct Segment<'a> {
    path: &'a Path,
    file: File,
    metadata: Arc<ParquetMetaData>,
    /// The run's schema when it was written, and how its file holds that.
    known: &'a SchemaRef,
    held: SchemaRef,
    stored: &'a SchemaRef,
    target: &'a SchemaDescriptor,
    how: &'a Stored,
}

impl Segment<'_> {
    /// Appends one row group in the final schema.
    fn append(&self, out: &mut ParquetFile, group_idx: usize, widen: &Widen<'_>) -> Result<()> {
        let origins = self
            .stored
            .fields()
            .iter()
            .enumerate()
            .map(|(root, field)| self.origin(group_idx, root, field))
            .collect::<Vec<_>>();
        let mut widened = self.read_widened(group_idx, &origins, widen)?.into_iter();

        let out_path = out.path().to_owned();
        let writing = |error| parquet_error(&out_path, "write", error);
        let rows = self.rows(group_idx)?;
        let mut group = out.writer.next_row_group().map_err(writing)?;
        for (origin, field) in origins.into_iter().zip(self.stored.fields()) {
            let chunks = match origin {
                Origin::Copied(leaves) => {
                    for leaf in leaves {
                        let chunk = self.stored_chunk(group_idx, leaf, rows)?;
                        group.append_column(&self.file, chunk).map_err(writing)?;
                    }
                    continue;
                }
                Origin::Widened(_) => {
                    let rows = widened.next().ok_or_else(|| {
                        Error::internal(format!("column {:?} was not widened", field.name()))
                    })?;
                    ColumnJob {
                        field: Arc::clone(field),
                        rows,
                        how: self.how.clone(),
                    }
                    .run()?
                }
                Origin::Nulls => null_chunks(field, rows, self.how)?,
            };
            for chunk in chunks {
                chunk.append_to(&mut group).map_err(writing)?;
            }
        }
        group.close().map_err(writing)?;
        Ok(())
    }

    fn rows(&self, group_idx: usize) -> Result<usize> {
        usize::try_from(self.metadata.row_group(group_idx).num_rows())
            .map_err(|_| Error::corrupt(self.path.display(), None, "a row group has no count"))
    }

    /// Where column `root` of the final schema comes from in a row group.
    fn origin(&self, group_idx: usize, root: usize, field: &Field) -> Origin {
        let Some((here, _)) = self.known.column_with_name(field.name()) else {
            return Origin::Nulls;
        };
        let group = self.metadata.row_group(group_idx);
        let source = group.schema_descr();
        let leaves = leaves_of(source, here);
        let wanted = leaves_of(self.target, root);
        // Parquet's own types do not tell text from JSON text: Arrow's marks do.
        let same = same_column(self.held.field(here), field)
            && leaves.len() == wanted.len()
            && leaves
                .clone()
                .zip(wanted)
                .all(|(leaf, wanted)| source.column(leaf) == self.target.column(wanted));
        if same {
            return Origin::Copied(leaves);
        }
        let flat = !self.known.field(here).data_type().is_nested();
        let only_nulls = flat
            && leaves.clone().all(|leaf| {
                let column = group.column(leaf);
                let nulls = column.statistics().and_then(|found| found.null_count_opt());
                nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(column.num_values()))
            });
        if only_nulls && field.is_nullable() {
            return Origin::Nulls;
        }
        Origin::Widened(here)
    }

    /// Reads and widens the columns that changed, in the order of the final schema.
    fn read_widened(
        &self,
        group_idx: usize,
        origins: &[Origin],
        widen: &Widen<'_>,
    ) -> Result<Vec<Rows>> {
        let wanted: Vec<usize> = origins
            .iter()
            .filter_map(|origin| match origin {
                Origin::Widened(here) => Some(*here),
                _ => None,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let reading = |error| parquet_error(self.path, "read", error);
        let file = self
            .file
            .try_clone()
            .map_err(|source| Error::io(self.path.display(), "read", source))?;
        let metadata =
            ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), ArrowReaderOptions::new())
                .map_err(reading)?;
        // Columns that may not be null are read too: nothing can stand in for them.
        let read: Vec<bool> = (0..self.known.fields().len())
            .map(|idx| wanted.contains(&idx) || !self.known.field(idx).is_nullable())
            .collect();
        let roots = (0..read.len()).filter(|idx| read[*idx]);
        let columns = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_row_groups(vec![group_idx])
            .with_projection(columns)
            .with_batch_size(WINDOW_ROWS)
            .build()
            .map_err(reading)?;
        let mut pieces: Vec<Vec<ArrayRef>> = vec![Vec::new(); wanted.len()];
        for batch in reader {
            let batch = batch.map_err(|error| arrow_error(self.path, "read", error))?;
            let mut found = batch.columns().iter().cloned();
            let columns: Vec<Option<ArrayRef>> = read
                .iter()
                .map(|read| read.then(|| found.next()).flatten())
                .collect();
            let rows = batch.num_rows();
            let wide = widen_columns(&columns, rows, self.known, &wanted, self.stored, widen)?;
            for (column, piece) in pieces.iter_mut().zip(wide) {
                column.push(piece);
            }
        }
        Ok(pieces.into_iter().map(Rows::new).collect())
    }

    /// A stored column chunk as if it had just been written, with its page
    /// indexes and its Bloom filter.
    fn stored_chunk(
        &self,
        group_idx: usize,
        leaf: usize,
        rows: usize,
    ) -> Result<ColumnCloseResult> {
        let column = self.metadata.row_group(group_idx).column(leaf);
        let column_index = self
            .metadata
            .column_index()
            .and_then(|groups| groups.get(group_idx)?.get(leaf))
            .filter(|index| !matches!(index, ColumnIndexMetaData::NONE));
        let offset_index = self
            .metadata
            .offset_index()
            .and_then(|groups| groups.get(group_idx)?.get(leaf));
        let bloom_filter = Sbbf::read_from_column_chunk(column, &self.file)
            .map_err(|error| parquet_error(self.path, "read", error))?;
        Ok(ColumnCloseResult {
            bytes_written: column.compressed_size().unsigned_abs(),
            rows_written: rows as u64,
            metadata: column.clone(),
            bloom_filter,
            column_index: column_index.cloned(),
            offset_index: offset_index.cloned(),
        })
    }
}

/// The leaves below a top-level column.
fn leaves_of(schema: &SchemaDescriptor, root: usize) -> Range<usize> {
    let belongs = |leaf: &usize| schema.get_column_root_idx(*leaf) == root;
    let start = (0..schema.num_columns()).find(belongs).unwrap_or(0);
    let len = (start..schema.num_columns()).take_while(belongs).count();
    start..start + len
}
