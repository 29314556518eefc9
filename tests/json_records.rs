//! Promise: a line is a row, filtered, blank or bad, never two of them and
//! never none; and what is wrong with it is said the same way wherever it stands.

mod json_support;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use json_support::{Random, decode, decode_with, lines, records, rows};
use serde_json::{Value, json};
use windrow::io::json::{
    DecodeOptions, Decoded, Decoder, JsonSchema, RowPredicate, SchemaMode, infer,
};

fn table(text: &str) -> Vec<Value> {
    let decoded = decode(text.as_bytes(), &JsonSchema::empty());
    assert_eq!(decoded.bad, [], "{text}");
    rows(&decoded.batch)
}

fn reason(line: &str) -> String {
    let decoded = decode(line.as_bytes(), &JsonSchema::empty());
    assert_eq!(decoded.bad.len(), 1, "{line}");
    assert_eq!(decoded.batch.num_rows(), 0);
    decoded.bad[0].reason.clone()
}

#[test]
fn equal_keys_are_counted_alike_in_columns_and_in_json_text() {
    let object = r#"{"a":{"x":1,"x":{"y":1,"y":2,"y":null},"z":[{"k":1,"k":1}]}}"#;
    let alone = decode(format!("{object}\n").as_bytes(), &JsonSchema::empty());
    let beside = decode(
        format!("{object}\n{{\"a\":5}}\n").as_bytes(),
        &JsonSchema::empty(),
    );
    assert_eq!((alone.duplicate_keys, beside.duplicate_keys), (4, 4));
}

#[test]
fn the_last_of_equal_keys_counts_and_they_are_counted() {
    let text = r#"{"a":1,"a":2}
{"b":{"x":1,"x":[5]},"b":{"x":[6,7]}}
{"a":3,"\u0061":null}
{"c":[{"k":1,"k":2}]}
"#;
    let decoded = decode(text.as_bytes(), &JsonSchema::empty());
    assert_eq!(decoded.duplicate_keys, 5);
    // `x` was an integer once, if only to be overwritten.
    let expected = [
        json!({"a": 2}),
        json!({"b": {"x": "[6,7]"}}),
        json!({}),
        json!({"c": [{"k": 2}]}),
    ];
    assert_eq!(rows(&decoded.batch), expected);
    // The facts of an overwritten value count whatever was known before.
    for known in ["", "{\"a\":1}\n", "{\"a\":-1}\n"] {
        let known = infer(known.as_bytes(), 128);
        let of_both = decode(b"{\"a\":-1,\"a\":1}\n", &known).schema;
        assert_eq!(of_both, infer(b"{\"a\":-1}\n", 128), "{known:?}");
    }
}

#[test]
fn keys_are_compared_without_their_escapes_and_with_their_case() {
    assert_eq!(
        table("{\"\\u0061\":1,\"A\":2,\"\":3,\"a.b\":4,\"x\\\"y\":5}\n"),
        [json!({"a": 1, "A": 2, "": 3, "a.b": 4, "x\"y": 5})]
    );
}

#[test]
fn numbers_stay_exact_or_become_text() {
    assert_eq!(
        table(
            "{\"a\":9007199254740993,\"b\":18446744073709551615,\"c\":18446744073709551616}\n{\"a\":0.5,\"b\":1,\"c\":1}\n"
        ),
        [
            json!({"a": "9007199254740993", "b": u64::MAX, "c": "18446744073709551616"}),
            json!({"a": "0.5", "b": 1, "c": "1"}),
        ]
    );
    assert_eq!(
        table("{\"a\":1e400,\"b\":-1,\"c\":1}\n{\"a\":1,\"b\":9223372036854775808,\"c\":2.5}\n"),
        [
            json!({"a": "1e400", "b": "-1", "c": 1.0}),
            json!({"a": "1", "b": "9223372036854775808", "c": 2.5}),
        ]
    );
}

