//! What is left of a page.
//!
//! In:  its body, and where levels and values begin in it.
//! Out: which of its next rows have a value, and what their values are read from.

use super::fault::{Outcome, damaged};
use super::hybrid::Hybrid;
use super::kind::{Kind, encoding};

/// What is left of a page.
pub(super) struct Page<K: Kind> {
    pub slots: usize,
    /// Which rows have a value; None: all.
    levels: Option<Hybrid>,
    pub values: PageValues<K>,
}

pub(super) enum PageValues<K: Kind> {
    Codes(Hybrid),
    Plain(K::Page),
}

/// Room for what is read on the way.
#[derive(Default)]
pub(super) struct Scratch {
    pub codes: Vec<u32>,
    pub present: Vec<bool>,
}

impl<K: Kind> PageValues<K> {
    /// The values that begin `at` a place of the body: as codes, where the column is `coded`.
    pub fn open(encoding: i64, body: &[u8], at: usize, coded: bool) -> Outcome<Self> {
        match encoding {
            encoding::PLAIN_DICTIONARY | encoding::RLE_DICTIONARY => {
                // A page without values may have no width either.
                let width = body.get(at).copied().unwrap_or(0);
                let codes = Hybrid::try_new(width.into(), (at + 1).min(body.len()), body.len())?;
                Ok(PageValues::Codes(codes))
            }
            _ if coded => damaged("its footer says that all pages have a dictionary"),
            _ => Ok(PageValues::Plain(K::open(encoding, body, at)?)),
        }
    }
}

impl<K: Kind> Page<K> {
    pub fn new(slots: usize, levels: Option<Hybrid>, values: PageValues<K>) -> Self {
        Page {
            slots,
            levels,
            values,
        }
    }

    /// How many of the next `n` rows have a value; which, if not all have.
    pub fn present(&mut self, body: &[u8], n: usize, scratch: &mut Scratch) -> Outcome<usize> {
        match &mut self.levels {
            None => Ok(n),
            Some(levels) => {
                scratch.present.clear();
                levels.read_flags(body, n, &mut scratch.present)
            }
        }
    }

    pub fn skip(&mut self, body: &[u8], n: usize, scratch: &mut Scratch) -> Outcome<()> {
        self.slots -= n;
        let values = self.present(body, n, scratch)?;
        match &mut self.values {
            // Nobody asks what the last rows of a page are.
            _ if self.slots == 0 => Ok(()),
            PageValues::Codes(codes) => codes.skip(body, values),
            PageValues::Plain(plain) => K::skip(plain, body, values),
        }
    }
}
