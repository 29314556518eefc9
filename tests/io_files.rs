//! Any number of files, pipes too, through few descriptors.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use windrow::Error;
use windrow::io::{
    Compression, Extent, Format, Framing, MOST_CHUNK_BYTES, SourceFile, TextOptions, Unit,
    compression, line_of, list, open, record_at, units,
};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn read(unit: &Unit, options: &TextOptions) -> windrow::Result<Vec<u8>> {
    let mut reader = open(unit, options)?;
    let mut text = Vec::new();
    while let Some(chunk) = reader.next_chunk(Vec::new())? {
        text.extend(chunk.bytes);
    }
    Ok(text)
}

fn n_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn thousands_of_files_are_read_in_order_through_a_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let mut want = Vec::new();
    for n in 0..3000 {
        let folder = dir.path().join(format!("day-{:02}", n / 100));
        std::fs::create_dir_all(&folder).unwrap();
        let line = format!("{{\"n\":{n}}}\n").into_bytes();
        let bytes = if n % 3 == 0 {
            gzip(&line)
        } else {
            line.clone()
        };
        std::fs::write(folder.join(format!("{n:05}.json")), bytes).unwrap();
        want.extend(line);
    }
    let before = n_descriptors();
    let mut most = 0;
    let mut text = Vec::new();
    for (idx, file) in list(&[dir.path().display().to_string()])
        .unwrap()
        .enumerate()
    {
        let file = file.unwrap();
        assert_eq!(file.index as usize, idx);
        for unit in units(&file, 16 << 20).unwrap() {
            text.extend(read(&unit, &TextOptions::default()).unwrap());
        }
        most = most.max(n_descriptors());
    }
    assert_eq!(text, want);
    // Other tests of this process may hold a few.
    assert!(most < before + 24, "{before} before, {most} while reading");
}

#[test]
fn a_pipe_is_read_once_and_never_ahead_of_time() {
    let text = b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}".to_vec();
    for bytes in [
        text.clone(),
        gzip(&text),
        zstd::encode_all(&text[..], 1).unwrap(),
    ] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let files: Vec<_> = list(&[path]).unwrap().map(|file| file.unwrap()).collect();
        let file = &files[0];
        assert!(!file.seekable && file.bytes == 0);
        // None of these may take a byte of it.
        assert_eq!(compression(file).unwrap(), None);
        assert_eq!(Format::detect(file).unwrap(), Format::Json);
        let units = units(file, 1).unwrap();
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].extent, Extent::Whole);
        assert!(matches!(
            record_at(file, 0, &TextOptions::default(), &Framing::default()),
            Err(Error::Config { .. })
        ));
        assert!(matches!(
            line_of(file, 0, &Framing::default()),
            Err(Error::Config { .. })
        ));
        let feeder = std::thread::spawn(move || {
            for byte in bytes {
                writer.write_all(&[byte]).unwrap();
            }
        });
        assert_eq!(read(&units[0], &TextOptions::default()).unwrap(), text);
        feeder.join().unwrap();
    }
}

#[test]
fn a_long_record_in_a_pipe_has_its_line() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    writer.write_all(b"{}\n\n{}\n0123456789\n").unwrap();
    drop(writer);
    let options = TextOptions {
        max_record_bytes: 9,
        chunk_bytes: 4,
        ..TextOptions::default()
    };
    let unit = Unit::whole(Arc::new(SourceFile::at(&path, 0).unwrap()));
    let error = read(&unit, &options).unwrap_err().to_string();
    assert!(error.contains("line 4 (byte 7 decompressed)"), "{error}");
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    std::fs::write(&path, "{\"a\":1}\n".repeat(1000)).unwrap();
    let file = SourceFile::at(path.to_str().unwrap(), 0).unwrap();
    let units = units(&file, 2000).unwrap();
    assert_eq!(units.len(), 4);
    std::fs::write(&path, "{\"a\":1}\n".repeat(400)).unwrap();
    // The first range is all there, but its reader looks past its end.
    for unit in &units {
        let error = read(unit, &TextOptions::default()).unwrap_err().to_string();
        assert!(error.contains("became shorter"), "{error}");
    }
}

