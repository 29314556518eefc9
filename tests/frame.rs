//! The frame, in process: rows, order, layout and errors, at any number of threads.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::arrow::schema::{DataType, Field, Schema};
use windrow::partition::Partitioning;
use windrow::{
    By, ByteSize, Cancel, DataFrame, Error, ReadOptions, SchedulerKind, Session, Settings,
};

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

/// Files of `{"n": …}` lines, numbered through; some are empty.
fn numbered(dir: &Path, sizes: &[usize]) -> usize {
    let mut n = 0;
    for (idx, size) in sizes.iter().enumerate() {
        let path = dir.join(format!("{idx:04}.json"));
        let mut file = std::fs::File::create(path).unwrap();
        for _ in 0..*size {
            writeln!(file, "{{\"n\":{n},\"text\":\"row {n}\"}}").unwrap();
            n += 1;
        }
    }
    n
}

fn numbers(frame: &DataFrame) -> Vec<Vec<i64>> {
    let table = frame.compute().unwrap();
    let of_batch = |batch: &RecordBatch| {
        let column = batch.column_by_name("n").unwrap();
        column.as_primitive::<Int64Type>().values().to_vec()
    };
    table
        .partitions()
        .iter()
        .map(|partition| partition.iter().flat_map(of_batch).collect())
        .collect()
}

#[test]
fn slices_of_one_batch_were_refused_as_if_each_were_the_whole() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..400_000));
    let whole = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let slices = (0..400).map(|idx| whole.slice(idx * 1000, 1000));
    let session = Session::new(Settings {
        memory: ByteSize::mib(32),
        ..Settings::default()
    });
    let frame = session.from_batches(whole.schema(), slices).unwrap();
    assert_eq!(frame.compute().unwrap().num_rows(), 400_000);
}

#[test]
fn order_is_kept_and_layouts_are_met_at_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let total = numbered(dir.path(), &[0, 5000, 1, 0, 17, 40_000, 3, 900, 0]);
    let expected: Vec<i64> = (0..total as i64).collect();
    for threads in [1, 2, 3, 8] {
        let frame = session(threads)
            .read_json(dir.path(), ReadOptions::default())
            .unwrap();
        for count in [1, 2, 7, 100] {
            let parts = numbers(&frame.repartition(By::Count(count)).unwrap());
            assert_eq!(parts.len(), count);
            let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            assert_eq!(parts.concat(), expected, "{threads} threads, {count}");
        }
        let parts = numbers(&frame.repartition(By::Rows(1000)).unwrap());
        assert!(
            parts[..parts.len() - 1]
                .iter()
                .all(|part| part.len() == 1000)
        );
        assert_eq!(parts.concat(), expected);
    }
}

#[test]
fn bytes_are_even_to_a_tenth_of_the_target() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[100, 30_000, 5, 2000]);
    let frame = session(2)
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    for target in [20_000, 100_000, 333_333] {
        let even = frame.repartition(By::Bytes(ByteSize::new(target))).unwrap();
        let sizes: Vec<u64> = even
            .partition_sizes()
            .unwrap()
            .iter()
            .map(|size| size.bytes)
            .collect();
        let spread = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
        assert!(spread <= target / 10, "{target}: {sizes:?}");
    }
}

#[test]
fn serial_and_threaded_give_the_same_partitions() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[3000, 10, 20_000]);
    let run = |scheduler| {
        let session = Session::new(Settings {
            scheduler,
            threads: 4,
            blocksize: ByteSize::kib(64),
            ..Settings::default()
        });
        numbers(
            &session
                .read_json(dir.path(), ReadOptions::default())
                .unwrap(),
        )
    };
    let serial = run(SchedulerKind::Serial);
    assert!(serial.len() > 5, "blocks make partitions");
    assert_eq!(run(SchedulerKind::Threaded), serial);
}

