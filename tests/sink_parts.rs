//! What is handed to the sink is in the part files: every row, in order, whatever
//! the cuts, formats, codecs and late changes of the schema.

mod sink_common;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, Int64Array, ListArray, NullArray, RecordBatch, StringArray, StructArray,
    new_null_array,
};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use sink_common::*;
use windrow::Result;
use windrow::sink::{Codec, Format, Manifest, ManifestInfo, Staging, WriteOptions, verify};

#[test]
fn what_is_written_reads_back_in_every_format_and_codec() {
    let tables = [table(3_000, 0), table(1, 9_000), table(20_000, 50_000)];
    for (format, codec) in EVERY {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir.path().join("out"), format, codec);
        let reports = write(&options, &tables, 777).unwrap();
        assert_eq!(reports.len(), 3, "{format} {codec:?}");
        for (idx, (report, table)) in reports.iter().zip(&tables).enumerate() {
            assert!(
                report.path.contains(&format!("part-{idx:06}.")),
                "{}",
                report.path
            );
            let found = read(&report.path, format, &table.schema());
            assert_eq!(&found, table, "{format} {codec:?}");
            assert_eq!(report.rows, table.num_rows() as u64);
            assert_eq!(report.codec, options.codec().unwrap().family());
            assert_eq!(
                report.stored_bytes,
                std::fs::metadata(&report.path).unwrap().len()
            );
            assert!(!report.rewritten);
        }
        let manifest = Manifest::read(&options.dir).unwrap().unwrap();
        assert_eq!(manifest.rows, 23_001);
        assert_eq!(manifest.parts.len(), 3);
    }
}

#[test]
fn how_rows_are_cut_into_batches_changes_no_byte() {
    let tables = [table(20_000, 3)];
    for (format, codec) in EVERY {
        let mut first = None;
        for cuts in [100_000, 8192, 1000, 61] {
            let dir = tempfile::tempdir().unwrap();
            let options = options(&dir.path().join("out"), format, codec);
            write(&options, &tables, cuts).unwrap();
            let files = files(&options.dir);
            match &first {
                None => first = Some(files),
                Some(first) => assert!(first == &files, "{format} {codec:?} cut {cuts}"),
            }
        }
    }
}

/// What rows come to in a file, with a codec or without.
fn stored(table: &RecordBatch, codec: Option<Codec>) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir.path().join("out"), Format::Parquet, codec);
    write(&options, std::slice::from_ref(table), 8192).unwrap()[0].stored_bytes
}

#[test]
fn small_row_groups_are_compressed_harder_unless_a_level_was_asked_for() {
    let (small, large) = (table(2_000, 7), table(40_000, 7));
    let fast = Some(Codec::Zstd(1));
    assert_eq!(stored(&small, None), stored(&small, Some(Codec::Zstd(3))));
    assert!(stored(&small, None) < stored(&small, fast));
    assert_eq!(stored(&large, None), stored(&large, fast));
}

/// A stand-in for the run's rule: columns that the final schema has with another
/// type become text, or that type where a cast gives it.
fn widen_to(last: SchemaRef) -> impl Fn(&RecordBatch, &Schema) -> Result<RecordBatch> + Sync {
    move |batch, narrow| {
        assert_eq!(
            batch.schema().as_ref(),
            narrow,
            "the batch has the schema it comes with"
        );
        let columns = last
            .fields()
            .iter()
            .map(|field| match batch.column_by_name(field.name()) {
                Some(column) => widen_array(column, field.data_type()),
                None => new_null_array(field.data_type(), batch.num_rows()),
            })
            .collect();
        Ok(RecordBatch::try_new(Arc::clone(&last), columns)?)
    }
}

fn widen_array(array: &ArrayRef, to: &DataType) -> ArrayRef {
    if array.data_type() == &DataType::Null {
        return new_null_array(to, array.len());
    }
    match to {
        DataType::Struct(fields) => {
            let old = array.as_struct();
            let columns = fields
                .iter()
                .map(|field| match old.column_by_name(field.name()) {
                    Some(column) => widen_array(column, field.data_type()),
                    None => new_null_array(field.data_type(), old.len()),
                })
                .collect();
            Arc::new(StructArray::new(
                fields.clone(),
                columns,
                old.nulls().cloned(),
            ))
        }
        DataType::List(item) => {
            let old = array.as_list::<i32>();
            let values = widen_array(old.values(), item.data_type());
            Arc::new(ListArray::new(
                Arc::clone(item),
                old.offsets().clone(),
                values,
                old.nulls().cloned(),
            ))
        }
        _ => cast(array, to).unwrap(),
    }
}

