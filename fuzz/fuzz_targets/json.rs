//! Is each record of JSON taken as serde_json takes it, and does it come back?
//! The input is text of lines.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use windrow::io::json::{DecodeOptions, Decoded, Decoder, JsonSchema};
use windrow::sink::json_lines;

fn decode(text: &[u8]) -> Decoded {
    let options = DecodeOptions {
        keep_bad: true,
        ..DecodeOptions::default()
    };
    let mut decoder = Decoder::new(Arc::new(options), None);
    decoder
        .decode(text, &JsonSchema::empty())
        .expect("chunks are small")
}

fn values(decoded: &Decoded) -> Vec<Value> {
    let lines = json_lines(&decoded.batch).expect("rows have a text");
    let lines = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).expect("what is written is JSON"))
        .collect()
}

/// Whether a value came back: null members are left out, and text may stand for
/// the JSON that it is.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let is_there = |(key, value): (&String, &Value)| match ours.get(key) {
                Some(found) => is_same(found, value),
                None => value.is_null(),
            };
            theirs.iter().all(is_there)
                && ours
                    .iter()
                    .all(|(key, value)| theirs.contains_key(key) || value.is_null())
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| is_same(a, b))
        }
        (Value::Number(ours), Value::Number(theirs)) => {
            ours == theirs || ours.as_f64() == theirs.as_f64()
        }
        (Value::String(text), other) if !other.is_string() => {
            serde_json::from_str(text).is_ok_and(|value: Value| is_same(&value, other))
        }
        _ => ours == theirs,
    }
}

fuzz_target!(|data: &[u8]| {
    let whole = decode(data);
    let mut rows = values(&whole).into_iter();
    let mut lines = 0;
    let mut bad = whole.bad.iter().map(|bad| bad.line).peekable();
    let mut at = 0;
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let number = lines;
        lines += 1;
        at += line.len();
        if line.iter().all(|byte| b" \t\r\n".contains(byte)) {
            continue;
        }
        let theirs = serde_json::from_slice::<Value>(line);
        if bad.next_if_eq(&number).is_some() {
            assert!(
                !theirs.is_ok_and(|value| value.is_object()),
                "a record is bad: {:?}",
                String::from_utf8_lossy(line)
            );
            continue;
        }
        let ours = rows.next().expect("a row for each line that is not bad");
        let shown = || String::from_utf8_lossy(line).into_owned();
        match theirs {
            Ok(theirs) if theirs.is_object() => {
                assert!(is_same(&ours, &theirs), "{} became {ours}", shown());
            }
            Ok(_) => panic!("no object, but a row: {}", shown()),
            // serde_json holds no such numbers, and other depths.
            Err(error) => {
                let text = error.to_string();
                let is_known = text.contains("out of range") || text.contains("recursion limit");
                assert!(is_known, "{error}, but a row: {}", shown());
            }
        }
    }
    assert_eq!(at, data.len());
    assert_eq!(whole.lines, lines);
    assert!(rows.next().is_none() && bad.next().is_none());
});
