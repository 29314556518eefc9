//! Aggregates of the rows that a window holds.
//!
//! In:  rows in order, with the group of each.
//! Out: for each row, what a kernel makes of the values in its window.
//!
//! A value goes in when its row comes and is taken out again when it leaves the
//! window, so a row costs the same however long the window is. That is exact,
//! since kernels add and take away without rounding.

use std::collections::VecDeque;

use arrow_array::ArrayRef;

use super::marks::Marks;
use crate::error::Result;
use crate::expr::row_error::{Failure, RowError};

/// Rows of a batch, as windows are given them.
#[derive(Clone, Copy)]
pub(crate) struct WindowRows<'a> {
    /// The group of each row.
    pub groups: &'a [u32],
    /// How many groups there are by now.
    pub n_groups: usize,
    /// The value of each row; none where rows alone count.
    pub values: Option<&'a ArrayRef>,
    /// The time of each row in ticks, where that counts.
    pub times: Option<&'a [Option<i64>]>,
    /// Whether these are rows behind the last of each group, which hold nothing.
    pub beyond: bool,
}

/// What came out for a batch.
pub(crate) struct Ran {
    /// A value for each row before the one that failed.
    pub array: ArrayRef,
    /// The first row that has no answer, and why.
    pub failed: Option<RowError>,
}

/// One window at work. After a row has failed nothing is asked of it any more.
pub(crate) trait Running: Send {
    /// A value for each row, in order.
    fn push(&mut self, rows: &WindowRows<'_>) -> Result<Ran>;

    /// Bytes held, for the budget.
    fn bytes(&self) -> usize;

    /// As many windows as `n`, which go on where this one stands: each group is in
    /// the one that `part_of` names, behind those of its part with lower numbers.
    fn split(self: Box<Self>, part_of: &[u32], n: usize) -> Result<Vec<Box<dyn Running>>>;
}

/// What is made of the values in a window, without rounding on the way.
pub(super) trait Kernel: Clone + Send + 'static {
    /// A value that is not null.
    type Value: Copy + Send;
    /// What is known of the values in one window.
    type State: Default + Send;
    /// A result.
    type Out;

    /// The values of a column; none: of rows that have no value.
    fn values(&self, rows: &WindowRows<'_>) -> Result<Vec<Option<Self::Value>>>;
    /// Takes a value in.
    fn add(&self, state: &mut Self::State, value: Self::Value);
    /// Takes the oldest value out.
    fn remove(&self, state: &mut Self::State, value: Self::Value);
    /// The result; null without one. Text says why there is none that fits.
    fn result(&self, state: &Self::State) -> Result<Option<Self::Out>, String>;
    /// Results as a column.
    fn column(&self, results: Vec<Option<Self::Out>>) -> Result<ArrayRef>;
    /// Bytes of a state beside its own size.
    fn state_bytes(&self, state: &Self::State) -> usize;
}

/// What a group holds.
struct Cell<K: Kernel> {
    state: K::State,
    /// Values that will leave, with their marks.
    held: VecDeque<(i64, K::Value)>,
}

/// A kernel over the windows of all groups.
pub(super) struct Folding<K: Kernel> {
    kernel: K,
    marks: Marks,
    cells: Vec<Cell<K>>,
    /// Bytes that cells hold beside their own size.
    inner_bytes: usize,
}

impl<K: Kernel> Folding<K> {
    pub fn new(kernel: K, marks: Marks) -> Self {
        Folding {
            kernel,
            marks,
            cells: Vec::new(),
            inner_bytes: 0,
        }
    }

    /// Moves the window of the row's group to this row.
    fn slide(
        &mut self,
        rows: &WindowRows<'_>,
        row: usize,
        value: Option<K::Value>,
    ) -> Result<Option<K::Out>, Failure> {
        let mark = self.marks.next(rows, row)?;
        let kernel = &self.kernel;
        let cell = &mut self.cells[rows.groups[row] as usize];
        let before = inner_bytes(kernel, cell);
        while let Some((own, left)) = cell.held.front()
            && *own < mark.least
        {
            kernel.remove(&mut cell.state, *left);
            cell.held.pop_front();
        }
        if let Some(value) = value {
            kernel.add(&mut cell.state, value);
            if self.marks.is_bounded() {
                cell.held.push_back((mark.own, value));
            }
        }
        self.inner_bytes = self.inner_bytes + inner_bytes(kernel, cell) - before;
        kernel
            .result(&cell.state)
            .map_err(|reason| Failure::at(row, reason))
    }
}

fn inner_bytes<K: Kernel>(kernel: &K, cell: &Cell<K>) -> usize {
    kernel.state_bytes(&cell.state) + cell.held.capacity() * size_of::<(i64, K::Value)>()
}

impl<K: Kernel> Running for Folding<K> {
    fn push(&mut self, rows: &WindowRows<'_>) -> Result<Ran> {
        self.marks.grow(rows.n_groups);
        if rows.n_groups > self.cells.len() {
            self.cells.resize_with(rows.n_groups, || Cell {
                state: K::State::default(),
                held: VecDeque::new(),
            });
        }
        let values = self.kernel.values(rows)?;
        let mut results = Vec::with_capacity(values.len());
        let mut failed = None;
        for (row, value) in values.into_iter().enumerate() {
            match self.slide(rows, row, value) {
                Ok(result) => results.push(result),
                Err(Failure::Row(at)) => {
                    failed = Some(at);
                    break;
                }
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        Ok(Ran {
            array: self.kernel.column(results)?,
            failed,
        })
    }

    fn bytes(&self) -> usize {
        self.marks.bytes() + self.cells.capacity() * size_of::<Cell<K>>() + self.inner_bytes
    }

    fn split(self: Box<Self>, part_of: &[u32], n: usize) -> Result<Vec<Box<dyn Running>>> {
        let marks = self.marks.split(part_of, n).into_iter();
        let mut parts: Vec<Self> = marks
            .map(|marks| Folding::new(self.kernel.clone(), marks))
            .collect();
        for (cell, part) in self.cells.into_iter().zip(part_of) {
            let part = &mut parts[*part as usize];
            part.inner_bytes += inner_bytes(&part.kernel, &cell);
            part.cells.push(cell);
        }
        let parts = parts.into_iter();
        Ok(parts.map(|part| Box::new(part) as _).collect())
    }
}
