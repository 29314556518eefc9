//! What Parquet files spend their bytes on, column by column.
//!
//! In:  footers of files, in order.
//! Out: for each leaf its bytes as Arrow, as plain pages and as stored, with
//!      codecs and encodings; and the keys and values of the footers.
//!
//! Memory grows with columns and keys, never with files.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, ParquetMetaData};
use serde::Serialize;

use super::footers::{self, LeafSize};
use super::text::{count, printable, shortened, width};
use crate::sink::codec_name;
use crate::size::ByteSize;

/// What footers say of some files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Files.
    pub files: u64,
    /// Row groups in them.
    pub row_groups: u64,
    /// Rows in them.
    pub rows: u64,
    /// Logical bytes of all columns as Arrow.
    pub bytes: u64,
    /// Bytes of all columns as stored, without footers and indexes.
    pub stored_bytes: u64,
    /// The leaves, in the order in which files have them first.
    pub columns: Vec<ColumnStorage>,
    /// Keys and values of the footers, in the order in which files have them
    /// first; not the one in which Arrow keeps its types.
    pub metadata: Vec<FooterKey>,
    /// Where each column stands in `columns`.
    #[serde(skip)]
    places: HashMap<String, usize>,
}

/// What a leaf takes over all files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ColumnStorage {
    /// Its path, such as `user` or `tags.list.item`: what [`column_codecs`](crate::WriteOptions::column_codecs) take.
    pub name: String,
    /// Logical bytes as Arrow: what memory holds.
    pub bytes: u64,
    /// Whether some of them had to be estimated, since the writer left counts out.
    pub bytes_estimated: bool,
    /// Bytes of encoded pages before compression.
    pub encoded_bytes: u64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// Values, nulls as well: one for each row of the files that have it, in lists more.
    pub values: u64,
    /// Nulls; none where a writer left them out, and in lists.
    pub nulls: Option<u64>,
    /// The codecs in use, sorted.
    pub codecs: BTreeSet<String>,
    /// The encodings in use, sorted.
    pub encodings: BTreeSet<String>,
}

/// A key of footers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FooterKey {
    /// The key.
    pub key: String,
    /// Its value in the first file that has it.
    pub value: String,
    /// Files that have it.
    pub files: u64,
    /// Whether another file has another value.
    pub differs: bool,
}

impl Storage {
    /// Adds the footer of the next file.
    pub(crate) fn add(&mut self, metadata: &ParquetMetaData) {
        self.files += 1;
        let leaves = footers::leaf_widths(metadata);
        for group in metadata.row_groups() {
            self.row_groups += 1;
            self.rows = (self.rows).saturating_add(footers::unsigned(group.num_rows()));
            for (column, leaf) in group.columns().iter().zip(&leaves) {
                self.add_column(column, leaf.size_of(column));
            }
        }
        for pair in metadata
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
        {
            self.add_key(pair);
        }
    }

    fn add_column(&mut self, column: &ColumnChunkMetaData, size: LeafSize) {
        let stored_bytes = footers::unsigned(column.compressed_size());
        self.bytes = self.bytes.saturating_add(size.bytes);
        self.stored_bytes = self.stored_bytes.saturating_add(stored_bytes);
        let path = column.column_path().string();
        let place = *self.places.entry(path).or_insert_with_key(|path| {
            self.columns.push(ColumnStorage {
                name: path.clone(),
                nulls: Some(0),
                ..ColumnStorage::default()
            });
            self.columns.len() - 1
        });
        let of = &mut self.columns[place];
        of.bytes = of.bytes.saturating_add(size.bytes);
        of.bytes_estimated |= size.estimated;
        of.stored_bytes = of.stored_bytes.saturating_add(stored_bytes);
        let encoded = footers::unsigned(column.uncompressed_size());
        of.encoded_bytes = of.encoded_bytes.saturating_add(encoded);
        let values = footers::unsigned(column.num_values());
        of.values = of.values.saturating_add(values);
        let nulls = column.statistics().and_then(|found| found.null_count_opt());
        of.nulls = (of.nulls.zip(nulls))
            .filter(|_| column.column_descr().max_rep_level() == 0)
            .map(|(sum, nulls)| sum.saturating_add(nulls));
        of.codecs
            .insert(codec_name(column.compression()).to_owned());
        of.encodings
            .extend(column.encodings().map(|encoding| encoding.to_string()));
    }

