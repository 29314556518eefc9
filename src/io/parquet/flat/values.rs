//! Values of one type, side by side.
//!
//! In:  values as a page gives them, or places of values that are there already.
//! Out: an Arrow array.
//!
//! Where a row has none, something stands in its slot that nobody looks at.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, BooleanArray, StringArray, make_array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use super::fault::{Fault, Outcome, damaged};

/// Some values, in order.
pub(super) trait Values: Default + Send {
    fn len(&self) -> usize;
    fn clear(&mut self);

    /// Makes room for so many values, which are stored in so many bytes.
    fn reserve(&mut self, values: usize, bytes: usize);

    /// Appends those of `from` that stand at some places, which it has.
    fn gather(&mut self, from: &Self, places: &[u32]) -> Outcome<()>;

    /// Nothing will be appended any more, and values will be gathered from here.
    fn seal(&mut self) {}

    /// Moves the last values apart, so that each stands in the slot of a row that has one.
    fn spread(&mut self, present: &[bool], values: usize) -> Outcome<()>;

    /// All of them as an array; none are left.
    fn finish(&mut self, data_type: &DataType, nulls: Option<NullBuffer>) -> Outcome<ArrayRef>;
}

/// Moves the last values apart, from the last one on, so that none is lost.
pub(super) fn spread<T: Copy + Default>(values: &mut Vec<T>, present: &[bool], n: usize) {
    let start = values.len() - n;
    values.resize(start + present.len(), T::default());
    let slots = &mut values[start..];
    let mut from = n;
    for (slot, present) in present.iter().enumerate().rev() {
        if from == slot + 1 {
            // All before it have a value, and stand where they are to.
            break;
        }
        if *present {
            from -= 1;
            slots[slot] = slots[from];
        }
    }
}

impl<T: ArrowNativeType + Default> Values for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn clear(&mut self) {
        Vec::clear(self);
    }

    fn reserve(&mut self, values: usize, _: usize) {
        self.reserve_exact(values);
    }

    fn gather(&mut self, from: &Self, places: &[u32]) -> Outcome<()> {
        self.extend(places.iter().map(|place| from[*place as usize]));
        Ok(())
    }

    fn spread(&mut self, present: &[bool], values: usize) -> Outcome<()> {
        spread(self, present, values);
        Ok(())
    }

    fn finish(&mut self, data_type: &DataType, nulls: Option<NullBuffer>) -> Outcome<ArrayRef> {
        let n = self.len();
        // What follows is as long, mostly, and would be moved as it grows.
        let values = std::mem::replace(self, Vec::with_capacity(n));
        let data = ArrayData::builder(data_type.clone())
            .len(n)
            .add_buffer(Buffer::from_vec(values))
            .nulls(nulls)
            .build();
        data.map(make_array).map_err(refused)
    }
}

/// Yes or no.
#[derive(Default)]
pub(super) struct Flags(pub Vec<bool>);

impl Values for Flags {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn reserve(&mut self, values: usize, _: usize) {
        self.0.reserve_exact(values);
    }

    fn gather(&mut self, from: &Self, places: &[u32]) -> Outcome<()> {
        self.0
            .extend(places.iter().map(|place| from.0[*place as usize]));
        Ok(())
    }

    fn spread(&mut self, present: &[bool], values: usize) -> Outcome<()> {
        spread(&mut self.0, present, values);
        Ok(())
    }

    fn finish(&mut self, _: &DataType, nulls: Option<NullBuffer>) -> Outcome<ArrayRef> {
        let flags = BooleanBuffer::from(&*self.0);
        self.0.clear();
        Ok(Arc::new(BooleanArray::new(flags, nulls)))
    }
}

/// Texts, or bytes of any kind.
pub(super) struct Texts {
    /// Where each begins, and where the last one ends.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Default for Texts {
    fn default() -> Self {
        Texts {
            offsets: vec![0],
            bytes: Vec::new(),
        }
    }
}

