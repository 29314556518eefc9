//! Every record is read once, at any blocksize, range and chunk size, plain or compressed.

use std::io::Write;
use std::sync::Arc;

use proptest::prelude::*;
use windrow::io::{SourceFile, TextOptions, Unit, open, units};

/// A line and the decompressed byte it begins at.
type Line = (u64, Vec<u8>);

/// Small texts that have tripped line splitters.
fn awkward() -> Vec<(&'static str, Vec<u8>)> {
    let long = format!(
        "{{\"a\":1}}\n{{\"long\":\"{}\"}}\n{{\"b\":2}}",
        "x".repeat(90)
    );
    vec![
        ("empty", b"".to_vec()),
        ("only newlines", b"\n\n\r\n\n".to_vec()),
        ("one line", b"{\"a\":1}\n".to_vec()),
        ("one line, no newline", b"{\"a\":1}".to_vec()),
        ("crlf", b"{\"a\":1}\r\n{\"b\":2}\r\n{\"c\":3}".to_vec()),
        ("mark", b"\xef\xbb\xbf{\"a\":1}\n{\"b\":2}\n".to_vec()),
        ("only a mark", b"\xef\xbb\xbf".to_vec()),
        (
            "mark, then a newline",
            b"\xef\xbb\xbf\n\n{\"b\":2}\n".to_vec(),
        ),
        (
            "blank lines",
            b"\n{\"a\":1}\n\n\n  \n{\"b\":2}\n\n".to_vec(),
        ),
        (
            "no last newline",
            b"a\nbb\r\n\nccc\nno newline at the end".to_vec(),
        ),
        ("one long line", long.into_bytes()),
        ("short lines", b"1\n2\n3\n4\n5\n6\n7\n8\n9\n".to_vec()),
    ]
}

/// The lines of a text, found the plain way.
fn oracle(text: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = if text.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    while at < text.len() {
        let mut end = at;
        while end < text.len() && text[end] != b'\n' {
            end += 1;
        }
        end = (end + 1).min(text.len());
        lines.push((at as u64, text[at..end].to_vec()));
        at = end;
    }
    lines
}

/// Reads one unit, checking what every chunk promises.
fn read_unit(unit: &Unit, options: &TextOptions) -> windrow::Result<Vec<Line>> {
    let mut reader = open(unit, options)?;
    let mut lines: Vec<Line> = Vec::new();
    let mut reuse = Vec::new();
    let mut behind = None;
    while let Some(chunk) = reader.next_chunk(reuse)? {
        assert!(!chunk.bytes.is_empty());
        assert_eq!(chunk.block, chunk.first_byte / options.blocksize);
        assert!(behind.is_none_or(|behind| behind == chunk.first_byte));
        let mut at = chunk.first_byte;
        for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
            assert_eq!(
                at / options.blocksize,
                chunk.block,
                "a record of another block"
            );
            lines.push((at, line.to_vec()));
            at += line.len() as u64;
        }
        behind = Some(at);
        reuse = chunk.bytes;
    }
    assert!(
        reader.next_chunk(Vec::new())?.is_none(),
        "the end stays the end"
    );
    Ok(lines)
}

fn read_ranges(file: &SourceFile, range_bytes: u64, options: &TextOptions) -> Vec<Line> {
    units(file, range_bytes)
        .unwrap()
        .iter()
        .flat_map(|unit| read_unit(unit, options).unwrap())
        .collect()
}

fn options(chunk_bytes: usize, blocksize: u64) -> TextOptions {
    TextOptions {
        chunk_bytes,
        blocksize,
        ..TextOptions::default()
    }
}

