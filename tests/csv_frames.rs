//! Promise: CSV and lines of text are read like logs: in one pass, the same at
//! any number of threads and blocksize, nothing lost, and every error has a place.

mod cli_common;

use std::path::Path;
use std::sync::Arc;

use cli_common::{gzipped, put, windrow};
use windrow::arrow::array::RecordBatch;
use windrow::arrow::schema::{DataType, Field, Schema};
use windrow::inspect::cells;
use windrow::{
    By, ByteSize, CsvOptions, DataFrame, Error, Existing, OnBadRecord, ReadOptions, SchemaMode,
    Session, Settings, WriteOptions,
};

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

fn options(blocksize: u64) -> ReadOptions {
    ReadOptions {
        blocksize: Some(ByteSize::new(blocksize)),
        ..ReadOptions::default()
    }
}

/// Names, types and cells of all rows.
fn table(frame: &DataFrame) -> (Vec<String>, Vec<Vec<String>>) {
    let table = frame.compute().unwrap();
    let fields = table.schema().fields().clone();
    let names = fields
        .iter()
        .map(|field| format!("{}:{}", field.name(), field.data_type()))
        .collect();
    let rows = table.batches().flat_map(rows_of).collect();
    (names, rows)
}

fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let columns: Vec<Vec<String>> = batch
        .columns()
        .iter()
        .map(|column| cells(column.as_ref()).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect()
}

/// Orders of which some texts hold line ends; the last thousand brings new types.
fn orders(rows: usize) -> String {
    let mut text = String::from("id,name,price,paid,note\n");
    for id in 0..rows {
        let note = match id % 7 {
            0 => "\"two\nlines\"".to_owned(),
            1 => "\"say \"\"hi\"\", please\"".to_owned(),
            _ => format!("note {id}"),
        };
        let price = if id + 1000 < rows {
            format!("{}.{:02}", id % 90, id % 100)
        } else {
            format!("v{id}")
        };
        let paid = if id % 3 == 0 { "" } else { "true" };
        text += &format!("{id},customer {},{price},{paid},{note}\n", id % 100);
    }
    text
}

#[test]
fn threads_blocks_and_codecs_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let text = orders(9000);
    let plain = put(&dir.path().join("plain/a.csv"), &text);
    std::fs::create_dir(dir.path().join("gz")).unwrap();
    std::fs::write(dir.path().join("gz/a.csv.gz"), gzipped(text.as_bytes())).unwrap();
    let expected = table(
        &session(1)
            .read_csv(plain.to_str().unwrap(), options(1 << 40))
            .unwrap(),
    );
    assert_eq!(
        expected.0,
        [
            "id:Int64",
            "name:Utf8",
            "price:Utf8",
            "paid:Boolean",
            "note:Utf8"
        ]
    );
    // The price was a number for most of the file, and is as it was written.
    assert_eq!(expected.1[120][2], "30.20");
    assert_eq!(
        (expected.1.len(), expected.1[7][4].as_str()),
        (9000, "two\nlines")
    );
    let others = [plain, dir.path().join("gz/a.csv.gz")];
    for path in &others {
        for (threads, blocksize) in [(1, 1000), (2, 64 << 10), (5, 7777), (5, 1 << 40)] {
            let frame = session(threads)
                .read_csv(path.to_str().unwrap(), options(blocksize))
                .unwrap();
            assert_eq!(table(&frame), expected, "{threads} threads, {blocksize}");
        }
    }
}

/// Whether a border lies within quotes is told by what was read in front of it.
#[test]
fn no_byte_is_read_twice_also_where_quotes_span_borders() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("\"{}\"", "a line,\nthen \"\"another\"\"\n".repeat(40));
    let rows = (0..400).map(|id| match id % 5 {
        0 => format!("{id},{long}\n"),
        _ => format!("{id},short\n"),
    });
    let text = format!("id,note\n{}", rows.collect::<String>());
    let stored = text.len() as u64;
    let path = put(&dir.path().join("quoted.csv"), &text);
    for threads in [1, 2, 5] {
        for blocksize in [100, 997, 4_096, 1 << 20] {
            let frame = session(threads)
                .read_csv(&path, options(blocksize))
                .unwrap();
            let mut rows = 0;
            let report = frame.for_each_batch(|batch| {
                rows += batch.num_rows();
                Ok(())
            });
            let read = report.unwrap().stored_bytes_read;
            assert_eq!(rows, 400);
            assert_eq!(read, stored, "{threads} threads, blocks of {blocksize}");
        }
    }
}

