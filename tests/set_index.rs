//! A frame with an index: sorted, in partitions with known bounds, whatever the cut.

mod oracle;
#[path = "common/session.rs"]
mod session;

use std::sync::Arc;

use oracle::{Cell, rows_of};
use session::session;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::expr::Scalar;
use windrow::{By, ByteSize, DataFrame, IndexOptions, Session};

/// `key` is 500 in half of the rows; every eleventh is null. `place` is their order.
fn table(rows: usize) -> RecordBatch {
    let key = |n: usize| match n % 2 {
        0 => 500,
        _ => (n * n * 7 % 997) as i64,
    };
    let keys = (0..rows).map(|n| (n % 11 != 3).then(|| key(n)));
    let columns: [(&str, ArrayRef); 3] = [
        ("key", Arc::new(keys.collect::<Int64Array>())),
        (
            "text",
            Arc::new(StringArray::from_iter_values(
                (0..rows).map(|n| format!("row {n}")),
            )),
        ),
        (
            "place",
            Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, of)| (name, of, true))).unwrap()
}

fn frame(session: &Session, batch: &RecordBatch, rows: usize) -> DataFrame {
    let pieces = (0..batch.num_rows().div_ceil(rows.max(1))).map(|idx| {
        let from = idx * rows;
        batch.slice(from, rows.min(batch.num_rows() - from))
    });
    let empty = std::iter::once(batch.slice(0, 0));
    session
        .from_batches(batch.schema(), empty.chain(pieces))
        .unwrap()
}

fn by(by: By) -> IndexOptions {
    IndexOptions {
        by,
        ..IndexOptions::default()
    }
}

/// Keys and places of each partition.
fn partitions(frame: &DataFrame) -> Vec<Vec<(Option<i64>, i64)>> {
    let table = frame.compute().unwrap();
    let of = |batches: &Vec<RecordBatch>| {
        let rows = rows_of(batches);
        let row = |row: &oracle::Row| {
            (
                row.get("key").and_then(Cell::int),
                row["place"].int().unwrap(),
            )
        };
        rows.iter().map(row).collect()
    };
    table.partitions().iter().map(of).collect()
}

