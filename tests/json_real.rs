//! Promise: real logs and other people's test files are read whole or refused.
//!
//! These tests need `WINDROW_REAL_DATA`, a folder with the files that
//! `data/README.md` names; where it is unset they say so and pass.

mod json_support;

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use json_support::{decode, expected_rows, rows};
use serde_json::Value;
use windrow::io::json::JsonSchema;

fn real_data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WINDROW_REAL_DATA");
    if root.is_none() {
        eprintln!("skipped: WINDROW_REAL_DATA is not set");
    }
    root.map(|root| PathBuf::from(root).join(folder))
}

#[test]
fn the_json_test_suite_is_accepted_and_refused_as_it_asks() {
    let Some(folder) = real_data("json_test_suite") else {
        return;
    };
    let mut judged = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let document = fs::read(&path).unwrap();
        // A record is one line; white space may be either.
        let document: Vec<u8> = document
            .into_iter()
            .map(|byte| if byte == b'\n' { b' ' } else { byte })
            .collect();
        let text = [b"{\"v\":".as_slice(), &document, b"}\n"].concat();
        let decoded = decode(&text, &JsonSchema::empty());
        match &name[..2] {
            "y_" => assert_eq!(decoded.bad, [], "{name}"),
            "n_" => assert_eq!(decoded.bad.len(), 1, "{name}"),
            _ => {}
        }
        judged += usize::from(name.ends_with(".json"));
    }
    assert!(judged > 0, "the folder has no test files");
}

#[test]
fn every_value_of_real_logs_is_in_the_table() {
    let Some(root) = real_data("") else {
        return;
    };
    let mut texts = vec![(
        "nginx".to_string(),
        fs::read(root.join("nginx_status_log/nginx_status.ndjson")).unwrap(),
    )];
    for name in ["dns", "weird", "ntp", "smtp", "known_services", "stats"] {
        let packed = fs::File::open(root.join(format!("zeek_json_logs/{name}.json.gz"))).unwrap();
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(packed)
            .read_to_end(&mut text)
            .unwrap();
        texts.push((name.to_string(), text));
    }
    for (name, text) in texts {
        let decoded = decode(&text, &JsonSchema::empty());
        assert_eq!(decoded.bad, [], "{name}");
        let records: Vec<Value> = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(decoded.batch.num_rows(), records.len(), "{name}");
        // The oracle's cost grows with the square of the rows it sees at once.
        let sample: Vec<Value> = records
            .iter()
            .step_by(records.len().div_ceil(120))
            .cloned()
            .collect();
        let text: String = sample.iter().map(|record| format!("{record}\n")).collect();
        let of_sample = decode(text.as_bytes(), &JsonSchema::empty());
        assert_eq!(rows(&of_sample.batch), expected_rows(&sample), "{name}");
        for (found, record) in rows(&decoded.batch).iter().zip(&records) {
            assert_eq!(leaves(found), leaves(record), "{name}");
        }
    }
}

/// How many values there are besides nulls.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Object(members) => members.values().map(leaves).sum(),
        Value::Array(items) => items.iter().map(leaves).sum(),
        _ => 1,
    }
}
