//! What pages hold, by the type of their column.
//!
//! In:  a decompressed page of values, its encoding.
//! Out: the values in order; any of them can be stepped over.
//!
//! Places in a dictionary are `column.rs`'s: they are the same for every type.

use std::marker::PhantomData;

use arrow_buffer::ArrowNativeType;

use super::delta::Deltas;
use super::fault::{Outcome, damaged};
use super::hybrid::Hybrid;
use super::split;
use super::values::{Flags, Texts, Values, with_length};

/// Encodings, as they are numbered.
pub(super) mod encoding {
    pub const PLAIN: i64 = 0;
    pub const PLAIN_DICTIONARY: i64 = 2;
    pub const RLE: i64 = 3;
    pub const DELTA_BINARY_PACKED: i64 = 5;
    pub const DELTA_LENGTH_BYTE_ARRAY: i64 = 6;
    pub const DELTA_BYTE_ARRAY: i64 = 7;
    pub const RLE_DICTIONARY: i64 = 8;
    pub const BYTE_STREAM_SPLIT: i64 = 9;
}

/// A type of columns.
pub(super) trait Kind: Send + 'static {
    type Values: Values;
    /// What is left of the values of a page.
    type Page: Send;

    /// The values of a page, which begin at `at` of its bytes.
    fn open(encoding: i64, page: &[u8], at: usize) -> Outcome<Self::Page>;

    /// Appends the next `n` values.
    fn read(of: &mut Self::Page, page: &[u8], n: usize, out: &mut Self::Values) -> Outcome<()>;

    /// Steps over `n` values.
    fn skip(of: &mut Self::Page, page: &[u8], n: usize) -> Outcome<()>;
}

fn unknown<T>(encoding: i64) -> Outcome<T> {
    damaged(format!("pages of encoding {encoding}"))
}

/// A number as it is stored.
pub(super) trait Stored: Copy + Send + 'static {
    const BYTES: usize;

    fn of_bytes(bytes: &[u8]) -> Self;
    /// The low bits.
    fn of_i64(number: i64) -> Self;
}

macro_rules! stored {
    ($($native:ty)*) => {$(
        impl Stored for $native {
            const BYTES: usize = size_of::<$native>();

            #[inline]
            fn of_bytes(bytes: &[u8]) -> Self {
                // A copy of unknown length would be a call.
                let own = bytes.first_chunk().copied().unwrap_or_default();
                <$native>::from_le_bytes(own)
            }

            #[inline]
            fn of_i64(number: i64) -> Self {
                number as $native
            }
        }
    )*};
}

stored!(i32 i64);

/// What a stored number becomes. Only the bits count: whether they are signed,
/// or a float, is the array's.
pub(super) trait Becomes<S>: ArrowNativeType + Default {
    fn of(stored: S) -> Self;
}

macro_rules! becomes {
    ($($stored:ty: $($native:ty)*;)*) => {$($(
        impl Becomes<$stored> for $native {
            #[inline]
            fn of(stored: $stored) -> Self {
                stored as $native
            }
        }
    )*)*};
}

becomes!(i32: i8 i16 i32 i128; i64: i64 i128;);

/// Numbers that are stored as `S` and come as `T`.
pub(super) struct Numbers<S, T>(PhantomData<fn() -> (S, T)>);

/// Numbers of a page.
pub(super) enum NumberPage {
    /// Behind each other, from this byte on.
    Plain(usize),
    /// The first byte of each, then the second of each, and so on.
    Split {
        at: usize,
        values: usize,
        next: usize,
    },
    Delta(Deltas),
}

impl<S: Stored, T: Becomes<S>> Kind for Numbers<S, T> {
    type Values = Vec<T>;
    type Page = NumberPage;

    fn open(encoding: i64, page: &[u8], at: usize) -> Outcome<NumberPage> {
        match encoding {
            encoding::PLAIN => Ok(NumberPage::Plain(at)),
            encoding::BYTE_STREAM_SPLIT => {
                let values = (page.len() - at) / S::BYTES;
                Ok(NumberPage::Split {
                    at,
                    values,
                    next: 0,
                })
            }
            encoding::DELTA_BINARY_PACKED => {
                Deltas::try_new(page, at, page.len()).map(NumberPage::Delta)
            }
            other => unknown(other),
        }
    }

