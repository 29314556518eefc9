//! A folder of log files.
//!
//! In:  a log, how many files, how unlike in size.
//! Out: `access-000.json.gz`, `access-001.json.gz`, …: in the order of their names
//!      they hold the rows in order.
//!
//! Even sizes differ by one row. Skewed sizes follow Pareto's law: file of rank k
//! gets a share of k^-1.25, so of 214 files the largest has 28 % of the rows, 60
//! times the mean. Each file has a row at least (if there are rows enough), and
//! which file gets which rank depends on the seed alone.

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::gzip::gzip_writer;
use super::logs::Logs;
use super::random::{Random, Seed};

/// How a set is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Number of files. Default 1.
    pub files: usize,
    /// Sizes by Pareto's law rather than even. Default even.
    pub skew: bool,
    /// gzip members a file, cut between lines. Default 1.
    pub members: usize,
    /// `.ndjson` rather than `.json.gz`. Default gzip.
    pub plain: bool,
    /// Threads that make files. Default 1; the files do not depend on it.
    pub threads: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Layout {
            files: 1,
            skew: false,
            members: 1,
            plain: false,
            threads: 1,
        }
    }
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its text.
    pub bytes: u64,
    /// Bytes on disk.
    pub stored_bytes: u64,
}

/// A log and how it is laid out.
#[derive(Debug, Clone)]
pub struct LogSet {
    /// The rows.
    pub logs: Logs,
    /// The files.
    pub layout: Layout,
    /// Decides which file is the large one.
    pub seed: Seed,
}

/// Rows made at a time, about 1 MiB.
const ROWS_A_PIECE: usize = 2048;

impl LogSet {
    /// The rows of each file, in the order of their names.
    pub fn cuts(&self) -> Vec<Range<u64>> {
        let (rows, files) = (self.logs.rows(), self.layout.files.max(1) as u64);
        let mut weights: Vec<f64> = (1..=files)
            .map(|rank| {
                if self.layout.skew {
                    let rank = rank as f64;
                    1.0 / (rank * rank.sqrt().sqrt())
                } else {
                    1.0
                }
            })
            .collect();
        if self.layout.skew {
            Random::new(self.seed).shuffle(&mut weights);
        }
        let total: f64 = weights.iter().sum();
        // One row each first, the others by weight; the last cut is exact.
        let spread = rows.saturating_sub(files);
        let mut reached = 0.0;
        let mut start = 0;
        (1..=files)
            .zip(weights)
            .map(|(file, weight)| {
                reached += weight;
                let end = if file == files {
                    rows
                } else {
                    (file + (spread as f64 * (reached / total)) as u64).min(rows)
                };
                let range = start..end.max(start);
                start = range.end;
                range
            })
            .collect()
    }

    /// Writes the files into `dir`, which is made if missing.
    pub fn write(&self, dir: &Path) -> io::Result<Vec<Written>> {
        std::fs::create_dir_all(dir)?;
        let cuts = self.cuts();
        let mut largest_first: Vec<usize> = (0..cuts.len()).collect();
        largest_first.sort_by_key(|&file| std::cmp::Reverse(cuts[file].end - cuts[file].start));
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.layout.threads.max(1))
                .map(|_| {
                    scope.spawn(|| -> io::Result<()> {
                        while let Some(&file) =
                            largest_first.get(next.fetch_add(1, Ordering::Relaxed))
                        {
                            let written = self.write_file(dir, file, cuts[file].clone())?;
                            done.lock()
                                .expect("no worker panics while it holds the lock")
                                .push(written);
                        }
                        Ok(())
                    })
                })
                .collect();
            for worker in workers {
                worker.join().expect("a worker does not panic")?;
            }
            Ok::<_, io::Error>(())
        })?;
        let mut done = done
            .into_inner()
            .expect("no worker panics while it holds the lock");
        done.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(done)
    }

    fn write_file(&self, dir: &Path, file: usize, rows: Range<u64>) -> io::Result<Written> {
        let ending = if self.layout.plain {
            "ndjson"
        } else {
            "json.gz"
        };
        let width = (self.layout.files.max(1) - 1).to_string().len().max(2);
        let path = dir.join(format!("access-{file:0width$}.{ending}"));
        let mut file = Counted {
            inner: io::BufWriter::new(std::fs::File::create(&path)?),
            bytes: 0,
        };
        let mut bytes = 0;
        let n_members = self.layout.members.max(1) as u64;
        let n_rows = rows.end - rows.start;
        for member in 0..n_members {
            let part = rows.start + n_rows * member / n_members
                ..rows.start + n_rows * (member + 1) / n_members;
            if self.layout.plain {
                bytes += self.write_rows(part, &mut file)?;
            } else {
                let mut member = gzip_writer(&mut file);
                bytes += self.write_rows(part, &mut member)?;
                member.finish()?;
            }
        }
        file.flush()?;
        Ok(Written {
            path,
            rows: n_rows,
            bytes,
            stored_bytes: file.bytes,
        })
    }

    /// Writes lines in pieces, so that no file is ever held whole; gives their bytes.
    fn write_rows(&self, rows: Range<u64>, out: &mut impl Write) -> io::Result<u64> {
        let mut text = Vec::new();
        let mut bytes = 0;
        for start in rows.clone().step_by(ROWS_A_PIECE) {
            text.clear();
            let end = (start + ROWS_A_PIECE as u64).min(rows.end);
            self.logs.write(start..end, &mut text);
            out.write_all(&text)?;
            bytes += text.len() as u64;
        }
        Ok(bytes)
    }
}

/// A writer that knows how much went through it.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(piece)?;
        self.bytes += taken as u64;
        Ok(taken)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