#[test]
fn a_file_that_grows_keeps_the_records_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    let text = "{\"a\":1}\n".repeat(1000);
    std::fs::write(&path, format!("{text}{{\"a\"")).unwrap();
    let file = SourceFile::at(path.to_str().unwrap(), 0).unwrap();
    let units = units(&file, 2000).unwrap();
    // The writer finishes its record, and begins others.
    let mut writer = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    writer.write_all(b":1}\n{\"a\":2}\n").unwrap();
    let read: Vec<u8> = units
        .iter()
        .flat_map(|unit| read(unit, &TextOptions::default()).unwrap())
        .collect();
    assert_eq!(read, "{\"a\":1}\n".repeat(1001).into_bytes());
}

#[test]
fn codecs_are_found_by_content_and_others_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file_of = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        SourceFile::at(path.to_str().unwrap(), 0).unwrap()
    };
    let text = b"{\"a\":1}\n";
    let plain = file_of("plain.json.gz", text);
    let packed = file_of("packed.json", &gzip(text));
    assert_eq!(compression(&plain).unwrap(), Some(Compression::None));
    assert_eq!(compression(&packed).unwrap(), Some(Compression::Gzip));
    for file in [plain, packed] {
        let unit = &units(&file, 4).unwrap()[0];
        assert_eq!(read(unit, &TextOptions::default()).unwrap(), text);
    }
    for (bytes, name) in [
        (b"BZh91AY&SY\x01\x02".as_slice(), "bzip2"),
        (b"\xfd7zXZ\0\x01\x02\x03\x04", "xz"),
        (b"\xff\xfe{\0}\0\n\0", "UTF-16"),
    ] {
        let file = file_of("x.json", bytes);
        for range_bytes in [2, u64::MAX] {
            let error = units(&file, range_bytes)
                .and_then(|units| read(&units[0], &TextOptions::default()))
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && error.contains("x.json"), "{error}");
        }
    }
}

#[test]
fn options_that_cannot_work_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    std::fs::write(&path, "{}\n").unwrap();
    let unit = Unit::whole(Arc::new(SourceFile::at(path.to_str().unwrap(), 0).unwrap()));
    let good = TextOptions::default();
    for options in [
        TextOptions {
            chunk_bytes: 0,
            ..good
        },
        TextOptions {
            chunk_bytes: usize::MAX,
            ..good
        },
        TextOptions {
            blocksize: 0,
            ..good
        },
        TextOptions {
            max_record_bytes: 0,
            ..good
        },
    ] {
        assert!(matches!(open(&unit, &options), Err(Error::Config { .. })));
    }
    // The largest of everything is no overflow.
    std::fs::write(&path, "{}\n".repeat(1000)).unwrap();
    let options = TextOptions {
        chunk_bytes: MOST_CHUNK_BYTES,
        blocksize: u64::MAX,
        max_record_bytes: u64::MAX,
        salvage: true,
        ..TextOptions::default()
    };
    assert_eq!(
        read(&unit, &options).unwrap(),
        "{}\n".repeat(1000).as_bytes()
    );
}

#[test]
fn real_logs_are_read_whole() {
    let Some(root) = std::env::var_os("WINDROW_REAL_DATA") else {
        eprintln!("skipped: WINDROW_REAL_DATA is not set");
        return;
    };
    let root = std::path::Path::new(&root);
    for (name, lines) in [
        ("zeek_json_logs/dns.json.gz", 53_615),
        ("zeek_json_logs/weird.json.gz", 24_202),
        ("zeek_json_logs/ntp.json.gz", 904),
        ("zeek_json_logs/smtp.json.gz", 1_188),
        ("zeek_json_logs/known_services.json.gz", 1_579),
        ("zeek_json_logs/stats.json.gz", 6),
        ("nginx_status_log/nginx_status.ndjson", 500),
    ] {
        let file = SourceFile::at(root.join(name).to_str().unwrap(), 0).unwrap();
        for blocksize in [10_000, 1 << 20, u64::MAX] {
            let options = TextOptions {
                blocksize,
                ..TextOptions::default()
            };
            let text: Vec<u8> = units(&file, 1 << 16)
                .unwrap()
                .iter()
                .flat_map(|unit| read(unit, &options).unwrap())
                .collect();
            let records = text
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            assert_eq!(records.count(), lines, "{name}");
        }
    }
}
