//! Arrow IPC files and streams: any columns of any batches, and no more than
//! those are read.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int64Array,
    NullArray, RecordBatch, StringArray, StringViewArray, StructArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Fields};
use windrow::io::{IpcInput, SourceFile};
use windrow::{Session, Settings};

/// Columns of every shape that is stored in its own way; dictionaries differ by batch.
fn batch(first: i64, rows: usize, words: &[&str]) -> RecordBatch {
    let all = || (0..rows).map(|row| first + row as i64);
    let some = |n: i64| n % 3 != 0;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for n in all() {
        for item in 0..n.rem_euclid(4) {
            lists
                .values()
                .append_option((item != 1).then(|| format!("{n}.{item}")));
        }
        lists.append(some(n));
    }
    let inner = StructArray::new(
        Fields::from(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ]),
        vec![
            Arc::new(Int64Array::from_iter_values(all())),
            Arc::new(StringArray::from_iter(
                all().map(|n| some(n).then(|| n.to_string())),
            )),
        ],
        Some(all().map(|n| n % 5 != 0).collect::<Vec<_>>().into()),
    );
    let long = |n: i64| some(n).then(|| format!("a text that is too long for a view, {n}"));
    let word = |n: i64| some(n).then_some((n as usize % words.len()) as i8);
    let bytes = all().map(|n| (n as u32).to_le_bytes());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(all()))),
        ("nothing", Arc::new(NullArray::new(rows))),
        (
            "flag",
            Arc::new(BooleanArray::from_iter(
                all().map(|n| some(n).then_some(n % 2 == 0)),
            )),
        ),
        (
            "view",
            Arc::new(StringViewArray::from_iter(all().map(long))),
        ),
        (
            "word",
            Arc::new(
                DictionaryArray::<Int8Type>::try_new(
                    Int8Array::from_iter(all().map(word)),
                    Arc::new(StringArray::from(words.to_vec())),
                )
                .unwrap(),
            ),
        ),
        ("lists", Arc::new(lists.finish())),
        ("inner", Arc::new(inner)),
        (
            "short",
            Arc::new(StringViewArray::from_iter(
                all().map(|n| some(n).then(|| n.to_string())),
            )),
        ),
        (
            "fixed",
            Arc::new(FixedSizeBinaryArray::try_from_iter(bytes).unwrap()),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

/// A file's dictionary can grow, and that of a stream be another one.
fn batches(stream: bool) -> Vec<RecordBatch> {
    vec![
        batch(0, 100, &["x", "y"]),
        batch(100, 1, &["x", "y"]),
        batch(101, 400, &["x", "y", "z"]),
        batch(
            501,
            99,
            if stream {
                &["q", "x", "z"]
            } else {
                &["x", "y", "z"]
            },
        ),
    ]
}

const CODECS: [Option<CompressionType>; 3] = [
    None,
    Some(CompressionType::LZ4_FRAME),
    Some(CompressionType::ZSTD),
];

fn write(path: &Path, batches: &[RecordBatch], stream: bool, codec: Option<CompressionType>) {
    let file = std::fs::File::create(path).unwrap();
    let options = IpcWriteOptions::default()
        .try_with_compression(codec)
        .unwrap()
        .with_dictionary_handling(DictionaryHandling::Delta);
    let schema = batches[0].schema();
    if stream {
        let mut writer = StreamWriter::try_new_with_options(file, &schema, options).unwrap();
        batches
            .iter()
            .for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = FileWriter::try_new_with_options(file, &schema, options).unwrap();
        batches
            .iter()
            .for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    }
}

fn open(path: &Path) -> windrow::Result<IpcInput> {
    IpcInput::open(&SourceFile::at(path.to_str().unwrap(), 0)?)
}

/// Columns with dictionaries as their values: batches may share a longer one.
fn plain(batch: &RecordBatch) -> Vec<ArrayRef> {
    let value = |column: &ArrayRef| match column.data_type() {
        DataType::Dictionary(_, value) => arrow_cast::cast(column, value).unwrap(),
        _ => Arc::clone(column),
    };
    batch.columns().iter().map(value).collect()
}

#[test]
fn any_columns_of_any_batches_are_read_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.arrow");
    let n_columns = batches(false)[0].num_columns();
    for (stream, codec) in [false, true]
        .into_iter()
        .flat_map(|s| CODECS.map(|c| (s, c)))
    {
        let all = batches(stream);
        write(&path, &all, stream, codec);
        let input = open(&path).unwrap();
        assert_eq!((input.n_batches(), input.rows()), (4, 600));
        // Every set of up to two columns, none, and all.
        let pairs = (0..n_columns).flat_map(|a| (a..n_columns).map(move |b| vec![a, b]));
        for mut columns in pairs.chain([vec![], (0..n_columns).collect()]) {
            columns.dedup();
            let name = |column: &usize| all[0].schema().field(*column).name().clone();
            let names: Vec<String> = columns.iter().map(name).collect();
            for run in [0..4, 1..3, 3..4] {
                let read = input.read(run.clone(), Some(&names)).unwrap();
                let read: Vec<RecordBatch> = read.map(Result::unwrap).collect();
                assert_eq!(read.len(), run.len());
                for (read, want) in read.iter().zip(&all[run]) {
                    let want = want.project(&columns).unwrap();
                    assert_eq!(read.num_rows(), want.num_rows());
                    assert_eq!(plain(read), plain(&want), "{names:?} {stream} {codec:?}");
                }
            }
        }
        assert!(input.read(0..5, None).is_err());
        assert!(input.read(0..1, Some(&["no".to_owned()])).is_err());
    }
}

