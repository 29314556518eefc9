//! Bytes that are no text: an error with a place, or, where that was asked for, U+FFFD in the
//! rows and a count in the report, the same at any number of threads and blocksize.

mod cli_common;

use std::path::Path;

use cli_common::{gzipped, windrow};
use windrow::inspect::cells;
use windrow::{ByteSize, ReadOptions, Replaced, Session, Settings};

/// Rows as text, line by line, and what was replaced in each file.
fn read(
    form: &str,
    path: &Path,
    threads: usize,
    blocksize: u64,
    lossy: bool,
) -> windrow::Result<(Vec<String>, Vec<Option<Replaced>>)> {
    let session = Session::new(Settings {
        threads,
        ..Settings::default()
    });
    let options = ReadOptions {
        blocksize: Some(ByteSize::new(blocksize)),
        lossy,
        ..ReadOptions::default()
    };
    let frame = match form {
        "json" => session.read_json(path, options)?,
        "csv" => session.read_csv(path, options)?,
        _ => session.read_text(path, options)?,
    };
    let mut rows = Vec::new();
    let report = frame.for_each_batch(|batch| {
        let columns: Vec<Vec<String>> = (batch.columns().iter())
            .map(|column| cells(column.as_ref()).unwrap())
            .collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            let cells: Vec<&str> = columns.iter().map(|column| column[row].as_str()).collect();
            cells.join("|")
        }));
        Ok(())
    })?;
    let replaced = report.inputs.iter().map(|input| input.replaced).collect();
    Ok((rows, replaced))
}

/// A line for each number, some of which hold bytes that are no UTF-8: alone, cut short in the
/// middle of a character, at the end of a line, and beside a true U+FFFD.
fn lines(form: &str, rows: u32) -> Vec<u8> {
    let bad: [&[u8]; 6] = [
        b"\xff",
        b"caf\xe9 au",
        b"\xe2\x82",
        b"\xf0\x9f\x8c",
        b"\xed\xa0\x80",
        b"\xef\xbf\xbd\x80",
    ];
    let mut text = match form {
        "csv" => b"n,s\n".to_vec(),
        _ => Vec::new(),
    };
    for n in 0..rows {
        let mut value = format!("row {n} \u{e9}").into_bytes();
        if n % 7 == 3 {
            value.extend_from_slice(bad[(n / 7) as usize % bad.len()]);
        }
        let (before, behind) = match form {
            "json" => (format!("{{\"n\":{n},\"s\":\""), "\"}\n"),
            "csv" => (format!("{n},"), "\n"),
            _ => (format!("{n} "), "\n"),
        };
        text.extend_from_slice(before.as_bytes());
        text.extend_from_slice(&value);
        text.extend_from_slice(behind.as_bytes());
    }
    text
}

#[test]
fn lossy_rows_are_those_of_the_text_with_its_bad_bytes_replaced() {
    let dir = tempfile::tempdir().unwrap();
    for form in ["json", "csv", "text"] {
        let bytes = lines(form, 3000);
        let clean = String::from_utf8_lossy(&bytes).into_owned();
        let marks = |text: &[u8]| memchr::memmem::find_iter(text, "\u{fffd}".as_bytes()).count();
        let wanted = (marks(clean.as_bytes()) - marks(&bytes)) as u64;
        let first = clean.find('\u{fffd}').unwrap();
        let first = Replaced {
            count: wanted,
            line: clean[..first].matches('\n').count() as u64 + 1,
            byte: first as u64,
        };
        let (plain, packed, mended) = (
            dir.path().join("plain"),
            dir.path().join("packed.gz"),
            dir.path().join("mended"),
        );
        std::fs::write(&plain, &bytes).unwrap();
        std::fs::write(&packed, gzipped(&bytes)).unwrap();
        std::fs::write(&mended, &clean).unwrap();
        let (expected, none) = read(form, &mended, 1, 1 << 20, false).unwrap();
        assert_eq!(none, [None], "{form}");
        assert_eq!(expected.len(), 3000);
        for path in [&plain, &packed] {
            for (threads, blocksize) in [(1, 1 << 20), (2, 700), (5, 64 << 10)] {
                let (rows, replaced) = read(form, path, threads, blocksize, true).unwrap();
                assert_eq!(rows, expected, "{form} {threads} {blocksize}");
                assert_eq!(replaced, [Some(first)], "{form} {threads} {blocksize}");
            }
        }
        // Text that is sound stays as it is, and nothing is said of it.
        let (rows, replaced) = read(form, &mended, 2, 4096, true).unwrap();
        assert_eq!((rows, replaced), (expected, vec![None]), "{form}");
    }
}

#[test]
fn without_being_asked_for_bad_bytes_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for form in ["json", "csv", "text"] {
        let path = dir.path().join("bad");
        std::fs::write(&path, lines(form, 20)).unwrap();
        let error = read(form, &path, 2, 1 << 20, false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("bad: line "), "{form}: {error}");
    }
}

#[test]
fn bad_bytes_outside_of_texts_stay_bad_records_in_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let text = b"{\"s\":\"a\xff\"}\n{\"n\":\xff}\n{\"s\":\"b\"}\n";
    std::fs::write(&path, text).unwrap();
    let error = read("json", &path, 1, 1 << 20, true)
        .unwrap_err()
        .to_string();
    assert!(error.contains("a.json: line 2 "), "{error}");

    let flags = ["convert", "a.json", "--to", "out", "--lossy"];
    let skip = ["--on-bad-record", "skip", "--report", "-"];
    let ended = windrow(dir.path(), &[&flags[..], &skip].concat()).expect(0);
    let report = ended.json();
    assert_eq!(
        (&report["rows"], &report["rejected"]),
        (&2.into(), &1.into())
    );
    let replaced = serde_json::json!({"count": 2, "line": 1, "byte": 7});
    assert_eq!(report["inputs"][0]["replaced"], replaced);
    let told = "2 sequences of bytes became U+FFFD, the first at line 1 (byte 7)";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn a_megabyte_of_noise_is_read_in_bounded_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("noise");
    let mut state = 7_u64;
    let bytes: Vec<u8> = (0..1 << 20)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            0x80 | (state >> 40) as u8
        })
        .collect();
    std::fs::write(&path, &bytes).unwrap();
    let (rows, replaced) = read("text", &path, 2, 1 << 20, true).unwrap();
    assert_eq!(rows, [String::from_utf8_lossy(&bytes).into_owned()]);
    assert!(replaced[0].unwrap().count > 1 << 18, "{replaced:?}");
}

#[test]
fn the_flag_is_refused_where_it_would_do_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.json"), "{\"n\":1}\n").unwrap();
    windrow(dir.path(), &["convert", "a.json", "--to", "out"]).expect(0);
    let ended = windrow(dir.path(), &["head", "out", "--lossy"]).expect(2);
    assert!(ended.stderr.contains("lossy"), "{}", ended.stderr);
}
