//! The first and the last value.
//!
//! In:  columns of any one type.
//! Out: for each group its first or last value in input order, with nulls or without.
//!
//! Of a batch, only the rows that are picked are copied; values that were
//! overtaken by later ones are dropped when they are more than half.

use arrow_array::{Array, ArrayRef, UInt32Array, new_null_array};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use arrow_select::take::take;

use super::state::{Groups, State};
use crate::error::Result;
use crate::partition::array_bytes;

/// Where a picked value is: its chunk and row; no chunk has the number `NONE`.
type Place = (u32, u32);
const NONE: u32 = u32::MAX;

/// As many chunks are put together into one.
const CHUNKS: usize = 64;

/// Which value is picked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Which {
    FirstValue,
    LastValue,
    /// Also where it is null.
    FirstRow,
    LastRow,
}

/// First or last values, one per group.
pub(super) struct Pick {
    data_type: DataType,
    which: Which,
    chunks: Vec<ArrayRef>,
    chunk_bytes: usize,
    places: Vec<Place>,
}

impl Pick {
    pub fn new(data_type: DataType, which: Which) -> Self {
        Pick {
            data_type,
            which,
            chunks: Vec::new(),
            chunk_bytes: 0,
            places: Vec::new(),
        }
    }

    /// The picked values in the order of their groups.
    fn gathered(&self) -> Result<ArrayRef> {
        let nothing = new_null_array(&self.data_type, 1);
        let mut arrays: Vec<&dyn Array> = self.chunks.iter().map(AsRef::as_ref).collect();
        arrays.push(nothing.as_ref());
        let places: Vec<(usize, usize)> = self
            .places
            .iter()
            .map(|&(chunk, row)| match chunk {
                NONE => (self.chunks.len(), 0),
                _ => (chunk as usize, row as usize),
            })
            .collect();
        Ok(interleave(&arrays, &places)?)
    }

    /// Puts what is still picked into one chunk.
    fn compact(&mut self) -> Result<()> {
        let all = self.gathered()?;
        self.chunk_bytes = array_bytes(&all) as usize;
        self.chunks = vec![all];
        for (row, place) in self.places.iter_mut().enumerate() {
            if place.0 != NONE {
                *place = (0, row as u32);
            }
        }
        Ok(())
    }
}

impl State for Pick {
    fn grow(&mut self, n_groups: usize) {
        if n_groups > self.places.len() {
            self.places.resize(n_groups, (NONE, 0));
        }
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let column = &columns[0];
        let chunk = self.chunks.len() as u32;
        let last = matches!(self.which, Which::LastValue | Which::LastRow);
        let places = &mut self.places;
        let mut touched: Vec<u32> = Vec::new();
        let nulls = match self.which {
            Which::FirstRow | Which::LastRow => None,
            Which::FirstValue | Which::LastValue => column.logical_nulls(),
        };
        groups.for_valid(nulls.as_ref(), |row, group| {
            let place = &mut places[group];
            if place.0 == chunk {
                if last {
                    place.1 = row as u32;
                }
            } else if last || place.0 == NONE {
                *place = (chunk, row as u32);
                touched.push(group as u32);
            }
        });
        if touched.is_empty() {
            return Ok(());
        }
        let rows = touched.iter().map(|&group| places[group as usize].1);
        let picked = take(column, &UInt32Array::from_iter_values(rows), None)?;
        for (row, &group) in touched.iter().enumerate() {
            places[group as usize].1 = row as u32;
        }
        self.chunk_bytes += array_bytes(&picked) as usize;
        self.chunks.push(picked);
        let held: usize = self.chunks.iter().map(|chunk| chunk.len()).sum();
        if self.chunks.len() >= CHUNKS || held > 2 * self.places.len() + 1024 {
            self.compact()?;
        }
        Ok(())
    }

    /// A partial is a value for each group, so it is taken in like rows.
    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.update(groups, partial)
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish()?])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let all = self.gathered()?;
        *self = Pick::new(self.data_type.clone(), self.which);
        Ok(all)
    }

    fn bytes(&self) -> usize {
        size_of::<Place>() * self.places.capacity() + self.chunk_bytes
    }
}
