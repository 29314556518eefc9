//! Which encoding suits the values of a row group.
//!
//! In:  the values of one leaf.
//! Out: dictionary or not, and the encoding of what is in no dictionary.
//!
//! The choice is made from values at fixed positions, so it is the same for
//! the same rows. On logs it makes files a fifth smaller than dictionaries
//! everywhere, and writing faster: a dictionary of nearly unique values is
//! hashed in vain.

use std::ops::Range;

use parquet::basic::Encoding;

use super::delta::{Integer, shared_prefix};
use super::dictionary::Distinct;
use super::hybrid::bit_width;
use super::value::Value;

/// Values looked at to tell how many are distinct.
const SAMPLE: usize = 2048;

/// Runs of neighbours looked at to tell how far apart they are, and their length:
/// that of a delta-encoded block.
const BLOCKS: usize = 32;
const BLOCK: usize = 128;

/// How a leaf is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// Whether to try a dictionary, and how many entries it will have, about.
    pub(super) dictionary: Option<usize>,
    /// Without a dictionary, or where it grows too large.
    pub(super) otherwise: Encoding,
}

/// Chooses for the values of one leaf of a row group.
pub(super) fn choose<T: Value>(values: &[T], dictionary_bytes: usize) -> Choice {
    let (otherwise, direct_bits) = T::direct(values);
    let mut dictionary = None;
    if T::DICTIONARY && !values.is_empty() {
        let (distinct, mean_bytes) = look(values);
        // A dictionary earns its keep while a value comes at least twice.
        let repeats = distinct * 2.0 <= values.len() as f64
            && distinct * mean_bytes <= dictionary_bytes as f64;
        let key_bits = distinct.log2().ceil().max(1.0);
        // Keys of few values compress further, packed deltas do not: hence 0.6.
        let pays = repeats && direct_bits.is_none_or(|bits| bits >= 0.6 * key_bits);
        dictionary = pays.then_some(distinct as usize);
    }
    Choice {
        dictionary,
        otherwise,
    }
}

/// Distinct values in the whole leaf, estimated, and the mean bytes of one in a
/// dictionary.
fn look<T: Value>(values: &[T]) -> (f64, f64) {
    let wanted = values.len().min(SAMPLE);
    let mut seen = Distinct::with_room(wanted);
    let mut bytes = 0;
    for idx in 0..wanted {
        let value = values[idx * values.len() / wanted];
        bytes += value.stored_bytes();
        seen.key(value);
    }
    let distinct = distinct(seen.entries.len(), wanted, values.len() as f64);
    (distinct, bytes as f64 / wanted as f64)
}

/// Distinct values among `total`, when a sample of `n` held `seen`: the count
/// from which drawing `n` evenly would show that many.
fn distinct(seen: usize, n: usize, total: f64) -> f64 {
    let (seen, n) = (seen as f64, n as f64);
    if n >= total {
        return seen;
    }
    let expected = |distinct: f64| distinct * (1.0 - (-n / distinct).exp());
    if seen >= expected(total) {
        return total;
    }
    let (mut low, mut high) = (seen, total);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if expected(middle) < seen {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Evenly spaced runs of neighbours.
fn runs(len: usize) -> impl Iterator<Item = Range<usize>> {
    let blocks = (len / BLOCK).clamp(1, BLOCKS);
    let room = len - len.min(BLOCK);
    (0..blocks).map(move |block| {
        let start = block * room / blocks;
        start..len.min(start + BLOCK)
    })
}

/// Bits a value takes as a packed difference to the one before it.
pub(super) fn delta_bits<T: Integer>(values: &[T]) -> f64 {
    let (mut bits, mut count) = (0, 0);
    for run in runs(values.len()) {
        let deltas: Vec<T> = values[run]
            .windows(2)
            .map(|pair| pair[1].minus(pair[0]))
            .collect();
        let Some(least) = deltas.iter().min() else {
            continue;
        };
        for mini in deltas.chunks(32) {
            let above = mini.iter().map(|delta| delta.minus(*least).bits());
            bits += bit_width(above.max().unwrap_or(0)) as usize * mini.len();
            count += mini.len();
        }
    }
    match count {
        0 => 0.0,
        count => bits as f64 / count as f64,
    }
}

/// Whether texts begin like the text before them for most of their length, as
/// sorted ones and times do.
pub(super) fn prefixes_pay(texts: &[&[u8]]) -> bool {
    let (mut shared, mut bytes) = (0, 0);
    for run in runs(texts.len()) {
        for pair in texts[run].windows(2) {
            shared += shared_prefix(pair[0], pair[1]);
            bytes += pair[1].len();
        }
    }
    // Two more numbers a value are to be paid for, and what is left of a text
    // compresses less than the whole.
    shared * 2 > bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(n: i64) -> i64 {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 20
    }

    fn chosen<T: Value>(values: &[T]) -> Choice {
        choose(values, 1 << 20)
    }

    fn chosen_texts(text: impl Fn(i64) -> String) -> Choice {
        let texts: Vec<String> = (0..50_000).map(text).collect();
        chosen(&texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>())
    }

    #[test]
    fn each_kind_of_column_gets_its_encoding() {
        let plainly = |otherwise| Choice {
            dictionary: None,
            otherwise,
        };
        let delta = plainly(Encoding::DELTA_BINARY_PACKED);
        let of = |number: &dyn Fn(i64) -> i64| (0..50_000).map(number).collect::<Vec<i64>>();
        assert_eq!(chosen(&of(&|n| n)), delta, "sorted");
        assert_eq!(chosen(&of(&mixed)), delta, "unique");
        assert_eq!(chosen(&of(&|_| 7)), delta, "one");
        let few = chosen(&of(&|n| 200 + mixed(n).rem_euclid(5)));
        assert_eq!(few.dictionary, Some(5), "few");
        let times: Vec<f64> = (0..50_000).map(|n| mixed(n) as f64 / 7.0).collect();
        assert_eq!(chosen(&times), plainly(Encoding::BYTE_STREAM_SPLIT));
        let waits: Vec<f64> = (0..2000)
            .map(|n| 30.0 + mixed(n).rem_euclid(1500) as f64 / 1000.0)
            .collect();
        let waits = chosen(&waits).otherwise;
        assert_eq!(waits, Encoding::PLAIN, "fractions that repeat");
        let hosts = chosen_texts(|n| format!("web-{}", n % 40));
        assert_eq!(hosts.dictionary, Some(40));
        let paths = chosen_texts(|n| format!("/a/{}", mixed(n)));
        assert_eq!(paths, plainly(Encoding::DELTA_LENGTH_BYTE_ARRAY));
        let times = chosen_texts(|n| format!("2025-03-03T00:{:010}", n * 7));
        assert_eq!(times, plainly(Encoding::DELTA_BYTE_ARRAY));
        assert_eq!(chosen(&[true, false]), plainly(Encoding::PLAIN));
        assert_eq!(chosen::<i64>(&[]).dictionary, None);
    }

    #[test]
    fn distinct_values_are_estimated_from_a_sample() {
        assert_eq!(distinct(10, 100, 100.0), 10.0);
        assert!((distinct(5, 4096, 1e6) - 5.0).abs() < 0.1);
        let many = distinct(3_500, 4096, 1e6);
        assert!((11_000.0..15_000.0).contains(&many), "{many}");
        assert_eq!(distinct(4096, 4096, 1e6), 1e6);
    }
}
