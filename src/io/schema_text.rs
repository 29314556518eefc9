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

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use serde::{Deserialize, Serialize};

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

/// The text of a type, or why it has none.
fn print_type(data_type: &DataType) -> std::result::Result<String, String> {
    print_nested(data_type, 0)
}

/// The text of a type for people, where a type without a parseable text shows as Arrow prints it.
pub fn type_text(data_type: &DataType) -> String {
    print_type(data_type).unwrap_or_else(|_| data_type.to_string())
}

fn print_nested(data_type: &DataType, depth: usize) -> std::result::Result<String, String> {
    use DataType as T;
    if depth > MAX_DEPTH {
        return Err(format!("types nest deeper than {MAX_DEPTH}"));
    }
    let inner = |field: &FieldRef| -> std::result::Result<String, String> {
        let text = print_nested(field.data_type(), depth + 1)?;
        Ok(if field.is_nullable() {
            text
        } else {
            format!("{text} not null")
        })
    };
    Ok(match data_type {
        T::Timestamp(unit, None) => format!("timestamp[{}]", print_unit(*unit)),
        T::Timestamp(unit, Some(zone)) => format!("timestamp[{}, {zone}]", print_unit(*unit)),
        T::Time32(unit) => format!("time32[{}]", print_unit(*unit)),
        T::Time64(unit) => format!("time64[{}]", print_unit(*unit)),
        T::Duration(unit) => format!("duration[{}]", print_unit(*unit)),
        T::FixedSizeBinary(width) => format!("fixed_binary[{width}]"),
        T::Decimal32(precision, scale) => format!("decimal32[{precision}, {scale}]"),
        T::Decimal64(precision, scale) => format!("decimal64[{precision}, {scale}]"),
        T::Decimal128(precision, scale) => format!("decimal128[{precision}, {scale}]"),
        T::Decimal256(precision, scale) => format!("decimal256[{precision}, {scale}]"),
        T::List(item) => format!("list<{}>", inner(item)?),
        T::LargeList(item) => format!("large_list<{}>", inner(item)?),
        T::FixedSizeList(item, len) => format!("fixed_list[{len}]<{}>", inner(item)?),
        T::Struct(members) => {
            let members: std::result::Result<Vec<String>, String> = members
                .iter()
                .map(|member| Ok(format!("{}: {}", print_name(member.name()), inner(member)?)))
                .collect();
            format!("struct<{}>", members?.join(", "))
        }
        T::Map(entries, false) => {
            let T::Struct(pair) = entries.data_type() else {
                return Err(format!("{data_type} is not a map of pairs"));
            };
            let [key, value] = pair.as_ref() else {
                return Err(format!("{data_type} is not a map of pairs"));
            };
            let key = print_nested(key.data_type(), depth + 1)?;
            format!("map<{key}, {}>", inner(value)?)
        }
        T::Dictionary(key, value) => {
            let key = print_nested(key, depth + 1)?;
            format!("dictionary<{key}, {}>", print_nested(value, depth + 1)?)
        }
        plain => match PLAIN.iter().find(|(_, known)| known == plain) {
            Some((name, _)) => (*name).to_owned(),
            None => return Err(format!("{plain} is not supported")),
        },
    })
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

fn print_unit(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// A member's name, quoted as JSON unless it is a plain word.
fn print_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(is_word);
    if plain {
        name.to_owned()
    } else {
        serde_json::Value::from(name).to_string()
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// A type from its text.
fn parse_type(text: &str) -> std::result::Result<DataType, String> {
    let mut parser = Parser { text, at: 0 };
    let data_type = parser.data_type(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.expected("the end of the type"));
    }
    Ok(data_type)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = std::result::Result<T, String>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        let found = match self.rest().chars().next() {
            Some(c) => format!(
                "{c:?} at character {}",
                self.text[..self.at].chars().count() + 1
            ),
            None => "the end".into(),
        };
        format!("type {:?}: expected {what}, found {found}", self.text)
    }

    /// Takes a mark if it comes next.
    fn take(&mut self, mark: &str) -> bool {
        self.skip_space();
        let there = self.rest().starts_with(mark);
        if there {
            self.at += mark.len();
        }
        there
    }

    fn need(&mut self, mark: &str) -> Parsed<()> {
        if self.take(mark) {
            Ok(())
        } else {
            Err(self.expected(&format!("{mark:?}")))
        }
    }

    fn word(&mut self, what: &str) -> Parsed<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.expected(what));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// A parameter: everything up to `,` or `]`.
    fn parameter(&mut self, what: &str) -> Parsed<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let len = rest.find([',', ']']).unwrap_or(rest.len());
        if rest[..len].trim().is_empty() {
            return Err(self.expected(what));
        }
        self.at += len;
        Ok(rest[..len].trim())
    }

    fn number<N: std::str::FromStr>(&mut self, what: &str) -> Parsed<N> {
        let start = self.at;
        let text = self.parameter(what)?;
        text.parse().map_err(|_| {
            self.at = start;
            self.skip_space();
            self.expected(what)
        })
    }

    fn unit(&mut self) -> Parsed<TimeUnit> {
        let start = self.at;
        match self.parameter("a unit")? {
            "s" => Ok(TimeUnit::Second),
            "ms" => Ok(TimeUnit::Millisecond),
            "us" => Ok(TimeUnit::Microsecond),
            "ns" => Ok(TimeUnit::Nanosecond),
            _ => {
                self.at = start;
                Err(self.expected("s, ms, us or ns"))
            }
        }
    }

    fn only_unit(&mut self) -> Parsed<TimeUnit> {
        self.need("[")?;
        let unit = self.unit()?;
        self.need("]")?;
        Ok(unit)
    }

    fn decimal(&mut self, max_precision: u8) -> Parsed<(u8, i8)> {
        self.need("[")?;
        let start = self.at;
        let precision: u8 = self.number("a precision")?;
        let scale: i8 = if self.take(",") {
            self.number("a scale")?
        } else {
            0
        };
        if precision == 0 || precision > max_precision || i16::from(scale) > i16::from(precision) {
            self.at = start;
            return Err(self.expected(&format!(
                "a precision of 1 to {max_precision} and no larger scale"
            )));
        }
        self.need("]")?;
        Ok((precision, scale))
    }

    fn item(&mut self, name: &str, depth: usize) -> Parsed<FieldRef> {
        let data_type = self.data_type(depth + 1)?;
        let nullable = !self.not_null()?;
        Ok(Arc::new(Field::new(name, data_type, nullable)))
    }

    fn not_null(&mut self) -> Parsed<bool> {
        if !self.take("not ") {
            return Ok(false);
        }
        self.need("null")?;
        Ok(true)
    }

    fn angle_item(&mut self, depth: usize) -> Parsed<FieldRef> {
        self.need("<")?;
        let item = self.item("item", depth)?;
        self.need(">")?;
        Ok(item)
    }

    fn member_name(&mut self) -> Parsed<String> {
        self.skip_space();
        if !self.rest().starts_with('"') {
            return Ok(self.word("a member's name")?.to_owned());
        }
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<String>();
        let name = match values.next() {
            Some(Ok(name)) => name,
            _ => return Err(self.expected("a quoted name")),
        };
        self.at += values.byte_offset();
        Ok(name)
    }

    fn members(&mut self, depth: usize) -> Parsed<Fields> {
        self.need("<")?;
        let mut members: Vec<FieldRef> = Vec::new();
        while !self.take(">") {
            if !members.is_empty() {
                self.need(",")?;
            }
            let name = self.member_name()?;
            if members.iter().any(|member| member.name() == &name) {
                return Err(format!(
                    "type {:?}: member {name:?} is there twice",
                    self.text
                ));
            }
            self.need(":")?;
            members.push(self.item(&name, depth)?);
        }
        Ok(members.into())
    }

    fn data_type(&mut self, depth: usize) -> Parsed<DataType> {
        if depth > MAX_DEPTH {
            return Err(format!("types nest deeper than {MAX_DEPTH}"));
        }
        self.skip_space();
        let start = self.at;
        let word = self.word("a type")?.to_ascii_lowercase();
        Ok(match word.as_str() {
            "timestamp" if self.take("[") => {
                let unit = self.unit()?;
                let zone = if self.take(",") {
                    Some(self.parameter("a time zone")?.into())
                } else {
                    None
                };
                self.need("]")?;
                DataType::Timestamp(unit, zone)
            }
            "time32" => match self.only_unit()? {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
                _ => return Err(format!("type {:?}: time32 counts s or ms", self.text)),
            },
            "time64" => match self.only_unit()? {
                unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond) => DataType::Time64(unit),
                _ => return Err(format!("type {:?}: time64 counts us or ns", self.text)),
            },
            "duration" => DataType::Duration(self.only_unit()?),
            "fixed_binary" => {
                self.need("[")?;
                let width: u16 = self.number("a width in bytes")?;
                self.need("]")?;
                DataType::FixedSizeBinary(i32::from(width))
            }
            "decimal32" => {
                let (precision, scale) = self.decimal(9)?;
                DataType::Decimal32(precision, scale)
            }
            "decimal64" => {
                let (precision, scale) = self.decimal(18)?;
                DataType::Decimal64(precision, scale)
            }
            "decimal" | "decimal128" => {
                let (precision, scale) = self.decimal(38)?;
                DataType::Decimal128(precision, scale)
            }
            "decimal256" => {
                let (precision, scale) = self.decimal(76)?;
                DataType::Decimal256(precision, scale)
            }
            "list" => DataType::List(self.angle_item(depth)?),
            "large_list" => DataType::LargeList(self.angle_item(depth)?),
            "fixed_list" => {
                self.need("[")?;
                let len: u16 = self.number("a length")?;
                self.need("]")?;
                DataType::FixedSizeList(self.angle_item(depth)?, i32::from(len))
            }
            "struct" => DataType::Struct(self.members(depth)?),
            "map" => {
                self.need("<")?;
                let key = Field::new("key", self.data_type(depth + 1)?, false);
                self.need(",")?;
                let value = self.item("value", depth)?;
                self.need(">")?;
                let pair = DataType::Struct(vec![Arc::new(key), value].into());
                DataType::Map(Arc::new(Field::new("entries", pair, false)), false)
            }
            "dictionary" => {
                self.need("<")?;
                let key = self.data_type(depth + 1)?;
                if !key.is_dictionary_key_type() {
                    return Err(format!(
                        "type {:?}: a dictionary's key is an integer",
                        self.text
                    ));
                }
                self.need(",")?;
                let value = self.data_type(depth + 1)?;
                self.need(">")?;
                DataType::Dictionary(Box::new(key), Box::new(value))
            }
            plain => match PLAIN.iter().find(|(name, _)| *name == plain) {
                Some((_, data_type)) => data_type.clone(),
                None => {
                    self.at = start;
                    return Err(self.expected(
                        "a type such as bool, int64, uint64, float64, utf8, binary, date32, \
                         timestamp[ms, UTC], decimal128[10, 2], list<utf8> or struct<a: int64>",
                    ));
                }
            },
        })
    }
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