#[test]
fn mixed_values_become_text_and_objects_beside_others_become_json_text() {
    assert_eq!(
        table(
            "{\"a\":\"n/a\",\"b\":{\"z\":1,\"y\":null,\"x\":\"q\"},\"c\":[1]}\n{\"a\":5,\"b\":7,\"c\":{}}\n{\"a\":true,\"b\":null,\"c\":[null,1.0]}\n"
        ),
        [
            json!({"a": "n/a", "b": r#"{"x":"q","z":1}"#, "c": "[1]"}),
            json!({"a": "5", "b": "7", "c": "{}"}),
            json!({"a": "true", "c": "[null,1]"}),
        ]
    );
    let schema = infer(
        b"{\"a\":\"x\",\"b\":1,\"c\":{},\"d\":null,\"e\":{\"f\":[1,true]}}\n{\"a\":1,\"b\":[]}\n",
        128,
    );
    let words: Vec<(String, &str)> = schema
        .widened_columns()
        .into_iter()
        .map(|column| (column.path, column.kind))
        .collect();
    assert_eq!(
        words,
        [
            ("a".to_string(), "strings and other scalars, kept as text"),
            (
                "b".to_string(),
                "objects or lists beside other values, kept as JSON text"
            ),
            ("c".to_string(), "objects without keys, kept as JSON text"),
            ("d".to_string(), "never more than null, kept as text"),
            (
                "e.f[]".to_string(),
                "scalars that no one type holds exactly, kept as text"
            ),
        ]
    );
}

#[test]
fn an_object_without_keys_is_kept_and_becomes_a_struct_with_the_first_key() {
    let early = decode(b"{\"a\":{},\"b\":[{}]}\n", &JsonSchema::empty());
    assert_eq!(rows(&early.batch), [json!({"a": "{}", "b": ["{}"]})]);
    let late = decode(
        b"{\"a\":{\"k\":1},\"b\":[{\"k\":1}]}\n{\"a\":{}}\n{}\n",
        &early.schema,
    );
    assert_eq!(rows(&late.batch)[1..], [json!({"a": {}}), json!({})]);
}

#[test]
fn lines_that_are_no_records_say_why() {
    for (line, why) in [
        (
            r#"{"a":1"#,
            "not JSON: expected ',' or '}' at byte 6 of the record, found the end of the line",
        ),
        (
            r#"{"a":1,}"#,
            "not JSON: expected a key in quotes at byte 7 of the record, found '}'",
        ),
        (
            r#"{"a" 1}"#,
            "not JSON: expected ':' at byte 5 of the record, found '1'",
        ),
        (
            r#"{"a":NaN}"#,
            "not JSON: expected a value at byte 5 of the record, found 'N'",
        ),
        (
            r#"{"a":nul}"#,
            "not JSON: expected a value at byte 5 of the record, found 'n'",
        ),
        (
            r#"{"a":06}"#,
            "not JSON: a number with a leading zero at byte 5 of the record",
        ),
        (
            r#"{"a":1.}"#,
            "not JSON: expected a digit at byte 7 of the record, found '}'",
        ),
        (
            r#"{"a":"x"#,
            "not JSON: expected '\"' to end the string at byte 7 of the record, found the end of the line",
        ),
        (
            "{\"a\":\"x\ty\"}",
            "not JSON: the byte 0x09 at byte 7 of the record may stand in a string only as an escape",
        ),
        (
            r#"{"a":"\q"}"#,
            "not JSON: unknown escape at byte 6 of the record",
        ),
        (
            r#"{"a":"\ud800"}"#,
            "the escape at byte 6 of the record is half of a surrogate pair, which is no character",
        ),
        (
            r#"{"a":1} {"a":2}"#,
            "not JSON: expected the end of the line at byte 8 of the record, found '{'",
        ),
        (
            r#"{"a":[1 2]}"#,
            "not JSON: expected ',' or ']' at byte 8 of the record, found '2'",
        ),
        ("null", "null (null) is not an object"),
        ("[1,2]", "[1,2] (list) is not an object"),
        ("  1", "1 (number) is not an object"),
        (
            "'a'",
            "not JSON: expected a value at byte 0 of the record, found '''",
        ),
    ] {
        assert_eq!(reason(line), why, "{line}");
        // The same words with the schema known, and after other lines.
        let known = infer(b"{\"a\":1}\n", 128);
        let text = format!("{{\"a\":1}}\n{line}\n{{\"a\":2}}\n");
        let decoded = decode(text.as_bytes(), &known);
        assert_eq!(decoded.bad[0].reason, why, "{line}");
        assert_eq!(
            (decoded.bad[0].line, decoded.bad[0].byte, decoded.bad[0].len),
            (1, 8, line.len())
        );
        assert_eq!(rows(&decoded.batch), [json!({"a": 1}), json!({"a": 2})]);
        assert_eq!(decoded.schema, known, "a bad record leaves no trace");
    }
}

#[test]
fn bytes_that_are_not_utf8_spoil_their_own_line_only() {
    let text = b"{\"a\":\"x\"}\n{\"a\":\"\xFF\"}\n\n{\"a\":\"\xC3\xA9\"}\n{\"a\":\"\xED\xA0\x80\"}\n{\"b\xE2\":1}";
    let decoded = decode(text, &JsonSchema::empty());
    assert_eq!(rows(&decoded.batch), [json!({"a": "x"}), json!({"a": "é"})]);
    let places: Vec<(u64, &str)> = decoded
        .bad
        .iter()
        .map(|bad| (bad.line, bad.reason.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (1, "not UTF-8 at byte 6 of the record"),
            (4, "not UTF-8 at byte 6 of the record"),
            (5, "not UTF-8 at byte 3 of the record"),
        ]
    );
    assert_eq!((decoded.lines, decoded.blank), (6, 1));
}

#[test]
fn a_bad_record_takes_back_every_value_and_fact_it_brought() {
    let known = infer(
        b"{\"a\":[1],\"b\":{\"c\":0.5,\"d\":\"x\"},\"e\":true}\n",
        128,
    );
    let good = "{\"a\":[1,2],\"b\":{\"c\":1.5,\"d\":\"y\"},\"e\":false}\n";
    let bad = "{\"a\":[-3,4],\"b\":{\"c\":-7,\"c\":-8,\"d\":5},\"e\":null,\"new\":1,\"e\":x}\n";
    let clean = decode(good.repeat(3).as_bytes(), &known);
    let dirty = decode(
        [good, bad, good, bad, bad, good].concat().as_bytes(),
        &known,
    );
    assert_eq!(dirty.batch, clean.batch);
    assert_eq!(dirty.schema, clean.schema);
    assert_eq!((dirty.bad.len(), dirty.duplicate_keys), (3, 0));
}

#[test]
fn decoding_ends_at_the_first_bad_record_unless_told_to_go_on() {
    let text = b"{\"a\":1}\n\n{\"a\":2}\n{\"a\":}\n{\"b\":3}\n{\"a\":}\n";
    let decode = |keep_bad| {
        let options = DecodeOptions {
            keep_bad,
            ..DecodeOptions::default()
        };
        Decoder::new(Arc::new(options), None)
            .decode(text, &JsonSchema::empty())
            .unwrap()
    };
    let stopped = decode(false);
    assert!(stopped.stopped);
    assert_eq!((stopped.lines, stopped.bad.len(), stopped.blank), (4, 1, 1));
    assert_eq!(rows(&stopped.batch), [json!({"a": 1}), json!({"a": 2})]);
    assert_eq!(
        stopped.schema,
        infer(b"{\"a\":1}", 128),
        "nothing behind the stop is learned"
    );
    let whole = decode(true);
    assert!(!whole.stopped);
    assert_eq!(
        (whole.lines, whole.bad.len(), whole.batch.num_rows()),
        (6, 2, 3)
    );
}

#[test]
fn nesting_is_limited_and_never_overflows_the_stack() {
    let nested = |depth: usize, open: &str, close: &str| {
        format!("{{\"a\":{}1{}}}\n", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for (depth, is_good) in [(127, true), (128, false), (100_000, false)] {
            let text = nested(depth, open, close);
            for known in [
                JsonSchema::empty(),
                infer(nested(100, open, close).as_bytes(), 128),
            ] {
                let decoded = decode(text.as_bytes(), &known);
                assert_eq!(
                    decoded.batch.num_rows(),
                    usize::from(is_good),
                    "{depth} {open}"
                );
                if let Some(bad) = decoded.bad.first() {
                    assert!(
                        bad.reason.starts_with("nested deeper than 128 levels"),
                        "{}",
                        bad.reason
                    );
                }
            }
        }
        let unclosed = format!("{{\"a\":{}", open.repeat(1_000_000));
        assert_eq!(
            decode(unclosed.as_bytes(), &JsonSchema::empty()).bad.len(),
            1
        );
        // The deepest that may be allowed fits the stack of a spawned thread, unoptimised.
        let deepest = DecodeOptions {
            max_depth: 256,
            ..DecodeOptions::default()
        };
        let text = nested(255, open, close);
        assert_eq!(
            decode_with(text.as_bytes(), &JsonSchema::empty(), deepest)
                .batch
                .num_rows(),
            1
        );
    }
    let options = DecodeOptions {
        max_depth: 257,
        ..DecodeOptions::default()
    };
    let error = Decoder::new(Arc::new(options), None).decode(b"{}", &JsonSchema::empty());
    assert!(error.unwrap_err().to_string().contains("max-depth"));
}

#[test]
fn projection_changes_no_verdict() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let records = records(&mut random, 20, 2);
        let mut text = lines(&records, &mut random);
        text.push_str("{\"a\":1,\"zz\":[1,}\n{\"zz\":\"\\ud800\"}\n");
        let whole = decode(text.as_bytes(), &JsonSchema::empty());
        let columns = vec!["ts".to_string(), "a".to_string(), "never seen".to_string()];
        for known in [
            JsonSchema::empty(),
            whole.schema.clone(),
            whole.schema.project(&columns),
        ] {
            let options = DecodeOptions {
                columns: Some(columns.clone()),
                ..DecodeOptions::default()
            };
            let some = decode_with(text.as_bytes(), &known, options);
            let verdicts = |decoded: &Decoded| -> Vec<_> {
                decoded
                    .bad
                    .iter()
                    .map(|bad| (bad.line, bad.reason.clone()))
                    .collect()
            };
            assert_eq!(verdicts(&some), verdicts(&whole));
            assert_eq!(some.schema, whole.schema.project(&columns), "seed {seed}");
            for field in some.batch.schema().fields() {
                assert_eq!(
                    some.batch.column_by_name(field.name()),
                    whole.batch.column_by_name(field.name())
                );
            }
        }
    }
    let none = DecodeOptions {
        columns: Some(vec![]),
        ..DecodeOptions::default()
    };
    let counted = decode_with(b"{\"a\":1}\n{\"b\":2}\n", &JsonSchema::empty(), none);
    assert_eq!(
        (counted.batch.num_columns(), counted.batch.num_rows()),
        (0, 2)
    );
}

#[test]
fn strict_refuses_what_the_schema_lacks_and_ignore_counts_it() {
    let known = infer(b"{\"a\":1,\"b\":{\"c\":\"x\"},\"d\":[true]}\n", 128);
    let text = concat!(
        "{\"a\":-5,\"b\":{\"c\":\"y\"}}\n",
        "{\"a\":\"n/a\"}\n",
        "{\"b\":{\"new\":[1,2],\"c\":\"z\"}}\n",
        "{\"other\":{\"deep\":1},\"a\":2}\n",
        "{\"b\":{\"c\":5}}\n",
        "{\"d\":[true,0]}\n",
        "{\"a\":1.5}\n",
    );
    let with = |mode| {
        let options = DecodeOptions {
            mode,
            ..DecodeOptions::default()
        };
        let decoded = decode_with(text.as_bytes(), &known, options);
        assert_eq!(decoded.schema, known);
        decoded
    };
    let verdicts = |decoded: &Decoded| -> Vec<(u64, String)> {
        let said = |column: &Option<String>, reason: &str| {
            format!("{}: {reason}", column.as_deref().unwrap_or("-"))
        };
        decoded
            .bad
            .iter()
            .map(|bad| (bad.line, said(&bad.column, &bad.reason)))
            .collect()
    };
    let misfits = [
        (1, "a: \"n/a\" (string) is not Int64".to_string()),
        (4, "b.c: 5 (number) is not Utf8".to_string()),
        (5, "d[]: 0 (number) is not Boolean".to_string()),
        (6, "a: 1.5 (number) is not Int64".to_string()),
    ];
    let ignored = with(SchemaMode::Ignore);
    assert_eq!(verdicts(&ignored), misfits);
    assert_eq!(ignored.ignored_values, 2);
    assert_eq!(
        rows(&ignored.batch)[1..],
        [json!({"b": {"c": "z"}}), json!({"a": 2})]
    );
    let strict = with(SchemaMode::Strict);
    let mut refused = misfits.to_vec();
    refused.insert(1, (2, "b.new: the key is not in the schema".to_string()));
    refused.insert(2, (3, "other: the key is not in the schema".to_string()));
    assert_eq!(verdicts(&strict), refused);
}

fn users_schema() -> JsonSchema {
    let time = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Arc::from));
    let item = Field::new("element", DataType::Int16, true);
    let inner = vec![
        Field::new("f32", DataType::Float32, true),
        Field::new("s", DataType::LargeUtf8, true),
    ];
    let fields = vec![
        Field::new("i8", DataType::Int8, true),
        Field::new("u32", DataType::UInt32, false),
        Field::new("u64", DataType::UInt64, true),
        Field::new("f64", DataType::Float64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("b", DataType::Boolean, true),
        Field::new("day", DataType::Date32, true),
        Field::new("ms", time(TimeUnit::Millisecond, Some("+00:00")), true),
        Field::new("ns", time(TimeUnit::Nanosecond, None), true),
        Field::new("sec", time(TimeUnit::Second, Some("+02:00")), true),
        Field::new("list", DataType::List(Arc::new(item)), true),
        Field::new("in", DataType::Struct(inner.into()), true),
    ];
    JsonSchema::from_arrow(&Schema::new(fields)).unwrap()
}