    fn read(of: &mut NumberPage, page: &[u8], n: usize, out: &mut Vec<T>) -> Outcome<()> {
        match of {
            NumberPage::Plain(at) => {
                let length = n.saturating_mul(S::BYTES);
                let Some(bytes) = page[*at..].get(..length) else {
                    return damaged("values are cut short");
                };
                *at += length;
                let stored = bytes.chunks_exact(S::BYTES);
                out.extend(stored.map(|bytes| T::of(S::of_bytes(bytes))));
                Ok(())
            }
            NumberPage::Split { at, values, next } => {
                if *values - *next < n {
                    return damaged("values are cut short");
                }
                let end = *next + n;
                out.reserve(n);
                split::read(page, *at, *values, *next..end, |stored: S| {
                    out.push(T::of(stored));
                });
                *next = end;
                Ok(())
            }
            NumberPage::Delta(deltas) => {
                out.reserve(n);
                deltas.read(page, n, |numbers| {
                    out.extend(numbers.iter().map(|number| T::of(S::of_i64(*number))));
                })
            }
        }
    }

    fn skip(of: &mut NumberPage, page: &[u8], n: usize) -> Outcome<()> {
        match of {
            NumberPage::Plain(at) => {
                *at = at.saturating_add(n.saturating_mul(S::BYTES));
                match *at <= page.len() {
                    true => Ok(()),
                    false => damaged("values are cut short"),
                }
            }
            NumberPage::Split { values, next, .. } => {
                *next += n;
                match *next <= *values {
                    true => Ok(()),
                    false => damaged("values are cut short"),
                }
            }
            NumberPage::Delta(deltas) => deltas.read(page, n, |_| ()),
        }
    }
}

/// Yes or no.
pub(super) struct Booleans;

pub(super) enum FlagPage {
    /// One bit each, from this one on.
    Plain(usize),
    Runs(Hybrid),
}

impl Kind for Booleans {
    type Values = Flags;
    type Page = FlagPage;

    fn open(encoding: i64, page: &[u8], at: usize) -> Outcome<FlagPage> {
        match encoding {
            encoding::PLAIN => Ok(FlagPage::Plain(at * 8)),
            encoding::RLE => {
                let (at, end) = with_length(page, at)?;
                Hybrid::try_new(1, at, end).map(FlagPage::Runs)
            }
            other => unknown(other),
        }
    }

    fn read(of: &mut FlagPage, page: &[u8], n: usize, out: &mut Flags) -> Outcome<()> {
        match of {
            FlagPage::Plain(bit) => {
                let end = *bit + n;
                if end.div_ceil(8) > page.len() {
                    return damaged("values are cut short");
                }
                let flags = (*bit..end).map(|bit| page[bit / 8] >> (bit % 8) & 1 == 1);
                out.0.extend(flags);
                *bit = end;
                Ok(())
            }
            FlagPage::Runs(runs) => runs.read_flags(page, n, &mut out.0).map(drop),
        }
    }

    fn skip(of: &mut FlagPage, page: &[u8], n: usize) -> Outcome<()> {
        match of {
            FlagPage::Plain(bit) => {
                *bit += n;
                Ok(())
            }
            FlagPage::Runs(runs) => runs.skip(page, n),
        }
    }
}

/// Texts, or bytes of any kind.
pub(super) struct Strings;

pub(super) enum TextPage {
    /// Each behind its length, from this byte on.
    Plain(usize),
    /// All lengths, then the texts, from this byte on.
    Lengths(Deltas, usize),
    /// How much each has of the one before it, then what follows that.
    Fronts {
        fronts: Deltas,
        lengths: Deltas,
        at: usize,
        last: Vec<u8>,
    },
}

impl Kind for Strings {
    type Values = Texts;
    type Page = TextPage;

