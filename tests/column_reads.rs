//! What a scan of column files costs: how often files are opened, and how many
//! bytes are read of them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use windrow::expr::col;
use windrow::{ByteSize, DataFrame, Session, Settings, Table};

/// A number for each row, a few kinds of rows, and text that does not compress well.
fn rows(n: usize) -> RecordBatch {
    let scrambled = |row: usize| (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let texts = (0..n).map(|row| {
        let words = (0..4).map(|word| format!("{:016x}", scrambled(row * 4 + word)));
        words.collect::<String>()
    });
    RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(0..n as i64)) as ArrayRef,
        ),
        (
            "kind",
            Arc::new(Int64Array::from_iter_values(
                (0..n).map(|row| (scrambled(row) % 1000) as i64),
            )),
        ),
        ("text", Arc::new(StringArray::from_iter_values(texts))),
    ])
    .unwrap()
}

fn properties() -> parquet::file::properties::WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
}

/// Writes a file, and lets it be old enough that its footer may be kept.
fn write(path: &Path, batch: &RecordBatch, properties: WriterProperties) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(&file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    settle(path, 3600);
}

fn settle(path: &Path, seconds: u64) {
    let file = std::fs::File::options().append(true).open(path).unwrap();
    let then = SystemTime::now() - Duration::from_secs(seconds);
    file.set_modified(then).unwrap();
}

fn session(memory: u64, threads: usize) -> Session {
    Session::new(Settings {
        memory: ByteSize::mib(memory),
        threads,
        ..Settings::default()
    })
}

/// What `run` opened and read.
fn cost<T>(session: &Session, run: impl FnOnce(&Session) -> T) -> (T, u64, u64) {
    let (opens, bytes) = (session.reads().opens(), session.reads().bytes());
    let given = run(session);
    let reads = session.reads();
    (given, reads.opens() - opens, reads.bytes() - bytes)
}

fn open(session: &Session, path: &Path) -> DataFrame {
    session.read_parquet(path.to_str().unwrap()).unwrap()
}

fn ids(table: &Table) -> Vec<i64> {
    let batches = table.batches();
    let ids = batches.flat_map(|batch| {
        let ids = batch.column_by_name("id").unwrap();
        let ids = ids.as_any().downcast_ref::<Int64Array>().unwrap();
        ids.values().to_vec()
    });
    ids.collect()
}

#[test]
fn a_footer_is_read_once_while_its_file_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, &rows(200), properties().build());
    let session = session(256, 1);
    let (frame, opens, bytes) = cost(&session, |session| open(session, &path));
    assert_eq!(opens, 1);
    assert!(bytes > 0);
    // The run opens the file for its one row group.
    let (table, opens, _) = cost(&session, |_| frame.compute().unwrap());
    assert_eq!((table.num_rows(), opens), (200, 1));
    let (_, opens, bytes) = cost(&session, |session| open(session, &path));
    assert_eq!((opens, bytes), (0, 0));
    // A filter that statistics answer reads nothing at all.
    let none = frame.filter("id < 0").unwrap();
    let (table, opens, bytes) = cost(&session, |_| none.compute().unwrap());
    assert_eq!((table.num_rows(), opens, bytes), (0, 0, 0));

    // Another file under the same name is another file.
    write(&path, &rows(300), properties().build());
    assert_eq!(open(&session, &path).compute().unwrap().num_rows(), 300);
    let old = std::fs::read(&path).unwrap();
    let at = old.len() - 9;
    std::fs::write(&path, [&old[..at], b"\xff", &old[at + 1..]].concat()).unwrap();
    settle(&path, 7200);
    assert!(session.read_parquet(path.to_str().unwrap()).is_err());
    // What was changed just now is not relied on.
    std::fs::write(&path, &old).unwrap();
    settle(&path, 0);
    for _ in 0..2 {
        let (_, opens, _) = cost(&session, |session| open(session, &path));
        assert_eq!(opens, 1);
    }
}

#[test]
fn footers_that_do_not_fit_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("0000.parquet");
    write(&file, &rows(1), properties().build());
    let bytes = std::fs::read(&file).unwrap();
    for n in 1..1500 {
        let path = dir.path().join(format!("{n:04}.parquet"));
        std::fs::write(&path, &bytes).unwrap();
        settle(&path, 3600);
    }
    // A sixteenth of 32 MiB holds some of them.
    let small = session(32, 1);
    let (frame, opens, _) = cost(&small, |session| open(session, dir.path()));
    assert_eq!(opens, 1500);
    let (table, opens, _) = cost(&small, |_| frame.compute().unwrap());
    assert_eq!(table.num_rows(), 1500);
    assert!((1500..3000).contains(&opens), "{opens}");
    let (_, opens, _) = cost(&small, |session| open(session, dir.path()));
    assert!((1..1500).contains(&opens), "{opens}");
}

#[test]
fn of_other_columns_only_pages_are_read_that_hold_rows_which_pass() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let all = rows(20_000);
    write(&path, &all, properties().build());
    let stored = std::fs::metadata(&path).unwrap().len();
    let session = session(256, 2);
    let frame = open(&session, &path);
    let (_, _, whole) = cost(&session, |_| frame.compute().unwrap());
    assert!(whole > stored * 9 / 10);
    // Statistics know nothing of kinds: they are everywhere.
    let few = frame.filter("kind = 77").unwrap();
    let (table, _, bytes) = cost(&session, |_| few.compute().unwrap());
    let kinds = all.column(1).as_any().downcast_ref::<Int64Array>().unwrap();
    let want = (0..20_000).filter(|row| kinds.value(*row as usize) == 77);
    assert_eq!(ids(&table), want.collect::<Vec<i64>>());
    assert!(table.num_rows() > 5);
    assert!(bytes * 3 < whole, "{bytes} of {whole}");
    // Only the columns that are wanted.
    let two = few.select(["id"]).unwrap();
    let (_, _, fewer) = cost(&session, |_| two.compute().unwrap());
    assert!(fewer < bytes);
}