/// Bytes that are copied at once: of a shorter text some that are not its own,
/// which the next one overwrites. A call for each text takes longer than that.
pub(super) const AT_ONCE: usize = 16;

impl Texts {
    /// Appends texts that lie behind each other, by their lengths.
    pub fn push_all(&mut self, texts: &[u8], lengths: &[u32]) -> Outcome<()> {
        let mut end = self.bytes.len() as u64;
        self.bytes.extend_from_slice(texts);
        for length in lengths {
            end += u64::from(*length);
            self.offsets.push(offset(end)?);
        }
        Ok(())
    }

    /// Appends `n` texts that lie behind each other from `at` on, each behind
    /// its length of four bytes; where they end.
    pub fn push_framed(&mut self, page: &[u8], at: usize, n: usize) -> Outcome<usize> {
        self.offsets.reserve(n);
        let first = self.offsets.len() - 1;
        let (mut from, mut end) = (at, self.bytes.len() as u64);
        for _ in 0..n {
            let (start, behind) = with_length(page, from)?;
            end += (behind - start) as u64;
            self.offsets.push(offset(end)?);
            from = behind;
        }
        let frame = size_of::<u32>();
        let (offsets, mut copying) = (&self.offsets[first..], Copying::to(&mut self.bytes, end));
        let mut start = at;
        for two in offsets.windows(2) {
            let length = (two[1] - two[0]) as usize;
            start += frame;
            copying.copy(page, start, length);
            start += length;
        }
        copying.end();
        Ok(from)
    }

    /// Appends texts of which each has so many bytes of the one before it in
    /// front of its own, which lie behind each other from a place of a page on;
    /// where they end. `last` is the text before the first, and then the last.
    pub fn push_behind(
        &mut self,
        last: &mut Vec<u8>,
        fronts: &[u32],
        (page, at): (&[u8], usize),
        lengths: &[u32],
    ) -> Outcome<usize> {
        self.offsets.reserve(fronts.len());
        let (mut own, mut before) = (at as u64, last.len() as u64);
        let mut end = self.bytes.len() as u64;
        for (front, length) in fronts.iter().zip(lengths) {
            let (front, length) = (u64::from(*front), u64::from(*length));
            if front > before {
                return damaged("a text has more of the one before it than that has");
            }
            (before, own) = (front + length, own + length);
            end += before;
            self.offsets.push(offset(end)?);
        }
        let behind = usize::try_from(own).ok().filter(|own| *own <= page.len());
        let Some(behind) = behind else {
            return damaged("texts are cut short");
        };
        let mut texts = fronts.iter().zip(lengths);
        let mut copying = Copying::to(&mut self.bytes, end);
        let (mut own, mut before) = (at, copying.at);
        if let Some((front, length)) = texts.next() {
            copying.copy(last, 0, *front as usize);
            copying.copy(page, own, *length as usize);
            own += *length as usize;
        }
        for (front, length) in texts {
            let start = copying.at;
            copying.copy_own(before, *front as usize);
            copying.copy(page, own, *length as usize);
            own += *length as usize;
            before = start;
        }
        copying.end();
        if !fronts.is_empty() {
            last.clear();
            last.extend_from_slice(&self.bytes[before..]);
        }
        Ok(behind)
    }

    #[inline]
    fn text(&self, place: usize) -> (usize, usize) {
        let (start, end) = (self.offsets[place], self.offsets[place + 1]);
        (start as usize, (end - start) as usize)
    }
}

/// Texts that are copied behind each other.
struct Copying<'a> {
    to: &'a mut Vec<u8>,
    at: usize,
    end: usize,
}

impl<'a> Copying<'a> {
    /// Behind the bytes that are there, as far as `end`.
    fn to(to: &'a mut Vec<u8>, end: u64) -> Self {
        let (at, end) = (to.len(), end as usize);
        to.resize(end + AT_ONCE, 0);
        Copying { to, at, end }
    }