    fn open(encoding: i64, page: &[u8], at: usize) -> Outcome<TextPage> {
        let deltas = |at: usize| -> Outcome<(Deltas, usize)> {
            let deltas = Deltas::try_new(page, at, page.len())?;
            let end = deltas.behind(page)?;
            Ok((deltas, end))
        };
        match encoding {
            encoding::PLAIN => Ok(TextPage::Plain(at)),
            encoding::DELTA_LENGTH_BYTE_ARRAY => {
                let (lengths, at) = deltas(at)?;
                Ok(TextPage::Lengths(lengths, at))
            }
            encoding::DELTA_BYTE_ARRAY => {
                let (fronts, at) = deltas(at)?;
                let (lengths, at) = deltas(at)?;
                Ok(TextPage::Fronts {
                    fronts,
                    lengths,
                    at,
                    last: Vec::new(),
                })
            }
            other => unknown(other),
        }
    }

    fn read(of: &mut TextPage, page: &[u8], n: usize, out: &mut Texts) -> Outcome<()> {
        match of {
            TextPage::Plain(at) => {
                *at = out.push_framed(page, *at, n)?;
                Ok(())
            }
            TextPage::Lengths(lengths, at) => {
                let (lengths, total) = lengths_of(lengths, page, n)?;
                let Some(texts) = page[*at..].get(..total) else {
                    return damaged("texts are cut short");
                };
                *at += total;
                out.push_all(texts, &lengths)
            }
            TextPage::Fronts {
                fronts,
                lengths,
                at,
                last,
            } => {
                let (fronts, _) = lengths_of(fronts, page, n)?;
                let (lengths, _) = lengths_of(lengths, page, n)?;
                *at = out.push_behind(last, &fronts, (page, *at), &lengths)?;
                Ok(())
            }
        }
    }

    fn skip(of: &mut TextPage, page: &[u8], n: usize) -> Outcome<()> {
        match of {
            TextPage::Plain(at) => {
                for _ in 0..n {
                    (_, *at) = with_length(page, *at)?;
                }
                Ok(())
            }
            TextPage::Lengths(lengths, at) => {
                let (_, total) = lengths_of(lengths, page, n)?;
                *at = at.saturating_add(total);
                match *at <= page.len() {
                    true => Ok(()),
                    false => damaged("texts are cut short"),
                }
            }
            TextPage::Fronts { .. } => Self::pass_by(of, page, n),
        }
    }
}

impl Strings {
    /// Steps over `n` texts that share their beginnings.
    fn pass_by(of: &mut TextPage, page: &[u8], n: usize) -> Outcome<()> {
        let TextPage::Fronts {
            fronts,
            lengths,
            at,
            last,
        } = of
        else {
            return Ok(());
        };
        let (fronts, _) = lengths_of(fronts, page, n)?;
        let (lengths, _) = lengths_of(lengths, page, n)?;
        for (front, length) in fronts.into_iter().zip(lengths) {
            let Some(rest) = page[*at..].get(..length as usize) else {
                return damaged("texts are cut short");
            };
            if front as usize > last.len() {
                return damaged("a text has more of the one before it than that has");
            }
            last.truncate(front as usize);
            last.extend_from_slice(rest);
            *at += rest.len();
        }
        Ok(())
    }
}

/// The next `n` lengths, and their sum.
fn lengths_of(lengths: &mut Deltas, page: &[u8], n: usize) -> Outcome<(Vec<u32>, usize)> {
    let mut found = Vec::with_capacity(n.min(lengths.left()));
    let (mut total, mut negative) = (0usize, false);
    lengths.read(page, n, |lengths| {
        let lengths = lengths.iter().map(|length| *length as i32);
        negative |= lengths.clone().any(|length| length < 0);
        let each = lengths.map(i32::cast_unsigned);
        total = each
            .clone()
            .fold(total, |total, length| total.saturating_add(length as usize));
        found.extend(each);
    })?;
    match negative {
        true => damaged("a text of negative length"),
        false => Ok((found, total)),
    }
}