fn point(members: &[(&str, DataType)]) -> DataType {
    let fields: Vec<Field> = members
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
        .collect();
    DataType::Struct(fields.into())
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields: Vec<Field> = fields
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Rows of a schema: numbers from `start`, text of them, nulls in between.
fn rows_of(schema: &SchemaRef, start: i64, len: i64) -> RecordBatch {
    let columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(idx, field)| array_of(field.data_type(), start + idx as i64, len))
        .collect();
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

fn array_of(data_type: &DataType, start: i64, len: i64) -> ArrayRef {
    let numbers: Int64Array = (start..start + len)
        .map(|n| (n % 3 != 0).then_some(n))
        .collect();
    match data_type {
        DataType::Null => Arc::new(NullArray::new(len as usize)),
        DataType::Struct(fields) => {
            let columns = fields
                .iter()
                .enumerate()
                .map(|(idx, field)| array_of(field.data_type(), start + idx as i64, len))
                .collect();
            let nulls: Vec<bool> = (start..start + len).map(|n| n % 5 != 0).collect();
            Arc::new(StructArray::new(
                fields.clone(),
                columns,
                Some(nulls.into()),
            ))
        }
        DataType::List(item) => {
            let lengths: Vec<usize> = (0..len as usize).map(|n| n % 3).collect();
            let values = array_of(
                item.data_type(),
                start,
                lengths.iter().sum::<usize>() as i64,
            );
            let offsets = arrow_buffer::OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::new(Arc::clone(item), offsets, values, None))
        }
        DataType::Utf8 => {
            let text: StringArray = numbers
                .iter()
                .map(|n| n.map(|n| format!("\"{n}\\ é\n")))
                .collect();
            Arc::new(text)
        }
        other => cast(&numbers, other).unwrap(),
    }
}

/// Three segments of one part, then a part of the final schema.
fn late_schemas() -> Vec<SchemaRef> {
    use DataType::{Boolean, Float64, Int64, Null, Utf8};
    let list = |item: DataType| DataType::new_list(item, true);
    vec![
        schema(&[
            ("same", Int64),
            ("number", Int64),
            ("nulls", Null),
            ("geo", point(&[("x", Int64), ("none", Null)])),
            ("tags", list(Null)),
            ("text", Utf8),
        ]),
        schema(&[
            ("same", Int64),
            ("number", Float64),
            ("nulls", Null),
            ("geo", point(&[("x", Int64), ("none", Int64)])),
            ("tags", list(Int64)),
            ("text", Utf8),
            ("late", Boolean),
        ]),
        schema(&[
            ("same", Int64),
            ("number", Utf8),
            ("nulls", Int64),
            (
                "geo",
                point(&[
                    ("x", Utf8),
                    ("none", Int64),
                    ("y", list(point(&[("z", Int64)]))),
                ]),
            ),
            ("tags", list(Utf8)),
            ("text", Utf8),
            ("late", Utf8),
            ("last", point(&[("a", Int64)])),
        ]),
    ]
}

#[test]
fn rows_written_before_a_schema_widened_are_widened_at_the_end() {
    let schemas = late_schemas();
    let last = Arc::clone(&schemas[2]);
    let widen = widen_to(Arc::clone(&last));
    for (format, codec) in EVERY {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir.path().join("out"), format, codec);
        let staging = Staging::open(&options, &[]).unwrap();
        let mut part = staging.part(None, &schemas[0]).unwrap();
        let mut expected = Vec::new();
        for (idx, schema) in schemas.iter().enumerate() {
            part.next_segment(schema).unwrap();
            for group in 0..2 {
                let rows = rows_of(schema, 10_000 * idx as i64 + 1_000 * group, 9_000 + group);
                append(&mut part, cut(&rows, 700)).unwrap();
                expected.push(widen(&rows, schema).unwrap());
            }
        }
        let mut second = staging.part(None, &last).unwrap();
        let rows = rows_of(&last, 7, 11);
        append(&mut second, vec![rows.clone()]).unwrap();
        let parts = vec![part.finish().unwrap(), second.finish().unwrap()];
        let committed = staging
            .commit(parts, &last, &widen, ManifestInfo::default(), &in_threads)
            .unwrap();
        assert_eq!(
            committed.rewritten, 1,
            "the part of the final schema is only renamed"
        );
        let outputs = &committed.outputs;
        assert!(outputs[0].rewritten && !outputs[1].rewritten);
        let expected = arrow_select::concat::concat_batches(&last, &expected).unwrap();
        let found = read(&outputs[0].path, format, &last);
        assert_eq!(found, normal(&expected), "{format} {codec:?}");
        assert_eq!(
            read(&outputs[1].path, format, &last),
            normal(&rows),
            "{format} {codec:?}"
        );
        let verified = verify(&options.dir).unwrap();
        assert!(verified.is_ok(), "{verified}");
        assert_eq!(verified.rows, expected.num_rows() as u64 + 11);
    }
}