#[test]
fn the_report_says_which_columns_came_to_be_text() {
    let dir = tempfile::tempdir().unwrap();
    let plain = put(&dir.path().join("a.csv"), &orders(3000));
    // `name` and `note` were text from the first record on.
    let expected = [("price", true)];
    for (threads, blocksize) in [(1, 900), (2, 4096), (5, 40_000), (2, 1 << 40)] {
        let frame = session(threads)
            .read_csv(plain.to_str().unwrap(), options(blocksize))
            .unwrap();
        let to = dir.path().join("out");
        let mut write = WriteOptions::new(&to);
        write.existing = Existing::Overwrite;
        let report = frame.write(&write).unwrap();
        let widened = report.widened.iter();
        let widened: Vec<_> = widened
            .map(|one| (one.column.as_str(), one.to.contains("as they were written")))
            .collect();
        assert_eq!(widened, expected, "{threads} threads, {blocksize}");
        assert!(
            report
                .to_string()
                .contains("column \"price\" holds numbers")
        );
    }
    // Nobody asked for the column, or the user said that it is text.
    let frame = session(2)
        .read_csv(plain.to_str().unwrap(), options(900))
        .unwrap();
    let (_, report) = frame.select(["id"]).unwrap().count_with_report().unwrap();
    assert!(report.widened.is_empty());
}

#[test]
fn a_filter_selects_the_same_rows_at_any_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = put(&dir.path().join("a.csv"), &orders(12_000));
    let path = path.to_str().unwrap();
    for filter in [
        "id % 1000 = 7",
        "price = '30.20'",
        "price >= '89'",
        "paid is null and name = 'customer 3'",
        "note like 'two%'",
    ] {
        let mut first = None;
        for (threads, blocksize) in [(1, 1 << 40), (2, 100_000), (5, 20_000)] {
            let frame = session(threads).read_csv(path, options(blocksize)).unwrap();
            let found = table(
                &frame
                    .filter(filter)
                    .unwrap()
                    .select(["id", "price"])
                    .unwrap(),
            );
            assert!(!found.1.is_empty(), "{filter}");
            let first = first.get_or_insert_with(|| found.clone());
            assert_eq!(found, *first, "{filter}: {threads} threads, {blocksize}");
        }
    }
}

#[test]
fn files_are_united_by_name() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.csv"), "id,name\n1,x\n");
    put(&dir.path().join("b.csv"), "name;id;more\ny;2.5;true\n");
    put(&dir.path().join("c.csv"), "");
    put(&dir.path().join("d.csv"), "more\tid\nfalse\t3\n");
    put(&dir.path().join("e.csv"), "late\n");
    let (names, rows) = table(
        &session(2)
            .read_csv(dir.path(), ReadOptions::default())
            .unwrap(),
    );
    assert_eq!(
        names,
        ["id:Float64", "name:Utf8", "more:Boolean", "late:Utf8"]
    );
    assert_eq!(
        rows,
        [
            ["1.0", "x", "null", "null"],
            ["2.5", "y", "true", "null"],
            ["3.0", "null", "false", "null"],
        ]
    );
}

#[test]
fn every_record_is_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let text = "id,n\n1,2\n\n\"3\n3\",4,5\n6,x\n7\n8,9\n";
    let path = put(&dir.path().join("a.csv"), text);
    let path = path.to_str().unwrap();
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("n", DataType::Int64, true),
    ]);
    let read = |on_bad_record, rejects| ReadOptions {
        schema: Some(Arc::new(schema.clone())),
        schema_mode: SchemaMode::Strict,
        on_bad_record,
        rejects,
        ..ReadOptions::default()
    };
    let error = session(2)
        .read_csv(path, read(OnBadRecord::Fail, None))
        .unwrap()
        .compute()
        .unwrap_err();
    assert!(
        matches!(&error, Error::Decode { at, .. } if at.line == 4 && at.byte == 10),
        "{error}"
    );
    let rejects = dir.path().join("bad.json");
    let frame = session(2)
        .read_csv(path, read(OnBadRecord::Reject, Some(rejects.clone())))
        .unwrap();
    let report = frame
        .write(&WriteOptions::new(dir.path().join("out")))
        .unwrap();
    assert_eq!(
        (report.lines, report.rows, report.rejected, report.blank),
        (6, 2, 3, 1)
    );
    let kept = std::fs::read_to_string(&rejects).unwrap();
    let kept: Vec<serde_json::Value> = kept
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let places: Vec<_> = kept
        .iter()
        .map(|bad| (bad["line"].as_u64(), bad["raw"].as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (Some(4), Some("\"3\n3\",4,5")),
            (Some(6), Some("6,x")),
            (Some(7), Some("7"))
        ]
    );
    assert_eq!(
        (kept[1]["column"].as_str(), kept[1]["reason"].as_str()),
        (Some("n"), Some("\"x\" is not Int64"))
    );
}

