//! A slow, plain second opinion on JSON tables, over `serde_json` values.

#![allow(dead_code)]

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use serde_json::{Map, Number, Value};
use windrow::io::json::{DecodeOptions, Decoded, Decoder, JsonSchema};

/// Decodes with default options, bad records kept.
pub fn decode(text: &[u8], schema: &JsonSchema) -> Decoded {
    decode_with(text, schema, DecodeOptions::default())
}

pub fn decode_with(text: &[u8], schema: &JsonSchema, options: DecodeOptions) -> Decoded {
    let options = DecodeOptions {
        keep_bad: true,
        ..options
    };
    Decoder::new(Arc::new(options), None)
        .decode(text, schema)
        .unwrap()
}

/// A cell as a JSON value: null members of objects left out.
pub fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float64 => {
            Value::Number(Number::from_f64(array.as_primitive::<Float64Type>().value(row)).unwrap())
        }
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let members = fields
                .iter()
                .zip(array.columns())
                .map(|(field, column)| (field.name().clone(), cell(column, row)))
                .filter(|(_, value)| !value.is_null());
            Value::Object(members.collect())
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|idx| cell(&items, idx)).collect()
        }
        other => panic!("no cell of type {other}"),
    }
}

/// The rows of a batch as objects.
pub fn rows(batch: &RecordBatch) -> Vec<Value> {
    (0..batch.num_rows())
        .map(|row| {
            let members = batch
                .schema_ref()
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, column)| (field.name().clone(), cell(column, row)))
                .filter(|(_, value)| !value.is_null());
            Value::Object(members.collect())
        })
        .collect()
}

/// What a table of these records must hold, row by row, by the rules of the
/// lattice over all values of a place at once.
pub fn expected_rows(records: &[Value]) -> Vec<Value> {
    let group: Vec<&Value> = records.iter().collect();
    records
        .iter()
        .map(|record| expected_members(record, &group))
        .collect()
}

fn expected_members(object: &Value, group: &[&Value]) -> Value {
    let members = object.as_object().unwrap().iter().map(|(key, value)| {
        let group: Vec<&Value> = group.iter().filter_map(|other| other.get(key)).collect();
        (key.clone(), expected(value, &group))
    });
    Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
}

fn expected(value: &Value, group: &[&Value]) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let any = |test: fn(&Value) -> bool| group.iter().any(|other| test(other));
    let scalars = any(|v| v.is_string() || v.is_number() || v.is_boolean());
    let objects = any(Value::is_object);
    let lists = any(Value::is_array);
    let keyless = objects
        && group
            .iter()
            .all(|v| v.as_object().is_none_or(Map::is_empty));
    if u8::from(scalars) + u8::from(objects) + u8::from(lists) > 1 || keyless {
        return Value::String(json_text(value, group));
    }
    if objects {
        return expected_members(value, group);
    }
    if let Value::Array(items) = value {
        let group: Vec<&Value> = group
            .iter()
            .filter_map(|v| v.as_array())
            .flatten()
            .collect();
        return items.iter().map(|item| expected(item, &group)).collect();
    }
    if is_text(group) {
        return Value::String(plain_text(value));
    }
    let is_float = any(|v| v.is_f64());
    match value.as_number() {
        Some(number) if is_float => number.as_f64().unwrap().into(),
        _ => value.clone(),
    }
}

fn is_text(group: &[&Value]) -> bool {
    let any = |test: fn(&Value) -> bool| group.iter().any(|other| test(other));
    let inexact = |v: &Value| match (v.as_i64(), v.as_u64()) {
        (Some(v), _) => v as f64 as i128 != i128::from(v),
        (_, Some(v)) => v as f64 as i128 != i128::from(v),
        _ => false,
    };
    any(Value::is_string)
        || any(Value::is_boolean) && any(Value::is_number)
        || any(|v| v.is_u64() && !v.is_i64()) && any(|v| v.as_i64().is_some_and(|v| v < 0))
        || any(Value::is_f64) && group.iter().any(|v| inexact(v))
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap();
            let whole = float.trunc() == float
                && (-9.3e18..1.9e19).contains(&float)
                && !(float == 0.0 && float.is_sign_negative());
            if whole && float >= i64::MIN as f64 && float < u64::MAX as f64 {
                format!("{}", float as i128)
            } else {
                format!("{float:?}")
            }
        }
        other => other.to_string(),
    }
}

fn json_text(value: &Value, group: &[&Value]) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort();
            let members: Vec<String> = keys
                .into_iter()
                .filter(|key| !members[*key].is_null())
                .map(|key| {
                    let group: Vec<&Value> = group.iter().filter_map(|v| v.get(key)).collect();
                    let name = Value::String(key.clone());
                    format!("{name}:{}", json_text(&members[key], &group))
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let group: Vec<&Value> = group
                .iter()
                .filter_map(|v| v.as_array())
                .flatten()
                .collect();
            let items: Vec<String> = items.iter().map(|item| json_text(item, &group)).collect();
            format!("[{}]", items.join(","))
        }
        scalar if group.iter().any(|v| v.is_string()) => {
            Value::String(plain_text(scalar)).to_string()
        }
        scalar => plain_text(scalar),
    }
}