#[test]
fn an_index_sorts_and_bounds_partitions_under_every_cut() {
    let rows = 2_000;
    let batch = table(rows);
    let mut wanted: Vec<(Option<i64>, i64)> =
        partitions(&frame(&session(1, ByteSize::mib(64)), &batch, rows)).concat();
    wanted.sort_by_key(|(key, place)| (key.is_none(), *key, *place));
    for n in [1, 3, 8] {
        let mut first = None;
        for (threads, cut, memory) in [(1, 2_000, 64), (2, 7, 32), (5, 300, 64)] {
            let session = session(threads, ByteSize::mib(memory));
            let indexed = frame(&session, &batch, cut);
            let indexed = indexed.set_index_with("key", by(By::Count(n))).unwrap();
            let found = partitions(&indexed);
            assert_eq!(found.concat(), wanted, "{n} partitions");
            assert_eq!(found.len(), n);
            let most = found.iter().map(Vec::len).max().unwrap();
            assert!(most * n <= rows * 3 / 2, "{most} rows in one of {n}");
            // Only the heavy keys, 500 and null, lie in several partitions.
            for pair in found.windows(2) {
                let (last, next) = (pair[0].last().unwrap().0, pair[1][0].0);
                assert!(
                    last != next || matches!(last, Some(500) | None),
                    "{last:?} is cut"
                );
            }
            assert_eq!(*first.get_or_insert(found.clone()), found);

            let divisions = indexed.divisions().unwrap().unwrap();
            let bounds = |part: &Vec<(Option<i64>, i64)>| {
                let keys: Vec<i64> = part.iter().filter_map(|row| row.0).collect();
                let scalar =
                    |key: Option<&i64>| key.map_or(Scalar::Null, |key| Scalar::Int64(*key));
                (scalar(keys.first()), scalar(keys.last()))
            };
            assert_eq!(
                divisions.bounds,
                found.iter().map(bounds).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn the_index_is_known_as_long_as_its_column_is_there_and_in_order() {
    let batch = table(100);
    let session = session(2, ByteSize::mib(64));
    let plain = frame(&session, &batch, 10);
    assert!(!plain.known_divisions() && plain.divisions().unwrap().is_none());
    assert!(
        plain
            .loc(3..5)
            .unwrap_err()
            .to_string()
            .contains("set_index")
    );
    let indexed = plain.set_index("key").unwrap();
    assert_eq!(indexed.index().as_deref(), Some("key"));
    let filtered = indexed.filter("place > 3").unwrap();
    assert!(filtered.known_divisions());
    let renamed = filtered.rename([("key", "id")]).unwrap();
    assert_eq!(renamed.index().as_deref(), Some("id"));
    assert!(!renamed.drop(["id"]).unwrap().known_divisions());
    assert!(indexed.repartition(By::Count(3)).unwrap().known_divisions());
    assert!(
        !indexed
            .set_index("place")
            .unwrap()
            .index()
            .unwrap()
            .eq("key")
    );
    let explained = indexed.explain().to_string();
    assert!(explained.contains("range(key)"), "{explained}");
    assert!(
        plain
            .set_index_with("key", by(By::FileBytes(ByteSize::mib(1))))
            .is_err()
    );
    assert!(
        plain
            .set_index("kee")
            .unwrap_err()
            .to_string()
            .contains("key")
    );
}

#[test]
fn a_kept_frame_keeps_its_index_and_so_does_each_of_its_partitions() {
    let batch = table(1_000);
    let session = session(2, ByteSize::mib(64));
    let indexed = frame(&session, &batch, 64)
        .set_index_with("key", by(By::Rows(100)))
        .unwrap();
    let kept = indexed.persist().unwrap();
    assert_eq!(kept.index().as_deref(), Some("key"));
    let bounds = |frame: &DataFrame| format!("{:?}", frame.divisions().unwrap().unwrap());
    assert_eq!(bounds(&kept), bounds(&indexed));
    assert_eq!(partitions(&kept), partitions(&indexed));
    let range = |frame: &DataFrame| partitions(&frame.loc(100..=500).unwrap()).concat();
    assert_eq!(range(&kept), range(&indexed));
    for part in kept.partitions().unwrap() {
        assert_eq!(part.index().as_deref(), Some("key"));
    }
    let unsorted = frame(&session, &batch, 64).persist().unwrap();
    assert!(!unsorted.known_divisions());
}

#[test]
fn loc_gives_the_rows_of_a_range() {
    let batch = table(1_000);
    let session = session(2, ByteSize::mib(64));
    let indexed = frame(&session, &batch, 64).set_index("key").unwrap();
    let keys: Vec<i64> = rows_of([&batch])
        .iter()
        .filter_map(|row| row.get("key")?.int())
        .collect();
    let count = |keep: &dyn Fn(i64) -> bool| keys.iter().filter(|key| keep(**key)).count() as u64;
    let found = |frame: windrow::Result<DataFrame>| frame.unwrap().count().unwrap();
    assert_eq!(
        found(indexed.loc(100..500)),
        count(&|key| (100..500).contains(&key))
    );
    assert_eq!(
        found(indexed.loc(100..=500)),
        count(&|key| (100..=500).contains(&key))
    );
    assert_eq!(found(indexed.loc(700..)), count(&|key| key >= 700));
    assert_eq!(found(indexed.loc::<i64>(..)), 1_000);
}

#[test]
fn rows_that_are_said_to_be_sorted_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let sorted = IndexOptions {
        sorted: true,
        ..IndexOptions::default()
    };
    let line = |key: &str, n: usize| format!("{{\"key\":{key},\"n\":{n}}}\n");
    let mut text = String::new();
    for n in 0..400 {
        // Whole numbers, then fractions, equal ones among them, then nulls.
        let key = match n {
            0..200 => format!("{}", n / 3),
            200..380 => format!("{}.5", n / 3),
            _ => "null".into(),
        };
        text.push_str(&line(&key, n));
    }
    let path = dir.path().join("rows.json");
    for threads in [1, 4] {
        let read = || {
            let session = session(threads, ByteSize::mib(64));
            session
                .read_json(path.to_str().unwrap(), Default::default())
                .unwrap()
        };
        std::fs::write(&path, &text).unwrap();
        let indexed = read().set_index_with("key", sorted).unwrap();
        assert_eq!(indexed.index().as_deref(), Some("key"));
        assert_eq!(indexed.compute().unwrap().num_rows(), 400);
        // One that is out of order, behind nulls and behind a greater one.
        for (late, before) in [("7", "null"), ("125", "126.5")] {
            let wrong = match before {
                "null" => format!("{text}{}", line(late, 400)),
                _ => format!(
                    "{}\n{}",
                    text.lines().take(380).collect::<Vec<_>>().join("\n"),
                    line(late, 400)
                ),
            };
            std::fs::write(&path, &wrong).unwrap();
            let said = read().set_index_with("key", sorted).unwrap().compute();
            let said = said.unwrap_err().to_string();
            let place = wrong.lines().count();
            assert!(said.contains(&format!("line {place} ")), "{said}");
            assert!(said.contains(late) && said.contains(before), "{said}");
        }
        // Nobody asks for what lies behind the first rows.
        let first = read().set_index_with("key", sorted).unwrap();
        assert_eq!(first.head(10).unwrap().num_rows(), 10);
    }
}

#[test]
fn divisions_survive_a_round_trip_through_parquet() {
    let dir = tempfile::tempdir().unwrap();
    let batch = table(3_000);
    let session = session(2, ByteSize::mib(64));
    let indexed = frame(&session, &batch, 500);
    let indexed = indexed.set_index_with("key", by(By::Count(6))).unwrap();
    let folder = dir.path().join("sorted");
    let report = indexed.to_parquet(&folder).unwrap();
    assert_eq!(report.outputs.len(), 6);
    let back = session.read_parquet(folder.to_str().unwrap()).unwrap();
    assert_eq!(back.index().as_deref(), Some("key"));
    assert_eq!(back.divisions().unwrap(), indexed.divisions().unwrap());
    assert_eq!(partitions(&back), partitions(&indexed));
    // Only row groups that overlap the range are read.
    let few = back.loc(0..100).unwrap();
    let table = few.compute().unwrap();
    assert!(
        table.report().skipped_row_groups >= 4,
        "{:?}",
        table.report().inputs
    );
    assert_eq!(
        table.num_rows() as u64,
        indexed.loc(0..100).unwrap().count().unwrap()
    );

    // What was not sorted, or was added to, or is not all there, claims nothing.
    let plain = dir.path().join("plain");
    frame(&session, &batch, 500).to_parquet(&plain).unwrap();
    let read = |path: &std::path::Path| session.read_parquet(path.to_str().unwrap()).unwrap();
    assert!(!read(&plain).known_divisions());
    let append = windrow::WriteOptions {
        existing: windrow::Existing::Append,
        ..windrow::WriteOptions::new(&folder)
    };
    indexed.loc(0..10).unwrap().write(&append).unwrap();
    assert!(!read(&folder).known_divisions());
    std::fs::remove_dir_all(&folder).unwrap();
    indexed.to_parquet(&folder).unwrap();
    assert!(read(&folder).known_divisions());
    let part = report.outputs[2].path.rsplit('/').next().unwrap();
    std::fs::remove_file(folder.join(part)).unwrap();
    assert!(!read(&folder).known_divisions());
}
