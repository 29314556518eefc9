//! The same input and options give the same bytes, whatever the threads and
//! the memory, and the same rows, whatever the blocksize and the road they came by.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use arrow_select::concat::concat_batches;
use common::cli::{command, ended, gzipped, windrow};
use common::folder::files;
use common::generate::{Layout, Logs, Seed};
use common::log_files;
use common::table::batches;
use windrow::arrow::array::RecordBatch;
use windrow::{ByteSize, ReadOptions, Session};

/// All rows of a folder of part files, as one batch.
fn rows(dir: &Path) -> RecordBatch {
    let batches = batches(dir);
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[test]
fn threads_and_memory_change_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout {
        files: 7,
        skew: true,
        members: 3,
        ..Layout::default()
    };
    // More than one chunk a file and one row group a run.
    log_files(&dir.path().join("logs"), 12_000, layout);
    for shape in [
        vec![],
        vec!["--npartitions", "3"],
        vec!["--partition-size", "600KiB"],
        vec!["--file-size", "400KiB"],
        vec!["--blocksize", "2MiB"],
        vec![
            "--partition-on",
            "level",
            "--format",
            "json",
            "--compression",
            "gzip",
        ],
        vec![
            "--format",
            "ipc",
            "--where",
            "status >= 400",
            "--partition-rows",
            "500",
        ],
    ] {
        let mut first = None;
        for run in [
            vec!["--threads", "1"],
            vec!["--threads", "2"],
            vec!["--threads", "8", "--memory", "256MiB"],
            vec!["--threads", "2", "--memory", "64MiB"],
        ] {
            let args = [
                &["convert", "logs", "--to", "out", "--overwrite"],
                &shape[..],
                &run[..],
            ]
            .concat();
            windrow(dir.path(), &args).expect(0);
            let found = files(&dir.path().join("out"));
            assert!(found.len() >= 2, "{args:?}");
            let first = first.get_or_insert_with(|| found.clone());
            let differing: Vec<&String> = found
                .iter()
                .filter(|(name, bytes)| first.get(*name) != Some(*bytes))
                .map(|(name, _)| name)
                .collect();
            assert!(
                differing.is_empty() && found.len() == first.len(),
                "{args:?}: {differing:?}"
            );
        }
    }
}

/// Small, and awkward at every cut: late keys, late types, CRLF, blank lines, UTF-8, no last newline.
const AWKWARD: &str = "\u{feff}{\"a\":1,\"b\":\"é\\\"\"}\r\n\n{\"a\":null,\"c\":[1,{\"d\":2}]}\n   \n\
    {\"b\":\"x\\\\\",\"a\":18446744073709551615}\n{\"z\":{\"y\":true}}\n{\"a\":-1}\n{\"z\":{\"y\":1,\"x\":\"\u{1f680}\"}}";

/// All rows of a file, read without a command around it.
fn read(path: &Path, blocksize: Option<u64>) -> RecordBatch {
    let options = ReadOptions {
        blocksize: blocksize.map(ByteSize::new),
        ..ReadOptions::default()
    };
    let frame = Session::default().read_json(path.to_str().unwrap(), options);
    let table = frame.unwrap().compute().unwrap();
    concat_batches(&table.schema(), table.batches()).unwrap()
}

#[test]
fn every_blocksize_gives_the_same_rows() {
    let long = format!(
        "{{\"a\":1}}\n{{\"s\":\"{}\"}}\n{{\"a\":2.5}}",
        "é\\n".repeat(30)
    );
    let crlf = "{\"a\":1}\r\n\r\n{\"b\":[]}\r\n{\"b\":[{\"c\":null}]}\r\n\r\n";
    let array = " [ {\"a\":1}\n, {\"a\":\"x,]}\"},\n{\"b\":[1,\n2]} ]\n";
    let dir = tempfile::tempdir().unwrap();
    for (text, n_rows) in [(AWKWARD, 6), (&long, 3), (crlf, 3), (array, 3)] {
        let (head, tail) = text.as_bytes().split_at(text.len() / 3);
        let plain = dir.path().join("a.json");
        let packed = dir.path().join("a.json.gz");
        std::fs::write(&plain, text).unwrap();
        // Two members, cut inside a record.
        std::fs::write(&packed, [gzipped(head), gzipped(tail)].concat()).unwrap();
        let whole = read(&plain, None);
        assert_eq!(whole.num_rows(), n_rows);
        for blocksize in 1..=text.len() as u64 + 1 {
            for path in [&plain, &packed] {
                let found = read(path, Some(blocksize));
                assert_eq!(found, whole, "{} at {blocksize}: {text}", path.display());
            }
        }
    }
}

#[test]
fn blocksizes_that_meet_records_at_their_ends_give_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let record = |id: usize| format!("{{\"id\":{id},\"s\":\"{}\"}}\n", "s".repeat(1024 - 16));
    let text: String = (0..4).map(record).collect();
    assert_eq!(text.len(), 4096);
    std::fs::write(dir.path().join("a.json"), &text).unwrap();
    std::fs::write(dir.path().join("a.json.gz"), gzipped(text.as_bytes())).unwrap();
    windrow(dir.path(), &["convert", "a.json", "--to", "whole"]).expect(0);
    let whole = rows(&dir.path().join("whole"));
    for blocksize in [123, 512, 768, 1024, 1536, 1537, 2048, 3096] {
        for input in ["a.json", "a.json.gz"] {
            let size = blocksize.to_string();
            let args = [
                "convert",
                input,
                "--to",
                "out",
                "--overwrite",
                "--blocksize",
                &size,
            ];
            windrow(dir.path(), &args).expect(0);
            assert_eq!(
                rows(&dir.path().join("out")),
                whole,
                "{input} at blocksize {blocksize}"
            );
        }
    }
}

