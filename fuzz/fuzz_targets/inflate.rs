//! Is deflate data inflated as zlib-rs does it? The input is deflate data; it is
//! read as a gzip member whose header and sums are right.

#![no_main]

mod common;

use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;
use windrow::io::{Framing, RecordKind, SourceFile, TextOptions, Unit, open_framed};

/// Larger texts take time and find nothing.
const MOST_TEXT: usize = 1 << 20;

/// The text of deflate data and how many bytes it took, or none if it is damaged.
fn inflated(data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut inflate = Decompress::new(false);
    let mut text = Vec::with_capacity(MOST_TEXT);
    match inflate.decompress_vec(data, &mut text, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => Some((text, inflate.total_in() as usize)),
        _ => None,
    }
}

fn is_larger(data: &[u8]) -> bool {
    let mut inflate = Decompress::new(false);
    let mut text = Vec::with_capacity(MOST_TEXT);
    let _ = inflate.decompress_vec(data, &mut text, FlushDecompress::Finish);
    text.len() == MOST_TEXT
}

fn read(stored: &[u8], chunk_bytes: usize) -> Result<Vec<u8>, windrow::Error> {
    let path = common::file("gz", stored);
    let file = Arc::new(SourceFile::at(path.to_str().expect("a path of ASCII"), 0)?);
    let options = TextOptions {
        chunk_bytes,
        ..TextOptions::default()
    };
    let framing = Framing {
        records: RecordKind::Line,
        ..Framing::default()
    };
    let mut reader = open_framed(&Unit::whole(file), &options, &framing)?;
    let mut text = Vec::new();
    while let Some(chunk) = reader.next_chunk(Vec::new())? {
        text.extend(chunk.bytes);
    }
    Ok(text)
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = common::choice(data) else {
        return;
    };
    if is_larger(data) {
        return;
    }
    let chunk_bytes = [1 << 20, 1, 100, 5000][choice % 4];
    let mut stored = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let Some((text, taken)) = inflated(data) else {
        stored.extend(data);
        assert!(read(&stored, chunk_bytes).is_err(), "damage was read");
        return;
    };
    stored.extend(&data[..taken]);
    let mut sum = flate2::Crc::new();
    sum.update(&text);
    stored.extend(sum.sum().to_le_bytes());
    stored.extend((text.len() as u32).to_le_bytes());
    // A mark is no text, and two-byte encodings are refused.
    let is_marked = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"];
    if is_marked.iter().any(|mark| text.starts_with(mark)) {
        return;
    }
    match read(&stored, chunk_bytes) {
        Ok(ours) => assert_eq!(ours, text),
        Err(error) => panic!("{} bytes of text were not read: {error}", text.len()),
    }
});
