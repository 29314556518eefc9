//! A schema as text: what `windrow schema --output json` prints and `--schema FILE` reads.
//!
//! In:  a list of columns as JSON, each with a name, a type and whether it may be null.
//! Out: an Arrow schema, and back. What is printed parses to the same schema.
//!
//! ```text
//! [{"name": "ts",  "type": "timestamp[ms, UTC]"},
//!  {"name": "geo", "type": "struct<city: utf8, \"lat long\": list<float64>>", "nullable": false}]
//! ```
//!
//! A type is a name, then parameters in `[...]`, then types in `<...>`; a
//! member that is never null has ` not null` behind it. Union, run-end and
//! list-view types have no text: no reader here makes them.

mod parse;
mod print;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde::{Deserialize, Serialize};

use self::parse::parse_type;
use self::print::print_type;
use crate::error::{Error, Result};

/// Types inside types; a text that goes deeper is refused before it costs stack.
const MAX_DEPTH: usize = 64;

/// One column as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnText {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default = "nullable_by_default")]
    nullable: bool,
}

fn nullable_by_default() -> bool {
    true
}

/// A schema as JSON text, a column a line.
///
/// ```
/// use windrow::io::schema_text::{parse_schema, print_schema};
/// let text = r#"[{"name": "id", "type": "int64", "nullable": false}]"#;
/// let schema = parse_schema(text).unwrap();
/// assert_eq!(parse_schema(&print_schema(&schema).unwrap()).unwrap(), schema);
/// ```
///
/// # Errors
///
/// [`Error::Plan`] naming a column whose type has no text.
pub fn print_schema(schema: &Schema) -> Result<String> {
    let mut out = String::from("[");
    for (idx, field) in schema.fields().iter().enumerate() {
        let column = ColumnText {
            name: field.name().clone(),
            data_type: print_type(field.data_type()).map_err(|reason| {
                Error::plan(format!("column {:?} has no text: {reason}", field.name()))
            })?,
            nullable: field.is_nullable(),
        };
        out.push_str(if idx == 0 { "\n  " } else { ",\n  " });
        let line = serde_json::to_string(&column)
            .map_err(|source| Error::external("printing a schema", source))?;
        out.push_str(&line);
    }
    out.push_str(if schema.fields().is_empty() {
        "]\n"
    } else {
        "\n]\n"
    });
    Ok(out)
}

/// Reads what [`print_schema`] wrote, or what a person wrote in its place:
/// `nullable` may be left out (true), types may be written in any case and as
/// `string`, `text`, `int`, `bigint`, `double`, `date`, `timestamp`.
///
/// # Errors
///
/// [`Error::Config`] of setting `schema`: text that is not such a list, an
/// unknown type (with what is wrong and where), a column named twice.
pub fn parse_schema(text: &str) -> Result<Schema> {
    let columns: Vec<ColumnText> = serde_json::from_str(text).map_err(|source| {
        Error::config(
            "schema",
            format!("{source}; it is a list like [{{\"name\": \"id\", \"type\": \"int64\"}}]"),
        )
    })?;
    let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
    let mut names = std::collections::HashSet::new();
    for column in &columns {
        if !names.insert(column.name.as_str()) {
            return Err(Error::config(
                "schema",
                format!("column {:?} is there twice", column.name),
            ));
        }
        let data_type = parse_type(&column.data_type).map_err(|reason| {
            Error::config("schema", format!("column {:?}: {reason}", column.name))
        })?;
        fields.push(Field::new(&column.name, data_type, column.nullable));
    }
    Ok(Schema::new(fields))
}

/// The text of a type for people, where a type without a parseable text shows as Arrow prints it.
pub fn type_text(data_type: &DataType) -> String {
    print_type(data_type).unwrap_or_else(|_| data_type.to_string())
}

