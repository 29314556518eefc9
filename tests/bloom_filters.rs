//! Bloom filters that a write was asked for: what they spare a reader, and what is refused.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use windrow::{Format, Session, WriteOptions};

/// Scrambled numbers, texts of them alone and in a struct, and a truth value.
fn rows(n: i64) -> RecordBatch {
    // No two follow each other at one distance: that would be stored in a few bytes.
    let scrambled = |row: i64| {
        let mixed = row.wrapping_mul(0x2545_f491_4f6c_dd1d);
        (mixed ^ (mixed >> 31)).wrapping_mul(0x1ce4_e5b9_bf58_476d)
    };
    let texts = || -> ArrayRef {
        let texts = (0..n).map(|row| format!("{:016x}", scrambled(row)));
        Arc::new(StringArray::from_iter_values(texts))
    };
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values((0..n).map(scrambled)));
    let of = Arc::new(Field::new("of", DataType::Utf8, true));
    let flag = arrow_array::BooleanArray::from_iter((0..n).map(|row| Some(row % 2 == 0)));
    RecordBatch::try_from_iter([
        ("id", id),
        ("name", texts()),
        ("inner", Arc::new(StructArray::from(vec![(of, texts())]))),
        ("flag", Arc::new(flag)),
    ])
    .unwrap()
}

fn write(session: &Session, dir: &std::path::Path, bloom: &[&str]) -> windrow::Result<()> {
    let batch = rows(20_000);
    let frame = session.from_batches(batch.schema(), [batch])?;
    frame.write(&WriteOptions {
        bloom: bloom.iter().map(|name| (*name).to_owned()).collect(),
        durable: false,
        ..WriteOptions::new(dir)
    })?;
    Ok(())
}

#[test]
fn a_row_group_without_the_value_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::default();
    let (with, without) = (dir.path().join("with"), dir.path().join("without"));
    write(&session, &with, &["id", "name", "inner.of"]).unwrap();
    write(&session, &without, &[]).unwrap();
    let present = rows(20_000);
    let text = |place: usize| {
        let names = present.column(1).as_any().downcast_ref::<StringArray>();
        names.unwrap().value(place).to_owned()
    };
    for (there, condition) in [
        (false, "id = 12345".to_owned()),
        (false, "name = '0123456789abcdeg'".to_owned()),
        (false, "inner.of in ('x', '0123456789abcdeg')".to_owned()),
        (true, "id = 0".to_owned()),
        (true, format!("name = '{}'", text(777))),
        (true, format!("inner.of in ('x', '{}')", text(19_999))),
    ] {
        let read = |path: &std::path::Path| {
            let frame = session.read_parquet(path.to_str().unwrap()).unwrap();
            let before = session.reads().bytes();
            let found = frame.filter(condition.as_str()).unwrap().compute().unwrap();
            (found.num_rows(), session.reads().bytes() - before)
        };
        let ((rows_with, bytes_with), (rows_without, bytes_without)) =
            (read(&with), read(&without));
        assert_eq!(rows_with, usize::from(there), "{condition}");
        assert_eq!(rows_without, rows_with, "{condition}");
        if !there {
            assert!(
                bytes_with * 2 < bytes_without,
                "{condition}: {bytes_with} of {bytes_without}"
            );
        }
    }
}

#[test]
fn filters_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::default();
    let refused = |bloom: &[&str]| {
        let error = write(&session, &dir.path().join("out"), bloom).unwrap_err();
        error.to_string()
    };
    let unknown = refused(&["nam"]);
    assert!(
        unknown.contains("\"nam\"") && unknown.contains("name"),
        "{unknown}"
    );
    let flag = refused(&["flag"]);
    assert!(
        flag.starts_with("bloom: column \"flag\" is Boolean"),
        "{flag}"
    );
    assert!(refused(&["inner"]).starts_with("bloom: "));
    let batch = rows(3);
    let frame = session.from_batches(batch.schema(), [batch]).unwrap();
    let json = WriteOptions {
        bloom: vec!["id".to_owned()],
        format: Format::Json,
        ..WriteOptions::new(dir.path().join("out"))
    };
    let error = frame.write(&json).unwrap_err().to_string();
    assert_eq!(
        error,
        "bloom: only Parquet has Bloom filters, json files have none"
    );
    assert!(!dir.path().join("out").exists());
}