/// Numbers from a seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Records of a made-up log: how wild is up to `wildness`, 0 to 3.
pub fn records(random: &mut Random, n: usize, wildness: u64) -> Vec<Value> {
    (0..n)
        .map(|_| {
            let mut record = Map::new();
            for _ in 0..random.below(7) {
                let key = key(random);
                let value = value(random, &key, wildness, 3);
                record.insert(key, value);
            }
            Value::Object(record)
        })
        .collect()
}

fn key(random: &mut Random) -> String {
    const KEYS: [&str; 14] = [
        "",
        "a",
        "b",
        "ts",
        "user.id",
        "müller",
        "x\"y",
        "back\\slash",
        "status",
        "sixteen_byte_key",
        "a_key_of_more_than_thirty_two_bytes_in_all",
        "A",
        "nl\n",
        "request_time_in_ms",
    ];
    KEYS[random.below(KEYS.len() as u64) as usize].to_string()
}

fn value(random: &mut Random, key: &str, wildness: u64, depth: u64) -> Value {
    // Mostly one kind for each key, so that every type of the lattice is met.
    let kind = if random.below(12) < wildness {
        random.below(9)
    } else {
        key.len() as u64 % 9
    };
    match kind {
        0 => Value::Null,
        1 => random.one_in(2).into(),
        2 => (random.below(2000) as i64 - 1000).into(),
        3 => integer(random),
        4 => float(random),
        5 | 6 => string(random).into(),
        7 if depth > 0 => {
            let mut object = Map::new();
            for _ in 0..random.below(4) {
                let key = self::key(random);
                let value = value(random, &key, wildness, depth - 1);
                object.insert(key, value);
            }
            Value::Object(object)
        }
        8 if depth > 0 => {
            let kind = self::key(random);
            (0..random.below(4))
                .map(|_| value(random, &kind, wildness, depth - 1))
                .collect()
        }
        _ => random.below(100).into(),
    }
}

fn integer(random: &mut Random) -> Value {
    match random.below(6) {
        0 => i64::MIN.into(),
        1 => i64::MAX.into(),
        2 => u64::MAX.into(),
        3 => (random.next() >> random.below(64)).into(),
        4 => ((random.next() >> random.below(64)) as i64)
            .wrapping_neg()
            .into(),
        _ => ((1u64 << 53) + random.below(3)).into(),
    }
}

fn float(random: &mut Random) -> Value {
    let float = match random.below(4) {
        0 => (random.below(100_000) as f64) / 1000.0,
        1 => f64::from_bits(random.next()),
        2 => random.below(1 << 40) as f64 * 1e9,
        _ => -0.0,
    };
    Number::from_f64(float).map_or(0.5.into(), Value::Number)
}

fn string(random: &mut Random) -> String {
    const PARTS: [&str; 10] = [
        "plain",
        "",
        "with \"quotes\"",
        "\\",
        "é",
        "😀",
        "\u{1}",
        "a longer part of thirty-two bytes",
        "5",
        "\u{FFFF}",
    ];
    (0..random.below(5))
        .map(|_| PARTS[random.below(PARTS.len() as u64) as usize])
        .collect()
}

/// A record as text, with white space and escapes where JSON allows them.
pub fn write(value: &Value, random: &mut Random, out: &mut String) {
    let space = |random: &mut Random, out: &mut String| {
        if random.one_in(8) {
            out.push_str([" ", "\t", "  ", " \r"][random.below(4) as usize]);
        }
    };
    match value {
        Value::Object(members) => {
            out.push('{');
            for (idx, (key, value)) in members.iter().enumerate() {
                if idx > 0 {
                    out.push(',');
                }
                space(random, out);
                write_string(key, random, out);
                space(random, out);
                out.push(':');
                space(random, out);
                write(value, random, out);
                space(random, out);
            }
            space(random, out);
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (idx, item) in items.iter().enumerate() {
                if idx > 0 {
                    out.push(',');
                }
                space(random, out);
                write(item, random, out);
                space(random, out);
            }
            space(random, out);
            out.push(']');
        }
        Value::String(text) => write_string(text, random, out),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn write_string(text: &str, random: &mut Random, out: &mut String) {
    out.push('"');
    let escape_all = random.one_in(4);
    for c in text.chars() {
        if escape_all && random.one_in(2) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            let quoted = Value::String(c.to_string()).to_string();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    out.push('"');
}

/// Records as lines of text.
pub fn lines(records: &[Value], random: &mut Random) -> String {
    let mut text = String::new();
    for record in records {
        write(record, random, &mut text);
        text.push_str(if random.one_in(6) { "\r\n" } else { "\n" });
    }
    text
}
