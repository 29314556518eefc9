//! What is decoded here is what the parquet crate's own reader decodes.
//!
//! Files of every encoding, page version, codec and kind of nulls are read under
//! every cut, and damaged byte by byte.

mod files;

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_cast::cast;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

use self::files::{Case, Nulls, batch, cases, write};
use crate::error::Error;
use crate::expr::Expr;
use crate::io::parquet::{ParquetInput, RowFilter, Stretch, Wanted};

fn opened(path: &Path) -> crate::Result<ParquetInput> {
    let files = crate::io::list(&[path.display().to_string()]).unwrap();
    let files: Vec<_> = files.collect::<crate::Result<_>>().unwrap();
    ParquetInput::open(&files[0])
}

/// What the crate's reader finds, of each row group.
fn expected(path: &Path) -> Vec<RecordBatch> {
    let builder = || {
        let file = std::fs::File::open(path).unwrap();
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap()
    };
    let groups = builder().metadata().num_row_groups();
    let group = |idx| {
        let reader = builder().with_row_groups(vec![idx]).build().unwrap();
        let schema = arrow_array::RecordBatchReader::schema(&reader);
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        concat_batches(&schema, &batches).unwrap()
    };
    (0..groups).map(group).collect()
}

fn wanted(input: &ParquetInput, columns: &[&str], batch_rows: usize) -> Wanted {
    let fields = columns.iter().map(|name| {
        let (_, field) = input.schema().fields().find(name).unwrap();
        Arc::clone(field)
    });
    Wanted {
        columns: Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>())),
        batch_rows,
        coded: Arc::new([]),
        filter: None,
    }
}

/// The rows of a stretch, which batches of the size asked for hold.
fn read(input: &ParquetInput, stretch: &Stretch, wanted: &Wanted) -> (RecordBatch, u64) {
    let mut found = input.read(stretch, wanted).unwrap();
    let schema = Arc::clone(found.schema());
    assert!(found.is_flat() || found.rows_passed() == stretch.rows.end - stretch.rows.start);
    let batches: Vec<_> = found.by_ref().map(Result::unwrap).collect();
    let (last, front) = batches
        .split_last()
        .map_or((None, &[][..]), |(last, front)| (Some(last), front));
    assert!(
        front
            .iter()
            .all(|batch| batch.num_rows() == wanted.batch_rows)
    );
    assert!(last.is_none_or(|last| (1..=wanted.batch_rows).contains(&last.num_rows())));
    (
        concat_batches(&schema, &batches).unwrap(),
        found.rows_passed(),
    )
}

const ALL: [&str; 16] = [
    "int", "few", "int32", "int8", "uint16", "uint64", "float", "double", "day", "time", "small",
    "large", "flag", "text", "tags", "bytes",
];

#[test]
fn every_encoding_is_read_as_the_crate_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    for case in cases() {
        write(&path, &batch(case.nulls), case);
        let input = opened(&path).unwrap();
        for (group, want) in expected(&path).into_iter().enumerate() {
            let whole = read(&input, &input.whole(group), &wanted(&input, &ALL, 100));
            assert_eq!(whole, (want.clone(), 0), "{case:?}");
            let end = want.num_rows();
            for rows in [20..151, end - 1..end] {
                let stretch = Stretch {
                    group,
                    rows: rows.start as u64..rows.end as u64,
                };
                let part = read(&input, &stretch, &wanted(&input, &ALL, 64)).0;
                assert_eq!(
                    part,
                    want.slice(rows.start, rows.len()),
                    "{case:?}, rows {rows:?}"
                );
            }
        }
    }
}

#[test]
fn rows_that_pass_a_filter_are_those_the_crate_would_leave() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let conditions = [
        "few = 1",
        "int > 100 and few in (0, 1, 2) and int32 < 90000",
        "int is null",
        "text like 'text%7' and few >= 0",
        "few < 100 and tags <> 'no such'",
        "small > 3.5 or large < 0",
        "int = 2099",
        "text > 'text2' and int < 2000 and text not like '%7' and int <> 500",
        "flag and double > 0 and time > timestamp '1970-01-01 00:00:00.0005'",
        "day >= date '1970-01-08' and uint16 < 20",
        "few > 100",
    ];
    for (idx, case) in cases().into_iter().enumerate() {
        write(&path, &batch(case.nulls), case);
        let input = opened(&path).unwrap();
        let schema = input.schema();
        // Each case meets some of the conditions, each condition some of the cases.
        for condition in conditions.iter().skip(idx % 3).step_by(3) {
            let bound = Expr::parse(condition).unwrap().bind(schema).unwrap();
            let filter = Arc::new(RowFilter::new(bound.clone(), schema).unwrap());
            for (group, all) in expected(&path).into_iter().enumerate() {
                let mask = bound.mask(&all).unwrap();
                let want = filter_record_batch(&all, &mask).unwrap();
                for (batch_rows, columns) in
                    [(5, &ALL[..]), (64, &ALL[..4]), (1000, &["tags", "int"])]
                {
                    let wanted = Wanted {
                        filter: Some(Arc::clone(&filter)),
                        ..wanted(&input, columns, batch_rows)
                    };
                    let (found, passed) = read(&input, &input.whole(group), &wanted);
                    let places: Vec<_> = (columns.iter())
                        .map(|name| all.schema().index_of(name).unwrap())
                        .collect();
                    let want = want.project(&places).unwrap();
                    assert_eq!(
                        found, want,
                        "{case:?}, {condition}, batches of {batch_rows}"
                    );
                    assert_eq!(passed as usize, all.num_rows() - want.num_rows());
                }
            }
        }
    }
}

