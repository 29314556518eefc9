//! Rows as JSON text.
//!
//! In:  a batch.
//! Out: one object a line; members that are null are left out, null items of lists are kept.
//!
//! Integers and decimals are written exactly, floats with the fewest digits that
//! give the same bits back, text with the fewest escapes. JSON has no NaN and
//! no infinity: they are written as null. Instants are RFC 3339 text in universal time, binary is
//! hexadecimal text. A column marked as the extension type `arrow.json` is JSON
//! already and written as it is.

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::as_datetime;
use arrow_array::types::{
    ArrowTimestampType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, OffsetSizeTrait, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::error::{Error, Result};
use crate::sink::plain::{Float, Style, WriteValue, by_key, plain};

/// The name under which Arrow registers columns of JSON text.
const JSON_EXTENSION: &str = "arrow.json";

/// How JSON writes plain values.
#[derive(Clone, Copy)]
struct Json;

impl Style for Json {
    const DOING: &'static str = "writing JSON";

    /// The fewest digits that read back as the same float, always with a point or an exponent.
    fn float(self, value: impl Float, out: &mut Vec<u8>) -> Result<()> {
        if !value.into().is_finite() {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        self.put(format_args!("{value:?}"), out)
    }

    fn text(self, text: &str, out: &mut Vec<u8>) {
        write_text(text, out);
    }
}

/// The rows of a batch, ready to be written.
pub(crate) struct Lines<'a> {
    members: Vec<Member<'a>>,
    rows: usize,
}

/// One member of an object, or the items of a list.
struct Member<'a> {
    /// `"name":`
    key: Vec<u8>,
    nulls: Option<NullBuffer>,
    write: WriteValue<'a>,
}

impl<'a> Lines<'a> {
    /// Looks at each column's type once, not at each row.
    pub(crate) fn try_new(batch: &'a RecordBatch) -> Result<Self> {
        let columns = batch.columns().iter().map(|column| column.as_ref());
        Ok(Lines {
            members: members(batch.schema_ref().fields(), columns)?,
            rows: batch.num_rows(),
        })
    }

    /// Appends every row as a line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        for row in 0..self.rows {
            self.write_row(row, out)?;
            out.push(b'\n');
        }
        Ok(())
    }

    /// Appends one row as an object, without a line end.
    pub(crate) fn write_row(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        write_object(&self.members, row, out)
    }

    /// Appends the value of one column of a row; `false` and nothing if it is null.
    pub(crate) fn write_value(&self, column: usize, row: usize, out: &mut Vec<u8>) -> Result<bool> {
        let member = &self.members[column];
        if member.is_null(row) {
            return Ok(false);
        }
        (member.write)(row, out)?;
        Ok(true)
    }
}

fn members<'a>(
    fields: &Fields,
    columns: impl Iterator<Item = &'a dyn Array>,
) -> Result<Vec<Member<'a>>> {
    fields
        .iter()
        .zip(columns)
        .map(|(field, column)| Member::try_new(field, column))
        .collect()
}

/// Types nest at most as deep as the stored schema's limit lets pass, and so do these calls.
fn write_object(members: &[Member<'_>], row: usize, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'{');
    let start = out.len();
    for member in members {
        if member.is_null(row) {
            continue;
        }
        if out.len() > start {
            out.push(b',');
        }
        out.extend_from_slice(&member.key);
        (member.write)(row, out)?;
    }
    out.push(b'}');
    Ok(())
}

impl<'a> Member<'a> {
    fn try_new(field: &Field, column: &'a dyn Array) -> Result<Self> {
        let mut key = Vec::with_capacity(field.name().len() + 3);
        write_text(field.name(), &mut key);
        key.push(b':');
        Ok(Member {
            key,
            nulls: column
                .logical_nulls()
                .filter(|nulls| nulls.null_count() > 0),
            write: write_value(field, column)?,
        })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn write_or_null(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        (self.write)(row, out)
    }

    fn write_items(&self, rows: std::ops::Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'[');
        for (idx, row) in rows.enumerate() {
            if idx > 0 {
                out.push(b',');
            }
            self.write_or_null(row, out)?;
        }
        out.push(b']');
        Ok(())
    }
}

/// Whether a column holds text that is JSON already.
pub(crate) fn is_json(field: &Field) -> bool {
    field
        .metadata()
        .get(EXTENSION_TYPE_NAME_KEY)
        .map(String::as_str)
        == Some(JSON_EXTENSION)
}

fn write_value<'a>(field: &Field, column: &'a dyn Array) -> Result<WriteValue<'a>> {
    if *column.data_type() == DataType::Utf8 && is_json(field) {
        let values = column.as_string::<i32>();
        return Ok(Box::new(|row, out| {
            out.extend_from_slice(values.value(row).as_bytes());
            Ok(())
        }));
    }
    if let Some(plain) = plain(column, Json) {
        return Ok(plain);
    }
    Ok(match column.data_type() {
        DataType::Null => Box::new(|_, out| {
            out.extend_from_slice(b"null");
            Ok(())
        }),
        DataType::Timestamp(unit, zone) => {
            let zoned = zone.is_some();
            match unit {
                TimeUnit::Second => instant::<TimestampSecondType>(column, zoned),
                TimeUnit::Millisecond => instant::<TimestampMillisecondType>(column, zoned),
                TimeUnit::Microsecond => instant::<TimestampMicrosecondType>(column, zoned),
                TimeUnit::Nanosecond => instant::<TimestampNanosecondType>(column, zoned),
            }
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns().iter();
            let members = members(fields, columns.map(|column| column.as_ref()))?;
            Box::new(move |row, out| write_object(&members, row, out))
        }
        DataType::List(item) => list::<i32>(item, column)?,
        DataType::LargeList(item) => list::<i64>(item, column)?,
        DataType::FixedSizeList(item, _) => fixed_list(item, column)?,
        DataType::Map(entries, _) => map(entries, column)?,
        DataType::Dictionary(_, _) => by_key(column, |values| {
            let item = field.clone().with_data_type(values.data_type().clone());
            let value = Member::try_new(&item, values.as_ref())?;
            Ok(value.write)
        })?,
        _ => shown(column)?,
    })
}

