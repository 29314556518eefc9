//! Rows in partitions by key: none lost, equal ones together, in their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use windrow::prelude::*;
use windrow::{DataFrame, IndexOptions, Table};

/// Keys with nulls and one that half of the rows have; places tell the order.
fn framed(n: i64, size: usize, threads: usize, memory: ByteSize) -> DataFrame {
    let key = |n: i64| (n % 11 != 0).then_some(if n % 2 == 0 { 7 } else { n * n % 23 });
    let keys: ArrayRef = Arc::new((0..n).map(key).collect::<Int64Array>());
    let places: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
    let whole = RecordBatch::try_from_iter([("key", keys), ("place", places)]).unwrap();
    let starts = (0..n as usize).step_by(size);
    let batches = starts.map(|start| whole.slice(start, size.min(n as usize - start)));
    let settings = Settings {
        threads,
        memory,
        ..Settings::default()
    };
    Session::new(settings)
        .from_batches(whole.schema(), batches)
        .unwrap()
}

/// Keys and places of each partition.
fn partitions(table: &Table) -> Vec<Vec<(Option<i64>, i64)>> {
    let of = |batch: &RecordBatch| {
        let ints = |idx: usize| batch.column(idx).as_primitive::<Int64Type>().clone();
        let (keys, places) = (ints(0), ints(1));
        let row = move |row| {
            (
                keys.is_valid(row).then(|| keys.value(row)),
                places.value(row),
            )
        };
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    };
    let partitions = table.partitions().iter();
    partitions
        .map(|batches| batches.iter().flat_map(of).collect())
        .collect()
}

#[test]
fn equal_keys_meet_in_one_partition_in_input_order() {
    let mut first = None;
    for (size, threads) in [(500, 1), (13, 2), (500, 5)] {
        let frame = framed(500, size, threads, ByteSize::gib(1));
        let found = partitions(&frame.shuffle(["key"], 4).unwrap().compute().unwrap());
        assert!(found.len() <= 4 && found.len() > 1);
        let mut of_key = BTreeMap::new();
        for (partition, rows) in found.iter().enumerate() {
            assert!(rows.is_sorted_by_key(|(_, place)| *place));
            for (key, _) in rows {
                assert_eq!(
                    *of_key.entry(*key).or_insert(partition),
                    partition,
                    "{key:?}"
                );
            }
        }
        assert_eq!(found.iter().map(Vec::len).sum::<usize>(), 500);
        assert_eq!(*first.get_or_insert(found.clone()), found);
    }
}

#[test]
fn rows_that_were_shuffled_are_known_to_be() {
    let frame = framed(100, 9, 2, ByteSize::gib(1));
    let by_key = frame.shuffle(["key"], 3).unwrap();
    assert!(
        by_key
            .explain()
            .to_string()
            .contains("shuffle by key into 3 partitions")
    );
    // Asking again moves nothing.
    let again = by_key.shuffle(["key"], 3).unwrap();
    assert_eq!(again.explain().optimized, by_key.explain().optimized);
    let other = by_key.shuffle(["key"], 4).unwrap();
    assert_ne!(other.explain().optimized, by_key.explain().optimized);
    // A filter goes before the rows are held, and leaves the rest where it was.
    let rows = |frame: &DataFrame| {
        let mut rows = partitions(&frame.compute().unwrap());
        rows.iter_mut()
            .for_each(|rows| rows.retain(|(_, place)| *place >= 50));
        rows.retain(|rows| !rows.is_empty());
        rows
    };
    assert_eq!(rows(&by_key.filter("place >= 50").unwrap()), rows(&by_key));
    let only = by_key.select(["place"]).unwrap();
    assert_eq!(only.npartitions().unwrap(), by_key.npartitions().unwrap());
    let error = frame.shuffle(["kay"], 3).unwrap_err().to_string();
    assert!(error.contains("did you mean \"key\""), "{error}");
    assert!(frame.shuffle(["key"], 0).is_err());
    assert!(frame.shuffle::<[&str; 0]>([], 2).is_err());
}

