//! Partition by partition: made by functions, given to functions, folded, kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::arrow::schema::{DataType, Field, Schema, SchemaRef};
use windrow::expr::col;
use windrow::expr::{AggExpr, Groups, UserAggregate, UserState};
use windrow::{
    By, ByteSize, Cancel, DataFrame, Error, IndexOptions, PartitionRows, ReadOptions, Session,
    Settings, Table,
};

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

fn batch(numbers: impl IntoIterator<Item = i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    RecordBatch::try_new(schema(), vec![column]).unwrap()
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    let of_batch = |batch: &RecordBatch| {
        let column = batch.column_by_name("n").unwrap();
        column.as_primitive::<Int64Type>().values().to_vec()
    };
    batches.iter().flat_map(of_batch).collect()
}

fn partitions(table: &Table) -> Vec<Vec<i64>> {
    table
        .partitions()
        .iter()
        .map(|part| numbers(part))
        .collect()
}

/// Partitions of 0, 1, 2, ... rows: every third one has none at all.
fn uneven(session: &Session, count: usize) -> DataFrame {
    session.from_map(schema(), count, |idx| {
        Ok(match idx % 3 {
            0 => Vec::new(),
            1 => vec![batch(0..0), batch([idx as i64])],
            _ => vec![batch([idx as i64; 2]), batch([idx as i64])],
        })
    })
}

fn uneven_rows(count: i64) -> Vec<Vec<i64>> {
    let rows = (0..count).map(|idx| match idx % 3 {
        0 => vec![],
        1 => vec![idx],
        _ => vec![idx; 3],
    });
    rows.filter(|rows| !rows.is_empty()).collect()
}

#[test]
fn partitions_that_are_given_stay_as_they_are_and_empty_ones_are_none() {
    for threads in [1, 2, 5] {
        let session = session(threads);
        let made = uneven(&session, 50);
        assert_eq!(partitions(&made.compute().unwrap()), uneven_rows(50));
        assert_eq!(made.npartitions().unwrap(), uneven_rows(50).len());
        assert_eq!(made.count().unwrap(), uneven_rows(50).concat().len() as u64);
        let kept = made
            .filter("n % 2 = 0")
            .unwrap()
            .with_column("n", col("n") * 10)
            .unwrap();
        let wanted: Vec<Vec<i64>> = uneven_rows(50)
            .iter()
            .map(|rows| {
                rows.iter()
                    .filter(|n| *n % 2 == 0)
                    .map(|n| n * 10)
                    .collect::<Vec<_>>()
            })
            .filter(|rows| !rows.is_empty())
            .collect();
        assert_eq!(partitions(&kept.compute().unwrap()), wanted);
        let even = made.repartition(By::Count(7)).unwrap().compute().unwrap();
        assert_eq!(partitions(&even).concat(), uneven_rows(50).concat());
        assert_eq!(even.num_partitions(), 7);

        let parts = vec![vec![batch(0..3), batch(3..5)], vec![], vec![batch(5..6)]];
        let given = session.from_partitions(schema(), parts).unwrap();
        assert_eq!(
            partitions(&given.compute().unwrap()),
            [vec![0, 1, 2, 3, 4], vec![5]]
        );
        assert_eq!(given.count().unwrap(), 6);
        let out = tempfile::tempdir().unwrap();
        let report = given.to_parquet(out.path().join("out")).unwrap();
        let rows: Vec<u64> = report.outputs.iter().map(|part| part.rows).collect();
        assert_eq!(rows, [5, 1], "a partition is a part file");
    }
    let none = session(2).from_map(schema(), 0, |_| unreachable!());
    assert_eq!(none.compute().unwrap().num_rows(), 0);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let other = RecordBatch::try_from_iter([("n", text)]).unwrap();
    assert!(
        session(1)
            .from_partitions(schema(), vec![vec![other]])
            .is_err()
    );
}

fn doubled(part: PartitionRows) -> windrow::Result<Vec<RecordBatch>> {
    Ok(vec![batch(
        numbers(&part.batches).into_iter().map(|n| n * 2),
    )])
}