#[test]
fn the_first_bad_record_is_named_at_any_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = orders(6000);
    text += "1,2\n";
    text += &orders(10).replace("id,name,price,paid,note\n", "");
    text += "\"open\n";
    let path = put(&dir.path().join("a.csv"), &text);
    let mut messages: Vec<String> = [(1, 1 << 40), (2, 5000), (5, 999)]
        .into_iter()
        .map(|(threads, blocksize)| {
            let frame = session(threads)
                .read_csv(path.to_str().unwrap(), options(blocksize))
                .unwrap();
            frame.compute().unwrap_err().to_string()
        })
        .collect();
    messages.dedup();
    let [message] = &messages[..] else {
        panic!("{messages:?}");
    };
    let line = 1 + text[..text.find("\n1,2\n").unwrap() + 1]
        .matches('\n')
        .count();
    assert!(message.contains(&format!("line {line} ")), "{message}");
    assert!(
        message.contains("the record has 2 fields, where there are 5 columns"),
        "{message}"
    );
}

#[test]
fn encodings_are_told_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let text = "naïve,b\n\"é\n\",1\n";
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let wide = dir.path().join("wide.csv");
    std::fs::write(&wide, utf16).unwrap();
    let latin: Vec<u8> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    let narrow = dir.path().join("narrow.csv");
    std::fs::write(&narrow, latin).unwrap();
    let latin1 = ReadOptions {
        encoding: "latin1".parse().unwrap(),
        ..ReadOptions::default()
    };
    let session = session(2);
    for (path, options) in [(&wide, ReadOptions::default()), (&narrow, latin1)] {
        let frame = session.read_csv(path.to_str().unwrap(), options).unwrap();
        let (names, rows) = table(&frame);
        assert_eq!(names, ["naïve:Utf8", "b:Int64"]);
        assert_eq!(rows, [["é\n", "1"]]);
    }
    let wrong = session.read_csv(narrow.to_str().unwrap(), ReadOptions::default());
    let wrong = wrong
        .and_then(|frame| frame.compute())
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("not UTF-8"), "{wrong}");
    let json = ReadOptions {
        encoding: "latin1".parse().unwrap(),
        ..ReadOptions::default()
    };
    assert!(session.read_json(narrow.to_str().unwrap(), json).is_err());
}

#[test]
fn text_is_a_column_of_lines_with_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = "[first]\r\n\nthird\n".repeat(2000).into_bytes();
    bytes.extend(b"bad \xff\nlast");
    let plain = dir.path().join("a.txt");
    std::fs::write(&plain, &bytes).unwrap();
    let read = |blocksize| ReadOptions {
        include_byte: Some("at".into()),
        include_path: Some("file".into()),
        on_bad_record: OnBadRecord::Skip,
        ..options(blocksize)
    };
    let frame = session(2)
        .read_text(plain.to_str().unwrap(), read(1 << 40))
        .unwrap();
    let (names, rows) = table(&frame);
    assert_eq!(names[..2], ["line:Utf8", "at:UInt64"]);
    assert_eq!(rows.len(), 6001);
    assert_eq!(rows[3], ["[first]", "16", plain.to_str().unwrap()]);
    assert_eq!((rows[1][0].as_str(), rows[6000][0].as_str()), ("", "last"));
    for (threads, blocksize) in [(1, 10), (5, 1000)] {
        let frame = session(threads)
            .read_text(plain.to_str().unwrap(), read(blocksize))
            .unwrap();
        assert_eq!(table(&frame).1, rows);
    }
    let some = frame
        .filter("at > 31970 and line <> ''")
        .unwrap()
        .select(["at"])
        .unwrap();
    assert_eq!(table(&some).1, [["31978"], ["31984"], ["31994"], ["32006"]]);
    assert_eq!(frame.count_with_report().unwrap().1.rejected, 1);
}