/// Other types as they are shown: decimals are numbers, all else is text.
fn shown(column: &dyn Array) -> Result<WriteValue<'_>> {
    let number = column.data_type().is_decimal();
    let formatter = ArrayFormatter::try_new(column, &FormatOptions::default())?;
    Ok(Box::new(move |row, out| {
        let shown = formatter.value(row).try_to_string()?;
        if number {
            out.extend_from_slice(shown.as_bytes());
        } else {
            write_text(&shown, out);
        }
        Ok(())
    }))
}

fn fixed_list<'a>(item: &Field, column: &'a dyn Array) -> Result<WriteValue<'a>> {
    let list = column.as_fixed_size_list();
    let items = Member::try_new(item, list.values().as_ref())?;
    let size = usize::try_from(list.value_length()).unwrap_or(0);
    Ok(Box::new(move |row, out| {
        let start = usize::try_from(list.value_offset(row)).unwrap_or(0);
        items.write_items(start..start + size, out)
    }))
}

/// RFC 3339, in universal time whatever the column's zone; without `Z` if it has none.
fn instant<'a, T: ArrowTimestampType>(column: &'a dyn Array, zoned: bool) -> WriteValue<'a> {
    let values = column.as_primitive::<T>();
    Box::new(move |row, out| {
        let value = values.value(row);
        let Some(time) = as_datetime::<T>(value) else {
            return Err(Error::plan(format!(
                "{value} in a column of times is beyond what text can name"
            )));
        };
        // chrono prints RFC 3339, with as many digits of a second as are not zero.
        let end = if zoned { "Z" } else { "" };
        Json.put(format_args!("\"{time:?}{end}\""), out)
    })
}

fn list<'a, O: OffsetSizeTrait>(item: &Field, column: &'a dyn Array) -> Result<WriteValue<'a>> {
    let list = column.as_list::<O>();
    let items = Member::try_new(item, list.values().as_ref())?;
    let offsets = list.value_offsets();
    Ok(Box::new(move |row, out| {
        items.write_items(offsets[row].as_usize()..offsets[row + 1].as_usize(), out)
    }))
}

/// A map is an object; its keys are text. Keys whose value is null are kept, with null.
fn map<'a>(entries: &Field, column: &'a dyn Array) -> Result<WriteValue<'a>> {
    let map = column.as_map();
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(Error::internal("a map without entries"));
    };
    let values = Member::try_new(&fields[1], map.values().as_ref())?;
    let keys = ArrayFormatter::try_new(map.keys().as_ref(), &FormatOptions::default())?;
    let offsets = map.value_offsets();
    Ok(Box::new(move |row, out| {
        out.push(b'{');
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        for (idx, entry) in entries.enumerate() {
            if idx > 0 {
                out.push(b',');
            }
            write_text(&keys.value(entry).try_to_string()?, out);
            out.push(b':');
            values.write_or_null(entry, out)?;
        }
        out.push(b'}');
        Ok(())
    }))
}

/// Text in quotes, with the escapes that JSON demands and no others.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (idx, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[start..idx]);
        start = idx + 1;
        out.push(b'\\');
        match byte {
            b'"' | b'\\' => out.push(byte),
            b'\n' => out.push(b'n'),
            b'\r' => out.push(b'r'),
            b'\t' => out.push(b't'),
            0x08 => out.push(b'b'),
            0x0C => out.push(b'f'),
            _ => {
                out.extend_from_slice(b"u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}