/// As readers give it: members of null structs are null too.
fn normal(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| {
        let rows = arrow_array::UInt64Array::from_iter_values(0..column.len() as u64);
        arrow_select::take::take(column, &rows, None).unwrap()
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).unwrap()
}

#[test]
fn widened_parts_are_the_same_bytes_however_they_were_cut() {
    let schemas = late_schemas();
    let widen = widen_to(Arc::clone(&schemas[2]));
    for format in [Format::Parquet, Format::Json, Format::Ipc] {
        let mut first = None;
        for cuts in [10_000, 333] {
            let dir = tempfile::tempdir().unwrap();
            let options = options(&dir.path().join("out"), format, None);
            let staging = Staging::open(&options, &[]).unwrap();
            let mut part = staging.part(None, &schemas[0]).unwrap();
            for schema in &schemas {
                part.next_segment(schema).unwrap();
                append(&mut part, cut(&rows_of(schema, 5, 9_500), cuts)).unwrap();
            }
            let parts = vec![part.finish().unwrap()];
            staging
                .commit(
                    parts,
                    &schemas[2],
                    &widen,
                    ManifestInfo::default(),
                    &in_threads,
                )
                .unwrap();
            let files = files(&options.dir);
            match &first {
                None => first = Some(files),
                Some(first) => assert!(first == &files, "{format} cut {cuts}"),
            }
        }
    }
}

#[test]
fn columns_that_did_not_change_are_copied_as_they_are_stored() {
    let (narrow, wide) = (
        schema(&[("same", DataType::Int64), ("number", DataType::Int64)]),
        schema(&[
            ("same", DataType::Int64),
            ("number", DataType::Utf8),
            ("late", DataType::Utf8),
        ]),
    );
    let rows = rows_of(&narrow, 0, 50_000);
    let chunk = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        let metadata = parquet::file::metadata::ParquetMetaDataReader::new()
            .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Required)
            .parse_and_finish(&std::fs::File::open(path).unwrap())
            .unwrap();
        let (start, len) = metadata.row_group(0).column(0).byte_range();
        let statistics = metadata.row_group(0).column(0).statistics().cloned();
        let index = metadata.column_index().unwrap()[0][0].clone();
        (
            bytes[start as usize..(start + len) as usize].to_vec(),
            statistics,
            format!("{index:?}"),
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let plain = write(
        &options(&dir.path().join("plain"), Format::Parquet, None),
        std::slice::from_ref(&rows),
        900,
    )
    .unwrap();

    let options = options(&dir.path().join("spliced"), Format::Parquet, None);
    let staging = Staging::open(&options, &[]).unwrap();
    let mut part = staging.part(None, &narrow).unwrap();
    append(&mut part, vec![rows.slice(0, 25_000)]).unwrap();
    append(&mut part, vec![rows.slice(25_000, 25_000)]).unwrap();
    let widen = widen_to(Arc::clone(&wide));
    let committed = staging
        .commit(
            vec![part.finish().unwrap()],
            &wide,
            &widen,
            ManifestInfo::default(),
            &in_threads,
        )
        .unwrap();
    assert_eq!(committed.rewritten, 1);
    assert_eq!(
        chunk(Path::new(&committed.outputs[0].path)),
        chunk(Path::new(&plain[0].path))
    );
}