#[test]
fn a_users_schema_decides_the_types_of_values() {
    let schema = users_schema();
    let text = concat!(
        r#"{"i8":-128,"u32":4294967295,"u64":18446744073709551615,"f64":1,"s":"x","b":true,"day":"2024-02-29","#,
        r#""ms":"2024-02-29T12:00:00.250+01:00","ns":"1970-01-01T00:00:00.000000001","sec":"1970-01-01 02:00:05","#,
        r#""list":[1,null,-3],"in":{"f32":0.1,"s":{"b":[1,"q"],"a":1.0}},"extra":1}"#,
        "\n",
        r#"{"i8":7,"s":12.50,"day":19000,"ms":1709204400250,"in":{"s":5}}"#,
        "\n{}\n",
    );
    let decoded = decode(text.as_bytes(), &schema);
    assert_eq!(decoded.bad, []);
    assert_eq!(decoded.schema, schema.merge(&infer(b"{\"extra\":1}", 128)));
    assert_eq!(decoded.batch.schema(), decoded.schema.to_arrow());
    let shown = |name: &str, row: usize| {
        let column = decoded.batch.column_by_name(name).unwrap();
        arrow_cast::display::array_value_to_string(column, row).unwrap()
    };
    for (name, first, second) in [
        ("i8", "-128", "7"),
        ("u32", "4294967295", ""),
        ("u64", "18446744073709551615", ""),
        ("f64", "1.0", ""),
        ("s", "x", "12.5"),
        ("b", "true", ""),
        ("day", "2024-02-29", "2022-01-08"),
        ("ms", "2024-02-29T11:00:00.250Z", "2024-02-29T11:00:00.250Z"),
        ("ns", "1970-01-01T00:00:00.000000001", ""),
        ("sec", "1970-01-01T02:00:05+02:00", ""),
        ("list", "[1, , -3]", ""),
        (
            "in",
            "{f32: 0.1, s: {\"a\":1,\"b\":[1,\"q\"]}}",
            "{f32: , s: 5}",
        ),
        ("extra", "1", ""),
    ] {
        assert_eq!(
            (shown(name, 0).as_str(), shown(name, 1).as_str()),
            (first, second),
            "{name}"
        );
        assert!(decoded.batch.column_by_name(name).unwrap().is_null(2));
    }
}

