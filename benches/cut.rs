//! How fast is plain text cut into ranges and chunks? Unit: bytes of text per second.
//!
//! Short lines and long ones, at several ranges; that every line came once is
//! checked before any time is believed.

use std::time::Instant;

use windrow::io::{SourceFile, TextOptions, open, units};

const TEXT_BYTES: usize = 256 << 20;

fn main() {
    let dir = tempfile::tempdir().expect("a folder for the files");
    for line_bytes in [40, 250, 20_000] {
        let text = lines(line_bytes);
        let n_lines = memchr::memchr_iter(b'\n', &text).count();
        let path = dir.path().join("text");
        std::fs::write(&path, &text).expect("the folder is there");
        let file = SourceFile::at(path.to_str().expect("a plain name"), 0).expect("just written");
        for range_bytes in [1 << 20, 16 << 20, 128 << 20, u64::MAX] {
            assert_eq!(read(&file, range_bytes, true), (text.len(), n_lines));
            let fastest = (0..5)
                .map(|_| {
                    let start = Instant::now();
                    assert_eq!(read(&file, range_bytes, false).0, text.len());
                    start.elapsed()
                })
                .min()
                .expect("five times");
            let rate = text.len() as f64 / fastest.as_secs_f64() / 1e6;
            let range = match range_bytes {
                u64::MAX => "whole".to_string(),
                bytes => format!("{} MiB", bytes >> 20),
            };
            println!("lines of {line_bytes:>6} bytes, ranges of {range:>8}  {rate:>6.0} MB/s");
        }
    }
}

/// Bytes and, if asked, lines of all units of a file, read one after the other.
fn read(file: &SourceFile, range_bytes: u64, count: bool) -> (usize, usize) {
    let (mut bytes, mut n_lines) = (0, 0);
    let mut buf = Vec::new();
    for unit in units(file, range_bytes).expect("a file of our own") {
        let mut reader = open(&unit, &TextOptions::default()).expect("a file of our own");
        while let Some(chunk) = reader.next_chunk(buf).expect("a file of our own") {
            bytes += chunk.bytes.len();
            if count {
                n_lines += memchr::memchr_iter(b'\n', &chunk.bytes).count();
            }
            buf = chunk.bytes;
        }
        buf = Vec::new();
    }
    (bytes, n_lines)
}

/// Lines of about `line_bytes`, of uneven lengths.
fn lines(line_bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(TEXT_BYTES + 2 * line_bytes);
    let mut state = 7usize;
    while text.len() < TEXT_BYTES {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let length = line_bytes / 2 + (state >> 33) % line_bytes;
        text.resize(text.len() + length, b'x');
        text.push(b'\n');
    }
    text
}