#[test]
fn a_function_gets_each_partition_once_and_whole() {
    for threads in [1, 2, 5] {
        let session = session(threads);
        for by in [By::Count(6), By::Rows(7), By::Rows(1000)] {
            let frame = uneven(&session, 60).repartition(by).unwrap();
            let wanted = partitions(&frame.compute().unwrap());
            let seen = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&seen);
            let whole = wanted.clone();
            let mapped = frame.map_partitions(schema(), move |part| {
                assert_eq!(numbers(&part.batches), whole[part.idx]);
                count.fetch_add(1, Ordering::Relaxed);
                doubled(part)
            });
            let found = partitions(&mapped.compute().unwrap());
            let twice = |rows: &Vec<i64>| rows.iter().map(|n| n * 2).collect::<Vec<_>>();
            assert_eq!(found, wanted.iter().map(twice).collect::<Vec<_>>());
            assert_eq!(seen.load(Ordering::Relaxed), wanted.len());
            // A stage behind a stage, and steps on both sides.
            let again = frame
                .filter("n > 10")
                .unwrap()
                .map_partitions(schema(), doubled)
                .filter("n < 90")
                .unwrap()
                .map_partitions(schema(), doubled);
            let all: Vec<i64> = wanted.concat();
            let kept = all
                .iter()
                .filter(|n| **n > 10 && **n * 2 < 90)
                .map(|n| n * 4);
            assert_eq!(
                partitions(&again.compute().unwrap()).concat(),
                kept.collect::<Vec<_>>()
            );
        }
    }
}

/// Of many that hold nothing, some are opened at a time.
#[test]
fn rows_behind_hundreds_of_empty_partitions_stand_in_order_and_so_does_the_first_error() {
    for threads in [1, 2, 5] {
        let session = session(threads);
        let sparse = |fails: bool| {
            session.from_map(schema(), 3_000, move |idx| match idx {
                1_000 if fails => Err(Error::plan("no more")),
                1_001.. if fails => panic!("{idx} is behind what failed"),
                _ if idx % 311 == 0 => Ok(vec![batch([idx as i64])]),
                _ => Ok(Vec::new()),
            })
        };
        let found = partitions(&sparse(false).compute().unwrap());
        let expected: Vec<Vec<i64>> = (0..3_000).step_by(311).map(|idx| vec![idx]).collect();
        assert_eq!(found, expected, "{threads} threads");
        let first = sparse(false).limit(3);
        assert_eq!(first.count().unwrap(), 3, "{threads} threads");
        let error = sparse(true).compute().unwrap_err().to_string();
        assert!(error.contains("partition 1000 of from_map"), "{error}");
    }
}

