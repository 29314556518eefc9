//! Rows on disk while there is no room for them in memory.
//!
//! In:  batches of one schema.
//! Out: the same batches, in order.
//!
//! Files are Arrow IPC with lz4, in a private folder that goes away with the
//! run. Folders left by processes that were killed are removed when the next run spills.
//! A file holds one stream of batches, or many [`Segment`]s that are read one by one.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Take, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::size::ByteSize;

const PREFIX: &str = "windrow-spill-";

/// Bytes that wait to be written to a file, or were read from it ahead: as
/// many files may be read at once as there are buckets, each with its own.
/// Batches that are larger go past the buffer.
const BUFFER_BYTES: usize = 64 << 10;

/// A private folder for the spill files of one run. Made when first needed.
#[derive(Debug)]
pub struct SpillDir {
    parent: PathBuf,
    limit: Option<ByteSize>,
    written: Arc<AtomicU64>,
    dir: OnceLock<tempfile::TempDir>,
    next: AtomicU64,
    runs: AtomicU64,
    each: Each,
}

/// A task for each of some numbers.
type Tasks<'a> = &'a (dyn Fn(usize) -> Result<()> + Sync);

/// Does `task(0)`, …, `task(n - 1)`.
type DoEach = dyn Fn(usize, Tasks<'_>) -> Result<()> + Send + Sync;

/// What files of one run of rows are written by.
struct Each {
    threads: usize,
    each: Box<DoEach>,
}

impl std::fmt::Debug for Each {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} threads", self.threads)
    }
}

impl SpillDir {
    /// A folder to be made under `parent`; its files together may not pass `limit`.
    pub fn new(parent: &Path, limit: Option<ByteSize>) -> Self {
        SpillDir {
            parent: parent.to_path_buf(),
            limit,
            written: Arc::new(AtomicU64::new(0)),
            dir: OnceLock::new(),
            next: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            each: Each {
                threads: 1,
                each: Box::new(|n, task| (0..n).try_for_each(task)),
            },
        }
    }

    /// The same folder, for runs of rows that are written to a file by each of
    /// `threads`, which `each` gives tasks to.
    #[must_use]
    pub fn written_by(
        self,
        threads: usize,
        each: impl Fn(usize, Tasks<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let each = Each {
            threads: threads.max(1),
            each: Box::new(each),
        };
        SpillDir { each, ..self }
    }

    /// Bytes written to spill files so far, as stored.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Runs of rows so far that went to disk together.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Opens a new spill file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the folder or the file cannot be made.
    pub fn create(&self, schema: &SchemaRef) -> Result<SpillWriter> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let (path, file) = self.create_file()?;
        let writer = StreamWriter::try_new_with_options(file, schema, ipc_options()?)
            .map_err(|source| spill_error(&path, "write", source))?;
        Ok(SpillWriter { path, writer })
    }

    /// Opens a new spill file that takes streams of several schemas.
    ///
    /// # Errors
    ///
    /// As [`SpillDir::create`].
    pub fn create_segments(&self) -> Result<SegmentWriter> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.create_part()
    }

    /// Writes a run of rows that has `n_parts` parts: those that stand together
    /// go to one file, each file on a thread. `write` is given its file and the
    /// numbers of its parts. What it gave, by file, with the file.
    ///
    /// # Errors
    ///
    /// As [`SpillDir::create`], and those of `write`.
    pub fn write_run<T: Send + Sync>(
        &self,
        n_parts: usize,
        write: impl Fn(&mut SegmentWriter, Range<usize>) -> Result<T> + Sync,
    ) -> Result<Vec<(Arc<SpillFile>, T)>> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let n_files = self.each.threads.min(n_parts);
        let written: Vec<OnceLock<_>> = (0..n_files).map(|_| OnceLock::new()).collect();
        (self.each.each)(n_files, &|idx| {
            let parts = idx * n_parts / n_files..(idx + 1) * n_parts / n_files;
            let mut writer = self.create_part()?;
            let given = write(&mut writer, parts)?;
            // Each task is done once.
            drop(written[idx].set((Arc::new(writer.finish()?), given)));
            Ok(())
        })?;
        Ok(written
            .into_iter()
            .filter_map(OnceLock::into_inner)
            .collect())
    }

    fn create_part(&self) -> Result<SegmentWriter> {
        let (path, file) = self.create_file()?;
        Ok(SegmentWriter { path, file, at: 0 })
    }

    fn create_file(&self) -> Result<(PathBuf, CountedFile)> {
        let dir = match self.dir.get() {
            Some(dir) => dir,
            None => {
                remove_orphans(&self.parent);
                let dir = tempfile::Builder::new()
                    .prefix(&format!("{PREFIX}{}-", std::process::id()))
                    .tempdir_in(&self.parent)
                    .map_err(|source| {
                        Error::io(self.parent.display(), "make a spill folder in", source)
                    })?;
                self.dir.get_or_init(|| dir)
            }
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = dir.path().join(format!("{number:06}.arrow"));
        let file = File::create_new(&path)
            .map_err(|source| Error::io(path.display(), "create", source))?;
        let file = CountedFile {
            inner: BufWriter::with_capacity(BUFFER_BYTES, file),
            written: Arc::clone(&self.written),
            limit: self.limit,
        };
        Ok((path, file))
    }
}

