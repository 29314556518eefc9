//! Codecs of single columns, and the keys and values of footers: what was asked for is what
//! the files hold, whatever happened to the schema, and what cannot be is refused.

mod cli_common;
mod sink_common;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use windrow::{Codec, Error, Existing, Format, InspectOptions, Session, WriteOptions};

use cli_common::windrow;
use sink_common::table;

fn named<const N: usize>(codecs: [(&str, Codec); N]) -> Vec<(String, Codec)> {
    codecs
        .map(|(name, codec)| (name.to_owned(), codec))
        .to_vec()
}

fn footer(path: &Path) -> ParquetMetaData {
    let file = File::open(path).unwrap();
    ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .unwrap()
}

/// The part files of a folder, in order.
fn parts(dir: &Path) -> Vec<std::path::PathBuf> {
    let paths = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "parquet"))
        .collect();
    paths.sort();
    paths
}

/// The codec of each leaf; the same in all files and row groups.
fn codecs(dir: &Path) -> BTreeMap<String, Compression> {
    let mut found = BTreeMap::new();
    for path in parts(dir) {
        for group in footer(&path).row_groups() {
            for column in group.columns() {
                let codec = column.compression();
                let before = found.insert(column.column_path().string(), codec);
                assert!(before.is_none_or(|before| before == codec), "{path:?}");
            }
        }
    }
    found
}

#[test]
fn each_column_has_the_codec_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let batch = table(3000, 7);
    let session = Session::default();
    let frame = session
        .from_batches(batch.schema(), [batch.clone()])
        .unwrap();
    // A decimal is encoded by the crate.
    let frame = frame
        .with_column(
            "price",
            windrow::expr::Expr::parse("cast(id as decimal(30, 2))").unwrap(),
        )
        .unwrap();
    let report = frame
        .write(&WriteOptions {
            codec: Some(Codec::Snappy),
            column_codecs: named([
                ("id", Codec::None),
                ("price", Codec::Gzip(2)),
                ("geo", Codec::Zstd(9)),
                ("geo.name", Codec::Lz4),
            ]),
            ..WriteOptions::new(&out)
        })
        .unwrap();
    let found = codecs(&out);
    for (leaf, codec) in &found {
        let expected = match leaf.as_str() {
            "id" => "UNCOMPRESSED",
            "price" => "GZIP",
            "geo.name" => "LZ4_RAW",
            geo if geo.starts_with("geo.") => "ZSTD",
            _ => "SNAPPY",
        };
        assert!(codec.to_string().starts_with(expected), "{leaf}: {codec}");
    }
    assert!(
        found.contains_key("geo.name") && found.len() > 6,
        "{found:?}"
    );
    assert_eq!(report.outputs[0].codec, "gzip+lz4+none+snappy+zstd");
    assert!(windrow::verify(&out).unwrap().is_ok());
    let back = session.read_parquet(&*out).unwrap().count().unwrap();
    assert_eq!(back, 3000);
}