#[test]
fn real_tables_are_those_of_another_reader() {
    let Ok(folder) = std::env::var("WINDROW_REAL_DATA") else {
        eprintln!("skipped: WINDROW_REAL_DATA is not set");
        return;
    };
    for file in [
        "nycflights13/weather.csv",
        "nycflights13/planes.csv",
        "nycflights13/airports.csv",
        "comic_characters/dc-wikia-data.csv",
        "foods/foods1.csv",
    ] {
        let path = Path::new(&folder).join(file);
        let mut other = csv::Reader::from_path(&path).unwrap();
        let names = other.headers().unwrap().clone();
        let fields: Vec<Field> = names
            .iter()
            .map(|name| Field::new(name, DataType::Utf8, true))
            .collect();
        let as_text = ReadOptions {
            schema: Some(Arc::new(Schema::new(fields))),
            ..options(100_000)
        };
        let text = session(2)
            .read_csv(path.to_str().unwrap(), as_text)
            .unwrap();
        let found = session(2)
            .read_csv(path.to_str().unwrap(), options(50_000))
            .unwrap();
        let (text, found) = (table(&text).1, table(&found));
        let records: Vec<csv::StringRecord> =
            other.records().map(|record| record.unwrap()).collect();
        assert_eq!(
            (text.len(), found.1.len()),
            (records.len(), records.len()),
            "{file}"
        );
        for ((text, found), record) in text.iter().zip(&found.1).zip(&records) {
            for ((text, found), cell) in text.iter().zip(found).zip(record) {
                let cell = if cell.is_empty() { "null" } else { cell };
                assert_eq!(text, cell, "{file}");
                let same_number = found.parse::<f64>().is_ok_and(|n| Ok(n) == cell.parse());
                assert!(found == cell || same_number, "{file}: {found} for {cell}");
            }
        }
    }
}

#[test]
fn partitions_are_even_and_rows_are_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = put(&dir.path().join("a.csv"), &orders(5000));
    let frame = session(2)
        .read_csv(path.to_str().unwrap(), options(10_000))
        .unwrap();
    let parts = frame.repartition(By::Count(7)).unwrap().compute().unwrap();
    let sizes: Vec<usize> = parts
        .partitions()
        .iter()
        .map(|part| part.iter().map(RecordBatch::num_rows).sum())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 5000);
    assert!(
        sizes.iter().all(|size| (714..=715).contains(size)),
        "{sizes:?}"
    );
}

#[test]
fn the_command_reads_csv_like_any_input() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.csv"), "id|name\n1|\"x\ny\"\n2|NA\n");
    put(&dir.path().join("b.log"), "id,name\n3,z\n");
    let run = |args: &[&str]| windrow(dir.path(), args);
    assert_eq!(run(&["count", "a.csv"]).expect(0).stdout.trim(), "2");
    assert_eq!(
        run(&["count", "b.log", "--from", "csv"])
            .expect(0)
            .stdout
            .trim(),
        "1"
    );
    assert_eq!(
        run(&["count", "b.log", "--from", "text"])
            .expect(0)
            .stdout
            .trim(),
        "2"
    );
    assert_eq!(
        run(&["head", "a.csv", "--null", "NA", "--output", "json"])
            .expect(0)
            .stdout,
        "{\"id\":1,\"name\":\"x\\ny\"}\n{\"id\":2}\n"
    );
    assert_eq!(
        run(&["head", "--at", "a.csv:13"]).expect(0).stdout,
        "1|\"x\ny\"\n"
    );
    assert!(
        run(&["schema", "a.csv", "--no-header"])
            .expect(0)
            .stdout
            .contains("column_1")
    );
    assert!(run(&["explain", "a.csv"]).stdout.contains("csv a.csv"));
    run(&["convert", "a.csv", "--to", "out", "--where", "id = 1"]).expect(0);
    assert_eq!(run(&["count", "out"]).expect(0).stdout.trim(), "1");
    assert!(
        run(&["inspect", "a.csv"])
            .expect(0)
            .stdout
            .contains("a.csv")
    );
    let wrong = run(&["count", "a.csv", "--max-depth", "3"]).expect(2);
    assert!(wrong.stderr.contains("max-depth"), "{}", wrong.stderr);
    let wrong = run(&["count", "out", "--delimiter", ";"]).expect(2);
    assert!(wrong.stderr.contains("delimiter"), "{}", wrong.stderr);
    let same = CsvOptions {
        comment: Some(b'"'),
        ..CsvOptions::default()
    };
    assert!(same.check().is_err());
    run(&["count", "a.csv", "--delimiter", "ab"]).expect(2);
}