#[test]
fn rows_that_wait_are_spilled_and_come_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let spill = tempfile::tempdir().unwrap();
    // Twice the least budget, in rows that must wait for their count.
    let text = "x".repeat(2000);
    let mut file = std::fs::File::create(dir.path().join("a.json")).unwrap();
    for n in 0..30_000 {
        writeln!(file, "{{\"n\":{n},\"text\":\"{text}\"}}").unwrap();
    }
    drop(file);
    let session = Session::new(Settings {
        memory: ByteSize::mib(32),
        spill_dir: spill.path().to_path_buf(),
        ..Settings::default()
    });
    let frame = session
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let out = tempfile::tempdir().unwrap();
    let report = frame
        .repartition(By::Count(3))
        .unwrap()
        .to_parquet(out.path().join("out"))
        .unwrap();
    assert!(report.spilled_bytes > 0, "60 MB do not fit 32 MiB");
    let rows: Vec<u64> = report.outputs.iter().map(|output| output.rows).collect();
    assert_eq!(rows, [10_000, 10_000, 10_000]);
    let back = session.read_parquet(out.path().join("out")).unwrap();
    let expected: Vec<i64> = (0..30_000).collect();
    assert_eq!(numbers(&back.select(["n"]).unwrap()).concat(), expected);
    assert_eq!(std::fs::read_dir(spill.path()).unwrap().count(), 0);
}

#[test]
fn what_does_not_fit_in_memory_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let text = "x".repeat(5000);
    let mut file = std::fs::File::create(dir.path().join("a.json")).unwrap();
    for n in 0..20_000 {
        writeln!(file, "{{\"n\":{n},\"text\":\"{text}\"}}").unwrap();
    }
    drop(file);
    let session = Session::new(Settings {
        memory: ByteSize::mib(32),
        ..Settings::default()
    });
    let frame = session
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let error = frame.compute().unwrap_err();
    assert!(matches!(error, Error::Memory { .. }), "{error}");
    assert!(error.to_string().contains("32 MiB"), "{error}");
}

#[test]
fn a_head_walks_past_what_is_empty_and_reads_little() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[0, 0, 2, 0, 200_000, 200_000]);
    let session = session(2);
    let frame = session
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let head = frame.head(5).unwrap();
    assert_eq!(head.num_rows(), 5);
    let read = session.progress().stored_bytes_read();
    assert!(read < 1 << 20, "{read} bytes read for five rows");
    let sparse = frame.filter("n >= 300000").unwrap().head(3).unwrap();
    let batch = sparse.batches().next().unwrap();
    assert_eq!(
        batch.column(0).as_primitive::<Int64Type>().value(0),
        300_000
    );
}

#[test]
fn the_first_error_in_the_input_wins_at_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[20_000, 20_000, 20_000]);
    // Two bad lines: the later one stands in a file that is read sooner.
    for (file, line) in [("0001.json", 17_000), ("0002.json", 3)] {
        let path = dir.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines[line - 1] = "{\"n\": oops}";
        std::fs::write(&path, lines.join("\n")).unwrap();
    }
    for threads in [1, 2, 8] {
        for blocksize in [ByteSize::kib(4), ByteSize::mib(128)] {
            let options = ReadOptions {
                blocksize: Some(blocksize),
                ..ReadOptions::default()
            };
            let frame = session(threads).read_json(dir.path(), options).unwrap();
            match frame.count().unwrap_err() {
                Error::Decode { at, .. } => {
                    assert!(at.path.ends_with("0001.json"), "{}", at.path);
                    assert_eq!(at.line, 17_000);
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn unknown_names_are_refused_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[10]);
    let frame = session(1)
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let error = frame.filter("txet = 'a'").unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("\"text\""),
        "{error}"
    );
    let error = frame.select(["n", "texts"]).unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("\"text\""),
        "{error}"
    );
    assert!(frame.select(["n", "n"]).is_err());
    assert!(frame.filter("n + 1").is_err(), "not a condition");
    assert!(frame.repartition(By::Count(0)).is_err());
}