#[test]
fn what_a_function_does_wrong_names_the_partition() {
    let frame = uneven(&session(2), 30).repartition(By::Rows(5)).unwrap();
    let panics = frame.map_partitions(schema(), |part| {
        assert!(part.idx != 3, "no partition 3, please");
        doubled(part)
    });
    match panics.compute().unwrap_err() {
        Error::Panic { task, message } => {
            assert_eq!(task, "partition 3 of map_partitions");
            assert!(message.contains("no partition 3"), "{message}");
        }
        other => panic!("{other}"),
    }
    let refused = |idx| Error::config("n", format!("no partition {idx}"));
    let fails = frame.map_partitions(schema(), move |part| match part.idx {
        2 => Err(refused(2)),
        _ => doubled(part),
    });
    let error = fails.compute().unwrap_err();
    assert_eq!(
        error.to_string(),
        "partition 2 of map_partitions: n: no partition 2"
    );
    assert!(error.is_usage(), "as the error within");
    match error {
        Error::Task { source, .. } => assert!(matches!(*source, Error::Config { .. })),
        other => panic!("{other}"),
    }
    let folded = frame.reduce_partitions(move |part| Err::<(), _>(refused(part.idx)), |_, _| ());
    assert_eq!(
        folded.unwrap_err().to_string(),
        "partition 0 of reduce_partitions: n: no partition 0"
    );
    let made = session(2).from_map(schema(), 4, move |idx| Err(refused(idx)));
    assert_eq!(
        made.count().unwrap_err().to_string(),
        "partition 0 of from_map: n: no partition 0"
    );
    let stopped = frame.map_partitions(schema(), |_| Err(Error::Cancelled));
    assert!(matches!(stopped.count(), Err(Error::Cancelled)));
    let undeclared = frame.map_partitions(schema(), |part| {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let wrong = RecordBatch::try_from_iter([("n", text)])?;
        if part.idx == 1 {
            Ok(vec![wrong])
        } else {
            doubled(part)
        }
    });
    let error = undeclared.compute().unwrap_err().to_string();
    assert_eq!(
        error,
        "partition 1 of map_partitions has the columns (n Utf8), but (n Int64) were declared"
    );
    let makes = session(2).from_map(schema(), 9, |idx| {
        assert!(idx < 4, "{idx} is too many");
        Ok(vec![batch([1])])
    });
    let error = makes.count().unwrap_err().to_string();
    assert_eq!(error, "partition 4 of from_map panicked: 4 is too many");
    let table = makes.head(3).unwrap();
    assert_eq!(
        table.num_rows(),
        3,
        "what stands behind the rows asked for is not made"
    );
}

#[test]
fn computing_inside_a_function_finishes_on_one_thread() {
    let session = session(1);
    let inner = session.clone();
    let outer = uneven(&session, 12).map_partitions(schema(), move |part| {
        let total: i64 = numbers(&part.batches).iter().sum();
        let frame = uneven(&inner, 9).with_column("n", col("n") + total)?;
        let mapped = frame.map_partitions(schema(), doubled);
        Ok(vec![batch([mapped.count()? as i64])])
    });
    let found = partitions(&outer.compute().unwrap()).concat();
    assert_eq!(found, vec![12; uneven_rows(12).len()]);
}

#[test]
fn partitions_fold_in_their_order() {
    for threads in [1, 5] {
        let frame = uneven(&session(threads), 40)
            .repartition(By::Rows(6))
            .unwrap();
        let wanted = partitions(&frame.compute().unwrap());
        let folded = frame
            .reduce_partitions(
                |part| Ok(vec![numbers(&part.batches)]),
                |mut all, more| {
                    all.extend(more);
                    all
                },
            )
            .unwrap();
        assert_eq!(folded, Some(wanted));
        let nothing = frame.filter("n < 0").unwrap();
        assert_eq!(
            nothing.reduce_partitions(|_| Ok(1), |a, b| a + b).unwrap(),
            None
        );
        let failed = frame.reduce_partitions(
            |part| match part.idx {
                2 => Err(Error::Cancelled),
                idx => Ok(idx),
            },
            |a, b| a + b,
        );
        assert!(failed.is_err());
    }
}

#[test]
fn a_kept_frame_is_made_once_and_gives_back_what_it_took() {
    let parent = tempfile::tempdir().unwrap();
    let text = "x".repeat(1000);
    let wide: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]));
    for (memory, spills) in [(ByteSize::mib(512), false), (ByteSize::mib(32), true)] {
        let session = Session::new(Settings {
            memory,
            threads: 2,
            spill_dir: parent.path().to_path_buf(),
            ..Settings::default()
        });
        let made = Arc::new(AtomicUsize::new(0));
        let (count, columns, text) = (Arc::clone(&made), Arc::clone(&wide), text.clone());
        let frame = session.from_map(Arc::clone(&wide), 30, move |idx| {
            count.fetch_add(1, Ordering::Relaxed);
            let n: ArrayRef = Arc::new(Int64Array::from(vec![idx as i64; 1000]));
            let texts: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 1000]));
            Ok(vec![RecordBatch::try_new(
                Arc::clone(&columns),
                vec![n, texts],
            )?])
        });
        let kept = frame.persist().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 30);
        let spilled = || std::fs::read_dir(parent.path()).unwrap().count();
        assert_eq!(spilled() > 0, spills, "{memory}");
        for _ in 0..2 {
            assert_eq!(kept.count().unwrap(), 30_000);
            assert_eq!(kept.npartitions().unwrap(), 30);
            let some = kept.filter("n % 10 = 3").unwrap().select(["n"]).unwrap();
            let found = partitions(&some.compute().unwrap());
            assert_eq!(found, [3, 13, 23].map(|n| vec![n; 1000]));
        }
        assert_eq!(made.load(Ordering::Relaxed), 30, "rows are made once");
        let head = kept.head(2).unwrap();
        drop(kept);
        assert_eq!(spilled(), 0, "files go with the last frame");
        assert_eq!(head.num_rows(), 2);
        // What was kept is free again: as much can be kept once more.
        let again = frame.select(["n"]).unwrap().persist().unwrap();
        assert_eq!(again.count().unwrap(), 30_000);
        assert_eq!(spilled(), 0);
    }
}

