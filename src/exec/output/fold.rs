//! Rows folded into a few, in input order.
//!
//! In:  what workers made of chunks, or rows; at the end what they left behind.
//! Out: the folded rows, once all were taken; or tables of groups, where they are many.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::fold::{Folding, Held};
use crate::exec::hot_groups::HotGroups;
use crate::exec::schema::RunSchema;

/// Merges partials in input order, under the budget.
pub(crate) struct Folded {
    folding: Arc<Folding>,
    held: Held,
    /// Chunks so far.
    chunks: u64,
    /// Keys that many rows have.
    pub hot: HotGroups,
    /// The answer, at the end.
    pub answer: Answer,
}

/// What rows were folded into.
pub(crate) enum Answer {
    Rows(Vec<RecordBatch>),
    /// Tables that are to leave for their stores, to be merged with what is there
    /// bucket by bucket; and the types that all keys have.
    Tables(Vec<Held>, Vec<Vec<DataType>>),
}

impl Folded {
    pub fn new(folding: Arc<Folding>) -> Result<Self> {
        Ok(Folded {
            held: folding.open()?,
            folding,
            chunks: 0,
            hot: HotGroups::default(),
            answer: Answer::Rows(Vec::new()),
        })
    }

    /// Merges tables, the largest first.
    fn merge(&mut self, mut tables: Vec<Held>) -> Result<()> {
        tables.sort_by_key(|held| std::cmp::Reverse(held.reservation.bytes()));
        for table in tables {
            // Without rows there is nothing here to be merged into.
            if self.held.rows == 0 && !self.held.has_aside() {
                self.held = table;
                continue;
            }
            self.held.rows += table.rows;
            self.held.folder.take_in(table.folder)?;
            self.folding.settle(&mut self.held)?;
        }
        Ok(())
    }

    /// Leaves the tables to others, this one's among them.
    fn leave(&mut self, mut tables: Vec<Held>, schema: &RunSchema) -> Result<()> {
        let own = std::mem::replace(&mut self.held, self.folding.open()?);
        tables.push(own);
        let key_types = self.held.folder.key_types(schema)?;
        self.answer = Answer::Tables(tables, key_types);
        Ok(())
    }
}

impl Output for Folded {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        let chunk = self.chunks;
        self.chunks += 1;
        let held = &mut self.held;
        let hot = match &rows.folded {
            Some(_) => rows.hot,
            None => self.folding.hot_keys(&rows.batch, &rows.from, chunk)?,
        };
        self.hot.push(rows.batch.num_rows() as u64, hot);
        match &rows.folded {
            Some(partial) if partial.is_empty() => return Ok(Vec::new()),
            Some(partial) => {
                held.go_on_in(rows.bucket, &self.folding.stores)?;
                held.folder.merge(partial, &rows.from, schema)?;
            }
            None => held.folder.push(&rows.batch, &rows.from, schema, chunk)?,
        }
        held.rows += rows.batch.num_rows() as u64;
        self.folding.raise_bar(held)?;
        self.folding.settle(held)?;
        Ok(Vec::new())
    }

    fn finish(&mut self, schema: &RunSchema) -> Result<Vec<Group>> {
        let tables = self.folding.take();
        if self.folding.has_left() || self.folding.has_many(&tables) {
            self.leave(tables, schema)?;
            return Ok(Vec::new());
        }
        self.merge(tables)?;
        // The answer stands beside the states that it is made of.
        let wanted = 2 * self.held.folder.bytes();
        let has_left = self.folding.has_left() || self.held.has_aside();
        if !has_left && self.held.reservation.try_resize(wanted) {
            self.answer = Answer::Rows(self.held.folder.finish(schema)?);
        } else if self.folding.stores.is_empty() {
            return Err(self.folding.plan.refused(&self.held.reservation, wanted));
        } else {
            self.leave(Vec::new(), schema)?;
        }
        Ok(Vec::new())
    }
}
