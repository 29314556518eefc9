//! A row for each item of lists: nothing is lost, nothing is doubled, under every cut.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch};
use windrow::expr::col;
use windrow::{By, ByteSize, DataFrame, Error, ReadOptions, Session, Settings};

fn read(dir: &Path, threads: usize, blocksize: u64) -> DataFrame {
    let session = Session::new(Settings {
        threads,
        ..Settings::default()
    });
    let options = ReadOptions {
        blocksize: Some(ByteSize::new(blocksize)),
        ..ReadOptions::default()
    };
    session.read_json(dir, options).unwrap()
}

/// Records with lists of none to four items, without one, and with null.
fn records() -> Vec<Value> {
    let mut seed = 7_u64;
    let mut next = |limit: u64| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) % limit
    };
    let record = |id: u64| {
        let items: Vec<u64> = (0..next(5)).map(|_| next(100)).collect();
        let objects: Vec<Value> = items
            .iter()
            .map(|n| json!({"n": n, "t": format!("t{n}")}))
            .collect();
        match next(8) {
            0 => json!({"id": id}),
            1 => json!({"id": id, "items": null, "objects": null}),
            _ => json!({"id": id, "items": items, "objects": objects}),
        }
    };
    (0..400).map(record).collect()
}

fn written(records: &[Value], dir: &Path) {
    for (number, part) in records.chunks(90).enumerate() {
        let lines: String = part.iter().map(|record| format!("{record}\n")).collect();
        std::fs::write(dir.join(format!("{number}.json")), lines).unwrap();
    }
}

/// The slow way: one row at a time.
fn exploded(records: &[Value], column: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    for record in records {
        match record.get(column).and_then(Value::as_array) {
            Some(items) if !items.is_empty() => rows.extend(items.iter().map(|item| {
                let mut row = record.clone();
                row[column] = item.clone();
                row
            })),
            _ => {
                let mut row = record.clone();
                row[column] = Value::Null;
                rows.push(row);
            }
        }
    }
    rows
}

/// The rows of a frame, nulls left out as in JSON Lines.
fn rows(frame: &DataFrame) -> Vec<Value> {
    let mut rows = Vec::new();
    for batch in frame.to_batches().unwrap() {
        let text = windrow::inspect::json_lines(&batch).unwrap();
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        rows.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
    }
    rows
}

fn without_nulls(mut rows: Vec<Value>, only: &[&str]) -> Vec<Value> {
    for row in &mut rows {
        let object = row.as_object_mut().unwrap();
        object.retain(|name, value| !value.is_null() && only.contains(&name.as_str()));
    }
    rows
}

#[test]
fn every_item_is_a_row_under_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let records = records();
    written(&records, dir.path());
    let all = exploded(&records, "items");
    let plain = without_nulls(all.clone(), &["id", "items"]);
    let big = |row: &Value| row["items"].as_u64().is_some_and(|n| n >= 50);
    let odd = |row: &Value| row["id"].as_u64().unwrap() % 2 == 1;
    for (threads, blocksize) in [(1, 1 << 20), (2, 700), (5, 64)] {
        let frame = read(dir.path(), threads, blocksize)
            .select(["id", "items"])
            .unwrap();
        let items = frame.explode(["items"]).unwrap();
        let same = |got: DataFrame, wanted: Vec<Value>| {
            let got = without_nulls(rows(&got), &["id", "items"]);
            assert_eq!(got, wanted, "{threads} threads, {blocksize} bytes");
        };
        same(items.clone(), plain.clone());
        let some = |keep: &dyn Fn(&Value) -> bool| {
            plain
                .iter()
                .filter(|row| keep(row))
                .cloned()
                .collect::<Vec<_>>()
        };
        same(items.filter("items >= 50").unwrap(), some(&big));
        same(
            items.filter("items >= 50 and id % 2 = 1").unwrap(),
            some(&|row| big(row) && odd(row)),
        );
        same(
            frame
                .filter("id % 2 = 1")
                .unwrap()
                .explode(["items"])
                .unwrap(),
            some(&odd),
        );
        same(items.limit(123), plain[..123].to_vec());
        let few = without_nulls(exploded(&records[..50], "items"), &["id", "items"]);
        same(frame.limit(50).explode(["items"]).unwrap(), few);
        assert_eq!(items.count().unwrap(), plain.len() as u64);
        assert_eq!(
            items.select(["id"]).unwrap().count().unwrap(),
            plain.len() as u64
        );
        let sizes = items
            .repartition(By::Count(7))
            .unwrap()
            .partition_sizes()
            .unwrap();
        assert_eq!(
            sizes.iter().map(|size| size.rows).sum::<u64>(),
            plain.len() as u64
        );
        let wanted: u64 = plain.iter().filter_map(|row| row["items"].as_u64()).sum();
        let sum = items.value(col("items").sum()).unwrap();
        assert_eq!(sum.to_string(), wanted.to_string());
    }
}

