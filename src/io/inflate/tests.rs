//! Inflating, beside zlib-rs.
//!
//! In:  texts that use every kind of block and match, cut anywhere, and damaged.
//! Out: the same text, the same end, and the same verdict.

use std::io::Write;

use flate2::{Compression, Decompress, FlushDecompress};

use super::*;

/// How many times less is tried by an interpreter, which is too slow for all.
const LESS: usize = if cfg!(miri) { 50 } else { 1 };

/// Numbers that are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// Text that compresses, with matches near and far.
fn lines() -> Vec<u8> {
    let mut text = Vec::new();
    let mut seed = 7u32;
    while text.len() < 300_000 / LESS {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let line = format!("{{\"n\":{},\"s\":\"{}\"}}\n", seed >> 20, seed % 97);
        text.extend_from_slice(line.as_bytes());
    }
    text
}

/// Bytes that repeat after every distance up to 40, and as far back as a match can reach.
fn repeats() -> Vec<u8> {
    let mut random = Random(3);
    let mut text = Vec::new();
    for distance in (1..=40).step_by(LESS.min(13)) {
        let start = text.len();
        text.extend((0..distance).map(|_| random.below(256) as u8));
        for n in 0..distance * 5 + 300 {
            text.push(text[start + n % distance]);
        }
    }
    let first = text.clone();
    text.extend((0..(32_768 / LESS).saturating_sub(text.len())).map(|_| random.below(7) as u8));
    text.extend_from_slice(&first);
    text
}

fn texts() -> Vec<Vec<u8>> {
    let mut random = Random(11);
    vec![
        Vec::new(),
        b"x".to_vec(),
        b"first".to_vec(),
        vec![b'a'; 100_000 / LESS],
        repeats(),
        (0..70_000 / LESS)
            .map(|_| random.below(256) as u8)
            .collect(),
        // Codes of very different lengths, up to the longest.
        (0..60_000 / LESS)
            .map(|_| {
                (random.below(1 << 20) as u32 | 1 << 20).leading_zeros() as u8
                    + (random.below(1 << 18).max(1)).ilog2() as u8 * 11
            })
            .collect(),
        lines(),
    ]
}

