//! What stands in front of a page.
//!
//! In:  bytes that begin with a page's header (thrift's compact protocol).
//! Out: what it says of the page, and how long it is.

use super::super::footer::{Place, Walk, kind};

/// What a page says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub body: Body,
    /// Bytes that follow, as they are stored, and without compression.
    pub stored_bytes: usize,
    pub bytes: usize,
    /// The checksum of the stored bytes.
    pub crc: Option<u32>,
}

/// The kinds of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Dictionary {
        values: usize,
        encoding: i64,
    },
    /// Levels and values are compressed together.
    Data {
        slots: usize,
        encoding: i64,
        level_encoding: i64,
    },
    /// Levels stand uncompressed in front of the values.
    DataV2 {
        slots: usize,
        nulls: usize,
        encoding: i64,
        /// Bytes of all levels, and of those that tell of lists among them, which come first.
        level_bytes: usize,
        list_bytes: usize,
        is_compressed: bool,
    },
    /// Of no interest.
    Other,
}

/// The kinds of pages, as they are numbered.
const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;

/// The numbers of a struct, by the number of their field.
type Numbers = [Option<i64>; 9];

/// Reads a header; the bytes it takes. The error says what is wrong with it,
/// which may be that it goes on behind the bytes.
pub(super) fn read(bytes: &[u8]) -> Result<(PageHeader, usize), String> {
    let mut walk = Walk::new("the header of a page", bytes);
    let mut inner: [Option<Numbers>; 9] = [None; 9];
    let header = numbers(&mut walk, |walk, id| {
        inner[id] = Some(numbers(walk, |walk, _| {
            walk.value(kind::STRUCT, Place::Other, 2)
        })?);
        Ok(())
    })?;
    let count = |of: &Numbers, id: usize, what: &str| match of[id].map(usize::try_from) {
        Some(Ok(count)) if count <= i32::MAX as usize => Ok(count),
        _ => Err(format!("the header of a page tells no {what}")),
    };
    let number = |of: &Numbers, id: usize, what: &str| {
        of[id].ok_or_else(|| format!("the header of a page tells no {what}"))
    };
    let of_kind = |id: usize| inner[id].ok_or("the header of a page lacks what its kind needs");
    let body = match number(&header, 1, "kind")? {
        DATA => {
            let of = of_kind(5)?;
            Body::Data {
                slots: count(&of, 1, "count of values")?,
                encoding: number(&of, 2, "encoding")?,
                level_encoding: number(&of, 3, "encoding of levels")?,
            }
        }
        DICTIONARY => {
            let of = of_kind(7)?;
            Body::Dictionary {
                values: count(&of, 1, "count of values")?,
                encoding: number(&of, 2, "encoding")?,
            }
        }
        DATA_V2 => {
            let of = of_kind(8)?;
            let list_bytes = count(&of, 6, "length of levels")?;
            Body::DataV2 {
                slots: count(&of, 1, "count of values")?,
                nulls: count(&of, 2, "count of nulls")?,
                encoding: number(&of, 4, "encoding")?,
                level_bytes: list_bytes + count(&of, 5, "length of levels")?,
                list_bytes,
                is_compressed: of[7] != Some(0),
            }
        }
        _ => Body::Other,
    };
    let header = PageHeader {
        body,
        bytes: count(&header, 2, "size")?,
        stored_bytes: count(&header, 3, "size")?,
        crc: header[4].map(|crc| crc as u32),
    };
    Ok((header, walk.passed()))
}

/// The numbers and flags of a struct; of structs in it, `inside` is told.
fn numbers<'a>(
    walk: &mut Walk<'a>,
    mut inside: impl FnMut(&mut Walk<'a>, usize) -> Result<(), String>,
) -> Result<Numbers, String> {
    let mut found: Numbers = [None; 9];
    let mut id = 0i64;
    loop {
        let header = walk.byte()?;
        let (step, kind) = (i64::from(header >> 4), header & 15);
        if kind == kind::STOP {
            return Ok(found);
        }
        id = match step {
            0 => walk.zigzag()?,
            _ => id.saturating_add(step),
        };
        let known = usize::try_from(id).ok().filter(|id| *id < found.len());
        match (known, kind) {
            (Some(id), kind::TRUE | kind::FALSE) => found[id] = Some(i64::from(kind == kind::TRUE)),
            (Some(id), kind::I16 | kind::I32 | kind::I64) => found[id] = Some(walk.zigzag()?),
            (Some(id), kind::STRUCT) => inside(walk, id)?,
            (None, kind::TRUE | kind::FALSE) => {}
            _ => walk.value(kind, Place::Other, 1)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields of numbers that follow each other from `1` on, as zigzag bytes.
    const V1: [u8; 15] = [
        0x15, 0, 0x15, 200, 1, 0x15, 120, 0x2c, 0x15, 20, 0x15, 16, 0x15, 6, 0,
    ];

    #[test]
    fn a_header_tells_its_page() {
        let mut bytes = V1.to_vec();
        bytes.extend([0, 77]);
        let (header, length) = read(&bytes).unwrap();
        assert_eq!(length, bytes.len() - 1);
        assert_eq!(
            header,
            PageHeader {
                body: Body::Data {
                    slots: 10,
                    encoding: 8,
                    level_encoding: 3
                },
                bytes: 100,
                stored_bytes: 60,
                crc: None,
            }
        );
    }

    #[test]
    fn a_header_that_is_cut_short_or_negative_is_an_error() {
        let mut bytes = V1.to_vec();
        bytes.push(0);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
        bytes[6] = 121;
        assert!(read(&bytes).unwrap_err().contains("size"));
    }
}
