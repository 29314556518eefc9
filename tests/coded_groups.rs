//! Groups by texts that files hold as dictionaries are those of the same rows in memory.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_select::concat::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use windrow::expr::{col, count};
use windrow::{ByteSize, DataFrame, Keep, Result, Session, Settings, Table};

/// Texts of few kinds, of which the middle third has too many for a dictionary; nulls.
fn rows() -> RecordBatch {
    let kind = |row: i64| match row {
        _ if row % 11 == 0 => None,
        1000..2000 => Some(format!("many {}", row % 700)),
        _ => Some(format!("many {}", row % 5)),
    };
    let place = |row: i64| Some(format!("place {}", row * row % 13));
    let column = |of: &dyn Fn(i64) -> Option<String>| -> ArrayRef {
        Arc::new((0..3000).map(of).collect::<StringArray>())
    };
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3000));
    let columns = [
        ("kind", column(&kind)),
        ("place", column(&place)),
        ("n", numbers),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, of)| (name, of, true))).unwrap()
}

fn one(table: &Table) -> RecordBatch {
    concat_batches(&table.schema(), table.batches()).unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1000))
        .set_dictionary_page_size_limit(400)
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// Ways to group, some of which look at the texts of a key.
fn questions(frame: &DataFrame) -> Result<Vec<DataFrame>> {
    let sums = || [col("n").sum(), count()];
    Ok(vec![
        frame.groupby(["kind"])?.agg(sums())?,
        frame.groupby(["kind", "place"])?.agg(sums())?,
        frame.groupby(["place", "n"])?.agg([count()])?,
        frame
            .filter("kind <> 'many 3'")?
            .groupby(["kind"])?
            .agg(sums())?,
        frame
            .filter("place = 'place 1'")?
            .groupby(["kind", "place"])?
            .agg(sums())?,
        frame
            .groupby(["place"])?
            .agg([col("kind").max(), col("place").min()])?,
        frame
            .rename([("kind", "sort")])?
            .groupby(["sort"])?
            .agg(sums())?,
        frame
            .with_column("both", "concat(kind, place)")?
            .groupby(["both", "kind"])?
            .agg(sums())?,
        frame.limit(1500).groupby(["kind"])?.agg(sums())?,
        frame.value_counts(["place", "kind"])?,
        frame
            .select(["kind", "place"])?
            .drop_duplicates(["place"], Keep::First)?,
    ])
}

#[test]
fn groups_by_dictionaries_are_those_of_their_texts() {
    let dir = tempfile::tempdir().unwrap();
    let batch = rows();
    write(&dir.path().join("a.parquet"), &batch);
    write(&dir.path().join("b.parquet"), &batch.slice(500, 1700));
    for threads in [1, 2, 5] {
        let session = Session::new(Settings {
            threads,
            memory: ByteSize::mib(64),
            ..Settings::default()
        });
        let given = [batch.clone(), batch.slice(500, 1700)];
        let held = session.from_batches(batch.schema(), given).unwrap();
        let read = session.read_parquet(dir.path().to_str().unwrap()).unwrap();
        let asked = questions(&held).unwrap().into_iter();
        for (idx, (held, read)) in asked.zip(questions(&read).unwrap()).enumerate() {
            let (held, read) = (held.compute().unwrap(), read.compute().unwrap());
            assert_eq!(read.schema(), held.schema(), "question {idx}");
            assert_eq!(one(&read), one(&held), "question {idx}, {threads} threads");
        }
    }
}