#[test]
fn text_that_widens_is_kept_under_its_last_schema() {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (0..3000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    std::fs::write(
        dir.path().join("a.json"),
        lines + "{\"n\":2.5,\"late\":true}\n",
    )
    .unwrap();
    let options = ReadOptions {
        blocksize: Some(ByteSize::kib(4)),
        ..ReadOptions::default()
    };
    let frame = session(2).read_json(dir.path(), options).unwrap();
    let kept = frame.rename([("n", "m")]).unwrap().persist().unwrap();
    let columns = kept.schema().unwrap();
    let names: Vec<_> = columns
        .fields()
        .iter()
        .map(|f| (f.name().as_str(), f.data_type()))
        .collect();
    assert_eq!(
        names,
        [("m", &DataType::Float64), ("late", &DataType::Boolean)]
    );
    assert_eq!(
        kept.filter("m >= 2999 or late").unwrap().count().unwrap(),
        2
    );
    assert_eq!(kept.npartitions().unwrap(), frame.npartitions().unwrap());
}

#[test]
fn a_run_of_functions_is_cancelled_within_a_second() {
    let cancel = Cancel::new();
    let session = session(2).with_cancel(cancel.clone());
    let frame = session
        .from_map(schema(), 100_000, |idx| {
            std::thread::sleep(Duration::from_millis(5));
            Ok(vec![batch([idx as i64])])
        })
        .map_partitions(schema(), doubled);
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        cancel.cancel();
        Instant::now()
    });
    let error = frame.compute().unwrap_err();
    // All of them take four minutes; a loaded machine is given more than the second promised.
    assert!(stopper.join().unwrap().elapsed() < Duration::from_secs(30));
    assert!(matches!(error, Error::Cancelled), "{error}");
}

#[test]
fn many_partitions_are_planned_without_being_made() {
    let frame = session(2).from_map(schema(), 100_000_000, |_| unreachable!("nothing is made"));
    let planned = frame
        .filter("n > 1")
        .unwrap()
        .map_partitions(schema(), doubled)
        .select(["n"])
        .unwrap();
    let text = planned.explain().to_string();
    assert!(text.contains("100000000 partitions of from_map"), "{text}");
    assert!(
        text.contains("2. read each partition through map_partitions"),
        "{text}"
    );
}

