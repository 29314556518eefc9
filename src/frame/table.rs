//! Rows in memory.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::show::{Shown, terminal_width};
use crate::exec::{Collected, RunReport};

/// Rows that were computed, by partition. Displays as a table that fits the
/// terminal; [`Table::show`] fits any width.
#[derive(Debug, Clone)]
pub struct Table {
    collected: Collected,
}

impl Table {
    pub(super) fn new(collected: Collected) -> Self {
        Table { collected }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.collected.schema)
    }

    /// Rows.
    pub fn num_rows(&self) -> usize {
        self.batches().map(RecordBatch::num_rows).sum()
    }

    /// Partitions.
    pub fn num_partitions(&self) -> usize {
        self.collected.partitions.len()
    }

    /// Batches of each partition.
    pub fn partitions(&self) -> &[Vec<RecordBatch>] {
        &self.collected.partitions
    }

    /// All batches, in order.
    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.collected.partitions.iter().flatten()
    }

    /// All batches, in order, without a copy.
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.collected.partitions.into_iter().flatten().collect()
    }

    /// The balance sheet of what was read.
    pub fn report(&self) -> &RunReport {
        &self.collected.report
    }

    /// The rows as a table of at most `width` terminal columns: columns that do
    /// not fit are counted and named below it. `None`: as wide as it is.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// let city: ArrayRef = Arc::new(StringArray::from(vec!["Tromsø", "東京"]));
    /// let n: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    /// let batch = RecordBatch::try_from_iter([("city", city), ("people", n)])?;
    /// let table = Session::default().from_batches(batch.schema(), [batch])?.compute()?;
    /// assert_eq!(table.show(Some(12)).to_string(), "\
    /// city
    /// ------
    /// Tromsø
    /// 東京
    /// 2 rows; 1 of 2 columns not shown: people");
    /// # Ok(())
    /// # }
    /// ```
    pub fn show(&self, width: Option<usize>) -> impl fmt::Display + '_ {
        Shown { table: self, width }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.show(terminal_width()))
    }
}