#[test]
fn text_that_becomes_json_is_widened_although_both_are_stored_as_text() {
    let marks = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())]);
    let text = Field::new("j", DataType::Utf8, true);
    let json = text.clone().with_metadata(marks);
    let (narrow, wide) = (
        Arc::new(Schema::new(vec![text])),
        Arc::new(Schema::new(vec![json])),
    );
    let values = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let before = RecordBatch::try_new(narrow.clone(), vec![values(vec![Some("a"), None])]).unwrap();
    let after = RecordBatch::try_new(wide.clone(), vec![values(vec![Some("{\"b\":1}")])]).unwrap();
    let quoted = Arc::clone(&wide);
    let widen = move |batch: &RecordBatch, _: &Schema| {
        let text = batch.column(0).as_string::<i32>();
        let quoted_text: StringArray = text
            .iter()
            .map(|text| text.map(|text| format!("\"{text}\"")))
            .collect();
        Ok(RecordBatch::try_new(
            quoted.clone(),
            vec![Arc::new(quoted_text)],
        )?)
    };
    for format in [Format::Parquet, Format::Ipc, Format::Json] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir.path().join("out"), format, None);
        let staging = Staging::open(&options, &[]).unwrap();
        let mut part = staging.part(None, &narrow).unwrap();
        append(&mut part, vec![before.clone()]).unwrap();
        part.next_segment(&wide).unwrap();
        append(&mut part, vec![after.clone()]).unwrap();
        let parts = vec![part.finish().unwrap()];
        let committed = staging
            .commit(parts, &wide, &widen, ManifestInfo::default(), &in_threads)
            .unwrap();
        assert_eq!(committed.rewritten, 1);
        let path = &committed.outputs[0].path;
        if format == Format::Json {
            let text = read_json_text(Path::new(path));
            assert_eq!(text, "{\"j\":\"a\"}\n{}\n{\"j\":{\"b\":1}}\n");
        } else {
            let found = read(path, format, &wide);
            let expected = values(vec![Some("\"a\""), None, Some("{\"b\":1}")]);
            assert_eq!(found.column(0), &expected, "{format}");
        }
        // Appended to, it is known as JSON text again.
        let options = WriteOptions {
            existing: windrow::sink::Existing::Append,
            ..options
        };
        let staging = Staging::open(&options, &[]).unwrap();
        assert_eq!(staging.existing_schema().unwrap().unwrap(), wide);
    }
}

#[test]
fn a_column_of_nulls_is_text_in_the_files() {
    let known = schema(&[
        ("a", DataType::Int64),
        ("nulls", DataType::Null),
        ("list", DataType::new_list(DataType::Null, true)),
    ]);
    let rows = rows_of(&known, 0, 100);
    for format in [Format::Parquet, Format::Ipc] {
        let dir = tempfile::tempdir().unwrap();
        let reports = write(
            &options(&dir.path().join("out"), format, None),
            std::slice::from_ref(&rows),
            10,
        )
        .unwrap();
        let found = read(&reports[0].path, format, &known);
        assert_eq!(found.column(1).data_type(), &DataType::Utf8);
        assert_eq!(found.column(1).null_count(), 100);
        assert_eq!(
            found.column(2).data_type(),
            &DataType::new_list(DataType::Utf8, true)
        );
        assert_eq!(found.column(0), rows.column(0));
        assert!(!reports[0].rewritten);
    }
}

#[test]
fn the_report_says_what_is_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let reports = write(
        &options(&dir.path().join("out"), Format::Parquet, None),
        &[table(20_000, 100)],
        1000,
    )
    .unwrap();
    let report = &reports[0];
    assert_eq!((report.rows, report.row_groups), (20_000, 2));
    assert_eq!(report.codec, "zstd");
    assert_eq!(report.ranges["id"].min, 100);
    assert_eq!(report.ranges["id"].max, 20_099);
    assert_eq!(report.ranges["host"].max, "web-9");
    assert_eq!(report.ranges["at"].min, "2026-01-01T00:00:00Z");
    assert!(!report.ranges.contains_key("geo"));
    let text = serde_json::to_value(report).unwrap();
    for key in ["path", "rows", "bytes", "stored_bytes", "codec"] {
        assert!(text.get(key).is_some(), "{key}");
    }
}

#[test]
fn json_lines_are_exact() {
    let rows = RecordBatch::try_from_iter_with_nullable([
        (
            "i",
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)])) as ArrayRef,
            true,
        ),
        (
            "u",
            Arc::new(arrow_array::UInt64Array::from(vec![u64::MAX, 0, 1])),
            true,
        ),
        (
            "f",
            Arc::new(arrow_array::Float64Array::from(vec![0.1, -0.0, 5e-324])),
            true,
        ),
        (
            "s",
            Arc::new(StringArray::from(vec!["\u{1f}\"/\u{7f}", "日本 €", ""])),
            true,
        ),
    ])
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let reports = write(
        &options(&dir.path().join("out"), Format::Json, None),
        &[rows],
        2,
    )
    .unwrap();
    assert_eq!(
        read_json_text(Path::new(&reports[0].path)),
        concat!(
            r#"{"i":-9223372036854775808,"u":18446744073709551615,"f":0.1,"s":"\u001f\"/"#,
            "\u{7f}\"}\n",
            r#"{"u":0,"f":-0.0,"s":"日本 €"}"#,
            "\n",
            r#"{"i":9223372036854775807,"u":1,"f":5e-324,"s":""}"#,
            "\n",
        )
    );
}

