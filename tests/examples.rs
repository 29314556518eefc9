//! The programs of `examples/` do what they say, on the fixtures.

#[allow(dead_code)] // Their `main` functions.
#[path = "../examples/aggregate.rs"]
mod aggregate;
#[allow(dead_code)]
#[path = "../examples/logs_to_parquet.rs"]
mod logs_to_parquet;
#[allow(dead_code)]
#[path = "../examples/skew.rs"]
mod skew;

#[test]
fn users_are_ranked_by_what_they_took() {
    let frame = aggregate::busiest("data/logs/*.json.gz").unwrap();
    let table = frame.compute().unwrap();
    assert_eq!(table.num_rows(), 10);
    let names = table.schema();
    let names: Vec<&str> = names
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["hour", "user", "count", "bytes", "p90_ms"]);
}

#[test]
fn logs_become_parquet_and_a_second_run_replaces_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("logs");
    for _ in 0..2 {
        let report = logs_to_parquet::convert("data/logs/*.json.gz", &out).unwrap();
        assert_eq!((report.rows, report.rows_written()), (2600, 2600));
        assert_eq!(windrow::read_parquet(&out).unwrap().count().unwrap(), 2600);
    }
}

#[test]
fn skewed_files_become_even_parts() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("even");
    let (before, after) = skew::cure("data/skewed/*.json.gz", &out).unwrap();
    assert!(
        before.rows.balance > 2.0 && before.hot.is_some(),
        "{before}"
    );
    assert_eq!((after.files, after.rows.balance), (4, 1.0), "{after}");
    assert_eq!(before.rows.total, after.rows.total);
}