    #[inline]
    fn copy(&mut self, from: &[u8], start: usize, length: usize) {
        match from.get(start..start + AT_ONCE) {
            Some(bytes) if length <= AT_ONCE => {
                self.to[self.at..self.at + AT_ONCE].copy_from_slice(bytes);
            }
            _ => {
                let bytes = &from[start..start + length];
                self.to[self.at..self.at + length].copy_from_slice(bytes);
            }
        }
        self.at += length;
    }

    /// Copies what was copied before.
    #[inline]
    fn copy_own(&mut self, start: usize, length: usize) {
        match self.to.get(start..).and_then(<[u8]>::first_chunk) {
            Some(bytes) if length <= AT_ONCE => {
                let bytes: [u8; AT_ONCE] = *bytes;
                self.to[self.at..self.at + AT_ONCE].copy_from_slice(&bytes);
            }
            _ => self.to.copy_within(start..start + length, self.at),
        }
        self.at += length;
    }

    fn end(self) {
        self.to.truncate(self.end);
    }
}

/// Where a text lies that has its length, of four bytes, in front of it.
#[inline]
pub(super) fn with_length(page: &[u8], at: usize) -> Outcome<(usize, usize)> {
    let Some(length) = page.get(at..).and_then(<[u8]>::first_chunk) else {
        return damaged("it is cut short");
    };
    let at = at + size_of::<u32>();
    let length = u32::from_le_bytes(*length) as usize;
    match at.checked_add(length).filter(|end| *end <= page.len()) {
        Some(end) => Ok((at, end)),
        None => damaged(format!("{length} bytes where {} are left", page.len() - at)),
    }
}

/// Offsets have 31 bits.
#[inline]
fn offset(end: u64) -> Outcome<i32> {
    match i32::try_from(end) {
        Ok(end) => Ok(end),
        Err(_) => damaged("the texts of one batch have more than 2 GiB"),
    }
}

impl Values for Texts {
    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn clear(&mut self) {
        self.offsets.truncate(1);
        self.bytes.clear();
    }

    fn reserve(&mut self, values: usize, bytes: usize) {
        self.offsets.reserve_exact(values);
        self.bytes.reserve_exact(bytes);
    }

    fn gather(&mut self, from: &Self, places: &[u32]) -> Outcome<()> {
        self.offsets.reserve(places.len());
        let mut end = self.bytes.len() as u64;
        for place in places {
            end += from.text(*place as usize).1 as u64;
            self.offsets.push(offset(end)?);
        }
        let mut copying = Copying::to(&mut self.bytes, end);
        for place in places {
            let (start, length) = from.text(*place as usize);
            copying.copy(&from.bytes, start, length);
        }
        copying.end();
        Ok(())
    }

    fn seal(&mut self) {
        // So that the last texts can be copied as the others are.
        self.bytes.resize(self.bytes.len() + AT_ONCE, 0);
    }

    fn spread(&mut self, present: &[bool], values: usize) -> Outcome<()> {
        // A text that is not there ends where the one before it does.
        let mut at = self.offsets.len() - values - 1;
        let ends: Vec<i32> = self.offsets[at + 1..].to_vec();
        let mut ends = ends.into_iter();
        let mut last = self.offsets[at];
        at += 1;
        self.offsets.truncate(at);
        self.offsets.extend(present.iter().map(|present| {
            if *present {
                last = ends.next().unwrap_or(last);
            }
            last
        }));
        Ok(())
    }

    fn finish(&mut self, data_type: &DataType, nulls: Option<NullBuffer>) -> Outcome<ArrayRef> {
        let texts = std::mem::take(self);
        // Those that follow are about as many and as long.
        let bytes = texts.bytes.len();
        self.reserve(texts.len(), bytes + bytes / 8);
        let offsets = OffsetBuffer::new(texts.offsets.into());
        let bytes = Buffer::from_vec(texts.bytes);
        Ok(match data_type {
            DataType::Binary => {
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls).map_err(refused)?)
            }
            _ => Arc::new(StringArray::try_new(offsets, bytes, nulls).map_err(refused)?),
        })
    }
}

