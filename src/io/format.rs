//! What kind of file it is.
//!
//! In:  a file's first bytes, then its name.
//! Out: JSON lines, CSV, Parquet or Arrow IPC.

use crate::error::{Error, Result};
use crate::io::source;
use crate::io::store::SourceFile;

/// How the rows of a file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON, a record a line or one array of records; perhaps compressed.
    Json,
    /// Parquet.
    Parquet,
    /// An Arrow IPC file, also known as Feather.
    Ipc,
    /// CSV, perhaps compressed.
    Csv,
}

impl Format {
    /// The format of a file: by its first bytes where those tell, else by its
    /// name, else JSON. Standard input and pipes are not read ahead of time,
    /// so those are JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read; [`Error::Config`] for a name
    /// that says a format that windrow does not read.
    pub fn detect(file: &SourceFile) -> Result<Self> {
        if !file.seekable {
            return Ok(Format::Json);
        }
        let mut head = [0; 8];
        let filled = source::read_full(&mut source::open_head(file)?, &mut head, &file.path)?;
        let head = &head[..filled];
        // PARE is Parquet too; opening it says that it is encrypted.
        if head.starts_with(b"PAR1") || head.starts_with(b"PARE") {
            return Ok(Format::Parquet);
        }
        // A stream begins with the mark of its first message.
        if head.starts_with(b"ARROW1") || head.starts_with(&[0xff; 4]) {
            return Ok(Format::Ipc);
        }
        by_name(&file.path)
    }
}

/// The format a name ends with, below a codec's ending.
fn by_name(path: &str) -> Result<Format> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let name = [
        ".gz", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".sz", ".snappy",
    ]
    .iter()
    .find_map(|codec| name.strip_suffix(codec))
    .unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("parquet" | "pq" | "parq") => Ok(Format::Parquet),
        Some("arrow" | "feather" | "ipc") => Ok(Format::Ipc),
        Some("csv" | "tsv" | "tab" | "psv") => Ok(Format::Csv),
        Some(other @ ("avro" | "orc" | "xml" | "xlsx")) => Err(Error::config(
            path,
            format!(
                "windrow does not read .{other} files; it reads JSON, CSV, Parquet and Arrow IPC"
            ),
        )),
        _ => Ok(Format::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_before_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let detect = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Format::detect(&SourceFile::at(path.to_str().unwrap(), 0).unwrap())
        };
        assert_eq!(detect("a.json", b"PAR1....").unwrap(), Format::Parquet);
        assert_eq!(detect("a.json", b"ARROW1\0\0").unwrap(), Format::Ipc);
        assert_eq!(detect("a.log", b"{\"a\":1}\n").unwrap(), Format::Json);
        assert_eq!(detect("a", b"").unwrap(), Format::Json);
        assert_eq!(detect("a.parquet", b"").unwrap(), Format::Parquet);
        assert_eq!(detect("a.Arrow", b"ab").unwrap(), Format::Ipc);
        assert_eq!(detect("a.csv.gz", b"a,b\n").unwrap(), Format::Csv);
        assert_eq!(detect("A.TSV", b"a\tb\n").unwrap(), Format::Csv);
        assert!(detect("a.avro", b"Obj").is_err());
        assert_eq!(detect("a", &[0xff; 8]).unwrap(), Format::Ipc);
        assert_eq!(
            Format::detect(&SourceFile::at("-", 0).unwrap()).unwrap(),
            Format::Json
        );
    }
}
