//! The few largest or smallest values.
//!
//! In:  values of one fixed width that have an order.
//! Out: a list per group, the best first; empty without values.
//!
//! The best of a group stand side by side, in order: most rows are compared
//! with the last of them and are done.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, make_array};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use super::extreme::{Ranked, by_native};
use super::state::{Groups, State, lists, offsets_of};
use crate::error::Result;

/// The most values a group that stand side by side, whether it has them or not.
const MOST: usize = 16;

/// The state for the `k` best values of a type; none if they are too many, or
/// of a type that is not held here.
pub(super) fn state(data_type: &DataType, k: usize, largest: bool) -> Option<Box<dyn State>> {
    macro_rules! fixed {
        ($native:ty) => {
            Some(Box::new(Top::<$native>::new(data_type.clone(), k, largest)))
        };
    }
    if k > MOST {
        return None;
    }
    by_native!(data_type, fixed)
}

/// The `k` best values of every group.
struct Top<N> {
    data_type: DataType,
    k: usize,
    largest: bool,
    /// `k` a group, the best first; as many as it has count.
    best: Vec<N>,
    counts: Vec<u8>,
}

impl<N: Ranked> Top<N> {
    fn new(data_type: DataType, k: usize, largest: bool) -> Self {
        Top {
            data_type,
            k,
            largest,
            best: Vec::new(),
            counts: Vec::new(),
        }
    }

    #[inline]
    fn offer(&mut self, group: usize, value: N) {
        let value = value.canonical();
        let (k, largest) = (self.k, self.largest);
        let better = |a: N, b: N| if largest { a.above(b) } else { b.above(a) };
        let best = &mut self.best[group * k..][..k];
        let count = &mut self.counts[group];
        let mut place = usize::from(*count);
        if place == k {
            // Equal values are the same: which of them stays cannot be seen.
            if !better(value, best[k - 1]) {
                return;
            }
            place -= 1;
        } else {
            *count += 1;
        }
        while place > 0 && better(value, best[place - 1]) {
            best[place] = best[place - 1];
            place -= 1;
        }
        best[place] = value;
    }
}

fn values_of<N: Ranked>(array: &dyn Array) -> ScalarBuffer<N> {
    let data = array.to_data();
    ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len())
}

impl<N: Ranked> State for Top<N> {
    fn grow(&mut self, n_groups: usize) {
        if n_groups > self.counts.len() {
            self.counts.resize(n_groups, 0);
            self.best.resize(n_groups * self.k, N::default());
        }
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let values = values_of::<N>(&columns[0]);
        groups.for_valid(columns[0].nulls(), |row, group| {
            self.offer(group, values[row]);
        });
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let lists = partial[0].as_list::<i32>();
        let values = values_of::<N>(lists.values());
        let offsets = lists.value_offsets();
        groups.for_each(|row, group| {
            for value in &values[offsets[row] as usize..offsets[row + 1] as usize] {
                self.offer(group, *value);
            }
        });
        Ok(())
    }

    /// The result is all there is.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish()?])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let counts = std::mem::take(&mut self.counts);
        let mut best = std::mem::take(&mut self.best);
        let offsets = offsets_of(counts.iter().map(|&count| count.into()))?;
        let mut end = 0;
        for (group, &count) in counts.iter().enumerate() {
            let from = group * self.k;
            best.copy_within(from..from + usize::from(count), end);
            end += usize::from(count);
        }
        best.truncate(end);
        let values = ArrayData::builder(self.data_type.clone())
            .len(end)
            .add_buffer(Buffer::from_vec(best))
            .build()?;
        Ok(Arc::new(lists(make_array(values), offsets)))
    }

    fn bytes(&self) -> usize {
        size_of::<N>() * self.best.capacity() + self.counts.capacity()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;
    use arrow_array::types::Int64Type;

    use super::*;

    #[test]
    fn the_best_of_each_group_are_those_that_sorting_finds_in_any_cut() {
        let values: Vec<Option<i64>> = (0..300)
            .map(|n: i64| (n % 17 != 3).then_some(n * 7919 % 101 - 50))
            .collect();
        let ids: Vec<u32> = (0..300).map(|n: u32| n * n % 7).collect();
        let column: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        for (k, largest) in [(1, true), (2, false), (16, true), (16, false)] {
            for step in [1, 50, 300] {
                let new = || state(&DataType::Int64, k, largest).unwrap();
                let (mut whole, mut merged) = (new(), new());
                for start in (0..300).step_by(step) {
                    let groups = Groups::of(&ids[start..start + step], 8);
                    let part = [column.slice(start, step)];
                    whole.update(groups, &part).unwrap();
                    let mut own = new();
                    own.update(groups, &part).unwrap();
                    let partial = own.partial().unwrap();
                    let all: Vec<u32> = (0..8).collect();
                    merged.merge(Groups::of(&all, 8), &partial).unwrap();
                }
                let whole = whole.finish().unwrap();
                assert_eq!(&whole, &merged.finish().unwrap());
                let lists = whole.as_list::<i32>();
                for group in 0..8 {
                    let rows = (0..300).filter(|&row| ids[row] == group as u32);
                    let mut sorted: Vec<i64> = rows.filter_map(|row| values[row]).collect();
                    sorted.sort_unstable();
                    if largest {
                        sorted.reverse();
                    }
                    sorted.truncate(k);
                    let found = lists.value(group);
                    assert_eq!(found.as_primitive::<Int64Type>().values(), &sorted[..]);
                }
            }
        }
        assert!(state(&DataType::Int64, 17, true).is_none());
        assert!(state(&DataType::Utf8, 2, true).is_none());
    }
}