#[test]
fn marked_json_columns_are_written_as_they_are() {
    let marked = Field::new("j", DataType::Utf8, true).with_metadata(HashMap::from([(
        "ARROW:extension:name".to_owned(),
        "arrow.json".to_owned(),
    )]));
    let schema = Arc::new(Schema::new(vec![marked]));
    let text = StringArray::from(vec![Some(r#"{"a":[1,null]}"#), None, Some("7")]);
    let rows = RecordBatch::try_new(schema, vec![Arc::new(text)]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let reports = write(
        &options(&dir.path().join("out"), Format::Json, None),
        &[rows],
        9,
    )
    .unwrap();
    let text = read_json_text(Path::new(&reports[0].path));
    assert_eq!(text, "{\"j\":{\"a\":[1,null]}}\n{}\n{\"j\":7}\n");
}

#[test]
fn pieces_of_a_row_group_must_be_whole_and_of_the_part_s_schema() {
    let dir = tempfile::tempdir().unwrap();
    let staging = Staging::open(&WriteOptions::new(dir.path().join("out")), &[]).unwrap();
    let rows = table(100, 0);
    let mut part = staging.part(None, &rows.schema()).unwrap();
    let run = |part: &windrow::sink::PartWriter, rows: &RecordBatch| {
        let jobs = part.jobs(vec![rows.clone()]).unwrap();
        jobs.into_iter()
            .map(|job| job.run().unwrap())
            .collect::<Vec<_>>()
    };
    let mut encoded = run(&part, &rows);
    encoded.swap(0, 1);
    assert!(part.append(encoded).is_err());
    let mut encoded = run(&part, &rows);
    encoded.pop();
    assert!(part.append(encoded).is_err());
    assert!(part.jobs(vec![rows.project(&[0, 1]).unwrap()]).is_err());
    let other = rows_of(&schema(&[("a", DataType::Int64)]), 0, 5);
    let foreign =
        windrow::sink::jobs(&other.schema(), &WriteOptions::default(), vec![other]).unwrap();
    let foreign = foreign.into_iter().map(|job| job.run().unwrap()).collect();
    assert!(part.append(foreign).is_err());
    assert!(part.jobs(vec![rows.slice(0, 0)]).unwrap().is_empty());
    let encoded = run(&part, &rows);
    part.append(encoded).unwrap();
    assert_eq!(part.rows(), 100);
}

#[test]
fn schemas_that_files_cannot_hold_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let staging = Staging::open(&WriteOptions::new(dir.path().join("out")), &[]).unwrap();
    let twice = schema(&[("a", DataType::Int64), ("a", DataType::Utf8)]);
    let error = staging.part(None, &twice).err().unwrap();
    assert!(
        error.is_usage() && error.to_string().contains("\"a\""),
        "{error}"
    );
    assert!(staging.part(None, &schema(&[])).is_err());
    let mut deep = DataType::Int64;
    for _ in 0..300 {
        deep = DataType::new_list(deep, true);
    }
    let error = staging
        .part(None, &schema(&[("deep", deep)]))
        .err()
        .unwrap();
    assert!(error.to_string().contains("nests deeper"), "{error}");
}

#[test]
fn ids_come_back_in_order_from_many_parts() {
    let dir = tempfile::tempdir().unwrap();
    let tables: Vec<RecordBatch> = (0..40).map(|n| table(100, n * 100)).collect();
    let reports = write(
        &options(&dir.path().join("out"), Format::Parquet, None),
        &tables,
        30,
    )
    .unwrap();
    let ids: Vec<i64> = reports
        .iter()
        .flat_map(|report| {
            let rows = read_parquet(Path::new(&report.path));
            rows.column(0).as_primitive::<Int64Type>().values().to_vec()
        })
        .collect();
    assert!(ids.into_iter().eq(0..4000));
    assert_eq!(
        Manifest::read(&dir.path().join("out"))
            .unwrap()
            .unwrap()
            .rows,
        4000
    );
    let _ = Codec::None;
}

/// Leaves part files for other programs to read: `WINDROW_TEST_KEEP=DIR cargo test …`.
#[test]
fn kept() {
    let Ok(dir) = std::env::var("WINDROW_TEST_KEEP") else {
        println!("skipped: WINDROW_TEST_KEEP names no folder");
        return;
    };
    for (format, codec) in EVERY {
        let name = format!(
            "{format}-{}",
            codec.map_or("default".into(), |codec| codec.family().to_owned())
        );
        let options = options(&Path::new(&dir).join(name), format, codec);
        write(&options, &[table(30_000, 0), table(500, 30_000)], 1000).unwrap();
    }
}
