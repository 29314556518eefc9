//! Parquet and Arrow IPC files are read exactly, or refused by name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use windrow::Error;
use windrow::io::{IpcInput, ParquetInput, SourceFile, Wanted};

fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
    let words: ArrayRef = Arc::new(StringArray::from_iter(
        rows.clone()
            .map(|n| (n % 3 != 0).then(|| format!("word {n}"))),
    ));
    let negated: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.map(|n| -n)));
    RecordBatch::try_from_iter([("n", numbers), ("word", words), ("minus", negated)]).unwrap()
}

/// 1,000 rows in row groups of 300.
fn parquet_bytes() -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(300))
        .build();
    let mut out = Vec::new();
    let all = batch(0..1000);
    let mut writer = ArrowWriter::try_new(&mut out, all.schema(), Some(properties)).unwrap();
    writer.write(&all).unwrap();
    writer.close().unwrap();
    out
}

fn file_at(path: &Path) -> windrow::Result<SourceFile> {
    SourceFile::at(path.to_str().unwrap(), 0)
}

/// Opens and reads everything; the rows, or the first error.
fn read_all(path: &Path) -> windrow::Result<Vec<RecordBatch>> {
    let input = ParquetInput::open(&file_at(path)?)?;
    let mut batches = Vec::new();
    for idx in 0..input.row_groups().len() {
        for batch in input.read_row_group(idx, None, 1024)? {
            batches.push(batch?);
        }
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows as u64, input.rows());
    Ok(batches)
}

fn real(folder: &str) -> Option<PathBuf> {
    match std::env::var_os("WINDROW_REAL_DATA") {
        Some(root) => Some(Path::new(&root).join(folder)),
        None => {
            eprintln!("skipped: WINDROW_REAL_DATA is not set");
            None
        }
    }
}

#[test]
fn row_groups_are_read_whole_in_batches_of_the_size_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    std::fs::write(&path, parquet_bytes()).unwrap();
    let input = ParquetInput::open(&file_at(&path).unwrap()).unwrap();
    let rows: Vec<u64> = input.row_groups().iter().map(|group| group.rows).collect();
    assert_eq!(rows, [300, 300, 300, 100]);
    assert_eq!(
        input.stored_bytes(),
        std::fs::metadata(&path).unwrap().len()
    );
    assert!(
        input
            .row_groups()
            .iter()
            .all(|group| group.bytes > 0 && group.stored_bytes > 0)
    );
    let batches: Vec<_> = input
        .read_row_group(1, None, 128)
        .unwrap()
        .map(|batch| batch.unwrap())
        .collect();
    let sizes: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [128, 128, 44]);
    assert_eq!(batches[0], batch(300..428));
    assert_eq!(batches[2], batch(556..600));
}

/// Rows with lists of lists, some of them null or empty.
fn nested(rows: usize) -> RecordBatch {
    let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    for row in 0..rows {
        for inner in 0..row % 4 {
            for item in 0..(row + inner) % 3 {
                let text = format!("{row}.{inner}.{item}");
                let values = lists.values().values();
                values.append_option((row % 7 != 0).then_some(text));
            }
            lists.values().append(inner != 1);
        }
        lists.append(row % 5 != 0);
    }
    let flat = batch(0..rows as i64);
    let mut columns: Vec<(String, ArrayRef)> = vec![("lists".into(), Arc::new(lists.finish()))];
    for (field, column) in flat.schema().fields().iter().zip(flat.columns()) {
        columns.push((field.name().clone(), Arc::clone(column)));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn stretches_of_a_row_group_are_read_alone_and_hold_every_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let all = nested(1000);
    for (page_rows, index) in [(50, true), (50, false), (10_000, true)] {
        let statistics = match index {
            true => EnabledStatistics::Page,
            false => EnabledStatistics::Chunk,
        };
        let properties = WriterProperties::builder()
            .set_data_page_row_count_limit(page_rows)
            .set_write_batch_size(1)
            .set_statistics_enabled(statistics)
            .set_offset_index_disabled(!index)
            .build();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, all.schema(), Some(properties)).unwrap();
        writer.write(&all).unwrap();
        writer.close().unwrap();
        let input = ParquetInput::open(&file_at(&path).unwrap()).unwrap();
        let wanted = |columns: &[usize]| Wanted {
            columns: Arc::new(input.schema().project(columns).unwrap()),
            batch_rows: 64,
            coded: Arc::new([]),
            filter: None,
        };
        for (columns, can_be_cut) in [(&[0, 1, 2, 3][..], index), (&[3, 2], true)] {
            let wanted = wanted(columns);
            let want = all.project(columns).unwrap();
            for least_rows in [1, 64, 300, 5000] {
                let stretches = input.stretches(0, &wanted.columns, 1000, least_rows);
                assert_eq!(stretches.len() > 1, can_be_cut && least_rows < 1000);
                let mut next = 0;
                let mut batches = Vec::new();
                for stretch in stretches {
                    assert_eq!(stretch.rows.start, next);
                    next = stretch.rows.end;
                    let read = input.read(&stretch, &wanted).unwrap();
                    batches.extend(read.map(Result::unwrap));
                }
                assert_eq!(next, 1000);
                let read = arrow_select::concat::concat_batches(&want.schema(), &batches);
                assert_eq!(read.unwrap(), want, "{columns:?} {least_rows}");
            }
        }
    }
}

