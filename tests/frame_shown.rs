//! What frames show of themselves: tables that fit, plans as text and pictures,
//! writes that wait.

use std::sync::Arc;

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::inspect::text::width;
use windrow::{DataFrame, Existing, Session, WriteOptions};

/// Ten columns, of one to ten characters.
fn wide() -> DataFrame {
    let columns = (1..=10).map(|n| {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["東".repeat(n), "x".repeat(n)]));
        (format!("c{n}"), texts)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    Session::default()
        .from_batches(batch.schema(), [batch])
        .unwrap()
}

#[test]
fn a_table_fits_every_width_and_counts_what_it_hides() {
    let table = wide().compute().unwrap();
    let whole = table.show(None).to_string();
    assert!(whole.ends_with("\n2 rows"), "{whole}");
    for limit in 1..140 {
        let text = table.show(Some(limit)).to_string();
        let (rows, total) = text.rsplit_once('\n').unwrap();
        let shown = rows.lines().next().unwrap().split_whitespace().count();
        let widest = rows.lines().map(width).max().unwrap();
        assert!(widest <= limit || shown == 1, "{limit}:\n{text}");
        match 10 - shown {
            0 => assert_eq!(text, whole),
            hidden => assert!(
                total.starts_with(&format!("2 rows; {hidden} of 10 columns not shown: c")),
                "{total}"
            ),
        }
    }
    let names = table.show(Some(1)).to_string();
    assert!(
        names.ends_with("c2, c3, c4, c5, c6, c7, c8, c9, …"),
        "{names}"
    );
}

#[test]
fn many_rows_are_counted_not_shown() {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..250));
    let batch = RecordBatch::try_from_iter([("n", n)]).unwrap();
    let halves = [batch.slice(0, 60), batch.slice(60, 190)];
    let frame = Session::default()
        .from_batches(batch.schema(), halves)
        .unwrap();
    let text = frame.compute().unwrap().to_string();
    assert_eq!(text.lines().count(), 2 + 100 + 2);
    assert!(text.ends_with("99\n... 150 more rows\n250 rows"), "{text}");
}

#[test]
fn a_planned_write_says_what_it_will_do_and_then_does_it() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let options = WriteOptions {
        partition_on: vec!["c1".into()],
        existing: Existing::Overwrite,
        ..WriteOptions::new(&target)
    };
    let write = wide().plan_write(options).unwrap();
    let last = write.explain().stages.pop().unwrap();
    let said = format!(
        "write parquet (zstd:1) into {}, in place of the files that are there, a folder for each c1",
        target.display()
    );
    assert_eq!(last, said);
    assert!(!target.exists());
    assert_eq!(write.run().unwrap().rows_written(), 2);
    assert!(target.join("c1=x").is_dir());
    assert_eq!(write.run().unwrap().rows_written(), 2);

    let wrong = WriteOptions {
        format: windrow::Format::Json,
        codec: Some(windrow::Codec::Snappy),
        ..WriteOptions::new(dir.path().join("other"))
    };
    let error = wide().plan_write(wrong).unwrap_err().to_string();
    assert!(error.contains("json files cannot hold snappy"), "{error}");
}

#[test]
fn a_plan_is_drawn_as_it_is_explained() {
    let frame = wide();
    let both = windrow::concat([&frame.filter("c1 = 'x'").unwrap(), &frame]).unwrap();
    let picture = both.limit(3).visualize();
    let nodes = both.limit(3).explain().optimized.len();
    assert_eq!(picture.svg().matches("<rect x=").count(), nodes);
    assert_eq!(picture.dot().matches("->").count(), nodes - 1);
    let dir = tempfile::tempdir().unwrap();
    picture.write(dir.path().join("plan.svg")).unwrap();
    picture.write(dir.path().join("plan.dot")).unwrap();
    let error = picture.write(dir.path().join("plan.png")).unwrap_err();
    assert!(error.to_string().contains(".svg"), "{error}");
}
