//! A footer's shape, checked before it is believed.
//!
//! In:  the bytes of a Parquet footer (thrift's compact protocol).
//! Out: nothing but the word that decoding it cannot exhaust memory or stack.
//!
//! A list of two thousand million row groups takes six bytes to announce. The
//! decoder would reserve memory for all of them, which ends the process. So
//! every length is held against the bytes that are left, and every depth
//! against a limit, before the decoder sees the footer.

/// Structs within structs, of which the format itself has fewer than ten.
const MOST_NESTED: u32 = 32;
/// Groups within groups of a schema, of which its decoder calls itself for each: a
/// column is written with 256 levels at most, and a list is two groups.
const DEEPEST_SCHEMA: usize = 2 * 256 + 2;

/// Thrift's compact types.
pub(super) mod kind {
    pub const STOP: u8 = 0;
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
    pub const UUID: u8 = 13;
}

/// Which struct the walk is in, as far as that matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    File,
    SchemaElement,
    Other,
}

/// Field numbers of `FileMetaData` and `SchemaElement`.
const FILE_SCHEMA: i64 = 2;
const FILE_ENCRYPTION: i64 = 8;
const ELEMENT_CHILDREN: i64 = 5;

/// Checks a footer. The error says what is wrong with it.
pub(super) fn check(footer: &[u8]) -> Result<(), String> {
    let mut walk = Walk::new("the footer", footer);
    walk.structure(Place::File, 0)?;
    if walk.encrypted {
        return Err("its columns are encrypted, which windrow does not read".into());
    }
    check_depth(&walk.children)
}

/// Checks the index of a column's pages. The error says what is wrong with it.
pub(super) fn check_index(index: &[u8]) -> Result<(), String> {
    Walk::new("the index of pages", index).structure(Place::Other, 0)
}

/// Goes through a struct and all that is in it.
pub(super) struct Walk<'a> {
    /// What it is, for messages.
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
    /// How many children each element of the schema has, in order.
    children: Vec<i64>,
    encrypted: bool,
}