#[test]
fn a_partition_that_is_taken_is_the_one_that_computing_all_gives() {
    let dir = tempfile::tempdir().unwrap();
    for file in 0..4 {
        let lines: String = (0..200)
            .map(|n| format!("{{\"n\":{}}}\n", file * 200 + n))
            .collect();
        std::fs::write(dir.path().join(format!("{file}.json")), lines).unwrap();
    }
    for threads in [1, 2, 5] {
        let options = ReadOptions {
            blocksize: Some(ByteSize::new(900)),
            ..ReadOptions::default()
        };
        let read = session(threads).read_json(dir.path(), options).unwrap();
        for frame in [
            read.clone(),
            read.filter("n % 3 = 0").unwrap(),
            read.repartition(By::Count(5)).unwrap(),
            read.repartition(By::Rows(64))
                .unwrap()
                .filter("n > 100")
                .unwrap(),
        ] {
            let all = partitions(&frame.compute().unwrap());
            for (idx, rows) in all.iter().enumerate() {
                let taken = frame.get_partition(idx);
                assert_eq!(
                    numbers(&taken.to_batches().unwrap()),
                    *rows,
                    "{idx} of {frame:?}"
                );
                let odd = taken.filter("n % 2 = 1").unwrap();
                let wanted: Vec<i64> = rows.iter().copied().filter(|n| n % 2 == 1).collect();
                assert_eq!(numbers(&odd.to_batches().unwrap()), wanted);
            }
            let error = frame.get_partition(all.len()).compute().unwrap_err();
            let said = format!("there are {}, counted from 0", all.len());
            assert!(error.to_string().contains(&said), "{error}");
            let handles = frame.partitions().unwrap();
            let each = handles
                .iter()
                .map(|part| numbers(&part.to_batches().unwrap()));
            assert_eq!(each.collect::<Vec<_>>(), all);
        }
        // Those of a function are the ones that it makes, empty ones too.
        let made = uneven(&session(threads), 10);
        let handles = made.partitions().unwrap();
        let rows = |frame: &DataFrame| numbers(&frame.to_batches().unwrap());
        for (idx, handle) in handles.iter().enumerate() {
            assert_eq!(rows(&made.get_partition(idx)), rows(handle), "{idx}");
        }
        let each = handles.iter().map(rows).filter(|rows| !rows.is_empty());
        let all = partitions(&made.compute().unwrap());
        assert_eq!(each.collect::<Vec<_>>(), all);
        assert!(all.len() < handles.len());
        let error = made.get_partition(10).compute().unwrap_err();
        assert!(error.to_string().contains("there are 10,"), "{error}");
    }
}

#[test]
fn handles_of_partitions_make_no_more_than_is_asked_for() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let frame = session(2).from_map(schema(), 100_000, move |idx| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(vec![batch([idx as i64])])
    });
    let handles = frame.partitions().unwrap();
    assert_eq!((handles.len(), made.load(Ordering::Relaxed)), (100_000, 0));
    assert_eq!(numbers(&handles[700].to_batches().unwrap()), [700]);
    assert_eq!(made.swap(0, Ordering::Relaxed), 1);
    assert_eq!(numbers(&frame.get_partition(3).to_batches().unwrap()), [3]);
    assert_eq!(made.swap(0, Ordering::Relaxed), 1);
    let behind = frame.filter("n >= 0").unwrap().get_partition(3);
    assert_eq!(numbers(&behind.to_batches().unwrap()), [3]);
    let made = made.load(Ordering::Relaxed);
    // Threads run ahead for as long as the one that takes rows in order is kept waiting.
    assert!(made < 50_000, "{made} partitions were made for one");
}

#[test]
fn slices_of_one_batch_hold_its_memory_once() {
    // 0.8 MB in a hundred slices, each of which holds all of it: 80 MB, if that counted.
    let whole = batch(0..100_000);
    let parent = tempfile::tempdir().unwrap();
    let session = Session::new(Settings {
        memory: ByteSize::mib(32),
        threads: 2,
        spill_dir: parent.path().to_path_buf(),
        ..Settings::default()
    });
    let slices = (0..100).map(|n| whole.slice(n * 1000, 1000));
    let frame = session.from_batches(schema(), slices).unwrap();
    let nothing_is_spilled = || assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);

    let kept = frame.persist().unwrap();
    nothing_is_spilled();
    assert_eq!(kept.count().unwrap(), 100_000);

    let merged = frame.merge(&kept, "n").unwrap().compute().unwrap();
    assert_eq!(
        (merged.num_rows(), merged.report().spilled_bytes),
        (100_000, 0)
    );

    let one = frame.repartition(By::Count(1)).unwrap();
    let given = one.map_partitions(schema(), |part| Ok(part.batches));
    assert_eq!(given.count().unwrap(), 100_000);
    assert_eq!(frame.tail(90_000).unwrap().num_rows(), 90_000);
}