#[test]
fn the_balance_sheet_counts_what_lists_add() {
    let dir = tempfile::tempdir().unwrap();
    let records = records();
    written(&records, dir.path());
    let items = read(dir.path(), 2, 500).explode(["objects"]).unwrap();
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("out");
    let report = items
        .filter("objects.n >= 50")
        .unwrap()
        .to_parquet(&target)
        .unwrap();
    let all = exploded(&records, "objects");
    let kept = all
        .iter()
        .filter(|row| row["objects"]["n"].as_u64().is_some_and(|n| n >= 50));
    assert_eq!(report.rows_written(), kept.count() as u64);
    assert_eq!(report.rows, 400);
    assert_eq!(report.rows + report.exploded, all.len() as u64);
    assert_eq!(report.filtered, all.len() as u64 - report.rows_written());
    let texts = items.select([col("objects.t").alias("t")]).unwrap();
    let wanted = all.iter().filter_map(|row| row["objects"]["t"].as_str());
    let got = rows(&texts);
    let got = got.iter().filter_map(|row| row["t"].as_str());
    assert!(got.eq(wanted));
}

#[test]
fn lists_side_by_side_must_be_equally_long_and_the_row_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("two.json");
    std::fs::write(
        &path,
        "{\"a\":[1,2],\"b\":[\"x\",\"y\"]}\n{\"a\":[],\"b\":null}\n",
    )
    .unwrap();
    let both = read(dir.path(), 1, 1 << 20).explode(["a", "b"]).unwrap();
    assert_eq!(
        without_nulls(rows(&both), &["a", "b"]),
        [json!({"a":1,"b":"x"}), json!({"a":2,"b":"y"}), json!({})]
    );
    let more = "{\"a\":[1],\"b\":[\"x\"]}\n".repeat(40) + "{\"a\":[1,2],\"b\":[\"x\"]}\n";
    std::fs::write(&path, more).unwrap();
    for (threads, blocksize) in [(1, 1 << 20), (3, 50)] {
        let error = read(dir.path(), threads, blocksize)
            .explode(["a", "b"])
            .unwrap()
            .compute()
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("line 41") && text.contains("one list has 2 items, another 1"),
            "{text}"
        );
        // Rows before it are enough for a limit, wherever chunks end.
        let few = read(dir.path(), threads, blocksize)
            .explode(["a", "b"])
            .unwrap()
            .limit(40);
        assert_eq!(few.count().unwrap(), 40);
    }
}

#[test]
fn a_list_that_widens_later_gives_its_items_or_says_where_it_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("late.json");
    let start = "{\"a\":[1,2]}\n".repeat(100_000);
    std::fs::write(&path, format!("{start}{{\"a\":7}}\n{{\"a\":[3.0]}}\n")).unwrap();
    let items = read(dir.path(), 2, 1 << 16).explode(["a"]).unwrap();
    assert_eq!(items.value(col("a").sum()).unwrap().to_string(), "300010");
    std::fs::write(&path, format!("{start}{{\"a\":[\"x\"]}}\n")).unwrap();
    let error = read(dir.path(), 2, 1 << 16)
        .explode(["a"])
        .unwrap()
        .compute()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("line 100001") && text.contains("\"x\" is not int64"),
        "{text}"
    );
}

#[test]
fn what_holds_no_lists_is_refused_by_name() {
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
    ]));
    let n: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("n", n), ("list", list)]).unwrap();
    let frame = Session::default()
        .from_batches(batch.schema(), [batch])
        .unwrap();
    assert_eq!(rows(&frame.explode(["list"]).unwrap()).len(), 3);
    let fails = |columns: &[&str]| match frame.explode(columns.iter().copied()) {
        Err(Error::Plan { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        fails(&["n"]),
        "column \"n\" is Int64: it has no items to explode"
    );
    assert!(fails(&["lst"]).contains("no column \"lst\""));
    assert!(fails(&["list", "list"]).contains("twice"));
    assert!(fails(&[]).contains("no column to explode"));
}

#[test]
fn melted_columns_are_rows_in_their_order_and_text_where_types_differ() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wide.json");
    std::fs::write(
        &path,
        "{\"id\":1,\"a\":2,\"b\":\"x\"}\n{\"id\":2,\"b\":\"y\"}\n",
    )
    .unwrap();
    let wide = read(dir.path(), 2, 20);
    let long = wide.melt(["id"], ["b", "a"], "name", "value").unwrap();
    let wanted = [
        json!({"id":1,"name":"b","value":"x"}),
        json!({"id":1,"name":"a","value":"2"}),
        json!({"id":2,"name":"b","value":"y"}),
        json!({"id":2,"name":"a"}),
    ];
    assert_eq!(without_nulls(rows(&long), &["id", "name", "value"]), wanted);
    let error = wide.melt(["id"], ["c"], "name", "value").unwrap_err();
    assert!(error.to_string().contains("no column \"c\""), "{error}");
    let error = wide.melt(["id"], ["a"], "id", "value").unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn names_change_together_and_columns_are_chosen_by_type() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("a.json"),
        "{\"id\":1,\"name\":\"x\",\"size\":2.5}\n",
    )
    .unwrap();
    let frame = read(dir.path(), 1, 100);
    let names = |frame: DataFrame| {
        let schema = frame.compute().unwrap().schema();
        let names = schema.fields().iter().map(|field| field.name().clone());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(frame.add_prefix("l_").unwrap()), "l_id l_name l_size");
    assert_eq!(names(frame.add_suffix("_r").unwrap()), "id_r name_r size_r");
    assert_eq!(
        names(frame.select_dtypes(|of| of.is_numeric()).unwrap()),
        "id size"
    );
}