fn ipc_options() -> Result<IpcWriteOptions> {
    IpcWriteOptions::default()
        .try_with_compression(Some(CompressionType::LZ4_FRAME))
        .map_err(|source| Error::external("spilling", source))
}

/// Removes spill folders whose process is gone. What cannot be removed is left:
/// it is somebody else's, or in use.
fn remove_orphans(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok())
        else {
            continue;
        };
        if Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{pid}")).exists() {
            // Losing the race against another run that does the same is fine.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// A file that counts what goes through it and stops at the limit.
struct CountedFile {
    inner: BufWriter<File>,
    written: Arc<AtomicU64>,
    limit: Option<ByteSize>,
}

impl Write for CountedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let before = self
            .written
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(limit) = self.limit
            && before + bytes.len() as u64 > limit.bytes()
        {
            return Err(std::io::Error::other(format!(
                "spill files would pass their limit of {limit}"
            )));
        }
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn spill_error(path: &Path, doing: &'static str, source: arrow_schema::ArrowError) -> Error {
    match source {
        arrow_schema::ArrowError::IoError(_, source) => Error::io(path.display(), doing, source),
        other => Error::external(
            format!("{}: cannot {doing} spilled rows", path.display()),
            other,
        ),
    }
}

/// A spill file being written.
pub struct SpillWriter {
    path: PathBuf,
    writer: StreamWriter<CountedFile>,
}

impl SpillWriter {
    /// Appends a batch of the file's schema.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the disk is full or the limit is passed.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer
            .write(batch)
            .map_err(|source| spill_error(&self.path, "write", source))
    }

    /// Closes the file, to be read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the last bytes cannot be written.
    pub fn finish(mut self) -> Result<SpillFile> {
        self.writer
            .finish()
            .and_then(|()| self.writer.get_mut().flush_all())
            .map_err(|source| spill_error(&self.path, "write", source))?;
        Ok(SpillFile { path: self.path })
    }
}

impl CountedFile {
    fn flush_all(&mut self) -> Result<(), arrow_schema::ArrowError> {
        self.inner.flush().map_err(Into::into)
    }
}

/// A spill file that is complete. Dropping removes it.
#[derive(Debug)]
pub struct SpillFile {
    path: PathBuf,
}

impl SpillFile {
    /// Reads the batches back, in the order in which they were written.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be opened.
    pub fn read(self) -> Result<SpillReader> {
        Arc::new(self).read_again()
    }

    /// Reads the batches back and keeps the file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be opened.
    pub fn read_again(self: &Arc<Self>) -> Result<SpillReader> {
        self.read_part(Segment {
            start: 0,
            bytes: u64::MAX,
        })
    }

    /// Reads the batches of one segment, and keeps the file.
    ///
    /// # Errors
    ///
    /// As [`SpillFile::read_again`].
    pub fn read_part(self: &Arc<Self>, segment: Segment) -> Result<SpillReader> {
        let mut file = File::open(&self.path)
            .map_err(|source| Error::io(self.path.display(), "open", source))?;
        file.seek(SeekFrom::Start(segment.start))
            .map_err(|source| Error::io(self.path.display(), "read", source))?;
        // A small segment needs no large buffer: many may be open at once.
        let capacity = segment.bytes.clamp(4 << 10, BUFFER_BYTES as u64) as usize;
        let part = BufReader::with_capacity(capacity, file.take(segment.bytes));
        let reader = StreamReader::try_new(part, None)
            .map_err(|source| spill_error(&self.path, "read", source))?;
        Ok(SpillReader {
            file: Arc::clone(self),
            reader,
        })
    }
}

