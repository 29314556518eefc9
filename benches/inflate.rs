//! How fast does compressed text become chunks of whole lines? Unit: bytes of text per second.
//!
//! Every checksum is verified, and the text is compared with what was stored
//! before any time is believed.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use windrow::io::{SourceFile, TextOptions, Unit, open};

const TEXT_BYTES: usize = 128 << 20;

fn main() {
    let text = logs(TEXT_BYTES);
    let dir = tempfile::tempdir().expect("a folder for the files");
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(text).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    };
    let members: Vec<u8> = text.chunks(4 << 20).flat_map(gzip).collect();
    let cases = [
        ("plain", text.clone()),
        ("gzip, 1 member", gzip(&text)),
        ("gzip, members of 4 MiB", members),
        (
            "zstd",
            zstd::encode_all(&text[..], 3).expect("memory takes it"),
        ),
    ];
    for (name, stored) in cases {
        let path = dir.path().join("text");
        std::fs::write(&path, &stored).expect("the folder is there");
        let file = SourceFile::at(path.to_str().expect("a plain name"), 0).expect("just written");
        let unit = Unit::whole(Arc::new(file));
        check(&unit, &text);
        let fastest = (0..5).map(|_| read(&unit)).min().expect("five times");
        let rate = text.len() as f64 / fastest.as_secs_f64() / 1e6;
        println!(
            "{name:24} {:>4} MiB of {:>4} MiB  {rate:>6.0} MB/s",
            stored.len() >> 20,
            text.len() >> 20
        );
        if name == "gzip, 1 member" {
            let fastest = (0..5).map(|_| zlib_rs(&stored)).min().expect("five times");
            let rate = text.len() as f64 / fastest.as_secs_f64() / 1e6;
            println!(
                "{:46}  {rate:>6.0} MB/s",
                "the same, by zlib-rs, no lines cut"
            );
        }
    }
}

/// What the work is measured against.
fn zlib_rs(stored: &[u8]) -> Duration {
    let start = Instant::now();
    let mut decoder = flate2::read::GzDecoder::new(stored);
    let mut buf = vec![0; 1 << 20];
    while decoder.read(&mut buf).expect("a file of our own") > 0 {}
    start.elapsed()
}

/// Reads a unit to its end, handing every buffer back.
fn read(unit: &Unit) -> Duration {
    let start = Instant::now();
    let mut reader = open(unit, &TextOptions::default()).expect("a file of our own");
    let mut buf = Vec::new();
    let mut bytes = 0;
    while let Some(chunk) = reader.next_chunk(buf).expect("a file of our own") {
        bytes += chunk.bytes.len();
        buf = chunk.bytes;
    }
    assert!(bytes > 0);
    start.elapsed()
}

fn check(unit: &Unit, text: &[u8]) {
    let mut reader = open(unit, &TextOptions::default()).expect("a file of our own");
    let mut at = 0;
    while let Some(chunk) = reader.next_chunk(Vec::new()).expect("a file of our own") {
        assert_eq!(chunk.first_byte, at as u64);
        assert_eq!(chunk.bytes, text[at..at + chunk.bytes.len()]);
        assert_eq!(chunk.bytes.last(), Some(&b'\n'));
        at += chunk.bytes.len();
    }
    assert_eq!(at, text.len());
}

/// Lines like those of a web server's log, always the same.
fn logs(bytes: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut next = move |n: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % n
    };
    let paths = [
        "/",
        "/login",
        "/api/v1/items",
        "/api/v1/orders",
        "/static/app.js",
    ];
    let mut text = Vec::with_capacity(bytes + 512);
    let mut time = 1_700_000_000_000u64;
    while text.len() < bytes {
        time += next(40);
        writeln!(
            text,
            "{{\"ts\":{time},\"host\":\"web-{:02}\",\"method\":\"{}\",\"path\":\"{}/{}\",\"status\":{},\"bytes\":{},\"duration_ms\":{}.{:03},\"user\":\"u{:06}\",\"agent\":\"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/{}.0\",\"ok\":{}}}",
            next(16),
            if next(5) == 0 { "POST" } else { "GET" },
            paths[next(5) as usize],
            next(10_000),
            [200, 200, 200, 304, 404, 500][next(6) as usize],
            next(100_000),
            next(900),
            next(1000),
            next(50_000),
            90 + next(30),
            next(10) != 0,
        )
        .expect("memory takes it");
    }
    text
}