    fn add_key(&mut self, pair: &KeyValue) {
        if pair.key == ARROW_SCHEMA_META_KEY {
            return;
        }
        let value = pair.value.as_deref().unwrap_or_default();
        match self.metadata.iter_mut().find(|known| known.key == pair.key) {
            Some(known) => {
                known.files += 1;
                known.differs |= known.value != value;
            }
            None => self.metadata.push(FooterKey {
                key: pair.key.clone(),
                value: value.to_owned(),
                files: 1,
                differs: false,
            }),
        }
    }
}

/// Widest value of a footer, and widest name of a column, that is shown whole.
const SHOWN: usize = 60;

impl fmt::Display for Storage {
    /// A table with a line a column, the widest first, and what the footers hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut columns: Vec<&ColumnStorage> = self.columns.iter().collect();
        columns.sort_by_key(|column| std::cmp::Reverse(column.stored_bytes));
        let titles = [
            "column", "stored", "share", "encoded", "arrow", "nulls", "codec",
        ];
        let mut lines = vec![titles.map(str::to_owned)];
        lines.extend(columns.into_iter().map(|column| self.cells(column)));
        let mut widths = [0; 7];
        for line in &lines {
            for (widest, cell) in widths.iter_mut().zip(line) {
                *widest = width(cell).max(*widest);
            }
        }
        for line in &lines {
            let mut text = String::new();
            for (idx, (cell, widest)) in line.iter().zip(widths).enumerate() {
                let gap = " ".repeat(widest - width(cell));
                text.push_str(&match idx {
                    0 | 6 => format!("{cell}{gap}  "),
                    _ => format!("{gap}{cell}  "),
                });
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        write!(
            f,
            "{} in {}, {} as Arrow, {} stored",
            plural(self.rows, "row"),
            plural(self.files, "file"),
            ByteSize::new(self.bytes),
            ByteSize::new(self.stored_bytes),
        )?;
        for FooterKey {
            key,
            value,
            files,
            differs,
        } in &self.metadata
        {
            let (key, value) = (printable(key), shortened(&printable(value), SHOWN));
            write!(f, "\n{key} = {value}")?;
            if *differs {
                write!(f, ", in other files another value")?;
            }
            if *files < self.files {
                write!(f, " ({} of {} files)", count(*files), count(self.files))?;
            }
        }
        Ok(())
    }
}

impl Storage {
    fn cells(&self, column: &ColumnStorage) -> [String; 7] {
        let share = column.stored_bytes as f64 / self.stored_bytes.max(1) as f64;
        let about = if column.bytes_estimated { "~" } else { "" };
        let codecs: Vec<&str> = column.codecs.iter().map(String::as_str).collect();
        [
            shortened(&printable(&column.name), SHOWN),
            ByteSize::new(column.stored_bytes).to_string(),
            format!("{:.1}%", 100.0 * share),
            ByteSize::new(column.encoded_bytes).to_string(),
            format!("{about}{}", ByteSize::new(column.bytes)),
            column.nulls.map_or_else(|| "?".to_owned(), count),
            codecs.join("+"),
        ]
    }
}

fn plural(n: u64, what: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{} {what}{ending}", count(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_by_what_they_take_and_keys_below_them() {
        let column =
            |name: &str, stored_bytes: u64, nulls: Option<u64>, codec: &str| ColumnStorage {
                name: name.to_owned(),
                bytes: 4 * stored_bytes,
                bytes_estimated: nulls.is_none(),
                encoded_bytes: 2 * stored_bytes,
                stored_bytes,
                values: 1000,
                nulls,
                codecs: BTreeSet::from([codec.to_owned()]),
                encodings: BTreeSet::new(),
            };
        let key = |key: &str, files: u64, differs: bool| FooterKey {
            key: key.to_owned(),
            value: "a\u{1b}[31m".to_owned(),
            files,
            differs,
        };
        let storage = Storage {
            files: 2,
            row_groups: 2,
            rows: 1000,
            bytes: 4 * 4096,
            stored_bytes: 4096,
            columns: vec![
                column("id", 1024, Some(7), "none"),
                column("tags.list.item", 3072, None, "zstd"),
            ],
            metadata: vec![key("source", 2, true), key("by", 1, false)],
            places: HashMap::new(),
        };
        let lines = [
            "column          stored  share  encoded    arrow  nulls  codec",
            "tags.list.item   3 KiB  75.0%    6 KiB  ~12 KiB      ?  zstd",
            "id               1 KiB  25.0%    2 KiB    4 KiB      7  none",
            "1,000 rows in 2 files, 16 KiB as Arrow, 4 KiB stored",
            "source = a\\u{1b}[31m, in other files another value",
            "by = a\\u{1b}[31m (1 of 2 files)",
        ];
        assert_eq!(storage.to_string(), lines.join("\n"));
    }
}