/// Where a stream of batches lies in a spill file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    start: u64,
    bytes: u64,
}

/// A spill file of segments being written.
pub struct SegmentWriter {
    path: PathBuf,
    file: CountedFile,
    at: u64,
}

impl SegmentWriter {
    /// Appends batches of one schema.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the disk is full or the limit is passed.
    pub fn write(
        &mut self,
        schema: &SchemaRef,
        batches: impl IntoIterator<Item = Result<RecordBatch>>,
    ) -> Result<Segment> {
        let failed = |source| spill_error(&self.path, "write", source);
        let counted = Counted {
            inner: &mut self.file,
            bytes: 0,
        };
        let mut writer =
            StreamWriter::try_new_with_options(counted, schema, ipc_options()?).map_err(failed)?;
        for batch in batches {
            writer.write(&batch?).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
        let segment = Segment {
            start: self.at,
            bytes: writer.get_ref().bytes,
        };
        self.at += segment.bytes;
        Ok(segment)
    }

    /// Closes the file, to be read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the last bytes cannot be written.
    pub fn finish(mut self) -> Result<SpillFile> {
        self.file
            .flush()
            .map_err(|source| Error::io(self.path.display(), "write", source))?;
        Ok(SpillFile { path: self.path })
    }
}

/// Counts what is written.
struct Counted<'a> {
    inner: &'a mut CountedFile,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        // The file is flushed once, at its end.
        Ok(())
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        // The folder goes with the run; a file that stays until then costs only space.
        drop(std::fs::remove_file(&self.path));
    }
}

/// The batches of a spill file. The file is removed when nobody reads or keeps it.
pub struct SpillReader {
    file: Arc<SpillFile>,
    reader: StreamReader<BufReader<Take<File>>>,
}

impl Iterator for SpillReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|source| spill_error(&self.file.path, "read", source)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use super::*;

    fn batch(from: usize) -> RecordBatch {
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(
            (from..from + 100).map(|n| format!("row {n}")),
        ));
        RecordBatch::try_from_iter([("text", text)]).unwrap()
    }

    #[test]
    fn spilled_rows_come_back_in_order_and_leave_no_file() {
        let parent = tempfile::tempdir().unwrap();
        let dir = SpillDir::new(parent.path(), None);
        let mut writer = dir.create(&batch(0).schema()).unwrap();
        for n in 0..5 {
            writer.write(&batch(n * 100)).unwrap();
        }
        let file = writer.finish().unwrap();
        assert!(dir.written() > 0);
        let back: Vec<_> = file.read().unwrap().map(Result::unwrap).collect();
        assert_eq!(back, (0..5).map(|n| batch(n * 100)).collect::<Vec<_>>());
        drop(dir);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn spill_folders_of_dead_processes_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        // No process has this number: the kernel's largest is 2^22.
        let dead = parent.path().join(format!("{PREFIX}4999999-abc"));
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join("000000.arrow"), b"rows").unwrap();
        let kept = parent
            .path()
            .join(format!("{PREFIX}{}-abc", std::process::id()));
        std::fs::create_dir(&kept).unwrap();
        let dir = SpillDir::new(parent.path(), None);
        dir.create(&batch(0).schema()).unwrap().finish().unwrap();
        assert!(!dead.exists());
        assert!(kept.exists());
    }

    #[test]
    fn spilling_stops_at_its_limit() {
        let parent = tempfile::tempdir().unwrap();
        let dir = SpillDir::new(parent.path(), Some(ByteSize::new(2000)));
        let mut writer = dir.create(&batch(0).schema()).unwrap();
        let error = (0..100)
            .find_map(|n| writer.write(&batch(n * 100)).err())
            .expect("the limit is passed");
        assert!(error.to_string().contains("limit of 2 KiB"), "{error}");
    }
}
