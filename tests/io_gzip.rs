//! gzip and zstd are read whole or refused; with salvage, what is lost is told.

use std::io::Write;
use std::sync::Arc;

use flate2::{Compression, GzBuilder};
use windrow::Error;
use windrow::io::{Damage, Framing, SourceFile, TextOptions, Unit, open, record_at};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Log lines that do not repeat, so that damage does not decode to the same text.
fn log(lines: std::ops::Range<u64>) -> Vec<u8> {
    lines
        .flat_map(|n| {
            let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{{\"n\":{n},\"key\":\"{key:016x}\"}}\n").into_bytes()
        })
        .collect()
}

struct Read {
    text: Vec<u8>,
    damage: Option<Damage>,
}

fn read(bytes: &[u8], salvage: bool) -> windrow::Result<Read> {
    read_at(bytes, salvage, 1 << 20)
}

fn read_at(bytes: &[u8], salvage: bool, chunk_bytes: usize) -> windrow::Result<Read> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let file = SourceFile::at(file.path().to_str().unwrap(), 0)?;
    let options = TextOptions {
        salvage,
        chunk_bytes,
        ..TextOptions::default()
    };
    let mut reader = open(&Unit::whole(Arc::new(file)), &options)?;
    let mut text = Vec::new();
    while let Some(chunk) = reader.next_chunk(Vec::new())? {
        text.extend(chunk.bytes);
    }
    assert_eq!(reader.stored_bytes_read(), bytes.len() as u64);
    Ok(Read {
        text,
        damage: reader.damage().cloned(),
    })
}

/// The stored byte an error names.
fn corrupt_at(result: windrow::Result<Read>) -> (u64, String) {
    match result.err().expect("damage must be refused") {
        Error::Corrupt {
            byte: Some(byte),
            reason,
            ..
        } => (byte, reason),
        other => panic!("{other}"),
    }
}

#[test]
fn a_gzip_cut_anywhere_is_refused() {
    let (a, b) = (log(0..40), log(40..80));
    let packed = [gzip(&a), gzip(&b)].concat();
    let border = gzip(&a).len();
    for cut in 2..packed.len() {
        let result = read(&packed[..cut], false);
        if cut == border {
            // Two whole files joined look like this before the second is there.
            assert_eq!(result.unwrap().text, a);
            continue;
        }
        let (byte, reason) = corrupt_at(result);
        assert!(byte <= cut as u64, "{byte} of {cut}");
        assert!(reason.contains("ends inside"), "cut {cut}: {reason}");
    }
}

#[test]
fn no_flipped_bit_changes_the_text_silently() {
    let text = log(0..16);
    let third = text.len() / 3;
    let packed = [gzip(&text[..third]), gzip(&text[third..])].concat();
    let mut refused = 0;
    for byte in 0..packed.len() {
        for bit in 0..8 {
            let mut flipped = packed.clone();
            flipped[byte] ^= 1 << bit;
            match read(&flipped, false) {
                // Without its magic it is text, which no decoder takes for JSON.
                Ok(_) if byte < 2 => {}
                // A time stamp, a system, a level: nothing of the text.
                Ok(read) => assert_eq!(read.text, text, "byte {byte} bit {bit}"),
                Err(Error::Corrupt { .. }) => refused += 1,
                Err(Error::Config { .. }) if byte < 2 => {}
                Err(other) => panic!("byte {byte} bit {bit}: {other}"),
            }
        }
    }
    // Two headers of ten bytes, of which seven say nothing about the text.
    assert!(refused > (packed.len() - 20) * 8);
}

#[test]
fn zstd_is_refused_when_cut_or_changed() {
    let text = log(0..60);
    let packed = [zstd(&text), zstd(&text)].concat();
    let border = zstd(&text).len();
    for cut in 4..packed.len() {
        if cut != border {
            let (_, reason) = corrupt_at(read(&packed[..cut], false));
            assert!(reason.contains("frame"), "{reason}");
        }
    }
    for byte in 4..packed.len() {
        let mut flipped = packed.clone();
        flipped[byte] ^= 1 << (byte % 8);
        if let Ok(read) = read(&flipped, false) {
            assert_eq!(read.text, [&text[..], &text[..]].concat(), "byte {byte}");
        }
    }
}

