//! The text of a type.
//!
//! In:  an Arrow type.
//! Out: its text, which parses to it, or why it has none.

use arrow_schema::{DataType, FieldRef, TimeUnit};

use super::{MAX_DEPTH, PLAIN, is_word};

/// The text of a type, or why it has none.
pub(super) fn print_type(data_type: &DataType) -> std::result::Result<String, String> {
    print_nested(data_type, 0)
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