/// What Arrow does not take: bytes that are no text.
fn refused(error: arrow_schema::ArrowError) -> Fault {
    Fault::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    use super::*;

    #[test]
    fn values_move_to_the_rows_that_have_one() {
        let all = [true, false, true, true, false, false, true, true];
        for from in 0..=all.len() {
            let present = &all[from..];
            let n = present.iter().filter(|present| **present).count();
            let mut numbers: Vec<i64> = vec![70, 71];
            numbers.extend(0..n as i64);
            Values::spread(&mut numbers, present, n).unwrap();
            let mut texts = Texts::default();
            texts.push_all(b"in front", &[8]).unwrap();
            for idx in 0..n {
                let text = idx.to_string();
                texts
                    .push_all(text.as_bytes(), &[text.len() as u32])
                    .unwrap();
            }
            Values::spread(&mut texts, present, n).unwrap();
            let nulls = |front: usize| {
                let front = std::iter::repeat_n(true, front);
                Some(NullBuffer::from_iter(front.chain(present.iter().copied())))
            };
            let numbers = numbers.finish(&DataType::Int64, nulls(2)).unwrap();
            let texts = texts.finish(&DataType::Utf8, nulls(1)).unwrap();
            let mut next = 0..;
            let want: Vec<Option<i64>> = present
                .iter()
                .map(|present| present.then(|| next.next().unwrap()))
                .collect();
            let found: Vec<_> = numbers.as_primitive::<Int64Type>().iter().skip(2).collect();
            assert_eq!(found, want);
            let found: Vec<_> = texts.as_string::<i32>().iter().skip(1).collect();
            let want: Vec<_> = want.iter().map(|v| v.map(|v| v.to_string())).collect();
            assert_eq!(found, want.iter().map(Option::as_deref).collect::<Vec<_>>());
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut texts = Texts::default();
        texts.push_all(&[0xc3], &[1]).unwrap();
        texts.push_all(&[0xa9], &[1]).unwrap();
        assert!(texts.finish(&DataType::Utf8, None).is_err());
        assert_eq!(texts.len(), 0);
    }

    #[test]
    fn texts_that_share_their_beginnings_come_however_many_are_read_at_once() {
        let long = |idx: usize| "0123456789".repeat(idx % 7) + &idx.to_string();
        let want: Vec<String> = (0..60).map(long).collect();
        let (mut page, mut fronts, mut lengths) = (vec![b'x'], Vec::new(), Vec::new());
        let mut before = "";
        for text in &want {
            let same = text.bytes().zip(before.bytes()).take_while(|(a, b)| a == b);
            let front = same.count();
            page.extend(&text.as_bytes()[front..]);
            fronts.push(front as u32);
            lengths.push((text.len() - front) as u32);
            before = text;
        }
        for step in [1, 7, 60] {
            let (mut texts, mut last, mut at) = (Texts::default(), Vec::new(), 1);
            let mut found = Vec::new();
            for (fronts, lengths) in fronts.chunks(step).zip(lengths.chunks(step)) {
                at = texts
                    .push_behind(&mut last, fronts, (&page, at), lengths)
                    .unwrap();
                let array = texts.finish(&DataType::Utf8, None).unwrap();
                let array = array.as_any().downcast_ref::<StringArray>().unwrap();
                found.extend(array.iter().flatten().map(str::to_owned));
            }
            assert_eq!(found, want, "{step} at once");
            assert_eq!(at, page.len());
        }
        let mut texts = Texts::default();
        let too_short = texts.push_behind(
            &mut Vec::new(),
            &fronts,
            (&page[..page.len() - 1], 1),
            &lengths,
        );
        assert!(too_short.is_err());
        assert!(
            texts
                .push_behind(&mut vec![b'1'], &[2], (&page, 1), &[1])
                .is_err()
        );
    }
}
