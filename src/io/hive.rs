//! Columns that the names of folders give: `day=2026-01-05/level=warn`.
//!
//! In:  the paths of all files of a list.
//! Out: a column for each name, with a type that all its values have, and the
//!      values of one file.
//!
//! Names and values are percent-decoded. What comes back is what was written:
//! a column is of numbers only if each value is written as its number is, of
//! dates only if all are dates; else it is text.
//!
//! ```text
//! day=__HIVE_DEFAULT_PARTITION__  null
//! day=                            the empty text
//! n=7, n=12                       int64
//! n=07                            text
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Int64Array, StringArray, new_null_array};
use arrow_schema::{DataType, Field, FieldRef, Schema};

/// The folder of rows whose value is null, as Hive named it first.
pub const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// What the folders of one path say: names and values, outermost first; no
/// value is null. A name that comes twice counts where it is innermost.
fn folders(path: &str) -> Vec<(String, Option<String>)> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    let Some((folders, _file)) = path.rsplit_once('/') else {
        return found;
    };
    for folder in folders.split('/') {
        let Some((name, value)) = folder.split_once('=') else {
            continue;
        };
        if name.is_empty() || name.contains(['?', '&']) {
            continue;
        }
        let value = (value != NULL_FOLDER).then(|| decoded(value));
        let name = decoded(name);
        found.retain(|(earlier, _)| *earlier != name);
        found.push((name, value));
    }
    found
}

/// Text with its `%41` turned into bytes; as it is where that gives no text.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = behind.get(..2).filter(|_| first == b'%');
        let digits = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// What the values of one name can be.
#[derive(Debug, Clone, Copy)]
struct Kinds {
    number: bool,
    date: bool,
    any: bool,
}

impl Kinds {
    fn see(&mut self, value: &str) {
        self.any = true;
        self.number &= number(value).is_some();
        self.date &= date(value).is_some();
    }

    fn data_type(self) -> DataType {
        match self {
            Kinds { any: false, .. } => DataType::Utf8,
            Kinds { number: true, .. } => DataType::Int64,
            Kinds { date: true, .. } => DataType::Date32,
            _ => DataType::Utf8,
        }
    }
}

fn number(text: &str) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

/// Days since 1970 of `2026-01-05`.
fn date(text: &str) -> Option<i32> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let day =
        shaped.then(|| <arrow_array::types::Date32Type as arrow_cast::parse::Parser>::parse(text));
    day.flatten()
}

/// What the folders of a list of files say, file by file.
#[derive(Debug, Default)]
pub struct Folders {
    /// In order of first appearance.
    names: Vec<String>,
    known: HashMap<String, Found>,
}

#[derive(Debug)]
struct Found {
    kinds: Kinds,
    /// The first file below such a folder.
    path: String,
}

impl Folders {
    /// Takes in a file, and the columns that it holds itself: those count
    /// there, whatever its folders say.
    pub fn see(&mut self, path: &str, columns: &Schema) {
        for (name, value) in folders(path) {
            if columns.fields().find(&name).is_some() {
                continue;
            }
            let found = self.known.entry(name.clone()).or_insert_with(|| {
                self.names.push(name);
                Found {
                    kinds: Kinds {
                        number: true,
                        date: true,
                        any: false,
                    },
                    path: path.to_owned(),
                }
            });
            if let Some(value) = &value {
                found.kinds.see(value);
            }
        }
    }

    /// The columns, each with the first file below a folder of its name.
    pub fn columns(&self) -> Vec<(FieldRef, &str)> {
        let column = |name: &String| {
            let found = self.known.get(name)?;
            let field = Field::new(name, found.kinds.data_type(), true);
            Some((Arc::new(field), found.path.as_str()))
        };
        self.names.iter().filter_map(column).collect()
    }
}

/// The values that the folders of one file give its rows, an array of one row
/// for each of `columns` that they name.
pub fn values(path: &str, columns: &[FieldRef]) -> Vec<(String, ArrayRef)> {
    let said: HashMap<String, Option<String>> = folders(path).into_iter().collect();
    let value = |field: &FieldRef| {
        let text = said.get(field.name())?.as_deref();
        let array: ArrayRef = match (field.data_type(), text) {
            (data_type, None) => new_null_array(data_type, 1),
            (DataType::Int64, Some(text)) => Arc::new(Int64Array::from(vec![number(text)])),
            (DataType::Date32, Some(text)) => Arc::new(Date32Array::from(vec![date(text)])),
            (_, Some(text)) => Arc::new(StringArray::from(vec![text])),
        };
        Some((field.name().clone(), array))
    };
    columns.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(paths: &[&str]) -> Vec<String> {
        let mut folders = Folders::default();
        for path in paths {
            folders.see(path, &Schema::empty());
        }
        let columns = folders.columns().into_iter();
        columns
            .map(|(field, _)| format!("{} {}", field.name(), field.data_type()))
            .collect()
    }

    #[test]
    fn a_column_has_a_type_that_gives_every_value_back() {
        assert_eq!(types(&["a/n=7/x", "a/n=-12/y"]), ["n Int64"]);
        assert_eq!(types(&["n=7/x", "n=07/y"]), ["n Utf8"]);
        assert_eq!(types(&["n=+7/x"]), ["n Utf8"]);
        assert_eq!(types(&["n=99999999999999999999/x"]), ["n Utf8"]);
        assert_eq!(
            types(&["d=2026-01-05/h=9/x", "d=2026-01-06/h=10/x"]),
            ["d Date32", "h Int64"]
        );
        assert_eq!(types(&["d=2026-02-30/x"]), ["d Utf8"]);
        assert_eq!(types(&["d=2026-1-5/x"]), ["d Utf8"]);
        let null = format!("n={NULL_FOLDER}/x");
        assert_eq!(types(&[&null, "n=1/x"]), ["n Int64"]);
        assert_eq!(types(&[&null]), ["n Utf8"]);
        assert_eq!(types(&["n=/x", "n=1/x"]), ["n Utf8"]);
        assert_eq!(types(&["a=b.parquet", "=x/y", "plain/y"]), [""; 0]);
    }

    #[test]
    fn names_and_values_are_decoded_once() {
        let said = |path: &str| folders(path);
        let of = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(said("a%20b=c%2Fd/x"), [of("a b", "c/d")]);
        assert_eq!(said("k=%2541/x"), [of("k", "%41")]);
        assert_eq!(said("k=100%/x"), [of("k", "100%")]);
        assert_eq!(said("k=%zz/x"), [of("k", "%zz")]);
        assert_eq!(said("k=%+1/x"), [of("k", "%+1")]);
        assert_eq!(said("k=%ff/x"), [of("k", "%ff")]);
        assert_eq!(said("k=a=b/x"), [of("k", "a=b")]);
        assert_eq!(
            said(&format!("k=%5F{}/x", &NULL_FOLDER[1..])),
            [of("k", NULL_FOLDER)]
        );
        assert_eq!(said("k=1/k=2/x"), [of("k", "2")]);
    }

    #[test]
    fn a_file_gets_the_values_of_its_own_folders() {
        let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
        let columns = [
            field("n", DataType::Int64),
            field("d", DataType::Date32),
            field("t", DataType::Utf8),
        ];
        let given = values("n=5/d=1970-01-03/x", &columns);
        let names: Vec<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["n", "d"]);
        assert_eq!(given[0].1.as_ref(), &Int64Array::from(vec![5]));
        assert_eq!(given[1].1.as_ref(), &Date32Array::from(vec![2]));
        let null = values(&format!("t={NULL_FOLDER}/x"), &columns);
        assert_eq!(null[0].1.null_count(), 1);
    }
}
