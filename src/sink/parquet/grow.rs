//! A finished file gains columns of nulls where it lies.
//!
//! In:  a file whose rows were all written before some columns were first seen.
//! Out: the same file with those columns, its other bytes untouched; or
//!      nothing, if they do not fit, and the file must be spliced.
//!
//! ```text
//! before   [group 0][room][group 1][room][indexes, footer]
//! after    [group 0][null][group 1][null][indexes', footer']
//! ```
//!
//! Nulls go into the room left behind each row group, not to the file's end:
//! readers that fetch a row group as one range would fetch everything in between.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema, SchemaRef};
use crc32fast::Hasher;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataBuilder,
    ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::writer::{SerializedFileWriter, TrackedWrite};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};

use super::footer::metadata;
use super::{Stored, note_types, null_chunks, parquet_schema, properties};
use crate::error::{Error, Result};
use crate::sink::file::{Sum, parquet_error};
use crate::sink::schema::{same_column, stored_schema};

/// Bytes kept free behind a row group for columns that are seen later: nulls of
/// some sixty of them. A file that will not grow keeps them too: 0.1 % of it.
pub(super) const ROOM_BYTES: usize = 4 << 10;

/// A row group of fewer stored bytes gets no room: it is quickly written again.
pub(super) const LEAST_GROUP_BYTES: u64 = 1 << 20;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Writes zeros. Files have them as room, and windows pass over them.
pub(super) fn put_zeros(
    out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    bytes: u64,
) -> io::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let n = left.min(ZEROS.len() as u64);
        out(&ZEROS[..n as usize])?;
        left -= n;
    }
    Ok(())
}

/// Makes the file at `path`, written under `known`, one of the schema `stored`.
/// `body` is the checksum and length of what lies before its page indexes.
/// Gives the new checksum and length; nothing if the file must be spliced.
pub(crate) fn grow(
    path: &Path,
    known: &SchemaRef,
    body: Sum,
    stored: &SchemaRef,
    how: &Stored,
) -> Result<Option<Sum>> {
    let Some(missing) = missing(stored_schema(known, false)?.as_ref(), stored) else {
        return Ok(None);
    };
    let failed = |error| parquet_error(path, "add columns to", error);
    let (_, old) = metadata(path, PageIndexPolicy::Required)?;
    let rooms = rooms(&old, body.bytes);
    let Some(nulls) = Nulls::write(&old, &missing, &rooms, how, path)? else {
        return Ok(None);
    };
    let new = combine(&old, &nulls.metadata, stored, how, path)?;

    let tail = tail(&new, body.bytes).map_err(failed)?;

    let writing = |source| Error::io(path.display(), "add columns to", source);
    let file = OpenOptions::new().write(true).open(path).map_err(writing)?;
    let mut crc32 = body.crc32;
    for (at, bytes) in &nulls.bytes {
        file.write_all_at(bytes, *at).map_err(writing)?;
        crc32 ^= replaced_zeros(bytes, body.bytes - at - bytes.len() as u64);
    }
    file.write_all_at(&tail, body.bytes).map_err(writing)?;
    let bytes = body.bytes + tail.len() as u64;
    file.set_len(bytes).map_err(writing)?;
    let mut whole = Hasher::new_with_initial_len(crc32, body.bytes);
    whole.combine(&hasher_of(&tail));
    Ok(Some(Sum {
        crc32: whole.finalize(),
        bytes,
    }))
}

fn hasher_of(bytes: &[u8]) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher
}

/// What the checksum of a file changes by, bit for bit, when `bytes` take the
/// place of zeros with so many bytes `behind` them: CRC-32 is linear.
fn replaced_zeros(bytes: &[u8], behind: u64) -> u32 {
    let zeros = vec![0; bytes.len()];
    let here = crc32fast::hash(bytes) ^ crc32fast::hash(&zeros);
    let mut moved = Hasher::new_with_initial_len(here, 0);
    moved.combine(&Hasher::new_with_initial_len(0, behind));
    moved.finalize()
}

/// The columns of `stored` that `held` has not; nothing if another one differs,
/// or if a missing one may not be null.
fn missing(held: &Schema, stored: &Schema) -> Option<Vec<FieldRef>> {
    let mut missing = Vec::new();
    let mut found = 0;
    for field in stored.fields() {
        match held.column_with_name(field.name()) {
            // Columns that are there already must not trade places.
            Some((at, there)) if at == found && same_column(there, field) => found += 1,
            None if field.is_nullable() => missing.push(Arc::clone(field)),
            _ => return None,
        }
    }
    (found == held.fields().len()).then_some(missing)
}

