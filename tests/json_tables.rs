//! Promise: every key and value of every record is in the table, wherever the
//! text is cut and whatever was known of the schema before.

mod json_support;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use json_support::{Random, decode, expected_rows, lines, records, rows};
use windrow::io::json::{JsonSchema, conform, infer};

#[test]
fn a_table_holds_what_serde_json_finds_in_the_text() {
    for seed in 0..1500 {
        let mut random = Random(seed);
        let n = 1 + random.below(30) as usize;
        let wildness = random.below(4);
        let records = records(&mut random, n, wildness);
        let text = lines(&records, &mut random);
        let decoded = decode(text.as_bytes(), &JsonSchema::empty());
        assert_eq!(decoded.bad, [], "seed {seed}\n{text}");
        assert_eq!(decoded.lines, n as u64);
        let expected = expected_rows(&records);
        for (row, (found, expected)) in rows(&decoded.batch).iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "seed {seed}, row {row}\n{text}");
        }
        assert_eq!(rows(&decoded.batch).len(), n);
    }
}

/// Decodes as a pipeline does: chunks know the schema of some earlier moment.
fn decode_in_chunks(text: &str, random: &mut Random) -> (JsonSchema, RecordBatch) {
    let mut committed = vec![JsonSchema::empty()];
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let n_lines = 1 + random.below(5) as usize;
        let end = rest
            .match_indices('\n')
            .nth(n_lines - 1)
            .map_or(rest.len(), |(at, _)| at + 1);
        let known = &committed[random.below(committed.len() as u64) as usize];
        let decoded = decode(&rest.as_bytes()[..end], known);
        assert_eq!(decoded.batch.schema(), decoded.schema.to_arrow());
        assert!(decoded.schema.covers(known));
        let next = committed[committed.len() - 1].merge(&decoded.schema);
        committed.push(next);
        parts.push((decoded.schema, decoded.batch));
        rest = &rest[end..];
    }
    let schema = committed.pop().unwrap();
    let batches: Vec<RecordBatch> = parts
        .iter()
        .map(|(from, batch)| conform(batch, from, &schema).unwrap())
        .collect();
    (
        schema.clone(),
        concat_batches(&schema.to_arrow(), &batches).unwrap(),
    )
}

#[test]
fn every_cut_and_every_lag_of_the_schema_gives_one_table() {
    for seed in 0..1500 {
        let mut random = Random(seed);
        let n = 1 + random.below(40) as usize;
        let wildness = random.below(4);
        let records = records(&mut random, n, wildness);
        let text = lines(&records, &mut random);
        let whole = decode(text.as_bytes(), &JsonSchema::empty());
        for _ in 0..3 {
            let (schema, batch) = decode_in_chunks(&text, &mut random);
            assert_eq!(schema, whole.schema, "seed {seed}\n{text}");
            assert_eq!(batch, whole.batch, "seed {seed}\n{text}");
        }
        assert_eq!(
            infer(text.as_bytes(), 128),
            whole.schema,
            "seed {seed}\n{text}"
        );
    }
}

#[test]
fn rows_decoded_narrowly_and_conformed_are_rows_decoded_widely() {
    for seed in 0..2000 {
        let mut random = Random(seed);
        let early = records(&mut random, 8, 0);
        let late = records(&mut random, 8, 3);
        let (early, late) = (lines(&early, &mut random), lines(&late, &mut random));
        let narrow = decode(early.as_bytes(), &JsonSchema::empty());
        let wide = narrow.schema.merge(&infer(late.as_bytes(), 128));
        let direct = decode(early.as_bytes(), &wide);
        assert_eq!(direct.schema, wide);
        let conformed = conform(&narrow.batch, &narrow.schema, &wide).unwrap();
        assert_eq!(conformed, direct.batch, "seed {seed}\n{early}\n{late}");
    }
}