impl<'a> Walk<'a> {
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Walk {
            what,
            bytes,
            at: 0,
            children: Vec::new(),
            encrypted: false,
        }
    }

    /// Bytes that were gone through.
    pub fn passed(&self) -> usize {
        self.at
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn byte(&mut self) -> Result<u8, String> {
        let byte = self.bytes.get(self.at).copied();
        let byte = byte.ok_or_else(|| format!("{} is cut short", self.what))?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, n: u64) -> Result<(), String> {
        match usize::try_from(n) {
            Ok(n) if n <= self.left() => {
                self.at += n;
                Ok(())
            }
            _ => Err(format!(
                "{} claims a value of {n} bytes where {} are left",
                self.what,
                self.left()
            )),
        }
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(format!(
            "{} holds a number of more than ten bytes",
            self.what
        ))
    }

    pub fn zigzag(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn structure(&mut self, place: Place, depth: u32) -> Result<(), String> {
        if depth > MOST_NESTED {
            return Err(format!("{} is nested too deeply", self.what));
        }
        if place == Place::SchemaElement {
            self.children.push(0);
        }
        let mut id = 0i64;
        loop {
            let header = self.byte()?;
            let (step, kind) = (i64::from(header >> 4), header & 15);
            if kind == kind::STOP {
                return Ok(());
            }
            id = if step == 0 { self.zigzag()? } else { id + step };
            if place == Place::SchemaElement && id == ELEMENT_CHILDREN && kind == kind::I32 {
                let n = self.zigzag()?;
                if let Some(children) = self.children.last_mut() {
                    *children = n;
                }
                continue;
            }
            self.encrypted |= place == Place::File && id == FILE_ENCRYPTION;
            let inner = match (place, id) {
                (Place::File, FILE_SCHEMA) => Place::SchemaElement,
                _ => Place::Other,
            };
            match kind {
                // In a struct, the value of a bool is its type.
                kind::TRUE | kind::FALSE => {}
                _ => self.value(kind, inner, depth + 1)?,
            }
        }
    }

    pub fn value(&mut self, kind: u8, place: Place, depth: u32) -> Result<(), String> {
        if depth > MOST_NESTED {
            return Err(format!("{} is nested too deeply", self.what));
        }
        match kind {
            kind::TRUE | kind::FALSE | kind::BYTE => self.skip(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(drop),
            kind::DOUBLE => self.skip(8),
            kind::UUID => self.skip(16),
            kind::BINARY => {
                let n = self.varint()?;
                self.skip(n)
            }
            kind::LIST | kind::SET => {
                let header = self.byte()?;
                let n = match header >> 4 {
                    15 => self.varint()?,
                    n => u64::from(n),
                };
                self.elements(n, 1)?;
                for _ in 0..n {
                    self.value(header & 15, place, depth + 1)?;
                }
                Ok(())
            }
            kind::MAP => {
                let n = self.varint()?;
                if n == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                self.elements(n, 2)?;
                for _ in 0..n {
                    self.value(kinds >> 4, Place::Other, depth + 1)?;
                    self.value(kinds & 15, Place::Other, depth + 1)?;
                }
                Ok(())
            }
            kind::STRUCT => self.structure(place, depth + 1),
            other => Err(format!(
                "{} holds a value of unknown type {other}",
                self.what
            )),
        }
    }

    /// Refuses more elements than the bytes that are left could hold.
    fn elements(&self, n: u64, least_bytes: u64) -> Result<(), String> {
        if n.saturating_mul(least_bytes) > self.left() as u64 {
            return Err(format!(
                "{} claims a list of {n} elements where {} bytes are left",
                self.what,
                self.left()
            ));
        }
        Ok(())
    }
}

/// Follows the schema's tree, which is stored as the children of each node in order.
fn check_depth(children: &[i64]) -> Result<(), String> {
    let mut open: Vec<i64> = Vec::new();
    for (idx, &n) in children.iter().enumerate() {
        if n < 0 || n as u64 > (children.len() - idx - 1) as u64 {
            return Err(format!(
                "the schema claims a column of {n} children where {} elements are left",
                children.len() - idx - 1
            ));
        }
        if let Some(siblings) = open.last_mut() {
            *siblings -= 1;
        }
        if n > 0 {
            open.push(n);
        }
        while open.last() == Some(&0) {
            open.pop();
        }
        if open.len() > DEEPEST_SCHEMA {
            return Err(format!(
                "the schema is nested more than {DEEPEST_SCHEMA} deep"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_held_against_the_bytes_that_are_left() {
        // Field 4, a list of 0x7fffffff structs.
        let huge = [0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        assert!(check(&huge).unwrap_err().contains("2147483647 elements"));
        // Field 1, a string of 100 bytes.
        assert!(check(&[0x18, 100, 0]).unwrap_err().contains("100 bytes"));
        assert!(check(&[0x18]).is_err());
        assert!(check(&[]).is_err());
        assert!(check(&[0]).is_ok());
        // Field 1, a map of many.
        assert!(check(&[0x1b, 0xff, 0xff, 0x03, 0x88]).is_err());
        assert!(
            check(&[
                0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
            ])
            .is_err()
        );
    }

    #[test]
    fn nesting_has_a_limit() {
        let structs = [0x1c; 10_000];
        assert!(check(&structs).unwrap_err().contains("nested"));
        let lists = [0x19; 10_000];
        assert!(check(&lists).unwrap_err().contains("nested"));
        assert!(check_depth(&[1; 1000]).is_err());
        let mut chain = vec![1i64; 100];
        chain.push(0);
        assert!(check_depth(&chain).is_ok());
        assert!(check_depth(&[3, 0, 0]).is_err());
        assert!(check_depth(&[-1]).is_err());
        let mut wide = vec![1000i64];
        wide.extend([0; 1000]);
        assert!(check_depth(&wide).is_ok());
    }
}