#[test]
fn a_damaged_file_gives_what_precedes_the_damage() {
    let dir = tempfile::tempdir().unwrap();
    let text = orders(9000);
    let whole = gzipped(text.as_bytes());
    let path = dir.path().join("cut.csv.gz");
    std::fs::write(&path, &whole[..whole.len() * 2 / 3]).unwrap();
    let path = path.to_str().unwrap();
    let read = |salvage| ReadOptions {
        salvage,
        ..ReadOptions::default()
    };
    let refused = session(2).read_csv(path, read(false)).unwrap().count();
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    let frame = session(2).read_csv(path, read(true)).unwrap();
    let kept = table(&frame).1;
    assert!(kept.len() > 3000 && kept.len() < 9000, "{}", kept.len());
    for (id, row) in kept.iter().enumerate() {
        assert_eq!(row[0], id.to_string());
    }
    let report = frame.count_with_report().unwrap().1;
    assert!(
        report.inputs[0]
            .damage
            .as_ref()
            .is_some_and(|damage| damage.contains("cut line"))
    );
}

#[test]
fn standard_input_and_other_codecs_are_csv_like_any_file() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let text = orders(300);
    let mut out = snap::write::FrameEncoder::new(Vec::new());
    out.write_all(text.as_bytes()).unwrap();
    let packed = out.into_inner().unwrap();
    std::fs::write(dir.path().join("a.csv.sz"), &packed).unwrap();
    let counted = windrow(dir.path(), &["count", "a.csv.sz"]).expect(0);
    assert_eq!(counted.stdout.trim(), "300");
    let mut child = cli_common::command()
        .args([
            "convert", "-", "--from", "csv", "--to", "out", "--format", "csv", "--quiet",
        ])
        .current_dir(dir.path())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&packed).unwrap();
    assert!(child.wait().unwrap().success());
    let written = std::fs::read_to_string(dir.path().join("out/part-000000.csv")).unwrap();
    let fields = |text: &str| -> Vec<csv::StringRecord> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.records().map(|record| record.unwrap()).collect()
    };
    assert_eq!(fields(&written).len(), 300);
    assert_eq!(fields(&written)[14][4], fields(&text)[14][4]);
}

#[test]
fn a_filter_that_fails_names_the_record_at_any_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = put(
        &dir.path().join("a.csv"),
        "id,n\n1,\"a\nb\"\n2,5\n3,x\n4,7\n",
    );
    let mut messages: Vec<String> = [(1, 1 << 40), (2, 1), (5, 9)]
        .into_iter()
        .map(|(threads, blocksize)| {
            let frame = session(threads)
                .read_csv(path.to_str().unwrap(), options(blocksize))
                .unwrap();
            let frame = frame.filter("id > 1 and cast(n as bigint) > 0").unwrap();
            frame.compute().unwrap_err().to_string()
        })
        .collect();
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("line 5 "), "{messages:?}");
}

#[test]
fn a_record_that_is_too_long_stopped_the_run_though_bad_ones_were_to_be_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let long = "y".repeat(3_000);
    let mut text = format!("id,t\n1,x\n2,{long}\n3,\"open {long}\n");
    for id in 4..400 {
        text.push_str(&format!("{id},x\n"));
    }
    let path = put(&dir.path().join("a.csv"), &text);
    for threads in [1, 2, 5] {
        let rejects = dir.path().join("bad.json");
        let options = ReadOptions {
            on_bad_record: OnBadRecord::Reject,
            rejects: Some(rejects.clone()),
            max_record: ByteSize::new(1_500),
            ..ReadOptions::default()
        };
        let frame = session(threads)
            .read_csv(path.to_str().unwrap(), options)
            .unwrap();
        let (rows, report) = frame.count_with_report().unwrap();
        assert_eq!((rows, report.rejected, report.lines), (397, 2, 399));
        let kept = std::fs::read_to_string(&rejects).unwrap();
        let kept = kept.lines().map(|line| serde_json::from_str(line).unwrap());
        let kept: Vec<serde_json::Value> = kept.collect();
        let wanted = [(3, format!("2,{long}")), (4, format!("3,\"open {long}"))];
        for (bad, (line, raw)) in kept.iter().zip(&wanted) {
            assert_eq!(bad["line"], *line);
            let found = bad["raw"].as_str().unwrap();
            assert!(raw.starts_with(found) && found.len() >= 1_500, "{bad}");
            let whole = bad["raw_bytes"].as_u64().unwrap_or(found.len() as u64);
            assert_eq!(whole, raw.len() as u64, "{bad}");
            assert!(bad["reason"].as_str().unwrap().contains("max-record"));
        }
        assert_eq!(kept.len(), 2);
    }
}
