//! What was written, as people and programs read it.
//!
//! In:  finished part files, and what the run says about itself.
//! Out: one `OutputReport` a file, and `_windrow.json`, the manifest.
//!
//! A manifest holds no clock, no host and no process: the same input and
//! options give the same bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::csv::CsvStyle;
use super::file::StagedFile;
use super::options::Format;
use super::schema::{ColumnSchema, MAX_DEPTH};
use crate::error::{Error, Result};

/// The manifest's name inside the target folder.
pub const MANIFEST: &str = "_windrow.json";

/// The option of a run that names the column which its rows are sorted by.
pub const SORTED_BY: &str = "sorted_by";

/// Brackets that may be open at once in a manifest: two for each level of a column,
/// and those of what stands beside columns.
const MOST_OPEN: usize = 2 * MAX_DEPTH + 16;

/// The manifest's layout; a file of a later one is refused.
const VERSION: u32 = 1;

/// The least and the greatest value of a column in a part file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The least value: a number for numbers, else text.
    pub min: serde_json::Value,
    /// The greatest value.
    pub max: serde_json::Value,
}

/// One part file. What can be read back from the file was read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputReport {
    /// Its path: inside the target folder in a manifest, else with the target.
    pub path: String,
    /// Rows it holds.
    pub rows: u64,
    /// Size of those rows as Arrow data, in bytes.
    pub bytes: u64,
    /// Size of the file, in bytes.
    pub stored_bytes: u64,
    /// The codec, as the file records it; "none" without compression.
    pub codec: String,
    /// Row groups of Parquet, record batches of IPC, compressed members of JSON.
    pub row_groups: u64,
    /// CRC-32 of the file, in hexadecimal.
    pub crc32: String,
    /// Whether it was written again at the end, because a later record widened the schema.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rewritten: bool,
    /// Least and greatest values by column, where the file has exact ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ranges: BTreeMap<String, Range>,
}

/// What tells fields apart, and nulls, in every part file of CSV.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvMarks {
    /// What stands between fields.
    pub delimiter: char,
    /// The text of a null.
    pub null: String,
}

impl CsvMarks {
    pub(crate) fn of(style: &CsvStyle) -> Self {
        CsvMarks {
            delimiter: char::from(style.delimiter),
            null: style.null.clone(),
        }
    }
}

impl fmt::Display for CsvMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} between fields and {:?} for nulls",
            self.delimiter, self.null
        )
    }
}

/// What a run says about itself in the manifest; its form is the caller's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ManifestInfo {
    /// The inputs with their balance sheets.
    pub inputs: serde_json::Value,
    /// The options that decide what is written.
    pub options: serde_json::Value,
    /// The balance sheet in total.
    pub balance: serde_json::Value,
}

/// The content of `_windrow.json`: the whole output of one run, and of those
/// that were appended to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Layout of this file.
    pub version: u32,
    /// Format of every part file.
    pub format: Format,
    /// Columns that became folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_on: Vec<String>,
    /// How CSV is written, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvMarks>,
    /// Columns in every part file.
    pub schema: Vec<ColumnSchema>,
    /// Rows in all part files.
    pub rows: u64,
    /// Every part file, by path.
    pub parts: Vec<OutputReport>,
    /// The runs that wrote them, first to last.
    pub runs: Vec<ManifestInfo>,
}

impl Manifest {
    pub(crate) fn new(
        format: Format,
        partition_on: Vec<String>,
        schema: Vec<ColumnSchema>,
    ) -> Self {
        Manifest {
            version: VERSION,
            format,
            partition_on,
            csv: None,
            schema,
            rows: 0,
            parts: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Reads the manifest of a folder; nothing if it has none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read, [`Error::Corrupt`] if it does not parse.
    pub fn read(dir: &Path) -> Result<Option<Manifest>> {
        let path = dir.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io(path.display(), "read", source)),
        };
        let manifest = parse(&text)
            .map_err(|error| Error::corrupt(path.display(), None, error.to_string()))?;
        if manifest.version != VERSION {
            return Err(Error::corrupt(
                path.display(),
                None,
                format!(
                    "layout {} is not {VERSION}, the one this release knows",
                    manifest.version
                ),
            ));
        }
        Ok(Some(manifest))
    }