#[test]
fn every_optional_header_field_is_read() {
    let text = log(0..3);
    let mut encoder = GzBuilder::new()
        .extra(vec![7; 300])
        .filename("a name")
        .comment("a comment")
        .mtime(1_700_000_000)
        .write(Vec::new(), Compression::new(1));
    encoder.write_all(&text).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(read(&packed, false).unwrap().text, text);

    // The same with a checksum of the header.
    let mut with_crc = gzip(&text);
    with_crc[3] |= 2;
    let crc = crc32fast::hash(&with_crc[..10]) as u16;
    with_crc.splice(10..10, crc.to_le_bytes());
    assert_eq!(read(&with_crc, false).unwrap().text, text);
    with_crc[10] ^= 1;
    let (byte, reason) = corrupt_at(read(&with_crc, false));
    assert_eq!(byte, 0);
    assert!(reason.contains("checksum of the gzip header"), "{reason}");
    let mut reserved = gzip(&text);
    reserved[3] |= 0x40;
    assert!(corrupt_at(read(&reserved, false)).1.contains("flags"));
}

#[test]
fn what_follows_the_last_member_is_zeros_or_an_error() {
    let text = log(0..10);
    let packed = gzip(&text);
    let end = packed.len() as u64;
    for zeros in [1, 511, 300_000] {
        let padded = [packed.clone(), vec![0; zeros]].concat();
        assert_eq!(read(&padded, false).unwrap().text, text);
        let again = [padded.clone(), packed.clone()].concat();
        assert_eq!(read(&again, false).unwrap().text.len(), text.len() * 2);
        let garbage = [padded, b"x".to_vec()].concat();
        let (byte, reason) = corrupt_at(read(&garbage, false));
        assert_eq!(byte, end + zeros as u64);
        assert!(
            reason.contains("neither another member nor zeros"),
            "{reason}"
        );
    }
    let (byte, _) = corrupt_at(read(&[packed, b"{}\n".to_vec()].concat(), false));
    assert_eq!(byte, end);
}

#[test]
fn checksum_and_length_name_their_place() {
    let text = log(0..10);
    let packed = gzip(&text);
    let trailer = packed.len() - 8;
    for (at, word) in [(trailer, "checksum"), (trailer + 4, "bytes")] {
        let mut wrong = packed.clone();
        wrong[at] ^= 0xff;
        let (byte, reason) = corrupt_at(read(&wrong, false));
        assert_eq!(byte, trailer as u64);
        assert!(reason.contains(word), "{reason}");
    }
}

#[test]
fn many_members_are_one_text() {
    let text = log(0..2000);
    let one_a_line: Vec<u8> = text
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(gzip)
        .collect();
    for chunk_bytes in [100, 4096, 1 << 20] {
        assert_eq!(read_at(&one_a_line, false, chunk_bytes).unwrap().text, text);
    }
    let nothing: Vec<u8> = (0..50).flat_map(|_| gzip(b"")).collect();
    assert_eq!(read(&nothing, false).unwrap().text, b"");
    assert_eq!(read(b"", false).unwrap().text, b"");
}