#[test]
fn one_large_row_group_is_read_in_stretches_by_all_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let all = rows(60_000);
    write(&path, &all, properties().build());
    let mut answers = Vec::new();
    for (memory, threads) in [(1024, 1), (32, 1), (32, 2), (32, 5)] {
        let session = session(memory, threads);
        let frame = open(&session, &path);
        let (table, opens, _) = cost(&session, |_| frame.compute().unwrap());
        // Stretches of a quarter of what may be decoded ahead.
        assert_eq!(opens > 1, memory == 32, "{opens} with {memory} MiB");
        let report = table.report();
        assert_eq!((report.lines, report.rows), (60_000, 60_000));
        let text = table.batches().map(|batch| batch.column(2).clone());
        let text: Vec<ArrayRef> = text.collect();
        let text: Vec<&dyn arrow_array::Array> = text.iter().map(|text| &**text).collect();
        answers.push((ids(&table), arrow_select::concat::concat(&text).unwrap()));
    }
    assert_eq!(answers[0].0, (0..60_000).collect::<Vec<i64>>());
    assert_eq!(&answers[0].1, all.column(2));
    assert!(answers.iter().all(|answer| answer == &answers[0]));
}

/// A struct of twenty texts and one struct in it, null in some rows.
fn wide_struct(n: usize) -> RecordBatch {
    let all = rows(n);
    let text = all.column(2);
    let mut fields: Vec<Field> = (0..20)
        .map(|field| Field::new(format!("f{field}"), DataType::Utf8, true))
        .collect();
    let mut columns: Vec<ArrayRef> = (0..20).map(|_| Arc::clone(text)).collect();
    let inner = Fields::from(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let nulls: Vec<bool> = (0..n).map(|row| row % 7 != 0).collect();
    let values = vec![Arc::clone(all.column(0)), Arc::clone(text)];
    let inside = StructArray::new(inner.clone(), values, Some(nulls.into()));
    fields.push(Field::new("in", DataType::Struct(inner), true));
    columns.push(Arc::new(inside));
    let nulls: Vec<bool> = (0..n).map(|row| row % 5 != 0).collect();
    let wide = StructArray::new(Fields::from(fields), columns, Some(nulls.into()));
    RecordBatch::try_from_iter([
        ("id", Arc::clone(all.column(0))),
        ("wide", Arc::new(wide) as ArrayRef),
    ])
    .unwrap()
}

#[test]
fn of_a_struct_only_the_fields_that_somebody_looks_at_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let all = wide_struct(3000);
    write(&path, &all, properties().build());
    let in_memory = Session::default();
    let in_memory = in_memory.from_batches(all.schema(), [all]).unwrap();
    let session = session(256, 2);
    let frame = open(&session, &path);
    let (_, _, whole) = cost(&session, |_| frame.compute().unwrap());
    type Ask = fn(&DataFrame) -> windrow::Result<DataFrame>;
    let asks: [(Ask, u64); 6] = [
        (|frame| frame.select([col("wide.f3")]), 15),
        (|frame| frame.select([col("wide.in.id")]), 50),
        (
            |frame| frame.select([col("wide.in.id"), col("wide.f3")]),
            12,
        ),
        (|frame| frame.filter("wide.in.id = 77")?.select(["id"]), 20),
        (
            |frame| frame.filter("wide.in.id < 300")?.select([col("wide.f3")]),
            30,
        ),
        (
            |frame| frame.filter("wide.in.id is null")?.select(["id"]),
            20,
        ),
    ];
    for (idx, (ask, part)) in asks.into_iter().enumerate() {
        let asked = ask(&frame).unwrap();
        let (table, _, bytes) = cost(&session, |_| asked.compute().unwrap());
        assert!(bytes * part <= whole, "ask {idx}: {bytes} of {whole}");
        let want = ask(&in_memory).unwrap().compute().unwrap();
        let of = |table: &Table| {
            let batches: Vec<RecordBatch> = table.batches().cloned().collect();
            arrow_select::concat::concat_batches(&table.schema(), &batches).unwrap()
        };
        assert_eq!(of(&table).columns(), of(&want).columns(), "ask {idx}");
    }
    // A file whose struct has nothing of it.
    let other = dir.path().join("b.parquet");
    write(&other, &wide_struct(10), properties().build());
    let few: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("new", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef,
    )]));
    let few = RecordBatch::try_from_iter([("wide", few)]).unwrap();
    write(&dir.path().join("c.parquet"), &few, properties().build());
    let frame = open(&session, dir.path());
    let table = frame.select([col("wide.in.id"), col("wide.new")]).unwrap();
    let table = table.compute().unwrap();
    assert_eq!(table.num_rows(), 3012);
    let nulls = |column: usize| -> usize {
        let batches = table.batches();
        batches.map(|batch| batch.column(column).null_count()).sum()
    };
    assert_eq!(nulls(1), 3010);
    assert!(nulls(0) > 2 && nulls(0) < 1500);
}

#[test]
fn rows_are_counted_from_footers_alone() {
    let dir = tempfile::tempdir().unwrap();
    for file in 0..3 {
        let path = dir.path().join(format!("{file}.parquet"));
        let groups = properties().set_max_row_group_row_count(Some(700));
        write(&path, &rows(1000 * (file + 1)), groups.build());
    }
    let session = session(256, 2);
    let frame = open(&session, dir.path());
    let (counted, opens, bytes) = cost(&session, |_| frame.count().unwrap());
    assert_eq!((counted, opens, bytes), (6000, 0, 0));
}