#[test]
fn columns_that_come_late_and_types_that_widen_keep_their_codecs_and_keys() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    std::fs::create_dir(&input).unwrap();
    let early: String = (0..4000)
        .map(|n| format!("{{\"n\":{n},\"t\":\"x{n}\"}}\n"))
        .collect();
    let late = "{\"n\":1.5,\"t\":\"y\",\"late\":true}\n{\"n\":2,\"t\":\"z\",\"late\":false}\n";
    std::fs::write(input.join("a.json"), early).unwrap();
    std::fs::write(input.join("b.json"), late).unwrap();
    let flags = ["convert", "in", "--to", "out", "--partition-rows", "1000"];
    let how = [
        "--compression",
        "gzip:1,t=none,n=lz4",
        "--metadata",
        "source=nginx, eu",
        "--metadata",
        "empty=",
    ];
    // The first look sees both files, so `late` is known to the options.
    let late = ["--compression", "late=snappy"];
    windrow(dir.path(), &[&flags[..], &how, &late].concat()).expect(0);
    let out = dir.path().join("out");
    let found = codecs(&out);
    assert_eq!(found["t"], Compression::UNCOMPRESSED);
    assert_eq!(found["n"], Compression::LZ4_RAW);
    assert_eq!(found["late"], Compression::SNAPPY);
    for path in parts(&out) {
        let metadata = footer(&path);
        let pairs = metadata.file_metadata().key_value_metadata().unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap_or_default()))
            .filter(|(key, _)| *key != "ARROW:schema")
            .collect();
        assert_eq!(pairs, [("source", "nginx, eu"), ("empty", "")], "{path:?}");
    }
    windrow(dir.path(), &["verify", "out"]).expect(0);

    let shown = windrow(dir.path(), &["inspect", "out", "--columns"])
        .expect(0)
        .stdout;
    assert!(shown.contains("source = nginx, eu\n"), "{shown}");
    let json = windrow(
        dir.path(),
        &["inspect", "out", "--columns", "--output", "json"],
    );
    let json = json.expect(0).json();
    assert_eq!(json["rows"], 4002);
    assert_eq!(json["metadata"][0]["key"], "source");
    assert_eq!(json["metadata"][0]["files"], json["files"]);
    let column = |name: &str| {
        let mut columns = json["columns"].as_array().unwrap().iter();
        columns
            .find(|column| column["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(column("t")["codecs"][0], "none");
    assert_eq!(column("late")["nulls"], 4000);
}

#[test]
fn what_columns_take_adds_up_to_what_files_take() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let session = Session::default();
    let batches = [table(900, 1), table(700, 2)];
    let frame = session.from_batches(batches[0].schema(), batches).unwrap();
    let frame = frame.repartition(windrow::By::Count(3)).unwrap();
    frame.write(&WriteOptions::new(&out)).unwrap();

    let storage = session.storage(&*out).unwrap();
    let skew = session.inspect(&*out, &InspectOptions::default()).unwrap();
    assert_eq!((storage.files, storage.rows), (3, 1600));
    let sum = |of: fn(&windrow::inspect::PartitionSize) -> u64| -> u64 {
        skew.partitions.iter().map(of).sum()
    };
    assert_eq!(storage.bytes, sum(|part| part.bytes));
    let bytes: u64 = storage.columns.iter().map(|column| column.bytes).sum();
    assert_eq!(bytes, storage.bytes);
    let stored: u64 = storage
        .columns
        .iter()
        .map(|column| column.stored_bytes)
        .sum();
    assert_eq!(stored, storage.stored_bytes);
    let files = sum(|part| part.stored_bytes);
    assert!(stored < files && stored > files / 4, "{stored} of {files}");
    // The same bytes by column as the rows have in memory.
    let info = session.read_parquet(&*out).unwrap().info().unwrap();
    assert_eq!((info.rows, info.bytes), (1600, storage.bytes));
    for column in &info.columns {
        let inside = format!("{}.", column.name);
        let leaves = storage.columns.iter();
        let leaves =
            leaves.filter(|leaf| leaf.name == column.name || leaf.name.starts_with(&inside));
        let bytes: u64 = leaves.map(|leaf| leaf.bytes).sum();
        assert_eq!(bytes, column.bytes, "{}", column.name);
    }
}

#[test]
fn flat_files_are_told_of_by_their_footers_as_by_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::default();
    let all = table(1000, 3);
    let flat: Vec<usize> = (0..all.num_columns())
        .filter(|idx| !all.column(*idx).data_type().is_nested())
        .collect();
    let all = all.project(&flat).unwrap();
    let few = all.project(&[0, 2]).unwrap();
    let batches = [("a", all), ("b", few.clone()), ("c", few.slice(0, 0))];
    for (name, batch) in batches {
        let frame = session.from_batches(batch.schema(), [batch]).unwrap();
        frame
            .write(&WriteOptions {
                schema_file_if_empty: true,
                ..WriteOptions::new(dir.path().join(name))
            })
            .unwrap();
    }
    let inputs: Vec<_> = ["a", "b", "c"].map(|name| dir.path().join(name)).to_vec();
    let read = || session.read_parquet(inputs.clone()).unwrap();
    let before = session.reads().bytes();
    let told = read().info().unwrap();
    let footers = session.reads().bytes() - before;
    // A column of each row's own has all of them read.
    let rows = read().with_column("one", windrow::expr::lit(1)).unwrap();
    let read = rows.info().unwrap();
    assert_eq!(read.columns.len(), told.columns.len() + 1);
    assert_eq!(told.columns[..], read.columns[..told.columns.len()]);
    assert_eq!((told.rows, read.rows), (2000, 2000));
    let pages = session.reads().bytes() - before - footers;
    assert!(
        footers < pages,
        "{footers} bytes of footers, {pages} of pages"
    );
    assert!(told.columns.iter().any(|column| column.nulls > 1000));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let batch = table(5, 1);
    let session = Session::default();
    let frame = session.from_batches(batch.schema(), [batch]).unwrap();
    let refused = |change: &dyn Fn(&mut WriteOptions)| {
        let mut options = WriteOptions::new(&out);
        change(&mut options);
        let error = frame.write(&options).unwrap_err();
        assert!(!out.exists(), "{error}");
        error
    };
    let unknown = refused(&|options| options.column_codecs = named([("statu", Codec::None)]));
    assert!(matches!(unknown, Error::Plan { .. }), "{unknown}");
    assert!(unknown.to_string().contains("\"status\""), "{unknown}");
    let twice = [("id", Codec::None), ("id", Codec::Lz4)];
    let pair = |key: &str| (key.to_owned(), "v".to_owned());
    for (expected, error) in [
        (
            "compression: column \"id\" has two codecs",
            refused(&|options| options.column_codecs = named(twice)),
        ),
        (
            "the level of zstd is a number from 1 to 22",
            refused(&|options| options.column_codecs = named([("id", Codec::Zstd(23))])),
        ),
        (
            "compression: only Parquet has codecs by column, ipc files have one for all",
            refused(&|options| {
                options.format = Format::Ipc;
                options.column_codecs = named([("id", Codec::None)]);
            }),
        ),
        (
            "metadata: only Parquet has keys and values in its footer, json files have none",
            refused(&|options| {
                options.format = Format::Json;
                options.metadata = vec![pair("k")];
            }),
        ),
        (
            "metadata: \"k\" has two values",
            refused(&|options| options.metadata = vec![pair("k"), pair("k")]),
        ),
        (
            "metadata: a key is empty",
            refused(&|options| options.metadata = vec![pair("")]),
        ),
        (
            "metadata: \"ARROW:schema\" is where Arrow's types are kept; use another key",
            refused(&|options| options.metadata = vec![pair("ARROW:schema")]),
        ),
    ] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    let plan = frame.plan_write(WriteOptions {
        column_codecs: named(twice),
        existing: Existing::Overwrite,
        ..WriteOptions::new(&out)
    });
    assert!(plan.is_err());
}

#[test]
fn the_command_names_what_is_wrong_with_its_codecs() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.json"), "{\"body\":\"x\"}\n").unwrap();
    let failed = |codecs: &str, code: i32| {
        let flags = ["convert", "a.json", "--to", "out", "--compression", codecs];
        windrow(dir.path(), &flags).expect(code).stderr
    };
    let two = failed("zstd,lz4", 2);
    assert!(
        two.contains("zstd:1 and lz4 are both for all columns"),
        "{two}"
    );
    let unknown = failed("bodi=none", 2);
    assert!(
        unknown.contains("\"bodi\"") && unknown.contains("\"body\""),
        "{unknown}"
    );
    assert!(failed("body=zip", 2).contains("not a codec"));
    assert!(!dir.path().join("out").exists());
}
