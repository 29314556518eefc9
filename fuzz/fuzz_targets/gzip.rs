//! Does any stored file end in text or an error, and salvage in what precedes the damage?

#![no_main]

mod common;

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use windrow::io::{Framing, RecordKind, SourceFile, TextOptions, Unit, open_framed};

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = common::choice(data) else {
        return;
    };
    let path = common::file("gz", data);
    let read = |salvage: bool| {
        let file = Arc::new(SourceFile::at(path.to_str().expect("a path of ASCII"), 0)?);
        let options = TextOptions {
            chunk_bytes: [1 << 16, 1, 100, 5000][choice % 4],
            salvage,
            max_record_bytes: 1 << 20,
            ..TextOptions::default()
        };
        let framing = Framing {
            records: RecordKind::Line,
            ..Framing::default()
        };
        let mut reader = open_framed(&Unit::whole(file), &options, &framing)?;
        let (mut bytes, mut first) = (0, Vec::new());
        while let Some(chunk) = reader.next_chunk(Vec::new())? {
            // Of damaged text, lines that were cut are passed over; a mark is no text.
            let is_gap = salvage && chunk.first_byte > bytes;
            let is_behind_mark = bytes == 0 && chunk.first_byte == 3;
            assert!(
                is_gap || is_behind_mark || chunk.first_byte == bytes,
                "chunks follow each other"
            );
            bytes = chunk.first_byte + chunk.bytes.len() as u64;
            if first.len() < 4096 {
                first.extend(chunk.bytes);
            }
            if bytes > 16 << 20 {
                break; // a bomb
            }
        }
        first.truncate(4096);
        Ok::<_, windrow::Error>((bytes, first, reader.damage().is_some()))
    };
    let (strict, salvaged) = (read(false), read(true));
    if let Ok((bytes, first, _)) = strict {
        let (same_bytes, same_first, is_damaged) = salvaged.expect("what is whole is read");
        assert!(!is_damaged, "damage was seen in what is whole");
        assert_eq!((bytes, first), (same_bytes, same_first));
    }
});