#[test]
fn merging_schemas_is_associative_idempotent_and_commutative_but_for_order() {
    for seed in 0..1000 {
        let mut random = Random(seed);
        let mut schema = || {
            let records = records(&mut random, 5, 2);
            infer(lines(&records, &mut random).as_bytes(), 128)
        };
        let (a, b, c) = (schema(), schema(), schema());
        assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
        assert_eq!(a.merge(&a), a);
        assert!(a.merge(&b).covers(&b.merge(&a)) && b.merge(&a).covers(&a.merge(&b)));
    }
}

#[test]
fn columns_of_plain_types_are_those_of_arrow_json() {
    let mut compared = 0;
    for seed in 0..1500 {
        let mut random = Random(seed);
        let n = 1 + random.below(20) as usize;
        let wildness = random.below(2);
        let records = records(&mut random, n, wildness);
        let text = lines(&records, &mut random);
        let ours = decode(text.as_bytes(), &JsonSchema::empty());
        // arrow-json has no form for columns of mixed values.
        let widened = ours.schema.widened_columns();
        let is_plain = |name: &str| {
            !widened.iter().any(|column| {
                let rest = column.path.strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        };
        let arrow = ours.schema.to_arrow();
        let names = arrow.fields().iter().map(|field| field.name().clone());
        let plain: Vec<String> = names.filter(|name| is_plain(name)).collect();
        let schema = ours.schema.project(&plain).to_arrow();
        let mut reader = arrow_json::ReaderBuilder::new(schema.clone())
            .build(text.as_bytes())
            .unwrap();
        let Some(theirs) = reader.next().transpose().unwrap() else {
            continue;
        };
        for (field, column) in schema.fields().iter().zip(theirs.columns()) {
            let name = field.name();
            assert_eq!(
                ours.batch.column_by_name(name),
                Some(column),
                "seed {seed}, {name}\n{text}"
            );
            compared += 1;
        }
    }
    assert!(compared > 3000, "only {compared} columns were compared");
}

/// Records whose object `m` has keys from a range, as one line each.
fn map_records(keys: std::ops::Range<u64>) -> String {
    keys.map(|key| match key % 7 {
        0 => format!("{{\"m\":{{\"k{key}\":{{\"x\":\"s\",\"y\":[{key}]}}}}}}\n"),
        1 => format!("{{\"m\":{{\"k{key}\":\"text\"}},\"n\":{key}}}\n"),
        _ => format!("{{\"m\":{{\"k{key}\":{key},\"a\":true}}}}\n"),
    })
    .collect()
}

#[test]
fn an_object_of_too_many_keys_is_json_text_however_it_was_met() {
    let text = map_records(0..1500);
    let whole = decode(text.as_bytes(), &JsonSchema::empty());
    assert_eq!(whole.schema.n_columns(), 2);
    assert_eq!(
        whole.schema.widened_columns()[0].kind,
        "objects of more than 1000 different keys, kept as JSON text"
    );
    let last = &rows(&whole.batch)[1498];
    assert_eq!(
        last,
        &serde_json::json!({"m": r#"{"k1498":{"x":"s","y":[1498]}}"#})
    );
    // All of a map's scalars share one place, which has strings and numbers.
    let number = &rows(&whole.batch)[2];
    assert_eq!(
        number,
        &serde_json::json!({"m": r#"{"a":"true","k2":"2"}"#})
    );
    for seed in 0..3 {
        let mut random = Random(seed);
        let (schema, batch) = decode_in_chunks(&text, &mut random);
        assert_eq!(schema, whole.schema);
        assert_eq!(batch, whole.batch);
    }
    let few = decode(map_records(0..900).as_bytes(), &JsonSchema::empty());
    assert_eq!(few.schema.widened_columns(), []);
}

#[test]
fn records_that_share_no_key_are_refused_before_they_fill_the_memory() {
    let text: String = (0..40_000)
        .map(|key| format!("{{\"{key}\":1}}\n"))
        .collect();
    let error = windrow::io::json::Decoder::new(Default::default(), None)
        .decode(text.as_bytes(), &JsonSchema::empty())
        .unwrap_err();
    assert!(
        error.to_string().starts_with("columns: 40000 records"),
        "{error}"
    );
}