fn deflate(text: &[u8], level: u32) -> Vec<u8> {
    let level = Compression::new(level);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Inflates with so many bytes at hand and so much room: the text, and how many
/// bytes were read if the data ended.
fn inflate(stored: &[u8], piece: usize, room: usize) -> (Vec<u8>, Option<usize>) {
    let mut inflater = Inflater::new();
    let (mut at, mut end, mut text) = (0, 0, Vec::new());
    let mut out = vec![0; room];
    loop {
        if at == end {
            end = (end + piece).min(stored.len());
        }
        let step = inflater.step(&stored[at..end], &mut out);
        text.extend_from_slice(&out[..step.given]);
        at = at + step.taken - step.back;
        match step.status {
            Status::End => return (text, Some(at)),
            Status::Invalid => return (text, None),
            Status::More if at == stored.len() && step.given == 0 => return (text, None),
            Status::More => {}
        }
    }
}

/// What zlib-rs makes of it.
fn expected(stored: &[u8]) -> (Vec<u8>, Option<usize>) {
    let mut decompress = Decompress::new(false);
    let (mut out, mut text) = (vec![0; 4096], Vec::new());
    loop {
        let (at, so_far) = (decompress.total_in() as usize, decompress.total_out());
        let status = decompress.decompress(&stored[at..], &mut out, FlushDecompress::None);
        let given = (decompress.total_out() - so_far) as usize;
        text.extend_from_slice(&out[..given]);
        let at = decompress.total_in() as usize;
        match status {
            Ok(flate2::Status::StreamEnd) => return (text, Some(at)),
            Ok(_) if at < stored.len() || given > 0 => {}
            _ => return (text, None),
        }
    }
}

#[test]
fn any_pieces_give_the_same_text_and_the_same_end() {
    for (idx, text) in texts().iter().enumerate() {
        for level in [0, 1, 6, 9] {
            let mut stored = deflate(text, level);
            let end = stored.len();
            stored.extend_from_slice(b"eight or more bytes behind");
            for (piece, room) in [
                (1, 7),
                (3, 300_001),
                (1000, 1 << 20),
                (usize::MAX >> 1, 4096),
                (29, 331),
            ] {
                let (got, read) = inflate(&stored, piece, room);
                assert!(
                    got == *text && read == Some(end),
                    "text {idx}, level {level}, {piece} bytes at hand, room for {room}"
                );
            }
        }
    }
}

#[test]
fn damaged_data_is_judged_as_zlib_judges_it() {
    let mut random = Random(5);
    let stored: Vec<Vec<u8>> = texts()
        .iter()
        .flat_map(|text| {
            [0, 1, 6].map(|level| deflate(&text[..text.len().min(20_000 / LESS)], level))
        })
        .collect();
    let mut ended = 0;
    let rounds = 4000 / LESS;
    for round in 0..rounds {
        let mut data = stored[round % stored.len()].clone();
        for _ in 0..1 + random.below(3) {
            // Headers are small and hold most of what can be wrong.
            let reach = [64, data.len()][random.below(2)].min(data.len());
            data[random.below(reach)] ^= 1 << random.below(8);
        }
        data.truncate(data.len() - [0, random.below(data.len())][random.below(2)]);
        let (piece, room) = (1 + random.below(5000), 1 + random.below(30_000));
        let (text, end) = inflate(&data, piece, room);
        let (known, known_end) = expected(&data);
        assert_eq!(end, known_end, "round {round}");
        // Where it fails, one of them may have given some symbols more.
        let n = text.len().min(known.len());
        assert!(text[..n] == known[..n], "round {round}");
        assert!(end.is_none() || text.len() == known.len(), "round {round}");
        ended += usize::from(end.is_some());
    }
    let some = rounds / 40;
    let mixed = (some..rounds - some).contains(&ended);
    assert!(mixed, "{ended} of {rounds} were sound");
}

#[test]
fn bytes_that_are_no_deflate_data_are_judged_as_zlib_judges_them() {
    let mut random = Random(17);
    for round in 0..6000 / LESS {
        let mut data: Vec<u8> = (0..300).map(|_| random.below(256) as u8).collect();
        if round % 2 == 0 {
            // A last block with codes of its own.
            data[0] = data[0] & 0xf8 | 5;
        }
        let (text, end) = inflate(&data, 1 + random.below(400), 1 + random.below(2000));
        let (known, known_end) = expected(&data);
        assert_eq!(end, known_end, "round {round}: {data:?}");
        let n = text.len().min(known.len());
        assert!(text[..n] == known[..n], "round {round}: {data:?}");
    }
}

#[test]
fn an_inflater_is_used_again_after_a_reset() {
    let mut inflater = Inflater::new();
    let mut out = vec![0; 64];
    for text in [b"first".as_slice(), b"second", b""] {
        inflater.reset();
        let stored = deflate(text, 6);
        let step = inflater.step(&stored, &mut out);
        assert_eq!((step.status, step.taken), (Status::End, stored.len()));
        assert_eq!(&out[..step.given], text);
    }
}

#[test]
fn a_match_may_reach_back_to_earlier_calls_and_no_further() {
    // A fixed block: the literal 'a', then a match of 3 bytes at a distance of 1 or 2.
    let block = |distance: u64| {
        let (mut bits, mut n) = (0u64, 0);
        let mut put = |value: u64, len: u32, is_code: bool| {
            let value = match is_code {
                true => value.reverse_bits() >> (64 - len),
                false => value,
            };
            bits |= value << n;
            n += len;
        };
        put(1, 1, false);
        put(1, 2, false);
        put(0x30 + u64::from(b'a'), 8, true);
        put(1, 7, true); // length 3
        put(distance - 1, 5, true);
        put(0, 7, true);
        bits.to_le_bytes()
    };
    assert_eq!(inflate(&block(1), 1, 1).0, b"aaaa");
    let (text, end) = inflate(&block(2), 8, 64);
    assert_eq!((text.as_slice(), end), (b"a".as_slice(), None));
}