#[test]
fn a_cancelled_run_stops_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[50_000; 8]);
    let cancel = Cancel::new();
    let session = session(2).with_cancel(cancel.clone());
    let frame = session
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let out = tempfile::tempdir().unwrap();
    cancel.cancel();
    let error = frame.to_parquet(out.path().join("out")).unwrap_err();
    assert!(matches!(error, Error::Cancelled));
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn batches_in_memory_are_a_frame() {
    let batch = |from: i64| {
        RecordBatch::try_from_iter([
            (
                "n",
                Arc::new(Int64Array::from_iter_values(from..from + 10)) as ArrayRef,
            ),
            (
                "text",
                Arc::new(StringArray::from_iter_values(
                    (0..10).map(|n| format!("{n}")),
                )),
            ),
        ])
        .unwrap()
    };
    let schema = batch(0).schema();
    let empty = batch(0).slice(0, 0);
    let frame = session(2)
        .from_batches(Arc::clone(&schema), [batch(0), empty, batch(10)])
        .unwrap();
    assert_eq!(frame.count().unwrap(), 20);
    let even = frame
        .filter("n % 2 = 1")
        .unwrap()
        .repartition(By::Count(5))
        .unwrap();
    assert_eq!(
        numbers(&even),
        [[1, 3], [5, 7], [9, 11], [13, 15], [17, 19]]
    );
    let other = Arc::new(Schema::empty());
    assert!(session(1).from_batches(other, [batch(0)]).is_err());
}

#[test]
fn a_column_that_comes_late_widens_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(dir.path().join("a.json")).unwrap();
    for n in 0..40_000 {
        match n {
            39_000 => writeln!(file, "{{\"n\":{n},\"v\":1.5,\"late\":{{\"a\":true}}}}").unwrap(),
            39_500 => writeln!(file, "{{\"n\":{n},\"w\":{{\"x\":1}}}}").unwrap(),
            _ => writeln!(file, "{{\"n\":{n},\"v\":{n},\"w\":\"s\"}}").unwrap(),
        }
    }
    drop(file);
    let out = tempfile::tempdir().unwrap();
    let frame = session(2)
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let report = frame
        .repartition(By::Rows(1000))
        .unwrap()
        .to_parquet(out.path().join("out"))
        .unwrap();
    assert_eq!(report.outputs.len(), 40);
    assert!(report.rewritten_parts >= 30, "{}", report.rewritten_parts);
    let back = session(2).read_parquet(out.path().join("out")).unwrap();
    let schema = back.schema().unwrap();
    let types: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type().clone()))
        .collect();
    assert_eq!(types[1], ("v", DataType::Float64));
    assert_eq!(types[2], ("w", DataType::Utf8), "JSON text");
    assert!(matches!(types[3], ("late", DataType::Struct(_))));
    // Strings that were written before the first object came are quoted now, too.
    let texts = back
        .filter("n = 3 or n = 39500")
        .unwrap()
        .compute()
        .unwrap();
    let texts: Vec<String> = texts
        .batches()
        .flat_map(|batch| {
            let column = batch.column_by_name("w").unwrap().as_string::<i32>();
            column
                .iter()
                .flatten()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(texts, ["\"s\"", "{\"x\":1}"]);
}

#[test]
fn a_filter_may_look_at_columns_that_do_not_come_out() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), &[100, 200, 300]);
    let logs = session(2)
        .read_json(
            dir.path(),
            ReadOptions {
                include_path: Some("path".to_owned()),
                ..ReadOptions::default()
            },
        )
        .unwrap();
    let out = tempfile::tempdir().unwrap();
    logs.to_parquet(out.path().join("out")).unwrap();
    let stored = session(2).read_parquet(out.path().join("out")).unwrap();
    for (name, frame) in [("text", logs), ("columns", stored)] {
        let kept = frame
            .filter("text like '%7' and path like '%0001.json'")
            .unwrap()
            .select(["n"])
            .unwrap();
        let expected: Vec<i64> = (100..300).filter(|n| n % 10 == 7).collect();
        assert_eq!(numbers(&kept).concat(), expected, "{name}");
        assert_eq!(kept.count().unwrap(), 20, "{name}");
        let late = frame
            .limit(150)
            .filter("path like '%0001.json'")
            .unwrap()
            .select(["n"])
            .unwrap();
        assert_eq!(
            numbers(&late).concat(),
            (100..150).collect::<Vec<i64>>(),
            "{name}"
        );
    }
}

