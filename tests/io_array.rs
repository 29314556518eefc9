//! A file that is one JSON array streams as records, compressed or not.

use std::io::Write;
use std::sync::Arc;

use windrow::Error;
use windrow::io::{Extent, SourceFile, TextOptions, open, units};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn read(bytes: &[u8], options: &TextOptions) -> windrow::Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let file = SourceFile::at(file.path().to_str().unwrap(), 0)?;
    let mut text = Vec::new();
    // Ranges far shorter than the file, which an array must not be cut into.
    for unit in units(&file, 16)? {
        let mut reader = open(&unit, options)?;
        while let Some(chunk) = reader.next_chunk(Vec::new())? {
            text.extend(chunk.bytes);
        }
    }
    Ok(text)
}

#[test]
fn an_array_is_read_a_record_a_line_at_any_blocksize() {
    let array =
        "[\n  {\"a\": 1, \"s\": \"],[\"},\r\n  {\n    \"b\": [1, 2]\n  },{\"c\":\"\\\\\"}\n]\n";
    let want = "   {\"a\": 1, \"s\": \"],[\"}\n\r   {     \"b\": [1, 2]   }\n{\"c\":\"\\\\\"}   ";
    for blocksize in 1..=array.len() as u64 + 1 {
        for chunk_bytes in [1, 7, 1 << 20] {
            let options = TextOptions {
                chunk_bytes,
                blocksize,
                ..TextOptions::default()
            };
            for bytes in [array.as_bytes().to_vec(), gzip(array.as_bytes())] {
                let got = read(&bytes, &options).unwrap();
                assert_eq!(
                    String::from_utf8(got).unwrap().trim_start(),
                    want.trim_start()
                );
            }
        }
    }
}

#[test]
fn a_long_array_keeps_every_record() {
    let records: Vec<String> = (0..20_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    let blanks = " \n".repeat(500);
    let array = format!("\u{feff}{blanks}[{blanks}{}\n]", records.join(",\n "));
    for bytes in [array.clone().into_bytes(), gzip(array.as_bytes())] {
        let text = read(&bytes, &TextOptions::default()).unwrap();
        assert_eq!(text.len(), array.len() - 3);
        let text = String::from_utf8(text).unwrap();
        let got: Vec<_> = text.lines().map(str::trim).collect();
        // What stands before the bracket was lines already, all of them blank.
        let got: Vec<_> = got.into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(got, records);
    }
}

#[test]
fn lines_that_are_arrays_of_numbers_stay_lines() {
    let text = b"[1,2]\n[3]\n";
    assert_eq!(read(text, &TextOptions::default()).unwrap(), text);
}

#[test]
fn a_broken_array_is_an_error_with_its_byte() {
    for (text, byte, words) in [
        ("[{\"a\":1},\n]", 10, "comma"),
        ("[{\"a\":1},\n{\"b\"", 14, "missing"),
        ("[{\"a\":1}]\n[{\"a\":2}]\n", 10, "follows"),
    ] {
        for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
            match read(&bytes, &TextOptions::default()).unwrap_err() {
                Error::Decode { at, reason, .. } => {
                    assert_eq!(at.byte, byte, "{text}");
                    assert!(reason.contains(words), "{reason}");
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn salvage_of_a_damaged_array_keeps_the_records_before_it() {
    let records: Vec<String> = (0..9000u64)
        .map(|n| format!("{{\"n\":{}}}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let packed = gzip(format!("[{}]", records.join(",")).as_bytes());
    let options = TextOptions {
        salvage: true,
        ..TextOptions::default()
    };
    let text = read(&packed[..packed.len() / 2], &options).unwrap();
    let text = String::from_utf8(text).unwrap();
    let got: Vec<_> = text.lines().map(str::trim).collect();
    assert!(got.len() > 3000);
    assert_eq!(got, records[..got.len()]);
}

#[test]
fn a_plain_file_of_lines_is_cut_and_an_array_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text, many) in [
        ("lines", "{\"a\":1}\n".repeat(50_000), true),
        ("array", format!("[{}{{}}]", "{},".repeat(50_000)), false),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let file = SourceFile::at(path.to_str().unwrap(), 7).unwrap();
        let units = units(&file, 10_000).unwrap();
        assert_eq!(units.len() > 1, many, "{name}");
        assert_eq!(units[0].extent == Extent::Whole, !many);
        assert_eq!(units[0].file, Arc::new(file));
    }
}