/// Panics, or fails, where a partition of 13s is.
#[derive(Debug)]
struct Unlucky {
    fails: bool,
}

struct Thirteens(bool);

impl UserAggregate for Unlucky {
    fn name(&self) -> &str {
        "unlucky"
    }
    fn result_type(&self, _args: &[DataType]) -> windrow::Result<DataType> {
        Ok(DataType::Int64)
    }
    fn n_partial_columns(&self) -> usize {
        1
    }
    fn state(&self, _args: &[DataType]) -> windrow::Result<Box<dyn UserState>> {
        Ok(Box::new(Thirteens(self.fails)))
    }
}

impl UserState for Thirteens {
    fn update(&mut self, _groups: Groups<'_>, columns: &[ArrayRef]) -> windrow::Result<()> {
        let thirteen = columns[0]
            .as_primitive::<Int64Type>()
            .values()
            .contains(&13);
        match thirteen && self.0 {
            true => Err(Error::config("n", "13")),
            false => {
                assert!(!thirteen, "unlucky");
                Ok(())
            }
        }
    }
    fn merge(&mut self, _groups: Groups<'_>, _partial: &[ArrayRef]) -> windrow::Result<()> {
        Ok(())
    }
    fn partial(&mut self, n_groups: usize) -> windrow::Result<Vec<ArrayRef>> {
        Ok(vec![self.finish(n_groups)?])
    }
    fn finish(&mut self, n_groups: usize) -> windrow::Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(vec![7; n_groups])))
    }
    fn bytes(&self) -> usize {
        0
    }
}

#[test]
fn a_panic_of_any_given_function_names_it_and_the_partition() {
    for threads in [1, 2, 5] {
        let session = session(threads);
        let made = || session.from_map(schema(), 40, |idx| Ok(vec![batch([idx as i64; 3])]));
        let unlucky = |fails| AggExpr::user(Arc::new(Unlucky { fails }), [col("n")]).alias("u");
        let named = |error: Error, task: &str| match error {
            Error::Panic { task: found, .. } => assert_eq!(found, task),
            Error::Task { task: found, .. } => assert_eq!(found, task, "failed"),
            other => panic!("{other}"),
        };
        let whole = "the aggregate unlucky on partition 13 (from_map)";
        for fails in [false, true] {
            named(
                made().agg([unlucky(fails)]).unwrap().compute().unwrap_err(),
                whole,
            );
            let by_n = made()
                .groupby(["n"])
                .unwrap()
                .agg([unlucky(fails)])
                .unwrap();
            named(by_n.compute().unwrap_err(), whole);
            // Behind a step that needs input order, rows are folded where they are laid out.
            let behind = made().limit(100).agg([unlucky(fails)]).unwrap();
            named(behind.compute().unwrap_err(), whole);
        }
        let shown = made().for_each_batch(|batch| {
            assert!(!numbers(&[batch]).contains(&13), "unlucky");
            Ok(())
        });
        named(
            shown.unwrap_err(),
            "for_each_batch on partition 13 (from_map)",
        );
        let refused = made().for_each_batch(|_| Err(Error::config("n", "its own")));
        assert_eq!(refused.unwrap_err().to_string(), "n: its own");
        let groups = made().groupby(["n"]).unwrap().map_groups(schema(), |rows| {
            assert!(
                !numbers(std::slice::from_ref(&rows)).contains(&13),
                "unlucky"
            );
            Ok(rows)
        });
        named(
            groups.unwrap().compute().unwrap_err(),
            "partition 0 of map_groups",
        );
    }
}

