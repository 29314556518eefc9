//! Folders named after values: `day=2026-01-05/level=warn`.
//!
//! In:  columns and the values of a row in them, or a whole batch.
//! Out: a path below the target, and the rows that go there.
//!
//! Every byte outside `[A-Za-z0-9_.~-]` is percent-encoded, so that no value
//! can leave the target, and two different values never share a folder:
//!
//! ```text
//! null                          day=__HIVE_DEFAULT_PARTITION__
//! "__HIVE_DEFAULT_PARTITION__"  day=%5F_HIVE_DEFAULT_PARTITION__
//! ""                            day=
//! ".."                          day=%2E%2E
//! "a/b"                         day=a%2Fb
//! ```

use std::collections::HashMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Schema};
use arrow_select::take::take;

use super::shown::printable;
use crate::error::{Error, Result};
use crate::io::hive::NULL_FOLDER;

/// Longest name of one folder in bytes: what file systems take.
const MAX_NAME_BYTES: usize = 255;

/// Relative path of the rows that share the values of the partition columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HivePath(String);

impl HivePath {
    /// The folder of a row: one `column=value` per column; nothing is null.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a name would be longer than file systems allow.
    pub fn try_new<'a>(
        columns: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self> {
        let mut path = String::new();
        for (column, value) in columns {
            if !path.is_empty() {
                path.push('/');
            }
            let start = path.len();
            encode(column, &mut path);
            path.push('=');
            match value {
                None => path.push_str(NULL_FOLDER),
                Some(NULL_FOLDER) => {
                    path.push_str("%5F");
                    path.push_str(&NULL_FOLDER[1..]);
                }
                Some(value) => encode(value, &mut path),
            }
            let bytes = path.len() - start;
            if bytes > MAX_NAME_BYTES {
                let shown: String = value.unwrap_or_default().chars().take(40).collect();
                return Err(Error::config(
                    "partition-on",
                    format!(
                        "column {column:?}: the value {shown:?}… makes a folder name of {bytes} bytes, and file systems take {MAX_NAME_BYTES}; partition on a shorter column"
                    ),
                ));
            }
        }
        Ok(HivePath(path))
    }

    /// The path as text, with `/` between folders.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below `root`.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if it would leave `root`, which encoding rules out.
    pub(crate) fn below(&self, root: &Path) -> Result<PathBuf> {
        let path = Path::new(&self.0);
        if path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            Ok(root.join(path))
        } else {
            Err(Error::internal(format!(
                "folder {:?} is no plain name",
                self.0
            )))
        }
    }
}

