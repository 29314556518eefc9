//! Pages, decompressed into room that is used again.
//!
//! In:  the stored bytes of a page, and how long they are to become.
//! Out: exactly as many bytes.
//!
//! A thread keeps one zstd context: making one takes as long as a small page.
//! No room is taken on the word of a header alone: it is touched as bytes come,
//! or the codec itself bounds what may come.

use std::cell::RefCell;

use parquet::basic::Compression;
use zstd::bulk::Decompressor;

use super::fault::{Fault, Outcome, damaged};

thread_local! {
    static ZSTD: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Bytes that one stored byte can become at most.
const MOST_OF_SNAPPY: usize = 64;
const MOST_OF_LZ4: usize = 255;

/// Whether pages of a codec are decompressed here.
pub(super) fn is_known(codec: Compression) -> bool {
    use Compression::{LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
    matches!(codec, UNCOMPRESSED | SNAPPY | LZ4_RAW | ZSTD(_))
}

/// Appends a page to `out`, `length` bytes of it.
pub(super) fn decompress(
    codec: Compression,
    stored: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Outcome<()> {
    let before = out.len();
    if length > 0 {
        append(codec, stored, length, out)?;
    }
    match out.len() - before {
        found if found == length => Ok(()),
        found => damaged(format!("a page of {length} bytes has {found}")),
    }
}

fn append(codec: Compression, stored: &[u8], length: usize, out: &mut Vec<u8>) -> Outcome<()> {
    let failed = |error: &dyn std::fmt::Display| Fault::Damaged(format!("{codec}: {error}"));
    if out.try_reserve_exact(length).is_err() {
        return damaged(format!("a page of {length} bytes"));
    }
    let start = out.len();
    let bounded = |most: usize, out: &mut Vec<u8>| match length / most > stored.len() {
        true => damaged(format!("{} bytes become no {length}", stored.len())),
        false => {
            out.resize(start + length, 0);
            Ok(())
        }
    };
    match codec {
        Compression::UNCOMPRESSED => out.extend_from_slice(stored),
        Compression::ZSTD(_) if start == 0 => ZSTD.with_borrow_mut(|kept| {
            let zstd = match kept {
                Some(zstd) => zstd,
                None => kept.insert(Decompressor::new()?),
            };
            let found = zstd.decompress_to_buffer(stored, out);
            found.map_err(|error| failed(&error)).map(drop)
        })?,
        Compression::ZSTD(_) => {
            // What stands in front stays.
            let mut rest = Vec::new();
            append(codec, stored, length, &mut rest)?;
            out.extend_from_slice(&rest);
        }
        Compression::SNAPPY => {
            let found = snap::raw::decompress_len(stored).map_err(|error| failed(&error))?;
            if found != length {
                return damaged(format!("a page of {length} bytes has {found}"));
            }
            bounded(MOST_OF_SNAPPY, out)?;
            let mut decoder = snap::raw::Decoder::new();
            let found = decoder.decompress(stored, &mut out[start..]);
            out.truncate(start + found.map_err(|error| failed(&error))?);
        }
        Compression::LZ4_RAW => {
            bounded(MOST_OF_LZ4, out)?;
            let found = lz4_flex::block::decompress_into(stored, &mut out[start..]);
            out.truncate(start + found.map_err(|error| failed(&error))?);
        }
        other => return damaged(format!("pages of {other}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use parquet::basic::ZstdLevel;

    use super::*;

    #[test]
    fn pages_of_every_codec_come_whole_behind_what_is_there_or_not_at_all() {
        let text: Vec<u8> = (0..5000u32).map(|at| ((at * at) >> 7) as u8).collect();
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let stored = [
            (Compression::UNCOMPRESSED, text.clone()),
            (zstd, zstd::bulk::compress(&text, 3).unwrap()),
            (
                Compression::SNAPPY,
                snap::raw::Encoder::new().compress_vec(&text).unwrap(),
            ),
            (Compression::LZ4_RAW, lz4_flex::block::compress(&text)),
        ];
        for (codec, stored) in stored {
            assert!(is_known(codec));
            for front in [vec![], vec![1, 2, 3]] {
                let mut out = front.clone();
                decompress(codec, &stored, text.len(), &mut out).unwrap();
                assert_eq!(
                    (&out[..front.len()], &out[front.len()..]),
                    (&*front, &*text)
                );
                for wrong in [text.len() - 1, text.len() + 1, 1 << 30] {
                    let mut out = front.clone();
                    assert!(decompress(codec, &stored, wrong, &mut out).is_err());
                }
                for end in [1, stored.len() / 2, stored.len() - 1] {
                    let mut out = front.clone();
                    assert!(decompress(codec, &stored[..end], text.len(), &mut out).is_err());
                }
            }
        }
        let mut out = vec![7];
        decompress(zstd, &[], 0, &mut out).unwrap();
        assert_eq!(out, [7]);
    }
}