#[test]
fn an_append_goes_on_in_the_folders_of_the_first_run() {
    let dir = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(dir.path().join("a.json")).unwrap();
    for n in 0..100 {
        writeln!(file, "{{\"n\":{n},\"kind\":\"k{}\",\"v\":1.5}}", n % 3).unwrap();
    }
    drop(file);
    let frame = session(2)
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let options = |existing| windrow::WriteOptions {
        existing,
        partition_on: vec!["kind".to_owned()],
        ..windrow::WriteOptions::new(out.path().join("out"))
    };
    frame.write(&options(windrow::Existing::Refuse)).unwrap();
    frame.write(&options(windrow::Existing::Append)).unwrap();
    let back = session(2).read_parquet(out.path().join("out")).unwrap();
    assert_eq!(back.count().unwrap(), 200);
    for folder in ["kind=k0", "kind=k1", "kind=k2"] {
        let files = std::fs::read_dir(out.path().join("out").join(folder)).unwrap();
        assert_eq!(files.count(), 2, "{folder}");
    }
    // A value that the files' type cannot hold is an error with its place.
    std::fs::write(
        dir.path().join("a.json"),
        "{\"n\":\"x\",\"kind\":\"k0\",\"v\":2}\n",
    )
    .unwrap();
    let other = session(2)
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let error = other
        .write(&options(windrow::Existing::Append))
        .unwrap_err();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
}