fn file_of(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> SourceFile {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    SourceFile::at(path.to_str().unwrap(), 0).unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The same text as several kinds of gzip and zstd file.
fn stored(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (a, b) = (text.len() / 3, text.len() * 2 / 3 + 1);
    let b = b.min(text.len());
    let thirds: Vec<u8> = [&text[..a], &text[a..b], &text[b..]]
        .into_iter()
        .flat_map(gzip)
        .collect();
    let with_empties = [gzip(b""), gzip(text), gzip(b""), gzip(b"")].concat();
    let mut padded = gzip(text);
    padded.extend([0; 700]);
    let zstd = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
    let skippable = b"\x50\x2a\x4d\x18\x05\0\0\0hello";
    vec![
        ("1 member", gzip(text)),
        ("3 members", thirds),
        ("empty members", with_empties),
        ("padding", padded),
        ("zstd", zstd(text)),
        (
            "zstd frames",
            [
                skippable,
                &zstd(&text[..a])[..],
                &zstd(&text[a..]),
                skippable,
            ]
            .concat(),
        ),
    ]
}

#[test]
fn every_record_is_read_once_at_any_blocksize() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in awkward() {
        let want = oracle(&text);
        let plain = file_of(&dir, "plain", &text);
        let packed: Vec<_> = stored(&text)
            .into_iter()
            .map(|(kind, bytes)| (kind, file_of(&dir, kind, &bytes)))
            .collect();
        for blocksize in 1..=text.len() as u64 + 1 {
            for chunk_bytes in [1, 5, 64, 1 << 20] {
                let options = options(chunk_bytes, blocksize);
                let case = format!("{name}, blocksize {blocksize}, chunk {chunk_bytes}");
                assert_eq!(read_ranges(&plain, blocksize, &options), want, "{case}");
                assert_eq!(read_ranges(&plain, u64::MAX, &options), want, "{case}");
                for (kind, file) in &packed {
                    let got = read_ranges(file, blocksize, &options);
                    assert_eq!(got, want, "{case}, {kind}");
                }
            }
        }
    }
}

#[test]
fn blocks_that_end_inside_records_of_1024_bytes() {
    let mut text = Vec::new();
    for n in 0..4 {
        let head = format!("{{\"n\":{n},\"pad\":\"");
        text.extend(head.bytes());
        text.resize(n * 1024 + 1024 - 3, b'x');
        text.extend(b"\"}\n");
    }
    let dir = tempfile::tempdir().unwrap();
    let plain = file_of(&dir, "plain", &text);
    let packed = file_of(&dir, "packed", &gzip(&text));
    for blocksize in [123, 512, 768, 1024, 1536, 1537, 2048, 3096] {
        for chunk_bytes in [100, 1024, 1 << 20] {
            let options = options(chunk_bytes, blocksize);
            assert_eq!(read_ranges(&plain, blocksize, &options), oracle(&text));
            assert_eq!(read_ranges(&packed, blocksize, &options), oracle(&text));
        }
    }
}

#[test]
fn chunks_do_not_depend_on_the_buffers_they_are_given() {
    let text: Vec<u8> = (0..5000)
        .flat_map(|n| format!("{{\"n\":{n}}}\n").into_bytes())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let file = Arc::new(file_of(&dir, "packed", &gzip(&text)));
    let options = options(4096, 10_000);
    let mut cuts = Vec::new();
    for give in 0..3 {
        let mut reader = open(&Unit::whole(file.clone()), &options).unwrap();
        let mut firsts = Vec::new();
        let mut buf = Vec::new();
        while let Some(chunk) = reader.next_chunk(buf).unwrap() {
            firsts.push(chunk.first_byte);
            buf = match give {
                0 => Vec::new(),
                1 => chunk.bytes,
                _ => vec![b'?'; (firsts.len() * 7919) % 100_000],
            };
        }
        cuts.push(firsts);
    }
    assert_eq!(cuts[0], cuts[1]);
    assert_eq!(cuts[0], cuts[2]);
}

#[test]
fn a_record_longer_than_the_limit_is_an_error_with_its_place() {
    let text = [b"{}\n{}\n".to_vec(), vec![b'x'; 5000], b"\n{}\n".to_vec()].concat();
    let dir = tempfile::tempdir().unwrap();
    let mut messages = Vec::new();
    for (name, bytes) in [("a", text.clone()), ("a", gzip(&text))] {
        let file = file_of(&dir, name, &bytes);
        for range_bytes in [3, 1000, u64::MAX] {
            for (chunk_bytes, blocksize) in [(1, 7), (64, 1 << 20), (1 << 20, 1 << 20)] {
                let mut options = options(chunk_bytes, blocksize);
                options.max_record_bytes = 5000;
                assert_eq!(read_ranges(&file, range_bytes, &options).len(), 4);
                options.max_record_bytes = 4999;
                let error = units(&file, range_bytes)
                    .unwrap()
                    .iter()
                    .find_map(|unit| read_unit(unit, &options).err())
                    .unwrap();
                messages.push(error.to_string());
            }
        }
    }
    assert!(
        messages[0].contains("line 3 (byte 6 decompressed)"),
        "{}",
        messages[0]
    );
    assert!(messages[0].contains("max-record"), "{}", messages[0]);
    assert!(
        messages.iter().all(|message| *message == messages[0]),
        "{messages:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_text_in_random_ranges_is_read_once(
        lines in prop::collection::vec("[a-z ]{0,40}\r?", 0..60),
        last in "[a-z]{0,30}",
        range_bytes in 1u64..3000,
        blocksize in 1u64..3000,
        chunk_bytes in 1usize..3000,
        members in 1usize..6,
    ) {
        let mut text = lines.join("\n").into_bytes();
        if !lines.is_empty() {
            text.push(b'\n');
        }
        text.extend(last.bytes());
        let dir = tempfile::tempdir().unwrap();
        let options = options(chunk_bytes, blocksize);
        let plain = file_of(&dir, "plain", &text);
        prop_assert_eq!(read_ranges(&plain, range_bytes, &options), oracle(&text));
        let piece = text.len() / members + 1;
        let packed: Vec<u8> = text.chunks(piece).flat_map(gzip).collect();
        let packed = file_of(&dir, "packed", &packed);
        prop_assert_eq!(read_ranges(&packed, range_bytes, &options), oracle(&text));
    }
}