#[test]
fn a_frame_over_files_and_streams_has_all_rows_in_order() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("a.arrow"),
        &batches(false),
        false,
        CODECS[1],
    );
    write(
        &dir.path().join("b.arrows"),
        &batches(true),
        true,
        CODECS[2],
    );
    for threads in [1, 2, 5] {
        let session = Session::new(Settings {
            threads,
            ..Settings::default()
        });
        let input = dir.path().to_str().unwrap();
        let frame = session
            .read(input, windrow::ReadOptions::default())
            .unwrap();
        let table = frame.select(["word", "id"]).unwrap().compute().unwrap();
        let ids: Vec<i64> = table
            .batches()
            .flat_map(|batch| {
                let ids = batch.column(1).as_any().downcast_ref::<Int64Array>();
                ids.unwrap().values().to_vec()
            })
            .collect();
        let want: Vec<i64> = (0..600).chain(0..600).collect();
        assert_eq!(ids, want);
        assert_eq!(frame.count().unwrap(), 1200);
        let few = frame.filter("word = 'z' and id > 550").unwrap();
        let rows = (551..600).filter(|id| id % 3 == 2).count();
        assert_eq!(few.compute().unwrap().num_rows(), 2 * rows);
    }
}

#[test]
fn only_the_buffers_of_wanted_columns_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.arrow");
    let wide: Vec<(String, ArrayRef)> = (0..50)
        .map(|column| {
            let values = Int64Array::from_iter_values((0..5000).map(|row| row * column));
            (format!("c{column}"), Arc::new(values) as ArrayRef)
        })
        .collect();
    let wide = RecordBatch::try_from_iter(wide).unwrap();
    write(&path, &[wide.clone(), wide], false, None);
    let session = Session::default();
    let frame = session.read_ipc(path.to_str().unwrap()).unwrap();
    let before = session.reads().bytes();
    let table = frame.select(["c7"]).unwrap().compute().unwrap();
    let read = session.reads().bytes() - before;
    assert_eq!(table.num_rows(), 10_000);
    let stored = std::fs::metadata(&path).unwrap().len();
    assert!(read * 20 < stored, "{read} of {stored}");
}

#[test]
fn damage_is_rows_or_an_error_with_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.arrow");
    let all = [batch(0, 20, &["x"]), batch(20, 20, &["x", "y"])];
    for (stream, codec) in [(false, CODECS[1]), (true, CODECS[2]), (true, None)] {
        write(&path, &all, stream, codec);
        let whole = std::fs::read(&path).unwrap();
        let read =
            || open(&path).and_then(|input| input.batches()?.collect::<windrow::Result<Vec<_>>>());
        for at in (0..whole.len()).step_by(101) {
            for value in [0, 0x7f, 0xff, whole[at] ^ 4] {
                let mut changed = whole.clone();
                changed[at] = value;
                std::fs::write(&path, &changed).unwrap();
                if let Err(error) = read() {
                    assert!(error.to_string().contains("a.arrow"), "{error}");
                }
            }
            std::fs::write(&path, &whole[..at]).unwrap();
            if let Err(error) = read() {
                assert!(error.to_string().contains("a.arrow"), "{error}");
            } else {
                assert!(stream, "a file cut at {at} was read");
            }
        }
    }
}

#[test]
fn a_compressed_buffer_takes_no_more_memory_than_comes_out_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.arrow");
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; 4096]));
    let zeros = RecordBatch::try_from_iter([("n", zeros)]).unwrap();
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        write(&path, std::slice::from_ref(&zeros), false, Some(codec));
        let mut bytes = std::fs::read(&path).unwrap();
        let length = (4096u64 * 8).to_le_bytes();
        let places = bytes.windows(8).enumerate();
        let at: Vec<usize> = places
            .filter(|(_, found)| *found == length)
            .map(|(at, _)| at)
            .collect();
        assert!(!at.is_empty());
        for at in at {
            bytes[at..at + 8].copy_from_slice(&(1u64 << 50).to_le_bytes());
        }
        std::fs::write(&path, &bytes).unwrap();
        let error = open(&path).unwrap().batches().unwrap().next().unwrap();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("fewer than the"), "{error}");
    }
}