/// Types without parameters, and their names; the first name of a type is the one that is printed.
static PLAIN: [(&str, DataType); 36] = [
    ("null", DataType::Null),
    ("bool", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float16", DataType::Float16),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("utf8", DataType::Utf8),
    ("large_utf8", DataType::LargeUtf8),
    ("utf8_view", DataType::Utf8View),
    ("binary", DataType::Binary),
    ("large_binary", DataType::LargeBinary),
    ("binary_view", DataType::BinaryView),
    ("date32", DataType::Date32),
    ("date64", DataType::Date64),
    (
        "interval_year_month",
        DataType::Interval(arrow_schema::IntervalUnit::YearMonth),
    ),
    (
        "interval_day_time",
        DataType::Interval(arrow_schema::IntervalUnit::DayTime),
    ),
    (
        "interval_month_day_nano",
        DataType::Interval(arrow_schema::IntervalUnit::MonthDayNano),
    ),
    // What people write.
    ("boolean", DataType::Boolean),
    ("int", DataType::Int64),
    ("integer", DataType::Int64),
    ("bigint", DataType::Int64),
    ("smallint", DataType::Int16),
    ("float", DataType::Float32),
    ("double", DataType::Float64),
    ("string", DataType::Utf8),
    ("text", DataType::Utf8),
    ("varchar", DataType::Utf8),
    ("date", DataType::Date32),
    (
        "timestamp",
        DataType::Timestamp(TimeUnit::Microsecond, None),
    ),
];

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_type_parses_to_itself() {
        for text in [
            "null",
            "bool",
            "int8",
            "uint64",
            "float16",
            "float64",
            "utf8",
            "large_utf8",
            "utf8_view",
            "binary",
            "large_binary",
            "binary_view",
            "date32",
            "date64",
            "interval_month_day_nano",
            "timestamp[s]",
            "timestamp[ns, UTC]",
            "timestamp[ms, +02:00]",
            "timestamp[us, Europe/Berlin]",
            "time32[s]",
            "time32[ms]",
            "time64[us]",
            "time64[ns]",
            "duration[ms]",
            "fixed_binary[16]",
            "decimal32[9, 2]",
            "decimal64[18, 0]",
            "decimal128[38, 10]",
            "decimal256[76, -3]",
            "list<utf8>",
            "list<int64 not null>",
            "large_list<list<bool>>",
            "fixed_list[3]<float32>",
            "struct<>",
            "struct<a: int64, b: list<utf8> not null>",
            "struct<\"lat long\": float64, \"id.orig_h\": utf8, \"\": null, \"q\\\"<>:,\": bool>",
            "map<utf8, int64>",
            "map<int32, struct<x: utf8> not null>",
            "dictionary<int32, utf8>",
            "struct<a: struct<b: struct<c: list<struct<d: timestamp[ms, UTC]>>>>>",
        ] {
            let data_type = parse_type(text).unwrap();
            assert_eq!(print_type(&data_type).unwrap(), text, "{data_type}");
            assert_eq!(
                parse_type(&print_type(&data_type).unwrap()).unwrap(),
                data_type
            );
        }
    }

    #[test]
    fn people_may_write_types_as_they_are_used_to() {
        for (text, data_type) in [
            (" String ", DataType::Utf8),
            ("BIGINT", DataType::Int64),
            (
                "timestamp",
                DataType::Timestamp(TimeUnit::Microsecond, None),
            ),
            (
                "timestamp[ ms ,UTC ]",
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            ),
            ("decimal[10]", DataType::Decimal128(10, 0)),
            ("list < text >", parse_type("list<utf8>").unwrap()),
        ] {
            assert_eq!(parse_type(text).unwrap(), data_type, "{text}");
        }
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_place() {
        for (text, reason) in [
            ("", "expected a type, found the end"),
            ("int65", "expected a type such as bool"),
            ("list<utf8", "expected \">\", found the end"),
            (
                "list<utf8>>",
                "expected the end of the type, found '>' at character 11",
            ),
            ("timestamp[h]", "expected s, ms, us or ns"),
            ("time32[us]", "time32 counts s or ms"),
            ("decimal128[39, 2]", "expected a precision of 1 to 38"),
            ("decimal128[2, 3]", "no larger scale"),
            ("struct<a: int64, a: utf8>", "member \"a\" is there twice"),
            ("struct<a int64>", "expected \":\""),
            ("struct<a: int64 b: utf8>", "expected \",\""),
            ("dictionary<utf8, utf8>", "a dictionary's key is an integer"),
            ("fixed_binary[-1]", "expected a width in bytes"),
            ("int64 not nul", "expected the end of the type"),
            ("é", "expected a type, found 'é' at character 1"),
        ] {
            let error = parse_type(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let deep = "list<".repeat(100_000);
        assert!(parse_type(&deep).unwrap_err().contains("deeper than 64"));
    }

    #[test]
    fn a_schema_file_round_trips() {
        let schema = Schema::new(vec![
            Field::new(
                "ts",
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                true,
            ),
            Field::new("a \"quoted\" name", DataType::Utf8, false),
            Field::new(
                "geo",
                parse_type("struct<city: utf8, at: list<float64>>").unwrap(),
                true,
            ),
        ]);
        let text = print_schema(&schema).unwrap();
        assert_eq!(parse_schema(&text).unwrap(), schema);
        assert_eq!(text.lines().count(), 5, "{text}");
        let empty = print_schema(&Schema::empty()).unwrap();
        assert_eq!(parse_schema(&empty).unwrap(), Schema::empty());
    }

    #[test]
    fn a_wrong_schema_file_is_a_usage_error_that_names_the_column() {
        for (text, reason) in [
            ("{}", "it is a list like"),
            ("[{\"name\": \"a\"}]", "missing field `type`"),
            (
                "[{\"name\": \"a\", \"typ\": \"int64\"}]",
                "unknown field `typ`",
            ),
            (
                "[{\"name\": \"a\", \"type\": \"it64\"}]",
                "column \"a\": type \"it64\": expected a type such as",
            ),
            (
                "[{\"name\": \"a\", \"type\": \"int64\"}, {\"name\": \"a\", \"type\": \"utf8\"}]",
                "column \"a\" is there twice",
            ),
        ] {
            let error = parse_schema(text).unwrap_err();
            assert!(
                error.is_usage() && error.to_string().contains(reason),
                "{text}: {error}"
            );
        }
    }
}