/// The free bytes behind each row group.
fn rooms(metadata: &ParquetMetaData, body_bytes: u64) -> Vec<Range<u64>> {
    let spans: Vec<(u64, u64)> = metadata
        .row_groups()
        .iter()
        .map(|group| {
            let ranges = group.columns().iter().map(ColumnChunkMetaData::byte_range);
            // Bloom filters lie between the columns and the room.
            let filters = group.columns().iter().filter_map(filter_range);
            ranges
                .chain(filters)
                .fold((u64::MAX, 0), |(first, end), (start, len)| {
                    (first.min(start), end.max(start + len))
                })
        })
        .collect();
    let next = spans.iter().skip(1).map(|(first, _)| *first);
    spans
        .iter()
        .zip(next.chain([body_bytes]))
        .map(|((_, end), next)| *end..next.max(*end))
        .collect()
}

/// Where a column's Bloom filter lies, and its length.
fn filter_range(column: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    let start = u64::try_from(column.bloom_filter_offset()?).ok()?;
    let length = u64::try_from(column.bloom_filter_length()?).ok()?;
    Some((start, length))
}

/// Chunks of nulls for every row group, with their places.
struct Nulls {
    /// Of the missing columns alone; places are those in the grown file.
    metadata: ParquetMetaData,
    /// First byte in the grown file, and the chunks of one row group.
    bytes: Vec<(u64, Vec<u8>)>,
}

impl Nulls {
    /// Encodes them as a file of their own, of which only the rooms are kept.
    fn write(
        old: &ParquetMetaData,
        missing: &[FieldRef],
        rooms: &[Range<u64>],
        how: &Stored,
        path: &Path,
    ) -> Result<Option<Self>> {
        let failed = |error| parquet_error(path, "add columns to", error);
        let schema = Schema::new(missing.to_vec());
        let leaves = parquet_schema(&schema)?;
        let mut writer = SerializedFileWriter::new(
            Kept::new(rooms.to_vec()),
            leaves.root_schema_ptr(),
            Arc::new(properties(how, &leaves).map_err(failed)?.build()),
        )
        .map_err(failed)?;
        let mut used = Vec::new();
        for (group, room) in old.row_groups().iter().zip(rooms) {
            let gap = room.start - writer.bytes_written() as u64;
            put_zeros(&mut |zeros| writer.write_all(zeros), gap)
                .map_err(|source| Error::io(path.display(), "add columns to", source))?;
            let rows = usize::try_from(group.num_rows())
                .map_err(|_| Error::corrupt(path.display(), None, "a row group has no count"))?;
            let mut chunks = writer.next_row_group().map_err(failed)?;
            for field in missing {
                for chunk in null_chunks(field, rows, how)? {
                    chunk.append_to(&mut chunks).map_err(failed)?;
                }
            }
            chunks.close().map_err(failed)?;
            let end = writer.bytes_written() as u64;
            if end > room.end {
                return Ok(None);
            }
            used.push((end - room.start) as usize);
        }
        let metadata = writer.finish().map_err(failed)?;
        let mut bytes = std::mem::take(&mut writer.inner_mut().bytes);
        for (bytes, used) in bytes.iter_mut().zip(used) {
            bytes.truncate(used); // what came behind is the next gap's zeros
        }
        Ok(Some(Nulls {
            metadata,
            bytes: rooms.iter().map(|room| room.start).zip(bytes).collect(),
        }))
    }
}

/// The metadata of the grown file.
fn combine(
    old: &ParquetMetaData,
    nulls: &ParquetMetaData,
    stored: &SchemaRef,
    how: &Stored,
    path: &Path,
) -> Result<ParquetMetaData> {
    let failed = |error| parquet_error(path, "add columns to", error);
    let descriptor = Arc::new(parquet_schema(stored)?);
    let mut properties = properties(how, &descriptor).map_err(failed)?.build();
    note_types(stored, &descriptor, &mut properties);
    let picks = Picks::new(old, nulls, &descriptor)?;
    let mut groups = Vec::new();
    let (mut columns, mut offsets) = (Vec::new(), Vec::new());
    for (idx, (ours, added)) in old.row_groups().iter().zip(nulls.row_groups()).enumerate() {
        groups.push(group(&picks, ours, added, Arc::clone(&descriptor)).map_err(failed)?);
        columns.push(picks.indexes(idx, old.column_index(), nulls.column_index())?);
        offsets.push(picks.indexes(idx, old.offset_index(), nulls.offset_index())?);
    }
    let held = old.file_metadata();
    let file = FileMetaData::new(
        held.version(),
        held.num_rows(),
        held.created_by().map(str::to_owned),
        properties.key_value_metadata().cloned(),
        descriptor,
        None, // the writer fills in the orders that it knows
    );
    Ok(ParquetMetaDataBuilder::new(file)
        .set_row_groups(groups)
        .set_column_index(Some(columns))
        .set_offset_index(Some(offsets))
        .build())
}

