//! Several frames in one go: what they share is read once, and the rows are the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use windrow::arrow::schema::{DataType, Field, Schema};
use windrow::expr::{col, count};
use windrow::{By, ByteSize, DataFrame, ReadOptions, Session, Settings, compute_all, concat};

fn shown(frames: &[&DataFrame]) -> Vec<String> {
    let alone = frames
        .iter()
        .map(|frame| frame.compute().unwrap().to_string());
    alone.collect()
}

#[test]
fn two_aggregates_of_one_scan_read_it_once() {
    for threads in [1, 2, 5] {
        let session = Session::new(Settings {
            threads,
            ..Settings::default()
        });
        let options = ReadOptions {
            blocksize: Some(ByteSize::kib(64)),
            ..ReadOptions::default()
        };
        let logs = session.read_json("data/logs/*.json.gz", options).unwrap();
        let by_level = logs
            .groupby(["level"])
            .unwrap()
            .agg([count(), col("bytes").sum()])
            .unwrap();
        let slow = logs
            .filter("latency_ms > 100")
            .unwrap()
            .nlargest(5, "latency_ms")
            .unwrap();
        let both = concat([&by_level, &by_level]).unwrap();
        let frames = [&by_level, &slow, &both, &by_level];
        let wanted = shown(&frames);
        let before = session.progress().stored_bytes_read();
        let tables = compute_all(frames).unwrap();
        let read = session.progress().stored_bytes_read() - before;
        let got: Vec<String> = tables.iter().map(ToString::to_string).collect();
        assert_eq!(got, wanted, "{threads} threads");
        let stored: u64 = std::fs::read_dir("data/logs")
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert_eq!(read, stored, "{threads} threads");
    }
    assert!(compute_all([]).unwrap().is_empty());
}

/// A frame of ten partitions, and how many were made.
fn counted() -> (DataFrame, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let schema = Arc::new(Schema::new(
        ["n", "unused"]
            .map(|name| Field::new(name, DataType::Int64, false))
            .to_vec(),
    ));
    let columns = Arc::clone(&schema);
    let frame = Session::default().from_map(schema, 10, move |idx| {
        counter.fetch_add(1, Ordering::Relaxed);
        let n: ArrayRef = Arc::new(Int64Array::from_iter_values(
            (0..100).map(|n| n * idx as i64),
        ));
        Ok(vec![RecordBatch::try_new(
            Arc::clone(&columns),
            vec![Arc::clone(&n), n],
        )?])
    });
    (frame, made)
}

#[test]
fn what_frames_share_is_made_once_and_others_are_left_alone() {
    let (frame, made) = counted();
    let even = frame.filter("n % 2 = 0").unwrap();
    let sum = even.agg([col("n").sum()]).unwrap();
    let most = even.agg([col("n").max()]).unwrap();
    let all = frame.agg([count()]).unwrap();
    let wanted = shown(&[&sum, &most, &all]);
    made.store(0, Ordering::Relaxed);
    let got = compute_all([&sum, &most, &all]).unwrap();
    let got: Vec<String> = got.iter().map(ToString::to_string).collect();
    assert_eq!(got, wanted);
    assert_eq!(made.swap(0, Ordering::Relaxed), 10);
    compute_all([&sum, &most]).unwrap();
    assert_eq!(made.load(Ordering::Relaxed), 10);

    let (other, others) = counted();
    compute_all([&other.agg([col("n").sum()]).unwrap(), &all]).unwrap();
    assert_eq!(others.load(Ordering::Relaxed), 10);
}

#[test]
fn functions_of_partitions_see_the_partitions_that_they_see_alone() {
    let (frame, _) = counted();
    let schema = Arc::new(Schema::new(vec![Field::new("rows", DataType::Int64, true)]));
    let sizes = |frame: &DataFrame| {
        let columns = Arc::clone(&schema);
        frame.map_partitions(Arc::clone(&schema), move |part| {
            let rows: i64 = part
                .batches
                .iter()
                .map(|batch| batch.num_rows() as i64)
                .sum();
            let rows: ArrayRef = Arc::new(Int64Array::from(vec![rows]));
            Ok(vec![RecordBatch::try_new(
                Arc::clone(&columns),
                vec![rows],
            )?])
        })
    };
    let few = frame.filter("n < 300").unwrap();
    let frames = [
        &sizes(&few),
        &sizes(&few.repartition(By::Rows(70)).unwrap()),
        &few.get_partition(0),
        &few.limit(1000),
        &frame.agg([count()]).unwrap(),
    ];
    let wanted = shown(&frames);
    let got = compute_all(frames).unwrap();
    let got: Vec<String> = got.iter().map(ToString::to_string).collect();
    assert_eq!(got, wanted);
}