    /// The column that rows are sorted by, smallest first and nulls last, over
    /// all part files in the order of their paths: what the one run that wrote
    /// them says, if the ranges of the files agree.
    pub fn sorted_by(&self) -> Option<&str> {
        let [run] = &self.runs[..] else {
            return None;
        };
        let key = run.options.get(SORTED_BY)?.as_str()?;
        let ranges = self.parts.iter().map(|part| part.ranges.get(key));
        // A part of nulls alone has no range, and stands behind all others.
        let known: Vec<&Range> = ranges.clone().map_while(|range| range).collect();
        let nulls_last = ranges.skip(known.len()).all(|range| range.is_none());
        let in_order = |pair: &[&Range]| at_most(&pair[0].max, &pair[1].min);
        (nulls_last && known.windows(2).all(in_order)).then_some(key)
    }

    /// Writes it as a new file into a staged folder.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(MANIFEST);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::external("writing the manifest", error))?;
        text.push(b'\n');
        StagedFile::create(&path)?.put(&text)
    }

    /// Adds parts; keeps them sorted by path and the sum right.
    pub(crate) fn add(&mut self, parts: impl IntoIterator<Item = OutputReport>) {
        self.parts.extend(parts);
        self.parts.sort_by(|left, right| left.path.cmp(&right.path));
        self.rows = self.parts.iter().map(|part| part.rows).sum();
    }
}

/// Whether one bound is not greater than another, as far as both can be compared.
fn at_most(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one <= other,
            _ => one.as_f64() <= other.as_f64(),
        },
        (Value::String(one), Value::String(other)) => one <= other,
        (Value::Bool(one), Value::Bool(other)) => one <= other,
        _ => false,
    }
}

/// Reads the text of a manifest.
fn parse(text: &[u8]) -> serde_json::Result<Manifest> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    if most_open(text) <= MOST_OPEN {
        // Its own limit is less than what columns may be nested.
        reader.disable_recursion_limit();
    }
    let manifest = Manifest::deserialize(&mut reader)?;
    reader.end()?;
    Ok(manifest)
}

/// The most brackets of a JSON text that are open at once.
fn most_open(text: &[u8]) -> usize {
    let (mut open, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'{' | b'[') => {
                open += 1;
                most = most.max(open);
            }
            (false, b'}' | b']') => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_and_a_damaged_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        let mut manifest = Manifest::new(Format::Json, vec!["day".into()], vec![]);
        manifest.runs.push(ManifestInfo::default());
        manifest.write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest));
        std::fs::write(dir.path().join(MANIFEST), "{").unwrap();
        let error = Manifest::read(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }

    #[test]
    fn a_manifest_of_columns_nested_as_deep_as_any_comes_back_on_a_small_stack() {
        let leaf = ColumnSchema {
            name: "a \\\" [".into(),
            data_type: "Int64".into(),
            nullable: true,
            extension: None,
            fields: vec![],
        };
        let nested = (1..MAX_DEPTH).fold(leaf, |inner, _| ColumnSchema {
            name: "a".into(),
            data_type: "Struct".into(),
            fields: vec![inner],
            nullable: true,
            extension: None,
        });
        let read_back = move || {
            let dir = tempfile::tempdir().unwrap();
            let manifest = Manifest::new(Format::Json, vec![], vec![nested]);
            manifest.write(dir.path()).unwrap();
            assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest));
            // One that no run wrote, and that would need any stack.
            let endless = format!("{{\"version\":{}", "[".repeat(1 << 20));
            std::fs::write(dir.path().join(MANIFEST), endless).unwrap();
            let error = Manifest::read(dir.path()).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        };
        // What threads get where nothing else is said.
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn(read_back).unwrap().join().unwrap();
    }
}