fn group(
    picks: &Picks,
    ours: &RowGroupMetaData,
    added: &RowGroupMetaData,
    descriptor: SchemaDescPtr,
) -> std::result::Result<RowGroupMetaData, ParquetError> {
    let columns = picks.of(ours.columns(), added.columns()).cloned().collect();
    let mut group = RowGroupMetaData::builder(descriptor)
        .set_num_rows(ours.num_rows())
        .set_total_byte_size(ours.total_byte_size() + added.total_byte_size())
        .set_column_metadata(columns);
    if let Some(ordinal) = ours.ordinal() {
        group = group.set_ordinal(ordinal);
    }
    if let Some(offset) = ours.file_offset() {
        group = group.set_file_offset(offset);
    }
    group.build()
}

/// Which leaves of the grown file are added ones, in order.
struct Picks(Vec<bool>);

impl Picks {
    fn new(
        old: &ParquetMetaData,
        nulls: &ParquetMetaData,
        grown: &SchemaDescriptor,
    ) -> Result<Self> {
        let leaves = |metadata: &ParquetMetaData| {
            let schema = metadata.file_metadata().schema_descr_ptr();
            schema.columns().to_vec()
        };
        let (old, nulls) = (leaves(old), leaves(nulls));
        let added: Vec<bool> = grown
            .columns()
            .iter()
            .map(|leaf| nulls.iter().any(|added| added.path() == leaf.path()))
            .collect();
        let picks = Picks(added);
        let same = picks
            .of(&old, &nulls)
            .zip(grown.columns())
            .all(|(there, here)| there == here);
        if picks.0.len() != old.len() + nulls.len() || !same {
            return Err(Error::internal(
                "the columns of a grown file are not those of its parts",
            ));
        }
        Ok(picks)
    }

    /// What belongs to each leaf of the grown file.
    fn of<'a, T>(&'a self, old: &'a [T], added: &'a [T]) -> impl Iterator<Item = &'a T> {
        let (mut old, mut added) = (old.iter(), added.iter());
        self.0
            .iter()
            .filter_map(move |is_added| if *is_added { added.next() } else { old.next() })
    }

    /// The page indexes of one row group of the grown file.
    fn indexes<T: Clone>(
        &self,
        group_idx: usize,
        old: Option<&Vec<Vec<T>>>,
        added: Option<&Vec<Vec<T>>>,
    ) -> Result<Vec<T>> {
        match (
            old.and_then(|groups| groups.get(group_idx)),
            added.and_then(|groups| groups.get(group_idx)),
        ) {
            (Some(old), Some(added)) => Ok(self.of(old, added).cloned().collect()),
            _ => Err(Error::internal("a file of ours has no page indexes")),
        }
    }
}

/// Page indexes and footer as they stand at byte `at` of a file.
fn tail(metadata: &ParquetMetaData, at: u64) -> std::result::Result<Vec<u8>, ParquetError> {
    let mut kept = Kept::new(std::iter::once(at..u64::MAX).collect());
    let mut out = TrackedWrite::new(&mut kept);
    put_zeros(&mut |zeros| out.write_all(zeros), at)?;
    ParquetMetaDataWriter::new_with_tracked(out, metadata).finish()?;
    Ok(kept.bytes.pop().unwrap_or_default())
}

/// A file of which only some places are kept.
struct Kept {
    at: u64,
    places: Vec<Range<u64>>,
    /// What was written to each place.
    bytes: Vec<Vec<u8>>,
}

impl Kept {
    fn new(places: Vec<Range<u64>>) -> Self {
        Kept {
            at: 0,
            bytes: vec![Vec::new(); places.len()],
            places,
        }
    }
}

impl Write for Kept {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        let end = self.at + written.len() as u64;
        for (place, bytes) in self.places.iter().zip(&mut self.bytes) {
            let (from, to) = (place.start.max(self.at), place.end.min(end));
            if from < to {
                bytes.extend_from_slice(
                    &written[(from - self.at) as usize..(to - self.at) as usize],
                );
            }
        }
        self.at = end;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_follows_bytes_that_take_the_place_of_zeros() {
        for (before, bytes, behind) in [(0, 1, 0), (7, 300, 1), (5000, 4096, 123_456)] {
            let mut file = vec![9; before];
            file.resize(before + bytes, 0);
            file.resize(before + bytes + behind, 5);
            let old = crc32fast::hash(&file);
            let new: Vec<u8> = (0..bytes).map(|n| n as u8 ^ 0x5a).collect();
            file[before..before + bytes].copy_from_slice(&new);
            assert_eq!(
                old ^ replaced_zeros(&new, behind as u64),
                crc32fast::hash(&file)
            );
        }
    }

    #[test]
    fn only_the_places_are_kept_however_bytes_come() {
        let bytes: Vec<u8> = (0..100).collect();
        for piece in [1, 7, 100] {
            let mut kept = Kept::new(vec![3..5, 20..20, 90..u64::MAX]);
            for piece in bytes.chunks(piece) {
                kept.write_all(piece).unwrap();
            }
            assert_eq!(kept.bytes, [&bytes[3..5], &[], &bytes[90..]]);
        }
    }
}