#[test]
fn text_whose_keys_widen_late_is_shuffled_by_what_they_are_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.json");
    let line = |n: i64| match n {
        0..=900 => format!("{{\"key\":{},\"place\":{n}}}\n", n % 7),
        _ => format!("{{\"key\":\"{}\",\"place\":{n}}}\n", n % 7),
    };
    std::fs::write(&path, (0..1_000).map(line).collect::<String>()).unwrap();
    for threads in [1, 3] {
        let settings = Settings {
            threads,
            ..Settings::default()
        };
        let options = ReadOptions {
            blocksize: Some(ByteSize::new(900)),
            ..ReadOptions::default()
        };
        let path = path.to_str().unwrap();
        let frame = Session::new(settings).read_json(path, options).unwrap();
        let shuffled = frame.shuffle(["key"], 3).unwrap();
        let counts = shuffled.groupby(["key"]).unwrap().size().unwrap();
        assert_eq!(counts.count().unwrap(), 7);
        let parts = shuffled.compute().unwrap();
        let with_key = |key: &str| {
            let holds = |batches: &&Vec<RecordBatch>| {
                let keys = batches
                    .iter()
                    .map(|batch| batch.column(0).as_string::<i32>());
                keys.flat_map(|keys| keys.iter())
                    .any(|known| known == Some(key))
            };
            parts.partitions().iter().filter(holds).count()
        };
        for key in ["0", "3", "6"] {
            assert_eq!(with_key(key), 1, "{key}");
        }
    }
}

#[test]
fn partitions_end_at_the_bounds_that_are_given() {
    for (size, threads) in [(300, 1), (17, 4)] {
        let frame = framed(300, size, threads, ByteSize::gib(1));
        let indexed = frame.set_index("key").unwrap();
        let cut = |bounds: &[i64], force| indexed.repartition_at(bounds.to_vec(), force);
        let sorted = partitions(&indexed.compute().unwrap()).concat();
        let parts = partitions(&cut(&[0, 5, 8, 22], false).unwrap().compute().unwrap());
        assert_eq!(parts.concat(), sorted);
        let ends = |rows: &Vec<(Option<i64>, i64)>| {
            let keys: Vec<i64> = rows.iter().filter_map(|row| row.0).collect();
            (keys[0], keys[keys.len() - 1])
        };
        let ends: Vec<_> = parts.iter().map(ends).collect();
        assert!(
            ends[0].1 < 5 && ends[1].0 >= 5 && ends[1].1 < 8 && ends[2].0 >= 8,
            "{ends:?}"
        );
        assert_eq!(parts.len(), 3);
        // The last row is one without a key.
        assert_eq!(parts[2].last().unwrap().0, None);
        let narrow = cut(&[3, 7], false)
            .unwrap()
            .compute()
            .unwrap_err()
            .to_string();
        assert!(
            narrow.contains("rows have key before 3 or behind 7"),
            "{narrow}"
        );
        let forced = partitions(&cut(&[3, 7, 9], true).unwrap().compute().unwrap());
        assert_eq!((forced.len(), forced.concat()), (2, sorted));
        assert!(forced[0].iter().all(|row| row.0.is_some_and(|key| key < 7)));
    }
}

#[test]
fn bounds_that_cannot_be_are_refused_and_rows_out_of_order_are_named() {
    let frame = framed(50, 50, 1, ByteSize::gib(1));
    let error = frame.repartition_at([1, 2], false).unwrap_err().to_string();
    assert!(error.contains("there is no index"), "{error}");
    let indexed = frame.set_index("key").unwrap();
    for (bounds, wanted) in [
        (vec![1], "one more than there are"),
        (vec![1, 5, 3], "3 stands behind 5"),
        (vec![1, 1, 3], "1 stands behind 1"),
    ] {
        let error = indexed
            .repartition_at(bounds, false)
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let error = indexed
        .repartition_at(["a", "b"], false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("'a'") || error.contains("\"a\""), "{error}");
    let said = IndexOptions {
        sorted: true,
        ..IndexOptions::default()
    };
    let said = frame.set_index_with("key", said).unwrap();
    let error = said
        .repartition_at([0, 30], true)
        .unwrap()
        .compute()
        .unwrap_err();
    assert!(
        error.to_string().contains("not sorted by \"key\""),
        "{error}"
    );
}

#[test]
fn shuffled_rows_past_the_budget_come_back_from_disk() {
    let wide = |frame: DataFrame| frame.with_column("wide", "lpad('x', 400)").unwrap();
    let tiny = wide(framed(60_000, 1_000, 2, ByteSize::mib(32)));
    let mut places = Vec::new();
    let report = tiny.shuffle(["key"], 5).unwrap().for_each_batch(|batch| {
        places.extend_from_slice(batch.column(1).as_primitive::<Int64Type>().values());
        Ok(())
    });
    assert!(report.unwrap().spilled_bytes > 0);
    let ample = framed(60_000, 1_000, 1, ByteSize::gib(1))
        .shuffle(["key"], 5)
        .unwrap();
    let wanted = partitions(&ample.compute().unwrap()).concat();
    assert!(wanted.iter().map(|row| row.1).eq(places));
}