#[test]
fn an_append_to_json_text_quotes_its_strings() {
    let dir = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let write = |text: &str, existing| {
        std::fs::write(dir.path().join("a.json"), text).unwrap();
        let frame = session(1)
            .read_json(dir.path(), ReadOptions::default())
            .unwrap();
        let options = windrow::WriteOptions {
            existing,
            ..windrow::WriteOptions::new(out.path().join("out"))
        };
        frame.write(&options).unwrap();
    };
    let first = "{\"v\":{\"a\":1}}\n{\"v\":\"s\"}\n";
    write(first, windrow::Existing::Refuse);
    write("{\"v\":\"t\"}\n{\"v\":[1]}\n", windrow::Existing::Append);
    let back = session(1).read_parquet(out.path().join("out")).unwrap();
    let texts: Vec<String> = back
        .to_batches()
        .unwrap()
        .iter()
        .flat_map(|batch| {
            let column = batch.column(0).as_string::<i32>();
            column
                .iter()
                .flatten()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(texts, ["{\"a\":1}", "\"s\"", "\"t\"", "[1]"]);
}

#[test]
fn small_partitions_are_joined_and_large_ones_cut_as_they_stream() {
    let made = |threads: usize| {
        let column = |rows: std::ops::Range<i64>| -> RecordBatch {
            let n: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
            RecordBatch::try_from_iter([("n", n)]).unwrap()
        };
        // Thirty of one row each, an empty one, and one of seventy.
        let schema = column(0..1).schema();
        session(threads).from_map(schema, 32, move |idx| {
            Ok(match idx {
                30 => Vec::new(),
                31 => vec![column(30..100)],
                idx => vec![column(idx as i64..idx as i64 + 1)],
            })
        })
    };
    let one = made(1);
    let bytes = one.partition_sizes().unwrap()[0].bytes;
    for (rows, threads) in [(1, 2), (7, 1), (7, 2), (7, 5), (33, 2), (1000, 2)] {
        let of_rows = ByteSize::new(bytes * rows);
        let frame = made(threads).coalesce(of_rows).unwrap();
        let all: Vec<i64> = (0..100).collect();
        let expected: Vec<Vec<i64>> = all.chunks(rows as usize).map(<[i64]>::to_vec).collect();
        assert_eq!(numbers(&frame), expected, "{rows} rows, {threads} threads");
        // What stands behind is given those partitions.
        let whole = frame.map_partitions(frame.schema().unwrap(), |part| Ok(part.batches));
        assert_eq!(numbers(&whole), expected, "{rows} rows, {threads} threads");
    }
    let error = one.coalesce(ByteSize::new(0)).unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error}");

    // Keys that met in one partition may be cut apart; an order stays one.
    let of_ten = ByteSize::new(bytes * 10);
    let met = one.shuffle(["n"], 4).unwrap();
    let cut = met.coalesce(of_ten).unwrap();
    assert_ne!(met.plan().partitioning(), Partitioning::Unknown);
    assert_eq!(cut.plan().partitioning(), Partitioning::Unknown);
    let sorted = one.sort_values(["n"]).unwrap();
    let known = sorted.plan().partitioning();
    assert_ne!(known, Partitioning::Unknown);
    let cut = sorted.coalesce(of_ten).unwrap();
    assert_eq!(cut.plan().partitioning(), known);
}

#[test]
fn batches_are_taken_by_names_and_types_and_what_they_say_of_nulls_gives_way() {
    let field = |nullable| Field::new("n", DataType::Int64, nullable);
    let schema = |fields: Vec<Field>| Arc::new(Schema::new(fields));
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let of = |nullable| {
        RecordBatch::try_new(schema(vec![field(nullable)]), vec![Arc::clone(&values)]).unwrap()
    };
    let session = Session::default();
    for declared in [true, false] {
        let given = [of(true), of(false)];
        let one = session.from_batches(schema(vec![field(declared)]), given.clone());
        let two = session.from_partitions(schema(vec![field(declared)]), vec![given.to_vec()]);
        for frame in [one.unwrap(), two.unwrap()] {
            let table = frame.compute().unwrap();
            assert_eq!(table.num_rows(), 4);
            for batch in table.batches() {
                assert_eq!(batch.schema(), frame.schema().unwrap());
                let at = |column: &ArrayRef| column.to_data().buffers()[0].as_ptr();
                assert_eq!(at(batch.column(0)), at(&values), "without a copy");
            }
        }
    }
    let null: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    let null = RecordBatch::try_new(schema(vec![field(true)]), vec![null]).unwrap();
    let refused = |fields: Vec<Field>, batch: &RecordBatch| {
        let frame = session.from_batches(schema(fields), [batch.clone()]);
        frame.unwrap_err().to_string()
    };
    let error = refused(vec![field(false)], &null);
    assert!(error.contains("null"), "{error}");
    let text = Field::new("n", DataType::Utf8, true);
    assert_eq!(
        refused(vec![text], &of(true)),
        "a batch has the columns (n Int64), not (n Utf8)"
    );
    assert_eq!(
        refused(vec![field(true), field(true)], &of(true)),
        "there are two columns \"n\"; rename one of them"
    );
}

#[test]
fn a_folder_that_was_written_without_rows_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("none");
    let n: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let rows = RecordBatch::try_from_iter([("n", n)]).unwrap();
    let frame = session(1).from_batches(rows.schema(), [rows]).unwrap();
    frame.filter("n > 3").unwrap().to_parquet(&out).unwrap();
    let error = windrow::read_parquet(&out).unwrap_err().to_string();
    assert!(
        error.ends_with("what was written there has no rows"),
        "{error}"
    );
}

#[test]
fn whatever_a_program_holds_crosses_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<DataFrame>();
    crosses::<Session>();
    crosses::<Settings>();
    crosses::<Cancel>();
    crosses::<Error>();
    crosses::<windrow::AsofOptions>();
    crosses::<windrow::Divisions>();
    crosses::<windrow::Estimate>();
    crosses::<windrow::GroupBy>();
    crosses::<windrow::Info>();
    crosses::<windrow::LazyWrite>();
    crosses::<windrow::MergeOptions>();
    crosses::<windrow::Progress>();
    crosses::<windrow::Reader>();
    crosses::<windrow::ReadOptions>();
    crosses::<windrow::Resample>();
    crosses::<windrow::RunReport>();
    crosses::<windrow::Stream>();
    crosses::<windrow::Table>();
    crosses::<windrow::WriteOptions>();
    crosses::<windrow::expr::AggExpr>();
    crosses::<windrow::expr::Expr>();
    crosses::<windrow::expr::Scalar>();
    crosses::<windrow::inspect::PlanGraph>();
    crosses::<windrow::inspect::Skew>();
    crosses::<windrow::plan::Explained>();
    crosses::<windrow::plan::Logical>();
}
