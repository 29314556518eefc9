//! Rows chosen by place, and rows as they come: samples, splits, the last rows, streams.

use std::io::Write;
use std::path::Path;

use windrow::arrow::array::RecordBatch;
use windrow::arrow::array::RecordBatchReader;
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::{ByteSize, DataFrame, Error, ReadOptions, Session, Settings};

/// Files of `{"n": …}` lines, numbered through.
fn numbered(dir: &Path, sizes: &[i64]) {
    let mut n = 0;
    for (idx, size) in sizes.iter().enumerate() {
        let mut text = String::new();
        for _ in 0..*size {
            text.push_str(&format!("{{\"n\":{n},\"text\":\"row {n}\"}}\n"));
            n += 1;
        }
        std::fs::write(dir.join(format!("{idx:03}.json")), text).unwrap();
    }
}

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

fn numbers_of(batch: &RecordBatch) -> Vec<i64> {
    let column = batch.column_by_name("n").unwrap();
    column.as_primitive::<Int64Type>().values().to_vec()
}

fn numbers(frame: &DataFrame) -> Vec<i64> {
    frame
        .compute()
        .unwrap()
        .batches()
        .flat_map(numbers_of)
        .collect()
}

#[test]
fn a_sample_is_the_same_rows_under_every_cut_and_a_split_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[0, 2000, 1, 0, 7000, 30]);
    let whole = read(dir.path(), 1, 1 << 20);
    let sample = numbers(&whole.sample(0.1, 42).unwrap());
    assert!((700..1100).contains(&sample.len()), "{}", sample.len());
    let odd = "n % 2 = 1";
    let of_odd = numbers(&whole.filter(odd).unwrap().sample(0.3, 1).unwrap());
    let odd_of = numbers(&whole.sample(0.3, 1).unwrap().filter(odd).unwrap());
    assert_ne!(of_odd, odd_of, "places are counted where the sample stands");
    for (threads, blocksize) in [(2, 512), (5, 1)] {
        let frame = read(dir.path(), threads, blocksize);
        assert_eq!(numbers(&frame.sample(0.1, 42).unwrap()), sample);
        assert_eq!(
            numbers(&frame.filter(odd).unwrap().sample(0.3, 1).unwrap()),
            of_odd
        );
        assert_eq!(
            numbers(&frame.sample(0.3, 1).unwrap().filter(odd).unwrap()),
            odd_of
        );
        let split = frame.random_split(&[8.0, 1.0, 1.0], 3).unwrap();
        let mut all: Vec<i64> = split.iter().flat_map(numbers).collect();
        all.sort_unstable();
        assert_eq!(all, (0..9031).collect::<Vec<_>>());
    }
    assert_eq!(numbers(&whole.sample(1.0, 5).unwrap()).len(), 9031);
    assert_eq!(whole.sample(0.0, 5).unwrap().count().unwrap(), 0);
    for wrong in [
        whole.sample(1.5, 0).unwrap_err(),
        whole.random_split(&[], 0).unwrap_err(),
    ] {
        assert!(wrong.is_usage(), "{wrong}");
    }
}

#[test]
fn a_tail_is_the_last_rows_of_whatever_comes_out() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[500, 0, 3, 900, 0]);
    for (threads, blocksize) in [(1, 1 << 20), (2, 100), (5, 1)] {
        let frame = read(dir.path(), threads, blocksize);
        for rows in [0, 1, 2, 899, 900, 904, 1403, 5000] {
            let tail = frame.tail(rows).unwrap();
            let found: Vec<i64> = tail.batches().flat_map(numbers_of).collect();
            let first = (1403 - rows as i64).max(0);
            assert_eq!(found, (first..1403).collect::<Vec<_>>(), "{rows} rows");
        }
        let tail = frame.filter("n < 10").unwrap().tail(3).unwrap();
        let found: Vec<i64> = tail.batches().flat_map(numbers_of).collect();
        assert_eq!(found, [7, 8, 9]);
    }
}

#[test]
fn a_stream_gives_every_row_in_order_and_its_balance_sheet_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[5000, 0, 20_000, 1]);
    for threads in [1, 2, 5] {
        let mut stream = read(dir.path(), threads, 1 << 20)
            .filter("n % 3 = 0")
            .unwrap()
            .stream()
            .unwrap();
        let mut found = Vec::new();
        for batch in stream.by_ref() {
            found.extend(numbers_of(&batch.unwrap()));
        }
        assert_eq!(found, (0..25_001).step_by(3).collect::<Vec<i64>>());
        let report = stream.report().expect("all batches were taken");
        assert_eq!(
            (report.lines, report.filtered),
            (25_001, 25_001 - found.len() as u64)
        );
        assert_eq!(stream.schema().unwrap().fields().len(), 2);
        assert!(stream.next().is_none(), "the end stays the end");
    }
}

#[test]
fn a_stream_that_is_dropped_stops_reading() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[200_000; 3]);
    let frame = read(dir.path(), 1, 1 << 20);
    let total: u64 = (0..3)
        .map(|idx| {
            std::fs::metadata(dir.path().join(format!("{idx:03}.json")))
                .unwrap()
                .len()
        })
        .sum();
    let progress = {
        let session = Session::new(Settings {
            threads: 1,
            ..Settings::default()
        });
        let frame = session
            .read_json(dir.path(), ReadOptions::default())
            .unwrap();
        let mut stream = frame.stream().unwrap();
        assert_eq!(numbers_of(&stream.next().unwrap().unwrap())[0], 0);
        drop(stream);
        session.progress().stored_bytes_read()
    };
    assert!(
        progress < total * 3 / 4,
        "{progress} of {total} bytes were read for one batch"
    );
    drop(frame.stream().unwrap());
}

#[test]
fn an_error_comes_in_its_place_in_a_stream_and_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[100]);
    let mut bad = std::fs::File::create(dir.path().join("900.json")).unwrap();
    writeln!(bad, "{{\"n\":oops}}").unwrap();
    let mut stream = read(dir.path(), 2, 1 << 20).stream().unwrap();
    let mut rows = 0;
    let error = loop {
        match stream.next().expect("there is an error") {
            Ok(batch) => rows += batch.num_rows(),
            Err(error) => break error,
        }
    };
    assert_eq!(rows, 100);
    assert!(matches!(error, Error::Decode { .. }), "{error}");
    assert!(stream.next().is_none());
}

#[test]
fn a_reader_keeps_the_schema_it_gave_or_says_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    // What is read is known from few files of many.
    numbered(dir.path(), &[3; 20]);
    let reader = read(dir.path(), 2, 1 << 20).reader().unwrap();
    let schema = RecordBatchReader::schema(&reader);
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert!(batches.iter().all(|batch| batch.schema() == schema));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 60);

    std::fs::write(dir.path().join("011.json"), "{\"n\":1,\"late\":2}\n").unwrap();
    let error = read(dir.path(), 2, 1 << 20)
        .reader()
        .unwrap()
        .find_map(Result::err)
        .expect("a column came late");
    assert!(error.to_string().contains("\"late\""), "{error}");
    let chosen = read(dir.path(), 2, 1 << 20).select(["n"]).unwrap();
    assert_eq!(
        chosen
            .reader()
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .sum::<usize>(),
        58
    );
}