#[test]
fn texts_come_as_places_in_the_dictionary_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    for case in cases()
        .into_iter()
        .filter(|case| case.dictionary == Some(1 << 20))
    {
        write(&path, &batch(case.nulls), case);
        let input = opened(&path).unwrap();
        let bound = Expr::parse("few >= 0 and tags <> ''").unwrap();
        let bound = bound.bind(input.schema()).unwrap();
        let filter = Arc::new(RowFilter::new(bound.clone(), input.schema()).unwrap());
        for (group, all) in expected(&path).into_iter().enumerate() {
            for filter in [None, Some(&filter)] {
                let want = match filter {
                    None => all.clone(),
                    Some(_) => filter_record_batch(&all, &bound.mask(&all).unwrap()).unwrap(),
                };
                let wanted = Wanted {
                    coded: Arc::new(["tags".into()]),
                    filter: filter.cloned(),
                    ..wanted(&input, &["text", "tags"], 1000)
                };
                let (found, _) = read(&input, &input.whole(group), &wanted);
                assert_eq!(found.column(0), want.column_by_name("text").unwrap());
                let tags = found.column(1);
                if found.num_rows() > 0 {
                    assert!(tags.as_any_dictionary_opt().is_some(), "{case:?}");
                }
                let plain = cast(tags, &arrow_schema::DataType::Utf8).unwrap();
                assert_eq!(&plain, want.column_by_name("tags").unwrap(), "{case:?}");
            }
        }
    }
}

#[test]
fn a_footer_that_tells_other_rows_than_there_are_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let rows = Int64Array::from_iter_values(0..500);
    let batch = RecordBatch::try_from_iter([("a", Arc::new(rows) as ArrayRef)]).unwrap();
    let case = cases()[0];
    write(&path, &batch, case);
    let mut bytes = std::fs::read(&path).unwrap();
    // The rows of the group of 370, and those of the file, as the footer's numbers.
    let (was, more, less) = ([0xe4, 0x05], [0xe6, 0x05], [0xe2, 0x05]);
    let footer = bytes.len()
        - 8
        - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let places: Vec<usize> = (footer..bytes.len() - 2)
        .filter(|at| bytes[*at..at + 2] == was)
        .collect();
    assert!(!places.is_empty());
    for (other, says) in [(more, "fewer"), (less, "more")] {
        for at in &places {
            bytes[*at..at + 2].copy_from_slice(&other);
        }
        std::fs::write(&path, &bytes).unwrap();
        let input = opened(&path).unwrap();
        let batches = input.read_row_group(0, None, 100).unwrap();
        assert!(batches.is_flat());
        let error = batches.filter_map(Result::err).next().unwrap().to_string();
        assert!(
            error.contains(says) && error.contains("x.parquet"),
            "{error}"
        );
    }
}

#[test]
fn an_error_names_row_group_column_and_the_byte_its_page_begins_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let rows = |from: i64| Arc::new(Int64Array::from_iter_values(from..from + 500)) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", rows(0)), ("b", rows(9))]).unwrap();
    write(&path, &batch, cases()[0]);
    let good = std::fs::read(&path).unwrap();
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    let file = std::fs::File::open(&path).unwrap();
    let metadata = reader.parse_and_finish(&file).unwrap();
    let pages = metadata.offset_index().unwrap()[0][1].page_locations();
    assert!(pages.len() > 2);
    for page in pages {
        // No header begins with such bytes.
        let at = page.offset as usize;
        let mut bytes = good.clone();
        bytes[at..at + 8].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        let read = opened(&path).unwrap().read_row_group(0, None, 100).unwrap();
        assert!(read.is_flat());
        match read.filter_map(Result::err).next().unwrap() {
            Error::Corrupt { byte, reason, .. } => {
                assert_eq!(byte, Some(page.offset as u64), "{reason}");
                assert!(reason.contains("row group 0, column \"b\""), "{reason}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn no_damaged_byte_makes_it_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let some = |case: &Case| !matches!(case.nulls, Nulls::All | Nulls::Runs) && case.page_rows > 33;
    for (idx, case) in cases().into_iter().filter(some).enumerate() {
        let plain = Case {
            codec: Compression::UNCOMPRESSED,
            ..case
        };
        let columns = &ALL[idx % 4..];
        let places: Vec<usize> = (0..ALL.len()).skip(idx % 4).step_by(3).collect();
        let rows = batch(case.nulls).slice(60, 160).project(&places).unwrap();
        write(&path, &rows, plain);
        let good = std::fs::read(&path).unwrap();
        let names: Vec<&str> = columns.iter().step_by(3).copied().collect();
        for at in (4..good.len() - 8).step_by(61) {
            let mut bytes = good.clone();
            bytes[at] = bytes[at].wrapping_add([1, 0x80, 0xff][at % 3]);
            std::fs::write(&path, &bytes).unwrap();
            let Ok(input) = opened(&path) else { continue };
            let known = names
                .iter()
                .all(|name| input.schema().fields().find(name).is_some());
            if !known {
                continue;
            }
            let found = input.read(&input.whole(0), &wanted(&input, &names, 50));
            let Ok(found) = found else { continue };
            for batch in found {
                let Ok(batch) = batch else { break };
                for column in batch.columns() {
                    column.to_data().validate_full().unwrap();
                }
            }
        }
    }
}