#[test]
fn columns_come_in_the_order_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    std::fs::write(&path, parquet_bytes()).unwrap();
    let input = ParquetInput::open(&file_at(&path).unwrap()).unwrap();
    let read = |columns: &[&str]| {
        let columns: Vec<String> = columns.iter().map(|name| name.to_string()).collect();
        let batches = input.read_row_group(0, Some(&columns), 1000)?;
        let schema = batches.schema().clone();
        let batches: Vec<RecordBatch> = batches.collect::<windrow::Result<_>>()?;
        assert!(batches.iter().all(|batch| batch.schema() == schema));
        windrow::Result::Ok(batches)
    };
    let whole = batch(0..300);
    assert_eq!(
        read(&["minus", "n"]).unwrap(),
        [whole.project(&[2, 0]).unwrap()]
    );
    assert_eq!(read(&["word"]).unwrap(), [whole.project(&[1]).unwrap()]);
    let none = read(&[]).unwrap();
    assert_eq!((none[0].num_columns(), none[0].num_rows()), (0, 300));
    let error = read(&["wrod"]).unwrap_err();
    assert!(matches!(error, Error::Plan { .. }), "{error}");
    assert!(input.read_row_group(9, None, 10).is_err());
    assert!(input.read_row_group(0, None, 0).is_err());
}

#[test]
fn a_parquet_file_cut_or_changed_anywhere_is_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let whole = parquet_bytes();
    for cut in (0..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let error = read_all(&path).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{cut}: {error}");
        assert!(error.to_string().contains("a.parquet"), "{error}");
    }
    // Pages here and there, the footer byte by byte.
    let footer = whole.len() - 1500;
    for at in (0..footer).step_by(31).chain(footer..whole.len()) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(&path, &changed).unwrap();
        if let Err(error) = read_all(&path) {
            assert!(error.to_string().contains("a.parquet"), "{at}: {error}");
        }
    }
}