#[test]
fn a_function_is_given_and_may_leave_out_columns_that_a_partition_of_text_lacks() {
    let options = ReadOptions {
        blocksize: Some(ByteSize::new(20)),
        ..ReadOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("late.json");
    std::fs::write(
        &path,
        "{\"n\":1}\n{\"n\":2}\n{\"n\":3,\"late\":\"x\"}\n{\"late\":\"y\",\"n\":4.5}\n",
    )
    .unwrap();
    let late = path.to_str().unwrap().to_owned();
    for (inputs, options) in [
        (late, options),
        ("data/logs/*.json.gz".to_owned(), ReadOptions::default()),
    ] {
        for threads in [1, 2, 5] {
            let frame = session(threads)
                .read_json(inputs.as_str(), options.clone())
                .unwrap();
            let known = frame.schema().unwrap();
            let columns = Arc::clone(&known);
            let same = frame.map_partitions(Arc::clone(&known), move |part| {
                let given = part.schema.fields().iter().zip(columns.fields());
                assert!(given.clone().count() == columns.fields().len());
                for (given, known) in given {
                    assert_eq!(
                        (given.name(), given.data_type()),
                        (known.name(), known.data_type())
                    );
                }
                assert!(
                    part.batches
                        .iter()
                        .all(|batch| batch.schema() == part.schema)
                );
                Ok(part.batches)
            });
            assert_eq!(
                same.compute().unwrap().to_string(),
                frame.compute().unwrap().to_string()
            );
            let first = known.field(0).name().clone();
            let mut fields = known.fields().to_vec();
            fields.push(Arc::new(Field::new("more", DataType::Utf8, true)));
            let wider = Arc::new(Schema::new(fields));
            let less = frame.map_partitions(wider, move |part| {
                let batches = part.batches.iter();
                Ok(batches
                    .map(|batch| batch.project(&[0]))
                    .collect::<Result<_, _>>()?)
            });
            let only = less.select([first.as_str()]).unwrap().compute().unwrap();
            let own = frame.select([first.as_str()]).unwrap().compute().unwrap();
            assert_eq!(only.to_string(), own.to_string());
            assert_eq!(
                less.filter("more is null").unwrap().count().unwrap(),
                frame.count().unwrap()
            );
        }
    }
    let needed = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("needed", DataType::Int64, false),
    ]));
    let refused = uneven(&session(2), 5)
        .map_partitions(needed, doubled)
        .count();
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("but (n Int64, needed Int64) were declared"),
        "{error}"
    );
}

#[test]
fn a_frame_says_how_many_partitions_it_has_as_far_as_it_knows() {
    let session = session(2);
    let made = uneven(&session, 6);
    let even = made.repartition(By::Rows(2)).unwrap();
    let kept = even.persist().unwrap();
    let rows = session.from_batches(schema(), [batch(0..10)]).unwrap();
    let given = vec![
        vec![batch(0..3)],
        vec![],
        vec![batch(0..0)],
        vec![batch(5..6)],
    ];
    let given = session.from_partitions(schema(), given).unwrap();
    let indexed = rows.set_index_with(
        "n",
        IndexOptions {
            by: By::Count(3),
            ..IndexOptions::default()
        },
    );
    let logs = session
        .read_json("data/logs/*.json.gz", ReadOptions::default())
        .unwrap();
    for (frame, said) in [
        (made.clone(), "at most 6 partitions"),
        (kept.clone(), "4 partitions"),
        (kept.filter("n > 4").unwrap(), "at most 4 partitions"),
        (kept.select(["n"]).unwrap(), "4 partitions"),
        (kept.repartition(By::Count(100)).unwrap(), "8 partitions"),
        (kept.repartition(By::Rows(3)).unwrap(), "3 partitions"),
        (
            made.repartition(By::Count(3)).unwrap(),
            "at most 3 partitions",
        ),
        (rows.clone(), "1 partition"),
        (rows.limit(0), "at most 1 partition"),
        (given.clone(), "2 partitions"),
        (windrow::concat([&given, &kept]).unwrap(), "6 partitions"),
        (indexed.unwrap(), "at most 3 partitions"),
        (rows.shuffle(["n"], 4).unwrap(), "at most 4 partitions"),
        (rows.agg([col("n").sum()]).unwrap(), "1 partition"),
        (rows.get_partition(0), "1 partition"),
        (logs, "as many partitions as a run will tell"),
    ] {
        let text = frame.to_string();
        let line = text.lines().last().unwrap();
        assert!(
            line.contains(&format!(", {said}, partitioning ")),
            "{line}: {said}"
        );
        let (n, found) = (
            said.split(' ').find_map(|word| word.parse().ok()),
            frame.npartitions().unwrap(),
        );
        match n {
            Some(most) if said.starts_with("at most") => assert!(found <= most, "{found}: {said}"),
            Some(n) => assert_eq!(found, n, "{said}"),
            None => assert!(found > 0),
        }
    }
}