#[test]
fn salvage_keeps_whole_lines_around_the_damage() {
    let parts = [log(0..3000), log(3000..6000), log(6000..9000)];
    let members: Vec<_> = parts.iter().map(|part| gzip(part)).collect();
    let half = members[1].len() / 2;
    let hit = (members[0].len() + half) as u64;
    // The second half of the second member is gone, or nothing but zeros: the
    // decoder runs into what follows and notices only there.
    let gone = [&members[0], &members[1][..half], &members[2]].concat();
    let zeros = vec![0; members[1].len() - half];
    let zeroed = [&members[0], &members[1][..half], &zeros, &members[2]].concat();
    for packed in [gone, zeroed] {
        assert!(read(&packed, false).is_err());
        let third = (packed.len() - members[2].len()) as u64;
        for chunk_bytes in [50, 4096, 1 << 20] {
            let got = read_at(&packed, true, chunk_bytes).unwrap();
            let damage = got.damage.unwrap();
            assert_eq!((damage.n_spans, damage.partial_lines), (1, 1), "{damage:?}");
            let span = &damage.spans[0];
            assert!(!span.kept);
            assert!((hit..=third).contains(&span.from_byte), "{span:?}");
            assert_eq!(span.to_byte, third);
            assert!(got.text.starts_with(&parts[0]), "before the damage");
            assert!(got.text.ends_with(&parts[2]), "behind the damage");
            assert!(got.text.len() > parts[0].len() + parts[2].len() + parts[1].len() / 3);
        }
    }
}

#[test]
fn salvage_drops_half_lines_and_counts_them() {
    // Members that begin and end inside lines.
    let text = log(0..3000);
    let (a, b) = (text.len() / 3 + 5, text.len() * 2 / 3 + 5);
    let members = [gzip(&text[..a]), gzip(&text[a..b]), gzip(&text[b..])];
    let mut packed = members.concat();
    let hit = members[0].len() + 12;
    packed[hit..hit + 60].fill(0xff);
    let got = read(&packed, true).unwrap();
    let damage = got.damage.unwrap();
    // The line the first member ends in, and the one the third begins in.
    assert_eq!(damage.partial_lines, 2, "{damage:?}");
    for line in got.text.split_inclusive(|byte| *byte == b'\n') {
        let found = text
            .split_inclusive(|byte| *byte == b'\n')
            .any(|known| known == line);
        assert!(found, "{:?}", String::from_utf8_lossy(line));
    }
    assert!(got.text.ends_with(b"\n") && text.ends_with(&got.text[got.text.len() - 100..]));
}

#[test]
fn salvage_of_a_cut_file_keeps_what_is_there() {
    let text = log(0..3000);
    let packed = gzip(&text);
    let got = read(&packed[..packed.len() / 2], true).unwrap();
    let damage = got.damage.unwrap();
    assert_eq!((damage.n_spans, damage.partial_lines), (1, 1));
    assert_eq!(damage.spans[0].to_byte, packed.len() as u64 / 2);
    assert!(text.starts_with(&got.text) && got.text.ends_with(b"\n"));
    assert!(got.text.len() > text.len() / 3);
}

#[test]
fn salvage_keeps_text_whose_checksum_is_wrong_and_says_so() {
    let (a, b) = (log(0..100), log(100..200));
    let mut packed = [gzip(&a), gzip(&b)].concat();
    let trailer = gzip(&a).len() - 8;
    packed[trailer] ^= 1;
    let got = read(&packed, true).unwrap();
    assert_eq!(got.text, [a, b].concat());
    let damage = got.damage.unwrap();
    let span = &damage.spans[0];
    assert!(span.kept && span.reason.contains("checksum"));
    assert_eq!((span.from_byte, span.to_byte), (0, trailer as u64 + 8));
    assert_eq!((damage.n_spans, damage.partial_lines), (1, 0));
}

#[test]
fn salvage_survives_any_flip_and_tells_of_it() {
    let text = log(0..60);
    let third = text.len() / 3;
    let packed = [gzip(&text[..third]), gzip(&text[third..])].concat();
    for byte in 2..packed.len() {
        let mut flipped = packed.clone();
        flipped[byte] ^= 1 << (byte % 8);
        let got = read_at(&flipped, true, 200).unwrap();
        if got.text != text {
            assert!(got.damage.is_some(), "byte {byte}");
        }
    }
}