/// Where a file lies in the memory of this process.
fn maps_of(path: &Path) -> Vec<std::ops::Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let of_file = maps
        .lines()
        .filter(|line| line.ends_with(path.to_str().unwrap()));
    let range = |line: &str| {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        number(from)..number(to)
    };
    of_file.map(range).collect()
}

fn buffers_of(data: &arrow_data::ArrayData, found: &mut Vec<usize>) {
    let own = data
        .buffers()
        .iter()
        .chain(data.nulls().map(|nulls| nulls.buffer()));
    found.extend(
        own.filter(|buffer| !buffer.is_empty())
            .map(|buffer| buffer.as_ptr() as usize),
    );
    data.child_data()
        .iter()
        .for_each(|child| buffers_of(child, found));
}

#[test]
fn a_mapped_file_gives_the_same_rows_and_those_not_compressed_lie_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("a.arrow");
    let all = [
        batch(0, 900, &["x", "y"]),
        batch(900, 40, &["x", "y"]),
        batch(7, 1, &["x", "y"]).slice(0, 0),
    ];
    for codec in [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ] {
        for stream in [false, true] {
            write(&path, &all, stream, codec);
            let read = open(&path).unwrap();
            let mapped = open(&path).unwrap().memory_mapped();
            for columns in [None, Some(vec!["id".to_owned(), "view".to_owned()])] {
                for n in 0..=read.n_batches() {
                    let rows = |input: &IpcInput| {
                        let batches = input
                            .read(n..input.n_batches(), columns.as_deref())
                            .unwrap();
                        batches.map(Result::unwrap).collect::<Vec<_>>()
                    };
                    assert_eq!(rows(&read), rows(&mapped), "{codec:?}, {stream}, {n}");
                }
            }
            drop((read, mapped));
            for threads in [1, 2, 5] {
                let session = Session::new(Settings {
                    threads,
                    ..Settings::default()
                });
                let with = |memory_map| {
                    let options = windrow::ColumnOptions {
                        memory_map,
                        ..Default::default()
                    };
                    session.read_ipc_with(&path, options).unwrap()
                };
                let found = with(true).select(["id"]).unwrap().compute().unwrap();
                assert_eq!(
                    found.to_string(),
                    with(false)
                        .select(["id"])
                        .unwrap()
                        .compute()
                        .unwrap()
                        .to_string()
                );
                let maps = maps_of(&path);
                assert_eq!(
                    maps.is_empty(),
                    codec.is_some(),
                    "compressed columns are copies, which need no map"
                );
                for batch in found.batches().filter(|batch| batch.num_rows() > 0) {
                    let mut at = Vec::new();
                    buffers_of(&batch.column(0).to_data(), &mut at);
                    let lie = at.iter().all(|at| maps.iter().any(|map| map.contains(at)));
                    assert!(!at.is_empty() && lie == codec.is_none(), "{codec:?}");
                }
                drop(found);
                assert!(
                    maps_of(&path).is_empty(),
                    "who drops the rows lets go of the file"
                );
            }
        }
    }
    let options = windrow::ColumnOptions {
        memory_map: true,
        ..Default::default()
    };
    let error = Session::default()
        .read_parquet_with(&path, options)
        .unwrap_err();
    assert!(error.to_string().contains("Arrow IPC"), "{error}");
}

#[test]
fn damage_of_a_mapped_file_is_an_error_as_of_one_that_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.arrow");
    write(&path, &[batch(0, 60, &["x", "y"])], false, None);
    let whole = std::fs::read(&path).unwrap();
    let read = |input: IpcInput| {
        input
            .batches()
            .and_then(Iterator::collect::<windrow::Result<Vec<_>>>)
    };
    for at in (0..whole.len()).step_by(61) {
        for value in [0, 0x7f, 0xff] {
            let mut changed = whole.clone();
            changed[at] = value;
            std::fs::write(&path, &changed).unwrap();
            let by_place = open(&path).and_then(read);
            let by_map = open(&path).and_then(|input| read(input.memory_mapped()));
            match (by_place, by_map) {
                (Ok(read), Ok(mapped)) => assert_eq!(read, mapped),
                (Err(read), Err(mapped)) => assert_eq!(read.to_string(), mapped.to_string()),
                (read, mapped) => panic!("{at}: {read:?}, {mapped:?}"),
            }
        }
    }
}
