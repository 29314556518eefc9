//! One column of a row group, decoded straight into Arrow.
//!
//! In:  its pages.
//! Out: arrays of the rows that are asked for, in order.
//!
//! Rows are appended to the array at hand, stepped over, or loaded into a
//! window: a filter looks at the window, and then some of it is appended.
//! Rows that are stepped over cost nothing until the next one is wanted, so
//! that whole pages of them are never opened.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int32Array};
use arrow_buffer::{NullBuffer, NullBufferBuilder};
use arrow_schema::DataType;

use super::fault::{Fault, Outcome, damaged};
use super::header::{Body, PageHeader};
use super::hybrid::Hybrid;
use super::kind::{Kind, encoding};
use super::page::{Page, PageValues, Scratch};
use super::pages::Pages;
use super::values::{AT_ONCE, Values, spread, with_length};

/// A column of any type.
pub(super) trait Column: Send {
    /// Steps over the next `n` rows.
    fn skip(&mut self, n: usize);

    /// Appends the next `n` rows.
    fn append(&mut self, n: usize) -> Outcome<()>;

    /// Loads the next `n` rows into the window.
    fn load(&mut self, n: usize) -> Outcome<()>;

    /// Of the rows in the window their places in the dictionary, if all have
    /// one; a row without a value has the one behind the last.
    fn codes(&self) -> Option<&[u32]>;

    /// How many values the dictionary has.
    fn values(&self) -> usize;

    /// The dictionary, with a null behind its last value if a row may be null.
    fn dictionary(&self) -> Outcome<ArrayRef>;

    /// The rows in the window. Unless it is to `stay`, it is not there afterwards:
    /// no row of it can be appended, and nothing need be copied.
    fn window(&mut self, stay: bool) -> Outcome<ArrayRef>;

