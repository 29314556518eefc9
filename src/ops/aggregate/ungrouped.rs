//! Rows whose groups are told later.
//!
//! In:  rows of chunks, or the groups of a table.
//! Out: their keys, and what aggregates take of them or have of them; partials
//!      of these; and results, once somebody has told which row is in which group.
//!
//! ```text
//! rows of a chunk      keys │ what each aggregate takes │ one chunk for all
//! groups of a table    keys │ states of each aggregate  │ a place for each
//! ```
//!
//! Nothing is copied: columns stay those that came in, dictionaries too.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};

use super::{Aggregate, groups_of, partial_of};
use crate::error::{Error, Result};
use crate::expr::{Accumulator, Groups, plain};
use crate::ops::places::{PLACE_COLUMNS, PlaceNumbers};

/// Rows that are in no group yet, or groups that are to meet others.
#[derive(Debug, Clone)]
pub(crate) struct Ungrouped {
    pub n_rows: usize,
    /// In the types of the table, plain or as dictionaries of them.
    pub keys: Vec<ArrayRef>,
    /// For each aggregate what it takes of rows, or its states.
    pub columns: Vec<Vec<ArrayRef>>,
    pub places: RowPlaces,
}

/// Where rows stand in the input.
#[derive(Debug, Clone)]
pub(crate) enum RowPlaces {
    /// They are those of one chunk, in order.
    Chunk(u64),
    /// They are groups: the chunk of each, and its row there.
    Each([ArrayRef; PLACE_COLUMNS]),
}

impl RowPlaces {
    /// The place of a row, as a number.
    pub fn number(&self, row: u32, numbers: PlaceNumbers) -> u64 {
        match self {
            RowPlaces::Chunk(chunk) => numbers.number(*chunk, row),
            RowPlaces::Each(places) => {
                let (chunks, rows) = of_columns(places);
                numbers.number(chunks[row as usize], rows[row as usize])
            }
        }
    }

    /// The columns that tell them.
    pub fn columns(&self) -> &[ArrayRef] {
        match self {
            RowPlaces::Chunk(_) => &[],
            RowPlaces::Each(places) => places,
        }
    }
}

impl Ungrouped {
    /// All columns that are held.
    pub fn all_columns(&self) -> impl Iterator<Item = &ArrayRef> {
        self.keys
            .iter()
            .chain(self.columns.iter().flatten())
            .chain(self.places.columns())
    }

    /// Whether these are groups: their columns are states.
    pub fn are_groups(&self) -> bool {
        matches!(self.places, RowPlaces::Each(_))
    }

    /// All bits that the numbers of their chunks have, and those of their rows.
    pub fn place_bits(&self) -> (u64, u32) {
        match &self.places {
            RowPlaces::Chunk(chunk) => (*chunk, self.n_rows as u32),
            RowPlaces::Each(places) => {
                let (chunks, rows) = of_columns(places);
                let chunks = chunks.iter().fold(0, |all, chunk| all | chunk);
                (chunks, rows.iter().fold(0, |all, row| all | row))
            }
        }
    }

    /// The chunk of the first of them; there is one.
    pub fn first_chunk(&self) -> u64 {
        match &self.places {
            RowPlaces::Chunk(chunk) => *chunk,
            RowPlaces::Each(places) => of_columns(places).0[0],
        }
    }

    /// Adds the places of some rows, as numbers.
    pub fn add_places(&self, rows: &[u32], numbers: PlaceNumbers, to: &mut Vec<u64>) {
        match &self.places {
            RowPlaces::Chunk(chunk) => {
                to.extend(rows.iter().map(|row| numbers.number(*chunk, *row)));
            }
            RowPlaces::Each(places) => {
                let (chunks, places) = of_columns(places);
                let places = rows.iter().map(|row| {
                    let row = *row as usize;
                    numbers.number(chunks[row], places[row])
                });
                to.extend(places);
            }
        }
    }

    /// Whether the columns of aggregates have the same types as other ones.
    pub fn is_like(&self, other: &Ungrouped) -> bool {
        let types = |of: &Ungrouped| -> Vec<_> {
            let columns = of.columns.iter().flatten();
            columns.map(|column| column.data_type().clone()).collect()
        };
        self.are_groups() == other.are_groups() && types(self) == types(other)
    }
}

/// Chunks, and the rows in them.
fn of_columns(places: &[ArrayRef; PLACE_COLUMNS]) -> (&[u64], &[u32]) {
    let [chunks, rows] = places;
    (
        chunks.as_primitive::<UInt64Type>().values(),
        rows.as_primitive::<UInt32Type>().values(),
    )
}

impl Aggregate {
    /// Whether groups stand where their last rows do.
    pub(crate) fn stands_last(&self) -> bool {
        self.aggregates.iter().any(|(_, of)| of.stands_last())
    }