/// A reader that counts what was taken of it, and ends as it is told.
struct Counted {
    left: usize,
    taken: Arc<AtomicUsize>,
    end: &'static str,
}

impl Iterator for Counted {
    type Item = Result<RecordBatch, windrow::arrow::schema::ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let n = self.taken.fetch_add(1, Ordering::Relaxed) as i64;
        if self.left == 0 {
            assert!(self.end != "panics", "no more");
            let wrong = || windrow::arrow::schema::ArrowError::ComputeError("torn".into());
            return (self.end == "fails").then(|| Err(wrong()));
        }
        self.left -= 1;
        Some(Ok(batch([n, n])))
    }
}

impl windrow::arrow::array::RecordBatchReader for Counted {
    fn schema(&self) -> SchemaRef {
        schema()
    }
}

#[test]
fn a_reader_is_read_when_a_run_asks_and_its_rows_are_there_once() {
    for threads in [1, 2, 5] {
        let session = session(threads);
        let read = |end| {
            let taken = Arc::new(AtomicUsize::new(0));
            let reader = Counted {
                left: 500,
                taken: Arc::clone(&taken),
                end,
            };
            (session.from_reader(reader), taken)
        };
        let (frame, taken) = read("ends");
        let doubled = frame.with_column("n", col("n") * 2).unwrap();
        assert!(doubled.explain().to_string().contains("from_reader"));
        assert_eq!(taken.load(Ordering::Relaxed), 0, "a plan reads nothing");
        let found = partitions(&doubled.compute().unwrap());
        let wanted: Vec<i64> = (0..500).flat_map(|n| [2 * n, 2 * n]).collect();
        assert_eq!(found, [wanted]);
        for frame in [&frame, &doubled] {
            let error = frame.count().unwrap_err().to_string();
            assert!(error.contains("read already: persist"), "{error}");
        }
        let (frame, taken) = read("ends");
        assert_eq!(frame.head(3).unwrap().num_rows(), 3);
        assert!(
            taken.load(Ordering::Relaxed) < 500,
            "rows behind those asked for stay"
        );
        let (frame, _) = read("ends");
        let sum = frame.agg([col("n").sum()]).unwrap();
        let both = windrow::compute_all([&sum, &frame.limit(1)]).unwrap();
        assert_eq!(numbers_of(&both[0]), [2 * 499 * 500 / 2]);
        let (frame, _) = read("fails");
        let error = frame.count().unwrap_err();
        assert!(matches!(error, Error::External { .. }));
        assert!(
            error.to_string().contains("batch 500 of from_reader")
                && error.to_string().contains("torn"),
            "{error}"
        );
        let (frame, _) = read("panics");
        let error = frame.count().unwrap_err().to_string();
        assert_eq!(error, "batch 500 of from_reader panicked: no more");
        let (frame, taken) = read("ends");
        let kept = frame.persist().unwrap();
        assert_eq!((kept.count().unwrap(), kept.count().unwrap()), (1000, 1000));
        assert!(taken.load(Ordering::Relaxed) <= 501);
    }
}

fn numbers_of(table: &Table) -> Vec<i64> {
    let column = |batch: &RecordBatch| {
        batch
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    };
    table.batches().flat_map(column).collect()
}