#[test]
fn what_is_no_parquet_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    for (bytes, words) in [
        (b"".as_slice(), "at least 12 bytes"),
        (b"{\"a\":1}\n{\"a\":2}\n", "its end is missing"),
        (b"PAR1\xff\xff\xff\x7fPAR1", "claims 2147483647 bytes"),
        (b"PARE12345678PARE", "encrypted"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = ParquetInput::open(&file_at(&path).unwrap())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = file_at(&dir.path().join("gone")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn parquet_of_other_writers_is_read() {
    let Some(folder) = real("parquet_testing/data") else {
        return;
    };
    for (name, rows) in [
        ("alltypes_plain.parquet", 8),
        ("alltypes_plain.snappy.parquet", 2),
        ("alltypes_dictionary.parquet", 2),
        ("datapage_v2.snappy.parquet", 5),
        ("delta_byte_array.parquet", 1000),
        ("fixed_length_decimal.parquet", 24),
        ("int32_decimal.parquet", 24),
        ("int96_from_spark.parquet", 6),
        ("list_columns.parquet", 3),
        ("nested_lists.snappy.parquet", 3),
        ("nested_maps.snappy.parquet", 6),
        ("nulls.snappy.parquet", 8),
        ("single_nan.parquet", 1),
    ] {
        let batches = read_all(&folder.join(name)).unwrap_or_else(|error| panic!("{error}"));
        let read: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(read, rows, "{name}");
    }
}

#[test]
fn old_time_stamps_beyond_the_nanosecond_range_are_exact() {
    let Some(folder) = real("parquet_testing/data") else {
        return;
    };
    let batches = read_all(&folder.join("int96_from_spark.parquet")).unwrap();
    let column = batches[0].column(0);
    assert_eq!(
        column.data_type(),
        &DataType::Timestamp(TimeUnit::Microsecond, None)
    );
    let values: Vec<Option<i64>> = column
        .as_primitive::<TimestampMicrosecondType>()
        .iter()
        .collect();
    // 2024-01-01 20:34:56.123456, 2024-01-01 01:00, 9999-12-31 01:00,
    // 2024-12-31 01:00, none, 290000-12-31 01:00, as Spark wrote them.
    assert_eq!(
        values,
        [
            Some(1_704_141_296_123_456),
            Some(1_704_070_800_000_000),
            Some(253_402_225_200_000_000),
            Some(1_735_599_600_000_000),
            None,
            Some(9_089_380_393_200_000_000),
        ]
    );
    // Where all fit, nanoseconds stay.
    let batches = read_all(&folder.join("alltypes_plain.parquet")).unwrap();
    let schema = batches[0].schema();
    let field = schema.field_with_name("timestamp_col").unwrap();
    assert_eq!(
        field.data_type(),
        &DataType::Timestamp(TimeUnit::Nanosecond, None)
    );
}

#[test]
fn a_page_whose_checksum_is_wrong_is_refused() {
    let Some(folder) = real("parquet_testing/data") else {
        return;
    };
    let error = read_all(&folder.join("datapage_v1-corrupt-checksum.parquet")).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(
        error.to_string().to_lowercase().contains("checksum") || error.to_string().contains("CRC"),
        "{error}"
    );
}

#[test]
fn encrypted_and_damaged_files_are_refused_by_name() {
    let Some(root) = real("parquet_testing") else {
        return;
    };
    let mut refused = 0;
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.display().to_string();
            let encrypted = name.ends_with(".encrypted");
            if !encrypted && !name.contains("bad_data") && !name.ends_with(".parquet") {
                continue;
            }
            match read_all(&path) {
                Err(error) => {
                    assert!(error.to_string().contains(&name), "{error}");
                    assert_eq!(
                        error.to_string().contains("encrypted"),
                        encrypted,
                        "{error}"
                    );
                    eprintln!("{error}");
                    refused += 1;
                }
                // A dictionary index of no bits is odd but says what its rows are.
                Ok(_) if name.ends_with("ARROW-GH-43605.parquet") => {}
                Ok(_) => assert!(!encrypted && !name.contains("bad_data"), "{name} was read"),
            }
        }
    }
    assert!(refused >= 3, "{refused}");
}

#[test]
fn an_ipc_file_gives_its_batches_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.arrow");
    let batches = [batch(0..10), batch(10..1000)];
    let mut out = Vec::new();
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new(&mut out, &batches[0].schema()).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    std::fs::write(&path, &out).unwrap();
    let input = IpcInput::open(&file_at(&path).unwrap()).unwrap();
    assert_eq!(input.n_batches(), 2);
    assert_eq!(input.schema(), &batches[0].schema());
    let read: Vec<_> = input
        .batches()
        .unwrap()
        .map(|batch| batch.unwrap())
        .collect();
    assert_eq!(read, batches);
    let sum: i64 = read[1]
        .column(0)
        .as_primitive::<Int64Type>()
        .values()
        .iter()
        .sum();
    assert_eq!(sum, (10..1000i64).sum::<i64>());

    let footer = out.len() - 700;
    for at in (0..footer).step_by(101).chain(footer..out.len()) {
        let mut changed = out.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(&path, &changed).unwrap();
        let outcome = IpcInput::open(&file_at(&path).unwrap())
            .and_then(|input| input.batches()?.collect::<windrow::Result<Vec<_>>>());
        if let Err(error) = outcome {
            assert!(error.to_string().contains("a.arrow"), "{error}");
        }
        std::fs::write(&path, &out[..at]).unwrap();
        assert!(
            IpcInput::open(&file_at(&path).unwrap()).is_err(),
            "cut at {at}"
        );
    }
}

#[test]
fn a_filter_splits_the_rows_of_other_writers_files_in_two() {
    let Some(root) = real("parquet_testing") else {
        return;
    };
    let mut read = 0;
    for folder in ["data", "bad_data"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            let session = windrow::Session::default();
            let Ok(frame) = session.read_parquet(&path) else {
                continue; // Refused by name: as another test has it.
            };
            let whole = frame.compute().map(|table| table.num_rows());
            for field in frame.schema().unwrap().fields() {
                let column = windrow::expr::col(field.name());
                let half = |condition: windrow::expr::Expr| -> windrow::Result<usize> {
                    let table = frame.filter(condition)?.compute()?;
                    Ok(table.num_rows())
                };
                let null = column.clone().is_null();
                let none = half(null.clone());
                let halves = none.and_then(|none| half(null.not()).map(|some| none + some));
                match (&whole, halves) {
                    (Ok(whole), Ok(halves)) => assert_eq!(halves, *whole, "{name}"),
                    (Ok(_), Err(error)) => panic!("{name}: {error}"),
                    (Err(_), Ok(_)) => {} // What is damaged was not looked at.
                    (Err(_), Err(error)) => assert!(error.to_string().contains(&name), "{error}"),
                }
            }
            read += 1;
        }
    }
    assert!(read > 12, "{read}");
}