    /// The rows of chunk `chunk` of the input, to be grouped later. There are keys.
    ///
    /// # Errors
    ///
    /// As for [`push`](Aggregate::push), and [`Error::Internal`] without keys.
    pub(crate) fn ungrouped(&mut self, batch: &RecordBatch, chunk: u64) -> Result<Ungrouped> {
        let (keys, columns) = self.evaluate(batch)?;
        let Some(table) = &mut self.table else {
            return Err(Error::internal("there is no key to group by later"));
        };
        let columns = columns.iter().map(|columns| plain(columns));
        Ok(Ungrouped {
            n_rows: batch.num_rows(),
            keys: table.conformed(&keys)?,
            columns: columns.collect::<Result<_>>()?,
            places: RowPlaces::Chunk(chunk),
        })
    }

    /// All groups, to be grouped with others later. There are keys and places. The
    /// operator is empty after it and can go on.
    ///
    /// # Errors
    ///
    /// As for [`partial`](Self::partial), and [`Error::Internal`] without places.
    pub(crate) fn set_aside(&mut self) -> Result<Ungrouped> {
        let partial = self.partial()?;
        let split = self.split(&partial)?;
        let [chunks, rows] = split.places else {
            return Err(Error::internal("groups without places are set aside"));
        };
        Ok(Ungrouped {
            n_rows: partial.num_rows(),
            keys: split.keys.to_vec(),
            columns: split.columns,
            places: RowPlaces::Each([Arc::clone(chunks), Arc::clone(rows)]),
        })
    }

    /// What was to be grouped later as a partial: every row is a group, also where
    /// keys are equal. The operator must be empty, and stays so.
    ///
    /// # Errors
    ///
    /// As for [`partial`](Self::partial), and [`Error::Internal`] with rows so far.
    pub(crate) fn partial_of(&mut self, rows: &Ungrouped) -> Result<RecordBatch> {
        if self.n_groups() > 0 {
            return Err(Error::internal("rows pass by a table that holds some"));
        }
        let mut columns = plain(&rows.keys)?;
        match &rows.places {
            RowPlaces::Each(places) => {
                columns.extend(rows.columns.iter().flatten().cloned());
                columns.extend(places.iter().cloned());
            }
            RowPlaces::Chunk(chunk) => {
                let ids: Vec<u32> = (0..rows.n_rows as u32).collect();
                for (accumulator, values) in self.accumulators.iter_mut().zip(&rows.columns) {
                    accumulator.update_columns(Groups::of(&ids, ids.len()), values)?;
                    columns.extend(accumulator.partial()?);
                }
                if let Some(places) = &mut self.places {
                    places.note(&ids, ids.len(), *chunk);
                    columns.extend(places.take());
                }
            }
        }
        partial_of(columns)
    }

    /// As [`partial_of`](Self::partial_of), with one row for each key of a chunk.
    ///
    /// # Errors
    ///
    /// As for [`partial_of`](Self::partial_of).
    pub(crate) fn grouped_partial_of(&mut self, rows: &Ungrouped) -> Result<RecordBatch> {
        let RowPlaces::Chunk(chunk) = &rows.places else {
            return self.partial_of(rows);
        };
        if self.n_groups() > 0 {
            return Err(Error::internal("rows are grouped among others"));
        }
        let ids = self.assign(&plain(&rows.keys)?)?;
        let n_groups = self.n_groups();
        if let (Some(places), Some(ids)) = (&mut self.places, &ids) {
            places.note(ids, n_groups, *chunk);
        }
        let groups = groups_of(&ids, n_groups, rows.n_rows);
        self.take_grouped(groups, &rows.columns, false)?;
        self.partial()
    }

    /// Takes in rows whose groups are known already: what [`Ungrouped`] has of them,
    /// behind all rows so far. The operator knows no keys of theirs.
    ///
    /// # Errors
    ///
    /// As for [`push`](Aggregate::push).
    pub(crate) fn take_grouped(
        &mut self,
        groups: Groups<'_>,
        columns: &[Vec<ArrayRef>],
        are_states: bool,
    ) -> Result<()> {
        match are_states {
            true => self.take(groups, columns, Accumulator::merge),
            false => self.take(groups, columns, Accumulator::update_columns),
        }
    }

    /// The states alone of all groups, as [`Ungrouped`] has them. There are none after it.
    ///
    /// # Errors
    ///
    /// As for [`partial`](Aggregate::partial).
    pub(crate) fn states(&mut self) -> Result<Vec<Vec<ArrayRef>>> {
        let accumulators = self.accumulators.iter_mut();
        accumulators.map(Accumulator::partial).collect()
    }

    /// The results alone, one row for each group.
    ///
    /// # Errors
    ///
    /// As for [`finish`](Self::finish).
    pub(crate) fn results(&mut self) -> Result<Vec<ArrayRef>> {
        self.accumulators
            .iter_mut()
            .map(Accumulator::finish)
            .collect()
    }
}
