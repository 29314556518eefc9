//! Texts that hold some parts, one behind the other.
//!
//! In:  a pattern of `like` without `_` and `\`: parts with anything between them.
//! Out: which texts of a column have that shape.
//!
//! The first part that may stand anywhere is looked for in the bytes of all
//! texts at once, which lie behind each other: few of them have it.

use arrow_array::{Array, StringArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use memchr::memmem::Finder;

/// A pattern with at least one part that may stand anywhere.
pub(super) struct Parts<'a> {
    prefix: &'a [u8],
    first: Finder<'a>,
    others: Vec<Finder<'a>>,
    suffix: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The parts of a pattern; none if it has another shape.
    pub fn of(pattern: &'a str) -> Option<Self> {
        if pattern.contains(['_', '\\']) {
            return None;
        }
        let (prefix, rest) = pattern.split_once('%')?;
        let (middle, suffix) = rest.rsplit_once('%')?;
        let mut parts = middle.split('%').filter(|part| !part.is_empty());
        let first = Finder::new(parts.next()?.as_bytes());
        Some(Parts {
            prefix: prefix.as_bytes(),
            first,
            others: parts.map(|part| Finder::new(part.as_bytes())).collect(),
            suffix: suffix.as_bytes(),
        })
    }

    /// For each text whether it has all parts, whatever stands for null.
    pub fn find(&self, texts: &StringArray) -> BooleanBuffer {
        let mut found = BooleanBufferBuilder::new(texts.len());
        found.append_n(texts.len(), false);
        let (bytes, ends) = (texts.value_data(), texts.value_offsets());
        let (mut row, mut at) = (0, ends[0] as usize);
        let all = ends[texts.len()] as usize;
        while let Some(place) = self.first.find(&bytes[at..all]) {
            let place = at + place;
            while ends[row + 1] as usize <= place {
                row += 1;
            }
            let (start, end) = (ends[row] as usize, ends[row + 1] as usize);
            at = end;
            let behind = place + self.first.needle().len();
            if behind > end || !bytes[start..end].starts_with(self.prefix) {
                continue;
            }
            if place < start + self.prefix.len() {
                // It may stand again, behind the prefix.
                let whole = &bytes[start + self.prefix.len()..end];
                let again = self.first.find(whole);
                let behind = again.map(|place| place + self.first.needle().len());
                found.set_bit(row, behind.is_some_and(|at| self.ends(&whole[at..])));
                continue;
            }
            found.set_bit(row, self.ends(&bytes[behind..end]));
        }
        found.finish()
    }

    /// Whether the other parts stand in what is left of a text.
    fn ends(&self, mut left: &[u8]) -> bool {
        for part in &self.others {
            let Some(place) = part.find(left) else {
                return false;
            };
            left = &left[place + part.needle().len()..];
        }
        left.ends_with(self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Scalar;
    use arrow_string::like::like;

    use super::*;

    #[test]
    fn texts_are_found_as_the_kernel_finds_them() {
        let words = [
            "", "a", "b", "ab", "aab", "ba", "abab", "xaxbx", "a\nb", "äb", "%a%",
        ];
        let joined = words.iter().flat_map(|left| {
            let pairs = words.iter().map(move |right| format!("{left}{right}"));
            pairs.map(|text| (text != "ba").then_some(text))
        });
        let texts: StringArray = joined.collect();
        for pattern in [
            "%a%", "%ab%", "%a%b%", "a%b%a", "ab%ab%", "%ab%ab", "a%a%", "%%a%%", "%ä%", "b%b%b%b",
        ] {
            let kernel = like(&texts, &Scalar::new(StringArray::from(vec![pattern]))).unwrap();
            for (from, len) in [(0, texts.len()), (7, 50), (texts.len(), 0)] {
                let some = texts.slice(from, len);
                let found = Parts::of(pattern).unwrap().find(&some);
                for row in (0..len).filter(|row| some.is_valid(*row)) {
                    let wanted = kernel.value(from + row);
                    assert_eq!(found.value(row), wanted, "{pattern}: {:?}", some.value(row));
                }
            }
        }
        for other in ["a", "a%", "%a", "%", "a%b", "%a_%", "%a\\%%", "%%"] {
            assert!(Parts::of(other).is_none(), "{other}");
        }
    }
}