    /// Appends rows of the window.
    fn pick(&mut self, picks: Picks<'_>) -> Outcome<()>;

    /// What was appended.
    fn finish(&mut self) -> Outcome<ArrayRef>;

    /// Whether there are rows behind those that were read.
    fn has_more(&mut self) -> Outcome<bool>;

    /// The byte of the file at which the page begins that was read last.
    fn page_at(&self) -> u64;
}

/// Rows of a window.
#[derive(Debug, Clone)]
pub(super) enum Picks<'a> {
    /// All that follow each other here.
    All(Range<usize>),
    /// These, in ascending order.
    Some(&'a [u32]),
}

/// How a column is stored, and what it becomes.
pub(super) struct Shape {
    pub data_type: DataType,
    /// Whether a row may have no value, and each page tells which has.
    pub nullable: bool,
    /// Whether rows come as places in a dictionary: that of the chunk.
    pub coded: bool,
}

/// A column of one type.
pub(super) struct Typed<K: Kind> {
    shape: Shape,
    pages: Pages,
    /// The values that places stand for; behind the last one what stands in for none.
    dictionary: Option<K::Values>,
    /// The same as an array, where it comes out.
    shared: Option<ArrayRef>,
    page: Option<Page<K>>,
    /// Rows to step over before the next is read.
    owed: usize,
    out: Rows<K>,
    window: Rows<K>,
    scratch: Scratch,
}

/// Rows that were read.
struct Rows<K: Kind> {
    /// As places in the dictionary, as long as all have one.
    codes: Option<Vec<u32>>,
    values: K::Values,
    nulls: NullBufferBuilder,
}

impl<K: Kind> Rows<K> {
    fn new(coded: bool) -> Self {
        Rows {
            codes: coded.then(Vec::new),
            values: K::Values::default(),
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl<K: Kind> Typed<K> {
    pub fn new(pages: Pages, shape: Shape) -> Self {
        Typed {
            out: Rows::new(shape.coded),
            window: Rows::new(true),
            shape,
            pages,
            dictionary: None,
            shared: None,
            page: None,
            owed: 0,
            scratch: Scratch::default(),
        }
    }

    /// Goes to the page of the next row that is wanted. False at the end.
    fn turn_page(&mut self) -> Outcome<bool> {
        loop {
            if let Some(page) = &mut self.page {
                let now = page.slots.min(self.owed);
                if now > 0 {
                    page.skip(self.pages.body(), now, &mut self.scratch)?;
                    self.owed -= now;
                }
                if page.slots > 0 {
                    return Ok(true);
                }
            }
            self.page = None;
            match self.pages.next(&mut self.owed)? {
                None => return Ok(false),
                Some(header) => self.open(&header)?,
            }
        }
    }

    fn open(&mut self, header: &PageHeader) -> Outcome<()> {
        let (body, coded) = (self.pages.body(), self.shape.coded);
        match header.body {
            Body::Dictionary { values, encoding } => {
                if self.dictionary.is_some() {
                    return damaged("it has two dictionaries");
                }
                if ![encoding::PLAIN, encoding::PLAIN_DICTIONARY].contains(&encoding) {
                    return damaged(format!("a dictionary of encoding {encoding}"));
                }
                let mut page = K::open(encoding::PLAIN, body, 0)?;
                let mut dictionary = K::Values::default();
                // What stands behind the last one would have all of them moved.
                dictionary.reserve(values.min(body.len()) + 1, body.len() + AT_ONCE);
                K::read(&mut page, body, values, &mut dictionary)?;
                dictionary.spread(&[false], 0)?;
                dictionary.seal();
                self.dictionary = Some(dictionary);
            }
            Body::Data {
                slots,
                encoding,
                level_encoding,
            } => {
                let (levels, at) = match self.shape.nullable {
                    false => (None, 0),
                    true if level_encoding == encoding::RLE => {
                        let (at, end) = with_length(body, 0)?;
                        (Some(Hybrid::try_new(1, at, end)?), end)
                    }
                    true => return damaged(format!("levels of encoding {level_encoding}")),
                };
                let values = PageValues::open(encoding, body, at, coded)?;
                self.page = Some(Page::new(slots, levels, values));
            }
            Body::DataV2 {
                slots,
                nulls,
                encoding,
                level_bytes,
                list_bytes,
                ..
            } => {
                let levels = match self.shape.nullable && level_bytes > list_bytes {
                    true => Some(Hybrid::try_new(1, list_bytes, level_bytes)?),
                    false if nulls > 0 => return damaged("a page does not tell its nulls"),
                    false => None,
                };
                let values = PageValues::open(encoding, body, level_bytes, coded)?;
                self.page = Some(Page::new(slots, levels, values));
            }
            Body::Other => {}
        }
        Ok(())
    }

    /// Reads the next `n` rows into `rows`, in one page or in several.
    fn read(&mut self, mut n: usize, rows: impl Fn(&mut Self) -> &mut Rows<K>) -> Outcome<()> {
        while n > 0 {
            if !self.turn_page()? {
                return damaged("it holds fewer rows than its footer says");
            }
            let Some(page) = &mut self.page else {
                return Ok(());
            };
            let now = page.slots.min(n);
            // What the page is read into is taken out, so that it can be read from the column.
            let mut into = std::mem::replace(rows(self), Rows::new(false));
            let outcome = self.read_page(now, &mut into);
            *rows(self) = into;
            outcome?;
            n -= now;
        }
        Ok(())
    }

    /// Reads rows of the page at hand.
    fn read_page(&mut self, n: usize, rows: &mut Rows<K>) -> Outcome<()> {
        let length = Column::values(self);
        let (body, scratch) = (self.pages.body(), &mut self.scratch);
        let Some(page) = &mut self.page else {
            return Ok(());
        };
        page.slots -= n;
        let values = page.present(body, n, scratch)?;
        match values == n {
            true => rows.nulls.append_n_non_nulls(n),
            false => rows.nulls.append_slice(&scratch.present),
        }
        let codes = match &mut page.values {
            PageValues::Codes(codes) => codes,
            PageValues::Plain(plain) => {
                if let Some(codes) = rows.codes.take().filter(|codes| !codes.is_empty()) {
                    rows.values
                        .gather(known(self.dictionary.as_ref())?, &codes)?;
                }
                K::read(plain, body, values, &mut rows.values)?;
                return match values == n {
                    true => Ok(()),
                    false => rows.values.spread(&scratch.present, values),
                };
            }
        };
        let (to, all) = match &mut rows.codes {
            Some(to) => (to, true),
            None => {
                scratch.codes.clear();
                (&mut scratch.codes, false)
            }
        };
        let before = to.len();
        codes.read(body, values, to)?;
        // A page that has no value may come without a dictionary.
        if reaches(&to[before..], length) {
            return damaged(format!(
                "a place behind the {length} values of its dictionary"
            ));
        }
        if values < n {
            spread(to, &scratch.present, values);
            for (code, present) in to[before..].iter_mut().zip(&scratch.present) {
                *code = if *present { *code } else { length as u32 };
            }
        }
        match (all, &self.dictionary) {
            (true, _) => Ok(()),
            (false, Some(dictionary)) => rows.values.gather(dictionary, &scratch.codes),
            (false, None) => rows.values.spread(&scratch.present, 0),
        }
    }
}

/// Whether one of the places is behind so many values.
fn reaches(places: &[u32], length: usize) -> bool {
    // Signed numbers are compared side by side, on every machine; those too
    // large to be signed are negative.
    let (all, most) = places.iter().fold((0u32, 0i32), |(all, most), place| {
        (all | place, most.max(place.cast_signed()))
    });
    !places.is_empty() && (all.cast_signed() < 0 || most.cast_unsigned() as usize >= length)
}

/// The dictionary, which there is where a place in it was found.
fn known<V>(dictionary: Option<&V>) -> Outcome<&V> {
    dictionary.ok_or_else(|| Fault::Damaged("it has no dictionary".into()))
}

impl<K: Kind> Column for Typed<K> {
    fn page_at(&self) -> u64 {
        self.pages.page_at()
    }

    fn skip(&mut self, n: usize) {
        self.owed += n;
    }

    fn append(&mut self, n: usize) -> Outcome<()> {
        self.read(n, |column| &mut column.out)
    }

    fn load(&mut self, n: usize) -> Outcome<()> {
        self.window.values.clear();
        let mut codes = self.window.codes.take().unwrap_or_default();
        codes.clear();
        self.window.codes = Some(codes);
        self.window.nulls = NullBufferBuilder::new(n);
        self.read(n, |column| &mut column.window)
    }

    fn codes(&self) -> Option<&[u32]> {
        self.window.codes.as_deref()
    }

    fn values(&self) -> usize {
        self.dictionary.as_ref().map_or(0, |of| of.len() - 1)
    }

    fn dictionary(&self) -> Outcome<ArrayRef> {
        let mut values = K::Values::default();
        let length = Column::values(self);
        let all = length + usize::from(self.shape.nullable);
        match &self.dictionary {
            Some(dictionary) => {
                values.gather(dictionary, &(0..all as u32).collect::<Vec<_>>())?;
            }
            None => values.spread(&vec![false; all], 0)?,
        }
        let nulls = (0..all).map(|place| place < length);
        let nulls = NullBuffer::from_iter(nulls);
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        values.finish(&self.shape.data_type, nulls)
    }

    fn window(&mut self, stay: bool) -> Outcome<ArrayRef> {
        let (data_type, nulls) = (&self.shape.data_type, self.window.nulls.finish_cloned());
        let read = &mut self.window.values;
        let mut values = K::Values::default();
        match (&self.window.codes, &self.dictionary) {
            (Some(codes), Some(dictionary)) => values.gather(dictionary, codes)?,
            (Some(codes), None) => values.spread(&vec![false; codes.len()], 0)?,
            (None, _) if !stay => return read.finish(data_type, nulls),
            (None, _) => {
                let all: Vec<u32> = (0..read.len() as u32).collect();
                values.gather(read, &all)?;
            }
        }
        values.finish(data_type, nulls)
    }

    fn pick(&mut self, picks: Picks<'_>) -> Outcome<()> {
        let Typed {
            out,
            window,
            scratch,
            ..
        } = self;
        let all;
        let picks = match picks {
            Picks::Some(picks) => picks,
            Picks::All(range) => {
                all = (range.start as u32..range.end as u32).collect::<Vec<_>>();
                &all
            }
        };
        match window.nulls.as_slice() {
            None => out.nulls.append_n_non_nulls(picks.len()),
            Some(bits) => {
                scratch.present.clear();
                let bit = |row: &u32| bits[*row as usize / 8] >> (row % 8) & 1 == 1;
                scratch.present.extend(picks.iter().map(bit));
                out.nulls.append_slice(&scratch.present);
            }
        }
        let Some(codes) = &window.codes else {
            return out.values.gather(&window.values, picks);
        };
        let picked = picks.iter().map(|row| codes[*row as usize]);
        if let Some(to) = &mut out.codes {
            to.extend(picked);
            return Ok(());
        }
        match &self.dictionary {
            Some(dictionary) => {
                scratch.codes.clear();
                scratch.codes.extend(picked);
                out.values.gather(dictionary, &scratch.codes)
            }
            None => out.values.spread(&vec![false; picks.len()], 0),
        }
    }

    fn finish(&mut self) -> Outcome<ArrayRef> {
        let nulls = self.out.nulls.finish();
        let Some(codes) = &mut self.out.codes else {
            return self.out.values.finish(&self.shape.data_type, nulls);
        };
        let codes = std::mem::replace(codes, Vec::with_capacity(codes.len()));
        if self.shared.is_none() {
            let mut values = K::Values::default();
            if let Some(dictionary) = &self.dictionary {
                let all: Vec<u32> = (0..dictionary.len() as u32 - 1).collect();
                values.gather(dictionary, &all)?;
            }
            self.shared = Some(values.finish(&self.shape.data_type, None)?);
        }
        let values = Arc::clone(known(self.shared.as_ref())?);
        let n = values.len();
        // The place of a row without a value is behind the last.
        let keys = codes.into_iter().map(|code| match (code as usize) < n {
            true => code.cast_signed(),
            false => 0,
        });
        let keys = Int32Array::new(keys.collect::<Vec<_>>().into(), nulls);
        if n > 0 {
            // SAFETY: each of `keys` is a place in `values`. Looking at them again takes
            // a call each: a twentieth of all that TPC-H's first question costs.
            let array = unsafe { DictionaryArray::new_unchecked(keys, values) };
            return Ok(Arc::new(array));
        }
        let array = DictionaryArray::try_new(keys, values);
        array
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(|error| Fault::Damaged(error.to_string()))
    }

    fn has_more(&mut self) -> Outcome<bool> {
        self.turn_page()
    }
}