impl fmt::Display for HivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let dots = matches!(text, "." | "..");
    for &byte in text.as_bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'~' | b'-');
        if plain && !dots {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Which rows of a batch go to which folder, by the values of `columns`.
///
/// Folders come in order of first appearance, rows keep their order, and every
/// row is in one folder.
///
/// # Errors
///
/// [`Error::Plan`] if a column is unknown or nested; [`Error::Config`] if a
/// value makes too long a name.
pub fn split(batch: &RecordBatch, columns: &[String]) -> Result<Vec<(HivePath, UInt32Array)>> {
    let schema = batch.schema();
    let keys = columns
        .iter()
        .map(|name| column_index(&schema, name))
        .collect::<Result<Vec<_>>>()?;
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let rows = u32::try_from(batch.num_rows())
        .map_err(|_| Error::internal("a batch of more than 2^32 rows"))?;

    let coded = keys
        .iter()
        .map(|&idx| Coded::new(batch.column(idx)))
        .collect::<Result<Vec<_>>>()?;
    // Groups of one more column at a time: (group so far, its code) → group.
    let mut group_of_row = vec![0u32; rows as usize];
    let mut first_rows = vec![0u32];
    for column in &coded {
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        first_rows.clear();
        for (row, group) in group_of_row.iter_mut().enumerate() {
            let next = known.len() as u32;
            *group = *known.entry((*group, column.codes[row])).or_insert_with(|| {
                first_rows.push(row as u32);
                next
            });
        }
    }
    let path_of = |row: u32| {
        HivePath::try_new(columns.iter().zip(&coded).map(|(name, column)| {
            let code = column.codes[row as usize] as usize;
            (name.as_str(), column.texts[code].as_deref())
        }))
    };
    let mut rows_of_group: Vec<Vec<u32>> = vec![Vec::new(); first_rows.len()];
    for (row, group) in group_of_row.iter().enumerate() {
        rows_of_group[*group as usize].push(row as u32);
    }
    first_rows
        .into_iter()
        .zip(rows_of_group)
        .map(|(first, rows)| Ok((path_of(first)?, UInt32Array::from(rows))))
        .collect()
}

fn column_index(schema: &Schema, name: &str) -> Result<usize> {
    let Some((idx, field)) = schema.column_with_name(name) else {
        return Err(Error::plan(format!(
            "there is no column {name:?} to partition on"
        )));
    };
    if field.data_type().is_nested() {
        return Err(Error::plan(format!(
            "column {name:?} is {} and cannot be a folder's name",
            field.data_type()
        )));
    }
    Ok(idx)
}

/// A column as small numbers, one per distinct value in order of appearance.
struct Coded {
    codes: Vec<u32>,
    texts: Vec<Option<String>>,
}

impl Coded {
    fn new(column: &ArrayRef) -> Result<Self> {
        if let Some(dictionary) = column.as_any_dictionary_opt() {
            let plain = take(dictionary.values(), dictionary.keys(), None)?;
            return Coded::new(&plain);
        }
        let mut coded = Coded {
            codes: Vec::with_capacity(column.len()),
            texts: Vec::new(),
        };
        match column.data_type() {
            DataType::Utf8 => {
                coded.fill(column.as_string::<i32>().iter(), |text, _| {
                    Ok((*text).to_owned())
                })?;
            }
            DataType::LargeUtf8 => {
                coded.fill(column.as_string::<i64>().iter(), |text, _| {
                    Ok((*text).to_owned())
                })?;
            }
            DataType::Utf8View => {
                coded.fill(column.as_string_view().iter(), |text, _| {
                    Ok((*text).to_owned())
                })?;
            }
            other => {
                let shown = printable(column)?;
                let formatter = ArrayFormatter::try_new(shown.as_ref(), &FormatOptions::default())?;
                let as_text = |row: usize| Ok(formatter.value(row).try_to_string()?);
                match other.primitive_width() {
                    Some(width) => {
                        let data = column.to_data();
                        let bytes = &data.buffers()[0].as_slice()[data.offset() * width..];
                        let values = (0..column.len()).map(|row| {
                            let value = &bytes[row * width..(row + 1) * width];
                            column.is_valid(row).then_some(value)
                        });
                        coded.fill(values, |_, row| as_text(row))?;
                    }
                    None => {
                        let texts = (0..column.len())
                            .map(|row| column.is_valid(row).then(|| as_text(row)).transpose())
                            .collect::<Result<Vec<Option<String>>>>()?;
                        coded.fill(texts.into_iter(), |text, _| Ok(text.clone()))?;
                    }
                }
            }
        }
        Ok(coded)
    }

    fn fill<V: std::hash::Hash + Eq>(
        &mut self,
        values: impl Iterator<Item = Option<V>>,
        text: impl Fn(&V, usize) -> Result<String>,
    ) -> Result<()> {
        let mut by_value: HashMap<Option<V>, u32> = HashMap::new();
        // Values that print alike (the NaNs) share a folder.
        let mut by_text: HashMap<Option<String>, u32> = HashMap::new();
        for (row, value) in values.enumerate() {
            let code = match by_value.get(&value) {
                Some(code) => *code,
                None => {
                    let shown = value.as_ref().map(|value| text(value, row)).transpose()?;
                    let next = self.texts.len() as u32;
                    let code = *by_text.entry(shown.clone()).or_insert(next);
                    if code == next {
                        self.texts.push(shown);
                    }
                    by_value.insert(value, code);
                    code
                }
            };
            self.codes.push(code);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Date32Array, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    use arrow_schema::Field;

    use super::*;

    fn path(value: Option<&str>) -> String {
        HivePath::try_new([("k", value)]).unwrap().to_string()
    }

    #[test]
    fn no_value_leaves_the_target_and_no_two_share_a_folder() {
        let values = [
            "",
            ".",
            "..",
            "...",
            "a/b",
            "../x",
            "a%2Fb",
            "%",
            "\u{0}",
            "\n",
            "a b",
            "=",
            "k=v",
            "ü",
            "日本",
            NULL_FOLDER,
            "%5F_HIVE_DEFAULT_PARTITION__",
            "null",
            "NULL",
            "-",
            "~",
            "\\",
            "CON",
        ];
        let mut seen = std::collections::HashSet::new();
        for value in values.map(Some).into_iter().chain([None]) {
            let path = path(value);
            assert!(seen.insert(path.clone()), "{value:?} gives {path} again");
            let plain = path.strip_prefix("k=").unwrap();
            assert!(
                plain
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_.~-%".contains(&b)),
                "{path}"
            );
            assert!(plain != "." && plain != "..", "{path}");
            let path = HivePath(path).below(Path::new("/target")).unwrap();
            assert!(path.starts_with("/target") && path.components().count() == 3);
        }
        assert_eq!(path(Some("")), "k=");
        assert_eq!(path(Some("..")), "k=%2E%2E");
        assert_eq!(path(Some("a/b")), "k=a%2Fb");
        let strange = HivePath::try_new([("../k", Some("v"))]).unwrap();
        assert_eq!(strange.as_str(), "..%2Fk=v");
    }

    #[test]
    fn a_value_too_long_for_a_folder_is_refused_with_its_column() {
        assert_eq!(path(Some(&"x".repeat(253))).len(), 255);
        let error = HivePath::try_new([("k", Some("x".repeat(254).as_str()))]).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("column \"k\""), "{error}");
    }

    fn batch() -> RecordBatch {
        let rows = 12;
        RecordBatch::try_from_iter_with_nullable([
            (
                "n",
                Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef,
                false,
            ),
            (
                "day",
                Arc::new(
                    (0..rows)
                        .map(|n| (n % 4 != 3).then_some(20_000 + n as i32 % 4))
                        .collect::<Date32Array>(),
                ),
                true,
            ),
            (
                "level",
                Arc::new(
                    (0..rows)
                        .map(|n| Some(if n < 8 { "info" } else { "warn" }))
                        .collect::<StringArray>(),
                ),
                true,
            ),
        ])
        .unwrap()
    }

    #[test]
    fn a_batch_is_cut_by_folder_in_order_of_appearance() {
        let columns = ["day".to_owned(), "level".to_owned()];
        let parts = split(&batch(), &columns).unwrap();
        let paths: Vec<&str> = parts.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "day=2024-10-04/level=info",
                "day=2024-10-05/level=info",
                "day=2024-10-06/level=info",
                "day=__HIVE_DEFAULT_PARTITION__/level=info",
                "day=2024-10-04/level=warn",
                "day=2024-10-05/level=warn",
                "day=2024-10-06/level=warn",
                "day=__HIVE_DEFAULT_PARTITION__/level=warn",
            ]
        );
        let rows: Vec<Vec<u32>> = parts
            .iter()
            .map(|(_, rows)| rows.values().to_vec())
            .collect();
        assert_eq!(rows[0], [0, 4]);
        assert_eq!(rows[7], [11]);
        let mut all = rows.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..12), "every row is in one folder");
    }

    #[test]
    fn values_that_print_alike_share_a_folder() {
        let numbers = Float64Array::from(vec![
            f64::NAN,
            f64::from_bits(f64::NAN.to_bits() ^ 1),
            0.5,
            f64::NAN,
        ]);
        let ids = Int64Array::from(vec![1, 2, 3, 4]);
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(numbers) as ArrayRef),
            ("id", Arc::new(ids)),
        ])
        .unwrap();
        let parts = split(&batch, &["x".to_owned()]).unwrap();
        let sizes: Vec<(&str, usize)> = parts
            .iter()
            .map(|(path, rows)| (path.as_str(), rows.len()))
            .collect();
        assert_eq!(sizes, [("x=NaN", 3), ("x=0.5", 1)]);
    }

    #[test]
    fn columns_that_cannot_be_folders_are_refused() {
        let batch = RecordBatch::new_empty(Arc::new(Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("l", DataType::new_list(DataType::Int64, true), true),
        ])));
        assert!(split(&batch, &["a".to_owned()]).unwrap().is_empty());
        for column in ["b", "l"] {
            let error = split(&batch, &[column.to_owned()]).unwrap_err();
            assert!(
                error.is_usage() && error.to_string().contains(column),
                "{error}"
            );
        }
    }
}
