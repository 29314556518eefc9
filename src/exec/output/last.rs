//! The last rows, for the caller.

use std::collections::VecDeque;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, HeldBuffers, Reservation};

/// Keeps the last rows and lets go of those before them.
pub(crate) struct Last {
    wanted: u64,
    rows: u64,
    pub kept: VecDeque<Rows>,
    reservation: Reservation,
}

impl Last {
    pub fn new(wanted: u64, budget: &Budget) -> Self {
        Last {
            wanted,
            rows: 0,
            kept: VecDeque::new(),
            reservation: budget.open(),
        }
    }
}

impl Output for Last {
    fn push(&mut self, rows: Rows, _schema: &RunSchema) -> Result<Vec<Group>> {
        if rows.batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        self.rows += rows.batch.num_rows() as u64;
        self.kept.push_back(rows);
        while let Some(first) = self.kept.front_mut() {
            let over = self.rows - self.wanted.min(self.rows);
            let there = first.batch.num_rows() as u64;
            if over >= there {
                self.rows -= there;
                self.kept.pop_front();
                continue;
            }
            let over = usize::try_from(over).unwrap_or(usize::MAX);
            first.batch = first.batch.slice(over, first.batch.num_rows() - over);
            self.rows -= over as u64;
            break;
        }
        let mut buffers = HeldBuffers::default();
        let held = self.kept.iter().map(|rows| buffers.add(&rows.batch)).sum();
        if !self.reservation.try_resize(held) {
            let cure = "raise --memory, or ask for fewer rows";
            return Err(self.reservation.refused("tail", held, cure));
        }
        Ok(Vec::new())
    }
}