#[test]
fn salvage_of_zstd_finds_the_next_frame() {
    let parts = [log(0..3000), log(3000..6000), log(6000..9000)];
    let frames: Vec<_> = parts.iter().map(|part| zstd(part)).collect();
    let mut packed = frames.concat();
    let hit = frames[0].len() + 30;
    packed[hit..hit + 40].fill(0xff);
    assert!(read(&packed, false).is_err());
    let got = read(&packed, true).unwrap();
    let damage = got.damage.unwrap();
    assert_eq!(damage.n_spans, 1);
    assert!(got.text.starts_with(&parts[0]) && got.text.ends_with(&parts[2]));
}

#[test]
fn an_undamaged_file_has_no_damage() {
    let text = log(0..100);
    for packed in [gzip(&text), zstd(&text), text.clone()] {
        let got = read(&packed, true).unwrap();
        assert_eq!(got.text, text);
        assert_eq!(got.damage, None);
    }
}

#[test]
fn places_behind_damage_are_those_of_the_text_that_is_left() {
    // A wrong checksum takes no text away; behind it comes a record that is too long.
    let mut damaged = gzip(&log(0..20));
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let long = format!("{{\"a\":1}}\n{{\"long\":\"{}\"}}\n", "x".repeat(5000));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [damaged, gzip(long.as_bytes())].concat()).unwrap();
    let file = SourceFile::at(file.path().to_str().unwrap(), 0).unwrap();
    let options = TextOptions {
        salvage: true,
        max_record_bytes: 1000,
        chunk_bytes: 100,
        ..TextOptions::default()
    };
    let mut reader = open(&Unit::whole(Arc::new(file.clone())), &options).unwrap();
    let error = loop {
        match reader.next_chunk(Vec::new()) {
            Ok(chunk) => assert!(chunk.is_some(), "the long record was read"),
            Err(error) => break error,
        }
    };
    let first = log(0..20).len() as u64;
    match error {
        Error::Decode { at, .. } => assert_eq!((at.line, at.byte), (22, first + 8)),
        other => panic!("{other}"),
    }
    let record = record_at(&file, first + 3, &options, &Framing::default());
    let record = record.unwrap().unwrap();
    assert_eq!((record.line, record.first_byte), (21, first));
    assert_eq!(record.bytes, b"{\"a\":1}");
    let strict = record_at(
        &file,
        first + 3,
        &TextOptions::default(),
        &Framing::default(),
    );
    assert!(matches!(strict, Err(Error::Corrupt { .. })), "{strict:?}");
}

#[test]
fn a_record_is_found_by_any_of_its_bytes() {
    let text = [
        b"\xef\xbb\xbf".to_vec(),
        log(0..50),
        b"{\"last\":1}\r\n".to_vec(),
    ]
    .concat();
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("plain", text.clone()), ("packed", gzip(&text))] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = SourceFile::at(path.to_str().unwrap(), 0).unwrap();
        let mut at = 3;
        for (idx, line) in text[3..].split_inclusive(|byte| *byte == b'\n').enumerate() {
            for byte in [at, at + 3, at + line.len() - 1] {
                let record = record_at(
                    &file,
                    byte as u64,
                    &TextOptions::default(),
                    &Framing::default(),
                )
                .unwrap()
                .unwrap();
                assert_eq!(record.first_byte, at as u64);
                assert_eq!(record.line, idx as u64 + 1);
                assert_eq!(record.bytes, line.trim_ascii_end());
                assert_eq!(
                    windrow::io::line_of(&file, byte as u64, &Framing::default()).unwrap(),
                    record.line
                );
            }
            at += line.len();
        }
        assert_eq!(
            record_at(&file, 0, &TextOptions::default(), &Framing::default())
                .unwrap()
                .unwrap()
                .first_byte,
            3
        );
        assert_eq!(
            record_at(
                &file,
                at as u64,
                &TextOptions::default(),
                &Framing::default()
            )
            .unwrap(),
            None
        );
    }
}