#[test]
fn a_larger_log_has_the_same_rows_at_every_blocksize_and_from_every_road() {
    let dir = tempfile::tempdir().unwrap();
    let text = Logs::new(Seed(9), 9_000).text();
    let (plain, gz) = (dir.path().join("a.json"), dir.path().join("b.json.gz"));
    std::fs::write(&plain, &text).unwrap();
    std::fs::write(&gz, gzipped(&text)).unwrap();
    windrow(dir.path(), &["convert", "a.json", "--to", "whole"]).expect(0);
    let whole = rows(&dir.path().join("whole"));
    assert_eq!(whole.num_rows(), 9_000);
    for input in ["a.json", "b.json.gz"] {
        for size in ["64KiB", "100000", "1MiB", "1GiB"] {
            let args = [
                "convert",
                input,
                "--to",
                "out",
                "--overwrite",
                "--blocksize",
                size,
            ];
            windrow(dir.path(), &args).expect(0);
            assert_eq!(
                rows(&dir.path().join("out")),
                whole,
                "{input} at blocksize {size}"
            );
        }
        // Standard input, plain and gzipped.
        let mut child = command()
            .current_dir(dir.path())
            .args(["convert", "-", "--to", "piped", "--overwrite"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(&std::fs::read(dir.path().join(input)).unwrap())
            .unwrap();
        drop(stdin);
        ended(child.wait_with_output().unwrap()).expect(0);
        assert_eq!(
            rows(&dir.path().join("piped")),
            whole,
            "{input} from standard input"
        );
    }
    // Through windrow's own formats and back.
    for format in ["json", "ipc", "parquet"] {
        let steps = [
            vec![
                "convert",
                "a.json",
                "--to",
                "step",
                "--overwrite",
                "--format",
                format,
            ],
            vec!["convert", "step", "--to", "back", "--overwrite"],
        ];
        for args in steps {
            windrow(dir.path(), &args).expect(0);
        }
        assert_eq!(rows(&dir.path().join("back")), whole, "through {format}");
    }
}

#[test]
fn the_same_error_has_the_same_text_at_every_blocksize_and_thread_count() {
    let dir = tempfile::tempdir().unwrap();
    let good = String::from_utf8(Logs::new(Seed(5), 3_000).text()).unwrap();
    // Two faults: the first one in the file is told, whichever thread fails first.
    let text = format!("{good}{{\"a\":01}}\n{good}{{\"b\":\n{good}");
    std::fs::write(dir.path().join("a.json"), &text).unwrap();
    std::fs::write(dir.path().join("b.json.gz"), gzipped(text.as_bytes())).unwrap();
    for input in ["a.json", "b.json.gz"] {
        let mut first = None;
        for flags in [
            vec!["--threads", "1"],
            vec!["--threads", "2"],
            vec!["--threads", "8"],
            vec!["--threads", "2", "--blocksize", "4KiB"],
            vec!["--threads", "2", "--blocksize", "70000"],
        ] {
            let args = [&["convert", input, "--to", "out"], &flags[..]].concat();
            let end = windrow(dir.path(), &args).expect(1);
            let first = first.get_or_insert_with(|| end.stderr.clone());
            assert_eq!(&end.stderr, first, "{flags:?}");
            assert!(
                first.contains(&format!("{input}: line 3001 (byte {}", good.len())),
                "{first}"
            );
        }
    }
}

#[test]
fn damage_is_salvaged_alike_by_every_thread_count() {
    let dir = tempfile::tempdir().unwrap();
    let text = Logs::new(Seed(6), 6_000).text();
    let pieces: Vec<Vec<u8>> = text.chunks(400_000).map(gzipped).collect();
    let mut bytes = pieces.concat();
    let damaged = pieces[0].len() + pieces[1].len() / 2;
    bytes[damaged..damaged + 50].fill(0xAA);
    std::fs::write(dir.path().join("a.json.gz"), &bytes).unwrap();
    windrow(dir.path(), &["convert", "a.json.gz", "--to", "out"]).expect(1);
    let mut first = None;
    for run in [
        vec!["--threads", "1"],
        vec!["--threads", "2"],
        vec!["--threads", "8", "--blocksize", "64KiB"],
    ] {
        let flags = [
            "--salvage",
            "--on-bad-record",
            "reject",
            "--rejects",
            "bad.json",
            "--overwrite",
        ];
        let args = [
            &["convert", "a.json.gz", "--to", "out"],
            &flags[..],
            &run[..],
        ]
        .concat();
        let end = windrow(dir.path(), &args).expect(0);
        let rejects = std::fs::read(dir.path().join("bad.json")).unwrap();
        let found = (
            rows(&dir.path().join("out")),
            rejects,
            end.stderr.lines().last().map(str::to_owned),
        );
        let first = first.get_or_insert_with(|| found.clone());
        assert!(found == *first, "{run:?}");
        assert!(
            found.0.num_rows() > 3_000 && found.0.num_rows() < 6_000,
            "{}",
            found.0.num_rows()
        );
    }
}