#[test]
fn a_value_that_a_users_type_does_not_hold_is_a_bad_record() {
    let schema = users_schema();
    for (record, column, why) in [
        (r#"{"i8":128}"#, "i8", "128 (number) is not Int8"),
        (r#"{"i8":"1"}"#, "i8", "\"1\" (string) is not Int8"),
        (r#"{"i8":1.0}"#, "i8", "1.0 (number) is not Int8"),
        (r#"{"u32":-1}"#, "u32", "-1 (number) is not UInt32"),
        (r#"{"u64":-1}"#, "u64", "-1 (number) is not UInt64"),
        (
            r#"{"u64":18446744073709551616}"#,
            "u64",
            "18446744073709551616 (number) is not UInt64",
        ),
        (
            r#"{"f64":9007199254740993}"#,
            "f64",
            "9007199254740993 (number) is not Float64",
        ),
        (r#"{"f64":1e400}"#, "f64", "1e400 (number) is not Float64"),
        (r#"{"b":1}"#, "b", "1 (number) is not Boolean"),
        (
            r#"{"day":"2024-02-30"}"#,
            "day",
            "\"2024-02-30\" (string) is not Date32",
        ),
        (
            r#"{"day":"2024-02-28T01:00:00Z"}"#,
            "day",
            "\"2024-02-28T01:00:00Z\" (string) is not Date32",
        ),
        (
            r#"{"ms":"yesterday"}"#,
            "ms",
            "\"yesterday\" (string) is not Timestamp(ms, \"+00:00\")",
        ),
        (
            r#"{"sec":"2024-01-01T00:00:00.5Z"}"#,
            "sec",
            "\"2024-01-01T00:00:00.5Z\" (string) is not Timestamp(s, \"+02:00\")",
        ),
        (
            r#"{"ns":"9999-01-01T00:00:00Z"}"#,
            "ns",
            "\"9999-01-01T00:00:00Z\" (string) is not Timestamp(ns)",
        ),
        (
            r#"{"list":[1,40000]}"#,
            "list[]",
            "40000 (number) is not Int16",
        ),
        (
            r#"{"in":{"f32":16777217}}"#,
            "in.f32",
            "16777217 (number) is not Float32",
        ),
    ] {
        let text = format!("{{\"i8\":1}}\n{record}\n{{\"i8\":2,\"later\":0}}\n");
        let decoded = decode(text.as_bytes(), &schema);
        assert_eq!(decoded.bad.len(), 1, "{record}");
        let bad = &decoded.bad[0];
        assert_eq!(
            (bad.column.as_deref(), bad.reason.as_str()),
            (Some(column), why)
        );
        assert_eq!(decoded.batch.num_rows(), 2);
        assert_eq!(decoded.schema.n_columns(), schema.n_columns() + 1);
    }
    // A refused record brings no column, even if it is what is met first.
    let decoded = decode(b"{\"brand new\":1,\"i8\":\"x\"}\n{\"i8\":1}\n", &schema);
    assert_eq!((decoded.schema, decoded.bad.len()), (schema, 1));
}

#[test]
fn types_that_json_is_not_decoded_to_are_refused_by_name() {
    for data_type in [
        DataType::Binary,
        DataType::Null,
        DataType::Decimal128(5, 2),
        DataType::Struct(Default::default()),
    ] {
        let inner = Field::new("x", data_type, true);
        let schema = Schema::new(vec![Field::new(
            "o",
            DataType::Struct(vec![inner].into()),
            true,
        )]);
        let error = JsonSchema::from_arrow(&schema).unwrap_err().to_string();
        assert!(error.contains("\"o.x\""), "{error}");
    }
}

/// `n > 3`, and how many rows it was asked about.
struct AboveThree(Vec<String>);

impl RowPredicate for AboveThree {
    fn columns(&self) -> &[String] {
        &self.0
    }

    fn mask(&self, batch: &RecordBatch) -> windrow::Result<BooleanArray> {
        assert_eq!(batch.num_columns(), 1);
        let column = arrow_cast::cast(batch.column(0), &DataType::Int64)?;
        Ok(column
            .as_primitive::<Int64Type>()
            .iter()
            .map(|n| n.map(|n| n > 3))
            .collect())
    }
}

fn filtered(text: &str, known: &JsonSchema, options: DecodeOptions) -> Decoded {
    let predicate = Arc::new(AboveThree(vec!["n".to_string()]));
    Decoder::new(Arc::new(options), Some(predicate))
        .decode(text.as_bytes(), known)
        .unwrap()
}

#[test]
fn a_predicate_selects_rows_and_only_those_widen_the_schema() {
    let text = "{\"n\":1,\"late\":1}\n{\"n\":5,\"s\":\"x\"}\n\n{\"m\":9}\n{\"n\":null}\n{\"n\":\"7\",\"t\":{}}\n[]\n{\"n\":4}";
    let keep = DecodeOptions {
        keep_bad: true,
        ..DecodeOptions::default()
    };
    let decoded = filtered(text, &JsonSchema::empty(), keep.clone());
    assert_eq!(
        rows(&decoded.batch),
        [
            json!({"n": "5", "s": "x"}),
            json!({"n": "7", "t": "{}"}),
            json!({"n": "4"})
        ]
    );
    assert_eq!((decoded.lines, decoded.filtered, decoded.blank), (8, 3, 1));
    assert_eq!(decoded.bad.len(), 1);
    assert_eq!(decoded.bad[0].line, 6);
    let columns: Vec<String> = decoded
        .batch
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(columns, ["n", "s", "t"]);

    let projected = DecodeOptions {
        columns: Some(vec!["s".into()]),
        ..keep.clone()
    };
    let decoded = filtered(text, &JsonSchema::empty(), projected);
    assert_eq!(
        rows(&decoded.batch),
        [json!({"s": "x"}), json!({}), json!({})]
    );

    let nothing = filtered("{\"n\":1}\n{\"x\":1}\n", &JsonSchema::empty(), keep.clone());
    assert_eq!(
        (nothing.batch.num_rows(), nothing.filtered, nothing.schema),
        (0, 2, JsonSchema::empty())
    );

    let stopped = filtered(text, &JsonSchema::empty(), DecodeOptions::default());
    assert!(stopped.stopped);
    assert_eq!(
        (stopped.lines, stopped.batch.num_rows(), stopped.filtered),
        (7, 2, 3)
    );
}

#[test]
fn a_selected_record_that_does_not_fit_ends_the_chunk_where_it_stands() {
    let known = JsonSchema::from_arrow(&Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("i8", DataType::Int8, true),
    ]))
    .unwrap();
    let text =
        "{\"n\":1,\"i8\":999}\n\n{\"n\":5,\"i8\":1}\n{\"n\":6,\"i8\":999}\n{\"n\":7}\n{\"n\":\n";
    let stopped = filtered(text, &known, DecodeOptions::default());
    assert!(stopped.stopped);
    assert_eq!(
        (
            stopped.lines,
            stopped.batch.num_rows(),
            stopped.filtered,
            stopped.blank
        ),
        (4, 1, 1, 1)
    );
    assert_eq!(stopped.bad.len(), 1);
    assert_eq!(
        (stopped.bad[0].line, stopped.bad[0].column.as_deref()),
        (3, Some("i8"))
    );
    let kept = filtered(
        text,
        &known,
        DecodeOptions {
            keep_bad: true,
            ..DecodeOptions::default()
        },
    );
    assert_eq!(
        (kept.lines, kept.batch.num_rows(), kept.bad.len()),
        (6, 2, 2)
    );
}

#[test]
fn a_decoder_carries_nothing_from_one_chunk_to_the_next() {
    let mut reused = Decoder::new(
        Arc::new(DecodeOptions {
            keep_bad: true,
            ..DecodeOptions::default()
        }),
        None,
    );
    for seed in 0..400 {
        let mut random = Random(seed / 3);
        let records = records(&mut random, 10, seed % 4);
        let mut text = lines(&records, &mut random);
        if seed % 5 == 0 {
            text.push_str("{\"a\":[1,{\"b\":");
        }
        let known = infer(text.as_bytes(), 128);
        for schema in [&JsonSchema::empty(), &known, &known] {
            let fresh = decode(text.as_bytes(), schema);
            let again = reused.decode(text.as_bytes(), schema).unwrap();
            assert_eq!(again.batch, fresh.batch);
            assert_eq!(again.schema, fresh.schema);
            assert_eq!(again.bad, fresh.bad);
        }
    }
}

#[test]
fn broken_bytes_never_panic_and_every_line_is_accounted_for() {
    for seed in 0..4000 {
        let mut random = Random(seed);
        let records = records(&mut random, 6, 2);
        let mut text = lines(&records, &mut random).into_bytes();
        for _ in 0..1 + random.below(6) {
            if text.is_empty() {
                break;
            }
            let at = random.below(text.len() as u64) as usize;
            match random.below(3) {
                0 => text[at] = random.next() as u8,
                1 => text.truncate(at),
                _ => text[at] = b"{}[]\",:\\\n0-e."[random.below(13) as usize],
            }
        }
        for known in [JsonSchema::empty(), infer(&text, 128)] {
            // `decode` itself checks lines = rows + bad + blank.
            let decoded = decode(&text, &known);
            let n_lines = text.split(|byte| *byte == b'\n').count() as u64;
            let open_end = u64::from(text.last().is_none_or(|last| *last == b'\n'));
            assert_eq!(decoded.lines, n_lines - open_end, "seed {seed}");
            // What serde_json takes is a row, and what it refuses is not.
            for line in text.split(|byte| *byte == b'\n') {
                let is_blank = line.iter().all(|byte| b" \t\r".contains(byte));
                let start = line.as_ptr() as u64 - text.as_ptr() as u64;
                let is_bad = decoded.bad.iter().any(|bad| bad.byte == start);
                let is_record = matches!(serde_json::from_slice(line), Ok(Value::Object(_)));
                let is_out_of_range = serde_json::from_slice::<Value>(line)
                    .is_err_and(|error| error.to_string().contains("out of range"));
                if !is_blank && !is_out_of_range {
                    assert_eq!(
                        !is_bad,
                        is_record,
                        "seed {seed}: {}",
                        String::from_utf8_lossy(line)
                    );
                }
            }
        }
    }
}
