//! Compression of pages.
//!
//! In:  the bytes of a page.
//! Out: the bytes that are stored.
//!
//! A thread keeps one zstd context for all its pages: making one takes as long
//! as compressing a small page.

use std::cell::RefCell;
use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use parquet::basic::{Compression, ZstdLevel};
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

thread_local! {
    static ZSTD: RefCell<Option<Zstd>> = const { RefCell::new(None) };
}

/// What a thread keeps.
struct Zstd {
    level: i32,
    context: Compressor<'static>,
    /// Room for the largest page so far, unless it is lent: fresh memory would be
    /// cleared page by page.
    out: Vec<u8>,
}

/// A compressed page, whose room its thread has again in the end.
struct Lent(Vec<u8>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let room = std::mem::take(&mut self.0);
        // A thread that ends keeps nothing any more; then the room just goes.
        let _ = ZSTD.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            let kept = kept.as_mut().map(|zstd| &mut zstd.out);
            if let Some(out) = kept.filter(|out| out.capacity() < room.capacity()) {
                *out = room;
            }
        });
    }
}

/// Bytes that a page takes once compressed, about, whatever it will be compressed
/// with. None if that cannot be told.
pub(super) fn compressed_size(page: &[u8]) -> Option<usize> {
    let fast = Compression::ZSTD(ZstdLevel::try_new(1).ok()?);
    compress(fast, page).ok().map(|stored| stored.len())
}

/// Compresses a page.
///
/// # Errors
///
/// Whatever the codec reports, and Unsupported for one that is not known.
pub(super) fn compress(compression: Compression, page: &[u8]) -> io::Result<Bytes> {
    Ok(match compression {
        Compression::UNCOMPRESSED => page.to_vec().into(),
        Compression::ZSTD(level) => ZSTD.with_borrow_mut(|kept| {
            let level = level.compression_level();
            let zstd = match kept {
                Some(zstd) => zstd,
                None => kept.insert(Zstd {
                    level,
                    context: Compressor::new(level)?,
                    out: Vec::new(),
                }),
            };
            if zstd.level != level {
                zstd.context.set_compression_level(level)?;
                zstd.level = level;
            }
            let mut out = std::mem::take(&mut zstd.out);
            out.clear();
            out.shrink_to(super::KEPT_BYTES);
            out.reserve(compress_bound(page.len()));
            zstd.context.compress_to_buffer(page, &mut out)?;
            Ok::<_, io::Error>(Bytes::from_owner(Lent(out)))
        })?,
        Compression::GZIP(level) => {
            let level = flate2::Compression::new(level.compression_level());
            let mut out = GzEncoder::new(Vec::new(), level);
            out.write_all(page)?;
            out.finish()?.into()
        }
        Compression::SNAPPY => snap::raw::Encoder::new().compress_vec(page)?.into(),
        Compression::LZ4_RAW => lz4_flex::block::compress(page).into(),
        other => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{other} is not written"),
            ));
        }
    })
}
